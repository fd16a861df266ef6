/*
 * retraining.h
 *		Training again: policies that say when, and requests that the tick works off.
 */
#ifndef ML_RETRAINING_H
#define ML_RETRAINING_H

#include "postgres.h"

#include "datatype/timestamp.h"

/*
 * Has the next tick train the model again, by its policy; why goes into the history. False: it will
 * already, or the model has no policy. Checks no privilege.
 */
extern bool ml_retrain_request(const char *model, const char *why, TimestampTz as_of);

/* a model without a policy is not trained by the tick */
extern bool ml_retrain_has_policy(const char *model);

#endif							/* ML_RETRAINING_H */
