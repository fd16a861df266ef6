/*
 * judge.h
 *		Versions judged by labelled rows: metrics overall and by slice with
 *		intervals, and two versions compared on the same rows.
 *
 * A jury is a set of labelled rows, read once and put into canonical order;
 * any number of versions predict on it, so that what is compared is compared
 * on identical rows. All of it lives in the jury's context.
 *
 * Intervals are of 95 %: closed form where there is one, DeLong for roc_auc, else a
 * bootstrap whose random numbers are hashes of the seed and the row's fingerprint, so that the
 * same rows give the same interval in whatever order they are stored.
 */
#ifndef ML_JUDGE_H
#define ML_JUDGE_H

#include "postgres.h"

#include "budget.h"
#include "frame/frame.h"
#include "metric/metric.h"
#include "model/model.h"
#include "registry/registry.h"
#include "validate/validate.h"

/* the first slice of every jury: all rows, pinned ones weighing 0 */
#define ML_JURY_OVERALL 0

typedef struct MlJurySlice
{
	const char *name;			/* "" for all rows */
	int64		n;				/* rows that count in it, before those a version was trained on are left out */
	int64		min_rows;		/* fewer are too few to judge; 0: any number will do */
} MlJurySlice;

typedef struct MlJury MlJury;	/* rows; private to judge/ */
typedef struct MlJudged MlJudged;	/* what one version says of them */

/* a metric of ours, or a registered one of somebody's */
typedef struct MlJudgeMetric MlJudgeMetric;

extern const char *ml_judge_metric_name(const MlJudgeMetric *metric);
extern bool ml_judge_metric_higher_is_better(const MlJudgeMetric *metric);

/* the most that two of its values can be apart; infinite where its range has no end, or is not known */
extern double ml_judge_metric_span(const MlJudgeMetric *metric);

/* one of the two is NULL */
extern const MlMetric *ml_judge_metric_builtin(const MlJudgeMetric *metric);
extern const struct MlCustomMetric *ml_judge_metric_registered(const MlJudgeMetric *metric);

typedef struct MlEstimate
{
	double		value;			/* NaN: not defined on these rows */
	double		low;			/* NaN: no interval can be given */
	double		high;
	double		baseline;		/* of the constant that the training rows suggest; NaN: unknown */
	int64		n;				/* rows it is of */
	int64		seen;			/* rows that the version was trained on, left out unless include_seen; -1: not known */
} MlEstimate;

typedef struct MlDifference
{
	double		candidate;
	double		champion;
	double		difference;		/* candidate - champion, in the metric's unit */
	double		low;			/* 95 % interval of the difference */
	double		high;
	double		p_value;		/* of no difference, two-sided */
	int64		n;
	int64		needed;			/* rows that a difference of this size would need to be told from none, about; 0: it is told, or there is none */
} MlDifference;

/* features and columns of metrics that must be read; for several versions the union */
typedef struct MlJuryRequest
{
	const char *model;
	int			nversions;
	const MlModel **version;	/* models that will predict */
	const int  *number;			/* of each of these; NULL: their training rows are known by their values alone */
	List	   *metrics;		/* of MlJudgeMetric */
	bool		include_seen;	/* judge by rows that a version was trained on, too */
	int64		seed;
} MlJuryRequest;

/*
 * The rows of an edition, under the active snapshot.
 * 42703 names every column that a version needs and the rows lack; 42804 a label
 * that the target's type does not take; 54000 over mlops.max_training_memory.
 */
extern MlJury *ml_jury_of_edition(const MlJuryRequest *request, const MlEdition *edition);
extern void ml_jury_end(MlJury *jury);

/*
 * The rows themselves: a frame, and the rows of it that are in a slice, k from 0
 * on; weight may be NULL.
 */
extern const MlFrame *ml_jury_frame(const MlJury *jury);
extern int64 ml_jury_nrows(const MlJury *jury, int slice);
extern int64 ml_jury_row(const MlJury *jury, int slice, int64 k, double *weight);

extern int	ml_jury_nslices(const MlJury *jury);
extern const MlJurySlice *ml_jury_slice(const MlJury *jury, int slice);
extern int	ml_jury_find_slice(const MlJury *jury, const char *name);	/* -1: none */

/*
 * The metric of that name, built in or registered, for the model's task; NULL: the model's own.
 * 42704 with the nearest name, 22023 if it does not suit the task.
 */
extern MlJudgeMetric *ml_judge_metric(const char *model, MlTask task, const char *name);

/* predictions of a version; which rows it has seen; labels at the threshold (NaN: 0.5) */
extern MlJudged *ml_jury_judge(MlJury *jury, const MlResolved *resolved, const MlModel *model, double threshold);

extern void ml_judge_estimate(const MlJudged *judged, const MlJudgeMetric *metric, int slice, MlEstimate *result);

/*
 * On the rows that neither has been trained on. Tests: DeLong for roc_auc, McNemar for
 * accuracy, else a paired bootstrap.
 */
extern void ml_judge_compare(const MlJudged *candidate, const MlJudged *champion,
							 const MlJudgeMetric *metric, int slice, MlDifference *result);

/* what a paired test of n rows says (metric/interval.h) */
struct MlPaired;
extern void ml_difference_of_paired(const struct MlPaired *paired, int64 n, MlDifference *result);

/* eight columns of a row of a result: candidate, champion, difference, low, high, p_value, n, needed */
extern void ml_difference_columns(Datum *value, bool *isnull, int first, const MlDifference *difference);

/*
 * Evaluates the versions of a model that are in use on the newest edition of a
 * validation set, or of each of them (NULL), and stores what it finds, as the
 * current user. What cannot be judged becomes a warning.
 */
extern void ml_judge_again(const char *model, const char *validation_set);

/* the same of one version, on the newest edition of each set */
extern void ml_judge_version(const char *model, int version);

#endif							/* ML_JUDGE_H */
