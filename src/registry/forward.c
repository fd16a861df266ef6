/*
 * forward.c
 *		Public functions that are queries: mlops_trace asks mlops.trace, with the same arguments.
 *
 * What goes wrong within is raised as if the function itself had found it, without the text of statements that
 * users never wrote.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "attempt.h"
#include "catalog/pg_proc.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "registry/registry_catalog.h"
#include "result.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#define PREFIX "mlops_"

PG_FUNCTION_INFO_V1(mlops_forward);

typedef struct Forward
{
	FunctionCallInfo fcinfo;
	MlRows		rows;			/* of a function that returns a set */
	Datum		value;			/* of another */
	bool		isnull;
} Forward;

/* ---- the query ---- */

static void
take_result(Forward *forward)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;
	Form_pg_attribute first = TupleDescAttr(desc, 0);
	Datum	   *value = palloc(sizeof(Datum) * desc->natts);
	bool	   *isnull = palloc(sizeof(bool) * desc->natts);

	if (forward->rows.rows != NULL)
	{
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			heap_deform_tuple(SPI_tuptable->vals[i], desc, value, isnull);
			ml_rows_add(&forward->rows, value, isnull);
		}
		return;
	}
	forward->isnull = SPI_processed == 0;
	if (forward->isnull)
		return;
	if (get_call_result_type(forward->fcinfo, NULL, NULL) == TYPEFUNC_COMPOSITE)
	{
		forward->value = PointerGetDatum(SPI_returntuple(SPI_tuptable->vals[0], desc));
		return;
	}
	value[0] = SPI_getbinval(SPI_tuptable->vals[0], desc, 1, &forward->isnull);
	if (!forward->isnull)
		forward->value = SPI_datumTransfer(value[0], first->attbyval, first->attlen);
}

static char *
make_query(FunctionCallInfo fcinfo)
{
	const char *name = get_func_name(fcinfo->flinfo->fn_oid);
	StringInfoData query;

	Assert(strncmp(name, PREFIX, strlen(PREFIX)) == 0);
	initStringInfo(&query);
	appendStringInfo(&query, "SELECT * FROM mlops.%s(", name + strlen(PREFIX));
	for (int i = 0; i < PG_NARGS(); i++)
		appendStringInfo(&query, "%s$%d", i > 0 ? ", " : "", i + 1);
	appendStringInfoString(&query, ")");
	return query.data;
}

static void
ask(void *arg)
{
	Forward    *forward = arg;
	FunctionCallInfo fcinfo = forward->fcinfo;
	Oid			function = fcinfo->flinfo->fn_oid;
	int			nargs;
	Oid		   *type;
	Datum	   *value = palloc(sizeof(Datum) * PG_NARGS());
	char	   *null = palloc(sizeof(char) * PG_NARGS());
	int			code;

	(void) get_func_signature(function, &type, &nargs);
	for (int i = 0; i < PG_NARGS(); i++)
	{
		value[i] = PG_GETARG_DATUM(i);
		null[i] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	code = SPI_execute_with_args(make_query(fcinfo), nargs, type, value, null, func_volatile(function) != PROVOLATILE_VOLATILE, 0);
	if (code != SPI_OK_SELECT)
		elog(ERROR, "could not ask: %s", SPI_result_code_string(code));
	take_result(forward);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
}

/* mlops_X(...), which is declared as mlops.X(...) is */
Datum
mlops_forward(PG_FUNCTION_ARGS)
{
	Forward		forward = {.fcinfo = fcinfo};

	ml_require_arguments(fcinfo);
	if (fcinfo->flinfo->fn_retset)
		ml_rows_begin(fcinfo, &forward.rows);
	ml_call_plainly(ask, &forward, NULL);
	fcinfo->isnull = forward.isnull;
	return forward.value;
}
