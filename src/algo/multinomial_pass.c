/*
 * multinomial_pass.c
 *		A fit of several classes between two passes as doubles, for passes that
 *		run in SQL.
 *
 * Where the fit is comes first, then the weights of the classes, from which it
 * follows how many coefficients there are; then vectors, the path of penalties,
 * and, only while a step is being halved, the information that the fit may end
 * with.
 */
#include "postgres.h"

#include <math.h>

#include "algo/multinomial.h"

#define MOST_COUNT	1e6

/* whole numbers, then others */
enum
{
	STAGE, LAMBDA, TRIED, BEST, BEGINS, STAGE_PASSES, PASSES, ITERATIONS, HALVINGS, CLOSING, CLOSING_PASSES,
	TURNING_PASSES, NKEPT, NCOLUMNS,
	NCOUNTS,
	NOW_L1 = NCOUNTS, NOW_L2, OBJECTIVE, LOG_LIKELIHOOD, PROMISE, RELATIVE_CHANGE, PREVIOUS_CHANGE, WEIGHT_SUM,
	NULL_LOG_LIKELIHOOD, LARGEST,
	NSCALARS
};

#define NCOLUMN_VECTORS			3	/* of k doubles; kept is one more */
#define NCOEFFICIENT_VECTORS	5	/* of n doubles */

static Size
information_size(const Multinomial *m)
{
	Size		size = (Size) m->nfree * m->nkept;

	return m->halvings > 0 ? size * size : 0;
}

int
ml_multinomial_pass_size(void *fit)
{
	const Multinomial *m = fit;

	return (int) (NSCALARS + m->fit->rows->nclasses + (NCOLUMN_VECTORS + 1) * m->k + NCOEFFICIENT_VECTORS * m->n +
				  3 * m->path.n + information_size(m));
}

static void
list_vectors(const Multinomial *m, double **column, double **coefficient)
{
	double	   *const columns[NCOLUMN_VECTORS] = {m->centre, m->unit, m->deviation};
	double	   *const coefficients[NCOEFFICIENT_VECTORS] = {m->beta, m->accepted, m->step, m->chosen, m->null};

	memcpy(column, columns, sizeof(columns));
	memcpy(coefficient, coefficients, sizeof(coefficients));
}

static double *
put(double *to, const double *from, Size n)
{
	memcpy(to, from, n * sizeof(double));
	return to + n;
}

void
ml_multinomial_pass_save(void *fit, double *pass)
{
	const Multinomial *m = fit;
	const double scalar[NSCALARS] = {
		m->stage, m->lambda, m->path.tried, m->path.best, m->begins, m->stage_passes, m->passes, m->iterations,
		m->halvings, m->closing, m->closing_passes, m->turning_passes, m->nkept, m->k,
		m->now_l1, m->now_l2, m->objective, m->log_likelihood, m->promise, m->relative_change, m->previous_change,
		m->weight_sum, m->null_log_likelihood, m->largest
	};
	double	   *column[NCOLUMN_VECTORS];
	double	   *coefficient[NCOEFFICIENT_VECTORS];

	list_vectors(m, column, coefficient);
	pass = put(pass, scalar, NSCALARS);
	for (int c = 0; c < m->fit->rows->nclasses; c++)
		*pass++ = m->place[c] < 0 ? 0 : m->class_weight[m->place[c]];
	for (int v = 0; v < NCOLUMN_VECTORS; v++)
		pass = put(pass, column[v], m->k);
	for (int j = 0; j < m->k; j++)
		*pass++ = j < m->nkept ? m->kept[j] : 0;
	for (int v = 0; v < NCOEFFICIENT_VECTORS; v++)
		pass = put(pass, coefficient[v], m->n);
	pass = put(pass, m->path.lambda, m->path.n);
	pass = put(pass, m->path.criterion, m->path.n);
	pass = put(pass, m->path.nonzero, m->path.n);
	put(pass, m->information, information_size(m));
}

static bool
load_scalars(Multinomial *m, const double *pass)
{
	for (int i = 0; i < NCOUNTS; i++)
		if (!(pass[i] >= 0 && pass[i] <= MOST_COUNT && pass[i] == rint(pass[i])))
			return false;
	if (pass[STAGE] > ML_STAGE_ALL || pass[STAGE] == ML_STAGE_SAMPLE || pass[NCOLUMNS] != m->k ||
		pass[NKEPT] > m->k || pass[TRIED] > m->path.n || pass[BEST] > Max(pass[TRIED] - 1, 0) ||
		pass[LAMBDA] > m->path.n || (pass[STAGE] == ML_STAGE_PATH && pass[LAMBDA] >= m->path.n))
		return false;
	m->stage = (MlMultinomialStage) pass[STAGE];
	m->lambda = (int) pass[LAMBDA];
	m->path.tried = (int) pass[TRIED];
	m->path.best = (int) pass[BEST];
	m->begins = pass[BEGINS] != 0;
	m->stage_passes = (int) pass[STAGE_PASSES];
	m->passes = (int) pass[PASSES];
	m->iterations = (int) pass[ITERATIONS];
	m->halvings = (int) pass[HALVINGS];
	m->closing = pass[CLOSING] != 0;
	m->closing_passes = (int) pass[CLOSING_PASSES];
	m->turning_passes = (int) pass[TURNING_PASSES];
	m->nkept = (int) pass[NKEPT];
	m->now_l1 = pass[NOW_L1];
	m->now_l2 = pass[NOW_L2];
	m->objective = pass[OBJECTIVE];
	m->log_likelihood = pass[LOG_LIKELIHOOD];
	m->promise = pass[PROMISE];
	m->relative_change = pass[RELATIVE_CHANGE];
	m->previous_change = pass[PREVIOUS_CHANGE];
	m->weight_sum = m->part_weight = pass[WEIGHT_SUM];
	m->null_log_likelihood = pass[NULL_LOG_LIKELIHOOD];
	m->largest = pass[LARGEST];
	return m->weight_sum > 0 && m->now_l1 >= 0 && m->now_l2 >= 0;
}

/* false: one of them is not finite */
static bool
take(double *to, const double **from, Size n)
{
	for (Size i = 0; i < n; i++)
	{
		if (!isfinite((*from)[i]))
			return false;
		to[i] = (*from)[i];
	}
	*from += n;
	return true;
}

static bool
load_kept(Multinomial *m, const double **pass)
{
	int			before = -1;

	for (int j = 0; j < m->nkept; j++)
	{
		double		column = (*pass)[j];

		if (!(column > before && column < m->k && column == rint(column)))
			return false;
		before = m->kept[j] = (int) column;
	}
	*pass += m->k;
	return true;
}

/* classes of weights that are not below 0, two at least */
static bool
load_classes(Multinomial *m, const double **pass)
{
	int			nlabels = m->fit->rows->nclasses;

	for (int c = 0; c < nlabels; c++)
		if (!isfinite((*pass)[c]) || (*pass)[c] < 0)
			return false;
	ml_multinomial_take_classes(m, *pass);
	*pass += nlabels;
	return m->nclasses >= 2;
}

bool
ml_multinomial_pass_load(void *fit, int n, const double *pass)
{
	Multinomial *m = fit;
	double	   *column[NCOLUMN_VECTORS];
	double	   *coefficient[NCOEFFICIENT_VECTORS];
	bool		sound;

	if (n < NSCALARS + m->fit->rows->nclasses || !load_scalars(m, pass))
		return false;
	pass += NSCALARS;
	if (!load_classes(m, &pass) || n != ml_multinomial_pass_size(m))
		return false;
	list_vectors(m, column, coefficient);
	sound = true;
	for (int v = 0; sound && v < NCOLUMN_VECTORS; v++)
		sound = take(column[v], &pass, m->k);
	sound = sound && load_kept(m, &pass);
	for (int v = 0; sound && v < NCOEFFICIENT_VECTORS; v++)
		sound = take(coefficient[v], &pass, m->n);
	if (!sound)
		return false;
	memcpy(m->path.lambda, pass, m->path.n * sizeof(double));
	memcpy(m->path.criterion, pass += m->path.n, m->path.n * sizeof(double));
	memcpy(m->path.nonzero, pass += m->path.n, m->path.n * sizeof(double));
	pass += m->path.n;
	if (!take(m->information, &pass, information_size(m)))
		return false;
	if (m->stage != ML_STAGE_MOMENTS)
		ml_multinomial_penalise(m);
	return true;
}
