/*
 * check_plan.c
 *		Checks in terms of a recipe: which numbers and codes of an encoded row
 *		they look at.
 */
#include "postgres.h"

#include <math.h>

#include "rule/rule.h"

/* a plan that is being made */
typedef struct Maker
{
	const MlRecipe *recipe;
	MlCheckPlan *plan;
	int			term_size;		/* allocated */
	int		   *bound_of;		/* of each number, its bound; -1 */
	bool	   *present;		/* of each number: a check is about its missing */
	MlCheckCode *code;			/* of each category */
} Maker;

uint64
ml_checks_of_type(const MlRuleProgram *program, const char *column)
{
	uint64		result = 0;

	for (int i = 0; i < program->nchecks; i++)
	{
		const MlCheck *check = &program->check[i];
		bool		covers = check->ncolumns == 0;

		for (int c = 0; c < check->ncolumns; c++)
			covers = covers || strcmp(check->column[c].name, column) == 0;
		if (check->kind == ML_CHECK_TYPE && covers)
			result |= UINT64CONST(1) << i;
	}
	return result;
}

static MlCheckTerm *
add_term(Maker *maker, const MlFeature *feature, int i, MlCheckKind kind)
{
	MlCheckPlan *plan = maker->plan;
	MlCheckTerm *term;

	if (plan->nterms == maker->term_size)
	{
		maker->term_size = maker->term_size * 2 + 16;
		plan->term = plan->term ? repalloc(plan->term, sizeof(MlCheckTerm) * maker->term_size) :
			palloc(sizeof(MlCheckTerm) * maker->term_size);
	}
	term = &plan->term[plan->nterms++];
	memset(term, 0, sizeof(MlCheckTerm));
	term->check = UINT64CONST(1) << i;
	term->feature = feature;
	term->kind = kind;
	term->category = feature->kind == ML_KIND_CATEGORY ? feature->category : -1;
	term->first_number = feature->first_number;
	term->nnumbers = feature->kind == ML_KIND_CATEGORY ? 0 : feature->nnumbers;
	return term;
}

static void
add_missing(Maker *maker, const MlFeature *feature, int i)
{
	MlCheckTerm *term = add_term(maker, feature, i, ML_CHECK_MISSING);

	if (term->category >= 0)
	{
		term->code = ML_CODE_MISSING(feature);
		maker->code[term->category].missing = term->code;
	}
	for (int k = 0; k < term->nnumbers; k++)
		maker->present[term->first_number + k] = true;
}

static void
add_unseen(Maker *maker, const MlFeature *feature, int i)
{
	MlCheckTerm *term = add_term(maker, feature, i, ML_CHECK_UNSEEN);

	term->code = ML_CODE_POOL(feature);
	maker->code[term->category].unseen = term->code;
}

/* several checks of a number: the first look has what all of them let through */
static void
add_range(Maker *maker, const MlFeature *feature, int i, const MlCheckColumn *column)
{
	MlCheckPlan *plan = maker->plan;
	MlCheckTerm *term = add_term(maker, feature, i, ML_CHECK_RANGE);

	term->low = column->low;
	term->high = column->high;
	for (int k = 0; k < term->nnumbers; k++)
	{
		int			number = term->first_number + k;
		int			b = maker->bound_of[number];

		if (b < 0)
		{
			b = maker->bound_of[number] = plan->nbounds++;
			plan->bounded[b] = number;
			plan->low[b] = -INFINITY;
			plan->high[b] = INFINITY;
		}
		plan->low[b] = Max(plan->low[b], column->low);
		plan->high[b] = Min(plan->high[b], column->high);
	}
}

static void
add_feature(Maker *maker, const MlCheck *check, int i, const MlFeature *feature, const MlCheckColumn *column)
{
	if (check->kind == ML_CHECK_MISSING)
		add_missing(maker, feature, i);
	else if (check->kind == ML_CHECK_UNSEEN && feature->kind == ML_KIND_CATEGORY)
		add_unseen(maker, feature, i);
	else if (check->kind == ML_CHECK_RANGE && (feature->kind == ML_KIND_NUMBER || feature->kind == ML_KIND_ARRAY))
		add_range(maker, feature, i, column);
}

static void
add_check(Maker *maker, const MlCheck *check, int i)
{
	const MlRecipe *recipe = maker->recipe;

	if (check->severity == ML_SEVERITY_HARD)
		maker->plan->hard |= UINT64CONST(1) << i;
	if (check->kind == ML_CHECK_FINITE)
		maker->plan->finite |= UINT64CONST(1) << i;
	for (int f = 0; check->ncolumns == 0 && f < recipe->nfeatures; f++)
		add_feature(maker, check, i, &recipe->features[f], NULL);
	for (int c = 0; c < check->ncolumns; c++)
	{
		int			f = ml_recipe_find(recipe, check->column[c].name);

		if (f >= 0)
			add_feature(maker, check, i, &recipe->features[f], &check->column[c]);
	}
}

/* what of the first look is asked for at all; bounds are looked at in pairs */
static void
gather(Maker *maker)
{
	const MlRecipe *recipe = maker->recipe;
	MlCheckPlan *plan = maker->plan;

	if (plan->nbounds % 2 == 1)
	{
		plan->bounded[plan->nbounds] = plan->bounded[plan->nbounds - 1];
		plan->low[plan->nbounds] = plan->low[plan->nbounds - 1];
		plan->high[plan->nbounds] = plan->high[plan->nbounds - 1];
	}
	plan->present = palloc(sizeof(int) * Max(recipe->nnumbers, 1));
	for (int k = 0; k < recipe->nnumbers; k++)
		if (maker->present[k])
			plan->present[plan->npresent++] = k;
	plan->code = palloc(sizeof(MlCheckCode) * Max(recipe->ncategories, 1));
	for (int g = 0; g < recipe->ncategories; g++)
		if (maker->code[g].unseen >= 0 || maker->code[g].missing >= 0)
			plan->code[plan->ncodes++] = maker->code[g];
}

static void
find_typed(Maker *maker, const MlRuleProgram *program)
{
	const MlRecipe *recipe = maker->recipe;
	uint64	   *typed = palloc0(sizeof(uint64) * Max(recipe->nfeatures, 1));
	uint64		any = 0;

	for (int f = 0; f < recipe->nfeatures; f++)
		any |= typed[f] = ml_checks_of_type(program, recipe->features[f].name);
	if (any != 0)
		maker->plan->typed = typed;
}

MlCheckPlan *
ml_checks_plan(const MlRuleProgram *program, const MlModel *model)
{
	Maker		maker = {.recipe = ml_model_input_recipe(model)};
	const MlRecipe *recipe = maker.recipe;

	maker.plan = palloc0(sizeof(MlCheckPlan));
	maker.plan->bounded = palloc(sizeof(int) * (recipe->nnumbers + 1));
	maker.plan->low = palloc(sizeof(double) * (recipe->nnumbers + 1));
	maker.plan->high = palloc(sizeof(double) * (recipe->nnumbers + 1));
	maker.bound_of = palloc(sizeof(int) * Max(recipe->nnumbers, 1));
	maker.present = palloc0(sizeof(bool) * Max(recipe->nnumbers, 1));
	maker.code = palloc(sizeof(MlCheckCode) * Max(recipe->ncategories, 1));
	for (int k = 0; k < recipe->nnumbers; k++)
		maker.bound_of[k] = -1;
	for (int g = 0; g < recipe->ncategories; g++)
	{
		maker.code[g].category = g;
		maker.code[g].unseen = maker.code[g].missing = -1;
	}
	for (int i = 0; i < program->nchecks; i++)
		add_check(&maker, &program->check[i], i);
	gather(&maker);
	find_typed(&maker, program);
	return maker.plan;
}
