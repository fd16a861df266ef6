/*
 * serving.c
 *		The serving row: the one lock of promotion, rollback and dropping, and
 *		the only writes of what serves.
 *
 * Whoever decides locks this row first and reads everything else afterwards,
 * with a newer snapshot. Under REPEATABLE READ the lock itself fails (40001)
 * if the row changed since the transaction's snapshot.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "registry/registry_catalog.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"

/* plain words: inside a scope the nearest name would be looked for as the owner of all */
void
ml_error_model_gone(const char *model)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("model \"%s\" does not exist", model),
			 errdetail("It was dropped in the meantime."),
			 errhint("SELECT name FROM mlops.model lists the models that you may use.")));
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

void
ml_serving_changed(void)
{
	Relation	table = table_open(ml_catalog_oid("serving"), NoLock);

	CacheInvalidateRelcache(table);
	table_close(table, NoLock);
}
