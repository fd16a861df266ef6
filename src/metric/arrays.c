/*
 * arrays.c
 *		Intervals of metrics of numbers given as arrays: mlops.interval_of,
 *		mlops.difference_of. The same code that judges versions, for tests and for those
 *		who have scores from elsewhere.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "frame/hash.h"
#include "funcapi.h"
#include "metric/interval.h"
#include "metric/measure.h"
#include "result.h"
#include "sort.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(mlops_interval_of);
PG_FUNCTION_INFO_V1(mlops_difference_of);

static const double *
take_array(ArrayType *array, const char *name, int64 n)
{
	int			length = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

	if (ARR_HASNULL(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("array \"%s\" has NULLs", name),
				 errhint("Leave such rows out.")));
	if (n >= 0 && length != n)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("array \"%s\" has %d elements, but there are " INT64_FORMAT " labels", name, length, n),
				 errhint("Give one element a row.")));
	return (const double *) ARR_DATA_PTR(array);
}

static const MlMetric *
take_metric(const text *argument, MlTask *task)
{
	char	   *name = text_to_cstring(argument);
	const MlMetric *metric = ml_metric_find(name);
	uint32		both = ML_TASK_BINARY | ML_TASK_REGRESSION;

	if (metric == NULL)
		ml_metric_error_unknown(name, both, NULL);
	if ((metric->tasks & both) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("metric \"%s\" is neither for two classes nor for numbers", name),
				 errdetail("Arrays of predictions and labels are of one of these."),
				 errhint("SELECT * FROM mlops_metrics() lists metrics by task.")));
	*task = (metric->tasks & ML_TASK_BINARY) ? ML_TASK_BINARY : ML_TASK_REGRESSION;
	return metric;
}

static const uint32 *
make_order(const MlMeasurement *rows)
{
	MlKeyed    *item = palloc_extended(sizeof(MlKeyed) * 2 * Max(rows->n, 1), MCXT_ALLOC_HUGE);
	uint32	   *order = palloc_extended(sizeof(uint32) * Max(rows->n, 1), MCXT_ALLOC_HUGE);

	for (int64 i = 0; i < rows->n; i++)
	{
		item[i].row = i;
		item[i].key = ml_double_key(rows->prediction[i]);
	}
	ml_sort(item, item + rows->n, rows->n, 64);
	for (int64 i = 0; i < rows->n; i++)
		order[i] = (uint32) item[i].row;
	pfree(item);
	return order;
}

/* scores of a sample whose labels and weights are there */
static void
take_scores(const MlMetric *metric, ArrayType *scores, const char *name, MlSample *sample)
{
	const MlIntervalRule *rule = ml_interval_rule(metric);
	double	   *value;

	sample->rows.prediction = take_array(scores, name, sample->rows.n);
	if (rule->kind == ML_INTERVAL_AREA)
		sample->order = make_order(&sample->rows);
	if (rule->row_values == NULL)
		return;
	value = palloc_extended(sizeof(double) * Max(sample->rows.n, 1), MCXT_ALLOC_HUGE);
	rule->row_values(&sample->rows, value);
	sample->value = value;
}

/* labels, weights and random numbers; arguments from first on: labels, metric, weights, threshold, seed */
static const MlMetric *
take_sample(FunctionCallInfo fcinfo, int first, MlSample *sample)
{
	ArrayType  *labels = PG_GETARG_ARRAYTYPE_P(first);
	const MlMetric *metric;
	uint64	   *random;

	memset(sample, 0, sizeof(MlSample));
	metric = take_metric(PG_GETARG_TEXT_PP(first + 1), &sample->rows.task);
	sample->rows.label = take_array(labels, "labels", -1);
	sample->rows.n = ArrayGetNItems(ARR_NDIM(labels), ARR_DIMS(labels));
	sample->rows.nclasses = 2;
	if (!PG_ARGISNULL(first + 2))
		sample->rows.weight = take_array(PG_GETARG_ARRAYTYPE_P(first + 2), "weights", sample->rows.n);
	sample->rows.threshold = PG_ARGISNULL(first + 3) ? 0.5 : PG_GETARG_FLOAT8(first + 3);
	sample->seed = PG_ARGISNULL(first + 4) ? 0 : (uint64) PG_GETARG_INT64(first + 4);
	random = palloc_extended(sizeof(uint64) * Max(sample->rows.n, 1), MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < sample->rows.n; i++)
		random[i] = ml_hash_mix((uint64) i);
	sample->random = random;
	return metric;
}

static Datum
make_row(FunctionCallInfo fcinfo, const double *number, int n)
{
	TupleDesc	desc;
	Datum		values[8];
	bool		nulls[8];

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	for (int i = 0; i < n; i++)
		ml_rows_number(values, nulls, i, number[i]);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

static bool
any_null(FunctionCallInfo fcinfo, int n)
{
	for (int i = 0; i < n; i++)
		if (PG_ARGISNULL(i))
			return true;
	return false;
}

/* interval_of(scores, labels, metric, weights, threshold, seed) */
Datum
mlops_interval_of(PG_FUNCTION_ARGS)
{
	MlSample	sample;
	MlInterval	interval;
	const MlMetric *metric;

	if (any_null(fcinfo, 3))
		PG_RETURN_NULL();
	metric = take_sample(fcinfo, 1, &sample);
	take_scores(metric, PG_GETARG_ARRAYTYPE_P(0), "scores", &sample);
	ml_interval(metric, &sample, &interval);
	return make_row(fcinfo, (double[]) {interval.value, interval.low, interval.high, interval.error}, 4);
}

/* difference_of(scores, others, labels, metric, weights, threshold, seed) */
Datum
mlops_difference_of(PG_FUNCTION_ARGS)
{
	MlSample	first;
	MlSample	second;
	MlPaired	paired;
	const MlMetric *metric;

	if (any_null(fcinfo, 4))
		PG_RETURN_NULL();
	metric = take_sample(fcinfo, 2, &first);
	second = first;
	take_scores(metric, PG_GETARG_ARRAYTYPE_P(0), "scores", &first);
	take_scores(metric, PG_GETARG_ARRAYTYPE_P(1), "others", &second);
	ml_interval_paired(metric, &first, &second, &paired);
	return make_row(fcinfo, (double[]) {paired.first, paired.second, paired.difference, paired.low, paired.high,
										paired.p_value, paired.needed}, 7);
}
