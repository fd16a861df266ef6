/*
 * projection.c
 *		Components: coordinates of standardised rows along a few directions.
 *
 * Nothing is predicted; mlops_transform() gives the coordinates. Importance of a
 * feature: the variance that the components carry in its columns.
 */
#include "postgres.h"

#include <math.h>

#include "num/nearest.h"
#include "predictor/routine.h"

/* ---- bytes ---- */

static void
write_projection(MlWriter *w, const MlRecipe *recipe, const MlPredictor *predictor)
{
	const MlProjection *projection = (const MlProjection *) predictor;

	ml_put_int32(w, projection->ncomponents);
	ml_put_byte(w, projection->whiten);
	ml_put_doubles(w, projection->shift, recipe->ndesign);
	ml_put_doubles(w, projection->scale, recipe->ndesign);
	ml_put_doubles(w, projection->component, (Size) projection->ncomponents * recipe->ndesign);
	ml_put_doubles(w, projection->variance, projection->ncomponents);
	ml_put_double(w, projection->total_variance);
}

static MlPredictor *
read_projection(MlCursor *c, const MlRecipe *recipe)
{
	MlProjection *projection = palloc0(sizeof(MlProjection));
	Size		at = c->at;

	if (recipe->target.task != ML_TASK_PROJECTION)
		ml_cursor_refuse(c, at, "components", "a model that only transforms with them");
	projection->base.kind = ML_PREDICTOR_PROJECTION;
	projection->ncomponents = ml_cursor_range(c, 4, 1, Max(recipe->ndesign, 1), "number of components");
	projection->whiten = ml_cursor_flag(c, "whiten flag");
	projection->shift = ml_cursor_doubles(c, recipe->ndesign, ML_FLOAT_FINITE, "centre of a column");
	projection->scale = ml_cursor_doubles(c, recipe->ndesign, ML_FLOAT_FINITE, "scale of a column");
	projection->component = ml_cursor_doubles(c, (Size) projection->ncomponents * recipe->ndesign,
											  ML_FLOAT_FINITE, "loading of a column");
	at = c->at;
	projection->variance = ml_cursor_doubles(c, projection->ncomponents, ML_FLOAT_FINITE, "variance of a component");
	for (int q = 0; q < projection->ncomponents; q++)
		if (projection->variance[q] <= 0 || (q > 0 && projection->variance[q] > projection->variance[q - 1]))
			ml_cursor_refuse(c, at + q * sizeof(double), psprintf("%g", projection->variance[q]),
							 "positive variances that do not ascend");
	projection->total_variance = ml_cursor_double(c, ML_FLOAT_FINITE, "total variance");
	return &projection->base;
}

/* ---- scoring ---- */

static int
noutputs(const MlPredictor *predictor)
{
	return 0;
}

static Size
work_size(const MlPredictor *predictor, const MlRecipe *recipe)
{
	return recipe->ndesign;
}

static int
ntransform(const MlPredictor *predictor)
{
	return ((const MlProjection *) predictor)->ncomponents;
}

static void
transform(const MlPredictor *predictor, const MlRecipe *recipe, const MlRow *row, double *work, double *result)
{
	const MlProjection *projection = (const MlProjection *) predictor;

	ml_design_row(recipe, row, projection->shift, projection->scale, work);
	for (int q = 0; q < projection->ncomponents; q++)
	{
		result[q] = ml_product(recipe->ndesign, work, projection->component + (Size) q * recipe->ndesign);
		if (projection->whiten)
			result[q] /= sqrt(projection->variance[q]);
	}
}

/* the design, standardised, the products and the squares */
static Size
block_work_size(const MlPredictor *predictor, const MlRecipe *recipe, int nrows)
{
	return (Size) ml_stride(nrows) * (2 * (Size) recipe->ndesign + 3);
}

/* Components are orthogonal and of length 1: what they leave is |z|^2 - sum of squared products. */
static void
judge_block(const MlPredictor *predictor, const MlRecipe *recipe, const MlBlock *block,
			double *work, MlLoss *loss)
{
	const MlProjection *projection = (const MlProjection *) predictor;
	int			n = block->n;
	int			p = recipe->ndesign;
	int			ld = ml_stride(n);
	double	   *z = work;
	double	   *x = z + (Size) ld * p;
	double	   *product = x + (Size) ld * p;
	double	   *spread = product + ld;
	double	   *left = spread + ld;

	ml_recipe_design_block(recipe, block, x);
	memset(spread, 0, ld * sizeof(double));
	for (int j = 0; j < p; j++)
	{
		double	   *column = z + (Size) j * ld;

		ml_standardise(n, x + (Size) j * n, projection->shift[j], projection->scale[j], column);
		for (int i = 0; i < n; i += ML_LANES)
			ML_STORE(spread + i, ML_LOAD(spread + i) + ML_LOAD(column + i) * ML_LOAD(column + i));
	}
	memcpy(left, spread, ld * sizeof(double));
	for (int q = 0; q < projection->ncomponents; q++)
	{
		ml_products(n, p, z, ld, projection->component + (Size) q * p, product);
		for (int i = 0; i < n; i += ML_LANES)
			ML_STORE(left + i, ML_LOAD(left + i) - ML_LOAD(product + i) * ML_LOAD(product + i));
	}
	for (int i = 0; i < n; i++)
	{
		loss[i].loss = left[i] < 0 ? 0 : left[i];
		loss[i].spread = spread[i];
		loss[i].silhouette = NAN;
	}
}

/* ---- looking ---- */

static void
importance(const MlPredictor *predictor, const MlRecipe *recipe, double *importance)
{
	const MlProjection *projection = (const MlProjection *) predictor;

	for (int f = 0; f < recipe->nfeatures; f++)
		importance[f] = 0;
	for (int q = 0; q < projection->ncomponents; q++)
		for (int j = 0; j < recipe->ndesign; j++)
		{
			double		loading = projection->component[(Size) q * recipe->ndesign + j];

			importance[recipe->design[j].feature] += projection->variance[q] * loading * loading;
		}
}

/* the loadings, of the standardised columns */
static void
terms(const MlPredictor *predictor, const MlRecipe *recipe, MlTermSink sink, void *arg)
{
	const MlProjection *projection = (const MlProjection *) predictor;

	for (int q = 0; q < projection->ncomponents; q++)
	{
		char		component[24];
		MlCoefficient loading = {0, NAN, NAN, NAN};
		MlTerm		term = {component, NULL, NULL, &loading, NAN};

		snprintf(component, sizeof(component), "component %d", q + 1);
		for (int j = 0; j < recipe->ndesign; j++)
		{
			term.term = recipe->design[j].name;
			term.feature = recipe->features[recipe->design[j].feature].name;
			loading.estimate = projection->component[(Size) q * recipe->ndesign + j];
			sink(arg, &term);
		}
	}
}

const MlPredictorRoutine ml_projection_routine = {
	.name = "projection",
	.write = write_projection,
	.read = read_projection,
	.noutputs = noutputs,
	.work_size = work_size,
	.block_work_size = block_work_size,
	.judge_block = judge_block,
	.ntransform = ntransform,
	.transform = transform,
	.importance = importance,
	.terms = terms,
};
