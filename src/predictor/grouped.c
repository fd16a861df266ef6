/*
 * grouped.c
 *		Predictors of groups of rows: the one of the row's group where it has
 *		one, else the pooled one.
 *
 * Payload: the kind and payload of the pooled predictor; u32 count of groups;
 * per group, ascending: f64 key, kind, payload. The key is the group's number,
 * or the code of its level.
 *
 * The predictors within see the group feature masked, so that none of them can
 * depend on it, and nothing that a group keeps grows with the number of groups.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "predictor/linear.h"
#include "predictor/routine.h"

/* memory that compiling groups may take for each byte of the artifact, and besides */
#define COMPILED_PER_BYTE	64
#define COMPILED_BESIDES	((Size) 64 * 1024 * 1024)

/* ---- bytes ---- */

static void
write_one(MlWriter *w, const MlRecipe *within, const MlPredictor *predictor)
{
	ml_put_byte(w, predictor->kind);
	ML_ROUTINE(predictor)->write(w, within, predictor);
}

static void
grouped_write(MlWriter *w, const MlRecipe *recipe, const MlPredictor *predictor)
{
	const MlGrouped *grouped = (const MlGrouped *) predictor;
	MlRecipe   *within = ml_recipe_within_group(recipe);

	write_one(w, within, grouped->pooled);
	ml_put_int32(w, grouped->ngroups);
	for (int i = 0; i < grouped->ngroups; i++)
	{
		CHECK_FOR_INTERRUPTS();
		ml_put_double(w, grouped->group[i].key);
		write_one(w, within, grouped->group[i].predictor);
	}
}

static MlPredictor *
read_one(MlCursor *c, const MlRecipe *within)
{
	Size		at = c->at;
	int			kind = ml_cursor_range(c, 1, 0, ML_NPREDICTORS - 1, "kind of a group's predictor");

	if (kind == ML_PREDICTOR_GROUPED || ml_predictor_routines[kind] == NULL)
		ml_cursor_refuse(c, at, psprintf("%d", kind), "a known kind without groups");
	return ml_predictor_routines[kind]->read(c, within);
}

static double
read_key(MlCursor *c, const MlRecipe *recipe, double last)
{
	Size		at = c->at;
	double		key = ml_cursor_double(c, ML_FLOAT_FINITE, "group");

	if (recipe->group->kind == ML_KIND_CATEGORY && (key < 0 || key >= recipe->group->nlevels || key != rint(key)))
		ml_cursor_refuse(c, at, psprintf("%g", key), psprintf("the code of one of %d levels", recipe->group->nlevels));
	if (!(key > last))
		ml_cursor_refuse(c, at, psprintf("%g after %g", key, last), "groups in ascending order");
	return key;
}

/* A linear predictor without coefficients shares what compiling makes of the first such. */
static bool
is_constant(const MlPredictor *predictor)
{
	return predictor->kind == ML_PREDICTOR_LINEAR && ((const MlLinear *) predictor)->coefficient == NULL;
}

/* bytes that compiling takes for what the predictor's own bytes do not hold */
static Size
compiled_size(const MlPredictor *predictor, const MlRecipe *within)
{
	Size		size = 2 * (Size) within->nnumbers + within->ncategories;

	if (predictor->kind != ML_PREDICTOR_LINEAR || is_constant(predictor))
		return 0;
	for (int i = 0; i < within->ncategories; i++)
		size += ML_NCODES(&within->features[within->category_design[i].feature]);
	return size * sizeof(double) * ((const MlLinear *) predictor)->noutputs;
}

static MlPredictor *
grouped_read(MlCursor *c, const MlRecipe *recipe)
{
	MlGrouped  *grouped = palloc0(sizeof(MlGrouped));
	Size		at = c->at;
	Size		compiled = 0;
	double		last = -INFINITY;

	grouped->base.kind = ML_PREDICTOR_GROUPED;
	if (recipe->group == NULL)
		ml_cursor_refuse(c, at, "groups", "none in a recipe without a group feature");
	grouped->within = ml_recipe_within_group(recipe);
	grouped->pooled = read_one(c, grouped->within);
	at = c->at;
	grouped->ngroups = ml_cursor_count(c, 8 + 1, "number of groups");
	if (grouped->ngroups > ML_MAX_GROUPS)
		ml_cursor_refuse(c, at, psprintf("%d", grouped->ngroups), psprintf("at most %d", ML_MAX_GROUPS));
	grouped->group = palloc_extended(Max(grouped->ngroups, 1) * sizeof(MlGroup), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < grouped->ngroups; i++)
	{
		MlGroup    *group = &grouped->group[i];

		CHECK_FOR_INTERRUPTS();
		group->key = last = read_key(c, recipe, last);
		at = c->at;
		group->predictor = read_one(c, grouped->within);
		if (ML_ROUTINE(group->predictor)->noutputs(group->predictor) !=
			ML_ROUTINE(grouped->pooled)->noutputs(grouped->pooled))
			ml_cursor_refuse(c, at, "a predictor of other outputs", "those of the pooled one");
		compiled += compiled_size(group->predictor, grouped->within);
		if (compiled > COMPILED_BESIDES + COMPILED_PER_BYTE * c->length)
			ml_cursor_refuse(c, at, psprintf("groups that take %zu bytes of memory", compiled),
							 "memory in proportion to the artifact");
	}
	return &grouped->base;
}

/* ---- scoring ---- */

static void
compile_one(const MlGrouped *grouped, MlPredictor *predictor, MlLinear **constant)
{
	MlLinear   *linear = (MlLinear *) predictor;

	if (is_constant(predictor) && *constant != NULL)
	{
		linear->number_weight = (*constant)->number_weight;
		linear->number_missing = (*constant)->number_missing;
		linear->category_weight = (*constant)->category_weight;
		linear->term_base = palloc(sizeof(double) * linear->noutputs);
		for (int o = 0; o < linear->noutputs; o++)
			linear->term_base[o] = linear->has_intercept ? linear->intercept[o].estimate : 0.0;
		return;
	}
	if (ML_ROUTINE(predictor)->compile)
		ML_ROUTINE(predictor)->compile(predictor, grouped->within);
	if (is_constant(predictor))
		*constant = linear;
}

static void
grouped_compile(MlPredictor *predictor, const MlRecipe *recipe)
{
	MlGrouped  *grouped = (MlGrouped *) predictor;
	int			nlevels = recipe->group->kind == ML_KIND_CATEGORY ? recipe->group->nlevels : 0;
	MlLinear   *constant = NULL;

	compile_one(grouped, grouped->pooled, &constant);
	grouped->of_code = palloc(sizeof(int32) * Max(nlevels, 1));
	for (int code = 0; code < nlevels; code++)
		grouped->of_code[code] = -1;
	for (int i = 0; i < grouped->ngroups; i++)
	{
		CHECK_FOR_INTERRUPTS();
		compile_one(grouped, grouped->group[i].predictor, &constant);
		if (recipe->group->kind == ML_KIND_CATEGORY)
			grouped->of_code[(int) grouped->group[i].key] = i;
	}
}

static const MlPredictor *
find_number(const MlGrouped *grouped, double key)
{
	int			low = 0;
	int			high = grouped->ngroups;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (grouped->group[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low < grouped->ngroups && grouped->group[low].key == key ? grouped->group[low].predictor : grouped->pooled;
}

static const MlPredictor *
predictor_of(const MlGrouped *grouped, const MlRecipe *recipe, const MlRow *row)
{
	const MlFeature *group = recipe->group;
	int32		code;

	if (group->kind == ML_KIND_NUMBER)
		return find_number(grouped, row->number[group->first_number]);
	code = row->code[group->category];
	return code < group->nlevels && grouped->of_code[code] >= 0 ?
		grouped->group[grouped->of_code[code]].predictor : grouped->pooled;
}

/* what a row holds of its group while it is masked */
typedef struct Masked
{
	double		number;
	int32		code;
} Masked;

static Masked
mask(const MlRecipe *recipe, const MlRow *row)
{
	const MlFeature *group = recipe->group;
	Masked		masked = {0};

	if (group->kind == ML_KIND_NUMBER)
	{
		masked.number = row->number[group->first_number];
		row->number[group->first_number] = NAN;
	}
	else
	{
		masked.code = row->code[group->category];
		row->code[group->category] = ML_GROUP_MASKED_CODE;
	}
	return masked;
}

static void
unmask(const MlRecipe *recipe, const MlRow *row, Masked masked)
{
	const MlFeature *group = recipe->group;

	if (group->kind == ML_KIND_NUMBER)
		row->number[group->first_number] = masked.number;
	else
		row->code[group->category] = masked.code;
}

static int
grouped_noutputs(const MlPredictor *predictor)
{
	const MlPredictor *pooled = ((const MlGrouped *) predictor)->pooled;

	return ML_ROUTINE(pooled)->noutputs(pooled);
}

static Size
work_of(const MlPredictor *predictor, const MlRecipe *within)
{
	return ML_ROUTINE(predictor)->work_size ? ML_ROUTINE(predictor)->work_size(predictor, within) : 0;
}

static Size
grouped_work_size(const MlPredictor *predictor, const MlRecipe *recipe)
{
	const MlGrouped *grouped = (const MlGrouped *) predictor;
	Size		size = work_of(grouped->pooled, grouped->within);

	for (int i = 0; i < grouped->ngroups; i++)
		size = Max(size, work_of(grouped->group[i].predictor, grouped->within));
	return size;
}

static void
grouped_predict(const MlPredictor *predictor, const MlRecipe *recipe, const MlRow *row,
				double *work, double *output)
{
	const MlGrouped *grouped = (const MlGrouped *) predictor;
	const MlPredictor *own = predictor_of(grouped, recipe, row);
	Masked		masked = mask(recipe, row);

	ML_ROUTINE(own)->predict(own, grouped->within, row, work, output);
	unmask(recipe, row, masked);
}

/* ---- looking ---- */

static void
grouped_explain(const MlPredictor *predictor, const MlRecipe *recipe, const MlRow *row, int output,
				double *contribution, double *base)
{
	const MlGrouped *grouped = (const MlGrouped *) predictor;
	const MlPredictor *own = predictor_of(grouped, recipe, row);
	Masked		masked;

	if (ML_ROUTINE(own)->explain == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("predictions of this kind of model cannot be explained"),
				 errhint("See mlops_importance() for the model as a whole.")));
	masked = mask(recipe, row);
	ML_ROUTINE(own)->explain(own, grouped->within, row, output, contribution, base);
	unmask(recipe, row, masked);
}

static void
grouped_importance(const MlPredictor *predictor, const MlRecipe *recipe, double *importance)
{
	const MlGrouped *grouped = (const MlGrouped *) predictor;

	memset(importance, 0, sizeof(double) * recipe->nfeatures);
	if (ML_ROUTINE(grouped->pooled)->importance)
		ML_ROUTINE(grouped->pooled)->importance(grouped->pooled, grouped->within, importance);
}

static void
grouped_terms(const MlPredictor *predictor, const MlRecipe *recipe, MlTermSink sink, void *arg)
{
	const MlGrouped *grouped = (const MlGrouped *) predictor;

	if (ML_ROUTINE(grouped->pooled)->terms)
		ML_ROUTINE(grouped->pooled)->terms(grouped->pooled, grouped->within, sink, arg);
}

const MlPredictorRoutine ml_grouped_routine = {
	.name = "grouped",
	.write = grouped_write,
	.read = grouped_read,
	.compile = grouped_compile,
	.noutputs = grouped_noutputs,
	.work_size = grouped_work_size,
	.predict = grouped_predict,
	.explain = grouped_explain,
	.importance = grouped_importance,
	.terms = grouped_terms,
};
