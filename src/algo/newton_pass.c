/*
 * newton_pass.c
 *		Newton's method between two passes that run elsewhere; newton_pass.h says
 *		what. The doubles come back from where nobody need be trusted.
 */
#include "postgres.h"

#include <math.h>

#include "algo/newton_pass.h"

static int
factor_size(const MlNewtonPass *p)
{
	return p->halving ? p->nkept * p->nkept : 0;
}

int
ml_newton_pass_size(const MlNewtonPass *p)
{
	return (ML_NEWTON_VECTORS + 1) * p->k + factor_size(p);
}

void
ml_newton_pass_save(const MlNewtonPass *p, double *pass)
{
	for (int v = 0; v < ML_NEWTON_VECTORS; v++, pass += p->k)
		memcpy(pass, p->vector[v], p->k * sizeof(double));
	for (int j = 0; j < p->k; j++)
		pass[j] = j < p->nkept ? p->kept[j] : 0;
	memcpy(pass + p->k, p->u, factor_size(p) * sizeof(double));
}

int
ml_newton_pass_count(double value)
{
	return value >= 0 && value <= 1e6 && value == rint(value) ? (int) value : -1;
}

bool
ml_newton_pass_load(MlNewtonPass *p, const double *pass)
{
	int			before = -1;

	for (int v = 0; v < ML_NEWTON_VECTORS; v++, pass += p->k)
		for (int j = 0; j < p->k; j++)
		{
			if (!isfinite(pass[j]))
				return false;
			p->vector[v][j] = pass[j];
		}
	for (int j = 0; j < p->nkept; j++)
	{
		p->kept[j] = ml_newton_pass_count(pass[j]);
		if (p->kept[j] <= before || p->kept[j] >= p->k)
			return false;
		before = p->kept[j];
	}
	memcpy(p->u, pass + p->k, factor_size(p) * sizeof(double));
	return true;
}
