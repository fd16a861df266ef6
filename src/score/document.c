/*
 * document.c
 *		Rows as JSON: an object with a key for each column that the model
 *		needs. null is NULL; keys that the model does not know are ignored.
 *
 * A JSON value must be of the sort that the column is of: nothing is guessed
 * from strings, and times are ISO 8601 under every DateStyle and TimeZone, so
 * that a document scores the same on every server. What is of another sort is an
 * error, or missing where a check of the bundle takes care of it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "score/score.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/numeric.h"

static const MlValueType numeric_type = {
	.type = NUMERICOID, .typmod = -1, .base = NUMERICOID,
	.kind = ML_KIND_NUMBER, .reading = ML_READ_NUMERIC
};

static const char *
json_sort(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return "null";
		case jbvString:
			return "a JSON string";
		case jbvNumeric:
			return "a JSON number";
		case jbvBool:
			return "a JSON boolean";
		case jbvBinary:
			if (JsonContainerIsArray(value->val.binary.data))
				return "a JSON array";
			return "a JSON object";
		default:
			return "a JSON value";
	}
}

/* what JSON must hold for a feature */
static const char *
wanted_sort(const MlFeature *feature)
{
	switch (feature->kind)
	{
		case ML_KIND_NUMBER:
			return strcmp(feature->type_name, "boolean") == 0 ?
				"true, false, 1 or 0" : "a JSON number";
		case ML_KIND_CATEGORY:
			return "a JSON string";
		case ML_KIND_TIME:
			return "a JSON string in ISO 8601 format";
		default:
			return "a JSON array of numbers";
	}
}

/* an error, unless a check of types has the value count as missing */
static void
reject_value(MlScorer *scorer, const MlFeature *feature, const char *found)
{
	if (ml_score_spares(scorer, feature))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("key \"%s\" of the input of model \"%s\" is %s",
					feature->name, scorer->resolved.model, found),
			 errdetail("Version %d was trained on it as %s.",
					   scorer->resolved.version, feature->type_name),
			 errhint("Pass %s, or null.", wanted_sort(feature))));
}

/* Only a column whose type's name does not rule it out takes true and false. */
static bool
takes_boolean(const MlFeature *feature)
{
	static const char *const number[] = {
		"smallint", "integer", "bigint", "real", "double precision", "numeric"
	};

	for (int i = 0; i < lengthof(number); i++)
	{
		size_t		length = strlen(number[i]);

		if (strncmp(feature->type_name, number[i], length) == 0 &&
			(feature->type_name[length] == '\0' || feature->type_name[length] == '('))
			return false;
	}
	return true;
}

static double
json_number(const JsonbValue *value)
{
	return ml_value_number(&numeric_type, NumericGetDatum(value->val.numeric));
}

/* What has no JSON number: the server writes these as strings, and so they are read. */
static bool
special_number(const JsonbValue *value, double *number)
{
	static const char *const name[] = {"NaN", "Infinity", "-Infinity"};
	const double special[] = {
		get_float8_nan(), get_float8_infinity(), -get_float8_infinity()
	};

	for (int i = 0; i < lengthof(name); i++)
	{
		if (value->val.string.len != strlen(name[i]) ||
			memcmp(value->val.string.val, name[i], value->val.string.len) != 0)
			continue;
		*number = special[i];
		return true;
	}
	return false;
}

static void
put_number(MlScorer *scorer, const MlFeature *feature, const JsonbValue *value)
{
	double		number;

	if (value->type == jbvNumeric)
		ml_recipe_put_number(feature, json_number(value), &scorer->row);
	else if (value->type == jbvBool && takes_boolean(feature))
		ml_recipe_put_number(feature, value->val.boolean ? 1.0 : 0.0, &scorer->row);
	else if (value->type == jbvString && special_number(value, &number))
		ml_recipe_put_number(feature, number, &scorer->row);
	else
		reject_value(scorer, feature, json_sort(value));
}

static void
reject_time(MlScorer *scorer, const MlFeature *feature,
			const JsonbValue *value, const char *detail)
{
	if (ml_score_spares(scorer, feature))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_DATETIME_FORMAT),
			 errmsg("invalid %s for key \"%s\" of the input of model \"%s\": \"%.*s\"",
					feature->type_name, feature->name, scorer->resolved.model,
					Min(value->val.string.len, 64), value->val.string.val),
			 errdetail("%s", detail),
			 errhint("Write it in ISO 8601 format, as \"2024-02-29T13:45:10\", \"13:45:10\" or \"P1DT2H\".")));
}

static bool
is_endless(const MlIsoTime *time)
{
	return time->usec == PG_INT64_MAX || time->usec == PG_INT64_MIN;
}

/* NULL: it is a time as the feature needs it; else what it is */
static const char *
parse_time(const MlFeature *feature, const JsonbValue *value, MlIsoTime *time)
{
	MlTimeGroup wanted = ml_time_group(feature);

	if (!ml_iso_parse(value->val.string.val, value->val.string.len, time))
		return "It is not a date or time in ISO 8601 format.";
	if (wanted != ML_TIME_ANY && wanted != time->group)
		return "It is another sort of date or time.";
	if (!feature->zoned && time->has_offset && !is_endless(time))
		return "It has an offset from UTC, but the model was trained on times without one.";
	return NULL;
}

static void
put_time(MlScorer *scorer, const MlFeature *feature, const JsonbValue *value)
{
	const MlRecipe *recipe = ml_model_input_recipe(scorer->model);
	MlIsoTime	time;
	const char *wrong;

	if (value->type != jbvString)
	{
		reject_value(scorer, feature, json_sort(value));
		return;
	}
	wrong = parse_time(feature, value, &time);
	if (wrong != NULL)
	{
		reject_time(scorer, feature, value, wrong);
		return;
	}
	if (feature->zoned && !is_endless(&time))
		time.usec = ml_recipe_utc(recipe, &time);
	ml_recipe_put_time(recipe, feature, time.usec, &scorer->row);
}

static void
reject_length(MlScorer *scorer, const MlFeature *feature, int length)
{
	if (ml_score_spares(scorer, feature))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
			 errmsg("array \"%s\" of the input of model \"%s\" has %d elements, not %d",
					feature->name, scorer->resolved.model, length, feature->nnumbers),
			 errdetail("Version %d was trained on arrays of %d elements.",
					   scorer->resolved.version, feature->nnumbers),
			 errhint("Pass arrays of the length that the model was trained on.")));
}

/* false: an element is no number, and the array missing */
static bool
take_elements(MlScorer *scorer, const MlFeature *feature, JsonbContainer *array, double *element)
{
	int			length = JsonContainerSize(array);

	for (int i = 0; i < length; i++)
	{
		JsonbValue *item = getIthJsonbValueFromContainer(array, i);

		if (item->type != jbvNumeric && item->type != jbvNull)
		{
			reject_value(scorer, feature, psprintf("a JSON array with %s in it", json_sort(item)));
			return false;
		}
		element[i] = item->type == jbvNull ? get_float8_nan() : json_number(item);
		pfree(item);
	}
	return true;
}

static void
put_array(MlScorer *scorer, const MlFeature *feature, const JsonbValue *value)
{
	JsonbContainer *container = value->type == jbvBinary ? value->val.binary.data : NULL;
	double	   *element;

	if (container == NULL || !JsonContainerIsArray(container))
	{
		reject_value(scorer, feature, json_sort(value));
		return;
	}
	if (JsonContainerSize(container) != feature->nnumbers)
	{
		reject_length(scorer, feature, JsonContainerSize(container));
		return;
	}
	element = (double *) palloc(sizeof(double) * Max(feature->nnumbers, 1));
	if (take_elements(scorer, feature, container, element))
		ml_recipe_put_array(feature, element, &scorer->row);
	pfree(element);
}

static void
put_value(MlScorer *scorer, const MlFeature *feature, const JsonbValue *value)
{
	if (value->type == jbvNull)
		ml_recipe_put_null(feature, &scorer->row);
	else if (feature->kind == ML_KIND_NUMBER)
		put_number(scorer, feature, value);
	else if (feature->kind == ML_KIND_TIME)
		put_time(scorer, feature, value);
	else if (feature->kind == ML_KIND_ARRAY)
		put_array(scorer, feature, value);
	else if (value->type == jbvString)
		ml_recipe_put_category(feature, value->val.string.val, value->val.string.len,
							   &scorer->row);
	else
		reject_value(scorer, feature, json_sort(value));
}

/* Some key is missing: says which, with the document's keys for the hint. */
static void
refuse_missing_keys(const MlScorer *scorer, JsonbContainer *object)
{
	const MlRecipe *recipe = ml_model_input_recipe(scorer->model);
	bool	   *missing = (bool *) palloc(sizeof(bool) * recipe->nfeatures);
	const char **key = (const char **) palloc(sizeof(char *) * (JsonContainerSize(object) + 1));
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue	value;
	int			nkeys = 0;

	for (int f = 0; f < recipe->nfeatures; f++)
		missing[f] = getKeyJsonValueFromContainer(object, recipe->features[f].name,
												  scorer->name_length[f], &value) == NULL;
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
		if (token == WJB_KEY)
			key[nkeys++] = pnstrdup(value.val.string.val, value.val.string.len);
	ml_score_refuse_missing(scorer, missing, nkeys, key, false);
}

/* the values' entries come after those of the keys */
static bool
has_values_all_null(const JsonbContainer *object)
{
	int			n = JsonContainerSize(object);

	for (int i = n; i < 2 * n; i++)
		if (!JBE_ISNULL(object->children[i]))
			return false;
	return n > 0;
}

static bool
encode_object(MlScorer *scorer, JsonbContainer *object)
{
	const MlRecipe *recipe = ml_model_input_recipe(scorer->model);

	if (has_values_all_null(object))
		return false;
	for (int f = 0; f < recipe->nfeatures; f++)
	{
		const MlFeature *feature = &recipe->features[f];
		JsonbValue	value;

		if (getKeyJsonValueFromContainer(object, feature->name,
										 scorer->name_length[f], &value) == NULL)
			refuse_missing_keys(scorer, object);
		put_value(scorer, feature, &value);
	}
	if (scorer->rules)
		ml_score_rules_document(scorer, object);
	return true;
}

static void
reject_element(MlScorer *scorer, int i, const JsonbValue *item)
{
	const MlRecipe *recipe = ml_model_input_recipe(scorer->model);

	if (ml_score_spares(scorer, &recipe->features[recipe->numbers[i].feature]))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("element %d of the input of model \"%s\" is %s",
					i + 1, scorer->resolved.model, json_sort(item)),
			 errdetail("An array holds the numbers of the model's columns in order; element %d is \"%s\".",
					   i + 1, recipe->numbers[i].name),
			 errhint("Pass numbers and nulls, or a JSON object with a key for each column.")));
}

/* An array stands for the model's numbers in order, as float8[] does. */
static bool
encode_array(MlScorer *scorer, JsonbContainer *array)
{
	int			n = JsonContainerSize(array);
	double	   *element;
	bool		all_null = true;

	ml_score_flat_check(scorer, n);
	element = (double *) palloc(sizeof(double) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		JsonbValue *item = getIthJsonbValueFromContainer(array, i);

		if (item->type != jbvNumeric && item->type != jbvNull)
			reject_element(scorer, i, item);
		element[i] = item->type == jbvNumeric ? json_number(item) : get_float8_nan();
		all_null = all_null && item->type == jbvNull;
		pfree(item);
	}
	if (!all_null)
		ml_score_flat(scorer, element);
	pfree(element);
	return !all_null;
}

bool
ml_score_jsonb(MlScorer *scorer, Jsonb *document)
{
	JsonbContainer *root = &document->root;
	JsonbValue	value;

	if (JB_ROOT_IS_SCALAR(document))
	{
		JsonbExtractScalar(root, &value);
		if (value.type == jbvNull)
			return false;
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("input of model \"%s\" is %s, not a JSON object",
						scorer->resolved.model, json_sort(&value)),
				 errdetail("Version %d was trained on %d columns.",
						   scorer->resolved.version, ml_model_input_recipe(scorer->model)->nfeatures),
				 errhint("Pass an object with a key for each column, such as to_jsonb(t) makes of a row.")));
	}
	if (JB_ROOT_IS_ARRAY(document))
		return encode_array(scorer, root);
	return encode_object(scorer, root);
}
