/*
 * alert_row.c
 *		The rows of alerts, and who is told of them.
 *
 * Numbers are given under the lock of the model's clock (monitor_judge.c), so
 * that alerts of one model have one order.
 */
#include "postgres.h"

#include "commands/async.h"
#include "lib/stringinfo.h"
#include "monitor/monitor.h"
#include "registry/registry_catalog.h"
#include "settings.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#define CHANNEL	"mlops"
#define EQ " OPERATOR(pg_catalog.=) "

/* anyone may listen: nothing but what happened and its number */
static void
notify(const char *model, const char *event, int alert)
{
	StringInfoData json;

	if (!ml_notify)
		return;
	initStringInfo(&json);
	appendStringInfoString(&json, "{\"model\": ");
	escape_json(&json, model);
	appendStringInfo(&json, ", \"event\": \"%s\", \"alert\": %d}", event, alert);
	Async_Notify(CHANNEL, json.data);
	pfree(json.data);
}

void
ml_alert_find(const MlMonitor *monitor, TimestampTz as_of, MlAlert *alert)
{
	static MlStatement select = {
		"SELECT number, minimum, maximum, COALESCE(muted_until OPERATOR(pg_catalog.>) $3, false), done IS NOT NULL, version FROM mlops_catalog.alert "
		"WHERE model" EQ "$1 AND monitor" EQ "$2 AND resolved_at IS NULL ORDER BY number DESC LIMIT 1"
	};
	MlArguments args = {0};
	MlRegistryScope scope;

	memset(alert, 0, sizeof(MlAlert));
	ml_bind_text(&args, monitor->model);
	ml_bind_text(&args, monitor->name);
	ml_bind_time(&args, as_of);
	ml_registry_enter(&scope);
	if (ml_statement_run(&select, &args) > 0)
	{
		alert->number = ml_result_int(0, 1, 0);
		alert->minimum = ml_result_float(0, 2);
		alert->maximum = ml_result_float(0, 3);
		alert->muted = ml_result_bool(0, 4);
		alert->acted = ml_result_bool(0, 5);
		alert->version = ml_result_int(0, 6, 0);
	}
	ml_registry_leave(&scope);
}

/* inside a scope */
static int
next_number(const char *model)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.monitor_clock SET last_alert = last_alert OPERATOR(pg_catalog.+) 1 WHERE model" EQ "$1 RETURNING last_alert"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	if (ml_statement_run(&update, &args) == 0)
		ml_error_model_gone(model);
	return ml_result_int(0, 1, 0);
}

void
ml_alert_open(const MlMonitor *monitor, const MlSeen *seen, TimestampTz since, TimestampTz until, TimestampTz as_of,
			  MlAlert *alert)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.alert (model, number, monitor, what, feature, opened_at, since, until, value, low, high, n, "
		"minimum, maximum, note, version, action, deployment) "
		"SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, "
		"(SELECT NULLIF(s.deployment, 0) FROM mlops_catalog.serving AS s WHERE s.model" EQ "$1)"
	};
	MlArguments args = {0};
	MlRegistryScope scope;

	ml_registry_enter(&scope);
	alert->number = next_number(monitor->model);
	alert->version = seen->version;
	ml_bind_text(&args, monitor->model);
	ml_bind_int(&args, alert->number);
	ml_bind_text(&args, monitor->name);
	ml_bind_text(&args, monitor->what);
	ml_bind_text(&args, monitor->feature);
	ml_bind_time(&args, as_of);
	ml_bind_time(&args, since);
	ml_bind_time(&args, until);
	ml_bind_float(&args, seen->value);
	ml_bind_float(&args, seen->low);
	ml_bind_float(&args, seen->high);
	ml_bind_int8(&args, seen->n);
	ml_bind_float(&args, alert->minimum);
	ml_bind_float(&args, alert->maximum);
	ml_bind_text(&args, seen->note);
	ml_bind_int_or_null(&args, seen->version, seen->version == 0);
	ml_bind_text(&args, ml_action_names[monitor->action]);
	ml_statement_run(&insert, &args);
	ml_registry_leave(&scope);
	notify(monitor->model, "alert", alert->number);
}

void
ml_alert_close(const char *model, int number, const char *by, TimestampTz at, const char *comment)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.alert SET resolved_at = $3, resolved_by = $4, comment = COALESCE($5, comment) "
		"WHERE model" EQ "$1 AND number" EQ "$2 AND resolved_at IS NULL"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_int(&args, number);
	ml_bind_time(&args, at);
	ml_bind_text(&args, by);
	ml_bind_text(&args, comment);
	ml_registry_run(&update, &args);
	notify(model, "resolved", number);
}

void
ml_alert_close_all(const char *model, const char *monitor, const char *comment)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.alert SET resolved_at = pg_catalog.clock_timestamp(), comment = $3 "
		"WHERE model" EQ "$1 AND monitor" EQ "$2 AND resolved_at IS NULL"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_text(&args, monitor);
	ml_bind_text(&args, comment);
	ml_registry_run(&update, &args);
}

void
ml_alert_done(const char *model, int number, const char *done, int made, TimestampTz at)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.alert SET done = pg_catalog.concat_ws('; ', done, $3), made = COALESCE($4, made), acted_at = $5 "
		"WHERE model" EQ "$1 AND number" EQ "$2"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_int(&args, number);
	ml_bind_text(&args, done);
	ml_bind_int_or_null(&args, made, made == 0);
	ml_bind_time(&args, at);
	ml_registry_run(&update, &args);
}
