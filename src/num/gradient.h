/*
 * gradient.h
 *		Losses of rows with their first and second derivatives, a block at a
 *		time, for trees that are grown from them.
 */
#ifndef ML_NUM_GRADIENT_H
#define ML_NUM_GRADIENT_H

#include <stdint.h>

/*
 * Derivatives are written as integers, g and h side by side: g * g_scale
 * rounded (below 2^50 in size), and h * h_scale rounded, at least 1, moved up
 * by count_bits with a 1 added if there are any. pair NULL: the loss only.
 */
typedef struct MlGradientBlock
{
	int			n;
	const double *eta;
	const double *y;
	const double *weight;		/* NULL: 1 */
	double		alpha;			/* quantile */
	double		g_scale;
	double		h_scale;
	int			count_bits;
	int64_t    *pair;			/* 2 n */
} MlGradientBlock;

/* sum w (y - eta)^2; g = w (eta - y), h = w */
extern double ml_gradient_squared(const MlGradientBlock *block);

/*
 * sum w rho(y - eta), rho(r) = alpha r, or (alpha - 1) r below 0; g = -alpha w,
 * or (1 - alpha) w below 0, h = w
 */
extern double ml_gradient_quantile(const MlGradientBlock *block);

/* sum w (exp(eta) - y eta); g = w (exp(eta) - y), h = w exp(eta) */
extern double ml_gradient_poisson(const MlGradientBlock *block);

/* - sum w [y log p + (1 - y) log(1 - p)], y 0 or 1; g = w (p - y), h = w p (1 - p) */
extern double ml_gradient_logistic(const MlGradientBlock *block);

/* eta are probabilities p of a class, y its 0 or 1: g = w (p - y), h = 2 w p (1 - p); returns 0 */
extern double ml_gradient_share(const MlGradientBlock *block);

/*
 * eta[c][i] to probabilities share[c][i], c < nclasses, where rows of a class
 * lie stride apart; returns - sum w log share[label]
 */
extern double ml_gradient_softmax(int n, int nclasses, int64_t stride, const double *eta,
								  const double *label, const double *weight, double *share);

/* the largest |y - eta| */
extern double ml_gradient_largest(int n, const double *eta, const double *y);

#endif							/* ML_NUM_GRADIENT_H */
