/*
 * clusters.c
 *		Intervals where rows are not independent but clusters of them are.
 *
 * The influences of a cluster's rows are added up before they are squared
 * (Liang & Zeger 1986, "Longitudinal data analysis using generalized linear
 * models", Biometrika 73), with m / (m - 1) for m clusters. A share keeps Wilson's
 * interval, of as many rows as its variance amounts to.
 */
#include "postgres.h"

#include <math.h>

#include "interrupts.h"
#include "metric/interval.h"
#include "metric/measure.h"

static double
clustered_error(const MlMeasurement *rows, const double *influence, const uint32 *cluster, int64 nclusters)
{
	double	   *sum = palloc_extended(sizeof(double) * nclusters, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	MlSum		squares = {0};

	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		sum[cluster[i]] += ml_measure_weight(rows, i) * influence[i];
	}
	for (int64 c = 0; c < nclusters; c++)
	{
		ml_check_row(c);
		ml_sum_add(&squares, sum[c] * sum[c]);
	}
	pfree(sum);
	return nclusters < 2 ? NAN : sqrt(ml_sum_get(&squares) * nclusters / (nclusters - 1));
}

/*
 * Wilson's variance has no factors for small numbers, of rows and of clusters: they are taken out. Where
 * all are the same, no more is known than that so many clusters are.
 */
static void
of_share(const MlSample *sample, double error, int64 nclusters, MlInterval *result)
{
	double		share = result->value;
	double		n = nclusters;
	int64		rows = 0;

	for (int64 i = 0; i < sample->rows.n; i++)
	{
		ml_check_row(i);
		rows += !isnan(sample->value[i]);
	}
	if (error > 0.0 && share > 0.0 && share < 1.0)
		n = share * (1 - share) / (error * error) * rows / (rows - 1) * nclusters / (nclusters - 1);
	ml_wilson(share, n, &result->low, &result->high);
	result->error = (result->high - result->low) / (2 * ML_NORMAL_975);
}

static bool
is_linearised(MlIntervalKind kind)
{
	return kind != ML_INTERVAL_BOOTSTRAP && kind != ML_INTERVAL_NONE;
}

void
ml_interval_clustered(const MlMetric *metric, const MlSample *sample, const uint32 *cluster, int64 nclusters,
					  MlInterval *result)
{
	const MlIntervalRule *rule = ml_interval_rule(metric);
	MlIntervalKind kind = ml_interval_kind(metric, &sample->rows);
	double	   *influence;
	double		error;

	ml_interval(metric, sample, result);
	if (nclusters == sample->rows.n || !is_linearised(kind) || !isfinite(result->value))
		return;
	influence = palloc_extended(sizeof(double) * sample->rows.n, MCXT_ALLOC_HUGE);
	(void) ml_influence(metric, sample, influence);
	error = clustered_error(&sample->rows, influence, cluster, nclusters);
	pfree(influence);

	/* rows that are told apart without error: what is said of such rows holds */
	if (kind == ML_INTERVAL_AREA && error == 0.0)
		return;
	result->low = result->high = result->error = NAN;
	if (isnan(error))
		return;
	result->error = error;
	if (kind == ML_INTERVAL_SHARE && rule->transform == NULL)
		of_share(sample, error, nclusters, result);
	else
		ml_interval_on_scale(metric, result->value, ml_quantile_t(nclusters - 1) * error, result);
}

void
ml_interval_paired_clustered(const MlMetric *metric, const MlSample *first, const MlSample *second,
							 const uint32 *cluster, int64 nclusters, MlPaired *result)
{
	int64		n = first->rows.n;
	double	   *one;
	double	   *two;

	ml_interval_paired(metric, first, second, result);
	if (nclusters == n || !is_linearised(ml_interval_kind(metric, &first->rows)) || !isfinite(result->difference))
		return;
	one = palloc_extended(sizeof(double) * n, MCXT_ALLOC_HUGE);
	two = palloc_extended(sizeof(double) * n, MCXT_ALLOC_HUGE);
	(void) ml_influence(metric, first, one);
	(void) ml_influence(metric, second, two);
	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		one[i] -= two[i];
	}
	result->low = result->high = result->p_value = result->needed = NAN;
	ml_paired_by_error(result, clustered_error(&first->rows, one, cluster, nclusters), Max(nclusters - 1, 1), n);
	pfree(one);
	pfree(two);
}
