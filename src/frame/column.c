/*
 * column.c
 *		Columns while they are filled, row by row.
 */
#include "postgres.h"

#include <math.h>

#include "frame/column.h"
#include "frame/dictionary.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define ML_CHUNK_FIRST_ROWS	256
#define ML_CHUNK_ROWS		65536			/* at most */
#define ML_CHUNK_BYTES		(32 * 1024 * 1024)	/* of all columns together, about */

static const char what[] = "the rows of the source";

/* ---- chunks ---- */

/* rows of the next chunk: doubling, so that a small source takes little */
static int
next_capacity(const MlStore *store)
{
	Size		width = store->fingerprint.width + store->key_hash.width;
	Size		rows = store->nchunks == 0 ? ML_CHUNK_FIRST_ROWS : (Size) store->room * 2;

	for (int i = 0; i < store->nloaders; i++)
		width += store->loader[i].values.width;
	rows = Min(rows, Max(ML_CHUNK_BYTES / width, ML_CHUNK_FIRST_ROWS));
	return (int) Min(rows, ML_CHUNK_ROWS);
}

static void
add_chunk(MlStore *store, MlChunks *chunks, bool lazy)
{
	if (chunks->chunk == NULL)
		chunks->chunk = MemoryContextAlloc(store->frame->cxt, store->max_chunks * sizeof(char *));
	else
		chunks->chunk = repalloc(chunks->chunk, store->max_chunks * sizeof(char *));
	chunks->now = lazy ? NULL :
		ml_frame_alloc(store->frame, ml_size_mul(store->room, chunks->width), what);
	chunks->chunk[store->nchunks] = chunks->now;
}

static void
start_chunk(MlStore *store)
{
	int			rows = next_capacity(store);

	if (store->nchunks == store->max_chunks)
	{
		store->max_chunks *= 2;
		store->capacity = repalloc(store->capacity, store->max_chunks * sizeof(int));
	}
	store->room = rows;
	store->fill = 0;
	store->capacity[store->nchunks] = rows;
	for (int i = 0; i < store->nloaders; i++)
		add_chunk(store, &store->loader[i].values,
				  store->loader[i].column->type.kind == ML_KIND_ARRAY);
	add_chunk(store, &store->fingerprint, false);
	if (store->key_hash.width > 0)
		add_chunk(store, &store->key_hash, false);
	store->nchunks++;
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

void
ml_store_begin(MlStore *store, MlFrame *frame)
{
	memset(store, 0, sizeof(*store));
	store->frame = frame;
	store->loader = MemoryContextAllocZero(frame->cxt, Max(frame->ncols, 1) * sizeof(MlLoader));
	for (int i = 0; i < frame->ncols; i++)
	{
		MlColumn   *column = &frame->cols[i];
		MlLoader   *loader = &store->loader[store->nloaders];

		if (!column->loaded)
			continue;
		store->nloaders++;
		loader->attribute = i;
		loader->column = column;
		loader->values.width = kind_width(column->type.kind);
		ml_hash_secret(column->name, &loader->secret);
		if (column->type.kind == ML_KIND_CATEGORY)
			column->dictionary = ml_dictionary_create(frame);
	}
	store->fingerprint.width = sizeof(MlHash128);
	if (frame->key_column >= 0)
	{
		store->key_hash.width = sizeof(uint64);
		store->key_type = frame->cols[frame->key_column].type.base;
	}
	store->max_chunks = 16;
	store->capacity = MemoryContextAlloc(frame->cxt, store->max_chunks * sizeof(int));
	start_chunk(store);
}

/* ---- rows ---- */

static void
count_nonfinite(MlStore *store, MlColumn *column)
{
	if (column->nnonfinite++ == 0)
		column->first_nonfinite = store->frame->nrows + 1;
}

static uint64
take_category(MlStore *store, MlLoader *loader, Datum value)
{
	MlColumn   *column = loader->column;
	int			length;
	const char *bytes = ml_value_text(&column->type, value, &length);
	uint64		hash = ml_hash_bytes(bytes, length, 0);

	((int32 *) loader->values.now)[store->fill] =
		ml_dictionary_add(store->frame, column->dictionary, bytes, length, hash);
	return hash;
}

static uint64
take_time(MlStore *store, MlLoader *loader, Datum value)
{
	int64		usec = ml_value_usec(&loader->column->type, value);

	if (usec == PG_INT64_MIN || usec == PG_INT64_MAX)
		count_nonfinite(store, loader->column);
	((int64 *) loader->values.now)[store->fill] = usec;
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
				 errdetail("Row " INT64_FORMAT " has %d elements, the first array has %d.",
						   store->frame->nrows + 1, length, column->array_length),
				 errhint("Each element is a feature of its own: give all rows the same number of them.")));
}

static uint64
take_array(MlStore *store, MlLoader *loader, Datum value)
{
	MlColumn   *column = loader->column;
	MlChunks   *values = &loader->values;
	uint64		hash = 0;
	bool		finite = true;
	double	   *row;
	int			length;
	const double *element = ml_value_array(&column->type, value, &length);

	check_length(store, column, length);
	values->width = (Size) length * sizeof(double);
	if (values->now == NULL)
	{
		values->now = ml_frame_alloc(store->frame, ml_size_mul(store->room, values->width), what);
		values->chunk[store->nchunks - 1] = values->now;
		for (Size i = 0; i < (Size) store->fill * length; i++)
			((double *) values->now)[i] = NAN;
	}
	row = (double *) values->now + (Size) store->fill * length;
	for (int i = 0; i < length; i++)
	{
		row[i] = element[i] + 0.0;
		finite &= !isinf(element[i]);
		hash = ml_hash_word(hash, ml_hash_double(element[i]));
	}
	if (!finite)
		count_nonfinite(store, column);
	return ml_hash_word(hash, (uint64) length);
}

static void
take_null(MlStore *store, MlLoader *loader)
{
	MlColumn   *column = loader->column;

	column->nnull++;
	switch (column->type.kind)
	{
		case ML_KIND_NUMBER:
			((double *) loader->values.now)[store->fill] = NAN;
			break;
		case ML_KIND_CATEGORY:
			((int32 *) loader->values.now)[store->fill] = ML_CODE_NULL;
			break;
		case ML_KIND_TIME:
			((int64 *) loader->values.now)[store->fill] = ML_USEC_NULL;
			break;
		case ML_KIND_ARRAY:
			if (loader->values.now != NULL)
				for (int i = 0; i < column->array_length; i++)
					((double *) loader->values.now)[(Size) store->fill * column->array_length + i] = NAN;
			break;
		case ML_KIND_NONE:
			break;
	}
}

static inline uint64
take_number(MlStore *store, MlLoader *loader, Datum value)
{
	double		x = ml_value_number(&loader->column->type, value) + 0.0;	/* one zero */

	if (unlikely(!isfinite(x)))
		count_nonfinite(store, loader->column);
	((double *) loader->values.now)[store->fill] = x;
	return ml_hash_double(x);
}

static inline uint64
take_value(MlStore *store, MlLoader *loader, Datum value)
{
	switch (loader->column->type.kind)
	{
		case ML_KIND_NUMBER:
			return take_number(store, loader, value);
		case ML_KIND_CATEGORY:
			return take_category(store, loader, value);
		case ML_KIND_TIME:
			return take_time(store, loader, value);
		case ML_KIND_ARRAY:
			return take_array(store, loader, value);
		case ML_KIND_NONE:
			break;
	}
	return 0;
}

/* rows without a key are told apart by what they hold */
static uint64
key_hash(const MlStore *store, const Datum *value, const bool *isnull, MlHash128 fingerprint)
{
	int			key = store->frame->key_column;

	if (isnull[key])
		return fingerprint.low;
	return ml_hash_key(store->key_type, value[key], 0);
}

void
ml_store_row(MlStore *store, const Datum *value, const bool *isnull)
{
	MlHash128	sum = {0, 0};

	if (unlikely(store->fill == store->room))
		start_chunk(store);
	for (int i = 0; i < store->nloaders; i++)
	{
		MlLoader   *loader = &store->loader[i];
		int			attribute = loader->attribute;

		if (isnull[attribute])
		{
			take_null(store, loader);
			ml_hash128_add(&sum, loader->secret.null);
		}
		else
			ml_hash128_add(&sum, ml_hash_value(&loader->secret,
											   take_value(store, loader, value[attribute])));
	}
	sum = ml_hash_finish(sum);
	((MlHash128 *) store->fingerprint.now)[store->fill] = sum;
	ml_hash128_add(&store->frame->set_fingerprint, sum);
	if (store->key_hash.width > 0)
		((uint64 *) store->key_hash.now)[store->fill] = key_hash(store, value, isnull, sum);
	store->fill++;
	store->frame->nrows++;
}

/* ---- joining ---- */

/* an array column without any array has width 0 and becomes NULL */
static void *
join_chunks(MlStore *store, MlChunks *chunks)
{
	MlFrame    *frame = store->frame;
	Size		width = chunks->width;
	char	   *all;
	char	   *to;
	int64		left = frame->nrows;

	if (width == 0)
		return NULL;
	all = ml_frame_alloc(frame, ml_size_mul(frame->nrows, width), what);
	to = all;
	for (int i = 0; i < store->nchunks; i++)
	{
		int64		rows = Min(left, store->capacity[i]);
		char	   *chunk = chunks->chunk[i];

		CHECK_FOR_INTERRUPTS();
		if (chunk == NULL)
			for (Size j = 0; j < rows * width / sizeof(double); j++)
				((double *) to)[j] = NAN;
		else
		{
			memcpy(to, chunk, rows * width);
			ml_frame_release(frame, chunk, store->capacity[i] * width);
		}
		to += rows * width;
		left -= rows;
	}
	pfree(chunks->chunk);
	return all;
}

void
ml_store_finish(MlStore *store)
{
	MlFrame    *frame = store->frame;

	for (int i = 0; i < store->nloaders; i++)
	{
		MlColumn   *column = store->loader[i].column;
		void	   *data = join_chunks(store, &store->loader[i].values);

		switch (column->type.kind)
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
	frame->fingerprint = join_chunks(store, &store->fingerprint);
	frame->key_hash = join_chunks(store, &store->key_hash);
	pfree(store->capacity);
	pfree(store->loader);
}
