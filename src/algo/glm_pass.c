/*
 * glm_pass.c
 *		A generalized linear model between two passes as doubles, for passes
 *		that run in SQL.
 *
 * Where the fit is comes first, then what newton_pass.h carries.
 */
#include "postgres.h"

#include <math.h>

#include "algo/glm.h"
#include "algo/newton_pass.h"

#define NSCALARS 22

static MlNewtonPass
vectors_of(const Glm *g)
{
	MlNewtonPass p = {
		g->standard.k, {g->standard.centre, g->standard.unit, g->beta, g->accepted, g->step, g->penalty},
		g->nkept, g->kept, g->u, g->halvings > 0
	};

	return p;
}

int
ml_glm_pass_size(void *fit)
{
	MlNewtonPass vectors = vectors_of(fit);

	return NSCALARS + ml_newton_pass_size(&vectors);
}

void
ml_glm_pass_save(void *fit, double *pass)
{
	const Glm  *g = fit;
	MlNewtonPass vectors = vectors_of(fit);
	const double scalar[NSCALARS] = {
		g->standard.k, g->nkept, g->stage, g->passes, g->iterations, g->halvings, g->closing_passes, g->has_null,
		g->weight, g->mean, g->null_intercept, g->null_deviance, g->target_sum, g->objective,
		g->sums.deviance, g->sums.pearson, g->sums.ratio, g->sums.log_ratio, g->sums.invalid,
		g->turn, g->promise, g->relative_change
	};

	memcpy(pass, scalar, sizeof(scalar));
	ml_newton_pass_save(&vectors, pass + NSCALARS);
}

static bool
load_scalars(Glm *g, const double *pass)
{
	for (int i = 0; i < 8; i++)
		if (ml_newton_pass_count(pass[i]) < 0)
			return false;
	if (ml_newton_pass_count(pass[0]) != g->standard.k || pass[1] > g->standard.k || pass[2] > GLM_NEWTON ||
		pass[5] > 1000 || pass[7] > 1 || !(pass[8] > 0) || !isfinite(pass[9]))
		return false;
	g->nkept = ml_newton_pass_count(pass[1]);
	g->stage = (GlmStage) ml_newton_pass_count(pass[2]);
	g->passes = ml_newton_pass_count(pass[3]);
	g->iterations = ml_newton_pass_count(pass[4]);
	g->halvings = ml_newton_pass_count(pass[5]);
	g->closing_passes = ml_newton_pass_count(pass[6]);
	g->has_null = pass[7] != 0;
	g->weight = pass[8];
	g->mean = pass[9];
	g->null_intercept = pass[10];
	g->null_deviance = pass[11];
	g->target_sum = pass[12];
	g->objective = pass[13];
	g->sums.deviance = pass[14];
	g->sums.pearson = pass[15];
	g->sums.ratio = pass[16];
	g->sums.log_ratio = pass[17];
	g->sums.invalid = pass[18];
	g->turn = pass[19];
	g->promise = pass[20];
	g->relative_change = pass[21];
	return true;
}

bool
ml_glm_pass_load(void *fit, int n, const double *pass)
{
	Glm		   *g = fit;
	MlNewtonPass vectors;

	if (n < NSCALARS + (ML_NEWTON_VECTORS + 1) * g->standard.k || !load_scalars(g, pass))
		return false;
	vectors = vectors_of(g);
	if (n != NSCALARS + ml_newton_pass_size(&vectors) || !ml_newton_pass_load(&vectors, pass + NSCALARS))
		return false;
	return true;
}
