/*
 * trees.h
 *		What trees.c, trees_format.c and shap.c share.
 */
#ifndef ML_TREES_H
#define ML_TREES_H

#include "postgres.h"

#include <math.h>

#include "predictor/routine.h"

/*
 * A node as scoring sees it. What trees ask for lies in slots: numbers, with
 * what is missing replaced by an infinity that goes the right way, codes, and
 * -infinity, which keeps a leaf where it is. So a step needs no branch. Places
 * in node[] are bytes from its start.
 */
typedef struct MlCompactNode
{
	union
	{
		double		threshold;	/* of a leaf: its value */
		uint64		codes;		/* ML_CODES_FEW: a bit for each code */
		struct
		{
			int32		category;
			uint32		set;	/* in set[] */
		}			many;		/* ML_CODES_MANY */
	}			u;
	uint32		slot;			/* and ML_SLOT_CODE for a category */
	uint32		left;			/* the right one follows; of a leaf: itself */
} MlCompactNode;

#define ML_SLOT_CODE	((uint32) 1 << 31)

/* what the splits of a model ask for besides numbers */
typedef enum MlTreeCodes
{
	ML_CODES_NONE,
	ML_CODES_FEW,				/* categories whose codes fit into a word */
	ML_CODES_MANY				/* others too: a branch a step */
} MlTreeCodes;

#define ML_FEW_CODES	64

/* a number of the encoded row as it is compared */
typedef struct MlSlot
{
	int32		number;
	double		missing;		/* what a NaN becomes: an infinity */
} MlSlot;

#define ML_TREE_LANES	8		/* trees of a row, or rows of a tree, at a time */

/*
 * Slots: ncodes of categories, nnumbers, and the one of leaves. Trees are by
 * output, padded to whole groups of ML_TREE_LANES by trees that are a leaf of 0.
 */
typedef struct MlCompiledTrees
{
	MlCompactNode *node;
	uint32	   *root;			/* of each tree, in bytes */
	int32	   *depth;			/* of each group of trees: steps to the deepest leaf */
	int32	   *first;			/* noutputs + 1: the trees of an output */
	double	   *scale;			/* noutputs: 1, or 1 / number of trees */
	MlTreeCodes codes;
	int			ncodes;			/* the recipe's categories with ML_CODES_FEW, else 0 */
	int			nnumbers;
	int			nslots;			/* of all sorts */
	MlSlot	   *slot;			/* nnumbers */
	int			depth_limit;	/* of the deepest tree */
	double	   *expected;		/* noutputs: mean over the trees' leaves by cover, scaled */
} MlCompiledTrees;

/* share of a node's rows that its left child got */
static inline double
ml_tree_left_share(const MlTrees *trees, const MlTreeNode *node)
{
	double		left = trees->node[node->left].cover;

	return left / (left + trees->node[node->left + 1].cover);
}

static inline int
ml_tree_feature(const MlRecipe *recipe, const MlTreeNode *node)
{
	if (node->split < recipe->nnumbers)
		return recipe->numbers[node->split].feature;
	return recipe->category_design[node->split - recipe->nnumbers].feature;
}

static inline bool
ml_tree_set_has(const MlTrees *trees, const MlTreeNode *node, int32 code)
{
	return (trees->set[node->set + code / 32] >> (code % 32)) & 1;
}

/* does the row go left? */
static inline bool
ml_tree_goes_left(const MlTrees *trees, const MlRecipe *recipe, const MlTreeNode *node, const MlRow *row)
{
	double		value;

	if (node->split >= recipe->nnumbers)
		return ml_tree_set_has(trees, node, row->code[node->split - recipe->nnumbers]);
	value = row->number[node->split];
	if (isnan(value))
		return node->missing_left;
	return (trees->single ? (double) (float) value : value) < node->threshold;
}

static inline int32
ml_tree_end(const MlTrees *trees, int tree)
{
	return tree + 1 < trees->ntrees ? trees->root[tree + 1] : trees->nnodes;
}

/* steps to the deepest leaf */
static inline int
ml_tree_depth(const MlTrees *trees)
{
	return ((const MlCompiledTrees *) trees->compiled)->depth_limit;
}

/* trees_format.c */
extern void ml_trees_write(MlWriter *w, const MlRecipe *recipe, const MlPredictor *predictor);
extern MlPredictor *ml_trees_read(MlCursor *c, const MlRecipe *recipe);

/* trees_text.c: "age < 37.5 or missing", "plan in (basic, pro)": what rows that go left meet */
extern char *ml_tree_condition(const MlTrees *trees, const MlRecipe *recipe, const MlTreeNode *node);

/* shap.c */
extern void ml_trees_explain(const MlPredictor *predictor, const MlRecipe *recipe, const MlRow *row,
							 int output, double *contribution, double *base);

#endif							/* ML_TREES_H */
