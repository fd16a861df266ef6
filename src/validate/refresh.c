/*
 * refresh.c
 *		mlops_refresh_validation_set: what is new in the source becomes an edition.
 *
 * Time is cut into buckets that never move. A refresh reads the source again from
 * the bucket in which the last one ended, less the lateness; these buckets are sampled
 * anew and compared with what is stored of them, by key and fingerprint: what
 * is the same stays, what changed or vanished leaves, what came enters. Earlier
 * buckets are left alone but for rows that fall out of the window, rows that moved
 * to a later time, and thinning (sample.c). So the cost follows what is new. The same
 * source and the same times give the same editions, row for row.
 */
#include "postgres.h"

#include <math.h>

#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "interrupts.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "validate/set.h"
#include "validate/validate.h"

PG_FUNCTION_INFO_V1(mlops_refresh_validation_set);

#define REFRESHED_COLUMNS 7

typedef struct Refresh
{
	MlSet	   *set;
	MlChange   *change;
	MlWindow	window;
	MlSetReading	reading;
	MlBudget	budget;
	int64		nold;
	MlStratum  *old;			/* strata of the newest edition */
	HTAB	   *strata;			/* of them, by bucket and number */
	int64		nstored;
	MlStored   *stored;			/* rows of the buckets that are read again */
	HTAB	   *by_key;			/* of them */
	MlPlan		plan;
	List	   *opened;			/* strata that begin with this edition */
} Refresh;

typedef struct StratumEntry
{
	int64		bucket;
	int32		stratum;
	MlStratum  *is;
} StratumEntry;

#define STRATUM_ENTRY_KEY (offsetof(StratumEntry, stratum) + sizeof(int32))

typedef struct StoredEntry
{
	uint64		key_hash;
	MlStored   *row;
	bool		stays;
} StoredEntry;

static HTAB *
make_table(const char *name, Size key, Size entry)
{
	HASHCTL		control = {0};

	control.keysize = key;
	control.entrysize = entry;
	control.hcxt = CurrentMemoryContext;
	return hash_create(name, 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* ---- what there is ---- */

static void
read_strata(Refresh *refresh)
{
	refresh->nold = ml_strata_read(refresh->set, &refresh->old);
	refresh->strata = make_table("mlops strata", STRATUM_ENTRY_KEY, sizeof(StratumEntry));
	for (int64 i = 0; i < refresh->nold; i++)
	{
		StratumEntry *entry = hash_search(refresh->strata, &refresh->old[i], HASH_ENTER, NULL);

		entry->is = &refresh->old[i];
	}
}

static MlStratum *
stratum_of(Refresh *refresh, const MlStored *row)
{
	StratumEntry key = {.bucket = row->bucket, .stratum = row->stratum};
	StratumEntry *entry = hash_search(refresh->strata, &key, HASH_FIND, NULL);

	return entry ? entry->is : NULL;
}

static void
leave(Refresh *refresh, const MlStored *row)
{
	MlStratum  *stratum = stratum_of(refresh, row);

	ml_change_leave(refresh->change, row);
	if (stratum != NULL)
		stratum->kept--;
}

/*
 * Rows that the window has left behind: not below the first bucket that has rows, since the index knows those
 * that left until it is vacuumed.
 */
static void
leave_behind(Refresh *refresh)
{
	MlRange		range;
	MlStored   *rows;
	int64		n;

	if (refresh->set->clock == ML_CLOCK_NONE || refresh->nold == 0)
		return;
	range.first_bucket = refresh->old[0].bucket;
	range.last_bucket = refresh->window.first_bucket;
	range.before = true;
	range.time = refresh->window.from;
	n = ml_table_rows(refresh->set, &range, &rows);
	for (int64 i = 0; i < n; i++)
		leave(refresh, &rows[i]);
}

/* ---- rows that came ---- */

typedef struct KeyAt
{
	uint64		key_hash;
	const MlCandidate *row;
} KeyAt;

static int
compare_keys(const void *a, const void *b)
{
	const KeyAt *x = a;
	const KeyAt *y = b;

	if (x->key_hash != y->key_hash)
		return x->key_hash < y->key_hash ? -1 : 1;
	return 0;
}

static void
refuse_duplicates(const MlSet *set, const KeyAt *key, int64 n)
{
	for (int64 i = 1; i < n; i++)
	{
		int64		equal = 1;

		ml_check_row(i);
		while (i < n && key[i].key_hash == key[i - 1].key_hash)
		{
			equal++;
			i++;
		}
		if (equal > 1)
			ereport(ERROR,
					(errcode(ERRCODE_CARDINALITY_VIOLATION),
					 errmsg("the source of validation set \"%s\" of model \"%s\" has key %s " INT64_FORMAT " times",
							set->name, set->model, quote_literal_cstr(ml_set_key_text(set, key[i - 1].row->tuple)), equal),
					 errdetail("The column \"%s\" tells rows apart: which are sampled, and which have changed.", set->key),
					 errhint("Let the source give one row a key, with DISTINCT ON or GROUP BY, or name another column.")));
	}
}

/* rows of the window, of buckets from one to another */
static void
range_of(const Refresh *refresh, int64 first, int64 last, MlRange *range)
{
	range->first_bucket = first;
	range->last_bucket = last;
	range->before = false;
	range->time = refresh->window.from;
}

/* a row whose time is a later one now is stored under its earlier one */
static void
leave_moved(Refresh *refresh, const KeyAt *key, int64 n)
{
	const MlWindow *window = &refresh->window;
	uint64	   *hashes;
	MlRange		range;
	MlStored   *rows;
	int64		moved;

	if (refresh->set->edition == 0 || n == 0 || window->read_bucket <= window->first_bucket)
		return;
	hashes = palloc_extended(ml_size_mul(n, sizeof(uint64)), MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < n; i++)
		hashes[i] = key[i].key_hash;
	range_of(refresh, window->first_bucket, window->read_bucket - 1, &range);
	moved = ml_table_rows_of_keys(refresh->set, hashes, n, &range, &rows);
	for (int64 i = 0; i < moved; i++)
		leave(refresh, &rows[i]);
	pfree(hashes);
}

static void
look_at_keys(Refresh *refresh)
{
	MlSetReading  *reading = &refresh->reading;
	KeyAt	   *key = palloc_extended(ml_size_mul(Max(reading->ncandidates, 1), sizeof(KeyAt)), MCXT_ALLOC_HUGE);
	int64		n = 0;

	for (int c = 0; c < reading->ncells; c++)
		for (int i = 0; i < reading->cell[c]->n; i++)
		{
			key[n].key_hash = reading->cell[c]->candidate[i].key_hash;
			key[n++].row = &reading->cell[c]->candidate[i];
		}
	qsort(key, n, sizeof(KeyAt), compare_keys);
	refuse_duplicates(refresh->set, key, n);
	leave_moved(refresh, key, n);
	pfree(key);
}

/* what is stored of the buckets that were read again */
static void
fetch_stored(Refresh *refresh)
{
	MlRange		range;

	refresh->by_key = make_table("mlops stored rows", sizeof(uint64), sizeof(StoredEntry));
	if (refresh->set->edition == 0)
		return;
	range_of(refresh, refresh->window.read_bucket, PG_INT64_MAX, &range);
	refresh->nstored = ml_table_rows(refresh->set, &range, &refresh->stored);
	for (int64 i = 0; i < refresh->nstored; i++)
	{
		StoredEntry *entry = hash_search(refresh->by_key, &refresh->stored[i].key_hash, HASH_ENTER, NULL);

		entry->row = &refresh->stored[i];
		entry->stays = false;
	}
}

/* ---- how many ---- */

static void
plan_sample(Refresh *refresh)
{
	MlSet	   *set = refresh->set;
	MlNeeds		needs = {0};

	needs.nslices = set->last_slice;
	needs.slice_kept = palloc0(sizeof(int64) * (set->last_slice + 1));
	needs.slice_min = palloc0(sizeof(int64) * (set->last_slice + 1));
	needs.ngroups = set->ngroups;
	needs.group_kept = palloc0(sizeof(int64) * (set->ngroups + 1));
	needs.group_min = set->min_rows;
	for (int s = 0; s < set->nslices; s++)
	{
		needs.slice_kept[set->slice[s].number] = ml_change_counted(refresh->change, set->slice[s].number);
		needs.slice_min[set->slice[s].number] = set->slice[s].min_rows;
	}
	for (int g = 0; g < set->ngroups; g++)
		needs.group_kept[set->group[g].number] = set->group[g].kept;
	for (int64 i = 0; i < refresh->nstored; i++)
	{
		for (int s = 0; s < refresh->stored[i].nslices; s++)
			if (refresh->stored[i].slice[s] <= needs.nslices)
				needs.slice_kept[refresh->stored[i].slice[s]]--;
		for (int g = 0; g < refresh->stored[i].ngroups; g++)
			needs.group_kept[refresh->stored[i].group[g]]--;
	}
	refresh->plan.old = palloc_extended(ml_size_mul(Max(refresh->nold, 1), sizeof(MlStratum *)), MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < refresh->nold; i++)
	{
		MlStratum  *old = &refresh->old[i];

		/* where a part of a stratum has left, its weight says how many the rest stands for */
		old->population = (int64) rint(old->weight * (double) old->kept);
		if (old->bucket >= refresh->window.first_bucket && old->bucket < refresh->window.read_bucket && old->kept > 0)
			refresh->plan.old[refresh->plan.nold++] = old;
	}
	ml_sample_plan(&refresh->reading, &needs, &refresh->plan);
}

/* ---- which ---- */

static bool
same_own_slices(const MlSet *set, const MlStored *stored, const MlKindOfRow *kind)
{
	int			own = 0;

	for (int i = 0; i < stored->nslices; i++)
	{
		const MlSetSlice *slice = NULL;

		for (int s = 0; s < set->nslices && slice == NULL; s++)
			if (set->slice[s].number == stored->slice[i])
				slice = &set->slice[s];
		if (slice == NULL || !ml_slice_is_own(set, slice))
			continue;
		if (own >= kind->nslices || kind->slice[own] != stored->slice[i])
			return false;
		own++;
	}
	return own == kind->nslices;
}

static void
enter(Refresh *refresh, const MlStratum *stratum, const MlDrawn *drawn)
{
	const MlKindOfRow *kind = &refresh->reading.kind[drawn->kind];
	MlEntering	row = {0};

	row.row = drawn->row;
	row.bucket = stratum->bucket;
	row.stratum = stratum->stratum;
	for (int i = 0; i < kind->nslices; i++)
		row.slices = lappend_int(row.slices, kind->slice[i]);
	row.ngroups = kind->ngroups;
	row.group = kind->group;
	ml_change_enter(refresh->change, &row);
}

static void
draw_stratum(Refresh *refresh, MlStratum *stratum)
{
	int64		n;
	MlDrawn    *drawn = ml_sample_rows(stratum, &n);

	for (int64 i = 0; i < stratum->take; i++)
	{
		StoredEntry *stored = hash_search(refresh->by_key, &drawn[i].row->key_hash, HASH_FIND, NULL);

		ml_check_row(i);
		if (stored != NULL && !stored->stays &&
			memcmp(&stored->row->fingerprint, &drawn[i].row->fingerprint, sizeof(MlHash128)) == 0 &&
			stored->row->bucket == stratum->bucket && stored->row->stratum == stratum->stratum &&
			same_own_slices(refresh->set, stored->row, &refresh->reading.kind[drawn[i].kind]))
			stored->stays = true;
		else
			enter(refresh, stratum, &drawn[i]);
	}
	pfree(drawn);
}

static void
open_stratum(Refresh *refresh, MlStratum *stratum)
{
	StratumEntry key = {.bucket = stratum->bucket, .stratum = stratum->stratum};
	StratumEntry *entry;

	stratum->kept = stratum->take;
	entry = hash_search(refresh->strata, &key, HASH_FIND, NULL);
	if (entry != NULL && entry->is->population == stratum->population && entry->is->kept == stratum->kept &&
		entry->is->guarded == stratum->guarded && entry->is->weight == stratum->weight)
	{
		entry->is->take = -1;	/* stays as it is */
		return;
	}
	refresh->opened = lappend(refresh->opened, stratum);
}

static void
draw(Refresh *refresh)
{
	for (int s = 0; s < refresh->plan.nnew; s++)
	{
		MlStratum  *stratum = &refresh->plan.new[s];

		draw_stratum(refresh, stratum);
		stratum->weight = (double) stratum->population / (double) Max(stratum->take, 1);
		open_stratum(refresh, stratum);
	}
	for (int64 i = 0; i < refresh->nstored; i++)
	{
		StoredEntry *entry = hash_search(refresh->by_key, &refresh->stored[i].key_hash, HASH_FIND, NULL);

		ml_check_row(i);
		if (!entry->stays || entry->row != &refresh->stored[i])
			ml_change_leave(refresh->change, &refresh->stored[i]);
	}
}

/* ---- thinning ---- */

typedef struct Thinned
{
	uint64		priority;
	MlStratum  *stratum;
	MlStored   *row;
} Thinned;

static int
compare_thinned(const void *a, const void *b)
{
	const Thinned *x = a;
	const Thinned *y = b;

	if (x->stratum != y->stratum)
		return x->stratum < y->stratum ? -1 : 1;
	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	return 0;
}

/* those of a stratum after the first take leave */
static void
thin_rows(Refresh *refresh, Thinned *thinned, int64 n)
{
	int64		of_stratum = 0;

	for (int64 i = 0; i < n; i++)
	{
		of_stratum = i > 0 && thinned[i].stratum == thinned[i - 1].stratum ? of_stratum + 1 : 0;
		if (of_stratum >= thinned[i].stratum->take)
			ml_change_leave(refresh->change, thinned[i].row);
	}
}

static HTAB *
places_leaving(const MlChange *change)
{
	HTAB	   *places = make_table("mlops leaving rows", sizeof(ItemPointerData), sizeof(ItemPointerData));

	for (int i = 0; i < change->nleaving; i++)
		(void) hash_search(places, &change->leaving[i], HASH_ENTER, NULL);
	return places;
}

static void
thin(Refresh *refresh)
{
	MlRange		range;
	HTAB	   *leaving;
	MlStored   *rows;
	int64		n;
	int64		m = 0;
	Thinned    *thinned;

	if (!refresh->plan.thin)
		return;
	range_of(refresh, refresh->window.first_bucket, refresh->window.read_bucket - 1, &range);
	n = ml_table_rows(refresh->set, &range, &rows);
	leaving = places_leaving(refresh->change);
	thinned = palloc_extended(ml_size_mul(Max(n, 1), sizeof(Thinned)), MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < n; i++)
	{
		MlStratum  *stratum = stratum_of(refresh, &rows[i]);

		if (stratum == NULL || stratum->take >= stratum->kept ||
			hash_search(leaving, &rows[i].place, HASH_FIND, NULL) != NULL)
			continue;
		thinned[m].priority = ml_hash_word(rows[i].key_hash, (uint64) refresh->set->seed);
		thinned[m].stratum = stratum;
		thinned[m++].row = &rows[i];
	}
	qsort(thinned, m, sizeof(Thinned), compare_thinned);
	thin_rows(refresh, thinned, m);
}

/* ---- all of it ---- */

static void
check_order(const MlSet *set, TimestampTz as_of)
{
	char	   *newest = pstrdup(timestamptz_to_str(set->as_of));

	if (TIMESTAMP_NOT_FINITE(as_of))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"as_of\" is %s", timestamptz_to_str(as_of)),
				 errdetail("An edition is of a moment, which is finite."),
				 errhint("Give a time; the default is now.")));
	if (set->edition > 0 && set->frozen)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("validation set \"%s\" of model \"%s\" is frozen", set->name, set->model),
				 errdetail("Its rows were taken when it was made."),
				 errhint("Make another set without frozen => true.")));
	if (set->edition > 0 && as_of < set->as_of)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("validation set \"%s\" of model \"%s\" cannot go back in time", set->name, set->model),
				 errdetail("It was refreshed as of %s, and is to be refreshed as of %s.",
						   newest, timestamptz_to_str(as_of)),
				 errhint("Give the same or a later as_of, or make another set to replay history.")));
}

static void
tell_skipped(const MlSet *set, const MlSetReading *reading)
{
	struct
	{
		int64		n;
		const char *why;
	}			skipped[] = {
		{reading->no_key, "key"}, {reading->no_label, "target"}, {reading->no_time, "time"}
	};

	for (int i = 0; i < lengthof(skipped); i++)
		if (skipped[i].n > 0)
			ereport(NOTICE,
					(errmsg(INT64_FORMAT " rows of validation set \"%s\" were left out: their %s is NULL",
							skipped[i].n, set->name, skipped[i].why)));
}

/* the source is read under a snapshot taken after the lock: what the refresh before saw, this one sees */
static void
read_source(Refresh *refresh)
{
	MlSetReading  *reading = &refresh->reading;

	ml_budget_begin(&refresh->budget);
	reading->set = refresh->set;
	reading->window = &refresh->window;
	reading->budget = &refresh->budget;
	PushActiveSnapshot(GetTransactionSnapshot());
	ml_read_window(reading);
	PopActiveSnapshot();
	tell_skipped(refresh->set, reading);
	refresh->change->rows_read = reading->rows_read;
	refresh->change->skipped[0] = reading->no_key;
	refresh->change->skipped[1] = reading->no_label;
	refresh->change->skipped[2] = reading->no_time;
}

void
ml_refresh(MlSet *set, TimestampTz as_of, MlChange *change)
{
	Refresh		refresh = {0};
	MlRegistryScope scope;

	check_order(set, as_of);
	ml_change_begin(set, "refresh", as_of, change);
	refresh.set = set;
	refresh.change = change;
	ml_clock_window(set, as_of, &refresh.window);
	change->time_from = ml_clock_text(set, refresh.window.from);
	change->time_to = ml_clock_text(set, refresh.window.to);
	change->moves_watermark = set->clock != ML_CLOCK_NONE;
	change->watermark = refresh.window.to;
	read_source(&refresh);
	read_strata(&refresh);
	leave_behind(&refresh);
	look_at_keys(&refresh);
	fetch_stored(&refresh);
	plan_sample(&refresh);
	draw(&refresh);
	thin(&refresh);
	PushActiveSnapshot(GetTransactionSnapshot());
	ml_change_decide(change);
	PopActiveSnapshot();
	ml_registry_enter(&scope);
	ml_change_finish(change);
	ml_strata_write(change, &refresh.window, refresh.old, refresh.nold, refresh.opened);
	ml_registry_leave(&scope);
}

static Datum
refreshed_row(FunctionCallInfo fcinfo, const MlChange *change)
{
	TupleDesc	desc;
	Datum		values[REFRESHED_COLUMNS];
	bool		nulls[REFRESHED_COLUMNS] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE || desc->natts != REFRESHED_COLUMNS)
		elog(ERROR, "result is not of type mlops.refreshed");
	values[0] = Int32GetDatum(change->edition);
	values[1] = TimestampTzGetDatum(change->as_of);
	values[2] = Int64GetDatum(change->rows);
	values[3] = Int64GetDatum(change->rows_in);
	values[4] = Int64GetDatum(change->rows_out);
	values[5] = Int64GetDatum(change->rows - change->rows_in);
	values[6] = Int64GetDatum(change->rows_read);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* mlops_refresh_validation_set(model, validation_set, as_of) */
Datum
mlops_refresh_validation_set(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops refresh", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;
	MlChange	change;
	char	   *model;
	char	   *name;
	Datum		result;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 2, "as_of");
	ml_registry_require_writable("refresh a validation set");
	old = MemoryContextSwitchTo(cxt);
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	name = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	ml_privilege_require(model, ML_PRIVILEGE_TRAIN);
	ml_refresh(ml_set_open(model, name, true), PG_GETARG_TIMESTAMPTZ(2), &change);
	MemoryContextSwitchTo(old);
	result = refreshed_row(fcinfo, &change);
	MemoryContextDelete(cxt);
	return result;
}
