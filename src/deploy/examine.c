/*
 * examine.c
 *		What a version is asked before it is promoted: is it expected, is it
 *		approved, do its gates let it pass, and may it go without them.
 *
 * All of it is asked before the serving row is locked, since gates read rows.
 * Under the lock ml_promotion_require_same makes sure that what they looked at
 * still holds.
 */
#include "postgres.h"

#include "deploy/promotion.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"

void
ml_promotion_check_expect(const MlRequest *request, int found)
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

static MlExemption
exemption(const MlRequest *request, const MlOutlook *outlook, const MlServed *bundle)
{
	MlServed	active = {.version = outlook->version, .threshold = outlook->threshold, .rules = outlook->rules};

	if (ml_deploy_same(bundle, &active) ||
		ml_promotion_has_served(request->model, bundle->version, bundle->threshold, bundle->rules))
		return ML_EXEMPT_SERVED;
	if (outlook->canary.version == 0 || !ml_deploy_same(bundle, &outlook->canary))
		return ML_NOT_EXEMPT;
	if (request->share <= outlook->share)
		return ML_EXEMPT_SMALLER;
	return outlook->heard ? ML_EXEMPT_HEARD : ML_NOT_EXEMPT;
}

/* completes the hearing by the bundle that is asked for */
static MlExemption
prepare_hearing(const MlRequest *request, const MlOutlook *outlook, MlGateHearing *hearing)
{
	MlServed	bundle = {.version = request->version};
	MlCandidate candidate;
	MlRegistryScope scope;
	const char *why;
	MlExemption	result;

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
void
ml_promotion_examine(const MlRequest *request, MlExamination *examination)
{
	MlOutlook  *outlook = &examination->outlook;
	MlGateHearing	hearing = {0};
	List	   *approvers;

	ml_promotion_look(request->model, outlook);
	ml_promotion_check_expect(request, outlook->version);
	if (!outlook->gated && outlook->approvals == 0)
		return;
	hearing.model = request->model;
	hearing.version = request->version;
	hearing.champion = outlook->version;
	hearing.champion_threshold = outlook->threshold;
	examination->exempt = prepare_hearing(request, outlook, &hearing);
	if (examination->exempt == ML_EXEMPT_SERVED || examination->exempt == ML_EXEMPT_SMALLER)
		return;
	approvers = ml_approvals_require(request->model, request->version, outlook->approvals);
	if (examination->exempt == ML_EXEMPT_HEARD)
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
void
ml_promotion_require_same(const MlRequest *request, const MlExamination *examination, const MlServing *serving)
{
	const MlOutlook *outlook = &examination->outlook;
	bool		as_canary = examination->exempt == ML_EXEMPT_HEARD || examination->exempt == ML_EXEMPT_SMALLER;
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

void
ml_promotion_tell_gates(const MlRequest *request, const MlExamination *examination)
{
	const MlOutlook *outlook = &examination->outlook;

	if (!outlook->gated)
		ereport(NOTICE,
				(errmsg("model \"%s\" has no gates: nothing was asked of version %d",
						request->model, request->version),
				 errhint("mlops_set_gate(%s, 'no worse', metric => '%s', max_drop => ...) asks for it.",
						 quote_literal_cstr(request->model), outlook->metric ? outlook->metric : "...")));
	else if (examination->exempt != ML_NOT_EXEMPT)
		ereport(NOTICE,
				(errmsg("gates of model \"%s\" were not heard", request->model),
				 examination->exempt == ML_EXEMPT_SERVED ?
				 errdetail("Version %d has served with this threshold and these rules, and was not taken down since.",
						   request->version) :
				 examination->exempt == ML_EXEMPT_HEARD ?
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
