/*
 * shadow_report.c
 *		mlops_shadow_report: what shadows did, from the log, whatever came true.
 */
#include "postgres.h"

#include "fmgr.h"
#include "log/log.h"
#include "registry/registry_catalog.h"
#include "result.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define NCOLUMNS	12

PG_FUNCTION_INFO_V1(mlops_shadow_report);

#define EQ " OPERATOR(pg_catalog.=) "
#define GET " OPERATOR(pg_catalog.->>) "
#define LIKE " OPERATOR(pg_catalog.~~) "

/* $1 model, $2 from, $3 until, $4: a prediction is that of its label, or the label */
static const char shadowed_calls[] =
"WITH c AS (SELECT s.key AS shadow, (s.value" GET "'version')::pg_catalog.int4 AS version, s.value" GET "'status' AS status, "
"(s.value" GET "'us')::pg_catalog.float8 AS us, l.prediction, l.label, s.value" GET "'label' AS said, "
"CASE WHEN COALESCE(l.rules_fired, 0)" EQ "0 THEN (s.value" GET "'prediction')::pg_catalog.float8 END AS shown "
"FROM mlops_catalog.prediction AS l JOIN mlops_catalog.model AS m ON m.name" EQ "l.model AND m.created_at OPERATOR(pg_catalog.<=) l.at "
"CROSS JOIN LATERAL pg_catalog.jsonb_each(l.shadows) AS s "
"WHERE l.model" EQ "$1 AND l.at OPERATOR(pg_catalog.>=) $2 AND l.at OPERATOR(pg_catalog.<) $3), "
"t AS (SELECT n.shadow, n.version, pg_catalog.jsonb_object_agg(n.status, n.calls) AS statuses FROM "
"(SELECT c.shadow, c.version, c.status, pg_catalog.count(*) AS calls FROM c GROUP BY 1, 2, 3) AS n GROUP BY 1, 2) "
"SELECT c.shadow, c.version, pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE c.status" EQ "'ok'), "
"pg_catalog.count(*) FILTER (WHERE c.status" LIKE "'failed%'), pg_catalog.count(*) FILTER (WHERE c.status" LIKE "'skipped%'), "
"t.statuses, pg_catalog.avg(c.us), pg_catalog.percentile_cont(0.95) WITHIN GROUP (ORDER BY c.us), "
"pg_catalog.avg((c.said" EQ "c.label)::pg_catalog.int4::pg_catalog.float8) FILTER (WHERE c.shown IS NOT NULL AND c.prediction IS NOT NULL), "
"pg_catalog.avg(pg_catalog.abs(c.shown OPERATOR(pg_catalog.-) c.prediction)) FILTER (WHERE NOT $4), "
"pg_catalog.count(*) FILTER (WHERE c.shown IS NOT NULL AND c.prediction IS NOT NULL) "
"FROM c JOIN t ON t.shadow" EQ "c.shadow AND t.version" EQ "c.version "
"GROUP BY c.shadow, c.version, t.statuses ORDER BY c.shadow COLLATE \"C\", c.version";

/* a row of the query is one of the result */
static void
copy_row(uint64 at, MlRows *rows)
{
	Datum		value[NCOLUMNS];
	bool		isnull[NCOLUMNS];

	for (int i = 0; i < NCOLUMNS; i++)
		value[i] = ml_result_datum(at, i + 1, &isnull[i]);
	ml_rows_add(rows, value, isnull);
}

static void
report(const char *model, TimestampTz from, TimestampTz until, MlRows *rows)
{
	static MlStatement select = {shadowed_calls};
	MlArguments args = {0};
	MlRegistryScope scope;
	const MlModelRow *row = ml_registry_model_row(model);
	bool		classes = row != NULL && row->task != NULL &&
		(strcmp(row->task, "multiclass") == 0 || strcmp(row->task, "cluster") == 0);
	uint64		n;

	ml_bind_text(&args, model);
	ml_bind_time(&args, from);
	ml_bind_time(&args, until);
	ml_bind_bool(&args, classes);
	ml_registry_enter(&scope);
	n = ml_statement_look(&select, &args);
	for (uint64 i = 0; i < n; i++)
		copy_row(i, rows);
	ml_registry_leave(&scope);
}

/* mlops_shadow_report(model, period, as_of) */
Datum
mlops_shadow_report(PG_FUNCTION_ARGS)
{
	MlRows		rows;
	char	   *model;
	int64		period;
	TimestampTz as_of;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "period");
	ml_require_argument(fcinfo, 2, "as_of");
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ml_privilege_require(model, ML_PRIVILEGE_READ);
	period = ml_watch_interval(PG_GETARG_INTERVAL_P(1));
	as_of = PG_GETARG_TIMESTAMPTZ(2);
	ml_watch_require_period(period, 0, as_of);
	ml_rows_begin(fcinfo, &rows);
	report(model, as_of - period, as_of, &rows);
	return (Datum) 0;
}
