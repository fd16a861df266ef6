/*
 * isotime.c
 *		Dates and times in JSON: ISO 8601 only, read the same on every server
 *		and under every setting.
 *
 *	calendar	2024-02-29, 2024-02-29T13:45, 2024-02-29 13:45:10.25+01:00, ...Z
 *	of day		13:45, 13:45:10.25
 *	length		P1Y2M3DT4H5M6.5S, P2W; a month is 30 days, a day 24 hours
 *
 * "infinity" and "-infinity" are what the server writes for infinite dates.
 */
#include "postgres.h"

#include <math.h>

#include "datatype/timestamp.h"
#include "frame/isotime.h"
#include "utils/datetime.h"

#define MAX_YEAR		294275	/* the last whole year of a timestamp */
#define MAX_OFFSET_HOURS 15

typedef struct Cursor
{
	const char *at;
	const char *end;
} Cursor;

static inline bool
take_char(Cursor *c, char wanted)
{
	if (c->at == c->end || *c->at != wanted)
		return false;
	c->at++;
	return true;
}

static inline bool
at_digit(const Cursor *c)
{
	return c->at < c->end && *c->at >= '0' && *c->at <= '9';
}

/* exactly two digits, at most maximum */
static bool
take_two(Cursor *c, int maximum, int *value)
{
	if (c->end - c->at < 2 || !at_digit(c) || c->at[1] < '0' || c->at[1] > '9')
		return false;
	*value = (c->at[0] - '0') * 10 + (c->at[1] - '0');
	c->at += 2;
	return *value <= maximum && !at_digit(c);
}

/* digits after the point, as microseconds, rounded */
static bool
take_fraction(Cursor *c, int *usec)
{
	double		value = 0.0;
	double		unit = 0.1;

	*usec = 0;
	if (!take_char(c, '.'))
		return true;
	if (!at_digit(c))
		return false;
	for (; at_digit(c); c->at++, unit /= 10.0)
		value += (*c->at - '0') * unit;
	*usec = (int) rint(value * USECS_PER_SEC);
	return true;
}

/* HH:MM[:SS[.fraction]] */
static bool
take_clock(Cursor *c, MlIsoTime *time, int64 *usec)
{
	int			fraction = 0;

	time->second = 0;
	if (!take_two(c, 24, &time->hour) || !take_char(c, ':') ||
		!take_two(c, 59, &time->minute))
		return false;
	if (take_char(c, ':') &&
		(!take_two(c, 59, &time->second) || !take_fraction(c, &fraction)))
		return false;
	if (time->hour == 24 && (time->minute || time->second || fraction))
		return false;
	*usec = (((int64) time->hour * MINS_PER_HOUR + time->minute) * SECS_PER_MINUTE +
			 time->second) * USECS_PER_SEC + fraction;
	return true;
}

/* Z, or a sign and HH, HHMM or HH:MM; none is fine */
static bool
take_offset(Cursor *c, MlIsoTime *time)
{
	int			hours;
	int			minutes = 0;
	int			sign;

	if (take_char(c, 'Z') || take_char(c, 'z'))
	{
		time->has_offset = true;
		return true;
	}
	if (take_char(c, '+'))
		sign = 1;
	else if (take_char(c, '-'))
		sign = -1;
	else
		return true;
	if (c->end - c->at == 4 && c->at[2] != ':')
	{
		Cursor		hour = {c->at, c->at + 2};

		if (!take_two(&hour, MAX_OFFSET_HOURS, &hours))
			return false;
		c->at += 2;
		if (!take_two(c, 59, &minutes))
			return false;
	}
	else if (!take_two(c, MAX_OFFSET_HOURS, &hours) ||
			 (take_char(c, ':') && !take_two(c, 59, &minutes)))
		return false;
	time->has_offset = true;
	time->offset = sign * (hours * SECS_PER_HOUR + minutes * SECS_PER_MINUTE);
	return true;
}

/* YYYY-MM-DD, and what may follow it */
static bool
parse_calendar(Cursor *c, MlIsoTime *time)
{
	const char *start = c->at;
	int64		clock = 0;
	int			days;

	time->group = ML_TIME_CALENDAR;
	for (time->year = 0; at_digit(c) && c->at - start < 6; c->at++)
		time->year = time->year * 10 + (*c->at - '0');
	if (c->at - start < 4 || time->year < 1 || time->year > MAX_YEAR ||
		!take_char(c, '-') || !take_two(c, MONTHS_PER_YEAR, &time->month) ||
		!take_char(c, '-') || !take_two(c, 31, &time->day) ||
		time->month < 1 || time->day < 1 ||
		time->day > day_tab[isleap(time->year)][time->month - 1])
		return false;
	if (take_char(c, 'T') || take_char(c, 't') || take_char(c, ' '))
	{
		if (!take_clock(c, time, &clock) || !take_offset(c, time))
			return false;
	}
	days = date2j(time->year, time->month, time->day) - UNIX_EPOCH_JDATE;
	time->usec = (int64) days * USECS_PER_DAY + clock;
	return true;
}

/* a number and its unit's letter */
static bool
take_part(Cursor *c, double *value, char *unit)
{
	int			fraction = 0;
	int64		whole = 0;
	bool		negative = take_char(c, '-');

	if (!at_digit(c))
		return false;
	for (; at_digit(c); c->at++)
	{
		whole = whole * 10 + (*c->at - '0');
		if (whole > PG_INT32_MAX)
			return false;
	}
	if (!take_fraction(c, &fraction) || c->at == c->end)
		return false;
	*value = (double) whole * USECS_PER_SEC + fraction;
	if (negative)
		*value = -*value;
	*unit = *c->at++;
	return true;
}

/* P[nY][nM][nW][nD][T[nH][nM][nS]] */
static bool
parse_length(Cursor *c, MlIsoTime *time)
{
	static const char date_units[] = "YMWD";
	static const char clock_units[] = "HMS";
	static const double date_seconds[] = {
		(double) DAYS_PER_MONTH * MONTHS_PER_YEAR * SECS_PER_DAY,
		(double) DAYS_PER_MONTH * SECS_PER_DAY, 7.0 * SECS_PER_DAY, SECS_PER_DAY
	};
	static const double clock_seconds[] = {SECS_PER_HOUR, SECS_PER_MINUTE, 1};
	const char *units = date_units;
	const double *seconds = date_seconds;
	int			next = 0;
	int			nparts = 0;
	double		total = 0.0;

	time->group = ML_TIME_LENGTH;
	while (c->at < c->end)
	{
		const char *found;
		double		value;
		char		unit;

		if (units == date_units && take_char(c, 'T'))
		{
			units = clock_units;
			seconds = clock_seconds;
			next = 0;
			nparts = 0;
			continue;
		}
		if (!take_part(c, &value, &unit))
			return false;
		found = strchr(units + next, unit);
		if (found == NULL || unit == '\0')
			return false;
		total += value * seconds[found - units];
		next = found - units + 1;
		nparts++;
	}
	if (nparts == 0 || fabs(total) >= (double) PG_INT64_MAX)
		return false;
	time->usec = (int64) rint(total);
	return true;
}

bool
ml_iso_parse(const char *text, int length, MlIsoTime *time)
{
	Cursor		c = {text, text + length};

	memset(time, 0, sizeof(*time));
	if ((length == 8 && memcmp(text, "infinity", 8) == 0) ||
		(length == 9 && memcmp(text, "-infinity", 9) == 0))
	{
		time->group = ML_TIME_CALENDAR;
		time->has_offset = true;
		time->usec = length == 8 ? PG_INT64_MAX : PG_INT64_MIN;
		return true;
	}
	if (take_char(&c, 'P'))
		return parse_length(&c, time) && c.at == c.end;
	if (length >= 3 && text[2] == ':')
	{
		time->group = ML_TIME_OF_DAY;
		return take_clock(&c, time, &time->usec) && c.at == c.end;
	}
	return parse_calendar(&c, time) && c.at == c.end;
}
