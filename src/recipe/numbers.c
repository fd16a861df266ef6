/*
 * numbers.c
 *		Statistics of a number over the training rows.
 *
 * Sums are taken over blocks of fixed size, four lanes a block, and the blocks
 * are added in order: the result depends on the values and their order alone,
 * and rounding grows with the number of blocks, not of rows. The deviation
 * takes a second pass around the mean, with the correction for the mean's own
 * rounding (Chan, Golub & LeVeque 1983, "Algorithms for computing the sample
 * variance", eq. 1.7: the corrected two-pass algorithm).
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "miscadmin.h"
#include "recipe/recipe_private.h"
#include "sort.h"

#define STATISTICS_BLOCK	1024
#define LANES				4

/* beyond these, squares leave the range of a double, and values are scaled by a power of two */
#define LARGEST_UNSCALED	1e140
#define SMALLEST_UNSCALED	1e-140

typedef struct Extent
{
	double		minimum;
	double		maximum;
	double		sum;			/* of weight * value; may overflow where values are large */
	double		weight;			/* of values present */
	double		missing;		/* weight of values missing */
	int64		npresent;
} Extent;

static inline double
weight_of(const MlSample *sample, int64 i)
{
	return sample->weight == NULL ? 1.0 : sample->weight[i];
}

static void
sample_extent(const MlSample *sample, Extent *extent)
{
	extent->minimum = INFINITY;
	extent->maximum = -INFINITY;
	extent->sum = extent->weight = extent->missing = 0.0;
	extent->npresent = 0;

	for (int64 first = 0; first < sample->n; first += STATISTICS_BLOCK)
	{
		int64		end = Min(first + STATISTICS_BLOCK, sample->n);
		double		sum[LANES] = {0};
		double		present = 0.0;
		double		missing = 0.0;

		CHECK_FOR_INTERRUPTS();
		for (int64 i = first; i < end; i++)
		{
			double		x = sample->value[i * sample->stride];
			double		w = weight_of(sample, i);

			if (isnan(x))
			{
				missing += w;
				continue;
			}
			sum[i % LANES] += w * x;
			present += w;
			extent->npresent++;
			if (x < extent->minimum)
				extent->minimum = x;
			if (x > extent->maximum)
				extent->maximum = x;
		}
		extent->sum += (sum[0] + sum[1]) + (sum[2] + sum[3]);
		extent->weight += present;
		extent->missing += missing;
	}
}

/* sums of w * d and w * d^2 for d = x * scale - centre */
static void
sample_sums(const MlSample *sample, double scale, double centre, double *sum, double *squares)
{
	*sum = *squares = 0.0;
	for (int64 first = 0; first < sample->n; first += STATISTICS_BLOCK)
	{
		int64		end = Min(first + STATISTICS_BLOCK, sample->n);
		double		s[LANES] = {0};
		double		q[LANES] = {0};

		CHECK_FOR_INTERRUPTS();
		for (int64 i = first; i < end; i++)
		{
			double		d = sample->value[i * sample->stride] * scale - centre;
			double		w = weight_of(sample, i);

			if (!isnan(d))
			{
				s[i % LANES] += w * d;
				q[i % LANES] += w * d * d;
			}
		}
		*sum += (s[0] + s[1]) + (s[2] + s[3]);
		*squares += (q[0] + q[1]) + (q[2] + q[3]);
	}
}

/* exponent of the power of two that brings values near 1 where their squares would not do */
static int
scale_exponent(const Extent *extent)
{
	double		largest = Max(fabs(extent->minimum), fabs(extent->maximum));
	int			exponent = 0;

	if (largest > LARGEST_UNSCALED || (largest > 0.0 && largest < SMALLEST_UNSCALED))
		frexp(largest, &exponent);

	/* 2^-exponent must itself be a double */
	return Max(exponent, DBL_MIN_EXP);
}

/* ---- medians ---- */

/*
 * Hoare's FIND (1961) around the median of three; on return v[k] is the k-th
 * smallest, everything before it is no larger, everything after no smaller.
 */
static double
select_kth(double *v, int64 n, int64 k)
{
	int64		low = 0;
	int64		high = n - 1;

	while (low < high)
	{
		double		a = v[low],
					b = v[low + (high - low) / 2],
					c = v[high];
		double		pivot = Max(Min(a, b), Min(Max(a, b), c));
		int64		i = low;
		int64		j = high;

		CHECK_FOR_INTERRUPTS();
		while (i <= j)
		{
			while (v[i] < pivot)
				i++;
			while (v[j] > pivot)
				j--;
			if (i <= j)
			{
				double		swap = v[i];

				v[i++] = v[j];
				v[j--] = swap;
			}
		}
		if (k <= j)
			high = j;
		else if (k >= i)
			low = i;
		else
			break;
	}
	return v[k];
}

/* halfway without overflow */
static double
between(double a, double b)
{
	return a * 0.5 + b * 0.5;
}

static double
plain_median(double *v, int64 n)
{
	double		upper = select_kth(v, n, n / 2);
	double		lower = upper;

	if (n % 2 == 0)
	{
		lower = v[0];
		for (int64 i = 1; i < n / 2; i++)
			lower = Max(lower, v[i]);
	}
	return lower == upper ? upper : between(lower, upper);
}

/*
 * The value at which the weights, added in order, pass half of their sum;
 * halfway to the next if they meet it exactly, so that equal weights give the
 * plain median.
 */
static double
weighted_median(MlKeyed *row, int64 n)
{
	double		total = 0.0;
	double		sum = 0.0;

	ml_sort(row, row + n, n, 64);
	for (int64 i = 0; i < n; i++)
		total += row[i].weight;
	for (int64 i = 0; i < n; i++)
	{
		sum += row[i].weight;
		if (sum == total / 2 && i + 1 < n && row[i].key != row[i + 1].key)
			return between(ml_key_double(row[i].key), ml_key_double(row[i + 1].key));
		if (sum >= total / 2)
			return ml_key_double(row[i].key);
	}
	return ml_key_double(row[n - 1].key);
}

static double
sample_median(const MlSample *sample, int64 npresent)
{
	bool		weighted = sample->weight != NULL;
	Size		bytes = ml_size_mul(npresent, weighted ? 2 * sizeof(MlKeyed) : sizeof(double));
	double		median;
	void	   *copy;
	int64		n = 0;

	if (sample->budget != NULL)
		ml_budget_take(sample->budget, bytes, "the median of a column");
	copy = MemoryContextAllocHuge(CurrentMemoryContext, bytes);
	for (int64 i = 0; i < sample->n; i++)
	{
		double		x = sample->value[i * sample->stride];

		if (i % STATISTICS_BLOCK == 0)
			CHECK_FOR_INTERRUPTS();
		if (isnan(x))
			continue;
		if (weighted)
		{
			((MlKeyed *) copy)[n].key = ml_double_key(x);
			((MlKeyed *) copy)[n].weight = sample->weight[i];
		}
		else
			((double *) copy)[n] = x;
		n++;
	}
	median = weighted ? weighted_median(copy, n) : plain_median(copy, n);
	pfree(copy);
	if (sample->budget != NULL)
		ml_budget_give(sample->budget, bytes);
	return median;
}

void
ml_number_learn(const MlSample *sample, MlImpute impute, MlNumber *number)
{
	Extent		extent;
	int			exponent;
	double		scale;
	double		centre;
	double		sum;
	double		squares;
	double		variance;

	sample_extent(sample, &extent);
	if (extent.npresent == 0)
	{
		/* never seen: it tells nothing, and any value will do in its place */
		number->mean = number->deviation = number->fill = 0.0;
		number->minimum = number->maximum = 0.0;
		number->null_share = 1.0;
		return;
	}

	exponent = scale_exponent(&extent);
	scale = ldexp(1.0, -exponent);
	sum = extent.sum;
	if (exponent != 0)
		sample_sums(sample, scale, 0.0, &sum, &squares);
	centre = sum / extent.weight;
	sample_sums(sample, scale, centre, &sum, &squares);
	variance = (squares - sum * sum / extent.weight) / extent.weight;

	number->mean = ldexp(centre + sum / extent.weight, exponent);
	/* rounding must not carry the mean of equal values away from them */
	number->mean = Min(Max(number->mean, extent.minimum), extent.maximum);
	number->deviation = extent.minimum < extent.maximum ? ldexp(sqrt(Max(variance, 0.0)), exponent) : 0.0;
	number->minimum = extent.minimum;
	number->maximum = extent.maximum;
	number->null_share = extent.missing / (extent.weight + extent.missing);
	number->fill = number->mean;
	if (impute == ML_IMPUTE_MEDIAN)
		number->fill = sample_median(sample, extent.npresent);
}
