/*
 * monitor_drift.c
 *		What a monitor sees of the inputs: mlops_drift of the period, against the
 *		rows that the active version was trained on.
 *
 * drift is the distance of a feature, 0 to 1 (Kolmogorov and Smirnov's for numbers,
 * total variation for categories), or the mean of all, weighted by their importance: of all and
 * not of those that have shifted, since what is mostly 0 has no usual spread.
 * broken is the number of features, and of predictions, that no population explains: a feed that
 * stops, a unit that changes, a category that vanishes. unseen_share is of values that training never saw.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "metric/interval.h"
#include "monitor/monitor.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define MOST_NAMED	5			/* features in a note */

/* columns of the query */
enum
{
	ROLE = 1, FEATURE, ROWS, DISTANCE, UNSEEN, IMPACT, VERDICT, REASON
};

static bool
is_text(uint64 row, int column, const char *value)
{
	char	   *text = ml_result_text(row, column);

	return text != NULL && strcmp(text, value) == 0;
}

static int64
rows_of(uint64 row)
{
	bool		isnull;
	Datum		value = ml_result_datum(row, ROWS, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

/* one feature */
static void
see_feature(const MlMonitor *monitor, uint64 row, MlSeen *seen, MemoryContext caller)
{
	char	   *reason = ml_result_text(row, REASON);

	seen->n = rows_of(row);
	switch (monitor->measure->source)
	{
		case ML_WATCH_DRIFT:
			seen->value = ml_result_float(row, DISTANCE);
			break;
		case ML_WATCH_UNSEEN:
			seen->value = ml_result_float(row, UNSEEN);
			if (!isnan(seen->value) && seen->n > 0)
				ml_wilson(seen->value, seen->n, &seen->low, &seen->high);
			break;
		default:
			seen->value = is_text(row, VERDICT, "broken");
			break;
	}
	if (reason != NULL)
		seen->note = MemoryContextStrdup(caller, reason);
}

/* all of them: the sum of their impacts, and those that are broken */
static void
see_all(const MlMonitor *monitor, uint64 n, MlSeen *seen, MemoryContext caller)
{
	StringInfoData broken;
	int			nbroken = 0;
	double		drift = NAN;
	bool		counts = monitor->measure->source == ML_WATCH_BROKEN;
	char	   *reason = NULL;

	initStringInfo(&broken);
	for (uint64 i = 0; i < n; i++)
	{
		if (is_text(i, ROLE, "all"))
		{
			seen->n = rows_of(i);
			reason = ml_result_text(i, REASON);
		}
		if (is_text(i, ROLE, "feature") && !isnan(ml_result_float(i, IMPACT)))
			drift = (isnan(drift) ? 0.0 : drift) + ml_result_float(i, IMPACT);
		if (!is_text(i, ROLE, "all") && !is_text(i, ROLE, "target") && is_text(i, VERDICT, "broken") && ++nbroken <= MOST_NAMED)
			appendStringInfo(&broken, "%s%s: %s", broken.len > 0 ? "; " : "", ml_result_text(i, FEATURE),
							 ml_result_text(i, REASON));
	}
	seen->value = counts ? nbroken : drift;
	if (counts && nbroken > 0)
		seen->note = MemoryContextStrdup(caller, broken.data);
	else if (!counts && reason != NULL)
		seen->note = MemoryContextStrdup(caller, reason);
}

static void
see_rows(const MlMonitor *monitor, uint64 n, MlSeen *seen, MemoryContext caller)
{
	if (monitor->feature == NULL)
	{
		see_all(monitor, n, seen, caller);
		return;
	}
	for (uint64 i = 0; i < n; i++)
		if (is_text(i, ROLE, "feature") && is_text(i, FEATURE, monitor->feature))
			see_feature(monitor, i, seen, caller);
}

void
ml_monitor_measure_drift(const MlMonitor *monitor, TimestampTz until, MlSeen *seen)
{
	static const char query[] =
		"SELECT r.role, r.feature, r.n, COALESCE(r.ks, r.tvd), r.unseen, r.impact, r.verdict, r.reason "
		"FROM pg_catalog.mlops_drift($1, period => $2, min_rows => $3, as_of => $4) AS r";
	MemoryContext caller = CurrentMemoryContext;
	Oid			type[4] = {TEXTOID, INTERVALOID, INT4OID, TIMESTAMPTZOID};
	Datum		value[4] = {
		CStringGetTextDatum(monitor->model), IntervalPGetDatum(monitor->period),
		Int32GetDatum((int32) Min(monitor->min_rows, PG_INT32_MAX)), TimestampTzGetDatum(until)
	};

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute_with_args(query, lengthof(type), type, value, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not compare the inputs of model \"%s\"", monitor->model);
	see_rows(monitor, SPI_processed, seen, caller);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
}
