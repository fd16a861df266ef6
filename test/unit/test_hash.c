/*
 * test_hash.c
 *		Test vectors of the hashes that mlops stores. They come from another
 *		implementation, written from the description in hash.c alone; a change
 *		of any of them would send rows and keys to other sides of every split.
 */
#include "postgres.h"

#include <stdio.h>

#include "frame/hash.h"
#include "registry/canary.h"

/* the server's own are not linked */
#undef printf
#undef snprintf

typedef struct BytesVector
{
	const char *bytes;
	Size		length;
	uint64		seed;
	uint64		hash;
} BytesVector;

static const BytesVector vectors[] = {
	{"", 0, 0, UINT64CONST(0xa706dd2f4d197e6f)},
	{"", 0, 1, UINT64CONST(0x5e41ab087439611e)},
	{"a", 1, 0, UINT64CONST(0x90ee7ac581476b17)},
	{"a\0", 2, 0, UINT64CONST(0x75311419289132bd)},
	{"42", 2, 0, UINT64CONST(0xda8202db98d3bbdb)},
	{"Z\xc3\xbcrich", 7, 0, UINT64CONST(0xa97292ba31a8c5c0)},
	{"abcdefgh", 8, 0, UINT64CONST(0xfb09976cb7bd678a)},
	{"abcdefghi", 9, 0, UINT64CONST(0xca278fca7a9b965b)}
};

static int	failures = 0;

static void
check(int ok, const char *name)
{
	printf("%s - %s\n", ok ? "ok" : "not ok", name);
	failures += !ok;
}

static void
test_bytes(void)
{
	unsigned char all[256];
	char		name[64];

	for (int i = 0; i < (int) lengthof(vectors); i++)
	{
		const BytesVector *v = &vectors[i];

		snprintf(name, sizeof(name), "vector %d of bytes", i + 1);
		check(ml_hash_bytes(v->bytes, v->length, v->seed) == v->hash, name);
	}
	for (int i = 0; i < 256; i++)
		all[i] = (unsigned char) i;
	check(ml_hash_bytes(all, 256, 7) == UINT64CONST(0x5a8f5c639b9e1d31), "every byte");
}

static uint64
bits_of(double x)
{
	return ml_hash_double(x);
}

static void
test_rows(void)
{
	MlHashSecret x;
	MlHashSecret y;
	MlHash128	forward = {0, 0};
	MlHash128	backward = {0, 0};
	MlHash128	with_null = {0, 0};

	ml_hash_secret("x", &x);
	ml_hash_secret("y", &y);
	ml_hash128_add(&forward, ml_hash_value(&x, bits_of(1.0)));
	ml_hash128_add(&forward, ml_hash_value(&y, bits_of(-2.5)));
	ml_hash128_add(&backward, ml_hash_value(&y, bits_of(-2.5)));
	ml_hash128_add(&backward, ml_hash_value(&x, bits_of(1.0)));
	check(forward.high == backward.high && forward.low == backward.low,
		  "the order of columns does not matter");
	forward = ml_hash_finish(forward);
	check(forward.high == UINT64CONST(0x9de1a9f685d76d13) &&
		  forward.low == UINT64CONST(0xcfc6e009f9ba7837), "row x = 1, y = -2.5");

	ml_hash128_add(&with_null, ml_hash_value(&x, bits_of(1.0)));
	ml_hash128_add(&with_null, y.null);
	with_null = ml_hash_finish(with_null);
	check(with_null.high == UINT64CONST(0xf76bd72f91c80e70) &&
		  with_null.low == UINT64CONST(0x18440653ed023d94), "row x = 1, y NULL");
}

/* flipping one bit of the input must flip about half of the bits of the hash */
static void
test_avalanche(void)
{
	int64		flipped = 0;
	int64		trials = 0;

	for (uint64 i = 0; i < 1000; i++)
		for (int bit = 0; bit < 64; bit++)
		{
			uint64		a = i * ML_HASH_STEP;
			uint64		b = a ^ (UINT64CONST(1) << bit);
			uint64		differ = ml_hash_bytes(&a, sizeof(a), 0) ^ ml_hash_bytes(&b, sizeof(b), 0);

			for (; differ != 0; differ &= differ - 1)
				flipped++;
			trials += 64;
		}
	check(flipped > trials * 49 / 100 && flipped < trials * 51 / 100,
		  "every bit of the input moves half of the hash");
}

/* consecutive numbers, as keys often are, fall evenly into a share */
static void
test_share(void)
{
	int			held = 0;
	char		key[32];

	for (int i = 0; i < 100000; i++)
	{
		int			length = snprintf(key, sizeof(key), "%d", i);

		held += ml_hash_unit(ml_hash_bytes(key, length, 0)) < 0.2;
	}
	/* 20000 expected, standard deviation 126 */
	check(held > 19500 && held < 20500, "a fifth of consecutive keys is a fifth");
}

/* whose rows a canary serves; computed in Python from docs/canary.md */
static void
test_positions(void)
{
	uint64		seed = ml_canary_seed("shop");

	check(ml_canary_position("anna", 4, seed) == 0.49947015575016895, "the place of a key");
	check(ml_canary_position("42", 2, seed) == 0.2511203146910005, "the place of a number");
	check(ml_canary_position("", 0, seed) == 0.09857030431764591, "the place of the empty key");
	check(ml_canary_position("anna", 4, ml_canary_seed("autumn")) == 0.056725526724136, "its place under another salt");
}

static void
test_numbers(void)
{
	check(ml_hash_double(-0.0) == ml_hash_double(0.0), "one zero");
	check(ml_hash_double(__builtin_nan("1")) == ml_hash_double(-__builtin_nan("")), "one NaN");
	check(ml_hash_unit(UINT64_MAX) < 1.0 && ml_hash_unit(0) == 0.0, "shares are in [0, 1)");
}

int
main(void)
{
	test_bytes();
	test_rows();
	test_avalanche();
	test_share();
	test_positions();
	test_numbers();
	return failures != 0;
}
