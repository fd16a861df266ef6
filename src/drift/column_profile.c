/*
 * column_profile.c
 *		The profile of a column of a frame.
 */
#include "postgres.h"

#include <math.h>

#include "drift/column.h"
#include "interrupts.h"
#include "utils/timestamp.h"

double
ml_drift_seconds(int64 usec)
{
	if (usec == ML_USEC_NULL)
		return NAN;
	return usec == PG_INT64_MAX ? INFINITY : (double) usec / USECS_PER_SEC;
}

double
ml_drift_norm(const double *array, int length)
{
	double		squares = 0;
	int			present = 0;

	for (int i = 0; i < length; i++)
	{
		if (isnan(array[i]))
			continue;
		squares += array[i] * array[i];
		present++;
	}
	return present > 0 ? sqrt(squares) : NAN;
}

/* a row of a column that is no category, as a number */
static inline double
number_at(const MlColumn *column, int64 row)
{
	switch (column->type.kind)
	{
		case ML_KIND_NUMBER:
			return column->number[row];
		case ML_KIND_TIME:
			return ml_drift_seconds(column->usec[row]);
		case ML_KIND_ARRAY:
			return ml_drift_norm(column->array + row * column->array_length, column->array_length);
		default:
			return NAN;
	}
}

/* of many rows some at even places, so that room need not grow with them */
static void
profile_made_numbers(MlProfile *profile, const MlColumn *column, int64 first, int64 n, MlColumnRoom *room)
{
	int64		most = Min(n, room->sort.most);
	double		step = n > most ? (double) n / most : 1;

	for (int64 i = 0; i < most; i++)
	{
		ml_check_row(i);
		room->value[i] = number_at(column, first + (int64) (i * step));
	}
	ml_profile_numbers(profile, room->value, most, &room->sort);
}

static void
profile_category(MlProfile *profile, const MlColumn *column, int64 first, int64 n, int64 min_rows)
{
	const MlDictionary *dictionary = column->dictionary;
	int64	   *count = palloc_extended(sizeof(int64) * (Size) Max(dictionary->nvalues, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	for (int64 i = first; i < first + n; i++)
	{
		ml_check_row(i);
		if (column->code[i] != ML_CODE_NULL)
			count[column->code[i]]++;
	}
	ml_profile_levels(profile, n, dictionary->nvalues, dictionary->value, dictionary->length, count, min_rows);
	pfree(count);
}

Size
ml_column_room_size(int64 most)
{
	return ml_profile_room_size(most) / 2 * 3;
}

void
ml_column_room_take(MlColumnRoom *room, void *memory, int64 most, bool exact)
{
	ml_profile_room_take(&room->sort, memory, most, exact);
	room->value = (double *) (room->sort.spare + room->sort.most);
}

MlProfile *
ml_profile_column(MlProfileRole role, const MlColumn *column, int64 first, int64 n, int64 min_rows, MlColumnRoom *room)
{
	MlProfile  *profile = palloc0(sizeof(MlProfile));

	profile->role = role;
	profile->name = pstrdup(column->name);
	profile->kind = column->type.kind;
	if (profile->kind == ML_KIND_NUMBER)
		ml_profile_numbers(profile, column->number + first, n, &room->sort);
	else if (profile->kind == ML_KIND_CATEGORY)
		profile_category(profile, column, first, n, room->sort.exact ? 0 : Max(min_rows, 1));
	else
		profile_made_numbers(profile, column, first, n, room);
	return profile;
}
