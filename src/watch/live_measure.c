/*
 * live_measure.c
 *		What metrics say of a group of labelled predictions.
 *
 * Metrics are those of training. Of a class the log has the label and its
 * probability only: with several classes a metric is given if it depends on
 * labels alone, which is found out by measuring twice. The threshold of two
 * classes is that of the logged labels.
 *
 * Intervals are those of evaluations (metric/interval.h), but for metrics that
 * need a bootstrap: live groups are large, and there are many.
 */
#include "postgres.h"

#include <math.h>

#include "interrupts.h"
#include "json.h"
#include "metric/interval.h"
#include "metric/measure.h"
#include "registry/registry_catalog.h"
#include "sort.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "watch/live.h"

#define SOFT			0.9		/* of 1, to see whether a metric cares */

/* that of the logged labels: the least probability of those called positive */
static double
threshold_of(const MlLiveState *live)
{
	const MlLiveGroup *group = &live->group;
	double		threshold = 2.0;

	for (int64 i = 0; i < group->labelled; i++)
		if (group->class[i] == live->kind.positive && group->prediction[i] < threshold)
			threshold = group->prediction[i];
	return threshold;
}

/* probabilities of several classes, of which the log has one: certainty for the label, or nearly */
static double *
spread(const MlLiveState *live, double certainty)
{
	const MlLiveGroup *group = &live->group;
	int			n = live->kind.nclasses;
	double	   *result = palloc_extended(sizeof(double) * group->labelled * n, MCXT_ALLOC_HUGE);

	for (int64 i = 0; i < group->labelled; i++)
	{
		ml_check_row(i);
		for (int c = 0; c < n; c++)
			result[i * n + c] = group->class[i] < 0 ? get_float8_nan() :
				c == group->class[i] ? certainty : (1.0 - certainty) / Max(n - 1, 1);
	}
	return result;
}

/* rows in the order of their predictions, none of which is NaN */
static uint32 *
order_of(const MlMeasurement *rows)
{
	MlKeyed    *item = palloc_extended(sizeof(MlKeyed) * Max(rows->n, 1) * 2, MCXT_ALLOC_HUGE);
	uint32	   *order = palloc_extended(sizeof(uint32) * Max(rows->n, 1), MCXT_ALLOC_HUGE);

	for (int64 i = 0; i < rows->n; i++)
	{
		item[i].row = i;
		item[i].key = ml_double_key(rows->prediction[i]);
	}
	ml_sort(item, item + rows->n, rows->n, 64);
	for (int64 i = 0; i < rows->n; i++)
		order[i] = (uint32) item[i].row;
	pfree(item);
	return order;
}

/* rows that metrics count, moved to the front: those that have a prediction */
static void
leave_out(MlMeasurement *rows, int width, double *label, double *prediction, double *soft)
{
	int64		n = 0;

	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		if (isnan(prediction[i * width]))
			continue;
		label[n] = label[i];
		memmove(prediction + n * width, prediction + i * width, sizeof(double) * width);
		if (soft != NULL)
			memmove(soft + n * width, soft + i * width, sizeof(double) * width);
		n++;
	}
	rows->n = n;
}

/* what all metrics of a group share */
typedef struct Measured
{
	MlSample	sample;
	const double *soft;			/* of several classes: predictions that are less sure; else NULL */
} Measured;

static void
begin_group(MlLiveState *live, Measured *measured)
{
	MlLiveGroup *group = &live->group;
	MlMeasurement *rows = &measured->sample.rows;
	bool		classes = live->kind.task == ML_TASK_MULTICLASS;
	double	   *prediction = classes ? spread(live, 1.0) : group->prediction;
	double	   *soft = classes ? spread(live, SOFT) : NULL;

	memset(measured, 0, sizeof(*measured));
	rows->task = live->kind.task;
	rows->n = group->labelled;
	rows->label = group->label;
	rows->prediction = prediction;
	rows->nclasses = live->kind.nclasses;
	rows->threshold = live->kind.task == ML_TASK_BINARY ? threshold_of(live) : 0.5;
	leave_out(rows, classes ? live->kind.nclasses : 1, group->label, prediction, soft);
	measured->soft = soft;
}

static void
measure(Measured *measured, const MlMetric *metric, MlInterval *result)
{
	MlSample   *sample = &measured->sample;
	const MlIntervalRule *rule = ml_interval_rule(metric);
	double	   *value = NULL;

	if (ml_interval_kind(metric, &sample->rows) == ML_INTERVAL_BOOTSTRAP)
	{
		result->value = metric->measure(&sample->rows);
		result->low = result->high = result->error = get_float8_nan();
		return;
	}
	if (rule->kind == ML_INTERVAL_AREA && sample->order == NULL)
		sample->order = order_of(&sample->rows);
	if (rule->row_values != NULL && sample->rows.n > 0)
	{
		value = palloc_extended(sizeof(double) * sample->rows.n, MCXT_ALLOC_HUGE);
		rule->row_values(&sample->rows, value);
	}
	sample->value = value;
	ml_interval(metric, sample, result);
	if (value != NULL)
		pfree(value);
}

/* of several classes: is it a matter of more than the labels? */
static bool
cares(const Measured *measured, const MlMetric *metric, double value)
{
	MlMeasurement rows = measured->sample.rows;

	if (measured->soft == NULL)
		return false;
	rows.prediction = measured->soft;
	return metric->measure(&rows) != value;
}

/* ---- lines ---- */

int
ml_live_compare(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return x < y ? -1 : x > y;
}

double
ml_live_quantile(const double *sorted, int64 n, double share)
{
	if (n == 0)
		return get_float8_nan();
	return sorted[Min((int64) (share * n), n - 1)];
}

static void
add_line(MlLiveState *live, const MlMetric *metric, const MlInterval *interval)
{
	const MlLiveGroup *group = &live->group;
	MemoryContext old = MemoryContextSwitchTo(live->cxt);
	MlLiveLine *line = palloc0(sizeof(MlLiveLine));

	line->group = group->group;
	line->role = pstrdup(group->role);
	line->version = group->version;
	line->slice = pstrdup(group->slice);
	line->metric = metric ? metric->name : NULL;
	line->value = interval->value;
	line->low = interval->low;
	line->high = interval->high;
	line->error = interval->error;
	line->labelled = group->labelled;
	line->predictions = group->predictions;
	line->median = ml_live_quantile(group->delay, group->labelled, 0.5);
	line->p90 = ml_live_quantile(group->delay, group->labelled, 0.9);
	line->agreement = group->several > 0 ? group->agreement / group->several : get_float8_nan();
	live->lines = lappend(live->lines, line);
	MemoryContextSwitchTo(old);
}

static void
measure_all(MlLiveState *live)
{
	Measured	measured;

	begin_group(live, &measured);
	for (int i = 0; ml_metrics[i] != NULL; i++)
	{
		const MlMetric *metric = ml_metrics[i];
		MlInterval	interval;

		if ((metric->tasks & live->kind.task) == 0 || (live->request->primary && metric != live->primary))
			continue;
		CHECK_FOR_INTERRUPTS();
		measure(&measured, metric, &interval);
		if (measured.soft != NULL && (isnan(interval.value) || cares(&measured, metric, interval.value)))
			continue;
		add_line(live, metric, &interval);
	}
}

/* bytes that a row takes while its group is measured: what is sorted twice, an order, values, influences, classes */
static Size
working_memory(const MlLiveState *live)
{
	Size		row = 2 * sizeof(MlKeyed) + sizeof(uint32) + 4 * sizeof(double);

	if (live->kind.task == ML_TASK_MULTICLASS)
		row = ml_size_mul(2 * sizeof(double), live->kind.nclasses) + row;
	return ml_size_mul(row, live->group.labelled);
}

/* one line a metric; one without a value where nothing came true yet */
void
ml_live_measure_group(MlLiveState *live)
{
	MlLiveGroup *group = &live->group;
	Size		bytes = working_memory(live);
	MlInterval	none = {NAN, NAN, NAN, NAN};
	MemoryContext cxt;
	MemoryContext old;

	if (group->labelled == 0)
	{
		add_line(live, live->primary, &none);
		return;
	}
	ml_budget_take(&live->budget, bytes, "measuring labelled predictions");
	cxt = AllocSetContextCreate(live->cxt, "mlops live group", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	/* of no matter to the metrics, to which rows are what the other arrays say */
	qsort(group->delay, group->labelled, sizeof(double), ml_live_compare);
	measure_all(live);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	ml_budget_give(&live->budget, bytes);
}

/* ---- the whole ---- */

static const char *
policy_of(const MlModelRow *row)
{
	JsonbValue	value;

	if (row->settings && ml_json_find(row->settings, "outcome_policy", &value) && value.type == jbvString)
		return ml_json_string(&value);
	return "latest";
}

void
ml_live_measure(const MlLiveRequest *request, MlLive *result)
{
	MlLiveState live = {.request = request};
	MlModelRow *row = ml_registry_model_row(request->model);

	if (row == NULL)
		ml_error_no_model(request->model, ML_SIGHT_NOW);
	ml_outcome_kind(request->model, &live.kind);
	live.primary = row->metric ? ml_metric_find(row->metric) :
		live.kind.task ? ml_metric_default(live.kind.task) : NULL;
	ml_budget_begin(&live.budget);
	live.cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops performance", ALLOCSET_DEFAULT_SIZES);
	ml_live_read(&live, policy_of(row));
	if (live.ndelays > 0)
		qsort(live.delay, live.ndelays, sizeof(double), ml_live_compare);
	result->usual_delay = ml_live_quantile(live.delay, live.ndelays, 0.9);
	result->lines = live.lines;
}

double
ml_live_value(const char *model, int version, TimestampTz from, TimestampTz until, TimestampTz as_of, int64 *n)
{
	MlLiveRequest request = {
		.model = model, .by = ML_LIVE_BY_WINDOW, .from = from, .until = until, .as_of = as_of,
		.width = until - from, .primary = true
	};
	MlLive		live;
	ListCell   *cell;

	*n = 0;
	ml_live_measure(&request, &live);
	foreach(cell, live.lines)
	{
		const MlLiveLine *line = lfirst(cell);

		if (line->version == version && strcmp(line->role, "active") == 0)
		{
			*n = line->labelled;
			return line->value;
		}
	}
	return get_float8_nan();
}
