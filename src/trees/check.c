/*
 * check.c
 *		What the learners of trees refuse alike.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "trees/ensemble.h"
#include "utils/varlena.h"

/* index of the number of that name, or -1 */
static int
number_of_name(const MlRecipe *recipe, const char *name)
{
	for (int j = 0; j < recipe->nnumbers; j++)
		if (strcmp(recipe->numbers[j].name, name) == 0)
			return j;
	return -1;
}

/* the feature whose name is nearest in letters, if it is near at all */
static const char *
nearest_name(const MlRecipe *recipe, const char *name)
{
	int			nearest = (int) strlen(name) / 2 + 1;
	const char *best = NULL;

	for (int j = 0; j < recipe->nnumbers; j++)
	{
		const char *other = recipe->numbers[j].name;
		int			distance;

		if (strlen(name) > 255 || strlen(other) > 255)
			continue;
		distance = varstr_levenshtein_less_equal(name, strlen(name), other, strlen(other),
												 1, 1, 1, nearest, true);
		if (distance < nearest)
		{
			nearest = distance;
			best = other;
		}
	}
	return best;
}

static void
refuse_name(const MlRecipe *recipe, const char *name)
{
	const char *nearest = nearest_name(recipe, name);

	for (int j = 0; j < recipe->nfeatures; j++)
		if (recipe->features[j].kind == ML_KIND_CATEGORY && strcmp(recipe->features[j].name, name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("parameter \"monotone\" cannot constrain the category \"%s\"", name),
					 errdetail("Categories have no order to follow."),
					 errhint("Name numbers only.")));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("parameter \"monotone\" names \"%s\", which is not a feature", name),
			 errdetail_plural("There is %d feature.", "There are %d features.", recipe->nfeatures, recipe->nfeatures),
			 nearest ? errhint("Perhaps you meant \"%s\".", nearest)
			 : errhint("mlops_profile() lists the features of a source.")));
}

const int8 *
ml_monotone_features(const MlFit *fit, const MlBins *bins, const MlNamed *named)
{
	const MlRecipe *recipe = fit->rows->recipe;
	int8	   *direction;

	if (named->n == 0)
		return NULL;
	if (fit->task == ML_TASKS_MULTICLASS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("parameter \"monotone\" is for regression and two classes"),
				 errdetail("The target has %d classes, whose probabilities cannot all rise.",
						   fit->rows->nclasses),
				 errhint("Leave \"monotone\" out.")));
	direction = palloc0(Max(bins->nfeatures, 1));
	for (int i = 0; i < named->n; i++)
	{
		int			number = number_of_name(recipe, named->name[i]);

		if (number < 0)
			refuse_name(recipe, named->name[i]);
		if (named->value[i] != rint(named->value[i]))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("parameter \"monotone\" of \"%s\" cannot be %g", named->name[i], named->value[i]),
					 errdetail("It takes 1 (never falling), -1 (never rising) or 0."),
					 errhint("For example {\"%s\": 1}.", named->name[i])));
		for (int k = 0; k < bins->nfeatures; k++)
			if (!bins->feature[k].category && bins->feature[k].split == number)
				direction[k] = (int8) named->value[i];
	}
	return direction;
}

void
ml_trees_check_rows(const MlFit *fit, const char *algorithm)
{
	const MlDesignMatrix *rows = fit->rows;
	bool		two = rows->nclasses == 0;

	if (rows->nrows > PG_UINT32_MAX - 1)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("\"%s\" cannot train on so many rows", algorithm),
				 errdetail("There are " INT64_FORMAT " rows; it takes at most %u.",
						   rows->nrows, PG_UINT32_MAX - 1),
				 errhint("Train on a sample of the rows.")));
	for (int64 i = 1; i < rows->nrows && !two; i++)
		two = rows->y[i] != rows->y[0];
	if (!two || rows->nrows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("the target has only one class in the training rows"),
				 errdetail("\"%s\" needs rows of two classes at least; there are " INT64_FORMAT " rows.",
						   algorithm, rows->nrows),
				 errhint("Train on rows of more than one class.")));
}
