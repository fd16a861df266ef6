/*
 * tree_fields.c
 *		Trees as fields: of each tree its nodes, a parent before its children.
 *
 * {"output": 0, "nodes": [{"number": "age", "below": 37.5, "missing_left": true,
 *  "left": 1, "cover": 90, "gain": 4.2}, {"value": 0.1, "cover": 40}, ...]}: the
 * right child follows the left one. A split of a category names its column and
 * the codes that go left: {"category": "plan", "codes": [0, 2], "left": 1, ...}.
 */
#include "postgres.h"

#include <math.h>

#include "exchange/exchange.h"
#include "predictor/trees.h"
#include "utils/memutils.h"

#define MAX_COUNT	100000000

static const char *const link_names[] = {
	"identity", "logit", "log", "probit", "inverse", "sqrt", "softmax", "halving", NULL
};

/* room that grows while trees are read */
typedef struct Reading
{
	MlTrees    *trees;
	int32		node_room;
	int32		set_room;
} Reading;

static int
find_number(const MlRecipe *recipe, const char *name)
{
	for (int i = 0; i < recipe->nnumbers; i++)
		if (strcmp(recipe->numbers[i].name, name) == 0)
			return i;
	return -1;
}

static MlTreeNode *
new_node(Reading *reading)
{
	MlTrees    *trees = reading->trees;

	if (trees->nnodes == reading->node_room)
	{
		reading->node_room = Max(reading->node_room * 2, 256);
		trees->node = trees->node == NULL ?
			palloc_extended(reading->node_room * sizeof(MlTreeNode), MCXT_ALLOC_HUGE) :
			repalloc_huge(trees->node, (Size) reading->node_room * sizeof(MlTreeNode));
	}
	memset(&trees->node[trees->nnodes], 0, sizeof(MlTreeNode));
	return &trees->node[trees->nnodes++];
}

static int32
new_set(const MlFields *f, Reading *reading, int words)
{
	MlTrees    *trees = reading->trees;
	int32		at = trees->nset;

	if (words > ML_IMPORT_SET_WORDS - at)
		ml_fields_refuse(f, "codes", "splits of too many levels",
						 psprintf("splits that take at most %d bytes together", ML_IMPORT_SET_WORDS * 4));
	while (trees->nset + words > reading->set_room)
	{
		reading->set_room = Max(reading->set_room * 2, 256);
		trees->set = trees->set == NULL ?
			palloc_extended(reading->set_room * sizeof(uint32), MCXT_ALLOC_HUGE) :
			repalloc_huge(trees->set, (Size) reading->set_room * sizeof(uint32));
	}
	memset(trees->set + at, 0, words * sizeof(uint32));
	trees->nset += words;
	return at;
}

static void
write_set(MlFields *f, const MlRecipe *recipe, const MlTrees *trees, const MlTreeNode *node)
{
	const MlFeature *feature = &recipe->features[ml_tree_feature(recipe, node)];
	char	   *name = feature->name;
	int32	   *code = palloc(ML_NCODES(feature) * sizeof(int32));
	int			n = 0;

	for (int c = 0; c < ML_NCODES(feature); c++)
		if ((trees->set[node->set + c / 32] >> (c % 32)) & 1)
			code[n++] = c;
	ml_field_text(f, "category", &name);
	ml_field_ints(f, "codes", &code, n);
	pfree(code);
}

static void
read_set(MlFields *f, const MlRecipe *recipe, Reading *reading, int32 at)
{
	char	   *name;
	int			feature;
	int			n = ml_fields_count(f, "codes");
	int32	   *code;
	int32		set;

	ml_field_text(f, "category", &name);
	ml_field_ints(f, "codes", &code, n);
	feature = name == NULL ? -1 : ml_recipe_find(recipe, name);
	if (feature < 0 || recipe->features[feature].kind != ML_KIND_CATEGORY)
		ml_fields_refuse(f, "category", name == NULL ? "nothing" : name, "a feature that is a category");
	set = new_set(f, reading, ML_TREE_SET_WORDS(ML_NCODES(&recipe->features[feature])));
	for (int i = 0; i < n; i++)
	{
		if (code[i] < 0 || code[i] >= ML_NCODES(&recipe->features[feature]))
			ml_fields_refuse(f, "codes", psprintf("%d", code[i]), "codes of the category");
		reading->trees->set[set + code[i] / 32] |= (uint32) 1 << (code[i] % 32);
	}
	reading->trees->node[at].split = recipe->nnumbers + recipe->features[feature].category;
	reading->trees->node[at].set = set;
}

static void
write_node(MlFields *f, const MlRecipe *recipe, MlTrees *trees, MlTreeNode *node, int32 root)
{
	int			left = node->left - root;

	if (node->split < 0)
		ml_field_double(f, "value", &node->value);
	else if (node->split < recipe->nnumbers)
	{
		ml_field_text(f, "number", &recipe->numbers[node->split].name);
		ml_field_double(f, "below", &node->threshold);
		ml_field_bool(f, "missing_left", &node->missing_left);
	}
	else
		write_set(f, recipe, trees, node);
	if (node->split >= 0)
	{
		ml_field_int(f, "left", &left, 0, MAX_COUNT);
		ml_field_double(f, "gain", &node->gain);
	}
	ml_field_double(f, "cover", &node->cover);
}

static void
read_node(MlFields *f, const MlRecipe *recipe, Reading *reading, int32 root, int n)
{
	int32		at = (int32) (new_node(reading) - reading->trees->node);
	MlTreeNode *node = &reading->trees->node[at];
	char	   *name;
	int			left;

	node->split = -1;
	node->cover = 1;
	if (ml_fields_has(f, "cover", true))
		ml_field_double(f, "cover", &node->cover);
	if (ml_fields_has(f, "value", false))
	{
		ml_field_double(f, "value", &node->value);
		return;
	}
	if (ml_fields_has(f, "number", false))
	{
		ml_field_text(f, "number", &name);
		node->split = find_number(recipe, name);
		if (node->split < 0)
			ml_fields_refuse(f, "number", name, "the name of a number");
		ml_field_double(f, "below", &node->threshold);
		ml_field_bool(f, "missing_left", &node->missing_left);
	}
	else
		read_set(f, recipe, reading, at);
	ml_field_int(f, "left", &left, at - root + 1, Max(n - 2, at - root + 1));
	node = &reading->trees->node[at];
	node->left = root + left;
	if (ml_fields_has(f, "gain", true))
		ml_field_double(f, "gain", &node->gain);
}

/* every node but the first is the child of one before it: else there would be nodes twice, or circles */
static void
check_tree(MlFields *f, const MlTrees *trees, int32 root, int n)
{
	bool	   *has_parent = palloc0(Max(n, 1));

	for (int32 i = 0; i < n; i++)
	{
		const MlTreeNode *node = &trees->node[root + i];

		if (i > 0 && !has_parent[i])
			ml_fields_refuse(f, "nodes", psprintf("node %d that no node before it leads to", i), "a tree");
		if (node->split < 0)
			continue;
		for (int32 child = node->left - root; child <= node->left - root + 1; child++)
		{
			if (child >= n || has_parent[child])
				ml_fields_refuse(f, "nodes", psprintf("a child %d of node %d", child, i), "a tree");
			has_parent[child] = true;
		}
	}
	if (n == 0)
		ml_fields_refuse(f, "nodes", "no node", "a tree");
	pfree(has_parent);
}

static void
tree_fields(MlFields *f, const MlRecipe *recipe, MlTrees *trees, int t, Reading *reading)
{
	int			n = 0;
	int32		root;

	if (f->reading)
		trees->root[t] = trees->nnodes;
	else
		n = ml_tree_end(trees, t) - trees->root[t];
	root = trees->root[t];
	ml_field_int(f, "output", &trees->output[t], 0, trees->noutputs - 1);
	ml_fields_array(f, "nodes", &n, MAX_COUNT);
	for (int i = 0; i < n; i++)
	{
		ml_fields_element(f, i);
		if (f->reading)
			read_node(f, recipe, reading, root, n);
		else
			write_node(f, recipe, trees, &trees->node[root + i], root);
		ml_fields_end(f);
	}
	ml_fields_end(f);
	if (f->reading)
		check_tree(f, trees, root, n);
}

void
ml_trees_fields(MlFields *f, const MlRecipe *recipe, MlTrees *trees)
{
	Reading		reading = {trees};
	int			link = trees->link;

	ml_field_choice(f, "link", &link, link_names);
	trees->link = link;
	if (f->reading)
		trees->noutputs = recipe->target.task == ML_TASK_MULTICLASS ? recipe->target.nclasses : 1;
	ml_field_bool(f, "mean", &trees->mean);
	ml_field_bool(f, "single", &trees->single);
	ml_field_doubles(f, "base_score", &trees->base_score, trees->noutputs);
	ml_fields_array(f, "trees", &trees->ntrees, MAX_COUNT);
	if (f->reading)
	{
		trees->root = palloc_extended(Max(trees->ntrees, 1) * sizeof(int32), MCXT_ALLOC_HUGE);
		trees->output = palloc_extended(Max(trees->ntrees, 1) * sizeof(int32), MCXT_ALLOC_HUGE);
	}
	for (int t = 0; t < trees->ntrees; t++)
	{
		ml_fields_element(f, t);
		tree_fields(f, recipe, trees, t, &reading);
		ml_fields_end(f);
	}
	ml_fields_end(f);
}
