/*
 * custom.h
 *		Registered metrics: an SQL aggregate of somebody's over (prediction,
 *		label [, columns of the row]), run over rows in memory as who registered it.
 *
 * What an aggregate is given depends on the types of its arguments:
 *
 *		prediction	a number: the number predicted, of two classes P(positive);
 *					text: the predicted class, at the threshold, or the most
 *					probable; boolean: of two classes, is it the positive one
 *		label		a number: the number, of two classes 1 for the positive and
 *					0 for the other; text: the class; boolean: is it positive
 *		columns		the row's, cast to the argument's type
 *
 * The row's weight is passed where columns name mlops_weight; an aggregate that
 * does not ask for it gives every row the same weight. A row whose label or
 * prediction is missing (NaN) is not passed.
 */
#ifndef ML_CUSTOM_H
#define ML_CUSTOM_H

#include "postgres.h"

#include "frame/frame.h"
#include "metric/metric.h"
#include "registry/author.h"

/* in the list of columns: the weight of the row */
#define ML_CUSTOM_WEIGHT "mlops_weight"

/* a registered metric; palloc'd in the context that was current */
typedef struct MlCustomMetric
{
	char	   *name;
	char	   *aggregate;		/* signature, qualified: shop.profit(double precision,boolean,numeric) */
	int			ncolumns;
	char	  **column;			/* passed after prediction and label */
	uint32		tasks;			/* ML_TASK_* bits */
	bool		higher_is_better;
	double		minimum;		/* -infinity, infinity: not known */
	double		maximum;
	char	   *description;	/* or NULL */
	bool		weighted;		/* it asks for the weight; if not, say so beside its value where weights differ */
	MlAuthor	author;
} MlCustomMetric;

/* the registered metric of that name, or NULL; checks no privilege */
extern MlCustomMetric *ml_custom_metric(const char *name);

/* all of them by name in C order; a list of MlCustomMetric * */
extern List *ml_custom_metrics(void);

/*
 * Refuses a registered metric that does not judge any of the tasks (22023), or
 * whose author may not read the model (42501).
 */
extern void ml_custom_require(const char *model, const MlCustomMetric *metric, uint32 tasks);

/*
 * Rows to be judged. What they belong to is said by groups, which may overlap,
 * and by folds, which do not: for every group the metric is taken of all its
 * rows, and of all but those of each fold (for a jackknife).
 */
typedef struct MlCustomRows
{
	const char *model;			/* that the author must be allowed to read */
	MlTask		task;
	int64		n;
	const double *label;		/* as in MlMeasurement, all four */
	const double *prediction;
	const double *weight;		/* NULL: all 1 */
	double		threshold;
	const int  *said;			/* the class predicted, BINARY 1 for the positive; NULL: as prediction and threshold say */
	int			nclasses;
	char	  **class_label;	/* of the target; NULL for regression */
	int			positive;		/* BINARY: index of the positive class */
	const MlFrame *frame;		/* with the columns of the row; NULL if no metric needs one */
	char	  **text;			/* n x columns of the metric, instead of a frame; an element NULL: NULL */
	const int64 *frame_row;		/* of row i in the frame; NULL: frame_first + i */
	int64		frame_first;
	int			ngroups;		/* 0: one, of all rows */
	bool		(*in_group) (void *arg, int64 i, int group);	/* NULL if ngroups is 0; a row of weight 0 belongs where it says */
	void	   *in_group_arg;
	int			nfolds;			/* 0: none */
	const int32 *fold;			/* of row i, from 0 to nfolds - 1; NULL if nfolds is 0 */
} MlCustomRows;

/*
 * Runs the aggregate, in one query, as its author and under the active snapshot, which must be
 * there. result: Max(ngroups, 1) x (1 + nfolds) doubles, a group's together, first that of all
 * its rows; NaN where the aggregate says NULL, or there are no rows.
 *
 * Errors of the aggregate have the context: metric "profit". 42703 names columns that the frame
 * lacks; 42883 the aggregate is gone; those of ml_author_enter.
 */
extern void ml_custom_measure(const MlCustomMetric *metric, const MlCustomRows *rows, double *result);

#define ML_CUSTOM_FOLDS 30		/* for a jackknife */

/*
 * Standard error of a metric, or of one less other (NULL: of one), from what ml_custom_measure said with
 * ML_CUSTOM_FOLDS folds: first of all rows, then without each fold; NaN: not known. Student's t with
 * ML_CUSTOM_FOLDS - 1 degrees of freedom.
 */
extern double ml_custom_jackknife(const double *one, const double *other);

/* the columns, but the weight, that a frame must have loaded for a metric, appended to a list of char * */
extern List *ml_custom_columns(const MlCustomMetric *metric, List *names);

/* name, tasks, direction and range as those of ours have them, without a function to measure */
extern const MlMetric *ml_custom_as_metric(const MlCustomMetric *metric);

/* names of the registered metrics that suit any of the tasks, offered as nearest (errors.h) */
struct MlNearest;
extern void ml_custom_offer(struct MlNearest *nearest, uint32 tasks);

#endif							/* ML_CUSTOM_H */
