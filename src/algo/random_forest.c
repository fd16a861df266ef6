/*
 * random_forest.c
 *		The mean of many deep trees, each on rows and columns drawn anew.
 *
 * Breiman, Random forests, Machine Learning 45 (2001): every tree has as many
 * rows as there are, drawn with replacement, and every split looks at a few
 * features drawn for it (at more of them only where none of those will do):
 * the root of their number for classes, a third for numbers, his choices. A
 * leaf holds the mean, or the shares of the classes; predictions are the means
 * over the trees. Growth and the out-of-bag score: trees/bagging.c.
 */
#include "postgres.h"

#include <math.h>

#include "learn/driver.h"
#include "trees/bagging.h"

typedef struct Params
{
	int64		trees;
	int64		max_depth;
	int64		max_leaves;
	int64		min_leaf_rows;
	double		min_child_weight;
	bool		bootstrap;
	double		columns_per_split;
	int64		max_bins;
	double		category_smoothing;
	MlNamed		monotone;
} Params;

#define OFFSET(field) offsetof(Params, field)

static const MlParam params[] = {
	{"trees", ML_PARAM_INT, OFFSET(trees), 100, 1, 100000, NULL,
	"how many; with several classes the model holds each once a class"},
	{"max_depth", ML_PARAM_INT, OFFSET(max_depth), 16, 0, ML_TREE_MAX_DEPTH, NULL,
	"splits between the root and a leaf; 0: as many as a model can hold"},
	{"max_leaves", ML_PARAM_INT, OFFSET(max_leaves), 0, 0, 1000000, NULL,
	"leaves of a tree, those that gain most first; 0: no limit"},
	{"min_leaf_rows", ML_PARAM_INT, OFFSET(min_leaf_rows), 1, 1, 1000000000, NULL,
	"least rows in a leaf, each counted once"},
	{"min_child_weight", ML_PARAM_FLOAT, OFFSET(min_child_weight), 0, 0, INFINITY, NULL,
	"least weight in a leaf"},
	{"bootstrap", ML_PARAM_BOOL, OFFSET(bootstrap), 1, 0, 1, NULL,
	"whether every tree has rows drawn with replacement; without, there is no out-of-bag score"},
	{"columns_per_split", ML_PARAM_FLOAT, OFFSET(columns_per_split), 0, 0, 1, NULL,
	"share of the features that a split looks at; 0: the root of their number for classes, a third for numbers"},
	{"max_bins", ML_PARAM_INT, OFFSET(max_bins), 255, 2, ML_MAX_BINS, NULL,
	"values that are told apart in a feature"},
	{"category_smoothing", ML_PARAM_FLOAT, OFFSET(category_smoothing), 10, 0, INFINITY, NULL,
	"weight with the node's own mean that each code of a category is given when codes are put in order"},
	{"monotone", ML_PARAM_NAMED, OFFSET(monotone), NAN, -1, 1, NULL,
	"directions: {\"age\": 1} lets predictions never fall with age, -1 never rise"},
	{NULL}
};

static double
columns_of(const MlFit *fit)
{
	const Params *p = fit->params;
	int			n = fit->rows->recipe->nnumbers + fit->rows->recipe->ncategories;

	if (p->columns_per_split > 0)
		return p->columns_per_split;
	if (fit->rows->nclasses > 0)
		return 1 / sqrt(Max(n, 1));
	return 1.0 / 3;
}

static void *
fit_rows(const MlFit *fit)
{
	const Params *p = fit->params;
	MlBagging  *b = ml_fit_alloc(fit, 1, sizeof(MlBagging), "state of the trees");

	b->fit = fit;
	b->algorithm = "random_forest";
	b->ntrees = p->trees;
	b->max_bins = p->max_bins;
	b->bootstrap = p->bootstrap;
	b->monotone = &p->monotone;
	b->growth.leaf_wise = p->max_leaves > 0;
	b->growth.max_depth = p->max_depth;
	b->growth.max_leaves = p->max_leaves;
	b->growth.min_child_weight = p->min_child_weight;
	b->growth.min_leaf_rows = p->min_leaf_rows;
	b->growth.columns_per_tree = 1;
	b->growth.columns_per_level = 1;
	b->growth.columns_per_split = columns_of(fit);
	b->growth.order_by_tree = true;
	b->growth.category_smoothing = p->category_smoothing;
	ml_bagging_fit(b);
	return b;
}

static MlFitted *
finish(void *fit)
{
	return ml_bagging_finish(fit);
}

const MlAlgorithm ml_random_forest = {
	.name = "random_forest",
	.summary = "the mean of many deep trees on rows and columns drawn anew: good without tuning",
	.tasks = ML_TASKS_REGRESSION | ML_TASKS_BINARY | ML_TASKS_MULTICLASS,
	.gives_probability = true,
	.params = params,
	.params_size = sizeof(Params),
	.fit_rows = fit_rows,
	.finish = finish,
};
