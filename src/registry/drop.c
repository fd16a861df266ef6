/*
 * drop.c
 *		Versions and models that go: refused while in use, remembered after.
 *
 * A version is in use while it is active or a shadow, has an alias, lies in the rollback
 * stack, or is the encoder of another version (its name is in that one's
 * parameters). mlops_drop_version looks under the lock on the serving row, which is
 * what promotions take. Pruning scratch versions happens inside trainings,
 * which must not hold that lock; it locks the versions' own rows instead, and
 * a promotion of one of them would have to lock it too (foreign key).
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"

#define DEFAULT_REASON "no reason given"

/*
 * Every use of the versions of a model, in words; v is the version. Shared by
 * the refusal to drop and by pruning.
 */
#define USES_OF_VERSIONS \
	"SELECT s.version AS v, 0 AS kind, 'it is active' AS use " \
	"FROM mlops_catalog.serving s " \
	"WHERE s.model OPERATOR(pg_catalog.=) $1 AND s.version IS NOT NULL " \
	"UNION ALL SELECT s.canary_version, 1, 'it is the canary' " \
	"FROM mlops_catalog.serving s " \
	"WHERE s.model OPERATOR(pg_catalog.=) $1 AND s.canary_version IS NOT NULL " \
	"UNION ALL SELECT a.version, 2, pg_catalog.format('alias \"%s\"', a.alias) " \
	"FROM mlops_catalog.alias a WHERE a.model OPERATOR(pg_catalog.=) $1 " \
	"UNION ALL SELECT d.version, 3, pg_catalog.format('rollback stack, deployment %s', d.number) " \
	"FROM mlops_catalog.serving s JOIN mlops_catalog.deployment d " \
	"ON d.model OPERATOR(pg_catalog.=) s.model AND d.number OPERATOR(pg_catalog.=) ANY (s.stack) " \
	"WHERE s.model OPERATOR(pg_catalog.=) $1 " \
	"UNION ALL SELECT e.version, 4, pg_catalog.format('encoder of version %s of model \"%s\"', h.version, h.model) " \
	"FROM mlops_catalog.version e JOIN mlops_catalog.version h " \
	"ON (h.params OPERATOR(pg_catalog.->>) 'encoder') OPERATOR(pg_catalog.=) " \
	"pg_catalog.format('%s/%s', e.model, e.version) " \
	"WHERE e.model OPERATOR(pg_catalog.=) $1 " \
	"UNION ALL SELECT u.version, 5, pg_catalog.format('rule set %s', r.number) " \
	"FROM mlops_catalog.rule_set r, LATERAL pg_catalog.unnest(r.uses) AS u (version) " \
	"WHERE r.model OPERATOR(pg_catalog.=) $1 " \
	"UNION ALL SELECT w.version, 6, pg_catalog.format('shadow \"%s\"', w.name) " \
	"FROM mlops_catalog.shadow w WHERE w.model OPERATOR(pg_catalog.=) $1 "

/* one row each of version, alias... inside the scope; kept plans */
static void
run_on_version(MlStatement *statement, const char *model, int version)
{
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_int(&args, version);
	ml_statement_run(statement, &args);
}

/* deletes a version and leaves its tombstone; false if it is not there */
static bool
delete_version(const char *model, int version, const char *dropped_by, const char *reason)
{
	static MlStatement delete_rows = {
		"DELETE FROM mlops_catalog.kept_row "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2"
	};
	static MlStatement delete_training_rows = {
		"DELETE FROM mlops_catalog.training_row "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2"
	};
	static MlStatement delete_profile = {
		"DELETE FROM mlops_catalog.training_profile "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2"
	};
	static MlStatement delete_evidence = {
		"DELETE FROM mlops_catalog.evaluation "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2"
	};
	static MlStatement delete_artifact = {
		"DELETE FROM mlops_catalog.artifact "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2"
	};
	static MlStatement delete_approvals = {
		"DELETE FROM mlops_catalog.approval "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2"
	};
	static MlStatement bury = {
		"WITH d AS (DELETE FROM mlops_catalog.version "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2 "
		"RETURNING model, version, sha256, algorithm, trained_by, trained_at) "
		"INSERT INTO mlops_catalog.dropped_version "
		"(model, version, sha256, algorithm, trained_by, trained_at, dropped_by, reason) "
		"SELECT d.model, d.version, d.sha256, d.algorithm, d.trained_by, d.trained_at, $3, $4 FROM d "
		"ON CONFLICT (model, version, sha256) DO UPDATE SET "
		"dropped_by = EXCLUDED.dropped_by, dropped_at = EXCLUDED.dropped_at, reason = EXCLUDED.reason"
	};
	MlArguments args = {0};

	run_on_version(&delete_rows, model, version);
	run_on_version(&delete_training_rows, model, version);
	run_on_version(&delete_profile, model, version);
	run_on_version(&delete_evidence, model, version);
	run_on_version(&delete_artifact, model, version);
	run_on_version(&delete_approvals, model, version);
	ml_bind_text(&args, model);
	ml_bind_int(&args, version);
	ml_bind_text(&args, dropped_by);
	ml_bind_text(&args, reason);
	return ml_statement_run(&bury, &args) > 0;
}

/* ---- scratch versions ---- */

/*
 * Locks what is to go first and looks at its uses then, with a newer
 * snapshot: a promotion that came between is seen or waits. Under REPEATABLE
 * READ there is no newer snapshot, so nothing is pruned there.
 */
int
ml_registry_prune_scratch(const char *model, int keep)
{
	static MlStatement lock = {
		"SELECT v.version FROM mlops_catalog.version v "
		"WHERE v.model OPERATOR(pg_catalog.=) $1 AND v.scratch AND v.version OPERATOR(pg_catalog.=) ANY (ARRAY("
		"SELECT o.version FROM mlops_catalog.version o "
		"WHERE o.model OPERATOR(pg_catalog.=) $1 AND o.scratch "
		"ORDER BY o.version DESC OFFSET $2)) FOR UPDATE SKIP LOCKED"
	};
	static MlStatement used = {
		"SELECT 1 FROM (" USES_OF_VERSIONS ") u WHERE u.v OPERATOR(pg_catalog.=) $2 LIMIT 1"
	};
	const char *dropped_by = GetUserNameFromId(GetUserId(), false);
	MlArguments args = {0};
	MlRegistryScope scope;
	int		   *version;
	int			n;
	int			dropped = 0;

	if (IsolationUsesXactSnapshot())
		return 0;
	ml_bind_text(&args, model);
	ml_bind_int(&args, keep);
	ml_registry_enter(&scope);
	n = (int) ml_statement_run(&lock, &args);
	version = palloc(sizeof(int) * Max(n, 1));
	for (int i = 0; i < n; i++)
		version[i] = ml_result_int(i, 1, 0);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		run_on_version(&used, model, version[i]);
		if (SPI_processed > 0)
			continue;
		if (delete_version(model, version[i], dropped_by, "scratch version pruned"))
			dropped++;
	}
	ml_registry_leave(&scope);
	return dropped;
}

/* ---- SQL ---- */

PG_FUNCTION_INFO_V1(mlops_drop_version);
PG_FUNCTION_INFO_V1(mlops_drop_model);

/* every use of a version, separated by commas, in the caller's context; NULL if it is free */
static char *
uses_of_version(const char *model, int version, MemoryContext caller)
{
	static MlStatement select = {
		"SELECT pg_catalog.string_agg(u.use, '; ' ORDER BY u.kind, u.use) FROM (" USES_OF_VERSIONS ") u "
		"WHERE u.v OPERATOR(pg_catalog.=) $2"
	};
	char	   *uses;

	run_on_version(&select, model, version);
	uses = ml_result_text(0, 1);
	return uses ? MemoryContextStrdup(caller, uses) : NULL;
}

static void
error_in_use(const char *model, int version, const char *uses)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("cannot drop version %d of model \"%s\": it is in use", version, model),
			 errdetail("Its uses: %s.", uses),
			 errhint("Promote another version, or remove the alias with mlops_set_alias(%s, alias, NULL); "
					 "a bundle leaves the rollback stack after mlops.rollback_depth promotions.%s",
					 quote_literal_cstr(model),
					 strstr(uses, "encoder of version") ? " What an encoder encodes for goes first." :
					 strstr(uses, "shadow \"") ? " mlops_shadow(model, version, enabled => false) takes a shadow away." : "")));
}

/* mlops_drop_version(model text, version int, reason text) */
Datum
mlops_drop_version(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	char	   *model;
	int			version;
	const char *reason = DEFAULT_REASON;
	const char *dropped_by = GetUserNameFromId(GetUserId(), false);
	MlRegistryScope scope;
	char	   *uses;
	bool		dropped = false;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "version");
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	version = PG_GETARG_INT32(1);
	if (!PG_ARGISNULL(2))
		reason = text_to_cstring(PG_GETARG_TEXT_PP(2));
	ml_registry_require_writable("drop a version");
	ml_privilege_require(model, ML_PRIVILEGE_OWNER);
	ml_registry_enter(&scope);
	ml_serving_lock(model);
	uses = uses_of_version(model, version, caller);
	if (uses == NULL)
		dropped = delete_version(model, version, dropped_by, reason);
	ml_registry_leave(&scope);
	if (uses != NULL)
		error_in_use(model, version, uses);
	if (!dropped)
		ml_error_no_version(model, version, ML_SIGHT_NOW);
	PG_RETURN_VOID();
}

/* the tables of its validation sets, after refreshes that are under way: they lock the set before its table */
static void
drop_set_tables(const char *model)
{
	static MlStatement select = {
		"SELECT relation FROM mlops_catalog.validation_set WHERE model OPERATOR(pg_catalog.=) $1 ORDER BY name FOR UPDATE"
	};
	MlArguments args = {0};
	int			n;
	char	  **relation;

	ml_bind_text(&args, model);
	n = (int) ml_statement_run(&select, &args);
	relation = palloc(sizeof(char *) * Max(n, 1));
	for (int i = 0; i < n; i++)
		relation[i] = ml_result_text(i, 1);
	for (int i = 0; i < n; i++)
	{
		char	   *command = psprintf("DROP TABLE IF EXISTS %s", quote_qualified_identifier("mlops_data", relation[i]));
		int			code = SPI_execute(command, false, 0);

		if (code < 0)
			elog(ERROR, "could not run \"%s\": %s", command, SPI_result_code_string(code));
	}
}

/* everything of a model, children first; its versions leave tombstones */
static void
delete_model(const char *model, const char *dropped_by, const char *reason)
{
	static MlStatement statements[] = {
		{"DELETE FROM mlops_catalog.monitor WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.monitor_period WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.alert WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.monitor_clock WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.label WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.failure WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.pin WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.slice WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.edition_stratum WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.edition WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.validation_set WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.serving WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.alias WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.shadow WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.shadow_event WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.shadow_cost WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.deployment WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.gate WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.approval WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.rollout_step WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.rollout WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.rule_set WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.privilege WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.kept_row WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.training_row WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.training_profile WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.evaluation WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.artifact WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.version WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.run WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.retraining WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.retraining_policy WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.outcome_source WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.outcome WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.serving_statistics WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.serving_histogram WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.prediction WHERE model OPERATOR(pg_catalog.=) $1"},
		{"DELETE FROM mlops_catalog.model WHERE name OPERATOR(pg_catalog.=) $1"}
	};
	static MlStatement bury = {
		"INSERT INTO mlops_catalog.dropped_version "
		"(model, version, sha256, algorithm, trained_by, trained_at, dropped_by, reason) "
		"SELECT v.model, v.version, v.sha256, v.algorithm, v.trained_by, v.trained_at, $2, $3 "
		"FROM mlops_catalog.version v WHERE v.model OPERATOR(pg_catalog.=) $1 "
		"ON CONFLICT (model, version, sha256) DO UPDATE SET "
		"dropped_by = EXCLUDED.dropped_by, dropped_at = EXCLUDED.dropped_at, reason = EXCLUDED.reason"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_text(&args, dropped_by);
	ml_bind_text(&args, reason);
	ml_statement_run(&bury, &args);
	drop_set_tables(model);
	for (int i = 0; i < lengthof(statements); i++)
	{
		MlArguments name = {0};

		ml_bind_text(&name, model);
		ml_statement_run(&statements[i], &name);
	}
}

/* versions of other models that this one encodes for, in the caller's context; NULL: there are none */
static char *
heads_of_model(const char *model, MemoryContext caller)
{
	static MlStatement select = {
		"SELECT pg_catalog.string_agg(pg_catalog.format('version %s of model \"%s\"', h.version, h.model), ', ' "
		"ORDER BY h.model, h.version) "
		"FROM mlops_catalog.version e JOIN mlops_catalog.version h "
		"ON (h.params OPERATOR(pg_catalog.->>) 'encoder') OPERATOR(pg_catalog.=) "
		"pg_catalog.format('%s/%s', e.model, e.version) "
		"WHERE e.model OPERATOR(pg_catalog.=) $1 AND h.model OPERATOR(pg_catalog.<>) $1"
	};
	MlArguments args = {0};
	char	   *heads;

	ml_bind_text(&args, model);
	ml_statement_run(&select, &args);
	heads = ml_result_text(0, 1);
	return heads ? MemoryContextStrdup(caller, heads) : NULL;
}

/* mlops_drop_model(model text, force bool, reason text) */
Datum
mlops_drop_model(PG_FUNCTION_ARGS)
{
	static MlStatement lock = {
		"SELECT 1 FROM mlops_catalog.model WHERE name OPERATOR(pg_catalog.=) $1 FOR UPDATE"
	};
	MlArguments args = {0};
	char	   *model;
	bool		force;
	const char *reason = "model dropped";
	const char *dropped_by = GetUserNameFromId(GetUserId(), false);
	MemoryContext caller = CurrentMemoryContext;
	MlRegistryScope scope;
	int			active;
	char	   *heads;

	ml_require_argument(fcinfo, 0, "model");
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	force = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	if (!PG_ARGISNULL(2))
		reason = text_to_cstring(PG_GETARG_TEXT_PP(2));
	ml_registry_require_writable("drop a model");
	ml_privilege_require(model, ML_PRIVILEGE_OWNER);
	ml_bind_text(&args, model);
	ml_registry_enter(&scope);
	active = ml_serving_lock(model);
	heads = heads_of_model(model, caller);
	if (heads == NULL && (active == 0 || force))
	{
		ml_statement_run(&lock, &args);
		delete_model(model, dropped_by, reason);
		ml_privileges_changed();
	}
	ml_registry_leave(&scope);
	if (heads != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("cannot drop model \"%s\": it is an encoder", model),
				 errdetail("It encodes for %s.", heads),
				 errhint("Drop these first.")));
	if (active != 0 && !force)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("cannot drop model \"%s\": it serves", model),
				 errdetail("Version %d is active; all versions, the history and the grants would go.", active),
				 errhint("mlops_drop_model(%s, force => true) drops it nevertheless.",
						 quote_literal_cstr(model))));
	PG_RETURN_VOID();
}
