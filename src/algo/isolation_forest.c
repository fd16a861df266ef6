/*
 * isolation_forest.c
 *		Isolation forest: rows that random splits soon leave alone are unusual.
 *
 * Liu, Ting & Zhou, "Isolation forest", ICDM 2008. Each tree sees a sample of
 * the rows and splits it at random until rows are alone or the depth reaches
 * log2 of the sample. Score of a row: 2^-(E h / c(sample)), h being the depth of
 * the leaf it falls into plus c(rows of the sample in that leaf), c(n) the mean
 * depth of an unsuccessful search in a binary tree of n keys: near 1 unusual,
 * well below 0.5 usual.
 *
 * A split takes a column at random of those that differ in the node's rows: a
 * number is cut at a point uniform between its extremes, missing values going
 * to a side drawn by lot; the codes of a category are dealt to the sides by lot.
 * Weights are counts: rows are drawn in proportion to them, and can then come more
 * than once.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "frame/hash.h"
#include "learn/driver.h"
#include "miscadmin.h"
#include "recipe/recipe.h"

#define EULER			0.57721566490153286
#define SCORED_ROWS		4096	/* for the facts about scores */

typedef struct ForestParams
{
	int64		trees;
	int64		sample_rows;
	double		max_features;
} ForestParams;

#define OFFSET(member) offsetof(ForestParams, member)

static const MlParam params[] = {
	{"trees", ML_PARAM_INT, OFFSET(trees), 100, 1, 10000, NULL,
	"number of trees"},
	{"sample_rows", ML_PARAM_INT, OFFSET(sample_rows), 256, 2, 1e6, NULL,
	"rows that each tree is grown from"},
	{"max_features", ML_PARAM_FLOAT, OFFSET(max_features), 1, 1e-6, 1, NULL,
	"share of the columns that each tree may split"},
	{NULL}
};

typedef struct Forest
{
	const MlFit *fit;
	const ForestParams *params;
	const MlRecipe *recipe;
	int			ncolumns;		/* numbers, then categories */
	int			sample;			/* rows of a tree */
	int			depth;			/* of the deepest leaf */
	uint64		random;
	double	   *cumulated;		/* of the weights; NULL: all 1 */

	/* the tree that grows */
	int			n;
	int64	   *drawn;			/* sample: rows, ascending */
	int64	   *seen;			/* hash table of rows, nseen places; -1: free */
	int			nseen;
	double	   *number;			/* number[k * sample + i] */
	int32	   *code;
	int		   *row;			/* the rows in the order of the nodes */
	int		   *begin;			/* of each node of the tree, in row[] */
	int		   *end;
	int		   *level;			/* its depth */
	int		   *column;			/* those that it may split, then those that can */
	int			nallowed;
	int		   *usable;

	/* all of them */
	MlTreeNode *node;
	int32		nnodes;
	int32	   *root;
	uint32	   *set;
	Size		nset;
	Size		set_room;
	double	   *score;			/* of a sample */
	int			nscores;
} Forest;

static double
lot(Forest *f)
{
	f->random = ml_hash_word(f->random, 1);
	return ml_hash_unit(f->random);
}

/* mean depth of an unsuccessful search among n keys: Liu, Ting & Zhou, equation 1 */
static double
usual_depth(int n)
{
	if (n <= 1)
		return 0;
	if (n == 2)
		return 1;
	return 2 * (log(n - 1.0) + EULER) - 2 * (n - 1.0) / n;
}

/* ---- a sample ---- */

/* false if it was there */
static bool
remember(Forest *f, int64 row)
{
	int			at = (int) (ml_hash_mix((uint64) row + ML_HASH_STEP) % (uint64) f->nseen);

	for (; f->seen[at] >= 0; at = (at + 1) % f->nseen)
		if (f->seen[at] == row)
			return false;
	f->seen[at] = row;
	return true;
}

/* Floyd's algorithm: Bentley & Floyd, "A sample of brilliance", CACM 30 (1987) */
static void
draw_evenly(Forest *f)
{
	int64		nrows = f->fit->rows->nrows;

	for (int64 j = nrows - f->sample; j < nrows; j++)
	{
		int64		row = (int64) (lot(f) * (j + 1));

		if (!remember(f, row))
		{
			row = j;
			(void) remember(f, row);
		}
		f->drawn[f->n++] = row;
	}
}

/* a row of weight 2 counts as two, so it can come more than once */
static void
draw_by_weight(Forest *f)
{
	int64		nrows = f->fit->rows->nrows;

	while (f->n < f->sample)
	{
		double		at = lot(f) * f->cumulated[nrows - 1];
		int64		low = 0;
		int64		high = nrows - 1;

		while (low < high)
		{
			int64		middle = low + (high - low) / 2;

			if (f->cumulated[middle] <= at)
				low = middle + 1;
			else
				high = middle;
		}
		f->drawn[f->n++] = low;
	}
}

static int
compare_rows(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return (x > y) - (x < y);
}

static void
draw_sample(Forest *f)
{
	const MlDesignMatrix *rows = f->fit->rows;

	f->n = 0;
	for (int i = 0; i < f->nseen; i++)
		f->seen[i] = -1;
	if (f->cumulated)
		draw_by_weight(f);
	else
		draw_evenly(f);
	qsort(f->drawn, f->n, sizeof(int64), compare_rows);
	for (int i = 0; i < f->n; i++)
	{
		const MlBlock *block = rows->read_block(rows->arg, f->drawn[i], 1);

		CHECK_FOR_INTERRUPTS();
		for (int k = 0; k < f->recipe->nnumbers; k++)
			f->number[(Size) k * f->sample + i] = block->number[k][0];
		for (int g = 0; g < f->recipe->ncategories; g++)
			f->code[(Size) g * f->sample + i] = block->code[g];
		f->row[i] = i;
	}
}

/* the columns that a tree may split: the first of a shuffle */
static void
draw_columns(Forest *f)
{
	for (int i = 0; i < f->ncolumns; i++)
		f->column[i] = i;
	f->nallowed = Max(1, (int) ceil(f->params->max_features * f->ncolumns));
	for (int i = 0; f->nallowed < f->ncolumns && i < f->nallowed; i++)
	{
		int			other = i + (int) (lot(f) * (f->ncolumns - i));
		int			swap = f->column[i];

		f->column[i] = f->column[other];
		f->column[other] = swap;
	}
}

/* ---- splits ---- */

typedef struct Extent
{
	double		low;
	double		high;
	bool		missing;
} Extent;

static Extent
extent_of(const Forest *f, int node, int column)
{
	const double *value = f->number + (Size) column * f->sample;
	Extent		extent = {INFINITY, -INFINITY, false};

	for (int i = f->begin[node]; i < f->end[node]; i++)
	{
		double		x = value[f->row[i]];

		if (isnan(x))
			extent.missing = true;
		else
		{
			extent.low = Min(extent.low, x);
			extent.high = Max(extent.high, x);
		}
	}
	return extent;
}

/* do the rows of a node differ in the column? */
static bool
differs(const Forest *f, int node, int column)
{
	if (column < f->recipe->nnumbers)
	{
		Extent		extent = extent_of(f, node, column);

		return extent.low < extent.high || (extent.missing && extent.low <= extent.high);
	}
	else
	{
		const int32 *code = f->code + (Size) (column - f->recipe->nnumbers) * f->sample;

		for (int i = f->begin[node] + 1; i < f->end[node]; i++)
			if (code[f->row[i]] != code[f->row[f->begin[node]]])
				return true;
		return false;
	}
}

static void
split_number(Forest *f, int node, MlTreeNode *made)
{
	Extent		extent = extent_of(f, node, made->split);
	double		share = lot(f);

	made->missing_left = lot(f) < 0.5;
	made->threshold = extent.low * (1 - share) + extent.high * share;
	if (!(made->threshold > extent.low && made->threshold <= extent.high))
		made->threshold = extent.high;
	if (!(extent.low < extent.high))
		made->missing_left = true;	/* those there go right */
}

/* words of f->set for ncodes codes */
static uint32 *
take_set(Forest *f, int ncodes, int32 *at)
{
	Size		words = ML_TREE_SET_WORDS(ncodes);

	if (f->nset + words > f->set_room)
	{
		Size		room = Max(f->set_room * 2, f->nset + words + 1024);
		uint32	   *more;

		if (room > PG_INT32_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("the splits of categories are too many"),
					 errhint("Grow fewer trees, or allow fewer max_categories.")));
		more = ml_fit_alloc(f->fit, room, sizeof(uint32), "splits of categories");
		if (f->set)
			memcpy(more, f->set, f->nset * sizeof(uint32));
		f->set = more;
		f->set_room = room;
	}
	*at = (int32) f->nset;
	f->nset += words;
	return f->set + *at;
}

static void
split_category(Forest *f, int node, MlTreeNode *made)
{
	int			category = made->split - f->recipe->nnumbers;
	int			ncodes = ML_NCODES(&f->recipe->features[f->recipe->category_design[category].feature]);
	const int32 *code = f->code + (Size) category * f->sample;
	uint32	   *set = take_set(f, ncodes, &made->set);
	int32		some = code[f->row[f->begin[node]]];
	bool		all = true;
	bool		bit;

	memset(set, 0, ML_TREE_SET_WORDS(ncodes) * sizeof(uint32));
	for (int c = 0; c < ncodes; c++)
		if (lot(f) < 0.5)
			set[c / 32] |= UINT32_C(1) << (c % 32);

	/* were all on one side, one code would change sides */
	bit = set[some / 32] >> (some % 32) & 1;
	for (int i = f->begin[node]; i < f->end[node]; i++)
	{
		int32		c = code[f->row[i]];

		all &= (set[c / 32] >> (c % 32) & 1) == bit;
	}
	if (all)
		set[some / 32] ^= UINT32_C(1) << (some % 32);
}

static bool
goes_left(const Forest *f, const MlTreeNode *node, double number, int32 code)
{
	if (node->split >= f->recipe->nnumbers)
		return f->set[node->set + code / 32] >> (code % 32) & 1;
	return isnan(number) ? node->missing_left : number < node->threshold;
}

/* the rows that go left, then the others, each in their order; returns where these begin */
static int
part_rows(Forest *f, int node, const MlTreeNode *made)
{
	int		   *right = f->usable;	/* free by now: as long as the sample */
	int			nright = 0;
	int			at = f->begin[node];
	bool		is_number = made->split < f->recipe->nnumbers;
	const double *number = is_number ? f->number + (Size) made->split * f->sample : NULL;
	const int32 *code = is_number ? NULL : f->code + (Size) (made->split - f->recipe->nnumbers) * f->sample;

	for (int i = f->begin[node]; i < f->end[node]; i++)
	{
		int			row = f->row[i];

		if (goes_left(f, made, is_number ? number[row] : 0, is_number ? 0 : code[row]))
			f->row[at++] = row;
		else
			right[nright++] = row;
	}
	memcpy(f->row + at, right, nright * sizeof(int));
	return at;
}

/* how lopsided a split is, in bits a row: it singles out few rows of many */
static double
lopsided(double left, double right)
{
	double		n = left + right;

	return Max(0, 1 + left / n * log2(left / n) + right / n * log2(right / n)) * n;
}

/* a column at random of those that differ; -1: there is none */
static int
choose_column(Forest *f, int node)
{
	int			n = 0;

	for (int i = 0; i < f->nallowed; i++)
		if (differs(f, node, f->column[i]))
			f->usable[n++] = f->column[i];
	return n == 0 ? -1 : f->usable[(int) (lot(f) * n)];
}

static void
make_leaf(Forest *f, int node, MlTreeNode *made)
{
	made->split = -1;
	made->value = (f->level[node] + usual_depth((int) made->cover)) / usual_depth(f->sample);
}

/* node number i of the tree that begins at root */
static void
grow_node(Forest *f, int32 root, int i)
{
	MlTreeNode *made = &f->node[root + i];
	int			child = f->nnodes - root;

	made->cover = f->end[i] - f->begin[i];
	made->split = made->cover > 1 && f->level[i] < f->depth ? choose_column(f, i) : -1;
	if (made->split < 0)
	{
		make_leaf(f, i, made);
		return;
	}
	if (made->split < f->recipe->nnumbers)
		split_number(f, i, made);
	else
		split_category(f, i, made);
	made->left = f->nnodes;
	f->nnodes += 2;
	f->begin[child] = f->begin[i];
	f->end[child] = f->begin[child + 1] = part_rows(f, i, made);
	f->end[child + 1] = f->end[i];
	f->level[child] = f->level[child + 1] = f->level[i] + 1;
	made->gain = lopsided(f->end[child] - f->begin[child], f->end[child + 1] - f->begin[child + 1]);
}

static void
grow_tree(Forest *f, int tree)
{
	int32		root = f->nnodes;

	f->random = ml_hash_word(ml_hash_word(UINT64CONST(0x69736f6c617465), (uint64) f->fit->seed), tree);
	draw_sample(f);
	draw_columns(f);
	f->root[tree] = root;
	f->begin[0] = 0;
	f->end[0] = f->n;
	f->level[0] = 0;
	f->nnodes++;
	for (int i = 0; root + i < f->nnodes; i++)
	{
		CHECK_FOR_INTERRUPTS();
		grow_node(f, root, i);
	}
}

/* ---- scores of a sample ---- */

static double
path_of(const Forest *f, int tree, const MlBlock *block, int i)
{
	int32		at = f->root[tree];

	while (f->node[at].split >= 0)
	{
		const MlTreeNode *node = &f->node[at];
		bool		is_number = node->split < f->recipe->nnumbers;

		at = node->left + !goes_left(f, node, is_number ? block->number[node->split][i] : 0, is_number ? 0 :
									 block->code[(Size) (node->split - f->recipe->nnumbers) * block->n + i]);
	}
	return f->node[at].value;
}

static void
score_rows(Forest *f)
{
	const MlDesignMatrix *rows = f->fit->rows;
	double		share;

	f->nscores = (int) Min(SCORED_ROWS, rows->nrows);
	f->score = ml_fit_alloc(f->fit, f->nscores, sizeof(double), "scores");
	f->random = ml_hash_word(UINT64CONST(0x73636f7265), (uint64) f->fit->seed);
	share = (double) rows->nrows / f->nscores;
	for (int i = 0; i < f->nscores; i++)
	{
		/* one of each of as many stretches of the rows */
		int64		row = Min((int64) ((i + lot(f)) * share), rows->nrows - 1);
		const MlBlock *block = rows->read_block(rows->arg, row, 1);
		double		sum = 0;

		for (int t = 0; t < f->params->trees; t++)
			sum += path_of(f, t, block, 0);
		f->score[i] = exp2(-sum / f->params->trees);
		if (i % 64 == 0)
			f->fit->progress(f->fit->progress_arg, i, f->nscores, NAN);
	}
}

/* ---- the fit ---- */

static void
check(const MlFit *fit)
{
	if (fit->rows->nrows < 2)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("\"isolation_forest\" needs at least two rows"),
				 errdetail("There is " INT64_FORMAT " training row.", fit->rows->nrows),
				 errhint("Train on more rows.")));
}

static void
cumulate_weights(Forest *f)
{
	const MlDesignMatrix *rows = f->fit->rows;
	double		sum = 0;

	if (rows->weight == NULL)
		return;
	f->cumulated = ml_fit_alloc(f->fit, rows->nrows, sizeof(double), "weights");
	for (int64 i = 0; i < rows->nrows; i++)
		f->cumulated[i] = sum += rows->weight[i];
}

static void
allocate(Forest *f)
{
	const MlFit *fit = f->fit;
	Size		sample = f->sample;
	Size		nodes = Min(2 * sample - 1, (Size) 2 << f->depth);

	if (nodes * f->params->trees > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the forest would have too many nodes"),
				 errdetail(INT64_FORMAT " trees of up to %zu nodes.", f->params->trees, nodes),
				 errhint("Grow fewer trees, or from fewer sample_rows.")));
	f->nseen = 2 * f->sample + 1;
	f->drawn = ml_fit_alloc(fit, sample, sizeof(int64), "sample of a tree");
	f->seen = ml_fit_alloc(fit, f->nseen, sizeof(int64), "sample of a tree");
	f->number = ml_fit_alloc(fit, sample * f->recipe->nnumbers, sizeof(double), "sample of a tree");
	f->code = ml_fit_alloc(fit, sample * f->recipe->ncategories, sizeof(int32), "sample of a tree");
	f->row = ml_fit_alloc(fit, sample, sizeof(int), "sample of a tree");
	f->begin = ml_fit_alloc(fit, nodes, sizeof(int), "nodes of a tree");
	f->end = ml_fit_alloc(fit, nodes, sizeof(int), "nodes of a tree");
	f->level = ml_fit_alloc(fit, nodes, sizeof(int), "nodes of a tree");
	f->column = ml_fit_alloc(fit, f->ncolumns, sizeof(int), "sample of a tree");
	f->usable = ml_fit_alloc(fit, Max(f->ncolumns, f->sample), sizeof(int), "sample of a tree");
	f->node = ml_fit_alloc(fit, nodes * f->params->trees, sizeof(MlTreeNode), "trees");
	f->root = ml_fit_alloc(fit, f->params->trees, sizeof(int32), "trees");
}

static void *
fit_rows(const MlFit *fit)
{
	Forest	   *f = ml_fit_alloc(fit, 1, sizeof(Forest), "isolation forest");

	check(fit);
	f->fit = fit;
	f->params = fit->params;
	f->recipe = fit->rows->recipe;
	f->ncolumns = f->recipe->nnumbers + f->recipe->ncategories;
	f->sample = (int) Min(f->params->sample_rows, fit->rows->nrows);
	f->depth = (int) ceil(log2(f->sample));
	allocate(f);
	cumulate_weights(f);
	for (int t = 0; t < f->params->trees; t++)
	{
		grow_tree(f, t);
		fit->progress(fit->progress_arg, t + 1, f->params->trees, NAN);
	}
	score_rows(f);
	return f;
}

/* ---- the result ---- */

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

static void
add_facts(Forest *f, MlFitted *fitted)
{
	double		sum = 0;

	for (int i = 0; i < f->nscores; i++)
		sum += f->score[i];
	qsort(f->score, f->nscores, sizeof(double), compare_doubles);
	ml_fitted_fact(fitted, "trees", f->params->trees);
	ml_fitted_fact(fitted, "sample_rows", f->sample);
	ml_fitted_fact(fitted, "nodes", f->nnodes);
	ml_fitted_fact(fitted, "scored_rows", f->nscores);
	ml_fitted_fact(fitted, "mean_score", sum / f->nscores);
	ml_fitted_fact(fitted, "score_95", f->score[(int) (0.95 * (f->nscores - 1))]);
	ml_fitted_fact(fitted, "score_99", f->score[(int) (0.99 * (f->nscores - 1))]);
	ml_fitted_fact(fitted, "largest_score", f->score[f->nscores - 1]);
}

static MlFitted *
finish(void *fit)
{
	Forest	   *f = fit;
	MlFitted   *fitted = ml_fitted_make();
	MlTrees    *trees = palloc0(sizeof(MlTrees));

	trees->base.kind = ML_PREDICTOR_TREES;
	trees->link = ML_LINK_HALVING;
	trees->noutputs = 1;
	trees->mean = true;
	trees->base_score = palloc0(sizeof(double));
	trees->ntrees = (int) f->params->trees;
	trees->root = palloc(trees->ntrees * sizeof(int32));
	trees->output = palloc0(trees->ntrees * sizeof(int32));
	trees->nnodes = f->nnodes;
	trees->node = palloc_extended((Size) f->nnodes * sizeof(MlTreeNode), MCXT_ALLOC_HUGE);
	trees->nset = (int32) f->nset;
	trees->set = palloc_extended(Max(f->nset, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	memcpy(trees->root, f->root, trees->ntrees * sizeof(int32));
	memcpy(trees->node, f->node, (Size) f->nnodes * sizeof(MlTreeNode));
	if (f->nset > 0)
		memcpy(trees->set, f->set, f->nset * sizeof(uint32));
	fitted->predictor = &trees->base;
	fitted->passes = 1;
	add_facts(f, fitted);
	return fitted;
}

const MlAlgorithm ml_isolation_forest = {
	.name = "isolation_forest",
	.summary = "anomaly scores: how soon random splits leave a row alone",
	.tasks = ML_TASKS_ANOMALY,
	.params = params,
	.params_size = sizeof(ForestParams),
	.fit_rows = fit_rows,
	.finish = finish,
};
