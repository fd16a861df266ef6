/*
 * monitor_judge.c
 *		The part of a tick that belongs to a monitor: what has ended is measured,
 *		judged and acted upon.
 *
 * Each window is judged once, when its label delay is over. What a late tick
 * finds is judged in order, but acted on only in the newest window. A new
 * monitor without bounds looks back first.
 *
 * An alert opens when `consecutive` windows in a row are bad, and is resolved
 * when as many are good: when the whole interval lies on the good side. While
 * it is open its bounds stay, and nothing is learned.
 */
#include "postgres.h"

#include <math.h>

#include "log/log.h"
#include "metric/interval.h"
#include "miscadmin.h"
#include "monitor/judgement.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define EQ " OPERATOR(pg_catalog.=) "

/* ---- bounds ---- */

/* does a window say what is usual? */
static bool
is_usual(const MlJudgement *judgement, const MlWindow *window, int version)
{
	if (isnan(window->seen.value) || window->verdict == ML_WINDOW_NO_DATA)
		return false;
	if (judgement->monitor->measure->of_version && window->seen.version != version)
		return false;
	return window->alert == 0 || window->unreal;
}

/* those of the window at hand, which is the last; the number of windows that there are to learn from */
static int
learn_bounds(MlJudgement *judgement)
{
	MlPast		past[ML_LEARN_MOST];
	int			version = judgement->window[judgement->nwindows - 1].seen.version;
	int			n = 0;

	for (int i = judgement->nwindows - 2; i >= 0 && n < ML_LEARN_MOST; i--)
	{
		const MlWindow *window = &judgement->window[i];

		if (!is_usual(judgement, window, version))
			continue;
		past[n].value = window->seen.value;
		past[n].error = (window->seen.high - window->seen.low) / (2 * ML_NORMAL_975);
		past[n].n = window->seen.n;
		past[n++].kept = window->unreal;
	}
	(void) ml_bound_propose(judgement->monitor->measure, past, n, &judgement->minimum, &judgement->maximum);
	return n;
}

static MlWindowVerdict
compare(const MlJudgement *judgement, const MlSeen *seen)
{
	double		low = isnan(seen->low) ? seen->value : seen->low;
	double		high = isnan(seen->high) ? seen->value : seen->high;

	/* no comparison with NaN holds */
	if (high < judgement->minimum || low > judgement->maximum)
		return ML_WINDOW_BAD;
	return low < judgement->minimum || high > judgement->maximum ? ML_WINDOW_UNCLEAR : ML_WINDOW_GOOD;
}

static bool
has_bounds(const MlMonitor *monitor)
{
	return !isnan(monitor->minimum) || !isnan(monitor->maximum);
}

static MlWindowVerdict
judge(MlJudgement *judgement, bool history)
{
	const MlMonitor *monitor = judgement->monitor;
	MlSeen	   *seen = &judgement->window[judgement->nwindows - 1].seen;
	bool		learns = !has_bounds(monitor);
	int			n;

	judgement->minimum = judgement->alert.number != 0 ? judgement->alert.minimum : monitor->minimum;
	judgement->maximum = judgement->alert.number != 0 ? judgement->alert.maximum : monitor->maximum;
	if (isnan(seen->value) || (!monitor->measure->counts && seen->n < monitor->min_rows))
	{
		if (seen->note == NULL)
			seen->note = psprintf(INT64_FORMAT " rows, and " INT64_FORMAT " are needed", seen->n, monitor->min_rows);
		return ML_WINDOW_NO_DATA;
	}
	if (history)
		return ML_WINDOW_LEARNING;
	if (learns && judgement->alert.number == 0)
	{
		n = learn_bounds(judgement);
		if (isnan(judgement->minimum) && isnan(judgement->maximum))
		{
			seen->note = psprintf("%d of %d earlier periods to learn from", n, ML_LEARN_LEAST);
			return ML_WINDOW_LEARNING;
		}
	}
	return compare(judgement, seen);
}

/* ---- alerts ---- */

/* the number of windows up to the last with this verdict, those without data aside; *from: end of the first */
static int
run_length(const MlJudgement *judgement, MlWindowVerdict verdict, TimestampTz *from)
{
	int			n = 0;

	*from = DT_NOEND;
	for (int i = judgement->nwindows - 1; i >= 0; i--)
	{
		const MlWindow *window = &judgement->window[i];

		if (window->verdict == ML_WINDOW_NO_DATA)
			continue;
		if (window->verdict != verdict || (verdict == ML_WINDOW_BAD && window->alert != 0))
			break;
		*from = window->until;
		n++;
	}
	return n;
}

static void
act(MlJudgement *judgement, const MlWindow *window)
{
	MlMonitor  *monitor = judgement->monitor;
	char	   *words = ml_monitor_words(monitor, &window->seen, judgement->minimum, judgement->maximum);
	MlDeed		deed;

	if (monitor->action == ML_ACTION_ALERT || judgement->alert.muted || window->until != judgement->newest ||
		judgement->as_of < monitor->acted_until)
		return;
	ml_monitor_act(monitor, &window->seen,
				   psprintf("alert %d of monitor \"%s\": %s", judgement->alert.number, monitor->name, words),
				   judgement->as_of, &deed);
	/* once is enough to say that there is nothing to do */
	if (!deed.tried && judgement->alert.acted)
		return;
	if (deed.tried)
	{
		monitor->acted_until = judgement->as_of + ml_watch_interval(monitor->cooldown);
		ml_monitor_acted(monitor, monitor->acted_until);
	}
	judgement->alert.acted = true;
	ml_alert_done(monitor->model, judgement->alert.number, deed.words, deed.made, judgement->as_of);
	ereport(WARNING,
			(errmsg("monitor \"%s\" of model \"%s\": %s", monitor->name, monitor->model, deed.words),
			 errdetail("Alert %d: %s.", judgement->alert.number, words)));
}

static void
open_alert(MlJudgement *judgement, MlWindow *window)
{
	const MlMonitor *monitor = judgement->monitor;
	TimestampTz from;

	if (run_length(judgement, ML_WINDOW_BAD, &from) < monitor->consecutive)
		return;
	judgement->alert.minimum = judgement->minimum;
	judgement->alert.maximum = judgement->maximum;
	judgement->alert.muted = judgement->alert.acted = false;
	ml_alert_open(monitor, &window->seen, window->until - ml_watch_interval(monitor->period), window->until,
				  judgement->as_of, &judgement->alert);
	ml_windows_mark(judgement, from);
	ereport(WARNING,
			(errmsg("alert %d of model \"%s\": monitor \"%s\"", judgement->alert.number, monitor->model, monitor->name),
			 errdetail_internal("%s.", ml_monitor_words(monitor, &window->seen, judgement->minimum, judgement->maximum))));
	act(judgement, window);
}

static void
close_alert(MlJudgement *judgement)
{
	const MlMonitor *monitor = judgement->monitor;
	TimestampTz from;

	if (run_length(judgement, ML_WINDOW_GOOD, &from) < monitor->consecutive)
		return;
	ml_alert_close(monitor->model, judgement->alert.number, NULL, judgement->as_of, NULL);
	ereport(NOTICE,
			(errmsg("alert %d of model \"%s\" is resolved: monitor \"%s\" sees what is usual",
					judgement->alert.number, monitor->model, monitor->name)));
	judgement->alert.number = 0;
}

/* an alert about what a version does ends when another one is seen */
static void
leave_alert(MlJudgement *judgement, const MlSeen *seen)
{
	const MlMonitor *monitor = judgement->monitor;

	if (judgement->alert.number == 0 || !monitor->measure->of_version || seen->version == 0 ||
		seen->version == judgement->alert.version)
		return;
	ml_alert_close(monitor->model, judgement->alert.number, NULL, judgement->as_of,
				   psprintf("version %d was seen then; version %d is now", judgement->alert.version, seen->version));
	judgement->alert.number = 0;
}

static void
judge_window(MlJudgement *judgement, TimestampTz until, bool history)
{
	MlWindow	   *window = &judgement->window[judgement->nwindows++];

	memset(window, 0, sizeof(MlWindow));
	window->until = until;
	ml_monitor_measure(judgement->monitor, until, &window->seen);
	leave_alert(judgement, &window->seen);
	window->verdict = judge(judgement, history);
	/* what lies within an alert teaches nothing */
	if (judgement->alert.number != 0 && window->verdict != ML_WINDOW_GOOD)
		window->alert = judgement->alert.number;
	ml_window_write(judgement, window);
	if (judgement->alert.number == 0 && window->verdict == ML_WINDOW_BAD)
		open_alert(judgement, window);
	else if (judgement->alert.number != 0 && window->verdict == ML_WINDOW_BAD)
		act(judgement, window);
	else if (judgement->alert.number != 0 && window->verdict == ML_WINDOW_GOOD)
		close_alert(judgement);
}

/* ---- the windows of a tick ---- */

/* the first call of the model that is logged after a moment */
static TimestampTz
first_call(const char *model, TimestampTz since)
{
	static MlStatement select = {
		"SELECT pg_catalog.min(p.at) FROM mlops_catalog.prediction AS p JOIN mlops_catalog.model AS m "
		"ON m.name" EQ "p.model AND m.created_at OPERATOR(pg_catalog.<=) p.at "
		"WHERE p.model" EQ "$1 AND p.at OPERATOR(pg_catalog.>=) $2"
	};
	MlArguments args = {0};
	MlRegistryScope scope;
	Datum		value;
	bool		isnull;
	TimestampTz first;

	ml_bind_text(&args, model);
	ml_bind_time(&args, since);
	ml_registry_enter(&scope);
	ml_statement_run(&select, &args);
	value = ml_result_datum(0, 1, &isnull);
	first = isnull ? DT_NOEND : DatumGetTimestampTz(value);
	ml_registry_leave(&scope);
	return first;
}

/* the end of the first window to be judged */
static TimestampTz
first_end(const MlJudgement *judgement)
{
	const MlMonitor *monitor = judgement->monitor;
	int64		every = ml_monitor_every(monitor);
	TimestampTz earliest = judgement->newest - (ML_LEARN_MOST - 1) * every;
	TimestampTz called;

	if (monitor->judged_until != DT_NOBEGIN)
		return Max(monitor->judged_until + every, earliest);
	if (has_bounds(monitor))
		return judgement->newest;
	called = first_call(monitor->model, earliest - every);
	if (called == DT_NOEND)
		return judgement->newest;
	/* whole windows only: half a one is not usual */
	return Min(ml_window_newest(called, 0, every) + 2 * every, judgement->newest);
}

void
ml_monitor_judge(const char *model, const char *name, TimestampTz as_of)
{
	MlJudgement	judgement = {.as_of = as_of};
	TimestampTz first;
	MlMonitor  *monitor;
	int64		every;

	if (!ml_monitor_take_clock(model, as_of))
		return;
	monitor = name != NULL ? ml_monitor_row(model, name) : NULL;
	if (monitor == NULL)
		return;
	judgement.monitor = monitor;
	monitor->measure = ml_measure_require(model, monitor->what);
	if (strcmp(name, ML_MONITOR_SLO) == 0)
		monitor->author.role = ml_registry_model_row(model)->owner;	/* whoever that is now */
	every = ml_monitor_every(monitor);
	judgement.newest = ml_window_newest(as_of, ml_watch_interval(monitor->label_delay), every);
	if (monitor->judged_until >= judgement.newest)
		return;
	first = first_end(&judgement);
	ml_windows_read(&judgement, (int) ((judgement.newest - first) / every) + 1);
	ml_alert_find(monitor, as_of, &judgement.alert);
	for (TimestampTz until = first; until <= judgement.newest; until += every)
	{
		CHECK_FOR_INTERRUPTS();
		judge_window(&judgement, until, monitor->judged_until == DT_NOBEGIN && until < judgement.newest);
	}
	ml_monitor_judged(monitor, judgement.newest);
	ml_windows_prune(&judgement);
}
