/*
 * record.c
 *		Rows of a table: as separate columns, where the planner took the row
 *		apart (support.c), or as a composite value.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "score/score.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

static void
shape_alloc(MlShape *shape, int ncolumns)
{
	shape->ncolumns = ncolumns;
	shape->name = (const char **) palloc0(sizeof(char *) * Max(ncolumns, 1));
	shape->type = (Oid *) palloc0(sizeof(Oid) * Max(ncolumns, 1));
	shape->typmod = (int32 *) palloc0(sizeof(int32) * Max(ncolumns, 1));
}

static void
shape_free(MlShape *shape)
{
	pfree(shape->name);
	pfree(shape->type);
	pfree(shape->typmod);
}

/* The argument before the first column holds the columns' names; row: of columns that come as one ROW, else NULL. */
static void
bind_columns(MlScorer *scorer, FunctionCallInfo fcinfo, int first, TupleDesc row)
{
	int			ncolumns = row ? row->natts : PG_NARGS() - first;
	ArrayType  *array;
	MlShape		shape;
	Datum	   *name;
	bool	   *isnull;
	int			nnames;

	array = PG_ARGISNULL(first - 1) ? NULL : PG_GETARG_ARRAYTYPE_P(first - 1);
	if (array == NULL || get_fn_expr_variadic(fcinfo->flinfo) ||
		!get_fn_expr_arg_stable(fcinfo->flinfo, first - 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("names of columns must be a constant array, and columns separate arguments"),
				 errhint("Call mlops_predict(model, row); the planner takes the row apart.")));
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &name, &isnull, &nnames);
	if (nnames != ncolumns)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%d names are given for %d columns", nnames, ncolumns),
				 errhint("Call mlops_predict(model, row); the planner takes the row apart.")));
	shape_alloc(&shape, ncolumns);
	for (int i = 0; i < ncolumns; i++)
	{
		shape.name[i] = isnull[i] ? NULL : TextDatumGetCString(name[i]);
		shape.type[i] = row ? TupleDescAttr(row, i)->atttypid : get_fn_expr_argtype(fcinfo->flinfo, first + i);
		shape.typmod[i] = -1;
	}
	if (row == NULL)
		ml_score_unbind(scorer);
	ml_score_bind(scorer, &shape);
	shape_free(&shape);
}

/* Keeps what it takes to read tuples of a row type; nothing is bound yet. */
static void
describe_record(MlScorer *scorer, Oid type, int32 typmod, uint64 row_type)
{
	TupleDesc	desc;
	MemoryContext old;
	int			natts;

	ml_score_unbind(scorer);
	desc = lookup_rowtype_tupdesc(type, typmod);
	natts = Max(desc->natts, 1);
	old = MemoryContextSwitchTo(scorer->bind_cxt);
	scorer->desc = CreateTupleDescCopyConstr(desc);
	scorer->value = (Datum *) palloc(sizeof(Datum) * natts);
	scorer->isnull = (bool *) palloc(sizeof(bool) * natts);
	scorer->column = (NullableDatum *) palloc(sizeof(NullableDatum) * natts);
	MemoryContextSwitchTo(old);
	ReleaseTupleDesc(desc);
	scorer->row_type = row_type;
}

/* The columns of a composite value; false: all of them are NULL. */
static bool
take_record(MlScorer *scorer, Datum record)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(record);
	Oid			type = HeapTupleHeaderGetTypeId(header);
	int32		typmod = HeapTupleHeaderGetTypMod(header);
	uint64		row_type = assign_record_type_identifier(type, typmod);
	HeapTupleData tuple;
	bool		all_null = true;

	if (!scorer->is_bound || scorer->row_type != row_type)
		describe_record(scorer, type, typmod, row_type);
	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = header;
	heap_deform_tuple(&tuple, scorer->desc, scorer->value, scorer->isnull);
	for (int i = 0; i < scorer->desc->natts; i++)
	{
		scorer->column[i].value = scorer->value[i];
		scorer->column[i].isnull = scorer->isnull[i];
		all_null = all_null && scorer->isnull[i];
	}
	return !all_null;
}

/* the columns as one ROW(...), which has no names of its own */
static bool
score_packed(MlScorer *scorer, FunctionCallInfo fcinfo, int first)
{
	if (PG_ARGISNULL(first) || !take_record(scorer, PG_GETARG_DATUM(first)))
		return false;
	if (!scorer->is_bound)
	{
		bind_columns(scorer, fcinfo, first, scorer->desc);
		scorer->direct = false; /* there are no arguments to take directly */
	}
	if (scorer->rules)
		scorer->rules->view.column = scorer->column;
	ml_score_encode(scorer, scorer->column);
	return true;
}

/*
 * Encodes the columns that are arguments from first on, or one ROW of them.
 * NULL columns say nothing about names and types: a NULL row of anything scores
 * NULL.
 */
bool
ml_score_columns(MlScorer *scorer, FunctionCallInfo fcinfo, int first)
{
	int			i = first;

	if (PG_NARGS() == first + 1 && get_fn_expr_argtype(fcinfo->flinfo, first) == RECORDOID)
		return score_packed(scorer, fcinfo, first);
	while (i < PG_NARGS() && PG_ARGISNULL(i))
		i++;
	if (i == PG_NARGS())
		return false;
	if (unlikely(!scorer->is_bound))
		bind_columns(scorer, fcinfo, first, NULL);
	if (unlikely(scorer->rules != NULL))
		scorer->rules->view.column = &fcinfo->args[first];
	ml_score_encode(scorer, &fcinfo->args[first]);
	return true;
}

static void
bind_record(MlScorer *scorer)
{
	TupleDesc	desc = scorer->desc;
	MlShape		shape;

	shape_alloc(&shape, desc->natts);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped)
			continue;
		shape.name[i] = NameStr(attribute->attname);
		shape.type[i] = attribute->atttypid;
		shape.typmod[i] = attribute->atttypmod;
	}
	ml_score_bind(scorer, &shape);
	shape_free(&shape);
}

/*
 * Encodes a composite value. Its type may change from row to row (the variable
 * of a loop, an altered table), hence the look at it each time.
 */
bool
ml_score_record(MlScorer *scorer, Datum record)
{
	if (!take_record(scorer, record))
		return false;
	if (!scorer->is_bound)
		bind_record(scorer);
	if (scorer->rules)
		scorer->rules->view.column = scorer->column;
	ml_score_encode(scorer, scorer->column);
	return true;
}
