/*
 * monitor_measure.c
 *		What a monitor sees in a period.
 *
 * Of several versions that served in it the one that serves now is looked at,
 * if it answered min_rows calls, else the one that answered most. Everything is
 * read as the author of the monitor, who must still be allowed to read the model.
 *
 * Intervals are of 95 %: Wilson's for shares (1927, "Probable inference, the law
 * of succession, and statistical inference", JASA 22), the normal one for means,
 * the order statistics next to the quantile for times (David and Nagaraja 2003,
 * "Order Statistics", section 7.1), Byar's for counts (Breslow and Day 1987,
 * "Statistical Methods in Cancer Research" II, p. 69), those of
 * mlops_performance for metrics; distances of inputs have none.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "log/log.h"
#include "metric/interval.h"
#include "metric/metric.h"
#include "monitor/monitor.h"
#include "recipe/task.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define EQ " OPERATOR(pg_catalog.=) "
#define GE " OPERATOR(pg_catalog.>=) "
#define LT " OPERATOR(pg_catalog.<) "
#define OF_PERIOD "FROM mlops_catalog.prediction AS p " \
	"JOIN mlops_catalog.model AS m ON m.name" EQ "p.model AND m.created_at OPERATOR(pg_catalog.<=) p.at " \
	"WHERE p.model" EQ "$1 AND p.at" GE "$2 AND p.at" LT "$3 AND p.role" EQ "'active' "

/*
 * $1 model, $2 since, $3 until, $4 feature. A row a version: version, rows, then of
 * shares how many (a part of a row counts as a part), of means the mean and
 * the deviation, of times the quantile and its two neighbours.
 */
#define SHARE_OF(hits, rows) \
	"SELECT p.version, " rows "::pg_catalog.int8, (" hits ")::pg_catalog.float8 " OF_PERIOD "GROUP BY p.version"

#define FEATURES_OF_ACTIVE \
	"(SELECT pg_catalog.array_agg(c OPERATOR(pg_catalog.->>) 'name') FROM mlops_catalog.serving AS s " \
	"JOIN mlops_catalog.version AS v ON v.model" EQ "s.model AND v.version" EQ "s.version " \
	"CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(v.columns) AS c " \
	"WHERE s.model" EQ "$1 AND c OPERATOR(pg_catalog.->>) 'role'" EQ "'feature')"

static MlStatement null_share = {
	SHARE_OF("pg_catalog.count(*) OPERATOR(pg_catalog.-) pg_catalog.count(p.prediction)", "pg_catalog.count(*)")
};

static MlStatement rules_share = {
	SHARE_OF("pg_catalog.count(*) FILTER (WHERE p.rules_fired OPERATOR(pg_catalog.<>) 0)", "pg_catalog.count(p.rules_fired)")
};

static MlStatement missing_of_feature = {
	SHARE_OF("pg_catalog.count(*) FILTER (WHERE p.input IS NOT NULL AND (p.input OPERATOR(pg_catalog.->>) $4) IS NULL)",
			 "pg_catalog.count(p.input)")
};

/* all features of the version that is active */
static MlStatement missing_of_all = {
	"SELECT p.version, pg_catalog.count(*), pg_catalog.sum((SELECT pg_catalog.count(*) FROM pg_catalog.unnest(f.names) AS u (name) "
	"WHERE (p.input OPERATOR(pg_catalog.->>) u.name) IS NULL)::pg_catalog.float8 "
	"OPERATOR(pg_catalog./) pg_catalog.cardinality(f.names)::pg_catalog.float8) "
	"FROM (SELECT p.version, p.input " OF_PERIOD "AND p.input IS NOT NULL) AS p "
	"CROSS JOIN (SELECT " FEATURES_OF_ACTIVE " AS names) AS f WHERE f.names IS NOT NULL GROUP BY p.version"
};

static MlStatement mean_of_predictions = {
	"SELECT p.version, pg_catalog.count(p.prediction), pg_catalog.avg(p.prediction), pg_catalog.stddev_samp(p.prediction) "
	OF_PERIOD "GROUP BY p.version"
};

static MlStatement latencies = {
	"SELECT r.version, r.n, pg_catalog.min(r.latency_us) FILTER (WHERE r.i" GE "r.at), "
	"pg_catalog.min(r.latency_us) FILTER (WHERE r.i" GE "(r.at OPERATOR(pg_catalog.-) r.half)), "
	"pg_catalog.max(r.latency_us) FILTER (WHERE r.i OPERATOR(pg_catalog.<=) (r.at OPERATOR(pg_catalog.+) r.half OPERATOR(pg_catalog.+) 1)) "
	"FROM (SELECT l.version, l.latency_us::pg_catalog.float8, l.i::pg_catalog.float8, l.n, "
	"l.n::pg_catalog.float8 OPERATOR(pg_catalog.*) $4 AS at, "
	"1.96::pg_catalog.float8 OPERATOR(pg_catalog.*) pg_catalog.sqrt(l.n::pg_catalog.float8 OPERATOR(pg_catalog.*) $4 "
	"OPERATOR(pg_catalog.*) (1::pg_catalog.float8 OPERATOR(pg_catalog.-) $4)) AS half "
	"FROM (SELECT p.version, p.latency_us, "
	"pg_catalog.row_number() OVER (PARTITION BY p.version ORDER BY p.latency_us) AS i, "
	"pg_catalog.count(*) OVER (PARTITION BY p.version) AS n "
	OF_PERIOD "AND p.latency_us IS NOT NULL) AS l) AS r GROUP BY r.version, r.n"
};

static MlStatement calls = {
	"SELECT pg_catalog.count(*) " OF_PERIOD
};

/*
 * The same from the serving statistics, of parts of the day that lie within: they know
 * every call where a log has a sample, and need no row.
 */
#define OF_COUNTS(table) "FROM mlops_catalog." table " AS c " \
	"JOIN mlops_catalog.model AS m ON m.name" EQ "c.model AND m.created_at OPERATOR(pg_catalog.<=) c.counted_at " \
	"WHERE c.model" EQ "$1 AND c.since" GE "$2 AND c.until OPERATOR(pg_catalog.<=) $3 AND c.role" EQ "'active' "

static MlStatement counted_calls = {
	"SELECT COALESCE(pg_catalog.sum(c.rows), 0)::pg_catalog.int8 " OF_COUNTS("serving_statistics")
};

static MlStatement counted_null_share = {
	"SELECT c.version, pg_catalog.sum(c.rows)::pg_catalog.int8, pg_catalog.sum(c.null_rows)::pg_catalog.float8 "
	OF_COUNTS("serving_statistics") "GROUP BY c.version"
};

static MlStatement counted_barred_share = {
	"SELECT c.version, pg_catalog.sum(c.rows)::pg_catalog.int8, pg_catalog.sum(c.barred)::pg_catalog.float8 "
	OF_COUNTS("serving_statistics") "GROUP BY c.version"
};

static MlStatement counted_missing_of_feature = {
	"SELECT c.version, pg_catalog.sum(c.rows)::pg_catalog.int8, pg_catalog.sum(c.missing)::pg_catalog.float8 "
	OF_COUNTS("serving_histogram") "AND c.subject" EQ "'feature' AND c.feature" EQ "$4 GROUP BY c.version"
};

static MlStatement counted_missing_of_all = {
	"SELECT c.version, (pg_catalog.sum(c.rows)::pg_catalog.int8 OPERATOR(pg_catalog./) pg_catalog.count(DISTINCT c.feature)), "
	"pg_catalog.sum(c.missing)::pg_catalog.float8 OPERATOR(pg_catalog./) pg_catalog.count(DISTINCT c.feature)::pg_catalog.float8 "
	OF_COUNTS("serving_histogram") "AND c.subject" EQ "'feature' GROUP BY c.version"
};

static MlStatement age_of_active = {
	"SELECT s.version, pg_catalog.date_part('epoch', $3 OPERATOR(pg_catalog.-) v.trained_at) "
	"OPERATOR(pg_catalog./) 86400::pg_catalog.float8 FROM mlops_catalog.serving AS s JOIN mlops_catalog.version AS v "
	"ON v.model" EQ "s.model AND v.version" EQ "s.version WHERE s.model" EQ "$1 AND $2::pg_catalog.timestamptz IS NOT NULL"
};

/* ---- which version ---- */

static int
active_version(const char *model)
{
	static MlStatement select = {
		"SELECT version FROM mlops_catalog.serving WHERE model" EQ "$1"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	return ml_statement_run(&select, &args) > 0 ? ml_result_int(0, 1, 0) : 0;
}

/* the row of the result, whose first columns are version and rows; -1: there is none */
static int64
choose_row(const MlMonitor *monitor, int active, uint64 n)
{
	int64		most = -1;
	int64		chosen = -1;

	for (uint64 i = 0; i < n; i++)
	{
		int64		rows = ml_result_int8(i, 2);

		if (ml_result_int(i, 1, 0) == active && rows >= monitor->min_rows)
			return (int64) i;
		if (rows > most)
		{
			most = rows;
			chosen = (int64) i;
		}
	}
	return chosen;
}

/* ---- from rows to what is seen ---- */

static void
see_share(double hits, MlSeen *seen)
{
	if (seen->n == 0)
		return;
	seen->value = hits / seen->n;
	ml_wilson(seen->value, seen->n, &seen->low, &seen->high);
}

static void
see_mean(double mean, double deviation, MlSeen *seen)
{
	double		half = ML_NORMAL_975 * deviation / sqrt(seen->n);

	seen->value = mean;
	if (isnan(half))
		return;
	seen->low = mean - half;
	seen->high = mean + half;
}

static void
see_count(MlSeen *seen)
{
	double		n = seen->n;
	double		more = n + 1.0;

	seen->value = n;
	seen->low = n > 0.0 ? n * pow(1.0 - 1.0 / (9.0 * n) - ML_NORMAL_975 / (3.0 * sqrt(n)), 3.0) : 0.0;
	seen->high = more * pow(1.0 - 1.0 / (9.0 * more) + ML_NORMAL_975 / (3.0 * sqrt(more)), 3.0);
}

static void
see_row(const MlMonitor *monitor, uint64 row, MlSeen *seen)
{
	seen->version = ml_result_int(row, 1, 0);
	seen->n = ml_result_int8(row, 2);
	switch (monitor->measure->source)
	{
		case ML_WATCH_MEAN:
			see_mean(ml_result_float(row, 3), ml_result_float(row, 4), seen);
			break;
		case ML_WATCH_LATENCY:
			seen->value = ml_result_float(row, 3);
			seen->low = ml_result_float(row, 4);
			seen->high = ml_result_float(row, 5);
			break;
		default:
			see_share(ml_result_float(row, 3), seen);
			break;
	}
}

/* ---- the log ---- */

/* of the serving statistics; NULL: they do not know it */
static MlStatement *
counts_of(const MlMonitor *monitor)
{
	switch (monitor->measure->source)
	{
		case ML_WATCH_NULL:
			return &counted_null_share;
		case ML_WATCH_MISSING:
			return monitor->feature != NULL ? &counted_missing_of_feature : &counted_missing_of_all;
		case ML_WATCH_VOLUME:
			return &counted_calls;
		default:
			return NULL;
	}
}

static MlStatement *
statement_of(const MlMonitor *monitor)
{
	switch (monitor->measure->source)
	{
		case ML_WATCH_NULL:
			return &null_share;
		case ML_WATCH_RULES:
			return &rules_share;
		case ML_WATCH_MISSING:
			return monitor->feature != NULL ? &missing_of_feature : &missing_of_all;
		case ML_WATCH_BARRED:
			return &counted_barred_share;
		case ML_WATCH_MEAN:
			return &mean_of_predictions;
		case ML_WATCH_LATENCY:
			return &latencies;
		case ML_WATCH_VOLUME:
			return &calls;
		case ML_WATCH_AGE:
			return &age_of_active;
		default:
			break;
	}
	elog(ERROR, "\"%s\" is not read from the log", monitor->what);
	pg_unreachable();
}

static void
bind_period(const MlMonitor *monitor, TimestampTz since, TimestampTz until, MlArguments *args)
{
	ml_bind_text(args, monitor->model);
	ml_bind_time(args, since);
	ml_bind_time(args, until);
	if (monitor->measure->source == ML_WATCH_LATENCY)
		ml_bind_float(args, monitor->measure->quantile);
	else if (monitor->measure->source == ML_WATCH_MISSING && monitor->feature != NULL)
		ml_bind_text(args, monitor->feature);
}

/* inside a scope: what the rows of a statement show */
static void
take_rows(const MlMonitor *monitor, MlStatement *statement, const MlArguments *given, int active, MlSeen *seen)
{
	MlArguments args = *given;
	uint64		n = ml_statement_run(statement, &args);
	int64		row;

	if (monitor->measure->source == ML_WATCH_VOLUME)
	{
		seen->version = active;
		seen->n = ml_result_int8(0, 1);
		see_count(seen);
	}
	else if (monitor->measure->source == ML_WATCH_AGE)
	{
		if (n == 0)
			return;
		seen->version = ml_result_int(0, 1, 0);
		seen->value = ml_result_float(0, 2);
	}
	else if ((row = choose_row(monitor, active, n)) >= 0)
		see_row(monitor, (uint64) row, seen);
}

static void
see_nothing(MlSeen *seen)
{
	memset(seen, 0, sizeof(MlSeen));
	seen->value = seen->low = seen->high = NAN;
}

/* the log, or the serving statistics where they know of more calls */
static void
measure_calls(const MlMonitor *monitor, TimestampTz since, TimestampTz until, MlSeen *seen)
{
	MlStatement *counts = counts_of(monitor);
	MlArguments args = {0};
	MlRegistryScope scope;
	MlSeen		counted;
	int			active;

	see_nothing(&counted);
	bind_period(monitor, since, until, &args);
	ml_registry_enter(&scope);
	active = active_version(monitor->model);
	take_rows(monitor, statement_of(monitor), &args, active, seen);
	if (counts != NULL)
		take_rows(monitor, counts, &args, active, &counted);
	ml_registry_leave(&scope);
	if (counted.n > seen->n)
		*seen = counted;
}

/* ---- outcomes ---- */

/* a metric of the model's task that costs little, for what is no metric */
static const char *
some_metric(const char *model)
{
	MlModelRow *row = ml_registry_model_row(model);
	const MlMetric *metric = row != NULL && row->task != NULL ? ml_metric_default((MlTask) ml_task_find(row->task)) : NULL;

	return metric != NULL ? metric->name : "accuracy";
}

/*
 * Outcomes that come after label_delay do not count, whenever it is asked: the same
 * period looks the same to a tick that is late. One row a version.
 */
static void
measure_outcomes(const MlMonitor *monitor, TimestampTz until, MlSeen *seen)
{
	static const char query[] =
		"SELECT r.version, CASE WHEN $6 THEN r.predictions ELSE r.n END, r.value, r.low, r.high, r.n "
		"FROM pg_catalog.mlops_performance($1, period => $2, label_delay => $3, as_of => $4, metrics => ARRAY[$5]) AS r "
		"WHERE r.role" EQ "'active' AND (r.metric" EQ "$5 OR r.n" EQ "0) ORDER BY r.version";
	bool		coverage = monitor->measure->source == ML_WATCH_COVERAGE;
	Oid			type[6] = {TEXTOID, INTERVALOID, INTERVALOID, TIMESTAMPTZOID, TEXTOID, BOOLOID};
	Datum		value[6] = {
		CStringGetTextDatum(monitor->model), IntervalPGetDatum(monitor->period), IntervalPGetDatum(monitor->label_delay),
		TimestampTzGetDatum(until + ml_watch_interval(monitor->label_delay)),
		CStringGetTextDatum(coverage ? some_metric(monitor->model) : monitor->what), BoolGetDatum(coverage)
	};
	MlRegistryScope scope;
	int			active;
	int64		row;

	ml_registry_enter(&scope);
	active = active_version(monitor->model);
	ml_registry_leave(&scope);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute_with_args(query, lengthof(type), type, value, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not measure model \"%s\"", monitor->model);
	row = choose_row(monitor, active, SPI_processed);
	if (row >= 0)
	{

		seen->version = ml_result_int(row, 1, 0);
		seen->n = ml_result_int8(row, 2);
		if (coverage)
			see_share((double) ml_result_int8(row, 6), seen);
		else
		{
			seen->value = ml_result_float(row, 3);
			seen->low = ml_result_float(row, 4);
			seen->high = ml_result_float(row, 5);
		}
	}
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
}

static bool
is_drift(const MlMonitor *monitor)
{
	return monitor->measure->source == ML_WATCH_DRIFT || monitor->measure->source == ML_WATCH_BROKEN ||
		monitor->measure->source == ML_WATCH_UNSEEN;
}

/* of the active version, which need not have been it then */
static void
measure_drift(const MlMonitor *monitor, TimestampTz until, MlSeen *seen)
{
	MlRegistryScope scope;

	ml_registry_enter(&scope);
	seen->version = active_version(monitor->model);
	ml_registry_leave(&scope);
	if (seen->version != 0)
		ml_monitor_measure_drift(monitor, until, seen);
}

void
ml_monitor_measure(const MlMonitor *monitor, TimestampTz until, MlSeen *seen)
{
	MlAuthored	what = {
		.what = psprintf("monitor \"%s\"", monitor->name),
		.model = monitor->model,
		.privilege = ML_PRIVILEGE_READ,
		.hint = "Set it again with mlops_set_monitor()."
	};
	MlAuthorScope scope;

	see_nothing(seen);
	ml_author_enter(&monitor->author, &what, &scope);
	if (monitor->measure->source == ML_WATCH_METRIC || monitor->measure->source == ML_WATCH_COVERAGE)
		measure_outcomes(monitor, until, seen);
	else if (is_drift(monitor))
		measure_drift(monitor, until, seen);
	else
		measure_calls(monitor, until - ml_watch_interval(monitor->period), until, seen);
	ml_author_leave(&scope);
}
