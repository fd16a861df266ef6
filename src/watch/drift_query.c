/*
 * drift_query.c
 *		Rows of a query, to be compared with training rows.
 *
 * The query runs on a cursor, as the current user and read-only, so that memory
 * does not grow with its rows. A feature that it lacks, or that is of another kind, is a
 * finding and no error.
 */
#include "postgres.h"

#include <math.h>

#include "drift/column.h"
#include "drift/prediction.h"
#include "executor/spi.h"
#include "frame/frame.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "watch/drift.h"

#define FETCH 1000

typedef struct Reading
{
	MlDriftRows *rows;
	int		   *place;			/* of each column in the query, from 1; 0: not there */
	MlValueType *type;
	bool		predicts;
	MlRow		row;
	double	   *work;
	MemoryContext row_cxt;
} Reading;

/* ---- columns ---- */

void
ml_drift_rows_begin(MlDriftRows *rows, const MlModel *model, MlBudget *budget)
{
	rows->model = model;
	rows->recipe = ml_model_input_recipe(model);
	rows->ncolumns = rows->recipe->nfeatures + 2;
	rows->kind = palloc0(sizeof(MlKind) * rows->ncolumns);
	rows->problem = palloc0(sizeof(char *) * rows->ncolumns);
	rows->collector = ml_collector_begin(budget, rows->ncolumns);
}

void
ml_drift_rows_describe(MlDriftRows *rows, int column, MlKind kind)
{
	rows->kind[column] = kind;
	ml_collector_describe(rows->collector, column, ml_drift_rows_role(rows, column), ml_drift_rows_name(rows, column), kind);
}

MlProfileRole
ml_drift_rows_role(const MlDriftRows *rows, int column)
{
	return column == ML_DRIFT_PREDICTION(rows) ? ML_PROFILE_PREDICTION :
		column == ML_DRIFT_TARGET(rows) ? ML_PROFILE_TARGET : ML_PROFILE_FEATURE;
}

const char *
ml_drift_rows_name(const MlDriftRows *rows, int column)
{
	const char *target = rows->model->recipe->target.name;

	if (column == ML_DRIFT_PREDICTION(rows))
		return ML_PREDICTION_NAME;
	if (column == ML_DRIFT_TARGET(rows))
		return target ? target : "";
	return rows->recipe->features[column].name;
}

/* the target is compared as what it is in the query */
static void
bind_target(Reading *reading)
{
	MlDriftRows *rows = reading->rows;
	int			column = ML_DRIFT_TARGET(rows);

	if (rows->model->recipe->target.name == NULL || reading->place[column] <= 0)
		return;
	if (reading->type[column].kind == ML_KIND_NUMBER || reading->type[column].kind == ML_KIND_CATEGORY)
		ml_drift_rows_describe(rows, column, reading->type[column].kind);
}

static void
bind_feature(Reading *reading, int column)
{
	MlDriftRows *rows = reading->rows;
	const MlFeature *feature = &rows->recipe->features[column];

	if (reading->place[column] <= 0)
		rows->problem[column] = pstrdup("the rows have no such column");
	else if (!ml_feature_accepts(feature, &reading->type[column]))
		rows->problem[column] = psprintf("it is of type %s, the training had %s",
										 ml_value_type_name(&reading->type[column]), feature->type_name);
	else
	{
		ml_drift_rows_describe(rows, column, feature->kind);
		return;
	}
	reading->predicts = false;
}

static void
bind_columns(Reading *reading, TupleDesc desc)
{
	MlDriftRows *rows = reading->rows;

	reading->place = palloc0(sizeof(int) * rows->ncolumns);
	reading->type = palloc0(sizeof(MlValueType) * rows->ncolumns);
	reading->predicts = ml_prediction_kind(rows->model->recipe->target.task) != ML_KIND_NONE;
	for (int i = 0; i < ML_DRIFT_PREDICTION(rows); i++)
	{
		reading->place[i] = Max(SPI_fnumber(desc, ml_drift_rows_name(rows, i)), 0);
		if (reading->place[i] > 0)
			ml_value_type(SPI_gettypeid(desc, reading->place[i]), TupleDescAttr(desc, reading->place[i] - 1)->atttypmod,
						  CurrentMemoryContext, &reading->type[i]);
		if (i < rows->recipe->nfeatures)
			bind_feature(reading, i);
	}
	bind_target(reading);
	if (reading->predicts)
		ml_drift_rows_describe(rows, ML_DRIFT_PREDICTION(rows), ml_prediction_kind(rows->model->recipe->target.task));
	reading->row.number = palloc_extended(sizeof(double) * Max(rows->recipe->nnumbers, 1), MCXT_ALLOC_HUGE);
	reading->row.code = palloc_extended(sizeof(int32) * Max(rows->recipe->ncategories, 1), MCXT_ALLOC_HUGE);
	reading->work = palloc_extended(sizeof(double) * Max(rows->model->work_size, 1), MCXT_ALLOC_HUGE);
}

/* ---- rows ---- */

static void
take_array(Reading *reading, int column, const MlFeature *feature, Datum value)
{
	int			length;
	double	   *element = ml_value_array(&reading->type[column], value, &length);

	ml_collect_number(reading->rows->collector, column, ml_drift_norm(element, length));
	if (feature == NULL || !reading->predicts)
		return;
	if (length == feature->nnumbers)
		ml_recipe_put_array(feature, element, &reading->row);
	else
		ml_recipe_put_null(feature, &reading->row);
}

/* a value into the collection, and of a feature into the row that is predicted */
static void
take_value(Reading *reading, int column, Datum value)
{
	MlDriftRows *rows = reading->rows;
	const MlFeature *feature = column < rows->recipe->nfeatures ? &rows->recipe->features[column] : NULL;
	const MlValueType *type = &reading->type[column];
	const char *text;
	int			length;
	int64		usec;
	double		number;

	switch (type->kind)
	{
		case ML_KIND_NUMBER:
			number = ml_value_number(type, value);
			ml_collect_number(rows->collector, column, number);
			if (feature != NULL)
				ml_recipe_put_number(feature, number, &reading->row);
			break;
		case ML_KIND_CATEGORY:
			text = ml_value_text(type, value, &length);
			ml_collect_level(rows->collector, column, text, length);
			if (feature != NULL)
				ml_recipe_put_category(feature, text, length, &reading->row);
			break;
		case ML_KIND_TIME:
			usec = ml_value_usec(type, value);
			ml_collect_number(rows->collector, column, ml_drift_seconds(usec));
			if (feature != NULL)
				ml_recipe_put_time(rows->recipe, feature, usec, &reading->row);
			break;
		default:
			take_array(reading, column, feature, value);
			break;
	}
}

static void
take_prediction(Reading *reading)
{
	MlDriftRows *rows = reading->rows;
	int			column = ML_DRIFT_PREDICTION(rows);
	const double *output = ml_model_outputs(rows->model, &reading->row, reading->work);
	char		buffer[ML_CLUSTER_BUFFER];
	const char *level;

	if (output == NULL || isnan(output[0]))
		ml_collect_missing(rows->collector, column);
	else if (rows->kind[column] == ML_KIND_NUMBER)
		ml_collect_number(rows->collector, column, output[0]);
	else
	{
		level = ml_prediction_level(rows->model, output, buffer);
		ml_collect_level(rows->collector, column, level, strlen(level));
	}
}

static void
take_row(Reading *reading, HeapTuple tuple, TupleDesc desc)
{
	MlDriftRows *rows = reading->rows;

	for (int i = 0; i < ML_DRIFT_PREDICTION(rows); i++)
	{
		bool		isnull;
		Datum		value;

		if (rows->kind[i] == ML_KIND_NONE)
			continue;
		value = SPI_getbinval(tuple, desc, reading->place[i], &isnull);
		if (!isnull)
			take_value(reading, i, value);
		else
		{
			ml_collect_missing(rows->collector, i);
			if (i < rows->recipe->nfeatures)
				ml_recipe_put_null(&rows->recipe->features[i], &reading->row);
		}
	}
	if (reading->predicts)
		take_prediction(reading);
	ml_collector_next(rows->collector);
}

static void
take_rows(Reading *reading, Portal portal, MemoryContext cxt)
{
	bool		bound = false;

	for (;;)
	{
		SPI_cursor_fetch(portal, true, FETCH);
		if (!bound)
		{
			MemoryContext old = MemoryContextSwitchTo(cxt);

			bind_columns(reading, SPI_tuptable->tupdesc);
			MemoryContextSwitchTo(old);
			bound = true;
		}
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			MemoryContext old = MemoryContextSwitchTo(reading->row_cxt);

			take_row(reading, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
			MemoryContextSwitchTo(old);
			MemoryContextReset(reading->row_cxt);
		}
		if (SPI_processed < FETCH)
			break;
		SPI_freetuptable(SPI_tuptable);
	}
}

void
ml_drift_take_query(MlDriftRows *rows, const char *source)
{
	MemoryContext cxt = CurrentMemoryContext;
	char	   *query = ml_source_query(source);
	Reading		reading = {.rows = rows};
	int			level = NewGUCNestLevel();
	Portal		portal;

	(void) set_config_option("transaction_read_only", "on", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	reading.row_cxt = AllocSetContextCreate(cxt, "mlops row to compare", ALLOCSET_DEFAULT_SIZES);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	portal = SPI_cursor_open_with_args(NULL, query, 0, NULL, NULL, NULL, true, 0);
	take_rows(&reading, portal, cxt);
	SPI_cursor_close(portal);
	SPI_finish();
	MemoryContextSwitchTo(cxt);
	MemoryContextDelete(reading.row_cxt);
	AtEOXact_GUC(false, level);
}
