/*
 * mlp.h
 *		What the files of a network's fit share: learning (mlp.c), what it begins
 *		with and what it ends with (mlp_ends.c).
 */
#ifndef ML_ALGO_MLP_H
#define ML_ALGO_MLP_H

#include "algo/mlp_pool.h"
#include "learn/driver.h"

typedef struct MlMlpParams
{
	MlNumbers	hidden;
	int			activation;		/* MlActivation, and MlNetActivation */
	double		l2;
	double		learning_rate;
	int64		batch_rows;		/* 0: by the number of rows */
	int64		max_epochs;
	double		validation_share;
	int64		patience;
} MlMlpParams;

typedef struct Mlp
{
	const MlFit *fit;
	const MlMlpParams *params;
	MlNet		net;
	int			ninputs;
	int64		nlearned;		/* rows [0, nlearned) are learned from, the others judge */
	int64		nvalidation;

	double	   *shift;			/* ninputs */
	double	   *scale;
	double		y_shift;
	double		y_scale;
	double		weight;			/* mean weight of a row */
	double		constant_loss;	/* of the best constant, over all rows */

	/* rows in memory: the pool */
	MlPool		pool;
	int64		pool_blocks;	/* that fit */
	int64		nblocks;		/* of the rows learned from */
	bool		pool_whole;		/* it holds all of them and, behind, those that judge */
	int64		pool_rows;		/* now in it, to learn from */
	double	   *columns;		/* one block, as read */
	int64	   *block_order;

	double	   *best;
	double	   *mean;			/* of the weights, as of late */
	int64		steps;
	double	   *gradient;
	MlAdam		adam;

	int64		epoch;			/* done */
	int64		best_epoch;		/* from 1 */
	double		best_loss;		/* of what judges */
	double		progress_loss;	/* the last one that was progress */
	int64		progress_epoch;
	int			drops;
	double	   *losses;			/* by epoch */
	double	   *validation_losses;
} Mlp;

/* rows of a batch */
extern int64 ml_mlp_batch_rows(const Mlp *m);

/* ---- mlp_ends.c ---- */

/* shift and scale of inputs and target; columns holds a block */
extern void ml_mlp_standardise(Mlp *m);

/* entropy of the classes: the loss of their shares */
extern void ml_mlp_constant_loss(Mlp *m);

extern double ml_mlp_weight_of(const MlDesignMatrix *rows, int64 row);

extern MlFitted *ml_mlp_finish(void *fit);

#endif							/* ML_ALGO_MLP_H */
