/*
 * cast.c
 *		Casts between the types of rules, as the server's own are, without
 *		settings: what text is read as, and how numbers and times are written.
 */
#include "postgres.h"

#include <errno.h>
#include <float.h>
#include <math.h>

#include "common/shortest_dec.h"
#include "rule/value.h"
#include "utils/builtins.h"

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void
strip(const char **bytes, int *length)
{
	while (*length > 0 && is_space(**bytes))
	{
		(*bytes)++;
		(*length)--;
	}
	while (*length > 0 && is_space((*bytes)[*length - 1]))
		(*length)--;
}

/* sign, digits with a point among them, exponent: decimal notation and nothing else */
static bool
is_decimal(const char *p, const char *end)
{
	int			digits = 0;

	if (p < end && (*p == '+' || *p == '-'))
		p++;
	for (; p < end && *p >= '0' && *p <= '9'; p++)
		digits++;
	if (p < end && *p == '.')
		for (p++; p < end && *p >= '0' && *p <= '9'; p++)
			digits++;
	if (digits == 0)
		return false;
	if (p == end)
		return true;
	if (*p != 'e' && *p != 'E')
		return false;
	p++;
	if (p < end && (*p == '+' || *p == '-'))
		p++;
	if (p == end)
		return false;
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p == end;
}

static bool
is_infinity(const char *p, int length, double *number)
{
	static const char *const names[] = {"inf", "infinity"};
	bool		minus = length > 0 && *p == '-';

	if (length > 0 && (*p == '-' || *p == '+'))
	{
		p++;
		length--;
	}
	for (int i = 0; i < lengthof(names); i++)
		if (length == strlen(names[i]) && pg_strncasecmp(p, names[i], length) == 0)
		{
			*number = minus ? -INFINITY : INFINITY;
			return true;
		}
	return false;
}

bool
ml_rule_parse_number(const char *bytes, int length, double *number)
{
	char		small[64];
	char	   *copy = small;

	strip(&bytes, &length);
	if (is_infinity(bytes, length, number))
		return true;
	if (!is_decimal(bytes, bytes + length))
		return false;
	if (length >= sizeof(small))
		copy = palloc(length + 1);
	memcpy(copy, bytes, length);
	copy[length] = '\0';
	errno = 0;
	*number = strtod(copy, NULL);
	if (copy != small)
		pfree(copy);

	/* a number near 0 is fine, one that became 0 is not */
	return errno != ERANGE || (*number != 0 && !isinf(*number));
}

/* whole numbers of so many bytes, as the server's casts from float8 take them */
static bool
fits_int(double number, int nbytes)
{
	double		limit = nbytes == 2 ? 32768.0 : nbytes == 4 ? 2147483648.0 : 9223372036854775808.0;

	return number >= -limit && number < limit;
}

static void
number_to_int(MlRuleView *view, MlRuleValue *value, int nbytes)
{
	double		number = rint(value->number);

	if (fits_int(number, nbytes))
		value->number = number + 0.0;
	else
		ml_rule_no_value(view, value);
}

static bool
is_whole(const char *p, int length)
{
	if (length > 0 && (*p == '+' || *p == '-'))
	{
		p++;
		length--;
	}
	for (int i = 0; i < length; i++)
		if (p[i] < '0' || p[i] > '9')
			return false;
	return length > 0;
}

static void
text_to_int(MlRuleView *view, MlRuleValue *value, int nbytes)
{
	const char *bytes = value->bytes;
	int			length = value->length;
	double		number;

	strip(&bytes, &length);
	if (is_whole(bytes, length) && ml_rule_parse_number(bytes, length, &number) && fits_int(number, nbytes))
		value->number = number;
	else
		ml_rule_no_value(view, value);
}

static void
text_to_number(MlRuleView *view, MlRuleValue *value)
{
	double		number;

	if (ml_rule_parse_number(value->bytes, value->length, &number))
		value->number = number;
	else
		ml_rule_no_value(view, value);
}

static void
text_to_bool(MlRuleView *view, MlRuleValue *value)
{
	const char *bytes = value->bytes;
	int			length = value->length;
	char		word[8];
	bool		result;

	/* the server's function looks at the terminator too */
	strip(&bytes, &length);
	memcpy(word, bytes, Min(length, (int) sizeof(word) - 1));
	word[Min(length, (int) sizeof(word) - 1)] = '\0';
	if (length > 0 && length < (int) sizeof(word) && parse_bool(word, &result))
		value->boolean = result;
	else
		ml_rule_no_value(view, value);
}

static void
number_to_real(MlRuleView *view, MlRuleValue *value)
{
	float		real = (float) value->number;

	if ((isinf(real) && !isinf(value->number)) || (real == 0 && value->number != 0))
		ml_rule_no_value(view, value);
	else
		value->number = real;
}

static void
take_text(MlRuleValue *value, char *text)
{
	value->bytes = text;
	value->length = strlen(text);
}

/* as the server writes a float8 */
static char *
number_text(double number)
{
	char	   *text = palloc(DOUBLE_SHORTEST_DECIMAL_LEN);

	if (isinf(number))
		return pstrdup(number > 0 ? "Infinity" : "-Infinity");
	double_to_shortest_decimal_buf(number, text);
	return text;
}

void
ml_rule_cast(MlRuleView *view, const MlRuleStep *step, MlRuleValue *value)
{
	int64		usec;

	switch (step->code)
	{
		case ML_OP_NUMBER_TO_TEXT:
			take_text(value, number_text(value->number));
			break;
		case ML_OP_NUMBER_TO_BOOL:
			value->boolean = value->number != 0;
			break;
		case ML_OP_NUMBER_TO_INT:
			number_to_int(view, value, step->a);
			break;
		case ML_OP_NUMBER_TO_REAL:
			number_to_real(view, value);
			break;
		case ML_OP_BOOL_TO_TEXT:
			take_text(value, value->boolean ? "true" : "false");
			break;
		case ML_OP_BOOL_TO_NUMBER:
			value->number = value->boolean ? 1 : 0;
			break;
		case ML_OP_TEXT_TO_NUMBER:
			text_to_number(view, value);
			break;
		case ML_OP_TEXT_TO_INT:
			text_to_int(view, value, step->a);
			break;
		case ML_OP_TEXT_TO_BOOL:
			text_to_bool(view, value);
			break;
		case ML_OP_TEXT_TO_TIME:
			if (ml_rule_parse_time(value->bytes, value->length, step->a != 0, view->program->zone, &usec))
				value->usec = usec;
			else
				ml_rule_no_value(view, value);
			break;
		default:
			take_text(value, ml_rule_time_text(value->usec, step->a != 0, view->program->zone));
			break;
	}
}
