/*
 * ensemble.c
 *		Grown trees become a predictor: bins become thresholds and sets of
 *		codes, rows become covers.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "learn/driver.h"
#include "trees/ensemble.h"

MlEnsemble *
ml_ensemble_make(const MlFit *fit, const MlBins *bins)
{
	MlEnsemble *e = ml_fit_alloc(fit, 1, sizeof(MlEnsemble), "the trees");

	e->fit = fit;
	e->bins = bins;
	return e;
}

/* an array with room for n elements more */
static void *
enlarge(const MlFit *fit, void *array, int used, int *capacity, int n, Size size)
{
	int64		wanted = Max((int64) used + n, Min((int64) *capacity * 3 / 2, PG_INT32_MAX));
	void	   *larger;

	if ((int64) used + n <= *capacity)
		return array;
	if ((int64) used + n > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the trees have more nodes than can be numbered"),
				 errdetail("A model holds at most %d nodes.", PG_INT32_MAX),
				 errhint("Grow fewer or smaller trees: lower \"trees\" or \"max_depth\", raise \"min_leaf_rows\".")));
	larger = ml_fit_alloc(fit, wanted, size, "the trees");
	if (array)
	{
		memcpy(larger, array, (Size) used * size);
		ml_aligned_free(array);
	}
	*capacity = (int) wanted;
	return larger;
}

static void
begin_tree(MlEnsemble *e, int output)
{
	int			capacity[3] = {e->tree_capacity, e->tree_capacity, e->tree_capacity};

	e->root = enlarge(e->fit, e->root, e->ntrees, &capacity[0], 1, sizeof(int32));
	e->output = enlarge(e->fit, e->output, e->ntrees, &capacity[1], 1, sizeof(int32));
	e->set_end = enlarge(e->fit, e->set_end, e->ntrees, &capacity[2], 1, sizeof(int32));
	e->tree_capacity = capacity[0];
	e->root[e->ntrees] = e->nnodes;
	e->output[e->ntrees] = output;
	e->set_end[e->ntrees++] = e->nset;
}

/* the codes that go left, as bits */
static int32
add_set(MlEnsemble *e, const MlBinFeature *f, const uint32 *bins)
{
	int			words = ML_TREE_SET_WORDS(f->ncodes);
	int32		first = e->nset;

	e->set = enlarge(e->fit, e->set, e->nset, &e->set_capacity, words, sizeof(uint32));
	memset(e->set + first, 0, words * sizeof(uint32));
	for (int c = 0; c < f->ncodes; c++)
		if (ml_set_has(bins, f->code_bin[c]))
			e->set[first + c / 32] |= (uint32) 1 << (c % 32);
	e->nset += words;
	return first;
}

static void
fill_split(MlEnsemble *e, MlTreeNode *to, const MlGrownNode *from, double gain_unit)
{
	const MlBinFeature *f = &e->bins->feature[from->feature];

	to->split = f->split;
	to->missing_left = f->category ? false : from->missing_left;
	if (f->category)
		to->set = add_set(e, f, from->set);
	else
		to->threshold = from->bin < f->nvalues - 1 ? f->cut[from->bin] : DBL_MAX;
	to->gain = fmin(from->gain * gain_unit, DBL_MAX);
}

void
ml_ensemble_add(MlEnsemble *e, const MlGrower *g, int output,
				const double *value, const double *cover, double gain_unit)
{
	int32	   *place = palloc_extended(sizeof(int32) * g->nnodes, MCXT_ALLOC_HUGE);
	int16	   *depth = palloc_extended(sizeof(int16) * g->nnodes, MCXT_ALLOC_HUGE);
	int32		root = e->nnodes;

	begin_tree(e, output);
	e->node = enlarge(e->fit, e->node, e->nnodes, &e->node_capacity, g->nnodes, sizeof(MlTreeNode));
	memset(place, -1, sizeof(int32) * g->nnodes);
	place[0] = e->nnodes++;
	depth[0] = 0;
	for (int i = 0; i < g->nnodes; i++)
	{
		const MlGrownNode *from = &g->node[i];
		MlTreeNode *to;

		if (place[i] < 0)
			continue;
		to = &e->node[place[i]];
		memset(to, 0, sizeof(*to));
		to->split = -1;
		e->depth = Max(e->depth, depth[i]);
		if (from->feature < 0)
		{
			to->value = value[i];
			to->cover = cover[i];
			continue;
		}
		fill_split(e, to, from, gain_unit);
		to->left = e->nnodes;
		place[from->left] = e->nnodes++;
		place[from->left + 1] = e->nnodes++;
		depth[from->left] = depth[from->left + 1] = depth[i] + 1;
	}
	for (int32 i = e->nnodes - 1; i >= root; i--)
		if (e->node[i].split >= 0)
			e->node[i].cover = e->node[e->node[i].left].cover + e->node[e->node[i].left + 1].cover;
	e->set_end[e->ntrees - 1] = e->nset;
	pfree(place);
	pfree(depth);
}

void
ml_ensemble_cut(MlEnsemble *e, int ntrees)
{
	if (ntrees >= e->ntrees)
		return;
	e->nnodes = e->root[ntrees];
	e->nset = ntrees > 0 ? e->set_end[ntrees - 1] : 0;
	e->ntrees = ntrees;
}

int64
ml_ensemble_leaves(const MlEnsemble *e)
{
	int64		leaves = 0;

	for (int32 i = 0; i < e->nnodes; i++)
		leaves += e->node[i].split < 0;
	return leaves;
}

static void *
copy_array(const void *array, Size n, Size size)
{
	void	   *copy = palloc_extended(Max(n * size, 1), MCXT_ALLOC_HUGE);

	if (n > 0)
		memcpy(copy, array, n * size);
	return copy;
}

MlTrees *
ml_ensemble_trees(const MlEnsemble *e, int noutputs)
{
	MlTrees    *trees = palloc0(sizeof(MlTrees));

	trees->base.kind = ML_PREDICTOR_TREES;
	trees->link = ML_LINK_IDENTITY;
	trees->noutputs = noutputs;
	trees->base_score = palloc0(noutputs * sizeof(double));
	trees->ntrees = e->ntrees;
	trees->root = copy_array(e->root, e->ntrees, sizeof(int32));
	trees->output = copy_array(e->output, e->ntrees, sizeof(int32));
	trees->nnodes = e->nnodes;
	trees->node = copy_array(e->node, e->nnodes, sizeof(MlTreeNode));
	trees->nset = e->nset;
	trees->set = copy_array(e->set, e->nset, sizeof(uint32));
	return trees;
}
