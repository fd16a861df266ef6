/*
 * regression.c
 *		Metrics of numbers against numbers.
 */
#include "postgres.h"

#include "metric/measure.h"

static inline bool
row_counts(const MlMeasurement *rows, int64 i)
{
	return !isnan(rows->label[i]) && !isnan(rows->prediction[i]);
}

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
		if (!row_counts(rows, i))
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
		if (!row_counts(rows, i))
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
		if (row_counts(rows, i))
			ml_sum_add(&sum, ml_measure_weight(rows, i) * rows->label[i]);
	}
	mean = ml_sum_get(&sum) / weight;
	for (int64 i = 0; i < rows->n; i++)
	{
		double		d = rows->label[i] - mean;

		ml_check_row(i);
		if (row_counts(rows, i))
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
		if (row_counts(rows, i) && ml_measure_weight(rows, i) > 0.0 && !(e <= largest))
			largest = e;
	}
	return largest;
}

/*
 * Mean unit deviances (McCullagh & Nelder, Generalized Linear Models, 2nd ed.,
 * table 2.1); NaN where a row is outside of the family's range.
 */
static double
poisson_unit(double y, double mu)
{
	if (y == 0)
		return mu >= 0 ? 2 * mu : NAN;
	return y > 0 && mu > 0 ? 2 * (y * log(y / mu) - (y - mu)) : NAN;
}

static double
gamma_unit(double y, double mu)
{
	return y > 0 && mu > 0 ? 2 * (log(mu / y) + (y - mu) / mu) : NAN;
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
		if (!row_counts(rows, i))
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
	return mean_deviance(rows, poisson_unit);
}

static double
measure_gamma_deviance(const MlMeasurement *rows)
{
	return mean_deviance(rows, gamma_unit);
}

/* ---- values of rows, for intervals ---- */

static void
squares_of_rows(const MlMeasurement *rows, double *value)
{
	for (int64 i = 0; i < rows->n; i++)
	{
		double		e = rows->label[i] - rows->prediction[i];

		ml_check_row(i);
		value[i] = e * e;
	}
}

static void
distances_of_rows(const MlMeasurement *rows, double *value)
{
	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		value[i] = fabs(rows->label[i] - rows->prediction[i]);
	}
}

/* infinite outside of the family's range, so that the mean is not defined either */
static void
deviances_of_rows(const MlMeasurement *rows, double (*unit) (double y, double mu), double *value)
{
	for (int64 i = 0; i < rows->n; i++)
	{
		double		d = unit(rows->label[i], rows->prediction[i]);

		ml_check_row(i);
		value[i] = isnan(d) ? INFINITY : d;
	}
}

static void
poisson_values(const MlMeasurement *rows, double *value)
{
	deviances_of_rows(rows, poisson_unit, value);
}

static void
gamma_values(const MlMeasurement *rows, double *value)
{
	deviances_of_rows(rows, gamma_unit, value);
}

static double
root(double mean)
{
	return sqrt(mean);
}

/* r2 = 1 - residual / total: both are sums over rows, and so is the first order of their ratio */
static double
r2_influence(const MlMeasurement *rows, double *influence)
{
	MlSum		sum = {0};
	MlSum		squares = {0};
	double		weight;
	double		residual = squared_error(rows, &weight);
	double		mean;
	double		total;

	for (int64 i = 0; i < rows->n; i++)
		ml_sum_add(&sum, ml_measure_weight(rows, i) * rows->label[i]);
	mean = ml_sum_get(&sum) / weight;
	for (int64 i = 0; i < rows->n; i++)
	{
		double		d = rows->label[i] - mean;

		ml_check_row(i);
		ml_sum_add(&squares, ml_measure_weight(rows, i) * d * d);
	}
	total = ml_sum_get(&squares);
	if (!(total > 0.0))
		return NAN;
	for (int64 i = 0; i < rows->n; i++)
	{
		double		e = rows->label[i] - rows->prediction[i];
		double		d = rows->label[i] - mean;

		influence[i] = (residual / total * d * d - e * e) / total;
	}
	return 1.0 - residual / total;
}

const MlMetric ml_metric_rmse = {
	.name = "rmse",
	.summary = "root of the mean squared error, sqrt(mean((label - prediction)^2)), in the target's unit",
	.tasks = ML_TASK_REGRESSION,
	.higher_is_better = false,
	.minimum = 0.0,
	.maximum = INFINITY,
	.measure = measure_rmse,
	.interval = ML_INTERVAL_MEAN,
	.row_values = squares_of_rows,
	.transform = root,
};

const MlMetric ml_metric_mae = {
	.name = "mae",
	.summary = "mean absolute error, mean(|label - prediction|), in the target's unit",
	.tasks = ML_TASK_REGRESSION,
	.higher_is_better = false,
	.minimum = 0.0,
	.maximum = INFINITY,
	.measure = measure_mae,
	.interval = ML_INTERVAL_MEAN,
	.row_values = distances_of_rows,
};

const MlMetric ml_metric_r2 = {
	.name = "r2",
	.summary = "share of the target's variance that is explained, 1 - sum((label - prediction)^2) / sum((label - mean)^2); below 0 is worse than the mean",
	.tasks = ML_TASK_REGRESSION,
	.higher_is_better = true,
	.minimum = -INFINITY,
	.maximum = 1.0,
	.measure = measure_r2,
	.interval = ML_INTERVAL_INFLUENCE,
	.row_influence = r2_influence,
};

const MlMetric ml_metric_max_error = {
	.name = "max_error",
	.summary = "largest absolute error, max(|label - prediction|), in the target's unit",
	.tasks = ML_TASK_REGRESSION,
	.higher_is_better = false,
	.minimum = 0.0,
	.maximum = INFINITY,
	.measure = measure_max_error,
	.interval = ML_INTERVAL_NONE,
};

const MlMetric ml_metric_poisson_deviance = {
	.name = "poisson_deviance",
	.summary = "mean deviance of counts, mean(2 (label log(label / prediction) - label + prediction)); not defined with a negative label or a prediction that is not positive",
	.tasks = ML_TASK_REGRESSION,
	.higher_is_better = false,
	.minimum = 0.0,
	.maximum = INFINITY,
	.measure = measure_poisson_deviance,
	.interval = ML_INTERVAL_MEAN,
	.row_values = poisson_values,
};

const MlMetric ml_metric_gamma_deviance = {
	.name = "gamma_deviance",
	.summary = "mean deviance of positive numbers, mean(2 (log(prediction / label) + label / prediction - 1)); not defined unless all labels and predictions are positive",
	.tasks = ML_TASK_REGRESSION,
	.higher_is_better = false,
	.minimum = 0.0,
	.maximum = INFINITY,
	.measure = measure_gamma_deviance,
	.interval = ML_INTERVAL_MEAN,
	.row_values = gamma_values,
};
