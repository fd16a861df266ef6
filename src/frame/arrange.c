/*
 * arrange.c
 *		Divides the rows of a frame and puts both parts in canonical order.
 *
 * Order and division depend on what the rows hold, on names and on the seed,
 * never on where a row was stored or when it arrived. Rows of equal
 * fingerprint are equal in every loaded column, so that their order among
 * themselves changes nothing; they are in one part, too, unless a key divides.
 */
#include "postgres.h"

#include <math.h>

#include "frame/frame.h"
#include "frame/memory.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "sort.h"

#define ML_CHECK_ROWS	65536			/* rows between checks for interrupts */

static const char what[] = "putting the rows in order";

/* ---- sorting ---- */

static int
compare_fingerprints(const void *a, const void *b, void *arg)
{
	const MlHash128 *fingerprint = arg;
	const MlKeyed *x = a;
	const MlKeyed *y = b;
	uint64		low_x;
	uint64		low_y;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	low_x = fingerprint[x->row].low;
	low_y = fingerprint[y->row].low;
	if (low_x != low_y)
		return low_x < low_y ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

/*
 * Rows whose keys are the upper halves of their fingerprints, in order of the
 * whole. A few more bits than number the rows tell nearly all of them apart;
 * what these leave together is sorted group by group.
 */
static void
sort_by_fingerprint(const MlFrame *frame, MlKeyed *item, MlKeyed *spare, int64 n)
{
	int			bits = n > 1 ? pg_leftmost_one_pos64(n) + 1 : 1;
	int64		first = 0;

	ml_sort(item, spare, n, bits);
	for (int64 i = 1; i <= n; i++)
	{
		if (i % ML_CHECK_ROWS == 0)
			CHECK_FOR_INTERRUPTS();
		if (i < n && (item[i].key ^ item[first].key) >> (64 - bits) == 0)
			continue;
		if (i - first > 1)
			qsort_arg(item + first, i - first, sizeof(MlKeyed), compare_fingerprints,
					  frame->fingerprint);
		first = i;
	}
}

/* ---- dividing ---- */

/* false for an unknown time: such rows are never the latest */
static bool
row_time(const MlColumn *column, int64 row, uint64 *time)
{
	if (column->type.kind == ML_KIND_NUMBER)
	{
		*time = ml_double_key(column->number[row]);
		return !isnan(column->number[row]);
	}
	*time = (uint64) column->usec[row] ^ (UINT64CONST(1) << 63);
	return column->usec[row] != ML_USEC_NULL;
}

/*
 * Where the held-out part begins in times sorted ascending: at the edge of the
 * group of equal times that is nearest to the share asked for, but so that
 * neither part is empty if that can be.
 */
static int64
choose_cut(const MlKeyed *time, int64 n, int64 nrows, double holdout)
{
	int64		cut = Max(n - (int64) rint(holdout * (double) nrows), 0);
	int64		low;
	int64		high;

	if (n == 0)
		return 0;
	cut = Min(cut, n - 1);
	for (low = cut; low > 0 && time[low - 1].key == time[cut].key;)
		low--;
	for (high = cut; high < n && time[high].key == time[cut].key;)
		high++;
	if (high == n)
		return low == 0 && n == nrows ? n : low;
	if (low == 0 && n == nrows)
		return high;
	return cut - low <= high - cut ? low : high;
}

static inline bool
is_kept(const bool *keep, int64 row)
{
	return keep == NULL || keep[row];
}

/* marks the rows held out by time; item and spare: room for all rows */
static void
hold_out_latest(const MlFrame *frame, const bool *keep, MlSplit *split, bool *held,
				MlKeyed *item, MlKeyed *spare)
{
	const MlColumn *column = &frame->cols[split->time_column];
	int64		n = 0;
	int64		nkept = 0;
	int64		cut;

	for (int64 row = 0; row < frame->nrows; row++)
	{
		if (row % ML_CHECK_ROWS == 0)
			CHECK_FOR_INTERRUPTS();
		if (!is_kept(keep, row))
			continue;
		nkept++;
		item[n].row = row;
		if (row_time(column, row, &item[n].key))
			n++;
	}
	ml_sort(item, spare, n, 64);
	cut = choose_cut(item, n, nkept, split->holdout);
	if (cut < n)
		split->time_from = column->type.kind == ML_KIND_NUMBER ?
			column->number[item[cut].row] : (double) column->usec[item[cut].row];
	for (int64 i = cut; i < n; i++)
		held[item[i].row] = true;
}

/* marks the rows whose hash under the seed falls into the share */
static void
hold_out_by_hash(const MlFrame *frame, const MlSplit *split, bool *held)
{
	uint64		seed = ml_hash_word(0, (uint64) split->seed);

	for (int64 row = 0; row < frame->nrows; row++)
	{
		uint64		hash = split->kind == ML_SPLIT_KEY ?
			frame->key_hash[row] : frame->fingerprint[row].low;

		if (row % ML_CHECK_ROWS == 0)
			CHECK_FOR_INTERRUPTS();
		held[row] = ml_hash_unit(ml_hash_word(seed, hash)) < split->holdout;
	}
}

/* ---- moving ---- */

#define GATHER(type) \
	for (int64 i = 0; i < n; i++) \
	{ \
		if (i % ML_CHECK_ROWS == 0) \
			CHECK_FOR_INTERRUPTS(); \
		((type *) to)[i] = ((const type *) data)[from[i]]; \
	}

/* memory that the last column of this width left, of frame->nrows rows */
typedef struct Spare
{
	void	   *data;
	Size		width;
} Spare;

static void
drop_spare(MlFrame *frame, Spare *spare)
{
	if (spare->data != NULL)
		ml_frame_release(frame, spare->data, frame->nrows * spare->width);
	spare->data = NULL;
}

static void
copy_rows(char *to, const char *data, Size width, const int64 *from, int64 n)
{
	if (width == sizeof(int32))
		GATHER(int32)
	else if (width == sizeof(int64))
		GATHER(int64)
	else if (width == sizeof(MlHash128))
		GATHER(MlHash128)
	else
		for (int64 i = 0; i < n; i++)
		{
			if (i % ML_CHECK_ROWS == 0)
				CHECK_FOR_INTERRUPTS();
			memcpy(to + i * width, data + from[i] * width, width);
		}
}

/*
 * The rows that from lists, width bytes each, in its order. The old memory
 * becomes the spare one: fresh memory costs more than the copying.
 */
static void *
gather(MlFrame *frame, void *data, Size width, const int64 *from, int64 n, Spare *spare)
{
	Size		bytes = ml_size_mul(frame->nrows, width);
	void	   *to;

	if (data == NULL)
		return NULL;
	if (spare->width != width)
		drop_spare(frame, spare);
	to = spare->data != NULL ? spare->data : ml_frame_alloc(frame, bytes, what);
	copy_rows(to, data, width, from, n);
	spare->data = data;
	spare->width = width;
	return n == frame->nrows ? to : ml_frame_resize(frame, to, bytes, n * width, what);
}

static void
move_rows(MlFrame *frame, const int64 *from, int64 n)
{
	Spare		spare = {NULL, 0};

	for (int i = 0; i < frame->ncols; i++)
	{
		MlColumn   *column = &frame->cols[i];

		column->number = gather(frame, column->number, sizeof(double), from, n, &spare);
		column->code = gather(frame, column->code, sizeof(int32), from, n, &spare);
		column->usec = gather(frame, column->usec, sizeof(int64), from, n, &spare);
		column->array = gather(frame, column->array,
							   column->array_length * sizeof(double), from, n, &spare);
	}
	frame->key_hash = gather(frame, frame->key_hash, sizeof(uint64), from, n, &spare);
	frame->row_key = gather(frame, frame->row_key, sizeof(uint64), from, n, &spare);
	frame->fingerprint = gather(frame, frame->fingerprint, sizeof(MlHash128), from, n, &spare);
	drop_spare(frame, &spare);
	frame->nrows = n;
}

void
ml_frame_reorder(MlFrame *frame, const int64 *from)
{
	move_rows(frame, from, frame->nrows);
}

/* the kept rows of one part, with the upper halves of their fingerprints as keys */
static int64
list_part(const MlFrame *frame, const bool *keep, const bool *held, bool which, MlKeyed *item)
{
	int64		n = 0;

	for (int64 row = 0; row < frame->nrows; row++)
	{
		if (row % ML_CHECK_ROWS == 0)
			CHECK_FOR_INTERRUPTS();
		if (held[row] != which || !is_kept(keep, row))
			continue;
		item[n].key = frame->fingerprint[row].high;
		item[n].row = row;
		n++;
	}
	return n;
}

void
ml_frame_arrange(MlFrame *frame, const bool *keep, MlSplit *split, bool canonical)
{
	int64		nrows = frame->nrows;
	Size		bytes = ml_size_mul(nrows, sizeof(MlKeyed));
	MlKeyed    *item = ml_frame_alloc(frame, bytes, what);
	MlKeyed    *spare = ml_frame_alloc(frame, bytes, what);
	bool	   *held = ml_frame_alloc(frame, nrows, what);
	int64	   *from;
	int64		ntrain;
	int64		n;

	memset(held, 0, nrows);
	split->time_from = NAN;
	if (split->kind == ML_SPLIT_TIME)
		hold_out_latest(frame, keep, split, held, item, spare);
	else if (split->kind != ML_SPLIT_NONE)
		hold_out_by_hash(frame, split, held);

	ntrain = list_part(frame, keep, held, false, item);
	n = ntrain + list_part(frame, keep, held, true, item + ntrain);
	ml_frame_release(frame, held, nrows);
	if (canonical)
	{
		sort_by_fingerprint(frame, item, spare, ntrain);
		sort_by_fingerprint(frame, item + ntrain, spare, n - ntrain);
	}
	from = (int64 *) spare;
	for (int64 i = 0; i < n; i++)
		from[i] = item[i].row;
	ml_frame_release(frame, item, bytes);
	move_rows(frame, from, n);
	frame->ntrain = ntrain;
	ml_frame_release(frame, from, bytes);
}
