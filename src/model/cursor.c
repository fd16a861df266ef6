/*
 * cursor.c
 *		Values from the bytes of an artifact, each checked as it is read.
 *
 * Whatever is not as expected is ML004, with the byte where it was found.
 * Nothing here is freed on error: the reader's context goes as a whole.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "interrupts.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "model/cursor.h"
#include "utils/memutils.h"

/* shares are sums of weights over their total: allow for rounding */
#define SHARE_MAX			(1.0 + 1e-6)

/* ---- refusing ---- */

void
ml_cursor_refuse(const MlCursor *c, Size at, const char *found, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_BAD_ARTIFACT),
			 errmsg("%s of the model is corrupt", c->what ? c->what : "artifact"),
			 errdetail("At byte %zu, %s of section \"%s\": found %s, expected %s.",
					   at, c->field, c->section, found, expected),
			 c->what ? errhint("Restore the stored bytes from a backup, or make it again.") :
			 errhint("Restore the stored bytes from a backup or train the version again; mlops_verify() checks every stored artifact.")));
}

/* ---- reading ---- */

Size
ml_cursor_left(const MlCursor *c)
{
	return c->end - c->at;
}

const char *
ml_cursor_bytes(MlCursor *c, Size n, const char *field)
{
	const char *bytes = c->data + c->at;

	c->field = field;
	if (n > ml_cursor_left(c))
		ml_cursor_refuse(c, c->at, psprintf("%zu bytes left", ml_cursor_left(c)),
						 psprintf("at least %zu", n));
	c->at += n;
	return bytes;
}

uint64
ml_cursor_integer(MlCursor *c, int nbytes, const char *field)
{
	const unsigned char *bytes = (const unsigned char *) ml_cursor_bytes(c, nbytes, field);
	uint64		value = 0;

	for (int i = 0; i < nbytes; i++)
		value |= (uint64) bytes[i] << (8 * i);
	return value;
}

int64
ml_cursor_range(MlCursor *c, int nbytes, int64 minimum, int64 maximum, const char *field)
{
	Size		at = c->at;
	uint64		raw = ml_cursor_integer(c, nbytes, field);
	int64		value = nbytes == 4 ? (int32) (uint32) raw : (int64) raw;

	if (value < minimum || value > maximum)
		ml_cursor_refuse(c, at, psprintf("%lld", (long long) value),
						 minimum == maximum ? psprintf("%lld", (long long) minimum) :
						 psprintf("%lld to %lld", (long long) minimum, (long long) maximum));
	return value;
}

bool
ml_cursor_flag(MlCursor *c, const char *field)
{
	return ml_cursor_range(c, 1, 0, 1, field) != 0;
}

int
ml_cursor_count(MlCursor *c, Size record_bytes, const char *field)
{
	Size		at = c->at;
	uint64		count = ml_cursor_integer(c, 4, field);

	if (count > ml_cursor_left(c) / record_bytes)
		ml_cursor_refuse(c, at, psprintf("%llu", (unsigned long long) count),
						 psprintf("at most %zu, which is what the %zu bytes that follow can hold",
								  ml_cursor_left(c) / record_bytes, ml_cursor_left(c)));
	return (int) count;
}

double
ml_cursor_double(MlCursor *c, MlFloatRange range, const char *field)
{
	Size		at = c->at;
	uint64		bits = ml_cursor_integer(c, 8, field);
	double		value;
	const char *expected = NULL;

	memcpy(&value, &bits, sizeof(value));
	switch (range)
	{
		case ML_FLOAT_ANY:
			break;
		case ML_FLOAT_OR_NAN:
			if (isinf(value))
				expected = "a finite number or NaN";
			break;
		case ML_FLOAT_FINITE:
			if (!isfinite(value))
				expected = "a finite number";
			break;
		case ML_FLOAT_SHARE:
			if (!(value >= 0 && value <= SHARE_MAX))
				expected = "a share from 0 to 1";
			break;
		case ML_FLOAT_SPREAD:
			if (value < 0)
				expected = "a number that is not negative";
			break;
	}
	if (expected)
		ml_cursor_refuse(c, at, psprintf("%g", value), expected);
	return value;
}

void
ml_cursor_require(MlCursor *c, Size n, Size record_bytes, const char *field)
{
	c->field = field;
	if (n > ml_cursor_left(c) / record_bytes)
		ml_cursor_refuse(c, c->at, psprintf("%zu bytes left", ml_cursor_left(c)),
						 psprintf("%zu records of at least %zu bytes", n, record_bytes));
}

double *
ml_cursor_doubles(MlCursor *c, Size n, MlFloatRange range, const char *field)
{
	double	   *value;

	ml_cursor_require(c, n, sizeof(double), field);
	value = palloc_extended(Max(n, 1) * sizeof(double), MCXT_ALLOC_HUGE);
	for (Size i = 0; i < n; i++)
	{
		ml_check_row(i);
		value[i] = ml_cursor_double(c, range, field);
	}
	return value;
}

/*
 * Text of another encoding than the database's. The conversion's own error
 * becomes ours: its bytes are the artifact's, and nothing is continued.
 */
static char *
convert_text(const MlCursor *c, Size at, const char *bytes, int32 length)
{
	MemoryContext cxt = CurrentMemoryContext;
	char	   *text = NULL;

	PG_TRY();
	{
		text = pg_any_to_server(bytes, length, c->encoding);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_DATA_EXCEPTION &&
			geterrcode() != ERRCODE_UNDEFINED_FUNCTION)
			PG_RE_THROW();
		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		FlushErrorState();
		ml_cursor_refuse(c, at, error->message,
						 psprintf("text that encoding \"%s\" can hold", GetDatabaseEncodingName()));
	}
	PG_END_TRY();
	return text;
}

char *
ml_cursor_text(MlCursor *c, Size minimum, Size maximum, const char *field)
{
	Size		at = c->at;
	uint64		length = ml_cursor_integer(c, 4, field);
	const char *bytes;

	if (length < minimum || length > maximum || length > ml_cursor_left(c))
		ml_cursor_refuse(c, at, psprintf("a length of %llu", (unsigned long long) length),
						 psprintf("%zu to %zu", minimum, Min(maximum, ml_cursor_left(c))));
	bytes = ml_cursor_bytes(c, length, field);
	if (memchr(bytes, '\0', length) != NULL)
		ml_cursor_refuse(c, at, "a zero byte", "text");
	if (!pg_verify_mbstr(c->encoding, bytes, length, true))
		ml_cursor_refuse(c, at, "invalid bytes",
						 psprintf("text in encoding \"%s\"", pg_encoding_to_char(c->encoding)));
	if (c->encoding != GetDatabaseEncoding())
	{
		char	   *text = convert_text(c, at, bytes, length);

		/* what needs no conversion comes back as it is, unterminated */
		if (text != bytes)
			return text;
	}
	return pnstrdup(bytes, length);
}

char *
ml_cursor_name(MlCursor *c, const char *field)
{
	return ml_cursor_text(c, 1, ML_MAX_NAME, field);
}

char *
ml_cursor_optional_name(MlCursor *c, const char *field)
{
	char	   *text = ml_cursor_text(c, 0, ML_MAX_NAME, field);

	return text[0] != '\0' ? text : NULL;
}

static int
compare_text(const void *a, const void *b)
{
	CHECK_FOR_INTERRUPTS();
	return strcmp(*(char *const *) a, *(char *const *) b);
}

void
ml_cursor_require_distinct(const MlCursor *c, Size at, const char *first, int n, Size stride)
{
	char	  **sorted = palloc_extended((Size) n * sizeof(char *) + 1, MCXT_ALLOC_HUGE);

	for (int i = 0; i < n; i++)
		sorted[i] = *(char *const *) (first + (Size) i * stride);
	qsort(sorted, n, sizeof(char *), compare_text);
	for (int i = 1; i < n; i++)
		if (strcmp(sorted[i - 1], sorted[i]) == 0)
			ml_cursor_refuse(c, at, psprintf("\"%s\" twice", sorted[i]), "distinct texts");
	pfree(sorted);
}

void
ml_cursor_begin_section(MlCursor *c, MlSection section)
{
	Size		at = c->at;
	const char *tag;
	uint64		length;

	c->section = ml_section_tag[section];
	tag = ml_cursor_bytes(c, ML_TAG_LENGTH, "tag");
	if (memcmp(tag, c->section, ML_TAG_LENGTH) != 0)
		ml_cursor_refuse(c, at, psprintf("bytes %02x %02x %02x %02x",
										 (uint8) tag[0], (uint8) tag[1], (uint8) tag[2], (uint8) tag[3]),
						 psprintf("\"%s\"", c->section));
	at = c->at;
	length = ml_cursor_integer(c, 8, "length");
	if (length > ml_cursor_left(c))
		ml_cursor_refuse(c, at, psprintf("a length of %llu", (unsigned long long) length),
						 psprintf("at most %zu", ml_cursor_left(c)));
	c->end = c->at + length;
}

void
ml_cursor_end_section(MlCursor *c)
{
	c->field = "end";
	if (ml_cursor_left(c) > 0)
		ml_cursor_refuse(c, c->at, psprintf("%zu bytes more", ml_cursor_left(c)), "none");
	c->end = c->length;
}
