/*
 * performance.c
 *		mlops_performance: how good what was predicted turned out to be, by window;
 *		and by deployment and age of the version, for the SQL functions on top.
 *
 * live.h has the rows, and the intervals.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "judge/hearing.h"
#include "log/log.h"
#include "registry/registry_catalog.h"
#include "result.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/timestamp.h"
#include "watch/live.h"

#define NCOLUMNS		16
#define MAX_WINDOWS		10000

PG_FUNCTION_INFO_V1(mlops_performance);
PG_FUNCTION_INFO_V1(mlops_live_by_deployment);
PG_FUNCTION_INFO_V1(mlops_live_by_age);

static void
put_seconds(Datum *value, bool *isnull, int i, double seconds)
{
	Interval   *interval = palloc0(sizeof(Interval));

	isnull[i] = isnan(seconds);
	interval->time = isnull[i] ? 0 : (TimeOffset) (seconds * USECS_PER_SEC);
	value[i] = IntervalPGetDatum(interval);
}

/* a window is mature when nine in ten of all outcomes would have come */
static void
put_window(const MlLive *live, const MlLiveGroup *group, Datum *value, bool *isnull)
{
	const MlLiveRequest *request = live->request;
	TimestampTz since = request->from + group->number * request->width;
	TimestampTz until = Min(since + request->width, request->until);
	double		usual = ml_live_quantile(live->delay, live->ndelays, 0.9);

	value[0] = TimestampTzGetDatum(since);
	value[1] = TimestampTzGetDatum(until);
	isnull[15] = isnan(usual);
	value[15] = BoolGetDatum(!isnull[15] && until + usual * USECS_PER_SEC <= request->as_of);
}

static void
put_row(const MlLive *live, const MlLiveGroup *group, const char *metric, const MlLiveEstimate *estimate, MlRows *rows)
{
	Datum		value[NCOLUMNS];
	bool		isnull[NCOLUMNS] = {0};

	put_window(live, group, value, isnull);
	ml_rows_text(value, isnull, 2, group->role);
	value[3] = Int32GetDatum(group->version);
	ml_rows_text(value, isnull, 4, group->slice);
	ml_rows_text(value, isnull, 5, metric);
	ml_rows_number(value, isnull, 6, estimate->value);
	ml_rows_number(value, isnull, 7, estimate->low);
	ml_rows_number(value, isnull, 8, estimate->high);
	value[9] = Int64GetDatum(estimate->n);
	value[10] = Int64GetDatum(group->predictions);
	value[11] = Float8GetDatum((double) group->labelled / group->predictions);
	put_seconds(value, isnull, 12, ml_live_quantile(group->delay, group->labelled, 0.5));
	put_seconds(value, isnull, 13, ml_live_quantile(group->delay, group->labelled, 0.9));
	ml_rows_number(value, isnull, 14, group->agreement);
	ml_rows_add(rows, value, isnull);
}

/* without any outcome one row, of the first metric */
static void
put_group(MlLive *live, MlLiveGroup *group, MlRows *rows)
{
	const List *metrics = live->request->metrics;
	MlLiveEstimate estimate = {get_float8_nan(), get_float8_nan(), get_float8_nan()};
	ListCell   *cell;

	if (group->n == 0)
		put_row(live, group, metrics == NIL ? NULL : ml_judge_metric_name(linitial(metrics)), &estimate, rows);
	foreach(cell, group->n == 0 ? NIL : metrics)
	{
		const MlJudgeMetric *metric = lfirst(cell);

		if (ml_live_estimate(live, group, metric, &estimate))
			put_row(live, group, ml_judge_metric_name(metric), &estimate, rows);
	}
	ml_live_forget(live, group);
}

/* ---- arguments ---- */

/* model, period, slices, every, label_delay, metrics, as_of */
static void
take_arguments(FunctionCallInfo fcinfo, MlLiveRequest *request)
{
	int64		period;
	int64		delay;
	int			nslices;

	ml_require_argument(fcinfo, 1, "period");
	ml_require_argument(fcinfo, 4, "label_delay");
	ml_require_argument(fcinfo, 6, "as_of");
	period = ml_watch_interval(PG_GETARG_INTERVAL_P(1));
	delay = ml_watch_interval(PG_GETARG_INTERVAL_P(4));
	request->as_of = PG_GETARG_TIMESTAMPTZ(6);
	ml_watch_require_period(period, delay, request->as_of);
	request->width = PG_ARGISNULL(3) ? period : ml_watch_interval(PG_GETARG_INTERVAL_P(3));
	if (request->width <= 0 || period / request->width >= MAX_WINDOWS)
		ml_watch_refuse_length("every", psprintf("There can be %d windows at most, each longer than nothing.", MAX_WINDOWS));
	request->until = request->as_of - delay;
	request->from = request->until - period;
	(void) ml_argument_texts(fcinfo, 2, "slices", &nslices);
	if (!PG_ARGISNULL(2))
		request->slices = PG_GETARG_DATUM(2);
}

/* what is common to the functions; the privilege is checked */
static void
begin_request(FunctionCallInfo fcinfo, MlLiveRequest *request)
{
	char	   *model;

	ml_require_argument(fcinfo, 0, "model");
	request->model = model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ml_privilege_require(model, ML_PRIVILEGE_READ);
	if (ml_registry_model_row(model) == NULL)
		ml_error_no_model(model, ML_SIGHT_NOW);
}

/* mlops_performance(model, period, slices, every, label_delay, metrics, as_of) */
Datum
mlops_performance(PG_FUNCTION_ARGS)
{
	MlLiveRequest request = {.by = ML_LIVE_BY_WINDOW};
	MlLive	   *live;
	MlRows		rows;
	ListCell   *cell;
	char	  **metric;
	int			nmetrics;

	begin_request(fcinfo, &request);
	take_arguments(fcinfo, &request);
	metric = ml_argument_texts(fcinfo, 5, "metrics", &nmetrics);
	request.metrics = ml_live_metrics(request.model, ml_live_task(request.model), metric, nmetrics, true);
	ml_rows_begin(fcinfo, &rows);
	live = ml_live_read(&request);
	foreach(cell, live->groups)
		put_group(live, lfirst(cell), &rows);
	ml_live_tell_missing(live);
	ml_live_end(live);
	return (Datum) 0;
}

/* ---- by deployment and by age ---- */

#define GROUP_COLUMNS	10

static void
put_number(const MlLiveGroup *group, const char *metric, const MlLiveEstimate *estimate, MlRows *rows)
{
	Datum		value[GROUP_COLUMNS];
	bool		isnull[GROUP_COLUMNS] = {0};

	value[0] = Int32GetDatum(group->number);
	ml_rows_text(value, isnull, 1, group->role);
	value[2] = Int32GetDatum(group->version);
	isnull[2] = group->version == 0;
	ml_rows_text(value, isnull, 3, metric);
	ml_rows_number(value, isnull, 4, estimate->value);
	ml_rows_number(value, isnull, 5, estimate->low);
	ml_rows_number(value, isnull, 6, estimate->high);
	ml_rows_number(value, isnull, 7, estimate->error);
	value[8] = Int64GetDatum(estimate->n);
	value[9] = Int64GetDatum(group->predictions);
	ml_rows_add(rows, value, isnull);
}

/* of the model's own metric */
static void
return_groups(MlLiveRequest *request, MlRows *rows)
{
	MlTask		task = ml_live_task(request->model);
	MlJudgeMetric *metric = task == 0 ? NULL : ml_judge_metric(request->model, task, NULL);
	MlLive	   *live;
	ListCell   *cell;

	request->metrics = metric == NULL ? NIL : list_make1(metric);
	live = ml_live_read(request);
	foreach(cell, live->groups)
	{
		MlLiveGroup *group = lfirst(cell);
		MlLiveEstimate estimate = {get_float8_nan(), get_float8_nan(), get_float8_nan(), get_float8_nan()};

		if (metric == NULL || ml_live_estimate(live, group, metric, &estimate))
			put_number(group, metric == NULL ? NULL : ml_judge_metric_name(metric), &estimate, rows);
		ml_live_forget(live, group);
	}
	ml_live_tell_missing(live);
	ml_live_end(live);
}

static void
take_stretch(FunctionCallInfo fcinfo, int period, int as_of, MlLiveRequest *request)
{
	int64		length;

	ml_require_argument(fcinfo, period, "period");
	ml_require_argument(fcinfo, as_of, "as_of");
	length = ml_watch_interval(PG_GETARG_INTERVAL_P(period));
	request->as_of = request->until = PG_GETARG_TIMESTAMPTZ(as_of);
	ml_watch_require_period(length, 0, request->as_of);
	request->from = request->until - length;
	request->width = length;
}

/* mlops.live_by_deployment(model, period, as_of) */
Datum
mlops_live_by_deployment(PG_FUNCTION_ARGS)
{
	MlLiveRequest request = {.by = ML_LIVE_BY_DEPLOYMENT};
	MlRows		rows;

	begin_request(fcinfo, &request);
	take_stretch(fcinfo, 1, 2, &request);
	ml_rows_begin(fcinfo, &rows);
	return_groups(&request, &rows);
	return (Datum) 0;
}

/* mlops.live_by_age(model, every, period, as_of): each version, then all of them */
Datum
mlops_live_by_age(PG_FUNCTION_ARGS)
{
	MlLiveRequest request = {.by = ML_LIVE_BY_AGE};
	int64		period;
	MlRows		rows;

	begin_request(fcinfo, &request);
	take_stretch(fcinfo, 2, 3, &request);
	ml_require_argument(fcinfo, 1, "every");
	period = request.width;
	request.width = ml_watch_interval(PG_GETARG_INTERVAL_P(1));
	if (request.width <= 0 || period / request.width >= MAX_WINDOWS)
		ml_watch_refuse_length("every", psprintf("There can be %d stretches at most, each longer than nothing.", MAX_WINDOWS));
	ml_rows_begin(fcinfo, &rows);
	return_groups(&request, &rows);
	request.by = ML_LIVE_BY_AGE_POOLED;
	return_groups(&request, &rows);
	return (Datum) 0;
}
