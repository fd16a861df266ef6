/*
 * list.c
 *		mlops_metrics(): the metrics as rows, built-in and registered ones;
 *		refusing one that does not suit a task, or that there is not.
 */
#include "postgres.h"

#include "errors.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "metric/custom.h"
#include "metric/measure.h"
#include "recipe/task.h"
#include "result.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(mlops_metrics);

static void
add_built_in(MlRows *result, const MlMetric *metric)
{
	Datum		values[7];
	bool		nulls[7] = {false};

	ml_rows_text(values, nulls, 0, metric->name);
	values[1] = ml_task_names(metric->tasks);
	values[2] = BoolGetDatum(metric->higher_is_better);
	ml_rows_number(values, nulls, 3, metric->minimum);
	ml_rows_number(values, nulls, 4, metric->maximum);
	ml_rows_text(values, nulls, 5, metric->summary);
	ml_rows_text(values, nulls, 6, NULL);
	ml_rows_add(result, values, nulls);
}

static void
add_registered(MlRows *result, const MlCustomMetric *metric)
{
	Datum		values[7];
	bool		nulls[7] = {false};

	ml_rows_text(values, nulls, 0, metric->name);
	values[1] = ml_task_names(metric->tasks);
	values[2] = BoolGetDatum(metric->higher_is_better);
	ml_rows_number(values, nulls, 3, metric->minimum);
	ml_rows_number(values, nulls, 4, metric->maximum);
	ml_rows_text(values, nulls, 5, metric->description != NULL ? metric->description : metric->aggregate);
	ml_rows_text(values, nulls, 6, metric->author.role);
	ml_rows_add(result, values, nulls);
}

Datum
mlops_metrics(PG_FUNCTION_ARGS)
{
	MlRows		result;
	ListCell   *cell;

	ml_rows_begin(fcinfo, &result);
	for (int i = 0; ml_metrics[i] != NULL; i++)
		add_built_in(&result, ml_metrics[i]);
	foreach(cell, ml_custom_metrics())
		add_registered(&result, lfirst(cell));
	return (Datum) 0;
}

char *
ml_metric_task_names(uint32 tasks)
{
	StringInfoData names;

	initStringInfo(&names);
	for (uint32 task = 1; task != 0 && task <= tasks; task <<= 1)
		if (tasks & task)
			appendStringInfo(&names, "%s%s", names.len > 0 ? " or " : "", ml_task_name(task));
	return names.data;
}

void
ml_metric_refuse_task(const char *model, const char *name, uint32 is_for, uint32 tasks)
{
	const char *first = NULL;
	char	   *wanted = ml_metric_task_names(tasks);
	StringInfoData names;

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
					name, model, wanted),
			 first == NULL ?
			 errdetail("It is for %s. There is no metric for %s.", ml_metric_task_names(is_for), wanted) :
			 errdetail("It is for %s. The metrics for %s are: %s.", ml_metric_task_names(is_for),
					   wanted, names.data),
			 first == NULL ? 0 :
			 errhint("For example SELECT mlops_set_model('%s', '{\"metric\": \"%s\"}').", model, first)));
	pg_unreachable();
}

void
ml_metric_require(const char *model, const char *name, uint32 tasks)
{
	const MlMetric *metric = ml_metric_find(name);
	const MlCustomMetric *custom;

	if (metric != NULL && (metric->tasks & tasks) == 0)
		ml_metric_refuse_task(model, name, metric->tasks, tasks);
	if (metric != NULL)
		return;
	custom = ml_custom_metric(name);
	if (custom != NULL)
		ml_custom_require(model, custom, tasks);
}

bool
ml_metric_exists(const char *name)
{
	return ml_metric_find(name) != NULL || ml_custom_metric(name) != NULL;
}

/* elsewhere the area under the ROC curve is just "auc", which pr_auc is nearer to */
void
ml_metric_offer(MlNearest *nearest, uint32 tasks)
{
	if (strcmp(nearest->name, "auc") == 0 && (ml_metric_roc_auc.tasks & tasks))
	{
		ml_nearest_offer(nearest, ml_metric_roc_auc.name);
		return;
	}
	for (int i = 0; ml_metrics[i] != NULL; i++)
		if (ml_metrics[i]->tasks & tasks)
			ml_nearest_offer(nearest, ml_metrics[i]->name);
	ml_custom_offer(nearest, tasks);
}

void
ml_metric_error_unknown(const char *name, uint32 tasks, const char *detail)
{
	MlNearest	nearest;

	ml_nearest_begin(&nearest, name);
	ml_metric_offer(&nearest, tasks);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("unknown metric \"%s\"", name),
			 detail != NULL ? errdetail_internal("%s", detail) : 0,
			 nearest.best ? errhint("Perhaps you meant \"%s\".", nearest.best) :
			 errhint("SELECT * FROM mlops_metrics() lists them.")));
	pg_unreachable();
}
