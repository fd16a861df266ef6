/*
 * result.c
 *		The rows of a set-returning function, kept until it is done.
 *
 * Rows live in a tuplestore of work_mem that spills to disk, in the memory of
 * the query that called. (The server's own InitMaterializedSRF is younger than
 * the oldest server that mlops runs on.)
 */
#include "postgres.h"

#include <math.h>

#include "funcapi.h"
#include "miscadmin.h"
#include "result.h"
#include "utils/builtins.h"

void
ml_rows_begin(FunctionCallInfo fcinfo, MlRows *result)
{
	ReturnSetInfo *info = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext old;
	TypeFuncClass class;
	Oid			type;
	TupleDesc	desc;

	if (info == NULL || !IsA(info, ReturnSetInfo) || (info->allowedModes & SFRM_Materialize) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a function that returns a set was called where a set cannot be accepted"),
				 errdetail("It returns rows."),
				 errhint("Call it in FROM: SELECT * FROM ...")));
	class = get_call_result_type(fcinfo, &type, &desc);
	if (class != TYPEFUNC_COMPOSITE && class != TYPEFUNC_SCALAR)
		elog(ERROR, "return type must be a row type or a scalar type");

	old = MemoryContextSwitchTo(info->econtext->ecxt_per_query_memory);
	if (class == TYPEFUNC_COMPOSITE)
		result->desc = CreateTupleDescCopy(desc);
	else
	{
		result->desc = CreateTemplateTupleDesc(1);
		TupleDescInitEntry(result->desc, 1, "value", type, -1, 0);
	}
	result->rows = tuplestore_begin_heap((info->allowedModes & SFRM_Materialize_Random) != 0,
										 false, work_mem);
	info->returnMode = SFRM_Materialize;
	info->setResult = result->rows;
	info->setDesc = result->desc;
	MemoryContextSwitchTo(old);
}

void
ml_rows_add(MlRows *result, Datum *values, bool *nulls)
{
	tuplestore_putvalues(result->rows, result->desc, values, nulls);
}

void
ml_rows_text(Datum *values, bool *nulls, int i, const char *text)
{
	nulls[i] = text == NULL;
	values[i] = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

void
ml_rows_number(Datum *values, bool *nulls, int i, double number)
{
	nulls[i] = isnan(number);
	values[i] = Float8GetDatum(number);
}
