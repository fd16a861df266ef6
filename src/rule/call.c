/*
 * call.c
 *		Functions in conditions: those of the list below, and no others. None is
 *		looked up in the catalog, so none can be shadowed, replaced or denied.
 */
#include "postgres.h"

#include "errors.h"
#include "nodes/primnodes.h"
#include "rule/compile.h"

/* takes: types of the arguments, as in opcode.h */
typedef struct Function
{
	const char *name;
	const char *takes;
	MlRuleCode	code;
	int			a;
	MlRuleType	gives;
} Function;

static const Function functions[] = {
	{"abs", "n", ML_OP_ABS, 0, ML_RULE_NUMBER},
	{"btrim", "t", ML_OP_TRIM, 3, ML_RULE_TEXT},
	{"ceil", "n", ML_OP_CEIL, 0, ML_RULE_NUMBER},
	{"ceiling", "n", ML_OP_CEIL, 0, ML_RULE_NUMBER},
	{"char_length", "t", ML_OP_LENGTH, 0, ML_RULE_NUMBER},
	{"character_length", "t", ML_OP_LENGTH, 0, ML_RULE_NUMBER},
	{"exp", "n", ML_OP_EXP, 0, ML_RULE_NUMBER},
	{"floor", "n", ML_OP_FLOOR, 0, ML_RULE_NUMBER},
	{"left", "tn", ML_OP_LEFT, 0, ML_RULE_TEXT},
	{"length", "t", ML_OP_LENGTH, 0, ML_RULE_NUMBER},
	{"ln", "n", ML_OP_LN, 0, ML_RULE_NUMBER},
	{"log", "n", ML_OP_LOG10, 0, ML_RULE_NUMBER},
	{"log10", "n", ML_OP_LOG10, 0, ML_RULE_NUMBER},
	{"lower", "t", ML_OP_LOWER, 0, ML_RULE_TEXT},
	{"ltrim", "t", ML_OP_TRIM, 1, ML_RULE_TEXT},
	{"mod", "nn", ML_OP_MODULO, 0, ML_RULE_NUMBER},
	{"now", "", ML_OP_NOW, 0, ML_RULE_TIMESTAMPTZ},
	{"position", "tt", ML_OP_POSITION, 0, ML_RULE_NUMBER},
	{"pow", "nn", ML_OP_POWER, 0, ML_RULE_NUMBER},
	{"power", "nn", ML_OP_POWER, 0, ML_RULE_NUMBER},
	{"right", "tn", ML_OP_RIGHT, 0, ML_RULE_TEXT},
	{"round", "n", ML_OP_ROUND, 0, ML_RULE_NUMBER},
	{"rtrim", "t", ML_OP_TRIM, 2, ML_RULE_TEXT},
	{"sign", "n", ML_OP_SIGN, 0, ML_RULE_NUMBER},
	{"sqrt", "n", ML_OP_SQRT, 0, ML_RULE_NUMBER},
	{"starts_with", "tt", ML_OP_STARTS_WITH, 0, ML_RULE_BOOL},
	{"strpos", "tt", ML_OP_POSITION, 0, ML_RULE_NUMBER},
	{"substr", "tn", ML_OP_SUBSTR_FROM, 0, ML_RULE_TEXT},
	{"substr", "tnn", ML_OP_SUBSTR, 0, ML_RULE_TEXT},
	{"substring", "tn", ML_OP_SUBSTR_FROM, 0, ML_RULE_TEXT},
	{"substring", "tnn", ML_OP_SUBSTR, 0, ML_RULE_TEXT},
	{"to_timestamp", "n", ML_OP_FROM_EPOCH, 0, ML_RULE_TIMESTAMPTZ},
	{"transaction_timestamp", "", ML_OP_NOW, 0, ML_RULE_TIMESTAMPTZ},
	{"trunc", "n", ML_OP_TRUNC, 0, ML_RULE_NUMBER},
	{"upper", "t", ML_OP_UPPER, 0, ML_RULE_TEXT}
};

static const struct
{
	const char *name;
	MlRuleField field;
}			fields[] = {
	{"year", ML_FIELD_YEAR}, {"quarter", ML_FIELD_QUARTER}, {"month", ML_FIELD_MONTH},
	{"week", ML_FIELD_WEEK}, {"day", ML_FIELD_DAY_OF_MONTH}, {"dow", ML_FIELD_DOW},
	{"isodow", ML_FIELD_ISODOW}, {"doy", ML_FIELD_DOY}, {"hour", ML_FIELD_HOUR},
	{"minute", ML_FIELD_MINUTE}, {"second", ML_FIELD_SECOND}, {"epoch", ML_FIELD_EPOCH}
};

#define LISTED	"abs ceil exp floor ln log10 mod power round sign sqrt trunc; " \
	"btrim left length lower ltrim right rtrim starts_with strpos substr upper; " \
	"extract now to_timestamp; coalesce greatest least nullif"

/* ---- refusing ---- */

static void
refuse_unknown(MlRuleMaker *maker, const char *name, int location)
{
	MlNearest	nearest;

	ml_nearest_begin(&nearest, name);
	for (int i = 0; i < lengthof(functions); i++)
		ml_nearest_offer(&nearest, functions[i].name);
	ml_rule_refuse(maker, location, ERRCODE_UNDEFINED_FUNCTION, psprintf("rules have no function %s", name),
				   "The functions of rules are " LISTED ".",
				   nearest.best ? psprintf("Perhaps you meant %s.", nearest.best) :
				   "Put what it gives into a column of the input.");
}

static void
refuse_arguments(MlRuleMaker *maker, const char *name, List *args, int location)
{
	StringInfoData found;
	ListCell   *cell;

	initStringInfo(&found);
	foreach(cell, args)
		appendStringInfo(&found, "%s%s", found.len > 0 ? ", " : "", ml_rule_type_name(((MlRuleExpr *) lfirst(cell))->type));
	ml_rule_refuse(maker, location, ERRCODE_UNDEFINED_FUNCTION, psprintf("rules have no function %s(%s)", name, found.data),
				   "It takes arguments of other types, or another number of them.", "Cast the arguments, as in x::text.");
}

/* DISTINCT, FILTER, OVER and their like: what only aggregates and windows have */
static void
check_plain(MlRuleMaker *maker, FuncCall *call)
{
	if (call->agg_order || call->agg_filter || call->over || call->agg_within_group || call->agg_star ||
		call->agg_distinct || call->func_variadic)
		ml_rule_refuse(maker, call->location, ERRCODE_FEATURE_NOT_SUPPORTED, "rules have no aggregates and windows",
					   "A condition sees one row.", "Put what they give into a column of the input.");
}

/* pg_catalog is where the server's grammar puts the functions of its own syntax */
static const char *
function_name(MlRuleMaker *maker, FuncCall *call)
{
	if (list_length(call->funcname) > 2 ||
		(list_length(call->funcname) == 2 && strcmp(strVal(linitial(call->funcname)), "pg_catalog") != 0))
		ml_rule_refuse(maker, call->location, ERRCODE_FEATURE_NOT_SUPPORTED, "functions in rules have no schema",
					   "They are those of the language of rules, whatever the search_path.", "Write the function's name alone.");
	return strVal(llast(call->funcname));
}

/* ---- extract ---- */

static MlRuleExpr *
extract(MlRuleMaker *maker, List *args, int location)
{
	MlRuleExpr *field = linitial(args);
	MlRuleExpr *time = lsecond(args);

	if (field->kind != ML_EXPR_CONSTANT || field->type != ML_RULE_UNKNOWN || field->isnull || time->type < ML_RULE_TIMESTAMP)
		refuse_arguments(maker, "extract", args, location);
	for (int i = 0; i < lengthof(fields); i++)
		if (pg_strcasecmp(fields[i].name, field->text) == 0)
			return ml_expr_operation(ML_OP_EXTRACT, fields[i].field | (time->type == ML_RULE_TIMESTAMPTZ ? ML_RULE_ZONED : 0),
									 ML_RULE_NUMBER, location, list_make1(time));
	ml_rule_refuse(maker, location, ERRCODE_FEATURE_NOT_SUPPORTED, psprintf("rules do not extract \"%s\"", field->text),
				   "They extract year, quarter, month, week, day, dow, isodow, doy, hour, minute, second and epoch.",
				   "Name one of them.");
}

/* ---- calls ---- */

static bool
fits(const Function *function, List *args)
{
	ListCell   *cell;
	const char *wanted = function->takes;

	if (list_length(args) != strlen(wanted))
		return false;
	foreach(cell, args)
	{
		MlRuleType	found = ((MlRuleExpr *) lfirst(cell))->type;

		if (found != ML_RULE_UNKNOWN && found != (*wanted == 'n' ? ML_RULE_NUMBER : ML_RULE_TEXT))
			return false;
		wanted++;
	}
	return true;
}

static MlRuleExpr *
call_of(MlRuleMaker *maker, const Function *function, List *args, int location)
{
	List	   *coerced = NIL;
	ListCell   *cell;
	const char *wanted = function->takes;

	foreach(cell, args)
		coerced = lappend(coerced, ml_expr_coerce(maker, lfirst(cell), *wanted++ == 'n' ? ML_RULE_NUMBER : ML_RULE_TEXT));
	return ml_expr_operation(function->code, function->a, function->gives, location, coerced);
}

MlRuleExpr *
ml_rule_call(MlRuleMaker *maker, FuncCall *call)
{
	const char *name = function_name(maker, call);
	bool		is_extract = strcmp(name, "extract") == 0 || strcmp(name, "date_part") == 0;
	bool		known = is_extract;
	List	   *args = NIL;
	ListCell   *cell;

	check_plain(maker, call);
	for (int i = 0; i < lengthof(functions); i++)
		known = known || strcmp(functions[i].name, name) == 0;
	if (!known)
		refuse_unknown(maker, name, call->location);
	foreach(cell, call->args)
		args = lappend(args, ml_rule_expr(maker, lfirst(cell)));
	if (is_extract && list_length(args) == 2)
		return extract(maker, args, call->location);
	for (int i = 0; i < lengthof(functions); i++)
		if (strcmp(functions[i].name, name) == 0 && fits(&functions[i], args))
			return call_of(maker, &functions[i], args, call->location);
	refuse_arguments(maker, name, args, call->location);
	return NULL;
}

/* CURRENT_TIMESTAMP and what follows from it */
MlRuleExpr *
ml_rule_value_function(MlRuleMaker *maker, Node *node)
{
	SQLValueFunction *function = (SQLValueFunction *) node;
	int			location = function->location;
	MlRuleExpr *now = ml_expr_operation(ML_OP_NOW, 0, ML_RULE_TIMESTAMPTZ, location, NIL);
	MlRuleExpr *local = ml_expr_operation(ML_OP_TO_LOCAL, 0, ML_RULE_TIMESTAMP, location, list_make1(now));

	switch (function->op)
	{
		case SVFOP_CURRENT_TIMESTAMP:
			return now;
		case SVFOP_LOCALTIMESTAMP:
			return local;
		case SVFOP_CURRENT_DATE:
			return ml_expr_operation(ML_OP_DAY, 0, ML_RULE_TIMESTAMP, location, list_make1(local));
		default:
			ml_rule_refuse(maker, location, ERRCODE_FEATURE_NOT_SUPPORTED, "rules run as nobody: there is no current user or schema",
						   "A rule says the same for everyone.", "Put the name into a column of the input.");
	}
}
