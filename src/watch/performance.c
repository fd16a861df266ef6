/*
 * performance.c
 *		mlops_performance: how good what was predicted turned out to be, by window;
 *		and by deployment and age of the version, for the SQL functions on top.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "registry/registry_catalog.h"
#include "result.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "watch/live.h"
#include "watch/watch.h"

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

static void
put_line(const MlLiveRequest *request, const MlLiveLine *line, double usual_delay, MlRows *rows)
{
	TimestampTz since = request->from + line->group * request->width;
	TimestampTz until = Min(since + request->width, request->until);
	Datum		value[NCOLUMNS];
	bool		isnull[NCOLUMNS] = {0};

	value[0] = TimestampTzGetDatum(since);
	value[1] = TimestampTzGetDatum(until);
	ml_rows_text(value, isnull, 2, line->role);
	value[3] = Int32GetDatum(line->version);
	ml_rows_text(value, isnull, 4, line->slice);
	ml_rows_text(value, isnull, 5, line->metric);
	ml_rows_number(value, isnull, 6, line->value);
	ml_rows_number(value, isnull, 7, line->low);
	ml_rows_number(value, isnull, 8, line->high);
	value[9] = Int64GetDatum(line->labelled);
	value[10] = Int64GetDatum(line->predictions);
	value[11] = Float8GetDatum((double) line->labelled / line->predictions);
	put_seconds(value, isnull, 12, line->median);
	put_seconds(value, isnull, 13, line->p90);
	ml_rows_number(value, isnull, 14, line->agreement);
	isnull[15] = isnan(usual_delay);
	value[15] = BoolGetDatum(!isnull[15] && until + usual_delay * USECS_PER_SEC <= request->as_of);
	ml_rows_add(rows, value, isnull);
}

ml_noreturn static void refuse_length(const char *name, const char *detail);

static void
refuse_length(const char *name, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("argument \"%s\" does not make windows", name),
			 errdetail("%s", detail),
			 errhint("Give a length as in interval '7 days'.")));
}

/* model, period, slices, every, label_delay, as_of */
static void
take_arguments(FunctionCallInfo fcinfo, MlLiveRequest *request)
{
	int64		period;
	int64		delay;

	ml_require_argument(fcinfo, 1, "period");
	ml_require_argument(fcinfo, 4, "label_delay");
	ml_require_argument(fcinfo, 5, "as_of");
	period = ml_watch_interval(PG_GETARG_INTERVAL_P(1));
	delay = ml_watch_interval(PG_GETARG_INTERVAL_P(4));
	request->as_of = PG_GETARG_TIMESTAMPTZ(5);
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
}

/* model, ..., as_of: what is common to the functions; the privilege is checked */
static void
begin_request(FunctionCallInfo fcinfo, MlLiveRequest *request)
{
	char	   *model;

	ml_require_argument(fcinfo, 0, "model");
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ml_privilege_require(model, ML_PRIVILEGE_READ);
	request->model = model;
}

/* mlops_performance(model, period, slices, every, label_delay, as_of) */
Datum
mlops_performance(PG_FUNCTION_ARGS)
{
	MlLiveRequest request = {.by = ML_LIVE_BY_WINDOW};
	MlLive		live;
	MlRows		rows;
	ListCell   *cell;

	begin_request(fcinfo, &request);
	take_arguments(fcinfo, &request);
	if (!PG_ARGISNULL(2))
		request.slices = PG_GETARG_DATUM(2);
	ml_rows_begin(fcinfo, &rows);
	ml_live_measure(&request, &live);
	foreach(cell, live.lines)
		put_line(&request, lfirst(cell), live.usual_delay, &rows);
	return (Datum) 0;
}

/* ---- by deployment and by age ---- */

#define GROUP_COLUMNS	10

static void
put_group(const MlLiveLine *line, MlRows *rows)
{
	Datum		value[GROUP_COLUMNS];
	bool		isnull[GROUP_COLUMNS] = {0};

	value[0] = Int32GetDatum(line->group);
	ml_rows_text(value, isnull, 1, line->role);
	value[2] = Int32GetDatum(line->version);
	isnull[2] = line->version == 0;
	ml_rows_text(value, isnull, 3, line->metric);
	ml_rows_number(value, isnull, 4, line->value);
	ml_rows_number(value, isnull, 5, line->low);
	ml_rows_number(value, isnull, 6, line->high);
	ml_rows_number(value, isnull, 7, line->error);
	value[8] = Int64GetDatum(line->labelled);
	value[9] = Int64GetDatum(line->predictions);
	ml_rows_add(rows, value, isnull);
}

static void
return_groups(FunctionCallInfo fcinfo, const MlLiveRequest *request, MlRows *rows)
{
	MlLive		live;
	ListCell   *cell;

	ml_live_measure(request, &live);
	foreach(cell, live.lines)
		put_group(lfirst(cell), rows);
}

static void
take_stretch(FunctionCallInfo fcinfo, int period, int as_of, MlLiveRequest *request)
{
	int64		length;

	ml_require_argument(fcinfo, period, "period");
	ml_require_argument(fcinfo, as_of, "as_of");
	length = ml_watch_interval(PG_GETARG_INTERVAL_P(period));
	request->as_of = request->until = PG_GETARG_TIMESTAMPTZ(as_of);
	if (length <= 0)
		refuse_length("period", "It is not longer than nothing.");
	if (TIMESTAMP_NOT_FINITE(request->as_of) || request->as_of < MIN_TIMESTAMP / 2)
		refuse_length("as_of", "It is infinite, or too long ago.");
	request->from = request->until - length;
	request->width = length;
}

/* mlops.live_by_deployment(model, period, as_of) */
Datum
mlops_live_by_deployment(PG_FUNCTION_ARGS)
{
	MlLiveRequest request = {.by = ML_LIVE_BY_DEPLOYMENT, .primary = true};
	MlRows		rows;

	begin_request(fcinfo, &request);
	take_stretch(fcinfo, 1, 2, &request);
	ml_rows_begin(fcinfo, &rows);
	return_groups(fcinfo, &request, &rows);
	return (Datum) 0;
}

/* mlops.live_by_age(model, every, period, as_of): each version, then all of them */
Datum
mlops_live_by_age(PG_FUNCTION_ARGS)
{
	MlLiveRequest request = {.by = ML_LIVE_BY_AGE, .primary = true};
	int64		period;
	MlRows		rows;

	begin_request(fcinfo, &request);
	take_stretch(fcinfo, 2, 3, &request);
	ml_require_argument(fcinfo, 1, "every");
	period = request.width;
	request.width = ml_watch_interval(PG_GETARG_INTERVAL_P(1));
	if (request.width <= 0 || period / request.width >= MAX_WINDOWS)
		refuse_length("every", psprintf("There can be %d stretches at most, each longer than nothing.", MAX_WINDOWS));
	ml_rows_begin(fcinfo, &rows);
	return_groups(fcinfo, &request, &rows);
	request.by = ML_LIVE_BY_AGE_POOLED;
	return_groups(fcinfo, &request, &rows);
	return (Datum) 0;
}
