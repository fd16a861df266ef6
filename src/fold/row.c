/*
 * row.c
 *		What a training in SQL asks of each row: its fingerprint, whether it is
 *		held out, when it happened. score/carried.c has what needs a recipe.
 *
 *		mlops.row_parts(names, columns...)	the fingerprint, in four parts that add up
 *		mlops.row_held_out(seed, holdout, key, names, columns...)
 *		mlops.row_usec(time)
 *		mlops.row_length(array)
 *		mlops.row_complete(array)	nothing in it is missing
 *
 * The bits are those of frame/column.c: a row is in the same part of a division
 * whichever driver reads it. More columns than a function can have arguments
 * come as one ROW(...), which only ordinary functions take.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "frame/hash.h"
#include "frame/value.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#define PARTS 4

typedef struct RowSite
{
	int			n;
	MlHashSecret *secret;
	MlValueType *type;
	TupleDesc	desc;			/* the columns come as one row; NULL: as arguments */
	Datum	   *value;
	bool	   *isnull;
} RowSite;

PG_FUNCTION_INFO_V1(mlops_row_parts);
PG_FUNCTION_INFO_V1(mlops_row_held_out);
PG_FUNCTION_INFO_V1(mlops_row_usec);
PG_FUNCTION_INFO_V1(mlops_row_length);
PG_FUNCTION_INFO_V1(mlops_row_complete);

/* the type of the row that argument number at is; NULL: it is a column */
static TupleDesc
packed_row(FunctionCallInfo fcinfo, int at)
{
	HeapTupleHeader row;

	if (PG_NARGS() != at + 1 || PG_ARGISNULL(at) || get_fn_expr_argtype(fcinfo->flinfo, at) != RECORDOID)
		return NULL;
	row = PG_GETARG_HEAPTUPLEHEADER(at);
	return lookup_rowtype_tupdesc_copy(HeapTupleHeaderGetTypeId(row), HeapTupleHeaderGetTypMod(row));
}

/* names are argument number at, columns follow */
static RowSite *
make_site(FunctionCallInfo fcinfo, int at)
{
	MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	RowSite    *site = palloc0(sizeof(RowSite));
	ArrayType  *array = PG_ARGISNULL(at) ? NULL : PG_GETARG_ARRAYTYPE_P(at);
	Datum	   *name;
	bool	   *isnull;

	site->desc = packed_row(fcinfo, at + 1);
	site->n = site->desc ? site->desc->natts : PG_NARGS() - at - 1;
	if (array == NULL || get_fn_expr_variadic(fcinfo->flinfo) ||
		!get_fn_expr_arg_stable(fcinfo->flinfo, at) || array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("names of columns must be a constant array, and columns separate arguments"),
				 errhint("This function is for queries that mlops makes.")));
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &name, &isnull, &at);
	if (at != site->n)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%d names are given for %d columns", at, site->n),
				 errhint("This function is for queries that mlops makes.")));
	site->secret = palloc(sizeof(MlHashSecret) * Max(site->n, 1));
	site->type = palloc(sizeof(MlValueType) * Max(site->n, 1));
	site->value = palloc(sizeof(Datum) * Max(site->n, 1));
	site->isnull = palloc(sizeof(bool) * Max(site->n, 1));
	for (int i = 0; i < site->n; i++)
	{
		ml_hash_secret(TextDatumGetCString(name[i]), &site->secret[i]);
		ml_value_type(site->desc ? TupleDescAttr(site->desc, i)->atttypid :
					  get_fn_expr_argtype(fcinfo->flinfo, PG_NARGS() - site->n + i), -1,
					  fcinfo->flinfo->fn_mcxt, &site->type[i]);
	}
	MemoryContextSwitchTo(old);
	fcinfo->flinfo->fn_extra = site;
	return site;
}

static uint64
array_bits(MlValueType *type, Datum value)
{
	int			length;
	const double *element = ml_value_array(type, value, &length);
	uint64		hash = 0;

	for (int i = 0; i < length; i++)
		hash = ml_hash_word(hash, ml_hash_double(element[i]));
	return ml_hash_word(hash, (uint64) length);
}

static uint64
value_bits(MlValueType *type, Datum value)
{
	const char *bytes;
	int			length;

	switch (type->kind)
	{
		case ML_KIND_NUMBER:
			return ml_hash_double(ml_value_number(type, value) + 0.0);
		case ML_KIND_CATEGORY:
			bytes = ml_value_text(type, value, &length);
			return ml_hash_bytes(bytes, length, 0);
		case ML_KIND_TIME:
			return (uint64) ml_value_usec(type, value);
		case ML_KIND_ARRAY:
			return array_bits(type, value);
		case ML_KIND_NONE:
			break;
	}
	return 0;
}

/* the values of the columns, which are the arguments from first on */
static void
take_row(FunctionCallInfo fcinfo, int first, RowSite *site)
{
	HeapTupleHeader row;
	HeapTupleData tuple;

	if (site->desc == NULL)
	{
		for (int i = 0; i < site->n; i++)
		{
			site->value[i] = PG_GETARG_DATUM(first + i);
			site->isnull[i] = PG_ARGISNULL(first + i);
		}
		return;
	}
	row = PG_ARGISNULL(first) ? NULL : PG_GETARG_HEAPTUPLEHEADER(first);
	if (row == NULL || HeapTupleHeaderGetTypeId(row) != site->desc->tdtypeid ||
		HeapTupleHeaderGetTypMod(row) != site->desc->tdtypmod)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("rows of different types cannot be fingerprinted by one call"),
				 errhint("This function is for queries that mlops makes.")));
	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = row;
	heap_deform_tuple(&tuple, site->desc, site->value, site->isnull);
}

static MlHash128
fingerprint(FunctionCallInfo fcinfo, int at)
{
	RowSite    *site = fcinfo->flinfo->fn_extra;
	MlHash128	sum = {0, 0};

	if (site == NULL)
		site = make_site(fcinfo, at);
	take_row(fcinfo, at + 1, site);
	for (int i = 0; i < site->n; i++)
	{
		if (site->isnull[i])
			ml_hash128_add(&sum, site->secret[i].null);
		else
			ml_hash128_add(&sum, ml_hash_value(&site->secret[i], value_bits(&site->type[i], site->value[i])));
	}
	return ml_hash_finish(sum);
}

/* halves of halves, which bigint sums of any number of rows hold */
Datum
mlops_row_parts(PG_FUNCTION_ARGS)
{
	MlHash128	row = fingerprint(fcinfo, 0);
	Datum		part[PARTS];

	part[0] = Int64GetDatum((int64) (row.high >> 32));
	part[1] = Int64GetDatum((int64) (row.high & 0xffffffff));
	part[2] = Int64GetDatum((int64) (row.low >> 32));
	part[3] = Int64GetDatum((int64) (row.low & 0xffffffff));
	PG_RETURN_ARRAYTYPE_P(construct_array(part, PARTS, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* as hold_out_by_hash() of frame/arrange.c; a NULL key: by the row */
Datum
mlops_row_held_out(PG_FUNCTION_ARGS)
{
	uint64		seed = ml_hash_word(0, (uint64) PG_GETARG_INT64(0));
	uint64		hash;

	if (PG_ARGISNULL(2))
		hash = fingerprint(fcinfo, 3).low;
	else
		hash = ml_hash_key(getBaseType(get_fn_expr_argtype(fcinfo->flinfo, 2)), PG_GETARG_DATUM(2), 0);
	PG_RETURN_BOOL(ml_hash_unit(ml_hash_word(seed, hash)) < PG_GETARG_FLOAT8(1));
}

/* how the only argument is read */
static MlValueType *
argument_type(FunctionCallInfo fcinfo)
{
	if (fcinfo->flinfo->fn_extra == NULL)
	{
		MlValueType *type = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(MlValueType));

		ml_value_type(get_fn_expr_argtype(fcinfo->flinfo, 0), -1, fcinfo->flinfo->fn_mcxt, type);
		fcinfo->flinfo->fn_extra = type;
	}
	return fcinfo->flinfo->fn_extra;
}

/* when: as in MlColumn.usec; NULL for a time that is not known, and for what is no time */
Datum
mlops_row_usec(PG_FUNCTION_ARGS)
{
	MlValueType *type = argument_type(fcinfo);
	int64		usec;

	if (PG_ARGISNULL(0) || type->kind != ML_KIND_TIME)
		PG_RETURN_NULL();
	usec = ml_value_usec(type, PG_GETARG_DATUM(0));
	if (usec == PG_INT64_MIN)
		PG_RETURN_NULL();
	PG_RETURN_INT64(usec);
}

/* how many numbers an array has; NULL for what is none */
Datum
mlops_row_length(PG_FUNCTION_ARGS)
{
	MlValueType *type = argument_type(fcinfo);
	int			length;

	if (PG_ARGISNULL(0) || type->kind != ML_KIND_ARRAY)
		PG_RETURN_NULL();
	pfree(ml_value_array(type, PG_GETARG_DATUM(0), &length));
	PG_RETURN_INT32(length);
}

/* an array whose numbers are all there */
Datum
mlops_row_complete(PG_FUNCTION_ARGS)
{
	MlValueType *type = argument_type(fcinfo);
	double	   *number;
	int			length;
	bool		complete;

	if (PG_ARGISNULL(0) || type->kind != ML_KIND_ARRAY)
		PG_RETURN_BOOL(false);
	number = ml_value_array(type, PG_GETARG_DATUM(0), &length);
	complete = length > 0;
	for (int i = 0; i < length; i++)
		complete = complete && !isnan(number[i]);
	pfree(number);
	PG_RETURN_BOOL(complete);
}
