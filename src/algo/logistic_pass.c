/*
 * logistic_pass.c
 *		A logistic fit between two passes as doubles, for passes that run in SQL.
 *
 * Where the fit is comes first, then what newton_pass.h carries.
 */
#include "postgres.h"

#include "algo/logistic.h"
#include "algo/newton_pass.h"

#define NSCALARS 21

static MlNewtonPass
vectors_of(const Logistic *l)
{
	MlNewtonPass p = {
		l->k, {l->centre, l->unit, l->beta, l->accepted, l->step, l->penalty},
		l->nkept, l->kept, l->u, l->halvings > 0
	};

	return p;
}

int
ml_logistic_pass_size(void *fit)
{
	MlNewtonPass vectors = vectors_of(fit);

	return NSCALARS + ml_newton_pass_size(&vectors);
}

void
ml_logistic_pass_save(void *fit, double *pass)
{
	const Logistic *l = fit;
	MlNewtonPass vectors = vectors_of(fit);
	const double scalar[NSCALARS] = {
		l->weight, l->share, l->null_log_likelihood, l->stage_begins, l->from_null, l->chosen, l->warm,
		l->stage_passes, l->passes, l->iterations, l->halvings, l->closing, l->closing_passes,
		l->turning_passes, l->objective, l->log_likelihood, l->promise, l->relative_change,
		l->previous_change, l->nkept, l->k
	};

	memcpy(pass, scalar, sizeof(scalar));
	ml_newton_pass_save(&vectors, pass + NSCALARS);
}

static bool
load_scalars(Logistic *l, const double *pass)
{
	int			whole[] = {3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 19, 20};

	for (int i = 0; i < lengthof(whole); i++)
		if (ml_newton_pass_count(pass[whole[i]]) < 0)
			return false;
	l->weight = pass[0];
	l->share = pass[1];
	l->null_log_likelihood = pass[2];
	l->stage_begins = pass[3] != 0;
	l->from_null = pass[4] != 0;
	l->chosen = pass[5] != 0;
	l->warm = pass[6] != 0;
	l->stage_passes = ml_newton_pass_count(pass[7]);
	l->passes = ml_newton_pass_count(pass[8]);
	l->iterations = ml_newton_pass_count(pass[9]);
	l->halvings = ml_newton_pass_count(pass[10]);
	l->closing = pass[11] != 0;
	l->closing_passes = ml_newton_pass_count(pass[12]);
	l->turning_passes = ml_newton_pass_count(pass[13]);
	l->objective = pass[14];
	l->log_likelihood = pass[15];
	l->promise = pass[16];
	l->relative_change = pass[17];
	l->previous_change = pass[18];
	l->nkept = ml_newton_pass_count(pass[19]);
	return ml_newton_pass_count(pass[20]) == l->k && l->nkept <= l->k && l->weight > 0 && l->share > 0 && l->share < 1;
}

bool
ml_logistic_pass_load(void *fit, int n, const double *pass)
{
	Logistic   *l = fit;
	MlNewtonPass vectors;

	if (n < NSCALARS + (ML_NEWTON_VECTORS + 1) * l->k || !load_scalars(l, pass))
		return false;
	vectors = vectors_of(l);
	if (n != NSCALARS + ml_newton_pass_size(&vectors) || !ml_newton_pass_load(&vectors, pass + NSCALARS))
		return false;
	l->sample = 0;
	return true;
}
