/*
 * multinomial_start.c
 *		The beginning of a fit of several classes: which of them occur, and memory
 *		for all that follows.
 *
 * Rows elsewhere are known by a survey. Where a later pass begins there the
 * survey says nothing; multinomial_pass.c then puts in what the fit knew.
 */
#include "postgres.h"

#include <math.h>

#include "algo/multinomial.h"
#include "algo/units.h"
#include "compat.h"
#include "errors.h"

#define NEWTON_COEFFICIENTS	2000	/* a pass multiplies their square by the rows */
#define MOST_COEFFICIENTS	10000000	/* of which L-BFGS holds 44 vectors */

void
ml_multinomial_take_classes(Multinomial *m, const double *weight)
{
	int			nlabels = m->fit->rows->nclasses;

	m->nclasses = 0;
	for (int c = 0; c < nlabels; c++)
	{
		m->place[c] = weight[c] > 0 ? m->nclasses : -1;
		if (m->place[c] < 0)
			continue;
		m->label[m->nclasses] = c;
		m->class_weight[m->nclasses++] = weight[c];
	}
	m->base = m->unpenalised || m->fit->task == ML_TASKS_BINARY ? 1 : 0;
	m->nfree = m->nclasses - m->base;
	m->npairs = m->nclasses * (m->nclasses - 1) / 2;
	m->n = m->nfree * m->k;
}

/* which classes occur, and their weights */
static void
find_classes(Multinomial *m)
{
	const MlDesignMatrix *rows = m->fit->rows;
	int			nlabels = rows->nclasses;
	double	   *weight = ml_fit_alloc(m->fit, nlabels, sizeof(double), "logistic regression");

	for (int64 i = 0; rows->survey == NULL && i < rows->nrows; i++)
	{
		double		w = rows->weight ? rows->weight[i] : 1;

		weight[(int) rows->y[i]] += w;
		m->weight_sum += w;
		if (i < m->fitted_rows)
			m->part_weight += w;
	}
	if (rows->survey)
	{
		memcpy(weight, rows->survey->class_weight, sizeof(double) * nlabels);
		m->weight_sum = m->part_weight = rows->survey->weight;
	}
	m->place = ml_fit_alloc(m->fit, nlabels, sizeof(int), "logistic regression");
	m->label = ml_fit_alloc(m->fit, nlabels, sizeof(int), "logistic regression");
	m->class_weight = ml_fit_alloc(m->fit, nlabels, sizeof(double), "logistic regression");
	ml_multinomial_take_classes(m, weight);
	if (m->nclasses < 2)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("the target has only one class in the training rows"),
				 errdetail("\"%s\" needs rows of at least two classes; all " INT64_FORMAT " rows are of one.",
						   "logistic_regression", rows->nrows),
				 errhint("Train on rows of several classes.")));
}

ml_noreturn static void refuse_size(const Multinomial *m, const char *what, int limit);

static void
refuse_size(const Multinomial *m, const char *what, int limit)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("\"logistic_regression\" has too many coefficients for %s", what),
			 errdetail("%d classes of %d coefficients each are %zu; the limit is %d.",
					   m->nfree, m->k, (Size) m->nfree * m->k, limit),
			 errhint("Train with a ridge penalty alone and the usual solver, params => '{\"l2\": 1}', or on fewer features or levels (\"max_categories\").")));
}

/* Newton's method would take hours, and gigabytes, for more of them */
static void
choose_solver(Multinomial *m)
{
	const MlPenaltyParams *penalty = &m->params->penalty;
	bool		smooth = penalty->l1 == 0 && penalty->path == ML_PATH_NONE;
	bool		many = m->nclasses > 2 && (Size) m->nfree * m->k > NEWTON_COEFFICIENTS;

	if (m->params->solver == ML_SOLVER_LBFGS && !smooth)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"solver\" lbfgs is for \"l2\" alone"),
				 errdetail("\"l1\" and \"path\" leave columns out, where the objective has no gradient."),
				 errhint("Leave \"solver\" out, or give \"l2\" instead.")));
	if (m->fit->rows->survey && m->params->solver == ML_SOLVER_LBFGS)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("passes in SQL fit \"logistic_regression\" by Newton's method"),
				 errdetail("\"solver\" is lbfgs."),
				 errhint("Leave it out, or train in memory.")));
	if (many && m->fit->rows->survey)
		refuse_size(m, "passes in SQL", NEWTON_COEFFICIENTS);
	if (many && !smooth)
		refuse_size(m, "\"l1\" and \"path\"", NEWTON_COEFFICIENTS);
	if (many && m->params->solver == ML_SOLVER_NEWTON)
		refuse_size(m, "\"solver\" newton", NEWTON_COEFFICIENTS);
	if ((Size) m->nfree * m->k > MOST_COEFFICIENTS)
		refuse_size(m, "one model", MOST_COEFFICIENTS);
	m->large = many || m->params->solver == ML_SOLVER_LBFGS;
}

static void
alloc_block(Multinomial *m)
{
	const char *what = "logistic regression";
	Size		classes = (Size) m->nclasses * ML_BLOCK_ROWS;

	m->z = ml_fit_alloc(m->fit, (Size) Max(m->k, 1) * ML_BLOCK_ROWS, sizeof(double), what);
	m->scaled = ml_fit_alloc(m->fit, (Size) Max(m->k, 1) * ML_BLOCK_ROWS, sizeof(double), what);
	m->eta = ml_fit_alloc(m->fit, classes, sizeof(double), what);
	m->residual = ml_fit_alloc(m->fit, classes, sizeof(double), what);
	m->root = ml_fit_alloc(m->fit, classes, sizeof(double), what);
	m->y = ml_fit_alloc(m->fit, ML_BLOCK_ROWS, sizeof(double), what);
	m->weight = ml_fit_alloc(m->fit, ML_BLOCK_ROWS, sizeof(double), what);
	m->root_weight = ml_fit_alloc(m->fit, ML_BLOCK_ROWS, sizeof(double), what);
	m->row = ml_fit_alloc(m->fit, ML_BLOCK_ROWS, sizeof(double), what);
}

static void
alloc_coefficients(Multinomial *m)
{
	const char *what = "logistic regression";
	Size		k = m->k;
	Size		n = m->n;
	double	  **vector[] = {&m->l1, &m->l2, &m->null};

	for (int i = 0; i < lengthof(vector); i++)
		*vector[i] = ml_fit_alloc(m->fit, n, sizeof(double), what);
	m->centre = ml_fit_alloc(m->fit, k, sizeof(double), what);
	m->unit = ml_fit_alloc(m->fit, k, sizeof(double), what);
	m->deviation = ml_fit_alloc(m->fit, k, sizeof(double), what);
	m->work = ml_fit_alloc(m->fit, k, sizeof(double), what);
	m->kept = ml_fit_alloc(m->fit, k, sizeof(int), what);
	if (m->large && m->unpenalised)
		m->information = ml_fit_alloc(m->fit, k * k, sizeof(double), what);
}

/* what Newton's method needs */
static void
alloc_newton(Multinomial *m)
{
	const char *what = "logistic regression";
	Size		n = m->n;
	double	  **vector[] = {&m->beta, &m->accepted, &m->step, &m->chosen, &m->right};

	for (int i = 0; i < lengthof(vector); i++)
		*vector[i] = ml_fit_alloc(m->fit, n, sizeof(double), what);
	m->information = ml_fit_alloc(m->fit, n * n, sizeof(double), what);
	m->factor = ml_fit_alloc(m->fit, ml_coordinate_work_size(n), sizeof(double), what);
	m->descent.n = m->n;
	m->descent.gram = m->information;
	m->descent.linear = m->right;
	m->descent.l1 = m->l1;
	m->descent.l2 = m->l2;
	m->descent.b = ml_fit_alloc(m->fit, n, sizeof(double), what);
	m->descent.gradient = ml_fit_alloc(m->fit, n, sizeof(double), what);
	m->descent.active = ml_fit_alloc(m->fit, n, sizeof(int), what);
	m->descent.work = m->factor;
}

void *
ml_multinomial_start(const MlFit *fit)
{
	const MlLogisticParams *p = fit->params;
	Multinomial *m = ml_fit_alloc(fit, 1, sizeof(Multinomial), "logistic regression");

	m->fit = fit;
	m->params = p;
	m->unpenalised = !ml_is_penalised(&p->penalty);
	m->p = fit->rows->ncolumns;
	m->first = p->intercept ? 1 : 0;
	m->k = m->first + m->p;
	ml_require_rows(fit, "logistic_regression", m->unpenalised ? Max(m->k, 1) : 1);
	ml_penalty_check_elsewhere(&p->penalty, fit);
	m->fitted_rows = fit->rows->survey ? PG_INT64_MAX : ml_path_rows(&p->penalty, fit->rows->nrows);
	find_classes(m);

	choose_solver(m);
	alloc_block(m);
	alloc_coefficients(m);
	if (m->large)
		ml_multinomial_quasi_alloc(m);
	else
		alloc_newton(m);
	ml_path_alloc(&m->path, fit, &p->penalty);
	if (m->first)
		m->unit[0] = 1;
	ml_rough_units(fit, m->first > 0, m->z, m->row, m->centre + m->first, m->unit + m->first);
	m->stage = ML_STAGE_MOMENTS;
	m->now_l1 = p->penalty.l1;
	m->now_l2 = p->penalty.l2;
	return m;
}
