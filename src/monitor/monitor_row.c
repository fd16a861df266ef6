/*
 * monitor_row.c
 *		The rows of monitors.
 */
#include "postgres.h"

#include "attempt.h"
#include "monitor/monitor.h"
#include "registry/registry_catalog.h"
#include "utils/timestamp.h"

#define EQ " OPERATOR(pg_catalog.=) "

const char *const ml_action_names[ML_NACTIONS] = {
	[ML_ACTION_ALERT] = "alert",
	[ML_ACTION_ROLLBACK] = "rollback",
	[ML_ACTION_FALLBACK] = "fallback",
	[ML_ACTION_RETRAIN] = "retrain"
};

/* ---- reading ---- */

MlMonitorAction
ml_action_find(const char *name)
{
	for (int i = 0; i < ML_NACTIONS; i++)
		if (strcmp(ml_action_names[i], name) == 0)
			return (MlMonitorAction) i;
	elog(ERROR, "unknown action \"%s\" of a monitor", name);
	pg_unreachable();
}

static MlMonitor *
read_monitor(const char *model, const char *name)
{
	MlMonitor  *monitor = palloc0(sizeof(MlMonitor));
	bool		isnull;

	monitor->model = pstrdup(model);
	monitor->name = pstrdup(name);
	monitor->what = ml_result_text(0, 1);
	monitor->feature = ml_result_text(0, 2);
	monitor->minimum = ml_result_float(0, 3);
	monitor->maximum = ml_result_float(0, 4);
	monitor->period = ml_result_interval(0, 5);
	monitor->every = ml_result_interval(0, 6);
	monitor->label_delay = ml_result_interval(0, 7);
	monitor->min_rows = ml_result_int8(0, 8);
	monitor->consecutive = ml_result_int(0, 9, 1);
	monitor->action = ml_action_find(ml_result_text(0, 10));
	monitor->cooldown = ml_result_interval(0, 11);
	ml_author_read(&monitor->author, ml_result_text(0, 12), DatumGetJsonbPCopy(ml_result_datum(0, 13, &isnull)));
	monitor->judged_until = ml_result_time(0, 14);
	monitor->acted_until = ml_result_time(0, 15);
	return monitor;
}

MlMonitor *
ml_monitor_row(const char *model, const char *name)
{
	static MlStatement select = {
		"SELECT what, feature, minimum, maximum, period, every, label_delay, min_rows, consecutive, action, cooldown, "
		"author, settings, judged_until, acted_until FROM mlops_catalog.monitor WHERE model" EQ "$1 AND name" EQ "$2"
	};
	MemoryContext caller = CurrentMemoryContext;
	MlMonitor  *monitor = NULL;
	MlArguments args = {0};
	MlRegistryScope scope;

	ml_bind_text(&args, model);
	ml_bind_text(&args, name);
	ml_registry_enter(&scope);
	if (ml_statement_run(&select, &args) > 0)
	{
		MemoryContext inside = MemoryContextSwitchTo(caller);

		monitor = read_monitor(model, name);
		MemoryContextSwitchTo(inside);
	}
	ml_registry_leave(&scope);
	return monitor;
}

List *
ml_monitor_names(const char *model)
{
	static MlStatement select = {
		"SELECT name FROM mlops_catalog.monitor WHERE model" EQ "$1 ORDER BY name"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	return ml_registry_texts(&select, &args);
}

/* ---- writing ---- */

static void
run_on_monitor(MlStatement *statement, const char *model, const char *name)
{
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_text(&args, name);
	ml_statement_run(statement, &args);
}

void
ml_monitor_put(const MlMonitor *monitor)
{
	static MlStatement upsert = {
		"INSERT INTO mlops_catalog.monitor (model, name, what, feature, minimum, maximum, period, every, label_delay, "
		"min_rows, consecutive, action, cooldown, author, settings) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) "
		"ON CONFLICT (model, name) DO UPDATE SET what = EXCLUDED.what, feature = EXCLUDED.feature, "
		"minimum = EXCLUDED.minimum, maximum = EXCLUDED.maximum, period = EXCLUDED.period, every = EXCLUDED.every, "
		"label_delay = EXCLUDED.label_delay, min_rows = EXCLUDED.min_rows, consecutive = EXCLUDED.consecutive, "
		"action = EXCLUDED.action, cooldown = EXCLUDED.cooldown, author = EXCLUDED.author, "
		"settings = EXCLUDED.settings, set_at = pg_catalog.clock_timestamp(), acted_until = NULL, error = NULL, "
		"error_at = NULL"
	};
	MlArguments args = {0};

	ml_bind_text(&args, monitor->model);
	ml_bind_text(&args, monitor->name);
	ml_bind_text(&args, monitor->what);
	ml_bind_text(&args, monitor->feature);
	ml_bind_float(&args, monitor->minimum);
	ml_bind_float(&args, monitor->maximum);
	ml_bind_interval(&args, monitor->period);
	ml_bind_interval(&args, monitor->every);
	ml_bind_interval(&args, monitor->label_delay);
	ml_bind_int8(&args, monitor->min_rows);
	ml_bind_int(&args, monitor->consecutive);
	ml_bind_text(&args, ml_action_names[monitor->action]);
	ml_bind_interval(&args, monitor->cooldown);
	ml_bind_text(&args, monitor->author.role);
	ml_bind_jsonb(&args, ml_author_settings_json(&monitor->author));
	ml_registry_run(&upsert, &args);
}

void
ml_monitor_forget(const char *model, const char *name)
{
	static MlStatement delete_periods = {
		"DELETE FROM mlops_catalog.monitor_period WHERE model" EQ "$1 AND monitor" EQ "$2"
	};
	static MlStatement begin_again = {
		"UPDATE mlops_catalog.monitor SET judged_until = NULL WHERE model" EQ "$1 AND name" EQ "$2"
	};
	MlRegistryScope scope;

	ml_registry_enter(&scope);
	run_on_monitor(&delete_periods, model, name);
	run_on_monitor(&begin_again, model, name);
	ml_registry_leave(&scope);
}

bool
ml_monitor_delete(const char *model, const char *name)
{
	static MlStatement delete = {
		"DELETE FROM mlops_catalog.monitor WHERE model" EQ "$1 AND name" EQ "$2"
	};
	MlRegistryScope scope;
	bool		found;

	ml_registry_enter(&scope);
	run_on_monitor(&delete, model, name);
	found = SPI_processed > 0;
	ml_registry_leave(&scope);
	if (found)
		ml_monitor_forget(model, name);
	return found;
}

static void
set_time(MlStatement *update, const MlMonitor *monitor, TimestampTz at)
{
	MlArguments args = {0};

	ml_bind_text(&args, monitor->model);
	ml_bind_text(&args, monitor->name);
	ml_bind_time(&args, at);
	ml_registry_run(update, &args);
}

void
ml_monitor_judged(const MlMonitor *monitor, TimestampTz until)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.monitor SET judged_until = $3, error = NULL, error_at = NULL "
		"WHERE model" EQ "$1 AND name" EQ "$2"
	};

	set_time(&update, monitor, until);
}

void
ml_monitor_acted(const MlMonitor *monitor, TimestampTz until)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.monitor SET acted_until = $3 WHERE model" EQ "$1 AND name" EQ "$2"
	};

	set_time(&update, monitor, until);
}

void
ml_monitor_failed(const char *model, const char *name, const ErrorData *error)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.monitor SET error = $3, error_at = pg_catalog.clock_timestamp() "
		"WHERE model" EQ "$1 AND name" EQ "$2"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_text(&args, name);
	ml_bind_text(&args, error->message);
	ml_registry_run(&update, &args);
	ml_attempt_warn(error, psprintf("monitor \"%s\" of model \"%s\" could not look", name, model));
}
