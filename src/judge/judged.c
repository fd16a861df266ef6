/*
 * judged.c
 *		What one version says of the rows of a jury, and the rows of a slice
 *		brought together to be measured.
 *
 * Predictions, the order of the scores and the values of rows (losses) are made
 * once and shared by all slices and metrics.
 */
#include "postgres.h"

#include <math.h>

#include "interrupts.h"
#include "judge/jury.h"
#include "registry/evidence.h"
#include "sort.h"
#include "utils/memutils.h"

#define PREDICTED_ROWS	8192	/* at once */
#define NOWHERE			PG_UINT32_MAX
#define SPARSE			16		/* a slice of fewer than 1 row in so many is put in order by itself */

/* ---- judging ---- */

/* predictions come in the order of the frame, and go to their places */
static void
predict(MlJury *jury, MlJudged *judged)
{
	int64		n = jury->nrows;
	int			width = judged->width;
	double	   *output = ml_jury_take(jury, judged->cxt, ml_size_mul(n, width), sizeof(double), "predictions");

	for (int64 done = 0; done < n; done += PREDICTED_ROWS)
		ml_model_predict_frame(judged->artifact, jury->frame, done, Min(n - done, PREDICTED_ROWS), output + done * width);
	for (int64 i = 0; i < n; i++)
	{
		const double *from = output + jury->row[i] * width;

		ml_check_row(i);
		for (int k = 0; k < width; k++)
			judged->prediction[i * width + k] = from[k];
	}
	pfree(output);
	ml_budget_give(&jury->budget, ml_size_mul(ml_size_mul(n, width), sizeof(double)));
}

static void
take_labels(MlJury *jury, MlJudged *judged)
{
	int64		n = jury->nrows;
	double	   *label = ml_jury_take(jury, judged->cxt, n, sizeof(double), "labels");

	ml_recipe_labels(judged->artifact->recipe, jury->frame, 0, n, label);
	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		judged->label[i] = label[jury->row[i]];
	}
	pfree(label);
	ml_budget_give(&jury->budget, ml_size_mul(n, sizeof(double)));
}

static void
take_losses(MlJury *jury, MlJudged *judged)
{
	int64		n = jury->nrows;
	MlLoss	   *loss = ml_jury_take(jury, judged->cxt, n, sizeof(MlLoss), "losses");

	judged->loss = ml_jury_take(jury, judged->cxt, n, sizeof(MlLoss), "losses");
	for (int64 done = 0; done < n; done += PREDICTED_ROWS)
		ml_model_judge_frame(judged->artifact, jury->frame, done, Min(n - done, PREDICTED_ROWS), loss + done);
	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		judged->loss[i] = loss[jury->row[i]];
	}
	pfree(loss);
	ml_budget_give(&jury->budget, ml_size_mul(n, sizeof(MlLoss)));
}

static void
refuse_kind(const MlJury *jury, const MlResolved *resolved, const MlModel *model)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("version %d of model \"%s\" says nothing that rows could judge", resolved->version, resolved->model),
			 errdetail("It is of algorithm \"%s\", which has no measure of how well it does.", model->algorithm),
			 errhint("Judge models that predict a target, or clusters and components.")));
}

static void
mark_counting(MlJury *jury, MlJudged *judged)
{
	judged->counts = ml_jury_take(jury, judged->cxt, jury->nrows, sizeof(bool), "flags of rows");
	for (int64 i = 0; i < jury->nrows; i++)
	{
		ml_check_row(i);
		judged->counts[i] = judged->loss != NULL ? !isnan(judged->loss[i].loss) :
			!isnan(judged->label[i]) && !isnan(judged->prediction[i * judged->width]);
	}
}

MlJudged *
ml_jury_judge(MlJury *jury, const MlResolved *resolved, const MlModel *model, double threshold)
{
	MemoryContext old = MemoryContextSwitchTo(jury->cxt);
	MlJudged   *judged = palloc0(sizeof(MlJudged));

	judged->jury = jury;
	judged->cxt = jury->cxt;
	judged->model = pstrdup(resolved->model);
	judged->version = resolved->version;
	judged->artifact = model;
	judged->target = &model->recipe->target;
	judged->width = Max(model->noutputs, 1);
	judged->threshold = isnan(threshold) ? 0.5 : threshold;
	judged->mean_label = judged->target->task == ML_TASK_REGRESSION ?
		ml_registry_mean_label(resolved->model, resolved->version) : NAN;
	if (judged->target->task & ML_TASKS_UNSUPERVISED)
	{
		if (model->routine->judge_block == NULL)
			refuse_kind(jury, resolved, model);
		take_losses(jury, judged);
	}
	else
	{
		judged->label = ml_jury_take(jury, judged->cxt, jury->nrows, sizeof(double), "labels");
		judged->prediction = ml_jury_take(jury, judged->cxt, ml_size_mul(jury->nrows, judged->width),
										  sizeof(double), "predictions");
		take_labels(jury, judged);
		predict(jury, judged);
	}
	mark_counting(jury, judged);
	judged->seen = ml_jury_seen(jury, resolved, model, judged->cxt);
	MemoryContextSwitchTo(old);
	return judged;
}

/* ---- the rows of a slice ---- */

static inline bool
row_counts(const MlJudged *judged, const MlJudged *other, int64 at)
{
	return judged->counts[at] && (other == NULL || other->counts[at]);
}

/* places that count, into gathered->place; their number */
static int64
choose_places(const MlJudged *judged, MlGathered *gathered)
{
	const MlJury *jury = judged->jury;
	const MlPlaces *slice = &jury->slice[gathered->slice];
	const double *weight = slice->pinned ? NULL : jury->weight;
	int64		n = 0;

	for (int64 i = 0; i < slice->nrows; i++)
	{
		uint32		at = slice->place == NULL ? (uint32) i : slice->place[i];

		ml_check_row(i);
		if (!row_counts(judged, gathered->other, at) || (weight != NULL && weight[at] == 0.0))
			continue;
		if (ml_judged_has_seen(judged, gathered->other, at) && !slice->pinned)
		{
			gathered->seen++;
			if (!ml_jury_takes_seen(jury, slice))
				continue;
		}
		gathered->place[n++] = at;
	}
	return n;
}

/* memory of a row each for as many rows as there are, taken once and used for every slice */
static void *
buffer(const MlJudged *judged, void **kept, Size size)
{
	if (*kept == NULL)
		*kept = ml_jury_take(judged->jury, judged->cxt, judged->jury->nrows, size, "rows of a slice");
	return *kept;
}

static double *
gather_doubles(const MlJudged *judged, void **kept, const double *from, const uint32 *place, int64 n)
{
	double	   *to = buffer(judged, kept, sizeof(double));

	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		to[i] = from[place[i]];
	}
	return to;
}

/* what the rows say of one version; labels, weights and random numbers of two are the same */
static void
gather_version(const MlJudged *judged, const uint32 *place, int64 n, MlSample *sample, MlBuffers *buffers)
{
	int			width = judged->width;
	double	   *prediction;
	MlLoss	   *loss;

	sample->rows.task = judged->target->task;
	sample->rows.n = n;
	sample->rows.nclasses = judged->target->nclasses;
	sample->rows.threshold = judged->threshold;
	if (judged->loss != NULL)
	{
		sample->rows.loss = loss = buffer(judged, &buffers->loss, sizeof(MlLoss));
		for (int64 i = 0; i < n; i++)
		{
			ml_check_row(i);
			loss[i] = judged->loss[place[i]];
		}
		return;
	}
	sample->rows.label = gather_doubles(judged, &buffers->label, judged->label, place, n);
	if (width == 1)
	{
		sample->rows.prediction = gather_doubles(judged, &buffers->prediction, judged->prediction, place, n);
		return;
	}
	sample->rows.prediction = prediction = buffer(judged, &buffers->prediction, sizeof(double) * width);
	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		memcpy(prediction + i * width, judged->prediction + (int64) place[i] * width, sizeof(double) * width);
	}
}

static void
gather_rows(const MlJudged *judged, MlGathered *gathered, int64 n)
{
	const MlJury *jury = judged->jury;

	memset(&gathered->sample, 0, sizeof(MlSample));
	gathered->sample.seed = jury->seed;
	if (jury->weight != NULL && !jury->slice[gathered->slice].pinned)
		gathered->sample.rows.weight = gather_doubles(judged, &gathered->weight, jury->weight, gathered->place, n);
	gathered->other_sample = gathered->sample;
	gather_version(judged, gathered->place, n, &gathered->sample, &gathered->buffers);
	if (gathered->other != NULL)
		gather_version(gathered->other, gathered->place, n, &gathered->other_sample, &gathered->other_buffers);
}

/* what is kept is the caller's business no more than the plan of a statement is: judged is not changed */
MlGathered *
ml_judged_gather(const MlJudged *judged, const MlJudged *other, int slice)
{
	MlJudged   *keeper = unconstify(MlJudged *, judged);
	MlGathered *gathered = judged->gathered;

	if (gathered == NULL)
	{
		gathered = keeper->gathered = MemoryContextAllocZero(judged->cxt, sizeof(MlGathered));
		gathered->place = ml_jury_take(judged->jury, judged->cxt, judged->jury->nrows, sizeof(uint32), "rows of a slice");
	}
	else if (gathered->slice == slice && gathered->other == other)
		return gathered;
	gathered->slice = slice;
	gathered->other = other;
	gathered->seen = 0;
	gather_rows(judged, gathered, choose_places(judged, gathered));
	return gathered;
}

/* ---- of a metric ---- */

static const double *
values_of(const MlJudged *judged, const MlMetric *metric)
{
	MlJudged   *keeper = unconstify(MlJudged *, judged);
	MlJury	   *jury = judged->jury;
	MlMeasurement rows = {0};
	MlJudgedValues *values;
	MemoryContext old;
	ListCell   *cell;

	foreach(cell, judged->values)
	{
		values = lfirst(cell);
		if (values->metric == metric)
			return values->value;
	}
	rows.task = judged->target->task;
	rows.n = jury->nrows;
	rows.label = judged->label;
	rows.prediction = judged->prediction;
	rows.loss = judged->loss;
	rows.nclasses = judged->target->nclasses;
	rows.threshold = judged->threshold;
	old = MemoryContextSwitchTo(judged->cxt);
	values = palloc(sizeof(MlJudgedValues));
	values->metric = metric;
	values->value = ml_jury_take(jury, judged->cxt, jury->nrows, sizeof(double), "losses of rows");
	ml_interval_rule(metric)->row_values(&rows, values->value);
	keeper->values = lappend(keeper->values, values);
	MemoryContextSwitchTo(old);
	return values->value;
}

/* places by prediction; a missing one is last */
static const uint32 *
order_of(const MlJudged *judged)
{
	MlJudged   *keeper = unconstify(MlJudged *, judged);
	MlJury	   *jury = judged->jury;
	int64		n = jury->nrows;
	MlKeyed    *item;
	MlKeyed    *spare;

	if (judged->order != NULL)
		return judged->order;
	item = ml_jury_take(jury, judged->cxt, n, sizeof(MlKeyed), "the order of predictions");
	spare = ml_jury_take(jury, judged->cxt, n, sizeof(MlKeyed), "the order of predictions");
	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		item[i].row = i;
		item[i].key = isnan(judged->prediction[i]) ? PG_UINT64_MAX : ml_double_key(judged->prediction[i]);
	}
	ml_sort(item, spare, n, 64);
	keeper->order = ml_jury_take(jury, judged->cxt, n, sizeof(uint32), "the order of predictions");
	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		keeper->order[i] = (uint32) item[i].row;
	}
	pfree(item);
	pfree(spare);
	ml_budget_give(&jury->budget, 2 * ml_size_mul(n, sizeof(MlKeyed)));
	return judged->order;
}

static void
sort_few(const MlSample *sample, uint32 *order)
{
	int64		n = sample->rows.n;
	MlKeyed    *item = palloc_extended(sizeof(MlKeyed) * Max(n, 1) * 2, MCXT_ALLOC_HUGE);

	for (int64 i = 0; i < n; i++)
	{
		item[i].row = i;
		item[i].key = ml_double_key(sample->rows.prediction[i]);
	}
	ml_sort(item, item + n, n, 64);
	for (int64 i = 0; i < n; i++)
		order[i] = (uint32) item[i].row;
	pfree(item);
}

/* the order of all rows, those of the slice alone */
static void
pick_order(const MlJudged *judged, MlGathered *gathered, int64 n, uint32 *order)
{
	const uint32 *all = order_of(judged);
	int64		nrows = judged->jury->nrows;
	uint32	   *index = buffer(judged, &gathered->index, sizeof(uint32));
	int64		k = 0;

	memset(index, 0xff, sizeof(uint32) * nrows);
	for (int64 i = 0; i < n; i++)
		index[gathered->place[i]] = (uint32) i;
	for (int64 i = 0; i < nrows; i++)
	{
		uint32		at = index[all[i]];

		ml_check_row(i);
		if (at != NOWHERE)
			order[k++] = at;
	}
}

static void
put_in_order(const MlJudged *judged, MlGathered *gathered, MlSample *sample, MlBuffers *buffers)
{
	int64		n = sample->rows.n;
	uint32	   *order = buffer(judged, &buffers->order, sizeof(uint32));

	if (sample->order != NULL)
		return;
	if (n < judged->jury->nrows / SPARSE)
		sort_few(sample, order);
	else
		pick_order(judged, gathered, n, order);
	sample->order = order;
}

static void
prepare(const MlJudged *judged, const MlMetric *metric, MlGathered *gathered, MlSample *sample, MlBuffers *buffers)
{
	const MlIntervalRule *rule = ml_interval_rule(metric);

	if (rule->row_values != NULL)
		sample->value = gather_doubles(judged, &buffers->value, values_of(judged, metric), gathered->place, sample->rows.n);
	if (rule->kind == ML_INTERVAL_AREA)
		put_in_order(judged, gathered, sample, buffers);
}

/* random numbers of the rows, of both versions the same */
static void
prepare_random(const MlJudged *judged, MlGathered *gathered)
{
	const MlJury *jury = judged->jury;
	uint64	   *random = buffer(judged, &gathered->random, sizeof(uint64));

	if (gathered->sample.random != NULL)
		return;
	for (int64 i = 0; i < gathered->sample.rows.n; i++)
	{
		ml_check_row(i);
		random[i] = jury->random[gathered->place[i]];
	}
	gathered->sample.random = gathered->other_sample.random = random;
}

void
ml_judged_prepare(const MlJudged *judged, const MlMetric *metric, MlGathered *gathered)
{
	prepare(judged, metric, gathered, &gathered->sample, &gathered->buffers);
	if (gathered->other != NULL)
		prepare(gathered->other, metric, gathered, &gathered->other_sample, &gathered->other_buffers);
	if (ml_interval_kind(metric, &gathered->sample.rows) == ML_INTERVAL_BOOTSTRAP)
		prepare_random(judged, gathered);
}

void
ml_judged_prepare_estimate(const MlJudged *judged, const MlMetric *metric, MlGathered *gathered)
{
	if (!ml_interval_by_cells(metric, judged->target->task))
		ml_judged_prepare(judged, metric, gathered);
	else if (gathered->sample.cells == NULL)
	{
		ml_interval_count_cells(&gathered->sample.rows, &gathered->cells);
		gathered->sample.cells = &gathered->cells;
	}
}

void
ml_judged_order(const MlJudged *judged, MlGathered *gathered)
{
	put_in_order(judged, gathered, &gathered->sample, &gathered->buffers);
	prepare_random(judged, gathered);
}
