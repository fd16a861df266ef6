/*
 * walk.h
 *		What scores say that are walked from the highest down: area under the
 *		ROC curve, average precision, the largest distance of two
 *		distributions, what a share of the rows gains.
 *
 * A step is all rows of one score, or all rows of a stretch of scores whose
 * order among themselves was not kept. Each result is that of rows of a stretch
 * all scoring the same, with bounds for any order that they may have had.
 *
 * Area: Hanley & McNeil 1982, Radiology 143, the Mann-Whitney statistic.
 * Average precision: the sum over scores of (recall gained) x precision, as in
 * scikit-learn; Davis & Goadrich 2006, "The relationship between precision-
 * recall and ROC curves". Distance: Kolmogorov 1933, Smirnov 1948. Gain and
 * lift: Ling & Li 1998, "Data mining for direct marketing".
 */
#ifndef ML_WALK_H
#define ML_WALK_H

#include "postgres.h"

#include <math.h>

typedef struct MlWalk
{
	/* weights of all rows, and of those that the share takes; set before the first step */
	double		positives;
	double		negatives;
	double		take;

	bool		loose;			/* the order within some step was not kept */
	double		positive;		/* above */
	double		negative;
	double		pairs;			/* positive above negative, ties half */
	double		loose_pairs;	/* whose order is not known */
	double		precision;		/* sum of positive x precision */
	double		precision_low;
	double		precision_high;
	double		distance;		/* largest */
	double		distance_high;
	double		taken;			/* positives in the share */
	double		taken_low;
	double		taken_high;
} MlWalk;

/* a value with what it can be at least and at most; NaN: not defined */
typedef struct MlBounded
{
	double		value;
	double		low;
	double		high;
} MlBounded;

static inline double
ml_walk_distance(const MlWalk *walk, double positive, double negative)
{
	return fabs(positive / walk->positives - negative / walk->negatives);
}

static inline void
ml_walk_step(MlWalk *walk, double positive, double negative, bool loose)
{
	double		above = walk->positive + walk->negative;
	double		rows = positive + negative;
	double		part = fmin(walk->take - above, rows);
	double		precision = (walk->positive + positive) / (above + rows);

	walk->loose |= loose;
	walk->pairs += negative * (walk->positive + 0.5 * positive);
	walk->precision += positive * precision;
	if (part > 0.0)
		walk->taken += positive * (part / rows);
	if (loose && positive > 0.0 && negative > 0.0)
	{
		walk->loose_pairs += positive * negative;
		walk->precision_low += positive * (above > 0.0 ? walk->positive / (above + negative) : 0.0);
		walk->precision_high += positive * ((walk->positive + positive) / (above + positive));
		walk->distance_high = fmax(walk->distance_high,
								   fmax(ml_walk_distance(walk, walk->positive + positive, walk->negative),
										ml_walk_distance(walk, walk->positive, walk->negative + negative)));
		walk->taken_low += fmax(0.0, part - negative);
		walk->taken_high += fmax(0.0, fmin(part, positive));
	}
	else
	{
		walk->precision_low += positive * precision;
		walk->precision_high += positive * precision;
		if (part > 0.0)
		{
			walk->taken_low += positive * (part / rows);
			walk->taken_high += positive * (part / rows);
		}
	}
	walk->positive += positive;
	walk->negative += negative;
	walk->distance = fmax(walk->distance, ml_walk_distance(walk, walk->positive, walk->negative));
}

static inline bool
ml_walk_has_both(const MlWalk *walk)
{
	return walk->positives > 0.0 && walk->negatives > 0.0;
}

/* bounds can be reached, and sums are rounded: those of a walk row by row to others than those of stretches */
#define ML_WALK_ROUNDING	1e-12

static inline MlBounded
ml_walk_bounded(const MlWalk *walk, double value, double low, double high)
{
	double		slack = walk->loose ? ML_WALK_ROUNDING * fabs(value) : 0.0;

	return (MlBounded) {value, fmin(low, value) - slack, fmax(high, value) + slack};
}

static inline MlBounded
ml_walk_roc_auc(const MlWalk *walk)
{
	double		all = walk->positive * walk->negative;

	if (!ml_walk_has_both(walk))
		return (MlBounded) {NAN, NAN, NAN};
	return ml_walk_bounded(walk, walk->pairs / all, (walk->pairs - 0.5 * walk->loose_pairs) / all,
						   (walk->pairs + 0.5 * walk->loose_pairs) / all);
}

static inline MlBounded
ml_walk_pr_auc(const MlWalk *walk)
{
	if (!(walk->positives > 0.0))
		return (MlBounded) {NAN, NAN, NAN};
	return ml_walk_bounded(walk, walk->precision / walk->positive, walk->precision_low / walk->positive,
						   walk->precision_high / walk->positive);
}

static inline MlBounded
ml_walk_ks(const MlWalk *walk)
{
	if (!ml_walk_has_both(walk))
		return (MlBounded) {NAN, NAN, NAN};
	return ml_walk_bounded(walk, walk->distance, walk->distance, walk->distance_high);
}

/* share of the positives that are among the rows taken */
static inline MlBounded
ml_walk_gain(const MlWalk *walk)
{
	if (!(walk->positives > 0.0))
		return (MlBounded) {NAN, NAN, NAN};
	return ml_walk_bounded(walk, walk->taken / walk->positive, walk->taken_low / walk->positive,
						   walk->taken_high / walk->positive);
}

#endif							/* ML_WALK_H */
