/*
 * monitor_action.c
 *		What a monitor does about what it found: as its author, who must still
 *		hold the privilege.
 *
 * rollback goes one step back. fallback makes the version that has the alias
 * fallback the active one, whatever its gates say: that is what the alias is
 * for. Both act only while the version that was seen is the active one, so that
 * nobody is taken down for what another did. retrain has the next tick train the
 * model by its policy, which says whether what passes the gates serves.
 */
#include "postgres.h"

#include <math.h>

#include "attempt.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "monitor/monitor.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#define EQ " OPERATOR(pg_catalog.=) "

typedef struct Act
{
	const MlMonitor *monitor;
	const char *reason;
	int			number;			/* version to promote, or steps to go back */
	int			version;		/* that serves afterwards */
	int			deployment;
	TimestampTz as_of;
} Act;

/* ---- words ---- */

static void
append_number(StringInfo text, double value)
{
	appendStringInfo(text, "%.4g", value);
}

char *
ml_monitor_words(const MlMonitor *monitor, const MlSeen *seen, double minimum, double maximum)
{
	StringInfoData text;
	bool		below = !isnan(minimum) && seen->value < minimum;

	initStringInfo(&text);
	appendStringInfoString(&text, monitor->what);
	if (monitor->feature != NULL)
		appendStringInfo(&text, " of %s", monitor->feature);
	appendStringInfoString(&text, " is ");
	append_number(&text, seen->value);
	if (!isnan(seen->low))
	{
		appendStringInfoString(&text, " (");
		append_number(&text, seen->low);
		appendStringInfoString(&text, " to ");
		append_number(&text, seen->high);
		appendStringInfoString(&text, ")");
	}
	appendStringInfoString(&text, below ? ", below " : ", above ");
	append_number(&text, below ? minimum : maximum);
	if (seen->note != NULL)
		appendStringInfo(&text, ": %s", seen->note);
	return text.data;
}

/* ---- doing it ---- */

/* what serves, until the end of the transaction, whether a canary does, and what has the alias fallback */
static int
look(const char *model, bool *canary, int *fallback)
{
	static MlStatement select = {
		"SELECT s.version, (SELECT a.version FROM mlops_catalog.alias AS a WHERE a.model" EQ "s.model "
		"AND a.alias" EQ "'fallback'), s.canary_version FROM mlops_catalog.serving AS s WHERE s.model" EQ "$1 FOR NO KEY UPDATE OF s"
	};
	MlArguments args = {0};
	MlRegistryScope scope;
	int			active = 0;

	*canary = false;
	*fallback = 0;
	ml_bind_text(&args, model);
	ml_registry_enter(&scope);
	if (ml_statement_run(&select, &args) > 0)
	{
		active = ml_result_int(0, 1, 0);
		*fallback = ml_result_int(0, 2, 0);
		*canary = ml_result_int(0, 3, 0) != 0;
	}
	ml_registry_leave(&scope);
	return active;
}

/* calls what anybody would call, so that its rules hold; as the author. One row: version, deployment */
static void
call(Act *act)
{
	static const char *const query[ML_NACTIONS] = {
		[ML_ACTION_ROLLBACK] =
		"SELECT d.version, d.deployment FROM pg_catalog.mlops_rollback($1, steps => $3, reason => $2) AS d "
		"WHERE $4 IS NOT NULL",
		[ML_ACTION_FALLBACK] =
		"SELECT d.version, d.deployment FROM pg_catalog.mlops_promote($1, $3, force => true, reason => $2) AS d "
		"WHERE $4 IS NOT NULL",
		[ML_ACTION_RETRAIN] =
		"SELECT CASE WHEN pg_catalog.mlops_request_retraining($1, $2, as_of => $4) THEN 1 ELSE 0 END, 0 WHERE $3 IS NOT NULL"
	};
	Oid			type[4] = {TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID};
	Datum		value[4] = {
		CStringGetTextDatum(act->monitor->model), CStringGetTextDatum(act->reason), Int32GetDatum(act->number),
		TimestampTzGetDatum(act->as_of)
	};

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute_with_args(query[act->monitor->action], lengthof(type), type, value, NULL, false, 0) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "monitor \"%s\" of model \"%s\" could not act", act->monitor->name, act->monitor->model);
	act->version = ml_result_int(0, 1, 0);
	act->deployment = ml_result_int(0, 2, 0);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
}

static void
act_as_author(void *arg)
{
	Act		   *act = arg;
	MlAuthored	what = {
		.what = psprintf("monitor \"%s\"", act->monitor->name),
		.model = act->monitor->model,
		.privilege = act->monitor->action == ML_ACTION_RETRAIN ? ML_PRIVILEGE_TRAIN : ML_PRIVILEGE_PROMOTE,
		.hint = "Set it again with mlops_set_monitor()."
	};
	Oid			user;
	int			security;
	int			level;

	GetUserIdAndSecContext(&user, &security);
	level = NewGUCNestLevel();
	ml_author_set("search_path", "pg_catalog, pg_temp");
	ml_author_set("client_min_messages", "error");
	ml_author_become(act->monitor->author.role, &what);
	call(act);
	SetUserIdAndSecContext(user, security);
	AtEOXact_GUC(false, level);
}

/* NULL: go on; else why nothing is done */
static char *
why_not(const MlMonitor *monitor, int active, int fallback, const MlSeen *seen)
{
	if (active == 0)
		return pstrdup("nothing: no version is active");
	if (seen->version != 0 && seen->version != active)
		return psprintf("nothing: version %d, which was seen, is not active; version %d is", seen->version, active);
	if (monitor->action != ML_ACTION_FALLBACK)
		return NULL;
	if (fallback == 0)
		return pstrdup("nothing: no version has the alias fallback");
	if (fallback == active)
		return psprintf("nothing: version %d, the fallback, is active", active);
	return NULL;
}

static void
move_serving(const MlMonitor *monitor, const MlSeen *seen, const char *reason, MlDeed *deed)
{
	Act			act = {.monitor = monitor, .reason = reason};
	bool		canary;
	int			fallback;
	int			active = look(monitor->model, &canary, &fallback);
	ErrorData  *error;

	deed->words = why_not(monitor, active, fallback, seen);
	if (deed->words != NULL)
		return;
	/* ending a canary is the first step back */
	act.number = monitor->action == ML_ACTION_FALLBACK ? fallback : canary ? 2 : 1;
	deed->tried = true;
	error = ml_attempt(act_as_author, &act);
	deed->made = act.deployment;
	if (error != NULL)
		deed->words = psprintf("failed: %s", error->message);
	else if (monitor->action == ML_ACTION_ROLLBACK)
		deed->words = psprintf("rolled back from version %d to version %d", active, act.version);
	else
		deed->words = psprintf("fell back from version %d to version %d", active, act.version);
}

static void
ask_for_training(const MlMonitor *monitor, const char *reason, TimestampTz as_of, MlDeed *deed)
{
	Act			act = {.monitor = monitor, .reason = reason, .as_of = as_of};
	ErrorData  *error = ml_attempt(act_as_author, &act);

	deed->tried = true;
	if (error != NULL)
		deed->words = psprintf("failed: %s", error->message);
	else
		deed->words = pstrdup(act.version ? "asked for a retraining" : "nothing: a retraining was asked for already");
}

void
ml_monitor_act(const MlMonitor *monitor, const MlSeen *seen, const char *reason, TimestampTz as_of, MlDeed *deed)
{
	memset(deed, 0, sizeof(MlDeed));
	if (monitor->action == ML_ACTION_RETRAIN)
		ask_for_training(monitor, reason, as_of, deed);
	else
		move_serving(monitor, seen, reason, deed);
}
