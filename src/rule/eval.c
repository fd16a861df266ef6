/*
 * eval.c
 *		Programs of rules, run.
 *
 * What an instruction takes from the stack, and that jumps lead forward, was
 * checked when the program was read. Nothing here raises an error: where the
 * server would, the value is NULL and view->error is set. Text that is made
 * goes to the current context, which is the caller's for one row.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "rule/opcode.h"
#include "rule/value.h"
#include "utils/float.h"

/* ---- columns ---- */

void
ml_rule_take(MlRuleType type, MlValueType *input, Datum datum, MlRuleValue *value)
{
	int			length;

	value->isnull = false;
	switch (type)
	{
		case ML_RULE_NUMBER:
			value->number = ml_value_number(input, datum);
			value->isnull = isnan(value->number);
			break;
		case ML_RULE_BOOL:
			value->boolean = ml_value_number(input, datum) != 0;
			break;
		case ML_RULE_TEXT:
			value->bytes = ml_value_text(input, datum, &length);
			value->length = length;
			break;
		default:
			value->usec = ml_value_usec(input, datum);
			break;
	}
}

static void
read_column(const MlRuleView *view, int column, MlRuleValue *value)
{
	MlRuleBound *bound;
	const NullableDatum *input;

	if (view->column == NULL)
	{
		*value = view->value[column];
		return;
	}
	bound = &view->bound[column];
	input = &view->column[bound->position];
	value->isnull = true;
	if (input->isnull)
		return;
	if (view->program->column[column].type != ML_RULE_TEXT)
	{
		ml_rule_take(view->program->column[column].type, &bound->type, input->value, value);
		return;
	}

	/* a text may have to be decompressed: once a row */
	if (view->taken[column] != view->row)
	{
		ml_rule_take(ML_RULE_TEXT, &bound->type, input->value, &view->value[column]);
		view->taken[column] = view->row;
	}
	*value = view->value[column];
}

/* NaN stands for NULL, as in every column of numbers */
static pg_attribute_always_inline double
read_number(const MlRuleView *view, int column)
{
	MlRuleValue value;

	if (likely(view->column != NULL && view->plain[column] >= 0))
	{
		const NullableDatum *input = &view->column[view->plain[column]];

		return input->isnull ? get_float8_nan() : DatumGetFloat8(input->value);
	}
	read_column(view, column, &value);
	return value.isnull ? get_float8_nan() : value.number;
}

/* ---- comparing ---- */

/* without a branch: which rules fail where is not to be foretold */
static pg_attribute_always_inline bool
holds(int outcomes, double a, double b)
{
	return (outcomes & ((a < b) | (a == b) << 1 | (a > b) << 2)) != 0;
}

static bool
holds_order(int comparison, int order)
{
	return holds(ml_rule_outcomes(comparison), order, 0);
}

/* text by its bytes, false before true */
static int
order_of(char type, const MlRuleValue *a, const MlRuleValue *b)
{
	switch (type)
	{
		case 'n':
			return a->number < b->number ? -1 : a->number > b->number;
		case 'b':
			return (int) a->boolean - (int) b->boolean;
		case 't':
			return ml_rule_compare_text(a, b);
		default:
			return a->usec < b->usec ? -1 : a->usec > b->usec;
	}
}

static bool
is_distinct(char type, const MlRuleValue *a, const MlRuleValue *b)
{
	if (a->isnull || b->isnull)
		return a->isnull != b->isnull;
	return order_of(type, a, b) != 0;
}

static void
set_bool(MlRuleValue *value, bool boolean)
{
	value->boolean = boolean;
	value->isnull = false;
}

/* what stands for the type in the codes of comparisons, four in a row each */
static char
type_of_code(int code, int first)
{
	return "nbts"[code - first];
}

/* two values become one, which takes the place of the first */
static void
compare(int code, int a, MlRuleValue *left, const MlRuleValue *right)
{
	if (code >= ML_OP_GREATER_N)
	{
		char		type = type_of_code(code, ML_OP_GREATER_N);

		if (left->isnull ||
			(!right->isnull && (a == 0 ? order_of(type, left, right) < 0 : order_of(type, left, right) > 0)))
			*left = *right;
	}
	else if (code >= ML_OP_NULLIF_N)
	{
		if (!left->isnull && !right->isnull &&
			order_of(type_of_code(code, ML_OP_NULLIF_N), left, right) == 0)
			left->isnull = true;
	}
	else if (code >= ML_OP_DISTINCT_N)
		set_bool(left, is_distinct(type_of_code(code, ML_OP_DISTINCT_N), left, right));
	else if (left->isnull || right->isnull)
		left->isnull = true;
	else
		set_bool(left, holds_order(a, order_of(type_of_code(code, ML_OP_COMPARE_N), left, right)));
}

static void
is_in_numbers(const MlRuleProgram *program, const MlRuleStep *step, MlRuleValue *value)
{
	const double *number = program->number + step->b;
	bool		found = false;

	if (value->isnull)
		return;
	for (int i = 0; !found && i < step->a; i++)
		found = number[i] == value->number;
	set_bool(value, found);
}

static void
is_in_texts(const MlRuleProgram *program, const MlRuleStep *step, MlRuleValue *value)
{
	const MlRuleText *text = program->text + step->b;
	bool		found = false;

	if (value->isnull)
		return;
	for (int i = 0; !found && i < step->a; i++)
		found = text[i].length == value->length && memcmp(text[i].bytes, value->bytes, value->length) == 0;
	set_bool(value, found);
}

/* ---- logic of three values ---- */

static void
logic_and(MlRuleValue *left, const MlRuleValue *right)
{
	bool		no = (!left->isnull && !left->boolean) || (!right->isnull && !right->boolean);

	left->isnull = !no && (left->isnull || right->isnull);
	left->boolean = !no;
}

static void
logic_or(MlRuleValue *left, const MlRuleValue *right)
{
	bool		yes = (!left->isnull && left->boolean) || (!right->isnull && right->boolean);

	left->isnull = !yes && (left->isnull || right->isnull);
	left->boolean = yes;
}

static bool
is_true(const MlRuleValue *value)
{
	return !value->isnull && value->boolean;
}

static bool
is_false(const MlRuleValue *value)
{
	return !value->isnull && !value->boolean;
}

/* ---- the machine ---- */

/* instructions that put a value on the stack */
static void
push(const MlRuleView *view, const MlRuleStep *step, MlRuleValue *value)
{
	const MlRuleProgram *program = view->program;

	value->isnull = false;
	switch (step->code)
	{
		case ML_OP_COLUMN:
			read_column(view, step->b, value);
			break;
		case ML_OP_NUMBER:
			value->number = program->number[step->b];
			break;
		case ML_OP_TEXT:
			value->bytes = program->text[step->b].bytes;
			value->length = program->text[step->b].length;
			break;
		case ML_OP_TIME:
			value->usec = program->time[step->b];
			break;
		case ML_OP_TRUE:
		case ML_OP_FALSE:
			value->boolean = step->code == ML_OP_TRUE;
			break;
		case ML_OP_PREDICTION:
			*value = view->prediction;
			break;
		case ML_OP_LABEL:
			*value = view->label;
			break;
		case ML_OP_KEY:
			*value = view->key;
			break;
		case ML_OP_NOW:
			value->usec = view->now;
			break;
		default:
			value->isnull = true;
			break;
	}
}

/*
 * Jumps: true if the instruction goes on at its target. They take or leave the
 * topmost value as opcode.h says.
 */
static bool
jumps(const MlRuleStep *step, MlRuleValue **top)
{
	bool		result;

	switch (step->code)
	{
		case ML_OP_UNLESS_TRUE:
			return !is_true((*top)--);
		case ML_OP_IF_FALSE:
			return is_false(*top);
		case ML_OP_IF_TRUE:
			return is_true(*top);
		case ML_OP_IF_VALUE:
			result = !(*top)->isnull;
			if (!result)
				(*top)--;
			return result;
		default:
			return true;
	}
}

/* instructions that make one value of the topmost ones */
static MlRuleValue *
work(MlRuleView *view, const MlRuleStep *step, MlRuleValue *top)
{
	switch (step->code)
	{
		case ML_OP_AND:
			logic_and(top - 1, top);
			return top - 1;
		case ML_OP_OR:
			logic_or(top - 1, top);
			return top - 1;
		case ML_OP_NOT:
			top->boolean = !top->boolean;
			return top;
		case ML_OP_IS_NULL:
			set_bool(top, top->isnull);
			return top;
		case ML_OP_IS_TRUE:
			set_bool(top, is_true(top));
			return top;
		case ML_OP_IS_FALSE:
			set_bool(top, is_false(top));
			return top;
		case ML_OP_IN_N:
			is_in_numbers(view->program, step, top);
			return top;
		case ML_OP_IN_T:
			is_in_texts(view->program, step, top);
			return top;
		default:
			if (step->code >= ML_OP_COMPARE_N && step->code <= ML_OP_GREATER_S)
			{
				compare(step->code, step->a, top - 1, top);
				return top - 1;
			}
			return ml_rule_function(view, step, top);
	}
}

/* The frequent tests: true if the condition fails. Neither NULL nor NaN passes one. */
static pg_attribute_always_inline bool
fails(const MlRuleView *view, const MlRuleStep *step)
{
	MlRuleValue value;

	if (likely(step->code == ML_OP_TEST_COLUMN))
		return !holds(step->a, read_number(view, step->b), step->number);
	if (step->code == ML_OP_TEST_PREDICTION)
		return view->prediction.isnull || !holds(step->a, view->prediction.number, step->number);
	read_column(view, step->b, &value);
	return value.isnull || value.length != step->text->length ||
		memcmp(value.bytes, step->text->bytes, value.length) != 0;
}

/*
 * The instructions of numbers and of logic that most conditions consist of,
 * done in place; false: it is none of them, or its result needs a closer look.
 */
static pg_attribute_always_inline bool
quick(MlRuleView *view, const MlRuleStep *step, MlRuleValue *top)
{
	double		number;

	switch (step->code)
	{
		case ML_OP_COMPARE_N:
			top[-1].boolean = holds(ml_rule_outcomes(step->a), top[-1].number, top->number);
			top[-1].isnull = top[-1].isnull || top->isnull;
			return true;
		case ML_OP_AND:
			logic_and(top - 1, top);
			return true;
		case ML_OP_OR:
			logic_or(top - 1, top);
			return true;
		case ML_OP_ADD:
			number = top[-1].number + top->number;
			break;
		case ML_OP_SUBTRACT:
			number = top[-1].number - top->number;
			break;
		case ML_OP_MULTIPLY:
			number = top[-1].number * top->number;
			break;
		default:
			return false;
	}
	if (top[-1].isnull || top->isnull || !isfinite(number) || number == 0)
		return false;
	top[-1].number = number;
	return true;
}

/* Runs a condition from one of its steps on, with nothing on the stack; result is what it leaves. */
static void
run(MlRuleView *view, const MlRule *rule, int at, MlRuleValue *result)
{
	MlRuleValue stack[ML_RULE_STACK + 1];
	MlRuleValue *top = stack;

	while (at < rule->nsteps)
	{
		const MlRuleStep *step = &rule->step[at++];

		if (step->code >= ML_NOPS)
			at = fails(view, step) ? step->target : at + ML_RULE_TEST_STEPS - 1;
		else if (step->code == ML_OP_COLUMN && view->column != NULL && view->plain[step->b] >= 0)
		{
			(++top)->number = read_number(view, step->b);
			top->isnull = isnan(top->number);
		}
		else if (step->code < ML_OP_JUMP)
			push(view, step, ++top);
		else if (step->code <= ML_OP_IF_VALUE)
		{
			if (jumps(step, &top))
				at = step->target;
		}
		else if (quick(view, step, top))
			top--;
		else
			top = work(view, step, top);
	}
	*result = *top;
}

/* Most conditions are tests one after the other, and most rows fail the first. */
int
ml_rule_next(MlRuleView *view, int rule)
{
	int			nrules = view->program->nrules;

	for (; rule < nrules; rule++)
	{
		const MlRule *next = &view->program->rule[rule];
		const MlRuleStep *step = next->step;
		const MlRuleStep *end = step + next->nsteps - 1;	/* the step that leaves false */
		MlRuleValue result;

		while (step->code >= ML_NOPS && next->step + step->target == end && !fails(view, step))
			step += ML_RULE_TEST_STEPS;
		if (step->code >= ML_NOPS && next->step + step->target == end)
			continue;
		run(view, next, step - next->step, &result);
		if (is_true(&result))
			break;
	}
	return rule;
}

void
ml_rule_evaluate(MlRuleView *view, const MlRule *rule, MlRuleValue *result)
{
	run(view, rule, 0, result);
}
