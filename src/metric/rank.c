/*
 * rank.c
 *		Metrics of the order that predictions give to rows.
 */
#include "postgres.h"

#include "budget.h"
#include "metric/measure.h"
#include "roc.h"
#include "utils/memutils.h"

static double
measure_roc_auc(const MlMeasurement *rows)
{
	Size		bytes = ml_size_mul(ml_size_mul(Max(rows->n, 1), 2), sizeof(MlKeyed));
	MlKeyed	   *row = MemoryContextAllocHuge(CurrentMemoryContext, bytes);
	int64		n = 0;
	double		area;

	for (int64 i = 0; i < rows->n; i++)
	{
		double		w = ml_measure_weight(rows, i);

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
	.measure = measure_roc_auc,
};
