/*
 * objective.h
 *		What gradient boosting makes small: where it begins, its derivatives at
 *		every row, and the values of leaves.
 */
#ifndef ML_TREES_OBJECTIVE_H
#define ML_TREES_OBJECTIVE_H

#include "trees/grow.h"

typedef enum MlObjectiveKind
{
	ML_OBJECTIVE_AUTO,			/* as a parameter: by the task */
	ML_OBJECTIVE_SQUARED, ML_OBJECTIVE_ABSOLUTE, ML_OBJECTIVE_QUANTILE, ML_OBJECTIVE_POISSON,
	ML_OBJECTIVE_LOGISTIC, ML_OBJECTIVE_SOFTMAX
} MlObjectiveKind;

typedef struct MlObjective
{
	const MlFit *fit;
	MlObjectiveKind kind;
	double		alpha;			/* QUANTILE */
	int			noutputs;
	int64		ntrain;			/* rows before this one are learned from, the rest validate */
	int64		nrows;
	const double *y;			/* in units of unit */
	double		unit;			/* a power of two, so that the largest y is about 1 */
	double	   *base;			/* noutputs: eta before the first tree */
	double	   *eta;			/* noutputs x nrows */
	double	   *share;			/* SOFTMAX: probabilities, likewise */
	double	   *label;			/* SOFTMAX: work, 0 or 1 by row of the class at hand */
	double	   *residual;		/* leaves that are quantiles: work, with weights */
	double		weight[2];		/* of the rows that train, and of those that validate */
	double		constant[2];	/* POISSON: what the deviances have beyond the losses */
} MlObjective;

extern MlObjective *ml_objective_make(const MlFit *fit, MlObjectiveKind kind, double alpha, int64 ntrain);

/*
 * The mean loss of the training rows as eta stands; except for SOFTMAX the
 * grower has their derivatives then. grower NULL: the loss only.
 */
extern double ml_objective_begin(MlObjective *objective, MlGrower *grower);

/* SOFTMAX: the derivatives of one output, at the probabilities of ml_objective_begin */
extern void ml_objective_output(MlObjective *objective, MlGrower *grower, int output);

/* the mean loss of the rows that validate; NaN: there are none */
extern double ml_objective_validate(MlObjective *objective);

/* what the leaves of the tree just grown add to eta, by node */
extern void ml_objective_leaves(MlObjective *objective, const MlGrower *grower, int output,
								double rate, double *value);

/* adds leaves' values to eta of all rows; taken[i]: row i was grown on, NULL: all that train */
extern void ml_objective_update(MlObjective *objective, const MlGrower *grower, int output,
								const double *value, const bool *taken);

#endif							/* ML_TREES_OBJECTIVE_H */
