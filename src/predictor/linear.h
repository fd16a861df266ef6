/*
 * linear.h
 *		What linear.c and linear_format.c share, and the way around the encoded
 *		row for inputs of float8 columns.
 */
#ifndef ML_LINEAR_H
#define ML_LINEAR_H

#include "postgres.h"

#include <math.h>

#include "predictor/routine.h"

/* 1 / (1 + exp(-eta)) without overflow, and without cancellation near 0 */
static inline double
ml_logistic(double eta)
{
	double		e;

	if (eta >= 0)
		return 1.0 / (1.0 + exp(-eta));
	e = exp(eta);
	return e / (1.0 + e);
}

/*
 * What predict gives, bit for bit, for a predictor of one output over numbers
 * alone, of a row whose number i is the float8 in column[position[i]]
 * (position NULL: in column[i]). NaN also stands for a row that has to be
 * encoded: with a NULL, NaN or infinity in it. Only where float8 is passed by
 * value.
 */
extern double ml_linear_predict_columns(const MlLinear *linear, int nnumbers,
										const NullableDatum *column, const int *position);

/* linear_format.c */
extern void ml_linear_write(MlWriter *w, const MlRecipe *recipe, const MlPredictor *predictor);
extern MlPredictor *ml_linear_read(MlCursor *c, const MlRecipe *recipe);

/* artifacts of format 1: sections PRED and STAT as they were */
extern MlPredictor *ml_linear_read_format_1(MlCursor *c, const MlRecipe *recipe);

extern void ml_linear_importance(const MlPredictor *predictor, const MlRecipe *recipe, double *importance);
extern void ml_linear_terms(const MlPredictor *predictor, const MlRecipe *recipe, MlTermSink sink, void *arg);

#endif							/* ML_LINEAR_H */
