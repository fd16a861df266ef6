/*
 * profile_text.c
 *		A profiled column in words: its smallest and largest value, and what
 *		training would make of it.
 */
#include "postgres.h"

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "recipe/recipe_private.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/float.h"
#include "utils/timestamp.h"

#define LABELS_SHOWN	5
#define EPOCH_SHIFT		((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * ML_USEC_PER_DAY)

static char *
number_text(const MlColumn *column, double value)
{
	switch (column->type.reading)
	{
		case ML_READ_BOOL:
			return pstrdup(value != 0.0 ? "true" : "false");
		case ML_READ_INT2:
		case ML_READ_INT4:
		case ML_READ_INT8:
			return psprintf("%.0f", value);
		default:
			return float8out_internal(value);
	}
}

static char *
time_text(const MlColumn *column, int64 usec)
{
	Interval	interval = {.time = usec};

	switch (column->type.reading)
	{
		case ML_READ_DATE:
			return DatumGetCString(DirectFunctionCall1(date_out,
													   DateADTGetDatum((usec - EPOCH_SHIFT) / ML_USEC_PER_DAY)));
		case ML_READ_TIMESTAMP:
			return DatumGetCString(DirectFunctionCall1(timestamp_out, TimestampGetDatum(usec - EPOCH_SHIFT)));
		case ML_READ_TIMESTAMPTZ:
			return DatumGetCString(DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(usec - EPOCH_SHIFT)));
		case ML_READ_TIME:
			return DatumGetCString(DirectFunctionCall1(time_out, TimeADTGetDatum(usec)));
		default:
			return DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(&interval)));
	}
}

static char *
limit_text(const MlColumnProfile *profile, bool minimum)
{
	const MlColumn *column = profile->column;

	if (column->type.kind == ML_KIND_CATEGORY)
	{
		const char *text = minimum ? profile->first_text : profile->last_text;

		return text == NULL ? NULL : pstrdup(text);
	}
	if (!profile->has_range)
		return NULL;
	if (column->type.kind == ML_KIND_TIME)
		return time_text(column, minimum ? profile->first : profile->last);
	return number_text(column, minimum ? profile->minimum : profile->maximum);
}

char *
ml_profile_minimum(const MlColumnProfile *profile)
{
	return limit_text(profile, true);
}

char *
ml_profile_maximum(const MlColumnProfile *profile)
{
	return limit_text(profile, false);
}

static char *
time_becomes(const MlFeature *feature)
{
	StringInfoData text;
	const char *last = "";

	initStringInfo(&text);
	appendStringInfoString(&text, "time: ");
	for (int i = 0; i < feature->nnumbers; i++)
	{
		const char *group = ml_time_part_group(feature->parts[i]);

		if (strcmp(group, last) != 0)
			appendStringInfo(&text, "%s%s", i > 0 ? ", " : "", group);
		last = group;
	}
	return text.data;
}

static char *
category_becomes(const MlColumnProfile *profile)
{
	const MlFeature *feature = &profile->feature;

	if (profile->nearly_unique)
		return pstrdup("refused: nearly as many values as rows");
	if (profile->npooled > 0)
		return psprintf("category: %d %s, %d pooled", feature->nlevels,
						feature->nlevels == 1 ? "level" : "levels", profile->npooled);
	return psprintf("category: %d %s", feature->nlevels, feature->nlevels == 1 ? "level" : "levels");
}

char *
ml_profile_feature(const MlColumnProfile *profile)
{
	const MlColumn *column = profile->column;

	switch (column->type.kind)
	{
		case ML_KIND_NUMBER:
			return pstrdup(column->type.reading == ML_READ_BOOL ? "number: 0 or 1" : "number");
		case ML_KIND_CATEGORY:
			return category_becomes(profile);
		case ML_KIND_TIME:
			return time_becomes(&profile->feature);
		case ML_KIND_ARRAY:
			if (column->array_length == 0)
				return pstrdup("refused: no row has a value");
			return psprintf("array of %d numbers", column->array_length);
		case ML_KIND_NONE:
			break;
	}
	return psprintf("refused: %s", ml_value_type_name(&column->type));
}

static int
compare_labels(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static char *
classes_text(const MlColumn *column)
{
	const MlDictionary *dictionary = column->dictionary;
	char	   *label[ML_MAX_CLASSES];
	StringInfoData text;
	int			n = dictionary->nvalues;

	memcpy(label, dictionary->value, sizeof(char *) * n);
	qsort(label, n, sizeof(char *), compare_labels);
	initStringInfo(&text);
	appendStringInfo(&text, "target: %d classes: ", n);
	for (int i = 0; i < Min(n, LABELS_SHOWN); i++)
		appendStringInfo(&text, "%s%s", i > 0 ? ", " : "", label[i]);
	if (n > LABELS_SHOWN)
		appendStringInfo(&text, " and %d more", n - LABELS_SHOWN);
	return text.data;
}

char *
ml_profile_target(const MlColumnProfile *profile)
{
	const MlColumn *column = profile->column;

	if (!column->loaded || column->type.kind == ML_KIND_TIME || column->type.kind == ML_KIND_ARRAY)
		return psprintf("refused: a target of type %s", ml_value_type_name(&column->type));
	if (profile->distinct == 0)
		return pstrdup("refused: no row has a value");
	if (profile->distinct < 2)
		return pstrdup("refused: a constant target");
	if (column->type.reading == ML_READ_BOOL)
		return pstrdup("target: 2 classes: false, true");
	if (column->type.kind == ML_KIND_NUMBER)
		return pstrdup("target: regression");
	if (profile->distinct > ML_MAX_CLASSES)
		return psprintf("refused: more than %d classes", ML_MAX_CLASSES);
	return classes_text(column);
}
