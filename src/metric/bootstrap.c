/*
 * bootstrap.c
 *		Intervals of metrics that are not linearised: measured again with
 *		random weights.
 *
 * A row counts Poisson(1) times in a replicate, by a number hashed from (seed, row,
 * replicate): what the multinomial bootstrap becomes for many rows (Hanley & MacGibbon 2006,
 * "Creating non-parametric bootstrap samples using Poisson frequencies",
 * Computer Methods and Programs in Biomedicine 83), and the same numbers wherever a row is
 * stored. The interval is that of the percentiles, with bias and skewness corrected for (BCa: Efron 1987,
 * "Better bootstrap confidence intervals", JASA 82); the acceleration comes
 * from leaving out one group of rows after the other.
 */
#include "postgres.h"

#include <math.h>

#include "frame/hash.h"
#include "interrupts.h"
#include "metric/interval.h"
#include "utils/memutils.h"

#define MOST_REPLICATES		1000
#define LEAST_REPLICATES	200
#define ROWS_DRAWN			20000000	/* in all, for large samples */
#define GROUPS				40			/* of rows, left out one by one */
#define ENOUGH				0.5			/* of the replicates must be defined */

/* P(Poisson(1) <= k) for k = 0, 1, ... in 64 bits: more than 9 is too rare to be met */
static const uint64 poisson[] = {
	UINT64CONST(0x5e2d58d8b3bcdf1a), UINT64CONST(0xbc5ab1b16779be35), UINT64CONST(0xeb715e1dc1582dc2),
	UINT64CONST(0xfb23979734a252f1), UINT64CONST(0xff1025f59174dc3d), UINT64CONST(0xffd90f3ba4055e19),
	UINT64CONST(0xfffa8b71fc72c913), UINT64CONST(0xffff540c0914b3c9), UINT64CONST(0xffffed1f4aa8f120),
};

/* inlined below: half the time of a cheap metric */
static inline int
draw(uint64 random)
{
	int			k = 0;

	for (int i = 0; i < lengthof(poisson); i++)
		k += random >= poisson[i];
	return k;
}

int
ml_bootstrap_draw(uint64 seed, uint64 random)
{
	return draw(ml_hash_mix(random + seed));
}

/* what is measured: one sample, or the difference of two of the same rows */
typedef struct Boot
{
	const MlMetric *metric;
	const MlSample *sample;
	const MlSample *other;		/* or NULL */
	MemoryContext cxt;			/* of one measurement */
	double	   *weight;
} Boot;

static double
measure_one(Boot *boot, const MlSample *sample)
{
	MlMeasurement rows = sample->rows;
	MemoryContext old = MemoryContextSwitchTo(boot->cxt);
	double		value;

	rows.weight = boot->weight;
	value = boot->metric->measure(&rows);
	MemoryContextSwitchTo(old);
	MemoryContextReset(boot->cxt);
	return value;
}

static double
measure(Boot *boot)
{
	double		value = measure_one(boot, boot->sample);

	return boot->other == NULL ? value : value - measure_one(boot, boot->other);
}

static inline double
weight_of(const MlSample *sample, int64 i)
{
	return sample->rows.weight == NULL ? 1.0 : sample->rows.weight[i];
}

/* replicates of which the metric is defined, in order; their number */
static int
replicate(Boot *boot, int replicates, double *value)
{
	const MlSample *sample = boot->sample;
	int			n = 0;

	for (int r = 0; r < replicates; r++)
	{
		uint64		seed = ml_hash_word(sample->seed, r);

		for (int64 i = 0; i < sample->rows.n; i++)
		{
			ml_check_row(i);
			boot->weight[i] = weight_of(sample, i) * draw(ml_hash_mix(sample->random[i] + seed));
		}
		CHECK_FOR_INTERRUPTS();
		value[n] = measure(boot);
		n += isfinite(value[n]);
	}
	return n;
}

/* skewness of the influence of groups of rows, a sixth of it (Efron 1987, section 7) */
static double
acceleration(Boot *boot)
{
	const MlSample *sample = boot->sample;
	double		without[GROUPS];
	double		mean = 0.0;
	double		squares = 0.0;
	double		cubes = 0.0;

	for (int g = 0; g < GROUPS; g++)
	{
		for (int64 i = 0; i < sample->rows.n; i++)
			boot->weight[i] = sample->random[i] % GROUPS == g ? 0.0 : weight_of(sample, i);
		CHECK_FOR_INTERRUPTS();
		without[g] = measure(boot);
		if (!isfinite(without[g]))
			return 0.0;
		mean += without[g] / GROUPS;
	}
	for (int g = 0; g < GROUPS; g++)
	{
		double		d = mean - without[g];

		squares += d * d;
		cubes += d * d * d;
	}
	return squares > 0.0 ? cubes / (6 * pow(squares, 1.5)) : 0.0;
}

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return x < y ? -1 : x > y;
}

/* quantile of the standard normal: Newton's method on the tail, from the centre outwards */
static double
normal_quantile(double p)
{
	double		z = 0.0;

	for (int i = 0; i < 50; i++)
	{
		double		below = 0.5 * erfc(-z / sqrt(2.0));
		double		step = (below - p) * sqrt(2 * M_PI) * exp(z * z / 2);

		step = fmin(fmax(step, -1.0), 1.0);
		z -= step;
		if (fabs(step) < 1e-10)
			break;
	}
	return z;
}

static double
at_share(const double *value, int n, double share)
{
	double		place = fmin(fmax(share * (n + 1) - 1, 0.0), n - 1);
	int			below = (int) place;

	if (below >= n - 1)
		return value[n - 1];
	return value[below] + (place - below) * (value[below + 1] - value[below]);
}

/* ends of the interval in replicates, which are put in order */
static void
corrected_percentiles(Boot *boot, double *value, int n, double estimate, double *low, double *high)
{
	double		below = 0.0;
	double		bias;
	double		speed = acceleration(boot);

	qsort(value, n, sizeof(double), compare_doubles);
	for (int i = 0; i < n; i++)
		below += value[i] < estimate ? 1.0 : value[i] == estimate ? 0.5 : 0.0;
	bias = normal_quantile(fmin(fmax(below / n, 0.5 / n), 1 - 0.5 / n));
	for (int end = 0; end < 2; end++)
	{
		double		z = bias + (end == 0 ? -ML_NORMAL_975 : ML_NORMAL_975);
		double		share = 0.5 * erfc(-(bias + z / (1 - speed * z)) / sqrt(2.0));

		*(end == 0 ? low : high) = at_share(value, n, share);
	}
}

static double
deviation(const double *value, int n)
{
	double		mean = 0.0;
	double		squares = 0.0;

	for (int i = 0; i < n; i++)
		mean += value[i] / n;
	for (int i = 0; i < n; i++)
		squares += (value[i] - mean) * (value[i] - mean);
	return sqrt(squares / (n - 1));
}

static int
replicates_for(int64 rows)
{
	return (int) Max(Min(ROWS_DRAWN / Max(rows, 1), MOST_REPLICATES), LEAST_REPLICATES);
}

/* false: no interval can be given */
static bool
run(Boot *boot, double estimate, double *low, double *high, double *error)
{
	int			replicates = replicates_for(boot->sample->rows.n);
	double	   *value = palloc(sizeof(double) * replicates);
	int			n;

	boot->cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops replicate", ALLOCSET_DEFAULT_SIZES);
	boot->weight = palloc_extended(sizeof(double) * Max(boot->sample->rows.n, 1), MCXT_ALLOC_HUGE);
	n = replicate(boot, replicates, value);
	if (n > ENOUGH * replicates)
	{
		*error = deviation(value, n);
		corrected_percentiles(boot, value, n, estimate, low, high);
	}
	MemoryContextDelete(boot->cxt);
	pfree(boot->weight);
	pfree(value);
	return n > ENOUGH * replicates;
}

void
ml_bootstrap(const MlMetric *metric, const MlSample *sample, MlInterval *result)
{
	Boot		boot = {metric, sample};

	result->value = metric->measure(&sample->rows);
	if (isfinite(result->value) && sample->rows.n > 1)
		(void) run(&boot, result->value, &result->low, &result->high, &result->error);
}

/*
 * The p value is that of the normal with the deviation of the replicates: their number
 * would bound it from below otherwise.
 */
void
ml_bootstrap_paired(const MlMetric *metric, const MlSample *first, const MlSample *second, MlPaired *result)
{
	Boot		boot = {metric, first, second};
	double		low;
	double		high;
	double		error;

	if (!isfinite(result->difference) || first->rows.n < 2 ||
		!run(&boot, result->difference, &low, &high, &error))
		return;
	ml_paired_by_error(result, error, INFINITY, first->rows.n);
	result->low = low;
	result->high = high;
}
