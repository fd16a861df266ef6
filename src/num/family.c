/*
 * family.c
 *		Means, scores, information and deviances of the exponential families.
 *
 * McCullagh & Nelder, Generalized Linear Models, 2nd ed., chapter 2: unit
 * deviances from table 2.1. Which link goes with which family, and where a fit
 * starts, is as in R's family objects.
 */
#include <math.h>

#include "num/elementary.h"
#include "num/family.h"
#include "num/logit.h"

#define CHUNK			256
#define HALF_LOG_2PI	0.91893853320467274178
#define SQRT_HALF		0.70710678118654752440
#define FAR				37.0	/* beyond, the normal tail is below 1e-299 */

/* of a few rows; arrays are filled up to a multiple of ML_LANES with valid numbers */
typedef struct Chunk
{
	int			n;
	const double *y;
	const double *weight;		/* or NULL */
	double	   *residual;
	double	   *root;
	double		eta[CHUNK];
	double		mu[CHUNK];
	double		slope[CHUNK];	/* d mu / d eta */
	double		work[CHUNK];
} Chunk;

bool
ml_family_allows(MlFamily family, MlFamilyLink link)
{
	static const unsigned char allowed[] = {
		[ML_FAMILY_GAUSSIAN] = 1 << ML_FAMILY_IDENTITY | 1 << ML_FAMILY_LOG | 1 << ML_FAMILY_INVERSE,
		[ML_FAMILY_POISSON] = 1 << ML_FAMILY_LOG | 1 << ML_FAMILY_IDENTITY | 1 << ML_FAMILY_SQRT,
		[ML_FAMILY_GAMMA] = 1 << ML_FAMILY_INVERSE | 1 << ML_FAMILY_IDENTITY | 1 << ML_FAMILY_LOG,
		[ML_FAMILY_BINOMIAL] = 1 << ML_FAMILY_LOGIT | 1 << ML_FAMILY_PROBIT,
	};

	return (allowed[family] >> link) & 1;
}

MlFamilyLink
ml_family_canonical(MlFamily family)
{
	static const MlFamilyLink canonical[] = {
		[ML_FAMILY_GAUSSIAN] = ML_FAMILY_IDENTITY,
		[ML_FAMILY_POISSON] = ML_FAMILY_LOG,
		[ML_FAMILY_GAMMA] = ML_FAMILY_INVERSE,
		[ML_FAMILY_BINOMIAL] = ML_FAMILY_LOGIT,
	};

	return canonical[family];
}

static inline int
filled(int n)
{
	return (n + ML_LANES - 1) / ML_LANES * ML_LANES;
}

/* x becomes log x, x > 0; elements n .. filled(n) - 1 are overwritten */
ML_INLINE void
log_all(int n, double *x)
{
	for (int i = n; i < filled(n); i++)
		x[i] = 1;
	for (int i = 0; i < n; i += ML_LANES)
		ML_STORE(x + i, vec_log(ML_LOAD(x + i)));
}

/* rows that have no mean count, and get one that does no harm */
ML_INLINE void
require(Chunk *c, int i, bool valid, double eta, MlFamilySums *sums)
{
	if (valid)
		return;
	c->eta[i] = eta;
	sums->invalid++;
}

ML_INLINE void
means(Chunk *c, MlFamily family, MlFamilyLink link, MlFamilySums *sums)
{
	bool		positive = family != ML_FAMILY_GAUSSIAN;	/* the mean must be */

	for (int i = 0; i < c->n; i++)
	{
		double		eta = c->eta[i];

		if (link == ML_FAMILY_LOG)
			require(c, i, fabs(eta) <= ML_EXP_LARGEST, 0, sums);
		else if (link == ML_FAMILY_IDENTITY && !positive)
			require(c, i, isfinite(eta), 1, sums);
		else if (link == ML_FAMILY_INVERSE && !positive)
			require(c, i, isfinite(1 / eta) && isfinite(eta), 1, sums);
		else
			require(c, i, eta > 1e-150 && eta < 1e150, 1, sums);
	}
	for (int i = c->n; i < filled(c->n); i++)
		c->eta[i] = 1;
	if (link == ML_FAMILY_LOG)
		for (int i = 0; i < c->n; i += ML_LANES)
			ML_STORE(c->mu + i, vec_exp(ML_LOAD(c->eta + i)));
	for (int i = 0; i < c->n; i++)
	{
		double		eta = c->eta[i];

		if (link == ML_FAMILY_LOG)
			c->slope[i] = c->mu[i];
		else if (link == ML_FAMILY_SQRT)
		{
			c->mu[i] = eta * eta;
			c->slope[i] = 2 * eta;
		}
		else if (link == ML_FAMILY_INVERSE)
		{
			c->mu[i] = 1 / eta;
			c->slope[i] = -c->mu[i] * c->mu[i];
		}
		else
		{
			c->mu[i] = eta;
			c->slope[i] = 1;
		}
	}
}

ML_INLINE double
weight_of(const Chunk *c, int i)
{
	return c->weight ? c->weight[i] : 1;
}

/* score and information of a row of that variance */
ML_INLINE void
put(Chunk *c, int i, double variance, MlFamilySums *sums)
{
	double		w = weight_of(c, i);
	double		e = c->y[i] - c->mu[i];

	c->residual[i] = w * e * (c->slope[i] / variance);
	c->root[i] = sqrt(w / variance) * fabs(c->slope[i]);
	sums->pearson += w * e * (e / variance);
}

ML_INLINE void
gaussian(Chunk *c, MlFamilySums *sums)
{
	for (int i = 0; i < c->n; i++)
		put(c, i, 1, sums);
	sums->deviance = sums->pearson;
}

ML_INLINE void
poisson(Chunk *c, MlFamilySums *sums)
{
	for (int i = 0; i < c->n; i++)
	{
		put(c, i, c->mu[i], sums);
		c->work[i] = c->y[i] > 0 ? c->y[i] / c->mu[i] : 1;
	}
	log_all(c->n, c->work);
	for (int i = 0; i < c->n; i++)
		sums->deviance += 2 * weight_of(c, i) * (c->y[i] * c->work[i] - (c->y[i] - c->mu[i]));
}

ML_INLINE void
gamma_rows(Chunk *c, MlFamilySums *sums)
{
	double		ratio[CHUNK];

	for (int i = 0; i < c->n; i++)
	{
		put(c, i, c->mu[i] * c->mu[i], sums);
		ratio[i] = c->work[i] = c->y[i] / c->mu[i];
	}
	log_all(c->n, c->work);
	for (int i = 0; i < c->n; i++)
	{
		double		w = weight_of(c, i);

		sums->deviance += 2 * w * (ratio[i] - 1 - c->work[i]);
		sums->ratio += w * ratio[i];
		sums->log_ratio += w * c->work[i];
	}
}

/*
 * Phi(-a) and the density there: hazard is density / Phi(-a), which tends to a
 * as the tail leaves the range of numbers (DLMF 7.12.1).
 */
static void
normal_tail(double a, double *density, double *log_tail, double *hazard)
{
	double		log_density = -a * a / 2 - HALF_LOG_2PI;
	double		tail = 0.5 * erfc(a * SQRT_HALF);

	*density = exp(log_density);
	if (a > FAR)
	{
		*hazard = a + 1 / a - 2 / (a * a * a);
		*log_tail = log_density - log(*hazard);
		return;
	}
	*hazard = *density / tail;
	*log_tail = log(tail);
}

static void
probit(Chunk *c, MlFamilySums *sums)
{
	for (int i = 0; i < c->n; i++)
	{
		double		w = weight_of(c, i);
		double		sign = 2 * c->y[i] - 1;
		double		density;
		double		log_tail;
		double		hazard;
		double		other_log_tail;
		double		other_hazard;

		if (!(fabs(c->eta[i]) < 1e150))
		{
			sums->invalid++;
			c->eta[i] = 0;
		}

		/* the class that is: P = Phi(sign eta); and the other one */
		normal_tail(-sign * c->eta[i], &density, &log_tail, &hazard);
		normal_tail(sign * c->eta[i], &density, &other_log_tail, &other_hazard);
		c->residual[i] = w * sign * hazard;
		c->root[i] = sqrt(w * hazard * other_hazard);
		sums->deviance -= 2 * w * log_tail;
		sums->pearson += w * exp(other_log_tail - log_tail);
	}
}

static void
logit(Chunk *c, MlFamilySums *sums)
{
	MlLogitSums block;

	for (int i = 0; i < c->n; i++)
		require(c, i, fabs(c->eta[i]) < 1e150, 0, sums);
	ml_logit_block(c->n, c->eta, c->y, c->weight, c->residual, c->root, &block);
	sums->deviance = -2 * block.log_likelihood;

	/* (y - mu)^2 / (mu (1 - mu)) is the odds of the other class */
	for (int i = 0; i < c->n; i++)
		c->work[i] = fmin(fmax((1 - 2 * c->y[i]) * c->eta[i], -ML_EXP_LARGEST), ML_EXP_LARGEST);
	for (int i = c->n; i < filled(c->n); i++)
		c->work[i] = 0;
	for (int i = 0; i < c->n; i += ML_LANES)
		ML_STORE(c->work + i, vec_exp(ML_LOAD(c->work + i)));
	for (int i = 0; i < c->n; i++)
		sums->pearson += weight_of(c, i) * c->work[i];
}

static ML_CLONES void
chunk_rows(Chunk *c, MlFamily family, MlFamilyLink link, MlFamilySums *sums)
{
	if (link == ML_FAMILY_LOGIT)
	{
		logit(c, sums);
		return;
	}
	if (link == ML_FAMILY_PROBIT)
	{
		probit(c, sums);
		return;
	}
	means(c, family, link, sums);
	if (family == ML_FAMILY_GAUSSIAN)
		gaussian(c, sums);
	else if (family == ML_FAMILY_POISSON)
		poisson(c, sums);
	else
		gamma_rows(c, sums);
}

void
ml_family_block(MlFamily family, MlFamilyLink link, int n, const double *eta, const double *y,
				const double *weight, double *residual, double *root, MlFamilySums *sums)
{
	static const MlFamilySums none = {0};

	*sums = none;
	for (int first = 0; first < n; first += CHUNK)
	{
		Chunk		c;
		MlFamilySums part = none;

		c.n = n - first < CHUNK ? n - first : CHUNK;
		c.y = y + first;
		c.weight = weight ? weight + first : 0;
		c.residual = residual + first;
		c.root = root + first;
		memcpy(c.eta, eta + first, sizeof(double) * c.n);
		chunk_rows(&c, family, link, &part);
		sums->deviance += part.deviance;
		sums->pearson += part.pearson;
		sums->ratio += part.ratio;
		sums->log_ratio += part.log_ratio;
		sums->invalid += part.invalid;
	}
}

static double
start_mean(MlFamily family, MlFamilyLink link, double y, double mean)
{
	if (family == ML_FAMILY_POISSON)
		return y + 0.1;
	if (family == ML_FAMILY_GAUSSIAN && link != ML_FAMILY_IDENTITY)
		return mean;
	return y;
}

void
ml_family_start(MlFamily family, MlFamilyLink link, int n, const double *y, double mean, double *eta)
{
	for (int i = 0; i < n; i++)
	{
		double		mu = start_mean(family, link, y[i], mean);

		switch (link)
		{
			case ML_FAMILY_IDENTITY:
				eta[i] = mu;
				break;
			case ML_FAMILY_LOG:
				eta[i] = log(mu);
				break;
			case ML_FAMILY_LOGIT:	/* of 3/4 and 1/4 */
				eta[i] = (2 * y[i] - 1) * 1.09861228866810969140;
				break;
			case ML_FAMILY_PROBIT:
				eta[i] = (2 * y[i] - 1) * 0.67448975019608174320;
				break;
			case ML_FAMILY_INVERSE:
				eta[i] = 1 / mu;
				break;
			case ML_FAMILY_SQRT:
				eta[i] = sqrt(mu);
				break;
		}
	}
}
