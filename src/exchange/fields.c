/*
 * fields.c
 *		One description of a structure that writes it as JSON and reads it back.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "exchange/fields.h"
#include "interrupts.h"
#include "json.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"

/* ---- begin and end ---- */

void
ml_fields_write(MlFields *f)
{
	memset(f, 0, sizeof(MlFields));
	initStringInfo(&f->out);
	appendStringInfoChar(&f->out, '{');
	f->path[0] = "";
}

void
ml_fields_read(MlFields *f, Jsonb *document)
{
	memset(f, 0, sizeof(MlFields));
	f->reading = true;
	f->path[0] = "";
	if (!JB_ROOT_IS_OBJECT(document))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a document to import must be a JSON object"),
				 errdetail("Found %s.", ml_json_show_jsonb(document)),
				 errhint("mlops_export(model, 'json') gives an example.")));
	f->in[0] = &document->root;
}

static char *
path_of(const MlFields *f, const char *name)
{
	StringInfoData path;

	initStringInfo(&path);
	for (int i = 1; i <= f->depth; i++)
	{
		if (f->path[i] == NULL)
			appendStringInfo(&path, "[%d]", f->element[i]);
		else
			appendStringInfo(&path, "%s%s", path.len > 0 ? "." : "", f->path[i]);
	}
	appendStringInfo(&path, "%s%s", path.len > 0 ? "." : "", name);
	return path.data;
}

void
ml_fields_refuse(const MlFields *f, const char *name, const char *found, const char *wanted)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" of the document to import must be %s", path_of(f, name), wanted),
			 errdetail("Found %s.", found),
			 errhint("docs/formats.md describes the formats of mlops_import.")));
}

static bool
find(const MlFields *f, const char *name, JsonbValue *value)
{
	JsonbValue	key;
	JsonbValue *found;

	key.type = jbvString;
	key.val.string.val = unconstify(char *, name);
	key.val.string.len = strlen(name);
	found = findJsonbValueFromContainer(f->in[f->depth], JB_FOBJECT, &key);
	if (found == NULL)
		return false;
	*value = *found;
	pfree(found);
	return true;
}

static JsonbValue
need(const MlFields *f, const char *name, const char *wanted)
{
	JsonbValue	value;

	if (!find(f, name, &value))
		ml_fields_refuse(f, name, "nothing", wanted);
	return value;
}

static const char *
show(const JsonbValue *value)
{
	return ml_json_show(value);
}

bool
ml_fields_has(const MlFields *f, const char *name, bool there)
{
	JsonbValue	value;

	if (!f->reading)
		return there;
	return find(f, name, &value) && value.type != jbvNull;
}

static void
separate(MlFields *f)
{
	if (f->any[f->depth])
		appendStringInfoChar(&f->out, ',');
	f->any[f->depth] = true;
}

static void
put_name(MlFields *f, const char *name)
{
	separate(f);
	escape_json(&f->out, name);
	appendStringInfoChar(&f->out, ':');
}

static void
deeper(MlFields *f, const char *name)
{
	if (f->depth + 1 == ML_FIELDS_DEPTH)
		ml_fields_refuse(f, name == NULL ? "[]" : name, "objects within objects", psprintf("at most %d deep", ML_FIELDS_DEPTH));
	f->depth++;
	f->path[f->depth] = name;
	f->any[f->depth] = false;
}

void
ml_fields_begin(MlFields *f, const char *name)
{
	JsonbValue	value;

	if (f->reading)
	{
		value = need(f, name, "an object");
		if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
			ml_fields_refuse(f, name, show(&value), "an object");
	}
	else
	{
		put_name(f, name);
		appendStringInfoChar(&f->out, '{');
	}
	deeper(f, name);
	f->is_array[f->depth] = false;
	if (f->reading)
		f->in[f->depth] = value.val.binary.data;
}

void
ml_fields_end(MlFields *f)
{
	if (!f->reading)
		appendStringInfoChar(&f->out, f->is_array[f->depth] ? ']' : '}');
	if (f->depth > 0)
		f->depth--;
}

static JsonbContainer *
need_array(const MlFields *f, const char *name)
{
	JsonbValue	value = need(f, name, "an array");

	if (value.type != jbvBinary || !JsonContainerIsArray(value.val.binary.data))
		ml_fields_refuse(f, name, show(&value), "an array");
	return value.val.binary.data;
}

int
ml_fields_count(const MlFields *f, const char *name)
{
	return JsonContainerSize(need_array(f, name));
}

void
ml_fields_array(MlFields *f, const char *name, int *n, int maximum)
{
	JsonbContainer *array = NULL;

	if (f->reading)
	{
		array = need_array(f, name);
		*n = JsonContainerSize(array);
		if (*n > maximum)
			ml_fields_refuse(f, name, psprintf("an array of %d", *n), psprintf("an array of at most %d", maximum));
	}
	else
	{
		put_name(f, name);
		appendStringInfoChar(&f->out, '[');
	}
	deeper(f, name);
	f->is_array[f->depth] = true;
	f->in[f->depth] = array;
}

void
ml_fields_element(MlFields *f, int i)
{
	JsonbContainer *object = NULL;

	CHECK_FOR_INTERRUPTS();
	if (f->reading)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(f->in[f->depth], i);

		if (value == NULL || value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
			ml_fields_refuse(f, psprintf("[%d]", i), value == NULL ? "nothing" : show(value), "an object");
		object = value->val.binary.data;
	}
	else
	{
		separate(f);
		appendStringInfoChar(&f->out, '{');
	}
	deeper(f, NULL);
	f->element[f->depth] = i;
	f->is_array[f->depth] = false;
	f->in[f->depth] = object;
}

/* ---- single values ---- */

static void
put_double(MlFields *f, double value)
{
	char		digits[DOUBLE_SHORTEST_DECIMAL_LEN];

	if (!isfinite(value))
	{
		appendStringInfoString(&f->out, "null");
		return;
	}
	double_to_shortest_decimal_buf(value, digits);
	appendStringInfoString(&f->out, digits);
}

static double
take_double(const MlFields *f, const char *name, const JsonbValue *value)
{
	double		number;

	if (value->type == jbvNull)
		return NAN;
	number = value->type == jbvNumeric ? ml_json_number(value) : NAN;
	if (!isfinite(number))
		ml_fields_refuse(f, name, show(value), "a number");
	return number;
}

static int64
take_integer(const MlFields *f, const char *name, const JsonbValue *value, int64 minimum, int64 maximum)
{
	double		number = value->type == jbvNumeric ? ml_json_number(value) : NAN;

	if (!(number >= (double) minimum && number <= (double) maximum) || number != rint(number) || fabs(number) > 9e15)
		ml_fields_refuse(f, name, show(value),
						 psprintf("an integer from " INT64_FORMAT " to " INT64_FORMAT, minimum, maximum));
	return (int64) number;
}

void
ml_field_text(MlFields *f, const char *name, char **value)
{
	JsonbValue	found;

	if (!f->reading)
	{
		put_name(f, name);
		if (*value == NULL)
			appendStringInfoString(&f->out, "null");
		else
			escape_json(&f->out, *value);
		return;
	}
	*value = NULL;
	if (!find(f, name, &found) || found.type == jbvNull)
		return;
	if (found.type != jbvString)
		ml_fields_refuse(f, name, show(&found), "a text");
	*value = ml_json_string(&found);
}

void
ml_field_bool(MlFields *f, const char *name, bool *value)
{
	JsonbValue	found;

	if (!f->reading)
	{
		put_name(f, name);
		appendStringInfoString(&f->out, *value ? "true" : "false");
		return;
	}
	found = need(f, name, "true or false");
	if (found.type != jbvBool)
		ml_fields_refuse(f, name, show(&found), "true or false");
	*value = found.val.boolean;
}

void
ml_field_int(MlFields *f, const char *name, int *value, int minimum, int maximum)
{
	JsonbValue	found;

	if (!f->reading)
	{
		put_name(f, name);
		appendStringInfo(&f->out, "%d", *value);
		return;
	}
	found = need(f, name, "an integer");
	*value = (int) take_integer(f, name, &found, minimum, maximum);
}

void
ml_field_int64(MlFields *f, const char *name, int64 *value)
{
	JsonbValue	found;

	if (!f->reading)
	{
		put_name(f, name);
		appendStringInfo(&f->out, INT64_FORMAT, *value);
		return;
	}
	found = need(f, name, "an integer");
	*value = take_integer(f, name, &found, 0, INT64CONST(9000000000000000));
}

void
ml_field_double(MlFields *f, const char *name, double *value)
{
	JsonbValue	found;

	if (!f->reading)
	{
		put_name(f, name);
		put_double(f, *value);
		return;
	}
	found = need(f, name, "a number");
	*value = take_double(f, name, &found);
}

void
ml_field_choice(MlFields *f, const char *name, int *value, const char *const *names)
{
	StringInfoData list;
	JsonbValue	found;

	if (!f->reading)
	{
		put_name(f, name);
		escape_json(&f->out, names[*value]);
		return;
	}
	found = need(f, name, "a text");
	initStringInfo(&list);
	for (int i = 0; names[i] != NULL; i++)
	{
		if (found.type == jbvString && strcmp(ml_json_string(&found), names[i]) == 0)
		{
			*value = i;
			return;
		}
		appendStringInfo(&list, "%s\"%s\"", i > 0 ? ", " : "one of ", names[i]);
	}
	ml_fields_refuse(f, name, show(&found), list.data);
}

/* ---- arrays ---- */

static JsonbContainer *
open_array(const MlFields *f, const char *name, Size n)
{
	JsonbContainer *array = need_array(f, name);

	if (JsonContainerSize(array) != n)
		ml_fields_refuse(f, name, psprintf("an array of %u", JsonContainerSize(array)),
						 psprintf("an array of %zu", n));
	return array;
}

/* the elements in order: getting each by its number would take time in proportion to the square */
static bool
next_element(JsonbIterator **it, JsonbValue *value)
{
	return JsonbIteratorNext(it, value, true) == WJB_ELEM;
}

static JsonbIterator *
iterate(JsonbContainer *array)
{
	JsonbIterator *it = JsonbIteratorInit(array);
	JsonbValue	value;

	(void) JsonbIteratorNext(&it, &value, true);
	return it;
}

void
ml_field_doubles(MlFields *f, const char *name, double **value, Size n)
{
	JsonbIterator *it;
	JsonbValue	element;

	if (!f->reading)
	{
		put_name(f, name);
		appendStringInfoChar(&f->out, '[');
		for (Size i = 0; i < n; i++)
		{
			ml_check_row(i);
			if (i > 0)
				appendStringInfoChar(&f->out, ',');
			put_double(f, (*value)[i]);
		}
		appendStringInfoChar(&f->out, ']');
		return;
	}
	it = iterate(open_array(f, name, n));
	*value = palloc_extended(Max(n, 1) * sizeof(double), MCXT_ALLOC_HUGE);
	for (Size i = 0; i < n && next_element(&it, &element); i++)
	{
		ml_check_row(i);
		(*value)[i] = take_double(f, name, &element);
	}
}

void
ml_field_ints(MlFields *f, const char *name, int32 **value, Size n)
{
	JsonbIterator *it;
	JsonbValue	element;

	if (!f->reading)
	{
		put_name(f, name);
		appendStringInfoChar(&f->out, '[');
		for (Size i = 0; i < n; i++)
			appendStringInfo(&f->out, "%s%d", i > 0 ? "," : "", (*value)[i]);
		appendStringInfoChar(&f->out, ']');
		return;
	}
	it = iterate(open_array(f, name, n));
	*value = palloc_extended(Max(n, 1) * sizeof(int32), MCXT_ALLOC_HUGE);
	for (Size i = 0; i < n && next_element(&it, &element); i++)
	{
		ml_check_row(i);
		(*value)[i] = (int32) take_integer(f, name, &element, PG_INT32_MIN, PG_INT32_MAX);
	}
}

void
ml_field_texts(MlFields *f, const char *name, char ***value, int n)
{
	JsonbIterator *it;
	JsonbValue	element;

	if (!f->reading)
	{
		put_name(f, name);
		appendStringInfoChar(&f->out, '[');
		for (int i = 0; i < n; i++)
		{
			if (i > 0)
				appendStringInfoChar(&f->out, ',');
			escape_json(&f->out, (*value)[i]);
		}
		appendStringInfoChar(&f->out, ']');
		return;
	}
	it = iterate(open_array(f, name, n));
	*value = palloc(Max(n, 1) * sizeof(char *));
	for (int i = 0; i < n && next_element(&it, &element); i++)
	{
		if (element.type != jbvString)
			ml_fields_refuse(f, name, show(&element), "an array of texts");
		(*value)[i] = ml_json_string(&element);
	}
}
