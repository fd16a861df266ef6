/*
 * class_weight.h
 *		How much the rows of each class count in a fit.
 */
#ifndef ML_CLASS_WEIGHT_H
#define ML_CLASS_WEIGHT_H

#include "postgres.h"

#include "train/train.h"

/* refuses weights of classes that contradict each other, or where no classes are learned; before a row is read */
extern void ml_class_weight_check(const MlTraining *training, int tasks);

/* what a row counts by its label, of ML_MAX_CLASSES; false: as any other. Once the recipe is known */
extern bool ml_class_weight_factors(const MlTraining *training, double *factor);

/*
 * Weights for the learner of the training rows with labels y, in the current
 * context, from the budget: those of the rows (NULL: 1) times those of their
 * classes. weight itself where classes have none.
 */
extern const double *ml_class_weight_rows(MlTraining *training, const double *y, const double *weight);

#endif							/* ML_CLASS_WEIGHT_H */
