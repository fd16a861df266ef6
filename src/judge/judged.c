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

static double *
gather_doubles(const double *from, const uint32 *place, int64 n)
{
	double	   *to = palloc_extended(sizeof(double) * Max(n, 1), MCXT_ALLOC_HUGE);

	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		to[i] = from[place[i]];
	}
	return to;
}

/* what the rows say of one version; labels, weights and random numbers of two are the same */
static void
gather_version(const MlJudged *judged, const uint32 *place, int64 n, MlSample *sample)
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
		sample->rows.loss = loss = palloc_extended(sizeof(MlLoss) * Max(n, 1), MCXT_ALLOC_HUGE);
		for (int64 i = 0; i < n; i++)
		{
			ml_check_row(i);
			loss[i] = judged->loss[place[i]];
		}
		return;
	}
	sample->rows.label = gather_doubles(judged->label, place, n);
	sample->rows.prediction = prediction = palloc_extended(ml_size_mul(Max(n, 1), sizeof(double) * width), MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		for (int k = 0; k < width; k++)
			prediction[i * width + k] = judged->prediction[(int64) place[i] * width + k];
	}
}

static void
gather_rows(const MlJudged *judged, MlGathered *gathered, int64 n)
{
	const MlJury *jury = judged->jury;
	uint64	   *random = palloc_extended(sizeof(uint64) * Max(n, 1), MCXT_ALLOC_HUGE);

	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		random[i] = jury->random[gathered->place[i]];
	}
	gathered->sample.random = random;
	gathered->sample.seed = jury->seed;
	if (jury->weight != NULL && !jury->slice[gathered->slice].pinned)
		gathered->sample.rows.weight = gather_doubles(jury->weight, gathered->place, n);
	gathered->other_sample = gathered->sample;
	gather_version(judged, gathered->place, n, &gathered->sample);
	if (gathered->other != NULL)
		gather_version(gathered->other, gathered->place, n, &gathered->other_sample);
}

/* what is kept is the caller's business no more than the plan of a statement is: judged is not changed */
MlGathered *
ml_judged_gather(const MlJudged *judged, const MlJudged *other, int slice)
{
	MlJudged   *keeper = unconstify(MlJudged *, judged);
	MemoryContext cxt;
	MemoryContext old;
	MlGathered *gathered = judged->gathered;

	if (gathered != NULL && gathered->slice == slice && gathered->other == other)
		return gathered;
	if (gathered != NULL)
		MemoryContextDelete(gathered->cxt);
	keeper->gathered = NULL;
	cxt = AllocSetContextCreate(judged->cxt, "mlops rows of a slice", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	gathered = palloc0(sizeof(MlGathered));
	gathered->cxt = cxt;
	gathered->slice = slice;
	gathered->other = other;
	gathered->place = palloc_extended(sizeof(uint32) * Max(judged->jury->slice[slice].nrows, 1), MCXT_ALLOC_HUGE);
	gather_rows(judged, gathered, choose_places(judged, gathered));
	keeper->gathered = gathered;
	MemoryContextSwitchTo(old);
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

static const uint32 *
sort_few(const MlSample *sample)
{
	int64		n = sample->rows.n;
	MlKeyed    *item = palloc_extended(sizeof(MlKeyed) * Max(n, 1) * 2, MCXT_ALLOC_HUGE);
	uint32	   *order = palloc_extended(sizeof(uint32) * Max(n, 1), MCXT_ALLOC_HUGE);

	for (int64 i = 0; i < n; i++)
	{
		item[i].row = i;
		item[i].key = ml_double_key(sample->rows.prediction[i]);
	}
	ml_sort(item, item + n, n, 64);
	for (int64 i = 0; i < n; i++)
		order[i] = (uint32) item[i].row;
	pfree(item);
	return order;
}

/* the order of all rows, those of the slice alone */
static const uint32 *
pick_order(const MlJudged *judged, const uint32 *place, int64 n)
{
	const uint32 *all = order_of(judged);
	int64		nrows = judged->jury->nrows;
	uint32	   *index = palloc_extended(sizeof(uint32) * nrows, MCXT_ALLOC_HUGE);
	uint32	   *order = palloc_extended(sizeof(uint32) * Max(n, 1), MCXT_ALLOC_HUGE);
	int64		k = 0;

	memset(index, 0xff, sizeof(uint32) * nrows);
	for (int64 i = 0; i < n; i++)
		index[place[i]] = (uint32) i;
	for (int64 i = 0; i < nrows; i++)
	{
		uint32		at = index[all[i]];

		ml_check_row(i);
		if (at != NOWHERE)
			order[k++] = at;
	}
	pfree(index);
	return order;
}

static void
put_in_order(const MlJudged *judged, const MlGathered *gathered, MlSample *sample)
{
	int64		n = sample->rows.n;

	if (sample->order == NULL)
		sample->order = n < judged->jury->nrows / SPARSE ? sort_few(sample) :
			pick_order(judged, gathered->place, n);
}

static void
prepare(const MlJudged *judged, const MlMetric *metric, const MlGathered *gathered, MlSample *sample)
{
	const MlIntervalRule *rule = ml_interval_rule(metric);

	if (rule->row_values != NULL)
		sample->value = gather_doubles(values_of(judged, metric), gathered->place, sample->rows.n);
	if (rule->kind == ML_INTERVAL_AREA)
		put_in_order(judged, gathered, sample);
}

void
ml_judged_prepare(const MlJudged *judged, const MlMetric *metric, MlGathered *gathered)
{
	MemoryContext old = MemoryContextSwitchTo(gathered->cxt);

	prepare(judged, metric, gathered, &gathered->sample);
	if (gathered->other != NULL)
		prepare(gathered->other, metric, gathered, &gathered->other_sample);
	MemoryContextSwitchTo(old);
}

void
ml_judged_order(const MlJudged *judged, MlGathered *gathered)
{
	MemoryContext old = MemoryContextSwitchTo(gathered->cxt);

	put_in_order(judged, gathered, &gathered->sample);
	MemoryContextSwitchTo(old);
}
