/*
 * ring_worker.c
 *		The other side of the ring: who gets a worker, and what a worker takes.
 *
 * ring.c has the protocol. A slot whose queue, or whose counts, need somebody
 * to write them is given a worker by the launcher; one that fails is tried
 * again, later each time, and what waits is given up when that goes on.
 */
#include "postgres.h"

#include "log/counts.h"
#include "log/ring_private.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#define RETRY			1000	/* milliseconds before a worker is started again, doubled each time */
#define MAX_DOUBLINGS	6
#define MAX_FAILURES	5		/* then what waits is given up */

/* how far the worker has read */
static int	read_block = ML_RING_NONE;
static int	read_entry = 0;
static int	read_offset = 0;

/* to be called with the lock of the slot that the blocks were of */
static void
free_chain(int first)
{
	while (first != ML_RING_NONE)
	{
		int			next = ml_ring_block(first)->next;

		SpinLockAcquire(&ml_ring->mutex);
		ml_ring_block(first)->next = ml_ring->free;
		ml_ring->free = first;
		ml_ring->nfree++;
		SpinLockRelease(&ml_ring->mutex);
		first = next;
	}
}

/* ---- the launcher ---- */

int
ml_ring_nslots(void)
{
	return ML_RING_SLOTS;
}

/* a launcher that is new knows nothing of workers that the one before it asked for */
void
ml_ring_launcher_is(Latch *latch)
{
	ml_ring->launcher = latch;
	for (int i = 0; latch != NULL && i < ML_RING_SLOTS; i++)
	{
		LWLockAcquire(ml_ring_slot_lock(i), LW_EXCLUSIVE);
		if (ml_ring->slot[i].state == ML_WORKER_HIRED)
			ml_ring->slot[i].state = ML_WORKER_NONE;
		LWLockRelease(ml_ring_slot_lock(i));
	}
}

/* milliseconds from now on; -1: none is needed */
static long
needs_worker_in(const MlRingSlot *slot, TimestampTz now)
{
	bool		has_calls = slot->first != ML_RING_NONE || memcmp(slot->lost, slot->reported, sizeof(slot->lost)) != 0;

	if (!OidIsValid(slot->database) || slot->state != ML_WORKER_NONE || (!has_calls && !slot->statistics))
		return -1;
	return TimestampDifferenceMilliseconds(now, Max(slot->retry_at, has_calls ? slot->retry_at : slot->statistics_at));
}

bool
ml_ring_hire(int i, Oid *database)
{
	MlRingSlot *slot = &ml_ring->slot[i];
	bool		hire;

	LWLockAcquire(ml_ring_slot_lock(i), LW_EXCLUSIVE);
	hire = needs_worker_in(slot, GetCurrentTimestamp()) == 0;
	if (hire)
	{
		*database = slot->database;
		slot->state = ML_WORKER_HIRED;
		slot->connected = false;
	}
	LWLockRelease(ml_ring_slot_lock(i));
	return hire;
}

/* what waits is lost; the slot is locked. What ml_counts_give_up() does is left to the caller */
static void
give_up(MlRingSlot *slot)
{
	free_chain(slot->taken);
	free_chain(slot->first);
	slot->first = slot->last = slot->taken = ML_RING_NONE;
	slot->lost[ML_LOSS_UNREACHABLE] += slot->waiting;
	slot->waiting = slot->ntaken = 0;
	slot->stalled = slot->statistics = false;
	/* where nobody can connect, nobody can report it */
	if (!slot->connected)
		memcpy(slot->reported, slot->lost, sizeof(slot->lost));
}

/* the database of which statistics are to be given up, too, once the lock is released; InvalidOid: none */
static Oid
count_failure(MlRingSlot *slot)
{
	slot->retry_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												 RETRY << Min(slot->failures, MAX_DOUBLINGS));
	if (++slot->failures < MAX_FAILURES)
		return InvalidOid;
	give_up(slot);
	return slot->database;
}

void
ml_ring_hire_failed(int i)
{
	MlRingSlot *slot = &ml_ring->slot[i];
	Oid			given_up = InvalidOid;

	LWLockAcquire(ml_ring_slot_lock(i), LW_EXCLUSIVE);
	if (slot->state == ML_WORKER_HIRED)
	{
		slot->state = ML_WORKER_NONE;
		given_up = count_failure(slot);
	}
	LWLockRelease(ml_ring_slot_lock(i));
	if (OidIsValid(given_up))
		ml_counts_give_up(given_up);
}

long
ml_ring_hire_timeout(void)
{
	TimestampTz now = GetCurrentTimestamp();
	long		timeout = -1;

	for (int i = 0; i < ML_RING_SLOTS; i++)
	{
		long		wait;

		LWLockAcquire(ml_ring_slot_lock(i), LW_SHARED);
		wait = ml_ring->slot[i].state == ML_WORKER_HIRED ? RETRY : needs_worker_in(&ml_ring->slot[i], now);
		LWLockRelease(ml_ring_slot_lock(i));
		if (wait >= 0 && (timeout < 0 || wait < timeout))
			timeout = Max(wait, 1);
	}
	return timeout;
}

/* ---- the worker ---- */

bool
ml_ring_attach(int i, Latch *latch, Oid *database)
{
	MlRingSlot *slot = &ml_ring->slot[i];
	bool		attached;

	LWLockAcquire(ml_ring_slot_lock(i), LW_EXCLUSIVE);
	attached = OidIsValid(slot->database) && slot->state != ML_WORKER_RUNS;
	if (attached)
	{
		slot->state = ML_WORKER_RUNS;
		slot->latch = latch;
		slot->connected = false;
		*database = slot->database;
	}
	LWLockRelease(ml_ring_slot_lock(i));
	return attached;
}

void
ml_ring_connected(int i)
{
	LWLockAcquire(ml_ring_slot_lock(i), LW_EXCLUSIVE);
	ml_ring->slot[i].connected = true;
	LWLockRelease(ml_ring_slot_lock(i));
}

static void
leave(MlRingSlot *slot)
{
	slot->state = ML_WORKER_NONE;
	slot->latch = NULL;
}

void
ml_ring_detach(int i)
{
	MlRingSlot *slot = &ml_ring->slot[i];
	Oid			given_up = InvalidOid;
	bool		failed;

	LWLockAcquire(ml_ring_slot_lock(i), LW_EXCLUSIVE);
	failed = !slot->connected || slot->taken != ML_RING_NONE;
	if (slot->taken != ML_RING_NONE)
	{
		int			end = slot->taken;

		while (ml_ring_block(end)->next != ML_RING_NONE)
			end = ml_ring_block(end)->next;
		ml_ring_block(end)->next = slot->first;
		if (slot->first == ML_RING_NONE)
			slot->last = end;
		slot->first = slot->taken;
		slot->taken = ML_RING_NONE;
		slot->ntaken = 0;
	}
	leave(slot);
	if (failed)
		given_up = count_failure(slot);
	LWLockRelease(ml_ring_slot_lock(i));
	if (OidIsValid(given_up))
		ml_counts_give_up(given_up);
	ml_ring_wake(ml_ring->launcher);
}

bool
ml_ring_detach_if_idle(int i)
{
	MlRingSlot *slot = &ml_ring->slot[i];
	bool		idle;

	LWLockAcquire(ml_ring_slot_lock(i), LW_EXCLUSIVE);
	idle = slot->waiting == 0;
	if (idle)
		leave(slot);
	LWLockRelease(ml_ring_slot_lock(i));
	return idle;
}

bool
ml_ring_is_pressed(int i)
{
	bool		pressed;

	LWLockAcquire(ml_ring_slot_lock(i), LW_SHARED);
	pressed = ml_ring->slot[i].first != ml_ring->slot[i].last;
	LWLockRelease(ml_ring_slot_lock(i));
	return pressed;
}

uint64
ml_ring_take(int i)
{
	MlRingSlot *slot = &ml_ring->slot[i];
	int			limit = Max(ml_ring->nblocks / 4, 1);
	int			end;

	LWLockAcquire(ml_ring_slot_lock(i), LW_EXCLUSIVE);
	Assert(slot->taken == ML_RING_NONE);
	slot->ntaken = 0;
	slot->taken = end = slot->first;
	while (end != ML_RING_NONE)
	{
		slot->ntaken += ml_ring_block(end)->nentries;
		if (--limit == 0 || ml_ring_block(end)->next == ML_RING_NONE)
			break;
		end = ml_ring_block(end)->next;
	}
	if (end != ML_RING_NONE)
	{
		slot->first = ml_ring_block(end)->next;
		ml_ring_block(end)->next = ML_RING_NONE;
		if (slot->first == ML_RING_NONE)
			slot->last = ML_RING_NONE;
	}
	LWLockRelease(ml_ring_slot_lock(i));
	read_block = slot->taken;
	read_entry = read_offset = 0;
	return slot->ntaken;
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

const MlRingEntry *
ml_ring_next(int i)
{
	const MlRingEntry *entry;

	if (read_block != ML_RING_NONE && read_entry == ml_ring_block(read_block)->nentries)
	{
		read_block = ml_ring_block(read_block)->next;
		read_entry = read_offset = 0;
	}
	if (read_block == ML_RING_NONE)
		return NULL;
	entry = (const MlRingEntry *) (ml_ring_block_data(read_block) + read_offset);
	read_offset += entry->size;
	read_entry++;
	return entry;
}

void
ml_ring_read(const MlRingEntry *entry, MlLogCall *call)
{
	const char *bytes = (const char *) entry + sizeof(MlRingEntry);

	call->at = entry->at;
	call->prediction = entry->prediction;
	call->rules = entry->rules;
	call->errors = entry->errors;
	call->checks = entry->checks;
	call->has_rules = entry->has_rules;
	call->has_checks = entry->has_checks;
	call->latency = entry->latency;
	call->version = entry->version;
	call->deployment = entry->deployment;
	call->model = get_bytes(&bytes, call->nmodel = entry->nmodel);
	call->role = get_bytes(&bytes, call->nrole = entry->nrole);
	call->key = get_bytes(&bytes, call->nkey = entry->nkey);
	call->label = get_bytes(&bytes, call->nlabel = entry->nlabel);
	call->input = get_bytes(&bytes, call->ninput = entry->ninput);
	call->shadows = get_bytes(&bytes, call->nshadows = entry->nshadows);
}

void
ml_ring_done(int i, uint64 written, MlLogLoss reason)
{
	MlRingSlot *slot = &ml_ring->slot[i];

	LWLockAcquire(ml_ring_slot_lock(i), LW_EXCLUSIVE);
	Assert(written <= slot->ntaken && slot->ntaken <= slot->waiting);
	free_chain(slot->taken);
	slot->taken = ML_RING_NONE;
	slot->written += written;
	slot->lost[reason] += slot->ntaken - written;
	slot->waiting -= slot->ntaken;
	slot->ntaken = 0;
	slot->stalled = false;
	slot->failures = 0;
	LWLockRelease(ml_ring_slot_lock(i));
	read_block = ML_RING_NONE;
}

bool
ml_ring_statistics_due(int i)
{
	MlRingSlot *slot = &ml_ring->slot[i];
	bool		due;

	LWLockAcquire(ml_ring_slot_lock(i), LW_EXCLUSIVE);
	due = slot->statistics && slot->statistics_at <= GetCurrentTimestamp();
	/* before they are taken: what is counted from now on is told again */
	if (due)
		slot->statistics = false;
	LWLockRelease(ml_ring_slot_lock(i));
	return due;
}

void
ml_ring_statistics_written(int i)
{
	LWLockAcquire(ml_ring_slot_lock(i), LW_EXCLUSIVE);
	ml_ring->slot[i].failures = 0;
	LWLockRelease(ml_ring_slot_lock(i));
}

void
ml_ring_statistics_later(int i, int delay)
{
	MlRingSlot *slot = &ml_ring->slot[i];

	LWLockAcquire(ml_ring_slot_lock(i), LW_EXCLUSIVE);
	slot->statistics = true;
	slot->statistics_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), delay);
	LWLockRelease(ml_ring_slot_lock(i));
}

bool
ml_ring_unreported(int i, uint64 *lost)
{
	MlRingSlot *slot = &ml_ring->slot[i];
	bool		any = false;

	LWLockAcquire(ml_ring_slot_lock(i), LW_SHARED);
	for (int r = 0; r < ML_NLOSSES; r++)
	{
		lost[r] = slot->lost[r] - slot->reported[r];
		any = any || lost[r] > 0;
	}
	LWLockRelease(ml_ring_slot_lock(i));
	return any;
}

void
ml_ring_reported(int i, const uint64 *lost)
{
	MlRingSlot *slot = &ml_ring->slot[i];

	LWLockAcquire(ml_ring_slot_lock(i), LW_EXCLUSIVE);
	for (int r = 0; r < ML_NLOSSES; r++)
		slot->reported[r] += lost[r];
	LWLockRelease(ml_ring_slot_lock(i));
}
