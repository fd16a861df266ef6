/*
 * model_fields.c
 *		A model as fields: the document that mlops_export(model, 'json') writes
 *		and mlops_import reads. docs/formats.md describes it.
 *
 * Lengths are checked here, so that nothing is read past an end; whether the
 * numbers make a model is checked by the reader of artifacts, which every
 * import goes through.
 */
#include "postgres.h"

#include <math.h>

#include "exchange/exchange.h"
#include "miscadmin.h"
#include "predictor/trees.h"
#include "recipe/task.h"
#include "utils/memutils.h"

#define MAX_COUNT	100000000

static const char *const impute_names[] = {"mean", "median", "drop", NULL};
static const char *const coding_names[] = {"treatment", "one_hot", NULL};
static const char *const link_names[] = {
	"identity", "logit", "log", "probit", "inverse", "sqrt", "softmax", "halving", NULL
};
static const char *const kind_names[] = {"none", "number", "category", "time", "array", NULL};
static const char *const part_names[] = {
	"epoch", "hour_sin", "hour_cos", "week_sin", "week_cos", "year_sin", "year_cos", NULL
};
static const char *const predictor_names[] = {
	"linear", "bayes", "trees", "centres", "projection", "network", "grouped", NULL
};
static const char *const activation_names[] = {"relu", "tanh", "logistic", NULL};
static const char *const calibration_names[] = {"none", "platt", "isotonic", NULL};
static const char *const task_names[] = {
	"regression", "binary", "multiclass", "cluster", "anomaly", "projection", NULL
};

static void *
allocate(Size n, Size size)
{
	return palloc_extended(Max(n, 1) * size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* an enumeration is an int wherever it lies */
#define CHOICE(f, name, variable, type, names) \
	do { \
		int			choice_ = (int) (variable); \
		ml_field_choice(f, name, &choice_, names); \
		(variable) = (type) choice_; \
	} while (0)

/* ---- recipe ---- */

static void
category_fields(MlFields *f, MlFeature *feature)
{
	if (f->reading)
		feature->nlevels = ml_fields_count(f, "levels");
	ml_field_texts(f, "levels", &feature->level, feature->nlevels);
	ml_field_doubles(f, "level_shares", &feature->level_share, feature->nlevels);
	ml_field_double(f, "pool_share", &feature->pool_share);
	ml_field_double(f, "null_share", &feature->null_share);
	if (!f->reading)
		return;
	feature->level_length = allocate(feature->nlevels, sizeof(int32));
	for (int i = 0; i < feature->nlevels; i++)
		feature->level_length[i] = strlen(feature->level[i]);
}

static void
time_fields(MlFields *f, MlFeature *feature)
{
	char	  **name;

	ml_field_bool(f, "zoned", &feature->zoned);
	if (f->reading)
		feature->nnumbers = ml_fields_count(f, "parts");
	name = allocate(feature->nnumbers, sizeof(char *));
	for (int i = 0; !f->reading && i < feature->nnumbers; i++)
		name[i] = unconstify(char *, part_names[feature->parts[i]]);
	ml_field_texts(f, "parts", &name, feature->nnumbers);
	if (!f->reading)
		return;
	feature->parts = allocate(feature->nnumbers, sizeof(MlTimePart));
	for (int i = 0; i < feature->nnumbers; i++)
	{
		int			part = 0;

		while (part_names[part] != NULL && strcmp(part_names[part], name[i]) != 0)
			part++;
		if (part_names[part] == NULL)
			ml_fields_refuse(f, "parts", psprintf("\"%s\"", name[i]), "names of time parts");
		feature->parts[i] = part;
	}
}

static void
feature_fields(MlFields *f, MlFeature *feature)
{
	ml_field_text(f, "name", &feature->name);
	ml_field_text(f, "type", &feature->type_name);
	CHOICE(f, "kind", feature->kind, MlKind, kind_names);
	if (f->reading && (feature->name == NULL || feature->type_name == NULL || feature->kind == ML_KIND_NONE))
		ml_fields_refuse(f, "kind", kind_names[feature->kind], "that of a feature with a name and a type");
	if (f->reading)
		feature->category = -1;
	switch (feature->kind)
	{
		case ML_KIND_CATEGORY:
			category_fields(f, feature);
			break;
		case ML_KIND_TIME:
			time_fields(f, feature);
			break;
		case ML_KIND_ARRAY:
			ml_field_int(f, "length", &feature->nnumbers, 0, MAX_COUNT);
			break;
		default:
			feature->nnumbers = 1;
			break;
	}
}

static void
number_fields(MlFields *f, MlNumber *number)
{
	ml_field_text(f, "name", &number->name);
	ml_field_double(f, "fill", &number->fill);
	ml_field_double(f, "mean", &number->mean);
	ml_field_double(f, "deviation", &number->deviation);
	ml_field_double(f, "minimum", &number->minimum);
	ml_field_double(f, "maximum", &number->maximum);
	ml_field_double(f, "null_share", &number->null_share);
	if (f->reading && number->name == NULL)
		ml_fields_refuse(f, "name", "null", "a text");
}

/* which number belongs to which feature */
static void
number_features(MlFields *f, MlRecipe *recipe)
{
	int64		nnumbers = 0;

	for (int i = 0; i < recipe->nfeatures; i++)
	{
		MlFeature  *feature = &recipe->features[i];

		feature->first_number = (int) nnumbers;
		if (feature->kind == ML_KIND_CATEGORY)
			feature->category = recipe->ncategories++;
		nnumbers += feature->nnumbers;
	}
	if (nnumbers != recipe->nnumbers)
		ml_fields_refuse(f, "numbers", psprintf("an array of %d", recipe->nnumbers),
						 psprintf("an array of " INT64_FORMAT ", as the features have", nnumbers));
	for (int i = 0; i < recipe->nfeatures; i++)
		for (int j = 0; j < recipe->features[i].nnumbers; j++)
			recipe->numbers[recipe->features[i].first_number + j].feature = i;
}

static void
target_fields(MlFields *f, MlTarget *target)
{
	int			task = 0;

	while (!f->reading && (1 << task) != (int) target->task)
		task++;
	ml_fields_begin(f, "target");
	ml_field_text(f, "name", &target->name);
	ml_field_text(f, "type", &target->type_name);
	ml_field_choice(f, "task", &task, task_names);
	target->task = 1 << task;
	if (f->reading)
		target->nclasses = ml_fields_count(f, "classes");
	ml_field_texts(f, "classes", &target->class_label, target->nclasses);
	ml_field_doubles(f, "class_shares", &target->class_share, target->nclasses);
	ml_field_int(f, "positive", &target->positive, 0, Max(target->nclasses - 1, 0));
	if (f->reading && (target->task == ML_TASK_BINARY ? target->nclasses != 2
					   : target->task == ML_TASK_MULTICLASS ? target->nclasses < 2 : target->nclasses != 0))
		ml_fields_refuse(f, "classes", psprintf("%d classes", target->nclasses),
						 "2 for a binary target, 2 or more for a multiclass one, else none");
	ml_fields_end(f);
}

/* the feature that rows are grouped by, if any */
static void
group_field(MlFields *f, MlRecipe *recipe)
{
	char	   *name = recipe->group == NULL ? NULL : recipe->group->name;

	if (!ml_fields_has(f, "group", name != NULL))
		return;
	ml_field_text(f, "group", &name);
	for (int i = 0; f->reading && i < recipe->nfeatures; i++)
		if (strcmp(recipe->features[i].name, name) == 0 &&
			(recipe->features[i].kind == ML_KIND_NUMBER || recipe->features[i].kind == ML_KIND_CATEGORY))
			recipe->group = &recipe->features[i];
	if (recipe->group == NULL)
		ml_fields_refuse(f, "group", name, "the name of a feature that is a number or a category");
}

static void
recipe_fields(MlFields *f, MlRecipe *recipe)
{
	ml_fields_begin(f, "recipe");
	CHOICE(f, "impute", recipe->params.impute, int, impute_names);
	ml_field_bool(f, "missing_indicator", &recipe->params.missing_indicator);
	CHOICE(f, "coding", recipe->coding, MlCoding, coding_names);
	ml_field_int64(f, "max_categories", &recipe->params.max_categories);
	ml_field_int64(f, "min_category_rows", &recipe->params.min_category_rows);
	ml_field_text(f, "time_zone", &recipe->time_zone);
	ml_field_int64(f, "rows", &recipe->ntrain);
	ml_field_int(f, "offset_number", &recipe->offset_number, -1, MAX_COUNT);
	ml_field_bool(f, "offset_log", &recipe->offset_log);
	if (f->reading && recipe->time_zone == NULL)
		ml_fields_refuse(f, "time_zone", "nothing", "the name of a time zone");

	ml_fields_array(f, "features", &recipe->nfeatures, MAX_COUNT);
	if (f->reading)
		recipe->features = allocate(recipe->nfeatures, sizeof(MlFeature));
	for (int i = 0; i < recipe->nfeatures; i++)
	{
		ml_fields_element(f, i);
		feature_fields(f, &recipe->features[i]);
		ml_fields_end(f);
	}
	ml_fields_end(f);

	ml_fields_array(f, "numbers", &recipe->nnumbers, MAX_COUNT);
	if (f->reading)
		recipe->numbers = allocate(recipe->nnumbers, sizeof(MlNumber));
	for (int i = 0; i < recipe->nnumbers; i++)
	{
		ml_fields_element(f, i);
		number_fields(f, &recipe->numbers[i]);
		ml_fields_end(f);
	}
	ml_fields_end(f);
	group_field(f, recipe);
	if (f->reading)
	{
		number_features(f, recipe);
		if (recipe->offset_number >= recipe->nnumbers)
			ml_fields_refuse(f, "offset_number", psprintf("%d", recipe->offset_number), "the index of a number, or -1");
	}
	ml_fields_end(f);
}

/* ---- predictors ---- */

/* coefficients as parallel arrays: estimates, and what is known of them */
static void
coefficient_fields(MlFields *f, const char *name, MlCoefficient **coefficient, Size n, bool inference)
{
	static const char *const part[] = {"estimate", "std_error", "statistic", "p_value"};

	ml_fields_begin(f, name);
	if (f->reading && (Size) ml_fields_count(f, part[0]) != n)
		ml_fields_refuse(f, part[0], psprintf("an array of %d", ml_fields_count(f, part[0])),
						 psprintf("an array of %zu", n));
	if (f->reading)
		*coefficient = allocate(n, sizeof(MlCoefficient));
	for (int k = 0; k < 4; k++)
	{
		double	   *value = allocate(n, sizeof(double));

		for (Size i = 0; i < n; i++)
			value[i] = f->reading ? NAN : ((double *) &(*coefficient)[i])[k];
		if (k == 0 || inference)
			ml_field_doubles(f, part[k], &value, n);
		for (Size i = 0; f->reading && i < n; i++)
			((double *) &(*coefficient)[i])[k] = value[i];
	}
	ml_fields_end(f);
}

static void
linear_fields(MlFields *f, const MlRecipe *recipe, MlLinear *linear)
{
	bool		shares = linear->class_share != NULL;
	bool		constant = linear->coefficient == NULL;

	CHOICE(f, "link", linear->link, MlLink, link_names);
	if (f->reading)
		linear->noutputs = recipe->target.task == ML_TASK_MULTICLASS ? recipe->target.nclasses : 1;
	shares = ml_fields_has(f, "class_shares", shares);
	if (shares)
	{
		ml_field_doubles(f, "class_shares", &linear->class_share, linear->noutputs);
		return;
	}
	ml_field_text(f, "statistic", (char **) &linear->statistic_name);
	ml_field_bool(f, "has_intercept", &linear->has_intercept);
	coefficient_fields(f, "intercept", &linear->intercept, linear->noutputs, linear->statistic_name != NULL);
	if (ml_fields_has(f, "coefficients", !constant))
		coefficient_fields(f, "coefficients", &linear->coefficient,
						   (Size) linear->noutputs * recipe->ndesign, linear->statistic_name != NULL);
}

static void
bayes_fields(MlFields *f, const MlRecipe *recipe, MlBayes *bayes)
{
	Size		n;

	if (f->reading)
		bayes->nclasses = recipe->target.nclasses;
	n = (Size) recipe->nnumbers * bayes->nclasses;
	ml_field_doubles(f, "log_prior", &bayes->log_prior, bayes->nclasses);
	ml_field_doubles(f, "mean", &bayes->mean, n);
	ml_field_doubles(f, "variance", &bayes->variance, n);
	if (f->reading)
		bayes->log_share = allocate(recipe->ncategories, sizeof(double *));
	for (int i = 0; i < recipe->nfeatures; i++)
	{
		const MlFeature *feature = &recipe->features[i];

		if (feature->kind == ML_KIND_CATEGORY)
			ml_field_doubles(f, psprintf("log_share of %s", feature->name), &bayes->log_share[feature->category],
							 (Size) ML_NCODES(feature) * bayes->nclasses);
	}
}

static void
design_scale_fields(MlFields *f, const MlRecipe *recipe, double **shift, double **scale)
{
	ml_field_doubles(f, "shift", shift, recipe->ndesign);
	ml_field_doubles(f, "scale", scale, recipe->ndesign);
}

static void
centres_fields(MlFields *f, const MlRecipe *recipe, MlCentres *centres)
{
	ml_field_int(f, "clusters", &centres->nclusters, 1, MAX_COUNT);
	design_scale_fields(f, recipe, &centres->shift, &centres->scale);
	ml_field_doubles(f, "centres", &centres->centre, (Size) centres->nclusters * recipe->ndesign);
	ml_field_doubles(f, "weights", &centres->weight, centres->nclusters);
	ml_field_doubles(f, "inertia", &centres->inertia, centres->nclusters);
}

static void
projection_fields(MlFields *f, const MlRecipe *recipe, MlProjection *projection)
{
	ml_field_int(f, "dimensions", &projection->ncomponents, 1, MAX_COUNT);
	ml_field_bool(f, "whiten", &projection->whiten);
	design_scale_fields(f, recipe, &projection->shift, &projection->scale);
	ml_field_doubles(f, "components", &projection->component, (Size) projection->ncomponents * recipe->ndesign);
	ml_field_doubles(f, "variances", &projection->variance, projection->ncomponents);
	ml_field_double(f, "total_variance", &projection->total_variance);
}

static void
network_fields(MlFields *f, const MlRecipe *recipe, MlNetwork *network)
{
	CHOICE(f, "link", network->link, MlLink, link_names);
	CHOICE(f, "activation", network->activation, MlActivation, activation_names);
	design_scale_fields(f, recipe, &network->shift, &network->scale);
	ml_fields_array(f, "layers", &network->nlayers, 16);
	if (f->reading)
		network->layer = allocate(network->nlayers, sizeof(MlNetworkLayer));
	for (int i = 0; i < network->nlayers; i++)
	{
		MlNetworkLayer *layer = &network->layer[i];

		ml_fields_element(f, i);
		ml_field_int(f, "units", &layer->nunits, 1, MAX_COUNT);
		if (f->reading)
			layer->ninputs = i == 0 ? recipe->ndesign : network->layer[i - 1].nunits;
		ml_field_doubles(f, "weights", &layer->weight, (Size) layer->nunits * layer->ninputs);
		ml_field_doubles(f, "bias", &layer->bias, layer->nunits);
		ml_fields_end(f);
	}
	ml_fields_end(f);
}

static void predictor_fields(MlFields *f, const char *name, const MlRecipe *recipe, MlPredictor **predictor);

static void
grouped_fields(MlFields *f, const MlRecipe *recipe, MlGrouped *grouped)
{
	MlRecipe   *within;

	if (recipe->group == NULL)
		ml_fields_refuse(f, "kind", "\"grouped\"", "one without groups, since the recipe has no \"group\"");
	within = ml_recipe_within_group(recipe);
	predictor_fields(f, "pooled", within, &grouped->pooled);
	ml_fields_array(f, "groups", &grouped->ngroups, ML_MAX_GROUPS);
	if (f->reading)
		grouped->group = allocate(grouped->ngroups, sizeof(MlGroup));
	for (int i = 0; i < grouped->ngroups; i++)
	{
		ml_fields_element(f, i);
		ml_field_double(f, "key", &grouped->group[i].key);
		predictor_fields(f, "predictor", within, &grouped->group[i].predictor);
		ml_fields_end(f);
	}
	ml_fields_end(f);
}

static void
predictor_fields(MlFields *f, const char *name, const MlRecipe *recipe, MlPredictor **predictor)
{
	static const Size size[] = {
		[ML_PREDICTOR_LINEAR] = sizeof(MlLinear), [ML_PREDICTOR_BAYES] = sizeof(MlBayes),
		[ML_PREDICTOR_TREES] = sizeof(MlTrees), [ML_PREDICTOR_CENTRES] = sizeof(MlCentres),
		[ML_PREDICTOR_PROJECTION] = sizeof(MlProjection), [ML_PREDICTOR_NETWORK] = sizeof(MlNetwork),
		[ML_PREDICTOR_GROUPED] = sizeof(MlGrouped)
	};
	int			kind = f->reading ? 0 : (*predictor)->kind;

	ml_fields_begin(f, name);
	ml_field_choice(f, "kind", &kind, predictor_names);
	if (f->reading)
	{
		*predictor = allocate(1, size[kind]);
		(*predictor)->kind = kind;
	}
	switch ((*predictor)->kind)
	{
		case ML_PREDICTOR_LINEAR:
			linear_fields(f, recipe, (MlLinear *) *predictor);
			break;
		case ML_PREDICTOR_BAYES:
			bayes_fields(f, recipe, (MlBayes *) *predictor);
			break;
		case ML_PREDICTOR_TREES:
			ml_trees_fields(f, recipe, (MlTrees *) *predictor);
			break;
		case ML_PREDICTOR_CENTRES:
			centres_fields(f, recipe, (MlCentres *) *predictor);
			break;
		case ML_PREDICTOR_PROJECTION:
			projection_fields(f, recipe, (MlProjection *) *predictor);
			break;
		case ML_PREDICTOR_NETWORK:
			network_fields(f, recipe, (MlNetwork *) *predictor);
			break;
		case ML_PREDICTOR_GROUPED:
			check_stack_depth();
			grouped_fields(f, recipe, (MlGrouped *) *predictor);
			break;
	}
	ml_fields_end(f);
}

/* ---- the rest ---- */

static void
calibration_fields(MlFields *f, const MlRecipe *recipe, MlCalibration **calibration)
{
	MlCalibration *c = *calibration;

	if (!ml_fields_has(f, "calibration", c != NULL))
		return;
	if (f->reading)
		c = *calibration = allocate(1, sizeof(MlCalibration));
	ml_fields_begin(f, "calibration");
	CHOICE(f, "kind", c->kind, MlCalibrationKind, calibration_names);
	ml_fields_array(f, "maps", &c->nmaps, MAX_COUNT);
	if (f->reading)
	{
		int			wanted = recipe->target.task == ML_TASK_BINARY ? 1 : recipe->target.nclasses;

		if (c->nmaps != wanted || wanted == 0 || c->kind == ML_CALIBRATION_NONE)
			ml_fields_refuse(f, "kind", calibration_names[c->kind], "a calibration with a map for each class");
		c->map = allocate(c->nmaps, sizeof(MlCalibrationMap));
	}
	for (int i = 0; i < c->nmaps; i++)
	{
		MlCalibrationMap *map = &c->map[i];

		ml_fields_element(f, i);
		if (c->kind == ML_CALIBRATION_PLATT)
		{
			ml_field_double(f, "slope", &map->slope);
			ml_field_double(f, "shift", &map->shift);
		}
		else
		{
			if (f->reading)
				map->npoints = ml_fields_count(f, "x");
			ml_field_doubles(f, "x", &map->x, map->npoints);
			ml_field_doubles(f, "y", &map->y, map->npoints);
		}
		ml_fields_end(f);
	}
	ml_fields_end(f);
	ml_fields_end(f);
}

static void
fact_fields(MlFields *f, int *nfacts, char ***name, double **value)
{
	ml_fields_array(f, "facts", nfacts, 1000);
	if (f->reading)
	{
		*name = allocate(*nfacts, sizeof(char *));
		*value = allocate(*nfacts, sizeof(double));
	}
	for (int i = 0; i < *nfacts; i++)
	{
		ml_fields_element(f, i);
		ml_field_text(f, "name", &(*name)[i]);
		ml_field_double(f, "value", &(*value)[i]);
		ml_fields_end(f);
		if (f->reading && (*name)[i] == NULL)
			ml_fields_refuse(f, "facts", "a fact without a name", "facts with names");
	}
	ml_fields_end(f);
}

void
ml_model_fields(MlFields *f, MlModel *model)
{
	char	   *format = "mlops";
	int			number = ML_DOCUMENT_FORMAT;

	ml_field_text(f, "format", &format);
	ml_field_int(f, "format_version", &number, 1, ML_DOCUMENT_FORMAT);
	ml_field_text(f, "algorithm", &model->algorithm);
	if (f->reading)
	{
		if (format == NULL || strcmp(format, "mlops") != 0)
			ml_fields_refuse(f, "format", format == NULL ? "nothing" : format, "\"mlops\"");
		if (model->algorithm == NULL)
			ml_fields_refuse(f, "algorithm", "nothing", "the name of an algorithm");
		model->recipe = allocate(1, sizeof(MlRecipe));
		model->recipe->cxt = CurrentMemoryContext;
	}
	target_fields(f, &model->recipe->target);
	recipe_fields(f, model->recipe);
	if (f->reading)
		ml_recipe_finish(model->recipe);
	predictor_fields(f, "predictor", model->recipe, &model->predictor);
	calibration_fields(f, model->recipe, &model->calibration);
	fact_fields(f, &model->nfacts, &model->fact_name, &model->fact_value);
}
