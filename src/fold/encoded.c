/*
 * encoded.c
 *		Rows of a state for learners of encoded rows: numbers that may be missing
 *		(NaN), and codes of categories.
 *
 * A column is a number, which may be a part of a time, or holds the codes of a
 * category; which, and how many codes there are, is what the pass begins with.
 * The recipe made here says that much and no more.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "fold/fold.h"
#include "recipe/recipe.h"

#define FEWEST_CODES	2		/* of values without a place, and NULL */
#define MOST_CODES		1000000

/* the codes of column j; 0: a number, ML_CODES_TIME: a part of a time */
static int
codes_of(const MlFold *fold, int j)
{
	double		codes = fold->npass == 0 ? 0 : fold->pass[j];

	if (!(codes == 0 || codes == ML_CODES_TIME || (codes >= FEWEST_CODES && codes <= MOST_CODES && codes == rint(codes))))
		ereport(ERROR,
				(errcode(ERRCODE_ML_BAD_ARTIFACT),
				 errmsg("column %d of a state of \"%s\" cannot have %g codes", j + 1, fold->algorithm->name, codes),
				 errhint("Begin again with the first pass.")));
	return (int) codes;
}

void
ml_fold_layout(MlFold *fold)
{
	int			n = fold->ncolumns;
	MlRecipe   *recipe = ml_fold_alloc(fold, 1, sizeof(MlRecipe), "a state");

	if (fold->npass != 0 && fold->npass != n)
		ereport(ERROR,
				(errcode(ERRCODE_ML_BAD_ARTIFACT),
				 errmsg("the numbers that carry a fit of \"%s\" make no sense", fold->algorithm->name),
				 errdetail("There are %d of them for %d columns.", fold->npass, n),
				 errhint("Begin again with the first pass.")));
	recipe->features = ml_fold_alloc(fold, n, sizeof(MlFeature), "a state");
	recipe->numbers = ml_fold_alloc(fold, n, sizeof(MlNumber), "a state");
	recipe->category_design = ml_fold_alloc(fold, n, sizeof(MlCategoryDesign), "a state");
	recipe->nfeatures = n;
	recipe->offset_number = -1;
	for (int j = 0; j < n; j++)
	{
		MlFeature  *feature = &recipe->features[j];
		int			codes = codes_of(fold, j);

		feature->name = psprintf("x%d", j + 1);
		feature->kind = codes > 0 ? ML_KIND_CATEGORY : codes == ML_CODES_TIME ? ML_KIND_TIME : ML_KIND_NUMBER;
		feature->category = -1;
		if (codes > 0)
		{
			feature->nlevels = codes - FEWEST_CODES;
			feature->category = recipe->ncategories;
			recipe->category_design[recipe->ncategories++].feature = j;
			continue;
		}
		feature->first_number = recipe->nnumbers;
		feature->nnumbers = 1;
		recipe->numbers[recipe->nnumbers].name = feature->name;
		recipe->numbers[recipe->nnumbers++].feature = j;
	}
	fold->recipe = recipe;
	fold->matrix.recipe = recipe;
}

static int32
code_at(const MlFold *fold, int j, int i)
{
	double		code = fold->x[(Size) j * fold->capacity + i];
	int			codes = ML_NCODES(&fold->recipe->features[j]);

	if (!(code >= 0 && code < codes && code == rint(code)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column %d of \"x\" is %g, which is none of %d codes", j + 1, code, codes),
				 errhint("Codes are numbered from 0.")));
	return (int32) code;
}

static void
make_block(MlFold *fold)
{
	const MlRecipe *recipe = fold->recipe;
	MlBlock    *block = ml_fold_alloc(fold, 1, sizeof(MlBlock), "a block of rows");

	block->number = ml_fold_alloc(fold, recipe->nnumbers, sizeof(double *), "a block of rows");
	block->complete = ml_fold_alloc(fold, recipe->nnumbers, sizeof(bool), "a block of rows");
	block->code = ml_fold_alloc(fold, (Size) recipe->ncategories * ML_BLOCK_ROWS, sizeof(int32), "a block of rows");
	fold->block = block;
}

const MlBlock *
ml_fold_block(MlFold *fold)
{
	const MlRecipe *recipe = fold->recipe;
	MlBlock    *block;
	int			n = fold->nbuffered;

	if (fold->block == NULL)
		make_block(fold);
	block = fold->block;
	block->n = n;
	for (int k = 0; k < recipe->nnumbers; k++)
	{
		const double *x = fold->x + (Size) recipe->numbers[k].feature * fold->capacity;

		block->number[k] = x;
		block->complete[k] = true;
		for (int i = 0; i < n; i++)
			block->complete[k] = block->complete[k] && !isnan(x[i]);
	}
	for (int g = 0; g < recipe->ncategories; g++)
		for (int i = 0; i < n; i++)
			block->code[(Size) g * n + i] = code_at(fold, recipe->category_design[g].feature, i);
	return block;
}
