/*
 * merge_tree.h
 *		Merges the states of blocks in a tree whose shape depends on the number
 *		of blocks alone.
 *
 * States of equally many blocks are merged, as ones are carried in a binary
 * counter; what is left at the end is merged from the latest to the earliest.
 * At most one state of each size is alive (and one more while merging), so that
 * n blocks need log2(n) + 2 states. A state of 2^level blocks that begins at a
 * multiple of 2^level may as well have been made by another tree.
 */
#ifndef ML_LEARN_MERGE_TREE_H
#define ML_LEARN_MERGE_TREE_H

#include "learn/algorithm.h"

#define ML_MERGE_LEVELS 64

typedef struct MlMergeTree
{
	const MlAlgorithm *algorithm;
	void	   *learner;
	Size		state_size;
	const MlFit *fit;			/* whose budget states are taken from; NULL: nobody's */
	MemoryContext cxt;			/* where they live */
	void	   *level[ML_MERGE_LEVELS];	/* state of 2^level blocks, or NULL */
	void	   *spare[ML_MERGE_LEVELS];	/* allocated, not in use */
	int			nspare;
} MlMergeTree;

extern void *ml_merge_tree_take(MlMergeTree *tree);	/* a zeroed state */
extern void ml_merge_tree_return(MlMergeTree *tree, void *state);

/* adds the state of the next 2^level blocks */
extern void ml_merge_tree_carry(MlMergeTree *tree, int level, void *state);

/* what the tree holds, as one state; the tree is empty then */
extern void *ml_merge_tree_collect(MlMergeTree *tree);

#endif							/* ML_LEARN_MERGE_TREE_H */
