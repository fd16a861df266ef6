/*
 * bagging.c
 *		Trees that hold means, one or many.
 *
 * A split takes off as much squared error as it can, for classes the Gini
 * impurity sum p_c (1 - p_c), each times weight (Breiman, Friedman, Olshen &
 * Stone, Classification and Regression Trees, 1984). Bootstrap: Breiman, Random
 * forests, Machine Learning 45 (2001). Rows that a tree has not drawn are out
 * of its bag; predicting each row by those trees only gives an honest score.
 *
 * Pruning is by cost and complexity: of all subtrees the one with the least
 * impurity + complexity * (impurity of the root) * leaves.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "frame/hash.h"
#include "learn/driver.h"
#include "miscadmin.h"
#include "trees/bagging.h"

#define LEAST_PROBABILITY 1e-15	/* in a logarithm */

static inline double
weight_of(const MlBagging *b, int64 i)
{
	return b->fit->rows->weight ? b->fit->rows->weight[i] : 1;
}

/* ---- rows, each drawn once ---- */

static double
largest_weight(const MlBagging *b)
{
	double		largest = 0;

	for (int64 i = 0; i < b->bins->nrows; i++)
		largest = fmax(largest, weight_of(b, i));
	return largest;
}

/* the targets' unit and mean; classes have 1 and 0, so that leaves are shares */
static void
measure_target(MlBagging *b)
{
	const double *y = b->fit->rows->y;
	double		largest = 0;
	double		total = 0;
	int			exponent;

	b->unit = 1;
	if (b->fit->rows->nclasses > 0)
		return;
	for (int64 i = 0; i < b->bins->nrows; i++)
	{
		largest = fmax(largest, fabs(y[i]));
		total += weight_of(b, i);
	}
	if (largest == 0)
		return;
	frexp(largest, &exponent);
	b->unit = ldexp(1.0, Max(Min(exponent, 1000), -1000));
	for (int64 i = 0; i < b->bins->nrows; i++)
		b->centre += y[i] / b->unit * (weight_of(b, i) / total);
}

static void
make_pairs(MlBagging *b)
{
	const double *y = b->fit->rows->y;
	MlGrower   *g = b->grower;
	double		largest = 0;

	if (b->crew == NULL)
		b->pair = ml_fit_alloc(b->fit, b->bins->nrows, sizeof(MlPair), "gradients of the rows");
	for (int64 i = 0; i < b->bins->nrows; i++)
		largest = fmax(largest, fabs(y[i] / b->unit - b->centre) * weight_of(b, i));
	g->h_unit = ml_grower_unit(largest_weight(b), b->bins->nrows, g->count_bits);

	/* one unit for both where leaves are shares, so that a pure leaf is pure */
	g->g_unit = b->fit->rows->nclasses > 0 ? g->h_unit : ml_grower_unit(largest, b->bins->nrows, 0);
	for (int64 i = 0; i < b->bins->nrows; i++)
	{
		double		w = weight_of(b, i);

		b->pair[i][0] = llrint(w * (b->centre - y[i] / b->unit) / g->g_unit);
		b->pair[i][1] = Max(llrint(w / g->h_unit), 1);
	}
}

static void
make_weights(MlBagging *b)
{
	MlGrower   *g = b->grower;

	if (b->crew == NULL)
		b->weight = ml_fit_alloc(b->fit, b->bins->nrows, sizeof(int64), "weights of the rows");
	g->h_unit = ml_grower_unit(largest_weight(b), b->bins->nrows, g->count_bits);
	for (int64 i = 0; i < b->bins->nrows; i++)
	{
		b->weight[i] = Max(llrint(weight_of(b, i) / g->h_unit), 1);
		g->label[i] = (uint8) b->fit->rows->y[i];
	}
}

/* ---- one tree ---- */

static void
draw_rows(MlBagging *b, int64 tree)
{
	uint64		random = ml_hash_word(ml_hash_word(b->fit->seed, 3), tree);
	int64		n = b->bins->nrows;

	memset(b->count, 0, n * sizeof(uint16));
	for (int64 i = 0; i < n; i++)
	{
		int64		r = (int64) ml_hash_multiply(ml_hash_word(random, i), n).high;

		if (b->count[r] < PG_UINT16_MAX)
			b->count[r]++;
	}
}

static void
give_rows(MlBagging *b)
{
	MlGrower   *g = b->grower;

	g->nrows = 0;
	for (int64 i = 0; i < b->bins->nrows; i++)
	{
		int			count = b->count ? b->count[i] : 1;

		if (count == 0)
			continue;
		g->row[g->nrows++] = (uint32) i;
		if (b->nclasses > 0)
			g->weight[i] = b->weight[i] * count;
		else
			g->pair[i] = b->pair[i] * count;
		if (g->count_bits > 0 && b->nclasses > 0)
			g->weight[i] = g->weight[i] * ((int64) 1 << g->count_bits) + 1;
		else if (g->count_bits > 0)
			g->pair[i][1] = g->pair[i][1] * ((int64) 1 << g->count_bits) + 1;
	}
}

/* the impurity of the root: squared error, or Gini impurity times weight */
static double
root_impurity(const MlBagging *b)
{
	const MlGrower *g = b->grower;
	double		squares = 0;
	double		total = 0;
	double		sum = 0;

	for (int c = 0; c < b->nclasses; c++)
	{
		double		w = ml_grower_h(g, g->sum[c]);

		squares += w * w;
		total += w;
	}
	if (b->nclasses > 0)
		return total - squares / total;
	for (int64 i = 0; i < g->nrows; i++)
	{
		uint32		r = g->row[i];
		double		d = b->fit->rows->y[r] / b->unit - b->centre;
		double		w = weight_of(b, r) * (b->count ? b->count[r] : 1);

		squares += w * d * d;
		total += w;
		sum += w * d;
	}
	return squares - sum / total * sum;
}

/* children come after their parents: what lies below a node is settled before it */
static void
prune(MlBagging *b)
{
	MlGrower   *g = b->grower;
	double		price = b->complexity * root_impurity(b);
	double	   *worth;

	if (b->complexity == 0)
		return;
	worth = palloc_extended(sizeof(double) * g->nnodes, MCXT_ALLOC_HUGE);
	for (int i = g->nnodes - 1; i >= 0; i--)
	{
		MlGrownNode *node = &g->node[i];

		worth[i] = 0;
		if (node->feature < 0)
			continue;
		worth[i] = node->gain - price + worth[node->left] + worth[node->left + 1];
		if (worth[i] > 0)
			continue;
		worth[i] = 0;
		node->feature = -1;
	}
	pfree(worth);
}

/* the mean of a leaf's rows, added up as they come */
static double
leaf_mean(const MlBagging *b, const MlGrownNode *leaf)
{
	const MlGrower *g = b->grower;
	double		sum = 0;
	double		total = 0;
	double		mean;

	for (int64 i = 0; i < leaf->n; i++)
	{
		uint32		r = g->row[leaf->first + i];
		double		w = weight_of(b, r) * (b->count ? b->count[r] : 1);

		sum += w * (b->fit->rows->y[r] / b->unit);
		total += w;
	}
	mean = sum / total;
	if (b->growth.monotone)
		mean = b->centre + fmin(fmax(mean - b->centre, leaf->low), leaf->high);
	return mean * b->unit;
}

/* every leaf's value of every output */
static void
fill_values(MlBagging *b)
{
	MlGrower   *g = b->grower;

	if ((int64) g->nnodes * b->noutputs > b->value_capacity)
	{
		if (b->value)
		{
			ml_aligned_free(b->value);
			ml_aligned_free(b->cover);
		}
		b->value_capacity = (int64) g->node_capacity * b->noutputs;
		b->cover = ml_fit_alloc(b->fit, b->value_capacity, sizeof(double), "nodes of a tree");
		b->value = ml_fit_alloc(b->fit, b->value_capacity, sizeof(double), "nodes of a tree");
	}
	for (int i = 0; i < g->nnodes; i++)
	{
		const int64 *sum = g->sum + (Size) i * g->width;
		double		total = 0;

		if (g->node[i].feature >= 0)
			continue;
		if (b->nclasses == 0)
		{
			b->value[i] = b->fit->rows->nclasses > 0 ? fmin(fmax(g->node[i].value, 0), 1)
				: leaf_mean(b, &g->node[i]);
			continue;
		}
		for (int c = 0; c < b->nclasses; c++)
			total += ml_grower_h(g, sum[c]);
		for (int c = 0; c < b->nclasses; c++)
			b->value[(Size) c * g->nnodes + i] = ml_grower_h(g, sum[c]) / total;
	}
}

/* rows out of the tree's bag */
static void
vote(MlBagging *b)
{
	const MlGrower *g = b->grower;

	for (int64 i = 0; i < b->bins->nrows; i++)
	{
		int			leaf;

		if (i % 65536 == 0)
			ml_crew_look();
		if (b->count[i] > 0)
			continue;
		leaf = ml_grown_leaf(g, i);
		(void) __atomic_fetch_add(&b->voters[i], 1, __ATOMIC_RELAXED);
		for (int c = 0; c < b->noutputs; c++)
			(void) __atomic_fetch_add(&b->vote[c * b->bins->nrows + i],
									  llrint(b->value[(Size) c * g->nnodes + leaf] / b->unit / b->vote_unit),
									  __ATOMIC_RELAXED);
	}
}

void
ml_bagging_grow(MlBagging *b, int64 tree)
{
	MlGrower   *g = b->grower;

	if (b->bootstrap)
		draw_rows(b, tree);
	give_rows(b);
	ml_grow_tree(g, ml_hash_word(ml_hash_word(b->fit->seed, 4), tree));
	prune(b);
	fill_values(b);
	ml_grown_covers(g, b->fit->rows->weight, b->count, b->cover);
	if (b->bootstrap)
		vote(b);
}

void
ml_bagging_add(MlBagging *b, const MlGrower *tree, const double *value, const double *cover)
{
	for (int c = 0; c < b->noutputs; c++)
		ml_ensemble_add(b->ensemble, tree, c, value + (Size) c * tree->nnodes, cover, b->unit * b->unit);
}

static void
start(MlBagging *b)
{
	const MlFit *fit = b->fit;
	int64		n = fit->rows->nrows;

	ml_trees_check_rows(fit, b->algorithm);
	b->bins = ml_bins_make(fit, b->max_bins);
	b->growth.monotone = ml_monotone_features(fit, b->bins, b->monotone);
	b->noutputs = fit->task == ML_TASKS_MULTICLASS ? fit->rows->nclasses : 1;
	b->nclasses = b->noutputs > 1 ? b->noutputs : 0;
	ml_bagging_hire(b);
	if (b->crew == NULL)
		b->grower = ml_grower_make(fit, b->bins, &b->growth, b->nclasses);
	b->ensemble = ml_ensemble_make(fit, b->bins);
	measure_target(b);
	if (b->nclasses > 0)
		make_weights(b);
	else
		make_pairs(b);
	b->vote_unit = ml_grower_unit(1, b->ntrees, 0);
	if (b->bootstrap)
		b->count = ml_fit_alloc(fit, n, sizeof(uint16), "rows of a tree");
	if (b->bootstrap && b->crew == NULL)
	{
		b->vote = ml_fit_alloc(fit, (Size) n * b->noutputs, sizeof(int64), "out-of-bag predictions");
		b->voters = ml_fit_alloc(fit, n, sizeof(uint32), "out-of-bag predictions");
	}
}

void
ml_bagging_fit(MlBagging *b)
{
	start(b);
	if (b->crew)
	{
		ml_bagging_grow_together(b);
		return;
	}
	for (int64 tree = 0; tree < b->ntrees; tree++)
	{
		ml_bagging_grow(b, tree);
		ml_bagging_add(b, b->grower, b->value, b->cover);
		if (b->fit->progress)
			b->fit->progress(b->fit->progress_arg, tree + 1, b->ntrees, NAN);
	}
	ml_grower_end(b->grower);
}

/* ---- the out-of-bag score ---- */

/* rows that every tree has drawn have none */
static void
score_regression(const MlBagging *b, MlFitted *fitted)
{
	const double *y = b->fit->rows->y;
	double		total = 0;
	double		mean = 0;
	double		spread = 0;
	double		error = 0;

	for (int64 i = 0; i < b->bins->nrows; i++)
		if (b->voters[i] > 0)
			total += weight_of(b, i);
	for (int64 i = 0; i < b->bins->nrows; i++)
		if (b->voters[i] > 0)
			mean += y[i] / b->unit * (weight_of(b, i) / total);
	for (int64 i = 0; i < b->bins->nrows; i++)
	{
		double		d = y[i] / b->unit - mean;
		double		e = b->voters[i] > 0 ? y[i] / b->unit - b->vote[i] * b->vote_unit / b->voters[i] : 0;

		if (b->voters[i] == 0)
			continue;
		spread += weight_of(b, i) * d * d;
		error += weight_of(b, i) * e * e;
	}
	ml_fitted_fact(fitted, "oob_r2", total > 0 && spread > 0 ? 1 - error / spread : NAN);
}

static void
score_classes(const MlBagging *b, MlFitted *fitted)
{
	double		total = 0;
	double		right = 0;
	double		loss = 0;

	for (int64 i = 0; i < b->bins->nrows; i++)
	{
		int			label = (int) b->fit->rows->y[i];
		double		w = weight_of(b, i);
		double		p;
		int			best = 0;

		if (b->voters[i] == 0)
			continue;
		p = b->vote[b->noutputs > 1 ? label * b->bins->nrows + i : i] * b->vote_unit / b->voters[i];
		if (b->noutputs == 1 && label == 0)
			p = 1 - p;
		for (int c = 1; c < b->noutputs; c++)
			if (b->vote[c * b->bins->nrows + i] > b->vote[best * b->bins->nrows + i])
				best = c;
		if (b->noutputs == 1)
			best = b->vote[i] * b->vote_unit / b->voters[i] >= 0.5;
		total += w;
		right += best == label ? w : 0;
		loss -= w * log(fmax(p, LEAST_PROBABILITY));
	}
	ml_fitted_fact(fitted, "oob_accuracy", total > 0 ? right / total : NAN);
	ml_fitted_fact(fitted, "oob_log_loss", total > 0 ? loss / total : NAN);
}

/* facts that need the votes, which a crew's memory holds */
static void
score(const MlBagging *b, MlFitted *fitted)
{
	if (b->bootstrap && b->fit->rows->nclasses > 0)
		score_classes(b, fitted);
	else if (b->bootstrap)
		score_regression(b, fitted);
}

MlFitted *
ml_bagging_finish(MlBagging *b)
{
	MlFitted   *fitted = ml_fitted_make();
	MlTrees    *trees = ml_ensemble_trees(b->ensemble, b->noutputs);

	trees->mean = true;
	fitted->predictor = &trees->base;
	fitted->passes = (int) b->ntrees;
	ml_fitted_fact(fitted, "trees", b->ensemble->ntrees);
	ml_fitted_fact(fitted, "depth", b->ensemble->depth);
	ml_fitted_fact(fitted, "leaves", (double) ml_ensemble_leaves(b->ensemble));
	score(b, fitted);
	if (b->crew)
		ml_crew_dismiss(b->crew);
	b->crew = NULL;
	if (b->ensemble->nnodes == b->ensemble->ntrees)
		ml_fitted_note(fitted, "no split was worth it: every tree is a single leaf");
	return fitted;
}
