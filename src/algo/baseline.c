/*
 * baseline.c
 *		The best constant: the mean, or the shares of the classes. What every
 *		other model is measured against, and the example to copy for a new
 *		algorithm.
 *
 * Objective: regression minimises  sum w (y - m)^2      over m, by the mean;
 *            classes maximise      sum w log share[y]   over shares, by the shares.
 *
 * An algorithm is: a table of parameters, a struct that they are laid into,
 * what it knows during a fit (Baseline), what it adds up over rows (State), the
 * callbacks of the fold in the order the driver calls them, and at the bottom
 * the MlAlgorithm that says it all. ../learn/learn.c lists it.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "learn/driver.h"

/* no parameters: the table ends at once */
static const MlParam params[] = {
	{NULL}
};

/* what lives through the fit */
typedef struct Baseline
{
	const MlFit *fit;
	int			nclasses;		/* 0: regression */
	double		weight;			/* sum of weights */
	double		mean;
	double		spread;			/* sum of w (y - mean)^2 */
	double	   *class_weight;	/* nclasses */
} Baseline;

/*
 * What a block of rows adds up to. Zeroed memory must mean "no rows yet", and
 * two states must merge into the state of both blocks.
 */
typedef struct State
{
	double		weight;
	double		mean;
	double		spread;
	double		class_weight[FLEXIBLE_ARRAY_MEMBER];
} State;

static void *
start(const MlFit *fit)
{
	Baseline   *b = ml_fit_alloc(fit, 1, sizeof(Baseline), "baseline");

	ml_require_rows(fit, "baseline", 1);
	b->fit = fit;
	b->nclasses = fit->task == ML_TASKS_REGRESSION ? 0 : fit->rows->nclasses;
	b->class_weight = ml_fit_alloc(fit, b->nclasses, sizeof(double), "baseline");
	return b;
}

static Size
state_size(void *fit)
{
	return offsetof(State, class_weight) + ((Baseline *) fit)->nclasses * sizeof(double);
}

/*
 * Adds rows of weight w with that mean and spread: Chan, Golub & LeVeque,
 * Algorithms for computing the sample variance, Am. Statistician 37 (1983).
 */
static void
add_moments(State *s, double w, double mean, double spread)
{
	double		total = s->weight + w;
	double		delta = mean - s->mean;

	if (w == 0)
		return;
	s->mean += delta * (w / total);
	s->spread += spread + delta * delta * (s->weight * (w / total));
	s->weight = total;
}

static void
consume(void *fit, void *state, int n, const double *x, const double *y,
		const double *weight, int64 first)
{
	Baseline   *b = fit;
	State	   *s = state;

	for (int i = 0; i < n; i++)
	{
		double		w = weight ? weight[i] : 1;

		if (b->nclasses == 0)
			add_moments(s, w, y[i], 0);
		else
		{
			s->class_weight[(int) y[i]] += w;
			s->weight += w;
		}
	}
}

static void
merge(void *fit, void *state, const void *other)
{
	Baseline   *b = fit;
	State	   *s = state;
	const State *o = other;

	if (b->nclasses == 0)
		add_moments(s, o->weight, o->mean, o->spread);
	else
		s->weight += o->weight;
	for (int c = 0; c < b->nclasses; c++)
		s->class_weight[c] += o->class_weight[c];
}

/* one pass is enough: keep what was added up, and say that it is done */
static bool
end_pass(void *fit, void *state)
{
	Baseline   *b = fit;
	State	   *s = state;

	b->weight = s->weight;
	b->mean = s->mean;
	b->spread = s->spread;
	memcpy(b->class_weight, s->class_weight, b->nclasses * sizeof(double));
	return true;
}

static void
finish_regression(const Baseline *b, MlFitted *fitted)
{
	int64		n = b->fit->rows->nrows;

	if (!isfinite(b->mean))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("the mean of the target is not a finite number"),
				 errdetail("The sum of its values is larger than a double precision number can be."),
				 errhint("Train on the target in larger units.")));
	ml_linear(fitted)->intercept[0].estimate = b->mean;
	ml_fitted_fact(fitted, "mean", b->mean);
	ml_fitted_fact(fitted, "residual_sum_of_squares", b->spread);
	if (n > 1)
		ml_fitted_fact(fitted, "residual_standard_error", sqrt(b->spread / (n - 1)));
}

static void
finish_classes(const Baseline *b, MlFitted *fitted)
{
	MlLinear   *linear = ml_linear(fitted);
	double		log_likelihood = 0;

	for (int c = 0; c < b->nclasses; c++)
		if (b->class_weight[c] > 0)
			log_likelihood += b->class_weight[c] * log(b->class_weight[c] / b->weight);
	ml_fitted_fact(fitted, "log_likelihood", log_likelihood);
	if (b->fit->task == ML_TASKS_BINARY)
	{
		if (b->class_weight[0] == 0 || b->class_weight[1] == 0)
			ereport(ERROR,
					(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
					 errmsg("the target has only one class in the training rows"),
					 errdetail("\"%s\" needs rows of both classes; all " INT64_FORMAT " rows are of one.",
							   "baseline", b->fit->rows->nrows),
					 errhint("Train on rows of both classes.")));
		linear->intercept[0].estimate = log(b->class_weight[1] / b->class_weight[0]);
		return;
	}
	linear->class_share = palloc(b->nclasses * sizeof(double));
	for (int c = 0; c < b->nclasses; c++)
		linear->class_share[c] = b->class_weight[c] / b->weight;
}

/* runs in the caller's memory context: what it allocates is the result */
static MlFitted *
finish(void *fit)
{
	Baseline   *b = fit;
	bool		several = b->fit->task == ML_TASKS_MULTICLASS;
	MlLink		link = several ? ML_LINK_SOFTMAX : b->nclasses > 0 ? ML_LINK_LOGIT : ML_LINK_IDENTITY;
	MlFitted   *fitted = ml_fitted_linear(link, several ? b->nclasses : 1, 0);

	ml_linear(fitted)->has_intercept = true;
	ml_linear(fitted)->coefficient = NULL;	/* a constant */
	fitted->passes = 1;
	if (b->nclasses == 0)
		finish_regression(b, fitted);
	else
		finish_classes(b, fitted);
	return fitted;
}

const MlAlgorithm ml_baseline = {
	.name = "baseline",
	.summary = "the mean, or the shares of the classes: the measure for all others",
	.tasks = ML_TASKS_REGRESSION | ML_TASKS_BINARY | ML_TASKS_MULTICLASS,
	.gives_probability = true,
	.ignores_features = true,
	.params = params,
	.params_size = 0,
	.start = start,
	.state_size = state_size,
	.consume = consume,
	.merge = merge,
	.end_pass = end_pass,
	.finish = finish,
};
