/*
 * aggregate.c
 *		The aggregates over states, and the functions of states.
 *
 * A transition function gets no more than its arguments: on the workers of a
 * Citus cluster neither fn_extra nor the expression tree is there. So
 * everything is in the state, which is updated in place while it is an expanded
 * object of the aggregate's own, and copied otherwise.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "fold/fold.h"
#include "catalog/pg_type.h"
#include "train/learn_link.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* what a row of a call is made of */
typedef struct Row
{
	int			ncolumns;
	const double *x;
	double		y;
	double		weight;
} Row;

static MemoryContext
state_parent(FunctionCallInfo fcinfo)
{
	MemoryContext cxt;

	return AggCheckCallContext(fcinfo, &cxt) ? cxt : CurrentMemoryContext;
}

static void
require_finite(const char *name, double value)
{
	if (isinf(value))
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("\"%s\" is infinite", name),
				 errdetail("It is %g, which no sum could hold.", value),
				 errhint("Leave such rows out, or make the value NULL: rows with a NULL do not count.")));
}

/* the numbers of an array, NaN for NULL */
static double *
missing_as_nan(ArrayType *array)
{
	Datum	   *element;
	bool	   *isnull;
	int			n;
	double	   *x;

	deconstruct_array(array, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &element, &isnull, &n);
	x = palloc(sizeof(double) * n);
	for (int j = 0; j < n; j++)
		x[j] = isnull[j] ? NAN : DatumGetFloat8(element[j]);
	return x;
}

/* false: a NULL or NaN in it, so that the row does not count, unless the learner takes them */
static bool
take_x(Datum datum, bool missing, Row *row)
{
	ArrayType  *array = DatumGetArrayTypeP(datum);

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("\"x\" must be an array of one dimension"),
				 errdetail("It has %d.", ARR_NDIM(array)),
				 errhint("Pass the numbers of one row: ARRAY[a, b, ...].")));
	if (!missing && array_contains_nulls(array))
		return false;
	row->ncolumns = ARR_NDIM(array) == 0 ? 0 : ARR_DIMS(array)[0];
	row->x = array_contains_nulls(array) ? missing_as_nan(array) : (const double *) ARR_DATA_PTR(array);
	for (int j = 0; j < row->ncolumns; j++)
	{
		if (isnan(row->x[j]) && !missing)
			return false;
		require_finite("x", row->x[j]);
	}
	return true;
}

static bool
take_weight(double weight, Row *row)
{
	if (weight < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"weight\" is %g", weight),
				 errdetail("It must be 0 or more."),
				 errhint("A weight is not negative; rows of weight 0 do not count.")));
	require_finite("weight", weight);
	row->weight = weight;
	return weight > 0;
}

/* arguments from first on: y if there is a target, x, weight. false: the row does not count */
static bool
take_row(FunctionCallInfo fcinfo, int first, bool missing, Row *row)
{
	int			x = first + (first == 1 ? 0 : 1);

	row->y = 0;
	row->weight = 1;
	if (first == 2)
	{
		x = 2;
		if (PG_ARGISNULL(1))
			return false;
		row->y = PG_GETARG_FLOAT8(1);
		if (isnan(row->y))
			return false;
		require_finite("y", row->y);
	}
	if (PG_ARGISNULL(x) || !take_x(PG_GETARG_DATUM(x), missing, row))
		return false;
	if (PG_NARGS() <= x + 1)
		return true;
	return !PG_ARGISNULL(x + 1) && take_weight(PG_GETARG_FLOAT8(x + 1), row);
}

/* the state that the first row of a group goes into */
static MlFold *
begin_state(FunctionCallInfo fcinfo, MemoryContext parent, const char *name, int pass)
{
	MlFold	   *fold;

	if (PG_NARGS() <= pass || PG_ARGISNULL(pass))
		return ml_fold_make(parent, ml_learn_algorithm(name), NULL, 0);
	fold = ml_fold_copy(ml_fold_get(PG_GETARG_DATUM(pass), CurrentMemoryContext), parent);
	if (strcmp(fold->algorithm->name, name) != 0 || fold->nrows > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"pass\" is not the beginning of a pass of \"%s\"", name),
				 errdetail("It is of \"%s\" and has " INT64_FORMAT " rows.", fold->algorithm->name, fold->nrows),
				 errhint("Make it with mlops.pass('%s') or mlops.next(state).", name)));
	return fold;
}

static void
check_class(const MlFold *fold, double y)
{
	if (fold->nclasses > 0 && !(y >= 0 && y < fold->nclasses && y == rint(y)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"y\" is %g, which is none of %d classes", y, fold->nclasses),
				 errdetail("Classes are numbered from 0 to %d.", fold->nclasses - 1),
				 fold->nclasses == 2 ? errhint("Pass 1 for the positive class and 0 for the other: (churned)::int.") :
				 errhint("Say how many classes there are: mlops.pass('%s', classes => ...).", fold->algorithm->name)));
}

static Datum
accumulate(FunctionCallInfo fcinfo, const char *name, bool target, bool missing)
{
	MemoryContext parent = state_parent(fcinfo);
	int			first = target ? 2 : 1;
	MlFold	   *fold = PG_ARGISNULL(0) ? NULL : ml_fold_get(PG_GETARG_DATUM(0), parent);
	Row			row;

	if (take_row(fcinfo, first, missing, &row))
	{
		if (fold == NULL)
			fold = begin_state(fcinfo, parent, name, first + 2);
		if (fold->ncolumns < 0)
			ml_fold_columns(fold, row.ncolumns);
		if (row.ncolumns != fold->ncolumns)
			ereport(ERROR,
					(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					 errmsg("\"x\" has %d numbers", row.ncolumns),
					 errdetail("Rows before had %d.", fold->ncolumns),
					 errhint("Pass the same columns for every row.")));
		check_class(fold, row.y);
		ml_fold_add(fold, row.x, row.y, row.weight);
	}
	if (fold == NULL)
		PG_RETURN_NULL();
	return EOHPGetRWDatum(&fold->hdr);
}

#define ACCUMULATE(algorithm, target, missing) \
PG_FUNCTION_INFO_V1(mlops_##algorithm##_accum); \
Datum \
mlops_##algorithm##_accum(PG_FUNCTION_ARGS) \
{ \
	return accumulate(fcinfo, #algorithm, target, missing); \
}

ACCUMULATE(glm, true, false)
ACCUMULATE(kmeans, false, false)
ACCUMULATE(linear_regression, true, false)
ACCUMULATE(logistic_regression, true, false)
ACCUMULATE(naive_bayes, true, true)
ACCUMULATE(pca, false, false)

/* ---- functions of states ---- */

PG_FUNCTION_INFO_V1(mlops_state_merge);
PG_FUNCTION_INFO_V1(mlops_state_final);
PG_FUNCTION_INFO_V1(mlops_state_next);
PG_FUNCTION_INFO_V1(mlops_pass);

/* combine function of all aggregates, transition function of mlops.merge(), and a function of its own */
Datum
mlops_state_merge(PG_FUNCTION_ARGS)
{
	MemoryContext parent = state_parent(fcinfo);
	MlFold	   *into;
	MlFold	   *other;

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(1))
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	other = ml_fold_get(PG_GETARG_DATUM(1), CurrentMemoryContext);
	if (PG_ARGISNULL(0))
		return EOHPGetRWDatum(&ml_fold_copy(other, parent)->hdr);
	into = ml_fold_get(PG_GETARG_DATUM(0), parent);
	if (into == other)
		other = ml_fold_copy(other, CurrentMemoryContext);
	ml_fold_merge(into, other);
	return EOHPGetRWDatum(&into->hdr);
}

/* a copy of the state, whose pass may be ended */
static MlFold *
scratch_copy(FunctionCallInfo fcinfo)
{
	return ml_fold_copy(ml_fold_get(PG_GETARG_DATUM(0), CurrentMemoryContext), CurrentMemoryContext);
}

Datum
mlops_state_final(PG_FUNCTION_ARGS)
{
	MlFold	   *fold;
	MlFitted   *fitted = NULL;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	fold = scratch_copy(fcinfo);
	if (ml_fold_end_pass(fold))
		fitted = ml_fold_finish(fold);
	PG_RETURN_JSONB_P(ml_fold_result(fold, fitted));
}

/* the beginning of the next pass; NULL: there is none */
Datum
mlops_state_next(PG_FUNCTION_ARGS)
{
	MlFold	   *fold;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	fold = scratch_copy(fcinfo);
	if (ml_fold_end_pass(fold))
		PG_RETURN_NULL();
	return EOHPGetRWDatum(&fold->hdr);
}

/* the beginning of the first pass: algorithm, params, classes, seed */
Datum
mlops_pass(PG_FUNCTION_ARGS)
{
	MlFold	   *fold;
	int			nclasses = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"algorithm\" must not be NULL"),
				 errdetail("It was given as NULL."),
				 errhint("See SELECT * FROM mlops_algorithms().")));
	if (nclasses < 0 || nclasses > 100)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"classes\" is %d", nclasses),
				 errdetail("It must be from 0 to 100."),
				 errhint("Give the number of classes, at most 100, or NULL for a target that is a number.")));
	fold = ml_fold_make(CurrentMemoryContext, ml_learn_algorithm(text_to_cstring(PG_GETARG_TEXT_PP(0))),
						PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1), nclasses);
	if (!PG_ARGISNULL(3))
		fold->seed = PG_GETARG_INT64(3);
	return EOHPGetRWDatum(&fold->hdr);
}
