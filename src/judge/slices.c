/*
 * slices.c
 *		Which slices the rows of a jury are in, noted while they are read.
 *
 * Of a query: each text is the name of a column, whose values are a slice each,
 * or a condition. Conditions become columns of the query, so that they are computed by
 * the server as the caller, like all else in it; without any the query stays as it is,
 * since a table that is read whole comes without its columns being copied. Of an edition:
 * the numbers in the column mlops_slices, which were decided when the row came in.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "errors.h"
#include "frame/hash.h"
#include "interrupts.h"
#include "judge/jury.h"
#include "lib/stringinfo.h"
#include "port/pg_bitutils.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"

#define MOST_VALUES		100		/* of a column that is a slice */
#define FIRST_ROOM		1024	/* rows */

/* one that grows */
typedef struct Growing
{
	char	   *name;
	char	   *value;			/* of its column; NULL: the NULLs of it, a number, or a condition */
	int			length;			/* of value */
	double		amount;			/* the number that its column has; NaN: none */
	bool		null;			/* the NULLs of its column */
	int32		number;			/* of an edition's */
	int64		min_rows;
	bool		pinned;
	int64		nrows;
	int64		room;
	uint32	   *row;			/* of the frame, ascending */
	uint64		hash;
} Growing;

/* a column of the query that tells of slices */
typedef struct Asked
{
	const MlColumn *column;		/* NULL: a condition */
	int			attribute;		/* of the query, from 0 */
	Growing    *last;			/* that a row was in: mostly the next one is too, or one of few */
	int			first;			/* of its slices; a condition has one */
	int			nslices;
} Asked;

struct MlSlicer
{
	MlJury	   *jury;
	MemoryContext cxt;
	char	   *query;
	int			nasked;
	Asked	   *asked;
	bool		edition;
	int			weight;			/* attributes of an edition's, from 0 */
	int			slices;
	int			n;
	Growing   **slice;
	int64		nrows;
	int64		room;
	uint64	   *hash;			/* of the slices of each row */
};

static Growing *
add_slice(MlSlicer *slicer, char *name)
{
	MemoryContext old = MemoryContextSwitchTo(slicer->cxt);
	Growing    *slice = palloc0(sizeof(Growing));

	slice->name = pstrdup(name);
	slice->amount = NAN;
	slice->hash = ml_hash_bytes(name, strlen(name), 0);
	slicer->slice = slicer->slice == NULL ? palloc(sizeof(Growing *)) :
		repalloc(slicer->slice, sizeof(Growing *) * (slicer->n + 1));
	slicer->slice[slicer->n++] = slice;
	MemoryContextSwitchTo(old);
	return slice;
}

/* ---- what is asked for ---- */

static void
refuse_column(const MlColumn *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of type %s cannot be a slice", column->name, ml_value_type_name(&column->type)),
			 errdetail("Each value of a column is a slice: it is a text, an enum, a boolean or an integer."),
			 errhint("Write a condition instead, such as '%s IS NULL'.", quote_identifier(column->name))));
}

static bool
can_be_sliced(const MlColumn *column)
{
	return column->type.kind == ML_KIND_CATEGORY || column->type.kind == ML_KIND_NUMBER;
}

/* an edition says which slices there are */
static void
ask_edition(MlSlicer *slicer, const MlEdition *edition, const MlFrame *columns)
{
	slicer->edition = true;
	slicer->query = edition->query;
	slicer->weight = ml_frame_find(columns, "mlops_weight");
	slicer->slices = ml_frame_find(columns, "mlops_slices");
	for (int s = 0; s < edition->nslices; s++)
	{
		Growing    *slice = add_slice(slicer, edition->slice[s].name);

		slice->number = edition->slice[s].number;
		slice->min_rows = edition->slice[s].min_rows;
	}
	add_slice(slicer, ML_SLICE_PINNED)->pinned = true;
}

/* columns are looked for by where they are: no condition may be more than an expression, and move them */
static void
ask_query(MlSlicer *slicer, const MlJurySource *source, const MlFrame *columns)
{
	StringInfoData conditions;
	int			attribute = columns->ncols;

	slicer->asked = palloc0(sizeof(Asked) * source->nslices);
	initStringInfo(&conditions);
	for (int s = 0; s < source->nslices; s++)
	{
		int			i = ml_frame_find(columns, source->slice[s]);
		Asked	   *asked = &slicer->asked[slicer->nasked++];

		if (i >= 0)
		{
			asked->column = &columns->cols[i];
			asked->attribute = i;
			if (!can_be_sliced(asked->column))
				refuse_column(asked->column);
			continue;
		}
		ml_slice_check(source->source, source->slice[s], source->slice[s],
					   "Give a column ('plan') or a condition over columns of the source ('tenure < 6').");
		asked->attribute = attribute++;
		asked->first = slicer->n;
		asked->nslices = 1;
		add_slice(slicer, source->slice[s]);
		appendStringInfo(&conditions, ", (%s\n) IS TRUE AS \"mlops slice %d\"", source->slice[s], s + 1);
	}
	slicer->query = ml_source_query(source->source);
	if (conditions.len > 0)
		slicer->query = psprintf("SELECT q.*%s FROM (%s\n) AS q", conditions.data, slicer->query);
}

MlSlicer *
ml_slicer_begin(MlJury *jury, const MlJurySource *source, const MlFrame *columns)
{
	MlSlicer   *slicer;

	if (source->edition == NULL && source->nslices == 0)
		return NULL;
	slicer = palloc0(sizeof(MlSlicer));
	slicer->jury = jury;
	slicer->cxt = CurrentMemoryContext;
	if (source->edition != NULL)
		ask_edition(slicer, source->edition, columns);
	else
		ask_query(slicer, source, columns);
	return slicer;
}

const char *
ml_slicer_query(const MlSlicer *slicer)
{
	return slicer->query;
}

/* ---- rows ---- */

static void
put_row(MlSlicer *slicer, Growing *slice)
{
	MlBudget   *budget = &slicer->jury->budget;

	if (slice->nrows == slice->room)
	{
		int64		room = slice->room == 0 ? FIRST_ROOM : slice->room * 2;

		ml_budget_take(budget, ml_size_mul(room - slice->room, sizeof(uint32)), "the rows of slices");
		slice->row = slice->room == 0 ? MemoryContextAlloc(slicer->cxt, sizeof(uint32) * room) :
			repalloc_huge(slice->row, sizeof(uint32) * room);
		slice->room = room;
	}
	slice->row[slice->nrows++] = (uint32) slicer->nrows;
	slicer->hash[slicer->nrows] += slice->hash;
}

/* a value of a column that is a slice, as it comes */
typedef struct SliceValue
{
	bool		null;
	double		number;			/* NaN: a text */
	const char *text;
	int			length;
} SliceValue;

static inline bool
has_value(const Growing *slice, const SliceValue *value)
{
	if (value->null || slice->null)
		return value->null == slice->null;
	if (value->text == NULL)
		return slice->amount == value->number || (isnan(slice->amount) && isnan(value->number));
	return slice->length == value->length && memcmp(slice->value, value->text, value->length) == 0;
}

static char *
name_of_value(const MlColumn *column, const SliceValue *value)
{
	const char *name = quote_identifier(column->name);

	if (value->null)
		return psprintf("%s IS NULL", name);
	if (value->text != NULL)
		return psprintf("%s = %s", name, quote_literal_cstr(pnstrdup(value->text, value->length)));
	if (column->type.reading == ML_READ_BOOL)
		return psprintf("%s = %s", name, value->number != 0.0 ? "true" : "false");
	return psprintf(isfinite(value->number) ? "%s = %s" : "%s = '%s'", name, float8out_internal(value->number));
}

static void
refuse_values(const MlColumn *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("column \"%s\" has too many values to be a slice each", column->name),
			 errdetail("There are more than %d.", MOST_VALUES),
			 errhint("Write conditions instead, such as '%s < 100'.", quote_identifier(column->name))));
}

/* the slices of one column lie together: the newest one is put behind them */
static Growing *
add_value(MlSlicer *slicer, Asked *asked, const SliceValue *value)
{
	Growing    *slice;
	int			place;

	if (asked->nslices == MOST_VALUES)
		refuse_values(asked->column);
	slice = add_slice(slicer, name_of_value(asked->column, value));
	slice->null = value->null;
	slice->amount = value->number;
	if (value->text != NULL)
		slice->value = MemoryContextStrdup(slicer->cxt, pnstrdup(value->text, value->length));
	slice->length = value->length;
	if (asked->nslices == 0)
		asked->first = slicer->n - 1;
	place = asked->first + asked->nslices++;
	memmove(&slicer->slice[place + 1], &slicer->slice[place], sizeof(Growing *) * (slicer->n - 1 - place));
	slicer->slice[place] = slice;
	for (int a = 0; a < slicer->nasked; a++)
		if (&slicer->asked[a] != asked && slicer->asked[a].first >= place && slicer->asked[a].nslices > 0)
			slicer->asked[a].first++;
	return slice;
}

static Growing *
slice_of_value(MlSlicer *slicer, Asked *asked, Datum datum, bool isnull)
{
	const MlValueType *type = &asked->column->type;
	SliceValue	value = {.null = isnull, .number = NAN};

	if (!isnull && type->kind == ML_KIND_NUMBER)
		value.number = ml_value_number(type, datum);
	else if (!isnull)
		value.text = ml_value_text(type, datum, &value.length);
	if (asked->last != NULL && has_value(asked->last, &value))
		return asked->last;
	for (int s = 0; s < asked->nslices; s++)
		if (has_value(slicer->slice[asked->first + s], &value))
			return asked->last = slicer->slice[asked->first + s];
	return asked->last = add_value(slicer, asked, &value);
}

static void
put_asked(MlSlicer *slicer, TupleTableSlot *slot)
{
	for (int a = 0; a < slicer->nasked; a++)
	{
		Asked	   *asked = &slicer->asked[a];
		Datum		value = slot->tts_values[asked->attribute];
		bool		isnull = slot->tts_isnull[asked->attribute];

		if (asked->column != NULL)
			put_row(slicer, slice_of_value(slicer, asked, value, isnull));
		else if (!isnull && DatumGetBool(value))
			put_row(slicer, slicer->slice[asked->first]);
	}
}

static Growing *
slice_of_number(MlSlicer *slicer, int32 number)
{
	int			low = 0;
	int			high = slicer->n - 1;	/* the last one is that of pinned rows */

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (slicer->slice[middle]->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < slicer->n - 1 && slicer->slice[low]->number == number ? slicer->slice[low] : NULL;
}

static void
put_numbers(MlSlicer *slicer, TupleTableSlot *slot)
{
	ArrayType  *numbers;
	int		   *number;
	int			n;

	if (slicer->weight >= 0 && !slot->tts_isnull[slicer->weight] &&
		DatumGetFloat8(slot->tts_values[slicer->weight]) == 0.0)
		put_row(slicer, slicer->slice[slicer->n - 1]);
	if (slicer->slices < 0 || slot->tts_isnull[slicer->slices])
		return;
	numbers = DatumGetArrayTypeP(slot->tts_values[slicer->slices]);
	if (ARR_HASNULL(numbers) || ARR_ELEMTYPE(numbers) != INT4OID)
		return;
	n = ArrayGetNItems(ARR_NDIM(numbers), ARR_DIMS(numbers));
	number = (int *) ARR_DATA_PTR(numbers);
	for (int i = 0; i < n; i++)
	{
		Growing    *slice = slice_of_number(slicer, number[i]);

		if (slice != NULL)
			put_row(slicer, slice);
	}
}

void
ml_slicer_tee(void *arg, TupleDesc desc, TupleTableSlot *slot)
{
	MlSlicer   *slicer = arg;

	if (slicer->nrows == slicer->room)
	{
		int64		room = slicer->room == 0 ? FIRST_ROOM : slicer->room * 2;

		ml_budget_take(&slicer->jury->budget, ml_size_mul(room - slicer->room, sizeof(uint64)), "the slices of rows");
		slicer->hash = slicer->room == 0 ? MemoryContextAlloc(slicer->cxt, sizeof(uint64) * room) :
			repalloc_huge(slicer->hash, sizeof(uint64) * room);
		slicer->room = room;
	}
	slicer->hash[slicer->nrows] = 0;
	if (slicer->edition)
		put_numbers(slicer, slot);
	else
		put_asked(slicer, slot);
	slicer->nrows++;
}

uint64
ml_slicer_hash(const MlSlicer *slicer, int64 row)
{
	return slicer->hash[row];
}

/* ---- places ---- */

/* the places of rows, ascending: marked in bits, then read off */
static uint32 *
sort_places(MlJury *jury, const Growing *slice, const uint32 *place, uint64 *bits)
{
	int64		words = jury->nrows / 64 + 1;
	uint32	   *result = slice->row;
	int64		n = 0;

	memset(bits, 0, sizeof(uint64) * words);
	for (int64 i = 0; i < slice->nrows; i++)
	{
		uint32		at = place[slice->row[i]];

		ml_check_row(i);
		bits[at / 64] |= UINT64CONST(1) << (at % 64);
	}
	for (int64 w = 0; w < words; w++)
	{
		ml_check_row(w);
		for (uint64 left = bits[w]; left != 0; left &= left - 1)
			result[n++] = (uint32) (w * 64 + pg_rightmost_one_pos64(left));
	}
	return result;
}

/* numbers by size, texts by bytes, NULLs last */
static int
compare_values(const void *a, const void *b)
{
	const Growing *x = *(Growing *const *) a;
	const Growing *y = *(Growing *const *) b;

	if (x->null != y->null)
		return x->null ? 1 : -1;
	if (x->value != NULL && y->value != NULL)
		return strcmp(x->value, y->value);
	return x->amount < y->amount ? -1 : x->amount > y->amount;
}

/* in the order in which they were asked for; those of a column by value, since the order in which values arrive may not matter */
static Growing **
in_order(MlSlicer *slicer)
{
	Growing   **slice = palloc(sizeof(Growing *) * Max(slicer->n, 1));
	int			n = 0;

	if (slicer->edition)
		memcpy(slice, slicer->slice, sizeof(Growing *) * slicer->n);
	for (int a = 0; a < slicer->nasked; a++)
	{
		const Asked *asked = &slicer->asked[a];

		memcpy(slice + n, slicer->slice + asked->first, sizeof(Growing *) * asked->nslices);
		if (asked->column != NULL)
			qsort(slice + n, asked->nslices, sizeof(Growing *), compare_values);
		n += asked->nslices;
	}
	return slice;
}

void
ml_slicer_finish(MlSlicer *slicer, MlJury *jury, const uint32 *place)
{
	uint64	   *bits = palloc_extended(sizeof(uint64) * (jury->nrows / 64 + 1), MCXT_ALLOC_HUGE);
	Growing   **ordered = in_order(slicer);

	jury->nslices = slicer->n + 1;
	jury->slice = palloc0(sizeof(MlPlaces) * jury->nslices);
	for (int s = 0; s < slicer->n; s++)
	{
		const Growing *slice = ordered[s];
		MlPlaces   *to = &jury->slice[s + 1];

		to->pub.name = slice->name;
		to->pub.min_rows = slice->min_rows;
		to->pinned = slice->pinned;
		to->nrows = slice->nrows;
		to->place = slice->nrows == 0 ? palloc(sizeof(uint32)) : sort_places(jury, slice, place, bits);
	}
	pfree(bits);
}
