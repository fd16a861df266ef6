/*
 * time_value.c
 *		Times in rules: microseconds since 1970-01-01, in UTC or local, in the
 *		time zone of the program and of nothing else.
 */
#include "postgres.h"

#include <math.h>

#include "common/int.h"
#include "datatype/timestamp.h"
#include "frame/isotime.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "rule/value.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

/* from 1970, as mlops has it, to 2000, as the server has it */
#define EPOCH_SHIFT ((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

static bool
is_infinite(int64 usec)
{
	return usec == PG_INT64_MIN || usec == PG_INT64_MAX;
}

/* within what the server calls a timestamp */
static bool
is_time(int64 usec)
{
	int64		timestamp;

	return !pg_sub_s64_overflow(usec, EPOCH_SHIFT, &timestamp) && IS_VALID_TIMESTAMP(timestamp);
}

/* days since 1970, and the rest */
static int64
split_days(int64 usec, int64 *rest)
{
	int64		days = usec / USECS_PER_DAY;

	*rest = usec % USECS_PER_DAY;
	if (*rest < 0)
	{
		*rest += USECS_PER_DAY;
		days--;
	}
	return days;
}

int64
ml_rule_to_local(int64 usec, struct pg_tz *zone)
{
	int64		rest;
	pg_time_t	seconds;
	struct pg_tm *tm;

	if (is_infinite(usec))
		return usec;
	seconds = split_days(usec, &rest) * SECS_PER_DAY + rest / USECS_PER_SEC;
	tm = pg_localtime(&seconds, zone);
	return tm == NULL ? usec : usec + tm->tm_gmtoff * USECS_PER_SEC;
}

int64
ml_rule_to_utc(int64 usec, struct pg_tz *zone)
{
	struct pg_tm tm;
	int64		rest;

	if (is_infinite(usec))
		return usec;
	memset(&tm, 0, sizeof(tm));
	j2date((int) split_days(usec, &rest) + UNIX_EPOCH_JDATE, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
	tm.tm_hour = (int) (rest / USECS_PER_HOUR);
	tm.tm_min = (int) (rest % USECS_PER_HOUR / USECS_PER_MINUTE);
	tm.tm_sec = (int) (rest % USECS_PER_MINUTE / USECS_PER_SEC);
	return usec + DetermineTimeZoneOffset(&tm, zone) * USECS_PER_SEC;
}

/* ---- text ---- */

bool
ml_rule_parse_time(const char *bytes, int length, bool zoned, struct pg_tz *zone, int64 *usec)
{
	MlIsoTime	time;

	for (; length > 0 && *bytes == ' '; length--)
		bytes++;
	while (length > 0 && bytes[length - 1] == ' ')
		length--;
	if (!ml_iso_parse(bytes, length, &time) || time.group != ML_TIME_CALENDAR)
		return false;
	*usec = time.usec;
	if (is_infinite(time.usec))
		return true;
	if (time.has_offset && !zoned)
		return false;
	if (time.has_offset)
		*usec -= time.offset * USECS_PER_SEC;
	else if (zoned)
		*usec = ml_rule_to_utc(time.usec, zone);
	return is_time(*usec);
}

char *
ml_rule_time_text(int64 usec, bool zoned, struct pg_tz *zone)
{
	char	   *text = palloc(MAXDATELEN + 1);
	struct pg_tm tm;
	fsec_t		fsec;
	const char *abbreviation = NULL;
	int			offset = 0;

	if (is_infinite(usec))
		return pstrdup(usec < 0 ? "-infinity" : "infinity");
	if (timestamp2tm(usec - EPOCH_SHIFT, zoned ? &offset : NULL, &tm, &fsec,
					 zoned ? &abbreviation : NULL, zoned ? zone : NULL) != 0)
		return pstrdup("infinity");
	EncodeDateTime(&tm, fsec, zoned, offset, abbreviation, USE_ISO_DATES, text);
	return text;
}

/* ---- parts ---- */

static double
date_field(MlRuleField field, int64 days)
{
	int			julian = (int) days + UNIX_EPOCH_JDATE;
	int			year;
	int			month;
	int			day;

	j2date(julian, &year, &month, &day);
	switch (field)
	{
		case ML_FIELD_YEAR:
			return year > 0 ? year : year - 1;	/* there is no year 0 */
		case ML_FIELD_QUARTER:
			return (month - 1) / 3 + 1;
		case ML_FIELD_MONTH:
			return month;
		case ML_FIELD_WEEK:
			return date2isoweek(year, month, day);
		case ML_FIELD_DAY_OF_MONTH:
			return day;
		case ML_FIELD_DOW:
			return j2day(julian);
		case ML_FIELD_ISODOW:
			return j2day(julian) == 0 ? 7 : j2day(julian);
		default:
			return julian - date2j(year, 1, 1) + 1;
	}
}

static double
field_of(MlRuleField field, int64 usec)
{
	int64		rest;
	int64		days = split_days(usec, &rest);

	switch (field)
	{
		case ML_FIELD_HOUR:
			return (double) (rest / USECS_PER_HOUR);
		case ML_FIELD_MINUTE:
			return (double) (rest % USECS_PER_HOUR / USECS_PER_MINUTE);
		case ML_FIELD_SECOND:
			return (rest % USECS_PER_MINUTE) / 1000000.0;
		default:
			return date_field(field, days);
	}
}

static void
extract(MlRuleView *view, int a, MlRuleValue *value)
{
	MlRuleField field = (MlRuleField) (a & ~ML_RULE_ZONED);
	int64		usec = value->usec;

	if (is_infinite(usec))
	{
		if (field > ML_FIELD_EPOCH)
			value->isnull = true;
		else
			value->number = usec < 0 ? -INFINITY : INFINITY;
		return;
	}
	if (field == ML_FIELD_EPOCH)
	{
		value->number = usec / 1000000.0;
		return;
	}
	if (a & ML_RULE_ZONED)
		usec = ml_rule_to_local(usec, view->program->zone);
	value->number = field_of(field, usec);
}

/* ---- moving ---- */

static void
take_time(MlRuleView *view, MlRuleValue *value, int64 usec)
{
	if (is_time(usec))
		value->usec = usec;
	else
		ml_rule_no_value(view, value);
}

static void
shift(MlRuleView *view, MlRuleValue *value, int64 distance)
{
	int64		usec;

	if (is_infinite(value->usec))
		return;
	if (pg_add_s64_overflow(value->usec, distance, &usec))
		ml_rule_no_value(view, value);
	else
		take_time(view, value, usec);
}

static void
from_epoch(MlRuleView *view, MlRuleValue *value)
{
	double		usec = rint(value->number * 1000000.0);

	if (isinf(value->number))
		value->usec = value->number < 0 ? PG_INT64_MIN : PG_INT64_MAX;
	else if (fabs(usec) < 9e18)
		take_time(view, value, (int64) usec);
	else
		ml_rule_no_value(view, value);
}

void
ml_rule_time_function(MlRuleView *view, const MlRuleStep *step, MlRuleValue *value)
{
	int64		rest;

	switch (step->code)
	{
		case ML_OP_TO_UTC:
			value->usec = ml_rule_to_utc(value->usec, view->program->zone);
			break;
		case ML_OP_TO_LOCAL:
			value->usec = ml_rule_to_local(value->usec, view->program->zone);
			break;
		case ML_OP_DAY:
			if (!is_infinite(value->usec))
				value->usec = split_days(value->usec, &rest) * USECS_PER_DAY;
			break;
		case ML_OP_SHIFT:
			shift(view, value, view->program->time[step->b]);
			break;
		case ML_OP_EXTRACT:
			extract(view, step->a, value);
			break;
		default:
			from_epoch(view, value);
			break;
	}
}
