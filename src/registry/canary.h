/*
 * canary.h
 *		Which rows are the canary's: a hash of the model's salt and the row's key.
 *
 * The canary serves the rows whose position is below its share. A position is
 * a fraction of [0, 1) that depends on salt and key alone, so a key stays on
 * its side, and a larger share takes in every row of a smaller one. Anybody
 * can work it out again (docs/canary.md has the formula and vectors), and what
 * is logged can be checked by it for years: nothing here may ever change.
 *
 * With H = ml_hash_bytes(bytes, seed) of frame/hash.h:
 *
 *		seed = H(salt, ML_CANARY_SEED); position = (H(key, seed) >> 11) / 2^53
 *
 * The log's sample (log/sample.c) hashes keys under another seed, so that a
 * sample of 5 % has no more of a canary's rows than of others.
 */
#ifndef ML_CANARY_H
#define ML_CANARY_H

#include "postgres.h"

#include "frame/hash.h"

#define ML_CANARY		"canary"	/* the role, and the name by which references ask for it */
#define ML_CANARY_SEED	UINT64CONST(0x7972616e6163) /* the bytes of "canary", the first lowest */

static inline uint64
ml_canary_seed(const char *salt)
{
	return ml_hash_bytes(salt, strlen(salt), ML_CANARY_SEED);
}

static inline double
ml_canary_position(const char *key, Size length, uint64 seed)
{
	return ml_hash_unit(ml_hash_bytes(key, length, seed));
}

/*
 * The salt that a canary of the model would be started with: its setting
 * canary_salt, else its name; what the active snapshot sees. No privilege check.
 */
extern char *ml_registry_canary_salt(const char *model);

#endif							/* ML_CANARY_H */
