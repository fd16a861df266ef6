/*
 * parse.c
 *		The text of a condition to a raw parse tree, and refusals that point
 *		into the text.
 *
 * The server's parser reads SELECT (condition). What comes back must be that
 * and nothing more; and SELECT condition must be one expression as well, which
 * nothing is that closes the parenthesis early and opens another. The setting on which the reading of
 * string literals rests is given its standard value meanwhile.
 */
#include "postgres.h"

#include "compat.h"
#include "mb/pg_wchar.h"
#include "parser/parser.h"
#include "rule/compile.h"
#include "utils/guc.h"

#define PREFIX	"SELECT ("
#define SUFFIX	"\n)"			/* the line's end ends a comment */
#define BARE	"SELECT  "		/* as long as PREFIX */

/* characters, from 1, of a place in the text that was parsed; 0: not in the condition */
static int
position_of(const char *condition, int location)
{
	int			at = location - (int) strlen(PREFIX);

	if (location < 0 || at < 0 || at > (int) strlen(condition))
		return 0;
	return pg_mbstrlen_with_len(condition, at) + 1;
}

void
ml_rule_refuse(const MlRuleMaker *maker, int location, int sqlstate, const char *message,
			   const char *detail, const char *hint)
{
	int			position = position_of(maker->condition, location);

	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg_internal("%s", message),
			 detail ? errdetail_internal("%s", detail) : 0,
			 hint ? errhint("%s", hint) : 0,
			 position > 0 ? internalerrposition(position) : 0,
			 internalerrquery(maker->condition)));
	pg_unreachable();
}

/* a syntax error's position is in the text with the prefix */
static void
syntax_error(void *arg)
{
	const MlRuleMaker *maker = arg;
	int			position = geterrposition();

	if (position <= 0)
		return;
	errposition(0);
	position -= (int) strlen(PREFIX);
	if (position > pg_mbstrlen(maker->condition))
		position = pg_mbstrlen(maker->condition) + 1;
	internalerrposition(Max(position, 1));
	internalerrquery(maker->condition);
}

static List *
parse(MlRuleMaker *maker, const char *before, const char *after)
{
	ErrorContextCallback context;
	List	   *statements;
	int			level = NewGUCNestLevel();
	char	   *text = psprintf("%s%s%s", before, maker->condition, after);

	(void) set_config_option("standard_conforming_strings", "on", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	context.callback = syntax_error;
	context.arg = maker;
	context.previous = error_context_stack;
	error_context_stack = &context;
	statements = ml_raw_parser(text);
	error_context_stack = context.previous;
	AtEOXact_GUC(false, level);
	return statements;
}

/* the only column of a SELECT that has nothing else, or NULL */
static Node *
only_expression(List *statements)
{
	SelectStmt *select;
	ResTarget  *target;

	if (list_length(statements) != 1)
		return NULL;
	select = (SelectStmt *) linitial_node(RawStmt, statements)->stmt;
	if (!IsA(select, SelectStmt) || list_length(select->targetList) != 1)
		return NULL;
	if (select->distinctClause || select->intoClause || select->fromClause || select->whereClause ||
		select->groupClause || select->havingClause || select->windowClause || select->valuesLists ||
		select->sortClause || select->limitOffset || select->limitCount || select->lockingClause ||
		select->withClause || select->op != SETOP_NONE)
		return NULL;
	target = linitial_node(ResTarget, select->targetList);
	return target->name == NULL && target->indirection == NIL ? target->val : NULL;
}

Node *
ml_rule_parse(MlRuleMaker *maker)
{
	Node	   *node;

	if (strlen(maker->condition) > ML_RULE_MAX_CONDITION)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a condition is too long"),
				 errdetail("It has %zu bytes; at most %d are read.", strlen(maker->condition), ML_RULE_MAX_CONDITION),
				 errhint("Divide it between rules.")));
	node = only_expression(parse(maker, PREFIX, SUFFIX));
	if (node == NULL || only_expression(parse(maker, BARE, "")) == NULL)
		ml_rule_refuse(maker, strlen(PREFIX), ERRCODE_SYNTAX_ERROR, "a condition must be one expression",
					   "The text is more than that.", "Write it as after WHERE: a > 1 AND b = 'x'.");
	return node;
}
