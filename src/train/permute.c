/*
 * permute.c
 *		mlops_permutation_importance: how much worse a model predicts when a
 *		feature tells nothing.
 *
 * A feature's values are dealt to other rows, which leaves their distribution
 * as it is and takes their connection with all else away; what the metric
 * loses is the feature's importance (Breiman, Random forests, Machine Learning
 * 45 (2001), section 10). It is measured on any source, works for every kind of
 * predictor, and judges the model, not the data: of two features that say the
 * same a model may need either.
 *
 * Rows are in canonical order and permutations are made of the seed, so that
 * the same rows give the same numbers however they are stored.
 */
#include "postgres.h"

#include <math.h>

#include "budget.h"
#include "errors.h"
#include "fmgr.h"
#include "frame/hash.h"
#include "interrupts.h"
#include "metric/metric.h"
#include "model/look.h"
#include "registry/registry_catalog.h"
#include "result.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define ARG_MODEL		0
#define ARG_SOURCE		1
#define ARG_TARGET		2
#define ARG_METRIC		3
#define ARG_REPEATS		4
#define ARG_SEED		5
#define RESULT_COLUMNS	3		/* feature, importance, deviation */
#define MAX_REPEATS		1000

PG_FUNCTION_INFO_V1(mlops_permutation_importance);

typedef struct Permuting
{
	MlResolved	resolved;
	const MlModel *model;
	const MlMetric *metric;
	int			repeats;
	uint64		seed;
	MlBudget	budget;
	MlFrame    *frame;
	int64	   *order;			/* nrows: a permutation */
	char	   *permuted;		/* a column's values in that order */
	double	   *label;
	double	   *prediction;		/* nrows x outputs */
} Permuting;

/* what a feature's permutations cost */
typedef struct Loss
{
	int			feature;
	double		mean;
	double		deviation;		/* NaN: of one repeat */
} Loss;

/* ---- arguments ---- */

static void
require_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be NULL", name),
				 errdetail("It was given as NULL."),
				 errhint("As in SELECT * FROM mlops_permutation_importance('churn', 'customer').")));
}

static const MlMetric *
find_metric(const Permuting *p, const char *name)
{
	MlTask		task = p->model->recipe->target.task;
	const MlMetric *metric = name ? ml_metric_find(name) : ml_metric_default(task);

	if (name == NULL)
		return metric;
	ml_metric_require(p->resolved.model, name, task);
	if (metric != NULL)
		return metric;
	if (ml_metric_exists(name))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the importance of features is not measured by metric \"%s\"", name),
				 errdetail("It is an aggregate, which would run for every feature and repetition."),
				 errhint("Choose one of the built-in metrics: see mlops_metrics().")));
	ml_metric_error_unknown(name, task, NULL);
}

static void
take_arguments(FunctionCallInfo fcinfo, Permuting *p)
{
	char	   *metric = ml_argument_text(fcinfo, ARG_METRIC);

	require_argument(fcinfo, ARG_MODEL, "model");
	require_argument(fcinfo, ARG_SOURCE, "source");
	require_argument(fcinfo, ARG_REPEATS, "repeats");
	require_argument(fcinfo, ARG_SEED, "seed");
	p->model = ml_look_model(PG_GETARG_TEXT_PP(ARG_MODEL), &p->resolved);
	if (p->model->recipe->target.task & ML_TASKS_UNSUPERVISED)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" has no target that its features could be needed for", p->resolved.model),
				 errdetail("Version %d is of algorithm \"%s\".", p->resolved.version, p->model->algorithm),
				 errhint("mlops_importance(model) says which features matter to it.")));
	p->metric = find_metric(p, metric);
	p->repeats = PG_GETARG_INT32(ARG_REPEATS);
	p->seed = (uint64) PG_GETARG_INT64(ARG_SEED);
	if (p->repeats < 1 || p->repeats > MAX_REPEATS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"repeats\" is %d", p->repeats),
				 errdetail("It must be from 1 to %d.", MAX_REPEATS),
				 errhint("The default is 5.")));
}

/* ---- the rows ---- */

/* The column that holds the target takes the name that the model knows. */
static void
name_target(MlFrame *frame, char *name)
{
	for (int i = 0; i < frame->ncols; i++)
		if (i != frame->target_column && strcmp(frame->cols[i].name, name) == 0)
			frame->cols[i].name = "";
	frame->cols[frame->target_column].name = name;
}

static void
read_rows(Permuting *p, const char *source, const char *target)
{
	const MlRecipe *recipe = ml_model_input_recipe(p->model);
	char	   *own_target = p->model->recipe->target.name;
	MlFrameRequest request = {0};
	MlSplit		split = {ML_SPLIT_NONE};

	request.source = source;
	request.target = target ? target : own_target;
	request.nfeatures = recipe->nfeatures;
	request.features = palloc(sizeof(char *) * Max(recipe->nfeatures, 1));
	for (int f = 0; f < recipe->nfeatures; f++)
		request.features[f] = recipe->features[f].name;
	ml_budget_begin(&p->budget);
	p->frame = ml_frame_read(&request, &p->budget);
	if (p->frame->nrows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the source has no rows to measure on"),
				 errdetail("Rows without a label are left out."),
				 errhint("Give one with rows of the columns that the model was trained on.")));
	ml_frame_arrange(p->frame, NULL, &split, true);
	name_target(p->frame, own_target);
}

static void *
take(Permuting *p, Size n, Size size, const char *what)
{
	Size		bytes = ml_size_mul(Max(n, 1), size);

	ml_budget_take(&p->budget, bytes, what);
	return palloc_extended(bytes, MCXT_ALLOC_HUGE);
}

/* bytes of a row of a column: one of its arrays is there */
static Size
width_of(const MlColumn *column)
{
	switch (column->type.kind)
	{
		case ML_KIND_NUMBER:
			return sizeof(double);
		case ML_KIND_CATEGORY:
			return sizeof(int32);
		case ML_KIND_TIME:
			return sizeof(int64);
		default:
			return column->array_length * sizeof(double);
	}
}

static void
take_memory(Permuting *p)
{
	Size		n = p->frame->nrows;
	Size		width = 0;

	for (int i = 0; i < p->frame->ncols; i++)
		if (p->frame->cols[i].loaded)
			width = Max(width, width_of(&p->frame->cols[i]));
	p->order = take(p, n, sizeof(int64), "a permutation of the rows");
	p->permuted = take(p, n, width, "the permuted values of a column");
	p->label = take(p, n, sizeof(double), "labels to measure with");
	p->prediction = take(p, ml_size_mul(n, p->model->noutputs), sizeof(double), "predictions to measure");
	ml_budget_take(&p->budget, ml_size_mul(n, p->metric->row_memory), psprintf("the metric %s", p->metric->name));
}

/* ---- measuring ---- */

static double
measure(Permuting *p)
{
	const MlTarget *target = &p->model->recipe->target;
	MlMeasurement rows = {0};
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops measure", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	double		result;

	ml_model_predict_frame(p->model, p->frame, 0, p->frame->nrows, p->prediction);
	rows.task = target->task;
	rows.n = p->frame->nrows;
	rows.label = p->label;
	rows.prediction = p->prediction;
	rows.nclasses = target->nclasses;
	rows.threshold = p->resolved.threshold;
	result = p->metric->measure(&rows);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	return result;
}

/* Fisher and Yates, with a number of its own for every feature and repeat */
static void
shuffle(Permuting *p, const char *feature, int repeat)
{
	uint64		hash = ml_hash_word(ml_hash_bytes(feature, strlen(feature), p->seed), repeat);
	int64		n = p->frame->nrows;

	for (int64 i = 0; i < n; i++)
		p->order[i] = i;
	for (int64 i = n - 1; i > 0; i--)
	{
		int64		j = (int64) (ml_hash_word(hash, i) % (uint64) (i + 1));
		int64		at = p->order[i];

		ml_check_row(i);
		p->order[i] = p->order[j];
		p->order[j] = at;
	}
}

static double
measure_permuted(Permuting *p, MlColumn *column)
{
	MlColumn	kept = *column;
	Size		width = width_of(column);
	const char *from = column->type.kind == ML_KIND_NUMBER ? (const char *) column->number :
		column->type.kind == ML_KIND_CATEGORY ? (const char *) column->code :
		column->type.kind == ML_KIND_TIME ? (const char *) column->usec : (const char *) column->array;
	double		result;

	for (int64 i = 0; i < p->frame->nrows; i++)
	{
		ml_check_row(i);
		memcpy(p->permuted + i * width, from + p->order[i] * width, width);
	}
	column->number = column->number ? (double *) p->permuted : NULL;
	column->code = column->code ? (int32 *) p->permuted : NULL;
	column->usec = column->usec ? (int64 *) p->permuted : NULL;
	column->array = column->array ? (double *) p->permuted : NULL;
	result = measure(p);
	*column = kept;
	return result;
}

static Loss
lose_feature(Permuting *p, int feature, double whole)
{
	const char *name = ml_model_input_recipe(p->model)->features[feature].name;
	MlColumn   *column = &p->frame->cols[ml_frame_find(p->frame, name)];
	Loss		loss = {feature, 0, 0};
	double		squares = 0;

	for (int r = 0; r < p->repeats; r++)
	{
		double		worse;
		double		delta;

		shuffle(p, name, r);
		worse = whole - measure_permuted(p, column);
		if (!p->metric->higher_is_better)
			worse = 0 - worse;
		delta = worse - loss.mean;
		loss.mean += delta / (r + 1);
		squares += delta * (worse - loss.mean);
	}
	loss.deviation = p->repeats > 1 ? sqrt(squares / (p->repeats - 1)) : NAN;
	return loss;
}

static int
compare_losses(const void *a, const void *b)
{
	const Loss *x = a;
	const Loss *y = b;

	if (x->mean != y->mean && !isnan(x->mean) && !isnan(y->mean))
		return x->mean > y->mean ? -1 : 1;
	return x->feature - y->feature;
}

/* mlops_permutation_importance(model, source, target, metric, repeats, seed): the largest first */
Datum
mlops_permutation_importance(PG_FUNCTION_ARGS)
{
	Permuting	p = {0};
	const MlRecipe *recipe;
	MlRows		rows;
	Loss	   *loss;
	int			n;
	double		whole;

	take_arguments(fcinfo, &p);
	ml_rows_begin(fcinfo, &rows);
	read_rows(&p, ml_argument_text(fcinfo, ARG_SOURCE), ml_argument_text(fcinfo, ARG_TARGET));
	take_memory(&p);
	ml_recipe_labels(p.model->recipe, p.frame, 0, p.frame->nrows, p.label);
	recipe = ml_model_input_recipe(p.model);
	n = recipe->nfeatures;
	loss = palloc(sizeof(Loss) * Max(n, 1));
	whole = measure(&p);
	for (int f = 0; f < n; f++)
		loss[f] = lose_feature(&p, f, whole);
	qsort(loss, n, sizeof(Loss), compare_losses);
	for (int f = 0; f < n; f++)
	{
		Datum		values[RESULT_COLUMNS];
		bool		nulls[RESULT_COLUMNS];

		ml_rows_text(values, nulls, 0, recipe->features[loss[f].feature].name);
		ml_rows_number(values, nulls, 1, loss[f].mean);
		ml_rows_number(values, nulls, 2, loss[f].deviation);
		ml_rows_add(&rows, values, nulls);
	}
	return (Datum) 0;
}
