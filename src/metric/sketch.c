/*
 * sketch.c
 *		States of rows in the order of their scores: exact up to a million
 *		different scores, of at most 65,536 bins above.
 *
 * A bin is all scores whose keys (sort.h) agree but for their lowest bits. So
 * two bins, of whatever states, lie apart or one within the other, and merging
 * is adding up, without any score being guessed at. Which bins there are follows
 * the rows: a stretch of keys is split for as long as it has more than its part
 * of the weight. What is not known after that is the order of rows within a
 * bin, and results say how much it could matter (walk.h).
 *
 * New rows wait in a buffer that grows with the state; it is sorted and merged
 * into the entries when it is full.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "budget.h"
#include "image.h"
#include "interrupts.h"
#include "metric/state.h"
#include "port/pg_bitutils.h"
#include "sort.h"
#include "utils/memutils.h"

#define MOST_EXACT		1000000	/* different scores */
#define MOST_BINS		65536
#define FIRST_BUFFER	64

/* all rows of one score, or of the scores that differ in the lowest bits of their keys only */
typedef struct Entry
{
	uint64		key;			/* lowest */
	double		positive;		/* weight */
	double		negative;
	int			bits;
} Entry;

typedef struct Sketch
{
	bool		binned;
	int64		n;
	Entry	   *entry;			/* ascending, apart from each other */
	int			nbuffered;
	int			capacity;
	MlKeyed    *buffer;			/* weight of negatives negated */
} Sketch;

static void
begin(MlMetricState *state)
{
	Sketch	   *sketch = MemoryContextAllocZero(state->hdr.eoh_context, sizeof(Sketch));

	sketch->capacity = FIRST_BUFFER;
	sketch->buffer = MemoryContextAlloc(state->hdr.eoh_context, sizeof(MlKeyed) * FIRST_BUFFER);
	state->data = sketch;
}

/* ---- keys ---- */

static inline uint64
low_bits(int bits)
{
	return bits >= 64 ? PG_UINT64_MAX : (UINT64CONST(1) << bits) - 1;
}

static inline uint64
last_key(const Entry *entry)
{
	return entry->key | low_bits(entry->bits);
}

/* ascending; of those that begin alike the one that holds the other first */
static inline bool
comes_first(const Entry *a, const Entry *b)
{
	return a->key < b->key || (a->key == b->key && a->bits >= b->bits);
}

/* ---- fewer, larger bins ---- */

typedef struct Split
{
	const Entry *entry;
	const double *above;		/* weight of the entries before each, and of all at the end */
	double		part;			/* weight of a bin */
	Entry	   *bin;
	int64		n;
} Split;

/* the lowest bits in which the keys of a range differ */
static int
differing_bits(const Split *split, int64 first, int64 end)
{
	uint64		differ = split->entry[first].key ^ last_key(&split->entry[end - 1]);

	return differ == 0 ? 0 : pg_leftmost_one_pos64(differ) + 1;
}

static void
put_bin(Split *split, int64 first, int64 end)
{
	Entry	   *bin;

	if (split->n == MOST_BINS)
	{
		split->n++;
		return;
	}
	bin = &split->bin[split->n++];
	*bin = split->entry[first];
	if (end - first > 1)
		bin->bits = differing_bits(split, first, end);
	bin->key &= ~low_bits(bin->bits);
	for (int64 i = first + 1; i < end; i++)
	{
		bin->positive += split->entry[i].positive;
		bin->negative += split->entry[i].negative;
	}
}

/* bins of the entries [first, end), halving at the highest bit that differs: at most 64 deep */
static void
split_range(Split *split, int64 first, int64 end)
{
	uint64		half;
	int64		low = first;
	int64		high = end;

	if (split->n > MOST_BINS)
		return;
	CHECK_FOR_INTERRUPTS();
	if (end - first == 1 || split->above[end] - split->above[first] <= split->part)
	{
		put_bin(split, first, end);
		return;
	}
	half = UINT64CONST(1) << (differing_bits(split, first, end) - 1);
	while (low < high)
	{
		int64		middle = low + (high - low) / 2;

		if (split->entry[middle].key & half)
			high = middle;
		else
			low = middle + 1;
	}
	split_range(split, first, low);
	split_range(split, low, end);
}

static void
make_bins(MlMetricState *state)
{
	Sketch	   *sketch = state->data;
	double	   *above = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(double) * (sketch->n + 1));
	Split		split = {sketch->entry, above};

	above[0] = 0.0;
	for (int64 i = 0; i < sketch->n; i++)
		above[i + 1] = above[i] + sketch->entry[i].positive + sketch->entry[i].negative;
	if (!isfinite(above[sketch->n]))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("the weights of a metric add up to more than a number can be"),
				 errdetail("There are %lld different scores.", (long long) sketch->n),
				 errhint("Divide all weights by the same number: only their ratios matter.")));
	split.bin = MemoryContextAlloc(state->hdr.eoh_context, sizeof(Entry) * MOST_BINS);
	for (split.part = fmax(above[sketch->n] / (MOST_BINS / 2), DBL_MIN);; split.part *= 1.5)
	{
		split.n = 0;
		split_range(&split, 0, sketch->n);
		if (split.n <= MOST_BINS)
			break;
	}
	pfree(above);
	pfree(sketch->entry);
	sketch->entry = split.bin;
	sketch->n = split.n;
	sketch->binned = true;
}

/* ---- merging ---- */

static void
append(Entry *to, int64 *n, const Entry *entry)
{
	if (*n > 0 && entry->key <= last_key(&to[*n - 1]))
	{
		to[*n - 1].positive += entry->positive;
		to[*n - 1].negative += entry->negative;
		return;
	}
	to[(*n)++] = *entry;
}

/* more entries, ascending, into those of the state */
static void
merge_entries(MlMetricState *state, const Entry *more, int64 nmore)
{
	Sketch	   *sketch = state->data;
	Entry	   *merged = MemoryContextAllocHuge(state->hdr.eoh_context, sizeof(Entry) * Max(sketch->n + nmore, 1));
	int64		n = 0;
	int64		i = 0;
	int64		j = 0;

	while (i < sketch->n || j < nmore)
	{
		ml_check_row(i + j);
		if (j >= nmore || (i < sketch->n && comes_first(&sketch->entry[i], &more[j])))
			append(merged, &n, &sketch->entry[i++]);
		else
			append(merged, &n, &more[j++]);
	}
	if (sketch->entry != NULL)
		pfree(sketch->entry);
	sketch->entry = merged;
	sketch->n = n;
	if (n > (sketch->binned ? MOST_BINS : MOST_EXACT))
		make_bins(state);
}

/* rows of the buffer, sorted, one entry for each score */
static Entry *
sort_buffer(Sketch *sketch, int64 *n)
{
	MlKeyed    *spare = palloc_extended(sizeof(MlKeyed) * sketch->nbuffered, MCXT_ALLOC_HUGE);
	Entry	   *entry = palloc_extended(sizeof(Entry) * sketch->nbuffered, MCXT_ALLOC_HUGE);

	ml_sort(sketch->buffer, spare, sketch->nbuffered, 64);
	pfree(spare);
	*n = 0;
	for (int i = 0; i < sketch->nbuffered; i++)
	{
		double		weight = sketch->buffer[i].weight;
		Entry		row = {sketch->buffer[i].key, fmax(weight, 0.0), fmax(-weight, 0.0), 0};

		append(entry, n, &row);
	}
	sketch->nbuffered = 0;
	return entry;
}

static void
flush(MlMetricState *state)
{
	Sketch	   *sketch = state->data;
	Entry	   *entry;
	int64		n;

	if (sketch->nbuffered == 0)
		return;
	entry = sort_buffer(sketch, &n);
	merge_entries(state, entry, n);
	pfree(entry);
}

/* a buffer as long as what it is merged into makes merging cost no more than sorting */
static void
make_room(MlMetricState *state)
{
	Sketch	   *sketch = state->data;

	if (sketch->capacity >= Max(sketch->n, 4096))
	{
		flush(state);
		return;
	}
	sketch->capacity *= 2;
	sketch->buffer = repalloc_huge(sketch->buffer, sizeof(MlKeyed) * sketch->capacity);
}

void
ml_state_add_ranked(MlMetricState *state, double score, bool positive, double weight)
{
	Sketch	   *sketch = state->data;
	MlKeyed    *row;

	if (sketch->nbuffered == sketch->capacity)
		make_room(state);
	row = &sketch->buffer[sketch->nbuffered++];
	row->key = ml_double_key(score);
	row->weight = positive ? weight : -weight;
	state->nrows++;
}

static void
merge(MlMetricState *into, MlMetricState *other)
{
	Sketch	   *to = into->data;
	Sketch	   *from = other->data;

	flush(other);
	flush(into);
	/* bins of one are bins of both; entries that are exact stay so while they are apart */
	to->binned |= from->binned;
	merge_entries(into, from->entry, from->n);
}

/* ---- bytes: a word that says which, then key and weights of each, then the bits if binned ---- */

static Size
size(MlMetricState *state)
{
	Sketch	   *sketch = state->data;

	flush(state);
	return 8 + 24 * sketch->n + (sketch->binned ? sketch->n : 0);
}

static void
write_body(MlMetricState *state, char *at)
{
	Sketch	   *sketch = state->data;
	char	   *bits = at + 8 + 24 * sketch->n;

	ml_image_put(at, sketch->binned, 8);
	for (int64 i = 0; i < sketch->n; i++)
	{
		const Entry *entry = &sketch->entry[i];

		ml_image_put(at + 8 + 24 * i, entry->key, 8);
		ml_image_put_double(at + 16 + 24 * i, entry->positive);
		ml_image_put_double(at + 24 + 24 * i, entry->negative);
		if (sketch->binned)
			bits[i] = (char) entry->bits;
	}
}

static bool
is_weight(double weight)
{
	return weight >= 0.0 && !isinf(weight);
}

static void
check_entry(const Entry *entry, const Entry *before)
{
	if (entry->bits > 64 || (entry->key & low_bits(entry->bits)) != 0)
		ml_metric_state_refuse("A bin does not begin where bins do.");
	if (before != NULL && entry->key <= last_key(before))
		ml_metric_state_refuse("The scores are not in order.");
	if (!is_weight(entry->positive) || !is_weight(entry->negative) || !(entry->positive + entry->negative > 0.0))
		ml_metric_state_refuse("A weight is negative, or no number.");
	if (entry->bits == 0 && isnan(ml_key_double(entry->key)))
		ml_metric_state_refuse("A score is no number.");
}

static void
read_body(MlMetricState *state, const char *at, Size length)
{
	Sketch	   *sketch = state->data;
	uint64		binned = length >= 8 ? ml_image_get(at, 8) : 2;
	Size		width = binned == 1 ? 25 : 24;
	const char *bits;

	if (binned > 1 || (length - 8) % width != 0 || (length - 8) / width > (binned ? MOST_BINS : MOST_EXACT))
		ml_metric_state_refuse("Their number is not that of scores.");
	sketch->binned = binned == 1;
	sketch->n = (length - 8) / width;
	sketch->entry = MemoryContextAllocHuge(state->hdr.eoh_context, sizeof(Entry) * Max(sketch->n, 1));
	bits = at + 8 + 24 * sketch->n;
	for (int64 i = 0; i < sketch->n; i++)
	{
		Entry	   *entry = &sketch->entry[i];

		entry->key = ml_image_get(at + 8 + 24 * i, 8);
		entry->positive = ml_image_get_double(at + 16 + 24 * i);
		entry->negative = ml_image_get_double(at + 24 + 24 * i);
		entry->bits = sketch->binned ? (unsigned char) bits[i] : 0;
		check_entry(entry, i > 0 ? entry - 1 : NULL);
	}
}

const MlStateBody ml_state_ranked = {begin, size, write_body, read_body, merge};

/* ---- values ---- */

MlWalk
ml_state_walk(MlMetricState *state)
{
	Sketch	   *sketch = state->data;
	MlWalk		walk = {0};

	flush(state);
	for (int64 i = 0; i < sketch->n; i++)
	{
		walk.positives += sketch->entry[i].positive;
		walk.negatives += sketch->entry[i].negative;
	}
	if (!isnan(state->parameter))
		walk.take = state->parameter * (walk.positives + walk.negatives);
	for (int64 i = sketch->n - 1; i >= 0; i--)
	{
		ml_check_row(i);
		ml_walk_step(&walk, sketch->entry[i].positive, sketch->entry[i].negative, sketch->entry[i].bits > 0);
	}
	return walk;
}

/* where an entry is, at least and at most; the ends of a bin may be no numbers */
static MlBounded
place_of(const Entry *entry)
{
	double		low = ml_key_double(entry->key);
	double		high = ml_key_double(last_key(entry));

	if (entry->bits == 0)
		return (MlBounded) {low, low, low};
	low = isnan(low) ? 0.0 : low;
	high = isnan(high) ? INFINITY : high;
	return (MlBounded) {0.5 * low + 0.5 * high, low, high};
}

/* of the scores, by weight: as ml_metric_median_absolute_error */
MlBounded
ml_state_median(MlMetricState *state)
{
	Sketch	   *sketch = state->data;
	MlWalk		walk = ml_state_walk(state);
	double		half = 0.5 * (walk.positives + walk.negatives);
	double		sum = 0.0;
	MlBounded	place;
	MlBounded	next;
	int64		i = 0;

	while (i < sketch->n - 1 && sum + sketch->entry[i].positive + sketch->entry[i].negative < half)
	{
		sum += sketch->entry[i].positive + sketch->entry[i].negative;
		i++;
	}
	if (sketch->n == 0)
		return (MlBounded) {NAN, NAN, NAN};
	place = place_of(&sketch->entry[i]);
	if (i + 1 == sketch->n || sum + sketch->entry[i].positive + sketch->entry[i].negative != half)
		return place;
	next = place_of(&sketch->entry[i + 1]);
	return (MlBounded) {0.5 * (place.value + next.value), 0.5 * (place.low + next.low), 0.5 * (place.high + next.high)};
}
