/*
 * keys.c
 *		64 bits by which a row is known again by some of its columns, whatever
 *		else was read beside them.
 *
 * The same sum over columns as the fingerprint, so that where nothing else was
 * read it is the upper half of that and costs nothing. Stored with versions:
 * it may never change.
 */
#include "postgres.h"

#include "frame/frame.h"
#include "interrupts.h"

/* are these all that the fingerprints were made of? arrays of nothing but NULLs count as NULL here */
static bool
are_all(const MlFrame *frame, int n, char *const *name)
{
	int			found = 0;

	for (int i = 0; i < frame->ncols; i++)
	{
		const MlColumn *column = &frame->cols[i];

		if (!column->loaded)
			continue;
		for (int k = 0; k < n; k++)
			if (strcmp(column->name, name[k]) == 0 && column->type.kind != ML_KIND_ARRAY)
				found++;
		found--;
	}
	return found == 0;
}

static void
add_number(const MlColumn *column, const MlHashSecret *secret, int64 n, MlHash128 *sum)
{
	for (int64 i = 0; i < n; i++)
	{
		double		x = column->number[i];

		ml_check_row(i);
		ml_hash128_add(&sum[i], x != x ? secret->null : ml_hash_value(secret, ml_hash_double(x)));
	}
}

static void
add_category(const MlColumn *column, const MlHashSecret *secret, int64 n, MlHash128 *sum)
{
	const MlDictionary *dictionary = column->dictionary;
	MlHash128  *of_code = palloc_extended(sizeof(MlHash128) * Max(dictionary->nvalues, 1), MCXT_ALLOC_HUGE);

	for (int c = 0; c < dictionary->nvalues; c++)
		of_code[c] = ml_hash_value(secret, ml_hash_bytes(dictionary->value[c], dictionary->length[c], 0));
	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		ml_hash128_add(&sum[i], column->code[i] == ML_CODE_NULL ? secret->null : of_code[column->code[i]]);
	}
	pfree(of_code);
}

static void
add_time(const MlColumn *column, const MlHashSecret *secret, int64 n, MlHash128 *sum)
{
	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		ml_hash128_add(&sum[i], column->usec[i] == ML_USEC_NULL ? secret->null :
					   ml_hash_value(secret, (uint64) column->usec[i]));
	}
}

static void
add_array(const MlColumn *column, const MlHashSecret *secret, int64 n, MlHash128 *sum)
{
	int			length = column->array_length;

	for (int64 i = 0; i < n; i++)
	{
		const double *element = column->array + i * length;
		uint64		hash = 0;
		bool		missing = true;

		ml_check_row(i);
		for (int k = 0; k < length; k++)
		{
			hash = ml_hash_word(hash, ml_hash_double(element[k]));
			missing &= element[k] != element[k];
		}
		ml_hash128_add(&sum[i], missing ? secret->null : ml_hash_value(secret, ml_hash_word(hash, (uint64) length)));
	}
}

void
ml_frame_row_keys(const MlFrame *frame, int n, char *const *name, bool as_read, uint64 *key)
{
	MlHash128  *sum;

	if (as_read && are_all(frame, n, name))
	{
		for (int64 i = 0; i < frame->nrows; i++)
			key[i] = frame->fingerprint[i].high;
		return;
	}
	sum = palloc_extended(sizeof(MlHash128) * Max(frame->nrows, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int k = 0; k < n; k++)
	{
		const MlColumn *column = &frame->cols[ml_frame_find(frame, name[k])];
		MlHashSecret secret;

		ml_hash_secret(name[k], &secret);
		if (column->number != NULL)
			add_number(column, &secret, frame->nrows, sum);
		else if (column->code != NULL)
			add_category(column, &secret, frame->nrows, sum);
		else if (column->usec != NULL)
			add_time(column, &secret, frame->nrows, sum);
		else if (column->array != NULL)
			add_array(column, &secret, frame->nrows, sum);
		else
			for (int64 i = 0; i < frame->nrows; i++)
				ml_hash128_add(&sum[i], secret.null);
	}
	for (int64 i = 0; i < frame->nrows; i++)
	{
		ml_check_row(i);
		key[i] = ml_hash_finish(sum[i]).high;
	}
	pfree(sum);
}
