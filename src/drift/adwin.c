/*
 * adwin.c
 *		ADWIN2.
 *
 * Two parts of n0 and n1 values are of different means if these differ by more than
 *   sqrt(2 v log(2 / d') / m) + 2 r log(2 / d') / (3 m),
 * m = 1 / (1/n0 + 1/n1), v the variance of the window, r the range of the values, d' = delta / log n
 * (the paper's section 4.1 for values of [0, 1], from Bernstein's inequality; log n
 * since that many cuts are looked at). Bifet & Gavalda's theorem 3.1: while the mean stays, a
 * value leads to a cut with a probability of delta at most.
 */
#include "postgres.h"

#include <math.h>

#include "drift/adwin.h"

#define LEAST_PART		5		/* values on either side of a cut */

/* ---- the window ---- */

void
ml_adwin_begin(MlAdwin *adwin, double delta)
{
	memset(adwin, 0, sizeof(MlAdwin));
	adwin->delta = delta;
	adwin->nsizes = 1;
	adwin->before = NAN;
}

/* differences from the mean of both together (Chan, Golub & LeVeque 1983) */
static double
join_squares(double n, double sum, double squares, double m, double other_sum, double other_squares)
{
	double		apart = other_sum / m - sum / n;

	return squares + other_squares + apart * apart * n * m / (n + m);
}

/* the two oldest buckets of a size become one of the next */
static void
compress(MlAdwin *adwin)
{
	for (int size = 0; size + 1 < ML_ADWIN_SIZES && adwin->nbuckets[size] > ML_ADWIN_BUCKETS; size++)
	{
		MlAdwinBucket *bucket = adwin->bucket[size];
		double		n = ldexp(1, size);
		MlAdwinBucket *next = &adwin->bucket[size + 1][adwin->nbuckets[size + 1]++];

		next->squares = join_squares(n, bucket[0].sum, bucket[0].squares, n, bucket[1].sum, bucket[1].squares);
		next->sum = bucket[0].sum + bucket[1].sum;
		adwin->nbuckets[size] -= 2;
		memmove(bucket, bucket + 2, sizeof(MlAdwinBucket) * adwin->nbuckets[size]);
		adwin->nsizes = Max(adwin->nsizes, size + 2);
	}
}

static void
add_up(MlAdwin *adwin)
{
	adwin->width = 0;
	adwin->sum = adwin->squares = 0;
	for (int size = 0; size < adwin->nsizes; size++)
	{
		for (int i = 0; i < adwin->nbuckets[size]; i++)
		{
			const MlAdwinBucket *bucket = &adwin->bucket[size][i];
			double		n = ldexp(1, size);

			adwin->squares = adwin->width == 0 ? bucket->squares :
				join_squares(adwin->width, adwin->sum, adwin->squares, n, bucket->sum, bucket->squares);
			adwin->sum += bucket->sum;
			adwin->width += (int64) n;
		}
	}
}

/* the oldest bucket goes; its size and sum are added to what went */
static void
drop_oldest(MlAdwin *adwin, double *gone, double *gone_sum)
{
	int			size = adwin->nsizes - 1;

	*gone += ldexp(1, size);
	*gone_sum += adwin->bucket[size][0].sum;
	adwin->nbuckets[size]--;
	memmove(adwin->bucket[size], adwin->bucket[size] + 1, sizeof(MlAdwinBucket) * adwin->nbuckets[size]);
	while (adwin->nsizes > 1 && adwin->nbuckets[adwin->nsizes - 1] == 0)
		adwin->nsizes--;
	add_up(adwin);
}

/* ---- cuts ---- */

static bool
differ(const MlAdwin *adwin, double n, double sum)
{
	double		rest = adwin->width - n;
	double		m = 1 / (1 / n + 1 / rest);
	double		chance = log(2 * log((double) adwin->width) / adwin->delta);
	double		variance = adwin->squares / adwin->width;
	double		bound = sqrt(2 / m * variance * chance) + 2 / (3 * m) * chance * (adwin->most - adwin->least);

	return fabs(sum / n - (adwin->sum - sum) / rest) > bound;
}

/* do the means of any older and newer part differ? */
static bool
has_cut(const MlAdwin *adwin)
{
	double		n = 0;
	double		sum = 0;

	for (int size = adwin->nsizes - 1; size >= 0; size--)
	{
		for (int i = 0; i < adwin->nbuckets[size]; i++)
		{
			n += ldexp(1, size);
			sum += adwin->bucket[size][i].sum;
			if (n < LEAST_PART)
				continue;
			if (adwin->width - n < LEAST_PART)
				return false;
			if (differ(adwin, n, sum))
				return true;
		}
	}
	return false;
}

bool
ml_adwin_add(MlAdwin *adwin, double value)
{
	double		gone = 0;
	double		gone_sum = 0;

	adwin->least = adwin->n == 0 ? value : Min(adwin->least, value);
	adwin->most = adwin->n == 0 ? value : Max(adwin->most, value);
	adwin->n++;
	adwin->squares = adwin->width == 0 ? 0 : join_squares(adwin->width, adwin->sum, adwin->squares, 1, value, 0);
	adwin->sum += value;
	adwin->width++;
	adwin->bucket[0][adwin->nbuckets[0]++] = (MlAdwinBucket) {value, 0};
	compress(adwin);
	while (has_cut(adwin))
		drop_oldest(adwin, &gone, &gone_sum);
	if (gone == 0)
		return false;
	adwin->changed_at = adwin->n - adwin->width + 1;
	if (adwin->changes > 0 && adwin->changed_at <= adwin->found_at)
		return true;			/* the last one, told more exactly */
	adwin->changes++;
	adwin->found_at = adwin->n;
	adwin->before = gone_sum / gone;
	return true;
}
