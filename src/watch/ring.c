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
#include "miscadmin.h"
#include "pgstat.h"
#include "settings.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/timestamp.h"
#include "watch/ring.h"

#define NSLOTS			64
#define BLOCK_SIZE		(32 * 1024)
#define NONE			(-1)
#define NAP				500L	/* microseconds between looks at a full ring */
#define RETRY			1000	/* milliseconds before a worker is started again, doubled each time */
#define MAX_DOUBLINGS	6
#define MAX_FAILURES	5		/* then what waits is given up */

#define TRANCHE			"mlops_log"

typedef enum WorkerState
{
	WORKER_NONE, WORKER_HIRED, WORKER_RUNS
} WorkerState;

typedef struct Block
{
	int			next;			/* NONE: the last */
	int			used;			/* bytes of data */
	int			nentries;
	char		data[FLEXIBLE_ARRAY_MEMBER];
} Block;

#define BLOCK_HEADER	MAXALIGN(offsetof(Block, data))
#define BLOCK_DATA		(BLOCK_SIZE - BLOCK_HEADER)

/* an entry of a block, followed by its texts; aligned */
typedef struct Entry
{
	TimestampTz at;
	double		prediction;
	uint64		rules;
	float		latency;
	int32		version;
	int32		deployment;
	int32		ninput;			/* -1: none, here and below */
	int16		nkey;
	int16		nlabel;
	uint8		nmodel;
	uint8		nrole;
	bool		has_rules;
} Entry;

typedef struct Slot
{
	Oid			database;		/* InvalidOid: free */
	int			first;			/* of the queue */
	int			last;
	int			taken;			/* chain that the worker reads */
	uint64		ntaken;
	bool		stalled;
	WorkerState state;
	Latch	   *latch;			/* of the worker */
	bool		connected;
	int			failures;
	TimestampTz retry_at;
	uint64		calls;
	uint64		written;
	uint64		waiting;		/* those taken included */
	uint64		lost[ML_NLOSSES];
	uint64		reported[ML_NLOSSES];
} Slot;

typedef struct Ring
{
	slock_t		mutex;			/* of the free list */
	int			free;
	int			nfree;
	int			nblocks;
	Latch	   *launcher;		/* NULL: there is none now */
	uint64		homeless;		/* calls of databases that got no slot */
	Slot		slot[NSLOTS];
} Ring;

static Ring *ring = NULL;
static char *blocks = NULL;
static LWLockPadded *locks = NULL;	/* the directory's, then those of the slots */
static MlShmemRequestHook previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

static int	my_slot = NONE;		/* of the session's database */

/* how far the worker has read; in the worker alone */
static int	read_block = NONE;
static int	read_entry = 0;
static int	read_offset = 0;

static inline LWLock *
directory_lock(void)
{
	return &locks[0].lock;
}

static inline LWLock *
slot_lock(int slot)
{
	return &locks[slot + 1].lock;
}

static inline Block *
block(int i)
{
	return (Block *) (blocks + (Size) i * BLOCK_SIZE);
}

static inline char *
block_data(int i)
{
	return (char *) block(i) + BLOCK_HEADER;
}

/* ---- the memory ---- */

static int
count_blocks(void)
{
	return ml_log_ring_size_kb / (BLOCK_SIZE / 1024);
}

static Size
ring_size(void)
{
	return add_size(MAXALIGN(sizeof(Ring)), mul_size(count_blocks(), BLOCK_SIZE));
}

static void
request(void)
{
	if (previous_request)
		previous_request();
	RequestAddinShmemSpace(ring_size());
	RequestNamedLWLockTranche(TRANCHE, NSLOTS + 1);
}

static void
make_ring(void)
{
	memset(ring, 0, sizeof(Ring));
	SpinLockInit(&ring->mutex);
	ring->nblocks = ring->nfree = count_blocks();
	for (int i = 0; i < ring->nblocks; i++)
		block(i)->next = i + 1 < ring->nblocks ? i + 1 : NONE;
	for (int i = 0; i < NSLOTS; i++)
		ring->slot[i].first = ring->slot[i].last = ring->slot[i].taken = NONE;
}

/* in the postmaster, again after every crash */
static void
startup(void)
{
	bool		found;

	if (previous_startup)
		previous_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	ring = ShmemInitStruct("mlops log", ring_size(), &found);
	blocks = (char *) ring + MAXALIGN(sizeof(Ring));
	locks = GetNamedLWLockTranche(TRANCHE);
	if (!found)
		make_ring();
	LWLockRelease(AddinShmemInitLock);
}

void
ml_ring_request(void)
{
	ml_request_shmem(request, previous_request);
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = startup;
}

bool
ml_ring_exists(void)
{
	return ring != NULL;
}

/* ---- blocks; the caller holds the lock of the slot that they come from or go to ---- */

static int
take_free_block(void)
{
	int			i;

	SpinLockAcquire(&ring->mutex);
	i = ring->free;
	if (i != NONE)
	{
		ring->free = block(i)->next;
		ring->nfree--;
	}
	SpinLockRelease(&ring->mutex);
	if (i != NONE)
	{
		block(i)->next = NONE;
		block(i)->used = block(i)->nentries = 0;
	}
	return i;
}

static void
free_chain(int first)
{
	while (first != NONE)
	{
		int			next = block(first)->next;

		SpinLockAcquire(&ring->mutex);
		block(first)->next = ring->free;
		ring->free = first;
		ring->nfree++;
		SpinLockRelease(&ring->mutex);
		first = next;
	}
}

/* a place for so many bytes at the end of the queue, or NULL */
static char *
reserve(Slot *slot, int size)
{
	char	   *place;

	if (slot->last == NONE || block(slot->last)->used + size > BLOCK_DATA)
	{
		int			next = take_free_block();

		if (next == NONE)
			return NULL;
		if (slot->last == NONE)
			slot->first = next;
		else
			block(slot->last)->next = next;
		slot->last = next;
	}
	place = block_data(slot->last) + block(slot->last)->used;
	block(slot->last)->used += size;
	block(slot->last)->nentries++;
	return place;
}

/* ---- slots ---- */

static bool
is_idle(const Slot *slot)
{
	return slot->first == NONE && slot->taken == NONE && slot->state == WORKER_NONE &&
		memcmp(slot->lost, slot->reported, sizeof(slot->lost)) == 0;
}

static int
find_slot(Oid database)
{
	for (int i = 0; i < NSLOTS; i++)
		if (ring->slot[i].database == database)
			return i;
	return NONE;
}

/* makes a slot that is free, or needed by nobody now, the database's */
static int
claim_slot(Oid database)
{
	for (int pass = 0; pass < 2; pass++)
	{
		for (int i = 0; i < NSLOTS; i++)
		{
			Slot	   *slot = &ring->slot[i];
			bool		claimed;

			LWLockAcquire(slot_lock(i), LW_EXCLUSIVE);
			claimed = pass == 0 ? !OidIsValid(slot->database) : is_idle(slot);
			if (claimed)
			{
				memset(slot, 0, sizeof(Slot));
				slot->first = slot->last = slot->taken = NONE;
				slot->database = database;
			}
			LWLockRelease(slot_lock(i));
			if (claimed)
				return i;
		}
	}
	return NONE;
}

/* The slot of the session's database with its lock held; NULL: there is none and none is free. */
static Slot *
lock_my_slot(bool make)
{
	for (int attempt = 0; attempt < 3; attempt++)
	{
		if (my_slot != NONE)
		{
			LWLockAcquire(slot_lock(my_slot), LW_EXCLUSIVE);
			if (likely(ring->slot[my_slot].database == MyDatabaseId))
				return &ring->slot[my_slot];
			LWLockRelease(slot_lock(my_slot));
		}
		LWLockAcquire(directory_lock(), LW_EXCLUSIVE);
		my_slot = find_slot(MyDatabaseId);
		if (my_slot == NONE && make)
			my_slot = claim_slot(MyDatabaseId);
		if (my_slot == NONE && make)
			ring->homeless++;
		LWLockRelease(directory_lock());
		if (my_slot == NONE)
			break;
	}
	return NULL;
}

static void
wake(Latch *latch)
{
	if (latch != NULL)
		SetLatch(latch);
}

/* ---- producers ---- */

static int
entry_size(const MlLogCall *call)
{
	Size		size = sizeof(Entry) + call->nmodel + call->nrole;

	size += call->key ? call->nkey : 0;
	size += call->label ? call->nlabel : 0;
	size += call->input ? call->ninput : 0;
	return (int) MAXALIGN(size);
}

static char *
put_bytes(char *to, const char *from, int n)
{
	if (from == NULL)
		return to;
	memcpy(to, from, n);
	return to + n;
}

static void
put_entry(char *place, const MlLogCall *call)
{
	Entry	   *entry = (Entry *) place;

	entry->at = call->at;
	entry->prediction = call->prediction;
	entry->rules = call->rules;
	entry->latency = call->latency;
	entry->version = call->version;
	entry->deployment = call->deployment;
	entry->has_rules = call->has_rules;
	entry->nmodel = call->nmodel;
	entry->nrole = call->nrole;
	entry->nkey = call->key ? call->nkey : NONE;
	entry->nlabel = call->label ? call->nlabel : NONE;
	entry->ninput = call->input ? call->ninput : NONE;
	place += sizeof(Entry);
	place = put_bytes(place, call->model, call->nmodel);
	place = put_bytes(place, call->role, call->nrole);
	place = put_bytes(place, call->key, call->nkey);
	place = put_bytes(place, call->label, call->nlabel);
	put_bytes(place, call->input, call->ninput);
}

/* whom to tell that there is something to do; NULL: nobody, or he knows */
static Latch *
whom_to_wake(const Slot *slot)
{
	if (slot->state == WORKER_NONE)
		return slot->waiting == 1 || slot->failures == 0 ? ring->launcher : NULL;
	/* the worker comes by itself, unless memory gets short */
	return slot->latch != NULL && ring->nfree < ring->nblocks / 2 ? slot->latch : NULL;
}

/* counts a call that will not be logged; the slot is locked */
static void
lose(Slot *slot, MlLogLoss reason)
{
	slot->calls++;
	slot->lost[reason]++;
}

/* one try; false: full */
static bool
try_put(Slot *slot, const MlLogCall *call, int size, Latch **latch)
{
	char	   *place = reserve(slot, size);

	*latch = NULL;
	if (place == NULL)
	{
		*latch = slot->latch ? slot->latch : ring->launcher;
		return false;
	}
	put_entry(place, call);
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
	int			size = entry_size(&call);

	if (size > BLOCK_DATA)
	{
		call.input = NULL;
		size = entry_size(&call);
	}
	for (;;)
	{
		bool		recovery = RecoveryInProgress();
		Slot	   *slot = lock_my_slot(true);
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
		LWLockRelease(slot_lock(my_slot));
		wake(latch);
		if (done)
			return;
		nap();
		waited += NAP;
	}
}

bool
ml_ring_counts(MlRingCounts *counts)
{
	Slot	   *slot = ring == NULL ? NULL : lock_my_slot(false);

	memset(counts, 0, sizeof(MlRingCounts));
	if (slot == NULL)
		return false;
	counts->calls = slot->calls;
	counts->written = slot->written;
	counts->waiting = slot->waiting;
	memcpy(counts->lost, slot->lost, sizeof(counts->lost));
	counts->has_worker = slot->state == WORKER_RUNS;
	LWLockRelease(slot_lock(my_slot));
	return true;
}

uint64
ml_ring_homeless(void)
{
	uint64		homeless;

	LWLockAcquire(directory_lock(), LW_SHARED);
	homeless = ring->homeless;
	LWLockRelease(directory_lock());
	return homeless;
}

bool
ml_ring_hurry(void)
{
	Slot	   *slot = ring == NULL ? NULL : lock_my_slot(false);
	Latch	   *latch;
	bool		waits;

	if (slot == NULL)
		return false;
	waits = slot->waiting > 0;
	latch = slot->state == WORKER_NONE ? ring->launcher : slot->latch;
	LWLockRelease(slot_lock(my_slot));
	if (waits)
		wake(latch);
	return waits;
}

/* ---- the launcher ---- */

int
ml_ring_nslots(void)
{
	return NSLOTS;
}

/* a launcher that is new knows nothing of workers that the one before it asked for */
void
ml_ring_launcher_is(Latch *latch)
{
	ring->launcher = latch;
	for (int i = 0; latch != NULL && i < NSLOTS; i++)
	{
		LWLockAcquire(slot_lock(i), LW_EXCLUSIVE);
		if (ring->slot[i].state == WORKER_HIRED)
			ring->slot[i].state = WORKER_NONE;
		LWLockRelease(slot_lock(i));
	}
}

static bool
needs_worker(const Slot *slot)
{
	return OidIsValid(slot->database) && slot->state == WORKER_NONE && !is_idle(slot);
}

bool
ml_ring_hire(int i, Oid *database)
{
	Slot	   *slot = &ring->slot[i];
	bool		hire;

	LWLockAcquire(slot_lock(i), LW_EXCLUSIVE);
	hire = needs_worker(slot) && slot->retry_at <= GetCurrentTimestamp();
	if (hire)
	{
		*database = slot->database;
		slot->state = WORKER_HIRED;
		slot->connected = false;
	}
	LWLockRelease(slot_lock(i));
	return hire;
}

/* what waits is lost; the slot is locked */
static void
give_up(Slot *slot)
{
	free_chain(slot->taken);
	free_chain(slot->first);
	slot->first = slot->last = slot->taken = NONE;
	slot->lost[ML_LOSS_UNREACHABLE] += slot->waiting;
	slot->waiting = slot->ntaken = 0;
	slot->stalled = false;
	/* where nobody can connect, nobody can report it */
	if (!slot->connected)
		memcpy(slot->reported, slot->lost, sizeof(slot->lost));
}

static void
count_failure(Slot *slot)
{
	slot->retry_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												 RETRY << Min(slot->failures, MAX_DOUBLINGS));
	if (++slot->failures >= MAX_FAILURES)
		give_up(slot);
}

void
ml_ring_hire_failed(int i)
{
	Slot	   *slot = &ring->slot[i];

	LWLockAcquire(slot_lock(i), LW_EXCLUSIVE);
	if (slot->state == WORKER_HIRED)
	{
		slot->state = WORKER_NONE;
		count_failure(slot);
	}
	LWLockRelease(slot_lock(i));
}

long
ml_ring_hire_timeout(void)
{
	bool		waits = false;

	for (int i = 0; i < NSLOTS; i++)
	{
		LWLockAcquire(slot_lock(i), LW_SHARED);
		waits = waits || needs_worker(&ring->slot[i]) || ring->slot[i].state == WORKER_HIRED;
		LWLockRelease(slot_lock(i));
	}
	return waits ? RETRY : -1;
}

/* ---- the worker ---- */

bool
ml_ring_attach(int i, Latch *latch, Oid *database)
{
	Slot	   *slot = &ring->slot[i];
	bool		attached;

	LWLockAcquire(slot_lock(i), LW_EXCLUSIVE);
	attached = OidIsValid(slot->database) && slot->state != WORKER_RUNS;
	if (attached)
	{
		slot->state = WORKER_RUNS;
		slot->latch = latch;
		slot->connected = false;
		*database = slot->database;
	}
	LWLockRelease(slot_lock(i));
	return attached;
}

void
ml_ring_connected(int i)
{
	LWLockAcquire(slot_lock(i), LW_EXCLUSIVE);
	ring->slot[i].connected = true;
	LWLockRelease(slot_lock(i));
}

static void
leave(Slot *slot)
{
	slot->state = WORKER_NONE;
	slot->latch = NULL;
}

void
ml_ring_detach(int i)
{
	Slot	   *slot = &ring->slot[i];
	bool		failed;

	LWLockAcquire(slot_lock(i), LW_EXCLUSIVE);
	failed = !slot->connected || slot->taken != NONE;
	if (slot->taken != NONE)
	{
		int			end = slot->taken;

		while (block(end)->next != NONE)
			end = block(end)->next;
		block(end)->next = slot->first;
		if (slot->first == NONE)
			slot->last = end;
		slot->first = slot->taken;
		slot->taken = NONE;
		slot->ntaken = 0;
	}
	leave(slot);
	if (failed)
		count_failure(slot);
	LWLockRelease(slot_lock(i));
	wake(ring->launcher);
}

bool
ml_ring_detach_if_idle(int i)
{
	Slot	   *slot = &ring->slot[i];
	bool		idle;

	LWLockAcquire(slot_lock(i), LW_EXCLUSIVE);
	idle = slot->waiting == 0;
	if (idle)
		leave(slot);
	LWLockRelease(slot_lock(i));
	return idle;
}

bool
ml_ring_is_pressed(int i)
{
	bool		pressed;

	LWLockAcquire(slot_lock(i), LW_SHARED);
	pressed = ring->slot[i].first != ring->slot[i].last;
	LWLockRelease(slot_lock(i));
	return pressed;
}

uint64
ml_ring_take(int i)
{
	Slot	   *slot = &ring->slot[i];
	int			limit = Max(ring->nblocks / 4, 1);
	int			end;

	LWLockAcquire(slot_lock(i), LW_EXCLUSIVE);
	Assert(slot->taken == NONE);
	slot->ntaken = 0;
	slot->taken = end = slot->first;
	while (end != NONE)
	{
		slot->ntaken += block(end)->nentries;
		if (--limit == 0 || block(end)->next == NONE)
			break;
		end = block(end)->next;
	}
	if (end != NONE)
	{
		slot->first = block(end)->next;
		block(end)->next = NONE;
		if (slot->first == NONE)
			slot->last = NONE;
	}
	LWLockRelease(slot_lock(i));
	ml_ring_rewind(i);
	return slot->ntaken;
}

void
ml_ring_rewind(int i)
{
	read_block = ring->slot[i].taken;
	read_entry = read_offset = 0;
}

static const char *
get_bytes(const char **from, int n)
{
	const char *bytes = *from;

	if (n < 0)
		return NULL;
	*from += n;
	return bytes;
}

bool
ml_ring_next(int i, MlLogCall *call)
{
	const Entry *entry;
	const char *bytes;

	if (read_block != NONE && read_entry == block(read_block)->nentries)
	{
		read_block = block(read_block)->next;
		read_entry = read_offset = 0;
	}
	if (read_block == NONE)
		return false;
	entry = (const Entry *) (block_data(read_block) + read_offset);
	bytes = (const char *) entry + sizeof(Entry);
	call->at = entry->at;
	call->prediction = entry->prediction;
	call->rules = entry->rules;
	call->has_rules = entry->has_rules;
	call->latency = entry->latency;
	call->version = entry->version;
	call->deployment = entry->deployment;
	call->model = get_bytes(&bytes, call->nmodel = entry->nmodel);
	call->role = get_bytes(&bytes, call->nrole = entry->nrole);
	call->key = get_bytes(&bytes, call->nkey = entry->nkey);
	call->label = get_bytes(&bytes, call->nlabel = entry->nlabel);
	call->input = get_bytes(&bytes, call->ninput = entry->ninput);
	read_offset += entry_size(call);
	read_entry++;
	return true;
}

void
ml_ring_done(int i, uint64 written, MlLogLoss reason)
{
	Slot	   *slot = &ring->slot[i];

	LWLockAcquire(slot_lock(i), LW_EXCLUSIVE);
	Assert(written <= slot->ntaken && slot->ntaken <= slot->waiting);
	free_chain(slot->taken);
	slot->taken = NONE;
	slot->written += written;
	slot->lost[reason] += slot->ntaken - written;
	slot->waiting -= slot->ntaken;
	slot->ntaken = 0;
	slot->stalled = false;
	slot->failures = 0;
	LWLockRelease(slot_lock(i));
	read_block = NONE;
}

bool
ml_ring_unreported(int i, uint64 *lost)
{
	Slot	   *slot = &ring->slot[i];
	bool		any = false;

	LWLockAcquire(slot_lock(i), LW_SHARED);
	for (int r = 0; r < ML_NLOSSES; r++)
	{
		lost[r] = slot->lost[r] - slot->reported[r];
		any = any || lost[r] > 0;
	}
	LWLockRelease(slot_lock(i));
	return any;
}

void
ml_ring_reported(int i, const uint64 *lost)
{
	Slot	   *slot = &ring->slot[i];

	LWLockAcquire(slot_lock(i), LW_EXCLUSIVE);
	for (int r = 0; r < ML_NLOSSES; r++)
		slot->reported[r] += lost[r];
	LWLockRelease(slot_lock(i));
}
