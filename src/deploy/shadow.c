/*
 * shadow.c
 *		mlops_shadow: versions that are asked beside the active one.
 *
 * Shadows are part of the bundle, and like it change under the lock on the
 * serving row, whose count of them spares models without any a look. A
 * promotion or a rollback leaves them as they are: a shadow that becomes the
 * active version stays one and is not asked while it is, so that it is there
 * again after a rollback.
 */
#include "postgres.h"

#include <math.h>

#include "deploy/promotion.h"
#include "fmgr.h"
#include "json.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"

#define DEFAULT_SHARE	0.1
#define MAX_NAME		(NAMEDATALEN - 1 - (int) strlen(ML_SHADOW_PREFIX))

PG_FUNCTION_INFO_V1(mlops_shadow);

typedef struct ShadowRequest
{
	char	   *model;
	int			version;		/* 0: of a shadow that is removed, whichever it is */
	char	   *name;
	bool		enabled;
	double		share;
	char	   *acknowledge;	/* or NULL */
	const char *caused_by;
} ShadowRequest;

/* ---- what is asked ---- */

static void
check_name(const char *name)
{
	ml_reference_check_name(name, "shadow");
	if ((int) strlen(name) > MAX_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("name of a shadow is too long: \"%s\"", name),
				 errdetail("It has %d bytes; there can be %d, since the shadow is also an alias, " ML_SHADOW_PREFIX "%s.",
						   (int) strlen(name), MAX_NAME, name),
				 errhint("Choose a shorter name.")));
}

static void
read_request(FunctionCallInfo fcinfo, ShadowRequest *request)
{
	ml_require_argument(fcinfo, 0, "model");
	request->model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	request->enabled = PG_ARGISNULL(3) || PG_GETARG_BOOL(3);
	request->name = ml_argument_text(fcinfo, 2);
	if (request->enabled || request->name == NULL)
		ml_require_argument(fcinfo, 1, "version");
	request->version = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT32(1);
	if (request->name == NULL && request->enabled)
		request->name = psprintf("%d", request->version);
	if (request->name != NULL)
		check_name(request->name);
	request->share = PG_ARGISNULL(4) ? DEFAULT_SHARE : PG_GETARG_FLOAT8(4);
	if (!(request->share > 0.0 && request->share <= 1.0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("share of a shadow must be above 0 and at most 1"),
				 errdetail("It is %g.", request->share),
				 errhint("share => 0.1 asks it for one key in ten; enabled => false takes it away.")));
	request->acknowledge = ml_argument_text(fcinfo, 5);
	if (request->acknowledge != NULL && request->acknowledge[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"acknowledge\" of mlops_shadow is empty"),
				 errdetail("It has no text; NULL says that nothing is acknowledged."),
				 errhint("Say why a comparison is meaningful although predictions influence outcomes; it is kept.")));
	request->caused_by = GetUserNameFromId(GetUserId(), false);
}

/* ---- inside the scope, under the lock ---- */

static void
refuse_version(const ShadowRequest *request, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("version %d of model \"%s\" cannot be a shadow", request->version, request->model),
			 errdetail_internal("%s", detail),
			 errhint("%s", hint)));
}

/* it must say what the model says */
static void
check_candidate(const ShadowRequest *request, const MlCandidate *candidate, int active)
{
	static MlStatement select = {
		"SELECT task FROM mlops_catalog.version WHERE model OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2"
	};
	MlArguments args = {0};
	char	   *task;

	if (request->version == active)
		refuse_version(request, "It is the active version: there is nothing beside it to be seen.",
					   "Name another version.");
	if (strcmp(candidate->task, "projection") == 0)
		refuse_version(request, "It transforms rows and predicts nothing.", "Name a version that predicts.");
	if (active == 0)
		return;
	ml_bind_text(&args, request->model);
	ml_bind_int(&args, active);
	ml_statement_run(&select, &args);
	task = ml_result_text(0, 1);
	if (strcmp(task, candidate->task) != 0)
		refuse_version(request, psprintf("Its task is %s, and that of the active version is %s.", candidate->task, task),
					   "Name a version of the same task.");
}

/* the serving row says how many there are, and is another one from now on */
static int
count_shadows(const char *model)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.serving SET shadows = (SELECT pg_catalog.count(*) FROM mlops_catalog.shadow w "
		"WHERE w.model OPERATOR(pg_catalog.=) $1) WHERE model OPERATOR(pg_catalog.=) $1 RETURNING shadows"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_statement_run(&update, &args);
	return ml_result_int(0, 1, 0);
}

static void
set_shadow(const ShadowRequest *request, int active)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.shadow (model, name, version, sha256, threshold, share, set_by) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7) "
		"ON CONFLICT (model, name) DO UPDATE SET version = EXCLUDED.version, sha256 = EXCLUDED.sha256, "
		"threshold = EXCLUDED.threshold, share = EXCLUDED.share, set_by = EXCLUDED.set_by, "
		"set_at = pg_catalog.clock_timestamp()"
	};
	MlArguments args = {0};
	MlCandidate candidate;
	const char *why;

	ml_promotion_candidate(request->model, request->version, &candidate);
	ml_promotion_require_candidate(request->model, request->version, &candidate);
	check_candidate(request, &candidate, active);
	ml_bind_text(&args, request->model);
	ml_bind_text(&args, request->name);
	ml_bind_int(&args, request->version);
	ml_bind_bytes(&args, candidate.sha256, ML_SHA256_LENGTH);
	ml_bind_float(&args, ml_promotion_threshold(request->model, request->version, &candidate, NAN, &why));
	ml_bind_float(&args, request->share);
	ml_bind_text(&args, request->caused_by);
	ml_statement_run(&insert, &args);
	if (count_shadows(request->model) > ML_MAX_SHADOWS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("model \"%s\" has %d shadows already", request->model, ML_MAX_SHADOWS),
				 errdetail("There cannot be more."),
				 errhint("Take one away: mlops_shadow(%s, version, enabled => false); mlops.shadow lists them.",
						 quote_literal_cstr(request->model))));
	ml_shadow_write_event(request->model, "set", request->name, request->version, request->share, NULL, request->caused_by);
}

/* one of that name, or all of that version; false: there is none. version and name become those of the last */
static bool
remove_shadows(ShadowRequest *request, MemoryContext caller)
{
	static MlStatement delete = {
		"DELETE FROM mlops_catalog.shadow WHERE model OPERATOR(pg_catalog.=) $1 "
		"AND ($2 IS NULL OR name OPERATOR(pg_catalog.=) $2) "
		"AND ($3 OPERATOR(pg_catalog.=) 0 OR version OPERATOR(pg_catalog.=) $3) RETURNING name, version"
	};
	MlArguments args = {0};
	char	   *name[ML_MAX_SHADOWS];
	int			n;

	ml_bind_text(&args, request->model);
	ml_bind_text(&args, request->name);
	ml_bind_int(&args, request->version);
	n = (int) ml_statement_run(&delete, &args);
	if (n == 0)
		return false;
	request->version = ml_result_int(0, 2, 0);
	for (int i = 0; i < n; i++)
		name[i] = ml_result_text(i, 1);
	(void) count_shadows(request->model);
	for (int i = 0; i < n; i++)
		ml_shadow_write_event(request->model, "removed", name[i], request->version, NAN, NULL, request->caused_by);
	request->name = MemoryContextStrdup(caller, name[n - 1]);
	return true;
}

static bool
change(ShadowRequest *request, MemoryContext caller)
{
	int			active = ml_serving_lock(request->model);
	bool		changed = true;

	if (request->enabled)
		set_shadow(request, active);
	else
		changed = remove_shadows(request, caller);
	if (changed && request->acknowledge != NULL)
		ml_shadow_write_event(request->model, "acknowledged", request->name, request->version, NAN, request->acknowledge,
							  request->caused_by);
	return changed;
}

/* ---- what the caller should know ---- */

static void
tell_sample(const ShadowRequest *request)
{
	MlLogSettings settings;

	ml_registry_log_settings(request->model, &settings);
	if (settings.sample >= request->share)
		return;
	ereport(NOTICE,
			(settings.sample == 0.0 ?
			 errmsg("shadow \"%s\" of model \"%s\" will not be asked", request->name, request->model) :
			 settings.sample < 0.0 ?
			 errmsg("shadow \"%s\" of model \"%s\" will be asked by mlops_score only", request->name, request->model) :
			 errmsg("shadow \"%s\" of model \"%s\" will be asked for a share of %g", request->name, request->model, settings.sample),
			 errdetail("Only logged calls are shadowed, and the model's setting log_sample is %s.",
					   settings.sample < 0.0 ? "not set" : psprintf("%g", settings.sample)),
			 errhint("Its owner can set it: mlops_set_model(%s, '{\"log_sample\": %g}').",
					 quote_literal_cstr(request->model), request->share)));
}

static void
tell_feedback(const ShadowRequest *request)
{
	MlModelRow *row = ml_registry_model_row(request->model);
	JsonbValue	value;

	if (request->acknowledge != NULL || row == NULL || row->settings == NULL ||
		!ml_json_find(row->settings, "feedback_loop", &value) || value.type != jbvBool || !value.val.boolean)
		return;
	ereport(NOTICE,
			(errmsg("predictions of model \"%s\" influence their own outcomes", request->model),
			 errdetail("A comparison of shadow \"%s\" by outcomes will be refused until it is acknowledged.", request->name),
			 errhint("Say why it is meaningful: acknowledge => '...'.")));
}

static void
tell_nothing(const ShadowRequest *request)
{
	ereport(NOTICE,
			(request->name != NULL ?
			 errmsg("model \"%s\" has no such shadow \"%s\"", request->model, request->name) :
			 errmsg("version %d of model \"%s\" is no shadow", request->version, request->model),
			 errdetail("Nothing was changed; mlops.shadow lists those that there are.")));
}

/* mlops_shadow(model text, version int, name text, enabled bool, share float8, acknowledge text) */
Datum
mlops_shadow(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	ShadowRequest request;
	MlRegistryScope scope;
	bool		changed;

	read_request(fcinfo, &request);
	ml_registry_require_writable("set a shadow");
	ml_privilege_require(request.model, ML_PRIVILEGE_PROMOTE);
	ml_registry_enter(&scope);
	changed = change(&request, caller);
	ml_registry_leave(&scope);
	if (!changed)
	{
		tell_nothing(&request);
		PG_RETURN_NULL();
	}
	if (request.enabled)
	{
		tell_sample(&request);
		tell_feedback(&request);
	}
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%s@" ML_SHADOW_PREFIX "%s", request.model, request.name)));
}
