/*
 * glm_report.c
 *		What a generalized linear model says at its end: estimates with their
 *		inference and the figures of R's summary.glm, or why there is no fit.
 */
#include "postgres.h"

#include <math.h>

#include "algo/glm.h"
#include "errors.h"
#include "num/distribution.h"

static const MlLink predictor_link[] = {
	[ML_FAMILY_IDENTITY] = ML_LINK_IDENTITY, [ML_FAMILY_LOG] = ML_LINK_LOG,
	[ML_FAMILY_LOGIT] = ML_LINK_LOGIT, [ML_FAMILY_PROBIT] = ML_LINK_PROBIT,
	[ML_FAMILY_INVERSE] = ML_LINK_INVERSE, [ML_FAMILY_SQRT] = ML_LINK_SQRT
};

const char *
ml_glm_family_name(MlFamily family)
{
	static const char *const name[] = {
		[ML_FAMILY_GAUSSIAN] = "gaussian", [ML_FAMILY_POISSON] = "poisson",
		[ML_FAMILY_GAMMA] = "gamma", [ML_FAMILY_BINOMIAL] = "binomial"
	};

	return name[family];
}

const char *
ml_glm_link_name(MlFamilyLink link)
{
	static const char *const name[] = {
		[ML_FAMILY_IDENTITY] = "identity", [ML_FAMILY_LOG] = "log", [ML_FAMILY_LOGIT] = "logit",
		[ML_FAMILY_PROBIT] = "probit", [ML_FAMILY_INVERSE] = "inverse", [ML_FAMILY_SQRT] = "sqrt"
	};

	return name[link];
}

/* ---- figures ---- */

static bool
dispersion_is_known(const Glm *g)
{
	return g->family == ML_FAMILY_POISSON || g->family == ML_FAMILY_BINOMIAL;
}

/* weighted sums over the target that the log-likelihood has besides those of the fit */
static double
target_sum(const Glm *g, double (*term) (double y))
{
	const MlDesignMatrix *rows = g->fit->rows;
	double		total = 0;

	if (g->elsewhere)
		return g->target_sum;
	for (int64 first = 0; first < rows->nrows; first += ML_BLOCK_ROWS)
	{
		double		sum = 0;

		if (g->fit->progress && first % (64 * ML_BLOCK_ROWS) == 0)
			g->fit->progress(g->fit->progress_arg, 0, rows->nrows, g->objective);
		for (int64 i = first; i < Min(first + ML_BLOCK_ROWS, rows->nrows); i++)
			sum += (rows->weight ? rows->weight[i] : 1) * term(rows->y[i]);
		total += sum;
	}
	return total;
}

/* log of a count's probability under a mean equal to it: half the deviance is measured from there */
double
ml_glm_saturated_poisson(double y)
{
	return (y > 0 ? y * log(y) - y : 0) - lgamma(y + 1);
}

/*
 * As R's logLik: with a dispersion of deviance / weight where it is estimated.
 * For gaussian weights are precisions, hence the logarithms.
 */
static double
log_likelihood(const Glm *g)
{
	double		n = g->fit->rows->nrows;
	double		dispersion = g->sums.deviance / g->weight;
	double		shape = 1 / dispersion;

	switch (g->family)
	{
		case ML_FAMILY_BINOMIAL:
			return -g->sums.deviance / 2;
		case ML_FAMILY_POISSON:
			return target_sum(g, ml_glm_saturated_poisson) - g->sums.deviance / 2;
		case ML_FAMILY_GAMMA:
			return shape * (g->sums.log_ratio - g->sums.ratio) - target_sum(g, log) -
				g->weight * (lgamma(shape) + shape * log(dispersion));
		case ML_FAMILY_GAUSSIAN:
			break;
	}
	dispersion = g->sums.deviance / n;
	n = -n / 2 * (log(2 * M_PI * dispersion) + 1);
	if (g->elsewhere)
		return n + g->target_sum;
	if (g->fit->rows->weight)
		for (int64 i = 0; i < g->fit->rows->nrows; i++)
			n += log(g->fit->rows->weight[i]) / 2;
	return n;
}

static void
infer(MlCoefficient *c, bool known, double df)
{
	if (isnan(c->std_error))
		return;
	c->statistic = c->estimate / c->std_error;
	c->p_value = known ? ml_normal_two_sided(c->statistic) : ml_t_two_sided(c->statistic, df);
}

static void
add_inference(Glm *g, MlFitted *fitted, double dispersion, double df)
{
	MlLinear   *linear = ml_linear(fitted);
	bool		known = dispersion_is_known(g);
	const MlStandard *s = &g->standard;
	int		   *columns = palloc(Max(g->nkept, 1) * sizeof(int));

	linear->statistic_name = known ? "z" : "t";
	if (known || df > 0)
	{
		ml_standard_errors(s, g->nkept, g->kept, g->u, sqrt(dispersion), g->work, linear);
		for (int o = 0; o < s->first; o++)
			infer(&linear->intercept[o], known, df);
		for (int j = 0; j < s->p; j++)
			infer(&linear->coefficient[j], known, df);
	}
	for (int i = s->first; i < g->nkept; i++)
		columns[i - s->first] = g->kept[i] - s->first;
	ml_fitted_drop(fitted, s->rows, g->nkept - s->first, columns);
	pfree(columns);
}

static void
add_facts(const Glm *g, MlFitted *fitted, double dispersion, double df)
{
	double		ll = log_likelihood(g);
	int			parameters = g->nkept + (dispersion_is_known(g) ? 0 : 1);

	ml_fitted_fact(fitted, "deviance", g->sums.deviance);
	ml_fitted_fact(fitted, "null_deviance", g->null_deviance);
	ml_fitted_fact(fitted, "deviance_explained", 1 - g->sums.deviance / g->null_deviance);
	ml_fitted_fact(fitted, "pearson_chi_squared", g->sums.pearson);
	ml_fitted_fact(fitted, "log_likelihood", ll);
	ml_fitted_fact(fitted, "iterations", g->iterations);
	if (g->params->l2 > 0)
		return;
	ml_fitted_fact(fitted, "dispersion", dispersion);
	ml_fitted_fact(fitted, "aic", 2 * parameters - 2 * ll);
	ml_fitted_fact(fitted, "degrees_of_freedom", df);
	ml_fitted_fact(fitted, "null_degrees_of_freedom", (double) (g->fit->rows->nrows - g->standard.first));
}

MlFitted *
ml_glm_report(Glm *g)
{
	MlFitted   *fitted = ml_fitted_linear(predictor_link[g->link], 1, g->standard.p);
	double		df = (double) (g->fit->rows->nrows - g->nkept);
	double		dispersion = dispersion_is_known(g) ? 1 : df > 0 ? g->sums.pearson / df : NAN;

	fitted->passes = g->passes;
	ml_standard_estimates(&g->standard, g->beta, ml_linear(fitted));
	if (g->params->l2 == 0)
		add_inference(g, fitted, dispersion, df);
	add_facts(g, fitted, dispersion, df);
	return fitted;
}

/* ---- refusals ---- */

void
ml_glm_refuse_link(const Glm *g)
{
	StringInfoData links;

	initStringInfo(&links);
	for (MlFamilyLink link = 0; link <= ML_FAMILY_SQRT; link++)
		if (ml_family_allows(g->family, link))
			appendStringInfo(&links, "%s%s", links.len > 0 ? ", " : "", ml_glm_link_name(link));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("family \"%s\" has no link \"%s\"", ml_glm_family_name(g->family), ml_glm_link_name(g->link)),
			 errdetail("Its links are: %s.", links.data),
			 errhint("Leave out \"link\" for the canonical one, \"%s\".",
					 ml_glm_link_name(ml_family_canonical(g->family)))));
}

void
ml_glm_refuse_start(const Glm *g)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_NO_CONVERGENCE),
			 errmsg("\"glm\" found no coefficients that give every row a mean of family \"%s\"",
					ml_glm_family_name(g->family)),
			 errdetail("The link is \"%s\"; %s.", ml_glm_link_name(g->link),
					   g->standard.first ? "the best constant is out of its range" : "there is no intercept to begin with"),
			 g->standard.first ? errhint("Use another link, such as \"log\", or check the offset.") :
			 errhint("Use another link, such as \"log\", or an intercept.")));
}

void
ml_glm_refuse_flat(const Glm *g)
{
	const MlStandard *s = &g->standard;
	int		   *columns = palloc(Max(s->p, 1) * sizeof(int));
	double		most = 0;
	int			n = 0;

	for (int j = s->first; j < s->k; j++)
		most = Max(most, fabs(g->step[j]));
	for (int j = s->first; j < s->k; j++)
		if (fabs(g->step[j]) >= 0.2 * most)
			columns[n++] = j - s->first;
	ereport(ERROR,
			(errcode(ERRCODE_ML_NO_CONVERGENCE),
			 errmsg("\"glm\" has no finite solution"),
			 errdetail("The deviance has settled, but means of some rows still run to the border of family \"%s\", with the coefficients of %s.",
					   ml_glm_family_name(g->family), ml_column_list(s->rows, n, columns)),
			 errhint("Train with a penalty, params => '{\"l2\": 1}', or exclude a feature that gives such rows away.")));
}

void
ml_glm_refuse_divergence(const Glm *g)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_NO_CONVERGENCE),
			 errmsg("\"glm\" did not converge with \"max_iterations\" = " INT64_FORMAT, g->params->max_iterations),
			 errdetail("Half the deviance is %.4g and would still change by %.2g of it; the tolerance is %g.",
					   g->objective, g->relative_change, g->params->tolerance),
			 errhint("Raise \"max_iterations\", use another link, or train with a penalty: params => '{\"l2\": 1}'.")));
}
