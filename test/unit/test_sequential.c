/*
 * test_sequential.c
 *		Confidence sequences and always-valid p values against what defines
 *		them: the mixture integrated by Simpson's rule, and the product of what the
 *		mixture predicts of one unit after the other.
 */
#include <stdio.h>

#include "check.h"
#include "metric/sequential.h"

#define ALPHA 0.05

/* rho^2 for 1000 units: Waudby-Smith et al. 2024, sqrt((-2 log a + log(-2 log a + 1)) / t) */
static double
rho_squared(double alpha)
{
	return (-2 * log(alpha) + log(-2 * log(alpha) + 1)) / 1000;
}

/* likelihood of the difference against none, over effects of normal(0, error^2 units rho^2) */
static double
mixture(double difference, double error, double units)
{
	double		deviation = error * sqrt(units * rho_squared(ALPHA));
	int			steps = 200000;
	double		from = -40 * deviation;
	double		h = 80 * deviation / steps;
	double		sum = 0;

	for (int i = 0; i <= steps; i++)
	{
		double		effect = from + i * h;
		double		weight = i == 0 || i == steps ? 1 : i % 2 ? 4 : 2;

		sum += weight * exp(-0.5 * (effect / deviation) * (effect / deviation) +
							(difference * effect - effect * effect / 2) / (error * error));
	}
	return sum * h / 3 / (deviation * sqrt(2 * 3.14159265358979323846));
}

static void
test_difference(void)
{
	const double units[] = {10, 300, 1000, 50000};
	MlSequential got;
	MlSequential edge;
	char		name[80];

	for (int i = 0; i < 4; i++)
	{
		double		error = 0.4 / sqrt(units[i]);

		snprintf(name, sizeof(name), "p value is one over the mixture: %g units", units[i]);
		ml_sequential_difference(3 * error, error, units[i], ALPHA, &got);
		check_close(got.p_value, fmin(1 / mixture(3 * error, error, units[i]), 1), 1e-8, name);

		snprintf(name, sizeof(name), "the sequence ends where p is alpha: %g units", units[i]);
		ml_sequential_difference(0, error, units[i], ALPHA, &edge);
		ml_sequential_difference(edge.high, error, units[i], ALPHA, &got);
		check_close(got.p_value, ALPHA, 1e-12, name);
		check_close(1 / mixture(edge.high, error, units[i]), ALPHA, 1e-8, name);
	}
	ml_sequential_difference(0.25, 0.01, 1000, ALPHA, &got);
	check_close((got.low + got.high) / 2, 0.25, 1e-14, "the difference is in the middle");
	ml_sequential_difference(0.0, 0.01, 1000, ALPHA, &got);
	check(got.p_value == 1, "no difference: p is 1");

	/* 1000 units: u = 7.927, so z = sqrt(2 x 8.927 / 7.927 x log(sqrt(8.927) / 0.05)) = 3.0352 by hand */
	check_close(got.high / 0.01, 3.0352, 1e-4, "width at the number of units that it is narrowest for");

	ml_sequential_difference(0.1, 0.0, 1000, ALPHA, &got);
	check(isnan(got.low) && isnan(got.high) && isnan(got.p_value), "no error known: nothing is said");
	ml_sequential_difference(NAN, 0.1, 1000, ALPHA, &got);
	check(isnan(got.p_value), "no difference known: nothing is said");
	ml_sequential_difference(0.1, 0.1, 0, ALPHA, &got);
	check(isnan(got.p_value), "no units: nothing is said");
}

static void
test_sides(void)
{
	MlSide		one = {0.7, 0.02, 525};	/* a spread of 0.21 each */
	MlSide		other = {0.8, 0.04, 131.25};
	MlSequential got;
	MlSequential want;

	ml_sequential_sides(&one, &other, ALPHA, &got);
	ml_sequential_difference(0.1, sqrt(0.02 * 0.02 + 0.04 * 0.04), 105, ALPHA, &want);
	check_close(got.low, want.low, 1e-12, "two sides: errors add up in squares, 525 and 131.25 units are as uncertain as 105");
	check_close(got.p_value, want.p_value, 1e-12, "two sides: p value");
	other.error = 0;
	ml_sequential_sides(&one, &other, ALPHA, &got);
	ml_sequential_difference(0.1, sqrt(0.02 * 0.02 + 0.21 * 0.8 / 131.25), 105, ALPHA, &want);
	check_close(got.low, want.low, 1e-12, "a side without error has that of both together");
	other.units = 9;
	ml_sequential_sides(&one, &other, ALPHA, &got);
	check(isnan(got.p_value), "nine units are too few");
	other.units = 20;
	other.error = NAN;
	ml_sequential_sides(&one, &other, ALPHA, &got);
	check(isnan(got.p_value), "a side without a known error: nothing is said");
}

/* xorshift: the same numbers everywhere */
static double
draw(void)
{
	static uint64_t state = 88172645463325252;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) * 0x1p-53;
}

/*
 * Shadows and active versions that are right equally often, ten keys a look; disagree: share of the keys on which they
 * are not right together. Shares of the shadows that are called better or worse at any of 500 looks, of 100 keys on,
 * by the sequence and by intervals of one look.
 */
static void
look_at_pairs(double disagree, double *always, double *once)
{
	enum {SHADOWS = 1000};

	*always = *once = 0;
	for (int i = 0; i < SHADOWS; i++)
	{
		double		n = 0;
		double		sum = 0;
		double		squares = 0;
		bool		by_sequence = false;
		bool		by_one = false;

		for (int look = 0; look < 500; look++)
		{
			double		error;
			MlSequential got;

			for (int key = 0; key < 10; key++, n++)
			{
				double		r = draw();
				double		d = r < disagree / 2 ? 1 : r < disagree ? -1 : 0;

				sum += d;
				squares += d * d;
			}
			error = sqrt(squares - sum * sum / n) / n;
			ml_sequential_difference(sum / n, error, n, ALPHA, &got);
			by_sequence |= n >= 100 && (got.low > 0 || got.high < 0);
			by_one |= n >= 100 && fabs(sum / n) > 1.96 * error;
		}
		*always += (double) by_sequence / SHADOWS;
		*once += (double) by_one / SHADOWS;
	}
}

/* differences of pairs, whose error comes from the pairs themselves; docs/shadows.md has the shares */
static void
test_pairs(void)
{
	const double disagree[] = {0.01, 0.05, 0.4};
	char		name[80];

	for (int i = 0; i < 3; i++)
	{
		double		always;
		double		once;

		look_at_pairs(disagree[i], &always, &once);
		snprintf(name, sizeof(name), "no difference, %g %% discordant: seldom found in 500 looks", disagree[i] * 100);
		check(always <= 0.05, name);
		snprintf(name, sizeof(name), "... by intervals of one look often");
		check(once > 0.25, name);
		printf("# %g, %g of one look\n", always, once);
	}
}

/* log of the mixture over share: ones first, each predicted from those before it */
static double
predicted(int ones, int zeros, double share)
{
	double		log_odds = 0;

	for (int i = 0; i < ones; i++)
		log_odds += log((1000 * share + i) / (1000 + i)) - log(share);
	for (int i = 0; i < zeros; i++)
		log_odds += log((1000 * (1 - share) + i) / (1000.0 + ones + i)) - log(1 - share);
	return log_odds;
}

static void
test_share(void)
{
	static const struct
	{
		int			ones;
		int			zeros;
		double		share;
	}			seen[] = {{50, 950, 0.05}, {80, 920, 0.05}, {0, 400, 0.05}, {300, 200, 0.5}, {9000, 91000, 0.1}, {1, 0, 0.01}};
	MlSequential got;
	char		name[80];

	for (int i = 0; i < 6; i++)
	{
		snprintf(name, sizeof(name), "share: %d of %d at %g", seen[i].ones, seen[i].ones + seen[i].zeros, seen[i].share);
		ml_sequential_share(seen[i].ones, seen[i].zeros, seen[i].share, ALPHA, &got);
		check_close(got.p_value, fmin(exp(-predicted(seen[i].ones, seen[i].zeros, seen[i].share)), 1), 1e-9, name);
		check((got.p_value < ALPHA) == (seen[i].share < got.low || seen[i].share > got.high),
			  "the sequence leaves the share out where p is below alpha");
	}
	ml_sequential_share(0, 0, 0.05, ALPHA, &got);
	check(got.p_value == 1 && got.low == 0 && got.high == 1, "no units: anything goes");
	ml_sequential_share(0, 1000000000, 0.05, ALPHA, &got);
	check(got.p_value == 0 && got.low == 0 && got.high < 1e-5, "a thousand million, and none on the one side");
	ml_sequential_share(50000000, 950000000, 0.05, ALPHA, &got);
	check(got.p_value == 1, "as many as were asked for, of a thousand million");
	ml_sequential_share(1, 1, 1.0, ALPHA, &got);
	check(isnan(got.p_value), "a share of 1 cannot be tested");
}

int
main(void)
{
	test_difference();
	test_sides();
	test_pairs();
	test_share();
	return checks_done();
}
