/*
 * again.c
 *		Evaluations that are due: of the versions in use, on the newest editions.
 */
#include "postgres.h"

#include "access/xact.h"
#include "judge/hearing.h"
#include "miscadmin.h"
#include "registry/evidence.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#define EXAMPLE "SELECT * FROM mlops_evaluate('churn')"

/* one that fails leaves no trace but a warning; a cancel goes on */
static void
try_one(const char *version, const char *set)
{
	MemoryContext cxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	MlCase		question = {.model = version, .validation_set = set, .example = EXAMPLE};
	ErrorData  *error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(cxt);
	PG_TRY();
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		ml_evaluate(&question);
		PopActiveSnapshot();
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	CurrentResourceOwner = owner;
	if (error == NULL)
		return;
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
		ReThrowError(error);
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("\"%s\" was not evaluated on validation set \"%s\": %s", version, set, error->message),
			 error->detail ? errdetail("%s", error->detail) : 0));
	FreeErrorData(error);
}

void
ml_judge_set(const char *model, const char *set)
{
	List	   *versions;
	List	   *sets;
	ListCell   *version;

	ml_registry_evaluated(model, &versions, &sets);
	foreach(version, versions)
		try_one(lfirst(version), set);
}

void
ml_judge_again(const char *model)
{
	List	   *versions;
	List	   *sets;
	ListCell   *version;
	ListCell   *set;

	ml_registry_evaluated(model, &versions, &sets);
	foreach(version, versions)
		foreach(set, sets)
			try_one(lfirst(version), lfirst(set));
}
