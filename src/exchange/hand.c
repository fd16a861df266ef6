/*
 * hand.c
 *		Recipes and targets that no training learned: of coefficients made by
 *		hand, of models from elsewhere.
 */
#include "postgres.h"

#include "exchange/exchange.h"
#include "recipe/task.h"
#include "utils/memutils.h"

MlRecipe *
ml_recipe_by_hand(int maxfeatures)
{
	MlRecipe   *recipe = palloc0(sizeof(MlRecipe));

	recipe->cxt = CurrentMemoryContext;
	recipe->coding = ML_CODING_ONE_HOT;
	recipe->params.max_categories = PG_INT32_MAX;
	recipe->time_zone = pstrdup("UTC");
	recipe->offset_number = -1;
	recipe->features = palloc0(sizeof(MlFeature) * Max(maxfeatures, 1));
	recipe->numbers = palloc0(sizeof(MlNumber) * Max(maxfeatures, 1));
	return recipe;
}

/* as if it had varied by one unit about fill: what decides is the coefficient */
void
ml_recipe_add_number(MlRecipe *recipe, const char *name, double fill)
{
	MlFeature  *feature = &recipe->features[recipe->nfeatures];
	MlNumber   *number = &recipe->numbers[recipe->nnumbers];

	feature->name = pstrdup(name);
	feature->kind = ML_KIND_NUMBER;
	feature->type_name = pstrdup("double precision");
	feature->first_number = recipe->nnumbers;
	feature->nnumbers = 1;
	feature->category = -1;
	number->name = pstrdup(name);
	number->feature = recipe->nfeatures;
	number->fill = fill;
	number->mean = fill;
	number->deviation = 1;
	number->minimum = fill - 1;
	number->maximum = fill + 1;
	recipe->nfeatures++;
	recipe->nnumbers++;
}

typedef struct Level
{
	char	   *text;
	int			position;		/* as given */
} Level;

static int
compare_levels(const void *a, const void *b)
{
	return strcmp(((const Level *) a)->text, ((const Level *) b)->text);
}

/* every code has the same share, and so a column of its own: pooled and NULL too */
void
ml_recipe_add_category(MlRecipe *recipe, const char *name, char **level, int nlevels, int32 *code)
{
	MlFeature  *feature = &recipe->features[recipe->nfeatures];
	Level	   *sorted = palloc(sizeof(Level) * Max(nlevels, 1));
	double		share = 1.0 / (nlevels + 2);

	for (int i = 0; i < nlevels; i++)
	{
		sorted[i].text = level[i];
		sorted[i].position = i;
	}
	qsort(sorted, nlevels, sizeof(Level), compare_levels);
	feature->name = pstrdup(name);
	feature->kind = ML_KIND_CATEGORY;
	feature->type_name = pstrdup("text");
	feature->category = recipe->ncategories++;
	feature->nlevels = nlevels;
	feature->level = palloc(sizeof(char *) * Max(nlevels, 1));
	feature->level_length = palloc(sizeof(int32) * Max(nlevels, 1));
	feature->level_share = palloc(sizeof(double) * Max(nlevels, 1));
	feature->pool_share = feature->null_share = share;
	for (int i = 0; i < nlevels; i++)
	{
		feature->level[i] = sorted[i].text;
		feature->level_length[i] = strlen(sorted[i].text);
		feature->level_share[i] = share;
		if (code != NULL)
			code[sorted[i].position] = i;
	}
	recipe->nfeatures++;
	pfree(sorted);
}

void
ml_target_by_hand(const MlImport *import, MlTask task, int nclasses, MlTarget *target)
{
	if (import->task != 0 && import->task != task)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\" is for %s, but the document is for %s", import->model,
						ml_task_name(import->task), ml_task_name(task)),
				 errdetail("The versions of a model have one task, so that they can be compared."),
				 errhint("Import it into a model of another name.")));
	target->name = import->target != NULL ? pstrdup(import->target) : NULL;
	target->task = task;
	target->nclasses = task == ML_TASK_BINARY ? 2 : task == ML_TASK_MULTICLASS ? nclasses : 0;
	target->class_label = palloc0(sizeof(char *) * Max(target->nclasses, 1));
	target->class_share = palloc0(sizeof(double) * Max(target->nclasses, 1));
	if (task == ML_TASK_MULTICLASS && import->classes != NULL && import->nclasses != nclasses)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"classes\" lists %d classes, but the document has %d", import->nclasses, nclasses),
				 errhint("List a label for each class, in the order of the document.")));
	for (int c = 0; c < target->nclasses; c++)
	{
		target->class_share[c] = 1.0 / target->nclasses;
		target->class_label[c] = task == ML_TASK_BINARY ?
			pstrdup(c == 1 ? (import->positive ? import->positive : "true")
					: (import->negative ? import->negative : "false")) :
			import->classes != NULL ? pstrdup(import->classes[c]) : psprintf("%d", c);
	}
	target->positive = task == ML_TASK_BINARY ? 1 : 0;
}
