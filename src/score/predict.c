/*
 * predict.c
 *		The functions that score, as SQL sees them.
 *
 * Three results (value, label, probabilities) times five inputs (record, json,
 * jsonb, text, float8[]); the key in each is the row's name in the log. The *_columns functions are what
 * the planner makes of a row of a table (support.c).
 *
 * None is strict: NULL input is a row that scores NULL, and a NULL model is an
 * error rather than a column of NULLs that nobody notices.
 */
#include "postgres.h"

#include "common/shortest_dec.h"
#include "score/hot.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

/* arguments of the public functions, and of the internal ones */
#define ARG_MODEL			0
#define ARG_INPUT			1
#define ARG_KEY				2
#define ARG_KEY_OF_COLUMNS	1
#define ARG_FIRST_COLUMN	3	/* model, key, names, columns... */

/* The model that a call names. */
text *
ml_score_reference(FunctionCallInfo fcinfo)
{
	if (unlikely(PG_ARGISNULL(ARG_MODEL)))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"model\" must not be NULL"),
				 errdetail("It was given as NULL."),
				 errhint("Name a model as in 'churn', 'churn@fallback' or 'churn/7'.")));
	return PG_GETARG_TEXT_PP(ARG_MODEL);
}

/* The class or the cluster that outputs stand for, as text. */
Datum
ml_score_label(const MlScorer *scorer, const double *output)
{
	const MlTarget *target = &scorer->model->recipe->target;
	int			class;

	if (target->task == ML_TASK_CLUSTER)
		return CStringGetTextDatum(psprintf("%d", (int) output[0]));
	class = ml_model_class(scorer->model, output, scorer->resolved.threshold);
	return CStringGetTextDatum(target->class_label[class]);
}

/* The shortest decimal that reads back as the same double. */
static Numeric
shortest_numeric(double value)
{
	char		decimal[DOUBLE_SHORTEST_DECIMAL_LEN];

	double_to_shortest_decimal_buf(value, decimal);
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(decimal),
											   ObjectIdGetDatum(InvalidOid),
											   Int32GetDatum(-1)));
}

static Datum
proba_datum(const MlScorer *scorer, const double *output)
{
	const MlTarget *target = &scorer->model->recipe->target;
	double	   *probability = (double *) palloc(sizeof(double) * target->nclasses);
	JsonbParseState *state = NULL;
	JsonbValue *object;

	ml_model_probabilities(scorer->model, output, probability);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int c = 0; c < target->nclasses; c++)
	{
		JsonbValue	key;
		JsonbValue	value;

		key.type = jbvString;
		key.val.string.val = target->class_label[c];
		key.val.string.len = strlen(target->class_label[c]);
		pushJsonbValue(&state, WJB_KEY, &key);
		value.type = jbvNumeric;
		value.val.numeric = shortest_numeric(probability[c]);
		pushJsonbValue(&state, WJB_VALUE, &value);
	}
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbPGetDatum(JsonbValueToJsonb(object));
}

/* NULL is a row that the recipe drops, NaN one that the model has no value for. */
static pg_attribute_always_inline Datum
finish(FunctionCallInfo fcinfo, const MlScorer *scorer, const double *output, MlResult result)
{
	if (unlikely(output == NULL || isnan(output[0])))
		PG_RETURN_NULL();
	if (result == ML_RESULT_VALUE)
		PG_RETURN_FLOAT8(output[0]);
	if (result == ML_RESULT_LABEL)
		return ml_score_label(scorer, output);
	return proba_datum(scorer, output);
}

Datum
ml_score_proba(const MlScorer *scorer, const double *output)
{
	return proba_datum(scorer, output);
}

Datum
ml_score_result(FunctionCallInfo fcinfo, const MlScorer *scorer, const double *output, MlResult result)
{
	return finish(fcinfo, scorer, output, result);
}

/* Encodes the input of a public function; false: the row is NULL, or all of it is. */
bool
ml_score_input(FunctionCallInfo fcinfo, MlScorer *scorer, MlInput input)
{
	if (PG_ARGISNULL(ARG_INPUT))
		return false;
	switch (input)
	{
		case ML_INPUT_RECORD:
			return ml_score_record(scorer, PG_GETARG_DATUM(ARG_INPUT));
		case ML_INPUT_JSON:
			return ml_score_json(scorer, PG_GETARG_TEXT_PP(ARG_INPUT));
		case ML_INPUT_JSONB:
			return ml_score_jsonb(scorer, PG_GETARG_JSONB_P(ARG_INPUT));
		case ML_INPUT_TEXT:
			return ml_score_text(scorer, PG_GETARG_TEXT_PP(ARG_INPUT));
		case ML_INPUT_ARRAY:
			return ml_score_array(scorer, PG_GETARG_ARRAYTYPE_P(ARG_INPUT));
	}
	elog(ERROR, "unknown sort of input: %d", (int) input);
}

/* the whole way, where a bundle is more than its version */
static pg_noinline Datum
score_fully(FunctionCallInfo fcinfo, MlScorer *scorer, const MlScoreInput *input, MlResult result)
{
	MlAnswer	answer;

	ml_score_answer(scorer, input, result, &answer);
	if (answer.scorer->counts != NULL)
		ml_score_watch->count(&answer);
	if (answer.scorer->logging.on)
		ml_score_watch->record(&answer);
	return ml_score_decided(fcinfo, &answer.decided, result);
}

static Datum
score_input(FunctionCallInfo fcinfo, MlResult result, MlInput input)
{
	MlScorer   *scorer = ml_score_scorer(fcinfo, result);
	MlScoreInput how = {.fcinfo = fcinfo, .input = input, .key_argument = ARG_KEY};

	if (unlikely(!scorer->plain))
		return score_fully(fcinfo, scorer, &how, result);
	if (!ml_score_input(fcinfo, scorer, input))
		PG_RETURN_NULL();
	return finish(fcinfo, scorer, ml_model_outputs(scorer->model, &scorer->row, scorer->work), result);
}

/* apart, so that the short way need not make room for it */
static pg_noinline Datum
score_columns_fully(FunctionCallInfo fcinfo, MlScorer *scorer, MlResult result)
{
	MlScoreInput how = {.fcinfo = fcinfo, .key_argument = ARG_KEY_OF_COLUMNS, .first_column = ARG_FIRST_COLUMN};

	return score_fully(fcinfo, scorer, &how, result);
}

/* columns that are scored as on the short way, and counted; other rows go the whole way */
static pg_noinline Datum
score_and_count(FunctionCallInfo fcinfo, MlScorer *scorer, MlResult result)
{
	const NullableDatum *column = &fcinfo->args[ARG_FIRST_COLUMN + scorer->direct_first];
	double		prediction;

	if (!scorer->is_bound || !scorer->direct || !scorer->counts_columns || scorer->logging.on || scorer->rules != NULL ||
		scorer->canary != NULL)
		return score_columns_fully(fcinfo, scorer, result);
	prediction = ml_model_predict_columns(scorer->model, column, scorer->direct_position);
	if (isnan(prediction))
		return score_columns_fully(fcinfo, scorer, result);
	ml_score_watch->count_columns(scorer, column, prediction);
	return finish(fcinfo, scorer, &prediction, result);
}

/* Columns that are what the model reads need not be encoded, but for NULL and the like. */
static pg_attribute_always_inline Datum
score_columns(FunctionCallInfo fcinfo, MlResult result)
{
	MlScorer   *scorer = ml_score_scorer(fcinfo, result);

	if (unlikely(!scorer->plain))
		return scorer->counts != NULL ? score_and_count(fcinfo, scorer, result) : score_columns_fully(fcinfo, scorer, result);
	if (likely(scorer->is_bound && scorer->direct))
	{
		double		prediction =
			ml_model_predict_columns(scorer->model,
									 &fcinfo->args[ARG_FIRST_COLUMN + scorer->direct_first],
									 scorer->direct_position);

		if (likely(!isnan(prediction)))
			return finish(fcinfo, scorer, &prediction, result);
	}
	if (!ml_score_columns(scorer, fcinfo, ARG_FIRST_COLUMN))
		PG_RETURN_NULL();
	return finish(fcinfo, scorer, ml_model_outputs(scorer->model, &scorer->row, scorer->work), result);
}

#define SCORE_INPUT(name, result, input) \
PG_FUNCTION_INFO_V1(name); \
Datum \
name(PG_FUNCTION_ARGS) \
{ \
	return score_input(fcinfo, result, input); \
}

#define SCORE_INPUTS(name, result) \
SCORE_INPUT(name##_record, result, ML_INPUT_RECORD) \
SCORE_INPUT(name##_json, result, ML_INPUT_JSON) \
SCORE_INPUT(name##_jsonb, result, ML_INPUT_JSONB) \
SCORE_INPUT(name##_text, result, ML_INPUT_TEXT) \
SCORE_INPUT(name##_array, result, ML_INPUT_ARRAY)

SCORE_INPUTS(mlops_predict, ML_RESULT_VALUE)
SCORE_INPUTS(mlops_predict_label, ML_RESULT_LABEL)
SCORE_INPUTS(mlops_predict_proba, ML_RESULT_PROBA)

#define SCORE_COLUMNS(name, result) \
PG_FUNCTION_INFO_V1(name); \
Datum \
name(PG_FUNCTION_ARGS) \
{ \
	return score_columns(fcinfo, result); \
}

SCORE_COLUMNS(mlops_predict_columns, ML_RESULT_VALUE)
SCORE_COLUMNS(mlops_predict_label_columns, ML_RESULT_LABEL)
SCORE_COLUMNS(mlops_predict_proba_columns, ML_RESULT_PROBA)
