/*
 * run.c
 *		The rows of runs: every attempt at training, its progress and its end.
 *
 * A run whose backend is gone (killed, crashed, server restarted) is lost: the
 * view says so at once, and the next training of the model writes it down.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "registry/registry_catalog.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

static const char *const run_status_names[] = {
	[ML_RUN_RUNNING] = "running",
	[ML_RUN_FINISHED] = "finished",
	[ML_RUN_FAILED] = "failed",
	[ML_RUN_CANCELLED] = "cancelled"
};

static void
bind_uuid(MlArguments *args, const pg_uuid_t *id)
{
	ml_bind_datum(args, UUIDOID, UUIDPGetDatum(id), false);
}

/* skips rows that another training is marking, so that none waits for another */
static void
mark_lost(const char *model)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.run SET status = 'lost', finished_at = pg_catalog.clock_timestamp(), "
		"message = 'the backend that trained is gone' "
		"WHERE id OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT r.id FROM mlops_catalog.run r "
		"WHERE r.model OPERATOR(pg_catalog.=) $1 AND r.status OPERATOR(pg_catalog.=) 'running' "
		"AND mlops.run_status(r.status, r.pid, r.backend_start) OPERATOR(pg_catalog.=) 'lost' "
		"FOR UPDATE SKIP LOCKED))"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_statement_run(&update, &args);
}

void
ml_registry_start_run(pg_uuid_t *id, const char *model, const char *algorithm, Jsonb *spec)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.run (id, model, status, algorithm, spec, phase, "
		"pid, backend_start, started_at, phase_started_at, reported_at, trained_by) "
		"SELECT pg_catalog.gen_random_uuid(), $1, 'running', $2, $3, 'starting', "
		"$4, $5, t, t, t, $6 FROM pg_catalog.clock_timestamp() AS t RETURNING id"
	};
	MlArguments args = {0};
	MlRegistryScope scope;
	bool		isnull;

	ml_bind_text(&args, model);
	ml_bind_text(&args, algorithm);
	ml_bind_jsonb(&args, spec);
	ml_bind_int(&args, MyProcPid);
	ml_bind_time(&args, MyStartTimestamp);
	ml_bind_text(&args, GetUserNameFromId(GetUserId(), false));
	ml_registry_enter(&scope);
	mark_lost(model);
	ml_statement_run(&insert, &args);
	memcpy(id, DatumGetUUIDP(ml_result_datum(0, 1, &isnull)), sizeof(pg_uuid_t));
	ml_registry_leave(&scope);
}

void
ml_registry_report_run(const pg_uuid_t *id, const char *phase,
					   int64 done, int64 total, double objective)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.run SET reported_at = t, phase_started_at = "
		"CASE WHEN phase OPERATOR(pg_catalog.=) $2 THEN phase_started_at ELSE t END, "
		"phase = $2, done = $3, total = $4, objective = $5 "
		"FROM pg_catalog.clock_timestamp() AS t WHERE id OPERATOR(pg_catalog.=) $1"
	};
	MlArguments args = {0};

	bind_uuid(&args, id);
	ml_bind_text(&args, phase);
	ml_bind_int8_or_null(&args, done, done < 0);
	ml_bind_int8_or_null(&args, total, total < 0);
	ml_bind_float(&args, objective);
	ml_registry_run(&update, &args);
}

/* the candidates of a search end with it */
void
ml_registry_end_run(const pg_uuid_t *id, MlRunStatus status, int version,
					const char *sqlstate, const char *message)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.run SET status = CASE WHEN id OPERATOR(pg_catalog.=) $1 THEN $2 ELSE 'cancelled' END, "
		"version = $3, sqlstate = $4, message = $5, "
		"finished_at = t, reported_at = t, pid = NULL, backend_start = NULL "
		"FROM pg_catalog.clock_timestamp() AS t WHERE id OPERATOR(pg_catalog.=) $1 "
		"OR (search OPERATOR(pg_catalog.=) $1 AND status OPERATOR(pg_catalog.=) 'running')"
	};
	MlArguments args = {0};

	bind_uuid(&args, id);
	ml_bind_text(&args, run_status_names[status]);
	ml_bind_int_or_null(&args, version, version <= 0);
	ml_bind_text(&args, sqlstate);
	ml_bind_text(&args, message);
	ml_registry_run(&update, &args);
}

/* ---- is its backend still there? ---- */

/*
 * A process of that number exists; is it the backend that started the run, or
 * a later one that got its number? The statistics may be a snapshot from
 * earlier in this transaction: only an entry that started later is proof.
 */
static bool
started_later(int pid, TimestampTz backend_start)
{
	int			n = pgstat_fetch_stat_numbackends();

	for (int i = 1; i <= n; i++)
	{
		LocalPgBackendStatus *entry = ml_local_beentry(i);

		if (entry != NULL && entry->backendStatus.st_procpid == pid)
			return entry->backendStatus.st_proc_start_timestamp > backend_start;
	}
	return false;
}

PG_FUNCTION_INFO_V1(mlops_run_status);

/* mlops.run_status(status text, pid int, backend_start timestamptz) */
Datum
mlops_run_status(PG_FUNCTION_ARGS)
{
	text	   *status;
	int			pid;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	status = PG_GETARG_TEXT_PP(0);
	if (strcmp(text_to_cstring(status), "running") != 0)
		PG_RETURN_TEXT_P(status);
	/* the backends of the primary can't be seen from here */
	if (RecoveryInProgress())
		PG_RETURN_TEXT_P(status);
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_TEXT_P(cstring_to_text("lost"));
	pid = PG_GETARG_INT32(1);
	if (BackendPidGetProc(pid) == NULL || started_later(pid, PG_GETARG_TIMESTAMPTZ(2)))
		PG_RETURN_TEXT_P(cstring_to_text("lost"));
	PG_RETURN_TEXT_P(status);
}
