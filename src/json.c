/*
 * json.c
 *		Building jsonb from C values, and reading it without surprises.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "compat.h"
#include "errors.h"
#include "mb/pg_wchar.h"
#include "json.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#define SHOWN_BYTES 60			/* of a value in a message */

static void
push(MlJson *json, JsonbIteratorToken token, JsonbValue *value)
{
	json->result = pushJsonbValue(&json->state, token, value);
}

/* What a value is pushed as depends on what is open. */
static void
push_value(MlJson *json, JsonbValue *value)
{
	Assert(json->state != NULL);
	push(json, json->state->contVal.type == jbvArray ? WJB_ELEM : WJB_VALUE, value);
}

void
ml_json_begin_object(MlJson *json)
{
	push(json, WJB_BEGIN_OBJECT, NULL);
}

void
ml_json_end_object(MlJson *json)
{
	push(json, WJB_END_OBJECT, NULL);
}

void
ml_json_begin_array(MlJson *json)
{
	push(json, WJB_BEGIN_ARRAY, NULL);
}

void
ml_json_end_array(MlJson *json)
{
	push(json, WJB_END_ARRAY, NULL);
}

void
ml_json_key(MlJson *json, const char *key)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = pstrdup(key);
	value.val.string.len = strlen(key);
	push(json, WJB_KEY, &value);
}

void
ml_json_text(MlJson *json, const char *text)
{
	JsonbValue	value;

	value.type = jbvNull;
	if (text != NULL)
	{
		value.type = jbvString;
		value.val.string.val = pstrdup(text);
		value.val.string.len = strlen(text);
	}
	push_value(json, &value);
}

void
ml_json_int(MlJson *json, int64 number)
{
	JsonbValue	value;

	value.type = jbvNumeric;
	value.val.numeric = DatumGetNumeric(DirectFunctionCall1(int8_numeric, Int64GetDatum(number)));
	push_value(json, &value);
}

void
ml_json_float(MlJson *json, double number)
{
	JsonbValue	value;
	char		digits[DOUBLE_SHORTEST_DECIMAL_LEN];

	value.type = jbvNull;
	if (isfinite(number))
	{
		double_to_shortest_decimal_buf(number, digits);
		value.type = jbvNumeric;
		value.val.numeric = DatumGetNumeric(DirectFunctionCall3(numeric_in,
																CStringGetDatum(digits),
																ObjectIdGetDatum(InvalidOid),
																Int32GetDatum(-1)));
	}
	push_value(json, &value);
}

void
ml_json_bool(MlJson *json, bool boolean)
{
	JsonbValue	value;

	value.type = jbvBool;
	value.val.boolean = boolean;
	push_value(json, &value);
}

/*
 * Containers are pushed token by token: pushJsonbValue would copy a jbvBinary
 * in some versions and unpack it in others.
 */
static void
push_container(MlJson *json, JsonbContainer *container)
{
	JsonbIterator *it = JsonbIteratorInit(container);
	JsonbValue	value;
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
		push(json, token, (token == WJB_KEY || token == WJB_VALUE || token == WJB_ELEM) ? &value : NULL);
}

void
ml_json_value(MlJson *json, const JsonbValue *value)
{
	JsonbValue	copy = *value;

	if (value->type == jbvBinary)
		push_container(json, value->val.binary.data);
	else
		push_value(json, &copy);
}

void
ml_json_jsonb(MlJson *json, const Jsonb *jsonb)
{
	JsonbValue	scalar;

	if (jsonb == NULL)
		ml_json_text(json, NULL);
	else if (JsonbExtractScalar((JsonbContainer *) &jsonb->root, &scalar))
		push_value(json, &scalar);
	else
		push_container(json, (JsonbContainer *) &jsonb->root);
}

void
ml_json_texts(MlJson *json, char *const *values, int n)
{
	ml_json_begin_array(json);
	for (int i = 0; i < n; i++)
		ml_json_text(json, values[i]);
	ml_json_end_array(json);
}

void
ml_json_floats(MlJson *json, const double *value, int n)
{
	ml_json_begin_array(json);
	for (int i = 0; i < n; i++)
		ml_json_float(json, value[i]);
	ml_json_end_array(json);
}

void
ml_json_put_text(MlJson *json, const char *key, const char *value)
{
	ml_json_key(json, key);
	ml_json_text(json, value);
}

void
ml_json_put_int(MlJson *json, const char *key, int64 value)
{
	ml_json_key(json, key);
	ml_json_int(json, value);
}

void
ml_json_put_float(MlJson *json, const char *key, double value)
{
	ml_json_key(json, key);
	ml_json_float(json, value);
}

void
ml_json_put_bool(MlJson *json, const char *key, bool value)
{
	ml_json_key(json, key);
	ml_json_bool(json, value);
}

Jsonb *
ml_json_finish(MlJson *json)
{
	return JsonbValueToJsonb(json->result);
}

Jsonb *
ml_json_empty_object(void)
{
	MlJson		json = {0};

	ml_json_begin_object(&json);
	ml_json_end_object(&json);
	return ml_json_finish(&json);
}

void
ml_json_each(Jsonb *object, void (*each) (void *arg, char *key, JsonbValue *value), void *arg)
{
	JsonbIterator *it = JsonbIteratorInit(&object->root);
	JsonbValue	key;
	JsonbValue	value;
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(&it, &key, true)) != WJB_DONE)
	{
		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&it, &value, true);
		each(arg, ml_json_string(&key), &value);
	}
}

bool
ml_json_find(const Jsonb *object, const char *key, JsonbValue *value)
{
	if (!JB_ROOT_IS_OBJECT(object))
		return false;
	return getKeyJsonValueFromContainer((JsonbContainer *) &object->root,
										key, strlen(key), value) != NULL;
}

char *
ml_json_string(const JsonbValue *value)
{
	Assert(value->type == jbvString);
	return pnstrdup(value->val.string.val, value->val.string.len);
}

Jsonb *
ml_json_parse(const char *text, const char *hint)
{
	ErrorContextCallback callback = {error_context_stack, ml_hint_callback, unconstify(char *, hint)};
	Datum		json;

	error_context_stack = &callback;
	json = DirectFunctionCall1(jsonb_in, CStringGetDatum(text));
	error_context_stack = callback.previous;
	return DatumGetJsonbP(json);
}


double
ml_json_number(const JsonbValue *value)
{
	Assert(value->type == jbvNumeric);
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
											  NumericGetDatum(value->val.numeric)));
}

char *
ml_json_show_jsonb(const Jsonb *jsonb)
{
	char	   *text = JsonbToCString(NULL, (JsonbContainer *) &jsonb->root, VARSIZE(jsonb));
	int			length = strlen(text);

	if (length <= SHOWN_BYTES)
		return text;
	return psprintf("%.*s...", pg_mbcliplen(text, length, SHOWN_BYTES), text);
}

char *
ml_json_show(const JsonbValue *value)
{
	JsonbValue	copy = *value;

	return ml_json_show_jsonb(JsonbValueToJsonb(&copy));
}

/* what ml_json_merge copies */
typedef struct Merge
{
	MlJson		json;
	Jsonb	   *changes;		/* NULL while the changes themselves are copied */
} Merge;

static void
merge_pair(void *arg, char *key, JsonbValue *value)
{
	Merge	   *merge = arg;
	JsonbValue	changed;

	if (merge->changes == NULL)
	{
		if (value->type == jbvNull)
			return;
	}
	else if (ml_json_find(merge->changes, key, &changed))
		return;
	ml_json_key(&merge->json, key);
	ml_json_value(&merge->json, value);
}

Jsonb *
ml_json_merge(Jsonb *object, Jsonb *changes)
{
	Merge		merge = {{0}, changes};

	ml_json_begin_object(&merge.json);
	ml_json_each(object, merge_pair, &merge);
	merge.changes = NULL;
	ml_json_each(changes, merge_pair, &merge);
	ml_json_end_object(&merge.json);
	return ml_json_finish(&merge.json);
}
