/*
 * key.c
 *		Keys as they are known: to the log, to the canary.
 *
 * A key is known as text. One of more than 255 bytes is known by its SHA-256,
 * so that two long keys never become one; outcomes and mlops_forget() treat
 * keys alike.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "model/model.h"
#include "score/key.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

#define HASHED		"sha256:"

static const char digits[] = "0123456789abcdef";

static char *
put_hex(char *to, const uint8 *bytes, int n)
{
	for (int i = 0; i < n; i++)
	{
		*to++ = digits[bytes[i] >> 4];
		*to++ = digits[bytes[i] & 15];
	}
	return to;
}

int
ml_score_key(const char *bytes, Size length, char *buffer)
{
	uint8		digest[ML_SHA256_LENGTH];
	char	   *end;

	if (length <= ML_KEY_MAX)
	{
		memcpy(buffer, bytes, length);
		buffer[length] = '\0';
		return (int) length;
	}
	ml_sha256(bytes, length, digest);
	memcpy(buffer, HASHED, strlen(HASHED));
	end = put_hex(buffer + strlen(HASHED), digest, ML_SHA256_LENGTH);
	*end = '\0';
	return end - buffer;
}

static int
put_uuid(const pg_uuid_t *uuid, char *buffer)
{
	char	   *end = buffer;

	for (int i = 0; i < UUID_LEN; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*end++ = '-';
		end = put_hex(end, &uuid->data[i], 1);
	}
	*end = '\0';
	return end - buffer;
}

int
ml_score_key_argument(FunctionCallInfo fcinfo, int n, char *buffer)
{
	text	   *key;

	if (n >= PG_NARGS() || PG_ARGISNULL(n))
		return -1;
	switch (get_fn_expr_argtype(fcinfo->flinfo, n))
	{
		case TEXTOID:
		case VARCHAROID:
			key = PG_GETARG_TEXT_PP(n);
			return ml_score_key(VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key), buffer);
		case INT8OID:
			pg_lltoa(PG_GETARG_INT64(n), buffer);
			return strlen(buffer);
		case UUIDOID:
			return put_uuid(PG_GETARG_UUID_P(n), buffer);
		default:
			return -1;
	}
}

PG_FUNCTION_INFO_V1(mlops_logged_key);

/* mlops.logged_key(key text) */
Datum
mlops_logged_key(PG_FUNCTION_ARGS)
{
	char		key[ML_KEY_BUFFER];
	int			length = ml_score_key_argument(fcinfo, 0, key);

	PG_RETURN_TEXT_P(cstring_to_text_with_len(key, length));
}
