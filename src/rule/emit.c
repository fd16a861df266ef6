/*
 * emit.c
 *		Typed expressions to steps.
 *
 * A condition becomes its parts between ANDs and ORs, each followed by a jump
 * to where it leads if it is not true: for a rule, NULL is as good as false, and
 * what comes after need not be calculated. Deeper down both are kept apart, and a jump is taken only where
 * SQL's answer is certain.
 */
#include "postgres.h"

#include "rule/compile.h"

/* ---- steps ---- */

static MlRuleStep *
put(MlRuleMaker *maker, MlRuleCode code, int a, int b)
{
	MlRule	   *rule = maker->rule;
	const MlRuleCodeInfo *info = &ml_rule_code[code];
	MlRuleStep *step;

	if (rule->nsteps == maker->step_size)
	{
		maker->step_size = Max(64, maker->step_size * 2);
		rule->step = rule->step ? repalloc(rule->step, sizeof(MlRuleStep) * maker->step_size) :
			palloc(sizeof(MlRuleStep) * maker->step_size);
	}
	if (info->gives != '-')
		maker->stack += 1 - info->ntakes;
	if (rule->nsteps == ML_RULE_MAX_STEPS || maker->stack > ML_RULE_STACK)
		ml_rule_refuse(maker, -1, ERRCODE_STATEMENT_TOO_COMPLEX, "a condition is too complex",
					   psprintf("It needs more than %d steps, or %d values at a time.", ML_RULE_MAX_STEPS, ML_RULE_STACK),
					   "Divide it between rules.");
	step = &rule->step[rule->nsteps++];
	memset(step, 0, sizeof(MlRuleStep));
	step->code = code;
	step->a = a;
	step->b = b;
	return step;
}

/* a jump whose target is not known yet: its place */
static int
put_jump(MlRuleMaker *maker, MlRuleCode code)
{
	put(maker, code, 0, 0);
	if (code == ML_OP_UNLESS_TRUE || code == ML_OP_IF_VALUE)
		maker->stack--;
	return maker->rule->nsteps - 1;
}

static void
land(MlRuleMaker *maker, int jump)
{
	maker->rule->step[jump].b = maker->rule->nsteps - jump - 1;
}

static void
land_all(MlRuleMaker *maker, List *jumps)
{
	ListCell   *cell;

	foreach(cell, jumps)
		land(maker, lfirst_int(cell));
}

/* ---- constants ---- */

static void *
grow(void *array, Size element, int n, int *size)
{
	if (n < *size)
		return array;
	*size = Max(16, *size * 2);
	return array ? repalloc(array, element * *size) : palloc0(element * *size);
}

static void
check_room(MlRuleMaker *maker, int n)
{
	if (n == ML_RULE_MAX_CONSTANTS)
		ml_rule_refuse(maker, -1, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "a rule set has too many constants",
					   psprintf("At most %d of a type are kept.", ML_RULE_MAX_CONSTANTS), "Use fewer rules.");
}

static int
add_number(MlRuleMaker *maker, double number)
{
	MlRuleProgram *program = maker->program;

	check_room(maker, program->nnumbers);
	program->number = grow(program->number, sizeof(double), program->nnumbers, &maker->number_size);
	program->number[program->nnumbers] = number;
	return program->nnumbers++;
}

static int
add_text(MlRuleMaker *maker, char *text)
{
	MlRuleProgram *program = maker->program;

	check_room(maker, program->ntexts);
	program->text = grow(program->text, sizeof(MlRuleText), program->ntexts, &maker->text_size);
	program->text[program->ntexts].bytes = text;
	program->text[program->ntexts].length = strlen(text);
	return program->ntexts++;
}

static int
add_time(MlRuleMaker *maker, int64 usec)
{
	MlRuleProgram *program = maker->program;

	check_room(maker, program->ntimes);
	program->time = grow(program->time, sizeof(int64), program->ntimes, &maker->time_size);
	program->time[program->ntimes] = usec;
	return program->ntimes++;
}

static void
emit_constant(MlRuleMaker *maker, const MlRuleExpr *expr)
{
	if (expr->isnull)
		put(maker, ML_OP_NULL_N + ml_expr_variant(expr->type), 0, 0);
	else if (expr->type == ML_RULE_NUMBER)
		put(maker, ML_OP_NUMBER, 0, add_number(maker, expr->number));
	else if (expr->type == ML_RULE_BOOL)
		put(maker, expr->boolean ? ML_OP_TRUE : ML_OP_FALSE, 0, 0);
	else if (expr->type == ML_RULE_TEXT)
		put(maker, ML_OP_TEXT, 0, add_text(maker, expr->text));
	else
		put(maker, ML_OP_TIME, 0, add_time(maker, expr->usec));
}

/* ---- expressions ---- */

static void
emit_operation(MlRuleMaker *maker, const MlRuleExpr *expr)
{
	ListCell   *cell;
	int			b = expr->b;

	foreach(cell, expr->args)
		ml_rule_emit(maker, lfirst(cell));
	if (expr->code == ML_OP_SHIFT)
		b = add_time(maker, expr->usec);
	put(maker, expr->code, expr->a, b);
}

static void
emit_logic(MlRuleMaker *maker, const MlRuleExpr *expr)
{
	bool		is_and = expr->kind == ML_EXPR_AND;
	List	   *jumps = NIL;
	ListCell   *cell;

	ml_rule_emit(maker, linitial(expr->args));
	for_each_from(cell, expr->args, 1)
	{
		jumps = lappend_int(jumps, put_jump(maker, is_and ? ML_OP_IF_FALSE : ML_OP_IF_TRUE));
		ml_rule_emit(maker, lfirst(cell));
		put(maker, is_and ? ML_OP_AND : ML_OP_OR, 0, 0);
	}
	land_all(maker, jumps);
}

static void
emit_choice(MlRuleMaker *maker, const MlRuleExpr *expr)
{
	int			n = list_length(expr->args);
	List	   *ends = NIL;

	for (int i = 0; i + 1 < n; i += 2)
	{
		int			next;

		ml_rule_emit(maker, list_nth(expr->args, i));
		next = put_jump(maker, ML_OP_UNLESS_TRUE);
		ml_rule_emit(maker, list_nth(expr->args, i + 1));
		ends = lappend_int(ends, put_jump(maker, ML_OP_JUMP));
		maker->stack--;
		land(maker, next);
	}
	ml_rule_emit(maker, llast(expr->args));
	land_all(maker, ends);
}

static void
emit_coalesce(MlRuleMaker *maker, const MlRuleExpr *expr)
{
	List	   *ends = NIL;
	ListCell   *cell;

	foreach(cell, expr->args)
	{
		ml_rule_emit(maker, lfirst(cell));
		if (lnext(expr->args, cell) != NULL)
			ends = lappend_int(ends, put_jump(maker, ML_OP_IF_VALUE));
	}
	land_all(maker, ends);
}

/* the constants of a lookup follow each other in their table */
static void
emit_lookup(MlRuleMaker *maker, const MlRuleExpr *expr)
{
	int			first;
	ListCell   *cell;

	ml_rule_emit(maker, linitial(expr->args));
	first = expr->code == ML_OP_IN_N ? maker->program->nnumbers : maker->program->ntexts;
	for_each_from(cell, expr->args, 1)
	{
		const MlRuleExpr *item = lfirst(cell);

		if (expr->code == ML_OP_IN_N)
			add_number(maker, item->number);
		else
			add_text(maker, item->text);
	}
	put(maker, expr->code, list_length(expr->args) - 1, first);
}

void
ml_rule_emit(MlRuleMaker *maker, const MlRuleExpr *expr)
{
	switch (expr->kind)
	{
		case ML_EXPR_CONSTANT:
			emit_constant(maker, expr);
			break;
		case ML_EXPR_OPERATION:
			emit_operation(maker, expr);
			break;
		case ML_EXPR_AND:
		case ML_EXPR_OR:
			emit_logic(maker, expr);
			break;
		case ML_EXPR_CASE:
			emit_choice(maker, expr);
			break;
		case ML_EXPR_COALESCE:
			emit_coalesce(maker, expr);
			break;
		case ML_EXPR_IN:
			emit_lookup(maker, expr);
			break;
	}
}

/* ---- conditions ---- */

static List *emit_parts(MlRuleMaker *maker, const MlRuleExpr *condition, List *jumps);

/* one that is true is enough: what fails goes on to the next, the last one's jumps are those of all */
static List *
emit_choices(MlRuleMaker *maker, const MlRuleExpr *condition)
{
	List	   *ends = NIL;
	List	   *jumps = NIL;
	ListCell   *cell;

	foreach(cell, condition->args)
	{
		jumps = emit_parts(maker, lfirst(cell), NIL);
		if (lnext(condition->args, cell) == NULL)
			break;
		ends = lappend_int(ends, put_jump(maker, ML_OP_JUMP));
		land_all(maker, jumps);
	}
	land_all(maker, ends);
	return jumps;
}

static List *
emit_parts(MlRuleMaker *maker, const MlRuleExpr *condition, List *jumps)
{
	ListCell   *cell;

	if (condition->kind == ML_EXPR_AND)
	{
		foreach(cell, condition->args)
			jumps = emit_parts(maker, lfirst(cell), jumps);
		return jumps;
	}
	if (condition->kind == ML_EXPR_OR)
		return list_concat(jumps, emit_choices(maker, condition));
	ml_rule_emit(maker, condition);
	return lappend_int(jumps, put_jump(maker, ML_OP_UNLESS_TRUE));
}

void
ml_rule_emit_condition(MlRuleMaker *maker, const MlRuleExpr *condition)
{
	List	   *jumps = emit_parts(maker, condition, NIL);
	int			end;

	put(maker, ML_OP_TRUE, 0, 0);
	end = put_jump(maker, ML_OP_JUMP);
	land_all(maker, jumps);
	put(maker, ML_OP_FALSE, 0, 0);
	land(maker, end);
}
