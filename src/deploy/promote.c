/*
 * promote.c
 *		mlops_promote: a version becomes what serves.
 *
 * What was asked is checked first, then the gates are heard, without any lock:
 * they read rows. Then comes the lock on the serving row. If what serves has
 * changed since the gates were heard, what they compared with is gone, and the
 * promotion fails (40001). Promoting what serves already changes nothing and
 * makes no deployment.
 */
#include "postgres.h"

#include <math.h>

#include "compat.h"
#include "deploy/deploy.h"
#include "deploy/promotion.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "settings.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(mlops_promote);

typedef struct Request
{
	char	   *model;
	int			version;
	double		threshold;		/* NaN: not given */
	int			rules;			/* -1: not given */
	int			expect;
	bool		has_expect;
	bool		force;
	char	   *reason;
} Request;

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
	if (rules < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("rules must be the number of a rule set, or 0"),
				 errdetail("rules is %d.", rules),
				 errhint("0 serves without rules; leave it out to keep those that there are.")));
}

static void
read_request(FunctionCallInfo fcinfo, Request *request)
{
	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "version");
	ml_require_argument(fcinfo, 2, "share");
	check_share(PG_GETARG_FLOAT8(2));
	request->rules = -1;
	if (!PG_ARGISNULL(3))
	{
		request->rules = PG_GETARG_INT32(3);
		check_rules(request->rules);
	}
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

/* ---- gates ---- */

/* what was asked of the version before the lock */
typedef struct Examination
{
	MlOutlook	outlook;
	bool		heard;			/* gates were */
	bool		exempt;			/* the bundle has served: nothing was asked */
	int			ngates;
	int			npassed;
	Jsonb	   *evidence;		/* or NULL */
} Examination;

/* true: the bundle serves already, or served before and was not taken down */
static bool
needs_no_examination(const Request *request, const MlOutlook *outlook, MlGateHearing *hearing)
{
	MlCandidate candidate;
	MlRegistryScope scope;
	const char *why;
	bool		result;

	ml_registry_enter(&scope);
	ml_promotion_candidate(request->model, request->version, &candidate);
	ml_promotion_require_candidate(request->model, request->version, &candidate);
	hearing->threshold = ml_promotion_threshold(request->model, request->version, &candidate,
												request->threshold, &why);
	hearing->rules = ml_promotion_rules(&candidate, request->rules, outlook->rules, &why);
	result = (outlook->version == request->version && same_threshold(outlook->threshold, hearing->threshold) &&
			  outlook->rules == hearing->rules) ||
		ml_promotion_has_served(request->model, request->version, hearing->threshold, hearing->rules);
	ml_registry_leave(&scope);
	return result;
}

/* ML001 if a gate or an approval is missing */
static void
examine(const Request *request, Examination *examination)
{
	MlOutlook  *outlook = &examination->outlook;
	MlGateHearing	hearing = {0};
	List	   *approvers;

	ml_promotion_look(request->model, outlook);
	check_expect(request, outlook->version);
	if (!outlook->gated && outlook->approvals == 0)
		return;
	hearing.model = request->model;
	hearing.version = request->version;
	hearing.champion = outlook->version;
	hearing.champion_threshold = outlook->threshold;
	examination->exempt = needs_no_examination(request, outlook, &hearing);
	if (examination->exempt)
		return;
	approvers = ml_approvals_require(request->model, request->version, outlook->approvals);
	if (outlook->gated)
	{
		hearing.gates = ml_registry_gates(request->model);
		ml_gates_hear(&hearing);
		examination->heard = true;
	}
	examination->ngates = list_length(hearing.gates);
	examination->npassed = ml_gates_passed(&hearing);
	examination->evidence = ml_gates_evidence(&hearing, approvers);
	if (!request->force)
		ml_gates_decide(&hearing);
}

static void
require_same_champion(const Request *request, const Examination *examination, const MlServing *serving)
{
	if (!examination->heard || serving->deployment == examination->outlook.deployment)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("what serves of model \"%s\" changed while its gates were heard", request->model),
			 errdetail("Deployment %d was active then; deployment %d is now.",
					   examination->outlook.deployment, serving->deployment),
			 errhint("Promote again: the gates compare with what is active now.")));
}

static void
tell_gates(const Request *request, const Examination *examination)
{
	const MlOutlook *outlook = &examination->outlook;

	if (!outlook->gated)
		ereport(NOTICE,
				(errmsg("model \"%s\" has no gates: nothing was asked of version %d",
						request->model, request->version),
				 errhint("mlops_set_gate(%s, 'no worse', metric => '%s', max_drop => ...) asks for it.",
						 quote_literal_cstr(request->model), outlook->metric ? outlook->metric : "...")));
	else if (examination->exempt)
		ereport(NOTICE,
				(errmsg("gates of model \"%s\" were not heard", request->model),
				 errdetail("Version %d has served with this threshold and these rules, and was not taken down since.",
						   request->version)));
	else if (request->force)
		ereport(WARNING,
				(errmsg("version %d of model \"%s\" is promoted whatever its gates say",
						request->version, request->model),
				 errdetail("The history keeps what they said.")));
	else
		ereport(NOTICE,
				(errmsg("version %d of model \"%s\" passes %d of %d gates", request->version, request->model,
						examination->npassed, examination->ngates)));
}

/* nothing is said where there are no rules and were none */
static void
tell_rules(const Request *request, int rules, int before, const char *why)
{
	if (rules != 0)
		ereport(NOTICE,
				(errmsg("version %d of model \"%s\" serves with rule set %d", request->version, request->model, rules),
				 errdetail_internal("%s", why)));
	else if (before != 0)
		ereport(NOTICE,
				(errmsg("version %d of model \"%s\" serves without rules", request->version, request->model),
				 errdetail_internal("%s", why)));
}

/* mlops_promote(model, version, share, rules, threshold, expect, force, reason) */
Datum
mlops_promote(PG_FUNCTION_ARGS)
{
	Request		request;
	Examination examination = {0};
	MlServing	serving;
	MlCandidate candidate;
	MlDecision	decision = {0};
	MlRegistryScope scope;
	const char *why;
	const char *why_rules;
	bool		same;
	TimestampTz at;

	read_request(fcinfo, &request);
	ml_registry_require_writable("promote a version");
	ml_privilege_require(request.model, ML_PRIVILEGE_PROMOTE);
	examine(&request, &examination);
	decision.model = request.model;
	decision.action = "promote";
	decision.version = request.version;
	decision.forced = request.force;
	decision.reason = request.reason;
	decision.evidence = examination.evidence;
	decision.deployed_by = GetUserNameFromId(GetUserId(), false);

	ml_registry_enter(&scope);
	ml_deploy_read(request.model, &serving);
	check_expect(&request, serving.version);
	require_same_champion(&request, &examination, &serving);
	ml_promotion_candidate(request.model, request.version, &candidate);
	ml_promotion_require_candidate(request.model, request.version, &candidate);
	memcpy(decision.sha256, candidate.sha256, ML_SHA256_LENGTH);
	decision.threshold = ml_promotion_threshold(request.model, request.version, &candidate,
												request.threshold, &why);
	decision.rules = ml_promotion_rules(&candidate, request.rules, serving.rules, &why_rules);
	if (decision.rules != 0)
		ml_promotion_require_rules(request.model, request.version, &candidate, decision.rules, decision.rules_sha256);
	same = serving.version == request.version && same_threshold(serving.threshold, decision.threshold) &&
		serving.rules == decision.rules;
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
	if (why_rules != NULL && !same)
		tell_rules(&request, decision.rules, serving.rules, why_rules);
	if (same)
		ereport(NOTICE,
				(errmsg("version %d of model \"%s\" is already active",
						request.version, request.model),
				 errdetail("Nothing was changed; deployment %d goes on.", serving.deployment)));
	else
		tell_gates(&request, &examination);
	return ml_deploy_result(fcinfo, &decision, serving.deployment + (same ? 0 : 1),
							serving.version, at);
}
