/*
 * pmml_export.c
 *		Regressions, trees and clusters as PMML 4.4 (Data Mining Group,
 *		https://dmg.org/pmml/v4-4/GeneralStructure.html).
 *
 * What the recipe does with missing values and categories is written out as
 * derived fields: "age (filled)", "age (missing)", "plan (effect)". A field of
 * an array is named as the number is, "embedding[3]".
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "exchange/exchange.h"
#include "interrupts.h"
#include "lib/stringinfo.h"
#include "predictor/trees.h"
#include "miscadmin.h"
#include "utils/xml.h"

typedef struct Writer
{
	const MlExport *export;
	const MlRecipe *recipe;
	StringInfo	out;
} Writer;

static const char *
number_text(double value)
{
	char	   *digits = palloc(DOUBLE_SHORTEST_DECIMAL_LEN);

	double_to_shortest_decimal_buf(value, digits);
	return digits;
}

/* text as an attribute's value */
static const char *
quoted(const char *text)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoChar(&out, '"');
	for (const char *c = text; *c != '\0'; c++)
	{
		if (*c == '"')
			appendStringInfoString(&out, "&quot;");
		else if (*c == '<')
			appendStringInfoString(&out, "&lt;");
		else if (*c == '>')
			appendStringInfoString(&out, "&gt;");
		else if (*c == '&')
			appendStringInfoString(&out, "&amp;");
		else if (*c == '\t' || *c == '\n' || *c == '\r')
			appendStringInfo(&out, "&#%d;", *c);
		else
			appendStringInfoChar(&out, *c);
	}
	appendStringInfoChar(&out, '"');
	return out.data;
}

/* ---- fields ---- */

static void
put_data_field(const Writer *w, const char *name, const char *optype, const char *type)
{
	appendStringInfo(w->out, "  <DataField name=%s optype=\"%s\" dataType=\"%s\"", quoted(name), optype, type);
}

static void
put_levels(const Writer *w, char **level, int n)
{
	if (n == 0)
	{
		appendStringInfoString(w->out, "/>\n");
		return;
	}
	appendStringInfoString(w->out, ">\n");
	for (int i = 0; i < n; i++)
		appendStringInfo(w->out, "   <Value value=%s/>\n", quoted(level[i]));
	appendStringInfoString(w->out, "  </DataField>\n");
}

static void
put_data_dictionary(const Writer *w)
{
	const MlRecipe *recipe = w->recipe;
	const MlTarget *target = &recipe->target;

	appendStringInfoString(w->out, " <DataDictionary>\n");
	for (int i = 0; i < recipe->nfeatures; i++)
	{
		const MlFeature *feature = &recipe->features[i];

		if (feature->kind == ML_KIND_TIME)
			ml_export_refuse(w->export, psprintf("\"%s\" is a time, whose parts PMML cannot compute", feature->name),
							 "Train on numbers made of it in the source, or export it as 'json' or 'sql'.");
		if (feature->kind == ML_KIND_CATEGORY)
		{
			put_data_field(w, feature->name, "categorical", "string");
			put_levels(w, feature->level, feature->nlevels);
			continue;
		}
		for (int j = 0; j < feature->nnumbers; j++)
		{
			put_data_field(w, recipe->numbers[feature->first_number + j].name, "continuous", "double");
			put_levels(w, NULL, 0);
		}
	}
	if (target->name != NULL)
	{
		put_data_field(w, target->name, target->nclasses > 0 ? "categorical" : "continuous",
					   target->nclasses > 0 ? "string" : "double");
		put_levels(w, target->class_label, target->nclasses);
	}
	appendStringInfoString(w->out, " </DataDictionary>\n");
}

static void
put_mining_schema(const Writer *w)
{
	const MlRecipe *recipe = w->recipe;

	appendStringInfoString(w->out, "<MiningSchema>\n");
	for (int i = 0; i < recipe->nfeatures; i++)
	{
		const MlFeature *feature = &recipe->features[i];

		if (feature->kind == ML_KIND_CATEGORY)
			appendStringInfo(w->out, "  <MiningField name=%s invalidValueTreatment=\"asIs\"/>\n", quoted(feature->name));
		for (int j = 0; j < feature->nnumbers; j++)
			appendStringInfo(w->out, "  <MiningField name=%s/>\n",
							 quoted(recipe->numbers[feature->first_number + j].name));
	}
	if (recipe->target.name != NULL)
		appendStringInfo(w->out, "  <MiningField name=%s usageType=\"target\"/>\n", quoted(recipe->target.name));
	appendStringInfoString(w->out, "</MiningSchema>\n");
}

static void
begin_derived(const Writer *w, const char *name)
{
	appendStringInfo(w->out, "  <DerivedField name=%s optype=\"continuous\" dataType=\"double\">", quoted(name));
}

static void
end_derived(const Writer *w)
{
	appendStringInfoString(w->out, "</DerivedField>\n");
}

/* one number if the field is missing, another or the field itself if it is not */
static void
put_if_missing(const Writer *w, const char *field, const char *then, const char *otherwise)
{
	appendStringInfo(w->out, "<Apply function=\"if\"><Apply function=\"isMissing\"><FieldRef field=%s/></Apply>"
					 "<Constant dataType=\"double\">%s</Constant>", quoted(field), then);
	if (otherwise != NULL)
		appendStringInfo(w->out, "<Constant dataType=\"double\">%s</Constant></Apply>", otherwise);
	else
		appendStringInfo(w->out, "<FieldRef field=%s/></Apply>", quoted(field));
}

/* a number for each code of a category */
static void
put_map(const Writer *w, const MlFeature *feature, const double *value, int stride)
{
	appendStringInfo(w->out, "<MapValues outputColumn=\"out\" dataType=\"double\" mapMissingTo=\"%s\" defaultValue=\"%s\">"
					 "<FieldColumnPair field=%s column=\"in\"/><InlineTable>",
					 number_text(value[(Size) ML_CODE_MISSING(feature) * stride]),
					 number_text(value[(Size) ML_CODE_POOL(feature) * stride]), quoted(feature->name));
	for (int c = 0; c < feature->nlevels; c++)
		appendStringInfo(w->out, "<row><in>%s</in><out>%s</out></row>", escape_xml(feature->level[c]),
						 number_text(value[(Size) c * stride]));
	appendStringInfoString(w->out, "</InlineTable></MapValues>");
}

/* ---- regression ---- */

static const char *
effect_name(const MlFeature *feature, int output, int noutputs)
{
	return noutputs == 1 ? psprintf("%s (effect)", feature->name)
		: psprintf("%s (effect %d)", feature->name, output + 1);
}

static void
put_regression_fields(const Writer *w, const MlLinear *linear)
{
	const MlRecipe *recipe = w->recipe;

	appendStringInfoString(w->out, "<LocalTransformations>\n");
	for (int k = 0; k < recipe->nnumbers; k++)
	{
		const char *name = recipe->numbers[k].name;

		begin_derived(w, psprintf("%s (filled)", name));
		put_if_missing(w, name, number_text(recipe->numbers[k].fill), NULL);
		end_derived(w);
		begin_derived(w, psprintf("%s (missing)", name));
		put_if_missing(w, name, "1", "0");
		end_derived(w);
	}
	for (int i = 0; i < recipe->nfeatures; i++)
	{
		const MlFeature *feature = &recipe->features[i];

		for (int o = 0; feature->kind == ML_KIND_CATEGORY && o < linear->noutputs; o++)
		{
			begin_derived(w, effect_name(feature, o, linear->noutputs));
			put_map(w, feature, linear->category_weight[feature->category] + (Size) o * ML_NCODES(feature), 1);
			end_derived(w);
		}
	}
	if (recipe->offset_number >= 0 && recipe->offset_log)
	{
		begin_derived(w, "(offset)");
		appendStringInfo(w->out, "<Apply function=\"ln\"><FieldRef field=%s/></Apply>",
						 quoted(recipe->numbers[recipe->offset_number].name));
		end_derived(w);
	}
	appendStringInfoString(w->out, "</LocalTransformations>\n");
}

static void
put_predictor(const Writer *w, const char *name, double coefficient)
{
	if (coefficient != 0)
		appendStringInfo(w->out, "   <NumericPredictor name=%s coefficient=\"%s\"/>\n", quoted(name), number_text(coefficient));
}

static void
put_regression_table(const Writer *w, const MlLinear *linear, int output, const char *category)
{
	const MlRecipe *recipe = w->recipe;

	appendStringInfo(w->out, "  <RegressionTable intercept=\"%s\"", number_text(linear->term_base[output]));
	if (category != NULL)
		appendStringInfo(w->out, " targetCategory=%s", quoted(category));
	appendStringInfoString(w->out, ">\n");
	for (int k = 0; k < recipe->nnumbers; k++)
	{
		double		weight = linear->number_weight[(Size) output * recipe->nnumbers + k];
		double		missing = linear->number_missing[(Size) output * recipe->nnumbers + k];

		put_predictor(w, psprintf("%s (filled)", recipe->numbers[k].name), weight);
		put_predictor(w, psprintf("%s (missing)", recipe->numbers[k].name), missing - weight * recipe->numbers[k].fill);
	}
	for (int i = 0; i < recipe->nfeatures; i++)
		if (recipe->features[i].kind == ML_KIND_CATEGORY)
			put_predictor(w, effect_name(&recipe->features[i], output, linear->noutputs), 1);
	if (recipe->offset_number >= 0)
		put_predictor(w, recipe->offset_log ? "(offset)" : recipe->numbers[recipe->offset_number].name, 1);
	appendStringInfoString(w->out, "  </RegressionTable>\n");
}

static const char *
normalization_of(const Writer *w, MlLink link)
{
	switch (link)
	{
		case ML_LINK_IDENTITY:
			return "none";
		case ML_LINK_LOGIT:
			return "logit";
		case ML_LINK_LOG:
			return "exp";
		case ML_LINK_PROBIT:
			return "probit";
		case ML_LINK_SOFTMAX:
			return "softmax";
		default:
			ml_export_refuse(w->export, "its link has no counterpart in a RegressionModel of PMML",
							 "Export it as 'json' or 'sql'.");
	}
	return NULL;				/* keep the compiler quiet */
}

static void
put_regression(const Writer *w, const MlLinear *linear)
{
	const MlTarget *target = &w->recipe->target;
	bool		classes = target->nclasses > 0;

	if (linear->class_share != NULL)
		ml_export_refuse(w->export, "it is a constant", "There is nothing to export but the shares of the classes.");
	appendStringInfo(w->out, " <RegressionModel functionName=\"%s\" normalizationMethod=\"%s\">\n",
					 classes ? "classification" : "regression", normalization_of(w, linear->link));
	put_mining_schema(w);
	put_regression_fields(w, linear);
	if (target->task == ML_TASK_BINARY)
	{
		put_regression_table(w, linear, 0, target->class_label[target->positive]);
		appendStringInfo(w->out, "  <RegressionTable intercept=\"0\" targetCategory=%s/>\n",
						 quoted(target->class_label[1 - target->positive]));
	}
	else
		for (int o = 0; o < linear->noutputs; o++)
			put_regression_table(w, linear, o, classes ? target->class_label[o] : NULL);
	appendStringInfoString(w->out, " </RegressionModel>\n");
}

/* ---- trees ---- */

static bool
goes_left(const MlTrees *trees, const MlTreeNode *node, int code)
{
	return (trees->set[node->set + code / 32] >> (code % 32)) & 1;
}

/* the levels that go left (or right), as an array of PMML */
static void
put_level_array(const Writer *w, const MlTrees *trees, const MlTreeNode *node, const MlFeature *feature, bool left)
{
	int			n = 0;

	for (int c = 0; c < feature->nlevels; c++)
		n += goes_left(trees, node, c) == left;
	appendStringInfo(w->out, "<Array n=\"%d\" type=\"string\">", n);
	for (int c = 0; c < feature->nlevels; c++)
		if (goes_left(trees, node, c) == left)
		{
			appendStringInfoChar(w->out, '"');
			for (const char *p = escape_xml(feature->level[c]); *p != '\0'; p++)
			{
				if (*p == '"' || *p == '\\')
					appendStringInfoChar(w->out, '\\');
				appendStringInfoChar(w->out, *p);
			}
			appendStringInfoString(w->out, "\" ");
		}
	appendStringInfoString(w->out, "</Array>");
}

/* true for what goes left; a comparison with a missing value is false */
static void
put_condition(const Writer *w, const MlTrees *trees, const MlTreeNode *node)
{
	const MlFeature *feature = &w->recipe->features[ml_tree_feature(w->recipe, node)];
	bool		set = node->split >= w->recipe->nnumbers;
	const char *name = quoted(set ? feature->name : w->recipe->numbers[node->split].name);
	bool		missing = set ? goes_left(trees, node, ML_CODE_MISSING(feature)) : node->missing_left;
	bool		pool = set && goes_left(trees, node, ML_CODE_POOL(feature));

	if (missing)
		appendStringInfo(w->out, "<CompoundPredicate booleanOperator=\"or\"><SimplePredicate field=%s operator=\"isMissing\"/>", name);
	if (set)
	{
		appendStringInfo(w->out, "<SimpleSetPredicate field=%s booleanOperator=\"%s\">", name, pool ? "isNotIn" : "isIn");
		put_level_array(w, trees, node, feature, !pool);
		appendStringInfoString(w->out, "</SimpleSetPredicate>");
	}
	else
		appendStringInfo(w->out, "<SimplePredicate field=%s operator=\"lessThan\" value=\"%s\"/>", name,
						 number_text(node->threshold));
	if (missing)
		appendStringInfoString(w->out, "</CompoundPredicate>");
}

/* the first child whose predicate is true takes the row; the right one's always is */
static void
put_node(const Writer *w, const MlTrees *trees, int32 at, const MlTreeNode *parent)
{
	const MlTreeNode *node = &trees->node[at];

	CHECK_FOR_INTERRUPTS();
	check_stack_depth();
	appendStringInfo(w->out, "<Node recordCount=\"%s\"", number_text(node->cover));
	if (node->split < 0)
		appendStringInfo(w->out, " score=\"%s\"", number_text(node->value));
	appendStringInfoChar(w->out, '>');
	if (parent != NULL && at == parent->left)
		put_condition(w, trees, parent);
	else
		appendStringInfoString(w->out, "<True/>");
	if (node->split >= 0)
	{
		put_node(w, trees, node->left, node);
		put_node(w, trees, node->left + 1, node);
	}
	appendStringInfoString(w->out, "</Node>\n");
}

static void
put_tree(const Writer *w, const MlTrees *trees, int t)
{
	appendStringInfoString(w->out, "<TreeModel functionName=\"regression\" splitCharacteristic=\"binarySplit\" "
						   "missingValueStrategy=\"none\" noTrueChildStrategy=\"returnNullPrediction\">\n");
	put_mining_schema(w);
	put_node(w, trees, trees->root[t], NULL);
	appendStringInfoString(w->out, "</TreeModel>\n");
}

static void
put_segments(const Writer *w, const MlTrees *trees, int output)
{
	appendStringInfo(w->out, "<Segmentation multipleModelMethod=\"%s\">\n", trees->mean ? "average" : "sum");
	for (int t = 0, id = 1; t < trees->ntrees; t++)
	{
		if (trees->output[t] != output)
			continue;
		appendStringInfo(w->out, "<Segment id=\"%d\"><True/>\n", id++);
		put_tree(w, trees, t);
		appendStringInfoString(w->out, "</Segment>\n");
	}
	appendStringInfoString(w->out, "</Segmentation>\n");
}

/* a model whose output field is the sum over trees of one output */
static void
put_sum(const Writer *w, const MlTrees *trees, int output)
{
	appendStringInfo(w->out, "<Segment id=\"sum %d\"><True/>\n<MiningModel functionName=\"regression\">\n", output + 1);
	put_mining_schema(w);
	appendStringInfo(w->out, "<Output><OutputField name=\"sum %d\" optype=\"continuous\" dataType=\"double\" "
					 "feature=\"predictedValue\"/></Output>\n", output + 1);
	put_segments(w, trees, output);
	appendStringInfoString(w->out, "</MiningModel>\n</Segment>\n");
}

static void
put_sum_table(const Writer *w, const MlTrees *trees, int output, const char *category)
{
	appendStringInfo(w->out, "<RegressionTable intercept=\"%s\"", number_text(trees->base_score[output]));
	if (category != NULL)
		appendStringInfo(w->out, " targetCategory=%s", quoted(category));
	appendStringInfo(w->out, "><NumericPredictor name=\"sum %d\" coefficient=\"1\"/></RegressionTable>\n", output + 1);
}

/* the sums first, then a regression over them that applies the link */
static void
put_trees(const Writer *w, const MlTrees *trees)
{
	const MlTarget *target = &w->recipe->target;
	const char *function = target->nclasses > 0 ? "classification" : "regression";

	if (trees->noutputs > 1 && trees->link != ML_LINK_SOFTMAX)
		ml_export_refuse(w->export, "its outputs are probabilities of several classes, not sums under a link",
						 "Export it as 'json'.");
	appendStringInfo(w->out, " <MiningModel functionName=\"%s\">\n", function);
	put_mining_schema(w);
	appendStringInfoString(w->out, "<Segmentation multipleModelMethod=\"modelChain\">\n");
	for (int o = 0; o < trees->noutputs; o++)
		put_sum(w, trees, o);
	appendStringInfo(w->out, "<Segment id=\"link\"><True/>\n<RegressionModel functionName=\"%s\" normalizationMethod=\"%s\">\n",
					 function, normalization_of(w, trees->link));
	appendStringInfoString(w->out, "<MiningSchema>\n");
	for (int o = 0; o < trees->noutputs; o++)
		appendStringInfo(w->out, "  <MiningField name=\"sum %d\"/>\n", o + 1);
	if (target->name != NULL)
		appendStringInfo(w->out, "  <MiningField name=%s usageType=\"target\"/>\n", quoted(target->name));
	appendStringInfoString(w->out, "</MiningSchema>\n");
	if (target->task == ML_TASK_BINARY)
	{
		put_sum_table(w, trees, 0, target->class_label[target->positive]);
		appendStringInfo(w->out, "<RegressionTable intercept=\"%s\" targetCategory=%s/>\n",
						 trees->link == ML_LINK_IDENTITY ? "1" : "0", quoted(target->class_label[1 - target->positive]));
	}
	else
		for (int o = 0; o < trees->noutputs; o++)
			put_sum_table(w, trees, o, target->nclasses > 0 ? target->class_label[o] : NULL);
	appendStringInfoString(w->out, "</RegressionModel>\n</Segment>\n</Segmentation>\n </MiningModel>\n");
}

/* ---- clusters ---- */

static void
put_design_field(const Writer *w, const MlCentres *centres, int j)
{
	const MlDesignColumn *column = &w->recipe->design[j];
	const MlFeature *feature = &w->recipe->features[column->feature];

	begin_derived(w, psprintf("z%d", j + 1));
	appendStringInfo(w->out, "<Apply function=\"*\"><Apply function=\"-\">");
	if (column->kind == ML_DESIGN_NUMBER)
		put_if_missing(w, w->recipe->numbers[column->number].name,
					   number_text(w->recipe->numbers[column->number].fill), NULL);
	else if (column->kind == ML_DESIGN_MISSING)
		put_if_missing(w, w->recipe->numbers[column->number].name, "1", "0");
	else
	{
		const MlCategoryDesign *design = &w->recipe->category_design[feature->category];
		double	   *value = palloc(sizeof(double) * ML_NCODES(feature));

		for (int c = 0; c < ML_NCODES(feature); c++)
			value[c] = design->column[c] == ML_COLUMN_SHARES ? design->share[j - design->first_column]
				: design->column[c] == j - design->first_column;
		put_map(w, feature, value, 1);
		pfree(value);
	}
	appendStringInfo(w->out, "<Constant dataType=\"double\">%s</Constant></Apply><Constant dataType=\"double\">%s</Constant></Apply>",
					 number_text(centres->shift[j]), number_text(centres->scale[j]));
	end_derived(w);
}

static void
put_clusters(const Writer *w, const MlCentres *centres)
{
	int			n = w->recipe->ndesign;

	appendStringInfo(w->out, " <ClusteringModel functionName=\"clustering\" modelClass=\"centerBased\" numberOfClusters=\"%d\">\n",
					 centres->nclusters);
	put_mining_schema(w);
	appendStringInfoString(w->out, "<LocalTransformations>\n");
	for (int j = 0; j < n; j++)
		put_design_field(w, centres, j);
	appendStringInfoString(w->out, "</LocalTransformations>\n<ComparisonMeasure kind=\"distance\"><squaredEuclidean/></ComparisonMeasure>\n");
	for (int j = 0; j < n; j++)
		appendStringInfo(w->out, "  <ClusteringField field=\"z%d\" compareFunction=\"absDiff\"/>\n", j + 1);
	for (int c = 0; c < centres->nclusters; c++)
	{
		appendStringInfo(w->out, "  <Cluster id=\"%d\" size=\"%.0f\"><Array n=\"%d\" type=\"real\">", c + 1,
						 rint(centres->weight[c]), n);
		for (int j = 0; j < n; j++)
			appendStringInfo(w->out, "%s%s", j > 0 ? " " : "", number_text(centres->centre[(Size) c * n + j]));
		appendStringInfoString(w->out, "</Array></Cluster>\n");
	}
	appendStringInfoString(w->out, " </ClusteringModel>\n");
}

char *
ml_export_pmml(const MlExport *export)
{
	const MlModel *model = export->model;
	StringInfoData out;
	Writer		w = {export, model->recipe, &out};

	if (model->calibration != NULL)
		ml_export_refuse(export, "it is calibrated", "Train without \"calibration\", or export it as 'json'.");
	if (model->recipe->params.impute == ML_IMPUTE_DROP)
		ml_export_refuse(export, "it gives no value to rows that lack one (\"impute\": \"drop\")",
						 "Train with \"impute\": \"mean\" or \"median\", or export it as 'json' or 'sql'.");
	initStringInfo(&out);

	/* no encoding: text is in the database's here, in the client's where it is written, and without one XML is UTF-8 */
	appendStringInfo(&out, "<?xml version=\"1.0\"?>\n"
					 "<PMML xmlns=\"http://www.dmg.org/PMML-4_4\" version=\"4.4\">\n"
					 " <Header description=%s><Application name=\"mlops\" version=\"" MLOPS_VERSION "\"/></Header>\n",
					 quoted(psprintf("%s/%d, %s", export->resolved->model, export->resolved->version, model->algorithm)));
	put_data_dictionary(&w);
	switch (model->predictor->kind)
	{
		case ML_PREDICTOR_LINEAR:
			put_regression(&w, (const MlLinear *) model->predictor);
			break;
		case ML_PREDICTOR_TREES:
			put_trees(&w, (const MlTrees *) model->predictor);
			break;
		case ML_PREDICTOR_CENTRES:
			put_clusters(&w, (const MlCentres *) model->predictor);
			break;
		default:
			ml_export_refuse(export, model->predictor->kind == ML_PREDICTOR_GROUPED ? "each group has a predictor of its own"
							 : "only regressions, trees and clusters are written as PMML", "Export it as 'json'.");
	}
	appendStringInfoString(&out, "</PMML>\n");
	return out.data;
}
