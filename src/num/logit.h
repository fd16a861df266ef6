/*
 * logit.h
 *		The rows' part of a logistic fit, a block at a time.
 */
#ifndef ML_NUM_LOGIT_H
#define ML_NUM_LOGIT_H

/* what a block adds up to */
typedef struct MlLogitSums
{
	double		log_likelihood;
	double		least_margin;	/* smallest (2y - 1) eta: > 0 where every row is on its side */
} MlLogitSums;

/*
 * For n rows with linear predictor eta, label y (0 or 1) and case weight
 * (NULL: 1), p = 1 / (1 + exp(-eta)):
 *   residual = weight (y - p)
 *   root     = sqrt(weight p (1 - p))
 * computed without cancellation however large eta is.
 */
extern void ml_logit_block(int n, const double *eta, const double *y, const double *weight,
						   double *residual, double *root, MlLogitSums *sums);

/* z = (x - centre) * factor */
extern void ml_column_standardise(int n, const double *x, double centre, double factor, double *z);

/* z *= factor, element by element */
extern void ml_column_multiply(int n, const double *factor, double *z);

/* weighted sum and sum of squares (weight NULL: 1) */
extern void ml_column_moments(int n, const double *z, const double *weight,
							  double *sum, double *sum_squares);

#endif							/* ML_NUM_LOGIT_H */
