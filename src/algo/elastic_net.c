/*
 * elastic_net.c
 *		Least squares with l1, and along a path of penalties.
 *
 * Objective and units: linear_regression.c. The rows are known by the triangle
 * R of [1 X y], made without X'X. Its part T below the constant's row is the
 * triangle of the centred columns, which are brought to unit deviation before
 * the Gram matrix G = T'T is formed for coordinate descent (num/coordinate.h):
 * neither the distance of the data from the origin nor their units cost digits,
 * and residuals are computed from T.
 *
 * A path by hold-out keeps a triangle for the rows that it fits on and one for
 * those that it holds out; rows are in random order, so these are the last. A
 * penalty is a sum beside a sum over rows, so on a part of the rows it counts
 * by their part of the weight. The penalty chosen is then used on all rows. By
 * information criteria all rows are fitted on; degrees of freedom are the trace
 * of the hat matrix of the active columns (Zou, Hastie & Tibshirani, On the
 * degrees of freedom of the lasso, Annals of Statistics 35, 2007).
 */
#include "postgres.h"

#include <math.h>

#include "algo/linear_regression.h"
#include "errors.h"
#include "interrupts.h"
#include "num/coordinate.h"
#include "num/dense.h"

#include <cblas.h>

#define TOLERANCE		1e-9	/* of sweeps, before the equations are tried */
#define OPTIMAL			1e-8	/* violation of the optimality conditions that passes, relative to the gradient at 0 */
#define SWEEP_WORK		1e7		/* multiplications between checks for interrupts */
#define MOST_SWEEPS		1000000

typedef struct MlElasticNet
{
	MlPath		path;
	double	   *part[2];		/* n x n: triangles of the rows fitted on and of those held out */
	double		part_weight[2];

	/* the problem in standardised units, ncolumns = p */
	double	   *unit;			/* p */
	double	   *triangle;		/* p x p: T */
	double	   *target;			/* p + 1: T's column of the target */
	double	   *l1;				/* p */
	double	   *l2;				/* p */
	double	   *gram;			/* p x p */
	double	   *residual;		/* n */
	double		largest;		/* gradient at 0 */
	MlCoordinate descent;
} MlElasticNet;

struct MlElasticNet *
ml_elastic_net_alloc(const Linear *l)
{
	const char *what = "elastic net";
	const MlFit *fit = l->fit;
	MlElasticNet *e = ml_fit_alloc(fit, 1, sizeof(MlElasticNet), what);
	Size		p = l->ncolumns;
	Size		n = l->n;

	ml_path_alloc(&e->path, fit, &l->params->penalty);
	for (int i = 0; l->path_rows < fit->rows->nrows && i < 2; i++)
		e->part[i] = ml_fit_alloc(fit, n * n, sizeof(double), what);
	e->unit = ml_fit_alloc(fit, p, sizeof(double), what);
	e->triangle = ml_fit_alloc(fit, p * p, sizeof(double), what);
	e->target = ml_fit_alloc(fit, p + 1, sizeof(double), what);
	e->l1 = ml_fit_alloc(fit, p, sizeof(double), what);
	e->l2 = ml_fit_alloc(fit, p, sizeof(double), what);
	e->gram = ml_fit_alloc(fit, p * p, sizeof(double), what);
	e->residual = ml_fit_alloc(fit, n, sizeof(double), what);
	e->descent.n = (int) p;
	e->descent.gram = e->gram;
	e->descent.linear = ml_fit_alloc(fit, p, sizeof(double), what);
	e->descent.l1 = e->l1;
	e->descent.l2 = e->l2;
	e->descent.b = ml_fit_alloc(fit, p, sizeof(double), what);
	e->descent.gradient = ml_fit_alloc(fit, p, sizeof(double), what);
	e->descent.active = ml_fit_alloc(fit, p, sizeof(int), what);
	e->descent.work = ml_fit_alloc(fit, ml_coordinate_work_size(p), sizeof(double), what);
	return e;
}

void
ml_elastic_net_take(Linear *l, const double *fitted, double fitted_weight,
					const double *held, double held_weight)
{
	MlElasticNet *e = l->net;

	ml_linear_copy_triangle(l->n, e->part[0], fitted);
	ml_linear_copy_triangle(l->n, e->part[1], held);
	e->part_weight[0] = fitted_weight;
	e->part_weight[1] = held_weight;
}

/* the problem of the rows of a triangle; coefficients are carried over, in their own units */
static void
prepare(const Linear *l, const double *r, double weight)
{
	MlElasticNet *e = l->net;
	int			p = l->ncolumns;
	double	   *linear = unconstify(double *, e->descent.linear);

	for (int j = 0; j < p; j++)
	{
		const double *x = r + (Size) (l->first + j) * l->n + l->first;
		double		unit = ml_linear_unit(l, r, weight, j);

		e->descent.b[j] *= e->unit[j] > 0 ? unit / e->unit[j] : 0;
		e->unit[j] = unit;
		for (int i = 0; i < p; i++)
			e->triangle[i + (Size) j * p] = i <= j ? x[i] / unit : 0;
	}
	memcpy(e->target, r + (Size) l->target * l->n + l->first, (p + 1) * sizeof(double));
	cblas_dsyrk(CblasColMajor, CblasUpper, CblasTrans, p, p, 1, e->triangle, p, 0, e->gram, p);
	for (int j = 0; j < p; j++)
		for (int i = 0; i < j; i++)
			e->gram[j + (Size) i * p] = e->gram[i + (Size) j * p];
	cblas_dgemv(CblasColMajor, CblasTrans, p, p, 1, e->triangle, p, e->target, 1, 0, linear, 1);
	e->largest = 0;
	for (int j = 0; j < p; j++)
		e->largest = Max(e->largest, fabs(linear[j]));
}

static void
refuse(const Linear *l, double l1, double l2)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_NO_CONVERGENCE),
			 errmsg("\"linear_regression\" did not converge with \"l1\" = %g and \"l2\" = %g", l1, l2),
			 errdetail("The optimality conditions are violated by %.2g of the largest gradient.",
					   ml_coordinate_violation(&l->net->descent) / l->net->largest),
			 errhint("The features are nearly collinear: raise \"l2\", for example params => '{\"l2\": %g}'.",
					 Max(2 * l2, 1))));
}

static void
solve(const Linear *l, double l1, double l2)
{
	MlElasticNet *e = l->net;
	int			p = l->ncolumns;
	int			sweeps = (int) Max(1, SWEEP_WORK / Max((double) p * p, 1));
	MlNumStatus status = ML_NUM_NO_CONVERGENCE;

	if (p == 0 || e->largest == 0)
	{
		memset(e->descent.b, 0, p * sizeof(double));
		return;
	}
	for (int j = 0; j < p; j++)
	{
		e->l1[j] = l1;
		e->l2[j] = l2;
	}
	ml_coordinate_begin(&e->descent, TOLERANCE);
	for (int done = 0; status == ML_NUM_NO_CONVERGENCE && done < MOST_SWEEPS; done += sweeps)
	{
		CHECK_FOR_INTERRUPTS();
		status = ml_coordinate_sweep(&e->descent, sweeps);
	}
	if (status != ML_NUM_OK || ml_coordinate_violation(&e->descent) > OPTIMAL * e->largest)
		refuse(l, l1, l2);
}

static int
count_nonzero(const Linear *l)
{
	int			n = 0;

	for (int j = 0; j < l->ncolumns; j++)
		n += l->net->descent.b[j] != 0;
	return n;
}

/* sum of squared residuals, from T */
static double
residual_squares(const Linear *l)
{
	const MlElasticNet *e = l->net;
	int			p = l->ncolumns;
	double	   *residual = e->residual;
	double		sum = e->target[p] * e->target[p];

	memcpy(residual, e->target, p * sizeof(double));
	for (int j = 0; j < p; j++)
		if (e->descent.b[j] != 0)
			cblas_daxpy(j + 1, -e->descent.b[j], e->triangle + (Size) j * p, 1, residual, 1);
	for (int i = 0; i < p; i++)
		sum += residual[i] * residual[i];
	return sum;
}

static double
intercept_of(const Linear *l, const double *r)
{
	const MlElasticNet *e = l->net;
	double		sum = r[(Size) l->target * l->n];

	if (l->first == 0)
		return 0;
	for (int j = 0; j < l->ncolumns; j++)
		sum -= r[(Size) (1 + j) * l->n] * (e->descent.b[j] / e->unit[j]);
	return sum / r[0];
}

/* mean squared error on the rows held out, of the fit on the others */
static double
held_error(const Linear *l)
{
	const MlElasticNet *e = l->net;
	const double *r = e->part[1];
	double	   *residual = e->residual;
	double		sum = 0;

	memset(residual, 0, l->n * sizeof(double));
	cblas_daxpy(l->target + 1, 1, r + (Size) l->target * l->n, 1, residual, 1);
	if (l->first)
		cblas_daxpy(1, -intercept_of(l, e->part[0]), r, 1, residual, 1);
	for (int j = 0; j < l->ncolumns; j++)
		if (e->descent.b[j] != 0)
			cblas_daxpy(l->first + j + 1, -e->descent.b[j] / e->unit[j],
						r + (Size) (l->first + j) * l->n, 1, residual, 1);
	for (int i = 0; i <= l->target; i++)
		sum += residual[i] * residual[i];
	return sum / e->part_weight[1];
}

/* trace of the hat matrix: active columns less what the ridge takes */
static double
degrees_of_freedom(const Linear *l, double l2)
{
	MlElasticNet *e = l->net;
	int			p = l->ncolumns;
	int			n = 0;
	double	   *a = e->descent.work;
	double		trace = 0;

	for (int j = 0; j < p; j++)
		if (e->descent.b[j] != 0)
			e->descent.active[n++] = j;
	if (l2 == 0)
		return l->first + n;
	for (int k = 0; k < n; k++)
	{
		for (int i = 0; i <= k; i++)
			a[i + (Size) k * n] = e->gram[e->descent.active[i] + (Size) e->descent.active[k] * p];
		a[k + (Size) k * n] += l2;
	}
	if (ml_cholesky(n, a) != ML_NUM_OK || ml_upper_inverse(n, a) != ML_NUM_OK)
		return l->first + n;
	for (int k = 0; k < n; k++)
	{
		double		norm = ml_upper_row_norm(n, a, k);

		trace += norm * norm;
	}
	return l->first + n - l2 * trace;
}

static double
criterion(const Linear *l, double l2)
{
	const MlPath *path = &l->net->path;
	double		n = l->fit->rows->nrows;
	double		rss;

	if (path->params->path == ML_PATH_HOLDOUT)
		return held_error(l);
	rss = residual_squares(l);
	return ml_path_information(path, n * log(rss / n), degrees_of_freedom(l, l2), n);
}

/* tries the penalties in turn */
static void
follow_path(Linear *l)
{
	MlElasticNet *e = l->net;
	bool		more = true;
	double		share = 1;

	prepare(l, l->r, l->sum_weight);
	ml_path_begin(&e->path, e->largest);
	if (e->part[0] != NULL)
	{
		share = e->part_weight[0] / l->sum_weight;
		prepare(l, e->part[0], e->part_weight[0]);
	}
	for (int i = 0; more; i++)
	{
		double		l1 = ml_path_l1(&e->path, i) * share;
		double		l2 = ml_path_l2(&e->path, i) * share;

		CHECK_FOR_INTERRUPTS();
		solve(l, l1, l2);
		more = ml_path_add(&e->path, criterion(l, l2), count_nonzero(l));
	}
}

void
ml_elastic_net_solve(Linear *l, MlFitted *fitted)
{
	MlElasticNet *e = l->net;
	double		l1 = l->params->penalty.l1;
	double		l2 = l->l2;
	double		tss = 0;

	if (e->path.n > 0)
	{
		follow_path(l);
		l1 = ml_path_l1(&e->path, e->path.best);
		l2 = ml_path_l2(&e->path, e->path.best);
	}
	prepare(l, l->r, l->sum_weight);
	solve(l, l1, l2);

	for (int i = 0; i <= l->ncolumns; i++)
		tss += e->target[i] * e->target[i];
	ml_linear_add_fit(l, residual_squares(l), tss, fitted);
	ml_penalty_report(&e->path, l1, l2, count_nonzero(l), fitted);
	for (int j = 0; j < l->ncolumns; j++)
		ml_linear(fitted)->coefficient[j].estimate = e->descent.b[j] / e->unit[j];
	ml_linear(fitted)->intercept[0].estimate = intercept_of(l, l->r);
}
