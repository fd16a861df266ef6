/*
 * kmeans_pass.c
 *		A k-means between two passes: what other processes get to help with one,
 *		and the doubles from which a pass in SQL goes on.
 */
#include "postgres.h"

#include <math.h>

#include "algo/kmeans.h"

/* ---- for other processes: what consume reads ---- */

typedef struct Share
{
	int			k;
	int			p;
	KMeansPhase phase;
	double		number[FLEXIBLE_ARRAY_MEMBER];	/* shift, scale: p each; centres: k x p; half: k */
} Share;

Size
ml_kmeans_share_size(void *fit)
{
	KMeans	   *m = fit;

	return offsetof(Share, number) + sizeof(double) * (2 * m->p + (Size) m->k * (m->p + 1));
}

bool
ml_kmeans_share_out(void *fit, void *shared)
{
	KMeans	   *m = fit;
	Share	   *s = shared;

	if (m->phase < KMEANS_STEP)
		return false;
	s->k = m->k;
	s->p = m->p;
	s->phase = m->phase;
	memcpy(s->number, m->shift, sizeof(double) * m->p);
	memcpy(s->number + m->p, m->scale, sizeof(double) * m->p);
	memcpy(s->number + 2 * m->p, m->step.centre, sizeof(double) * m->k * m->p);
	memcpy(s->number + 2 * m->p + (Size) m->k * m->p, m->step.half, sizeof(double) * m->k);
	return true;
}

void *
ml_kmeans_share_in(void *fit, const MlDesignMatrix *rows, const void *shared)
{
	const Share *s = shared;
	KMeans	   *m = fit;

	if (m == NULL)
	{
		MlFit	   *own = palloc0(sizeof(MlFit));

		own->rows = rows;
		m = palloc0(sizeof(KMeans));
		m->fit = own;
		m->k = s->k;
		m->p = s->p;
		ml_kmeans_step_make(own, m->k, m->p, &m->step);
		ml_kmeans_make_rows(own, ML_BLOCK_ROWS, m->p, &m->block);
	}
	m->phase = s->phase;
	m->shift = unconstify(double *, &s->number[0]);
	m->scale = m->shift + m->p;
	memcpy(m->step.centre, m->scale + m->p, sizeof(double) * m->k * m->p);
	memcpy(m->step.half, m->scale + m->p + (Size) m->k * m->p, sizeof(double) * m->k);
	return m;
}

/* ---- passes elsewhere ---- */

#define NSCALARS 7

int
ml_kmeans_pass_size(void *fit)
{
	KMeans	   *m = fit;

	return NSCALARS + 2 * m->p + m->k * (m->p + 1) + m->iterations;
}

void
ml_kmeans_pass_save(void *fit, double *pass)
{
	KMeans	   *m = fit;
	const double scalar[NSCALARS] = {
		m->phase, m->passes, m->iterations, m->sample_rows, m->sample_iterations, m->squares, m->variance
	};

	memcpy(pass, scalar, sizeof(scalar));
	pass += NSCALARS;
	memcpy(pass, m->shift, m->p * sizeof(double));
	memcpy(pass += m->p, m->scale, m->p * sizeof(double));
	memcpy(pass += m->p, m->count, m->k * sizeof(double));
	memcpy(pass += m->k, m->step.centre, (Size) m->k * m->p * sizeof(double));
	memcpy(pass += (Size) m->k * m->p, m->history, m->iterations * sizeof(double));
}

bool
ml_kmeans_pass_load(void *fit, int n, const double *pass)
{
	KMeans	   *m = fit;

	for (int i = 0; i < n; i++)
		if (!isfinite(pass[i]) || (i < NSCALARS - 2 && !(pass[i] >= 0 && pass[i] <= 1e6 && pass[i] == rint(pass[i]))))
			return false;
	if (n < NSCALARS || pass[0] > KMEANS_COUNT || pass[2] > m->params->max_iterations)
		return false;
	m->iterations = (int) pass[2];
	if (n != ml_kmeans_pass_size(fit))
		return false;
	m->phase = (KMeansPhase) pass[0];
	m->passes = (int) pass[1] + 1;
	m->sample_rows = (int) pass[3];
	m->sample_iterations = (int) pass[4];
	m->squares = pass[5];
	m->variance = pass[6];
	pass += NSCALARS;
	memcpy(m->shift, pass, m->p * sizeof(double));
	memcpy(m->scale, pass += m->p, m->p * sizeof(double));
	memcpy(m->count, pass += m->p, m->k * sizeof(double));
	memcpy(m->step.centre, pass += m->k, (Size) m->k * m->p * sizeof(double));
	memcpy(m->history, pass += (Size) m->k * m->p, m->iterations * sizeof(double));
	m->converged = m->phase == KMEANS_COUNT && m->iterations < m->params->max_iterations;
	ml_kmeans_begin(m);
	return true;
}
