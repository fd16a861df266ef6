/*
 * level_profile.c
 *		The profile of a category: its frequent levels with their rows.
 *
 * Rare levels have no place: a name that one person has is no business of a
 * summary. Nor have long ones, which would make it large.
 */
#include "postgres.h"

#include "drift/profile.h"

typedef struct Level
{
	const char *value;
	int32		length;
	int64		rows;
} Level;

static int
compare(const void *a, const void *b)
{
	const Level *left = a;
	const Level *right = b;
	int			order;

	if (left->rows != right->rows)
		return left->rows > right->rows ? -1 : 1;
	order = memcmp(left->value, right->value, Min(left->length, right->length));
	return order != 0 ? order : left->length - right->length;
}

void
ml_profile_levels(MlProfile *profile, int64 rows, int nvalues, char *const *value,
				  const int32 *length, const int64 *count, int64 min_rows)
{
	MlCategoryProfile *category = &profile->category;
	Level	   *level = palloc_extended(sizeof(Level) * (Size) Max(nvalues, 1), MCXT_ALLOC_HUGE);
	int			nlevels = 0;
	int64		present = 0;

	memset(category, 0, sizeof(MlCategoryProfile));
	for (int i = 0; i < nvalues; i++)
	{
		present += count[i];
		category->other_levels += count[i] > 0;
		if (count[i] >= Max(min_rows, 1) && (min_rows == 0 || length[i] <= ML_PROFILE_LEVEL_MAX))
			level[nlevels++] = (Level) {value[i], length[i], count[i]};
	}
	qsort(level, nlevels, sizeof(Level), compare);
	category->nlevels = min_rows == 0 ? nlevels : Min(nlevels, ML_PROFILE_LEVELS);
	category->other_levels -= category->nlevels;
	category->other_rows = present;
	category->level = palloc_extended(sizeof(char *) * (Size) Max(category->nlevels, 1), MCXT_ALLOC_HUGE);
	category->rows = palloc_extended(sizeof(int64) * (Size) Max(category->nlevels, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < category->nlevels; i++)
	{
		category->level[i] = pnstrdup(level[i].value, level[i].length);
		category->rows[i] = level[i].rows;
		category->other_rows -= level[i].rows;
	}
	profile->rows = rows;
	profile->missing = rows - present;
	pfree(level);
}
