/*
 * class_weight.c
 *		How much the rows of each class count in a fit: for any classifier, by
 *		the weights that it is handed. Recipes, shares and metrics count rows as
 *		they are.
 *
 * balanced: a row of class c counts W / (K W_c), W_c being the weight of the
 * rows of class c, W that of all and K the number of classes that occur, so
 * that each class has the same part of the whole, which stays W (King & Zeng,
 * Logistic regression in rare events data, Political Analysis 9, 2001; the
 * factors are scikit-learn's).
 */
#include "postgres.h"

#include "errors.h"
#include "interrupts.h"
#include "train/class_weight.h"

void
ml_class_weight_check(const MlTraining *training, int tasks)
{
	const MlCommonParams *p = &training->common_params;

	if (p->class_weight == ML_CLASS_WEIGHT_NONE && p->class_weights.n == 0)
		return;
	if (p->class_weight != ML_CLASS_WEIGHT_NONE && p->class_weights.n > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"class_weight\" and \"class_weights\" exclude each other"),
				 errdetail("The one computes the weights of the classes, the other gives them."),
				 errhint("Leave one of them out.")));
	if ((tasks & (ML_TASKS_BINARY | ML_TASKS_MULTICLASS)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" needs a target of classes",
						p->class_weights.n > 0 ? "class_weights" : "class_weight"),
				 training->spec.target == NULL ?
				 errdetail("\"%s\" learns without a target.", training->algorithm->name) :
				 errdetail("\"%s\" learns to predict the number \"%s\".", training->algorithm->name, training->spec.target),
				 errhint("Leave it out, or name a column of weights with the argument \"weight\".")));
}

static void
refuse_class(const MlTarget *target, const char *name)
{
	StringInfoData list;
	MlNearest	nearest;

	initStringInfo(&list);
	ml_nearest_begin(&nearest, name);
	for (int c = 0; c < target->nclasses; c++)
	{
		ml_nearest_offer(&nearest, target->class_label[c]);
		if (c < 10)
			appendStringInfo(&list, "%s\"%s\"", c > 0 ? ", " : "", target->class_label[c]);
	}
	if (target->nclasses > 10)
		appendStringInfo(&list, " and %d more", target->nclasses - 10);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"class_weights\" names class \"%s\", which target \"%s\" does not have", name, target->name),
			 errdetail("The classes are %s.", list.data),
			 nearest.best != NULL ? errhint("Perhaps you meant \"%s\".", nearest.best) :
			 errhint("Name classes as the target shows them.")));
}

/* by class as the target lists them */
static void
given_factors(const MlNamed *given, const MlTarget *target, double *factor)
{
	for (int c = 0; c < target->nclasses; c++)
		factor[c] = 1;
	for (int i = 0; i < given->n; i++)
	{
		int			c = 0;

		while (c < target->nclasses && strcmp(target->class_label[c], given->name[i]) != 0)
			c++;
		if (c == target->nclasses)
			refuse_class(target, given->name[i]);
		factor[c] = given->value[i];
	}
}

static void
balanced_factors(const MlTarget *target, double *factor)
{
	int			occur = 0;

	for (int c = 0; c < target->nclasses; c++)
		occur += target->class_share[c] > 0;
	for (int c = 0; c < target->nclasses; c++)
		factor[c] = target->class_share[c] > 0 ? 1 / (occur * target->class_share[c]) : 1;
}

bool
ml_class_weight_factors(const MlTraining *training, double *factor)
{
	const MlCommonParams *p = &training->common_params;
	const MlTarget *target = &training->recipe->target;

	if (p->class_weight == ML_CLASS_WEIGHT_NONE && p->class_weights.n == 0)
		return false;
	if (p->class_weight == ML_CLASS_WEIGHT_BALANCED)
		balanced_factors(target, factor);
	else
		given_factors(&p->class_weights, target, factor);
	if (target->task == ML_TASK_BINARY && target->positive == 0)
	{
		/* labels are 1 for the positive class */
		double		first = factor[0];

		factor[0] = factor[1];
		factor[1] = first;
	}
	return true;
}

const double *
ml_class_weight_rows(MlTraining *training, const double *y, const double *weight)
{
	int64		n = training->frame->ntrain;
	double		factor[ML_MAX_CLASSES];
	double	   *product;

	if (!ml_class_weight_factors(training, factor))
		return weight;
	ml_budget_take(&training->budget, ml_size_mul(n, sizeof(double)), "the weights of the classes");
	product = palloc_extended(ml_size_mul(Max(n, 1), sizeof(double)), MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		product[i] = (weight ? weight[i] : 1) * factor[(int) y[i]];
	}
	return product;
}
