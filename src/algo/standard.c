/*
 * standard.c
 *		Rough units, and the way back from them.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "algo/standard.h"
#include "num/dense.h"
#include "num/logit.h"
#include "num/qr.h"

#define UNIT_ROWS		128		/* rows of each of UNIT_PARTS places looked at for centres */
#define UNIT_PARTS		8

/* mean and deviation of a few values, whatever their size; about 0 without an intercept */
static void
rough_unit(MlStandard *s, int j, const double *x, int n)
{
	double		mean = 0;
	double		largest = 0;
	double		sum = 0;

	for (int i = 0; s->first && i < n; i++)
		mean += x[i] / n;
	for (int i = 0; i < n; i++)
		largest = Max(largest, fabs(x[i] - mean));
	for (int i = 0; i < n && largest > 0; i++)
		sum += ((x[i] - mean) / largest) * ((x[i] - mean) / largest);
	s->centre[s->first + j] = mean;
	if (!s->rows->scaled[j])
		s->unit[s->first + j] = 1;
	else if (largest > fabs(mean) * 1e-12)
		s->unit[s->first + j] = 1 / (largest * sqrt(sum / n));
	else
		s->unit[s->first + j] = mean != 0 ? 1 / fabs(mean) : 1;
}

/* the same of rows elsewhere */
static void
surveyed_unit(MlStandard *s, int j)
{
	double		mean = s->rows->survey->mean[j];
	double		deviation = s->rows->survey->deviation[j];

	s->centre[s->first + j] = s->first ? mean : 0;
	if (!s->first)
		deviation = hypot(mean, deviation);
	if (!s->rows->scaled[j])
		s->unit[s->first + j] = 1;
	else if (deviation > fabs(mean) * 1e-12)
		s->unit[s->first + j] = 1 / deviation;
	else
		s->unit[s->first + j] = mean != 0 ? 1 / fabs(mean) : 1;
}

void
ml_standard_make(const MlFit *fit, bool intercept, const char *what, MlStandard *s)
{
	const MlDesignMatrix *rows = fit->rows;
	int			parts = rows->nrows > UNIT_ROWS * UNIT_PARTS ? UNIT_PARTS : 1;
	int			part_rows = parts > 1 ? UNIT_ROWS : (int) rows->nrows;
	double	   *x;
	double	   *gathered;

	s->rows = rows;
	s->p = rows->ncolumns;
	s->first = intercept ? 1 : 0;
	s->k = s->first + s->p;
	s->centre = ml_fit_alloc(fit, s->k, sizeof(double), what);
	s->unit = ml_fit_alloc(fit, s->k, sizeof(double), what);
	if (s->first)
		s->unit[0] = 1;
	for (int j = 0; rows->survey && j < s->p; j++)
		surveyed_unit(s, j);
	if (s->p == 0 || rows->survey)
		return;
	x = ml_fit_alloc(fit, (Size) parts * part_rows * s->p, sizeof(double), what);
	gathered = ml_fit_alloc(fit, parts * part_rows, sizeof(double), what);
	for (int part = 0; part < parts; part++)
		rows->read(rows->arg, (rows->nrows - part_rows) / Max(parts - 1, 1) * part, part_rows,
				   x + (Size) part * part_rows * s->p);
	for (int j = 0; j < s->p; j++)
	{
		for (int part = 0; part < parts; part++)
			memcpy(gathered + part * part_rows, x + ((Size) part * s->p + j) * part_rows,
				   part_rows * sizeof(double));
		rough_unit(s, j, gathered, parts * part_rows);
	}
	ml_aligned_free(x);
	ml_aligned_free(gathered);
}

void
ml_standard_block(const MlStandard *s, int n, const double *x, double *z)
{
	for (int i = 0; s->first && i < n; i++)
		z[i] = 1;
	for (int j = s->first; j < s->k; j++)
		ml_column_standardise(n, x + (Size) (j - s->first) * n, s->centre[j], s->unit[j],
							  z + (Size) j * n);
}

void
ml_standard_moments(const MlStandard *s, int n, const double *z, const double *weight,
					double *sum, double *squares)
{
	for (int j = s->first; j < s->k; j++)
		ml_column_moments(n, z + (Size) j * n, weight, &sum[j], &squares[j]);
}

void
ml_standard_penalty(const MlStandard *s, double l2, double weight,
					const double *sum, const double *squares, double *penalty)
{
	if (s->first)
		penalty[0] = 0;
	for (int j = s->first; j < s->k; j++)
	{
		double		mean = sum[j] / weight;
		double		variance = squares[j] / weight - mean * mean;

		/* a constant counts in its own units */
		if (!s->rows->scaled[j - s->first] || variance <= squares[j] / weight * 1e-13)
			variance = s->unit[j] * s->unit[j];
		penalty[j] = l2 * variance;
	}
}

/*
 * A column is collinear if what earlier ones do not explain of it is shorter
 * than 1e-7 of it, as in linear regression; lengths are those of the columns as
 * they came, not about their centres. Squares lose half of the digits, hence
 * the second bound: below it rounding is all there is.
 */
void
ml_standard_floors(const MlStandard *s, const double *information, double *floor)
{
	const double tolerance = ML_RANK_TOLERANCE * ML_RANK_TOLERANCE;

	for (int j = 0; j < s->k; j++)
	{
		double		own = information[j + (Size) j * s->k];
		double		shift = s->centre[j] * s->unit[j];
		double		whole = own;

		if (s->first)
			whole += shift * (2 * information[(Size) j * s->k] + shift * information[0]);
		floor[j] = Max(tolerance * whole, 2 * (10 + s->k) * DBL_EPSILON * own);
	}
}

/* eta = beta_0 + sum beta_j (x_j - centre_j) unit_j */
void
ml_standard_estimates(const MlStandard *s, const double *beta, MlLinear *linear)
{
	double	   *a;
	double	   *b;

	linear->has_intercept = s->first == 1;
	for (int j = 0; j < s->p; j++)
		linear->coefficient[j].estimate = beta[s->first + j] * s->unit[s->first + j];
	if (!s->first)
		return;
	a = palloc_extended(2 * s->k * sizeof(double), MCXT_ALLOC_HUGE);
	b = a + s->k;
	a[0] = 1;
	b[0] = beta[0];
	for (int j = 0; j < s->p; j++)
	{
		a[1 + j] = -linear->coefficient[j].estimate;
		b[1 + j] = s->centre[1 + j];
	}
	linear->intercept[0].estimate = ml_exact_dot(s->k, a, b);
	pfree(a);
}

void
ml_standard_errors(const MlStandard *s, int nkept, const int *kept, double *u,
				   double spread, double *work, MlLinear *linear)
{
	if (s->first && nkept > 0)
	{
		/* variance of b_0 - sum centre_j unit_j b_j: the square of U'^-1 (1, -centre unit ...) */
		double		sum = 0;

		for (int i = 0; i < nkept; i++)
			work[i] = kept[i] == 0 ? 1 : -s->centre[kept[i]] * s->unit[kept[i]];
		ml_cholesky_half_solve(nkept, u, work);
		for (int i = 0; i < nkept; i++)
			sum += work[i] * work[i];
		linear->intercept[0].std_error = sqrt(sum) * spread;
	}
	ml_upper_inverse(nkept, u);
	for (int i = s->first; i < nkept; i++)
		linear->coefficient[kept[i] - s->first].std_error =
			ml_upper_row_norm(nkept, u, i) * s->unit[kept[i]] * spread;
}
