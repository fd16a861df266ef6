/*
 * softmax.c
 *		Probabilities and likelihoods of several classes.
 *
 * Everything is about the largest linear predictor of a row, so that no
 * exponential overflows and the largest probability is never lost.
 */
#include <math.h>

#include "num/exp.h"
#include "num/softmax.h"

/* log(x), 1 <= x: of the exponent, and of 1 + fraction */
ML_INLINE MlVec
vec_log_total(MlVec x)
{
	MlVecInt	bits = (MlVecInt) x;
	MlVecInt	fraction = (bits & 0xfffffffffffff) | 0x3ff0000000000000;
	MlVec		k;

	for (int i = 0; i < ML_LANES; i++)
		k[i] = (double) (bits[i] >> 52) - 1023;
	return k * ML_SPLAT(0.69314718055994530942) + vec_log1p((MlVec) fraction - 1.0);
}

/* largest predictor of four rows, and what their own class is ahead of the others by */
ML_INLINE MlVec
look_at_four(int n, int nclasses, const double *eta, MlVec y, MlVec *own)
{
	MlVec		largest = ML_LOAD(eta);

	*own = ML_SPLAT(0.0);
	for (int c = 0; c < nclasses; c++)
	{
		MlVec		e = ML_LOAD(eta + (size_t) c * n);

		largest = vec_select(e > largest, e, largest);
		*own = vec_select(y == ML_SPLAT((double) c), e, *own);
	}
	return largest;
}

ML_INLINE MlVec
margin_of_four(int n, int nclasses, const double *eta, MlVec y, MlVec own)
{
	MlVec		least = ML_SPLAT(INFINITY);

	for (int c = 0; c < nclasses; c++)
	{
		MlVec		margin = own - ML_LOAD(eta + (size_t) c * n);

		margin = vec_select(y == ML_SPLAT((double) c), ML_SPLAT(INFINITY), margin);
		least = vec_select(margin < least, margin, least);
	}
	return least;
}

ML_CLONES void
ml_softmax_block(int n, int nclasses, const double *eta, const double *y,
				 const double *weight, double *residual, double *root,
				 double *work, MlSoftmaxSums *sums)
{
	MlVec		log_likelihood = ML_SPLAT(0.0);
	MlVec		least = ML_SPLAT(INFINITY);

	for (int i = 0; i < n; i += ML_LANES)
	{
		MlVec		yi = ML_LOAD(y + i);
		MlVec		w = ML_LOAD(weight + i);
		MlVec		own;
		MlVec		largest = look_at_four(n, nclasses, eta + i, yi, &own);
		MlVec		margin = margin_of_four(n, nclasses, eta + i, yi, own);
		MlVec		total = ML_SPLAT(0.0);

		for (int c = 0; c < nclasses; c++)
		{
			MlVec		a = largest - ML_LOAD(eta + (size_t) c * n + i);
			MlVec		e;

			a = vec_select(a < ML_SPLAT(ML_EXP_LARGEST), a, ML_SPLAT(ML_EXP_LARGEST));
			e = vec_exp_minus(a);
			total += e;
			ML_STORE(root + (size_t) c * n + i, e);
		}
		ML_STORE(work + i, total);
		log_likelihood += w * (own - largest - vec_log_total(total));
		margin = vec_select(w > ML_SPLAT(0.0), margin, ML_SPLAT(INFINITY));
		least = vec_select(margin < least, margin, least);
	}
	for (int c = 0; c < nclasses; c++)
	{
		double	   *r = residual + (size_t) c * n;
		double	   *q = root + (size_t) c * n;

		for (int i = 0; i < n; i += ML_LANES)
		{
			MlVec		p = ML_LOAD(q + i) / ML_LOAD(work + i);
			MlVec		mine = vec_select(ML_LOAD(y + i) == ML_SPLAT((double) c), ML_SPLAT(1.0), ML_SPLAT(0.0));

			ML_STORE(r + i, ML_LOAD(weight + i) * (mine - p));
			for (int l = 0; l < ML_LANES; l++)
				q[i + l] = sqrt(p[l]);
		}
	}
	sums->log_likelihood = vec_sum(log_likelihood);
	sums->least_margin = fmin(fmin(least[0], least[1]), fmin(least[2], least[3]));
}

ML_CLONES void
ml_column_product(int n, const double *a, const double *b, const double *c, double *product)
{
	int			i = 0;

	for (; i + ML_LANES <= n; i += ML_LANES)
		ML_STORE(product + i, ML_LOAD(a + i) * ML_LOAD(b + i) * ML_LOAD(c + i));
	for (; i < n; i++)
		product[i] = a[i] * b[i] * c[i];
}
