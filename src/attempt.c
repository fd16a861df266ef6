/*
 * attempt.c
 *		Something that may fail, where its failure is a result.
 */
#include "postgres.h"

#include "access/xact.h"
#include "attempt.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

static bool
must_go_on(int sqlstate)
{
	return sqlstate == ERRCODE_QUERY_CANCELED || sqlstate == ERRCODE_ADMIN_SHUTDOWN ||
		sqlstate == ERRCODE_CRASH_SHUTDOWN || sqlstate == ERRCODE_DATABASE_DROPPED;
}

ErrorData *
ml_attempt(void (*attempt) (void *arg), void *arg)
{
	MemoryContext cxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(cxt);
	PG_TRY();
	{
		attempt(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	CurrentResourceOwner = owner;
	if (error != NULL && must_go_on(error->sqlerrcode))
		ReThrowError(error);
	return error;
}

/* ---- reading ---- */

typedef struct Reading
{
	const char *text;
	PGFunction	read;
	Datum		result;
} Reading;

static void
read_text(void *arg)
{
	Reading    *reading = arg;

	reading->result = DirectFunctionCall3(reading->read, CStringGetDatum(reading->text),
										  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

Interval *
ml_attempt_interval(const char *text)
{
	Reading		reading = {.text = text, .read = interval_in};

	return ml_attempt(read_text, &reading) == NULL ? DatumGetIntervalP(reading.result) : NULL;
}

bool
ml_attempt_time(const char *text, TimestampTz *moment)
{
	Reading		reading = {.text = text, .read = timestamptz_in};

	if (ml_attempt(read_text, &reading) != NULL)
		return false;
	*moment = DatumGetTimestampTz(reading.result);
	return true;
}

void
ml_attempt_warn(const ErrorData *error, const char *what)
{
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("%s: %s", what, error->message),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 error->hint ? errhint("%s", error->hint) : 0));
}
