/*
 * state_classes.c
 *		Transition functions of metrics of classes: predicted against true, and
 *		probabilities of several classes; and of clusters.
 *
 * Probabilities come as an array, whose label is a place in it from 1 on, or as
 * the object that mlops_predict_proba() gives, whose label is a key of it. A
 * label that the object does not have was given the probability 0.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "json.h"
#include "metric/state.h"
#include "metric/units.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#define RETURN_STATE(state) return EOHPGetRWDatum(&(state)->hdr)

/* ---- classes by name ---- */

PG_FUNCTION_INFO_V1(mlops_table_accum);
PG_FUNCTION_INFO_V1(mlops_positive_accum);

/* arguments 1 and 2 predicted and true class, weight at n */
static MlMetricState *
add_labels(FunctionCallInfo fcinfo, int n)
{
	MlMetricState *state;
	double		weight;
	text	   *said;
	text	   *is;

	if (!ml_metric_weight(fcinfo, n, &weight) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return NULL;
	said = PG_GETARG_TEXT_PP(1);
	is = PG_GETARG_TEXT_PP(2);
	state = ml_metric_begin(fcinfo, ML_STATE_TABLE, ML_UNIT_NONE, NAN);
	ml_state_add_labels(state, VARDATA_ANY(said), VARSIZE_ANY_EXHDR(said),
						VARDATA_ANY(is), VARSIZE_ANY_EXHDR(is), weight);
	return state;
}

/* (state, predicted, label [, weight]) */
Datum
mlops_table_accum(PG_FUNCTION_ARGS)
{
	MlMetricState *state = add_labels(fcinfo, 3);

	if (state == NULL)
		return ml_metric_skip(fcinfo);
	RETURN_STATE(state);
}

/* (state, predicted, label, positive [, weight]) */
Datum
mlops_positive_accum(PG_FUNCTION_ARGS)
{
	MlMetricState *state;
	text	   *positive;

	if (PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the positive class of a metric is NULL"),
				 errdetail("It is needed for every row."),
				 errhint("Name the class, for example 'yes'.")));
	positive = PG_GETARG_TEXT_PP(3);
	state = add_labels(fcinfo, 4);
	if (state == NULL)
		return ml_metric_skip(fcinfo);
	ml_state_set_positive(state, VARDATA_ANY(positive), VARSIZE_ANY_EXHDR(positive));
	RETURN_STATE(state);
}

/* ---- probabilities of several classes ---- */

/* what a row says of its label */
typedef struct Chances
{
	double		of_label;
	int			ahead;			/* classes that are more probable, or as probable and come first */
	double		top;			/* the largest */
	double		squares;		/* of the probabilities of the other classes */
	double		weight;
} Chances;

static void
take_chance(Chances *chances, double p, bool is_label, bool comes_first)
{
	if (!(p >= 0.0 && p <= 1.0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%g is not a probability", p),
				 errdetail("Probabilities of classes are numbers from 0 to 1."),
				 errhint("Pass what mlops_predict_proba() gives.")));
	chances->top = fmax(chances->top, p);
	if (is_label)
		return;
	chances->squares += p * p;
	chances->ahead += p > chances->of_label || (p == chances->of_label && comes_first);
}

/* (state, probabilities float8[], label int ...): false for a row that does not count */
static bool
take_array(FunctionCallInfo fcinfo, int n, Chances *chances)
{
	ArrayType  *array;
	const double *p;
	int			length;
	int			label;

	memset(chances, 0, sizeof(Chances));
	if (!ml_metric_weight(fcinfo, n, &chances->weight) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return false;
	array = PG_GETARG_ARRAYTYPE_P(1);
	if (array_contains_nulls(array))
		return false;
	length = ARR_NDIM(array) == 0 ? 0 : ARR_DIMS(array)[0];
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("probabilities must be an array of one dimension"),
				 errdetail("It has %d.", ARR_NDIM(array)),
				 errhint("Pass the probabilities of one row: ARRAY[0.2, 0.5, 0.3].")));
	label = PG_GETARG_INT32(2);
	if (label < 1 || label > length)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("label %d is none of %d classes", label, length),
				 errdetail("The label is the place of the class in the array of probabilities, from 1 on."),
				 errhint("Pass as many probabilities as there are classes.")));
	p = (const double *) ARR_DATA_PTR(array);
	for (int c = 0; c < length; c++)
		if (isnan(p[c]))
			return false;
	chances->of_label = p[label - 1];
	for (int c = 0; c < length; c++)
		take_chance(chances, p[c], c == label - 1, c < label - 1);
	return true;
}

/* the pairs of the object; twice, since the label's must be known first */
static void
walk_object(Jsonb *object, const char *label, int length, Chances *chances)
{
	JsonbIterator *iterator = JsonbIteratorInit(&object->root);
	JsonbIteratorToken token;
	JsonbValue	item;
	bool		is_label = false;
	bool		comes_first = false;

	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			int			shorter = Min(item.val.string.len, length);
			int			order = memcmp(item.val.string.val, label, shorter);

			is_label = order == 0 && item.val.string.len == length;
			comes_first = order < 0 || (order == 0 && item.val.string.len < length);
		}
		else if (token == WJB_VALUE)
		{
			if (item.type != jbvNumeric)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("probabilities hold something that is no number"),
						 errdetail("They are %s.", ml_json_show_jsonb(object)),
						 errhint("Pass what mlops_predict_proba() gives.")));
			take_chance(chances, ml_json_number(&item), is_label, comes_first);
		}
	}
}

/* (state, probabilities jsonb, label text ...) */
static bool
take_object(FunctionCallInfo fcinfo, int n, Chances *chances)
{
	Jsonb	   *object;
	text	   *label;
	JsonbValue	key;
	JsonbValue *value;

	memset(chances, 0, sizeof(Chances));
	if (!ml_metric_weight(fcinfo, n, &chances->weight) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return false;
	object = PG_GETARG_JSONB_P(1);
	label = PG_GETARG_TEXT_PP(2);
	if (!JB_ROOT_IS_OBJECT(object) || JB_ROOT_COUNT(object) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("probabilities must be an object of classes and numbers"),
				 errdetail("They are %s.", ml_json_show_jsonb(object)),
				 errhint("Pass what mlops_predict_proba() gives.")));
	key.type = jbvString;
	key.val.string.val = VARDATA_ANY(label);
	key.val.string.len = VARSIZE_ANY_EXHDR(label);
	value = findJsonbValueFromContainer(&object->root, JB_FOBJECT, &key);
	if (value != NULL && value->type == jbvNumeric)
		chances->of_label = ml_json_number(value);
	walk_object(object, key.val.string.val, key.val.string.len, chances);
	return true;
}

typedef bool (*Taker) (FunctionCallInfo fcinfo, int n, Chances *chances);

static Datum
add_mean(FunctionCallInfo fcinfo, Taker take, MlUnit unit)
{
	MlMetricState *state;
	Chances		chances;
	double		miss;

	if (!take(fcinfo, 3, &chances))
		return ml_metric_skip(fcinfo);
	state = ml_metric_begin(fcinfo, ML_STATE_MEAN, unit, NAN);
	miss = 1.0 - chances.of_label;
	ml_state_add_mean(state, unit == ML_UNIT_LOG_LOSS ? ml_log_loss(chances.of_label) :
					  0.5 * (miss * miss + chances.squares), chances.weight);
	RETURN_STATE(state);
}

static Datum
add_bin(FunctionCallInfo fcinfo, Taker take)
{
	MlMetricState *state;
	Chances		chances;

	if (!take(fcinfo, 3, &chances))
		return ml_metric_skip(fcinfo);
	state = ml_metric_begin(fcinfo, ML_STATE_BINS, ML_UNIT_NONE, NAN);
	ml_state_add_bin(state, chances.top, chances.ahead == 0, chances.weight);
	RETURN_STATE(state);
}

/* is the label among the k most probable? weight at n */
static Datum
add_top(FunctionCallInfo fcinfo, Taker take, int n, int k)
{
	MlMetricState *state;
	Chances		chances;

	if (!take(fcinfo, n, &chances))
		return ml_metric_skip(fcinfo);
	state = ml_metric_begin(fcinfo, ML_STATE_MEAN, ML_UNIT_TOP, k);
	ml_state_add_mean(state, chances.ahead < k ? 1.0 : 0.0, chances.weight);
	RETURN_STATE(state);
}

static int
take_k(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(3) || PG_GETARG_INT32(3) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 PG_ARGISNULL(3) ? errmsg("the k of a top-k accuracy is NULL") :
				 errmsg("the k of a top-k accuracy is %d", PG_GETARG_INT32(3)),
				 errdetail("It is how many classes may be named: 1 or more."),
				 errhint("For example 3.")));
	return PG_GETARG_INT32(3);
}

#define CHANCES(name, take) \
PG_FUNCTION_INFO_V1(mlops_##name##_log_loss_accum); \
PG_FUNCTION_INFO_V1(mlops_##name##_brier_accum); \
PG_FUNCTION_INFO_V1(mlops_##name##_bins_accum); \
PG_FUNCTION_INFO_V1(mlops_##name##_right_accum); \
PG_FUNCTION_INFO_V1(mlops_##name##_top_accum); \
Datum \
mlops_##name##_log_loss_accum(PG_FUNCTION_ARGS) \
{ \
	return add_mean(fcinfo, take, ML_UNIT_LOG_LOSS); \
} \
Datum \
mlops_##name##_brier_accum(PG_FUNCTION_ARGS) \
{ \
	return add_mean(fcinfo, take, ML_UNIT_BRIER); \
} \
Datum \
mlops_##name##_bins_accum(PG_FUNCTION_ARGS) \
{ \
	return add_bin(fcinfo, take); \
} \
Datum \
mlops_##name##_right_accum(PG_FUNCTION_ARGS) \
{ \
	return add_top(fcinfo, take, 3, 1); \
} \
Datum \
mlops_##name##_top_accum(PG_FUNCTION_ARGS) \
{ \
	return add_top(fcinfo, take, 4, take_k(fcinfo)); \
}

/* (state, probabilities, label [, weight]), and with k before the weight */
CHANCES(array, take_array)
CHANCES(object, take_object)

/* ---- clusters: (state, point float8[], cluster int [, weight]) ---- */

typedef void (*Adder) (MlMetricState *state, int cluster, const double *x, int n, double weight);

static Datum
add_point(FunctionCallInfo fcinfo, MlStateKind kind, Adder adder)
{
	MlMetricState *state;
	ArrayType  *array;
	const double *x;
	double		weight;
	int			n;

	if (!ml_metric_weight(fcinfo, 3, &weight) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return ml_metric_skip(fcinfo);
	array = PG_GETARG_ARRAYTYPE_P(1);
	n = ARR_NDIM(array) == 0 ? 0 : ARR_DIMS(array)[0];
	if (ARR_NDIM(array) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("a point must be an array of one dimension"),
				 errdetail("It has %d.", ARR_NDIM(array)),
				 errhint("Pass the numbers of one row: ARRAY[a, b, ...].")));
	if (array_contains_nulls(array))
		return ml_metric_skip(fcinfo);
	x = (const double *) ARR_DATA_PTR(array);
	for (int j = 0; j < n; j++)
	{
		if (isnan(x[j]))
			return ml_metric_skip(fcinfo);
		if (isinf(x[j]))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("number %d of a point is infinite", j + 1),
					 errdetail("A distance cannot be measured by it."),
					 errhint("Leave such rows out, or make the value NULL: rows with a NULL do not count.")));
	}
	state = ml_metric_begin(fcinfo, kind, ML_UNIT_NONE, NAN);
	adder(state, PG_GETARG_INT32(2), x, n, weight);
	RETURN_STATE(state);
}

PG_FUNCTION_INFO_V1(mlops_cluster_accum);
PG_FUNCTION_INFO_V1(mlops_point_accum);

Datum
mlops_cluster_accum(PG_FUNCTION_ARGS)
{
	return add_point(fcinfo, ML_STATE_CLUSTERS, ml_state_add_to_cluster);
}

Datum
mlops_point_accum(PG_FUNCTION_ARGS)
{
	return add_point(fcinfo, ML_STATE_POINTS, ml_state_add_point);
}
