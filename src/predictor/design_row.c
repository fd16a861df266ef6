/*
 * design_row.c
 *		The design of one encoded row, for predictors that live on it.
 */
#include "postgres.h"

#include "predictor/routine.h"

static double
level_value(const MlRecipe *recipe, const MlDesignColumn *column, const MlRow *row, int position)
{
	int			category = recipe->features[column->feature].category;
	const MlCategoryDesign *design = &recipe->category_design[category];
	int32		own = design->column[row->code[category]];

	if (own >= 0)
		return own == position - design->first_column ? 1.0 : 0.0;
	return own == ML_COLUMN_SHARES ? design->share[position - design->first_column] : 0.0;
}

void
ml_design_row(const MlRecipe *recipe, const MlRow *row,
			  const double *shift, const double *scale, double *z)
{
	for (int j = 0; j < recipe->ndesign; j++)
	{
		const MlDesignColumn *column = &recipe->design[j];
		double		x;

		if (column->kind == ML_DESIGN_LEVEL)
			x = level_value(recipe, column, row, j);
		else
		{
			x = row->number[column->number];
			if (column->kind == ML_DESIGN_MISSING)
				x = isnan(x) ? 1.0 : 0.0;
			else if (isnan(x))
				x = recipe->numbers[column->number].fill;
		}
		z[j] = (x - shift[j]) * scale[j];
	}
}
