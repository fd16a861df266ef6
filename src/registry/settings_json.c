/*
 * settings_json.c
 *		mlops_create_model and mlops_set_model: what may be said of a model.
 *
 * The settings are data: one table of keys. A key that is unknown is refused
 * with the nearest one; NULL takes a setting back.
 */
#include "postgres.h"

#include "access/xact.h"
#include "compat.h"
#include "errors.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "metric/metric.h"
#include "miscadmin.h"
#include "recipe/task.h"
#include "registry/evidence.h"
#include "registry/metric_row.h"
#include "registry/registry_catalog.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"

#define MAX_APPROVALS 10
#define FIRST_KEPT SETTING_APPROVALS	/* from here on keys of the column settings */

PG_FUNCTION_INFO_V1(mlops_create_model);
PG_FUNCTION_INFO_V1(mlops_set_model);

typedef enum SettingKey
{
	SETTING_DESCRIPTION, SETTING_METRIC, SETTING_OWNER, SETTING_POSITIVE, SETTING_TARGET,
	SETTING_APPROVALS, SETTING_CANARY_SALT, SETTING_FEEDBACK_LOOP, SETTING_LOG_INPUT, SETTING_LOG_SAMPLE, SETTING_LOG_WITHOUT_KEY, SETTING_OUTCOME_POLICY,
	SETTING_SLO, SETTING_STATISTICS,
	NUMBER_OF_SETTINGS
} SettingKey;

static const char *const setting_names[NUMBER_OF_SETTINGS] = {
	[SETTING_DESCRIPTION] = "description",
	[SETTING_METRIC] = "metric",
	[SETTING_OWNER] = "owner",
	[SETTING_POSITIVE] = "positive",
	[SETTING_TARGET] = "target",
	[SETTING_APPROVALS] = "approvals",
	[SETTING_CANARY_SALT] = "canary_salt",
	[SETTING_FEEDBACK_LOOP] = "feedback_loop",
	[SETTING_LOG_INPUT] = "log_input",
	[SETTING_LOG_SAMPLE] = "log_sample",
	[SETTING_LOG_WITHOUT_KEY] = "log_without_key",
	[SETTING_OUTCOME_POLICY] = "outcome_policy",
	[SETTING_SLO] = "slo",
	[SETTING_STATISTICS] = "statistics"
};

typedef struct ModelSettings
{
	bool		given[NUMBER_OF_SETTINGS];
	char	   *value[NUMBER_OF_SETTINGS];	/* NULL: take it back */
} ModelSettings;

static void
error_unknown_setting(const char *key)
{
	StringInfoData list;
	MlNearest	nearest;

	initStringInfo(&list);
	ml_nearest_begin(&nearest, key);
	for (int i = 0; i < NUMBER_OF_SETTINGS; i++)
	{
		appendStringInfo(&list, "%s%s", i == 0 ? "" : ", ", setting_names[i]);
		ml_nearest_offer(&nearest, setting_names[i]);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown setting \"%s\" of a model", key),
			 errdetail("The settings are %s.", list.data),
			 nearest.best ? errhint("Perhaps you meant \"%s\".", nearest.best) :
			 errhint("As in mlops_set_model('churn', '{\"log_sample\": 0.1}').")));
}

static SettingKey
find_setting(const char *key)
{
	for (int i = 0; i < NUMBER_OF_SETTINGS; i++)
		if (strcmp(setting_names[i], key) == 0)
			return (SettingKey) i;
	error_unknown_setting(key);
	pg_unreachable();
}

/* numbers and booleans stand for their text: {"positive": true} */
static char *
value_as_text(const char *key, const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return NULL;
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out,
													   NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		default:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("setting \"%s\" of a model must be a text", key),
					 errdetail("It was given as an array or an object."),
					 errhint("Write {\"%s\": \"...\"}, or null to take it back.", key)));
	}
	return NULL;
}

static void
read_settings(Jsonb *json, ModelSettings *settings)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	item;
	SettingKey	key = 0;

	if (!JB_ROOT_IS_OBJECT(json))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("settings of a model must be a JSON object"),
				 errdetail("An array or a single value was given."),
				 errhint("Write '{\"metric\": \"roc_auc\"}'.")));
	iterator = JsonbIteratorInit(&json->root);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = find_setting(pnstrdup(item.val.string.val, item.val.string.len));
		else if (token == WJB_VALUE)
		{
			settings->given[key] = true;
			settings->value[key] = value_as_text(setting_names[key], &item);
		}
	}
}

static void
error_metric(const char *name, const char *task)
{
	ml_metric_error_unknown(name, task ? ml_task_find(task) : ~0U, "It cannot be the primary metric of a model.");
}

/* a registered metric is held, so that it is not dropped before the model names it */
static void
check_metric(const char *model, const char *name, const char *task)
{
	if (ml_metric_find(name) == NULL && !ml_registry_hold_metric(name))
		error_metric(name, task);
	ml_metric_require(model, name, task ? ml_task_find(task) : ~0U);
}

/* the giver must be able to become the new owner, who must be allowed to own models */
static void
check_owner(const char *model, const char *owner)
{
	Oid			oid = owner ? get_role_oid(owner, true) : InvalidOid;

	if (!OidIsValid(oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\" does not exist", owner ? owner : "null"),
				 errdetail("The owner of model \"%s\" was not changed.", model),
				 errhint("Write the role's name exactly as the server keeps it.")));
	ml_check_can_set_role(GetUserId(), oid);
	ml_registry_require_create(model, oid);
}

/* the target of a model with versions is what they were trained for; dropped ones do not count */
static void
check_target(const MlModelRow *row)
{
	if (!ml_registry_has_versions(row->name))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot change the target of model \"%s\"", row->name),
			 row->target != NULL ?
			 errdetail("Its target is \"%s\", and its versions were trained for it.", row->target) :
			 errdetail("It has none, and its versions were trained without one."),
			 errhint("Train a model of another name for another target.")));
}

/* ---- settings of promotions, the log and outcomes, which are kept as they are ---- */

static void
refuse_setting(SettingKey key, const char *text, const char *wanted)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("setting \"%s\" of a model must be %s", setting_names[key], wanted),
			 errdetail("It is \"%s\".", text),
			 errhint("null takes the setting back.")));
}

static void
check_kept(const ModelSettings *settings)
{
	for (int i = FIRST_KEPT; i < NUMBER_OF_SETTINGS; i++)
	{
		const char *text = settings->value[i];
		char	   *end;
		double		share;

		if (text == NULL || i == SETTING_CANARY_SALT)
			continue;
		if (i == SETTING_LOG_SAMPLE)
		{
			share = strtod(text, &end);
			if (end == text || *end != '\0' || !(share >= 0.0 && share <= 1.0))
				refuse_setting(i, text, "a number from 0 to 1");
		}
		else if (i == SETTING_APPROVALS)
		{
			long		n = strtol(text, &end, 10);

			if (end == text || *end != '\0' || n < 0 || n > MAX_APPROVALS)
				refuse_setting(i, text, psprintf("a whole number from 0 to %d", MAX_APPROVALS));
		}
		else if (i == SETTING_OUTCOME_POLICY)
		{
			if (strcmp(text, "latest") != 0 && strcmp(text, "first") != 0 && strcmp(text, "majority") != 0)
				refuse_setting(i, text, "\"latest\", \"first\" or \"majority\"");
		}
		else if (i == SETTING_SLO)
			continue;			/* read by what watches it, and refused there */
		else if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
			refuse_setting(i, text, "true or false");
	}
}

static bool
changes_kept(const ModelSettings *settings)
{
	for (int i = FIRST_KEPT; i < NUMBER_OF_SETTINGS; i++)
		if (settings->given[i])
			return true;
	return false;
}

static bool
changes_log(const ModelSettings *settings)
{
	return settings->given[SETTING_LOG_INPUT] || settings->given[SETTING_LOG_SAMPLE] ||
		settings->given[SETTING_LOG_WITHOUT_KEY] || settings->given[SETTING_STATISTICS];
}

static Jsonb *
text_as_json(const char *text)
{
	JsonbValue	value = {.type = jbvString};

	value.val.string.val = unconstify(char *, text);
	value.val.string.len = strlen(text);
	return JsonbValueToJsonb(&value);
}

/* one key of the column settings; inside a scope */
static void
update_kept(const char *model, SettingKey key, const char *value)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.model SET settings = "
		"CASE WHEN $3 IS NULL THEN settings OPERATOR(pg_catalog.-) $2 "
		"ELSE settings OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_object($2, $3) END "
		"WHERE name OPERATOR(pg_catalog.=) $1"
	};
	MlArguments args = {0};
	Jsonb	   *json = NULL;

	if (value != NULL && (key == SETTING_OUTCOME_POLICY || key == SETTING_CANARY_SALT || key == SETTING_SLO))
		json = text_as_json(value);
	else if (value != NULL)
		json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(key == SETTING_LOG_SAMPLE ?
																		   float8out_internal(strtod(value, NULL)) : value)));
	ml_bind_text(&args, model);
	ml_bind_text(&args, setting_names[key]);
	ml_bind_jsonb(&args, json);
	ml_statement_run(&update, &args);
}

/* a new target of a model that once had versions takes back what followed from the old one */
static void
update_settings(const char *model, const ModelSettings *settings)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.model SET "
		"description = CASE WHEN $2 THEN $3 ELSE description END, "
		"metric = CASE WHEN $4 THEN $5 WHEN $10 AND task IS NOT NULL THEN NULL ELSE metric END, "
		"owner = CASE WHEN $6 THEN $7 ELSE owner END, "
		"positive = CASE WHEN $8 THEN $9 WHEN $10 AND task IS NOT NULL THEN NULL ELSE positive END, "
		"target = CASE WHEN $10 THEN $11 ELSE target END, "
		"task = CASE WHEN $10 THEN NULL ELSE task END "
		"WHERE name OPERATOR(pg_catalog.=) $1"
	};
	MlArguments args = {0};
	MlRegistryScope scope;

	ml_bind_text(&args, model);
	for (int i = 0; i < FIRST_KEPT; i++)	/* in the order of SettingKey */
	{
		ml_bind_bool(&args, settings->given[i]);
		ml_bind_text(&args, settings->value[i]);
	}
	ml_registry_enter(&scope);
	ml_statement_run(&update, &args);
	for (int i = FIRST_KEPT; i < NUMBER_OF_SETTINGS; i++)
		if (settings->given[i])
			update_kept(model, (SettingKey) i, settings->value[i]);
	if (settings->given[SETTING_OWNER] || changes_log(settings))
		ml_privileges_changed();
	ml_registry_leave(&scope);
	if (settings->given[SETTING_SLO] && ml_registry_slo_changed != NULL)
	{
		CommandCounterIncrement();
		ml_registry_slo_changed(model, settings->value[SETTING_SLO]);
	}
}

/* an argument of mlops_create_model; said twice, it is refused */
static void
take_argument(FunctionCallInfo fcinfo, int n, SettingKey key, ModelSettings *settings)
{
	if (PG_ARGISNULL(n))
		return;
	if (settings->given[key])
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" of a model is given twice", setting_names[key]),
				 errdetail("It is an argument and a key of settings."),
				 errhint("Leave one of them out.")));
	settings->given[key] = true;
	settings->value[key] = text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/* mlops_create_model(model, target, metric, positive, description text, settings jsonb) */
Datum
mlops_create_model(PG_FUNCTION_ARGS)
{
	ModelSettings settings = {0};
	MlModelRow	row = {0};

	ml_require_argument(fcinfo, 0, "model");
	if (!PG_ARGISNULL(5))
		read_settings(PG_GETARG_JSONB_P(5), &settings);
	take_argument(fcinfo, 1, SETTING_TARGET, &settings);
	take_argument(fcinfo, 2, SETTING_METRIC, &settings);
	take_argument(fcinfo, 3, SETTING_POSITIVE, &settings);
	take_argument(fcinfo, 4, SETTING_DESCRIPTION, &settings);
	row.name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	row.target = settings.value[SETTING_TARGET];
	row.metric = settings.value[SETTING_METRIC];
	row.positive = settings.value[SETTING_POSITIVE];
	row.description = settings.value[SETTING_DESCRIPTION];
	if (row.target != NULL && row.target[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"target\" is empty"),
				 errdetail("It is the name of the column that the model predicts."),
				 errhint("Leave it out to have the first training say it.")));
	if (row.metric != NULL && !ml_metric_exists(row.metric))
		error_metric(row.metric, NULL);
	if (settings.given[SETTING_OWNER])
		check_owner(row.name, settings.value[SETTING_OWNER]);
	check_kept(&settings);
	ml_registry_create_model(&row);
	/* its author must be allowed to read the model, which is there now */
	if (row.metric != NULL)
		check_metric(row.name, row.metric, NULL);
	if (settings.given[SETTING_OWNER] || changes_kept(&settings))
		update_settings(row.name, &settings);
	PG_RETURN_VOID();
}

/* what was found by another metric is stale, and versions in use are evaluated anew */
static void
judge_again(const MlModelRow *before, const char *metric)
{
	if (before->metric == NULL || metric == NULL || strcmp(before->metric, metric) == 0)
		return;
	ml_registry_age_evidence(before->name);
	CommandCounterIncrement();
	if (ml_registry_metric_changed != NULL)
		ml_registry_metric_changed(before->name);
}

/* mlops_set_model(model text, settings jsonb) */
Datum
mlops_set_model(PG_FUNCTION_ARGS)
{
	ModelSettings settings = {0};
	MlModelRow *row;
	char	   *model;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "settings");
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ml_registry_require_writable("change a model");
	ml_privilege_require(model, ML_PRIVILEGE_OWNER);
	read_settings(PG_GETARG_JSONB_P(1), &settings);
	row = ml_registry_model_row(model);
	if (row == NULL)
		ml_error_no_model(model, ML_SIGHT_NOW);
	if (settings.value[SETTING_METRIC] != NULL)
		check_metric(model, settings.value[SETTING_METRIC],
					 settings.given[SETTING_TARGET] ? NULL : row->task);
	if (settings.given[SETTING_OWNER])
		check_owner(model, settings.value[SETTING_OWNER]);
	if (settings.given[SETTING_TARGET])
		check_target(row);
	check_kept(&settings);
	update_settings(model, &settings);
	if (settings.given[SETTING_METRIC])
		judge_again(row, settings.value[SETTING_METRIC]);
	PG_RETURN_VOID();
}
