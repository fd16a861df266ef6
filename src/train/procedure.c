/*
 * procedure.c
 *		How the phases of a training meet transactions.
 *
 * As a procedure at top level: the run row is inserted and committed before
 * anything is read; reading has a transaction of its own; it is committed, and
 * while the model is fitted there is no snapshot, no transaction id and no
 * lock. Progress is committed at most once a second. An error is caught, its
 * transaction rolled back, the run recorded as failed or cancelled, and the
 * error raised again. A backend that dies leaves a run 'running' that the
 * registry shows as lost.
 *
 * In a transaction block or a function all of this happens in the caller's
 * transaction: nothing is seen from outside before it commits.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "attempt.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "registry/author.h"
#include "tcop/pquery.h"
#include "train/procedure.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define REPORT_INTERVAL_MS 1000

/* ---- transactions of the procedure ---- */

/*
 * SET LOCAL ROLE ends with its transaction: what one role was allowed must not
 * go on as another, who may be more powerful.
 */
void
ml_procedure_commit(void)
{
	Oid			user = GetUserId();

	SPI_commit();
	if (GetUserId() != user)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("the current role changed when the training committed"),
				 errdetail("SET LOCAL ROLE \"%s\" ended there, and the training would go on as \"%s\".",
						   GetUserNameFromId(user, true), GetUserNameFromId(GetUserId(), true)),
				 errhint("Use SET ROLE, or mlops_train_now, which does not commit.")));

	/* catalog lookups of the commit must not hold back vacuum from now on */
	InvalidateCatalogSnapshot();
}

void
ml_procedure_report(MlTraining *training, const char *phase, int64 done, int64 total, double objective)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		new_phase = training->reported_phase == NULL ||
		strcmp(training->reported_phase, phase) != 0;

	if (!new_phase && !TimestampDifferenceExceeds(training->reported_at, now, REPORT_INTERVAL_MS))
		return;
	training->reported_at = now;
	training->reported_phase = phase;
	ml_registry_report_run(&training->run, phase, done, total, objective);
	ml_procedure_commit();
}

/*
 * A phase as the role whose training it is; it ends with the transaction at the latest. What a tick
 * trains waits for no lock for long: a table that is kept locked would keep the tick.
 */
static void
as_trainer(MlTraining *training, void (*phase) (MlTraining *training))
{
	Oid			user;
	int			security;
	int			level = training->by != NULL ? ml_author_hurry() : 0;

	GetUserIdAndSecContext(&user, &security);
	ml_training_become_trainer(training);
	phase(training);
	SetUserIdAndSecContext(user, security);
	if (level > 0)
		AtEOXact_GUC(false, level);
}

static void
start_run(MlTraining *training)
{
	MemoryContext old = MemoryContextSwitchTo(training->cxt);

	ml_registry_start_run(&training->run, training->model, training->spec.algorithm,
						  ml_spec_write(&training->spec));
	training->has_run = true;
	MemoryContextSwitchTo(old);
}

/*
 * Leaves whatever the error happened in: the SPI connections of others, which
 * are all atomic, down to ours; all snapshots; and the transaction. A portal has
 * one of its own, as its query may have it once more: the two cannot be told
 * apart, and it gets another with the next statement.
 */
static void
unwind(void)
{
	while (GetCurrentTransactionNestLevel() > 1)
		RollbackAndReleaseCurrentSubTransaction();
	while (!SPI_inside_nonatomic_context())
		if (SPI_finish() != SPI_OK_FINISH)
			break;
	while (ActiveSnapshotSet())
		PopActiveSnapshot();
	if (ActivePortal != NULL)
		ActivePortal->portalSnapshot = NULL;
	SPI_rollback();
}

/* What it says about the run must not hide the error itself. */
static void
record_failure(MlTraining *training, const ErrorData *error)
{
	MemoryContext cxt = CurrentMemoryContext;

	PG_TRY();
	{
		ml_registry_end_run(&training->run,
							ml_error_is_cancel(error) ? ML_RUN_CANCELLED : ML_RUN_FAILED,
							0, unpack_sql_state(error->sqlerrcode), error->message);
		SPI_commit();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(cxt);
		FlushErrorState();
	}
	PG_END_TRY();
}

static void
close_failed(MlTraining *training, const ErrorData *error)
{
	if (training->has_run && !training->atomic)
		record_failure(training, error);
	if (training->kept != NULL)
		ml_kept_end(training->kept);
	training->kept = NULL;
}

/* ---- the phases, in one of two ways ---- */

static void
finish(MlTraining *training)
{
	ml_training_register(training);
	ml_registry_end_run(&training->run, ML_RUN_FINISHED, training->version, NULL, NULL);
}

static void
run_phases(MlTraining *training, void *arg)
{
	bool		dry = *(bool *) arg;

	as_trainer(training, ml_training_check);
	if (!dry)
		as_trainer(training, start_run);
	if (!training->atomic)
	{
		ml_procedure_commit();
		if (!dry)
		{
			training->report = ml_procedure_report;
			ml_training_report(training, "reading", -1, -1, NAN);
		}
	}
	as_trainer(training, ml_training_read);
	if (!training->atomic)
		ml_procedure_commit();
	ml_training_fit(training);
	if (dry)
		return;
	ml_training_report(training, "registering", -1, -1, NAN);
	as_trainer(training, finish);
	if (!training->atomic)
		ml_procedure_commit();
}

static void
run_with_commits(MlTraining *training, void (*phases) (MlTraining *training, void *arg), void *arg)
{
	MemoryContext cxt = CurrentMemoryContext;
	ErrorData  *error = NULL;

	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect_ext failed");
	MemoryContextSwitchTo(training->cxt);

	PG_TRY();
	{
		phases(training, arg);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(training->cxt);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();

	if (error != NULL)
	{
		unwind();
		MemoryContextSwitchTo(training->cxt);
		close_failed(training, error);
		ReThrowError(error);
	}
	SPI_finish();
	MemoryContextSwitchTo(cxt);
}

void
ml_procedure_run(MlTraining *training, bool atomic,
				 void (*phases) (MlTraining *training, void *arg), void *arg)
{
	MemoryContext cxt = CurrentMemoryContext;

	training->atomic = atomic;
	if (atomic)
	{
		phases(training, arg);
		MemoryContextSwitchTo(cxt);
	}
	else
		run_with_commits(training, phases, arg);
}

/* A subtransaction cannot commit; without one the error's transaction is rolled back, and no harm done. */
static void
begin_attempt(const MlTraining *training)
{
	MemoryContext cxt = CurrentMemoryContext;

	if (training->atomic)
		BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(cxt);
}

static void
leave_attempt(const MlTraining *training, ResourceOwner owner)
{
	if (training->atomic)
	{
		RollbackAndReleaseCurrentSubTransaction();
		CurrentResourceOwner = owner;
	}
	else
		unwind();
}

ErrorData *
ml_procedure_attempt(MlTraining *training, void (*attempt) (void *arg), void *arg)
{
	MemoryContext cxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *error = NULL;

	begin_attempt(training);
	PG_TRY();
	{
		attempt(arg);
		if (training->atomic)
		{
			ReleaseCurrentSubTransaction();
			CurrentResourceOwner = owner;
		}
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	if (error != NULL)
		leave_attempt(training, owner);
	MemoryContextSwitchTo(cxt);
	return error;
}

int
ml_training_run(MlTraining *training, bool dry, bool atomic)
{
	ml_procedure_run(training, atomic, run_phases, &dry);
	if (!dry)
		ml_training_tell(training);
	return training->version;
}

static void
attempt_phases(void *arg)
{
	bool		dry = false;

	run_phases(arg, &dry);
}

ErrorData *
ml_training_attempt(MlTraining *training)
{
	ErrorData  *error = ml_procedure_attempt(training, attempt_phases, training);

	if (error != NULL)
		close_failed(training, error);
	return error;
}
