/*
 * log_day.c
 *		Rows of the log that go straight into the table of their day.
 *
 * What the executor does for an INSERT into the partitioned table, done once
 * for many rows instead of for each: the day is found by the bounds of the
 * partitions, rows go to the heap many at a time, and then one by one to the
 * indexes of the day, whatever these are. It is the short way for a day as
 * partition.c makes it. Where somebody has given the log triggers, row
 * security, rules, checks, generated or other columns, or where there is no
 * partition but the default one, there is no short way, and rows are inserted
 * by a statement (log_rows.c).
 *
 * The log is locked as for an INSERT. While it is, a partition can neither be
 * dropped nor its detachment be completed.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/executor.h"
#include "log/log.h"
#include "miscadmin.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#define AT_A_TIME	256			/* rows that go to the heap together */

struct MlLogDay
{
	TimestampTz from;
	TimestampTz to;				/* before */
	Relation	log;
	Relation	table;
	EState	   *estate;
	ResultRelInfo *result;
	CommandId	command;
	TupleTableSlot *slot[AT_A_TIME];
	int			nslots;			/* that were made */
	int			nrows;			/* in slots */
	uint64		written;
};

/* ---- which table ---- */

static bool
is_moment(PartitionBoundInfo bounds, int i)
{
	return i >= 0 && i < bounds->ndatums && bounds->kind[i][0] == PARTITION_RANGE_DATUM_VALUE;
}

/* the partition, other than the default one, that has the moment, and its bounds */
static Oid
find_day(Relation log, TimestampTz at, MlLogDay *day)
{
	PartitionKey key = RelationGetPartitionKey(log);
	PartitionDesc parts = ml_partition_desc(log);
	PartitionBoundInfo bounds = parts->boundinfo;
	Datum		value = TimestampTzGetDatum(at);
	bool		equal;
	int			i;

	if (parts->nparts == 0 || key->strategy != PARTITION_STRATEGY_RANGE || key->partnatts != 1 ||
		key->parttypid[0] != TIMESTAMPTZOID || key->partattrs[0] != 1)
		return InvalidOid;
	i = partition_range_datum_bsearch(key->partsupfunc, key->partcollation, bounds, 1, &value, &equal);
	if (!is_moment(bounds, i) || !is_moment(bounds, i + 1) || bounds->indexes[i + 1] < 0)
		return InvalidOid;
	day->from = DatumGetTimestampTz(bounds->datums[i][0]);
	day->to = DatumGetTimestampTz(bounds->datums[i + 1][0]);
	return parts->oids[bounds->indexes[i + 1]];
}

/* does nothing but its indexes have to know of a new row? */
static bool
is_plain(Relation table)
{
	return table->trigdesc == NULL && table->rd_rules == NULL && !table->rd_rel->relrowsecurity;
}

/* is a row of the log one of the table's as it is, without a look at its values? */
static bool
has_columns_of_log(Relation table)
{
	TupleDesc	desc = RelationGetDescr(table);

	if (desc->natts != ML_LOG_NCOLUMNS || (desc->constr != NULL && desc->constr->num_check > 0))
		return false;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);
		const MlLogColumn *ours = &ml_log_columns[i];

		if (column->attisdropped || column->atttypid != ours->type || column->attgenerated != '\0' ||
			(column->attnotnull && !ours->not_null) || strcmp(NameStr(column->attname), ours->name) != 0)
			return false;
	}
	return true;
}

static void
open_indexes(MlLogDay *day)
{
	day->estate = CreateExecutorState();
	day->result = makeNode(ResultRelInfo);
	InitResultRelInfo(day->result, day->table, 1, NULL, 0);
	ExecOpenIndices(day->result, false);
	ml_estate_result(day->estate, day->result);
	day->command = GetCurrentCommandId(true);
}

MlLogDay *
ml_log_day_open(TimestampTz at)
{
	MlLogDay   *day = palloc0(sizeof(MlLogDay));
	Oid			oid;

	day->log = table_open(ml_catalog_oid("prediction"), RowExclusiveLock);
	oid = is_plain(day->log) ? find_day(day->log, at, day) : InvalidOid;
	if (OidIsValid(oid))
		day->table = table_open(oid, RowExclusiveLock);
	if (day->table != NULL && day->table->rd_rel->relkind == RELKIND_RELATION && is_plain(day->table) &&
		has_columns_of_log(day->table))
	{
		open_indexes(day);
		return day;
	}
	if (day->table != NULL)
		table_close(day->table, NoLock);
	table_close(day->log, NoLock);
	pfree(day);
	return NULL;
}

/* ---- rows ---- */

bool
ml_log_day_has(const MlLogDay *day, TimestampTz at)
{
	return day->from <= at && at < day->to;
}

static void
write_rows(MlLogDay *day)
{
	if (day->nrows == 0)
		return;
	table_multi_insert(day->table, day->slot, day->nrows, day->command, 0, NULL);
	for (int i = 0; i < day->nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (day->result->ri_NumIndices > 0)
			ml_insert_index_tuples(day->result, day->slot[i], day->estate);
		ResetPerTupleExprContext(day->estate);
	}
	day->written += day->nrows;
	day->nrows = 0;
}

void
ml_log_day_add(MlLogDay *day, const Datum *value, const bool *isnull)
{
	MemoryContext old = MemoryContextSwitchTo(day->estate->es_query_cxt);
	TupleTableSlot *slot;

	if (day->nrows == day->nslots)
		day->slot[day->nslots++] = table_slot_create(day->table, NULL);
	slot = ExecClearTuple(day->slot[day->nrows]);
	memcpy(slot->tts_values, value, sizeof(Datum) * ML_LOG_NCOLUMNS);
	memcpy(slot->tts_isnull, isnull, sizeof(bool) * ML_LOG_NCOLUMNS);
	ExecStoreVirtualTuple(slot);
	/* the values are the caller's */
	ExecMaterializeSlot(slot);
	MemoryContextSwitchTo(GetPerTupleMemoryContext(day->estate));
	if (++day->nrows == AT_A_TIME)
		write_rows(day);
	MemoryContextSwitchTo(old);
}

/* locks stay until the end of the transaction */
uint64
ml_log_day_close(MlLogDay *day)
{
	MemoryContext old = MemoryContextSwitchTo(GetPerTupleMemoryContext(day->estate));
	uint64		written;

	write_rows(day);
	MemoryContextSwitchTo(old);
	written = day->written;
	for (int i = 0; i < day->nslots; i++)
		ExecDropSingleTupleTableSlot(day->slot[i]);
	ExecCloseIndices(day->result);
	FreeExecutorState(day->estate);
	table_close(day->table, NoLock);
	table_close(day->log, NoLock);
	return written;
}
