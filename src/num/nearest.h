/*
 * nearest.h
 *		From the rows of a block to points: squared distances and products, the
 *		same bits whoever computes them.
 *
 * The terms of a row are added in the order of the columns, one after the other,
 * so that a row alone (ml_distance, ml_product) has the same sum.
 */
#ifndef ML_NUM_NEAREST_H
#define ML_NUM_NEAREST_H

#include "num/columns.h"

#define ML_ABREAST 4			/* vectors at a time, so that additions need not wait */

ML_INLINE MlVec
distance_term(MlVec z, double point)
{
	MlVec		d = z - ML_SPLAT(point);

	return d * d;
}

ML_INLINE MlVec
product_term(MlVec z, double point)
{
	return z * ML_SPLAT(point);
}

/* result[i] = sum over the p columns of term(z, point) */
#define ML_SUM_TERMS(term, n, p, z, ld, point, result) \
	do { \
		int			at = 0; \
		for (; at + ML_ABREAST * ML_LANES <= (n); at += ML_ABREAST * ML_LANES) \
		{ \
			MlVec		a = ML_SPLAT(0.0), b = a, c = a, d = a; \
			const double *from = (z) + at; \
			for (int j = 0; j < (p); j++, from += (ld)) \
			{ \
				a += term(ML_LOAD(from), (point)[j]); \
				b += term(ML_LOAD(from + ML_LANES), (point)[j]); \
				c += term(ML_LOAD(from + 2 * ML_LANES), (point)[j]); \
				d += term(ML_LOAD(from + 3 * ML_LANES), (point)[j]); \
			} \
			ML_STORE((result) + at, a); \
			ML_STORE((result) + at + ML_LANES, b); \
			ML_STORE((result) + at + 2 * ML_LANES, c); \
			ML_STORE((result) + at + 3 * ML_LANES, d); \
		} \
		for (; at < (n); at += ML_LANES) \
		{ \
			MlVec		a = ML_SPLAT(0.0); \
			for (int j = 0; j < (p); j++) \
				a += term(ML_LOAD((z) + (size_t) j * (ld) + at), (point)[j]); \
			ML_STORE((result) + at, a); \
		} \
	} while (0)

/* squared distances of the rows of a block to one point of p columns; up to ml_padded(n) */
ML_INLINE void
ml_distances(int n, int p, const double *z, int ld, const double *point, double *distance)
{
	ML_SUM_TERMS(distance_term, n, p, z, ld, point, distance);
}

/* likewise their products with it */
ML_INLINE void
ml_products(int n, int p, const double *z, int ld, const double *point, double *product)
{
	ML_SUM_TERMS(product_term, n, p, z, ld, point, product);
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

static inline double
ml_product(int p, const double *z, const double *point)
{
	double		sum = 0;

	for (int j = 0; j < p; j++)
		sum += z[j] * point[j];
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
