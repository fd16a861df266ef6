/*
 * sample.c
 *		Which keys are in the sample that is logged.
 *
 * It depends on the model's name and the key alone: a key is always in it or
 * never, and a larger sample holds every key of a smaller one.
 */
#include "postgres.h"

#include "frame/hash.h"
#include "miscadmin.h"
#include "watch/watch.h"

uint64
ml_watch_sample_limit(double sample)
{
	if (sample >= 1.0)
		return PG_UINT64_MAX;
	return (uint64) (sample * 18446744073709551616.0);
}

bool
ml_watch_in_sample(const char *model, const char *key, int length, uint64 limit)
{
	static uint64 count = 0;
	uint64		hash;

	if (limit == PG_UINT64_MAX)
		return true;
	if (key != NULL)
		hash = ml_hash_bytes(key, length, ml_hash_bytes(model, strlen(model), 0));
	else
		hash = ml_hash_word(++count, (uint64) MyProcPid);
	return hash < limit;
}
