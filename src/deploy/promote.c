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
#include "deploy/ask.h"
#include "registry/registry_catalog.h"
#include "settings.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(mlops_promote);

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

int
ml_promotion_take_rules(FunctionCallInfo fcinfo, int n)
{
	if (PG_ARGISNULL(n))
		return -1;
	if (PG_GETARG_INT32(n) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("rules must be the number of a rule set, or 0"),
				 errdetail("rules is %d.", PG_GETARG_INT32(n)),
				 errhint("0 serves without rules; leave it out to keep those that there are.")));
	return PG_GETARG_INT32(n);
}

double
ml_promotion_take_threshold(FunctionCallInfo fcinfo, int n)
{
	double		threshold;

	if (PG_ARGISNULL(n))
		return NAN;
	threshold = PG_GETARG_FLOAT8(n);
	if (!(threshold >= 0 && threshold <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("threshold must be between 0 and 1"),
				 errdetail("threshold is %g.", threshold),
				 errhint("It is the probability from which a row counts as positive.")));
	return threshold;
}

static void
read_request(FunctionCallInfo fcinfo, MlRequest *request)
{
	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "version");
	ml_require_argument(fcinfo, 2, "share");
	request->share = PG_GETARG_FLOAT8(2);
	check_share(request->share);
	request->rules = ml_promotion_take_rules(fcinfo, 3);
	request->model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	request->version = PG_GETARG_INT32(1);
	request->threshold = ml_promotion_take_threshold(fcinfo, 4);
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
choose_bundle(const MlRequest *request, const MlServing *serving, MlServed *bundle, Standing *standing)
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
require_canary(const MlRequest *request, const MlServing *serving, const Standing *standing)
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
require_canary_still(const MlRequest *request, const MlOutlook *outlook, const MlServing *serving, const Standing *standing)
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
settle(const MlRequest *request, const MlServing *serving, const Standing *standing, MlDecision *decision)
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

/* nothing is said where there are no rules and were none */
static void
tell_rules(const MlRequest *request, int rules, int before, const char *why)
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
tell_canary(const MlRequest *request, const MlServing *serving, const Standing *standing)
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
tell(const MlRequest *request, const MlExamination *examination, const MlServing *serving,
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
	ml_promotion_tell_gates(request, examination);
}

/*
 * What holds now is asked for, whenever the statement, or a transaction of REPEATABLE READ, began:
 * who keeps an old snapshot must not get by what was asked for, or came to light, since.
 */
static void
examine_now(const MlRequest *request, MlExamination *examination)
{
	PushActiveSnapshot(GetLatestSnapshot());
	ml_promotion_examine(request, examination);
	PopActiveSnapshot();
}

/* mlops_promote(model, version, share, rules, threshold, expect, force, reason) */
Datum
mlops_promote(PG_FUNCTION_ARGS)
{
	MlRequest		request;
	MlExamination examination = {0};
	MlServing	serving;
	Standing	standing;
	MlDecision	decision = {.action = "promote"};
	MlRegistryScope scope;
	int			deployment;
	TimestampTz at;

	read_request(fcinfo, &request);
	ml_registry_require_writable("promote a version");
	ml_privilege_require(request.model, ML_PRIVILEGE_PROMOTE);
	examine_now(&request, &examination);
	decision.model = request.model;
	decision.forced = request.force;
	decision.reason = request.reason;
	decision.evidence = examination.evidence;
	decision.deployed_by = GetUserNameFromId(GetUserId(), false);

	ml_registry_enter(&scope);
	ml_deploy_read(request.model, &serving);
	ml_promotion_check_expect(&request, serving.active.version);
	ml_promotion_require_same(&request, &examination, &serving);
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
