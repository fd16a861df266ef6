/*
 * groups.h
 *		One predictor a group (group_by): rows of one value of a column.
 */
#ifndef ML_GROUPS_H
#define ML_GROUPS_H

#include "postgres.h"

#include "train/train.h"

/*
 * Reading: the group column is read where features are listed without it; and
 * what can be said before a row is read. 22023, 42703, 42804, 0A000.
 */
extern void ml_groups_request(const MlTraining *training, MlFrameRequest *request);
extern void ml_groups_check(const MlTraining *training, const MlFrame *frame);

/*
 * What learners see of a block of a grouped training: the group masked, as the
 * recipe within a group has it. NULL for a training without groups.
 */
typedef struct MlGroupMask MlGroupMask;

extern MlGroupMask *ml_group_mask_make(const MlRecipe *recipe);
extern const MlBlock *ml_group_mask(MlGroupMask *mask, const MlBlock *block);
extern const MlRecipe *ml_group_mask_recipe(const MlGroupMask *mask);

/*
 * After the pooled fit: fits the groups that are large enough and makes the
 * training's predictor one of groups. fit is that of the pooled fit, whose rows
 * are the training rows of the frame.
 */
extern void ml_fit_groups(MlTraining *training, const MlFit *fit, MlGroupMask *mask);

#endif							/* ML_GROUPS_H */
