/*
 * design.c
 *		The columns of doubles that learners see, and what else is derived from
 *		a recipe: built when it has been learned and again when it is read from
 *		an artifact, by the same function, so that both are the same.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "recipe/recipe_private.h"

/* sines and cosines that differ by less are one value with rounding */
#define CYCLIC_RESOLUTION	1e-9

bool
ml_number_informative(const MlRecipe *recipe, int number)
{
	const MlNumber *n = &recipe->numbers[number];
	const MlFeature *feature = &recipe->features[n->feature];

	if (feature->kind == ML_KIND_TIME &&
		ml_time_part_cyclic(feature->parts[number - feature->first_number]))
		return n->maximum - n->minimum > CYCLIC_RESOLUTION;
	return n->minimum < n->maximum && n->deviation > 0.0;
}

/*
 * Parts of one value are missing together, so one indicator says it for all:
 * the first number's. An array's element has its own if it is missing in other
 * rows than the first one.
 */
static bool
has_indicator(const MlRecipe *recipe, int number)
{
	const MlNumber *n = &recipe->numbers[number];
	const MlFeature *feature = &recipe->features[n->feature];
	const MlNumber *first = &recipe->numbers[feature->first_number];

	if (!recipe->params.missing_indicator || n->null_share <= 0.0 || n->null_share >= 1.0)
		return false;
	return n == first || (feature->kind == ML_KIND_ARRAY && n->null_share != first->null_share);
}

/* codes that occurred in training */
static int
count_occurring(const MlFeature *feature)
{
	return feature->nlevels + (feature->pool_share > 0.0 ? 1 : 0) + (feature->null_share > 0.0 ? 1 : 0);
}

static bool
occurs(const MlFeature *feature, int code)
{
	if (code == ML_CODE_POOL(feature))
		return feature->pool_share > 0.0;
	if (code == ML_CODE_MISSING(feature))
		return feature->null_share > 0.0;
	return true;
}

static double
code_share(const MlFeature *feature, int code)
{
	if (code == ML_CODE_POOL(feature))
		return feature->pool_share;
	if (code == ML_CODE_MISSING(feature))
		return feature->null_share;
	return feature->level_share[code];
}

static int
count_category_columns(const MlRecipe *recipe, const MlFeature *feature)
{
	int			n = count_occurring(feature);

	if (n <= 1 || feature == recipe->group)
		return 0;
	return recipe->coding == ML_CODING_TREATMENT ? n - 1 : n;
}

static int
count_columns(const MlRecipe *recipe)
{
	int64		n = 0;

	for (int i = 0; i < recipe->nnumbers; i++)
	{
		if (i == recipe->offset_number || &recipe->features[recipe->numbers[i].feature] == recipe->group)
			continue;
		n += (ml_number_informative(recipe, i) ? 1 : 0) + (has_indicator(recipe, i) ? 1 : 0);
	}
	for (int f = 0; f < recipe->nfeatures; f++)
	{
		if (recipe->features[f].kind == ML_KIND_CATEGORY)
			n += count_category_columns(recipe, &recipe->features[f]);
	}
	if (n > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("features take more columns than can be numbered"),
				 errdetail("They take " INT64_FORMAT " columns.", n),
				 errhint("Lower the parameter \"max_categories\".")));
	return (int) n;
}

static MlDesignColumn *
add_column(MlRecipe *recipe, MlDesignKind kind, int feature)
{
	MlDesignColumn *column = &recipe->design[recipe->ndesign++];

	column->kind = kind;
	column->feature = feature;
	column->number = -1;
	column->code = -1;
	return column;
}

static void
add_numbers(MlRecipe *recipe, int f)
{
	const MlFeature *feature = &recipe->features[f];

	for (int i = feature->first_number; i < feature->first_number + feature->nnumbers; i++)
	{
		const char *name = recipe->numbers[i].name;
		MlDesignColumn *column;

		if (i == recipe->offset_number || feature == recipe->group)
			continue;
		if (ml_number_informative(recipe, i))
		{
			column = add_column(recipe, ML_DESIGN_NUMBER, f);
			column->number = i;
			column->name = pstrdup(name);
		}
		if (has_indicator(recipe, i))
		{
			column = add_column(recipe, ML_DESIGN_MISSING, f);
			column->number = i;
			column->name = psprintf("%s (missing)", feature->kind == ML_KIND_TIME ? feature->name : name);
		}
	}
}

static char *
level_column_name(const MlFeature *feature, int code)
{
	if (code == ML_CODE_POOL(feature))
		return psprintf("%s=(other)", feature->name);
	if (code == ML_CODE_MISSING(feature))
		return psprintf("%s=(null)", feature->name);
	return psprintf("%s=%s", feature->name, feature->level[code]);
}

static void
add_category(MlRecipe *recipe, int f)
{
	const MlFeature *feature = &recipe->features[f];
	MlCategoryDesign *design = &recipe->category_design[feature->category];
	int			ncolumns = count_category_columns(recipe, feature);
	bool		base_pending = ncolumns < count_occurring(feature);

	design->feature = f;
	design->first_column = recipe->ndesign;
	design->ncolumns = 0;
	design->column = palloc(sizeof(int32) * ML_NCODES(feature));
	design->share = palloc(sizeof(double) * Max(ncolumns, 1));

	for (int code = 0; code < ML_NCODES(feature); code++)
	{
		MlDesignColumn *column;

		design->column[code] = feature == recipe->group ? ML_COLUMN_BASE : ML_COLUMN_SHARES;
		if (!occurs(feature, code) || feature == recipe->group)
			continue;
		if (base_pending)
		{
			design->column[code] = ML_COLUMN_BASE;
			base_pending = false;
			continue;
		}
		column = add_column(recipe, ML_DESIGN_LEVEL, f);
		column->code = code;
		column->name = level_column_name(feature, code);
		design->column[code] = design->ncolumns;
		design->share[design->ncolumns++] = code_share(feature, code);
	}
	Assert(design->ncolumns == ncolumns);
}

static void
build_design(MlRecipe *recipe)
{
	int			ncolumns = count_columns(recipe);

	recipe->design = MemoryContextAllocHuge(recipe->cxt,
											ml_size_mul(Max(ncolumns, 1), sizeof(MlDesignColumn)));
	recipe->category_design = palloc0(sizeof(MlCategoryDesign) * Max(recipe->ncategories, 1));
	recipe->ndesign = 0;
	for (int f = 0; f < recipe->nfeatures; f++)
	{
		if (recipe->features[f].kind == ML_KIND_CATEGORY)
			add_category(recipe, f);
		else
			add_numbers(recipe, f);
	}
	Assert(recipe->ndesign == ncolumns);
}

static void
find_zone(MlRecipe *recipe)
{
	recipe->zone = recipe->time_zone == NULL ? NULL : pg_tzset(recipe->time_zone);
	for (int f = 0; f < recipe->nfeatures && recipe->zone == NULL; f++)
	{
		if (recipe->features[f].kind == ML_KIND_TIME && recipe->features[f].zoned)
			ereport(ERROR,
					(errcode(ERRCODE_ML_BAD_ARTIFACT),
					 errmsg("time zone \"%s\" of column \"%s\" is not known to this server",
							recipe->time_zone == NULL ? "" : recipe->time_zone, recipe->features[f].name),
					 errdetail("The model reads the hour and the day of that column in the time zone it was trained under."),
					 errhint("Install current time zone data, or retrain the model under a time zone of pg_timezone_names.")));
	}
}

void
ml_recipe_finish(MlRecipe *recipe)
{
	MemoryContext old = MemoryContextSwitchTo(recipe->cxt);
	char	  **name = palloc(sizeof(char *) * Max(recipe->nfeatures, 1));
	int32	   *length = palloc(sizeof(int32) * Max(recipe->nfeatures, 1));

	for (int f = 0; f < recipe->nfeatures; f++)
	{
		MlFeature  *feature = &recipe->features[f];

		name[f] = feature->name;
		length[f] = strlen(feature->name);
		if (feature->kind == ML_KIND_CATEGORY)
			feature->index = ml_name_index_make(feature->nlevels, feature->level,
												feature->level_length, recipe->cxt);
	}
	recipe->feature_index = ml_name_index_make(recipe->nfeatures, name, length, recipe->cxt);
	find_zone(recipe);
	build_design(recipe);
	MemoryContextSwitchTo(old);
}

MlRecipe *
ml_recipe_within_group(const MlRecipe *recipe)
{
	MlRecipe   *within = palloc(sizeof(MlRecipe));
	int			f = (int) (recipe->group - recipe->features);
	MlFeature  *feature;
	MlCategoryDesign *design;

	*within = *recipe;
	within->features = palloc(sizeof(MlFeature) * recipe->nfeatures);
	memcpy(within->features, recipe->features, sizeof(MlFeature) * recipe->nfeatures);
	within->group = feature = &within->features[f];
	if (feature->kind != ML_KIND_CATEGORY)
		return within;
	feature->nlevels = 0;
	feature->pool_share = 1;
	feature->null_share = 0;
	within->category_design = palloc(sizeof(MlCategoryDesign) * recipe->ncategories);
	memcpy(within->category_design, recipe->category_design, sizeof(MlCategoryDesign) * recipe->ncategories);
	design = &within->category_design[feature->category];
	design->column = palloc(sizeof(int32) * ML_NCODES(feature));
	for (int code = 0; code < ML_NCODES(feature); code++)
		design->column[code] = ML_COLUMN_BASE;
	return within;
}

static void
fill_category(const MlCategoryDesign *design, int n, const int32 *code, double *x)
{
	if (design->ncolumns == 0)
		return;
	memset(x, 0, sizeof(double) * n * design->ncolumns);
	for (int i = 0; i < n; i++)
	{
		int32		own = design->column[code[i]];

		if (own >= 0)
			x[(Size) own * n + i] = 1.0;
		else if (own == ML_COLUMN_SHARES)
		{
			for (int j = 0; j < design->ncolumns; j++)
				x[(Size) j * n + i] = design->share[j];
		}
	}
}

void
ml_recipe_design_block(const MlRecipe *recipe, const MlBlock *block, double *x)
{
	int			n = block->n;

	for (int j = 0; j < recipe->ndesign; j++)
	{
		const MlDesignColumn *column = &recipe->design[j];
		double	   *to = x + (Size) j * n;
		const double *from;
		double		fill;

		if (column->kind == ML_DESIGN_LEVEL)
			continue;
		from = block->number[column->number];
		fill = recipe->numbers[column->number].fill;
		if (column->kind == ML_DESIGN_MISSING)
		{
			for (int i = 0; i < n; i++)
				to[i] = isnan(from[i]) ? 1.0 : 0.0;
		}
		else if (block->complete[column->number])
			memcpy(to, from, sizeof(double) * n);
		else
		{
			for (int i = 0; i < n; i++)
				to[i] = isnan(from[i]) ? fill : from[i];
		}
	}
	for (int c = 0; c < recipe->ncategories; c++)
	{
		const MlCategoryDesign *design = &recipe->category_design[c];

		fill_category(design, n, block->code + (Size) c * n, x + (Size) design->first_column * n);
	}
}
