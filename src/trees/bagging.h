/*
 * bagging.h
 *		Trees that hold means: one, or many on rows drawn anew.
 *
 * A leaf holds the mean of its rows' targets, or the shares of their classes.
 * Predictions average the trees.
 */
#ifndef ML_TREES_BAGGING_H
#define ML_TREES_BAGGING_H

#include "trees/ensemble.h"

typedef struct MlBagging
{
	const MlFit *fit;
	const char *algorithm;		/* for messages */
	MlGrowth	growth;
	int64		ntrees;
	int64		max_bins;
	bool		bootstrap;		/* every tree has rows of its own: as many as there are, drawn with replacement */
	double		complexity;		/* prunes splits that take off less than this share of the root's impurity */
	const MlNamed *monotone;

	/* bagging.c's own */
	MlBins	   *bins;
	MlGrower   *grower;
	MlEnsemble *ensemble;
	int			noutputs;
	int			nclasses;		/* of the grower: 0 for regression and two classes */
	double		unit;			/* a power of two about the largest target, as divided by */
	double		centre;			/* of the targets, in that unit */
	MlPair	   *pair;			/* of every row drawn once */
	int64	   *weight;			/* the same with classes */
	uint16	   *count;			/* how often a tree has a row */
	double	   *row_weight;		/* count times weight */
	double	   *value;			/* of nodes, by output */
	int64		value_capacity;
	double	   *vote;			/* noutputs x rows: sums of the trees that have not seen a row */
	uint32	   *voters;
} MlBagging;

/* grows the trees; what is not its own has been filled in */
extern void ml_bagging_fit(MlBagging *bagging);

/* the result, in the current context */
extern MlFitted *ml_bagging_finish(MlBagging *bagging);

#endif							/* ML_TREES_BAGGING_H */
