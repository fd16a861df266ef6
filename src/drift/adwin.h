/*
 * adwin.h
 *		A window over a stream of numbers that is as long as its mean is the same
 *		(ADWIN2: Bifet & Gavalda 2007, "Learning from time-changing data with adaptive
 *		windowing", SDM).
 *
 * The window is cut where its older and its newer part have means that differ by more
 * than chance allows. It is kept as an exponential histogram, of buckets that hold
 * 1, 2, 4... values, ML_ADWIN_BUCKETS of each size at most: memory of a fixed size,
 * whatever the number of values.
 */
#ifndef ML_ADWIN_H
#define ML_ADWIN_H

#include "postgres.h"

#define ML_ADWIN_BUCKETS	5	/* M of the paper */
#define ML_ADWIN_SIZES		48	/* 5 (2^48 - 1) values, in 5 kB */

typedef struct MlAdwinBucket
{
	double		sum;
	double		squares;		/* of differences from the mean */
} MlAdwinBucket;

typedef struct MlAdwin
{
	double		delta;			/* of false cuts, at each value */
	int			nsizes;
	int			nbuckets[ML_ADWIN_SIZES];
	MlAdwinBucket bucket[ML_ADWIN_SIZES][ML_ADWIN_BUCKETS + 1];	/* of 2^size values; the oldest first */
	int64		n;				/* values seen */
	double		least;			/* of them: a cut must exceed chance for values of that range */
	double		most;

	/* the window: the newest of them */
	int64		width;
	double		sum;
	double		squares;		/* of differences from its mean */

	/* a cut through values that came after the last change was found is another change; an earlier one tells where it was */
	int64		changes;
	int64		found_at;		/* at which value the last one was found; 0: never */
	int64		changed_at;		/* the first value that was kept then */
	double		before;			/* mean of the values that were left out when it was found */
} MlAdwin;

/* delta in (0, 1) */
extern void ml_adwin_begin(MlAdwin *adwin, double delta);

/* a finite value; true: the window was cut */
extern bool ml_adwin_add(MlAdwin *adwin, double value);

#endif							/* ML_ADWIN_H */
