/*
 * gradient_boosting.c
 *		Gradient boosting: trees added one after the other, each a Newton step.
 *
 * Objective:  sum w loss(y, eta) + sum over leaves of (l2 / 2) v^2 + l1 |v|,
 *
 * eta = base + learning_rate sum of trees; losses in trees/objective.c, growth
 * in trees/grow.h. Friedman, Greedy function approximation: a gradient boosting
 * machine, Annals of Statistics 29 (2001); Chen & Guestrin, XGBoost: a scalable
 * tree boosting system, KDD 2016. Several classes have a tree each a round.
 *
 * With early_stopping the last rows, which are in random order, do not train
 * but tell when to stop; the hold-out on which the version is measured stays
 * untouched.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "frame/hash.h"
#include "learn/driver.h"
#include "trees/ensemble.h"
#include "trees/objective.h"

typedef struct Params
{
	int			objective;
	double		quantile;
	int64		trees;
	double		learning_rate;
	int			growth;
	int64		max_depth;
	int64		max_leaves;
	double		min_child_weight;
	int64		min_leaf_rows;
	double		l1;
	double		l2;
	double		gamma;
	double		subsample;
	double		columns_per_tree;
	double		columns_per_level;
	double		columns_per_split;
	int64		max_bins;
	double		category_smoothing;
	MlNamed		monotone;
	int64		early_stopping;
	double		validation_share;
} Params;

static const char *const objectives[] = {"auto", "squared_error", "absolute_error", "quantile", "poisson", NULL};
static const char *const growths[] = {"auto", "depth", "leaf", NULL};

enum
{
	GROWTH_AUTO,
	GROWTH_DEPTH,
	GROWTH_LEAF
};

#define LEAVES_WITHOUT_LIMITS	31
#define DEPTH_WITHOUT_LIMITS	6

#define OFFSET(field) offsetof(Params, field)

static const MlParam params[] = {
	{"trees", ML_PARAM_INT, OFFSET(trees), 100, 1, 100000, NULL,
	"rounds; with several classes each round grows a tree for each"},
	{"learning_rate", ML_PARAM_FLOAT, OFFSET(learning_rate), 0.1, 1e-6, 1, NULL,
	"what each tree's values are multiplied with"},
	{"objective", ML_PARAM_ENUM, OFFSET(objective), 0, 0, 0, objectives,
	"loss of a regression; auto: squared_error, and the log loss for classes"},
	{"quantile", ML_PARAM_FLOAT, OFFSET(quantile), 0.5, 0.001, 0.999, NULL,
	"share of the targets below the prediction, of objective quantile"},
	{"growth", ML_PARAM_ENUM, OFFSET(growth), 0, 0, 0, growths,
	"which leaf is split next: depth, all of a level; leaf, the one that gains most; auto: leaf where max_leaves limits"},
	{"max_depth", ML_PARAM_INT, OFFSET(max_depth), 0, 0, ML_TREE_MAX_DEPTH, NULL,
	"splits between the root and a leaf; 0: no limit, but 6 with growth depth and no max_leaves"},
	{"max_leaves", ML_PARAM_INT, OFFSET(max_leaves), 0, 0, 1000000, NULL,
	"leaves of a tree; 0: 31, or no limit where max_depth is one"},
	{"min_child_weight", ML_PARAM_FLOAT, OFFSET(min_child_weight), 1, 0, INFINITY, NULL,
	"least sum of second derivatives in a leaf: of weights for squared_error, of p (1 - p) for classes"},
	{"min_leaf_rows", ML_PARAM_INT, OFFSET(min_leaf_rows), 10, 1, 1000000000, NULL,
	"least rows in a leaf"},
	{"l1", ML_PARAM_FLOAT, OFFSET(l1), 0, 0, INFINITY, NULL,
	"penalty on the size of leaves' values"},
	{"l2", ML_PARAM_FLOAT, OFFSET(l2), 1, 0, INFINITY, NULL,
	"penalty on half the squares of leaves' values"},
	{"gamma", ML_PARAM_FLOAT, OFFSET(gamma), 0, 0, INFINITY, NULL,
	"least gain of a split"},
	{"subsample", ML_PARAM_FLOAT, OFFSET(subsample), 1, 0.001, 1, NULL,
	"share of the rows that each round sees"},
	{"columns_per_tree", ML_PARAM_FLOAT, OFFSET(columns_per_tree), 1, 0.0001, 1, NULL,
	"share of the features that a tree may use"},
	{"columns_per_level", ML_PARAM_FLOAT, OFFSET(columns_per_level), 1, 0.0001, 1, NULL,
	"share of those that splits of one depth may use"},
	{"columns_per_split", ML_PARAM_FLOAT, OFFSET(columns_per_split), 1, 0.0001, 1, NULL,
	"share of those that a split may use"},
	{"max_bins", ML_PARAM_INT, OFFSET(max_bins), 255, 2, ML_MAX_BINS, NULL,
	"values that are told apart in a feature"},
	{"category_smoothing", ML_PARAM_FLOAT, OFFSET(category_smoothing), 10, 0, INFINITY, NULL,
	"second derivatives with the node's own mean that each code of a category is given when codes are put in order"},
	{"monotone", ML_PARAM_NAMED, OFFSET(monotone), NAN, -1, 1, NULL,
	"directions: {\"age\": 1} lets predictions never fall with age, -1 never rise"},
	{"early_stopping", ML_PARAM_INT, OFFSET(early_stopping), 0, 0, 100000, NULL,
	"rounds without a better validation loss after which to stop; 0: never"},
	{"validation_share", ML_PARAM_FLOAT, OFFSET(validation_share), 0.1, 0.01, 0.5, NULL,
	"share of the training rows that validate, with early_stopping"},
	{NULL}
};

typedef struct Boosting
{
	const MlFit *fit;
	const Params *params;
	MlGrowth	growth;
	MlBins	   *bins;
	MlGrower   *grower;
	MlObjective *objective;
	MlEnsemble *ensemble;
	bool	   *taken;			/* subsample: rows of the round */
	double	   *value;			/* of the nodes of a tree */
	double	   *cover;
	int			value_capacity;
	int			rounds;
	int			best_round;		/* rounds that are kept */
	double	   *training_loss;	/* after each round */
	double	   *validation_loss;
} Boosting;

static MlObjectiveKind
objective_of(const MlFit *fit)
{
	const Params *p = fit->params;

	if (fit->task == ML_TASKS_REGRESSION)
		return p->objective == ML_OBJECTIVE_AUTO ? ML_OBJECTIVE_SQUARED : (MlObjectiveKind) p->objective;
	if (p->objective != ML_OBJECTIVE_AUTO)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("objective \"%s\" is for numbers", objectives[p->objective]),
				 errdetail("The target has %d classes.", fit->rows->nclasses),
				 errhint("Leave \"objective\" out: classes are fitted by their log loss.")));
	return fit->task == ML_TASKS_BINARY ? ML_OBJECTIVE_LOGISTIC : ML_OBJECTIVE_SOFTMAX;
}

static void
check_monotone(const Params *p, MlObjectiveKind kind)
{
	if (p->monotone.n > 0 && (kind == ML_OBJECTIVE_ABSOLUTE || kind == ML_OBJECTIVE_QUANTILE))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("parameter \"monotone\" cannot be used with objective \"%s\"", objectives[kind]),
				 errdetail("Its leaves hold quantiles of residuals, which follow no direction."),
				 errhint("Use objective \"squared_error\" or \"poisson\".")));
}

/* how large trees are, and which leaf is split next */
static void
set_limits(MlGrowth *growth, const Params *p)
{
	growth->max_depth = p->max_depth;
	growth->max_leaves = p->max_leaves;
	if (p->max_depth == 0 && p->max_leaves == 0)
	{
		if (p->growth == GROWTH_DEPTH)
			growth->max_depth = DEPTH_WITHOUT_LIMITS;
		else
			growth->max_leaves = LEAVES_WITHOUT_LIMITS;
	}
	growth->leaf_wise = p->growth == GROWTH_AUTO ? growth->max_leaves > 0 : p->growth == GROWTH_LEAF;
}

/* penalties in the unit of the objective */
static void
set_growth(MlGrowth *growth, const Params *p, double unit)
{
	set_limits(growth, p);
	growth->min_child_weight = p->min_child_weight;
	growth->min_leaf_rows = p->min_leaf_rows;
	growth->l1 = p->l1 / unit;
	growth->l2 = p->l2;
	growth->min_gain = p->gamma / unit / unit;
	growth->columns_per_tree = p->columns_per_tree;
	growth->columns_per_level = p->columns_per_level;
	growth->columns_per_split = p->columns_per_split;
	growth->category_smoothing = p->category_smoothing;
}

static Boosting *
start(const MlFit *fit)
{
	Boosting   *b = ml_fit_alloc(fit, 1, sizeof(Boosting), "state of the trees");
	const Params *p = fit->params;
	MlObjectiveKind kind = objective_of(fit);
	int64		nrows = fit->rows->nrows;
	int64		nvalid = 0;

	if (p->early_stopping > 0 && nrows > 1)
		nvalid = Max(1, (int64) floor(p->validation_share * nrows));
	b->fit = fit;
	b->params = p;
	check_monotone(p, kind);
	ml_trees_check_rows(fit, "gradient_boosting");
	b->bins = ml_bins_make(fit, p->max_bins);
	b->growth.monotone = ml_monotone_features(fit, b->bins, &p->monotone);
	b->objective = ml_objective_make(fit, kind, p->quantile, nrows - nvalid);
	set_growth(&b->growth, p, b->objective->unit);
	b->grower = ml_grower_make(fit, b->bins, &b->growth, 0);
	b->ensemble = ml_ensemble_make(fit, b->bins);
	if (p->subsample < 1)
		b->taken = ml_fit_alloc(fit, nrows, sizeof(bool), "rows of a tree");
	b->training_loss = ml_fit_alloc(fit, p->trees, sizeof(double), "losses");
	b->validation_loss = ml_fit_alloc(fit, p->trees, sizeof(double), "losses");
	return b;
}

/* the rows that a round sees */
static void
take_rows(Boosting *b, int round)
{
	uint64		random = ml_hash_word(ml_hash_word(b->fit->seed, 1), round);
	MlGrower   *g = b->grower;

	g->nrows = 0;
	for (int64 i = 0; i < b->objective->ntrain; i++)
	{
		if (b->taken)
			b->taken[i] = ml_hash_unit(ml_hash_word(random, i)) < b->params->subsample;
		if (!b->taken || b->taken[i])
			g->row[g->nrows++] = (uint32) i;
	}
	if (g->nrows == 0)
	{
		b->taken[0] = true;
		g->row[g->nrows++] = 0;
	}
}

static void
add_tree(Boosting *b, int round, int output)
{
	MlGrower   *g = b->grower;
	MlObjective *o = b->objective;

	ml_objective_output(o, g, output);
	take_rows(b, round);
	ml_grow_tree(g, ml_hash_word(ml_hash_word(ml_hash_word(b->fit->seed, 2), round), output));
	if (g->nnodes > b->value_capacity)
	{
		if (b->value)
		{
			ml_aligned_free(b->value);
			ml_aligned_free(b->cover);
		}
		b->value_capacity = g->node_capacity;
		b->cover = ml_fit_alloc(b->fit, b->value_capacity, sizeof(double), "nodes of a tree");
		b->value = ml_fit_alloc(b->fit, b->value_capacity, sizeof(double), "nodes of a tree");
	}
	ml_objective_leaves(o, g, output, b->params->learning_rate, b->value);
	ml_objective_update(o, g, output, b->value, b->taken);
	for (int i = 0; i < g->nnodes; i++)
		b->value[i] *= o->unit;
	ml_grown_covers(g, b->fit->rows->weight, NULL, b->cover);
	ml_ensemble_add(b->ensemble, g, output, b->value, b->cover, o->unit * o->unit);
}

/* true: no better round has been seen for long enough */
static bool
should_stop(Boosting *b)
{
	int			last = b->rounds - 1;

	b->validation_loss[last] = ml_objective_validate(b->objective);
	if (b->objective->ntrain == b->objective->nrows)
	{
		b->best_round = b->rounds;
		return false;
	}
	if (b->best_round == 0 || b->validation_loss[last] < b->validation_loss[b->best_round - 1])
		b->best_round = b->rounds;
	return b->rounds - b->best_round >= b->params->early_stopping;
}

static void *
fit_rows(const MlFit *fit)
{
	Boosting   *b = start(fit);
	bool		done = false;

	ml_objective_begin(b->objective, b->grower);
	while (!done && b->rounds < b->params->trees)
	{
		for (int c = 0; c < b->objective->noutputs; c++)
			add_tree(b, b->rounds, c);
		b->rounds++;

		/* the derivatives of the next round, and the loss of this one */
		b->training_loss[b->rounds - 1] = ml_objective_begin(b->objective, b->grower);
		done = should_stop(b);
		if (fit->progress)
			fit->progress(fit->progress_arg, b->rounds, b->params->trees,
						  b->training_loss[b->rounds - 1]);
	}
	ml_grower_end(b->grower);
	return b;
}

static MlLink
link_of(MlObjectiveKind kind)
{
	switch (kind)
	{
		case ML_OBJECTIVE_POISSON:
			return ML_LINK_LOG;
		case ML_OBJECTIVE_LOGISTIC:
			return ML_LINK_LOGIT;
		case ML_OBJECTIVE_SOFTMAX:
			return ML_LINK_SOFTMAX;
		default:
			return ML_LINK_IDENTITY;
	}
}

static MlFitted *
finish(void *fit)
{
	Boosting   *b = fit;
	MlObjective *o = b->objective;
	MlFitted   *fitted = ml_fitted_make();
	MlTrees    *trees;
	bool		validated = o->ntrain < o->nrows;

	ml_ensemble_cut(b->ensemble, b->best_round * o->noutputs);
	trees = ml_ensemble_trees(b->ensemble, o->noutputs);
	trees->link = link_of(o->kind);
	for (int c = 0; c < o->noutputs; c++)
		trees->base_score[c] = o->base[c] * o->unit;
	fitted->predictor = &trees->base;
	fitted->passes = b->rounds;
	ml_fitted_fact(fitted, "trees", b->ensemble->ntrees);
	ml_fitted_fact(fitted, "depth", b->ensemble->depth);
	ml_fitted_fact(fitted, "leaves", (double) ml_ensemble_leaves(b->ensemble));
	ml_fitted_fact(fitted, "best_round", b->best_round);
	ml_fitted_fact(fitted, "training_loss", b->training_loss[b->best_round - 1]);
	ml_fitted_series(fitted, "training_loss_by_round", b->rounds, b->training_loss);
	if (validated)
	{
		ml_fitted_fact(fitted, "validation_loss", b->validation_loss[b->best_round - 1]);
		ml_fitted_series(fitted, "validation_loss_by_round", b->rounds, b->validation_loss);
	}
	if (b->ensemble->nnodes == b->ensemble->ntrees)
		ml_fitted_note(fitted, "no split was worth it: every tree is a single leaf");
	return fitted;
}

const MlAlgorithm ml_gradient_boosting = {
	.name = "gradient_boosting",
	.summary = "trees added one after the other, each correcting those before it: usually the most accurate on tables",
	.tasks = ML_TASKS_REGRESSION | ML_TASKS_BINARY | ML_TASKS_MULTICLASS,
	.gives_probability = true,
	.params = params,
	.params_size = sizeof(Params),
	.fit_rows = fit_rows,
	.finish = finish,
};
