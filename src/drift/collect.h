/*
 * collect.h
 *		Rows as they come in, to be compared with a profile.
 *
 * Numbers are kept for every row while memory allows, then for a random sample of
 * rows; levels, missing values and rows are counted in full. Of m rows
 * kept a KS statistic is known to 1.36 / sqrt(m) in 95 of 100 cases (Massey 1951).
 *
 * For each row: of each column one call of ml_collect_*, then ml_collector_next().
 */
#ifndef ML_DRIFT_COLLECT_H
#define ML_DRIFT_COLLECT_H

#include "postgres.h"

#include "budget.h"
#include "drift/profile.h"

typedef struct MlCollector MlCollector;

/* In a context of its own, a child of the current one. It takes a part of what is left of the budget, and gives it back at the end */
extern MlCollector *ml_collector_begin(MlBudget *budget, int ncolumns);
extern void ml_collector_end(MlCollector *collector);

/* columns are described before the first row */
extern void ml_collector_describe(MlCollector *collector, int column, MlProfileRole role, const char *name, MlKind kind);

extern void ml_collect_number(MlCollector *collector, int column, double value);	/* NaN: missing */
extern void ml_collect_level(MlCollector *collector, int column, const char *bytes, int length);
extern void ml_collect_missing(MlCollector *collector, int column);
extern void ml_collect_nothing(MlCollector *collector, int column);	/* the row has no say in this column */
extern void ml_collector_next(MlCollector *collector);

/* an exact profile of what was kept; in the current context */
extern MlProfile *ml_collector_profile(MlCollector *collector, int column);

#endif							/* ML_DRIFT_COLLECT_H */
