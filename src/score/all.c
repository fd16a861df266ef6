/*
 * all.c
 *		mlops_predict_all: what every version that has a role makes of one row.
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "score/score.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#define ALL_COLUMNS		4		/* role, version, prediction, label */
#define FALLBACK		"fallback"

typedef struct Rows
{
	Tuplestorestate *store;
	TupleDesc	desc;
} Rows;

static void
begin_rows(FunctionCallInfo fcinfo, Rows *rows)
{
	ReturnSetInfo *info = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext old;

	if (info == NULL || !IsA(info, ReturnSetInfo) ||
		!(info->allowedModes & SFRM_Materialize))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("mlops_predict_all returns rows, which cannot be used here"),
				 errhint("Call it in FROM, such as FROM t, mlops_predict_all('churn', t).")));
	old = MemoryContextSwitchTo(info->econtext->ecxt_per_query_memory);
	if (get_call_result_type(fcinfo, NULL, &rows->desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	rows->store = tuplestore_begin_heap(true, false, work_mem);
	info->returnMode = SFRM_Materialize;
	info->setResult = rows->store;
	info->setDesc = rows->desc;
	MemoryContextSwitchTo(old);
}

static void
put_row(FunctionCallInfo fcinfo, Rows *rows, const char *role, MlScorer *scorer,
		MlInput input)
{
	MlTask		task = scorer->model->recipe->target.task;
	Datum		value[ALL_COLUMNS];
	bool		isnull[ALL_COLUMNS] = {false, false, true, true};
	double		prediction = get_float8_nan();

	if (ml_score_input(fcinfo, scorer, input))
		prediction = ml_model_predict(scorer->model, &scorer->row);
	value[0] = CStringGetTextDatum(role);
	value[1] = Int32GetDatum(scorer->resolved.version);
	value[2] = value[3] = (Datum) 0;
	if (!isnan(prediction) && task != ML_TASK_MULTICLASS)
	{
		value[2] = Float8GetDatum(prediction);
		isnull[2] = false;
	}
	if (!isnan(prediction) && task != ML_TASK_REGRESSION)
	{
		value[3] = ml_score_label(scorer, prediction);
		isnull[3] = false;
	}
	tuplestore_putvalues(rows->store, rows->desc, value, isnull);
}

/*
 * A plain model gives its active version and, if set, its fallback; a
 * reference with an alias or a number gives that version alone.
 */
static Datum
score_all(FunctionCallInfo fcinfo, MlInput input)
{
	MlScorer   *scorer = ml_score_scorer(fcinfo, ML_RESULT_ANY, ml_score_reference(fcinfo));
	MlReference reference = scorer->reference;
	Rows		rows;

	begin_rows(fcinfo, &rows);
	if (reference.version != 0)
		put_row(fcinfo, &rows, "pinned", scorer, input);
	else if (reference.alias[0] != '\0')
		put_row(fcinfo, &rows, reference.alias, scorer, input);
	else
	{
		put_row(fcinfo, &rows, "active", scorer, input);
		if (ml_registry_has_alias(reference.model, FALLBACK))
		{
			char	   *fallback = psprintf("%s@%s", reference.model, FALLBACK);

			scorer = ml_score_scorer(fcinfo, ML_RESULT_ANY, cstring_to_text(fallback));
			put_row(fcinfo, &rows, FALLBACK, scorer, input);
		}
	}
	return (Datum) 0;
}

#define SCORE_ALL(name, input) \
PG_FUNCTION_INFO_V1(name); \
Datum \
name(PG_FUNCTION_ARGS) \
{ \
	return score_all(fcinfo, input); \
}

SCORE_ALL(mlops_predict_all_record, ML_INPUT_RECORD)
SCORE_ALL(mlops_predict_all_json, ML_INPUT_JSON)
SCORE_ALL(mlops_predict_all_jsonb, ML_INPUT_JSONB)
SCORE_ALL(mlops_predict_all_text, ML_INPUT_TEXT)
SCORE_ALL(mlops_predict_all_array, ML_INPUT_ARRAY)
