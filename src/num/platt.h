/*
 * platt.h
 *		A sigmoid over scores: probabilities for classifiers that give none, or
 *		poor ones.
 */
#ifndef ML_NUM_PLATT_H
#define ML_NUM_PLATT_H

#include <stddef.h>

#include "num/status.h"

typedef struct MlPlattRows
{
	size_t		n;				/* at least one row of either label */
	const double *score;		/* finite; of rows that the classifier was not fitted on */
	const double *label;		/* 0 or 1 */
	const double *weight;		/* NULL: all 1 */
	void		(*tick) (void *arg);	/* called every few thousand rows; may jump out. NULL: none */
	void	   *tick_arg;
} MlPlattRows;

/*
 * P(label 1) = 1 / (1 + exp(-(slope * score + shift))). Scores that are all the
 * same get the slope 0. Errors: ML_NUM_NOT_FINITE (scores),
 * ML_NUM_NO_CONVERGENCE.
 */
extern MlNumStatus ml_platt_fit(const MlPlattRows *rows, double *slope, double *shift);

#endif							/* ML_NUM_PLATT_H */
