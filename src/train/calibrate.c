/*
 * calibrate.c
 *		Calibration of any classifier by cross-fitting.
 *
 * The training rows are divided into folds, ranges of the canonical order, which
 * is random. For each the same learner is fitted on the others and predicts it.
 * From the predictions of all rows, each by a model that has not seen it, the
 * map is fitted (one a class with several): Platt's sigmoid over log-odds, or
 * isotonic regression (Niculescu-Mizil & Caruana, Predicting good probabilities
 * with supervised learning, ICML 2005). It is then applied to the model of all
 * rows. The recipe is that of all training rows in every fold.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "interrupts.h"
#include "sort.h"
#include "train/calibrate.h"
#include "train/learn_link.h"
#include "utils/memutils.h"

void
ml_calibration_check(const MlTraining *training, int tasks)
{
	if (training->common_params.calibration == ML_CALIBRATION_NONE ||
		(tasks & (ML_TASKS_BINARY | ML_TASKS_MULTICLASS)) != 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"calibration\" needs a target of classes"),
			 training->spec.target == NULL ?
			 errdetail("\"%s\" learns without a target.", training->algorithm->name) :
			 errdetail("\"%s\" learns to predict the number \"%s\".", training->algorithm->name, training->spec.target),
			 errhint("Leave it out: only probabilities are calibrated.")));
}

/* ---- the rows without those of a fold ---- */

typedef struct Rest
{
	const MlDesignMatrix *all;
	int64		first;			/* rows [first, end) of all are left out */
	int64		end;
	MlDesignMatrix matrix;		/* what is left */
	double	   *part;			/* of a read across the gap */
	MlBlock		block;			/* likewise */
	double	   *number;
} Rest;

/* rows [first, first + n) of the rest lie before the gap, behind it, or across */
static int
rows_before(const Rest *rest, int64 first, int n)
{
	return (int) Max(0, Min((int64) n, rest->first - first));
}

static int64
behind(const Rest *rest, int64 row)
{
	return row + (rest->end - rest->first);
}

static void
rest_read(void *arg, int64 first, int n, double *x)
{
	Rest	   *rest = arg;
	const MlDesignMatrix *all = rest->all;
	int			before = rows_before(rest, first, n);

	if (before == n)
		all->read(all->arg, first, n, x);
	else if (before == 0)
		all->read(all->arg, behind(rest, first), n, x);
	else
	{
		for (int part = 0; part < 2; part++)
		{
			int			rows = part == 0 ? before : n - before;
			double	   *to = x + (part == 0 ? 0 : before);

			all->read(all->arg, part == 0 ? first : rest->end, rows, rest->part);
			for (int j = 0; j < all->ncolumns; j++)
				memcpy(to + (Size) j * n, rest->part + (Size) j * rows, rows * sizeof(double));
		}
	}
}

/* n of the rows of block become rows [at, at + n) of the one that is put together */
static void
copy_block(Rest *rest, const MlBlock *block, int at)
{
	const MlRecipe *recipe = rest->all->recipe;
	MlBlock    *to = &rest->block;

	for (int j = 0; j < recipe->nnumbers; j++)
	{
		memcpy(rest->number + (Size) j * ML_BLOCK_ROWS + at, block->number[j], block->n * sizeof(double));
		to->complete[j] = block->complete[j];
	}
	for (int c = 0; c < recipe->ncategories; c++)
		memcpy(to->code + (Size) c * to->n + at, block->code + (Size) c * block->n, block->n * sizeof(int32));
}

static const MlBlock *
rest_read_block(void *arg, int64 first, int n)
{
	Rest	   *rest = arg;
	const MlDesignMatrix *all = rest->all;
	int			before = rows_before(rest, first, n);

	if (before == n)
		return all->read_block(all->arg, first, n);
	if (before == 0)
		return all->read_block(all->arg, behind(rest, first), n);
	rest->block.n = n;
	copy_block(rest, all->read_block(all->arg, first, before), 0);
	copy_block(rest, all->read_block(all->arg, rest->end, n - before), before);
	return &rest->block;
}

static double *
rest_of(const Rest *rest, const double *all, double *copy)
{
	if (all == NULL)
		return NULL;
	memcpy(copy, all, rest->first * sizeof(double));
	memcpy(copy + rest->first, all + rest->end, (rest->all->nrows - rest->end) * sizeof(double));
	return copy;
}

static void *
take(MlTraining *training, Size count, Size size)
{
	Size		bytes = ml_size_mul(Max(count, 1), size);

	ml_budget_take(&training->budget, bytes, "the calibration");
	return palloc_extended(bytes, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

static Rest *
make_rest(MlTraining *training, const MlDesignMatrix *all)
{
	Rest	   *rest = take(training, 1, sizeof(Rest));
	int			nnumbers = all->recipe->nnumbers;
	int			most = ML_BLOCK_ROWS;

	rest->all = all;
	rest->part = take(training, ml_size_mul(all->ncolumns, most), sizeof(double));
	rest->number = take(training, ml_size_mul(nnumbers, most), sizeof(double));
	rest->block.number = take(training, nnumbers, sizeof(double *));
	rest->block.complete = take(training, nnumbers, sizeof(bool));
	rest->block.code = take(training, ml_size_mul(all->recipe->ncategories, most), sizeof(int32));
	for (int j = 0; j < nnumbers; j++)
		rest->block.number[j] = rest->number + (Size) j * most;
	return rest;
}

/* ---- predictions of rows by models that have not seen them ---- */

typedef struct CrossFit
{
	MlTraining *training;
	const MlFit *fit;
	int			nfolds;
	int			fold;
	int			width;			/* outputs a row */
	double	   *y;				/* room for the rest's */
	double	   *weight;
	double	   *offset;
	double	   *prediction;		/* nrows x width */
} CrossFit;

static int64
fold_begin(const CrossFit *c, int fold)
{
	return c->fit->rows->nrows * fold / c->nfolds;
}

static void
fold_progress(void *arg, int64 done, int64 total, double objective)
{
	CrossFit   *c = arg;

	ml_training_report(c->training, "fitting", total > 0 ? c->fold * total + done : -1,
					   total > 0 ? c->nfolds * total : -1, objective);
}

static void
fold_context(void *arg)
{
	const CrossFit *c = arg;

	errcontext("calibration, fit without fold %d of %d", c->fold + 1, c->nfolds);
}

static void
predict_fold(CrossFit *c, const MlFitted *fitted, int64 first, int64 end)
{
	MlTraining *training = c->training;
	bytea	   *artifact = ml_model_write(training->algorithm->name, training->recipe, fitted);
	MlModel    *model = ml_model_read(VARDATA_ANY(artifact), VARSIZE_ANY_EXHDR(artifact), CurrentMemoryContext);

	Assert(model->noutputs == c->width);
	for (int64 row = first; row < end; row += ML_BLOCK_ROWS)
	{
		ml_training_report(training, "fitting", -1, -1, NAN);
		ml_model_predict_frame(model, training->frame, row, Min(ML_BLOCK_ROWS, end - row),
							   c->prediction + row * c->width);
	}
}

static void
fit_fold(CrossFit *c, Rest *rest)
{
	MlTraining *training = c->training;
	Size		before = training->budget.used;
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops calibrate", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	MlFit		fit = *c->fit;
	MlFitted   *fitted;

	rest->first = fold_begin(c, c->fold);
	rest->end = fold_begin(c, c->fold + 1);
	rest->matrix = *rest->all;
	rest->matrix.nrows -= rest->end - rest->first;
	rest->matrix.y = rest_of(rest, rest->all->y, c->y);
	rest->matrix.weight = rest_of(rest, rest->all->weight, c->weight);
	rest->matrix.offset = rest_of(rest, rest->all->offset, c->offset);
	rest->matrix.read = rest_read;
	rest->matrix.read_block = rest_read_block;
	rest->matrix.arg = rest;
	fit.rows = &rest->matrix;
	fit.progress = fold_progress;
	fit.progress_arg = c;
	fitted = ml_learn()->fit(training->algorithm, &fit);
	fitted->calibration = NULL;
	predict_fold(c, fitted, rest->first, rest->end);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	training->budget.used = before;
}

/* A class that a single fold holds would be unknown to the model that predicts it. */
static void
require_classes(const CrossFit *c)
{
	const MlDesignMatrix *rows = c->fit->rows;
	const MlTarget *target = &c->training->recipe->target;
	int64	   *only = palloc(sizeof(int64) * target->nclasses);	/* its fold, -1: none yet, -2: several */

	for (int k = 0; k < target->nclasses; k++)
		only[k] = -1;
	for (int fold = 0; fold < c->nfolds; fold++)
		for (int64 i = fold_begin(c, fold); i < fold_begin(c, fold + 1); i++)
		{
			int			k = (int) rows->y[i];

			ml_check_row(i);
			only[k] = only[k] == -1 || only[k] == fold ? fold : -2;
		}
	for (int k = 0; k < target->nclasses; k++)
		if (only[k] != -2)
		{
			int			label = target->task == ML_TASK_BINARY && k == 0 ? 1 - target->positive
				: target->task == ML_TASK_BINARY ? target->positive : k;

			ereport(ERROR,
					(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
					 errmsg("class \"%s\" has too few rows to calibrate", target->class_label[label]),
					 errdetail("All of them are in one of %d folds, so that the model that predicts it would not know the class.",
							   c->nfolds),
					 errhint("Train on more rows of it, or without calibration.")));
		}
	pfree(only);
}

static void
cross_fit(CrossFit *c)
{
	const MlDesignMatrix *rows = c->fit->rows;
	Rest	   *rest = make_rest(c->training, rows);
	ErrorContextCallback context;

	c->y = take(c->training, rows->nrows, sizeof(double));
	if (rows->weight)
		c->weight = take(c->training, rows->nrows, sizeof(double));
	if (rows->offset)
		c->offset = take(c->training, rows->nrows, sizeof(double));
	context.callback = fold_context;
	context.arg = c;
	context.previous = error_context_stack;
	error_context_stack = &context;
	for (c->fold = 0; c->fold < c->nfolds; c->fold++)
		fit_fold(c, rest);
	error_context_stack = context.previous;
}

/* ---- the maps ---- */

static void
tick(void *arg)
{
	CHECK_FOR_INTERRUPTS();
}

/* what a map is fitted from, in the order of x */
static MlCalibrationRows
map_rows(const CrossFit *c, MlCalibrationKind kind, int output, const double *weight)
{
	const MlDesignMatrix *rows = c->fit->rows;
	int64		n = rows->nrows;
	MlKeyed    *item = take(c->training, n, sizeof(MlKeyed));
	MlKeyed    *spare = take(c->training, n, sizeof(MlKeyed));
	double	   *x = take(c->training, n, sizeof(double));
	double	   *label = take(c->training, n, sizeof(double));
	double	   *of_row = weight ? take(c->training, n, sizeof(double)) : NULL;
	MlCalibrationRows result = {n, x, label, of_row, tick};

	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		item[i].key = ml_double_key(c->prediction[i * c->width + output]);
		item[i].row = i;
	}
	ml_sort(item, spare, n, 64);
	for (int64 i = 0; i < n; i++)
	{
		int64		row = item[i].row;
		double		p = c->prediction[row * c->width + output];

		ml_check_row(i);
		x[i] = kind == ML_CALIBRATION_PLATT ? ml_calibration_log_odds(p) : p;
		label[i] = c->width == 1 ? rows->y[row] : rows->y[row] == output;
		if (weight)
			of_row[i] = weight[row];
	}

	/* what the fit of an isotonic map takes */
	ml_budget_take(&c->training->budget, ml_size_mul(n, 4 * sizeof(double)), "the calibration");
	return result;
}

static void
fit_map(const CrossFit *c, MlCalibrationKind kind, int output, const double *weight, MlCalibrationMap *map)
{
	MlTraining *training = c->training;
	Size		before = training->budget.used;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext cxt = AllocSetContextCreate(caller, "mlops calibrate", ALLOCSET_DEFAULT_SIZES);
	MlCalibrationRows rows;

	MemoryContextSwitchTo(cxt);
	rows = map_rows(c, kind, output, weight);
	MemoryContextSwitchTo(caller);
	ml_learn()->calibrate(kind, &rows, map);
	MemoryContextDelete(cxt);
	training->budget.used = before;
}

static void
refuse_not_finite(const CrossFit *c)
{
	for (int64 i = 0; i < c->fit->rows->nrows * c->width; i++)
	{
		ml_check_row(i);
		if (isnan(c->prediction[i]))
			ereport(ERROR,
					(errcode(ERRCODE_ML_NO_CONVERGENCE),
					 errmsg("a probability of a left-out row is not a number"),
					 errdetail("Calibration needs a prediction of every training row; row " INT64_FORMAT " of them has none.",
							   i / c->width),
					 errhint("Bring features to a usual size, or train without calibration.")));
	}
}

/* facts of a map; of several classes they would be many */
static void
add_facts(MlFitted *fitted, const MlCalibration *calibration)
{
	MlFact	   *facts = palloc(sizeof(MlFact) * (fitted->nfacts + 2));
	const MlCalibrationMap *map = &calibration->map[0];

	if (fitted->nfacts > 0)
		memcpy(facts, fitted->facts, sizeof(MlFact) * fitted->nfacts);
	fitted->facts = facts;
	if (calibration->nmaps > 1)
		return;
	if (calibration->kind == ML_CALIBRATION_PLATT)
	{
		facts[fitted->nfacts++] = (MlFact) {"calibration_slope", map->slope};
		facts[fitted->nfacts++] = (MlFact) {"calibration_shift", map->shift};
	}
	else
		facts[fitted->nfacts++] = (MlFact) {"calibration_points", map->npoints};
}

void
ml_calibrate(MlTraining *training, const MlFit *fit, const double *weight)
{
	const MlCommonParams *params = &training->common_params;
	MlCalibration *calibration;
	Size		before = training->budget.used;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext cxt;
	CrossFit	c = {training, fit};

	if (params->calibration == ML_CALIBRATION_NONE)
		return;
	calibration = palloc0(sizeof(MlCalibration));
	calibration->kind = params->calibration;
	calibration->nmaps = training->recipe->target.task == ML_TASK_BINARY ? 1 : training->recipe->target.nclasses;
	calibration->map = palloc0(sizeof(MlCalibrationMap) * calibration->nmaps);

	cxt = AllocSetContextCreate(caller, "mlops calibrate", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(cxt);
	c.nfolds = (int) params->calibration_folds;
	c.width = calibration->nmaps;
	require_classes(&c);
	c.prediction = take(training, ml_size_mul(fit->rows->nrows, c.width), sizeof(double));
	cross_fit(&c);
	refuse_not_finite(&c);
	MemoryContextSwitchTo(caller);
	for (int i = 0; i < calibration->nmaps; i++)
		fit_map(&c, calibration->kind, i, weight, &calibration->map[i]);
	training->fitted->calibration = calibration;
	add_facts(training->fitted, calibration);
	MemoryContextDelete(cxt);
	training->budget.used = before;
}
