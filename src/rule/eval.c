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

/* instructions that put a value on the stack, but columns and numbers */
static void
push(const MlRuleView *view, const MlRuleStep *step, MlRuleValue *value)
{
	const MlRuleProgram *program = view->program;

	value->isnull = false;
	switch (step->code)
	{
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

/* instructions that make one value of the topmost ones; also those of numbers that run() passes on */
static MlRuleValue *
work(MlRuleView *view, const MlRuleStep *step, MlRuleValue *top)
{
	if (step->code == ML_OP_IS_TRUE)
		set_bool(top, is_true(top));
	else if (step->code == ML_OP_IS_FALSE)
		set_bool(top, is_false(top));
	else if (step->code == ML_OP_IN_T)
		is_in_texts(view->program, step, top);
	else if (step->code >= ML_OP_COMPARE_N && step->code <= ML_OP_GREATER_S)
		{
		compare(step->code, step->a, top - 1, top);
		top--;
	}
	else
		return ml_rule_function(view, step, top);
	return top;
}

static pg_attribute_always_inline void
load(const MlRuleView *view, int column, MlRuleValue *value)
{
	if (likely(view->column != NULL && view->plain[column] >= 0))
	{
		value->number = read_number(view, column);
		value->isnull = isnan(value->number);
	}
	else
		read_column(view, column, value);
}

/* The tests of columns: does one hold? Neither NULL nor NaN passes, where it is not asked for. */
static pg_attribute_always_inline bool
passes(const MlRuleView *view, const MlRuleStep *step)
{
	MlRuleValue value;
	double		number;

	switch (step->code)
	{
		case ML_OP_TEST_COLUMN:
			return holds(step->a, read_number(view, step->b), step->number);
		case ML_OP_TEST_PREDICTION:
			return !view->prediction.isnull && holds(step->a, view->prediction.number, step->number);
		case ML_OP_TEST_IN:
			number = read_number(view, step->b);
			for (int i = 0; i < step->a; i++)
				if (step->numbers[i] == number)
					return true;
			return false;
		case ML_OP_TEST_TEXT:
			read_column(view, step->b, &value);
			return !value.isnull && value.length == step->text->length &&
				memcmp(value.bytes, step->text->bytes, value.length) == 0;
		default:
			load(view, step->b, &value);
			return value.isnull == (step->code == ML_OP_TEST_NULL);
	}
}

/* Sums and products, where the result needs no closer look: finite, and not 0. */
static pg_attribute_always_inline bool
quick(int code, MlRuleValue *left, const MlRuleValue *right)
{
	double		number;

	if (left->isnull || right->isnull)
		return false;
	if (code == ML_OP_ADD)
		number = left->number + right->number;
	else if (code == ML_OP_SUBTRACT)
		number = left->number - right->number;
	else
		number = left->number * right->number;
	if (!isfinite(number) || number == 0)
		return false;
	left->number = number;
	return true;
}

/*
 * Runs a condition; what it leaves is NULL where a test in it failed.
 * What conditions mostly consist of is done here, the rest by functions.
 */
static MlRuleValue *
run(MlRuleView *view, const MlRule *rule, MlRuleValue *stack)
{
	MlRuleValue *top = stack;
	int			at = 0;

	stack[0].isnull = true;
	while (at < rule->nsteps)
	{
		const MlRuleStep *step = &rule->step[at++];

		switch (step->code)
		{
			case ML_OP_TEST_COLUMN:
			case ML_OP_TEST_PREDICTION:
			case ML_OP_TEST_TEXT:
			case ML_OP_TEST_VALUE:
				at = passes(view, step) ? at + 3 : step->target;
				break;
			case ML_OP_TEST_IN:
			case ML_OP_TEST_NULL:
				at = passes(view, step) ? at + 2 : step->target;
				break;
			case ML_OP_TEST_TOP:
				if (top->isnull || !holds(step->a, top->number, step->number))
					at = step->target;
				else
					at += 2;
				top--;
				break;
			case ML_OP_COLUMN:
				load(view, step->b, ++top);
				break;
			case ML_OP_NUMBER:
				(++top)->number = step->number;
				top->isnull = false;
				break;
			case ML_OP_JUMP:
				at = step->target;
				break;
			case ML_OP_UNLESS_TRUE:
				if (!is_true(top--))
					at = step->target;
				break;
			case ML_OP_IF_FALSE:
				if (is_false(top))
					at = step->target;
				break;
			case ML_OP_IF_TRUE:
				if (is_true(top))
					at = step->target;
				break;
			case ML_OP_IF_VALUE:
				if (!top->isnull)
					at = step->target;
				else
					top--;
				break;
			case ML_OP_AND:
				top--;
				logic_and(top, top + 1);
				break;
			case ML_OP_OR:
				top--;
				logic_or(top, top + 1);
				break;
			case ML_OP_NOT:
				top->boolean = !top->boolean;
				break;
			case ML_OP_IS_NULL:
				set_bool(top, top->isnull);
				break;
			case ML_OP_COMPARE_N:
				top--;
				top->boolean = holds(ml_rule_outcomes(step->a), top[0].number, top[1].number);
				top->isnull = top[0].isnull || top[1].isnull;
				break;
			case ML_OP_IN_N:
				is_in_numbers(view->program, step, top);
				break;
			case ML_OP_ADD:
			case ML_OP_SUBTRACT:
			case ML_OP_MULTIPLY:
				if (quick(step->code, top - 1, top))
				{
					top--;
					break;
				}
				/* FALLTHROUGH */
			default:
				if (step->code < ML_OP_JUMP)
					push(view, step, ++top);
				else
					top = work(view, step, top);
				break;
		}
	}
	return top;
}

void
ml_rule_find_first(MlRuleView *view)
{
	const MlRuleProgram *program = view->program;

	for (int i = 0; i < program->nrules; i++)
	{
		const MlRule *rule = &program->rule[i];
		const MlRuleStep *step = &rule->step[0];
		MlRuleFirst *first = &view->first[i];

		memset(first, 0, sizeof(MlRuleFirst));
		first->position = ML_FIRST_NONE;
		if (step->target != rule->nsteps)
			continue;
		if (step->code == ML_OP_TEST_PREDICTION)
			first->position = ML_FIRST_PREDICTION;
		else if (step->code == ML_OP_TEST_COLUMN || step->code == ML_OP_TEST_IN)
			first->position = view->plain[step->b];
		first->outcomes = step->a;
		first->number = step->number;
		if (step->code == ML_OP_TEST_IN)
		{
			first->nnumbers = step->a;
			first->numbers = step->numbers;
		}
	}
}

/* Does the first test already tell that the condition fails? */
static pg_attribute_always_inline bool
fails_first(const MlRuleView *view, int rule)
{
	const MlRuleFirst *first = &view->first[rule];
	double		value;

	if (view->column == NULL || first->position == ML_FIRST_NONE)
		return false;
	if (first->position == ML_FIRST_PREDICTION)
		return view->prediction.isnull || !holds(first->outcomes, view->prediction.number, first->number);
	if (view->column[first->position].isnull)
		return true;
	value = DatumGetFloat8(view->column[first->position].value);
	if (likely(first->numbers == NULL))
		return !holds(first->outcomes, value, first->number);
	for (int i = 0; i < first->nnumbers; i++)
		if (first->numbers[i] == value)
			return false;
	return true;
}

int
ml_rule_next(MlRuleView *view, int rule)
{
	int			nrules = view->program->nrules;
	MlRuleValue stack[ML_RULE_STACK + 1];
	const MlRuleValue *result;

	for (; rule < nrules; rule++)
	{
		if (fails_first(view, rule))
			continue;
		result = run(view, &view->program->rule[rule], stack);
		if (unlikely(view->error))
		{
			view->errors |= UINT64CONST(1) << rule;
			view->error = false;
		}
		if (is_true(result))
			break;
	}
	return rule;
}

void
ml_rule_evaluate(MlRuleView *view, const MlRule *rule, MlRuleValue *result)
{
	MlRuleValue stack[ML_RULE_STACK + 1];

	*result = *run(view, rule, stack);
}
