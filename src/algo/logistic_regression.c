/*
 * logistic_regression.c
 *		Logistic regression for two classes, by Newton's method.
 *
 * Objective:  - sum w [y log p + (1 - y) log(1 - p)]  +  l2/2 sum (d_j b_j)^2
 *
 * with p = 1 / (1 + exp(-eta)), eta = b_0 + sum b_j x_j; d_j is the standard
 * deviation (divisor: the sum of weights) of a measured column and 1 for a 0/1
 * column; b_0 is free.
 *
 * Newton's step solves H step = g with the gradient g = Z'w(y - p) and the
 * information H = Z'WZ, W = w p (1 - p): iteratively reweighted least squares
 * (McCullagh & Nelder, Generalized Linear Models, 2nd ed., section 2.5). A step
 * that makes the objective worse is halved, since plain IRLS can diverge
 * (Marschner, glm2: fitting generalized linear models with convergence
 * problems, The R Journal 3/2, 2011). Z holds the columns about a rough centre
 * in a rough unit, taken from a few rows, so that H is as well conditioned as
 * the correlations allow; estimates are carried back at the end.
 *
 * Rows come in random order. The first passes run over a prefix of them, a
 * random sample, with a slight penalty that keeps them from diverging; the
 * passes over all rows then start near the end.
 */
#include "postgres.h"

#include <math.h>

#include "algo/logistic.h"
#include "algo/units.h"
#include "errors.h"
#include "num/dense.h"
#include "num/logit.h"

#include <cblas.h>

#define FIRST_SAMPLE	16384	/* rows of the first prefix; the next has 8 times as many */
#define SAMPLE_GROWTH	8
#define SAMPLE_PASSES	12
#define MAX_HALVINGS	40
#define MIN_SHARED_COLUMNS 48	/* for other processes to help */

/*
 * Standard errors come from the information before the last step, and far in
 * the tail the relative error of a p-value is z^2 times theirs. So the last step
 * shall be about 1e-10, which is the square root of the change of the deviance.
 */
#define SETTLED			1e-20
#define STALLED			0.01	/* a change that has not shrunk to this is rounding */
#define CLOSING_PASSES	3
#define TURNING_PASSES	10		/* rows that move for so long without effect are separated */

static const char *const solver_names[] = {"auto", "newton", "lbfgs", NULL};

static const MlParam params[] = {
	{"intercept", ML_PARAM_BOOL, offsetof(MlLogisticParams, intercept), 1, 0, 1, NULL,
	"whether to fit a constant term"},
	ML_PENALTY_PARAMS(MlLogisticParams, penalty, "the negative log-likelihood"),
	{"max_iterations", ML_PARAM_INT, offsetof(MlLogisticParams, max_iterations), 50, 1, 10000, NULL,
	"Newton steps over all rows before the fit is given up"},
	{"tolerance", ML_PARAM_FLOAT, offsetof(MlLogisticParams, tolerance), 1e-8, 1e-15, 0.1, NULL,
	"relative change of the deviance at which the fit has converged; one more step follows"},
	{"solver", ML_PARAM_ENUM, offsetof(MlLogisticParams, solver), ML_SOLVER_AUTO, 0, 0, solver_names,
	"newton, with standard errors; lbfgs, without; auto: lbfgs for more than 2000 coefficients of several classes"},
	{NULL}
};

typedef struct State
{
	MlLogitSums sums;
	int64		any;			/* of rows: least_margin counts */
	double		least_turn;		/* of (2y - 1) times the last step's change of eta */
	double		most_turn;
	double		number[FLEXIBLE_ARRAY_MEMBER];	/* gradient, sums, squares: k each; information: k x k */
} State;

static bool
penalised(const void *p)
{
	return ml_is_penalised(&((const MlLogisticParams *) p)->penalty);
}

/* ---- start ---- */

/* the best constant: where the fit starts, and what it is measured against */
static void
null_model(Logistic *l)
{
	const MlDesignMatrix *rows = l->fit->rows;
	double		positive = 0;
	double		share;

	for (int64 i = 0; rows->survey == NULL && i < rows->nrows; i++)
	{
		double		w = rows->weight ? rows->weight[i] : 1;

		l->weight += w;
		positive += w * rows->y[i];
	}
	if (rows->survey)
	{
		l->weight = rows->survey->weight;
		positive = rows->survey->class_weight[1];
	}
	share = positive / l->weight;
	if (!(share > 0 && share < 1))
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("the target has only one class in the training rows"),
				 errdetail("\"%s\" needs rows of both classes; all " INT64_FORMAT " rows are of one.",
						   "logistic_regression", rows->nrows),
				 errhint("Train on rows of both classes.")));
	l->share = l->first ? share : 0.5;
	l->null_log_likelihood = positive * log(l->share) + (l->weight - positive) * log(1 - l->share);
}

static void
start_from_null(Logistic *l)
{
	memset(l->beta, 0, sizeof(double) * l->k);
	if (l->first)
		l->beta[0] = log(l->share / (1 - l->share));
	l->from_null = true;
}

/* this file's fold is for two classes, with a ridge penalty at most: NULL */
static const MlAlgorithm *
variant(const MlFit *fit)
{
	const MlPenaltyParams *penalty = &((const MlLogisticParams *) fit->params)->penalty;

	ml_penalty_check(penalty);
	if (fit->task == ML_TASKS_MULTICLASS || penalty->l1 > 0 || penalty->path != ML_PATH_NONE ||
		((const MlLogisticParams *) fit->params)->solver == ML_SOLVER_LBFGS)
		return &ml_multinomial;
	return NULL;
}

static void *
start(const MlFit *fit)
{
	const MlLogisticParams *p = fit->params;
	const char *what = "logistic regression";
	Logistic   *l = ml_fit_alloc(fit, 1, sizeof(Logistic), what);
	Size		k;

	l->fit = fit;
	l->params = p;
	l->p = fit->rows->ncolumns;
	l->first = p->intercept ? 1 : 0;
	l->k = l->first + l->p;
	k = l->k;
	ml_require_rows(fit, "logistic_regression", p->penalty.l2 > 0 ? 1 : Max(l->k, 1));

	l->z = ml_fit_alloc(fit, Max(k, 1) * ML_BLOCK_ROWS, sizeof(double), what);
	l->eta = ml_fit_alloc(fit, ML_BLOCK_ROWS, sizeof(double), what);
	l->residual = ml_fit_alloc(fit, ML_BLOCK_ROWS, sizeof(double), what);
	l->root = ml_fit_alloc(fit, ML_BLOCK_ROWS, sizeof(double), what);
	l->centre = ml_fit_alloc(fit, k, sizeof(double), what);
	l->unit = ml_fit_alloc(fit, k, sizeof(double), what);
	l->beta = ml_fit_alloc(fit, k, sizeof(double), what);
	l->accepted = ml_fit_alloc(fit, k, sizeof(double), what);
	l->step = ml_fit_alloc(fit, k, sizeof(double), what);
	l->penalty = ml_fit_alloc(fit, k, sizeof(double), what);
	l->kept = ml_fit_alloc(fit, k, sizeof(int), what);
	l->u = ml_fit_alloc(fit, k * k, sizeof(double), what);
	l->work = ml_fit_alloc(fit, k, sizeof(double), what);

	if (l->first)
		l->unit[0] = 1;
	ml_rough_units(fit, l->first > 0, l->z, l->eta, l->centre + l->first, l->unit + l->first);
	null_model(l);
	start_from_null(l);
	l->objective = INFINITY;
	l->relative_change = INFINITY;
	l->sample = FIRST_SAMPLE;
	l->stage_begins = true;
	if (l->sample * 4 > fit->rows->nrows || fit->rows->survey)
		l->sample = 0;
	l->from_null = l->sample == 0;
	return l;
}

/* ---- the rows ---- */

static Size
state_size(void *fit)
{
	Size		k = ((Logistic *) fit)->k;

	return offsetof(State, number) + k * (k + 3) * sizeof(double);
}

/* ---- for other processes: what consume reads ---- */

typedef struct Share
{
	int			p;
	int			first;
	int			k;
	bool		stage_begins;
	bool		closing;
	double		l2;
	double		number[FLEXIBLE_ARRAY_MEMBER];	/* centre, unit, beta, step: k each */
} Share;

/*
 * A handful of passes over all rows is all it takes: only where a row's share
 * of the information, k^2 products, costs more than to bring it into shared
 * memory do other processes help.
 */
static Size
share_size(void *fit)
{
	if (((Logistic *) fit)->k < MIN_SHARED_COLUMNS)
		return 0;
	return offsetof(Share, number) + 4 * sizeof(double) * ((Logistic *) fit)->k;
}

static bool
share_out(void *fit, void *shared)
{
	const Logistic *l = fit;
	Share	   *s = shared;
	Size		bytes = sizeof(double) * l->k;

	s->p = l->p;
	s->first = l->first;
	s->k = l->k;
	s->stage_begins = l->stage_begins;
	s->closing = l->closing;
	s->l2 = l->params->penalty.l2;
	memcpy(s->number, l->centre, bytes);
	memcpy(s->number + l->k, l->unit, bytes);
	memcpy(s->number + 2 * l->k, l->beta, bytes);
	memcpy(s->number + 3 * l->k, l->step, bytes);
	return true;
}

static Logistic *
make_helper(const Share *s)
{
	Logistic   *l = palloc0(sizeof(Logistic));
	MlLogisticParams *params = palloc0(sizeof(MlLogisticParams));

	params->penalty.l2 = s->l2;
	l->params = params;
	l->p = s->p;
	l->first = s->first;
	l->k = s->k;
	l->z = ml_aligned_alloc(sizeof(double) * Max(s->k, 1) * ML_BLOCK_ROWS);
	l->eta = ml_aligned_alloc(sizeof(double) * ML_BLOCK_ROWS);
	l->residual = ml_aligned_alloc(sizeof(double) * ML_BLOCK_ROWS);
	l->root = ml_aligned_alloc(sizeof(double) * ML_BLOCK_ROWS);
	return l;
}

static void *
share_in(void *fit, const MlDesignMatrix *rows, const void *shared)
{
	const Share *s = shared;
	Logistic   *l = fit != NULL ? fit : make_helper(s);

	l->stage_begins = s->stage_begins;
	l->closing = s->closing;
	l->centre = unconstify(double *, &s->number[0]);
	l->unit = l->centre + s->k;
	l->beta = l->unit + s->k;
	l->step = l->beta + s->k;
	return l;
}

static int64
pass_rows(void *fit, int pass, int64 nrows)
{
	Logistic   *l = fit;

	return l->sample > 0 ? l->sample : nrows;
}

/* how far the last step turned rows to their own side (> 0) or away from it */
static void
turn_of_rows(Logistic *l, State *s, int n, const double *y)
{
	cblas_dgemv(CblasColMajor, CblasNoTrans, n, l->k, 1, l->z, n, l->step, 1, 0, l->eta, 1);
	for (int i = 0; i < n; i++)
	{
		double		turn = (2 * y[i] - 1) * l->eta[i];

		s->least_turn = Min(s->least_turn, turn);
		s->most_turn = Max(s->most_turn, turn);
	}
}

static void
consume(void *fit, void *state, int n, const double *x, const double *y,
		const double *weight, int64 first)
{
	Logistic   *l = fit;
	State	   *s = state;
	int			k = l->k;
	double	   *gradient = s->number;
	double	   *sum = gradient + k;
	double	   *squares = sum + k;
	double	   *information = squares + k;

	for (int i = 0; l->first && i < n; i++)
		l->z[i] = 1;
	for (int j = l->first; j < k; j++)
		ml_column_standardise(n, x + (Size) (j - l->first) * n, l->centre[j], l->unit[j],
							  l->z + (Size) j * n);
	if (l->stage_begins && l->params->penalty.l2 > 0)
		for (int j = l->first; j < k; j++)
			ml_column_moments(n, l->z + (Size) j * n, weight, &sum[j], &squares[j]);

	memset(l->eta, 0, sizeof(double) * n);
	if (k > 0)
		cblas_dgemv(CblasColMajor, CblasNoTrans, n, k, 1, l->z, n, l->beta, 1, 0, l->eta, 1);
	ml_logit_block(n, l->eta, y, weight, l->residual, l->root, &s->sums);
	s->any = true;
	if (k == 0)
		return;
	cblas_dgemv(CblasColMajor, CblasTrans, n, k, 1, l->z, n, l->residual, 1, 0, gradient, 1);
	if (l->closing)
		turn_of_rows(l, s, n, y);
	for (int j = 0; j < k; j++)
		ml_column_multiply(n, l->root, l->z + (Size) j * n);
	cblas_dsyrk(CblasColMajor, CblasUpper, CblasTrans, k, n, 1, l->z, n, 0, information, k);
}

static void
merge(void *fit, void *state, const void *other)
{
	Logistic   *l = fit;
	State	   *s = state;
	const State *o = other;
	Size		numbers = (Size) l->k * (l->k + 3);

	if (!o->any)
		return;
	s->sums.least_margin = s->any ? Min(s->sums.least_margin, o->sums.least_margin) : o->sums.least_margin;
	s->sums.log_likelihood += o->sums.log_likelihood;
	s->least_turn = Min(s->least_turn, o->least_turn);
	s->most_turn = Max(s->most_turn, o->most_turn);
	s->any = true;
	for (Size i = 0; i < numbers; i++)
		s->number[i] += o->number[i];
}

/* ---- the end of a pass ---- */

/*
 * The weight of each squared coefficient, in the units of Z. l2 counts whole
 * for all rows, so for a sample by its share of them.
 */
static void
set_penalty(Logistic *l, const State *s)
{
	const double *sum = s->number + l->k;
	const double *squares = sum + l->k;
	double		rows = l->sample > 0 ? l->sample : l->fit->rows->nrows;
	double		share = rows / l->fit->rows->nrows;
	double		weight = l->weight * share;

	for (int j = l->first; j < l->k; j++)
	{
		double		mean = sum[j] / weight;
		double		variance = squares[j] / weight - mean * mean;

		if (l->params->penalty.l2 == 0)
			variance = 0;
		else if (!l->fit->rows->scaled[j - l->first] || variance <= squares[j] / weight * 1e-13)
			variance = l->unit[j] * l->unit[j];	/* a constant counts in its own units */
		l->penalty[j] = l->params->penalty.l2 * share * variance;
		if (l->sample > 0)
			l->penalty[j] += 1;
	}
	if (l->first)
		l->penalty[0] = l->sample > 0 ? 1e-3 : 0;
}

static double
penalised_objective(const Logistic *l, const State *s)
{
	double		sum = -s->sums.log_likelihood;

	for (int j = 0; j < l->k; j++)
		sum += l->penalty[j] / 2 * l->beta[j] * l->beta[j];
	return sum;
}

static bool
is_kept(const Logistic *l, int column, int *next)
{
	if (*next >= l->nkept || l->kept[*next] != column)
		return false;
	(*next)++;
	return true;
}

/* without a penalty a dropped column has no coefficient, whatever a sample gave it */
static void
back_from_null(Logistic *l)
{
	for (int j = 0, next = 0; j < l->k; j++)
		l->beta[j] = is_kept(l, j, &next) ? l->accepted[j] : 0;
}

/*
 * At the first pass over all rows, without a penalty: which columns stand on
 * their own. Independent in whatever metric is independent; columns that are
 * not in that of a start from a sample are looked at again from the constant
 * model, where rows count by their own weights alone. False: the pass must be
 * made again.
 */
static bool
choose_columns(Logistic *l, const double *information)
{
	int			k = l->k;

	for (int j = 0; j < k; j++)
		l->kept[j] = j;
	l->nkept = k;
	if (l->sample > 0 || l->params->penalty.l2 > 0)
		return true;
	memcpy(l->u, information, (Size) k * k * sizeof(double));
	ml_logistic_floors(k, l->first > 0, l->centre, l->unit, information, l->work);
	l->nkept = ml_cholesky_rank(k, l->u, l->work, l->kept);
	l->chosen = l->nkept == k || l->from_null;
	if (l->chosen)
	{
		if (l->warm)
			back_from_null(l);
		return !l->warm;
	}
	memcpy(l->accepted, l->beta, sizeof(double) * k);
	start_from_null(l);
	l->warm = true;
	return false;
}

/* U of the information of the columns kept */
static MlNumStatus
factor_information(Logistic *l, double *information)
{
	int			k = l->k;
	int			n = l->nkept;

	for (int j = 0; j < k; j++)
		information[j + (Size) j * k] += l->penalty[j];
	for (int j = 0; j < n; j++)
		for (int i = 0; i <= j; i++)
			l->u[i + (Size) j * n] = information[l->kept[i] + (Size) l->kept[j] * k];
	return ml_cholesky(n, l->u);
}

/* the whole step from here, and what it promises of the deviance */
static void
newton_step(Logistic *l, const double *gradient)
{
	double		promise = 0;

	memset(l->step, 0, sizeof(double) * l->k);
	for (int i = 0; i < l->nkept; i++)
		l->work[i] = gradient[l->kept[i]] - l->penalty[l->kept[i]] * l->beta[l->kept[i]];
	ml_cholesky_solve(l->nkept, l->u, l->work);
	for (int i = 0; i < l->nkept; i++)
	{
		int			j = l->kept[i];

		l->step[j] = l->work[i];
		promise += l->work[i] * (gradient[j] - l->penalty[j] * l->beta[j]);
	}
	l->promise = promise;
	l->previous_change = l->relative_change;
	l->relative_change = fabs(promise) / (fabs(2 * l->log_likelihood) + 0.1);
}

static void
take_step(Logistic *l)
{
	double		part = ldexp(1, -l->halvings);

	for (int j = 0; j < l->k; j++)
		l->beta[j] = l->accepted[j] + part * l->step[j];
}

/* on to more rows, from here; the last prefix is less than a quarter of the rows */
static void
next_stage(Logistic *l)
{
	l->sample *= SAMPLE_GROWTH;
	if (l->sample * 4 > l->fit->rows->nrows)
		l->sample = 0;
	l->stage_begins = true;
	l->stage_passes = 0;
	l->objective = INFINITY;
	l->relative_change = INFINITY;
	l->halvings = 0;
}

/* a sample has told what it can, once a step changes less than chance would */
static bool
end_sample_pass(Logistic *l)
{
	take_step(l);
	if (l->promise < 0.5 * l->k || l->stage_passes >= SAMPLE_PASSES)
		next_stage(l);
	return false;
}

static bool
end_full_pass(Logistic *l, const State *s)
{
	bool		unpenalised = l->params->penalty.l2 == 0;
	double		turn = Max(s->most_turn, -s->least_turn);

	l->iterations++;
	if (unpenalised && s->sums.least_margin > 0)
		ml_logistic_refuse_separation(l, true);
	take_step(l);
	if (l->closing && unpenalised && turn > 0.1)
	{
		/* the deviance stands still, but rows still move to their side: Albert & Anderson 1984 */
		l->turning_passes++;
		if ((turn > 0.25 && s->least_turn > -0.01 * turn) || l->turning_passes >= TURNING_PASSES)
			ml_logistic_refuse_separation(l, false);
	}
	else if (l->closing && l->relative_change <= l->params->tolerance &&
			 (l->relative_change <= SETTLED ||
			  l->relative_change > STALLED * l->previous_change ||
			  ++l->closing_passes >= CLOSING_PASSES))
		return true;

	/* quadratic convergence, which separated rows do not show */
	if (l->relative_change <= SETTLED && l->relative_change <= STALLED * l->previous_change)
		return true;
	if (l->relative_change <= l->params->tolerance)
		l->closing = true;
	if (l->iterations >= l->params->max_iterations +
		(l->closing ? CLOSING_PASSES + TURNING_PASSES : 0))
		ml_logistic_refuse_divergence(l);
	return false;
}

/* the step led uphill: half of it, until none that rounding lets through leads down */
static bool
halve_step(Logistic *l)
{
	if (++l->halvings <= MAX_HALVINGS)
	{
		take_step(l);
		return false;
	}
	memcpy(l->beta, l->accepted, sizeof(double) * l->k);
	if (l->sample > 0)
	{
		next_stage(l);
		return false;
	}
	if (l->relative_change > l->params->tolerance)
		ml_logistic_refuse_divergence(l);
	return true;
}

static bool
end_pass(void *fit, void *state)
{
	Logistic   *l = fit;
	State	   *s = state;
	double	   *information = s->number + 3 * l->k;
	double		objective;

	l->passes++;
	l->stage_passes++;
	if (l->stage_begins)
		set_penalty(l, s);
	objective = penalised_objective(l, s);
	if (!isfinite(objective) && !isfinite(l->objective))
		ml_logistic_refuse_overflow(l);
	if (!(objective <= l->objective + 1e-12 * fabs(l->objective)))
		return halve_step(l);

	/* a start from a sample that is worse than the best constant */
	if (l->stage_begins && l->sample == 0 && !l->from_null &&
		s->sums.log_likelihood < l->null_log_likelihood)
	{
		start_from_null(l);
		return false;
	}
	if (l->stage_begins && !l->chosen && !choose_columns(l, information))
		return false;

	l->objective = objective;
	l->log_likelihood = s->sums.log_likelihood;
	l->halvings = 0;
	if (factor_information(l, information) != ML_NUM_OK)
	{
		if (l->sample > 0)
		{
			next_stage(l);
			return false;
		}
		ml_logistic_refuse_separation(l, false);
	}
	memcpy(l->accepted, l->beta, sizeof(double) * l->k);
	newton_step(l, s->number);
	l->stage_begins = false;
	return l->sample > 0 ? end_sample_pass(l) : end_full_pass(l, s);
}

static double
objective_value(void *fit)
{
	Logistic   *l = fit;

	return isfinite(l->objective) ? l->objective : NAN;
}

static int
expected_passes(void *fit)
{
	Logistic   *l = fit;

	return Max(4, l->iterations + 1);
}

static MlFitted *
finish(void *fit)
{
	return ml_logistic_report(fit);
}

const MlAlgorithm ml_logistic_regression = {
	.name = "logistic_regression",
	.summary = "probabilities of two or more classes by Newton's method, with standard errors and p-values; ridge, lasso and elastic net with l2 and l1",
	.tasks = ML_TASKS_BINARY | ML_TASKS_MULTICLASS,
	.gives_probability = true,
	.gives_inference = true,
	.penalised = penalised,
	.params = params,
	.params_size = sizeof(MlLogisticParams),
	.variant = variant,
	.start = start,
	.state_size = state_size,
	.consume = consume,
	.merge = merge,
	.end_pass = end_pass,
	.pass_rows = pass_rows,
	.needs_survey = true,
	.pass_size = ml_logistic_pass_size,
	.pass_save = ml_logistic_pass_save,
	.pass_load = ml_logistic_pass_load,
	.share_size = share_size,
	.share_out = share_out,
	.share_in = share_in,
	.finish = finish,
	.expected_passes = expected_passes,
	.objective = objective_value,
};
