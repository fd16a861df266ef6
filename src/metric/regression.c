/*
 * regression.c
 *		Metrics of numbers against numbers.
 */
#include "postgres.h"

#include "metric/measure.h"
#include "metric/units.h"

/* sum of w (label - prediction)^2, and the weight of the rows */
static double
squared_error(const MlMeasurement *rows, double *weight)
{
	MlSum		sum = {0};
	MlSum		total = {0};

	for (int64 i = 0; i < rows->n; i++)
	{
		double		w = ml_measure_weight(rows, i);
		double		e = rows->label[i] - rows->prediction[i];

		ml_check_row(i);
		if (!ml_measure_counts(rows, i))
			continue;
		ml_sum_add(&sum, w * e * e);
		ml_sum_add(&total, w);
	}
	*weight = ml_sum_get(&total);
	return ml_sum_get(&sum);
}

static double
measure_rmse(const MlMeasurement *rows)
{
	double		weight;
	double		sum = squared_error(rows, &weight);

	return weight > 0.0 ? sqrt(sum / weight) : NAN;
}

static double
measure_mae(const MlMeasurement *rows)
{
	MlSum		sum = {0};
	MlSum		total = {0};

	for (int64 i = 0; i < rows->n; i++)
	{
		double		w = ml_measure_weight(rows, i);

		ml_check_row(i);
		if (!ml_measure_counts(rows, i))
			continue;
		ml_sum_add(&sum, w * fabs(rows->label[i] - rows->prediction[i]));
		ml_sum_add(&total, w);
	}
	return ml_sum_get(&total) > 0.0 ? ml_sum_get(&sum) / ml_sum_get(&total) : NAN;
}

/* 1 - residual / total sum of squares, the total around the mean of these rows */
static double
measure_r2(const MlMeasurement *rows)
{
	MlSum		sum = {0};
	MlSum		squares = {0};
	double		weight;
	double		residual = squared_error(rows, &weight);
	double		mean;
	double		total;

	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		if (ml_measure_counts(rows, i))
			ml_sum_add(&sum, ml_measure_weight(rows, i) * rows->label[i]);
	}
	mean = ml_sum_get(&sum) / weight;
	for (int64 i = 0; i < rows->n; i++)
	{
		double		d = rows->label[i] - mean;

		ml_check_row(i);
		if (ml_measure_counts(rows, i))
			ml_sum_add(&squares, ml_measure_weight(rows, i) * d * d);
	}
	total = ml_sum_get(&squares);
	return total > 0.0 ? 1.0 - residual / total : NAN;
}

static double
measure_max_error(const MlMeasurement *rows)
{
	double		largest = NAN;

	for (int64 i = 0; i < rows->n; i++)
	{
		double		e = fabs(rows->label[i] - rows->prediction[i]);

		ml_check_row(i);
		if (ml_measure_counts(rows, i) && ml_measure_weight(rows, i) > 0.0 && !(e <= largest))
			largest = e;
	}
	return largest;
}

static double
mean_deviance(const MlMeasurement *rows, double (*unit) (double y, double mu))
{
	MlSum		sum = {0};
	MlSum		total = {0};

	for (int64 i = 0; i < rows->n; i++)
	{
		double		w = ml_measure_weight(rows, i);
		double		d;

		ml_check_row(i);
		if (!ml_measure_counts(rows, i))
			continue;
		d = unit(rows->label[i], rows->prediction[i]);
		if (isnan(d))
			return NAN;
		ml_sum_add(&sum, w * d);
		ml_sum_add(&total, w);
	}
	return ml_sum_get(&total) > 0.0 ? ml_sum_get(&sum) / ml_sum_get(&total) : NAN;
}

static double
measure_poisson_deviance(const MlMeasurement *rows)
{
	return mean_deviance(rows, ml_poisson_unit);
}

static double
measure_gamma_deviance(const MlMeasurement *rows)
{
	return mean_deviance(rows, ml_gamma_unit);
}

const MlMetric ml_metric_rmse = {
	.name = "rmse",
	.summary = "root of the mean squared error, sqrt(mean((label - prediction)^2)), in the target's unit",
	.tasks = ML_TASK_REGRESSION,
	.higher_is_better = false,
	.minimum = 0.0,
	.maximum = INFINITY,
	.measure = measure_rmse,
};

const MlMetric ml_metric_mae = {
	.name = "mae",
	.summary = "mean absolute error, mean(|label - prediction|), in the target's unit",
	.tasks = ML_TASK_REGRESSION,
	.higher_is_better = false,
	.minimum = 0.0,
	.maximum = INFINITY,
	.measure = measure_mae,
};

const MlMetric ml_metric_r2 = {
	.name = "r2",
	.summary = "share of the target's variance that is explained, 1 - sum((label - prediction)^2) / sum((label - mean)^2); below 0 is worse than the mean",
	.tasks = ML_TASK_REGRESSION,
	.higher_is_better = true,
	.minimum = -INFINITY,
	.maximum = 1.0,
	.measure = measure_r2,
};

const MlMetric ml_metric_max_error = {
	.name = "max_error",
	.summary = "largest absolute error, max(|label - prediction|), in the target's unit",
	.tasks = ML_TASK_REGRESSION,
	.higher_is_better = false,
	.minimum = 0.0,
	.maximum = INFINITY,
	.measure = measure_max_error,
};

const MlMetric ml_metric_poisson_deviance = {
	.name = "poisson_deviance",
	.summary = "mean deviance of counts, mean(2 (label log(label / prediction) - label + prediction)); not defined with a negative label or a prediction that is not positive",
	.tasks = ML_TASK_REGRESSION,
	.higher_is_better = false,
	.minimum = 0.0,
	.maximum = INFINITY,
	.measure = measure_poisson_deviance,
};

const MlMetric ml_metric_gamma_deviance = {
	.name = "gamma_deviance",
	.summary = "mean deviance of positive numbers, mean(2 (log(prediction / label) + label / prediction - 1)); not defined unless all labels and predictions are positive",
	.tasks = ML_TASK_REGRESSION,
	.higher_is_better = false,
	.minimum = 0.0,
	.maximum = INFINITY,
	.measure = measure_gamma_deviance,
};
