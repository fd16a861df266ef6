/*
 * times.c
 *		A time as seconds and as places on three circles: the day, the week and
 *		the year, each as a sine and a cosine, so that 23:59 is near 00:00.
 *
 * The parts of a timestamptz are those of the clock on the wall in the recipe's
 * zone, never in the session's. A circle is used only where the training rows
 * show enough of it: see ml_time_learn.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "recipe/recipe_private.h"
#include "utils/datetime.h"

#define DAYS_PER_GREGORIAN_YEAR 365.2425
#define EPOCH_WEEKDAY			3	/* 1970-01-01 was a Thursday; Monday is 0 */
#define WEEK_FROM_DAYS			14	/* a range longer than this shows weeks */
#define YEAR_FROM_DAYS			366 /* and longer than this, years */

/* from local time to UTC: by the offset given, else in the recipe's time zone */
int64
ml_recipe_utc(const MlRecipe *recipe, const MlIsoTime *time)
{
	struct pg_tm tm;

	if (time->has_offset)
		return time->usec - time->offset * USECS_PER_SEC;
	memset(&tm, 0, sizeof(tm));
	tm.tm_year = time->year;
	tm.tm_mon = time->month;
	tm.tm_mday = time->day;
	tm.tm_hour = time->hour;
	tm.tm_min = time->minute;
	tm.tm_sec = time->second;
	return time->usec + DetermineTimeZoneOffset(&tm, recipe->zone) * USECS_PER_SEC;
}

const char *
ml_time_part_name(MlTimePart part)
{
	switch (part)
	{
		case ML_PART_EPOCH:
			return "seconds";
		case ML_PART_HOUR_SIN:
			return "hour sin";
		case ML_PART_HOUR_COS:
			return "hour cos";
		case ML_PART_WEEK_SIN:
			return "week sin";
		case ML_PART_WEEK_COS:
			return "week cos";
		case ML_PART_YEAR_SIN:
			return "year sin";
		case ML_PART_YEAR_COS:
			return "year cos";
	}
	elog(ERROR, "unknown part of a time: %d", (int) part);
	return NULL;				/* keep the compiler quiet */
}

const char *
ml_time_part_group(MlTimePart part)
{
	switch (part)
	{
		case ML_PART_EPOCH:
			return "seconds";
		case ML_PART_HOUR_SIN:
		case ML_PART_HOUR_COS:
			return "hour";
		case ML_PART_WEEK_SIN:
		case ML_PART_WEEK_COS:
			return "week";
		case ML_PART_YEAR_SIN:
		case ML_PART_YEAR_COS:
			return "year";
	}
	elog(ERROR, "unknown part of a time: %d", (int) part);
	return NULL;				/* keep the compiler quiet */
}

bool
ml_time_part_cyclic(MlTimePart part)
{
	return part != ML_PART_EPOCH;
}

/* the wall clock of the recipe's zone as microseconds since 1970 */
static int64
local_usec(const MlRecipe *recipe, bool zoned, int64 usec)
{
	pg_time_t	second;
	struct pg_tm *tm;

	if (!zoned)
		return usec;
	second = usec / ML_USEC_PER_SECOND;
	if (usec % ML_USEC_PER_SECOND < 0)
		second--;
	tm = pg_localtime(&second, recipe->zone);

	/* no time that the server can hold is out of the zone's reach; an artifact's row might be */
	return tm == NULL ? usec : usec + (int64) tm->tm_gmtoff * ML_USEC_PER_SECOND;
}

/* days since 1970, and what is left of the day */
static int64
split_day(int64 usec, int64 *of_day)
{
	int64		day = usec / ML_USEC_PER_DAY;

	*of_day = usec % ML_USEC_PER_DAY;
	if (*of_day < 0)
	{
		*of_day += ML_USEC_PER_DAY;
		day--;
	}
	return day;
}

static int
weekday(int64 day)
{
	int			result = (int) ((day + EPOCH_WEEKDAY) % 7);

	return result < 0 ? result + 7 : result;
}

/* share of a circle, [0, 1) */
static double
turn_of(MlTimePart part, int64 day, int64 of_day)
{
	double		turn;

	switch (part)
	{
		case ML_PART_HOUR_SIN:
		case ML_PART_HOUR_COS:
			return (double) of_day / (double) ML_USEC_PER_DAY;
		case ML_PART_WEEK_SIN:
		case ML_PART_WEEK_COS:
			return weekday(day) / 7.0;
		default:
			turn = fmod((double) day, DAYS_PER_GREGORIAN_YEAR) / DAYS_PER_GREGORIAN_YEAR;
			return turn < 0.0 ? turn + 1.0 : turn;
	}
}

void
ml_time_parts(const MlRecipe *recipe, const MlFeature *feature, int64 usec, double *value)
{
	bool		seconds_only = feature->nnumbers == 1 && feature->parts[0] == ML_PART_EPOCH;
	int64		day = 0;
	int64		of_day = 0;

	/* PG_INT64_MIN stands for NULL and minus infinity, PG_INT64_MAX for infinity */
	if (usec == ML_USEC_NULL || usec == PG_INT64_MAX)
	{
		for (int i = 0; i < feature->nnumbers; i++)
			value[i] = NAN;
		return;
	}
	if (!seconds_only)
		day = split_day(local_usec(recipe, feature->zoned, usec), &of_day);

	for (int i = 0; i < feature->nnumbers; i++)
	{
		MlTimePart	part = feature->parts[i];

		if (part == ML_PART_EPOCH)
			value[i] = (double) usec / (double) ML_USEC_PER_SECOND;
		else
		{
			double		angle = 2.0 * M_PI * turn_of(part, day, of_day);
			bool		sine = part == ML_PART_HOUR_SIN || part == ML_PART_WEEK_SIN ||
				part == ML_PART_YEAR_SIN;

			value[i] = sine ? sin(angle) : cos(angle);
		}
	}
}

/* what the training rows show of a time */
typedef struct TimeExtent
{
	int64		n;
	int64		first;
	int64		last;
	int64		of_day;			/* of the first row */
	int64		day;
	bool		of_day_varies;
	bool		weekday_varies;
} TimeExtent;

static void
time_extent(const MlRecipe *recipe, const MlColumn *column, int64 n, bool zoned, TimeExtent *extent)
{
	memset(extent, 0, sizeof(*extent));
	for (int64 i = 0; i < n; i++)
	{
		int64		usec = column->usec[i];
		int64		of_day;
		int64		day;

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (usec == ML_USEC_NULL)
			continue;
		day = split_day(local_usec(recipe, zoned, usec), &of_day);
		if (extent->n++ == 0)
		{
			extent->first = extent->last = usec;
			extent->of_day = of_day;
			extent->day = day;
		}
		extent->first = Min(extent->first, usec);
		extent->last = Max(extent->last, usec);
		extent->of_day_varies |= of_day != extent->of_day;
		extent->weekday_varies |= weekday(day) != weekday(extent->day);
	}
}

bool
ml_time_shows(MlTimePart part, double seconds)
{
	double		days = seconds / ((double) ML_USEC_PER_DAY / ML_USEC_PER_SECOND);

	return part < ML_PART_WEEK_SIN || days > (part <= ML_PART_WEEK_COS ? WEEK_FROM_DAYS : YEAR_FROM_DAYS);
}

static void
add_part(MlFeature *feature, MlTimePart part)
{
	feature->parts[feature->nnumbers++] = part;
}

/*
 * Seconds always; the day where the time of day varies; the week where more
 * than two weeks and more than one weekday are seen; the year where more than
 * a year is. An interval is a length, so it has seconds only; a time of day
 * has no week or year.
 */
void
ml_time_learn(const MlRecipe *recipe, const MlColumn *column, int64 n, MlFeature *feature)
{
	MlReading	reading = column->type.reading;
	TimeExtent	extent;
	double		seconds;

	feature->zoned = reading == ML_READ_TIMESTAMPTZ;
	feature->parts = palloc(sizeof(MlTimePart) * (ML_PART_YEAR_COS + 1));
	feature->nnumbers = 0;
	add_part(feature, ML_PART_EPOCH);
	if (reading == ML_READ_INTERVAL)
		return;

	time_extent(recipe, column, n, feature->zoned, &extent);
	if (extent.of_day_varies)
	{
		add_part(feature, ML_PART_HOUR_SIN);
		add_part(feature, ML_PART_HOUR_COS);
	}
	if (reading == ML_READ_TIME)
		return;
	seconds = ((double) extent.last - (double) extent.first) / (double) ML_USEC_PER_SECOND;
	if (ml_time_shows(ML_PART_WEEK_SIN, seconds) && extent.weekday_varies)
	{
		add_part(feature, ML_PART_WEEK_SIN);
		add_part(feature, ML_PART_WEEK_COS);
	}
	if (ml_time_shows(ML_PART_YEAR_SIN, seconds))
	{
		add_part(feature, ML_PART_YEAR_SIN);
		add_part(feature, ML_PART_YEAR_COS);
	}
}

/* ---- which sort of time ---- */

static bool
is_type(const char *name, const char *type)
{
	size_t		length = strlen(type);

	return strncmp(name, type, length) == 0 &&
		(name[length] == '\0' || name[length] == ' ' || name[length] == '(');
}

MlTimeGroup
ml_time_group(const MlFeature *feature)
{
	if (feature->zoned || is_type(feature->type_name, "date") ||
		is_type(feature->type_name, "timestamp"))
		return ML_TIME_CALENDAR;
	if (is_type(feature->type_name, "time"))
		return ML_TIME_OF_DAY;
	if (is_type(feature->type_name, "interval"))
		return ML_TIME_LENGTH;
	return ML_TIME_ANY;
}
