/*
 * sql.h
 *		The second driver of folds: a training whose rows stay where they are.
 *
 * The recipe is learned, every pass runs and the model is measured by queries
 * over the source, on one snapshot, so that memory does not grow with the rows.
 */
#ifndef ML_FOLD_SQL_H
#define ML_FOLD_SQL_H

#include "postgres.h"

#include "train/train.h"

/* why this driver cannot do the training; NULL: it can */
extern const char *ml_sql_obstacle(const MlTraining *training);

/*
 * Reads, fits and measures: frame (columns and counts, no rows), recipe, fitted,
 * artifact and measured of the training are set. Under the active snapshot, as
 * the current user. training->frame has the columns of the source already.
 */
extern void ml_sql_train(MlTraining *training);

/* ---- sql_query.c: private to the driver ---- */

/*
 * Keeps the planner from computing what a sub-query returns once for each of its
 * uses. 0 as a literal of no type is a constant already when the planner asks
 * whether the sub-query can run in parallel; the integer 0 is not.
 */
#define ML_SQL_FENCE "OFFSET '0'"

#define ML_SQL_SOURCE	"q"		/* the source in queries */
#define ML_SQL_MADE		"mlops: made"	/* the column of numbers that are made of a row */

typedef struct MlSql
{
	MlTraining *training;
	const MlFrame *frame;
	char	   *from;			/* (source) AS q */
	char	   *columns;		/* arguments: the names of the columns that are loaded, and the columns */
	char	   *features;		/* the same of the features */
	char	   *weight;			/* an expression; "1" without a weight */
	char	   *usable;			/* a condition */
	char	   *held;			/* likewise, of usable rows */
	char	   *trained;		/* likewise: usable and not held */
	int			nparams;
	Oid			type[2];
	Datum		param[2];		/* $1: the bundle that encodes; $2: the pass */
} MlSql;

extern void ml_sql_begin(MlSql *sql, MlTraining *training);

/* which of the usable rows are held out: a condition */
extern void ml_sql_hold_out(MlSql *sql, char *condition);

extern char *ml_sql_number(const MlColumn *column);	/* an expression of type float8 */
extern char *ml_sql_text(const MlColumn *column);	/* of type text */

/* a function's arguments: names of columns, and the columns, one by one or as one ROW if they are many */
extern char *ml_sql_arguments(const MlFrame *frame, bool (*takes) (const MlColumn *column));

/* runs a query that reads; its rows are in SPI_tuptable */
extern void ml_sql_run(MlSql *sql, const char *query);
extern double ml_sql_float(uint64 row, int column);	/* NaN: NULL; from 1 */
extern int64 ml_sql_int(uint64 row, int column);
extern const double *ml_sql_numbers_of(uint64 row, int column, int n);	/* of an array of n; NULL: there is none */

/* $1 is a bundle of the recipe with a predictor that says nothing */
extern void ml_sql_take_recipe(MlSql *sql, const MlRecipe *recipe);
extern void ml_sql_take_artifact(MlSql *sql, const bytea *artifact);

/* a type of ours, whatever the search_path */
extern Oid	ml_sql_type(const char *name);

/* ---- sql_guard.c: what a query may call ---- */

typedef struct MlSqlGuard
{
	uint64		query;			/* hash of its text */
	bool		is_on;
	bool		is_seen;
} MlSqlGuard;

/*
 * From the one to the other the query is refused (42725) if its names lead to functions that are neither the
 * server's nor ours, but for its source. outer keeps what was guarded before. An error needs no cleaning up.
 */
extern void ml_sql_guard(const char *query, MlSqlGuard *outer);
extern void ml_sql_unguard(const MlSqlGuard *outer);

/* ---- sql_split.c: which rows there are, and which are held out ---- */

extern void ml_sql_divide(MlSql *sql);

/* ---- sql_recipe.c, sql_numbers.c ---- */

extern MlRecipe *ml_sql_recipe(MlSql *sql);

/* the numbers of the features but categories, which have names and types already; weight: of the training rows */
extern void ml_sql_numbers(MlSql *sql, MlRecipe *recipe, double weight);

/* ---- sql_pass.c ---- */

extern void ml_sql_fit(MlSql *sql);

/* ---- sql_measure.c ---- */

extern void ml_sql_measure(MlSql *sql);

/* ---- sql_profile.c: what rows and predictions look like, of samples ---- */

extern void ml_sql_profile_predictions(MlSql *sql);
extern void ml_sql_profile_rows(MlSql *sql);

#endif							/* ML_FOLD_SQL_H */
