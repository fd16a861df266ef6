/*
 * fit.c
 *		The fitting phase of a training: from a frame to an artifact, measured.
 *
 * The order inside is what makes a version mean what it says: the recipe is
 * learned from the training part alone; the model that is measured is the one
 * read back from its own bytes; refit learns recipe and model again from all
 * rows, after measuring.
 */
#include "postgres.h"

#include <math.h>

#include "compat.h"
#include "interrupts.h"
#include "miscadmin.h"
#include "settings.h"
#include "train/calibrate.h"
#include "train/class_weight.h"
#include "train/encoder.h"
#include "train/fingerprints.h"
#include "train/groups.h"
#include "train/learn_link.h"
#include "train/profile.h"
#include "train/train.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define DUPLICATES_WORTH_TELLING 0.01	/* share of rows that repeat another */

static bool
two_integer_values(const MlFrame *frame, const MlColumn *target)
{
	double		value[2] = {NAN, NAN};

	for (int64 i = 0; i < frame->nrows; i++)
	{
		double		y = target->number[i];

		ml_check_row(i);
		if (isnan(y) || y == value[0] || y == value[1])
			continue;
		if (y != rint(y) || !isnan(value[1]))
			return false;
		value[isnan(value[0]) ? 0 : 1] = y;
	}
	return !isnan(value[1]);
}

/*
 * A number of two values may be classes in disguise. Told once: afterwards the
 * model is for regression.
 */
bool
ml_training_suspects_classes(const MlTraining *training)
{
	const MlFrame *frame = training->frame;
	const MlColumn *target = frame->target_column >= 0 ? &frame->cols[frame->target_column] : NULL;

	return target != NULL && training->spec.algorithm == NULL && (training->row == NULL || training->row->task == NULL) &&
		target->type.kind == ML_KIND_NUMBER && target->type.reading != ML_READ_BOOL;
}

void
ml_training_tell_two_values(const MlTraining *training)
{
	ereport(NOTICE,
			(errmsg("target \"%s\" is a number of two values: training a regression",
					training->frame->cols[training->frame->target_column].name),
			 errhint("For classes call mlops_drop_model(%s), then train with algorithm => 'logistic_regression'.",
					 quote_literal_cstr(training->model))));
}

static void
choose_split(MlTraining *training)
{
	MlSplit    *split = &training->split;
	const MlSpec *spec = &training->spec;

	split->holdout = spec->holdout;
	split->seed = spec->seed;
	split->time_column = -1;
	if (spec->holdout == 0)
		split->kind = ML_SPLIT_NONE;
	else if (spec->time_column != NULL)
	{
		split->kind = ML_SPLIT_TIME;
		split->time_column = ml_frame_find(training->frame, spec->time_column);
	}
	else
		split->kind = spec->key != NULL ? ML_SPLIT_KEY : ML_SPLIT_ROW;
}

/* Equal rows are neighbours in canonical order. */
static void
warn_of_duplicates(MlTraining *training)
{
	const MlFrame *frame = training->frame;
	int64		repeated = 0;

	for (int64 i = 1; i < frame->nrows; i++)
	{
		ml_check_row(i);
		if (frame->fingerprint[i].high == frame->fingerprint[i - 1].high &&
			frame->fingerprint[i].low == frame->fingerprint[i - 1].low)
			repeated++;
	}
	if (training->spec.options.canonical_order && repeated > DUPLICATES_WORTH_TELLING * frame->nrows)
		ml_training_warn(training, psprintf(INT64_FORMAT " of " INT64_FORMAT " rows repeat another row",
											repeated, frame->nrows));
}

MlOffset
ml_training_offset(const MlTraining *training)
{
	MlOffset	offset = {0};

	if (training->algorithm->offset_column != NULL)
		offset.column = training->algorithm->offset_column(training->params, &offset.logarithm);
	return offset;
}

/* Usable rows, divided and in order; what the data themselves give reason to warn of. */
void
ml_training_arrange(MlTraining *training)
{
	MlFrame    *frame = training->frame;
	MlOffset	offset = ml_training_offset(training);
	bool	   *keep;

	if (training->encoder != NULL)
	{
		ml_fingerprints_note(training);
		ml_training_profile_features(training, frame, frame->nrows);
		ml_training_encode(training);
	}
	ml_budget_take(&training->budget, frame->nrows, "flags of the usable rows");
	keep = MemoryContextAllocHuge(training->cxt, Max(frame->nrows, 1));
	ml_recipe_usable_rows(frame, &training->recipe_params, &offset, training->spec.group_by,
						  keep, &training->skipped);
	choose_split(training);
	ml_frame_arrange(frame, keep, &training->split, training->spec.options.canonical_order);
	pfree(keep);
	ml_budget_give(&training->budget, frame->rows_read);
	training->ntrain = frame->ntrain;
	training->nholdout = frame->nrows - frame->ntrain;
	warn_of_duplicates(training);
	if (frame->row_security)
		ml_training_warn(training, "row-level security of the source applied: rows that the role may not see were not read");
	if (training->spec.holdout > 0 && training->nholdout == 0 && frame->nrows > 0)
		ml_training_warn(training, "too few rows for a hold-out: the model was measured on its training rows only");
}

/* The date parts of a recipe take the time zone of the spec. */
static void
learn_recipe(MlTraining *training)
{
	const MlAlgorithm *algorithm = training->algorithm;
	MlOffset	offset = ml_training_offset(training);
	MlTargetRequest target = {0};
	MlCoding	coding = ML_CODING_TREATMENT;
	int			level = ml_spec_enter_settings(&training->spec);

	target.model = training->model;
	target.positive = training->row != NULL ? training->row->positive : NULL;
	target.task = algorithm->tasks;
	target.features_optional = algorithm->ignores_features;
	target.group = training->spec.group_by;
	target.min_group_rows = training->spec.options.min_group_rows;
	if (algorithm->penalised != NULL && algorithm->penalised(training->params))
		coding = ML_CODING_ONE_HOT;
	ml_training_require_encoder(training);
	training->recipe = ml_recipe_learn(training->frame, &training->recipe_params, coding, &offset, &target);
	training->recipe->encoder = training->encoder_artifact;
	ml_spec_leave_settings(level);
}

/* the rows of a frame as the learner reads them */
typedef struct DesignRows
{
	const MlRecipe *recipe;
	MlEncoder  *encoder;
	MlGroupMask *mask;			/* or NULL */
} DesignRows;

static void
read_design(void *arg, int64 first, int n, double *x)
{
	const DesignRows *rows = arg;

	ml_recipe_design_block(rows->recipe, ml_encoder_block(rows->encoder, first, n), x);
}

static const MlBlock *
read_block(void *arg, int64 first, int n)
{
	const DesignRows *rows = arg;
	const MlBlock *block = ml_encoder_block(rows->encoder, first, n);

	return rows->mask != NULL ? ml_group_mask(rows->mask, block) : block;
}

static void
fit_progress(void *arg, int64 done, int64 total, double objective)
{
	ml_training_report(arg, "fitting", done, total, objective);
}

static void
fit_memory(void *arg, Size bytes, const char *what)
{
	ml_budget_take(&((MlTraining *) arg)->budget, bytes, what);
}

static Size
fit_memory_left(void *arg)
{
	const MlBudget *budget = &((MlTraining *) arg)->budget;

	return budget->limit > budget->used ? budget->limit - budget->used : 0;
}

static void
name_design(const MlRecipe *recipe, MlDesignMatrix *matrix)
{
	const char **name = palloc(sizeof(char *) * Max(recipe->ndesign, 1));
	bool	   *scaled = palloc(sizeof(bool) * Max(recipe->ndesign, 1));

	for (int j = 0; j < recipe->ndesign; j++)
	{
		name[j] = recipe->design[j].name;
		scaled[j] = recipe->design[j].kind == ML_DESIGN_NUMBER;
	}
	matrix->ncolumns = recipe->ndesign;
	matrix->column_name = name;
	matrix->scaled = scaled;
}

/* what the offset column adds to eta in each training row; NULL without one */
static const double *
offset_rows(MlTraining *training)
{
	const MlFrame *frame = training->frame;
	const MlRecipe *recipe = training->recipe;
	const double *value;
	double	   *offset;
	Size		bytes = ml_size_mul(frame->ntrain, sizeof(double));

	if (recipe->offset_number < 0)
		return NULL;
	value = frame->cols[ml_frame_find(frame, ml_training_offset(training).column)].number;
	ml_budget_take(&training->budget, bytes, "the offset");
	offset = palloc_extended(bytes, MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < frame->ntrain; i++)
	{
		ml_check_row(i);
		offset[i] = ml_recipe_offset(recipe, value[i]);
	}
	return offset;
}

/*
 * Fits the training part of the frame. What the learner took is given back to
 * the budget, since the driver frees it when it returns.
 */
static void
fit_model(MlTraining *training)
{
	MlFrame    *frame = training->frame;
	const MlRecipe *recipe = training->recipe;
	DesignRows	rows = {recipe};
	MlDesignMatrix matrix = {0};
	MlFit		fit = {0};
	Size		before = training->budget.used;
	const double *weight = NULL;
	double	   *y;

	ml_budget_take(&training->budget, ml_size_mul(frame->ntrain, sizeof(double)), "the labels");
	y = palloc_extended(ml_size_mul(frame->ntrain, sizeof(double)), MCXT_ALLOC_HUGE);
	ml_recipe_labels(recipe, frame, 0, frame->ntrain, y);
	rows.encoder = ml_encoder_make(recipe, frame, ML_BLOCK_ROWS);

	matrix.nrows = frame->ntrain;
	name_design(recipe, &matrix);
	matrix.y = y;
	if (training->spec.weight != NULL)
		weight = frame->cols[ml_frame_find(frame, training->spec.weight)].number;
	matrix.weight = ml_class_weight_rows(training, y, weight);
	matrix.offset = offset_rows(training);
	matrix.nclasses = recipe->target.nclasses;
	matrix.read = read_design;
	matrix.arg = &rows;
	rows.mask = ml_group_mask_make(recipe);
	matrix.recipe = rows.mask != NULL ? ml_group_mask_recipe(rows.mask) : recipe;
	matrix.read_block = read_block;

	fit.rows = &matrix;
	fit.task = recipe->target.task;
	fit.params = training->params;
	fit.seed = training->spec.seed;
	fit.progress = fit_progress;
	fit.progress_arg = training;
	fit.take_memory = fit_memory;
	fit.memory_left = fit_memory_left;
	fit.memory_arg = training;
	fit.workers = ml_training_workers >= 0 ? ml_training_workers : max_parallel_maintenance_workers;
	fit.said_alone = &training->said_alone;
	training->fitted = ml_learn()->fit(training->algorithm, &fit);
	ml_calibrate(training, &fit, weight);
	if (rows.mask != NULL)
		ml_fit_groups(training, &fit, rows.mask);

	ml_encoder_free(rows.encoder);
	if (matrix.offset != NULL)
		pfree(unconstify(double *, matrix.offset));
	if (matrix.weight != weight)
		pfree(unconstify(double *, matrix.weight));
	pfree(y);
	training->budget.used = before;
}

/* Learns and fits from the training part of the frame; the result is the artifact. */
void
ml_training_learn(MlTraining *training)
{
	double		start = ml_training_seconds();

	learn_recipe(training);
	training->preparing += ml_training_seconds() - start;
	start = ml_training_seconds();

	/* a catalog snapshot would hold back the vacuum of every table while we fit */
	InvalidateCatalogSnapshot();
	ml_training_report(training, "fitting", 0, -1, NAN);
	fit_model(training);
	training->artifact = ml_model_write(training->algorithm->name, training->recipe, training->fitted);
	training->fitting += ml_training_seconds() - start;
}

static void
collect_warnings(MlTraining *training)
{
	for (int i = 0; i < training->recipe->nwarnings; i++)
		ml_training_warn(training, training->recipe->warnings[i]);
	for (int i = 0; i < training->fitted->nnotes; i++)
		ml_training_warn(training, training->fitted->notes[i]);
}

static void
refit(MlTraining *training)
{
	MlSplit		whole = training->split;

	whole.kind = ML_SPLIT_NONE;
	whole.holdout = 0;
	ml_frame_arrange(training->frame, NULL, &whole, training->spec.options.canonical_order);
	ml_training_learn(training);
}

/* the rows that the model in the artifact was fitted on */
static void
profile_rows(MlTraining *training)
{
	const MlFrame *frame = training->frame;

	if (training->encoder == NULL)
		ml_training_profile_features(training, frame, frame->ntrain);
	ml_training_profile_target(training, frame, frame->ntrain);
}

void
ml_training_fit(MlTraining *training)
{
	MemoryContext old = MemoryContextSwitchTo(training->cxt);
	double		start = ml_training_seconds();
	MlModel    *model;

	if (training->in_sql)
	{
		/* all of it was done by the queries that read */
		collect_warnings(training);
		MemoryContextSwitchTo(old);
		return;
	}
	ml_training_report(training, "preparing", -1, -1, NAN);
	if (ml_training_suspects_classes(training) &&
		two_integer_values(training->frame, &training->frame->cols[training->frame->target_column]))
		ml_training_tell_two_values(training);
	ml_training_arrange(training);
	training->preparing = ml_training_seconds() - start;
	ml_training_learn(training);

	start = ml_training_seconds();
	ml_training_report(training, "measuring", -1, -1, NAN);
	model = ml_model_read(VARDATA_ANY(training->artifact), VARSIZE_ANY_EXHDR(training->artifact),
						  training->cxt);
	ml_training_measure(training, model);
	ml_training_profile_predicted(training, model);
	MemoryContextDelete(model->cxt);
	training->measuring = ml_training_seconds() - start;

	if (training->spec.options.refit && training->nholdout > 0)
		refit(training);
	profile_rows(training);
	collect_warnings(training);
	MemoryContextSwitchTo(old);
}
