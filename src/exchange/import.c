/*
 * import.c
 *		mlops_import: a version from a document.
 *
 * The version's spec says that it was imported and how; its rows are 0 and its
 * fingerprints nothing, since it was trained elsewhere.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "exchange/exchange.h"
#include "fmgr.h"
#include "metric/metric.h"
#include "recipe/task.h"
#include "json.h"
#include "train/train.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(mlops_import);
PG_FUNCTION_INFO_V1(mlops_import_text);

static const char *const format_names[] = {"json", "xgboost", "coefficients"};

/* ---- arguments ---- */

static char *
option_text(Jsonb *options, const char *key)
{
	JsonbValue	value;

	if (!ml_json_find(options, key, &value) || value.type == jbvNull)
		return NULL;
	if (value.type != jbvString)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" must be a text", key),
				 errdetail("Found %s.", ml_json_show(&value)),
				 errhint("For example options => '{\"target\": \"churned\", \"positive\": \"yes\", \"negative\": \"no\"}'.")));
	return ml_json_string(&value);
}

static void
take_classes(MlImport *import, Jsonb *options)
{
	JsonbValue	value;
	JsonbContainer *array;

	if (!ml_json_find(options, "classes", &value))
		return;
	if (value.type != jbvBinary || !JsonContainerIsArray(value.val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"classes\" must be an array of texts"),
				 errdetail("Found %s.", ml_json_show(&value)),
				 errhint("For example options => '{\"classes\": [\"setosa\", \"versicolor\", \"virginica\"]}'.")));
	array = value.val.binary.data;
	import->nclasses = JsonContainerSize(array);
	import->classes = palloc(sizeof(char *) * Max(import->nclasses, 1));
	for (int i = 0; i < import->nclasses; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array, i);

		import->classes[i] = element->type == jbvString ? ml_json_string(element) : pstrdup(ml_json_show(element));
	}
}

static void
check_option(void *arg, char *key, JsonbValue *value)
{
	static const char *const known[] = {"target", "link", "positive", "negative", "classes", "levels"};
	MlNearest	nearest;

	ml_nearest_begin(&nearest, key);
	for (int i = 0; i < (int) lengthof(known); i++)
	{
		if (strcmp(known[i], key) == 0)
			return;
		ml_nearest_offer(&nearest, known[i]);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("mlops_import has no option \"%s\"", key),
			 errdetail("Its options are: target, link, positive, negative, classes, levels."),
			 nearest.best != NULL ? errhint("Perhaps you meant \"%s\".", nearest.best) :
			 errhint("As in options => '{\"target\": \"churned\", \"positive\": \"yes\"}'.")));
}

static void
take_options(MlImport *import, Jsonb *options)
{
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(options))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"options\" must be a JSON object"),
				 errdetail("Found %s.", ml_json_show_jsonb(options)),
				 errhint("For example options => '{\"target\": \"churned\"}'.")));
	ml_json_each(options, check_option, NULL);
	import->target = option_text(options, "target");
	import->link = option_text(options, "link");
	import->positive = option_text(options, "positive");
	import->negative = option_text(options, "negative");
	take_classes(import, options);
	if (ml_json_find(options, "levels", &value) && value.type == jbvBinary &&
		JsonContainerIsObject(value.val.binary.data))
		import->levels = JsonbValueToJsonb(&value);
}

static const char *
format_of(Jsonb *document, const char *given)
{
	JsonbValue	value;

	if (given == NULL)
		return ml_json_find(document, "learner", &value) ? "xgboost"
			: ml_json_find(document, "format", &value) ? "json" : "coefficients";
	for (int i = 0; i < (int) lengthof(format_names); i++)
		if (strcmp(format_names[i], given) == 0)
			return format_names[i];
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" is no format of mlops_import", given),
			 errdetail("The formats are: json, xgboost, coefficients."),
			 errhint("Leave the format out: it is told by the document.")));
	return NULL;				/* keep the compiler quiet */
}

/* XGBoost writes NaN where a condition says nothing, which JSON does not have */
static char *
without_nan(char *text)
{
	bool		quoted = false;

	for (char *c = text; *c != '\0'; c++)
	{
		if (quoted && *c == '\\' && c[1] != '\0')
			c++;
		else if (*c == '"')
			quoted = !quoted;
		else if (!quoted && strncmp(c, "NaN", 3) == 0)
			memcpy(c, "0e0", 3);
	}
	return text;
}

/* ---- the version ---- */

static void
settle_model(MlImport *import, MlModelRow **row)
{
	MlReference reference;

	ml_reference_parse(import->model, strlen(import->model), &reference);
	if (reference.alias[0] != '\0' || reference.version != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is a reference to a version, not the name of a model", import->model),
				 errdetail("It has a %s after the name.", reference.alias[0] != '\0' ? "\"@\"" : "\"/\""),
				 errhint("Importing makes a new version: give the name alone, \"%s\".", reference.model)));
	*row = ml_registry_model_row(import->model);
	if (*row == NULL)
		return;
	ml_privilege_require(import->model, ML_PRIVILEGE_TRAIN);
	if (import->target == NULL)
		import->target = (*row)->target;
	import->task = (*row)->task != NULL ? ml_task_find((*row)->task) : 0;
	if (import->positive == NULL)
		import->positive = (*row)->positive;
}

static void
check_model(const MlImport *import, const MlModelRow *row, MlModel *model)
{
	MlTarget   *target = &model->recipe->target;
	bool		supervised = (target->task & ML_TASKS_UNSUPERVISED) == 0;

	if (import->task != 0 && import->task != target->task)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\" is for %s, but the document is for %s", import->model,
						ml_task_name(import->task), ml_task_name(target->task)),
				 errdetail("The versions of a model have one task, so that they can be compared."),
				 errhint("Import it into a model of another name.")));
	if (target->name == NULL && import->target != NULL && supervised)
		target->name = pstrdup(import->target);
	if (supervised && target->name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no target was given for model \"%s\"", import->model),
				 errdetail("The target is the column that the model predicts."),
				 errhint("Name it: options => '{\"target\": \"churned\"}'.")));
	if (row != NULL && row->target != NULL && supervised && strcmp(row->target, target->name) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\" predicts \"%s\", not \"%s\"", import->model, row->target, target->name),
				 errdetail("A model has one target, so that its versions can be compared."),
				 errhint("Import it into a model of another name.")));
}

static Jsonb *
describe_columns(const MlRecipe *recipe)
{
	MlJson		json = {0};

	ml_json_begin_array(&json);
	for (int i = 0; i < recipe->nfeatures; i++)
	{
		ml_json_begin_object(&json);
		ml_json_put_text(&json, "name", recipe->features[i].name);
		ml_json_put_text(&json, "type", recipe->features[i].type_name);
		ml_json_put_text(&json, "role", "feature");
		ml_json_end_object(&json);
	}
	ml_json_end_array(&json);
	return ml_json_finish(&json);
}

static Jsonb *
describe_import(const char *format, const MlModel *model)
{
	MlJson		json = {0};

	ml_json_begin_object(&json);
	ml_json_put_text(&json, "imported", format);
	ml_json_put_text(&json, "algorithm", model->algorithm);
	ml_json_put_text(&json, "target", model->recipe->target.name);
	ml_json_end_object(&json);
	return ml_json_finish(&json);
}

static int
insert(const MlImport *import, const char *format, const MlModel *model, bytea *artifact, const char *note)
{
	const MlTarget *target = &model->recipe->target;
	const MlMetric *metric = ml_metric_default(target->task);
	MlVersionRow row = {0};

	row.model = import->model;
	row.algorithm = model->algorithm;
	row.task = ml_task_name(target->task);
	row.target = target->name;
	row.threshold = NAN;
	row.spec = describe_import(format, model);
	row.params = row.rows_skipped = row.split = row.training_metrics = row.facts = row.durations = ml_json_empty_object();
	row.source = psprintf("imported: %s", format);
	row.columns = describe_columns(model->recipe);
	row.rows_kept = -1;
	row.note = note;
	row.builds = ml_training_builds();
	row.artifact = artifact;
	ml_registry_complete_model(import->model, target->name, row.task, metric != NULL ? metric->name : NULL);
	return ml_registry_insert_version(&row);
}

static int
import_document(MlImport *import, Jsonb *document, const char *given, const char *note)
{
	MlModelRow *row;
	MlModelRow	fresh = {0};
	MlModel		model = {0};
	MlFitted	fitted = {0};
	bytea	   *artifact;
	const char *format;

	if (!JB_ROOT_IS_OBJECT(document))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a document to import must be a JSON object"),
				 errdetail("Found %s.", ml_json_show_jsonb(document)),
				 errhint("For example '{\"(intercept)\": -1.2, \"tenure\": -0.02}'.")));
	format = format_of(document, given);
	ml_registry_require_writable("import a model");
	settle_model(import, &row);
	if (strcmp(format, "json") == 0)
		ml_import_json(document, &model);
	else if (strcmp(format, "xgboost") == 0)
		ml_import_xgboost(import, document, &model);
	else
		ml_import_coefficients(import, document, &model);
	check_model(import, row, &model);

	fitted.predictor = model.predictor;
	fitted.calibration = model.calibration;
	fitted.nfacts = model.nfacts;
	fitted.facts = palloc(sizeof(MlFact) * Max(model.nfacts, 1));
	for (int i = 0; i < model.nfacts; i++)
	{
		fitted.facts[i].name = model.fact_name[i];
		fitted.facts[i].value = model.fact_value[i];
	}
	artifact = ml_model_write(model.algorithm, model.recipe, &fitted);
	if (row == NULL)
	{
		fresh.name = unconstify(char *, import->model);
		fresh.positive = unconstify(char *, import->positive);
		ml_registry_create_model(&fresh);
	}
	return insert(import, format, &model, artifact, note);
}

void
ml_import_json(Jsonb *document, MlModel *model)
{
	MlFields	f;

	ml_fields_read(&f, document);
	ml_model_fields(&f, model);
}

static Datum
import_call(FunctionCallInfo fcinfo, Jsonb *document)
{
	MlImport	import = {0};
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops import", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	int			version;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("no model was given"),
				 errdetail("\"model\" is NULL."),
				 errhint("Name it: model => 'churn'.")));
	import.model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (!PG_ARGISNULL(3))
		take_options(&import, PG_GETARG_JSONB_P(3));
	version = import_document(&import, document,
							  PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2)),
							  PG_ARGISNULL(4) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(4)));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	PG_RETURN_INT32(version);
}

static void
require_document(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("no document was given"),
				 errdetail("\"document\" is NULL."),
				 errhint("For example document => '{\"(intercept)\": -1.2, \"tenure\": -0.02}'.")));
}

/* mlops_import(model text, document jsonb, format text, options jsonb, note text) */
Datum
mlops_import(PG_FUNCTION_ARGS)
{
	require_document(fcinfo);
	return import_call(fcinfo, PG_GETARG_JSONB_P(1));
}

/* the same from text */
Datum
mlops_import_text(PG_FUNCTION_ARGS)
{
	char	   *json;

	require_document(fcinfo);
	json = without_nan(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	return import_call(fcinfo, ml_json_parse(json, "A document is what mlops_export('churn') writes, a model of XGBoost as JSON, or coefficients: '{\"(intercept)\": -1.2}'."));
}
