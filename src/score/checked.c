/*
 * checked.c
 *		Checks of a bundle on a row: which fail, and who answers then.
 *
 * A row that fails a hard check is not the serving version's: the fallback
 * answers, and rules apply to what it says; where there is none, nothing is
 * predicted, whatever rules would make of the row.
 */
#include "postgres.h"

#include "score/score.h"
#include "utils/memutils.h"

/* columns that the version read itself are encoded only where one of them may be wrong */
static uint64
failed_checks(const MlAnswer *answer)
{
	MlScorer   *scorer = answer->scorer;
	const MlScoreInput *input = answer->input;
	const MlCheckPlan *plan = scorer->rules->checks;
	uint64		failed = ml_checks_output(plan, answer->output, scorer->model->noutputs);

	if (!answer->is_taken)
	{
		const NullableDatum *column = &input->fcinfo->args[input->first_column] + scorer->direct_first;

		if (likely(!ml_checks_suspect(plan, column, scorer->direct_position)))
			return failed;
		(void) ml_score_take(scorer, input);
	}
	return failed | scorer->mistyped | ml_checks_row(plan, &scorer->row);
}

/* What is decided of a row that a hard check bars: what the fallback says, finite too where that is checked. */
void
ml_score_barred(MlScorer *scorer, const MlScoreInput *input, MlResult result, MlDecided *decided)
{
	const MlCheckPlan *plan = scorer->rules->checks;
	MlScorer   *fallback = ml_score_used(scorer, ML_RULE_FALLBACK, &scorer->rules->fallback, result);

	decided->output = NULL;
	if (fallback == NULL)
		return;
	decided->scorer = fallback;
	if (!ml_score_take(fallback, input))
		return;
	decided->output = ml_model_outputs(fallback->model, &fallback->row, fallback->work);
	if (ml_checks_output(plan, decided->output, fallback->model->noutputs) & plan->hard)
		decided->output = NULL;
}

/* Fills in what checks find in a row, and changes what was decided where one of them bars it. */
void
ml_score_check(MlAnswer *answer, MlResult result)
{
	answer->failed = failed_checks(answer);
	answer->barred = (answer->failed & answer->scorer->rules->checks->hard) != 0;
	if (unlikely(answer->barred))
		ml_score_barred(answer->scorer, answer->input, result, &answer->decided);
}

/* ---- types ---- */

/* Has a version that the bundle uses take values as the bundle does: of a wrong type they are missing. */
void
ml_score_tolerate(MlScorer *used, const MlRuleProgram *program)
{
	const MlRecipe *recipe = ml_model_input_recipe(used->model);
	uint64	   *typed;

	if (used->typed != NULL || program->nchecks == 0)
		return;
	typed = MemoryContextAllocZero(used->cxt, sizeof(uint64) * Max(recipe->nfeatures, 1));
	for (int f = 0; f < recipe->nfeatures; f++)
		typed[f] = ml_checks_of_type(program, recipe->features[f].name);
	used->typed = typed;
}

/*
 * A value is not of its feature's type: missing, where a check of types says so;
 * false where nobody does, and it is an error.
 */
bool
ml_score_spares(MlScorer *scorer, const MlFeature *feature)
{
	int			f = feature - ml_model_input_recipe(scorer->model)->features;

	if (scorer->typed == NULL || scorer->typed[f] == 0)
		return false;
	scorer->mistyped |= scorer->typed[f];
	ml_recipe_put_null(feature, &scorer->row);
	return true;
}
