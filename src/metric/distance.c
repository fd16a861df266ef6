/*
 * distance.c
 *		Metrics of models without a target: what rows lose by being replaced by
 *		what stands for them.
 */
#include "postgres.h"

#include <math.h>

#include "metric/measure.h"
#include "predictor/routine.h"

/* the mean of a part of MlLoss over the rows that have it, by weight; NaN: none has */
static double
mean_of(const MlMeasurement *rows, size_t offset)
{
	MlSum		sum = {0};
	MlSum		total = {0};

	for (int64 i = 0; i < rows->n; i++)
	{
		double		w = ml_measure_weight(rows, i);
		double		value = *(const double *) ((const char *) &rows->loss[i] + offset);

		ml_check_row(i);
		if (isnan(value))
			continue;
		ml_sum_add(&sum, w * value);
		ml_sum_add(&total, w);
	}
	return ml_sum_get(&total) > 0.0 ? ml_sum_get(&sum) / ml_sum_get(&total) : NAN;
}

static double
measure_inertia(const MlMeasurement *rows)
{
	return mean_of(rows, offsetof(MlLoss, loss));
}

static double
measure_explained_variance(const MlMeasurement *rows)
{
	double		spread = mean_of(rows, offsetof(MlLoss, spread));

	return spread > 0.0 ? 1.0 - mean_of(rows, offsetof(MlLoss, loss)) / spread : NAN;
}

static double
measure_silhouette(const MlMeasurement *rows)
{
	return mean_of(rows, offsetof(MlLoss, silhouette));
}

/* ---- values of rows, for intervals ---- */

static void
loss_values(const MlMeasurement *rows, double *value)
{
	for (int64 i = 0; i < rows->n; i++)
		value[i] = rows->loss[i].loss;
}

static void
silhouette_values(const MlMeasurement *rows, double *value)
{
	for (int64 i = 0; i < rows->n; i++)
		value[i] = rows->loss[i].silhouette;
}

const MlMetric ml_metric_inertia = {
	.name = "inertia",
	.summary = "mean squared distance of a row to the centre of its cluster, columns standardised as in training",
	.tasks = ML_TASK_CLUSTER,
	.higher_is_better = false,
	.minimum = 0.0,
	.maximum = INFINITY,
	.measure = measure_inertia,
	.interval = ML_INTERVAL_MEAN,
	.row_values = loss_values,
};

const MlMetric ml_metric_explained_variance = {
	.name = "explained_variance",
	.summary = "1 - squared distance to the centre, or to the projection / squared distance to the mean of the training rows",
	.tasks = ML_TASK_CLUSTER | ML_TASK_PROJECTION,
	.higher_is_better = true,
	.minimum = -INFINITY,
	.maximum = 1.0,
	.measure = measure_explained_variance,
};

const MlMetric ml_metric_silhouette = {
	.name = "silhouette",
	.summary = "mean of (b - a) / b, a and b being the distances of a row to its own and to the next nearest centre",
	.tasks = ML_TASK_CLUSTER,
	.higher_is_better = true,
	.minimum = 0.0,
	.maximum = 1.0,
	.measure = measure_silhouette,
	.interval = ML_INTERVAL_MEAN,
	.row_values = silhouette_values,
};
