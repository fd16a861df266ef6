/*
 * sql_query.c
 *		The queries of a training in SQL, piece by piece.
 *
 * Values become numbers and text by casts that do what ml_value_number and
 * ml_value_text do. Which rows are held out is decided by the same hash of the
 * same fingerprint as in memory: mlops.row_held_out(). The recipe that makes
 * label and design of a row travels as a bundle, and so does the model when it
 * is measured.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fold/sql.h"
#include "score/bundle.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#define MOST_ARGUMENTS	90		/* columns beside others: a function takes 100 arguments */

char *
ml_sql_number(const MlColumn *column)
{
	return psprintf(column->type.reading == ML_READ_BOOL ? "(q.%s)::pg_catalog.int4::pg_catalog.float8" : "(q.%s)::pg_catalog.float8",
					quote_identifier(column->name));
}

char *
ml_sql_text(const MlColumn *column)
{
	return psprintf("(q.%s)::pg_catalog.text COLLATE pg_catalog.\"C\"", quote_identifier(column->name));
}

char *
ml_sql_arguments(const MlFrame *frame, bool (*takes) (const MlColumn *column))
{
	StringInfoData list;
	Datum	   *name = palloc(sizeof(Datum) * Max(frame->ncols, 1));
	int			n = 0;
	Oid			output;
	bool		varlena;
	char	   *names;

	initStringInfo(&list);
	for (int i = 0; i < frame->ncols; i++)
	{
		const MlColumn *column = &frame->cols[i];

		if (!column->loaded || !takes(column))
			continue;
		appendStringInfo(&list, "%sq.%s", n > 0 ? ", " : "", quote_identifier(column->name));
		name[n++] = CStringGetTextDatum(column->name);
	}
	getTypeOutputInfo(TEXTARRAYOID, &output, &varlena);
	names = OidOutputFunctionCall(output, PointerGetDatum(construct_array(name, n, TEXTOID, -1, false, TYPALIGN_INT)));
	return psprintf(n > MOST_ARGUMENTS ? "%s::pg_catalog.text[], ROW(%s)" : n > 0 ? "%s::pg_catalog.text[], %s" : "%s::pg_catalog.text[]%s",
					quote_literal_cstr(names), list.data);
}

static bool
any_column(const MlColumn *column)
{
	return true;
}

static bool
is_feature(const MlColumn *column)
{
	return column->role == ML_ROLE_FEATURE;
}

static char *
usable_rows(const MlTraining *training, const MlFrame *frame)
{
	StringInfoData condition;

	initStringInfo(&condition);
	if (frame->target_column >= 0)
		appendStringInfo(&condition, "q.%s IS NOT NULL", quote_identifier(frame->cols[frame->target_column].name));
	else
		appendStringInfoString(&condition, "true");
	if (frame->weight_column >= 0)
		appendStringInfo(&condition, " AND %s > 0", ml_sql_number(&frame->cols[frame->weight_column]));
	for (int i = 0; training->recipe_params.impute == ML_IMPUTE_DROP && i < frame->ncols; i++)
		if (frame->cols[i].role == ML_ROLE_FEATURE)
			appendStringInfo(&condition, frame->cols[i].type.kind == ML_KIND_ARRAY ? " AND mlops.row_complete(q.%s)" :
							 " AND q.%s IS NOT NULL", quote_identifier(frame->cols[i].name));
	return condition.data;
}

void
ml_sql_begin(MlSql *sql, MlTraining *training)
{
	const MlFrame *frame = training->frame;

	memset(sql, 0, sizeof(MlSql));
	sql->training = training;
	sql->frame = frame;
	sql->from = psprintf("(%s\n) AS " ML_SQL_SOURCE, ml_source_query(ml_spec_source(&training->spec)));
	sql->columns = ml_sql_arguments(frame, any_column);
	sql->features = ml_sql_arguments(frame, is_feature);
	sql->weight = frame->weight_column < 0 ? pstrdup("1::pg_catalog.float8") :
		ml_sql_number(&frame->cols[frame->weight_column]);
	sql->usable = usable_rows(training, frame);
	ml_sql_hold_out(sql, "false");
}

void
ml_sql_hold_out(MlSql *sql, char *condition)
{
	sql->held = condition;
	sql->trained = psprintf("%s AND NOT %s", sql->usable, sql->held);
}

void
ml_sql_run(MlSql *sql, const char *query)
{
	MemoryContext cxt = CurrentMemoryContext;	/* SPI leaves its own behind */
	MlSqlGuard	outer;
	int			status;

	if (SPI_tuptable != NULL)
		SPI_freetuptable(SPI_tuptable);
	ml_sql_guard(query, &outer);
	status = SPI_execute_with_args(query, sql->nparams, sql->type, sql->param, NULL, true, 0);
	ml_sql_unguard(&outer);
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

const double *
ml_sql_numbers_of(uint64 row, int column, int n)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);
	ArrayType  *array;

	if (isnull)
		return NULL;
	array = DatumGetArrayTypeP(value);
	return ARR_NDIM(array) == 1 && ARR_DIMS(array)[0] == n && !ARR_HASNULL(array) ?
		(const double *) ARR_DATA_PTR(array) : NULL;
}

/* ---- bundles of our own ---- */

Oid
ml_sql_type(const char *name)
{
	Oid			type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name),
									   ObjectIdGetDatum(get_namespace_oid("mlops", false)));

	if (!OidIsValid(type))
		elog(ERROR, "type mlops.%s does not exist", name);
	return type;
}

static void
take_bundle(MlSql *sql, MlTask task, const bytea *artifact)
{
	MlResolved	resolved = {0};

	strlcpy(resolved.model, sql->training->model, NAMEDATALEN);
	resolved.version = 1;
	resolved.threshold = 0.5;
	ml_sha256(VARDATA_ANY(artifact), VARSIZE_ANY_EXHDR(artifact), resolved.sha256);
	if (sql->nparams > 0)
		pfree(DatumGetPointer(sql->param[0]));
	sql->nparams = 1;
	sql->type[0] = ml_sql_type("bundle");
	sql->param[0] = PointerGetDatum(ml_bundle_make(&resolved, task, artifact));
}

void
ml_sql_take_artifact(MlSql *sql, const bytea *artifact)
{
	take_bundle(sql, sql->training->recipe->target.task, artifact);
}

void
ml_sql_take_recipe(MlSql *sql, const MlRecipe *recipe)
{
	MlFitted	fitted = {0};
	MlLinear	linear = {0};
	MlCoefficient none = {0, NAN, NAN, NAN};
	MlTask		task = recipe->target.task;

	linear.base.kind = ML_PREDICTOR_LINEAR;
	linear.link = task == ML_TASK_BINARY ? ML_LINK_LOGIT : task == ML_TASK_MULTICLASS ? ML_LINK_SOFTMAX : ML_LINK_IDENTITY;
	linear.noutputs = task == ML_TASK_MULTICLASS ? recipe->target.nclasses : 1;
	linear.has_intercept = true;
	linear.intercept = palloc(sizeof(MlCoefficient) * linear.noutputs);
	for (int o = 0; o < linear.noutputs; o++)
		linear.intercept[o] = none;
	fitted.predictor = &linear.base;
	fitted.converged = true;
	take_bundle(sql, task, ml_model_write(sql->training->algorithm->name, recipe, &fitted));
	pfree(linear.intercept);
}
