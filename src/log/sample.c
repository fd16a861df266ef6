/*
 * sample.c
 *		Which keys are in samples: that of the log, those of shadows.
 *
 * It depends on the model's name and the key alone: a key is always in it or
 * never, and a larger sample holds every key of a smaller one.
 */
#include "postgres.h"

#include "frame/hash.h"
#include "log/log.h"
#include "miscadmin.h"

uint64
ml_watch_hash(const char *model, const char *key, int length)
{
	static uint64 count = 0;

	if (key != NULL)
		return ml_hash_bytes(key, length, ml_hash_bytes(model, strlen(model), 0));
	return ml_hash_word(++count, (uint64) MyProcPid);
}
