/*
 * compare.c
 *		mlops_compare: two versions on the same rows, overall and by slice.
 */
#include "postgres.h"

#include "fmgr.h"
#include "judge/hearing.h"
#include "result.h"

#define RESULT_COLUMNS 10		/* slice, metric, candidate, champion, difference, low, high, p_value, n, needed */
#define EXAMPLE "SELECT * FROM mlops_compare('churn', 3)"

PG_FUNCTION_INFO_V1(mlops_compare);

void
ml_difference_columns(Datum *value, bool *isnull, int first, const MlDifference *difference)
{
	ml_rows_number(value, isnull, first, difference->candidate);
	ml_rows_number(value, isnull, first + 1, difference->champion);
	ml_rows_number(value, isnull, first + 2, difference->difference);
	ml_rows_number(value, isnull, first + 3, difference->low);
	ml_rows_number(value, isnull, first + 4, difference->high);
	ml_rows_number(value, isnull, first + 5, difference->p_value);
	value[first + 6] = Int64GetDatum(difference->n);
	value[first + 7] = Int64GetDatum(difference->needed);
	isnull[first + 7] = difference->needed == 0;
}

static void
add_row(MlRows *rows, const char *slice, const char *metric, const MlDifference *difference)
{
	Datum		values[RESULT_COLUMNS];
	bool		nulls[RESULT_COLUMNS] = {false};

	ml_rows_text(values, nulls, 0, slice);
	ml_rows_text(values, nulls, 1, metric);
	ml_difference_columns(values, nulls, 2, difference);
	ml_rows_add(rows, values, nulls);
}

/* of the first metric, overall */
static void
tell(const MlHearing *hearing, const char *metric, const MlDifference *difference)
{
	if (difference->needed == 0)
		return;
	ereport(NOTICE,
			(errmsg("no difference in %s is shown between versions %d and %d of model \"%s\" by " INT64_FORMAT " rows",
					metric, hearing->resolved[0].version, hearing->resolved[1].version,
					hearing->resolved[0].model, difference->n),
			 errdetail("It is %.4g, between %.4g and %.4g. About " INT64_FORMAT " rows would tell one of that size from none, four times out of five.",
					   difference->difference, difference->low, difference->high, difference->needed)));
}

static void
compare(const MlCase *question, MlRows *rows)
{
	MlHearing	hearing;
	bool		first = true;
	ListCell   *cell;

	ml_hearing_open(question, &hearing);
	for (int s = 0; s < hearing.jury->nslices; s++)
	{
		if (hearing.jury->slice[s].pub.n == 0)
			continue;
		foreach(cell, hearing.metrics)
		{
			const MlJudgeMetric *metric = lfirst(cell);
			MlDifference difference;

			ml_judge_compare(hearing.judged[0], hearing.judged[1], metric, s, &difference);
			add_row(rows, hearing.jury->slice[s].pub.name, metric->name, &difference);
			if (first)
				tell(&hearing, metric->name, &difference);
			first = false;
		}
	}
	ml_hearing_close(&hearing);
}

/* mlops_compare(model, candidate, champion, validation_set, source, target, slices, metrics, weight, edition, include_seen) */
Datum
mlops_compare(PG_FUNCTION_ARGS)
{
	MlCase		question = {.compared = true, .example = EXAMPLE};
	MlRows		rows;

	ml_argument_require(fcinfo, 0, "model", EXAMPLE);
	ml_argument_require(fcinfo, 1, "candidate", EXAMPLE);
	question.model = ml_argument_text(fcinfo, 0);
	question.version = ml_argument_int(fcinfo, 1);
	question.champion = ml_argument_int(fcinfo, 2);
	question.validation_set = ml_argument_text(fcinfo, 3);
	question.source = ml_argument_text(fcinfo, 4);
	question.target = ml_argument_text(fcinfo, 5);
	question.slices = ml_argument_texts(fcinfo, 6, "slices", &question.nslices);
	question.metrics = ml_argument_texts(fcinfo, 7, "metrics", &question.nmetrics);
	question.weight = ml_argument_text(fcinfo, 8);
	question.edition = ml_argument_int(fcinfo, 9);
	question.include_seen = !PG_ARGISNULL(10) && PG_GETARG_BOOL(10);
	ml_rows_begin(fcinfo, &rows);
	compare(&question, &rows);
	return (Datum) 0;
}
