/*
 * check_format.c
 *		Checks as bytes of a program: docs/formats.md.
 *
 * Which columns a version has is not the bytes' matter: a plan leaves out what
 * is not there. All else is checked here.
 */
#include "postgres.h"

#include <math.h>

#include "model/cursor.h"
#include "model/writer.h"
#include "rule/opcode.h"
#include "rule/rule.h"

/* at least so many bytes has a record */
#define CHECK_BYTES		11
#define COLUMN_BYTES	21

void
ml_checks_write(MlWriter *w, const MlRuleProgram *program)
{
	ml_put_int32(w, program->nchecks);
	for (int i = 0; i < program->nchecks; i++)
	{
		const MlCheck *check = &program->check[i];

		ml_put_text(w, check->name);
		ml_put_byte(w, check->kind);
		ml_put_byte(w, check->severity);
		ml_put_int32(w, check->ncolumns);
		for (int c = 0; c < check->ncolumns; c++)
		{
			ml_put_text(w, check->column[c].name);
			ml_put_double(w, check->column[c].low);
			ml_put_double(w, check->column[c].high);
		}
	}
}

static void
get_column(MlCursor *c, const MlCheck *check, MlCheckColumn *column)
{
	Size		at;

	column->name = ml_cursor_name(c, "column of a check");
	at = c->at;
	column->low = ml_cursor_double(c, ML_FLOAT_ANY, "lower bound of a check");
	column->high = ml_cursor_double(c, ML_FLOAT_ANY, "upper bound of a check");
	if (!(column->low <= column->high) || (ml_check_is_share(check->kind) && !(column->high >= 0 && column->high <= 1)))
		ml_cursor_refuse(c, at, psprintf("bounds %g and %g", column->low, column->high), "bounds in order, and of what they are of");
}

static void
get_check(MlCursor *c, MlCheck *check)
{
	Size		at;
	bool		needs_column;

	check->name = ml_cursor_name(c, "name of a check");
	check->kind = (MlCheckKind) ml_cursor_range(c, 1, 0, ML_LAST_CHECK_KIND, "kind of a check");
	at = c->at;
	check->severity = (MlSeverity) ml_cursor_range(c, 1, 0, ML_LAST_SEVERITY, "severity of a check");
	if (ml_check_is_share(check->kind) != (check->severity == ML_SEVERITY_DRIFT))
		ml_cursor_refuse(c, at, psprintf("%d", check->severity), "a severity of its kind");
	at = c->at;
	needs_column = check->kind == ML_CHECK_RANGE || ml_check_is_share(check->kind);
	check->ncolumns = ml_cursor_count(c, COLUMN_BYTES, "columns of a check");
	if (check->ncolumns > ML_RULE_MAX_COLUMNS || (needs_column && check->ncolumns == 0) ||
		(check->kind == ML_CHECK_FINITE && check->ncolumns > 0))
		ml_cursor_refuse(c, at, psprintf("%d", check->ncolumns), "as many as its kind has");
	at = c->at;
	check->column = palloc0(sizeof(MlCheckColumn) * Max(check->ncolumns, 1));
	for (int i = 0; i < check->ncolumns; i++)
		get_column(c, check, &check->column[i]);
	ml_cursor_require_distinct(c, at, (const char *) &check->column[0].name, check->ncolumns, sizeof(MlCheckColumn));
}

void
ml_checks_load(MlCursor *c, MlRuleProgram *program)
{
	Size		at = c->at;

	program->nchecks = ml_cursor_count(c, CHECK_BYTES, "checks");
	if (program->nchecks > ML_MAX_CHECKS)
		ml_cursor_refuse(c, at, psprintf("%d", program->nchecks), psprintf("at most %d", ML_MAX_CHECKS));
	program->check = palloc0(sizeof(MlCheck) * Max(program->nchecks, 1));
	for (int i = 0; i < program->nchecks; i++)
		get_check(c, &program->check[i]);
	ml_cursor_require_distinct(c, at, (const char *) &program->check[0].name, program->nchecks, sizeof(MlCheck));
}
