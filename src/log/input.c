/*
 * input.c
 *		The input row of a call as JSON text, for the log.
 *
 * What the server makes of a row by row_to_json, which runs the output
 * functions of its types as the caller. The text is read as jsonb by the log
 * writer, which leaves out what is none.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "log/call.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"

#define ARG_INPUT	1

/* the columns that the planner took apart, put together again; names are the argument before them */
static Datum
row_of_columns(FunctionCallInfo fcinfo, int first)
{
	int			n = PG_NARGS() - first;
	TupleDesc	desc = CreateTemplateTupleDesc(n);
	Datum	   *value = palloc(sizeof(Datum) * n);
	bool	   *isnull = palloc(sizeof(bool) * n);
	Datum	   *name = NULL;
	bool	   *unnamed = NULL;
	int			nnames = 0;

	/* nobody but the planner should call with columns, but anybody may */
	if (!PG_ARGISNULL(first - 1))
		deconstruct_array(PG_GETARG_ARRAYTYPE_P(first - 1), TEXTOID, -1, false, TYPALIGN_INT,
						  &name, &unnamed, &nnames);
	for (int i = 0; i < n; i++)
	{
		TupleDescInitEntry(desc, i + 1, i < nnames && !unnamed[i] ? TextDatumGetCString(name[i]) : "",
						   get_fn_expr_argtype(fcinfo->flinfo, first + i), -1, 0);
		value[i] = fcinfo->args[first + i].value;
		isnull[i] = fcinfo->args[first + i].isnull;
	}
	desc = BlessTupleDesc(desc);
	return HeapTupleGetDatum(heap_form_tuple(desc, value, isnull));
}

static Datum
text_of_record(Datum record)
{
	return DirectFunctionCall1(row_to_json, record);
}

/* an array has no names: a JSON array */
static Datum
text_of_array(Datum array)
{
	return DirectFunctionCall1(array_to_json, array);
}

void
ml_watch_input(const MlScoreInput *input, MlLogCall *call)
{
	FunctionCallInfo fcinfo = input->fcinfo;
	text	   *json;

	if (input->first_column > 0)
		json = DatumGetTextPP(text_of_record(row_of_columns(fcinfo, input->first_column)));
	else if (PG_ARGISNULL(ARG_INPUT))
		return;
	else
	{
		switch (input->input)
		{
			case ML_INPUT_RECORD:
				json = DatumGetTextPP(text_of_record(PG_GETARG_DATUM(ARG_INPUT)));
				break;
			case ML_INPUT_JSONB:
				{
					Jsonb	   *jsonb = PG_GETARG_JSONB_P(ARG_INPUT);

					call->input = JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
					call->ninput = strlen(call->input);
					return;
				}
			case ML_INPUT_ARRAY:
				json = DatumGetTextPP(text_of_array(PG_GETARG_DATUM(ARG_INPUT)));
				break;
			default:			/* JSON text; an array literal is no jsonb, and is left out */
				json = PG_GETARG_TEXT_PP(ARG_INPUT);
				break;
		}
	}
	call->input = VARDATA_ANY(json);
	call->ninput = VARSIZE_ANY_EXHDR(json);
}
