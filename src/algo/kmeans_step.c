/*
 * kmeans_step.c
 *		One step of Lloyd's algorithm on a block of rows.
 *
 * The nearest centre is the one of least |c|^2 / 2 - z c: the products of all
 * rows and centres are one dgemm, the sums of the rows of each centre another.
 * Rows are standardised, or at least centred, so that little cancels; what is
 * reported at last is computed by ml_kmeans_measure, term by term, as scoring
 * does.
 */
#include "postgres.h"

#include <math.h>

#include "algo/kmeans.h"

#include <cblas.h>

void
ml_kmeans_step_make(const MlFit *fit, int k, int p, KMeansStep *step)
{
	step->k = k;
	step->p = p;
	step->centre = ml_fit_alloc(fit, (Size) k * p, sizeof(double), "centres of clusters");
	step->half = ml_fit_alloc(fit, k, sizeof(double), "centres of clusters");
	step->product = ml_fit_alloc(fit, (Size) k * ML_BLOCK_ROWS, sizeof(double), "distances to centres");
	step->nearest = ml_fit_alloc(fit, ML_BLOCK_ROWS, sizeof(double), "distances to centres");
	step->first = ml_fit_alloc(fit, ML_BLOCK_ROWS, sizeof(double), "distances to centres");
	step->second = ml_fit_alloc(fit, ML_BLOCK_ROWS, sizeof(double), "distances to centres");
	step->distance = ml_fit_alloc(fit, ML_BLOCK_ROWS, sizeof(double), "distances to centres");
}

void
ml_kmeans_step_begin(KMeansStep *step, const double *count)
{
	for (int c = 0; c < step->k; c++)
	{
		const double *centre = step->centre + (Size) c * step->p;

		step->half[c] = count != NULL && count[c] == 0 ? INFINITY :
			0.5 * cblas_ddot(step->p, centre, 1, centre, 1);
	}
}

/* the nearest centre by |c|^2 / 2 - z c, into step->nearest */
ML_CLONES static void
choose(KMeansStep *step, int n, int ld)
{
	for (int i = 0; i < n; i += ML_LANES)
	{
		MlVec		least = ML_SPLAT(INFINITY);
		MlVec		nearest = ML_SPLAT(0.0);

		for (int c = 0; c < step->k; c++)
		{
			MlVec		d = ML_SPLAT(step->half[c]) - ML_LOAD(step->product + (Size) c * ld + i);
			MlVecInt	nearer = (MlVecInt) (d < least);

			least = vec_select(nearer, d, least);
			nearest = vec_select(nearer, ML_SPLAT((double) c), nearest);
		}
		ML_STORE(step->nearest + i, nearest);
	}
}

/* the weight of each row at its centre, 0 elsewhere, into step->product; adds the counts */
ML_CLONES static void
mark(KMeansStep *step, int n, int ld, const double *weight, double *count)
{
	for (int c = 0; c < step->k; c++)
	{
		double	   *at = step->product + (Size) c * ld;
		MlVec		sum = ML_SPLAT(0.0);

		for (int i = 0; i < n; i += ML_LANES)
		{
			MlVecInt	here = (MlVecInt) (ML_LOAD(step->nearest + i) == ML_SPLAT((double) c));
			MlVec		w = vec_select(here, ML_LOAD(weight + i), ML_SPLAT(0.0));

			ML_STORE(at + i, w);
			sum += w;
		}
		count[c] += vec_sum(sum);
	}
}

void
ml_kmeans_assign(KMeansStep *step, const KMeansRows *rows, int first, int n, double *count, double *sum)
{
	int			ld = ml_padded(n);
	int			p = step->p;
	int			k = step->k;

	cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, n, k, p, 1.0, rows->z + first, rows->ld,
				step->centre, p, 0.0, step->product, ld);
	choose(step, n, ld);
	mark(step, n, ld, rows->weight + first, count);
	cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, p, k, n, 1.0, rows->z + first, rows->ld,
				step->product, ld, 1.0, sum, p);
}

ML_CLONES void
ml_kmeans_measure(KMeansStep *step, const KMeansRows *rows, int first, int n)
{
	for (int i = 0; i < ml_padded(n); i++)
	{
		step->nearest[i] = 0;
		step->first[i] = step->second[i] = INFINITY;
	}
	for (int c = 0; c < step->k; c++)
	{
		if (isinf(step->half[c]))
			continue;
		ml_distances(n, step->p, rows->z + first, rows->ld, step->centre + (Size) c * step->p, step->distance);
		ml_take_nearest(n, step->distance, c, step->nearest, step->first, step->second);
	}
}

double
ml_kmeans_move(KMeansStep *step, const double *count, const double *sum)
{
	double		moved = 0;

	for (int c = 0; c < step->k; c++)
	{
		double	   *centre = step->centre + (Size) c * step->p;

		for (int j = 0; count[c] > 0 && j < step->p; j++)
		{
			double		to = sum[(Size) c * step->p + j] / count[c];

			moved += (to - centre[j]) * (to - centre[j]);
			centre[j] = to;
		}
	}
	return moved;
}

double
ml_kmeans_inertia(const KMeansStep *step, double squares, const double *count, const double *sum)
{
	for (int c = 0; c < step->k; c++)
		if (count[c] > 0)
			squares -= 2 * cblas_ddot(step->p, step->centre + (Size) c * step->p, 1, sum + (Size) c * step->p, 1) -
				2 * count[c] * step->half[c];
	return Max(squares, 0.0);
}
