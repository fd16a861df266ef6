/*
 * live_metrics.c
 *		Which metrics are measured of live rows, and which could not be.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "interrupts.h"
#include "metric/custom.h"
#include "metric/interval.h"
#include "miscadmin.h"
#include "registry/gate_row.h"
#include "registry/registry.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "watch/live.h"

int
ml_live_column(const MlLive *live, const char *name)
{
	ListCell   *cell;
	int			place = 0;

	foreach(cell, live->columns)
	{
		if (strcmp(lfirst(cell), name) == 0)
			return place;
		place++;
	}
	return -1;
}

/* ---- which metrics ---- */

MlTask
ml_live_task(const char *model)
{
	MlOutcomeKind kind;

	ml_outcome_kind(model, &kind);
	return kind.task;
}

static List *
add_metric(List *metrics, const char *model, MlTask task, const char *name)
{
	MlJudgeMetric *metric = ml_judge_metric(model, task, name);
	ListCell   *cell;

	foreach(cell, metrics)
	{
		if (strcmp(ml_judge_metric_name(lfirst(cell)), ml_judge_metric_name(metric)) == 0)
			return metrics;
	}
	return lappend(metrics, metric);
}

/* where its author has lost the model, nobody who looks at other metrics is stopped */
static bool
may_run(const char *model, const MlCustomMetric *metric)
{
	Oid			author = get_role_oid(metric->author.role, true);

	return OidIsValid(author) && (author == GetUserId() || ml_privilege_has(model, author, ML_PRIVILEGE_READ));
}

/* a gate may be of a measure of rows, or of a metric that has been dropped: what is no metric of the model is left alone */
static List *
add_metrics_of_gates(List *metrics, const char *model, MlTask task)
{
	ListCell   *cell;

	foreach(cell, ml_registry_gates(model))
	{
		const MlGate *gate = lfirst(cell);
		MlCustomMetric *custom = ml_custom_metric(gate->metric);

		if (custom != NULL && (custom->tasks & task) != 0 && may_run(model, custom))
			metrics = add_metric(metrics, model, task, gate->metric);
	}
	return metrics;
}

List *
ml_live_metrics(const char *model, MlTask task, char **name, int n, bool dear)
{
	List	   *metrics = NIL;

	if (task == 0)
		return NIL;
	for (int i = 0; i < n; i++)
		metrics = add_metric(metrics, model, task, name[i]);
	if (metrics != NIL)
		return metrics;
	metrics = add_metric(metrics, model, task, NULL);
	for (int i = 0; ml_metrics[i] != NULL; i++)
		if ((ml_metrics[i]->tasks & task) != 0 && (dear || ml_interval_rule(ml_metrics[i])->kind != ML_INTERVAL_BOOTSTRAP))
			metrics = add_metric(metrics, model, task, ml_metrics[i]->name);
	return add_metrics_of_gates(metrics, model, task);
}

/* ---- one of them ---- */

void
ml_live_value(const char *model, int version, TimestampTz from, TimestampTz until, TimestampTz as_of,
			  MlLiveEstimate *estimate)
{
	MlJudgeMetric *metric = ml_judge_metric(model, ml_live_task(model), NULL);
	MlLiveRequest request = {.model = model, .from = from, .until = until, .as_of = as_of, .width = until - from,
	.metrics = list_make1(metric)};
	MlLive	   *live = ml_live_read(&request);
	ListCell   *cell;

	*estimate = (MlLiveEstimate) {NAN, NAN, NAN, NAN, 0, 0};
	foreach(cell, live->groups)
	{
		MlLiveGroup *group = lfirst(cell);

		if (group->version == version && strcmp(group->role, "active") == 0)
			(void) ml_live_estimate(live, group, metric, estimate);
	}
	ml_live_end(live);
}

/* ---- what could not be measured ---- */

static bool
is_logged_somewhere(const MlLive *live, const char *column)
{
	int			width = list_length(live->columns);
	int			place = ml_live_column(live, column);
	ListCell   *cell;

	foreach(cell, live->groups)
	{
		const MlLiveGroup *group = lfirst(cell);

		for (int64 i = 0; place >= 0 && i < group->n; i++)
		{
			ml_check_row(i);
			if (group->text[i * width + place] != ml_live_missing)
				return true;
		}
	}
	return place < 0;
}

static bool
has_rows(const MlLive *live)
{
	ListCell   *cell;

	foreach(cell, live->groups)
		if (((MlLiveGroup *) lfirst(cell))->n > 0)
			return true;
	return false;
}

/* is one of the groups a slice by this column: 'plan = ...', 'plan IS NULL'? */
static bool
is_sliced_by(const MlLive *live, const char *column)
{
	ListCell   *cell;

	foreach(cell, live->groups)
	{
		const char *slice = ((MlLiveGroup *) lfirst(cell))->slice;

		if (strncmp(slice, column, strlen(column)) == 0 && slice[strlen(column)] == ' ')
			return true;
	}
	return false;
}

static void
tell_missing_slices(const MlLive *live)
{
	Datum	   *column;
	bool	   *null;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(live->request->slices), TEXTOID, -1, false, TYPALIGN_INT, &column, &null, &n);
	for (int i = 0; i < n; i++)
	{
		if (null[i] || is_sliced_by(live, TextDatumGetCString(column[i])))
			continue;
		ereport(NOTICE,
				(errmsg("no logged input of model \"%s\" has column \"%s\" to slice by", live->kind.model,
						TextDatumGetCString(column[i])),
				 errhint("SELECT mlops_set_model('%s', '{\"log_input\": true}') logs the rows that are predicted from now on.",
						 live->kind.model)));
	}
}

void
ml_live_tell_missing(const MlLive *live)
{
	ListCell   *cell;

	if (live->request->slices != (Datum) 0 && has_rows(live))
		tell_missing_slices(live);
	foreach(cell, has_rows(live) ? live->request->metrics : NIL)
	{
		const MlCustomMetric *metric = ml_judge_metric_registered(lfirst(cell));

		for (int k = 0; metric != NULL && k < metric->ncolumns; k++)
		{
			if (is_logged_somewhere(live, metric->column[k]))
				continue;
			ereport(NOTICE,
					(errmsg("metric \"%s\" of model \"%s\" is left out", metric->name, live->kind.model),
					 errdetail("It takes column \"%s\" of the row, which no logged input of the period has.", metric->column[k]),
					 errhint("SELECT mlops_set_model('%s', '{\"log_input\": true}') logs the rows that are predicted from now on.",
							 live->kind.model)));
			break;
		}
	}
}
