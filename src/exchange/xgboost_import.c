/*
 * xgboost_import.c
 *		The JSON model of XGBoost (gbtree; regression, two or several classes).
 *
 * Values are compared in single precision, as XGBoost does. Columns are found
 * by feature_names, f0, f1... where the model has none. A categorical column
 * holds codes; their labels come from the option "levels" or from the
 * attribute mlops.levels.
 */
#include "postgres.h"

#include <math.h>

#include "exchange/exchange.h"
#include "interrupts.h"
#include "predictor/trees.h"
#include "json.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define MAX_FEATURES	100000
#define LEAST_COVER		1e-6	/* XGBoost writes 0 for what rounds to it */

typedef struct Reading
{
	MlFields	f;
	const MlImport *import;
	Jsonb	   *levels;			/* or NULL */
	MlRecipe   *recipe;
	MlTrees    *trees;
	int			nfeatures;
	int32	   *split;			/* of each column: number, or nnumbers + category once all are known */
	bool	   *coded;			/* a category */
	int32	  **code;			/* of each category column: our code of XGBoost's */
	int		   *ncodes;
	int32		node_room;
	int32		set_room;
} Reading;

/* one tree's node table */
typedef struct Table
{
	int			n;
	int32	   *left;
	int32	   *right;
	int32	   *index;
	double	   *condition;
	bool	   *default_left;
	double	   *gain;
	double	   *cover;
	int		   *first;			/* of each node: its place in categories; -1: a number */
	int		   *count;
	int			ncategories;
	int32	   *categories;
} Table;

static double
text_number(const Reading *r, const char *name)
{
	char	   *text;
	char	   *end;
	double		value;

	ml_field_text(unconstify(MlFields *, &r->f), name, &text);
	value = text == NULL ? NAN : strtod(text, &end);
	if (text == NULL || *text == '\0' || *end != '\0' || !isfinite(value))
		ml_fields_refuse(&r->f, name, text == NULL ? "nothing" : psprintf("\"%s\"", text), "a number as text");
	return value;
}

/* ---- columns ---- */

static char **
column_names(Reading *r)
{
	char	  **name;

	if (ml_fields_has(&r->f, "feature_names", false) && ml_fields_count(&r->f, "feature_names") > 0)
	{
		ml_field_texts(&r->f, "feature_names", &name, r->nfeatures);
		return name;
	}
	name = palloc(sizeof(char *) * r->nfeatures);
	for (int i = 0; i < r->nfeatures; i++)
		name[i] = psprintf("f%d", i);
	return name;
}

static void
refuse_levels(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the labels of category \"%s\" are not known", name),
			 errdetail("The document has codes 0, 1, 2... only."),
			 errhint("List them in the order of the codes: options => '{\"levels\": {\"%s\": [\"basic\", \"pro\"]}}'.", name)));
}

static void
add_category(Reading *r, int column, const char *name)
{
	JsonbValue	value;
	JsonbContainer *array;
	char	  **level;
	int			n;

	if (r->levels == NULL || !ml_json_find(r->levels, name, &value) || value.type != jbvBinary ||
		!JsonContainerIsArray(value.val.binary.data))
		refuse_levels(name);
	array = value.val.binary.data;
	n = JsonContainerSize(array);
	level = palloc(sizeof(char *) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array, i);

		CHECK_FOR_INTERRUPTS();
		if (element->type != jbvString)
			refuse_levels(name);
		level[i] = ml_json_string(element);
		for (int j = 0; j < i; j++)
			if (strcmp(level[i], level[j]) == 0)
				refuse_levels(name);
	}
	r->coded[column] = true;
	r->ncodes[column] = n;
	r->code[column] = palloc(sizeof(int32) * Max(n, 1));
	r->split[column] = r->recipe->ncategories;
	ml_recipe_add_category(r->recipe, name, level, n, r->code[column]);
}

static void
take_columns(Reading *r)
{
	char	  **name = column_names(r);
	char	  **type = NULL;

	if (ml_fields_has(&r->f, "feature_types", false) && ml_fields_count(&r->f, "feature_types") > 0)
		ml_field_texts(&r->f, "feature_types", &type, r->nfeatures);
	r->recipe = ml_recipe_by_hand(r->nfeatures);
	r->split = palloc(sizeof(int32) * Max(r->nfeatures, 1));
	r->coded = palloc0(sizeof(bool) * Max(r->nfeatures, 1));
	r->code = palloc0(sizeof(int32 *) * Max(r->nfeatures, 1));
	r->ncodes = palloc0(sizeof(int) * Max(r->nfeatures, 1));
	for (int i = 0; i < r->nfeatures; i++)
	{
		if (name[i][0] == '\0')
			ml_fields_refuse(&r->f, "feature_names", "an empty name", "an array of names");
		if (type != NULL && strcmp(type[i], "c") == 0)
			add_category(r, i, name[i]);
		else
		{
			r->split[i] = r->recipe->nnumbers;
			ml_recipe_add_number(r->recipe, name[i], 0);
		}
	}
	for (int i = 0; i < r->nfeatures; i++)
		r->split[i] += r->coded[i] ? r->recipe->nnumbers : 0;
}

/* ---- objective ---- */

static void
take_objective(Reading *r, int nclasses, double base)
{
	static const struct
	{
		const char *name;
		MlLink		link;
		MlTask		task;
	}			known[] = {
		{"reg:squarederror", ML_LINK_IDENTITY, ML_TASK_REGRESSION},
		{"reg:linear", ML_LINK_IDENTITY, ML_TASK_REGRESSION},
		{"reg:absoluteerror", ML_LINK_IDENTITY, ML_TASK_REGRESSION},
		{"reg:pseudohubererror", ML_LINK_IDENTITY, ML_TASK_REGRESSION},
		{"reg:logistic", ML_LINK_LOGIT, ML_TASK_REGRESSION},
		{"reg:gamma", ML_LINK_LOG, ML_TASK_REGRESSION},
		{"reg:tweedie", ML_LINK_LOG, ML_TASK_REGRESSION},
		{"count:poisson", ML_LINK_LOG, ML_TASK_REGRESSION},
		{"binary:logistic", ML_LINK_LOGIT, ML_TASK_BINARY},
		{"multi:softprob", ML_LINK_SOFTMAX, ML_TASK_MULTICLASS},
		{"multi:softmax", ML_LINK_SOFTMAX, ML_TASK_MULTICLASS}
	};
	char	   *name;
	MlTrees    *trees = r->trees;

	ml_fields_begin(&r->f, "objective");
	ml_field_text(&r->f, "name", &name);
	for (int i = 0; name != NULL && i < (int) lengthof(known); i++)
	{
		if (strcmp(known[i].name, name) != 0)
			continue;
		ml_target_by_hand(r->import, known[i].task, nclasses, &r->recipe->target);
		trees->link = known[i].link;
		trees->noutputs = known[i].task == ML_TASK_MULTICLASS ? nclasses : 1;
		if (known[i].task == ML_TASK_MULTICLASS && nclasses < 2)
			ml_fields_refuse(&r->f, "name", name, "that of a model with two classes or more");
		trees->base_score = palloc(sizeof(double) * trees->noutputs);
		for (int o = 0; o < trees->noutputs; o++)
			trees->base_score[o] = trees->link == ML_LINK_LOGIT ? log(base) - log1p(-base)
				: trees->link == ML_LINK_LOG ? log(base) : base;
		if (!isfinite(trees->base_score[0]))
			ml_fields_refuse(&r->f, "base_score", psprintf("%g", base), "a probability, or positive for a logarithm");
		ml_fields_end(&r->f);
		return;
	}
	ml_fields_refuse(&r->f, "name", name == NULL ? "nothing" : psprintf("\"%s\"", name),
					 "a regression, binary:logistic, multi:softprob or multi:softmax");
}

/* ---- trees ---- */

/* 0 and 1, or false and true */
static bool *
take_flags(Reading *r, const char *name, int n)
{
	bool	   *flag = palloc0(Max(n, 1));
	JsonbValue	key;
	JsonbValue *found;
	JsonbIterator *it;
	JsonbValue	value;

	key.type = jbvString;
	key.val.string.val = unconstify(char *, name);
	key.val.string.len = strlen(name);
	found = findJsonbValueFromContainer(r->f.in[r->f.depth], JB_FOBJECT, &key);
	if (found == NULL || found->type != jbvBinary || !JsonContainerIsArray(found->val.binary.data) ||
		JsonContainerSize(found->val.binary.data) != (uint32) n)
		ml_fields_refuse(&r->f, name, found == NULL ? "nothing" : ml_json_show(found), psprintf("an array of %d flags", n));
	it = JsonbIteratorInit(found->val.binary.data);
	(void) JsonbIteratorNext(&it, &value, true);
	for (int i = 0; i < n && JsonbIteratorNext(&it, &value, true) == WJB_ELEM; i++)
	{
		ml_check_row(i);
		flag[i] = value.type == jbvBool ? value.val.boolean
			: value.type == jbvNumeric ? ml_json_number(&value) != 0 : false;
	}
	return flag;
}

static void
take_categories(Reading *r, Table *table)
{
	int			nnodes;
	int32	   *node;
	int32	   *segment;
	int32	   *size;

	table->first = palloc(sizeof(int) * Max(table->n, 1));
	table->count = palloc0(sizeof(int) * Max(table->n, 1));
	for (int i = 0; i < table->n; i++)
		table->first[i] = -1;
	if (!ml_fields_has(&r->f, "categories_nodes", false))
		return;
	nnodes = ml_fields_count(&r->f, "categories_nodes");
	table->ncategories = ml_fields_count(&r->f, "categories");
	ml_field_ints(&r->f, "categories", &table->categories, table->ncategories);
	ml_field_ints(&r->f, "categories_nodes", &node, nnodes);
	ml_field_ints(&r->f, "categories_segments", &segment, nnodes);
	ml_field_ints(&r->f, "categories_sizes", &size, nnodes);
	for (int i = 0; i < nnodes; i++)
	{
		if (node[i] < 0 || node[i] >= table->n || segment[i] < 0 || size[i] < 0 ||
			segment[i] > table->ncategories - size[i])
			ml_fields_refuse(&r->f, "categories_nodes", psprintf("entry %d", i), "within the tree and its categories");
		table->first[node[i]] = segment[i];
		table->count[node[i]] = size[i];
	}
}

static void
take_table(Reading *r, Table *table)
{
	MlFields   *f = &r->f;

	memset(table, 0, sizeof(Table));
	table->n = ml_fields_count(f, "left_children");
	ml_field_ints(f, "left_children", &table->left, table->n);
	ml_field_ints(f, "right_children", &table->right, table->n);
	ml_field_ints(f, "split_indices", &table->index, table->n);
	ml_field_doubles(f, "split_conditions", &table->condition, table->n);
	table->default_left = take_flags(r, "default_left", table->n);
	ml_field_doubles(f, "loss_changes", &table->gain, table->n);
	ml_field_doubles(f, "sum_hessian", &table->cover, table->n);
	take_categories(r, table);
}

static void
reserve(Reading *r, int32 nnodes, int words)
{
	MlTrees    *trees = r->trees;

	while (trees->nnodes + nnodes > r->node_room)
	{
		r->node_room = Max(r->node_room * 2, 1024);
		trees->node = trees->node == NULL ?
			palloc_extended(r->node_room * sizeof(MlTreeNode), MCXT_ALLOC_HUGE) :
			repalloc_huge(trees->node, (Size) r->node_room * sizeof(MlTreeNode));
	}
	if (words > ML_IMPORT_SET_WORDS - trees->nset)
		ml_fields_refuse(&r->f, "categories_nodes", "splits of too many levels",
						 psprintf("splits that take at most %d bytes together", ML_IMPORT_SET_WORDS * 4));
	while (trees->nset + words > r->set_room)
	{
		r->set_room = Max(r->set_room * 2, 1024);
		trees->set = trees->set == NULL ?
			palloc_extended(r->set_room * sizeof(uint32), MCXT_ALLOC_HUGE) :
			repalloc_huge(trees->set, (Size) r->set_room * sizeof(uint32));
	}
}

/* what XGBoost lists goes right, all else left; a missing value as default_left says */
static void
take_set(Reading *r, const Table *table, int at, int column, MlTreeNode *node)
{
	const MlRecipe *recipe = r->recipe;
	int			feature = 0;
	int			ncodes;
	uint32	   *set;

	CHECK_FOR_INTERRUPTS();
	while (recipe->features[feature].category != r->split[column] - recipe->nnumbers)
		feature++;
	ncodes = ML_NCODES(&recipe->features[feature]);
	reserve(r, 0, ML_TREE_SET_WORDS(ncodes));
	node->set = r->trees->nset;
	set = r->trees->set + node->set;
	r->trees->nset += ML_TREE_SET_WORDS(ncodes);
	memset(set, 0, ML_TREE_SET_WORDS(ncodes) * sizeof(uint32));
	for (int c = 0; c < ncodes; c++)
		if (c != ML_CODE_MISSING(&recipe->features[feature]) || table->default_left[at])
			set[c / 32] |= (uint32) 1 << (c % 32);
	for (int i = 0; i < table->count[at]; i++)
	{
		int32		theirs = table->categories[table->first[at] + i];
		int32		ours = theirs >= 0 && theirs < r->ncodes[column] ? r->code[column][theirs]
			: theirs == r->ncodes[column] ? ML_CODE_POOL(&recipe->features[feature]) : -1;

		if (ours >= 0)
			set[ours / 32] &= ~((uint32) 1 << (ours % 32));
	}
}

static void
take_node(Reading *r, const Table *table, int at, MlTreeNode *node)
{
	int			column = table->index[at];

	memset(node, 0, sizeof(MlTreeNode));
	node->cover = table->cover[at] > LEAST_COVER ? table->cover[at] : LEAST_COVER;
	if (table->left[at] < 0)
	{
		node->split = -1;
		node->value = (float) table->condition[at];
		return;
	}
	if (column < 0 || column >= r->nfeatures)
		ml_fields_refuse(&r->f, "split_indices", psprintf("%d", column), "numbers of columns");
	node->split = r->split[column];
	node->gain = isnan(table->gain[at]) ? 0 : table->gain[at];
	if (r->coded[column] != (table->first[at] >= 0))
		ml_fields_refuse(&r->f, "categories_nodes", psprintf("node %d", at), "the splits of columns of type \"c\"");
	if (r->coded[column])
		take_set(r, table, at, column, node);
	else
	{
		node->threshold = (float) table->condition[at];	/* the shortest text of a float4 */
		node->missing_left = table->default_left[at];
	}
}

/* Children come together and after their parent here; XGBoost keeps them anywhere. */
static void
take_tree(Reading *r, int t)
{
	MlTrees    *trees = r->trees;
	Table		table;
	int32	   *order;
	bool	   *seen;
	int32		found = 1;

	take_table(r, &table);
	if (table.n == 0)
		ml_fields_refuse(&r->f, "left_children", "no node", "those of a tree");
	reserve(r, table.n, 0);
	trees->root[t] = trees->nnodes;
	order = palloc(sizeof(int32) * (table.n + 2));
	seen = palloc0(table.n);
	order[0] = 0;
	seen[0] = true;
	for (int32 i = 0; i < found; i++)
	{
		int32		child[2] = {table.left[order[i]], table.right[order[i]]};
		MlTreeNode	node;

		ml_check_row(i);
		take_node(r, &table, order[i], &node);
		if (node.split >= 0)
		{
			node.left = trees->root[t] + found;
			for (int c = 0; c < 2; c++)
			{
				if (child[c] < 0 || child[c] >= table.n || seen[child[c]])
					ml_fields_refuse(&r->f, "left_children", psprintf("a child %d", child[c]), "those of a tree");
				seen[child[c]] = true;
				order[found++] = child[c];
			}
		}
		trees->node[trees->nnodes++] = node;
	}
	pfree(order);
	pfree(seen);
}

static void
take_trees(Reading *r)
{
	MlTrees    *trees = r->trees;
	char	   *booster;

	ml_fields_begin(&r->f, "gradient_booster");
	ml_field_text(&r->f, "name", &booster);
	if (booster == NULL || strcmp(booster, "gbtree") != 0)
		ml_fields_refuse(&r->f, "name", booster == NULL ? "nothing" : psprintf("\"%s\"", booster), "\"gbtree\"");
	ml_fields_begin(&r->f, "model");
	trees->ntrees = ml_fields_count(&r->f, "trees");
	ml_field_ints(&r->f, "tree_info", &trees->output, trees->ntrees);
	trees->root = palloc(sizeof(int32) * Max(trees->ntrees, 1));
	reserve(r, 1, 1);
	ml_fields_array(&r->f, "trees", &trees->ntrees, PG_INT32_MAX);
	for (int t = 0; t < trees->ntrees; t++)
	{
		if (trees->output[t] < 0 || trees->output[t] >= trees->noutputs)
			ml_fields_refuse(&r->f, "tree_info", psprintf("%d", trees->output[t]), "numbers of classes");
		ml_fields_element(&r->f, t);
		take_tree(r, t);
		ml_fields_end(&r->f);
	}
	ml_fields_end(&r->f);
	ml_fields_end(&r->f);
	ml_fields_end(&r->f);
}

/* the option, or what an export of ours left */
static void
take_levels(Reading *r)
{
	char	   *text = NULL;

	r->levels = r->import->levels;
	if (r->levels != NULL || !ml_fields_has(&r->f, "attributes", false))
		return;
	ml_fields_begin(&r->f, "attributes");
	if (ml_fields_has(&r->f, "mlops.levels", false))
		ml_field_text(&r->f, "mlops.levels", &text);
	ml_fields_end(&r->f);
	if (text != NULL)
		r->levels = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	if (r->levels != NULL && !JB_ROOT_IS_OBJECT(r->levels))
		r->levels = NULL;
}

void
ml_import_xgboost(const MlImport *import, Jsonb *document, MlModel *model)
{
	Reading		r = {.import = import};
	int			nclasses;
	double		base;

	r.trees = palloc0(sizeof(MlTrees));
	r.trees->base.kind = ML_PREDICTOR_TREES;
	r.trees->single = true;
	ml_fields_read(&r.f, document);
	ml_fields_begin(&r.f, "learner");
	ml_fields_begin(&r.f, "learner_model_param");
	r.nfeatures = (int) Min(Max(text_number(&r, "num_feature"), -1), MAX_FEATURES + 1);
	nclasses = (int) Min(Max(text_number(&r, "num_class"), 0), ML_MAX_CLASSES + 1);
	base = text_number(&r, "base_score");
	if (r.nfeatures < 0 || r.nfeatures > MAX_FEATURES || nclasses > ML_MAX_CLASSES)
		ml_fields_refuse(&r.f, "num_feature", psprintf("%d columns, %d classes", r.nfeatures, nclasses),
						 psprintf("at most %d, with at most %d classes", MAX_FEATURES, ML_MAX_CLASSES));
	ml_fields_end(&r.f);
	take_levels(&r);
	take_columns(&r);
	take_objective(&r, nclasses, base);
	ml_recipe_finish(r.recipe);
	take_trees(&r);
	ml_fields_end(&r.f);
	model->algorithm = pstrdup("xgboost");
	model->recipe = r.recipe;
	model->predictor = &r.trees->base;
}
