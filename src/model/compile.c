/*
 * compile.c
 *		The linear predictor over the encoded row, and what is made of it.
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

#include "miscadmin.h"
#include "model/compile.h"
#include "utils/memutils.h"

#define NSUMS				4	/* independent sums, so that additions need not wait */
#define BLOCK_VALUES		131072	/* encoded values held at a time */
#define BLOCK_ROWS			1024

/* coefficients of the design; a column that was dropped as collinear has none: 0 */
static double *
design_weights(const MlModel *model)
{
	int			n = model->recipe->ndesign;
	double	   *weight = palloc_extended(Max(n, 1) * sizeof(double),
										 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	for (int i = 0; model->coefficient && i < n; i++)
		if (!isnan(model->coefficient[i].estimate))
			weight[i] = model->coefficient[i].estimate;
	return weight;
}

void
ml_model_compile(MlModel *model)
{
	const MlRecipe *recipe = model->recipe;
	double	   *weight = design_weights(model);
	Size		numbers = Max(recipe->nnumbers, 1) * sizeof(double);

	model->base = model->has_intercept ? model->intercept.estimate : 0.0;
	model->number_weight = palloc_extended(numbers, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	model->number_missing = palloc_extended(numbers, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < recipe->ndesign; i++)
	{
		const MlDesignColumn *column = &recipe->design[i];

		if (column->kind == ML_DESIGN_NUMBER)
		{
			model->number_weight[column->number] = weight[i];
			model->number_missing[column->number] += weight[i] * recipe->numbers[column->number].fill;
		}
		else if (column->kind == ML_DESIGN_MISSING)
			model->number_missing[column->number] += weight[i];
	}

	model->category_weight = palloc(Max(recipe->ncategories, 1) * sizeof(double *));
	for (int i = 0; i < recipe->ncategories; i++)
	{
		const MlCategoryDesign *design = &recipe->category_design[i];
		int			ncodes = ML_NCODES(&recipe->features[design->feature]);

		model->category_weight[i] = palloc_extended(ncodes * sizeof(double), MCXT_ALLOC_HUGE);
		for (int code = 0; code < ncodes; code++)
			model->category_weight[i][code] =
				ml_recipe_code_effect(design, code, weight + design->first_column);
	}
	pfree(weight);
}

/* 1 / (1 + exp(-eta)) without overflow, and without cancellation near 0 */
static inline double
logistic(double eta)
{
	double		e;

	if (eta >= 0)
		return 1.0 / (1.0 + exp(-eta));
	e = exp(eta);
	return e / (1.0 + e);
}

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
infinite_eta(const MlModel *model, const double *number, const int32 *code)
{
	const MlRecipe *recipe = model->recipe;
	double		eta = model->base;

	for (int i = 0; i < recipe->nnumbers; i++)
	{
		double		value = number[i];

		if (model->number_weight[i] != 0 || isnan(value))
			eta += term(model->number_weight[i], model->number_missing[i], value);
	}
	for (int i = 0; i < recipe->ncategories; i++)
		eta += model->category_weight[i][code[i]];
	return eta;
}

static inline double
prediction_of(const MlModel *model, double eta, const double *number, const int32 *code)
{
	if (unlikely(isnan(eta)))
		eta = infinite_eta(model, number, code);
	return model->link == ML_LINK_LOGIT ? logistic(eta) : eta;
}

double
ml_model_predict(const MlModel *model, const MlRow *row)
{
	const MlRecipe *recipe = model->recipe;
	double		sum[NSUMS];
	double		eta;

	if (unlikely(recipe->params.impute == ML_IMPUTE_DROP) &&
		ml_recipe_row_dropped(recipe, row))
		return NAN;

	sum_terms(model->number_weight, model->number_missing, row->number, recipe->nnumbers, sum);
	eta = model->base + ((sum[0] + sum[1]) + (sum[2] + sum[3]));
	for (int i = 0; i < recipe->ncategories; i++)
		eta += model->category_weight[i][row->code[i]];
	return prediction_of(model, eta, row->number, row->code);
}

/*
 * The sums as sum_terms() makes them when no value is missing: a missing one
 * makes the result NaN. Inline, for a loop without positions where there are none.
 */
static pg_attribute_always_inline double
columns_eta(const MlModel *model, const NullableDatum *column, const int *position)
{
	const double *weight = model->number_weight;
	int			n = model->recipe->nnumbers;
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
	return any_null ? NAN : model->base + ((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

double
ml_model_predict_columns(const MlModel *model, const NullableDatum *column, const int *position)
{
	double		eta;

	if (position == NULL)
		eta = columns_eta(model, column, NULL);
	else
		eta = columns_eta(model, column, position);
	return model->link == ML_LINK_LOGIT ? logistic(eta) : eta;
}

/* what a block's predictions are made with */
typedef struct Workspace
{
	double	   *sum[NSUMS];		/* a block's */
	double	   *number;			/* one row */
	int32	   *code;
} Workspace;

static void
gather_row(const MlRecipe *recipe, const MlBlock *block, int i, Workspace *work)
{
	for (int j = 0; j < recipe->nnumbers; j++)
		work->number[j] = block->number[j][i];
	for (int j = 0; j < recipe->ncategories; j++)
		work->code[j] = block->code[(Size) j * block->n + i];
}

static bool
block_row_dropped(const MlRecipe *recipe, const MlBlock *block, int i, Workspace *work)
{
	MlRow		row = {work->number, work->code};

	if (recipe->params.impute != ML_IMPUTE_DROP)
		return false;
	gather_row(recipe, block, i, work);
	return ml_recipe_row_dropped(recipe, &row);
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

static void
predict_block(const MlModel *model, const MlBlock *block, Workspace *work, double *prediction)
{
	const MlRecipe *recipe = model->recipe;
	int			n = block->n;

	for (int s = 0; s < NSUMS; s++)
		memset(work->sum[s], 0, n * sizeof(double));
	for (int j = 0; j < recipe->nnumbers; j++)
		add_terms(model->number_weight[j], model->number_missing[j], block->complete[j],
				  block->number[j], n, work->sum[j % NSUMS]);
	for (int i = 0; i < n; i++)
		prediction[i] = model->base + ((work->sum[0][i] + work->sum[1][i]) +
									   (work->sum[2][i] + work->sum[3][i]));
	for (int j = 0; j < recipe->ncategories; j++)
	{
		const int32 *code = block->code + (Size) j * n;

		for (int i = 0; i < n; i++)
			prediction[i] += model->category_weight[j][code[i]];
	}
	for (int i = 0; i < n; i++)
	{
		if (block_row_dropped(recipe, block, i, work))
			prediction[i] = NAN;
		else
		{
			if (unlikely(isnan(prediction[i])))
				gather_row(recipe, block, i, work);
			prediction[i] = prediction_of(model, prediction[i], work->number, work->code);
		}
	}
}

void
ml_model_predict_frame(const MlModel *model, const MlFrame *frame,
					   int64 first, int64 n, double *prediction)
{
	const MlRecipe *recipe = model->recipe;
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops predict block",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	int			width = recipe->nnumbers + recipe->ncategories;
	int			rows = Max(1, Min(BLOCK_ROWS, BLOCK_VALUES / Max(width, 1)));
	MlEncoder  *encoder = ml_encoder_make(recipe, frame, rows);
	Workspace	work;

	work.number = palloc(Max(recipe->nnumbers, 1) * sizeof(double));
	work.code = palloc(Max(recipe->ncategories, 1) * sizeof(int32));
	for (int s = 0; s < NSUMS; s++)
		work.sum[s] = palloc(rows * sizeof(double));

	for (int64 done = 0; done < n; done += rows)
	{
		const MlBlock *block = ml_encoder_block(encoder, first + done, (int) Min((int64) rows, n - done));

		CHECK_FOR_INTERRUPTS();
		predict_block(model, block, &work, prediction + done);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

void
ml_model_probabilities(const MlModel *model, double prediction, double *probability)
{
	const MlTarget *target = &model->recipe->target;

	if (target->task == ML_TASK_BINARY)
	{
		probability[target->positive] = prediction;
		probability[1 - target->positive] = 1.0 - prediction;
	}
	else if (model->class_share)
		memcpy(probability, model->class_share, target->nclasses * sizeof(double));
}

int
ml_model_class(const MlModel *model, double prediction, double threshold)
{
	const MlTarget *target = &model->recipe->target;
	int			best = 0;

	if (target->task == ML_TASK_BINARY)
		return prediction >= threshold ? target->positive : 1 - target->positive;
	if (model->class_share == NULL)
		return -1;
	for (int i = 1; i < target->nclasses; i++)
		if (model->class_share[i] > model->class_share[best])
			best = i;
	return best;
}
