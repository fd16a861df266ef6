/*
 * search_row.c
 *		The rows of searches and their candidates in the table of runs.
 *
 * A search is a run whose column search holds its own id; a candidate's row
 * holds that id too, its number, and what it got at each rung.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "registry/search_row.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

static const char *const status_name[] = {
	[ML_SEARCHED_RUNNING] = "running",
	[ML_SEARCHED_DROPPED] = "dropped",
	[ML_SEARCHED_FAILED] = "failed",
	[ML_SEARCHED_FINISHED] = "finished"
};

static void
bind_uuid(MlArguments *args, const pg_uuid_t *id)
{
	ml_bind_datum(args, UUIDOID, UUIDPGetDatum(id), false);
}

static void
bind_backend(MlArguments *args)
{
	ml_bind_int(args, MyProcPid);
	ml_bind_time(args, MyStartTimestamp);
}

static void
take_uuid(pg_uuid_t *id)
{
	bool		isnull;

	memcpy(id, DatumGetUUIDP(ml_result_datum(0, 1, &isnull)), sizeof(pg_uuid_t));
}

void
ml_registry_start_search(pg_uuid_t *id, const char *model, Jsonb *spec)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.run (id, search, model, status, spec, phase, "
		"pid, backend_start, started_at, phase_started_at, reported_at, trained_by) "
		"SELECT u, u, $1, 'running', $2, 'starting', $3, $4, t, t, t, $5 "
		"FROM pg_catalog.clock_timestamp() AS t, pg_catalog.gen_random_uuid() AS u RETURNING id"
	};
	MlArguments args = {0};
	MlRegistryScope scope;

	ml_bind_text(&args, model);
	ml_bind_jsonb(&args, spec);
	bind_backend(&args);
	ml_bind_text(&args, GetUserNameFromId(GetUserId(), false));
	ml_registry_enter(&scope);
	ml_statement_run(&insert, &args);
	take_uuid(id);
	ml_registry_leave(&scope);
}

Jsonb *
ml_registry_resume_search(const pg_uuid_t *id, const char *model)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.run SET status = 'running', pid = $4, backend_start = $5, message = NULL, "
		"sqlstate = NULL, finished_at = NULL, reported_at = pg_catalog.clock_timestamp() "
		"WHERE id OPERATOR(pg_catalog.=) $1 AND search OPERATOR(pg_catalog.=) id "
		"AND model OPERATOR(pg_catalog.=) $2 AND trained_by OPERATOR(pg_catalog.=) $3 "
		"AND mlops.run_status(status, pid, backend_start) OPERATOR(pg_catalog.<>) 'running' "
		"AND version IS NULL RETURNING spec"
	};
	MemoryContext cxt = CurrentMemoryContext;
	MlArguments args = {0};
	MlRegistryScope scope;
	Jsonb	   *spec = NULL;

	bind_uuid(&args, id);
	ml_bind_text(&args, model);
	ml_bind_text(&args, GetUserNameFromId(GetUserId(), false));
	bind_backend(&args);
	ml_registry_enter(&scope);
	if (ml_statement_run(&update, &args) > 0)
	{
		bool		isnull;
		Datum		value = ml_result_datum(0, 1, &isnull);
		MemoryContext old = MemoryContextSwitchTo(cxt);

		spec = DatumGetJsonbPCopy(value);
		MemoryContextSwitchTo(old);
	}
	ml_registry_leave(&scope);
	if (spec == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" has no search %s that could go on", model,
						DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id)))),
				 errdetail("A search goes on for the role that began it, when it is neither running nor finished."),
				 errhint("See SELECT search, status, trained_by FROM mlops.run WHERE run = search.")));
	return spec;
}

void
ml_registry_start_candidate(pg_uuid_t *id, const pg_uuid_t *search, const char *model,
							int number, const char *algorithm, Jsonb *spec)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.run (id, search, candidate, model, status, algorithm, spec, phase, "
		"pid, backend_start, started_at, phase_started_at, reported_at, trained_by) "
		"SELECT pg_catalog.gen_random_uuid(), $1, $2, $3, 'running', $4, $5, 'waiting', "
		"$6, $7, t, t, t, $8 FROM pg_catalog.clock_timestamp() AS t RETURNING id"
	};
	MlArguments args = {0};
	MlRegistryScope scope;

	bind_uuid(&args, search);
	ml_bind_int(&args, number);
	ml_bind_text(&args, model);
	ml_bind_text(&args, algorithm);
	ml_bind_jsonb(&args, spec);
	bind_backend(&args);
	ml_bind_text(&args, GetUserNameFromId(GetUserId(), false));
	ml_registry_enter(&scope);
	ml_statement_run(&insert, &args);
	take_uuid(id);
	ml_registry_leave(&scope);
}

void
ml_registry_report_candidate(const pg_uuid_t *id, int64 rows, const char *metric,
							 const double *value, int nrungs)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.run SET rung = $2, rows = $3, metric = $4, value = $5, rung_values = $6, "
		"reported_at = pg_catalog.clock_timestamp() WHERE id OPERATOR(pg_catalog.=) $1"
	};
	MlArguments args = {0};
	Datum	   *values = palloc(sizeof(Datum) * nrungs);

	for (int i = 0; i < nrungs; i++)
		values[i] = Float8GetDatum(value[i]);
	bind_uuid(&args, id);
	ml_bind_int(&args, nrungs);
	ml_bind_int8(&args, rows);
	ml_bind_text(&args, metric);
	ml_bind_float(&args, value[nrungs - 1]);
	ml_bind_datum(&args, FLOAT8ARRAYOID,
				  PointerGetDatum(construct_array(values, nrungs, FLOAT8OID, sizeof(float8),
												  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)), false);
	ml_registry_run(&update, &args);
}

void
ml_registry_end_candidate(const pg_uuid_t *id, MlSearchedStatus status, const char *message)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.run SET status = $2, message = $3, phase = 'done', "
		"finished_at = CASE WHEN $4 THEN NULL ELSE t END, reported_at = t, "
		"pid = CASE WHEN $4 THEN $5 END, backend_start = CASE WHEN $4 THEN $6 END "
		"FROM pg_catalog.clock_timestamp() AS t WHERE id OPERATOR(pg_catalog.=) $1"
	};
	MlArguments args = {0};

	bind_uuid(&args, id);
	ml_bind_text(&args, status_name[status]);
	ml_bind_text(&args, message);
	ml_bind_bool(&args, status == ML_SEARCHED_RUNNING);
	bind_backend(&args);
	ml_registry_run(&update, &args);
}

static MlSearchedStatus
status_of(const char *name)
{
	for (int i = 0; i < (int) lengthof(status_name); i++)
		if (strcmp(status_name[i], name) == 0)
			return i;
	return ML_SEARCHED_RUNNING; /* lost with its backend, or cancelled with its search */
}

static void
take_values(MlSearchedRow *row, uint64 i)
{
	bool		isnull;
	Datum		value = ml_result_datum(i, 4, &isnull);
	Datum	   *element;
	int			n;

	row->nrungs = 0;
	if (isnull)
		return;
	deconstruct_array(DatumGetArrayTypeP(value), FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &element, NULL, &n);
	for (int k = 0; k < n && k < ML_SEARCHED_RUNGS; k++)
		row->value[row->nrungs++] = DatumGetFloat8(element[k]);
}

MlSearchedRow *
ml_registry_candidates(const pg_uuid_t *search, int *n)
{
	static MlStatement select = {
		"SELECT id, candidate, status, rung_values FROM mlops_catalog.run "
		"WHERE search OPERATOR(pg_catalog.=) $1 AND candidate IS NOT NULL ORDER BY candidate"
	};
	MemoryContext cxt = CurrentMemoryContext;
	MlArguments args = {0};
	MlRegistryScope scope;
	MlSearchedRow *rows;

	bind_uuid(&args, search);
	ml_registry_enter(&scope);
	*n = (int) ml_statement_run(&select, &args);
	rows = MemoryContextAllocZero(cxt, sizeof(MlSearchedRow) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		bool		isnull;

		memcpy(&rows[i].run, DatumGetUUIDP(ml_result_datum(i, 1, &isnull)), sizeof(pg_uuid_t));
		rows[i].number = ml_result_int(i, 2, 0);
		rows[i].status = status_of(ml_result_text(i, 3));
		take_values(&rows[i], i);
	}
	ml_registry_leave(&scope);
	return rows;
}
