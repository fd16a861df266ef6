/*
 * counts_private.h
 *		How counts lie in shared memory: shared by the two sides, counts_shared.c
 *		(processes that count) and counts_worker.c (who writes them).
 */
#ifndef ML_COUNTS_PRIVATE_H
#define ML_COUNTS_PRIVATE_H

#include "postgres.h"

#include "log/counts.h"
#include "port/atomics.h"
#include "storage/lwlock.h"

#define ML_COUNTS_ENTRIES	512
#define ML_COUNTS_ACCOUNTS	64
#define ML_COUNTS_NONE		(-1)

typedef struct MlCountsEntry
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
} MlCountsEntry;

/* what became of the rows of a database */
typedef struct MlCountsAccount
{
	Oid			database;		/* InvalidOid: free */
	pg_atomic_uint64 counted;
	pg_atomic_uint64 written;
	pg_atomic_uint64 taken;		/* by the worker, that has not written them yet */
	pg_atomic_uint64 lost[ML_NLOSSES];
} MlCountsAccount;

typedef struct MlCountsShared
{
	Size		size;			/* of the arena */
	Size		used;
	MlCountsAccount account[ML_COUNTS_ACCOUNTS];
	MlCountsEntry entry[ML_COUNTS_ENTRIES];
} MlCountsShared;

/* counts_shared.c */
extern MlCountsShared *ml_counts;
extern char *ml_counts_arena;
extern LWLockPadded *ml_counts_locks;	/* the directory's, then those of the entries */

static inline LWLock *
ml_counts_directory(void)
{
	return &ml_counts_locks[0].lock;
}

static inline LWLock *
ml_counts_entry_lock(int i)
{
	return &ml_counts_locks[i + 1].lock;
}

static inline uint64 *
ml_counts_counters(const MlCountsEntry *entry)
{
	return (uint64 *) (ml_counts_arena + entry->offset);
}

static inline void
ml_counts_lose(MlCountsAccount *account, MlLogLoss reason, uint64 rows)
{
	pg_atomic_fetch_add_u64(&account->lost[reason], (int64) rows);
}

/* under a lock of the directory, exclusive to make one; ML_COUNTS_NONE: there is none, or no place for one */
extern int	ml_counts_find_account(Oid database);
extern int	ml_counts_make_account(Oid database);

/* under the exclusive lock of the directory; ML_COUNTS_NONE: there is none, or no room for one */
extern int	ml_counts_find_entry(const MlCountsKey *key, TimestampTz since, int ncounters);
extern int	ml_counts_make_entry(const MlCountsKey *key, TimestampTz since, TimestampTz until, int ncounters,
								 const char *description, int ndescription, int account);
extern void ml_counts_free_entry(MlCountsEntry *entry);

#endif							/* ML_COUNTS_PRIVATE_H */
