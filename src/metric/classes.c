/*
 * classes.c
 *		Metrics of probabilities of classes.
 *
 * Brier 1950, "Verification of forecasts expressed in terms of probability",
 * halved, so that of two classes it is the squared error of one probability;
 * logarithmic score: Good 1952, "Rational decisions"; expected calibration
 * error: Naeini et al. 2015, "Obtaining well calibrated probabilities using
 * Bayesian binning", of several classes as in Guo et al. 2017, "On calibration
 * of modern neural networks".
 */
#include "postgres.h"

#include "metric/measure.h"
#include "metric/units.h"

/* probability that was given to class c */
static inline double
probability_of(const MlMeasurement *rows, int64 i, int c)
{
	if (rows->task == ML_TASK_MULTICLASS)
		return rows->prediction[i * rows->nclasses + c];
	return c == 1 ? rows->prediction[i] : 1.0 - rows->prediction[i];
}

static inline double
probability_of_label(const MlMeasurement *rows, int64 i)
{
	return probability_of(rows, i, (int) (rows->label[i] + 0.5));
}

/* weighted mean of value(rows, i); inlined, so that each metric has a loop of its own */
static pg_attribute_always_inline double
mean_of(const MlMeasurement *rows, double (*value) (const MlMeasurement *rows, int64 i))
{
	MlSum		sum = {0};
	MlSum		total = {0};

	for (int64 i = 0; i < rows->n; i++)
	{
		double		w = ml_measure_weight(rows, i);

		ml_check_row(i);
		if (!ml_measure_counts(rows, i))
			continue;
		ml_sum_add(&sum, w * value(rows, i));
		ml_sum_add(&total, w);
	}
	return ml_sum_get(&total) > 0.0 ? ml_sum_get(&sum) / ml_sum_get(&total) : NAN;
}

static inline double
row_log_loss(const MlMeasurement *rows, int64 i)
{
	return ml_log_loss(probability_of_label(rows, i));
}

/* of two classes both miss by the same, so that the half is (probability - outcome)^2 */
static inline double
row_brier(const MlMeasurement *rows, int64 i)
{
	double		miss = 1.0 - probability_of_label(rows, i);
	double		sum = miss * miss;

	if (rows->task == ML_TASK_BINARY)
		return sum;
	for (int c = 0; c < rows->nclasses; c++)
		if (c != (int) rows->label[i])
			sum += probability_of(rows, i, c) * probability_of(rows, i, c);
	return 0.5 * sum;
}

/* is the label among the k most probable classes, the first of equals first? */
static inline double
row_in_top(const MlMeasurement *rows, int64 i, int k)
{
	int			label = (int) rows->label[i];
	double		p = probability_of(rows, i, label);
	int			ahead = 0;

	for (int c = 0; c < rows->nclasses; c++)
		ahead += probability_of(rows, i, c) > p || (c < label && probability_of(rows, i, c) == p);
	return ahead < k ? 1.0 : 0.0;
}

static inline double
row_in_top_2(const MlMeasurement *rows, int64 i)
{
	return row_in_top(rows, i, 2);
}

static inline double
row_in_top_3(const MlMeasurement *rows, int64 i)
{
	return row_in_top(rows, i, 3);
}

static inline double
row_in_top_5(const MlMeasurement *rows, int64 i)
{
	return row_in_top(rows, i, 5);
}

static double
measure_log_loss(const MlMeasurement *rows)
{
	return mean_of(rows, row_log_loss);
}

static double
measure_brier(const MlMeasurement *rows)
{
	return mean_of(rows, row_brier);
}

static double
measure_top_2_accuracy(const MlMeasurement *rows)
{
	return mean_of(rows, row_in_top_2);
}

static double
measure_top_3_accuracy(const MlMeasurement *rows)
{
	return mean_of(rows, row_in_top_3);
}

static double
measure_top_5_accuracy(const MlMeasurement *rows)
{
	return mean_of(rows, row_in_top_5);
}

/* of two classes the probability of the positive one; of several that of the predicted class */
static double
measure_expected_calibration_error(const MlMeasurement *rows)
{
	MlBins		bins = {0};

	for (int64 i = 0; i < rows->n; i++)
	{
		int			c;

		ml_check_row(i);
		if (!ml_measure_counts(rows, i))
			continue;
		c = rows->task == ML_TASK_BINARY ? 1 : ml_measure_class(rows, i);
		ml_bins_add(&bins, probability_of(rows, i, c), (int) (rows->label[i] + 0.5) == c,
					ml_measure_weight(rows, i));
	}
	return ml_bins_error(&bins);
}

const MlMetric ml_metric_log_loss = {
	.name = "log_loss",
	.summary = "mean of -ln(probability given to the class that came true), probabilities kept 1e-15 away from 0 and 1",
	.tasks = ML_TASK_BINARY | ML_TASK_MULTICLASS,
	.higher_is_better = false,
	.minimum = 0.0,
	.maximum = INFINITY,
	.measure = measure_log_loss,
};

const MlMetric ml_metric_brier = {
	.name = "brier",
	.summary = "mean squared error of the probability, mean((probability - outcome)^2) with outcomes 0 and 1; of several classes half the sum over them",
	.tasks = ML_TASK_BINARY | ML_TASK_MULTICLASS,
	.higher_is_better = false,
	.minimum = 0.0,
	.maximum = 1.0,
	.measure = measure_brier,
};

const MlMetric ml_metric_expected_calibration_error = {
	.name = "expected_calibration_error",
	.summary = "mean over 10 bins of equal width of |mean probability - share of positive rows|, by the rows in the bin; of several classes of the predicted one's probability and the share that is right",
	.tasks = ML_TASK_BINARY | ML_TASK_MULTICLASS,
	.higher_is_better = false,
	.minimum = 0.0,
	.maximum = 1.0,
	.measure = measure_expected_calibration_error,
};

#define TOP(k) \
const MlMetric ml_metric_top_##k##_accuracy = { \
	.name = "top_" #k "_accuracy", \
	.summary = "share of rows whose class is among the " #k " most probable", \
	.tasks = ML_TASK_MULTICLASS, \
	.higher_is_better = true, \
	.minimum = 0.0, \
	.maximum = 1.0, \
	.on_request = true, \
	.measure = measure_top_##k##_accuracy, \
}

TOP(2);
TOP(3);
TOP(5);
