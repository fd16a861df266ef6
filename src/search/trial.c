/*
 * trial.c
 *		A candidate fitted to a sample and measured on rows it has not seen.
 *
 * A trial is a training without its ends: no source is read and no version
 * made, but recipe, fit and artifact are those of mlops_train.
 */
#include "postgres.h"

#include "errors.h"
#include "predictor/routine.h"
#include "search/search.h"
#include "train/learn_link.h"
#include "train/procedure.h"
#include "utils/memutils.h"

typedef struct Trial
{
	MlTraining	training;		/* that of the search, with the candidate's spec and a part of its rows */
	const MlCandidate *candidate;
	const MlTrialPlan *plan;
	const MlFrame *frame;
	int			fold;
	double		value;
} Trial;

void
ml_candidate_spec(const MlCandidate *candidate, MlSpec *spec)
{
	spec->algorithm = candidate->algorithm;
	spec->params = candidate->params;
	if (candidate->features != NULL)
	{
		spec->features = candidate->features;
		spec->nfeatures = candidate->nfeatures;
	}
}

/* Columns that the candidate does not use have no role. */
static void
choose_features(const MlCandidate *candidate, MlFrame *frame)
{
	if (candidate->features == NULL)
		return;
	for (int i = 0; i < frame->ncols; i++)
	{
		bool		listed = false;

		for (int f = 0; f < candidate->nfeatures; f++)
			listed |= strcmp(candidate->features[f], frame->cols[i].name) == 0;
		if (frame->cols[i].role == ML_ROLE_FEATURE && !listed)
			frame->cols[i].role = ML_ROLE_UNUSED;
	}
}

static const MlMetric *
metric_of(const Trial *trial, MlTask task)
{
	const MlMetric *metric = ml_metric_find(trial->plan->metric);

	if (metric == NULL || (metric->tasks & task) == 0)
		metric = ml_metric_default(task);
	return metric;
}

/* without a target: what the rows lose */
static double
measure_losses(Trial *trial, const MlModel *model, MlMeasurement *rows)
{
	const MlFrame *frame = trial->training.frame;
	Size		bytes = ml_size_mul(rows->n, sizeof(MlLoss));
	MlLoss	   *loss;

	ml_budget_take(&trial->training.budget, bytes, "losses to measure");
	loss = palloc_extended(bytes, MCXT_ALLOC_HUGE);
	ml_model_judge_frame(model, frame, frame->ntrain, rows->n, loss);
	rows->loss = loss;
	return metric_of(trial, rows->task)->measure(rows);
}

/* rows whose class the sample does not have cannot be measured: metrics leave NaN labels out */
static double
measure(Trial *trial, const MlModel *model)
{
	MlTraining *training = &trial->training;
	const MlFrame *frame = training->frame;
	const MlTarget *target = &model->recipe->target;
	int64		n = frame->nrows - frame->ntrain;
	MlMeasurement rows = {0};
	double	   *label;
	double	   *prediction;

	rows.task = target->task;
	rows.n = n;
	if (training->spec.weight != NULL)
		rows.weight = frame->cols[ml_frame_find(frame, training->spec.weight)].number + frame->ntrain;
	if (target->task & ML_TASKS_UNSUPERVISED)
		return measure_losses(trial, model, &rows);
	ml_budget_take(&training->budget, ml_size_mul(n, (model->noutputs + 1) * sizeof(double)), "predictions to measure");
	label = palloc_extended(ml_size_mul(n, sizeof(double)), MCXT_ALLOC_HUGE);
	prediction = palloc_extended(ml_size_mul(n, model->noutputs * sizeof(double)), MCXT_ALLOC_HUGE);
	ml_recipe_labels(model->recipe, frame, frame->ntrain, n, label);
	ml_model_predict_frame(model, frame, frame->ntrain, n, prediction);
	rows.label = label;
	rows.prediction = prediction;
	rows.nclasses = target->nclasses;
	rows.threshold = 0.5;
	if (trial->plan->custom != NULL)
	{
		MlCustomRows custom;

		ml_training_custom_rows(training, model, &rows, &custom);
		custom.frame_first = frame->ntrain;
		return ml_training_measure_custom(trial->plan->custom, &custom);
	}
	return metric_of(trial, target->task)->measure(&rows);
}

static void
run(void *arg)
{
	Trial	   *trial = arg;
	MlTraining *training = &trial->training;
	MlModel    *model;

	training->frame = ml_folds_frame(trial->plan->folds, trial->frame, trial->fold, trial->plan->nrows);
	training->budget = *training->frame->budget;
	choose_features(trial->candidate, training->frame);
	training->algorithm = ml_learn_algorithm(training->spec.algorithm);
	ml_training_take_params(training);
	ml_training_learn(training);
	model = ml_model_read(VARDATA_ANY(training->artifact), VARSIZE_ANY_EXHDR(training->artifact),
						  CurrentMemoryContext);
	trial->value = measure(trial, model);
}

/* What the data or the candidate's parameters rule out says nothing against the others. */
static bool
is_verdict(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_ML_UNTRAINABLE_DATA ||
		error->sqlerrcode == ERRCODE_ML_NO_CONVERGENCE ||
		error->sqlerrcode == ERRCODE_FEATURE_NOT_SUPPORTED ||
		error->sqlerrcode == ERRCODE_PROGRAM_LIMIT_EXCEEDED ||
		ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_DATA_EXCEPTION;
}

/* one fold, in a context of its own */
static char *
run_fold(MlTraining *search, Trial *trial)
{
	MemoryContext cxt = AllocSetContextCreate(search->cxt, "mlops trial", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	Size		before = search->budget.used;
	ErrorData  *error;
	char	   *message = NULL;

	trial->training = *search;
	trial->training.cxt = cxt;
	trial->training.run = trial->candidate->run;
	trial->training.warnings = NIL;
	ml_candidate_spec(trial->candidate, &trial->training.spec);
	error = ml_procedure_attempt(&trial->training, run, trial);

	/* the frame counts in the budget of the search */
	search->budget.used = before;
	MemoryContextSwitchTo(old);
	if (error != NULL && is_verdict(error))
		message = pstrdup(error->message);
	else if (error != NULL)
		ReThrowError(error);
	MemoryContextDelete(cxt);
	return message;
}

char *
ml_trial(MlTraining *training, const MlCandidate *candidate, const MlTrialPlan *plan, double *value)
{
	Trial		trial = {{0}};
	double		sum = 0;

	/* of folds by time the last knows most of what came before */
	int			first = plan->all_folds || plan->folds->by != ML_FOLDS_BY_TIME ? 0 : plan->folds->n - 1;
	int			end = plan->all_folds ? plan->folds->n : first + 1;

	trial.candidate = candidate;
	trial.plan = plan;
	trial.frame = training->frame;
	for (trial.fold = first; trial.fold < end; trial.fold++)
	{
		char	   *message = run_fold(training, &trial);

		if (message != NULL)
			return message;
		sum += trial.value;
	}
	*value = sum / (end - first);
	return isnan(*value) ? pstrdup("the metric is not defined on its predictions") : NULL;
}
