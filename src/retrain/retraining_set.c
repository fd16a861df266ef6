/*
 * retraining_set.c
 *		mlops_set_retraining and mlops_drop_retraining.
 *
 * What a tick would have to refuse is refused when the policy is set, as far as
 * the active version tells: its spec with the changes, the time column. A
 * window of time needs a column that is a time; integers would need a unit.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "frame/frame.h"
#include "json.h"
#include "log/log.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "retrain/retraining.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(mlops_set_retraining);
PG_FUNCTION_INFO_V1(mlops_drop_retraining);

enum
{
	ARG_MODEL, ARG_EVERY, ARG_NEW_LABELS, ARG_DROP, ARG_CHANGES, ARG_PROMOTE, ARG_PERIOD, ARG_TIME_COLUMN,
	ARG_LABEL_DELAY, ARG_PAUSE, ARG_LIVE_PERIOD, ARG_MIN_ROWS, ARG_AS_OF
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
	if (ml_watch_interval(interval) < least)
		refuse(argument, DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(interval))),
			   least > 0 ? "longer than nothing" : "0 or longer", "Give a length as in interval '7 days'.");
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
take_arguments(FunctionCallInfo fcinfo, MlRetrainPolicy *policy)
{
	policy->every = take_interval(fcinfo, ARG_EVERY, "every", 1);
	policy->new_labels = take_count(fcinfo, ARG_NEW_LABELS, "new_labels");
	policy->drop = take_drop(fcinfo);
	policy->changes = take_changes(fcinfo);
	policy->promote = !PG_ARGISNULL(ARG_PROMOTE) && PG_GETARG_BOOL(ARG_PROMOTE);
	policy->period = take_interval(fcinfo, ARG_PERIOD, "period", 1);
	policy->time_column = ml_argument_text(fcinfo, ARG_TIME_COLUMN);
	policy->label_delay = need_interval(fcinfo, ARG_LABEL_DELAY, "label_delay", 0);
	policy->pause = need_interval(fcinfo, ARG_PAUSE, "pause", 0);
	policy->live_period = need_interval(fcinfo, ARG_LIVE_PERIOD, "live_period", 1);
	ml_require_argument(fcinfo, ARG_MIN_ROWS, "min_rows");
	policy->min_rows = take_count(fcinfo, ARG_MIN_ROWS, "min_rows");
	ml_require_argument(fcinfo, ARG_AS_OF, "as_of");
	policy->as_of = PG_GETARG_TIMESTAMPTZ(ARG_AS_OF);
	if (TIMESTAMP_NOT_FINITE(policy->as_of))
		refuse("as_of", "infinite", "a moment", "Leave it out for now.");
	refuse_twice(policy);
}

/* ---- would it train? ---- */

/* type of the time column of the source, as its author sees it; InvalidOid: there is no such column */
static Oid
time_type(const MlTraining *training)
{
	Oid			user;
	int			security;
	int			level;
	Portal		portal;
	int			column;
	Oid			type = InvalidOid;

	GetUserIdAndSecContext(&user, &security);
	level = ml_spec_enter_settings(&training->spec);
	ml_training_become_author(training);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	portal = SPI_cursor_open_with_args(NULL, ml_source_query(training->spec.source), 0, NULL, NULL, NULL, true, 0);
	column = SPI_fnumber(portal->tupDesc, training->spec.time_column);
	if (column > 0)
		type = SPI_gettypeid(portal->tupDesc, column);
	SPI_cursor_close(portal);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
	SetUserIdAndSecContext(user, security);
	ml_spec_leave_settings(level);
	return type;
}

static void
check_time_column(const MlTraining *training)
{
	const char *column = training->spec.time_column;
	Oid			type;

	if (training->spec.until == NULL && training->spec.since == NULL)
		return;
	type = time_type(training);
	if (!OidIsValid(type))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the source of model \"%s\" has no column \"%s\"", training->model, column),
				 errdetail("It says which rows are in the window that a retraining is from."),
				 errhint("Name the time of the rows: time_column => ...")));
	if (type != DATEOID && type != TIMESTAMPOID && type != TIMESTAMPTZOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" is not a time that a window could be cut from", column),
				 errdetail("It is of type %s; date, timestamp and timestamptz are times.", format_type_be(type)),
				 errhint("Give a source with such a column: changes => '{\"source\": \"SELECT ...\"}'.")));
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
	check_time_column(training);
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
