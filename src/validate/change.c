/*
 * change.c
 *		Making an edition: rows leave, rows enter, and what there is then is recorded.
 *
 * Every change of what a set holds is a new edition. A row is never rewritten,
 * but for the numbers of slices that were made later: it leaves, and enters again.
 * Figures of an edition follow from those of the one before and
 * from what changed, so that they cost no look at the rows that stayed.
 *
 * Whoever changes a set holds the lock on its row of the catalog (ml_set_open), so places of rows
 * found under it stay what they are.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/executor.h"
#include "image.h"
#include "interrupts.h"
#include "json.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "validate/set.h"
#include "validate/validate.h"

#define FINGERPRINT_BYTES 16

/* ---- figures ---- */

void
ml_fingerprint_take_away(MlHash128 *sum, MlHash128 x)
{
	MlHash128	minus = {~x.high, ~x.low};
	MlHash128	one = {0, 1};

	ml_hash128_add(&minus, one);
	ml_hash128_add(sum, minus);
}

bytea *
ml_fingerprint_bytes(MlHash128 fingerprint)
{
	bytea	   *bytes = palloc(VARHDRSZ + FINGERPRINT_BYTES);

	SET_VARSIZE(bytes, VARHDRSZ + FINGERPRINT_BYTES);
	ml_image_put(VARDATA(bytes), fingerprint.high, 8);
	ml_image_put(VARDATA(bytes) + 8, fingerprint.low, 8);
	return bytes;
}

MlHash128
ml_fingerprint_of(Datum datum)
{
	bytea	   *bytes = DatumGetByteaPP(datum);
	MlHash128	fingerprint;

	if (VARSIZE_ANY_EXHDR(bytes) != FINGERPRINT_BYTES)
		elog(ERROR, "a fingerprint of a validation set has %d bytes", (int) VARSIZE_ANY_EXHDR(bytes));
	fingerprint.high = ml_image_get(VARDATA_ANY(bytes), 8);
	fingerprint.low = ml_image_get(VARDATA_ANY(bytes) + 8, 8);
	return fingerprint;
}

static int64 *
count_of(MlChange *change, int number)
{
	if (number >= change->slice_capacity)
	{
		int			capacity = Max(number + 1, 2 * change->slice_capacity);

		change->slice_count = repalloc(change->slice_count, sizeof(int64) * capacity);
		memset(change->slice_count + change->slice_capacity, 0,
			   sizeof(int64) * (capacity - change->slice_capacity));
		change->slice_capacity = capacity;
	}
	return &change->slice_count[number];
}

int64
ml_change_counted(MlChange *change, int number)
{
	return *count_of(change, number);
}

void
ml_groups_count(MlSet *set, int n, const int32 *group, int by)
{
	for (int i = 0; i < n; i++)
		for (int g = 0; g < set->ngroups; g++)
			if (set->group[g].number == group[i])
				set->group[g].kept += by;
}

/* ---- beginning ---- */

typedef struct Names
{
	MlChange   *change;
} Names;

static void
take_count(void *arg, char *key, JsonbValue *value)
{
	MlChange   *change = ((Names *) arg)->change;

	for (int s = 0; s < change->set->nslices; s++)
		if (strcmp(change->set->slice[s].name, key) == 0)
			*count_of(change, change->set->slice[s].number) = (int64) ml_json_number(value);
}

static void
take_newest(MlChange *change)
{
	Names		names = {change};
	bool		isnull;

	change->rows = ml_result_int8(0, 1);
	change->pinned = ml_result_int8(0, 2);
	change->fingerprint = ml_fingerprint_of(ml_result_datum(0, 3, &isnull));
	ml_json_each(DatumGetJsonbP(ml_result_datum(0, 4, &isnull)), take_count, &names);
	change->time_from = ml_result_text(0, 5);
	change->time_to = ml_result_text(0, 6);
}

void
ml_change_begin(MlSet *set, const char *event, TimestampTz as_of, MlChange *change)
{
	static MlStatement select = {
		"SELECT rows, pinned, fingerprint, slices, time_from, time_to FROM mlops_catalog.edition "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND validation_set OPERATOR(pg_catalog.=) $2 "
		"AND edition OPERATOR(pg_catalog.=) $3"
	};
	MemoryContext caller = CurrentMemoryContext;
	MlArguments args = {0};
	MlRegistryScope scope;

	memset(change, 0, sizeof(*change));
	change->set = set;
	change->event = event;
	change->by = GetUserNameFromId(GetUserId(), false);
	change->as_of = as_of;
	change->started = GetCurrentTimestamp();
	change->edition = set->edition + 1;
	change->slice_capacity = set->last_slice + 16;
	change->slice_count = palloc0(sizeof(int64) * change->slice_capacity);
	ml_bind_text(&args, set->model);
	ml_bind_text(&args, set->name);
	ml_bind_int(&args, set->edition);
	ml_registry_enter(&scope);
	if (ml_statement_run(&select, &args) > 0)
	{
		MemoryContext inside = MemoryContextSwitchTo(caller);

		take_newest(change);
		MemoryContextSwitchTo(inside);
	}
	ml_registry_leave(&scope);
}

/* ---- rows ---- */

static int32 *
numbers_of(Datum datum, bool isnull, int *n)
{
	ArrayType  *array;
	int32	   *numbers;

	*n = 0;
	if (isnull)
		return NULL;
	array = DatumGetArrayTypeP(datum);
	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	numbers = palloc(sizeof(int32) * Max(*n, 1));
	memcpy(numbers, ARR_DATA_PTR(array), sizeof(int32) * *n);
	return numbers;
}

static void
take_stored(uint64 i, MlStored *row)
{
	bool		isnull;
	Datum		datum;

	row->place = *(ItemPointer) DatumGetPointer(ml_result_datum(i, 1, &isnull));
	row->key_hash = (uint64) ml_result_int8(i, 2);
	row->fingerprint = ml_fingerprint_of(ml_result_datum(i, 3, &isnull));
	datum = ml_result_datum(i, 4, &isnull);
	row->bucket = isnull ? 0 : DatumGetInt64(datum);
	row->stratum = ml_result_int(i, 5, 0);
	datum = ml_result_datum(i, 6, &isnull);
	row->slice = numbers_of(datum, isnull, &row->nslices);
	datum = ml_result_datum(i, 7, &isnull);
	row->group = numbers_of(datum, isnull, &row->ngroups);
	row->pinned = ml_result_bool(i, 8);
	row->entered = ml_result_int(i, 9, 0);
	row->left = ml_result_int(i, 10, 0);
	row->live = row->left == 0;
}

#define STORED_COLUMNS \
	"ctid, key_hash, row_fingerprint, sample_bucket, sample_stratum, slices, sample_groups, pinned, " \
	"entered_edition, left_edition"
#define NSTORED_COLUMNS 10

/* the columns of the source, after ours */
static MinimalTuple
take_tuple(uint64 row, TupleDesc desc, Datum *values, bool *nulls)
{
	for (int i = 0; i < desc->natts; i++)
	{
		values[i] = ml_result_datum(row, NSTORED_COLUMNS + 1 + i, &nulls[i]);
		if (!nulls[i] && TupleDescAttr(desc, i)->attlen == -1)
			values[i] = PointerGetDatum(PG_DETOAST_DATUM(values[i]));
	}
	return ml_form_minimal_tuple(desc, values, nulls);
}

static MinimalTuple *
take_tuples(const MlSet *set, int64 n)
{
	MinimalTuple *tuples = palloc_extended(ml_size_mul(Max(n, 1), sizeof(MinimalTuple)), MCXT_ALLOC_HUGE);
	TupleDesc	desc = ml_set_desc(set);
	Datum	   *values = palloc(sizeof(Datum) * Max(desc->natts, 1));
	bool	   *nulls = palloc(sizeof(bool) * Max(desc->natts, 1));

	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		tuples[i] = take_tuple(i, desc, values, nulls);
	}
	return tuples;
}

/* runs a statement that answers with stored rows, and the columns of the source if tuples are asked for */
static int64
fetch(const MlSet *set, const char *text, MlArguments *args, MlStored **rows, MinimalTuple **tuples)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext inside;
	MlRegistryScope scope;
	int			code;
	int64		n;

	ml_registry_enter(&scope);
	code = SPI_execute_with_args(text, args->n, args->type, args->value, args->null, false, 0);
	if (code != SPI_OK_SELECT && code != SPI_OK_UPDATE_RETURNING)
		elog(ERROR, "could not run \"%s\": %s", text, SPI_result_code_string(code));
	n = (int64) SPI_processed;
	inside = MemoryContextSwitchTo(caller);
	*rows = MemoryContextAllocHuge(caller, ml_size_mul(Max(n, 1), sizeof(MlStored)));
	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		take_stored(i, &(*rows)[i]);
	}
	if (tuples != NULL)
		*tuples = take_tuples(set, n);
	MemoryContextSwitchTo(inside);
	ml_registry_leave(&scope);
	return n;
}

int64
ml_change_fetch_tuples(const MlSet *set, const char *condition, MlArguments *args,
					   MlStored **rows, MinimalTuple **tuples)
{
	return fetch(set, psprintf("SELECT " STORED_COLUMNS "%s%s FROM %s WHERE %s", tuples ? ", " : "",
							   tuples ? ml_set_column_list(set, "") : "", ml_set_table(set), condition),
				 args, rows, tuples);
}

int64
ml_change_fetch(const MlSet *set, const char *condition, MlArguments *args, MlStored **rows)
{
	return ml_change_fetch_tuples(set, psprintf("left_edition IS NULL AND (%s)", condition), args, rows, NULL);
}

void
ml_change_leave(MlChange *change, const MlStored *row)
{
	if (change->nleaving == change->leaving_capacity)
	{
		change->leaving_capacity = Max(64, 2 * change->leaving_capacity);
		change->leaving = change->leaving == NULL ?
			palloc(sizeof(ItemPointerData) * change->leaving_capacity) :
			repalloc_huge(change->leaving, ml_size_mul(change->leaving_capacity, sizeof(ItemPointerData)));
	}
	change->leaving[change->nleaving++] = row->place;
	change->rows--;
	change->rows_out++;
	ml_fingerprint_take_away(&change->fingerprint, row->fingerprint);
	if (row->pinned)
	{
		change->pinned--;
		return;
	}
	for (int i = 0; i < row->nslices; i++)
		(*count_of(change, row->slice[i]))--;
	ml_groups_count(change->set, row->ngroups, row->group, -1);
}

void
ml_change_enter(MlChange *change, const MlEntering *row)
{
	if (change->nentering == change->entering_capacity)
	{
		change->entering_capacity = Max(64, 2 * change->entering_capacity);
		change->entering = change->entering == NULL ?
			palloc(sizeof(MlEntering) * change->entering_capacity) :
			repalloc_huge(change->entering, ml_size_mul(change->entering_capacity, sizeof(MlEntering)));
	}
	change->entering[change->nentering++] = *row;
	change->rows++;
	change->rows_in++;
	ml_hash128_add(&change->fingerprint, row->row->fingerprint);
	change->pinned += row->pinned;
	if (!row->pinned)
		ml_groups_count(change->set, row->ngroups, row->group, 1);
}

void
ml_change_decide(MlChange *change)
{
	MinimalTuple *tuple = palloc_extended(ml_size_mul(Max(change->nentering, 1), sizeof(MinimalTuple)), MCXT_ALLOC_HUGE);
	List	  **slices = palloc_extended(ml_size_mul(Max(change->nentering, 1), sizeof(List *)), MCXT_ALLOC_HUGE);

	for (int64 i = 0; i < change->nentering; i++)
	{
		tuple[i] = change->entering[i].row->tuple;
		slices[i] = change->entering[i].slices;
	}
	ml_slices_of_others(change->set, change->nentering, tuple, slices);
	for (int64 i = 0; i < change->nentering; i++)
	{
		ListCell   *lc;

		change->entering[i].slices = slices[i];
		if (!change->entering[i].pinned)
			foreach(lc, slices[i])
				(*count_of(change, lfirst_int(lc)))++;
	}
}

/* ---- writing ---- */

static Datum
numbers_datum(int n, const int32 *number)
{
	Datum	   *values = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		values[i] = Int32GetDatum(number[i]);
	return PointerGetDatum(n == 0 ? construct_empty_array(INT4OID) :
						   construct_array(values, n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

static Datum
list_datum(List *numbers)
{
	int32	   *number = palloc(sizeof(int32) * Max(list_length(numbers), 1));
	ListCell   *lc;
	int			n = 0;

	list_sort(numbers, ml_list_int_cmp);
	foreach(lc, numbers)
		number[n++] = lfirst_int(lc);
	return numbers_datum(n, number);
}

static TupleDesc
full_desc(const MlSet *set)
{
	static const struct
	{
		const char *name;
		Oid			type;
	}			own[ML_OWN_COLUMNS] = {
		{"entered_edition", INT4OID}, {"left_edition", INT4OID}, {"sample_bucket", INT8OID},
		{"sample_stratum", INT4OID}, {"sample_groups", INT4ARRAYOID}, {"pinned", BOOLOID},
		{"slices", INT4ARRAYOID}, {"key_hash", INT8OID}, {"row_fingerprint", BYTEAOID}
	};
	TupleDesc	source = ml_set_desc(set);
	TupleDesc	desc = CreateTemplateTupleDesc(ML_OWN_COLUMNS + set->ncolumns);

	for (int i = 0; i < ML_OWN_COLUMNS; i++)
		TupleDescInitEntry(desc, i + 1, own[i].name, own[i].type, -1, 0);
	for (int i = 0; i < set->ncolumns; i++)
		TupleDescCopyEntry(desc, ML_OWN_COLUMNS + i + 1, source, i + 1);
	return desc;
}

static void
put_row(const MlChange *change, const MlEntering *row, Datum *values, bool *nulls)
{
	values[0] = Int32GetDatum(change->edition);
	nulls[1] = true;
	values[2] = Int64GetDatum(row->bucket);
	values[3] = Int32GetDatum(row->stratum);
	nulls[2] = nulls[3] = nulls[4] = row->pinned;
	values[4] = row->pinned ? (Datum) 0 : numbers_datum(row->ngroups, row->group);
	values[5] = BoolGetDatum(row->pinned);
	values[6] = list_datum(row->slices);
	values[7] = Int64GetDatum((int64) row->row->key_hash);
	values[8] = PointerGetDatum(ml_fingerprint_bytes(row->row->fingerprint));
}

/* values of a row that enters, for all columns of the table */
typedef struct Entering
{
	const MlChange *change;
	TupleTableSlot *slot;
} Entering;

static void
next_entering(const void *arg, int64 row, Datum *values, bool *nulls)
{
	const Entering *entering = arg;
	const MlChange *change = entering->change;
	TupleTableSlot *slot = entering->slot;

	memset(nulls, 0, sizeof(bool) * ML_OWN_COLUMNS);
	put_row(change, &change->entering[row], values, nulls);
	ExecStoreMinimalTuple(change->entering[row].row->tuple, slot, false);
	slot_getallattrs(slot);
	memcpy(values + ML_OWN_COLUMNS, slot->tts_values, sizeof(Datum) * change->set->ncolumns);
	memcpy(nulls + ML_OWN_COLUMNS, slot->tts_isnull, sizeof(bool) * change->set->ncolumns);
}

static Tuplestorestate *
store_entering(const Entering *entering, TupleDesc desc)
{
	Tuplestorestate *store = tuplestore_begin_heap(false, false, work_mem);
	Datum	   *values = palloc0(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc0(sizeof(bool) * desc->natts);
	MemoryContext row_cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops row", ALLOCSET_DEFAULT_SIZES);

	for (int64 i = 0; i < entering->change->nentering; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(row_cxt);

		ml_check_row(i);
		next_entering(entering, i, values, nulls);
		tuplestore_putvalues(store, desc, values, nulls);
		MemoryContextSwitchTo(old);
		MemoryContextReset(row_cxt);
	}
	MemoryContextDelete(row_cxt);
	return store;
}

static int
compare_entering(const void *a, const void *b)
{
	const MlEntering *x = a;
	const MlEntering *y = b;

	if (x->bucket != y->bucket)
		return x->bucket < y->bucket ? -1 : 1;
	return x->row->key_hash < y->row->key_hash ? -1 : x->row->key_hash > y->row->key_hash;
}

/* as a trigger reads its transition table: for tables that somebody has given indexes of their own */
static void
enter_by_query(const Entering *entering, TupleDesc desc)
{
	const MlSet *set = entering->change->set;
	EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));
	char	   *text;
	int			code;

	enr->md.name = pstrdup("mlops_entering");
	enr->md.tupdesc = desc;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	enr->md.enrtuples = (double) entering->change->nentering;
	enr->reldata = store_entering(entering, desc);
	code = SPI_register_relation(enr);
	if (code != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register rows: %s", SPI_result_code_string(code));
	text = psprintf("INSERT INTO %s (entered_edition, left_edition, sample_bucket, sample_stratum, sample_groups, "
					"pinned, slices, key_hash, row_fingerprint, %s) SELECT * FROM mlops_entering",
					ml_set_table(set), ml_set_column_list(set, ""));
	code = SPI_execute(text, false, 0);
	if (code != SPI_OK_INSERT)
		elog(ERROR, "could not run \"%s\": %s", text, SPI_result_code_string(code));
	SPI_unregister_relation(enr->md.name);
	tuplestore_end(enr->reldata);
}

/* by bucket, since rows of a bucket leave together; the order within it is no matter, but always the same */
static void
write_entering(MlChange *change)
{
	Entering	entering = {change};
	TupleDesc	desc = full_desc(change->set);

	if (change->nentering == 0)
		return;
	qsort(change->entering, change->nentering, sizeof(MlEntering), compare_entering);
	entering.slot = MakeSingleTupleTableSlot(ml_set_desc(change->set), &TTSOpsMinimalTuple);
	if (!ml_table_enter(change->set, desc, change->nentering, next_entering, &entering))
		enter_by_query(&entering, desc);
	ExecDropSingleTupleTableSlot(entering.slot);
}

static Jsonb *
slices_json(MlChange *change)
{
	MlJson		json = {0};

	ml_json_begin_object(&json);
	for (int s = 0; s < change->set->nslices; s++)
		ml_json_put_int(&json, change->set->slice[s].name, *count_of(change, change->set->slice[s].number));
	ml_json_put_int(&json, ML_SLICE_PINNED, change->pinned);
	ml_json_end_object(&json);
	return ml_json_finish(&json);
}

static Jsonb *
skipped_json(const MlChange *change)
{
	static const char *const why[] = {"key is NULL", "target is NULL", "time is NULL"};
	MlJson		json = {0};

	ml_json_begin_object(&json);
	for (int i = 0; i < lengthof(why); i++)
		if (change->skipped[i] > 0)
			ml_json_put_int(&json, why[i], change->skipped[i]);
	ml_json_end_object(&json);
	return ml_json_finish(&json);
}

static void
write_edition(MlChange *change)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.edition (model, validation_set, edition, event, as_of, rows, pinned, rows_in, "
		"rows_out, kept, rows_read, rows_skipped, slices, time_from, time_to, fingerprint, seconds, refreshed_by) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)"
	};
	MlArguments args = {0};

	ml_bind_text(&args, change->set->model);
	ml_bind_text(&args, change->set->name);
	ml_bind_int(&args, change->edition);
	ml_bind_text(&args, change->event);
	ml_bind_time(&args, change->as_of);
	ml_bind_int8(&args, change->rows);
	ml_bind_int8(&args, change->pinned);
	ml_bind_int8(&args, change->rows_in);
	ml_bind_int8(&args, change->rows_out);
	ml_bind_int8(&args, change->rows - change->rows_in);
	ml_bind_int8(&args, change->rows_read);
	ml_bind_jsonb(&args, skipped_json(change));
	ml_bind_jsonb(&args, slices_json(change));
	ml_bind_text(&args, change->time_from);
	ml_bind_text(&args, change->time_to);
	ml_bind_datum(&args, BYTEAOID, PointerGetDatum(ml_fingerprint_bytes(change->fingerprint)), false);
	ml_bind_float(&args, (double) (GetCurrentTimestamp() - change->started) / USECS_PER_SEC);
	ml_bind_text(&args, change->by);
	ml_statement_run(&insert, &args);
}

Jsonb *
ml_groups_json(const MlSet *set)
{
	MlJson		json = {0};

	ml_json_begin_object(&json);
	for (int g = 0; g < set->ngroups; g++)
	{
		ml_json_key(&json, set->group[g].name);
		ml_json_begin_object(&json);
		ml_json_put_int(&json, "number", set->group[g].number);
		ml_json_put_int(&json, "kept", set->group[g].kept);
		ml_json_end_object(&json);
	}
	ml_json_end_object(&json);
	return ml_json_finish(&json);
}

static void
write_set(const MlChange *change)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.validation_set SET edition = $3, as_of = $4, watermark = COALESCE($5, watermark), "
		"groups = $6, last_slice = $7, error = NULL, error_at = NULL "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND name OPERATOR(pg_catalog.=) $2"
	};
	MlArguments args = {0};

	ml_bind_text(&args, change->set->model);
	ml_bind_text(&args, change->set->name);
	ml_bind_int(&args, change->edition);
	ml_bind_time(&args, change->as_of);
	ml_bind_int8_or_null(&args, change->watermark, !change->moves_watermark);
	ml_bind_jsonb(&args, ml_groups_json(change->set));
	ml_bind_int(&args, change->set->last_slice);
	ml_statement_run(&update, &args);
}

void
ml_change_finish(MlChange *change)
{
	ml_slices_store(change->set);
	ml_table_leave(change->set, change->leaving, change->nleaving, change->edition);
	write_entering(change);
	write_edition(change);
	write_set(change);
	change->set->edition = change->edition;
}
