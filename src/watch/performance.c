/*
 * performance.c
 *		mlops_performance: how good what was predicted turned out to be.
 *
 * One row for each window, role, version, slice and metric; live.h has the rows, and the
 * intervals.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "judge/hearing.h"
#include "registry/registry_catalog.h"
#include "result.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/timestamp.h"
#include "watch/live.h"
#include "watch/watch.h"

#define NCOLUMNS		16
#define MAX_WINDOWS		10000

PG_FUNCTION_INFO_V1(mlops_performance);

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
	TimestampTz since = request->from + group->window * request->width;
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

ml_noreturn static void refuse_length(const char *name, const char *detail);

static void
refuse_length(const char *name, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("argument \"%s\" of mlops_performance does not make windows", name),
			 errdetail("%s", detail),
			 errhint("Give a length as in interval '7 days'.")));
}

/* model, period, slices, every, label_delay, metrics, as_of */
static void
take_arguments(FunctionCallInfo fcinfo, MlLiveRequest *request)
{
	int64		period;
	int64		delay;

	ml_require_argument(fcinfo, 1, "period");
	ml_require_argument(fcinfo, 4, "label_delay");
	ml_require_argument(fcinfo, 6, "as_of");
	period = ml_watch_interval(PG_GETARG_INTERVAL_P(1));
	delay = ml_watch_interval(PG_GETARG_INTERVAL_P(4));
	request->as_of = PG_GETARG_TIMESTAMPTZ(6);
	if (period <= 0)
		refuse_length("period", "It is not longer than nothing.");
	if (delay < 0)
		refuse_length("label_delay", "It is negative.");
	if (TIMESTAMP_NOT_FINITE(request->as_of) || request->as_of < MIN_TIMESTAMP / 2)
		refuse_length("as_of", "It is infinite, or too long ago.");
	request->width = PG_ARGISNULL(3) ? period : ml_watch_interval(PG_GETARG_INTERVAL_P(3));
	if (request->width <= 0 || period / request->width >= MAX_WINDOWS)
		refuse_length("every", psprintf("There can be %d windows at most, each longer than nothing.", MAX_WINDOWS));
	request->until = request->as_of - delay;
	request->from = request->until - period;
	request->slices = PG_ARGISNULL(2) ? PointerGetDatum(construct_empty_array(TEXTOID)) : PG_GETARG_DATUM(2);
}

/* mlops_performance(model, period, slices, every, label_delay, metrics, as_of) */
Datum
mlops_performance(PG_FUNCTION_ARGS)
{
	MlLiveRequest request = {0};
	MlLive	   *live;
	MlRows		rows;
	ListCell   *cell;
	char	   *model;
	char	  **metric;
	int			nmetrics;

	ml_require_argument(fcinfo, 0, "model");
	request.model = model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ml_privilege_require(model, ML_PRIVILEGE_READ);
	take_arguments(fcinfo, &request);
	if (ml_registry_model_row(model) == NULL)
		ml_error_no_model(model, ML_SIGHT_NOW);
	metric = ml_argument_texts(fcinfo, 5, "metrics", &nmetrics);
	request.metrics = ml_live_metrics(model, ml_live_task(model), metric, nmetrics);
	ml_rows_begin(fcinfo, &rows);
	live = ml_live_read(&request);
	foreach(cell, live->groups)
		put_group(live, lfirst(cell), &rows);
	ml_live_tell_missing(live);
	ml_live_end(live);
	return (Datum) 0;
}
