/*
 * pass.c
 *		The end of a pass: what the merged state of all rows makes of the fit.
 */
#include "postgres.h"

#include "errors.h"
#include "fold/fold.h"
#include "utils/memutils.h"

static void
require_rows(const MlFold *fold)
{
	if (fold->nrows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("a pass of \"%s\" has no rows", fold->algorithm->name),
				 errdetail("Rows with a NULL or NaN do not count."),
				 errhint("Give the pass rows to train on.")));
	if (fold->total >= 0 && fold->nrows != fold->total)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a pass of \"%s\" has not the rows that the first one had", fold->algorithm->name),
				 errdetail("It has " INT64_FORMAT " rows; the first had " INT64_FORMAT ".", fold->nrows, fold->total),
				 errhint("Run all passes on one snapshot: BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ.")));
}

/* carries the fit over to the next pass, which has no rows yet */
static void
next_pass(MlFold *fold)
{
	const MlAlgorithm *a = fold->passes;

	fold->npass = a->pass_size(fold->learner);
	fold->pass = ml_fold_alloc(fold, fold->npass, sizeof(double), "a pass");
	if (a->pass_save)
		a->pass_save(fold->learner, fold->pass);
	ml_fold_make_words(fold, a->state_size(fold->learner) / 8);
	fold->nrows = 0;
}

static void
end_survey(MlFold *fold)
{
	const MlAlgorithm *a = fold->passes;

	ml_fold_survey(fold);
	fold->stage = ML_STAGE_PASS;
	fold->total = fold->matrix.nrows = fold->nrows;
	fold->learner = a->start(&fold->fit);
}

bool
ml_fold_end_pass(MlFold *fold)
{
	MemoryContext old;
	bool		done = false;

	ml_fold_flush(fold);
	require_rows(fold);
	ml_fold_prepare(fold);
	old = MemoryContextSwitchTo(fold->hdr.eoh_context);
	if (fold->stage == ML_STAGE_SURVEY)
		end_survey(fold);
	else
	{
		fold->matrix.nrows = fold->nrows;
		done = fold->passes->end_pass(fold->learner, fold->words);
	}
	if (!done)
		next_pass(fold);
	MemoryContextSwitchTo(old);
	return done;
}

MlFitted *
ml_fold_finish(MlFold *fold)
{
	return fold->passes->finish(fold->learner);
}
