/*
 * learn.c
 *		A recipe from the training rows of a frame.
 *
 * Everything learned comes from rows [0, ntrain) in their order, which
 * ml_frame_arrange has made canonical, and from nothing else: no setting but
 * the time zone, and that only if a timestamptz is among the features.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "miscadmin.h"
#include "recipe/recipe_private.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define ZONE_WHEN_UNUSED	"GMT"	/* known to every server */

/* what the functions below hand to each other */
typedef struct Learning
{
	const MlFrame *frame;
	const MlTargetRequest *request;
	const MlOffset *offset;
	const double *weight;		/* or NULL */
	MlRecipe   *recipe;
	int			allocated_numbers;
} Learning;

static void
warn_column(MlRecipe *recipe, char *sentence)
{
	Size		bytes = sizeof(char *) * (recipe->nwarnings + 1);

	recipe->warnings = recipe->warnings == NULL ? palloc(bytes) : repalloc(recipe->warnings, bytes);
	recipe->warnings[recipe->nwarnings++] = sentence;
}

static MlNumber *
add_number(Learning *learning, int feature, char *name)
{
	MlRecipe   *recipe = learning->recipe;
	MlNumber   *number;

	if (recipe->nnumbers == learning->allocated_numbers)
	{
		learning->allocated_numbers = Max(16, learning->allocated_numbers * 2);
		recipe->numbers = recipe->numbers == NULL ?
			palloc(sizeof(MlNumber) * learning->allocated_numbers) :
			repalloc_huge(recipe->numbers, sizeof(MlNumber) * (Size) learning->allocated_numbers);
	}
	number = &recipe->numbers[recipe->nnumbers++];
	memset(number, 0, sizeof(*number));
	number->name = name;
	number->feature = feature;
	return number;
}

static void
learn_number(Learning *learning, const double *value, int stride, MlNumber *number)
{
	MlSample	sample = {value, stride, learning->weight, learning->frame->ntrain,
	learning->frame->budget};

	ml_number_learn(&sample, learning->recipe->params.impute, number);
}

/* ---- the kinds ---- */

static void
learn_array(Learning *learning, int f, const MlColumn *column)
{
	MlFeature  *feature = &learning->recipe->features[f];

	if (column->array_length == 0)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("column \"%s\" holds no array with elements", column->name),
				 errdetail("It is NULL or empty in every row, so that the number of its elements is not known."),
				 errhint("Leave it out: exclude => ARRAY[%s].", quote_literal_cstr(column->name))));
	feature->nnumbers = column->array_length;
	for (int j = 0; j < column->array_length; j++)
	{
		MlNumber   *number = add_number(learning, f, psprintf("%s[%d]", column->name, j + 1));

		learn_number(learning, column->array + j, column->array_length, number);
	}
}

static void
learn_time(Learning *learning, int f, const MlColumn *column)
{
	MlRecipe   *recipe = learning->recipe;
	MlFeature  *feature = &recipe->features[f];
	int64		n = learning->frame->ntrain;
	Size		bytes;
	double	   *value;

	ml_time_learn(recipe, column, n, feature);
	bytes = ml_size_mul(ml_size_mul(n, feature->nnumbers), sizeof(double));
	if (learning->frame->budget != NULL)
		ml_budget_take(learning->frame->budget, bytes, "the parts of a time");
	value = MemoryContextAllocHuge(CurrentMemoryContext, bytes);
	for (int64 i = 0; i < n; i++)
	{
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		ml_time_parts(recipe, feature, column->usec[i], value + i * feature->nnumbers);
	}
	for (int j = 0; j < feature->nnumbers; j++)
	{
		char	   *name = psprintf("%s (%s)", column->name, ml_time_part_name(feature->parts[j]));

		learn_number(learning, value + j, feature->nnumbers, add_number(learning, f, name));
	}
	pfree(value);
	if (learning->frame->budget != NULL)
		ml_budget_give(learning->frame->budget, bytes);
}

/* text that differs in nearly every row is a name or a remark, not a category */
static void
check_nearly_unique(const Learning *learning, const MlColumn *column)
{
	int64		n = learning->frame->ntrain;
	int			nvalues = column->dictionary->nvalues;
	int64	   *count = MemoryContextAllocExtended(CurrentMemoryContext,
												   Max(nvalues, 1) * sizeof(int64),
												   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	int64		distinct = 0;
	int64		present = n - ml_levels_count(column, n, NULL, count, NULL, NULL);

	for (int i = 0; i < nvalues; i++)
		distinct += count[i] > 0 ? 1 : 0;
	pfree(count);
	if (distinct <= ML_NEARLY_UNIQUE_ROWS || distinct <= ML_NEARLY_UNIQUE_SHARE * present ||
		learning->request->features_optional)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" has nearly as many values as rows", column->name),
			 errdetail("It is of type %s, with " INT64_FORMAT " distinct values in " INT64_FORMAT " training rows that are not NULL; a category repeats.",
					   ml_value_type_name(&column->type), distinct, present),
			 errhint("Leave it out: exclude => ARRAY[%s]. Or group its values in the source.", quote_literal_cstr(column->name))));
}

static void
learn_category(Learning *learning, int f, const MlColumn *column)
{
	MlRecipe   *recipe = learning->recipe;
	MlRecipeParams params = recipe->params;

	if (&recipe->features[f] == recipe->group)
	{
		params.max_categories = ML_MAX_GROUPS;
		params.min_category_rows = learning->request->min_group_rows;
	}
	else
		check_nearly_unique(learning, column);
	recipe->features[f].category = recipe->ncategories++;
	ml_levels_learn(learning->frame, column, &params, learning->weight, &recipe->features[f]);
}

static void
learn_feature(Learning *learning, const MlColumn *column)
{
	MlRecipe   *recipe = learning->recipe;
	int			f = recipe->nfeatures++;
	MlFeature  *feature = &recipe->features[f];

	feature->name = pstrdup(column->name);
	feature->kind = column->type.kind;
	feature->type_name = ml_value_type_name(&column->type);
	feature->first_number = recipe->nnumbers;
	feature->category = -1;
	if (learning->request->group != NULL && strcmp(column->name, learning->request->group) == 0)
		recipe->group = feature;

	switch (feature->kind)
	{
		case ML_KIND_NUMBER:
			feature->nnumbers = 1;
			learn_number(learning, column->number, 1,
						 add_number(learning, f, pstrdup(column->name)));
			break;
		case ML_KIND_CATEGORY:
			learn_category(learning, f, column);
			break;
		case ML_KIND_TIME:
			learn_time(learning, f, column);
			break;
		case ML_KIND_ARRAY:
			learn_array(learning, f, column);
			break;
		case ML_KIND_NONE:
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" is of type %s, which cannot be a feature",
							column->name, feature->type_name),
					 errdetail("Features are numbers, booleans, text and enums, dates and times, and arrays of numbers."),
					 errhint("Leave it out: exclude => ARRAY[%s]. Or compute such columns from it in the source.",
							 quote_literal_cstr(column->name))));
	}
}

/* ---- warnings ---- */

static bool
integer_reading(MlReading reading)
{
	return reading == ML_READ_INT2 || reading == ML_READ_INT4 || reading == ML_READ_INT8;
}

bool
ml_number_may_identify(const MlRecipe *recipe, const MlNumber *number, MlReading reading)
{
	return integer_reading(reading) &&
		number->maximum - number->minimum >= ML_IDENTIFIER_SHARE * (1.0 - number->null_share) * recipe->ntrain - 1.0;
}

/* how many values differ, where that can matter */
static int64
count_distinct(const Learning *learning, const MlColumn *column, const MlFeature *feature, int64 *present)
{
	const MlFrame *frame = learning->frame;
	MlCounter	counter;

	*present = 0;
	if (feature->kind != ML_KIND_NUMBER ||
		!ml_number_may_identify(learning->recipe, &learning->recipe->numbers[feature->first_number], column->type.reading))
		return 0;
	ml_counter_begin(&counter, frame->budget);
	for (int64 i = 0; i < frame->ntrain; i++)
	{
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (isnan(column->number[i]))
			continue;
		(*present)++;
		ml_counter_add(&counter, ml_number_bits(column->number[i]));
	}
	ml_counter_end(&counter);
	return counter.n;
}

static double
feature_null_share(const MlRecipe *recipe, const MlFeature *feature)
{
	return feature->kind == ML_KIND_CATEGORY ? feature->null_share :
		recipe->numbers[feature->first_number].null_share;
}

static bool
feature_constant(const MlRecipe *recipe, const MlFeature *feature)
{
	if (feature->kind == ML_KIND_CATEGORY)
		return feature->nlevels + (feature->pool_share > 0.0) + (feature->null_share > 0.0) <= 1;
	for (int i = 0; i < feature->nnumbers; i++)
	{
		if (ml_number_informative(recipe, feature->first_number + i))
			return false;
	}
	return true;
}

/* integers that hardly ever repeat look like an identifier; other numbers just vary */
void
ml_recipe_warn_feature(MlRecipe *recipe, const MlFeature *feature, int64 distinct, int64 present)
{
	double		null_share = feature_null_share(recipe, feature);

	if (null_share >= 1.0)
		warn_column(recipe, psprintf("column \"%s\" is NULL in every training row", feature->name));
	else if (feature_constant(recipe, feature))
		warn_column(recipe, psprintf("column \"%s\" is constant in the training rows and tells nothing", feature->name));
	else if (null_share > ML_MOSTLY_MISSING_SHARE)
		warn_column(recipe, psprintf("column \"%s\" is NULL in %.0f%% of the training rows",
									 feature->name, 100.0 * null_share));
	if (distinct > ML_NEARLY_UNIQUE_ROWS && distinct > ML_IDENTIFIER_SHARE * present)
		warn_column(recipe, psprintf("column \"%s\" has a different value in nearly every training row: if it is an identifier, exclude it",
									 feature->name));
}

static void
warn_feature(Learning *learning, const MlFeature *feature, const MlColumn *column)
{
	int64		present;
	int64		distinct = count_distinct(learning, column, feature, &present);

	ml_recipe_warn_feature(learning->recipe, feature, distinct, present);
}

static void
warn_features(Learning *learning)
{
	int			f = 0;

	for (int i = 0; i < learning->frame->ncols; i++)
	{
		const MlColumn *column = &learning->frame->cols[i];

		if (column->role != ML_ROLE_FEATURE)
			continue;
		if (&learning->recipe->features[f] != learning->recipe->group &&
			(learning->recipe->features[f].first_number != learning->recipe->offset_number ||
			 column->type.kind != ML_KIND_NUMBER))
			warn_feature(learning, &learning->recipe->features[f], column);
		f++;
	}
}

/* ---- all of it ---- */

void
ml_recipe_require_features(const MlFrame *frame)
{
	if (ml_frame_find_role(frame, ML_ROLE_FEATURE) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("there is no column to learn from"),
				 errdetail("Besides target, key, weight and excluded columns the source has none."),
				 errhint("Add columns to the source, or exclude fewer.")));
}

static void
check_features(const Learning *learning)
{
	const MlRecipe *recipe = learning->recipe;

	if (learning->request->features_optional || recipe->ndesign > 0 ||
		(recipe->offset_number >= 0 && recipe->nfeatures == 1))
		return;
	ml_recipe_require_features(learning->frame);
	ereport(ERROR,
			(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
			 errmsg("all features are constant"),
			 errdetail("None of %d columns varies in " INT64_FORMAT " training rows.",
					   recipe->nfeatures, learning->frame->ntrain),
			 (learning->request->task & ML_TASKS_UNSUPERVISED) ?
			 errhint("Add columns that tell rows apart.") :
			 errhint("Add columns that tell rows apart, or use algorithm => 'baseline'.")));
}

static void
set_zone(MlRecipe *recipe, const char *name)
{
	recipe->time_zone = pstrdup(name);
	recipe->zone = pg_tzset(recipe->time_zone);
	if (recipe->zone == NULL)
		elog(ERROR, "time zone \"%s\" of the session cannot be found again", recipe->time_zone);
}

void
ml_recipe_take_zone(MlRecipe *recipe)
{
	set_zone(recipe, pg_get_timezone_name(session_timezone));
}

static void
choose_zone(MlRecipe *recipe, const MlFrame *frame)
{
	set_zone(recipe, ZONE_WHEN_UNUSED);
	for (int i = 0; i < frame->ncols; i++)
	{
		if (frame->cols[i].role == ML_ROLE_FEATURE && frame->cols[i].type.reading == ML_READ_TIMESTAMPTZ)
		{
			ml_recipe_take_zone(recipe);
			return;
		}
	}
}

static int
count_features(const MlFrame *frame)
{
	int			n = 0;

	for (int i = 0; i < frame->ncols; i++)
		n += frame->cols[i].role == ML_ROLE_FEATURE ? 1 : 0;
	return n;
}

/* ml_recipe_usable_rows() has seen that it is there and a number */
static void
learn_offset(Learning *learning)
{
	MlRecipe   *recipe = learning->recipe;

	recipe->offset_log = learning->offset->logarithm;
	for (int f = 0; f < recipe->nfeatures; f++)
	{
		if (strcmp(recipe->features[f].name, learning->offset->column) == 0)
			recipe->offset_number = recipe->features[f].first_number;
	}
}

static void
learn_all(Learning *learning)
{
	const MlFrame *frame = learning->frame;
	MlRecipe   *recipe = learning->recipe;
	int			w = ml_frame_find_role(frame, ML_ROLE_WEIGHT);

	learning->weight = w < 0 ? NULL : frame->cols[w].number;
	recipe->ntrain = frame->ntrain;
	recipe->offset_number = -1;
	choose_zone(recipe, frame);
	ml_target_learn(frame, learning->request, learning->weight, &recipe->target);

	recipe->features = palloc0(sizeof(MlFeature) * Max(count_features(frame), 1));
	for (int i = 0; i < frame->ncols; i++)
	{
		if (frame->cols[i].role == ML_ROLE_FEATURE)
			learn_feature(learning, &frame->cols[i]);
	}
	if (learning->offset->column != NULL)
		learn_offset(learning);
	ml_recipe_finish(recipe);
	warn_features(learning);
	check_features(learning);
}

MlRecipe *
ml_recipe_learn(const MlFrame *frame, const MlRecipeParams *params, MlCoding coding,
				const MlOffset *offset, const MlTargetRequest *target)
{
	MemoryContext cxt;
	MemoryContext old;
	Learning	learning = {.frame = frame,.request = target,.offset = offset};

	if (frame->ntrain == 0)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("there are no rows to train on"),
				 errdetail("All " INT64_FORMAT " usable rows were held out.", frame->nrows),
				 errhint("Give more rows, or a smaller holdout.")));

	cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops recipe", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	learning.recipe = palloc0(sizeof(MlRecipe));
	learning.recipe->cxt = cxt;
	learning.recipe->params = *params;
	learning.recipe->coding = coding;
	learn_all(&learning);
	MemoryContextSwitchTo(old);
	return learning.recipe;
}
