/*
 * register.c
 *		A training becomes a version: lineage written out, row inserted, the
 *		user told.
 */
#include "postgres.h"

#include <math.h>

#include "attempt.h"
#include "miscadmin.h"
#include "metric/metric.h"
#include "recipe/task.h"
#include "settings.h"
#include "json.h"
#include "train/fingerprints.h"
#include "train/learn_link.h"
#include "train/profile.h"
#include "train/train.h"
#include "utils/builtins.h"

#define WARNINGS_TOLD 5			/* the others are in the version's row only */

static Jsonb *
write_skipped(const MlSkipped *skipped)
{
	MlJson		json = {0};

	ml_json_begin_object(&json);
	ml_json_put_int(&json, "target_null", skipped->target_null);
	ml_json_put_int(&json, "feature_null", skipped->feature_null);
	ml_json_put_int(&json, "weight_zero", skipped->weight_zero);
	if (skipped->offset_null > 0)
		ml_json_put_int(&json, "offset_null", skipped->offset_null);
	ml_json_end_object(&json);
	return ml_json_finish(&json);
}

static Jsonb *
write_split(const MlTraining *training)
{
	static const char *const kind_name[] = {
		[ML_SPLIT_NONE] = "none", [ML_SPLIT_ROW] = "row", [ML_SPLIT_KEY] = "key", [ML_SPLIT_TIME] = "time"
	};
	const MlSplit *split = &training->split;
	MlJson		json = {0};

	ml_json_begin_object(&json);
	ml_json_put_text(&json, "by", kind_name[split->kind]);
	ml_json_put_float(&json, "holdout", split->holdout);
	ml_json_put_int(&json, "seed", split->seed);
	if (split->kind == ML_SPLIT_TIME)
		ml_json_put_float(&json, "from", split->time_from);
	ml_json_put_bool(&json, "refit", training->spec.options.refit);
	ml_json_end_object(&json);
	return ml_json_finish(&json);
}

static Jsonb *
write_facts(const MlTraining *training)
{
	const MlFitted *fitted = training->fitted;
	MlJson		json = {0};

	ml_json_begin_object(&json);
	ml_json_put_bool(&json, "converged", fitted->converged);
	ml_json_put_int(&json, "passes", fitted->passes);
	for (int i = 0; i < fitted->nfacts; i++)
		ml_json_put_float(&json, fitted->facts[i].name, fitted->facts[i].value);
	if (training->recipe->target.task == ML_TASK_REGRESSION)
		ml_json_put_float(&json, "target_mean", training->measured.mean_label);
	for (int i = 0; i < fitted->nseries; i++)
	{
		ml_json_key(&json, fitted->series[i].name);
		ml_json_floats(&json, fitted->series[i].value, fitted->series[i].n);
	}
	ml_json_end_object(&json);
	return ml_json_finish(&json);
}

static Jsonb *
write_durations(const MlTraining *training)
{
	MlJson		json = {0};

	ml_json_begin_object(&json);
	ml_json_put_float(&json, "reading", training->reading);
	ml_json_put_float(&json, "preparing", training->preparing);
	ml_json_put_float(&json, "fitting", training->fitting);
	ml_json_put_float(&json, "measuring", training->measuring);
	ml_json_end_object(&json);
	return ml_json_finish(&json);
}

Jsonb *
ml_training_builds(void)
{
	MlJson		json = {0};

	ml_json_begin_object(&json);
	ml_json_put_text(&json, "server", PG_VERSION_STR);
	ml_json_put_text(&json, "extension", MLOPS_VERSION);
	ml_json_put_text(&json, "blas", ml_learn()->blas_version());
	ml_json_end_object(&json);
	return ml_json_finish(&json);
}

/* the spec with everything filled in that was left to us */
static Jsonb *
write_spec(const MlTraining *training)
{
	MlSpec		spec = training->spec;

	spec.algorithm = unconstify(char *, training->algorithm->name);
	spec.params = training->params_json;
	if (spec.author != NULL && strcmp(spec.author, GetUserNameFromId(GetUserId(), false)) == 0)
		spec.author = NULL;
	return ml_spec_write(&spec);
}

static void
create_model(void *name)
{
	MlModelRow	row = {0};

	row.name = name;
	ml_registry_create_model(&row);
}

/*
 * Makes the model. Two first trainings at the same time both try: the later
 * one waits for the other to commit and then finds the model made.
 */
static void
make_model(const MlTraining *training)
{
	ErrorData  *error = ml_attempt(create_model, unconstify(char *, training->model));

	if (error != NULL && error->sqlerrcode != ERRCODE_DUPLICATE_OBJECT &&
		error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION)
		ReThrowError(error);
}

static const char *
what_comes(int tasks)
{
	return (tasks & ML_TASK_REGRESSION) ? "predicts a number"
		: (tasks & ML_TASK_CLUSTER) ? "makes clusters"
		: (tasks & ML_TASK_ANOMALY) ? "scores anomalies"
		: (tasks & ML_TASK_PROJECTION) ? "only transforms rows"
		: (tasks & (ML_TASKS_BINARY | ML_TASKS_MULTICLASS)) == ML_TASKS_BINARY ? "predicts two classes" : "predicts classes";
}

/* The versions of a model have one task; tasks: those that this one could be of. */
void
ml_training_require_task(const MlTraining *training, const MlModelRow *row, int tasks)
{
	if (row == NULL)
		return;
	if (row->task == NULL || (ml_task_find(row->task) & (uint32) tasks) != 0)
	{
		if (row->metric != NULL)
			ml_metric_require(training->model, row->metric, (uint32) tasks);
		return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("model \"%s\" is for %s, but algorithm \"%s\" %s here",
					training->model, row->task, training->algorithm->name, what_comes(tasks)),
			 errdetail("The versions of a model have one task, so that they can be compared."),
			 errhint("Choose an algorithm for %s, or train a model of another name.", row->task)));
}

/*
 * Makes the model if it is still missing. One that was there at the start and
 * is gone now was dropped meanwhile; one that appeared may be somebody else's.
 */
static void
require_model(const MlTraining *training)
{
	const MlTarget *target = &training->recipe->target;
	MlModelRow *row = ml_registry_model_row(training->model);
	const MlMetric *metric;

	if (row == NULL && training->row != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" was dropped while it was trained", training->model),
				 errdetail("Nothing was registered."),
				 errhint("Train again to make it anew.")));
	if (row == NULL)
	{
		make_model(training);
		row = ml_registry_model_row(training->model);
	}
	ml_privilege_require(training->model, ML_PRIVILEGE_TRAIN);
	if (row != NULL && row->target != NULL && training->spec.target != NULL &&
		strcmp(row->target, training->spec.target) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model \"%s\" was given target \"%s\" while it was trained for \"%s\"",
						training->model, row->target, training->spec.target),
				 errdetail("The versions of a model have one target, so that they can be compared."),
				 errhint("Train another model.")));
	ml_training_require_task(training, row, target->task);
	metric = ml_metric_default(target->task);
	ml_registry_complete_model(training->model, training->spec.target, ml_task_name(target->task),
							   metric != NULL ? metric->name : NULL);
}

static void
fill_row(const MlTraining *training, MlVersionRow *row)
{
	const MlFrame *frame = training->frame;

	row->model = training->model;
	row->scratch = training->spec.options.scratch;
	row->run = training->run;
	row->has_run = training->has_run;
	row->algorithm = training->algorithm->name;
	row->task = ml_task_name(training->recipe->target.task);
	row->target = training->spec.target;
	row->threshold = NAN;
	row->spec = write_spec(training);
	row->params = training->params_json;
	row->source = training->spec.source;
	row->columns = training->columns;
	row->rows_read = frame->rows_read;
	row->rows_used = training->ntrain + training->nholdout;
	row->rows_skipped = write_skipped(&training->skipped);
	row->rows_training = training->ntrain;
	row->rows_holdout = training->nholdout;
	row->data_fingerprint = frame->set_fingerprint;
	row->schema_fingerprint = frame->schema_fingerprint;
	row->time_from = training->time_from;
	row->time_to = training->time_to;
	row->seed = training->spec.seed;
	row->split = write_split(training);
	row->training_metrics = training->measured.training;
	row->holdout_metrics = training->measured.holdout;
	row->baseline_metrics = training->measured.baseline;
	row->facts = write_facts(training);
	row->durations = write_durations(training);
	row->row_security = frame->row_security;
	row->rows_kept = training->kept != NULL ? frame->rows_read : -1;
	row->note = training->note;
	row->builds = ml_training_builds();
	row->artifact = training->artifact;
}

int
ml_training_register(MlTraining *training)
{
	MemoryContext old = MemoryContextSwitchTo(training->cxt);
	MlVersionRow row = {0};
	ListCell   *cell;

	require_model(training);
	fill_row(training, &row);
	row.warnings = palloc(sizeof(char *) * (list_length(training->warnings) + 1));
	foreach(cell, training->warnings)
		row.warnings[row.nwarnings++] = lfirst(cell);
	training->version = ml_registry_insert_version(&row);
	if (training->kept != NULL)
		ml_kept_insert(training->kept, training->model, training->version);
	ml_fingerprints_insert(training);
	ml_training_insert_profiles(training);
	if (row.scratch)
		ml_registry_prune_scratch(training->model, Max(ml_scratch_keep, 1));
	MemoryContextSwitchTo(old);
	return training->version;
}

void
ml_training_tell(const MlTraining *training)
{
	const MlMeasured *measured = &training->measured;
	double		seconds = training->reading + training->preparing + training->fitting +
		training->measuring;
	int			nwarnings = list_length(training->warnings);

	for (int i = 0; i < Min(nwarnings, WARNINGS_TOLD); i++)
		ereport(WARNING,
				(errmsg("model \"%s\": %s", training->model,
						(const char *) list_nth(training->warnings, i))));
	if (nwarnings > WARNINGS_TOLD)
		ereport(WARNING,
				(errmsg("model \"%s\": %d more warnings", training->model, nwarnings - WARNINGS_TOLD),
				 errhint("See the column \"warnings\" of the view mlops.version.")));
	if (measured->headline == NULL)
	{
		ereport(NOTICE,
				(errmsg("version %d of model \"%s\": %s on " INT64_FORMAT " rows, %.2f s",
						training->version, training->model, training->algorithm->name, training->ntrain, seconds)));
		return;
	}
	ereport(NOTICE,
			(errmsg("version %d of model \"%s\": %s on " INT64_FORMAT " rows, %s %.3f on " INT64_FORMAT " %s rows (baseline %.3f), %.2f s",
					training->version, training->model, training->algorithm->name, training->ntrain,
					measured->headline, measured->value,
					training->nholdout > 0 ? training->nholdout : training->ntrain,
					training->nholdout > 0 ? "held-out" : "training",
					measured->baseline_value, seconds)));
}
