/*
 * test_coordinate.c
 *		The elastic net on moments: cases with a solution in closed form, and
 *		the optimality conditions where there is none.
 */
#include <string.h>

#include "check.h"
#include "num/coordinate.h"

#define N 40

static double gram[N * N];
static double linear[N];
static double l1[N];
static double l2[N];
static double b[N];
static double gradient[N];
static int	active[N];
static double work[N * N + N];
static MlCoordinate d = {
	.gram = gram, .linear = linear, .l1 = l1, .l2 = l2, .b = b, .gradient = gradient,
	.active = active, .work = work
};

static MlNumStatus
solve(int n, double one, double two)
{
	MlNumStatus status = ML_NUM_NO_CONVERGENCE;

	d.n = n;
	for (int j = 0; j < n; j++)
	{
		l1[j] = one;
		l2[j] = two;
	}
	memset(b, 0, sizeof(b));
	ml_coordinate_begin(&d, 1e-9);
	for (int i = 0; i < 1000 && status == ML_NUM_NO_CONVERGENCE; i++)
		status = ml_coordinate_sweep(&d, 100);
	return status;
}

/* moments of columns that have r in common */
static void
correlate(int n, double r)
{
	for (int j = 0; j < n; j++)
		for (int i = 0; i < n; i++)
			gram[i + j * n] = 100 * (i == j ? 1 : r);
	for (int j = 0; j < n; j++)
		linear[j] = 100 * sin(j * 1.7);
}

int
main(void)
{
	double		unshrunk;
	bool		zeros = true;

	/* orthogonal columns: soft thresholding, then ridge */
	correlate(N, 0);
	check(solve(N, 30, 25) == ML_NUM_OK, "orthogonal columns converge");
	for (int j = 0; j < N; j++)
	{
		double		wanted = fabs(linear[j]) > 30 ? (linear[j] > 0 ? linear[j] - 30 : linear[j] + 30) / 125 : 0;

		zeros &= fabs(b[j] - wanted) <= 1e-15;
	}
	check(zeros, "and are thresholded and shrunk");

	/* two equal columns share what the ridge gives them */
	correlate(2, 1);
	linear[0] = linear[1] = 50;
	check(solve(2, 0, 20) == ML_NUM_OK, "two equal columns converge");
	check_close(b[0], 50.0 / 220, 1e-14, "and have equal coefficients");
	check_close(b[1], b[0], 1e-14, "both of them");

	/* highly correlated: equicorrelation has a closed inverse */
	correlate(N, 0.999);
	check(solve(N, 0, 0) == ML_NUM_OK, "correlated columns converge");
	unshrunk = 0;
	for (int j = 0; j < N; j++)
		unshrunk += linear[j];
	check_close(b[3], (linear[3] - 0.999 * unshrunk / (1 + 0.999 * (N - 1))) / (100 * 0.001), 1e-9,
				"to the least-squares solution");
	check(solve(N, 3, 0.5) == ML_NUM_OK, "and with penalties");
	check(ml_coordinate_violation(&d) < 1e-9, "where the conditions hold");

	/* the largest penalty at which something remains */
	correlate(N, 0.3);
	solve(N, 100, 0);
	zeros = true;
	for (int j = 0; j < N; j++)
		zeros &= b[j] == 0;
	check(zeros, "nothing survives the largest gradient");
	solve(N, 90, 0);
	zeros = true;
	for (int j = 0; j < N; j++)
		zeros &= b[j] == 0;
	check(!zeros, "something survives less");

	/* columns that do not vary, singular moments, what is not a number */
	gram[0] = 0;
	for (int j = 1; j < N; j++)
		gram[j] = gram[j * N] = 0;
	linear[0] = 0;
	check(solve(N, 1, 0) == ML_NUM_OK && b[0] == 0, "a column of zeros keeps zero");
	correlate(N, 1);
	for (int j = 0; j < N; j++)
		linear[j] = 80;
	check(solve(N, 1, 0) == ML_NUM_OK, "equal columns without ridge converge");
	check(ml_coordinate_violation(&d) < 1e-9, "to one of the solutions");
	linear[1] = NAN;
	gram[1 + N] = NAN;
	linear[2] = INFINITY;
	check(solve(N, 1, 0) == ML_NUM_NOT_FINITE, "infinities are told");
	return checks_done();
}
