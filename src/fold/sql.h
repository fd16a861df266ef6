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

/* 0A000 for what this driver cannot do; NULL: it can, else why it cannot */
extern const char *ml_sql_obstacle(const MlTraining *training);

/*
 * Reads, fits and measures: frame (columns and counts, no rows), recipe, fitted,
 * artifact and measured of the training are set. Under the active snapshot, as
 * the current user. training->frame has the columns of the source already.
 */
extern void ml_sql_train(MlTraining *training);

/* ---- sql_query.c: private to the driver ---- */

typedef struct MlSql
{
	MlTraining *training;
	const MlFrame *frame;
	char	   *from;			/* (source) AS q */
	char	   *columns;		/* , q."a", q."b"...: those that are loaded */
	char	   *names;			/* '{...}'::text[] of them */
	char	   *features;		/* the same of the features */
	char	   *feature_names;
	char	   *weight;			/* an expression; "1" without a weight */
	char	   *usable;			/* a condition */
	char	   *held;			/* likewise, of usable rows */
	int			nparams;
	Oid			type[2];
	Datum		param[2];		/* $1: the bundle that encodes; $2: the pass */
} MlSql;

extern void ml_sql_begin(MlSql *sql, MlTraining *training);
extern char *ml_sql_number(const MlColumn *column);	/* an expression of type float8 */
extern char *ml_sql_text(const MlColumn *column);	/* of type text */

/* runs a query that reads; its rows are in SPI_tuptable */
extern void ml_sql_run(MlSql *sql, const char *query);
extern double ml_sql_float(uint64 row, int column);	/* NaN: NULL; from 1 */
extern int64 ml_sql_int(uint64 row, int column);

/* ---- sql_recipe.c ---- */

extern MlRecipe *ml_sql_recipe(MlSql *sql);

#endif							/* ML_FOLD_SQL_H */
