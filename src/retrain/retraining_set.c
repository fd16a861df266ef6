/*
 * retraining_set.c
 *		mlops_set_retraining and mlops_drop_retraining.
 *
 * What a tick would have to refuse is refused when the policy is set, as far as
 * the active version tells: its spec with the changes, the time column, a drop
 * that the metric cannot make. Integers are times where their unit is given.
 */
#include "postgres.h"

#include <math.h>

#include "judge/judge.h"
#include "json.h"
#include "log/log.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "retrain/retraining.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "validate/validate.h"
#include "watch/live.h"

PG_FUNCTION_INFO_V1(mlops_set_retraining);
PG_FUNCTION_INFO_V1(mlops_drop_retraining);

enum
{
	ARG_MODEL, ARG_EVERY, ARG_NEW_LABELS, ARG_DROP, ARG_CHANGES, ARG_PROMOTE, ARG_PERIOD, ARG_TIME_COLUMN,
	ARG_LABEL_DELAY, ARG_PAUSE, ARG_LIVE_PERIOD, ARG_MIN_ROWS, ARG_TIME_UNIT, ARG_TIME_ORIGIN, ARG_AS_OF
};

/* ---- arguments ---- */

ml_noreturn static void refuse(const char *argument, const char *found, const char *wanted, const char *hint);

static void
refuse(const char *argument, const char *found, const char *wanted, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" of a retraining policy cannot be %s", argument, found),
			 errdetail("It must be %s.", wanted),
			 errhint("%s", hint)));
}

/* least: in microseconds */
static Interval *
take_interval(FunctionCallInfo fcinfo, int i, const char *argument, int64 least)
{
	Interval   *interval;

	if (PG_ARGISNULL(i))
		return NULL;
	interval = PG_GETARG_INTERVAL_P(i);
	if (ml_watch_interval(interval) < least || ml_watch_interval(interval) >= (int64) ML_WATCH_LONGEST)
		refuse(argument, DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(interval))),
			   least > 0 ? "longer than nothing, and shorter than 1000 years" : "0 or longer, and shorter than 1000 years",
			   "Give a length as in interval '7 days'.");
	return interval;
}

static Interval *
need_interval(FunctionCallInfo fcinfo, int i, const char *argument, int64 least)
{
	ml_require_argument(fcinfo, i, argument);
	return take_interval(fcinfo, i, argument, least);
}

/* NULL: 0 */
static int64
take_count(FunctionCallInfo fcinfo, int i, const char *argument)
{
	int64		n;

	if (PG_ARGISNULL(i))
		return 0;
	n = PG_GETARG_INT64(i);
	if (n < 1)
		refuse(argument, psprintf(INT64_FORMAT, n), "1 or more", "It is a number of rows.");
	return n;
}

static double
take_drop(FunctionCallInfo fcinfo)
{
	double		drop;

	if (PG_ARGISNULL(ARG_DROP))
		return NAN;
	drop = PG_GETARG_FLOAT8(ARG_DROP);
	if (!(drop > 0.0) || isinf(drop))
		refuse("drop", psprintf("%g", drop), "above 0 and finite",
			   "It is what the primary metric may lose before the model is trained again, in its own unit: 0.05.");
	return drop;
}

static Jsonb *
take_changes(FunctionCallInfo fcinfo)
{
	Jsonb	   *changes;

	if (PG_ARGISNULL(ARG_CHANGES))
		return ml_json_empty_object();
	changes = PG_GETARG_JSONB_P_COPY(ARG_CHANGES);
	if (!JB_ROOT_IS_OBJECT(changes))
		refuse("changes", ml_json_show_jsonb(changes), "a JSON object", "For example '{\"params\": {\"l2\": 0.1}}'.");
	return changes;
}

/* what the window says, changes cannot say too */
static void
refuse_twice(const MlRetrainPolicy *policy)
{
	static const char *const keys[] = {"since", "until", "time_column"};
	JsonbValue	value;

	for (int i = 0; i < lengthof(keys); i++)
		if ((i < 2 ? policy->period != NULL || policy->time_column != NULL : policy->time_column != NULL) &&
			ml_json_find(policy->changes, keys[i], &value))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" is among the changes of a policy with a %s", keys[i],
							policy->period != NULL ? "\"period\"" : "\"time_column\""),
					 errdetail("The policy says by itself from which rows it trains: those before as_of - label_delay."),
					 errhint("Leave it out of \"changes\".")));
}

static void
take_unit(FunctionCallInfo fcinfo, MlRetrainPolicy *policy)
{
	policy->time_unit = take_interval(fcinfo, ARG_TIME_UNIT, "time_unit", 1);
	policy->time_origin = PG_ARGISNULL(ARG_TIME_ORIGIN) ? ML_UNIX_ORIGIN : PG_GETARG_TIMESTAMPTZ(ARG_TIME_ORIGIN);
	if (policy->time_unit != NULL)
		ml_clock_check_unit(policy->time_unit);
	if (TIMESTAMP_NOT_FINITE(policy->time_origin))
		refuse("time_origin", "infinite", "the moment at which the time column is 0", "Leave it out for 1970-01-01.");
	if (policy->period == NULL && policy->time_column == NULL && (policy->time_unit != NULL || !PG_ARGISNULL(ARG_TIME_ORIGIN)))
		refuse(policy->time_unit != NULL ? "time_unit" : "time_origin", "given alone", "with a \"period\" or a \"time_column\"",
			   "A policy without a window trains from all rows: leave it out.");
}

static void
take_arguments(FunctionCallInfo fcinfo, MlRetrainPolicy *policy)
{
	policy->every = take_interval(fcinfo, ARG_EVERY, "every", 1);
	policy->new_labels = take_count(fcinfo, ARG_NEW_LABELS, "new_labels");
	policy->drop = take_drop(fcinfo);
	policy->changes = take_changes(fcinfo);
	policy->promote = !PG_ARGISNULL(ARG_PROMOTE) && PG_GETARG_BOOL(ARG_PROMOTE);
	policy->period = take_interval(fcinfo, ARG_PERIOD, "period", 1);
	policy->time_column = ml_argument_text(fcinfo, ARG_TIME_COLUMN);
	take_unit(fcinfo, policy);
	policy->label_delay = need_interval(fcinfo, ARG_LABEL_DELAY, "label_delay", 0);
	policy->pause = need_interval(fcinfo, ARG_PAUSE, "pause", 0);
	policy->live_period = need_interval(fcinfo, ARG_LIVE_PERIOD, "live_period", 1);
	ml_require_argument(fcinfo, ARG_MIN_ROWS, "min_rows");
	policy->min_rows = take_count(fcinfo, ARG_MIN_ROWS, "min_rows");
	ml_require_argument(fcinfo, ARG_AS_OF, "as_of");
	policy->as_of = PG_GETARG_TIMESTAMPTZ(ARG_AS_OF);
	if (TIMESTAMP_NOT_FINITE(policy->as_of))
		refuse("as_of", "infinite", "a moment", "Leave it out for now.");
	if (policy->as_of < MIN_TIMESTAMP / 2)
		refuse("as_of", pstrdup(timestamptz_to_str(policy->as_of)), "younger, for a window to come before it", "Leave it out for now.");
	refuse_twice(policy);
}

/* ---- would it train? ---- */

static Oid
time_type(const MlTraining *training)
{
	Oid			user;
	int			security;
	int			level;
	Oid			type;

	GetUserIdAndSecContext(&user, &security);
	level = ml_spec_enter_settings(&training->spec);
	ml_training_become_author(training);
	type = ml_window_column_type(training);
	SetUserIdAndSecContext(user, security);
	ml_spec_leave_settings(level);
	return type;
}

/* a window that moves has its unit from the policy, one of the changes has it from its bounds */
static void
check_unit(const MlRetrainPolicy *policy, const char *column, Oid type)
{
	if (ml_window_counts(type) && policy->time_unit == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("time column \"%s\" is an integer: how long is 1?", column),
				 errdetail("\"time_unit\" says it, and \"time_origin\" when 0 is (1970-01-01 if left out)."),
				 errhint("Give time_unit => '1 second' for seconds since 1970, '1 day' for days.")));
	if (OidIsValid(type) && !ml_window_counts(type) && policy->time_unit != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"time_unit\" is for time columns that are integers"),
				 errdetail("Column \"%s\" is of type %s.", column, format_type_be(type)),
				 errhint("Leave it out.")));
}

static void
check_time_column(const MlRetrainPolicy *policy, const MlTraining *training)
{
	Oid			type;

	if (training->spec.until == NULL && training->spec.since == NULL)
		return;
	type = time_type(training);
	if (policy->period != NULL || policy->time_column != NULL)
		check_unit(policy, training->spec.time_column, type);
	ml_window_check(training, type);
}

/* the primary metric cannot lose more than its range is long */
static void
check_drop(const MlRetrainPolicy *policy)
{
	MlModelRow *row = ml_registry_model_row(policy->model);
	MlTask		task = row != NULL ? ml_outcome_task(row->task) : 0;
	MlJudgeMetric *metric;

	if (isnan(policy->drop) || task == 0)
		return;
	metric = ml_judge_metric(policy->model, task, NULL);
	if (policy->drop > ml_judge_metric_span(metric))
		refuse("drop", psprintf("%g", policy->drop),
			   psprintf("at most %g: %s cannot lose more", ml_judge_metric_span(metric), ml_judge_metric_name(metric)),
			   "It is what the primary metric may lose before the model is trained again, in its own unit: 0.05.");
}

static bool
found_row(MlStatement *statement, const char *model)
{
	MlArguments args = {0};

	ml_bind_text(&args, model);
	return ml_registry_run(statement, &args) > 0;
}

/* all that can be refused without reading a row; little is known before something serves */
static void
try_out(const MlRetrainPolicy *policy)
{
	static MlStatement active = {
		"SELECT 1 FROM mlops_catalog.serving WHERE model OPERATOR(pg_catalog.=) $1 AND version IS NOT NULL"
	};
	MlTraining *training;

	if (!found_row(&active, policy->model))
	{
		MlSpec		spec;

		ml_spec_read(&spec, policy->changes);
		return;
	}
	training = ml_training_begin(CurrentMemoryContext, policy->model);
	ml_retrain_fill(policy, policy->as_of, training);
	if (policy->period != NULL && training->spec.time_column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a retraining policy with a \"period\" needs a \"time_column\""),
				 errdetail("The active version of model \"%s\" was trained without one.", policy->model),
				 errhint("Name the time of the rows: time_column => ...")));
	ml_training_check(training);
	check_time_column(policy, training);
	ml_training_end(training);
}

static void
tell_without_gates(const char *model)
{
	static MlStatement select = {
		"SELECT 1 FROM mlops_catalog.gate WHERE model OPERATOR(pg_catalog.=) $1 LIMIT 1"
	};

	if (!found_row(&select, model))
		ereport(NOTICE,
				(errmsg("model \"%s\" has no gates: whatever a retraining makes will serve", model),
				 errhint("mlops_set_gate(%s, 'no worse', metric => ..., max_drop => ...) asks that it be no worse.",
						 quote_literal_cstr(model))));
}

/* mlops_set_retraining(model, every, new_labels, drop, changes, promote, period, time_column, ...) */
Datum
mlops_set_retraining(PG_FUNCTION_ARGS)
{
	MlRetrainPolicy policy = {0};

	ml_require_argument(fcinfo, ARG_MODEL, "model");
	policy.model = text_to_cstring(PG_GETARG_TEXT_PP(ARG_MODEL));
	ml_registry_require_writable("set a retraining policy");
	ml_privilege_require(policy.model, ML_PRIVILEGE_TRAIN);
	take_arguments(fcinfo, &policy);
	if (policy.promote)
		ml_privilege_require(policy.model, ML_PRIVILEGE_PROMOTE);
	check_drop(&policy);
	ml_author_here(&policy.author);
	try_out(&policy);
	ml_retrain_store_policy(&policy, ml_author_settings_json(&policy.author));
	if (policy.promote)
		tell_without_gates(policy.model);
	PG_RETURN_VOID();
}

/* mlops_drop_retraining(model) */
Datum
mlops_drop_retraining(PG_FUNCTION_ARGS)
{
	static MlStatement delete = {
		"DELETE FROM mlops_catalog.retraining_policy WHERE model OPERATOR(pg_catalog.=) $1 RETURNING 1"
	};
	static MlStatement cancel = {
		"UPDATE mlops_catalog.retraining SET status = 'cancelled', message = 'the policy was dropped', "
		"finished_at = pg_catalog.clock_timestamp() "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND status OPERATOR(pg_catalog.=) 'open' RETURNING 1"
	};
	char	   *model;

	ml_require_argument(fcinfo, 0, "model");
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ml_registry_require_writable("drop a retraining policy");
	ml_privilege_require(model, ML_PRIVILEGE_TRAIN);
	if (!found_row(&delete, model))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" has no retraining policy", model),
				 errdetail("There is none to drop."),
				 errhint("SELECT * FROM mlops.retraining_policy lists those that there are.")));
	(void) found_row(&cancel, model);
	PG_RETURN_VOID();
}
