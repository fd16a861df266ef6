/*
 * quantile.c
 *		Tails of the normal and of Student's t, and the quantile that intervals need.
 *
 * To a relative error of 1e-10, which is more than any p value means. num/ has
 * better ones for reports of fits; they live where linear algebra does.
 */
#include "postgres.h"

#include <math.h>

#include "metric/interval.h"

#define MAX_STEPS	500
#define STOP		1e-14
#define TINY		1e-300		/* stands for a zero denominator */
#define EXPANSION_FROM 30		/* degrees of freedom */

double
ml_tail_normal(double z)
{
	return erfc(fabs(z) / sqrt(2.0));
}

static inline double
not_zero(double x)
{
	return fabs(x) < TINY ? TINY : x;
}

/* continued fraction of the incomplete beta function, DLMF 8.17.22, by Lentz's method */
static double
beta_fraction(double x, double a, double b)
{
	double		c = 1.0;
	double		d = 1.0 / not_zero(1.0 - (a + b) * x / (a + 1.0));
	double		f = d;

	for (int m = 1; m <= MAX_STEPS; m++)
	{
		double		even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double		odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		double		step;

		d = 1.0 / not_zero(1.0 + even * d);
		c = not_zero(1.0 + even / c);
		f *= d * c;
		d = 1.0 / not_zero(1.0 + odd * d);
		c = not_zero(1.0 + odd / c);
		step = d * c;
		f *= step;
		if (fabs(step - 1.0) < STOP)
			break;
	}
	return f;
}

/* P(|T| >= |t|) = I(df / (df + t^2); df / 2, 1 / 2), DLMF 8.17.4 on the side where the fraction converges fast */
double
ml_tail_t(double t, double df)
{
	double		a = df / 2.0;
	double		x = df / (df + t * t);
	double		front;

	if (isnan(t) || isnan(df))
		return NAN;
	if (isinf(df))
		return ml_tail_normal(t);
	if (t == 0.0)
		return 1.0;
	if (isinf(t))
		return 0.0;
	front = exp(a * log(x) + 0.5 * log1p(-x) + lgamma(a + 0.5) - lgamma(a) - lgamma(0.5));
	if (x < (a + 1.0) / (a + 2.5))
		return front * beta_fraction(x, a, 0.5) / a;
	return 1.0 - front * beta_fraction(1.0 - x, 0.5, a) / 0.5;
}

/*
 * Expansion in 1 / df (Abramowitz & Stegun 26.7.5); few degrees of freedom go
 * on from there by Newton's method.
 */
double
ml_quantile_t(double df)
{
	double		z = ML_NORMAL_975;
	double		z2 = z * z;
	double		t;

	if (isinf(df))
		return z;
	t = z + z * (z2 + 1) / (4 * df) +
		z * ((5 * z2 + 16) * z2 + 3) / (96 * df * df) +
		z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / (384 * df * df * df);
	for (int i = 0; df < EXPANSION_FROM && i < 50; i++)
	{
		double		density = exp(lgamma((df + 1) / 2) - lgamma(df / 2)) / sqrt(df * M_PI) *
			pow(1 + t * t / df, -(df + 1) / 2);
		double		step = (ml_tail_t(t, df) - 0.05) / (2 * density);

		t += fmin(fmax(step, -t / 2), t);
		if (fabs(step) < 1e-12 * t)
			break;
	}
	return t;
}
