/*
 * reader.c
 *		A model from bytes that nobody vouches for.
 *
 * Every read goes through a cursor that knows how much is left. A count is
 * believed only if the bytes that it announces are there, so that memory is in
 * proportion to the artifact; nothing recurses. Whatever is not exactly as
 * format.c writes it is ML004, with the byte where it was found.
 *
 * The model is built in a child of the current context and moved under the
 * parent when it is complete: an error leaves nothing behind.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "interrupts.h"
#include "mb/pg_wchar.h"
#include "model/model.h"
#include "predictor/linear.h"
#include "utils/memutils.h"

/* a number's record: a text without bytes and six doubles */
#define MIN_NUMBER_BYTES	(4 + 6 * 8)

static MlModel *read_bytes(const char *bytes, Size length, MemoryContext parent, bool is_encoder);
ml_noreturn static void refuse_foreign(const char *found, const char *expected);

static void
refuse_foreign(const char *found, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_BAD_ARTIFACT),
			 errmsg("not an artifact of mlops"),
			 errdetail("At byte 0: found %s, expected %s.", found, expected),
			 errhint("Only bytes that mlops_train stored can be read as a model.")));
}

static void *
allocate(int n, Size size)
{
	return palloc_extended(Max((Size) n, 1) * size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* ---- the parts ---- */

static int
read_header(MlCursor *c)
{
	int			nsections;
	const char *bytes = c->data;
	uint32		format;
	uint64		length;

	if (c->length < ML_HEADER_LENGTH)
		refuse_foreign(psprintf("%zu bytes", c->length),
					   psprintf("at least %d", ML_HEADER_LENGTH));
	if (memcmp(bytes, ML_MAGIC, ML_MAGIC_LENGTH) != 0)
	{
		char		hex[ML_MAGIC_LENGTH * 2 + 1];

		for (int i = 0; i < ML_MAGIC_LENGTH; i++)
			snprintf(hex + i * 2, 3, "%02x", (uint8) bytes[i]);
		refuse_foreign(psprintf("bytes %s", hex), "bytes 894d4c4f0d0a1a0a");
	}
	c->section = "header";
	c->at = ML_MAGIC_LENGTH;
	format = (uint32) ml_cursor_integer(c, 4, "format");
	c->format = (int) format;
	if (format < 1 || format > ML_ARTIFACT_FORMAT)
		ereport(ERROR,
				(errcode(ERRCODE_ML_BAD_ARTIFACT),
				 errmsg("artifact of the model has an unknown format"),
				 errdetail("At byte %d: found format %u, expected 1 to %d.",
						   ML_MAGIC_LENGTH, format, ML_ARTIFACT_FORMAT),
				 errhint("Update mlops to the version that trained the model, or train it again.")));
	nsections = ml_cursor_range(c, 4, ML_NSECTIONS, ML_NSECTIONS + (format > 1), "number of sections");
	length = ml_cursor_integer(c, 8, "length");
	if (length != c->length)
		ml_cursor_refuse(c, c->at - 8, psprintf("%llu", (unsigned long long) length),
						 psprintf("%zu, the number of bytes there are", c->length));
	return nsections;
}

static void
read_head(MlCursor *c, MlModel *model)
{
	Size		at;
	char	   *name;

	ml_cursor_begin_section(c, ML_SECTION_HEAD);
	c->encoding = PG_SQL_ASCII; /* both are plain ASCII */
	model->algorithm = ml_cursor_name(c, "algorithm");
	at = c->at;
	name = ml_cursor_name(c, "encoding");
	c->encoding = pg_char_to_encoding(name);
	if (!PG_VALID_BE_ENCODING(c->encoding))
		ml_cursor_refuse(c, at, psprintf("\"%s\"", name), "the name of an encoding that databases can have");
	pfree(name);
	ml_cursor_end_section(c);
}

/* returns the number of the group feature; -1: none */
static int
read_recipe(MlCursor *c, MlRecipe *recipe)
{
	int			group = -1;

	ml_cursor_begin_section(c, ML_SECTION_RECIPE);
	recipe->params.impute = ml_cursor_range(c, 1, 0, ML_IMPUTE_DROP, "impute");
	recipe->params.missing_indicator = ml_cursor_flag(c, "missing_indicator");
	recipe->coding = ml_cursor_range(c, 1, 0, ML_CODING_ONE_HOT, "coding");
	recipe->params.max_categories = ml_cursor_range(c, 8, 0, PG_INT64_MAX, "max_categories");
	recipe->params.min_category_rows = ml_cursor_range(c, 8, 0, PG_INT64_MAX, "min_category_rows");
	recipe->time_zone = ml_cursor_name(c, "time zone");
	recipe->ntrain = ml_cursor_range(c, 8, 0, PG_INT64_MAX, "number of training rows");
	recipe->offset_number = -1;
	if (c->format > 1)
	{
		recipe->offset_number = ml_cursor_range(c, 4, -1, PG_INT32_MAX, "number of the offset");
		recipe->offset_log = ml_cursor_flag(c, "flag of the exposure");
		if (ml_cursor_left(c) > 0)
			group = ml_cursor_range(c, 4, 0, PG_INT32_MAX, "number of the group feature");
	}
	ml_cursor_end_section(c);
	return group;
}

static void
read_time(MlCursor *c, MlFeature *feature)
{
	feature->zoned = ml_cursor_flag(c, "zoned");
	feature->nnumbers = ml_cursor_count(c, 1, "number of time parts");
	feature->parts = allocate(feature->nnumbers, sizeof(MlTimePart));
	for (int i = 0; i < feature->nnumbers; i++)
		feature->parts[i] = ml_cursor_range(c, 1, 0, ML_PART_YEAR_COS, "time part");
}

/* Levels ascend in their bytes, so that finding two of the same costs nothing. */
static void
read_levels(MlCursor *c, MlFeature *feature)
{
	const char *last = NULL;
	int32		last_length = 0;

	feature->pool_share = ml_cursor_double(c, ML_FLOAT_SHARE, "share of pooled values");
	feature->null_share = ml_cursor_double(c, ML_FLOAT_SHARE, "share of NULL");
	feature->nlevels = ml_cursor_count(c, 8 + 4, "number of levels");
	feature->level = allocate(feature->nlevels, sizeof(char *));
	feature->level_length = allocate(feature->nlevels, sizeof(int32));
	feature->level_share = allocate(feature->nlevels, sizeof(double));
	for (int i = 0; i < feature->nlevels; i++)
	{
		Size		at;
		const char *bytes;
		int32		length;
		int			order;

		CHECK_FOR_INTERRUPTS();
		feature->level_share[i] = ml_cursor_double(c, ML_FLOAT_SHARE, "share of a level");
		at = c->at;
		feature->level[i] = ml_cursor_text(c, 0, MaxAllocSize / 8, "level");
		feature->level_length[i] = strlen(feature->level[i]);

		bytes = c->data + at + 4;
		length = (int32) (c->at - at - 4);
		order = last ? memcmp(last, bytes, Min(last_length, length)) : -1;
		if (order > 0 || (order == 0 && last_length >= length))
			ml_cursor_refuse(c, at, psprintf("level \"%s\" after \"%s\"",
											 feature->level[i], feature->level[i - 1]),
							 "levels in ascending order");
		last = bytes;
		last_length = length;
	}
}

static void
read_feature(MlCursor *c, MlFeature *feature)
{
	feature->name = ml_cursor_name(c, "name");
	feature->type_name = ml_cursor_name(c, "type");
	feature->kind = ml_cursor_range(c, 1, ML_KIND_NUMBER, ML_KIND_ARRAY, "kind");
	feature->category = -1;
	switch (feature->kind)
	{
		case ML_KIND_NUMBER:
			feature->nnumbers = 1;
			break;
		case ML_KIND_ARRAY:
			/* the records come later: no more of them than bytes are there */
			feature->nnumbers = ml_cursor_range(c, 4, 0, (c->length - c->at) / MIN_NUMBER_BYTES,
												"length of the array");
			break;
		case ML_KIND_TIME:
			read_time(c, feature);
			break;
		default:
			read_levels(c, feature);
			break;
	}
}

/* rows are grouped by a number or a category */
static void
take_group(MlCursor *c, Size at, int group, MlRecipe *recipe)
{
	if (group < 0)
		return;
	if (group >= recipe->nfeatures ||
		(recipe->features[group].kind != ML_KIND_NUMBER && recipe->features[group].kind != ML_KIND_CATEGORY) ||
		(recipe->features[group].kind == ML_KIND_NUMBER &&
		 recipe->features[group].first_number == recipe->offset_number))
		ml_cursor_refuse(c, at, psprintf("a group that is feature %d", group), "a number or category among the features");
	recipe->group = &recipe->features[group];
}

static void
read_features(MlCursor *c, MlRecipe *recipe, int group)
{
	Size		at = c->at;
	int64		nnumbers = 0;

	ml_cursor_begin_section(c, ML_SECTION_FEATURES);
	recipe->nfeatures = ml_cursor_count(c, 4 + 4 + 1 + 2, "number of features");
	recipe->features = allocate(recipe->nfeatures, sizeof(MlFeature));
	for (int i = 0; i < recipe->nfeatures; i++)
	{
		MlFeature  *feature = &recipe->features[i];

		read_feature(c, feature);
		feature->first_number = (int) nnumbers;
		nnumbers += feature->nnumbers;
		if (nnumbers > c->length / MIN_NUMBER_BYTES)
			ml_cursor_refuse(c, c->at, psprintf("%lld numbers in a row", (long long) nnumbers),
							 psprintf("at most %zu, which is what the artifact can hold",
									  c->length / MIN_NUMBER_BYTES));
		if (feature->kind == ML_KIND_CATEGORY)
			feature->category = recipe->ncategories++;
	}
	recipe->nnumbers = (int) nnumbers;
	if (recipe->offset_number >= recipe->nnumbers)
		ml_cursor_refuse(c, at, psprintf("an offset that is number %d", recipe->offset_number),
						 psprintf("less than %d", recipe->nnumbers));
	take_group(c, at, group, recipe);
	if (recipe->nfeatures > 0)
		ml_cursor_require_distinct(c, at, (const char *) &recipe->features[0].name,
								   recipe->nfeatures, sizeof(MlFeature));
	ml_cursor_end_section(c);
}

static void
read_number(MlCursor *c, MlNumber *number)
{
	Size		at;

	number->name = ml_cursor_name(c, "name");
	number->fill = ml_cursor_double(c, ML_FLOAT_FINITE, "fill");
	number->mean = ml_cursor_double(c, ML_FLOAT_OR_NAN, "mean");
	number->deviation = ml_cursor_double(c, ML_FLOAT_SPREAD, "standard deviation");
	number->minimum = ml_cursor_double(c, ML_FLOAT_OR_NAN, "minimum");
	at = c->at;
	number->maximum = ml_cursor_double(c, ML_FLOAT_OR_NAN, "maximum");
	if (number->maximum < number->minimum)
		ml_cursor_refuse(c, at, psprintf("%g", number->maximum),
						 psprintf("at least the minimum, %g", number->minimum));
	number->null_share = ml_cursor_double(c, ML_FLOAT_SHARE, "share of NULL");
}

static void
read_numbers(MlCursor *c, MlRecipe *recipe)
{
	ml_cursor_begin_section(c, ML_SECTION_NUMBERS);
	ml_cursor_range(c, 4, recipe->nnumbers, recipe->nnumbers, "number of numbers");
	recipe->numbers = allocate(recipe->nnumbers, sizeof(MlNumber));
	for (int i = 0; i < recipe->nfeatures; i++)
	{
		const MlFeature *feature = &recipe->features[i];

		for (int j = 0; j < feature->nnumbers; j++)
		{
			MlNumber   *number = &recipe->numbers[feature->first_number + j];

			CHECK_FOR_INTERRUPTS();
			read_number(c, number);
			number->feature = i;
		}
	}
	ml_cursor_end_section(c);
}

static void
read_target(MlCursor *c, MlTarget *target)
{
	Size		at = c->at;
	int			positive;

	ml_cursor_begin_section(c, ML_SECTION_TARGET);
	target->name = ml_cursor_optional_name(c, "name");
	target->type_name = ml_cursor_optional_name(c, "type");
	at = c->at;
	target->task = ml_cursor_range(c, 1, ML_TASK_REGRESSION, ML_LAST_TASK, "task");
	if ((target->task & (target->task - 1)) != 0)
		ml_cursor_refuse(c, at, psprintf("%d", (int) target->task), "a power of two");
	positive = ml_cursor_range(c, 4, 0, PG_INT32_MAX, "positive class");
	at = c->at;
	target->nclasses = ml_cursor_count(c, 8 + 4, "number of classes");
	if (target->task == ML_TASK_BINARY ? target->nclasses != 2 :
		target->task == ML_TASK_MULTICLASS ? target->nclasses < 2 : target->nclasses != 0)
		ml_cursor_refuse(c, at, psprintf("%d", target->nclasses),
						 "2 for a binary task, 2 or more for several classes, else 0");
	if (target->nclasses > ML_MAX_CLASSES)
		ml_cursor_refuse(c, at, psprintf("%d", target->nclasses), psprintf("at most %d", ML_MAX_CLASSES));
	if (positive >= Max(target->nclasses, 1))
		ml_cursor_refuse(c, at - 4, psprintf("%d", positive),
						 psprintf("less than %d", Max(target->nclasses, 1)));
	target->positive = positive;
	target->class_label = allocate(target->nclasses, sizeof(char *));
	target->class_share = allocate(target->nclasses, sizeof(double));
	for (int i = 0; i < target->nclasses; i++)
	{
		target->class_share[i] = ml_cursor_double(c, ML_FLOAT_SHARE, "share of a class");
		target->class_label[i] = ml_cursor_text(c, 0, MaxAllocSize / 8, "class");
	}
	ml_cursor_require_distinct(c, at, (const char *) target->class_label,
							   target->nclasses, sizeof(char *));
	ml_cursor_end_section(c);
}

/*
 * The design is rebuilt by the one function that learning uses; what was
 * stored must agree with it, or coefficients would meet the wrong columns.
 */
static void
read_design(MlCursor *c, MlRecipe *recipe)
{
	ml_cursor_begin_section(c, ML_SECTION_DESIGN);
	ml_cursor_range(c, 4, recipe->ndesign, recipe->ndesign, "number of design columns");
	for (int i = 0; i < recipe->ndesign; i++)
	{
		const MlDesignColumn *column = &recipe->design[i];

		CHECK_FOR_INTERRUPTS();
		ml_cursor_range(c, 1, column->kind, column->kind, "kind");
		if (column->kind == ML_DESIGN_LEVEL)
		{
			ml_cursor_range(c, 4, column->feature, column->feature, "feature");
			ml_cursor_range(c, 4, column->code, column->code, "level");
		}
		else
			ml_cursor_range(c, 4, column->number, column->number, "number");
	}
	ml_cursor_end_section(c);
}

static void
read_predictor(MlCursor *c, MlModel *model)
{
	Size		at;
	int			kind;

	if (c->format == 1)
	{
		model->predictor = ml_linear_read_format_1(c, model->recipe);
		return;
	}
	ml_cursor_begin_section(c, ML_SECTION_PREDICTOR);
	at = c->at;
	kind = ml_cursor_range(c, 1, 0, ML_NPREDICTORS - 1, "kind of predictor");
	if (ml_predictor_routines[kind] == NULL)
		ml_cursor_refuse(c, at, psprintf("%d", kind), "a known kind");
	model->predictor = ml_predictor_routines[kind]->read(c, model->recipe);
	ml_cursor_end_section(c);
}

static void
read_points(MlCursor *c, MlCalibrationMap *map)
{
	Size		at = c->at;

	map->npoints = ml_cursor_count(c, 2 * sizeof(double), "number of points");
	if (map->npoints < 1)
		ml_cursor_refuse(c, at, "0", "at least 1");
	map->x = ml_cursor_doubles(c, map->npoints, ML_FLOAT_SHARE, "probability before");
	map->y = ml_cursor_doubles(c, map->npoints, ML_FLOAT_SHARE, "probability after");
	for (int i = 1; i < map->npoints; i++)
		if (map->x[i] <= map->x[i - 1] || map->y[i] < map->y[i - 1])
			ml_cursor_refuse(c, at, "points out of order", "ascending ones");
}

static void
read_calibration(MlCursor *c, MlModel *model)
{
	const MlTarget *target = &model->recipe->target;
	MlCalibration *calibration;
	Size		at;
	int			kind;

	if (c->format == 1)
		return;
	ml_cursor_begin_section(c, ML_SECTION_CALIBRATION);
	at = c->at;
	kind = ml_cursor_range(c, 1, 0, ML_CALIBRATION_ISOTONIC, "kind of calibration");
	if (kind != ML_CALIBRATION_NONE && target->nclasses < 2)
		ml_cursor_refuse(c, at, psprintf("%d", kind), "0 for a target without classes");
	if (kind != ML_CALIBRATION_NONE)
	{
		calibration = model->calibration = allocate(1, sizeof(MlCalibration));
		calibration->kind = kind;
		calibration->nmaps = target->task == ML_TASK_BINARY ? 1 : target->nclasses;
		calibration->map = allocate(calibration->nmaps, sizeof(MlCalibrationMap));
		for (int i = 0; i < calibration->nmaps; i++)
		{
			if (kind == ML_CALIBRATION_ISOTONIC)
			{
				read_points(c, &calibration->map[i]);
				continue;
			}
			calibration->map[i].slope = ml_cursor_double(c, ML_FLOAT_FINITE, "slope");
			calibration->map[i].shift = ml_cursor_double(c, ML_FLOAT_FINITE, "shift");
		}
	}
	ml_cursor_end_section(c);
}

static void
read_facts(MlCursor *c, MlModel *model)
{
	ml_cursor_begin_section(c, ML_SECTION_FACTS);
	model->nfacts = ml_cursor_count(c, 4 + 1 + 8, "number of facts");
	model->fact_name = allocate(model->nfacts, sizeof(char *));
	model->fact_value = allocate(model->nfacts, sizeof(double));
	for (int i = 0; i < model->nfacts; i++)
	{
		model->fact_name[i] = ml_cursor_name(c, "name");
		model->fact_value[i] = ml_cursor_double(c, ML_FLOAT_ANY, "value");
	}
	ml_cursor_end_section(c);
}

/*
 * The artifact of the encoder: its numbers are the features, one by one. It has
 * none itself, so that this does not recurse.
 */
static void
read_encoder(MlCursor *c, MlModel *model)
{
	const MlRecipe *recipe = model->recipe;
	Size		length;
	const char *bytes;
	Size		at;
	int			n;

	ml_cursor_begin_section(c, ML_SECTION_ENCODER);
	at = c->at;
	if (c->is_encoder)
		ml_cursor_refuse(c, at, "an encoder of an encoder", "one without");
	length = ml_cursor_left(c);
	bytes = ml_cursor_bytes(c, length, "artifact");
	ml_cursor_end_section(c);
	model->encoder = read_bytes(bytes, length, model->cxt, true);
	n = ml_model_ntransform(model->encoder);
	if (n == 0 || recipe->nfeatures != n || recipe->nnumbers != n || recipe->ncategories != 0 || recipe->group != NULL)
		ml_cursor_refuse(c, at, psprintf("an encoder of %d numbers", n),
						 psprintf("one for each of %d features, all of them numbers", recipe->nfeatures));
}

static void
read_model(MlCursor *c, MlModel *model)
{
	MlRecipe   *recipe = palloc0(sizeof(MlRecipe));
	int			group;
	int			nsections;

	model->recipe = recipe;
	recipe->cxt = model->cxt;
	nsections = read_header(c);
	read_head(c, model);
	group = read_recipe(c, recipe);
	read_features(c, recipe, group);
	read_numbers(c, recipe);
	read_target(c, &recipe->target);
	ml_recipe_finish(recipe);
	read_design(c, recipe);
	read_predictor(c, model);
	read_calibration(c, model);
	read_facts(c, model);
	if (nsections > ML_NSECTIONS)
		read_encoder(c, model);

	c->section = "end";
	c->field = "end";
	if (ml_cursor_left(c) > 0)
		ml_cursor_refuse(c, c->at, psprintf("%zu bytes more", ml_cursor_left(c)), "none");
}

static MlModel *
read_bytes(const char *bytes, Size length, MemoryContext parent, bool is_encoder)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops model",
											  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	MlModel    *model = palloc0(sizeof(MlModel));
	MlCursor	c;

	model->cxt = cxt;
	memset(&c, 0, sizeof(c));
	c.data = bytes;
	c.length = length;
	c.end = length;
	c.is_encoder = is_encoder;
	read_model(&c, model);
	ml_model_prepare(model);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(cxt, parent);
	model->size = MemoryContextMemAllocated(cxt, true);
	return model;
}

MlModel *
ml_model_read(const char *bytes, Size length, MemoryContext parent)
{
	return read_bytes(bytes, length, parent, false);
}
