/*
 * isotime.h
 *		Dates and times as ISO 8601 writes them, whatever the settings.
 */
#ifndef ML_ISOTIME_H
#define ML_ISOTIME_H

#include "postgres.h"

/* calendar quantities: they are not interchangeable */
typedef enum MlTimeGroup
{
	ML_TIME_ANY,				/* a domain, whose name does not tell */
	ML_TIME_CALENDAR,			/* date, timestamp, timestamptz */
	ML_TIME_OF_DAY,				/* time */
	ML_TIME_LENGTH				/* interval */
} MlTimeGroup;

/* a time as ISO 8601 writes it, whatever DateStyle says */
typedef struct MlIsoTime
{
	MlTimeGroup group;
	int64		usec;			/* as ml_value_usec, in local time */
	bool		has_offset;
	int			offset;			/* seconds east of UTC */
	int			year;
	int			month;
	int			day;
	int			hour;
	int			minute;
	int			second;
} MlIsoTime;

/* false if the text is not one */
extern bool ml_iso_parse(const char *text, int length, MlIsoTime *time);

#endif							/* ML_ISOTIME_H */
