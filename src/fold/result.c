/*
 * result.c
 *		What a fit in SQL says, as jsonb: the predictor's numbers in the order
 *		of the columns, then the facts that a version would have.
 */
#include "postgres.h"

#include <math.h>

#include "fold/fold.h"
#include "recipe/recipe.h"
#include "json.h"

/* a field of n coefficients, or null if none of them has it */
static void
put_field(MlJson *json, const char *key, const MlCoefficient *c, int n, size_t offset)
{
	bool		any = false;

	for (int j = 0; j < n; j++)
		any = any || !isnan(*(const double *) ((const char *) &c[j] + offset));
	if (!any)
		return;
	ml_json_key(json, key);
	ml_json_begin_array(json);
	for (int j = 0; j < n; j++)
		ml_json_float(json, *(const double *) ((const char *) &c[j] + offset));
	ml_json_end_array(json);
}

/* one output's equation: the intercept comes first in what is about inference */
static void
put_equation(MlJson *json, const MlLinear *linear, int output, int ncolumns)
{
	const MlCoefficient *c = linear->coefficient ? linear->coefficient + (Size) output * ncolumns : NULL;

	if (linear->has_intercept)
	{
		const MlCoefficient *intercept = &linear->intercept[output];

		ml_json_put_float(json, "intercept", intercept->estimate);
		if (!isnan(intercept->std_error))
			ml_json_put_float(json, "intercept_std_error", intercept->std_error);
		if (!isnan(intercept->p_value))
			ml_json_put_float(json, "intercept_p_value", intercept->p_value);
	}
	if (c == NULL)
		return;
	put_field(json, "coefficients", c, ncolumns, offsetof(MlCoefficient, estimate));
	put_field(json, "std_errors", c, ncolumns, offsetof(MlCoefficient, std_error));
	put_field(json, "statistics", c, ncolumns, offsetof(MlCoefficient, statistic));
	put_field(json, "p_values", c, ncolumns, offsetof(MlCoefficient, p_value));
}

static void
put_linear(MlJson *json, const MlLinear *linear, int ncolumns)
{
	if (linear->noutputs == 1)
	{
		put_equation(json, linear, 0, ncolumns);
		return;
	}
	ml_json_key(json, "classes");
	ml_json_begin_array(json);
	for (int o = 0; o < linear->noutputs; o++)
	{
		ml_json_begin_object(json);
		put_equation(json, linear, o, ncolumns);
		ml_json_end_object(json);
	}
	ml_json_end_array(json);
}

/* rows of a matrix as an array of arrays */
static void
put_matrix(MlJson *json, const char *key, const double *value, int nrows, int ncolumns)
{
	ml_json_key(json, key);
	ml_json_begin_array(json);
	for (int i = 0; i < nrows; i++)
		ml_json_floats(json, value + (Size) i * ncolumns, ncolumns);
	ml_json_end_array(json);
}

static void
put_vector(MlJson *json, const char *key, const double *value, int n)
{
	ml_json_key(json, key);
	ml_json_floats(json, value, n);
}

/* centres in the units of the columns */
static void
put_centres(MlJson *json, const MlCentres *centres, int ncolumns)
{
	double	   *value = palloc(sizeof(double) * Max((Size) centres->nclusters * ncolumns, 1));

	for (int k = 0; k < centres->nclusters; k++)
		for (int j = 0; j < ncolumns; j++)
			value[(Size) k * ncolumns + j] =
				centres->shift[j] + (centres->scale[j] != 0 ? centres->centre[(Size) k * ncolumns + j] / centres->scale[j] : 0);
	put_matrix(json, "centres", value, centres->nclusters, ncolumns);
	put_vector(json, "weights", centres->weight, centres->nclusters);
	put_vector(json, "inertias", centres->inertia, centres->nclusters);
	pfree(value);
}

static void
put_predictor(MlJson *json, const MlPredictor *predictor, const MlRecipe *recipe, int ncolumns)
{
	if (predictor->kind == ML_PREDICTOR_LINEAR)
		put_linear(json, (const MlLinear *) predictor, ncolumns);
	else if (predictor->kind == ML_PREDICTOR_BAYES)
	{
		const MlBayes *bayes = (const MlBayes *) predictor;

		put_vector(json, "log_priors", bayes->log_prior, bayes->nclasses);
		put_matrix(json, "means", bayes->mean, recipe->nnumbers, bayes->nclasses);
		put_matrix(json, "variances", bayes->variance, recipe->nnumbers, bayes->nclasses);
	}
	else if (predictor->kind == ML_PREDICTOR_CENTRES)
		put_centres(json, (const MlCentres *) predictor, ncolumns);
	else if (predictor->kind == ML_PREDICTOR_PROJECTION)
	{
		const MlProjection *projection = (const MlProjection *) predictor;

		put_vector(json, "shift", projection->shift, ncolumns);
		put_vector(json, "scale", projection->scale, ncolumns);
		put_matrix(json, "components", projection->component, projection->ncomponents, ncolumns);
		put_vector(json, "variances", projection->variance, projection->ncomponents);
		ml_json_put_float(json, "total_variance", projection->total_variance);
	}
}

Jsonb *
ml_fold_result(const MlFold *fold, const MlFitted *fitted)
{
	MlJson		json = {0};

	ml_json_begin_object(&json);
	ml_json_put_text(&json, "algorithm", fold->algorithm->name);
	ml_json_put_bool(&json, "done", fitted != NULL);
	if (fitted == NULL)
	{
		if (fold->learner && fold->passes->objective)
			ml_json_put_float(&json, "objective", fold->passes->objective(fold->learner));
		ml_json_put_int(&json, "rows", Max(fold->total, 0));
		ml_json_end_object(&json);
		return ml_json_finish(&json);
	}
	ml_json_put_int(&json, "rows", fold->nrows);
	ml_json_put_int(&json, "passes", fitted->passes);
	put_predictor(&json, fitted->predictor, fold->recipe, fold->ncolumns);
	for (int i = 0; i < fitted->nfacts; i++)
		ml_json_put_float(&json, fitted->facts[i].name, fitted->facts[i].value);
	if (fitted->nnotes > 0)
	{
		ml_json_key(&json, "notes");
		ml_json_texts(&json, fitted->notes, fitted->nnotes);
	}
	ml_json_end_object(&json);
	return ml_json_finish(&json);
}
