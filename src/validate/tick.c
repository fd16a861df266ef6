/*
 * tick.c
 *		CALL mlops_tick(): the sets that are due are refreshed.
 *
 * Each set has a transaction of its own, so that a lock is held for one refresh only and
 * what is done stays done. A set that another tick has locked is left to it, and
 * whether a set is due is looked at under its lock: two ticks do no work twice, and
 * never wait for one another. A set that fails is told and recorded, and the others go on; a cancel
 * ends the tick. Within a transaction block everything happens in the caller's.
 *
 * A role ticks the sets of the models that it may train.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "train/call.h"
#include "train/procedure.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "validate/set.h"
#include "validate/validate.h"

PG_FUNCTION_INFO_V1(mlops_tick);

MlTickEvaluate ml_tick_evaluate = NULL;

typedef struct Tick
{
	TimestampTz as_of;
	Oid			user;			/* who called: SET LOCAL ROLE would end with the first commit */
	List	   *models;			/* of char *: what to look at, and beside it */
	List	   *names;
	const char *model;			/* being looked at */
	const char *name;
} Tick;

/* names of all sets that roll; most are not due, which their own lock decides */
static void
list_sets(Tick *tick)
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

	ml_bind_datum(&args, TIMESTAMPTZOID, TimestampTzGetDatum(tick->as_of), false);
	ml_registry_enter(&scope);
	n = ml_statement_run(&select, &args);
	inside = MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < n; i++)
	{
		tick->models = lappend(tick->models, ml_result_text(i, 1));
		tick->names = lappend(tick->names, ml_result_text(i, 2));
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

static void
refresh_one(void *arg)
{
	Tick	   *tick = arg;
	MlSet	   *set = ml_set_open_free(tick->model, tick->name);
	MlChange	change;

	if (set == NULL || !is_due(set, tick->as_of))
		return;
	ml_refresh(set, tick->as_of, &change);
	ereport(NOTICE,
			(errmsg("edition %d of validation set \"%s\" of model \"%s\": " INT64_FORMAT " rows, " INT64_FORMAT " in, " INT64_FORMAT " out",
					change.edition, set->name, set->model, change.rows, change.rows_in, change.rows_out)));
	if (ml_tick_evaluate != NULL)
	{
		/* one that sees the edition */
		PushActiveSnapshot(GetTransactionSnapshot());
		ml_tick_evaluate(set->model, set->name);
		PopActiveSnapshot();
	}
}

static void
record_error(const Tick *tick, const ErrorData *error)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.validation_set SET error = $3, error_at = pg_catalog.clock_timestamp() "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND name OPERATOR(pg_catalog.=) $2"
	};
	MlArguments args = {0};
	MlRegistryScope scope;

	ml_bind_text(&args, tick->model);
	ml_bind_text(&args, tick->name);
	ml_bind_text(&args, error->message);
	ml_registry_enter(&scope);
	ml_statement_run(&update, &args);
	ml_registry_leave(&scope);
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("validation set \"%s\" of model \"%s\" was not refreshed: %s", tick->name, tick->model, error->message),
			 error->detail ? errdetail("%s", error->detail) : 0,
			 error->hint ? errhint("%s", error->hint) : 0));
}

static void
commit(const Tick *tick, const MlTraining *procedure)
{
	if (procedure->atomic)
		return;
	SPI_commit();
	if (GetUserId() != tick->user)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("the current role changed when the tick committed"),
				 errdetail("SET LOCAL ROLE \"%s\" ended there, and the tick would go on as \"%s\".",
						   GetUserNameFromId(tick->user, true), GetUserNameFromId(GetUserId(), true)),
				 errhint("Use SET ROLE.")));
}

static void
tick_sets(MlTraining *procedure, void *arg)
{
	Tick	   *tick = arg;
	MemoryContext cxt = CurrentMemoryContext;
	MemoryContext one = AllocSetContextCreate(cxt, "mlops tick", ALLOCSET_DEFAULT_SIZES);

	list_sets(tick);
	commit(tick, procedure);
	for (int i = 0; i < list_length(tick->models); i++)
	{
		ErrorData  *error;

		CHECK_FOR_INTERRUPTS();
		tick->model = list_nth(tick->models, i);
		tick->name = list_nth(tick->names, i);
		MemoryContextSwitchTo(one);
		if (ml_privilege_has(tick->model, tick->user, ML_PRIVILEGE_TRAIN))
		{
			error = ml_procedure_attempt(procedure, refresh_one, tick);
			if (error != NULL && (error->sqlerrcode == ERRCODE_QUERY_CANCELED || error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN))
				ReThrowError(error);
			if (error != NULL)
				record_error(tick, error);
		}
		MemoryContextSwitchTo(cxt);
		commit(tick, procedure);
		MemoryContextReset(one);
	}
	MemoryContextDelete(one);
}

/* mlops_tick(as_of) */
Datum
mlops_tick(PG_FUNCTION_ARGS)
{
	bool		atomic = ml_call_is_atomic(fcinfo);
	MlTraining	procedure = {0};
	Tick		tick = {0};

	ml_require_argument(fcinfo, 0, "as_of");
	ml_registry_require_writable("refresh validation sets");
	tick.as_of = PG_GETARG_TIMESTAMPTZ(0);
	tick.user = GetUserId();
	procedure.cxt = AllocSetContextCreate(atomic ? CurrentMemoryContext : PortalContext, "mlops tick",
										  ALLOCSET_DEFAULT_SIZES);
	if (atomic)
	{
		MemoryContext old = MemoryContextSwitchTo(procedure.cxt);

		ml_procedure_run(&procedure, atomic, tick_sets, &tick);
		MemoryContextSwitchTo(old);
	}
	else
		ml_procedure_run(&procedure, atomic, tick_sets, &tick);
	MemoryContextDelete(procedure.cxt);
	PG_RETURN_VOID();
}
