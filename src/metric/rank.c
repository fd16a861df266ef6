/*
 * rank.c
 *		Metrics of the order that predictions give to rows.
 */
#include "postgres.h"

#include "budget.h"
#include "metric/measure.h"
#include "roc.h"
#include "utils/memutils.h"

#define ROW_MEMORY	(2 * sizeof(MlKeyed))	/* a row, and its room while it is sorted */

static double
measure_roc_auc(const MlMeasurement *rows)
{
	MlKeyed	   *row = MemoryContextAllocHuge(CurrentMemoryContext,
											 ml_size_mul(Max(rows->n, 1), ROW_MEMORY));
	int64		n = 0;
	double		area;

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
	area = ml_roc_area(row, n);
	pfree(row);
	return area;
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
	.interval = ML_INTERVAL_AREA,
};
