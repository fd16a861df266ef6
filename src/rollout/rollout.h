/*
 * rollout.h
 *		Rollouts: a version is brought out in steps, by the tick. Private to
 *		rollout/.
 */
#ifndef ML_ROLLOUT_H
#define ML_ROLLOUT_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "registry/rollout_row.h"
#include "utils/jsonb.h"

/* rollout_steps.c: stages as they are given; 22023, 42704 for what cannot be brought out so */
extern MlRolloutStep *ml_rollout_steps(const char *model, Jsonb *stages, int *n);

/*
 * Moves the rollout of a model on if what its step asks for is met, ends it, with the canary, if something
 * failed, or writes down what it waits for. As the rollout's author. Nothing without one that runs.
 */
extern void ml_rollout_advance(const char *model, TimestampTz as_of);

#endif							/* ML_ROLLOUT_H */
