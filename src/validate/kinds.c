/*
 * kinds.c
 *		What rows of a set's source are in: slices, class, values of stratify_by; and the
 *		labels that people gave to rows that have none.
 *
 * Rows that agree in all of these are of one kind, worked out once.
 */
#include "postgres.h"

#include "fmgr.h"
#include "interrupts.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "validate/read.h"

/* ---- kinds of rows ---- */

/* more than so many would be counted one by one for nothing: the rest share the last */
static int
group_number(MlSet *set, const char *name)
{
	for (int g = 0; g < set->ngroups; g++)
		if (strcmp(set->group[g].name, name) == 0)
			return set->group[g].number;
	if (set->ngroups >= ML_MAX_SAMPLE_GROUPS)
		return set->group[ML_MAX_SAMPLE_GROUPS - 1].number;
	set->group = set->ngroups == 0 ? palloc(sizeof(MlSetGroup)) :
		repalloc(set->group, sizeof(MlSetGroup) * (set->ngroups + 1));
	set->group[set->ngroups].name = pstrdup(name);
	set->group[set->ngroups].number = set->ngroups + 1;
	set->group[set->ngroups].kept = 0;
	return ++set->ngroups;
}

static int
compare_numbers(const void *a, const void *b)
{
	return *(const int32 *) a - *(const int32 *) b;
}

static void
name_groups(MlSetReading *reading, const MlExtras *extras, MlKindOfRow *kind)
{
	MlSet	   *set = reading->set;
	StringInfoData name;
	int			at = 0;

	kind->group = palloc(sizeof(int32) * 2);
	if (set->classes && extras->text[at] == NULL)
		at++;					/* unlabelled rows were asked for */
	else if (set->classes)
		kind->group[kind->ngroups++] = group_number(set, psprintf("class %s", extras->text[at++]));
	if (set->nstratify == 0)
		return;
	initStringInfo(&name);
	appendStringInfoString(&name, "stratum");
	for (int i = 0; i < set->nstratify; i++)
		appendStringInfo(&name, "%c%s", i > 0 ? ',' : ' ', extras->text[at + i] ?
						 quote_literal_cstr(extras->text[at + i]) : "NULL");
	kind->group[kind->ngroups++] = group_number(set, name.data);
	pfree(name.data);
}

static void
number_slices(MlSetReading *reading, const MlExtras *extras, MlKindOfRow *kind)
{
	MlSet	   *set = reading->set;
	MlReadState *state = reading->state;
	int			at = set->classes + set->nstratify;

	kind->slice = palloc(sizeof(int32) * Max(set->nby + state->nconditions, 1));
	for (int b = 0; b < set->nby; b++)
	{
		MlSetSlice *slice = ml_slice_of_value(set, &set->by[b], extras->text + at);

		if (slice != NULL)
			kind->slice[kind->nslices++] = slice->number;
		at += set->by[b].ncolumns;
	}
	for (int c = 0; c < state->nconditions; c++)
		if (extras->text[at + c] != NULL)
			kind->slice[kind->nslices++] = set->slice[state->condition[c]].number;
	qsort(kind->slice, kind->nslices, sizeof(int32), compare_numbers);
}

int
ml_read_kind(MlSetReading *reading, const MlExtras *extras)
{
	MlReadState *state = reading->state;
	MlKindEntry  *entry;
	bool		found;
	MemoryContext old;

	entry = hash_search(state->kinds, &extras->hash, HASH_ENTER, &found);
	if (found)
		return entry->kind;
	ml_budget_take(reading->budget, 2 * sizeof(MlKindOfRow) + sizeof(MlKindEntry) + 2 * ML_READ_OVERHEAD,
				   "strata of a validation set");
	old = MemoryContextSwitchTo(reading->cxt);
	if (reading->nkinds == reading->kinds_capacity)
	{
		reading->kinds_capacity *= 2;
		reading->kind = repalloc_huge(reading->kind, ml_size_mul(reading->kinds_capacity, sizeof(MlKindOfRow)));
	}
	entry->kind = reading->nkinds++;
	memset(&reading->kind[entry->kind], 0, sizeof(MlKindOfRow));
	reading->kind[entry->kind].hash = extras->hash;
	name_groups(reading, extras, &reading->kind[entry->kind]);
	number_slices(reading, extras, &reading->kind[entry->kind]);
	MemoryContextSwitchTo(old);
	return entry->kind;
}

/* texts of strata and slices, then conditions */
void
ml_read_extras(MlReadState *state, TupleTableSlot *slot, MlExtras *extras)
{
	int			first = state->desc->natts;
	int			ntexts = state->nextras - state->nconditions;

	extras->text = palloc0(sizeof(char *) * Max(state->nextras, 1));
	extras->hash = 0;
	for (int i = 0; i < state->nextras; i++)
	{
		bool		isnull = slot->tts_isnull[first + i];
		Datum		value = slot->tts_values[first + i];

		if (i >= ntexts)
			extras->text[i] = !isnull && DatumGetBool(value) ? "" : NULL;
		else if (!isnull)
			extras->text[i] = TextDatumGetCString(value);
		extras->hash = ml_hash_word(extras->hash, extras->text[i] ?
									ml_hash_bytes(extras->text[i], strlen(extras->text[i]), 0) | 1 : 0);
	}
}

/* ---- labels of people ---- */

HTAB *
ml_read_table(const char *name, Size key, Size entry, MemoryContext cxt)
{
	HASHCTL		control = {0};

	control.keysize = key;
	control.entrysize = entry;
	control.hcxt = cxt;
	return hash_create(name, 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * A row without a label takes the one that somebody gave it; so do the columns after the stored ones
 * that are the target's text. Types are built in: reading the text runs no code of a user.
 */
bool
ml_read_take_label(MlReadState *state, uint64 key_hash, TupleTableSlot *slot)
{
	MlSet	   *set = state->reading->set;
	const MlSetColumn *target = &set->column[set->target_at];
	MlLabelEntry *entry = state->labels ? hash_search(state->labels, &key_hash, HASH_FIND, NULL) : NULL;
	Oid			input;
	Oid			parameter;

	if (entry == NULL)
		return false;
	getTypeInputInfo(target->stored_type, &input, &parameter);
	slot->tts_values[set->target_at] = OidInputFunctionCall(input, entry->label, parameter, target->stored_typmod);
	slot->tts_isnull[set->target_at] = false;
	for (int i = 0; i < state->nextras - state->nconditions; i++)
		if (state->is_target[i])
		{
			slot->tts_values[state->desc->natts + i] = CStringGetTextDatum(entry->label);
			slot->tts_isnull[state->desc->natts + i] = false;
		}
	return true;
}

/* one that cannot be a value of the target is told and left out: it must not stop the others */
static bool
is_possible(const MlSet *set, const char *key, const char *label)
{
	if (ml_is_value(&set->column[set->target_at], label))
		return true;
	ereport(NOTICE,
			(errmsg("the label of key %s was left out: %s is no value of column \"%s\"",
					quote_literal_cstr(key), quote_literal_cstr(label), set->target)));
	return false;
}

void
ml_read_labels(MlReadState *state)
{
	static MlStatement select = {
		"SELECT key, label FROM mlops_catalog.label WHERE model OPERATOR(pg_catalog.=) $1"
	};
	MlArguments args = {0};
	MlRegistryScope scope;
	uint64		n;

	if (state->reading->set->target_at < 0)
		return;
	ml_bind_text(&args, state->reading->set->model);
	ml_registry_enter(&scope);
	n = ml_statement_run(&select, &args);
	if (n > 0)
		state->labels = ml_read_table("mlops labels", sizeof(uint64), sizeof(MlLabelEntry), state->reading->cxt);
	for (uint64 i = 0; i < n; i++)
	{
		char	   *key = ml_result_text(i, 1);
		char	   *label = ml_result_text(i, 2);
		uint64		hash = ml_hash_bytes(key, strlen(key), 0);
		MlLabelEntry *entry;

		ml_check_row((int64) i);
		if (!is_possible(state->reading->set, key, label))
			continue;
		entry = hash_search(state->labels, &hash, HASH_ENTER, NULL);
		entry->label = MemoryContextStrdup(state->reading->cxt, label);
	}
	ml_registry_leave(&scope);
}

/* in the order in which begin_query writes them */
void
ml_read_target_texts(MlReadState *state)
{
	MlSet	   *set = state->reading->set;
	int			at = 0;

	state->is_target = palloc0(sizeof(bool) * Max(state->nextras, 1));
	if (set->target_at < 0)
		return;
	if (set->classes)
		state->is_target[at++] = true;
	for (int i = 0; i < set->nstratify; i++)
		state->is_target[at++] = strcmp(set->stratify[i], set->target) == 0;
	for (int b = 0; b < set->nby; b++)
		for (int c = 0; c < set->by[b].ncolumns; c++)
			state->is_target[at++] = strcmp(set->by[b].column[c], set->target) == 0;
}
