/*
 * rule_row.c
 *		The rows of rule sets: inserted, never updated.
 *
 * Numbers are given under a lock on the model's row, not on the serving row: a
 * transaction that made rules and idles must not hold up a rollback.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "registry/rule_row.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* a number that stood in the history is not given again */
static int
next_number(const char *model)
{
	static MlStatement lock = {
		"SELECT 1 FROM mlops_catalog.model WHERE name OPERATOR(pg_catalog.=) $1 FOR NO KEY UPDATE"
	};
	static MlStatement select = {
		"SELECT GREATEST("
		"(SELECT pg_catalog.max(r.number) FROM mlops_catalog.rule_set r WHERE r.model OPERATOR(pg_catalog.=) $1), "
		"(SELECT pg_catalog.max(d.rules) FROM mlops_catalog.deployment d WHERE d.model OPERATOR(pg_catalog.=) $1), 0) "
		"OPERATOR(pg_catalog.+) 1"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	if (ml_statement_run(&lock, &args) == 0)
		ml_error_model_gone(model);
	ml_statement_run(&select, &args);
	return ml_result_int(0, 1, 1);
}

int
ml_registry_insert_rules(const char *model, const MlRuleSetRow *row)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.rule_set (model, number, sha256, program, rules, uses, note, created_by, checks) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
	};
	const char *created_by = GetUserNameFromId(GetUserId(), false);
	Datum	   *uses = palloc(sizeof(Datum) * Max(row->nuses, 1));
	uint8		digest[ML_SHA256_LENGTH];
	MlArguments args = {0};
	MlRegistryScope scope;
	int			number;

	for (int i = 0; i < row->nuses; i++)
		uses[i] = Int32GetDatum(row->uses[i]);
	ml_sha256(VARDATA_ANY(row->program), VARSIZE_ANY_EXHDR(row->program), digest);
	ml_registry_enter(&scope);
	number = next_number(model);
	ml_bind_text(&args, model);
	ml_bind_int(&args, number);
	ml_bind_bytes(&args, digest, ML_SHA256_LENGTH);
	ml_bind_bytes(&args, VARDATA_ANY(row->program), VARSIZE_ANY_EXHDR(row->program));
	ml_bind_jsonb(&args, row->rules);
	ml_bind_datum(&args, INT4ARRAYOID, PointerGetDatum(construct_array(uses, row->nuses, INT4OID, sizeof(int32), true,
																	   TYPALIGN_INT)), false);
	ml_bind_text(&args, row->note);
	ml_bind_text(&args, created_by);
	ml_bind_jsonb(&args, row->checks);
	ml_statement_run(&insert, &args);
	ml_registry_leave(&scope);
	return number;
}

static bytea *
copy_bytes(MemoryContext cxt, const bytea *bytes)
{
	bytea	   *copy = MemoryContextAlloc(cxt, VARHDRSZ + VARSIZE_ANY_EXHDR(bytes));

	SET_VARSIZE(copy, VARHDRSZ + VARSIZE_ANY_EXHDR(bytes));
	memcpy(VARDATA(copy), VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	return copy;
}

bool
ml_registry_find_rules(const char *model, int number, MlStoredRules *stored)
{
	static MlStatement select = {
		"SELECT sha256, program, rules FROM mlops_catalog.rule_set "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND number OPERATOR(pg_catalog.=) $2"
	};
	MemoryContext caller = CurrentMemoryContext;
	MlArguments args = {0};
	MlRegistryScope scope;
	bool		found;
	bool		isnull;

	ml_bind_text(&args, model);
	ml_bind_int(&args, number);
	ml_registry_enter(&scope);
	found = ml_statement_run(&select, &args) > 0;
	if (found)
	{
		memcpy(stored->sha256, VARDATA_ANY(DatumGetByteaPP(ml_result_datum(0, 1, &isnull))), ML_SHA256_LENGTH);
		stored->program = copy_bytes(caller, DatumGetByteaPP(ml_result_datum(0, 2, &isnull)));
		stored->rules = (Jsonb *) copy_bytes(caller, (bytea *) DatumGetJsonbP(ml_result_datum(0, 3, &isnull)));
	}
	ml_registry_leave(&scope);
	return found;
}

char *
ml_rule_set_numbers(const char *model)
{
	static MlStatement select = {
		"SELECT pg_catalog.string_agg(r.number::pg_catalog.text, ', ' ORDER BY r.number) "
		"FROM mlops_catalog.rule_set r WHERE r.model OPERATOR(pg_catalog.=) $1"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_statement_run(&select, &args);
	return ml_result_text(0, 1);
}

char *
ml_rule_set_uses(const char *model, int number)
{
	static MlStatement select = {
		"SELECT pg_catalog.string_agg(u.use, '; ' ORDER BY u.kind, u.use) FROM ("
		"SELECT 0 AS kind, 'it serves' AS use FROM mlops_catalog.serving s "
		"WHERE s.model OPERATOR(pg_catalog.=) $1 AND s.rules OPERATOR(pg_catalog.=) $2 "
		"UNION ALL SELECT 0, 'it serves with the canary' FROM mlops_catalog.serving s "
		"WHERE s.model OPERATOR(pg_catalog.=) $1 AND s.canary_rules OPERATOR(pg_catalog.=) $2 "
		"UNION ALL SELECT 1, pg_catalog.format('rollback stack, deployment %s', d.number) "
		"FROM mlops_catalog.serving s JOIN mlops_catalog.deployment d "
		"ON d.model OPERATOR(pg_catalog.=) s.model AND d.number OPERATOR(pg_catalog.=) ANY (s.stack) "
		"WHERE s.model OPERATOR(pg_catalog.=) $1 AND d.rules OPERATOR(pg_catalog.=) $2) u"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_int(&args, number);
	ml_statement_run(&select, &args);
	return ml_result_text(0, 1);
}

bool
ml_rule_set_delete(const char *model, int number)
{
	static MlStatement delete = {
		"DELETE FROM mlops_catalog.rule_set "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND number OPERATOR(pg_catalog.=) $2"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_int(&args, number);
	return ml_statement_run(&delete, &args) > 0;
}
