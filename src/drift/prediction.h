/*
 * prediction.h
 *		Predictions as profiles and comparisons see them.
 */
#ifndef ML_DRIFT_PREDICTION_H
#define ML_DRIFT_PREDICTION_H

#include "postgres.h"

#include "drift/profile.h"
#include "model/model.h"

#define ML_PREDICTION_NAME	"prediction"
#define ML_CLUSTER_BUFFER	16

/* NUMBER: the first output; CATEGORY: the likeliest of several classes, or the cluster; NONE: nothing is predicted */
extern MlKind ml_prediction_kind(MlTask task);

/* the level that outputs stand for, where it is a category; it may be in the buffer */
extern const char *ml_prediction_level(const MlModel *model, const double *output, char *buffer);

/* of n rows of outputs; NaN: the row was dropped. In the current context */
extern MlProfile *ml_profile_predictions(const MlModel *model, const double *output, int64 n);

#endif							/* ML_DRIFT_PREDICTION_H */
