/*
 * counts_shape.c
 *		What the counters of a version stand for: made from what scores, and
 *		carried through shared memory as bytes, so that the worker who writes
 *		them need not load the model.
 *
 * Ranges of bins are those of the training profile, so that what is counted
 * compares with it bin by bin. Where there is none (an imported version), they
 * are the ranges that the recipe knows, and 0 to 1 for a probability.
 */
#include "postgres.h"

#include <math.h>

#include "log/counts.h"
#include "registry/profile_row.h"

/* ---- made from what scores ---- */

static void
set_range(MlCountsBlock *block, double low, double high)
{
	block->low = block->high = block->per_unit = NAN;
	if (!isfinite(low) || !isfinite(high) || low > high)
		return;
	if (low == high)
	{
		low -= 0.5;
		high += 0.5;
	}
	/* far from zero half a unit is nothing; and a width can be infinite */
	if (!(high > low) || !isfinite(high - low) || !isfinite(ml_profile_bins_per_unit(low, high)))
		return;
	block->low = low;
	block->high = high;
	block->per_unit = ml_profile_bins_per_unit(low, high);
}

static void
make_levels(MlCountsBlock *block, int nlevels, char *const *level)
{
	block->nlevels = nlevels;
	block->level = palloc(sizeof(char *) * Max(nlevels, 1));
	for (int i = 0; i < nlevels; i++)
		block->level[i] = pstrdup(level[i]);
}

/* the double of an encoded row that says most of a feature; -1: none does */
static int
number_of(const MlFeature *feature)
{
	if (feature->kind != ML_KIND_TIME)
		return feature->first_number;
	for (int i = 0; i < feature->nnumbers; i++)
		if (feature->parts[i] == ML_PART_EPOCH)
			return feature->first_number + i;
	return -1;
}

static void
make_feature(const MlRecipe *recipe, const MlFeature *feature, MlCountsBlock *block)
{
	int			number = feature->kind == ML_KIND_CATEGORY ? -1 : number_of(feature);

	block->name = pstrdup(feature->name);
	block->kind = feature->kind;
	block->category = feature->category;
	block->is_cyclic = feature->kind == ML_KIND_TIME && number < 0;
	block->number = feature->first_number;
	block->nnumbers = feature->nnumbers;
	set_range(block, NAN, NAN);
	if (feature->kind == ML_KIND_CATEGORY)
		make_levels(block, feature->nlevels, feature->level);
	else if (number >= 0 && feature->kind != ML_KIND_ARRAY)
	{
		block->number = number;
		set_range(block, recipe->numbers[number].minimum, recipe->numbers[number].maximum);
	}
}

static void
make_clusters(MlCountsBlock *block, int n)
{
	char	  **level = palloc(sizeof(char *) * Max(n, 1));

	for (int i = 0; i < n; i++)
		level[i] = psprintf("%d", i + 1);
	make_levels(block, n, level);
}

static void
make_prediction(const MlModel *model, MlCountsBlock *block)
{
	const MlTarget *target = &model->recipe->target;

	block->name = "prediction";
	block->is_prediction = true;
	block->kind = ML_KIND_NUMBER;
	block->category = block->number = -1;
	set_range(block, NAN, NAN);
	if (target->task == ML_TASK_MULTICLASS || target->task == ML_TASK_CLUSTER)
		block->kind = ML_KIND_CATEGORY;
	if (target->task == ML_TASK_MULTICLASS)
		make_levels(block, target->nclasses, target->class_label);
	else if (target->task == ML_TASK_CLUSTER)
		make_clusters(block, ml_model_ntransform(model));
	else if (target->task == ML_TASK_BINARY)
		set_range(block, 0.0, 1.0);
}

/* of the training profile; that of a category is none */
static void
take_range(void *arg, MlProfileRole role, const char *feature, double low, double high)
{
	MlCountsShape *shape = arg;
	MlCountsBlock *block = &shape->block[0];

	if (role == ML_PROFILE_TARGET || isnan(low))
		return;
	if (role == ML_PROFILE_FEATURE)
		for (block++; block < shape->block + shape->nblocks; block++)
			if (strcmp(block->name, feature) == 0)
				break;
	if (block < shape->block + shape->nblocks && block->kind != ML_KIND_CATEGORY && !block->is_cyclic)
		set_range(block, low, high);
}

/* gives every counter its place */
static void
place(MlCountsShape *shape)
{
	int			n = ML_COUNT_CHECK(shape, shape->nchecks);

	for (int i = 0; i < shape->nblocks; i++)
	{
		shape->block[i].first = n;
		n += 1 + ml_counts_nbins(&shape->block[i]);
	}
	shape->ncounters = n;
}

void
ml_counts_shape_make(const char *name, int version, const MlModel *model, MlCountsShape *shape)
{
	const MlRecipe *recipe = ml_model_input_recipe(model);
	const MlTarget *target = &model->recipe->target;

	shape->nlabels = target->nclasses;
	shape->label = palloc(sizeof(char *) * Max(target->nclasses, 1));
	for (int i = 0; i < target->nclasses; i++)
		shape->label[i] = pstrdup(target->class_label[i]);
	shape->nblocks = 1 + recipe->nfeatures;
	shape->block = palloc0(sizeof(MlCountsBlock) * shape->nblocks);
	make_prediction(model, &shape->block[0]);
	for (int f = 0; f < recipe->nfeatures; f++)
		make_feature(recipe, &recipe->features[f], &shape->block[1 + f]);
	ml_registry_profile_ranges(name, version, take_range, shape);
	place(shape);
}

/* ---- as bytes: of this process and its like, so that nothing need be checked ---- */

static void
write_int(StringInfo bytes, int32 value)
{
	appendBinaryStringInfo(bytes, (const char *) &value, sizeof(value));
}

static void
write_double(StringInfo bytes, double value)
{
	appendBinaryStringInfo(bytes, (const char *) &value, sizeof(value));
}

static void
write_text(StringInfo bytes, const char *text)
{
	appendBinaryStringInfo(bytes, text, strlen(text) + 1);
}

static void
write_texts(StringInfo bytes, int n, char *const *text)
{
	write_int(bytes, n);
	for (int i = 0; i < n; i++)
		write_text(bytes, text[i]);
}

void
ml_counts_shape_write(const MlCountsShape *shape, StringInfo bytes)
{
	write_texts(bytes, shape->nlabels, shape->label);
	write_int(bytes, shape->nrules);
	write_int(bytes, shape->nchecks);
	write_int(bytes, shape->nblocks);
	for (int i = 0; i < shape->nblocks; i++)
	{
		const MlCountsBlock *block = &shape->block[i];

		write_text(bytes, block->name);
		write_int(bytes, block->is_prediction);
		write_int(bytes, block->kind);
		write_double(bytes, block->low);
		write_double(bytes, block->high);
		write_texts(bytes, block->nlevels, block->level);
	}
}

typedef struct Cursor
{
	const char *at;
	const char *end;
} Cursor;

static void
read_bytes(Cursor *cursor, void *to, Size n)
{
	if ((Size) (cursor->end - cursor->at) < n)
		elog(ERROR, "the shape of serving statistics is cut off");
	memcpy(to, cursor->at, n);
	cursor->at += n;
}

static int
read_int(Cursor *cursor)
{
	int32		value;

	read_bytes(cursor, &value, sizeof(value));
	return value;
}

static char *
read_text(Cursor *cursor)
{
	Size		length = strnlen(cursor->at, cursor->end - cursor->at);
	char	   *text = palloc(length + 1);

	read_bytes(cursor, text, length + 1);
	return text;
}

static int
read_texts(Cursor *cursor, char ***text)
{
	int			n = read_int(cursor);

	*text = palloc(sizeof(char *) * Max(n, 1));
	for (int i = 0; i < n; i++)
		(*text)[i] = read_text(cursor);
	return n;
}

void
ml_counts_shape_read(const char *bytes, int length, MlCountsShape *shape)
{
	Cursor		cursor = {bytes, bytes + length};

	shape->nlabels = read_texts(&cursor, &shape->label);
	shape->nrules = read_int(&cursor);
	shape->nchecks = read_int(&cursor);
	shape->nblocks = read_int(&cursor);
	shape->block = palloc0(sizeof(MlCountsBlock) * Max(shape->nblocks, 1));
	for (int i = 0; i < shape->nblocks; i++)
	{
		MlCountsBlock *block = &shape->block[i];

		block->name = read_text(&cursor);
		block->is_prediction = read_int(&cursor) != 0;
		block->kind = (MlKind) read_int(&cursor);
		read_bytes(&cursor, &block->low, sizeof(double));
		read_bytes(&cursor, &block->high, sizeof(double));
		block->nlevels = read_texts(&cursor, &block->level);
	}
	place(shape);
}
