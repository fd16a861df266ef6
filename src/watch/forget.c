/*
 * forget.c
 *		Erasing what is kept of a key: its predictions, its outcomes, and the rows that versions keep.
 *
 * Calls that still wait in shared memory are written first, as far as they can
 * be, so that they do not come after what erased them.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "log/log.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "validate/validate.h"
#include "watch/outcome.h"

#define WAIT_US		2000000L
#define NAP			5000L

PG_FUNCTION_INFO_V1(mlops_forget);

/* rows of the model and the key that go */
static int64
erase(MlStatement *statement, const char *model, const char *key)
{
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_text(&args, key);
	return (int64) ml_statement_run(statement, &args);
}

int64
ml_watch_forget(const char *model, const char *key)
{
	static MlStatement predictions = {
		"DELETE FROM mlops_catalog.prediction WHERE key OPERATOR(pg_catalog.=) $2 "
		"AND model OPERATOR(pg_catalog.=) $1"
	};
	static MlStatement outcomes = {
		"DELETE FROM mlops_catalog.outcome WHERE model OPERATOR(pg_catalog.=) $1 "
		"AND key OPERATOR(pg_catalog.=) $2"
	};
	char		logged[ML_KEY_BUFFER];
	MlRegistryScope scope;
	int64		n;

	for (long waited = 0; waited < WAIT_US && ml_ring_hurry(); waited += NAP)
	{
		CHECK_FOR_INTERRUPTS();
		pg_usleep(NAP);
	}
	(void) ml_score_key(key, strlen(key), logged);
	ml_registry_enter(&scope);
	n = erase(&predictions, model, logged);
	n += erase(&outcomes, model, logged);
	ml_registry_leave(&scope);
	return n;
}

/* ---- rows that versions keep ---- */

/* by the column that the spec calls the key; what a version was measured at stays */
static int64
forget_kept(const char *model, const char *key)
{
	static MlStatement kept = {
		"DELETE FROM mlops_catalog.kept_row AS k USING mlops_catalog.version AS v WHERE k.model OPERATOR(pg_catalog.=) $1 "
		"AND v.model OPERATOR(pg_catalog.=) k.model AND v.version OPERATOR(pg_catalog.=) k.version "
		"AND (k.data OPERATOR(pg_catalog.->>) (v.spec OPERATOR(pg_catalog.->>) 'key')) OPERATOR(pg_catalog.=) $2"
	};
	MlRegistryScope scope;
	int64		n;

	ml_registry_enter(&scope);
	n = erase(&kept, model, key);
	ml_registry_leave(&scope);
	return n;
}

/* whose rows they are is not known where the training was not told a key */
static void
tell_kept(const char *model)
{
	static MlStatement select = {
		"SELECT v.version::pg_catalog.text FROM mlops_catalog.version AS v WHERE v.model OPERATOR(pg_catalog.=) $1 "
		"AND (v.spec OPERATOR(pg_catalog.->>) 'key') IS NULL AND EXISTS (SELECT FROM mlops_catalog.kept_row AS k "
		"WHERE k.model OPERATOR(pg_catalog.=) v.model AND k.version OPERATOR(pg_catalog.=) v.version) ORDER BY v.version"
	};
	MlArguments args = {0};
	StringInfoData list;
	List	   *versions;
	ListCell   *cell;

	ml_bind_text(&args, model);
	versions = ml_registry_texts(&select, &args);
	if (versions == NIL)
		return;
	initStringInfo(&list);
	foreach(cell, versions)
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", (char *) lfirst(cell));
	ereport(NOTICE,
			(errmsg("versions of model \"%s\" keep rows in which a key could not be looked for", model),
			 errdetail("They were trained with keep_rows and without a key: %s.", list.data),
			 errhint("SELECT * FROM mlops_rows('%s/%s') shows them; mlops_drop_version drops a version with its rows.",
					 model, (char *) linitial(versions))));
}

/* mlops_forget(model, key): rows erased */
Datum
mlops_forget(PG_FUNCTION_ARGS)
{
	char	   *model;
	char	   *key;
	int64		n;

	ml_require_arguments(fcinfo);
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	key = text_to_cstring(PG_GETARG_TEXT_PP(1));
	ml_registry_require_writable("forget a key");
	ml_privilege_require(model, ML_PRIVILEGE_OWNER);
	n = ml_validate_forget(model, key) + ml_watch_forget(model, key) + forget_kept(model, key);
	tell_kept(model);
	PG_RETURN_INT64(n);
}
