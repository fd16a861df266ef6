/*
 * card.c
 *		What a model card says of a predictor: sizes of trees and clusters, what
 *		components explain, layers; a single tree in full.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "model/look.h"
#include "predictor/trees.h"
#include "utils/json.h"

#define MAX_LISTED		20		/* clusters, components */
#define MAX_TREE_LINES	100

typedef struct Lines
{
	StringInfo	json;			/* an open array of texts */
	int			n;
} Lines;

static void add_line(Lines *lines, const char *format,...) pg_attribute_printf(2, 3);

static void
add_line(Lines *lines, const char *format,...)
{
	StringInfoData text;
	int			more;

	initStringInfo(&text);
	do
	{
		va_list		args;

		va_start(args, format);
		more = appendStringInfoVA(&text, format, args);
		va_end(args);
		if (more != 0)
			enlargeStringInfo(&text, more);
	} while (more != 0);
	if (lines->n++ > 0)
		appendStringInfoChar(lines->json, ',');
	escape_json(lines->json, text.data);
	pfree(text.data);
}

/* "1 split", "2 splits" */
static char *
count(int64 n, const char *one, const char *several)
{
	return psprintf(INT64_FORMAT " %s", n, n == 1 ? one : several);
}

/* ---- trees ---- */

static void
say_trees(Lines *lines, const MlTrees *trees)
{
	int32		nleaves = 0;

	for (int32 i = 0; i < trees->nnodes; i++)
		nleaves += trees->node[i].split < 0;
	add_line(lines, "%s: %s, %s, %s deep", count(trees->ntrees, "tree", "trees"),
			 count(trees->nnodes - nleaves, "split", "splits"), count(nleaves, "leaf", "leaves"),
			 count(ml_tree_depth(trees), "level", "levels"));
}

/* Recursion goes as deep as the tree, which ML_TREE_MAX_DEPTH bounds. */
static void
say_node(Lines *lines, const MlTrees *trees, const MlRecipe *recipe, int32 index, int depth, const char *answer)
{
	const MlTreeNode *node = &trees->node[index];

	CHECK_FOR_INTERRUPTS();
	if (lines->n >= MAX_TREE_LINES)
		return;
	if (node->split < 0)
	{
		add_line(lines, "%*s%s%.6g (%.6g rows)", depth * 2, "", answer, trees->base_score[trees->output[0]] + node->value, node->cover);
		return;
	}
	add_line(lines, "%*s%s%s?", depth * 2, "", answer, ml_tree_condition(trees, recipe, node));
	say_node(lines, trees, recipe, node->left, depth + 1, "yes: ");
	say_node(lines, trees, recipe, node->left + 1, depth + 1, "no: ");
}

/* ---- the other kinds ---- */

static void
say_centres(Lines *lines, const MlCentres *centres)
{
	for (int c = 0; c < centres->nclusters && c < MAX_LISTED; c++)
		add_line(lines, "cluster %d: %.6g rows, inertia %.6g", c + 1, centres->weight[c], centres->inertia[c]);
	if (centres->nclusters > MAX_LISTED)
		add_line(lines, "and %d clusters more", centres->nclusters - MAX_LISTED);
}

static void
say_components(Lines *lines, const MlProjection *projection)
{
	double		explained = 0;

	for (int q = 0; q < projection->ncomponents && q < MAX_LISTED; q++)
	{
		explained += projection->variance[q];
		add_line(lines, "component %d: %.4g%% of the variance, %.4g%% with those before", q + 1,
				 100 * projection->variance[q] / projection->total_variance,
				 100 * explained / projection->total_variance);
	}
	if (projection->ncomponents > MAX_LISTED)
		add_line(lines, "and %d components more", projection->ncomponents - MAX_LISTED);
}

static void
say_layers(Lines *lines, const MlNetwork *network)
{
	static const char *const activation[] = {"relu", "tanh", "logistic"};

	add_line(lines, "%s", count(network->layer[0].ninputs, "input", "inputs"));
	for (int l = 0; l + 1 < network->nlayers; l++)
		add_line(lines, "hidden layer %d: %s, %s", l + 1, count(network->layer[l].nunits, "unit", "units"),
				 activation[network->activation]);
	add_line(lines, "%s", count(network->layer[network->nlayers - 1].nunits, "output", "outputs"));
}

static void
say_bayes(Lines *lines, const MlBayes *bayes, const MlTarget *target)
{
	for (int c = 0; c < bayes->nclasses && c < MAX_LISTED && c < target->nclasses; c++)
		add_line(lines, "%s: %.4g of the rows", target->class_label[c], exp(bayes->log_prior[c]));
}

static void
say_predictor(Lines *lines, const MlModel *model, const MlPredictor *predictor)
{
	switch (predictor->kind)
	{
		case ML_PREDICTOR_LINEAR:
			break;
		case ML_PREDICTOR_BAYES:
			say_bayes(lines, (const MlBayes *) predictor, &model->recipe->target);
			break;
		case ML_PREDICTOR_TREES:
			say_trees(lines, (const MlTrees *) predictor);
			break;
		case ML_PREDICTOR_CENTRES:
			say_centres(lines, (const MlCentres *) predictor);
			break;
		case ML_PREDICTOR_PROJECTION:
			say_components(lines, (const MlProjection *) predictor);
			break;
		case ML_PREDICTOR_NETWORK:
			say_layers(lines, (const MlNetwork *) predictor);
			break;
		case ML_PREDICTOR_GROUPED:
			add_line(lines, "%s of \"%s\" with a predictor of their own; for all others:",
					 count(((const MlGrouped *) predictor)->ngroups, "group", "groups"), model->recipe->group->name);
			say_predictor(lines, model, ((const MlGrouped *) predictor)->pooled);
			break;
	}
}

/* ---- what look.c asks for ---- */

void
ml_card_model(StringInfo json, const MlModel *model)
{
	Lines		lines = {json, 0};

	appendStringInfoChar(json, '[');
	say_predictor(&lines, model, model->predictor);
	appendStringInfoChar(json, ']');
}

void
ml_card_tree(StringInfo json, const MlModel *model)
{
	const MlTrees *trees = (const MlTrees *) model->predictor;
	Lines		lines = {json, 0};

	appendStringInfoChar(json, '[');
	if (trees->base.kind == ML_PREDICTOR_TREES && trees->ntrees == 1)
	{
		say_node(&lines, trees, model->recipe, 0, 0, "");
		if (trees->nnodes > lines.n)
			add_line(&lines, "and %d nodes more: see mlops_trees", trees->nnodes - lines.n);
	}
	appendStringInfoChar(json, ']');
}
