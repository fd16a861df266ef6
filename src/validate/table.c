/*
 * table.c
 *		Rows of a set's table, read and written without the executor.
 *
 * A refresh moves as many rows as came and as went. As queries that would be several times the cost of the
 * rows themselves, and a plan made before the table has statistics could look at all of it. The
 * table is one of ours: no triggers, no constraints but NOT NULL, and two indexes of the rows that are there,
 * so that a row that leaves needs no new entry in any. Where somebody has given it another
 * index, rows enter by a query (change.c).
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "compat.h"
#include "executor/tuptable.h"
#include "interrupts.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "validate/set.h"
#include "validate/validate.h"

#define ROWS_AT_ONCE	500
#define NINDEXES		2

/* our own columns, in the order in which the table is made */
enum
{
	AT_ENTERED, AT_LEFT, AT_BUCKET, AT_STRATUM, AT_GROUPS, AT_PINNED, AT_SLICES, AT_KEY_HASH, AT_FINGERPRINT
};

static Relation
open_table(const MlSet *set, LOCKMODE lock)
{
	Oid			oid = get_relname_relid(set->relation, get_namespace_oid(ML_DATA_SCHEMA, false));

	if (!OidIsValid(oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s\" of validation set \"%s\" of model \"%s\" is gone",
						set->relation, set->name, set->model),
				 errdetail("There is no such table in schema %s.", ML_DATA_SCHEMA),
				 errhint("Restore it from a dump, or drop the set with mlops_drop_validation_set.")));
	return table_open(oid, lock);
}

/* the index whose first column is this one */
static Oid
find_index(Relation table, int at)
{
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(table))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		bool		found = index->rd_index->indkey.values[0] == at + 1;

		index_close(index, AccessShareLock);
		if (found)
			return lfirst_oid(lc);
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("table \"%s\" has lost its index on \"%s\"", RelationGetRelationName(table),
					NameStr(TupleDescAttr(RelationGetDescr(table), at)->attname)),
			 errdetail("Rows are found by it, and would be looked for one by one."),
			 errhint("Make it again: CREATE INDEX ON %s.%s (%s) WHERE left_edition IS NULL;", ML_DATA_SCHEMA,
					 quote_identifier(RelationGetRelationName(table)),
					 NameStr(TupleDescAttr(RelationGetDescr(table), at)->attname))));
	return InvalidOid;			/* keep the compiler quiet */
}

/* ---- reading ---- */

typedef struct Collected
{
	const MlSet *set;
	const MlRange *range;
	Relation	table;
	Datum	   *values;
	bool	   *nulls;
	int64		n;
	int64		capacity;
	MlStored   *rows;
} Collected;

static void
begin_collecting(Collected *collected, const MlSet *set, const MlRange *range)
{
	memset(collected, 0, sizeof(*collected));
	collected->set = set;
	collected->range = range;
	collected->table = open_table(set, AccessShareLock);
	collected->values = palloc(sizeof(Datum) * RelationGetDescr(collected->table)->natts);
	collected->nulls = palloc(sizeof(bool) * RelationGetDescr(collected->table)->natts);
	collected->capacity = 256;
	collected->rows = palloc(sizeof(MlStored) * collected->capacity);
}

static int32 *
numbers_of(Datum datum, bool isnull, int *n)
{
	ArrayType  *array;
	int32	   *numbers;

	*n = 0;
	if (isnull)
		return NULL;
	array = DatumGetArrayTypeP(datum);
	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	if (*n == 0)
		return NULL;
	numbers = palloc(sizeof(int32) * *n);
	memcpy(numbers, ARR_DATA_PTR(array), sizeof(int32) * *n);
	return numbers;
}

static bool
is_in_range(const Collected *collected)
{
	const MlSet *set = collected->set;
	const MlRange *range = collected->range;
	int64		bucket;
	int64		time;
	bool		infinite;

	if (collected->nulls[AT_BUCKET] || !collected->nulls[AT_LEFT] || DatumGetBool(collected->values[AT_PINNED]))
		return false;
	bucket = DatumGetInt64(collected->values[AT_BUCKET]);
	if (bucket < range->first_bucket || bucket > range->last_bucket)
		return false;
	if (set->time_at < 0)
		return true;
	time = ml_clock_value(set->clock, set->column[set->time_at].stored_type,
						  collected->values[ML_OWN_COLUMNS + set->time_at], &infinite);
	return (time < range->time) == range->before;
}

static void
collect(Collected *collected, HeapTuple tuple)
{
	Datum	   *values = collected->values;
	bool	   *nulls = collected->nulls;
	MlStored   *row;

	heap_deform_tuple(tuple, RelationGetDescr(collected->table), values, nulls);
	if (!is_in_range(collected))
		return;
	if (collected->n == collected->capacity)
	{
		collected->capacity *= 2;
		collected->rows = repalloc_huge(collected->rows, ml_size_mul(collected->capacity, sizeof(MlStored)));
	}
	row = &collected->rows[collected->n++];
	memset(row, 0, sizeof(*row));
	row->place = tuple->t_self;
	row->key_hash = (uint64) DatumGetInt64(values[AT_KEY_HASH]);
	row->fingerprint = ml_fingerprint_of(values[AT_FINGERPRINT]);
	row->bucket = DatumGetInt64(values[AT_BUCKET]);
	row->stratum = DatumGetInt32(values[AT_STRATUM]);
	row->slice = numbers_of(values[AT_SLICES], nulls[AT_SLICES], &row->nslices);
	row->group = numbers_of(values[AT_GROUPS], nulls[AT_GROUPS], &row->ngroups);
	row->entered = DatumGetInt32(values[AT_ENTERED]);
	row->live = true;
}

int64
ml_table_rows(const MlSet *set, const MlRange *range, MlStored **rows)
{
	Collected	collected;
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	begin_collecting(&collected, set, range);
	ScanKeyInit(&key[0], AT_BUCKET + 1, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(range->first_bucket));
	ScanKeyInit(&key[1], AT_BUCKET + 1, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(range->last_bucket));
	scan = systable_beginscan(collected.table, find_index(collected.table, AT_BUCKET), true, snapshot, 2, key);
	for (int64 i = 0; HeapTupleIsValid(tuple = systable_getnext(scan)); i++)
	{
		ml_check_row(i);
		collect(&collected, tuple);
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(collected.table, AccessShareLock);
	*rows = collected.rows;
	return collected.n;
}

int64
ml_table_rows_of_keys(const MlSet *set, const uint64 *key_hash, int64 n, const MlRange *range, MlStored **rows)
{
	Collected	collected;
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	Oid			index;

	begin_collecting(&collected, set, range);
	index = find_index(collected.table, AT_KEY_HASH);
	for (int64 i = 0; i < n; i++)
	{
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple	tuple;

		ml_check_row(i);
		ScanKeyInit(&key, AT_KEY_HASH + 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum((int64) key_hash[i]));
		scan = systable_beginscan(collected.table, index, true, snapshot, 1, &key);
		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
			collect(&collected, tuple);
		systable_endscan(scan);
	}
	UnregisterSnapshot(snapshot);
	table_close(collected.table, AccessShareLock);
	*rows = collected.rows;
	return collected.n;
}

/* ---- writing ---- */

static void
leave_place(Relation table, ItemPointerData place, Snapshot snapshot, int edition)
{
	HeapTupleData tuple;
	HeapTuple	changed;
	Buffer		buffer;
	int			column = AT_LEFT + 1;
	Datum		value = Int32GetDatum(edition);
	bool		isnull = false;

	tuple.t_self = place;
	if (!ml_heap_fetch(table, snapshot, &tuple, &buffer))
		elog(ERROR, "a row that was to leave table \"%s\" is not there", RelationGetRelationName(table));
	changed = heap_modify_tuple_by_cols(&tuple, RelationGetDescr(table), 1, &column, &value, &isnull);
	ReleaseBuffer(buffer);
	ml_simple_heap_update(table, &place, changed);
	heap_freetuple(changed);
}

void
ml_table_leave(const MlSet *set, const ItemPointerData *place, int64 n, int edition)
{
	Relation	table;
	Snapshot	snapshot;

	if (n == 0)
		return;
	table = open_table(set, RowExclusiveLock);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		leave_place(table, place[i], snapshot, edition);
	}
	UnregisterSnapshot(snapshot);
	table_close(table, NoLock);
	CommandCounterIncrement();
}

/* an entry of the index on key_hash, put there when all rows are in the table */
typedef struct KeyEntry
{
	int64		key_hash;
	ItemPointerData place;
} KeyEntry;

typedef struct Target
{
	Relation	table;
	Relation	index[NINDEXES];
	IndexInfo  *info[NINDEXES];
	TupleTableSlot *slot[ROWS_AT_ONCE];
	KeyEntry   *entry;			/* of each row that enters */
} Target;

/* ours, by number */
enum
{
	INDEX_BUCKET, INDEX_KEY
};

/* false: there are others than ours */
static bool
open_indexes(Target *target)
{
	static const int columns[NINDEXES] = {[INDEX_BUCKET] = AT_BUCKET, [INDEX_KEY] = AT_KEY_HASH};

	if (list_length(RelationGetIndexList(target->table)) != NINDEXES || target->table->trigdesc != NULL)
		return false;
	for (int i = 0; i < NINDEXES; i++)
	{
		target->index[i] = index_open(find_index(target->table, columns[i]), RowExclusiveLock);
		target->info[i] = BuildIndexInfo(target->index[i]);
		if (target->info[i]->ii_NumIndexAttrs != 1)
			elog(ERROR, "index \"%s\" is not of one column", RelationGetRelationName(target->index[i]));
	}
	return true;
}

static void
put_into_index(Target *target, int index, Datum value, bool isnull, ItemPointer place)
{
	(void) ml_index_insert(target->index[index], &value, &isnull, place, target->table, target->info[index]);
}

static int
compare_entries(const void *a, const void *b)
{
	const KeyEntry *x = a;
	const KeyEntry *y = b;

	return x->key_hash < y->key_hash ? -1 : x->key_hash > y->key_hash;
}

/* in order, so that its pages are visited one after the other */
static void
put_keys(Target *target, int64 n)
{
	qsort(target->entry, n, sizeof(KeyEntry), compare_entries);
	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		put_into_index(target, INDEX_KEY, Int64GetDatum(target->entry[i].key_hash), false, &target->entry[i].place);
	}
}

/* n rows from first on */
static void
enter_some(Target *target, TupleDesc desc, int64 first, int n, BulkInsertState bulk,
		   void (*next) (const void *arg, int64 row, Datum *values, bool *nulls), const void *arg)
{
	Datum		bucket[ROWS_AT_ONCE];
	bool		no_bucket[ROWS_AT_ONCE];
	Datum	   *values = palloc0(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc0(sizeof(bool) * desc->natts);

	for (int i = 0; i < n; i++)
	{
		next(arg, first + i, values, nulls);
		bucket[i] = values[AT_BUCKET];
		no_bucket[i] = nulls[AT_BUCKET];
		target->entry[first + i].key_hash = DatumGetInt64(values[AT_KEY_HASH]);
		ExecStoreHeapTuple(heap_form_tuple(RelationGetDescr(target->table), values, nulls), target->slot[i], false);
	}
	heap_multi_insert(target->table, target->slot, n, GetCurrentCommandId(true), 0, bulk);
	for (int i = 0; i < n; i++)
	{
		target->entry[first + i].place = target->slot[i]->tts_tid;
		put_into_index(target, INDEX_BUCKET, bucket[i], no_bucket[i], &target->slot[i]->tts_tid);
	}
}

bool
ml_table_enter(const MlSet *set, TupleDesc desc, int64 n,
			   void (*next) (const void *arg, int64 row, Datum *values, bool *nulls), const void *arg)
{
	Target		target;
	BulkInsertState bulk;
	MemoryContext some;
	MemoryContext old;

	target.table = open_table(set, RowExclusiveLock);
	if (!open_indexes(&target))
	{
		table_close(target.table, NoLock);
		return false;
	}
	for (int i = 0; i < ROWS_AT_ONCE; i++)
		target.slot[i] = MakeSingleTupleTableSlot(RelationGetDescr(target.table), &TTSOpsHeapTuple);
	target.entry = palloc_extended(ml_size_mul(Max(n, 1), sizeof(KeyEntry)), MCXT_ALLOC_HUGE);
	some = AllocSetContextCreate(CurrentMemoryContext, "mlops rows", ALLOCSET_DEFAULT_SIZES);
	bulk = GetBulkInsertState();
	old = MemoryContextSwitchTo(some);
	for (int64 i = 0; i < n; i += ROWS_AT_ONCE)
	{
		CHECK_FOR_INTERRUPTS();
		enter_some(&target, desc, i, (int) Min(ROWS_AT_ONCE, n - i), bulk, next, arg);
		MemoryContextReset(some);
	}
	MemoryContextSwitchTo(old);
	put_keys(&target, n);
	FreeBulkInsertState(bulk);
	for (int i = 0; i < ROWS_AT_ONCE; i++)
		ExecDropSingleTupleTableSlot(target.slot[i]);
	MemoryContextDelete(some);
	for (int i = 0; i < NINDEXES; i++)
		index_close(target.index[i], NoLock);
	table_close(target.table, NoLock);
	CommandCounterIncrement();
	return true;
}
