/*
 * measure_custom.c
 *		A registered metric of a model just fitted.
 *
 * Measuring one takes a snapshot, where the fit had none. Its aggregate is
 * somebody's code: what it raises must not cost a fit that took hours, so the
 * training goes on without the value and says why.
 */
#include "postgres.h"

#include <math.h>

#include "attempt.h"
#include "metric/custom.h"
#include "train/procedure.h"
#include "train/train.h"
#include "utils/snapmgr.h"

typedef struct Attempt
{
	const MlCustomMetric *metric;
	const MlCustomRows *rows;
	double		value;
} Attempt;

void
ml_training_custom_rows(const MlTraining *training, const MlModel *model,
						const MlMeasurement *measured, MlCustomRows *rows)
{
	const MlTarget *target = &model->recipe->target;

	memset(rows, 0, sizeof(MlCustomRows));
	rows->model = training->model;
	rows->task = target->task;
	rows->n = measured->n;
	rows->label = measured->label;
	rows->prediction = measured->prediction;
	rows->weight = measured->weight;
	rows->threshold = measured->threshold;
	rows->nclasses = target->nclasses;
	rows->class_label = target->class_label;
	rows->positive = target->positive;
	rows->frame = training->frame;
}

double
ml_training_measure_custom(const MlCustomMetric *metric, const MlCustomRows *rows)
{
	double		value;
	bool		pushed = !ActiveSnapshotSet();

	if (pushed)
		PushActiveSnapshot(GetTransactionSnapshot());
	ml_custom_measure(metric, rows, &value);
	if (pushed)
		PopActiveSnapshot();
	return value;
}

static void
attempt(void *arg)
{
	Attempt    *it = arg;

	it->value = ml_training_measure_custom(it->metric, it->rows);
}

/* what holds for the training part mostly holds for the hold-out and the baseline */
static void
warn_once(MlTraining *training, char *message)
{
	ListCell   *cell;

	foreach(cell, training->warnings)
		if (strcmp(lfirst(cell), message) == 0)
			return;
	ml_training_warn(training, message);
}

double
ml_training_try_custom(MlTraining *training, const MlCustomMetric *metric, const MlCustomRows *rows)
{
	Attempt		it = {metric, rows, NAN};
	ErrorData  *error;

	if (training->predicted != NULL)
	{
		warn_once(training, psprintf("metric \"%s\" was not measured: the rows are not in memory", metric->name));
		return NAN;
	}
	if (rows->weight != NULL && !metric->weighted)
		warn_once(training, psprintf("metric \"%s\" counts every row the same: it does not take \"%s\"",
									 metric->name, ML_CUSTOM_WEIGHT));
	error = ml_procedure_attempt(training, attempt, &it);
	if (error == NULL)
		return it.value;
	if (ml_error_is_cancel(error))
		ReThrowError(error);
	warn_once(training, psprintf("metric \"%s\" was not measured: %s", metric->name, error->message));
	return NAN;
}
