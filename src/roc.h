/*
 * roc.h
 *		The area under the ROC curve of sorted scores.
 */
#ifndef ML_ROC_H
#define ML_ROC_H

#include "postgres.h"

#include "sort.h"

/*
 * Keys are scores (ml_double_key), ascending; positive rows have their weight,
 * negative rows their weight negated. NaN without rows of both kinds.
 */
extern double ml_roc_area(const MlKeyed *row, int64 n);

#endif							/* ML_ROC_H */
