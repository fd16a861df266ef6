/*
 * train.c
 *		One training: check, read, fit. register.c does the rest.
 *
 * The order inside fit is what makes a version mean what it says: the recipe
 * is learned from the training part alone; the model that is measured is the
 * one read back from its own bytes; refit learns recipe and model again from
 * all rows, after measuring.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/namespace.h"
#include "compat.h"
#include "errors.h"
#include "interrupts.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "train/json.h"
#include "train/learn_link.h"
#include "train/params.h"
#include "train/train.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define DUPLICATES_WORTH_TELLING 0.01	/* share of rows that repeat another */

double
ml_training_seconds(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return INSTR_TIME_GET_DOUBLE(now);
}

void
ml_training_report(MlTraining *training, const char *phase,
				   int64 done, int64 total, double objective)
{
	CHECK_FOR_INTERRUPTS();
	if (training->report != NULL)
		training->report(training, phase, done, total, objective);
}

void
ml_training_warn(MlTraining *training, char *sentence)
{
	MemoryContext old = MemoryContextSwitchTo(training->cxt);

	training->warnings = lappend(training->warnings, pstrdup(sentence));
	MemoryContextSwitchTo(old);
}

MlTraining *
ml_training_begin(MemoryContext parent, const char *model)
{
	MemoryContext cxt = AllocSetContextCreate(parent, "mlops train", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	MlTraining *training = palloc0(sizeof(MlTraining));

	training->cxt = cxt;
	training->model = pstrdup(model);
	ml_spec_begin(&training->spec);
	MemoryContextSwitchTo(old);
	return training;
}

void
ml_training_end(MlTraining *training)
{
	if (training->kept != NULL)
		ml_kept_end(training->kept);
	MemoryContextDelete(training->cxt);
}

/* ---- check ---- */

/*
 * A missing model is made when its first version is registered, so that a
 * training that fails leaves nothing behind; whether that will be allowed is
 * asked now.
 */
static void
check_model(MlTraining *training)
{
	MlReference reference;

	ml_reference_parse(training->model, strlen(training->model), &reference);
	if (reference.alias[0] != '\0' || reference.version != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is a reference to a version, not the name of a model", training->model),
				 errhint("Training makes a new version: give the name alone, \"%s\".", reference.model)));
	training->row = ml_registry_model_row(training->model);
	if (training->row != NULL)
		ml_privilege_require(training->model, ML_PRIVILEGE_TRAIN);
	else if (!DatumGetBool(DirectFunctionCall2(has_schema_privilege_id,
											   ObjectIdGetDatum(get_namespace_oid("mlops", false)),
											   CStringGetTextDatum("CREATE"))))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("model \"%s\" does not exist, and role \"%s\" may not make one",
						training->model, GetUserNameFromId(GetUserId(), false)),
				 errhint("Ask for GRANT CREATE ON SCHEMA mlops TO %s.",
						 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

static void
refuse_target(const MlTraining *training, const char *known)
{
	StringInfoData settings;

	initStringInfo(&settings);
	appendStringInfoString(&settings, "{\"target\": ");
	escape_json(&settings, training->spec.target);
	appendStringInfoChar(&settings, '}');
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("model \"%s\" predicts \"%s\", not \"%s\"", training->model, known,
					training->spec.target),
			 errdetail("A model has one target, so that its versions can be compared."),
			 ml_registry_has_versions(training->model) ?
			 errhint("Train a model of another name, or leave the target out.") :
			 errhint("It has no version now: SELECT mlops_set_model(%s, %s) changes its target.",
					 quote_literal_cstr(training->model), quote_literal_cstr(settings.data))));
}

static void
check_target(MlTraining *training)
{
	MlSpec	   *spec = &training->spec;
	const char *known = training->row != NULL ? training->row->target : NULL;

	if (spec->target == NULL && known != NULL)
		spec->target = pstrdup(known);
	if (spec->target == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no target was given for model \"%s\"", training->model),
				 errdetail("The target is the column that the model learns to predict."),
				 errhint("Name it: target => 'column'.")));
	if (known != NULL && strcmp(known, spec->target) != 0)
		refuse_target(training, known);
}

static void
take_params(MlTraining *training)
{
	const MlAlgorithm *algorithm = training->algorithm;
	static const MlParam none[] = {{NULL}};
	MlParamWords words;
	MlParamSet	sets[2];

	training->params = palloc0(Max(algorithm->params_size, 1));
	words.owner = psprintf("algorithm \"%s\"", algorithm->name);
	words.noun = "parameter";
	words.object = "params";
	words.hint = psprintf("See SELECT * FROM mlops_params('%s').", algorithm->name);
	sets[0].table = algorithm->params != NULL ? algorithm->params : none;
	sets[0].values = training->params;
	sets[1].table = ml_recipe_params;
	sets[1].values = &training->recipe_params;
	training->params_json = ml_params_parse(&words, training->spec.params, sets, 2);
}

void
ml_training_check(MlTraining *training)
{
	MemoryContext old = MemoryContextSwitchTo(training->cxt);

	ml_registry_require_writable("train a model");
	check_model(training);
	check_target(training);
	ml_spec_check(&training->spec);
	if (training->spec.algorithm != NULL)
	{
		training->algorithm = ml_learn_algorithm(training->spec.algorithm);
		take_params(training);
	}
	MemoryContextSwitchTo(old);
}

/* ---- read ---- */

/* The algorithm that the target's type suggests, where none was named. */
static void
choose_algorithm(MlTraining *training, const MlColumn *target)
{
	bool		classes = target->type.kind == ML_KIND_CATEGORY ||
		target->type.reading == ML_READ_BOOL;

	if (target->type.kind != ML_KIND_NUMBER && !classes)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" cannot be a target", target->name),
				 errdetail("It is of type %s; a target is a number, a boolean or text.",
						   ml_value_type_name(&target->type)),
				 errhint("Convert it in the source query.")));
	training->algorithm = ml_learn_algorithm(classes ? "logistic_regression" : "linear_regression");
	take_params(training);
}

/* Everything that the columns' types rule out, before a row is read. */
static void
check_columns(void *arg, const MlFrame *frame)
{
	MlTraining *training = arg;
	MemoryContext old = MemoryContextSwitchTo(training->cxt);
	const MlColumn *target = &frame->cols[frame->target_column];

	if (training->algorithm == NULL)
		choose_algorithm(training, target);
	ml_training_require_task(training, training->row,
							 ml_target_tasks(target, training->algorithm->tasks));
	if (!training->algorithm->ignores_features)
		ml_recipe_require_features(frame);
	MemoryContextSwitchTo(old);
}

static MlFrame *
read_frame(MlTraining *training)
{
	const MlSpec *spec = &training->spec;
	MlFrameRequest request = {0};

	request.source = spec->source;
	request.target = spec->target;
	request.weight = spec->weight;
	request.key = spec->key;
	request.time_column = spec->time_column;
	request.features = spec->features;
	request.nfeatures = spec->nfeatures;
	request.exclude = spec->exclude;
	request.nexclude = spec->nexclude;
	request.described = check_columns;
	request.described_arg = training;
	if (spec->options.keep_rows)
	{
		training->kept = ml_kept_begin(training);
		request.tee = ml_kept_tee;
		request.tee_arg = training->kept;
	}
	return ml_frame_read(&request, &training->budget);
}

static Jsonb *
describe_columns(const MlFrame *frame)
{
	static const char *const role_name[] = {
		[ML_ROLE_FEATURE] = "feature", [ML_ROLE_TARGET] = "target", [ML_ROLE_WEIGHT] = "weight",
		[ML_ROLE_KEY] = "key", [ML_ROLE_TIME] = "time", [ML_ROLE_UNUSED] = "unused"
	};
	MlJson		json = {0};

	ml_json_begin_array(&json);
	for (int i = 0; i < frame->ncols; i++)
	{
		ml_json_begin_object(&json);
		ml_json_put_text(&json, "name", frame->cols[i].name);
		ml_json_put_text(&json, "type", ml_value_type_name(&frame->cols[i].type));
		ml_json_put_text(&json, "role", role_name[frame->cols[i].role]);
		ml_json_end_object(&json);
	}
	ml_json_end_array(&json);
	return ml_json_finish(&json);
}

/* a value of the time column as text, ISO whatever the settings; usec as ml_value_usec gives it */
static char *
time_text(const MlColumn *column, int64 usec)
{
	char		text[MAXDATELEN + 1];
	struct pg_tm tm;
	fsec_t		fsec;

	if (column->type.reading != ML_READ_DATE && column->type.reading != ML_READ_TIMESTAMP &&
		column->type.reading != ML_READ_TIMESTAMPTZ)
		return psprintf("%.6f s", (double) usec / USECS_PER_SEC);
	if (usec == PG_INT64_MIN || usec == PG_INT64_MAX)
		return pstrdup(usec < 0 ? "-infinity" : "infinity");
	if (timestamp2tm(usec - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY,
					 NULL, &tm, &fsec, NULL, NULL) != 0)
		return psprintf("%.6f s", (double) usec / USECS_PER_SEC);
	tm.tm_isdst = 0;			/* negative would leave the zone out */
	if (column->type.reading == ML_READ_DATE)
		EncodeDateOnly(&tm, USE_ISO_DATES, text);
	else
		EncodeDateTime(&tm, fsec, column->type.reading == ML_READ_TIMESTAMPTZ, 0, NULL,
					   USE_ISO_DATES, text);
	return pstrdup(text);
}

static void
find_time_range(MlTraining *training)
{
	const MlFrame *frame = training->frame;
	int			index = training->spec.time_column != NULL
		? ml_frame_find(frame, training->spec.time_column) : -1;
	const MlColumn *column;
	int64		first = -1;
	int64		last = -1;

	if (index < 0)
		return;
	column = &frame->cols[index];
	for (int64 i = 0; i < frame->nrows; i++)
	{
		ml_check_row(i);
		if (column->usec != NULL ? column->usec[i] == ML_USEC_NULL
			: column->number == NULL || isnan(column->number[i]))
			continue;
		if (first < 0)
			first = last = i;
		if (column->usec != NULL)
		{
			first = column->usec[i] < column->usec[first] ? i : first;
			last = column->usec[i] > column->usec[last] ? i : last;
		}
		else
		{
			first = column->number[i] < column->number[first] ? i : first;
			last = column->number[i] > column->number[last] ? i : last;
		}
	}
	if (first < 0)
		return;
	training->time_from = column->usec != NULL ? time_text(column, column->usec[first])
		: psprintf("%.15g", column->number[first]);
	training->time_to = column->usec != NULL ? time_text(column, column->usec[last])
		: psprintf("%.15g", column->number[last]);
}

/* Reads under a snapshot of its own, as the author of the source. */
void
ml_training_read(MlTraining *training)
{
	MemoryContext old = MemoryContextSwitchTo(training->cxt);
	double		start = ml_training_seconds();
	Oid			user;
	int			security;
	int			level;

	PushActiveSnapshot(GetTransactionSnapshot());
	GetUserIdAndSecContext(&user, &security);
	level = ml_spec_enter_settings(&training->spec);
	ml_author_become(training);
	ml_budget_begin(&training->budget);
	training->frame = read_frame(training);
	SetUserIdAndSecContext(user, security);
	training->columns = describe_columns(training->frame);
	find_time_range(training);
	ml_spec_leave_settings(level);
	PopActiveSnapshot();
	training->reading = ml_training_seconds() - start;
	MemoryContextSwitchTo(old);
}

/* ---- fit ---- */

static bool
two_integer_values(const MlFrame *frame, const MlColumn *target)
{
	double		value[2] = {NAN, NAN};

	for (int64 i = 0; i < frame->nrows; i++)
	{
		double		y = target->number[i];

		ml_check_row(i);
		if (isnan(y) || y == value[0] || y == value[1])
			continue;
		if (y != rint(y) || !isnan(value[1]))
			return false;
		value[isnan(value[0]) ? 0 : 1] = y;
	}
	return !isnan(value[1]);
}

/*
 * A number of two values may be classes in disguise. Told once: afterwards the
 * model is for regression.
 */
static void
tell_two_values(const MlTraining *training)
{
	const MlFrame *frame = training->frame;
	const MlColumn *target = &frame->cols[frame->target_column];

	if (training->spec.algorithm != NULL || (training->row != NULL && training->row->task != NULL) ||
		target->type.kind != ML_KIND_NUMBER || target->type.reading == ML_READ_BOOL ||
		!two_integer_values(frame, target))
		return;
	ereport(NOTICE,
			(errmsg("target \"%s\" is a number of two values: training a regression", target->name),
			 errhint("For classes call mlops_drop_model(%s), then train with algorithm => 'logistic_regression'.",
					 quote_literal_cstr(training->model))));
}

static void
choose_split(MlTraining *training)
{
	MlSplit    *split = &training->split;
	const MlSpec *spec = &training->spec;

	split->holdout = spec->holdout;
	split->seed = spec->seed;
	split->time_column = -1;
	if (spec->holdout == 0)
		split->kind = ML_SPLIT_NONE;
	else if (spec->time_column != NULL)
	{
		split->kind = ML_SPLIT_TIME;
		split->time_column = ml_frame_find(training->frame, spec->time_column);
	}
	else
		split->kind = spec->key != NULL ? ML_SPLIT_KEY : ML_SPLIT_ROW;
}

/* Equal rows are neighbours in canonical order. */
static void
warn_of_duplicates(MlTraining *training)
{
	const MlFrame *frame = training->frame;
	int64		repeated = 0;

	for (int64 i = 1; i < frame->nrows; i++)
	{
		ml_check_row(i);
		if (frame->fingerprint[i].high == frame->fingerprint[i - 1].high &&
			frame->fingerprint[i].low == frame->fingerprint[i - 1].low)
			repeated++;
	}
	if (training->spec.options.canonical_order && repeated > DUPLICATES_WORTH_TELLING * frame->nrows)
		ml_training_warn(training, psprintf(INT64_FORMAT " of " INT64_FORMAT " rows repeat another row",
											repeated, frame->nrows));
}

static void
arrange(MlTraining *training)
{
	MlFrame    *frame = training->frame;
	bool	   *keep;

	ml_budget_take(&training->budget, frame->nrows, "flags of the usable rows");
	keep = MemoryContextAllocHuge(training->cxt, Max(frame->nrows, 1));
	ml_recipe_usable_rows(frame, &training->recipe_params, keep, &training->skipped);
	choose_split(training);
	ml_frame_arrange(frame, keep, &training->split, training->spec.options.canonical_order);
	pfree(keep);
	ml_budget_give(&training->budget, frame->rows_read);
	training->ntrain = frame->ntrain;
	training->nholdout = frame->nrows - frame->ntrain;
	warn_of_duplicates(training);
	if (frame->row_security)
		ml_training_warn(training, "row-level security of the source applied: rows that the role may not see were not read");
	if (training->spec.holdout > 0 && training->nholdout == 0 && frame->nrows > 0)
		ml_training_warn(training, "too few rows for a hold-out: the model was measured on its training rows only");
}

/* The date parts of a recipe take the time zone of the spec. */
static void
learn_recipe(MlTraining *training)
{
	const MlAlgorithm *algorithm = training->algorithm;
	MlTargetRequest target = {0};
	MlCoding	coding = ML_CODING_TREATMENT;
	int			level = ml_spec_enter_settings(&training->spec);

	target.model = training->model;
	target.positive = training->row != NULL ? training->row->positive : NULL;
	target.task = algorithm->tasks;
	target.features_optional = algorithm->ignores_features;
	if (algorithm->penalised != NULL && algorithm->penalised(training->params))
		coding = ML_CODING_ONE_HOT;
	training->recipe = ml_recipe_learn(training->frame, &training->recipe_params, coding, &target);
	ml_spec_leave_settings(level);
}

/* the rows of a frame as the learner reads them */
typedef struct DesignRows
{
	const MlRecipe *recipe;
	MlEncoder  *encoder;
} DesignRows;

static void
read_design(void *arg, int64 first, int n, double *x)
{
	const DesignRows *rows = arg;

	ml_recipe_design_block(rows->recipe, ml_encoder_block(rows->encoder, first, n), x);
}

static void
fit_progress(void *arg, int64 done, int64 total, double objective)
{
	ml_training_report(arg, "fitting", done, total, objective);
}

static void
fit_memory(void *arg, Size bytes, const char *what)
{
	ml_budget_take(&((MlTraining *) arg)->budget, bytes, what);
}

static void
name_design(const MlRecipe *recipe, MlDesignMatrix *matrix)
{
	const char **name = palloc(sizeof(char *) * Max(recipe->ndesign, 1));
	bool	   *scaled = palloc(sizeof(bool) * Max(recipe->ndesign, 1));

	for (int j = 0; j < recipe->ndesign; j++)
	{
		name[j] = recipe->design[j].name;
		scaled[j] = recipe->design[j].kind == ML_DESIGN_NUMBER;
	}
	matrix->ncolumns = recipe->ndesign;
	matrix->column_name = name;
	matrix->scaled = scaled;
}

/*
 * Fits the training part of the frame. What the learner took is given back to
 * the budget, since the driver frees it when it returns.
 */
static void
fit_model(MlTraining *training)
{
	MlFrame    *frame = training->frame;
	const MlRecipe *recipe = training->recipe;
	DesignRows	rows = {recipe};
	MlDesignMatrix matrix = {0};
	MlFit		fit = {0};
	Size		before = training->budget.used;
	double	   *y;

	ml_budget_take(&training->budget, ml_size_mul(frame->ntrain, sizeof(double)), "the labels");
	y = palloc_extended(ml_size_mul(frame->ntrain, sizeof(double)), MCXT_ALLOC_HUGE);
	ml_recipe_labels(recipe, frame, 0, frame->ntrain, y);
	rows.encoder = ml_encoder_make(recipe, frame, ML_BLOCK_ROWS);

	matrix.nrows = frame->ntrain;
	name_design(recipe, &matrix);
	matrix.y = y;
	if (training->spec.weight != NULL)
		matrix.weight = frame->cols[ml_frame_find(frame, training->spec.weight)].number;
	matrix.nclasses = recipe->target.nclasses;
	matrix.read = read_design;
	matrix.arg = &rows;

	fit.rows = &matrix;
	fit.task = recipe->target.task;
	fit.params = training->params;
	fit.seed = training->spec.seed;
	fit.progress = fit_progress;
	fit.progress_arg = training;
	fit.take_memory = fit_memory;
	fit.memory_arg = training;
	training->fitted = ml_learn()->fit(training->algorithm, &fit);

	ml_encoder_free(rows.encoder);
	pfree(y);
	training->budget.used = before;
}

/* Learns and fits from the training part of the frame; the result is the artifact. */
static void
learn_and_fit(MlTraining *training)
{
	double		start = ml_training_seconds();

	learn_recipe(training);
	training->preparing += ml_training_seconds() - start;
	start = ml_training_seconds();

	/* a catalog snapshot would hold back the vacuum of every table while we fit */
	InvalidateCatalogSnapshot();
	ml_training_report(training, "fitting", 0, -1, NAN);
	fit_model(training);
	training->artifact = ml_model_write(training->algorithm->name, training->recipe, training->fitted);
	training->fitting += ml_training_seconds() - start;
}

static void
collect_warnings(MlTraining *training)
{
	for (int i = 0; i < training->recipe->nwarnings; i++)
		ml_training_warn(training, training->recipe->warnings[i]);
	for (int i = 0; i < training->fitted->nnotes; i++)
		ml_training_warn(training, training->fitted->notes[i]);
}

static void
refit(MlTraining *training)
{
	MlSplit		whole = training->split;

	whole.kind = ML_SPLIT_NONE;
	whole.holdout = 0;
	ml_frame_arrange(training->frame, NULL, &whole, training->spec.options.canonical_order);
	learn_and_fit(training);
}

void
ml_training_fit(MlTraining *training)
{
	MemoryContext old = MemoryContextSwitchTo(training->cxt);
	double		start = ml_training_seconds();
	MlModel    *model;

	ml_training_report(training, "preparing", -1, -1, NAN);
	tell_two_values(training);
	arrange(training);
	training->preparing = ml_training_seconds() - start;
	learn_and_fit(training);

	start = ml_training_seconds();
	ml_training_report(training, "measuring", -1, -1, NAN);
	model = ml_model_read(VARDATA_ANY(training->artifact), VARSIZE_ANY_EXHDR(training->artifact),
						  training->cxt);
	ml_training_measure(training, model);
	MemoryContextDelete(model->cxt);
	training->measuring = ml_training_seconds() - start;

	if (training->spec.options.refit && training->nholdout > 0)
		refit(training);
	collect_warnings(training);
	MemoryContextSwitchTo(old);
}
