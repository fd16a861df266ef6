/*
 * custom.c
 *		Registered metrics: finding them, and whom they suit.
 *
 * Running one is in custom_run.c. This file and custom_*.c stand above the
 * registry, which keeps the metrics; the rest of the room does not.
 */
#include "postgres.h"

#include <math.h>

#include <math.h>

#include "errors.h"
#include "metric/custom.h"
#include "miscadmin.h"
#include "recipe/task.h"
#include "registry/metric_row.h"
#include "registry/registry.h"
#include "utils/acl.h"

static MlCustomMetric *
from_row(MlMetricRow *row)
{
	MlCustomMetric *metric = palloc0(sizeof(MlCustomMetric));

	metric->name = row->name;
	metric->aggregate = row->aggregate;
	metric->ncolumns = row->ncolumns;
	metric->column = row->column;
	for (int i = 0; i < row->ntasks; i++)
		metric->tasks |= ml_task_find(row->task[i]);
	metric->higher_is_better = row->higher_is_better;
	metric->minimum = isnan(row->minimum) ? -INFINITY : row->minimum;
	metric->maximum = isnan(row->maximum) ? INFINITY : row->maximum;
	metric->description = row->description;
	for (int i = 0; i < row->ncolumns; i++)
		metric->weighted |= strcmp(row->column[i], ML_CUSTOM_WEIGHT) == 0;
	ml_author_read(&metric->author, row->author, row->settings);
	return metric;
}

MlCustomMetric *
ml_custom_metric(const char *name)
{
	MlMetricRow *row;

	if (name == NULL || ml_metric_find(name) != NULL)
		return NULL;
	row = ml_registry_metric_row(name);
	return row != NULL ? from_row(row) : NULL;
}

List *
ml_custom_metrics(void)
{
	List	   *metrics = NIL;
	ListCell   *cell;

	foreach(cell, ml_registry_metric_rows())
		metrics = lappend(metrics, from_row(lfirst(cell)));
	return metrics;
}

void
ml_custom_offer(MlNearest *nearest, uint32 tasks)
{
	ListCell   *cell;

	foreach(cell, ml_custom_metrics())
	{
		MlCustomMetric *metric = lfirst(cell);

		if (metric->tasks & tasks)
			ml_nearest_offer(nearest, metric->name);
	}
}

void
ml_custom_require(const char *model, const MlCustomMetric *metric, uint32 tasks)
{
	Oid			author = get_role_oid(metric->author.role, true);

	if ((metric->tasks & tasks) == 0)
		ml_metric_refuse_task(model, metric->name, metric->tasks, tasks);
	if (!OidIsValid(author))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\", who registered metric \"%s\", does not exist any more",
						metric->author.role, metric->name),
				 errdetail("A metric runs as who registered it."),
				 errhint("A superuser can register it again with mlops_create_metric().")));
	if (author != GetUserId() && !ml_privilege_has(model, author, ML_PRIVILEGE_READ))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("metric \"%s\" runs as role \"%s\", who may not read model \"%s\"",
						metric->name, metric->author.role, model),
				 errdetail("A metric sees the predictions and labels of the model as who registered it."),
				 errhint("SELECT mlops_grant('%s', '%s', 'read'), or register a metric of your own.",
						 model, metric->author.role)));
}

List *
ml_custom_columns(const MlCustomMetric *metric, List *names)
{
	for (int i = 0; i < metric->ncolumns; i++)
	{
		ListCell   *cell;
		bool		there = strcmp(metric->column[i], ML_CUSTOM_WEIGHT) == 0;

		foreach(cell, names)
			there |= strcmp(lfirst(cell), metric->column[i]) == 0;
		if (!there)
			names = lappend(names, metric->column[i]);
	}
	return names;
}

const MlMetric *
ml_custom_as_metric(const MlCustomMetric *metric)
{
	MlMetric   *result = palloc0(sizeof(MlMetric));

	result->name = metric->name;
	result->summary = metric->description != NULL ? metric->description : metric->aggregate;
	result->tasks = metric->tasks;
	result->higher_is_better = metric->higher_is_better;
	result->minimum = metric->minimum;
	result->maximum = metric->maximum;
	return result;
}

/* the delete-a-group jackknife: Kott 2001, "The delete-a-group jackknife", Journal of Official Statistics 17 */
double
ml_custom_jackknife(const double *one, const double *other)
{
	double		mean = 0.0;
	double		squares = 0.0;
	double		without[ML_CUSTOM_FOLDS];

	for (int g = 0; g < ML_CUSTOM_FOLDS; g++)
	{
		without[g] = one[1 + g] - (other == NULL ? 0.0 : other[1 + g]);
		mean += without[g] / ML_CUSTOM_FOLDS;
	}
	for (int g = 0; g < ML_CUSTOM_FOLDS; g++)
		squares += (without[g] - mean) * (without[g] - mean);
	return isfinite(squares) ? sqrt(squares * (ML_CUSTOM_FOLDS - 1) / ML_CUSTOM_FOLDS) : NAN;
}
