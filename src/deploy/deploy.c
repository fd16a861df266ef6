/*
 * deploy.c
 *		The one place that moves what serves.
 *
 * Every change is made under the lock on the model's serving row, so that
 * deployments of one model have one order; their numbers and times follow it.
 * It costs one UPDATE and one INSERT, with plans that are kept.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "deploy/deploy.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "registry/registry_catalog.h"
#include "settings.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#define CHANNEL				"mlops"
#define DEPLOYED_COLUMNS	8

static void
read_stack(MlServing *serving, ArrayType *array)
{
	Datum	   *elements;
	bool	   *nulls;

	deconstruct_array(array, INT4OID, sizeof(int32), true, TYPALIGN_INT,
					  &elements, &nulls, &serving->nstack);
	serving->stack = palloc(sizeof(int) * Max(serving->nstack, 1));
	for (int i = 0; i < serving->nstack; i++)
		serving->stack[i] = nulls[i] ? 0 : DatumGetInt32(elements[i]);
}

/* five columns from the given one on: version, sha256, threshold, rules, checksum of the rules */
static void
read_bundle(int column, MlServed *bundle)
{
	Datum		digest;
	bool		isnull;

	memset(bundle, 0, sizeof(MlServed));
	bundle->version = ml_result_int(0, column, 0);
	digest = ml_result_datum(0, column + 1, &isnull);
	if (!isnull)
		memcpy(bundle->sha256, VARDATA_ANY(DatumGetByteaPP(digest)), ML_SHA256_LENGTH);
	bundle->threshold = ml_result_float(0, column + 2);
	bundle->rules = ml_result_int(0, column + 3, 0);
	digest = ml_result_datum(0, column + 4, &isnull);
	if (!isnull)
		memcpy(bundle->rules_sha256, VARDATA_ANY(DatumGetByteaPP(digest)), ML_SHA256_LENGTH);
}

void
ml_deploy_read(const char *model, MlServing *serving)
{
	static MlStatement select = {
		"SELECT version, sha256, threshold, rules, rules_sha256, "
		"canary_version, canary_sha256, canary_threshold, canary_rules, canary_rules_sha256, "
		"deployment, canary_deployment, canary_share, canary_salt, stack, changed_at FROM mlops_catalog.serving "
		"WHERE model OPERATOR(pg_catalog.=) $1 FOR NO KEY UPDATE"
	};
	MlArguments args = {0};
	bool		isnull;

	ml_bind_text(&args, model);
	if (ml_statement_run(&select, &args) == 0)
		ml_error_model_gone(model);
	read_bundle(1, &serving->active);
	read_bundle(6, &serving->canary);
	serving->active.deployment = ml_result_int(0, 11, 0);
	serving->canary.deployment = ml_result_int(0, 12, 0);
	serving->share = ml_result_float(0, 13);
	serving->salt = ml_result_text(0, 14);
	read_stack(serving, DatumGetArrayTypeP(ml_result_datum(0, 15, &isnull)));
	serving->changed_at = ml_result_time(0, 16);
}

bool
ml_deploy_same(const MlServed *a, const MlServed *b)
{
	return a->version == b->version && a->rules == b->rules &&
		(a->threshold == b->threshold || (isnan(a->threshold) && isnan(b->threshold)));
}

static void
bind_bundle(MlArguments *args, const MlServed *bundle)
{
	ml_bind_int(args, bundle->version);
	ml_bind_bytes(args, bundle->sha256, ML_SHA256_LENGTH);
	ml_bind_float(args, bundle->threshold);
	ml_bind_int_or_null(args, bundle->rules, bundle->rules == 0);
	ml_bind_bytes(args, bundle->rules != 0 ? bundle->rules_sha256 : NULL, ML_SHA256_LENGTH);
}

/* what is active changes, and no canary runs */
static void
write_active(const MlDecision *decision, int deployment, TimestampTz at)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.serving SET version = $2, sha256 = $3, threshold = $4, rules = $5, rules_sha256 = $6, "
		"deployment = $7, changed_at = $8, stack = $9, canary_version = NULL, canary_sha256 = NULL, "
		"canary_threshold = NULL, canary_rules = NULL, canary_rules_sha256 = NULL, canary_deployment = NULL, "
		"canary_share = NULL, canary_salt = NULL WHERE model OPERATOR(pg_catalog.=) $1"
	};
	MlArguments args = {0};
	Datum	   *stack = palloc(sizeof(Datum) * Max(decision->nstack, 1));

	for (int i = 0; i < decision->nstack; i++)
		stack[i] = Int32GetDatum(decision->stack[i]);
	ml_bind_text(&args, decision->model);
	bind_bundle(&args, &decision->bundle);
	ml_bind_int(&args, deployment);
	ml_bind_time(&args, at);
	ml_bind_datum(&args, INT4ARRAYOID,
				  PointerGetDatum(construct_array(stack, decision->nstack, INT4OID,
												  sizeof(int32), true, TYPALIGN_INT)), false);
	ml_statement_run(&update, &args);
}

static void
write_canary(const MlDecision *decision, int deployment, TimestampTz at)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.serving SET canary_version = $2, canary_sha256 = $3, canary_threshold = $4, "
		"canary_rules = $5, canary_rules_sha256 = $6, canary_deployment = $7, changed_at = $8, canary_share = $9, "
		"canary_salt = $10 WHERE model OPERATOR(pg_catalog.=) $1"
	};
	MlArguments args = {0};

	ml_bind_text(&args, decision->model);
	bind_bundle(&args, &decision->bundle);
	ml_bind_int(&args, deployment);
	ml_bind_time(&args, at);
	ml_bind_float(&args, decision->share);
	ml_bind_text(&args, decision->salt);
	ml_statement_run(&update, &args);
}

static void
write_history(const MlDecision *decision, int deployment, TimestampTz at)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.deployment (model, number, action, version, sha256, threshold, "
		"from_version, from_deployment, restored_deployment, forced, evidence, reason, deployed_by, deployed_at, rules, "
		"share, canary_salt) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
	};
	MlArguments args = {0};

	ml_bind_text(&args, decision->model);
	ml_bind_int(&args, deployment);
	ml_bind_text(&args, decision->action);
	ml_bind_int(&args, decision->bundle.version);
	ml_bind_bytes(&args, decision->bundle.sha256, ML_SHA256_LENGTH);
	ml_bind_float(&args, decision->bundle.threshold);
	ml_bind_int_or_null(&args, decision->from->version, decision->from->version == 0);
	ml_bind_int_or_null(&args, decision->from->deployment, decision->from->version == 0);
	ml_bind_int_or_null(&args, decision->restored, decision->restored == 0);
	ml_bind_bool(&args, decision->forced);
	ml_bind_jsonb(&args, decision->evidence);
	ml_bind_text(&args, decision->reason);
	ml_bind_text(&args, decision->deployed_by);
	ml_bind_time(&args, at);
	ml_bind_int_or_null(&args, decision->bundle.rules, decision->bundle.rules == 0);
	ml_bind_float(&args, decision->share);
	ml_bind_text(&args, decision->share < 1 ? decision->salt : NULL);
	ml_statement_run(&insert, &args);
}

/* anyone may listen: nothing but what happened and its number */
static void
notify(const MlDecision *decision, int deployment)
{
	StringInfoData json;

	if (!ml_notify)
		return;
	initStringInfo(&json);
	appendStringInfoString(&json, "{\"model\": ");
	escape_json(&json, decision->model);
	appendStringInfo(&json, ", \"event\": \"%s\", \"deployment\": %d}",
					 decision->action, deployment);
	Async_Notify(CHANNEL, json.data);
	pfree(json.data);
}

int
ml_deploy_write(const MlDecision *decision, const MlServing *before, TimestampTz *at)
{
	int			deployment = ml_deploy_newest(before) + 1;

	*at = GetCurrentTimestamp();
	if (decision->share < 1)
		write_canary(decision, deployment, *at);
	else
		write_active(decision, deployment, *at);
	write_history(decision, deployment, *at);
	notify(decision, deployment);
	return deployment;
}

Datum
ml_deploy_result(FunctionCallInfo fcinfo, const MlDecision *decision, int deployment, TimestampTz at)
{
	TupleDesc	descriptor;
	Datum		values[DEPLOYED_COLUMNS];
	bool		nulls[DEPLOYED_COLUMNS] = {false};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE ||
		descriptor->natts != DEPLOYED_COLUMNS)
		elog(ERROR, "result is not of type mlops.deployed");
	values[0] = CStringGetTextDatum(decision->model);
	values[1] = Int32GetDatum(decision->bundle.version);
	values[2] = Float8GetDatum(decision->bundle.threshold);
	nulls[2] = isnan(decision->bundle.threshold);
	values[3] = Int32GetDatum(decision->bundle.rules);
	nulls[3] = decision->bundle.rules == 0;
	values[4] = Float8GetDatum(decision->share);
	values[5] = Int32GetDatum(deployment);
	values[6] = Int32GetDatum(decision->from->version);
	nulls[6] = decision->from->version == 0;
	values[7] = TimestampTzGetDatum(at);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls));
}
