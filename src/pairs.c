/*
 * pairs.c
 *		Values with weights, sorted in a way that can be cancelled.
 *
 * qsort on millions of rows would not look for a cancel for seconds; here it
 * sorts runs of fixed length, which are then merged bottom-up. The result
 * depends on the rows and their order alone.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "pairs.h"

#define RUN_LENGTH	INT64CONST(65536)

static int
compare_pairs(const void *a, const void *b)
{
	double		x = ((const MlPair *) a)->value;
	double		y = ((const MlPair *) b)->value;

	return (x > y) - (x < y);
}

/* merges pair[first, middle) and pair[middle, end) into to[first, end) */
static void
merge_runs(const MlPair *pair, MlPair *to, int64 first, int64 middle, int64 end)
{
	int64		a = first;
	int64		b = middle;

	for (int64 i = first; i < end; i++)
	{
		if ((i - first) % RUN_LENGTH == 0)
			CHECK_FOR_INTERRUPTS();
		if (b >= end || (a < middle && pair[a].value <= pair[b].value))
			to[i] = pair[a++];
		else
			to[i] = pair[b++];
	}
}

MlPair *
ml_pairs_sort(MlPair *pair, MlPair *spare, int64 n)
{
	for (int64 first = 0; first < n; first += RUN_LENGTH)
	{
		CHECK_FOR_INTERRUPTS();
		qsort(pair + first, Min(RUN_LENGTH, n - first), sizeof(MlPair), compare_pairs);
	}
	for (int64 width = RUN_LENGTH; width < n; width *= 2)
	{
		MlPair	   *swap = pair;

		for (int64 first = 0; first < n; first += 2 * width)
			merge_runs(pair, spare, first, Min(first + width, n), Min(first + 2 * width, n));
		pair = spare;
		spare = swap;
	}
	return pair;
}

/*
 * Sum over pairs of a positive and a negative row of the product of their
 * weights - whole if the positive scores higher, half if both score the same -
 * over the sum of all these products: Hanley & McNeil 1982, "The meaning and
 * use of the area under a receiver operating characteristic (ROC) curve",
 * Radiology 143, where it is the Mann-Whitney statistic. Ties get the
 * trapezoid of Fawcett 2006, "An introduction to ROC analysis", Pattern
 * Recognition Letters 27, algorithm 3.
 */
double
ml_pairs_area(const MlPair *pair, int64 n)
{
	double		below = 0.0;	/* weight of negatives with a lower score */
	double		positives = 0.0;
	double		products = 0.0;
	int64		i = 0;

	while (i < n)
	{
		double		score = pair[i].value;
		double		positive = 0.0;
		double		negative = 0.0;

		for (; i < n && pair[i].value == score; i++)
		{
			if (pair[i].weight > 0.0)
				positive += pair[i].weight;
			else
				negative -= pair[i].weight;
		}
		products += positive * (below + 0.5 * negative);
		positives += positive;
		below += negative;
	}
	return positives > 0.0 && below > 0.0 ? products / (positives * below) : NAN;
}
