/*
 * compile.h
 *		From coefficients of design columns to weights of the encoded row.
 */
#ifndef ML_COMPILE_H
#define ML_COMPILE_H

#include "model/model.h"

/* fills in base, number_weight, number_missing and category_weight, in the current context */
extern void ml_model_compile(MlModel *model);

#endif							/* ML_COMPILE_H */
