/*
 * logit.c
 *		Probabilities, likelihoods and weights of a block of rows.
 */
#include <math.h>

#include "num/exp.h"
#include "num/logit.h"

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

	a = vec_select(a < ML_SPLAT(ML_EXP_LARGEST), a, ML_SPLAT(ML_EXP_LARGEST));
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
