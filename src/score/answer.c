/*
 * answer.c
 *		The whole way of a row through a bundle: encoded, predicted, checked, and
 *		what rules make of the prediction.
 *
 * predict.c goes the short way itself where a bundle is plain, that is, where
 * nothing is asked of it but outputs. Whatever else a bundle has comes in
 * here, in one order, for every function that answers with a bundle.
 */
#include "postgres.h"

#include "score/score.h"

/* Encodes a row as this scorer's version reads it; false: the row is NULL, or all of it is. */
bool
ml_score_take(MlScorer *scorer, const MlScoreInput *input)
{
	if (input->fcinfo == NULL)
		return ml_score_record(scorer, input->record);
	if (input->first_column > 0)
		return ml_score_columns(scorer, input->fcinfo, input->first_column);
	return ml_score_input(input->fcinfo, scorer, input->input);
}

/* columns that are what the model reads need not be encoded; false: one is NULL or the like */
static bool
predict_directly(MlScorer *scorer, const MlScoreInput *input)
{
	const NullableDatum *column;
	double		prediction;

	if (input->first_column == 0 || !scorer->is_bound || !scorer->direct)
		return false;
	column = &input->fcinfo->args[input->first_column];
	prediction = ml_model_predict_columns(scorer->model, column + scorer->direct_first, scorer->direct_position);
	if (isnan(prediction))
		return false;
	scorer->work[0] = prediction;
	if (scorer->rules != NULL)
		scorer->rules->view.column = column;
	return true;
}

/* the outputs of the scorer's model; NULL: there are none. encoded: the row is in scorer->row */
static const double *
predict(MlScorer *scorer, const MlScoreInput *input, bool *is_row, bool *encoded)
{
	*is_row = true;
	*encoded = false;
	if (predict_directly(scorer, input))
		return scorer->work;
	scorer->mistyped = 0;
	*is_row = *encoded = ml_score_take(scorer, input);
	return *is_row ? ml_model_outputs(scorer->model, &scorer->row, scorer->work) : NULL;
}

static void
apply_rules(MlScorer *scorer, const MlScoreInput *input, MlResult result, bool encoded, MlAnswer *answer)
{
	MlScorerRules *rules = scorer->rules;
	MlDecided  *decided = &answer->decided;

	answer->checked = rules->checks != NULL;
	if (answer->checked)
		ml_score_check(scorer, result, encoded, answer);
	answer->ruled = rules->program->nrules > 0 && !(answer->barred && decided->output == NULL);
	if (answer->ruled)
		ml_score_decide(scorer, input, result, decided);
	else
		rules->fired.rules = rules->fired.errors = 0;
}

void
ml_score_answer(MlScorer *scorer, const MlScoreInput *input, MlResult result, MlAnswer *answer)
{
	bool		encoded;

	answer->scorer = scorer;
	answer->input = input;
	if (scorer->logging.on)
		INSTR_TIME_SET_CURRENT(answer->start);
	answer->output = predict(scorer, input, &answer->is_row, &encoded);
	answer->checked = answer->barred = answer->ruled = false;
	answer->failed = 0;
	ml_score_undecided(scorer, answer->output, &answer->decided);
	if (answer->is_row && scorer->rules != NULL)
		apply_rules(scorer, input, result, encoded, answer);
}
