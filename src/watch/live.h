/*
 * live.h
 *		Logged predictions and what came true of them, in groups by window (or
 *		deployment, or age of the version), role, version and slice, and the metrics of a
 *		group with their intervals.
 *
 * An outcome belongs to the last prediction of its key, in a role, before it; where
 * a prediction has several, the model's policy picks one. All rows weigh the
 * same. What is independent are keys, not predictions: those of one key count
 * as one cluster in every interval.
 */
#ifndef ML_LIVE_H
#define ML_LIVE_H

#include "postgres.h"

#include "budget.h"
#include "datatype/timestamp.h"
#include "judge/judge.h"
#include "metric/sequential.h"
#include "nodes/pg_list.h"
#include "watch/outcome.h"

/* what the number of a group is */
typedef enum MlLiveBy
{
	ML_LIVE_BY_WINDOW,			/* of width, from 0 at the beginning */
	ML_LIVE_BY_DEPLOYMENT,		/* of predictions that served; others are left out */
	ML_LIVE_BY_AGE,				/* of the version, in widths; likewise */
	ML_LIVE_BY_AGE_POOLED		/* the same of all versions together, as version 0 */
} MlLiveBy;

typedef struct MlLiveRequest
{
	const char *model;
	MlLiveBy	by;
	TimestampTz from;			/* predictions of [from, until) */
	TimestampTz until;
	TimestampTz as_of;			/* later outcomes and predictions are not known */
	int64		width;			/* of a window, in microseconds */
	Datum		slices;			/* text[]: columns of logged inputs; 0: none */
	List	   *metrics;		/* of MlJudgeMetric *, whose columns are read */
	int			first_deployment;	/* 0: any call; else those of the canary by these deployments */
	int			last_deployment;
	int			active_deployment;	/* and those of the active version by this one */
	int			shadow;			/* 0: none; else a version: calls that it was asked for too, and that no rule touched */
} MlLiveRequest;

typedef struct MlLivePrepared MlLivePrepared;	/* live_measure.c */

/* the rows of a number, role, version and slice */
typedef struct MlLiveGroup
{
	int			number;			/* of the window, the deployment, or the age */
	char	   *role;
	int			version;
	char	   *slice;			/* "": all rows */
	int64		predictions;	/* calls with a key */
	int64		labelled;		/* of them have an outcome that the model knows */
	double	   *delay;			/* of these, ascending; seconds */
	double		agreement;		/* mean share of a prediction's outcomes that equal the one that counts; NaN: none has several */

	int64		n;				/* of the labelled ones have a prediction, too; the rows below */
	double	   *prediction;
	double	   *label;			/* as in MlMeasurement */
	int		   *class;			/* that was logged as label; BINARY 1 for the positive */
	uint64	   *key;			/* a hash of it */
	double	   *shadow_prediction;	/* of the shadow, NULL without one; rows have this, too */
	int		   *shadow_class;
	char	  **text;			/* n x columns: of the input; ml_live_missing: not logged */
	MlLivePrepared *prepared;
} MlLiveGroup;

extern char *const ml_live_missing;

typedef struct MlLive
{
	const MlLiveRequest *request;
	MlOutcomeKind kind;
	MemoryContext cxt;
	MlBudget	budget;
	List	   *columns;		/* of char *: what registered metrics take */
	List	   *groups;			/* of MlLiveGroup *, by number, role, version and slice */
	double	   *delay;			/* of all labelled rows, whatever the slice, ascending */
	int64		ndelays;
} MlLive;

/*
 * Reads what is known of the model, checks no privilege. 0A000 if it has no outcomes, 54000
 * over mlops.max_training_memory. The request must stay.
 */
extern MlLive *ml_live_read(const MlLiveRequest *request);
extern void ml_live_end(MlLive *live);

/* the task that outcomes are of; 0: no version says it yet */
extern MlTask ml_live_task(const char *model);

/*
 * The metrics to measure live: those named; or the model's own, all of ours for the task (dear: also those
 * whose intervals are bootstrapped), and registered ones that its gates ask for. Errors as of ml_judge_metric.
 */
extern List *ml_live_metrics(const char *model, MlTask task, char **name, int n, bool dear);

typedef struct MlLiveEstimate
{
	double		value;			/* NaN: not defined on these rows */
	double		low;			/* NaN: no interval can be given */
	double		high;
	double		error;			/* standard error */
	int64		n;				/* rows it is of */
	int64		keys;			/* of how many keys */
} MlLiveEstimate;

/*
 * A metric of a group, not within a scope of the registry. false: the log does not know enough for it
 * (probabilities of several classes; columns of the input that were not logged).
 */
extern bool ml_live_estimate(MlLive *live, MlLiveGroup *group, const MlJudgeMetric *metric, MlLiveEstimate *result);

/* the shadow of the request on the rows of a group */
extern MlLiveGroup *ml_live_shadow(MlLive *live, const MlLiveGroup *group);

/* a shadow less what was answered */
typedef struct MlLiveDifference
{
	MlDifference once;			/* with the interval and p value of one look */
	MlSequential always;		/* those of all looks; NaN: there are none of the metric, or of so few keys */
} MlLiveDifference;

/*
 * A shadow, made of the group by ml_live_shadow(), against what was answered, not within a scope of the registry.
 * false: the log does not know enough for the metric.
 */
extern bool ml_live_compare(MlLive *live, MlLiveGroup *shadow, MlLiveGroup *group, const MlJudgeMetric *metric,
							MlLiveDifference *result);

/* place of a column of metrics in the texts of a row; -1: none, it is the weight */
extern int	ml_live_column(const MlLive *live, const char *name);

/* gives back what estimates of the group have shared */
extern void ml_live_forget(MlLive *live, MlLiveGroup *group);

/* NOTICE for registered metrics that are left out everywhere, since their columns were not logged */
extern void ml_live_tell_missing(const MlLive *live);

/*
 * The model's primary metric on what its version answered as the active one in a stretch of time: NaN, of 0
 * rows, without outcomes. Checks no privilege.
 */
extern void ml_live_value(const char *model, int version, TimestampTz from, TimestampTz until, TimestampTz as_of,
						  MlLiveEstimate *estimate);

/* of sorted values, the least that a share of them does not exceed; NaN: there are none */
extern double ml_live_quantile(const double *sorted, int64 n, double share);

#endif							/* ML_LIVE_H */
