/*
 * measure.h
 *		The metrics by task, and the sums that they are made of.
 *
 * Rows without a label or a prediction (NaN) are left out by every metric.
 * Sums run over rows in order, in blocks, so that they depend on the rows and
 * their order alone.
 */
#ifndef ML_MEASURE_H
#define ML_MEASURE_H

#include "postgres.h"

#include <math.h>

#include "interrupts.h"
#include "metric/metric.h"

#define ML_MEASURE_BLOCK	1024

/* a weighted sum that adds up block by block */
typedef struct MlSum
{
	double		total;
	double		block;
	int			n;
} MlSum;

static inline void
ml_sum_add(MlSum *sum, double value)
{
	sum->block += value;
	if (++sum->n == ML_MEASURE_BLOCK)
	{
		sum->total += sum->block;
		sum->block = 0.0;
		sum->n = 0;
	}
}

static inline double
ml_sum_get(const MlSum *sum)
{
	return sum->total + sum->block;
}

static inline double
ml_measure_weight(const MlMeasurement *rows, int64 i)
{
	return rows->weight == NULL ? 1.0 : rows->weight[i];
}

/* a label and a prediction: rows without one count nowhere */
static inline bool
ml_measure_counts(const MlMeasurement *rows, int64 i)
{
	const double *p = rows->prediction + (rows->task == ML_TASK_MULTICLASS ? i * rows->nclasses : i);

	return !isnan(rows->label[i]) && !isnan(*p);
}

/* the class that is predicted for a row, at the threshold or the most probable, the first of equals */
static inline int
ml_measure_class(const MlMeasurement *rows, int64 i)
{
	const double *p = rows->prediction + (rows->task == ML_TASK_MULTICLASS ? i * rows->nclasses : i);
	int			best = 0;

	if (rows->task == ML_TASK_BINARY)
		return *p >= rows->threshold;
	for (int c = 1; c < rows->nclasses; c++)
	{
		if (p[c] > p[best])
			best = c;
	}
	return best;
}

/* regression.c */
extern const MlMetric ml_metric_rmse;
extern const MlMetric ml_metric_mae;
extern const MlMetric ml_metric_r2;
extern const MlMetric ml_metric_max_error;
extern const MlMetric ml_metric_poisson_deviance;
extern const MlMetric ml_metric_gamma_deviance;

/* error.c */
extern const MlMetric ml_metric_median_absolute_error;
extern const MlMetric ml_metric_mape;
extern const MlMetric ml_metric_smape;
extern const MlMetric ml_metric_pinball_05;
extern const MlMetric ml_metric_pinball_10;
extern const MlMetric ml_metric_pinball_25;
extern const MlMetric ml_metric_pinball_75;
extern const MlMetric ml_metric_pinball_90;
extern const MlMetric ml_metric_pinball_95;

/* classes.c */
extern const MlMetric ml_metric_log_loss;
extern const MlMetric ml_metric_brier;
extern const MlMetric ml_metric_accuracy;
extern const MlMetric ml_metric_top_2_accuracy;
extern const MlMetric ml_metric_top_3_accuracy;
extern const MlMetric ml_metric_top_5_accuracy;
extern const MlMetric ml_metric_expected_calibration_error;

/* confusion.c */
extern const MlMetric ml_metric_precision;
extern const MlMetric ml_metric_recall;
extern const MlMetric ml_metric_f1;
extern const MlMetric ml_metric_specificity;
extern const MlMetric ml_metric_balanced_accuracy;
extern const MlMetric ml_metric_mcc;
extern const MlMetric ml_metric_macro_precision;
extern const MlMetric ml_metric_macro_recall;
extern const MlMetric ml_metric_macro_f1;
extern const MlMetric ml_metric_micro_precision;
extern const MlMetric ml_metric_micro_recall;
extern const MlMetric ml_metric_micro_f1;

/* distance.c */
extern const MlMetric ml_metric_inertia;
extern const MlMetric ml_metric_explained_variance;
extern const MlMetric ml_metric_silhouette;

/* rank.c */
extern const MlMetric ml_metric_roc_auc;
extern const MlMetric ml_metric_pr_auc;
extern const MlMetric ml_metric_ks;
extern const MlMetric ml_metric_gain_10;
extern const MlMetric ml_metric_lift_10;

#endif							/* ML_MEASURE_H */
