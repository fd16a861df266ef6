/*
 * monitor_set.c
 *		mlops_set_monitor, mlops_drop_monitor and the monitors that every model
 *		should have.
 *
 * Whoever may train or promote sets monitors; one that rolls back needs
 * promote, one that trains needs train, since it acts as its author. It is
 * replaced or dropped by its author, or by the owner of the model: nobody else
 * takes away what guards a model.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "log/log.h"
#include "metric/metric.h"
#include "miscadmin.h"
#include "monitor/monitor.h"
#include "recipe/task.h"
#include "registry/registry_catalog.h"
#include "result.h"
#include "retrain/retraining.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(mlops_set_monitor);
PG_FUNCTION_INFO_V1(mlops_drop_monitor);
PG_FUNCTION_INFO_V1(mlops_set_default_monitors);

#define MAX_CONSECUTIVE	30
#define LONGEST			(3660 * USECS_PER_DAY)
#define MAX_MONITORS	200		/* of a model: each costs a query a period */

enum
{
	ARG_MODEL, ARG_NAME, ARG_WHAT, ARG_BOUND, ARG_PERIOD, ARG_MIN_ROWS, ARG_ACTION, ARG_FEATURE,
	ARG_MINIMUM, ARG_MAXIMUM, ARG_LABEL_DELAY, ARG_CONSECUTIVE, ARG_COOLDOWN, ARG_EVERY
};

static void
refuse(const MlMonitor *monitor, char *problem, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("monitor \"%s\" of model \"%s\" cannot be set", monitor->name, monitor->model),
			 errdetail("%s", problem),
			 errhint("%s", hint)));
}

/* ---- who may ---- */

void
ml_monitor_require_privilege(const char *model, MlMonitorAction action)
{
	Oid			user = GetUserId();

	if (action == ML_ACTION_ROLLBACK || action == ML_ACTION_FALLBACK)
		ml_privilege_require(model, ML_PRIVILEGE_PROMOTE);
	else if (action == ML_ACTION_RETRAIN || !ml_privilege_has(model, user, ML_PRIVILEGE_PROMOTE))
		ml_privilege_require(model, ML_PRIVILEGE_TRAIN);
}

/* 42501 unless the current user wrote it or owns the model */
static void
require_authorship(const MlMonitor *there, const char *verb)
{
	Oid			user = GetUserId();

	if (strcmp(there->author.role, GetUserNameFromId(user, false)) == 0 ||
		ml_privilege_has(there->model, user, ML_PRIVILEGE_OWNER))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to %s monitor \"%s\" of model \"%s\"", verb, there->name, there->model),
			 errdetail("Role \"%s\" set it.", there->author.role),
			 errhint("Its author and the owner of the model may; set one of another name.")));
}

/* ---- arguments ---- */

static double
number_argument(FunctionCallInfo fcinfo, int n, const MlMonitor *monitor, const char *name)
{
	double		value;

	if (PG_ARGISNULL(n))
		return NAN;
	value = PG_GETARG_FLOAT8(n);
	if (isnan(value))
		refuse(monitor, psprintf("Its %s is NaN, with which nothing can be compared.", name),
			   "Leave it out, or give the bound.");
	return value;
}

static Interval *
interval_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	ml_require_argument(fcinfo, n, name);
	return PG_GETARG_INTERVAL_P(n);
}

static MlMonitorAction
action_argument(const MlMonitor *monitor, const char *name)
{
	MlNearest	nearest;

	ml_nearest_begin(&nearest, name);
	for (int i = 0; i < ML_NACTIONS; i++)
	{
		if (strcmp(ml_action_names[i], name) == 0)
			return (MlMonitorAction) i;
		ml_nearest_offer(&nearest, ml_action_names[i]);
	}
	refuse(monitor, psprintf("Its action is \"%s\"; it is alert, rollback, fallback or retrain.", name),
		   nearest.best ? psprintf("Perhaps you meant \"%s\".", nearest.best) : "Leave it out for an alert alone.");
	pg_unreachable();
}

/* what has no interval must be bad twice in a row: once could be a blip */
static int
usual_consecutive(const MlMonitor *monitor)
{
	return Max(monitor->measure->consecutive, 1);
}

/* bound: the side is the measure's */
static void
take_bound(FunctionCallInfo fcinfo, MlMonitor *monitor)
{
	double		bound = number_argument(fcinfo, ARG_BOUND, monitor, "bound");

	monitor->minimum = number_argument(fcinfo, ARG_MINIMUM, monitor, "minimum");
	monitor->maximum = number_argument(fcinfo, ARG_MAXIMUM, monitor, "maximum");
	if (isnan(bound))
		return;
	if (!isnan(monitor->minimum) || !isnan(monitor->maximum))
		refuse(monitor, "It has a bound and a minimum or maximum.", "Give minimum and maximum only.");
	if (monitor->measure->bad == 0)
		refuse(monitor, psprintf("\"%s\" can be too low and too high, so that a bound does not say which.", monitor->what),
			   "Give minimum, maximum or both.");
	if (monitor->measure->bad < 0)
		monitor->minimum = bound;
	else
		monitor->maximum = bound;
}

static void
take_arguments(FunctionCallInfo fcinfo, MlMonitor *monitor)
{
	ml_require_argument(fcinfo, ARG_NAME, "name");
	ml_require_argument(fcinfo, ARG_WHAT, "what");
	ml_require_argument(fcinfo, ARG_MIN_ROWS, "min_rows");
	ml_require_argument(fcinfo, ARG_ACTION, "action");
	monitor->name = ml_argument_text(fcinfo, ARG_NAME);
	monitor->what = ml_argument_text(fcinfo, ARG_WHAT);
	monitor->feature = ml_argument_text(fcinfo, ARG_FEATURE);
	monitor->period = interval_argument(fcinfo, ARG_PERIOD, "period");
	monitor->every = PG_ARGISNULL(ARG_EVERY) ? monitor->period : PG_GETARG_INTERVAL_P(ARG_EVERY);
	monitor->label_delay = interval_argument(fcinfo, ARG_LABEL_DELAY, "label_delay");
	monitor->cooldown = interval_argument(fcinfo, ARG_COOLDOWN, "cooldown");
	monitor->min_rows = PG_GETARG_INT64(ARG_MIN_ROWS);
	monitor->action = action_argument(monitor, ml_argument_text(fcinfo, ARG_ACTION));
}

/* ---- what goes together ---- */

static void
check_times(const MlMonitor *monitor)
{
	int64		period = ml_watch_interval(monitor->period);
	int64		every = ml_watch_interval(monitor->every);

	if (period < USECS_PER_SEC)
		refuse(monitor, "Its period is shorter than a second.", "Give a length as in interval '1 day'.");
	if (every < USECS_PER_SEC || every > period)
		refuse(monitor, "It would look less often than once a period, or more often than once a second.",
			   "Leave every out to look once a period.");
	if (period > LONGEST || ml_watch_interval(monitor->label_delay) > LONGEST)
		refuse(monitor, "Its period or label_delay is longer than ten years.", "Give a length as in interval '1 day'.");
	if (ml_watch_interval(monitor->label_delay) < 0)
		refuse(monitor, "Its label_delay is negative.", "It is how long outcomes take.");
	if (ml_watch_interval(monitor->label_delay) > 0 && !ml_measure_has_outcomes(monitor->measure))
		refuse(monitor, psprintf("\"%s\" needs no outcomes, and no label_delay.", monitor->what), "Leave label_delay out.");
	if (ml_watch_interval(monitor->cooldown) < 0)
		refuse(monitor, "Its cooldown is negative.", "It is the time between two actions.");
	if (monitor->consecutive < 1 || monitor->consecutive > MAX_CONSECUTIVE)
		refuse(monitor, psprintf("Its consecutive is %d.", monitor->consecutive),
			   psprintf("So many periods in a row must be bad, 1 to %d.", MAX_CONSECUTIVE));
	if (monitor->min_rows < 1)
		refuse(monitor, psprintf("Its min_rows is " INT64_FORMAT ".", monitor->min_rows),
			   "Give 1 or more; the default is 50.");
}

/* 20 for 20 % would be a bound that nothing ever reaches */
static void
check_share(const MlMonitor *monitor, double bound)
{
	if (monitor->measure->scale == ML_SCALE_SHARE && (bound < 0.0 || bound > 1.0))
		refuse(monitor, psprintf("Its bound is %g, and \"%s\" goes from 0 to 1.", bound, monitor->what),
			   "Write 20 % as 0.2.");
}

static void
check_bounds(const MlMonitor *monitor)
{
	check_share(monitor, monitor->minimum);
	check_share(monitor, monitor->maximum);
	if (monitor->minimum > monitor->maximum)
		refuse(monitor, psprintf("Its minimum, %g, is above its maximum, %g.", monitor->minimum, monitor->maximum),
			   "Exchange them, or leave one out.");
	if (!isnan(monitor->minimum) || !isnan(monitor->maximum))
		return;
	if (!monitor->measure->learns)
		refuse(monitor, psprintf("What is usual of \"%s\" says nothing, so that no bound can be proposed.", monitor->what),
			   "Give a bound.");
	if (ml_watch_interval(monitor->period) < USECS_PER_DAY)
		refuse(monitor, "What is usual of a part of a day depends on which, so that bounds are proposed for whole days only.",
			   "Give a bound, or a period of a day or longer.");
	if (ml_watch_interval(monitor->every) != ml_watch_interval(monitor->period))
		refuse(monitor, "Bounds are proposed from periods that do not overlap.", "Give a bound, or leave every out.");
}

/* is there such a feature in the active version? A model without one has none yet */
static bool
has_feature(const char *model, const char *feature, bool *active)
{
	static MlStatement select = {
		"SELECT EXISTS (SELECT 1 FROM pg_catalog.jsonb_array_elements(v.columns) AS c "
		"WHERE c OPERATOR(pg_catalog.->>) 'name' OPERATOR(pg_catalog.=) $2 "
		"AND c OPERATOR(pg_catalog.->>) 'role' OPERATOR(pg_catalog.=) 'feature') "
		"FROM mlops_catalog.serving AS s JOIN mlops_catalog.version AS v "
		"ON v.model OPERATOR(pg_catalog.=) s.model AND v.version OPERATOR(pg_catalog.=) s.version "
		"WHERE s.model OPERATOR(pg_catalog.=) $1"
	};
	MlArguments args = {0};
	MlRegistryScope scope;
	bool		found = false;

	ml_bind_text(&args, model);
	ml_bind_text(&args, feature);
	ml_registry_enter(&scope);
	*active = ml_statement_run(&select, &args) > 0;
	if (*active)
		found = ml_result_bool(0, 1);
	ml_registry_leave(&scope);
	return found;
}

static void
check_feature(const MlMonitor *monitor)
{
	bool		active;

	if (monitor->feature == NULL && monitor->measure->feature == ML_FEATURE_NEEDED)
		refuse(monitor, psprintf("\"%s\" is of a feature.", monitor->what), "Name it: feature => '...'.");
	if (monitor->feature == NULL)
		return;
	if (monitor->measure->feature == ML_FEATURE_NONE)
		refuse(monitor, psprintf("\"%s\" is of no feature.", monitor->what), "Leave feature out.");
	if (!has_feature(monitor->model, monitor->feature, &active) && active)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the active version of model \"%s\" has no feature \"%s\"", monitor->model, monitor->feature),
				 errdetail("Monitor \"%s\" would see nothing.", monitor->name),
				 errhint("SELECT columns FROM mlops.version WHERE model = %s says which it has.",
						 quote_literal_cstr(monitor->model))));
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* does what the one learned hold for the other? */
static bool
watches_the_same(const MlMonitor *a, const MlMonitor *b)
{
	return strcmp(a->what, b->what) == 0 && same_text(a->feature, b->feature) &&
		ml_watch_interval(a->period) == ml_watch_interval(b->period) &&
		ml_watch_interval(a->every) == ml_watch_interval(b->every) &&
		ml_watch_interval(a->label_delay) == ml_watch_interval(b->label_delay);
}

void
ml_monitor_set(MlMonitor *monitor)
{
	MlMonitor  *there;

	ml_reference_check_name(monitor->name, "monitor");
	if (monitor->measure->never && isnan(monitor->minimum) && isnan(monitor->maximum))
		monitor->maximum = 0.0;
	check_times(monitor);
	check_bounds(monitor);
	check_feature(monitor);
	ml_monitor_lock(monitor->model);
	there = ml_monitor_row(monitor->model, monitor->name);
	if (there != NULL)
		require_authorship(there, "replace");
	else if (list_length(ml_monitor_names(monitor->model)) >= MAX_MONITORS)
		refuse(monitor, psprintf("The model has %d monitors.", MAX_MONITORS), "Drop some with mlops_drop_monitor().");
	ml_author_here(&monitor->author);
	ml_monitor_put(monitor);
	if (monitor->action == ML_ACTION_RETRAIN && !ml_retrain_has_policy(monitor->model))
		ereport(NOTICE,
				(errmsg("monitor \"%s\" has nothing to train model \"%s\" by", monitor->name, monitor->model),
				 errdetail("The model has no retraining policy."),
				 errhint("SELECT mlops_set_retraining(%s) lets it be trained as the active version was.",
						 quote_literal_cstr(monitor->model))));
	if (there == NULL || watches_the_same(there, monitor))
		return;
	ml_monitor_forget(monitor->model, monitor->name);
	ml_alert_close_all(monitor->model, monitor->name, "the monitor watches something else now");
}

/* ---- SQL ---- */

static void
refuse_slo(const char *model, const char *name)
{
	if (strcmp(name, ML_MONITOR_SLO) != 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_RESERVED_NAME),
			 errmsg("monitor \"%s\" is the one of the setting slo of a model", name),
			 errdetail("It says whether model \"%s\" keeps what its owner has promised.", model),
			 errhint("mlops_set_model(%s, '{\"slo\": \"roc_auc >= 0.8 over 7 days\"}') sets it, null takes it back.",
					 quote_literal_cstr(model))));
}

/* mlops_set_monitor(model, name, what, bound, period, min_rows, action, ...) */
Datum
mlops_set_monitor(PG_FUNCTION_ARGS)
{
	MlMonitor	monitor = {0};

	ml_require_argument(fcinfo, ARG_MODEL, "model");
	monitor.model = ml_argument_text(fcinfo, ARG_MODEL);
	ml_registry_require_writable("set a monitor");
	ml_privilege_require(monitor.model, ML_PRIVILEGE_READ);
	take_arguments(fcinfo, &monitor);
	refuse_slo(monitor.model, monitor.name);
	ml_monitor_require_privilege(monitor.model, monitor.action);
	monitor.measure = ml_measure_require(monitor.model, monitor.what);
	monitor.consecutive = PG_ARGISNULL(ARG_CONSECUTIVE) ? usual_consecutive(&monitor) : PG_GETARG_INT32(ARG_CONSECUTIVE);
	take_bound(fcinfo, &monitor);
	ml_monitor_set(&monitor);
	PG_RETURN_VOID();
}

ml_noreturn static void error_no_monitor(const char *model, const char *name);

static void
error_no_monitor(const char *model, const char *name)
{
	List	   *names = ml_monitor_names(model);
	StringInfoData list;
	MlNearest	nearest;
	ListCell   *cell;

	initStringInfo(&list);
	ml_nearest_begin(&nearest, name);
	foreach(cell, names)
	{
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", (char *) lfirst(cell));
		ml_nearest_offer(&nearest, lfirst(cell));
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("model \"%s\" has no monitor \"%s\"", model, name),
			 names == NIL ? errdetail("It has no monitors.") : errdetail("Its monitors: %s.", list.data),
			 nearest.best ? errhint("Perhaps you meant \"%s\".", nearest.best) :
			 errhint("SELECT * FROM mlops.monitor lists them.")));
	pg_unreachable();
}

/* mlops_drop_monitor(model text, name text) */
Datum
mlops_drop_monitor(PG_FUNCTION_ARGS)
{
	MlMonitor  *there;
	char	   *model;
	char	   *name;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "name");
	model = ml_argument_text(fcinfo, 0);
	name = ml_argument_text(fcinfo, 1);
	ml_registry_require_writable("drop a monitor");
	ml_privilege_require(model, ML_PRIVILEGE_READ);
	ml_monitor_require_privilege(model, ML_ACTION_ALERT);
	refuse_slo(model, name);
	ml_monitor_lock(model);
	there = ml_monitor_row(model, name);
	if (there == NULL)
		error_no_monitor(model, name);
	require_authorship(there, "drop");
	(void) ml_monitor_delete(model, name);
	ml_alert_close_all(model, name, "the monitor was dropped");
	PG_RETURN_VOID();
}

/* ---- the monitors that every model should have ---- */

/* of a model whose task has outcomes, of any, of one whose inputs are logged */
static const struct
{
	const char *name;
	const char *what;			/* NULL: the model's metric */
	bool		of_outcomes;
} defaults[] = {
	{"quality", NULL, true},
	{"outcomes", "outcome_share", true},
	{"volume", "volume", false},
	{"latency", "latency_p99", false},
	{"no prediction", "null_share", false},
	{"predictions", "prediction_mean", false},
	{"missing values", "missing_share", false},
	{"rules", "rules_fired_share", false},
	{"broken data", "broken", false},
	{"drift", "drift", false}
};

static Interval *
days(int n)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->day = n;
	return interval;
}

/* the metric that the model is judged by, or NULL */
static const char *
metric_of(const MlModelRow *row)
{
	const MlMetric *metric;

	if (row->task == NULL || row->metric != NULL)
		return row->metric;
	metric = ml_metric_default((MlTask) ml_task_find(row->task));
	return metric != NULL ? metric->name : NULL;
}

static bool
has_outcomes(const MlModelRow *row)
{
	return row->task != NULL && (ml_task_find(row->task) & (ML_TASK_REGRESSION | ML_TASK_BINARY | ML_TASK_MULTICLASS)) != 0;
}

/* mlops_set_default_monitors(model, period, label_delay, action) */
Datum
mlops_set_default_monitors(PG_FUNCTION_ARGS)
{
	MlModelRow *row;
	MlRows		rows;
	char	   *model;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 3, "action");
	model = ml_argument_text(fcinfo, 0);
	ml_registry_require_writable("set monitors");
	ml_privilege_require(model, ML_PRIVILEGE_READ);
	row = ml_registry_model_row(model);
	if (row == NULL)
		ml_error_no_model(model, ML_SIGHT_NOW);
	ml_monitor_require_privilege(model, ML_ACTION_ALERT);
	ml_rows_begin(fcinfo, &rows);
	for (int i = 0; i < (int) lengthof(defaults); i++)
	{
		MlMonitor	monitor = {.model = model, .name = pstrdup(defaults[i].name), .minimum = NAN, .maximum = NAN,
			.min_rows = 50};
		const char *what = defaults[i].what != NULL ? defaults[i].what : metric_of(row);
		Datum		value;
		bool		isnull = false;

		if (what == NULL || (defaults[i].of_outcomes && !has_outcomes(row)) || ml_monitor_row(model, monitor.name) != NULL)
			continue;
		monitor.what = pstrdup(what);
		monitor.period = monitor.every = interval_argument(fcinfo, 1, "period");
		monitor.label_delay = defaults[i].of_outcomes ? interval_argument(fcinfo, 2, "label_delay") : days(0);
		monitor.cooldown = days(1);
		monitor.action = i == 0 ? action_argument(&monitor, ml_argument_text(fcinfo, 3)) : ML_ACTION_ALERT;
		ml_monitor_require_privilege(model, monitor.action);
		monitor.measure = ml_measure_require(model, what);
		monitor.consecutive = usual_consecutive(&monitor);
		ml_monitor_set(&monitor);
		value = CStringGetTextDatum(monitor.name);
		ml_rows_add(&rows, &value, &isnull);
	}
	return (Datum) 0;
}
