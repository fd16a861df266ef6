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
#include "train/json.h"
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
		default:
			return number_text(param->fallback);
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
		default:
			appendStringInfoString(&text, param->type == ML_PARAM_INT ? "an integer" : "a number");
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

/* The value as it is laid into the struct; raises an error if it will not do. */
static double
take_value(const Parse *parse, const MlParam *param, const JsonbValue *value)
{
	double		number = NAN;

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
			if (value->type == jbvNumeric)
				number = ml_json_number(value);
			if (!isfinite(number) || number < param->minimum || number > param->maximum ||
				(param->type == ML_PARAM_INT && number != rint(number)))
				refuse_value(parse, param, value);
			return number;
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
take_pair(void *arg, char *name, JsonbValue *value)
{
	const Parse *parse = arg;

	for (int s = 0; s < parse->nsets; s++)
		for (const MlParam *param = parse->sets[s].table; param->name != NULL; param++)
			if (strcmp(param->name, name) == 0)
			{
				if (value->type != jbvNull)
					lay(&parse->sets[s], param, take_value(parse, param, value));
				return;
			}
	refuse_name(parse, name);
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
