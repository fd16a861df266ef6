/*
 * json.h
 *		Building jsonb from C values, and reading it without surprises.
 *
 * A builder lives in the memory context that was current when it was used.
 * Floats are written with the fewest digits that read back the same; NaN and
 * infinity, which JSON does not have, as null.
 */
#ifndef ML_JSON_H
#define ML_JSON_H

#include "postgres.h"

#include "utils/jsonb.h"

typedef struct MlJson
{
	JsonbParseState *state;
	JsonbValue *result;
} MlJson;

extern void ml_json_begin_object(MlJson *json);
extern void ml_json_end_object(MlJson *json);
extern void ml_json_begin_array(MlJson *json);
extern void ml_json_end_array(MlJson *json);
extern void ml_json_key(MlJson *json, const char *key);

/* a value of the key before it, or an element of the array that is open */
extern void ml_json_text(MlJson *json, const char *value);	/* NULL: null */
extern void ml_json_int(MlJson *json, int64 value);
extern void ml_json_float(MlJson *json, double value);
extern void ml_json_bool(MlJson *json, bool value);
extern void ml_json_value(MlJson *json, const JsonbValue *value);	/* any value, nested ones too */
extern void ml_json_jsonb(MlJson *json, const Jsonb *value);	/* NULL: null */
extern void ml_json_texts(MlJson *json, char *const *values, int n);	/* an array of n strings */
extern void ml_json_floats(MlJson *json, const double *value, int n);

/* key and value at once */
extern void ml_json_put_text(MlJson *json, const char *key, const char *value);
extern void ml_json_put_int(MlJson *json, const char *key, int64 value);
extern void ml_json_put_float(MlJson *json, const char *key, double value);
extern void ml_json_put_bool(MlJson *json, const char *key, bool value);

/* after the outermost end: the result, palloc'd in the current context */
extern Jsonb *ml_json_finish(MlJson *json);

/* ---- reading ---- */

extern Jsonb *ml_json_empty_object(void);

/* calls each(arg, key, value) for every pair of an object; keys are palloc'd and terminated */
extern void ml_json_each(Jsonb *object, void (*each) (void *arg, char *key, JsonbValue *value), void *arg);

/* false if the object has no such key */
extern bool ml_json_find(const Jsonb *object, const char *key, JsonbValue *value);

/* a string as terminated text; the value must be a string */
extern char *ml_json_string(const JsonbValue *value);

/* a number as the nearest double (beyond its range: infinity); the value must be a number */
/* text as JSON: the server's error for what is none, with a hint */
extern Jsonb *ml_json_parse(const char *text, const char *hint);

extern double ml_json_number(const JsonbValue *value);

/* the value as JSON text, cut to a length that fits into a message */
extern char *ml_json_show(const JsonbValue *value);
extern char *ml_json_show_jsonb(const Jsonb *jsonb);

/* object with the pairs of changes laid over it; a null in changes removes the key */
extern Jsonb *ml_json_merge(Jsonb *object, Jsonb *changes);

#endif							/* ML_JSON_H */
