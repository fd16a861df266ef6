/*
 * statement.c
 *		Statements with kept plans: their arguments, and what they answer.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "registry/registry_catalog.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* ---- arguments ---- */

void
ml_bind_datum(MlArguments *args, Oid type, Datum value, bool isnull)
{
	if (args->n >= ML_MAX_ARGUMENTS)
		elog(ERROR, "too many arguments of a statement");
	args->type[args->n] = type;
	args->value[args->n] = value;
	args->null[args->n] = isnull ? 'n' : ' ';
	args->n++;
}

void
ml_bind_text(MlArguments *args, const char *value)
{
	ml_bind_datum(args, TEXTOID, value ? CStringGetTextDatum(value) : (Datum) 0, value == NULL);
}

void
ml_bind_int(MlArguments *args, int value)
{
	ml_bind_datum(args, INT4OID, Int32GetDatum(value), false);
}

void
ml_bind_int_or_null(MlArguments *args, int value, bool isnull)
{
	ml_bind_datum(args, INT4OID, Int32GetDatum(value), isnull);
}

void
ml_bind_int8(MlArguments *args, int64 value)
{
	ml_bind_datum(args, INT8OID, Int64GetDatum(value), false);
}

void
ml_bind_int8_or_null(MlArguments *args, int64 value, bool isnull)
{
	ml_bind_datum(args, INT8OID, Int64GetDatum(value), isnull);
}

void
ml_bind_float(MlArguments *args, double value)
{
	ml_bind_datum(args, FLOAT8OID, Float8GetDatum(value), isnan(value));
}

void
ml_bind_bool(MlArguments *args, bool value)
{
	ml_bind_datum(args, BOOLOID, BoolGetDatum(value), false);
}

void
ml_bind_jsonb(MlArguments *args, Jsonb *value)
{
	ml_bind_datum(args, JSONBOID, value ? JsonbPGetDatum(value) : (Datum) 0, value == NULL);
}

void
ml_bind_bytes(MlArguments *args, const void *bytes, int length)
{
	bytea	   *value = NULL;

	if (bytes != NULL)
	{
		value = palloc(VARHDRSZ + length);
		SET_VARSIZE(value, VARHDRSZ + length);
		memcpy(VARDATA(value), bytes, length);
	}
	ml_bind_datum(args, BYTEAOID, PointerGetDatum(value), value == NULL);
}

void
ml_bind_time(MlArguments *args, TimestampTz value)
{
	ml_bind_datum(args, TIMESTAMPTZOID, TimestampTzGetDatum(value), false);
}

void
ml_bind_interval(MlArguments *args, const Interval *value)
{
	ml_bind_datum(args, INTERVALOID, PointerGetDatum(value), value == NULL);
}

void
ml_bind_texts(MlArguments *args, char *const *value, int n, bool isnull)
{
	Datum	   *element = palloc(sizeof(Datum) * Max(n, 1));
	ArrayType  *array;

	if (isnull)
		n = 0;
	for (int i = 0; i < n; i++)
		element[i] = CStringGetTextDatum(value[i]);
	array = construct_array(element, n, TEXTOID, -1, false, TYPALIGN_INT);
	ml_bind_datum(args, TEXTARRAYOID, PointerGetDatum(array), isnull);
}

void
ml_bind_int8s(MlArguments *args, const int64 *value, int n, bool isnull)
{
	Datum	   *element = palloc(sizeof(Datum) * Max(n, 1));
	ArrayType  *array;

	if (isnull)
		n = 0;
	for (int i = 0; i < n; i++)
		element[i] = Int64GetDatum(value[i]);
	array = construct_array(element, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	ml_bind_datum(args, INT8ARRAYOID, PointerGetDatum(array), isnull);
}

/* ---- statements ---- */

static uint64
run_statement(MlStatement *statement, MlArguments *args, bool looks)
{
	int			code;

	if (statement->plan == NULL)
	{
		SPIPlanPtr	plan = SPI_prepare(statement->sql, args->n, args->type);

		if (plan == NULL)
			elog(ERROR, "could not prepare \"%s\": %s", statement->sql,
				 SPI_result_code_string(SPI_result));
		if (SPI_keepplan(plan) != 0)
			elog(ERROR, "could not keep the plan of \"%s\"", statement->sql);
		statement->plan = plan;
	}
	code = SPI_execute_plan(statement->plan, args->value, args->null, looks, 0);
	if (code < 0)
		elog(ERROR, "could not run \"%s\": %s", statement->sql,
			 SPI_result_code_string(code));
	return SPI_processed;
}

uint64
ml_statement_run(MlStatement *statement, MlArguments *args)
{
	return run_statement(statement, args, false);
}

uint64
ml_statement_look(MlStatement *statement, MlArguments *args)
{
	return run_statement(statement, args, true);
}

uint64
ml_statement_newest(MlStatement *statement, MlArguments *args)
{
	return run_statement(statement, args, IsolationUsesXactSnapshot());
}

uint64
ml_registry_run(MlStatement *statement, MlArguments *args)
{
	MlRegistryScope scope;
	uint64		n;

	ml_registry_enter(&scope);
	n = ml_statement_run(statement, args);
	ml_registry_leave(&scope);
	return n;
}

List *
ml_registry_texts(MlStatement *statement, MlArguments *args)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext inside;
	MlRegistryScope scope;
	List	   *texts = NIL;
	uint64		n;

	ml_registry_enter(&scope);
	n = ml_statement_run(statement, args);
	inside = MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < n; i++)
		texts = lappend(texts, ml_result_text(i, 1));
	MemoryContextSwitchTo(inside);
	ml_registry_leave(&scope);
	return texts;
}

/* ---- results ---- */

Datum
ml_result_datum(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

char *
ml_result_text(uint64 row, int column)
{
	bool		isnull;
	Datum		datum = ml_result_datum(row, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(datum);
}

int
ml_result_int(uint64 row, int column, int if_null)
{
	bool		isnull;
	Datum		datum = ml_result_datum(row, column, &isnull);

	return isnull ? if_null : DatumGetInt32(datum);
}

double
ml_result_float(uint64 row, int column)
{
	bool		isnull;
	Datum		datum = ml_result_datum(row, column, &isnull);

	return isnull ? get_float8_nan() : DatumGetFloat8(datum);
}

int64
ml_result_int8(uint64 row, int column)
{
	bool		isnull;
	Datum		datum = ml_result_datum(row, column, &isnull);

	return isnull ? 0 : DatumGetInt64(datum);
}

bool
ml_result_bool(uint64 row, int column)
{
	bool		isnull;
	Datum		datum = ml_result_datum(row, column, &isnull);

	return !isnull && DatumGetBool(datum);
}

TimestampTz
ml_result_time(uint64 row, int column)
{
	bool		isnull;
	Datum		datum = ml_result_datum(row, column, &isnull);

	return isnull ? DT_NOBEGIN : DatumGetTimestampTz(datum);
}

Interval *
ml_result_interval(uint64 row, int column)
{
	bool		isnull;
	Datum		datum = ml_result_datum(row, column, &isnull);

	return isnull ? NULL : DatumGetIntervalP(datumCopy(datum, false, sizeof(Interval)));
}

int
ml_result_elements(uint64 row, int column, Oid type, Datum **element)
{
	bool		isnull;
	Datum		datum = ml_result_datum(row, column, &isnull);
	int			n = 0;

	*element = NULL;
	if (isnull)
		return 0;
	if (type == TEXTOID)
		deconstruct_array(DatumGetArrayTypeP(datum), type, -1, false, TYPALIGN_INT, element, NULL, &n);
	else
		deconstruct_array(DatumGetArrayTypeP(datum), type, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, element, NULL, &n);
	return n;
}

char **
ml_result_texts(uint64 row, int column, int *n)
{
	Datum	   *element;
	char	  **item;

	*n = ml_result_elements(row, column, TEXTOID, &element);
	item = palloc(sizeof(char *) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		item[i] = TextDatumGetCString(element[i]);
	return item;
}
