/*
 * cast_expression.c
 *		Casts in conditions, and intervals, which are constants.
 */
#include "postgres.h"

#include <math.h>

#include "common/int.h"
#include "rule/compile.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

/* what a type's name stands for */
typedef struct Target
{
	const char *name;
	MlRuleType	type;
	int			integer;		/* bytes of a whole number */
	bool		real;
	bool		day;
} Target;

static const Target targets[] = {
	{"number", ML_RULE_NUMBER}, {"numeric", ML_RULE_NUMBER}, {"decimal", ML_RULE_NUMBER},
	{"float8", ML_RULE_NUMBER}, {"double precision", ML_RULE_NUMBER},
	{"float4", ML_RULE_NUMBER, 0, true}, {"real", ML_RULE_NUMBER, 0, true},
	{"int2", ML_RULE_NUMBER, 2}, {"smallint", ML_RULE_NUMBER, 2},
	{"int4", ML_RULE_NUMBER, 4}, {"integer", ML_RULE_NUMBER, 4}, {"int", ML_RULE_NUMBER, 4},
	{"int8", ML_RULE_NUMBER, 8}, {"bigint", ML_RULE_NUMBER, 8},
	{"bool", ML_RULE_BOOL}, {"boolean", ML_RULE_BOOL},
	{"text", ML_RULE_TEXT}, {"varchar", ML_RULE_TEXT}, {"character varying", ML_RULE_TEXT},
	{"timestamp", ML_RULE_TIMESTAMP}, {"timestamp without time zone", ML_RULE_TIMESTAMP},
	{"timestamptz", ML_RULE_TIMESTAMPTZ}, {"timestamp with time zone", ML_RULE_TIMESTAMPTZ},
	{"date", ML_RULE_TIMESTAMP, 0, false, true}
};

static const Target *
find_target(const char *name)
{
	for (int i = 0; i < lengthof(targets); i++)
		if (pg_strcasecmp(targets[i].name, name) == 0)
			return &targets[i];
	return NULL;
}

MlRuleType
ml_rule_type_find(const char *name)
{
	const Target *target = find_target(name);

	return target ? target->type : ML_RULE_UNKNOWN;
}

/* the name of a type without schema, length and brackets; NULL: it has them */
static const char *
plain_name(TypeName *type)
{
	if (type->typmods != NIL || type->arrayBounds != NIL || type->setof || type->pct_type ||
		list_length(type->names) > 2 ||
		(list_length(type->names) == 2 && strcmp(strVal(linitial(type->names)), "pg_catalog") != 0))
		return NULL;
	return strVal(llast(type->names));
}

static MlRuleExpr *
operation(MlRuleCode code, int a, MlRuleType type, MlRuleExpr *argument)
{
	return ml_expr_operation(code, a, type, argument->location, list_make1(argument));
}

/* ---- from each type ---- */

MlRuleExpr *
ml_expr_to_text(MlRuleExpr *expr)
{
	switch (expr->type)
	{
		case ML_RULE_NUMBER:
			return operation(ML_OP_NUMBER_TO_TEXT, 0, ML_RULE_TEXT, expr);
		case ML_RULE_BOOL:
			return operation(ML_OP_BOOL_TO_TEXT, 0, ML_RULE_TEXT, expr);
		case ML_RULE_TIMESTAMP:
			return operation(ML_OP_TIME_TO_TEXT, 0, ML_RULE_TEXT, expr);
		case ML_RULE_TIMESTAMPTZ:
			return operation(ML_OP_TIME_TO_TEXT, 1, ML_RULE_TEXT, expr);
		default:
			return expr;
	}
}

static MlRuleExpr *
narrow(MlRuleExpr *number, const Target *target)
{
	if (target->integer > 0)
		return operation(ML_OP_NUMBER_TO_INT, target->integer, ML_RULE_NUMBER, number);
	return target->real ? operation(ML_OP_NUMBER_TO_REAL, 0, ML_RULE_NUMBER, number) : number;
}

static MlRuleExpr *
from_text(MlRuleExpr *expr, const Target *target)
{
	switch (target->type)
	{
		case ML_RULE_NUMBER:
			if (target->integer > 0)
				return operation(ML_OP_TEXT_TO_INT, target->integer, ML_RULE_NUMBER, expr);
			return narrow(operation(ML_OP_TEXT_TO_NUMBER, 0, ML_RULE_NUMBER, expr), target);
		case ML_RULE_BOOL:
			return operation(ML_OP_TEXT_TO_BOOL, 0, ML_RULE_BOOL, expr);
		case ML_RULE_TIMESTAMP:
			expr = operation(ML_OP_TEXT_TO_TIME, 0, ML_RULE_TIMESTAMP, expr);
			return target->day ? operation(ML_OP_DAY, 0, ML_RULE_TIMESTAMP, expr) : expr;
		case ML_RULE_TIMESTAMPTZ:
			return operation(ML_OP_TEXT_TO_TIME, 1, ML_RULE_TIMESTAMPTZ, expr);
		default:
			return expr;
	}
}

static MlRuleExpr *
from_time(MlRuleExpr *expr, const Target *target)
{
	if (target->type == ML_RULE_TIMESTAMPTZ)
		return expr->type == ML_RULE_TIMESTAMPTZ ? expr : operation(ML_OP_TO_UTC, 0, ML_RULE_TIMESTAMPTZ, expr);
	if (target->type != ML_RULE_TIMESTAMP)
		return NULL;
	if (expr->type == ML_RULE_TIMESTAMPTZ)
		expr = operation(ML_OP_TO_LOCAL, 0, ML_RULE_TIMESTAMP, expr);
	return target->day ? operation(ML_OP_DAY, 0, ML_RULE_TIMESTAMP, expr) : expr;
}

/* what is written out is read when the rule is made */
static MlRuleExpr *
from_literal(MlRuleMaker *maker, MlRuleExpr *expr, const Target *target)
{
	MlRuleExpr *result = ml_expr_coerce(maker, expr, target->type);

	if (!expr->isnull && target->integer > 0 && rint(result->number) != result->number)
		ml_rule_refuse(maker, expr->location, ERRCODE_INVALID_TEXT_REPRESENTATION,
					   psprintf("invalid whole number: \"%s\"", expr->text), NULL, "Cast it to numeric.");
	if (target->type == ML_RULE_NUMBER)
		return narrow(result, target);
	return target->day ? operation(ML_OP_DAY, 0, ML_RULE_TIMESTAMP, result) : result;
}

static MlRuleExpr *
cast_to(MlRuleMaker *maker, MlRuleExpr *expr, const Target *target)
{
	if (expr->type == ML_RULE_UNKNOWN)
		return from_literal(maker, expr, target);
	if (target->type == ML_RULE_TEXT)
		return ml_expr_to_text(expr);
	switch (expr->type)
	{
		case ML_RULE_NUMBER:
			if (target->type == ML_RULE_NUMBER)
				return narrow(expr, target);
			return target->type == ML_RULE_BOOL ? operation(ML_OP_NUMBER_TO_BOOL, 0, ML_RULE_BOOL, expr) : NULL;
		case ML_RULE_BOOL:
			if (target->type == ML_RULE_BOOL)
				return expr;
			return target->integer > 0 ? operation(ML_OP_BOOL_TO_NUMBER, 0, ML_RULE_NUMBER, expr) : NULL;
		case ML_RULE_TEXT:
			return from_text(expr, target);
		default:
			return from_time(expr, target);
	}
}

MlRuleExpr *
ml_rule_type_cast(MlRuleMaker *maker, TypeCast *cast)
{
	const char *name = plain_name(cast->typeName);
	const Target *target = name ? find_target(name) : NULL;
	MlRuleExpr *expr;
	MlRuleExpr *result;

	if (target == NULL)
		ml_rule_refuse(maker, cast->location, ERRCODE_FEATURE_NOT_SUPPORTED,
					   name && strcmp(name, "interval") == 0 ? "an interval can only be added to a time, or taken off it" :
					   psprintf("rules have no type %s", name ? name : "of a schema, of a length or of arrays"),
					   "Casts are to numeric, float8, real, int, bigint, smallint, boolean, text, timestamp, timestamptz and date.",
					   "Write the type's name alone.");
	expr = ml_rule_expr(maker, cast->arg);
	result = cast_to(maker, expr, target);
	if (result == NULL)
		ml_rule_refuse(maker, cast->location, ERRCODE_CANNOT_COERCE,
					   psprintf("rules do not cast type %s to %s", ml_rule_type_name(expr->type), name), NULL,
					   expr->type >= ML_RULE_TIMESTAMP ? "Use extract(epoch FROM x) for a number." : "Cast to text or int first.");
	return result;
}

/* ---- intervals ---- */

/* the server reads it, under standard settings; a day is 24 hours */
static Interval *
parse_interval(const char *text)
{
	int			level = NewGUCNestLevel();
	Interval   *interval;

	(void) set_config_option("intervalstyle", "postgres", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	interval = DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid),
													 Int32GetDatum(-1)));
	AtEOXact_GUC(false, level);
	return interval;
}

bool
ml_rule_is_interval(MlRuleMaker *maker, Node *node, int64 *usec)
{
	TypeCast   *cast = (TypeCast *) node;
	MlRuleExpr *expr;
	Interval   *interval;
	const char *name;

	if (!IsA(node, TypeCast))
		return false;
	name = plain_name(cast->typeName);
	if (name == NULL || strcmp(name, "interval") != 0)
		return false;
	expr = ml_rule_expr(maker, cast->arg);
	if (expr->type != ML_RULE_UNKNOWN || expr->isnull)
		ml_rule_refuse(maker, expr->location, ERRCODE_FEATURE_NOT_SUPPORTED, "intervals in rules are written out", NULL,
					   "As in interval '30 days'.");
	interval = parse_interval(expr->text);
	if (interval->month != 0)
		ml_rule_refuse(maker, expr->location, ERRCODE_FEATURE_NOT_SUPPORTED, "intervals in rules have no months and years",
					   "Their length depends on the date.", "Write days: interval '30 days'.");
	if (pg_mul_s64_overflow(interval->day, USECS_PER_DAY, usec) || pg_add_s64_overflow(*usec, interval->time, usec))
		ml_rule_refuse(maker, expr->location, ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, "an interval is too long", NULL,
					   "Write a shorter one.");
	return true;
}
