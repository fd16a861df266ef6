/*
 * profile.h
 *		What the rows looked like that a version was trained on.
 */
#ifndef ML_TRAIN_PROFILE_H
#define ML_TRAIN_PROFILE_H

#include "train/train.h"

/* The features of the first n rows of a frame, in the training's context; before an encoder takes their place. */
extern void ml_training_profile_features(MlTraining *training, const MlFrame *frame, int64 n);

/* The same of the target, if there is one */
extern void ml_training_profile_target(MlTraining *training, const MlFrame *frame, int64 n);

/* What the model says of n rows of a frame from first on, or of as many of them as suffice */
extern void ml_training_profile_predictions(MlTraining *training, const MlModel *model, const MlFrame *frame,
											int64 first, int64 n);

/* of the held-out rows, if they are enough to tell; else of the training rows */
extern void ml_training_profile_predicted(MlTraining *training, const MlModel *model);

/* stores all of these for the version just registered */
extern void ml_training_insert_profiles(MlTraining *training);

#endif							/* ML_TRAIN_PROFILE_H */
