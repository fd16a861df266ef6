/*
 * softmax.h
 *		The rows' part of a fit of several classes, a block at a time.
 */
#ifndef ML_NUM_SOFTMAX_H
#define ML_NUM_SOFTMAX_H

#define ML_SOFTMAX_ROWS 4		/* blocks have a multiple of so many */

/* what a block adds up to */
typedef struct MlSoftmaxSums
{
	double		log_likelihood;
	double		least_margin;	/* smallest eta of the own class less another's, of rows with a weight */
} MlSoftmaxSums;

/*
 * For n rows, a multiple of ML_SOFTMAX_ROWS, with linear predictors
 * eta[c * n + i], classes y[i] in 0 .. nclasses - 1 and weights weight[i] (0:
 * not there), p_c = exp(eta_c) / sum exp(eta):
 *   residual[c * n + i] = weight ((y == c) - p_c)
 *   root[c * n + i]     = sqrt(p_c)
 * whatever the size of eta. work: n doubles.
 */
extern void ml_softmax_block(int n, int nclasses, const double *eta, const double *y,
							 const double *weight, double *residual, double *root,
							 double *work, MlSoftmaxSums *sums);

/* product = a b c, element by element */
extern void ml_column_product(int n, const double *a, const double *b, const double *c, double *product);

#endif							/* ML_NUM_SOFTMAX_H */
