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
 * unless a split asks for a category of very many codes.
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
#define UNKNOWN_SLOT	(~(uint32) 0)	/* of leaves, until all slots are known */

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

static uint32
slot_of(Compiling *compiling, const MlTreeNode *node)
{
	MlCompiledTrees *compiled = compiling->compiled;
	int32	   *slot = &compiling->slot[node->missing_left][node->split];

	if (*slot < 0)
	{
		*slot = compiled->nnumbers++;
		compiled->slot[*slot].number = node->split;
		compiled->slot[*slot].missing = node->missing_left ? -INFINITY : INFINITY;
	}
	return compiled->ncodes + *slot;
}

static int
ncodes_of(const MlRecipe *recipe, int category)
{
	return ML_NCODES(&recipe->features[recipe->category_design[category].feature]);
}

static void
compile_codes(Compiling *compiling, const MlTreeNode *node, MlCompactNode *to)
{
	const uint32 *set = compiling->trees->set + node->set;
	int			category = node->split - compiling->recipe->nnumbers;

	if (compiling->compiled->codes == ML_CODES_MANY)
	{
		to->u.many.category = category;
		to->u.many.set = node->set;
		to->slot = ML_SLOT_CODE;
		return;
	}
	to->u.codes = set[0];
	if (ncodes_of(compiling->recipe, category) > 32)
		to->u.codes |= (uint64) set[1] << 32;
	to->slot = ML_SLOT_CODE | category;
}

static void
compile_node(Compiling *compiling, const MlTreeNode *node, uint32 left, uint32 self)
{
	MlCompactNode *to = &compiling->compiled->node[self];

	to->left = (uint32) ((node->split < 0 ? self : left) * sizeof(MlCompactNode));
	if (node->split < 0)
	{
		to->u.threshold = node->value;
		to->slot = UNKNOWN_SLOT;
	}
	else if (node->split < compiling->recipe->nnumbers)
	{
		to->u.threshold = node->threshold;
		to->slot = slot_of(compiling, node);
	}
	else
		compile_codes(compiling, node, to);
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

static MlTreeCodes
codes_asked_for(const MlTrees *trees, const MlRecipe *recipe)
{
	MlTreeCodes codes = ML_CODES_NONE;

	for (int32 i = 0; i < trees->nnodes; i++)
	{
		int			category = trees->node[i].split - recipe->nnumbers;

		if (category >= 0)
			codes = Max(codes, ncodes_of(recipe, category) > ML_FEW_CODES ? ML_CODES_MANY : ML_CODES_FEW);
	}
	return codes;
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
	compiled->codes = codes_asked_for(trees, recipe);
	compiled->ncodes = compiled->codes == ML_CODES_FEW ? recipe->ncategories : 0;
	compile_node(&compiling, &padding, 0, compiling.used++);
	for (int o = 0; o < trees->noutputs; o++)
		compile_output(&compiling, o);
	compiled->nslots = compiled->ncodes + compiled->nnumbers + 1;
	for (uint32 i = 0; i < compiling.used; i++)
	{
		ml_check_row(i);
		if (compiled->node[i].slot == UNKNOWN_SLOT)
			compiled->node[i].slot = compiled->nslots - 1;
	}
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

/*
 * The node below that a row comes to; a leaf's is itself. With few codes both
 * tests are made, whatever the node asks for, and one of them counts.
 */
static pg_attribute_always_inline uint32
step(const MlCompiledTrees *compiled, const uint32 *set, uint32 at, const double *value, const int32 *code,
	 MlTreeCodes codes)
{
	const MlCompactNode *node = (const MlCompactNode *) ((const char *) compiled->node + at);
	uint32		right;

	if (codes == ML_CODES_NONE)
		right = !(value[node->slot] < node->u.threshold);
	else if (codes == ML_CODES_FEW)
	{
		const double *slot = &value[node->slot & ~ML_SLOT_CODE];
		uint32		asks_code = node->slot / ML_SLOT_CODE;
		uint64		bits;
		uint32		outside;

		memcpy(&bits, slot, sizeof(bits));
		outside = (uint32) ~(node->u.codes >> (bits % ML_FEW_CODES)) & 1;
		right = !(*slot < node->u.threshold);
		right ^= (right ^ outside) & asks_code;
	}
	else if (node->slot == ML_SLOT_CODE)
	{
		int32		c = code[node->u.many.category];

		right = ~(set[node->u.many.set + c / 32] >> (c % 32)) & 1;
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
	at[lane] = step(compiled, set, at[lane], value + (lane) * value_stride, code + (lane) * code_stride, codes)

/*
 * LANES walks at a time: of trees in one row (strides 0), or of one tree in
 * several rows.
 */
static pg_attribute_always_inline void
walk(const MlCompiledTrees *compiled, const uint32 *set, int depth, uint32 *at, const double *value,
	 int value_stride, const int32 *code, int code_stride, MlTreeCodes codes)
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
		  const int32 *code, MlTreeCodes codes)
{
	double		sum[LANES] = {0};

	for (int t = compiled->first[output]; t < compiled->first[output + 1]; t += LANES)
	{
		uint32		at[LANES];

		memcpy(at, compiled->root + t, sizeof(at));
		walk(compiled, set, compiled->depth[t / LANES], at, value, 0, code, 0, codes);
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

/* a code as a slot has it: in the last bits of a double that is no oddity */
static inline double
code_slot(int32 code)
{
	uint64		bits = UINT64CONST(0x3ff0000000000000) | (uint32) code;
	double		slot;

	memcpy(&slot, &bits, sizeof(slot));
	return slot;
}

static inline double
sum_output(const MlTrees *trees, int output, const double *value, const int32 *code)
{
	const MlCompiledTrees *compiled = trees->compiled;

	switch (compiled->codes)
	{
		case ML_CODES_NONE:
			return sum_trees(compiled, trees->set, output, value, code, ML_CODES_NONE);
		case ML_CODES_FEW:
			return sum_trees(compiled, trees->set, output, value, code, ML_CODES_FEW);
		default:
			return sum_trees(compiled, trees->set, output, value, code, ML_CODES_MANY);
	}
}

static void
predict(const MlPredictor *predictor, const MlRecipe *recipe, const MlRow *row, double *work, double *output)
{
	const MlTrees *trees = (const MlTrees *) predictor;
	const MlCompiledTrees *compiled = trees->compiled;
	const double *offset = recipe->offset_number >= 0 ? &row->number[recipe->offset_number] : NULL;
	double	   *value = work + compiled->ncodes;

	for (int i = 0; i < compiled->ncodes; i++)
		work[i] = code_slot(row->code[i]);
	for (int i = 0; i < compiled->nnumbers; i++)
		value[i] = slot_value(trees, &compiled->slot[i], row->number[compiled->slot[i].number]);
	value[compiled->nnumbers] = -INFINITY;
	for (int o = 0; o < trees->noutputs; o++)
		output[o] = eta_of(trees, recipe, o, sum_output(trees, o, work, row->code), offset);
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
	double	   *value = rows->value + compiled->ncodes;

	for (int s = 0; s < compiled->nnumbers; s++)
	{
		const double *number = block->number[compiled->slot[s].number] + first;

		for (int i = 0; i < BLOCK_ROWS; i++)
			value[(Size) i * stride + s] = slot_value(trees, &compiled->slot[s], number[Min(i, n - 1)]);
	}
	for (int i = 0; i < BLOCK_ROWS; i++)
		value[(Size) i * stride + compiled->nnumbers] = -INFINITY;
	for (int j = 0; compiled->codes != ML_CODES_NONE && j < recipe->ncategories; j++)
		for (int i = 0; i < BLOCK_ROWS; i++)
		{
			int32		code = block->code[(Size) j * block->n + first + Min(i, n - 1)];

			if (compiled->codes == ML_CODES_FEW)
				rows->value[(Size) i * stride + j] = code_slot(code);
			else
				rows->code[(Size) i * recipe->ncategories + j] = code;
		}
}

static pg_attribute_always_inline void
sum_rows(const MlTrees *trees, int output, int ncategories, int n, Rows *rows, MlTreeCodes codes)
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
				 rows->code + (Size) i * ncategories, ncategories, codes);
			for (int lane = 0; lane < LANES; lane++)
				rows->sum[(i + lane) * LANES + t % LANES] += leaf_value(compiled, at[lane]);
		}
	}
}

static void
sum_output_rows(const MlTrees *trees, const MlRecipe *recipe, int output, int n, Rows *rows)
{
	switch (((const MlCompiledTrees *) trees->compiled)->codes)
	{
		case ML_CODES_NONE:
			sum_rows(trees, output, 0, n, rows, ML_CODES_NONE);
			break;
		case ML_CODES_FEW:
			sum_rows(trees, output, 0, n, rows, ML_CODES_FEW);
			break;
		case ML_CODES_MANY:
			sum_rows(trees, output, recipe->ncategories, n, rows, ML_CODES_MANY);
			break;
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
			sum_output_rows(trees, recipe, o, n, &rows);
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
