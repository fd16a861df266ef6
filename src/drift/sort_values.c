/*
 * sort_values.c
 *		Values in ascending order, as fast as a training can afford.
 *
 * Numbers of a column rarely differ in all of their 64 bits: a radix sort of
 * the 33 bits below those that all share (least significant digit first, Knuth, The
 * Art of Computer Programming 3, 5.2.5) leaves few out of place, which an insertion sort moves.
 * Where that does not hold all bits are sorted.
 */
#include "postgres.h"

#include "drift/profile.h"
#include "interrupts.h"
#include "port/pg_bitutils.h"

#define DIGIT_BITS	11
#define DIGITS		(1 << DIGIT_BITS)
#define PASSES		3			/* of the first try */
#define KEY_BITS	64

static void
count_digits(const uint64 *key, int64 n, int shift, int passes, uint32 (*count)[DIGITS])
{
	memset(count, 0, sizeof(uint32) * passes * DIGITS);
	for (int64 i = 0; i < n; i++)
	{
		uint64		rest = key[i] >> shift;

		ml_check_row(i);
		for (int pass = 0; pass < passes; pass++, rest >>= DIGIT_BITS)
			count[pass][rest % DIGITS]++;
	}
}

static void
scatter(const uint64 *from, uint64 *to, int64 n, int shift, uint32 *count)
{
	uint32		place = 0;

	for (int digit = 0; digit < DIGITS; digit++)
	{
		uint32		rows = count[digit];

		count[digit] = place;
		place += rows;
	}
	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		to[count[(from[i] >> shift) % DIGITS]++] = from[i];
	}
}

/* sorts by digits from shift on; the result is in key */
static void
sort_digits(uint64 *key, uint64 *spare, int64 n, int shift, int passes)
{
	uint32		(*count)[DIGITS] = palloc(sizeof(uint32) * passes * DIGITS);
	uint64	   *from = key;
	uint64	   *to = spare;

	count_digits(key, n, shift, passes, count);
	for (int pass = 0; pass < passes; pass++)
	{
		int			at = shift + pass * DIGIT_BITS;
		uint64	   *swap = from;

		/* a digit that all keys share tells nothing */
		if (count[pass][(key[0] >> at) % DIGITS] == n)
			continue;
		scatter(from, to, n, at, count[pass]);
		from = to;
		to = swap;
	}
	if (from != key)
		memcpy(key, from, sizeof(uint64) * n);
	pfree(count);
}

/* false: too many are out of place to be moved one by one */
static bool
insert_rest(uint64 *key, int64 n)
{
	int64		moves = 4 * n;

	for (int64 i = 1; i < n; i++)
	{
		uint64		here = key[i];
		int64		j = i;

		ml_check_row(i);
		for (; j > 0 && key[j - 1] > here; j--)
			key[j] = key[j - 1];
		key[j] = here;
		moves -= i - j;
		if (moves < 0)
			return false;
	}
	return true;
}

void
ml_profile_sort(uint64 *key, uint64 *spare, int64 n)
{
	uint64		differ = 0;
	int			top;

	for (int64 i = 1; i < n; i++)
	{
		ml_check_row(i);
		differ |= key[i] ^ key[0];
	}
	if (differ == 0)
		return;
	top = pg_leftmost_one_pos64(differ) + 1;
	sort_digits(key, spare, n, Max(top - PASSES * DIGIT_BITS, 0), PASSES);
	if (top > PASSES * DIGIT_BITS && !insert_rest(key, n))
		sort_digits(key, spare, n, 0, (KEY_BITS + DIGIT_BITS - 1) / DIGIT_BITS);
}
