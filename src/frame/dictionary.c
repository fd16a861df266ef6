/*
 * dictionary.c
 *		The distinct values of a category column: bytes to codes.
 *
 * Open addressing with linear probing over codes; the slots hold part of the
 * hash too, so that a probe that misses seldom touches another value's bytes.
 * The table is at most three quarters full. Every byte is counted in the
 * frame's budget before it is taken, so that a column of a billion different
 * texts ends in an error and not in the kernel's hands.
 */
#include "postgres.h"

#include "frame/dictionary.h"
#include "frame/memory.h"

#define ML_DICTIONARY_FIRST_SLOTS	64		/* a power of two */
#define ML_DICTIONARY_ARENA			(64 * 1024)	/* at most, and less for few values */
#define ML_DICTIONARY_FREE			(-1)

typedef struct Slot
{
	int32		code;			/* or ML_DICTIONARY_FREE */
	uint32		tag;			/* upper half of the hash; the lower one chooses the slot */
} Slot;

struct MlDictionaryIndex
{
	Slot	   *slot;
	uint32		mask;			/* number of slots - 1 */
	uint64	   *hash;			/* of each value */
	int32		capacity;		/* of the arrays by code */
	char	   *arena;			/* where the next value goes */
	Size		arena_left;
};

static const char what[] = "the distinct values of text columns";

/* ---- room ---- */

/* a larger copy of an array of n elements */
static void *
grow(MlFrame *frame, void *old, Size n, Size larger, Size width)
{
	void	   *copy = ml_frame_alloc(frame, ml_size_mul(larger, width), what);

	if (old != NULL)
	{
		memcpy(copy, old, n * width);
		ml_frame_release(frame, old, n * width);
	}
	return copy;
}

static void
set_capacity(MlFrame *frame, MlDictionary *dictionary, int32 capacity)
{
	struct MlDictionaryIndex *index = dictionary->index;
	int32		n = index->capacity;

	dictionary->value = grow(frame, dictionary->value, n, capacity, sizeof(char *));
	dictionary->length = grow(frame, dictionary->length, n, capacity, sizeof(int32));
	dictionary->count = grow(frame, dictionary->count, n, capacity, sizeof(int64));
	index->hash = grow(frame, index->hash, n, capacity, sizeof(uint64));
	index->capacity = capacity;
}

static uint32
find_free(const struct MlDictionaryIndex *index, uint64 hash)
{
	uint32		i = (uint32) hash & index->mask;

	while (index->slot[i].code != ML_DICTIONARY_FREE)
		i = (i + 1) & index->mask;
	return i;
}

static void
set_slots(MlFrame *frame, MlDictionary *dictionary, uint32 nslots)
{
	struct MlDictionaryIndex *index = dictionary->index;

	if (index->slot != NULL)
		ml_frame_release(frame, index->slot, ((Size) index->mask + 1) * sizeof(Slot));
	index->slot = ml_frame_alloc(frame, ml_size_mul(nslots, sizeof(Slot)), what);
	index->mask = nslots - 1;
	memset(index->slot, 0xff, (Size) nslots * sizeof(Slot));
	for (int32 code = 0; code < dictionary->nvalues; code++)
	{
		Slot	   *slot = &index->slot[find_free(index, index->hash[code])];

		slot->code = code;
		slot->tag = (uint32) (index->hash[code] >> 32);
	}
}

/* a terminated copy; the rest of the last arena is lost when a value does not fit */
static char *
keep_bytes(MlFrame *frame, struct MlDictionaryIndex *index, const char *bytes, int length)
{
	Size		size = (Size) length + 1;
	char	   *copy;

	if (size > index->arena_left)
	{
		Size		arena = Max(size, Min(ML_DICTIONARY_ARENA, (Size) index->capacity * 16));

		index->arena = ml_frame_alloc(frame, arena, what);
		index->arena_left = arena;
	}
	copy = index->arena;
	index->arena += size;
	index->arena_left -= size;
	memcpy(copy, bytes, length);
	copy[length] = '\0';
	return copy;
}

/* ---- values ---- */

MlDictionary *
ml_dictionary_create(MlFrame *frame)
{
	MlDictionary *dictionary = MemoryContextAllocZero(frame->cxt, sizeof(MlDictionary));

	dictionary->index = MemoryContextAllocZero(frame->cxt, sizeof(struct MlDictionaryIndex));
	set_capacity(frame, dictionary, ML_DICTIONARY_FIRST_SLOTS);
	set_slots(frame, dictionary, ML_DICTIONARY_FIRST_SLOTS);
	return dictionary;
}

static int32
add_value(MlFrame *frame, MlDictionary *dictionary, const char *bytes, int length, uint64 hash)
{
	struct MlDictionaryIndex *index = dictionary->index;
	int32		code = dictionary->nvalues;
	uint32		nslots = index->mask + 1;
	Slot	   *slot;

	if (code > PG_INT32_MAX / 4)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a text column has more than %d distinct values", PG_INT32_MAX / 4),
				 errdetail("Each is numbered, with 32 bits."),
				 errhint("Leave the column out with exclude => '{...}', or read fewer rows.")));
	if (code == index->capacity)
		set_capacity(frame, dictionary, index->capacity * 2);
	if ((uint32) code >= nslots / 4 * 3)
		set_slots(frame, dictionary, nslots * 2);

	dictionary->value[code] = keep_bytes(frame, index, bytes, length);
	dictionary->length[code] = length;
	dictionary->count[code] = 1;
	index->hash[code] = hash;
	slot = &index->slot[find_free(index, hash)];
	slot->code = code;
	slot->tag = (uint32) (hash >> 32);
	dictionary->nvalues++;
	return code;
}

int32
ml_dictionary_add(MlFrame *frame, MlDictionary *dictionary,
				  const char *bytes, int length, uint64 hash)
{
	const struct MlDictionaryIndex *index = dictionary->index;
	uint32		i = (uint32) hash & index->mask;

	for (;; i = (i + 1) & index->mask)
	{
		const Slot *slot = &index->slot[i];
		int32		code = slot->code;

		if (code == ML_DICTIONARY_FREE)
			return add_value(frame, dictionary, bytes, length, hash);
		if (slot->tag == (uint32) (hash >> 32) &&
			dictionary->length[code] == length &&
			memcmp(dictionary->value[code], bytes, length) == 0)
		{
			dictionary->count[code]++;
			return code;
		}
	}
}

void
ml_dictionary_finish(MlFrame *frame, MlDictionary *dictionary)
{
	struct MlDictionaryIndex *index = dictionary->index;

	ml_frame_release(frame, index->slot, ((Size) index->mask + 1) * sizeof(Slot));
	ml_frame_release(frame, index->hash, (Size) index->capacity * sizeof(uint64));
	pfree(index);
	dictionary->index = NULL;
}
