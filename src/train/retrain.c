/*
 * retrain.c
 *		mlops_train_spec and mlops_retrain: training from a JSON document, the
 *		user's own or that of a version.
 *
 * A retrained source runs as the role that wrote it, under the settings that
 * it was written for. Who gives another source becomes its author, and it is
 * read under the settings of that role's session: one role's text must never
 * be read in a search_path that another chose.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "train/call.h"
#include "json.h"
#include "train/learn_link.h"
#include "train/retrain.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(mlops_train_spec);
PG_FUNCTION_INFO_V1(mlops_retrain);

static Datum
run_and_return(FunctionCallInfo fcinfo, MlTraining *training)
{
	Datum		value = Int32GetDatum(ml_training_run(training, false, ml_call_is_atomic(fcinfo)));
	bool		isnull = false;

	ml_training_end(training);
	return ml_call_result(fcinfo, &value, &isnull);
}

static const char *
current_role(void)
{
	return GetUserNameFromId(GetUserId(), false);
}

Datum
mlops_train_spec(PG_FUNCTION_ARGS)
{
	MlTraining *training = ml_call_begin(fcinfo);
	MemoryContext old = MemoryContextSwitchTo(training->cxt);
	Jsonb	   *json = ml_call_jsonb(fcinfo, 1);
	MlSpec	   *spec = &training->spec;

	if (json == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("no spec was given"),
				 errdetail("\"spec\" is NULL."),
				 errhint("For example spec => '{\"source\": \"customers\", \"target\": \"churned\"}'.")));
	ml_spec_read(spec, json);
	if (spec->author != NULL && strcmp(spec->author, current_role()) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the source of this spec was written by role \"%s\"", spec->author),
				 errdetail("A spec given by hand runs as the role that gives it, \"%s\".", current_role()),
				 errhint("Read the source; to run it as your own, leave \"author\" out. mlops_retrain runs it as its author.")));
	spec->author = NULL;
	training->note = ml_argument_text(fcinfo, 2);
	MemoryContextSwitchTo(old);
	return run_and_return(fcinfo, training);
}

/* ---- changes ---- */

typedef struct Filter
{
	const MlAlgorithm *algorithm;	/* whose parameters are kept */
	MlJson		json;
} Filter;

static void
keep_shared_param(void *arg, char *name, JsonbValue *value)
{
	Filter	   *filter = arg;

	if (ml_common_has(filter->algorithm, name))
	{
		ml_json_key(&filter->json, name);
		ml_json_value(&filter->json, value);
	}
}

static Jsonb *
object_at(Jsonb *json, const char *key)
{
	JsonbValue	value;

	if (!ml_json_find(json, key, &value) || value.type != jbvBinary ||
		!JsonContainerIsObject(value.val.binary.data))
		return ml_json_empty_object();
	return JsonbValueToJsonb(&value);
}

/* {"key": value} */
static Jsonb *
single(const char *key, const Jsonb *value)
{
	MlJson		json = {0};

	ml_json_begin_object(&json);
	ml_json_key(&json, key);
	ml_json_jsonb(&json, value);
	ml_json_end_object(&json);
	return ml_json_finish(&json);
}

static bool
changes_text(Jsonb *spec, Jsonb *changes, const char *key)
{
	JsonbValue	before;
	JsonbValue	after;

	if (!ml_json_find(changes, key, &after))
		return false;
	return !ml_json_find(spec, key, &before) || before.type != after.type ||
		(before.type == jbvString &&
		 strcmp(ml_json_string(&before), ml_json_string(&after)) != 0);
}

/*
 * Keys of changes replace those of the spec; params and options are merged one
 * level deep; a null removes. Another algorithm starts from its own defaults,
 * keeping the parameters that it has in common with the one before.
 */
static Jsonb *
apply_changes(Jsonb *spec, Jsonb *changes)
{
	Jsonb	   *params = object_at(spec, "params");
	Jsonb	   *options = object_at(spec, "options");
	Jsonb	   *merged = ml_json_merge(spec, changes);
	JsonbValue	value;

	if (changes_text(spec, changes, "algorithm"))
	{
		Filter		filter = {0};

		if (ml_json_find(merged, "algorithm", &value) && value.type == jbvString)
			filter.algorithm = ml_learn_algorithm(ml_json_string(&value));
		ml_json_begin_object(&filter.json);
		ml_json_each(params, keep_shared_param, &filter);
		ml_json_end_object(&filter.json);
		params = ml_json_finish(&filter.json);
	}

	/* a value that is no object stays where it is, for ml_spec_read to refuse */
	if (!ml_json_find(changes, "params", &value) || value.type == jbvBinary)
		merged = ml_json_merge(merged, single("params", ml_json_merge(params, object_at(changes, "params"))));
	if (ml_json_find(changes, "options", &value) && value.type == jbvBinary)
		merged = ml_json_merge(merged, single("options", ml_json_merge(options, object_at(changes, "options"))));
	return merged;
}

static void
refuse_changes(Jsonb *changes)
{
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(changes))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"changes\" must be a JSON object"),
				 errdetail("Found %s.", ml_json_show_jsonb(changes)),
				 errhint("For example changes => '{\"params\": {\"l2\": 0.1}}'.")));
	if (ml_json_find(changes, "author", &value))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"author\" of a spec cannot be changed"),
				 errdetail("It is the role that wrote the source."),
				 errhint("Give a source of your own: changes => '{\"source\": \"...\"}'.")));
}

/* Whoever trains a model may read the rows that it keeps, but not those of its source. */
static void
refuse_keeping(const MlSpec *spec, const MlVersionFacts *facts, const char *author)
{
	JsonbValue	before;

	if (!spec->options.keep_rows ||
		(ml_json_find(object_at(facts->spec, "options"), "keep_rows", &before) &&
		 before.type == jbvBool && before.val.boolean))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("the rows of a source that role \"%s\" wrote cannot be kept", author),
			 errdetail("Version %d did not keep them; kept rows can be read by everybody who may read the model.",
					   facts->version),
			 errhint("Ask \"%s\" to train with \"keep_rows\", or give a source of your own.", author)));
}

/* Who the source runs as, and under whose settings; see the head of this file. */
static void
settle_author(MlSpec *spec, const MlVersionFacts *facts, Jsonb *changes)
{
	const char *author = spec->author != NULL ? spec->author : facts->trained_by;
	bool		settings_given;
	JsonbValue	value;

	spec->author = NULL;
	if (strcmp(author, current_role()) == 0)
		return;
	settings_given = ml_json_find(changes, "settings", &value);
	if (ml_json_find(changes, "source", &value))
	{
		if (!settings_given)
			ml_spec_take_settings(spec);
		return;
	}
	if (settings_given)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the settings of a source that role \"%s\" wrote cannot be changed", author),
				 errdetail("The source runs as \"%s\", under the settings it was written for.", author),
				 errhint("Give the source too: it then runs as your own.")));
	refuse_keeping(spec, facts, author);
	spec->author = pstrdup(author);
}

static void
refuse_imported(const MlVersionFacts *facts)
{
	JsonbValue	format;

	if (ml_json_find(facts->spec, "imported", &format))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %d was imported, not trained", facts->version),
				 errdetail("It came from a document of format %s, and has no source to train again from.",
						   ml_json_show(&format)),
				 errhint("Train a version with CALL mlops_train(...), or name one that was trained.")));
}

void
ml_retrain_prepare(MlTraining *training, const char *reference, Jsonb *changes, MlVersionFacts *facts)
{
	MlReference parsed;
	MlResolved	resolved;

	ml_reference_parse(reference, strlen(reference), &parsed);
	ml_registry_resolve(&parsed, ML_PRIVILEGE_READ, &resolved);
	training->model = pstrdup(resolved.model);
	ml_registry_version_facts(resolved.model, resolved.version, facts);
	refuse_imported(facts);
	if (changes == NULL)
		changes = ml_json_empty_object();
	refuse_changes(changes);
	ml_spec_read(&training->spec, apply_changes(facts->spec, changes));
	settle_author(&training->spec, facts, changes);
}

/* a window of time that a retraining policy moves along stands still here */
static void
tell_window(const MlTraining *training, const MlVersionFacts *facts, Jsonb *changes)
{
	const MlSpec *spec = &training->spec;
	JsonbValue	value;

	if ((spec->since == NULL && spec->until == NULL) ||
		(changes != NULL && (ml_json_find(changes, "since", &value) || ml_json_find(changes, "until", &value))))
		return;
	ereport(NOTICE,
			(errmsg("training on the rows from %s until %s, as version %d was", spec->since ? spec->since : "the first",
					spec->until ? spec->until : "the last", facts->version),
			 errhint("changes => '{\"since\": null, \"until\": null}' takes all there are.")));
}

Datum
mlops_retrain(PG_FUNCTION_ARGS)
{
	MlTraining *training = ml_call_begin(fcinfo);
	MemoryContext old = MemoryContextSwitchTo(training->cxt);
	MlVersionFacts facts;

	ml_retrain_prepare(training, ml_call_model(fcinfo), ml_call_jsonb(fcinfo, 1), &facts);
	training->note = ml_argument_text(fcinfo, 2);
	tell_window(training, &facts, ml_call_jsonb(fcinfo, 1));
	MemoryContextSwitchTo(old);
	return run_and_return(fcinfo, training);
}
