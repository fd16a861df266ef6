/*
 * shap.c
 *		What each feature adds to the score of a row of trees: Shapley values.
 *
 * The game: v(S) is the mean of a tree's leaves when only the features of S are
 * known; a split on one that is not known sends the row both ways, in the
 * proportion of the training rows. Contributions are the Shapley values of v:
 * they add up to v(all) - v(none), the score minus the mean. The algorithm of
 * polynomial time: Lundberg, Erion & Lee, Consistent individualized feature
 * attribution for tree ensembles, arXiv:1802.03888 (2018), algorithm 2; names
 * and steps are the paper's. The players are the features of the recipe: parts
 * of a time and elements of an array play as one.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "predictor/trees.h"

/* a feature that the path has asked for */
typedef struct Element
{
	int			feature;		/* d; -1: the start */
	double		zero;			/* z: share of the rows that come through without it */
	double		one;			/* o: 1 if the row comes through with it, else 0 */
	double		weight;			/* w: of the subsets of this size */
} Element;

typedef struct Walk
{
	const MlTrees *trees;
	const MlRecipe *recipe;
	const MlRow *row;
	double	   *contribution;
	double		scale;
} Walk;

/* length: elements before; the path grows by one */
static void
extend(Element *path, int length, double zero, double one, int feature)
{
	path[length].feature = feature;
	path[length].zero = zero;
	path[length].one = one;
	path[length].weight = length == 0 ? 1.0 : 0.0;
	for (int i = length - 1; i >= 0; i--)
	{
		path[i + 1].weight += one * path[i].weight * (i + 1) / (length + 1);
		path[i].weight = zero * path[i].weight * (length - i) / (length + 1);
	}
}

/* takes back the extension by element i of a path that ends with last */
static void
unwind(Element *path, int last, int i)
{
	double		next = path[last].weight;
	double		zero = path[i].zero;
	double		one = path[i].one;

	for (int j = last - 1; j >= 0; j--)
	{
		if (one != 0)
		{
			double		weight = path[j].weight;

			path[j].weight = next * (last + 1) / ((j + 1) * one);
			next = weight - path[j].weight * zero * (last - j) / (last + 1);
		}
		else
			path[j].weight = path[j].weight * (last + 1) / (zero * (last - j));
	}
	for (int j = i; j < last; j++)
	{
		path[j].feature = path[j + 1].feature;
		path[j].zero = path[j + 1].zero;
		path[j].one = path[j + 1].one;
	}
}

/* the sum of the weights that unwind would leave */
static double
unwound_sum(const Element *path, int last, int i)
{
	double		next = path[last].weight;
	double		zero = path[i].zero;
	double		one = path[i].one;
	double		sum = 0;

	for (int j = last - 1; j >= 0; j--)
	{
		if (one != 0)
		{
			double		weight = next * (last + 1) / ((j + 1) * one);

			sum += weight;
			next = path[j].weight - weight * zero * (last - j) / (last + 1);
		}
		else
			sum += path[j].weight * (last + 1) / (zero * (last - j));
	}
	return sum;
}

/*
 * Recursion goes as deep as the tree, which ML_TREE_MAX_DEPTH bounds. Each level
 * has a path of its own behind its parent's.
 */
static void
recurse(const Walk *walk, int32 index, Element *parent, int length, double zero, double one, int feature)
{
	const MlTreeNode *node = &walk->trees->node[index];
	Element    *path = parent + length;
	bool		left;
	double		share;
	double		known_zero = 1;
	double		known_one = 1;
	int			split;

	memcpy(path, parent, length * sizeof(Element));
	extend(path, length, zero, one, feature);
	if (node->split < 0)
	{
		for (int i = 1; i <= length; i++)
			walk->contribution[path[i].feature] += walk->scale * node->value *
				unwound_sum(path, length, i) * (path[i].one - path[i].zero);
		return;
	}
	split = ml_tree_feature(walk->recipe, node);
	left = ml_tree_goes_left(walk->trees, walk->recipe, node, walk->row);
	share = ml_tree_left_share(walk->trees, node);
	for (int i = 1; i <= length; i++)
	{
		if (path[i].feature != split)
			continue;
		known_zero = path[i].zero;
		known_one = path[i].one;
		unwind(path, length, i);
		length--;
		break;
	}
	recurse(walk, node->left, path, length + 1, known_zero * share, left ? known_one : 0, split);
	recurse(walk, node->left + 1, path, length + 1, known_zero * (1 - share), left ? 0 : known_one, split);
}

void
ml_trees_explain(const MlPredictor *predictor, const MlRecipe *recipe, const MlRow *row,
				 int output, double *contribution, double *base)
{
	const MlTrees *trees = (const MlTrees *) predictor;
	const MlCompiledTrees *compiled = trees->compiled;
	Size		levels = compiled->depth_limit + 2;
	Element    *path = palloc_extended(levels * (levels + 1) / 2 * sizeof(Element), MCXT_ALLOC_HUGE);
	Walk		walk = {trees, recipe, row, contribution, compiled->scale[output]};

	memset(contribution, 0, sizeof(double) * recipe->nfeatures);
	*base = trees->base_score[output] + compiled->expected[output];
	if (recipe->offset_number >= 0)
		*base += ml_recipe_offset(recipe, row->number[recipe->offset_number]);
	for (int t = 0; t < trees->ntrees; t++)
	{
		if (trees->output[t] != output)
			continue;
		CHECK_FOR_INTERRUPTS();
		recurse(&walk, trees->root[t], path, 0, 1, 1, -1);
	}
	pfree(path);
}
