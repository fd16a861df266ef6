/*
 * rank.c
 *		Metrics of the order that predictions give to rows.
 */
#include "postgres.h"

#include "budget.h"
#include "metric/measure.h"
#include "pairs.h"
#include "utils/memutils.h"

static double
measure_roc_auc(const MlMeasurement *rows)
{
	Size		bytes = ml_size_mul(ml_size_mul(Max(rows->n, 1), 2), sizeof(MlPair));
	MlPair	   *pair = MemoryContextAllocHuge(CurrentMemoryContext, bytes);
	int64		n = 0;
	double		area;

	for (int64 i = 0; i < rows->n; i++)
	{
		double		w = ml_measure_weight(rows, i);

		if (isnan(rows->label[i]) || isnan(rows->prediction[i]))
			continue;
		pair[n].value = rows->prediction[i];
		pair[n].weight = rows->label[i] > 0.5 ? w : -w;
		n++;
	}
	area = ml_pairs_area(ml_pairs_sort(pair, pair + rows->n, n), n);
	pfree(pair);
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
