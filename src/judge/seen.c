/*
 * seen.c
 *		Which rows of a jury a version was trained on.
 *
 * Both sides are sorted by the same 64 bits, so that one walk along both finds
 * the rows in common, a part of the stored ones in memory at a time.
 */
#include "postgres.h"

#include "interrupts.h"
#include "judge/jury.h"
#include "registry/evidence.h"
#include "sort.h"
#include "utils/memutils.h"

#define KEY_BITS 64

typedef struct Walk
{
	int64		n;
	const MlKeyed *row;			/* places by key, ascending */
	int64		at;				/* those before it are done */
	bool	   *seen;
	const char *model;			/* for errors */
	int			version;
} Walk;

static void
refuse_bytes(const Walk *walk)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("the fingerprints of the rows that version %d of model \"%s\" was trained on are damaged",
					walk->version, walk->model),
			 errdetail("Their bytes are not those of a list of fingerprints."),
			 errhint("Judge with include_seen => true, or train again.")));
}

static void
walk_part(void *arg, const MlTrainingRows *rows)
{
	Walk	   *walk = arg;
	const unsigned char *from = (const unsigned char *) rows->data;
	const unsigned char *end = from + rows->length;
	int			shift = KEY_BITS - rows->bits;
	uint64		key = 0;

	if (rows->bits < 1 || rows->bits > KEY_BITS)
		refuse_bytes(walk);
	for (int64 i = 0; from < end && walk->at < walk->n; i++)
	{
		uint64		difference = 0;
		int			bits = 0;

		ml_check_row(i);
		for (; from < end && (*from & 0x80) && bits < KEY_BITS; bits += 7)
			difference |= (uint64) (*from++ & 0x7f) << bits;
		if (from == end || bits >= KEY_BITS)
			refuse_bytes(walk);
		key += difference | (uint64) *from++ << bits;
		while (walk->at < walk->n && walk->row[walk->at].key >> shift < key)
			walk->at++;
		while (walk->at < walk->n && walk->row[walk->at].key >> shift == key)
			walk->seen[walk->row[walk->at++].row] = true;
	}
}

/* the columns by which a training knows its rows */
static char **
name_columns(const MlJury *jury, const MlModel *model, int *n)
{
	const MlRecipe *recipe = ml_model_input_recipe(model);
	char	  **name = palloc(sizeof(char *) * (recipe->nfeatures + 1));

	*n = 0;
	for (int f = 0; f < recipe->nfeatures; f++)
		name[(*n)++] = recipe->features[f].name;
	if (jury->target != NULL)
		name[(*n)++] = jury->target;
	return name;
}

/* by place, which of these keys of the frame's rows are among those stored; false: none are stored */
static bool
find_stored(const MlJury *jury, const MlResolved *resolved, MlTrainingKind kind, const uint64 *key, MlKeyed *item,
			bool *seen)
{
	int64		n = jury->nrows;
	Walk		walk = {.n = n, .row = item, .seen = seen, .model = resolved->model, .version = resolved->version};
	bool		sorted = true;	/* where the columns are all that was read: places are in that order */

	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		item[i].key = key[jury->row[i]];
		item[i].row = i;
		sorted &= i == 0 || item[i - 1].key <= item[i].key;
	}
	if (!sorted)
		ml_sort(item, item + n, n, KEY_BITS);
	memset(seen, 0, n);
	return ml_registry_training_rows(resolved->model, resolved->version, kind, walk_part, &walk) > 0;
}

bool *
ml_jury_seen(MlJury *jury, const MlResolved *resolved, const MlModel *model, MemoryContext cxt)
{
	int64		n = jury->nrows;
	uint64	   *key = ml_jury_take(jury, cxt, n, sizeof(uint64), "fingerprints of rows");
	MlKeyed    *item = ml_jury_take(jury, cxt, ml_size_mul(n, 2), sizeof(MlKeyed), "fingerprints of rows");
	bool	   *seen = ml_jury_take(jury, cxt, n, sizeof(bool), "flags of rows");
	int			ncolumns;
	char	  **name = name_columns(jury, model, &ncolumns);
	bool		known;

	ml_frame_row_keys(jury->frame, ncolumns, name, !jury->renamed, key);
	known = find_stored(jury, resolved, ML_TRAINING_ROW, key, item, seen);
	if (known && jury->key != NULL)
	{
		/* a row of the same values is another one where its key is */
		bool	   *by_key = ml_jury_take(jury, cxt, n, sizeof(bool), "flags of rows");

		if (find_stored(jury, resolved, ML_TRAINING_KEY, jury->frame->key_hash, item, by_key))
		{
			for (int64 i = 0; i < n; i++)
			{
				ml_check_row(i);
				seen[i] = seen[i] && by_key[i];
			}
		}
		pfree(by_key);
		ml_budget_give(&jury->budget, ml_size_mul(n, sizeof(bool)));
	}
	pfree(key);
	pfree(item);
	ml_budget_give(&jury->budget, ml_size_mul(n, sizeof(uint64) + 2 * sizeof(MlKeyed)));
	return known ? seen : NULL;
}
