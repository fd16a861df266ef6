/*
 * fingerprints.h
 *		By which the rows that a version was trained on are known again.
 */
#ifndef ML_FINGERPRINTS_H
#define ML_FINGERPRINTS_H

#include "train/train.h"

/* before the features of a training are replaced by what an encoder makes of them */
extern void ml_fingerprints_note(MlTraining *training);

/* stores those of the version just registered; none where the rows were elsewhere */
extern void ml_fingerprints_insert(MlTraining *training);

#endif							/* ML_FINGERPRINTS_H */
