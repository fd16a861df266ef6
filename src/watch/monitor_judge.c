/*
 * monitor_judge.c
 *		The part of a tick that belongs to a monitor: what has ended is measured,
 *		judged and acted upon.
 *
 * Windows end at multiples of `every` since Monday, 3 January 2000, 0:00 UTC, so
 * that they do not depend on when anybody ticks; each is judged once, when its
 * label delay is over. What a late tick finds is judged in order, but acted on
 * only in the newest window. A new monitor without bounds looks back first.
 *
 * Whoever judges holds the lock on the model's clock. Another session does not
 * wait for it, and a tick whose time lies before the clock does nothing.
 *
 * An alert opens when `consecutive` windows in a row are bad, and is resolved
 * when as many are good: when the whole interval lies on the good side. While
 * it is open its bounds stay, and nothing is learned.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "watch/monitor.h"
#include "watch/watch.h"

#define EQ " OPERATOR(pg_catalog.=) "
#define MONDAY			(2 * USECS_PER_DAY)
#define KEPT_WINDOWS	400

typedef enum Verdict
{
	VERDICT_GOOD, VERDICT_BAD, VERDICT_UNCLEAR, VERDICT_LEARNING, VERDICT_NO_DATA, NVERDICTS
} Verdict;

static const char *const verdict_names[NVERDICTS] = {"good", "bad", "unclear", "learning", "no data"};

typedef struct Window
{
	TimestampTz until;
	MlSeen		seen;
	Verdict		verdict;
	int			alert;			/* 0: none */
	bool		unreal;			/* somebody said so of its alert */
} Window;

typedef struct Judgement
{
	MlMonitor  *monitor;
	TimestampTz as_of;
	TimestampTz newest;			/* end of the newest window */
	Window	   *window;			/* those before, oldest first, and those judged now */
	int			nwindows;
	MlAlert		alert;			/* the one that is open */
	double		minimum;		/* of the window at hand; NaN: none */
	double		maximum;
} Judgement;

static int64
every_of(const MlMonitor *monitor)
{
	return ml_watch_interval(monitor->every);
}

/* the newest end of a window whose outcomes are known by then */
static TimestampTz
newest_end(TimestampTz as_of, int64 label_delay, int64 every)
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

	return never || newest_end(as_of, delay, every) > DatumGetTimestampTz(judged);
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
	ml_bind_datum(&args, TIMESTAMPTZOID, TimestampTzGetDatum(as_of), false);
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

/* false: another session has it, or it is ahead of as_of, which is then in *clock */
static bool
take_clock(const char *model, TimestampTz as_of, TimestampTz *clock)
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
	bool		isnull;
	bool		taken;

	*clock = DT_NOBEGIN;
	ml_bind_text(&name, model);
	ml_bind_text(&args, model);
	ml_bind_datum(&args, TIMESTAMPTZOID, TimestampTzGetDatum(as_of), false);
	ml_registry_enter(&scope);
	make_clock(&name);
	taken = ml_statement_run(&lock, &name) > 0;
	if (taken)
		*clock = DatumGetTimestampTz(ml_result_datum(0, 1, &isnull));
	taken = taken && *clock <= as_of;
	if (taken)
		ml_statement_run(&update, &args);
	ml_registry_leave(&scope);
	return taken;
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

/* ---- windows that were judged before ---- */

static void
read_window(Judgement *judgement, uint64 row)
{
	Window	   *window = &judgement->window[judgement->nwindows++];
	char	   *verdict = ml_result_text(row, 7);
	bool		isnull;

	memset(window, 0, sizeof(Window));
	window->until = DatumGetTimestampTz(ml_result_datum(row, 1, &isnull));
	window->seen.value = ml_result_float(row, 2);
	window->seen.low = ml_result_float(row, 3);
	window->seen.high = ml_result_float(row, 4);
	window->seen.n = DatumGetInt64(ml_result_datum(row, 5, &isnull));
	window->seen.version = ml_result_int(row, 6, 0);
	for (int i = 0; i < NVERDICTS; i++)
		if (strcmp(verdict_names[i], verdict) == 0)
			window->verdict = (Verdict) i;
	window->alert = ml_result_int(row, 8, 0);
	window->unreal = DatumGetBool(ml_result_datum(row, 9, &isnull));
}

/* the newest ones, and room for more */
static void
read_windows(Judgement *judgement, int more)
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
	ml_bind_int8(&args, KEPT_WINDOWS);
	ml_registry_enter(&scope);
	n = (int) ml_statement_run(&select, &args);
	inside = MemoryContextSwitchTo(caller);
	judgement->window = palloc0(sizeof(Window) * (n + more));
	for (int i = n - 1; i >= 0; i--)
		read_window(judgement, (uint64) i);
	MemoryContextSwitchTo(inside);
	ml_registry_leave(&scope);
}

static void
write_window(const Judgement *judgement, const Window *window)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.monitor_period (model, monitor, until, since, value, low, high, n, version, minimum, maximum, "
		"verdict, alert, note) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
	};
	const MlMonitor *monitor = judgement->monitor;
	const MlSeen *seen = &window->seen;
	MlArguments args = {0};
	MlRegistryScope scope;

	ml_bind_text(&args, monitor->model);
	ml_bind_text(&args, monitor->name);
	ml_bind_datum(&args, TIMESTAMPTZOID, TimestampTzGetDatum(window->until), false);
	ml_bind_datum(&args, TIMESTAMPTZOID, TimestampTzGetDatum(window->until - ml_watch_interval(monitor->period)), false);
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
	ml_registry_enter(&scope);
	ml_statement_run(&insert, &args);
	ml_registry_leave(&scope);
}

/* the windows that made an alert open */
static void
mark_windows(const Judgement *judgement, TimestampTz from)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.monitor_period SET alert = $4 WHERE model" EQ "$1 AND monitor" EQ "$2 "
		"AND until OPERATOR(pg_catalog.>=) $3 AND verdict" EQ "'bad' AND alert IS NULL"
	};
	MlArguments args = {0};
	MlRegistryScope scope;

	ml_bind_text(&args, judgement->monitor->model);
	ml_bind_text(&args, judgement->monitor->name);
	ml_bind_datum(&args, TIMESTAMPTZOID, TimestampTzGetDatum(from), false);
	ml_bind_int(&args, judgement->alert.number);
	ml_registry_enter(&scope);
	ml_statement_run(&update, &args);
	ml_registry_leave(&scope);
}

static void
prune_windows(const Judgement *judgement)
{
	static MlStatement delete = {
		"DELETE FROM mlops_catalog.monitor_period WHERE model" EQ "$1 AND monitor" EQ "$2 AND until OPERATOR(pg_catalog.<) $3"
	};
	MlArguments args = {0};
	MlRegistryScope scope;

	ml_bind_text(&args, judgement->monitor->model);
	ml_bind_text(&args, judgement->monitor->name);
	ml_bind_datum(&args, TIMESTAMPTZOID,
				  TimestampTzGetDatum(judgement->newest - KEPT_WINDOWS * every_of(judgement->monitor)), false);
	ml_registry_enter(&scope);
	ml_statement_run(&delete, &args);
	ml_registry_leave(&scope);
}

/* ---- bounds ---- */

/* does a window say what is usual? */
static bool
is_usual(const Judgement *judgement, const Window *window, int version)
{
	if (isnan(window->seen.value) || window->verdict == VERDICT_NO_DATA)
		return false;
	if (judgement->monitor->measure->of_version && window->seen.version != version)
		return false;
	return window->alert == 0 || window->unreal;
}

/* those of the window at hand, which is the last; the number of windows that there are to learn from */
static int
learn_bounds(Judgement *judgement)
{
	MlPast		past[ML_LEARN_MOST];
	int			version = judgement->window[judgement->nwindows - 1].seen.version;
	int			n = 0;

	for (int i = judgement->nwindows - 2; i >= 0 && n < ML_LEARN_MOST; i--)
	{
		const Window *window = &judgement->window[i];

		if (!is_usual(judgement, window, version))
			continue;
		past[n].value = window->seen.value;
		past[n].error = (window->seen.high - window->seen.low) / (2 * 1.96);
		past[n].n = window->seen.n;
		past[n++].kept = window->unreal;
	}
	(void) ml_bound_propose(judgement->monitor->measure, past, n, &judgement->minimum, &judgement->maximum);
	return n;
}

static Verdict
compare(const Judgement *judgement, const MlSeen *seen)
{
	double		low = isnan(seen->low) ? seen->value : seen->low;
	double		high = isnan(seen->high) ? seen->value : seen->high;

	/* no comparison with NaN holds */
	if (high < judgement->minimum || low > judgement->maximum)
		return VERDICT_BAD;
	return low < judgement->minimum || high > judgement->maximum ? VERDICT_UNCLEAR : VERDICT_GOOD;
}

static bool
has_bounds(const MlMonitor *monitor)
{
	return !isnan(monitor->minimum) || !isnan(monitor->maximum);
}

static Verdict
judge(Judgement *judgement, bool history)
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
		return VERDICT_NO_DATA;
	}
	if (history)
		return VERDICT_LEARNING;
	if (learns && judgement->alert.number == 0)
	{
		n = learn_bounds(judgement);
		if (isnan(judgement->minimum) && isnan(judgement->maximum))
		{
			seen->note = psprintf("%d of %d earlier periods to learn from", n, ML_LEARN_LEAST);
			return VERDICT_LEARNING;
		}
	}
	return compare(judgement, seen);
}

/* ---- alerts ---- */

/* the number of windows up to the last with this verdict, those without data aside; *from: end of the first */
static int
run_length(const Judgement *judgement, Verdict verdict, TimestampTz *from)
{
	int			n = 0;

	*from = DT_NOEND;
	for (int i = judgement->nwindows - 1; i >= 0; i--)
	{
		const Window *window = &judgement->window[i];

		if (window->verdict == VERDICT_NO_DATA)
			continue;
		if (window->verdict != verdict || (verdict == VERDICT_BAD && window->alert != 0))
			break;
		*from = window->until;
		n++;
	}
	return n;
}

static void
act(Judgement *judgement, const Window *window)
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
open_alert(Judgement *judgement, Window *window)
{
	const MlMonitor *monitor = judgement->monitor;
	TimestampTz from;

	if (run_length(judgement, VERDICT_BAD, &from) < monitor->consecutive)
		return;
	judgement->alert.minimum = judgement->minimum;
	judgement->alert.maximum = judgement->maximum;
	judgement->alert.muted = judgement->alert.acted = false;
	ml_alert_open(monitor, &window->seen, window->until - ml_watch_interval(monitor->period), window->until,
				  judgement->as_of, &judgement->alert);
	mark_windows(judgement, from);
	for (int i = 0; i < judgement->nwindows; i++)
		if (judgement->window[i].until >= from && judgement->window[i].verdict == VERDICT_BAD)
			judgement->window[i].alert = judgement->alert.number;
	ereport(WARNING,
			(errmsg("alert %d of model \"%s\": monitor \"%s\"", judgement->alert.number, monitor->model, monitor->name),
			 errdetail_internal("%s.", ml_monitor_words(monitor, &window->seen, judgement->minimum, judgement->maximum))));
	act(judgement, window);
}

static void
close_alert(Judgement *judgement)
{
	const MlMonitor *monitor = judgement->monitor;
	TimestampTz from;

	if (run_length(judgement, VERDICT_GOOD, &from) < monitor->consecutive)
		return;
	ml_alert_close(monitor->model, judgement->alert.number, NULL, judgement->as_of, NULL);
	ereport(NOTICE,
			(errmsg("alert %d of model \"%s\" is resolved: monitor \"%s\" sees what is usual",
					judgement->alert.number, monitor->model, monitor->name)));
	judgement->alert.number = 0;
}

/* an alert about what a version does ends when another one is seen */
static void
leave_alert(Judgement *judgement, const MlSeen *seen)
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
judge_window(Judgement *judgement, TimestampTz until, bool history)
{
	Window	   *window = &judgement->window[judgement->nwindows++];

	memset(window, 0, sizeof(Window));
	window->until = until;
	ml_monitor_measure(judgement->monitor, until, &window->seen);
	leave_alert(judgement, &window->seen);
	window->verdict = judge(judgement, history);
	/* what lies within an alert teaches nothing */
	if (judgement->alert.number != 0 && window->verdict != VERDICT_GOOD)
		window->alert = judgement->alert.number;
	write_window(judgement, window);
	if (judgement->alert.number == 0 && window->verdict == VERDICT_BAD)
		open_alert(judgement, window);
	else if (judgement->alert.number != 0 && window->verdict == VERDICT_BAD)
		act(judgement, window);
	else if (judgement->alert.number != 0 && window->verdict == VERDICT_GOOD)
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
	ml_bind_datum(&args, TIMESTAMPTZOID, TimestampTzGetDatum(since), false);
	ml_registry_enter(&scope);
	ml_statement_run(&select, &args);
	value = ml_result_datum(0, 1, &isnull);
	first = isnull ? DT_NOEND : DatumGetTimestampTz(value);
	ml_registry_leave(&scope);
	return first;
}

/* the end of the first window to be judged */
static TimestampTz
first_end(const Judgement *judgement)
{
	const MlMonitor *monitor = judgement->monitor;
	int64		every = every_of(monitor);
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
	return Min(newest_end(called, 0, every) + 2 * every, judgement->newest);
}

void
ml_monitor_judge(const char *model, const char *name, TimestampTz as_of)
{
	Judgement	judgement = {.as_of = as_of};
	TimestampTz clock;
	TimestampTz first;
	MlMonitor  *monitor;
	int64		every;

	if (!take_clock(model, as_of, &clock))
	{
		if (clock > as_of)
			tell_stepped_back(model, as_of, clock);
		return;
	}
	monitor = name != NULL ? ml_monitor_row(model, name) : NULL;
	if (monitor == NULL)
		return;
	judgement.monitor = monitor;
	monitor->measure = ml_measure_require(model, monitor->what);
	if (strcmp(name, ML_MONITOR_SLO) == 0)
		monitor->author.role = ml_registry_model_row(model)->owner;	/* whoever that is now */
	every = every_of(monitor);
	judgement.newest = newest_end(as_of, ml_watch_interval(monitor->label_delay), every);
	if (monitor->judged_until >= judgement.newest)
		return;
	first = first_end(&judgement);
	read_windows(&judgement, (int) ((judgement.newest - first) / every) + 1);
	ml_alert_find(monitor, as_of, &judgement.alert);
	for (TimestampTz until = first; until <= judgement.newest; until += every)
	{
		CHECK_FOR_INTERRUPTS();
		judge_window(&judgement, until, monitor->judged_until == DT_NOBEGIN && until < judgement.newest);
	}
	ml_monitor_judged(monitor, judgement.newest);
	prune_windows(&judgement);
}
