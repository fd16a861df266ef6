/*
 * adwin_aggregate.c
 *		The aggregate mlops_adwin: values in the order in which they come.
 *
 * What it says depends on that order, so that two states cannot be merged.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "drift/adwin.h"
#include "fmgr.h"
#include "funcapi.h"

#define DEFAULT_DELTA	0.002

PG_FUNCTION_INFO_V1(mlops_adwin_accum);
PG_FUNCTION_INFO_V1(mlops_adwin_final);

static MlAdwin *
begin_state(FunctionCallInfo fcinfo, MemoryContext cxt)
{
	MlAdwin    *adwin = MemoryContextAlloc(cxt, sizeof(MlAdwin));
	double		delta = DEFAULT_DELTA;

	if (PG_NARGS() > 2)
	{
		delta = PG_ARGISNULL(2) ? NAN : PG_GETARG_FLOAT8(2);
		if (!(delta > 0 && delta < 1))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 PG_ARGISNULL(2) ? errmsg("argument \"delta\" of mlops_adwin must not be NULL") :
					 errmsg("argument \"delta\" of mlops_adwin must be between 0 and 1, not %g", delta),
					 errdetail("It bounds how often a value is taken for a change where there is none."),
					 errhint("Leave it out for 0.002.")));
	}
	ml_adwin_begin(adwin, delta);
	return adwin;
}

/* mlops.adwin_accum(internal, error float8 [, delta float8]): rows in the order in which they come; NULLs are left out */
Datum
mlops_adwin_accum(PG_FUNCTION_ARGS)
{
	MemoryContext cxt;
	MlAdwin    *adwin;

	if (!AggCheckCallContext(fcinfo, &cxt))
		elog(ERROR, "mlops.adwin_accum called outside an aggregate");
	adwin = PG_ARGISNULL(0) ? begin_state(fcinfo, cxt) : (MlAdwin *) PG_GETARG_POINTER(0);
	if (PG_ARGISNULL(1))
		PG_RETURN_POINTER(adwin);
	if (!isfinite(PG_GETARG_FLOAT8(1)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("argument \"error\" of mlops_adwin must be finite, not %g", PG_GETARG_FLOAT8(1)),
				 errdetail("Means of the values before and after a change are compared."),
				 errhint("Leave such rows out: FILTER (WHERE ...).")));
	ml_adwin_add(adwin, PG_GETARG_FLOAT8(1));
	PG_RETURN_POINTER(adwin);
}

/* mlops.adwin_final(internal) -> mlops.change */
Datum
mlops_adwin_final(PG_FUNCTION_ARGS)
{
	const MlAdwin *adwin = PG_ARGISNULL(0) ? NULL : (const MlAdwin *) PG_GETARG_POINTER(0);
	TupleDesc	desc;
	Datum		value[7];
	bool		isnull[7] = {false};

	if (adwin == NULL || adwin->n == 0)
		PG_RETURN_NULL();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	value[0] = Int64GetDatum(adwin->changes);
	value[1] = Int64GetDatum(adwin->changed_at);
	value[2] = Int64GetDatum(adwin->found_at);
	value[3] = Float8GetDatum(adwin->before);
	isnull[1] = isnull[2] = isnull[3] = adwin->changes == 0;
	value[4] = Float8GetDatum(adwin->sum / adwin->width);
	value[5] = Int64GetDatum(adwin->width);
	value[6] = Int64GetDatum(adwin->n);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), value, isnull)));
}
