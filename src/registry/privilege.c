/*
 * privilege.c
 *		Who may do what with a model.
 *
 * Roles are kept by name, as dumps carry them: a role that is dropped and made
 * again gets the old one's rights on models. Membership counts as it does for
 * the server's own objects, and a superuser may do everything.
 */
#include "postgres.h"

#include "access/xact.h"
#include "compat.h"
#include "errors.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#define PUBLIC_GRANTEE "public"

typedef struct PrivilegeName
{
	const char *name;
	MlPrivilege privilege;
	uint32		given_by;		/* bit set of the grants that give it */
} PrivilegeName;

#define BIT(privilege) (1U << (privilege))

/* the grants, from much to little; the owner needs none */
static const PrivilegeName privilege_names[] = {
	{"train", ML_PRIVILEGE_TRAIN, BIT(ML_PRIVILEGE_TRAIN)},
	{"promote", ML_PRIVILEGE_PROMOTE, BIT(ML_PRIVILEGE_PROMOTE)},
	{"read", ML_PRIVILEGE_READ,
		BIT(ML_PRIVILEGE_READ) | BIT(ML_PRIVILEGE_TRAIN) | BIT(ML_PRIVILEGE_PROMOTE)},
	{"predict", ML_PRIVILEGE_PREDICT,
		BIT(ML_PRIVILEGE_PREDICT) | BIT(ML_PRIVILEGE_READ) |
		BIT(ML_PRIVILEGE_TRAIN) | BIT(ML_PRIVILEGE_PROMOTE)}
};

static const PrivilegeName *
find_by_name(const char *name)
{
	for (int i = 0; i < lengthof(privilege_names); i++)
		if (strcmp(privilege_names[i].name, name) == 0)
			return &privilege_names[i];
	return NULL;
}

static const PrivilegeName *
find_by_value(MlPrivilege privilege)
{
	for (int i = 0; i < lengthof(privilege_names); i++)
		if (privilege_names[i].privilege == privilege)
			return &privilege_names[i];
	return NULL;
}

static bool
belongs_to(Oid user, const char *role)
{
	Oid			oid = get_role_oid(role, true);

	return OidIsValid(oid) && has_privs_of_role(user, oid);
}

/* does one row of mlops_catalog.privilege give it? */
static bool
grant_gives(MlScan *scan, HeapTuple tuple, Oid user, uint32 given_by)
{
	char	   *name = ml_column_text(scan, tuple, Anum_ml_privilege_privilege);
	const PrivilegeName *granted = find_by_name(name);
	char	   *grantee;
	bool		gives;

	pfree(name);
	if (granted == NULL || (given_by & BIT(granted->privilege)) == 0)
		return false;
	grantee = ml_column_text(scan, tuple, Anum_ml_privilege_grantee);
	gives = strcmp(grantee, PUBLIC_GRANTEE) == 0 || belongs_to(user, grantee);
	pfree(grantee);
	return gives;
}

/* the owner of a model as text, or NULL if there is no such model */
static char *
model_owner(text *model, MlSight sight)
{
	ScanKeyData key[1];
	MlScan		scan;
	HeapTuple	tuple;
	char	   *owner = NULL;

	ml_key_text(key, 0, Anum_ml_model_name, model);
	ml_scan_begin(&scan, sight, "model", "model_pkey", key, 1);
	tuple = ml_scan_next(&scan);
	if (HeapTupleIsValid(tuple))
		owner = ml_column_text(&scan, tuple, Anum_ml_model_owner);
	ml_scan_end(&scan);
	return owner;
}

static bool
has_grant(text *model, Oid user, uint32 given_by, MlSight sight)
{
	ScanKeyData key[1];
	MlScan		scan;
	HeapTuple	tuple;
	bool		gives = false;

	ml_key_text(key, 0, Anum_ml_privilege_model, model);
	ml_scan_begin(&scan, sight, "privilege", "privilege_pkey", key, 1);
	while (!gives && HeapTupleIsValid(tuple = ml_scan_next(&scan)))
	{
		CHECK_FOR_INTERRUPTS();
		gives = grant_gives(&scan, tuple, user, given_by);
	}
	ml_scan_end(&scan);
	return gives;
}

bool
ml_privilege_has_by(const char *model, Oid user, MlPrivilege privilege,
					MlSight sight, bool *exists)
{
	text	   *name = cstring_to_text(model);
	char	   *owner = model_owner(name, sight);
	bool		has = false;

	*exists = owner != NULL;
	if (owner != NULL)
	{
		has = superuser_arg(user) || belongs_to(user, owner);
		if (!has && privilege != ML_PRIVILEGE_OWNER)
			has = has_grant(name, user, find_by_value(privilege)->given_by, sight);
		pfree(owner);
	}
	pfree(name);
	return has;
}

bool
ml_privilege_has(const char *model, Oid user, MlPrivilege privilege)
{
	bool		exists;

	return ml_privilege_has_by(model, user, privilege, ML_SIGHT_STATEMENT, &exists);
}

static void
refuse(const char *model, MlPrivilege privilege)
{
	const char *role = GetUserNameFromId(GetUserId(), false);

	if (privilege == ML_PRIVILEGE_OWNER)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of model \"%s\"", model),
				 errdetail("Role \"%s\" is neither its owner nor a member of the owning role.", role),
				 errhint("Ask its owner, who is shown in the view mlops.model.")));
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for model \"%s\"", model),
			 errdetail("Role \"%s\" needs the privilege \"%s\" on it.",
					   role, find_by_value(privilege)->name),
			 errhint("Its owner can call mlops_grant(%s, %s, '%s').",
					 quote_literal_cstr(model), quote_literal_cstr(role),
					 find_by_value(privilege)->name)));
}

void
ml_privilege_check(const char *model, MlPrivilege privilege, MlSight sight)
{
	bool		exists;

	if (ml_privilege_has_by(model, GetUserId(), privilege, sight, &exists))
		return;
	if (!exists)
		ml_error_no_model(model, sight);
	refuse(model, privilege);
}

/*
 * For every statement that scores. Read with the latest snapshot, not with the
 * statement's, which may be older than a revocation whose invalidation was
 * taken in already: such an answer must not be kept.
 */
void
ml_privilege_check_scoring(const char *model, MlPrivilege privilege)
{
	Oid			user = GetUserId();
	uint64		generation;
	bool		exists;
	bool		has;

	if (ml_known_privilege(model, user, privilege))
		return;
	if (!IsInParallelMode())
	{
		generation = ml_known_generation();
		PushActiveSnapshot(GetLatestSnapshot());
		has = ml_privilege_has_by(model, user, privilege, ML_SIGHT_STATEMENT, &exists);
		PopActiveSnapshot();
		if (has)
		{
			ml_know_privilege(model, user, privilege, generation);
			return;
		}
	}
	ml_privilege_check(model, privilege, ML_SIGHT_STATEMENT);
}

void
ml_privilege_require(const char *model, MlPrivilege privilege)
{
	ml_privilege_check(model, privilege, ML_SIGHT_NOW);
}

void
ml_error_no_model(const char *model, MlSight sight)
{
	MlNearest	nearest;
	MlScan		scan;
	HeapTuple	tuple;
	bool		any = false;

	ml_nearest_begin(&nearest, model);
	ml_scan_begin(&scan, sight, "model", "model_pkey", NULL, 0);
	while (HeapTupleIsValid(tuple = ml_scan_next(&scan)))
	{
		char	   *name = ml_column_text(&scan, tuple, Anum_ml_model_name);
		bool		exists;

		CHECK_FOR_INTERRUPTS();
		if (!ml_privilege_has_by(name, GetUserId(), ML_PRIVILEGE_PREDICT, sight, &exists))
			continue;
		any = true;
		ml_nearest_offer(&nearest, name);
	}
	ml_scan_end(&scan);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("model \"%s\" does not exist", model),
			 nearest.best ? errhint("Perhaps you meant the model \"%s\".", nearest.best) :
			 any ? errhint("SELECT model FROM mlops.model lists the models that you may use.") :
			 errhint("CALL mlops_train(...) makes a model and its first version.")));
	pg_unreachable();
}

/* ---- SQL ---- */

PG_FUNCTION_INFO_V1(mlops_grant);
PG_FUNCTION_INFO_V1(mlops_revoke);
PG_FUNCTION_INFO_V1(mlops_may);
PG_FUNCTION_INFO_V1(mlops_require);

static const char *
check_privilege_name(const char *name)
{
	const PrivilegeName *found = find_by_name(name);
	MlNearest	nearest;

	if (found != NULL)
		return found->name;
	ml_nearest_begin(&nearest, name);
	for (int i = 0; i < lengthof(privilege_names); i++)
		ml_nearest_offer(&nearest, privilege_names[i].name);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown privilege \"%s\"", name),
			 errdetail("The privileges on a model are train, promote, read and predict."),
			 nearest.best ? errhint("Perhaps you meant \"%s\".", nearest.best) :
			 errhint("As in mlops_grant('churn', 'analyst', 'predict').")));
	pg_unreachable();
}

/* mlops_grant(model text, role text, privilege text) */
Datum
mlops_grant(PG_FUNCTION_ARGS)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.privilege (model, grantee, privilege, grantor) "
		"VALUES ($1, $2, $3, $4) ON CONFLICT (model, grantee, privilege) DO NOTHING"
	};
	char	   *model;
	char	   *role;
	const char *privilege;
	MlArguments args = {0};

	ml_require_arguments(fcinfo);
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	role = text_to_cstring(PG_GETARG_TEXT_PP(1));
	privilege = check_privilege_name(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	ml_registry_require_writable("grant a privilege");
	ml_privilege_require(model, ML_PRIVILEGE_OWNER);
	if (strcmp(role, PUBLIC_GRANTEE) != 0 && !OidIsValid(get_role_oid(role, true)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\" does not exist", role),
				 errdetail("The privilege \"%s\" on model \"%s\" was not granted.", privilege, model),
				 errhint("Write the role's name exactly as the server keeps it, or 'public' for everybody.")));
	ml_bind_text(&args, model);
	ml_bind_text(&args, role);
	ml_bind_text(&args, privilege);
	ml_bind_text(&args, GetUserNameFromId(GetUserId(), false));
	ml_registry_run(&insert, &args);
	PG_RETURN_VOID();
}

/* mlops_revoke(model text, role text, privilege text); the role may be gone already */
Datum
mlops_revoke(PG_FUNCTION_ARGS)
{
	static MlStatement delete = {
		"DELETE FROM mlops_catalog.privilege "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND grantee OPERATOR(pg_catalog.=) $2 "
		"AND privilege OPERATOR(pg_catalog.=) $3"
	};
	char	   *model;
	char	   *role;
	const char *privilege;
	MlArguments args = {0};
	MlRegistryScope scope;
	uint64		n;

	ml_require_arguments(fcinfo);
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	role = text_to_cstring(PG_GETARG_TEXT_PP(1));
	privilege = check_privilege_name(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	ml_registry_require_writable("revoke a privilege");
	ml_privilege_require(model, ML_PRIVILEGE_OWNER);
	ml_bind_text(&args, model);
	ml_bind_text(&args, role);
	ml_bind_text(&args, privilege);
	ml_registry_enter(&scope);
	n = ml_statement_run(&delete, &args);
	ml_privileges_changed();
	ml_registry_leave(&scope);
	if (n == 0)
		ereport(NOTICE,
				(errmsg("role \"%s\" has no grant of \"%s\" on model \"%s\"",
						role, privilege, model)));
	PG_RETURN_VOID();
}

/* what a view asked last, for the length of one query */
typedef struct LastAnswer
{
	Oid			user;
	char		model[NAMEDATALEN];
	MlPrivilege privilege;
	bool		answer;
} LastAnswer;

/* mlops.may(model text, privilege text): filters the views of schema mlops */
Datum
mlops_may(PG_FUNCTION_ARGS)
{
	text	   *name = PG_GETARG_TEXT_PP(0);
	text	   *word = PG_GETARG_TEXT_PP(1);
	LastAnswer *last = fcinfo->flinfo->fn_extra;
	char		model[NAMEDATALEN];
	const PrivilegeName *privilege;

	if (VARSIZE_ANY_EXHDR(name) >= NAMEDATALEN)
		PG_RETURN_BOOL(false);
	text_to_cstring_buffer(name, model, sizeof(model));
	privilege = find_by_name(check_privilege_name(text_to_cstring(word)));
	if (last == NULL)
	{
		last = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(LastAnswer));
		fcinfo->flinfo->fn_extra = last;
	}
	if (last->user != GetUserId() || last->privilege != privilege->privilege ||
		strcmp(last->model, model) != 0)
	{
		last->answer = ml_privilege_has(model, GetUserId(), privilege->privilege);
		last->user = GetUserId();
		last->privilege = privilege->privilege;
		strlcpy(last->model, model, sizeof(last->model));
	}
	PG_RETURN_BOOL(last->answer);
}

/* mlops.require(model text, privilege text): for functions in SQL, the errors of those in C */
Datum
mlops_require(PG_FUNCTION_ARGS)
{
	const PrivilegeName *privilege;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "privilege");
	privilege = find_by_name(check_privilege_name(text_to_cstring(PG_GETARG_TEXT_PP(1))));
	ml_privilege_require(text_to_cstring(PG_GETARG_TEXT_PP(0)), privilege->privilege);
	PG_RETURN_VOID();
}
