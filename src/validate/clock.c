/*
 * clock.c
 *		Windows of time, in the unit of a set's time column.
 *
 * Times are int64 in a unit of the column's own: microseconds, days, or
 * whatever an integer counts. A window is cut into buckets whose boundaries are
 * multiples of their width, so that they never move. Calendars and days without zone
 * are those of the author's time zone, whoever refreshes.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "validate/set.h"
#include "validate/validate.h"

MlClock
ml_clock_of(Oid type)
{
	switch (type)
	{
		case TIMESTAMPTZOID:
			return ML_CLOCK_TIMESTAMPTZ;
		case TIMESTAMPOID:
			return ML_CLOCK_TIMESTAMP;
		case DATEOID:
			return ML_CLOCK_DATE;
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return ML_CLOCK_INTEGER;
		default:
			return ML_CLOCK_NONE;
	}
}

/* ---- lengths ---- */

static void
refuse_long(const Interval *interval)
{
	ereport(ERROR,
			(errcode(ERRCODE_INTERVAL_FIELD_OVERFLOW),
			 errmsg("the interval %s is too long", ml_interval_text(interval)),
			 errdetail("It has more microseconds than 64 bits count."),
			 errhint("Give one of less than 200,000 years.")));
}

int64
ml_interval_usec(const Interval *interval)
{
	int64		days = (int64) interval->month * DAYS_PER_MONTH + interval->day;
	int64		usec;

	if (pg_mul_s64_overflow(days, USECS_PER_DAY, &usec) || pg_add_s64_overflow(usec, interval->time, &usec))
		refuse_long(interval);
	return usec;
}

char *
ml_interval_text(const Interval *interval)
{
	return DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(interval)));
}

static int64
floor_div(int64 a, int64 b)
{
	return a / b - (a % b < 0);
}

static int64
ceil_div(int64 a, int64 b)
{
	return a / b + (a % b > 0);
}

/* a length in the clock's unit, rounded up */
static int64
length_of(const MlSet *set, const Interval *interval)
{
	int64		usec = ml_interval_usec(interval);

	switch (set->clock)
	{
		case ML_CLOCK_DATE:
			return ceil_div(usec, USECS_PER_DAY);
		case ML_CLOCK_INTEGER:
			return ceil_div(usec, ml_interval_usec(set->time_unit));
		default:
			return usec;
	}
}

static void
refuse_interval(const char *what, const Interval *interval, const char *needed, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" is %s", what, ml_interval_text(interval)),
			 errdetail("%s", needed),
			 errhint("%s", hint)));
}

static void
check_not_negative(const char *what, const Interval *interval)
{
	if (interval != NULL && ml_interval_usec(interval) < 0)
		refuse_interval(what, interval, "It cannot be negative.", "Give 0 or more, as in '1 day'.");
}

void
ml_clock_check_unit(const Interval *unit)
{
	if (unit->month != 0 || ml_interval_usec(unit) <= 0)
		refuse_interval("time_unit", unit, "It says how long 1 of the time column lasts: longer than nothing, and without months.",
						"Give '1 second' for seconds since 1970, or as the column counts.");
}

void
ml_clock_check(const MlSet *set)
{
	check_not_negative("label_delay", set->label_delay);
	check_not_negative("lateness", set->lateness);
	check_not_negative("every", set->every);
	if (set->clock == ML_CLOCK_NONE)
		return;
	if (ml_interval_usec(set->period) <= 0)
		refuse_interval("period", set->period, "A validation set holds the rows of the period before a refresh: it must be longer than nothing.",
						"Give one such as '90 days'.");
	if (set->clock == ML_CLOCK_INTEGER)
		ml_clock_check_unit(set->time_unit);
}

/* ---- times ---- */

bool
ml_clock_count(TimestampTz t, TimestampTz origin, const Interval *unit, int64 *count)
{
	int64		since;

	if (TIMESTAMP_NOT_FINITE(t) || TIMESTAMP_NOT_FINITE(origin) || pg_sub_s64_overflow(t, origin, &since))
		return false;
	*count = ceil_div(since, ml_interval_usec(unit));
	return true;
}

/* the first value of the clock that is not before t */
static int64
value_at(const MlSet *set, TimestampTz t)
{
	Timestamp	local;
	int64		count;

	if (set->clock == ML_CLOCK_TIMESTAMPTZ)
		return t;
	if (set->clock == ML_CLOCK_INTEGER)
	{
		if (!ml_clock_count(t, set->time_origin, set->time_unit, &count))
			ereport(ERROR,
					(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
					 errmsg("as_of is too far from the time origin of validation set \"%s\"", set->name),
					 errdetail("The window would begin or end at %s, and the set counts from %s.",
							   pstrdup(timestamptz_to_str(t)), pstrdup(timestamptz_to_str(set->time_origin))),
					 errhint("Give an as_of nearer to today.")));
		return count;
	}
	local = DatumGetTimestamp(DirectFunctionCall1(timestamptz_timestamp, TimestampTzGetDatum(t)));
	return set->clock == ML_CLOCK_DATE ? ceil_div(local, USECS_PER_DAY) : local;
}

static TimestampTz
before(TimestampTz t, const Interval *interval)
{
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_mi_interval, TimestampTzGetDatum(t),
												   IntervalPGetDatum(interval)));
}

static int
enter_time_zone(const MlSet *set)
{
	int			level = NewGUCNestLevel();

	if (set->author.settings[1] != NULL)
		ml_author_set("TimeZone", set->author.settings[1]);
	ml_author_set("DateStyle", "ISO, YMD");
	return level;
}

void
ml_clock_window(const MlSet *set, TimestampTz as_of, MlWindow *window)
{
	int			level;
	TimestampTz to;
	int64		late;
	int64		start;

	memset(window, 0, sizeof(*window));
	window->width = 1;
	if (set->clock == ML_CLOCK_NONE)
		return;
	level = enter_time_zone(set);
	to = before(as_of, set->label_delay);
	window->to = value_at(set, to);
	window->from = value_at(set, before(to, set->period));
	AtEOXact_GUC(false, level);

	window->width = Max(ceil_div(length_of(set, set->period), ML_BUCKETS), 1);
	window->first_bucket = floor_div(window->from, window->width);
	window->cut = window->first_bucket * window->width != window->from;
	window->read_bucket = window->first_bucket;
	if (set->has_watermark &&
		!pg_sub_s64_overflow(Min(set->watermark, window->to), length_of(set, set->lateness), &late))
		window->read_bucket = Max(window->first_bucket, floor_div(late, window->width));
	start = window->read_bucket * window->width;
	window->read_from = Max(window->from, start);
}

int64
ml_clock_value(MlClock clock, Oid type, Datum value, bool *infinite)
{
	*infinite = false;
	switch (type)
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		case INT8OID:
			return DatumGetInt64(value);
		case DATEOID:
			*infinite = DATE_NOT_FINITE(DatumGetDateADT(value));
			return DatumGetDateADT(value);
		default:
			*infinite = TIMESTAMP_NOT_FINITE(DatumGetTimestamp(value));
			return DatumGetTimestamp(value);
	}
}

int64
ml_clock_bucket(const MlWindow *window, int64 value)
{
	return floor_div(value, window->width);
}

/* ---- as text ---- */

static char *
in_words(const MlSet *set, int64 value)
{
	PGFunction	out = set->clock == ML_CLOCK_DATE ? date_out :
		set->clock == ML_CLOCK_TIMESTAMP ? timestamp_out : timestamptz_out;
	Datum		datum = set->clock == ML_CLOCK_DATE ? DateADTGetDatum((DateADT) value) : TimestampGetDatum(value);
	int			level;
	char	   *text;

	if (set->clock == ML_CLOCK_INTEGER)
		return psprintf(INT64_FORMAT, value);
	level = enter_time_zone(set);
	text = DatumGetCString(DirectFunctionCall1(out, datum));
	AtEOXact_GUC(false, level);
	return text;
}

char *
ml_clock_text(const MlSet *set, int64 value)
{
	return set->clock == ML_CLOCK_NONE ? NULL : in_words(set, value);
}

char *
ml_clock_literal(const MlSet *set, int64 value)
{
	const char *type = set->clock == ML_CLOCK_DATE ? "pg_catalog.date" :
		set->clock == ML_CLOCK_TIMESTAMP ? "pg_catalog.timestamp" :
		set->clock == ML_CLOCK_TIMESTAMPTZ ? "pg_catalog.timestamptz" : "pg_catalog.int8";

	return psprintf("'%s'::%s", in_words(set, value), type);
}
