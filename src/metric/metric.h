/*
 * metric.h
 *		Metrics of predictions against labels.
 *
 * Every metric knows its task, direction and range; nobody else states them.
 */
#ifndef ML_METRIC_H
#define ML_METRIC_H

#include "postgres.h"

#include "compat.h"
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
	struct MlShared *shared;	/* what metrics of the same rows leave to each other; NULL: nothing */
} MlMeasurement;

/*
 * Rows sorted by prediction, and the table of classes: made by the first metric
 * that needs them. Zeroed before the first; the rows must not change before
 * ml_metric_forget.
 */
typedef struct MlShared
{
	struct MlKeyed *ranked;		/* ascending, as ml_roc_area takes them */
	int64		nranked;
	struct MlWalk *walk;		/* down them (walk.h) */
	double	   *table;			/* weight by predicted and true class, nclasses x nclasses */
} MlShared;

extern void ml_metric_forget(MlShared *shared);

typedef struct MlMetric
{
	const char *name;
	const char *summary;		/* one sentence with the formula */
	uint32		tasks;			/* ML_TASK_* bits */
	bool		higher_is_better;
	double		minimum;		/* range of values */
	double		maximum;
	Size		row_memory;		/* bytes a row that measure takes while it runs, or leaves in shared */
	bool		on_request;		/* trainings measure it only where it is the model's metric */
	double		(*measure) (const MlMeasurement *rows); /* NaN: not defined on these rows */
} MlMetric;

extern const MlMetric *const ml_metrics[];	/* NULL ends */

/* by name, or NULL */
extern const MlMetric *ml_metric_find(const char *name);

/*
 * 22023 if a metric, built in or registered, judges none of the tasks, 42501 if the author of a
 * registered one may not read the model; an unknown one is no matter of this.
 */
extern void ml_metric_require(const char *model, const char *name, uint32 tasks);

/* is there a metric of this name, built in or registered? */
extern bool ml_metric_exists(const char *name);

/* 42704 with the nearest name for the tasks; detail: a sentence, or NULL */
ml_noreturn extern void ml_metric_error_unknown(const char *name, uint32 tasks, const char *detail);

/* names of the metrics that suit any of the tasks, offered as nearest (errors.h) */
struct MlNearest;
extern void ml_metric_offer(struct MlNearest *nearest, uint32 tasks);

/* 22023: a metric for some tasks does not judge predictions of others */
ml_noreturn extern void ml_metric_refuse_task(const char *model, const char *name, uint32 is_for, uint32 tasks);

/* "binary or multiclass" */
extern char *ml_metric_task_names(uint32 tasks);

/* the metric that a model of this task is judged by unless it names another; NULL: there is none for the task */
extern const MlMetric *ml_metric_default(MlTask task);

#endif							/* ML_METRIC_H */
