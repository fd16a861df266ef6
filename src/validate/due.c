/*
 * due.c
 *		Sets that are to be refreshed by the clock.
 *
 * A set that another session has locked is left to it, and whether a set is due
 * is looked at under its lock: two ticks do no work twice, and never wait for
 * one another.
 */
#include "postgres.h"

#include "attempt.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
#include "validate/set.h"
#include "validate/validate.h"

/* names of all sets that roll; most are not due, which their own lock decides */
void
ml_sets_due(TimestampTz as_of, List **models, List **names)
{
	static MlStatement select = {
		"SELECT model, name FROM mlops_catalog.validation_set "
		"WHERE edition OPERATOR(pg_catalog.=) 0 OR (NOT frozen AND as_of OPERATOR(pg_catalog.<) $1 "
		"AND (every IS NULL OR as_of OPERATOR(pg_catalog.+) every OPERATOR(pg_catalog.<=) $1)) "
		"ORDER BY model, name"
	};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext inside;
	MlArguments args = {0};
	MlRegistryScope scope;
	uint64		n;

	ml_bind_time(&args, as_of);
	ml_registry_enter(&scope);
	n = ml_statement_run(&select, &args);
	inside = MemoryContextSwitchTo(caller);
	*models = *names = NIL;
	for (uint64 i = 0; i < n; i++)
	{
		*models = lappend(*models, ml_result_text(i, 1));
		*names = lappend(*names, ml_result_text(i, 2));
	}
	MemoryContextSwitchTo(inside);
	ml_registry_leave(&scope);
}

static bool
is_due(const MlSet *set, TimestampTz as_of)
{
	TimestampTz next;

	if (set->edition == 0)
		return true;
	if (set->frozen || as_of <= set->as_of)
		return false;
	if (set->every == NULL)
		return true;
	next = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(set->as_of),
												   IntervalPGetDatum(set->every)));
	return next <= as_of;
}

bool
ml_set_refresh_if_due(const char *model, const char *name, TimestampTz as_of)
{
	MlSet	   *set = ml_set_open_free(model, name);
	MlChange	change;

	if (set == NULL || !is_due(set, as_of))
		return false;
	ml_refresh(set, as_of, &change);
	ereport(NOTICE,
			(errmsg("edition %d of validation set \"%s\" of model \"%s\": " INT64_FORMAT " rows, " INT64_FORMAT " in, " INT64_FORMAT " out",
					change.edition, set->name, set->model, change.rows, change.rows_in, change.rows_out)));
	return true;
}

void
ml_set_failed(const char *model, const char *name, const ErrorData *error)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.validation_set SET error = $3, error_at = pg_catalog.clock_timestamp() "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND name OPERATOR(pg_catalog.=) $2"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_text(&args, name);
	ml_bind_text(&args, error->message);
	ml_registry_run(&update, &args);
	ml_attempt_warn(error, psprintf("validation set \"%s\" of model \"%s\" was not refreshed", name, model));
}
