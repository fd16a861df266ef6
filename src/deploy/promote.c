/*
 * promote.c
 *		mlops_promote: a version becomes what serves.
 *
 * What was asked is checked first, then the gates are heard, without any lock:
 * they read rows. Then comes the lock on the serving row. If what serves has
 * changed since the gates were heard, what they compared with is gone, and the
 * promotion fails (40001). Promoting what serves already changes nothing and
 * makes no deployment.
 *
 * With a share below 1 the bundle becomes the canary: it takes rows from the
 * active one, which stays. There is one canary at most. While it runs, what is
 * active does not change, so that gates that it passed need not be heard again
 * when its share grows, up to 1, with which it becomes what is active.
 */
#include "postgres.h"

#include <math.h>

#include "compat.h"
#include "deploy/deploy.h"
#include "deploy/promotion.h"
#include "miscadmin.h"
#include "registry/canary.h"
#include "registry/registry_catalog.h"
#include "settings.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(mlops_promote);

typedef struct Request
{
	char	   *model;
	int			version;
	double		share;			/* below 1: as the canary */
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
				 errhint("Leave it out to serve the version to everyone; mlops_rollback(model) ends a canary.")));
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
	request->share = PG_GETARG_FLOAT8(2);
	check_share(request->share);
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

/* ---- gates ---- */

/* why the gates need not be heard */
typedef enum Exemption
{
	NOT_EXEMPT,
	EXEMPT_SERVED,				/* the bundle serves, or has served all rows */
	EXEMPT_HEARD,				/* the canary has passed them on its way in */
	EXEMPT_SMALLER				/* fewer rows than now */
} Exemption;

/* what was asked of the version before the lock */
typedef struct Examination
{
	MlOutlook	outlook;
	bool		heard;			/* gates were */
	Exemption	exempt;
	int			ngates;
	int			npassed;
	Jsonb	   *evidence;		/* or NULL */
} Examination;

static Exemption
exemption(const Request *request, const MlOutlook *outlook, const MlServed *bundle)
{
	MlServed	active = {.version = outlook->version, .threshold = outlook->threshold, .rules = outlook->rules};

	if (ml_deploy_same(bundle, &active) ||
		ml_promotion_has_served(request->model, bundle->version, bundle->threshold, bundle->rules))
		return EXEMPT_SERVED;
	if (outlook->canary.version == 0 || !ml_deploy_same(bundle, &outlook->canary))
		return NOT_EXEMPT;
	if (request->share <= outlook->share)
		return EXEMPT_SMALLER;
	return outlook->heard ? EXEMPT_HEARD : NOT_EXEMPT;
}

/* completes the hearing by the bundle that is asked for */
static Exemption
prepare_hearing(const Request *request, const MlOutlook *outlook, MlGateHearing *hearing)
{
	MlServed	bundle = {.version = request->version};
	MlCandidate candidate;
	MlRegistryScope scope;
	const char *why;
	Exemption	result;

	ml_registry_enter(&scope);
	ml_promotion_candidate(request->model, request->version, &candidate);
	ml_promotion_require_candidate(request->model, request->version, &candidate);
	bundle.threshold = hearing->threshold = ml_promotion_threshold(request->model, request->version, &candidate,
																   request->threshold, &why);
	bundle.rules = hearing->rules = ml_promotion_rules(&candidate, request->rules, outlook->rules, &why);
	result = exemption(request, outlook, &bundle);
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
	examination->exempt = prepare_hearing(request, outlook, &hearing);
	if (examination->exempt == EXEMPT_SERVED || examination->exempt == EXEMPT_SMALLER)
		return;
	approvers = ml_approvals_require(request->model, request->version, outlook->approvals);
	if (examination->exempt == EXEMPT_HEARD)
		return;
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

/* what gates were compared with must be active still, and the canary that passed them must run */
static void
require_same_serving(const Request *request, const Examination *examination, const MlServing *serving)
{
	const MlOutlook *outlook = &examination->outlook;
	bool		as_canary = examination->exempt == EXEMPT_HEARD || examination->exempt == EXEMPT_SMALLER;
	int			found = as_canary ? ml_deploy_newest(serving) : serving->active.deployment;
	int			known = as_canary ? outlook->newest : outlook->deployment;

	if ((!examination->heard && !as_canary) || found == known)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("what serves of model \"%s\" changed while its gates were heard", request->model),
			 errdetail("Deployment %d was active then; deployment %d is now.", known, found),
			 errhint("Promote again: the gates compare with what is active now.")));
}

/* ---- deciding, under the lock ---- */

/* what served goes onto the stack; the oldest falls off */
static void
push_stack(const MlServing *serving, MlDecision *decision)
{
	int			first;

	decision->stack = palloc(sizeof(int) * (serving->nstack + 1));
	decision->nstack = 0;
	if (serving->active.version == 0)
		return;
	first = Max(0, serving->nstack + 1 - ml_rollback_depth);
	for (int i = first; i < serving->nstack; i++)
		decision->stack[decision->nstack++] = serving->stack[i];
	decision->stack[decision->nstack++] = serving->active.deployment;
}

/* how what is asked stands to what serves */
typedef struct Standing
{
	bool		is_active;		/* the bundle is the active one */
	bool		is_canary;		/* it is the canary */
	bool		unchanged;		/* with the share that it has */
	const char *why_threshold;	/* NULL: it was given */
	const char *why_rules;
} Standing;

/* the bundle that is asked for */
static void
choose_bundle(const Request *request, const MlServing *serving, MlServed *bundle, Standing *standing)
{
	MlCandidate candidate;

	ml_promotion_candidate(request->model, request->version, &candidate);
	ml_promotion_require_candidate(request->model, request->version, &candidate);
	bundle->version = request->version;
	memcpy(bundle->sha256, candidate.sha256, ML_SHA256_LENGTH);
	bundle->threshold = ml_promotion_threshold(request->model, request->version, &candidate,
											   request->threshold, &standing->why_threshold);
	bundle->rules = ml_promotion_rules(&candidate, request->rules, serving->active.rules, &standing->why_rules);
	if (bundle->rules != 0)
		ml_promotion_require_rules(request->model, request->version, &candidate, bundle->rules, bundle->rules_sha256);
	standing->is_active = ml_deploy_same(bundle, &serving->active);
	standing->is_canary = serving->canary.version != 0 && ml_deploy_same(bundle, &serving->canary);
	standing->unchanged = request->share < 1 ? standing->is_canary && request->share == serving->share :
		standing->is_active && serving->canary.version == 0;
}

static void
require_canary(const Request *request, const MlServing *serving, const Standing *standing)
{
	const char *model = quote_literal_cstr(request->model);

	if (serving->active.version == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model \"%s\" has no active version beside which a canary could run", request->model),
				 errdetail("share is %g: the other rows would have no version.", request->share),
				 errhint("Serve it to everyone: mlops_promote(%s, %d).", model, request->version)));
	if (standing->is_active)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %d of model \"%s\" is active and cannot be its own canary", request->version, request->model),
				 errdetail("It serves with this threshold and these rules."),
				 errhint("Try another version, or this one with another threshold or other rules.")));
	if (serving->canary.version != 0 && !standing->is_canary)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a canary of model \"%s\" runs already", request->model),
				 serving->canary.version == request->version ?
				 errdetail("It is version %d with another threshold or other rules, for %g of the rows.",
						   serving->canary.version, serving->share) :
				 errdetail("It is version %d, for %g of the rows.", serving->canary.version, serving->share),
				 errhint("End it with mlops_rollback(%s), or complete it with mlops_promote(%s, %d).",
						 model, model, serving->canary.version)));
}

/* whoever waited for the rollback that ended the canary was about to overrule it unseen */
static void
require_canary_still(const Request *request, const MlOutlook *outlook, const MlServing *serving, const Standing *standing)
{
	if (outlook->canary.version != request->version || serving->canary.version == request->version || standing->is_active)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("the canary of model \"%s\" has ended in the meantime", request->model),
			 errdetail("Version %d was the canary when the promotion began; version %d serves all rows now.",
					   request->version, serving->active.version),
			 errhint("Look at mlops.deployment; promote again if it is to serve nevertheless.")));
}

/* inside a scope, under the lock */
static void
settle(const Request *request, const MlServing *serving, const Standing *standing, MlDecision *decision)
{
	decision->from = &serving->active;
	decision->share = request->share;
	if (request->share < 1)
	{
		require_canary(request, serving, standing);
		decision->salt = standing->is_canary ? serving->salt : ml_registry_canary_salt(request->model);
	}
	else if (standing->is_active)
	{
		decision->stack = serving->stack;
		decision->nstack = serving->nstack;
	}
	else
		push_stack(serving, decision);
}

/* ---- telling ---- */

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
	else if (examination->exempt != NOT_EXEMPT)
		ereport(NOTICE,
				(errmsg("gates of model \"%s\" were not heard", request->model),
				 examination->exempt == EXEMPT_SERVED ?
				 errdetail("Version %d has served with this threshold and these rules, and was not taken down since.",
						   request->version) :
				 examination->exempt == EXEMPT_HEARD ?
				 errdetail("Version %d has passed them as the canary, and what is active is the same since.", request->version) :
				 errdetail("The share of the canary does not grow.")));
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

/* a canary that made way for something else */
static void
tell_canary(const Request *request, const MlServing *serving, const Standing *standing)
{
	if (serving->canary.version == 0 || standing->is_canary || request->share < 1)
		return;
	ereport(NOTICE,
			(errmsg("the canary of model \"%s\" has ended", request->model),
			 errdetail("It was version %d, for %g of the rows; version %d serves all of them.",
					   serving->canary.version, serving->share, request->version)));
}

/* what was chosen and asked */
static void
tell(const Request *request, const Examination *examination, const MlServing *serving,
	 const Standing *standing, const MlServed *bundle)
{
	if (standing->unchanged)
	{
		ereport(NOTICE,
				(standing->is_canary ?
				 errmsg("version %d of model \"%s\" is already the canary of %g of the rows",
						request->version, request->model, request->share) :
				 errmsg("version %d of model \"%s\" is already active", request->version, request->model),
				 errdetail("Nothing was changed; deployment %d goes on.", ml_deploy_newest(serving))));
		return;
	}
	tell_canary(request, serving, standing);
	if (standing->is_canary && !examination->outlook.gated)
		return;					/* all was told when it started */
	if (standing->why_threshold != NULL && !standing->is_canary)
		ereport(NOTICE,
				(errmsg("threshold of version %d of model \"%s\" is %g",
						request->version, request->model, bundle->threshold),
				 errdetail_internal("%s", standing->why_threshold)));
	if (standing->why_rules != NULL && !standing->is_canary)
		tell_rules(request, bundle->rules, serving->active.rules, standing->why_rules);
	tell_gates(request, examination);
}

/* mlops_promote(model, version, share, rules, threshold, expect, force, reason) */
Datum
mlops_promote(PG_FUNCTION_ARGS)
{
	Request		request;
	Examination examination = {0};
	MlServing	serving;
	Standing	standing;
	MlDecision	decision = {.action = "promote"};
	MlRegistryScope scope;
	int			deployment;
	TimestampTz at;

	read_request(fcinfo, &request);
	ml_registry_require_writable("promote a version");
	ml_privilege_require(request.model, ML_PRIVILEGE_PROMOTE);
	examine(&request, &examination);
	decision.model = request.model;
	decision.forced = request.force;
	decision.reason = request.reason;
	decision.evidence = examination.evidence;
	decision.deployed_by = GetUserNameFromId(GetUserId(), false);

	ml_registry_enter(&scope);
	ml_deploy_read(request.model, &serving);
	check_expect(&request, serving.active.version);
	require_same_serving(&request, &examination, &serving);
	choose_bundle(&request, &serving, &decision.bundle, &standing);
	require_canary_still(&request, &examination.outlook, &serving, &standing);
	settle(&request, &serving, &standing, &decision);
	deployment = ml_deploy_newest(&serving);
	at = serving.changed_at;
	if (!standing.unchanged)
		deployment = ml_deploy_write(&decision, &serving, &at);
	ml_registry_leave(&scope);

	tell(&request, &examination, &serving, &standing, &decision.bundle);
	return ml_deploy_result(fcinfo, &decision, deployment, at);
}
