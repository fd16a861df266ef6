/*
 * paired.c
 *		The difference of a metric between two versions on the same rows.
 *
 * Shares of the same rows, of equal weight (accuracy, recall): McNemar 1947, "Note on the
 * sampling error of the difference between correlated proportions or percentages",
 * Psychometrika 12, corrected for continuity (Edwards 1948), with the interval of Newcombe 1998, "Improved confidence intervals for the difference
 * between binomial proportions based on paired data", Statistics in Medicine
 * 17, method 10. Else the influences of a row on both are subtracted: for the
 * area under the ROC curve that is DeLong's test, for a mean the paired t test.
 */
#include "postgres.h"

#include <math.h>

#include "interrupts.h"
#include "metric/interval.h"
#include "metric/measure.h"

#define MOST_EXACT 25			/* discordant rows */

void
ml_paired_by_error(MlPaired *result, double error, double df, int64 n)
{
	double		d = result->difference;
	double		half = ml_quantile_t(df) * error;
	double		ratio = (ML_NORMAL_975 + ML_NORMAL_80) * error / d;

	result->error = error;
	if (isnan(error))
		return;
	result->low = d - half;
	result->high = d + half;
	result->p_value = d == 0.0 ? 1.0 : error > 0.0 ? ml_tail_t(d / error, df) : 0.0;
	result->needed = d == 0.0 ? NAN : ceil(n * ratio * ratio);
}

/* ---- shares ---- */

double
ml_mcnemar(double one, double other)
{
	double		n = one + other;
	double		fewer = fmin(one, other);
	double		p = 0.0;

	if (one == other)
		return 1.0;
	if (n > MOST_EXACT)
		return ml_tail_normal((fabs(one - other) - 1) / sqrt(n));
	for (int k = 0; k <= (int) fewer; k++)
		p += exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) - n * M_LN2);
	return fmin(2 * p, 1.0);
}

/* the correlation of the two, Newcombe's phi with his correction for continuity */
static double
correlation(const double cell[4])
{
	double		rows = (cell[0] + cell[1]) * (cell[2] + cell[3]);
	double		columns = (cell[0] + cell[2]) * (cell[1] + cell[3]);
	double		n = cell[0] + cell[1] + cell[2] + cell[3];
	double		product = cell[0] * cell[3] - cell[1] * cell[2];

	if (rows == 0.0 || columns == 0.0)
		return 0.0;
	if (product > 0.0)
		product = fmax(product - n / 2, 0.0);
	return product / sqrt(rows * columns);
}

void
ml_newcombe_paired(const double cell[4], double *low, double *high)
{
	double		n = cell[0] + cell[1] + cell[2] + cell[3];
	double		one = (cell[0] + cell[1]) / n;
	double		two = (cell[0] + cell[2]) / n;
	double		phi = correlation(cell);
	double		l1;
	double		u1;
	double		l2;
	double		u2;
	double		below;
	double		above;

	ml_wilson(one, n, &l1, &u1);
	ml_wilson(two, n, &l2, &u2);
	below = (one - l1) * (one - l1) - 2 * phi * (one - l1) * (u2 - two) + (u2 - two) * (u2 - two);
	above = (two - l2) * (two - l2) - 2 * phi * (two - l2) * (u1 - one) + (u1 - one) * (u1 - one);
	*low = one - two - sqrt(fmax(below, 0.0));
	*high = one - two + sqrt(fmax(above, 0.0));
}

/* false: rows are in question for one of the two alone, or their weights differ */
static bool
count_cells(const MlSample *first, const MlSample *second, double cell[4])
{
	const MlMeasurement *rows = &first->rows;

	memset(cell, 0, sizeof(double) * 4);
	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		if (isnan(first->value[i]) != isnan(second->value[i]) ||
			ml_measure_weight(rows, i) != ml_measure_weight(rows, 0))
			return false;
		if (!isnan(first->value[i]))
			cell[2 * (first->value[i] < 0.5) + (second->value[i] < 0.5)]++;
	}
	return cell[0] + cell[1] + cell[2] + cell[3] > 0.0;
}

static void
compare_shares(const double cell[4], int64 rows, MlPaired *result)
{
	double		n = cell[0] + cell[1] + cell[2] + cell[3];
	double		discordant = cell[1] + cell[2];

	ml_paired_by_error(result, sqrt(fmax(discordant - (cell[1] - cell[2]) * (cell[1] - cell[2]) / n, 0.0)) / n,
					   INFINITY, rows);
	result->p_value = ml_mcnemar(cell[1], cell[2]);
	ml_newcombe_paired(cell, &result->low, &result->high);
}

/* ---- by influence ---- */

static void
compare_influences(const MlMetric *metric, const MlSample *first, const MlSample *second, MlPaired *result)
{
	int64		n = first->rows.n;
	double	   *one = palloc_extended(sizeof(double) * Max(n, 1), MCXT_ALLOC_HUGE);
	double	   *two = palloc_extended(sizeof(double) * Max(n, 1), MCXT_ALLOC_HUGE);
	MlSum		squares = {0};

	result->first = ml_influence(metric, first, one);
	result->second = ml_influence(metric, second, two);
	result->difference = result->first - result->second;
	for (int64 i = 0; i < n; i++)
	{
		double		d = ml_measure_weight(&first->rows, i) * (one[i] - two[i]);

		ml_check_row(i);
		ml_sum_add(&squares, d * d);
	}
	if (isfinite(result->difference))
		ml_paired_by_error(result, sqrt(ml_sum_get(&squares)), Max(n - 1, 1), n);
	pfree(one);
	pfree(two);
}

void
ml_interval_paired(const MlMetric *metric, const MlSample *first, const MlSample *second, MlPaired *result)
{
	const MlIntervalRule *rule = ml_interval_rule(metric);
	MlIntervalKind kind = ml_interval_kind(metric, &first->rows);
	double		cell[4];

	memset(result, 0, sizeof(MlPaired));
	result->first = result->second = result->difference = NAN;
	result->low = result->high = result->p_value = result->needed = result->error = NAN;
	if (first->rows.n == 0)
		return;
	if (kind != ML_INTERVAL_BOOTSTRAP && kind != ML_INTERVAL_NONE)
	{
		compare_influences(metric, first, second, result);
		if (kind == ML_INTERVAL_SHARE && rule->transform == NULL && count_cells(first, second, cell))
			compare_shares(cell, first->rows.n, result);
		return;
	}
	result->first = metric->measure(&first->rows);
	result->second = metric->measure(&second->rows);
	result->difference = result->first - result->second;
	if (kind == ML_INTERVAL_BOOTSTRAP)
		ml_bootstrap_paired(metric, first, second, result);
}
