/*
 * transform.c
 *		mlops_transform: where a row lies in the space that a model made:
 *		coordinates on components, distances to centres, units of the last
 *		hidden layer.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "score/score.h"
#include "utils/array.h"

static Datum
array_of(const double *value, int n)
{
	Datum	   *element = (Datum *) palloc(sizeof(Datum) * n);

	for (int i = 0; i < n; i++)
		element[i] = Float8GetDatum(value[i]);
	return PointerGetDatum(construct_array(element, n, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL,
										   TYPALIGN_DOUBLE));
}

static Datum
transform(FunctionCallInfo fcinfo, MlInput input)
{
	MlScorer   *scorer = ml_score_resolve(fcinfo, ML_RESULT_TRANSFORM, ml_score_reference(fcinfo));
	const MlModel *model = scorer->model;
	int			n = ml_model_ntransform(model);
	double	   *result;

	if (!ml_score_input(fcinfo, scorer, input))
		PG_RETURN_NULL();
	result = (double *) palloc(sizeof(double) * Max(n, 1));
	if (!ml_model_transform(model, &scorer->row, scorer->work, result))
		PG_RETURN_NULL();
	return array_of(result, n);
}

#define TRANSFORM(name, input) \
PG_FUNCTION_INFO_V1(name); \
Datum \
name(PG_FUNCTION_ARGS) \
{ \
	return transform(fcinfo, input); \
}

TRANSFORM(mlops_transform_record, ML_INPUT_RECORD)
TRANSFORM(mlops_transform_json, ML_INPUT_JSON)
TRANSFORM(mlops_transform_jsonb, ML_INPUT_JSONB)
TRANSFORM(mlops_transform_text, ML_INPUT_TEXT)
TRANSFORM(mlops_transform_array, ML_INPUT_ARRAY)
