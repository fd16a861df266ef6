/*
 * eigen.h
 *		Eigenvalues and eigenvectors of symmetric matrices.
 */
#ifndef ML_NUM_EIGEN_H
#define ML_NUM_EIGEN_H

#include <stddef.h>

#include "num/status.h"

extern size_t ml_eigen_work_size(int n);	/* doubles */
extern size_t ml_eigen_integers(int n);

/*
 * The lower triangle of a (n x n, column-major) becomes its eigenvectors, one a
 * column, of length 1; value their eigenvalues, ascending.
 */
extern MlNumStatus ml_eigen(int n, double *a, double *value, double *work, int *integers);

#endif							/* ML_NUM_EIGEN_H */
