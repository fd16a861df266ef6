/*
 * approval.c
 *		mlops_approve, and a second pair of eyes before a promotion.
 *
 * A model with the setting approvals => n is promoted only after n roles other
 * than the one that promotes have approved the version. They need the
 * privilege to promote it themselves, at the promotion too: an approval of
 * somebody who left is none. force does not stand in for a colleague. Roles of
 * which one is a member of the other are one pair of eyes: a member can act as
 * its group.
 */
#include "postgres.h"

#include "deploy/promotion.h"
#include "errors.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "utils/acl.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(mlops_approve);

static bool
may_be_one(Oid a, Oid b)
{
	return is_member_of_role_nosuper(a, b) || is_member_of_role_nosuper(b, a);
}

/* did a member of the role, who can act as it, approve too? */
static bool
has_member(Oid role, List *names)
{
	ListCell   *cell;

	foreach(cell, names)
	{
		Oid			other = get_role_oid(lfirst(cell), true);

		if (OidIsValid(other) && other != role && is_member_of_role_nosuper(other, role))
			return true;
	}
	return false;
}

/* names: all that have approved */
static bool
counts(const char *model, const char *name, List *names)
{
	Oid			role = get_role_oid(name, true);

	return OidIsValid(role) && !may_be_one(role, GetUserId()) && !has_member(role, names) &&
		ml_privilege_has(model, role, ML_PRIVILEGE_PROMOTE);
}

List *
ml_approvals_require(const char *model, int version, int required)
{
	List	   *names = required > 0 ? ml_registry_approvers(model, version) : NIL;
	List	   *found = NIL;
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, names)
	{
		bool		good = counts(model, lfirst(cell), names);

		if (good)
			found = lappend(found, lfirst(cell));
		appendStringInfo(&list, "%s\"%s\"%s", list.len > 0 ? ", " : "", (const char *) lfirst(cell),
						 good ? "" : " (does not count)");
	}
	if (list_length(found) >= required)
		return found;
	ereport(ERROR,
			(errcode(ERRCODE_ML_GATE_FAILED),
			 errmsg("version %d of model \"%s\" has not been approved", version, model),
			 errdetail_plural("The model asks for %d approval by another role than \"%s\"; found: %s.",
							  "The model asks for %d approvals by other roles than \"%s\"; found: %s.",
							  required, required, GetUserNameFromId(GetUserId(), false),
							  names == NIL ? "none" : list.data),
			 errhint("Another role with the privilege promote calls mlops_approve(%s, %d).",
					 quote_literal_cstr(model), version)));
	return NIL;					/* keep the compiler quiet */
}

/* mlops_approve(model text, version int, note text) */
Datum
mlops_approve(PG_FUNCTION_ARGS)
{
	char	   *model;
	int			version;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "version");
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	version = PG_GETARG_INT32(1);
	ml_registry_require_writable("approve a version");
	ml_privilege_require(model, ML_PRIVILEGE_PROMOTE);
	if (!ml_registry_approve(model, version, PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2))))
		ml_error_no_version(model, version, ML_SIGHT_NOW);
	PG_RETURN_VOID();
}
