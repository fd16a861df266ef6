/*
 * error.c
 *		Metrics of the size of errors: their median, in percent, and on either
 *		side of a quantile.
 */
#include "postgres.h"

#include "budget.h"
#include "metric/measure.h"
#include "metric/units.h"
#include "sort.h"
#include "utils/memutils.h"

#define ROW_MEMORY	(2 * sizeof(MlKeyed))	/* an error, and its room while it is sorted */

/*
 * The least error that at least half of the weight does not exceed; where it
 * is half exactly, the middle between it and the next: of equal weights, the
 * ordinary median.
 */
static double
weighted_median(const MlKeyed *row, int64 n, double total)
{
	double		sum = 0.0;
	int64		i = 0;

	while (i < n && sum + row[i].weight < 0.5 * total)
		sum += row[i++].weight;
	if (i >= n)
		return n > 0 ? ml_key_double(row[n - 1].key) : NAN;
	if (i + 1 < n && sum + row[i].weight == 0.5 * total)
		return 0.5 * (ml_key_double(row[i].key) + ml_key_double(row[i + 1].key));
	return ml_key_double(row[i].key);
}

static double
measure_median_absolute_error(const MlMeasurement *rows)
{
	MlKeyed    *row = MemoryContextAllocHuge(CurrentMemoryContext,
											 ml_size_mul(Max(rows->n, 1), ROW_MEMORY));
	int64		n = 0;
	double		total = 0.0;
	double		median;

	for (int64 i = 0; i < rows->n; i++)
	{
		double		w = ml_measure_weight(rows, i);

		ml_check_row(i);
		if (!ml_measure_counts(rows, i) || !(w > 0.0))
			continue;
		row[n].key = ml_double_key(fabs(rows->label[i] - rows->prediction[i]));
		row[n].weight = w;
		total += w;
		n++;
	}
	ml_sort(row, row + rows->n, n, 64);
	median = weighted_median(row, n, total);
	pfree(row);
	return median;
}

/* weighted mean of unit(label, prediction); NaN if that of a row is */
static pg_attribute_always_inline double
mean_unit(const MlMeasurement *rows, double (*unit) (double y, double p))
{
	MlSum		sum = {0};
	MlSum		total = {0};

	for (int64 i = 0; i < rows->n; i++)
	{
		double		w = ml_measure_weight(rows, i);

		ml_check_row(i);
		if (!ml_measure_counts(rows, i) || w == 0.0)
			continue;
		ml_sum_add(&sum, w * unit(rows->label[i], rows->prediction[i]));
		ml_sum_add(&total, w);
	}
	return ml_sum_get(&total) > 0.0 ? ml_sum_get(&sum) / ml_sum_get(&total) : NAN;
}

static double
measure_mape(const MlMeasurement *rows)
{
	return mean_unit(rows, ml_percentage_unit);
}

static double
measure_smape(const MlMeasurement *rows)
{
	return mean_unit(rows, ml_symmetric_unit);
}

#define ERROR_OF(name_, summary_, maximum_, ...) \
const MlMetric ml_metric_##name_ = { \
	.name = #name_, \
	.summary = summary_, \
	.tasks = ML_TASK_REGRESSION, \
	.higher_is_better = false, \
	.minimum = 0.0, \
	.maximum = maximum_, \
	.measure = measure_##name_, \
	__VA_ARGS__ \
}

ERROR_OF(median_absolute_error, "median of |label - prediction|, in the target's unit", INFINITY,
		 .row_memory = ROW_MEMORY, .on_request = true);
ERROR_OF(mape, "mean absolute percentage error as a share, mean(|label - prediction| / |label|); not defined with a label of 0",
		 INFINITY);
ERROR_OF(smape, "mean of 2 |label - prediction| / (|label| + |prediction|), 0 where both are 0", 2.0);

/* the quantile in the name, in hundredths, since a metric is known by its name alone */
#define PINBALL(percent, quantile) \
static inline double \
pinball_unit_##percent(double y, double p) \
{ \
	return ml_pinball_unit(y, p, quantile); \
} \
\
static double \
measure_pinball_##percent(const MlMeasurement *rows) \
{ \
	return mean_unit(rows, pinball_unit_##percent); \
} \
\
ERROR_OF(pinball_##percent, \
		 "pinball loss of a prediction of the quantile " #quantile ", mean of " #quantile " x (label - prediction) where the label is above, (1 - " #quantile ") x (prediction - label) where it is below", \
		 INFINITY, .on_request = true)

PINBALL(05, 0.05);
PINBALL(10, 0.1);
PINBALL(25, 0.25);
PINBALL(75, 0.75);
PINBALL(90, 0.9);
PINBALL(95, 0.95);
