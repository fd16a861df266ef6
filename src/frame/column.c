/*
 * column.c
 *		Columns while they are filled, row by row.
 */
#include "postgres.h"

#include <math.h>

#include "frame/column.h"
#include "frame/dictionary.h"
#include "frame/memory.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define ML_FIRST_ROWS		256
#define ML_BATCH_VALUES		2048	/* that stay in the first cache, nulls and sums included */
#define ML_BATCH_LEAST		8		/* rows, however many columns there are */
#define ML_FIRST_SHARE		2		/* the estimate alone takes at most half of what is left */

static const char what[] = "the rows of the source";

/* ---- room ---- */

static void
resize(MlStore *store, MlSeries *series, int64 room)
{
	if (series->data != NULL)
		series->data = ml_frame_resize(store->frame, series->data, store->room * series->width,
									   ml_size_mul(room, series->width), what);
}

static void
resize_all(MlStore *store, int64 room)
{
	for (int i = 0; i < store->nloaders; i++)
		resize(store, &store->loader[i].values, room);
	resize(store, &store->fingerprint, room);
	resize(store, &store->key_hash, room);
	store->room = room;
}

/* bytes of a row, and of its widest part */
static Size
row_width(const MlStore *store, Size *widest)
{
	Size		sum = store->fingerprint.width + store->key_hash.width;

	*widest = store->fingerprint.width;
	for (int i = 0; i < store->nloaders; i++)
	{
		sum += store->loader[i].values.width;
		*widest = Max(*widest, store->loader[i].values.width);
	}
	return sum;
}

/*
 * Half as much again; less near the end of the budget, so that rows that fit
 * are not refused for room that they would not use.
 */
static void
grow(MlStore *store)
{
	const MlBudget *budget = store->frame->budget;
	Size		left = budget->limit - Min(budget->used, budget->limit);
	Size		widest;
	Size		width = row_width(store, &widest);
	Size		copy = store->room * widest;
	Size		more = (Size) store->room / 2;

	if (left > copy && more > (left - copy) / (width + widest))
		more = Max((left - copy) / (width + widest), ML_FIRST_ROWS);
	resize_all(store, store->room + (int64) more);
}

static void
allocate(MlStore *store, MlSeries *series)
{
	series->data = ml_frame_alloc(store->frame, ml_size_mul(store->room, series->width), what);
}

static void
allocate_all(MlStore *store, double estimate)
{
	const MlBudget *budget = store->frame->budget;
	Size		left = budget->limit - Min(budget->used, budget->limit);
	Size		widest;
	double		most = (double) left / ML_FIRST_SHARE / (double) row_width(store, &widest);

	/* a little more than estimated: the estimate of a table is seldom exact */
	store->room = (int64) Max(Min(estimate * 1.02, most), ML_FIRST_ROWS);
	for (int i = 0; i < store->nloaders; i++)
		if (store->loader[i].values.width > 0)
			allocate(store, &store->loader[i].values);
	allocate(store, &store->fingerprint);
	if (store->key_hash.width > 0)
		allocate(store, &store->key_hash);
}

static Size
kind_width(MlKind kind)
{
	switch (kind)
	{
		case ML_KIND_NUMBER:
			return sizeof(double);
		case ML_KIND_CATEGORY:
			return sizeof(int32);
		case ML_KIND_TIME:
			return sizeof(int64);
		case ML_KIND_ARRAY:
		case ML_KIND_NONE:
			break;
	}
	return 0;
}

/* a number whose datum says it all, and does not point into the row */
static bool
can_wait(const MlValueType *type)
{
	return type->kind == ML_KIND_NUMBER && get_typbyval(type->base);
}

static void
add_loader(MlStore *store, int attribute)
{
	MlColumn   *column = &store->frame->cols[attribute];
	MlLoader   *loader = &store->loader[store->nloaders++];

	loader->attribute = attribute;
	loader->kind = column->type.kind;
	loader->column = column;
	loader->values.width = kind_width(column->type.kind);
	ml_hash_secret(column->name, &loader->secret);
	if (column->type.kind == ML_KIND_CATEGORY)
		column->dictionary = ml_dictionary_create(store->frame);
}

static void
begin_batch(MlBatch *batch, const MlFrame *frame)
{
	batch->width = frame->ncols;
	batch->size = Min(Max(ML_BATCH_VALUES / frame->ncols, ML_BATCH_LEAST), ML_BATCH_ROWS);
	batch->value = MemoryContextAlloc(frame->cxt, sizeof(Datum) * batch->size * batch->width);
	batch->isnull = MemoryContextAlloc(frame->cxt, sizeof(bool) * batch->size * batch->width);
}

void
ml_store_begin(MlStore *store, MlFrame *frame, double estimate)
{
	memset(store, 0, sizeof(*store));
	store->frame = frame;
	store->loader = MemoryContextAllocZero(frame->cxt, Max(frame->ncols, 1) * sizeof(MlLoader));
	for (int i = 0; i < frame->ncols; i++)
		if (frame->cols[i].loaded && can_wait(&frame->cols[i].type))
			add_loader(store, i);
	store->nwaiting = store->nloaders;
	for (int i = 0; i < frame->ncols; i++)
		if (frame->cols[i].loaded && !can_wait(&frame->cols[i].type))
			add_loader(store, i);
	begin_batch(&store->batch, frame);
	store->fingerprint.width = sizeof(MlHash128);
	if (frame->key_column >= 0)
	{
		store->key_hash.width = sizeof(uint64);
		store->key_type = frame->cols[frame->key_column].type.base;
	}
	allocate_all(store, estimate);
}

/* ---- rows ---- */

static void
count_nonfinite(MlColumn *column, int64 row)
{
	if (column->nnonfinite++ == 0)
		column->first_nonfinite = row + 1;
}

static uint64
take_category(MlStore *store, MlLoader *loader, Datum value)
{
	MlColumn   *column = loader->column;
	int			length;
	const char *bytes = ml_value_text(&column->type, value, &length);
	uint64		hash = ml_hash_bytes(bytes, length, 0);

	((int32 *) loader->values.data)[store->frame->nrows] =
		ml_dictionary_add(store->frame, column->dictionary, bytes, length, hash);
	return hash;
}

static uint64
take_time(MlStore *store, MlLoader *loader, Datum value)
{
	int64		usec = ml_value_usec(&loader->column->type, value);

	if (usec == PG_INT64_MIN || usec == PG_INT64_MAX)
		count_nonfinite(loader->column, store->frame->nrows);
	((int64 *) loader->values.data)[store->frame->nrows] = usec;
	return (uint64) usec;
}

static void
check_length(const MlStore *store, MlColumn *column, int length)
{
	if (length == 0)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("array column \"%s\" has an empty array", column->name),
				 errdetail("Row " INT64_FORMAT " of the source holds it.", store->frame->nrows + 1),
				 errhint("Write NULL for an array that is not known: NULLIF(%s, '{}').",
						 quote_identifier(column->name))));
	if (column->array_length == 0)
		column->array_length = length;
	else if (column->array_length != length)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("arrays of column \"%s\" differ in length", column->name),
				 errdetail("Row " INT64_FORMAT " has length %d, the first array has length %d.",
						   store->frame->nrows + 1, length, column->array_length),
				 errhint("Each element is a feature of its own: give all rows the same number of them.")));
}

/* room for the arrays, once their length is known; the rows so far are NULL */
static void
start_arrays(MlStore *store, MlSeries *values, int length)
{
	values->width = (Size) length * sizeof(double);
	allocate(store, values);
	for (Size i = 0; i < (Size) store->frame->nrows * length; i++)
		((double *) values->data)[i] = NAN;
}

static uint64
take_array(MlStore *store, MlLoader *loader, Datum value)
{
	MlColumn   *column = loader->column;
	uint64		hash = 0;
	bool		finite = true;
	double	   *row;
	int			length;
	const double *element = ml_value_array(&column->type, value, &length);

	check_length(store, column, length);
	if (loader->values.data == NULL)
		start_arrays(store, &loader->values, length);
	row = (double *) loader->values.data + (Size) store->frame->nrows * length;
	for (int i = 0; i < length; i++)
	{
		row[i] = element[i] + 0.0;
		finite &= !isinf(element[i]);
		hash = ml_hash_word(hash, ml_hash_double(element[i]));
	}
	if (!finite)
		count_nonfinite(column, store->frame->nrows);
	return ml_hash_word(hash, (uint64) length);
}

static void
take_null(MlStore *store, MlLoader *loader)
{
	MlColumn   *column = loader->column;

	column->nnull++;
	switch (loader->kind)
	{
		case ML_KIND_NUMBER:
			((double *) loader->values.data)[store->frame->nrows] = NAN;
			break;
		case ML_KIND_CATEGORY:
			((int32 *) loader->values.data)[store->frame->nrows] = ML_CODE_NULL;
			break;
		case ML_KIND_TIME:
			((int64 *) loader->values.data)[store->frame->nrows] = ML_USEC_NULL;
			break;
		case ML_KIND_ARRAY:
			if (loader->values.data != NULL)
				for (int i = 0; i < column->array_length; i++)
					((double *) loader->values.data)[(Size) store->frame->nrows * column->array_length + i] = NAN;
			break;
		case ML_KIND_NONE:
			break;
	}
}

static uint64
take_number(MlStore *store, MlLoader *loader, Datum value)
{
	double		x = ml_value_number(&loader->column->type, value) + 0.0;	/* one zero */

	if (!isfinite(x))
		count_nonfinite(loader->column, store->frame->nrows);
	((double *) loader->values.data)[store->frame->nrows] = x;
	return ml_hash_double(x);
}

static MlHash128
take_value(MlStore *store, MlLoader *loader, Datum value)
{
	uint64		bits = 0;

	switch (loader->kind)
	{
		case ML_KIND_NUMBER:
			bits = take_number(store, loader, value);
			break;
		case ML_KIND_CATEGORY:
			bits = take_category(store, loader, value);
			break;
		case ML_KIND_TIME:
			bits = take_time(store, loader, value);
			break;
		case ML_KIND_ARRAY:
			bits = take_array(store, loader, value);
			break;
		case ML_KIND_NONE:
			break;
	}
	return ml_hash_value(&loader->secret, bits);
}

/* ---- the batch ---- */

/* one column of it; what the loop reads is in variables, as its stores could change all else */
static void
store_numbers(MlBatch *batch, const MlLoader *loader, int64 first)
{
	MlColumn   *column = loader->column;
	const MlHashSecret secret = loader->secret;
	const Datum *value = batch->value + loader->attribute;
	const bool *isnull = batch->isnull + loader->attribute;
	double	   *to = (double *) loader->values.data + first;
	int			width = batch->width;
	int			n = batch->n;

	for (int i = 0; i < n; i++, value += width, isnull += width)
	{
		double		x;

		if (unlikely(*isnull))
		{
			column->nnull++;
			to[i] = NAN;
			ml_hash128_add(&batch->sum[i], secret.null);
			continue;
		}
		x = ml_value_number(&column->type, *value) + 0.0;	/* one zero */
		if (unlikely(!isfinite(x)))
			count_nonfinite(column, first + i);
		to[i] = x;
		ml_hash128_add(&batch->sum[i], ml_hash_value(&secret, ml_hash_double(x)));
	}
}

/* rows without a key are told apart by what they hold */
static void
store_fingerprints(MlStore *store, int64 first)
{
	const MlBatch *batch = &store->batch;
	MlFrame    *frame = store->frame;
	int			key = frame->key_column;

	for (int i = 0; i < batch->n; i++)
	{
		MlHash128	fingerprint = ml_hash_finish(batch->sum[i]);

		((MlHash128 *) store->fingerprint.data)[first + i] = fingerprint;
		ml_hash128_add(&frame->set_fingerprint, fingerprint);
		if (key >= 0 && batch->isnull[i * batch->width + key])
			((uint64 *) store->key_hash.data)[first + i] = fingerprint.low;
	}
}

static void
empty_batch(MlStore *store)
{
	int64		first = store->frame->nrows - store->batch.n;

	for (int i = 0; i < store->nwaiting; i++)
		store_numbers(&store->batch, &store->loader[i], first);
	store_fingerprints(store, first);
	store->batch.n = 0;
}

void
ml_store_row(MlStore *store, const Datum *value, const bool *isnull)
{
	MlBatch    *batch = &store->batch;
	int64		row = store->frame->nrows;
	MlHash128	sum = {0, 0};
	int			key = store->frame->key_column;

	if (unlikely(row == store->room))
		grow(store);
	memcpy(batch->value + batch->n * batch->width, value, sizeof(Datum) * batch->width);
	memcpy(batch->isnull + batch->n * batch->width, isnull, sizeof(bool) * batch->width);
	for (int i = store->nwaiting; i < store->nloaders; i++)
	{
		MlLoader   *loader = &store->loader[i];

		if (isnull[loader->attribute])
		{
			take_null(store, loader);
			ml_hash128_add(&sum, loader->secret.null);
		}
		else
			ml_hash128_add(&sum, take_value(store, loader, value[loader->attribute]));
	}
	if (key >= 0 && !isnull[key])
		((uint64 *) store->key_hash.data)[row] = ml_hash_key(store->key_type, value[key], 0);
	batch->sum[batch->n++] = sum;
	store->frame->nrows++;
	if (batch->n == batch->size)
		empty_batch(store);
}

void
ml_store_finish(MlStore *store)
{
	MlFrame    *frame = store->frame;

	empty_batch(store);
	resize_all(store, frame->nrows);
	for (int i = 0; i < store->nloaders; i++)
	{
		MlColumn   *column = store->loader[i].column;
		void	   *data = store->loader[i].values.data;

		switch (store->loader[i].kind)
		{
			case ML_KIND_NUMBER:
				column->number = data;
				break;
			case ML_KIND_CATEGORY:
				column->code = data;
				ml_dictionary_finish(frame, column->dictionary);
				break;
			case ML_KIND_TIME:
				column->usec = data;
				break;
			case ML_KIND_ARRAY:
				column->array = data;
				break;
			case ML_KIND_NONE:
				break;
		}
	}
	frame->fingerprint = (MlHash128 *) store->fingerprint.data;
	frame->key_hash = (uint64 *) store->key_hash.data;
	pfree(store->batch.value);
	pfree(store->batch.isnull);
	pfree(store->loader);
}
