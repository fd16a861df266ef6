/*
 * ring.c
 *		The shared memory through which calls get to the log writer.
 *
 * The memory is cut into blocks. A database with calls to log has a slot with
 * a queue of blocks; producers append to the last block of their database's
 * queue, the worker of the slot takes blocks off its front. Blocks that nobody
 * uses are in one free list, so that a busy database has all of the memory and
 * an idle one none, and no database's worker waits for another's.
 *
 * The protocol, and why it holds:
 *
 * - A slot's lock (LWLock) protects the slot and its queue. A producer copies
 *   its entry while it holds it: there is no state between "reserved" and
 *   "published" that anybody could see, and nothing to be wedged by a producer
 *   that ends. No interrupt is served while an LWLock is held, so that a
 *   producer leaves either before or after; one that is killed (kill -9, a
 *   crash) makes the postmaster restart all processes with new shared memory.
 * - Taken blocks belong to the worker alone: read without a lock, and free only
 *   after the transaction that writes them has committed. A worker that fails
 *   or is terminated puts them back at the front of the queue. Between a commit
 *   and ml_ring_done() the worker serves no interrupts, so nothing is written
 *   twice.
 * - The free list has a spinlock, held for a few instructions. Locks are taken
 *   in the order: directory, slot, free list.
 * - A slot belongs to one database until the slot is needed by another one and
 *   has no queue, no worker and nothing to report. Who remembers a slot looks,
 *   under its lock, whether it is still its database's.
 * - Every call that was to be logged is added to "calls" under the lock under
 *   which it is put into the queue or counted as lost: calls = written +
 *   waiting + lost at any time.
 *
 * A producer that finds no free block waits, in short naps without a lock, for
 * mlops.log_wait at most. When that was in vain, the slot is stalled: nobody
 * waits again until a block has become free. Nothing waits during recovery.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "compat.h"
#include "log/ring_private.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "settings.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#define NAP				500L	/* microseconds between looks at a full ring */

MlRing	   *ml_ring = NULL;
char	   *ml_ring_blocks = NULL;
LWLockPadded *ml_ring_locks = NULL;
static int	my_slot = ML_RING_NONE; /* of the session's database */

/* ---- the memory ---- */

static int
count_blocks(void)
{
	return ml_log_ring_size_kb / (ML_RING_BLOCK_SIZE / 1024);
}

static Size
ring_size(void)
{
	return add_size(MAXALIGN(sizeof(MlRing)), mul_size(count_blocks(), ML_RING_BLOCK_SIZE));
}

static void
make_ring(void)
{
	memset(ml_ring, 0, sizeof(MlRing));
	SpinLockInit(&ml_ring->mutex);
	ml_ring->nblocks = ml_ring->nfree = count_blocks();
	for (int i = 0; i < ml_ring->nblocks; i++)
		ml_ring_block(i)->next = i + 1 < ml_ring->nblocks ? i + 1 : ML_RING_NONE;
	for (int i = 0; i < ML_RING_SLOTS; i++)
		ml_ring->slot[i].first = ml_ring->slot[i].last = ml_ring->slot[i].taken = ML_RING_NONE;
}

static void
attach(void *memory, LWLockPadded *locks, bool is_new)
{
	ml_ring = memory;
	ml_ring_blocks = (char *) memory + MAXALIGN(sizeof(MlRing));
	ml_ring_locks = locks;
	if (is_new)
		make_ring();
}

const MlSharedPiece ml_ring_piece = {
	.name = "mlops log",
	.tranche = "mlops_log",
	.nlocks = ML_RING_SLOTS + 1,
	.size = ring_size,
	.attach = attach
};

bool
ml_ring_exists(void)
{
	return ml_ring != NULL;
}

/* ---- blocks; the caller holds the lock of the slot that they come from or go to ---- */

static int
take_free_block(void)
{
	int			i;

	SpinLockAcquire(&ml_ring->mutex);
	i = ml_ring->free;
	if (i != ML_RING_NONE)
	{
		ml_ring->free = ml_ring_block(i)->next;
		ml_ring->nfree--;
	}
	SpinLockRelease(&ml_ring->mutex);
	if (i != ML_RING_NONE)
	{
		ml_ring_block(i)->next = ML_RING_NONE;
		ml_ring_block(i)->used = ml_ring_block(i)->nentries = 0;
	}
	return i;
}

/* a place for so many bytes at the end of the queue, or NULL */
static char *
reserve(MlRingSlot *slot, int size)
{
	char	   *place;

	if (slot->last == ML_RING_NONE || ml_ring_block(slot->last)->used + size > ML_RING_BLOCK_DATA)
	{
		int			next = take_free_block();

		if (next == ML_RING_NONE)
			return NULL;
		if (slot->last == ML_RING_NONE)
			slot->first = next;
		else
			ml_ring_block(slot->last)->next = next;
		slot->last = next;
	}
	place = ml_ring_block_data(slot->last) + ml_ring_block(slot->last)->used;
	ml_ring_block(slot->last)->used += size;
	ml_ring_block(slot->last)->nentries++;
	return place;
}

/* ---- slots ---- */

static int
find_slot(Oid database)
{
	for (int i = 0; i < ML_RING_SLOTS; i++)
		if (ml_ring->slot[i].database == database)
			return i;
	return ML_RING_NONE;
}

/* makes a slot that is free, or needed by nobody now, the database's */
static int
claim_slot(Oid database)
{
	for (int pass = 0; pass < 2; pass++)
	{
		for (int i = 0; i < ML_RING_SLOTS; i++)
		{
			MlRingSlot *slot = &ml_ring->slot[i];
			bool		claimed;

			LWLockAcquire(ml_ring_slot_lock(i), LW_EXCLUSIVE);
			claimed = pass == 0 ? !OidIsValid(slot->database) : ml_ring_is_idle(slot);
			if (claimed)
			{
				memset(slot, 0, sizeof(MlRingSlot));
				slot->first = slot->last = slot->taken = ML_RING_NONE;
				slot->database = database;
			}
			LWLockRelease(ml_ring_slot_lock(i));
			if (claimed)
				return i;
		}
	}
	return ML_RING_NONE;
}

/* The slot of the session's database with its lock held; NULL: there is none and none is free. */
static MlRingSlot *
lock_my_slot(bool make)
{
	for (int attempt = 0; attempt < 3; attempt++)
	{
		if (my_slot != ML_RING_NONE)
		{
			LWLockAcquire(ml_ring_slot_lock(my_slot), LW_EXCLUSIVE);
			if (likely(ml_ring->slot[my_slot].database == MyDatabaseId))
				return &ml_ring->slot[my_slot];
			LWLockRelease(ml_ring_slot_lock(my_slot));
		}
		LWLockAcquire(ml_ring_directory_lock(), LW_EXCLUSIVE);
		my_slot = find_slot(MyDatabaseId);
		if (my_slot == ML_RING_NONE && make)
			my_slot = claim_slot(MyDatabaseId);
		if (my_slot == ML_RING_NONE && make)
			ml_ring->homeless++;
		LWLockRelease(ml_ring_directory_lock());
		if (my_slot == ML_RING_NONE)
			break;
	}
	return NULL;
}

/* ---- producers ---- */

static char *
put_bytes(char *to, const char *from, int n)
{
	if (from == NULL)
		return to;
	memcpy(to, from, n);
	return to + n;
}

static void
put_entry(char *place, const MlLogCall *call, int size)
{
	MlRingEntry *entry = (MlRingEntry *) place;

	entry->at = call->at;
	entry->prediction = call->prediction;
	entry->rules = call->rules;
	entry->errors = call->errors;
	entry->checks = call->checks;
	entry->latency = call->latency;
	entry->version = call->version;
	entry->deployment = call->deployment;
	entry->size = size;
	entry->has_rules = call->has_rules;
	entry->has_checks = call->has_checks;
	entry->nmodel = call->nmodel;
	entry->nrole = call->nrole;
	entry->nkey = call->key ? call->nkey : ML_RING_NONE;
	entry->nlabel = call->label ? call->nlabel : ML_RING_NONE;
	entry->ninput = call->input ? call->ninput : ML_RING_NONE;
	entry->nshadows = call->shadows ? call->nshadows : ML_RING_NONE;
	place += sizeof(MlRingEntry);
	place = put_bytes(place, call->model, call->nmodel);
	place = put_bytes(place, call->role, call->nrole);
	place = put_bytes(place, call->key, call->nkey);
	place = put_bytes(place, call->label, call->nlabel);
	place = put_bytes(place, call->input, call->ninput);
	put_bytes(place, call->shadows, call->nshadows);
}

/* whom to tell that there is something to do; NULL: nobody, or he knows */
static Latch *
whom_to_wake(const MlRingSlot *slot)
{
	if (slot->state == ML_WORKER_NONE)
		return slot->waiting == 1 || slot->failures == 0 ? ml_ring->launcher : NULL;
	/* the worker comes by itself, unless memory gets short */
	return slot->latch != NULL && ml_ring->nfree < ml_ring->nblocks / 2 ? slot->latch : NULL;
}

/* counts a call that will not be logged; the slot is locked */
static void
lose(MlRingSlot *slot, MlLogLoss reason)
{
	slot->calls++;
	slot->lost[reason]++;
}

/* one try; false: full */
static bool
try_put(MlRingSlot *slot, const MlLogCall *call, int size, Latch **latch)
{
	char	   *place = reserve(slot, size);

	*latch = NULL;
	if (place == NULL)
	{
		*latch = slot->latch ? slot->latch : ml_ring->launcher;
		return false;
	}
	put_entry(place, call, size);
	slot->calls++;
	slot->waiting++;
	*latch = whom_to_wake(slot);
	return true;
}

/* naps until there may be room; the slot is not locked */
static void
nap(void)
{
	CHECK_FOR_INTERRUPTS();
	pgstat_report_wait_start(PG_WAIT_EXTENSION);
	pg_usleep(NAP);
	pgstat_report_wait_end();
}

void
ml_ring_put(const MlLogCall *given)
{
	MlLogCall	call = *given;
	int64		waited = 0;
	int			size = ml_ring_entry_size(&call);

	if (size > ML_RING_BLOCK_DATA)
	{
		call.input = NULL;
		size = ml_ring_entry_size(&call);
	}
	if (size > ML_RING_BLOCK_DATA)
	{
		call.shadows = NULL;
		size = ml_ring_entry_size(&call);
	}
	for (;;)
	{
		bool		recovery = RecoveryInProgress();
		MlRingSlot *slot = lock_my_slot(true);
		Latch	   *latch = NULL;
		bool		done;

		if (slot == NULL)
			return;
		done = recovery || try_put(slot, &call, size, &latch);
		if (recovery)
			lose(slot, ML_LOSS_STANDBY);
		else if (!done && (slot->stalled || waited >= (int64) ml_log_wait_ms * 1000))
		{
			lose(slot, ML_LOSS_FULL);
			slot->stalled = done = true;
		}
		LWLockRelease(ml_ring_slot_lock(my_slot));
		ml_ring_wake(latch);
		if (done)
			return;
		nap();
		waited += NAP;
	}
}

/* a worker comes by itself, and the launcher reckons when it is to start one */
bool
ml_ring_want_statistics(int delay)
{
	MlRingSlot *slot = lock_my_slot(true);
	TimestampTz at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), delay);
	Latch	   *latch;

	if (slot == NULL)
		return false;
	if (!slot->statistics || at < slot->statistics_at)
		slot->statistics_at = at;
	slot->statistics = true;
	latch = slot->state == ML_WORKER_NONE ? ml_ring->launcher : delay == 0 ? slot->latch : NULL;
	LWLockRelease(ml_ring_slot_lock(my_slot));
	ml_ring_wake(latch);
	return true;
}

bool
ml_ring_counts(MlRingCounts *counts)
{
	MlRingSlot *slot = ml_ring == NULL ? NULL : lock_my_slot(false);

	memset(counts, 0, sizeof(MlRingCounts));
	if (slot == NULL)
		return false;
	counts->calls = slot->calls;
	counts->written = slot->written;
	counts->waiting = slot->waiting;
	memcpy(counts->lost, slot->lost, sizeof(counts->lost));
	counts->has_worker = slot->state == ML_WORKER_RUNS;
	LWLockRelease(ml_ring_slot_lock(my_slot));
	return true;
}

uint64
ml_ring_homeless(void)
{
	uint64		homeless;

	LWLockAcquire(ml_ring_directory_lock(), LW_SHARED);
	homeless = ml_ring->homeless;
	LWLockRelease(ml_ring_directory_lock());
	return homeless;
}

bool
ml_ring_hurry(void)
{
	MlRingSlot *slot = ml_ring == NULL ? NULL : lock_my_slot(false);
	Latch	   *latch;
	bool		waits;

	if (slot == NULL)
		return false;
	waits = slot->waiting > 0;
	latch = slot->state == ML_WORKER_NONE ? ml_ring->launcher : slot->latch;
	LWLockRelease(ml_ring_slot_lock(my_slot));
	if (waits)
		ml_ring_wake(latch);
	return waits;
}
