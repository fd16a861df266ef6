/*
 * pairs.h
 *		Values with weights, sorted in a way that can be cancelled.
 */
#ifndef ML_PAIRS_H
#define ML_PAIRS_H

#include "postgres.h"

typedef struct MlPair
{
	double		value;			/* never NaN */
	double		weight;
} MlPair;

/*
 * Sorts n pairs by value. spare has room for as many; the result is in one of
 * the two arrays, which is returned.
 */
extern MlPair *ml_pairs_sort(MlPair *pair, MlPair *spare, int64 n);

/*
 * The area under the ROC curve of sorted pairs: values are scores, positive
 * rows have their weight, negative rows their weight negated. NaN without rows
 * of both kinds.
 */
extern double ml_pairs_area(const MlPair *pair, int64 n);

#endif							/* ML_PAIRS_H */
