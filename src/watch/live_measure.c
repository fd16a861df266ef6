/*
 * live_measure.c
 *		Metrics of a group of live rows, with intervals.
 *
 * Metrics of the labels of two classes are of the labels as they were logged, whatever the
 * threshold was or a rule made of it. Of several classes the log has the label
 * and its probability only: a metric is given if it depends on labels alone,
 * which is found out by measuring three times, with all else said differently.
 */
#include "postgres.h"

#include <math.h>

#include "frame/hash.h"
#include "interrupts.h"
#include "metric/custom.h"
#include "metric/interval.h"
#include "metric/measure.h"
#include "sort.h"
#include "utils/memutils.h"
#include "watch/live.h"

#define SEED	42
#define SOFT	0.9				/* of 1, for the label; the rest to the others */
#define ALPHA	0.05			/* how often a difference may be found, at any look, where there is none */
#define LEAST_KEYS	100			/* fewer are too few to estimate the error of a difference for all looks */

/* what the metrics of a group share; random, order and cluster are as in MlSample */
struct MlLivePrepared
{
	MemoryContext cxt;
	Size		taken;			/* from the budget */
	uint64	   *random;
	uint32	   *cluster;
	int64		nclusters;
	uint32	   *order;			/* by prediction; NULL: not yet needed */
	double	   *said;			/* BINARY: 1 for rows labelled positive */
	double	   *certain;		/* MULTICLASS: n x classes, 1 for the label; the others are alike */
	double	   *rising;			/* the rest rises from class to class */
	double	   *falling;
};

/* ---- what is shared ---- */

static void *
take(MlLive *live, MlLivePrepared *prepared, int64 n, Size size)
{
	Size		bytes = ml_size_mul(n, size);

	ml_budget_take(&live->budget, bytes, "measuring live predictions");
	prepared->taken += bytes;
	return MemoryContextAllocHuge(prepared->cxt, Max(bytes, 1));
}

static void
sort_keyed(MlLive *live, MlLivePrepared *prepared, const MlLiveGroup *group, MlKeyed *item)
{
	Size		bytes = ml_size_mul(group->n, sizeof(MlKeyed));
	MlKeyed    *spare;

	ml_budget_take(&live->budget, bytes, "measuring live predictions");
	spare = MemoryContextAllocHuge(prepared->cxt, bytes);
	ml_sort(item, spare, group->n, 64);
	pfree(spare);
	ml_budget_give(&live->budget, bytes);
}

static void
give_items(MlLive *live, MlLivePrepared *prepared, const MlLiveGroup *group, MlKeyed *item)
{
	pfree(item);
	prepared->taken -= sizeof(MlKeyed) * group->n;
	ml_budget_give(&live->budget, sizeof(MlKeyed) * group->n);
}

/* rows of the same key are a cluster, numbered in the order of the keys' hashes */
static void
find_clusters(MlLive *live, MlLivePrepared *prepared, const MlLiveGroup *group)
{
	MlKeyed    *item = take(live, prepared, group->n, sizeof(MlKeyed));

	prepared->cluster = take(live, prepared, group->n, sizeof(uint32));
	prepared->random = take(live, prepared, group->n, sizeof(uint64));
	for (int64 i = 0; i < group->n; i++)
	{
		ml_check_row(i);
		prepared->random[i] = ml_hash_mix(group->key[i]);
		item[i].key = group->key[i];
		item[i].row = i;
	}
	sort_keyed(live, prepared, group, item);
	for (int64 i = 0; i < group->n; i++)
	{
		ml_check_row(i);
		prepared->nclusters += i == 0 || item[i].key != item[i - 1].key;
		prepared->cluster[item[i].row] = (uint32) (prepared->nclusters - 1);
	}
	give_items(live, prepared, group, item);
}

static const uint32 *
order_of(MlLive *live, MlLivePrepared *prepared, const MlLiveGroup *group)
{
	MlKeyed    *item;

	if (prepared->order != NULL)
		return prepared->order;
	item = take(live, prepared, group->n, sizeof(MlKeyed));
	for (int64 i = 0; i < group->n; i++)
	{
		ml_check_row(i);
		item[i].key = ml_double_key(group->prediction[i]);
		item[i].row = i;
	}
	sort_keyed(live, prepared, group, item);
	prepared->order = take(live, prepared, group->n, sizeof(uint32));
	for (int64 i = 0; i < group->n; i++)
	{
		ml_check_row(i);
		prepared->order[i] = (uint32) item[i].row;
	}
	give_items(live, prepared, group, item);
	return prepared->order;
}

static void
say_labels(MlLive *live, MlLivePrepared *prepared, const MlLiveGroup *group)
{
	prepared->said = take(live, prepared, group->n, sizeof(double));
	for (int64 i = 0; i < group->n; i++)
	{
		ml_check_row(i);
		prepared->said[i] = group->class[i] == 1 ? 1.0 : 0.0;
	}
}

/* certainty for the label, and the rest by the classes' weights */
static double *
spread(MlLive *live, MlLivePrepared *prepared, const MlLiveGroup *group, double certainty, int direction)
{
	int			n = live->kind.nclasses;
	double	   *result = take(live, prepared, ml_size_mul(group->n, n), sizeof(double));

	for (int64 i = 0; i < group->n; i++)
	{
		double		total = 0.0;
		double	   *p = result + i * n;

		ml_check_row(i);
		for (int c = 0; c < n; c++)
		{
			p[c] = c == group->class[i] ? 0.0 : direction == 0 ? 1.0 : direction > 0 ? c + 1 : n - c;
			total += p[c];
		}
		for (int c = 0; c < n; c++)
			p[c] = c == group->class[i] ? certainty : total > 0.0 ? (1.0 - certainty) * p[c] / total : 0.0;
	}
	return result;
}

static MlLivePrepared *
prepare(MlLive *live, MlLiveGroup *group)
{
	MlLivePrepared *prepared;
	MemoryContext cxt;

	if (group->prepared != NULL)
		return group->prepared;
	cxt = AllocSetContextCreate(live->cxt, "mlops live group", ALLOCSET_DEFAULT_SIZES);
	prepared = MemoryContextAllocZero(cxt, sizeof(MlLivePrepared));
	prepared->cxt = cxt;
	find_clusters(live, prepared, group);
	if (live->kind.task == ML_TASK_BINARY)
		say_labels(live, prepared, group);
	if (live->kind.task == ML_TASK_MULTICLASS)
	{
		prepared->certain = spread(live, prepared, group, 1.0, 0);
		prepared->rising = spread(live, prepared, group, SOFT, 1);
		prepared->falling = spread(live, prepared, group, SOFT, -1);
	}
	group->prepared = prepared;
	return prepared;
}

void
ml_live_forget(MlLive *live, MlLiveGroup *group)
{
	if (group->prepared == NULL)
		return;
	ml_budget_give(&live->budget, group->prepared->taken);
	MemoryContextDelete(group->prepared->cxt);
	group->prepared = NULL;
}

/* ---- metrics of ours ---- */

static void
describe_rows(const MlLive *live, const MlLiveGroup *group, MlMeasurement *rows)
{
	memset(rows, 0, sizeof(MlMeasurement));
	rows->task = live->kind.task;
	rows->n = group->n;
	rows->label = group->label;
	rows->nclasses = live->kind.nclasses;
	rows->threshold = 0.5;
}

static double
measure(const MlMetric *metric, MlMeasurement *rows, const double *prediction)
{
	rows->prediction = prediction;
	return metric->measure(rows);
}

/* does what is not in the log make a difference? */
static bool
is_known(const MlLive *live, const MlLivePrepared *prepared, const MlMetric *metric, MlMeasurement *rows)
{
	double		value;

	if (live->kind.task != ML_TASK_MULTICLASS)
		return true;
	value = measure(metric, rows, prepared->certain);
	return !isnan(value) && measure(metric, rows, prepared->rising) == value &&
		measure(metric, rows, prepared->falling) == value;
}

/* what ml_interval_clustered needs of the metric; memory of the values in the current context */
static void
complete_sample(MlLive *live, MlLiveGroup *group, const MlMetric *metric, MlSample *sample)
{
	MlLivePrepared *prepared = group->prepared;
	const MlIntervalRule *rule = ml_interval_rule(metric);
	bool		by_cells = ml_interval_by_cells(metric, live->kind.task);

	sample->seed = SEED;
	sample->random = prepared->random;
	sample->rows.prediction = prepared->certain != NULL ? prepared->certain :
		by_cells ? prepared->said : group->prediction;
	if (rule->kind == ML_INTERVAL_AREA)
		sample->order = order_of(live, prepared, group);
	if (rule->row_values != NULL)
	{
		double	   *value = palloc_extended(sizeof(double) * Max(group->n, 1), MCXT_ALLOC_HUGE);

		rule->row_values(&sample->rows, value);
		sample->value = value;
	}
}

/* bytes a row that measuring takes, beside what is shared: values, influence, weights of replicates */
static Size
memory_of(const MlMetric *metric, const MlLiveGroup *group)
{
	return ml_size_mul(group->n, metric->row_memory + 3 * sizeof(double));
}

static bool
estimate(MlLive *live, MlLiveGroup *group, const MlMetric *metric, MlLiveEstimate *result)
{
	MlLivePrepared *prepared = group->prepared;
	Size		bytes = memory_of(metric, group);
	MlSample	sample = {0};
	MlInterval	interval;
	bool		known;

	ml_budget_take(&live->budget, bytes, "measuring live predictions");
	describe_rows(live, group, &sample.rows);
	known = is_known(live, prepared, metric, &sample.rows);
	if (known)
	{
		complete_sample(live, group, metric, &sample);
		ml_interval_clustered(metric, &sample, prepared->cluster, prepared->nclusters, &interval);
		result->value = interval.value;
		result->low = interval.low;
		result->high = interval.high;
		result->error = interval.error;
		result->n = group->n;
		result->keys = prepared->nclusters;
	}
	ml_budget_give(&live->budget, bytes);
	return known;
}

/* ---- registered ones ---- */

/* rows as a registered metric takes them */
typedef struct RegisteredRows
{
	char	  **text;			/* n x columns of the metric */
	double	   *label;			/* NaN: the row lacks a column */
	int64		n;				/* rows that have all */
} RegisteredRows;

/* the texts of the metric's columns; rows that lack one get no label. How many have all */
static int64
pick_columns(const MlLive *live, const MlLiveGroup *group, const MlCustomMetric *metric, char **text, double *label)
{
	int			width = list_length(live->columns);
	int64		n = 0;

	for (int64 i = 0; i < group->n; i++)
	{
		bool		complete = true;

		ml_check_row(i);
		for (int k = 0; k < metric->ncolumns; k++)
		{
			int			place = ml_live_column(live, metric->column[k]);
			char	   *value = place < 0 ? NULL : group->text[i * width + place];

			complete &= value != ml_live_missing;
			text[i * metric->ncolumns + k] = value;
		}
		label[i] = complete ? group->label[i] : NAN;
		n += complete;
	}
	return n;
}

/* said: of all rows, then without each fold */
static void
ask(MlLive *live, MlLiveGroup *group, const MlCustomMetric *metric, const RegisteredRows *taken, double *said)
{
	MlLivePrepared *prepared = group->prepared;
	MlCustomRows rows = {0};
	int32	   *fold = palloc_extended(sizeof(int32) * group->n, MCXT_ALLOC_HUGE);

	for (int64 i = 0; i < group->n; i++)
		fold[i] = (int32) (prepared->random[i] % ML_CUSTOM_FOLDS);
	rows.model = live->kind.model;
	rows.task = live->kind.task;
	rows.n = group->n;
	rows.label = taken->label;
	rows.prediction = prepared->certain != NULL ? prepared->certain : group->prediction;
	rows.said = live->kind.task == ML_TASK_REGRESSION ? NULL : group->class;
	rows.nclasses = live->kind.nclasses;
	rows.class_label = live->kind.class_label;
	rows.positive = live->kind.positive;
	rows.text = taken->text;
	rows.nfolds = ML_CUSTOM_FOLDS;
	rows.fold = fold;
	ml_custom_measure(metric, &rows, said);
	pfree(fold);
}

/* the bytes that it took from the budget */
static Size
take_registered(MlLive *live, const MlLiveGroup *group, const MlCustomMetric *metric, RegisteredRows *taken)
{
	Size		row = sizeof(double) + sizeof(int32) + sizeof(char *) * metric->ncolumns;
	Size		bytes = ml_size_mul(group->n, row);

	ml_budget_take(&live->budget, bytes, "measuring live predictions");
	taken->label = palloc_extended(sizeof(double) * group->n, MCXT_ALLOC_HUGE);
	taken->text = palloc_extended(sizeof(char *) * group->n * Max(metric->ncolumns, 1), MCXT_ALLOC_HUGE);
	taken->n = pick_columns(live, group, metric, taken->text, taken->label);
	return bytes;
}

static void
estimate_of_said(const MlCustomMetric *metric, const double *said, MlLiveEstimate *result)
{
	double		half;

	result->value = said[0];
	result->error = ml_custom_jackknife(said, NULL);
	half = ml_quantile_t(ML_CUSTOM_FOLDS - 1) * result->error;
	result->low = isnan(said[0]) || isnan(half) ? NAN : fmax(said[0] - half, metric->minimum);
	result->high = isnan(result->low) ? NAN : fmin(said[0] + half, metric->maximum);
}

static bool
estimate_registered(MlLive *live, MlLiveGroup *group, const MlCustomMetric *metric, MlLiveEstimate *result)
{
	double		said[1 + ML_CUSTOM_FOLDS];
	RegisteredRows taken;
	Size		bytes = take_registered(live, group, metric, &taken);

	result->n = taken.n;
	result->keys = Min(group->prepared->nclusters, result->n);
	if (taken.n > 0)
	{
		ask(live, group, metric, &taken, said);
		estimate_of_said(metric, said, result);
	}
	ml_budget_give(&live->budget, bytes);
	return taken.n > 0;
}

/* ---- either ---- */

bool
ml_live_estimate(MlLive *live, MlLiveGroup *group, const MlJudgeMetric *metric, MlLiveEstimate *result)
{
	const MlMetric *builtin = ml_judge_metric_builtin(metric);
	MemoryContext cxt;
	MemoryContext old;
	bool		given;

	CHECK_FOR_INTERRUPTS();
	result->value = result->low = result->high = result->error = NAN;
	result->n = result->keys = 0;
	if (group->n == 0)
		return true;
	(void) prepare(live, group);
	cxt = AllocSetContextCreate(live->cxt, "mlops live metric", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	given = builtin != NULL ? estimate(live, group, builtin, result) :
		estimate_registered(live, group, ml_judge_metric_registered(metric), result);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	return given;
}

/* ---- a shadow beside what was answered ---- */

MlLiveGroup *
ml_live_shadow(MlLive *live, const MlLiveGroup *group)
{
	MlLiveGroup *shadow = MemoryContextAlloc(live->cxt, sizeof(MlLiveGroup));

	*shadow = *group;
	shadow->prediction = group->shadow_prediction;
	shadow->class = group->shadow_class;
	shadow->prepared = NULL;
	return shadow;
}

/* rows differ by their influence, keys are independent: what a sequence needs. Replicates of a bootstrap are not */
static void
look_always(const MlMetric *metric, const MlSample *sample, const MlPaired *paired, int64 nkeys, MlSequential *always)
{
	MlIntervalKind kind = ml_interval_kind(metric, &sample->rows);

	if (kind != ML_INTERVAL_BOOTSTRAP && kind != ML_INTERVAL_NONE && nkeys >= LEAST_KEYS)
		ml_sequential_difference(paired->difference, paired->error, nkeys, ALPHA, always);
}

static bool
compare(MlLive *live, MlLiveGroup *shadow, MlLiveGroup *group, const MlMetric *metric, MlLiveDifference *result)
{
	const MlLivePrepared *prepared = group->prepared;
	Size		bytes = ml_size_mul(memory_of(metric, group), 2);
	MlSample	first = {0};
	MlSample	second = {0};
	MlPaired	paired;
	bool		known;

	ml_budget_take(&live->budget, bytes, "measuring live predictions");
	describe_rows(live, shadow, &first.rows);
	describe_rows(live, group, &second.rows);
	known = is_known(live, shadow->prepared, metric, &first.rows) && is_known(live, prepared, metric, &second.rows);
	if (known)
	{
		complete_sample(live, shadow, metric, &first);
		complete_sample(live, group, metric, &second);
		ml_interval_paired_clustered(metric, &first, &second, prepared->cluster, prepared->nclusters, &paired);
		ml_difference_of_paired(&paired, group->n, &result->once);
		look_always(metric, &first, &paired, prepared->nclusters, &result->always);
	}
	ml_budget_give(&live->budget, bytes);
	return known;
}

/* both are asked of the same rows, left out in the same folds: no sequence, as thirty folds do not tell an error ever better */
static bool
compare_registered(MlLive *live, MlLiveGroup *shadow, MlLiveGroup *group, const MlCustomMetric *metric,
				   MlLiveDifference *result)
{
	double		one[1 + ML_CUSTOM_FOLDS];
	double		two[1 + ML_CUSTOM_FOLDS];
	MlPaired	paired = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
	RegisteredRows taken;
	Size		bytes = take_registered(live, group, metric, &taken);

	if (taken.n > 0)
	{
		ask(live, shadow, metric, &taken, one);
		ask(live, group, metric, &taken, two);
		paired.first = one[0];
		paired.second = two[0];
		paired.difference = one[0] - two[0];
		if (isfinite(paired.difference))
			ml_paired_by_error(&paired, ml_custom_jackknife(one, two), ML_CUSTOM_FOLDS - 1, taken.n);
		ml_difference_of_paired(&paired, taken.n, &result->once);
	}
	ml_budget_give(&live->budget, bytes);
	return taken.n > 0;
}

bool
ml_live_compare(MlLive *live, MlLiveGroup *shadow, MlLiveGroup *group, const MlJudgeMetric *metric,
				MlLiveDifference *result)
{
	const MlMetric *builtin = ml_judge_metric_builtin(metric);
	MemoryContext cxt;
	MemoryContext old;
	bool		given;

	CHECK_FOR_INTERRUPTS();
	result->once = (MlDifference) {NAN, NAN, NAN, NAN, NAN, NAN, 0, 0};
	result->always = (MlSequential) {NAN, NAN, NAN};
	if (group->n == 0)
		return true;
	(void) prepare(live, group);
	(void) prepare(live, shadow);
	cxt = AllocSetContextCreate(live->cxt, "mlops live metric", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	given = builtin != NULL ? compare(live, shadow, group, builtin, result) :
		compare_registered(live, shadow, group, ml_judge_metric_registered(metric), result);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	return given;
}
