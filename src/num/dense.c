/*
 * dense.c
 *		Triangular and symmetric systems over BLAS and LAPACK.
 */
#include <math.h>
#include <string.h>

#include "num/dense.h"

#include <cblas.h>
#include <lapacke.h>

MlNumStatus
ml_upper_inverse(int n, double *u)
{
	if (n == 0)
		return ML_NUM_OK;
	if (LAPACKE_dtrtri_work(LAPACK_COL_MAJOR, 'U', 'N', n, u, n) != 0)
		return ML_NUM_SINGULAR;
	return ML_NUM_OK;
}

MlNumStatus
ml_upper_solve(int n, const double *u, double *b)
{
	for (int i = 0; i < n; i++)
		if (u[i + (size_t) i * n] == 0)
			return ML_NUM_SINGULAR;
	if (n > 0)
		cblas_dtrsv(CblasColMajor, CblasUpper, CblasNoTrans, CblasNonUnit, n, u, n, b, 1);
	return ML_NUM_OK;
}

double
ml_upper_row_norm(int n, const double *u, int i)
{
	return cblas_dnrm2(n - i, u + i + (size_t) i * n, n);
}

static void
clear_lower(int n, double *a)
{
	for (int j = 0; j < n; j++)
		memset(a + (size_t) j * n + j + 1, 0, sizeof(double) * (n - j - 1));
}

MlNumStatus
ml_cholesky(int n, double *a)
{
	if (n == 0)
		return ML_NUM_OK;
	if (LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', n, a, n) != 0)
		return ML_NUM_SINGULAR;
	for (int i = 0; i < n; i++)
		if (!isfinite(a[i + (size_t) i * n]))
			return ML_NUM_NOT_FINITE;
	clear_lower(n, a);
	return ML_NUM_OK;
}

/* Left-looking: column j of U from the columns before it (Golub & Van Loan, 4.2.5). */
int
ml_cholesky_rank(int n, double *a, const double *floor, int *kept)
{
	int			rank = 0;

	clear_lower(n, a);
	for (int j = 0; j < n; j++)
	{
		double	   *column = a + (size_t) j * n;
		double		rest;

		/* rows of dropped columns are zero, with 1 on the diagonal for the solve */
		if (j > 0)
			cblas_dtrsv(CblasColMajor, CblasUpper, CblasTrans, CblasNonUnit, j, a, n, column, 1);
		for (int i = 0, next = 0; i < j; i++)
		{
			if (next < rank && kept[next] == i)
				next++;
			else
				column[i] = 0;
		}
		rest = column[j] - cblas_ddot(j, column, 1, column, 1);
		if (rest > floor[j])
		{
			column[j] = sqrt(rest);
			kept[rank++] = j;
		}
		else
		{
			memset(column, 0, sizeof(double) * j);
			column[j] = 1;
		}
	}
	for (int j = 0, next = 0; j < n; j++)
	{
		if (next < rank && kept[next] == j)
			next++;
		else
			a[j + (size_t) j * n] = 0;
	}
	return rank;
}

void
ml_cholesky_half_solve(int n, const double *u, double *b)
{
	if (n > 0)
		cblas_dtrsv(CblasColMajor, CblasUpper, CblasTrans, CblasNonUnit, n, u, n, b, 1);
}

void
ml_cholesky_solve(int n, const double *u, double *b)
{
	ml_cholesky_half_solve(n, u, b);
	if (n > 0)
		cblas_dtrsv(CblasColMajor, CblasUpper, CblasNoTrans, CblasNonUnit, n, u, n, b, 1);
}

size_t
ml_condition_work_size(int n)
{
	return (size_t) n + 34 * (size_t) (n + 1);	/* singular values; dgesvd with blocks of 32 */
}

MlNumStatus
ml_condition(int n, double *a, double *work, double *condition)
{
	double	   *value = work;

	if (LAPACKE_dgesvd_work(LAPACK_COL_MAJOR, 'N', 'N', n, n, a, n, value, NULL, 1, NULL, 1,
							work + n, 34 * (n + 1)) != 0)
		return ML_NUM_NO_CONVERGENCE;
	*condition = value[n - 1] > 0 ? value[0] / value[n - 1] : INFINITY;
	return ML_NUM_OK;
}

/*
 * Dot2 of Ogita, Rump & Oishi, Accurate sum and dot product, SIAM J. Sci.
 * Comput. 26 (2005): the rounding errors of products (Dekker's split) and sums
 * (Knuth) are carried along.
 */
double
ml_exact_dot(int n, const double *a, const double *b)
{
	const double splitter = 134217729.0;	/* 2^27 + 1 */
	double		sum = 0;
	double		error = 0;

	for (int i = 0; i < n; i++)
	{
		double		p = a[i] * b[i];
		double		ca = splitter * a[i];
		double		cb = splitter * b[i];
		double		ah = ca - (ca - a[i]);
		double		bh = cb - (cb - b[i]);
		double		al = a[i] - ah;
		double		bl = b[i] - bh;
		double		perr = al * bl - (((p - ah * bh) - al * bh) - ah * bl);
		double		s = sum + p;
		double		z = s - sum;

		error += ((sum - (s - z)) + (p - z)) + (isfinite(perr) ? perr : 0);
		sum = s;
	}
	return sum + error;
}
