/*
 * format.c
 *		Programs of rules as bytes: docs/formats.md.
 *
 * The reader trusts nothing: counts are bounded by the bytes that are left,
 * operands by what they index, jumps lead forward within their rule, and the
 * types of the values on the stack are followed through every path, so that
 * whatever is read can be run without a check.
 */
#include "postgres.h"

#include <math.h>

#include "mb/pg_wchar.h"
#include "model/cursor.h"
#include "model/writer.h"
#include "pgtime.h"
#include "rule/opcode.h"
#include "rule/rule.h"

#define MAGIC			"\x89MLR\r\n\x1a\n"
#define MAGIC_LENGTH	8
#define FORMAT			1		/* without checks */
#define FORMAT_CHECKED	2
#define SECTION			"RULE"

/* at least so many bytes has a record of each table */
#define COLUMN_BYTES	7
#define TEXT_BYTES		4
#define RULE_BYTES		34
#define STEP_BYTES		4

/* ---- writing ---- */

static void
put_rule(MlWriter *w, const MlRule *rule)
{
	ml_put_text(w, rule->name);
	ml_put_byte(w, rule->action);
	ml_put_double(w, rule->low);
	ml_put_double(w, rule->high);
	ml_put_text_length(w, rule->label.bytes ? rule->label.bytes : "", rule->label.length);
	ml_put_int32(w, rule->version);
	ml_put_byte(w, rule->stop);
	ml_put_int32(w, rule->nsteps);
	for (int i = 0; i < rule->nsteps; i++)
	{
		ml_put_byte(w, rule->step[i].code);
		ml_put_byte(w, rule->step[i].a);
		ml_put_integer(w, rule->step[i].b, 2);
	}
}

bytea *
ml_rules_write(const MlRuleProgram *program)
{
	MlWriter	w = {0};

	w.size = 1024;
	w.data = palloc(w.size);
	ml_put_bytes(&w, "\0\0\0\0", VARHDRSZ);
	ml_put_bytes(&w, MAGIC, MAGIC_LENGTH);
	ml_put_int32(&w, program->nchecks > 0 ? FORMAT_CHECKED : FORMAT);
	ml_put_text(&w, GetDatabaseEncodingName());
	ml_put_int32(&w, program->task);
	ml_put_text(&w, program->time_zone);
	ml_put_int32(&w, program->ncolumns);
	for (int i = 0; i < program->ncolumns; i++)
	{
		ml_put_text(&w, program->column[i].name);
		ml_put_byte(&w, program->column[i].type);
		ml_put_byte(&w, program->column[i].declared);
	}
	ml_put_int32(&w, program->nnumbers);
	ml_put_doubles(&w, program->number, program->nnumbers);
	ml_put_int32(&w, program->ntexts);
	for (int i = 0; i < program->ntexts; i++)
		ml_put_text_length(&w, program->text[i].bytes, program->text[i].length);
	ml_put_int32(&w, program->ntimes);
	for (int i = 0; i < program->ntimes; i++)
		ml_put_int64(&w, program->time[i]);
	ml_put_int32(&w, program->nrules);
	for (int i = 0; i < program->nrules; i++)
		put_rule(&w, &program->rule[i]);
	if (program->nchecks > 0)
		ml_checks_write(&w, program);
	SET_VARSIZE(w.data, w.used);
	return (bytea *) w.data;
}

/* ---- reading: tables ---- */

static void
get_head(MlCursor *c, MlRuleProgram *program)
{
	Size		at = c->at;
	char	   *name;

	if (memcmp(ml_cursor_bytes(c, MAGIC_LENGTH, "magic"), MAGIC, MAGIC_LENGTH) != 0)
		ml_cursor_refuse(c, at, "other bytes", "the beginning of a program of rules");
	c->format = (int) ml_cursor_range(c, 4, FORMAT, FORMAT_CHECKED, "format");
	at = c->at;
	name = ml_cursor_name(c, "encoding");
	c->encoding = pg_char_to_encoding(name);
	if (!PG_VALID_BE_ENCODING(c->encoding))
		ml_cursor_refuse(c, at, psprintf("\"%s\"", name), "the name of an encoding");
	at = c->at;
	program->task = (MlTask) ml_cursor_range(c, 4, 1, ML_LAST_TASK, "task");
	if (program->task & (program->task - 1))
		ml_cursor_refuse(c, at, psprintf("%d", program->task), "one task");
	at = c->at;
	program->time_zone = ml_cursor_name(c, "time zone");
	program->zone = pg_tzset(program->time_zone);
	if (program->zone == NULL)
		ml_cursor_refuse(c, at, psprintf("\"%s\"", program->time_zone), "a time zone that this server knows");
}

static void
get_columns(MlCursor *c, MlRuleProgram *program)
{
	Size		at = c->at;

	program->ncolumns = ml_cursor_count(c, COLUMN_BYTES, "columns");
	if (program->ncolumns > ML_RULE_MAX_COLUMNS)
		ml_cursor_refuse(c, at, psprintf("%d", program->ncolumns), psprintf("at most %d", ML_RULE_MAX_COLUMNS));
	program->column = palloc0(sizeof(MlRuleColumn) * Max(program->ncolumns, 1));
	for (int i = 0; i < program->ncolumns; i++)
	{
		MlRuleColumn *column = &program->column[i];

		column->name = ml_cursor_name(c, "name of a column");
		column->type = (MlRuleType) ml_cursor_range(c, 1, ML_RULE_NUMBER, ML_LAST_RULE_TYPE, "type of a column");
		column->declared = ml_cursor_flag(c, "column is declared");
	}
	ml_cursor_require_distinct(c, at, (const char *) &program->column[0].name, program->ncolumns,
							   sizeof(MlRuleColumn));
}

static int
get_count(MlCursor *c, Size record, int most, const char *field)
{
	Size		at = c->at;
	int			n = ml_cursor_count(c, record, field);

	if (n > most)
		ml_cursor_refuse(c, at, psprintf("%d", n), psprintf("at most %d", most));
	return n;
}

static void
get_text(MlCursor *c, MlRuleText *text, const char *field)
{
	text->bytes = ml_cursor_text(c, 0, ML_RULE_MAX_BYTES, field);
	text->length = strlen(text->bytes);
}

static void
get_constants(MlCursor *c, MlRuleProgram *program)
{
	program->nnumbers = get_count(c, sizeof(double), ML_RULE_MAX_CONSTANTS, "numbers");
	program->number = palloc(sizeof(double) * Max(program->nnumbers, 1));
	for (int i = 0; i < program->nnumbers; i++)
	{
		Size		at = c->at;

		program->number[i] = ml_cursor_double(c, ML_FLOAT_ANY, "number");
		if (isnan(program->number[i]))
			ml_cursor_refuse(c, at, "NaN", "a number");
	}
	program->ntexts = get_count(c, TEXT_BYTES, ML_RULE_MAX_CONSTANTS, "texts");
	program->text = palloc0(sizeof(MlRuleText) * Max(program->ntexts, 1));
	for (int i = 0; i < program->ntexts; i++)
		get_text(c, &program->text[i], "text");
	program->ntimes = get_count(c, sizeof(int64), ML_RULE_MAX_CONSTANTS, "times");
	program->time = palloc(sizeof(int64) * Max(program->ntimes, 1));
	for (int i = 0; i < program->ntimes; i++)
		program->time[i] = (int64) ml_cursor_integer(c, 8, "time");
}

/* ---- reading: steps ---- */

/* the types of the values on the stack, the lowest first */
typedef struct Stack
{
	int			depth;			/* -1: nothing comes here */
	char		type[ML_RULE_STACK];
} Stack;

/* what is known at a step where jumps arrive */
typedef struct Arrival
{
	bool		known;
	Stack		stack;
} Arrival;

typedef struct Check
{
	MlCursor   *c;
	Size		at;				/* of the step */
	const MlRuleProgram *program;
	MlRule	   *rule;
	Arrival   **arrival;		/* of each step and of the end; NULL: none */
} Check;

static void
refuse_step(const Check *check, const char *expected)
{
	check->c->field = "step of a rule";
	ml_cursor_refuse(check->c, check->at, psprintf("a step that does not fit, in rule \"%s\"", check->rule->name), expected);
}

static void
push(const Check *check, Stack *stack, char type)
{
	if (stack->depth == ML_RULE_STACK)
		refuse_step(check, psprintf("at most %d values on the stack", ML_RULE_STACK));
	stack->type[stack->depth++] = type;
}

static char
pop(const Check *check, Stack *stack, char wanted)
{
	char		found;

	if (stack->depth < 1)
		refuse_step(check, "a value on the stack");
	found = stack->type[--stack->depth];
	if (wanted != '?' && found != wanted)
		refuse_step(check, psprintf("a value of type %c on the stack", wanted));
	return found;
}

/* all that come to one place bring the same types */
static void
arrive(const Check *check, int target, const Stack *stack)
{
	Arrival    *arrival = check->arrival[target];

	if (arrival == NULL)
	{
		arrival = check->arrival[target] = palloc(sizeof(Arrival));
		arrival->stack = *stack;
	}
	else if (arrival->stack.depth != stack->depth ||
			 memcmp(arrival->stack.type, stack->type, stack->depth) != 0)
		refuse_step(check, "the same values on the stack on every way");
}

/* where a condition is only false: NULL, which running off its end gives, is as good */
static bool
leads_to_false(const MlRule *rule, int target)
{
	return rule->name[0] != '\0' && target == rule->nsteps - 1 && rule->step[target].code == ML_OP_FALSE;
}

static void
jump(const Check *check, int i, Stack *stack)
{
	MlRuleStep *step = &check->rule->step[i];

	step->target = i + 1 + step->b;
	if (step->target > check->rule->nsteps)
		refuse_step(check, "a jump within the rule");
	if (step->code == ML_OP_UNLESS_TRUE)
		pop(check, stack, 'b');
	else if (step->code != ML_OP_JUMP && stack->depth < 1)
		refuse_step(check, "a value on the stack");
	else if ((step->code == ML_OP_IF_TRUE || step->code == ML_OP_IF_FALSE) &&
			 stack->type[stack->depth - 1] != 'b')
		refuse_step(check, "a boolean on the stack");
	arrive(check, step->target, stack);
	if (step->code == ML_OP_UNLESS_TRUE && stack->depth == 0 && leads_to_false(check->rule, step->target))
		step->target = check->rule->nsteps;
	if (step->code == ML_OP_IF_VALUE)
		pop(check, stack, '?');
	else if (step->code == ML_OP_JUMP)
		stack->depth = -1;
}

/* operands; the type that COLUMN gives */
static char
check_operands(const Check *check, const MlRuleStep *step)
{
	const MlRuleProgram *program = check->program;
	bool		fits = true;

	switch (step->code)
	{
		case ML_OP_COLUMN:
			if (step->b >= program->ncolumns)
				refuse_step(check, "the number of a column");
			return "-nbtss"[program->column[step->b].type];
		case ML_OP_NUMBER:
			fits = step->b < program->nnumbers;
			break;
		case ML_OP_TEXT:
			fits = step->b < program->ntexts;
			break;
		case ML_OP_TIME:
		case ML_OP_SHIFT:
			fits = step->b < program->ntimes;
			break;
		case ML_OP_IN_N:
			fits = step->b + step->a <= program->nnumbers;
			break;
		case ML_OP_IN_T:
			fits = step->b + step->a <= program->ntexts;
			break;
		case ML_OP_COMPARE_N:
		case ML_OP_COMPARE_B:
		case ML_OP_COMPARE_T:
		case ML_OP_COMPARE_S:
			fits = step->a <= ML_CMP_GE;
			break;
		case ML_OP_NUMBER_TO_INT:
		case ML_OP_TEXT_TO_INT:
			fits = step->a == 2 || step->a == 4 || step->a == 8;
			break;
		case ML_OP_EXTRACT:
			fits = (step->a & ~ML_RULE_ZONED) <= ML_LAST_FIELD;
			break;
		default:
			break;
	}
	if (!fits)
		refuse_step(check, "operands within their tables");
	return ml_rule_code[step->code].gives;
}

static void
check_step(const Check *check, int i, Stack *stack)
{
	const MlRuleStep *step = &check->rule->step[i];
	const char *takes;
	char		gives;

	if (step->code >= ML_NOPS)
		refuse_step(check, "a known step");
	if (check->arrival[i] != NULL)
	{
		if (stack->depth >= 0)
			arrive(check, i, stack);
		*stack = check->arrival[i]->stack;
	}
	if (stack->depth < 0)
		refuse_step(check, "a step that something comes to");
	if (step->code >= ML_OP_JUMP && step->code <= ML_OP_IF_VALUE)
	{
		jump(check, i, stack);
		return;
	}
	gives = check_operands(check, step);
	takes = ml_rule_code[step->code].takes;
	for (int t = ml_rule_code[step->code].ntakes - 1; t >= 0; t--)
		pop(check, stack, takes[t]);
	push(check, stack, gives);
}

/* do steps have the codes of a sequence? */
static bool
has_codes(const MlRule *rule, int at, const MlRuleCode *code, int n)
{
	for (int i = 0; i < n; i++)
		if (at + i >= rule->nsteps || rule->step[at + i].code != code[i])
			return false;
	return true;
}

/* of what the sequence says of its constant */
static void
join(const MlRuleProgram *program, MlRuleStep *first, MlRuleCode test)
{
	first->code = test;
	switch (test)
	{
		case ML_OP_TEST_TEXT:
			first->text = &program->text[first[1].b];
			break;
		case ML_OP_TEST_IN:
			first->a = first[1].a;
			first->numbers = program->number + first[1].b;
			break;
		case ML_OP_TEST_TOP:
			first->a = ml_rule_outcomes(first[1].a);
			break;
		case ML_OP_TEST_COLUMN:
		case ML_OP_TEST_PREDICTION:
			first->a = ml_rule_outcomes(first[2].a);
			first->number = program->number[first[1].b];
			break;
		default:
			break;
	}
}

/* the frequent sequences become one step; what they are made of stays, for jumps into the middle */
static void
join_steps(const MlRuleProgram *program, MlRule *rule)
{
	static const struct
	{
		MlRuleCode	test;
		int			n;
		MlRuleCode	code[4];
	}			sequences[] = {
		{ML_OP_TEST_COLUMN, 4, {ML_OP_COLUMN, ML_OP_NUMBER, ML_OP_COMPARE_N, ML_OP_UNLESS_TRUE}},
		{ML_OP_TEST_PREDICTION, 4, {ML_OP_PREDICTION, ML_OP_NUMBER, ML_OP_COMPARE_N, ML_OP_UNLESS_TRUE}},
		{ML_OP_TEST_TEXT, 4, {ML_OP_COLUMN, ML_OP_TEXT, ML_OP_COMPARE_T, ML_OP_UNLESS_TRUE}},
		{ML_OP_TEST_TOP, 3, {ML_OP_NUMBER, ML_OP_COMPARE_N, ML_OP_UNLESS_TRUE}},
		{ML_OP_TEST_IN, 3, {ML_OP_COLUMN, ML_OP_IN_N, ML_OP_UNLESS_TRUE}},
		{ML_OP_TEST_NULL, 3, {ML_OP_COLUMN, ML_OP_IS_NULL, ML_OP_UNLESS_TRUE}},
		{ML_OP_TEST_VALUE, 4, {ML_OP_COLUMN, ML_OP_IS_NULL, ML_OP_NOT, ML_OP_UNLESS_TRUE}}
	};

	for (int at = 0; at < rule->nsteps; at++)
		for (int s = 0; s < lengthof(sequences); s++)
		{
			MlRuleStep *first = &rule->step[at];

			if (!has_codes(rule, at, sequences[s].code, sequences[s].n) ||
				(sequences[s].test == ML_OP_TEST_TEXT && first[2].a != ML_CMP_EQ))
				continue;
			join(program, first, sequences[s].test);
			first->target = first[sequences[s].n - 1].target;
			break;
		}
}

/*
 * Every program ends with one value on the stack; it is a boolean but for a
 * lone expression, which has no name.
 */
static void
get_steps(MlCursor *c, MlRuleProgram *program, MlRule *rule)
{
	Check		check = {.c = c, .program = program, .rule = rule};
	Stack		stack = {0};

	rule->nsteps = get_count(c, STEP_BYTES, ML_RULE_MAX_STEPS, "steps");
	check.arrival = palloc0(sizeof(Arrival *) * (rule->nsteps + 1));
	rule->step = palloc0(sizeof(MlRuleStep) * (rule->nsteps + 1));
	check.at = c->at;
	for (int i = 0; i < rule->nsteps; i++)
	{
		rule->step[i].code = ml_cursor_integer(c, 1, "code of a step");
		rule->step[i].a = ml_cursor_integer(c, 1, "operand of a step");
		rule->step[i].b = ml_cursor_integer(c, 2, "operand of a step");
	}
	for (int i = 0; i < rule->nsteps; i++, check.at += STEP_BYTES)
	{
		check_step(&check, i, &stack);
		program->reads_prediction |= rule->step[i].code == ML_OP_PREDICTION;
		program->reads_label |= rule->step[i].code == ML_OP_LABEL;
		program->reads_key |= rule->step[i].code == ML_OP_KEY;
	}
	if (check.arrival[rule->nsteps] != NULL)
	{
		if (stack.depth >= 0)
			arrive(&check, rule->nsteps, &stack);
		stack = check.arrival[rule->nsteps]->stack;
	}
	if (stack.depth != 1 || (stack.type[0] != 'b' && rule->name[0] != '\0'))
		refuse_step(&check, "one boolean at the end");
	rule->type = stack.type[0];
	for (int i = 0; i < rule->nsteps; i++)
		if (rule->step[i].code == ML_OP_NUMBER)
			rule->step[i].number = program->number[rule->step[i].b];
	join_steps(program, rule);
}

/* ---- reading: rules ---- */

static void
get_rule(MlCursor *c, MlRuleProgram *program, MlRule *rule)
{
	Size		at;

	rule->name = ml_cursor_text(c, 0, ML_MAX_NAME, "name of a rule");
	at = c->at;
	rule->action = (MlRuleAction) ml_cursor_range(c, 1, ML_RULE_SET, ML_LAST_RULE_ACTION, "action");
	rule->low = ml_cursor_double(c, ML_FLOAT_ANY, "lower bound");
	rule->high = ml_cursor_double(c, ML_FLOAT_ANY, "upper bound");
	if (rule->action <= ML_RULE_CLIP && !(rule->low <= rule->high))
		ml_cursor_refuse(c, at, psprintf("bounds %g and %g", rule->low, rule->high), "bounds in order");
	get_text(c, &rule->label, "label");
	rule->version = (int) ml_cursor_range(c, 4, 0, PG_INT32_MAX, "version");
	rule->stop = ml_cursor_flag(c, "stop");
	get_steps(c, program, rule);
}

MlRuleProgram *
ml_rules_load(const char *bytes, Size length)
{
	MlCursor	c = {.data = bytes, .length = length, .end = length, .what = "the program of rules",
	.section = SECTION, .encoding = PG_SQL_ASCII, .field = "program"};
	MlRuleProgram *program = palloc0(sizeof(MlRuleProgram));

	if (length > ML_RULE_MAX_BYTES)
		ml_cursor_refuse(&c, 0, psprintf("%zu bytes", length), psprintf("at most %d", ML_RULE_MAX_BYTES));
	get_head(&c, program);
	get_columns(&c, program);
	get_constants(&c, program);
	program->nrules = get_count(&c, RULE_BYTES, ML_MAX_RULES, "rules");
	program->rule = palloc0(sizeof(MlRule) * Max(program->nrules, 1));
	for (int i = 0; i < program->nrules; i++)
		get_rule(&c, program, &program->rule[i]);
	if (c.format == FORMAT_CHECKED)
		ml_checks_load(&c, program);
	ml_cursor_end_section(&c);
	return program;
}
