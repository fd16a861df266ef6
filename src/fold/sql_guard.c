/*
 * sql_guard.c
 *		No functions but the server's and ours in the queries of a training.
 *
 * They run as whoever trains and under his search_path, in which his source is
 * to be read. Somebody else's function or operator that fits the types of a call
 * more closely would be taken for the server's wherever that path leads to it,
 * or, in schema mlops, for ours that takes any types; and it would run as who
 * trains. So what a query has been resolved to is looked at whenever it is
 * analysed, before anything of it runs, the source apart, which is its author's
 * to write. Casts belong to the types of the columns: no name leads to them.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "commands/extension.h"
#include "compat.h"
#include "fold/sql.h"
#include "frame/hash.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

/* the query that is run now. An error leaves it behind, which is no harm: it is of that text alone */
static MlSqlGuard current = {0};

static post_parse_analyze_hook_type previous_hook = NULL;
static bool is_hooked = false;

static void
check_function(Oid function)
{
	if (get_func_namespace(function) == PG_CATALOG_NAMESPACE ||
		getExtensionOfObject(ProcedureRelationId, function) == get_extension_oid("mlops", false))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_AMBIGUOUS_FUNCTION),
			 errmsg("a query of the training would call function %s", format_procedure_qualified(function)),
			 errdetail("It fits the types of a call more closely than the function that is meant, and would run as who trains."),
			 errhint("Drop it, or leave its schema out of search_path; or train in memory: options => '{\"engine\": \"memory\"}'.")));
}

static void
check_operators(List *operators)
{
	ListCell   *operator;

	foreach(operator, operators)
		check_function(get_opcode(lfirst_oid(operator)));
}

/* what the author of the source wrote: "(...) AS q", and not the q that numbers made of a row are added to */
static bool
is_source(const RangeTblEntry *entry)
{
	return strcmp(entry->eref->aliasname, ML_SQL_SOURCE) == 0 &&
		(entry->eref->colnames == NIL || strcmp(strVal(llast(entry->eref->colnames)), ML_SQL_MADE) != 0);
}

static bool check_node(Node *node, void *unused);

static bool
check_query(Query *query)
{
	ListCell   *cell;

	foreach(cell, query->rtable)
	{
		RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);

		if (entry->rtekind == RTE_SUBQUERY && !is_source(entry))
			check_query(entry->subquery);
	}
	return query_tree_walker(query, check_node, NULL, QTW_IGNORE_RT_SUBQUERIES);
}

static bool
check_node(Node *node, void *unused)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Query:
			return check_query((Query *) node);
		case T_FuncExpr:
			if (((FuncExpr *) node)->funcformat != COERCE_EXPLICIT_CAST && ((FuncExpr *) node)->funcformat != COERCE_IMPLICIT_CAST)
				check_function(((FuncExpr *) node)->funcid);
			break;
		case T_Aggref:
			check_function(((Aggref *) node)->aggfnoid);
			break;
		case T_WindowFunc:
			check_function(((WindowFunc *) node)->winfnoid);
			break;
		case T_OpExpr:
		case T_DistinctExpr:	/* structs of the same layout */
		case T_NullIfExpr:
			check_function(get_opcode(((OpExpr *) node)->opno));
			break;
		case T_ScalarArrayOpExpr:
			check_function(get_opcode(((ScalarArrayOpExpr *) node)->opno));
			break;
		case T_RowCompareExpr:
			check_operators(((RowCompareExpr *) node)->opnos);
			break;
		default:
			break;
	}
	return expression_tree_walker(node, check_node, NULL);
}

static uint64
hash_of(const char *text)
{
	return ml_hash_bytes(text, strlen(text), 0);
}

static void
look(const char *text, Query *query)
{
	if (!current.is_on || text == NULL || hash_of(text) != current.query)
		return;
	check_query(query);
	current.is_seen = true;
}

static void
hook(ML_ANALYZED_ARGUMENTS)
{
	if (previous_hook)
		previous_hook(ML_ANALYZED_PASSED);
	look(pstate->p_sourcetext, query);
}

void
ml_sql_guard(const char *query, MlSqlGuard *outer)
{
	if (!is_hooked)
	{
		previous_hook = post_parse_analyze_hook;
		post_parse_analyze_hook = hook;
		is_hooked = true;
	}
	*outer = current;
	current.query = hash_of(query);
	current.is_on = true;
	current.is_seen = false;
}

void
ml_sql_unguard(const MlSqlGuard *outer)
{
	if (!current.is_seen)
		elog(ERROR, "a query of a training was not looked at");
	current = *outer;
}
