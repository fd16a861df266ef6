/*
 * coordinate.h
 *		The elastic net on second moments, by cyclic coordinate descent.
 */
#ifndef ML_NUM_COORDINATE_H
#define ML_NUM_COORDINATE_H

#include <stdbool.h>
#include <stddef.h>

#include "num/status.h"

/*
 * Minimises over b
 *   1/2 b'G b - c'b  +  sum l1[j] |b[j]|  +  sum l2[j]/2 b[j]^2
 * with G positive semidefinite (whole, column-major). Everything belongs to
 * the caller; b holds the start and becomes the result.
 */
typedef struct MlCoordinate
{
	int			n;
	const double *gram;			/* n x n */
	const double *linear;		/* n: c */
	const double *l1;			/* n, >= 0 */
	const double *l2;			/* n, >= 0 */
	double	   *b;				/* n */
	double	   *gradient;		/* n: c - G b - l2 b, kept up to date */
	int		   *active;			/* n: columns not at 0 */
	double	   *work;			/* ml_coordinate_work_size(n) */

	/* private */
	double		scale;			/* of a squared change */
	double		tolerance;		/* of it, now */
	bool		all;			/* the next sweep is over all columns */
	int			unsolved;		/* sweeps since the equations were tried */
} MlCoordinate;

extern size_t ml_coordinate_work_size(int n);

/* tolerance: relative change of the objective by one coordinate at which sweeps end */
extern void ml_coordinate_begin(MlCoordinate *d, double tolerance);

/*
 * At most so many sweeps. ML_NUM_OK: done, to about the accuracy of a direct
 * solution where the active columns are independent; ML_NUM_NO_CONVERGENCE:
 * call again; ML_NUM_NOT_FINITE.
 */
extern MlNumStatus ml_coordinate_sweep(MlCoordinate *d, int sweeps);

/* the largest violation of the optimality conditions, in units of the gradient */
extern double ml_coordinate_violation(const MlCoordinate *d);

#endif							/* ML_NUM_COORDINATE_H */
