/*
 * look.c
 *		Models as users see them: coefficients, importance, what a card says of
 *		the recipe, and whether stored bytes can be trusted.
 *
 * Every function checks the privilege to read the model before it reads.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "compat.h"
#include "errors.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "model/look.h"
#include "result.h"
#include "utils/builtins.h"
#include "utils/json.h"

PG_FUNCTION_INFO_V1(mlops_coefficients);
PG_FUNCTION_INFO_V1(mlops_importance);
PG_FUNCTION_INFO_V1(mlops_version_card);
PG_FUNCTION_INFO_V1(mlops_artifact_check);
PG_FUNCTION_INFO_V1(mlops_artifact_verify);

const MlModel *
ml_look_model(const text *argument, MlResolved *resolved)
{
	MlReference reference;

	ml_reference_parse(VARDATA_ANY(argument), VARSIZE_ANY_EXHDR(argument), &reference);
	return ml_registry_model(&reference, ML_PRIVILEGE_READ, CurrentMemoryContext, resolved);
}

static void
put_term(void *arg, const MlTerm *term)
{
	const MlCoefficient *coefficient = term->coefficient;
	Datum		values[8];
	bool		nulls[8];

	CHECK_FOR_INTERRUPTS();
	ml_rows_text(values, nulls, 0, term->term);
	ml_rows_text(values, nulls, 1, term->feature);
	ml_rows_number(values, nulls, 2, coefficient->estimate);
	ml_rows_number(values, nulls, 3, coefficient->std_error);
	ml_rows_number(values, nulls, 4, coefficient->statistic);
	ml_rows_number(values, nulls, 5, coefficient->p_value);
	ml_rows_number(values, nulls, 6, term->ratio);
	ml_rows_text(values, nulls, 7, term->output);
	ml_rows_add(arg, values, nulls);
}

void
ml_look_refuse(const MlModel *model, const MlResolved *resolved, const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("version %d of model \"%s\" has no %s", resolved->version, resolved->model, what),
			 errdetail("It is of algorithm \"%s\".", model->algorithm),
			 errhint("%s", hint)));
}

/* mlops_coefficients(model text): the intercept first, then the columns of the design */
Datum
mlops_coefficients(PG_FUNCTION_ARGS)
{
	MlResolved	resolved;
	MlRows		result;
	const MlModel *model = ml_look_model(PG_GETARG_TEXT_PP(0), &resolved);

	if (model->routine->terms == NULL)
		ml_look_refuse(model, &resolved, "coefficients", "See mlops_importance(model) and mlops_describe(model).");
	ml_rows_begin(fcinfo, &result);
	model->routine->terms(model->predictor, model->recipe, put_term, &result);
	return (Datum) 0;
}

typedef struct MlRanked
{
	const char *feature;
	double		importance;
	int			position;
} MlRanked;

static int
compare_ranked(const void *a, const void *b)
{
	const MlRanked *x = a;
	const MlRanked *y = b;

	if (x->importance != y->importance)
		return x->importance > y->importance ? -1 : 1;
	return x->position - y->position;
}

/* mlops_importance(model text): the largest first, equal ones in the order of the source */
Datum
mlops_importance(PG_FUNCTION_ARGS)
{
	MlResolved	resolved;
	MlRows		result;
	const MlModel *model = ml_look_model(PG_GETARG_TEXT_PP(0), &resolved);
	int			n = model->recipe->nfeatures;
	double	   *importance = palloc(Max(n, 1) * sizeof(double));
	MlRanked   *ranked = palloc(Max(n, 1) * sizeof(MlRanked));
	double		total = 0;

	if (!ml_model_importance(model, importance))
		ml_look_refuse(model, &resolved, "importance of features", "See mlops_coefficients(model) and mlops_describe(model).");
	for (int i = 0; i < n; i++)
	{
		ranked[i].feature = model->recipe->features[i].name;
		ranked[i].importance = importance[i];
		ranked[i].position = i;
		total += importance[i];
	}
	qsort(ranked, n, sizeof(MlRanked), compare_ranked);

	ml_rows_begin(fcinfo, &result);
	for (int i = 0; i < n; i++)
	{
		Datum		values[3];
		bool		nulls[3];

		ml_rows_text(values, nulls, 0, ranked[i].feature);
		ml_rows_number(values, nulls, 1, ranked[i].importance);
		ml_rows_number(values, nulls, 2, total > 0 ? ranked[i].importance / total : 0.0);
		ml_rows_add(&result, values, nulls);
	}
	return (Datum) 0;
}

static void
put_key(StringInfo json, const char *key)
{
	if (json->data[json->len - 1] != '{')
		appendStringInfoChar(json, ',');
	escape_json(json, key);
	appendStringInfoChar(json, ':');
}

static void
put_number(StringInfo json, const char *key, int64 value)
{
	put_key(json, key);
	appendStringInfo(json, INT64_FORMAT, value);
}

static void
put_string(StringInfo json, const char *key, const char *value)
{
	put_key(json, key);
	if (value)
		escape_json(json, value);
	else
		appendStringInfoString(json, "null");
}

/* names of the category columns in which values were pooled, or NULL occurred */
static void
put_categories(StringInfo json, const char *key, const MlRecipe *recipe, bool pooled)
{
	bool		first = true;

	put_key(json, key);
	appendStringInfoChar(json, '[');
	for (int i = 0; i < recipe->nfeatures; i++)
	{
		const MlFeature *feature = &recipe->features[i];

		if (feature->kind != ML_KIND_CATEGORY ||
			!((pooled ? feature->pool_share : feature->null_share) > 0))
			continue;
		if (!first)
			appendStringInfoChar(json, ',');
		escape_json(json, feature->name);
		first = false;
	}
	appendStringInfoChar(json, ']');
}

/* what a model card says of the recipe, as jsonb */
static Datum
recipe_card(const MlModel *model, const MlResolved *resolved)
{
	static const char *const impute[] = {"mean", "median", "drop"};
	const MlRecipe *recipe = model->recipe;
	const MlTarget *target = &recipe->target;
	const MlPredictor *predictor = model->predictor;
	StringInfoData json;
	int			nnumbers = 0;

	for (int i = 0; i < recipe->nfeatures; i++)
		nnumbers += recipe->features[i].kind != ML_KIND_CATEGORY;
	if (predictor->kind == ML_PREDICTOR_GROUPED)
		predictor = ((const MlGrouped *) predictor)->pooled;	/* groups are of the same kind */
	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	put_number(&json, "version", resolved->version);
	put_number(&json, "features", recipe->nfeatures);
	put_number(&json, "number_features", nnumbers);
	put_number(&json, "category_features", recipe->ncategories);
	put_number(&json, "design_columns", recipe->ndesign);
	put_string(&json, "impute", impute[recipe->params.impute]);
	put_key(&json, "missing_indicator");
	appendStringInfoString(&json, recipe->params.missing_indicator ? "true" : "false");
	put_string(&json, "time_zone", recipe->time_zone);
	put_string(&json, "positive", target->task == ML_TASK_BINARY ?
			   target->class_label[target->positive] : NULL);
	put_number(&json, "classes", target->nclasses);
	put_key(&json, "has_coefficients");
	appendStringInfoString(&json, model->routine->terms ? "true" : "false");
	put_key(&json, "has_importance");
	appendStringInfoString(&json, model->routine->importance ? "true" : "false");
	put_string(&json, "kind", ML_ROUTINE(predictor)->name);
	put_key(&json, "model");
	ml_card_model(&json, model);
	put_key(&json, "tree");
	ml_card_tree(&json, model);
	put_categories(&json, "pooled", recipe, true);
	put_categories(&json, "with_null", recipe, false);
	appendStringInfoChar(&json, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

/* mlops.version_card(model text, OUT version jsonb, OUT recipe jsonb) */
Datum
mlops_version_card(PG_FUNCTION_ARGS)
{
	MlResolved	resolved;
	const MlModel *model = ml_look_model(PG_GETARG_TEXT_PP(0), &resolved);
	TupleDesc	tupdesc;
	Datum		value[2];
	bool		isnull[2] = {0};

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	value[0] = JsonbPGetDatum(ml_registry_version_json(resolved.model, resolved.version));
	value[1] = recipe_card(model, &resolved);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), value, isnull)));
}

/*
 * mlops.artifact_check(artifact bytea): reads the bytes as a model and says in
 * one line what they hold, or raises ML004. The checksum is not looked at.
 */
Datum
mlops_artifact_check(PG_FUNCTION_ARGS)
{
	bytea	   *artifact = PG_GETARG_BYTEA_PP(0);
	MlModel    *model = ml_model_read(VARDATA_ANY(artifact), VARSIZE_ANY_EXHDR(artifact),
									  CurrentMemoryContext);
	const MlRecipe *recipe = model->recipe;
	text	   *result = cstring_to_text(psprintf("%s: %d features, %d numbers, %d categories, %d design columns",
												  model->algorithm, recipe->nfeatures,
												  recipe->nnumbers, recipe->ncategories,
												  recipe->ndesign));

	MemoryContextDelete(model->cxt);
	PG_RETURN_TEXT_P(result);
}

/*
 * mlops.artifact_verify(model text): loads a version from its stored bytes,
 * whatever the cache holds. Raises ML004 if parts are missing, the checksum
 * is another, or the bytes are no model.
 */
Datum
mlops_artifact_verify(PG_FUNCTION_ARGS)
{
	text	   *argument = PG_GETARG_TEXT_PP(0);
	MlReference reference;
	MlResolved	resolved;
	MlModel    *model;

	ml_reference_parse(VARDATA_ANY(argument), VARSIZE_ANY_EXHDR(argument), &reference);
	ml_registry_resolve(&reference, ML_PRIVILEGE_READ, &resolved);
	model = ml_model_load(resolved.sha256, ml_registry_artifact(&resolved), CurrentMemoryContext);
	MemoryContextDelete(model->cxt);
	PG_RETURN_VOID();
}
