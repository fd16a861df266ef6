/*
 * collect.c
 *		Rows as they come in, to be compared with a profile.
 */
#include "postgres.h"

#include <math.h>

#include "drift/collect.h"
#include "frame/hash.h"
#include "interrupts.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#define FIRST_ROWS		1024
#define PART_OF_MEMORY	4		/* two collectors, and what becomes of their columns one after the other */
#define ENTRY_OVERHEAD	64		/* bytes beside an entry of a hash table: about */
#define FIRST_LEVELS	64

typedef struct Level
{
	MlHash128	hash;			/* key */
	char	   *bytes;
	int32		length;
	int64		rows;
} Level;

typedef struct Column
{
	MlProfileRole role;
	const char *name;
	MlKind		kind;
	int64		missing;
	int64		left_out;
	double	   *value;			/* of rows kept */
	HTAB	   *levels;			/* CATEGORY */
} Column;

struct MlCollector
{
	MemoryContext cxt;
	MlBudget   *budget;
	Size		before;			/* used of the budget by others */
	int			ncolumns;
	Column	   *column;
	int64		rows;			/* seen */
	int64		kept;
	int64		capacity;
	int64		most;			/* kept at a time */
	int64		slot;			/* of the row that is under way; -1: it is not kept */
};

/* ---- beginning ---- */

/* for each row: its numbers, and what one column of them takes when it is sorted and made a profile */
static int64
most_rows(const MlCollector *collector)
{
	const MlBudget *budget = collector->budget;
	Size		left = (budget->limit - Min(budget->used, budget->limit)) / PART_OF_MEMORY;
	Size		row = sizeof(double) * collector->ncolumns + ml_profile_room_size(1) + ml_profile_exact_size(1);

	return Max((int64) (left / row), FIRST_ROWS);
}

MlCollector *
ml_collector_begin(MlBudget *budget, int ncolumns)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops rows to compare", ALLOCSET_DEFAULT_SIZES);
	MlCollector *collector = MemoryContextAllocZero(cxt, sizeof(MlCollector));

	collector->cxt = cxt;
	collector->budget = budget;
	collector->before = budget->used;
	collector->ncolumns = ncolumns;
	collector->column = MemoryContextAllocZero(cxt, sizeof(Column) * Max(ncolumns, 1));
	collector->most = most_rows(collector);
	return collector;
}

void
ml_collector_end(MlCollector *collector)
{
	collector->budget->used = collector->before;
	MemoryContextDelete(collector->cxt);
}

static HTAB *
make_levels(MemoryContext cxt)
{
	HASHCTL		info = {0};

	info.keysize = sizeof(MlHash128);
	info.entrysize = sizeof(Level);
	info.hcxt = cxt;
	return hash_create("mlops levels", FIRST_LEVELS, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void
ml_collector_describe(MlCollector *collector, int i, MlProfileRole role, const char *name, MlKind kind)
{
	Column	   *column = &collector->column[i];

	column->role = role;
	column->name = MemoryContextStrdup(collector->cxt, name);
	column->kind = kind;
	if (kind == ML_KIND_CATEGORY)
		column->levels = make_levels(collector->cxt);
}

/* ---- rows ---- */

static void
grow(MlCollector *collector)
{
	int64		wanted = Min(Max(collector->capacity * 2, FIRST_ROWS), collector->most);

	for (int i = 0; i < collector->ncolumns; i++)
	{
		Column	   *column = &collector->column[i];

		if (column->kind == ML_KIND_CATEGORY)
			continue;
		ml_budget_take(collector->budget, sizeof(double) * (wanted - collector->capacity), "the rows to compare");
		column->value = column->value == NULL ? MemoryContextAllocHuge(collector->cxt, sizeof(double) * wanted) :
			repalloc_huge(column->value, sizeof(double) * wanted);
	}
	collector->capacity = wanted;
}

void
ml_collect_number(MlCollector *collector, int i, double value)
{
	Column	   *column = &collector->column[i];

	column->missing += !isfinite(value);
	if (collector->slot < 0)
		return;
	if (collector->slot == collector->capacity)
		grow(collector);
	column->value[collector->slot] = value;
}

static void
add_level(MlCollector *collector, Level *level, const char *bytes, int length)
{
	ml_budget_take(collector->budget, sizeof(Level) + ENTRY_OVERHEAD + length, "the different values of a category");
	level->bytes = MemoryContextAlloc(collector->cxt, Max(length, 1));
	memcpy(level->bytes, bytes, length);
	level->length = length;
	level->rows = 0;
}

void
ml_collect_level(MlCollector *collector, int i, const char *bytes, int length)
{
	MlHash128	hash;
	Level	   *level;
	bool		found;

	hash.low = ml_hash_bytes(bytes, length, 0);
	hash.high = ml_hash_bytes(bytes, length, hash.low ^ ML_HASH_STEP);
	level = hash_search(collector->column[i].levels, &hash, HASH_ENTER, &found);
	if (!found)
		add_level(collector, level, bytes, length);
	level->rows++;
}

void
ml_collect_missing(MlCollector *collector, int i)
{
	if (collector->column[i].kind == ML_KIND_CATEGORY)
		collector->column[i].missing++;
	else
		ml_collect_number(collector, i, NAN);
}

void
ml_collect_nothing(MlCollector *collector, int i)
{
	Column	   *column = &collector->column[i];

	column->left_out++;
	if (column->kind == ML_KIND_CATEGORY)
		return;
	ml_collect_number(collector, i, NAN);
	column->missing--;
}

/*
 * While there is room every row is kept; then row i takes the place of a row at random with
 * probability most / i, so that those kept are a random sample at any time (Vitter 1985,
 * "Random sampling with a reservoir", algorithm R). Random numbers are hashes of i.
 */
void
ml_collector_next(MlCollector *collector)
{
	CHECK_FOR_INTERRUPTS();
	collector->rows++;
	collector->kept = Min(collector->rows, collector->most);
	collector->slot = collector->rows < collector->most ? collector->rows :
		(int64) (ml_hash_unit(ml_hash_mix((uint64) collector->rows * ML_HASH_STEP)) * (collector->rows + 1));
	if (collector->slot >= collector->most)
		collector->slot = -1;
}

/* ---- what came of it ---- */

static void
profile_levels(const MlCollector *collector, const Column *column, MlProfile *profile)
{
	long		n = hash_get_num_entries(column->levels);
	char	  **value = palloc_extended(sizeof(char *) * Max(n, 1), MCXT_ALLOC_HUGE);
	int32	   *length = palloc_extended(sizeof(int32) * Max(n, 1), MCXT_ALLOC_HUGE);
	int64	   *rows = palloc_extended(sizeof(int64) * Max(n, 1), MCXT_ALLOC_HUGE);
	HASH_SEQ_STATUS scan;
	Level	   *level;

	n = 0;
	hash_seq_init(&scan, column->levels);
	while ((level = hash_seq_search(&scan)) != NULL)
	{
		value[n] = level->bytes;
		length[n] = level->length;
		rows[n++] = level->rows;
	}
	ml_profile_levels(profile, collector->rows - column->left_out, (int) n, value, length, rows, 0);
	pfree(value);
	pfree(length);
	pfree(rows);
}

static void
profile_numbers(const MlCollector *collector, const Column *column, MlProfile *profile)
{
	Size		bytes = ml_profile_room_size(collector->kept);
	void	   *memory = palloc_extended(bytes, MCXT_ALLOC_HUGE);
	MlProfileRoom room;

	ml_profile_room_take(&room, memory, collector->kept, true);
	ml_profile_numbers(profile, column->value, collector->kept, &room);
	pfree(memory);
}

MlProfile *
ml_collector_profile(MlCollector *collector, int i)
{
	const Column *column = &collector->column[i];
	MlProfile  *profile = palloc0(sizeof(MlProfile));

	profile->role = column->role;
	profile->name = column->name;
	profile->kind = column->kind;
	if (column->kind == ML_KIND_CATEGORY)
		profile_levels(collector, column, profile);
	else
		profile_numbers(collector, column, profile);
	profile->rows = collector->rows - column->left_out;
	profile->missing = column->missing;
	return profile;
}
