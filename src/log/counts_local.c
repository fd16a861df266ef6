/*
 * counts_local.c
 *		What a process has counted and not yet added to shared memory.
 *
 * Counters belong to the process, not to a call site: call sites of one model
 * share them, and they outlive the plan of a query. They get to shared memory
 * when the transaction ends, however it ends, in parallel workers too; after
 * ML_COUNTS_ROWS rows; and, in a transaction that goes on, with the first
 * statement after a second.
 *
 * Nothing of it is freed while a transaction runs. More than MOST_COUNTS are
 * forgotten at its end; call sites that wait for another execution know by
 * ml_counts_generation that what they remember is gone.
 */
#include "postgres.h"

#include "access/xact.h"
#include "log/call.h"
#include "log/counts.h"
#include "miscadmin.h"
#include "score/score.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define MOST_COUNTS		64		/* of a process, between transactions */
#define PUBLISH_MS		1000

typedef struct CountsEntry
{
	MlCountsKey key;
	MlCounts   *counts;
} CountsEntry;

static MemoryContext counts_cxt = NULL;
static HTAB *entries = NULL;
static uint64 generation = 0;
static MlCounts *dirty = NULL;

/* ---- how they go out ---- */

/* the first row */
void
ml_counts_begin(MlCounts *counts)
{
	counts->next_dirty = dirty;
	dirty = counts;
}

static void
clear(MlCounts *counts)
{
	if (counts->nrows > ML_COUNTS_JOURNAL)
		memset(counts->counter, 0, sizeof(uint32) * counts->shape.ncounters);
	else
		for (int i = 0; i < counts->njournal; i++)
			counts->counter[counts->journal[i]] = 0;
	counts->njournal = counts->nrows = 0;
}

void
ml_counts_publish_one(MlCounts *counts)
{
	MlCounts  **link = &dirty;

	while (*link != counts)
		link = &(*link)->next_dirty;
	*link = counts->next_dirty;
	ml_counts_publish(counts);
	clear(counts);
}

void
ml_counts_publish_all(void)
{
	while (dirty != NULL)
	{
		dirty->exact = ML_COUNTS_EXACT;
		ml_counts_publish_one(dirty);
	}
}

static void
forget(void)
{
	MemoryContextDelete(counts_cxt);
	counts_cxt = NULL;
	entries = NULL;
	generation++;
}

/* the transaction is over, one way or the other */
static void
end_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PREPARE:
			ml_counts_publish_all();
			if (entries != NULL && hash_get_num_entries(entries) > MOST_COUNTS)
				forget();
			break;
		default:
			break;
	}
}

/* ---- how they are made ---- */

static void
prepare(void)
{
	static bool registered = false;
	HASHCTL		control = {0};

	if (!registered)
		RegisterXactCallback(end_transaction, NULL);
	registered = true;
	if (entries != NULL)
		return;
	counts_cxt = AllocSetContextCreate(TopMemoryContext, "mlops statistics", ALLOCSET_DEFAULT_SIZES);
	control.keysize = sizeof(MlCountsKey);
	control.entrysize = sizeof(CountsEntry);
	control.hcxt = counts_cxt;
	entries = hash_create("mlops statistics", MOST_COUNTS, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static MlCountsColumn
make_column(const MlCountsBlock *block)
{
	MlCountsColumn column = {block->low, block->high, block->per_unit, block->first + 1};

	return column;
}

/* where the numbers of an encoded row are the features, one each and all with bins, and so is the prediction */
static void
make_columns(MlCounts *counts, const MlTarget *target)
{
	const MlCountsShape *shape = &counts->shape;
	int			n = shape->nblocks - 1;

	for (int i = 0; i <= n; i++)
		if (shape->block[i].kind != ML_KIND_NUMBER || shape->block[i].number != i - 1 || isnan(shape->block[i].low))
			return;
	counts->prediction = make_column(&shape->block[0]);
	counts->column = palloc(sizeof(MlCountsColumn) * Max(n, 1));
	for (int i = 0; i < n; i++)
		counts->column[i] = make_column(&shape->block[1 + i]);
	counts->label[0] = ML_COUNT_LABEL(1 - target->positive);
	counts->label[1] = ML_COUNT_LABEL(target->positive);
}

static MlCounts *
make(const MlCountsKey *key, const MlScorer *scorer)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops statistics of a version", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	MlCounts   *counts = palloc0(sizeof(MlCounts));
	const MlRuleProgram *program = scorer->rules ? scorer->rules->program : NULL;

	counts->cxt = cxt;
	counts->key = *key;
	counts->shape.nrules = program ? program->nrules : 0;
	counts->shape.nchecks = program ? program->nchecks : 0;
	ml_counts_shape_make(key->model, key->version, scorer->model, &counts->shape);
	initStringInfo(&counts->description);
	ml_counts_shape_write(&counts->shape, &counts->description);
	counts->counter = MemoryContextAllocExtended(cxt, sizeof(uint32) * counts->shape.ncounters,
												 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	counts->random = ((uint64) MyProcPid << 32) ^ (uint64) GetCurrentTimestamp();
	/* rows, label, errors, barred, binned; prediction and features */
	counts->row_width = 5 + counts->shape.nrules + counts->shape.nchecks + counts->shape.nblocks;
	counts->journal = palloc(sizeof(uint32) * (ML_COUNTS_JOURNAL + 1) * counts->row_width);
	counts->place = -1;
	counts->exact = ML_COUNTS_EXACT;
	make_columns(counts, &scorer->model->recipe->target);
	MemoryContextSwitchTo(old);
	return counts;
}

/* an error in the middle leaves memory to the current context and nothing else */
static MlCounts *
find(const MlCountsKey *key, const MlScorer *scorer)
{
	CountsEntry *entry;
	MlCounts   *counts;

	prepare();
	entry = hash_search(entries, key, HASH_FIND, NULL);
	if (entry != NULL)
		return entry->counts;
	counts = make(key, scorer);
	entry = hash_search(entries, key, HASH_ENTER, NULL);
	entry->counts = counts;
	MemoryContextSetParent(counts->cxt, counts_cxt);
	return counts;
}

static void
set_key(const MlScorer *scorer, MlCountsKey *key)
{
	memset(key, 0, sizeof(MlCountsKey));
	key->database = MyDatabaseId;
	key->version = scorer->resolved.version;
	key->rules = scorer->rules ? scorer->resolved.rules : 0;
	memcpy(key->sha256, scorer->resolved.sha256, ML_SHA256_LENGTH);
	strlcpy(key->model, scorer->resolved.model, NAMEDATALEN);
	strlcpy(key->role, ml_watch_role(scorer), NAMEDATALEN);
}

/* what calls of a scorer are counted in from now on, where its model says so */
void
ml_counts_resolve(MlScorer *scorer, bool on)
{
	MlCounts   *counts = scorer->counts_generation == generation ? scorer->counts : NULL;
	MlCountsKey key;

	scorer->counts = NULL;
	if (!on)
		return;
	set_key(scorer, &key);
	if (counts == NULL || memcmp(&key, &counts->key, sizeof(key)) != 0)
		counts = find(&key, scorer);
	scorer->counts = counts;
	scorer->counts_generation = generation;
	scorer->counts_columns = counts->column != NULL;
	if (counts->nrows > 0 &&
		TimestampDifferenceExceeds(counts->published_at, GetCurrentTimestamp(), PUBLISH_MS))
		ml_counts_publish_one(counts);
}
