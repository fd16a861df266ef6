/*
 * monitor.h
 *		Monitors: what is watched of a model while it serves. Shared by the files
 *		that set, measure, judge and act.
 *
 * A monitor looks at windows of the length of its period, one after the other,
 * each once. What it sees in one is a value with an interval where there is
 * one; the whole interval must lie beyond a bound for the window to be bad.
 */
#ifndef ML_MONITOR_H
#define ML_MONITOR_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "errors.h"
#include "nodes/pg_list.h"
#include "registry/author.h"

#define ML_MONITOR_SLO	"slo"	/* the monitor that the setting slo of a model makes */

/* ---- what can be watched ---- */

typedef enum MlWatchSource
{
	ML_WATCH_METRIC,			/* of predictions and outcomes */
	ML_WATCH_COVERAGE,			/* predictions that have an outcome */
	ML_WATCH_VOLUME,
	ML_WATCH_LATENCY,
	ML_WATCH_NULL,				/* calls that gave no prediction */
	ML_WATCH_MEAN,				/* of predictions */
	ML_WATCH_RULES,				/* calls on which a rule fired */
	ML_WATCH_BARRED,			/* calls that a hard check barred */
	ML_WATCH_MISSING,			/* values of logged inputs */
	ML_WATCH_DRIFT,				/* distance of inputs from those of training, here and below */
	ML_WATCH_BROKEN,			/* features that no population explains */
	ML_WATCH_UNSEEN,			/* values that training never saw */
	ML_WATCH_AGE				/* of the active version */
} MlWatchSource;

/* on which scale values vary alike, whatever they are: of proposed bounds */
typedef enum MlWatchScale
{
	ML_SCALE_PLAIN,
	ML_SCALE_SHARE,				/* arcsine of the square root */
	ML_SCALE_COUNT				/* logarithm of 1 more */
} MlWatchScale;

typedef enum MlWatchFeature
{
	ML_FEATURE_NONE, ML_FEATURE_OPTIONAL, ML_FEATURE_NEEDED
} MlWatchFeature;

/* a quantity that can be watched; metrics are made into one */
typedef struct MlMeasure
{
	const char *name;
	const char *unit;
	const char *summary;
	MlWatchSource source;
	MlWatchScale scale;
	int			bad;			/* -1: below a bound, 1: above one, 0: either */
	MlWatchFeature feature;
	bool		of_version;		/* says something of the version: another one is watched anew */
	bool		counts;			/* no rows are something to see, too */
	bool		learns;			/* earlier periods tell what is usual */
	bool		never;			/* none is usual: the bound is 0 where none is given */
	int			consecutive;	/* bad periods by default; 0: 1 */
	double		quantile;		/* of LATENCY */
	double		least;			/* nearer to what is usual no bound is proposed: a difference, of COUNT a factor */
} MlMeasure;

/*
 * The measure, or the metric that model can be judged by, of this name: 42704
 * with the nearest one, 22023 for a metric of another task.
 */
extern const MlMeasure *ml_measure_require(const char *model, const char *name);

/* is it of predictions and what came true? */
extern bool ml_measure_has_outcomes(const MlMeasure *measure);

/* ---- monitors as they are stored (monitor_row.c) ---- */

typedef enum MlMonitorAction
{
	ML_ACTION_ALERT, ML_ACTION_ROLLBACK, ML_ACTION_FALLBACK, ML_ACTION_RETRAIN, ML_NACTIONS
} MlMonitorAction;

extern const char *const ml_action_names[ML_NACTIONS];

/* of a stored name */
extern MlMonitorAction ml_action_find(const char *name);

typedef struct MlMonitor
{
	char	   *model;
	char	   *name;
	char	   *what;
	char	   *feature;		/* NULL: none */
	double		minimum;		/* NaN: none; without either they are proposed */
	double		maximum;
	Interval   *period;
	Interval   *every;
	Interval   *label_delay;
	int64		min_rows;
	int			consecutive;
	MlMonitorAction action;
	Interval   *cooldown;
	MlAuthor	author;
	TimestampTz judged_until;	/* DT_NOBEGIN: nothing yet */
	TimestampTz acted_until;	/* likewise; no action before */
	const MlMeasure *measure;
} MlMonitor;

/* in the current context; NULL if there is none. measure is left out */
extern MlMonitor *ml_monitor_row(const char *model, const char *name);

/* names of a model's, in the current context */
extern List *ml_monitor_names(const char *model);

/* until the end of the transaction nobody else judges or sets monitors of the model */
extern void ml_monitor_lock(const char *model);

/* one of the same name is replaced; what it learned stays */
extern void ml_monitor_put(const MlMonitor *monitor);
/* its periods, so that it begins anew */
extern void ml_monitor_forget(const char *model, const char *name);
extern bool ml_monitor_delete(const char *model, const char *name);

extern void ml_monitor_judged(const MlMonitor *monitor, TimestampTz until);
extern void ml_monitor_acted(const MlMonitor *monitor, TimestampTz until);

/* the privileges that setting it needs; 42501 */
extern void ml_monitor_require_privilege(const char *model, MlMonitorAction action);

/* monitor_set.c: checks and stores a monitor whose measure may be missing; the author is who calls */
extern void ml_monitor_set(MlMonitor *monitor);

/* ---- what a monitor saw (monitor_measure.c) ---- */

typedef struct MlSeen
{
	double		value;			/* NaN: nothing to see */
	double		low;			/* NaN: no interval */
	double		high;
	int64		n;
	int			version;		/* that it is of; 0: of none */
	char	   *note;			/* or NULL */
} MlSeen;

/* of [until - period, until), with outcomes known label_delay after it; as the author */
extern void ml_monitor_measure(const MlMonitor *monitor, TimestampTz until, MlSeen *seen);

/* monitor_drift.c: the same of what mlops_drift sees; the version is left out */
extern void ml_monitor_measure_drift(const MlMonitor *monitor, TimestampTz until, MlSeen *seen);

/* ---- proposed bounds (bound.c) ---- */

#define ML_LEARN_LEAST	14		/* periods that a proposal needs */
#define ML_LEARN_MOST	60		/* the newest ones that it takes */

typedef struct MlPast
{
	double		value;
	double		error;			/* standard error that sampling alone makes; NaN: not known */
	int64		n;
	bool		kept;			/* somebody said that it is usual: no outlier */
} MlPast;

/*
 * Bounds that a value of a usual period is beyond with a probability of
 * 1/10,000 each; only those on the bad sides, the others NaN. false: too few periods
 */
extern bool ml_bound_propose(const MlMeasure *measure, const MlPast *past, int n, double *minimum, double *maximum);

/* ---- alerts (alert_row.c) ---- */

typedef struct MlAlert
{
	int			number;			/* 0: none */
	int			version;		/* that was seen; 0: of none */
	double		minimum;		/* by which it was opened */
	double		maximum;
	bool		muted;
	bool		acted;			/* something was done because of it */
} MlAlert;

/* the one of a monitor that is not resolved; number 0: there is none */
extern void ml_alert_find(const MlMonitor *monitor, TimestampTz as_of, MlAlert *alert);

/* a new one; under the lock of the clock */
extern void ml_alert_open(const MlMonitor *monitor, const MlSeen *seen, TimestampTz since, TimestampTz until,
						  TimestampTz as_of, MlAlert *alert);
extern void ml_alert_close(const char *model, int number, const char *by, TimestampTz at, const char *comment);
extern void ml_alert_done(const char *model, int number, const char *done, int made, TimestampTz at);

/* resolves those of a monitor that goes, or watches something else now */
extern void ml_alert_close_all(const char *model, const char *monitor, const char *comment);

/* ---- actions (monitor_action.c) ---- */

typedef struct MlDeed
{
	char	   *words;			/* what was done, or why nothing was */
	bool		tried;
	int			made;			/* number of the deployment that it made, or 0 */
} MlDeed;

/* does what the monitor is to do, as its author; a failure is a result */
extern void ml_monitor_act(const MlMonitor *monitor, const MlSeen *seen, const char *reason, TimestampTz as_of,
						   MlDeed *deed);

/* "accuracy is 0.61 (0.58 to 0.64), below 0.7" */
extern char *ml_monitor_words(const MlMonitor *monitor, const MlSeen *seen, double minimum, double maximum);

/* ---- the tick ---- */

/* a time that lies ahead of the server's clock is the clock's: nobody looks at what has not happened */
extern TimestampTz ml_monitors_time(TimestampTz as_of);

/* models and monitors of which a period may have ended, lists of the same length in the current context */
extern void ml_monitors_due(TimestampTz as_of, List **models, List **names);

/* judges what has ended by then and acts on it; nothing if another session does */
extern void ml_monitor_judge(const char *model, const char *name, TimestampTz as_of);
extern void ml_monitor_failed(const char *model, const char *name, const ErrorData *error);

/* ---- slo.c ---- */

/* from the words of the setting, "roc_auc >= 0.8 over 7 days after 1 day"; NULL takes it back */
extern void ml_slo_changed(const char *model, const char *slo);

#endif							/* ML_MONITOR_H */
