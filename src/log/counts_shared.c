/*
 * counts_shared.c
 *		The counts of all processes that wait to be written.
 *
 * A fixed piece of shared memory: a directory of entries, one for each model,
 * version, role, rule set and part of the day that was called lately, and an
 * arena in which the counters of an entry and the bytes that say what they
 * stand for lie one after the other.
 *
 * The protocol, and why it holds:
 *
 * - A process adds its counts under a shared lock of the directory and the
 *   entry's own lock: entries are moved, made, taken and freed only under the
 *   exclusive lock of the directory. No interrupt is served while an LWLock is
 *   held, so that counts are added whole or not at all.
 * - What could not be added (more versions than there is room for) is counted
 *   as lost. Every row is added to "counted" before it is added to an entry or
 *   to what is lost: counted = written + waiting + lost at any time,
 *   where waiting is what entries hold and what the worker has.
 * - The worker copies an entry and sets it to zero under one lock. If it cannot
 *   write what it has, it puts it back; between its commit and
 *   ml_counts_written() it serves no interrupts. So a row is written once.
 * - An entry of which nothing waits is freed when the worker comes again, or
 *   when room is needed, and the arena closes the gap.
 * - Locks are taken in the order: directory, entry; directory, ring. The ring's
 *   code calls nothing here while it holds a lock.
 *
 * Nothing waits during recovery: rows are counted as lost to a standby.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "compat.h"
#include "log/counts.h"
#include "miscadmin.h"
#include "settings.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#define TRANCHE			"mlops_statistics"
#define ENTRIES			512
#define ACCOUNTS		64
#define NONE			(-1)

typedef struct Entry
{
	MlCountsKey key;			/* database is InvalidOid: free */
	TimestampTz since;			/* part of the day */
	TimestampTz until;
	TimestampTz first_at;		/* of what is in it */
	TimestampTz last_at;
	bool		announced;		/* the ring knows that there is something to write */
	int			account;
	int			ncounters;
	int			ndescription;
	Size		offset;			/* in the arena; counters, then the description */
	Size		size;
} Entry;

/* what became of the rows of a database */
typedef struct Account
{
	Oid			database;		/* InvalidOid: free */
	pg_atomic_uint64 counted;
	pg_atomic_uint64 written;
	pg_atomic_uint64 taken;		/* by the worker, that has not written them yet */
	pg_atomic_uint64 lost[ML_NLOSSES];
} Account;

typedef struct Shared
{
	Size		size;			/* of the arena */
	Size		used;
	Account		account[ACCOUNTS];
	Entry		entry[ENTRIES];
} Shared;

static Shared *shared = NULL;
static char *arena = NULL;
static LWLockPadded *locks = NULL;	/* the directory's, then those of the entries */
static int	my_account = NONE;

static MlShmemRequestHook previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

/* ---- the memory ---- */

static Size
shared_size(void)
{
	return add_size(MAXALIGN(sizeof(Shared)), mul_size(ml_statistics_size_kb, 1024));
}

static void
request(void)
{
	if (previous_request)
		previous_request();
	RequestAddinShmemSpace(shared_size());
	RequestNamedLWLockTranche(TRANCHE, ENTRIES + 1);
}

static void
clear_account(Account *account, Oid database)
{
	account->database = database;
	pg_atomic_init_u64(&account->counted, 0);
	pg_atomic_init_u64(&account->written, 0);
	pg_atomic_init_u64(&account->taken, 0);
	for (int i = 0; i < ML_NLOSSES; i++)
		pg_atomic_init_u64(&account->lost[i], 0);
}

/* in the postmaster, again after every crash */
static void
startup(void)
{
	bool		found;

	if (previous_startup)
		previous_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("mlops statistics", shared_size(), &found);
	arena = (char *) shared + MAXALIGN(sizeof(Shared));
	locks = GetNamedLWLockTranche(TRANCHE);
	if (!found)
	{
		memset(shared, 0, sizeof(Shared));
		shared->size = (Size) ml_statistics_size_kb * 1024;
		for (int i = 0; i < ACCOUNTS; i++)
			clear_account(&shared->account[i], InvalidOid);
	}
	LWLockRelease(AddinShmemInitLock);
}

void
ml_counts_request(void)
{
	ml_request_shmem(request, previous_request);
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = startup;
}

bool
ml_counts_exist(void)
{
	return shared != NULL;
}

static inline LWLock *
directory(void)
{
	return &locks[0].lock;
}

static inline LWLock *
entry_lock(int i)
{
	return &locks[i + 1].lock;
}

static inline uint64 *
counters(const Entry *entry)
{
	return (uint64 *) (arena + entry->offset);
}

static inline bool
is_used(const Entry *entry)
{
	return OidIsValid(entry->key.database);
}

/* ---- accounts; under a lock of the directory, exclusive to make one ---- */

static bool
has_entries(Oid database)
{
	for (int i = 0; i < ENTRIES; i++)
		if (shared->entry[i].key.database == database)
			return true;
	return false;
}

static int
find_account(Oid database)
{
	for (int i = 0; i < ACCOUNTS; i++)
		if (shared->account[i].database == database)
			return i;
	return NONE;
}

static bool
is_busy(const Account *account)
{
	return has_entries(account->database) || pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &account->taken)) != 0;
}

/* a free one, or that of a database of which nothing waits; NONE: more databases count at once */
static int
make_account(Oid database)
{
	int			i = find_account(database);

	if (i == NONE)
		i = find_account(InvalidOid);
	for (int k = 0; i == NONE && k < ACCOUNTS; k++)
		if (!is_busy(&shared->account[k]))
			i = k;
	if (i != NONE && shared->account[i].database != database)
		clear_account(&shared->account[i], database);
	return i;
}

static inline bool
is_my_account(void)
{
	return my_account != NONE && shared->account[my_account].database == MyDatabaseId;
}

static inline void
lose(Account *account, MlLogLoss reason, uint64 rows)
{
	pg_atomic_fetch_add_u64(&account->lost[reason], (int64) rows);
}

/* ---- entries; under the exclusive lock of the directory ---- */

static bool
same_entry(const Entry *entry, const MlCountsKey *key, TimestampTz since, int ncounters)
{
	return entry->since == since && entry->ncounters == ncounters && memcmp(&entry->key, key, sizeof(MlCountsKey)) == 0;
}

static int
find_entry(const MlCountsKey *key, TimestampTz since, int ncounters)
{
	for (int i = 0; i < ENTRIES; i++)
		if (same_entry(&shared->entry[i], key, since, ncounters))
			return i;
	return NONE;
}

/* closes the gap */
static void
free_entry(Entry *entry)
{
	Size		end = entry->offset + entry->size;

	memmove(arena + entry->offset, arena + end, shared->used - end);
	shared->used -= entry->size;
	for (int i = 0; i < ENTRIES; i++)
		if (is_used(&shared->entry[i]) && shared->entry[i].offset > entry->offset)
			shared->entry[i].offset -= entry->size;
	memset(entry, 0, sizeof(Entry));
}

/* those of which nothing waits, of any database */
static void
free_empty_entries(void)
{
	for (int i = 0; i < ENTRIES; i++)
		if (is_used(&shared->entry[i]) && counters(&shared->entry[i])[ML_COUNT_ROWS] == 0)
			free_entry(&shared->entry[i]);
}

static int
free_place(Size size)
{
	if (size > shared->size - shared->used)
		return NONE;
	for (int i = 0; i < ENTRIES; i++)
		if (!is_used(&shared->entry[i]))
			return i;
	return NONE;
}

/* NONE: no room */
static int
make_entry(const MlCountsKey *key, TimestampTz since, TimestampTz until, int ncounters,
		   const char *description, int ndescription, int account)
{
	Size		size = MAXALIGN(sizeof(uint64) * (Size) ncounters + ndescription);
	int			place = free_place(size);
	Entry	   *entry;

	if (place == NONE)
	{
		free_empty_entries();
		place = free_place(size);
	}
	if (place == NONE)
		return NONE;
	entry = &shared->entry[place];
	entry->key = *key;
	entry->since = since;
	entry->until = until;
	entry->announced = false;
	entry->account = account;
	entry->ncounters = ncounters;
	entry->ndescription = ndescription;
	entry->offset = shared->used;
	entry->size = size;
	shared->used += size;
	memset(counters(entry), 0, sizeof(uint64) * (Size) ncounters);
	memcpy(counters(entry) + ncounters, description, ndescription);
	return place;
}

/* ---- a process ---- */

/* parts begin at multiples of their length since 1970, UTC */
static void
part_of(TimestampTz at, TimestampTz *since, TimestampTz *until)
{
	const TimestampTz epoch = (TimestampTz) (UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
	int64		length = (int64) ml_statistics_period_s * USECS_PER_SEC;

	*since = epoch + (at - epoch) / length * length;
	*until = *since + length;
}

/* adds to an entry; true: the ring is to be told */
static bool
add(int place, MlCounts *counts, TimestampTz now)
{
	Entry	   *entry = &shared->entry[place];
	uint64	   *to = counters(entry);
	bool		announce;

	LWLockAcquire(entry_lock(place), LW_EXCLUSIVE);
	if (to[ML_COUNT_ROWS] == 0)
		entry->first_at = now;
	entry->last_at = now;
	if (counts->nrows > ML_COUNTS_JOURNAL)
		for (int i = 0; i < counts->shape.ncounters; i++)
			to[i] += counts->counter[i];
	else
		for (int i = 0; i < counts->njournal; i++)
		{
			/* which may be there more than once */
			to[counts->journal[i]] += counts->counter[counts->journal[i]];
			counts->counter[counts->journal[i]] = 0;
		}
	announce = !entry->announced;
	entry->announced = true;
	LWLockRelease(entry_lock(place));
	return announce;
}

/* the entry of these counts, made if there is room; the directory is locked exclusively then */
static int
find_or_make(MlCounts *counts, TimestampTz since, TimestampTz until)
{
	int			place;

	my_account = make_account(MyDatabaseId);
	if (my_account == NONE)
		return NONE;
	place = find_entry(&counts->key, since, counts->shape.ncounters);
	if (place == NONE)
		place = make_entry(&counts->key, since, until, counts->shape.ncounters,
						   counts->description.data, counts->description.len, my_account);
	return place;
}

static void
publish_lost(MlLogLoss reason, int nrows)
{
	if (my_account == NONE)
		return;
	pg_atomic_fetch_add_u64(&shared->account[my_account].counted, nrows);
	lose(&shared->account[my_account], reason, nrows);
}

void
ml_counts_publish(MlCounts *counts)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz since;
	TimestampTz until;
	bool		recovery = RecoveryInProgress();

	part_of(now, &since, &until);
	LWLockAcquire(directory(), LW_SHARED);
	if (!is_my_account() ||
		(!recovery && (counts->place == NONE ||
					   !same_entry(&shared->entry[counts->place], &counts->key, since, counts->shape.ncounters))))
	{
		LWLockRelease(directory());
		LWLockAcquire(directory(), LW_EXCLUSIVE);
		if (recovery)
			my_account = make_account(MyDatabaseId);
		else
			counts->place = find_or_make(counts, since, until);
	}
	if (recovery)
		publish_lost(ML_LOSS_STANDBY, counts->nrows);
	else if (counts->place == NONE)
		publish_lost(ML_LOSS_FULL, counts->nrows);
	else
	{
		pg_atomic_fetch_add_u64(&shared->account[my_account].counted, counts->nrows);
		if (add(counts->place, counts, now) && !ml_ring_want_statistics(ml_statistics_flush_interval_ms))
			shared->entry[counts->place].announced = false; /* the next one tries again */
	}
	counts->published_at = now;
	LWLockRelease(directory());
}

void
ml_counts_totals(MlCountsTotals *totals)
{
	int			i;

	memset(totals, 0, sizeof(MlCountsTotals));
	if (shared == NULL)
		return;
	/* exclusive, so that nothing is on its way from one to the other */
	LWLockAcquire(directory(), LW_EXCLUSIVE);
	totals->bytes = shared->used;
	i = find_account(MyDatabaseId);
	if (i != NONE)
	{
		Account    *account = &shared->account[i];

		totals->counted = pg_atomic_read_u64(&account->counted);
		totals->written = pg_atomic_read_u64(&account->written);
		totals->waiting = pg_atomic_read_u64(&account->taken);
		for (int r = 0; r < ML_NLOSSES; r++)
			totals->lost[r] = pg_atomic_read_u64(&account->lost[r]);
		for (int e = 0; e < ENTRIES; e++)
			if (shared->entry[e].key.database == MyDatabaseId)
				totals->waiting += counters(&shared->entry[e])[ML_COUNT_ROWS];
	}
	LWLockRelease(directory());
}

/* ---- the worker ---- */

static void
take_entry(Entry *entry, MlTakenCounts *taken)
{
	uint64	   *from = counters(entry);

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
	pg_atomic_fetch_add_u64(&shared->account[entry->account].taken, (int64) taken->counter[ML_COUNT_ROWS]);
}

/* room for what an entry holds; false: the entry was zero, and is free now */
static bool
take_place(int i, Oid database, List **list)
{
	Entry	   *entry = &shared->entry[i];
	MlTakenCounts *taken;
	int			ncounters;
	int			ndescription;
	bool		took = false;

	LWLockAcquire(directory(), LW_EXCLUSIVE);
	if (entry->key.database == database && counters(entry)[ML_COUNT_ROWS] == 0)
		free_entry(entry);
	ncounters = entry->ncounters;
	ndescription = entry->ndescription;
	took = entry->key.database == database;
	LWLockRelease(directory());
	if (!took)
		return false;

	/* memory is taken without a lock, and nothing is lost if there is none */
	taken = palloc(sizeof(MlTakenCounts));
	taken->counter = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint64) * (Size) ncounters);
	taken->description = palloc(ndescription);
	*list = lappend(*list, taken);
	taken->ncounters = taken->ndescription = 0;

	/* nobody but this worker frees it, or gives its place to another */
	LWLockAcquire(directory(), LW_EXCLUSIVE);
	Assert(entry->key.database == database && entry->ncounters == ncounters && entry->ndescription == ndescription);
	take_entry(entry, taken);
	LWLockRelease(directory());
	return true;
}

void
ml_counts_take(Oid database, List **taken)
{
	for (int i = 0; i < ENTRIES; i++)
		(void) take_place(i, database, taken);
}

void
ml_counts_put_back(const List *list)
{
	ListCell   *cell;

	LWLockAcquire(directory(), LW_EXCLUSIVE);
	foreach(cell, list)
	{
		const MlTakenCounts *taken = lfirst(cell);
		int			account;
		int			place;

		if (taken->ncounters == 0)
			continue;			/* what was taken last, not quite */
		account = make_account(taken->key.database);
		if (account != NONE)
			pg_atomic_fetch_sub_u64(&shared->account[account].taken, (int64) taken->counter[ML_COUNT_ROWS]);
		place = find_entry(&taken->key, taken->since, taken->ncounters);
		if (place == NONE && account != NONE)
			place = make_entry(&taken->key, taken->since, taken->until, taken->ncounters,
							   taken->description, taken->ndescription, account);
		if (place != NONE)
		{
			Entry	   *entry = &shared->entry[place];
			uint64	   *to = counters(entry);

			entry->last_at = to[ML_COUNT_ROWS] == 0 ? taken->last_at : Max(entry->last_at, taken->last_at);
			entry->first_at = taken->first_at;
			entry->announced = true;
			for (int i = 0; i < taken->ncounters; i++)
				to[i] += taken->counter[i];
		}
		else if (account != NONE)
			lose(&shared->account[account], ML_LOSS_FULL, taken->counter[ML_COUNT_ROWS]);
	}
	LWLockRelease(directory());
}

void
ml_counts_written(Oid database, uint64 written, uint64 lost)
{
	int			account;

	LWLockAcquire(directory(), LW_EXCLUSIVE);
	account = find_account(database);
	if (account != NONE)
	{
		pg_atomic_fetch_add_u64(&shared->account[account].written, (int64) written);
		pg_atomic_fetch_sub_u64(&shared->account[account].taken, (int64) (written + lost));
		lose(&shared->account[account], ML_LOSS_GONE, lost);
	}
	LWLockRelease(directory());
}

void
ml_counts_give_up(Oid database)
{
	LWLockAcquire(directory(), LW_EXCLUSIVE);
	for (int i = 0; i < ENTRIES; i++)
	{
		Entry	   *entry = &shared->entry[i];

		if (entry->key.database != database)
			continue;
		lose(&shared->account[entry->account], ML_LOSS_UNREACHABLE, counters(entry)[ML_COUNT_ROWS]);
		free_entry(entry);
	}
	LWLockRelease(directory());
}
