/*
 * monitor_drift.c
 *		What a monitor of drift sees: the share of what the active version looks at that has
 *		changed, or what has changed of a feature, in the logged calls of a period.
 *
 * mlops_drift() counts nothing that is not beyond chance and large, so that the value
 * needs no interval: 0 is nothing to tell.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "watch/monitor.h"

#define EQ " OPERATOR(pg_catalog.=) "

/* without a feature the prediction counts as much as all features, since their inputs may not be logged */
static const char query[] =
"SELECT s.version, pg_catalog.max(d.n) FILTER (WHERE d.verdict OPERATOR(pg_catalog.<>) 'unknown'), "
"pg_catalog.max(CASE WHEN d.verdict IN ('shifted', 'broken') THEN d.impact ELSE 0::pg_catalog.float8 END), "
"pg_catalog.string_agg(d.reason, '; ' ORDER BY d.role) FILTER (WHERE d.verdict IN ('shifted', 'broken')) "
"FROM mlops.serving AS s CROSS JOIN LATERAL pg_catalog.mlops_drift($1, period => $2, min_rows => $3, as_of => $4) AS d "
"WHERE s.model" EQ "$1 AND CASE WHEN $5 IS NULL THEN d.role IN ('all', 'prediction') "
"ELSE d.role" EQ "'feature' AND d.feature" EQ "$5 END GROUP BY s.version";

static void
see(MlSeen *seen, MemoryContext cxt)
{
	bool		isnull;
	Datum		rows = ml_result_datum(0, 2, &isnull);
	char	   *note;

	seen->version = ml_result_int(0, 1, 0);
	if (isnull)
		return;
	seen->n = DatumGetInt64(rows);
	seen->value = ml_result_float(0, 3);
	note = ml_result_text(0, 4);
	seen->note = note != NULL ? MemoryContextStrdup(cxt, note) : NULL;
}

void
ml_monitor_see_drift(const MlMonitor *monitor, TimestampTz until, MlSeen *seen)
{
	MemoryContext cxt = CurrentMemoryContext;
	Oid			type[] = {TEXTOID, INTERVALOID, INT4OID, TIMESTAMPTZOID, TEXTOID};
	Datum		value[] = {
		CStringGetTextDatum(monitor->model), IntervalPGetDatum(monitor->period),
		Int32GetDatum((int32) Min(monitor->min_rows, PG_INT32_MAX)), TimestampTzGetDatum(until),
		monitor->feature != NULL ? CStringGetTextDatum(monitor->feature) : (Datum) 0
	};
	char		null[lengthof(type) + 1] = "     ";

	null[4] = monitor->feature != NULL ? ' ' : 'n';
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute_with_args(query, lengthof(type), type, value, null, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not measure drift of model \"%s\"", monitor->model);
	if (SPI_processed > 0)
		see(seen, cxt);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
}
