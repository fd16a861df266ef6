/*
 * create.c
 *		mlops_create_validation_set and mlops_drop_validation_set.
 *
 * The table of a set is made here, by a command of our own, with built-in types
 * only. Its indexes are of the rows that are there, so that a row that leaves costs no entry in one.
 * It is no member of the extension, so that pg_dump carries it like any table.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "errors.h"
#include "fmgr.h"
#include "frame/frame.h"
#include "frame/value.h"
#include "json.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "registry/gate_row.h"
#include "validate/set.h"
#include "validate/validate.h"

#define SLICES_HINT	"Give a column ('plan'), two of them ('plan, country') or a condition over columns of the source ('tenure < 6')."

PG_FUNCTION_INFO_V1(mlops_create_validation_set);
PG_FUNCTION_INFO_V1(mlops_drop_validation_set);

enum
{
	ARG_MODEL, ARG_NAME, ARG_SOURCE, ARG_TARGET, ARG_KEY, ARG_TIME_COLUMN, ARG_PERIOD, ARG_MAX_ROWS,
	ARG_SLICES, ARG_STRATIFY_BY, ARG_LABEL_DELAY, ARG_LATENESS, ARG_MIN_ROWS, ARG_EVERY, ARG_FROZEN,
	ARG_SEED, ARG_TIME_UNIT, ARG_TIME_ORIGIN
};

/* ---- arguments ---- */

static Interval *
interval_argument(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? NULL : PG_GETARG_INTERVAL_P(argument);
}

static void
take_arguments(FunctionCallInfo fcinfo, MlSet *set)
{
	static const struct
	{
		int			argument;
		const char *name;
	}			needed[] = {
		{ARG_MODEL, "model"}, {ARG_NAME, "name"}, {ARG_SOURCE, "source"}, {ARG_MAX_ROWS, "max_rows"},
		{ARG_MIN_ROWS, "min_rows"}, {ARG_FROZEN, "frozen"}, {ARG_SEED, "seed"},
		{ARG_LABEL_DELAY, "label_delay"}, {ARG_LATENESS, "lateness"}
	};

	for (int i = 0; i < lengthof(needed); i++)
		ml_require_argument(fcinfo, needed[i].argument, needed[i].name);
	set->model = ml_argument_text(fcinfo, ARG_MODEL);
	set->name = ml_argument_text(fcinfo, ARG_NAME);
	set->source = ml_argument_text(fcinfo, ARG_SOURCE);
	set->target = ml_argument_text(fcinfo, ARG_TARGET);
	set->key = ml_argument_text(fcinfo, ARG_KEY);
	set->time_column = ml_argument_text(fcinfo, ARG_TIME_COLUMN);
	set->period = interval_argument(fcinfo, ARG_PERIOD);
	set->label_delay = interval_argument(fcinfo, ARG_LABEL_DELAY);
	set->lateness = interval_argument(fcinfo, ARG_LATENESS);
	set->every = interval_argument(fcinfo, ARG_EVERY);
	set->time_unit = interval_argument(fcinfo, ARG_TIME_UNIT);
	set->max_rows = PG_GETARG_INT64(ARG_MAX_ROWS);
	set->min_rows = PG_GETARG_INT64(ARG_MIN_ROWS);
	set->frozen = PG_GETARG_BOOL(ARG_FROZEN);
	set->seed = PG_GETARG_INT64(ARG_SEED);
	if (!PG_ARGISNULL(ARG_STRATIFY_BY))
		set->stratify = ml_set_texts(PG_GETARG_DATUM(ARG_STRATIFY_BY), &set->nstratify);
	set->time_origin = PG_ARGISNULL(ARG_TIME_ORIGIN) ? ML_UNIX_ORIGIN : PG_GETARG_TIMESTAMPTZ(ARG_TIME_ORIGIN);
}

/* ---- columns ---- */

/* index of the column of that name */
static int
require_column(const MlSet *set, const char *name, const char *argument)
{
	int			at = ml_set_find_column(set, name);
	MlNearest	nearest;

	if (at >= 0)
		return at;
	ml_nearest_begin(&nearest, name);
	for (int i = 0; i < set->ncolumns; i++)
		ml_nearest_offer(&nearest, set->column[i].name);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("%s column \"%s\" is not in the source", argument, name),
			 errdetail("The source has columns %s.", ml_set_column_list(set, "")),
			 nearest.best ? errhint("Perhaps you meant \"%s\".", nearest.best) :
			 errhint("Name one of them.")));
	return -1;					/* keep the compiler quiet */
}

static void
find_time(MlSet *set)
{
	if (set->time_column == NULL)
	{
		if (set->period != NULL || ml_interval_usec(set->label_delay) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" needs a time column", set->period ? "period" : "label_delay"),
					 errdetail("Without one every refresh reads the whole source."),
					 errhint("Name it: time_column => ...")));
		return;
	}
	set->time_at = require_column(set, set->time_column, "time");
	set->clock = ml_clock_of(set->column[set->time_at].stored_type);
	if (set->clock == ML_CLOCK_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("time column \"%s\" is of type %s", set->time_column, set->column[set->time_at].type),
				 errdetail("A time column is a date, timestamp, timestamptz or integer."),
				 errhint("Cast it to timestamptz in the source.")));
	if (set->period == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a validation set with a time column needs a period"),
				 errdetail("It holds the rows of the period before a refresh."),
				 errhint("Give period => '90 days', or leave out time_column to read the whole source at every refresh.")));
	if (set->clock == ML_CLOCK_INTEGER && set->time_unit == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("time column \"%s\" is an integer: how long is 1?", set->time_column),
				 errdetail("\"time_unit\" says it, and \"time_origin\" when 0 is (1970-01-01 if left out)."),
				 errhint("Give time_unit => '1 second' for seconds since 1970, '1 day' for days.")));
}

/* labels that can be told apart get a minimum each */
static bool
has_classes(const MlSet *set, const MlModelRow *row)
{
	MlValueType type;

	if (set->target == NULL)
		return false;
	if (row->task != NULL)
		return strcmp(row->task, "binary") == 0 || strcmp(row->task, "multiclass") == 0;
	ml_value_type(set->column[set->target_at].stored_type, -1, CurrentMemoryContext, &type);
	return type.kind == ML_KIND_CATEGORY || type.reading == ML_READ_BOOL;
}

/* what versions learned tells what their labels are; numbers and words are not the same */
static void
check_label(const MlSet *set, const MlModelRow *row)
{
	MlValueType type;

	if (set->target == NULL || row->task == NULL || strcmp(row->task, "regression") != 0)
		return;
	ml_value_type(set->column[set->target_at].stored_type, -1, CurrentMemoryContext, &type);
	if (type.kind != ML_KIND_NUMBER)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("target column \"%s\" is of type %s", set->target, set->column[set->target_at].type),
				 errdetail("Model \"%s\" predicts numbers.", set->model),
				 errhint("Cast it to a number in the source, or name another target.")));
}

static void
find_columns(MlSet *set, const MlModelRow *row)
{
	set->target_at = set->time_at = -1;
	if (set->target == NULL)
		set->target = row->target;
	if (set->target != NULL)
		set->target_at = require_column(set, set->target, "target");
	if (set->key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a validation set needs a key"),
				 errdetail("It tells rows apart: which are sampled, which have changed, which are pinned."),
				 errhint("Name the column: key => 'id'.")));
	set->key_at = require_column(set, set->key, "key");
	for (int i = 0; i < set->nstratify; i++)
	{
		if (set->stratify[i] == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("\"stratify_by\" has a NULL element"),
					 errdetail("Element %d is NULL.", i + 1),
					 errhint("Give names of columns.")));
		(void) require_column(set, set->stratify[i], "stratify_by");
	}
	find_time(set);
	check_label(set, row);
	set->classes = has_classes(set, row);
}

/* ---- checks ---- */

static void
check_numbers(const MlSet *set)
{
	if (set->max_rows < ML_SET_MIN_MAX_ROWS || set->max_rows > ML_SET_MOST_MAX_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"max_rows\" is " INT64_FORMAT, set->max_rows),
				 errdetail("It must be from %d to %d.", ML_SET_MIN_MAX_ROWS, ML_SET_MOST_MAX_ROWS),
				 errhint("The default is 10000.")));
	if (set->min_rows < 0 || set->min_rows > set->max_rows)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"min_rows\" is " INT64_FORMAT, set->min_rows),
				 errdetail("It must be from 0 to max_rows, which is " INT64_FORMAT ".", set->max_rows),
				 errhint("The default is 30: rows of each slice and class that the sample keeps.")));
	if (set->time_unit != NULL && set->clock != ML_CLOCK_INTEGER)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"time_unit\" is for time columns that are integers"),
				 set->time_column == NULL ? errdetail("The set has no time column.") :
				 errdetail("Time column \"%s\" is of type %s.", set->time_column, set->column[set->time_at].type),
				 errhint("Leave it out.")));
}

/* slices as asked: conditions become slices at once, columns as their values are met */
static void
take_slices(MlSet *set, Datum array, bool isnull, int *n)
{
	char	  **text;

	*n = 0;
	if (isnull)
		return;
	text = ml_set_texts(array, n);
	set->slice = palloc0(sizeof(MlSetSlice) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		MlSetSlice *slice = &set->slice[set->nslices];
		char	   *column[2];

		if (text[i] == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("\"slices\" has a NULL element"),
					 errdetail("Element %d is NULL.", i + 1),
					 errhint(SLICES_HINT)));
		if (ml_slice_columns(set->ncolumns, set->column, text[i], column) > 0)
			continue;
		ml_slice_check(set->source, text[i], text[i], SLICES_HINT);
		for (int s = 0; s < set->nslices; s++)
			if (strcmp(set->slice[s].name, text[i]) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_OBJECT),
						 errmsg("\"slices\" has \"%s\" twice", text[i]),
						 errdetail("Element %d says it again.", i + 1),
						 errhint("Leave one out.")));
		slice->number = ++set->last_slice;
		slice->name = slice->condition = text[i];
		slice->author = set->author;
		slice->min_rows = set->min_rows;
		slice->fresh = true;
		set->nslices++;
	}
}

/* ---- making it ---- */

/* a name of 63 bytes at most that no other table has */
static char *
choose_relation(const MlSet *set)
{
	char	   *wish = psprintf("%s_%s", set->model, set->name);
	int			length = strlen(wish);
	Oid			schema = get_namespace_oid(ML_DATA_SCHEMA, false);
	char	   *name;

	if (length < NAMEDATALEN && !OidIsValid(get_relname_relid(wish, schema)))
		return wish;
	for (uint64 seed = 0;; seed++)
	{
		char	   *tail = psprintf("_%08x", (uint32) ml_hash_bytes(wish, length, seed));
		int			room = NAMEDATALEN - 1 - (int) strlen(tail);

		name = psprintf("%.*s%s", pg_mbcliplen(wish, length, room), wish, tail);
		if (!OidIsValid(get_relname_relid(name, schema)))
			return name;
	}
}

static void
run_command(const char *command)
{
	int			code = SPI_execute(command, false, 0);

	if (code < 0)
		elog(ERROR, "could not run \"%s\": %s", command, SPI_result_code_string(code));
}

char *
ml_set_make_table(MlSet *set)
{
	StringInfoData command;

	set->relation = choose_relation(set);
	initStringInfo(&command);
	appendStringInfo(&command, "CREATE TABLE %s (entered_edition integer NOT NULL, left_edition integer, "
					 "sample_bucket bigint, sample_stratum integer, sample_groups integer[], "
					 "pinned boolean NOT NULL, slices integer[] NOT NULL, key_hash bigint NOT NULL, "
					 "row_fingerprint bytea NOT NULL", ml_set_table(set));
	for (int i = 0; i < set->ncolumns; i++)
		appendStringInfo(&command, ", %s %s", quote_identifier(set->column[i].name), set->column[i].stored);
	appendStringInfoString(&command, ") USING heap");
	run_command(command.data);
	run_command(psprintf("CREATE INDEX ON %s (sample_bucket) WHERE left_edition IS NULL", ml_set_table(set)));
	run_command(psprintf("CREATE INDEX ON %s (key_hash) WHERE left_edition IS NULL", ml_set_table(set)));
	run_command(psprintf("REVOKE ALL ON TABLE %s FROM PUBLIC", ml_set_table(set)));
	return set->relation;
}

static void
bind_array(MlArguments *args, FunctionCallInfo fcinfo, int argument)
{
	ml_bind_datum(args, TEXTARRAYOID, PG_ARGISNULL(argument) ? PointerGetDatum(construct_empty_array(TEXTOID)) :
				  PG_GETARG_DATUM(argument), false);
}

static void
insert_set(const MlSet *set, FunctionCallInfo fcinfo, const char *created_by)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.validation_set (model, name, relation, author, settings, source, target, key, "
		"time_column, time_unit, time_origin, period, label_delay, lateness, every, max_rows, min_rows, slices, "
		"stratify_by, classes, seed, frozen, columns, last_slice, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, "
		"$9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23::pg_catalog.jsonb, $24, $25)"
	};
	MlArguments args = {0};

	ml_bind_text(&args, set->model);
	ml_bind_text(&args, set->name);
	ml_bind_text(&args, set->relation);
	ml_bind_text(&args, set->author.role);
	ml_bind_jsonb(&args, ml_author_settings_json(&set->author));
	ml_bind_text(&args, set->source);
	ml_bind_text(&args, set->target);
	ml_bind_text(&args, set->key);
	ml_bind_text(&args, set->time_column);
	ml_bind_interval(&args, set->time_unit);
	ml_bind_datum(&args, TIMESTAMPTZOID, TimestampTzGetDatum(set->time_origin), set->clock != ML_CLOCK_INTEGER);
	ml_bind_interval(&args, set->period);
	ml_bind_interval(&args, set->label_delay);
	ml_bind_interval(&args, set->lateness);
	ml_bind_interval(&args, set->every);
	ml_bind_int8(&args, set->max_rows);
	ml_bind_int8(&args, set->min_rows);
	bind_array(&args, fcinfo, ARG_SLICES);
	bind_array(&args, fcinfo, ARG_STRATIFY_BY);
	ml_bind_bool(&args, set->classes);
	ml_bind_int8(&args, set->seed);
	ml_bind_bool(&args, set->frozen);
	ml_bind_text(&args, ml_shape_json_text(set->ncolumns, set->column));
	ml_bind_int(&args, set->last_slice);
	ml_bind_text(&args, created_by);
	ml_statement_run(&insert, &args);
}

static bool
set_exists(const MlSet *set)
{
	static MlStatement select = {
		"SELECT 1 FROM mlops_catalog.validation_set WHERE model OPERATOR(pg_catalog.=) $1 "
		"AND name OPERATOR(pg_catalog.=) $2"
	};
	MlArguments args = {0};

	ml_bind_text(&args, set->model);
	ml_bind_text(&args, set->name);
	return ml_statement_run(&select, &args) > 0;
}

static void
check_name(const MlSet *set)
{
	ml_reference_check_name(set->name, "validation set");
}

/* the model's row is locked, so that it is not dropped meanwhile */
static void
lock_model(const char *model)
{
	static MlStatement lock = {
		"SELECT 1 FROM mlops_catalog.model WHERE name OPERATOR(pg_catalog.=) $1 FOR KEY SHARE"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	if (ml_statement_run(&lock, &args) == 0)
		ml_error_model_gone(model);
}

static void
store(MlSet *set, FunctionCallInfo fcinfo)
{
	char	   *created_by = GetUserNameFromId(GetUserId(), false);
	MemoryContext caller = CurrentMemoryContext;
	MlRegistryScope scope;
	bool		exists;

	ml_registry_enter(&scope);
	lock_model(set->model);
	exists = set_exists(set);
	if (!exists)
	{
		MemoryContext inside = MemoryContextSwitchTo(caller);

		ml_set_make_table(set);
		insert_set(set, fcinfo, created_by);
		ml_slices_store(set);
		MemoryContextSwitchTo(inside);
	}
	ml_registry_leave(&scope);
	if (exists)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("model \"%s\" has a validation set \"%s\" already", set->model, set->name),
				 errdetail("A set is made once, and refreshed with mlops_refresh_validation_set."),
				 errhint("Choose another name, or drop it first with mlops_drop_validation_set(%s, %s).",
						 quote_literal_cstr(set->model), quote_literal_cstr(set->name))));
}

Datum
mlops_create_validation_set(PG_FUNCTION_ARGS)
{
	MlSet		set = {0};
	MlModelRow *row;
	int			nslices;

	take_arguments(fcinfo, &set);
	ml_registry_require_writable("make a validation set");
	ml_privilege_require(set.model, ML_PRIVILEGE_TRAIN);
	check_name(&set);
	row = ml_registry_model_row(set.model);
	ml_author_here(&set.author);
	ml_shape_read(set.source, &set.ncolumns, &set.column);
	find_columns(&set, row);
	check_numbers(&set);
	ml_clock_check(&set);
	take_slices(&set, PG_ARGISNULL(ARG_SLICES) ? (Datum) 0 : PG_GETARG_DATUM(ARG_SLICES),
				PG_ARGISNULL(ARG_SLICES), &nslices);
	store(&set, fcinfo);
	if (set.frozen)
	{
		MlChange	change;

		ml_refresh(ml_set_open(set.model, set.name, true), GetCurrentTransactionStartTimestamp(), &change);
	}
	PG_RETURN_VOID();
}

/* ---- dropping ---- */

void
ml_set_drop(MlSet *set)
{
	static MlStatement statements[] = {
		{"DELETE FROM mlops_catalog.pin WHERE model OPERATOR(pg_catalog.=) $1 AND validation_set OPERATOR(pg_catalog.=) $2"},
		{"DELETE FROM mlops_catalog.slice WHERE model OPERATOR(pg_catalog.=) $1 AND validation_set OPERATOR(pg_catalog.=) $2"},
		{"DELETE FROM mlops_catalog.evaluation WHERE model OPERATOR(pg_catalog.=) $1 AND validation_set OPERATOR(pg_catalog.=) $2"},
		{"DELETE FROM mlops_catalog.edition_stratum WHERE model OPERATOR(pg_catalog.=) $1 AND validation_set OPERATOR(pg_catalog.=) $2"},
		{"DELETE FROM mlops_catalog.edition WHERE model OPERATOR(pg_catalog.=) $1 AND validation_set OPERATOR(pg_catalog.=) $2"},
		{"DELETE FROM mlops_catalog.validation_set WHERE model OPERATOR(pg_catalog.=) $1 AND name OPERATOR(pg_catalog.=) $2"}
	};

	for (int i = 0; i < lengthof(statements); i++)
	{
		MlArguments args = {0};

		ml_bind_text(&args, set->model);
		ml_bind_text(&args, set->name);
		ml_statement_run(&statements[i], &args);
	}
	run_command(psprintf("DROP TABLE IF EXISTS %s", ml_set_table(set)));
}

Datum
mlops_drop_validation_set(PG_FUNCTION_ARGS)
{
	char	   *model;
	char	   *name;
	MlRegistryScope scope;
	MlSet	   *set;

	ml_require_arguments(fcinfo);
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	ml_registry_require_writable("drop a validation set");
	ml_privilege_require(model, ML_PRIVILEGE_TRAIN);
	set = ml_set_open(model, name, true);
	ml_gates_tell_dropped(model, name, NULL);
	ml_registry_enter(&scope);
	ml_set_drop(set);
	ml_registry_leave(&scope);
	PG_RETURN_VOID();
}
