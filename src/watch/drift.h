/*
 * drift.h
 *		Rows to be compared with the training rows of a version. Private to the
 *		files watch/drift*.c.
 *
 * Columns of a collection: the features of the model's input recipe in their
 * order, then the target, then the prediction.
 */
#ifndef ML_WATCH_DRIFT_H
#define ML_WATCH_DRIFT_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "drift/collect.h"
#include "model/model.h"
#include "nodes/pg_list.h"
#include "registry/registry.h"

typedef struct MlDriftRows
{
	const MlModel *model;
	const MlRecipe *recipe;		/* of the input */
	MlCollector *collector;
	int			ncolumns;
	MlKind	   *kind;			/* NONE: nothing is known of this column */
	char	  **problem;		/* why, if that is a fault; or NULL */
} MlDriftRows;

#define ML_DRIFT_TARGET(rows)		((rows)->ncolumns - 2)
#define ML_DRIFT_PREDICTION(rows)	((rows)->ncolumns - 1)

/* none yet; nothing is known of any column */
extern void ml_drift_rows_begin(MlDriftRows *rows, const MlModel *model, MlBudget *budget);

/* a column is known from now on */
extern void ml_drift_rows_describe(MlDriftRows *rows, int column, MlKind kind);

/* the role and name of a column */
extern MlProfileRole ml_drift_rows_role(const MlDriftRows *rows, int column);
extern const char *ml_drift_rows_name(const MlDriftRows *rows, int column);

/* rows of a table or query, run as the current user; predictions are made if all features are there */
extern void ml_drift_take_query(MlDriftRows *rows, const char *source);

/*
 * Logged calls of the version in [from, until): predictions, and inputs where they were logged; outcomes
 * that came in that time, of the kind given.
 */
extern void ml_drift_take_log(MlDriftRows *rows, const MlResolved *resolved, TimestampTz from, TimestampTz until,
							  MlKind target);

/*
 * What was counted of the version's calls in that time, a list of MlProfile * of features and predictions, in the
 * current context; numbers are known by their bins only.
 */
extern List *ml_drift_counts(const MlResolved *resolved, TimestampTz from, TimestampTz until);

#endif							/* ML_WATCH_DRIFT_H */
