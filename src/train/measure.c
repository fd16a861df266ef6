/*
 * measure.c
 *		Metrics of a model just fitted, on its training part, its hold-out, and
 *		of the constant predictor beside it.
 */
#include "postgres.h"

#include <math.h>

#include "interrupts.h"
#include "metric/custom.h"
#include "metric/metric.h"
#include "json.h"
#include "train/train.h"
#include "utils/memutils.h"

#define MEASURE_ROWS 8192		/* predicted at once */

/* labels, predictions and weights of a part of the frame */
typedef struct Part
{
	int64		n;
	int			width;			/* doubles per prediction: the outputs of the model */
	double	   *label;
	double	   *prediction;
	double	   *weight;			/* NULL: all 1 */
	MlLoss	   *loss;			/* without a target: instead of labels and predictions */
	int64		first;			/* of the frame */
	int64	   *row;			/* of the frame; NULL: first, first + 1, ... */
} Part;

/* the metric that the model is judged by: one of ours, or a registered one */
typedef struct Headline
{
	const MlMetric *metric;
	const MlCustomMetric *custom;
} Headline;

static double *
take_doubles(MlTraining *training, int64 n)
{
	Size		bytes = ml_size_mul(Max(n, 1), sizeof(double));

	ml_budget_take(&training->budget, bytes, "predictions to measure");
	return palloc_extended(bytes, MCXT_ALLOC_HUGE);
}

static void
predict(MlTraining *training, const MlModel *model, int64 first, Part *part)
{
	for (int64 done = 0; done < part->n; done += MEASURE_ROWS)
	{
		ml_training_report(training, "measuring", done, part->n, NAN);
		ml_model_predict_frame(model, training->frame, first + done, Min(part->n - done, MEASURE_ROWS),
							   part->prediction + done * part->width);
	}
}

/* A class that training rows do not have has no label: such rows are left out. */
static int64
drop_unlabelled(Part *part)
{
	int64		kept = 0;

	for (int64 i = 0; i < part->n; i++)
	{
		ml_check_row(i);
		if (isnan(part->label[i]))
			continue;
		if (part->row != NULL)
			part->row[kept] = part->first + i;
		if (kept < i)
		{
			part->label[kept] = part->label[i];
			memcpy(part->prediction + kept * part->width, part->prediction + i * part->width,
				   sizeof(double) * part->width);
			if (part->weight != NULL)
				part->weight[kept] = part->weight[i];
		}
		kept++;
	}
	return kept;
}

static void
make_part(MlTraining *training, const MlModel *model, int64 first, int64 n, Part *part)
{
	const MlFrame *frame = training->frame;
	int64		labelled;

	memset(part, 0, sizeof(Part));
	part->n = n;
	part->first = first;
	part->width = model->noutputs;
	if (training->predicted != NULL)
	{
		const MlPredicted *predicted = training->predicted;

		part->label = predicted->label + first;
		part->prediction = predicted->prediction + first * part->width;
		part->weight = predicted->weight == NULL ? NULL : predicted->weight + first;
		return;
	}
	part->label = take_doubles(training, n);
	part->prediction = take_doubles(training, ml_size_mul(n, part->width));
	ml_recipe_labels(model->recipe, frame, first, n, part->label);
	predict(training, model, first, part);
	if (training->spec.weight != NULL)
	{
		const double *weight = frame->cols[ml_frame_find(frame, training->spec.weight)].number;

		part->weight = take_doubles(training, n);
		memcpy(part->weight, weight + first, sizeof(double) * n);
	}
	if (training->row != NULL && training->row->metric != NULL && ml_metric_find(training->row->metric) == NULL)
	{
		Size		bytes = ml_size_mul(Max(n, 1), sizeof(int64));

		ml_budget_take(&training->budget, bytes, "predictions to measure");
		part->row = palloc_extended(bytes, MCXT_ALLOC_HUGE);
	}
	labelled = drop_unlabelled(part);
	if (labelled < n)
		ml_training_warn(training,
						 psprintf(INT64_FORMAT " held-out rows are of a class that the training rows do not have: not measured",
								  n - labelled));
	part->n = labelled;
}

/* is it a metric that a training measures on these rows? */
static bool
is_measured(const MlMetric *metric, const MlMetric *headline, const MlMeasurement *rows)
{
	if (!(metric->tasks & rows->task) || (rows->loss == NULL && (rows->task & ML_TASKS_UNSUPERVISED)))
		return false;
	return metric == headline || !metric->on_request;
}

/* what metrics take they share, and give back when all are done */
static Size
memory_of_metrics(const MlMetric *headline, const MlMeasurement *rows)
{
	Size		most = 0;

	for (int i = 0; ml_metrics[i] != NULL; i++)
		if (is_measured(ml_metrics[i], headline, rows))
			most = Max(most, ml_metrics[i]->row_memory);
	return ml_size_mul(rows->n, most);
}

static double
measure_custom(MlTraining *training, const MlModel *model, const MlCustomMetric *metric,
			   const MlMeasurement *measured, const Part *part)
{
	MlCustomRows rows;

	ml_training_custom_rows(training, model, measured, &rows);
	rows.frame_row = part->row;
	rows.frame_first = part->first;
	return ml_training_try_custom(training, metric, &rows);
}

static Jsonb *
measure(MlTraining *training, const MlModel *model, const Part *part,
		const Headline *headline, double *value)
{
	MlMeasurement rows = {0};
	MlShared	shared = {0};
	MlJson		json = {0};
	Size		bytes;

	rows.task = model->recipe->target.task;
	rows.n = part->n;
	rows.label = part->label;
	rows.prediction = part->prediction;
	rows.weight = part->weight;
	rows.loss = part->loss;
	rows.nclasses = model->recipe->target.nclasses;
	rows.threshold = 0.5;
	rows.shared = &shared;
	bytes = memory_of_metrics(headline->metric, &rows);
	ml_budget_take(&training->budget, bytes, "the metrics");
	ml_json_begin_object(&json);
	for (int i = 0; ml_metrics[i] != NULL; i++)
	{
		const MlMetric *metric = ml_metrics[i];
		double		result;

		if (!is_measured(metric, headline->metric, &rows))
			continue;
		CHECK_FOR_INTERRUPTS();
		result = metric->measure(&rows);
		ml_json_put_float(&json, metric->name, result);
		if (metric == headline->metric)
			*value = result;
	}
	ml_metric_forget(&shared);
	ml_budget_give(&training->budget, bytes);
	if (headline->custom != NULL)
	{
		*value = measure_custom(training, model, headline->custom, &rows, part);
		ml_json_put_float(&json, headline->custom->name, *value);
	}
	ml_json_end_object(&json);
	return ml_json_finish(&json);
}

/* ---- without a target: what rows lose ---- */

static void
measure_losses(MlTraining *training, const MlModel *model, int64 first, int64 n, MlLoss *loss)
{
	for (int64 done = 0; done < n; done += MEASURE_ROWS)
	{
		ml_training_report(training, "measuring", done, n, NAN);
		ml_model_judge_frame(model, training->frame, first + done, Min(n - done, MEASURE_ROWS), loss + done);
	}
}

/* Everything that stands for a row is the mean. */
static void
lose_all(MlLoss *loss, int64 n)
{
	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		loss[i].loss = loss[i].spread;
		loss[i].silhouette = NAN;
	}
}

/* losses of a part of the frame, or of rows that are elsewhere */
static void
make_lossy_part(MlTraining *training, const MlModel *model, int64 first, int64 n, Part *part)
{
	const MlPredicted *predicted = training->predicted;
	const double *weight = training->spec.weight == NULL || predicted != NULL ? NULL :
		training->frame->cols[ml_frame_find(training->frame, training->spec.weight)].number;

	part->n = n;
	if (predicted != NULL)
	{
		part->loss = predicted->loss + first;
		part->weight = predicted->weight + first;
		return;
	}
	part->weight = weight == NULL ? NULL : unconstify(double *, weight) + first;
	measure_losses(training, model, first, n, part->loss);
}

/* the metrics of the training part, the hold-out, and the mean alone, into result */
static void
measure_without_target(MlTraining *training, const MlModel *model, const Headline *headline, Jsonb **result)
{
	MlMeasured *measured = &training->measured;
	int64		ntrain = training->predicted ? training->predicted->ntrain : training->ntrain;
	int64		nholdout = training->predicted ? training->predicted->nholdout : training->nholdout;
	Part		part = {0};
	Size		bytes = ml_size_mul(Max(ntrain, nholdout), sizeof(MlLoss));
	double		none;

	if (model->routine->judge_block == NULL)
	{
		result[0] = measure(training, model, &part, headline, &none);
		return;
	}
	if (training->predicted == NULL)
	{
		ml_budget_take(&training->budget, bytes, "losses to measure");
		part.loss = palloc_extended(bytes, MCXT_ALLOC_HUGE);
	}
	make_lossy_part(training, model, 0, ntrain, &part);
	result[0] = measure(training, model, &part, headline, &measured->value);
	if (nholdout > 0)
	{
		make_lossy_part(training, model, ntrain, nholdout, &part);
		result[1] = measure(training, model, &part, headline, &measured->value);
	}
	lose_all(part.loss, part.n);
	result[2] = measure(training, model, &part, headline, &measured->baseline_value);
}

static double
mean_label(const Part *part)
{
	double		sum = 0;
	double		weights = 0;

	for (int64 i = 0; i < part->n; i++)
	{
		double		weight = part->weight != NULL ? part->weight[i] : 1.0;

		ml_check_row(i);
		sum += weight * part->label[i];
		weights += weight;
	}
	return sum / weights;
}

/* Replaces the predictions of a part by what the training labels alone say. */
static void
predict_constant(const MlTarget *target, double mean, Part *part)
{
	for (int64 i = 0; i < part->n; i++)
	{
		ml_check_row(i);
		for (int k = 0; k < part->width; k++)
			part->prediction[i * part->width + k] =
				target->task == ML_TASK_MULTICLASS ? target->class_share[k]
				: target->task == ML_TASK_BINARY ? target->class_share[target->positive]
				: mean;
	}
}

static void
measure_with_target(MlTraining *training, const MlModel *model, const Headline *headline, Jsonb **result)
{
	MlMeasured *measured = &training->measured;
	int64		ntrain = training->predicted ? training->predicted->ntrain : training->ntrain;
	int64		nholdout = training->predicted ? training->predicted->nholdout : training->nholdout;
	Part		part;
	double		mean;

	make_part(training, model, 0, ntrain, &part);
	measured->mean_label = mean = mean_label(&part);
	result[0] = measure(training, model, &part, headline, &measured->value);
	if (nholdout > 0)
	{
		make_part(training, model, ntrain, nholdout, &part);
		result[1] = measure(training, model, &part, headline, &measured->value);
	}
	predict_constant(&model->recipe->target, mean, &part);
	result[2] = measure(training, model, &part, headline, &measured->baseline_value);
}

/* in the context of the training, which tells its name at the end */
static void
choose_headline(MlTraining *training, MlTask task, Headline *headline)
{
	const char *name = training->row != NULL ? training->row->metric : NULL;
	MemoryContext old = MemoryContextSwitchTo(training->cxt);

	headline->metric = name != NULL ? ml_metric_find(name) : NULL;
	if (headline->metric == NULL)
		headline->custom = ml_custom_metric(name);
	if (headline->metric == NULL && headline->custom == NULL)
		headline->metric = ml_metric_default(task);
	MemoryContextSwitchTo(old);
}

void
ml_training_measure(MlTraining *training, const MlModel *model)
{
	const MlTarget *target = &model->recipe->target;
	MlMeasured *measured = &training->measured;
	Size		before = training->budget.used;
	MemoryContext cxt = AllocSetContextCreate(training->cxt, "mlops measure", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	Headline	headline = {NULL};
	Jsonb	   *result[3] = {NULL, NULL, NULL};

	/* the target's type may have left open which task it is */
	ml_training_require_task(training, training->row, target->task);
	choose_headline(training, target->task, &headline);
	measured->headline = headline.custom != NULL ? headline.custom->name :
		headline.metric != NULL ? headline.metric->name : NULL;
	if (target->task & ML_TASKS_UNSUPERVISED)
		measure_without_target(training, model, &headline, result);
	else
		measure_with_target(training, model, &headline, result);

	if (headline.custom != NULL && isnan(measured->value))
		measured->headline = NULL;
	MemoryContextSwitchTo(training->cxt);
	measured->training = (Jsonb *) PG_DETOAST_DATUM_COPY(PointerGetDatum(result[0]));
	if (result[1] != NULL)
		measured->holdout = (Jsonb *) PG_DETOAST_DATUM_COPY(PointerGetDatum(result[1]));
	if (result[2] != NULL)
		measured->baseline = (Jsonb *) PG_DETOAST_DATUM_COPY(PointerGetDatum(result[2]));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	training->budget.used = before;
}
