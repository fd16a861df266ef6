/*
 * classes.c
 *		Metrics of classes: of probabilities (log_loss, brier) and of the labels
 *		that a threshold makes of them (accuracy, precision, recall, f1).
 *
 * A row of two classes is positive where its probability is at the threshold
 * or above. Definitions: Fawcett 2006, "An introduction to ROC analysis",
 * Pattern Recognition Letters 27, figure 1; Brier 1950, "Verification of
 * forecasts expressed in terms of probability", halved for two classes as
 * usual; logarithmic score: Good 1952, "Rational decisions".
 */
#include "postgres.h"

#include "metric/measure.h"

/* a certain and wrong prediction costs log(1e-15), not infinity */
#define SMALLEST_PROBABILITY	1e-15

/* prediction of row i: the one number of two classes, the first of several */
static inline const double *
row_prediction(const MlMeasurement *rows, int64 i)
{
	return rows->prediction + (rows->task == ML_TASK_MULTICLASS ? i * rows->nclasses : i);
}

static inline bool
row_counts(const MlMeasurement *rows, int64 i)
{
	return !isnan(rows->label[i]) && !isnan(*row_prediction(rows, i));
}

/* probability that was given to the class that came true */
static inline double
probability_of_label(const MlMeasurement *rows, int64 i)
{
	const double *p = row_prediction(rows, i);

	if (rows->task == ML_TASK_MULTICLASS)
		return p[(int) rows->label[i]];
	return rows->label[i] > 0.5 ? *p : 1.0 - *p;
}

static inline bool
is_right(const MlMeasurement *rows, int64 i)
{
	const double *p = row_prediction(rows, i);
	int			best = 0;

	if (rows->task == ML_TASK_BINARY)
		return (*p >= rows->threshold) == (rows->label[i] > 0.5);
	for (int c = 1; c < rows->nclasses; c++)
	{
		if (p[c] > p[best])
			best = c;
	}
	return best == (int) rows->label[i];
}

static inline double
clip(double p)
{
	return fmin(fmax(p, SMALLEST_PROBABILITY), 1.0 - SMALLEST_PROBABILITY);
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
		if (!row_counts(rows, i))
			continue;
		ml_sum_add(&sum, w * value(rows, i));
		ml_sum_add(&total, w);
	}
	return ml_sum_get(&total) > 0.0 ? ml_sum_get(&sum) / ml_sum_get(&total) : NAN;
}

static inline double
row_log_loss(const MlMeasurement *rows, int64 i)
{
	return -log(clip(probability_of_label(rows, i)));
}

static inline double
row_brier(const MlMeasurement *rows, int64 i)
{
	double		miss = 1.0 - probability_of_label(rows, i);

	return miss * miss;
}

static inline double
row_right(const MlMeasurement *rows, int64 i)
{
	return is_right(rows, i) ? 1.0 : 0.0;
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
measure_accuracy(const MlMeasurement *rows)
{
	return mean_of(rows, row_right);
}

/* ---- the confusion matrix of two classes ---- */

typedef struct Confusion
{
	double		true_positive;
	double		false_positive;
	double		false_negative;
} Confusion;

static Confusion
confusion(const MlMeasurement *rows)
{
	double		cell[2][2] = {{0}};	/* said, is: an index, since a branch could not be predicted */

	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		if (row_counts(rows, i))
			cell[rows->prediction[i] >= rows->threshold][rows->label[i] > 0.5] += ml_measure_weight(rows, i);
	}
	return (Confusion) {
		.true_positive = cell[true][true],
		.false_positive = cell[true][false],
		.false_negative = cell[false][true],
	};
}

static double
ratio(double part, double whole)
{
	return whole > 0.0 ? part / whole : NAN;
}

static double
measure_precision(const MlMeasurement *rows)
{
	Confusion	c = confusion(rows);

	return ratio(c.true_positive, c.true_positive + c.false_positive);
}

static double
measure_recall(const MlMeasurement *rows)
{
	Confusion	c = confusion(rows);

	return ratio(c.true_positive, c.true_positive + c.false_negative);
}

/* harmonic mean of precision and recall, written so that it needs neither */
static double
measure_f1(const MlMeasurement *rows)
{
	Confusion	c = confusion(rows);

	return ratio(2.0 * c.true_positive,
				 2.0 * c.true_positive + c.false_positive + c.false_negative);
}

/* ---- values of rows, for intervals ---- */

static pg_attribute_always_inline void
each_row(const MlMeasurement *rows, double *value, double (*of_row) (const MlMeasurement *rows, int64 i))
{
	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		value[i] = of_row(rows, i);
	}
}

static void
log_loss_values(const MlMeasurement *rows, double *value)
{
	each_row(rows, value, row_log_loss);
}

static void
brier_values(const MlMeasurement *rows, double *value)
{
	each_row(rows, value, row_brier);
}

static void
right_values(const MlMeasurement *rows, double *value)
{
	each_row(rows, value, row_right);
}

/*
 * Rows of two classes by what was said and what is: an index, since a branch
 * could not be predicted.
 */
static void
table_values(const MlMeasurement *rows, const double of_cell[2][2], double *value)
{
	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		value[i] = of_cell[rows->prediction[i] >= rows->threshold][rows->label[i] > 0.5];
	}
}

static void
precision_values(const MlMeasurement *rows, double *value)
{
	static const double of_cell[2][2] = {{NAN, NAN}, {0.0, 1.0}};

	table_values(rows, of_cell, value);
}

static void
recall_values(const MlMeasurement *rows, double *value)
{
	static const double of_cell[2][2] = {{NAN, 0.0}, {NAN, 1.0}};

	table_values(rows, of_cell, value);
}

/* f1 = 2 j / (1 + j), j being the share of true positives among the rows that are or are said to be positive */
static void
f1_values(const MlMeasurement *rows, double *value)
{
	static const double of_cell[2][2] = {{NAN, 0.0}, {0.0, 1.0}};

	table_values(rows, of_cell, value);
}

static double
f1_of_share(double share)
{
	return 2.0 * share / (1.0 + share);
}

const MlMetric ml_metric_log_loss = {
	.name = "log_loss",
	.summary = "mean of -ln(probability given to the class that came true), probabilities kept 1e-15 away from 0 and 1",
	.tasks = ML_TASK_BINARY | ML_TASK_MULTICLASS,
	.higher_is_better = false,
	.minimum = 0.0,
	.maximum = INFINITY,
	.measure = measure_log_loss,
	.interval = ML_INTERVAL_MEAN,
	.row_values = log_loss_values,
};

const MlMetric ml_metric_brier = {
	.name = "brier",
	.summary = "mean squared error of the probability, mean((probability - outcome)^2) with outcomes 0 and 1",
	.tasks = ML_TASK_BINARY,
	.higher_is_better = false,
	.minimum = 0.0,
	.maximum = 1.0,
	.measure = measure_brier,
	.interval = ML_INTERVAL_MEAN,
	.row_values = brier_values,
};

const MlMetric ml_metric_accuracy = {
	.name = "accuracy",
	.summary = "share of rows whose predicted class is right, at the threshold for two classes, the most probable of several",
	.tasks = ML_TASK_BINARY | ML_TASK_MULTICLASS,
	.higher_is_better = true,
	.minimum = 0.0,
	.maximum = 1.0,
	.measure = measure_accuracy,
	.interval = ML_INTERVAL_SHARE,
	.row_values = right_values,
};

const MlMetric ml_metric_precision = {
	.name = "precision",
	.summary = "share of the rows predicted positive that are, at the threshold",
	.tasks = ML_TASK_BINARY,
	.higher_is_better = true,
	.minimum = 0.0,
	.maximum = 1.0,
	.measure = measure_precision,
	.interval = ML_INTERVAL_SHARE,
	.row_values = precision_values,
};

const MlMetric ml_metric_recall = {
	.name = "recall",
	.summary = "share of the positive rows that are predicted positive, at the threshold",
	.tasks = ML_TASK_BINARY,
	.higher_is_better = true,
	.minimum = 0.0,
	.maximum = 1.0,
	.measure = measure_recall,
	.interval = ML_INTERVAL_SHARE,
	.row_values = recall_values,
};

const MlMetric ml_metric_f1 = {
	.name = "f1",
	.summary = "harmonic mean of precision and recall, at the threshold",
	.tasks = ML_TASK_BINARY,
	.higher_is_better = true,
	.minimum = 0.0,
	.maximum = 1.0,
	.measure = measure_f1,
	.interval = ML_INTERVAL_SHARE,
	.row_values = f1_values,
	.transform = f1_of_share,
};
