/*
 * look_trees.c
 *		The nodes of trees as rows, and a tree as indented text.
 */
#include "postgres.h"

#include "errors.h"
#include "interrupts.h"
#include "lib/stringinfo.h"
#include "model/look.h"
#include "predictor/trees.h"
#include "result.h"
#include "utils/memutils.h"

#define TREE_COLUMNS	11

PG_FUNCTION_INFO_V1(mlops_trees);

static void
add_node(MlRows *rows, const MlModel *model, const MlTrees *trees, int tree, int32 index, int depth)
{
	const MlRecipe *recipe = model->recipe;
	const MlTreeNode *node = &trees->node[index];
	bool		inner = node->split >= 0;
	int32		first = trees->root[tree];
	Datum		values[TREE_COLUMNS];
	bool		nulls[TREE_COLUMNS] = {0};

	values[0] = Int32GetDatum(tree + 1);
	values[1] = Int32GetDatum(index - first + 1);
	values[2] = Int32GetDatum(depth);
	ml_rows_text(values, nulls, 3, trees->noutputs > 1 ? recipe->target.class_label[trees->output[tree]] : NULL);
	ml_rows_text(values, nulls, 4, inner ? recipe->features[ml_tree_feature(recipe, node)].name : NULL);
	ml_rows_text(values, nulls, 5, inner ? ml_tree_condition(trees, recipe, node) : NULL);
	values[6] = Int32GetDatum(node->left - first + 1);
	values[7] = Int32GetDatum(node->left - first + 2);
	nulls[6] = nulls[7] = !inner;
	ml_rows_number(values, nulls, 8, inner ? NAN : node->value);
	ml_rows_number(values, nulls, 9, node->cover);
	ml_rows_number(values, nulls, 10, inner ? node->gain : NAN);
	ml_rows_add(rows, values, nulls);
}

static void
add_tree(MlRows *rows, const MlModel *model, const MlTrees *trees, int tree, int32 *depth)
{
	int32		first = trees->root[tree];
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops tree", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);

	depth[first] = 0;
	for (int32 i = first; i < ml_tree_end(trees, tree); i++)
	{
		const MlTreeNode *node = &trees->node[i];

		CHECK_FOR_INTERRUPTS();
		if (node->split >= 0)
			depth[node->left] = depth[node->left + 1] = depth[i] + 1;
		add_node(rows, model, trees, tree, i, depth[i]);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

/* mlops_trees(model text): every node of every tree, in the order in which they are stored */
Datum
mlops_trees(PG_FUNCTION_ARGS)
{
	MlResolved	resolved;
	const MlModel *model = ml_look_model(PG_GETARG_TEXT_PP(0), &resolved);
	const MlTrees *trees = (const MlTrees *) model->predictor;
	int32	   *depth;
	MlRows		rows;

	if (model->predictor->kind != ML_PREDICTOR_TREES)
		ml_look_refuse(model, &resolved, "trees", "See mlops_describe(model).");
	ml_rows_begin(fcinfo, &rows);
	depth = palloc_extended(Max((Size) trees->nnodes, 1) * sizeof(int32), MCXT_ALLOC_HUGE);
	for (int t = 0; t < trees->ntrees; t++)
		add_tree(&rows, model, trees, t, depth);
	return (Datum) 0;
}
