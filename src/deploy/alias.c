/*
 * alias.c
 *		mlops_set_alias: names for versions, model@alias.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(mlops_set_alias);

/* roles in serving that promotion and later canaries and shadows give */
static void
check_alias(const char *alias)
{
	ml_reference_check_name(alias, "alias");
	if (strcmp(alias, "active") == 0 || strcmp(alias, "canary") == 0 ||
		strcmp(alias, "shadow") == 0 || strncmp(alias, "shadow.", 7) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_RESERVED_NAME),
				 errmsg("alias \"%s\" is reserved", alias),
				 errdetail("The names active, canary, shadow and shadow.* say what serving does with a version."),
				 errhint("mlops_promote makes a version active; choose another name for an alias.")));
}

static void
remove_alias(const char *model, const char *alias)
{
	static MlStatement delete = {
		"DELETE FROM mlops_catalog.alias "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND alias OPERATOR(pg_catalog.=) $2"
	};
	MlArguments args = {0};
	MlRegistryScope scope;
	uint64		n;

	ml_bind_text(&args, model);
	ml_bind_text(&args, alias);
	ml_registry_enter(&scope);
	ml_serving_lock(model);
	n = ml_statement_run(&delete, &args);
	ml_registry_leave(&scope);
	if (n == 0)
		ereport(NOTICE,
				(errmsg("model \"%s\" has no alias \"%s\"", model, alias),
				 errdetail("Nothing was changed.")));
}

/* under the lock of the serving row, so that no version goes meanwhile */
static void
write_alias(const char *model, const char *alias, int version)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.alias (model, alias, version, sha256, set_by) "
		"SELECT v.model, $2, v.version, v.sha256, $4 FROM mlops_catalog.version v "
		"WHERE v.model OPERATOR(pg_catalog.=) $1 AND v.version OPERATOR(pg_catalog.=) $3 "
		"ON CONFLICT (model, alias) DO UPDATE SET version = EXCLUDED.version, sha256 = EXCLUDED.sha256, "
		"set_by = EXCLUDED.set_by, set_at = pg_catalog.clock_timestamp()"
	};
	MlArguments args = {0};
	MlRegistryScope scope;
	uint64		n;

	ml_bind_text(&args, model);
	ml_bind_text(&args, alias);
	ml_bind_int(&args, version);
	ml_bind_text(&args, GetUserNameFromId(GetUserId(), false));
	ml_registry_enter(&scope);
	ml_serving_lock(model);
	n = ml_statement_run(&insert, &args);
	ml_registry_leave(&scope);
	if (n == 0)
		ml_error_no_version(model, version, ML_SIGHT_NOW);
}

/* mlops_set_alias(model text, alias text, version int); NULL removes it */
Datum
mlops_set_alias(PG_FUNCTION_ARGS)
{
	char	   *model;
	char	   *alias;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "alias");
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	alias = text_to_cstring(PG_GETARG_TEXT_PP(1));
	check_alias(alias);
	ml_registry_require_writable("set an alias");
	ml_privilege_require(model, ML_PRIVILEGE_PROMOTE);
	if (PG_ARGISNULL(2))
		remove_alias(model, alias);
	else
		write_alias(model, alias, PG_GETARG_INT32(2));
	PG_RETURN_VOID();
}
