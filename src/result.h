/*
 * result.h
 *		The rows of a set-returning function, kept until it is done.
 */
#ifndef ML_RESULT_H
#define ML_RESULT_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/tuplestore.h"

typedef struct MlRows
{
	TupleDesc	desc;
	Tuplestorestate *rows;
} MlRows;

/*
 * Begins a result in materialize mode; the function is declared RETURNS TABLE
 * or RETURNS SETOF a composite or scalar type, and returns (Datum) 0 when it is done.
 */
extern void ml_rows_begin(FunctionCallInfo fcinfo, MlRows *result);

/* values and nulls: as many as the function has result columns */
extern void ml_rows_add(MlRows *result, Datum *values, bool *nulls);

/* text, or SQL NULL for a NULL pointer, in place i */
extern void ml_rows_text(Datum *values, bool *nulls, int i, const char *text);

/* the number, or SQL NULL for NaN */
extern void ml_rows_number(Datum *values, bool *nulls, int i, double number);

#endif							/* ML_RESULT_H */
