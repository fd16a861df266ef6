/*
 * task.h
 *		Names of tasks, as SQL and the registry write them.
 */
#ifndef ML_TASK_H
#define ML_TASK_H

#include "postgres.h"

#include "recipe/recipe.h"

extern const char *ml_task_name(MlTask task);

/* the task of that name, or 0 */
extern uint32 ml_task_find(const char *name);

/* the names of a set of tasks, palloc'd */
extern char **ml_task_list(uint32 tasks, int *n);

/* text[] of the names of a set of tasks */
extern Datum ml_task_names(uint32 tasks);

#endif							/* ML_TASK_H */
