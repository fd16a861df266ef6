/*
 * logistic_pass.c
 *		A logistic fit between two passes as doubles, for passes that run in SQL.
 *
 * Where the fit is comes first, then the vectors, then, only while a step is
 * being halved, the factor of the information that the fit may end with.
 */
#include "postgres.h"

#include <math.h>

#include "algo/logistic.h"

#define NSCALARS 21

/* the vectors of k doubles */
#define NVECTORS 6

static int
factor_size(const Logistic *l)
{
	return l->halvings > 0 ? l->nkept * l->nkept : 0;
}

int
ml_logistic_pass_size(void *fit)
{
	const Logistic *l = fit;

	return NSCALARS + (NVECTORS + 1) * l->k + factor_size(l);
}

void
ml_logistic_pass_save(void *fit, double *pass)
{
	const Logistic *l = fit;
	const double *const vector[NVECTORS] = {l->centre, l->unit, l->beta, l->accepted, l->step, l->penalty};
	const double scalar[NSCALARS] = {
		l->weight, l->share, l->null_log_likelihood, l->stage_begins, l->from_null, l->chosen, l->warm,
		l->stage_passes, l->passes, l->iterations, l->halvings, l->closing, l->closing_passes,
		l->turning_passes, l->objective, l->log_likelihood, l->promise, l->relative_change,
		l->previous_change, l->nkept, l->k
	};

	memcpy(pass, scalar, sizeof(scalar));
	pass += NSCALARS;
	for (int v = 0; v < NVECTORS; v++, pass += l->k)
		memcpy(pass, vector[v], l->k * sizeof(double));
	for (int j = 0; j < l->k; j++)
		pass[j] = j < l->nkept ? l->kept[j] : 0;
	memcpy(pass + l->k, l->u, factor_size(l) * sizeof(double));
}

/* a count among the doubles; -1: it is none */
static int
count(double value)
{
	return value >= 0 && value <= 1e6 && value == rint(value) ? (int) value : -1;
}

static bool
load_scalars(Logistic *l, const double *pass)
{
	int			whole[] = {3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 19, 20};

	for (int i = 0; i < lengthof(whole); i++)
		if (count(pass[whole[i]]) < 0)
			return false;
	l->weight = pass[0];
	l->share = pass[1];
	l->null_log_likelihood = pass[2];
	l->stage_begins = pass[3] != 0;
	l->from_null = pass[4] != 0;
	l->chosen = pass[5] != 0;
	l->warm = pass[6] != 0;
	l->stage_passes = count(pass[7]);
	l->passes = count(pass[8]);
	l->iterations = count(pass[9]);
	l->halvings = count(pass[10]);
	l->closing = pass[11] != 0;
	l->closing_passes = count(pass[12]);
	l->turning_passes = count(pass[13]);
	l->objective = pass[14];
	l->log_likelihood = pass[15];
	l->promise = pass[16];
	l->relative_change = pass[17];
	l->previous_change = pass[18];
	l->nkept = count(pass[19]);
	return count(pass[20]) == l->k && l->nkept <= l->k && l->weight > 0 && l->share > 0 && l->share < 1;
}

bool
ml_logistic_pass_load(void *fit, int n, const double *pass)
{
	Logistic   *l = fit;
	double	   *const vector[NVECTORS] = {l->centre, l->unit, l->beta, l->accepted, l->step, l->penalty};
	int			before = -1;

	if (n < NSCALARS + (NVECTORS + 1) * l->k || !load_scalars(l, pass) ||
		n != ml_logistic_pass_size(fit))
		return false;
	pass += NSCALARS;
	for (int v = 0; v < NVECTORS; v++, pass += l->k)
		for (int j = 0; j < l->k; j++)
		{
			if (!isfinite(pass[j]))
				return false;
			vector[v][j] = pass[j];
		}
	for (int j = 0; j < l->nkept; j++)
	{
		l->kept[j] = count(pass[j]);
		if (l->kept[j] <= before || l->kept[j] >= l->k)
			return false;
		before = l->kept[j];
	}
	memcpy(l->u, pass + l->k, factor_size(l) * sizeof(double));
	l->sample = 0;
	return true;
}
