/*
 * position.c
 *		Where a key lies between 0 and 1, written from docs/canary.md and sharing
 *		no code with the extension.
 */
#include <string.h>

#include "load.h"

static uint64_t
mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9u;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static uint64_t
word(uint64_t h, uint64_t w)
{
	return mix((h ^ w) + 0x9e3779b97f4a7c15u);
}

static uint64_t
hash(const unsigned char *bytes, size_t length, uint64_t seed)
{
	uint64_t	h = word(0, seed);

	for (size_t at = 0; at < length; at += 8)
	{
		uint64_t	w = 0;

		for (size_t i = 0; i < 8 && at + i < length; i++)
			w |= (uint64_t) bytes[at + i] << (8 * i);
		h = word(h, w);
	}
	return word(h, length);
}

uint64_t
sample_seed(const char *model)
{
	return hash((const unsigned char *) model, strlen(model), 0);
}

uint64_t
salt_seed(const char *salt)
{
	return hash((const unsigned char *) salt, strlen(salt), 0x7972616e6163u);
}

double
position_of(const void *bytes, size_t length, uint64_t seed)
{
	return (double) (hash(bytes, length, seed) >> 11) / 9007199254740992.0;
}
