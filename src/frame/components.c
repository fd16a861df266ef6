/*
 * components.c
 *		A frame whose features are replaced by numbers made of them.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "frame/frame.h"
#include "frame/memory.h"
#include "interrupts.h"

static const char what[] = "the numbers of the encoder";

double *
ml_frame_new_numbers(MlFrame *frame)
{
	return ml_frame_alloc(frame, ml_size_mul(frame->nrows, sizeof(double)), what);
}

/* Rows are split by key and time, whether or not they are features too. */
static void
retire(MlFrame *frame, int i)
{
	MlColumn   *column = &frame->cols[i];

	if (i == frame->key_column || i == frame->time_column)
	{
		column->role = i == frame->key_column ? ML_ROLE_KEY : ML_ROLE_TIME;
		return;
	}
	column->role = ML_ROLE_UNUSED;
	column->loaded = false;
	if (column->number)
		ml_frame_release(frame, column->number, frame->nrows * sizeof(double));
	if (column->code)
		ml_frame_release(frame, column->code, frame->nrows * sizeof(int32));
	if (column->usec)
		ml_frame_release(frame, column->usec, frame->nrows * sizeof(int64));
	if (column->array)
		ml_frame_release(frame, column->array, frame->nrows * column->array_length * sizeof(double));
	column->number = NULL;
	column->code = NULL;
	column->usec = NULL;
	column->array = NULL;
}

static void
count_values(const MlFrame *frame, MlColumn *column)
{
	for (int64 row = 0; row < frame->nrows; row++)
	{
		ml_check_row(row);
		if (isnan(column->number[row]))
			column->nnull++;
		else if (isinf(column->number[row]) && column->nnonfinite++ == 0)
			column->first_nonfinite = row + 1;
	}
}

void
ml_frame_replace_features(MlFrame *frame, int n, char **name, double **value)
{
	int			ncols = frame->ncols;
	MlColumn   *cols = MemoryContextAllocZero(frame->cxt, sizeof(MlColumn) * (ncols + n));

	for (int i = 0; i < ncols; i++)
		if (frame->cols[i].role == ML_ROLE_FEATURE)
			retire(frame, i);
	memcpy(cols, frame->cols, sizeof(MlColumn) * ncols);
	for (int i = 0; i < n; i++)
	{
		MlColumn   *column = &cols[ncols + i];

		column->name = MemoryContextStrdup(frame->cxt, name[i]);
		ml_value_type(FLOAT8OID, -1, frame->cxt, &column->type);
		column->role = ML_ROLE_FEATURE;
		column->loaded = true;
		column->number = value[i];
		count_values(frame, column);
	}
	frame->cols = cols;
	frame->ncols = ncols + n;
}
