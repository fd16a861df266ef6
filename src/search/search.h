/*
 * search.h
 *		Many candidates for one model: made from a space, measured on growing
 *		samples by cross-validation, weak ones dropped early.
 *
 * Successive halving: every rung gives the candidates that are left a larger
 * sample of the training rows and keeps the best of them (Jamieson & Talwalkar,
 * Non-stochastic best arm identification and hyperparameter optimization,
 * AISTATS 2016). Rows come in canonical order, which is random, so a sample is
 * a prefix.
 *
 * A search has a row in mlops.run, and so has each candidate. What a candidate
 * got at each rung is kept there: a search that was interrupted goes on from it.
 */
#ifndef ML_SEARCH_H
#define ML_SEARCH_H

#include "postgres.h"

#include "metric/custom.h"
#include "train/train.h"

#define ML_MAX_RUNGS	8
#define ML_MAX_FOLDS	20

typedef enum MlSearchMethod
{
	ML_SEARCH_AUTO,				/* grid if it is small enough, else random */
	ML_SEARCH_GRID, ML_SEARCH_RANDOM
} MlSearchMethod;

/* what a search may spend; laid out by ml_search_params[] */
typedef struct MlSearchBudget
{
	int64		candidates;
	double		seconds;
	int64		folds;
	int64		first_rows;		/* of the smallest sample; 0: by the number of rows */
	int64		reduction;		/* of reduction candidates one goes on, with that many times the rows */
	int			method;			/* MlSearchMethod */
} MlSearchBudget;

extern const MlParam ml_search_params[];

typedef enum MlCandidateState
{
	ML_CANDIDATE_ALIVE, ML_CANDIDATE_DROPPED, ML_CANDIDATE_FAILED
} MlCandidateState;

typedef struct MlCandidate
{
	int			number;			/* from 1 */
	char	   *algorithm;
	Jsonb	   *params;			/* as given to mlops_train */
	char	  **features;		/* NULL: those of the search */
	int			nfeatures;
	MlCandidateState state;
	int			nrungs;			/* that it has been measured at */
	double		value[ML_MAX_RUNGS];
	pg_uuid_t	run;
	bool		has_run;
} MlCandidate;

/*
 * space.c: the candidates of a space (NULL: one for the task), at most
 * budget->candidates, without repetition. 22023 for what is not a space.
 */
extern MlCandidate *ml_space_candidates(Jsonb *space, MlTask task, const MlSearchBudget *budget,
										int64 seed, int *n);

/* folds.c */
typedef enum MlFoldsBy
{
	ML_FOLDS_BY_ROW, ML_FOLDS_BY_KEY,	/* by hash: rows of a key stay together */
	ML_FOLDS_BY_TIME			/* fold f is trained on what came before it */
} MlFoldsBy;

typedef struct MlFolds
{
	MlFoldsBy	by;
	int			n;
	int64		nrows;			/* training part of the frame */
	uint8	   *part;			/* nrows: the fold that tests the row; BY_TIME: from 0, which is never tested */
	int64	   *row;			/* room for a list of rows */
} MlFolds;

/* ML002 if a fold would be empty */
extern MlFolds *ml_folds_make(MlTraining *training, int n);

/* rows that a fold trains on, without the limit of a sample; the smallest over the folds */
extern int64 ml_folds_training_rows(const MlFolds *folds);

/* at most nrows training rows of a fold, and then its test rows */
extern MlFrame *ml_folds_frame(MlFolds *folds, const MlFrame *frame, int fold, int64 nrows);

/* the first algorithm of a space that learns without a target; NULL: the first one wants a target */
extern char *ml_space_without_target(Jsonb *space);

/* how a candidate is measured */
typedef struct MlTrialPlan
{
	MlFolds    *folds;
	bool		all_folds;		/* else one of them, the same for all candidates */
	int64		nrows;			/* of the sample */
	const char *metric;
	const MlCustomMetric *custom;	/* of that name, if it is a registered one */
} MlTrialPlan;

/* trial.c: the metric of a candidate, the mean over the folds. NULL, or why it could not be had. */
extern char *ml_trial(MlTraining *training, const MlCandidate *candidate, const MlTrialPlan *plan,
					  double *value);

/* the training that a candidate's number stands for: spec of the search, changed */
extern void ml_candidate_spec(const MlCandidate *candidate, MlSpec *spec);

#endif							/* ML_SEARCH_H */
