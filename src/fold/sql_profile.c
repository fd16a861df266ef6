/*
 * sql_profile.c
 *		What rows and predictions of a training in SQL look like: of samples, which
 *		are read into frames as rows of a training in memory are.
 *
 * A sample is of the rows whose hash is low, so that the same rows give the same
 * profile. It takes a part of the memory that there is; where that is not enough after
 * all, since nobody knows how long texts are, half as many rows are tried.
 */
#include "postgres.h"

#include "attempt.h"
#include "fold/sql.h"
#include "train/profile.h"
#include "utils/memutils.h"

#define MOST_ROWS		100000
#define LEAST_ROWS		100
#define PART_OF_MEMORY	4
#define ROW_OVERHEAD	32		/* bytes beside the columns */

typedef struct Sample
{
	MlTraining *training;
	char	   *query;
	MlFrame    *frame;
} Sample;

static void
read_sample(void *arg)
{
	Sample	   *sample = arg;
	MlFrameRequest request = {0};
	MlSqlGuard	outer;

	ml_spec_request(&sample->training->spec, sample->query, &request);
	ml_sql_guard(sample->query, &outer);
	sample->frame = ml_frame_read(&request, &sample->training->budget);
	ml_sql_unguard(&outer);
}

static int64
rows_that_fit(const MlTraining *training)
{
	const MlBudget *budget = &training->budget;
	const MlFrame *frame = training->frame;
	Size		bytes = ROW_OVERHEAD;

	for (int i = 0; i < frame->ncols; i++)
		if (frame->cols[i].loaded)
			bytes += sizeof(double) * Max(frame->cols[i].array_length, 1);
	return Min((int64) ((budget->limit - Min(budget->used, budget->limit)) / PART_OF_MEMORY / bytes), MOST_ROWS);
}

/* rows of those that the condition, on nrows rows, takes; NULL: there is no room. What it took is in the budget */
static MlFrame *
sample_rows(MlSql *sql, const char *condition, int64 nrows)
{
	MlTraining *training = sql->training;
	Size		before = training->budget.used;
	Sample		sample = {training};

	for (int64 rows = rows_that_fit(training); rows >= LEAST_ROWS; rows /= 2)
	{
		ErrorData  *error;

		sample.query = psprintf("SELECT * FROM %s WHERE %s AND mlops.row_held_out(" INT64_FORMAT ", %.17g, NULL::pg_catalog.text, %s)",
								sql->from, condition, training->spec.seed ^ 1, Min((double) rows / Max(nrows, 1), 1.0), sql->columns);
		if (nrows <= rows)
			sample.query = psprintf("SELECT * FROM %s WHERE %s", sql->from, condition);
		error = ml_attempt(read_sample, &sample);
		if (error == NULL)
			return sample.frame;
		if (error->sqlerrcode != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			ReThrowError(error);
		training->budget.used = before;
	}
	return NULL;
}

static void
end_sample(MlTraining *training, MlFrame *frame, Size before)
{
	MemoryContextDelete(frame->cxt);
	training->budget.used = before;
}

void
ml_sql_profile_predictions(MlSql *sql)
{
	MlTraining *training = sql->training;
	bool		held = training->nholdout > 0;
	Size		before = training->budget.used;
	MlFrame    *frame = sample_rows(sql, held ? psprintf("%s AND %s", sql->usable, sql->held) : sql->trained,
									held ? training->nholdout : training->ntrain);
	MlModel    *model;

	if (frame == NULL)
		return;
	model = ml_model_read(VARDATA_ANY(training->artifact), VARSIZE_ANY_EXHDR(training->artifact), training->cxt);
	ml_training_profile_predictions(training, model, frame, 0, frame->nrows);
	MemoryContextDelete(model->cxt);
	end_sample(training, frame, before);
}

void
ml_sql_profile_rows(MlSql *sql)
{
	MlTraining *training = sql->training;
	Size		before = training->budget.used;
	MlFrame    *frame = sample_rows(sql, sql->trained, training->ntrain + (strcmp(sql->held, "false") == 0 ? training->nholdout : 0));

	if (frame == NULL)
		return;
	ml_training_profile_features(training, frame, frame->nrows);
	ml_training_profile_target(training, frame, frame->nrows);
	end_sample(training, frame, before);
}
