/*
 * sql_export.c
 *		A model as an SQL expression over the columns of a row, which scores
 *		without the extension: regression value, P(positive class), or a jsonb
 *		object of probabilities for several classes.
 *
 * The expression uses nothing but built-in functions of PostgreSQL 13 and
 * later. It agrees with mlops_predict to about 1e-12: sums have another order.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "exchange/exchange.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "predictor/trees.h"
#include "utils/builtins.h"

#define MAX_NODES	20000		/* of trees: a megabyte of text */
#define MAX_DEPTH	60			/* expressions within expressions */

typedef struct Writer
{
	const MlExport *export;
	const MlRecipe *recipe;
	char	  **value;			/* of each number, NULL if missing */
	char	  **code;			/* of each category: its column */
} Writer;

static char *
number_text(double value)
{
	char	   *digits = palloc(DOUBLE_SHORTEST_DECIMAL_LEN + 2);

	double_to_shortest_decimal_buf(value, digits);
	return value < 0 ? psprintf("(%s)", digits) : digits;
}

/* ---- values of the row ---- */

static char *
plain_number(const MlFeature *feature, const char *column)
{
	if (strcmp(feature->type_name, "boolean") == 0)
		return psprintf("%s::int::float8", column);
	return psprintf("NULLIF(%s::float8, 'NaN')", column);
}

static char *
part_expression(const Writer *w, const MlFeature *feature, const char *column, MlTimePart part)
{
	bool		sine = part == ML_PART_HOUR_SIN || part == ML_PART_WEEK_SIN || part == ML_PART_YEAR_SIN;
	char	   *epoch = psprintf("NULLIF(NULLIF(extract(epoch FROM %s)::float8, 'Infinity'), '-Infinity')", column);
	char	   *local = epoch;
	char	   *turn;

	if (part == ML_PART_EPOCH)
		return epoch;
	if (feature->zoned)
		local = psprintf("NULLIF(NULLIF(extract(epoch FROM %s AT TIME ZONE %s)::float8, 'Infinity'), '-Infinity')",
						 column, quote_literal_cstr(w->recipe->time_zone));
	if (part == ML_PART_HOUR_SIN || part == ML_PART_HOUR_COS)
		turn = psprintf("((%s / 86400) - floor(%s / 86400))", local, local);
	else if (part == ML_PART_WEEK_SIN || part == ML_PART_WEEK_COS)
		turn = psprintf("(mod(mod(floor(%s / 86400)::bigint + 3, 7) + 7, 7) / 7.0::float8)", local);
	else
		turn = psprintf("((floor(%s / 86400) / 365.2425::float8) - floor(floor(%s / 86400) / 365.2425::float8))", local, local);
	return psprintf("%s(2 * pi() * %s)", sine ? "sin" : "cos", turn);
}

static void
name_values(Writer *w)
{
	const MlRecipe *recipe = w->recipe;

	w->value = palloc0(Max(recipe->nnumbers, 1) * sizeof(char *));
	w->code = palloc0(Max(recipe->ncategories, 1) * sizeof(char *));
	for (int i = 0; i < recipe->nfeatures; i++)
	{
		const MlFeature *feature = &recipe->features[i];
		const char *column = quote_identifier(feature->name);

		if (feature->kind == ML_KIND_CATEGORY)
			w->code[feature->category] = psprintf("%s::text", column);
		if (feature->kind == ML_KIND_TIME && strncmp(feature->type_name, "interval", 8) == 0)
			ml_export_refuse(w->export, psprintf("\"%s\" is an interval", feature->name),
							 "Train on extract(epoch FROM ...) of it, computed in the source.");
		for (int j = 0; j < feature->nnumbers; j++)
			w->value[feature->first_number + j] =
				feature->kind == ML_KIND_NUMBER ? plain_number(feature, column)
				: feature->kind == ML_KIND_TIME ? part_expression(w, feature, column, feature->parts[j])
				: psprintf("NULLIF((%s::float8[])[%d], 'NaN')", column, j + 1);
	}
}

/* the text of a code; pooled and unseen values are the ELSE of a CASE */
static const char *
level_literal(const MlFeature *feature, int code)
{
	return quote_literal_cstr(feature->level[code]);
}

/* CASE over the codes of a category; value gives the number of a code */
static void
put_codes(StringInfo out, const Writer *w, const MlFeature *feature, const double *value, int stride)
{
	const char *column = w->code[feature->category];

	appendStringInfo(out, "CASE WHEN %s IS NULL THEN %s", column,
					 number_text(value[(Size) ML_CODE_MISSING(feature) * stride]));
	for (int c = 0; c < feature->nlevels; c++)
		appendStringInfo(out, " WHEN %s = %s THEN %s", column, level_literal(feature, c),
						 number_text(value[(Size) c * stride]));
	appendStringInfo(out, " ELSE %s END", number_text(value[(Size) ML_CODE_POOL(feature) * stride]));
}

/* ---- eta ---- */

static void
put_offset(StringInfo out, const Writer *w)
{
	int			number = w->recipe->offset_number;

	if (number >= 0)
		appendStringInfo(out, w->recipe->offset_log ? " + ln(%s)" : " + %s", w->value[number]);
}

static char *
linear_eta(const Writer *w, const MlLinear *linear, int output)
{
	const MlRecipe *recipe = w->recipe;
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfo(&out, "%s::float8", number_text(linear->term_base[output]));
	for (int k = 0; k < recipe->nnumbers; k++)
	{
		double		weight = linear->number_weight[(Size) output * recipe->nnumbers + k];
		double		missing = linear->number_missing[(Size) output * recipe->nnumbers + k];

		if (weight != 0 || missing != 0)
			appendStringInfo(&out, "\n + COALESCE(%s * %s, %s)", number_text(weight), w->value[k], number_text(missing));
	}
	for (int i = 0; i < recipe->nfeatures; i++)
	{
		const MlFeature *feature = &recipe->features[i];

		if (feature->kind != ML_KIND_CATEGORY)
			continue;
		appendStringInfoString(&out, "\n + ");
		put_codes(&out, w, feature,
				  linear->category_weight[feature->category] + (Size) output * ML_NCODES(feature), 1);
	}
	put_offset(&out, w);
	return out.data;
}

static char *
bayes_eta(const Writer *w, const MlBayes *bayes, int class)
{
	const MlRecipe *recipe = w->recipe;
	int			n = bayes->nclasses;
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfo(&out, "%s::float8", number_text(bayes->log_prior[class]));
	for (int k = 0; k < recipe->nnumbers; k++)
	{
		double		mean = bayes->mean[(Size) k * n + class];
		double		variance = bayes->variance[(Size) k * n + class];

		if (!isnan(variance))
			appendStringInfo(&out, "\n + COALESCE(%s - power(%s - %s, 2) / %s, 0)",
							 number_text(-0.5 * log(2 * M_PI * variance)), w->value[k],
							 number_text(mean), number_text(2 * variance));
	}
	for (int i = 0; i < recipe->nfeatures; i++)
	{
		const MlFeature *feature = &recipe->features[i];

		if (feature->kind != ML_KIND_CATEGORY)
			continue;
		appendStringInfoString(&out, "\n + ");
		put_codes(&out, w, feature, bayes->log_share[feature->category] + class, n);
	}
	return out.data;
}

/* the condition under which a row goes left */
static void
put_condition(StringInfo out, const Writer *w, const MlTrees *trees, const MlTreeNode *node)
{
	const MlRecipe *recipe = w->recipe;
	const MlFeature *feature;
	const char *column;
	const char *separator = "";

	if (node->split < recipe->nnumbers)
	{
		const char *value = w->value[node->split];

		if (trees->single)
			value = psprintf("%s::float4::float8", value);
		appendStringInfo(out, "COALESCE(%s < %s, %s)", value, number_text(node->threshold),
						 node->missing_left ? "true" : "false");
		return;
	}
	feature = &recipe->features[ml_tree_feature(recipe, node)];
	column = w->code[feature->category];
	appendStringInfo(out, "CASE WHEN %s IS NULL THEN %s WHEN %s IN (", column,
					 (trees->set[node->set + ML_CODE_MISSING(feature) / 32] >> (ML_CODE_MISSING(feature) % 32)) & 1 ? "true" : "false",
					 column);
	/* with levels that go left first, the pooled and unseen are what no list names */
	for (int c = 0; c < feature->nlevels; c++)
		if ((trees->set[node->set + c / 32] >> (c % 32)) & 1)
		{
			appendStringInfo(out, "%s%s", separator, level_literal(feature, c));
			separator = ", ";
		}
	if (separator[0] == '\0')
		appendStringInfoString(out, "NULL");
	appendStringInfo(out, ") THEN true");
	if ((trees->set[node->set + ML_CODE_POOL(feature) / 32] >> (ML_CODE_POOL(feature) % 32)) & 1)
	{
		separator = "";
		appendStringInfo(out, " WHEN %s IN (", column);
		for (int c = 0; c < feature->nlevels; c++)
			if (!((trees->set[node->set + c / 32] >> (c % 32)) & 1))
			{
				appendStringInfo(out, "%s%s", separator, level_literal(feature, c));
				separator = ", ";
			}
		if (separator[0] == '\0')
			appendStringInfoString(out, "NULL");
		appendStringInfoString(out, ") THEN false ELSE true END");
	}
	else
		appendStringInfoString(out, " ELSE false END");
}

static void
put_node(StringInfo out, const Writer *w, const MlTrees *trees, int32 at, int depth)
{
	const MlTreeNode *node = &trees->node[at];

	CHECK_FOR_INTERRUPTS();
	if (depth > MAX_DEPTH)
		ml_export_refuse(w->export, psprintf("its trees are deeper than %d", MAX_DEPTH),
						 "Export it as 'json', or train with a smaller \"max_depth\".");
	if (node->split < 0)
	{
		appendStringInfoString(out, number_text(node->value));
		return;
	}
	appendStringInfoString(out, "CASE WHEN ");
	put_condition(out, w, trees, node);
	appendStringInfoString(out, " THEN ");
	put_node(out, w, trees, node->left, depth + 1);
	appendStringInfoString(out, " ELSE ");
	put_node(out, w, trees, node->left + 1, depth + 1);
	appendStringInfoString(out, " END");
}

static char *
trees_eta(const Writer *w, const MlTrees *trees, int output)
{
	StringInfoData out;
	int			n = 0;

	if (trees->nnodes > MAX_NODES)
		ml_export_refuse(w->export, psprintf("it has %d nodes, and an expression can have %d", trees->nnodes, MAX_NODES),
						 "Export it as 'json' or 'xgboost', or train fewer or smaller trees.");
	initStringInfo(&out);
	appendStringInfo(&out, "%s::float8", number_text(trees->base_score[output]));
	for (int t = 0; t < trees->ntrees; t++)
		n += trees->output[t] == output;
	if (n == 0)
		return out.data;
	appendStringInfoString(&out, "\n + (0");
	for (int t = 0; t < trees->ntrees; t++)
	{
		if (trees->output[t] != output)
			continue;
		appendStringInfoString(&out, "\n  + ");
		put_node(&out, w, trees, trees->root[t], 0);
	}
	appendStringInfo(&out, trees->mean ? ") / %d" : ")", n);
	return out.data;
}

static char *
eta_of(const Writer *w, int output)
{
	const MlPredictor *predictor = w->export->model->predictor;

	switch (predictor->kind)
	{
		case ML_PREDICTOR_LINEAR:
			return linear_eta(w, (const MlLinear *) predictor, output);
		case ML_PREDICTOR_BAYES:
			return bayes_eta(w, (const MlBayes *) predictor, output);
		case ML_PREDICTOR_TREES:
			return trees_eta(w, (const MlTrees *) predictor, output);
		default:
			ml_export_refuse(w->export, predictor->kind == ML_PREDICTOR_GROUPED ? "each group has a predictor of its own"
							 : "it is not a sum over columns or trees",
							 "Export it as 'json', which mlops_import reads elsewhere.");
	}
	return NULL;				/* keep the compiler quiet */
}

/* ---- outputs ---- */

static MlLink
link_of(const MlModel *model)
{
	switch (model->predictor->kind)
	{
		case ML_PREDICTOR_LINEAR:
			return ((const MlLinear *) model->predictor)->link;
		case ML_PREDICTOR_TREES:
			return ((const MlTrees *) model->predictor)->link;
		case ML_PREDICTOR_BAYES:
			return model->recipe->target.task == ML_TASK_BINARY ? ML_LINK_LOGIT : ML_LINK_SOFTMAX;
		default:
			return ML_LINK_IDENTITY;
	}
}

/* exp() of the server raises an error where it would overflow or vanish */
static char *
exponential(const char *eta)
{
	return psprintf("exp(GREATEST(-700, LEAST(700, %s)))", eta);
}

static char *
linked(const Writer *w, MlLink link, const char *eta)
{
	switch (link)
	{
		case ML_LINK_LOGIT:
			return psprintf("1 / (1 + %s)", exponential(psprintf("-(%s)", eta)));
		case ML_LINK_LOG:
			return exponential(psprintf("(%s)", eta));
		case ML_LINK_INVERSE:
			return psprintf("1 / (%s)", eta);
		case ML_LINK_SQRT:
			return psprintf("power(%s, 2)", eta);
		case ML_LINK_HALVING:
			return psprintf("power(2::float8, -(%s))", eta);
		case ML_LINK_PROBIT:
			ml_export_refuse(w->export, "PostgreSQL before 16 has no function for the normal distribution",
							 "Train with \"link\": \"logit\", or export it as 'json'.");
			return NULL;		/* keep the compiler quiet */
		default:
			return psprintf("(%s)", eta);
	}
}

static char *
one_output(const Writer *w)
{
	const MlModel *model = w->export->model;
	const MlCalibration *calibration = model->calibration;
	MlLink		link = link_of(model);
	char	   *eta;

	if (model->predictor->kind == ML_PREDICTOR_BAYES)
		eta = psprintf("(%s)\n - (%s)", eta_of(w, 1), eta_of(w, 0));
	else
		eta = eta_of(w, 0);
	if (calibration == NULL)
		return linked(w, link, eta);
	if (calibration->kind != ML_CALIBRATION_PLATT || link != ML_LINK_LOGIT)
		ml_export_refuse(w->export, "its calibration is not a sigmoid over log-odds",
						 "Train with \"calibration\": \"platt\" or none, or export it as 'json'.");
	return linked(w, link, psprintf("%s + %s * (%s)", number_text(calibration->map[0].shift),
									number_text(calibration->map[0].slope), eta));
}

/*
 * Probabilities of several classes: an object, from a sub-select that computes
 * every eta once. OFFSET 0 keeps the planner from copying them about. Forests
 * average probabilities, whose sum is 1 already.
 */
static char *
several_outputs(const Writer *w)
{
	const MlModel *model = w->export->model;
	const MlTarget *target = &model->recipe->target;
	bool		shares = model->predictor->kind == ML_PREDICTOR_LINEAR &&
		((const MlLinear *) model->predictor)->class_share != NULL;
	StringInfoData object;
	StringInfoData etas;
	StringInfoData largest;
	StringInfoData sum;

	if (model->calibration != NULL)
		ml_export_refuse(w->export, "it is calibrated", "Train without \"calibration\", or export it as 'json'.");
	initStringInfo(&object);
	initStringInfo(&etas);
	initStringInfo(&largest);
	initStringInfo(&sum);
	for (int c = 0; c < target->nclasses; c++)
	{
		const char *comma = c > 0 ? ", " : "";
		const char *eta = shares ?
			psprintf("ln(%s::float8)", number_text(((const MlLinear *) model->predictor)->class_share[c])) :
			eta_of(w, c);
		const char *part = link_of(model) == ML_LINK_SOFTMAX ?
			psprintf("exp(GREATEST(-700, e.e%d - m.m))", c + 1) : psprintf("e.e%d", c + 1);

		appendStringInfo(&etas, "%s%s AS e%d", comma, eta, c + 1);
		appendStringInfo(&largest, "%se.e%d", comma, c + 1);
		appendStringInfo(&sum, "%s%s", c > 0 ? " + " : "", part);
		appendStringInfo(&object, "%s%s, %s / s.s", comma, quote_literal_cstr(target->class_label[c]), part);
	}
	return psprintf("(SELECT jsonb_build_object(%s)\n FROM (SELECT %s OFFSET 0) AS e,\n"
					" LATERAL (SELECT GREATEST(%s) AS m OFFSET 0) AS m, LATERAL (SELECT %s AS s OFFSET 0) AS s)",
					object.data, etas.data, largest.data, sum.data);
}

/* impute => 'drop': a row that lacks something scores NULL */
static char *
dropped(const Writer *w, char *expression)
{
	StringInfoData out;
	const char *separator = "";

	if (w->recipe->params.impute != ML_IMPUTE_DROP)
		return expression;
	initStringInfo(&out);
	appendStringInfoString(&out, "CASE WHEN ");
	for (int k = 0; k < w->recipe->nnumbers; k++, separator = " OR ")
		appendStringInfo(&out, "%s%s IS NULL", separator, w->value[k]);
	for (int g = 0; g < w->recipe->ncategories; g++, separator = " OR ")
		appendStringInfo(&out, "%s%s IS NULL", separator, w->code[g]);
	if (separator[0] == '\0')
		return expression;
	appendStringInfo(&out, " THEN NULL ELSE %s END", expression);
	return out.data;
}

char *
ml_export_sql(const MlExport *export)
{
	Writer		w = {export, export->model->recipe};

	name_values(&w);
	return dropped(&w, export->model->noutputs > 1 ? several_outputs(&w) : one_output(&w));
}
