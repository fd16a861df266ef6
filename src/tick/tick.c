/*
 * tick.c
 *		CALL mlops_tick(): what is to be done by the clock.
 *
 * Validation sets that are due are refreshed, and what is in use of their
 * models is evaluated on the new editions; outcomes are pulled from where they
 * arrive; rollouts move on; monitors look at the periods that have ended; models
 * are trained again where their policies say so; old days of the log and old
 * serving statistics go. Each piece has a transaction of its own, so
 * that locks are short and what is done stays done. One that fails is told and,
 * for a set, recorded, and the others go on; a cancel ends the tick. Within a
 * transaction block everything happens in the caller's.
 *
 * A role ticks the models that it may train; days of the log, which is of all
 * models, go when a member of the extension's owner ticks.
 */
#include "postgres.h"

#include "access/xact.h"
#include "attempt.h"
#include "fmgr.h"
#include "judge/judge.h"
#include "log/counts.h"
#include "log/log.h"
#include "miscadmin.h"
#include "monitor/monitor.h"
#include "registry/author.h"
#include "registry/registry_catalog.h"
#include "retrain/retraining.h"
#include "rollout/rollout.h"
#include "settings.h"
#include "train/call.h"
#include "train/procedure.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "validate/validate.h"
#include "watch/outcome.h"

PG_FUNCTION_INFO_V1(mlops_tick);

typedef struct Tick
{
	TimestampTz as_of;
	Oid			user;			/* who called: SET LOCAL ROLE would end with the first commit */
	MemoryContext cxt;			/* of one piece */
	void		(*piece) (void *tick);
	const char *model;			/* being looked at */
	const char *name;
} Tick;

/* ---- pieces ---- */

static void
refresh_set(void *arg)
{
	Tick	   *tick = arg;

	if (!ml_set_refresh_if_due(tick->model, tick->name, tick->as_of))
		return;

	/* a snapshot that sees the edition */
	PushActiveSnapshot(GetTransactionSnapshot());
	ml_judge_again(tick->model, tick->name);
	PopActiveSnapshot();
}

static void
pull_outcomes(void *arg)
{
	Tick	   *tick = arg;
	MlPulled	pulled;

	if (ml_outcomes_pull(tick->model, tick->as_of, false, &pulled) && pulled.added > 0)
		ereport(NOTICE,
				(errmsg(INT64_FORMAT " outcomes of model \"%s\" came in", pulled.added, tick->model)));
}

/* who may not promote cannot have time run ahead, and a version served to more before its time */
static void
advance_rollout(void *arg)
{
	Tick	   *tick = arg;
	bool		promotes = ml_privilege_has(tick->model, tick->user, ML_PRIVILEGE_PROMOTE);

	PushActiveSnapshot(GetTransactionSnapshot());
	ml_rollout_advance(tick->model, promotes ? tick->as_of : ml_monitors_time(tick->as_of));
	PopActiveSnapshot();
}

static void
judge_monitor(void *arg)
{
	Tick	   *tick = arg;

	ml_monitor_judge(tick->model, tick->name, ml_monitors_time(tick->as_of));
}

/* nothing is old yet because a tick says that it is later than it is */
static void
prune_log(void *arg)
{
	Tick	   *tick = arg;

	(void) ml_log_prune(ml_log_retention_days, Min(tick->as_of, GetCurrentTimestamp()), false);
}

static void
prune_statistics(void *arg)
{
	Tick	   *tick = arg;

	ml_counts_prune(ml_statistics_retention_days, Min(tick->as_of, GetCurrentTimestamp()));
}

static void
set_failed(const Tick *tick, const ErrorData *error)
{
	ml_set_failed(tick->model, tick->name, error);
}

static void
monitor_failed(const Tick *tick, const ErrorData *error)
{
	ml_monitor_failed(tick->model, tick->name, error);
}

static void
outcomes_failed(const Tick *tick, const ErrorData *error)
{
	ml_attempt_warn(error, psprintf("outcomes of model \"%s\" were not pulled", tick->model));
}

static void
rollout_failed(const Tick *tick, const ErrorData *error)
{
	ml_attempt_warn(error, psprintf("the rollout of model \"%s\" did not move", tick->model));
}

static void
prune_failed(const Tick *tick, const ErrorData *error)
{
	ml_attempt_warn(error, "old days of the log were not dropped");
}

static void
statistics_failed(const Tick *tick, const ErrorData *error)
{
	ml_attempt_warn(error, "old serving statistics were not deleted");
}

/* ---- one after the other ---- */

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

/* who keeps a lock keeps the tick from one piece, which the next tick tries again, and not from all others */
static void
hurry(void *arg)
{
	Tick	   *tick = arg;
	int			level = ml_author_hurry();

	tick->piece(tick);
	AtEOXact_GUC(false, level);
}

static void
do_piece(MlTraining *procedure, Tick *tick, void (*piece) (void *arg),
		 void (*failed) (const Tick *tick, const ErrorData *error))
{
	MemoryContext cxt = MemoryContextSwitchTo(tick->cxt);
	ErrorData  *error;

	CHECK_FOR_INTERRUPTS();
	tick->piece = piece;
	error = ml_procedure_attempt(procedure, hurry, tick);
	if (error != NULL && ml_error_is_cancel(error))
		ReThrowError(error);
	if (error != NULL)
		failed(tick, error);
	MemoryContextSwitchTo(cxt);
	commit(tick, procedure);
	MemoryContextReset(tick->cxt);
}

/* after outcomes, by which a canary is judged */
static void
do_rollouts(MlTraining *procedure, Tick *tick)
{
	List	   *models = ml_registry_rollout_models();
	ListCell   *model;

	commit(tick, procedure);
	foreach(model, models)
	{
		tick->model = lfirst(model);
		if (ml_privilege_has(tick->model, tick->user, ML_PRIVILEGE_TRAIN) ||
			ml_privilege_has(tick->model, tick->user, ML_PRIVILEGE_PROMOTE))
			do_piece(procedure, tick, advance_rollout, rollout_failed);
	}
}

/* after outcomes, which monitors look at */
static void
do_monitors(MlTraining *procedure, Tick *tick)
{
	List	   *models;
	List	   *names;
	ListCell   *model;
	ListCell   *name;

	ml_monitors_due(ml_monitors_time(tick->as_of), &models, &names);
	commit(tick, procedure);
	forboth(model, models, name, names)
	{
		tick->model = lfirst(model);
		tick->name = lfirst(name);
		if (ml_privilege_has(tick->model, tick->user, ML_PRIVILEGE_TRAIN))
			do_piece(procedure, tick, judge_monitor, monitor_failed);
	}
}

static void
do_pieces(MlTraining *procedure, void *arg)
{
	Tick	   *tick = arg;
	List	   *models;
	List	   *names;
	List	   *sources;
	List	   *retrained;
	ListCell   *model;
	ListCell   *name;

	tick->cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops tick piece", ALLOCSET_DEFAULT_SIZES);
	ml_sets_due(tick->as_of, &models, &names);
	sources = ml_outcomes_models();
	retrained = ml_retrain_models();
	commit(tick, procedure);
	forboth(model, models, name, names)
	{
		tick->model = lfirst(model);
		tick->name = lfirst(name);
		if (ml_privilege_has(tick->model, tick->user, ML_PRIVILEGE_TRAIN))
			do_piece(procedure, tick, refresh_set, set_failed);
	}
	foreach(model, sources)
	{
		tick->model = lfirst(model);
		if (ml_privilege_has(tick->model, tick->user, ML_PRIVILEGE_TRAIN))
			do_piece(procedure, tick, pull_outcomes, outcomes_failed);
	}
	do_rollouts(procedure, tick);
	do_monitors(procedure, tick);
	/* after everything that could be a reason */
	foreach(model, retrained)
	{
		if (ml_privilege_has(lfirst(model), tick->user, ML_PRIVILEGE_TRAIN))
			ml_retrain_work(procedure, lfirst(model), ml_monitors_time(tick->as_of));
	}
	if (ml_log_retention_days > 0 && has_privs_of_role(tick->user, ml_catalog_owner()))
		do_piece(procedure, tick, prune_log, prune_failed);
	if (ml_statistics_retention_days > 0 && has_privs_of_role(tick->user, ml_catalog_owner()))
		do_piece(procedure, tick, prune_statistics, statistics_failed);
	MemoryContextDelete(tick->cxt);
}

/* clocks that a tick sets, of validation sets and policies, would never go on from there */
static TimestampTz
take_time(FunctionCallInfo fcinfo)
{
	TimestampTz as_of;

	ml_require_argument(fcinfo, 0, "as_of");
	as_of = PG_GETARG_TIMESTAMPTZ(0);
	if (TIMESTAMP_NOT_FINITE(as_of))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"as_of\" of mlops_tick is infinite"),
				 errdetail("It is the moment up to which everything is done."),
				 errhint("Leave it out for now.")));
	return as_of;
}

/* periods are judged once: not by what was there long before they ended */
static void
refuse_old_snapshot(bool atomic)
{
	if (!atomic || !IsolationUsesXactSnapshot())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
			 errmsg("mlops_tick cannot run in a transaction block of isolation level %s",
					XactIsoLevel == XACT_SERIALIZABLE ? "SERIALIZABLE" : "REPEATABLE READ"),
			 errdetail("It would see what was there when the transaction began."),
			 errhint("CALL it outside a transaction block, or under READ COMMITTED.")));
}

/* mlops_tick(as_of) */
Datum
mlops_tick(PG_FUNCTION_ARGS)
{
	bool		atomic = ml_call_is_atomic(fcinfo);
	MlTraining	procedure = {0};
	Tick		tick = {0};

	tick.as_of = take_time(fcinfo);
	ml_registry_require_writable("refresh validation sets");
	refuse_old_snapshot(atomic);
	tick.user = GetUserId();
	procedure.cxt = AllocSetContextCreate(atomic ? CurrentMemoryContext : PortalContext, "mlops tick",
										  ALLOCSET_DEFAULT_SIZES);
	if (atomic)
	{
		MemoryContext old = MemoryContextSwitchTo(procedure.cxt);

		ml_procedure_run(&procedure, atomic, do_pieces, &tick);
		MemoryContextSwitchTo(old);
	}
	else
		ml_procedure_run(&procedure, atomic, do_pieces, &tick);
	MemoryContextDelete(procedure.cxt);
	PG_RETURN_VOID();
}
