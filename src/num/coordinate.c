/*
 * coordinate.c
 *		The elastic net on second moments, by cyclic coordinate descent.
 *
 * Friedman, Hastie & Tibshirani, Regularization paths for generalized linear
 * models via coordinate descent, J. Statistical Software 33/1 (2010), with
 * "covariance updates": what is known of the rows is G and c. Sweeps over all
 * columns alternate with sweeps over those that are not at zero, until neither
 * changes anything.
 *
 * Descent creeps where columns are correlated. So now and then its answer is
 * taken for what it is good at, which columns are active and with which signs:
 * given these the solution is that of linear equations, (G + l2) b = c - l1
 * sign(b), solved by Cholesky. b goes there, or as far as no sign changes; the
 * column that would change it stays behind at zero. That is a step of an active
 * set method (Osborne, Presnell & Turlach, A new approach to variable selection
 * in least squares problems, IMA J. Numerical Analysis 20, 2000), and makes the
 * last digits right. Whether other columns should be active is seen by the next
 * sweep over all.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "num/coordinate.h"
#include "num/dense.h"

#include <cblas.h>

#define FINEST	1e-31			/* squared changes below this are rounding */
#define FINER	1e-4			/* what the tolerance is multiplied by if the equations cannot be used */
#define PATIENCE	10			/* sweeps after which the equations are tried */

size_t
ml_coordinate_work_size(int n)
{
	return (size_t) n * n + n;
}

static void
compute_gradient(const MlCoordinate *d, const double *b, double *gradient)
{
	memcpy(gradient, d->linear, sizeof(double) * d->n);
	for (int j = 0; j < d->n; j++)
		if (b[j] != 0)
			cblas_daxpy(d->n, -b[j], d->gram + (size_t) j * d->n, 1, gradient, 1);
	for (int j = 0; j < d->n; j++)
		gradient[j] -= d->l2[j] * b[j];
}

void
ml_coordinate_begin(MlCoordinate *d, double tolerance)
{
	d->scale = 0;
	for (int j = 0; j < d->n; j++)
	{
		double		curvature = d->gram[j + (size_t) j * d->n] + d->l2[j];

		if (curvature > 0)
			d->scale = fmax(d->scale, d->linear[j] * d->linear[j] / curvature);
	}
	d->tolerance = fmax(tolerance, FINEST);
	d->all = true;
	d->unsolved = 0;
	compute_gradient(d, d->b, d->gradient);
}

/* soft thresholding */
static double
shrink(double x, double l1)
{
	return x > l1 ? x - l1 : x < -l1 ? x + l1 : 0;
}

/* the best value of one coordinate; returns what the objective changed by, doubled */
static double
descend(MlCoordinate *d, int j)
{
	double		curvature = d->gram[j + (size_t) j * d->n] + d->l2[j];
	double		before = d->b[j];
	double		change;

	if (!(curvature > 0))
		return 0;
	d->b[j] = shrink(d->gradient[j] + curvature * before, d->l1[j]) / curvature;
	change = d->b[j] - before;
	if (change == 0)
		return 0;
	cblas_daxpy(d->n, -change, d->gram + (size_t) j * d->n, 1, d->gradient, 1);
	d->gradient[j] -= d->l2[j] * change;
	return curvature * change * change;
}

static int
find_active(const MlCoordinate *d)
{
	int			n = 0;

	for (int j = 0; j < d->n; j++)
		if (d->b[j] != 0 || (d->l1[j] == 0 && d->gram[j + (size_t) j * d->n] + d->l2[j] > 0))
			d->active[n++] = j;
	return n;
}

static double
sweep(MlCoordinate *d)
{
	double		most = 0;

	if (d->all)
		for (int j = 0; j < d->n; j++)
			most = fmax(most, descend(d, j));
	else
	{
		int			n = find_active(d);

		for (int i = 0; i < n; i++)
			most = fmax(most, descend(d, d->active[i]));
	}
	return most;
}

/* the solution for the n active columns with their signs, into b; false if it is not unique */
static bool
solve_signs(const MlCoordinate *d, int n, double *a, double *b)
{
	for (int k = 0; k < n; k++)
	{
		int			j = d->active[k];

		for (int i = 0; i <= k; i++)
			a[i + (size_t) k * n] = d->gram[d->active[i] + (size_t) j * d->n];
		a[k + (size_t) k * n] += d->l2[j];
		b[k] = d->linear[j] - (d->b[j] > 0 ? d->l1[j] : d->b[j] < 0 ? -d->l1[j] : 0);
	}
	if (ml_cholesky(n, a) != ML_NUM_OK)
		return false;
	for (int k = 0; k < n; k++)
		if (a[k + (size_t) k * n] * a[k + (size_t) k * n] <=
			1e-12 * (d->gram[d->active[k] + (size_t) d->active[k] * d->n] + d->l2[d->active[k]]))
			return false;
	ml_cholesky_solve(n, a, b);
	for (int k = 0; k < n; k++)
		if (!isfinite(b[k]))
			return false;
	return true;
}

typedef enum Solved
{
	SOLVED,						/* b is best for its signs */
	BLOCKED,					/* a column has come to zero */
	SINGULAR
} Solved;

/* towards the solution of the active columns, as far as signs stay */
static Solved
solve_active(MlCoordinate *d)
{
	int			n = find_active(d);
	double	   *b = d->work + (size_t) d->n * d->n;
	double		part = 1;
	int			blocking = -1;

	if (!solve_signs(d, n, d->work, b))
		return SINGULAR;
	for (int k = 0; k < n; k++)
	{
		double		before = d->b[d->active[k]];

		if (d->l1[d->active[k]] == 0 || b[k] * before > 0 || before / (before - b[k]) >= part)
			continue;
		part = before / (before - b[k]);
		blocking = d->active[k];
	}
	for (int k = 0; k < n; k++)
	{
		double	   *at = &d->b[d->active[k]];

		*at = blocking < 0 ? b[k] : d->active[k] == blocking ? 0 : *at + part * (b[k] - *at);
	}
	compute_gradient(d, d->b, d->gradient);
	return blocking < 0 ? SOLVED : BLOCKED;
}

double
ml_coordinate_violation(const MlCoordinate *d)
{
	double		most = 0;

	for (int j = 0; j < d->n; j++)
	{
		double		g = d->gradient[j];

		if (!(d->gram[j + (size_t) j * d->n] + d->l2[j] > 0))
			continue;
		if (d->b[j] == 0)
			most = fmax(most, fabs(g) - d->l1[j]);
		else
			most = fmax(most, fabs(g - (d->b[j] > 0 ? d->l1[j] : -d->l1[j])));
	}
	return most;
}

/* are the columns at zero, and the others, where they belong to rounding? */
static bool
is_optimal(const MlCoordinate *d)
{
	for (int j = 0; j < d->n; j++)
	{
		double		g = fabs(d->gradient[j]);
		double		slack = 1e-11 * (fabs(d->linear[j]) + d->l1[j]) +
			1e-11 * sqrt(d->scale * (d->gram[j + (size_t) j * d->n] + d->l2[j]));

		if (d->b[j] == 0 && g > d->l1[j] + slack)
			return false;
	}
	return true;
}

MlNumStatus
ml_coordinate_sweep(MlCoordinate *d, int sweeps)
{
	if (!isfinite(d->scale))
		return ML_NUM_NOT_FINITE;
	while (sweeps-- > 0)
	{
		bool		all = d->all;
		double		most = sweep(d);
		bool		still = most <= d->tolerance * d->scale;
		Solved		solved;

		if (!isfinite(most))
			return ML_NUM_NOT_FINITE;
		d->all = false;
		if (!still && ++d->unsolved < PATIENCE)
			continue;
		d->unsolved = 0;
		d->all = true;
		solved = solve_active(d);
		if (solved == SOLVED && is_optimal(d))
			return ML_NUM_OK;
		if (solved != SINGULAR || !still || !all)
			continue;
		if (d->tolerance <= FINEST || most == 0)
			return ML_NUM_OK;
		d->tolerance = fmax(d->tolerance * FINER, FINEST);
	}
	return ML_NUM_NO_CONVERGENCE;
}
