/*
 * profile.c
 *		mlops_profile(): what every column of a source would become, before any
 *		fitting.
 *
 * The source is read as for training, but nothing is refused: what training
 * would refuse is what the profile says. Levels and parts of times are learned
 * by the functions that training calls, with the default parameters, so that
 * the two cannot disagree.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "recipe/recipe_private.h"
#include "result.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define PROFILE_COLUMNS	10
#define TELL_DUPLICATES_FROM 0.01	/* share of rows that repeat another */
#define MAX_SENTENCES	12		/* per column, more than there are */

PG_FUNCTION_INFO_V1(mlops_profile);

/* what is said about one column */
typedef struct Sentences
{
	int			n;
	char	   *text[MAX_SENTENCES];
} Sentences;

typedef struct Profile
{
	MlBudget	budget;
	MlFrame    *frame;
	MlRecipe	recipe;			/* parameters and time zone only */
	int			target;			/* index, or -1 */
	MlLeakTest *leak;			/* or NULL */
	int64		duplicates;		/* rows that repeat an earlier one */
} Profile;

static void
say(Sentences *sentences, char *text)
{
	if (text == NULL)
		return;
	Assert(sentences->n < MAX_SENTENCES);
	sentences->text[sentences->n++] = text;
}

/* ---- counting ---- */

static void
profile_number(Profile *profile, MlColumnProfile *about)
{
	const MlColumn *column = about->column;
	int64		nrows = profile->frame->nrows;
	MlCounter	counter;

	ml_counter_begin(&counter, &profile->budget);
	for (int64 i = 0; i < nrows; i++)
	{
		double		x = column->number[i];

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (isnan(x))
			continue;
		ml_counter_add(&counter, ml_number_bits(x));
		if (!isfinite(x))
			continue;
		about->minimum = about->has_range ? Min(about->minimum, x) : x;
		about->maximum = about->has_range ? Max(about->maximum, x) : x;
		about->has_range = true;
	}
	ml_counter_end(&counter);
	about->distinct = counter.n;

	if (column->nnonfinite == 0 && about->has_range)
	{
		MlSample	sample = {column->number, 1, NULL, nrows, NULL};
		MlNumber	number;

		ml_number_learn(&sample, ML_IMPUTE_MEAN, &number);
		about->mean = number.mean;
	}
}

static void
profile_time(Profile *profile, MlColumnProfile *about)
{
	const MlColumn *column = about->column;
	MlCounter	counter;

	ml_counter_begin(&counter, &profile->budget);
	for (int64 i = 0; i < profile->frame->nrows; i++)
	{
		int64		usec = column->usec[i];

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (usec == ML_USEC_NULL || usec == PG_INT64_MAX)
			continue;
		ml_counter_add(&counter, (uint64) usec);
		about->first = about->has_range ? Min(about->first, usec) : usec;
		about->last = about->has_range ? Max(about->last, usec) : usec;
		about->has_range = true;
	}
	ml_counter_end(&counter);
	about->distinct = counter.n;
	ml_time_learn(&profile->recipe, column, profile->frame->nrows, &about->feature);
}

static void
profile_category(Profile *profile, MlColumnProfile *about)
{
	const MlColumn *column = about->column;
	const MlDictionary *dictionary = column->dictionary;
	int64		present = profile->frame->nrows - column->nnull;

	about->distinct = dictionary->nvalues;
	for (int i = 0; i < dictionary->nvalues; i++)
	{
		const char *value = dictionary->value[i];

		if (i == 0 || strcmp(value, about->first_text) < 0)
			about->first_text = value;
		if (i == 0 || strcmp(value, about->last_text) > 0)
			about->last_text = value;
	}
	about->nearly_unique = dictionary->nvalues > ML_NEARLY_UNIQUE_ROWS &&
		dictionary->nvalues > ML_NEARLY_UNIQUE_SHARE * present;
	if (profile->frame->nrows > 0)
		ml_levels_learn(profile->frame, column, &profile->recipe.params, NULL, &about->feature);
	about->npooled = dictionary->nvalues - about->feature.nlevels;
}

static void
profile_array(Profile *profile, MlColumnProfile *about)
{
	const MlColumn *column = about->column;
	MlCounter	counter;

	ml_counter_begin(&counter, &profile->budget);
	for (int64 i = 0; column->array_length > 0 && i < profile->frame->nrows; i++)
	{
		const double *value = column->array + i * column->array_length;
		uint64		hash = 0;
		bool		present = false;

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		for (int j = 0; j < column->array_length; j++)
		{
			present |= !isnan(value[j]);
			hash = ml_hash_mix(hash + ml_number_bits(value[j]));
		}
		if (present)
			ml_counter_add(&counter, hash);
	}
	ml_counter_end(&counter);
	about->distinct = counter.n;
}

static void
profile_column(Profile *profile, const MlColumn *column, MlColumnProfile *about)
{
	memset(about, 0, sizeof(*about));
	about->column = column;
	about->distinct = -1;
	about->mean = NAN;
	if (!column->loaded)
		return;
	switch (column->type.kind)
	{
		case ML_KIND_NUMBER:
			profile_number(profile, about);
			break;
		case ML_KIND_CATEGORY:
			profile_category(profile, about);
			break;
		case ML_KIND_TIME:
			profile_time(profile, about);
			break;
		case ML_KIND_ARRAY:
			profile_array(profile, about);
			break;
		case ML_KIND_NONE:
			break;
	}
}

/* rows that repeat an earlier one */
static int64
count_duplicates(Profile *profile)
{
	const MlFrame *frame = profile->frame;
	MlCounter	counter;

	ml_counter_begin(&counter, &profile->budget);
	for (int64 i = 0; i < frame->nrows; i++)
	{
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		ml_counter_add(&counter, frame->fingerprint[i].high);
	}
	ml_counter_end(&counter);
	return frame->nrows - counter.n;
}

/* ---- saying ---- */

static bool
all_integers(const MlColumn *column)
{
	return column->type.reading == ML_READ_INT2 || column->type.reading == ML_READ_INT4 ||
		column->type.reading == ML_READ_INT8;
}

static void
say_common(const Profile *profile, const MlColumnProfile *about, Sentences *sentences)
{
	const MlColumn *column = about->column;
	int64		nrows = profile->frame->nrows;

	if (column->nnonfinite > 0)
		say(sentences, psprintf("has " INT64_FORMAT " NaN or infinite values, the first in row " INT64_FORMAT ": training refuses them; make them NULL",
								column->nnonfinite, column->first_nonfinite));
	if (column->nnull == nrows)
		say(sentences, pstrdup("is NULL in every row"));
	else if (about->distinct == 1 && column->nnull == 0)
		say(sentences, pstrdup("is constant"));
	else if (column->nnull > ML_MOSTLY_MISSING_SHARE * nrows)
		say(sentences, psprintf("is NULL in %.0f%% of the rows", 100.0 * column->nnull / nrows));
}

static void
say_feature(const Profile *profile, const MlColumnProfile *about, Sentences *sentences)
{
	const MlColumn *column = about->column;
	int64		present = profile->frame->nrows - column->nnull;

	if (!column->loaded)
	{
		say(sentences, psprintf("cannot be a feature: exclude it, or compute numbers or categories from it (type %s)",
								ml_value_type_name(&column->type)));
		return;
	}
	say_common(profile, about, sentences);
	if (about->nearly_unique)
		say(sentences, pstrdup("has a different value in nearly every row: exclude it, or group its values"));
	else if (all_integers(column) && about->distinct > ML_NEARLY_UNIQUE_ROWS &&
			 about->distinct > ML_IDENTIFIER_SHARE * present)
		say(sentences, pstrdup("has a different value in nearly every row: if it is an identifier, exclude it"));
	if (profile->leak != NULL)
		say(sentences, ml_leak_sentence(profile->leak, column));
}

static void
say_target(const Profile *profile, const MlColumnProfile *about, Sentences *sentences)
{
	const MlColumn *column = about->column;

	if (!column->loaded)
	{
		say(sentences, pstrdup("cannot be predicted: a target is a number, a boolean, or text of few values"));
		return;
	}
	say_common(profile, about, sentences);
	if (column->nnull > 0 && column->nnull < profile->frame->nrows)
		say(sentences, psprintf("is NULL in " INT64_FORMAT " rows: training leaves them out", column->nnull));
	if (all_integers(column) && about->distinct == 2)
		say(sentences, pstrdup("has two values: for classes rather than numbers, train with algorithm => 'logistic_regression'"));
	if (column->type.kind == ML_KIND_CATEGORY && about->distinct > ML_MAX_CLASSES)
		say(sentences, pstrdup("has too many classes: group its values"));
}

static void
say_duplicates(const Profile *profile, Sentences *sentences)
{
	int64		nrows = profile->frame->nrows;

	if (profile->duplicates > 0 && profile->duplicates >= TELL_DUPLICATES_FROM * nrows)
		say(sentences, psprintf(INT64_FORMAT " of " INT64_FORMAT " rows repeat another row in every column",
								profile->duplicates, nrows));
}

static Datum
sentences_array(const Sentences *sentences)
{
	Datum		text[MAX_SENTENCES];

	for (int i = 0; i < sentences->n; i++)
		text[i] = CStringGetTextDatum(sentences->text[i]);
	return PointerGetDatum(construct_array(text, sentences->n, TEXTOID, -1, false, TYPALIGN_INT));
}

static void
add_row(Profile *profile, int i, MlRows *rows)
{
	const MlColumn *column = &profile->frame->cols[i];
	bool		is_target = i == profile->target;
	MlColumnProfile about;
	Sentences	sentences = {0};
	Datum		values[PROFILE_COLUMNS] = {0};
	bool		nulls[PROFILE_COLUMNS] = {false};

	profile_column(profile, column, &about);
	if (profile->frame->nrows == 0)
		say(&sentences, pstrdup("the source has no rows"));
	else if (is_target)
		say_target(profile, &about, &sentences);
	else
		say_feature(profile, &about, &sentences);
	if (i == Max(profile->target, 0) && profile->frame->nrows > 0)
		say_duplicates(profile, &sentences);

	ml_rows_text(values, nulls, 0, column->name);
	ml_rows_text(values, nulls, 1, ml_value_type_name(&column->type));
	ml_rows_text(values, nulls, 2, is_target ? ml_profile_target(&about) : ml_profile_feature(&about));
	values[3] = Int64GetDatum(profile->frame->nrows);
	values[4] = Int64GetDatum(column->nnull);
	nulls[4] = !column->loaded;
	values[5] = Int64GetDatum(about.distinct);
	nulls[5] = about.distinct < 0;
	ml_rows_text(values, nulls, 6, ml_profile_minimum(&about));
	ml_rows_text(values, nulls, 7, ml_profile_maximum(&about));
	ml_rows_number(values, nulls, 8, about.mean);
	values[9] = sentences_array(&sentences);
	ml_rows_add(rows, values, nulls);
}

static void
read_source(Profile *profile, const char *source, const char *target)
{
	MlFrameRequest request = {0};

	request.source = source;
	request.target = target;
	request.all_kinds = true;
	ml_budget_begin(&profile->budget);
	profile->frame = ml_frame_read(&request, &profile->budget);
	profile->target = target == NULL ? -1 : ml_frame_find(profile->frame, target);
}

Datum
mlops_profile(PG_FUNCTION_ARGS)
{
	Profile		profile = {0};
	MlRows		rows;
	MemoryContext cxt;
	MemoryContext old;
	MemoryContext column_cxt;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("source must not be NULL"),
				 errdetail("It was given as NULL."),
				 errhint("Name a table or give a query: mlops_profile('customers').")));
	ml_rows_begin(fcinfo, &rows);
	cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops profile", ALLOCSET_DEFAULT_SIZES);
	column_cxt = AllocSetContextCreate(cxt, "mlops profile column", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	read_source(&profile, text_to_cstring(PG_GETARG_TEXT_PP(0)),
				PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)));

	profile.recipe.params.impute = ML_DEFAULT_IMPUTE;
	profile.recipe.params.missing_indicator = ML_DEFAULT_MISSING_INDICATOR;
	profile.recipe.params.max_categories = ML_DEFAULT_MAX_CATEGORIES;
	profile.recipe.params.min_category_rows = ML_DEFAULT_MIN_CATEGORY_ROWS;
	profile.recipe.zone = session_timezone;
	profile.duplicates = count_duplicates(&profile);
	if (profile.target >= 0)
		profile.leak = ml_leak_begin(profile.frame, &profile.frame->cols[profile.target]);

	MemoryContextSwitchTo(column_cxt);
	for (int i = 0; i < profile.frame->ncols; i++)
	{
		add_row(&profile, i, &rows);
		MemoryContextReset(column_cxt);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	return (Datum) 0;
}
