/*
 * budget.h
 *		Memory that one training may take, counted before it is taken.
 */
#ifndef ML_BUDGET_H
#define ML_BUDGET_H

#include "postgres.h"

typedef struct MlBudget
{
	Size		limit;			/* bytes, from mlops.max_training_memory */
	Size		used;			/* bytes taken so far and not given back */
} MlBudget;

extern void ml_budget_begin(MlBudget *budget);

/*
 * Counts bytes for the purpose that what names ("the rows of the source") and
 * raises 54000 with both figures if that exceeds the limit.
 */
extern void ml_budget_take(MlBudget *budget, Size bytes, const char *what);
extern void ml_budget_give(MlBudget *budget, Size bytes);

/* product and sum that raise 54000 rather than wrap around */
extern Size ml_size_mul(Size a, Size b);
extern Size ml_size_add(Size a, Size b);

#endif							/* ML_BUDGET_H */
