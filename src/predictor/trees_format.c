/*
 * trees_format.c
 *		The bytes of trees.
 *
 * Nodes are written breadth first, without saying where children are: they are
 * the next two that no earlier node has. Whatever the bytes, what is read is a
 * tree: every node but the first has one parent, before it. Sets of codes stand
 * with their node, in as many words as the category has codes for.
 */
#include "postgres.h"

#include "interrupts.h"
#include "predictor/trees.h"
#include "utils/memutils.h"

#define LEAF_BYTES		(4 + 8 + 8)
#define TREE_BYTES		(4 + 4 + LEAF_BYTES)

static void *
allocate(Size n, Size size)
{
	return palloc_extended(Max(n, 1) * size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

static int
ncodes_of(const MlRecipe *recipe, int32 split)
{
	return ML_NCODES(&recipe->features[recipe->category_design[split - recipe->nnumbers].feature]);
}

/* ---- writing ---- */

/* bits beyond the last code mean nothing, and are not written */
static void
put_set(MlWriter *w, const uint32 *set, int ncodes)
{
	for (int i = 0; i < ML_TREE_SET_WORDS(ncodes); i++)
	{
		int			left = ncodes - 32 * i;

		ml_put_int32(w, (int32) (left >= 32 ? set[i] : set[i] & (((uint32) 1 << left) - 1)));
	}
}

static void
put_node(MlWriter *w, const MlRecipe *recipe, const MlTrees *trees, const MlTreeNode *node)
{
	ml_put_int32(w, node->split);
	if (node->split < 0)
	{
		ml_put_double(w, node->value);
		ml_put_double(w, node->cover);
		return;
	}
	if (node->split < recipe->nnumbers)
	{
		ml_put_byte(w, node->missing_left);
		ml_put_double(w, node->threshold);
	}
	else
		put_set(w, trees->set + node->set, ncodes_of(recipe, node->split));
	ml_put_double(w, node->cover);
	ml_put_double(w, node->gain);
}

static void
put_tree(MlWriter *w, const MlRecipe *recipe, const MlTrees *trees, int tree, int32 *order)
{
	int32		count = ml_tree_end(trees, tree) - trees->root[tree];
	int32		found = 1;

	ml_put_int32(w, trees->output[tree]);
	ml_put_int32(w, count);
	order[0] = trees->root[tree];
	for (int32 i = 0; i < found; i++)
	{
		const MlTreeNode *node = &trees->node[order[i]];

		ml_check_row(i);
		put_node(w, recipe, trees, node);
		if (node->split < 0)
			continue;
		if (found + 2 > count)
			elog(ERROR, "tree %d has more nodes than its %d", tree, count);
		order[found++] = node->left;
		order[found++] = node->left + 1;
	}
	if (found < count)
		elog(ERROR, "tree %d has %d nodes that nothing leads to", tree, count - found);
}

void
ml_trees_write(MlWriter *w, const MlRecipe *recipe, const MlPredictor *predictor)
{
	const MlTrees *trees = (const MlTrees *) predictor;
	int32	   *order = allocate(trees->nnodes, sizeof(int32));

	ml_put_byte(w, trees->link);
	ml_put_int32(w, trees->noutputs);
	ml_put_byte(w, trees->mean);
	ml_put_byte(w, trees->single);
	ml_put_doubles(w, trees->base_score, trees->noutputs);
	ml_put_int32(w, trees->ntrees);
	ml_put_int32(w, trees->nnodes);
	for (int t = 0; t < trees->ntrees; t++)
		put_tree(w, recipe, trees, t, order);
	pfree(order);
}

/* ---- reading ---- */

/* what is known while trees are read */
typedef struct Reading
{
	MlTrees    *trees;
	const MlRecipe *recipe;
	int32	   *depth;			/* of each node */
	int32		set_size;		/* words there is room for */
} Reading;

/* outputs are of the target's task: numbers, probabilities or a score */
static void
read_outputs(MlCursor *c, const MlTarget *target, MlTrees *trees)
{
	Size		at = c->at;
	bool		several = target->task == ML_TASK_MULTICLASS;
	int			wanted = several ? target->nclasses : 1;

	trees->link = ml_cursor_range(c, 1, 0, ML_LAST_LINK, "link");
	if (target->task == ML_TASK_CLUSTER || target->task == ML_TASK_PROJECTION)
		ml_cursor_refuse(c, at, "trees", "another kind of predictor for a task without outputs of trees");
	if (trees->link == ML_LINK_SOFTMAX ? !several : several && trees->link != ML_LINK_IDENTITY)
		ml_cursor_refuse(c, at, psprintf("link %d", (int) trees->link),
						 "softmax or identity for several classes, and softmax for nothing else");
	trees->noutputs = ml_cursor_range(c, 4, wanted, wanted, "number of outputs");
	trees->mean = ml_cursor_flag(c, "flag of the mean");
	trees->single = ml_cursor_flag(c, "flag of single precision");
	trees->base_score = ml_cursor_doubles(c, trees->noutputs, ML_FLOAT_FINITE, "base score");
}

static double
read_cover(MlCursor *c)
{
	Size		at = c->at;
	double		cover = ml_cursor_double(c, ML_FLOAT_FINITE, "cover");

	if (cover <= 0)
		ml_cursor_refuse(c, at, psprintf("%g", cover), "more than 0");
	return cover;
}

static void
read_set(MlCursor *c, Reading *reading, MlTreeNode *node)
{
	MlTrees    *trees = reading->trees;
	int			ncodes = ncodes_of(reading->recipe, node->split);
	int			words = ML_TREE_SET_WORDS(ncodes);
	Size		at = c->at;

	ml_cursor_require(c, words, 4, "set of codes");
	while (trees->nset + words > reading->set_size)
	{
		reading->set_size = Max(reading->set_size * 2, 64);
		trees->set = repalloc_huge(trees->set, (Size) reading->set_size * sizeof(uint32));
	}
	node->set = trees->nset;
	for (int i = 0; i < words; i++)
		trees->set[trees->nset++] = (uint32) ml_cursor_integer(c, 4, "set of codes");
	if (ncodes % 32 != 0 && trees->set[trees->nset - 1] >> (ncodes % 32) != 0)
		ml_cursor_refuse(c, at, "a code that the category does not have", psprintf("codes below %d", ncodes));
}

static void
read_node(MlCursor *c, Reading *reading, MlTreeNode *node)
{
	const MlRecipe *recipe = reading->recipe;

	node->split = ml_cursor_range(c, 4, -1, recipe->nnumbers + recipe->ncategories - 1, "split");
	if (node->split < 0)
	{
		node->value = ml_cursor_double(c, ML_FLOAT_FINITE, "value");
		node->cover = read_cover(c);
		return;
	}
	if (node->split < recipe->nnumbers)
	{
		node->missing_left = ml_cursor_flag(c, "way of missing values");
		node->threshold = ml_cursor_double(c, ML_FLOAT_FINITE, "threshold");
	}
	else
		read_set(c, reading, node);
	node->cover = read_cover(c);
	node->gain = ml_cursor_double(c, ML_FLOAT_FINITE, "gain");
}

/* Nodes [first, end) of the trees; a parent comes to the next two that are free. */
static void
read_nodes(MlCursor *c, Reading *reading, int32 first, int32 end)
{
	MlTrees    *trees = reading->trees;
	int32		next = first + 1;

	reading->depth[first] = 0;
	for (int32 i = first; i < end; i++)
	{
		MlTreeNode *node = &trees->node[i];
		Size		at = c->at;

		ml_check_row(i);
		if (i == next)
			ml_cursor_refuse(c, at, "a node that no split leads to", "none");
		read_node(c, reading, node);
		if (node->split < 0)
			continue;
		if (end - next < 2)
			ml_cursor_refuse(c, at, "a split without children", psprintf("%d nodes or more", next + 2 - first));
		if (reading->depth[i] >= ML_TREE_MAX_DEPTH)
			ml_cursor_refuse(c, at, psprintf("a split at depth %d", reading->depth[i]),
							 psprintf("depths below %d", ML_TREE_MAX_DEPTH));
		node->left = next;
		reading->depth[next++] = reading->depth[i] + 1;
		reading->depth[next++] = reading->depth[i] + 1;
	}
}

MlPredictor *
ml_trees_read(MlCursor *c, const MlRecipe *recipe)
{
	MlTrees    *trees = allocate(1, sizeof(MlTrees));
	Reading		reading = {trees, recipe, NULL, 0};
	int32		used = 0;

	trees->base.kind = ML_PREDICTOR_TREES;
	read_outputs(c, &recipe->target, trees);
	trees->ntrees = ml_cursor_count(c, TREE_BYTES, "number of trees");
	trees->nnodes = ml_cursor_count(c, LEAF_BYTES, "number of nodes");
	trees->root = allocate(trees->ntrees, sizeof(int32));
	trees->output = allocate(trees->ntrees, sizeof(int32));
	trees->node = allocate(trees->nnodes, sizeof(MlTreeNode));
	trees->set = allocate(1, sizeof(uint32));
	reading.depth = allocate(trees->nnodes, sizeof(int32));
	for (int t = 0; t < trees->ntrees; t++)
	{
		int32		count;

		trees->root[t] = used;
		trees->output[t] = ml_cursor_range(c, 4, 0, trees->noutputs - 1, "output");
		count = ml_cursor_range(c, 4, 1, trees->nnodes - used, "number of nodes of a tree");
		read_nodes(c, &reading, used, used + count);
		used += count;
	}
	if (used < trees->nnodes)
		ml_cursor_refuse(c, c->at, psprintf("%d nodes in trees", used), psprintf("%d", trees->nnodes));
	pfree(reading.depth);
	return &trees->base;
}
