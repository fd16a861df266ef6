/*
 * ring_private.h
 *		How the ring lies in shared memory: shared by its two sides, ring.c
 *		(scoring backends) and ring_worker.c (launcher and workers).
 */
#ifndef ML_RING_PRIVATE_H
#define ML_RING_PRIVATE_H

#include "postgres.h"

#include "log/ring.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/spin.h"

#define ML_RING_SLOTS	64
#define ML_RING_BLOCK_SIZE	(32 * 1024)
#define ML_RING_NONE	(-1)

typedef enum MlRingWorker
{
	ML_WORKER_NONE, ML_WORKER_HIRED, ML_WORKER_RUNS
} MlRingWorker;

typedef struct MlRingBlock
{
	int			next;			/* ML_RING_NONE: the last */
	int			used;			/* bytes of data */
	int			nentries;
	char		data[FLEXIBLE_ARRAY_MEMBER];
} MlRingBlock;

#define ML_RING_BLOCK_HEADER	MAXALIGN(offsetof(MlRingBlock, data))
#define ML_RING_BLOCK_DATA	(ML_RING_BLOCK_SIZE - ML_RING_BLOCK_HEADER)

/* an entry of a block, followed by its texts; aligned */
struct MlRingEntry
{
	TimestampTz at;
	double		prediction;
	uint64		rules;
	uint64		errors;
	uint64		checks;
	float		latency;
	int32		version;
	int32		deployment;
	int32		size;			/* with its texts */
	int32		ninput;			/* -1: none, here and below */
	int32		nshadows;
	int16		nkey;
	int16		nlabel;
	uint8		nmodel;
	uint8		nrole;
	bool		has_rules;
	bool		has_checks;
};

typedef struct MlRingSlot
{
	Oid			database;		/* InvalidOid: free */
	int			first;			/* of the queue */
	int			last;
	int			taken;			/* chain that the worker reads */
	uint64		ntaken;
	bool		stalled;
	MlRingWorker state;
	Latch	   *latch;			/* of the worker */
	bool		connected;
	int			failures;
	TimestampTz retry_at;
	bool		statistics;		/* serving statistics wait, until they are due */
	TimestampTz statistics_at;
	uint64		calls;
	uint64		written;
	uint64		waiting;		/* those taken included */
	uint64		lost[ML_NLOSSES];
	uint64		reported[ML_NLOSSES];
} MlRingSlot;

typedef struct MlRing
{
	slock_t		mutex;			/* of the free list */
	int			free;
	int			nfree;
	int			nblocks;
	Latch	   *launcher;		/* NULL: there is none now */
	uint64		homeless;		/* calls of databases that got no slot */
	MlRingSlot	slot[ML_RING_SLOTS];
} MlRing;

/* ring.c */
extern MlRing *ml_ring;
extern char *ml_ring_blocks;
extern LWLockPadded *ml_ring_locks; /* the directory's, then those of the slots */

static inline LWLock *
ml_ring_directory_lock(void)
{
	return &ml_ring_locks[0].lock;
}

static inline LWLock *
ml_ring_slot_lock(int slot)
{
	return &ml_ring_locks[slot + 1].lock;
}

static inline MlRingBlock *
ml_ring_block(int i)
{
	return (MlRingBlock *) (ml_ring_blocks + (Size) i * ML_RING_BLOCK_SIZE);
}

static inline char *
ml_ring_block_data(int i)
{
	return (char *) ml_ring_block(i) + ML_RING_BLOCK_HEADER;
}

/* nobody needs the slot */
static inline bool
ml_ring_is_idle(const MlRingSlot *slot)
{
	return slot->first == ML_RING_NONE && slot->taken == ML_RING_NONE && slot->state == ML_WORKER_NONE && !slot->statistics &&
		memcmp(slot->lost, slot->reported, sizeof(slot->lost)) == 0;
}

static inline void
ml_ring_wake(Latch *latch)
{
	if (latch != NULL)
		SetLatch(latch);
}

static inline int
ml_ring_entry_size(const MlLogCall *call)
{
	Size		size = sizeof(MlRingEntry) + call->nmodel + call->nrole;

	size += call->key ? call->nkey : 0;
	size += call->label ? call->nlabel : 0;
	size += call->input ? call->ninput : 0;
	size += call->shadows ? call->nshadows : 0;
	return (int) MAXALIGN(size);
}

#endif							/* ML_RING_PRIVATE_H */
