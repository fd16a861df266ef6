/*
 * image.c
 *		Values of our own types as text, as messages and as bytes of one order.
 */
#include "postgres.h"

#include "compat.h"
#include "image.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define PREFIX			"\\x"
#define PREFIX_LENGTH	2
#define SHOWN			20		/* characters of a bad text that a message repeats */

/* \x and two digits a byte */
static char *
write_text(const char *type, const char *bytes, Size length)
{
	char	   *text;

	if (length > (MaxAllocSize - PREFIX_LENGTH - 1) / 2)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a value of type %s is too long to be written as text", type),
				 errdetail("It has %zu bytes; %zu can be written.", length,
						   (Size) (MaxAllocSize - PREFIX_LENGTH - 1) / 2),
				 errhint("Pass it in binary form.")));
	text = palloc(PREFIX_LENGTH + 2 * length + 1);
	memcpy(text, PREFIX, PREFIX_LENGTH);
	text[PREFIX_LENGTH + hex_encode(bytes, length, text + PREFIX_LENGTH)] = '\0';
	return text;
}

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static void
refuse(const char *type, const char *text, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type %s: \"%.*s\"", type,
					pg_mbcliplen(text, strlen(text), SHOWN), text),
			 errdetail("%s", detail),
			 errhint("Its text is what the server writes: \\x and two hexadecimal digits a byte.")));
}

static struct varlena *
read_text(const char *type, const char *text)
{
	Size		length = strlen(text);
	struct varlena *image;
	char	   *bytes;

	if (strncmp(text, PREFIX, PREFIX_LENGTH) != 0)
		refuse(type, text, "It does not begin with \\x.");
	if (length % 2 != 0)
		refuse(type, text, "The number of its digits is odd.");
	length = (length - PREFIX_LENGTH) / 2;
	image = palloc(VARHDRSZ + length);
	SET_VARSIZE(image, VARHDRSZ + length);
	bytes = VARDATA(image);
	for (Size i = 0; i < length; i++)
	{
		int			high = digit(text[PREFIX_LENGTH + 2 * i]);
		int			low = digit(text[PREFIX_LENGTH + 2 * i + 1]);

		if (high < 0 || low < 0)
			refuse(type, text, psprintf("Byte %zu is not two hexadecimal digits.", i + 1));
		bytes[i] = (char) (high << 4 | low);
	}
	return image;
}

/* reads the value to its end, in memory that goes at once */
static void
check(const MlImageType *type, struct varlena *value)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops check value",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);

	type->check(value, cxt);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

Datum
ml_image_in(const MlImageType *type, FunctionCallInfo fcinfo)
{
	struct varlena *value = read_text(type->name, PG_GETARG_CSTRING(0));

	check(type, value);
	PG_RETURN_POINTER(value);
}

Datum
ml_image_out(const MlImageType *type, FunctionCallInfo fcinfo)
{
	struct varlena *value = PG_GETARG_VARLENA_PP(0);

	PG_RETURN_CSTRING(write_text(type->name, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)));
}

Datum
ml_image_recv(const MlImageType *type, FunctionCallInfo fcinfo)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			length = message->len - message->cursor;
	struct varlena *value = palloc(VARHDRSZ + length);

	SET_VARSIZE(value, VARHDRSZ + length);
	pq_copymsgbytes(message, VARDATA(value), length);
	check(type, value);
	PG_RETURN_POINTER(value);
}

/* varlena to varlena: the bytes are the message */
Datum
ml_image_send(FunctionCallInfo fcinfo)
{
	PG_RETURN_POINTER(pg_detoast_datum_copy(PG_GETARG_RAW_VARLENA_P(0)));
}

void
ml_image_put(char *at, uint64 value, int nbytes)
{
	for (int i = 0; i < nbytes; i++)
		at[i] = (char) (value >> (8 * i));
}

uint64
ml_image_get(const char *at, int nbytes)
{
	uint64		value = 0;

	for (int i = 0; i < nbytes; i++)
		value |= (uint64) (uint8) at[i] << (8 * i);
	return value;
}

void
ml_image_put_double(char *at, double value)
{
	uint64		bits;

	memcpy(&bits, &value, sizeof(bits));
	ml_image_put(at, bits, sizeof(bits));
}

double
ml_image_get_double(const char *at)
{
	uint64		bits = ml_image_get(at, sizeof(bits));
	double		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}
