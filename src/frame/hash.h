/*
 * hash.h
 *		The hashes that mlops relies on staying the same for ever, on every
 *		server version and byte order: of keys (hold-out, canary) and of rows
 *		(fingerprints, canonical order). The server's own hash functions make
 *		no such promise. Documented in docs/formats.md with test vectors.
 */
#ifndef ML_HASH_H
#define ML_HASH_H

#include "postgres.h"

typedef struct MlHash128
{
	uint64		high;
	uint64		low;
} MlHash128;

/* 64-bit hash of bytes under a seed */
extern uint64 ml_hash_bytes(const void *bytes, Size length, uint64 seed);

/* a finalizer: every bit of the result depends on every bit of x */
static inline uint64
ml_hash_mix(uint64 x)
{
	x ^= x >> 30;
	x *= UINT64CONST(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64CONST(0x94d049bb133111eb);
	x ^= x >> 31;
	return x;
}

/* uniform in [0, 1) with 53 bits */
static inline double
ml_hash_unit(uint64 hash)
{
	return (double) (hash >> 11) * (1.0 / 9007199254740992.0);
}

#endif							/* ML_HASH_H */
