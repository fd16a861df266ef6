/*
 * evaluate.c
 *		mlops_evaluate, mlops_evaluate_query: a version's metrics overall and by
 *		slice.
 *
 * What is found on an edition of a validation set is evidence and is stored, where the
 * transaction can write. It would be no evidence with rows of the training data in it.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "judge/hearing.h"
#include "registry/evidence.h"
#include "result.h"

#define RESULT_COLUMNS 8		/* slice, metric, value, low, high, n, baseline, seen */
#define EXAMPLE "SELECT * FROM mlops_evaluate('churn')"
#define EXAMPLE_QUERY "SELECT * FROM mlops_evaluate_query('churn', 'SELECT * FROM customer')"

PG_FUNCTION_INFO_V1(mlops_evaluate);
PG_FUNCTION_INFO_V1(mlops_evaluate_query);

static void
add_row(MlRows *rows, const char *slice, const char *metric, const MlEstimate *estimate)
{
	Datum		values[RESULT_COLUMNS];
	bool		nulls[RESULT_COLUMNS] = {false};

	ml_rows_text(values, nulls, 0, slice);
	ml_rows_text(values, nulls, 1, metric);
	ml_rows_number(values, nulls, 2, estimate->value);
	ml_rows_number(values, nulls, 3, estimate->low);
	ml_rows_number(values, nulls, 4, estimate->high);
	values[5] = Int64GetDatum(estimate->n);
	ml_rows_number(values, nulls, 6, estimate->baseline);
	values[7] = Int64GetDatum(estimate->seen);
	nulls[7] = estimate->seen < 0;
	ml_rows_add(rows, values, nulls);
}

/* estimates of all metrics on all slices that have rows, slice by slice; what is stored of them in evidence */
static int
estimate_all(const MlHearing *hearing, MlRows *rows, MlEvidence *evidence)
{
	const MlJury *jury = hearing->jury;
	int			n = 0;
	ListCell   *cell;

	for (int s = 0; s < jury->nslices; s++)
	{
		if (jury->slice[s].pub.n == 0)
			continue;
		foreach(cell, hearing->metrics)
		{
			const MlJudgeMetric *metric = lfirst(cell);
			MlEstimate	estimate;

			ml_judge_estimate(hearing->judged[0], metric, s, &estimate);
			if (rows != NULL)
				add_row(rows, jury->slice[s].pub.name, metric->name, &estimate);
			evidence[n++] = (MlEvidence) {
				.model = hearing->resolved[0].model,
				.version = hearing->resolved[0].version,
				.validation_set = hearing->edition.validation_set,
				.edition = hearing->edition.edition,
				.slice = jury->slice[s].pub.name,
				.metric = metric->name,
				.value = estimate.value,
				.low = estimate.low,
				.high = estimate.high,
				.baseline = estimate.baseline,
				.threshold = jury->task == ML_TASK_BINARY ? hearing->judged[0]->threshold : NAN,
				.n = estimate.n,
				.seen = estimate.seen,
			};
		}
	}
	return n;
}

static void
store(const MlHearing *hearing, const MlEvidence *evidence, int n)
{
	if (hearing->jury->include_seen)
		ereport(NOTICE,
				(errmsg("not stored: rows of the training data are no evidence")));
	else if (RecoveryInProgress() || XactReadOnly)
		ereport(NOTICE,
				(errmsg("not stored: %s", RecoveryInProgress() ? "this server is a standby" : "the transaction is read-only")));
	else
		ml_registry_put_evidence(evidence, n);
}

static void
evaluate(const MlCase *question, MlRows *rows)
{
	MlHearing	hearing;
	MlEvidence *evidence;
	int			n;

	ml_hearing_open(question, &hearing);
	evidence = palloc(ml_size_mul(ml_size_mul(hearing.jury->nslices, list_length(hearing.metrics)), sizeof(MlEvidence)));
	n = estimate_all(&hearing, rows, evidence);
	if (hearing.of_edition)
		store(&hearing, evidence, n);
	ml_hearing_close(&hearing);
}

void
ml_evaluate(const MlCase *question)
{
	evaluate(question, NULL);
}

/* mlops_evaluate(model, validation_set, edition, metrics, include_seen) */
Datum
mlops_evaluate(PG_FUNCTION_ARGS)
{
	MlCase		question = {.example = EXAMPLE};
	MlRows		rows;

	ml_argument_require(fcinfo, 0, "model", EXAMPLE);
	question.model = ml_argument_text(fcinfo, 0);
	question.validation_set = ml_argument_text(fcinfo, 1);
	question.edition = ml_argument_int(fcinfo, 2);
	question.metrics = ml_argument_texts(fcinfo, 3, "metrics", &question.nmetrics);
	question.include_seen = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4);
	ml_rows_begin(fcinfo, &rows);
	evaluate(&question, &rows);
	return (Datum) 0;
}

/* mlops_evaluate_query(model, source, target, slices, metrics, weight, include_seen) */
Datum
mlops_evaluate_query(PG_FUNCTION_ARGS)
{
	MlCase		question = {.example = EXAMPLE_QUERY};
	MlRows		rows;

	ml_argument_require(fcinfo, 0, "model", EXAMPLE_QUERY);
	ml_argument_require(fcinfo, 1, "source", EXAMPLE_QUERY);
	question.model = ml_argument_text(fcinfo, 0);
	question.source = ml_argument_text(fcinfo, 1);
	question.target = ml_argument_text(fcinfo, 2);
	question.slices = ml_argument_texts(fcinfo, 3, "slices", &question.nslices);
	question.metrics = ml_argument_texts(fcinfo, 4, "metrics", &question.nmetrics);
	question.weight = ml_argument_text(fcinfo, 5);
	question.include_seen = !PG_ARGISNULL(6) && PG_GETARG_BOOL(6);
	ml_rows_begin(fcinfo, &rows);
	evaluate(&question, &rows);
	return (Datum) 0;
}
