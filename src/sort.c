/*
 * sort.c
 *		Rows in the order of 64-bit keys.
 *
 * Stable least-significant-digit radix sort (Knuth, The Art of Computer
 * Programming 3, 5.2.5): a pass over the rows for each digit, whatever the
 * keys, so that a million rows take milliseconds and the time for a cancel is
 * that of some thousand.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "sort.h"

#define DIGIT_BITS	11
#define DIGITS		(1 << DIGIT_BITS)
#define KEY_BITS	64
#define MAX_PASSES	((KEY_BITS + DIGIT_BITS - 1) / DIGIT_BITS)
#define CHECK_ROWS	65536		/* rows between checks for interrupts */

static inline uint32
digit_at(uint64 key, int shift)
{
	return (uint32) (key >> shift) % DIGITS;
}

static void
count_digits(const MlKeyed *item, int64 n, int shift, int passes, int64 (*count)[DIGITS])
{
	memset(count, 0, sizeof(int64) * passes * DIGITS);
	for (int64 i = 0; i < n; i++)
	{
		if (i % CHECK_ROWS == 0)
			CHECK_FOR_INTERRUPTS();
		for (int pass = 0; pass < passes; pass++)
			count[pass][digit_at(item[i].key, shift + pass * DIGIT_BITS)]++;
	}
}

static void
scatter(const MlKeyed *from, MlKeyed *to, int64 n, int shift, int64 *count)
{
	int64		place = 0;

	for (int digit = 0; digit < DIGITS; digit++)
	{
		int64		rows = count[digit];

		count[digit] = place;
		place += rows;
	}
	for (int64 i = 0; i < n; i++)
	{
		if (i % CHECK_ROWS == 0)
			CHECK_FOR_INTERRUPTS();
		to[count[digit_at(from[i].key, shift)]++] = from[i];
	}
}

void
ml_sort(MlKeyed *item, MlKeyed *spare, int64 n, int bits)
{
	int			passes = Min((bits + DIGIT_BITS - 1) / DIGIT_BITS, MAX_PASSES);
	int			lowest = Max(KEY_BITS - passes * DIGIT_BITS, 0);
	int64		(*count)[DIGITS] = palloc(sizeof(int64) * MAX_PASSES * DIGITS);
	MlKeyed    *from = item;
	MlKeyed    *to = spare;

	count_digits(item, n, lowest, passes, count);
	for (int pass = 0; n > 0 && pass < passes; pass++)
	{
		int			shift = lowest + pass * DIGIT_BITS;
		MlKeyed    *swap = from;

		/* a digit that all keys share tells nothing */
		if (count[pass][digit_at(item[0].key, shift)] == n)
			continue;
		scatter(from, to, n, shift, count[pass]);
		from = to;
		to = swap;
	}
	if (from != item)
		memcpy(item, from, n * sizeof(MlKeyed));
	pfree(count);
}
