/*
 * fold_crew.h
 *		A fold's passes over rows in shared memory, by a crew.
 *
 * Worth it for a learner that reads the rows several times: the design is
 * copied to where all can see it, once, as far as the passes have come. A chunk
 * is a number of blocks whose states make one subtree of the driver's tree, so
 * that the sums are those of one process, bit for bit.
 */
#ifndef ML_LEARN_FOLD_CREW_H
#define ML_LEARN_FOLD_CREW_H

#include "learn/merge_tree.h"
#include "learn/crew.h"

typedef struct MlFoldCrew MlFoldCrew;

/* NULL: one process is as good, or all there is; the tree's learner has started */
extern MlFoldCrew *ml_fold_crew_begin(const MlMergeTree *tree, const MlFit *fit);

/*
 * Rows [first, ...) of the next pass, in the learner of the tree, which has
 * begun it: consumes whole chunks, at most up to nrows, adds their states to
 * the tree and returns the number of rows; 0 when what is left is less than
 * a chunk. begins: this is the first of a pass.
 */
extern int64 ml_fold_crew_consume(MlFoldCrew *fold, MlMergeTree *tree, bool begins,
								  int64 first, int64 nrows);

extern void ml_fold_crew_end(MlFoldCrew *fold); /* may be NULL */

/* the task of a crew */
extern void ml_fold_crew_chunk(MlCrewMember *me, const void *args, int64 chunk);

#endif							/* ML_LEARN_FOLD_CREW_H */
