/*
 * logit.c
 *		Probabilities, likelihoods and weights of a block of rows.
 *
 * exp and log1p are written out here rather than called: four rows at a time,
 * and the same bits whatever the C library's version or the processor.
 */
#include <math.h>

#include "num/logit.h"
#include "num/vector.h"

/* exp(-LARGEST) is about the smallest normal double */
#define LARGEST 708.0

/*
 * exp(-a), 0 <= a <= LARGEST: a = k log 2 - r with |r| <= log(2) / 2, and the
 * Taylor series of exp(r), whose remainder after r^13 is below 5e-18.
 */
ML_INLINE MlVec
vec_exp_minus(MlVec a)
{
	static const double coefficient[] = {
		1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880,
		1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1, 1
	};
	const MlVec shift = ML_SPLAT(6755399441055744.0);	/* 1.5 * 2^52: adding it rounds */
	MlVec		shifted = a * ML_SPLAT(1.44269504088896340736) + shift;
	MlVec		k = shifted - shift;
	MlVec		r = k * ML_SPLAT(6.93147180369123816490e-01) - a;
	MlVec		sum = ML_SPLAT(coefficient[0]);
	MlVecInt	exponent;

	r += k * ML_SPLAT(1.90821492927058770002e-10);
	for (int i = 1; i < (int) (sizeof(coefficient) / sizeof(coefficient[0])); i++)
		sum = sum * r + ML_SPLAT(coefficient[i]);

	/* k sits in the low bits of the shifted sum */
	exponent = (MlVecInt) shifted - (MlVecInt) shift;
	return sum * (MlVec) ((1023 - exponent) << 52);
}

/*
 * log(1 + t), 0 <= t <= 1, as 2 artanh(s) with s = t / (2 + t); from sqrt(2) on
 * as log 2 + log((1 + t) / 2), so that |s| <= 0.172 and s^23 is the last term
 * that counts.
 */
ML_INLINE MlVec
vec_log1p(MlVec t)
{
	MlVecInt	big = t > ML_SPLAT(0.41421356237309503);
	MlVec		u = vec_select(big, (t - 1.0) * 0.5, t);
	MlVec		s = u / (u + 2.0);
	MlVec		s2 = s * s;
	MlVec		sum = ML_SPLAT(1.0 / 23);

	for (int i = 21; i >= 1; i -= 2)
		sum = sum * s2 + 1.0 / i;
	return 2.0 * s * sum + vec_select(big, ML_SPLAT(0.69314718055994530942), ML_SPLAT(0.0));
}

/* four rows */
ML_INLINE void
logit_four(MlVec eta, MlVec y, MlVec weight, double *residual, double *root,
		   MlVec *log_likelihood, MlVec *least)
{
	MlVec		sign = y * 2.0 - 1.0;
	MlVec		margin = sign * eta;
	MlVecInt	right = margin >= ML_SPLAT(0.0);
	MlVec		a = vec_select(right, margin, -margin);
	MlVec		e;
	MlVec		one_more;
	MlVec		variance;

	a = vec_select(a < ML_SPLAT(LARGEST), a, ML_SPLAT(LARGEST));
	e = vec_exp_minus(a);
	one_more = e + 1.0;
	variance = weight * e / (one_more * one_more);
	ML_STORE(residual, sign * weight * vec_select(right, e, ML_SPLAT(1.0)) / one_more);
	for (int i = 0; i < ML_LANES; i++)
		root[i] = sqrt(variance[i]);
	*log_likelihood += weight * (vec_select(right, ML_SPLAT(0.0), margin) - vec_log1p(e));
	*least = vec_select(margin < *least, margin, *least);
}

ML_CLONES void
ml_logit_block(int n, const double *eta, const double *y, const double *weight,
			   double *residual, double *root, MlLogitSums *sums)
{
	MlVec		log_likelihood = ML_SPLAT(0.0);
	MlVec		least = ML_SPLAT(INFINITY);
	MlVec		ones = ML_SPLAT(1.0);
	int			i = 0;

	for (; i + ML_LANES <= n; i += ML_LANES)
		logit_four(ML_LOAD(eta + i), ML_LOAD(y + i), weight ? ML_LOAD(weight + i) : ones,
				   residual + i, root + i, &log_likelihood, &least);
	if (i < n)
	{
		/* the last few, with copies of the last row of weight 0 beside them */
		double		part[5][ML_LANES];

		for (int l = 0; l < ML_LANES; l++)
		{
			int			from = i + l < n ? i + l : n - 1;

			part[0][l] = eta[from];
			part[1][l] = y[from];
			part[2][l] = i + l >= n ? 0 : weight ? weight[from] : 1;
		}
		logit_four(ML_LOAD(part[0]), ML_LOAD(part[1]), ML_LOAD(part[2]),
				   part[3], part[4], &log_likelihood, &least);
		for (int l = 0; i + l < n; l++)
		{
			residual[i + l] = part[3][l];
			root[i + l] = part[4][l];
		}
	}
	sums->log_likelihood = vec_sum(log_likelihood);
	sums->least_margin = fmin(fmin(least[0], least[1]), fmin(least[2], least[3]));
}

ML_CLONES void
ml_column_standardise(int n, const double *x, double centre, double factor, double *z)
{
	int			i = 0;

	for (; i + ML_LANES <= n; i += ML_LANES)
		ML_STORE(z + i, (ML_LOAD(x + i) - centre) * factor);
	for (; i < n; i++)
		z[i] = (x[i] - centre) * factor;
}

ML_CLONES void
ml_column_multiply(int n, const double *factor, double *z)
{
	int			i = 0;

	for (; i + ML_LANES <= n; i += ML_LANES)
		ML_STORE(z + i, ML_LOAD(z + i) * ML_LOAD(factor + i));
	for (; i < n; i++)
		z[i] *= factor[i];
}

ML_CLONES void
ml_column_moments(int n, const double *z, const double *weight,
				  double *sum, double *sum_squares)
{
	MlVec		s = ML_SPLAT(0.0);
	MlVec		q = ML_SPLAT(0.0);
	double		rest = 0;
	double		rest_squares = 0;
	int			i = 0;

	for (; i + ML_LANES <= n; i += ML_LANES)
	{
		MlVec		v = ML_LOAD(z + i);
		MlVec		wv = weight ? v * ML_LOAD(weight + i) : v;

		s += wv;
		q += wv * v;
	}
	for (; i < n; i++)
	{
		double		wv = weight ? z[i] * weight[i] : z[i];

		rest += wv;
		rest_squares += wv * z[i];
	}
	*sum = vec_sum(s) + rest;
	*sum_squares = vec_sum(q) + rest_squares;
}
