/*
 * try.c
 *		mlops.rule_value: what one expression gives of one row, for those who
 *		write rules and for tests; mlops.rules_check: any bytes as a program.
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
PG_FUNCTION_INFO_V1(mlops_rules_check);

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

/* ---- any bytes ---- */

static void
make_up(MlRuleType type, int round, MlRuleValue *value)
{
	static const double numbers[] = {0, 1, -2.5, 1e308, 3};
	static const char *const texts[] = {"", "text1", "2024-02-29 13:45", "true", "%a_"};
	static const int64 times[] = {0, INT64CONST(1709214310500000), PG_INT64_MAX, PG_INT64_MIN, INT64CONST(-1)};

	value->isnull = false;
	if (type == ML_RULE_NUMBER)
		value->number = numbers[round];
	else if (type == ML_RULE_BOOL)
		value->boolean = round % 2 == 0;
	else if (type == ML_RULE_TEXT)
	{
		value->bytes = texts[round];
		value->length = strlen(texts[round]);
	}
	else
		value->usec = times[round];
}

static int
run_all(MlRuleProgram *program, MlRuleView *view)
{
	int			fired = 0;

	for (int i = ml_rule_next(view, 0); i < program->nrules; i = ml_rule_next(view, i + 1))
		fired++;
	return fired;
}

/* mlops.rules_check(program bytea) */
Datum
mlops_rules_check(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	MlRuleProgram *program = ml_rules_load(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	MlRuleView	view = {.program = program};
	int			fired;

	view.value = palloc0(sizeof(MlRuleValue) * Max(program->ncolumns, 1));
	view.prediction.isnull = view.label.isnull = view.key.isnull = true;
	for (int i = 0; i < program->ncolumns; i++)
		view.value[i].isnull = true;
	fired = run_all(program, &view);
	for (int round = 0; round < 5; round++)
	{
		for (int i = 0; i < program->ncolumns; i++)
			make_up(program->column[i].type, round, &view.value[i]);
		make_up(ML_RULE_NUMBER, round, &view.prediction);
		make_up(ML_RULE_TEXT, round, &view.label);
		make_up(ML_RULE_TEXT, round, &view.key);
		fired += run_all(program, &view);
	}
	PG_RETURN_INT32(fired);
}
