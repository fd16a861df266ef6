/*
 * metric.h
 *		Metrics of predictions against labels.
 *
 * Every metric knows its task, direction and range; nobody else states them.
 */
#ifndef ML_METRIC_H
#define ML_METRIC_H

#include "postgres.h"

#include "recipe/recipe.h"

typedef struct MlMeasurement
{
	MlTask		task;
	int64		n;
	const double *label;		/* value; BINARY 0 or 1; MULTICLASS class index */
	const double *prediction;	/* value; BINARY P(positive); MULTICLASS: n x nclasses, a row contiguous */
	const double *weight;		/* NULL: all 1 */
	const struct MlLoss *loss;	/* CLUSTER and PROJECTION: instead of label and prediction */
	int			nclasses;
	double		threshold;		/* BINARY: for metrics of labels */
} MlMeasurement;

/* how an interval of a metric is found (interval.h) */
typedef enum MlIntervalKind
{
	ML_INTERVAL_BOOTSTRAP,		/* measured again and again; needs nothing of the metric */
	ML_INTERVAL_SHARE,			/* mean of row_values that are 0 or 1 */
	ML_INTERVAL_MEAN,			/* mean of row_values */
	ML_INTERVAL_TABLE,			/* a function of the weights in the confusion table of two classes */
	ML_INTERVAL_AREA,			/* of a positive row scoring higher than a negative one */
	ML_INTERVAL_INFLUENCE,		/* the metric has row_influence */
	ML_INTERVAL_NONE			/* an extreme: none can be given */
} MlIntervalKind;

typedef struct MlMetric
{
	const char *name;
	const char *summary;		/* one sentence with the formula */
	uint32		tasks;			/* ML_TASK_* bits */
	bool		higher_is_better;
	double		minimum;		/* range of values */
	double		maximum;
	Size		row_memory;		/* bytes a row that measure takes while it runs */
	double		(*measure) (const MlMeasurement *rows); /* NaN: not defined on these rows */

	/* ---- what intervals are made of; rows have labels and predictions ---- */
	MlIntervalKind interval;

	/*
	 * SHARE, MEAN: the value of each row, NaN where it is not in question (a row
	 * predicted negative, for precision). transform, which rises, makes the metric of their mean; NULL: it is the mean.
	 */
	void		(*row_values) (const MlMeasurement *rows, double *value);
	double		(*transform) (double mean);

	/* INFLUENCE: what adding a little weight to a row adds to the metric, per unit of weight; returns the metric */
	double		(*row_influence) (const MlMeasurement *rows, double *influence);
} MlMetric;

extern const MlMetric *const ml_metrics[];	/* NULL ends */

/* by name, or NULL */
extern const MlMetric *ml_metric_find(const char *name);

/* 22023 if a known metric judges none of the tasks; an unknown one is no matter of this */
extern void ml_metric_require(const char *model, const char *name, uint32 tasks);

/* the metric that a model of this task is judged by unless it names another; NULL: there is none for the task */
extern const MlMetric *ml_metric_default(MlTask task);

#endif							/* ML_METRIC_H */
