/*
 * call.c
 *		mlops_train and mlops_train_now: arguments to a spec.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "nodes/parsenodes.h"
#include "train/call.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(mlops_train);
PG_FUNCTION_INFO_V1(mlops_train_now);

/* arguments of mlops_train in their order */
enum
{
	ARG_MODEL, ARG_SOURCE, ARG_TARGET, ARG_ALGORITHM, ARG_PARAMS, ARG_FEATURES, ARG_EXCLUDE,
	ARG_KEY, ARG_TIME_COLUMN, ARG_WEIGHT, ARG_HOLDOUT, ARG_SEED, ARG_OPTIONS, ARG_NOTE, ARG_GROUP_BY
};

Jsonb *
ml_call_jsonb(FunctionCallInfo fcinfo, int i)
{
	return PG_ARGISNULL(i) ? NULL : PG_GETARG_JSONB_P_COPY(i);
}

const char *
ml_call_model(FunctionCallInfo fcinfo)
{
	char	   *model = ml_argument_text(fcinfo, 0);

	if (model == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("no model was given"),
				 errdetail("\"model\" is NULL."),
				 errhint("Name it: model => 'churn'.")));
	return model;
}

bool
ml_call_is_atomic(FunctionCallInfo fcinfo)
{
	return fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic;
}

MlTraining *
ml_call_begin(FunctionCallInfo fcinfo)
{
	MemoryContext parent = ml_call_is_atomic(fcinfo) ? CurrentMemoryContext : PortalContext;

	return ml_training_begin(parent, ml_call_model(fcinfo));
}

Datum
ml_call_result(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "a procedure with INOUT arguments returns a row");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

char **
ml_call_names(FunctionCallInfo fcinfo, int i, const char *argument, int *n)
{
	Datum	   *elements;
	bool	   *nulls;
	char	  **names;

	if (PG_ARGISNULL(i))
		return NULL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(i), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, n);
	names = palloc(sizeof(char *) * (*n + 1));
	for (int j = 0; j < *n; j++)
	{
		if (nulls[j])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("\"%s\" holds a NULL", argument),
					 errdetail("Element %d of %d is NULL.", j + 1, *n),
					 errhint("Give names of columns: %s => ARRAY['age', 'plan'].", argument)));
		names[j] = TextDatumGetCString(elements[j]);
	}
	return names;
}

static void
take_arguments(FunctionCallInfo fcinfo, MlTraining *training)
{
	MemoryContext old = MemoryContextSwitchTo(training->cxt);
	MlSpec	   *spec = &training->spec;

	spec->source = ml_argument_text(fcinfo, ARG_SOURCE);
	spec->target = ml_argument_text(fcinfo, ARG_TARGET);
	spec->algorithm = ml_argument_text(fcinfo, ARG_ALGORITHM);
	spec->params = ml_call_jsonb(fcinfo, ARG_PARAMS);
	spec->features = ml_call_names(fcinfo, ARG_FEATURES, "features", &spec->nfeatures);
	spec->exclude = ml_call_names(fcinfo, ARG_EXCLUDE, "exclude", &spec->nexclude);
	spec->key = ml_argument_text(fcinfo, ARG_KEY);
	spec->time_column = ml_argument_text(fcinfo, ARG_TIME_COLUMN);
	spec->weight = ml_argument_text(fcinfo, ARG_WEIGHT);
	if (!PG_ARGISNULL(ARG_HOLDOUT))
		spec->holdout = PG_GETARG_FLOAT8(ARG_HOLDOUT);
	if (!PG_ARGISNULL(ARG_SEED))
		spec->seed = PG_GETARG_INT64(ARG_SEED);
	ml_spec_take_options(spec, ml_call_jsonb(fcinfo, ARG_OPTIONS));
	training->note = ml_argument_text(fcinfo, ARG_NOTE);
	spec->group_by = ml_argument_text(fcinfo, ARG_GROUP_BY);
	MemoryContextSwitchTo(old);
}

Datum
mlops_train(PG_FUNCTION_ARGS)
{
	MlTraining *training = ml_call_begin(fcinfo);
	Datum		value;
	bool		isnull = false;

	take_arguments(fcinfo, training);
	value = Int32GetDatum(ml_training_run(training, false, ml_call_is_atomic(fcinfo)));
	ml_training_end(training);
	return ml_call_result(fcinfo, &value, &isnull);
}

Datum
mlops_train_now(PG_FUNCTION_ARGS)
{
	MlTraining *training = ml_call_begin(fcinfo);
	int			version;

	take_arguments(fcinfo, training);
	version = ml_training_run(training, false, true);
	ml_training_end(training);
	PG_RETURN_INT32(version);
}
