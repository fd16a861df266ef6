/*
 * distance.c
 *		Distances between the distributions of numbers.
 *
 * A distribution function is known at its knots, left and right of each, and is
 * a straight line between them. If every value is a knot that is the empirical
 * function, and all below is exact. The largest difference of two such functions
 * is at a knot of one of them.
 */
#include "postgres.h"

#include <math.h>

#include "drift/compare.h"
#include "interrupts.h"

#define LEAST_SHARE 0.0001		/* of a bin, for PSI */

/* ---- over bins ---- */

/*
 * sum (current - reference) ln(current / reference), shares of at least LEAST_SHARE
 * (Siddiqi 2006, "Credit risk scorecards"; a symmetrised Kullback-Leibler divergence)
 */
double
ml_drift_psi(const double *reference, const double *current, int n)
{
	double		sum = 0;

	for (int i = 0; i < n; i++)
	{
		double		then = Max(reference[i], LEAST_SHARE);
		double		now = Max(current[i], LEAST_SHARE);

		sum += (now - then) * log(now / then);
	}
	return sum;
}

/* Lin 1991, "Divergence measures based on the Shannon entropy"; 0 to ln 2 */
double
ml_drift_js(const double *reference, const double *current, int n)
{
	double		sum = 0;

	for (int i = 0; i < n; i++)
	{
		double		middle = (reference[i] + current[i]) / 2;

		if (reference[i] > 0)
			sum += reference[i] * log(reference[i] / middle) / 2;
		if (current[i] > 0)
			sum += current[i] * log(current[i] / middle) / 2;
	}
	return sum;
}

/* ---- a walk over the knots of two distribution functions ---- */

typedef struct Walk
{
	const MlNumberProfile *number;
	double		scale;
	double		offset;
	int			next;			/* knot */
} Walk;

static double
knot_at(const Walk *walk, int i)
{
	return walk->number->knot[i] * walk->scale + walk->offset;
}

/* the function left and right of x, which is no later than the next knot; goes past it */
static void
step(Walk *walk, double x, double *left, double *right)
{
	const MlNumberProfile *number = walk->number;
	int			i = walk->next;
	double		n = (double) number->upto[number->nknots - 1];

	if (i == number->nknots)
		*left = *right = 1;
	else if (knot_at(walk, i) <= x)
	{
		*left = (number->upto[i] - number->equal[i]) / n;
		*right = number->upto[i] / n;
		walk->next++;
	}
	else if (i == 0)
		*left = *right = 0;
	else
	{
		double		from = number->upto[i - 1] / n;
		double		to = (number->upto[i] - number->equal[i]) / n;
		double		begin = knot_at(walk, i - 1);

		*left = *right = from == to ? from : from + (to - from) * (x - begin) / (knot_at(walk, i) - begin);
	}
}

/* under the absolute value of a straight line from a to b */
static double
area(double a, double b, double width)
{
	if ((a >= 0) == (b >= 0) || a == 0 || b == 0)
		return (fabs(a) + fabs(b)) / 2 * width;
	return (a * a + b * b) / (2 * (fabs(a) + fabs(b))) * width;
}

/* Kolmogorov-Smirnov; the Wasserstein distance of order 1 on a line is the area between the functions (Vallender 1974) */
double
ml_drift_ks(const MlNumberProfile *reference, const MlNumberProfile *current, double scale, double offset,
			double *wasserstein)
{
	Walk		then = {reference, 1, 0, 0};
	Walk		now = {current, scale, offset, 0};
	double		most = 0;
	double		sum = 0;
	double		before = 0;
	double		begin = NAN;

	while (then.next < reference->nknots || now.next < current->nknots)
	{
		double		x = then.next == reference->nknots ? knot_at(&now, now.next) :
			now.next == current->nknots ? knot_at(&then, then.next) : Min(knot_at(&then, then.next), knot_at(&now, now.next));
		double		left[2];
		double		right[2];

		ml_check_row(then.next + (int64) now.next);
		step(&then, x, &left[0], &right[0]);
		step(&now, x, &left[1], &right[1]);
		if (!isnan(begin))
			sum += area(before, left[0] - left[1], x - begin);
		before = right[0] - right[1];
		most = Max(most, Max(fabs(left[0] - left[1]), fabs(before)));
		begin = x;
	}
	if (wasserstein != NULL)
		*wasserstein = sum;
	return most;
}

double
ml_drift_quantile(const MlNumberProfile *number, double share)
{
	int			low = 0;
	int			high = number->nknots - 1;
	double		place = share * (number->nknots > 0 ? number->upto[number->nknots - 1] : 0);

	if (number->nknots == 0)
		return NAN;
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (number->upto[middle] < place)
			low = middle + 1;
		else
			high = middle;
	}
	return number->knot[low];
}

/* ---- how likely it is by chance ---- */

/* the two series of Kolmogorov's distribution: for small arguments, and for large ones */
static double
kolmogorov_tail(double x)
{
	double		sum = 0;

	if (x < 0.2)
		return 1;
	if (x < 1.18)
	{
		for (int k = 1; k <= 7; k += 2)
			sum += exp(-(k * k) * M_PI * M_PI / (8 * x * x));
		return 1 - sqrt(2 * M_PI) / x * sum;
	}
	for (int k = 1; k <= 6; k++)
		sum += (k % 2 ? 2 : -2) * exp(-2.0 * k * k * x * x);
	return sum;
}

/* with the correction for finite samples of Stephens 1970, "Use of the Kolmogorov-Smirnov, ... without extensive tables" */
double
ml_drift_ks_tail(double d, double n, double m)
{
	double		root = sqrt(n * m / (n + m));

	return Min(Max(kolmogorov_tail((root + 0.12 + 0.11 / root) * d), 0), 1);
}
