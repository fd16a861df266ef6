/*
 * grow.c
 *		Grows a tree: which node is split next, and who gets which rows.
 *
 * The rows of a node are neighbours in grower->row, in ascending order; a split
 * parts them in two without changing that. Of two children only the smaller
 * one's histogram is added up, the other is the parent's less that. Where few
 * columns are drawn for each split every node adds up just those instead. Small
 * nodes have no histogram: their rows are added up for one feature at a time.
 *
 * Nodes wait in a heap: the one that gains most first (leaf-wise), or the
 * deepest first, so that few histograms are held, or the first made first where
 * the number of leaves is limited.
 */
#include "postgres.h"

#include <math.h>

#include "frame/hash.h"
#include "learn/driver.h"
#include "miscadmin.h"
#include "trees/grow.h"

#define DIRECT_SHARE	0.35	/* of the columns of a split: below it, no histogram is inherited */
#define HELD_BYTES		(256 * 1024 * 1024)	/* histograms kept for children */
#define HELD_LEAST		4
#define HELD_MOST		4096
#define FIRST_NODES		255
#define SMALL_NODE		256		/* rows of a node that is searched without a histogram, at most */

/* a leaf that can be split */
typedef struct MlOpenNode
{
	int			node;
	int			depth;
	double		key;			/* the largest is split next */
	MlSplitSearch split;
	int64	   *histogram;		/* or NULL: not kept */
	int64		left[FLEXIBLE_ARRAY_MEMBER];	/* sums of its left side */
} MlOpenNode;

static Size
histogram_size(const MlGrower *g)
{
	return (Size) g->bins->nbins * g->width * sizeof(int64);
}

double
ml_grower_unit(double largest, int64 nrows, int less_bits)
{
	int			size;
	int			many;
	int			bits;

	if (!(largest > 0))
		return 1;
	frexp(largest, &size);
	frexp((double) Max(nrows, 1), &many);
	bits = Min(61 - less_bits - many, 50);

	/* the sum of all stays below 2^62, each is a whole number that a double holds */
	return ldexp(1.0, size - bits);
}

static void
make_room(MlGrower *g, int capacity)
{
	MlGrownNode *node = ml_fit_alloc(g->fit, capacity, sizeof(MlGrownNode), "nodes of a tree");
	int64	   *sum = ml_fit_alloc(g->fit, (Size) capacity * g->width, sizeof(int64), "nodes of a tree");

	if (g->node)
	{
		memcpy(node, g->node, g->nnodes * sizeof(MlGrownNode));
		memcpy(sum, g->sum, (Size) g->nnodes * g->width * sizeof(int64));
		ml_aligned_free(g->node);
		ml_aligned_free(g->sum);
	}
	g->node = node;
	g->sum = sum;
	g->node_capacity = capacity;
}

/* what a crew would share, for one process */
static void
take_rows(MlGrower *g)
{
	int64		n = g->bins->nrows;

	g->row = ml_fit_alloc(g->fit, n, sizeof(uint32), "rows of a tree");
	if (g->nclasses > 0)
	{
		g->label = ml_fit_alloc(g->fit, n, sizeof(uint8), "classes of the rows");
		g->weight = ml_fit_alloc(g->fit, n, sizeof(int64), "weights of the rows");
	}
	else
		g->pair = ml_fit_alloc(g->fit, n, sizeof(MlPair), "gradients of the rows");
}

static MlGrower *
make(const MlFit *fit, MlBins *bins, const MlGrowth *growth, int nclasses)
{
	MlGrower   *g = ml_fit_alloc(fit, 1, sizeof(MlGrower), "state of the trees");

	g->fit = fit;
	g->bins = bins;
	g->growth = growth;
	g->nclasses = nclasses;
	g->width = nclasses > 0 ? nclasses : 2;
	if (growth->min_leaf_rows > 1)
		frexp((double) bins->nrows, &g->count_bits);
	g->direct = growth->columns_per_level * growth->columns_per_split < DIRECT_SHARE;
	g->held_limit = (int) Min(HELD_MOST, Max(HELD_LEAST, HELD_BYTES / Max(histogram_size(g), 1)));
	return g;
}

static void
take_work_memory(MlGrower *g)
{
	const MlFit *fit = g->fit;
	const MlBins *bins = g->bins;

	g->spare_row = ml_fit_alloc(fit, bins->nrows, sizeof(uint32), "rows of a tree");
	g->tree_column = ml_fit_alloc(fit, bins->nfeatures, sizeof(int), "columns of a tree");
	g->column = ml_fit_alloc(fit, bins->nfeatures, sizeof(int), "columns of a tree");
	g->scratch = ml_fit_alloc(fit, 256 * g->width, sizeof(int64), "sums by bin");
	if (g->growth->order_by_tree)
		g->code_order = ml_fit_alloc(fit, bins->nbins, sizeof(uint8), "order of the codes");
	g->spare_histogram = ml_fit_alloc(fit, g->held_limit + 4, sizeof(int64 *), "sums by bin");
	make_room(g, FIRST_NODES);
}

MlGrower *
ml_grower_make(const MlFit *fit, MlBins *bins, const MlGrowth *growth, int nclasses)
{
	MlGrower   *g = make(fit, bins, growth, nclasses);

	ml_histogram_hire(g);
	if (g->crew == NULL)
		take_rows(g);
	ml_bins_fill(bins, fit);
	take_work_memory(g);
	return g;
}

MlGrower *
ml_grower_make_alone(const MlFit *fit, MlBins *bins, const MlGrowth *growth, int nclasses)
{
	MlGrower   *g = make(fit, bins, growth, nclasses);

	take_rows(g);
	take_work_memory(g);
	return g;
}

void
ml_grower_end(MlGrower *g)
{
	if (g->crew)
		ml_crew_dismiss(g->crew);
	g->crew = NULL;
}

/* ---- histograms ---- */

static int64 *
take_histogram(MlGrower *g)
{
	g->nheld++;
	if (g->nspare > 0)
		return g->spare_histogram[--g->nspare];
	if (g->crew)
		return ml_histogram_take(g);
	return ml_fit_alloc(g->fit, histogram_size(g), 1, "sums by bin");
}

static void
return_histogram(MlGrower *g, int64 *histogram)
{
	if (histogram == NULL)
		return;
	g->nheld--;
	g->spare_histogram[g->nspare++] = histogram;
}

static void
build(MlGrower *g, int node, const int *column, int ncolumns, int64 *histogram)
{
	MlHistogramTask task = {
		.grower = g, .first = g->node[node].first, .n = g->node[node].n,
		.feature = column, .nfeatures = ncolumns, .histogram = histogram
	};

	ml_histogram_build_together(&task);
}

/* ---- columns ---- */

/* moves count of the columns [from, n), drawn at random, to from */
static void
draw_columns(int *column, int from, int n, int count, uint64 random)
{
	for (int i = from; i < from + count; i++)
	{
		int			at = i + (int) ml_hash_multiply(ml_hash_word(random, i), n - i).high;
		int			keep = column[i];

		column[i] = column[at];
		column[at] = keep;
	}
}

static int
by_number(const void *a, const void *b)
{
	return *(const int *) a - *(const int *) b;
}

static int
share_of(double share, int n)
{
	return n == 0 ? 0 : Max(1, Min(n, (int) floor(share * n + 1e-9)));
}

/* leaves a share of the columns, in order; returns how many */
static int
sample_columns(int *column, int n, double share, uint64 random)
{
	int			count = share_of(share, n);

	if (count == n)
		return n;
	draw_columns(column, 0, n, count, random);
	qsort(column, count, sizeof(int), by_number);
	return count;
}

/* ---- nodes ---- */

static void
add_node(MlGrower *g, int64 first, int64 n, const int64 *sum, double low, double high)
{
	MlGrownNode *node;

	if (g->nnodes == g->node_capacity)
		make_room(g, g->node_capacity * 2 + 1);
	node = &g->node[g->nnodes];
	memset(node, 0, sizeof(*node));
	node->feature = -1;
	node->first = first;
	node->n = n;
	node->low = low;
	node->high = high;
	node->value = ml_leaf_value(g, sum, low, high);
	memcpy(g->sum + (Size) g->nnodes * g->width, sum, g->width * sizeof(int64));
	g->nnodes++;
}

static bool
may_split(const MlGrower *g, int node, int depth)
{
	const MlGrowth *growth = g->growth;

	if (depth >= (growth->max_depth > 0 ? growth->max_depth : ML_TREE_MAX_DEPTH))
		return false;
	return g->node[node].n >= 2 && g->node[node].n >= 2 * growth->min_leaf_rows;
}

/*
 * Looks for the best split of a node among the columns drawn for it; goes on
 * with others where none of those will do.
 */
static void
search_node(MlGrower *g, MlOpenNode *open)
{
	uint64		random = ml_hash_word(g->random, open->node);
	int			n = g->ntree_columns;
	int			count;

	open->split.grower = g;
	open->split.sum = g->sum + (Size) open->node * g->width;
	open->split.histogram = open->histogram;
	open->split.row = g->row + g->node[open->node].first;
	open->split.n = g->node[open->node].n;
	open->split.low = g->node[open->node].low;
	open->split.high = g->node[open->node].high;
	ml_split_begin(&open->split);
	memcpy(g->column, g->tree_column, n * sizeof(int));
	n = sample_columns(g->column, n, g->growth->columns_per_level,
					   ml_hash_word(~g->random, open->depth));
	count = share_of(g->growth->columns_per_split, n);
	for (int from = 0; from < n && open->split.feature < 0; from += count)
	{
		count = Min(count, n - from);
		if (count < n)
			draw_columns(g->column, from, n, count, random);
		if (g->direct && open->histogram)
			build(g, open->node, g->column + from, count, open->histogram);
		for (int k = from; k < from + count; k++)
			ml_split_feature(&open->split, g->column[k]);
	}
}

static bool
comes_first(const MlOpenNode *a, const MlOpenNode *b)
{
	return a->key > b->key || (a->key == b->key && a->node < b->node);
}

static void
push(MlGrower *g, MlOpenNode *open)
{
	int			i = g->nheap++;

	if (i == g->heap_capacity)
	{
		int			capacity = Max(64, i * 2);
		MlOpenNode **heap = ml_fit_alloc(g->fit, capacity, sizeof(*heap), "leaves of a tree");

		if (i > 0)
		{
			memcpy(heap, g->heap, i * sizeof(*heap));
			ml_aligned_free(g->heap);
		}
		g->heap = heap;
		g->heap_capacity = capacity;
	}
	for (; i > 0 && comes_first(open, g->heap[(i - 1) / 2]); i = (i - 1) / 2)
		g->heap[i] = g->heap[(i - 1) / 2];
	g->heap[i] = open;
}

static MlOpenNode *
pop(MlGrower *g)
{
	MlOpenNode *top = g->heap[0];
	MlOpenNode *last = g->heap[--g->nheap];
	int			i = 0;

	for (int child = 1; child < g->nheap; child = 2 * i + 1)
	{
		if (child + 1 < g->nheap && comes_first(g->heap[child + 1], g->heap[child]))
			child++;
		if (!comes_first(g->heap[child], last))
			break;
		g->heap[i] = g->heap[child];
		i = child;
	}
	g->heap[i] = last;
	return top;
}

static double
key_of(const MlGrower *g, const MlOpenNode *open)
{
	if (g->growth->leaf_wise)
		return open->split.gain;
	return g->growth->max_leaves > 0 ? -open->node : open->depth;
}

/* finds a node's split and lets it wait for its turn; the histogram is its own from now on */
static void
open_node(MlGrower *g, int node, int depth, int64 *histogram)
{
	MlOpenNode *open = palloc0(offsetof(MlOpenNode, left) + g->width * sizeof(int64));

	open->node = node;
	open->depth = depth;
	open->histogram = histogram;
	search_node(g, open);
	if (open->split.feature < 0)
	{
		return_histogram(g, open->histogram);
		pfree(open);
		return;
	}
	ml_split_left(&open->split, open->left);
	if (g->direct || g->nheld > g->held_limit)
	{
		return_histogram(g, open->histogram);
		open->histogram = NULL;
	}
	open->key = key_of(g, open);
	push(g, open);
}

/* parts the rows of a node; returns how many go left */
static int64
part_rows(MlGrower *g, const MlGrownNode *node)
{
	const uint8 *column = g->bins->column + (Size) node->feature * g->bins->nrows;
	uint32	   *row = g->row + node->first;
	int64		nleft = 0;
	int64		nright = 0;
	uint8		goes_left[256];

	for (int b = 0; b < 256; b++)
		goes_left[b] = ml_set_has(node->set, b);
	for (int64 i = 0; i < node->n; i++)
	{
		uint32		r = row[i];
		int			left = goes_left[column[r]];

		row[nleft] = r;
		g->spare_row[nright] = r;
		nleft += left;
		nright += !left;
	}
	memcpy(row + nleft, g->spare_row, nright * sizeof(uint32));
	return nleft;
}

/* values below a node that is split on a constrained feature keep to their side of the middle */
static void
add_children(MlGrower *g, const MlOpenNode *open, int64 nleft)
{
	MlGrownNode node = g->node[open->node];
	int			direction = g->growth->monotone ? g->growth->monotone[node.feature] : 0;
	int64	   *right = palloc(g->width * sizeof(int64));
	double		middle = 0;

	for (int c = 0; c < g->width; c++)
		right[c] = g->sum[(Size) open->node * g->width + c] - open->left[c];
	if (direction != 0)
		middle = (ml_leaf_value(g, open->left, node.low, node.high) +
				  ml_leaf_value(g, right, node.low, node.high)) / 2;
	add_node(g, node.first, nleft, open->left,
			 direction < 0 ? middle : node.low, direction > 0 ? middle : node.high);
	add_node(g, node.first + nleft, node.n - nleft, right,
			 direction > 0 ? middle : node.low, direction < 0 ? middle : node.high);
	pfree(right);
}

/* its few rows are looked at for every feature: cheaper than all of a histogram's bins */
static bool
is_small(const MlGrower *g, int node)
{
	return g->node[node].n <= SMALL_NODE;
}

/* histograms of two children from their parent's, which is used up; only of those that may split */
static void
child_histograms(MlGrower *g, const MlOpenNode *open, const bool *wanted, int64 **histogram)
{
	int			left = g->node[open->node].left;
	int			small = g->node[left].n <= g->node[left + 1].n ? 0 : 1;

	histogram[0] = histogram[1] = NULL;
	if (open->histogram == NULL || !wanted[1 - small] || is_small(g, left + 1 - small))
	{
		return_histogram(g, open->histogram);
		for (int side = 0; side < 2; side++)
		{
			if (!wanted[side] || is_small(g, left + side))
				continue;
			histogram[side] = take_histogram(g);
			if (!g->direct)
				build(g, left + side, g->tree_column, g->ntree_columns, histogram[side]);
		}
		return;
	}
	histogram[small] = take_histogram(g);
	build(g, left + small, g->tree_column, g->ntree_columns, histogram[small]);
	ml_histogram_subtract(g, open->histogram, histogram[small]);
	histogram[1 - small] = open->histogram;
	if (!wanted[small] || is_small(g, left + small))
	{
		return_histogram(g, histogram[small]);
		histogram[small] = NULL;
	}
}

static void
split_node(MlGrower *g, MlOpenNode *open)
{
	MlGrownNode *node = &g->node[open->node];
	int			left = g->nnodes;
	int64	   *histogram[2];
	bool		wanted[2];

	node->feature = open->split.feature;
	node->left = left;
	node->bin = open->split.bin;
	node->missing_left = open->split.missing_left;
	node->gain = open->split.gain;
	memcpy(node->set, open->split.set, sizeof(node->set));
	add_children(g, open, part_rows(g, node));
	g->nleaves++;
	for (int side = 0; side < 2; side++)
		wanted[side] = may_split(g, left + side, open->depth + 1);
	child_histograms(g, open, wanted, histogram);
	for (int side = 0; side < 2; side++)
		if (wanted[side])
			open_node(g, left + side, open->depth + 1, histogram[side]);
}

static void
add_root(MlGrower *g)
{
	int64	   *sum = palloc0(g->width * sizeof(int64));

	for (int64 i = 0; i < g->nrows; i++)
	{
		uint32		r = g->row[i];

		if (g->nclasses > 0)
			sum[g->label[r]] += g->weight[r];
		else
		{
			sum[0] += g->pair[r][0];
			sum[1] += g->pair[r][1];
		}
	}
	add_node(g, 0, g->nrows, sum, -INFINITY, INFINITY);
	pfree(sum);
}

void
ml_grow_tree(MlGrower *g, uint64 random)
{
	int64		most = g->growth->max_leaves > 0 ? g->growth->max_leaves : PG_INT64_MAX;

	g->random = random;
	g->nnodes = 0;
	g->nleaves = 1;
	for (int k = 0; k < g->bins->nfeatures; k++)
		g->tree_column[k] = k;
	g->ntree_columns = sample_columns(g->tree_column, g->bins->nfeatures,
									  g->growth->columns_per_tree, random);
	add_root(g);
	if (g->code_order)
		ml_split_order(g);
	if (may_split(g, 0, 0) && g->ntree_columns > 0)
	{
		int64	   *histogram = is_small(g, 0) ? NULL : take_histogram(g);

		if (histogram && !g->direct)
			build(g, 0, g->tree_column, g->ntree_columns, histogram);
		open_node(g, 0, 0, histogram);
	}
	while (g->nheap > 0 && g->nleaves < most)
	{
		MlOpenNode *open = pop(g);

		ml_crew_look();
		split_node(g, open);
		pfree(open);
	}
	while (g->nheap > 0)
	{
		MlOpenNode *open = pop(g);

		return_histogram(g, open->histogram);
		pfree(open);
	}
}

int
ml_grown_leaf(const MlGrower *g, int64 row)
{
	const uint8 *x = g->bins->row + row * g->bins->stride;
	int			i = 0;

	while (g->node[i].feature >= 0)
		i = g->node[i].left + !ml_set_has(g->node[i].set, x[g->node[i].feature]);
	return i;
}

void
ml_grown_covers(const MlGrower *g, const double *weight, const uint16 *count, double *cover)
{
	for (int i = 0; i < g->nnodes; i++)
	{
		const MlGrownNode *node = &g->node[i];
		double		sum = 0;

		if (node->feature >= 0)
			continue;
		for (int64 k = 0; k < node->n && (weight || count); k++)
		{
			uint32		r = g->row[node->first + k];

			sum += (count ? count[r] : 1) * (weight ? weight[r] : 1);
		}
		cover[i] = weight || count ? sum : node->n;
	}
}

int64
ml_growth_nodes(const MlGrowth *growth, int64 nrows)
{
	int64		leaves = Max(nrows / Max(growth->min_leaf_rows, 1), 1);

	if (growth->max_leaves > 0)
		leaves = Min(leaves, growth->max_leaves);
	if (growth->max_depth > 0 && growth->max_depth < 40)
		leaves = Min(leaves, (int64) 1 << growth->max_depth);
	return 2 * leaves - 1;
}
