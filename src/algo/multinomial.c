/*
 * multinomial.c
 *		Logistic regression for several classes, and with penalties that leave
 *		columns out also for two.
 *
 * Objective:  - sum w log p_y  +  l1 sum |d_j b_cj|  +  l2/2 sum (d_j b_cj)^2
 *
 * with p_c = exp(eta_c) / sum exp(eta), eta_c = b_c0 + sum b_cj x_j; d_j is the
 * standard deviation (divisor: the sum of weights) of a measured column and 1
 * for a 0/1 column; the b_c0 are free. With a penalty every class has
 * coefficients, which the penalty makes unique (and intercepts of sum 0), as in
 * scikit-learn and glmnet. Without one the first class is the reference, whose
 * coefficients are 0, as in R's nnet::multinom: they are identified, and have
 * standard errors. Two classes have one row of coefficients, as
 * logistic_regression.c has them.
 *
 * Newton's method with step halving over the pairs of classes
 * (multinomial_step.c; McCullagh & Nelder, Generalized Linear Models, 2nd ed.,
 * section 5.2). The first pass finds second moments and the constant model, a
 * few passes over samples follow, then those over all rows, as in
 * logistic_regression.c. A path of penalties has its passes over all rows, each
 * penalty starting at the solution of the one before; the rows that it holds
 * out are the last, since rows are in random order. What the rows held out, or
 * the information criterion, find best is then fitted on all rows.
 */
#include "postgres.h"

#include <math.h>

#include "algo/multinomial.h"
#include "errors.h"
#include "miscadmin.h"
#include "num/dense.h"
#include "num/logit.h"

#include <cblas.h>

#define FIRST_SAMPLE	16384	/* rows of the first prefix; the next has 8 times as many */
#define SAMPLE_GROWTH	8
#define SAMPLE_PASSES	12
#define MAX_HALVINGS	40
#define PATH_PASSES		50		/* for one penalty of a path */

/* as in logistic_regression.c */
#define SETTLED			1e-20
#define STALLED			0.01
#define CLOSING_PASSES	3
#define TURNING_PASSES	10
#define OPTIMAL			1e-6	/* violation of the optimality conditions that passes */

static const MlParam params[] = {
	{NULL}
};

/* ---- the rows ---- */

static Size
numbers(const Multinomial *m)
{
	return (Size) m->nclasses * m->k + (Size) m->npairs * m->k * m->k;
}

static Size
state_size(void *fit)
{
	return offsetof(MlMultinomialState, number) + numbers(fit) * sizeof(double);
}

static int64
pass_rows(void *fit, int pass, int64 nrows)
{
	Multinomial *m = fit;

	return m->sample > 0 ? m->sample : nrows;
}

/* rows elsewhere may not be those of the survey */
static void
refuse_class(int label)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a pass of \"logistic_regression\" has rows of class %d, of which the first one had none", label),
			 errhint("Run all passes on one snapshot: BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ.")));
}

/* rows [from, to) of a block into z, y and weight; returns their number rounded up, which the columns have */
static int
take_rows(Multinomial *m, int n, const double *x, const double *y, const double *weight, int from, int to)
{
	int			rows = to - from;
	int			padded = (rows + ML_SOFTMAX_ROWS - 1) / ML_SOFTMAX_ROWS * ML_SOFTMAX_ROWS;

	for (int i = 0; m->first && i < rows; i++)
		m->z[i] = 1;
	for (int j = m->first; j < m->k; j++)
		ml_column_standardise(rows, x + (Size) (j - m->first) * n + from, m->centre[j], m->unit[j],
							  m->z + (Size) j * padded);
	for (int j = 0; j < m->k; j++)
		for (int i = rows; i < padded; i++)
			m->z[i + (Size) j * padded] = 0;
	for (int i = 0; i < padded; i++)
	{
		m->y[i] = i < rows ? m->place[(int) y[from + i]] : 0;
		if (m->y[i] < 0)
			refuse_class((int) y[from + i]);
		m->weight[i] = i >= rows ? 0 : weight ? weight[from + i] : 1;
		m->root_weight[i] = sqrt(m->weight[i]);
	}
	return padded;
}

/* second moments, and the sums of columns by class */
static void
add_moments(Multinomial *m, MlMultinomialState *s, int n)
{
	int			k = m->k;

	for (int c = 0; c < m->nclasses; c++)
	{
		for (int i = 0; i < n; i++)
			m->row[i] = m->y[i] == c ? m->weight[i] : 0;
		cblas_dgemv(CblasColMajor, CblasTrans, n, k, 1, m->z, n, m->row, 1, 0, s->number + (Size) c * k, 1);
	}
	for (int j = 0; j < k; j++)
		ml_column_multiply(n, m->root_weight, m->z + (Size) j * n);
	cblas_dsyrk(CblasColMajor, CblasUpper, CblasTrans, k, n, 1, m->z, n, 0,
				s->number + (Size) m->nclasses * k, k);
}

static void
compute_eta(Multinomial *m, const double *coefficient, int n)
{
	memset(m->eta, 0, sizeof(double) * n * m->nclasses);
	if (m->k > 0)
		cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, n, m->nfree, m->k, 1, m->z, n,
					coefficient, m->k, 0, m->eta + (Size) m->base * n, n);
}

/* how far the last step turned rows to their own side of another class (> 0) or away from it */
static void
turn_of_rows(Multinomial *m, MlMultinomialState *s, int n)
{
	compute_eta(m, m->step, n);
	for (int i = 0; i < n; i++)
		for (int c = 0; m->weight[i] > 0 && c < m->nclasses; c++)
		{
			double		turn = m->eta[i + (Size) m->y[i] * n] - m->eta[i + (Size) c * n];

			s->least_turn = Min(s->least_turn, turn);
			s->most_turn = Max(s->most_turn, turn);
		}
}

static void
add_information(Multinomial *m, MlMultinomialState *s, int n)
{
	int			k = m->k;
	double	   *pairs = s->number + (Size) m->nclasses * k;

	cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, k, m->nclasses, n, 1, m->z, n,
				m->residual, n, 0, s->number, k);
	for (int c = 0; c < m->nclasses; c++)
		for (int d = c + 1; d < m->nclasses; d++)
		{
			CHECK_FOR_INTERRUPTS();
			ml_column_product(n, m->root_weight, m->root + (Size) c * n, m->root + (Size) d * n, m->row);
			for (int j = 0; j < k; j++)
			{
				memcpy(m->scaled + (Size) j * n, m->z + (Size) j * n, n * sizeof(double));
				ml_column_multiply(n, m->row, m->scaled + (Size) j * n);
			}
			cblas_dsyrk(CblasColMajor, CblasUpper, CblasTrans, k, n, 1, m->scaled, n, 0,
						pairs + ML_PAIR(m, c, d) * k * k, k);
		}
}

static void
consume(void *fit, void *state, int n, const double *x, const double *y,
		const double *weight, int64 first)
{
	Multinomial *m = fit;
	MlMultinomialState *s = state;
	MlSoftmaxSums sums;
	int			fitted = n;
	int			rows;

	if (m->stage == ML_STAGE_PATH)
		fitted = (int) Max(Min(m->fitted_rows - first, n), 0);
	if (fitted > 0)
	{
		rows = take_rows(m, n, x, y, weight, 0, fitted);
		if (m->stage == ML_STAGE_MOMENTS)
		{
			if (m->k > 0)
				add_moments(m, s, rows);
			return;
		}
		compute_eta(m, m->beta, rows);
		ml_softmax_block(rows, m->nclasses, m->eta, m->y, m->weight, m->residual, m->root, m->row, &sums);
		s->log_likelihood = sums.log_likelihood;
		s->least_margin = sums.least_margin;
		s->any = true;
		if (m->closing)
			turn_of_rows(m, s, rows);
		if (m->k > 0)
			add_information(m, s, rows);
	}
	if (fitted < n)
	{
		rows = take_rows(m, n, x, y, weight, fitted, n);
		compute_eta(m, m->beta, rows);
		ml_softmax_block(rows, m->nclasses, m->eta, m->y, m->weight, m->residual, m->root, m->row, &sums);
		s->held_log_likelihood = sums.log_likelihood;
	}
}

static void
merge(void *fit, void *state, const void *other)
{
	MlMultinomialState *s = state;
	const MlMultinomialState *o = other;
	Size		n = numbers(fit);

	if (o->any)
		s->least_margin = s->any ? Min(s->least_margin, o->least_margin) : o->least_margin;
	s->any |= o->any;
	s->log_likelihood += o->log_likelihood;
	s->held_log_likelihood += o->held_log_likelihood;
	s->least_turn = Min(s->least_turn, o->least_turn);
	s->most_turn = Max(s->most_turn, o->most_turn);
	for (Size i = 0; i < n; i++)
		s->number[i] += o->number[i];
}

/* ---- the end of a pass ---- */

/* from here on with these penalties; the last prefix is less than a quarter of the rows */
static void
begin_stage(Multinomial *m, MlMultinomialStage stage)
{
	m->stage = stage;
	if (stage == ML_STAGE_SAMPLE)
	{
		m->sample = m->sample == 0 ? FIRST_SAMPLE : m->sample * SAMPLE_GROWTH;
		if (m->sample * 4 > m->fit->rows->nrows || m->fit->rows->survey)
			m->stage = ML_STAGE_ALL;
	}
	if (m->stage != ML_STAGE_SAMPLE)
		m->sample = 0;
	if (m->stage == ML_STAGE_PATH)
	{
		m->now_l1 = ml_path_l1(&m->path, m->lambda);
		m->now_l2 = ml_path_l2(&m->path, m->lambda);
	}
	ml_multinomial_penalise(m);
	m->begins = true;
	m->stage_passes = 0;
	m->objective = INFINITY;
	m->relative_change = INFINITY;
	m->halvings = 0;
	m->closing = false;
	m->closing_passes = 0;
}

/* the best constants, and what a column could do for each class */
static void
constant_model(Multinomial *m, const MlMultinomialState *s)
{
	const double *sums = s->number;
	double		mean = 0;

	for (int c = 0; c < m->nclasses; c++)
	{
		double		share = m->first ? m->class_weight[c] / m->weight_sum : 1.0 / m->nclasses;

		m->null_log_likelihood += m->class_weight[c] * log(share);
		mean += m->base ? 0 : log(share) / m->nclasses;
		if (c >= m->base && m->first)
			m->null[(Size) (c - m->base) * m->k] = log(share) - (m->base ? log(m->class_weight[0] / m->weight_sum) : 0);
		for (int j = m->first; c >= m->base && j < m->k; j++)
		{
			double		gradient = sums[j + (Size) c * m->k];

			for (int d = 0; d < m->nclasses; d++)
				gradient -= share * sums[j + (Size) d * m->k];
			if (m->deviation[j] > 0)
				m->largest = Max(m->largest, fabs(gradient) / m->deviation[j]);
		}
	}
	for (int c = 0; m->first && c < m->nfree; c++)
		m->null[(Size) c * m->k] -= mean;
	memcpy(m->beta, m->null, m->n * sizeof(double));
}

/* what columns vary by, and which stand on their own */
static void
end_moments(Multinomial *m, MlMultinomialState *s)
{
	const double *moments = s->number + (Size) m->nclasses * m->k;
	int			k = m->k;

	for (int j = m->first; j < k; j++)
	{
		double		square = moments[j + (Size) j * k] / m->weight_sum;
		double		mean = 0;
		double		variance;

		for (int c = 0; c < m->nclasses; c++)
			mean += s->number[j + (Size) c * k] / m->weight_sum;
		variance = square - mean * mean;
		if (!m->fit->rows->scaled[j - m->first] || variance <= square * 1e-13)
			variance = m->unit[j] * m->unit[j]; /* a constant counts in its own units */
		m->deviation[j] = sqrt(variance);
	}
	for (int j = 0; j < k; j++)
		m->kept[j] = j;
	m->nkept = k;
	if (m->unpenalised && k > 0)
	{
		memcpy(m->information, moments, (Size) k * k * sizeof(double));
		ml_logistic_floors(k, m->first > 0, m->centre, m->unit, m->information, m->work);
		m->nkept = ml_cholesky_rank(k, m->information, m->work, m->kept);
	}
	constant_model(m, s);
	if (m->path.n == 0)
		begin_stage(m, ML_STAGE_SAMPLE);
	else
	{
		ml_path_begin(&m->path, m->largest);
		begin_stage(m, ML_STAGE_PATH);
	}
}

static void
take_step(Multinomial *m)
{
	double		part = ldexp(1, -m->halvings);

	for (int i = 0; i < m->n; i++)
		m->beta[i] = m->accepted[i] + part * m->step[i];
}

/* a sample has told what it can, once a step changes less than chance would */
static bool
end_sample_pass(Multinomial *m)
{
	take_step(m);
	if (m->promise < 0.5 * m->n || m->stage_passes >= SAMPLE_PASSES)
		begin_stage(m, ML_STAGE_SAMPLE);
	return false;
}

static double
path_criterion(Multinomial *m)
{
	double		held = m->weight_sum - m->part_weight;

	if (m->params->penalty.path == ML_PATH_HOLDOUT)
		return -m->held_log_likelihood / held;
	return ml_path_information(&m->path, -2 * m->log_likelihood, ml_multinomial_df(m), m->fit->rows->nrows);
}

/* the next penalty, once this one's step changes too little to matter */
static bool
end_path_pass(Multinomial *m)
{
	bool		more;

	take_step(m);
	if (m->relative_change > m->params->tolerance && m->stage_passes < PATH_PASSES)
		return false;
	more = ml_path_add(&m->path, path_criterion(m), ml_multinomial_nonzero(m));
	if (m->path.best == m->lambda)
		memcpy(m->chosen, m->beta, m->n * sizeof(double));
	m->lambda++;
	if (more)
	{
		begin_stage(m, ML_STAGE_PATH);
		return false;
	}
	m->now_l1 = ml_path_l1(&m->path, m->path.best);
	m->now_l2 = ml_path_l2(&m->path, m->path.best);
	memcpy(m->beta, m->chosen, m->n * sizeof(double));
	begin_stage(m, ML_STAGE_ALL);
	return false;
}

/* the deviance stands still, but rows still move to their side: Albert & Anderson 1984 */
static bool
still_turning(Multinomial *m, const MlMultinomialState *s)
{
	double		turn = Max(s->most_turn, -s->least_turn);

	if (!m->closing || !m->unpenalised || turn <= 0.1)
		return false;
	m->turning_passes++;
	if ((turn > 0.25 && s->least_turn > -0.01 * turn) || m->turning_passes >= TURNING_PASSES)
		ml_multinomial_refuse_separation(m, false);
	return true;
}

static bool
end_full_pass(Multinomial *m, const MlMultinomialState *s)
{
	bool		turning;

	m->iterations++;
	if (m->unpenalised && s->least_margin > 0)
		ml_multinomial_refuse_separation(m, true);
	take_step(m);
	turning = still_turning(m, s);
	if (m->relative_change <= SETTLED ||
		(m->closing && m->relative_change <= m->params->tolerance &&
		 (m->relative_change > STALLED * m->previous_change || ++m->closing_passes >= CLOSING_PASSES)))
	{
		/* quadratic convergence, which separated rows do not show */
		if (!turning && (m->closing || m->relative_change <= STALLED * m->previous_change) &&
			(m->unpenalised || ml_multinomial_violation(m, s) <= OPTIMAL))
			return true;
	}
	if (m->relative_change <= m->params->tolerance)
		m->closing = true;
	if (m->iterations >= m->params->max_iterations +
		(m->closing ? CLOSING_PASSES + TURNING_PASSES : 0))
		ml_multinomial_refuse_divergence(m);
	return false;
}

/* the step led uphill: half of it, until none that rounding lets through leads down */
static bool
halve_step(Multinomial *m)
{
	if (++m->halvings <= MAX_HALVINGS)
	{
		take_step(m);
		return false;
	}
	memcpy(m->beta, m->accepted, sizeof(double) * m->n);
	memset(m->step, 0, sizeof(double) * m->n);
	if (m->stage == ML_STAGE_SAMPLE)
	{
		begin_stage(m, ML_STAGE_SAMPLE);
		return false;
	}
	if (m->relative_change > m->params->tolerance)
		ml_multinomial_refuse_divergence(m);
	if (m->stage == ML_STAGE_PATH)
	{
		m->halvings = 0;
		return end_path_pass(m);
	}
	return true;
}

static bool
end_pass(void *fit, void *state)
{
	Multinomial *m = fit;
	MlMultinomialState *s = state;
	double		objective;

	m->passes++;
	m->stage_passes++;
	if (m->stage == ML_STAGE_MOMENTS)
	{
		end_moments(m, s);
		return false;
	}
	objective = ml_multinomial_objective(m, s->log_likelihood);
	if (!isfinite(objective) && !isfinite(m->objective))
		ml_multinomial_refuse_overflow();
	if (!(objective <= m->objective + 1e-12 * fabs(m->objective)))
		return halve_step(m);

	/* a start from a sample that is worse than the best constants */
	if (m->begins && m->stage == ML_STAGE_ALL && m->path.n == 0 &&
		s->log_likelihood < m->null_log_likelihood && memcmp(m->beta, m->null, m->n * sizeof(double)) != 0)
	{
		memcpy(m->beta, m->null, m->n * sizeof(double));
		return false;
	}
	m->objective = objective;
	m->log_likelihood = s->log_likelihood;
	m->held_log_likelihood = s->held_log_likelihood;
	m->halvings = 0;
	memcpy(m->accepted, m->beta, sizeof(double) * m->n);
	if (!ml_multinomial_step(m, s))
	{
		if (m->stage != ML_STAGE_SAMPLE)
			ml_multinomial_refuse_separation(m, false);
		begin_stage(m, ML_STAGE_SAMPLE);
		return false;
	}
	m->begins = false;
	if (m->stage == ML_STAGE_SAMPLE)
		return end_sample_pass(m);
	return m->stage == ML_STAGE_PATH ? end_path_pass(m) : end_full_pass(m, s);
}

static double
objective_value(void *fit)
{
	Multinomial *m = fit;

	return m->stage != ML_STAGE_MOMENTS && isfinite(m->objective) ? m->objective : NAN;
}

static int
expected_passes(void *fit)
{
	Multinomial *m = fit;

	return m->passes + (m->stage == ML_STAGE_PATH ? 3 * (m->path.n - m->lambda) : 1) + 5;
}

static MlFitted *
finish(void *fit)
{
	return ml_multinomial_report(fit);
}

const MlAlgorithm ml_multinomial = {
	.name = "logistic_regression",
	.summary = "the variant for several classes, l1 and paths",
	.tasks = ML_TASKS_BINARY | ML_TASKS_MULTICLASS,
	.gives_probability = true,
	.gives_inference = true,
	.params = params,
	.params_size = sizeof(MlLogisticParams),
	.start = ml_multinomial_start,
	.state_size = state_size,
	.consume = consume,
	.merge = merge,
	.end_pass = end_pass,
	.pass_rows = pass_rows,
	.pass_size = ml_multinomial_pass_size,
	.pass_save = ml_multinomial_pass_save,
	.pass_load = ml_multinomial_pass_load,
	.finish = finish,
	.expected_passes = expected_passes,
	.objective = objective_value,
};
