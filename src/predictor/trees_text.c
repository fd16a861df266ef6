/*
 * trees_text.c
 *		Trees as people read them: what a split asks.
 */
#include "postgres.h"

#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "predictor/trees.h"

/* the shortest decimals that are read back as the same number */
static void
put_threshold(StringInfo text, const MlTrees *trees, double threshold)
{
	char		decimal[DOUBLE_SHORTEST_DECIMAL_LEN];

	if (trees->single && (double) (float) threshold == threshold)
		float_to_shortest_decimal_buf((float) threshold, decimal);
	else
		double_to_shortest_decimal_buf(threshold, decimal);
	appendStringInfoString(text, decimal);
}

static const char *
code_name(const MlFeature *feature, int code)
{
	if (code < feature->nlevels)
		return feature->level[code];
	return code == ML_CODE_POOL(feature) ? "(other)" : "(null)";
}

static void
put_codes(StringInfo text, const MlTrees *trees, const MlFeature *feature, const MlTreeNode *node)
{
	bool		first = true;

	appendStringInfo(text, "%s in (", feature->name);
	for (int code = 0; code < ML_NCODES(feature); code++)
	{
		if (!ml_tree_set_has(trees, node, code))
			continue;
		appendStringInfo(text, "%s%s", first ? "" : ", ", code_name(feature, code));
		first = false;
	}
	appendStringInfoChar(text, ')');
}

char *
ml_tree_condition(const MlTrees *trees, const MlRecipe *recipe, const MlTreeNode *node)
{
	StringInfoData text;

	initStringInfo(&text);
	if (node->split >= recipe->nnumbers)
		put_codes(&text, trees, &recipe->features[ml_tree_feature(recipe, node)], node);
	else
	{
		appendStringInfo(&text, "%s < ", recipe->numbers[node->split].name);
		put_threshold(&text, trees, node->threshold);
		appendStringInfoString(&text, node->missing_left ? " or missing" : "");
	}
	return text.data;
}
