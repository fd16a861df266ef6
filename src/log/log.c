/*
 * log.c
 *		What the log has done since the server started, and writing it out now.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "funcapi.h"
#include "log/log.h"
#include "miscadmin.h"
#include "registry/registry.h"
#include "utils/timestamp.h"

#define NCOLUMNS	(6 + ML_NLOSSES)
#define NAP			5000L		/* microseconds */

PG_FUNCTION_INFO_V1(mlops_require_window);
PG_FUNCTION_INFO_V1(mlops_log);
PG_FUNCTION_INFO_V1(mlops_log_preloaded);
PG_FUNCTION_INFO_V1(mlops_flush_log);

/* mlops_log() */
Datum
mlops_log(PG_FUNCTION_ARGS)
{
	Datum		value[NCOLUMNS] = {0};
	bool		isnull[NCOLUMNS] = {0};
	MlRingCounts counts;
	TupleDesc	desc;
	int			n = 0;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	(void) ml_ring_counts(&counts);
	value[n++] = BoolGetDatum(ml_ring_exists());
	value[n++] = Int64GetDatum(counts.calls);
	value[n++] = Int64GetDatum(counts.written);
	value[n++] = Int64GetDatum(counts.waiting);
	for (int i = 0; i < ML_NLOSSES; i++)
		value[n++] = Int64GetDatum(counts.lost[i]);
	value[n++] = Int64GetDatum(ml_ring_exists() ? ml_ring_homeless() : 0);
	value[n++] = BoolGetDatum(counts.has_worker);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), value, isnull)));
}

int64
ml_watch_interval(const Interval *interval)
{
	const double most = ML_WATCH_LONGEST;
	double		usec = interval->time +
		(interval->day + (double) interval->month * DAYS_PER_MONTH) * USECS_PER_DAY;

	return (int64) Max(Min(usec, most), -most);
}

void
ml_watch_refuse_length(const char *argument, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("argument \"%s\" does not make windows", argument),
			 errdetail("%s", detail),
			 errhint("Give a length as in interval '7 days'.")));
	pg_unreachable();
}

void
ml_watch_require_period(int64 period, int64 delay, TimestampTz as_of)
{
	if (period <= 0)
		ml_watch_refuse_length("period", "It is not longer than nothing.");
	if (delay < 0)
		ml_watch_refuse_length("label_delay", "It is negative.");
	ml_watch_require_moment(as_of);
}

void
ml_watch_require_moment(TimestampTz as_of)
{
	if (TIMESTAMP_NOT_FINITE(as_of) || as_of < MIN_TIMESTAMP / 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"as_of\" is no moment that is looked back from"),
				 errdetail("It is %s; it must be finite, and not thousands of years ago.", timestamptz_to_str(as_of)),
				 errhint("Leave it out for now.")));
}

/* mlops.require_window(period, as_of): 22023 unless they make a window */
Datum
mlops_require_window(PG_FUNCTION_ARGS)
{
	ml_watch_require_period(ml_watch_interval(PG_GETARG_INTERVAL_P(0)), 0, PG_GETARG_TIMESTAMPTZ(1));
	PG_RETURN_VOID();
}

/* mlops.log_preloaded() */
Datum
mlops_log_preloaded(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(ml_ring_exists());
}

/* mlops_flush_log(timeout interval): false when calls still wait */
Datum
mlops_flush_log(PG_FUNCTION_ARGS)
{
	TimestampTz end = GetCurrentTimestamp() + ml_watch_interval(PG_GETARG_INTERVAL_P(0));

	ml_registry_require_writable("wait for the log");
	if (!ml_ring_exists())
		ml_watch_say_not_preloaded("logs");
	while (ml_ring_hurry())
	{
		CHECK_FOR_INTERRUPTS();
		if (GetCurrentTimestamp() >= end)
			PG_RETURN_BOOL(false);
		pg_usleep(NAP);
	}
	PG_RETURN_BOOL(true);
}
