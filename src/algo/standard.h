/*
 * standard.h
 *		Columns about a rough centre in a rough unit: what learners that form
 *		X'WX share.
 *
 * Z's columns are z = (x - centre) * unit, with a column of ones first where
 * there is an intercept. Centre and unit come from a few rows: they need not be
 * right, they only make Z'WZ as well conditioned as the correlations allow.
 * Estimates are carried back to the original units at the end.
 */
#ifndef ML_ALGO_STANDARD_H
#define ML_ALGO_STANDARD_H

#include "learn/driver.h"

typedef struct MlStandard
{
	const MlDesignMatrix *rows;
	int			p;				/* design columns */
	int			first;			/* Z's column of design column 0: 1 with an intercept, else 0 */
	int			k;				/* columns of Z */
	double	   *centre;			/* k */
	double	   *unit;			/* k */
} MlStandard;

/* reads a few rows; what is for messages about memory */
extern void ml_standard_make(const MlFit *fit, bool intercept, const char *what, MlStandard *s);

/* z[j * n + i], j < k, from the design of n rows */
extern void ml_standard_block(const MlStandard *s, int n, const double *x, double *z);

/*
 * Adds the weighted sums and sums of squares of Z's columns but the intercept's,
 * each from s->first on
 */
extern void ml_standard_moments(const MlStandard *s, int n, const double *z, const double *weight,
								double *sum, double *squares);

/*
 * What l2 asks of each squared coefficient in the units of Z: l2 times the
 * variance of a measured column in its units, or the square of a 0/1 column's;
 * nothing of the intercept.
 */
extern void ml_standard_penalty(const MlStandard *s, double l2, double weight,
								const double *sum, const double *squares, double *penalty);

/* what is left of a diagonal element of Z'WZ below which a column is collinear */
extern void ml_standard_floors(const MlStandard *s, const double *information, double *floor);

/* the estimates in the original units */
extern void ml_standard_estimates(const MlStandard *s, const double *beta, MlLinear *linear);

/*
 * Standard errors times spread (the root of the dispersion), where U'U is the
 * information of the nkept columns kept; u is overwritten, work has k doubles
 */
extern void ml_standard_errors(const MlStandard *s, int nkept, const int *kept, double *u,
							   double spread, double *work, MlLinear *linear);

#endif							/* ML_ALGO_STANDARD_H */
