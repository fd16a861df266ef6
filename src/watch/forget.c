/*
 * forget.c
 *		Erasing what is kept of a key: its predictions and its outcomes.
 *
 * Calls that still wait in shared memory are written first, as far as they can
 * be, so that they do not come after what erased them.
 */
#include "postgres.h"

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

/* mlops_forget(model, key): rows erased */
Datum
mlops_forget(PG_FUNCTION_ARGS)
{
	char	   *model;
	char	   *key;

	ml_require_arguments(fcinfo);
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	key = text_to_cstring(PG_GETARG_TEXT_PP(1));
	ml_registry_require_writable("forget a key");
	ml_privilege_require(model, ML_PRIVILEGE_OWNER);
	PG_RETURN_INT64(ml_validate_forget(model, key) + ml_watch_forget(model, key));
}
