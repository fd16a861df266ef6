/*
 * show_checks.c
 *		The checks of a program as rows, for views.
 */
#include "postgres.h"

#include <math.h>

#include "result.h"
#include "rule/rule.h"

PG_FUNCTION_INFO_V1(mlops_program_checks);

#define NCOLUMNS	7			/* position, name, kind, severity, column_name, low, high */

/* column: NULL for all that the kind fits */
static void
add_check(MlRows *rows, int position, const MlCheck *check, const MlCheckColumn *column)
{
	Datum		value[NCOLUMNS];
	bool		isnull[NCOLUMNS] = {false};
	bool		has_bounds = column != NULL && (check->kind == ML_CHECK_RANGE || ml_check_is_share(check->kind));

	value[0] = Int32GetDatum(position);
	ml_rows_text(value, isnull, 1, check->name);
	ml_rows_text(value, isnull, 2, ml_check_kind_name(check->kind));
	ml_rows_text(value, isnull, 3, ml_severity_name(check->severity));
	ml_rows_text(value, isnull, 4, column ? column->name : NULL);
	ml_rows_number(value, isnull, 5, has_bounds && isfinite(column->low) ? column->low : NAN);
	ml_rows_number(value, isnull, 6, has_bounds && isfinite(column->high) ? column->high : NAN);
	ml_rows_add(rows, value, isnull);
}

/* mlops.program_checks(program bytea) */
Datum
mlops_program_checks(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	MlRuleProgram *program = ml_rules_load(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	MlRows		rows;

	ml_rows_begin(fcinfo, &rows);
	for (int i = 0; i < program->nchecks; i++)
	{
		const MlCheck *check = &program->check[i];

		for (int c = 0; c < check->ncolumns; c++)
			add_check(&rows, i, check, &check->column[c]);
		if (check->ncolumns == 0)
			add_check(&rows, i, check, NULL);
	}
	return (Datum) 0;
}
