/*
 * answer.c
 *		The whole way of a row through a bundle: to its side where a canary
 *		runs, encoded, predicted, checked, and what rules make of the prediction.
 *
 * predict.c goes the short way itself where a bundle is plain, that is, where
 * nothing is asked of it but outputs. Whatever else a bundle has comes in
 * here, in one order, for every function that answers with a bundle.
 */
#include "postgres.h"

#include "score/score.h"
#include "utils/builtins.h"
#include "utils/float.h"

/* Encodes a row as this scorer's version reads it; false: the row is NULL, or all of it is. */
bool
ml_score_take(MlScorer *scorer, const MlScoreInput *input)
{
	scorer->mistyped = 0;
	if (input->fcinfo == NULL)
		return ml_score_record(scorer, input->record);
	if (input->first_column > 0)
		return ml_score_columns(scorer, input->fcinfo, input->first_column);
	return ml_score_input(input->fcinfo, scorer, input->input);
}

/* columns that are what the model reads need not be encoded; false: one is NULL or the like */
static bool
predict_directly(MlScorer *scorer, const MlScoreInput *input, MlAnswer *answer)
{
	const NullableDatum *column;
	double		prediction;

	if (input->first_column == 0 || !scorer->is_bound || !scorer->direct ||
		(scorer->counts != NULL && !scorer->counts_columns))
		return false;
	column = &input->fcinfo->args[input->first_column];
	prediction = ml_model_predict_columns(scorer->model, column + scorer->direct_first, scorer->direct_position);
	if (isnan(prediction))
		return false;
	scorer->work[0] = prediction;
	answer->columns = column + scorer->direct_first;
	if (scorer->rules != NULL)
		scorer->rules->view.column = column;
	return true;
}

const double *
ml_score_outputs(MlAnswer *answer)
{
	MlScorer   *scorer = answer->scorer;

	answer->columns = NULL;
	if (!answer->is_taken)
	{
		answer->is_row = true;
		if (predict_directly(scorer, answer->input, answer))
			return scorer->work;
		answer->is_row = ml_score_take(scorer, answer->input);
		answer->is_taken = true;
	}
	return answer->is_row ? ml_model_outputs(scorer->model, &scorer->row, scorer->work) : NULL;
}

static void
apply_rules(MlAnswer *answer, MlResult result)
{
	MlScorerRules *rules = answer->scorer->rules;
	MlDecided  *decided = &answer->decided;

	answer->checked = rules->checks != NULL;
	if (answer->checked)
		ml_score_check(answer, result);
	answer->ruled = rules->program->nrules > 0 && !(answer->barred && decided->output == NULL);
	if (answer->ruled)
		ml_score_decide(answer->scorer, answer->input, result, decided);
	else
		rules->fired.rules = rules->fired.errors = 0;
}

static void
finish(MlAnswer *answer, MlResult result)
{
	answer->output = ml_score_outputs(answer);
	answer->checked = answer->barred = answer->ruled = false;
	answer->failed = 0;
	ml_score_undecided(answer->scorer, answer->output, &answer->decided);
	if (answer->is_row && answer->scorer->rules != NULL)
		apply_rules(answer, result);
}

void
ml_score_answer_as(MlScorer *scorer, const MlScoreInput *input, MlResult result, MlAnswer *answer)
{
	answer->asked = answer->scorer = scorer;
	answer->input = input;
	answer->is_taken = false;
	finish(answer, result);
}

void
ml_score_answer(MlScorer *scorer, const MlScoreInput *input, MlResult result, MlAnswer *answer)
{
	answer->asked = answer->scorer = scorer;
	answer->input = input;
	answer->is_taken = false;
	if (scorer->logging.on)
		INSTR_TIME_SET_CURRENT(answer->start);
	if (scorer->canary != NULL)
		answer->scorer = ml_score_side(scorer, input, &answer->is_taken, &answer->is_row);
	finish(answer, result);
}

/* of one class, of several */
static double
class_probability(const MlModel *model, const double *output, int class)
{
	double	   *probability = palloc(sizeof(double) * model->recipe->target.nclasses);
	double		result;

	ml_model_probabilities(model, output, probability);
	result = probability[class];
	pfree(probability);
	return result;
}

double
ml_score_number(const MlScorer *scorer, const double *output, char *number, const char **label)
{
	const MlTarget *target = &scorer->model->recipe->target;
	int			class;

	*label = NULL;
	if (output == NULL || isnan(output[0]))
		return get_float8_nan();
	if (target->task == ML_TASK_CLUSTER)
	{
		pg_ltoa((int) output[0], number);
		*label = number;
	}
	if (target->task != ML_TASK_BINARY && target->task != ML_TASK_MULTICLASS)
		return output[0];
	class = ml_model_class(scorer->model, output, scorer->resolved.threshold);
	*label = target->class_label[class];
	return target->task == ML_TASK_MULTICLASS ? class_probability(scorer->model, output, class) : output[0];
}
