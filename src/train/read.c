/*
 * read.c
 *		The reading phase of a training: the source becomes a frame, and what is
 *		told of its columns.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "attempt.h"
#include "compat.h"
#include "fold/sql.h"
#include "interrupts.h"
#include "miscadmin.h"
#include "train/calibrate.h"
#include "train/class_weight.h"
#include "train/encoder.h"
#include "train/groups.h"
#include "json.h"
#include "train/learn_link.h"
#include "train/train.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define MUCH_TOO_LARGE 4

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
	ml_training_take_params(training);
}

/* Everything that the columns' types rule out, before a row is read. */
static void
check_columns(void *arg, const MlFrame *frame)
{
	MlTraining *training = arg;
	MemoryContext old = MemoryContextSwitchTo(training->cxt);
	const MlColumn *target = frame->target_column >= 0 ? &frame->cols[frame->target_column] : NULL;
	int			tasks;

	if (training->algorithm == NULL)
		choose_algorithm(training, target);
	tasks = target == NULL ? (int) training->algorithm->tasks :
		ml_target_tasks(target, training->algorithm->tasks);
	ml_training_require_task(training, training->row, tasks);
	ml_class_weight_check(training, tasks);
	ml_calibration_check(training, tasks);
	ml_groups_check(training, frame);
	if (!training->algorithm->ignores_features)
		ml_recipe_require_features(frame);
	if (training->encoder != NULL)
		ml_training_check_encoder(training, frame);
	MemoryContextSwitchTo(old);
}

/* the offset is read too where features are listed without it */
static void
request_offset(const MlTraining *training, MlFrameRequest *request)
{
	const char *offset = training->algorithm ? ml_training_offset(training).column : NULL;
	char	  **features;

	if (offset == NULL || request->features == NULL)
		return;
	for (int i = 0; i < request->nfeatures; i++)
	{
		if (strcmp(request->features[i], offset) == 0)
			return;
	}
	features = palloc(sizeof(char *) * (request->nfeatures + 1));
	memcpy(features, request->features, sizeof(char *) * request->nfeatures);
	features[request->nfeatures++] = pstrdup(offset);
	request->features = features;
}

/* bytes that a frame takes for a row at least */
static Size
row_bytes(const MlFrame *frame)
{
	Size		bytes = sizeof(MlHash128) + (frame->key_column >= 0 ? sizeof(uint64) : 0);

	for (int i = 0; i < frame->ncols; i++)
		if (frame->cols[i].loaded)
			bytes += frame->cols[i].type.kind == ML_KIND_CATEGORY ? sizeof(int32) : sizeof(double);
	return bytes;
}

/*
 * Rows that cannot fit are not read in vain: statistics may be off, so only if
 * by their word there is MUCH_TOO_LARGE times as much as there is room for, and
 * only where queries can do the training.
 */
static void
check_room(void *arg, MlFrame *frame, double rows)
{
	MlTraining *training = arg;
	const char *obstacle;

	if (rows * row_bytes(frame) < MUCH_TOO_LARGE * (double) training->budget.limit)
		return;
	training->frame = frame;
	obstacle = ml_sql_obstacle(training);
	training->frame = NULL;
	if (obstacle == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the rows do not fit into \"mlops.max_training_memory\""),
				 errdetail("There are about %.0f rows, which take %.0f bytes.", rows, rows * row_bytes(frame)),
				 errhint("Train with options => '{\"engine\": \"sql\"}'.")));
}

static MlFrame *
read_frame(MlTraining *training, const char *source, bool choosing)
{
	const MlSpec *spec = &training->spec;
	MlFrameRequest request = {0};

	ml_spec_request(spec, source, &request);
	request_offset(training, &request);
	ml_groups_request(training, &request);
	request.described = check_columns;
	request.described_arg = training;
	request.planned = choosing ? check_room : NULL;
	request.planned_arg = training;
	if (spec->options.keep_rows)
	{
		training->kept = ml_kept_begin(training);
		request.tee = ml_kept_tee;
		request.tee_arg = training->kept;
	}
	return ml_frame_read(&request, &training->budget);
}

/* The columns alone are read; the rows stay where they are. */
static void
read_in_sql(MlTraining *training)
{
	const char *obstacle;

	training->in_sql = true;
	training->frame = read_frame(training, psprintf("SELECT * FROM (%s\n) AS q LIMIT 0",
													ml_source_query(ml_spec_source(&training->spec))), false);
	obstacle = ml_sql_obstacle(training);
	if (obstacle != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("this training cannot run in SQL: %s", obstacle),
				 errdetail("The option \"engine\" is \"sql\"."),
				 errhint("Leave out the option \"engine\" to train in memory.")));
	training->spec.options.engine = ML_ENGINE_SQL;
	ml_sql_train(training);
}

static void
read_whole(void *arg)
{
	MlTraining *training = arg;

	training->frame = read_frame(training, ml_spec_source(&training->spec), true);
}

/*
 * In memory if the rows fit: else what was read is forgotten, and false
 * returned if the passes can run in SQL.
 */
static bool
read_if_it_fits(MlTraining *training)
{
	ErrorData  *error = ml_attempt(read_whole, training);

	if (error == NULL)
		return true;
	if (error->sqlerrcode != ERRCODE_PROGRAM_LIMIT_EXCEEDED || training->algorithm == NULL ||
		training->algorithm->pass_size == NULL || training->spec.options.keep_rows)
		ReThrowError(error);
	ml_budget_begin(&training->budget);
	training->frame = read_frame(training, psprintf("SELECT * FROM (%s\n) AS q LIMIT 0",
													ml_source_query(ml_spec_source(&training->spec))), false);
	if (ml_sql_obstacle(training) != NULL)
		ReThrowError(error);
	ereport(NOTICE,
			(errmsg("the rows do not fit into \"mlops.max_training_memory\": training by queries over the source"),
			 errhint("Choose this from the start with options => '{\"engine\": \"sql\"}'.")));
	return false;
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

/* ISO whatever the settings */
char *
ml_training_time_text(const MlColumn *column, int64 usec)
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
	training->time_from = column->usec != NULL ? ml_training_time_text(column, column->usec[first])
		: psprintf("%.15g", column->number[first]);
	training->time_to = column->usec != NULL ? ml_training_time_text(column, column->usec[last])
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
	ml_training_become_author(training);
	ml_budget_begin(&training->budget);
	if (training->spec.since != NULL || training->spec.until != NULL)
		ml_window_check(training, ml_window_column_type(training));
	if (training->spec.options.engine == ML_ENGINE_MEMORY)
		training->frame = read_frame(training, ml_spec_source(&training->spec), false);
	else if (training->spec.options.engine == ML_ENGINE_SQL || !read_if_it_fits(training))
		read_in_sql(training);
	SetUserIdAndSecContext(user, security);
	training->columns = describe_columns(training->frame);
	find_time_range(training);
	ml_spec_leave_settings(level);
	PopActiveSnapshot();
	training->reading = ml_training_seconds() - start -
		(training->preparing + training->fitting + training->measuring);	/* of queries */
	MemoryContextSwitchTo(old);
}
