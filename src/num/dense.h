/*
 * dense.h
 *		Small dense matrices, column-major, leading dimension n.
 */
#ifndef ML_NUM_DENSE_H
#define ML_NUM_DENSE_H

#include <stddef.h>

#include "num/status.h"

/* U (upper triangular, zeros below) becomes its inverse */
extern MlNumStatus ml_upper_inverse(int n, double *u);

/* solves U x = b in place of b */
extern MlNumStatus ml_upper_solve(int n, const double *u, double *b);

/* euclidean norm of row i of an upper triangular matrix */
extern double ml_upper_row_norm(int n, const double *u, int i);

/*
 * The Cholesky factor U of a symmetric matrix given by its upper triangle:
 * A = U'U, in place. The strict lower triangle becomes zero.
 */
extern MlNumStatus ml_cholesky(int n, double *a);

/*
 * The same for a matrix that may be singular: column j is dropped if what
 * remains of its diagonal after the columns kept before it is <= floor[j]; its
 * row and column are then zero. kept as in ml_qr_rank; returns the rank.
 */
extern int	ml_cholesky_rank(int n, double *a, const double *floor, int *kept);

/* solves U'U x = b in place of b */
extern void ml_cholesky_solve(int n, const double *u, double *b);

/* solves U' x = b in place of b */
extern void ml_cholesky_half_solve(int n, const double *u, double *b);

/*
 * Largest over smallest singular value; a (n x n) is overwritten. An exactly
 * singular matrix gives infinity. work: ml_condition_work_size(n) doubles.
 */
extern size_t ml_condition_work_size(int n);
extern MlNumStatus ml_condition(int n, double *a, double *work, double *condition);

/* sum of a[i] * b[i] as if computed in twice the precision */
extern double ml_exact_dot(int n, const double *a, const double *b);

#endif							/* ML_NUM_DENSE_H */
