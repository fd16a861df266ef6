/*
 * text.c
 *		Rows as text or as an array of float8: all of the model's numbers in
 *		order, without names.
 *
 * The text is JSON or an array literal, told apart by how it begins:
 * {" and {} and [ are JSON, any other { opens an array literal.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "errors.h"
#include "json.h"
#include "lib/stringinfo.h"
#include "score/score.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"

#define ROW_HINT	"A row is a JSON object, '{\"tenure\": 3}', or an array of numbers, '{3, 0.5}'."

#define MAX_LISTED 20

/* An array has no place for the name or the bytes of a category or a time. */
static void
refuse_unflat(const MlScorer *scorer, const MlFeature *feature)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("an array of numbers cannot be scored by model \"%s\"",
					scorer->resolved.model),
			 errdetail("Version %d needs column \"%s\", trained as %s, which is %s.",
					   scorer->resolved.version, feature->name, feature->type_name,
					   ml_score_kind_name(feature->kind)),
			 errhint("Pass a row of a table, or jsonb with a key for each column.")));
}

static void
refuse_length(const MlScorer *scorer, int nvalues)
{
	const MlRecipe *recipe = ml_model_input_recipe(scorer->model);
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < recipe->nnumbers && i < MAX_LISTED; i++)
		appendStringInfo(&list, "%s\"%s\"", i == 0 ? "" : ", ", recipe->numbers[i].name);
	if (recipe->nnumbers > MAX_LISTED)
		appendStringInfo(&list, " and %d more", recipe->nnumbers - MAX_LISTED);
	ereport(ERROR,
			(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
			 errmsg("input of model \"%s\" has %d elements, not %d",
					scorer->resolved.model, nvalues, recipe->nnumbers),
			 errdetail("Version %d was trained on, in this order: %s.",
					   scorer->resolved.version, list.data),
			 errhint("Pass one number for each, NULL where it is not known.")));
}

/* May nvalues numbers without names be a row of this model? */
void
ml_score_flat_check(const MlScorer *scorer, int nvalues)
{
	const MlRecipe *recipe = ml_model_input_recipe(scorer->model);

	for (int f = 0; f < recipe->nfeatures; f++)
	{
		const MlFeature *feature = &recipe->features[f];

		if (feature->kind != ML_KIND_NUMBER && feature->kind != ML_KIND_ARRAY)
			refuse_unflat(scorer, feature);
	}
	if (nvalues != recipe->nnumbers)
		refuse_length(scorer, nvalues);
}

/* Encodes the numbers of all features in order; checked before. */
void
ml_score_flat(MlScorer *scorer, const double *value)
{
	const MlRecipe *recipe = ml_model_input_recipe(scorer->model);

	for (int f = 0; f < recipe->nfeatures; f++)
	{
		const MlFeature *feature = &recipe->features[f];

		if (feature->kind == ML_KIND_NUMBER)
			ml_recipe_put_number(feature, value[feature->first_number], &scorer->row);
		else
			ml_recipe_put_array(feature, value + feature->first_number, &scorer->row);
	}
	if (scorer->rules)
		ml_score_rules_flat(scorer, value);
}

static bool
encode_with_nulls(MlScorer *scorer, const ArrayType *array, int nvalues)
{
	const double *next = (const double *) ARR_DATA_PTR(array);
	const bits8 *bitmap = ARR_NULLBITMAP(array);
	double	   *value = (double *) palloc(sizeof(double) * Max(nvalues, 1));
	bool		all_null = true;

	for (int i = 0; i < nvalues; i++)
	{
		bool		isnull = !(bitmap[i / 8] & (1 << (i % 8)));

		/* NULL elements take no room in the data */
		value[i] = isnull ? get_float8_nan() : *next++;
		all_null = all_null && isnull;
	}
	if (!all_null)
		ml_score_flat(scorer, value);
	pfree(value);
	return !all_null;
}

bool
ml_score_array(MlScorer *scorer, ArrayType *array)
{
	int			nvalues = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

	ml_score_flat_check(scorer, nvalues);
	if (ARR_HASNULL(array))
		return encode_with_nulls(scorer, array, nvalues);
	ml_score_flat(scorer, (const double *) ARR_DATA_PTR(array));
	return true;
}

bool
ml_score_json(MlScorer *scorer, text *document)
{
	char	   *string = text_to_cstring(document);
	Jsonb	   *jsonb = ml_json_parse(string, ROW_HINT);
	bool		scored = ml_score_jsonb(scorer, jsonb);

	/* rules look at its text later */
	if (scorer->rules == NULL)
		pfree(jsonb);
	pfree(string);
	return scored;
}

static inline bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Does it begin as an array literal does: { and then neither " nor }? */
static bool
is_array_literal(const char *string)
{
	while (is_space(*string))
		string++;
	if (*string++ != '{')
		return false;
	while (is_space(*string))
		string++;
	return *string != '"' && *string != '}' && *string != '\0';
}

bool
ml_score_text(MlScorer *scorer, text *input)
{
	char	   *string = text_to_cstring(input);
	bool		scored;

	if (is_array_literal(string))
	{
		ErrorContextCallback callback = {error_context_stack, ml_hint_callback, ROW_HINT};
		Datum		array;

		error_context_stack = &callback;
		array = OidInputFunctionCall(F_ARRAY_IN, string, FLOAT8OID, -1);
		error_context_stack = callback.previous;
		scored = ml_score_array(scorer, DatumGetArrayTypeP(array));
		pfree(DatumGetPointer(array));
	}
	else
		scored = ml_score_json(scorer, input);
	pfree(string);
	return scored;
}
