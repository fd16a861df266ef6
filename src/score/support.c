/*
 * support.c
 *		The planner takes a row apart: mlops_predict(model, t) on a row of a
 *		table becomes a call that gets the columns themselves, so that no
 *		composite value is built for each row.
 *
 *		mlops_predict(model, t, key)
 *			-> mlops.predict_columns(model, key, '{a,b}', t.a, t.b)
 *		mlops_predict(bundle, t)
 *			-> mlops.bundle_predict_columns(bundle, '{a,b}', t.a, t.b)
 *
 * That also lets postgres_fdw send a call with a bundle to a foreign server,
 * which would not know the type of the row.
 *
 * What comes out depends on the row's type alone, never on a model: a plan
 * lives longer than what serves. Both forms score alike, a NULL row included
 * (it becomes NULL columns, and a row whose columns are all NULL scores NULL).
 *
 * Left as they are, for the composite path to score: rows of more columns
 * than a function takes arguments, rows of an outer query, expressions planned
 * without a query (WHEN of a trigger), rows that grouping sets, or an outer
 * join above a pulled-up sub-query, may turn to NULL as a whole.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "parser/parse_func.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#define ARGS_BEFORE_COLUMNS 3	/* model, key, names */
#define MAX_COLUMNS			(FUNC_MAX_ARGS - ARGS_BEFORE_COLUMNS)

/* a row taken apart */
typedef struct Columns
{
	int			n;
	Datum		name[MAX_COLUMNS];	/* text */
	List	   *value;			/* expressions */
} Columns;

static bool
add_column(Columns *columns, const char *name, Node *value)
{
	if (columns->n == MAX_COLUMNS)
		return false;
	columns->name[columns->n++] = CStringGetTextDatum(name);
	columns->value = lappend(columns->value, value);
	return true;
}

/*
 * Columns of a named row type, filled by expressions. dropped: values has a
 * member for dropped columns too.
 */
static bool
add_typed(Columns *columns, Oid type, List *values, bool dropped)
{
	TupleDesc	desc = lookup_rowtype_tupdesc(type, -1);
	ListCell   *cell = list_head(values);
	bool		fits = true;

	for (int i = 0; fits && i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		bool		skip = attribute->attisdropped;

		if (skip && !dropped)
			continue;
		if (cell == NULL)
		{
			fits = false;
			break;
		}
		if (!skip)
			fits = !ml_attribute_is_virtual(attribute) &&
				exprType(lfirst(cell)) == attribute->atttypid &&
				add_column(columns, NameStr(attribute->attname), lfirst(cell));
		cell = lnext(values, cell);
	}
	ReleaseTupleDesc(desc);
	return fits && cell == NULL;
}

static bool
add_named(Columns *columns, List *names, List *values)
{
	ListCell   *name;
	ListCell   *value;

	if (list_length(names) != list_length(values))
		return false;
	forboth(name, names, value, values)
	{
		if (!add_column(columns, strVal(lfirst(name)), lfirst(value)))
			return false;
	}
	return true;
}

/*
 * t, the whole row of a range table entry of this query. A row of an outer
 * query stays whole: what a LATERAL sub-query needs of it is settled before.
 */
static bool
take_apart_var(PlannerInfo *root, Var *row, Columns *columns)
{
	RangeTblEntry *rte;
	List	   *names;
	List	   *values;
	ListCell   *cell;

	if (row->varattno != InvalidAttrNumber || row->varlevelsup > 0 ||
		IS_SPECIAL_VARNO(row->varno) || root == NULL || root->parse == NULL ||
		row->varno > list_length(root->parse->rtable) ||
		root->parse->groupingSets != NIL)
		return false;
	rte = rt_fetch(row->varno, root->parse->rtable);
	if (rte->rtekind == RTE_JOIN)
		return false;
	ml_expand_rte(rte, row, &names, &values);
	foreach(cell, values)
	{
		if (!IsA(lfirst(cell), Var))
			return false;
		ml_var_inherit((Var *) lfirst(cell), row);
	}
	if (row->vartype == RECORDOID)
		return add_named(columns, names, values);
	return get_typtype(row->vartype) == TYPTYPE_COMPOSITE &&
		add_typed(columns, row->vartype, values, false);
}

/* the row of a sub-query that was pulled up, or ROW(...) */
static bool
take_apart_expression(RowExpr *row, Columns *columns)
{
	if (row->row_typeid == RECORDOID)
		return add_named(columns, row->colnames, row->args);
	return get_typtype(row->row_typeid) == TYPTYPE_COMPOSITE &&
		add_typed(columns, row->row_typeid, row->args, true);
}

static bool
take_apart(PlannerInfo *root, Node *row, Columns *columns)
{
	columns->n = 0;
	columns->value = NIL;
	if (IsA(row, Var))
		return take_apart_var(root, (Var *) row, columns) && columns->n > 0;
	if (IsA(row, RowExpr))
		return take_apart_expression((RowExpr *) row, columns) && columns->n > 0;
	return false;
}

/*
 * The internal function of a result's type; exact types, so that no other can
 * be meant. carried: the type of the bundle, if that is what the call has.
 */
static Oid
columns_function(Oid result, Oid carried)
{
	Oid			named[] = {TEXTOID, ANYOID, TEXTARRAYOID, ANYOID};
	Oid			bundle[] = {carried, TEXTARRAYOID, ANYOID};
	char	   *name;

	if (result == FLOAT8OID)
		name = "predict_columns";
	else if (result == TEXTOID)
		name = "predict_label_columns";
	else
		name = "predict_proba_columns";
	if (OidIsValid(carried))
		return LookupFuncName(list_make2(makeString("mlops"), makeString(psprintf("bundle_%s", name))),
							  lengthof(bundle), bundle, true);
	return LookupFuncName(list_make2(makeString("mlops"), makeString(name)),
						  lengthof(named), named, true);
}

static Node *
simplify(SupportRequestSimplify *request)
{
	FuncExpr   *call = request->fcall;
	Columns		columns;
	Const	   *names;
	FuncExpr   *result;
	Oid			function;
	Oid			carried = InvalidOid;
	List	   *args;

	/* a call with a bundle has no key */
	if (list_length(call->args) == 2 && exprType(linitial(call->args)) != TEXTOID)
		carried = exprType(linitial(call->args));
	else if (list_length(call->args) != 3)
		return NULL;
	if (!take_apart(request->root, (Node *) lsecond(call->args), &columns))
		return NULL;

	/* the executor would not ask any more for the right to call what was written */
	if (ml_function_aclcheck(call->funcid) != ACLCHECK_OK)
		return NULL;
	function = columns_function(call->funcresulttype, carried);
	if (!OidIsValid(function))
		return NULL;
	names = makeConst(TEXTARRAYOID, -1, InvalidOid, -1,
					  PointerGetDatum(construct_array(columns.name, columns.n, TEXTOID,
													  -1, false, TYPALIGN_INT)),
					  false, false);
	args = OidIsValid(carried) ? list_make2(linitial(call->args), names) :
		list_make3(linitial(call->args), lthird(call->args), names);
	result = makeFuncExpr(function, call->funcresulttype, list_concat(args, columns.value),
						  call->funccollid, call->inputcollid, COERCE_EXPLICIT_CALL);
	result->location = call->location;
	return (Node *) result;
}

PG_FUNCTION_INFO_V1(mlops_predict_support);

Datum
mlops_predict_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

	if (IsA(request, SupportRequestSimplify))
		PG_RETURN_POINTER(simplify((SupportRequestSimplify *) request));
	PG_RETURN_POINTER(NULL);
}
