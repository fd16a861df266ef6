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

/* what a column's training rows hold; the list is the caller's room for every value */
typedef struct Candidates
{
	Candidate  *list;			/* frequent enough for a place, most frequent first */
	int			n;
	double		weight;			/* of the training rows */
	double		null_weight;
	double		rare_weight;	/* of values not listed */
} Candidates;

static void
list_candidates(const MlFrame *frame, const MlColumn *column, int64 min_rows,
				const double *weight, Candidates *found)
{
	const MlDictionary *dictionary = column->dictionary;
	int64	   *count = MemoryContextAllocExtended(CurrentMemoryContext,
												   Max(dictionary->nvalues, 1) * sizeof(int64),
												   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	double	   *sum = MemoryContextAllocExtended(CurrentMemoryContext,
												 Max(dictionary->nvalues, 1) * sizeof(double),
												 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	ml_levels_count(column, frame->ntrain, weight, count, sum, &found->null_weight);
	found->n = 0;
	found->weight = found->null_weight;
	found->rare_weight = 0.0;
	for (int i = 0; i < dictionary->nvalues; i++)
	{
		Candidate  *candidate = &found->list[found->n];

		found->weight += sum[i];
		if (count[i] < Max(min_rows, 1))
		{
			found->rare_weight += sum[i];
			continue;
		}
		candidate->value = dictionary->value[i];
		candidate->length = dictionary->length[i];
		candidate->count = count[i];
		candidate->weight = sum[i];
		found->n++;
	}
	pfree(count);
	pfree(sum);
	qsort(found->list, found->n, sizeof(Candidate), compare_frequency);
}

static void
set_levels(const Candidates *found, int nlevels, MlFeature *feature)
{
	double		pooled = found->rare_weight;

	feature->nlevels = nlevels;
	feature->level = palloc(sizeof(char *) * Max(nlevels, 1));
	feature->level_length = palloc(sizeof(int32) * Max(nlevels, 1));
	feature->level_share = palloc(sizeof(double) * Max(nlevels, 1));
	for (int i = 0; i < nlevels; i++)
	{
		const Candidate *candidate = &found->list[i];

		feature->level[i] = pnstrdup(candidate->value, candidate->length);
		feature->level_length[i] = candidate->length;
		feature->level_share[i] = candidate->weight / found->weight;
	}
	for (int i = nlevels; i < found->n; i++)
		pooled += found->list[i].weight;
	feature->pool_share = pooled / found->weight;
	feature->null_share = found->null_weight / found->weight;
}

void
ml_levels_learn(const MlFrame *frame, const MlColumn *column, const MlRecipeParams *params,
				const double *weight, MlFeature *feature)
{
	Size		bytes = ml_size_mul(column->dictionary->nvalues, sizeof(Candidate) + sizeof(int64) + sizeof(double));
	Candidates	found;
	int			nlevels;

	if (frame->budget != NULL)
		ml_budget_take(frame->budget, bytes, "the categories of a column");
	found.list = MemoryContextAllocHuge(CurrentMemoryContext, Max(bytes, 1));
	list_candidates(frame, column, params->min_category_rows, weight, &found);
	nlevels = (int) Min(found.n, params->max_categories);
	qsort(found.list, nlevels, sizeof(Candidate), compare_value);
	set_levels(&found, nlevels, feature);
	pfree(found.list);
	if (frame->budget != NULL)
		ml_budget_give(frame->budget, bytes);
}
