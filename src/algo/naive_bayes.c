/*
 * naive_bayes.c
 *		Naive Bayes for two and several classes, over numbers and categories as
 *		they are.
 *
 * Maximises  sum w [log prior(y) + sum over features log P(x_j | y)],  with
 *
 *   numbers     normal within a class: its mean and variance there, rows in
 *               which it is missing left out; plus a floor of variance_smoothing
 *               times the largest variance of any number (of its own variance
 *               for the parts of a time), as in scikit-learn's GaussianNB
 *   categories  shares (n_code + smoothing) / (n + smoothing * codes), codes
 *               being those that occur in training, NULL among them
 *
 * (Hastie, Tibshirani & Friedman, The Elements of Statistical Learning, 2nd
 * ed., section 6.6.3; Manning, Raghavan & Schuetze, Introduction to Information
 * Retrieval, section 13.2, for the smoothing.)
 *
 * One pass. Within a block a class has its mean first and squares about it
 * then; blocks merge as in Chan, Golub & LeVeque, Algorithms for computing the
 * sample variance, Am. Statistician 37 (1983).
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "learn/driver.h"
#include "recipe/recipe.h"

typedef struct Params
{
	double		smoothing;
	double		variance_smoothing;
	int			prior;			/* 0 by the shares of the classes, 1 uniform */
} Params;

static const char *const prior_choices[] = {"learned", "uniform", NULL};

static const MlParam params[] = {
	{"prior", ML_PARAM_ENUM, offsetof(Params, prior), 0, 0, 0, prior_choices,
	"probability of a class before a feature is looked at: its share of the training rows, or the same for all"},
	{"smoothing", ML_PARAM_FLOAT, offsetof(Params, smoothing), 1, 1e-10, 1e10, NULL,
	"rows that each code of a category counts besides those seen in a class (alpha elsewhere)"},
	{"variance_smoothing", ML_PARAM_FLOAT, offsetof(Params, variance_smoothing), 1e-9, 0, 1e10, NULL,
	"share of the largest variance of any number that is added to every variance (var_smoothing elsewhere)"},
	{NULL}
};

/* of a number in a class */
typedef struct Moments
{
	double		weight;
	double		mean;
	double		spread;			/* sum of w (x - mean)^2 */
} Moments;

typedef struct Bayes
{
	const MlFit *fit;
	const MlRecipe *recipe;
	const Params *params;
	int			classes;
	Size		nmoments;		/* numbers x classes */
	Size		ncounts;		/* codes of all categories x classes, and the classes themselves first */
	Size	   *first_count;	/* of each category */
	int32	   *order;			/* rows of a block by class */
	Moments    *moments;
	double	   *count;
} Bayes;

/* a state is moments, then counts */
static inline double *
counts_of(const Bayes *b, void *state)
{
	return (double *) ((Moments *) state + b->nmoments);
}

/* ---- the fold ---- */

static void *
start(const MlFit *fit)
{
	const char *what = "naive Bayes";
	const MlRecipe *recipe = fit->rows->recipe;
	Bayes	   *b = ml_fit_alloc(fit, 1, sizeof(Bayes), what);

	if (fit->rows->survey == NULL)
		ml_require_rows(fit, "naive_bayes", 1);
	b->fit = fit;
	b->recipe = recipe;
	b->params = fit->params;
	b->classes = fit->rows->nclasses;
	b->nmoments = (Size) recipe->nnumbers * b->classes;
	b->ncounts = b->classes;
	b->first_count = ml_fit_alloc(fit, recipe->ncategories, sizeof(Size), what);
	for (int g = 0; g < recipe->ncategories; g++)
	{
		b->first_count[g] = b->ncounts;
		b->ncounts += (Size) ML_NCODES(&recipe->features[recipe->category_design[g].feature]) * b->classes;
	}
	b->order = ml_fit_alloc(fit, ML_BLOCK_ROWS, sizeof(int32), what);
	b->moments = ml_fit_alloc(fit, b->nmoments, sizeof(Moments), what);
	b->count = ml_fit_alloc(fit, b->ncounts, sizeof(double), what);
	return b;
}

static Size
state_size(void *fit)
{
	const Bayes *b = fit;

	return b->nmoments * sizeof(Moments) + b->ncounts * sizeof(double);
}

/* rows of class c are order[end[c - 1] .. end[c] - 1] */
static void
order_by_class(Bayes *b, const double *y, int n, int *end)
{
	int			at = 0;

	memset(end, 0, sizeof(int) * b->classes);
	for (int i = 0; i < n; i++)
		end[(int) y[i]]++;
	for (int c = 0; c < b->classes; c++)
	{
		int			count = end[c];

		end[c] = at;
		at += count;
	}
	for (int i = 0; i < n; i++)
		b->order[end[(int) y[i]]++] = i;
}

/* of values that are all there, each of weight 1: four sums, so that additions need not wait */
static void
complete_moments(const double *x, const int32 *order, int n, Moments *m)
{
	double		sum[4] = {0};
	double		square[4] = {0};
	int			i = 0;

	for (; i + 4 <= n; i += 4)
		for (int l = 0; l < 4; l++)
			sum[l] += x[order[i + l]];
	for (; i < n; i++)
		sum[0] += x[order[i]];
	m->weight = n;
	m->mean = ((sum[0] + sum[1]) + (sum[2] + sum[3])) / n;
	for (i = 0; i + 4 <= n; i += 4)
		for (int l = 0; l < 4; l++)
		{
			double		d = x[order[i + l]] - m->mean;

			square[l] += d * d;
		}
	for (; i < n; i++)
		square[0] += (x[order[i]] - m->mean) * (x[order[i]] - m->mean);
	m->spread = (square[0] + square[1]) + (square[2] + square[3]);
}

static void
weighted_moments(const double *x, const double *weight, const int32 *order, int n, Moments *m)
{
	double		sum = 0;

	for (int i = 0; i < n; i++)
	{
		double		w = weight ? weight[order[i]] : 1;

		if (isnan(x[order[i]]))
			continue;
		m->weight += w;
		sum += w * x[order[i]];
	}
	if (m->weight == 0)
		return;
	m->mean = sum / m->weight;
	for (int i = 0; i < n; i++)
	{
		double		d = x[order[i]] - m->mean;

		if (!isnan(d))
			m->spread += (weight ? weight[order[i]] : 1) * d * d;
	}
}

static void
consume_block(void *fit, void *state, const MlBlock *block, const double *y,
			  const double *weight, int64 first)
{
	Bayes	   *b = fit;
	Moments    *moments = state;
	double	   *count = counts_of(b, state);
	int			end[ML_MAX_CLASSES];

	order_by_class(b, y, block->n, end);
	for (int k = 0; k < b->recipe->nnumbers; k++)
		for (int c = 0; c < b->classes; c++)
		{
			int			from = c > 0 ? end[c - 1] : 0;
			Moments    *m = &moments[(Size) k * b->classes + c];

			if (end[c] == from)
				continue;
			if (block->complete[k] && weight == NULL)
				complete_moments(block->number[k], b->order + from, end[c] - from, m);
			else
				weighted_moments(block->number[k], weight, b->order + from, end[c] - from, m);
		}
	for (int i = 0; i < block->n; i++)
		count[(int) y[i]] += weight ? weight[i] : 1;
	for (int g = 0; g < b->recipe->ncategories; g++)
	{
		const int32 *code = block->code + (Size) g * block->n;
		double	   *own = count + b->first_count[g];

		for (int i = 0; i < block->n; i++)
			own[(Size) code[i] * b->classes + (int) y[i]] += weight ? weight[i] : 1;
	}
}

static void
merge_moments(Moments *m, const Moments *o)
{
	double		total = m->weight + o->weight;
	double		delta = o->mean - m->mean;

	if (o->weight == 0)
		return;
	m->mean += delta * (o->weight / total);
	m->spread += o->spread + delta * delta * (m->weight * (o->weight / total));
	m->weight = total;
}

static void
merge(void *fit, void *state, const void *other)
{
	Bayes	   *b = fit;
	double	   *count = counts_of(b, state);
	const double *more = counts_of(b, unconstify(void *, other));

	for (Size i = 0; i < b->nmoments; i++)
		merge_moments((Moments *) state + i, (const Moments *) other + i);
	for (Size i = 0; i < b->ncounts; i++)
		count[i] += more[i];
}

static bool
end_pass(void *fit, void *state)
{
	Bayes	   *b = fit;

	memcpy(b->moments, state, b->nmoments * sizeof(Moments));
	memcpy(b->count, counts_of(b, state), b->ncounts * sizeof(double));
	return true;
}

/* ---- passes elsewhere: there is only one, which begins with the codes of the columns ---- */

static int
pass_size(void *fit)
{
	const Bayes *b = fit;

	return b->recipe->nnumbers + b->recipe->ncategories;
}

static bool
pass_load(void *fit, int n, const double *pass)
{
	return n == pass_size(fit);
}

/* ---- the result ---- */

static void
finish_prior(const Bayes *b, MlBayes *bayes)
{
	double		total = 0;

	for (int c = 0; c < b->classes; c++)
		total += b->count[c];
	for (int c = 0; c < b->classes; c++)
	{
		if (!(b->count[c] > 0))
			ereport(ERROR,
					(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
					 errmsg("the target has a class without training rows"),
					 errdetail("\"%s\" needs rows of each of %d classes; there are " INT64_FORMAT " rows.",
							   "naive_bayes", b->classes, b->fit->rows->nrows),
					 errhint("Train on rows of all classes.")));
		bayes->log_prior[c] = b->params->prior == 1 ? -log(b->classes) : log(b->count[c] / total);
	}
}

/* a number over all classes */
static Moments
whole(const Bayes *b, int k)
{
	Moments		all = {0};

	for (int c = 0; c < b->classes; c++)
		merge_moments(&all, &b->moments[(Size) k * b->classes + c]);
	return all;
}

static bool
part_of_time(const Bayes *b, int k)
{
	return b->recipe->features[b->recipe->numbers[k].feature].kind == ML_KIND_TIME;
}

/* a time in seconds would drown all other numbers, so it does not count */
static double
largest_variance(const Bayes *b)
{
	double		largest = 0;

	for (int k = 0; k < b->recipe->nnumbers; k++)
	{
		Moments		all = whole(b, k);

		if (!part_of_time(b, k) && all.weight > 0)
			largest = Max(largest, all.spread / all.weight);
	}
	return largest;
}

static void
finish_number(const Bayes *b, int k, double largest, MlBayes *bayes)
{
	Moments		all = whole(b, k);
	double		variance = all.weight > 0 ? all.spread / all.weight : 0;
	double		added = b->params->variance_smoothing * (part_of_time(b, k) ? variance : largest);

	for (int c = 0; c < b->classes; c++)
	{
		Size		at = (Size) k * b->classes + c;
		const Moments *m = &b->moments[at];

		bayes->mean[at] = bayes->variance[at] = NAN;
		if (!(variance > 0) || k == b->recipe->offset_number)
			continue;

		/* a class in which it is always missing: as in all of them */
		bayes->mean[at] = m->weight > 0 ? m->mean : all.mean;
		bayes->variance[at] = (m->weight > 0 ? m->spread / m->weight : variance) + added;
		if (bayes->variance[at] > 0 && isfinite(bayes->variance[at]))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("\"%s\" cannot fit a normal distribution to column \"%s\"", "naive_bayes", b->recipe->numbers[k].name),
				 errdetail("Its variance in a class is %g, that of all rows %g.", bayes->variance[at], variance),
				 isfinite(bayes->variance[at]) ? errhint("Use a larger \"variance_smoothing\", such as 1e-9.") :
				 errhint("Train on the values in larger units, for example divided by 1e150.")));
	}
}

static bool
code_occurs(const Bayes *b, const double *count)
{
	for (int c = 0; c < b->classes; c++)
		if (count[c] > 0)
			return true;
	return false;
}

/* a code that training never saw tells nothing: 0 in every class */
static void
finish_category(const Bayes *b, int g, MlBayes *bayes)
{
	int			ncodes = ML_NCODES(&b->recipe->features[b->recipe->category_design[g].feature]);
	const double *count = b->count + b->first_count[g];
	int			occurring = 0;

	bayes->log_share[g] = palloc0(sizeof(double) * ncodes * b->classes);
	for (int code = 0; code < ncodes; code++)
		occurring += code_occurs(b, count + (Size) code * b->classes);
	for (int code = 0; code < ncodes; code++)
		for (int c = 0; c < b->classes; c++)
		{
			Size		at = (Size) code * b->classes + c;

			if (code_occurs(b, count + (Size) code * b->classes))
				bayes->log_share[g][at] = Min(0.0, log((count[at] + b->params->smoothing) /
														(b->count[c] + b->params->smoothing * occurring)));
		}
}

static MlFitted *
finish(void *fit)
{
	Bayes	   *b = fit;
	MlFitted   *fitted = ml_fitted_make();
	MlBayes    *bayes = palloc0(sizeof(MlBayes));
	double		largest = largest_variance(b);

	bayes->base.kind = ML_PREDICTOR_BAYES;
	bayes->nclasses = b->classes;
	bayes->noutputs = b->fit->task == ML_TASKS_BINARY ? 1 : b->classes;
	bayes->log_prior = palloc(sizeof(double) * b->classes);
	bayes->mean = palloc_extended(Max(b->nmoments, 1) * sizeof(double), MCXT_ALLOC_HUGE);
	bayes->variance = palloc_extended(Max(b->nmoments, 1) * sizeof(double), MCXT_ALLOC_HUGE);
	bayes->log_share = palloc(sizeof(double *) * Max(b->recipe->ncategories, 1));
	finish_prior(b, bayes);
	for (int k = 0; k < b->recipe->nnumbers; k++)
		finish_number(b, k, largest, bayes);
	for (int g = 0; g < b->recipe->ncategories; g++)
		finish_category(b, g, bayes);
	fitted->predictor = &bayes->base;
	fitted->passes = 1;
	ml_fitted_fact(fitted, "classes", b->classes);
	ml_fitted_fact(fitted, "numbers", b->recipe->nnumbers);
	ml_fitted_fact(fitted, "categories", b->recipe->ncategories);
	ml_fitted_fact(fitted, "added_variance", b->params->variance_smoothing * largest);
	return fitted;
}

const MlAlgorithm ml_naive_bayes = {
	.name = "naive_bayes",
	.summary = "classes by what each feature alone says of them: normal numbers, smoothed shares of categories",
	.tasks = ML_TASKS_BINARY | ML_TASKS_MULTICLASS,
	.gives_probability = true,
	.params = params,
	.params_size = sizeof(Params),
	.start = start,
	.state_size = state_size,
	.consume_block = consume_block,
	.merge = merge,
	.end_pass = end_pass,
	.pass_size = pass_size,
	.pass_load = pass_load,
	.finish = finish,
};
