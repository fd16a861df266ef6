/*
 * common_params.c
 *		Parameters that algorithms have in common, as tables.
 */
#include "postgres.h"

#include <math.h>

#include "train/common_params.h"

static const char *const class_weight_names[] = {"none", "balanced", NULL};

static const char *const calibration_names[] = {"none", "platt", "isotonic", NULL};

static const MlParam classifier_params[] = {
	{"class_weight", ML_PARAM_ENUM, offsetof(MlCommonParams, class_weight), ML_CLASS_WEIGHT_NONE, 0, 1, class_weight_names,
	"balanced: rows count in the fit so that all classes weigh the same; metrics count rows as they are"},
	{"class_weights", ML_PARAM_NAMED, offsetof(MlCommonParams, class_weights), NAN, 1e-6, 1e6, NULL,
	"how much a row of each class counts in the fit, as in {\"yes\": 3}; classes that are not named count 1"},
	{"calibration", ML_PARAM_ENUM, offsetof(MlCommonParams, calibration), ML_CALIBRATION_NONE, 0, 2, calibration_names,
	"how probabilities are corrected, by what models of parts of the training rows give the others: a sigmoid, or any ascending function"},
	{"calibration_folds", ML_PARAM_INT, offsetof(MlCommonParams, calibration_folds), 5, 2, 50, NULL,
	"parts of the training rows for calibration; as many models are fitted besides the one"},
	{NULL}
};

static const MlParam encoder_params[] = {
	{"encoder", ML_PARAM_TEXT, offsetof(MlCommonParams, encoder), NAN, NAN, NAN, NULL,
	"a model that transforms rows, such as customers/2: what it makes of a row is what is learned from"},
	{NULL}
};

/* the best constant is what others are measured against, and stays as it is */
static bool
is_classifier(const MlAlgorithm *algorithm)
{
	return algorithm != NULL && (algorithm->tasks & (ML_TASKS_BINARY | ML_TASKS_MULTICLASS)) != 0 &&
		!algorithm->ignores_features;
}

int
ml_common_sets(const MlAlgorithm *algorithm, MlRecipeParams *recipe,
			   MlCommonParams *common, MlParamSet *sets)
{
	int			n = 0;

	sets[n++] = (MlParamSet) {ml_recipe_params, recipe};
	if (is_classifier(algorithm))
		sets[n++] = (MlParamSet) {classifier_params, common};
	if (algorithm != NULL && !algorithm->ignores_features)
		sets[n++] = (MlParamSet) {encoder_params, common};
	Assert(n <= ML_MAX_COMMON_SETS);
	return n;
}

bool
ml_common_has(const MlAlgorithm *algorithm, const char *name)
{
	MlParamSet	sets[ML_MAX_COMMON_SETS];
	int			n = ml_common_sets(algorithm, NULL, NULL, sets);

	for (int s = 0; s < n; s++)
		for (const MlParam *param = sets[s].table; param->name != NULL; param++)
			if (strcmp(param->name, name) == 0)
				return true;
	return false;
}
