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
	double	   *value;			/* of nodes, by output */
	double	   *cover;
	int64		value_capacity;
	int64	   *vote;			/* noutputs x rows: sums of the trees that have not seen a row, in vote_unit */
	uint32	   *voters;
	double		vote_unit;		/* whole numbers: the order of the trees is no matter */
	MlCrew	   *crew;			/* grows trees side by side; NULL: one after the other */
} MlBagging;

/* grows the trees; what is not its own has been filled in */
extern void ml_bagging_fit(MlBagging *bagging);

/* the result, in the current context */
extern MlFitted *ml_bagging_finish(MlBagging *bagging);

/* grows a tree, which b->grower, value and cover hold then, and lets it vote */
extern void ml_bagging_grow(MlBagging *bagging, int64 tree);

/* appends a tree to the ensemble */
extern void ml_bagging_add(MlBagging *bagging, const MlGrower *tree, const double *value, const double *cover);

/* ---- bagging_crew.c ---- */

/*
 * Hires a crew if there are trees and rows enough: then bins, pairs, weights,
 * votes lie in its memory. Else bagging->crew stays NULL.
 */
extern void ml_bagging_hire(MlBagging *bagging);

/* grows all trees and appends them in order; all that bagging has has been filled in */
extern void ml_bagging_grow_together(MlBagging *bagging);

/* the task of a crew */
extern void ml_bagging_crew_chunk(MlCrewMember *me, const void *args, int64 chunk);

#endif							/* ML_TREES_BAGGING_H */
