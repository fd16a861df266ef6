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
 * In a forest the order is that of the whole tree's rows (M. Wright & I. Koenig,
 * Splitting on categorical predictors in random forests, PeerJ 7, 2019): the
 * few rows of a deep node would say more of themselves than of the codes.
 *
 * Equal gains: the first one found stands.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "port/pg_bitutils.h"
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

/* ---- the bins of one feature, of which a node has rows ---- */

#define WORDS	(256 / 64)

typedef struct Occupied
{
	const int64 *sum;			/* by bin */
	uint64		has[WORDS];		/* bins that are not empty */
	bool		scratch;		/* sum is the grower's, to be left zeroed */
} Occupied;

/* for (int b = first_bin(has); b >= 0; b = next_bin(has, b)) */
static inline int
next_bin(const uint64 *has, int bin)
{
	int			word = (bin + 1) / 64;
	uint64		bits;

	if (word >= WORDS)
		return -1;
	bits = has[word] & (~(uint64) 0 << ((bin + 1) % 64));
	while (bits == 0)
	{
		if (++word == WORDS)
			return -1;
		bits = has[word];
	}
	return word * 64 + pg_rightmost_one_pos64(bits);
}

static inline int
first_bin(const uint64 *has)
{
	return next_bin(has, -1);
}

static inline bool
has_bin(const Occupied *o, int bin)
{
	return (o->has[bin / 64] >> (bin % 64)) & 1;
}

static inline const int64 *
sum_of(const MlGrower *grower, const Occupied *o, int bin)
{
	return o->sum + (Size) bin * grower->width;
}

/* adds up rows by bin of a feature in the grower's scratch */
static void
add_rows(const MlGrower *g, int feature, const uint32 *row, int64 n, Occupied *o)
{
	const uint8 *byte = g->bins->row + feature;
	Size		stride = g->bins->stride;

	o->sum = g->scratch;
	o->scratch = true;
	for (int64 i = 0; i < n; i++)
	{
		int			bin = byte[row[i] * stride];

		o->has[bin / 64] |= (uint64) 1 << (bin % 64);
		if (g->nclasses > 0)
			g->scratch[bin * g->width + g->label[row[i]]] += g->weight[row[i]];
		else
			((MlPair *) g->scratch)[bin] += g->pair[row[i]];
	}
}

static void
begin_bins(const MlSplitSearch *search, int feature, Occupied *o)
{
	const MlGrower *grower = search->grower;
	const MlBinFeature *f = &grower->bins->feature[feature];

	memset(o, 0, sizeof(*o));
	if (search->histogram == NULL)
	{
		add_rows(grower, feature, search->row, search->n, o);
		return;
	}
	o->sum = search->histogram + (Size) f->first * grower->width;
	for (int b = 0; b < f->nbins; b++)
		o->has[b / 64] |= (uint64) any_weight(grower, sum_of(grower, o, b)) << (b % 64);
}

static void
end_bins(const MlGrower *grower, const Occupied *o)
{
	if (!o->scratch)
		return;
	for (int b = first_bin(o->has); b >= 0; b = next_bin(o->has, b))
		memset(grower->scratch + b * grower->width, 0, grower->width * sizeof(int64));
}

/* number: tries every cut with the missing ones on one side */
static void
scan_number(MlSplitSearch *search, int feature, const Occupied *o, const int64 *missing, bool missing_left)
{
	const MlGrower *grower = search->grower;
	const MlBinFeature *f = &grower->bins->feature[feature];
	int			direction = grower->growth->monotone ? grower->growth->monotone[feature] : 0;
	int			last = f->nvalues - (missing && !missing_left ? 0 : 1);
	int64		left[ML_MAX_CLASSES];

	memset(left, 0, grower->width * sizeof(int64));
	if (missing_left)
		add_bin(grower, left, missing);
	for (int b = first_bin(o->has); b >= 0 && b < last; b = next_bin(o->has, b))
	{
		double		gain;

		add_bin(grower, left, sum_of(grower, o, b));
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
split_number(MlSplitSearch *search, int feature, const Occupied *o)
{
	const MlBinFeature *f = &search->grower->bins->feature[feature];
	const int64 *missing = NULL;

	if (f->missing >= 0 && has_bin(o, f->missing))
		missing = sum_of(search->grower, o, f->missing);
	scan_number(search, feature, o, missing, false);
	if (missing)
		scan_number(search, feature, o, missing, true);
}

/* ---- categories ---- */

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
heaviest_class(const MlGrower *grower, const int64 *sum)
{
	int			best = 0;

	for (int c = 1; c < grower->nclasses; c++)
		if (sum[c] > sum[best])
			best = c;
	return best;
}

/* what codes are ordered by, before it is divided by the weight */
static double
top_of(const MlGrower *grower, const int64 *sum, int heaviest)
{
	return grower->nclasses > 0 ? ml_grower_h(grower, sum[heaviest]) : ml_grower_g(grower, sum[0]);
}

/* the codes that rows have, in order; returns how many */
static int
order_codes(const MlGrower *grower, const int64 *sum, const Occupied *o, Code *code)
{
	double		smoothing = grower->growth->category_smoothing;
	int			heaviest = heaviest_class(grower, sum);
	double		mean = top_of(grower, sum, heaviest) / weight_of(grower, sum);
	int			n = 0;

	for (int b = first_bin(o->has); b >= 0; b = next_bin(o->has, b))
	{
		const int64 *bin = sum_of(grower, o, b);

		code[n].key = (top_of(grower, bin, heaviest) + smoothing * mean) /
			(weight_of(grower, bin) + smoothing);
		code[n++].bin = b;
	}
	qsort(code, n, sizeof(Code), by_key);
	return n;
}

/*
 * The order of a tree's codes. Codes that none of its rows has come last: no
 * node asks for them.
 */
void
ml_split_order(MlGrower *g)
{
	Code		code[ML_MAX_BINS];

	for (int k = 0; k < g->ntree_columns; k++)
	{
		const MlBinFeature *f = &g->bins->feature[g->tree_column[k]];
		uint8	   *order = g->code_order + f->first;
		Occupied	o = {0};
		int			n;

		if (!f->category)
			continue;
		CHECK_FOR_INTERRUPTS();
		add_rows(g, g->tree_column[k], g->row, g->nrows, &o);
		n = order_codes(g, g->sum, &o, code);
		for (int i = 0; i < n; i++)
			order[i] = code[i].bin;
		for (int b = 0; b < f->nbins; b++)
			if (!has_bin(&o, b))
				order[n++] = b;
		end_bins(g, &o);
	}
}

/* the node's codes in the order of the tree; returns how many */
static int
recall_codes(const MlGrower *grower, const MlBinFeature *f, const Occupied *o, Code *code)
{
	int			n = 0;

	for (int i = 0; i < f->nbins; i++)
		if (has_bin(o, grower->code_order[f->first + i]))
			code[n++].bin = grower->code_order[f->first + i];
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
split_category(MlSplitSearch *search, int feature, const Occupied *o)
{
	const MlGrower *grower = search->grower;
	const MlBinFeature *f = &grower->bins->feature[feature];
	Code		code[ML_MAX_BINS];
	int			n = grower->code_order ? recall_codes(grower, f, o, code)
		: order_codes(grower, search->sum, o, code);
	int64		left[ML_MAX_CLASSES];

	memset(left, 0, grower->width * sizeof(int64));
	for (int i = 0; i + 1 < n; i++)
	{
		double		gain;

		add_bin(grower, left, sum_of(grower, o, code[i].bin));
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
	Occupied	o;

	begin_bins(search, feature, &o);
	if (search->grower->bins->feature[feature].category)
		split_category(search, feature, &o);
	else
		split_number(search, feature, &o);
	end_bins(search->grower, &o);
}

/* a cut amid bins that the node does not have goes to the middle of them */
static void
centre_cut(MlSplitSearch *search, const MlBinFeature *f, const Occupied *o)
{
	int			next = next_bin(o->has, search->bin);

	if (next >= 0 && next < f->nvalues)
		search->bin += (next - 1 - search->bin) / 2;
	else
		search->bin = f->nvalues - 1;	/* only missing ones go right */
}

void
ml_split_left(MlSplitSearch *search, int64 *left)
{
	const MlGrower *grower = search->grower;
	const MlBinFeature *f = &grower->bins->feature[search->feature];
	Occupied	o;

	begin_bins(search, search->feature, &o);
	if (!f->category)
	{
		centre_cut(search, f, &o);
		memset(search->set, 0, sizeof(search->set));
		for (int b = 0; b <= search->bin; b++)
			ml_set_add(search->set, b);
		if (search->missing_left && f->missing >= 0)
			ml_set_add(search->set, f->missing);
	}
	memset(left, 0, grower->width * sizeof(int64));
	for (int b = first_bin(o.has); b >= 0; b = next_bin(o.has, b))
		if (ml_set_has(search->set, b))
			add_bin(grower, left, sum_of(grower, &o, b));
	end_bins(grower, &o);
}
