/*
 * estimate.c
 *		A metric of one version on a slice, and of two on the same rows.
 */
#include "postgres.h"

#include <math.h>

#include "interrupts.h"
#include "judge/jury.h"
#include "metric/custom.h"
#include "utils/memutils.h"

/* ---- which metric ---- */

MlJudgeMetric *
ml_judge_metric(const char *model, MlTask task, const char *name)
{
	MlJudgeMetric *result;
	const MlMetric *metric;

	if (name == NULL)
	{
		MlModelRow *row = ml_registry_model_row(model);

		metric = ml_metric_default(task);
		if (row != NULL && row->metric != NULL)
			name = row->metric;
		else if (metric != NULL)
			name = metric->name;
		else
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("there is no metric that judges model \"%s\"", model),
					 errdetail("It has no primary metric, and its task has no default."),
					 errhint("SELECT * FROM mlops_metrics() lists them by task.")));
	}
	metric = ml_metric_find(name);
	if (metric == NULL)
	{
		result = ml_judge_custom_metric(model, task, name);
		if (result == NULL)
			ml_metric_error_unknown(name, task, NULL);
		return result;
	}
	ml_metric_require(model, name, task);
	result = palloc0(sizeof(MlJudgeMetric));
	result->name = metric->name;
	result->higher_is_better = metric->higher_is_better;
	result->metric = metric;
	return result;
}

const char *
ml_judge_metric_name(const MlJudgeMetric *metric)
{
	return metric->name;
}

bool
ml_judge_metric_higher_is_better(const MlJudgeMetric *metric)
{
	return metric->higher_is_better;
}

double
ml_judge_metric_span(const MlJudgeMetric *metric)
{
	double		span = metric->metric != NULL ? metric->metric->maximum - metric->metric->minimum :
		metric->custom->maximum - metric->custom->minimum;

	return isnan(span) ? INFINITY : span;
}

const MlMetric *
ml_judge_metric_builtin(const MlJudgeMetric *metric)
{
	return metric->metric;
}

const struct MlCustomMetric *
ml_judge_metric_registered(const MlJudgeMetric *metric)
{
	return metric->custom;
}

/* ---- the baseline ---- */

/* rows of a class are alike to a constant: one of them, of the weight of all, stands for them */
static double
baseline_of_classes(const MlMetric *metric, const MlTarget *target, const MlSample *sample)
{
	const MlMeasurement *rows = &sample->rows;
	int			n = rows->task == ML_TASK_BINARY ? 2 : rows->nclasses;
	int			width = rows->task == ML_TASK_BINARY ? 1 : rows->nclasses;
	double	   *weight = palloc0(sizeof(double) * n);
	double	   *label = palloc(sizeof(double) * n);
	double	   *prediction = palloc(sizeof(double) * n * width);
	MlMeasurement classes = *rows;
	int			present = 0;

	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		weight[(int) rows->label[i]] += rows->weight == NULL ? 1.0 : rows->weight[i];
	}
	for (int c = 0; c < n; c++)
	{
		if (weight[c] == 0.0)
			continue;
		weight[present] = weight[c];
		label[present] = c;
		for (int k = 0; k < width; k++)
			prediction[present * width + k] = rows->task == ML_TASK_BINARY ?
				target->class_share[target->positive] : target->class_share[k];
		present++;
	}
	classes.n = present;
	classes.label = label;
	classes.prediction = prediction;
	classes.weight = weight;
	return metric->measure(&classes);
}

static double
baseline_of_mean(const MlMetric *metric, double mean, const MlSample *sample)
{
	MlMeasurement rows = sample->rows;
	double	   *prediction;

	if (isnan(mean))
		return NAN;
	prediction = palloc_extended(sizeof(double) * rows.n, MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < rows.n; i++)
	{
		ml_check_row(i);
		prediction[i] = mean;
	}
	rows.prediction = prediction;
	return metric->measure(&rows);
}

/* the mean stands for every row */
static double
baseline_of_losses(const MlMetric *metric, const MlSample *sample)
{
	MlMeasurement rows = sample->rows;
	MlLoss	   *loss = palloc_extended(sizeof(MlLoss) * rows.n, MCXT_ALLOC_HUGE);

	for (int64 i = 0; i < rows.n; i++)
	{
		ml_check_row(i);
		loss[i] = rows.loss[i];
		loss[i].loss = loss[i].spread;
		loss[i].silhouette = NAN;
	}
	rows.loss = loss;
	return metric->measure(&rows);
}

static double
baseline_of(const MlJudged *judged, const MlMetric *metric, const MlSample *sample)
{
	if (sample->rows.n == 0)
		return NAN;
	if (judged->loss != NULL)
		return baseline_of_losses(metric, sample);
	if (judged->target->task == ML_TASK_REGRESSION)
		return baseline_of_mean(metric, judged->mean_label, sample);
	return baseline_of_classes(metric, judged->target, sample);
}

/* ---- estimates ---- */

/* work that is thrown away as a whole; of a row two influences, a constant or a weight, and what the metric takes */
typedef struct Work
{
	MlBudget   *budget;
	Size		bytes;
	MemoryContext cxt;
	MemoryContext old;
} Work;

static void
begin_work(const MlJudged *judged, const MlMetric *metric, const MlSample *sample, Work *work)
{
	Size		constant = sizeof(double) * judged->width + (judged->loss != NULL ? sizeof(MlLoss) : 0);

	work->budget = &judged->jury->budget;
	work->bytes = ml_size_mul(sample->rows.n, 2 * sizeof(double) + constant + metric->row_memory);
	ml_budget_take(work->budget, work->bytes, "an interval");
	work->cxt = AllocSetContextCreate(judged->cxt, "mlops estimate", ALLOCSET_DEFAULT_SIZES);
	work->old = MemoryContextSwitchTo(work->cxt);
}

static void
end_work(Work *work)
{
	MemoryContextSwitchTo(work->old);
	MemoryContextDelete(work->cxt);
	ml_budget_give(work->budget, work->bytes);
}

void
ml_judge_estimate(const MlJudged *judged, const MlJudgeMetric *metric, int slice, MlEstimate *result)
{
	MlGathered *gathered;
	MlInterval	interval;
	Work		work;

	if (metric->metric == NULL)
	{
		ml_judge_custom_estimate(judged, metric, slice, result);
		return;
	}
	CHECK_FOR_INTERRUPTS();
	gathered = ml_judged_gather(judged, NULL, slice);
	ml_judged_prepare_estimate(judged, metric->metric, gathered);
	begin_work(judged, metric->metric, &gathered->sample, &work);
	ml_interval(metric->metric, &gathered->sample, &interval);
	result->value = interval.value;
	result->low = interval.low;
	result->high = interval.high;
	result->baseline = baseline_of(judged, metric->metric, &gathered->sample);
	result->n = gathered->sample.rows.n;
	result->seen = judged->seen == NULL ? -1 : gathered->seen;
	end_work(&work);
}

void
ml_judge_compare(const MlJudged *candidate, const MlJudged *champion,
				 const MlJudgeMetric *metric, int slice, MlDifference *result)
{
	MlGathered *gathered;
	MlPaired	paired;
	Work		work;

	if (metric->metric == NULL)
	{
		ml_judge_custom_compare(candidate, champion, metric, slice, result);
		return;
	}
	CHECK_FOR_INTERRUPTS();
	gathered = ml_judged_gather(candidate, champion, slice);
	ml_judged_prepare(candidate, metric->metric, gathered);
	begin_work(candidate, metric->metric, &gathered->sample, &work);
	ml_interval_paired(metric->metric, &gathered->sample, &gathered->other_sample, &paired);
	ml_difference_of_paired(&paired, gathered->sample.rows.n, result);
	end_work(&work);
}

void
ml_difference_of_paired(const MlPaired *paired, int64 n, MlDifference *result)
{
	bool		told = paired->p_value < 0.05;

	result->candidate = paired->first;
	result->champion = paired->second;
	result->difference = paired->difference;
	result->low = paired->low;
	result->high = paired->high;
	result->p_value = paired->p_value;
	result->n = n;
	result->needed = told || !(paired->needed < (double) PG_INT64_MAX) ? 0 : (int64) paired->needed;
}
