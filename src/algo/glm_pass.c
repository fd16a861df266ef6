/*
 * glm_pass.c
 *		A generalized linear model between two passes as doubles, for passes
 *		that run in SQL.
 *
 * Where the fit is comes first, then the vectors, then, only while a step is
 * being halved, the factor of the information that the fit may end with.
 */
#include "postgres.h"

#include <math.h>

#include "algo/glm.h"

#define NSCALARS 22

/* the vectors of k doubles */
#define NVECTORS 6

static int
factor_size(const Glm *g)
{
	return g->halvings > 0 ? g->nkept * g->nkept : 0;
}

int
ml_glm_pass_size(void *fit)
{
	const Glm  *g = fit;

	return NSCALARS + (NVECTORS + 1) * g->standard.k + factor_size(g);
}

void
ml_glm_pass_save(void *fit, double *pass)
{
	const Glm  *g = fit;
	int			k = g->standard.k;
	const double *const vector[NVECTORS] = {g->standard.centre, g->standard.unit, g->beta, g->accepted, g->step, g->penalty};
	const double scalar[NSCALARS] = {
		k, g->nkept, g->stage, g->passes, g->iterations, g->halvings, g->closing_passes, g->has_null,
		g->weight, g->mean, g->null_intercept, g->null_deviance, g->target_sum, g->objective,
		g->sums.deviance, g->sums.pearson, g->sums.ratio, g->sums.log_ratio, g->sums.invalid,
		g->turn, g->promise, g->relative_change
	};

	memcpy(pass, scalar, sizeof(scalar));
	pass += NSCALARS;
	for (int v = 0; v < NVECTORS; v++, pass += k)
		memcpy(pass, vector[v], k * sizeof(double));
	for (int j = 0; j < k; j++)
		pass[j] = j < g->nkept ? g->kept[j] : 0;
	memcpy(pass + k, g->u, factor_size(g) * sizeof(double));
}

/* a count among the doubles; -1: it is none */
static int
count(double value)
{
	return value >= 0 && value <= 1e6 && value == rint(value) ? (int) value : -1;
}

static bool
load_scalars(Glm *g, const double *pass)
{
	for (int i = 0; i < 8; i++)
		if (count(pass[i]) < 0)
			return false;
	if (count(pass[0]) != g->standard.k || pass[1] > g->standard.k || pass[2] > GLM_NEWTON ||
		pass[5] > 1000 || pass[7] > 1 || !(pass[8] > 0) || !isfinite(pass[9]))
		return false;
	g->nkept = count(pass[1]);
	g->stage = (GlmStage) count(pass[2]);
	g->passes = count(pass[3]);
	g->iterations = count(pass[4]);
	g->halvings = count(pass[5]);
	g->closing_passes = count(pass[6]);
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
	int			k = g->standard.k;
	double	   *const vector[NVECTORS] = {g->standard.centre, g->standard.unit, g->beta, g->accepted, g->step, g->penalty};
	int			before = -1;

	if (n < NSCALARS + (NVECTORS + 1) * k || !load_scalars(g, pass) || n != ml_glm_pass_size(fit))
		return false;
	pass += NSCALARS;
	for (int v = 0; v < NVECTORS; v++, pass += k)
		for (int j = 0; j < k; j++)
		{
			if (!isfinite(pass[j]))
				return false;
			vector[v][j] = pass[j];
		}
	for (int j = 0; j < g->nkept; j++)
	{
		g->kept[j] = count(pass[j]);
		if (g->kept[j] <= before || g->kept[j] >= k)
			return false;
		before = g->kept[j];
	}
	memcpy(g->u, pass + k, factor_size(g) * sizeof(double));
	return true;
}
