/*
 * canary_report.h
 *		How a canary does beside the active version, in calls and keys since
 *		the bundle and its share last changed.
 */
#ifndef ML_CANARY_REPORT_H
#define ML_CANARY_REPORT_H

#include "postgres.h"

#include "metric/sequential.h"
#include "watch/live.h"

#define ML_CANARY_ALPHA		0.05	/* of a metric: how often a difference may be found, at any time, where there is none */
#define ML_SPLIT_ALPHA		0.001	/* likewise of the split */

/* deployments in which the same canary served the same share */
typedef struct MlCanaryStage
{
	int			version;
	int			active;			/* the version that serves the others */
	double		share;
	double		threshold;		/* of the canary; NaN: none */
	int			rules;			/* likewise; 0: none */
	int			first;			/* deployments of the canary */
	int			last;
	int			active_deployment;	/* that of the version that serves the others */
	TimestampTz since;			/* of the first */
} MlCanaryStage;

typedef enum MlCanaryVerdict
{
	ML_CANARY_UNDECIDED,
	ML_CANARY_WORSE,
	ML_CANARY_BETTER
} MlCanaryVerdict;

/* a metric on both sides */
typedef struct MlCanaryMetric
{
	const char *name;
	MlLiveEstimate active;
	MlLiveEstimate canary;
	MlSequential difference;	/* canary - active; NaN: not enough is known */
	MlCanaryVerdict verdict;
} MlCanaryMetric;

typedef struct MlCanarySide
{
	int64		keys;			/* that got a logged call, after the first minute */
	int64		predictions;	/* calls with a key */
	int64		labelled;		/* of them have an outcome */
} MlCanarySide;

typedef struct MlCanaryReport
{
	MlCanaryStage stage;
	MlCanarySide active;
	MlCanarySide canary;
	MlSequential split;			/* of the canary's share of the keys */
	bool		broken;			/* the split is not the one asked for */
	List	   *metrics;		/* of MlCanaryMetric *, the model's own first */
} MlCanaryReport;

/* false: no canary serves at that time. No scope may be open */
extern bool ml_canary_stage(const char *model, TimestampTz as_of, MlCanaryStage *stage);

/*
 * Fills in the report of a stage, in the current context. metrics: of MlJudgeMetric, NIL: outcomes are not
 * looked at; alpha: for each of them. Checks no privilege.
 */
extern void ml_canary_look(const char *model, const MlCanaryStage *stage, TimestampTz as_of, List *metrics,
						   double alpha, MlCanaryReport *report);

extern const char *ml_canary_verdict_name(MlCanaryVerdict verdict);

#endif							/* ML_CANARY_REPORT_H */
