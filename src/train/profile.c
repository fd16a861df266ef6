/*
 * profile.c
 *		What the rows looked like that a version was trained on, and what it
 *		predicted for rows that it was not fitted on.
 *
 * Columns are those of the source, before a recipe or an encoder makes something of
 * them. An encoder takes their place before rows are divided, so that profiles
 * are of all rows then. Weights have no say: what serves later has none.
 */
#include "postgres.h"

#include <math.h>

#include "drift/column.h"
#include "drift/prediction.h"
#include "registry/profile_row.h"
#include "train/profile.h"
#include "utils/memutils.h"

#define PREDICTED_ROWS	10000	/* are enough: a share is known to half a percent */
#define PREDICTED_PARTS	40		/* in which they are taken, since equal rows are neighbours */
#define LEAST_HELD_OUT	100
#define LEAST_ROOM		1000	/* rows */

/* ---- columns ---- */

/* as much as the budget has; taken before the memory is */
static void *
take_room(MlTraining *training, int64 n, MlColumnRoom *room, Size *bytes)
{
	Size		left = training->budget.limit - Min(training->budget.used, training->budget.limit);
	int64		most = Min(ml_profile_sample(n), Max((int64) (left / ml_column_room_size(1)), LEAST_ROOM));
	void	   *memory;

	*bytes = ml_column_room_size(most);
	ml_budget_take(&training->budget, *bytes, "profiles of the columns");
	memory = MemoryContextAllocHuge(training->cxt, *bytes);
	ml_column_room_take(room, memory, most, false);
	return memory;
}

static void
profile_columns(MlTraining *training, MlProfileRole role, const MlFrame *frame, int64 n)
{
	MemoryContext old = MemoryContextSwitchTo(training->cxt);
	MlRole		wanted = role == ML_PROFILE_TARGET ? ML_ROLE_TARGET : ML_ROLE_FEATURE;
	MlColumnRoom room;
	Size		bytes;
	void	   *memory = take_room(training, n, &room, &bytes);

	for (int i = 0; i < frame->ncols; i++)
	{
		const MlColumn *column = &frame->cols[i];

		CHECK_FOR_INTERRUPTS();
		if (column->loaded && column->role == wanted)
			training->profiles = lappend(training->profiles,
										 ml_profile_column(role, column, 0, n, training->recipe_params.min_category_rows, &room));
	}
	pfree(memory);
	ml_budget_give(&training->budget, bytes);
	MemoryContextSwitchTo(old);
}

void
ml_training_profile_features(MlTraining *training, const MlFrame *frame, int64 n)
{
	profile_columns(training, ML_PROFILE_FEATURE, frame, n);
}

void
ml_training_profile_target(MlTraining *training, const MlFrame *frame, int64 n)
{
	if (frame->target_column >= 0)
		profile_columns(training, ML_PROFILE_TARGET, frame, n);
}

/* ---- predictions ---- */

/* the predictions of n rows at most, in some places of the stretch; how many */
static int64
predict_parts(const MlModel *model, const MlFrame *frame, int64 first, int64 n, double *output)
{
	int64		most = Min(n, PREDICTED_ROWS);
	int64		done = 0;

	for (int part = 0; part < PREDICTED_PARTS; part++)
	{
		int64		rows = most * (part + 1) / PREDICTED_PARTS - done;

		CHECK_FOR_INTERRUPTS();
		if (rows > 0)
			ml_model_predict_frame(model, frame, first + n * part / PREDICTED_PARTS, rows, output + done * model->noutputs);
		done += rows;
	}
	return done;
}

void
ml_training_profile_predictions(MlTraining *training, const MlModel *model, const MlFrame *frame,
								int64 first, int64 n)
{
	MemoryContext old = MemoryContextSwitchTo(training->cxt);
	Size		bytes = ml_size_mul(Min(n, PREDICTED_ROWS), sizeof(double) * model->noutputs);
	double	   *output;

	if (model->noutputs == 0 || n == 0)
	{
		MemoryContextSwitchTo(old);
		return;
	}
	ml_budget_take(&training->budget, ml_size_add(bytes, ml_profile_room_size(Min(n, PREDICTED_ROWS))), "profiles of the predictions");
	output = palloc_extended(bytes, MCXT_ALLOC_HUGE);
	n = predict_parts(model, frame, first, n, output);
	training->profiles = lappend(training->profiles, ml_profile_predictions(model, output, n));
	pfree(output);
	ml_budget_give(&training->budget, bytes + ml_profile_room_size(n));
	MemoryContextSwitchTo(old);
}

void
ml_training_profile_predicted(MlTraining *training, const MlModel *model)
{
	if (training->nholdout >= LEAST_HELD_OUT)
		ml_training_profile_predictions(training, model, training->frame, training->ntrain, training->nholdout);
	else
		ml_training_profile_predictions(training, model, training->frame, 0, training->ntrain);
}

/* ---- into the catalog ---- */

void
ml_training_insert_profiles(MlTraining *training)
{
	ListCell   *cell;
	int			position = 0;

	foreach(cell, training->profiles)
		ml_registry_insert_profile(training->model, training->version, ++position, lfirst(cell));
}
