/*
 * canary_report.c
 *		mlops_canary_report: the canary beside the active version.
 *
 * What is compared is what was predicted and came true since the share, or anything
 * else of the bundle, last changed: over several shares each side would have its
 * rows at other times, and a trend would look like a difference. Keys are the
 * units: a key is on one side, and its predictions count as one cluster.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "registry/registry_catalog.h"
#include "result.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "watch/canary_report.h"

#define SETTLING USECS_PER_MINUTE
#define NCOLUMNS 11				/* side, version, metric, value, low, high, n, predictions, coverage, p_value, verdict */

PG_FUNCTION_INFO_V1(mlops_canary_report);
PG_FUNCTION_INFO_V1(mlops_sequential_difference);
PG_FUNCTION_INFO_V1(mlops_sequential_share);

#define EQ " OPERATOR(pg_catalog.=) "

/* ---- what serves ---- */

bool
ml_canary_stage(const char *model, TimestampTz as_of, MlCanaryStage *stage)
{
	static MlStatement select = {
		"WITH d AS (SELECT number, version, from_version, from_deployment, share, threshold, rules, deployed_at FROM mlops_catalog.deployment "
		"WHERE model" EQ "$1 AND deployed_at OPERATOR(pg_catalog.<=) $2), "
		"n AS (SELECT * FROM d ORDER BY number DESC LIMIT 1) "
		"SELECT n.version, n.from_version, n.share, f.number, n.number, f.deployed_at, n.threshold, n.rules, n.from_deployment "
		"FROM n CROSS JOIN LATERAL (SELECT d.number, d.deployed_at FROM d WHERE d.number OPERATOR(pg_catalog.>) COALESCE(("
		"SELECT pg_catalog.max(x.number) FROM d AS x WHERE (x.version, x.from_version, x.share, x.threshold, x.rules) "
		"IS DISTINCT FROM (n.version, n.from_version, n.share, n.threshold, n.rules)), 0) ORDER BY d.number LIMIT 1) AS f "
		"WHERE n.share OPERATOR(pg_catalog.<) 1 AND n.from_version IS NOT NULL"
	};
	MlArguments args = {0};
	MlRegistryScope scope;
	bool		found;

	ml_bind_text(&args, model);
	ml_bind_time(&args, as_of);
	ml_registry_enter(&scope);
	found = ml_statement_run(&select, &args) > 0;
	if (found)
	{
		stage->version = ml_result_int(0, 1, 0);
		stage->active = ml_result_int(0, 2, 0);
		stage->share = ml_result_float(0, 3);
		stage->first = ml_result_int(0, 4, 0);
		stage->last = ml_result_int(0, 5, 0);
		stage->threshold = ml_result_float(0, 7);
		stage->rules = ml_result_int(0, 8, 0);
		stage->active_deployment = ml_result_int(0, 9, 0);
		stage->since = ml_result_time(0, 6);
	}
	ml_registry_leave(&scope);
	return found;
}

/* ---- the split ---- */

/* statements that began before the canary did go on to answer by what served before: keys are those of later calls */
static void
count_keys(const char *model, TimestampTz as_of, MlCanaryReport *report)
{
	static MlStatement select = {
		"SELECT pg_catalog.count(*) FILTER (WHERE p.role" EQ "'active'), pg_catalog.count(*) FILTER (WHERE p.role" EQ "'canary'), "
		"pg_catalog.count(DISTINCT p.key) FILTER (WHERE p.role" EQ "'active' AND p.at OPERATOR(pg_catalog.>=) $7), "
		"pg_catalog.count(DISTINCT p.key) FILTER (WHERE p.role" EQ "'canary' AND p.at OPERATOR(pg_catalog.>=) $7) "
		"FROM mlops_catalog.prediction AS p "
		"WHERE p.model" EQ "$1 AND p.at OPERATOR(pg_catalog.>=) $2 AND p.at OPERATOR(pg_catalog.<=) $3 AND p.key IS NOT NULL "
		"AND (p.role" EQ "'canary' AND p.deployment OPERATOR(pg_catalog.>=) $4 AND p.deployment OPERATOR(pg_catalog.<=) $5 "
		"OR p.role" EQ "'active' AND p.deployment" EQ "$6)"
	};
	const MlCanaryStage *stage = &report->stage;
	MlArguments args = {0};
	MlRegistryScope scope;

	ml_bind_text(&args, model);
	ml_bind_time(&args, stage->since);
	ml_bind_time(&args, as_of);
	ml_bind_int(&args, stage->first);
	ml_bind_int(&args, stage->last);
	ml_bind_int(&args, stage->active_deployment);
	ml_bind_time(&args, stage->since + SETTLING);
	ml_registry_enter(&scope);
	(void) ml_statement_run(&select, &args);
	report->active.predictions = ml_result_int8(0, 1);
	report->canary.predictions = ml_result_int8(0, 2);
	report->active.keys = ml_result_int8(0, 3);
	report->canary.keys = ml_result_int8(0, 4);
	ml_registry_leave(&scope);
	ml_sequential_share(report->canary.keys, report->active.keys, stage->share, ML_SPLIT_ALPHA, &report->split);
	report->broken = report->split.p_value <= ML_SPLIT_ALPHA;
}

/* ---- metrics ---- */

static MlLiveGroup *
find_side(const MlLive *live, const char *role, int version, MlCanarySide *side)
{
	ListCell   *cell;

	foreach(cell, live->groups)
	{
		MlLiveGroup *group = lfirst(cell);

		if (strcmp(group->role, role) != 0 || group->version != version)
			continue;
		side->labelled = group->labelled;
		return group;
	}
	return NULL;
}

const char *
ml_canary_verdict_name(MlCanaryVerdict verdict)
{
	return verdict == ML_CANARY_WORSE ? "canary is worse" : verdict == ML_CANARY_BETTER ? "canary is better" : "undecided";
}

static MlCanaryVerdict
decide(const MlSequential *difference, bool higher_is_better)
{
	if (difference->low > 0.0)
		return higher_is_better ? ML_CANARY_BETTER : ML_CANARY_WORSE;
	if (difference->high < 0.0)
		return higher_is_better ? ML_CANARY_WORSE : ML_CANARY_BETTER;
	return ML_CANARY_UNDECIDED;
}

/* false: the log does not know enough for the metric */
static bool
estimate_side(MlLive *live, MlLiveGroup *group, const MlJudgeMetric *metric, MlLiveEstimate *estimate)
{
	static const MlLiveEstimate nothing = {NAN, NAN, NAN, NAN, 0, 0};

	*estimate = nothing;
	return group == NULL || ml_live_estimate(live, group, metric, estimate);
}

static void
compare(MlCanaryMetric *compared, const MlJudgeMetric *metric, double alpha)
{
	MlSide		active = {compared->active.value, compared->active.error, compared->active.keys};
	MlSide		canary = {compared->canary.value, compared->canary.error, compared->canary.keys};

	ml_sequential_sides(&active, &canary, alpha, &compared->difference);
	compared->verdict = decide(&compared->difference, ml_judge_metric_higher_is_better(metric));
}

static void
measure(MlLive *live, const MlCanaryStage *stage, double alpha, MlCanaryReport *report)
{
	MlLiveGroup *active = find_side(live, "active", stage->active, &report->active);
	MlLiveGroup *canary = find_side(live, "canary", stage->version, &report->canary);
	ListCell   *cell;

	foreach(cell, live->request->metrics)
	{
		const MlJudgeMetric *metric = lfirst(cell);
		MlCanaryMetric *compared = palloc0(sizeof(MlCanaryMetric));

		compared->name = ml_judge_metric_name(metric);
		if (!estimate_side(live, active, metric, &compared->active) ||
			!estimate_side(live, canary, metric, &compared->canary))
			continue;
		compare(compared, metric, alpha);
		report->metrics = lappend(report->metrics, compared);
	}
}

void
ml_canary_look(const char *model, const MlCanaryStage *stage, TimestampTz as_of, List *metrics, double alpha,
			   MlCanaryReport *report)
{
	MlLiveRequest request = {.model = model, .from = stage->since, .until = as_of + 1, .as_of = as_of,
		.width = as_of + 1 - stage->since, .metrics = metrics,
	.first_deployment = stage->first, .last_deployment = stage->last, .active_deployment = stage->active_deployment};
	MlLive	   *live;

	memset(report, 0, sizeof(MlCanaryReport));
	report->stage = *stage;
	count_keys(model, as_of, report);
	if (metrics == NIL || as_of < stage->since)
		return;
	live = ml_live_read(&request);
	measure(live, stage, alpha, report);
	ml_live_tell_missing(live);
	ml_live_end(live);
}

/* ---- the result ---- */

static void
put_side(MlRows *rows, const char *side, int version, const char *metric, const MlLiveEstimate *estimate,
		 const MlCanarySide *counts)
{
	Datum		value[NCOLUMNS];
	bool		isnull[NCOLUMNS] = {0};

	ml_rows_text(value, isnull, 0, side);
	value[1] = Int32GetDatum(version);
	ml_rows_text(value, isnull, 2, metric);
	ml_rows_number(value, isnull, 3, estimate->value);
	ml_rows_number(value, isnull, 4, estimate->low);
	ml_rows_number(value, isnull, 5, estimate->high);
	value[6] = Int64GetDatum(estimate->n);
	value[7] = Int64GetDatum(counts->predictions);
	ml_rows_number(value, isnull, 8, counts->predictions > 0 ? (double) counts->labelled / counts->predictions : NAN);
	isnull[9] = isnull[10] = true;
	ml_rows_add(rows, value, isnull);
}

/* a difference, or the split */
static void
put_test(MlRows *rows, const char *side, const char *metric, double seen, const MlSequential *test, int64 n,
		 int64 predictions, const char *verdict)
{
	Datum		value[NCOLUMNS];
	bool		isnull[NCOLUMNS] = {0};

	ml_rows_text(value, isnull, 0, side);
	isnull[1] = isnull[8] = true;
	ml_rows_text(value, isnull, 2, metric);
	ml_rows_number(value, isnull, 3, seen);
	ml_rows_number(value, isnull, 4, test->low);
	ml_rows_number(value, isnull, 5, test->high);
	value[6] = Int64GetDatum(n);
	value[7] = Int64GetDatum(predictions);
	ml_rows_number(value, isnull, 9, test->p_value);
	ml_rows_text(value, isnull, 10, verdict);
	ml_rows_add(rows, value, isnull);
}

static void
put_metric(MlRows *rows, const MlCanaryReport *report, const MlCanaryMetric *metric)
{
	put_side(rows, "active", report->stage.active, metric->name, &metric->active, &report->active);
	put_side(rows, "canary", report->stage.version, metric->name, &metric->canary, &report->canary);
	put_test(rows, "difference", metric->name, metric->canary.value - metric->active.value, &metric->difference,
			 metric->active.n + metric->canary.n, report->active.predictions + report->canary.predictions,
			 ml_canary_verdict_name(metric->verdict));
}

static void
put_split(MlRows *rows, const MlCanaryReport *report)
{
	int64		keys = report->active.keys + report->canary.keys;

	put_test(rows, "split", NULL, keys > 0 ? (double) report->canary.keys / keys : NAN, &report->split, keys,
			 report->active.predictions + report->canary.predictions, report->broken ? "broken split" : "balanced");
}

/* mlops_canary_report(model, as_of) */
Datum
mlops_canary_report(PG_FUNCTION_ARGS)
{
	MlCanaryReport report;
	MlCanaryStage stage;
	TimestampTz as_of;
	MlRows		rows;
	ListCell   *cell;
	char	   *model;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "as_of");
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	as_of = PG_GETARG_TIMESTAMPTZ(1);
	ml_privilege_require(model, ML_PRIVILEGE_READ);
	if (TIMESTAMP_NOT_FINITE(as_of))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"as_of\" of mlops_canary_report is infinite"),
				 errdetail("What is compared are calls and outcomes until a moment."),
				 errhint("Leave it out for now.")));
	ml_rows_begin(fcinfo, &rows);
	if (!ml_canary_stage(model, as_of, &stage))
	{
		ereport(NOTICE,
				(errmsg("no canary of model \"%s\" serves at %s", model, timestamptz_to_str(as_of)),
				 errhint("mlops_promote(%s, version, share => 0.05) begins one; as_of looks at one that has ended.",
						 quote_literal_cstr(model))));
		return (Datum) 0;
	}
	ml_canary_look(model, &stage, as_of, ml_live_metrics(model, ml_live_task(model), NULL, 0, false), ML_CANARY_ALPHA,
				   &report);
	put_split(&rows, &report);
	foreach(cell, report.metrics)
		put_metric(&rows, &report, lfirst(cell));
	return (Datum) 0;
}

/* ---- the numerics, for those who keep counts of their own ---- */

static Datum
sequential_result(FunctionCallInfo fcinfo, const MlSequential *test)
{
	Datum		value[3];
	bool		isnull[3] = {0};
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	ml_rows_number(value, isnull, 0, test->low);
	ml_rows_number(value, isnull, 1, test->high);
	ml_rows_number(value, isnull, 2, test->p_value);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), value, isnull));
}

static double
checked_alpha(double alpha)
{
	if (!(alpha > 0.0 && alpha < 1.0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("alpha must be above 0 and below 1"),
				 errdetail("alpha is %g.", alpha),
				 errhint("It is how often the truth may be missed at any time, as in alpha => 0.05.")));
	return alpha;
}

/* mlops.sequential_difference(active, active_error, active_units, canary, canary_error, canary_units, alpha) */
Datum
mlops_sequential_difference(PG_FUNCTION_ARGS)
{
	MlSide		active = {PG_GETARG_FLOAT8(0), PG_GETARG_FLOAT8(1), PG_GETARG_FLOAT8(2)};
	MlSide		canary = {PG_GETARG_FLOAT8(3), PG_GETARG_FLOAT8(4), PG_GETARG_FLOAT8(5)};
	MlSequential test;

	ml_sequential_sides(&active, &canary, checked_alpha(PG_GETARG_FLOAT8(6)), &test);
	return sequential_result(fcinfo, &test);
}

/* mlops.sequential_share(ones, zeros, share, alpha) */
Datum
mlops_sequential_share(PG_FUNCTION_ARGS)
{
	MlSequential test;

	ml_sequential_share(PG_GETARG_INT64(0), PG_GETARG_INT64(1), PG_GETARG_FLOAT8(2), checked_alpha(PG_GETARG_FLOAT8(3)),
						&test);
	return sequential_result(fcinfo, &test);
}
