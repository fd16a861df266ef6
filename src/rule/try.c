/*
 * try.c
 *		mlops.rule_value: what one expression gives of one row, for those who
 *		write rules and for tests.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "funcapi.h"
#include "json.h"
#include "rule/rule.h"
#include "utils/builtins.h"
#include "utils/datetime.h"

PG_FUNCTION_INFO_V1(mlops_rule_value);

#define RESULT_COLUMNS	2		/* value, error */

static void
take_input(MlRuleView *view, Jsonb *input)
{
	const MlRuleProgram *program = view->program;

	view->value = palloc0(sizeof(MlRuleValue) * Max(program->ncolumns, 1));
	for (int i = 0; i < program->ncolumns; i++)
	{
		const MlRuleColumn *column = &program->column[i];
		JsonbValue	json;

		view->value[i].isnull = true;
		if (!ml_json_find(input, column->name, &json))
			continue;
		if (!ml_rule_take_json(program, i, &json, &view->value[i]))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("key \"%s\" of the input is %s", column->name, ml_json_show(&json)),
					 errdetail("It is declared as %s.", ml_rule_type_name(column->type)),
					 errhint("Pass a value of the type that \"columns\" declares, or null.")));
	}
}

/* mlops.rule_value(expression text, columns jsonb, input jsonb) */
Datum
mlops_rule_value(PG_FUNCTION_ARGS)
{
	MlRuleView	view = {0};
	MlRuleProgram *program;
	MlRuleType	type;
	MlRuleValue result;
	TupleDesc	desc;
	char	   *shown;
	Datum		values[RESULT_COLUMNS];
	bool		nulls[RESULT_COLUMNS] = {false};

	program = ml_rule_expression(text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_JSONB_P(1), &type);
	view.program = program;
	view.now = GetCurrentTransactionStartTimestamp() +
		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	view.prediction.isnull = view.label.isnull = view.key.isnull = true;
	take_input(&view, PG_GETARG_JSONB_P(2));
	ml_rule_evaluate(&view, &program->rule[0], &result);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE || desc->natts != RESULT_COLUMNS)
		elog(ERROR, "mlops.rule_value has other result columns");
	shown = ml_rule_show(program, type, &result);
	nulls[0] = shown == NULL;
	values[0] = shown ? CStringGetTextDatum(shown) : (Datum) 0;
	values[1] = BoolGetDatum(view.error);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
