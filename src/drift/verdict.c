/*
 * verdict.c
 *		What a difference says: broken data, a shift, or nothing.
 *
 * Broken is what no population does: a feed that stops, a number that is always
 * the same, a unit that changes, a category that vanishes or whose values are all new. A
 * shift must be both beyond chance and large, since with many rows everything is
 * beyond chance.
 */
#include "postgres.h"

#include <math.h>

#include "drift/compare.h"
#include "mb/pg_wchar.h"

#define MISSING_MORE	0.2		/* share of rows that were not missing before */
#define VANISHED_SHARE	0.05	/* of a level then */
#define VANISHED_ROWS	20		/* of it that were to be expected now */
#define NEARLY_ALL_NEW	0.5		/* of the values of a category */
#define OUTSIDE_THEN	0.05	/* share of values beyond the bins, where only bins are known */
#define OUTSIDE_NOW		0.5
#define SIGNIFICANT		0.05
#define WORDS_SHOWN		40		/* of a level */
#define LEVELS_LOOKED_AT	100 /* the most frequent ones, for the one that has changed most */

/* ---- units ---- */

typedef struct Unit
{
	double		scale;			/* of the values now, to those then */
	double		offset;
	const char *words;
} Unit;

/* beside powers of ten; each is tried both ways. Twice as much is more likely than pounds for kilograms: see is_unit() */
static const Unit units[] = {
	{2.54, 0, "inches or centimetres"},
	{25.4, 0, "inches or millimetres"},
	{3.280839895013123, 0, "feet or metres"},
	{0.9144, 0, "yards or metres"},
	{1.609344, 0, "miles or kilometres"},
	{2.2046226218487757, 0, "pounds or kilograms"},
	{28.349523125, 0, "ounces or grams"},
	{3.785411784, 0, "gallons or litres"},
	{60, 0, "minutes or seconds, hours or minutes"},
	{3600, 0, "hours or seconds"},
	{24, 0, "days or hours"},
	{86400, 0, "days or seconds"},
	{1024, 0, "kibibytes"},
	{1048576, 0, "mebibytes"},
	{1.8, 32, "Celsius or Fahrenheit"},
};

#define MOST_TENS		12		/* powers of ten, up and down */
#define KEPT_SHAPE		0.15	/* KS statistic after scaling */
#define NEAR_UNIT		0.08	/* medians after scaling by a unit, relative */
#define UNIT_SHAPE		0.08	/* KS statistic after that */
#define CHANGED_SHAPE	0.3		/* and before, at least */
#define BETTER_BY		3		/* and how many times less it has become */
#define RARER			2		/* units beside a power of ten make KS that many times less than it does */
#define UNLIKELY		0.01	/* and the power is that unlikely by chance */

static void
try_unit(const MlNumberProfile *reference, const MlNumberProfile *current, double scale, double offset,
		 const char *words, double *best, char **said)
{
	double		ks = ml_drift_ks(reference, current, scale, offset, NULL);

	if (ks >= *best)
		return;
	*best = ks;
	*said = scale > 1 ? psprintf("unit changed: values are as if divided by %g", scale) :
		psprintf("unit changed: values are as if multiplied by %g", 1 / scale);
	if (words != NULL)
		*said = psprintf("unit changed: %s", words);
}

/* powers of ten that bring the medians near each other are worth a look */
static bool
is_power(double then, double now)
{
	return then != 0 && now / then > 0.5 && now / then < 2;
}

/* others must bring them close */
static bool
is_unit(double then, double now)
{
	return then != 0 && fabs(now / then - 1) < NEAR_UNIT;
}

char *
ml_drift_unit(const MlNumberProfile *reference, const MlNumberProfile *current, double ks)
{
	double		then = ml_drift_quantile(reference, 0.5);
	double		now = ml_drift_quantile(current, 0.5);
	double		best = Min(KEPT_SHAPE, ks / BETTER_BY);
	char	   *said = NULL;

	/* zeros are the same in all units */
	if (then == 0 || now == 0)
	{
		then = reference->mean;
		now = current->mean;
	}
	if (!(ks >= CHANGED_SHAPE) || reference->nknots < 2)
		return NULL;
	for (int tens = 1; tens <= MOST_TENS; tens++)
		for (int way = -1; way <= 1; way += 2)
			if (is_power(then, now * pow(10, way * tens)))
				try_unit(reference, current, pow(10, way * tens), 0, NULL, &best, &said);
	/* 1000 is likelier than 1024: few rows, or a slight shift beside, must not make kibibytes of thousands */
	if (said != NULL && ml_drift_ks_tail(best, reference->n, current->n) >= UNLIKELY)
		return said;
	best = Min(said != NULL ? best / RARER : best, UNIT_SHAPE);
	for (int i = 0; i < lengthof(units); i++)
	{
		const Unit *unit = &units[i];

		if (is_unit(then, now * unit->scale + unit->offset))
			try_unit(reference, current, unit->scale, unit->offset, unit->words, &best, &said);
		if (is_unit(then, (now - unit->offset) / unit->scale))
			try_unit(reference, current, 1 / unit->scale, -unit->offset / unit->scale, unit->words, &best, &said);
	}
	return said;
}

/* ---- what is broken ---- */

/* a level as it is shown */
static char *
shown(const char *level)
{
	return psprintf("\"%.*s\"", pg_mbcliplen(level, strlen(level), WORDS_SHOWN), level);
}

static double
share_of_level(const MlProfile *profile, const char *level)
{
	const MlCategoryProfile *category = &profile->category;
	int64		present = profile->rows - profile->missing;

	for (int i = 0; i < category->nlevels; i++)
	{
		if (strcmp(category->level[i], level) == 0)
			return present > 0 ? (double) category->rows[i] / present : 0;
	}
	return 0;
}

/* the level of either whose share has changed most */
static char *
changed_level(const MlProfile *reference, const MlProfile *current)
{
	const MlProfile *side[2] = {reference, current};
	const char *level = NULL;
	double		most = 0;

	for (int s = 0; s < 2; s++)
	{
		for (int i = 0; i < Min(side[s]->category.nlevels, LEVELS_LOOKED_AT); i++)
		{
			const char *name = side[s]->category.level[i];
			double		change = fabs(share_of_level(current, name) - share_of_level(reference, name));

			if (change > most)
			{
				most = change;
				level = name;
			}
		}
	}
	return level == NULL ? NULL : psprintf("%s is %.0f %% of the values, %.0f %% in training", shown(level),
										   100 * share_of_level(current, level), 100 * share_of_level(reference, level));
}

static char *
describe_change(const MlProfile *reference, const MlProfile *current, const MlDistance *distance)
{
	if (reference->kind == ML_KIND_TIME)
		return NULL;
	if (reference->kind == ML_KIND_CATEGORY)
		return changed_level(reference, current);
	return psprintf("mean %.4g, %.4g in training", distance->mean, distance->mean_reference);
}

static char *
vanished_level(const MlProfile *reference, const MlProfile *current)
{
	const MlCategoryProfile *then = &reference->category;
	const MlCategoryProfile *now = &current->category;
	int64		present = reference->rows - reference->missing;

	for (int i = 0; i < then->nlevels; i++)
	{
		double		share = (double) then->rows[i] / present;
		bool		found = false;

		if (share < VANISHED_SHARE || share * (current->rows - current->missing) < VANISHED_ROWS)
			return NULL;		/* the most frequent ones come first */
		for (int j = 0; j < now->nlevels && !found; j++)
			found = strcmp(then->level[i], now->level[j]) == 0;
		if (!found)
			return psprintf("%s vanished: it was %.0f %% of the values", shown(then->level[i]), 100 * share);
	}
	return NULL;
}

/* of values beyond the bins of equal width, which hold all but outliers of the training's */
static double
share_outside(const MlNumberProfile *number)
{
	int64		all = 0;

	for (int bin = 0; bin < ML_PROFILE_BINS + 2; bin++)
		all += number->bin_rows[bin];
	return all > 0 ? (double) (number->bin_rows[0] + number->bin_rows[ML_PROFILE_BINS + 1]) / all : 0;
}

static char *
find_number_fault(const MlNumberProfile *then, const MlNumberProfile *now, double ks)
{
	if (now->nknots == 1 && then->nknots > 2)
		return psprintf("always %g", now->knot[0]);
	if (now->binned && share_outside(now) >= OUTSIDE_NOW && share_outside(then) <= OUTSIDE_THEN)
		return psprintf("%.0f %% of the values are beyond those of the training: another unit?", 100 * share_outside(now));
	return ml_drift_unit(then, now, ks);
}

static char *
find_fault(const MlProfile *reference, const MlProfile *current, const MlDistance *distance)
{
	bool		category = reference->kind == ML_KIND_CATEGORY;

	if (distance->missing - distance->missing_reference >= MISSING_MORE)
		return psprintf("missing in %.0f %% of the rows, %.0f %% in training", 100 * distance->missing, 100 * distance->missing_reference);
	if (category && distance->unseen >= NEARLY_ALL_NEW)
		return psprintf("%.0f %% of the values are new", 100 * distance->unseen);
	if (category)
		return vanished_level(reference, current);
	if (reference->kind == ML_KIND_TIME)
		return NULL;
	return find_number_fault(&reference->number, &current->number, distance->effect);
}

void
ml_drift_find_fault(const MlProfile *reference, const MlProfile *current, const MlDistance *distance,
					const MlDriftRule *rule, MlJudgement *judgement)
{
	if (current->rows < rule->min_rows || reference->rows == 0)
	{
		judgement->verdict = ML_VERDICT_UNKNOWN;
		judgement->reason = psprintf("only " INT64_FORMAT " rows", Min(current->rows, reference->rows));
		return;
	}
	judgement->reason = find_fault(reference, current, distance);
	judgement->verdict = judgement->reason != NULL ? ML_VERDICT_BROKEN : ML_VERDICT_OK;
	judgement->change = describe_change(reference, current, distance);
}

void
ml_drift_judge(MlKind kind, const MlDistance *distance, const MlDriftRule *rule, MlJudgement *judgement)
{
	bool		large = distance->psi >= rule->min_effect || distance->effect >= rule->min_effect;

	if (judgement->verdict != ML_VERDICT_OK || !large || !(judgement->p_adjusted < SIGNIFICANT))
		return;
	if (kind == ML_KIND_TIME)
		judgement->reason = pstrdup("time goes on");
	else
	{
		judgement->verdict = ML_VERDICT_SHIFTED;
		judgement->reason = judgement->change;
	}
}
