/*
 * encoder.h
 *		A model in front of the learner.
 */
#ifndef ML_TRAIN_ENCODER_H
#define ML_TRAIN_ENCODER_H

#include "train/train.h"

/*
 * Resolves the parameter "encoder", if it is there, to a version, and loads it.
 * Errors as of resolving a reference; 42501 without the right to read it; 22023
 * for what does not transform rows.
 */
extern void ml_training_take_encoder(MlTraining *training);

/* the columns of the source against those that it takes: 42703, 42804, 22023. There must be one, as below */
extern void ml_training_check_encoder(MlTraining *training, const MlFrame *frame);

/* replaces the features of the frame by what it makes of them */
extern void ml_training_encode(MlTraining *training);

/* 0A000 for an encoder that ml_training_take_encoder has not seen */
extern void ml_training_require_encoder(const MlTraining *training);

#endif							/* ML_TRAIN_ENCODER_H */
