/*
 * again.c
 *		Evaluations that are due: of the versions in use, on the newest editions.
 */
#include "postgres.h"

#include "attempt.h"
#include "judge/hearing.h"
#include "registry/evidence.h"
#include "utils/snapmgr.h"

#define EXAMPLE "SELECT * FROM mlops_evaluate('churn')"

static void
evaluate(void *arg)
{
	PushActiveSnapshot(GetTransactionSnapshot());
	ml_evaluate(arg);
	PopActiveSnapshot();
}

/* one that fails leaves no trace but a warning */
static void
try_one(const char *version, const char *set)
{
	MlCase		question = {.model = version, .validation_set = set, .example = EXAMPLE};
	ErrorData  *error = ml_attempt(evaluate, &question);

	if (error == NULL)
		return;
	ml_attempt_warn(error, psprintf("\"%s\" was not evaluated on validation set \"%s\"", version, set));
	FreeErrorData(error);
}

void
ml_judge_again(const char *model, const char *validation_set)
{
	List	   *versions;
	List	   *sets;
	ListCell   *version;
	ListCell   *set;

	ml_registry_evaluated(model, &versions, &sets);
	foreach(version, versions)
		foreach(set, sets)
			if (validation_set == NULL || strcmp(validation_set, lfirst(set)) == 0)
				try_one(lfirst(version), lfirst(set));
}

void
ml_judge_version(const char *model, int version)
{
	const char *reference = psprintf("%s/%d", model, version);
	List	   *versions;
	List	   *sets;
	ListCell   *set;

	ml_registry_evaluated(model, &versions, &sets);
	foreach(set, sets)
		try_one(reference, lfirst(set));
}
