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

#include "compat.h"
#include "errors.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "model/compile.h"
#include "model/format.h"
#include "utils/memutils.h"

/* shares are sums of weights over their total: allow for rounding */
#define SHARE_MAX			(1.0 + 1e-6)

/* a number's record: a text without bytes and six doubles */
#define MIN_NUMBER_BYTES	(4 + 6 * 8)

typedef struct MlCursor
{
	const char *data;
	Size		length;			/* of the whole artifact */
	Size		end;			/* of what may be read now: the section, or the artifact */
	Size		at;
	const char *section;		/* its tag, for messages */
	const char *field;			/* what is being read, for messages */
	int			encoding;		/* of the text */
} MlCursor;

/* ---- refusing ---- */

ml_noreturn static void refuse(const MlCursor *c, Size at, const char *found, const char *expected);
ml_noreturn static void refuse_foreign(const char *found, const char *expected);

static void
refuse(const MlCursor *c, Size at, const char *found, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_BAD_ARTIFACT),
			 errmsg("artifact of the model is corrupt"),
			 errdetail("At byte %zu, %s of section \"%s\": found %s, expected %s.",
					   at, c->field, c->section, found, expected),
			 errhint("Restore the stored bytes from a backup or train the version again; mlops_verify() checks every stored artifact.")));
}

static void
refuse_foreign(const char *found, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_BAD_ARTIFACT),
			 errmsg("not an artifact of mlops"),
			 errdetail("At byte 0: found %s, expected %s.", found, expected),
			 errhint("Only bytes that mlops_train stored can be read as a model.")));
}

/* ---- reading ---- */

static Size
left(const MlCursor *c)
{
	return c->end - c->at;
}

static const char *
get_bytes(MlCursor *c, Size n, const char *field)
{
	const char *bytes = c->data + c->at;

	c->field = field;
	if (n > left(c))
		refuse(c, c->at, psprintf("%zu bytes left", left(c)),
			   psprintf("at least %zu", n));
	c->at += n;
	return bytes;
}

static uint64
get_integer(MlCursor *c, int nbytes, const char *field)
{
	const unsigned char *bytes = (const unsigned char *) get_bytes(c, nbytes, field);
	uint64		value = 0;

	for (int i = 0; i < nbytes; i++)
		value |= (uint64) bytes[i] << (8 * i);
	return value;
}

/* an integer of that width from minimum to maximum */
static int64
get_range(MlCursor *c, int nbytes, int64 minimum, int64 maximum, const char *field)
{
	Size		at = c->at;
	uint64		raw = get_integer(c, nbytes, field);
	int64		value;

	switch (nbytes)
	{
		case 1:
			value = (int64) raw;
			break;
		case 4:
			value = (int32) (uint32) raw;
			break;
		default:
			value = (int64) raw;
			break;
	}
	if (value < minimum || value > maximum)
		refuse(c, at, psprintf("%lld", (long long) value),
			   minimum == maximum ? psprintf("%lld", (long long) minimum) :
			   psprintf("%lld to %lld", (long long) minimum, (long long) maximum));
	return value;
}

static bool
get_flag(MlCursor *c, const char *field)
{
	return get_range(c, 1, 0, 1, field) != 0;
}

/* a count of records, each of at least record_bytes */
static int
get_count(MlCursor *c, Size record_bytes, const char *field)
{
	Size		at = c->at;
	uint64		count = get_integer(c, 4, field);

	if (count > left(c) / record_bytes)
		refuse(c, at, psprintf("%llu", (unsigned long long) count),
			   psprintf("at most %zu, which is what the %zu bytes that follow can hold",
						left(c) / record_bytes, left(c)));
	return (int) count;
}

typedef enum MlFloatRange
{
	ML_FLOAT_ANY,				/* NaN and infinity mean something */
	ML_FLOAT_OR_NAN,			/* finite, or NaN for not known */
	ML_FLOAT_FINITE,
	ML_FLOAT_SHARE,				/* from 0 to 1 */
	ML_FLOAT_SPREAD				/* not negative, or NaN for not known */
} MlFloatRange;

static double
get_double(MlCursor *c, MlFloatRange range, const char *field)
{
	Size		at = c->at;
	uint64		bits = get_integer(c, 8, field);
	double		value;
	const char *expected = NULL;

	memcpy(&value, &bits, sizeof(value));
	switch (range)
	{
		case ML_FLOAT_ANY:
			break;
		case ML_FLOAT_OR_NAN:
			if (isinf(value))
				expected = "a finite number or NaN";
			break;
		case ML_FLOAT_FINITE:
			if (!isfinite(value))
				expected = "a finite number";
			break;
		case ML_FLOAT_SHARE:
			if (!(value >= 0 && value <= SHARE_MAX))
				expected = "a share from 0 to 1";
			break;
		case ML_FLOAT_SPREAD:
			if (value < 0)
				expected = "a number that is not negative";
			break;
	}
	if (expected)
		refuse(c, at, psprintf("%g", value), expected);
	return value;
}

/*
 * Text of another encoding than the database's. The conversion's own error
 * becomes ours: its bytes are the artifact's, and nothing is continued.
 */
static char *
convert_text(const MlCursor *c, Size at, const char *bytes, int32 length)
{
	MemoryContext cxt = CurrentMemoryContext;
	char	   *text = NULL;

	PG_TRY();
	{
		text = pg_any_to_server(bytes, length, c->encoding);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_DATA_EXCEPTION &&
			geterrcode() != ERRCODE_UNDEFINED_FUNCTION)
			PG_RE_THROW();
		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		FlushErrorState();
		refuse(c, at, error->message,
			   psprintf("text that encoding \"%s\" can hold", GetDatabaseEncodingName()));
	}
	PG_END_TRY();
	return text;
}

/* palloc'd and terminated, in the encoding of the database */
static char *
get_text(MlCursor *c, Size minimum, Size maximum, const char *field)
{
	Size		at = c->at;
	uint64		length = get_integer(c, 4, field);
	const char *bytes;

	if (length < minimum || length > maximum || length > left(c))
		refuse(c, at, psprintf("a length of %llu", (unsigned long long) length),
			   psprintf("%zu to %zu", minimum, Min(maximum, left(c))));
	bytes = get_bytes(c, length, field);
	if (memchr(bytes, '\0', length) != NULL)
		refuse(c, at, "a zero byte", "text");
	if (!pg_verify_mbstr(c->encoding, bytes, length, true))
		refuse(c, at, "invalid bytes",
			   psprintf("text in encoding \"%s\"", pg_encoding_to_char(c->encoding)));
	if (c->encoding != GetDatabaseEncoding())
	{
		char	   *text = convert_text(c, at, bytes, length);

		/* what needs no conversion comes back as it is, unterminated */
		if (text != bytes)
			return text;
	}
	return pnstrdup(bytes, length);
}

static char *
get_name(MlCursor *c, const char *field)
{
	return get_text(c, 1, ML_MAX_NAME, field);
}

/* the empty text is NULL */
static char *
get_optional_name(MlCursor *c, const char *field)
{
	char	   *text = get_text(c, 0, ML_MAX_NAME, field);

	return text[0] != '\0' ? text : NULL;
}

static int
compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* refuses a text that occurs twice; stride is the distance between the texts */
static void
require_distinct(const MlCursor *c, Size at, const char *first, int n, Size stride)
{
	char	  **sorted = palloc_extended((Size) n * sizeof(char *) + 1, MCXT_ALLOC_HUGE);

	for (int i = 0; i < n; i++)
		sorted[i] = *(char *const *) (first + (Size) i * stride);
	qsort(sorted, n, sizeof(char *), compare_text);
	for (int i = 1; i < n; i++)
		if (strcmp(sorted[i - 1], sorted[i]) == 0)
			refuse(c, at, psprintf("\"%s\" twice", sorted[i]), "distinct texts");
	pfree(sorted);
}

static void *
allocate(int n, Size size)
{
	return palloc_extended(Max((Size) n, 1) * size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

static void
begin_section(MlCursor *c, MlSection section)
{
	Size		at = c->at;
	const char *tag;
	uint64		length;

	c->section = ml_section_tag[section];
	tag = get_bytes(c, ML_TAG_LENGTH, "tag");
	if (memcmp(tag, c->section, ML_TAG_LENGTH) != 0)
		refuse(c, at, psprintf("bytes %02x %02x %02x %02x",
							   (uint8) tag[0], (uint8) tag[1], (uint8) tag[2], (uint8) tag[3]),
			   psprintf("\"%s\"", c->section));
	at = c->at;
	length = get_integer(c, 8, "length");
	if (length > left(c))
		refuse(c, at, psprintf("a length of %llu", (unsigned long long) length),
			   psprintf("at most %zu", left(c)));
	c->end = c->at + length;
}

static void
end_section(MlCursor *c)
{
	c->field = "end";
	if (left(c) > 0)
		refuse(c, c->at, psprintf("%zu bytes more", left(c)), "none");
	c->end = c->length;
}

/* ---- the parts ---- */

static void
read_header(MlCursor *c)
{
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
	format = (uint32) get_integer(c, 4, "format");
	if (format != ML_ARTIFACT_FORMAT)
		ereport(ERROR,
				(errcode(ERRCODE_ML_BAD_ARTIFACT),
				 errmsg("artifact of the model has an unknown format"),
				 errdetail("At byte %d: found format %u, expected %d.",
						   ML_MAGIC_LENGTH, format, ML_ARTIFACT_FORMAT),
				 errhint("Update mlops to the version that trained the model, or train it again.")));
	get_range(c, 4, ML_NSECTIONS, ML_NSECTIONS, "number of sections");
	length = get_integer(c, 8, "length");
	if (length != c->length)
		refuse(c, c->at - 8, psprintf("%llu", (unsigned long long) length),
			   psprintf("%zu, the number of bytes there are", c->length));
}

static void
read_head(MlCursor *c, MlModel *model)
{
	Size		at;
	char	   *name;

	begin_section(c, ML_SECTION_HEAD);
	c->encoding = PG_SQL_ASCII; /* both are plain ASCII */
	model->algorithm = get_name(c, "algorithm");
	at = c->at;
	name = get_name(c, "encoding");
	c->encoding = pg_char_to_encoding(name);
	if (!PG_VALID_BE_ENCODING(c->encoding))
		refuse(c, at, psprintf("\"%s\"", name), "the name of an encoding that databases can have");
	pfree(name);
	end_section(c);
}

static void
read_recipe(MlCursor *c, MlRecipe *recipe)
{
	begin_section(c, ML_SECTION_RECIPE);
	recipe->params.impute = get_range(c, 1, 0, ML_IMPUTE_DROP, "impute");
	recipe->params.missing_indicator = get_flag(c, "missing_indicator");
	recipe->coding = get_range(c, 1, 0, ML_CODING_ONE_HOT, "coding");
	recipe->params.max_categories = get_range(c, 8, 0, PG_INT64_MAX, "max_categories");
	recipe->params.min_category_rows = get_range(c, 8, 0, PG_INT64_MAX, "min_category_rows");
	recipe->time_zone = get_name(c, "time zone");
	recipe->ntrain = get_range(c, 8, 0, PG_INT64_MAX, "number of training rows");
	end_section(c);
}

static void
read_time(MlCursor *c, MlFeature *feature)
{
	feature->zoned = get_flag(c, "zoned");
	feature->nnumbers = get_count(c, 1, "number of time parts");
	feature->parts = allocate(feature->nnumbers, sizeof(MlTimePart));
	for (int i = 0; i < feature->nnumbers; i++)
		feature->parts[i] = get_range(c, 1, 0, ML_PART_YEAR_COS, "time part");
}

/* Levels ascend in their bytes, so that finding two of the same costs nothing. */
static void
read_levels(MlCursor *c, MlFeature *feature)
{
	const char *last = NULL;
	int32		last_length = 0;

	feature->pool_share = get_double(c, ML_FLOAT_SHARE, "share of pooled values");
	feature->null_share = get_double(c, ML_FLOAT_SHARE, "share of NULL");
	feature->nlevels = get_count(c, 8 + 4, "number of levels");
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
		feature->level_share[i] = get_double(c, ML_FLOAT_SHARE, "share of a level");
		at = c->at;
		feature->level[i] = get_text(c, 0, MaxAllocSize / 8, "level");
		feature->level_length[i] = strlen(feature->level[i]);

		bytes = c->data + at + 4;
		length = (int32) (c->at - at - 4);
		order = last ? memcmp(last, bytes, Min(last_length, length)) : -1;
		if (order > 0 || (order == 0 && last_length >= length))
			refuse(c, at, psprintf("level \"%s\" after \"%s\"",
								   feature->level[i], feature->level[i - 1]),
				   "levels in ascending order");
		last = bytes;
		last_length = length;
	}
}

static void
read_feature(MlCursor *c, MlFeature *feature)
{
	feature->name = get_name(c, "name");
	feature->type_name = get_name(c, "type");
	feature->kind = get_range(c, 1, ML_KIND_NUMBER, ML_KIND_ARRAY, "kind");
	feature->category = -1;
	switch (feature->kind)
	{
		case ML_KIND_NUMBER:
			feature->nnumbers = 1;
			break;
		case ML_KIND_ARRAY:
			/* the records come later: no more of them than bytes are there */
			feature->nnumbers = get_range(c, 4, 0, (c->length - c->at) / MIN_NUMBER_BYTES,
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

static void
read_features(MlCursor *c, MlRecipe *recipe)
{
	Size		at = c->at;
	int64		nnumbers = 0;

	begin_section(c, ML_SECTION_FEATURES);
	recipe->nfeatures = get_count(c, 4 + 4 + 1 + 2, "number of features");
	recipe->features = allocate(recipe->nfeatures, sizeof(MlFeature));
	for (int i = 0; i < recipe->nfeatures; i++)
	{
		MlFeature  *feature = &recipe->features[i];

		read_feature(c, feature);
		feature->first_number = (int) nnumbers;
		nnumbers += feature->nnumbers;
		if (nnumbers > c->length / MIN_NUMBER_BYTES)
			refuse(c, c->at, psprintf("%lld numbers in a row", (long long) nnumbers),
				   psprintf("at most %zu, which is what the artifact can hold",
							c->length / MIN_NUMBER_BYTES));
		if (feature->kind == ML_KIND_CATEGORY)
			feature->category = recipe->ncategories++;
	}
	recipe->nnumbers = (int) nnumbers;
	if (recipe->nfeatures > 0)
		require_distinct(c, at, (const char *) &recipe->features[0].name,
						 recipe->nfeatures, sizeof(MlFeature));
	end_section(c);
}

static void
read_number(MlCursor *c, MlNumber *number)
{
	Size		at;

	number->name = get_name(c, "name");
	number->fill = get_double(c, ML_FLOAT_FINITE, "fill");
	number->mean = get_double(c, ML_FLOAT_OR_NAN, "mean");
	number->deviation = get_double(c, ML_FLOAT_SPREAD, "standard deviation");
	number->minimum = get_double(c, ML_FLOAT_OR_NAN, "minimum");
	at = c->at;
	number->maximum = get_double(c, ML_FLOAT_OR_NAN, "maximum");
	if (number->maximum < number->minimum)
		refuse(c, at, psprintf("%g", number->maximum),
			   psprintf("at least the minimum, %g", number->minimum));
	number->null_share = get_double(c, ML_FLOAT_SHARE, "share of NULL");
}

static void
read_numbers(MlCursor *c, MlRecipe *recipe)
{
	begin_section(c, ML_SECTION_NUMBERS);
	get_range(c, 4, recipe->nnumbers, recipe->nnumbers, "number of numbers");
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
	end_section(c);
}

static void
read_target(MlCursor *c, MlTarget *target)
{
	Size		at = c->at;
	int			positive;

	begin_section(c, ML_SECTION_TARGET);
	target->name = get_optional_name(c, "name");
	target->type_name = get_optional_name(c, "type");
	at = c->at;
	target->task = get_range(c, 1, ML_TASK_REGRESSION, ML_TASK_CLUSTER, "task");
	if ((target->task & (target->task - 1)) != 0)
		refuse(c, at, psprintf("%d", (int) target->task), "1, 2, 4 or 8");
	positive = get_range(c, 4, 0, PG_INT32_MAX, "positive class");
	at = c->at;
	target->nclasses = get_count(c, 8 + 4, "number of classes");
	if (target->task == ML_TASK_BINARY ? target->nclasses != 2 :
		target->task == ML_TASK_MULTICLASS ? target->nclasses < 2 : target->nclasses != 0)
		refuse(c, at, psprintf("%d", target->nclasses),
			   "2 for a binary task, 2 or more for several classes, else 0");
	if (positive >= Max(target->nclasses, 1))
		refuse(c, at - 4, psprintf("%d", positive),
			   psprintf("less than %d", Max(target->nclasses, 1)));
	target->positive = positive;
	target->class_label = allocate(target->nclasses, sizeof(char *));
	target->class_share = allocate(target->nclasses, sizeof(double));
	for (int i = 0; i < target->nclasses; i++)
	{
		target->class_share[i] = get_double(c, ML_FLOAT_SHARE, "share of a class");
		target->class_label[i] = get_text(c, 0, MaxAllocSize / 8, "class");
	}
	require_distinct(c, at, (const char *) target->class_label,
					 target->nclasses, sizeof(char *));
	end_section(c);
}

/*
 * The design is rebuilt by the one function that learning uses; what was
 * stored must agree with it, or coefficients would meet the wrong columns.
 */
static void
read_design(MlCursor *c, MlRecipe *recipe)
{
	begin_section(c, ML_SECTION_DESIGN);
	get_range(c, 4, recipe->ndesign, recipe->ndesign, "number of design columns");
	for (int i = 0; i < recipe->ndesign; i++)
	{
		const MlDesignColumn *column = &recipe->design[i];

		CHECK_FOR_INTERRUPTS();
		get_range(c, 1, column->kind, column->kind, "kind");
		if (column->kind == ML_DESIGN_LEVEL)
		{
			get_range(c, 4, column->feature, column->feature, "feature");
			get_range(c, 4, column->code, column->code, "level");
		}
		else
			get_range(c, 4, column->number, column->number, "number");
	}
	end_section(c);
}

static void
read_predictor(MlCursor *c, MlModel *model)
{
	const MlTarget *target = &model->recipe->target;
	Size		at;
	bool		constant;
	int			n;

	begin_section(c, ML_SECTION_PREDICTOR);
	at = c->at;
	model->link = get_range(c, 1, 0, ML_LINK_LOGIT, "link");
	if (model->link == ML_LINK_LOGIT && target->task != ML_TASK_BINARY)
		refuse(c, at, "a logit link", "a target of two classes with it");
	model->has_intercept = get_flag(c, "intercept flag");
	model->intercept.estimate = get_double(c, ML_FLOAT_FINITE, "intercept");
	constant = get_flag(c, "constant flag");
	n = constant ? 0 : model->recipe->ndesign;
	get_range(c, 4, n, n, "number of coefficients");
	if (!constant)
	{
		model->coefficient = allocate(n, sizeof(MlCoefficient));
		for (int i = 0; i < n; i++)
			model->coefficient[i].estimate = get_double(c, ML_FLOAT_OR_NAN, "coefficient");
	}
	at = c->at;
	n = get_count(c, 8, "number of class shares");
	if (n != 0 && n != target->nclasses)
		refuse(c, at, psprintf("%d", n), psprintf("0 or %d, the number of classes", target->nclasses));
	if (n == 0 && target->task == ML_TASK_MULTICLASS)
		refuse(c, at, "0", psprintf("%d, the number of classes", target->nclasses));
	if (n > 0)
	{
		model->class_share = allocate(n, sizeof(double));
		for (int i = 0; i < n; i++)
			model->class_share[i] = get_double(c, ML_FLOAT_SHARE, "share of a class");
	}
	end_section(c);
}

static void
read_inference(MlCursor *c, MlCoefficient *coefficient)
{
	coefficient->std_error = get_double(c, ML_FLOAT_SPREAD, "standard error");
	coefficient->statistic = get_double(c, ML_FLOAT_ANY, "statistic");
	coefficient->p_value = get_double(c, ML_FLOAT_SPREAD, "p-value");
}

static void
forget_inference(MlCoefficient *coefficient)
{
	coefficient->std_error = NAN;
	coefficient->statistic = NAN;
	coefficient->p_value = NAN;
}

static void
read_statistics(MlCursor *c, MlModel *model)
{
	int			n = model->coefficient ? model->recipe->ndesign : 0;
	Size		at = c->at;

	begin_section(c, ML_SECTION_STATISTICS);
	model->statistic_name = get_optional_name(c, "name of the statistic");
	if (model->statistic_name && model->coefficient == NULL)
		refuse(c, at, "statistics", "none of a constant model");
	forget_inference(&model->intercept);
	if (model->statistic_name && model->has_intercept)
		read_inference(c, &model->intercept);
	for (int i = 0; i < n; i++)
	{
		if (model->statistic_name)
			read_inference(c, &model->coefficient[i]);
		else
			forget_inference(&model->coefficient[i]);
	}
	end_section(c);
}

static void
read_facts(MlCursor *c, MlModel *model)
{
	begin_section(c, ML_SECTION_FACTS);
	model->nfacts = get_count(c, 4 + 1 + 8, "number of facts");
	model->fact_name = allocate(model->nfacts, sizeof(char *));
	model->fact_value = allocate(model->nfacts, sizeof(double));
	for (int i = 0; i < model->nfacts; i++)
	{
		model->fact_name[i] = get_name(c, "name");
		model->fact_value[i] = get_double(c, ML_FLOAT_ANY, "value");
	}
	end_section(c);
}

static void
read_model(MlCursor *c, MlModel *model)
{
	MlRecipe   *recipe = palloc0(sizeof(MlRecipe));

	model->recipe = recipe;
	recipe->cxt = model->cxt;
	read_header(c);
	read_head(c, model);
	read_recipe(c, recipe);
	read_features(c, recipe);
	read_numbers(c, recipe);
	read_target(c, &recipe->target);
	ml_recipe_finish(recipe);
	read_design(c, recipe);
	read_predictor(c, model);
	read_statistics(c, model);
	read_facts(c, model);

	c->section = "end";
	c->field = "end";
	if (left(c) > 0)
		refuse(c, c->at, psprintf("%zu bytes more", left(c)), "none");
}

MlModel *
ml_model_read(const char *bytes, Size length, MemoryContext parent)
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
	read_model(&c, model);
	ml_model_compile(model);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(cxt, parent);
	model->size = MemoryContextMemAllocated(cxt, true);
	return model;
}
