/*
 * units.h
 *		What a single row costs, by metric: shared by metrics of rows in memory
 *		and by aggregates.
 *
 * Deviances: McCullagh & Nelder, Generalized Linear Models, 2nd ed., table 2.1.
 * Percentage errors: Hyndman & Koehler 2006, "Another look at measures of
 * forecast accuracy", as shares, not percents. Pinball: Koenker & Bassett 1978,
 * "Regression quantiles".
 */
#ifndef ML_UNITS_H
#define ML_UNITS_H

#include "postgres.h"

#include <math.h>

/* a certain and wrong prediction costs log(1e-15), not infinity */
#define ML_SMALLEST_PROBABILITY	1e-15

static inline double
ml_log_loss(double p)
{
	return -log(fmin(fmax(p, ML_SMALLEST_PROBABILITY), 1.0 - ML_SMALLEST_PROBABILITY));
}

/* NaN where a row is outside of the family's range */
static inline double
ml_poisson_unit(double y, double mu)
{
	if (y == 0)
		return mu >= 0 ? 2 * mu : NAN;
	return y > 0 && mu > 0 ? 2 * (y * log(y / mu) - (y - mu)) : NAN;
}

static inline double
ml_gamma_unit(double y, double mu)
{
	return y > 0 && mu > 0 ? 2 * (log(mu / y) + (y - mu) / mu) : NAN;
}

/* NaN: a share of nothing */
static inline double
ml_percentage_unit(double y, double p)
{
	return y != 0.0 ? fabs((y - p) / y) : NAN;
}

/* no error where both are 0 */
static inline double
ml_symmetric_unit(double y, double p)
{
	double		size = fabs(y) + fabs(p);

	return size > 0.0 ? 2.0 * fabs(y - p) / size : 0.0;
}

static inline double
ml_pinball_unit(double y, double p, double quantile)
{
	return y >= p ? quantile * (y - p) : (1.0 - quantile) * (p - y);
}

/* ---- mean and spread ---- */

/* Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance" */
typedef struct MlMoments
{
	double		weight;
	double		mean;
	double		squares;		/* of the distances to the mean, by weight */
} MlMoments;

static inline void
ml_moments_add(MlMoments *moments, double x, double weight)
{
	double		distance = x - moments->mean;

	moments->weight += weight;
	moments->mean += distance * (weight / moments->weight);
	moments->squares += weight * distance * (x - moments->mean);
}

static inline void
ml_moments_merge(MlMoments *into, const MlMoments *other)
{
	double		weight = into->weight + other->weight;
	double		distance = other->mean - into->mean;

	if (!(other->weight > 0.0))
		return;
	into->mean += distance * (other->weight / weight);
	into->squares += other->squares + distance * distance * (into->weight * other->weight / weight);
	into->weight = weight;
}

/* ---- calibration ---- */

#define ML_BINS	10

/* bin b has the probabilities from b / 10 to below (b + 1) / 10, the last 1 too */
typedef struct MlBins
{
	double		weight[ML_BINS];
	double		probability[ML_BINS];	/* sums, by weight */
	double		outcome[ML_BINS];
} MlBins;

static inline void
ml_bins_add(MlBins *bins, double p, bool outcome, double weight)
{
	int			b = p >= 1.0 ? ML_BINS - 1 : p > 0.0 ? (int) (p * ML_BINS) : 0;

	bins->weight[b] += weight;
	bins->probability[b] += weight * p;
	bins->outcome[b] += outcome ? weight : 0.0;
}

static inline double
ml_bins_error(const MlBins *bins)
{
	double		sum = 0.0;
	double		total = 0.0;

	for (int b = 0; b < ML_BINS; b++)
	{
		sum += fabs(bins->probability[b] - bins->outcome[b]);
		total += bins->weight[b];
	}
	return total > 0.0 ? sum / total : NAN;
}

#endif							/* ML_UNITS_H */
