/*
 * calibrate.h
 *		Calibration of a classifier, learned on rows that it was not fitted on.
 */
#ifndef ML_CALIBRATE_H
#define ML_CALIBRATE_H

#include "train/train.h"

/* 22023 for a calibration without classes; tasks: those that are still possible */
extern void ml_calibration_check(const MlTraining *training, int tasks);

/*
 * If the parameters ask for one, gives training->fitted its calibration. fit is
 * how it was fitted; weight is that of the rows as they are, or NULL.
 */
extern void ml_calibrate(MlTraining *training, const MlFit *fit, const double *weight);

#endif							/* ML_CALIBRATE_H */
