/*
 * check_run.c
 *		Checks of a row, run: a few nanoseconds where nothing is wrong.
 */
#include "postgres.h"

#include <math.h>

#include "rule/rule.h"

/* Outside of both bounds? Not NaN, which is missing; without a branch. */
static pg_attribute_always_inline bool
is_outside(const MlCheckBound *bound, double value)
{
	return (value < bound->low) | (value > bound->high);
}

/* can one of them fail? */
static bool
is_suspect(const MlCheckPlan *plan, const MlRow *row)
{
	bool		found = false;

	for (int i = 0; i < plan->nbounds; i++)
		found |= is_outside(&plan->bound[i], row->number[plan->bound[i].number]);
	for (int i = 0; i < plan->npresent; i++)
		found |= isnan(row->number[plan->present[i]]) != 0;
	for (int i = 0; i < plan->ncodes; i++)
	{
		const MlCheckCode *code = &plan->code[i];
		int32		value = row->code[code->category];

		found |= (value == code->unseen) | (value == code->missing);
	}
	return found;
}

bool
ml_checks_suspect(const MlCheckPlan *plan, const NullableDatum *column, const int *position)
{
	bool		found = false;

	if (position == NULL)
		for (int i = 0; i < plan->nbounds; i++)
			found |= is_outside(&plan->bound[i], DatumGetFloat8(column[plan->bound[i].number].value));
	else
		for (int i = 0; i < plan->nbounds; i++)
			found |= is_outside(&plan->bound[i], DatumGetFloat8(column[position[plan->bound[i].number]].value));
	return found;
}

static bool
fails(const MlCheckTerm *term, const MlRow *row)
{
	bool		found = term->category >= 0 && row->code[term->category] == term->code;

	for (int k = 0; k < term->nnumbers && !found; k++)
	{
		double		value = row->number[term->first_number + k];

		found = term->kind == ML_CHECK_MISSING ? isnan(value) : value < term->low || value > term->high;
	}
	return found;
}

uint64
ml_checks_row(const MlCheckPlan *plan, const MlRow *row)
{
	uint64		failed = 0;

	if (likely(!is_suspect(plan, row)))
		return 0;
	for (int i = 0; i < plan->nterms; i++)
		if (fails(&plan->term[i], row))
			failed |= plan->term[i].check;
	return failed;
}

uint64
ml_checks_output(const MlCheckPlan *plan, const double *output, int noutputs)
{
	bool		finite = output != NULL;

	if (plan->finite == 0)
		return 0;
	for (int i = 0; finite && i < noutputs; i++)
		finite = isfinite(output[i]);
	return finite ? 0 : plan->finite;
}
