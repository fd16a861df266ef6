/*
 * budget.c
 *		Memory that one training may take, counted before it is taken.
 */
#include "postgres.h"

#include "budget.h"
#include "settings.h"

#define ML_MEGABYTES(bytes) ((bytes) / (1024.0 * 1024.0))

void
ml_budget_begin(MlBudget *budget)
{
	budget->limit = (Size) ml_max_training_memory_kb * 1024;
	budget->used = 0;
}

void
ml_budget_take(MlBudget *budget, Size bytes, const char *what)
{
	Size		need = ml_size_add(budget->used, bytes);

	if (need > budget->limit)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("training needs more memory than \"mlops.max_training_memory\" allows"),
				 errdetail("Memory for %s would bring the total to %.1f MB; %.1f MB are allowed.",
						   what, ML_MEGABYTES(need), ML_MEGABYTES(budget->limit)),
				 errhint("Read fewer rows or columns, or ask an administrator to raise \"mlops.max_training_memory\".")));
	budget->used = need;
}

void
ml_budget_give(MlBudget *budget, Size bytes)
{
	Assert(bytes <= budget->used);
	budget->used -= bytes;
}

static void
size_overflow(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("requested size exceeds what a machine word can hold"),
			 errdetail("It is more than %zu bytes.", SIZE_MAX),
			 errhint("Read fewer rows or columns.")));
}

Size
ml_size_mul(Size a, Size b)
{
	if (b != 0 && a > SIZE_MAX / b)
		size_overflow();
	return a * b;
}

Size
ml_size_add(Size a, Size b)
{
	if (a > SIZE_MAX - b)
		size_overflow();
	return a + b;
}
