/*
 * index.c
 *		Names by hash, and counts of distinct values.
 *
 * Both are open-addressing tables with linear probing, at most half full, so
 * that every probe ends. They hash bytes with mlops's own hash: no locale or
 * collation of the server has a say in which level a value is.
 */
#include "postgres.h"

#include "frame/hash.h"
#include "recipe/recipe_private.h"

#define NAME_INDEX_SEED		UINT64CONST(0x6d6c6f7073)

struct MlLevelIndex
{
	uint32		mask;
	char	   *const *name;
	const int32 *length;
	int32		slot[FLEXIBLE_ARRAY_MEMBER];	/* -1 is empty */
};

struct MlLevelIndex *
ml_name_index_make(int n, char *const *name, const int32 *length, MemoryContext cxt)
{
	struct MlLevelIndex *index;
	uint64		capacity = 4;

	while (capacity < 2 * (uint64) n)
		capacity *= 2;
	index = MemoryContextAllocHuge(cxt, offsetof(struct MlLevelIndex, slot) +
								   ml_size_mul(capacity, sizeof(int32)));
	index->mask = (uint32) (capacity - 1);
	index->name = name;
	index->length = length;
	for (uint64 i = 0; i < capacity; i++)
		index->slot[i] = -1;

	for (int i = 0; i < n; i++)
	{
		uint32		at = (uint32) ml_hash_bytes(name[i], length[i], NAME_INDEX_SEED) & index->mask;

		while (index->slot[at] >= 0)
			at = (at + 1) & index->mask;
		index->slot[at] = i;
	}
	return index;
}

int
ml_name_index_find(const struct MlLevelIndex *index, const char *bytes, int length)
{
	uint32		at = (uint32) ml_hash_bytes(bytes, length, NAME_INDEX_SEED) & index->mask;
	int32		i;

	while ((i = index->slot[at]) >= 0)
	{
		if (index->length[i] == length && memcmp(index->name[i], bytes, length) == 0)
			return i;
		at = (at + 1) & index->mask;
	}
	return -1;
}

/* ---- counting ---- */

#define COUNTER_FIRST_CAPACITY	1024

static uint64 *
counter_slots(MlCounter *counter, uint64 capacity)
{
	Size		bytes = ml_size_mul(capacity, sizeof(uint64));

	if (counter->budget != NULL)
		ml_budget_take(counter->budget, bytes, "the distinct values of a column");
	return MemoryContextAllocExtended(CurrentMemoryContext, bytes,
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

void
ml_counter_begin(MlCounter *counter, MlBudget *budget)
{
	counter->budget = budget;
	counter->capacity = COUNTER_FIRST_CAPACITY;
	counter->n = 0;
	counter->has_zero = false;
	counter->slot = counter_slots(counter, counter->capacity);
}

static bool
counter_insert(uint64 *slot, uint64 capacity, uint64 value)
{
	uint64		at = ml_hash_mix(value) & (capacity - 1);

	while (slot[at] != 0)
	{
		if (slot[at] == value)
			return false;
		at = (at + 1) & (capacity - 1);
	}
	slot[at] = value;
	return true;
}

static void
counter_grow(MlCounter *counter)
{
	uint64	   *old = counter->slot;
	uint64		old_capacity = counter->capacity;

	counter->slot = counter_slots(counter, old_capacity * 2);
	counter->capacity = old_capacity * 2;
	for (uint64 i = 0; i < old_capacity; i++)
	{
		if (old[i] != 0)
			counter_insert(counter->slot, counter->capacity, old[i]);
	}
	pfree(old);
	if (counter->budget != NULL)
		ml_budget_give(counter->budget, old_capacity * sizeof(uint64));
}

void
ml_counter_add(MlCounter *counter, uint64 value)
{
	if (value == 0)
	{
		/* zero marks an empty slot, so it is counted apart */
		counter->n += counter->has_zero ? 0 : 1;
		counter->has_zero = true;
		return;
	}
	if (2 * ((uint64) counter->n + 1) > counter->capacity)
		counter_grow(counter);
	if (counter_insert(counter->slot, counter->capacity, value))
		counter->n++;
}

void
ml_counter_end(MlCounter *counter)
{
	pfree(counter->slot);
	if (counter->budget != NULL)
		ml_budget_give(counter->budget, counter->capacity * sizeof(uint64));
	counter->slot = NULL;
}
