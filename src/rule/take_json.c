/*
 * take_json.c
 *		Values of JSON as columns of a program, and values as text.
 */
#include "postgres.h"

#include <math.h>

#include "json.h"
#include "rule/value.h"

/* what has no JSON number is written as a string by the server */
static bool
special_number(const JsonbValue *json, MlRuleValue *value)
{
	char	   *text = ml_json_string(json);

	value->isnull = strcmp(text, "NaN") == 0;
	if (value->isnull)
		return true;
	value->number = text[0] == '-' ? -INFINITY : INFINITY;
	return strcmp(text, "Infinity") == 0 || strcmp(text, "-Infinity") == 0;
}

static bool
take_number(const JsonbValue *json, MlRuleValue *value)
{
	if (json->type == jbvString)
		return special_number(json, value);
	if (json->type == jbvBool)
		value->number = json->val.boolean ? 1 : 0;
	else if (json->type == jbvNumeric)
		value->number = ml_json_number(json);
	else
		return false;
	value->isnull = isnan(value->number);
	return true;
}

bool
ml_rule_take_json(const MlRuleProgram *program, int column, const JsonbValue *json, MlRuleValue *value)
{
	MlRuleType	type = program->column[column].type;

	value->isnull = json->type == jbvNull;
	if (value->isnull)
		return true;
	switch (type)
	{
		case ML_RULE_NUMBER:
			return take_number(json, value);
		case ML_RULE_BOOL:
			if (json->type == jbvNumeric)
				value->boolean = ml_json_number(json) != 0;
			else
				value->boolean = json->type == jbvBool && json->val.boolean;
			return json->type == jbvBool || json->type == jbvNumeric;
		case ML_RULE_TEXT:
			if (json->type != jbvString)
				return false;
			value->bytes = json->val.string.val;
			value->length = json->val.string.len;
			return true;
		default:
			return json->type == jbvString &&
				ml_rule_parse_time(json->val.string.val, json->val.string.len, type == ML_RULE_TIMESTAMPTZ,
								   program->zone, &value->usec);
	}
}

/* by the steps that casts to text are */
char *
ml_rule_show(const MlRuleProgram *program, MlRuleType type, const MlRuleValue *value)
{
	static const MlRuleCode cast[] = {
		0, ML_OP_NUMBER_TO_TEXT, ML_OP_BOOL_TO_TEXT, 0, ML_OP_TIME_TO_TEXT, ML_OP_TIME_TO_TEXT
	};
	MlRuleView	view = {.program = program};
	MlRuleStep	step = {.code = cast[type], .a = type == ML_RULE_TIMESTAMPTZ};
	MlRuleValue text = *value;

	if (text.isnull)
		return NULL;
	if (type != ML_RULE_TEXT)
		ml_rule_cast(&view, &step, &text);
	return pnstrdup(text.bytes, text.length);
}
