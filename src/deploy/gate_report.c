/*
 * gate_report.c
 *		Telling what gates say: mlops_check_gates, the evidence of a deployment,
 *		the refusal of a promotion.
 */
#include "postgres.h"

#include <math.h>

#include "deploy/ask.h"
#include "deploy/promotion.h"
#include "deploy/rule_set.h"
#include "errors.h"
#include "fmgr.h"
#include "json.h"
#include "lib/stringinfo.h"
#include "registry/registry_catalog.h"
#include "registry/rule_row.h"
#include "result.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(mlops_check_gates);

#define RESULT_COLUMNS	17
#define VERDICTS_TOLD	10		/* of those that refuse a promotion */

const char *
ml_ruling_name(MlRuling ruling)
{
	static const char *const names[] = {
		[ML_RULING_PASS] = "pass",
		[ML_RULING_FAIL] = "fail",
		[ML_RULING_CANNOT_TELL] = "cannot tell",
		[ML_RULING_SKIPPED] = "skipped"
	};

	return names[ruling];
}

/* ---- as JSON, for the history ---- */

static void
put_number(MlJson *json, const char *key, double value)
{
	if (!isnan(value))
		ml_json_put_float(json, key, value);
}

static void
put_verdict(MlJson *json, const MlVerdict *verdict)
{
	const MlDifference *d = &verdict->difference;

	ml_json_begin_object(json);
	ml_json_put_text(json, "gate", verdict->gate->name);
	ml_json_put_text(json, "verdict", ml_ruling_name(verdict->ruling));
	ml_json_put_text(json, "severity", verdict->gate->blocks ? "block" : "warn");
	if (verdict->gate->metric != NULL)
		ml_json_put_text(json, "metric", verdict->gate->metric);
	if (verdict->validation_set != NULL)
	{
		ml_json_put_text(json, "validation_set", verdict->validation_set);
		ml_json_put_int(json, "edition", verdict->edition);
	}
	if (verdict->slice != NULL)
		ml_json_put_text(json, "slice", verdict->slice);
	put_number(json, "value", verdict->estimate.value);
	put_number(json, "low", verdict->estimate.low);
	put_number(json, "high", verdict->estimate.high);
	if (verdict->estimate.n > 0)
		ml_json_put_int(json, "n", verdict->estimate.n);
	put_number(json, "champion", d->champion);
	put_number(json, "difference", d->difference);
	put_number(json, "difference_low", d->low);
	put_number(json, "difference_high", d->high);
	ml_json_put_text(json, "explanation", verdict->explanation);
	ml_json_end_object(json);
}

Jsonb *
ml_gates_evidence(const MlGateHearing *hearing, const List *approvers)
{
	MlJson		json = {0};
	ListCell   *cell;

	ml_json_begin_object(&json);
	if (approvers != NIL)
	{
		ml_json_key(&json, "approved_by");
		ml_json_begin_array(&json);
		foreach(cell, approvers)
			ml_json_text(&json, lfirst(cell));
		ml_json_end_array(&json);
	}
	if (hearing->champion != 0)
		ml_json_put_int(&json, "champion", hearing->champion);
	ml_json_key(&json, "gates");
	ml_json_begin_array(&json);
	foreach(cell, hearing->verdicts)
		put_verdict(&json, lfirst(cell));
	ml_json_end_array(&json);
	ml_json_end_object(&json);
	return ml_json_finish(&json);
}

/* ---- as an error ---- */

int
ml_gates_passed(const MlGateHearing *hearing)
{
	int			passed = list_length(hearing->gates);
	const MlGate *last = NULL;
	ListCell   *cell;

	foreach(cell, hearing->verdicts)
	{
		const MlVerdict *verdict = lfirst(cell);

		if (verdict->ruling != ML_RULING_FAIL && verdict->ruling != ML_RULING_CANNOT_TELL)
			continue;
		passed -= verdict->gate != last;
		last = verdict->gate;
	}
	return passed;
}

static void
append_verdict(StringInfo text, const MlVerdict *verdict)
{
	appendStringInfo(text, "Gate \"%s\"", verdict->gate->name);
	if (verdict->validation_set != NULL && verdict->edition > 0)
		appendStringInfo(text, " on validation set \"%s\", edition %d", verdict->validation_set, verdict->edition);
	if (verdict->slice != NULL)
		appendStringInfo(text, ", slice \"%s\"", verdict->slice);
	appendStringInfo(text, ": %s", verdict->explanation);
}

static void
warn(const MlGateHearing *hearing, const MlVerdict *verdict)
{
	StringInfoData text;

	initStringInfo(&text);
	append_verdict(&text, verdict);
	ereport(WARNING,
			(errmsg("version %d of model \"%s\" does not pass gate \"%s\"", hearing->version, hearing->model,
					verdict->gate->name),
			 errdetail_internal("%s.", text.data)));
}

void
ml_gates_decide(const MlGateHearing *hearing)
{
	StringInfoData text;
	const char *only = NULL;
	int			blocking = 0;
	int			gates = 0;
	ListCell   *cell;

	initStringInfo(&text);
	foreach(cell, hearing->verdicts)
	{
		const MlVerdict *verdict = lfirst(cell);

		if (!ml_verdict_blocks(verdict))
		{
			if (verdict->ruling == ML_RULING_FAIL || verdict->ruling == ML_RULING_CANNOT_TELL)
				warn(hearing, verdict);
			continue;
		}
		if (only == NULL || strcmp(only, verdict->gate->name) != 0)
			gates++;
		only = verdict->gate->name;
		if (++blocking > VERDICTS_TOLD)
			continue;
		if (text.len > 0)
			appendStringInfoChar(&text, '\n');
		append_verdict(&text, verdict);
		appendStringInfoChar(&text, '.');
	}
	if (blocking == 0)
		return;
	if (blocking > VERDICTS_TOLD)
		appendStringInfo(&text, "\n... and %d more.", blocking - VERDICTS_TOLD);
	ereport(ERROR,
			(errcode(ERRCODE_ML_GATE_FAILED),
			 gates == 1 ?
			 errmsg("version %d of model \"%s\" does not pass gate \"%s\"", hearing->version, hearing->model, only) :
			 errmsg("version %d of model \"%s\" does not pass %d gates", hearing->version, hearing->model, gates),
			 errdetail_internal("%s", text.data),
			 errhint("SELECT * FROM mlops_check_gates(%s, %d) shows all of them; force => true promotes nevertheless and is kept in the history.",
					 quote_literal_cstr(hearing->model), hearing->version)));
}

/* ---- as rows ---- */

static void
add_verdict(MlRows *rows, const MlVerdict *verdict)
{
	const MlDifference *d = &verdict->difference;
	const MlEstimate *e = &verdict->estimate;
	Datum		values[RESULT_COLUMNS];
	bool		nulls[RESULT_COLUMNS] = {false};

	ml_rows_text(values, nulls, 0, verdict->gate->name);
	ml_rows_text(values, nulls, 1, ml_ruling_name(verdict->ruling));
	ml_rows_text(values, nulls, 2, verdict->gate->blocks ? "block" : "warn");
	ml_rows_text(values, nulls, 3, verdict->gate->metric);
	ml_rows_text(values, nulls, 4, verdict->validation_set);
	values[5] = Int32GetDatum(verdict->edition);
	nulls[5] = verdict->edition == 0;
	/* as in mlops_evaluate: all rows are the slice without a name; a query is of no rows */
	ml_rows_text(values, nulls, 6, verdict->gate->metric != NULL && verdict->gate->nslices == 0 ? "" : verdict->slice);
	ml_rows_number(values, nulls, 7, e->value);
	ml_rows_number(values, nulls, 8, e->low);
	ml_rows_number(values, nulls, 9, e->high);
	ml_rows_number(values, nulls, 10, d->champion);
	ml_rows_number(values, nulls, 11, d->difference);
	ml_rows_number(values, nulls, 12, d->low);
	ml_rows_number(values, nulls, 13, d->high);
	values[14] = Int64GetDatum(e->n);
	nulls[14] = verdict->edition == 0;
	values[15] = Int64GetDatum(d->needed);
	nulls[15] = d->needed == 0;
	ml_rows_text(values, nulls, 16, verdict->explanation);
	ml_rows_add(rows, values, nulls);
}

/* mlops_check_gates(model text, version int, threshold float8, rules int) */
Datum
mlops_check_gates(PG_FUNCTION_ARGS)
{
	MlGateHearing	hearing = {0};
	MlRows		rows;
	ListCell   *cell;
	int			number;
	MlStoredRules stored;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "version");
	hearing.model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	hearing.version = PG_GETARG_INT32(1);
	ml_privilege_require(hearing.model, ML_PRIVILEGE_READ);
	number = ml_promotion_take_rules(fcinfo, 3);
	if (number > 0 && !ml_registry_find_rules(hearing.model, number, &stored))
		ml_error_no_rules(hearing.model, number, ml_rules_numbers(hearing.model));
	ml_promotion_prepare(&hearing, ml_promotion_take_threshold(fcinfo, 2), number);
	ml_rows_begin(fcinfo, &rows);
	hearing.gates = ml_registry_gates(hearing.model);
	ml_gates_hear(&hearing);
	foreach(cell, hearing.verdicts)
		add_verdict(&rows, lfirst(cell));
	return (Datum) 0;
}
