/*
 * split.c
 *		The best split of a node, from its histogram.
 *
 * Of a number every cut is tried with the missing ones on the right and, where
 * the node has missing ones, on the left. The codes of a category are put in
 * the order of sum g / sum h and split like a number: among all subsets the
 * best one is such a prefix (Fisher, On grouping for maximum homogeneity, JASA
 * 53, 1958). Rare codes are drawn to the middle, by as much as rows of the
 * node's own mean and of weight category_smoothing would do it. With
 * several classes the order is by the share of the node's heaviest class. Codes
 * that no row of the node has go to the heavier side, and so do missing
 * numbers of a node without any.
 *
 * Equal gains: the first one found stands.
 */
#include "postgres.h"

#include <math.h>

#include "trees/grow.h"

#define ROUNDING 1e-12			/* a gain below this share of the node's score is none */

/* T(g), by which l1 shrinks */
static inline double
shrink(double g, double l1)
{
	return g > l1 ? g - l1 : g < -l1 ? g + l1 : 0;
}

static inline double
clamp(double value, double low, double high)
{
	return value < low ? low : value > high ? high : value;
}

static inline double
pair_value(const MlGrowth *growth, double g, double h)
{
	return h + growth->l2 > 0 ? -shrink(g, growth->l1) / (h + growth->l2) : 0;
}

static inline double
pair_score(const MlGrowth *growth, double g, double h)
{
	double		t = shrink(g, growth->l1);

	return t * t / (h + growth->l2);
}

/* the same for a value that may not be the best one */
static inline double
value_score(const MlGrowth *growth, double g, double h, double value)
{
	return -(2 * g * value + (h + growth->l2) * value * value + 2 * growth->l1 * fabs(value));
}

double
ml_leaf_value(const MlGrower *grower, const int64 *sum, double low, double high)
{
	if (grower->nclasses > 0)
		return 0;
	return clamp(pair_value(grower->growth, ml_grower_g(grower, sum[0]), ml_grower_h(grower, sum[1])),
				 low, high);
}

/* sums of rows on one side, as numbers */
typedef struct Side
{
	double		g;
	double		h;
} Side;

/* the score of a split of a feature under constraints; -1: not allowed */
static double
bounded_score(const MlSplitSearch *search, int direction, Side left, Side right)
{
	const MlGrowth *growth = search->grower->growth;
	double		l = clamp(pair_value(growth, left.g, left.h), search->low, search->high);
	double		r = clamp(pair_value(growth, right.g, right.h), search->low, search->high);

	if ((direction > 0 && l > r) || (direction < 0 && l < r))
		return -INFINITY;
	return value_score(growth, left.g, left.h, l) + value_score(growth, right.g, right.h, r);
}

/* what splitting off these rows gains; -infinity: not allowed */
static inline double
pair_gain(const MlSplitSearch *search, int direction, int64 g, int64 h)
{
	const MlGrower *grower = search->grower;
	const MlGrowth *growth = grower->growth;
	int64		g_right = search->sum[0] - g;
	int64		h_right = search->sum[1] - h;
	Side		left = {ml_grower_g(grower, g), ml_grower_h(grower, h)};
	Side		right = {ml_grower_g(grower, g_right), ml_grower_h(grower, h_right)};

	if (left.h < growth->min_child_weight || right.h < growth->min_child_weight ||
		left.h <= 0 || right.h <= 0)
		return -INFINITY;
	if (grower->count_bits > 0 &&
		(ml_grower_count(grower, h) < growth->min_leaf_rows ||
		 ml_grower_count(grower, h_right) < growth->min_leaf_rows))
		return -INFINITY;
	if (growth->monotone)
		return bounded_score(search, direction, left, right) - search->parent;
	return pair_score(growth, left.g, left.h) + pair_score(growth, right.g, right.h) - search->parent;
}

static double
class_score(const MlGrower *grower, const int64 *sum, double *weight, int64 *count)
{
	double		total = 0;
	double		squares = 0;
	int64		rows = 0;

	for (int c = 0; c < grower->nclasses; c++)
	{
		double		w = ml_grower_h(grower, sum[c]);

		total += w;
		squares += w * w;
		rows += ml_grower_count(grower, sum[c]);
	}
	*weight = total;
	*count = rows;
	return total > 0 ? squares / total : 0;
}

static double
class_gain(const MlSplitSearch *search, const int64 *left)
{
	const MlGrower *grower = search->grower;
	const MlGrowth *growth = grower->growth;
	int64		right[ML_MAX_CLASSES];
	double		weight[2];
	int64		count[2];
	double		score;

	for (int c = 0; c < grower->nclasses; c++)
		right[c] = search->sum[c] - left[c];
	score = class_score(grower, left, &weight[0], &count[0]) + class_score(grower, right, &weight[1], &count[1]);
	for (int side = 0; side < 2; side++)
		if (weight[side] <= 0 || weight[side] < growth->min_child_weight ||
			(grower->count_bits > 0 && count[side] < growth->min_leaf_rows))
			return -INFINITY;
	return score - search->parent;
}

static inline double
gain_of(const MlSplitSearch *search, int direction, const int64 *left)
{
	if (search->grower->nclasses > 0)
		return class_gain(search, left);
	return pair_gain(search, direction, left[0], left[1]);
}

static inline bool
any_weight(const MlGrower *grower, const int64 *bin)
{
	if (grower->nclasses == 0)
		return bin[1] != 0;
	for (int c = 0; c < grower->nclasses; c++)
		if (bin[c] != 0)
			return true;
	return false;
}

static inline void
add_bin(const MlGrower *grower, int64 *sum, const int64 *bin)
{
	for (int c = 0; c < grower->width; c++)
		sum[c] += bin[c];
}

static double
weight_of(const MlGrower *grower, const int64 *sum)
{
	double		weight = 0;

	if (grower->nclasses == 0)
		return ml_grower_h(grower, sum[1]);
	for (int c = 0; c < grower->nclasses; c++)
		weight += ml_grower_h(grower, sum[c]);
	return weight;
}

/* is the left side the heavier one? */
static bool
left_is_heavier(const MlSplitSearch *search, const int64 *left)
{
	return weight_of(search->grower, left) * 2 >= weight_of(search->grower, search->sum);
}

void
ml_split_begin(MlSplitSearch *search)
{
	const MlGrower *grower = search->grower;
	double		weight;
	int64		count;

	search->gain = 0;
	search->feature = -1;
	if (grower->nclasses > 0)
		search->parent = class_score(grower, search->sum, &weight, &count);
	else
	{
		Side		all = {ml_grower_g(grower, search->sum[0]), ml_grower_h(grower, search->sum[1])};

		search->parent = pair_score(grower->growth, all.g, all.h);
		if (grower->growth->monotone)
			search->parent = value_score(grower->growth, all.g, all.h,
										 ml_leaf_value(grower, search->sum, search->low, search->high));
	}
}

static bool
is_better(const MlSplitSearch *search, double gain)
{
	return gain > search->gain && gain > search->grower->growth->min_gain &&
		gain > ROUNDING * fabs(search->parent);
}

/* number: tries every cut with the missing ones on one side */
static void
scan_number(MlSplitSearch *search, int feature, const int64 *missing, bool missing_left)
{
	const MlGrower *grower = search->grower;
	const MlBinFeature *f = &grower->bins->feature[feature];
	const int64 *bin = search->histogram + (Size) f->first * grower->width;
	int			direction = grower->growth->monotone ? grower->growth->monotone[feature] : 0;
	int			last = f->nvalues - (missing && !missing_left ? 0 : 1);
	int64		left[ML_MAX_CLASSES] = {0};

	if (missing_left)
		add_bin(grower, left, missing);
	for (int b = 0; b < last; b++, bin += grower->width)
	{
		double		gain;

		if (!any_weight(grower, bin))
			continue;
		add_bin(grower, left, bin);
		gain = gain_of(search, direction, left);
		if (!is_better(search, gain))
			continue;
		search->gain = gain;
		search->feature = feature;
		search->bin = b;
		search->missing_left = missing ? missing_left : left_is_heavier(search, left);
	}
}

static void
split_number(MlSplitSearch *search, int feature)
{
	const MlGrower *grower = search->grower;
	const MlBinFeature *f = &grower->bins->feature[feature];
	const int64 *missing = NULL;

	if (f->missing >= 0)
		missing = search->histogram + (Size) (f->first + f->missing) * grower->width;
	if (missing && !any_weight(grower, missing))
		missing = NULL;
	scan_number(search, feature, missing, false);
	if (missing)
		scan_number(search, feature, missing, true);
}

typedef struct Code
{
	double		key;
	int			bin;
} Code;

static int
by_key(const void *a, const void *b)
{
	const Code *x = a;
	const Code *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->bin - y->bin;
}

static int
heaviest_class(const MlSplitSearch *search)
{
	int			best = 0;

	for (int c = 1; c < search->grower->nclasses; c++)
		if (search->sum[c] > search->sum[best])
			best = c;
	return best;
}

/* what codes are ordered by, before it is divided by the weight */
static double
top_of(const MlGrower *grower, const int64 *sum, int heaviest)
{
	return grower->nclasses > 0 ? ml_grower_h(grower, sum[heaviest]) : ml_grower_g(grower, sum[0]);
}

/* the codes that the node has, in order; returns how many */
static int
order_codes(const MlSplitSearch *search, const MlBinFeature *f, Code *code)
{
	const MlGrower *grower = search->grower;
	double		smoothing = grower->growth->category_smoothing;
	int			heaviest = heaviest_class(search);
	double		mean = top_of(grower, search->sum, heaviest) / weight_of(grower, search->sum);
	int			n = 0;

	for (int b = 0; b < f->nbins; b++)
	{
		const int64 *bin = search->histogram + (Size) (f->first + b) * grower->width;

		if (!any_weight(grower, bin))
			continue;
		code[n].key = (top_of(grower, bin, heaviest) + smoothing * mean) /
			(weight_of(grower, bin) + smoothing);
		code[n++].bin = b;
	}
	qsort(code, n, sizeof(Code), by_key);
	return n;
}

/* the set of the first n codes, with those that the node lacks if they go left */
static void
fill_set(MlSplitSearch *search, const MlBinFeature *f, const Code *code, int n, int total)
{
	memset(search->set, 0, sizeof(search->set));
	if (search->missing_left)
	{
		for (int b = 0; b < f->nbins; b++)
			ml_set_add(search->set, b);
		for (int i = n; i < total; i++)
			search->set[code[i].bin >> 5] &= ~((uint32) 1 << (code[i].bin & 31));
		return;
	}
	for (int i = 0; i < n; i++)
		ml_set_add(search->set, code[i].bin);
}

static void
split_category(MlSplitSearch *search, int feature)
{
	const MlGrower *grower = search->grower;
	const MlBinFeature *f = &grower->bins->feature[feature];
	Code		code[ML_MAX_BINS];
	int			n = order_codes(search, f, code);
	int64		left[ML_MAX_CLASSES] = {0};

	for (int i = 0; i + 1 < n; i++)
	{
		double		gain;

		add_bin(grower, left, search->histogram + (Size) (f->first + code[i].bin) * grower->width);
		gain = gain_of(search, 0, left);
		if (!is_better(search, gain))
			continue;
		search->gain = gain;
		search->feature = feature;
		search->bin = -1;
		search->missing_left = left_is_heavier(search, left);
		fill_set(search, f, code, i + 1, n);
	}
}

void
ml_split_feature(MlSplitSearch *search, int feature)
{
	if (search->grower->bins->feature[feature].category)
		split_category(search, feature);
	else
		split_number(search, feature);
}

/* a cut amid bins that the node does not have goes to the middle of them */
static void
centre_cut(MlSplitSearch *search, const MlBinFeature *f)
{
	const MlGrower *grower = search->grower;
	int			next = search->bin + 1;

	while (next < f->nvalues &&
		   !any_weight(grower, search->histogram + (Size) (f->first + next) * grower->width))
		next++;
	if (next < f->nvalues)
		search->bin += (next - 1 - search->bin) / 2;
	else
		search->bin = f->nvalues - 1;	/* only missing ones go right */
}

void
ml_split_left(MlSplitSearch *search, int64 *left)
{
	const MlGrower *grower = search->grower;
	const MlBinFeature *f = &grower->bins->feature[search->feature];

	if (!f->category)
	{
		centre_cut(search, f);
		memset(search->set, 0, sizeof(search->set));
		for (int b = 0; b <= search->bin; b++)
			ml_set_add(search->set, b);
		if (search->missing_left && f->missing >= 0)
			ml_set_add(search->set, f->missing);
	}
	memset(left, 0, grower->width * sizeof(int64));
	for (int b = 0; b < f->nbins; b++)
		if (ml_set_has(search->set, b))
			add_bin(grower, left, search->histogram + (Size) (f->first + b) * grower->width);
}
