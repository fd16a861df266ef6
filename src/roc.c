/*
 * roc.c
 *		The area under the ROC curve of sorted scores.
 */
#include "postgres.h"

#include <math.h>

#include "roc.h"

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
ml_roc_area(const MlKeyed *row, int64 n)
{
	double		below = 0.0;	/* weight of negatives with a lower score */
	double		positives = 0.0;
	double		products = 0.0;
	int64		i = 0;

	while (i < n)
	{
		uint64		score = row[i].key;
		double		positive = 0.0;
		double		negative = 0.0;

		for (; i < n && row[i].key == score; i++)
		{
			if (row[i].weight > 0.0)
				positive += row[i].weight;
			else
				negative -= row[i].weight;
		}
		products += positive * (below + 0.5 * negative);
		positives += positive;
		below += negative;
	}
	return positives > 0.0 && below > 0.0 ? products / (positives * below) : NAN;
}
