/*
 * sql_train.c
 *		A training whose rows stay where they are.
 *
 * Rows are counted and divided (sql_split.c), the recipe is learned
 * (sql_recipe.c, sql_numbers.c), passes run (sql_pass.c), the model is
 * measured (sql_measure.c) and rows are profiled (sql_profile.c), each by queries over
 * the source. All queries see one snapshot.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "executor/spi.h"
#include "fold/sql.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#define MOST_COLUMNS	1600	/* of a ROW */

/* ---- what cannot be done ---- */

const char *
ml_sql_obstacle(const MlTraining *training)
{
	const MlAlgorithm *algorithm = training->algorithm;
	int			ncolumns = 0;

	if (algorithm->pass_size == NULL)
		return psprintf("algorithm \"%s\" needs the rows in memory", algorithm->name);
	if (ml_training_offset(training).column != NULL)
		return "an offset needs the rows in memory";
	if (training->spec.group_by != NULL)
		return "sub-models of groups need the rows in memory";
	if (training->encoder != NULL)
		return "an encoder needs the rows in memory";
	if (training->spec.options.keep_rows)
		return "the option \"keep_rows\" needs the rows in memory";
	if (training->common_params.calibration != ML_CALIBRATION_NONE)
		return "a calibration needs the rows in memory";
	for (int i = 0; i < training->frame->ncols; i++)
		ncolumns += training->frame->cols[i].loaded;
	return ncolumns > MOST_COLUMNS ? psprintf("the source has more than %d columns", MOST_COLUMNS) : NULL;
}

/* ---- all of it ---- */

static void
learn(MlSql *sql)
{
	MlTraining *training = sql->training;
	double		start = ml_training_seconds();

	MemoryContextSwitchTo(training->cxt);
	training->recipe = ml_sql_recipe(sql);
	training->preparing += ml_training_seconds() - start;

	start = ml_training_seconds();
	ml_sql_take_recipe(sql, training->recipe);
	ml_sql_fit(sql);
	MemoryContextSwitchTo(training->cxt);
	training->artifact = ml_model_write(training->algorithm->name, training->recipe, training->fitted);
	training->fitting += ml_training_seconds() - start;
}

static void
train(MlTraining *training)
{
	double		start = ml_training_seconds();
	MlSql		sql;

	ml_sql_begin(&sql, training);
	ml_sql_divide(&sql);
	training->preparing = ml_training_seconds() - start;
	learn(&sql);

	start = ml_training_seconds();
	ml_sql_measure(&sql);
	ml_sql_profile_predictions(&sql);
	training->measuring = ml_training_seconds() - start;
	if (training->frame->row_security)
		ml_training_warn(training, "row-level security of the source applied: rows that the role may not see were not read");
	if (training->spec.holdout > 0 && training->nholdout == 0)
		ml_training_warn(training, "too few rows for a hold-out: the model was measured on its training rows only");
	if (training->spec.options.refit && training->nholdout > 0)
	{
		ml_sql_hold_out(&sql, "false");
		learn(&sql);
	}
	ml_sql_profile_rows(&sql);
}

void
ml_sql_train(MlTraining *training)
{
	MemoryContext cxt = CurrentMemoryContext;
	int			level = NewGUCNestLevel();

	(void) set_config_option("transaction_read_only", "on", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	train(training);
	SPI_finish();
	MemoryContextSwitchTo(cxt);
	AtEOXact_GUC(false, level);
}
