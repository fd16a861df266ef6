/*
 * hash.c
 *		Hash of bytes, and the secrets of columns.
 *
 * The results are stored (fingerprints of versions) and relied upon (which key
 * goes to the hold-out or the canary), so nothing here may ever change. Needs
 * nothing of the server but its integer types: test/unit/test_hash.c holds the
 * test vectors.
 */
#include "postgres.h"

#include "frame/hash.h"

#define ML_HASH_WORD 8			/* bytes */

/* the word that up to 8 bytes are, least significant first, padded with zeros */
static inline uint64
read_word(const unsigned char *bytes, Size length)
{
	uint64		word = 0;

	for (Size i = 0; i < length; i++)
		word |= (uint64) bytes[i] << (8 * i);
	return word;
}

/*
 * With H = ml_hash_word: h = H(0, seed); h = H(h, w) for each 8-byte word w of
 * the bytes in little-endian order, the last one padded with zero bytes;
 * result H(h, length). The length tells apart what the padding makes equal.
 */
uint64
ml_hash_bytes(const void *bytes, Size length, uint64 seed)
{
	const unsigned char *p = bytes;
	Size		left = length;
	uint64		hash = ml_hash_word(0, seed);

	for (; left >= ML_HASH_WORD; left -= ML_HASH_WORD, p += ML_HASH_WORD)
		hash = ml_hash_word(hash, read_word(p, ML_HASH_WORD));
	if (left > 0)
		hash = ml_hash_word(hash, read_word(p, left));
	return ml_hash_word(hash, (uint64) length);
}

void
ml_hash_secret(const char *name, MlHashSecret *secret)
{
	Size		length = strlen(name);

	secret->straight = ml_hash_bytes(name, length, 1);
	secret->crossed = ml_hash_bytes(name, length, 2);
	secret->null.high = ml_hash_bytes(name, length, 3);
	secret->null.low = ml_hash_bytes(name, length, 4);
}
