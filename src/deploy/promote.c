/*
 * promote.c
 *		mlops_promote: a version becomes what serves.
 *
 * What was asked is checked before the lock, what is there after it. Promoting
 * what serves already changes nothing and makes no deployment.
 */
#include "postgres.h"

#include <math.h>

#include "compat.h"
#include "deploy/deploy.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "settings.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define DEFAULT_THRESHOLD 0.5

PG_FUNCTION_INFO_V1(mlops_promote);

typedef struct Request
{
	char	   *model;
	int			version;
	double		threshold;		/* NaN: not given */
	int			expect;
	bool		has_expect;
	bool		force;
	char	   *reason;
} Request;

/* what the version's row says of it */
typedef struct Candidate
{
	bool		exists;
	uint8		sha256[ML_SHA256_LENGTH];
	bool		binary;
	char	   *task;
	double		proposed;		/* threshold, or NaN */
	double		last_served;	/* likewise, when it served last */
} Candidate;

/* ---- what was asked ---- */

static void
check_share(double share)
{
	if (isnan(share) || share <= 0 || share > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("share must be above 0 and at most 1"),
				 errdetail("share is %g.", share),
				 errhint("Leave it out to serve the version to everyone.")));
	if (share < 1)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("canary shares are not available in this version of mlops"),
				 errdetail("share is %g.", share),
				 errhint("Leave it out to serve the version to everyone.")));
}

static void
check_rules(int rules)
{
	if (rules != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("rule sets are not available in this version of mlops"),
				 errdetail("rules is %d.", rules),
				 errhint("Leave it out.")));
}

static void
read_request(FunctionCallInfo fcinfo, Request *request)
{
	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "version");
	ml_require_argument(fcinfo, 2, "share");
	check_share(PG_GETARG_FLOAT8(2));
	if (!PG_ARGISNULL(3))
		check_rules(PG_GETARG_INT32(3));
	request->model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	request->version = PG_GETARG_INT32(1);
	request->threshold = NAN;
	if (!PG_ARGISNULL(4))
	{
		request->threshold = PG_GETARG_FLOAT8(4);
		if (!(request->threshold >= 0 && request->threshold <= 1))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("threshold must be between 0 and 1"),
					 errdetail("threshold is %g.", request->threshold),
					 errhint("It is the probability from which a row counts as positive.")));
	}
	request->has_expect = !PG_ARGISNULL(5);
	request->expect = request->has_expect ? PG_GETARG_INT32(5) : 0;
	request->force = !PG_ARGISNULL(6) && PG_GETARG_BOOL(6);
	request->reason = PG_ARGISNULL(7) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(7));
	if (request->force && (request->reason == NULL || request->reason[0] == '\0'))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a forced promotion needs a reason"),
				 errdetail("force is true and reason is empty."),
				 errhint("Add reason => '...'; it is kept in the history.")));
}

/* ---- what is there ---- */

static void
read_candidate(const Request *request, Candidate *candidate)
{
	static MlStatement select = {
		"SELECT v.sha256, v.task, v.threshold, (SELECT d.threshold FROM mlops_catalog.deployment d "
		"WHERE d.model OPERATOR(pg_catalog.=) $1 AND d.version OPERATOR(pg_catalog.=) $2 "
		"ORDER BY d.number DESC LIMIT 1) FROM mlops_catalog.version v "
		"WHERE v.model OPERATOR(pg_catalog.=) $1 AND v.version OPERATOR(pg_catalog.=) $2"
	};
	MlArguments args = {0};
	bool		isnull;

	ml_bind_text(&args, request->model);
	ml_bind_int(&args, request->version);
	candidate->exists = ml_statement_run(&select, &args) > 0;
	if (!candidate->exists)
		return;
	memcpy(candidate->sha256, VARDATA_ANY(DatumGetByteaPP(ml_result_datum(0, 1, &isnull))),
		   ML_SHA256_LENGTH);
	candidate->task = ml_result_text(0, 2);
	candidate->binary = strcmp(candidate->task, "binary") == 0;
	candidate->proposed = ml_result_float(0, 3);
	candidate->last_served = ml_result_float(0, 4);
}

/* inside the scope, which the error ends */
static void
error_no_candidate(const Request *request)
{
	static MlStatement tombstone = {
		"SELECT pg_catalog.format('It was dropped by role \"%s\": %s.', dropped_by, reason) "
		"FROM mlops_catalog.dropped_version "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2 "
		"ORDER BY dropped_at DESC LIMIT 1"
	};
	static MlStatement last_run = {
		"SELECT pg_catalog.format('Its last run: %s%s.', status, ', ' OPERATOR(pg_catalog.||) message) FROM ("
		"SELECT mlops.run_status(status, pid, backend_start) AS status, message "
		"FROM mlops_catalog.run WHERE model OPERATOR(pg_catalog.=) $1 "
		"ORDER BY started_at DESC LIMIT 1) r WHERE status OPERATOR(pg_catalog.<>) 'finished'"
	};
	char	   *versions = ml_version_ranges(request->model, ML_SIGHT_NOW);
	char	   *more = NULL;
	MlArguments version = {0};
	MlArguments model = {0};

	ml_bind_text(&version, request->model);
	ml_bind_int(&version, request->version);
	ml_bind_text(&model, request->model);
	if (ml_statement_run(&tombstone, &version) > 0 || ml_statement_run(&last_run, &model) > 0)
		more = ml_result_text(0, 1);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("version %d of model \"%s\" does not exist", request->version, request->model),
			 versions ?
			 errdetail("%s%sIts versions: %s.", more ? more : "", more ? " " : "", versions) :
			 errdetail("%s%sIt has no versions yet.", more ? more : "", more ? " " : ""),
			 versions ?
			 errhint("SELECT * FROM mlops.version WHERE model = %s describes them.",
					 quote_literal_cstr(request->model)) :
			 errhint("Train one with CALL mlops_train(%s, ...).", quote_literal_cstr(request->model))));
}

static void
check_expect(const Request *request, int found)
{
	if (!request->has_expect || request->expect == found)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 found != 0 ?
			 errmsg("active version of model \"%s\" is %d, not %d", request->model, found, request->expect) :
			 errmsg("model \"%s\" has no active version; %d was expected", request->model, request->expect),
			 errdetail("expect is %d; found is %d (0: nothing is active).", request->expect, found),
			 errhint("Somebody else has decided: look at mlops.deployment, then decide again.")));
}

/* ---- threshold ---- */

/* NaN for models without one; the source of a choice in *why, NULL if it was given */
static double
choose_threshold(const Request *request, const Candidate *candidate, const char **why)
{
	*why = NULL;
	if (!candidate->binary)
	{
		if (!isnan(request->threshold))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("version %d of model \"%s\" takes no threshold",
							request->version, request->model),
					 errdetail("threshold is %g; its task is %s, and only binary classes have one.",
							   request->threshold, candidate->task),
					 errhint("Leave threshold out.")));
		return NAN;
	}
	if (!isnan(request->threshold))
		return request->threshold;
	if (!isnan(candidate->last_served))
	{
		*why = "It is the one that the version last served with.";
		return candidate->last_served;
	}
	if (!isnan(candidate->proposed))
	{
		*why = "It is the one that the version's training proposes.";
		return candidate->proposed;
	}
	*why = "The version has not served yet and proposes none.";
	return DEFAULT_THRESHOLD;
}

static bool
same_threshold(double a, double b)
{
	return a == b || (isnan(a) && isnan(b));
}

/* ---- doing it ---- */

/* what served goes onto the stack; the oldest falls off */
static void
push_stack(const MlServing *serving, MlDecision *decision)
{
	int			first;

	decision->stack = palloc(sizeof(int) * (serving->nstack + 1));
	decision->nstack = 0;
	if (serving->version == 0)
		return;
	first = Max(0, serving->nstack + 1 - ml_rollback_depth);
	for (int i = first; i < serving->nstack; i++)
		decision->stack[decision->nstack++] = serving->stack[i];
	decision->stack[decision->nstack++] = serving->deployment;
}

/* mlops_promote(model, version, share, rules, threshold, expect, force, reason) */
Datum
mlops_promote(PG_FUNCTION_ARGS)
{
	Request		request;
	MlServing	serving;
	Candidate	candidate;
	MlDecision	decision = {0};
	MlRegistryScope scope;
	const char *why;
	bool		same;
	TimestampTz at;

	read_request(fcinfo, &request);
	ml_registry_require_writable("promote a version");
	ml_privilege_require(request.model, ML_PRIVILEGE_PROMOTE);
	decision.model = request.model;
	decision.action = "promote";
	decision.version = request.version;
	decision.forced = request.force;
	decision.reason = request.reason;
	decision.deployed_by = GetUserNameFromId(GetUserId(), false);

	ml_registry_enter(&scope);
	ml_deploy_read(request.model, &serving);
	check_expect(&request, serving.version);
	read_candidate(&request, &candidate);
	if (!candidate.exists)
		error_no_candidate(&request);
	memcpy(decision.sha256, candidate.sha256, ML_SHA256_LENGTH);
	decision.threshold = choose_threshold(&request, &candidate, &why);
	same = serving.version == request.version && same_threshold(serving.threshold, decision.threshold);
	at = serving.changed_at;
	if (!same)
	{
		push_stack(&serving, &decision);
		at = ml_deploy_write(&decision, &serving);
	}
	ml_registry_leave(&scope);

	if (why != NULL && !same)
		ereport(NOTICE,
				(errmsg("threshold of version %d of model \"%s\" is %g",
						request.version, request.model, decision.threshold),
				 errdetail_internal("%s", why)));
	if (same)
		ereport(NOTICE,
				(errmsg("version %d of model \"%s\" is already active",
						request.version, request.model),
				 errdetail("Nothing was changed; deployment %d goes on.", serving.deployment)));
	return ml_deploy_result(fcinfo, &decision, serving.deployment + (same ? 0 : 1),
							serving.version, at);
}
