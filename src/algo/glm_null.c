/*
 * glm_null.c
 *		What a generalized linear model looks at before its first pass: the
 *		target, and the model of a constant.
 */
#include "postgres.h"

#include <math.h>

#include "algo/glm.h"
#include "errors.h"

#define STEPS		100
#define HALVINGS	40
#define SETTLED		1e-22

static void
look_for_interrupts(const Glm *g, int64 row)
{
	if (g->fit->progress && row % (64 * ML_BLOCK_ROWS) == 0)
		g->fit->progress(g->fit->progress_arg, 0, g->fit->rows->nrows, NAN);
}

/* ---- the target ---- */

static void
refuse_target(const Glm *g, int64 count, double value)
{
	bool		positive = g->family == ML_FAMILY_GAMMA;

	ereport(ERROR,
			(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
			 errmsg("the target of family \"%s\" has %s", ml_glm_family_name(g->family),
					positive ? "values that are not positive" : "negative values"),
			 errdetail(INT64_FORMAT " of " INT64_FORMAT " training rows have %s; one of them is %.15g.",
					   count, g->fit->rows->nrows, positive ? "0 or less" : "less than 0", value),
			 errhint("Leave such rows out in the source, or use family => 'gaussian'.")));
}

void
ml_glm_check_target(const Glm *g)
{
	const MlDesignMatrix *rows = g->fit->rows;
	bool		positive = g->family == ML_FAMILY_GAMMA;
	int64		count = 0;
	int64		first = 0;

	if (!positive && g->family != ML_FAMILY_POISSON)
		return;
	for (int64 i = 0; i < rows->nrows; i++)
	{
		look_for_interrupts(g, i);
		if (positive ? rows->y[i] > 0 : rows->y[i] >= 0)
			continue;
		if (count++ == 0)
			first = i;
	}
	if (count > 0)
		refuse_target(g, count, rows->y[first]);
}

/* ---- the constant ---- */

static void
weigh_target(Glm *g)
{
	const MlDesignMatrix *rows = g->fit->rows;
	double		sum = 0;

	for (int64 i = 0; i < rows->nrows; i++)
	{
		double		w = rows->weight ? rows->weight[i] : 1;

		look_for_interrupts(g, i);
		g->weight += w;
		sum += w * rows->y[i];
	}
	g->mean = sum / g->weight;
}

/* sums over all rows at eta = intercept + offset, and the score and information of the intercept */
static MlFamilySums
constant_sums(Glm *g, bool starting, double intercept, double *score, double *information)
{
	const MlDesignMatrix *rows = g->fit->rows;
	MlFamilySums all = {0};

	*score = *information = 0;
	for (int64 first = 0; first < rows->nrows; first += ML_BLOCK_ROWS)
	{
		int			n = (int) Min(ML_BLOCK_ROWS, rows->nrows - first);
		const double *offset = rows->offset ? rows->offset + first : NULL;
		MlFamilySums sums;

		look_for_interrupts(g, first);
		if (starting)
			ml_family_start(g->family, g->link, n, rows->y + first, g->mean, g->eta);
		for (int i = 0; !starting && i < n; i++)
			g->eta[i] = intercept + (offset ? offset[i] : 0);
		ml_family_block(g->family, g->link, n, g->eta, rows->y + first,
						rows->weight ? rows->weight + first : NULL, g->residual, g->root, &sums);
		for (int i = 0; i < n; i++)
		{
			double		w = g->root[i] * g->root[i];

			*information += w;
			*score += g->residual[i] + (starting ? w * (g->eta[i] - (offset ? offset[i] : 0)) : 0);
		}
		all.deviance += sums.deviance;
		all.invalid += sums.invalid;
	}
	if (all.invalid > 0 || !isfinite(all.deviance))
		all.deviance = INFINITY;
	return all;
}

/* of rows without an offset the best constant is the mean */
static double
link_of_mean(const Glm *g)
{
	switch (g->link)
	{
		case ML_FAMILY_IDENTITY:
			return g->mean;
		case ML_FAMILY_LOG:
			return log(g->mean);
		case ML_FAMILY_LOGIT:
			return log(g->mean / (1 - g->mean));
		case ML_FAMILY_INVERSE:
			return 1 / g->mean;
		case ML_FAMILY_SQRT:
			return sqrt(g->mean);
		case ML_FAMILY_PROBIT:
			break;				/* by steps */
	}
	return NAN;
}

/* Fisher scoring for the intercept alone */
static void
fit_constant(Glm *g)
{
	double		score;
	double		information;
	double		b = link_of_mean(g);
	double		deviance;

	if (g->fit->rows->offset != NULL || !isfinite(b))
	{
		constant_sums(g, true, 0, &score, &information);
		b = score / information;
	}
	deviance = constant_sums(g, false, b, &score, &information).deviance;
	for (int step = 0; step < STEPS && isfinite(deviance); step++)
	{
		double		change = score / information;
		double		next_score;
		double		next_information;
		double		next;
		int			halving = 0;

		if (!(score * change > SETTLED * (deviance + 0.1)))
			break;
		while ((next = constant_sums(g, false, b + change, &next_score, &next_information).deviance) > deviance &&
			   ++halving < HALVINGS)
			change /= 2;
		if (halving == HALVINGS)
			break;
		b += change;
		deviance = next;
		score = next_score;
		information = next_information;
	}
	g->null_intercept = b;
	g->null_deviance = isfinite(deviance) ? deviance : NAN;
	g->has_null = isfinite(deviance);
}

static void
require_mean(const Glm *g)
{
	if (g->family == ML_FAMILY_BINOMIAL && !(g->mean > 0 && g->mean < 1))
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("the target has only one class in the training rows"),
				 errdetail("\"glm\" needs rows of both classes; all " INT64_FORMAT " rows are of one.",
						   g->fit->rows->nrows),
				 errhint("Train on rows of both classes.")));
	if (g->family != ML_FAMILY_GAUSSIAN && !(g->mean > 0))
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("the target is 0 in every training row"),
				 errdetail("Family \"%s\" needs rows with more than 0 among the " INT64_FORMAT " rows.",
						   ml_glm_family_name(g->family), g->fit->rows->nrows),
				 errhint("Train on more rows.")));
}

void
ml_glm_null_model(Glm *g)
{
	double		score;
	double		information;

	weigh_target(g);
	require_mean(g);
	if (g->standard.first)
		fit_constant(g);
	else
	{
		double		deviance = constant_sums(g, false, 0, &score, &information).deviance;

		g->null_deviance = isfinite(deviance) ? deviance : NAN;
	}
}

/* ---- of rows elsewhere ---- */

/* the place of a mean in the normal distribution, by Newton's steps */
static double
probit_of_mean(double mean)
{
	double		b = 0;

	for (int step = 0; step < STEPS && mean > 0 && mean < 1; step++)
	{
		double		density = exp(-b * b / 2) / sqrt(2 * M_PI);
		double		change = (mean - 0.5 * erfc(-b * M_SQRT1_2)) / density;

		b += Min(Max(change, -1), 1);
		if (fabs(change) < 1e-15 * Max(fabs(b), 1))
			break;
	}
	return b;
}

void
ml_glm_survey(Glm *g)
{
	const MlSurvey *survey = g->fit->rows->survey;

	g->weight = survey->weight;
	g->mean = g->family == ML_FAMILY_BINOMIAL ? survey->class_weight[1] / survey->weight : survey->mean_y;
	if (g->standard.first)
		g->null_intercept = g->link == ML_FAMILY_PROBIT ? probit_of_mean(g->mean) : link_of_mean(g);
}

static double
target_term(const Glm *g, double y, double weight)
{
	switch (g->family)
	{
		case ML_FAMILY_POISSON:
			return weight * ml_glm_saturated_poisson(y);
		case ML_FAMILY_GAMMA:
			return weight * log(y);
		case ML_FAMILY_GAUSSIAN:
			return log(weight) / 2;
		case ML_FAMILY_BINOMIAL:
			break;
	}
	return 0;
}

void
ml_glm_target_add(Glm *g, GlmTarget *t, int n, const double *y, const double *weight)
{
	MlFamilySums sums;

	for (int i = 0; i < n; i++)
	{
		if (g->family == ML_FAMILY_GAMMA ? !(y[i] > 0) : g->family == ML_FAMILY_POISSON && !(y[i] >= 0))
		{
			t->outside++;
			t->least = Min(t->least, y[i]);
		}
		t->term += target_term(g, y[i], weight ? weight[i] : 1);
		g->eta[i] = g->null_intercept;
	}
	ml_family_block(g->family, g->link, n, g->eta, y, weight, g->residual, g->root, &sums);
	t->deviance += sums.deviance;
	t->invalid += sums.invalid;
}

void
ml_glm_target_merge(GlmTarget *t, const GlmTarget *other)
{
	t->outside += other->outside;
	t->least = Min(t->least, other->least);
	t->deviance += other->deviance;
	t->invalid += other->invalid;
	t->term += other->term;
}

void
ml_glm_target_end(Glm *g, const GlmTarget *t)
{
	bool		valid = !(t->invalid > 0) && isfinite(t->deviance) && isfinite(g->null_intercept);

	if (t->outside > 0)
		refuse_target(g, (int64) Min(t->outside, 1e18), t->least);
	require_mean(g);
	g->target_sum = t->term;
	g->null_deviance = valid ? t->deviance : NAN;
	g->has_null = valid && g->standard.first;
}
