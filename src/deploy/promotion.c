/*
 * promotion.c
 *		What is known of a version that is to be promoted.
 */
#include "postgres.h"

#include <math.h>

#include "deploy/promotion.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"

#define DEFAULT_THRESHOLD 0.5

/*
 * What followed the deployment of the active bundle is the canary's start and
 * the changes of its share: one of them heard every gate, as it is now, and was
 * not forced.
 */
#define CANARY_WAS_HEARD \
	"EXISTS (SELECT 1 FROM mlops_catalog.deployment d WHERE d.model OPERATOR(pg_catalog.=) $1 " \
	"AND d.number OPERATOR(pg_catalog.>) s.deployment AND d.evidence IS NOT NULL AND NOT d.forced " \
	"AND NOT EXISTS (SELECT 1 FROM mlops_catalog.gate g WHERE g.model OPERATOR(pg_catalog.=) $1 " \
	"AND (g.set_at OPERATOR(pg_catalog.>) d.deployed_at OR NOT (d.evidence OPERATOR(pg_catalog.->) 'gates') " \
	"OPERATOR(pg_catalog.@>) pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('gate', g.name))))) "

void
ml_promotion_look(const char *model, MlOutlook *outlook)
{
	static MlStatement select = {
		"SELECT s.version, s.threshold, s.deployment, EXISTS (SELECT 1 FROM mlops_catalog.gate g "
		"WHERE g.model OPERATOR(pg_catalog.=) $1), (m.settings OPERATOR(pg_catalog.->>) 'approvals')::pg_catalog.int4, m.metric, s.rules, "
		"s.canary_version, s.canary_threshold, s.canary_rules, s.canary_deployment, s.canary_share, "
		"s.canary_version IS NOT NULL AND " CANARY_WAS_HEARD
		"FROM mlops_catalog.serving s JOIN mlops_catalog.model m ON m.name OPERATOR(pg_catalog.=) s.model "
		"WHERE s.model OPERATOR(pg_catalog.=) $1"
	};
	MemoryContext caller = CurrentMemoryContext;
	MlArguments args = {0};
	MlRegistryScope scope;
	char	   *metric;

	ml_bind_text(&args, model);
	ml_registry_enter(&scope);
	if (ml_statement_newest(&select, &args) == 0)
		ml_error_model_gone(model);
	outlook->version = ml_result_int(0, 1, 0);
	outlook->threshold = ml_result_float(0, 2);
	outlook->deployment = ml_result_int(0, 3, 0);
	outlook->gated = ml_result_bool(0, 4);
	outlook->approvals = ml_result_int(0, 5, 0);
	metric = ml_result_text(0, 6);
	outlook->rules = ml_result_int(0, 7, 0);
	outlook->canary.version = ml_result_int(0, 8, 0);
	outlook->canary.threshold = ml_result_float(0, 9);
	outlook->canary.rules = ml_result_int(0, 10, 0);
	outlook->canary.deployment = ml_result_int(0, 11, 0);
	outlook->newest = Max(outlook->deployment, outlook->canary.deployment);
	outlook->share = ml_result_float(0, 12);
	outlook->heard = ml_result_bool(0, 13);
	outlook->metric = metric ? MemoryContextStrdup(caller, metric) : NULL;
	ml_registry_leave(&scope);
}

void
ml_promotion_candidate(const char *model, int version, MlCandidate *candidate)
{
	static MlStatement select = {
		"SELECT v.sha256, v.task, v.threshold, d.threshold, d.number, d.rules FROM mlops_catalog.version v "
		"LEFT JOIN LATERAL (SELECT l.threshold, l.number, l.rules FROM mlops_catalog.deployment l "
		"WHERE l.model OPERATOR(pg_catalog.=) $1 AND l.version OPERATOR(pg_catalog.=) $2 "
		"ORDER BY l.number DESC LIMIT 1) d ON true "
		"WHERE v.model OPERATOR(pg_catalog.=) $1 AND v.version OPERATOR(pg_catalog.=) $2"
	};
	MlArguments args = {0};
	bool		isnull;

	ml_bind_text(&args, model);
	ml_bind_int(&args, version);
	candidate->exists = ml_statement_run(&select, &args) > 0;
	if (!candidate->exists)
		return;
	memcpy(candidate->sha256, VARDATA_ANY(DatumGetByteaPP(ml_result_datum(0, 1, &isnull))),
		   ML_SHA256_LENGTH);
	candidate->task = ml_result_text(0, 2);
	candidate->binary = strcmp(candidate->task, "binary") == 0;
	candidate->proposed = ml_result_float(0, 3);
	candidate->last_served = ml_result_float(0, 4);
	candidate->has_served = ml_result_int(0, 5, 0) != 0;
	candidate->last_rules = ml_result_int(0, 6, 0);
}

/* inside the scope, which the error ends */
void
ml_promotion_require_candidate(const char *model, int version, const MlCandidate *candidate)
{
	static MlStatement tombstone = {
		"SELECT pg_catalog.format('It was dropped by role \"%s\": %s.', dropped_by, reason) "
		"FROM mlops_catalog.dropped_version "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2 "
		"ORDER BY dropped_at DESC LIMIT 1"
	};
	static MlStatement last_run = {
		"SELECT pg_catalog.format('Its last run: %s%s.', status, ', ' OPERATOR(pg_catalog.||) message) FROM ("
		"SELECT mlops.run_status(status, pid, backend_start) AS status, message "
		"FROM mlops_catalog.run WHERE model OPERATOR(pg_catalog.=) $1 "
		"ORDER BY started_at DESC LIMIT 1) r WHERE status OPERATOR(pg_catalog.<>) 'finished'"
	};
	char	   *versions;
	char	   *more = NULL;
	MlArguments of_version = {0};
	MlArguments of_model = {0};

	if (candidate->exists)
		return;
	versions = ml_version_ranges(model, ML_SIGHT_NOW);
	ml_bind_text(&of_version, model);
	ml_bind_int(&of_version, version);
	ml_bind_text(&of_model, model);
	if (ml_statement_run(&tombstone, &of_version) > 0 || ml_statement_run(&last_run, &of_model) > 0)
		more = ml_result_text(0, 1);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("version %d of model \"%s\" does not exist", version, model),
			 versions ?
			 errdetail("%s%sIts versions: %s.", more ? more : "", more ? " " : "", versions) :
			 errdetail("%s%sIt has no versions yet.", more ? more : "", more ? " " : ""),
			 versions ?
			 errhint("SELECT * FROM mlops.version WHERE model = %s describes them.",
					 quote_literal_cstr(model)) :
			 errhint("Train one with CALL mlops_train(%s, ...).", quote_literal_cstr(model))));
}

bool
ml_promotion_has_served(const char *model, int version, double threshold, int rules)
{
	static MlStatement select = {
		"SELECT 1 FROM (SELECT pg_catalog.max(d.number) AS number, "
		"pg_catalog.bool_or(NOT d.threshold IS DISTINCT FROM $3 AND NOT d.rules IS DISTINCT FROM $4) AS likewise FROM mlops_catalog.deployment d "
		"WHERE d.model OPERATOR(pg_catalog.=) $1 AND d.version OPERATOR(pg_catalog.=) $2 "
		"AND d.share OPERATOR(pg_catalog.=) 1) AS l "
		"WHERE l.likewise AND NOT EXISTS (SELECT 1 FROM mlops_catalog.deployment r "
		"WHERE r.model OPERATOR(pg_catalog.=) $1 AND r.action OPERATOR(pg_catalog.=) 'rollback' "
		"AND r.number OPERATOR(pg_catalog.>) l.number "
		"AND (r.restored_deployment OPERATOR(pg_catalog.<) l.number OR r.from_version OPERATOR(pg_catalog.=) $2)) "
		/* nor a monitor that fell back from it: its rollbacks are rollbacks */
		"AND NOT EXISTS (SELECT 1 FROM mlops_catalog.alert t JOIN mlops_catalog.deployment r "
		"ON r.model OPERATOR(pg_catalog.=) t.model AND r.number OPERATOR(pg_catalog.=) t.made "
		"WHERE t.model OPERATOR(pg_catalog.=) $1 AND t.made OPERATOR(pg_catalog.>) l.number "
		"AND r.from_version OPERATOR(pg_catalog.=) $2)"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_int(&args, version);
	ml_bind_float(&args, threshold);
	ml_bind_int_or_null(&args, rules, rules == 0);
	return ml_statement_run(&select, &args) > 0;
}

int
ml_promotion_rules(const MlCandidate *candidate, int asked, int serving, const char **why)
{
	*why = NULL;
	if (asked >= 0)
		return asked;
	*why = candidate->has_served ? "As when the version last served." : "As with what served until now.";
	return candidate->has_served ? candidate->last_rules : serving;
}

double
ml_promotion_threshold(const char *model, int version, const MlCandidate *candidate,
					   double asked, const char **why)
{
	*why = NULL;
	if (!candidate->binary)
	{
		if (!isnan(asked))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("version %d of model \"%s\" takes no threshold", version, model),
					 errdetail("threshold is %g; its task is %s, and only binary classes have one.",
							   asked, candidate->task),
					 errhint("Leave threshold out.")));
		return NAN;
	}
	if (!isnan(asked))
		return asked;
	if (!isnan(candidate->last_served))
	{
		*why = "It is the one that the version last served with.";
		return candidate->last_served;
	}
	if (!isnan(candidate->proposed))
	{
		*why = "It is the one that the version's training proposes.";
		return candidate->proposed;
	}
	*why = "The version has not served yet and proposes none.";
	return DEFAULT_THRESHOLD;
}

void
ml_promotion_prepare(MlGateHearing *hearing, double threshold, int rules)
{
	MlCandidate candidate;
	MlOutlook	outlook;
	MlRegistryScope scope;
	const char *why;

	ml_promotion_look(hearing->model, &outlook);
	ml_registry_enter(&scope);
	ml_promotion_candidate(hearing->model, hearing->version, &candidate);
	ml_promotion_require_candidate(hearing->model, hearing->version, &candidate);
	hearing->threshold = ml_promotion_threshold(hearing->model, hearing->version, &candidate, threshold, &why);
	hearing->rules = ml_promotion_rules(&candidate, rules, outlook.rules, &why);
	ml_registry_leave(&scope);
	hearing->champion = outlook.version;
	hearing->champion_threshold = outlook.threshold;
}
