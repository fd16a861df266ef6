/*
 * linear.c
 *		Linear predictors: coefficients of design columns, summed over the
 *		encoded row.
 *
 * Coefficients belong to columns of the design: a number with missing values
 * filled, 0/1 columns for missing values and for levels. Scoring never builds
 * these columns. It looks up one weight and one constant per number (for a
 * value that is there and for one that is not) and one constant per code.
 *
 * Rows and blocks are summed in the same order, so that a row scores the same
 * bits whichever way it comes.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "predictor/linear.h"
#include "utils/memutils.h"

#define NSUMS				4	/* independent sums, so that additions need not wait */

static void *
allocate(Size n, Size size)
{
	return palloc_extended(Max(n, 1) * size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* ---- compiling ---- */

/* coefficients of the design; a column that was dropped as collinear has none: 0 */
static double *
design_weights(const MlLinear *linear, const MlRecipe *recipe, int output)
{
	int			n = recipe->ndesign;
	double	   *weight = allocate(n, sizeof(double));

	for (int i = 0; linear->coefficient && i < n; i++)
	{
		double		estimate = linear->coefficient[(Size) output * n + i].estimate;

		if (!isnan(estimate))
			weight[i] = estimate;
	}
	return weight;
}

static void
compile_output(MlLinear *linear, const MlRecipe *recipe, int output)
{
	double	   *weight = design_weights(linear, recipe, output);
	double	   *number_weight = linear->number_weight + (Size) output * recipe->nnumbers;
	double	   *number_missing = linear->number_missing + (Size) output * recipe->nnumbers;

	linear->term_base[output] = linear->has_intercept ? linear->intercept[output].estimate : 0.0;
	for (int i = 0; i < recipe->ndesign; i++)
	{
		const MlDesignColumn *column = &recipe->design[i];

		if (column->kind == ML_DESIGN_NUMBER)
		{
			number_weight[column->number] = weight[i];
			number_missing[column->number] += weight[i] * recipe->numbers[column->number].fill;
		}
		else if (column->kind == ML_DESIGN_MISSING)
			number_missing[column->number] += weight[i];
	}
	for (int i = 0; i < recipe->ncategories; i++)
	{
		const MlCategoryDesign *design = &recipe->category_design[i];
		int			ncodes = ML_NCODES(&recipe->features[design->feature]);
		double	   *effect = linear->category_weight[i] + (Size) output * ncodes;

		for (int code = 0; code < ncodes; code++)
			effect[code] = ml_recipe_code_effect(design, code, weight + design->first_column);
	}
	pfree(weight);
}

static void
compile(MlPredictor *predictor, const MlRecipe *recipe)
{
	MlLinear   *linear = (MlLinear *) predictor;
	Size		outputs = linear->noutputs;

	linear->term_base = allocate(outputs, sizeof(double));
	linear->number_weight = allocate(outputs * recipe->nnumbers, sizeof(double));
	linear->number_missing = allocate(outputs * recipe->nnumbers, sizeof(double));
	linear->category_weight = allocate(recipe->ncategories, sizeof(double *));
	for (int i = 0; i < recipe->ncategories; i++)
		linear->category_weight[i] =
			allocate(outputs * ML_NCODES(&recipe->features[recipe->category_design[i].feature]), sizeof(double));
	for (int o = 0; o < linear->noutputs; o++)
		compile_output(linear, recipe, o);
}

static int
noutputs(const MlPredictor *predictor)
{
	return ((const MlLinear *) predictor)->noutputs;
}

/* ---- predicting ---- */

static inline double
term(double weight, double missing, double value)
{
	double		product = weight * value;

	return value == value ? product : missing;
}

/*
 * Sums the terms of n values, value i into sum[i % NSUMS]. Two at a time where
 * the compiler has vectors: it would not make them of term() itself, nor leave
 * out its branch, since comparisons could trap. The bits are the same.
 */
#if defined(__GNUC__)
typedef double MlPair __attribute__((vector_size(16)));
typedef int64 MlPairBits __attribute__((vector_size(16)));

static inline MlPair
pair_at(const double *values)
{
	MlPair		pair;

	memcpy(&pair, values, sizeof(pair));
	return pair;
}

static inline MlPair
pair_term(const double *weight, const double *missing, const double *number)
{
	MlPair		value = pair_at(number);
	MlPairBits	there = (MlPairBits) (value == value);

	return (MlPair) ((there & (MlPairBits) (pair_at(weight) * value)) |
					 (~there & (MlPairBits) pair_at(missing)));
}

static inline int
sum_pairs(const double *weight, const double *missing, const double *number, int n, double *sum)
{
	MlPair		low = {0, 0};
	MlPair		high = {0, 0};
	int			i = 0;

	for (; i + NSUMS <= n; i += NSUMS)
	{
		low += pair_term(weight + i, missing + i, number + i);
		high += pair_term(weight + i + 2, missing + i + 2, number + i + 2);
	}
	memcpy(sum, &low, sizeof(low));
	memcpy(sum + 2, &high, sizeof(high));
	return i;
}
#else
#define sum_pairs(weight, missing, number, n, sum) (memset((sum), 0, NSUMS * sizeof(double)), 0)
#endif

static inline void
sum_terms(const double *weight, const double *missing, const double *number, int n, double *sum)
{
	for (int i = sum_pairs(weight, missing, number, n, sum); i < n; i++)
		sum[i % NSUMS] += term(weight[i], missing[i], number[i]);
}

/*
 * What eta is when the sum came out as NaN: an infinite value in a column of
 * weight 0 adds nothing. Infinities of both signs leave NaN.
 */
static double
infinite_eta(const MlLinear *linear, const MlRecipe *recipe, int output, const MlRow *row)
{
	const double *weight = linear->number_weight + (Size) output * recipe->nnumbers;
	const double *missing = linear->number_missing + (Size) output * recipe->nnumbers;
	double		eta = linear->term_base[output];

	for (int i = 0; i < recipe->nnumbers; i++)
		if (weight[i] != 0 || isnan(row->number[i]))
			eta += term(weight[i], missing[i], row->number[i]);
	return eta;
}

/* what the codes of a row add to an output */
static inline double
category_effect(const MlLinear *linear, const MlRecipe *recipe, int category, int output, int32 code)
{
	if (output == 0)
		return linear->category_weight[category][code];
	return linear->category_weight[category]
		[(Size) output * ML_NCODES(&recipe->features[recipe->category_design[category].feature]) + code];
}

static inline double
add_categories(const MlLinear *linear, const MlRecipe *recipe, int output, const int32 *code, double eta)
{
	for (int i = 0; i < recipe->ncategories; i++)
		eta += category_effect(linear, recipe, i, output, code[i]);
	return eta;
}

static double
eta_of(const MlLinear *linear, const MlRecipe *recipe, int output, const MlRow *row)
{
	double		sum[NSUMS];
	double		eta;

	sum_terms(linear->number_weight + (Size) output * recipe->nnumbers,
			  linear->number_missing + (Size) output * recipe->nnumbers,
			  row->number, recipe->nnumbers, sum);
	eta = linear->term_base[output] + ((sum[0] + sum[1]) + (sum[2] + sum[3]));
	eta = add_categories(linear, recipe, output, row->code, eta);
	if (unlikely(isnan(eta)))
		eta = add_categories(linear, recipe, output, row->code, infinite_eta(linear, recipe, output, row));
	if (unlikely(recipe->offset_number >= 0))
		eta += ml_recipe_offset(recipe, row->number[recipe->offset_number]);
	return eta;
}

static void
predict(const MlPredictor *predictor, const MlRecipe *recipe, const MlRow *row, double *work, double *output)
{
	const MlLinear *linear = (const MlLinear *) predictor;

	if (linear->class_share)
	{
		memcpy(output, linear->class_share, linear->noutputs * sizeof(double));
		return;
	}
	for (int o = 0; o < linear->noutputs; o++)
		output[o] = eta_of(linear, recipe, o, row);
	ml_link_apply(linear->link, output, linear->noutputs);
}

/*
 * The sums as sum_terms() makes them when no value is missing: a missing one
 * makes the result NaN. Inline, for a loop without positions where there are none.
 */
static pg_attribute_always_inline double
columns_eta(const MlLinear *linear, int n, const NullableDatum *column, const int *position)
{
	const double *weight = linear->number_weight;
	double		sum[NSUMS] = {0};
	bool		any_null = false;
	int			i = 0;

#define COLUMN(i) (&column[position ? position[i] : (i)])
#define ADD_COLUMN(s, i) \
	(any_null |= COLUMN(i)->isnull, \
	 sum[s] += weight[i] * DatumGetFloat8(COLUMN(i)->value))

	for (; i + NSUMS <= n; i += NSUMS)
	{
		ADD_COLUMN(0, i);
		ADD_COLUMN(1, i + 1);
		ADD_COLUMN(2, i + 2);
		ADD_COLUMN(3, i + 3);
	}
	for (int s = 0; i < n; s++, i++)
		ADD_COLUMN(s, i);
#undef ADD_COLUMN
#undef COLUMN
	return any_null ? NAN : linear->term_base[0] + ((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

double
ml_linear_predict_columns(const MlLinear *linear, int nnumbers,
						  const NullableDatum *column, const int *position)
{
	double		eta;

	if (position == NULL)
		eta = columns_eta(linear, nnumbers, column, NULL);
	else
		eta = columns_eta(linear, nnumbers, column, position);
	if (linear->link == ML_LINK_LOGIT)
		return ml_logistic(eta);
	if (linear->link != ML_LINK_IDENTITY)
		ml_link_apply(linear->link, &eta, 1);
	return eta;
}

static void
add_terms(double weight, double missing, bool complete, const double *value, int n, double *sum)
{
	if (complete)
		for (int i = 0; i < n; i++)
			sum[i] += weight * value[i];
	else
		for (int i = 0; i < n; i++)
			sum[i] += term(weight, missing, value[i]);
}

/* sums of a block, and a row's numbers and codes */
static Size
block_work_size(const MlPredictor *predictor, const MlRecipe *recipe, int nrows)
{
	return (Size) nrows * NSUMS + recipe->nnumbers + recipe->ncategories;
}

/* eta of one output of a block, into eta[i * stride] */
static void
block_eta(const MlLinear *linear, const MlRecipe *recipe, const MlBlock *block, int output,
		  double *work, double *eta, int stride)
{
	const double *weight = linear->number_weight + (Size) output * recipe->nnumbers;
	const double *missing = linear->number_missing + (Size) output * recipe->nnumbers;
	int			n = block->n;
	double	   *sum[NSUMS];

	for (int s = 0; s < NSUMS; s++)
	{
		sum[s] = work + (Size) s * n;
		memset(sum[s], 0, n * sizeof(double));
	}
	for (int j = 0; j < recipe->nnumbers; j++)
		add_terms(weight[j], missing[j], block->complete[j], block->number[j], n, sum[j % NSUMS]);
	for (int i = 0; i < n; i++)
		eta[(Size) i * stride] = linear->term_base[output] + ((sum[0][i] + sum[1][i]) + (sum[2][i] + sum[3][i]));
	for (int j = 0; j < recipe->ncategories; j++)
		for (int i = 0; i < n; i++)
			eta[(Size) i * stride] += category_effect(linear, recipe, j, output, block->code[(Size) j * n + i]);
}

/* what block_eta() leaves out: infinities, and the offset */
static void
complete_eta(const MlLinear *linear, const MlRecipe *recipe, const MlBlock *block, int output,
			 double *eta, int stride, MlRow *row)
{
	for (int i = 0; i < block->n; i++)
	{
		double	   *at = eta + (Size) i * stride;

		if (unlikely(isnan(*at)))
		{
			ml_block_row(recipe, block, i, row);
			*at = add_categories(linear, recipe, output, row->code, infinite_eta(linear, recipe, output, row));
		}
		if (unlikely(recipe->offset_number >= 0))
			*at += ml_recipe_offset(recipe, block->number[recipe->offset_number][i]);
	}
}

static void
predict_block(const MlPredictor *predictor, const MlRecipe *recipe, const MlBlock *block,
			  double *work, double *output)
{
	const MlLinear *linear = (const MlLinear *) predictor;
	int			stride = linear->noutputs;
	double	   *row_work = work + (Size) block->n * NSUMS;
	MlRow		row = {row_work, (int32 *) (row_work + recipe->nnumbers)};

	for (int i = 0; linear->class_share && i < block->n; i++)
		memcpy(output + (Size) i * stride, linear->class_share, stride * sizeof(double));
	if (linear->class_share)
		return;
	for (int o = 0; o < stride; o++)
	{
		block_eta(linear, recipe, block, o, work, output + o, stride);
		complete_eta(linear, recipe, block, o, output + o, stride, &row);
	}
	for (int i = 0; i < block->n; i++)
		ml_link_apply(linear->link, output + (Size) i * stride, stride);
}

/* ---- looking ---- */

/* coefficients times values; the base is the intercept, an offset included */
static void
explain(const MlPredictor *predictor, const MlRecipe *recipe, const MlRow *row, int output,
		double *contribution, double *base)
{
	const MlLinear *linear = (const MlLinear *) predictor;
	const double *weight = linear->number_weight + (Size) output * recipe->nnumbers;
	const double *missing = linear->number_missing + (Size) output * recipe->nnumbers;

	*base = linear->class_share ? log(linear->class_share[output]) : linear->term_base[output];
	if (recipe->offset_number >= 0)
		*base += ml_recipe_offset(recipe, row->number[recipe->offset_number]);
	for (int f = 0; f < recipe->nfeatures; f++)
	{
		const MlFeature *feature = &recipe->features[f];

		contribution[f] = 0;
		if (feature->kind == ML_KIND_CATEGORY)
			contribution[f] = category_effect(linear, recipe, feature->category, output, row->code[feature->category]);
		for (int j = feature->first_number; feature->kind != ML_KIND_CATEGORY && j < feature->first_number + feature->nnumbers; j++)
			if (weight[j] != 0 || isnan(row->number[j]))
				contribution[f] += term(weight[j], missing[j], row->number[j]);
	}
}

const MlPredictorRoutine ml_linear_routine = {
	.name = "linear",
	.write = ml_linear_write,
	.read = ml_linear_read,
	.compile = compile,
	.noutputs = noutputs,
	.predict = predict,
	.predict_block = predict_block,
	.block_work_size = block_work_size,
	.explain = explain,
	.importance = ml_linear_importance,
	.terms = ml_linear_terms,
};
