/*
 * author.c
 *		The role that wrote a source, and reading as that role.
 *
 * A source that another role wrote is shut into a security-restricted
 * operation, as the server does for maintenance on other roles' tables. The
 * session stays the caller's, though: a temporary view of the caller would
 * stand in for a table that the source names, and what it calls would run as
 * the author. So a session that has temporary objects reads nobody else's
 * source.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "train/train.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"

/* what to do when the author of a source is lost */
static int
hint_own_source(const MlTraining *training)
{
	if (training->reproduced == 0)
		return errhint("Give a source of your own: changes => '{\"source\": \"...\"}'.");
	if (training->from_kept)
		return errhint("The version cannot be reproduced; mlops_rows('%s/%d') gives the rows that it kept, to train another from.",
					   training->model, training->reproduced);
	return errhint("The version cannot be reproduced; CALL mlops_retrain('%s/%d', '{\"source\": \"...\"}') trains another from a source of your own.",
				   training->model, training->reproduced);
}

/* the role that wrote the source, or InvalidOid if that is who trains */
static Oid
author_of(const MlTraining *training)
{
	Oid			author;

	if (training->spec.author == NULL)
		return InvalidOid;
	author = get_role_oid(training->spec.author, true);
	if (!OidIsValid(author))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\", who wrote the source, does not exist any more", training->spec.author),
				 hint_own_source(training)));
	if (author == GetUserId())
		return InvalidOid;
	if (!ml_privilege_has(training->model, author, ML_PRIVILEGE_TRAIN))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\", who wrote the source, may not train model \"%s\" any more",
						training->spec.author, training->model),
				 hint_own_source(training)));
	return author;
}

/* is there anything in the temporary schema of the session? */
static bool
has_temporary_objects(void)
{
	Oid			temporary;
	Oid			toast;
	Relation	depend;
	SysScanDesc scan;
	ScanKeyData key[2];
	bool		found;

	GetTempNamespaceState(&temporary, &toast);
	if (!OidIsValid(temporary))
		return false;
	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(NamespaceRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(temporary));
	depend = table_open(DependRelationId, AccessShareLock);
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, lengthof(key), key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return found;
}

void
ml_author_become(const MlTraining *training)
{
	Oid			author = author_of(training);
	Oid			user;
	int			security;

	if (!OidIsValid(author))
		return;
	if (has_temporary_objects())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the source that role \"%s\" wrote cannot be read in a session with temporary objects",
						training->spec.author),
				 errdetail("They could stand in for what the source names, and would run as \"%s\".",
						   training->spec.author),
				 errhint("DISCARD TEMP, or train in another session.")));
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(author, security | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
}
