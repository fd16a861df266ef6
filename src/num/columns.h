/*
 * columns.h
 *		Blocks of rows, column by column, for what works on standardised rows of
 *		the design: z[j * ld + i] with ld ml_stride(n). Learners and predictors
 *		include this, since neither library can call the other.
 */
#ifndef ML_NUM_COLUMNS_H
#define ML_NUM_COLUMNS_H

#include <stddef.h>

#include "num/vector.h"

/* room for n rows in whole vectors */
static inline int
ml_padded(int n)
{
	return (n + ML_LANES - 1) / ML_LANES * ML_LANES;
}

/* from column to column: a line of the cache more, so that the same row of all columns fits it */
static inline int
ml_stride(int n)
{
	return ml_padded(n) + 8;
}

/* n values x of a column, standardised; zeros up to ml_padded(n) */
ML_INLINE void
ml_standardise(int n, const double *x, double shift, double scale, double *z)
{
	int			i = 0;

	for (; i + ML_LANES <= n; i += ML_LANES)
		ML_STORE(z + i, (ML_LOAD(x + i) - ML_SPLAT(shift)) * ML_SPLAT(scale));
	for (; i < n; i++)
		z[i] = (x[i] - shift) * scale;
	for (; i % ML_LANES != 0; i++)
		z[i] = 0;
}

/*
 * The mean of a column by weight (NULL: all 1), whose sum is total > 0; and the
 * weighted sum of squares around it.
 */
ML_INLINE double
ml_column_mean(int n, const double *x, const double *weight, double total)
{
	double		base = x[0];	/* far from zero the digits would go */
	MlVec		sum = ML_SPLAT(0.0);
	double		rest = 0;
	int			i = 0;

	for (; i + ML_LANES <= n; i += ML_LANES)
	{
		MlVec		d = ML_LOAD(x + i) - ML_SPLAT(base);

		sum += weight ? ML_LOAD(weight + i) * d : d;
	}
	for (; i < n; i++)
		rest += weight ? weight[i] * (x[i] - base) : x[i] - base;
	return base + (vec_sum(sum) + rest) / total;
}

ML_INLINE double
ml_column_squares(int n, const double *x, const double *weight, double mean)
{
	MlVec		sum = ML_SPLAT(0.0);
	double		rest = 0;
	int			i = 0;

	for (; i + ML_LANES <= n; i += ML_LANES)
	{
		MlVec		d = ML_LOAD(x + i) - ML_SPLAT(mean);

		sum += weight ? ML_LOAD(weight + i) * (d * d) : d * d;
	}
	for (; i < n; i++)
	{
		double		d = x[i] - mean;

		rest += weight ? weight[i] * (d * d) : d * d;
	}
	return vec_sum(sum) + rest;
}

#endif							/* ML_NUM_COLUMNS_H */
