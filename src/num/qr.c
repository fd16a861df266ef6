/*
 * qr.c
 *		Householder QR of a block under a triangle.
 *
 * Up to SMALL_COLUMNS columns the reflections are applied one by one to a
 * block that stays in the first- or second-level cache, four columns at a time:
 * BLAS calls on matrices that thin would spend their time in being called. Wider
 * blocks go through LAPACK's dtpqrt, which gathers reflections into products.
 */
#include <math.h>

#include "num/qr.h"
#include "num/vector.h"

#include <lapacke.h>

#define SMALL_COLUMNS	256
#define CACHE_DOUBLES	3584	/* 28 kB of a first-level cache of 32 kB */
#define PANEL_COLUMNS	32		/* reflections that dtpqrt gathers */
#define WIDE_BLOCK_ROWS 1024

int
ml_qr_block_rows(int n)
{
	int			m;

	if (n > SMALL_COLUMNS)
		return WIDE_BLOCK_ROWS;
	m = CACHE_DOUBLES / n / ML_LANES * ML_LANES;
	if (m < 64)
		m = 64;
	return m < 256 ? m : 256;
}

size_t
ml_qr_work_size(int n)
{
	size_t		panels = (size_t) n * PANEL_COLUMNS * 2;	/* T and dtpqrt's own */
	size_t		copy = (size_t) ((n + ML_LANES - 1) / ML_LANES * ML_LANES) * n;

	return panels + copy;
}

/* sum of squares of m doubles, m a multiple of 4 */
ML_INLINE double
square_norm(const double *v, int m)
{
	MlVec		sum = ML_SPLAT(0.0);

	for (int i = 0; i < m; i += ML_LANES)
		sum += ML_LOAD(v + i) * ML_LOAD(v + i);
	return vec_sum(sum);
}

/*
 * The reflection that zeroes v under alpha (Golub & Van Loan, Matrix
 * Computations, 4th ed., algorithm 5.1.1): H = I - tau (1, v) (1, v)'. v is
 * scaled in place; returns tau, 0 if v is zero already.
 */
ML_INLINE double
make_reflection(double *alpha, double *v, int m)
{
	double		sigma = square_norm(v, m);
	double		beta;
	double		tau;
	MlVec		scale;

	if (sigma == 0)
		return 0;
	beta = -copysign(sqrt(*alpha * *alpha + sigma), *alpha);
	tau = (beta - *alpha) / beta;
	scale = ML_SPLAT(1.0 / (*alpha - beta));
	for (int i = 0; i < m; i += ML_LANES)
		ML_STORE(v + i, ML_LOAD(v + i) * scale);
	*alpha = beta;
	return tau;
}

/* applies it to one column: top is its element beside alpha */
ML_INLINE void
reflect_one(double tau, const double *v, int m, double *top, double *c)
{
	MlVec		sum = ML_SPLAT(0.0);
	double		w;

	for (int i = 0; i < m; i += ML_LANES)
		sum += ML_LOAD(v + i) * ML_LOAD(c + i);
	w = tau * (*top + vec_sum(sum));
	*top -= w;
	for (int i = 0; i < m; i += ML_LANES)
		ML_STORE(c + i, ML_LOAD(c + i) - ML_SPLAT(w) * ML_LOAD(v + i));
}

/* applies it to four columns, so that v is loaded once for all */
ML_INLINE void
reflect_four(double tau, const double *v, int m, double *top, size_t ldr,
			 double *c, size_t ldb)
{
	double	   *c0 = c;
	double	   *c1 = c + ldb;
	double	   *c2 = c + 2 * ldb;
	double	   *c3 = c + 3 * ldb;
	MlVec		s0 = ML_SPLAT(0.0);
	MlVec		s1 = s0;
	MlVec		s2 = s0;
	MlVec		s3 = s0;
	double		w0;
	double		w1;
	double		w2;
	double		w3;

	for (int i = 0; i < m; i += ML_LANES)
	{
		MlVec		x = ML_LOAD(v + i);

		s0 += x * ML_LOAD(c0 + i);
		s1 += x * ML_LOAD(c1 + i);
		s2 += x * ML_LOAD(c2 + i);
		s3 += x * ML_LOAD(c3 + i);
	}
	w0 = tau * (top[0] + vec_sum(s0));
	w1 = tau * (top[ldr] + vec_sum(s1));
	w2 = tau * (top[2 * ldr] + vec_sum(s2));
	w3 = tau * (top[3 * ldr] + vec_sum(s3));
	top[0] -= w0;
	top[ldr] -= w1;
	top[2 * ldr] -= w2;
	top[3 * ldr] -= w3;
	for (int i = 0; i < m; i += ML_LANES)
	{
		MlVec		x = ML_LOAD(v + i);

		ML_STORE(c0 + i, ML_LOAD(c0 + i) - ML_SPLAT(w0) * x);
		ML_STORE(c1 + i, ML_LOAD(c1 + i) - ML_SPLAT(w1) * x);
		ML_STORE(c2 + i, ML_LOAD(c2 + i) - ML_SPLAT(w2) * x);
		ML_STORE(c3 + i, ML_LOAD(c3 + i) - ML_SPLAT(w3) * x);
	}
}

/*
 * Column by column. triangle says that B is upper triangular itself, so that
 * column j has nothing below row j (zeros up to the next multiple of 4).
 */
ML_CLONES static void
update_small(int n, double *r, int m, double *b, int ldb, bool triangle)
{
	for (int j = 0; j < n; j++)
	{
		double	   *v = b + (size_t) j * ldb;
		int			len = triangle ? j + 1 : m;
		double		tau;
		int			k = j + 1;

		len = (len + ML_LANES - 1) / ML_LANES * ML_LANES;
		tau = make_reflection(&r[j + (size_t) j * n], v, len);
		if (tau == 0)
			continue;
		for (; k + 4 <= n; k += 4)
			reflect_four(tau, v, len, r + j + (size_t) k * n, n,
						 b + (size_t) k * ldb, ldb);
		for (; k < n; k++)
			reflect_one(tau, v, len, r + j + (size_t) k * n, b + (size_t) k * ldb);
	}
}

static void
update_wide(int n, double *r, int m, double *b, int ldb, int triangle_rows, double *work)
{
	int			panel = n < PANEL_COLUMNS ? n : PANEL_COLUMNS;

	LAPACKE_dtpqrt_work(LAPACK_COL_MAJOR, m, n, triangle_rows, panel, r, n, b, ldb,
						work, panel, work + (size_t) panel * n);
}

void
ml_qr_update(int n, double *r, int m, double *b, int ldb, double *work)
{
	if (m == 0 || n == 0)
		return;
	if (n <= SMALL_COLUMNS)
		update_small(n, r, m, b, ldb, false);
	else
		update_wide(n, r, m, b, ldb, 0, work);
}

void
ml_qr_merge(int n, double *r, const double *other, double *work)
{
	int			ld = (n + ML_LANES - 1) / ML_LANES * ML_LANES;
	double	   *copy = work + (size_t) n * PANEL_COLUMNS * 2;

	if (n == 0)
		return;
	for (int j = 0; j < n; j++)
	{
		memcpy(copy + (size_t) j * ld, other + (size_t) j * n, sizeof(double) * (j + 1));
		memset(copy + (size_t) j * ld + j + 1, 0, sizeof(double) * (ld - j - 1));
	}
	if (n <= SMALL_COLUMNS)
		update_small(n, r, n, copy, ld, true);
	else
		update_wide(n, r, n, copy, ld, n, work);
}

static double
column_norm(const double *v, int m)
{
	double		scale = 0;
	double		sum = 0;

	for (int i = 0; i < m; i++)
		if (fabs(v[i]) > scale)
			scale = fabs(v[i]);
	if (scale == 0 || !isfinite(scale))
		return scale;
	for (int i = 0; i < m; i++)
		sum += (v[i] / scale) * (v[i] / scale);
	return scale * sqrt(sum);
}

/*
 * Rows [first, last] of column j become (norm, 0 ... 0)', and the columns
 * after it are reflected with it.
 */
static void
fold_column(int n, double *r, int j, int first, int last, double *v)
{
	double	   *column = r + (size_t) j * n;
	double		norm = column_norm(column + first, last - first + 1);
	double		beta = -copysign(norm, column[first]);
	double		vtv;

	for (int i = first; i <= last; i++)
		v[i] = column[i] / norm;
	v[first] -= beta / norm;
	vtv = 0;
	for (int i = first; i <= last; i++)
		vtv += v[i] * v[i];
	for (int k = j + 1; k < n; k++)
	{
		double	   *c = r + (size_t) k * n;
		double		dot = 0;

		for (int i = first; i <= last; i++)
			dot += v[i] * c[i];
		dot *= 2 / vtv;
		for (int i = first; i <= last; i++)
			c[i] -= dot * v[i];
	}
	column[first] = beta;
	for (int i = first + 1; i <= last; i++)
		column[i] = 0;
}

int
ml_qr_rank(int n, double *r, int ncandidates, int *kept, double *work)
{
	int			rank = 0;

	for (int j = 0; j < ncandidates; j++)
	{
		double	   *column = r + (size_t) j * n;
		double		whole = column_norm(column, j + 1);
		double		rest = column_norm(column + rank, j + 1 - rank);

		if (!(rest > ML_RANK_TOLERANCE * whole))
			continue;
		if (rank < j)
			fold_column(n, r, j, rank, j, work);
		kept[rank++] = j;
	}
	return rank;
}
