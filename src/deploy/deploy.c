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

void
ml_deploy_read(const char *model, MlServing *serving)
{
	static MlStatement select = {
		"SELECT version, threshold, deployment, stack, changed_at, rules FROM mlops_catalog.serving "
		"WHERE model OPERATOR(pg_catalog.=) $1 FOR NO KEY UPDATE"
	};
	MlArguments args = {0};
	bool		isnull;

	ml_bind_text(&args, model);
	if (ml_statement_run(&select, &args) == 0)
		ml_error_model_gone(model);
	serving->version = ml_result_int(0, 1, 0);
	serving->threshold = ml_result_float(0, 2);
	serving->deployment = ml_result_int(0, 3, 0);
	read_stack(serving, DatumGetArrayTypeP(ml_result_datum(0, 4, &isnull)));
	serving->changed_at = DatumGetTimestampTz(ml_result_datum(0, 5, &isnull));
	serving->rules = ml_result_int(0, 6, 0);
}

static void
write_serving(const MlDecision *decision, int deployment, TimestampTz at)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.serving SET version = $2, sha256 = $3, threshold = $4, "
		"deployment = $5, stack = $6, changed_at = $7, rules = $8, rules_sha256 = $9 WHERE model OPERATOR(pg_catalog.=) $1"
	};
	MlArguments args = {0};
	Datum	   *stack = palloc(sizeof(Datum) * Max(decision->nstack, 1));

	for (int i = 0; i < decision->nstack; i++)
		stack[i] = Int32GetDatum(decision->stack[i]);
	ml_bind_text(&args, decision->model);
	ml_bind_int(&args, decision->version);
	ml_bind_bytes(&args, decision->sha256, ML_SHA256_LENGTH);
	ml_bind_float(&args, decision->threshold);
	ml_bind_int(&args, deployment);
	ml_bind_datum(&args, INT4ARRAYOID,
				  PointerGetDatum(construct_array(stack, decision->nstack, INT4OID,
												  sizeof(int32), true, TYPALIGN_INT)), false);
	ml_bind_datum(&args, TIMESTAMPTZOID, TimestampTzGetDatum(at), false);
	ml_bind_int_or_null(&args, decision->rules, decision->rules == 0);
	ml_bind_bytes(&args, decision->rules != 0 ? decision->rules_sha256 : NULL, ML_SHA256_LENGTH);
	ml_statement_run(&update, &args);
}

static void
write_history(const MlDecision *decision, const MlServing *before, int deployment, TimestampTz at)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.deployment (model, number, action, version, sha256, threshold, "
		"from_version, from_deployment, restored_deployment, forced, evidence, reason, deployed_by, deployed_at, rules) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
	};
	MlArguments args = {0};

	ml_bind_text(&args, decision->model);
	ml_bind_int(&args, deployment);
	ml_bind_text(&args, decision->action);
	ml_bind_int(&args, decision->version);
	ml_bind_bytes(&args, decision->sha256, ML_SHA256_LENGTH);
	ml_bind_float(&args, decision->threshold);
	ml_bind_int_or_null(&args, before->version, before->version == 0);
	ml_bind_int_or_null(&args, before->deployment, before->version == 0);
	ml_bind_int_or_null(&args, decision->restored, decision->restored == 0);
	ml_bind_bool(&args, decision->forced);
	ml_bind_jsonb(&args, decision->evidence);
	ml_bind_text(&args, decision->reason);
	ml_bind_text(&args, decision->deployed_by);
	ml_bind_datum(&args, TIMESTAMPTZOID, TimestampTzGetDatum(at), false);
	ml_bind_int_or_null(&args, decision->rules, decision->rules == 0);
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

TimestampTz
ml_deploy_write(const MlDecision *decision, const MlServing *before)
{
	int			deployment = before->deployment + 1;
	TimestampTz at = GetCurrentTimestamp();

	write_serving(decision, deployment, at);
	write_history(decision, before, deployment, at);
	notify(decision, deployment);
	return at;
}

Datum
ml_deploy_result(FunctionCallInfo fcinfo, const MlDecision *decision,
				 int deployment, int previous_version, TimestampTz at)
{
	TupleDesc	descriptor;
	Datum		values[DEPLOYED_COLUMNS];
	bool		nulls[DEPLOYED_COLUMNS] = {false};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE ||
		descriptor->natts != DEPLOYED_COLUMNS)
		elog(ERROR, "result is not of type mlops.deployed");
	values[0] = CStringGetTextDatum(decision->model);
	values[1] = Int32GetDatum(decision->version);
	values[2] = Float8GetDatum(decision->threshold);
	nulls[2] = isnan(decision->threshold);
	values[3] = Int32GetDatum(decision->rules);
	nulls[3] = decision->rules == 0;
	values[4] = Float8GetDatum(1.0);	/* share */
	values[5] = Int32GetDatum(deployment);
	values[6] = Int32GetDatum(previous_version);
	nulls[6] = previous_version == 0;
	values[7] = TimestampTzGetDatum(at);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls));
}
