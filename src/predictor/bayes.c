/*
 * bayes.c
 *		Naive Bayes: a class's prior and, of every feature by itself, how likely
 *		its value is in the class.
 *
 * The logarithm of P(class, row) is a sum over features: numbers are normal
 * within a class, categories have shares. A missing number adds nothing, and
 * neither does one that did not vary in training. Two classes are told apart by
 * the difference of their sums, the log-odds; several by the softmax of theirs.
 *
 * A value so far out that no class expects it (10^6 deviations) counts as that
 * far: classes then differ by the other features, and no sum is infinite.
 *
 * Rows and blocks are summed in the same order, so that a row scores the same
 * bits whichever way it comes.
 *
 * Contributions to several classes are about the mean of the classes: the
 * softmax takes no notice of what all have in common.
 *
 * Importance is how much a feature tells of the class, in nats: of a category
 * the mutual information; of a number half the logarithm of its variance over
 * that within classes, likewise under normal distributions (Cover & Thomas,
 * Elements of Information Theory, chapters 2 and 8).
 */
#include "postgres.h"

#include <math.h>

#include "predictor/linear.h"
#include "utils/memutils.h"

#define FAR 1e12				/* squared deviations */

static double *
doubles(Size n)
{
	return palloc_extended(Max(n, 1) * sizeof(double), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

static int
ncodes_of(const MlRecipe *recipe, int category)
{
	return ML_NCODES(&recipe->features[recipe->category_design[category].feature]);
}

/* ---- bytes ---- */

static void
write_bayes(MlWriter *w, const MlRecipe *recipe, const MlPredictor *predictor)
{
	const MlBayes *bayes = (const MlBayes *) predictor;
	Size		classes = bayes->nclasses;

	ml_put_int32(w, bayes->nclasses);
	ml_put_doubles(w, bayes->log_prior, classes);
	ml_put_doubles(w, bayes->mean, classes * recipe->nnumbers);
	ml_put_doubles(w, bayes->variance, classes * recipe->nnumbers);
	for (int g = 0; g < recipe->ncategories; g++)
		ml_put_doubles(w, bayes->log_share[g], classes * ncodes_of(recipe, g));
}

/* logarithms of probabilities */
static double *
read_logarithms(MlCursor *c, Size n, const char *field)
{
	double	   *value;
	Size		at = c->at;

	value = ml_cursor_doubles(c, n, ML_FLOAT_FINITE, field);
	for (Size i = 0; i < n; i++)
		if (value[i] > 0)
			ml_cursor_refuse(c, at + i * sizeof(double), psprintf("%g", value[i]), "the logarithm of a probability");
	return value;
}

/* a number has a variance in every class, or in none */
static void
check_variances(MlCursor *c, Size at, const MlBayes *bayes, int nnumbers)
{
	for (int k = 0; k < nnumbers; k++)
		for (int o = 0; o < bayes->nclasses; o++)
		{
			Size		i = (Size) k * bayes->nclasses + o;
			double		variance = bayes->variance[i];

			if (variance <= 0 || isnan(variance) != isnan(bayes->variance[i - o]) ||
				(!isnan(variance) && isnan(bayes->mean[i])))
				ml_cursor_refuse(c, at + i * sizeof(double), psprintf("%g", variance),
								 "a positive variance with its mean, or none in any class");
		}
}

static MlPredictor *
read_bayes(MlCursor *c, const MlRecipe *recipe)
{
	const MlTarget *target = &recipe->target;
	MlBayes    *bayes = palloc0(sizeof(MlBayes));
	Size		at = c->at;
	Size		classes;

	bayes->base.kind = ML_PREDICTOR_BAYES;
	if (target->task != ML_TASK_BINARY && target->task != ML_TASK_MULTICLASS)
		ml_cursor_refuse(c, at, "naive Bayes", "classes with it");
	bayes->nclasses = ml_cursor_range(c, 4, target->nclasses, target->nclasses, "number of classes");
	bayes->noutputs = target->task == ML_TASK_BINARY ? 1 : bayes->nclasses;
	classes = bayes->nclasses;
	bayes->log_prior = read_logarithms(c, classes, "logarithm of a prior");
	bayes->mean = ml_cursor_doubles(c, classes * recipe->nnumbers, ML_FLOAT_OR_NAN, "mean of a class");
	at = c->at;
	bayes->variance = ml_cursor_doubles(c, classes * recipe->nnumbers, ML_FLOAT_OR_NAN, "variance of a class");
	check_variances(c, at, bayes, recipe->nnumbers);
	bayes->log_share = palloc(sizeof(double *) * Max(recipe->ncategories, 1));
	for (int g = 0; g < recipe->ncategories; g++)
		bayes->log_share[g] = read_logarithms(c, classes * ncodes_of(recipe, g), "logarithm of a share");
	return &bayes->base;
}

/* ---- predicting ---- */

static void
compile(MlPredictor *predictor, const MlRecipe *recipe)
{
	MlBayes    *bayes = (MlBayes *) predictor;
	Size		n = (Size) recipe->nnumbers * bayes->nclasses;

	bayes->peak = doubles(n);
	bayes->steepness = doubles(n);
	for (Size i = 0; i < n; i++)
	{
		bayes->peak[i] = -0.5 * log(2 * M_PI * bayes->variance[i]);
		bayes->steepness[i] = 0.5 / bayes->variance[i];
	}
}

static int
noutputs(const MlPredictor *predictor)
{
	return ((const MlBayes *) predictor)->noutputs;
}

static Size
work_size(const MlPredictor *predictor, const MlRecipe *recipe)
{
	return ((const MlBayes *) predictor)->nclasses;
}

static inline double
log_density(double peak, double steepness, double mean, double value)
{
	double		d = value - mean;
	double		q = d * d * steepness;

	q = q < FAR ? q : FAR;
	return peak - q;
}

/* from the sums of the classes to the outputs */
static inline void
conclude(const MlBayes *bayes, const double *sum, int stride, double *output)
{
	if (bayes->noutputs == 1)
	{
		output[0] = ml_logistic(sum[stride] - sum[0]);
		return;
	}
	for (int c = 0; c < bayes->nclasses; c++)
		output[c] = sum[(Size) c * stride];
	ml_link_apply(ML_LINK_SOFTMAX, output, bayes->nclasses);
}

static void
predict(const MlPredictor *predictor, const MlRecipe *recipe, const MlRow *row, double *work, double *output)
{
	const MlBayes *bayes = (const MlBayes *) predictor;
	int			classes = bayes->nclasses;

	memcpy(work, bayes->log_prior, sizeof(double) * classes);
	for (int k = 0; k < recipe->nnumbers; k++)
	{
		Size		at = (Size) k * classes;

		if (isnan(bayes->peak[at]) || isnan(row->number[k]))
			continue;
		for (int c = 0; c < classes; c++)
			work[c] += log_density(bayes->peak[at + c], bayes->steepness[at + c], bayes->mean[at + c], row->number[k]);
	}
	for (int g = 0; g < recipe->ncategories; g++)
		for (int c = 0; c < classes; c++)
			work[c] += bayes->log_share[g][(Size) row->code[g] * classes + c];
	conclude(bayes, work, 1, output);
}

static Size
block_work_size(const MlPredictor *predictor, const MlRecipe *recipe, int nrows)
{
	return (Size) ((const MlBayes *) predictor)->nclasses * nrows;
}

static void
add_number(const MlBayes *bayes, int k, int c, const double *value, int n, double *sum)
{
	Size		at = (Size) k * bayes->nclasses + c;
	double		peak = bayes->peak[at];
	double		steepness = bayes->steepness[at];
	double		mean = bayes->mean[at];

	for (int i = 0; i < n; i++)
	{
		double		density = log_density(peak, steepness, mean, value[i]);

		sum[i] += value[i] == value[i] ? density : 0.0;
	}
}

static void
predict_block(const MlPredictor *predictor, const MlRecipe *recipe, const MlBlock *block,
			  double *work, double *output)
{
	const MlBayes *bayes = (const MlBayes *) predictor;
	int			n = block->n;
	int			classes = bayes->nclasses;

	for (int c = 0; c < classes; c++)
	{
		double	   *sum = work + (Size) c * n;

		for (int i = 0; i < n; i++)
			sum[i] = bayes->log_prior[c];
		for (int k = 0; k < recipe->nnumbers; k++)
			if (!isnan(bayes->peak[(Size) k * classes]))
				add_number(bayes, k, c, block->number[k], n, sum);
		for (int g = 0; g < recipe->ncategories; g++)
			for (int i = 0; i < n; i++)
				sum[i] += bayes->log_share[g][(Size) block->code[(Size) g * n + i] * classes + c];
	}
	for (int i = 0; i < n; i++)
		conclude(bayes, work + i, n, output + (Size) i * bayes->noutputs);
}

/* ---- looking ---- */

/* what a value of every class tells for an output: log-odds, or about the mean of the classes */
static double
told(const MlBayes *bayes, int output, const double *value)
{
	double		sum = 0;

	if (bayes->noutputs == 1)
		return value[1] - value[0];
	for (int c = 0; c < bayes->nclasses; c++)
		sum += value[c];
	return value[output] - sum / bayes->nclasses;
}

static double
number_told(const MlBayes *bayes, int output, int k, double value)
{
	Size		at = (Size) k * bayes->nclasses;
	double		sum = 0;
	double		own = 0;

	if (isnan(bayes->peak[at]) || isnan(value))
		return 0;
	for (int c = 0; c < bayes->nclasses; c++)
	{
		double		density = log_density(bayes->peak[at + c], bayes->steepness[at + c], bayes->mean[at + c], value);

		if (bayes->noutputs == 1)
			own += c == 1 ? density : -density;
		else if (c == output)
			own = density;
		sum += density;
	}
	return bayes->noutputs == 1 ? own : own - sum / bayes->nclasses;
}

static void
explain(const MlPredictor *predictor, const MlRecipe *recipe, const MlRow *row, int output,
		double *contribution, double *base)
{
	const MlBayes *bayes = (const MlBayes *) predictor;

	*base = told(bayes, output, bayes->log_prior);
	for (int f = 0; f < recipe->nfeatures; f++)
	{
		const MlFeature *feature = &recipe->features[f];

		contribution[f] = 0;
		if (feature->kind == ML_KIND_CATEGORY)
		{
			contribution[f] = told(bayes, output, bayes->log_share[feature->category] +
								   (Size) row->code[feature->category] * bayes->nclasses);
			continue;
		}
		for (int k = feature->first_number; k < feature->first_number + feature->nnumbers; k++)
			contribution[f] += number_told(bayes, output, k, row->number[k]);
	}
}

static double
number_importance(const MlBayes *bayes, int k)
{
	const double *mean = bayes->mean + (Size) k * bayes->nclasses;
	const double *variance = bayes->variance + (Size) k * bayes->nclasses;
	double		whole_mean = 0;
	double		whole_variance = 0;
	double		within = 0;

	if (isnan(variance[0]))
		return 0;
	for (int c = 0; c < bayes->nclasses; c++)
		whole_mean += exp(bayes->log_prior[c]) * mean[c];
	for (int c = 0; c < bayes->nclasses; c++)
	{
		double		prior = exp(bayes->log_prior[c]);
		double		d = mean[c] - whole_mean;

		whole_variance += prior * (variance[c] + d * d);
		within += prior * log(variance[c]);
	}
	return Max(0.5 * (log(whole_variance) - within), 0.0);
}

static double
category_importance(const MlBayes *bayes, const double *log_share, int ncodes)
{
	double		sum = 0;

	for (int code = 0; code < ncodes; code++)
	{
		const double *share = log_share + (Size) code * bayes->nclasses;
		double		whole = 0;

		for (int c = 0; c < bayes->nclasses; c++)
			whole += exp(bayes->log_prior[c] + share[c]);
		for (int c = 0; c < bayes->nclasses && whole > 0 && whole < 1; c++)
			sum += exp(bayes->log_prior[c] + share[c]) * (share[c] - log(whole));
	}
	return Max(sum, 0.0);
}

static void
importance(const MlPredictor *predictor, const MlRecipe *recipe, double *result)
{
	const MlBayes *bayes = (const MlBayes *) predictor;

	for (int f = 0; f < recipe->nfeatures; f++)
	{
		const MlFeature *feature = &recipe->features[f];

		result[f] = 0;
		if (feature->kind == ML_KIND_CATEGORY)
			result[f] = category_importance(bayes, bayes->log_share[feature->category], ML_NCODES(feature));
		else
			for (int k = feature->first_number; k < feature->first_number + feature->nnumbers; k++)
				result[f] += number_importance(bayes, k);
	}
}

static void
give_term(MlTermSink sink, void *arg, const char *class, const char *term, const char *feature, double value)
{
	MlCoefficient coefficient = {value, NAN, NAN, NAN};
	MlTerm		row = {class, term, feature, &coefficient, NAN};

	sink(arg, &row);
}

static const char *
code_name(const MlFeature *feature, int code)
{
	if (code < feature->nlevels)
		return psprintf("%s=%s", feature->name, feature->level[code]);
	return psprintf(code == ML_CODE_POOL(feature) ? "%s=(other)" : "%s=(null)", feature->name);
}

static bool
code_occurs(const MlFeature *feature, int code)
{
	return code < feature->nlevels ||
		(code == ML_CODE_POOL(feature) ? feature->pool_share : feature->null_share) > 0;
}

static void
class_terms(const MlBayes *bayes, const MlRecipe *recipe, int c, const char *class, MlTermSink sink, void *arg)
{
	give_term(sink, arg, class, "(prior)", NULL, exp(bayes->log_prior[c]));
	for (int f = 0; f < recipe->nfeatures; f++)
	{
		const MlFeature *feature = &recipe->features[f];

		for (int k = feature->first_number; feature->kind != ML_KIND_CATEGORY && k < feature->first_number + feature->nnumbers; k++)
		{
			Size		at = (Size) k * bayes->nclasses + c;

			if (isnan(bayes->variance[at]))
				continue;
			give_term(sink, arg, class, psprintf("%s (mean)", recipe->numbers[k].name), feature->name, bayes->mean[at]);
			give_term(sink, arg, class, psprintf("%s (deviation)", recipe->numbers[k].name), feature->name,
					  sqrt(bayes->variance[at]));
		}
		for (int code = 0; feature->kind == ML_KIND_CATEGORY && code < ML_NCODES(feature); code++)
			if (code_occurs(feature, code))
				give_term(sink, arg, class, code_name(feature, code), feature->name,
						  exp(bayes->log_share[feature->category][(Size) code * bayes->nclasses + c]));
	}
}

static void
terms(const MlPredictor *predictor, const MlRecipe *recipe, MlTermSink sink, void *arg)
{
	const MlBayes *bayes = (const MlBayes *) predictor;
	const MlTarget *target = &recipe->target;

	for (int c = 0; c < bayes->nclasses; c++)
	{
		int			class = c;

		if (bayes->noutputs == 1)
			class = c == 1 ? target->positive : 1 - target->positive;
		class_terms(bayes, recipe, c, target->class_label[class], sink, arg);
	}
}

const MlPredictorRoutine ml_bayes_routine = {
	.name = "bayes",
	.write = write_bayes,
	.read = read_bayes,
	.compile = compile,
	.noutputs = noutputs,
	.work_size = work_size,
	.predict = predict,
	.predict_block = predict_block,
	.block_work_size = block_work_size,
	.explain = explain,
	.importance = importance,
	.terms = terms,
};
