/*
 * multinomial_report.c
 *		What a fit of several classes says at its end: the result in the original
 *		units with its inference, or why there is none.
 */
#include "postgres.h"

#include <math.h>

#include "algo/multinomial.h"
#include "errors.h"
#include "num/dense.h"
#include "num/distribution.h"

/* log-odds of a class that never occurred: its probability is that of rounding */
#define NEVER	(-36.0)

/* b_0 + sum b_j x_j of free class c, from the units of Z; returns the intercept */
static double
carry_back(Multinomial *m, int c, MlCoefficient *coefficient)
{
	const double *beta = m->beta + (Size) c * m->k;
	double	   *factor = m->l1;	/* no longer needed */
	double	   *value = m->l2;

	for (int j = 0; j < m->p; j++)
	{
		coefficient[j].estimate = beta[m->first + j] * m->unit[m->first + j];
		factor[m->first + j] = -coefficient[j].estimate;
		value[m->first + j] = m->centre[m->first + j];
	}
	if (m->first == 0)
		return 0;
	factor[0] = 1;
	value[0] = beta[0];
	return ml_exact_dot(m->k, factor, value);
}

static void
infer(MlCoefficient *c, double std_error)
{
	c->std_error = std_error;
	c->statistic = c->estimate / std_error;
	c->p_value = ml_normal_two_sided(c->statistic);
}

/* covariance of the estimates: the inverse of factor' factor */
static void
add_inference(Multinomial *m, MlFitted *fitted)
{
	MlLinear   *linear = ml_linear(fitted);
	int			kept = m->nkept;
	int			size = m->nfree * kept;

	linear->statistic_name = "z";
	for (int c = 0; m->first && c < m->nfree; c++)
	{
		/* variance of b_0 - sum centre_j unit_j b_j */
		double		sum = 0;

		memset(m->right, 0, size * sizeof(double));
		for (int i = 0; i < kept; i++)
			m->right[c * kept + i] = m->kept[i] == 0 ? 1 : -m->centre[m->kept[i]] * m->unit[m->kept[i]];
		ml_cholesky_half_solve(size, m->factor, m->right);
		for (int i = 0; i < size; i++)
			sum += m->right[i] * m->right[i];
		infer(&linear->intercept[m->label[m->base + c]], sqrt(sum));
	}
	ml_upper_inverse(size, m->factor);
	for (int c = 0; c < m->nfree; c++)
		for (int i = m->first; i < kept; i++)
			infer(&linear->coefficient[(Size) m->label[m->base + c] * m->p + m->kept[i] - m->first],
				  ml_upper_row_norm(size, m->factor, c * kept + i) * m->unit[m->kept[i]]);
}

/* dropped columns have no estimate in any class */
static void
drop_columns(const Multinomial *m, MlFitted *fitted)
{
	int		   *columns = palloc(Max(m->nkept, 1) * sizeof(int));
	MlLinear   *linear = ml_linear(fitted);

	for (int i = m->first; i < m->nkept; i++)
		columns[i - m->first] = m->kept[i] - m->first;
	ml_fitted_drop(fitted, m->fit->rows, m->nkept - m->first, columns);
	for (int o = 1; o < linear->noutputs; o++)
		for (int j = 0; j < m->p; j++)
			if (isnan(linear->coefficient[j].estimate))
				linear->coefficient[(Size) o * m->p + j].estimate = NAN;
	pfree(columns);
}

static void
add_facts(const Multinomial *m, MlFitted *fitted)
{
	double		ll = m->log_likelihood;
	double		free = (double) (m->nclasses - 1) * m->nkept;

	ml_fitted_fact(fitted, "log_likelihood", ll);
	ml_fitted_fact(fitted, "null_log_likelihood", m->null_log_likelihood);
	ml_fitted_fact(fitted, "deviance", -2 * ll);
	ml_fitted_fact(fitted, "null_deviance", -2 * m->null_log_likelihood);
	ml_fitted_fact(fitted, "mcfadden_r_squared", 1 - ll / m->null_log_likelihood);
	ml_fitted_fact(fitted, "iterations", m->iterations);
	if (!m->unpenalised)
		return;
	ml_fitted_fact(fitted, "aic", 2 * free - 2 * ll);
	ml_fitted_fact(fitted, "degrees_of_freedom", m->fit->rows->nrows - free);
}

/* intercepts of classes with coefficients have sum 0; classes that did not occur come last */
static void
settle_intercepts(const Multinomial *m, MlLinear *linear)
{
	int			nlabels = m->fit->rows->nclasses;
	double		mean = 0;
	int			missing = 0;

	for (int c = 0; m->base == 0 && m->first && c < m->nclasses; c++)
		mean += linear->intercept[m->label[c]].estimate / m->nclasses;
	for (int c = 0; m->first && c < m->nclasses; c++)
		linear->intercept[m->label[c]].estimate -= mean;
	for (int c = 0; c < nlabels; c++)
		missing += m->place[c] < 0;
	if (missing == 0)
		return;
	linear->has_intercept = true;
	for (int c = 0; c < nlabels; c++)
		if (m->place[c] < 0)
			linear->intercept[c].estimate = NEVER;
}

static MlFitted *
report_several(Multinomial *m)
{
	int			nlabels = m->fit->rows->nclasses;
	MlFitted   *fitted = ml_fitted_linear(ML_LINK_SOFTMAX, nlabels, m->p);
	MlLinear   *linear = ml_linear(fitted);

	linear->has_intercept = m->first == 1;
	for (int c = 0; c < m->nfree; c++)
	{
		int			o = m->label[m->base + c];

		linear->intercept[o].estimate = carry_back(m, c, linear->coefficient + (Size) o * m->p);
	}
	settle_intercepts(m, linear);
	if (m->nclasses < nlabels)
		ml_fitted_note(fitted, "%d of %d classes occur in no training row: their probability is 0",
					   nlabels - m->nclasses, nlabels);
	return fitted;
}

MlFitted *
ml_multinomial_report(Multinomial *m)
{
	MlFitted   *fitted;

	/* again, since the last pass may have been one elsewhere that only halved a step */
	if (m->unpenalised && !m->large && !ml_multinomial_factor(m))
		ml_multinomial_refuse_separation(m, false);
	if (m->fit->task == ML_TASKS_MULTICLASS)
		fitted = report_several(m);
	else
	{
		fitted = ml_fitted_linear(ML_LINK_LOGIT, 1, m->p);
		ml_linear(fitted)->has_intercept = m->first == 1;
		ml_linear(fitted)->intercept[0].estimate = carry_back(m, 0, ml_linear(fitted)->coefficient);
	}
	fitted->passes = m->passes;
	if (m->unpenalised && !m->large)
		add_inference(m, fitted);
	if (m->unpenalised && m->large)
		ml_fitted_note(fitted, "no standard errors: L-BFGS fitted the %d coefficients from gradients alone", m->n);
	if (m->unpenalised)
		drop_columns(m, fitted);
	add_facts(m, fitted);
	if (!m->unpenalised)
		ml_penalty_report(&m->path, m->now_l1, m->now_l2, ml_multinomial_nonzero(m), fitted);
	return fitted;
}

/* ---- refusals ---- */

/* the columns along which the fit was still moving, or has moved, most */
static char *
moving_columns(const Multinomial *m, const double *move)
{
	int		   *columns = palloc(Max(m->p, 1) * sizeof(int));
	int			n = 0;
	double		most = 0;

	for (int c = 0; c < m->nfree; c++)
		for (int j = m->first; j < m->k; j++)
			most = Max(most, fabs(move[(Size) c * m->k + j]));
	for (int j = m->first; j < m->k; j++)
	{
		double		own = 0;

		for (int c = 0; c < m->nfree; c++)
			own = Max(own, fabs(move[(Size) c * m->k + j]));
		if (own >= 0.2 * most)
			columns[n++] = j - m->first;
	}
	return ml_column_list(m->fit->rows, n, columns);
}

void
ml_multinomial_refuse_separation(const Multinomial *m, bool complete)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_NO_CONVERGENCE),
			 errmsg("\"logistic_regression\" has no finite solution: the features separate the classes"),
			 complete ?
			 errdetail("Combinations of the features tell the %d classes of all " INT64_FORMAT
					   " training rows apart, so that coefficients grow without bound. Those of %s have grown most.",
					   m->nclasses, m->fit->rows->nrows, moving_columns(m, m->beta)) :
			 errdetail("Some training rows are told apart without error, so that coefficients grow without bound: those of %s.",
					   moving_columns(m, m->step)),
			 errhint("Train with a penalty, params => '{\"l2\": 1}', or exclude a feature that gives the target away.")));
}

void
ml_multinomial_refuse_divergence(const Multinomial *m)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_NO_CONVERGENCE),
			 errmsg("\"logistic_regression\" did not converge with \"max_iterations\" = " INT64_FORMAT,
					m->params->max_iterations),
			 errdetail("The deviance is %.4g and would still change by %.2g of it; the tolerance is %g.",
					   -2 * m->log_likelihood, m->relative_change, m->params->tolerance),
			 errhint("Raise \"max_iterations\", or train with a larger penalty: params => '{\"l2\": %g}'.",
					 Max(1, 2 * m->now_l2))));
}

void
ml_multinomial_refuse_overflow(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("feature values are too large to fit"),
			 errdetail("The log-likelihood at the start is not a finite number."),
			 errhint("Train on the values in larger units, for example divided by 1e150.")));
}
