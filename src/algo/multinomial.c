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
 * section 5.2). With more coefficients than Newton's method can solve for,
 * L-BFGS from gradients alone (multinomial_quasi.c), to the same optimum but
 * without standard errors. The first pass finds second moments and the constant model, a
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
#define QUASI_STEPS		20		/* of L-BFGS in the place of one of Newton's */
#define QUASI_SAMPLE_PASSES 60
#define OPTIMAL			1e-6	/* violation of the optimality conditions that passes */

static const MlParam params[] = {
	{NULL}
};

/* ---- passes ---- */

static Size
state_size(void *fit)
{
	return offsetof(MlMultinomialState, number) + ml_multinomial_numbers(fit) * sizeof(double);
}

static int64
pass_rows(void *fit, int pass, int64 nrows)
{
	Multinomial *m = fit;

	return m->sample > 0 ? m->sample : nrows;
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
	if (m->large)
		ml_multinomial_quasi_begin(m);
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
		double		square = moments[m->large && !m->unpenalised ? j : j + (Size) j * k] / m->weight_sum;
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
	if (m->large)
		ml_multinomial_quasi_weigh(m, moments);
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

/* as good as rounding lets it become; the next place to look at is not the best one */
static bool
end_quasi(Multinomial *m)
{
	if (ml_multinomial_quasi_violation(m) > OPTIMAL)
		ml_multinomial_refuse_divergence(m);
	memcpy(m->beta, m->accepted, m->n * sizeof(double));
	return true;
}

/* a sample has told what it can as with Newton's method; all rows go on until the gradient is 0 */
static bool
end_quasi_pass(Multinomial *m, const MlMultinomialState *s)
{
	MlLbfgsStatus status = ml_multinomial_quasi_take(m, s);
	bool		turning = still_turning(m, s);

	m->begins = false;
	if (m->stage == ML_STAGE_SAMPLE)
	{
		if (status == ML_LBFGS_SEARCHES ||
			(status == ML_LBFGS_STEPPED && m->promise >= 0.5 * m->n && m->stage_passes < QUASI_SAMPLE_PASSES))
			return false;
		memcpy(m->beta, m->accepted, m->n * sizeof(double));
		begin_stage(m, ML_STAGE_SAMPLE);
		return false;
	}
	if (m->closing && !turning)
		return end_quasi(m);
	if (status == ML_LBFGS_STALLED)
		return end_quasi(m);
	if (status == ML_LBFGS_SEARCHES)
		return false;
	m->iterations++;
	if (m->unpenalised && s->least_margin > 0)
		ml_multinomial_refuse_separation(m, true);
	if (ml_multinomial_quasi_violation(m) <= Max(m->params->tolerance * 10, 1e-12))
	{
		if (!m->unpenalised)
			return end_quasi(m);
		m->closing = true;		/* do the rows still move by the next step? */
	}
	if (m->iterations >= m->params->max_iterations * QUASI_STEPS)
		return end_quasi(m);
	return false;
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
	if (!m->large && !(objective <= m->objective + 1e-12 * fabs(m->objective)))
		return halve_step(m);

	/* a start from a sample that is worse than the best constants */
	if (m->begins && m->stage == ML_STAGE_ALL && m->path.n == 0 &&
		s->log_likelihood < m->null_log_likelihood && memcmp(m->beta, m->null, m->n * sizeof(double)) != 0)
	{
		memcpy(m->beta, m->null, m->n * sizeof(double));
		return false;
	}
	if (m->large)
		return end_quasi_pass(m, s);
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
	.consume = ml_multinomial_consume,
	.merge = ml_multinomial_merge,
	.end_pass = end_pass,
	.pass_rows = pass_rows,
	.pass_size = ml_multinomial_pass_size,
	.pass_save = ml_multinomial_pass_save,
	.pass_load = ml_multinomial_pass_load,
	.finish = finish,
	.expected_passes = expected_passes,
	.objective = objective_value,
};
