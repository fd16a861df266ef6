/*
 * sequential.c
 *		Tests that may be looked at as often as one likes.
 *
 * A difference: the confidence sequence that Robbins 1970, "Statistical methods
 * related to the law of the iterated logarithm", Annals of Mathematical
 * Statistics 41, makes of a normal mixture, with an estimated
 * variance: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024, "Time-uniform
 * central limit theory and asymptotic confidence sequences", Annals of
 * Statistics 52, theorem 2.2. With z = difference / error and u = units x rho^2 the
 * mixture of likelihood ratios is
 *
 *		exp(z^2 / 2 x u / (1 + u)) / sqrt(1 + u)
 *
 * which exceeds 1 / alpha ever with probability alpha at most (Ville's
 * inequality). Its inverse is the p value of Johari, Pekelis & Walsh 2022,
 * "Always valid inference", Operations Research 70. rho says for how many units
 * the sequence is narrowest, and must not depend on what is seen.
 *
 * A share: Lindon & Malek 2022, "Anytime-valid inference for multinomial count
 * data", NeurIPS 35: the same with a beta mixture around the share that is asked
 * for, exact for any number of units.
 */
#include "metric/sequential.h"

#include <math.h>

#define NARROWEST		1000.0	/* units for which the sequence of a difference is narrowest */
#define CONCENTRATION	1000.0	/* of the mixture of shares: as if so many units had said the one asked for */
#define BISECTIONS		200

/* ---- a difference ---- */

/* that of Waudby-Smith et al., equation 4 of their section on tuning: for a level and a number of units */
static double
rho_squared(double alpha)
{
	double		log_alpha = -2.0 * log(alpha);

	return (log_alpha + log(log_alpha + 1.0)) / NARROWEST;
}

void
ml_sequential_difference(double difference, double error, double units, double alpha, MlSequential *result)
{
	double		u = units * rho_squared(alpha);
	double		z = difference / error;
	double		radius;

	result->low = result->high = result->p_value = NAN;
	if (!isfinite(difference) || !(error > 0.0) || !isfinite(error) || !(units > 0.0))
		return;
	radius = error * sqrt(2.0 * (1.0 + u) / u * (0.5 * log1p(u) - log(alpha)));
	result->low = difference - radius;
	result->high = difference + radius;
	result->p_value = fmin(exp(0.5 * log1p(u) - 0.5 * z * z * u / (1.0 + u)), 1.0);
}

static double
spread_of(const MlSide *side)
{
	return side->error * side->error * side->units;
}

void
ml_sequential_sides(const MlSide *one, const MlSide *other, double alpha, MlSequential *result)
{
	double		n = one->units + other->units;
	double		pooled = (spread_of(one) * one->units + spread_of(other) * other->units) / n;
	double		error;

	result->low = result->high = result->p_value = NAN;
	if (!(one->units >= ML_SEQUENTIAL_LEAST_UNITS && other->units >= ML_SEQUENTIAL_LEAST_UNITS) || isnan(pooled))
		return;
	error = sqrt(fmax(spread_of(one), pooled) / one->units + fmax(spread_of(other), pooled) / other->units);
	ml_sequential_difference(other->value - one->value, error, one->units * other->units / n, alpha, result);
}

/* ---- a share ---- */

/* log of the chance of these units, in their order, under the mixture */
static double
log_mixture(double ones, double zeros, double share)
{
	double		one = CONCENTRATION * share;
	double		zero = CONCENTRATION * (1.0 - share);

	return lgamma(one + ones) - lgamma(one) + lgamma(zero + zeros) - lgamma(zero) -
		(lgamma(CONCENTRATION + ones + zeros) - lgamma(CONCENTRATION));
}

/* and of a share; 0 log 0 is 0 */
static double
log_chance(double ones, double zeros, double share)
{
	return (ones > 0.0 ? ones * log(share) : 0.0) + (zeros > 0.0 ? zeros * log1p(-share) : 0.0);
}

/* the share between inside, which the units allow, and outside, from which on they do not */
static double
end_of(double ones, double zeros, double least, double inside, double outside)
{
	for (int i = 0; i < BISECTIONS; i++)
	{
		double		middle = inside + (outside - inside) / 2;

		if (log_chance(ones, zeros, middle) >= least)
			inside = middle;
		else
			outside = middle;
	}
	return inside;
}

void
ml_sequential_share(int64_t ones, int64_t zeros, double share, double alpha, MlSequential *result)
{
	double		n = (double) ones + (double) zeros;
	double		mixture;
	double		least;
	double		seen;

	result->low = result->high = result->p_value = NAN;
	if (ones < 0 || zeros < 0 || !(share > 0.0 && share < 1.0))
		return;
	mixture = log_mixture(ones, zeros, share);
	result->p_value = fmin(exp(log_chance(ones, zeros, share) - mixture), 1.0);

	/* the chance of the units falls on both sides of the share seen */
	seen = n > 0.0 ? ones / n : share;
	least = mixture + log(alpha);
	result->low = ones > 0 ? end_of(ones, zeros, least, seen, 0.0) : 0.0;
	result->high = zeros > 0 ? end_of(ones, zeros, least, seen, 1.0) : 1.0;
}
