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
#include "log/counts_private.h"
#include "miscadmin.h"
#include "settings.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

MlCountsShared *ml_counts = NULL;
char	   *ml_counts_arena = NULL;
LWLockPadded *ml_counts_locks = NULL;
static int	my_account = ML_COUNTS_NONE;

/* ---- the memory ---- */

static Size
shared_size(void)
{
	return add_size(MAXALIGN(sizeof(MlCountsShared)), mul_size(ml_statistics_size_kb, 1024));
}

static void
clear_account(MlCountsAccount *account, Oid database)
{
	account->database = database;
	pg_atomic_init_u64(&account->counted, 0);
	pg_atomic_init_u64(&account->written, 0);
	pg_atomic_init_u64(&account->taken, 0);
	for (int i = 0; i < ML_NLOSSES; i++)
		pg_atomic_init_u64(&account->lost[i], 0);
}

static void
attach(void *memory, LWLockPadded *locks, bool is_new)
{
	ml_counts = memory;
	ml_counts_arena = (char *) memory + MAXALIGN(sizeof(MlCountsShared));
	ml_counts_locks = locks;
	if (!is_new)
		return;
	memset(ml_counts, 0, sizeof(MlCountsShared));
	ml_counts->size = (Size) ml_statistics_size_kb * 1024;
	for (int i = 0; i < ML_COUNTS_ACCOUNTS; i++)
		clear_account(&ml_counts->account[i], InvalidOid);
}

const MlSharedPiece ml_counts_piece = {
	.name = "mlops statistics",
	.tranche = "mlops_statistics",
	.nlocks = ML_COUNTS_ENTRIES + 1,
	.size = shared_size,
	.attach = attach
};

bool
ml_counts_exist(void)
{
	return ml_counts != NULL;
}

static inline bool
is_used(const MlCountsEntry *entry)
{
	return OidIsValid(entry->key.database);
}

/* ---- accounts; under a lock of the directory, exclusive to make one ---- */

static bool
has_entries(Oid database)
{
	for (int i = 0; i < ML_COUNTS_ENTRIES; i++)
		if (ml_counts->entry[i].key.database == database)
			return true;
	return false;
}

int
ml_counts_find_account(Oid database)
{
	for (int i = 0; i < ML_COUNTS_ACCOUNTS; i++)
		if (ml_counts->account[i].database == database)
			return i;
	return ML_COUNTS_NONE;
}

static bool
is_busy(const MlCountsAccount *account)
{
	return has_entries(account->database) || pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &account->taken)) != 0;
}

/* a free one, or that of a database of which nothing waits; ML_COUNTS_NONE: more databases count at once */
int
ml_counts_make_account(Oid database)
{
	int			i = ml_counts_find_account(database);

	if (i == ML_COUNTS_NONE)
		i = ml_counts_find_account(InvalidOid);
	for (int k = 0; i == ML_COUNTS_NONE && k < ML_COUNTS_ACCOUNTS; k++)
		if (!is_busy(&ml_counts->account[k]))
			i = k;
	if (i != ML_COUNTS_NONE && ml_counts->account[i].database != database)
		clear_account(&ml_counts->account[i], database);
	return i;
}

static inline bool
is_my_account(void)
{
	return my_account != ML_COUNTS_NONE && ml_counts->account[my_account].database == MyDatabaseId;
}

/* ---- entries; under the exclusive lock of the directory ---- */

static bool
same_entry(const MlCountsEntry *entry, const MlCountsKey *key, TimestampTz since, int ncounters)
{
	return entry->since == since && entry->ncounters == ncounters && memcmp(&entry->key, key, sizeof(MlCountsKey)) == 0;
}

int
ml_counts_find_entry(const MlCountsKey *key, TimestampTz since, int ncounters)
{
	for (int i = 0; i < ML_COUNTS_ENTRIES; i++)
		if (same_entry(&ml_counts->entry[i], key, since, ncounters))
			return i;
	return ML_COUNTS_NONE;
}

/* closes the gap */
void
ml_counts_free_entry(MlCountsEntry *entry)
{
	Size		end = entry->offset + entry->size;

	memmove(ml_counts_arena + entry->offset, ml_counts_arena + end, ml_counts->used - end);
	ml_counts->used -= entry->size;
	for (int i = 0; i < ML_COUNTS_ENTRIES; i++)
		if (is_used(&ml_counts->entry[i]) && ml_counts->entry[i].offset > entry->offset)
			ml_counts->entry[i].offset -= entry->size;
	memset(entry, 0, sizeof(MlCountsEntry));
}

/* those of which nothing waits, of any database */
static void
free_empty_entries(void)
{
	for (int i = 0; i < ML_COUNTS_ENTRIES; i++)
		if (is_used(&ml_counts->entry[i]) && ml_counts_counters(&ml_counts->entry[i])[ML_COUNT_ROWS] == 0)
			ml_counts_free_entry(&ml_counts->entry[i]);
}

static int
free_place(Size size)
{
	if (size > ml_counts->size - ml_counts->used)
		return ML_COUNTS_NONE;
	for (int i = 0; i < ML_COUNTS_ENTRIES; i++)
		if (!is_used(&ml_counts->entry[i]))
			return i;
	return ML_COUNTS_NONE;
}

/* ML_COUNTS_NONE: no room */
int
ml_counts_make_entry(const MlCountsKey *key, TimestampTz since, TimestampTz until, int ncounters,
					 const char *description, int ndescription, int account)
{
	Size		size = MAXALIGN(sizeof(uint64) * (Size) ncounters + ndescription);
	int			place = free_place(size);
	MlCountsEntry *entry;

	if (place == ML_COUNTS_NONE)
	{
		free_empty_entries();
		place = free_place(size);
	}
	if (place == ML_COUNTS_NONE)
		return ML_COUNTS_NONE;
	entry = &ml_counts->entry[place];
	entry->key = *key;
	entry->since = since;
	entry->until = until;
	entry->announced = false;
	entry->account = account;
	entry->ncounters = ncounters;
	entry->ndescription = ndescription;
	entry->offset = ml_counts->used;
	entry->size = size;
	ml_counts->used += size;
	memset(ml_counts_counters(entry), 0, sizeof(uint64) * (Size) ncounters);
	memcpy(ml_counts_counters(entry) + ncounters, description, ndescription);
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
	MlCountsEntry *entry = &ml_counts->entry[place];
	uint64	   *to = ml_counts_counters(entry);
	bool		announce;

	LWLockAcquire(ml_counts_entry_lock(place), LW_EXCLUSIVE);
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
	LWLockRelease(ml_counts_entry_lock(place));
	return announce;
}

/* the entry of these counts, made if there is room; the directory is locked exclusively then */
static int
find_or_make(MlCounts *counts, TimestampTz since, TimestampTz until)
{
	int			place;

	my_account = ml_counts_make_account(MyDatabaseId);
	if (my_account == ML_COUNTS_NONE)
		return ML_COUNTS_NONE;
	place = ml_counts_find_entry(&counts->key, since, counts->shape.ncounters);
	if (place == ML_COUNTS_NONE)
		place = ml_counts_make_entry(&counts->key, since, until, counts->shape.ncounters,
									 counts->description.data, counts->description.len, my_account);
	return place;
}

static void
publish_lost(MlLogLoss reason, int nrows)
{
	if (my_account == ML_COUNTS_NONE)
		return;
	pg_atomic_fetch_add_u64(&ml_counts->account[my_account].counted, nrows);
	ml_counts_lose(&ml_counts->account[my_account], reason, nrows);
}

void
ml_counts_publish(MlCounts *counts)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz since;
	TimestampTz until;
	bool		recovery = RecoveryInProgress();

	part_of(now, &since, &until);
	LWLockAcquire(ml_counts_directory(), LW_SHARED);
	if (!is_my_account() ||
		(!recovery && (counts->place == ML_COUNTS_NONE ||
					   !same_entry(&ml_counts->entry[counts->place], &counts->key, since, counts->shape.ncounters))))
	{
		LWLockRelease(ml_counts_directory());
		LWLockAcquire(ml_counts_directory(), LW_EXCLUSIVE);
		if (recovery)
			my_account = ml_counts_make_account(MyDatabaseId);
		else
			counts->place = find_or_make(counts, since, until);
	}
	if (recovery)
		publish_lost(ML_LOSS_STANDBY, counts->nrows);
	else if (counts->place == ML_COUNTS_NONE)
		publish_lost(ML_LOSS_FULL, counts->nrows);
	else
	{
		pg_atomic_fetch_add_u64(&ml_counts->account[my_account].counted, counts->nrows);
		if (add(counts->place, counts, now) && !ml_ring_want_statistics(ml_statistics_flush_interval_ms))
			ml_counts->entry[counts->place].announced = false; /* the next one tries again */
	}
	counts->published_at = now;
	LWLockRelease(ml_counts_directory());
}

void
ml_counts_totals(MlCountsTotals *totals)
{
	int			i;

	memset(totals, 0, sizeof(MlCountsTotals));
	if (ml_counts == NULL)
		return;
	/* exclusive, so that nothing is on its way from one to the other */
	LWLockAcquire(ml_counts_directory(), LW_EXCLUSIVE);
	totals->bytes = ml_counts->used;
	i = ml_counts_find_account(MyDatabaseId);
	if (i != ML_COUNTS_NONE)
	{
		MlCountsAccount *account = &ml_counts->account[i];

		totals->counted = pg_atomic_read_u64(&account->counted);
		totals->written = pg_atomic_read_u64(&account->written);
		totals->waiting = pg_atomic_read_u64(&account->taken);
		for (int r = 0; r < ML_NLOSSES; r++)
			totals->lost[r] = pg_atomic_read_u64(&account->lost[r]);
		for (int e = 0; e < ML_COUNTS_ENTRIES; e++)
			if (ml_counts->entry[e].key.database == MyDatabaseId)
				totals->waiting += ml_counts_counters(&ml_counts->entry[e])[ML_COUNT_ROWS];
	}
	LWLockRelease(ml_counts_directory());
}
