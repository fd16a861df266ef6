/*
 * centres.c
 *		Clusters: a row belongs to the one whose centre is nearest.
 *
 * Distances are euclidean between standardised rows of the design. Rows and
 * blocks add up their squares in the same order, so that a row falls into the
 * same cluster whichever way it comes.
 *
 * Importance of a feature: how far the centres lie apart in its columns, as the
 * variance between clusters (their mean squared distance from the centre of all
 * rows, by weight).
 */
#include "postgres.h"

#include <math.h>

#include "num/nearest.h"
#include "predictor/routine.h"

#define MOST_CLUSTERS 1000000

/* ---- bytes ---- */

static void
write_centres(MlWriter *w, const MlRecipe *recipe, const MlPredictor *predictor)
{
	const MlCentres *centres = (const MlCentres *) predictor;

	ml_put_int32(w, centres->nclusters);
	ml_put_doubles(w, centres->shift, recipe->ndesign);
	ml_put_doubles(w, centres->scale, recipe->ndesign);
	ml_put_doubles(w, centres->centre, (Size) centres->nclusters * recipe->ndesign);
	ml_put_doubles(w, centres->weight, centres->nclusters);
	ml_put_doubles(w, centres->inertia, centres->nclusters);
}

static MlPredictor *
read_centres(MlCursor *c, const MlRecipe *recipe)
{
	MlCentres  *centres = palloc0(sizeof(MlCentres));
	Size		at = c->at;

	if (recipe->target.task != ML_TASK_CLUSTER)
		ml_cursor_refuse(c, at, "centres of clusters", "a model of clusters with them");
	centres->base.kind = ML_PREDICTOR_CENTRES;
	centres->nclusters = ml_cursor_range(c, 4, 1, MOST_CLUSTERS, "number of clusters");
	centres->shift = ml_cursor_doubles(c, recipe->ndesign, ML_FLOAT_FINITE, "centre of a column");
	centres->scale = ml_cursor_doubles(c, recipe->ndesign, ML_FLOAT_FINITE, "scale of a column");
	centres->centre = ml_cursor_doubles(c, (Size) centres->nclusters * recipe->ndesign,
										ML_FLOAT_FINITE, "centre of a cluster");
	centres->weight = ml_cursor_doubles(c, centres->nclusters, ML_FLOAT_FINITE, "weight of a cluster");
	centres->inertia = ml_cursor_doubles(c, centres->nclusters, ML_FLOAT_FINITE, "inertia of a cluster");
	return &centres->base;
}

/* ---- scoring ---- */

static int
noutputs(const MlPredictor *predictor)
{
	return 1;
}

/* a row of the design */
static Size
work_size(const MlPredictor *predictor, const MlRecipe *recipe)
{
	return recipe->ndesign;
}

static void
predict(const MlPredictor *predictor, const MlRecipe *recipe, const MlRow *row, double *work, double *output)
{
	const MlCentres *centres = (const MlCentres *) predictor;
	double		least = INFINITY;

	output[0] = NAN;			/* infinitely far from all */
	ml_design_row(recipe, row, centres->shift, centres->scale, work);
	for (int c = 0; c < centres->nclusters; c++)
	{
		double		d = ml_distance(recipe->ndesign, work, centres->centre + (Size) c * recipe->ndesign);

		if (d < least)
		{
			least = d;
			output[0] = c + 1;
		}
	}
}

/* the design, standardised, and four values a row */
static Size
block_work_size(const MlPredictor *predictor, const MlRecipe *recipe, int nrows)
{
	return (Size) ml_stride(nrows) * (2 * (Size) recipe->ndesign + 4);
}

/*
 * The nearest centre of each row, from 0, and the squared distances to it and to
 * the second nearest. The standardised rows are left at the start of work.
 */
typedef struct Nearest
{
	double	   *z;
	double	   *nearest;		/* NaN: none */
	double	   *first;
	double	   *second;
	double	   *distance;
} Nearest;

static void
find_nearest(const MlCentres *centres, const MlRecipe *recipe, const MlBlock *block, double *work,
			 Nearest *found)
{
	int			n = block->n;
	int			p = recipe->ndesign;
	int			ld = ml_stride(n);
	double	   *x = work + (Size) ld * p;

	found->z = work;
	found->nearest = work + (Size) ld * 2 * p;
	found->first = found->nearest + ld;
	found->second = found->first + ld;
	found->distance = found->second + ld;
	ml_recipe_design_block(recipe, block, x);
	for (int j = 0; j < p; j++)
		ml_standardise(n, x + (Size) j * n, centres->shift[j], centres->scale[j], found->z + (Size) j * ld);
	for (int i = 0; i < ld; i++)
	{
		found->nearest[i] = NAN;
		found->first[i] = found->second[i] = INFINITY;
	}
	for (int c = 0; c < centres->nclusters; c++)
	{
		ml_distances(n, p, found->z, ld, centres->centre + (Size) c * p, found->distance);
		ml_take_nearest(n, found->distance, c, found->nearest, found->first, found->second);
	}
}

static void
predict_block(const MlPredictor *predictor, const MlRecipe *recipe, const MlBlock *block,
			  double *work, double *output)
{
	Nearest		found;

	find_nearest((const MlCentres *) predictor, recipe, block, work, &found);
	for (int i = 0; i < block->n; i++)
		output[i] = found.nearest[i] + 1;
}

/* see MlLoss in routine.h; the silhouette by centres: Hruschka, de Castro & Campello, ICDM 2004 */
static void
judge_block(const MlPredictor *predictor, const MlRecipe *recipe, const MlBlock *block,
			double *work, MlLoss *loss)
{
	Nearest		found;
	int			ld = ml_stride(block->n);

	find_nearest((const MlCentres *) predictor, recipe, block, work, &found);
	for (int i = 0; i < block->n; i++)
	{
		double		a = sqrt(found.first[i]);
		double		b = sqrt(found.second[i]);

		loss[i].loss = found.first[i];
		loss[i].spread = 0;
		loss[i].silhouette = isinf(b) ? NAN : b > 0 ? (b - a) / b : 0;
	}
	for (int j = 0; j < recipe->ndesign; j++)
		for (int i = 0; i < block->n; i++)
			loss[i].spread += found.z[(Size) j * ld + i] * found.z[(Size) j * ld + i];
}

static int
ntransform(const MlPredictor *predictor)
{
	return ((const MlCentres *) predictor)->nclusters;
}

/* the distances to the centres */
static void
transform(const MlPredictor *predictor, const MlRecipe *recipe, const MlRow *row, double *work, double *result)
{
	const MlCentres *centres = (const MlCentres *) predictor;

	ml_design_row(recipe, row, centres->shift, centres->scale, work);
	for (int c = 0; c < centres->nclusters; c++)
		result[c] = sqrt(ml_distance(recipe->ndesign, work, centres->centre + (Size) c * recipe->ndesign));
}

/* ---- looking ---- */

static void
importance(const MlPredictor *predictor, const MlRecipe *recipe, double *importance)
{
	const MlCentres *centres = (const MlCentres *) predictor;
	double		total = 0;

	for (int f = 0; f < recipe->nfeatures; f++)
		importance[f] = 0;
	for (int c = 0; c < centres->nclusters; c++)
		total += centres->weight[c];
	for (int c = 0; total > 0 && c < centres->nclusters; c++)
		for (int j = 0; j < recipe->ndesign; j++)
		{
			double		z = centres->centre[(Size) c * recipe->ndesign + j];

			importance[recipe->design[j].feature] += centres->weight[c] / total * z * z;
		}
}

/* the centres, in the units of the columns */
static void
terms(const MlPredictor *predictor, const MlRecipe *recipe, MlTermSink sink, void *arg)
{
	const MlCentres *centres = (const MlCentres *) predictor;

	for (int c = 0; c < centres->nclusters; c++)
	{
		char		cluster[12];
		MlCoefficient centre = {0, NAN, NAN, NAN};
		MlTerm		term = {cluster, NULL, NULL, &centre, NAN};

		snprintf(cluster, sizeof(cluster), "%d", c + 1);
		for (int j = 0; j < recipe->ndesign; j++)
		{
			double		z = centres->centre[(Size) c * recipe->ndesign + j];

			term.term = recipe->design[j].name;
			term.feature = recipe->features[recipe->design[j].feature].name;
			centre.estimate = centres->shift[j] + (centres->scale[j] != 0 ? z / centres->scale[j] : 0);
			sink(arg, &term);
		}
	}
}

const MlPredictorRoutine ml_centres_routine = {
	.name = "centres",
	.write = write_centres,
	.read = read_centres,
	.noutputs = noutputs,
	.work_size = work_size,
	.predict = predict,
	.predict_block = predict_block,
	.block_work_size = block_work_size,
	.judge_block = judge_block,
	.ntransform = ntransform,
	.transform = transform,
	.importance = importance,
	.terms = terms,
};
