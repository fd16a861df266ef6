/*
 * counts_worker.c
 *		The other side of the counts in shared memory: who takes them to the tables.
 *
 * counts_shared.c has the protocol.
 */
#include "postgres.h"

#include "log/counts_private.h"

static void
take_entry(MlCountsEntry *entry, MlTakenCounts *taken)
{
	uint64	   *from = ml_counts_counters(entry);

	taken->key = entry->key;
	taken->since = entry->since;
	taken->until = entry->until;
	taken->first_at = entry->first_at;
	taken->last_at = entry->last_at;
	taken->ncounters = entry->ncounters;
	taken->ndescription = entry->ndescription;
	memcpy(taken->counter, from, sizeof(uint64) * (Size) entry->ncounters);
	memcpy(taken->description, from + entry->ncounters, entry->ndescription);
	memset(from, 0, sizeof(uint64) * (Size) entry->ncounters);
	entry->announced = false;
	pg_atomic_fetch_add_u64(&ml_counts->account[entry->account].taken, (int64) taken->counter[ML_COUNT_ROWS]);
}

/* room for what an entry holds; false: the entry was zero, and is free now */
static bool
take_place(int i, Oid database, List **list)
{
	MlCountsEntry *entry = &ml_counts->entry[i];
	MlTakenCounts *taken;
	int			ncounters;
	int			ndescription;
	bool		took = false;

	LWLockAcquire(ml_counts_directory(), LW_EXCLUSIVE);
	if (entry->key.database == database && ml_counts_counters(entry)[ML_COUNT_ROWS] == 0)
		ml_counts_free_entry(entry);
	ncounters = entry->ncounters;
	ndescription = entry->ndescription;
	took = entry->key.database == database;
	LWLockRelease(ml_counts_directory());
	if (!took)
		return false;

	/* memory is taken without a lock, and nothing is lost if there is none */
	taken = palloc(sizeof(MlTakenCounts));
	taken->counter = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint64) * (Size) ncounters);
	taken->description = palloc(ndescription);
	*list = lappend(*list, taken);
	taken->ncounters = taken->ndescription = 0;

	/* nobody but this worker frees it, or gives its place to another */
	LWLockAcquire(ml_counts_directory(), LW_EXCLUSIVE);
	Assert(entry->key.database == database && entry->ncounters == ncounters && entry->ndescription == ndescription);
	take_entry(entry, taken);
	LWLockRelease(ml_counts_directory());
	return true;
}

void
ml_counts_take(Oid database, List **taken)
{
	for (int i = 0; i < ML_COUNTS_ENTRIES; i++)
		(void) take_place(i, database, taken);
}

void
ml_counts_put_back(const List *list)
{
	ListCell   *cell;

	LWLockAcquire(ml_counts_directory(), LW_EXCLUSIVE);
	foreach(cell, list)
	{
		const MlTakenCounts *taken = lfirst(cell);
		int			account;
		int			place;

		if (taken->ncounters == 0)
			continue;			/* what was taken last, not quite */
		account = ml_counts_make_account(taken->key.database);
		if (account != ML_COUNTS_NONE)
			pg_atomic_fetch_sub_u64(&ml_counts->account[account].taken, (int64) taken->counter[ML_COUNT_ROWS]);
		place = ml_counts_find_entry(&taken->key, taken->since, taken->ncounters);
		if (place == ML_COUNTS_NONE && account != ML_COUNTS_NONE)
			place = ml_counts_make_entry(&taken->key, taken->since, taken->until, taken->ncounters,
										 taken->description, taken->ndescription, account);
		if (place != ML_COUNTS_NONE)
		{
			MlCountsEntry *entry = &ml_counts->entry[place];
			uint64	   *to = ml_counts_counters(entry);

			entry->last_at = to[ML_COUNT_ROWS] == 0 ? taken->last_at : Max(entry->last_at, taken->last_at);
			entry->first_at = taken->first_at;
			entry->announced = true;
			for (int i = 0; i < taken->ncounters; i++)
				to[i] += taken->counter[i];
		}
		else if (account != ML_COUNTS_NONE)
			ml_counts_lose(&ml_counts->account[account], ML_LOSS_FULL, taken->counter[ML_COUNT_ROWS]);
	}
	LWLockRelease(ml_counts_directory());
}

void
ml_counts_written(Oid database, uint64 written, uint64 lost)
{
	int			account;

	LWLockAcquire(ml_counts_directory(), LW_EXCLUSIVE);
	account = ml_counts_find_account(database);
	if (account != ML_COUNTS_NONE)
	{
		pg_atomic_fetch_add_u64(&ml_counts->account[account].written, (int64) written);
		pg_atomic_fetch_sub_u64(&ml_counts->account[account].taken, (int64) (written + lost));
		ml_counts_lose(&ml_counts->account[account], ML_LOSS_GONE, lost);
	}
	LWLockRelease(ml_counts_directory());
}

void
ml_counts_give_up(Oid database)
{
	LWLockAcquire(ml_counts_directory(), LW_EXCLUSIVE);
	for (int i = 0; i < ML_COUNTS_ENTRIES; i++)
	{
		MlCountsEntry *entry = &ml_counts->entry[i];

		if (entry->key.database != database)
			continue;
		ml_counts_lose(&ml_counts->account[entry->account], ML_LOSS_UNREACHABLE, ml_counts_counters(entry)[ML_COUNT_ROWS]);
		ml_counts_free_entry(entry);
	}
	LWLockRelease(ml_counts_directory());
}
