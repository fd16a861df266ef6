/*
 * gradient.c
 *		Losses of rows with their derivatives, four rows at a time.
 */
#include <math.h>

#include "num/exp.h"
#include "num/gradient.h"

/* four rows of a block; lanes past the end repeat the last row with weight 0 */
typedef struct Four
{
	MlVec		eta;
	MlVec		y;
	MlVec		weight;
	MlVec		g;
	MlVec		h;
	MlVec		loss;
} Four;

ML_INLINE void
load_four(const MlGradientBlock *b, int i, Four *f)
{
	if (i + ML_LANES <= b->n)
	{
		f->eta = ML_LOAD(b->eta + i);
		f->y = ML_LOAD(b->y + i);
		f->weight = b->weight ? ML_LOAD(b->weight + i) : ML_SPLAT(1.0);
		return;
	}
	for (int l = 0; l < ML_LANES; l++)
	{
		int			from = i + l < b->n ? i + l : b->n - 1;

		f->eta[l] = b->eta[from];
		f->y[l] = b->y[from];
		f->weight[l] = i + l >= b->n ? 0 : b->weight ? b->weight[from] : 1;
	}
}

/* adding 1.5 * 2^52 rounds, and leaves the integer in the low bits */
ML_INLINE MlVecInt
vec_integer(MlVec x)
{
	const MlVec shift = ML_SPLAT(6755399441055744.0);

	return (MlVecInt) (x + shift) - (MlVecInt) shift;
}

ML_INLINE void
store_four(const MlGradientBlock *b, int i, const Four *f)
{
	MlVec		h_units = f->h * ML_SPLAT(b->h_scale);
	MlVecInt	g;
	MlVecInt	h;
	int			m = b->n - i < ML_LANES ? b->n - i : ML_LANES;

	if (b->pair == NULL)
		return;
	g = vec_integer(f->g * ML_SPLAT(b->g_scale));
	h = vec_integer(vec_select(h_units > ML_SPLAT(1.0), h_units, ML_SPLAT(1.0)));
	if (b->count_bits > 0)
		h = (h << b->count_bits) + 1;
	for (int l = 0; l < m; l++)
	{
		b->pair[2 * (i + l)] = g[l];
		b->pair[2 * (i + l) + 1] = h[l];
	}
}

/* exp(x), |x| at most ML_EXP_LARGEST */
ML_INLINE MlVec
vec_exp(MlVec x)
{
	MlVecInt	negative = x < ML_SPLAT(0.0);
	MlVec		a = vec_select(negative, -x, x);
	MlVec		e;

	a = vec_select(a < ML_SPLAT(ML_EXP_LARGEST), a, ML_SPLAT(ML_EXP_LARGEST));
	e = vec_exp_minus(a);
	return vec_select(negative, e, 1.0 / e);
}

ML_INLINE void
squared_four(Four *f)
{
	MlVec		r = f->eta - f->y;

	f->g = f->weight * r;
	f->h = f->weight;
	f->loss += f->weight * r * r;
}

ML_INLINE void
quantile_four(Four *f, double alpha)
{
	MlVec		r = f->y - f->eta;
	MlVec		slope = vec_select(r < ML_SPLAT(0.0), ML_SPLAT(alpha - 1), ML_SPLAT(alpha));

	f->g = -f->weight * slope;
	f->h = f->weight;
	f->loss += f->weight * slope * r;
}

ML_INLINE void
poisson_four(Four *f)
{
	MlVec		mean = vec_exp(f->eta);

	f->g = f->weight * (mean - f->y);
	f->h = f->weight * mean;
	f->loss += f->weight * (mean - f->y * f->eta);
}

ML_INLINE void
logistic_four(Four *f)
{
	MlVecInt	positive = f->eta >= ML_SPLAT(0.0);
	MlVec		a = vec_select(positive, f->eta, -f->eta);
	MlVec		e;
	MlVec		more;
	MlVec		p;

	a = vec_select(a < ML_SPLAT(ML_EXP_LARGEST), a, ML_SPLAT(ML_EXP_LARGEST));
	e = vec_exp_minus(a);
	more = 1.0 / (e + 1.0);
	p = vec_select(positive, more, e * more);
	f->g = f->weight * (p - f->y);
	f->h = f->weight * e * more * more;
	f->loss += f->weight * (vec_log1p(e) + vec_select(positive, f->eta, ML_SPLAT(0.0)) - f->y * f->eta);
}

ML_INLINE void
share_four(Four *f)
{
	f->g = f->weight * (f->eta - f->y);
	f->h = 2.0 * f->weight * f->eta * (1.0 - f->eta);
}

#define GRADIENT(name, four) \
ML_CLONES double \
name(const MlGradientBlock *block) \
{ \
	Four		f; \
	f.loss = ML_SPLAT(0.0); \
	for (int i = 0; i < block->n; i += ML_LANES) \
	{ \
		load_four(block, i, &f); \
		four; \
		store_four(block, i, &f); \
	} \
	return vec_sum(f.loss); \
}

GRADIENT(ml_gradient_squared, squared_four(&f))
GRADIENT(ml_gradient_quantile, quantile_four(&f, block->alpha))
GRADIENT(ml_gradient_poisson, poisson_four(&f))
GRADIENT(ml_gradient_logistic, logistic_four(&f))
GRADIENT(ml_gradient_share, share_four(&f))

ML_INLINE MlVec
load_some(const double *x, int m)
{
	MlVec		v = ML_SPLAT(0.0);

	if (m == ML_LANES)
		return ML_LOAD(x);
	for (int l = 0; l < m; l++)
		v[l] = x[l];
	return v;
}

ML_INLINE void
store_some(double *x, MlVec v, int m)
{
	if (m == ML_LANES)
		ML_STORE(x, v);
	else
		for (int l = 0; l < m; l++)
			x[l] = v[l];
}

ML_CLONES double
ml_gradient_softmax(int n, int nclasses, int64_t stride, const double *eta,
					const double *label, const double *weight, double *share)
{
	double		loss = 0;

	for (int i = 0; i < n; i += ML_LANES)
	{
		int			m = n - i < ML_LANES ? n - i : ML_LANES;
		MlVec		top = load_some(eta + i, m);
		MlVec		total = ML_SPLAT(0.0);

		for (int c = 1; c < nclasses; c++)
		{
			MlVec		v = load_some(eta + c * stride + i, m);

			top = vec_select(v > top, v, top);
		}
		for (int c = 0; c < nclasses; c++)
		{
			MlVec		below = top - load_some(eta + c * stride + i, m);
			MlVec		e = vec_exp_minus(vec_select(below < ML_SPLAT(ML_EXP_LARGEST), below,
													 ML_SPLAT(ML_EXP_LARGEST)));

			total += e;
			store_some(share + c * stride + i, e, m);
		}
		for (int c = 0; c < nclasses; c++)
			store_some(share + c * stride + i, load_some(share + c * stride + i, m) / total, m);
		for (int l = 0; l < m; l++)
			loss -= (weight ? weight[i + l] : 1) *
				(eta[(int64_t) label[i + l] * stride + i + l] - top[l] - log(total[l]));
	}
	return loss;
}

ML_CLONES double
ml_gradient_largest(int n, const double *eta, const double *y)
{
	MlVec		most = ML_SPLAT(0.0);
	double		largest = 0;
	int			i = 0;

	for (; i + ML_LANES <= n; i += ML_LANES)
	{
		MlVec		r = ML_LOAD(y + i) - ML_LOAD(eta + i);

		r = vec_select(r < ML_SPLAT(0.0), -r, r);
		most = vec_select(r > most, r, most);
	}
	for (; i < n; i++)
		largest = fmax(largest, fabs(y[i] - eta[i]));
	for (int l = 0; l < ML_LANES; l++)
		largest = fmax(largest, most[l]);
	return largest;
}
