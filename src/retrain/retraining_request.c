/*
 * retraining_request.c
 *		The history of trainings that somebody asked for: asked, taken, ended.
 *
 * A model has one request at most that is open or worked on (a unique index
 * says so), so that monitors and policies which fire together train once. A
 * request whose backend is gone is lost, and stands in nobody's way.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "retrain/retraining.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(mlops_request_retraining);

static void
mark_lost(const char *model)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.retraining SET status = 'lost', finished_at = pg_catalog.clock_timestamp(), "
		"message = 'the backend that trained is gone' "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND status OPERATOR(pg_catalog.=) 'running' "
		"AND mlops.run_status(status, pid, backend_start) OPERATOR(pg_catalog.=) 'lost'"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_statement_run(&update, &args);
}

bool
ml_retrain_request(const char *model, const char *why, TimestampTz as_of)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.retraining (model, number, why, as_of, requested_by) "
		"SELECT p.model, COALESCE((SELECT pg_catalog.max(r.number) FROM mlops_catalog.retraining AS r "
		"WHERE r.model OPERATOR(pg_catalog.=) $1), 0) OPERATOR(pg_catalog.+) 1, $2, $3, $4 "
		"FROM mlops_catalog.retraining_policy AS p WHERE p.model OPERATOR(pg_catalog.=) $1 ON CONFLICT DO NOTHING"
	};
	MlArguments args = {0};
	MlRegistryScope scope;
	bool		added;

	ml_bind_text(&args, model);
	ml_bind_text(&args, why);
	ml_bind_time(&args, as_of);
	ml_bind_text(&args, GetUserNameFromId(GetUserId(), false));
	ml_registry_enter(&scope);
	mark_lost(model);
	added = ml_statement_run(&insert, &args) > 0;
	ml_registry_leave(&scope);
	return added;
}

/* ---- working it off ---- */

bool
ml_retrain_take(const char *model, TimestampTz as_of, MlRetrainRequest *request)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.retraining AS r SET status = 'running', pid = $2, backend_start = $3, "
		"started_at = pg_catalog.clock_timestamp(), as_of = $4, "
		"from_version = (SELECT s.version FROM mlops_catalog.serving AS s WHERE s.model OPERATOR(pg_catalog.=) $1) "
		"WHERE r.model OPERATOR(pg_catalog.=) $1 AND r.number OPERATOR(pg_catalog.=) (SELECT o.number FROM mlops_catalog.retraining AS o "
		"WHERE o.model OPERATOR(pg_catalog.=) $1 AND o.status OPERATOR(pg_catalog.=) 'open' FOR UPDATE SKIP LOCKED) "
		"RETURNING r.number, r.why"
	};
	MemoryContext caller = CurrentMemoryContext;
	MlArguments args = {0};
	MlRegistryScope scope;
	bool		found;

	ml_bind_text(&args, model);
	ml_bind_int(&args, MyProcPid);
	ml_bind_time(&args, MyStartTimestamp);
	ml_bind_time(&args, as_of);
	ml_registry_enter(&scope);
	mark_lost(model);
	found = ml_statement_run(&update, &args) > 0;
	if (found)
	{
		request->number = ml_result_int(0, 1, 0);
		request->why = MemoryContextStrdup(caller, ml_result_text(0, 2));
	}
	ml_registry_leave(&scope);
	return found;
}

void
ml_retrain_end(const char *model, int number, const char *status, int version, int deployment,
			   const char *trained_by, const ErrorData *error)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.retraining SET status = $3, version = $4, deployment = $5, trained_by = $6, sqlstate = $7, "
		"message = $8, detail = $9, finished_at = pg_catalog.clock_timestamp(), pid = NULL, backend_start = NULL "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND number OPERATOR(pg_catalog.=) $2"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_int(&args, number);
	ml_bind_text(&args, status);
	ml_bind_int_or_null(&args, version, version == 0);
	ml_bind_int_or_null(&args, deployment, deployment == 0);
	ml_bind_text(&args, trained_by);
	ml_bind_text(&args, error ? unpack_sql_state(error->sqlerrcode) : NULL);
	ml_bind_text(&args, error ? error->message : NULL);
	ml_bind_text(&args, error ? error->detail : NULL);
	ml_registry_run(&update, &args);
}

/* ---- asking by hand ---- */

/* mlops_request_retraining(model text, reason text, as_of timestamptz) */
Datum
mlops_request_retraining(PG_FUNCTION_ARGS)
{
	char	   *model;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "reason");
	ml_require_argument(fcinfo, 2, "as_of");
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ml_registry_require_writable("ask for a retraining");
	ml_privilege_require(model, ML_PRIVILEGE_TRAIN);
	if (!ml_retrain_has_policy(model))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model \"%s\" has no retraining policy", model),
				 errdetail("Nothing says from what it would be trained, and as whom."),
				 errhint("SELECT mlops_set_retraining(%s) lets it be trained as the active version was.",
						 quote_literal_cstr(model))));
	PG_RETURN_BOOL(ml_retrain_request(model, text_to_cstring(PG_GETARG_TEXT_PP(1)), PG_GETARG_TIMESTAMPTZ(2)));
}
