/*
 * kept.c
 *		keep_rows: the rows of a source put aside as jsonb while they are read,
 *		and inserted with the version.
 *
 * They are spooled to a tuplestore, which spills to disk, because the number
 * of the version is known at the end only. In a procedure the spool outlives
 * transactions, so whoever catches an error must call ml_kept_end.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "train/train.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

/* A batch is inserted by one statement; a few large rows fill it as well. */
#define ROWS_AT_ONCE 1000
#define BYTES_AT_ONCE (1024 * 1024)

struct MlKept
{
	MemoryContext row_cxt;		/* reset for each row read, for each batch inserted */
	TupleDesc	desc;			/* one column, jsonb */
	Tuplestorestate *rows;
	TupleDesc	row_type;		/* of the source, blessed; NULL before the first row */
	FmgrInfo	to_jsonb;
};

MlKept *
ml_kept_begin(MlTraining *training)
{
	MemoryContext old = MemoryContextSwitchTo(training->cxt);
	MlKept	   *kept = palloc0(sizeof(MlKept));
	Node	   *argument = (Node *) makeNullConst(RECORDOID, -1, InvalidOid);

	kept->row_cxt = AllocSetContextCreate(training->cxt, "mlops kept row", ALLOCSET_DEFAULT_SIZES);
	kept->desc = CreateTemplateTupleDesc(1);
	TupleDescInitEntry(kept->desc, 1, "data", JSONBOID, -1, 0);
	kept->rows = tuplestore_begin_heap(false, !training->atomic, work_mem);

	/* to_jsonb asks for the type of its argument */
	fmgr_info_cxt(F_TO_JSONB, &kept->to_jsonb, training->cxt);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(argument),
											 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL),
					   &kept->to_jsonb);
	MemoryContextSwitchTo(old);
	return kept;
}

static void
take_row_type(MlKept *kept, TupleDesc desc)
{
	MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(kept));

	kept->row_type = CreateTupleDescCopy(desc);
	kept->row_type->tdtypeid = RECORDOID;
	kept->row_type->tdtypmod = -1;
	assign_record_type_typmod(kept->row_type);
	MemoryContextSwitchTo(old);
}

void
ml_kept_tee(void *arg, TupleDesc desc, TupleTableSlot *slot)
{
	MlKept	   *kept = arg;
	MemoryContext old = MemoryContextSwitchTo(kept->row_cxt);
	HeapTuple	tuple;
	Datum		data;
	bool		isnull = false;

	if (kept->row_type == NULL)
		take_row_type(kept, desc);
	slot_getallattrs(slot);
	tuple = heap_form_tuple(kept->row_type, slot->tts_values, slot->tts_isnull);
	data = FunctionCall1(&kept->to_jsonb, heap_copy_tuple_as_datum(tuple, kept->row_type));
	tuplestore_putvalues(kept->rows, kept->desc, &data, &isnull);
	MemoryContextSwitchTo(old);
	MemoryContextReset(kept->row_cxt);
}

/*
 * The next rows of the spool, in the row context; 0: there are no more. What
 * the slot holds outlives a batch, so it stays in the caller's context.
 */
static int
take_batch(MlKept *kept, TupleTableSlot *slot, Datum *rows)
{
	Size		bytes = 0;
	int			n = 0;

	while (n < ROWS_AT_ONCE && bytes < BYTES_AT_ONCE &&
		   tuplestore_gettupleslot(kept->rows, true, false, slot))
	{
		bool		isnull;
		Datum		data = slot_getattr(slot, 1, &isnull);
		MemoryContext old = MemoryContextSwitchTo(kept->row_cxt);
		Jsonb	   *row = DatumGetJsonbPCopy(data);

		MemoryContextSwitchTo(old);
		bytes += VARSIZE(row);
		rows[n++] = JsonbPGetDatum(row);
	}
	return n;
}

int64
ml_kept_insert(MlKept *kept, const char *model, int version)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(kept->desc, &TTSOpsMinimalTuple);
	Datum	   *rows = palloc(sizeof(Datum) * ROWS_AT_ONCE);
	int64		total = 0;
	int			n;

	tuplestore_rescan(kept->rows);
	while ((n = take_batch(kept, slot, rows)) > 0)
	{
		MemoryContext old = MemoryContextSwitchTo(kept->row_cxt);

		CHECK_FOR_INTERRUPTS();
		ml_registry_insert_kept_rows(model, version, total, rows, n);
		MemoryContextSwitchTo(old);
		MemoryContextReset(kept->row_cxt);
		total += n;
	}
	pfree(rows);
	ExecDropSingleTupleTableSlot(slot);
	return total;
}

void
ml_kept_end(MlKept *kept)
{
	tuplestore_end(kept->rows);
}
