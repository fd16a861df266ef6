/*
 * penalty.c
 *		The elastic net penalty and its path.
 */
#include "postgres.h"

#include <math.h>

#include "algo/penalty.h"

/* a path is left when the criterion has been worse than its best for so many lambdas */
#define PATIENCE	10

/* with hardly any l1 no penalty removes all coefficients: the largest is then as glmnet has it */
#define LEAST_L1_RATIO	1e-3

const char *const ml_path_names[] = {"none", "holdout", "aic", "bic", NULL};

bool
ml_is_penalised(const MlPenaltyParams *p)
{
	return p->l1 > 0 || p->l2 > 0 || p->path != ML_PATH_NONE;
}

void
ml_penalty_check(const MlPenaltyParams *p)
{
	if (p->path != ML_PATH_NONE && (p->l1 > 0 || p->l2 > 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"path\" chooses the penalty, so \"%s\" cannot be given", p->l1 > 0 ? "l1" : "l2"),
				 errdetail("With \"path\" = \"%s\" the penalties follow from the data; \"path_l1_ratio\" says which part of them is l1.",
						   ml_path_names[p->path]),
				 errhint("Leave one of them out.")));
}

void
ml_penalty_check_elsewhere(const MlPenaltyParams *p, const MlFit *fit)
{
	if (fit->rows->survey != NULL && p->path == ML_PATH_HOLDOUT)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("\"path\" cannot be \"holdout\" for passes in SQL"),
				 errdetail("It holds out the last of the rows, which come in no order there."),
				 errhint("Choose by \"aic\" or \"bic\", or train in memory.")));
}

int64
ml_path_rows(const MlPenaltyParams *p, int64 nrows)
{
	int64		held = (int64) (nrows * p->path_holdout);

	if (p->path != ML_PATH_HOLDOUT)
		return nrows;
	return nrows - Max(held, Min(nrows - 1, 1));
}

void
ml_path_alloc(MlPath *path, const MlFit *fit, const MlPenaltyParams *p)
{
	int			n = p->path == ML_PATH_NONE ? 0 : (int) p->path_lambdas;

	path->params = p;
	path->n = n;
	path->lambda = ml_fit_alloc(fit, n, sizeof(double), "path of penalties");
	path->criterion = ml_fit_alloc(fit, n, sizeof(double), "path of penalties");
	path->nonzero = ml_fit_alloc(fit, n, sizeof(double), "path of penalties");
}

void
ml_path_begin(MlPath *path, double gradient)
{
	double		largest = gradient / Max(path->params->path_l1_ratio, LEAST_L1_RATIO);

	for (int i = 0; i < path->n; i++)
		path->lambda[i] = largest * pow(path->params->path_ratio, (double) i / (path->n - 1));
	path->tried = 0;
	path->best = 0;
}

bool
ml_path_add(MlPath *path, double criterion, int nonzero)
{
	path->criterion[path->tried] = criterion;
	path->nonzero[path->tried] = nonzero;
	if (criterion < path->criterion[path->best])
		path->best = path->tried;
	path->tried++;
	return path->tried < path->n && path->tried - path->best <= PATIENCE;
}

double
ml_path_information(const MlPath *path, double deviance, double df, double nrows)
{
	if (df > nrows / 2)
		return INFINITY;
	return deviance + (path->params->path == ML_PATH_BIC ? log(nrows) : 2) * df;
}

void
ml_penalty_report(const MlPath *path, double l1, double l2, int nonzero, MlFitted *fitted)
{
	ml_fitted_fact(fitted, "l1", l1);
	ml_fitted_fact(fitted, "l2", l2);
	ml_fitted_fact(fitted, "nonzero", nonzero);
	if (path == NULL || path->n == 0)
		return;
	ml_fitted_series(fitted, "path_lambda", path->tried, path->lambda);
	ml_fitted_series(fitted, "path_criterion", path->tried, path->criterion);
	ml_fitted_series(fitted, "path_nonzero", path->tried, path->nonzero);
	if (path->best == path->n - 1)
		ml_fitted_note(fitted, "the smallest penalty of the path was best: a smaller \"path_ratio\" may be better");
}
