/*
 * influence.c
 *		What each row's weight adds to a metric, by kind of metric.
 */
#include "postgres.h"

#include <math.h>

#include "interrupts.h"
#include "metric/interval.h"
#include "metric/measure.h"

#define STEP 1e-4				/* of a cell's weight, for differences */

static const double *
values_of(const MlMetric *metric, const MlSample *sample, double **own)
{
	*own = NULL;
	if (sample->value != NULL)
		return sample->value;
	*own = palloc_extended(sizeof(double) * Max(sample->rows.n, 1), MCXT_ALLOC_HUGE);
	metric->row_values(&sample->rows, *own);
	return *own;
}

/* a mean over the rows that have a value; the factor is that of an unbiased variance */
static double
of_mean(const MlMetric *metric, const MlSample *sample, double *influence)
{
	const MlMeasurement *rows = &sample->rows;
	double	   *own;
	const double *value = values_of(metric, sample, &own);
	MlSum		sum = {0};
	MlSum		weight = {0};
	int64		n = 0;
	double		mean;
	double		slope = 1.0;

	for (int64 i = 0; i < rows->n; i++)
	{
		double		w = ml_measure_weight(rows, i);

		ml_check_row(i);
		if (isnan(value[i]))
			continue;
		ml_sum_add(&sum, w * value[i]);
		ml_sum_add(&weight, w);
		n++;
	}
	mean = n > 0 ? ml_sum_get(&sum) / ml_sum_get(&weight) : NAN;
	if (metric->transform != NULL && mean != 0.0)
	{
		double		h = STEP * fabs(mean);

		slope = (metric->transform(mean + h) - metric->transform(mean - h)) / (2 * h);
	}
	slope *= n > 1 ? sqrt((double) n / (n - 1)) / ml_sum_get(&weight) : NAN;
	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		influence[i] = isnan(value[i]) ? 0.0 : slope * (value[i] - mean);
	}
	if (own != NULL)
		pfree(own);
	return metric->transform != NULL ? metric->transform(mean) : mean;
}

/* ---- functions of the confusion table: four rows that stand for all ---- */

static double
measure_table(const MlMetric *metric, const double weight[4])
{
	static const double label[4] = {0.0, 1.0, 0.0, 1.0};
	static const double prediction[4] = {0.0, 0.0, 1.0, 1.0};
	MlMeasurement rows = {.task = ML_TASK_BINARY, .n = 4, .label = label, .prediction = prediction,
		.weight = weight, .nclasses = 2, .threshold = 0.5};

	return metric->measure(&rows);
}

static inline int
cell_of(const MlMeasurement *rows, int64 i)
{
	return 2 * (rows->prediction[i] >= rows->threshold) + (rows->label[i] > 0.5);
}

/*
 * A cell without rows is given half of one, all of them are then (Haldane 1956,
 * Anscombe 1956): a table without errors would seem certain.
 */
static double
of_table(const MlMetric *metric, const MlSample *sample, double *influence)
{
	const MlMeasurement *rows = &sample->rows;
	double		weight[4] = {0};
	double		slope[4];
	double		value;
	double		total = 0.0;
	bool		empty = false;

	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		weight[cell_of(rows, i)] += ml_measure_weight(rows, i);
	}
	value = measure_table(metric, weight);
	for (int c = 0; c < 4; c++)
	{
		total += weight[c];
		empty |= weight[c] == 0.0;
	}
	for (int c = 0; empty && c < 4; c++)
		weight[c] += 0.5 * total / Max(rows->n, 1);
	for (int c = 0; c < 4; c++)
	{
		double		here = weight[c];
		double		high;

		weight[c] = here * (1 + STEP);
		high = measure_table(metric, weight);
		weight[c] = here * (1 - STEP);
		slope[c] = (high - measure_table(metric, weight)) / (2 * STEP * here);
		weight[c] = here;
	}
	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		influence[i] = slope[cell_of(rows, i)];
	}
	return value;
}

double
ml_influence(const MlMetric *metric, const MlSample *sample, double *influence)
{
	switch (metric->interval)
	{
		case ML_INTERVAL_SHARE:
		case ML_INTERVAL_MEAN:
			return of_mean(metric, sample, influence);
		case ML_INTERVAL_TABLE:
			return of_table(metric, sample, influence);
		case ML_INTERVAL_AREA:
			return ml_delong(sample, influence);
		case ML_INTERVAL_INFLUENCE:
			return metric->row_influence(&sample->rows, influence);
		case ML_INTERVAL_BOOTSTRAP:
		case ML_INTERVAL_NONE:
			break;
	}
	return NAN;
}
