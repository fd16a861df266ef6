/*
 * operator.c
 *		Operators in conditions: comparison, arithmetic, IN, BETWEEN, LIKE.
 */
#include "postgres.h"

#include "compat.h"
#include "nodes/nodeFuncs.h"
#include "rule/compile.h"

#define IN_AT_ONCE	255			/* constants of one step */

static void
refuse_operator(MlRuleMaker *maker, const char *name, const MlRuleExpr *left, const MlRuleExpr *right, int location)
{
	ml_rule_refuse(maker, location, ERRCODE_UNDEFINED_FUNCTION,
				   left ? psprintf("rules have no operator %s %s %s", ml_rule_type_name(left->type), name, ml_rule_type_name(right->type)) :
				   psprintf("rules have no operator %s %s", name, ml_rule_type_name(right->type)),
				   "There are = <> < <= > >= + - * / % ^ || LIKE ILIKE IN BETWEEN and IS.",
				   "Cast one side to the type of the other, as in x::text.");
}

/* ---- comparison ---- */

/* both sides in their common type */
static List *
two(MlRuleMaker *maker, MlRuleExpr *left, MlRuleExpr *right, const char *name, int location, MlRuleType *type)
{
	if (!ml_expr_common(maker, list_make2(left, right), type))
		refuse_operator(maker, name, left, right, location);
	return list_make2(ml_expr_coerce(maker, left, *type), ml_expr_coerce(maker, right, *type));
}

static const char *const comparison_name[] = {"=", "<>", "<", "<=", ">", ">="};

MlRuleExpr *
ml_expr_compare(MlRuleMaker *maker, MlRuleExpr *left, MlRuleExpr *right, int comparison, int location)
{
	MlRuleType	type;
	List	   *args = two(maker, left, right, comparison_name[comparison], location, &type);

	return ml_expr_operation(ML_OP_COMPARE_N + ml_expr_variant(type), comparison, ML_RULE_BOOL, location, args);
}

static int
comparison_of(const char *name)
{
	for (int i = 0; i < lengthof(comparison_name); i++)
		if (strcmp(comparison_name[i], name) == 0)
			return i;
	return -1;
}

static MlRuleExpr *
negated(MlRuleExpr *expr)
{
	return ml_expr_operation(ML_OP_NOT, 0, ML_RULE_BOOL, expr->location, list_make1(expr));
}

static MlRuleExpr *
combine(MlRuleExprKind kind, List *args, int location)
{
	MlRuleExpr *expr = ml_expr_constant(ML_RULE_BOOL, location);

	if (list_length(args) == 1)
		return linitial(args);
	expr->kind = kind;
	expr->args = args;
	return expr;
}

static MlRuleExpr *
distinct(MlRuleMaker *maker, MlRuleExpr *left, MlRuleExpr *right, int location)
{
	MlRuleType	type;
	List	   *args = two(maker, left, right, "IS DISTINCT FROM", location, &type);

	return ml_expr_operation(ML_OP_DISTINCT_N + ml_expr_variant(type), 0, ML_RULE_BOOL, location, args);
}

static MlRuleExpr *
nullif(MlRuleMaker *maker, MlRuleExpr *left, MlRuleExpr *right, int location)
{
	MlRuleType	type;
	List	   *args = two(maker, left, right, "=", location, &type);

	return ml_expr_operation(ML_OP_NULLIF_N + ml_expr_variant(type), 0, type, location, args);
}

/* ---- BETWEEN and IN ---- */

static MlRuleExpr *
within(MlRuleMaker *maker, MlRuleExpr *value, MlRuleExpr *low, MlRuleExpr *high, int location)
{
	return combine(ML_EXPR_AND, list_make2(ml_expr_compare(maker, value, low, ML_CMP_GE, location),
										   ml_expr_compare(maker, value, high, ML_CMP_LE, location)), location);
}

static MlRuleExpr *
between(MlRuleMaker *maker, A_Expr *node)
{
	MlRuleExpr *value = ml_rule_expr(maker, node->lexpr);
	MlRuleExpr *low = ml_rule_expr(maker, linitial(castNode(List, node->rexpr)));
	MlRuleExpr *high = ml_rule_expr(maker, lsecond(castNode(List, node->rexpr)));
	MlRuleExpr *expr = within(maker, value, low, high, node->location);

	if (node->kind == AEXPR_BETWEEN_SYM || node->kind == AEXPR_NOT_BETWEEN_SYM)
		expr = combine(ML_EXPR_OR, list_make2(expr, within(maker, value, high, low, node->location)), node->location);
	return node->kind == AEXPR_NOT_BETWEEN || node->kind == AEXPR_NOT_BETWEEN_SYM ? negated(expr) : expr;
}

static bool
is_plain(const MlRuleExpr *item, MlRuleType type)
{
	return item->kind == ML_EXPR_CONSTANT && !item->isnull && item->type == type &&
		(type == ML_RULE_NUMBER || type == ML_RULE_TEXT);
}

/* constants are looked up by one step; the others are compared one by one */
static MlRuleExpr *
in_list(MlRuleMaker *maker, A_Expr *node)
{
	MlRuleExpr *value = ml_rule_expr(maker, node->lexpr);
	MlRuleExpr *lookup = NULL;
	List	   *parts = NIL;
	ListCell   *cell;

	if (!IsA(node->rexpr, List))
		ml_rule_refuse(maker, node->location, ERRCODE_FEATURE_NOT_SUPPORTED, "rules have no sub-queries", NULL,
					   "List the values: IN (1, 2, 3).");
	foreach(cell, castNode(List, node->rexpr))
	{
		MlRuleExpr *item = ml_rule_expr(maker, lfirst(cell));
		MlRuleType	type;
		List	   *pair = two(maker, value, item, "=", node->location, &type);

		if (!is_plain(lsecond(pair), type))
		{
			parts = lappend(parts, ml_expr_compare(maker, value, item, ML_CMP_EQ, node->location));
			continue;
		}
		if (lookup == NULL || list_length(lookup->args) > IN_AT_ONCE)
		{
			lookup = ml_expr_constant(ML_RULE_BOOL, node->location);
			lookup->kind = ML_EXPR_IN;
			lookup->code = type == ML_RULE_NUMBER ? ML_OP_IN_N : ML_OP_IN_T;
			lookup->args = list_make1(linitial(pair));
			parts = lappend(parts, lookup);
		}
		lookup->args = lappend(lookup->args, lsecond(pair));
	}
	lookup = combine(ML_EXPR_OR, parts, node->location);
	return strcmp(strVal(linitial(node->name)), "<>") == 0 ? negated(lookup) : lookup;
}

/* ---- LIKE ---- */

static MlRuleExpr *
like(MlRuleMaker *maker, A_Expr *node)
{
	MlRuleExpr *text = ml_rule_expr_of(maker, node->lexpr, ML_RULE_TEXT, "left side of LIKE");
	MlRuleExpr *pattern;
	MlRuleExpr *expr;

	if (IsA(node->rexpr, FuncCall) && strcmp(strVal(llast(((FuncCall *) node->rexpr)->funcname)), "like_escape") == 0)
		ml_rule_refuse(maker, node->location, ERRCODE_FEATURE_NOT_SUPPORTED, "LIKE in rules has no ESCAPE",
					   "The backslash escapes.", "Write \\% and \\_ for the characters themselves.");
	pattern = ml_rule_expr_of(maker, node->rexpr, ML_RULE_TEXT, "pattern of LIKE");
	expr = ml_expr_operation(ML_OP_LIKE, node->kind == AEXPR_ILIKE, ML_RULE_BOOL, node->location, list_make2(text, pattern));
	return strVal(linitial(node->name))[0] == '!' ? negated(expr) : expr;
}

/* ---- arithmetic ---- */

static MlRuleExpr *
arithmetic(MlRuleMaker *maker, MlRuleCode code, const char *name, List *args, int location)
{
	List	   *numbers = NIL;
	ListCell   *cell;

	foreach(cell, args)
	{
		MlRuleExpr *number = ml_expr_coerce(maker, lfirst(cell), ML_RULE_NUMBER);

		if (number == NULL)
			refuse_operator(maker, name, list_length(args) == 2 ? linitial(args) : NULL, llast(args), location);
		numbers = lappend(numbers, number);
	}
	return ml_expr_operation(code, 0, ML_RULE_NUMBER, location, numbers);
}

static MlRuleExpr *
concatenation(MlRuleMaker *maker, MlRuleExpr *left, MlRuleExpr *right, int location)
{
	if (left->type > ML_RULE_TEXT && right->type > ML_RULE_TEXT)
		refuse_operator(maker, "||", left, right, location);
	return ml_expr_operation(ML_OP_CONCAT, 0, ML_RULE_TEXT, location,
							 list_make2(ml_expr_to_text(ml_expr_coerce(maker, left, left->type ? left->type : ML_RULE_TEXT)),
										ml_expr_to_text(ml_expr_coerce(maker, right, right->type ? right->type : ML_RULE_TEXT))));
}

/* a time and an interval that is written out */
static MlRuleExpr *
moved(MlRuleMaker *maker, A_Expr *node, const char *name)
{
	MlRuleExpr *time;
	MlRuleExpr *expr;
	int64		usec;

	if (node->lexpr == NULL || (strcmp(name, "+") != 0 && strcmp(name, "-") != 0) ||
		!ml_rule_is_interval(maker, node->rexpr, &usec))
		return NULL;
	time = ml_rule_expr(maker, node->lexpr);
	if (time->type < ML_RULE_TIMESTAMP)
		ml_rule_refuse(maker, node->location, ERRCODE_UNDEFINED_FUNCTION,
					   psprintf("rules have no operator %s %s interval", ml_rule_type_name(time->type), name), NULL,
					   "Add an interval to a timestamp.");
	expr = ml_expr_operation(ML_OP_SHIFT, 0, time->type, node->location, list_make1(time));
	expr->usec = name[0] == '-' ? -usec : usec;
	return expr;
}

static MlRuleExpr *
plain_operator(MlRuleMaker *maker, A_Expr *node)
{
	static const struct
	{
		const char *name;
		MlRuleCode	code;
	}			arithmetics[] = {
		{"+", ML_OP_ADD}, {"-", ML_OP_SUBTRACT}, {"*", ML_OP_MULTIPLY}, {"/", ML_OP_DIVIDE},
		{"%", ML_OP_MODULO}, {"^", ML_OP_POWER}
	};
	const char *name = strVal(llast(node->name));
	MlRuleExpr *left = moved(maker, node, name);
	MlRuleExpr *right;

	if (left != NULL)
		return left;
	left = node->lexpr ? ml_rule_expr(maker, node->lexpr) : NULL;
	right = ml_rule_expr(maker, node->rexpr);
	if (left == NULL)
	{
		if (strcmp(name, "-") == 0)
			return arithmetic(maker, ML_OP_NEGATE, name, list_make1(right), node->location);
		if (strcmp(name, "+") == 0)
			return linitial(arithmetic(maker, ML_OP_NEGATE, name, list_make1(right), node->location)->args);
		refuse_operator(maker, name, left, right, node->location);
	}
	if (comparison_of(name) >= 0)
		return ml_expr_compare(maker, left, right, comparison_of(name), node->location);
	if (strcmp(name, "||") == 0)
		return concatenation(maker, left, right, node->location);
	for (int i = 0; i < lengthof(arithmetics); i++)
		if (strcmp(arithmetics[i].name, name) == 0)
			return arithmetic(maker, arithmetics[i].code, name, list_make2(left, right), node->location);
	refuse_operator(maker, name, left, right, node->location);
	return NULL;
}

MlRuleExpr *
ml_rule_operator(MlRuleMaker *maker, A_Expr *node)
{
	MlRuleExpr *left;
	MlRuleExpr *right;

	if (list_length(node->name) != 1)
		ml_rule_refuse(maker, node->location, ERRCODE_FEATURE_NOT_SUPPORTED, "operators in rules have no schema",
					   "They are those of the language of rules, whatever the search_path.", "Write the operator alone.");
	switch (node->kind)
	{
		case AEXPR_OP:
			return plain_operator(maker, node);
		case AEXPR_IN:
			return in_list(maker, node);
		case AEXPR_LIKE:
		case AEXPR_ILIKE:
			return like(maker, node);
		case AEXPR_BETWEEN:
		case AEXPR_NOT_BETWEEN:
		case AEXPR_BETWEEN_SYM:
		case AEXPR_NOT_BETWEEN_SYM:
			return between(maker, node);
		case AEXPR_DISTINCT:
		case AEXPR_NOT_DISTINCT:
		case AEXPR_NULLIF:
			left = ml_rule_expr(maker, node->lexpr);
			right = ml_rule_expr(maker, node->rexpr);
			if (node->kind == AEXPR_NULLIF)
				return nullif(maker, left, right, node->location);
			left = distinct(maker, left, right, node->location);
			return node->kind == AEXPR_DISTINCT ? left : negated(left);
		default:
			ml_rule_refuse(maker, node->location, ERRCODE_FEATURE_NOT_SUPPORTED,
						   "this operator is not part of the language of rules",
						   "There are no ANY, ALL, SIMILAR TO and regular expressions.", "Use IN, LIKE or several rules.");
	}
}
