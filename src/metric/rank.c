/*
 * rank.c
 *		Metrics of the order that predictions give to rows.
 */
#include "postgres.h"

#include "budget.h"
#include "metric/measure.h"
#include "metric/walk.h"
#include "roc.h"
#include "utils/memutils.h"

#define ROW_MEMORY	(2 * sizeof(MlKeyed))	/* a row, and its room while it is sorted */

static void
rank_rows(const MlMeasurement *rows, MlShared *ranking)
{
	MlKeyed    *row = MemoryContextAllocHuge(CurrentMemoryContext,
											 ml_size_mul(Max(rows->n, 1), ROW_MEMORY));
	int64		n = 0;

	for (int64 i = 0; i < rows->n; i++)
	{
		double		w = ml_measure_weight(rows, i);

		ml_check_row(i);
		if (isnan(rows->label[i]) || isnan(rows->prediction[i]))
			continue;
		row[n].key = ml_double_key(rows->prediction[i]);
		row[n].weight = rows->label[i] > 0.5 ? w : -w;
		n++;
	}
	ml_sort(row, row + rows->n, n, 64);
	ranking->ranked = row;
	ranking->nranked = n;
}

static MlWalk
walk_down(const MlKeyed *row, int64 n, double share)
{
	MlWalk		walk = {0};
	int64		i = n - 1;

	for (int64 j = 0; j < n; j++)
	{
		ml_check_row(j);
		walk.positives += fmax(row[j].weight, 0.0);
		walk.negatives += fmax(-row[j].weight, 0.0);
	}
	walk.take = share * (walk.positives + walk.negatives);
	while (i >= 0)
	{
		uint64		score = row[i].key;
		double		positive = 0.0;
		double		negative = 0.0;

		for (; i >= 0 && row[i].key == score; i--)
		{
			ml_check_row(i);
			positive += fmax(row[i].weight, 0.0);
			negative += fmax(-row[i].weight, 0.0);
		}
		if (positive + negative > 0.0)
			ml_walk_step(&walk, positive, negative, false);
	}
	return walk;
}

/* rows are sorted once for all metrics that share, and walked down once for those of no share of rows */
static double
measure_roc_auc(const MlMeasurement *rows)
{
	MlShared	own = {0};
	MlShared   *ranking = rows->shared != NULL ? rows->shared : &own;
	double		area;

	if (ranking->ranked == NULL)
		rank_rows(rows, ranking);
	area = ml_roc_area(ranking->ranked, ranking->nranked);
	ml_metric_forget(&own);
	return area;
}

static MlWalk
walk_of(const MlMeasurement *rows, double share)
{
	MlShared	own = {0};
	MlShared   *ranking = rows->shared != NULL ? rows->shared : &own;
	MlWalk		walk;

	if (ranking->walk != NULL && share == 0.0)
		return *ranking->walk;
	if (ranking->ranked == NULL)
		rank_rows(rows, ranking);
	walk = walk_down(ranking->ranked, ranking->nranked, share);
	if (share == 0.0)
	{
		ranking->walk = palloc(sizeof(MlWalk));
		*ranking->walk = walk;
	}
	ml_metric_forget(&own);
	return walk;
}

static double
measure_pr_auc(const MlMeasurement *rows)
{
	MlWalk		walk = walk_of(rows, 0.0);

	return ml_walk_pr_auc(&walk).value;
}

static double
measure_ks(const MlMeasurement *rows)
{
	MlWalk		walk = walk_of(rows, 0.0);

	return ml_walk_ks(&walk).value;
}

static double
measure_gain_10(const MlMeasurement *rows)
{
	MlWalk		walk = walk_of(rows, 0.1);

	return ml_walk_gain(&walk).value;
}

static double
measure_lift_10(const MlMeasurement *rows)
{
	return measure_gain_10(rows) / 0.1;
}

const MlMetric ml_metric_roc_auc = {
	.name = "roc_auc",
	.summary = "chance that a positive row scores higher than a negative one, a tie counting half; 0.5 is a coin's",
	.tasks = ML_TASK_BINARY,
	.higher_is_better = true,
	.minimum = 0.0,
	.maximum = 1.0,
	.row_memory = ROW_MEMORY,
	.measure = measure_roc_auc,
};

const MlMetric ml_metric_pr_auc = {
	.name = "pr_auc",
	.summary = "average precision, the sum over scores of (recall gained at the score) x (precision at it); the share of positive rows is a coin's",
	.tasks = ML_TASK_BINARY,
	.higher_is_better = true,
	.minimum = 0.0,
	.maximum = 1.0,
	.row_memory = ROW_MEMORY,
	.measure = measure_pr_auc,
};

const MlMetric ml_metric_ks = {
	.name = "ks",
	.summary = "largest distance, over scores, of the share of positive rows at or above the score to that of negative rows",
	.tasks = ML_TASK_BINARY,
	.higher_is_better = true,
	.minimum = 0.0,
	.maximum = 1.0,
	.row_memory = ROW_MEMORY,
	.measure = measure_ks,
};

const MlMetric ml_metric_gain_10 = {
	.name = "gain_10",
	.summary = "share of the positive rows that are among the tenth of rows with the highest scores",
	.tasks = ML_TASK_BINARY,
	.higher_is_better = true,
	.minimum = 0.0,
	.maximum = 1.0,
	.row_memory = ROW_MEMORY,
	.on_request = true,
	.measure = measure_gain_10,
};

const MlMetric ml_metric_lift_10 = {
	.name = "lift_10",
	.summary = "gain_10 / 0.1: how many times as many positive rows are among the tenth with the highest scores as among all",
	.tasks = ML_TASK_BINARY,
	.higher_is_better = true,
	.minimum = 0.0,
	.maximum = 10.0,
	.row_memory = ROW_MEMORY,
	.on_request = true,
	.measure = measure_lift_10,
};
