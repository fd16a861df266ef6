/*
 * quantiles.c
 *		Where to cut a number into bins.
 *
 * With no more distinct values than bins every value has its own, cut halfway
 * between neighbours. Otherwise bins are filled from below: one is closed when
 * it holds its share of the weight that is left, and a value that weighs a
 * share or more has a bin of its own (as in LightGBM: Ke et al., A highly
 * efficient gradient boosting decision tree, NeurIPS 2017).
 */
#include "postgres.h"

#include "trees/bins.h"

#define DIGIT_BITS	11
#define DIGITS		(1 << DIGIT_BITS)
#define PASSES		6			/* of 11 bits: 64 bits */

/* bits that sort as the numbers do */
static inline uint64
sort_key(double x)
{
	uint64		bits;

	x += 0.0;					/* one zero */
	memcpy(&bits, &x, sizeof(bits));
	return bits ^ ((uint64) ((int64) bits >> 63) | UINT64CONST(0x8000000000000000));
}

static inline double
key_value(uint64 key)
{
	uint64		bits = key ^ (((key >> 63) - 1) | UINT64CONST(0x8000000000000000));
	double		x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

static void
count_digits(const uint64 *key, int n, uint32 (*count)[DIGITS])
{
	memset(count, 0, sizeof(uint32) * PASSES * DIGITS);
	for (int i = 0; i < n; i++)
		for (int p = 0; p < PASSES; p++)
			count[p][(key[i] >> (p * DIGIT_BITS)) & (DIGITS - 1)]++;
}

/* one pass of a radix sort; weights go along */
static void
scatter(const uint64 *key, const double *weight, int n, int shift, uint32 *count,
		uint64 *to_key, double *to_weight)
{
	uint32		place = 0;

	for (int d = 0; d < DIGITS; d++)
	{
		uint32		here = count[d];

		count[d] = place;
		place += here;
	}
	for (int i = 0; i < n; i++)
	{
		uint32		to = count[(key[i] >> shift) & (DIGITS - 1)]++;

		to_key[to] = key[i];
		if (weight)
			to_weight[to] = weight[i];
	}
}

/* ascending, in place */
static void
sort_values(double *value, double *weight, int n, double *work, double *weight_work)
{
	uint32		(*count)[DIGITS] = palloc(sizeof(uint32) * PASSES * DIGITS);
	uint64	   *key = (uint64 *) value;
	uint64	   *spare = (uint64 *) work;
	double	   *spare_weight = weight_work;
	double	   *from_weight = weight;

	for (int i = 0; i < n; i++)
		key[i] = sort_key(value[i]);
	count_digits(key, n, count);
	for (int p = 0; p < PASSES; p++)
	{
		uint64	   *swap_key = key;
		double	   *swap_weight = from_weight;

		/* a digit that all share orders nothing */
		if (n == 0 || count[p][(key[0] >> (p * DIGIT_BITS)) & (DIGITS - 1)] == (uint32) n)
			continue;
		scatter(key, from_weight, n, p * DIGIT_BITS, count[p], spare, spare_weight);
		key = spare;
		spare = swap_key;
		if (weight == NULL)
			continue;
		from_weight = spare_weight;
		spare_weight = swap_weight;
	}
	for (int i = 0; i < n; i++)
		value[i] = key_value(key[i]);
	if (weight && from_weight != weight)
		memcpy(weight, from_weight, sizeof(double) * n);
	pfree(count);
}

/* equal values, which are neighbours, become one with the sum of their weights */
static int
merge_equal(double *value, double *weight, int n, double *total)
{
	int			distinct = 0;

	for (int i = 0; i < n;)
	{
		double		x = value[i];
		double		sum = 0;

		for (; i < n && value[i] == x; i++)
			sum += weight ? weight[i] : 1;
		value[distinct] = x;
		total[distinct++] = sum;
	}
	return distinct;
}

/* between two values, above the lower one and not above the upper one */
static double
between(double low, double high)
{
	double		middle = low / 2 + high / 2;

	return middle > low && middle <= high ? middle : high;
}

int
ml_bins_cut(double *value, double *weight, int n, int max_values, double *cut,
			double *work, double *weight_work)
{
	double	   *total = work;
	double		left = 0;
	double		filled = 0;
	int			bins = 1;
	int			distinct;

	sort_values(value, weight, n, work, weight_work);
	distinct = merge_equal(value, weight, n, total);
	for (int i = 0; i < distinct; i++)
		left += total[i];
	for (int i = 0; i + 1 < distinct; i++)
	{
		double		share = left / (max_values - bins + 1);

		filled += total[i];
		if (bins == max_values)
			break;
		if (distinct > max_values && filled < share && total[i + 1] < share)
			continue;
		cut[bins - 1] = between(value[i], value[i + 1]);
		bins++;
		left -= filled;
		filled = 0;
	}
	return distinct == 0 ? 0 : bins;
}
