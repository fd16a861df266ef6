/*
 * multinomial_step.c
 *		One step of a fit of several classes: from the sums over rows to where
 *		to look next.
 *
 * The information has a block for each two classes c and d, -Z'W_cd Z with
 * W_cd = w p_c p_d, and the diagonal blocks are the sums of the others, because
 * p_c (1 - p_c) = sum over d of p_c p_d. So the pairs of classes are all that
 * has to be added up.
 *
 * Without l1 the step solves (H + l2) step = g - l2 b by Cholesky. With l1 it
 * goes to the minimum of the quadratic model with the penalties as they are,
 * which coordinate descent finds: a proximal Newton step (Friedman, Hastie &
 * Tibshirani 2010; Lee, Sun & Saunders, Proximal Newton-type methods for
 * minimizing composite functions, SIAM J. Optimization 24, 2014).
 *
 * With coefficients for every class the likelihood does not change when all
 * intercepts do alike. Their squared sum is added to the model, with a weight
 * of the size of the information; at the minimum it is 0 and costs nothing.
 */
#include "postgres.h"

#include <math.h>

#include "algo/multinomial.h"
#include "errors.h"
#include "interrupts.h"
#include "num/dense.h"

#include <cblas.h>

#define TOLERANCE		1e-9	/* of sweeps, before the equations are tried */
#define SWEEP_WORK		1e7		/* multiplications between checks for interrupts */
#define MOST_SWEEPS		200000

double
ml_multinomial_share_of_rows(const Multinomial *m)
{
	if (m->stage == ML_STAGE_SAMPLE)
		return (double) m->sample / m->fit->rows->nrows;
	if (m->stage == ML_STAGE_PATH)
		return m->part_weight / m->weight_sum;
	return 1;
}

void
ml_multinomial_penalise(Multinomial *m)
{
	double		share = ml_multinomial_share_of_rows(m);

	for (int c = 0; c < m->nfree; c++)
		for (int j = 0; j < m->k; j++)
		{
			Size		i = (Size) c * m->k + j;
			double		d = m->deviation[j];

			m->l1[i] = m->now_l1 * share * d;
			m->l2[i] = m->now_l2 * share * d * d;

			/* what keeps a sample from diverging */
			if (m->stage == ML_STAGE_SAMPLE)
				m->l2[i] += j < m->first ? 1e-3 : 1;
		}
}

double
ml_multinomial_objective(const Multinomial *m, double log_likelihood)
{
	double		sum = -log_likelihood;

	for (int i = 0; i < m->n; i++)
		sum += m->l1[i] * fabs(m->beta[i]) + m->l2[i] / 2 * m->beta[i] * m->beta[i];
	return sum;
}

/* where entry i of the columns kept lies among all */
static inline Size
entry(const Multinomial *m, int i)
{
	return (Size) (i / m->nkept) * m->k + m->kept[i % m->nkept];
}

/* adds factor times a pair's block to that of the free classes c and d */
static void
add_block(Multinomial *m, const double *pair, int c, int d, double factor)
{
	int			size = m->nfree * m->nkept;

	for (int j = 0; j < m->nkept; j++)
		for (int i = 0; i < m->nkept; i++)
		{
			int			low = Min(m->kept[i], m->kept[j]);
			int			high = Max(m->kept[i], m->kept[j]);

			m->information[(Size) c * m->nkept + i + ((Size) d * m->nkept + j) * size] +=
				factor * pair[low + (Size) high * m->k];
		}
}

/* the whole information of the free classes and the columns kept */
static void
build_information(Multinomial *m, const double *pairs)
{
	Size		size = (Size) m->nfree * m->nkept;
	double		trace = 0;

	memset(m->information, 0, size * size * sizeof(double));
	for (int c = 0; c < m->nclasses; c++)
		for (int d = c + 1; d < m->nclasses; d++)
		{
			const double *pair = pairs + ML_PAIR(m, c, d) * m->k * m->k;
			int			fc = c - m->base;
			int			fd = d - m->base;

			if (fc >= 0)
			{
				add_block(m, pair, fc, fc, 1);
				add_block(m, pair, fc, fd, -1);
				add_block(m, pair, fd, fc, -1);
			}
			add_block(m, pair, fd, fd, 1);
		}
	m->balance = 0;
	if (m->base > 0 || m->first == 0)
		return;
	for (int c = 0; c < m->nfree; c++)
		trace += m->information[(Size) c * m->nkept * (size + 1)];
	m->balance = trace / m->nfree;
	for (int c = 0; c < m->nfree; c++)
		for (int d = 0; d < m->nfree; d++)
			m->information[(Size) c * m->nkept + (Size) d * m->nkept * size] += m->balance;
}

/* H + l2 = factor' factor */
bool
ml_multinomial_factor(Multinomial *m)
{
	int			size = m->nfree * m->nkept;

	memcpy(m->factor, m->information, (Size) size * size * sizeof(double));
	for (int i = 0; i < size; i++)
		m->factor[i + (Size) i * size] += m->l2[entry(m, i)];
	return ml_cholesky(size, m->factor) == ML_NUM_OK;
}

static bool
newton_step(Multinomial *m, const double *gradient)
{
	int			size = m->nfree * m->nkept;

	if (!ml_multinomial_factor(m))
		return false;
	for (int i = 0; i < size; i++)
		m->right[i] = gradient[entry(m, i)] - m->l2[entry(m, i)] * m->accepted[entry(m, i)];
	ml_cholesky_solve(size, m->factor, m->right);
	for (int i = 0; i < size; i++)
		m->step[entry(m, i)] = m->right[i];
	return true;
}

/* to the minimum of the quadratic model with l1; all columns are kept */
static bool
proximal_step(Multinomial *m, const double *gradient)
{
	int			size = m->n;
	int			sweeps = (int) Max(1, SWEEP_WORK / Max((double) size * size, 1));
	MlNumStatus status = ML_NUM_NO_CONVERGENCE;

	memcpy(m->right, gradient, size * sizeof(double));
	if (size > 0)
		cblas_dgemv(CblasColMajor, CblasNoTrans, size, size, 1, m->information, size, m->accepted, 1, 1, m->right, 1);
	memcpy(m->descent.b, m->accepted, size * sizeof(double));
	ml_coordinate_begin(&m->descent, TOLERANCE);
	for (int done = 0; status == ML_NUM_NO_CONVERGENCE && done < MOST_SWEEPS; done += sweeps)
	{
		CHECK_FOR_INTERRUPTS();
		status = ml_coordinate_sweep(&m->descent, sweeps);
	}
	if (status == ML_NUM_NOT_FINITE)
		return false;
	for (int i = 0; i < size; i++)
		m->step[i] = m->descent.b[i] - m->accepted[i];
	return true;
}

/* change of the deviance, halved, to first order */
static double
promise_of(const Multinomial *m, const double *gradient)
{
	double		sum = 0;

	for (int i = 0; i < m->n; i++)
		sum += m->step[i] * (gradient[i] - m->l2[i] * m->accepted[i]) +
			m->l1[i] * (fabs(m->accepted[i]) - fabs(m->accepted[i] + m->step[i]));
	return sum;
}

bool
ml_multinomial_step(Multinomial *m, const MlMultinomialState *s)
{
	const double *gradient = s->number + (Size) m->base * m->k;
	const double *pairs = s->number + (Size) m->nclasses * m->k;

	build_information(m, pairs);
	memset(m->step, 0, m->n * sizeof(double));
	if (m->now_l1 > 0 ? !proximal_step(m, gradient) : !newton_step(m, gradient))
		return false;
	m->promise = promise_of(m, gradient);
	m->previous_change = m->relative_change;
	m->relative_change = fabs(m->promise) / (fabs(2 * m->log_likelihood) + 0.1);
	return isfinite(m->relative_change);
}

int
ml_multinomial_nonzero(const Multinomial *m)
{
	int			n = 0;

	for (int c = 0; c < m->nfree; c++)
		for (int j = m->first; j < m->k; j++)
			n += m->accepted[(Size) c * m->k + j] != 0;
	return n;
}

double
ml_multinomial_df(Multinomial *m)
{
	int			constants = m->first * (m->nclasses - 1);
	int			nonzero = ml_multinomial_nonzero(m);
	int			n = 0;
	double		trace = 0;

	if (m->now_l2 == 0)
		return constants + nonzero;
	for (int i = 0; i < m->n; i++)
		if (m->accepted[i] != 0 || m->l2[i] == 0)
			m->descent.active[n++] = i;
	for (int j = 0; j < n; j++)
		for (int i = 0; i <= j; i++)
			m->factor[i + (Size) j * n] = m->information[m->descent.active[i] + (Size) m->descent.active[j] * m->n] +
				(i == j ? m->l2[m->descent.active[i]] : 0);
	if (ml_cholesky(n, m->factor) != ML_NUM_OK || ml_upper_inverse(n, m->factor) != ML_NUM_OK)
		return constants + nonzero;
	for (int i = 0; i < n; i++)
	{
		double		norm = ml_upper_row_norm(n, m->factor, i);

		trace += m->l2[m->descent.active[i]] * norm * norm;
	}
	return constants + nonzero - trace;
}

double
ml_multinomial_violation(const Multinomial *m, const MlMultinomialState *s)
{
	const double *gradient = s->number + (Size) m->base * m->k;
	double		most = 0;

	for (int i = 0; i < m->n; i++)
	{
		double		b = m->accepted[i];
		double		g = gradient[i] - m->l2[i] * b;
		double		d = m->deviation[i % m->k] > 0 ? m->deviation[i % m->k] : 1;

		if (b == 0)
			most = Max(most, (fabs(g) - m->l1[i]) / d);
		else
			most = Max(most, fabs(g - (b > 0 ? m->l1[i] : -m->l1[i])) / d);
	}
	return m->largest > 0 ? most / m->largest : 0;
}
