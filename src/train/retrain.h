/*
 * retrain.h
 *		A training whose spec is that of a version, changed.
 */
#ifndef ML_RETRAIN_H
#define ML_RETRAIN_H

#include "postgres.h"

#include "train/train.h"

/*
 * Fills the training's model and spec from the version that reference stands
 * for; facts are palloc'd in the current context. changes may be NULL.
 */
extern void ml_retrain_prepare(MlTraining *training, const char *reference,
							   Jsonb *changes, MlVersionFacts *facts);

#endif							/* ML_RETRAIN_H */
