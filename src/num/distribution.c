/*
 * distribution.c
 *		Normal, Student t, F and chi-square tails.
 *
 * t and F come from the incomplete beta function, chi-square from the
 * incomplete gamma function, each a continued fraction or series times a
 * factor. The factor carries all the smallness of a tail, and log-gamma
 * differences would lose its digits, so that it is computed as Loader does:
 * C. Loader, Fast and accurate computation of binomial probabilities (2000).
 * DLMF: NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov.
 */
#include <math.h>
#include <stdbool.h>

#include "num/distribution.h"

#define PI				3.14159265358979323846
#define HALF_LOG_2PI	0.91893853320467274178
#define MAX_STEPS		1000000
#define STOP			1e-15
#define TINY			1e-300	/* stands for a zero denominator */

/* lgamma is not safe for threads only because of signgam; arguments here are > 0 */
static double
log_gamma(double x)
{
	return lgamma(x);
}

/*
 * log Gamma(x + 1) less Stirling's (x + 1/2) log x - x + log(2 pi) / 2
 * (DLMF 5.11.1)
 */
static double
stirling_error(double x)
{
	double		x2 = x * x;

	if (x < 16)
		return log_gamma(x + 1) - (x + 0.5) * log(x) + x - HALF_LOG_2PI;
	return (1.0 / 12 - (1.0 / 360 - (1.0 / 1260 - (1.0 / 1680 - 1.0 / 1188 / x2) / x2) / x2) / x2) / x;
}

/* x log(x / mean) + mean - x, without cancellation where x is near mean (Loader, section 4) */
static double
deviance_part(double x, double mean)
{
	double		v = (x - mean) / (x + mean);
	double		sum;
	double		term;

	if (fabs(x - mean) >= 0.1 * (x + mean))
		return x * log(x / mean) + mean - x;
	sum = (x - mean) * v;
	term = 2 * x * v;
	for (int j = 1; j < 100; j++)
	{
		double		next;

		term *= v * v;
		next = sum + term / (2 * j + 1);
		if (next == sum)
			break;
		sum = next;
	}
	return sum;
}

/* x^a y^b / B(a, b) for y = 1 - x */
static double
beta_factor(double a, double b, double x, double y)
{
	double		n = a + b;
	double		log_binomial;

	if (x == 0 || y == 0)
		return 0;
	log_binomial = stirling_error(n) - stirling_error(a) - stirling_error(b) -
		deviance_part(a, n * x) - deviance_part(b, n * y);
	return a * b / n * sqrt(n / (2 * PI * a * b)) * exp(log_binomial);
}

/*
 * The continued fraction of DLMF 8.17.22 by Lentz's method (W. J. Lentz,
 * Applied Optics 15, 1976, as modified by Thompson & Barnett, J. Comput. Phys.
 * 64, 1986). Converges fast for x < (a + 1) / (a + b + 2).
 */
static double
beta_fraction(double a, double b, double x)
{
	double		c = 1;
	double		d = 1 - (a + b) * x / (a + 1);
	double		h;

	if (fabs(d) < TINY)
		d = TINY;
	d = 1 / d;
	h = d;
	for (int m = 1; m < MAX_STEPS; m++)
	{
		double		even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double		odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		double		delta;

		d = 1 + even * d;
		c = 1 + even / c;
		d = 1 / (fabs(d) < TINY ? TINY : d);
		c = fabs(c) < TINY ? TINY : c;
		h *= d * c;
		d = 1 + odd * d;
		c = 1 + odd / c;
		d = 1 / (fabs(d) < TINY ? TINY : d);
		c = fabs(c) < TINY ? TINY : c;
		delta = d * c;
		h *= delta;
		if (fabs(delta - 1) < STOP)
			break;
	}
	return h;
}

/* the regularised incomplete beta function I_x(a, b), with y = 1 - x given exactly */
static double
incomplete_beta(double a, double b, double x, double y)
{
	double		factor;

	if (x <= 0)
		return 0;
	if (y <= 0)
		return 1;
	factor = beta_factor(a, b, x, y);
	if (x <= (a + 1) / (a + b + 2))
		return factor / a * beta_fraction(a, b, x);
	return 1 - factor / b * beta_fraction(b, a, y);
}

double
ml_normal_two_sided(double z)
{
	return erfc(fabs(z) / sqrt(2.0));
}

double
ml_t_two_sided(double t, double df)
{
	double		t2 = t * t;

	if (isnan(t) || !(df > 0))
		return NAN;
	if (isinf(df))
		return ml_normal_two_sided(t);
	if (t2 > 1e280)				/* the first term is all, and df / t^2 may be no double */
		return exp(df / 2 * (log(df) - 2 * log(fabs(t))) +
				   log_gamma(df / 2 + 0.5) - log_gamma(df / 2 + 1) - log_gamma(0.5));
	return incomplete_beta(df / 2, 0.5, df / (df + t2), t2 / (df + t2));
}

double
ml_f_upper(double f, double df1, double df2)
{
	double		scaled = df1 * f;

	if (isnan(f) || !(df1 > 0) || !(df2 > 0))
		return NAN;
	if (f <= 0)
		return 1;
	if (isinf(scaled))
		return 0;
	return incomplete_beta(df2 / 2, df1 / 2, df2 / (df2 + scaled), scaled / (df2 + scaled));
}

/* x^a exp(-x) / Gamma(a + 1) */
static double
gamma_factor(double a, double x)
{
	return exp(-stirling_error(a) - deviance_part(a, x)) / sqrt(2 * PI * a);
}

/* P(a, x) by its series, DLMF 8.7.1 */
static double
gamma_series(double a, double x)
{
	double		sum = 1;
	double		term = 1;

	for (int n = 1; n < MAX_STEPS; n++)
	{
		term *= x / (a + n);
		sum += term;
		if (term < sum * STOP)
			break;
	}
	return gamma_factor(a, x) * sum;
}

/* Q(a, x) by the continued fraction DLMF 8.9.2 in its contracted form, Lentz's method */
static double
gamma_fraction(double a, double x)
{
	double		b = x + 1 - a;
	double		c = 1 / TINY;
	double		d = 1 / b;
	double		h = d;

	for (int n = 1; n < MAX_STEPS; n++)
	{
		double		an = -n * (n - a);
		double		delta;

		b += 2;
		d = an * d + b;
		d = 1 / (fabs(d) < TINY ? TINY : d);
		c = b + an / c;
		c = fabs(c) < TINY ? TINY : c;
		delta = d * c;
		h *= delta;
		if (fabs(delta - 1) < STOP)
			break;
	}
	return gamma_factor(a, x) * a * h;
}

double
ml_chi_square_upper(double x, double df)
{
	double		a = df / 2;
	double		half = x / 2;

	if (isnan(x) || !(df > 0))
		return NAN;
	if (x <= 0)
		return 1;
	if (isinf(x))
		return 0;
	if (half < a + 1)
		return 1 - gamma_series(a, half);
	return gamma_fraction(a, half);
}
