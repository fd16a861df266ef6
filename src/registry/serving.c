/*
 * serving.c
 *		The serving row: the one lock of promotion, rollback and dropping, and
 *		the only writes of what serves.
 *
 * Nothing caches what serves, so writing it sends no invalidation: every
 * statement that scores reads the row itself. An invalidation would make each
 * promotion plan its own statements anew.
 *
 * Whoever decides locks this row first and reads everything else afterwards,
 * with a newer snapshot. Under REPEATABLE READ the lock itself fails (40001)
 * if the row changed since the transaction's snapshot.
 */
#include "postgres.h"

#include "registry/registry_catalog.h"

/* plain words: inside a scope the nearest name would be looked for as the owner of all */
void
ml_error_model_gone(const char *model)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("model \"%s\" does not exist", model),
			 errdetail("It was dropped in the meantime."),
			 errhint("SELECT model FROM mlops.model lists the models that you may use.")));
	pg_unreachable();
}

int
ml_serving_lock(const char *model)
{
	static MlStatement select = {
		"SELECT version FROM mlops_catalog.serving "
		"WHERE model OPERATOR(pg_catalog.=) $1 FOR NO KEY UPDATE"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	if (ml_statement_run(&select, &args) == 0)
		ml_error_model_gone(model);
	return ml_result_int(0, 1, 0);
}
