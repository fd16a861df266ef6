/*
 * outcome.c
 *		mlops_record_outcome: the true label of a key, when it is known.
 *
 * A key may have several outcomes: later ones, and those of several sources and
 * annotators. Only the same source, annotator and moment twice is refused. A key
 * that was never predicted is kept too: its prediction may have been left
 * out of the log.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "json.h"
#include "lib/stringinfo.h"
#include "log/log.h"
#include "miscadmin.h"
#include "recipe/task.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "watch/outcome.h"

#define ML_ERROR_LABELS 20		/* classes that an error lists */

PG_FUNCTION_INFO_V1(mlops_record_outcome);

MlTask
ml_outcome_task(const char *word)
{
	return word == NULL ? (MlTask) 0 : (MlTask) ml_task_find(word);
}

const char *
ml_outcome_policy(const char *model)
{
	MlModelRow *row = ml_registry_model_row(model);
	JsonbValue	value;

	if (row != NULL && row->settings && ml_json_find(row->settings, "outcome_policy", &value) && value.type == jbvString)
		return ml_json_string(&value);
	return "latest";
}

/* the active version, or the newest, or 0 */
static int
version_of(const char *model)
{
	static MlStatement select = {
		"SELECT COALESCE((SELECT s.version FROM mlops_catalog.serving AS s WHERE s.model OPERATOR(pg_catalog.=) $1), "
		"(SELECT pg_catalog.max(v.version) FROM mlops_catalog.version AS v WHERE v.model OPERATOR(pg_catalog.=) $1))"
	};
	MlArguments args = {0};
	MlRegistryScope scope;
	int			version;

	ml_bind_text(&args, model);
	ml_registry_enter(&scope);
	ml_statement_run(&select, &args);
	version = ml_result_int(0, 1, 0);
	ml_registry_leave(&scope);
	return version;
}

/* the classes that a version knows */
static void
take_classes(int version, MlOutcomeKind *kind)
{
	MlReference reference = {.version = version};
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops outcome", ALLOCSET_SMALL_SIZES);
	MlResolved	resolved;
	const MlTarget *target;

	strlcpy(reference.model, kind->model, NAMEDATALEN);
	target = &ml_registry_model(&reference, ML_PRIVILEGE_PREDICT, cxt, &resolved)->recipe->target;
	kind->nclasses = target->nclasses;
	kind->positive = target->positive;
	kind->class_label = palloc(sizeof(char *) * Max(target->nclasses, 1));
	for (int i = 0; i < target->nclasses; i++)
		kind->class_label[i] = pstrdup(target->class_label[i]);
	MemoryContextDelete(cxt);
}

void
ml_outcome_kind(const char *model, MlOutcomeKind *kind)
{
	MlModelRow *row = ml_registry_model_row(model);
	int			version;

	memset(kind, 0, sizeof(MlOutcomeKind));
	if (row == NULL)
		ml_error_no_model(model, ML_SIGHT_NOW);
	kind->model = pstrdup(model);
	kind->task = ml_outcome_task(row->task);
	if (kind->task == ML_TASK_CLUSTER || kind->task == ML_TASK_PROJECTION || kind->task == ML_TASK_ANOMALY)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" has no outcomes", model),
				 errdetail("Its task is %s: it has no target that could come true.", row->task),
				 errhint("Outcomes are recorded for models that predict a target.")));
	if (kind->task == 0 || kind->task == ML_TASK_REGRESSION)
		return;
	version = version_of(model);
	if (version == 0)
		kind->task = 0;
	else
		take_classes(version, kind);
}

static const char *
read_number(const char *text)
{
	char	   *end;
	double		value = strtod(text, &end);

	if (end == text || !isfinite(value))
		return NULL;
	while (*end == ' ')
		end++;
	return *end == '\0' ? text : NULL;
}

const char *
ml_outcome_read(const MlOutcomeKind *kind, const char *text)
{
	bool		value;

	if (kind->task == 0)
		return text;
	if (kind->task == ML_TASK_REGRESSION)
		return read_number(text);
	for (int i = 0; i < kind->nclasses; i++)
		if (strcmp(kind->class_label[i], text) == 0)
			return kind->class_label[i];
	if (kind->nclasses == 2 && strcmp(kind->class_label[0], "false") == 0 &&
		strcmp(kind->class_label[1], "true") == 0 && parse_bool(text, &value))
		return kind->class_label[value ? 1 : 0];
	return NULL;
}

static void
error_no_outcome(const MlOutcomeKind *kind, const char *text)
{
	StringInfoData list;
	MlNearest	nearest;

	initStringInfo(&list);
	ml_nearest_begin(&nearest, text);
	for (int i = 0; i < kind->nclasses; i++)
	{
		if (i < ML_ERROR_LABELS)
			appendStringInfo(&list, "%s\"%s\"", i == 0 ? "" : ", ", kind->class_label[i]);
		ml_nearest_offer(&nearest, kind->class_label[i]);
	}
	if (kind->nclasses > ML_ERROR_LABELS)
		appendStringInfo(&list, " and %d more", kind->nclasses - ML_ERROR_LABELS);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("\"%s\" is no outcome of model \"%s\"", text, kind->model),
			 kind->task == ML_TASK_REGRESSION ? errdetail("It predicts a number.") :
			 errdetail("Its classes are %s.", list.data),
			 nearest.best ? errhint("Perhaps you meant \"%s\".", nearest.best) :
			 errhint("Give the value that the target column would have, as text.")));
}

static void
error_twice(const char *model, const char *key)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("an outcome of key \"%s\" of model \"%s\" is recorded already", key, model),
			 errdetail("It has the same time, source and annotator."),
			 errhint("Give another time to record a later outcome, or another annotator to record a second opinion.")));
}

/* has the key a logged prediction until then? */
static bool
is_predicted(const char *model, const char *key, TimestampTz at)
{
	static MlStatement select = {
		"SELECT FROM mlops_catalog.prediction AS p WHERE p.key OPERATOR(pg_catalog.=) $2 "
		"AND p.model OPERATOR(pg_catalog.=) $1 AND p.at OPERATOR(pg_catalog.<=) $3 LIMIT 1"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_text(&args, key);
	ml_bind_time(&args, at);
	return ml_statement_run(&select, &args) > 0;
}

static bool
insert(const char *model, const char *key, const char *outcome, TimestampTz at,
	   const char *source, const char *annotator)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.outcome (model, key, outcome, at, source, annotator) "
		"VALUES ($1, $2, $3, $4, COALESCE($5, ''), $6) ON CONFLICT DO NOTHING"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_text(&args, key);
	ml_bind_text(&args, outcome);
	ml_bind_time(&args, at);
	ml_bind_text(&args, source);
	ml_bind_text(&args, annotator);
	return ml_statement_run(&insert, &args) == 1;
}

/* source and annotator are parts of a key */
static char *
name_or_null(FunctionCallInfo fcinfo, int n, const char *argument)
{
	char	   *name = PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));

	if (name == NULL || strlen(name) <= ML_KEY_MAX)
		return name;
	ereport(ERROR,
			(errcode(ERRCODE_NAME_TOO_LONG),
			 errmsg("argument \"%s\" of mlops_record_outcome is too long", argument),
			 errdetail("It has %zu bytes; there can be %d.", strlen(name), ML_KEY_MAX),
			 errhint("Give a short name.")));
}

/* mlops_record_outcome(model, key, outcome, at, source, annotator) */
Datum
mlops_record_outcome(PG_FUNCTION_ARGS)
{
	char		key[ML_KEY_BUFFER];
	MlOutcomeKind kind;
	MlRegistryScope scope;
	TimestampTz at;
	char	   *model;
	char	   *given;
	char	   *source;
	char	   *annotator;
	const char *outcome;
	bool		inserted;
	bool		predicted;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "key");
	ml_require_argument(fcinfo, 2, "outcome");
	ml_require_argument(fcinfo, 3, "at");
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	(void) ml_score_key_argument(fcinfo, 1, key);
	given = text_to_cstring(PG_GETARG_TEXT_PP(2));
	at = PG_GETARG_TIMESTAMPTZ(3);
	source = name_or_null(fcinfo, 4, "source");
	annotator = name_or_null(fcinfo, 5, "annotator");
	if (annotator == NULL)
		annotator = GetUserNameFromId(GetUserId(), false);
	ml_registry_require_writable("record an outcome");
	ml_privilege_require(model, ML_PRIVILEGE_TRAIN);
	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the time of an outcome must be finite"),
				 errdetail("Outcomes belong to the last prediction before them."),
				 errhint("Give the time at which the outcome came true.")));
	ml_outcome_kind(model, &kind);
	outcome = ml_outcome_read(&kind, given);
	if (outcome == NULL)
		error_no_outcome(&kind, given);
	ml_registry_enter(&scope);
	inserted = insert(model, key, outcome, at, source, annotator);
	predicted = is_predicted(model, key, at);
	ml_registry_leave(&scope);
	if (!inserted)
		error_twice(model, key);
	PG_RETURN_BOOL(predicted);
}
