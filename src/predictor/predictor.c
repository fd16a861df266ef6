/*
 * predictor.c
 *		The kinds of predictors, by number.
 */
#include "postgres.h"

#include "predictor/routine.h"

const MlPredictorRoutine *const ml_predictor_routines[ML_NPREDICTORS] = {
	[ML_PREDICTOR_LINEAR] = &ml_linear_routine,
	[ML_PREDICTOR_BAYES] = &ml_bayes_routine,
	[ML_PREDICTOR_TREES] = &ml_trees_routine,
	[ML_PREDICTOR_CENTRES] = &ml_centres_routine,
	[ML_PREDICTOR_NETWORK] = &ml_network_routine,
	[ML_PREDICTOR_PROJECTION] = &ml_projection_routine,
	[ML_PREDICTOR_GROUPED] = &ml_grouped_routine,
};
