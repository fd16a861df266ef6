/*
 * nearest.h
 *		Squared distances from the rows of a block to points, the same bits
 *		whoever computes them: learners and predictors include this, since
 *		neither library can call the other.
 *
 * z is a block of standardised rows, column by column: z[j * ld + i], with ld
 * ml_padded(n). A distance is the sum over the columns in their order of
 * (z_j - c_j)^2, so that a row alone (ml_distance) has the same.
 */
#ifndef ML_NUM_NEAREST_H
#define ML_NUM_NEAREST_H

#include <stddef.h>

#include "num/vector.h"

/* room for n rows in whole vectors */
static inline int
ml_padded(int n)
{
	return (n + ML_LANES - 1) / ML_LANES * ML_LANES;
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

/* squared distances of the rows of a block to one point of p columns */
ML_INLINE void
ml_distances(int n, int p, const double *z, int ld, const double *point, double *distance)
{
	for (int i = 0; i < n; i += ML_LANES)
	{
		MlVec		sum = ML_SPLAT(0.0);

		for (int j = 0; j < p; j++)
		{
			MlVec		d = ML_LOAD(z + (size_t) j * ld + i) - ML_SPLAT(point[j]);

			sum += d * d;
		}
		ML_STORE(distance + i, sum);
	}
}

/* the same of one row, whose columns lie side by side */
static inline double
ml_distance(int p, const double *z, const double *point)
{
	double		sum = 0;

	for (int j = 0; j < p; j++)
	{
		double		d = z[j] - point[j];

		sum += d * d;
	}
	return sum;
}

/*
 * Takes the distances to point number c into what is known of the points before
 * it: the nearest (the first of equally near ones), its distance, and the
 * distance of the second nearest. Begin with infinities.
 */
ML_INLINE void
ml_take_nearest(int n, const double *distance, double c, double *nearest, double *first, double *second)
{
	for (int i = 0; i < n; i += ML_LANES)
	{
		MlVec		d = ML_LOAD(distance + i);
		MlVec		least = ML_LOAD(first + i);
		MlVec		next = ML_LOAD(second + i);
		MlVecInt	nearer = (MlVecInt) (d < least);
		MlVecInt	between = (MlVecInt) (d < next);

		ML_STORE(second + i, vec_select(nearer, least, vec_select(between, d, next)));
		ML_STORE(first + i, vec_select(nearer, d, least));
		ML_STORE(nearest + i, vec_select(nearer, ML_SPLAT(c), ML_LOAD(nearest + i)));
	}
}

#endif							/* ML_NUM_NEAREST_H */
