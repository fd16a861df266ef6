/*
 * interval.c
 *		Intervals of 95 % of one metric, by its kind.
 *
 * Shares: Wilson 1927, "Probable inference, the law of succession, and
 * statistical inference", JASA 22, with the number of rows that the variance of the weighted
 * share amounts to (Kish's effective sample size; Korn & Graybard 1998). Means: Student's t,
 * on the scale of logarithms where losses cannot be negative, whose means are skewed to
 * the right. Other linearised metrics: the normal, on a scale that keeps them in their range. The
 * area under the ROC curve as DeLong's paper has it, cut off at 0 and 1.
 */
#include "postgres.h"

#include <math.h>

#include "interrupts.h"
#include "metric/interval.h"
#include "metric/measure.h"

void
ml_wilson(double share, double n, double *low, double *high)
{
	double		z2 = ML_NORMAL_975 * ML_NORMAL_975;
	double		centre = share + z2 / (2 * n);
	double		half = ML_NORMAL_975 * sqrt(share * (1 - share) / n + z2 / (4 * n * n));

	*low = share <= 0.0 ? 0.0 : fmax((centre - half) / (1 + z2 / n), 0.0);
	*high = share >= 1.0 ? 1.0 : fmin((centre + half) / (1 + z2 / n), 1.0);
}

static inline double
transformed(const MlIntervalRule *rule, double x)
{
	return rule->transform != NULL ? rule->transform(x) : x;
}

/* ---- shares ---- */

/* weights and their squares of the rows whose value is 0, and 1 */
static void
from_sums(const MlIntervalRule *rule, const double weight[2], const double square[2], MlInterval *result)
{
	double		total = weight[0] + weight[1];
	double		share = weight[1] / total;
	double		n;

	if (!(total > 0.0))
		return;
	if (weight[0] > 0.0 && weight[1] > 0.0)
		n = share * (1 - share) * total * total / (share * share * square[0] + (1 - share) * (1 - share) * square[1]);
	else
		n = total * total / (square[0] + square[1]);
	ml_wilson(share, n, &result->low, &result->high);
	result->value = transformed(rule, share);
	result->low = transformed(rule, result->low);
	result->high = transformed(rule, result->high);
	result->error = (result->high - result->low) / (2 * ML_NORMAL_975);
}

static void
of_share(const MlIntervalRule *rule, const MlMeasurement *rows, const double *value, MlInterval *result)
{
	double		weight[2] = {0.0, 0.0};
	double		square[2] = {0.0, 0.0};

	for (int64 i = 0; i < rows->n; i++)
	{
		double		w = ml_measure_weight(rows, i);

		ml_check_row(i);
		if (isnan(value[i]))
			continue;
		weight[value[i] > 0.5] += w;
		square[value[i] > 0.5] += w * w;
	}
	from_sums(rule, weight, square, result);
}

/* ---- two classes: all that is said of them is in four cells ---- */

bool
ml_interval_by_cells(const MlMetric *metric, MlTask task)
{
	const MlIntervalRule *rule = ml_interval_rule(metric);

	return task == ML_TASK_BINARY && (rule->of_cell != NULL || rule->kind == ML_INTERVAL_TABLE);
}

void
ml_interval_count_cells(const MlMeasurement *rows, MlCells *cells)
{
	memset(cells, 0, sizeof(MlCells));
	for (int64 i = 0; i < rows->n; i++)
	{
		double		w = ml_measure_weight(rows, i);
		bool		said = rows->prediction[i] >= rows->threshold;
		bool		is = rows->label[i] > 0.5;

		ml_check_row(i);
		cells->weight[said][is] += w;
		cells->square[said][is] += w * w;
	}
}

static void
share_of_cells(const MlIntervalRule *rule, const MlCells *cells, MlInterval *result)
{
	double		weight[2] = {0.0, 0.0};
	double		square[2] = {0.0, 0.0};

	for (int said = 0; said < 2; said++)
		for (int is = 0; is < 2; is++)
			if (!isnan(rule->of_cell[said][is]))
			{
				weight[rule->of_cell[said][is] > 0.5] += cells->weight[said][is];
				square[rule->of_cell[said][is] > 0.5] += cells->square[said][is];
			}
	from_sums(rule, weight, square, result);
}

/* ---- means ---- */

/* mean of the values, standard error of it, and of how many rows */
static double
mean_and_error(const MlMeasurement *rows, const double *value, double *error, int64 *n)
{
	MlSum		sum = {0};
	MlSum		weight = {0};
	MlSum		squares = {0};
	double		mean;

	*n = 0;
	*error = NAN;
	for (int64 i = 0; i < rows->n; i++)
	{
		double		w = ml_measure_weight(rows, i);

		ml_check_row(i);
		if (isnan(value[i]))
			continue;
		ml_sum_add(&sum, w * value[i]);
		ml_sum_add(&weight, w);
		(*n)++;
	}
	if (*n == 0)
		return NAN;
	mean = ml_sum_get(&sum) / ml_sum_get(&weight);
	for (int64 i = 0; i < rows->n; i++)
	{
		double		d = ml_measure_weight(rows, i) * (value[i] - mean);

		ml_check_row(i);
		if (!isnan(value[i]))
			ml_sum_add(&squares, d * d);
	}
	*error = *n < 2 ? NAN : sqrt(ml_sum_get(&squares) * *n / (*n - 1)) / ml_sum_get(&weight);
	return mean;
}

void
ml_interval_mean(const MlMeasurement *rows, const double *value, MlInterval *result)
{
	int64		n;
	double		half;

	result->low = result->high = result->error = NAN;
	result->value = mean_and_error(rows, value, &result->error, &n);
	if (!isfinite(result->value) || isnan(result->error))
		return;
	half = ml_quantile_t(n - 1) * result->error;
	result->low = result->value - half;
	result->high = result->value + half;
}

static void
of_mean(const MlIntervalRule *rule, const MlMeasurement *rows, const double *value, MlInterval *result)
{
	const MlMetric *metric = rule->metric;
	double		error;
	int64		n;
	double		mean = mean_and_error(rows, value, &error, &n);
	double		half;

	if (!isfinite(mean))
		return;
	result->value = transformed(rule, mean);
	if (isnan(error))
		return;
	half = ml_quantile_t(n - 1) * error;
	if (metric->minimum == 0.0 && !metric->higher_is_better && mean > 0.0)
	{
		result->low = transformed(rule, mean * exp(-half / mean));
		result->high = fmin(transformed(rule, mean * exp(half / mean)), metric->maximum);
	}
	else
	{
		result->low = fmax(transformed(rule, mean - half), metric->minimum);
		result->high = fmin(transformed(rule, mean + half), metric->maximum);
	}
	result->error = (result->high - result->low) / (2 * ML_NORMAL_975);
}

/* ---- what is linearised ---- */

/*
 * value -+ half on the scale of its range: logarithms from 0 up or from 1 down, log odds
 * between 0 and 1, Fisher's z between -1 and 1. On the edge there is no such scale.
 */
void
ml_interval_on_scale(const MlMetric *metric, double value, double half, MlInterval *result)
{
	double		low = metric->minimum;
	double		high = metric->maximum;
	double		from_low = value - low;
	double		to_high = high - value;

	if (isfinite(low) && isfinite(high) && from_low > 0.0 && to_high > 0.0)
	{
		double		slope = (high - low) / (from_low * to_high);	/* of the log odds of the place in the range */
		double		odds = from_low / to_high;
		double		less = odds * exp(-half * slope);
		double		more = odds * exp(half * slope);

		result->low = low + (high - low) * less / (1 + less);
		result->high = isinf(more) ? high : low + (high - low) * more / (1 + more);
	}
	else if (isfinite(low) && isinf(high) && from_low > 0.0)
	{
		result->low = low + from_low * exp(-half / from_low);
		result->high = low + from_low * exp(half / from_low);
	}
	else if (isinf(low) && isfinite(high) && to_high > 0.0)
	{
		result->low = high - to_high * exp(half / to_high);
		result->high = high - to_high * exp(-half / to_high);
	}
	else
	{
		result->low = fmax(value - half, low);
		result->high = fmin(value + half, high);
	}
}

static double
error_of(const MlMeasurement *rows, const double *influence)
{
	MlSum		squares = {0};

	for (int64 i = 0; i < rows->n; i++)
	{
		double		d = ml_measure_weight(rows, i) * influence[i];

		ml_check_row(i);
		ml_sum_add(&squares, d * d);
	}
	return sqrt(ml_sum_get(&squares));
}

/*
 * An area of 0 or 1 has no variance to estimate: what is known is that none of
 * the rows of the rarer kind was on the wrong side.
 */
static void
of_separated(const MlMeasurement *rows, MlInterval *result)
{
	int64		positives = 0;
	double		low;
	double		high;

	for (int64 i = 0; i < rows->n; i++)
		positives += rows->label[i] > 0.5;
	ml_wilson(result->value, Min(positives, rows->n - positives), &low, &high);
	result->low = low;
	result->high = high;
}

static void
of_influence(const MlMetric *metric, const MlSample *sample, MlInterval *result)
{
	double	   *influence = palloc_extended(sizeof(double) * Max(sample->rows.n, 1), MCXT_ALLOC_HUGE);
	double		value = ml_influence(metric, sample, influence);
	double		error = isfinite(value) ? error_of(&sample->rows, influence) : NAN;

	pfree(influence);
	if (!isfinite(value))
		return;
	result->value = value;
	if (isnan(error))
		return;
	result->error = error;
	if (ml_interval_rule(metric)->kind != ML_INTERVAL_AREA)
		ml_interval_on_scale(metric, value, ML_NORMAL_975 * error, result);
	else if (error == 0.0 && (value == 0.0 || value == 1.0))
		of_separated(&sample->rows, result);
	else
	{
		result->low = fmax(value - ML_NORMAL_975 * error, 0.0);
		result->high = fmin(value + ML_NORMAL_975 * error, 1.0);
	}
}

static void
table_of_cells(const MlMetric *metric, const MlSample *sample, const MlCells *cells, MlInterval *result)
{
	double		weight[4];
	double		slope[4];
	double		squares = 0.0;
	double		value;

	memcpy(weight, cells->weight, sizeof(weight));
	value = ml_table_slopes(metric, &sample->rows, 2, weight, sample->rows.n, slope);
	if (!isfinite(value))
		return;
	for (int c = 0; c < 4; c++)
		squares += slope[c] * slope[c] * cells->square[c / 2][c % 2];
	result->value = value;
	result->error = sqrt(squares);
	ml_interval_on_scale(metric, value, ML_NORMAL_975 * result->error, result);
}

static void
of_cells(const MlMetric *metric, const MlSample *sample, MlInterval *result)
{
	const MlIntervalRule *rule = ml_interval_rule(metric);
	const MlCells *cells = sample->cells;
	MlCells		own;

	if (cells == NULL)
	{
		ml_interval_count_cells(&sample->rows, &own);
		cells = &own;
	}
	if (rule->of_cell != NULL)
		share_of_cells(rule, cells, result);
	else
		table_of_cells(metric, sample, cells, result);
}

void
ml_interval(const MlMetric *metric, const MlSample *sample, MlInterval *result)
{
	const MlIntervalRule *rule = ml_interval_rule(metric);

	result->value = result->low = result->high = result->error = NAN;
	if (sample->rows.n == 0)
		return;
	if (ml_interval_by_cells(metric, sample->rows.task))
	{
		of_cells(metric, sample, result);
		return;
	}
	switch (ml_interval_kind(metric, &sample->rows))
	{
		case ML_INTERVAL_SHARE:
			of_share(rule, &sample->rows, sample->value, result);
			break;
		case ML_INTERVAL_MEAN:
			of_mean(rule, &sample->rows, sample->value, result);
			break;
		case ML_INTERVAL_TABLE:
		case ML_INTERVAL_AREA:
		case ML_INTERVAL_INFLUENCE:
			of_influence(metric, sample, result);
			break;
		case ML_INTERVAL_BOOTSTRAP:
			ml_bootstrap(metric, sample, result);
			break;
		case ML_INTERVAL_NONE:
			result->value = metric->measure(&sample->rows);
			break;
	}
}
