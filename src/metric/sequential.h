/*
 * sequential.h
 *		Tests that may be looked at as often as one likes: confidence sequences
 *		and p values that hold at all looks at once. Plain C, no server.
 */
#ifndef ML_SEQUENTIAL_H
#define ML_SEQUENTIAL_H

#include <stdint.h>

typedef struct MlSequential
{
	double		low;			/* the ends of the sequence now; NaN, all three: cannot be given */
	double		high;
	double		p_value;		/* of what is tested, two-sided */
} MlSequential;

/*
 * Of the difference between two independent sides, against none. error: its
 * standard error; units: of how many independent ones a mean would be as
 * uncertain, 1 / (1 / n1 + 1 / n2); alpha: share of all sequences that may
 * ever leave the truth outside.
 */
extern void ml_sequential_difference(double difference, double error, double units, double alpha,
									 MlSequential *result);

/* one side: what was estimated, its standard error, of how many independent units */
typedef struct MlSide
{
	double		value;
	double		error;
	double		units;
} MlSide;

/* fewer on a side are too few to estimate an error from; nothing is said then */
#define ML_SEQUENTIAL_LEAST_UNITS 10

/*
 * The same of two sides, other - one. A side that looks steadier than both together, as a small one by
 * chance does, is taken to be like both.
 */
extern void ml_sequential_sides(const MlSide *one, const MlSide *other, double alpha, MlSequential *result);

/*
 * Of the share of ones among ones + zeros units, against share, which lies between 0
 * and 1; low and high are of the share.
 */
extern void ml_sequential_share(int64_t ones, int64_t zeros, double share, double alpha, MlSequential *result);

#endif							/* ML_SEQUENTIAL_H */
