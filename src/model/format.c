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
#include "model/model.h"
#include "utils/memutils.h"

const char *const ml_section_tag[ML_NTAGS] = {
	[ML_SECTION_HEAD] = "HEAD",
	[ML_SECTION_RECIPE] = "RCPE",
	[ML_SECTION_FEATURES] = "FEAT",
	[ML_SECTION_NUMBERS] = "NUMB",
	[ML_SECTION_TARGET] = "TARG",
	[ML_SECTION_DESIGN] = "DSGN",
	[ML_SECTION_PREDICTOR] = "PRED",
	[ML_SECTION_STATISTICS] = "STAT",
	[ML_SECTION_CALIBRATION] = "CALI",
	[ML_SECTION_FACTS] = "FACT",
	[ML_SECTION_ENCODER] = "ENCO",
};

static void
write_head(MlWriter *w, const char *algorithm)
{
	ml_writer_begin_section(w, ML_SECTION_HEAD);
	ml_put_text(w, algorithm);
	ml_put_text(w, GetDatabaseEncodingName());
	ml_writer_end_section(w);
}

static void
write_recipe(MlWriter *w, const MlRecipe *recipe)
{
	ml_writer_begin_section(w, ML_SECTION_RECIPE);
	ml_put_byte(w, recipe->params.impute);
	ml_put_byte(w, recipe->params.missing_indicator);
	ml_put_byte(w, recipe->coding);
	ml_put_int64(w, recipe->params.max_categories);
	ml_put_int64(w, recipe->params.min_category_rows);
	ml_put_text(w, recipe->time_zone);
	ml_put_int64(w, recipe->ntrain);
	ml_put_int32(w, recipe->offset_number);
	ml_put_byte(w, recipe->offset_log);
	if (recipe->group != NULL)
		ml_put_int32(w, (int32) (recipe->group - recipe->features));
	ml_writer_end_section(w);
}

static void
write_feature(MlWriter *w, const MlFeature *feature)
{
	ml_put_text(w, feature->name);
	ml_put_text(w, feature->type_name);
	ml_put_byte(w, feature->kind);
	switch (feature->kind)
	{
		case ML_KIND_NUMBER:
			break;
		case ML_KIND_ARRAY:
			ml_put_int32(w, feature->nnumbers);
			break;
		case ML_KIND_TIME:
			ml_put_byte(w, feature->zoned);
			ml_put_int32(w, feature->nnumbers);
			for (int i = 0; i < feature->nnumbers; i++)
				ml_put_byte(w, feature->parts[i]);
			break;
		case ML_KIND_CATEGORY:
			ml_put_double(w, feature->pool_share);
			ml_put_double(w, feature->null_share);
			ml_put_int32(w, feature->nlevels);
			for (int i = 0; i < feature->nlevels; i++)
			{
				ml_put_double(w, feature->level_share[i]);
				ml_put_text_length(w, feature->level[i], feature->level_length[i]);
			}
			break;
		default:
			elog(ERROR, "feature of kind %d in a recipe", (int) feature->kind);
	}
}

static void
write_features(MlWriter *w, const MlRecipe *recipe)
{
	ml_writer_begin_section(w, ML_SECTION_FEATURES);
	ml_put_int32(w, recipe->nfeatures);
	for (int i = 0; i < recipe->nfeatures; i++)
		write_feature(w, &recipe->features[i]);
	ml_writer_end_section(w);

	ml_writer_begin_section(w, ML_SECTION_NUMBERS);
	ml_put_int32(w, recipe->nnumbers);
	for (int i = 0; i < recipe->nnumbers; i++)
	{
		const MlNumber *number = &recipe->numbers[i];

		ml_put_text(w, number->name);
		ml_put_double(w, number->fill);
		ml_put_double(w, number->mean);
		ml_put_double(w, number->deviation);
		ml_put_double(w, number->minimum);
		ml_put_double(w, number->maximum);
		ml_put_double(w, number->null_share);
	}
	ml_writer_end_section(w);
}

static void
write_target(MlWriter *w, const MlTarget *target)
{
	ml_writer_begin_section(w, ML_SECTION_TARGET);
	ml_put_optional_text(w, target->name);
	ml_put_optional_text(w, target->type_name);
	ml_put_byte(w, target->task);
	ml_put_int32(w, target->positive);
	ml_put_int32(w, target->nclasses);
	for (int i = 0; i < target->nclasses; i++)
	{
		ml_put_double(w, target->class_share[i]);
		ml_put_text(w, target->class_label[i]);
	}
	ml_writer_end_section(w);
}

/*
 * The design follows from the recipe; it is written too, so that a reader that
 * would rebuild it in another order finds out.
 */
static void
write_design(MlWriter *w, const MlRecipe *recipe)
{
	ml_writer_begin_section(w, ML_SECTION_DESIGN);
	ml_put_int32(w, recipe->ndesign);
	for (int i = 0; i < recipe->ndesign; i++)
	{
		const MlDesignColumn *column = &recipe->design[i];

		ml_put_byte(w, column->kind);
		if (column->kind == ML_DESIGN_LEVEL)
		{
			ml_put_int32(w, column->feature);
			ml_put_int32(w, column->code);
		}
		else
			ml_put_int32(w, column->number);
	}
	ml_writer_end_section(w);
}

static void
write_predictor(MlWriter *w, const MlRecipe *recipe, const MlPredictor *predictor)
{
	ml_writer_begin_section(w, ML_SECTION_PREDICTOR);
	ml_put_byte(w, predictor->kind);
	ML_ROUTINE(predictor)->write(w, recipe, predictor);
	ml_writer_end_section(w);
}

static void
write_calibration(MlWriter *w, const MlCalibration *calibration)
{
	int			nmaps = calibration ? calibration->nmaps : 0;

	ml_writer_begin_section(w, ML_SECTION_CALIBRATION);
	ml_put_byte(w, calibration ? calibration->kind : ML_CALIBRATION_NONE);
	for (int i = 0; i < nmaps; i++)
	{
		const MlCalibrationMap *map = &calibration->map[i];

		if (calibration->kind == ML_CALIBRATION_PLATT)
		{
			ml_put_double(w, map->slope);
			ml_put_double(w, map->shift);
			continue;
		}
		ml_put_int32(w, map->npoints);
		ml_put_doubles(w, map->x, map->npoints);
		ml_put_doubles(w, map->y, map->npoints);
	}
	ml_writer_end_section(w);
}

static void
write_facts(MlWriter *w, const MlFitted *fitted)
{
	ml_writer_begin_section(w, ML_SECTION_FACTS);
	ml_put_int32(w, fitted->nfacts);
	for (int i = 0; i < fitted->nfacts; i++)
	{
		ml_put_text(w, fitted->facts[i].name);
		ml_put_double(w, fitted->facts[i].value);
	}
	ml_writer_end_section(w);
}

static void
write_encoder(MlWriter *w, const bytea *encoder)
{
	ml_writer_begin_section(w, ML_SECTION_ENCODER);
	ml_put_bytes(w, VARDATA_ANY(encoder), VARSIZE_ANY_EXHDR(encoder));
	ml_writer_end_section(w);
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

	ml_put_bytes(&w, ML_MAGIC, ML_MAGIC_LENGTH);
	ml_put_int32(&w, ML_ARTIFACT_FORMAT);
	ml_put_int32(&w, ML_NSECTIONS + (recipe->encoder != NULL));
	ml_put_int64(&w, 0);
	write_head(&w, algorithm);
	write_recipe(&w, recipe);
	write_features(&w, recipe);
	write_target(&w, &recipe->target);
	write_design(&w, recipe);
	write_predictor(&w, recipe, fitted->predictor);
	write_calibration(&w, fitted->calibration);
	write_facts(&w, fitted);
	if (recipe->encoder != NULL)
		write_encoder(&w, recipe->encoder);

	ml_store_little_endian(w.data + VARHDRSZ + ML_HEADER_LENGTH - 8,
						w.used - VARHDRSZ, 8);
	SET_VARSIZE(w.data, w.used);
	check_readable(w.data + VARHDRSZ, w.used - VARHDRSZ);
	return (bytea *) w.data;
}
