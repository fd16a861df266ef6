/*
 * distance.c
 *		Metrics of models without a target: what rows lose by being replaced by
 *		what stands for them; and the share of variance that predictions explain.
 */
#include "postgres.h"

#include <math.h>

#include "metric/measure.h"
#include "metric/units.h"
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

/* of predictions: what is left of the labels' variance, whatever the predictions' bias */
static double
explained_by_predictions(const MlMeasurement *rows)
{
	MlMoments	label = {0};
	MlMoments	error = {0};

	for (int64 i = 0; i < rows->n; i++)
	{
		double		w = ml_measure_weight(rows, i);

		ml_check_row(i);
		if (!ml_measure_counts(rows, i) || w == 0.0)
			continue;
		ml_moments_add(&label, rows->label[i], w);
		ml_moments_add(&error, rows->label[i] - rows->prediction[i], w);
	}
	return label.squares > 0.0 ? 1.0 - error.squares / label.squares : NAN;
}

static double
measure_explained_variance(const MlMeasurement *rows)
{
	double		spread;

	if (rows->loss == NULL)
		return explained_by_predictions(rows);
	spread = mean_of(rows, offsetof(MlLoss, spread));

	return spread > 0.0 ? 1.0 - mean_of(rows, offsetof(MlLoss, loss)) / spread : NAN;
}

static double
measure_silhouette(const MlMeasurement *rows)
{
	return mean_of(rows, offsetof(MlLoss, silhouette));
}

const MlMetric ml_metric_inertia = {
	.name = "inertia",
	.summary = "mean squared distance of a row to the centre of its cluster, columns standardised as in training",
	.tasks = ML_TASK_CLUSTER,
	.higher_is_better = false,
	.minimum = 0.0,
	.maximum = INFINITY,
	.measure = measure_inertia,
};

const MlMetric ml_metric_explained_variance = {
	.name = "explained_variance",
	.summary = "1 - squared distance to the centre, or to the projection / squared distance to the mean of the training rows; of numbers 1 - variance(label - prediction) / variance(label)",
	.tasks = ML_TASK_REGRESSION | ML_TASK_CLUSTER | ML_TASK_PROJECTION,
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
};
