/*
 * format.c
 *		Writes the bytes of an artifact.
 *
 * The bytes depend on the model alone: the same recipe and the same numbers
 * give the same bytes on every platform. They hold no pointer, no padding, no
 * time and no name of the machine. What is written is read back before it is
 * given away, so that no version is stored that could not be loaded.
 */
#include "postgres.h"

#include "compat.h"
#include "mb/pg_wchar.h"
#include "model/format.h"
#include "utils/memutils.h"

const char *const ml_section_tag[ML_NSECTIONS] = {
	[ML_SECTION_HEAD] = "HEAD",
	[ML_SECTION_RECIPE] = "RCPE",
	[ML_SECTION_FEATURES] = "FEAT",
	[ML_SECTION_NUMBERS] = "NUMB",
	[ML_SECTION_TARGET] = "TARG",
	[ML_SECTION_DESIGN] = "DSGN",
	[ML_SECTION_PREDICTOR] = "PRED",
	[ML_SECTION_STATISTICS] = "STAT",
	[ML_SECTION_FACTS] = "FACT",
};

/* The bytes so far; a bytea's header comes first. */
typedef struct MlWriter
{
	char	   *data;
	Size		used;
	Size		size;
	Size		section_at;		/* where the length of the open section goes */
} MlWriter;

static void
put_bytes(MlWriter *w, const void *bytes, Size n)
{
	if (n > (Size) ML_ARTIFACT_MAX - VARHDRSZ - w->used)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("artifact of the model is larger than %lld bytes",
						(long long) ML_ARTIFACT_MAX),
				 errdetail("Needed at least %zu bytes.", w->used + n),
				 errhint("Train on fewer columns, or lower max_categories.")));
	if (w->used + n > w->size)
	{
		w->size = Max(w->size * 2, w->used + n);
		w->data = repalloc_huge(w->data, w->size);
	}
	memcpy(w->data + w->used, bytes, n);
	w->used += n;
}

static void
store_little_endian(char *at, uint64 value, int nbytes)
{
	for (int i = 0; i < nbytes; i++)
		at[i] = (char) (value >> (8 * i) & 0xff);
}

static void
put_integer(MlWriter *w, uint64 value, int nbytes)
{
	char		bytes[8];

	store_little_endian(bytes, value, nbytes);
	put_bytes(w, bytes, nbytes);
}

static void
put_byte(MlWriter *w, int value)
{
	put_integer(w, (uint64) value, 1);
}

static void
put_int32(MlWriter *w, int32 value)
{
	put_integer(w, (uint32) value, 4);
}

static void
put_int64(MlWriter *w, int64 value)
{
	put_integer(w, (uint64) value, 8);
}

/* One NaN for all: its sign and payload say nothing but could differ. */
static void
put_double(MlWriter *w, double value)
{
	uint64		bits;

	if (isnan(value))
		bits = UINT64CONST(0x7ff8000000000000);
	else
		memcpy(&bits, &value, sizeof(bits));
	put_integer(w, bits, 8);
}

static void
put_text_length(MlWriter *w, const char *text, int32 length)
{
	put_int32(w, length);
	put_bytes(w, text, length);
}

static void
put_text(MlWriter *w, const char *text)
{
	put_text_length(w, text, strlen(text));
}

/* NULL and the empty text are the same */
static void
put_optional_text(MlWriter *w, const char *text)
{
	put_text(w, text ? text : "");
}

static void
begin_section(MlWriter *w, MlSection section)
{
	put_bytes(w, ml_section_tag[section], ML_TAG_LENGTH);
	w->section_at = w->used;
	put_int64(w, 0);
}

static void
end_section(MlWriter *w)
{
	store_little_endian(w->data + w->section_at,
						w->used - w->section_at - 8, 8);
}

static void
write_head(MlWriter *w, const char *algorithm)
{
	begin_section(w, ML_SECTION_HEAD);
	put_text(w, algorithm);
	put_text(w, GetDatabaseEncodingName());
	end_section(w);
}

static void
write_recipe(MlWriter *w, const MlRecipe *recipe)
{
	begin_section(w, ML_SECTION_RECIPE);
	put_byte(w, recipe->params.impute);
	put_byte(w, recipe->params.missing_indicator);
	put_byte(w, recipe->coding);
	put_int64(w, recipe->params.max_categories);
	put_int64(w, recipe->params.min_category_rows);
	put_text(w, recipe->time_zone);
	put_int64(w, recipe->ntrain);
	end_section(w);
}

static void
write_feature(MlWriter *w, const MlFeature *feature)
{
	put_text(w, feature->name);
	put_text(w, feature->type_name);
	put_byte(w, feature->kind);
	switch (feature->kind)
	{
		case ML_KIND_NUMBER:
			break;
		case ML_KIND_ARRAY:
			put_int32(w, feature->nnumbers);
			break;
		case ML_KIND_TIME:
			put_byte(w, feature->zoned);
			put_int32(w, feature->nnumbers);
			for (int i = 0; i < feature->nnumbers; i++)
				put_byte(w, feature->parts[i]);
			break;
		case ML_KIND_CATEGORY:
			put_double(w, feature->pool_share);
			put_double(w, feature->null_share);
			put_int32(w, feature->nlevels);
			for (int i = 0; i < feature->nlevels; i++)
			{
				put_double(w, feature->level_share[i]);
				put_text_length(w, feature->level[i], feature->level_length[i]);
			}
			break;
		default:
			elog(ERROR, "feature of kind %d in a recipe", (int) feature->kind);
	}
}

static void
write_features(MlWriter *w, const MlRecipe *recipe)
{
	begin_section(w, ML_SECTION_FEATURES);
	put_int32(w, recipe->nfeatures);
	for (int i = 0; i < recipe->nfeatures; i++)
		write_feature(w, &recipe->features[i]);
	end_section(w);

	begin_section(w, ML_SECTION_NUMBERS);
	put_int32(w, recipe->nnumbers);
	for (int i = 0; i < recipe->nnumbers; i++)
	{
		const MlNumber *number = &recipe->numbers[i];

		put_text(w, number->name);
		put_double(w, number->fill);
		put_double(w, number->mean);
		put_double(w, number->deviation);
		put_double(w, number->minimum);
		put_double(w, number->maximum);
		put_double(w, number->null_share);
	}
	end_section(w);
}

static void
write_target(MlWriter *w, const MlTarget *target)
{
	begin_section(w, ML_SECTION_TARGET);
	put_optional_text(w, target->name);
	put_optional_text(w, target->type_name);
	put_byte(w, target->task);
	put_int32(w, target->positive);
	put_int32(w, target->nclasses);
	for (int i = 0; i < target->nclasses; i++)
	{
		put_double(w, target->class_share[i]);
		put_text(w, target->class_label[i]);
	}
	end_section(w);
}

/*
 * The design follows from the recipe; it is written too, so that a reader that
 * would rebuild it in another order finds out.
 */
static void
write_design(MlWriter *w, const MlRecipe *recipe)
{
	begin_section(w, ML_SECTION_DESIGN);
	put_int32(w, recipe->ndesign);
	for (int i = 0; i < recipe->ndesign; i++)
	{
		const MlDesignColumn *column = &recipe->design[i];

		put_byte(w, column->kind);
		if (column->kind == ML_DESIGN_LEVEL)
		{
			put_int32(w, column->feature);
			put_int32(w, column->code);
		}
		else
			put_int32(w, column->number);
	}
	end_section(w);
}

/*
 * A constant model has no coefficients, and none are written: a learner that
 * ignores its features leaves them at zero.
 */
static bool
is_constant(const MlRecipe *recipe, const MlFitted *fitted)
{
	if (fitted->statistic_name != NULL)
		return false;
	for (int i = 0; fitted->coefficient && i < recipe->ndesign; i++)
		if (fitted->coefficient[i].estimate != 0)
			return false;
	return true;
}

static void
write_predictor(MlWriter *w, const MlRecipe *recipe, const MlFitted *fitted)
{
	bool		constant = is_constant(recipe, fitted);
	int			n = constant ? 0 : recipe->ndesign;

	begin_section(w, ML_SECTION_PREDICTOR);
	put_byte(w, fitted->link);
	put_byte(w, fitted->has_intercept);
	put_double(w, fitted->has_intercept ? fitted->intercept.estimate : 0);
	put_byte(w, constant);
	put_int32(w, n);
	for (int i = 0; i < n; i++)
		put_double(w, fitted->coefficient[i].estimate);
	put_int32(w, fitted->class_share ? fitted->nclasses : 0);
	for (int i = 0; fitted->class_share && i < fitted->nclasses; i++)
		put_double(w, fitted->class_share[i]);
	end_section(w);
}

static void
put_inference(MlWriter *w, const MlCoefficient *coefficient)
{
	put_double(w, coefficient->std_error);
	put_double(w, coefficient->statistic);
	put_double(w, coefficient->p_value);
}

static void
write_statistics(MlWriter *w, const MlRecipe *recipe, const MlFitted *fitted)
{
	begin_section(w, ML_SECTION_STATISTICS);
	put_optional_text(w, fitted->statistic_name);
	if (fitted->statistic_name)
	{
		if (fitted->has_intercept)
			put_inference(w, &fitted->intercept);
		for (int i = 0; i < recipe->ndesign; i++)
			put_inference(w, &fitted->coefficient[i]);
	}
	end_section(w);
}

static void
write_facts(MlWriter *w, const MlFitted *fitted)
{
	begin_section(w, ML_SECTION_FACTS);
	put_int32(w, fitted->nfacts);
	for (int i = 0; i < fitted->nfacts; i++)
	{
		put_text(w, fitted->facts[i].name);
		put_double(w, fitted->facts[i].value);
	}
	end_section(w);
}

/* Reading back costs little beside a fit, and a version cannot be corrected. */
static void
check_readable(const char *bytes, Size length)
{
	MlModel    *model = ml_model_read(bytes, length, CurrentMemoryContext);

	MemoryContextDelete(model->cxt);
}

bytea *
ml_model_write(const char *algorithm, const MlRecipe *recipe, const MlFitted *fitted)
{
	MlWriter	w;

	w.size = 8192;
	w.data = palloc(w.size);
	w.used = VARHDRSZ;

	put_bytes(&w, ML_MAGIC, ML_MAGIC_LENGTH);
	put_int32(&w, ML_ARTIFACT_FORMAT);
	put_int32(&w, ML_NSECTIONS);
	put_int64(&w, 0);
	write_head(&w, algorithm);
	write_recipe(&w, recipe);
	write_features(&w, recipe);
	write_target(&w, &recipe->target);
	write_design(&w, recipe);
	write_predictor(&w, recipe, fitted);
	write_statistics(&w, recipe, fitted);
	write_facts(&w, fitted);

	store_little_endian(w.data + VARHDRSZ + ML_HEADER_LENGTH - 8,
						w.used - VARHDRSZ, 8);
	SET_VARSIZE(w.data, w.used);
	check_readable(w.data + VARHDRSZ, w.used - VARHDRSZ);
	return (bytea *) w.data;
}
