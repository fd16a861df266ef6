/*
 * key.c
 *		Keys as the log knows them, and which of them are in a sample.
 *
 * A key is logged as text. One of more than 255 bytes is logged as its SHA-256,
 * so that two long keys never become one; outcomes and mlops_forget() treat
 * keys alike. Which keys are in a sample depends on the model's name and the
 * key alone: a key is always in it or never, and a larger sample holds every
 * key of a smaller one.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "frame/hash.h"
#include "miscadmin.h"
#include "model/model.h"
#include "utils/builtins.h"
#include "utils/uuid.h"
#include "watch/watch.h"

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
ml_watch_key(const char *bytes, Size length, char *buffer)
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
ml_watch_key_argument(FunctionCallInfo fcinfo, int n, char *buffer)
{
	text	   *key;

	if (n >= PG_NARGS() || PG_ARGISNULL(n))
		return -1;
	switch (get_fn_expr_argtype(fcinfo->flinfo, n))
	{
		case TEXTOID:
		case VARCHAROID:
			key = PG_GETARG_TEXT_PP(n);
			return ml_watch_key(VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key), buffer);
		case INT8OID:
			pg_lltoa(PG_GETARG_INT64(n), buffer);
			return strlen(buffer);
		case UUIDOID:
			return put_uuid(PG_GETARG_UUID_P(n), buffer);
		default:
			return -1;
	}
}

uint64
ml_watch_sample_limit(double sample)
{
	if (sample >= 1.0)
		return PG_UINT64_MAX;
	return (uint64) (sample * 18446744073709551616.0);
}

bool
ml_watch_in_sample(const char *model, const char *key, int length, uint64 limit)
{
	static uint64 count = 0;
	uint64		hash;

	if (limit == PG_UINT64_MAX)
		return true;
	if (key != NULL)
		hash = ml_hash_bytes(key, length, ml_hash_bytes(model, strlen(model), 0));
	else
		hash = ml_hash_word(++count, (uint64) MyProcPid);
	return hash < limit;
}

PG_FUNCTION_INFO_V1(mlops_logged_key);

/* mlops.logged_key(key text) */
Datum
mlops_logged_key(PG_FUNCTION_ARGS)
{
	char		key[ML_KEY_BUFFER];
	int			length = ml_watch_key_argument(fcinfo, 0, key);

	PG_RETURN_TEXT_P(cstring_to_text_with_len(key, length));
}
