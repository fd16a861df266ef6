/*
 * pin.c
 *		Rows that stay: pins, and failures that somebody reported.
 *
 * A pinned row is a row of its own beside the sample: a copy, of weight 0, that no
 * refresh touches. Taking it out of the sample instead would make what the sample says
 * too rosy, since what is pinned is what went wrong. Pinning and unpinning make editions
 * like every other change.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "interrupts.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "validate/pin.h"
#include "validate/set.h"
#include "validate/validate.h"

PG_FUNCTION_INFO_V1(mlops_pin);
PG_FUNCTION_INFO_V1(mlops_unpin);
PG_FUNCTION_INFO_V1(mlops_record_failure);
PG_FUNCTION_INFO_V1(mlops_record_label);

#define PINNED_BUCKET 0
#define MOST_KEY	2000		/* bytes */

/* ---- which are pinned ---- */

static bool
is_pinned(const MlSet *set, const char *key)
{
	static MlStatement select = {
		"SELECT 1 FROM mlops_catalog.pin WHERE model OPERATOR(pg_catalog.=) $1 "
		"AND validation_set OPERATOR(pg_catalog.=) $2 AND key OPERATOR(pg_catalog.=) $3"
	};
	MlArguments args = {0};

	ml_bind_text(&args, set->model);
	ml_bind_text(&args, set->name);
	ml_bind_text(&args, key);
	return ml_registry_run(&select, &args) > 0;
}

static void
insert_pin(const MlSet *set, const MlPin *pin, const char *by)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.pin (model, validation_set, key, reason, pinned_by) VALUES ($1, $2, $3, $4, $5)"
	};
	MlArguments args = {0};

	ml_bind_text(&args, set->model);
	ml_bind_text(&args, set->name);
	ml_bind_text(&args, pin->key);
	ml_bind_text(&args, pin->reason);
	ml_bind_text(&args, by);
	ml_statement_run(&insert, &args);
}

/* ---- their rows ---- */

static uint64
hash_of_text(const char *key)
{
	return ml_hash_bytes(key, strlen(key), 0);
}

/* the row with another label; types are built in, so reading the text runs no code of a user */
static MinimalTuple
with_label(const MlSet *set, MinimalTuple tuple, const char *label)
{
	const MlSetColumn *target = &set->column[set->target_at];
	TupleDesc	desc = ml_set_desc(set);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	MinimalTuple result;
	Oid			input;
	Oid			parameter;

	ExecStoreMinimalTuple(tuple, slot, false);
	slot_getallattrs(slot);
	getTypeInputInfo(target->stored_type, &input, &parameter);
	slot->tts_values[set->target_at] = OidInputFunctionCall(input, (char *) label, parameter, target->stored_typmod);
	slot->tts_isnull[set->target_at] = false;
	result = ml_form_minimal_tuple(desc, slot->tts_values, slot->tts_isnull);
	ExecDropSingleTupleTableSlot(slot);
	return result;
}

static MlHash128
fingerprint_of(const MlSet *set, MinimalTuple tuple)
{
	TupleDesc	desc = ml_set_desc(set);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	MlHash128	fingerprint;

	ExecStoreMinimalTuple(tuple, slot, false);
	slot_getallattrs(slot);
	fingerprint = ml_row_fingerprint(desc, ml_row_secrets(set), slot->tts_values, slot->tts_isnull);
	ExecDropSingleTupleTableSlot(slot);
	return fingerprint;
}

static void
enter_pin(MlChange *change, MlPin *pin, MinimalTuple tuple, List *slices)
{
	MlEntering	row = {0};

	pin->key = ml_set_key_text(change->set, tuple);
	if (pin->label != NULL && change->set->target_at >= 0)
		tuple = with_label(change->set, tuple, pin->label);
	row.row = palloc0(sizeof(MlCandidate));
	row.row->tuple = tuple;
	row.row->key_hash = hash_of_text(pin->key);
	row.row->fingerprint = fingerprint_of(change->set, tuple);
	row.bucket = PINNED_BUCKET;
	row.pinned = true;
	row.slices = slices;
	ml_change_enter(change, &row);
	pin->found = true;
}

static List *
list_of(int n, const int32 *number)
{
	List	   *list = NIL;

	for (int i = 0; i < n; i++)
		list = lappend_int(list, number[i]);
	return list;
}

/* those of the sample, as they were judged */
static void
enter_stored(MlChange *change, MlPin *pins, int n)
{
	Datum	   *hashes = palloc(sizeof(Datum) * n);
	MlArguments args = {0};
	MlStored   *rows;
	MinimalTuple *tuples;
	int64		nrows;

	for (int i = 0; i < n; i++)
		hashes[i] = Int64GetDatum((int64) hash_of_text(pins[i].key));
	ml_bind_datum(&args, INT8ARRAYOID, PointerGetDatum(construct_array(hashes, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
																	   TYPALIGN_DOUBLE)), false);
	nrows = ml_change_fetch_tuples(change->set, "left_edition IS NULL AND NOT pinned "
								   "AND key_hash OPERATOR(pg_catalog.=) ANY ($1)", &args, &rows, &tuples);
	for (int i = 0; i < n; i++)
		for (int64 r = 0; r < nrows && !pins[i].found; r++)
			if (rows[r].key_hash == hash_of_text(pins[i].key))
				enter_pin(change, &pins[i], tuples[r], list_of(rows[r].nslices, rows[r].slice));
}

/* a row of the source is for the pin whose key it has as text, or the only one that is left */
static MlPin *
pin_of(MlPin **left, int n, const char *key)
{
	for (int i = 0; i < n; i++)
		if (strcmp(left[i]->key, key) == 0)
			return left[i];
	return n == 1 ? left[0] : NULL;
}

static void
enter_read(MlChange *change, MlSetReading *reading, MlPin **left, int n)
{
	for (int c = 0; c < reading->ncells; c++)
		for (int i = 0; i < reading->cell[c]->n; i++)
		{
			const MlCandidate *row = &reading->cell[c]->candidate[i];
			const MlKindOfRow *kind = &reading->kind[reading->cell[c]->kind];
			MlPin	   *pin = pin_of(left, n, ml_set_key_text(change->set, row->tuple));

			if (pin == NULL)
				continue;
			if (pin->found)
				ereport(ERROR,
						(errcode(ERRCODE_CARDINALITY_VIOLATION),
						 errmsg("the source of validation set \"%s\" of model \"%s\" has key %s more than once",
								change->set->name, change->set->model, quote_literal_cstr(pin->key)),
						 errdetail("A pin is one row: which of them could not be told."),
						 errhint("Let the source give one row a key, with DISTINCT ON or GROUP BY.")));
			enter_pin(change, pin, row->tuple, list_of(kind->nslices, kind->slice));
		}
}

/* those that are not in the sample, from the source */
static void
enter_from_source(MlChange *change, MlPin *pins, int n)
{
	MlPin	  **left = palloc(sizeof(MlPin *) * n);
	char	  **key = palloc(sizeof(char *) * n);
	const char **label = palloc(sizeof(char *) * n);
	MlSetReading reading = {0};
	MlBudget	budget;
	int			nleft = 0;

	for (int i = 0; i < n; i++)
		if (!pins[i].found)
		{
			left[nleft] = &pins[i];
			key[nleft] = pins[i].key;
			label[nleft++] = pins[i].label;
		}
	if (nleft == 0)
		return;
	ml_budget_begin(&budget);
	reading.set = change->set;
	reading.budget = &budget;
	PushActiveSnapshot(GetTransactionSnapshot());
	ml_read_keys(&reading, key, label, nleft);
	PopActiveSnapshot();
	enter_read(change, &reading, left, nleft);
}

/* ---- making and ending pins ---- */

void
ml_pin_rows(MlSet *set, MlPin *pins, int n, bool strict, MlChange *change)
{
	MlRegistryScope scope;

	ml_change_begin(set, "pin", set->as_of, change);
	enter_stored(change, pins, n);
	enter_from_source(change, pins, n);
	for (int i = 0; i < n; i++)
		if (!pins[i].found)
			ereport(strict ? ERROR : NOTICE,
					(errcode(ERRCODE_NO_DATA_FOUND),
					 errmsg("key %s is neither in validation set \"%s\" of model \"%s\" nor in its source",
							quote_literal_cstr(pins[i].key), set->name, set->model),
					 errdetail("A row without a label is not there either, unless a label was reported for it."),
					 errhint("Look for it: SELECT * FROM (source) WHERE %s = %s", quote_identifier(set->key),
							 quote_literal_cstr(pins[i].key))));
	if (change->nentering == 0)
		return;
	PushActiveSnapshot(GetTransactionSnapshot());
	ml_change_decide(change);
	PopActiveSnapshot();
	ml_registry_enter(&scope);
	for (int i = 0; i < n; i++)
		if (pins[i].found)
			insert_pin(set, &pins[i], change->by);
	ml_change_finish(change);
	ml_registry_leave(&scope);
}

bool
ml_pin_is_new(const MlSet *set, const char *key)
{
	return !is_pinned(set, key);
}

static void
error_pinned(const MlSet *set, const char *key)
{
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("key %s of validation set \"%s\" of model \"%s\" is pinned already",
					quote_literal_cstr(key), set->name, set->model),
			 errdetail("A row is pinned once, and stays as it was then."),
			 errhint("SELECT * FROM mlops.pin shows why; mlops_unpin takes the pin away.")));
}

/* mlops_pin(model, validation_set, key, reason): the edition in which it is pinned */
Datum
mlops_pin(PG_FUNCTION_ARGS)
{
	MlPin		pin = {0};
	MlChange	change;
	char	   *model;
	MlSet	   *set;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 2, "key");
	model = ml_argument_text(fcinfo, 0);
	pin.key = ml_argument_text(fcinfo, 2);
	pin.reason = ml_argument_text(fcinfo, 3);
	ml_registry_require_writable("pin a row");
	ml_privilege_require(model, ML_PRIVILEGE_TRAIN);
	set = ml_set_open(model, ml_argument_text(fcinfo, 1), true);
	if (set->edition == 0)
		ml_error_no_edition(set, 0);
	if (is_pinned(set, pin.key))
		error_pinned(set, pin.key);
	if (!ml_is_value(&set->column[set->key_at], pin.key))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s cannot be a key of validation set \"%s\" of model \"%s\"", quote_literal_cstr(pin.key), set->name, set->model),
				 errdetail("Its key, column \"%s\", is of type %s.", set->key, set->column[set->key_at].type),
				 errhint("Give the key of a row of its source, as text.")));
	ml_pin_rows(set, &pin, 1, true, &change);
	PG_RETURN_INT32(change.edition);
}

static void
delete_pin(const MlSet *set, const char *key)
{
	static MlStatement delete = {
		"DELETE FROM mlops_catalog.pin WHERE model OPERATOR(pg_catalog.=) $1 "
		"AND validation_set OPERATOR(pg_catalog.=) $2 AND key OPERATOR(pg_catalog.=) $3"
	};
	MlArguments args = {0};

	ml_bind_text(&args, set->model);
	ml_bind_text(&args, set->name);
	ml_bind_text(&args, key);
	ml_statement_run(&delete, &args);
}

/* mlops_unpin(model, validation_set, key): the edition in which it is not any more */
Datum
mlops_unpin(PG_FUNCTION_ARGS)
{
	MlChange	change;
	MlArguments args = {0};
	MlRegistryScope scope;
	MlStored   *rows;
	int64		n;
	char	   *model;
	char	   *key;
	MlSet	   *set;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 2, "key");
	model = ml_argument_text(fcinfo, 0);
	key = ml_argument_text(fcinfo, 2);
	ml_registry_require_writable("unpin a row");
	ml_privilege_require(model, ML_PRIVILEGE_TRAIN);
	set = ml_set_open(model, ml_argument_text(fcinfo, 1), true);
	if (!is_pinned(set, key))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("key %s of validation set \"%s\" of model \"%s\" is not pinned",
						quote_literal_cstr(key), set->name, set->model),
				 errdetail("It never was, or the pin was taken away."),
				 errhint("SELECT key, reason FROM mlops.pin lists what is.")));
	ml_change_begin(set, "unpin", set->as_of, &change);
	ml_bind_int8(&args, (int64) hash_of_text(key));
	n = ml_change_fetch(set, "pinned AND key_hash OPERATOR(pg_catalog.=) $1", &args, &rows);
	for (int64 i = 0; i < n; i++)
		ml_change_leave(&change, &rows[i]);
	ml_registry_enter(&scope);
	delete_pin(set, key);
	ml_change_finish(&change);
	ml_registry_leave(&scope);
	PG_RETURN_INT32(change.edition);
}

/* ---- failures ---- */

/* a key is part of an index, which takes no longer ones */
static void
check_key(const char *key)
{
	if (strlen(key) > MOST_KEY)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the key \"%s...\" is too long", pnstrdup(key, pg_mbcliplen(key, strlen(key), 20))),
				 errdetail("It has %zu bytes, and can have %d.", strlen(key), MOST_KEY),
				 errhint("Give the value of the key column of the validation set.")));
}

static void
record(FunctionCallInfo fcinfo, MlStatement *upsert, MlPrivilege privilege)
{
	char	   *by = GetUserNameFromId(GetUserId(), false);
	char	   *model;
	char	   *key;
	MlArguments args = {0};

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "key");
	model = ml_argument_text(fcinfo, 0);
	ml_registry_require_writable("record what somebody says of a row");
	ml_privilege_require(model, privilege);
	key = ml_argument_text(fcinfo, 1);
	check_key(key);
	ml_bind_text(&args, model);
	ml_bind_text(&args, key);
	ml_bind_text(&args, ml_argument_text(fcinfo, 2));
	ml_bind_text(&args, ml_argument_text(fcinfo, 3));
	ml_bind_text(&args, PG_ARGISNULL(4) ? by : ml_argument_text(fcinfo, 4));
	ml_bind_text(&args, by);
	ml_registry_run(upsert, &args);
}

/* mlops_record_failure(model, key, correct_label, note, annotator): a report, which pinning believes */
Datum
mlops_record_failure(PG_FUNCTION_ARGS)
{
	static MlStatement upsert = {
		"INSERT INTO mlops_catalog.failure (model, key, correct_label, note, annotator, reported_by) "
		"VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (model, key) DO UPDATE SET "
		"correct_label = EXCLUDED.correct_label, note = EXCLUDED.note, annotator = EXCLUDED.annotator, "
		"reported_by = EXCLUDED.reported_by, reported_at = pg_catalog.clock_timestamp()"
	};

	record(fcinfo, &upsert, ML_PRIVILEGE_PREDICT);
	PG_RETURN_VOID();
}

/* mlops_record_label(model, key, label, note, annotator): what a refresh believes where the source has none */
Datum
mlops_record_label(PG_FUNCTION_ARGS)
{
	static MlStatement upsert = {
		"INSERT INTO mlops_catalog.label (model, key, label, note, annotator, recorded_by) "
		"VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (model, key) DO UPDATE SET "
		"label = EXCLUDED.label, note = EXCLUDED.note, annotator = EXCLUDED.annotator, "
		"recorded_by = EXCLUDED.recorded_by, recorded_at = pg_catalog.clock_timestamp()"
	};

	ml_require_argument(fcinfo, 2, "label");
	record(fcinfo, &upsert, ML_PRIVILEGE_TRAIN);
	PG_RETURN_VOID();
}
