/*
 * profile.h
 *		What many values of a column looked like, in a few kilobytes.
 *
 * A number is kept as moments, exact deciles with the rows between them, a grid of at most
 * ML_PROFILE_KNOTS + 1 of its values with the exact number of rows up to each,
 * and counts in bins of equal width, which are cheap to count again while a
 * model serves. A category is kept as its frequent levels and the rest.
 *
 * Of what is compared with a profile:
 * - PSI and Jensen-Shannon over the deciles' bins are exact, since edges and counts are.
 * - The distribution function is exact at the knots; between two of them it is off
 *   by the share of the values between them, and so is a KS statistic: less than 1 / ML_PROFILE_KNOTS. A
 *   Wasserstein distance is off by half the sum of these shares times the widths between knots at most.
 */
#ifndef ML_DRIFT_PROFILE_H
#define ML_DRIFT_PROFILE_H

#include "postgres.h"

#include "frame/value.h"

#define ML_PROFILE_DECILES	9	/* edges between ten bins; fewer if some are equal */
#define ML_PROFILE_KNOTS	256
#define ML_PROFILE_BINS		64	/* of equal width; below and above them there is one more each */
#define ML_PROFILE_LEVELS	1000	/* more, or rarer than min_category_rows, are the rest */
#define ML_PROFILE_LEVEL_MAX 256	/* bytes of a level that has a place */
#define ML_PROFILE_ROWS		25000	/* of more, a sample is taken for all but moments */
#define ML_PROFILE_SAMPLE	10000	/* of so many, at even places */

typedef enum MlProfileRole
{
	ML_PROFILE_FEATURE, ML_PROFILE_TARGET,
	ML_PROFILE_PREDICTION		/* of held-out rows, if there are any; else of training rows */
} MlProfileRole;

typedef struct MlNumberProfile
{
	int64		n;				/* values that all below is of; less than those present if they were sampled */
	double		minimum;		/* NaN, here and below, if nothing is present */
	double		maximum;
	double		mean;
	double		deviation;		/* sqrt(sum of squares / (n - 1)); 0 for one value */

	/* distinct deciles, ascending, as percentile_cont interpolates; value v is in bin (number of edges < v) */
	int			nedges;
	double		edge[ML_PROFILE_DECILES];
	int64		edge_rows[ML_PROFILE_DECILES + 1];	/* they add up to n */

	/* values, ascending, the least and the largest among them; all values if they are few */
	int			nknots;
	double	   *knot;
	int64	   *upto;			/* rows <= knot */
	int64	   *equal;			/* rows = knot */

	/* equal widths; bin_rows[0] is below low, [ML_PROFILE_BINS + 1] above high */
	double		low;
	double		high;			/* > low, unless nothing is present */
	int64		bin_rows[ML_PROFILE_BINS + 2];
	bool		binned;			/* nothing else is known: knots, edges and moments are made of the bins */
} MlNumberProfile;

typedef struct MlCategoryProfile
{
	int			nlevels;
	char	  **level;			/* terminated; the most frequent first, equally frequent ones in C order */
	int64	   *rows;
	int64		other_rows;		/* of levels without a place */
	int64		other_levels;
} MlCategoryProfile;

typedef struct MlProfile
{
	MlProfileRole role;
	const char *name;			/* of the column; "prediction" for ML_PROFILE_PREDICTION */

	/*
	 * NUMBER: a boolean is 0 or 1. TIME: seconds since 1970-01-01 (time of day:
	 * since midnight; intervals: their length). ARRAY: the Euclidean norm, NULL
	 * elements left out. These have a number profile, CATEGORY has the other.
	 */
	MlKind		kind;
	int64		rows;
	int64		missing;		/* of these: NULL, NaN or infinite */
	MlNumberProfile number;
	MlCategoryProfile category;
} MlProfile;

/* room for the values of a column while they are sorted */
typedef struct MlProfileRoom
{
	int64		most;			/* values */
	uint64	   *key;			/* most of them, twice */
	uint64	   *spare;
	bool		exact;			/* every value becomes a knot, every level has a place */
} MlProfileRoom;

/* of n rows so many are sorted, unless all have to be */
static inline int64
ml_profile_sample(int64 n)
{
	return n <= ML_PROFILE_ROWS ? n : ML_PROFILE_SAMPLE;
}

/* bytes of room for so many values */
extern Size ml_profile_room_size(int64 most);
extern void ml_profile_room_take(MlProfileRoom *room, void *memory, int64 most, bool exact);

/* bytes that an exact profile of n values has at most */
extern Size ml_profile_exact_size(int64 n);

/*
 * Profile of n values, NaN being missing. Fills rows, missing and number; arrays in the current context.
 */
extern void ml_profile_numbers(MlProfile *profile, const double *value, int64 n, MlProfileRoom *room);

/*
 * Profile of rows of a category by the rows of each of nvalues values (0: none), which need not be
 * terminated. Levels of fewer than min_rows rows are the rest; with 0 all have a place. In the current context.
 */
extern void ml_profile_levels(MlProfile *profile, int64 rows, int nvalues, char *const *value,
							  const int32 *length, const int64 *count, int64 min_rows);

/*
 * Knots, edges and mean from low, high and bin_rows, which are set, as is n, the number of values that they are worth;
 * what is below and above lies a bin's width away. Two such profiles of the same bins are compared exactly where bins meet.
 */
extern void ml_profile_of_bins(MlNumberProfile *number);

/* sorts keys as ml_double_key makes them; spare has room for as many */
extern void ml_profile_sort(uint64 *key, uint64 *spare, int64 n);

/*
 * The bin of equal width of a value that is not NaN: 0 below low, ML_PROFILE_BINS + 1 above high.
 * per_unit: ml_profile_bins_per_unit(), to be made once.
 */
static inline double
ml_profile_bins_per_unit(double low, double high)
{
	return ML_PROFILE_BINS / (high - low);
}

static inline int
ml_profile_bin(double low, double high, double per_unit, double value)
{
	int			bin;

	if (value < low)
		return 0;
	if (!(value <= high))
		return ML_PROFILE_BINS + 1;
	bin = (int) ((value - low) * per_unit);
	return bin < ML_PROFILE_BINS ? bin + 1 : ML_PROFILE_BINS;
}

#endif							/* ML_DRIFT_PROFILE_H */
