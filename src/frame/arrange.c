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

#include "frame/dictionary.h"
#include "frame/frame.h"
#include "miscadmin.h"

#define ML_RADIX_BITS	11
#define ML_RADIX_SIZE	(1 << ML_RADIX_BITS)
#define ML_RADIX_PASSES 6				/* 66 bits >= 64 */
#define ML_CHECK_ROWS	65536			/* rows between checks for interrupts */

static const char what[] = "putting the rows in order";

typedef struct Entry
{
	uint64		key;
	int64		row;
} Entry;

/* ---- sorting ---- */

static void
count_digits(const Entry *entry, int64 n, int64 (*count)[ML_RADIX_SIZE])
{
	memset(count, 0, sizeof(int64) * ML_RADIX_PASSES * ML_RADIX_SIZE);
	for (int64 i = 0; i < n; i++)
	{
		if (i % ML_CHECK_ROWS == 0)
			CHECK_FOR_INTERRUPTS();
		for (int pass = 0; pass < ML_RADIX_PASSES; pass++)
			count[pass][(entry[i].key >> (pass * ML_RADIX_BITS)) % ML_RADIX_SIZE]++;
	}
}

static void
scatter(const Entry *from, Entry *to, int64 n, int shift, int64 *count)
{
	int64		place = 0;

	for (int digit = 0; digit < ML_RADIX_SIZE; digit++)
	{
		int64		rows = count[digit];

		count[digit] = place;
		place += rows;
	}
	for (int64 i = 0; i < n; i++)
	{
		if (i % ML_CHECK_ROWS == 0)
			CHECK_FOR_INTERRUPTS();
		to[count[(from[i].key >> shift) % ML_RADIX_SIZE]++] = from[i];
	}
}

/*
 * Stable least-significant-digit radix sort by key, ascending (Knuth, The Art
 * of Computer Programming 3, 5.2.5). A digit that all keys share is skipped.
 */
static void
sort_entries(MlFrame *frame, Entry *entry, int64 n)
{
	Size		bytes = ml_size_mul(n, sizeof(Entry));
	Entry	   *scratch = ml_frame_alloc(frame, bytes, what);
	int64		(*count)[ML_RADIX_SIZE] = palloc(sizeof(int64) * ML_RADIX_PASSES * ML_RADIX_SIZE);
	Entry	   *from = entry;
	Entry	   *to = scratch;

	count_digits(entry, n, count);
	for (int pass = 0; n > 0 && pass < ML_RADIX_PASSES; pass++)
	{
		int			shift = pass * ML_RADIX_BITS;
		Entry	   *swap = from;

		if (count[pass][(entry[0].key >> shift) % ML_RADIX_SIZE] == n)
			continue;
		scatter(from, to, n, shift, count[pass]);
		from = to;
		to = swap;
	}
	if (from != entry)
		memcpy(entry, from, bytes);
	pfree(count);
	ml_frame_release(frame, scratch, bytes);
}

static int
compare_low(const void *a, const void *b, void *arg)
{
	const MlHash128 *fingerprint = arg;
	int64		row_a = ((const Entry *) a)->row;
	int64		row_b = ((const Entry *) b)->row;
	uint64		low_a = fingerprint[row_a].low;
	uint64		low_b = fingerprint[row_b].low;

	if (low_a != low_b)
		return low_a < low_b ? -1 : 1;
	return row_a < row_b ? -1 : row_a > row_b;
}

/* entries of one key, that is of one upper half: in order of the lower half */
static void
sort_lower_halves(const MlFrame *frame, Entry *entry, int64 n)
{
	int64		first = 0;

	for (int64 i = 1; i <= n; i++)
	{
		bool		differ = false;

		if (i % ML_CHECK_ROWS == 0)
			CHECK_FOR_INTERRUPTS();
		if (i < n && entry[i].key == entry[first].key)
			continue;
		for (int64 j = first + 1; j < i && !differ; j++)
			differ = frame->fingerprint[entry[j].row].low != frame->fingerprint[entry[first].row].low;
		if (differ)
			qsort_arg(entry + first, i - first, sizeof(Entry), compare_low, frame->fingerprint);
		first = i;
	}
}

/* ---- dividing ---- */

/* the order of the integers is the order of the doubles */
static uint64
ordered_double(double x)
{
	uint64		bits = ml_hash_double(x);

	return (bits >> 63) ? ~bits : bits | (UINT64CONST(1) << 63);
}

/* false for an unknown time: such rows are never the latest */
static bool
row_time(const MlColumn *column, int64 row, uint64 *time)
{
	if (column->type.kind == ML_KIND_NUMBER)
	{
		*time = ordered_double(column->number[row]);
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
choose_cut(const Entry *time, int64 n, int64 nrows, double holdout)
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

/* marks the rows held out by time */
static void
hold_out_latest(MlFrame *frame, const Entry *rows, int64 n, MlSplit *split, bool *held)
{
	const MlColumn *column = &frame->cols[split->time_column];
	Size		bytes = ml_size_mul(n, sizeof(Entry));
	Entry	   *time = ml_frame_alloc(frame, bytes, what);
	int64		ntimes = 0;
	int64		cut;

	for (int64 i = 0; i < n; i++)
	{
		if (i % ML_CHECK_ROWS == 0)
			CHECK_FOR_INTERRUPTS();
		time[ntimes].row = rows[i].row;
		if (row_time(column, rows[i].row, &time[ntimes].key))
			ntimes++;
	}
	sort_entries(frame, time, ntimes);
	cut = choose_cut(time, ntimes, n, split->holdout);
	split->time_from = NAN;
	if (cut < ntimes)
		split->time_from = column->type.kind == ML_KIND_NUMBER ?
			column->number[time[cut].row] : (double) column->usec[time[cut].row];
	for (int64 i = cut; i < ntimes; i++)
		held[time[i].row] = true;
	ml_frame_release(frame, time, bytes);
}

/* marks the rows whose hash under the seed falls into the share */
static void
hold_out_by_hash(const MlFrame *frame, const Entry *rows, int64 n, const MlSplit *split, bool *held)
{
	uint64		seed = ml_hash_word(0, (uint64) split->seed);

	for (int64 i = 0; i < n; i++)
	{
		int64		row = rows[i].row;
		uint64		hash = split->kind == ML_SPLIT_KEY ?
			frame->key_hash[row] : frame->fingerprint[row].low;

		if (i % ML_CHECK_ROWS == 0)
			CHECK_FOR_INTERRUPTS();
		held[row] = ml_hash_unit(ml_hash_word(seed, hash)) < split->holdout;
	}
}

static void
divide(MlFrame *frame, const Entry *rows, int64 n, MlSplit *split, bool *held)
{
	memset(held, 0, frame->nrows);
	split->time_from = NAN;
	switch (split->kind)
	{
		case ML_SPLIT_NONE:
			break;
		case ML_SPLIT_ROW:
		case ML_SPLIT_KEY:
			hold_out_by_hash(frame, rows, n, split, held);
			break;
		case ML_SPLIT_TIME:
			hold_out_latest(frame, rows, n, split, held);
			break;
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
	return n == frame->nrows ? to : ml_frame_shrink(frame, to, bytes, n * width);
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
	frame->fingerprint = gather(frame, frame->fingerprint, sizeof(MlHash128), from, n, &spare);
	drop_spare(frame, &spare);
	frame->nrows = n;
}

/* the kept rows, with the upper half of their fingerprints as keys */
static int64
list_rows(const MlFrame *frame, const bool *keep, Entry *entry)
{
	int64		n = 0;

	for (int64 i = 0; i < frame->nrows; i++)
	{
		if (i % ML_CHECK_ROWS == 0)
			CHECK_FOR_INTERRUPTS();
		if (keep != NULL && !keep[i])
			continue;
		entry[n].key = frame->fingerprint[i].high;
		entry[n].row = i;
		n++;
	}
	return n;
}

/* first those that train, then those held out; returns the number of the first */
static int64
list_parts(const Entry *entry, int64 n, const bool *held, int64 *from)
{
	int64		ntrain = 0;
	int64		place;

	for (int64 i = 0; i < n; i++)
		if (!held[entry[i].row])
			from[ntrain++] = entry[i].row;
	place = ntrain;
	for (int64 i = 0; i < n; i++)
		if (held[entry[i].row])
			from[place++] = entry[i].row;
	return ntrain;
}

void
ml_frame_arrange(MlFrame *frame, const bool *keep, MlSplit *split, bool canonical)
{
	int64		nrows = frame->nrows;
	Size		entry_bytes = ml_size_mul(nrows, sizeof(Entry));
	Entry	   *entry = ml_frame_alloc(frame, entry_bytes, what);
	bool	   *held = ml_frame_alloc(frame, nrows, what);
	int64		n = list_rows(frame, keep, entry);
	int64	   *from;

	if (canonical)
	{
		sort_entries(frame, entry, n);
		sort_lower_halves(frame, entry, n);
	}
	divide(frame, entry, n, split, held);

	from = ml_frame_alloc(frame, ml_size_mul(n, sizeof(int64)), what);
	frame->ntrain = list_parts(entry, n, held, from);
	ml_frame_release(frame, held, nrows);
	ml_frame_release(frame, entry, entry_bytes);
	move_rows(frame, from, n);
	ml_frame_release(frame, from, n * sizeof(int64));
}
