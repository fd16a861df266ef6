/*
 * fold.h
 *		The passes of a fit as SQL values and aggregates: the type mlops.state.
 *
 * A state is what the rows of a pass add up to, with all that it takes to add
 * more rows to it, to merge it with another and to end the pass: algorithm,
 * parameters, columns, and the doubles that carry the fit from pass to pass
 * (algorithm.h). So it can be made on one server and merged on another, and
 * nothing is kept beside it. A state without rows is the beginning of a pass.
 *
 * In memory a state is an expanded object with a learner of its own. Rows
 * gather in a block, and blocks go through the learner's consume and merge.
 */
#ifndef ML_FOLD_H
#define ML_FOLD_H

#include "postgres.h"

#include "budget.h"
#include "learn/algorithm.h"
#include "utils/expandeddatum.h"
#include "utils/jsonb.h"

#define ML_STATE_TYPE "mlops.state"
#define ML_FOLD_COLUMNS 10000	/* most columns of a state */

typedef enum MlStage
{
	ML_STAGE_SURVEY,			/* counts, means and deviations: what start needs to know */
	ML_STAGE_PASS				/* a pass of the learner */
} MlStage;

typedef struct MlFold
{
	ExpandedObjectHeader hdr;

	/* what two states that merge have in common */
	const MlAlgorithm *algorithm;
	const MlAlgorithm *passes;	/* its variant for the task and the parameters, once prepared */
	MlStage		stage;
	int			task;
	int			nclasses;
	int64		seed;
	int			ncolumns;		/* -1: not known before the first row */
	bool	   *scaled;			/* ncolumns */
	char	   *params_text;	/* JSON, all of them */
	int			npass;
	double	   *pass;			/* what carries the fit; none in the first pass */
	int64		total;			/* rows of the survey; -1: there was none */

	int64		nrows;			/* rows in the state and the block */

	/* the learner; made when it is needed */
	MlBudget	budget;
	void	   *params;
	MlDesignMatrix matrix;
	struct MlRecipe *recipe;	/* of encoded rows, else NULL; its columns are features */
	struct MlBlock *block;
	MlSurvey	survey;			/* ML_STAGE_SURVEY: made of words when the stage ends */
	MlFit		fit;
	void	   *learner;
	Size		nwords;			/* of the state, 8 bytes each */
	void	   *words;			/* of the learner, or of the survey */
	void	   *spare;			/* another such */

	/* rows that are not yet in the state, column by column */
	int			capacity;
	int			nbuffered;
	double	   *x;				/* x[j * capacity + i] */
	double	   *y;
	double	   *weight;
	bool		weighted;		/* one of them is not 1 */

	Size		flat_size;		/* as get_flat_size has told */
} MlFold;

/* ---- state.c: the value ---- */

/* a state without rows or columns, in a child of parent */
extern MlFold *ml_fold_make(MemoryContext parent, const MlAlgorithm *algorithm, Jsonb *params, int nclasses);

/*
 * The state of a datum, flat or expanded. In place if it may be written, else
 * a copy in a child of parent. ML004 for bytes that are no state.
 */
extern MlFold *ml_fold_get(Datum datum, MemoryContext parent);
extern MlFold *ml_fold_copy(MlFold *fold, MemoryContext parent);
extern MlFold *ml_fold_read(const char *bytes, Size length, MemoryContext parent);

/* memory in the object's context, zeroed, from its budget */
extern void *ml_fold_alloc(MlFold *fold, Size count, Size size, const char *what);

/* ---- rows.c: what is added up ---- */

extern void ml_fold_columns(MlFold *fold, int ncolumns);	/* known now */
extern void ml_fold_prepare(MlFold *fold);	/* makes the learner and the words */
extern void ml_fold_make_words(MlFold *fold, Size n);	/* anew, zeroed: their number can differ from pass to pass */
extern void ml_fold_add(MlFold *fold, const double *x, double y, double weight);
extern void ml_fold_flush(MlFold *fold);
extern void ml_fold_survey(MlFold *fold);	/* words to survey */

/* into is the earlier rows; both must be of one pass: 22023 */
extern void ml_fold_merge(MlFold *into, MlFold *other);

/* ---- encoded.c: rows for learners that take missing values and categories as they are ---- */

#define ML_CODES_TIME (-1)		/* instead of a number of codes: the column is a part of a time */

/* what the rows of such a learner are: from the codes of the columns in pass, if there are any. ML004 */
extern void ml_fold_layout(MlFold *fold);

/* the rows of the block as the learner takes them; 22023 for a code that there is not */
extern const struct MlBlock *ml_fold_block(MlFold *fold);

/* ---- pass.c: the end of a pass ---- */

/* ends the pass; true: the fit is done. Otherwise fold is the next pass, without rows */
extern bool ml_fold_end_pass(MlFold *fold);

/* what the fit says, in the current context; after the last pass */
extern MlFitted *ml_fold_finish(MlFold *fold);

/* ---- result.c ---- */

extern Jsonb *ml_fold_result(const MlFold *fold, const MlFitted *fitted);

#endif							/* ML_FOLD_H */
