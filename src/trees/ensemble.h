/*
 * ensemble.h
 *		Grown trees become a predictor.
 */
#ifndef ML_TREES_ENSEMBLE_H
#define ML_TREES_ENSEMBLE_H

#include "trees/grow.h"

typedef struct MlEnsemble
{
	const MlFit *fit;
	const MlBins *bins;
	int			ntrees;
	int			tree_capacity;
	int32	   *root;
	int32	   *output;
	int32	   *set_end;		/* words of sets up to the end of each tree */
	int32		nnodes;
	int			node_capacity;
	MlTreeNode *node;
	int32		nset;
	int			set_capacity;
	uint32	   *set;
	int			depth;			/* of the deepest tree so far */
} MlEnsemble;

extern MlEnsemble *ml_ensemble_make(const MlFit *fit, const MlBins *bins);

/*
 * Appends a grown tree: of the grower, its nodes count. value[i] and cover[i]
 * are those of node i if it is a leaf; gain_unit is what a gain of 1 stands for. Nodes made leaves by setting feature to -1 lose
 * what was below them.
 */
extern void ml_ensemble_add(MlEnsemble *ensemble, const MlGrower *grower, int output,
							const double *value, const double *cover, double gain_unit);

/* forgets all trees but the first ones */
extern void ml_ensemble_cut(MlEnsemble *ensemble, int ntrees);

extern int64 ml_ensemble_leaves(const MlEnsemble *ensemble);

/* the predictor, in the current context; link IDENTITY, base scores 0 */
extern MlTrees *ml_ensemble_trees(const MlEnsemble *ensemble, int noutputs);

/*
 * monotone => {"age": 1} by binned feature, or NULL if there is none; refuses
 * unknown names, categories and numbers other than -1, 0 and 1 (22023)
 */
extern const int8 *ml_monotone_features(const MlFit *fit, const MlBins *bins, const MlNamed *named);

/* refuses more rows than can be numbered, and targets of one class (ML002) */
extern void ml_trees_check_rows(const MlFit *fit, const char *algorithm);

#endif							/* ML_TREES_ENSEMBLE_H */
