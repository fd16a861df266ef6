/*
 * metric_row.h
 *		Rows of the table of registered metrics.
 */
#ifndef ML_METRIC_ROW_H
#define ML_METRIC_ROW_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

typedef struct MlMetricRow
{
	char	   *name;
	char	   *aggregate;		/* qualified signature */
	int			ncolumns;
	char	  **column;
	int			ntasks;
	char	  **task;
	bool		higher_is_better;
	double		minimum;		/* NaN: not known */
	double		maximum;
	char	   *description;	/* or NULL */
	char	   *author;
	Jsonb	   *settings;
} MlMetricRow;

/* palloc'd in the current context; NULL if there is none */
extern MlMetricRow *ml_registry_metric_row(const char *name);

/* all of them, by name in C order */
extern List *ml_registry_metric_rows(void);

/*
 * Inserts it, or replaces the one of that name; the caller has checked who may.
 * 55000 if one that is replaced is in use.
 */
extern void ml_registry_put_metric(const MlMetricRow *row);

/* 55000 if it is in use */
extern void ml_registry_drop_metric(const char *name);

/* keeps a metric from being dropped or replaced until the end of the transaction; false if it is gone */
extern bool ml_registry_hold_metric(const char *name);

#endif							/* ML_METRIC_ROW_H */
