/*
 * linear_regression.c
 *		Least squares, with or without penalties.
 *
 * Objective:  1/2 sum w (y - eta)^2  +  l1 sum |d_j b_j|  +  l2/2 sum (d_j b_j)^2
 *
 * with eta = b_0 + sum b_j x_j; d_j is the standard deviation (divisor: the sum
 * of weights) of a measured column and 1 for a 0/1 column; b_0 is free.
 *
 * One pass: the state is the R factor of the weighted rows [1 X y], brought up
 * to date block by block by Householder reflections and never by way of X'X,
 * whose condition number is the square of X's. Everything reported follows
 * from R: Golub & Van Loan, Matrix Computations, 4th ed., sections 5.3 and 6.1.
 * Collinear columns and the statistics are those of R's lm. With l1, or a path
 * of penalties, elastic_net.c goes on from R.
 */
#include "postgres.h"

#include <math.h>

#include "algo/linear_regression.h"
#include "errors.h"
#include "num/dense.h"
#include "num/distribution.h"
#include "num/qr.h"

/* singular values of more columns than these would take seconds */
#define CONDITION_COLUMNS 512

static const MlParam params[] = {
	{"intercept", ML_PARAM_BOOL, offsetof(MlLinearParams, intercept), 1, 0, 1, NULL,
	"whether to fit a constant term"},
	ML_PENALTY_PARAMS(MlLinearParams, penalty, "half the residual sum of squares"),
	{NULL}
};

typedef struct State
{
	double		sum_weight;
	double		sum_log_weight;
	double		held_weight;	/* of the rows that a path holds out */
	double		r[FLEXIBLE_ARRAY_MEMBER];
} State;

static bool
penalised(const void *p)
{
	return ml_is_penalised(&((const MlLinearParams *) p)->penalty);
}

static void *
start(const MlFit *fit)
{
	const MlLinearParams *p = fit->params;
	bool		shrunk = ml_is_penalised(&p->penalty);
	Linear	   *l = ml_fit_alloc(fit, 1, sizeof(Linear), "linear regression");
	Size		n;

	ml_penalty_check(&p->penalty);
	l->fit = fit;
	l->params = p;
	l->l2 = p->penalty.l2;
	l->ncolumns = fit->rows->ncolumns;
	l->first = p->intercept ? 1 : 0;
	l->target = l->first + l->ncolumns;
	l->ones = p->intercept ? 0 : shrunk ? l->target + 1 : -1;
	l->n = l->target + (l->ones > 0 ? 2 : 1);
	ml_require_rows(fit, "linear_regression", shrunk ? 1 : Max(l->target, 1));

	n = l->n;
	l->block = ml_qr_block_rows(l->n);
	l->rows = ml_fit_alloc(fit, n * l->block, sizeof(double), "linear regression");
	l->work = ml_fit_alloc(fit, ml_qr_work_size(l->n), sizeof(double), "linear regression");
	l->r = ml_fit_alloc(fit, n * n, sizeof(double), "linear regression");
	l->u = ml_fit_alloc(fit, n * n, sizeof(double), "linear regression");
	l->b = ml_fit_alloc(fit, n, sizeof(double), "linear regression");
	l->kept = ml_fit_alloc(fit, n, sizeof(int), "linear regression");
	if (l->l2 > 0)
		l->stack = ml_fit_alloc(fit, n * (n + 4), sizeof(double), "linear regression");
	ml_penalty_check_elsewhere(&p->penalty, fit);
	l->path_rows = fit->rows->survey ? PG_INT64_MAX : ml_path_rows(&p->penalty, fit->rows->nrows);
	if (p->penalty.l1 > 0 || p->penalty.path != ML_PATH_NONE)
		l->net = ml_elastic_net_alloc(l);
	return l;
}

/* does a path hold out rows, which go into an R of their own? */
static bool
has_parts(const Linear *l)
{
	return l->path_rows < l->fit->rows->nrows;
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
	Linear	   *l = fit;

	return offsetof(State, r) + (Size) l->n * l->n * sizeof(double) * (has_parts(l) ? 2 : 1);
}

/* column times the square roots of the weights, and zeros up to a whole block */
static void
put_column(double *to, int padded, const double *from, const double *root, int n)
{
	if (from == NULL)
		for (int i = 0; i < n; i++)
			to[i] = root ? root[i] : 1;
	else if (root == NULL)
		memcpy(to, from, n * sizeof(double));
	else
		for (int i = 0; i < n; i++)
			to[i] = root[i] * from[i];
	for (int i = n; i < padded; i++)
		to[i] = 0;
}

/* rows [from, to) of n into a triangle */
static void
put_rows(Linear *l, double *r, int from, int to, int n, const double *x, const double *y, const double *root)
{
	for (; from < to; from += l->block)
	{
		int			m = Min(l->block, to - from);
		int			ld = (m + 3) / 4 * 4;
		const double *w = root ? root + from : NULL;

		for (int j = 0; j < l->ncolumns; j++)
			put_column(l->rows + (Size) (l->first + j) * ld, ld, x + (Size) j * n + from, w, m);
		put_column(l->rows + (Size) l->target * ld, ld, y + from, w, m);
		if (l->ones >= 0)
			put_column(l->rows + (Size) l->ones * ld, ld, NULL, w, m);
		ml_qr_update(l->n, r, m, l->rows, ld, l->work);
	}
}

static void
consume(void *fit, void *state, int n, const double *x, const double *y,
		const double *weight, int64 first)
{
	Linear	   *l = fit;
	State	   *s = state;
	double		root[ML_BLOCK_ROWS];
	int			fitted = (int) Max(Min(l->path_rows - first, n), 0);

	for (int i = 0; weight && i < n; i++)
	{
		root[i] = sqrt(weight[i]);
		s->sum_log_weight += log(weight[i]);
		s->sum_weight += weight[i];
	}
	if (weight == NULL)
		s->sum_weight += n;
	put_rows(l, s->r, 0, fitted, n, x, y, weight ? root : NULL);
	put_rows(l, s->r + (Size) l->n * l->n, fitted, n, n, x, y, weight ? root : NULL);
	for (int i = fitted; i < n; i++)
		s->held_weight += weight ? weight[i] : 1;
}

static void
merge(void *fit, void *state, const void *other)
{
	Linear	   *l = fit;
	State	   *s = state;
	const State *o = other;

	ml_qr_merge(l->n, s->r, o->r, l->work);
	if (has_parts(l))
		ml_qr_merge(l->n, s->r + (Size) l->n * l->n, o->r + (Size) l->n * l->n, l->work);
	s->held_weight += o->held_weight;
	s->sum_weight += o->sum_weight;
	s->sum_log_weight += o->sum_log_weight;
}

void
ml_linear_copy_triangle(int n, double *to, const double *from)
{
	for (int j = 0; j < n; j++)
		memcpy(to + (Size) j * n, from + (Size) j * n, (j + 1) * sizeof(double));
}

static bool
end_pass(void *fit, void *state)
{
	Linear	   *l = fit;
	State	   *s = state;

	l->sum_weight = s->sum_weight;
	l->sum_log_weight = s->sum_log_weight;
	if (has_parts(l))
	{
		const double *held = s->r + (Size) l->n * l->n;

		ml_elastic_net_take(l, s->r, l->sum_weight - s->held_weight, held, s->held_weight);
		ml_qr_merge(l->n, s->r, held, l->work);
	}
	ml_linear_copy_triangle(l->n, l->r, s->r);
	return true;
}

/* squares of values near the end of the range overflow */
static void
check_finite(const Linear *l)
{
	const MlDesignMatrix *rows = l->fit->rows;

	for (int j = 0; j < l->n; j++)
		for (int i = 0; i <= j; i++)
			if (!isfinite(l->r[i + (Size) j * l->n]))
				ereport(ERROR,
						(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						 errmsg("values of \"%s\" are too large to fit",
								j >= l->first && j < l->target ? rows->column_name[j - l->first] : "the target"),
						 errdetail("The sum of their squares is larger than a double precision number can be."),
						 errhint("Train on the values in larger units, for example divided by 1e150.")));
}

/* sum of squares of rows [from, to) of a column of R */
static double
squares(const Linear *l, int column, int from, int to)
{
	const double *c = l->r + (Size) column * l->n;
	double		sum = 0;

	for (int i = from; i < to; i++)
		sum += c[i] * c[i];
	return sum;
}

static void
add_condition(const Linear *l, int rank, MlFitted *fitted)
{
	double	   *copy;
	double	   *work;
	double		condition;

	if (rank == 0 || rank > CONDITION_COLUMNS)
		return;
	copy = ml_aligned_alloc((Size) rank * rank * sizeof(double));
	work = ml_aligned_alloc(ml_condition_work_size(rank) * sizeof(double));
	memcpy(copy, l->u, (Size) rank * rank * sizeof(double));
	if (ml_condition(rank, copy, work, &condition) == ML_NUM_OK)
		ml_fitted_fact(fitted, "condition_number", condition);
	ml_aligned_free(copy);
	ml_aligned_free(work);
}

/* the log-likelihood of R's logLik.lm */
static double
log_likelihood(const Linear *l, double rss)
{
	double		n = l->fit->rows->nrows;

	return 0.5 * (l->sum_log_weight - n * (log(2 * M_PI) + 1 - log(n) + log(rss)));
}

/* what is the same with and without a penalty */
void
ml_linear_add_fit(const Linear *l, double rss, double tss, MlFitted *fitted)
{
	ml_fitted_fact(fitted, "r_squared", 1 - rss / tss);
	ml_fitted_fact(fitted, "residual_sum_of_squares", rss);
	ml_fitted_fact(fitted, "log_likelihood", log_likelihood(l, rss));
}

/* standard error, t and p of one coefficient; inverse is that of the triangle kept */
static void
infer(MlCoefficient *c, double estimate, double sigma, double row_norm, double df)
{
	c->estimate = estimate;
	c->std_error = sigma * row_norm;
	c->statistic = estimate / c->std_error;
	c->p_value = ml_t_two_sided(c->statistic, df);
	if (!isfinite(c->statistic))
		c->statistic = c->p_value = NAN;
}

static void
add_inference(const Linear *l, int rank, double rss, double explained, MlFitted *fitted)
{
	double		n = l->fit->rows->nrows;
	double		df = n - rank;
	double		model_df = rank - l->first;
	double		sigma2 = df > 0 ? rss / df : NAN;
	double		f = explained / model_df / sigma2;

	ml_linear(fitted)->statistic_name = "t";
	for (int k = 0; k < rank; k++)
	{
		int			j = l->kept[k] - l->first;

		infer(j < 0 ? &ml_linear(fitted)->intercept[0] : &ml_linear(fitted)->coefficient[j], l->b[k],
			  sqrt(sigma2), ml_upper_row_norm(rank, l->u, k), df);
	}
	ml_fitted_fact(fitted, "adjusted_r_squared",
				   df > 0 ? 1 - rss / (rss + explained) * ((n - l->first) / df) : NAN);
	ml_fitted_fact(fitted, "residual_standard_error", sqrt(sigma2));
	ml_fitted_fact(fitted, "f_statistic", model_df > 0 ? f : NAN);
	ml_fitted_fact(fitted, "f_p_value", model_df > 0 && !isinf(f) ? ml_f_upper(f, model_df, df) : NAN);
	ml_fitted_fact(fitted, "degrees_of_freedom", df);
}

/* l2 = 0: least squares on the columns that stand on their own */
static void
solve_plain(Linear *l, MlFitted *fitted)
{
	int			rank = ml_qr_rank(l->n, l->r, l->target, l->kept, l->b);
	double		rss = squares(l, l->target, rank, l->target + 1);
	double		explained = squares(l, l->target, Min(l->first, rank), rank);
	int			skipped = rank > 0 && l->kept[0] < l->first ? 1 : 0;
	int		   *columns = palloc(Max(rank, 1) * sizeof(int));

	memset(l->u, 0, (Size) l->n * l->n * sizeof(double));
	for (int k = 0; k < rank; k++)
		memcpy(l->u + (Size) k * rank, l->r + (Size) l->kept[k] * l->n, (k + 1) * sizeof(double));
	memcpy(l->b, l->r + (Size) l->target * l->n, rank * sizeof(double));
	ml_upper_solve(rank, l->u, l->b);
	ml_linear_add_fit(l, rss, rss + explained, fitted);
	add_condition(l, rank, fitted);
	ml_upper_inverse(rank, l->u);
	add_inference(l, rank, rss, explained, fitted);

	for (int k = skipped; k < rank; k++)
		columns[k - skipped] = l->kept[k] - l->first;
	ml_fitted_drop(fitted, l->fit->rows, rank - skipped, columns);
	pfree(columns);
}

/*
 * What a unit of design column j costs: the deviation of a measured column, as
 * if it had been standardised. Column j of R less its mean times the column of
 * ones has the length of the centred column. A constant counts in its own units.
 */
double
ml_linear_unit(const Linear *l, const double *r, double sum_weight, int j)
{
	const double *x = r + (Size) (l->first + j) * l->n;
	const double *one = r + (Size) l->ones * l->n;
	double		mean = 0;
	double		centred = 0;
	double		whole = 0;

	if (!l->fit->rows->scaled[j])
		return 1;
	for (int i = 0; i < l->n; i++)
		mean += x[i] * one[i] / sum_weight;
	for (int i = 0; i < l->n; i++)
	{
		centred += (x[i] - mean * one[i]) * (x[i] - mean * one[i]);
		whole += x[i] * x[i];
	}
	if (centred <= whole * 1e-26)
		return 1;
	return sqrt(centred / sum_weight);
}

/*
 * l2 > 0: least squares on the rows of R without the constant's, which are
 * those of the centred columns, with a row sqrt(l2) d_j e_j for every column
 * under them.
 */
static void
solve_ridge(Linear *l, MlFitted *fitted)
{
	int			p = l->ncolumns;
	int			m = p + 1;		/* and the target */
	int			ld = (m + 3) / 4 * 4;
	double	   *triangle = l->u;
	double		rss = 0;

	memset(l->stack, 0, (Size) ld * m * sizeof(double));
	for (int j = 0; j < m; j++)
	{
		const double *c = l->r + (Size) (l->first + j) * l->n + l->first;

		memcpy(triangle + (Size) j * m, c, (j + 1) * sizeof(double));
		memset(triangle + (Size) j * m + j + 1, 0, (m - j - 1) * sizeof(double));
		if (j < p)
			l->stack[j + (Size) j * ld] = sqrt(l->l2) * ml_linear_unit(l, l->r, l->sum_weight, j);
	}
	ml_qr_update(m, triangle, m, l->stack, ld, l->work);
	memcpy(l->b, triangle + (Size) p * m, p * sizeof(double));

	/* the leading p x p part alone, without gaps */
	for (int j = 1; j < p; j++)
		memmove(triangle + (Size) j * p, triangle + (Size) j * m, p * sizeof(double));
	if (ml_upper_solve(p, triangle, l->b) != ML_NUM_OK)
		ereport(ERROR,
				(errcode(ERRCODE_ML_NO_CONVERGENCE),
				 errmsg("the penalty \"l2\" = %g is too small for these features", l->l2),
				 errdetail("The features are collinear and the penalty vanishes beside their size."),
				 errhint("Raise it, for example params => '{\"l2\": 1}'.")));

	for (int i = 0; i <= p; i++)
	{
		double		e = l->r[l->first + i + (Size) l->target * l->n];

		for (int j = i; j < p; j++)
			e -= l->r[l->first + i + (Size) (l->first + j) * l->n] * l->b[j];
		rss += e * e;
	}
	ml_linear_add_fit(l, rss, squares(l, l->target, l->first, l->target + 1), fitted);
	ml_penalty_report(NULL, 0, l->l2, p, fitted);
	for (int j = 0; j < p; j++)
		ml_linear(fitted)->coefficient[j].estimate = l->b[j];
	if (l->first)
	{
		double		sum = l->r[(Size) l->target * l->n];

		for (int j = 0; j < p; j++)
			sum -= l->r[(Size) (1 + j) * l->n] * l->b[j];
		ml_linear(fitted)->intercept[0].estimate = sum / l->r[0];
	}
}

static MlFitted *
finish(void *fit)
{
	Linear	   *l = fit;
	MlFitted   *fitted = ml_fitted_linear(ML_LINK_IDENTITY, 1, l->ncolumns);

	check_finite(l);
	ml_linear(fitted)->has_intercept = l->first == 1;
	fitted->passes = 1;
	if (l->net != NULL)
		ml_elastic_net_solve(l, fitted);
	else if (l->l2 > 0)
		solve_ridge(l, fitted);
	else
		solve_plain(l, fitted);
	return fitted;
}

const MlAlgorithm ml_linear_regression = {
	.name = "linear_regression",
	.summary = "least squares by QR, with standard errors and p-values; ridge, lasso and elastic net with l2 and l1",
	.tasks = ML_TASKS_REGRESSION,
	.gives_inference = true,
	.penalised = penalised,
	.params = params,
	.params_size = sizeof(MlLinearParams),
	.start = start,
	.state_size = state_size,
	.consume = consume,
	.merge = merge,
	.end_pass = end_pass,
	.pass_size = pass_size,
	.finish = finish,
};
