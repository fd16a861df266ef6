/*
 * pca.c
 *		Principal components: the directions in which rows differ most.
 *
 * Objective: of all sets of q orthogonal directions, the one that maximises the
 * variance of the rows along it, and so minimises the squared distance between
 * rows and their projections (Pearson 1901; Hotelling 1933). They are the
 * eigenvectors of the covariance matrix, by descending eigenvalue.
 *
 * One pass adds up means and centred cross products of blocks (Chan, Golub &
 * LeVeque, Am. Statistician 37 (1983)); then the covariance matrix is
 * decomposed. With more columns than rows the matrix of products between rows
 * is decomposed instead: it has the same eigenvalues, and is smaller.
 *
 * Sign: of the loadings of a component the largest is positive (the first of
 * those as large, to a millionth).
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "learn/driver.h"
#include "miscadmin.h"
#include "num/columns.h"
#include "num/eigen.h"

#include <cblas.h>

#define NO_VARIANCE		1e-13	/* of the largest: no direction, but rounding */
#define MOST_COLUMNS	30000	/* LAPACK counts its memory in 32 bits */
#define EQUALLY_LARGE	(1 - 1e-6)

typedef struct PcaParams
{
	double		components;
	bool		standardise;
	bool		whiten;
} PcaParams;

#define OFFSET(member) offsetof(PcaParams, member)

static const MlParam params[] = {
	{"components", ML_PARAM_FLOAT, OFFSET(components), 0.95, 1e-6, 1e6, NULL,
	"how many; below 1: as many as it takes to reach this share of the variance"},
	{"standardise", ML_PARAM_BOOL, OFFSET(standardise), 1, 0, 1, NULL,
	"whether every column is divided by its standard deviation first"},
	{"whiten", ML_PARAM_BOOL, OFFSET(whiten), 0, 0, 1, NULL,
	"whether coordinates are divided by the standard deviation of their component"},
	{NULL}
};

typedef struct Pca
{
	const MlFit *fit;
	const PcaParams *params;
	int			p;
	bool		wide;			/* more columns than rows */
	double	   *z;				/* p x ML_BLOCK_ROWS: a block, centred; wide: p x n, all rows */
	double		weight;
	double	   *mean;			/* p */
	double	   *scale;			/* p */
	double	   *matrix;			/* p x p, or n x n if wide: then its eigenvectors, one a column */
	double	   *value;			/* p or n: variances, ascending */
	double		total;
	int			rank;
	int			ncomponents;
} Pca;

/* number[0] is the weight, then p means, then p x p centred cross products (lower triangle) */
typedef struct State
{
	double		number[1];		/* state_size() says how many */
} State;

/* ---- the fold ---- */

static void
check(const MlFit *fit)
{
	const PcaParams *p = fit->params;

	if (p->components > 1 && p->components != rint(p->components))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"components\" cannot be %g", p->components),
				 errdetail("It is a number of components, or a share of the variance below 1."),
				 errhint("For example params => '{\"components\": 2}', or 0.95.")));
	if (fit->rows->ncolumns > MOST_COLUMNS && (fit->rows->survey || fit->rows->nrows > MOST_COLUMNS))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("\"pca\" takes at most %d columns", MOST_COLUMNS),
				 errdetail("The features become %d columns of numbers.", fit->rows->ncolumns),
				 errhint("Name fewer features, or allow fewer max_categories.")));
}

static void *
start(const MlFit *fit)
{
	Pca		   *a = ml_fit_alloc(fit, 1, sizeof(Pca), "components");
	Size		p = fit->rows->ncolumns;
	Size		order;

	check(fit);
	a->fit = fit;
	a->params = fit->params;
	a->p = (int) p;
	a->wide = fit->rows->survey == NULL && fit->rows->nrows < p;
	order = a->wide ? fit->rows->nrows : p;
	a->z = ml_fit_alloc(fit, p * (a->wide ? order : ML_BLOCK_ROWS), sizeof(double), "rows to project");
	a->mean = ml_fit_alloc(fit, p, sizeof(double), "components");
	a->scale = ml_fit_alloc(fit, p, sizeof(double), "components");
	a->matrix = ml_fit_alloc(fit, order * order, sizeof(double), "cross products");
	a->value = ml_fit_alloc(fit, order, sizeof(double), "components");
	return a;
}

/* one pass over rows elsewhere, which starts from the parameters alone */
static int
pass_size(void *fit)
{
	return 0;
}

static Size
state_size(void *fit)
{
	Pca		   *a = fit;
	Size		p = a->wide ? 0 : a->p;

	return sizeof(double) * (1 + p + p * p);
}

/* wide: all rows are read at the end of the only pass */
static int64
pass_rows(void *fit, int pass, int64 nrows)
{
	return ((Pca *) fit)->wide ? 0 : nrows;
}

/* a block around its means, times the roots of the weights, into z; returns the weight */
ML_CLONES static double
centre(int n, int p, const double *x, const double *weight, double *mean, double *z)
{
	double		total = 0;

	for (int i = 0; i < n; i++)
		total += weight ? weight[i] : 1;
	for (int j = 0; j < p; j++)
	{
		mean[j] = ml_column_mean(n, x + (Size) j * n, weight, total);
		for (int i = 0; i < n; i++)
			z[(Size) j * n + i] = x[(Size) j * n + i] - mean[j];
		for (int i = 0; weight && i < n; i++)
			z[(Size) j * n + i] *= sqrt(weight[i]);
	}
	return total;
}

static void
consume(void *fit, void *state, int n, const double *x, const double *y, const double *weight, int64 first)
{
	Pca		   *a = fit;
	State	   *s = state;

	s->number[0] = centre(n, a->p, x, weight, s->number + 1, a->z);
	cblas_dsyrk(CblasColMajor, CblasLower, CblasTrans, a->p, n, 1.0, a->z, n, 0.0, s->number + 1 + a->p, a->p);
}

static void
merge(void *fit, void *state, const void *other)
{
	Pca		   *a = fit;
	State	   *s = state;
	const State *o = other;
	Size		p = a->p;
	double		total = s->number[0] + o->number[0];
	double	   *delta = a->value;	/* free until the end of the pass */
	double		share;

	if (a->wide || !(o->number[0] > 0))
		return;
	share = o->number[0] / total;
	for (Size j = 0; j < p; j++)
		delta[j] = o->number[1 + j] - s->number[1 + j];
	cblas_daxpy(a->p, share, delta, 1, s->number + 1, 1);
	for (Size j = 0; j < p; j++)
		cblas_daxpy((int) (p - j), 1.0, o->number + 1 + p + j * p + j, 1, s->number + 1 + p + j * p + j, 1);
	cblas_dsyr(CblasColMajor, CblasLower, a->p, s->number[0] * share, delta, 1, s->number + 1 + p, a->p);
	s->number[0] = total;
}

static void
refuse_range(const Pca *a, int column)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("the squares of column \"%s\" leave the range of numbers", a->fit->rows->column_name[column]),
			 errhint("Train on the column in other units.")));
}

/* squares: the sum of squares of a column around its mean */
static void
take_column(Pca *a, int j, double squares)
{
	double		variance = squares / a->weight;

	a->scale[j] = a->params->standardise ? (variance > 0 ? 1 / sqrt(variance) : 0) : 1;
	if (!isfinite(variance) || !isfinite(a->scale[j]))
		refuse_range(a, j);
}

/* one row less than there are, in units of the weights: weights of 2 everywhere change nothing */
static double
divisor(const Pca *a)
{
	double		n = (double) a->fit->rows->nrows;

	return a->weight * ((n - 1) / n);
}

static void
take_covariance(Pca *a, const State *s)
{
	Size		p = a->p;
	const double *cross = s->number + 1 + p;

	a->weight = s->number[0];
	memcpy(a->mean, s->number + 1, p * sizeof(double));
	for (Size j = 0; j < p; j++)
		take_column(a, (int) j, cross[j * p + j]);
	for (Size j = 0; j < p; j++)
		for (Size i = j; i < p; i++)
			a->matrix[j * p + i] = cross[j * p + i] / divisor(a) * a->scale[i] * a->scale[j];
}

/* reads all rows, which are fewer than columns, as one block */
ML_CLONES static void
take_rows(Pca *a)
{
	const MlDesignMatrix *rows = a->fit->rows;
	int			n = (int) rows->nrows;
	int			p = a->p;
	int			block = Min(n, ML_BLOCK_ROWS);
	double	   *x = ml_fit_alloc(a->fit, (Size) block * p, sizeof(double), "rows to project");

	for (int first = 0; first < n; first += block)
	{
		int			count = Min(block, n - first);

		rows->read(rows->arg, first, count, x);
		CHECK_FOR_INTERRUPTS();
		for (int j = 0; j < p; j++)
			memcpy(a->z + (Size) j * n + first, x + (Size) j * count, count * sizeof(double));
	}
	for (int i = 0; i < n; i++)
		a->weight += rows->weight ? rows->weight[i] : 1;
	for (int j = 0; j < p; j++)
	{
		double	   *z = a->z + (Size) j * n;

		a->mean[j] = ml_column_mean(n, z, rows->weight, a->weight);
		take_column(a, j, ml_column_squares(n, z, rows->weight, a->mean[j]));
		for (int i = 0; i < n; i++)
			z[i] = (z[i] - a->mean[j]) * a->scale[j] * (rows->weight ? sqrt(rows->weight[i]) : 1);
	}
	cblas_dsyrk(CblasColMajor, CblasLower, CblasNoTrans, n, p, 1 / divisor(a), a->z, n, 0.0, a->matrix, n);
}

static int
order_of(const Pca *a)
{
	return a->wide ? (int) a->fit->rows->nrows : a->p;
}

/* variance number q, the largest first */
static double
variance_of(const Pca *a, int q)
{
	return a->value[order_of(a) - 1 - q];
}

static void
decompose(Pca *a)
{
	int			n = order_of(a);
	double	   *work = ml_fit_alloc(a->fit, ml_eigen_work_size(n), sizeof(double), "eigenvectors");
	int		   *integers = ml_fit_alloc(a->fit, ml_eigen_integers(n), sizeof(int), "eigenvectors");

	for (int j = 0; j < n; j++)
		a->total += a->matrix[(Size) j * n + j];
	if (ml_eigen(n, a->matrix, a->value, work, integers) != ML_NUM_OK)
		ereport(ERROR,
				(errcode(ERRCODE_ML_NO_CONVERGENCE),
				 errmsg("the covariance matrix could not be decomposed"),
				 errdetail("It has %d columns.", n),
				 errhint("Bring the columns to a usual size, or leave \"standardise\" on.")));
	while (a->rank < n && variance_of(a, a->rank) > NO_VARIANCE * variance_of(a, 0))
		a->rank++;
}

static void
choose_components(Pca *a)
{
	double		wanted = a->params->components;
	double		sum = 0;

	if (wanted >= 1)
	{
		a->ncomponents = (int) Min(wanted, a->rank);
		return;
	}
	while (a->ncomponents < a->rank && sum < wanted * a->total)
		sum += variance_of(a, a->ncomponents++);
}

static bool
end_pass(void *fit, void *state)
{
	Pca		   *a = fit;

	if (a->fit->rows->nrows < 2)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("\"pca\" needs at least two rows"),
				 errdetail("There is " INT64_FORMAT " training row.", a->fit->rows->nrows),
				 errhint("Train on more rows.")));
	if (a->wide)
		take_rows(a);
	else
		take_covariance(a, state);
	decompose(a);
	choose_components(a);
	return true;
}

/* ---- the result ---- */

static void
choose_sign(double *component, int p)
{
	double		largest = 0;

	for (int j = 0; j < p; j++)
		largest = Max(largest, fabs(component[j]));
	for (int j = 0; j < p; j++)
	{
		if (fabs(component[j]) < EQUALLY_LARGE * largest)
			continue;
		if (component[j] < 0)
			cblas_dscal(p, -1.0, component, 1);
		return;
	}
}

/* component q: an eigenvector of the covariance, or rows added up by one of the products between rows */
static void
put_component(const Pca *a, int q, double *component)
{
	int			n = order_of(a);
	const double *vector = a->matrix + (Size) (n - 1 - q) * n;

	if (a->wide)
	{
		cblas_dgemv(CblasColMajor, CblasTrans, n, a->p, 1.0, a->z, n, vector, 1, 0.0, component, 1);
		cblas_dscal(a->p, 1 / cblas_dnrm2(a->p, component, 1), component, 1);
	}
	else
		memcpy(component, vector, a->p * sizeof(double));
	choose_sign(component, a->p);
}

static MlProjection *
make_projection(const Pca *a)
{
	MlProjection *projection = palloc0(sizeof(MlProjection));
	Size		p = a->p;
	Size		q = a->ncomponents;

	projection->base.kind = ML_PREDICTOR_PROJECTION;
	projection->ncomponents = a->ncomponents;
	projection->whiten = a->params->whiten;
	projection->shift = palloc_extended(p * sizeof(double), MCXT_ALLOC_HUGE);
	projection->scale = palloc_extended(p * sizeof(double), MCXT_ALLOC_HUGE);
	projection->component = ml_aligned_alloc(p * q * sizeof(double));
	projection->variance = palloc(q * sizeof(double));
	projection->total_variance = a->total;
	memcpy(projection->shift, a->mean, p * sizeof(double));
	memcpy(projection->scale, a->scale, p * sizeof(double));
	for (Size i = 0; i < q; i++)
	{
		projection->variance[i] = variance_of(a, (int) i);
		put_component(a, (int) i, projection->component + i * p);
	}
	return projection;
}

static MlFitted *
finish(void *fit)
{
	Pca		   *a = fit;
	MlFitted   *fitted = ml_fitted_make();
	MlProjection *projection = make_projection(a);
	double	   *share = palloc(a->ncomponents * sizeof(double));
	double		sum = 0;

	fitted->predictor = &projection->base;
	fitted->passes = 1;
	for (int q = 0; q < a->ncomponents; q++)
	{
		sum += projection->variance[q];
		share[q] = projection->variance[q] / a->total;
	}
	ml_fitted_fact(fitted, "components", a->ncomponents);
	ml_fitted_fact(fitted, "rank", a->rank);
	ml_fitted_fact(fitted, "total_variance", a->total);
	ml_fitted_fact(fitted, "explained_variance", sum / a->total);
	ml_fitted_series(fitted, "variance_by_component", a->ncomponents, projection->variance);
	ml_fitted_series(fitted, "share_by_component", a->ncomponents, share);
	pfree(share);
	if (a->params->components > a->ncomponents)
		ml_fitted_note(fitted, "there are only %d components: the columns vary in no more directions", a->ncomponents);
	return fitted;
}

static bool
penalised(const void *params)
{
	return true;				/* every level of a category has its column */
}

const MlAlgorithm ml_pca = {
	.name = "pca",
	.summary = "principal components: the directions in which rows differ most",
	.tasks = ML_TASKS_PROJECTION,
	.penalised = penalised,
	.params = params,
	.params_size = sizeof(PcaParams),
	.start = start,
	.state_size = state_size,
	.consume = consume,
	.merge = merge,
	.end_pass = end_pass,
	.pass_rows = pass_rows,
	.pass_size = pass_size,
	.finish = finish,
};
