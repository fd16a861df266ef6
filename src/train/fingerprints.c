/*
 * fingerprints.c
 *		The rows that a version was trained on, as 64 bits each: features and
 *		target, nothing else. And the keys of these rows, where the training was
 *		told which column that is, since rows of few different values are equal
 *		by chance.
 *
 * Sorted, without doubles, as differences of neighbours (evidence.h). Above ten
 * million rows only so many upper bits are kept that a row which was not among them
 * is taken for one in at most one of ten thousand cases: a set of truncated
 * hashes, the differences of which need some two bytes a row (Putze, Sanders &
 * Singler 2007, "Cache-, hash- and space-efficient Bloom filters", section 4).
 */
#include "postgres.h"

#include <math.h>

#include "interrupts.h"
#include "model/model.h"
#include "registry/evidence.h"
#include "sort.h"
#include "train/fingerprints.h"
#include "utils/memutils.h"

#define MOST_EXACT		10000000	/* rows */
#define FALSE_POSITIVES	1e-4
#define KEY_BITS		64
#define BITS_A_BYTE		7
#define LONGEST			10			/* bytes of a difference */

/* the columns of the rows that are scored, and the target */
static char **
name_columns(const MlTraining *training, const MlRecipe *recipe, int *n)
{
	char	  **name = palloc(sizeof(char *) * (recipe->nfeatures + 1));

	*n = 0;
	for (int f = 0; f < recipe->nfeatures; f++)
		name[(*n)++] = recipe->features[f].name;
	if (training->frame->target_column >= 0)
		name[(*n)++] = training->frame->cols[training->frame->target_column].name;
	return name;
}

static uint64 *
make_keys(MlTraining *training, const MlRecipe *recipe)
{
	int			n;
	char	  **name = name_columns(training, recipe, &n);
	uint64	   *key = MemoryContextAllocHuge(training->frame->cxt,
											 ml_size_mul(Max(training->frame->nrows, 1), sizeof(uint64)));

	ml_frame_row_keys(training->frame, n, name, true, key);
	pfree(name);
	return key;
}

void
ml_fingerprints_note(MlTraining *training)
{
	MlFrame    *frame = training->frame;
	Size		bytes = ml_size_mul(frame->nrows, sizeof(uint64));

	if (training->spec.options.row_fingerprints == ML_FINGERPRINTS_NONE)
		return;
	ml_budget_take(&training->budget, bytes, "fingerprints of rows");
	frame->memory += bytes;
	frame->row_key = make_keys(training, training->encoder->recipe);
}

/* ---- order ---- */

static bool
is_sorted(const uint64 *key, int64 n)
{
	for (int64 i = 1; i < n; i++)
	{
		ml_check_row(i);
		if (key[i] < key[i - 1])
			return false;
	}
	return true;
}

static void
sort_keys(uint64 *key, int64 n)
{
	MlKeyed    *item = palloc_extended(ml_size_mul(n, 2 * sizeof(MlKeyed)), MCXT_ALLOC_HUGE);

	for (int64 i = 0; i < n; i++)
		item[i].key = key[i];
	ml_sort(item, item + n, n, KEY_BITS);
	for (int64 i = 0; i < n; i++)
		key[i] = item[i].key;
	pfree(item);
}

/* ---- bytes ---- */

static int
bits_for(const MlTraining *training, int64 n)
{
	int			choice = training->spec.options.row_fingerprints;

	if (choice == ML_FINGERPRINTS_EXACT || (choice == ML_FINGERPRINTS_AUTO && n <= MOST_EXACT))
		return KEY_BITS;
	return (int) fmin(ceil(log2(Max(n, 1) / FALSE_POSITIVES)), KEY_BITS);
}

static inline char *
put_number(char *to, uint64 number)
{
	for (; number >> BITS_A_BYTE != 0; number >>= BITS_A_BYTE)
		*to++ = (char) (number | (1 << BITS_A_BYTE));
	*to++ = (char) number;
	return to;
}

static void
insert_keys(const MlTraining *training, MlTrainingKind kind, const uint64 *key, int64 n)
{
	MlTrainingRows rows = {.bits = bits_for(training, n)};
	char	   *data = palloc(ML_ARTIFACT_PART);
	char	   *to = data;
	uint64		before = 0;
	int			part = 0;

	rows.data = data;
	for (int64 i = 0; i < n; i++)
	{
		uint64		now = key[i] >> (KEY_BITS - rows.bits);

		ml_check_row(i);
		if (to > data && now == before)
			continue;
		if (to + LONGEST > data + ML_ARTIFACT_PART)
		{
			rows.length = to - data;
			ml_registry_insert_training_rows(training->model, training->version, kind, part++, &rows);
			to = data;
			before = 0;
		}
		to = put_number(to, now - before);
		before = now;
	}
	rows.length = to - data;
	ml_registry_insert_training_rows(training->model, training->version, kind, part, &rows);
	pfree(data);
}

void
ml_fingerprints_insert(MlTraining *training)
{
	const MlFrame *frame = training->frame;
	int64		n = training->spec.options.refit ? frame->nrows : frame->ntrain;
	uint64	   *key = frame->row_key;
	MemoryContext cxt;
	MemoryContext old;

	if (training->in_sql || training->spec.options.row_fingerprints == ML_FINGERPRINTS_NONE)
		return;
	cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops fingerprints", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	if (key == NULL)
	{
		ml_budget_take(&training->budget, ml_size_mul(frame->nrows, sizeof(uint64)), "fingerprints of rows");
		key = make_keys(training, training->recipe);
	}
	if (!is_sorted(key, n))
		sort_keys(key, n);
	insert_keys(training, ML_TRAINING_ROW, key, n);
	if (frame->key_hash != NULL)
	{
		memcpy(key, frame->key_hash, n * sizeof(uint64));
		sort_keys(key, n);
		insert_keys(training, ML_TRAINING_KEY, key, n);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}
