/*
 * sql_query.c
 *		The queries of a training in SQL, piece by piece.
 *
 * Values become numbers and text by casts that do what ml_value_number and
 * ml_value_text do. Which rows are held out is decided by the same hash of the
 * same fingerprint as in memory: mlops.row_held_out().
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fold/sql.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/lsyscache.h"

char *
ml_sql_number(const MlColumn *column)
{
	return psprintf(column->type.reading == ML_READ_BOOL ? "(q.%s)::int4::float8" : "(q.%s)::float8",
					quote_identifier(column->name));
}

char *
ml_sql_text(const MlColumn *column)
{
	return psprintf("(q.%s)::text COLLATE \"C\"", quote_identifier(column->name));
}

/* the columns as arguments, and their names as an array literal */
static void
list_columns(const MlFrame *frame, bool features, char **columns, char **names)
{
	StringInfoData list;
	Datum	   *name = palloc(sizeof(Datum) * frame->ncols);
	int			n = 0;
	Oid			output;
	bool		varlena;

	initStringInfo(&list);
	for (int i = 0; i < frame->ncols; i++)
	{
		const MlColumn *column = &frame->cols[i];

		if (!column->loaded || (features && column->role != ML_ROLE_FEATURE))
			continue;
		appendStringInfo(&list, ", q.%s", quote_identifier(column->name));
		name[n++] = CStringGetTextDatum(column->name);
	}
	*columns = list.data;
	getTypeOutputInfo(TEXTARRAYOID, &output, &varlena);
	*names = psprintf("%s::text[]", quote_literal_cstr(
		OidOutputFunctionCall(output, PointerGetDatum(construct_array(name, n, TEXTOID, -1, false, TYPALIGN_INT)))));
}

static char *
usable_rows(const MlTraining *training, const MlFrame *frame)
{
	StringInfoData condition;

	initStringInfo(&condition);
	appendStringInfo(&condition, "q.%s IS NOT NULL", quote_identifier(frame->cols[frame->target_column].name));
	if (frame->weight_column >= 0)
		appendStringInfo(&condition, " AND %s > 0", ml_sql_number(&frame->cols[frame->weight_column]));
	for (int i = 0; training->recipe_params.impute == ML_IMPUTE_DROP && i < frame->ncols; i++)
		if (frame->cols[i].role == ML_ROLE_FEATURE)
			appendStringInfo(&condition, " AND q.%s IS NOT NULL", quote_identifier(frame->cols[i].name));
	return condition.data;
}

void
ml_sql_begin(MlSql *sql, MlTraining *training)
{
	const MlFrame *frame = training->frame;
	const MlSpec *spec = &training->spec;

	memset(sql, 0, sizeof(MlSql));
	sql->training = training;
	sql->frame = frame;
	sql->from = psprintf("(%s\n) AS q", ml_source_query(spec->source));
	list_columns(frame, false, &sql->columns, &sql->names);
	list_columns(frame, true, &sql->features, &sql->feature_names);
	sql->weight = frame->weight_column < 0 ? pstrdup("1::float8") :
		ml_sql_number(&frame->cols[frame->weight_column]);
	sql->usable = usable_rows(training, frame);
	sql->held = spec->holdout == 0 ? pstrdup("false") :
		psprintf("mlops.row_held_out(" INT64_FORMAT ", %.17g, %s, %s%s)", spec->seed, spec->holdout,
				 frame->key_column < 0 ? "NULL::text" :
				 psprintf("q.%s", quote_identifier(frame->cols[frame->key_column].name)),
				 sql->names, sql->columns);
}

void
ml_sql_run(MlSql *sql, const char *query)
{
	MemoryContext cxt = CurrentMemoryContext;	/* SPI leaves its own behind */
	int			status;

	if (SPI_tuptable != NULL)
		SPI_freetuptable(SPI_tuptable);
	status = SPI_execute_with_args(query, sql->nparams, sql->type, sql->param, NULL, true, 0);
	MemoryContextSwitchTo(cxt);
	if (status != SPI_OK_SELECT)
		elog(ERROR, "a query of the training returned %s", SPI_result_code_string(status));
}

double
ml_sql_float(uint64 row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? get_float8_nan() : DatumGetFloat8(value);
}

int64
ml_sql_int(uint64 row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}
