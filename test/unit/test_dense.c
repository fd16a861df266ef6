/*
 * test_dense.c
 *		Triangular and symmetric systems, condition numbers, exact dot products.
 */
#include <string.h>

#include "check.h"
#include "num/dense.h"

#define N 6

/* Hilbert's matrix: symmetric, positive definite, and ill-conditioned */
static void
hilbert(double *a)
{
	for (int j = 0; j < N; j++)
		for (int i = 0; i < N; i++)
			a[i + j * N] = 1.0 / (i + j + 1);
}

static void
test_cholesky(void)
{
	double		a[N * N];
	double		b[N] = {0};
	double		floor[N];
	int			kept[N];

	hilbert(a);
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++)
			b[i] += a[i + j * N];
	check(ml_cholesky(N, a) == ML_NUM_OK, "cholesky: Hilbert's matrix");
	check_close(a[1], 0, 0, "cholesky: zeros below the diagonal");
	ml_cholesky_solve(N, a, b);
	for (int i = 0; i < N; i++)
		check_close(b[i], 1, 1e-8, "cholesky: solution of ones");
	a[0] = -1;
	check(ml_cholesky(N, a) == ML_NUM_SINGULAR, "cholesky: not positive definite");

	/* column 2 = column 0 + column 1, column 4 = 0 */
	memset(a, 0, sizeof(a));
	for (int j = 0; j < N; j++)
		for (int i = 0; i < N; i++)
		{
			const double x[3][N] = {{1, 0, 1, 2, 0, 3}, {0, 2, 2, 1, 0, 1}, {0, 0, 0, 5, 0, 2}};

			for (int r = 0; r < 3; r++)
				a[i + j * N] += x[r][i] * x[r][j];
			floor[j] = 1e-12;
		}
	a[5 + 5 * N] += 1;
	check(ml_cholesky_rank(N, a, floor, kept) == 4, "cholesky: rank");
	check(kept[0] == 0 && kept[1] == 1 && kept[2] == 3 && kept[3] == 5, "cholesky: earlier columns win");
	check_close(a[3 + 3 * N], 5, 1e-14, "cholesky: what remains of a column kept");
	check_close(a[5 + 5 * N], 1, 1e-13, "cholesky: and of the last");
	check_close(a[2 + 3 * N], 0, 0, "cholesky: a dropped row is zero");
}

static void
test_triangular(void)
{
	double		u[9] = {2, 0, 0, 1, 4, 0, 3, -1, 0.5};
	double		b[3] = {9, 1, 1};
	double		zero[4] = {1, 0, 2, 0};

	check(ml_upper_solve(3, u, b) == ML_NUM_OK, "triangle: solve");
	check_close(b[2], 2, 1e-15, "triangle: last unknown");
	check_close(b[1], 0.75, 1e-15, "triangle: second unknown");
	check_close(b[0], 1.125, 1e-15, "triangle: first unknown");
	check(ml_upper_inverse(3, u) == ML_NUM_OK, "triangle: inverse");
	check_close(u[0], 0.5, 1e-15, "triangle: inverse of the first diagonal element");
	check_close(ml_upper_row_norm(3, u, 1), sqrt(0.25 * 0.25 + 0.5 * 0.5), 1e-15, "triangle: norm of a row");
	check(ml_upper_solve(2, zero, b) == ML_NUM_SINGULAR, "triangle: singular");
}

static void
test_condition(void)
{
	double		a[N * N];
	double		work[1024];
	double		condition = 0;

	check(ml_condition_work_size(N) <= 1024, "condition: work space");
	hilbert(a);
	ml_condition(N, a, work, &condition);

	/* 14951058.6424659...: Higham, Accuracy and Stability of Numerical Algorithms, chapter 28 has 1.5e7 */
	check_close(condition, 14951058.6424659, 1e-8, "condition: Hilbert's matrix of order 6");
	memset(a, 0, sizeof(a));
	a[0] = 3;
	ml_condition(N, a, work, &condition);
	check(isinf(condition), "condition: singular");
}

static void
test_exact_dot(void)
{
	/* the terms cancel to 1 but for the small ones, which a plain sum loses */
	const double a[] = {1e16, 1, -1e16, 3};
	const double b[] = {1, 1, 1, 1};
	const double c[] = {1e8 + 1, -1e8};
	const double d[] = {1e8 - 1, 1e8};

	check_close(ml_exact_dot(4, a, b), 4, 0, "exact dot: sums");
	check_close(ml_exact_dot(2, c, d), -1, 0, "exact dot: products");
}

int
main(void)
{
	test_cholesky();
	test_triangular();
	test_condition();
	test_exact_dot();
	return checks_done();
}
