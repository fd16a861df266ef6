/*
 * expression.c
 *		Raw parse trees to typed expressions: constants, names, logic.
 *
 * A string literal and NULL have no type until they meet one, as in SQL. What
 * is not named here is not part of the language: the last words of
 * ml_rule_expr() refuse it.
 */
#include "postgres.h"

#include "compat.h"
#include "errors.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rule/compile.h"
#include "rule/value.h"
#include "utils/builtins.h"

#define QUALIFIER	"input"

static const char *const type_name[] = {
	"unknown", "number", "boolean", "text", "timestamp", "timestamptz"
};

const char *
ml_rule_type_name(MlRuleType type)
{
	return type_name[type];
}

/* ---- making expressions ---- */

MlRuleExpr *
ml_expr_constant(MlRuleType type, int location)
{
	MlRuleExpr *expr = palloc0(sizeof(MlRuleExpr));

	expr->kind = ML_EXPR_CONSTANT;
	expr->type = type;
	expr->location = location;
	return expr;
}

MlRuleExpr *
ml_expr_operation(MlRuleCode code, int a, MlRuleType type, int location, List *args)
{
	MlRuleExpr *expr = ml_expr_constant(type, location);

	expr->kind = ML_EXPR_OPERATION;
	expr->code = code;
	expr->a = a;
	expr->args = args;
	return expr;
}

/* which of four codes in a row is that of the type */
int
ml_expr_variant(MlRuleType type)
{
	return type == ML_RULE_NUMBER ? 0 : type == ML_RULE_BOOL ? 1 : type == ML_RULE_TEXT ? 2 : 3;
}

/* ---- types ---- */

static bool
parse_literal(MlRuleMaker *maker, const char *text, MlRuleType type, MlRuleExpr *result)
{
	switch (type)
	{
		case ML_RULE_NUMBER:
			return ml_rule_parse_number(text, strlen(text), &result->number);
		case ML_RULE_BOOL:
			return parse_bool(text, &result->boolean);
		case ML_RULE_TEXT:
			result->text = pstrdup(text);
			return true;
		default:
			return ml_rule_parse_time(text, strlen(text), type == ML_RULE_TIMESTAMPTZ, maker->zone, &result->usec);
	}
}

/* of a literal without a type; of a timestamp that becomes one with time zone */
MlRuleExpr *
ml_expr_coerce(MlRuleMaker *maker, MlRuleExpr *expr, MlRuleType type)
{
	MlRuleExpr *result;

	if (expr->type == type)
		return expr;
	if (expr->type == ML_RULE_TIMESTAMP && type == ML_RULE_TIMESTAMPTZ)
		return ml_expr_operation(ML_OP_TO_UTC, 0, type, expr->location, list_make1(expr));
	if (expr->type != ML_RULE_UNKNOWN)
		return NULL;
	result = ml_expr_constant(type, expr->location);
	result->isnull = expr->isnull;
	if (!expr->isnull && !parse_literal(maker, expr->text, type, result))
		ml_rule_refuse(maker, expr->location, ERRCODE_INVALID_TEXT_REPRESENTATION,
					   psprintf("invalid %s: \"%s\"", ml_rule_type_name(type), expr->text),
					   type >= ML_RULE_TIMESTAMP ? "Times are read as ISO 8601 writes them." : NULL,
					   type >= ML_RULE_TIMESTAMP ? "As in '2024-02-29' or '2024-02-29 13:45:00'; timestamptz also with an offset." :
					   "Compare with a value of the column's type.");
	return result;
}

/* the type that all can have; false: there is none */
bool
ml_expr_common(MlRuleMaker *maker, List *exprs, MlRuleType *type)
{
	ListCell   *cell;

	*type = ML_RULE_UNKNOWN;
	foreach(cell, exprs)
	{
		MlRuleType	found = ((MlRuleExpr *) lfirst(cell))->type;

		if (found == ML_RULE_UNKNOWN || found == *type)
			continue;
		if (*type == ML_RULE_UNKNOWN)
			*type = found;
		else if (*type >= ML_RULE_TIMESTAMP && found >= ML_RULE_TIMESTAMP)
			*type = ML_RULE_TIMESTAMPTZ;
		else
			return false;
	}
	if (*type == ML_RULE_UNKNOWN)
		*type = ML_RULE_TEXT;
	return true;
}

/* an operand that must be of a type; what: "argument of AND" */
MlRuleExpr *
ml_rule_expr_of(MlRuleMaker *maker, Node *node, MlRuleType type, const char *what)
{
	MlRuleExpr *expr = ml_rule_expr(maker, node);
	MlRuleExpr *result = ml_expr_coerce(maker, expr, type);

	if (result == NULL)
		ml_rule_refuse(maker, expr->location, ERRCODE_DATATYPE_MISMATCH,
					   psprintf("%s must be of type %s, not %s", what, ml_rule_type_name(type), ml_rule_type_name(expr->type)),
					   NULL, "Cast it, or compare it with something.");
	return result;
}

/* ---- constants ---- */

static MlRuleExpr *
number_constant(MlRuleMaker *maker, const char *digits, int location)
{
	MlRuleExpr *expr = ml_expr_constant(ML_RULE_NUMBER, location);

	if (!ml_rule_parse_number(digits, strlen(digits), &expr->number))
		ml_rule_refuse(maker, location, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
					   psprintf("\"%s\" is no number that rules can hold", digits),
					   "Numbers are double precision.", "Write it in decimal notation.");
	return expr;
}

static MlRuleExpr *
constant(MlRuleMaker *maker, A_Const *node)
{
	MlRuleExpr *expr;

	switch (ml_const_tag(node))
	{
		case T_Integer:
			expr = ml_expr_constant(ML_RULE_NUMBER, node->location);
			expr->number = ml_const_int(node);
			return expr;
		case T_Float:
			return number_constant(maker, ml_const_float(node), node->location);
		case T_String:
			expr = ml_expr_constant(ML_RULE_UNKNOWN, node->location);
			expr->text = pstrdup(ml_const_string(node));
			return expr;
		case T_Null:
			expr = ml_expr_constant(ML_RULE_UNKNOWN, node->location);
			expr->isnull = true;
			return expr;
		case T_Boolean:
			expr = ml_expr_constant(ML_RULE_BOOL, node->location);
			expr->boolean = ml_const_boolean(node);
			return expr;
		default:
			ml_rule_refuse(maker, node->location, ERRCODE_FEATURE_NOT_SUPPORTED, "rules have no bit strings",
						   "Values are numbers, booleans, text and times.", "Compare with text.");
	}
}

/* ---- names ---- */

static MlRuleExpr *
prediction(MlRuleMaker *maker, int location)
{
	MlTask		task = maker->names->task;

	if (task == ML_TASK_MULTICLASS || task == ML_TASK_PROJECTION)
		ml_rule_refuse(maker, location, ERRCODE_FEATURE_NOT_SUPPORTED, "this model predicts no number",
					   "\"prediction\" is the number that mlops_predict gives.", "A model of several classes has a \"label\".");
	return ml_expr_operation(ML_OP_PREDICTION, 0, ML_RULE_NUMBER, location, NIL);
}

static MlRuleExpr *
label(MlRuleMaker *maker, int location)
{
	MlTask		task = maker->names->task;

	if (task != ML_TASK_BINARY && task != ML_TASK_MULTICLASS && task != ML_TASK_CLUSTER)
		ml_rule_refuse(maker, location, ERRCODE_FEATURE_NOT_SUPPORTED, "this model predicts no label",
					   "\"label\" is the class that mlops_predict_label gives.", "Use \"prediction\".");
	return ml_expr_operation(ML_OP_LABEL, 0, ML_RULE_TEXT, location, NIL);
}

static void
refuse_name(MlRuleMaker *maker, const char *name, int location)
{
	const MlRuleNames *names = maker->names;
	StringInfoData list;
	MlNearest	nearest;

	initStringInfo(&list);
	ml_nearest_begin(&nearest, name);
	for (int i = 0; i < names->ncolumns; i++)
	{
		ml_nearest_offer(&nearest, names->column[i].name);
		if (list.len < 400)
			appendStringInfo(&list, "%s%s", i == 0 ? "" : ", ", names->column[i].name);
	}
	ml_rule_refuse(maker, location, ERRCODE_UNDEFINED_COLUMN, psprintf("column \"%s\" is not known", name),
				   names->ncolumns == 0 ? "The model's version has no columns that a rule can use." :
				   psprintf("The columns are %s; then there are prediction, label and key.", list.data),
				   nearest.best ? psprintf("Perhaps you meant \"%s\".", nearest.best) :
				   psprintf("Declare a column that the model does not use: {\"rules\": [...], \"columns\": {\"%s\": \"text\"}}.", name));
}

/* the place of a name in the program's columns */
int
ml_rule_use_column(MlRuleMaker *maker, int name)
{
	MlRuleProgram *program = maker->program;

	if (maker->column_of[name] < 0)
	{
		maker->column_of[name] = program->ncolumns;
		program->column[program->ncolumns++] = maker->names->column[name];
	}
	return maker->column_of[name];
}

static MlRuleExpr *
column(MlRuleMaker *maker, const char *name, int location)
{
	const MlRuleNames *names = maker->names;
	MlRuleExpr *expr;
	int			i = 0;

	while (i < names->ncolumns && strcmp(names->column[i].name, name) != 0)
		i++;
	if (i == names->ncolumns)
		refuse_name(maker, name, location);
	if (names->refused != NULL && names->refused[i] != NULL)
		ml_rule_refuse(maker, location, ERRCODE_FEATURE_NOT_SUPPORTED,
					   psprintf("column \"%s\" cannot be used in a rule", name), names->refused[i],
					   "Values of rules are numbers, booleans, text and timestamps.");
	expr = ml_expr_operation(ML_OP_COLUMN, 0, names->column[i].type, location, NIL);
	expr->b = ml_rule_use_column(maker, i);
	return expr;
}

/* a column, or one of the three names; input.name is always a column */
static MlRuleExpr *
name(MlRuleMaker *maker, ColumnRef *node)
{
	int			n = list_length(node->fields);
	Node	   *last = llast(node->fields);
	const char *text;

	if (!IsA(last, String) || n > 2 || !IsA(linitial(node->fields), String) ||
		(n == 2 && strcmp(strVal(linitial(node->fields)), QUALIFIER) != 0))
		ml_rule_refuse(maker, node->location, ERRCODE_FEATURE_NOT_SUPPORTED, "rules have no tables",
					   "A condition sees the columns of one input row.",
					   "Write the column's name alone, or input.name for one that is named as prediction, label or key.");
	text = strVal(last);
	if (n == 1 && strcmp(text, "prediction") == 0)
		return prediction(maker, node->location);
	if (n == 1 && strcmp(text, "label") == 0)
		return label(maker, node->location);
	if (n == 1 && strcmp(text, "key") == 0)
		return ml_expr_operation(ML_OP_KEY, 0, ML_RULE_TEXT, node->location, NIL);
	return column(maker, text, node->location);
}

/* ---- logic ---- */

static MlRuleExpr *
logic(MlRuleMaker *maker, BoolExpr *node)
{
	MlRuleExpr *expr = ml_expr_constant(ML_RULE_BOOL, node->location);
	const char *what = node->boolop == AND_EXPR ? "argument of AND" : node->boolop == OR_EXPR ? "argument of OR" : "argument of NOT";
	ListCell   *cell;

	foreach(cell, node->args)
		expr->args = lappend(expr->args, ml_rule_expr_of(maker, lfirst(cell), ML_RULE_BOOL, what));
	if (node->boolop == NOT_EXPR)
		return ml_expr_operation(ML_OP_NOT, 0, ML_RULE_BOOL, node->location, expr->args);
	expr->kind = node->boolop == AND_EXPR ? ML_EXPR_AND : ML_EXPR_OR;
	return expr;
}

static MlRuleExpr *
negate(MlRuleExpr *expr, bool negated)
{
	return negated ? ml_expr_operation(ML_OP_NOT, 0, ML_RULE_BOOL, expr->location, list_make1(expr)) : expr;
}

static MlRuleExpr *
null_test(MlRuleMaker *maker, NullTest *node)
{
	MlRuleExpr *argument = ml_rule_expr(maker, (Node *) node->arg);

	if (argument->type == ML_RULE_UNKNOWN)
		argument = ml_expr_coerce(maker, argument, ML_RULE_TEXT);
	return negate(ml_expr_operation(ML_OP_IS_NULL, 0, ML_RULE_BOOL, node->location, list_make1(argument)),
				  node->nulltesttype == IS_NOT_NULL);
}

static MlRuleExpr *
boolean_test(MlRuleMaker *maker, BooleanTest *node)
{
	MlRuleExpr *argument = ml_rule_expr_of(maker, (Node *) node->arg, ML_RULE_BOOL, "argument of IS");
	BoolTestType test = node->booltesttype;
	MlRuleCode	code = test == IS_TRUE || test == IS_NOT_TRUE ? ML_OP_IS_TRUE :
		test == IS_FALSE || test == IS_NOT_FALSE ? ML_OP_IS_FALSE : ML_OP_IS_NULL;

	return negate(ml_expr_operation(code, 0, ML_RULE_BOOL, node->location, list_make1(argument)),
				  test == IS_NOT_TRUE || test == IS_NOT_FALSE || test == IS_NOT_UNKNOWN);
}

/* ---- choices ---- */

/* brings all of a list to their common type */
static List *
coerce_all(MlRuleMaker *maker, List *exprs, const char *what, int location, MlRuleType *type)
{
	List	   *result = NIL;
	ListCell   *cell;

	if (!ml_expr_common(maker, exprs, type))
		ml_rule_refuse(maker, location, ERRCODE_DATATYPE_MISMATCH, psprintf("values of %s have different types", what),
					   NULL, "Cast them to one type.");
	foreach(cell, exprs)
		result = lappend(result, ml_expr_coerce(maker, lfirst(cell), *type));
	return result;
}

static MlRuleExpr *
choice(MlRuleMaker *maker, CaseExpr *node)
{
	MlRuleExpr *expr = ml_expr_constant(ML_RULE_UNKNOWN, node->location);
	MlRuleExpr *subject = node->arg ? ml_rule_expr(maker, (Node *) node->arg) : NULL;
	MlRuleExpr *otherwise;
	List	   *conditions = NIL;
	List	   *results = NIL;
	ListCell   *cell;
	ListCell   *result;

	foreach(cell, node->args)
	{
		CaseWhen   *when = lfirst_node(CaseWhen, cell);

		if (subject)
			conditions = lappend(conditions, ml_expr_compare(maker, subject, ml_rule_expr(maker, (Node *) when->expr),
															 ML_CMP_EQ, when->location));
		else
			conditions = lappend(conditions, ml_rule_expr_of(maker, (Node *) when->expr, ML_RULE_BOOL, "condition of CASE"));
		results = lappend(results, ml_rule_expr(maker, (Node *) when->result));
	}
	if (node->defresult)
		otherwise = ml_rule_expr(maker, (Node *) node->defresult);
	else
	{
		otherwise = ml_expr_constant(ML_RULE_UNKNOWN, node->location);
		otherwise->isnull = true;
	}
	results = coerce_all(maker, lappend(results, otherwise), "CASE", node->location, &expr->type);
	expr->kind = ML_EXPR_CASE;
	result = list_head(results);
	foreach(cell, conditions)
	{
		expr->args = lappend(lappend(expr->args, lfirst(cell)), lfirst(result));
		result = lnext(results, result);
	}
	expr->args = lappend(expr->args, llast(results));
	return expr;
}

static List *
all_of(MlRuleMaker *maker, List *nodes)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, nodes)
		result = lappend(result, ml_rule_expr(maker, lfirst(cell)));
	return result;
}

static MlRuleExpr *
coalesce(MlRuleMaker *maker, CoalesceExpr *node)
{
	MlRuleExpr *expr = ml_expr_constant(ML_RULE_UNKNOWN, node->location);

	expr->kind = ML_EXPR_COALESCE;
	expr->args = coerce_all(maker, all_of(maker, node->args), "COALESCE", node->location, &expr->type);
	return expr;
}

static MlRuleExpr *
extreme(MlRuleMaker *maker, MinMaxExpr *node)
{
	const char *what = node->op == IS_GREATEST ? "GREATEST" : "LEAST";
	MlRuleType	type;
	List	   *args = coerce_all(maker, all_of(maker, node->args), what, node->location, &type);
	MlRuleExpr *expr = linitial(args);
	ListCell   *cell;

	for_each_from(cell, args, 1)
		expr = ml_expr_operation(ML_OP_GREATER_N + ml_expr_variant(type), node->op == IS_LEAST, type,
								 node->location, list_make2(expr, lfirst(cell)));
	return expr;
}

/* ---- all of them ---- */

/* what users try most, in their words */
static void
refuse_node(MlRuleMaker *maker, Node *node)
{
	const char *what = "this construct is not part of the language of rules";
	const char *hint = "docs/rules.md lists what is.";

	if (IsA(node, SubLink))
	{
		what = "rules have no sub-queries";
		hint = "Put what the query finds into a column of the input.";
	}
	else if (IsA(node, CollateClause))
	{
		what = "rules have no collations";
		hint = "Text is compared by its bytes.";
	}
	else if (IsA(node, ParamRef))
		what = "rules have no parameters";
	else if (IsA(node, A_ArrayExpr) || IsA(node, A_Indirection))
		what = "rules have no arrays";
	else if (IsA(node, RowExpr))
		what = "rules have no rows";
	ml_rule_refuse(maker, exprLocation(node), ERRCODE_FEATURE_NOT_SUPPORTED, what,
				   "A condition is calculated without the database, so that it can run as nobody.", hint);
}

static MlRuleExpr *
expression(MlRuleMaker *maker, Node *node)
{
	switch (nodeTag(node))
	{
		case T_A_Const:
			return constant(maker, (A_Const *) node);
		case T_ColumnRef:
			return name(maker, (ColumnRef *) node);
		case T_A_Expr:
			return ml_rule_operator(maker, (A_Expr *) node);
		case T_BoolExpr:
			return logic(maker, (BoolExpr *) node);
		case T_NullTest:
			return null_test(maker, (NullTest *) node);
		case T_BooleanTest:
			return boolean_test(maker, (BooleanTest *) node);
		case T_CaseExpr:
			return choice(maker, (CaseExpr *) node);
		case T_CoalesceExpr:
			return coalesce(maker, (CoalesceExpr *) node);
		case T_MinMaxExpr:
			return extreme(maker, (MinMaxExpr *) node);
		case T_FuncCall:
			return ml_rule_call(maker, (FuncCall *) node);
		case T_SQLValueFunction:
			return ml_rule_value_function(maker, node);
		case T_TypeCast:
			return ml_rule_type_cast(maker, (TypeCast *) node);
		default:
			refuse_node(maker, node);
	}
	return NULL;
}

MlRuleExpr *
ml_rule_expr(MlRuleMaker *maker, Node *node)
{
	MlRuleExpr *expr;

	check_stack_depth();
	if (++maker->depth > ML_RULE_MAX_DEPTH)
		ml_rule_refuse(maker, exprLocation(node), ERRCODE_STATEMENT_TOO_COMPLEX, "a condition is nested too deeply",
					   psprintf("At most %d levels are read.", ML_RULE_MAX_DEPTH), "Divide it between rules.");
	expr = expression(maker, node);
	maker->depth--;
	return expr;
}
