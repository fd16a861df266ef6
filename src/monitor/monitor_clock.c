/*
 * monitor_clock.c
 *		What monitors are due, and the clock of a model, which never goes back.
 *
 * Windows end at multiples of `every` since Monday, 3 January 2000, 0:00 UTC, so
 * that they do not depend on when anybody ticks. Whoever judges holds the lock
 * on the model's clock: another session does not wait for it, and a tick whose
 * time lies before the clock does nothing.
 */
#include "postgres.h"

#include "log/log.h"
#include "monitor/judgement.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define EQ " OPERATOR(pg_catalog.=) "
#define MONDAY			(2 * USECS_PER_DAY)

int64
ml_monitor_every(const MlMonitor *monitor)
{
	return ml_watch_interval(monitor->every);
}

TimestampTz
ml_window_newest(TimestampTz as_of, int64 label_delay, int64 every)
{
	int64		since = as_of - label_delay - MONDAY;
	int64		n = since / every - (since % every < 0);

	return n * every + MONDAY;
}

/* ---- what is due ---- */

static bool
is_due(uint64 row, TimestampTz as_of)
{
	bool		isnull;
	Datum		judged = ml_result_datum(row, 3, &isnull);
	bool		never = isnull;
	int64		every = ml_watch_interval(DatumGetIntervalP(ml_result_datum(row, 4, &isnull)));
	int64		delay = ml_watch_interval(DatumGetIntervalP(ml_result_datum(row, 5, &isnull)));

	return never || ml_window_newest(as_of, delay, every) > DatumGetTimestampTz(judged);
}

TimestampTz
ml_monitors_time(TimestampTz as_of)
{
	return Min(as_of, GetCurrentTimestamp());
}

/* a model whose clock is ahead is named once, without a monitor */
void
ml_monitors_due(TimestampTz as_of, List **models, List **names)
{
	static MlStatement select = {
		"SELECT m.model, m.name, m.judged_until, m.every, m.label_delay FROM mlops_catalog.monitor AS m "
		"LEFT JOIN mlops_catalog.monitor_clock AS c ON c.model" EQ "m.model "
		"WHERE c.as_of IS NULL OR c.as_of OPERATOR(pg_catalog.<=) $1 UNION ALL "
		"SELECT c.model, NULL, NULL, NULL, NULL FROM mlops_catalog.monitor_clock AS c "
		"WHERE c.as_of OPERATOR(pg_catalog.>) $1 AND EXISTS (SELECT FROM mlops_catalog.monitor AS m WHERE m.model" EQ "c.model) "
		"ORDER BY 1, 2"
	};
	MemoryContext caller = CurrentMemoryContext;
	MlArguments args = {0};
	MlRegistryScope scope;
	uint64		n;

	*models = *names = NIL;
	if (TIMESTAMP_IS_NOBEGIN(as_of))
		return;
	ml_bind_time(&args, as_of);
	ml_registry_enter(&scope);
	n = ml_statement_run(&select, &args);
	for (uint64 i = 0; i < n; i++)
	{
		char	   *name = ml_result_text(i, 2);
		MemoryContext inside;

		if (name != NULL && !is_due(i, as_of))
			continue;
		inside = MemoryContextSwitchTo(caller);
		*models = lappend(*models, ml_result_text(i, 1));
		*names = lappend(*names, name ? pstrdup(name) : NULL);
		MemoryContextSwitchTo(inside);
	}
	ml_registry_leave(&scope);
}

/* ---- the clock ---- */

/* inside a scope: a model gets its clock when it is needed */
static void
make_clock(MlArguments *model)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.monitor_clock (model, as_of) SELECT m.name, '-infinity' FROM mlops_catalog.model AS m "
		"WHERE m.name" EQ "$1 AND NOT EXISTS (SELECT FROM mlops_catalog.monitor_clock AS c WHERE c.model" EQ "$1) "
		"ON CONFLICT DO NOTHING"
	};

	ml_statement_run(&insert, model);
}

void
ml_monitor_lock(const char *model)
{
	static MlStatement lock = {
		"SELECT 1 FROM mlops_catalog.monitor_clock WHERE model" EQ "$1 FOR UPDATE"
	};
	MlArguments args = {0};
	MlRegistryScope scope;

	ml_bind_text(&args, model);
	ml_registry_enter(&scope);
	make_clock(&args);
	ml_statement_run(&lock, &args);
	ml_registry_leave(&scope);
}

static void
tell_stepped_back(const char *model, TimestampTz as_of, TimestampTz clock)
{
	ereport(NOTICE,
			(errmsg("monitors of model \"%s\" do not look: the clock stepped back", model),
			 errdetail("The tick is as of %s, and they have come to %s.", pstrdup(timestamptz_to_str(as_of)),
					   pstrdup(timestamptz_to_str(clock))),
			 errhint("They go on when time has come there again.")));
}

bool
ml_monitor_take_clock(const char *model, TimestampTz as_of)
{
	static MlStatement lock = {
		"SELECT as_of FROM mlops_catalog.monitor_clock WHERE model" EQ "$1 FOR UPDATE SKIP LOCKED"
	};
	static MlStatement update = {
		"UPDATE mlops_catalog.monitor_clock SET as_of = $2 WHERE model" EQ "$1"
	};
	MlArguments name = {0};
	MlArguments args = {0};
	MlRegistryScope scope;
	TimestampTz clock = DT_NOBEGIN;
	bool		taken;

	ml_bind_text(&name, model);
	ml_bind_text(&args, model);
	ml_bind_time(&args, as_of);
	ml_registry_enter(&scope);
	make_clock(&name);
	taken = ml_statement_run(&lock, &name) > 0;
	if (taken)
		clock = ml_result_time(0, 1);
	taken = taken && clock <= as_of;
	if (taken)
		ml_statement_run(&update, &args);
	ml_registry_leave(&scope);
	if (clock > as_of)
		tell_stepped_back(model, as_of, clock);
	return taken;
}
