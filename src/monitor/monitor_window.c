/*
 * monitor_window.c
 *		The rows of windows: what a monitor saw before, and what it sees now.
 */
#include "postgres.h"

#include "log/log.h"
#include "monitor/judgement.h"
#include "registry/registry_catalog.h"
#include "utils/timestamp.h"

#define EQ " OPERATOR(pg_catalog.=) "

static const char *const verdict_names[ML_NWINDOW_VERDICTS] = {"good", "bad", "unclear", "learning", "no data"};

static void
read_window(MlJudgement *judgement, uint64 row)
{
	MlWindow	   *window = &judgement->window[judgement->nwindows++];
	char	   *verdict = ml_result_text(row, 7);

	memset(window, 0, sizeof(MlWindow));
	window->until = ml_result_time(row, 1);
	window->seen.value = ml_result_float(row, 2);
	window->seen.low = ml_result_float(row, 3);
	window->seen.high = ml_result_float(row, 4);
	window->seen.n = ml_result_int8(row, 5);
	window->seen.version = ml_result_int(row, 6, 0);
	for (int i = 0; i < ML_NWINDOW_VERDICTS; i++)
		if (strcmp(verdict_names[i], verdict) == 0)
			window->verdict = (MlWindowVerdict) i;
	window->alert = ml_result_int(row, 8, 0);
	window->unreal = ml_result_bool(row, 9);
}

void
ml_windows_read(MlJudgement *judgement, int more)
{
	static MlStatement select = {
		"SELECT p.until, p.value, p.low, p.high, p.n, p.version, p.verdict, p.alert, NOT COALESCE(a.is_real, true) "
		"FROM mlops_catalog.monitor_period AS p LEFT JOIN mlops_catalog.alert AS a ON a.model" EQ "p.model AND a.number" EQ "p.alert "
		"WHERE p.model" EQ "$1 AND p.monitor" EQ "$2 ORDER BY p.until DESC LIMIT $3"
	};
	MemoryContext caller = CurrentMemoryContext;
	MlArguments args = {0};
	MlRegistryScope scope;
	MemoryContext inside;
	int			n;

	ml_bind_text(&args, judgement->monitor->model);
	ml_bind_text(&args, judgement->monitor->name);
	ml_bind_int8(&args, ML_KEPT_WINDOWS);
	ml_registry_enter(&scope);
	n = (int) ml_statement_run(&select, &args);
	inside = MemoryContextSwitchTo(caller);
	judgement->window = palloc0(sizeof(MlWindow) * (n + more));
	for (int i = n - 1; i >= 0; i--)
		read_window(judgement, (uint64) i);
	MemoryContextSwitchTo(inside);
	ml_registry_leave(&scope);
}

void
ml_window_write(const MlJudgement *judgement, const MlWindow *window)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.monitor_period (model, monitor, until, since, value, low, high, n, version, minimum, maximum, "
		"verdict, alert, note) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
	};
	const MlMonitor *monitor = judgement->monitor;
	const MlSeen *seen = &window->seen;
	MlArguments args = {0};

	ml_bind_text(&args, monitor->model);
	ml_bind_text(&args, monitor->name);
	ml_bind_time(&args, window->until);
	ml_bind_time(&args, window->until - ml_watch_interval(monitor->period));
	ml_bind_float(&args, seen->value);
	ml_bind_float(&args, seen->low);
	ml_bind_float(&args, seen->high);
	ml_bind_int8(&args, seen->n);
	ml_bind_int_or_null(&args, seen->version, seen->version == 0);
	ml_bind_float(&args, judgement->minimum);
	ml_bind_float(&args, judgement->maximum);
	ml_bind_text(&args, verdict_names[window->verdict]);
	ml_bind_int_or_null(&args, window->alert, window->alert == 0);
	ml_bind_text(&args, seen->note);
	ml_registry_run(&insert, &args);
}

/* the windows that made an alert open */
void
ml_windows_mark(MlJudgement *judgement, TimestampTz from)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.monitor_period SET alert = $4 WHERE model" EQ "$1 AND monitor" EQ "$2 "
		"AND until OPERATOR(pg_catalog.>=) $3 AND verdict" EQ "'bad' AND alert IS NULL"
	};
	MlArguments args = {0};

	ml_bind_text(&args, judgement->monitor->model);
	ml_bind_text(&args, judgement->monitor->name);
	ml_bind_time(&args, from);
	ml_bind_int(&args, judgement->alert.number);
	ml_registry_run(&update, &args);
	for (int i = 0; i < judgement->nwindows; i++)
		if (judgement->window[i].until >= from && judgement->window[i].verdict == ML_WINDOW_BAD)
			judgement->window[i].alert = judgement->alert.number;
}

void
ml_windows_prune(const MlJudgement *judgement)
{
	static MlStatement delete = {
		"DELETE FROM mlops_catalog.monitor_period WHERE model" EQ "$1 AND monitor" EQ "$2 AND until OPERATOR(pg_catalog.<) $3"
	};
	MlArguments args = {0};

	ml_bind_text(&args, judgement->monitor->model);
	ml_bind_text(&args, judgement->monitor->name);
	ml_bind_time(&args, judgement->newest - ML_KEPT_WINDOWS * ml_monitor_every(judgement->monitor));
	ml_registry_run(&delete, &args);
}
