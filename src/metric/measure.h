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

/* regression.c */
extern const MlMetric ml_metric_rmse;
extern const MlMetric ml_metric_mae;
extern const MlMetric ml_metric_r2;
extern const MlMetric ml_metric_max_error;
extern const MlMetric ml_metric_poisson_deviance;
extern const MlMetric ml_metric_gamma_deviance;

/* classes.c */
extern const MlMetric ml_metric_log_loss;
extern const MlMetric ml_metric_brier;
extern const MlMetric ml_metric_accuracy;
extern const MlMetric ml_metric_precision;
extern const MlMetric ml_metric_recall;
extern const MlMetric ml_metric_f1;

/* distance.c */
extern const MlMetric ml_metric_inertia;
extern const MlMetric ml_metric_explained_variance;
extern const MlMetric ml_metric_silhouette;

/* rank.c */
extern const MlMetric ml_metric_roc_auc;

#endif							/* ML_MEASURE_H */
