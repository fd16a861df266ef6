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

/* a mean over the rows that have a value; the factor is that of an unbiased variance */
static double
of_mean(const MlIntervalRule *rule, const MlSample *sample, double *influence)
{
	const MlMeasurement *rows = &sample->rows;
	const double *value = sample->value;
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
	if (rule->transform != NULL && mean != 0.0)
	{
		double		h = STEP * fabs(mean);

		slope = (rule->transform(mean + h) - rule->transform(mean - h)) / (2 * h);
	}
	slope *= n > 1 ? sqrt((double) n / (n - 1)) / ml_sum_get(&weight) : NAN;
	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		influence[i] = isnan(value[i]) ? 0.0 : slope * (value[i] - mean);
	}
	return rule->transform != NULL ? rule->transform(mean) : mean;
}

/* ---- functions of the table of classes: rows that stand for all ---- */

/* one row of each cell, predicted class by true class */
static void
make_cells(const MlMeasurement *like, int n, MlMeasurement *cells)
{
	double	   *label = palloc(sizeof(double) * n * n);
	double	   *prediction = palloc0(sizeof(double) * n * n * n);

	*cells = *like;
	cells->n = n * n;
	cells->label = label;
	cells->prediction = prediction;
	cells->threshold = 0.5;
	cells->shared = NULL;
	for (int c = 0; c < n * n; c++)
	{
		label[c] = c % n;
		if (like->task == ML_TASK_BINARY)
			prediction[c] = c / n;
		else
			prediction[c * n + c / n] = 1.0;
	}
}

static inline int
cell_of(const MlMeasurement *rows, int64 i, int n)
{
	return n * ml_measure_class(rows, i) + (int) (rows->label[i] + 0.5);
}

/*
 * Of two classes a cell without rows is given half of one, and all others too (Haldane 1956,
 * Anscombe 1956): a table without errors would seem certain.
 */
static void
fill_empty(double *weight, int cells, int64 rows)
{
	double		total = 0.0;
	bool		empty = false;

	for (int c = 0; c < cells; c++)
	{
		total += weight[c];
		empty |= weight[c] == 0.0;
	}
	for (int c = 0; empty && cells == 4 && c < cells; c++)
		weight[c] += 0.5 * total / rows;
}

double
ml_table_slopes(const MlMetric *metric, const MlMeasurement *like, int n, double *weight, int64 rows, double *slope)
{
	MlMeasurement cells;
	double		value;

	make_cells(like, n, &cells);
	cells.weight = weight;
	value = metric->measure(&cells);
	fill_empty(weight, n * n, rows);
	for (int c = 0; c < n * n; c++)
	{
		double		here = weight[c];

		slope[c] = 0.0;
		if (here == 0.0)
			continue;
		weight[c] = here * (1 + STEP);
		slope[c] = metric->measure(&cells);
		weight[c] = here * (1 - STEP);
		slope[c] = (slope[c] - metric->measure(&cells)) / (2 * STEP * here);
		weight[c] = here;
	}
	return value;
}

static double
of_table(const MlMetric *metric, const MlSample *sample, double *influence)
{
	const MlMeasurement *rows = &sample->rows;
	int			n = rows->task == ML_TASK_BINARY ? 2 : rows->nclasses;
	double	   *weight = palloc0(sizeof(double) * n * n);
	double	   *slope = palloc(sizeof(double) * n * n);
	double		value;

	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		weight[cell_of(rows, i, n)] += ml_measure_weight(rows, i);
	}
	value = ml_table_slopes(metric, rows, n, weight, rows->n, slope);
	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		influence[i] = slope[cell_of(rows, i, n)];
	}
	return value;
}

double
ml_influence(const MlMetric *metric, const MlSample *sample, double *influence)
{
	const MlIntervalRule *rule = ml_interval_rule(metric);

	switch (rule->kind)
	{
		case ML_INTERVAL_SHARE:
		case ML_INTERVAL_MEAN:
			return of_mean(rule, sample, influence);
		case ML_INTERVAL_TABLE:
			return of_table(metric, sample, influence);
		case ML_INTERVAL_AREA:
			return ml_delong(sample, influence);
		case ML_INTERVAL_INFLUENCE:
			return rule->row_influence(&sample->rows, influence);
		case ML_INTERVAL_BOOTSTRAP:
		case ML_INTERVAL_NONE:
			break;
	}
	return NAN;
}
