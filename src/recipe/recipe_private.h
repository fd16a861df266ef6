/*
 * recipe_private.h
 *		What the files of recipe/ share with each other only.
 */
#ifndef ML_RECIPE_PRIVATE_H
#define ML_RECIPE_PRIVATE_H

#include "postgres.h"

#include "pgtime.h"
#include "recipe/recipe.h"

#define ML_USEC_PER_SECOND	INT64CONST(1000000)
#define ML_USEC_PER_DAY		INT64CONST(86400000000)

/* what warnings and refusals about columns go by */
#define ML_NEARLY_UNIQUE_SHARE	0.9 /* more distinct values than this, of rows not NULL */
#define ML_IDENTIFIER_SHARE	0.98 /* likewise, of integers, which may be amounts */
#define ML_NEARLY_UNIQUE_ROWS	50	/* and more distinct values than this */
#define ML_MOSTLY_MISSING_SHARE 0.5

#define ML_DEFAULT_IMPUTE				ML_IMPUTE_MEAN
#define ML_DEFAULT_MISSING_INDICATOR	false
#define ML_DEFAULT_MAX_CATEGORIES		100
#define ML_DEFAULT_MIN_CATEGORY_ROWS	5

/* ---- index.c: names by hash, open addressing ---- */

/* the names are the caller's and must outlive the index; of equal names the first is found */
extern struct MlLevelIndex *ml_name_index_make(int n, char *const *name, const int32 *length,
											   MemoryContext cxt);
extern int	ml_name_index_find(const struct MlLevelIndex *index, const char *bytes, int length);

/* a set of 64-bit values that only counts, for distinct values */
typedef struct MlCounter
{
	MlBudget   *budget;
	uint64		capacity;		/* power of two */
	uint64	   *slot;			/* 0 is empty */
	int64		n;
	bool		has_zero;
} MlCounter;

extern void ml_counter_begin(MlCounter *counter, MlBudget *budget);
extern void ml_counter_add(MlCounter *counter, uint64 value);
extern void ml_counter_end(MlCounter *counter);

/* the bits of a number, the same for all that compare equal */
static inline uint64
ml_number_bits(double value)
{
	union
	{
		double		number;
		uint64		bits;
	}			u;

	u.number = (value == 0.0) ? 0.0 : value;
	return u.bits;
}

/* ---- numbers.c: deterministic statistics ---- */

/* values[i * stride] for i < n; NaN is missing; weight NULL: all 1 */
typedef struct MlSample
{
	const double *value;
	int			stride;
	const double *weight;
	int64		n;
	MlBudget   *budget;			/* for the copy that a median takes */
} MlSample;

/* fills mean, deviation, minimum, maximum, null_share, and fill as impute says */
extern void ml_number_learn(const MlSample *sample, MlImpute impute, MlNumber *number);

/* ---- times.c ---- */

extern void ml_time_learn(const MlRecipe *recipe, const MlColumn *column, int64 n,
						  MlFeature *feature);
extern const char *ml_time_part_group(MlTimePart part);	/* "hour" */
extern bool ml_time_part_cyclic(MlTimePart part);
extern void ml_time_parts(const MlRecipe *recipe, const MlFeature *feature, int64 usec,
						  double *value);

/* ---- levels.c ---- */

extern void ml_levels_learn(const MlFrame *frame, const MlColumn *column,
							const MlRecipeParams *params, const double *weight,
							MlFeature *feature);

/* rows [0, n) by dictionary code: counts and, if not NULL, weights; returns how many are NULL */
extern int64 ml_levels_count(const MlColumn *column, int64 n, const double *weight,
							 int64 *count, double *sum, double *null_sum);

/* ---- target.c ---- */

extern void ml_target_learn(const MlFrame *frame, const MlTargetRequest *request,
							const double *weight, MlTarget *target);

/* ---- leak.c ---- */

typedef struct MlLeakTest MlLeakTest;

/* NULL if the target is of no use for it: constant, too few rows, no number and no class */
extern MlLeakTest *ml_leak_begin(const MlFrame *frame, const MlColumn *target);

/* a sentence if the column alone predicts the target nearly perfectly, else NULL */
extern char *ml_leak_sentence(MlLeakTest *test, const MlColumn *column);

/* ---- profile_text.c ---- */

/* what a column holds, counted over all rows of a frame */
typedef struct MlColumnProfile
{
	const MlColumn *column;
	int64		distinct;		/* -1: not counted */
	bool		has_range;		/* the next two are known */
	double		minimum;		/* NUMBER; microseconds of a TIME are in first, last */
	double		maximum;
	int64		first;
	int64		last;
	const char *first_text;		/* CATEGORY: in C order; NULL without values */
	const char *last_text;
	double		mean;			/* NUMBER; NaN: not known */
	bool		nearly_unique;
	MlFeature	feature;		/* TIME and CATEGORY: as training would learn it */
	int			npooled;		/* CATEGORY: values without a place of their own */
} MlColumnProfile;

extern char *ml_profile_minimum(const MlColumnProfile *profile);
extern char *ml_profile_maximum(const MlColumnProfile *profile);
extern char *ml_profile_feature(const MlColumnProfile *profile);
extern char *ml_profile_target(const MlColumnProfile *profile);

/* ---- design.c ---- */

extern bool ml_number_informative(const MlRecipe *recipe, int number);

/* ---- rows.c ---- */

extern int	ml_frame_find_role(const MlFrame *frame, MlRole role);	/* or -1 */

#endif							/* ML_RECIPE_PRIVATE_H */
