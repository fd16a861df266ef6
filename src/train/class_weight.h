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

/*
 * Weights for the learner of the training rows with labels y, in the current
 * context, from the budget: those of the rows (NULL: 1) times those of their
 * classes. weight itself where classes have none.
 */
extern const double *ml_class_weight_rows(MlTraining *training, const double *y, const double *weight);

#endif							/* ML_CLASS_WEIGHT_H */
