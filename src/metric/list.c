/*
 * list.c
 *		mlops_metrics(): the table of metrics as rows; refusing one that does
 *		not suit a task.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
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

static char *
names_of_tasks(uint32 tasks)
{
	StringInfoData names;

	initStringInfo(&names);
	for (uint32 task = 1; task != 0 && task <= tasks; task <<= 1)
		if (tasks & task)
			appendStringInfo(&names, "%s%s", names.len > 0 ? " or " : "", ml_task_name(task));
	return names.data;
}

void
ml_metric_require(const char *model, const char *name, uint32 tasks)
{
	const MlMetric *metric = ml_metric_find(name);
	const char *first = NULL;
	StringInfoData names;

	if (metric == NULL || (metric->tasks & tasks) != 0)
		return;
	initStringInfo(&names);
	for (int i = 0; ml_metrics[i] != NULL; i++)
	{
		if ((ml_metrics[i]->tasks & tasks) == 0)
			continue;
		if (first == NULL)
			first = ml_metrics[i]->name;
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", ml_metrics[i]->name);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("metric \"%s\" of model \"%s\" does not judge predictions of task \"%s\"",
					name, model, names_of_tasks(tasks)),
			 first == NULL ?
			 errdetail("It is for %s. There is no metric for %s.", names_of_tasks(metric->tasks),
					   names_of_tasks(tasks)) :
			 errdetail("It is for %s. The metrics for %s are: %s.", names_of_tasks(metric->tasks),
					   names_of_tasks(tasks), names.data),
			 first == NULL ? 0 :
			 errhint("For example SELECT mlops_set_model('%s', '{\"metric\": \"%s\"}').", model, first)));
}
