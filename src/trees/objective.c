/*
 * objective.c
 *		The losses of gradient boosting.
 *
 *   squared_error   (y - eta)^2
 *   absolute_error  |y - eta|
 *   quantile        alpha (y - eta), or (alpha - 1) (y - eta) below eta
 *   poisson         2 (y log(y / mu) - y + mu), mu = exp(eta): the deviance
 *   logistic        -y log p - (1 - y) log(1 - p), p = 1 / (1 + exp(-eta))
 *   softmax         -log p of the row's class, p_c = exp(eta_c) / sum exp(eta)
 *
 * Leaves hold Newton steps, as J. Friedman's Greedy function approximation: a
 * gradient boosting machine, Annals of Statistics 29 (2001), takes them, with
 * two exceptions, also his. For absolute_error and quantile a leaf holds the
 * weighted quantile of its residuals. For poisson an upward step s becomes
 * log(1 + s), which is where the leaf's deviance is least.
 *
 * A target is divided by a power of two first, so that no square overflows.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "learn/driver.h"
#include "miscadmin.h"
#include "num/gradient.h"
#include "trees/objective.h"

#define BLOCK		8192		/* rows between checks for interrupts */
#define LEAST_SHARE	1e-9		/* a class's share where eta begins, at least */

static inline double
weight_of(const MlObjective *o, int64 i)
{
	return o->fit->rows->weight ? o->fit->rows->weight[i] : 1;
}

/* ---- where eta begins ---- */

static int
by_value(const void *a, const void *b)
{
	const double *x = a;
	const double *y = b;

	return x[0] < y[0] ? -1 : x[0] > y[0];
}

/* the smallest value with at least a share alpha of the weight at or below it, pairs (value, weight) */
static double
weighted_quantile(double *pair, int64 n, double alpha)
{
	double		total = 0;
	double		below = 0;

	qsort(pair, n, 2 * sizeof(double), by_value);
	for (int64 i = 0; i < n; i++)
		total += pair[2 * i + 1];
	for (int64 i = 0; i < n; i++)
	{
		below += pair[2 * i + 1];

		/* exactly at the share: halfway to the next one */
		if (below == alpha * total && i + 1 < n)
			return (pair[2 * i] + pair[2 * i + 2]) / 2;
		if (below > alpha * total)
			return pair[2 * i];
	}
	return pair[2 * (n - 1)];
}

static double
quantile_of_all(const MlObjective *o)
{
	double	   *pair = o->residual;

	for (int64 i = 0; i < o->ntrain; i++)
	{
		pair[2 * i] = o->y[i];
		pair[2 * i + 1] = weight_of(o, i);
	}
	return weighted_quantile(pair, o->ntrain, o->alpha);
}

/* weighted means of the targets, or of being of a class */
static void
mean_of_all(const MlObjective *o, double *mean)
{
	bool		classes = o->kind == ML_OBJECTIVE_SOFTMAX;

	for (int c = 0; c < o->noutputs; c++)
		mean[c] = 0;
	for (int64 i = 0; i < o->ntrain; i++)
	{
		double		share = weight_of(o, i) / o->weight[0];

		if (classes)
			mean[(int) o->y[i]] += share;
		else
			mean[0] += share * o->y[i];
	}
}

static void
begin_eta(MlObjective *o)
{
	o->base = ml_fit_alloc(o->fit, o->noutputs, sizeof(double), "predictions of the rows");
	if (o->kind == ML_OBJECTIVE_ABSOLUTE || o->kind == ML_OBJECTIVE_QUANTILE)
		o->base[0] = quantile_of_all(o);
	else
		mean_of_all(o, o->base);
	for (int c = 0; c < o->noutputs; c++)
	{
		double		share = fmin(fmax(o->base[c], LEAST_SHARE), 1 - LEAST_SHARE);

		if (o->kind == ML_OBJECTIVE_POISSON)
			o->base[c] = log(o->base[c]);
		else if (o->kind == ML_OBJECTIVE_LOGISTIC)
			o->base[c] = log(share / (1 - share));
		else if (o->kind == ML_OBJECTIVE_SOFTMAX)
			o->base[c] = log(share);
		for (int64 i = 0; i < o->nrows; i++)
			o->eta[c * o->nrows + i] = o->base[c];
	}
}

static bool
is_scaled(MlObjectiveKind kind)
{
	return kind == ML_OBJECTIVE_SQUARED || kind == ML_OBJECTIVE_ABSOLUTE || kind == ML_OBJECTIVE_QUANTILE;
}

static void
scale_target(MlObjective *o)
{
	const double *y = o->fit->rows->y;
	double		largest = 0;
	double	   *scaled;
	int			exponent;

	o->unit = 1;
	o->y = y;
	if (!is_scaled(o->kind))
		return;
	for (int64 i = 0; i < o->nrows; i++)
		largest = fmax(largest, fabs(y[i]));
	frexp(largest, &exponent);
	if (largest == 0)
		return;
	scaled = ml_fit_alloc(o->fit, o->nrows, sizeof(double), "the labels");
	o->unit = ldexp(1.0, Max(Min(exponent, 1000), -1000));
	for (int64 i = 0; i < o->nrows; i++)
		scaled[i] = y[i] / o->unit;
	o->y = scaled;
}

static void
check_counts(const MlObjective *o)
{
	double		sum = 0;

	for (int64 i = 0; i < o->nrows; i++)
	{
		if (o->y[i] < 0)
			ereport(ERROR,
					(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
					 errmsg("objective \"poisson\" takes no negative target"),
					 errdetail("There is a target of %g.", o->y[i]),
					 errhint("Train with objective \"squared_error\".")));
		sum += i < o->ntrain ? o->y[i] : 0;
	}
	if (sum == 0)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("objective \"poisson\" needs a target above 0"),
				 errdetail("All " INT64_FORMAT " training rows have 0.", o->ntrain),
				 errhint("Train on rows where something was counted.")));
}

static void
add_weights(MlObjective *o)
{
	for (int64 i = 0; i < o->nrows; i++)
	{
		int			part = i < o->ntrain ? 0 : 1;

		o->weight[part] += weight_of(o, i);
		if (o->kind == ML_OBJECTIVE_POISSON && o->y[i] > 0)
			o->constant[part] += weight_of(o, i) * (o->y[i] * log(o->y[i]) - o->y[i]);
	}
}

MlObjective *
ml_objective_make(const MlFit *fit, MlObjectiveKind kind, double alpha, int64 ntrain)
{
	MlObjective *o = ml_fit_alloc(fit, 1, sizeof(MlObjective), "state of the trees");

	o->fit = fit;
	o->kind = kind;
	o->alpha = kind == ML_OBJECTIVE_ABSOLUTE ? 0.5 : alpha;
	o->noutputs = kind == ML_OBJECTIVE_SOFTMAX ? fit->rows->nclasses : 1;
	o->ntrain = ntrain;
	o->nrows = fit->rows->nrows;
	scale_target(o);
	if (kind == ML_OBJECTIVE_POISSON)
		check_counts(o);
	add_weights(o);
	o->eta = ml_fit_alloc(fit, (Size) o->nrows * o->noutputs, sizeof(double), "predictions of the rows");
	if (kind == ML_OBJECTIVE_SOFTMAX)
	{
		o->share = ml_fit_alloc(fit, (Size) o->nrows * o->noutputs, sizeof(double), "probabilities of the rows");
		o->label = ml_fit_alloc(fit, o->nrows, sizeof(double), "classes of the rows");
	}
	if (kind == ML_OBJECTIVE_ABSOLUTE || kind == ML_OBJECTIVE_QUANTILE)
		o->residual = ml_fit_alloc(fit, ntrain, 2 * sizeof(double), "residuals of a leaf");
	begin_eta(o);
	return o;
}

/* ---- derivatives ---- */

static double
largest_weight(const MlObjective *o)
{
	const double *weight = o->fit->rows->weight;
	double		largest = 0;

	if (weight == NULL)
		return 1;
	for (int64 i = 0; i < o->ntrain; i++)
		largest = fmax(largest, weight[i]);
	return largest;
}

/* the largest mean of poisson, and of its difference to the target */
static double
largest_mean(const MlObjective *o)
{
	double		largest = 0;

	for (int64 i = 0; i < o->ntrain; i++)
		largest = fmax(largest, fmax(exp(fmin(o->eta[i], 708)), o->y[i]));
	return largest;
}

/* units in which no derivative of this round overflows */
static void
choose_units(const MlObjective *o, MlGrower *g)
{
	double		g_most = 1;
	double		h_most = 1;
	double		weight = largest_weight(o);

	if (o->kind == ML_OBJECTIVE_SQUARED)
		g_most = ml_gradient_largest(o->ntrain, o->eta, o->y);
	else if (o->kind == ML_OBJECTIVE_POISSON)
		g_most = h_most = largest_mean(o);
	else if (o->kind == ML_OBJECTIVE_LOGISTIC)
		h_most = 0.25;
	g->g_unit = ml_grower_unit(g_most * weight, o->ntrain, 0);
	g->h_unit = ml_grower_unit(h_most * weight, o->ntrain, g->count_bits);
}

static double
block_loss(const MlObjective *o, const MlGradientBlock *block)
{
	switch (o->kind)
	{
		case ML_OBJECTIVE_SQUARED:
			return ml_gradient_squared(block);
		case ML_OBJECTIVE_ABSOLUTE:
			return 2 * ml_gradient_quantile(block);
		case ML_OBJECTIVE_QUANTILE:
			return ml_gradient_quantile(block);
		case ML_OBJECTIVE_POISSON:
			return 2 * ml_gradient_poisson(block);
		default:
			return ml_gradient_logistic(block);
	}
}

/* sum of the losses of rows [first, end); derivatives if there is a grower */
static double
sum_loss(MlObjective *o, MlGrower *g, int64 first, int64 end)
{
	const double *weight = o->fit->rows->weight;
	MlGradientBlock block = {.alpha = o->alpha};
	double		sum = 0;

	if (g)
	{
		block.g_scale = 1 / g->g_unit;
		block.h_scale = 1 / g->h_unit;
		block.count_bits = g->count_bits;
	}
	for (int64 i = first; i < end; i += BLOCK)
	{
		CHECK_FOR_INTERRUPTS();
		block.n = (int) Min(BLOCK, end - i);
		block.eta = o->eta + i;
		block.y = o->y + i;
		block.weight = weight ? weight + i : NULL;
		block.pair = g ? (int64 *) (g->pair + i) : NULL;
		if (o->kind == ML_OBJECTIVE_SOFTMAX)
			sum += ml_gradient_softmax(block.n, o->noutputs, o->nrows, block.eta, block.y,
									   block.weight, o->share + i);
		else
			sum += block_loss(o, &block);
	}
	return sum;
}

/* the mean loss of one of the two parts, in the target's own units */
static double
mean_loss(const MlObjective *o, double sum, int part)
{
	double		unit = o->kind == ML_OBJECTIVE_SQUARED ? o->unit * o->unit : o->unit;

	if (o->kind == ML_OBJECTIVE_POISSON)
		sum += 2 * o->constant[part];
	return sum / o->weight[part] * unit;
}

double
ml_objective_begin(MlObjective *o, MlGrower *g)
{
	if (g)
		choose_units(o, g);
	return mean_loss(o, sum_loss(o, o->kind == ML_OBJECTIVE_SOFTMAX ? NULL : g, 0, o->ntrain), 0);
}

void
ml_objective_output(MlObjective *o, MlGrower *g, int output)
{
	const double *weight = o->fit->rows->weight;
	MlGradientBlock block = {0};

	if (o->kind != ML_OBJECTIVE_SOFTMAX)
		return;
	block.g_scale = 1 / g->g_unit;
	block.h_scale = 1 / g->h_unit;
	block.count_bits = g->count_bits;
	for (int64 i = 0; i < o->ntrain; i++)
		o->label[i] = (int) o->y[i] == output;
	for (int64 i = 0; i < o->ntrain; i += BLOCK)
	{
		CHECK_FOR_INTERRUPTS();
		block.n = (int) Min(BLOCK, o->ntrain - i);
		block.eta = o->share + output * o->nrows + i;
		block.y = o->label + i;
		block.weight = weight ? weight + i : NULL;
		block.pair = (int64 *) (g->pair + i);
		ml_gradient_share(&block);
	}
}

double
ml_objective_validate(MlObjective *o)
{
	if (o->ntrain == o->nrows)
		return NAN;
	return mean_loss(o, sum_loss(o, NULL, o->ntrain, o->nrows), 1);
}

/* ---- leaves ---- */

static double
leaf_quantile(MlObjective *o, const MlGrower *g, const MlGrownNode *leaf)
{
	for (int64 i = 0; i < leaf->n; i++)
	{
		uint32		r = g->row[leaf->first + i];

		o->residual[2 * i] = o->y[r] - o->eta[r];
		o->residual[2 * i + 1] = weight_of(o, r);
	}
	return weighted_quantile(o->residual, leaf->n, o->alpha);
}

void
ml_objective_leaves(MlObjective *o, const MlGrower *g, int output, double rate, double *value)
{
	for (int i = 0; i < g->nnodes; i++)
	{
		const MlGrownNode *node = &g->node[i];

		if (node->feature >= 0)
			continue;
		if (o->residual)
		{
			CHECK_FOR_INTERRUPTS();
			value[i] = rate * leaf_quantile(o, g, node);
		}
		else if (o->kind == ML_OBJECTIVE_POISSON && node->value > 0)
			value[i] = rate * log1p(node->value);
		else
			value[i] = rate * node->value;
	}
}

void
ml_objective_update(MlObjective *o, const MlGrower *g, int output,
					const double *value, const bool *taken)
{
	double	   *eta = o->eta + output * o->nrows;

	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < g->nnodes; i++)
	{
		const uint32 *row = g->row + g->node[i].first;

		if (g->node[i].feature >= 0)
			continue;
		for (int64 k = 0; k < g->node[i].n; k++)
			eta[row[k]] += value[i];
	}
	for (int64 i = taken ? 0 : o->ntrain; i < o->nrows; i++)
		if (i >= o->ntrain || !taken[i])
			eta[i] += value[ml_grown_leaf(g, i)];
}
