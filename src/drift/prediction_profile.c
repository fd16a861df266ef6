/*
 * prediction_profile.c
 *		The profile of what a model says: of numbers, of the likeliest of several
 *		classes, of numbers of clusters.
 */
#include "postgres.h"

#include <math.h>

#include "drift/prediction.h"

MlKind
ml_prediction_kind(MlTask task)
{
	return task == ML_TASK_PROJECTION ? ML_KIND_NONE :
		task == ML_TASK_MULTICLASS || task == ML_TASK_CLUSTER ? ML_KIND_CATEGORY : ML_KIND_NUMBER;
}

const char *
ml_prediction_level(const MlModel *model, const double *output, char *buffer)
{
	const MlTarget *target = &model->recipe->target;

	if (target->task != ML_TASK_CLUSTER)
		return target->class_label[ml_model_class(model, output, 0.5)];
	snprintf(buffer, ML_CLUSTER_BUFFER, "%d", (int) output[0]);
	return buffer;
}

/* how many classes there can be; of clusters the largest number among the outputs */
static int
count_classes(const MlModel *model, const double *output, int64 n)
{
	const MlTarget *target = &model->recipe->target;
	double		most = 0;

	if (target->task != ML_TASK_CLUSTER)
		return target->nclasses;
	for (int64 i = 0; i < n; i++)
		most = output[i] > most ? output[i] : most;
	return (int) most;
}

static void
profile_classes(MlProfile *profile, const MlModel *model, const double *output, int64 n)
{
	const MlTarget *target = &model->recipe->target;
	bool		cluster = target->task == ML_TASK_CLUSTER;
	int			nlabels = count_classes(model, output, n);
	int64	   *count = palloc0(sizeof(int64) * Max(nlabels, 1));
	int32	   *length = palloc(sizeof(int32) * Max(nlabels, 1));
	char	  **label = palloc(sizeof(char *) * Max(nlabels, 1));

	for (int i = 0; i < nlabels; i++)
	{
		label[i] = cluster ? psprintf("%d", i + 1) : target->class_label[i];
		length[i] = strlen(label[i]);
	}
	for (int64 i = 0; i < n; i++)
	{
		const double *row = output + i * model->noutputs;

		if (!isnan(row[0]))
			count[cluster ? (int) row[0] - 1 : ml_model_class(model, row, 0.5)]++;
	}
	ml_profile_levels(profile, n, nlabels, label, length, count, 1);
}

MlProfile *
ml_profile_predictions(const MlModel *model, const double *output, int64 n)
{
	MlProfile  *profile = palloc0(sizeof(MlProfile));
	MlProfileRoom room;
	void	   *memory;

	profile->role = ML_PROFILE_PREDICTION;
	profile->name = ML_PREDICTION_NAME;
	profile->kind = ml_prediction_kind(model->recipe->target.task);
	if (profile->kind == ML_KIND_CATEGORY)
	{
		profile_classes(profile, model, output, n);
		return profile;
	}
	memory = palloc_extended(ml_profile_room_size(n), MCXT_ALLOC_HUGE);
	ml_profile_room_take(&room, memory, n, false);
	ml_profile_numbers(profile, output, n, &room);
	pfree(memory);
	return profile;
}
