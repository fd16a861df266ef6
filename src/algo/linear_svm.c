/*
 * linear_svm.c
 *		Linear support vector machines for two classes, with probabilities.
 *
 * Objective:  sum w max(0, 1 - s f)^2  +  l2/2 sum (d_j b_j)^2
 *
 * with f = b_0 + sum b_j x_j and s = 1 for the positive class, -1 for the
 * other; d_j is as in logistic regression, b_0 is free. l2 is 1 / C of others.
 *
 * The squared hinge has a second derivative but on the margin, so that Newton's
 * method over the rows within it solves the primal problem in a few steps
 * (Keerthi & DeCoste, A modified finite Newton method for fast solution of
 * large scale linear SVMs, JMLR 6, 2005; the objective is that of Lin, Weng &
 * Keerthi, Trust region Newton method for large-scale logistic regression,
 * JMLR 9, 2008). A step that makes the objective worse is halved.
 *
 * Probabilities are Platt's (num/platt.c): for each of several folds the
 * machine is fitted without it and scores it; the sigmoid is that of all these
 * scores. Slope and shift go into the coefficients, so that the result is a
 * linear predictor with a logit link: its eta is slope * f + shift.
 */
#include "postgres.h"

#include <math.h>

#include "algo/standard.h"
#include "errors.h"
#include "frame/hash.h"
#include "num/dense.h"
#include "num/logit.h"
#include "num/platt.h"

#include <cblas.h>

#define SAMPLE			16384	/* rows of the prefix that the fit starts on, if there are many more */
#define MAX_HALVINGS	40
#define SLACK			1e-13	/* of the objective: a rise that is rounding */
#define SETTLED			1e-20	/* of the objective: what the last step may still promise */
#define CLOSING_PASSES	5

typedef struct Params
{
	bool		intercept;
	double		l2;
	int64		folds;
	int64		max_iterations;
	double		tolerance;
} Params;

static const MlParam params[] = {
	{"intercept", ML_PARAM_BOOL, offsetof(Params, intercept), 1, 0, 1, NULL,
	"whether to fit a constant term"},
	{"l2", ML_PARAM_FLOAT, offsetof(Params, l2), 1, 1e-12, INFINITY, NULL,
	"penalty: l2 / 2 times the sum of squared coefficients, in standardised units, is added to the squared hinge losses (1 / C elsewhere)"},
	{"folds", ML_PARAM_INT, offsetof(Params, folds), 5, 2, 20, NULL,
	"parts that are left out in turn to learn the sigmoid of the probabilities"},
	{"max_iterations", ML_PARAM_INT, offsetof(Params, max_iterations), 100, 1, 10000, NULL,
	"Newton steps of a fit before it is given up"},
	{"tolerance", ML_PARAM_FLOAT, offsetof(Params, tolerance), 1e-8, 1e-15, 0.1, NULL,
	"relative change of the objective at which a fit has converged; steps follow that settle the coefficients"},
	{NULL}
};

typedef struct Svm
{
	const MlFit *fit;
	const Params *params;
	MlStandard	standard;
	uint64		hash;			/* of the seed: rows' folds */
	int			folds;

	/* one block */
	double	   *z;
	double	   *inside;			/* rows within the margin, root times z */
	double	   *eta;
	double	   *residual;
	double	   *root;
	int32	   *row;

	/* k each */
	double	   *beta;			/* where the next pass looks */
	double	   *accepted;		/* where step starts */
	double	   *step;
	double	   *penalty;
	double	   *work;
	double	   *u;				/* k x k */
	double	   *result;			/* k x (folds + 1): of all rows, then without each fold */

	/* where the fit is */
	bool		sampling;
	int			fold;			/* -1: all rows */
	bool		stage_begins;
	int			passes;
	int			iterations;		/* of this fit */
	int			all_iterations; /* on all rows */
	int			halvings;
	int			closing_passes;
	double		objective;
	double		promise;
	double		relative_change;

	/* of the fit on all rows */
	double		weight;
	double		final_objective;
	double		support;		/* weight within the margin */
	double		wrong;			/* weight on the wrong side */
	double		margin;			/* sum of w s f */
	double		slope;
	double		shift;
} Svm;

typedef struct State
{
	double		loss;
	double		weight;
	double		support;
	double		wrong;
	double		margin;
	double		number[FLEXIBLE_ARRAY_MEMBER];	/* gradient, sums, squares: k each; information: k x k */
} State;

/* always: the intercept alone is free */
static bool
penalised(const void *p)
{
	return true;
}

static inline int
fold_of(const Svm *m, int64 row)
{
	return (int) (ml_hash_word(m->hash, (uint64) row) % m->folds);
}

/* ---- start ---- */

static void
require_both_classes(const MlFit *fit)
{
	int64		positive = 0;

	for (int64 i = 0; i < fit->rows->nrows; i++)
		positive += fit->rows->y[i] != 0;
	if (positive == 0 || positive == fit->rows->nrows)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("the target has only one class in the training rows"),
				 errdetail("\"%s\" needs rows of both classes; all " INT64_FORMAT " rows are of one.",
						   "linear_svm", fit->rows->nrows),
				 errhint("Train on rows of both classes.")));
}

static void
begin_fit(Svm *m)
{
	m->stage_begins = true;
	m->objective = INFINITY;
	m->relative_change = INFINITY;
	m->iterations = m->halvings = m->closing_passes = 0;
}

static void *
start(const MlFit *fit)
{
	const Params *p = fit->params;
	const char *what = "a support vector machine";
	Svm		   *m = ml_fit_alloc(fit, 1, sizeof(Svm), what);
	Size		k;

	m->fit = fit;
	m->params = p;
	m->hash = ml_hash_word(ml_hash_word(0, (uint64) fit->seed), 0x73766d);	/* "svm" */
	m->folds = (int) p->folds;
	ml_require_rows(fit, "linear_svm", 2);
	require_both_classes(fit);
	ml_standard_make(fit, p->intercept, what, &m->standard);
	k = m->standard.k;
	m->z = ml_fit_alloc(fit, Max(k, 1) * ML_BLOCK_ROWS, sizeof(double), what);
	m->inside = ml_fit_alloc(fit, Max(k, 1) * ML_BLOCK_ROWS, sizeof(double), what);
	m->eta = ml_fit_alloc(fit, (Size) ML_BLOCK_ROWS * m->folds, sizeof(double), what);
	m->residual = ml_fit_alloc(fit, ML_BLOCK_ROWS, sizeof(double), what);
	m->root = ml_fit_alloc(fit, ML_BLOCK_ROWS, sizeof(double), what);
	m->row = ml_fit_alloc(fit, ML_BLOCK_ROWS, sizeof(int32), what);
	m->beta = ml_fit_alloc(fit, k, sizeof(double), what);
	m->accepted = ml_fit_alloc(fit, k, sizeof(double), what);
	m->step = ml_fit_alloc(fit, k, sizeof(double), what);
	m->penalty = ml_fit_alloc(fit, k, sizeof(double), what);
	m->work = ml_fit_alloc(fit, k, sizeof(double), what);
	m->u = ml_fit_alloc(fit, k * k, sizeof(double), what);
	m->result = ml_fit_alloc(fit, k * (m->folds + 1), sizeof(double), what);
	m->fold = -1;
	m->sampling = fit->rows->nrows > 4 * SAMPLE;
	begin_fit(m);
	return m;
}

/* ---- the rows ---- */

static Size
state_size(void *fit)
{
	Size		k = ((Svm *) fit)->standard.k;

	return offsetof(State, number) + k * (k + 3) * sizeof(double);
}

static int64
pass_rows(void *fit, int pass, int64 nrows)
{
	return ((Svm *) fit)->sampling ? SAMPLE : nrows;
}

/* ---- for other processes: what consume reads ---- */

typedef struct Share
{
	int			p;
	int			first;
	int			k;
	int			fold;
	int			folds;
	bool		stage_begins;
	uint64		hash;
	double		number[FLEXIBLE_ARRAY_MEMBER];	/* centre, unit, beta: k each */
} Share;

static Size
share_size(void *fit)
{
	return offsetof(Share, number) + 3 * sizeof(double) * ((Svm *) fit)->standard.k;
}

static bool
share_out(void *fit, void *shared)
{
	const Svm  *m = fit;
	const MlStandard *standard = &m->standard;
	Share	   *s = shared;
	Size		bytes = sizeof(double) * standard->k;

	s->p = standard->p;
	s->first = standard->first;
	s->k = standard->k;
	s->fold = m->fold;
	s->folds = m->folds;
	s->stage_begins = m->stage_begins;
	s->hash = m->hash;
	memcpy(s->number, standard->centre, bytes);
	memcpy(s->number + s->k, standard->unit, bytes);
	memcpy(s->number + 2 * s->k, m->beta, bytes);
	return true;
}

static Svm *
make_helper(const Share *s)
{
	Svm		   *m = palloc0(sizeof(Svm));
	Size		block = sizeof(double) * Max(s->k, 1) * ML_BLOCK_ROWS;

	m->folds = s->folds;
	m->hash = s->hash;
	m->standard.p = s->p;
	m->standard.first = s->first;
	m->standard.k = s->k;
	m->z = ml_aligned_alloc(block);
	m->inside = ml_aligned_alloc(block);
	m->eta = ml_aligned_alloc(sizeof(double) * ML_BLOCK_ROWS);
	m->residual = ml_aligned_alloc(sizeof(double) * ML_BLOCK_ROWS);
	m->root = ml_aligned_alloc(sizeof(double) * ML_BLOCK_ROWS);
	m->row = palloc(sizeof(int32) * ML_BLOCK_ROWS);
	return m;
}

static void *
share_in(void *fit, const MlDesignMatrix *rows, const void *shared)
{
	const Share *s = shared;
	Svm		   *m = fit != NULL ? fit : make_helper(s);

	m->fold = s->fold;
	m->stage_begins = s->stage_begins;
	m->standard.centre = unconstify(double *, &s->number[0]);
	m->standard.unit = m->standard.centre + s->k;
	m->beta = m->standard.unit + s->k;
	return m;
}

/* the rows within the margin: their numbers, residuals, and roots of the weights; returns how many */
static int
look_inside(Svm *m, State *s, int n, const double *y, const double *weight, int64 first)
{
	int			ninside = 0;

	for (int i = 0; i < n; i++)
	{
		double		w = weight ? weight[i] : 1;
		double		sign = y[i] != 0 ? 1 : -1;
		double		slack = 1 - sign * m->eta[i];

		if (m->fold >= 0 && fold_of(m, first + i) == m->fold)
			continue;
		s->weight += w;
		s->margin += w * (1 - slack);
		if (slack >= 1)
			s->wrong += w;
		if (!(slack > 0))
			continue;
		s->support += w;
		s->loss += w * slack * slack;
		m->row[ninside] = i;
		m->root[ninside] = sqrt(2 * w);
		m->residual[ninside++] = sqrt(2 * w) * sign * slack;
	}
	return ninside;
}

static void
consume(void *fit, void *state, int n, const double *x, const double *y,
		const double *weight, int64 first)
{
	Svm		   *m = fit;
	State	   *s = state;
	int			k = m->standard.k;
	double	   *gradient = s->number;
	double	   *sum = gradient + k;
	double	   *squares = sum + k;
	double	   *information = squares + k;
	int			ninside;

	ml_standard_block(&m->standard, n, x, m->z);
	if (m->stage_begins && m->fold < 0)
		ml_standard_moments(&m->standard, n, m->z, weight, sum, squares);
	memset(m->eta, 0, sizeof(double) * n);
	if (k > 0)
		cblas_dgemv(CblasColMajor, CblasNoTrans, n, k, 1, m->z, n, m->beta, 1, 0, m->eta, 1);
	ninside = look_inside(m, s, n, y, weight, first);
	if (k == 0 || ninside == 0)
		return;
	for (int j = 0; j < k; j++)
	{
		const double *from = m->z + (Size) j * n;
		double	   *to = m->inside + (Size) j * ninside;

		for (int i = 0; i < ninside; i++)
			to[i] = from[m->row[i]] * m->root[i];
	}
	cblas_dgemv(CblasColMajor, CblasTrans, ninside, k, 1, m->inside, ninside, m->residual, 1, 0, gradient, 1);
	cblas_dsyrk(CblasColMajor, CblasUpper, CblasTrans, k, ninside, 1, m->inside, ninside, 0, information, k);
}

static void
merge(void *fit, void *state, const void *other)
{
	State	   *s = state;
	const State *o = other;
	Size		k = ((Svm *) fit)->standard.k;

	s->loss += o->loss;
	s->weight += o->weight;
	s->support += o->support;
	s->wrong += o->wrong;
	s->margin += o->margin;
	for (Size i = 0; i < k * (k + 3); i++)
		s->number[i] += o->number[i];
}

/* ---- the end of a pass ---- */

/* from beta; what it promises of the objective */
static void
newton_step(Svm *m, const State *s)
{
	int			k = m->standard.k;
	const double *gradient = s->number;

	memcpy(m->u, gradient + 3 * (Size) k, sizeof(double) * k * k);
	for (int j = 0; j < k; j++)
	{
		double	   *diagonal = &m->u[j + (Size) j * k];

		*diagonal += m->penalty[j];
		if (*diagonal <= 0)
			*diagonal = 1;		/* the intercept, with no row inside: it has no gradient either */
		m->step[j] = gradient[j] - m->penalty[j] * m->beta[j];
	}
	memcpy(m->work, m->step, sizeof(double) * k);
	if (ml_cholesky(k, m->u) != ML_NUM_OK)
		ereport(ERROR,
				(errcode(ERRCODE_ML_NO_CONVERGENCE),
				 errmsg("\"%s\" cannot tell its columns apart", "linear_svm"),
				 errdetail("The second derivative is singular with \"l2\" = %g.", m->params->l2),
				 errhint("Raise \"l2\", or exclude columns that others determine.")));
	ml_cholesky_solve(k, m->u, m->step);
	m->promise = 0;
	for (int j = 0; j < k; j++)
		m->promise += m->step[j] * m->work[j];
}

static void
try_step(Svm *m)
{
	double		share = ldexp(1, -m->halvings);

	for (int j = 0; j < m->standard.k; j++)
		m->beta[j] = m->accepted[j] + share * m->step[j];
}

static void
refuse_divergence(const Svm *m)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_NO_CONVERGENCE),
			 errmsg("\"%s\" did not converge with \"max_iterations\" = " INT64_FORMAT,
					"linear_svm", m->params->max_iterations),
			 errdetail("The objective is %.4g and would still change by %.2g of it; the tolerance is %g.",
					   m->objective, m->relative_change, m->params->tolerance),
			 errhint("Raise \"max_iterations\" or \"l2\".")));
}

/* true: this fit has ended, at beta */
static bool
advance(Svm *m, const State *s)
{
	double		objective = s->loss;

	for (int j = 0; j < m->standard.k; j++)
		objective += m->penalty[j] / 2 * m->beta[j] * m->beta[j];
	if (!isfinite(objective) && m->stage_begins)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("feature values are too large to fit"),
				 errdetail("The objective at the start is not a finite number."),
				 errhint("Train on the values in larger units, for example divided by 1e150.")));
	if (!(objective <= m->objective + SLACK * fabs(m->objective)))
	{
		m->halvings++;
		try_step(m);
		if (m->halvings <= MAX_HALVINGS)
			return false;
		memcpy(m->beta, m->accepted, sizeof(double) * m->standard.k);
		if (m->promise > m->params->tolerance * m->objective)
			refuse_divergence(m);
		return true;
	}
	m->relative_change = isfinite(m->objective) ? fabs(m->objective - objective) / Max(objective, 1e-300) : INFINITY;
	m->objective = objective;
	m->halvings = 0;
	memcpy(m->accepted, m->beta, sizeof(double) * m->standard.k);
	newton_step(m, s);
	try_step(m);
	if (!(m->promise > SETTLED * objective) ||
		(m->relative_change <= m->params->tolerance && ++m->closing_passes > CLOSING_PASSES))
		return true;
	if (m->iterations++ >= m->params->max_iterations)
		refuse_divergence(m);
	return false;
}

/* ---- probabilities ---- */

static void
look_for_interrupts(void *arg)
{
	Svm		   *m = arg;

	if (m->fit->progress)
		m->fit->progress(m->fit->progress_arg, m->fit->rows->nrows, m->fit->rows->nrows, m->objective);
}

/* the score of every row by the machine that was fitted without its fold */
static void
score_folds(Svm *m, double *score)
{
	const MlDesignMatrix *rows = m->fit->rows;
	int			k = m->standard.k;
	double	   *x = ml_fit_alloc(m->fit, (Size) m->standard.p * ML_BLOCK_ROWS, sizeof(double), "scores");

	for (int64 first = 0; first < rows->nrows && k > 0; first += ML_BLOCK_ROWS)
	{
		int			n = (int) Min(ML_BLOCK_ROWS, rows->nrows - first);

		look_for_interrupts(m);
		if (m->standard.p > 0)
			rows->read(rows->arg, first, n, x);
		ml_standard_block(&m->standard, n, x, m->z);
		cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, n, m->folds, k, 1, m->z, n,
					m->result + k, k, 0, m->eta, n);
		for (int i = 0; i < n; i++)
			score[first + i] = m->eta[(Size) fold_of(m, first + i) * n + i];
	}
}

static void
calibrate(Svm *m)
{
	const MlDesignMatrix *rows = m->fit->rows;
	double	   *score = ml_fit_alloc(m->fit, rows->nrows, sizeof(double), "scores");
	MlPlattRows platt = {rows->nrows, score, rows->y, rows->weight, look_for_interrupts, m};

	score_folds(m, score);
	if (ml_platt_fit(&platt, &m->slope, &m->shift) != ML_NUM_OK)
		ereport(ERROR,
				(errcode(ERRCODE_ML_NO_CONVERGENCE),
				 errmsg("\"%s\" found no probabilities for its scores", "linear_svm"),
				 errdetail("The sigmoid over the scores of %d held-out folds did not converge.", m->folds),
				 errhint("Raise \"l2\", or bring features to a usual size.")));
}

static void
keep_final(Svm *m, const State *s)
{
	m->weight = s->weight;
	m->support = s->support;
	m->wrong = s->wrong;
	m->margin = s->margin;
	m->final_objective = m->objective;
	m->all_iterations = m->iterations;
}

static bool
end_pass(void *fit, void *state)
{
	Svm		   *m = fit;
	const State *s = state;
	int			k = m->standard.k;
	const double *sum = s->number + k;

	m->passes++;
	if (m->stage_begins && m->fold < 0)
		ml_standard_penalty(&m->standard, m->params->l2 * (m->sampling ? (double) SAMPLE / m->fit->rows->nrows : 1),
							s->weight, sum, sum + k, m->penalty);
	if (!advance(m, s))
	{
		m->stage_begins = false;
		return false;
	}
	if (m->sampling)
		m->sampling = false;
	else
	{
		if (m->fold < 0)
			keep_final(m, s);
		memcpy(m->result + (Size) (m->fold + 1) * k, m->beta, sizeof(double) * k);
		memcpy(m->beta, m->result, sizeof(double) * k);
		m->fold++;
	}
	begin_fit(m);
	if (m->fold < m->folds)
		return false;
	calibrate(m);
	return true;
}

static double
objective_value(void *fit)
{
	Svm		   *m = fit;

	return isfinite(m->objective) ? m->objective : NAN;
}

static int
expected_passes(void *fit)
{
	Svm		   *m = fit;

	return Max(m->passes + 1, 8 + 3 * m->folds);
}

/* ---- the result ---- */

/* the decision function itself, intercept first, in original units */
static void
add_decision(const Svm *m, MlFitted *fitted)
{
	MlFitted   *raw = ml_fitted_linear(ML_LINK_IDENTITY, 1, m->standard.p);
	double	   *value = palloc(sizeof(double) * (m->standard.p + 1));

	ml_standard_estimates(&m->standard, m->result, ml_linear(raw));
	value[0] = ml_linear(raw)->intercept[0].estimate;
	for (int j = 0; j < m->standard.p; j++)
		value[1 + j] = ml_linear(raw)->coefficient[j].estimate;
	ml_fitted_series(fitted, "decision_coefficients", m->standard.p + 1, value);
}

static MlFitted *
finish(void *fit)
{
	Svm		   *m = fit;
	MlFitted   *fitted = ml_fitted_linear(ML_LINK_LOGIT, 1, m->standard.p);
	MlLinear   *linear = ml_linear(fitted);

	for (int j = 0; j < m->standard.k; j++)
		m->beta[j] = m->slope * m->result[j];
	if (m->standard.first)
		m->beta[0] += m->shift;
	ml_standard_estimates(&m->standard, m->beta, linear);
	if (!m->standard.first)
		linear->intercept[0].estimate = m->shift;
	linear->has_intercept = true;
	fitted->passes = m->passes;
	ml_fitted_fact(fitted, "objective", m->final_objective);
	ml_fitted_fact(fitted, "iterations", m->all_iterations);
	ml_fitted_fact(fitted, "support_share", m->support / m->weight);
	ml_fitted_fact(fitted, "error_share", m->wrong / m->weight);
	ml_fitted_fact(fitted, "mean_margin", m->margin / m->weight);
	ml_fitted_fact(fitted, "slope", m->slope);
	ml_fitted_fact(fitted, "shift", m->shift);
	add_decision(m, fitted);
	if (m->slope <= 0)
		ml_fitted_note(fitted, "the scores of held-out rows do not rank the classes: probabilities are nearly constant");
	return fitted;
}

const MlAlgorithm ml_linear_svm = {
	.name = "linear_svm",
	.summary = "linear support vector machine (squared hinge) for two classes, with Platt's probabilities from held-out folds",
	.tasks = ML_TASKS_BINARY,
	.gives_probability = true,
	.penalised = penalised,
	.params = params,
	.params_size = sizeof(Params),
	.start = start,
	.state_size = state_size,
	.consume = consume,
	.merge = merge,
	.end_pass = end_pass,
	.pass_rows = pass_rows,
	.share_size = share_size,
	.share_out = share_out,
	.share_in = share_in,
	.finish = finish,
	.expected_passes = expected_passes,
	.objective = objective_value,
};
