/*
 * batch.c
 *		What the log writer took of the ring, written in the order of the index.
 *
 * Rows that come to one page of the index by key come one after the other: its
 * pages are looked for, and are in the processor's cache, once for all of
 * them. Entries stay where they are in the ring; what is sorted is where they
 * lie and how their keys begin.
 */
#include "postgres.h"

#include "log/log.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "registry/registry_catalog.h"
#include "sort.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define BEGINNING	((int) sizeof(uint64))

static void
read_item(const MlKeyed *item, MlLogCall *call)
{
	ml_ring_read((const MlRingEntry *) (intptr_t) item->row, call);
}

/* the first bytes of a key as a number that sorts as they do; rows without one are last */
static uint64
beginning_of(const MlLogCall *call)
{
	uint64		bytes = 0;

	if (call->key == NULL)
		return PG_UINT64_MAX;
	memcpy(&bytes, call->key, Min(call->nkey, BEGINNING));
	return pg_ntoh64(bytes);
}

/* keys that begin alike */
static int
compare_ends(const void *left, const void *right)
{
	MlLogCall	a;
	MlLogCall	b;
	int			order = 0;

	read_item(left, &a);
	read_item(right, &b);
	if (a.key != NULL && b.key != NULL)
		order = memcmp(a.key, b.key, Min(a.nkey, b.nkey));
	return order != 0 ? order : a.nkey - b.nkey;
}

static void
sort_ends(MlKeyed *item, uint64 n)
{
	uint64		end;

	for (uint64 i = 0; i < n; i = end)
	{
		MlLogCall	call;

		for (end = i + 1; end < n && item[end].key == item[i].key; end++)
			continue;
		if (end == i + 1)
			continue;
		read_item(&item[i], &call);
		if (call.key == NULL || call.nkey >= BEGINNING)
			qsort(&item[i], end - i, sizeof(MlKeyed), compare_ends);
	}
}

/* what was taken, in the order of the keys; an item's row is where its entry lies */
static MlKeyed *
sort_taken(int slot, uint64 taken)
{
	MlKeyed    *item = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(MlKeyed) * taken);
	MlKeyed    *spare = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(MlKeyed) * taken);
	const MlRingEntry *entry;
	uint64		n = 0;

	while ((entry = ml_ring_next(slot)) != NULL)
	{
		MlLogCall	call;

		ml_ring_read(entry, &call);
		item[n].key = beginning_of(&call);
		item[n++].row = (intptr_t) entry;
	}
	Assert(n == taken);
	ml_sort(item, spare, n, 64);
	pfree(spare);
	sort_ends(item, n);
	return item;
}

uint64
ml_log_write_taken(int slot, uint64 taken)
{
	MlRegistryScope scope;
	MlKeyed    *item;
	MlLogRows	rows;
	uint64		written;

	ml_registry_enter(&scope);
	item = sort_taken(slot, taken);
	ml_log_rows_begin(&rows, 0);
	rows.day = ml_log_day_open(GetCurrentTimestamp());
	for (uint64 i = 0; i < taken; i++)
	{
		MlLogCall	call;

		CHECK_FOR_INTERRUPTS();
		read_item(&item[i], &call);
		ml_log_rows_add(&rows, &call);
	}
	written = ml_log_rows_write(&rows);
	ml_registry_leave(&scope);
	return written;
}
