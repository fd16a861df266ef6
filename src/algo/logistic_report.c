/*
 * logistic_report.c
 *		What a logistic fit says at its end: the result in the original units
 *		with its inference, or why there is none.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "algo/logistic.h"
#include "errors.h"
#include "num/dense.h"
#include "num/distribution.h"
#include "num/qr.h"

/*
 * A column is collinear if what earlier ones do not explain of it is shorter
 * than 1e-7 of it, as in linear regression; lengths are those of the columns as
 * they came, not about their centres. Squares lose half of the digits, hence
 * the second bound: below it rounding is all there is.
 */
void
ml_logistic_floors(int k, bool constant, const double *centre, const double *unit,
				   const double *information, double *floor)
{
	const double tolerance = ML_RANK_TOLERANCE * ML_RANK_TOLERANCE;

	for (int j = 0; j < k; j++)
	{
		double		own = information[j + (Size) j * k];
		double		shift = centre[j] * unit[j];
		double		whole = own;

		if (constant)
			whole += shift * (2 * information[(Size) j * k] + shift * information[0]);
		floor[j] = Max(tolerance * whole, 2 * (10 + k) * DBL_EPSILON * own);
	}
}

static void
infer(MlCoefficient *c, double std_error)
{
	c->std_error = std_error;
	c->statistic = c->estimate / std_error;
	c->p_value = ml_normal_two_sided(c->statistic);
}

/* covariance of the estimates: the inverse of U'U */
static void
add_inference(Logistic *l, MlFitted *fitted)
{
	int			n = l->nkept;

	ml_linear(fitted)->statistic_name = "z";
	if (l->first)
	{
		/* variance of b_0 - sum centre_j unit_j b_j: the square of U'^-1 (1, -centre unit ...) */
		double		sum = 0;

		for (int i = 0; i < n; i++)
			l->work[i] = l->kept[i] == 0 ? 1 : -l->centre[l->kept[i]] * l->unit[l->kept[i]];
		ml_cholesky_half_solve(n, l->u, l->work);
		for (int i = 0; i < n; i++)
			sum += l->work[i] * l->work[i];
		infer(&ml_linear(fitted)->intercept[0], sqrt(sum));
	}
	ml_upper_inverse(n, l->u);
	for (int i = l->first; i < n; i++)
		infer(&ml_linear(fitted)->coefficient[l->kept[i] - l->first],
			  ml_upper_row_norm(n, l->u, i) * l->unit[l->kept[i]]);
}

static void
add_facts(const Logistic *l, MlFitted *fitted)
{
	double		ll = l->log_likelihood;

	ml_fitted_fact(fitted, "log_likelihood", ll);
	ml_fitted_fact(fitted, "null_log_likelihood", l->null_log_likelihood);
	ml_fitted_fact(fitted, "deviance", -2 * ll);
	ml_fitted_fact(fitted, "null_deviance", -2 * l->null_log_likelihood);
	ml_fitted_fact(fitted, "mcfadden_r_squared", 1 - ll / l->null_log_likelihood);
	ml_fitted_fact(fitted, "iterations", l->iterations);
	if (l->params->penalty.l2 > 0)
		ml_penalty_report(NULL, 0, l->params->penalty.l2, l->p, fitted);
	if (l->params->penalty.l2 == 0)
	{
		ml_fitted_fact(fitted, "aic", 2 * l->nkept - 2 * ll);
		ml_fitted_fact(fitted, "degrees_of_freedom", (double) (l->fit->rows->nrows - l->nkept));
	}
}

MlFitted *
ml_logistic_report(Logistic *l)
{
	MlFitted   *fitted = ml_fitted_linear(ML_LINK_LOGIT, 1, l->p);
	int		   *columns = palloc(Max(l->nkept, 1) * sizeof(int));
	int			n = l->first;

	ml_linear(fitted)->has_intercept = l->first == 1;
	fitted->passes = l->passes;

	/* eta = beta_0 + sum beta_j (x_j - centre_j) unit_j */
	for (int j = 0; j < l->p; j++)
		ml_linear(fitted)->coefficient[j].estimate = l->beta[l->first + j] * l->unit[l->first + j];
	if (l->first)
	{
		double	   *b = l->accepted;	/* no longer needed */

		b[0] = 1;
		l->centre[0] = l->beta[0];
		for (int j = 0; j < l->p; j++)
			b[1 + j] = -ml_linear(fitted)->coefficient[j].estimate;
		ml_linear(fitted)->intercept[0].estimate = ml_exact_dot(l->k, b, l->centre);
	}
	if (l->params->penalty.l2 == 0)
	{
		add_inference(l, fitted);
		for (int i = l->first; i < l->nkept; i++)
			columns[i - l->first] = l->kept[i] - l->first;
		ml_fitted_drop(fitted, l->fit->rows, l->nkept - n, columns);
	}
	add_facts(l, fitted);
	pfree(columns);
	return fitted;
}

/* ---- refusals ---- */

/* the columns along which the fit was still moving, or has moved, most */
static char *
moving_columns(const Logistic *l, const double *move)
{
	int		   *columns = palloc(Max(l->p, 1) * sizeof(int));
	int			n = 0;
	double		most = 0;

	for (int j = l->first; j < l->k; j++)
		most = Max(most, fabs(move[j]));
	for (int j = l->first; j < l->k; j++)
		if (fabs(move[j]) >= 0.2 * most)
			columns[n++] = j - l->first;
	return ml_column_list(l->fit->rows, n, columns);
}

void
ml_logistic_refuse_separation(const Logistic *l, bool complete)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_NO_CONVERGENCE),
			 errmsg("\"logistic_regression\" has no finite solution: the features separate the classes"),
			 complete ?
			 errdetail("A combination of the features tells the classes of all " INT64_FORMAT
					   " training rows apart, so that coefficients grow without bound. Those of %s have grown most.",
					   l->fit->rows->nrows, moving_columns(l, l->beta)) :
			 errdetail("Some training rows are told apart without error, so that coefficients grow without bound: those of %s.",
					   moving_columns(l, l->step)),
			 errhint("Train with a penalty, params => '{\"l2\": 1}', or exclude a feature that gives the target away.")));
}

void
ml_logistic_refuse_divergence(const Logistic *l)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_NO_CONVERGENCE),
			 errmsg("\"logistic_regression\" did not converge with \"max_iterations\" = " INT64_FORMAT,
					l->params->max_iterations),
			 errdetail("The deviance is %.4g and would still change by %.2g of it; the tolerance is %g.",
					   -2 * l->log_likelihood, l->relative_change, l->params->tolerance),
			 errhint("Raise \"max_iterations\", or train with a penalty: params => '{\"l2\": 1}'.")));
}

void
ml_logistic_refuse_overflow(const Logistic *l)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("feature values are too large to fit"),
			 errdetail("The log-likelihood at the start is not a finite number."),
			 errhint("Train on the values in larger units, for example divided by 1e150.")));
}
