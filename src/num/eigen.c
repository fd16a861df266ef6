/*
 * eigen.c
 *		Eigenvalues and eigenvectors of symmetric matrices, by divide and
 *		conquer (LAPACK's dsyevd).
 */
#include "num/eigen.h"

#include <lapacke.h>
#include <math.h>

size_t
ml_eigen_work_size(int n)
{
	return 1 + 6 * (size_t) n + 2 * (size_t) n * (size_t) n;
}

size_t
ml_eigen_integers(int n)
{
	return 3 + 5 * (size_t) n;
}

MlNumStatus
ml_eigen(int n, double *a, double *value, double *work, int *integers)
{
	for (int j = 0; j < n; j++)
		for (int i = j; i < n; i++)
			if (!isfinite(a[i + (size_t) j * n]))
				return ML_NUM_NOT_FINITE;
	if (n > 0 && LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, 'V', 'L', n, a, n, value, work,
									 (int) ml_eigen_work_size(n), integers,
									 (int) ml_eigen_integers(n)) != 0)
		return ML_NUM_NO_CONVERGENCE;
	return ML_NUM_OK;
}
