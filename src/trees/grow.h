/*
 * grow.h
 *		Grows one tree after the other over binned rows.
 *
 * A tree is grown from a gradient g and a curvature h of each of its rows: a
 * leaf's value minimises sum g v + (h + l2) v^2 / 2 + l1 |v|, and a split gains
 * what it takes off twice that sum (Chen & Guestrin, XGBoost: a scalable tree
 * boosting system, KDD 2016, eqs. 5 to 7, without the factor 1/2, as XGBoost
 * reports it). With g = -w y, h = w that is the reduction of the squared error,
 * of two classes of the Gini impurity; several classes have a weight by class
 * instead.
 *
 * g and h are integers in a unit that is a power of two. So sums are exact,
 * do not depend on the order of rows, and a node's histogram is its parent's
 * less its sibling's without error.
 */
#ifndef ML_TREES_GROW_H
#define ML_TREES_GROW_H

#include "learn/crew.h"
#include "trees/bins.h"

#define ML_SET_WORDS 8			/* 256 bits: one for each bin of a feature */

/* g and h of a row, or of a bin */
typedef int64 MlPair __attribute__((vector_size(16), aligned(8), may_alias));

/* how trees grow */
typedef struct MlGrowth
{
	bool		leaf_wise;		/* split the leaf that gains most next; else by depth */
	int64		max_depth;		/* 0: no limit */
	int64		max_leaves;		/* 0: no limit */
	double		min_child_weight;	/* least sum of h in a child */
	int64		min_leaf_rows;
	double		l1;
	double		l2;
	double		min_gain;
	double		columns_per_tree;	/* shares of the features */
	double		columns_per_level;
	double		columns_per_split;
	double		category_smoothing;
	bool		order_by_tree;	/* codes are put in order once a tree, else at every node */
	const int8 *monotone;		/* by binned feature: 1, -1 or 0; NULL: all 0 */
} MlGrowth;

typedef struct MlGrownNode
{
	int32		feature;		/* of the bins; -1: leaf */
	int32		left;			/* the right child is left + 1 */
	int			bin;			/* number: the last bin that goes left */
	bool		missing_left;
	uint32		set[ML_SET_WORDS];	/* bins that go left */
	int64		first;			/* its rows: grower->row[first .. first + n) */
	int64		n;
	double		gain;
	double		value;			/* of the leaf that it would be */
	double		low;			/* bounds of the values below it */
	double		high;
} MlGrownNode;

typedef struct MlGrower
{
	const MlFit *fit;
	MlBins	   *bins;
	const MlGrowth *growth;
	MlCrew	   *crew;			/* adds up histograms; NULL: one process */
	int			nclasses;		/* 0: pairs, else weights by class */
	int			width;			/* of a bin in int64s: 2, or nclasses */
	int			count_bits;		/* low bits of h, or of a class weight, that count rows; 0: nobody asks */

	/* what the caller fills in for each tree */
	int64		nrows;
	uint32	   *row;			/* rows of the tree, ascending; then parted by node */
	MlPair	   *pair;			/* by row of the bins */
	uint8	   *label;			/* the same with classes */
	int64	   *weight;
	double		g_unit;			/* what an integer 1 stands for */
	double		h_unit;

	/* the tree */
	int			nnodes;
	int			nleaves;
	MlGrownNode *node;
	int64	   *sum;			/* nnodes x width */

	/* grow.c's own */
	int			node_capacity;
	uint32	   *spare_row;
	uint64		random;
	int		   *tree_column;	/* those of this tree */
	int			ntree_columns;
	int		   *column;			/* work: those of a node, in the order of looking */
	bool		direct;			/* few columns a split: every node builds its own histogram */
	struct MlOpenNode **heap;
	int			nheap;
	int			heap_capacity;
	int64	   *scratch;		/* bins of one feature, zero when nobody uses it */
	uint8	   *code_order;		/* order_by_tree: bins of each category in order, beginning at its first */
	int64	  **spare_histogram;
	int			nspare;
	int			nheld;
	int			held_limit;
} MlGrower;

/* fills the bins with rows; nclasses 0: pairs */
extern MlGrower *ml_grower_make(const MlFit *fit, MlBins *bins, const MlGrowth *growth, int nclasses);

/* the same for one process among many: no crew of its own, and bins that are filled elsewhere */
extern MlGrower *ml_grower_make_alone(const MlFit *fit, MlBins *bins, const MlGrowth *growth, int nclasses);

/* lets the workers go, if there are any */
extern void ml_grower_end(MlGrower *grower);

/*
 * The unit for numbers of at most largest in size, of which up to nrows are
 * added, times copies; less_bits of each are taken for something else.
 */
extern double ml_grower_unit(double largest, int64 nrows, int less_bits);

/* grows a tree; random decides which columns it may see */
extern void ml_grow_tree(MlGrower *grower, uint64 random);

/* the leaf that a row of the bins falls into */
extern int	ml_grown_leaf(const MlGrower *grower, int64 row);

/*
 * What the rows of each leaf weigh; weight NULL: 1, and count, how often a row
 * is there, likewise.
 */
extern void ml_grown_covers(const MlGrower *grower, const double *weight, const uint16 *count, double *cover);

/* nodes that a tree of so many rows has at most */
extern int64 ml_growth_nodes(const MlGrowth *growth, int64 nrows);

/* sums as numbers */
static inline double
ml_grower_g(const MlGrower *grower, int64 g)
{
	return (double) g * grower->g_unit;
}

static inline double
ml_grower_h(const MlGrower *grower, int64 h)
{
	return (double) (h >> grower->count_bits) * grower->h_unit;
}

static inline int64
ml_grower_count(const MlGrower *grower, int64 h)
{
	return h & (((int64) 1 << grower->count_bits) - 1);
}

static inline bool
ml_set_has(const uint32 *set, int bin)
{
	return (set[bin >> 5] >> (bin & 31)) & 1;
}

static inline void
ml_set_add(uint32 *set, int bin)
{
	set[bin >> 5] |= (uint32) 1 << (bin & 31);
}

/* ---- histogram.c ---- */

/*
 * Adds up rows of a node by bin of some features. Tasks over other features
 * write to other bins, so they may run side by side.
 */
typedef struct MlHistogramTask
{
	const MlGrower *grower;
	int64		first;			/* of grower->row */
	int64		n;
	const int  *feature;
	int			nfeatures;
	int64	   *histogram;		/* bins->nbins x width; those of the features are overwritten */
} MlHistogramTask;

extern void ml_histogram_build(const MlHistogramTask *task);

/* ---- histogram_crew.c ---- */

/*
 * Hires a crew if the rows are worth it: then what histograms are made of and
 * made in lies in its memory. Else grower->crew stays NULL.
 */
extern void ml_histogram_hire(MlGrower *grower);

/* memory for a histogram from the crew; NULL: no more */
extern int64 *ml_histogram_take(MlGrower *grower);

/* the same as ml_histogram_build, by the crew if it has one and the node is worth it */
extern void ml_histogram_build_together(const MlHistogramTask *task);

/* the task of a crew */
extern void ml_histogram_crew_chunk(MlCrewMember *me, const void *args, int64 chunk);

/* ---- histogram.c ---- */

/* from -= what, all bins */
extern void ml_histogram_subtract(const MlGrower *grower, int64 *from, const int64 *what);

/* ---- split.c ---- */

typedef struct MlSplitSearch
{
	const MlGrower *grower;
	const int64 *sum;			/* of the node */
	const int64 *histogram;		/* NULL: a small node, made of these rows */
	const uint32 *row;
	int64		n;
	double		low;			/* bounds of the node's values */
	double		high;
	double		parent;			/* score of the node unsplit */

	/* the best split so far; gain 0: none */
	double		gain;
	int			feature;
	int			bin;
	bool		missing_left;
	uint32		set[ML_SET_WORDS];
} MlSplitSearch;

extern void ml_split_begin(MlSplitSearch *search);
extern void ml_split_order(MlGrower *grower);
extern void ml_split_feature(MlSplitSearch *search, int feature);

/* settles the set of the best split and adds up its left side, to width sums */
extern void ml_split_left(MlSplitSearch *search, int64 *left);

/* the value of a leaf with these sums within bounds */
extern double ml_leaf_value(const MlGrower *grower, const int64 *sum, double low, double high);

#endif							/* ML_TREES_GROW_H */
