/*
 * writer.c
 *		The bytes of an artifact as they are put one after the other.
 */
#include "postgres.h"

#include <math.h>

#include "compat.h"
#include "model/model.h"
#include "model/writer.h"
#include "utils/memutils.h"

void
ml_put_bytes(MlWriter *w, const void *bytes, Size n)
{
	if (n > (Size) ML_ARTIFACT_MAX - VARHDRSZ - w->used)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("artifact of the model is larger than %lld bytes",
						(long long) ML_ARTIFACT_MAX),
				 errdetail("Needed at least %zu bytes.", w->used + n),
				 errhint("Train on fewer columns, or lower max_categories.")));
	if (w->used + n > w->size)
	{
		w->size = Max(w->size * 2, w->used + n);
		w->data = repalloc_huge(w->data, w->size);
	}
	memcpy(w->data + w->used, bytes, n);
	w->used += n;
}

void
ml_store_little_endian(char *at, uint64 value, int nbytes)
{
	for (int i = 0; i < nbytes; i++)
		at[i] = (char) (value >> (8 * i) & 0xff);
}

void
ml_put_integer(MlWriter *w, uint64 value, int nbytes)
{
	char		bytes[8];

	ml_store_little_endian(bytes, value, nbytes);
	ml_put_bytes(w, bytes, nbytes);
}

void
ml_put_byte(MlWriter *w, int value)
{
	ml_put_integer(w, (uint64) value, 1);
}

void
ml_put_int32(MlWriter *w, int32 value)
{
	ml_put_integer(w, (uint32) value, 4);
}

void
ml_put_int64(MlWriter *w, int64 value)
{
	ml_put_integer(w, (uint64) value, 8);
}

/* One NaN for all: its sign and payload say nothing but could differ. */
void
ml_put_double(MlWriter *w, double value)
{
	uint64		bits;

	if (isnan(value))
		bits = UINT64CONST(0x7ff8000000000000);
	else
		memcpy(&bits, &value, sizeof(bits));
	ml_put_integer(w, bits, 8);
}

void
ml_put_doubles(MlWriter *w, const double *value, Size n)
{
	for (Size i = 0; i < n; i++)
		ml_put_double(w, value[i]);
}

void
ml_put_text_length(MlWriter *w, const char *text, int32 length)
{
	ml_put_int32(w, length);
	ml_put_bytes(w, text, length);
}

void
ml_put_text(MlWriter *w, const char *text)
{
	ml_put_text_length(w, text, strlen(text));
}

/* NULL and the empty text are the same */
void
ml_put_optional_text(MlWriter *w, const char *text)
{
	ml_put_text(w, text ? text : "");
}

void
ml_writer_begin_section(MlWriter *w, MlSection section)
{
	ml_put_bytes(w, ml_section_tag[section], ML_TAG_LENGTH);
	w->section_at = w->used;
	ml_put_int64(w, 0);
}

void
ml_writer_end_section(MlWriter *w)
{
	ml_store_little_endian(w->data + w->section_at,
						w->used - w->section_at - 8, 8);
}
