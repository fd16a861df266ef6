/*
 * encode.c
 *		Values into encoded rows: the code path that training, evaluation and
 *		scoring share.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "recipe/recipe_private.h"

int32
ml_recipe_code(const MlFeature *feature, const char *bytes, int length)
{
	int			level = ml_name_index_find(feature->index, bytes, length);

	return level >= 0 ? level : ML_CODE_POOL(feature);
}

void
ml_recipe_put_time(const MlRecipe *recipe, const MlFeature *feature, int64 usec, MlRow *row)
{
	ml_time_parts(recipe, feature, usec, row->number + feature->first_number);
}

void
ml_recipe_put_array(const MlFeature *feature, const double *value, MlRow *row)
{
	memcpy(row->number + feature->first_number, value, sizeof(double) * feature->nnumbers);
}

void
ml_recipe_put_null(const MlFeature *feature, MlRow *row)
{
	if (feature->category >= 0)
		row->code[feature->category] = ML_CODE_MISSING(feature);
	for (int i = 0; i < feature->nnumbers; i++)
		row->number[feature->first_number + i] = NAN;
}

bool
ml_recipe_row_dropped(const MlRecipe *recipe, const MlRow *row)
{
	if (recipe->params.impute != ML_IMPUTE_DROP)
		return false;
	for (int i = 0; i < recipe->nnumbers; i++)
	{
		if (isnan(row->number[i]) && &recipe->features[recipe->numbers[i].feature] != recipe->group)
			return true;
	}
	for (int f = 0; f < recipe->nfeatures; f++)
	{
		const MlFeature *feature = &recipe->features[f];

		if (feature->category >= 0 && row->code[feature->category] == ML_CODE_MISSING(feature) &&
			feature != recipe->group)
			return true;
	}
	return false;
}

int
ml_recipe_find(const MlRecipe *recipe, const char *name)
{
	return ml_name_index_find(recipe->feature_index, name, strlen(name));
}

bool
ml_feature_accepts(const MlFeature *feature, const MlValueType *type)
{
	if (type->kind != feature->kind)
		return false;
	return feature->kind != ML_KIND_TIME || feature->zoned == (type->reading == ML_READ_TIMESTAMPTZ);
}

/* ---- a recipe bound to a frame ---- */

typedef struct BoundFeature
{
	const MlColumn *column;
	int32	   *code;			/* CATEGORY: of each value of the column's dictionary */
} BoundFeature;

struct MlEncoder
{
	const MlRecipe *recipe;
	BoundFeature *bound;		/* recipe->nfeatures */
	int			capacity;
	double	   *made;			/* numbers that the frame does not hold as they are */
	MlBlock		block;
};

static const MlColumn *
find_column(const MlFeature *feature, const MlFrame *frame)
{
	int			i = ml_frame_find(frame, feature->name);
	const MlColumn *column;

	if (i < 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" is missing from the source", feature->name),
				 errdetail("The model was trained on column \"%s\" of type %s.",
						   feature->name, feature->type_name),
				 errhint("Add the column to the source; order and other columns do not matter.")));
	column = &frame->cols[i];
	if (!column->loaded || !ml_feature_accepts(feature, &column->type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" is of type %s, but the model was trained on %s",
						feature->name, ml_value_type_name(&column->type), feature->type_name),
				 errhint("Cast the column in the source.")));
	if (feature->kind == ML_KIND_ARRAY && column->array_length != 0 &&
		column->array_length != feature->nnumbers)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("arrays in column \"%s\" have %d elements, but the model was trained on %d",
						feature->name, column->array_length, feature->nnumbers),
				 errhint("Give arrays of the length that the model was trained on.")));
	return column;
}

/* n x width elements, at least one */
static void *
block_memory(Size n, Size width, Size size)
{
	return palloc_extended(ml_size_mul(Max(ml_size_mul(n, width), 1), size), MCXT_ALLOC_HUGE);
}

static void
make_block(MlEncoder *encoder)
{
	const MlRecipe *recipe = encoder->recipe;
	int			nmade = 0;

	encoder->block.number = block_memory(1, recipe->nnumbers, sizeof(double *));
	encoder->block.complete = block_memory(1, recipe->nnumbers, sizeof(bool));
	encoder->block.code = block_memory(encoder->capacity, recipe->ncategories, sizeof(int32));
	for (int f = 0; f < recipe->nfeatures; f++)
	{
		const MlFeature *feature = &recipe->features[f];
		const MlColumn *column = encoder->bound[f].column;
		bool		held = feature->kind == ML_KIND_NUMBER;

		if (!held)
			nmade += feature->nnumbers;
		for (int j = 0; j < feature->nnumbers; j++)
			encoder->block.complete[feature->first_number + j] =
				held && column->nnull == 0 && column->nnonfinite == 0;
	}
	encoder->made = block_memory(encoder->capacity, nmade, sizeof(double));
}

MlEncoder *
ml_encoder_make(const MlRecipe *recipe, const MlFrame *frame, int capacity)
{
	MlEncoder  *encoder = palloc(sizeof(MlEncoder));

	encoder->recipe = recipe;
	encoder->capacity = capacity;
	encoder->bound = palloc0(sizeof(BoundFeature) * Max(recipe->nfeatures, 1));
	for (int f = 0; f < recipe->nfeatures; f++)
	{
		const MlFeature *feature = &recipe->features[f];
		BoundFeature *bound = &encoder->bound[f];
		const MlDictionary *dictionary;

		bound->column = find_column(feature, frame);
		if (feature->kind != ML_KIND_CATEGORY)
			continue;
		dictionary = bound->column->dictionary;
		bound->code = MemoryContextAllocHuge(CurrentMemoryContext,
											 ml_size_mul(Max(dictionary->nvalues, 1), sizeof(int32)));
		for (int i = 0; i < dictionary->nvalues; i++)
			bound->code[i] = ml_recipe_code(feature, dictionary->value[i], dictionary->length[i]);
	}
	make_block(encoder);
	return encoder;
}

void
ml_encoder_free(MlEncoder *encoder)
{
	for (int f = 0; f < encoder->recipe->nfeatures; f++)
	{
		if (encoder->bound[f].code != NULL)
			pfree(encoder->bound[f].code);
	}
	pfree(encoder->bound);
	pfree(encoder->made);
	pfree(encoder->block.number);
	pfree(encoder->block.complete);
	pfree(encoder->block.code);
	pfree(encoder);
}

static void
block_of_times(const MlRecipe *recipe, const MlFeature *feature, const int64 *usec, int n,
			   double *number)
{
	/* an artifact may name more parts than there are */
	double	   *part = palloc(sizeof(double) * Max(feature->nnumbers, 1));

	for (int i = 0; i < n; i++)
	{
		ml_time_parts(recipe, feature, usec[i], part);
		for (int j = 0; j < feature->nnumbers; j++)
			number[(Size) j * n + i] = part[j];
	}
	pfree(part);
}

static void
block_of_arrays(const MlFeature *feature, const MlColumn *column, int64 first, int n,
				double *number)
{
	/* a source all of whose arrays are NULL has no array data */
	if (column->array_length == 0)
	{
		for (Size i = 0; i < (Size) feature->nnumbers * n; i++)
			number[i] = NAN;
		return;
	}
	for (int i = 0; i < n; i++)
	{
		const double *value = column->array + (first + i) * column->array_length;

		for (int j = 0; j < feature->nnumbers; j++)
			number[(Size) j * n + i] = value[j];
	}
}

static void
block_of_codes(const MlFeature *feature, const BoundFeature *bound, int64 first, int n, int32 *code)
{
	for (int i = 0; i < n; i++)
	{
		int32		value = bound->column->code[first + i];

		code[i] = value == ML_CODE_NULL ? ML_CODE_MISSING(feature) : bound->code[value];
	}
}

const MlBlock *
ml_encoder_block(MlEncoder *encoder, int64 first, int n)
{
	const MlRecipe *recipe = encoder->recipe;
	MlBlock    *block = &encoder->block;
	double	   *to = encoder->made;

	Assert(n <= encoder->capacity);
	block->n = n;
	for (int f = 0; f < recipe->nfeatures; f++)
	{
		const MlFeature *feature = &recipe->features[f];
		const BoundFeature *bound = &encoder->bound[f];
		const double **number = block->number + feature->first_number;

		switch (feature->kind)
		{
			case ML_KIND_NUMBER:
				*number = bound->column->number + first;
				continue;
			case ML_KIND_TIME:
				block_of_times(recipe, feature, bound->column->usec + first, n, to);
				break;
			case ML_KIND_ARRAY:
				block_of_arrays(feature, bound->column, first, n, to);
				break;
			case ML_KIND_CATEGORY:
				block_of_codes(feature, bound, first, n, block->code + (Size) feature->category * n);
				break;
			case ML_KIND_NONE:
				elog(ERROR, "feature \"%s\" has no kind", feature->name);
		}
		for (int j = 0; j < feature->nnumbers; j++, to += n)
			number[j] = to;
	}
	return block;
}
