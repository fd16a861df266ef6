/*
 * list.c
 *		mlops_metrics(): the table of metrics as rows.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "metric/metric.h"
#include "result.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(mlops_metrics);

static Datum
task_names(uint32 tasks)
{
	static const struct
	{
		MlTask		task;
		const char *name;
	}			known[] = {
		{ML_TASK_REGRESSION, "regression"},
		{ML_TASK_BINARY, "binary"},
		{ML_TASK_MULTICLASS, "multiclass"},
		{ML_TASK_CLUSTER, "cluster"},
	};
	Datum		name[lengthof(known)];
	int			n = 0;

	for (int i = 0; i < lengthof(known); i++)
	{
		if (tasks & known[i].task)
			name[n++] = CStringGetTextDatum(known[i].name);
	}
	return PointerGetDatum(construct_array(name, n, TEXTOID, -1, false, TYPALIGN_INT));
}

Datum
mlops_metrics(PG_FUNCTION_ARGS)
{
	MlRows	result;

	ml_rows_begin(fcinfo, &result);
	for (int i = 0; ml_metrics[i] != NULL; i++)
	{
		const MlMetric *metric = ml_metrics[i];
		Datum		values[6];
		bool		nulls[6] = {false};

		ml_rows_text(values, nulls, 0, metric->name);
		values[1] = task_names(metric->tasks);
		values[2] = BoolGetDatum(metric->higher_is_better);
		ml_rows_number(values, nulls, 3, metric->minimum);
		ml_rows_number(values, nulls, 4, metric->maximum);
		ml_rows_text(values, nulls, 5, metric->summary);
		ml_rows_add(&result, values, nulls);
	}
	return (Datum) 0;
}
