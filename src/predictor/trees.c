/*
 * trees.c
 *		Trees: single ones, forests, boosted sums, isolation forests.
 *
 * A row costs as many steps as trees are deep, each of which waits for the one
 * before it: a node is loaded, then the value that it asks for, then the next
 * node. Several trees of a row are walked at a time, so that the waits overlap,
 * and in a block several rows of a tree (the idea of Asadi, Lin & de Vries,
 * Runtime optimizations for tree-based machine learning models, IEEE TKDE 26
 * (2014), which call it predication and vectorization). Steps have no branch
 * unless a split asks for a category.
 *
 * Leaves are summed in ML_TREE_LANES sums, tree t of an output into sum t
 * modulo their number, however the trees were walked: a block scores the same
 * bits as its rows do one by one.
 */
#include "postgres.h"

#include "interrupts.h"
#include "predictor/trees.h"
#include "utils/memutils.h"

#define LANES			ML_TREE_LANES
#define BLOCK_ROWS		32		/* rows whose values are laid out at a time */

static void *
allocate(Size n, Size size)
{
	return palloc_extended(Max(n, 1) * size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* ---- compiling ---- */

/* what is known while trees are compiled */
typedef struct Compiling
{
	const MlTrees *trees;
	const MlRecipe *recipe;
	MlCompiledTrees *compiled;
	int32	   *slot[2];		/* of each number, by where missing values go; -1: none yet */
	int32	   *depth;			/* of each node */
	double	   *mean;			/* of each node: of the leaves below it, by cover */
	uint32		used;			/* nodes of compiled */
} Compiling;

static int32
slot_of(Compiling *compiling, const MlTreeNode *node)
{
	MlCompiledTrees *compiled = compiling->compiled;
	int32	   *slot = &compiling->slot[node->missing_left][node->split];

	if (*slot < 0)
	{
		*slot = compiled->nslots++;
		compiled->slot[*slot].number = node->split;
		compiled->slot[*slot].missing = node->missing_left ? -INFINITY : INFINITY;
	}
	return *slot;
}

static void
compile_node(Compiling *compiling, const MlTreeNode *node, uint32 left, uint32 self)
{
	MlCompiledTrees *compiled = compiling->compiled;
	MlCompactNode *to = &compiled->node[self];

	to->left = (uint32) ((node->split < 0 ? self : left) * sizeof(MlCompactNode));
	if (node->split < 0)
	{
		to->u.threshold = node->value;
		to->slot = PG_INT32_MAX;	/* known when all slots are */
	}
	else if (node->split < compiling->recipe->nnumbers)
	{
		to->u.threshold = node->threshold;
		to->slot = slot_of(compiling, node);
	}
	else
	{
		to->u.codes.category = node->split - compiling->recipe->nnumbers;
		to->u.codes.set = node->set;
		to->slot = ML_SLOT_CODE;
		compiled->categories = true;
	}
}

/* children come after their parent, so that depths are made forwards and means backwards */
static int
compile_tree(Compiling *compiling, int tree)
{
	const MlTrees *trees = compiling->trees;
	int32		first = trees->root[tree];
	int32		end = ml_tree_end(trees, tree);
	int			deepest = 0;

	compiling->depth[first] = 0;
	for (int32 i = first; i < end; i++)
	{
		const MlTreeNode *node = &trees->node[i];

		ml_check_row(i);
		compile_node(compiling, node, compiling->used + (node->left - first), compiling->used + (i - first));
		deepest = Max(deepest, compiling->depth[i]);
		if (node->split >= 0)
			compiling->depth[node->left] = compiling->depth[node->left + 1] = compiling->depth[i] + 1;
	}
	for (int32 i = end - 1; i >= first; i--)
	{
		const MlTreeNode *node = &trees->node[i];
		double		share = node->split < 0 ? 0 : ml_tree_left_share(trees, node);

		ml_check_row(i);
		compiling->mean[i] = node->split < 0 ? node->value :
			share * compiling->mean[node->left] + (1 - share) * compiling->mean[node->left + 1];
	}
	compiling->used += end - first;
	return deepest;
}

/* the trees of an output, and single leaves of 0 until their number is one of groups */
static void
compile_output(Compiling *compiling, int output)
{
	const MlTrees *trees = compiling->trees;
	MlCompiledTrees *compiled = compiling->compiled;
	int			at = compiled->first[output];
	int			n = 0;

	for (int t = 0; t < trees->ntrees; t++)
	{
		int			depth;

		if (trees->output[t] != output)
			continue;
		compiled->root[at] = (uint32) (compiling->used * sizeof(MlCompactNode));
		depth = compile_tree(compiling, t);
		compiled->depth[at / LANES] = Max(compiled->depth[at / LANES], depth);
		compiled->depth_limit = Max(compiled->depth_limit, depth);
		compiled->expected[output] += compiling->mean[trees->root[t]];
		at++;
		n++;
	}
	for (; at % LANES != 0; at++)
		compiled->root[at] = 0;
	compiled->first[output + 1] = at;
	compiled->scale[output] = trees->mean && n > 0 ? 1.0 / n : 1.0;
	compiled->expected[output] *= compiled->scale[output];
}

static MlCompiledTrees *
make_compiled(const MlTrees *trees, const MlRecipe *recipe)
{
	MlCompiledTrees *compiled = allocate(1, sizeof(MlCompiledTrees));
	Size		ntrees = trees->ntrees + (Size) trees->noutputs * LANES;

	compiled->node = allocate((Size) trees->nnodes + 1, sizeof(MlCompactNode));
	compiled->root = allocate(ntrees, sizeof(uint32));
	compiled->depth = allocate(ntrees / LANES + 1, sizeof(int32));
	compiled->first = allocate(trees->noutputs + 1, sizeof(int32));
	compiled->scale = allocate(trees->noutputs, sizeof(double));
	compiled->expected = allocate(trees->noutputs, sizeof(double));
	compiled->slot = allocate((Size) 2 * recipe->nnumbers, sizeof(MlSlot));
	return compiled;
}

static void
compile(MlPredictor *predictor, const MlRecipe *recipe)
{
	MlTrees    *trees = (MlTrees *) predictor;
	Compiling	compiling = {trees, recipe, make_compiled(trees, recipe)};
	MlCompiledTrees *compiled = compiling.compiled;
	static const MlTreeNode padding = {.split = -1, .value = 0};

	for (int way = 0; way < 2; way++)
	{
		compiling.slot[way] = allocate(recipe->nnumbers, sizeof(int32));
		memset(compiling.slot[way], 0xff, sizeof(int32) * recipe->nnumbers);
	}
	compiling.depth = allocate(trees->nnodes, sizeof(int32));
	compiling.mean = allocate(trees->nnodes, sizeof(double));
	compile_node(&compiling, &padding, 0, compiling.used++);
	for (int o = 0; o < trees->noutputs; o++)
		compile_output(&compiling, o);
	for (uint32 i = 0; i < compiling.used; i++)
	{
		ml_check_row(i);
		if (compiled->node[i].slot == PG_INT32_MAX)
			compiled->node[i].slot = compiled->nslots;
	}
	compiled->nslots++;
	trees->compiled = compiled;
	pfree(compiling.slot[0]);
	pfree(compiling.slot[1]);
	pfree(compiling.depth);
	pfree(compiling.mean);
}

static int
noutputs(const MlPredictor *predictor)
{
	return ((const MlTrees *) predictor)->noutputs;
}

/* ---- walking ---- */

/* the node below that a row comes to; a leaf's is itself */
static pg_attribute_always_inline uint32
step(const MlCompiledTrees *compiled, const uint32 *set, uint32 at, const double *value, const int32 *code,
	 bool categories)
{
	const MlCompactNode *node = (const MlCompactNode *) ((const char *) compiled->node + at);
	uint32		right;

	if (categories && node->slot == ML_SLOT_CODE)
	{
		int32		c = code[node->u.codes.category];

		right = ~(set[node->u.codes.set + c / 32] >> (c % 32)) & 1;
	}
	else
		right = !(value[node->slot] < node->u.threshold);
	return node->left + right * (uint32) sizeof(MlCompactNode);
}

static inline double
leaf_value(const MlCompiledTrees *compiled, uint32 at)
{
	return ((const MlCompactNode *) ((const char *) compiled->node + at))->u.threshold;
}

static inline double
total(const double *sum)
{
	return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

#define STEP(lane) \
	at[lane] = step(compiled, set, at[lane], value + (lane) * value_stride, code + (lane) * code_stride, categories)

/*
 * LANES walks at a time: of trees in one row (strides 0), or of one tree in
 * several rows.
 */
static pg_attribute_always_inline void
walk(const MlCompiledTrees *compiled, const uint32 *set, int depth, uint32 *at, const double *value,
	 int value_stride, const int32 *code, int code_stride, bool categories)
{
	for (int d = 0; d < depth; d++)
	{
		STEP(0);
		STEP(1);
		STEP(2);
		STEP(3);
		STEP(4);
		STEP(5);
		STEP(6);
		STEP(7);
	}
}

static pg_attribute_always_inline double
sum_trees(const MlCompiledTrees *compiled, const uint32 *set, int output, const double *value,
		  const int32 *code, bool categories)
{
	double		sum[LANES] = {0};

	for (int t = compiled->first[output]; t < compiled->first[output + 1]; t += LANES)
	{
		uint32		at[LANES];

		memcpy(at, compiled->root + t, sizeof(at));
		walk(compiled, set, compiled->depth[t / LANES], at, value, 0, code, 0, categories);
		for (int lane = 0; lane < LANES; lane++)
			sum[lane] += leaf_value(compiled, at[lane]);
	}
	return total(sum);
}

/* ---- one row ---- */

static inline double
slot_value(const MlTrees *trees, const MlSlot *slot, double value)
{
	if (trees->single)
		value = (float) value;
	return value == value ? value : slot->missing;
}

static Size
work_size(const MlPredictor *predictor, const MlRecipe *recipe)
{
	return ((const MlCompiledTrees *) ((const MlTrees *) predictor)->compiled)->nslots;
}

static inline double
eta_of(const MlTrees *trees, const MlRecipe *recipe, int output, double sum, const double *offset)
{
	double		eta = trees->base_score[output] +
		sum * ((const MlCompiledTrees *) trees->compiled)->scale[output];

	return unlikely(offset != NULL) ? eta + ml_recipe_offset(recipe, *offset) : eta;
}

static void
predict(const MlPredictor *predictor, const MlRecipe *recipe, const MlRow *row, double *work, double *output)
{
	const MlTrees *trees = (const MlTrees *) predictor;
	const MlCompiledTrees *compiled = trees->compiled;
	const double *offset = recipe->offset_number >= 0 ? &row->number[recipe->offset_number] : NULL;
	int			last = compiled->nslots - 1;

	for (int i = 0; i < last; i++)
		work[i] = slot_value(trees, &compiled->slot[i], row->number[compiled->slot[i].number]);
	work[last] = -INFINITY;
	for (int o = 0; o < trees->noutputs; o++)
	{
		double		sum = compiled->categories ?
			sum_trees(compiled, trees->set, o, work, row->code, true) :
			sum_trees(compiled, trees->set, o, work, row->code, false);

		output[o] = eta_of(trees, recipe, o, sum, offset);
	}
	ml_link_apply(trees->link, output, trees->noutputs);
}

/* ---- blocks ---- */

/* BLOCK_ROWS rows of a block: their values by slot, codes, and sums */
typedef struct Rows
{
	double	   *value;			/* BLOCK_ROWS x nslots */
	int32	   *code;			/* BLOCK_ROWS x ncategories */
	double	   *sum;			/* BLOCK_ROWS x LANES */
} Rows;

static Size
block_work_size(const MlPredictor *predictor, const MlRecipe *recipe, int nrows)
{
	return (Size) BLOCK_ROWS * (work_size(predictor, recipe) + recipe->ncategories + LANES);
}

/* rows [first, first + n) of a block; those that are not there are the last one */
static void
lay_out(const MlTrees *trees, const MlRecipe *recipe, const MlBlock *block, int first, int n, Rows *rows)
{
	const MlCompiledTrees *compiled = trees->compiled;
	int			stride = compiled->nslots;

	for (int s = 0; s < stride - 1; s++)
	{
		const double *number = block->number[compiled->slot[s].number] + first;

		for (int i = 0; i < BLOCK_ROWS; i++)
			rows->value[(Size) i * stride + s] = slot_value(trees, &compiled->slot[s], number[Min(i, n - 1)]);
	}
	for (int i = 0; i < BLOCK_ROWS; i++)
		rows->value[(Size) i * stride + stride - 1] = -INFINITY;
	for (int j = 0; compiled->categories && j < recipe->ncategories; j++)
		for (int i = 0; i < BLOCK_ROWS; i++)
			rows->code[(Size) i * recipe->ncategories + j] =
				block->code[(Size) j * block->n + first + Min(i, n - 1)];
}

static pg_attribute_always_inline void
sum_rows(const MlTrees *trees, int output, int ncategories, int n, Rows *rows, bool categories)
{
	const MlCompiledTrees *compiled = trees->compiled;
	int			stride = compiled->nslots;

	memset(rows->sum, 0, sizeof(double) * BLOCK_ROWS * LANES);
	for (int t = compiled->first[output]; t < compiled->first[output + 1]; t++)
	{
		for (int i = 0; i < n; i += LANES)
		{
			uint32		at[LANES];

			for (int lane = 0; lane < LANES; lane++)
				at[lane] = compiled->root[t];
			walk(compiled, trees->set, compiled->depth[t / LANES], at,
				 rows->value + (Size) i * stride, stride,
				 rows->code + (Size) i * ncategories, ncategories, categories);
			for (int lane = 0; lane < LANES; lane++)
				rows->sum[(i + lane) * LANES + t % LANES] += leaf_value(compiled, at[lane]);
		}
	}
}

static void
predict_block(const MlPredictor *predictor, const MlRecipe *recipe, const MlBlock *block,
			  double *work, double *output)
{
	const MlTrees *trees = (const MlTrees *) predictor;
	const MlCompiledTrees *compiled = trees->compiled;
	const double *offset = recipe->offset_number >= 0 ? block->number[recipe->offset_number] : NULL;
	Rows		rows;

	rows.value = work;
	rows.sum = work + (Size) BLOCK_ROWS * compiled->nslots;
	rows.code = (int32 *) (rows.sum + BLOCK_ROWS * LANES);
	for (int first = 0; first < block->n; first += BLOCK_ROWS)
	{
		int			n = Min(BLOCK_ROWS, block->n - first);

		lay_out(trees, recipe, block, first, n, &rows);
		for (int o = 0; o < trees->noutputs; o++)
		{
			if (compiled->categories)
				sum_rows(trees, o, recipe->ncategories, n, &rows, true);
			else
				sum_rows(trees, o, 0, n, &rows, false);
			for (int i = 0; i < n; i++)
				output[(Size) (first + i) * trees->noutputs + o] =
					eta_of(trees, recipe, o, total(rows.sum + i * LANES), offset ? offset + first + i : NULL);
		}
		for (int i = 0; i < n; i++)
			ml_link_apply(trees->link, output + (Size) (first + i) * trees->noutputs, trees->noutputs);
	}
}

/* ---- looking ---- */

/* what the splits of a feature gained */
static void
importance(const MlPredictor *predictor, const MlRecipe *recipe, double *importance)
{
	const MlTrees *trees = (const MlTrees *) predictor;

	for (int f = 0; f < recipe->nfeatures; f++)
		importance[f] = 0;
	for (int32 i = 0; i < trees->nnodes; i++)
		if (trees->node[i].split >= 0)
			importance[ml_tree_feature(recipe, &trees->node[i])] += Max(trees->node[i].gain, 0);
}

const MlPredictorRoutine ml_trees_routine = {
	.name = "trees",
	.write = ml_trees_write,
	.read = ml_trees_read,
	.compile = compile,
	.noutputs = noutputs,
	.work_size = work_size,
	.predict = predict,
	.predict_block = predict_block,
	.block_work_size = block_work_size,
	.explain = ml_trees_explain,
	.importance = importance,
};
