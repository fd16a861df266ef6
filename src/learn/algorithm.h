/*
 * algorithm.h
 *		The contract of an algorithm, and what mlops_learn offers to mlops.
 *
 * An algorithm is a fold: repeat { begin pass; consume blocks of rows into a
 * state; merge states; end pass } until the end of a pass says done. A driver
 * (driver.c) walks the rows; an algorithm never sees a relation, a datum or a
 * transaction. The driver cuts the rows into blocks of ML_BLOCK_ROWS and merges
 * the states of the blocks in a tree of fixed shape that depends on the number
 * of blocks alone, so that the sums, and with them the bytes of the result,
 * are the same whatever the number of workers.
 *
 * mlops.so calls this library through MlLearnApi, found under the rendezvous
 * variable ML_LEARN_RENDEZVOUS; this library calls nothing of mlops.so.
 */
#ifndef ML_ALGORITHM_H
#define ML_ALGORITHM_H

#include "postgres.h"

#include "learn/param.h"
#include "predictor/predictor.h"
#include "lib/stringinfo.h"

#define ML_LEARN_RENDEZVOUS "mlops_learn"
#define ML_LEARN_ABI		4
#define ML_BLOCK_ROWS		1024

/* bits of MlAlgorithm.tasks; the values of MlTask (recipe.h) */
#define ML_TASKS_REGRESSION 1
#define ML_TASKS_BINARY		2
#define ML_TASKS_MULTICLASS 4
#define ML_TASKS_CLUSTER	8
#define ML_TASKS_ANOMALY	16
#define ML_TASKS_PROJECTION 32

/*
 * The rows that a learner sees: a matrix of doubles without NaN, read block by
 * block. Row i of the fit is the same row in every pass.
 */
typedef struct MlDesignMatrix
{
	int64		nrows;
	int			ncolumns;		/* without the intercept; can be 0 */
	const char *const *column_name;
	const bool *scaled;			/* ncolumns: a measured number (true) or a 0/1 column (false) */
	const double *y;			/* nrows: see ml_recipe_labels; 0 without a target */
	const double *weight;		/* nrows, > 0; NULL: all 1 */
	int			nclasses;		/* 0 for regression */

	/* x[j * n + i] for rows [first, first + n), column-major without gaps */
	void		(*read) (void *arg, int64 first, int n, double *x);
	void	   *arg;

	/*
	 * The encoded rows, for learners that take missing values and categories as
	 * they are: until the next call. recipe is data only.
	 */
	const struct MlRecipe *recipe;
	const struct MlBlock *(*read_block) (void *arg, int64 first, int n);	/* n <= ML_BLOCK_ROWS */
	const double *offset;		/* nrows: added to eta; NULL: none */

	/*
	 * Rows that are elsewhere - their passes run in SQL, or on other servers -
	 * have this, and neither y nor weight, read nor read_block.
	 */
	const struct MlSurvey *survey;
} MlDesignMatrix;

/* what is known of rows that are elsewhere when a fit starts; sums are by weight */
typedef struct MlSurvey
{
	double		weight;			/* sum of the weights */
	double		mean_y;
	double	   *class_weight;	/* nclasses */
	double	   *mean;			/* ncolumns */
	double	   *deviation;		/* ncolumns; divisor: weight */
} MlSurvey;

/* what a fit may use, and what it is asked */
typedef struct MlFit
{
	const MlDesignMatrix *rows;
	int			task;			/* one of ML_TASKS_* */
	const void *params;			/* of MlAlgorithm.params_size bytes */
	int64		seed;

	/*
	 * Called by the driver after every block and by learners in their own long
	 * loops: checks for interrupts and reports. objective NaN: not known.
	 */
	void		(*progress) (void *arg, int64 done, int64 total, double objective);
	void	   *progress_arg;

	/* counts memory against the training's budget, raising 54000; called before allocating */
	void		(*take_memory) (void *arg, Size bytes, const char *what);
	Size		(*memory_left) (void *arg);
	void	   *memory_arg;

	int			workers;		/* background workers that it may have; see crew.h */
	bool	   *said_alone;		/* set once the user knows that there are none */
} MlFit;

typedef struct MlFact
{
	const char *name;			/* "r_squared", "iterations", "log_likelihood"... */
	double		value;
} MlFact;

/* facts in a row: explained variance by component, loss by round... */
typedef struct MlSeries
{
	const char *name;
	int			n;
	const double *value;
} MlSeries;

/*
 * The result of a fit, allocated in the context that was current when fit was
 * called.
 */
typedef struct MlFitted
{
	MlPredictor *predictor;
	MlCalibration *calibration; /* or NULL */
	int			nfacts;
	MlFact	   *facts;
	int			nseries;
	MlSeries   *series;			/* kept with the version, not in the artifact */
	int			nnotes;			/* sentences: collinear columns dropped... */
	char	  **notes;
	bool		converged;
	int			passes;
} MlFitted;

typedef struct MlAlgorithm
{
	/* who it is */
	const char *name;			/* as written in SQL: "linear_regression" */
	const char *summary;		/* one line, shown by mlops_algorithms() */

	/* what it can do; checked before a row is read */
	uint32		tasks;			/* ML_TASKS_* */
	bool		gives_probability;
	bool		gives_inference;	/* standard errors and p-values */
	bool		ignores_features;	/* a constant: needs no feature */

	/* does the penalty, if any, make base levels unnecessary? */
	bool		(*penalised) (const void *params);	/* can be NULL: never */

	/* the column that is an offset, by its logarithm or as it is; NULL: none. Can be NULL */
	const char *(*offset_column) (const void *params, bool *logarithm);

	/* what may be set: data, not code */
	const MlParam *params;
	Size		params_size;

	/*
	 * The fold for this task and these parameters, where one algorithm has
	 * several; only fit_rows and the callbacks from start on are used of it. Can
	 * be NULL, and can answer NULL: this one.
	 */
	const struct MlAlgorithm *(*variant) (const MlFit *fit);

	/*
	 * A learner that needs random access to rows (trees, networks) has this and
	 * no fold; finish follows, with what it returned. It calls fit->progress in
	 * its loops, at least ten times a second.
	 */
	void	   *(*fit_rows) (const MlFit *fit);

	/* the fold, in the order the driver calls it; fit is what start returned */
	void	   *(*start) (const MlFit *fit);
	Size		(*state_size) (void *fit);	/* bytes of one state, fixed for the whole fit; elsewhere for a pass */
	void		(*begin_pass) (void *fit, int pass);	/* from 0; can be NULL */
	void		(*consume) (void *fit, void *state, int n, const double *x,
							const double *y, const double *weight, int64 first);	/* into a zeroed state */

	/* the same from encoded rows, for learners that want those; instead of consume */
	void		(*consume_block) (void *fit, void *state, const struct MlBlock *block,
								  const double *y, const double *weight, int64 first);
	void		(*merge) (void *fit, void *state, const void *other);	/* state is the earlier rows */
	bool		(*end_pass) (void *fit, void *state);	/* true: done */

	/* a pass may read a prefix of the blocks only (a random sample, since canonical order is random) */
	int64		(*pass_rows) (void *fit, int pass, int64 nrows);	/* can be NULL: all */

	/*
	 * Passes elsewhere; an algorithm without pass_size has none. What start
	 * returned for a survey becomes doubles at the end of a pass, from which
	 * the same fit goes on in another process: load is given a fit that start
	 * made from a survey that says nothing (weight 1, means 0, deviations 1),
	 * and trusts neither number nor value of the doubles: false if they make no
	 * sense. A state consists of double and int64 alone and has no pointers.
	 * What takes encoded rows (consume_block) has one pass, whose doubles are no
	 * business of its own: how many codes each column has, 0 for a number, -1 for
	 * a part of a time.
	 */
	bool		needs_survey;	/* else start gets one that says nothing, and nrows -1 */
	int			(*pass_size) (void *fit);
	void		(*pass_save) (void *fit, double *pass);
	bool		(*pass_load) (void *fit, int n, const double *pass);

	/*
	 * For a fold of several passes that other processes help with (consume):
	 * all three, or none. share_out writes what consume reads of the learner,
	 * share_size bytes without a pointer (0: sharing the rows would cost more
	 * than it brings), after begin_pass; false: not for this pass. share_in makes from
	 * it, in the current context, a learner that can only consume and merge; before
	 * later passes it is called again with what it returned. rows has nrows,
	 * ncolumns, nclasses, y, weight and offset, nothing else.
	 */
	Size		(*share_size) (void *fit);
	bool		(*share_out) (void *fit, void *shared);
	void	   *(*share_in) (void *fit, const MlDesignMatrix *rows, const void *shared);	/* fit NULL at first */

	MlFitted   *(*finish) (void *fit);
	int			(*expected_passes) (void *fit);	/* for progress */
	double		(*objective) (void *fit);	/* as of the last pass, for progress; can be NULL */
} MlAlgorithm;

/* what a calibration is fitted from */
typedef struct MlCalibrationRows
{
	int64		n;
	const double *x;			/* PLATT: log-odds; ISOTONIC: probabilities, ascending */
	const double *label;		/* 0 or 1 */
	const double *weight;		/* NULL: all 1 */
	void		(*tick) (void *arg);	/* called every few thousand rows */
	void	   *tick_arg;
} MlCalibrationRows;

typedef struct MlLearnApi
{
	int			abi;			/* ML_LEARN_ABI */
	const MlAlgorithm *const *algorithms;	/* NULL ends */
	const char *(*blas_version) (void); /* "OpenBLAS 0.3.21 ... Haswell", kernel included */
	int			(*blas_threads) (void);

	/*
	 * Runs the fold in memory. Memory comes from a child of the current
	 * context, deleted at the end; the result is allocated in the current one.
	 * Errors: ML002 fewer rows than columns, ML003 no convergence or
	 * separation, 54000 over budget.
	 */
	MlFitted   *(*fit) (const MlAlgorithm *algorithm, const MlFit *fit);

	/* what a background worker does; handle is that of the memory it shares */
	void		(*work) (uint32 handle);

	/* the map of a calibration, in the current context; takes 32 bytes a row. ML003 */
	void		(*calibrate) (MlCalibrationKind kind, const MlCalibrationRows *rows, MlCalibrationMap *map);
} MlLearnApi;

#endif							/* ML_ALGORITHM_H */
