/*
 * column.h
 *		Columns of a frame as profiles and comparisons see them.
 */
#ifndef ML_DRIFT_COLUMN_H
#define ML_DRIFT_COLUMN_H

#include "postgres.h"

#include "drift/profile.h"
#include "frame/frame.h"

/* a time as seconds, NaN for NULL; the Euclidean norm of the elements that are not NULL, NaN if all are */
extern double ml_drift_seconds(int64 usec);
extern double ml_drift_norm(const double *array, int length);

typedef struct MlColumnRoom
{
	MlProfileRoom sort;
	double	   *value;
} MlColumnRoom;

/* bytes of room for so many rows; larger columns are sampled */
extern Size ml_column_room_size(int64 most);
extern void ml_column_room_take(MlColumnRoom *room, void *memory, int64 most, bool exact);

/*
 * Rows [first, first + n) of a column; levels of fewer than min_rows rows are the rest, unless the
 * room is exact. In the current context. Times and arrays of more than the room's rows are
 * sampled before anything is counted.
 */
extern MlProfile *ml_profile_column(MlProfileRole role, const MlColumn *column, int64 first, int64 n,
									int64 min_rows, MlColumnRoom *room);

#endif							/* ML_DRIFT_COLUMN_H */
