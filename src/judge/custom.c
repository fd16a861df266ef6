/*
 * custom.c
 *		Registered metrics of somebody's: their values and intervals for all slices
 *		at once, since each is a query.
 *
 * Intervals come from leaving out one of thirty groups of rows after the other,
 * which asks nothing of an aggregate but to be run.
 */
#include "postgres.h"

#include <math.h>

#include "interrupts.h"
#include "judge/jury.h"
#include "metric/custom.h"
#include "utils/memutils.h"

#define GROUPS ML_CUSTOM_FOLDS

/* what a registered metric said of the rows that count for one version, or for two */
typedef struct Said
{
	const MlCustomMetric *metric;
	const MlJudged *other;		/* or NULL */
	double	   *value;			/* slices x (1 + GROUPS) */
	double	   *other_value;
	double	   *baseline;		/* slices; of one version */
} Said;

/* rows as a registered metric takes them */
typedef struct Asking
{
	const MlJury *jury;
	uint64	  **in_slice;		/* bits by place */
	double	   *label;			/* NaN: does not count */
	double	   *weight;
	int32	   *fold;
} Asking;

List *
ml_judge_custom_columns(List *metrics, List *names)
{
	ListCell   *cell;

	foreach(cell, metrics)
	{
		const MlJudgeMetric *metric = lfirst(cell);

		if (metric->custom != NULL)
			names = ml_custom_columns(metric->custom, names);
	}
	return names;
}

MlJudgeMetric *
ml_judge_custom_metric(const char *model, MlTask task, const char *name)
{
	MlCustomMetric *custom = ml_custom_metric(name);
	MlJudgeMetric *result;

	if (custom == NULL)
		return NULL;
	ml_custom_require(model, custom, task);
	result = palloc0(sizeof(MlJudgeMetric));
	result->name = custom->name;
	result->higher_is_better = custom->higher_is_better;
	result->custom = custom;
	return result;
}

/* ---- asking ---- */

static bool
in_group(void *arg, int64 i, int group)
{
	const Asking *asking = arg;
	const uint64 *bits = asking->in_slice[group];

	return bits[i / 64] >> (i % 64) & 1;
}

/* a row that weighs nothing is in the slice of pinned rows alone, and weighs 1 there */
static void
mark_slices(Asking *asking, const MlJudged *judged, const MlJudged *other)
{
	const MlJury *jury = asking->jury;

	asking->in_slice = palloc(sizeof(uint64 *) * jury->nslices);
	for (int s = 0; s < jury->nslices; s++)
	{
		const MlPlaces *slice = &jury->slice[s];
		uint64	   *bits = palloc_extended(sizeof(uint64) * (jury->nrows / 64 + 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

		for (int64 i = 0; i < slice->nrows; i++)
		{
			uint32		at = slice->place == NULL ? (uint32) i : slice->place[i];

			ml_check_row(i);
			if (!ml_jury_takes_seen(jury, slice) && ml_judged_has_seen(judged, other, at))
				continue;
			if (slice->pinned || jury->weight == NULL || jury->weight[at] > 0.0)
				bits[at / 64] |= UINT64CONST(1) << (at % 64);
		}
		asking->in_slice[s] = bits;
	}
}

static void
mark_rows(Asking *asking, const MlJudged *judged, const MlJudged *other)
{
	const MlJury *jury = asking->jury;
	int64		n = jury->nrows;

	asking->label = palloc_extended(sizeof(double) * n, MCXT_ALLOC_HUGE);
	asking->fold = palloc_extended(sizeof(int32) * n, MCXT_ALLOC_HUGE);
	asking->weight = jury->weight == NULL ? NULL : palloc_extended(sizeof(double) * n, MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < n; i++)
	{
		bool		counts = judged->counts[i] && (other == NULL || other->counts[i]);

		ml_check_row(i);
		asking->label[i] = counts ? judged->label[i] : NAN;
		asking->fold[i] = (int32) (jury->random[i] % GROUPS);
		if (asking->weight != NULL)
			asking->weight[i] = jury->weight[i] > 0.0 ? jury->weight[i] : 1.0;
	}
}

static double *
ask(const MlJudged *judged, const MlCustomMetric *metric, const Asking *asking, const double *prediction, int folds)
{
	const MlJury *jury = judged->jury;
	MlCustomRows rows = {0};
	double	   *result = MemoryContextAlloc(judged->cxt, sizeof(double) * jury->nslices * (1 + folds));

	rows.model = jury->model;
	rows.task = judged->target->task;
	rows.n = jury->nrows;
	rows.label = asking->label;
	rows.prediction = prediction;
	rows.weight = asking->weight;
	rows.threshold = judged->threshold;
	rows.nclasses = judged->target->nclasses;
	rows.class_label = judged->target->class_label;
	rows.positive = judged->target->positive;
	rows.frame = jury->frame;
	rows.frame_row = jury->row;
	rows.ngroups = jury->nslices;
	rows.in_group = in_group;
	rows.in_group_arg = unconstify(Asking *, asking);
	rows.nfolds = folds;
	rows.fold = folds > 0 ? asking->fold : NULL;
	ml_custom_measure(metric, &rows, result);
	return result;
}

/* of what the training labels alone suggest; NULL: not known */
static double *
ask_baseline(const MlJudged *judged, const MlCustomMetric *metric, const Asking *asking)
{
	const MlTarget *target = judged->target;
	int64		n = judged->jury->nrows;
	int			width = judged->width;
	double	   *prediction;

	if (target->task == ML_TASK_REGRESSION && isnan(judged->mean_label))
		return NULL;
	prediction = palloc_extended(ml_size_mul(n, sizeof(double) * width), MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		for (int k = 0; k < width; k++)
			prediction[i * width + k] = target->task == ML_TASK_MULTICLASS ? target->class_share[k] :
				target->task == ML_TASK_BINARY ? target->class_share[target->positive] : judged->mean_label;
	}
	return ask(judged, metric, asking, prediction, 0);
}

/* asked once, for all slices */
static const Said *
said_by(const MlJudged *judged, const MlJudged *other, const MlCustomMetric *metric)
{
	MlJudged   *keeper = unconstify(MlJudged *, judged);
	MemoryContext cxt;
	MemoryContext old;
	Asking		asking = {judged->jury};
	Said	   *said;
	ListCell   *cell;

	foreach(cell, judged->custom)
	{
		said = lfirst(cell);
		if (said->metric == metric && said->other == other)
			return said;
	}
	cxt = AllocSetContextCreate(judged->cxt, "mlops registered metric", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	mark_slices(&asking, judged, other);
	mark_rows(&asking, judged, other);
	said = MemoryContextAllocZero(judged->cxt, sizeof(Said));
	said->metric = metric;
	said->other = other;
	said->value = ask(judged, metric, &asking, judged->prediction, GROUPS);
	if (other != NULL)
		said->other_value = ask(other, metric, &asking, other->prediction, GROUPS);
	else
		said->baseline = ask_baseline(judged, metric, &asking);
	MemoryContextSwitchTo(judged->cxt);
	keeper->custom = lappend(keeper->custom, said);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	return said;
}

/* ---- what follows ---- */

void
ml_judge_custom_estimate(const MlJudged *judged, const MlJudgeMetric *metric, int slice, MlEstimate *result)
{
	const Said *said = said_by(judged, NULL, metric->custom);
	const double *value = said->value + slice * (1 + GROUPS);
	const MlGathered *gathered = ml_judged_gather(judged, NULL, slice);
	double		half = ml_quantile_t(GROUPS - 1) * ml_custom_jackknife(value, NULL);

	result->value = value[0];
	result->low = fmax(value[0] - half, metric->custom->minimum);
	result->high = fmin(value[0] + half, metric->custom->maximum);
	if (isnan(value[0]) || isnan(half))
		result->low = result->high = NAN;
	result->baseline = said->baseline == NULL ? NAN : said->baseline[slice];
	result->n = gathered->sample.rows.n;
	result->seen = judged->seen == NULL ? -1 : gathered->seen;
}

void
ml_judge_custom_compare(const MlJudged *candidate, const MlJudged *champion,
						const MlJudgeMetric *metric, int slice, MlDifference *result)
{
	const Said *said = said_by(candidate, champion, metric->custom);
	const double *one = said->value + slice * (1 + GROUPS);
	const double *two = said->other_value + slice * (1 + GROUPS);
	const MlGathered *gathered = ml_judged_gather(candidate, champion, slice);
	MlPaired	paired = {.first = one[0], .second = two[0], .difference = one[0] - two[0],
		.low = NAN, .high = NAN, .p_value = NAN, .needed = NAN, .error = NAN};

	if (isfinite(paired.difference))
		ml_paired_by_error(&paired, ml_custom_jackknife(one, two), GROUPS - 1, gathered->sample.rows.n);
	ml_difference_of_paired(&paired, gathered->sample.rows.n, result);
}
