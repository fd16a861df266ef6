/*
 * levels.c
 *		Which values of a category have a place of their own.
 *
 * Those that occur in at least min_category_rows training rows, the most
 * frequent max_categories of them (of equal counts the first in C order); the
 * others share one place. Levels are kept in C order, whatever the order in
 * which they arrived.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "recipe/recipe_private.h"

typedef struct Candidate
{
	const char *value;
	int32		length;
	int64		count;
	double		weight;
} Candidate;

static int
compare_bytes(const Candidate *a, const Candidate *b)
{
	int			order = memcmp(a->value, b->value, Min(a->length, b->length));

	return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

static int
compare_frequency(const void *a, const void *b)
{
	const Candidate *x = a;
	const Candidate *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return compare_bytes(x, y);
}

static int
compare_value(const void *a, const void *b)
{
	return compare_bytes(a, b);
}

int64
ml_levels_count(const MlColumn *column, int64 n, const double *weight,
				int64 *count, double *sum, double *null_sum)
{
	int64		nnull = 0;
	double		null_weight = 0.0;

	for (int64 i = 0; i < n; i++)
	{
		int32		code = column->code[i];
		double		w = weight == NULL ? 1.0 : weight[i];

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (code == ML_CODE_NULL)
		{
			nnull++;
			null_weight += w;
			continue;
		}
		count[code]++;
		if (sum != NULL)
			sum[code] += w;
	}
	if (null_sum != NULL)
		*null_sum = null_weight;
	return nnull;
}

/* the dictionary's values that occur in training, most frequent first */
static int
list_candidates(const MlFrame *frame, const MlColumn *column, const double *weight,
				Candidate *list, double *null_weight)
{
	const MlDictionary *dictionary = column->dictionary;
	int64	   *count = MemoryContextAllocExtended(CurrentMemoryContext,
												   Max(dictionary->nvalues, 1) * sizeof(int64),
												   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	double	   *sum = MemoryContextAllocExtended(CurrentMemoryContext,
												 Max(dictionary->nvalues, 1) * sizeof(double),
												 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	int			n = 0;

	ml_levels_count(column, frame->ntrain, weight, count, sum, null_weight);
	for (int i = 0; i < dictionary->nvalues; i++)
	{
		if (count[i] == 0)
			continue;
		list[n].value = dictionary->value[i];
		list[n].length = dictionary->length[i];
		list[n].count = count[i];
		list[n].weight = sum[i];
		n++;
	}
	pfree(count);
	pfree(sum);
	qsort(list, n, sizeof(Candidate), compare_frequency);
	return n;
}

void
ml_levels_learn(const MlFrame *frame, const MlColumn *column, const MlRecipeParams *params,
				const double *weight, MlFeature *feature)
{
	Size		bytes = ml_size_mul(column->dictionary->nvalues, sizeof(Candidate) + sizeof(int64) + sizeof(double));
	Candidate  *list;
	int			n;
	int			kept = 0;
	double		null_weight;
	double		pooled = 0.0;
	double		total;

	if (frame->budget != NULL)
		ml_budget_take(frame->budget, bytes, "the categories of a column");
	list = MemoryContextAllocHuge(CurrentMemoryContext, Max(bytes, 1));
	n = list_candidates(frame, column, weight, list, &null_weight);
	while (kept < n && kept < params->max_categories && list[kept].count >= params->min_category_rows)
		kept++;
	qsort(list, kept, sizeof(Candidate), compare_value);

	total = null_weight;
	for (int i = 0; i < n; i++)
	{
		total += list[i].weight;
		if (i >= kept)
			pooled += list[i].weight;
	}
	feature->nlevels = kept;
	feature->level = palloc(sizeof(char *) * Max(kept, 1));
	feature->level_length = palloc(sizeof(int32) * Max(kept, 1));
	feature->level_share = palloc(sizeof(double) * Max(kept, 1));
	for (int i = 0; i < kept; i++)
	{
		feature->level[i] = pnstrdup(list[i].value, list[i].length);
		feature->level_length[i] = list[i].length;
		feature->level_share[i] = list[i].weight / total;
	}
	feature->pool_share = pooled / total;
	feature->null_share = null_weight / total;
	pfree(list);
	if (frame->budget != NULL)
		ml_budget_give(frame->budget, bytes);
}
