/*
 * author.c
 *		Running a stored piece of SQL as the role that wrote it.
 *
 * What another role wrote is shut into a security-restricted operation, as the
 * server does for maintenance on other roles' tables. The session stays the
 * caller's, though: a temporary view of the caller would stand in for a table
 * that the text names, and what it calls would run as the author. So a session
 * that has temporary objects runs nobody else's SQL.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "json.h"
#include "miscadmin.h"
#include "registry/author.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"

#define LONGEST_WAIT_MS	5000

const char *const ml_setting_names[ML_NSETTINGS] = {
	"search_path", "TimeZone", "DateStyle", "IntervalStyle", "extra_float_digits", "standard_conforming_strings",
	"transform_null_equals"
};

/* ---- who, and under which settings ---- */

void
ml_author_here(MlAuthor *author)
{
	author->role = GetUserNameFromId(GetUserId(), false);
	for (int i = 0; i < ML_NSETTINGS; i++)
		author->settings[i] = pstrdup(GetConfigOption(ml_setting_names[i], false, false));
}

Jsonb *
ml_author_settings_json(const MlAuthor *author)
{
	MlJson		json = {0};

	ml_json_begin_object(&json);
	for (int i = 0; i < ML_NSETTINGS; i++)
		ml_json_put_text(&json, ml_setting_names[i], author->settings[i]);
	ml_json_end_object(&json);
	return ml_json_finish(&json);
}

void
ml_author_read(MlAuthor *author, const char *role, Jsonb *settings)
{
	memset(author, 0, sizeof(MlAuthor));
	author->role = pstrdup(role);
	for (int i = 0; i < ML_NSETTINGS; i++)
	{
		JsonbValue	value;

		if (ml_json_find(settings, ml_setting_names[i], &value) && value.type == jbvString)
			author->settings[i] = ml_json_string(&value);
	}
}

/* ---- becoming the author ---- */

/* the role that wrote it, or InvalidOid if that is the current user */
static Oid
author_of(const char *role, const MlAuthored *what)
{
	Oid			author;

	if (role == NULL)
		return InvalidOid;
	author = get_role_oid(role, true);
	if (!OidIsValid(author))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\", who wrote %s, does not exist any more", role, what->what),
				 errdetail("It runs as the role that wrote it."),
				 errhint("%s", what->hint)));
	if (author == GetUserId())
		return InvalidOid;
	if (!ml_privilege_has(what->model, author, what->privilege))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\", who wrote %s, may not %s model \"%s\" any more",
						role, what->what,
						what->privilege == ML_PRIVILEGE_TRAIN ? "train" :
						what->privilege == ML_PRIVILEGE_PROMOTE ? "promote versions of" : "read",
						what->model),
				 errdetail("It runs as the role that wrote it, with the privileges that this role has now."),
				 errhint("%s", what->hint)));
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
ml_author_become(const char *role, const MlAuthored *what)
{
	Oid			author = author_of(role, what);
	Oid			user;
	int			security;

	if (!OidIsValid(author))
		return;
	if (has_temporary_objects())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s that role \"%s\" wrote cannot be read in a session with temporary objects",
						what->what, role),
				 errdetail("They could stand in for what it names, and would run as \"%s\".", role),
				 errhint("DISCARD TEMP, or do it in another session.")));
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(author, security | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
}

/* GUC_ACTION_SAVE would be refused for transaction_read_only by newer servers */
void
ml_author_set(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

int
ml_author_hurry(void)
{
	int			level = NewGUCNestLevel();

	if (LockTimeout == 0 || LockTimeout > LONGEST_WAIT_MS)
		ml_author_set("lock_timeout", CppAsString2(LONGEST_WAIT_MS));
	return level;
}

void
ml_author_enter(const MlAuthor *author, const MlAuthored *what, MlAuthorScope *scope)
{
	GetUserIdAndSecContext(&scope->user, &scope->security);
	CommandCounterIncrement();
	scope->command = GetCurrentCommandId(false);
	scope->level = NewGUCNestLevel();
	for (int i = 0; i < ML_NSETTINGS; i++)
		if (author->settings[i] != NULL)
			ml_author_set(ml_setting_names[i], author->settings[i]);
	ml_author_become(author->role, what);
	ml_author_set("transaction_read_only", "on");
}

/*
 * Servers before 16 let RESET transaction_read_only through. Who writes then
 * may set it again, but not take back that a command has written. What the
 * current user wrote may write to his own temporary tables.
 */
static void
refuse_written(const MlAuthorScope *scope)
{
	bool		written = false;

	if (GetUserId() != scope->user)
	{
		CommandCounterIncrement();
		written = GetCurrentCommandId(false) != scope->command;
	}
	if (XactReadOnly && !written)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
			 errmsg("a stored piece of SQL may only read"),
			 written ? errdetail("What role \"%s\" wrote has changed the database; it is taken back.",
								 GetUserNameFromId(GetUserId(), true)) :
			 errdetail("What role \"%s\" wrote has reset transaction_read_only.", GetUserNameFromId(GetUserId(), true)),
			 errhint("Take out of it what writes, or the functions that do.")));
}

void
ml_author_leave(const MlAuthorScope *scope)
{
	refuse_written(scope);
	SetUserIdAndSecContext(scope->user, scope->security);
	/* rolled back: nothing that the text sets may stay */
	AtEOXact_GUC(false, scope->level);
}
