/*
 * task.c
 *		Names of tasks, as SQL and the registry write them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "recipe/task.h"
#include "utils/array.h"
#include "utils/builtins.h"

static const struct
{
	MlTask		task;
	const char *name;
}			known[] = {
	{ML_TASK_REGRESSION, "regression"},
	{ML_TASK_BINARY, "binary"},
	{ML_TASK_MULTICLASS, "multiclass"},
	{ML_TASK_CLUSTER, "cluster"},
	{ML_TASK_ANOMALY, "anomaly"},
	{ML_TASK_PROJECTION, "projection"}
};

const char *
ml_task_name(MlTask task)
{
	for (int i = 0; i < (int) lengthof(known); i++)
		if (known[i].task == task)
			return known[i].name;
	elog(ERROR, "unknown task %d", (int) task);
	return NULL;				/* keep the compiler quiet */
}

uint32
ml_task_find(const char *name)
{
	for (int i = 0; i < (int) lengthof(known); i++)
		if (strcmp(known[i].name, name) == 0)
			return known[i].task;
	return 0;
}

char **
ml_task_list(uint32 tasks, int *n)
{
	char	  **name = palloc(sizeof(char *) * lengthof(known));

	*n = 0;
	for (int i = 0; i < (int) lengthof(known); i++)
		if (tasks & known[i].task)
			name[(*n)++] = pstrdup(known[i].name);
	return name;
}

Datum
ml_task_names(uint32 tasks)
{
	Datum		name[lengthof(known)];
	int			n = 0;

	for (int i = 0; i < (int) lengthof(known); i++)
		if (tasks & known[i].task)
			name[n++] = CStringGetTextDatum(known[i].name);
	return PointerGetDatum(construct_array(name, n, TEXTOID, -1, false, TYPALIGN_INT));
}
