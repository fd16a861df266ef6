/*
 * predict.c
 *		From encoded rows to outputs: the predictor, then the calibration.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "model/model.h"
#include "predictor/linear.h"
#include "utils/memutils.h"

#define BLOCK_VALUES		131072	/* encoded values held at a time */
#define BLOCK_ROWS			1024

/* Only a linear predictor of numbers, and nothing after it. */
static bool
is_direct(const MlModel *model)
{
	return model->predictor->kind == ML_PREDICTOR_LINEAR && model->noutputs == 1 &&
		model->calibration == NULL && model->recipe->offset_number < 0 && model->encoder == NULL;
}

void
ml_model_prepare(MlModel *model)
{
	const MlPredictorRoutine *routine = ML_ROUTINE(model->predictor);

	model->routine = routine;
	if (routine->compile)
		routine->compile(model->predictor, model->recipe);
	model->noutputs = routine->noutputs(model->predictor);
	model->work_size = Max(model->noutputs, 1);
	if (routine->work_size)
		model->work_size += routine->work_size(model->predictor, model->recipe);
	if (model->encoder)
		model->work_size += model->recipe->nnumbers + model->encoder->work_size;
	model->direct = is_direct(model);
}

/* at the end of work: the numbers, then the encoder's own memory */
const MlRow *
ml_model_own_row(const MlModel *model, const MlRow *row, double *work, MlRow *own)
{
	const MlModel *encoder = model->encoder;

	if (likely(encoder == NULL))
		return row;
	work += model->work_size - encoder->work_size;
	own->number = work - model->recipe->nnumbers;
	own->code = NULL;
	if (!ml_model_transform(encoder, row, work, own->number))
		for (int i = 0; i < model->recipe->nnumbers; i++)
			own->number[i] = NAN;
	return own;
}

static inline bool
is_dropped(const MlModel *model, const MlRow *row)
{
	return unlikely(model->recipe->params.impute == ML_IMPUTE_DROP) &&
		ml_recipe_row_dropped(model->recipe, row);
}

const double *
ml_model_outputs(const MlModel *model, const MlRow *row, double *work)
{
	MlRow		own;

	row = ml_model_own_row(model, row, work, &own);
	if (is_dropped(model, row))
		return NULL;
	model->routine->predict(model->predictor, model->recipe, row, work + model->noutputs, work);
	if (model->calibration)
		ml_calibration_apply(model->calibration, work, model->noutputs);
	return work;
}

double
ml_model_predict(const MlModel *model, const MlRow *row, double *work)
{
	return ml_model_outputs(model, row, work) ? work[0] : NAN;
}

double
ml_model_predict_columns(const MlModel *model, const NullableDatum *column, const int *position)
{
	return ml_linear_predict_columns((const MlLinear *) model->predictor, model->recipe->nnumbers,
									 column, position);
}

int
ml_model_ntransform(const MlModel *model)
{
	return model->routine->ntransform ? model->routine->ntransform(model->predictor) : 0;
}

bool
ml_model_transform(const MlModel *model, const MlRow *row, double *work, double *result)
{
	MlRow		own;

	row = ml_model_own_row(model, row, work, &own);
	if (is_dropped(model, row))
		return false;
	model->routine->transform(model->predictor, model->recipe, row, work, result);
	return true;
}

/* ---- a frame ---- */

/* memory of the current context that a block's predictions are made with */
typedef struct Workspace
{
	double	   *work;
	MlRow		row;
} Workspace;

static void
predict_rows(const MlModel *model, const MlBlock *block, Workspace *space, double *output)
{
	for (int i = 0; i < block->n; i++)
	{
		ml_block_row(model->recipe, block, i, &space->row);
		model->routine->predict(model->predictor, model->recipe, &space->row, space->work,
								output + (Size) i * model->noutputs);
	}
}

/* NaN for the rows that the recipe drops; the calibration of the others */
static void
finish_block(const MlModel *model, const MlBlock *block, Workspace *space, double *output)
{
	int			width = model->noutputs;
	bool		drops = model->recipe->params.impute == ML_IMPUTE_DROP;

	for (int i = 0; (drops || model->calibration) && i < block->n; i++)
	{
		double	   *of_row = output + (Size) i * width;

		if (drops)
			ml_block_row(model->recipe, block, i, &space->row);
		if (drops && is_dropped(model, &space->row))
			for (int o = 0; o < width; o++)
				of_row[o] = NAN;
		else if (model->calibration)
			ml_calibration_apply(model->calibration, of_row, width);
	}
}

static void
make_workspace(const MlModel *model, int rows, Workspace *space)
{
	const MlRecipe *recipe = model->recipe;
	Size		doubles = model->work_size;

	if (model->routine->block_work_size)
		doubles = Max(doubles, model->routine->block_work_size(model->predictor, recipe, rows));
	space->work = palloc_extended(Max(doubles, 1) * sizeof(double), MCXT_ALLOC_HUGE);
	space->row.number = palloc(Max(recipe->nnumbers, 1) * sizeof(double));
	space->row.code = palloc(Max(recipe->ncategories, 1) * sizeof(int32));
}

struct MlPointScorer
{
	const MlModel *model;
	const MlRecipe *recipe;		/* of its input */
	MlEncoder  *encoder;		/* of one row */
	Workspace	space;
};

MlPointScorer *
ml_point_scorer_make(const MlModel *model, const MlFrame *frame)
{
	MlPointScorer *scorer = palloc(sizeof(MlPointScorer));
	const MlRecipe *recipe = ml_model_input_recipe(model);

	scorer->model = model;
	scorer->recipe = recipe;
	scorer->encoder = ml_encoder_make(recipe, frame, 1);
	scorer->space.work = palloc_extended(Max(model->work_size, 1) * sizeof(double), MCXT_ALLOC_HUGE);
	scorer->space.row.number = palloc(Max(recipe->nnumbers, 1) * sizeof(double));
	scorer->space.row.code = palloc(Max(recipe->ncategories, 1) * sizeof(int32));
	return scorer;
}

const double *
ml_point_scorer_outputs(MlPointScorer *scorer, int64 row)
{
	ml_block_row(scorer->recipe, ml_encoder_block(scorer->encoder, row, 1), 0, &scorer->space.row);
	return ml_model_outputs(scorer->model, &scorer->space.row, scorer->space.work);
}

/* a frame of the columns that the encoder takes: row by row */
static void
predict_raw(const MlModel *model, const MlFrame *frame, int64 first, int64 n, double *output)
{
	const MlRecipe *recipe = ml_model_input_recipe(model);
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops predict block",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	int			rows = Max(1, Min(BLOCK_ROWS, BLOCK_VALUES / Max(recipe->nnumbers + recipe->ncategories, 1)));
	MlEncoder  *encoder = ml_encoder_make(recipe, frame, rows);
	double	   *work = palloc_extended(model->work_size * sizeof(double), MCXT_ALLOC_HUGE);
	MlRow		row;

	row.number = palloc(Max(recipe->nnumbers, 1) * sizeof(double));
	row.code = palloc(Max(recipe->ncategories, 1) * sizeof(int32));
	for (int64 done = 0; done < n; done += rows)
	{
		const MlBlock *block = ml_encoder_block(encoder, first + done, (int) Min((int64) rows, n - done));

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < block->n; i++)
		{
			double	   *to = output + (done + i) * model->noutputs;
			const double *of_row;

			ml_block_row(recipe, block, i, &row);
			of_row = ml_model_outputs(model, &row, work);
			for (int o = 0; o < model->noutputs; o++)
				to[o] = of_row ? of_row[o] : NAN;
		}
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

void
ml_model_predict_frame(const MlModel *model, const MlFrame *frame,
					   int64 first, int64 n, double *output)
{
	const MlRecipe *recipe = model->recipe;
	int			width = recipe->nnumbers + recipe->ncategories;
	int			rows = Max(1, Min(BLOCK_ROWS, BLOCK_VALUES / Max(width, 1)));
	MemoryContext cxt;
	MemoryContext old;
	MlEncoder  *encoder;
	Workspace	space;

	if (model->encoder && ml_frame_find(frame, recipe->features[0].name) < 0)
	{
		predict_raw(model, frame, first, n, output);
		return;
	}
	cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops predict block", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	encoder = ml_encoder_make(recipe, frame, rows);
	make_workspace(model, rows, &space);
	for (int64 done = 0; done < n; done += rows)
	{
		const MlBlock *block = ml_encoder_block(encoder, first + done, (int) Min((int64) rows, n - done));
		double	   *to = output + done * model->noutputs;

		CHECK_FOR_INTERRUPTS();
		if (model->routine->predict_block)
			model->routine->predict_block(model->predictor, recipe, block, space.work, to);
		else
			predict_rows(model, block, &space, to);
		finish_block(model, block, &space, to);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

bool
ml_model_judge_frame(const MlModel *model, const MlFrame *frame, int64 first, int64 n, MlLoss *loss)
{
	const MlRecipe *recipe = model->recipe;
	MemoryContext cxt;
	MemoryContext old;
	int			rows = Max(1, Min(BLOCK_ROWS, BLOCK_VALUES / Max(recipe->ndesign, 1)));
	MlEncoder  *encoder;
	Workspace	space;

	if (model->routine->judge_block == NULL)
		return false;
	cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops judge block", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	encoder = ml_encoder_make(recipe, frame, rows);
	make_workspace(model, rows, &space);
	for (int64 done = 0; done < n; done += rows)
	{
		CHECK_FOR_INTERRUPTS();
		model->routine->judge_block(model->predictor, recipe,
									ml_encoder_block(encoder, first + done, (int) Min((int64) rows, n - done)),
									space.work, loss + done);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	return true;
}

/* ---- what outputs mean ---- */

static MlLink
link_of(const MlModel *model, const MlPredictor *predictor)
{
	switch (predictor->kind)
	{
		case ML_PREDICTOR_LINEAR:
			return ((const MlLinear *) predictor)->link;
		case ML_PREDICTOR_TREES:
			return ((const MlTrees *) predictor)->link;
		case ML_PREDICTOR_BAYES:
			return model->noutputs > 1 ? ML_LINK_SOFTMAX : ML_LINK_LOGIT;
		case ML_PREDICTOR_NETWORK:
			return ((const MlNetwork *) predictor)->link;
		case ML_PREDICTOR_GROUPED:
			return link_of(model, ((const MlGrouped *) predictor)->pooled);
		default:
			return ML_LINK_IDENTITY;
	}
}

MlLink
ml_model_link(const MlModel *model)
{
	return link_of(model, model->predictor);
}

void
ml_model_probabilities(const MlModel *model, const double *output, double *probability)
{
	const MlTarget *target = &model->recipe->target;

	if (target->task == ML_TASK_BINARY)
	{
		probability[target->positive] = output[0];
		probability[1 - target->positive] = 1.0 - output[0];
	}
	else
		memcpy(probability, output, target->nclasses * sizeof(double));
}

int
ml_model_class(const MlModel *model, const double *output, double threshold)
{
	const MlTarget *target = &model->recipe->target;
	int			best = 0;

	if (target->task == ML_TASK_BINARY)
		return output[0] >= threshold ? target->positive : 1 - target->positive;
	for (int i = 1; i < target->nclasses; i++)
		if (output[i] > output[best])
			best = i;
	return best;
}

bool
ml_model_importance(const MlModel *model, double *importance)
{
	if (model->routine->importance == NULL)
		return false;
	model->routine->importance(model->predictor, model->recipe, importance);
	return true;
}
