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

/* the function of the server that raises what was asked for from outside; workers report it as well */
#define RAISED_BY "ProcessInterrupts"

/* a function in SQL can raise any code, and must not end what goes on without it */
bool
ml_error_is_cancel(const ErrorData *error)
{
	bool		code = error->sqlerrcode == ERRCODE_QUERY_CANCELED || error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN ||
		error->sqlerrcode == ERRCODE_CRASH_SHUTDOWN || error->sqlerrcode == ERRCODE_DATABASE_DROPPED;

	return code && error->funcname != NULL && strcmp(error->funcname, RAISED_BY) == 0;
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
	if (error != NULL && ml_error_is_cancel(error))
		ReThrowError(error);
	return error;
}

void
ml_call_plainly(void (*call) (void *arg), void *arg, const char *context)
{
	ErrorContextCallback *outer = error_context_stack;
	MemoryContext cxt = CurrentMemoryContext;
	ErrorData  *error = NULL;

	/* the caller's own context is added when the error is raised again */
	error_context_stack = NULL;
	PG_TRY();
	{
		call(arg);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	error_context_stack = outer;
	if (error == NULL)
		return;
	error->context = context != NULL ? pstrdup(context) : NULL;
	error->internalquery = NULL;
	error->internalpos = 0;
	ThrowErrorData(error);
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
