/*
 * subset.c
 *		Some rows of a frame as a frame of their own.
 *
 * Dictionaries, names and types are the frame's and must outlive the subset;
 * values are copied, so that what learns from a frame need not know of it.
 */
#include "postgres.h"

#include "frame/frame.h"
#include "frame/memory.h"
#include "interrupts.h"
#include "utils/memutils.h"

static const char what[] = "a part of the rows";

#define GATHER(type) \
	for (int64 i = 0; i < n; i++) \
	{ \
		ml_check_row(i); \
		((type *) to)[i] = ((const type *) data)[rows[i]]; \
	}

static void *
gather(MlFrame *subset, const void *data, Size width, const int64 *rows, int64 n)
{
	char	   *to;

	if (data == NULL)
		return NULL;
	to = ml_frame_alloc(subset, ml_size_mul(n, width), what);
	if (width == sizeof(int32))
		GATHER(int32)
	else if (width == sizeof(int64))
		GATHER(int64)
	else
		for (int64 i = 0; i < n; i++)
		{
			ml_check_row(i);
			memcpy(to + i * width, (const char *) data + rows[i] * width, width);
		}
	return to;
}

MlFrame *
ml_frame_subset(const MlFrame *frame, const int64 *rows, int64 n, int64 ntrain)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops frame subset",
											  ALLOCSET_DEFAULT_SIZES);
	MlFrame    *subset = MemoryContextAlloc(cxt, sizeof(MlFrame));

	*subset = *frame;
	subset->cxt = cxt;
	subset->memory = 0;
	subset->nrows = n;
	subset->ntrain = ntrain;
	subset->cols = MemoryContextAlloc(cxt, sizeof(MlColumn) * Max(frame->ncols, 1));
	for (int i = 0; i < frame->ncols; i++)
	{
		const MlColumn *from = &frame->cols[i];
		MlColumn   *to = &subset->cols[i];

		*to = *from;
		to->number = gather(subset, from->number, sizeof(double), rows, n);
		to->code = gather(subset, from->code, sizeof(int32), rows, n);
		to->usec = gather(subset, from->usec, sizeof(int64), rows, n);
		to->array = gather(subset, from->array, from->array_length * sizeof(double), rows, n);
	}
	subset->fingerprint = gather(subset, frame->fingerprint, sizeof(MlHash128), rows, n);
	subset->key_hash = gather(subset, frame->key_hash, sizeof(uint64), rows, n);
	return subset;
}
