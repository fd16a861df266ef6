/*
 * folds.c
 *		Cross-validation: which rows test which fold.
 *
 * The division depends on what the rows hold and on the seed alone. Folds by
 * time are forward-chained: the rows are cut into n + 1 stretches of time, and
 * fold f trains on stretches 0 to f and is tested on stretch f + 1 (Hyndman &
 * Athanasopoulos, Forecasting: Principles and Practice, section 5.10).
 */
#include "postgres.h"

#include "errors.h"
#include "interrupts.h"
#include "search/search.h"
#include "sort.h"

static const char what[] = "folds of the rows";

/* apart from the hash that holds rows out */
#define FOLD_STREAM UINT64CONST(0x666f6c64)

static void
divide_by_hash(MlFolds *folds, const MlFrame *frame, int64 seed)
{
	uint64		stream = ml_hash_word(ml_hash_word(0, (uint64) seed), FOLD_STREAM);

	for (int64 i = 0; i < folds->nrows; i++)
	{
		uint64		hash = folds->by == ML_FOLDS_BY_KEY ? frame->key_hash[i] : frame->fingerprint[i].low;

		ml_check_row(i);
		folds->part[i] = (uint8) (ml_hash_unit(ml_hash_word(stream, hash)) * folds->n);
	}
}

static uint64
time_key(const MlColumn *column, int64 row)
{
	if (column->usec != NULL)
		return (uint64) column->usec[row] ^ (UINT64CONST(1) << 63);
	return isnan(column->number[row]) ? 0 : ml_double_key(column->number[row]);
}

/* equal times stay together */
static void
divide_by_time(MlFolds *folds, const MlFrame *frame, const MlColumn *column)
{
	MlKeyed    *item = palloc_extended(ml_size_mul(folds->nrows, sizeof(MlKeyed)), MCXT_ALLOC_HUGE);
	MlKeyed    *spare = palloc_extended(ml_size_mul(folds->nrows, sizeof(MlKeyed)), MCXT_ALLOC_HUGE);
	int			part = 0;

	for (int64 i = 0; i < folds->nrows; i++)
	{
		ml_check_row(i);
		item[i].row = i;
		item[i].key = time_key(column, i);
	}
	ml_sort(item, spare, folds->nrows, 64);
	for (int64 i = 0; i < folds->nrows; i++)
	{
		int			due = (int) (i * (folds->n + 1) / folds->nrows);

		ml_check_row(i);
		if (due > part && item[i].key != item[i - 1].key)
			part = due;
		folds->part[item[i].row] = (uint8) part;
	}
	pfree(item);
	pfree(spare);
}

static bool
tests(const MlFolds *folds, int fold, int part)
{
	return part == (folds->by == ML_FOLDS_BY_TIME ? fold + 1 : fold);
}

static bool
trains(const MlFolds *folds, int fold, int part)
{
	return folds->by == ML_FOLDS_BY_TIME ? part <= fold : part != fold;
}

static void
count_rows(const MlFolds *folds, int fold, int64 *training, int64 *testing)
{
	*training = *testing = 0;
	for (int64 i = 0; i < folds->nrows; i++)
	{
		ml_check_row(i);
		*training += trains(folds, fold, folds->part[i]);
		*testing += tests(folds, fold, folds->part[i]);
	}
}

static void
require_rows(const MlFolds *folds, const char *model)
{
	for (int f = 0; f < folds->n; f++)
	{
		int64		training;
		int64		testing;

		count_rows(folds, f, &training, &testing);
		if (training > 0 && testing > 0)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("the rows cannot be divided into %d folds", folds->n),
				 errdetail("Fold %d of the " INT64_FORMAT " rows would train on " INT64_FORMAT
						   " rows and be tested on " INT64_FORMAT ".",
						   f + 1, folds->nrows, training, testing),
				 errhint("Use more rows, or fewer folds: budget => '{\"folds\": 2}'.")));
	}
}

MlFolds *
ml_folds_make(MlTraining *training, int n)
{
	const MlFrame *frame = training->frame;
	MlFolds    *folds = palloc0(sizeof(MlFolds));

	folds->n = n;
	folds->nrows = frame->ntrain;
	ml_budget_take(&training->budget, ml_size_mul(frame->ntrain, sizeof(uint8) + sizeof(int64)), what);
	folds->part = palloc_extended(Max(frame->ntrain, 1), MCXT_ALLOC_HUGE);
	folds->row = palloc_extended(ml_size_mul(Max(frame->ntrain, 1), sizeof(int64)), MCXT_ALLOC_HUGE);
	folds->by = training->spec.time_column != NULL ? ML_FOLDS_BY_TIME
		: training->spec.key != NULL ? ML_FOLDS_BY_KEY : ML_FOLDS_BY_ROW;
	if (folds->by == ML_FOLDS_BY_TIME)
		divide_by_time(folds, frame, &frame->cols[ml_frame_find(frame, training->spec.time_column)]);
	else
		divide_by_hash(folds, frame, training->spec.seed);
	require_rows(folds, training->model);
	return folds;
}

int64
ml_folds_training_rows(const MlFolds *folds)
{
	int64		least = folds->nrows;

	/* of folds by time the first trains on the fewest: a sample is taken as far as there are rows */
	for (int f = folds->by == ML_FOLDS_BY_TIME ? folds->n - 1 : 0; f < folds->n; f++)
	{
		int64		training;
		int64		testing;

		count_rows(folds, f, &training, &testing);
		least = Min(least, training);
	}
	return least;
}

MlFrame *
ml_folds_frame(MlFolds *folds, const MlFrame *frame, int fold, int64 nrows)
{
	int64		ntrain = 0;
	int64		n;

	for (int64 i = 0; i < folds->nrows && ntrain < nrows; i++)
	{
		ml_check_row(i);
		if (trains(folds, fold, folds->part[i]))
			folds->row[ntrain++] = i;
	}
	n = ntrain;
	for (int64 i = 0; i < folds->nrows; i++)
	{
		ml_check_row(i);
		if (tests(folds, fold, folds->part[i]))
			folds->row[n++] = i;
	}
	return ml_frame_subset(frame, folds->row, n, ntrain);
}
