/*
 * isotonic.h
 *		Least squares under the condition that what is fitted does not descend.
 */
#ifndef ML_NUM_ISOTONIC_H
#define ML_NUM_ISOTONIC_H

#include <stddef.h>

/* rows that share a fitted value; a row to begin with (first = last = x, mean = y) */
typedef struct MlIsotonic
{
	double		first;			/* the smallest x */
	double		last;			/* the largest x */
	double		mean;			/* of y, by weight */
	double		weight;			/* > 0 */
} MlIsotonic;

/*
 * Pools n rows, ascending by x, in place; the number of blocks, ascending in
 * both x and mean. Rows of the same x are always in one block. tick is called
 * every few thousand rows and may jump out; NULL: none.
 */
extern size_t ml_isotonic_fit(MlIsotonic *row, size_t n, void (*tick) (void *arg), void *tick_arg);

#endif							/* ML_NUM_ISOTONIC_H */
