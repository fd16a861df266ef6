/*
 * params.c
 *		Parameters given as JSON, checked against tables and laid into structs.
 *
 * One parser for every algorithm and for the recipe: what may be set is data
 * (learn/param.h), and this file is all the code there is.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "errors.h"
#include "json.h"
#include "train/params.h"

typedef struct Parse
{
	const MlParamWords *words;
	const MlParamSet *sets;
	int			nsets;
} Parse;

static const char *
number_text(double value)
{
	char	   *digits = palloc(DOUBLE_SHORTEST_DECIMAL_LEN);

	double_to_shortest_decimal_buf(value, digits);
	return digits;
}

static const char *
fallback_text(const MlParam *param)
{
	switch (param->type)
	{
		case ML_PARAM_BOOL:
			return param->fallback != 0 ? "true" : "false";
		case ML_PARAM_ENUM:
			return psprintf("\"%s\"", param->choices[(int) param->fallback]);
		case ML_PARAM_TEXT:
		case ML_PARAM_NUMBERS:
		case ML_PARAM_INTEGERS:
		case ML_PARAM_NAMED:
			return "null";
		default:
			return number_text(param->fallback);
	}
}

static const char *
number_kind(MlParamType type)
{
	switch (type)
	{
		case ML_PARAM_INT:
			return "an integer";
		case ML_PARAM_NUMBERS:
			return "an array of numbers";
		case ML_PARAM_INTEGERS:
			return "an array of integers";
		case ML_PARAM_NAMED:
			return "an object whose values are numbers";
		default:
			return "a number";
	}
}

/* "a number between 0 and 1", "one of "a", "b"": what the parameter takes */
static const char *
wanted_text(const MlParam *param)
{
	StringInfoData text;

	initStringInfo(&text);
	switch (param->type)
	{
		case ML_PARAM_BOOL:
			appendStringInfoString(&text, "true or false");
			break;
		case ML_PARAM_ENUM:
			appendStringInfoString(&text, "one of ");
			for (int i = 0; param->choices[i] != NULL; i++)
				appendStringInfo(&text, "%s\"%s\"", i > 0 ? ", " : "", param->choices[i]);
			break;
		case ML_PARAM_TEXT:
			appendStringInfoString(&text, "a text");
			break;
		default:
			appendStringInfoString(&text, number_kind(param->type));
			if (isfinite(param->minimum) && isfinite(param->maximum))
				appendStringInfo(&text, " between %s and %s",
								 number_text(param->minimum), number_text(param->maximum));
			else if (isfinite(param->minimum))
				appendStringInfo(&text, ", at least %s", number_text(param->minimum));
			else if (isfinite(param->maximum))
				appendStringInfo(&text, ", at most %s", number_text(param->maximum));
	}
	return text.data;
}

static void
lay(const MlParamSet *set, const MlParam *param, double value)
{
	char	   *place = (char *) set->values + param->offset;

	switch (param->type)
	{
		case ML_PARAM_BOOL:
			*(bool *) place = value != 0;
			break;
		case ML_PARAM_INT:
			*(int64 *) place = (int64) value;
			break;
		case ML_PARAM_FLOAT:
			*(double *) place = value;
			break;
		case ML_PARAM_ENUM:
			*(int *) place = (int) value;
			break;
		case ML_PARAM_TEXT:
			*(char **) place = NULL;
			break;
		case ML_PARAM_NUMBERS:
		case ML_PARAM_INTEGERS:
			memset(place, 0, sizeof(MlNumbers));
			break;
		case ML_PARAM_NAMED:
			memset(place, 0, sizeof(MlNamed));
			break;
	}
}

static void
refuse_value(const Parse *parse, const MlParam *param, const JsonbValue *value)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s \"%s\" of %s cannot be %s", parse->words->noun, param->name,
					parse->words->owner, ml_json_show(value)),
			 errdetail("It takes %s; its default is %s.", wanted_text(param), fallback_text(param)),
			 errhint("%s", parse->words->hint)));
}

static int
choice_of(const MlParam *param, const JsonbValue *value)
{
	const char *name = ml_json_string(value);

	for (int i = 0; param->choices[i] != NULL; i++)
		if (strcmp(param->choices[i], name) == 0)
			return i;
	return -1;
}

static double
take_number(const Parse *parse, const MlParam *param, const JsonbValue *whole, const JsonbValue *value)
{
	double		number = value->type == jbvNumeric ? ml_json_number(value) : NAN;
	bool		integer = param->type == ML_PARAM_INT || param->type == ML_PARAM_INTEGERS;

	if (!isfinite(number) || number < param->minimum || number > param->maximum ||
		(integer && number != rint(number)))
		refuse_value(parse, param, whole);
	return number;
}

static void
take_numbers(const Parse *parse, const MlParam *param, const JsonbValue *value, MlNumbers *numbers)
{
	JsonbContainer *array;

	if (value->type == jbvNumeric)
	{
		numbers->n = 1;
		numbers->value = palloc(sizeof(double));
		numbers->value[0] = take_number(parse, param, value, value);
		return;
	}
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		refuse_value(parse, param, value);
	array = value->val.binary.data;
	numbers->n = JsonContainerSize(array);
	numbers->value = palloc(sizeof(double) * Max(numbers->n, 1));
	for (int i = 0; i < numbers->n; i++)
		numbers->value[i] = take_number(parse, param, value, getIthJsonbValueFromContainer(array, i));
}

/* where one pair of an object goes */
typedef struct TakeNamed
{
	const Parse *parse;
	const MlParam *param;
	const JsonbValue *whole;
	MlNamed    *named;
} TakeNamed;

static void
take_named_pair(void *arg, char *key, JsonbValue *value)
{
	TakeNamed  *take = arg;
	MlNamed    *named = take->named;

	named->name[named->n] = key;
	named->value[named->n++] = take_number(take->parse, take->param, take->whole, value);
}

static void
take_named(const Parse *parse, const MlParam *param, const JsonbValue *value, MlNamed *named)
{
	TakeNamed	take = {parse, param, value, named};
	JsonbValue	copy = *value;
	int			n;

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		refuse_value(parse, param, value);
	n = JsonContainerSize(value->val.binary.data);
	named->n = 0;
	named->name = palloc(sizeof(char *) * Max(n, 1));
	named->value = palloc(sizeof(double) * Max(n, 1));
	ml_json_each(JsonbValueToJsonb(&copy), take_named_pair, &take);
}

/* The value as it is laid into the struct; raises an error if it will not do. */
static double
take_value(const Parse *parse, const MlParam *param, const JsonbValue *value)
{
	switch (param->type)
	{
		case ML_PARAM_BOOL:
			if (value->type != jbvBool)
				refuse_value(parse, param, value);
			return value->val.boolean;
		case ML_PARAM_ENUM:
			if (value->type != jbvString || choice_of(param, value) < 0)
				refuse_value(parse, param, value);
			return choice_of(param, value);
		default:
			return take_number(parse, param, value, value);
	}
}

static void
refuse_name(const Parse *parse, const char *name)
{
	StringInfoData list;
	MlNearest	nearest;

	initStringInfo(&list);
	ml_nearest_begin(&nearest, name);
	for (int s = 0; s < parse->nsets; s++)
		for (const MlParam *param = parse->sets[s].table; param->name != NULL; param++)
		{
			ml_nearest_offer(&nearest, param->name);
			appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", param->name);
		}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s has no %s \"%s\"", parse->words->owner, parse->words->noun, name),
			 errdetail("There are: %s.", list.data),
			 nearest.best != NULL
			 ? errhint("Perhaps you meant \"%s\". %s", nearest.best, parse->words->hint)
			 : errhint("%s", parse->words->hint)));
}

static void
take_param(const Parse *parse, const MlParamSet *set, const MlParam *param, const JsonbValue *value)
{
	char	   *place = (char *) set->values + param->offset;

	switch (param->type)
	{
		case ML_PARAM_TEXT:
			if (value->type != jbvString)
				refuse_value(parse, param, value);
			*(char **) place = ml_json_string(value);
			break;
		case ML_PARAM_NUMBERS:
		case ML_PARAM_INTEGERS:
			take_numbers(parse, param, value, (MlNumbers *) place);
			break;
		case ML_PARAM_NAMED:
			take_named(parse, param, value, (MlNamed *) place);
			break;
		default:
			lay(set, param, take_value(parse, param, value));
	}
}

static void
take_pair(void *arg, char *name, JsonbValue *value)
{
	const Parse *parse = arg;

	for (int s = 0; s < parse->nsets; s++)
		for (const MlParam *param = parse->sets[s].table; param->name != NULL; param++)
			if (strcmp(param->name, name) == 0)
			{
				if (value->type != jbvNull)
					take_param(parse, &parse->sets[s], param, value);
				return;
			}
	refuse_name(parse, name);
}

static void
write_numbers(MlJson *json, const MlNumbers *numbers)
{
	if (numbers->n == 0)
		ml_json_text(json, NULL);
	else
		ml_json_floats(json, numbers->value, numbers->n);
}

static void
write_named(MlJson *json, const MlNamed *named)
{
	if (named->n == 0)
	{
		ml_json_text(json, NULL);
		return;
	}
	ml_json_begin_object(json);
	for (int i = 0; i < named->n; i++)
		ml_json_put_float(json, named->name[i], named->value[i]);
	ml_json_end_object(json);
}

static void
write_param(MlJson *json, const MlParamSet *set, const MlParam *param)
{
	const char *place = (const char *) set->values + param->offset;

	ml_json_key(json, param->name);
	switch (param->type)
	{
		case ML_PARAM_BOOL:
			ml_json_bool(json, *(const bool *) place);
			break;
		case ML_PARAM_INT:
			ml_json_int(json, *(const int64 *) place);
			break;
		case ML_PARAM_FLOAT:
			ml_json_float(json, *(const double *) place);
			break;
		case ML_PARAM_ENUM:
			ml_json_text(json, param->choices[*(const int *) place]);
			break;
		case ML_PARAM_TEXT:
			ml_json_text(json, *(char *const *) place);
			break;
		case ML_PARAM_NUMBERS:
		case ML_PARAM_INTEGERS:
			write_numbers(json, (const MlNumbers *) place);
			break;
		case ML_PARAM_NAMED:
			write_named(json, (const MlNamed *) place);
			break;
	}
}

Jsonb *
ml_params_parse(const MlParamWords *words, Jsonb *params, const MlParamSet *sets, int nsets)
{
	Parse		parse = {words, sets, nsets};
	MlJson		json = {0};

	for (int s = 0; s < nsets; s++)
		for (const MlParam *param = sets[s].table; param->name != NULL; param++)
			lay(&sets[s], param, param->fallback);
	if (params != NULL)
	{
		if (!JB_ROOT_IS_OBJECT(params))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" must be a JSON object", words->object),
					 errdetail("Found %s.", ml_json_show_jsonb(params)),
					 errhint("%s", words->hint)));
		ml_json_each(params, take_pair, &parse);
	}

	ml_json_begin_object(&json);
	for (int s = 0; s < nsets; s++)
		for (const MlParam *param = sets[s].table; param->name != NULL; param++)
			write_param(&json, &sets[s], param);
	ml_json_end_object(&json);
	return ml_json_finish(&json);
}
