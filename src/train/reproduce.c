/*
 * reproduce.c
 *		mlops_reproduce: trains a version again from its spec, registers
 *		nothing, and says whether the bytes are the same and, if not, why.
 *		mlops_rows: the rows that a version kept.
 *
 * A version that kept its rows is trained from these; otherwise from its
 * source as it is today.
 */
#include "postgres.h"

#include <math.h>

#include "compat.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "result.h"
#include "train/call.h"
#include "json.h"
#include "train/learn_link.h"
#include "train/retrain.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(mlops_reproduce);
PG_FUNCTION_INFO_V1(mlops_rows);

/* ---- the rows that were kept, as a source ---- */

static char *
text_at(JsonbContainer *object, const char *key)
{
	JsonbValue	value;

	if (getKeyJsonValueFromContainer(object, key, strlen(key), &value) == NULL ||
		value.type != jbvString)
		elog(ERROR, "column of a version lacks \"%s\"", key);
	return ml_json_string(&value);
}

/*
 * A query that gives the kept rows their types back. It runs as the author of
 * the source does: to make a value of a domain runs the domain's checks, which
 * are its owner's code.
 */
static char *
kept_source(const char *model, const MlVersionFacts *facts)
{
	JsonbContainer *columns = &facts->columns->root;
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "SELECT r.* FROM pg_catalog.mlops_rows(%s) AS j, LATERAL pg_catalog.jsonb_to_record(j) AS r(",
					 quote_literal_cstr(psprintf("%s/%d", model, facts->version)));
	for (int i = 0; i < JsonContainerSize(columns); i++)
	{
		JsonbValue *column = getIthJsonbValueFromContainer(columns, i);

		appendStringInfo(&text, "%s%s %s", i > 0 ? ", " : "",
						 quote_identifier(text_at(column->val.binary.data, "name")),
						 text_at(column->val.binary.data, "type"));
	}
	appendStringInfoString(&text, ")");
	return text.data;
}

/* ---- why the bytes differ ---- */

typedef struct Comparison
{
	StringInfoData why;
	Jsonb	   *now;
	const char *part;
	char	   *metric;			/* that differs most */
	double		then_value;
	double		now_value;
	double		difference;
} Comparison;

static void
say(Comparison *comparison, const char *sentence)
{
	appendStringInfo(&comparison->why, "%s%s", comparison->why.len > 0 ? "; " : "", sentence);
}

static void
compare_metric(void *arg, char *name, JsonbValue *value)
{
	Comparison *comparison = arg;
	JsonbValue	now;
	double		then_value;
	double		now_value;

	if (value->type != jbvNumeric || !ml_json_find(comparison->now, name, &now) ||
		now.type != jbvNumeric)
		return;
	then_value = ml_json_number(value);
	now_value = ml_json_number(&now);
	if (fabs(now_value - then_value) <= comparison->difference)
		return;
	comparison->difference = fabs(now_value - then_value);
	comparison->metric = psprintf("%s %s", comparison->part, name);
	comparison->then_value = then_value;
	comparison->now_value = now_value;
}

static void
compare_metrics(Comparison *comparison, const char *part, Jsonb *then, Jsonb *now)
{
	comparison->part = part;
	comparison->now = now;
	if (then != NULL && now != NULL)
		ml_json_each(then, compare_metric, comparison);
}

static void
compare_build(void *arg, char *name, JsonbValue *value)
{
	Comparison *comparison = arg;
	JsonbValue	now;

	if (value->type != jbvString || !ml_json_find(comparison->now, name, &now) ||
		now.type != jbvString || strcmp(ml_json_string(value), ml_json_string(&now)) == 0)
		return;
	say(comparison, psprintf("the build of %s changed: \"%s\" then, \"%s\" now",
							 name, ml_json_string(value), ml_json_string(&now)));
}

static bool
same_hash(MlHash128 a, MlHash128 b)
{
	return a.high == b.high && a.low == b.low;
}

static char *
explain_difference(const MlTraining *training, const MlVersionFacts *facts)
{
	Comparison	comparison = {{0}};

	initStringInfo(&comparison.why);
	if (!same_hash(facts->schema_fingerprint, training->frame->schema_fingerprint))
		say(&comparison, "the columns changed");
	if (!same_hash(facts->data_fingerprint, training->frame->set_fingerprint))
		say(&comparison, facts->rows_read == training->frame->rows_read
			? psprintf("the rows changed: " INT64_FORMAT " read, as then, but with other values",
					   facts->rows_read)
			: psprintf("the rows changed: " INT64_FORMAT " read then, " INT64_FORMAT " now",
					   facts->rows_read, training->frame->rows_read));
	comparison.now = ml_training_builds();
	ml_json_each(facts->builds, compare_build, &comparison);
	if (comparison.why.len == 0)
		say(&comparison, training->spec.options.canonical_order
			? "rows, columns and builds are the same: the processor or the linear algebra differs"
			: "rows, columns and builds are the same: with canonical_order off the order of rows matters");

	compare_metrics(&comparison, "training", facts->training_metrics, training->measured.training);
	compare_metrics(&comparison, "hold-out", facts->holdout_metrics, training->measured.holdout);
	if (comparison.metric != NULL)
		say(&comparison, psprintf("the metric that differs most is %s: %.6g then, %.6g now",
								  comparison.metric, comparison.then_value, comparison.now_value));
	else
		say(&comparison, "the metrics are the same");
	return comparison.why.data;
}

Datum
mlops_reproduce(PG_FUNCTION_ARGS)
{
	MlTraining *training = ml_call_begin(fcinfo);
	MemoryContext old = MemoryContextSwitchTo(training->cxt);
	MlVersionFacts facts;
	uint8		digest[ML_SHA256_LENGTH];
	bool		same;
	char	   *explanation;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	ml_retrain_prepare(training, ml_call_model(fcinfo), NULL, &facts);
	training->spec.options.keep_rows = false;
	training->reproduced = facts.version;
	training->from_kept = facts.rows_kept >= 0;
	if (training->from_kept)
		training->spec.source = kept_source(training->model, &facts);
	(void) ml_training_run(training, true, ml_call_is_atomic(fcinfo));

	ml_sha256(VARDATA_ANY(training->artifact), VARSIZE_ANY_EXHDR(training->artifact), digest);
	same = memcmp(digest, facts.sha256, ML_SHA256_LENGTH) == 0;
	explanation = same ? psprintf("the same bytes from %s", facts.rows_kept >= 0
								  ? "the rows that were kept" : "the source as it is now")
		: explain_difference(training, &facts);
	MemoryContextSwitchTo(old);

	values[0] = BoolGetDatum(same);
	values[1] = CStringGetTextDatum(explanation);
	ml_training_end(training);
	return ml_call_result(fcinfo, values, nulls);
}

/* ---- kept rows ---- */

static void
put_row(void *arg, Jsonb *row)
{
	Datum		value = JsonbPGetDatum(row);
	bool		isnull = false;

	ml_rows_add(arg, &value, &isnull);
}

Datum
mlops_rows(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	MlReference reference;
	MlResolved	resolved;
	MlVersionFacts facts;
	MlRows		rows;

	ml_reference_parse(name, strlen(name), &reference);
	ml_registry_resolve(&reference, ML_PRIVILEGE_READ, &resolved);
	ml_registry_version_facts(resolved.model, resolved.version, &facts);
	if (facts.rows_kept < 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %d of model \"%s\" did not keep its rows", resolved.version, resolved.model),
				 errdetail("It has a fingerprint of them, which does not bring them back."),
				 errhint("Train with options => '{\"keep_rows\": true}'.")));
	ml_rows_begin(fcinfo, &rows);
	ml_registry_kept_rows(resolved.model, resolved.version, put_row, &rows);
	return (Datum) 0;
}
