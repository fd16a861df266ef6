/*
 * glm.c
 *		Generalized linear models by Fisher scoring.
 *
 * Objective:  half the deviance  +  l2/2 sum (d_j b_j)^2
 *
 * The deviance is the sum of w times the unit deviance of y and mu (num/family.c),
 * link(mu) = eta = b_0 + sum b_j x_j + offset; d_j is as in logistic regression,
 * b_0 is free. For poisson and binomial half the deviance is the negative
 * log-likelihood less a constant, for the others that in units of the
 * dispersion.
 *
 * A step solves H step = g with the score g and the expected information
 * H = Z'WZ: iteratively reweighted least squares (McCullagh & Nelder,
 * Generalized Linear Models, 2nd ed., section 2.5), which begins at the means
 * that R's families begin at. A step that leaves the range of the family or
 * makes the objective worse is halved (Marschner, glm2: fitting generalized
 * linear models with convergence problems, The R Journal 3/2, 2011). Should the
 * first step of all be worse than the best constant, the fit begins there
 * instead, where every step goes down.
 */
#include "postgres.h"

#include <math.h>

#include "algo/glm.h"
#include "errors.h"
#include "num/dense.h"
#include "num/logit.h"

#include <cblas.h>

#define MAX_HALVINGS	40
#define SLACK			1e-12	/* of the objective: a rise that is rounding */

/*
 * The deviance converges long before the estimates: passes go on until a step
 * promises no more than this of it, or for so many passes.
 */
#define SETTLED			1e-20
#define CLOSING_PASSES	25
#define TURNING			1e-2	/* a row that still moves by so much then has no finite place */

static const char *const family_choices[] = {"auto", "gaussian", "poisson", "gamma", "binomial", NULL};
static const char *const link_choices[] = {"canonical", "identity", "log", "logit", "probit", "inverse", "sqrt", NULL};

static const MlParam params[] = {
	{"family", ML_PARAM_ENUM, offsetof(MlGlmParams, family), 0, 0, 0, family_choices,
	"distribution of the target about its mean; auto: binomial for two classes, gaussian for numbers"},
	{"link", ML_PARAM_ENUM, offsetof(MlGlmParams, link), 0, 0, 0, link_choices,
	"function of the mean that is linear; canonical: identity, log, inverse, logit for the four families"},
	{"offset", ML_PARAM_TEXT, offsetof(MlGlmParams, offset), NAN, 0, 0, NULL,
	"column that is added to the linear predictor as it is"},
	{"exposure", ML_PARAM_TEXT, offsetof(MlGlmParams, exposure), NAN, 0, 0, NULL,
	"column of positive numbers whose logarithm is added to the linear predictor"},
	{"intercept", ML_PARAM_BOOL, offsetof(MlGlmParams, intercept), 1, 0, 1, NULL,
	"whether to fit a constant term"},
	{"l2", ML_PARAM_FLOAT, offsetof(MlGlmParams, l2), 0, 0, INFINITY, NULL,
	"ridge penalty: l2 / 2 times the sum of squared coefficients, in standardised units, is added to half the deviance"},
	{"max_iterations", ML_PARAM_INT, offsetof(MlGlmParams, max_iterations), 100, 1, 10000, NULL,
	"steps before the fit is given up"},
	{"tolerance", ML_PARAM_FLOAT, offsetof(MlGlmParams, tolerance), 1e-8, 1e-15, 0.1, NULL,
	"relative change of the deviance at which the fit has converged; steps follow that settle the estimates"},
	{NULL}
};

typedef struct State
{
	MlFamilySums sums;
	double		turn;
	double		number[FLEXIBLE_ARRAY_MEMBER];	/* gradient, sums, squares: k each; information: k x k */
} State;

static bool
penalised(const void *p)
{
	return ((const MlGlmParams *) p)->l2 > 0;
}

static const char *
offset_column(const void *p, bool *logarithm)
{
	const MlGlmParams *params = p;

	if (params->offset && params->exposure)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"offset\" and \"exposure\" cannot both be given"),
				 errdetail("They are \"%s\" and \"%s\"; an exposure is an offset by its logarithm.",
						   params->offset, params->exposure),
				 errhint("Give one column as \"offset\": the sum of the one and the logarithm of the other.")));
	*logarithm = params->exposure != NULL;
	return params->exposure ? params->exposure : params->offset;
}

/* ---- start ---- */

static void
choose_family(Glm *g)
{
	bool		classes = g->fit->task == ML_TASKS_BINARY;

	if (g->params->family == 0)
		g->family = classes ? ML_FAMILY_BINOMIAL : ML_FAMILY_GAUSSIAN;
	else
		g->family = g->params->family - 1;
	g->link = g->params->link == 0 ? ml_family_canonical(g->family) : g->params->link - 1;
	if (classes != (g->family == ML_FAMILY_BINOMIAL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("family \"%s\" is not for a target that is %s",
						ml_glm_family_name(g->family), classes ? "two classes" : "a number"),
				 classes ? errdetail("Of two classes the family is binomial.") :
				 errdetail("Of a number the family is gaussian, poisson or gamma."),
				 classes ? errhint("Leave out \"family\", or make the target a number in the source.") :
				 errhint("Make the target a boolean in the source, for example SELECT ..., y = 1 AS y.")));
	if (!ml_family_allows(g->family, g->link))
		ml_glm_refuse_link(g);
}

static void *
start(const MlFit *fit)
{
	const MlGlmParams *p = fit->params;
	const char *what = "a generalized linear model";
	Glm		   *g = ml_fit_alloc(fit, 1, sizeof(Glm), what);
	Size		k;

	g->fit = fit;
	g->params = p;
	choose_family(g);
	g->elsewhere = fit->rows->survey != NULL;
	if (g->elsewhere && (p->offset || p->exposure))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("passes in SQL fit \"glm\" without \"offset\" and \"exposure\""),
				 errhint("Train it with mlops_train.")));
	if (!g->elsewhere)
		ml_glm_check_target(g);
	ml_standard_make(fit, p->intercept, what, &g->standard);
	k = g->standard.k;
	ml_require_rows(fit, "glm", p->l2 > 0 ? 1 : Max(k, 1));

	g->z = ml_fit_alloc(fit, Max(k, 1) * ML_BLOCK_ROWS, sizeof(double), what);
	g->eta = ml_fit_alloc(fit, ML_BLOCK_ROWS, sizeof(double), what);
	g->residual = ml_fit_alloc(fit, ML_BLOCK_ROWS, sizeof(double), what);
	g->root = ml_fit_alloc(fit, ML_BLOCK_ROWS, sizeof(double), what);
	g->beta = ml_fit_alloc(fit, k, sizeof(double), what);
	g->accepted = ml_fit_alloc(fit, k, sizeof(double), what);
	g->step = ml_fit_alloc(fit, k, sizeof(double), what);
	g->penalty = ml_fit_alloc(fit, k, sizeof(double), what);
	g->kept = ml_fit_alloc(fit, k, sizeof(int), what);
	g->u = ml_fit_alloc(fit, k * k, sizeof(double), what);
	g->work = ml_fit_alloc(fit, k, sizeof(double), what);

	if (g->elsewhere)
		ml_glm_survey(g);
	else
		ml_glm_null_model(g);
	g->stage = GLM_START;
	g->objective = INFINITY;
	g->relative_change = INFINITY;
	return g;
}

/* ---- the rows ---- */

static Size
state_size(void *fit)
{
	Size		k = ((Glm *) fit)->standard.k;

	return offsetof(State, number) + k * (k + 3) * sizeof(double) +
		(((Glm *) fit)->elsewhere ? sizeof(GlmTarget) : 0);
}

/* of rows elsewhere: behind the numbers */
static GlmTarget *
target_of(const Glm *g, State *s)
{
	return (GlmTarget *) (s->number + (Size) g->standard.k * (g->standard.k + 3));
}

/* ---- for other processes: what consume reads ---- */

typedef struct Share
{
	MlFamily	family;
	MlFamilyLink link;
	GlmStage	stage;
	int			p;
	int			first;
	int			k;
	double		l2;
	double		mean;
	double		number[FLEXIBLE_ARRAY_MEMBER];	/* centre, unit, beta, step: k each */
} Share;

static Size
share_size(void *fit)
{
	return offsetof(Share, number) + 4 * sizeof(double) * ((Glm *) fit)->standard.k;
}

static bool
share_out(void *fit, void *shared)
{
	const Glm  *g = fit;
	const MlStandard *standard = &g->standard;
	Share	   *s = shared;
	Size		bytes = sizeof(double) * standard->k;

	s->family = g->family;
	s->link = g->link;
	s->stage = g->stage;
	s->p = standard->p;
	s->first = standard->first;
	s->k = standard->k;
	s->l2 = g->params->l2;
	s->mean = g->mean;
	memcpy(s->number, standard->centre, bytes);
	memcpy(s->number + s->k, standard->unit, bytes);
	memcpy(s->number + 2 * s->k, g->beta, bytes);
	memcpy(s->number + 3 * s->k, g->step, bytes);
	return true;
}

static Glm *
make_helper(const Share *s, const MlDesignMatrix *rows)
{
	Glm		   *g = palloc0(sizeof(Glm));
	MlFit	   *fit = palloc0(sizeof(MlFit));
	MlGlmParams *p = palloc0(sizeof(MlGlmParams));

	fit->rows = rows;
	p->l2 = s->l2;
	g->fit = fit;
	g->params = p;
	g->family = s->family;
	g->link = s->link;
	g->mean = s->mean;
	g->standard.p = s->p;
	g->standard.first = s->first;
	g->standard.k = s->k;
	g->z = ml_aligned_alloc(sizeof(double) * Max(s->k, 1) * ML_BLOCK_ROWS);
	g->eta = ml_aligned_alloc(sizeof(double) * ML_BLOCK_ROWS);
	g->residual = ml_aligned_alloc(sizeof(double) * ML_BLOCK_ROWS);
	g->root = ml_aligned_alloc(sizeof(double) * ML_BLOCK_ROWS);
	return g;
}

static void *
share_in(void *fit, const MlDesignMatrix *rows, const void *shared)
{
	const Share *s = shared;
	Glm		   *g = fit != NULL ? fit : make_helper(s, rows);

	g->stage = s->stage;
	g->standard.centre = unconstify(double *, &s->number[0]);
	g->standard.unit = g->standard.centre + s->k;
	g->beta = g->standard.unit + s->k;
	g->step = g->beta + s->k;
	return g;
}

/* eta of a block, and how far the last step moved it */
static void
predict_rows(Glm *g, State *s, int n, const double *offset)
{
	int			k = g->standard.k;

	memset(g->eta, 0, sizeof(double) * n);
	if (k > 0 && g->stage == GLM_NEWTON)
	{
		cblas_dgemv(CblasColMajor, CblasNoTrans, n, k, 1, g->z, n, g->step, 1, 0, g->eta, 1);
		for (int i = 0; i < n; i++)
			s->turn = Max(s->turn, fabs(g->eta[i]));
	}
	if (k > 0)
		cblas_dgemv(CblasColMajor, CblasNoTrans, n, k, 1, g->z, n, g->beta, 1, 0, g->eta, 1);
	for (int i = 0; offset && i < n; i++)
		g->eta[i] += offset[i];
}

/* residuals so that one step from beta = 0 is weighted least squares about eta */
static void
start_from_eta(Glm *g, int n, const double *offset)
{
	for (int i = 0; i < n; i++)
		g->residual[i] += g->root[i] * g->root[i] * (g->eta[i] - (offset ? offset[i] : 0));
}

static void
consume(void *fit, void *state, int n, const double *x, const double *y,
		const double *weight, int64 first)
{
	Glm		   *g = fit;
	State	   *s = state;
	int			k = g->standard.k;
	double	   *gradient = s->number;
	double	   *sum = gradient + k;
	double	   *squares = sum + k;
	double	   *information = squares + k;
	const double *offset = g->fit->rows->offset ? g->fit->rows->offset + first : NULL;

	if (g->elsewhere && g->stage == GLM_START)
		ml_glm_target_add(g, target_of(g, s), n, y, weight);
	ml_standard_block(&g->standard, n, x, g->z);
	if (g->stage == GLM_START)
	{
		if (g->params->l2 > 0)
			ml_standard_moments(&g->standard, n, g->z, weight, sum, squares);
		ml_family_start(g->family, g->link, n, y, g->mean, g->eta);
	}
	else
		predict_rows(g, s, n, offset);
	ml_family_block(g->family, g->link, n, g->eta, y, weight, g->residual, g->root, &s->sums);
	if (g->stage == GLM_START)
		start_from_eta(g, n, offset);
	if (k == 0)
		return;
	cblas_dgemv(CblasColMajor, CblasTrans, n, k, 1, g->z, n, g->residual, 1, 0, gradient, 1);
	for (int j = 0; j < k; j++)
		ml_column_multiply(n, g->root, g->z + (Size) j * n);
	cblas_dsyrk(CblasColMajor, CblasUpper, CblasTrans, k, n, 1, g->z, n, 0, information, k);
}

static void
merge(void *fit, void *state, const void *other)
{
	Glm		   *g = fit;
	State	   *s = state;
	const State *o = other;
	Size		numbers = (Size) g->standard.k * (g->standard.k + 3);

	s->sums.deviance += o->sums.deviance;
	s->sums.pearson += o->sums.pearson;
	s->sums.ratio += o->sums.ratio;
	s->sums.log_ratio += o->sums.log_ratio;
	s->sums.invalid += o->sums.invalid;
	s->turn = Max(s->turn, o->turn);
	for (Size i = 0; i < numbers; i++)
		s->number[i] += o->number[i];
	if (g->elsewhere)
		ml_glm_target_merge(target_of(g, s), target_of(g, unconstify(State *, o)));
}

/* ---- the end of a pass ---- */

/* infinite where a row's eta has no mean */
static double
objective_at(const Glm *g, const State *s)
{
	double		sum = s->sums.deviance / 2;

	for (int j = 0; j < g->standard.k; j++)
		sum += g->penalty[j] / 2 * g->beta[j] * g->beta[j];
	return s->sums.invalid > 0 || !isfinite(sum) ? INFINITY : sum;
}

/* without a penalty, the columns that earlier ones do not explain */
static void
choose_columns(Glm *g, const double *information)
{
	int			k = g->standard.k;

	for (int j = 0; j < k; j++)
		g->kept[j] = j;
	g->nkept = k;
	if (g->params->l2 > 0)
		return;
	memcpy(g->u, information, (Size) k * k * sizeof(double));
	ml_standard_floors(&g->standard, information, g->work);
	g->nkept = ml_cholesky_rank(k, g->u, g->work, g->kept);
}

/*
 * The step from beta by the score and the information there, and what it
 * promises of the objective. False: the information is singular.
 */
static bool
scoring_step(Glm *g, const State *s)
{
	int			k = g->standard.k;
	int			n = g->nkept;
	const double *gradient = s->number;
	const double *information = gradient + 3 * (Size) k;

	for (int j = 0; j < n; j++)
	{
		for (int i = 0; i <= j; i++)
			g->u[i + (Size) j * n] = information[g->kept[i] + (Size) g->kept[j] * k];
		g->u[j + (Size) j * n] += g->penalty[g->kept[j]];
	}
	if (ml_cholesky(n, g->u) != ML_NUM_OK)
		return false;
	memset(g->step, 0, sizeof(double) * k);
	for (int i = 0; i < n; i++)
		g->work[i] = gradient[g->kept[i]] - g->penalty[g->kept[i]] * g->beta[g->kept[i]];
	ml_cholesky_solve(n, g->u, g->work);
	g->promise = 0;
	for (int i = 0; i < n; i++)
	{
		int			j = g->kept[i];

		g->step[j] = g->work[i];
		g->promise += g->step[j] * (gradient[j] - g->penalty[j] * g->beta[j]);
	}
	return true;
}

static void
look_at_null(Glm *g)
{
	if (!g->has_null)
		ml_glm_refuse_start(g);
	memset(g->beta, 0, sizeof(double) * g->standard.k);
	g->beta[0] = g->null_intercept;
	g->stage = GLM_NULL;
}

/* least squares about the starting means */
static void
end_start(Glm *g, const State *s)
{
	int			k = g->standard.k;
	const double *sum = s->number + k;

	if (g->elsewhere)
		ml_glm_target_end(g, target_of(g, unconstify(State *, s)));
	if (!isfinite(s->sums.deviance))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("values of the target or the features are too large to fit"),
				 errdetail("The deviance at the start is not a finite number."),
				 errhint("Train on the values in larger units, for example divided by 1e150.")));
	if (g->params->l2 > 0)
		ml_standard_penalty(&g->standard, g->params->l2, g->weight, sum, sum + k, g->penalty);
	choose_columns(g, s->number + 3 * (Size) k);
	g->stage = GLM_FIRST;
	if (!scoring_step(g, s))
		look_at_null(g);
	else
		memcpy(g->beta, g->step, sizeof(double) * k);
}

/* the next place to look: all of the step, or what halvings leave of it */
static void
try_step(Glm *g)
{
	double		share = ldexp(1, -g->halvings);

	for (int j = 0; j < g->standard.k; j++)
		g->beta[j] = g->accepted[j] + share * g->step[j];
}

/* a pass that found nothing better; true: what was found before is the end */
static bool
reject(Glm *g)
{
	g->halvings++;
	try_step(g);
	if (g->halvings <= MAX_HALVINGS)
		return false;
	memcpy(g->beta, g->accepted, sizeof(double) * g->standard.k);
	if (g->relative_change > g->params->tolerance && g->promise > g->params->tolerance * (fabs(g->objective) + 0.1))
		ml_glm_refuse_divergence(g);
	return true;
}

/*
 * A row that still moves when the deviance has settled has its optimum at
 * infinity: separation, or counts that are all 0 where a column says so.
 */
static void
require_finite_optimum(const Glm *g)
{
	bool		unbounded = g->link == ML_FAMILY_LOG || g->link == ML_FAMILY_LOGIT || g->link == ML_FAMILY_PROBIT;

	if (unbounded && g->params->l2 == 0 && g->turn > TURNING)
		ml_glm_refuse_flat(g);
}

static bool
is_settled(Glm *g)
{
	if (g->promise <= SETTLED * (fabs(g->objective) + 0.1))
		return true;
	return g->relative_change <= g->params->tolerance && ++g->closing_passes > CLOSING_PASSES;
}

static bool
accept_step(Glm *g, const State *s, double objective)
{
	double		change = isfinite(g->objective) ? g->objective - objective : INFINITY;

	g->relative_change = fabs(change) / (fabs(objective) + 0.1);
	g->objective = objective;
	g->sums = s->sums;
	g->turn = s->turn;
	g->halvings = 0;
	memcpy(g->accepted, g->beta, sizeof(double) * g->standard.k);
	if (!scoring_step(g, s))
		ml_glm_refuse_flat(g);
	try_step(g);
	if (is_settled(g))
	{
		require_finite_optimum(g);
		return true;
	}
	if (g->iterations++ >= g->params->max_iterations)
		ml_glm_refuse_divergence(g);
	g->stage = GLM_NEWTON;
	return false;
}

static bool
end_pass(void *fit, void *state)
{
	Glm		   *g = fit;
	State	   *s = state;
	double		objective;

	g->passes++;
	if (g->stage == GLM_START)
	{
		end_start(g, s);
		return false;
	}
	objective = objective_at(g, s);
	if (g->stage == GLM_FIRST && (isinf(objective) || (g->has_null && objective > g->null_deviance / 2)))
	{
		look_at_null(g);
		return false;
	}
	if (g->stage == GLM_NULL && isinf(objective))
		ml_glm_refuse_start(g);
	if (g->stage == GLM_NEWTON && !(objective <= g->objective + SLACK * (fabs(g->objective) + 0.1)))
		return reject(g);
	return accept_step(g, s, objective);
}

static double
objective_value(void *fit)
{
	Glm		   *g = fit;

	return isfinite(g->objective) ? g->objective : NAN;
}

static int
expected_passes(void *fit)
{
	Glm		   *g = fit;

	return Max(7, g->passes + 1);
}

static MlFitted *
finish(void *fit)
{
	return ml_glm_report(fit);
}

const MlAlgorithm ml_glm = {
	.name = "glm",
	.summary = "generalized linear models: gaussian, poisson, gamma and binomial families, with links, offset and exposure",
	.tasks = ML_TASKS_REGRESSION | ML_TASKS_BINARY,
	.gives_probability = true,
	.gives_inference = true,
	.penalised = penalised,
	.offset_column = offset_column,
	.params = params,
	.params_size = sizeof(MlGlmParams),
	.start = start,
	.state_size = state_size,
	.consume = consume,
	.merge = merge,
	.end_pass = end_pass,
	.needs_survey = true,
	.pass_size = ml_glm_pass_size,
	.pass_save = ml_glm_pass_save,
	.pass_load = ml_glm_pass_load,
	.share_size = share_size,
	.share_out = share_out,
	.share_in = share_in,
	.finish = finish,
	.expected_passes = expected_passes,
	.objective = objective_value,
};
