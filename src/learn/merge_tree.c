/*
 * merge_tree.c
 *		Merges the states of blocks in a tree of fixed shape: see merge_tree.h.
 */
#include "postgres.h"

#include "learn/merge_tree.h"
#include "learn/driver.h"
#include "utils/memutils.h"

void *
ml_merge_tree_take(MlMergeTree *tree)
{
	MemoryContext old;
	void	   *state;

	if (tree->nspare > 0)
	{
		state = tree->spare[--tree->nspare];
		memset(state, 0, tree->state_size);
		return state;
	}
	old = MemoryContextSwitchTo(tree->cxt);
	if (tree->fit != NULL)
		state = ml_fit_alloc(tree->fit, 1, tree->state_size, "state of the learner");
	else
		state = ml_aligned_alloc(tree->state_size);
	MemoryContextSwitchTo(old);
	return state;
}

void
ml_merge_tree_return(MlMergeTree *tree, void *state)
{
	Assert(tree->nspare < ML_MERGE_LEVELS);
	tree->spare[tree->nspare++] = state;
}

/* earlier becomes the state of both */
static void *
merge_states(MlMergeTree *tree, void *earlier, void *later)
{
	tree->algorithm->merge(tree->learner, earlier, later);
	ml_merge_tree_return(tree, later);
	return earlier;
}

void
ml_merge_tree_carry(MlMergeTree *tree, int level, void *state)
{
	for (; tree->level[level] != NULL; level++)
	{
		Assert(level < ML_MERGE_LEVELS - 1);
		state = merge_states(tree, tree->level[level], state);
		tree->level[level] = NULL;
	}
	tree->level[level] = state;
}

void *
ml_merge_tree_collect(MlMergeTree *tree)
{
	void	   *state = NULL;

	for (int i = 0; i < ML_MERGE_LEVELS; i++)
	{
		if (tree->level[i] == NULL)
			continue;
		state = state ? merge_states(tree, tree->level[i], state) : tree->level[i];
		tree->level[i] = NULL;
	}
	return state ? state : ml_merge_tree_take(tree);
}
