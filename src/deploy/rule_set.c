/*
 * rule_set.c
 *		mlops_create_rules, mlops_drop_rules, and what a promotion asks of a
 *		rule set.
 *
 * Rules are checked against the active version, or the newest where none
 * serves, and again against the version that they are promoted with.
 */
#include "postgres.h"

#include "deploy/promotion.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "registry/rule_row.h"
#include "deploy/rule_set.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(mlops_create_rules);
PG_FUNCTION_INFO_V1(mlops_drop_rules);

/* ---- which version rules are checked against ---- */

static int
version_for_rules(const char *model)
{
	static MlStatement select = {
		"SELECT COALESCE(s.version, (SELECT pg_catalog.max(v.version) FROM mlops_catalog.version v "
		"WHERE v.model OPERATOR(pg_catalog.=) $1)) FROM mlops_catalog.serving s WHERE s.model OPERATOR(pg_catalog.=) $1"
	};
	MlArguments args = {0};
	MlRegistryScope scope;
	int			version = 0;

	ml_bind_text(&args, model);
	ml_registry_enter(&scope);
	if (ml_statement_run(&select, &args) > 0)
		version = ml_result_int(0, 1, 0);
	ml_registry_leave(&scope);
	if (version == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model \"%s\" has no version that rules could be checked against", model),
				 errdetail("It has no versions yet."),
				 errhint("Train one with CALL mlops_train(%s, ...).", quote_literal_cstr(model))));
	return version;
}

const MlModel *
ml_rules_model(const char *model, int *version)
{
	MlReference reference = {{0}};
	MlResolved	resolved;

	*version = version_for_rules(model);
	strlcpy(reference.model, model, NAMEDATALEN);
	reference.version = *version;
	return ml_registry_model(&reference, ML_PRIVILEGE_PREDICT, CurrentMemoryContext, &resolved);
}

double
ml_rules_threshold(const char *model, int version)
{
	MlReference reference = {{0}};
	MlResolved	resolved;
	MlOutlook	outlook;

	ml_promotion_look(model, &outlook);
	strlcpy(reference.model, model, NAMEDATALEN);
	reference.version = outlook.version == version ? 0 : version;
	ml_registry_resolve(&reference, ML_PRIVILEGE_PREDICT, &resolved);
	return resolved.threshold;
}

char *
ml_rules_numbers(const char *model)
{
	MemoryContext caller = CurrentMemoryContext;
	MlRegistryScope scope;
	char	   *numbers;

	ml_registry_enter(&scope);
	numbers = ml_rule_set_numbers(model);
	if (numbers)
		numbers = MemoryContextStrdup(caller, numbers);
	ml_registry_leave(&scope);
	return numbers;
}

char *
ml_rules_check_arguments(FunctionCallInfo fcinfo, char **source)
{
	char	   *model;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "rules");
	ml_require_argument(fcinfo, 2, "source");
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ml_privilege_require(model, ML_PRIVILEGE_READ);
	*source = ml_source_query(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	return model;
}

/* ---- creating ---- */

/* every version that a rule names is there; it cannot be dropped from now on */
static void
take_uses(const char *model, const MlRuleProgram *program, MlRuleSetRow *row)
{
	row->uses = palloc(sizeof(int) * Max(program->nrules, 1));
	for (int i = 0; i < program->nrules; i++)
	{
		const MlRule *rule = &program->rule[i];
		MlCandidate candidate;
		MlRegistryScope scope;

		if (rule->action != ML_RULE_USE || rule->version == ML_RULE_FALLBACK)
			continue;
		ml_registry_enter(&scope);
		ml_promotion_candidate(model, rule->version, &candidate);
		ml_promotion_require_candidate(model, rule->version, &candidate);
		ml_registry_leave(&scope);
		row->uses[row->nuses++] = rule->version;
	}
}

static void
tell_labels(const char *model, const MlRuleProgram *program, const MlTarget *target)
{
	for (int i = 0; i < program->nrules; i++)
	{
		const MlRule *rule = &program->rule[i];
		int			c = 0;

		if (rule->action != ML_RULE_LABEL || target->nclasses == 0)
			continue;
		while (c < target->nclasses && strcmp(target->class_label[c], rule->label.bytes) != 0)
			c++;
		if (c == target->nclasses)
			ereport(NOTICE,
					(errmsg("rule \"%s\" gives a label that is no class of model \"%s\": \"%s\"", rule->name, model,
							rule->label.bytes),
					 errhint("That may be meant, as \"review\" is.")));
	}
}

/* mlops_create_rules(model text, rules jsonb, note text, checks jsonb) */
Datum
mlops_create_rules(PG_FUNCTION_ARGS)
{
	MlRuleSetRow row = {0};
	MlRuleProgram *program;
	const MlModel *version_model;
	char	   *model;
	int			version;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "rules");
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	row.rules = PG_GETARG_JSONB_P(1);
	row.note = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	row.checks = PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3);
	ml_registry_require_writable("create rules");
	ml_privilege_require(model, ML_PRIVILEGE_PROMOTE);
	version_model = ml_rules_model(model, &version);
	program = ml_rules_read(row.rules, row.checks, version_model, &row.program);
	take_uses(model, program, &row);
	tell_labels(model, program, &version_model->recipe->target);
	PG_RETURN_INT32(ml_registry_insert_rules(model, &row));
}

/* ---- dropping ---- */

/* inside a scope: its words are those of plain facts */
void
ml_error_no_rules(const char *model, int number, const char *numbers)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("model \"%s\" has no rule set %d", model, number),
			 numbers ? errdetail("Its rule sets: %s.", numbers) : errdetail("It has no rule sets."),
			 errhint("Make one with mlops_create_rules(%s, rules).", quote_literal_cstr(model))));
	pg_unreachable();
}

/* mlops_drop_rules(model text, rules int) */
Datum
mlops_drop_rules(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	MlRegistryScope scope;
	char	   *model;
	char	   *uses;
	int			number;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "rules");
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	number = PG_GETARG_INT32(1);
	ml_registry_require_writable("drop rules");
	ml_privilege_require(model, ML_PRIVILEGE_PROMOTE);
	ml_registry_enter(&scope);
	(void) ml_serving_lock(model);
	uses = ml_rule_set_uses(model, number);
	if (uses != NULL)
		uses = MemoryContextStrdup(caller, uses);
	else if (!ml_rule_set_delete(model, number))
		ml_error_no_rules(model, number, ml_rule_set_numbers(model));
	ml_registry_leave(&scope);
	if (uses != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("cannot drop rule set %d of model \"%s\": it is in use", number, model),
				 errdetail("Its uses: %s.", uses),
				 errhint("Serve with other rules first: mlops_promote(%s, version, rules => 0); "
						 "a bundle leaves the rollback stack after mlops.rollback_depth promotions.",
						 quote_literal_cstr(model))));
	PG_RETURN_VOID();
}

/* ---- promoting ---- */

static bytea *
load_artifact(void *arg)
{
	return ml_registry_artifact((const MlResolved *) arg);
}

/* a new snapshot: the version may be younger than the statement */
static const MlModel *
model_of(const char *model, int version, const MlCandidate *candidate)
{
	MlResolved	resolved = {{0}};
	const MlModel *result;

	strlcpy(resolved.model, model, NAMEDATALEN);
	resolved.version = version;
	memcpy(resolved.sha256, candidate->sha256, ML_SHA256_LENGTH);
	PushActiveSnapshot(GetTransactionSnapshot());
	result = ml_model_acquire(resolved.sha256, load_artifact, &resolved, CurrentMemoryContext);
	PopActiveSnapshot();
	return result;
}

/* the fallback may become another version at any time, and is not looked at */
static void
check_used(const MlRuleProgram *program, int number, const MlModel *version_model, const char *model)
{
	for (int i = 0; i < program->nrules; i++)
	{
		int			version = program->rule[i].version;
		MlCandidate candidate;

		if (program->rule[i].action != ML_RULE_USE || version == ML_RULE_FALLBACK)
			continue;
		ml_promotion_candidate(model, version, &candidate);
		ml_promotion_require_candidate(model, version, &candidate);
		ml_rule_check_used(program, number, version_model, model_of(model, version, &candidate), model, version);
	}
}

void
ml_promotion_require_rules(const char *model, int version, const MlCandidate *candidate, int rules, uint8 *sha256)
{
	MlStoredRules stored;
	MlRuleProgram *program;
	const MlModel *version_model;

	if (!ml_registry_find_rules(model, rules, &stored))
		ml_error_no_rules(model, rules, ml_rule_set_numbers(model));
	program = ml_rules_load(VARDATA_ANY(stored.program), VARSIZE_ANY_EXHDR(stored.program));
	version_model = model_of(model, version, candidate);
	ml_rule_check_model(program, rules, version_model, model, version);
	check_used(program, rules, version_model, model);
	memcpy(sha256, stored.sha256, ML_SHA256_LENGTH);
}
