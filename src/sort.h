/*
 * sort.h
 *		Rows in the order of 64-bit keys.
 */
#ifndef ML_SORT_H
#define ML_SORT_H

#include "postgres.h"

typedef struct MlKeyed
{
	uint64		key;
	union
	{
		int64		row;
		double		weight;
	};
} MlKeyed;

/*
 * Sorts n items by the upper bits of their keys, at least as many bits as
 * asked for; items that agree in these keep their order. spare has room for as
 * many. Looks for interrupts.
 */
extern void ml_sort(MlKeyed *item, MlKeyed *spare, int64 n, int bits);

/* the order of the keys is the order of the doubles, none of which is NaN; one zero */
static inline uint64
ml_double_key(double x)
{
	uint64		bits;

	x += 0.0;					/* -0 becomes 0 */
	memcpy(&bits, &x, sizeof(bits));
	return (bits >> 63) ? ~bits : bits | (UINT64CONST(1) << 63);
}

static inline double
ml_key_double(uint64 key)
{
	uint64		bits = (key >> 63) ? key & ~(UINT64CONST(1) << 63) : ~key;
	double		x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

#endif							/* ML_SORT_H */
