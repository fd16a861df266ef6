/*
 * kmeans_sample.c
 *		A sample of rows that does not depend on their order, nor on who adds up
 *		which of them: the different rows of least hash, each with the weight of
 *		all rows equal to it.
 *
 * A row is kept with the same probability however often it occurs, and then
 * stands for all of its occurrences, so that sums by weight are not biased
 * (bottom-k sketches: Cohen & Kaplan, "Summarizing data using bottom-k
 * sketches", PODC 2007). Hashes are of the rows' values to 36 bits, by which the
 * same rows give the same sample in memory and in SQL: what stands for missing
 * numbers there agrees but for the rounding of sums.
 *
 * In a state: how many entries there are, 1 + the key from which on rows are
 * not taken (0: all are), the keys, the weights, the rows.
 */
#include "postgres.h"

#include <math.h>

#include "algo/kmeans.h"
#include "frame/hash.h"
#include "miscadmin.h"

#define SAMPLE_ROWS			4096	/* or SAMPLE_PER_CLUSTER for each, if that is more */
#define SAMPLE_PER_CLUSTER	64
#define SAMPLE_LEAST		16		/* for each cluster, however many columns there are */
#define SAMPLE_VALUES		4194304

typedef struct KMeansEntry
{
	double		key;
	int			place;
} KMeansEntry;

#define USED(s)			((s)[0])
#define LIMIT(s)		((s)[1])
#define KEYS(s)			((s) + 2)
#define WEIGHTS(k, s)	((s) + 2 + (k)->capacity)
#define ROWS(k, s)		((s) + 2 + 2 * (Size) (k)->capacity)

void
ml_kmeans_sampler_make(const MlFit *fit, int k, int p, KMeansSampler *sampler)
{
	int64		room = Max(SAMPLE_ROWS, SAMPLE_PER_CLUSTER * (int64) k);

	room = Max(Min(room, SAMPLE_VALUES / Max(p, 1)), SAMPLE_LEAST * (int64) k);
	sampler->p = p;
	sampler->room = (int) room;
	sampler->capacity = (int) room + ML_BLOCK_ROWS;
	sampler->hash = ml_hash_word(UINT64CONST(0x73616d706c65), (uint64) fit->seed);
	sampler->key = ml_fit_alloc(fit, ML_BLOCK_ROWS, sizeof(uint64), "sample of rows");
	sampler->entry = ml_fit_alloc(fit, sampler->capacity, sizeof(KMeansEntry), "sample of rows");
	sampler->keep = ml_fit_alloc(fit, sampler->capacity, sizeof(bool), "sample of rows");
}

Size
ml_kmeans_sample_words(const KMeansSampler *sampler)
{
	return 2 + (Size) sampler->capacity * ((Size) sampler->p + 2);
}

static int
compare_entries(const void *a, const void *b)
{
	const KMeansEntry *x = a;
	const KMeansEntry *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->place - y->place;
}

/* the entries by key, equal ones added up and only the least kept; returns how many these are */
static int
sort_entries(KMeansSampler *sampler, double *s)
{
	int			used = (int) USED(s);
	int			kept = 0;

	for (int i = 0; i < used; i++)
	{
		sampler->entry[i].key = KEYS(s)[i];
		sampler->entry[i].place = i;
		sampler->keep[i] = false;
	}
	qsort(sampler->entry, used, sizeof(KMeansEntry), compare_entries);
	for (int i = 0; i < used; i++)
	{
		KMeansEntry entry = sampler->entry[i];

		if (kept > 0 && entry.key == sampler->entry[kept - 1].key)
			WEIGHTS(sampler, s)[sampler->entry[kept - 1].place] += WEIGHTS(sampler, s)[entry.place];
		else if (kept < sampler->room)
		{
			sampler->entry[kept++] = entry;
			sampler->keep[entry.place] = true;
		}
	}
	return kept;
}

/* makes room for a block */
static void
compact(KMeansSampler *sampler, double *s)
{
	int			used = (int) USED(s);
	int			kept = sort_entries(sampler, s);
	int			to = 0;

	if (kept == sampler->room)
		LIMIT(s) = 1 + sampler->entry[kept - 1].key;
	for (int i = 0; i < used; i++)
	{
		if (!sampler->keep[i])
			continue;
		KEYS(s)[to] = KEYS(s)[i];
		WEIGHTS(sampler, s)[to] = WEIGHTS(sampler, s)[i];
		if (to < i)
			memcpy(ROWS(sampler, s) + (Size) to * sampler->p, ROWS(sampler, s) + (Size) i * sampler->p,
				   sampler->p * sizeof(double));
		to++;
	}
	USED(s) = to;
}

/* the 36 leading bits of a number, rounded: of a time in seconds that is a fraction of a second */
static inline double
leading_bits(double x)
{
	union
	{
		double		number;
		uint64		bits;
	}			u;

	u.number = x;
	u.bits = (u.bits + 0x8000) & ~UINT64CONST(0xffff);
	return u.number;
}

/* the place of a row of that key, whose values are yet to be filled in; -1: it is not taken, or was there */
static int
take(KMeansSampler *sampler, double *s, double key, double weight)
{
	int			used = (int) USED(s);

	if (LIMIT(s) > 0 && key > LIMIT(s) - 1)
		return -1;

	/* in memory equal rows are neighbours */
	if (used > 0 && KEYS(s)[used - 1] == key)
	{
		WEIGHTS(sampler, s)[used - 1] += weight;
		return -1;
	}
	if (used == sampler->capacity)
		compact(sampler, s);
	used = (int) USED(s);
	KEYS(s)[used] = key;
	WEIGHTS(sampler, s)[used] = weight;
	USED(s)++;
	return used;
}

void
ml_kmeans_sample_add(KMeansSampler *sampler, double *s, int n, const double *x, const double *weight)
{
	for (int i = 0; i < n; i++)
		sampler->key[i] = sampler->hash;
	for (int j = 0; j < sampler->p; j++)
		for (int i = 0; i < n; i++)
			sampler->key[i] = ml_hash_word(sampler->key[i], ml_hash_double(leading_bits(x[(Size) j * n + i])));
	for (int i = 0; i < n; i++)
	{
		int			at = take(sampler, s, ml_hash_unit(sampler->key[i]), weight ? weight[i] : 1);

		for (int j = 0; at >= 0 && j < sampler->p; j++)
			ROWS(sampler, s)[(Size) at * sampler->p + j] = x[(Size) j * n + i];
	}
}

void
ml_kmeans_sample_merge(KMeansSampler *sampler, double *s, const double *other)
{
	double		limit = LIMIT(other);

	for (int i = 0; i < (int) USED(other); i++)
	{
		int			at = take(sampler, s, KEYS(other)[i], WEIGHTS(sampler, other)[i]);

		if (at >= 0)
			memcpy(ROWS(sampler, s) + (Size) at * sampler->p, ROWS(sampler, other) + (Size) i * sampler->p,
				   sampler->p * sizeof(double));
	}

	/* beyond either limit rows are missing */
	if (limit > 0 && (LIMIT(s) == 0 || limit < LIMIT(s)))
		LIMIT(s) = limit;
}

int
ml_kmeans_sample_rows(KMeansSampler *sampler, double *s)
{
	int			n = sort_entries(sampler, s);

	while (LIMIT(s) > 0 && n > 0 && sampler->entry[n - 1].key > LIMIT(s) - 1)
		n--;
	return n;
}

const double *
ml_kmeans_sample_row(const KMeansSampler *sampler, const double *s, int i, double *weight)
{
	int			place = sampler->entry[i].place;

	*weight = WEIGHTS(sampler, s)[place];
	return ROWS(sampler, s) + (Size) place * sampler->p;
}

bool
ml_kmeans_sample_valid(const KMeansSampler *sampler, const double *s)
{
	double		used = USED(s);

	return used >= 0 && used <= sampler->capacity && used == rint(used);
}
