/*
 * decision_tree.c
 *		One tree, small enough to read.
 *
 * Objective:  impurity of the leaves + complexity * (impurity of the root) * leaves,
 *
 * where impurity is sum w (y - mean)^2, or for classes sum w times the Gini
 * impurity: Breiman, Friedman, Olshen & Stone, Classification and Regression
 * Trees (1984), grown greedily and then pruned; complexity is rpart's cp. See
 * trees/bagging.c.
 */
#include "postgres.h"

#include <math.h>

#include "learn/driver.h"
#include "trees/bagging.h"

typedef struct Params
{
	int64		max_depth;
	int64		max_leaves;
	int64		min_leaf_rows;
	double		min_child_weight;
	double		complexity;
	int64		max_bins;
	double		category_smoothing;
	MlNamed		monotone;
} Params;

#define OFFSET(field) offsetof(Params, field)

static const MlParam params[] = {
	{"max_depth", ML_PARAM_INT, OFFSET(max_depth), 5, 0, ML_TREE_MAX_DEPTH, NULL,
	"splits between the root and a leaf; 0: as many as a model can hold"},
	{"max_leaves", ML_PARAM_INT, OFFSET(max_leaves), 0, 0, 1000000, NULL,
	"leaves, those that gain most first; 0: no limit"},
	{"min_leaf_rows", ML_PARAM_INT, OFFSET(min_leaf_rows), 5, 1, 1000000000, NULL,
	"least rows in a leaf"},
	{"min_child_weight", ML_PARAM_FLOAT, OFFSET(min_child_weight), 0, 0, INFINITY, NULL,
	"least weight in a leaf"},
	{"complexity", ML_PARAM_FLOAT, OFFSET(complexity), 0.001, 0, 1, NULL,
	"what each leaf must take off, as a share of the root's impurity, or the tree is pruned"},
	{"max_bins", ML_PARAM_INT, OFFSET(max_bins), 255, 2, ML_MAX_BINS, NULL,
	"values that are told apart in a feature"},
	{"category_smoothing", ML_PARAM_FLOAT, OFFSET(category_smoothing), 10, 0, INFINITY, NULL,
	"weight with the node's own mean that each code of a category is given when codes are put in order"},
	{"monotone", ML_PARAM_NAMED, OFFSET(monotone), NAN, -1, 1, NULL,
	"directions: {\"age\": 1} lets predictions never fall with age, -1 never rise"},
	{NULL}
};

static void *
fit_rows(const MlFit *fit)
{
	const Params *p = fit->params;
	MlBagging  *b = ml_fit_alloc(fit, 1, sizeof(MlBagging), "state of the trees");

	b->fit = fit;
	b->algorithm = "decision_tree";
	b->ntrees = 1;
	b->max_bins = p->max_bins;
	b->complexity = p->complexity;
	b->monotone = &p->monotone;
	b->growth.leaf_wise = true;
	b->growth.max_depth = p->max_depth;
	b->growth.max_leaves = p->max_leaves;
	b->growth.min_child_weight = p->min_child_weight;
	b->growth.min_leaf_rows = p->min_leaf_rows;
	b->growth.columns_per_tree = 1;
	b->growth.columns_per_level = 1;
	b->growth.columns_per_split = 1;
	b->growth.category_smoothing = p->category_smoothing;
	ml_bagging_fit(b);
	return b;
}

static MlFitted *
finish(void *fit)
{
	return ml_bagging_finish(fit);
}

const MlAlgorithm ml_decision_tree = {
	.name = "decision_tree",
	.summary = "one tree of simple questions, small enough to read",
	.tasks = ML_TASKS_REGRESSION | ML_TASKS_BINARY | ML_TASKS_MULTICLASS,
	.gives_probability = true,
	.params = params,
	.params_size = sizeof(Params),
	.fit_rows = fit_rows,
	.finish = finish,
};
