/*
 * all.c
 *		mlops_predict_all: what every version that has a role makes of one row.
 */
#include "postgres.h"

#include "registry/canary.h"
#include "result.h"
#include "score/score.h"
#include "utils/builtins.h"
#include "utils/float.h"

#define ALL_COLUMNS		4		/* role, version, prediction, label */
#define FALLBACK		"fallback"

/* scorer: whose output it is; label: that a rule gave, or NULL */
static void
put_row(MlRows *rows, const char *role, int version, const MlScorer *scorer, const double *output, const char *label)
{
	Datum		value[ALL_COLUMNS];
	bool		isnull[ALL_COLUMNS] = {false, false, true, true};

	ml_rows_text(value, isnull, 0, role);
	value[1] = Int32GetDatum(version);
	if (output != NULL && !isnan(output[0]))
	{
		MlTask		task = scorer->model->recipe->target.task;

		ml_rows_number(value, isnull, 2, task != ML_TASK_MULTICLASS ? output[0] : get_float8_nan());
		isnull[3] = task == ML_TASK_REGRESSION || task == ML_TASK_ANOMALY;
		value[3] = isnull[3] ? (Datum) 0 : ml_score_label(scorer, output);
	}
	if (label != NULL)
		ml_rows_text(value, isnull, 3, label);
	ml_rows_add(rows, value, isnull);
}

static void
add_row(FunctionCallInfo fcinfo, MlRows *rows, const char *role, MlScorer *scorer,
		MlInput input)
{
	MlScoreInput how = {.fcinfo = fcinfo, .input = input};
	MlAnswer	answer;

	ml_score_answer_as(scorer, &how, ML_RESULT_ANY, &answer);
	put_row(rows, role, scorer->resolved.version, answer.decided.scorer, answer.decided.output, answer.decided.label);
}

/* one that cannot be asked of this row has no prediction, and is in nobody's way here either */
static void
add_shadows(FunctionCallInfo fcinfo, MlRows *rows, MlScorer *scorer, MlInput input)
{
	MlScoreInput how = {.fcinfo = fcinfo, .input = input};
	MlShadowShown shown;

	for (int i = 0; ml_score_show_shadow(scorer, i, &how, &shown); i++)
		put_row(rows, psprintf(ML_SHADOW_PREFIX "%s", shown.name), shown.version, shown.scorer, shown.output, NULL);
}

/*
 * A plain model gives its active version, its canary if one runs, its shadows by name, and its fallback if set; a
 * reference with an alias or a number gives that version alone.
 */
static Datum
score_all(FunctionCallInfo fcinfo, MlInput input)
{
	MlScorer   *scorer = ml_score_resolve(fcinfo, ML_RESULT_ANY, ml_score_reference(fcinfo));
	MlReference reference = scorer->reference;
	MlRows		rows;

	ml_rows_begin(fcinfo, &rows);
	if (reference.version != 0)
		add_row(fcinfo, &rows, "pinned", scorer, input);
	else if (reference.alias[0] != '\0')
		add_row(fcinfo, &rows, reference.alias, scorer, input);
	else
	{
		add_row(fcinfo, &rows, "active", scorer, input);
		if (scorer->canary != NULL)
			add_row(fcinfo, &rows, ML_CANARY, scorer->canary->side, input);
		add_shadows(fcinfo, &rows, scorer, input);
		if (ml_registry_has_alias(reference.model, FALLBACK))
		{
			char	   *fallback = psprintf("%s@%s", reference.model, FALLBACK);

			scorer = ml_score_resolve(fcinfo, ML_RESULT_ANY, cstring_to_text(fallback));
			add_row(fcinfo, &rows, FALLBACK, scorer, input);
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
