/*
 * common_params.h
 *		Parameters that algorithms have in common: those of the recipe, and those
 *		that a training acts on around any learner of some kind.
 *
 * To add one: a field here, a line in a table of common_params.c.
 */
#ifndef ML_COMMON_PARAMS_H
#define ML_COMMON_PARAMS_H

#include "postgres.h"

#include "learn/algorithm.h"
#include "recipe/recipe.h"
#include "train/params.h"

typedef enum MlClassWeight
{
	ML_CLASS_WEIGHT_NONE,
	ML_CLASS_WEIGHT_BALANCED	/* all classes weigh the same */
} MlClassWeight;

typedef struct MlCommonParams
{
	/* classifiers */
	int			class_weight;	/* MlClassWeight */
	MlNamed		class_weights;	/* by label; others 1 */
	int			calibration;	/* MlCalibrationKind */
	int64		calibration_folds;

	/* all that look at features */
	char	   *encoder;		/* reference to a version; NULL: none */
} MlCommonParams;

#define ML_MAX_COMMON_SETS 3

/* The sets that an algorithm (NULL: any) takes besides its own; returns their number. The structs can be NULL. */
extern int	ml_common_sets(const MlAlgorithm *algorithm, MlRecipeParams *recipe,
						   MlCommonParams *common, MlParamSet *sets);

/* is name a parameter of one of these sets? */
extern bool ml_common_has(const MlAlgorithm *algorithm, const char *name);

#endif							/* ML_COMMON_PARAMS_H */
