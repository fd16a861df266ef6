/*
 * scope.c
 *		The extension's owner for the length of a catalog write.
 *
 * Between enter and leave statements run as the owner of the tables, under
 * search_path pg_catalog, pg_temp, and no SET ROLE is possible. An error
 * inside leaves cleaning up to the end of the (sub)transaction, which
 * restores user, settings and SPI.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "utils/guc.h"

/*
 * SPI makes its own context current; the caller gets back to his at leave, so
 * what must outlive the scope is allocated before or copied with SPI_palloc.
 */
void
ml_registry_enter(MlRegistryScope *scope)
{
	GetUserIdAndSecContext(&scope->user, &scope->security);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	SetUserIdAndSecContext(ml_catalog_owner(),
						   scope->security | SECURITY_LOCAL_USERID_CHANGE);
	scope->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

void
ml_registry_leave(MlRegistryScope *scope)
{
	AtEOXact_GUC(false, scope->guc_level);
	SetUserIdAndSecContext(scope->user, scope->security);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
}

void
ml_registry_require_writable(const char *what)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot %s on a standby server", what),
				 errdetail("This server is in recovery and replays what its primary wrote."),
				 errhint("Do it on the primary server; scoring works here.")));
	if (XactReadOnly)
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot %s in a read-only transaction", what),
				 errdetail("The setting \"transaction_read_only\" is on."),
				 errhint("Use a read-write transaction; scoring works here.")));
}
