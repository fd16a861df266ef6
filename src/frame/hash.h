/*
 * hash.h
 *		The hashes that mlops relies on staying the same for ever, on every
 *		server version and byte order: of keys (hold-out, canary) and of rows
 *		(fingerprints, canonical order). The server's own hash functions make
 *		no such promise. hash.c says how they are made, and
 *		test/unit/test_hash.c holds test vectors.
 */
#ifndef ML_HASH_H
#define ML_HASH_H

#include "postgres.h"

typedef struct MlHash128
{
	uint64		high;
	uint64		low;
} MlHash128;

/* odd, so that adding it again and again visits every word (the golden ratio) */
#define ML_HASH_STEP UINT64CONST(0x9e3779b97f4a7c15)

/* 64-bit hash of bytes under a seed */
extern uint64 ml_hash_bytes(const void *bytes, Size length, uint64 seed);

/*
 * A finalizer: every bit of the result depends on every bit of x, and no two x
 * share a result. Constants: Stafford's variant 13, as in SplitMix64 (Steele,
 * Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014).
 */
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

/* takes one more word into a hash */
static inline uint64
ml_hash_word(uint64 hash, uint64 word)
{
	return ml_hash_mix((hash ^ word) + ML_HASH_STEP);
}

/* uniform in [0, 1) with 53 bits */
static inline double
ml_hash_unit(uint64 hash)
{
	return (double) (hash >> 11) * (1.0 / 9007199254740992.0);
}

/* ---- fingerprints: sums modulo 2^128, so that order does not matter ---- */

/* what a column's values are mixed with, derived from its name alone */
typedef struct MlHashSecret
{
	uint64		straight;		/* for the bits of a value */
	uint64		crossed;		/* for the same with halves swapped */
	MlHash128	null;			/* what a NULL adds */
} MlHashSecret;

extern void ml_hash_secret(const char *name, MlHashSecret *secret);

static inline void
ml_hash128_add(MlHash128 *sum, MlHash128 x)
{
	sum->low += x.low;
	sum->high += x.high + (sum->low < x.low);
}

/* a * b without loss */
static inline MlHash128
ml_hash_multiply(uint64 a, uint64 b)
{
	MlHash128	product;

#ifdef HAVE_INT128
	uint128		wide = (uint128) a * b;

	product.high = (uint64) (wide >> 64);
	product.low = (uint64) wide;
#else
	uint64		a0 = a & 0xffffffff;
	uint64		a1 = a >> 32;
	uint64		b0 = b & 0xffffffff;
	uint64		b1 = b >> 32;
	uint64		middle = a1 * b0 + ((a0 * b0) >> 32);
	uint64		carry = (middle & 0xffffffff) + a0 * b1;

	product.high = a1 * b1 + (middle >> 32) + (carry >> 32);
	product.low = a * b;
#endif
	return product;
}

/*
 * What a value adds to the fingerprint of its row: quadratic in its bits, so
 * that the values of different columns do not cancel out as multiples of one
 * another would (a product per word, after NH: Black et al., UMAC, CRYPTO 1999).
 */
static inline MlHash128
ml_hash_value(const MlHashSecret *secret, uint64 bits)
{
	return ml_hash_multiply(bits ^ secret->straight, ((bits << 32) | (bits >> 32)) ^ secret->crossed);
}

/* the sum of a row's values becomes its fingerprint: a Feistel network of three rounds */
static inline MlHash128
ml_hash_finish(MlHash128 sum)
{
	sum.high ^= ml_hash_mix(sum.low + ML_HASH_STEP);
	sum.low ^= ml_hash_mix(sum.high + ML_HASH_STEP);
	sum.high ^= ml_hash_mix(sum.low + ML_HASH_STEP);
	return sum;
}

/* the bits of a double by which equal numbers are equal: one zero, one NaN */
static inline uint64
ml_hash_double(double x)
{
	uint64		bits;

	if (x != x)
		return UINT64CONST(0x7ff8000000000000);
	x += 0.0;					/* -0 becomes 0 */
	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

/* a share of all hashes, up to 1, is below this; 1 is all of them but one */
static inline uint64
ml_hash_limit(double share)
{
	return share >= 1.0 ? PG_UINT64_MAX : (uint64) (share * 18446744073709551616.0);
}

#endif							/* ML_HASH_H */
