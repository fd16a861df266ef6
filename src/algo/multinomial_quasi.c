/*
 * multinomial_quasi.c
 *		The fit of several classes with more coefficients than can be solved for:
 *		L-BFGS (num/lbfgs.h), for which a pass adds up the gradient alone.
 *
 * The curvature that a direction begins with is that of the constant model,
 * share (1 - share) sum w z^2 and the penalty: columns of rare levels and of
 * common ones then learn alike. Columns that do not stand on their own have
 * none, and stay at 0.
 */
#include "postgres.h"

#include <math.h>

#include "algo/multinomial.h"

void
ml_multinomial_quasi_alloc(Multinomial *m)
{
	const char *what = "logistic regression";

	m->weigh = ml_fit_alloc(m->fit, m->n, sizeof(double), what);
	m->curvature = ml_fit_alloc(m->fit, m->n, sizeof(double), what);
	m->slope = ml_fit_alloc(m->fit, m->n, sizeof(double), what);
	m->lbfgs.n = m->n;
	m->lbfgs.memory = ml_fit_alloc(m->fit, ml_lbfgs_memory(m->n), sizeof(double), what);
	m->lbfgs.curvature = m->curvature;
	ml_lbfgs_begin(&m->lbfgs);
	m->beta = m->lbfgs.x;
	m->accepted = m->lbfgs.accepted;
	m->step = m->lbfgs.direction;
}

void
ml_multinomial_quasi_weigh(Multinomial *m, const double *moments)
{
	for (int c = 0; c < m->nfree; c++)
	{
		double		share = m->class_weight[m->base + c] / m->weight_sum;

		for (int i = 0; i < m->nkept; i++)
		{
			Size		j = m->kept[i];
			double		square = moments[m->unpenalised ? j + j * m->k : j];

			m->weigh[c * (Size) m->k + j] = share * (1 - share) * square;
		}
	}
}

void
ml_multinomial_quasi_begin(Multinomial *m)
{
	double		share = ml_multinomial_share_of_rows(m);

	for (int i = 0; i < m->n; i++)
		m->curvature[i] = m->weigh[i] > 0 ? share * m->weigh[i] + m->l2[i] : 0;
	ml_lbfgs_begin(&m->lbfgs);
}

MlLbfgsStatus
ml_multinomial_quasi_take(Multinomial *m, const MlMultinomialState *s)
{
	const double *gradient = s->number + (Size) m->base * m->k;
	int			steps = m->lbfgs.steps;
	MlLbfgsStatus status;

	for (int i = 0; i < m->n; i++)
		m->slope[i] = m->curvature[i] > 0 ? m->l2[i] * m->beta[i] - gradient[i] : 0;
	status = ml_lbfgs_take(&m->lbfgs, ml_multinomial_objective(m, s->log_likelihood), m->slope);
	if (m->lbfgs.steps == steps)
		return status;
	m->objective = m->lbfgs.value;
	m->log_likelihood = s->log_likelihood;
	m->promise = m->lbfgs.promise;
	m->relative_change = m->promise / (fabs(2 * m->log_likelihood) + 0.1);
	return status;
}

double
ml_multinomial_quasi_violation(const Multinomial *m)
{
	double		most = 0;

	for (int i = 0; i < m->n; i++)
	{
		double		d = m->deviation[i % m->k] > 0 ? m->deviation[i % m->k] : 1;

		most = Max(most, fabs(m->lbfgs.gradient[i]) / d);
	}
	return m->largest > 0 ? most / m->largest : 0;
}
