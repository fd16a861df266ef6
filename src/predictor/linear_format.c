/*
 * linear_format.c
 *		Linear predictors: their bytes, and what is shown of them.
 *
 * How much a feature moves the predictor, for mlops_importance():
 * A coefficient says what one unit changes, and units differ. Multiplied by
 * the standard deviation of its column over the training rows it says what a
 * typical difference changes: the standardised coefficient (Bring, J. (1994),
 * "How to standardize regression coefficients", The American Statistician
 * 48(3), 209-213), here in units of the predictor: of the target for a linear
 * model, of log-odds for a logistic one.
 *
 * A feature of several columns of numbers (an array, a date, a number with its
 * missing-indicator) has the sum over them. The columns of a category exclude
 * each other, so its effect is one variable with as many values as there are
 * codes, and its standard deviation is taken over their shares. That also
 * makes it independent of the base level.
 *
 * With several outputs a feature has the mean over them.
 */
#include "postgres.h"

#include "predictor/linear.h"
#include "utils/memutils.h"

static void *
allocate(Size n, Size size)
{
	return palloc_extended(Max(n, 1) * size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* ---- bytes ---- */

static void
put_coefficient(MlWriter *w, const MlCoefficient *coefficient, bool inference)
{
	ml_put_double(w, coefficient->estimate);
	if (!inference)
		return;
	ml_put_double(w, coefficient->std_error);
	ml_put_double(w, coefficient->statistic);
	ml_put_double(w, coefficient->p_value);
}

void
ml_linear_write(MlWriter *w, const MlRecipe *recipe, const MlPredictor *predictor)
{
	const MlLinear *linear = (const MlLinear *) predictor;
	bool		inference = linear->statistic_name != NULL;
	Size		n = linear->coefficient ? (Size) linear->noutputs * recipe->ndesign : 0;

	ml_put_byte(w, linear->link);
	ml_put_int32(w, linear->noutputs);
	ml_put_byte(w, linear->class_share != NULL);
	if (linear->class_share)
	{
		ml_put_doubles(w, linear->class_share, linear->noutputs);
		return;
	}
	ml_put_optional_text(w, linear->statistic_name);
	ml_put_byte(w, linear->has_intercept);
	for (int o = 0; linear->has_intercept && o < linear->noutputs; o++)
		put_coefficient(w, &linear->intercept[o], inference);
	ml_put_byte(w, linear->coefficient == NULL);
	for (Size i = 0; i < n; i++)
		put_coefficient(w, &linear->coefficient[i], inference);
}

static void
read_inference(MlCursor *c, MlCoefficient *coefficient)
{
	coefficient->std_error = ml_cursor_double(c, ML_FLOAT_SPREAD, "standard error");
	coefficient->statistic = ml_cursor_double(c, ML_FLOAT_ANY, "statistic");
	coefficient->p_value = ml_cursor_double(c, ML_FLOAT_SPREAD, "p-value");
}

static void
read_coefficient(MlCursor *c, bool inference, MlFloatRange range, MlCoefficient *coefficient)
{
	static const MlCoefficient none = {0, NAN, NAN, NAN};

	*coefficient = none;
	coefficient->estimate = ml_cursor_double(c, range, "coefficient");
	if (inference)
		read_inference(c, coefficient);
}

static double *
read_shares(MlCursor *c, int n)
{
	double	   *share = allocate(n, sizeof(double));

	for (int i = 0; i < n; i++)
		share[i] = ml_cursor_double(c, ML_FLOAT_SHARE, "share of a class");
	return share;
}

static MlLinear *
make(int noutputs)
{
	MlLinear   *linear = allocate(1, sizeof(MlLinear));

	linear->base.kind = ML_PREDICTOR_LINEAR;
	linear->noutputs = noutputs;
	linear->intercept = allocate(noutputs, sizeof(MlCoefficient));
	for (int o = 0; o < noutputs; o++)
		linear->intercept[o].std_error = linear->intercept[o].statistic = linear->intercept[o].p_value = NAN;
	return linear;
}

static MlLink
read_link(MlCursor *c, MlLink last, const MlTarget *target)
{
	Size		at = c->at;
	MlLink		link = ml_cursor_range(c, 1, 0, last, "link");

	if (link == ML_LINK_LOGIT && target->task != ML_TASK_BINARY && target->task != ML_TASK_REGRESSION)
		ml_cursor_refuse(c, at, "a logit link", "a target of two classes with it");
	if ((link == ML_LINK_SOFTMAX) != (target->task == ML_TASK_MULTICLASS))
		ml_cursor_refuse(c, at, psprintf("link %d", (int) link), "softmax for several classes, and for nothing else");
	return link;
}

MlPredictor *
ml_linear_read(MlCursor *c, const MlRecipe *recipe)
{
	const MlTarget *target = &recipe->target;
	MlLink		link = read_link(c, ML_LINK_SOFTMAX, target);
	int			wanted = target->task == ML_TASK_MULTICLASS ? target->nclasses : 1;
	MlLinear   *linear = make(ml_cursor_range(c, 4, wanted, wanted, "number of outputs"));
	Size		n = (Size) linear->noutputs * recipe->ndesign;
	bool		inference;

	linear->link = link;
	if (ml_cursor_flag(c, "shares flag"))
	{
		linear->class_share = read_shares(c, linear->noutputs);
		return &linear->base;
	}
	linear->statistic_name = ml_cursor_optional_name(c, "name of the statistic");
	inference = linear->statistic_name != NULL;
	linear->has_intercept = ml_cursor_flag(c, "intercept flag");
	for (int o = 0; linear->has_intercept && o < linear->noutputs; o++)
		read_coefficient(c, inference, ML_FLOAT_FINITE, &linear->intercept[o]);
	if (ml_cursor_flag(c, "constant flag"))
		return &linear->base;
	ml_cursor_require(c, n, (inference ? 4 : 1) * sizeof(double), "coefficients");
	linear->coefficient = allocate(n, sizeof(MlCoefficient));
	for (Size i = 0; i < n; i++)
		read_coefficient(c, inference, ML_FLOAT_OR_NAN, &linear->coefficient[i]);
	return &linear->base;
}

/* ---- bytes of format 1 ---- */

static void
read_predictor_1(MlCursor *c, const MlRecipe *recipe, MlLinear *linear)
{
	const MlTarget *target = &recipe->target;
	Size		at;
	bool		constant;
	int			n;

	linear->has_intercept = ml_cursor_flag(c, "intercept flag");
	linear->intercept[0].estimate = ml_cursor_double(c, ML_FLOAT_FINITE, "intercept");
	constant = ml_cursor_flag(c, "constant flag");
	n = constant ? 0 : recipe->ndesign;
	ml_cursor_range(c, 4, n, n, "number of coefficients");
	if (!constant)
		linear->coefficient = allocate(n, sizeof(MlCoefficient));
	for (int i = 0; i < n; i++)
		read_coefficient(c, false, ML_FLOAT_OR_NAN, &linear->coefficient[i]);
	at = c->at;
	n = ml_cursor_count(c, 8, "number of class shares");
	if (n != (target->task == ML_TASK_MULTICLASS ? target->nclasses : 0))
		ml_cursor_refuse(c, at, psprintf("%d", n), "one for each of several classes");
	if (n > 0)
	{
		linear->class_share = read_shares(c, n);
		linear->link = ML_LINK_SOFTMAX;
	}
}

MlPredictor *
ml_linear_read_format_1(MlCursor *c, const MlRecipe *recipe)
{
	bool		several = recipe->target.task == ML_TASK_MULTICLASS;
	MlLinear   *linear = make(several ? recipe->target.nclasses : 1);
	int			n;
	Size		at;

	ml_cursor_begin_section(c, ML_SECTION_PREDICTOR);
	at = c->at;
	linear->link = ml_cursor_range(c, 1, 0, ML_LINK_LOGIT, "link");
	if (linear->link == ML_LINK_LOGIT && recipe->target.task != ML_TASK_BINARY)
		ml_cursor_refuse(c, at, "a logit link", "a target of two classes with it");
	read_predictor_1(c, recipe, linear);
	ml_cursor_end_section(c);

	ml_cursor_begin_section(c, ML_SECTION_STATISTICS);
	at = c->at;
	linear->statistic_name = ml_cursor_optional_name(c, "name of the statistic");
	if (linear->statistic_name && linear->coefficient == NULL)
		ml_cursor_refuse(c, at, "statistics", "none of a constant model");
	n = linear->statistic_name ? recipe->ndesign : 0;
	if (linear->statistic_name && linear->has_intercept)
		read_inference(c, &linear->intercept[0]);
	for (int i = 0; i < n; i++)
		read_inference(c, &linear->coefficient[i]);
	ml_cursor_end_section(c);
	return &linear->base;
}

/* ---- importance ---- */

/* the size of a column's coefficients: their mean over the outputs */
static double
weight_of(const MlLinear *linear, const MlRecipe *recipe, int column)
{
	double		sum = 0;

	for (int o = 0; o < linear->noutputs; o++)
	{
		double		estimate = linear->coefficient[(Size) o * recipe->ndesign + column].estimate;

		sum += isnan(estimate) ? 0.0 : fabs(estimate);
	}
	return sum / linear->noutputs;
}

static double
column_importance(const MlLinear *linear, const MlRecipe *recipe, int column)
{
	const MlDesignColumn *design = &recipe->design[column];
	const MlNumber *number = &recipe->numbers[design->number];
	double		share = number->null_share;
	double		deviation = isnan(number->deviation) ? 0.0 : number->deviation;

	if (design->kind == ML_DESIGN_MISSING)
		deviation = sqrt(Max(share * (1.0 - share), 0.0));
	return weight_of(linear, recipe, column) * deviation;
}

static double
share_of(const MlFeature *feature, int code)
{
	if (code < feature->nlevels)
		return feature->level_share[code];
	return code == ML_CODE_POOL(feature) ? feature->pool_share : feature->null_share;
}

static double
category_importance(const MlFeature *feature, const double *effect)
{
	double		total = 0;
	double		mean = 0;
	double		squares = 0;

	for (int code = 0; code < ML_NCODES(feature); code++)
	{
		total += share_of(feature, code);
		mean += share_of(feature, code) * effect[code];
	}
	if (total <= 0)
		return 0;
	mean /= total;
	for (int code = 0; code < ML_NCODES(feature); code++)
		squares += share_of(feature, code) * (effect[code] - mean) * (effect[code] - mean);
	return sqrt(squares / total);
}

void
ml_linear_importance(const MlPredictor *predictor, const MlRecipe *recipe, double *importance)
{
	const MlLinear *linear = (const MlLinear *) predictor;

	for (int i = 0; i < recipe->nfeatures; i++)
		importance[i] = 0;
	if (linear->coefficient == NULL)
		return;
	for (int i = 0; i < recipe->ndesign; i++)
		if (recipe->design[i].kind != ML_DESIGN_LEVEL)
			importance[recipe->design[i].feature] += column_importance(linear, recipe, i);
	for (int i = 0; i < recipe->nfeatures; i++)
	{
		const MlFeature *feature = &recipe->features[i];

		for (int o = 0; feature->kind == ML_KIND_CATEGORY && o < linear->noutputs; o++)
			importance[i] += category_importance(feature, linear->category_weight[feature->category] +
												 (Size) o * ML_NCODES(feature)) / linear->noutputs;
	}
}

/* ---- coefficients ---- */

static double
ratio_of(const MlLinear *linear, const MlCoefficient *coefficient)
{
	if (linear->link == ML_LINK_LOGIT || linear->link == ML_LINK_LOG || linear->link == ML_LINK_SOFTMAX)
		return exp(coefficient->estimate);
	return NAN;
}

void
ml_linear_terms(const MlPredictor *predictor, const MlRecipe *recipe, MlTermSink sink, void *arg)
{
	const MlLinear *linear = (const MlLinear *) predictor;

	for (int o = 0; o < linear->noutputs; o++)
	{
		MlTerm		term = {0};

		term.output = linear->noutputs > 1 ? recipe->target.class_label[o] : NULL;
		term.term = "(intercept)";
		term.coefficient = &linear->intercept[o];
		term.ratio = NAN;
		if (linear->has_intercept || linear->coefficient == NULL)
			sink(arg, &term);
		for (int i = 0; linear->coefficient && i < recipe->ndesign; i++)
		{
			term.term = recipe->design[i].name;
			term.feature = recipe->features[recipe->design[i].feature].name;
			term.coefficient = &linear->coefficient[(Size) o * recipe->ndesign + i];
			term.ratio = ratio_of(linear, term.coefficient);
			sink(arg, &term);
		}
	}
}
