/*
 * read.c
 *		Rows out of a set's source, run as its author.
 *
 * One query reads what a refresh needs: the columns as they are stored, then
 * as text or boolean what decides strata and slices. Rows are counted by cell - bucket of
 * time and kind of row - and only those of least priority are held: where there are
 * many more than can be kept, every cell lets go of its greatest priorities
 * and takes no more beyond the greatest that is left. What a cell holds is so
 * always all of its rows up to a limit, from which any number of least
 * priorities is a random sample.
 */
#include "postgres.h"

#include <math.h>

#include "compat.h"
#include "executor/executor.h"
#include "frame/frame.h"
#include "frame/value.h"
#include "interrupts.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "validate/read.h"
#include "validate/set.h"
#include "validate/validate.h"

#define CANDIDATES_A_ROW	4	/* held for a row that can be kept, before cells let go */
#define CANDIDATES_AT_LEAST	65536
#define CELL_AT_LEAST		64
#define FIRST_CANDIDATES	8
#define CELL_KEY_SIZE		(offsetof(MlCell, kind) + sizeof(int))

/* ---- cells ---- */

static int
compare_candidates(const void *a, const void *b)
{
	const MlCandidate *x = a;
	const MlCandidate *y = b;

	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	return 0;
}

static void
let_go_of_cell(MlSetReading *reading, MlCell *cell, int64 keep)
{
	qsort(cell->candidate, cell->n, sizeof(MlCandidate), compare_candidates);
	for (int64 i = keep; i < cell->n; i++)
	{
		ml_budget_give(reading->budget, cell->candidate[i].tuple->t_len);
		pfree(cell->candidate[i].tuple);
	}
	reading->ncandidates -= cell->n - keep;
	cell->n = (int) keep;
	cell->limit = cell->candidate[keep - 1].priority;
}

static void
let_go(MlSetReading *reading)
{
	MlReadState *state = reading->state;
	MlSet	   *set = reading->set;
	double		rate = CANDIDATES_A_ROW * (double) set->max_rows / (double) reading->rows_read;
	int64		least = CELL_AT_LEAST + 2 * set->min_rows;
	HASH_SEQ_STATUS scan;
	MlCell	   *cell;

	for (int s = 0; s < set->nslices; s++)
		least = Max(least, CELL_AT_LEAST + 2 * set->slice[s].min_rows);
	hash_seq_init(&scan, state->cells);
	while ((cell = hash_seq_search(&scan)) != NULL)
	{
		int64		keep = Max(least, (int64) ceil(rate * (double) cell->population));

		CHECK_FOR_INTERRUPTS();
		if (keep < cell->n)
			let_go_of_cell(reading, cell, keep);
	}
	state->let_go_at = Max(state->let_go_at, 2 * reading->ncandidates);
}

static MlCell *
cell_of(MlSetReading *reading, int64 bucket, int kind)
{
	MlCell		key = {.bucket = bucket, .kind = kind};
	bool		found;
	MlCell	   *cell = hash_search(reading->state->cells, &key, HASH_ENTER, &found);

	if (found)
		return cell;
	ml_budget_take(reading->budget, sizeof(MlCell) + sizeof(MlCandidate) * FIRST_CANDIDATES + ML_READ_OVERHEAD,
				   "strata of a validation set");
	cell->population = 0;
	cell->n = 0;
	cell->capacity = FIRST_CANDIDATES;
	cell->candidate = MemoryContextAlloc(reading->cxt, sizeof(MlCandidate) * cell->capacity);
	cell->limit = PG_UINT64_MAX;
	return cell;
}

static void
add_candidate(MlSetReading *reading, MlCell *cell, const MlCandidate *candidate)
{
	if (cell->n == cell->capacity)
	{
		ml_budget_take(reading->budget, ml_size_mul(cell->capacity, sizeof(MlCandidate)), "rows of a validation set");
		cell->capacity *= 2;
		cell->candidate = repalloc_huge(cell->candidate, ml_size_mul(cell->capacity, sizeof(MlCandidate)));
	}
	cell->candidate[cell->n++] = *candidate;
	if (++reading->ncandidates > reading->state->let_go_at)
		let_go(reading);
}

/* ---- rows ---- */

/* values that stand by themselves: not in another table, not compressed */
static void
detoast(TupleDesc desc, Datum *values, const bool *nulls)
{
	for (int i = 0; i < desc->natts; i++)
		if (!nulls[i] && TupleDescAttr(desc, i)->attlen == -1)
			values[i] = PointerGetDatum(PG_DETOAST_DATUM_PACKED(values[i]));
}

static void
take_row(MlSetReading *reading, TupleTableSlot *slot)
{
	MlReadState *state = reading->state;
	MlSet	   *set = reading->set;
	MlCandidate candidate;
	MlCell	   *cell;
	MlExtras	extras;
	int64		bucket = 0;
	bool		infinite;

	if (slot->tts_isnull[set->key_at])
	{
		reading->no_key++;
		return;
	}
	candidate.key_hash = ml_hash_key(state->key_type, slot->tts_values[set->key_at], 0);
	if (set->target_at >= 0 && slot->tts_isnull[set->target_at] && !reading->unlabelled &&
		!ml_read_take_label(state, candidate.key_hash, slot))
	{
		reading->no_label++;
		return;
	}
	ml_read_extras(state, slot, &extras);
	if (set->time_at >= 0 && reading->window != NULL)
		bucket = ml_clock_bucket(reading->window, ml_clock_value(set->clock, set->column[set->time_at].stored_type,
																 slot->tts_values[set->time_at], &infinite));
	cell = cell_of(reading, bucket, ml_read_kind(reading, &extras));
	cell->population++;
	candidate.priority = ml_hash_word(candidate.key_hash, (uint64) set->seed);
	if (candidate.priority > cell->limit)
		return;
	detoast(state->desc, slot->tts_values, slot->tts_isnull);
	candidate.fingerprint = ml_row_fingerprint(state->desc, state->secret, slot->tts_values, slot->tts_isnull);
	MemoryContextSwitchTo(reading->cxt);
	candidate.tuple = ml_form_minimal_tuple(state->desc, slot->tts_values, slot->tts_isnull);
	ml_budget_take(reading->budget, candidate.tuple->t_len, "rows of a validation set");
	add_candidate(reading, cell, &candidate);
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	MlReadState *state = (MlReadState *) self;
	MemoryContext old = MemoryContextSwitchTo(state->row_cxt);

	slot_getallattrs(slot);
	state->reading->rows_read++;
	ml_check_row(state->reading->rows_read);
	take_row(state->reading, slot);
	MemoryContextSwitchTo(old);
	MemoryContextReset(state->row_cxt);
	return true;
}

static void
receive_start(DestReceiver *self, int operation, TupleDesc desc)
{
}

static void
receive_end(DestReceiver *self)
{
}

static void
begin(MlSetReading *reading)
{
	MlSet	   *set = reading->set;
	MlReadState *state;

	reading->cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops validation rows", ALLOCSET_DEFAULT_SIZES);
	state = MemoryContextAllocZero(reading->cxt, sizeof(MlReadState));
	reading->state = state;
	state->pub.receiveSlot = receive_row;
	state->pub.rStartup = receive_start;
	state->pub.rShutdown = receive_end;
	state->pub.rDestroy = receive_end;
	state->pub.mydest = DestNone;
	state->reading = reading;
	state->desc = ml_set_desc(set);
	state->row_cxt = AllocSetContextCreate(reading->cxt, "mlops row", ALLOCSET_DEFAULT_SIZES);
	state->secret = ml_row_secrets(set);
	state->key_type = set->column[set->key_at].stored_type;
	state->condition = palloc(sizeof(int) * Max(set->nslices, 1));
	for (int s = 0; s < set->nslices; s++)
		if (set->slice[s].condition != NULL && ml_slice_is_own(set, &set->slice[s]))
			state->condition[state->nconditions++] = s;
	state->nextras = set->classes + set->nstratify + state->nconditions;
	for (int b = 0; b < set->nby; b++)
		state->nextras += set->by[b].ncolumns;
	state->let_go_at = CANDIDATES_AT_LEAST + CANDIDATES_A_ROW * set->max_rows;
	state->cells = ml_read_table("mlops cells", CELL_KEY_SIZE, sizeof(MlCell), reading->cxt);
	state->kinds = ml_read_table("mlops kinds", sizeof(uint64), sizeof(MlKindEntry), reading->cxt);
	ml_read_target_texts(state);
	ml_read_labels(state);
	reading->kinds_capacity = 16;
	reading->kind = MemoryContextAlloc(reading->cxt, sizeof(MlKindOfRow) * reading->kinds_capacity);
}

static int
compare_cells(const void *a, const void *b)
{
	const MlCell *x = *(MlCell *const *) a;
	const MlCell *y = *(MlCell *const *) b;

	if (x->bucket != y->bucket)
		return x->bucket < y->bucket ? -1 : 1;
	return x->kind - y->kind;
}

static void
list_cells(MlSetReading *reading)
{
	HASH_SEQ_STATUS scan;
	MlCell	   *cell;

	reading->cell = MemoryContextAlloc(reading->cxt, sizeof(MlCell *) * Max(hash_get_num_entries(reading->state->cells), 1));
	hash_seq_init(&scan, reading->state->cells);
	while ((cell = hash_seq_search(&scan)) != NULL)
		reading->cell[reading->ncells++] = cell;
	qsort(reading->cell, reading->ncells, sizeof(MlCell *), compare_cells);
}

/* ---- the query ---- */

static char *
source_column(const char *name)
{
	return psprintf("mlops_source.%s", quote_identifier(name));
}

static void
append_text_column(StringInfo text, const char *name)
{
	appendStringInfo(text, ", %s::pg_catalog.text", source_column(name));
}

/* label: an expression in place of the target, or NULL */
static void
begin_query(const MlSetReading *reading, StringInfo text, const char *label)
{
	const MlSet *set = reading->set;

	initStringInfo(text);
	appendStringInfoString(text, "SELECT ");
	for (int i = 0; i < set->ncolumns; i++)
	{
		const MlSetColumn *column = &set->column[i];
		const char *value = label != NULL && i == set->target_at ? label : source_column(column->name);

		appendStringInfo(text, "%s%s", i > 0 ? ", " : "", value);
		if (strcmp(column->type, column->stored) != 0)
			appendStringInfo(text, "::%s", column->stored);
	}
	if (set->classes)
		appendStringInfo(text, ", %s::pg_catalog.text", label ? label : source_column(set->target));
	for (int i = 0; i < set->nstratify; i++)
		append_text_column(text, set->stratify[i]);
	for (int b = 0; b < set->nby; b++)
		for (int c = 0; c < set->by[b].ncolumns; c++)
			append_text_column(text, set->by[b].column[c]);
	for (int c = 0; c < reading->state->nconditions; c++)
		appendStringInfo(text, ", (%s\n)", set->slice[reading->state->condition[c]].condition);
	appendStringInfo(text, " FROM (%s\n) AS mlops_source", ml_source_query(set->source));
}

typedef struct Counter
{
	DestReceiver pub;
	int64		n;
} Counter;

static bool
receive_count(TupleTableSlot *slot, DestReceiver *self)
{
	slot_getallattrs(slot);
	((Counter *) self)->n = DatumGetInt64(slot->tts_values[0]);
	return true;
}

/* rows without a time are in no window; told once, since looking for them costs */
static int64
count_timeless(const MlSet *set, const char *context)
{
	Counter		counter = {{0}};

	counter.pub.receiveSlot = receive_count;
	counter.pub.rStartup = receive_start;
	counter.pub.rShutdown = receive_end;
	counter.pub.rDestroy = receive_end;
	counter.pub.mydest = DestNone;
	ml_read_run(psprintf("SELECT pg_catalog.count(*) FROM (%s\n) AS mlops_source WHERE %s IS NULL",
						 ml_source_query(set->source), source_column(set->time_column)),
				NULL, &counter.pub, context);
	return counter.n;
}

static char *
source_in_words(const MlSet *set)
{
	return psprintf("the source of validation set \"%s\"", set->name);
}

void
ml_read_window(MlSetReading *reading)
{
	MlSet	   *set = reading->set;
	char	   *what = source_in_words(set);
	MlAuthored	authored;
	MlAuthorScope scope;
	StringInfoData text;

	begin(reading);
	ml_set_authored(set, what, &authored);
	ml_author_enter(&set->author, &authored, &scope);
	ml_shape_check(set);
	begin_query(reading, &text, NULL);
	if (set->time_column != NULL)
		appendStringInfo(&text, " WHERE %s >= %s AND %s < %s",
						 source_column(set->time_column), ml_clock_literal(set, reading->window->read_from),
						 source_column(set->time_column), ml_clock_literal(set, reading->window->to));
	ml_read_run(text.data, NULL, &reading->state->pub, what);
	if (set->time_column != NULL && set->edition == 0)
		reading->no_time = count_timeless(set, what);
	ml_author_leave(&scope);
	list_cells(reading);
}

void
ml_read_unlabelled(MlSetReading *reading)
{
	MlSet	   *set = reading->set;
	char	   *what = source_in_words(set);
	MlAuthored	authored;
	MlAuthorScope scope;
	StringInfoData text;

	reading->unlabelled = true;
	begin(reading);
	ml_set_authored(set, what, &authored);
	ml_author_enter(&set->author, &authored, &scope);
	ml_shape_check(set);
	begin_query(reading, &text, NULL);
	if (set->target_at >= 0)
		appendStringInfo(&text, " WHERE %s IS NULL", source_column(set->target));
	ml_read_run(text.data, NULL, &reading->state->pub, what);
	ml_author_leave(&scope);
	list_cells(reading);
}

/* as it is stored, so that a text which can be stored can be compared */
static char *
key_column(const MlSet *set)
{
	const MlSetColumn *key = &set->column[set->key_at];

	return strcmp(key->type, key->stored) == 0 ? source_column(set->key) :
		psprintf("(%s::%s)", source_column(set->key), key->stored);
}

/* the target of these keys is what somebody says that it is */
static char *
label_expression(const MlSet *set, char *const *key, const char *const *label, int n)
{
	StringInfoData text;
	bool		any = false;

	if (set->target_at < 0 || label == NULL)
		return NULL;
	initStringInfo(&text);
	appendStringInfoString(&text, "(CASE");
	for (int i = 0; i < n; i++)
		if (label[i] != NULL)
		{
			appendStringInfo(&text, " WHEN %s = %s THEN %s::%s", key_column(set), quote_literal_cstr(key[i]),
							 quote_literal_cstr(label[i]), set->column[set->target_at].stored);
			any = true;
		}
	appendStringInfo(&text, " ELSE %s::%s END)", source_column(set->target), set->column[set->target_at].stored);
	return any ? text.data : NULL;
}

void
ml_read_keys(MlSetReading *reading, char *const *key, const char *const *label, int n)
{
	MlSet	   *set = reading->set;
	char	   *what = source_in_words(set);
	MlAuthored	authored;
	MlAuthorScope scope;
	StringInfoData text;

	begin(reading);
	ml_set_authored(set, what, &authored);
	ml_author_enter(&set->author, &authored, &scope);
	ml_shape_check(set);
	begin_query(reading, &text, label_expression(set, key, label, n));
	appendStringInfo(&text, " WHERE %s IN (", key_column(set));
	for (int i = 0; i < n; i++)
		appendStringInfo(&text, "%s%s", i > 0 ? ", " : "", quote_literal_cstr(key[i]));
	appendStringInfoChar(&text, ')');
	ml_read_run(text.data, NULL, &reading->state->pub, what);
	ml_author_leave(&scope);
	list_cells(reading);
}
