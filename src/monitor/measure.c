/*
 * measure.c
 *		What monitors can watch: metrics of outcomes, and measures that need none.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "metric/custom.h"
#include "metric/metric.h"
#include "monitor/monitor.h"
#include "recipe/task.h"
#include "registry/registry_catalog.h"
#include "result.h"

PG_FUNCTION_INFO_V1(mlops_measures);

static const MlMeasure measures[] = {
	{.name = "age", .unit = "days", .source = ML_WATCH_AGE, .bad = 1, .counts = true,
	.summary = "time since the active version was trained; needs a bound"},
	{.name = "barred_share", .unit = "share", .source = ML_WATCH_BARRED, .scale = ML_SCALE_SHARE, .bad = 1,
	.of_version = true, .learns = true, .least = 0.005,
	.summary = "share of calls that a hard check barred, by the serving statistics"},
	{.name = "broken", .unit = "features", .source = ML_WATCH_BROKEN, .bad = 1, .feature = ML_FEATURE_OPTIONAL, .never = true,
	.summary = "features, and predictions, that no population explains, by mlops_drift(): a feed that stops, a unit that changes, a category that vanishes; 0 unless a bound is given"},
	{.name = "drift", .unit = "distance", .source = ML_WATCH_DRIFT, .scale = ML_SCALE_SHARE, .bad = 1,
	.feature = ML_FEATURE_OPTIONAL, .of_version = true, .learns = true, .consecutive = 2, .least = 0.02,
	.summary = "distance of the feature from training, or the mean of all by importance, by mlops_drift()"},
	{.name = "latency_p50", .unit = "microseconds", .source = ML_WATCH_LATENCY, .scale = ML_SCALE_COUNT, .bad = 1,
	.of_version = true, .learns = true, .quantile = 0.5, .least = 1.5,
	.summary = "median time that a logged call took"},
	{.name = "latency_p99", .unit = "microseconds", .source = ML_WATCH_LATENCY, .scale = ML_SCALE_COUNT, .bad = 1,
	.of_version = true, .learns = true, .quantile = 0.99, .least = 2.0,
	.summary = "time that one logged call in a hundred exceeded"},
	{.name = "missing_share", .unit = "share", .source = ML_WATCH_MISSING, .scale = ML_SCALE_SHARE, .bad = 1,
	.feature = ML_FEATURE_OPTIONAL, .learns = true, .least = 0.005,
	.summary = "share of logged inputs in which the feature is missing, or of all values of all features"},
	{.name = "null_share", .unit = "share", .source = ML_WATCH_NULL, .scale = ML_SCALE_SHARE, .bad = 1,
	.learns = true, .least = 0.005,
	.summary = "share of logged calls that gave no prediction"},
	{.name = "outcome_share", .unit = "share", .source = ML_WATCH_COVERAGE, .scale = ML_SCALE_SHARE, .bad = -1,
	.learns = true, .least = 0.02,
	.summary = "share of predictions whose outcome is known after the label delay"},
	{.name = "prediction_mean", .unit = "of the prediction", .source = ML_WATCH_MEAN, .scale = ML_SCALE_PLAIN, .bad = 0,
	.of_version = true, .learns = true,
	.summary = "mean of the logged predictions"},
	{.name = "rules_fired_share", .unit = "share", .source = ML_WATCH_RULES, .scale = ML_SCALE_SHARE, .bad = 1,
	.of_version = true, .learns = true, .least = 0.01,
	.summary = "share of logged calls on which a rule fired"},
	{.name = "unseen_share", .unit = "share", .source = ML_WATCH_UNSEEN, .scale = ML_SCALE_SHARE, .bad = 1,
	.feature = ML_FEATURE_NEEDED, .of_version = true, .learns = true, .least = 0.005,
	.summary = "share of logged inputs whose category training never saw"},
	{.name = "volume", .unit = "calls", .source = ML_WATCH_VOLUME, .scale = ML_SCALE_COUNT, .bad = -1,
	.counts = true, .learns = true, .least = 1.5,
	.summary = "logged calls of a period"}
};

static MlMeasure *
of_metric(const MlMetric *metric)
{
	MlMeasure  *measure = palloc0(sizeof(MlMeasure));

	measure->name = metric->name;
	measure->unit = "of the metric";
	measure->summary = metric->summary;
	measure->source = ML_WATCH_METRIC;
	measure->scale = ML_SCALE_PLAIN;
	measure->bad = metric->higher_is_better ? -1 : 1;
	measure->learns = true;
	return measure;
}

ml_noreturn static void error_unknown(const char *name, uint32 tasks);

static void
error_unknown(const char *name, uint32 tasks)
{
	MlNearest	nearest;

	ml_nearest_begin(&nearest, name);
	for (int i = 0; i < (int) lengthof(measures); i++)
		ml_nearest_offer(&nearest, measures[i].name);
	ml_metric_offer(&nearest, tasks);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("\"%s\" is nothing that a monitor can watch", name),
			 errdetail("It is neither a metric nor a measure."),
			 nearest.best ? errhint("Perhaps you meant \"%s\".", nearest.best) :
			 errhint("SELECT * FROM mlops_measures() lists measures, mlops_metrics() metrics.")));
	pg_unreachable();
}

const MlMeasure *
ml_measure_require(const char *model, const char *name)
{
	MlModelRow *row = ml_registry_model_row(model);
	uint32		tasks = row != NULL && row->task != NULL ? ml_task_find(row->task) : ~0U;
	const MlMetric *metric;
	MlCustomMetric *custom;

	for (int i = 0; i < (int) lengthof(measures); i++)
		if (strcmp(measures[i].name, name) == 0)
			return &measures[i];
	ml_metric_require(model, name, tasks);
	metric = ml_metric_find(name);
	if (metric != NULL)
		return of_metric(metric);
	custom = ml_custom_metric(name);
	if (custom == NULL)
		error_unknown(name, tasks);
	return of_metric(ml_custom_as_metric(custom));
}

bool
ml_measure_has_outcomes(const MlMeasure *measure)
{
	return measure->source == ML_WATCH_METRIC || measure->source == ML_WATCH_COVERAGE;
}

/* mlops_measures() */
Datum
mlops_measures(PG_FUNCTION_ARGS)
{
	static const char *const sides[] = {"minimum", "either", "maximum"};
	static const char *const features[] = {NULL, "optional", "needed"};
	MlRows		result;

	ml_rows_begin(fcinfo, &result);
	for (int i = 0; i < (int) lengthof(measures); i++)
	{
		Datum		values[5];
		bool		nulls[5] = {false};

		ml_rows_text(values, nulls, 0, measures[i].name);
		ml_rows_text(values, nulls, 1, measures[i].unit);
		ml_rows_text(values, nulls, 2, sides[measures[i].bad + 1]);
		ml_rows_text(values, nulls, 3, features[measures[i].feature]);
		ml_rows_text(values, nulls, 4, measures[i].summary);
		ml_rows_add(&result, values, nulls);
	}
	return (Datum) 0;
}
