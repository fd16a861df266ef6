/*
 * alert.c
 *		What people say of alerts: real or not, muted, resolved.
 *
 * Whoever may do what the monitor does: train or promote for those that tell, promote
 * for those that roll back, since a muted alert does nothing. An alert that was not real is
 * resolved, and its monitor learns from its periods that they are usual.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "monitor/monitor.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define EQ " OPERATOR(pg_catalog.=) "

PG_FUNCTION_INFO_V1(mlops_acknowledge_alert);
PG_FUNCTION_INFO_V1(mlops_mute_alert);
PG_FUNCTION_INFO_V1(mlops_resolve_alert);

static void
error_no_alert(const char *model, int alert)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("model \"%s\" has no alert %d", model, alert),
			 errdetail("Alerts are numbered within their model."),
			 errhint("SELECT * FROM mlops.alert WHERE model = %s lists them.", quote_literal_cstr(model))));
}

/* 42501 unless the caller may do what the monitor of the alert did then and does now */
static void
require_actions(const char *model, int alert)
{
	static MlStatement select = {
		"SELECT a.action, COALESCE(m.action, a.action) FROM mlops_catalog.alert AS a LEFT JOIN mlops_catalog.monitor AS m "
		"ON m.model" EQ "a.model AND m.name" EQ "a.monitor WHERE a.model" EQ "$1 AND a.number" EQ "$2"
	};
	MlMonitorAction action[2] = {ML_ACTION_ALERT, ML_ACTION_ALERT};
	MlArguments args = {0};
	MlRegistryScope scope;
	bool		found;

	ml_bind_text(&args, model);
	ml_bind_int(&args, alert);
	ml_registry_enter(&scope);
	found = ml_statement_run(&select, &args) > 0;
	for (int i = 0; found && i < (int) lengthof(action); i++)
		action[i] = ml_action_find(ml_result_text(0, i + 1));
	ml_registry_leave(&scope);
	if (!found)
		error_no_alert(model, alert);
	for (int i = 0; i < (int) lengthof(action); i++)
		ml_monitor_require_privilege(model, action[i]);
}

/* model and alert, which are arguments of all of them */
static char *
take_alert(FunctionCallInfo fcinfo, const char *what, int *alert)
{
	char	   *model;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "alert");
	model = ml_argument_text(fcinfo, 0);
	*alert = PG_GETARG_INT32(1);
	ml_registry_require_writable(what);
	ml_privilege_require(model, ML_PRIVILEGE_READ);
	ml_monitor_require_privilege(model, ML_ACTION_ALERT);
	require_actions(model, *alert);
	return model;
}

/* 55000 for one that is resolved, which nobody mutes or resolves again */
static void
require_open(const char *model, int alert)
{
	static MlStatement select = {
		"SELECT resolved_at IS NULL FROM mlops_catalog.alert WHERE model" EQ "$1 AND number" EQ "$2 FOR UPDATE"
	};
	MlArguments args = {0};
	MlRegistryScope scope;
	bool		found;
	bool		open = false;

	ml_bind_text(&args, model);
	ml_bind_int(&args, alert);
	ml_registry_enter(&scope);
	found = ml_statement_run(&select, &args) > 0;
	if (found)
		open = ml_result_bool(0, 1);
	ml_registry_leave(&scope);
	if (!found)
		error_no_alert(model, alert);
	if (!open)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("alert %d of model \"%s\" is resolved", alert, model),
				 errdetail("Nothing is done because of it any more."),
				 errhint("mlops_acknowledge_alert() still says whether it was real.")));
}

/* mlops_acknowledge_alert(model text, alert int, is_real boolean, note text) */
Datum
mlops_acknowledge_alert(PG_FUNCTION_ARGS)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.alert SET is_real = $3, acknowledged_by = $4, acknowledged_at = pg_catalog.clock_timestamp(), "
		"comment = COALESCE($5, comment), "
		"resolved_by = CASE WHEN resolved_at IS NULL AND NOT $3 THEN $4 ELSE resolved_by END, "
		"resolved_at = CASE WHEN resolved_at IS NULL AND NOT $3 THEN pg_catalog.clock_timestamp() ELSE resolved_at END "
		"WHERE model" EQ "$1 AND number" EQ "$2"
	};
	MlArguments args = {0};
	char	   *model;
	int			alert;
	uint64		n;

	model = take_alert(fcinfo, "acknowledge an alert", &alert);
	ml_require_argument(fcinfo, 2, "is_real");
	ml_bind_text(&args, model);
	ml_bind_int(&args, alert);
	ml_bind_bool(&args, PG_GETARG_BOOL(2));
	ml_bind_text(&args, GetUserNameFromId(GetUserId(), false));
	ml_bind_text(&args, ml_argument_text(fcinfo, 3));
	n = ml_registry_run(&update, &args);
	if (n == 0)
		error_no_alert(model, alert);
	PG_RETURN_VOID();
}

/* mlops_mute_alert(model text, alert int, until timestamptz, note text); NULL ends it */
Datum
mlops_mute_alert(PG_FUNCTION_ARGS)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.alert SET muted_until = $3, comment = COALESCE($4, comment) "
		"WHERE model" EQ "$1 AND number" EQ "$2"
	};
	MlArguments args = {0};
	char	   *model;
	int			alert;

	model = take_alert(fcinfo, "mute an alert", &alert);
	require_open(model, alert);
	ml_bind_text(&args, model);
	ml_bind_int(&args, alert);
	ml_bind_datum(&args, TIMESTAMPTZOID, PG_ARGISNULL(2) ? (Datum) 0 : PG_GETARG_DATUM(2), PG_ARGISNULL(2));
	ml_bind_text(&args, ml_argument_text(fcinfo, 3));
	ml_registry_run(&update, &args);
	PG_RETURN_VOID();
}

/* mlops_resolve_alert(model text, alert int, note text) */
Datum
mlops_resolve_alert(PG_FUNCTION_ARGS)
{
	char	   *model;
	int			alert;

	model = take_alert(fcinfo, "resolve an alert", &alert);
	require_open(model, alert);
	ml_alert_close(model, alert, GetUserNameFromId(GetUserId(), false), GetCurrentTimestamp(), ml_argument_text(fcinfo, 2));
	PG_RETURN_VOID();
}
