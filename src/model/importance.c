/*
 * importance.c
 *		How much each feature moves the linear predictor.
 *
 * A coefficient says what one unit changes, and units differ. Multiplied by
 * the standard deviation of its column over the training rows it says what a
 * typical difference changes: the standardised coefficient (Bring, J. (1994),
 * "How to standardize regression coefficients", The American Statistician
 * 48(3), 209-213), here in units of the predictor: of the target for a linear
 * model, of log-odds for a logistic one.
 *
 * A feature of several columns of numbers (an array, a date, a number with its
 * missing-indicator) has the sum over them. The columns of a category exclude
 * each other, so its effect is one variable with as many values as there are
 * codes, and its standard deviation is taken over their shares. That also
 * makes it independent of the base level.
 */
#include "postgres.h"

#include "model/model.h"

static double
weight_of(const MlModel *model, int column)
{
	double		estimate = model->coefficient[column].estimate;

	return isnan(estimate) ? 0.0 : fabs(estimate);
}

static double
column_importance(const MlModel *model, int column)
{
	const MlDesignColumn *design = &model->recipe->design[column];
	const MlNumber *number = &model->recipe->numbers[design->number];
	double		share = number->null_share;
	double		deviation = isnan(number->deviation) ? 0.0 : number->deviation;

	if (design->kind == ML_DESIGN_MISSING)
		deviation = sqrt(Max(share * (1.0 - share), 0.0));
	return weight_of(model, column) * deviation;
}

static double
share_of(const MlFeature *feature, int code)
{
	if (code < feature->nlevels)
		return feature->level_share[code];
	return code == ML_CODE_POOL(feature) ? feature->pool_share : feature->null_share;
}

static double
category_importance(const MlModel *model, const MlFeature *feature)
{
	const double *effect = model->category_weight[feature->category];
	double		total = 0;
	double		mean = 0;
	double		squares = 0;

	for (int code = 0; code < ML_NCODES(feature); code++)
	{
		total += share_of(feature, code);
		mean += share_of(feature, code) * effect[code];
	}
	if (total <= 0)
		return 0;
	mean /= total;
	for (int code = 0; code < ML_NCODES(feature); code++)
		squares += share_of(feature, code) * (effect[code] - mean) * (effect[code] - mean);
	return sqrt(squares / total);
}

void
ml_model_importance(const MlModel *model, double *importance)
{
	const MlRecipe *recipe = model->recipe;

	for (int i = 0; i < recipe->nfeatures; i++)
		importance[i] = 0;
	if (model->coefficient == NULL)
		return;
	for (int i = 0; i < recipe->ndesign; i++)
		if (recipe->design[i].kind != ML_DESIGN_LEVEL)
			importance[recipe->design[i].feature] += column_importance(model, i);
	for (int i = 0; i < recipe->nfeatures; i++)
		if (recipe->features[i].kind == ML_KIND_CATEGORY)
			importance[i] = category_importance(model, &recipe->features[i]);
}
