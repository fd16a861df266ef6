/*
 * list.c
 *		mlops_metrics(): the table of metrics as rows.
 */
#include "postgres.h"

#include "fmgr.h"
#include "metric/metric.h"
#include "recipe/task.h"
#include "result.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(mlops_metrics);

Datum
mlops_metrics(PG_FUNCTION_ARGS)
{
	MlRows		result;

	ml_rows_begin(fcinfo, &result);
	for (int i = 0; ml_metrics[i] != NULL; i++)
	{
		const MlMetric *metric = ml_metrics[i];
		Datum		values[6];
		bool		nulls[6] = {false};

		ml_rows_text(values, nulls, 0, metric->name);
		values[1] = ml_task_names(metric->tasks);
		values[2] = BoolGetDatum(metric->higher_is_better);
		ml_rows_number(values, nulls, 3, metric->minimum);
		ml_rows_number(values, nulls, 4, metric->maximum);
		ml_rows_text(values, nulls, 5, metric->summary);
		ml_rows_add(&result, values, nulls);
	}
	return (Datum) 0;
}
