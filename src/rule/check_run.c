/*
 * check_run.c
 *		Checks of a row, run: a few nanoseconds where nothing is wrong.
 */
#include "postgres.h"

#include <math.h>

#include "lib/stringinfo.h"
#include "rule/rule.h"

#define MAX_LISTED	10

/* two numbers at a time, where the processor has room for them */
typedef double MlPair __attribute__((vector_size(16)));
typedef double MlPairMem __attribute__((vector_size(16), aligned(8), may_alias));
typedef int64 MlPairBits __attribute__((vector_size(16)));

/*
 * The sign bits of what lies between a number and its bounds: set where it is
 * outside, and where infinity meets an infinite bound, which is looked at more
 * closely then. Without a branch, and without a mask of comparisons, which
 * compilers take apart: nearly all rows pass. VALUE(i) is number i of the row.
 */
#define FIND_OUTSIDE(plan, outside, VALUE, MASK) \
	for (int b = 0; b < (plan)->nbounds; b += 2) \
	{ \
		MlPair		value = {VALUE((plan)->bounded[b]), VALUE((plan)->bounded[b + 1])}; \
		MlPair		above = value - *(const MlPairMem *) &(plan)->low[b]; \
		MlPair		below = *(const MlPairMem *) &(plan)->high[b] - value; \
		\
		(outside) |= ((MlPairBits) above | (MlPairBits) below) & MASK; \
	}

static pg_attribute_always_inline bool
has_sign(MlPairBits bits)
{
	return (bits[0] | bits[1]) < 0;
}

/* can one of them fail? */
static bool
is_suspect(const MlCheckPlan *plan, const MlRow *row)
{
	MlPairBits	outside = {0};
	bool		found = false;

	/* NaN, which is missing, is not outside */
#define NUMBER(i) row->number[i]
	FIND_OUTSIDE(plan, outside, NUMBER, (value == value))
#undef NUMBER
	for (int i = 0; i < plan->npresent; i++)
		found |= isnan(row->number[plan->present[i]]) != 0;
	for (int i = 0; i < plan->ncodes; i++)
	{
		const MlCheckCode *code = &plan->code[i];
		int32		value = row->code[code->category];

		found |= (value == code->unseen) | (value == code->missing);
	}
	return found || has_sign(outside);
}

bool
ml_checks_suspect(const MlCheckPlan *plan, const NullableDatum *column, const int *position)
{
	MlPairBits	outside = {0};
	const MlPairBits all = {-1, -1};

#define IN_ORDER(i) DatumGetFloat8(column[i].value)
#define AT_POSITION(i) DatumGetFloat8(column[position[i]].value)
	if (position == NULL)
		FIND_OUTSIDE(plan, outside, IN_ORDER, all)
	else
		FIND_OUTSIDE(plan, outside, AT_POSITION, all)
#undef AT_POSITION
#undef IN_ORDER
	return has_sign(outside);
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

char *
ml_checks_culprits(const MlCheckPlan *plan, uint64 check, const MlRow *row)
{
	StringInfoData list;
	int			nterms = 0;
	int			n = 0;

	initStringInfo(&list);
	for (int i = 0; i < plan->nterms; i++)
	{
		const MlCheckTerm *term = &plan->term[i];

		nterms += term->check == check;
		if (term->check != check || !fails(term, row) || n++ >= MAX_LISTED)
			continue;
		appendStringInfo(&list, "%s%s", n == 1 ? "" : ", ", term->feature->name);
	}
	if (n > MAX_LISTED)
		appendStringInfo(&list, " and %d more", n - MAX_LISTED);
	return n > 0 && nterms > 1 ? list.data : NULL;
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
