/*
 * sample.c
 *		How many rows of each bucket and stratum are kept.
 *
 * Within max_rows the sample is proportional: every bucket and stratum gives
 * the same share of its rows, so that weights are nearly equal. What is new is
 * drawn at the share that the room left allows; only where that is much less than the
 * share of what is there already are older rows thinned to the common one, which never
 * needs their source again: the least priorities of a sample are a smaller sample.
 *
 * A slice, a class or values of stratify_by of which fewer than the minimum would be kept
 * ("thin") ask for a higher rate. Rows of the same thin groups form a stratum
 * of their own within their class and values; rates are those of the group that
 * asks for most. Rounding up in each stratum makes sure that the minimum is met
 * where the population allows it. There are at most a quarter as many strata as
 * rows, so that one row of each always has room: where there would be more, what
 * tells strata apart is given up step by step, classes first, minimums last.
 *
 * All strata see the same priorities, so that strata of cells that were cut at
 * different limits are samples up to the least of these.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"
#include "validate/set.h"

#define STEPS_OF_BISECTION	50
#define MUCH_LESS			0.8		/* of the share of older rows: then they are thinned */
#define HEADROOM			0.95	/* thinned to this part of what fits, so that it is seldom done */
#define LEVELS				4

/* ---- what minimums ask for ---- */

typedef struct Asking
{
	double	   *slice_rate;		/* by number */
	double	   *group_rate;
} Asking;

static void
count_new(const MlSetReading *reading, int64 *slice, int64 *group)
{
	for (int c = 0; c < reading->ncells; c++)
	{
		const MlCell *cell = reading->cell[c];
		const MlKindOfRow *kind = &reading->kind[cell->kind];

		for (int i = 0; i < kind->nslices; i++)
			slice[kind->slice[i]] += cell->population;
		for (int i = 0; i < kind->ngroups; i++)
			group[kind->group[i]] += cell->population;
	}
}

/* rows that are missing, of those that came; also into *sum */
static double
missing(int64 least, int64 kept, int64 population, double *sum)
{
	double		need = (double) Min(Max(least - kept, 0), population);

	*sum += need;
	return need;
}

/* minimums take at most half of max_rows */
static void
ask(const MlSetReading *reading, const MlNeeds *needs, Asking *asking)
{
	int64	   *slice = palloc0(sizeof(int64) * (needs->nslices + 1));
	int64	   *group = palloc0(sizeof(int64) * (needs->ngroups + 1));
	double		sum = 0;
	double		scale;

	asking->slice_rate = palloc0(sizeof(double) * (needs->nslices + 1));
	asking->group_rate = palloc0(sizeof(double) * (needs->ngroups + 1));
	count_new(reading, slice, group);
	for (int i = 1; i <= needs->nslices; i++)
		asking->slice_rate[i] = missing(needs->slice_min[i], needs->slice_kept[i], slice[i], &sum);
	for (int i = 1; i <= needs->ngroups; i++)
		asking->group_rate[i] = missing(needs->group_min, needs->group_kept[i], group[i], &sum);
	scale = sum > reading->set->max_rows / 2.0 ? reading->set->max_rows / 2.0 / sum : 1;
	for (int i = 1; i <= needs->nslices; i++)
		asking->slice_rate[i] *= slice[i] > 0 ? scale / (double) slice[i] : 0;
	for (int i = 1; i <= needs->ngroups; i++)
		asking->group_rate[i] *= group[i] > 0 ? scale / (double) group[i] : 0;
}

/* ---- strata ---- */

/* what a cell's rows share with those of the same stratum, at a level */
typedef struct Mark
{
	uint64		hash;
	double		rate;			/* of the thin group that asks for most; 0: none is thin */
	MlCell	   *cell;
} Mark;

static void
ask_for(double rate, double share, int number, uint64 *thin, double *most, uint64 *who)
{
	if (rate <= share)
		return;
	*thin = ml_hash_word(*thin, (uint64) number);
	if (rate > *most)
	{
		*most = rate;
		*who = (uint64) number;
	}
}

static void
mark_cell(const MlSetReading *reading, const Asking *asking, MlCell *cell, double share, int level, Mark *mark)
{
	const MlKindOfRow *kind = &reading->kind[cell->kind];
	uint64		thin = 0;
	uint64		who = 0;
	uint64		groups = 0;

	mark->cell = cell;
	mark->rate = 0;
	for (int i = 0; i < kind->nslices; i++)
		ask_for(asking->slice_rate[kind->slice[i]], share, kind->slice[i], &thin, &mark->rate, &who);
	for (int i = 0; i < kind->ngroups; i++)
	{
		ask_for(asking->group_rate[kind->group[i]], share, -kind->group[i], &thin, &mark->rate, &who);
		groups = ml_hash_word(groups, (uint64) kind->group[i]);
	}
	mark->hash = level == 0 ? ml_hash_word(thin, groups) : level == 1 ? thin : level == 2 ? who : 0;
}

static int
compare_marks(const void *a, const void *b)
{
	const Mark *x = a;
	const Mark *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->cell->kind - y->cell->kind;
}

static int
count_marks(const Mark *mark, int n)
{
	int			strata = 0;

	for (int i = 0; i < n; i++)
		strata += i == 0 || mark[i].hash != mark[i - 1].hash;
	return strata;
}

/* rows of a stratum that may be drawn: up to the least limit of its cells */
static int64
available(const MlStratum *stratum)
{
	uint64		limit = PG_UINT64_MAX;
	int64		n = 0;

	for (int c = 0; c < stratum->ncells; c++)
		limit = Min(limit, stratum->cell[c]->limit);
	for (int c = 0; c < stratum->ncells; c++)
		for (int i = 0; i < stratum->cell[c]->n; i++)
			n += stratum->cell[c]->candidate[i].priority <= limit;
	return n;
}

/* numbers of strata are stored: two of a bucket that share one by chance are moved apart */
static int32
free_number(const MlPlan *plan, int64 bucket, uint64 hash)
{
	int32		number = (int32) (hash & 0x7fffffff);

	for (int s = plan->nnew - 1; s >= 0 && plan->new[s].bucket == bucket; s--)
		if (plan->new[s].stratum == number)
		{
			number = (number + 1) & 0x7fffffff;
			s = plan->nnew;
		}
	return number;
}

static void
add_strata(MlPlan *plan, const Mark *mark, int n)
{
	for (int i = 0; i < n;)
	{
		MlStratum  *stratum = &plan->new[plan->nnew];
		double		asked = 0;

		memset(stratum, 0, sizeof(*stratum));
		stratum->bucket = mark[i].cell->bucket;
		stratum->stratum = free_number(plan, stratum->bucket, mark[i].hash);
		stratum->cell = palloc(sizeof(MlCell *) * (n - i));
		do
		{
			stratum->cell[stratum->ncells++] = mark[i].cell;
			stratum->population += mark[i].cell->population;
			asked += mark[i].rate * (double) mark[i].cell->population;
		} while (++i < n && mark[i].hash == mark[i - 1].hash);
		stratum->rate = asked / (double) stratum->population;
		stratum->kept = available(stratum);
		plan->nnew++;
	}
}

static void
make_strata(const MlSetReading *reading, const Asking *asking, double share, MlPlan *plan)
{
	Mark	   *mark = palloc(sizeof(Mark) * Max(reading->ncells, 1));
	int			buckets = reading->set->clock == ML_CLOCK_NONE ? 1 : ML_BUCKETS + 2;
	int			most = Max((int) Min(reading->set->max_rows / (4 * buckets), 1000000), 1);

	plan->new = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(MlStratum) * Max(reading->ncells, 1));
	for (int first = 0, n; first < reading->ncells; first += n)
	{
		for (n = 0; first + n < reading->ncells && reading->cell[first + n]->bucket == reading->cell[first]->bucket;)
			n++;
		for (int level = 0; level < LEVELS; level++)
		{
			for (int i = 0; i < n; i++)
				mark_cell(reading, asking, reading->cell[first + i], share, level, &mark[i]);
			qsort(mark, n, sizeof(Mark), compare_marks);
			if (count_marks(mark, n) <= most)
				break;
		}
		CHECK_FOR_INTERRUPTS();
		add_strata(plan, mark, n);
	}
}

/* ---- shares ---- */

static int64
take_of(const MlStratum *stratum, double share, double guard)
{
	double		rate = Max(share, stratum->rate * guard);
	int64		least = Max((int64) ceil((double) stratum->guarded * guard), 1);

	/* what a rounding error adds must not become a row */
	return Min(stratum->kept, Max(least, (int64) ceil(rate * (double) stratum->population - 1e-9)));
}

static int64
take_all(MlPlan *plan, bool old, double share, double guard)
{
	int64		sum = 0;

	for (int s = 0; s < plan->nnew; s++)
		sum += plan->new[s].take = take_of(&plan->new[s], share, guard);
	for (int s = 0; s < plan->nold; s++)
		sum += plan->old[s]->take = old ? take_of(plan->old[s], share, guard) : plan->old[s]->kept;
	return sum;
}

/* the largest share with which all fits into room; -1: none does */
static double
find_share(MlPlan *plan, bool old, double guard, int64 room)
{
	double		low = 0;
	double		high = 1;

	if (take_all(plan, old, 1, guard) <= room)
		return 1;
	if (take_all(plan, old, 0, guard) > room)
		return -1;
	for (int i = 0; i < STEPS_OF_BISECTION; i++)
	{
		double		middle = (low + high) / 2;

		if (take_all(plan, old, middle, guard) <= room)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* the share that older rows, not counting what minimums asked for, were drawn at */
static double
old_share(const MlPlan *plan)
{
	double		kept = 0;
	double		population = 0;

	for (int s = 0; s < plan->nold; s++)
		if (plan->old[s]->guarded == 0)
		{
			kept += (double) plan->old[s]->kept;
			population += (double) plan->old[s]->population;
		}
	return population > 0 ? kept / population : 0;
}

static void
thin(MlPlan *plan, int64 room)
{
	double		guard = 1;
	double		share = find_share(plan, true, guard, room);

	while (share < 0 && guard > 1e-9)
	{
		guard /= 2;
		share = find_share(plan, true, guard, room);
	}
	share = Max(share, 0);
	if (plan->nold > 0 && share < 1)
		share *= HEADROOM;
	take_all(plan, true, share, guard);
	for (int s = 0; s < plan->nold; s++)
		plan->thin |= plan->old[s]->take < plan->old[s]->kept;
}

/* the share without minimums: what is below it needs none */
static double
first_share(const MlSetReading *reading, const MlPlan *plan)
{
	double		population = 0;
	double		room = (double) reading->set->max_rows;

	for (int c = 0; c < reading->ncells; c++)
		population += (double) reading->cell[c]->population;
	for (int s = 0; s < plan->nold; s++)
		room -= (double) plan->old[s]->kept;
	return population > 0 ? Min(1, Max(room, 0) / population) : 1;
}

void
ml_sample_plan(const MlSetReading *reading, const MlNeeds *needs, MlPlan *plan)
{
	Asking		asking;
	double		share;

	ask(reading, needs, &asking);
	make_strata(reading, &asking, first_share(reading, plan), plan);
	share = find_share(plan, false, 1, reading->set->max_rows);
	if (share < 1 && share < MUCH_LESS * old_share(plan))
		thin(plan, reading->set->max_rows);
	else if (share < 0)
		thin(plan, reading->set->max_rows);
	else
		take_all(plan, false, share, 1);
	for (int s = 0; s < plan->nnew; s++)
	{
		MlStratum  *stratum = &plan->new[s];

		stratum->guarded = stratum->rate > 0 ?
			Min(stratum->take, (int64) ceil(stratum->rate * (double) stratum->population - 1e-9)) : 0;
	}
}

/* ---- the rows ---- */

static int
compare_drawn(const void *a, const void *b)
{
	const MlCandidate *x = ((const MlDrawn *) a)->row;
	const MlCandidate *y = ((const MlDrawn *) b)->row;

	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	return 0;
}

MlDrawn *
ml_sample_rows(const MlStratum *stratum, int64 *n)
{
	MlDrawn    *drawn;
	Size		most = 0;

	for (int c = 0; c < stratum->ncells; c++)
		most += stratum->cell[c]->n;
	drawn = MemoryContextAllocHuge(CurrentMemoryContext, ml_size_mul(Max(most, 1), sizeof(MlDrawn)));
	*n = 0;
	for (int c = 0; c < stratum->ncells; c++)
		for (int i = 0; i < stratum->cell[c]->n; i++)
		{
			drawn[*n].row = &stratum->cell[c]->candidate[i];
			drawn[(*n)++].kind = stratum->cell[c]->kind;
		}
	qsort(drawn, *n, sizeof(MlDrawn), compare_drawn);
	return drawn;
}
