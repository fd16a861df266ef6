/*
 * rules.c
 *		How the interval of each metric is found, and the values of rows that it
 *		is made of. A metric that is not here is bootstrapped.
 */
#include "postgres.h"

#include <math.h>

#include "interrupts.h"
#include "metric/interval.h"
#include "metric/measure.h"
#include "metric/units.h"
#include "predictor/routine.h"

#define MOST_CLASSES 20			/* of a table that is linearised: every cell is a measurement of all cells */

/* ---- of classes ---- */

static void
log_loss_values(const MlMeasurement *rows, double *value)
{
	for (int64 i = 0; i < rows->n; i++)
	{
		double		p;

		ml_check_row(i);
		if (rows->task == ML_TASK_MULTICLASS)
			p = rows->prediction[i * rows->nclasses + (int) rows->label[i]];
		else
			p = rows->label[i] > 0.5 ? rows->prediction[i] : 1.0 - rows->prediction[i];
		value[i] = ml_log_loss(p);
	}
}

static void
brier_values(const MlMeasurement *rows, double *value)
{
	for (int64 i = 0; i < rows->n; i++)
	{
		const double *p = rows->prediction + i * (rows->task == ML_TASK_MULTICLASS ? rows->nclasses : 1);
		double		sum = 0.0;

		ml_check_row(i);
		if (rows->task != ML_TASK_MULTICLASS)
		{
			value[i] = (p[0] - rows->label[i]) * (p[0] - rows->label[i]);
			continue;
		}
		for (int c = 0; c < rows->nclasses; c++)
			sum += (p[c] - (c == (int) rows->label[i])) * (p[c] - (c == (int) rows->label[i]));
		value[i] = 0.5 * sum;
	}
}

static void
right_values(const MlMeasurement *rows, double *value)
{
	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		value[i] = ml_measure_class(rows, i) == (int) (rows->label[i] + 0.5) ? 1.0 : 0.0;
	}
}

/* ahead: classes before it in order win a tie, as in the metric */
static void
in_top(const MlMeasurement *rows, int k, double *value)
{
	for (int64 i = 0; i < rows->n; i++)
	{
		const double *p = rows->prediction + i * rows->nclasses;
		int			label = (int) rows->label[i];
		int			ahead = 0;

		ml_check_row(i);
		for (int c = 0; c < rows->nclasses; c++)
			ahead += p[c] > p[label] || (c < label && p[c] == p[label]);
		value[i] = ahead < k ? 1.0 : 0.0;
	}
}

static void
in_top_2(const MlMeasurement *rows, double *value)
{
	in_top(rows, 2, value);
}

static void
in_top_3(const MlMeasurement *rows, double *value)
{
	in_top(rows, 3, value);
}

static void
in_top_5(const MlMeasurement *rows, double *value)
{
	in_top(rows, 5, value);
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

static const double cells_of_accuracy[2][2] = {{1.0, 0.0}, {0.0, 1.0}};
static const double cells_of_precision[2][2] = {{NAN, NAN}, {0.0, 1.0}};
static const double cells_of_recall[2][2] = {{NAN, 0.0}, {NAN, 1.0}};
static const double cells_of_specificity[2][2] = {{1.0, NAN}, {0.0, NAN}};

/* f1 = 2 j / (1 + j), j being the share of true positives among the rows that are or are said to be positive */
static const double cells_of_f1[2][2] = {{NAN, 0.0}, {0.0, 1.0}};

static void
precision_values(const MlMeasurement *rows, double *value)
{
	table_values(rows, cells_of_precision, value);
}

static void
recall_values(const MlMeasurement *rows, double *value)
{
	table_values(rows, cells_of_recall, value);
}

static void
specificity_values(const MlMeasurement *rows, double *value)
{
	table_values(rows, cells_of_specificity, value);
}

static void
f1_values(const MlMeasurement *rows, double *value)
{
	table_values(rows, cells_of_f1, value);
}

static double
f1_of_share(double share)
{
	return 2.0 * share / (1.0 + share);
}

/* ---- of numbers ---- */

/* infinite where a row is outside of the range of a loss, so that the mean is not defined either */
static pg_attribute_always_inline void
losses(const MlMeasurement *rows, double (*unit) (double y, double p), double *value)
{
	for (int64 i = 0; i < rows->n; i++)
	{
		double		loss = unit(rows->label[i], rows->prediction[i]);

		ml_check_row(i);
		value[i] = isnan(loss) ? INFINITY : loss;
	}
}

static inline double
square(double y, double p)
{
	return (y - p) * (y - p);
}

static inline double
distance(double y, double p)
{
	return fabs(y - p);
}

static double
root(double mean)
{
	return sqrt(mean);
}

#define LOSSES(name, unit) \
static void \
name(const MlMeasurement *rows, double *value) \
{ \
	losses(rows, unit, value); \
}

#define PINBALL(percent, quantile) \
static inline double \
pinball_##percent(double y, double p) \
{ \
	return ml_pinball_unit(y, p, quantile); \
} \
\
LOSSES(pinball_values_##percent, pinball_##percent)

LOSSES(square_values, square)
LOSSES(distance_values, distance)
LOSSES(poisson_values, ml_poisson_unit)
LOSSES(gamma_values, ml_gamma_unit)
LOSSES(percentage_values, ml_percentage_unit)
LOSSES(symmetric_values, ml_symmetric_unit)
PINBALL(05, 0.05)
PINBALL(10, 0.1)
PINBALL(25, 0.25)
PINBALL(75, 0.75)
PINBALL(90, 0.9)
PINBALL(95, 0.95)

/* r2 = 1 - residual / total: both are sums over rows, and so is the first order of their ratio */
static double
r2_influence(const MlMeasurement *rows, double *influence)
{
	MlMoments	moments = {0};
	MlSum		squares = {0};
	double		residual;

	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		ml_moments_add(&moments, rows->label[i], ml_measure_weight(rows, i));
		ml_sum_add(&squares, ml_measure_weight(rows, i) * square(rows->label[i], rows->prediction[i]));
	}
	if (!(moments.squares > 0.0))
		return NAN;
	residual = ml_sum_get(&squares) / moments.squares;
	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		influence[i] = (residual * square(rows->label[i], moments.mean) -
						square(rows->label[i], rows->prediction[i])) / moments.squares;
	}
	return 1.0 - residual;
}

/* ---- without a target ---- */

static void
inertia_values(const MlMeasurement *rows, double *value)
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

/* of numbers: 1 - variance of the errors / that of the labels */
static double
explained_errors(const MlMeasurement *rows, double *influence)
{
	MlMoments	errors = {0};
	MlMoments	labels = {0};
	double		share;

	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		ml_moments_add(&errors, rows->label[i] - rows->prediction[i], ml_measure_weight(rows, i));
		ml_moments_add(&labels, rows->label[i], ml_measure_weight(rows, i));
	}
	if (!(labels.squares > 0.0))
		return NAN;
	share = errors.squares / labels.squares;
	for (int64 i = 0; i < rows->n; i++)
		influence[i] = (share * square(rows->label[i], labels.mean) -
						square(rows->label[i] - rows->prediction[i], errors.mean)) / labels.squares;
	return 1.0 - share;
}

/* 1 - loss / spread */
static double
explained_influence(const MlMeasurement *rows, double *influence)
{
	MlSum		loss = {0};
	MlSum		spread = {0};
	double		share;

	if (rows->loss == NULL)
		return explained_errors(rows, influence);
	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		ml_sum_add(&loss, ml_measure_weight(rows, i) * rows->loss[i].loss);
		ml_sum_add(&spread, ml_measure_weight(rows, i) * rows->loss[i].spread);
	}
	if (!(ml_sum_get(&spread) > 0.0))
		return NAN;
	share = ml_sum_get(&loss) / ml_sum_get(&spread);
	for (int64 i = 0; i < rows->n; i++)
		influence[i] = (share * rows->loss[i].spread - rows->loss[i].loss) / ml_sum_get(&spread);
	return 1.0 - share;
}

/* ---- the table ---- */

static const MlIntervalRule rules[] = {
	{&ml_metric_accuracy, ML_INTERVAL_SHARE, cells_of_accuracy, right_values},
	{&ml_metric_micro_precision, ML_INTERVAL_SHARE, NULL, right_values},
	{&ml_metric_micro_recall, ML_INTERVAL_SHARE, NULL, right_values},
	{&ml_metric_micro_f1, ML_INTERVAL_SHARE, NULL, right_values},
	{&ml_metric_precision, ML_INTERVAL_SHARE, cells_of_precision, precision_values},
	{&ml_metric_recall, ML_INTERVAL_SHARE, cells_of_recall, recall_values},
	{&ml_metric_specificity, ML_INTERVAL_SHARE, cells_of_specificity, specificity_values},
	{&ml_metric_f1, ML_INTERVAL_SHARE, cells_of_f1, f1_values, f1_of_share},
	{&ml_metric_top_2_accuracy, ML_INTERVAL_SHARE, NULL, in_top_2},
	{&ml_metric_top_3_accuracy, ML_INTERVAL_SHARE, NULL, in_top_3},
	{&ml_metric_top_5_accuracy, ML_INTERVAL_SHARE, NULL, in_top_5},
	{&ml_metric_balanced_accuracy, ML_INTERVAL_TABLE},
	{&ml_metric_mcc, ML_INTERVAL_TABLE},
	{&ml_metric_macro_precision, ML_INTERVAL_TABLE},
	{&ml_metric_macro_recall, ML_INTERVAL_TABLE},
	{&ml_metric_macro_f1, ML_INTERVAL_TABLE},
	{&ml_metric_roc_auc, ML_INTERVAL_AREA},
	{&ml_metric_log_loss, ML_INTERVAL_MEAN, NULL, log_loss_values},
	{&ml_metric_brier, ML_INTERVAL_MEAN, NULL, brier_values},
	{&ml_metric_rmse, ML_INTERVAL_MEAN, NULL, square_values, root},
	{&ml_metric_mae, ML_INTERVAL_MEAN, NULL, distance_values},
	{&ml_metric_poisson_deviance, ML_INTERVAL_MEAN, NULL, poisson_values},
	{&ml_metric_gamma_deviance, ML_INTERVAL_MEAN, NULL, gamma_values},
	{&ml_metric_mape, ML_INTERVAL_MEAN, NULL, percentage_values},
	{&ml_metric_smape, ML_INTERVAL_MEAN, NULL, symmetric_values},
	{&ml_metric_pinball_05, ML_INTERVAL_MEAN, NULL, pinball_values_05},
	{&ml_metric_pinball_10, ML_INTERVAL_MEAN, NULL, pinball_values_10},
	{&ml_metric_pinball_25, ML_INTERVAL_MEAN, NULL, pinball_values_25},
	{&ml_metric_pinball_75, ML_INTERVAL_MEAN, NULL, pinball_values_75},
	{&ml_metric_pinball_90, ML_INTERVAL_MEAN, NULL, pinball_values_90},
	{&ml_metric_pinball_95, ML_INTERVAL_MEAN, NULL, pinball_values_95},
	{&ml_metric_r2, ML_INTERVAL_INFLUENCE, NULL, NULL, NULL, r2_influence},
	{&ml_metric_max_error, ML_INTERVAL_NONE},
	{&ml_metric_inertia, ML_INTERVAL_MEAN, NULL, inertia_values},
	{&ml_metric_silhouette, ML_INTERVAL_MEAN, NULL, silhouette_values},
	{&ml_metric_explained_variance, ML_INTERVAL_INFLUENCE, NULL, NULL, NULL, explained_influence},
};

MlIntervalKind
ml_interval_kind(const MlMetric *metric, const MlMeasurement *rows)
{
	MlIntervalKind kind = ml_interval_rule(metric)->kind;

	return kind == ML_INTERVAL_TABLE && rows->nclasses > MOST_CLASSES ? ML_INTERVAL_BOOTSTRAP : kind;
}

const MlIntervalRule *
ml_interval_rule(const MlMetric *metric)
{
	static const MlIntervalRule bootstrap = {NULL, ML_INTERVAL_BOOTSTRAP};

	for (int i = 0; i < lengthof(rules); i++)
		if (rules[i].metric == metric)
			return &rules[i];
	return &bootstrap;
}
