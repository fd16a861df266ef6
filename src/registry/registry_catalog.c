/*
 * registry_catalog.c
 *		Scans of the registry's tables.
 *
 * Tables and indexes are found by name; known.c keeps what was found until
 * the server says that it changed. Scans are made as the server reads its
 * catalogs, so no privilege of the caller is needed and no executor started;
 * key columns are COLLATE "C" for that.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "compat.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

Oid
ml_catalog_namespace(const char *schema)
{
	Oid			oid = get_namespace_oid(schema, true);

	if (!OidIsValid(oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("schema \"%s\" of extension \"mlops\" does not exist", schema),
				 errdetail("The extension is not installed in this database, or not completely."),
				 errhint("CREATE EXTENSION mlops;")));
	return oid;
}

/* is it name, an underscore and a number? */
static bool
is_shard_name(const char *shard, const char *name)
{
	size_t		length = strlen(name);

	return strncmp(shard, name, length) == 0 && shard[length] == '_' && shard[length + 1] != '\0' &&
		strspn(shard + length + 1, "0123456789") == strlen(shard + length + 1);
}

/*
 * The rows of a reference table of Citus are not in the table itself but in its
 * shard, a table beside it on every node; likewise its indexes. Invalid: there
 * is none, as in every database without Citus.
 */
static Oid
find_shard(const char *name, Oid schema)
{
	Oid			found = InvalidOid;
	Relation	classes;
	SysScanDesc scan;
	ScanKeyData key[1];
	HeapTuple	tuple;

	if (!OidIsValid(get_extension_oid("citus", true)))
		return InvalidOid;
	ScanKeyInit(&key[0], Anum_pg_class_relnamespace, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(schema));
	classes = table_open(RelationRelationId, AccessShareLock);
	scan = systable_beginscan(classes, InvalidOid, false, NULL, lengthof(key), key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class class = (Form_pg_class) GETSTRUCT(tuple);

		if (is_shard_name(NameStr(class->relname), name))
			found = class->oid;
	}
	systable_endscan(scan);
	table_close(classes, AccessShareLock);
	return found;
}

static Oid
find_relation(const char *name)
{
	Oid			schema = ml_catalog_namespace(ML_CATALOG_SCHEMA);
	Oid			oid = find_shard(name, schema);

	if (!OidIsValid(oid))
		oid = get_relname_relid(name, schema);

	if (!OidIsValid(oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s.%s\" of extension \"mlops\" does not exist",
						ML_CATALOG_SCHEMA, name),
				 errdetail("The extension is not installed in this database, or not completely."),
				 errhint("CREATE EXTENSION mlops;")));
	return oid;
}

Oid
ml_catalog_oid(const char *name)
{
	Oid			oid = ml_known_relation(name);

	if (!OidIsValid(oid))
	{
		oid = find_relation(name);
		ml_know_relation(name, oid);
	}
	return oid;
}

Oid
ml_catalog_owner(void)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(ml_catalog_oid("model")));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation \"%s.model\"", ML_CATALOG_SCHEMA);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* ---- scans ---- */

/*
 * A parallel worker must see what its leader sees, so it never takes a
 * snapshot of its own.
 */
static bool
needs_snapshot(MlSight sight)
{
	if (!ActiveSnapshotSet())
		return true;
	return sight == ML_SIGHT_NOW && !IsInParallelMode();
}

void
ml_scan_begin(MlScan *scan, MlSight sight, const char *table,
			  const char *index, ScanKey key, int nkeys)
{
	scan->pushed = needs_snapshot(sight);
	if (scan->pushed)
		PushActiveSnapshot(GetTransactionSnapshot());
	scan->table = table_open(ml_catalog_oid(table), AccessShareLock);
	scan->scan = systable_beginscan(scan->table, ml_catalog_oid(index), true,
									GetActiveSnapshot(), nkeys, key);
}

HeapTuple
ml_scan_next(MlScan *scan)
{
	return systable_getnext(scan->scan);
}

/*
 * The place may be beyond the end of a table that was truncated. Under a
 * snapshot at most one row has a key, so that a row found by its place is the
 * one that the index leads to.
 */
HeapTuple
ml_scan_place(MlScan *scan, const char *table, ItemPointer place)
{
	scan->pushed = false;
	scan->scan = NULL;
	scan->buffer = InvalidBuffer;
	scan->table = table_open(ml_catalog_oid(table), AccessShareLock);
	if (scan->table->rd_rel->relam != HEAP_TABLE_AM_OID ||
		ItemPointerGetBlockNumber(place) >= RelationGetNumberOfBlocks(scan->table))
		return NULL;
	scan->tuple.t_self = *place;
	if (!ml_heap_fetch(scan->table, GetActiveSnapshot(), &scan->tuple, &scan->buffer))
	{
		scan->buffer = InvalidBuffer;
		return NULL;
	}
	return &scan->tuple;
}

void
ml_scan_end(MlScan *scan)
{
	if (scan->scan)
		systable_endscan(scan->scan);
	else if (BufferIsValid(scan->buffer))
		ReleaseBuffer(scan->buffer);
	table_close(scan->table, AccessShareLock);
	if (scan->pushed)
		PopActiveSnapshot();
}

void
ml_key_text(ScanKey key, int position, AttrNumber column, text *value)
{
	ScanKeyInit(&key[position], column, BTEqualStrategyNumber, F_TEXTEQ,
				PointerGetDatum(value));
}

void
ml_key_int(ScanKey key, int position, AttrNumber column, int value)
{
	ScanKeyInit(&key[position], column, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(value));
}

char *
ml_column_text(MlScan *scan, HeapTuple tuple, AttrNumber column)
{
	bool		isnull;
	Datum		datum = heap_getattr(tuple, column, RelationGetDescr(scan->table), &isnull);

	return isnull ? NULL : TextDatumGetCString(datum);
}

int
ml_column_int(MlScan *scan, HeapTuple tuple, AttrNumber column, int if_null)
{
	bool		isnull;
	Datum		datum = heap_getattr(tuple, column, RelationGetDescr(scan->table), &isnull);

	return isnull ? if_null : DatumGetInt32(datum);
}

double
ml_column_float(MlScan *scan, HeapTuple tuple, AttrNumber column, double if_null)
{
	bool		isnull;
	Datum		datum = heap_getattr(tuple, column, RelationGetDescr(scan->table), &isnull);

	return isnull ? if_null : DatumGetFloat8(datum);
}

bytea *
ml_column_bytes(MlScan *scan, HeapTuple tuple, AttrNumber column)
{
	bool		isnull;
	Datum		datum = heap_getattr(tuple, column, RelationGetDescr(scan->table), &isnull);

	if (isnull)
		elog(ERROR, "column %d of \"%s\" is null", column,
			 RelationGetRelationName(scan->table));
	return DatumGetByteaPP(datum);
}

void
ml_column_sha256(MlScan *scan, HeapTuple tuple, AttrNumber column, uint8 *digest)
{
	bytea	   *bytes = ml_column_bytes(scan, tuple, column);

	if (VARSIZE_ANY_EXHDR(bytes) != ML_SHA256_LENGTH)
		elog(ERROR, "checksum in \"%s\" has %d bytes",
			 RelationGetRelationName(scan->table), (int) VARSIZE_ANY_EXHDR(bytes));
	memcpy(digest, VARDATA_ANY(bytes), ML_SHA256_LENGTH);
}

/* ---- names ---- */

void
ml_scan_offer(MlNearest *nearest, const char *table, const char *index, text *model)
{
	ScanKeyData key[1];
	MlScan		scan;
	HeapTuple	tuple;

	ml_key_text(key, 0, 1, model);
	ml_scan_begin(&scan, ML_SIGHT_STATEMENT, table, index, key, 1);
	while (HeapTupleIsValid(tuple = ml_scan_next(&scan)))
		ml_nearest_offer(nearest, ml_column_text(&scan, tuple, 2));
	ml_scan_end(&scan);
}

/* ---- arguments of SQL functions ---- */

char *
ml_argument_text(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

void
ml_require_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" of %s must not be NULL", name,
						get_func_name(fcinfo->flinfo->fn_oid)),
				 errdetail("It was given as NULL."),
				 errhint("Give a value: %s => ...", name)));
}

/* is NULL the default of argument i? Those with a default are the last ones */
static bool
may_be_null(const List *defaults, int nargs, int i)
{
	int			at = i - (nargs - list_length(defaults));
	Node	   *value = at < 0 ? NULL : list_nth(defaults, at);

	return value != NULL && IsA(value, Const) && ((Const *) value)->constisnull;
}

void
ml_require_arguments(FunctionCallInfo fcinfo)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(fcinfo->flinfo->fn_oid));
	List	   *defaults = NIL;
	Oid		   *types;
	char	  **names;
	char	   *modes;
	bool		isnull;
	Datum		stored;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", fcinfo->flinfo->fn_oid);
	(void) get_func_arg_info(tuple, &types, &names, &modes);
	stored = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proargdefaults, &isnull);
	if (!isnull)
		defaults = (List *) stringToNode(TextDatumGetCString(stored));
	for (int i = 0; i < PG_NARGS(); i++)
		if (!may_be_null(defaults, PG_NARGS(), i))
			ml_require_argument(fcinfo, i, names[i]);
	ReleaseSysCache(tuple);
}
