/*
 * multinomial_rows.c
 *		What a block of rows adds to the sums of a fit of several classes.
 */
#include "postgres.h"

#include <math.h>

#include "algo/multinomial.h"
#include "miscadmin.h"
#include "num/logit.h"

#include <cblas.h>

/* of a state, which is as large for the first pass as for the others */
Size
ml_multinomial_numbers(const Multinomial *m)
{
	Size		gradient = (Size) m->nclasses * m->k;
	Size		square = (Size) m->k * m->k;

	if (m->large)
		return gradient + (m->unpenalised ? square : m->k);
	return gradient + m->npairs * square;
}

/* rows elsewhere may not be those of the survey */
static void
refuse_class(int label)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a pass of \"logistic_regression\" has rows of class %d, of which the first one had none", label),
			 errhint("Run all passes on one snapshot: BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ.")));
}

/* rows [from, to) of a block into z, y and weight; returns their number rounded up, which the columns have */
static int
take_rows(Multinomial *m, int n, const double *x, const double *y, const double *weight, int from, int to)
{
	int			rows = to - from;
	int			padded = (rows + ML_SOFTMAX_ROWS - 1) / ML_SOFTMAX_ROWS * ML_SOFTMAX_ROWS;

	for (int i = 0; m->first && i < rows; i++)
		m->z[i] = 1;
	for (int j = m->first; j < m->k; j++)
		ml_column_standardise(rows, x + (Size) (j - m->first) * n + from, m->centre[j], m->unit[j],
							  m->z + (Size) j * padded);
	for (int j = 0; j < m->k; j++)
		for (int i = rows; i < padded; i++)
			m->z[i + (Size) j * padded] = 0;
	for (int i = 0; i < padded; i++)
	{
		m->y[i] = i < rows ? m->place[(int) y[from + i]] : 0;
		if (m->y[i] < 0)
			refuse_class((int) y[from + i]);
		m->weight[i] = i >= rows ? 0 : weight ? weight[from + i] : 1;
		m->root_weight[i] = sqrt(m->weight[i]);
	}
	return padded;
}

/* sums of squares, of which a fit by gradients has no use for more */
static void
add_squares(Multinomial *m, double *squares, int n)
{
	for (int j = 0; j < m->k; j++)
	{
		const double *z = m->z + (Size) j * n;

		ml_column_product(n, m->weight, z, z, m->row);
		for (int i = 0; i < n; i++)
			squares[j] += m->row[i];
	}
}

/* second moments, and the sums of columns by class */
static void
add_moments(Multinomial *m, MlMultinomialState *s, int n)
{
	int			k = m->k;

	for (int c = 0; c < m->nclasses; c++)
	{
		for (int i = 0; i < n; i++)
			m->row[i] = m->y[i] == c ? m->weight[i] : 0;
		cblas_dgemv(CblasColMajor, CblasTrans, n, k, 1, m->z, n, m->row, 1, 0, s->number + (Size) c * k, 1);
	}
	if (m->large && !m->unpenalised)
	{
		add_squares(m, s->number + (Size) m->nclasses * k, n);
		return;
	}
	for (int j = 0; j < k; j++)
		ml_column_multiply(n, m->root_weight, m->z + (Size) j * n);
	cblas_dsyrk(CblasColMajor, CblasUpper, CblasTrans, k, n, 1, m->z, n, 0,
				s->number + (Size) m->nclasses * k, k);
}

static void
compute_eta(Multinomial *m, const double *coefficient, int n)
{
	memset(m->eta, 0, sizeof(double) * n * m->nclasses);
	if (m->k > 0)
		cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, n, m->nfree, m->k, 1, m->z, n,
					coefficient, m->k, 0, m->eta + (Size) m->base * n, n);
}

/* how far the last step turned rows to their own side of another class (> 0) or away from it */
static void
turn_of_rows(Multinomial *m, MlMultinomialState *s, int n)
{
	compute_eta(m, m->step, n);
	for (int i = 0; i < n; i++)
		for (int c = 0; m->weight[i] > 0 && c < m->nclasses; c++)
		{
			double		turn = m->eta[i + (Size) m->y[i] * n] - m->eta[i + (Size) c * n];

			s->least_turn = Min(s->least_turn, turn);
			s->most_turn = Max(s->most_turn, turn);
		}
}

/* the gradient, and what Newton's method wants besides */
static void
add_information(Multinomial *m, MlMultinomialState *s, int n)
{
	int			k = m->k;
	double	   *pairs = s->number + (Size) m->nclasses * k;

	cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, k, m->nclasses, n, 1, m->z, n,
				m->residual, n, 0, s->number, k);
	for (int c = 0; !m->large && c < m->nclasses; c++)
		for (int d = c + 1; d < m->nclasses; d++)
		{
			CHECK_FOR_INTERRUPTS();
			ml_column_product(n, m->root_weight, m->root + (Size) c * n, m->root + (Size) d * n, m->row);
			for (int j = 0; j < k; j++)
			{
				memcpy(m->scaled + (Size) j * n, m->z + (Size) j * n, n * sizeof(double));
				ml_column_multiply(n, m->row, m->scaled + (Size) j * n);
			}
			cblas_dsyrk(CblasColMajor, CblasUpper, CblasTrans, k, n, 1, m->scaled, n, 0,
						pairs + ML_PAIR(m, c, d) * k * k, k);
		}
}

void
ml_multinomial_consume(void *fit, void *state, int n, const double *x, const double *y,
		const double *weight, int64 first)
{
	Multinomial *m = fit;
	MlMultinomialState *s = state;
	MlSoftmaxSums sums;
	int			fitted = n;
	int			rows;

	if (m->stage == ML_STAGE_PATH)
		fitted = (int) Max(Min(m->fitted_rows - first, n), 0);
	if (fitted > 0)
	{
		rows = take_rows(m, n, x, y, weight, 0, fitted);
		if (m->stage == ML_STAGE_MOMENTS)
		{
			if (m->k > 0)
				add_moments(m, s, rows);
			return;
		}
		compute_eta(m, m->beta, rows);
		ml_softmax_block(rows, m->nclasses, m->eta, m->y, m->weight, m->residual, m->root, m->row, &sums);
		s->log_likelihood = sums.log_likelihood;
		s->least_margin = sums.least_margin;
		s->any = true;
		if (m->closing)
			turn_of_rows(m, s, rows);
		if (m->k > 0)
			add_information(m, s, rows);
	}
	if (fitted < n)
	{
		rows = take_rows(m, n, x, y, weight, fitted, n);
		compute_eta(m, m->beta, rows);
		ml_softmax_block(rows, m->nclasses, m->eta, m->y, m->weight, m->residual, m->root, m->row, &sums);
		s->held_log_likelihood = sums.log_likelihood;
	}
}

void
ml_multinomial_merge(void *fit, void *state, const void *other)
{
	MlMultinomialState *s = state;
	const MlMultinomialState *o = other;
	Size		n = ml_multinomial_numbers(fit);

	if (o->any)
		s->least_margin = s->any ? Min(s->least_margin, o->least_margin) : o->least_margin;
	s->any |= o->any;
	s->log_likelihood += o->log_likelihood;
	s->held_log_likelihood += o->held_log_likelihood;
	s->least_turn = Min(s->least_turn, o->least_turn);
	s->most_turn = Max(s->most_turn, o->most_turn);
	for (Size i = 0; i < n; i++)
		s->number[i] += o->number[i];
}
