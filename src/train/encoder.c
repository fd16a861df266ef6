/*
 * encoder.c
 *		A model in front of the learner: what it makes of a row is what is
 *		learned from.
 *
 * The parameter "encoder" names a version of a model that transforms rows. It is
 * pinned when the training begins: the spec says which version it was, and the
 * artifact of the new version holds a copy of its artifact, so that a row is
 * scored in one go and nothing else need be there. In training the columns that
 * the encoder takes are replaced by the numbers that it makes; recipe, fit and
 * measuring then know of nothing else.
 */
#include "postgres.h"

#include <math.h>

#include "lib/stringinfo.h"
#include "train/encoder.h"
#include "json.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define NAMES_SHOWN 10

static void
refuse_encoder(const MlResolved *resolved, const MlModel *model)
{
	bool		has_encoder = model->encoder != NULL;

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("version %d of model \"%s\" cannot be an encoder", resolved->version, resolved->model),
			 has_encoder ? errdetail("It has an encoder itself.") :
			 errdetail("It is of algorithm \"%s\", which does not transform rows.", model->algorithm),
			 has_encoder ? errhint("Encoders are not put one behind the other.") :
			 errhint("Name a version of algorithm \"pca\", \"mlp\" or \"kmeans\".")));
}

/* Whoever scores with the new version uses the encoder, and a copy of it is given away. */
void
ml_training_take_encoder(MlTraining *training)
{
	MlSpec	   *spec = &training->spec;
	JsonbValue	value;
	MlReference reference;
	MlResolved	resolved;
	MlJson		json = {0};
	char	   *text;

	if (spec->params == NULL || !JB_ROOT_IS_OBJECT(spec->params) ||
		!ml_json_find(spec->params, "encoder", &value) || value.type != jbvString)
		return;
	text = ml_json_string(&value);
	ml_reference_parse(text, strlen(text), &reference);
	PushActiveSnapshot(GetTransactionSnapshot());
	ml_registry_resolve(&reference, ML_PRIVILEGE_READ, &resolved);
	training->encoder_artifact = ml_registry_artifact(&resolved);
	PopActiveSnapshot();
	training->encoder = ml_model_load(resolved.sha256, training->encoder_artifact, training->cxt);
	training->encoder_name = pstrdup(resolved.model);
	if (ml_model_ntransform(training->encoder) == 0 || training->encoder->encoder != NULL)
		refuse_encoder(&resolved, training->encoder);

	ml_json_begin_object(&json);
	ml_json_put_text(&json, "encoder", psprintf("%s/%d", resolved.model, resolved.version));
	ml_json_end_object(&json);
	spec->params = ml_json_merge(spec->params, ml_json_finish(&json));
}

/* ---- columns ---- */

static void
refuse_column(const MlTraining *training, const MlFeature *feature, const MlColumn *column)
{
	static const char *const role[] = {
		[ML_ROLE_TARGET] = "the target", [ML_ROLE_WEIGHT] = "the weight", [ML_ROLE_KEY] = "the key",
		[ML_ROLE_TIME] = "the time column", [ML_ROLE_UNUSED] = "left out"
	};

	if (column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" is missing from the source", feature->name),
				 errdetail("Encoder \"%s\" takes it, as %s.", training->common_params.encoder, feature->type_name),
				 errhint("Add the column to the source; order and other columns do not matter.")));
	if (column->role != ML_ROLE_FEATURE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" is %s here, but encoder \"%s\" takes it",
						feature->name, role[column->role], training->common_params.encoder),
				 errdetail("What an encoder takes are features of the rows that are scored."),
				 column->role == ML_ROLE_TARGET ?
				 errhint("Train an encoder that does not know the target.") :
				 errhint("Let it be a feature, or use another encoder.")));
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" is of type %s, but encoder \"%s\" takes %s",
					feature->name, ml_value_type_name(&column->type),
					training->common_params.encoder, feature->type_name),
			 errhint("Cast the column in the source.")));
}

/* the columns of the frame that the encoder does not take */
static void
warn_of_unused(MlTraining *training, const MlFrame *frame)
{
	StringInfoData names;
	int			n = 0;

	initStringInfo(&names);
	for (int i = 0; i < frame->ncols; i++)
	{
		if (frame->cols[i].role != ML_ROLE_FEATURE ||
			ml_recipe_find(training->encoder->recipe, frame->cols[i].name) >= 0)
			continue;
		if (n++ < NAMES_SHOWN)
			appendStringInfo(&names, "%s\"%s\"", n > 1 ? ", " : "", frame->cols[i].name);
	}
	if (n > NAMES_SHOWN)
		appendStringInfo(&names, " and %d more", n - NAMES_SHOWN);
	if (n > 0)
		ml_training_warn(training, psprintf("not used, since the encoder does not take it: %s", names.data));
}

void
ml_training_check_encoder(MlTraining *training, const MlFrame *frame)
{
	const MlRecipe *recipe = training->encoder->recipe;

	if (training->spec.group_by != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"encoder\" cannot be combined with \"group_by\""),
				 errdetail("The encoder takes all columns; column \"%s\" would not be left to group by.",
						   training->spec.group_by),
				 errhint("Leave one of them out.")));
	for (int f = 0; f < recipe->nfeatures; f++)
	{
		const MlFeature *feature = &recipe->features[f];
		int			i = ml_frame_find(frame, feature->name);
		const MlColumn *column = i < 0 ? NULL : &frame->cols[i];

		if (column == NULL || column->role != ML_ROLE_FEATURE || !ml_feature_accepts(feature, &column->type))
			refuse_column(training, feature, column);
	}
	warn_of_unused(training, frame);
}

/* ---- rows ---- */

static void
encode_block(const MlModel *encoder, const MlBlock *block, int64 first, double *space, double **value)
{
	const MlRecipe *recipe = encoder->recipe;
	int			n = ml_model_ntransform(encoder);
	double	   *result = space;
	double	   *work = result + n;
	MlRow		row;

	row.number = work + encoder->work_size;
	row.code = (int32 *) (row.number + recipe->nnumbers);
	for (int i = 0; i < block->n; i++)
	{
		bool		there;

		ml_block_row(recipe, block, i, &row);
		there = ml_model_transform(encoder, &row, work, result);
		for (int j = 0; j < n; j++)
			value[j][first + i] = there ? result[j] : NAN;
	}
}

void
ml_training_encode(MlTraining *training)
{
	MlFrame    *frame = training->frame;
	const MlModel *model = training->encoder;
	const MlRecipe *recipe = model->recipe;
	int			n = ml_model_ntransform(model);
	char	  **name = palloc(sizeof(char *) * n);
	double	  **value = palloc(sizeof(double *) * n);
	double	   *space = palloc_extended(sizeof(double) * (n + model->work_size + recipe->nnumbers + recipe->ncategories),
										MCXT_ALLOC_HUGE);
	MlEncoder  *encoder = ml_encoder_make(recipe, frame, ML_BLOCK_ROWS);

	for (int j = 0; j < n; j++)
	{
		name[j] = psprintf("%s %d", training->encoder_name, j + 1);
		value[j] = ml_frame_new_numbers(frame);
	}
	for (int64 first = 0; first < frame->nrows; first += ML_BLOCK_ROWS)
	{
		int			rows = (int) Min(ML_BLOCK_ROWS, frame->nrows - first);

		ml_training_report(training, "preparing", first, frame->nrows, NAN);
		encode_block(model, ml_encoder_block(encoder, first, rows), first, space, value);
	}
	ml_encoder_free(encoder);
	ml_frame_replace_features(frame, n, name, value);
	pfree(space);
	pfree(value);
	pfree(name);
}

/* a parameter that was not resolved at the beginning, as of one candidate of a search */
void
ml_training_require_encoder(const MlTraining *training)
{
	const char *wanted = training->common_params.encoder;

	if ((wanted != NULL) == (training->encoder != NULL))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("candidates of a search cannot have an encoder"),
			 errdetail("All of them are trained on the same rows, as they were read."),
			 errhint("Train with the parameters that were found: params => '{\"encoder\": ...}'.")));
}
