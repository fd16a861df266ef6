/*
 * rollback.c
 *		mlops_rollback: what served before serves again.
 *
 * The stack in the serving row holds the deployments to go back to. A rollback
 * pops and never pushes, so that it walks back through what served and does
 * not come forth again. It reads no data and asks nobody: it is instant.
 *
 * A canary that runs is the first step: it ends, and what is active goes on.
 * Each step of that kind is a deployment of its own in the history.
 */
#include "postgres.h"

#include "compat.h"
#include "deploy/deploy.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(mlops_rollback);

/* steps: into the stack */
static void
check_steps(const char *model, int steps, const MlServing *serving)
{
	if (steps == 0)
		return;
	if (serving->nstack == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model \"%s\" has nothing to roll back to", model),
				 serving->active.version == 0 ?
				 errdetail("It has no active version.") :
				 errdetail("Version %d is active, and none that served before is left in the rollback stack.",
						   serving->active.version),
				 serving->canary.version != 0 ?
				 errhint("steps => 1 ends the canary.") :
				 errhint("Choose a version with mlops_promote(%s, version).", quote_literal_cstr(model))));
	if (steps > serving->nstack)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot roll back model \"%s\" by %d steps", model, steps),
				 errdetail_plural("Its rollback stack holds %d step.", "Its rollback stack holds %d steps.",
								  serving->nstack, serving->nstack),
				 errhint("SELECT * FROM mlops.deployment WHERE model = %s shows what served; "
						 "mlops.rollback_depth is how far a rollback goes.",
						 quote_literal_cstr(model))));
}

/* the bundle of an earlier deployment becomes the decision */
static void
read_deployment(MlDecision *decision)
{
	static MlStatement select = {
		"SELECT d.version, d.sha256, d.threshold, d.rules, r.sha256 FROM mlops_catalog.deployment d "
		"LEFT JOIN mlops_catalog.rule_set r ON r.model OPERATOR(pg_catalog.=) d.model AND r.number OPERATOR(pg_catalog.=) d.rules "
		"WHERE d.model OPERATOR(pg_catalog.=) $1 AND d.number OPERATOR(pg_catalog.=) $2"
	};
	MlArguments args = {0};
	Datum		digest;
	bool		isnull;

	ml_bind_text(&args, decision->model);
	ml_bind_int(&args, decision->restored);
	if (ml_statement_run(&select, &args) == 0)
		elog(ERROR, "deployment %d of model \"%s\" is not in the history",
			 decision->restored, decision->model);
	decision->bundle.version = ml_result_int(0, 1, 0);
	memcpy(decision->bundle.sha256, VARDATA_ANY(DatumGetByteaPP(ml_result_datum(0, 2, &isnull))),
		   ML_SHA256_LENGTH);
	decision->bundle.threshold = ml_result_float(0, 3);
	decision->bundle.rules = ml_result_int(0, 4, 0);
	if (decision->bundle.rules == 0)
		return;

	/* rule sets in the stack cannot be dropped */
	digest = ml_result_datum(0, 5, &isnull);
	if (isnull)
		elog(ERROR, "rule set %d of model \"%s\" is not there", decision->bundle.rules, decision->model);
	memcpy(decision->bundle.rules_sha256, VARDATA_ANY(DatumGetByteaPP(digest)), ML_SHA256_LENGTH);
}

/* what is active serves all rows again; serving is what is there afterwards */
static int
end_canary(MlDecision *decision, MlServing *serving, TimestampTz *at)
{
	decision->bundle = serving->active;
	decision->from = &serving->canary;
	decision->nstack = serving->nstack;
	decision->stack = serving->stack;
	serving->active.deployment = ml_deploy_write(decision, serving, at);
	return serving->active.deployment;
}

static int
go_back(MlDecision *decision, const MlServing *serving, int steps, TimestampTz *at)
{
	decision->from = &serving->active;
	decision->nstack = serving->nstack - steps;
	decision->stack = serving->stack;
	decision->restored = serving->stack[decision->nstack];
	read_deployment(decision);
	return ml_deploy_write(decision, serving, at);
}

/* mlops_rollback(model text, steps int, reason text) */
Datum
mlops_rollback(PG_FUNCTION_ARGS)
{
	MlServing	serving;
	MlDecision	decision = {.action = "rollback", .share = 1};
	MlRegistryScope scope;
	char	   *model;
	int			steps;
	int			deployment = 0;
	TimestampTz at = 0;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "steps");
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	steps = PG_GETARG_INT32(1);
	if (steps < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("steps must be 1 or more"),
				 errdetail("steps is %d.", steps),
				 errhint("Leave it out to go back to what served before.")));
	ml_registry_require_writable("roll back a model");
	ml_privilege_require(model, ML_PRIVILEGE_PROMOTE);
	decision.model = model;
	decision.reason = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	decision.deployed_by = GetUserNameFromId(GetUserId(), false);

	ml_registry_enter(&scope);
	ml_deploy_read(model, &serving);
	if (serving.canary.version != 0)
		steps--;
	check_steps(model, steps, &serving);
	if (serving.canary.version != 0)
		deployment = end_canary(&decision, &serving, &at);
	if (steps > 0)
		deployment = go_back(&decision, &serving, steps, &at);
	ml_registry_leave(&scope);
	return ml_deploy_result(fcinfo, &decision, deployment, at);
}
