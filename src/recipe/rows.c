/*
 * rows.c
 *		Which rows of a source can train, and which values make training
 *		impossible.
 *
 * Nothing is repaired in silence: NaN and infinity are refused, since neither
 * has a mean; NULL is ordinary in features, leaves a row out in the target,
 * and is an error in a weight.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "interrupts.h"
#include "miscadmin.h"
#include "recipe/recipe_private.h"

static const char *const impute_choices[] = {"mean", "median", "drop", NULL};

#define OFFSET(member) offsetof(MlRecipeParams, member)

const MlParam ml_recipe_params[] = {
	{"impute", ML_PARAM_ENUM, OFFSET(impute), ML_DEFAULT_IMPUTE, 0, 0, impute_choices,
	"what stands for a NULL number: the mean or median of the training rows; or drop the row"},
	{"missing_indicator", ML_PARAM_BOOL, OFFSET(missing_indicator), ML_DEFAULT_MISSING_INDICATOR, 0, 1, NULL,
	"whether a number that can be NULL gets a column that says where it is"},
	{"max_categories", ML_PARAM_INT, OFFSET(max_categories), ML_DEFAULT_MAX_CATEGORIES, 1, 10000, NULL,
	"values of one column that get a place of their own, the most frequent first; others are pooled"},
	{"min_category_rows", ML_PARAM_INT, OFFSET(min_category_rows), ML_DEFAULT_MIN_CATEGORY_ROWS, 1, 1e15, NULL,
	"values in fewer training rows than this are pooled"},
	{NULL}
};

int
ml_frame_find_role(const MlFrame *frame, MlRole role)
{
	for (int i = 0; i < frame->ncols; i++)
	{
		if (frame->cols[i].role == role)
			return i;
	}
	return -1;
}

static bool
is_null(const MlColumn *column, int64 row)
{
	switch (column->type.kind)
	{
		case ML_KIND_NUMBER:
			return isnan(column->number[row]);
		case ML_KIND_CATEGORY:
			return column->code[row] == ML_CODE_NULL;
		case ML_KIND_TIME:
			return column->usec[row] == ML_USEC_NULL;
		case ML_KIND_ARRAY:
			for (int j = 0; j < column->array_length; j++)
			{
				if (isnan(column->array[row * column->array_length + j]))
					return true;
			}
			return column->array_length == 0;
		case ML_KIND_NONE:
			break;
	}
	return true;
}

static void
check_finite(const MlColumn *column, const char *what, int code)
{
	if (column->nnonfinite > 0)
		ereport(ERROR,
				(errcode(code),
				 errmsg("%s \"%s\" has NaN or infinite values", what, column->name),
				 errdetail("The first of " INT64_FORMAT " is in row " INT64_FORMAT " of the source.",
						   column->nnonfinite, column->first_nonfinite),
				 errhint("Leave such rows out in the source, or make the values NULL.")));
}

static void
refuse_weight(const MlColumn *column, int64 row, int64 count)
{
	bool		null = isnan(column->number[row]);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("weight \"%s\" has NULL or negative values", column->name),
			 null ? errdetail("The first of " INT64_FORMAT " is in row " INT64_FORMAT " of the source: NULL.",
							  count, row + 1)
			 : errdetail("The first of " INT64_FORMAT " is in row " INT64_FORMAT " of the source: %.15g.",
						 count, row + 1, column->number[row]),
			 errhint("A weight is zero (the row is left out) or more; correct it in the source.")));
}

static void
check_weight(const MlFrame *frame, const MlColumn *column)
{
	int64		first = -1;
	int64		count = 0;

	if (!column->loaded || column->type.kind != ML_KIND_NUMBER)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("weight \"%s\" is of type %s, not a number",
						column->name, ml_value_type_name(&column->type)),
				 errhint("Name a column of numbers as the weight.")));
	check_finite(column, "weight", ERRCODE_INVALID_PARAMETER_VALUE);
	for (int64 i = 0; i < frame->nrows; i++)
	{
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (column->number[i] >= 0.0)
			continue;
		if (first < 0)
			first = i;
		count++;
	}
	if (count > 0)
		refuse_weight(column, first, count);
}

static const MlColumn *
find_offset(const MlFrame *frame, const MlOffset *offset)
{
	const char *what = offset->logarithm ? "exposure" : "offset";
	int			i = ml_frame_find(frame, offset->column);

	if (i < 0 || frame->cols[i].role != ML_ROLE_FEATURE)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("%s \"%s\" is not among the features", what, offset->column),
				 i < 0 ? errdetail("The source has no such column.") :
				 errdetail("The column is the target, the key, the weight, the time, or excluded."),
				 errhint("Name a column of numbers of the source; it need not be listed in \"features\".")));
	if (frame->cols[i].type.kind != ML_KIND_NUMBER || !frame->cols[i].loaded)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s \"%s\" is of type %s, not a number",
						what, offset->column, ml_value_type_name(&frame->cols[i].type)),
				 errhint("Name a column of numbers.")));
	return &frame->cols[i];
}

/* the logarithm of an exposure must exist */
static void
check_exposure(const MlFrame *frame, const MlColumn *column)
{
	int64		first = -1;
	int64		count = 0;

	for (int64 i = 0; i < frame->nrows; i++)
	{
		ml_check_row(i);
		if (!(column->number[i] <= 0.0))
			continue;
		if (first < 0)
			first = i;
		count++;
	}
	if (count > 0)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("exposure \"%s\" has values that are not positive", column->name),
				 errdetail("The first of " INT64_FORMAT " is in row " INT64_FORMAT " of the source: %.15g.",
						   count, first + 1, column->number[first]),
				 errhint("Leave such rows out in the source: nothing can be counted where nothing was exposed.")));
}

static void
check_columns(const MlFrame *frame, const MlColumn *target, const MlColumn *weight)
{
	if (weight != NULL)
		check_weight(frame, weight);
	if (target != NULL && target->loaded)
	{
		check_finite(target, "target", ERRCODE_ML_UNTRAINABLE_DATA);
		if (target->nnull >= frame->nrows)
			ereport(ERROR,
					(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
					 errmsg("target \"%s\" is NULL in every row", target->name),
					 errdetail("The source has " INT64_FORMAT " rows.", frame->nrows),
					 errhint("Choose rows whose outcome is known.")));
	}
	for (int i = 0; i < frame->ncols; i++)
	{
		if (frame->cols[i].role == ML_ROLE_FEATURE && frame->cols[i].loaded)
			check_finite(&frame->cols[i], "column", ERRCODE_ML_UNTRAINABLE_DATA);
	}
}

/* clears keep where the column is NULL; returns how many rows that took */
static int64
leave_out_nulls(const MlFrame *frame, const MlColumn *column, bool *keep)
{
	int64		n = 0;

	for (int64 i = 0; i < frame->nrows; i++)
	{
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (keep[i] && is_null(column, i))
		{
			keep[i] = false;
			n++;
		}
	}
	return n;
}

static int64
leave_out_weightless(const MlFrame *frame, const MlColumn *weight, bool *keep)
{
	int64		n = 0;

	for (int64 i = 0; i < frame->nrows; i++)
	{
		ml_check_row(i);
		if (keep[i] && weight->number[i] == 0.0)
		{
			keep[i] = false;
			n++;
		}
	}
	return n;
}

void
ml_recipe_usable_rows(const MlFrame *frame, const MlRecipeParams *params, const MlOffset *offset,
					  const char *group, bool *keep, MlSkipped *skipped)
{
	int			t = ml_frame_find_role(frame, ML_ROLE_TARGET);
	int			w = ml_frame_find_role(frame, ML_ROLE_WEIGHT);
	const MlColumn *target = t < 0 ? NULL : &frame->cols[t];
	const MlColumn *weight = w < 0 ? NULL : &frame->cols[w];

	memset(skipped, 0, sizeof(*skipped));
	if (frame->nrows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("the source has no rows"),
				 errhint("Check the source's conditions, and whether row-level security hides its rows.")));
	check_columns(frame, target, weight);

	memset(keep, true, sizeof(bool) * frame->nrows);
	if (target != NULL && target->loaded)
		skipped->target_null = leave_out_nulls(frame, target, keep);
	if (weight != NULL)
		skipped->weight_zero = leave_out_weightless(frame, weight, keep);
	if (offset->column != NULL)
	{
		const MlColumn *column = find_offset(frame, offset);

		if (offset->logarithm)
			check_exposure(frame, column);
		skipped->offset_null = leave_out_nulls(frame, column, keep);
	}
	for (int i = 0; params->impute == ML_IMPUTE_DROP && i < frame->ncols; i++)
	{
		if (frame->cols[i].role == ML_ROLE_FEATURE && frame->cols[i].loaded &&
			(group == NULL || strcmp(frame->cols[i].name, group) != 0))
			skipped->feature_null += leave_out_nulls(frame, &frame->cols[i], keep);
	}

	if (skipped->target_null + skipped->weight_zero + skipped->feature_null + skipped->offset_null == frame->nrows)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("no row of the source can be trained on"),
				 errdetail("Of " INT64_FORMAT " rows, " INT64_FORMAT " have a NULL target, " INT64_FORMAT
						   " a weight of zero, " INT64_FORMAT " a NULL feature.",
						   frame->nrows, skipped->target_null, skipped->weight_zero,
						   skipped->feature_null + skipped->offset_null),
				 skipped->feature_null > 0 ?
				 errhint("With impute => 'mean' or 'median', rows with NULL features are kept.") :
				 errhint("Choose rows whose target is known and whose weight is positive.")));
}
