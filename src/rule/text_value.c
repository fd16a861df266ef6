/*
 * text_value.c
 *		Text in rules: bytes in the encoding of the database, taken apart at
 *		characters.
 *
 * Neither locale nor collation has a say: text is compared by its bytes, and
 * only the letters A to Z have another case. So a rule says the same on every
 * server. A substring is a part of its text, and copies nothing.
 */
#include "postgres.h"

#include <math.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "rule/value.h"

#define LIKE_FOLDS			1

int
ml_rule_compare_text(const MlRuleValue *a, const MlRuleValue *b)
{
	int			order = memcmp(a->bytes, b->bytes, Min(a->length, b->length));

	if (order == 0)
		order = (a->length > b->length) - (a->length < b->length);
	return order;
}

/* ---- characters ---- */

/* bytes of the character at p, never beyond end */
static inline int
character(const char *p, const char *end)
{
	if (!IS_HIGHBIT_SET(*p))
		return 1;
	return Min(Max(pg_mblen(p), 1), (int) (end - p));
}

static int
count_characters(const MlRuleValue *text)
{
	const char *end = text->bytes + text->length;
	int			n = 0;

	for (const char *p = text->bytes; p < end; p += character(p, end))
		n++;
	return n;
}

/* where the n-th character, from 0, begins; the end if there are fewer */
static const char *
skip_characters(const char *p, const char *end, int n)
{
	while (n-- > 0 && p < end)
		p += character(p, end);
	return p;
}

static inline char
ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

static inline char
ascii_upper(char c)
{
	return c >= 'a' && c <= 'z' ? c - ('a' - 'A') : c;
}

/* memory of the row; NULL: it has made too much */
static char *
make_text(MlRuleView *view, Size length)
{
	if (view->made + length > ML_RULE_MAX_TEXT)
		return NULL;
	view->made += length;
	return palloc(length + 1);
}

/* In some encodings a later byte of a character is one of ASCII: whole characters are looked at. */
static void
change_case(MlRuleView *view, MlRuleValue *text, bool upper)
{
	char	   *bytes = make_text(view, text->length);
	const char *end = text->bytes + text->length;
	int			at = 0;

	if (bytes == NULL)
	{
		ml_rule_no_value(view, text);
		return;
	}
	for (const char *p = text->bytes; p < end;)
	{
		int			n = character(p, end);

		if (n == 1)
			bytes[at] = upper ? ascii_upper(*p) : ascii_lower(*p);
		else
			memcpy(bytes + at, p, n);
		at += n;
		p += n;
	}
	text->bytes = bytes;
}

/* ---- LIKE ---- */

/* one place of a pattern */
typedef struct Place
{
	const char *at;				/* of the character; '_' matches any unless it is escaped */
	const char *next;
	int			length;
	bool		any;
} Place;

/* false: the pattern ends within an escape */
static bool
read_place(const char *p, const char *end, Place *place)
{
	place->any = *p == '_';
	if (*p == '\\' && ++p == end)
		return false;
	place->at = p;
	place->length = character(p, end);
	place->next = p + place->length;
	return true;
}

static bool
matches_place(const Place *place, const char *s, int length, bool folds)
{
	if (place->any)
		return true;
	if (length != place->length)
		return false;
	if (length == 1 && folds)
		return ascii_lower(*place->at) == ascii_lower(*s);
	return memcmp(place->at, s, length) == 0;
}

/*
 * After a % that fails to match where it stands, the text is tried one
 * character further on; an earlier % need never be tried again, since whatever
 * it could take the later one can. So the time is bounded by the product of
 * the lengths, whatever the pattern.
 */
static bool
like(MlRuleView *view, const MlRuleValue *text, const MlRuleValue *pattern, bool folds, bool *result)
{
	const char *s = text->bytes;
	const char *send = s + text->length;
	const char *p = pattern->bytes;
	const char *pend = p + pattern->length;
	const char *retry_s = NULL;
	const char *retry_p = NULL;
	uint32		steps = 0;
	Place		place;

	for (;;)
	{
		bool		matched = false;
		int			length;

		if ((++steps & 0xffff) == 0)
			CHECK_FOR_INTERRUPTS();
		if (p < pend && *p == '%')
		{
			retry_p = ++p;
			retry_s = s;
			continue;
		}
		if (s == send && p == pend)
			break;
		if (s < send && p < pend)
		{
			if (!read_place(p, pend, &place))
				return false;
			length = character(s, send);
			matched = matches_place(&place, s, length, folds);
			if (matched)
			{
				s += length;
				p = place.next;
			}
		}
		if (matched)
			continue;
		if (retry_s == NULL || retry_s == send)
		{
			*result = false;
			return true;
		}
		retry_s += character(retry_s, send);
		s = retry_s;
		p = retry_p;
	}
	*result = true;
	return true;
}

static void
like_value(MlRuleView *view, const MlRuleStep *step, MlRuleValue *argument)
{
	bool		result;

	if (!like(view, &argument[0], &argument[1], step->a == LIKE_FOLDS, &result))
		ml_rule_no_value(view, argument);
	else
		argument->boolean = result;
}

/* ---- parts ---- */

/* The characters [from, from + length) of a text, from 1 on; length negative: to the end. */
static void
substring(MlRuleView *view, MlRuleValue *text, double from, double length, bool has_length)
{
	const char *end = text->bytes + text->length;
	double		first = rint(from);
	double		last = has_length ? first + rint(length) : INFINITY;
	const char *begin;

	if (has_length && rint(length) < 0)
	{
		ml_rule_no_value(view, text);
		return;
	}
	first = Max(first, 1);
	if (last <= first || first > text->length)
	{
		text->length = 0;
		return;
	}
	begin = skip_characters(text->bytes, end, (int) (first - 1));
	if (last - first < text->length)
		end = skip_characters(begin, end, (int) (last - first));
	text->bytes = begin;
	text->length = end - begin;
}

/* negative: all but so many of the other side */
static void
side(MlRuleValue *text, double number, bool left)
{
	int			n = count_characters(text);
	double		wanted = rint(number);
	int			keep;
	const char *middle;
	const char *end = text->bytes + text->length;

	if (wanted < 0)
		wanted = Max(n + wanted, 0);
	keep = (int) Min(wanted, n);
	middle = skip_characters(text->bytes, end, left ? keep : n - keep);
	if (left)
		text->length = middle - text->bytes;
	else
	{
		text->length = end - middle;
		text->bytes = middle;
	}
}

static void
trim(MlRuleValue *text, int sides)
{
	if (sides & 1)
		while (text->length > 0 && text->bytes[0] == ' ')
		{
			text->bytes++;
			text->length--;
		}
	if (sides & 2)
		while (text->length > 0 && text->bytes[text->length - 1] == ' ')
			text->length--;
}

static void
concatenate(MlRuleView *view, MlRuleValue *left, const MlRuleValue *right)
{
	char	   *bytes = make_text(view, (Size) left->length + right->length);

	if (bytes == NULL)
	{
		ml_rule_no_value(view, left);
		return;
	}
	memcpy(bytes, left->bytes, left->length);
	memcpy(bytes + left->length, right->bytes, right->length);
	left->bytes = bytes;
	left->length += right->length;
}

static bool
starts_with(const MlRuleValue *text, const MlRuleValue *prefix)
{
	return prefix->length <= text->length && memcmp(text->bytes, prefix->bytes, prefix->length) == 0;
}

/* in characters, from 1; 0: nowhere */
static double
position(const MlRuleValue *text, const MlRuleValue *part)
{
	const char *end = text->bytes + text->length;
	double		n = 1;

	for (const char *p = text->bytes; end - p >= part->length; p += character(p, end), n++)
	{
		if ((int64) n % 65536 == 0)
			CHECK_FOR_INTERRUPTS();
		if (memcmp(p, part->bytes, part->length) == 0)
			return n;
		if (p == end)
			break;
	}
	return 0;
}

void
ml_rule_text_function(MlRuleView *view, const MlRuleStep *step, MlRuleValue *argument)
{
	switch (step->code)
	{
		case ML_OP_LIKE:
			like_value(view, step, argument);
			break;
		case ML_OP_CONCAT:
			concatenate(view, argument, argument + 1);
			break;
		case ML_OP_LOWER:
		case ML_OP_UPPER:
			change_case(view, argument, step->code == ML_OP_UPPER);
			break;
		case ML_OP_LENGTH:
			argument->number = count_characters(argument);
			break;
		case ML_OP_SUBSTR_FROM:
			substring(view, argument, argument[1].number, 0, false);
			break;
		case ML_OP_SUBSTR:
			substring(view, argument, argument[1].number, argument[2].number, true);
			break;
		case ML_OP_LEFT:
		case ML_OP_RIGHT:
			side(argument, argument[1].number, step->code == ML_OP_LEFT);
			break;
		case ML_OP_STARTS_WITH:
			argument->boolean = starts_with(argument, argument + 1);
			break;
		case ML_OP_POSITION:
			argument->number = position(argument, argument + 1);
			break;
		default:
			trim(argument, step->a);
			break;
	}
}
