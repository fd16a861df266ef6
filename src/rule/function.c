/*
 * function.c
 *		The functions of rules: arithmetic here, the rest in files of their own.
 *
 * Numbers are calculated as the server's float8 is. What it refuses to
 * calculate - division by zero, results that are not in the range of a double,
 * roots and logarithms of what has none - has no value here.
 */
#include "postgres.h"

#include <math.h>

#include "rule/value.h"

void
ml_rule_no_value(MlRuleView *view, MlRuleValue *value)
{
	value->isnull = true;
	view->error = true;
}

/*
 * Takes a result, unless it left the range of double on the way: infinite from
 * finite arguments, NaN, or 0 where it cannot be (may_be_zero is false).
 */
static void
take(MlRuleView *view, MlRuleValue *value, double result, bool finite, bool may_be_zero)
{
	if (isnan(result) || (isinf(result) && finite) || (result == 0 && !may_be_zero))
		ml_rule_no_value(view, value);
	else
		value->number = result;
}

static void
power_of(MlRuleView *view, MlRuleValue *left, double a, double b)
{
	bool		finite = !isinf(a) && !isinf(b);

	if ((a == 0 && b < 0) || (a < 0 && floor(b) != b))
		ml_rule_no_value(view, left);
	else
		take(view, left, pow(a, b), finite, !finite || a == 0);
}

static void
arithmetic(MlRuleView *view, int code, MlRuleValue *left, double a, double b)
{
	bool		finite = !isinf(a) && !isinf(b);

	switch (code)
	{
		case ML_OP_ADD:
			take(view, left, a + b, finite, true);
			break;
		case ML_OP_SUBTRACT:
			take(view, left, a - b, finite, true);
			break;
		case ML_OP_MULTIPLY:
			take(view, left, a * b, finite, a == 0 || b == 0);
			break;
		case ML_OP_DIVIDE:
			if (b == 0)
				ml_rule_no_value(view, left);
			else
				take(view, left, a / b, !isinf(a), a == 0 || isinf(b));
			break;
		case ML_OP_MODULO:
			if (b == 0)
				ml_rule_no_value(view, left);
			else
				take(view, left, fmod(a, b), true, true);
			break;
		default:
			power_of(view, left, a, b);
			break;
	}
}

static void
logarithm(MlRuleView *view, MlRuleValue *value, double (*function) (double))
{
	if (value->number <= 0)
		ml_rule_no_value(view, value);
	else
		value->number = function(value->number);
}

static void
unary(MlRuleView *view, int code, MlRuleValue *value)
{
	double		x = value->number;

	switch (code)
	{
		case ML_OP_NEGATE:
			value->number = -x;
			break;
		case ML_OP_ABS:
			value->number = fabs(x);
			break;
		case ML_OP_SIGN:
			value->number = x > 0 ? 1 : x < 0 ? -1 : 0;
			break;
		case ML_OP_ROUND:
			value->number = rint(x);
			break;
		case ML_OP_FLOOR:
			value->number = floor(x);
			break;
		case ML_OP_CEIL:
			value->number = ceil(x);
			break;
		case ML_OP_TRUNC:
			value->number = trunc(x);
			break;
		case ML_OP_SQRT:
			if (x < 0)
				ml_rule_no_value(view, value);
			else
				value->number = sqrt(x);
			break;
		case ML_OP_EXP:
			take(view, value, exp(x), !isinf(x), isinf(x));
			break;
		case ML_OP_LN:
			logarithm(view, value, log);
			break;
		default:
			logarithm(view, value, log10);
			break;
	}
}

/* of the arguments, the first is where the result goes */
static void
call(MlRuleView *view, const MlRuleStep *step, MlRuleValue *first)
{
	if (step->code <= ML_OP_POWER)
		arithmetic(view, step->code, first, first[0].number, first[1].number);
	else if (step->code <= ML_OP_LOG10)
		unary(view, step->code, first);
	else if (step->code <= ML_OP_TRIM)
		ml_rule_text_function(view, step, first);
	else if (step->code <= ML_OP_TIME_TO_TEXT)
		ml_rule_cast(view, step, first);
	else
		ml_rule_time_function(view, step, first);
}

MlRuleValue *
ml_rule_function(MlRuleView *view, const MlRuleStep *step, MlRuleValue *top)
{
	int			n = ml_rule_code[step->code].ntakes;
	MlRuleValue *first = top - n + 1;
	bool		any_null = false;

	for (int i = 0; i < n; i++)
		any_null = any_null || first[i].isnull;
	if (any_null)
		first->isnull = true;
	else
		call(view, step, first);
	return first;
}
