/*
 * xgboost_export.c
 *		Trees as the JSON model that XGBoost 1.7 and later loads and scores alike.
 *
 * XGBoost compares and adds in single precision: thresholds become the
 * smallest float4 that is not below them, so that values which are float4 go
 * the same way; leaves are rounded. Columns come in the order of the encoded
 * row: numbers, then categories as codes in the order of their levels (type
 * "c"; the attribute mlops.levels lists them), a NULL as a missing value.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "common/shortest_dec.h"
#include "exchange/exchange.h"
#include "interrupts.h"
#include "lib/stringinfo.h"
#include "predictor/trees.h"
#include "utils/json.h"

#define NO_PARENT	2147483647

/* the columns of a node table, one text each */
enum
{
	BASE_WEIGHTS, DEFAULT_LEFT, LEFT, LOSS_CHANGES, PARENTS, RIGHT, CONDITIONS, INDICES, TYPE, HESSIAN,
	CATEGORIES, CATEGORY_NODES, CATEGORY_SEGMENTS, CATEGORY_SIZES, NCOLUMNS
};

static const char *const column_name[NCOLUMNS] = {
	"base_weights", "default_left", "left_children", "loss_changes", "parents", "right_children",
	"split_conditions", "split_indices", "split_type", "sum_hessian",
	"categories", "categories_nodes", "categories_segments", "categories_sizes"
};

static void
put_text(StringInfo out, const char *text)
{
	escape_json(out, text);
}

static void
add(StringInfo column, const char *value)
{
	appendStringInfo(column, "%s%s", column->len > 0 ? "," : "", value);
}

static void
add_integer(StringInfo column, int value)
{
	appendStringInfo(column, "%s%d", column->len > 0 ? "," : "", value);
}

static void
add_float(StringInfo column, float value)
{
	char		digits[FLOAT_SHORTEST_DECIMAL_LEN + 2];

	float_to_shortest_decimal_buf(value, digits);
	if (strpbrk(digits, ".e") == NULL)
		strcat(digits, "e0");	/* XGBoost takes no integer for a number */
	add(column, digits);
}

/* the smallest float4 that is not below: a float4 value is below either or neither */
static float
single_threshold(double threshold)
{
	float		rounded = (float) Max(threshold, -FLT_MAX);

	if (threshold >= FLT_MAX)
		return FLT_MAX;
	return (double) rounded < threshold ? nextafterf(rounded, INFINITY) : rounded;
}

static void
add_set(StringInfoData *column, const MlRecipe *recipe, const MlTrees *trees, const MlTreeNode *node, int number)
{
	const MlFeature *feature = &recipe->features[ml_tree_feature(recipe, node)];
	int			n = 0;
	int			before = 0;

	for (const char *c = column[CATEGORIES].data; *c != '\0'; c++)
		before += *c == ',';
	before += column[CATEGORIES].len > 0;

	/* XGBoost lists what goes right; pooled and unseen values have the code after the levels */
	for (int c = 0; c <= ML_CODE_POOL(feature); c++)
		if (!((trees->set[node->set + c / 32] >> (c % 32)) & 1))
		{
			add_integer(&column[CATEGORIES], c);
			n++;
		}
	if (n == 0)					/* the list must not be empty: a code that nothing has */
	{
		add_integer(&column[CATEGORIES], ML_CODE_MISSING(feature));
		n++;
	}
	add_integer(&column[CATEGORY_NODES], number);
	add_integer(&column[CATEGORY_SEGMENTS], before);
	add_integer(&column[CATEGORY_SIZES], n);
}

static void
add_node(StringInfoData *column, const MlExport *export, const MlTrees *trees, int32 root, int32 at,
		 int parent, double scale)
{
	const MlRecipe *recipe = export->model->recipe;
	const MlTreeNode *node = &trees->node[root + at];
	bool		leaf = node->split < 0;
	bool		set = node->split >= recipe->nnumbers;
	bool		default_left = node->missing_left;

	if (set)
	{
		int			code = ML_CODE_MISSING(&recipe->features[ml_tree_feature(recipe, node)]);

		default_left = (trees->set[node->set + code / 32] >> (code % 32)) & 1;
		add_set(column, recipe, trees, node, at);
	}
	add_float(&column[BASE_WEIGHTS], leaf ? (float) (node->value * scale) : 0);
	add_integer(&column[DEFAULT_LEFT], !leaf && default_left);
	add_integer(&column[LEFT], leaf ? -1 : node->left - root);
	add_float(&column[LOSS_CHANGES], (float) node->gain);
	add_integer(&column[PARENTS], parent);
	add_integer(&column[RIGHT], leaf ? -1 : node->left + 1 - root);
	add_float(&column[CONDITIONS], leaf ? (float) (node->value * scale) : set ? 0 : single_threshold(node->threshold));
	add_integer(&column[INDICES], leaf ? 0 : node->split);
	add_integer(&column[TYPE], set);
	add_float(&column[HESSIAN], (float) node->cover);
}

static void
put_tree(StringInfo out, StringInfoData *column, int id, int nfeatures, int nnodes)
{
	appendStringInfo(out, "%s{", id > 0 ? "," : "");
	for (int c = 0; c < NCOLUMNS; c++)
		appendStringInfo(out, "\"%s\":[%s],", column_name[c], column[c].data);
	appendStringInfo(out, "\"id\":%d,\"tree_param\":{\"num_deleted\":\"0\",\"num_feature\":\"%d\","
					 "\"num_nodes\":\"%d\",\"size_leaf_vector\":\"0\"}}", id, nfeatures, nnodes);
	for (int c = 0; c < NCOLUMNS; c++)
		resetStringInfo(&column[c]);
}

/* one leaf: what the class begins with */
static void
put_constant(StringInfo out, StringInfoData *column, int id, int nfeatures, double value)
{
	add_float(&column[BASE_WEIGHTS], (float) value);
	add_float(&column[CONDITIONS], (float) value);
	add(&column[DEFAULT_LEFT], "0");
	add(&column[LEFT], "-1");
	add(&column[RIGHT], "-1");
	add_float(&column[LOSS_CHANGES], 0);
	add_integer(&column[PARENTS], NO_PARENT);
	add(&column[INDICES], "0");
	add(&column[TYPE], "0");
	add_float(&column[HESSIAN], 1);
	put_tree(out, column, id, nfeatures, 1);
}

static double
scale_of(const MlTrees *trees, int output)
{
	int			n = 0;

	for (int t = 0; t < trees->ntrees; t++)
		n += trees->output[t] == output;
	return trees->mean ? 1.0 / Max(n, 1) : 1.0;
}

static int
put_trees(StringInfo out, const MlExport *export, const MlTrees *trees)
{
	StringInfoData column[NCOLUMNS];
	int			nfeatures = export->model->recipe->nnumbers + export->model->recipe->ncategories;
	int			id = 0;

	for (int c = 0; c < NCOLUMNS; c++)
		initStringInfo(&column[c]);
	for (int t = 0; t < trees->ntrees; t++)
	{
		int32		root = trees->root[t];
		int32		n = ml_tree_end(trees, t) - root;
		int		   *parent = palloc(sizeof(int) * n);
		double		scale = scale_of(trees, trees->output[t]);

		parent[0] = NO_PARENT;
		for (int32 i = 0; i < n; i++)
		{
			const MlTreeNode *node = &trees->node[root + i];

			ml_check_row(i);
			if (node->split >= 0)
				parent[node->left - root] = parent[node->left + 1 - root] = i;
			add_node(column, export, trees, root, i, parent[i], scale);
		}
		put_tree(out, column, id++, nfeatures, n);
		pfree(parent);
	}
	for (int o = 0; trees->noutputs > 1 && o < trees->noutputs; o++)
		put_constant(out, column, id++, nfeatures, trees->base_score[o]);
	return id;
}

/* [, ] and < mean something to XGBoost */
static char *
column_label(const char *name)
{
	char	   *label = pstrdup(name);

	for (char *c = label; *c != '\0'; c++)
		*c = *c == '[' ? '(' : *c == ']' ? ')' : *c == '<' ? '_' : *c;
	return label;
}

static const MlFeature *
category_feature(const MlRecipe *recipe, int category)
{
	return &recipe->features[recipe->category_design[category].feature];
}

static void
put_columns(StringInfo out, const MlRecipe *recipe)
{
	appendStringInfoString(out, "\"feature_names\":[");
	for (int i = 0; i < recipe->nnumbers; i++)
	{
		appendStringInfoString(out, i > 0 ? "," : "");
		put_text(out, column_label(recipe->numbers[i].name));
	}
	for (int i = 0; i < recipe->ncategories; i++)
	{
		appendStringInfoString(out, i + recipe->nnumbers > 0 ? "," : "");
		put_text(out, column_label(category_feature(recipe, i)->name));
	}
	appendStringInfoString(out, "],\"feature_types\":[");
	for (int i = 0; i < recipe->nnumbers + recipe->ncategories; i++)
		appendStringInfo(out, "%s\"%s\"", i > 0 ? "," : "", i < recipe->nnumbers ? "float" : "c");
	appendStringInfoString(out, "]");
}

/* {"plan": ["basic", "pro"]}, as a text */
static void
put_levels(StringInfo out, const MlRecipe *recipe)
{
	StringInfoData levels;

	initStringInfo(&levels);
	appendStringInfoChar(&levels, '{');
	for (int i = 0; i < recipe->ncategories; i++)
	{
		const MlFeature *feature = category_feature(recipe, i);

		appendStringInfoString(&levels, i > 0 ? ", " : "");
		put_text(&levels, column_label(feature->name));
		appendStringInfoString(&levels, ": [");
		for (int c = 0; c < feature->nlevels; c++)
		{
			appendStringInfoString(&levels, c > 0 ? ", " : "");
			put_text(&levels, feature->level[c]);
		}
		appendStringInfoChar(&levels, ']');
	}
	appendStringInfoChar(&levels, '}');
	put_text(out, levels.data);
}

static const char *
objective_of(const MlExport *export, const MlTrees *trees)
{
	if (trees->link == ML_LINK_IDENTITY && trees->noutputs == 1)
		return "reg:squarederror";
	if (trees->link == ML_LINK_LOGIT)
		return "binary:logistic";
	if (trees->link == ML_LINK_LOG)
		return "count:poisson";
	if (trees->link == ML_LINK_SOFTMAX)
		return "multi:softprob";
	ml_export_refuse(export, "XGBoost has no objective that makes its outputs of sums over trees",
					 "Export it as 'json', which mlops_import reads elsewhere.");
	return NULL;				/* keep the compiler quiet */
}

/* as the objective states it: a probability, a mean; a sum for others */
static double
base_of(const MlTrees *trees)
{
	if (trees->link == ML_LINK_LOGIT)
		return 1 / (1 + exp(-trees->base_score[0]));
	if (trees->link == ML_LINK_LOG)
		return exp(trees->base_score[0]);
	return trees->link == ML_LINK_SOFTMAX ? 0 : trees->base_score[0];
}

static const char *
objective_params(const MlTrees *trees)
{
	if (trees->link == ML_LINK_LOG)
		return "\"poisson_regression_param\":{\"max_delta_step\":\"0.7\"}";
	if (trees->link == ML_LINK_SOFTMAX)
		return psprintf("\"softmax_multiclass_param\":{\"num_class\":\"%d\"}", trees->noutputs);
	return "\"reg_loss_param\":{\"scale_pos_weight\":\"1\"}";
}

char *
ml_export_xgboost(const MlExport *export)
{
	const MlModel *model = export->model;
	const MlTrees *trees = (const MlTrees *) model->predictor;
	StringInfoData out;
	StringInfoData tables;
	StringInfoData info;
	const char *objective;
	int			n;

	if (model->predictor->kind != ML_PREDICTOR_TREES)
		ml_export_refuse(export, model->predictor->kind == ML_PREDICTOR_GROUPED ? "each group has a predictor of its own"
						 : "XGBoost's models are trees", "Export it as 'json'.");
	if (model->calibration != NULL)
		ml_export_refuse(export, "XGBoost has no calibration", "Export it as 'json', or train without \"calibration\".");
	objective = objective_of(export, trees);
	initStringInfo(&out);
	initStringInfo(&tables);
	initStringInfo(&info);
	n = put_trees(&tables, export, trees);
	for (int t = 0; t < n; t++)
		add_integer(&info, t < trees->ntrees ? trees->output[t] : t - trees->ntrees);

	appendStringInfoString(&out, "{\"version\":[1,7,4],\"learner\":{\"attributes\":{\"mlops.levels\":");
	put_levels(&out, model->recipe);
	appendStringInfoString(&out, "},");
	put_columns(&out, model->recipe);
	appendStringInfo(&out, ",\"gradient_booster\":{\"name\":\"gbtree\",\"model\":{\"gbtree_model_param\":"
					 "{\"num_parallel_tree\":\"1\",\"num_trees\":\"%d\",\"size_leaf_vector\":\"0\"},"
					 "\"tree_info\":[%s],\"trees\":[", n, info.data);
	appendBinaryStringInfo(&out, tables.data, tables.len);
	appendStringInfo(&out, "]}},\"learner_model_param\":{\"base_score\":\"%.9g\",\"boost_from_average\":\"1\","
					 "\"num_class\":\"%d\",\"num_feature\":\"%d\",\"num_target\":\"1\"},"
					 "\"objective\":{\"name\":\"%s\",%s}}}",
					 base_of(trees), trees->noutputs > 1 ? trees->noutputs : 0,
					 model->recipe->nnumbers + model->recipe->ncategories, objective, objective_params(trees));
	return out.data;
}
