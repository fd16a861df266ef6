/*
 * set.c
 *		A validation set as its rows of the catalog say.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "errors.h"
#include "executor/tuptable.h"
#include "json.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "validate/set.h"
#include "validate/validate.h"

/* ---- which set ---- */

static List *
read_names(MlStatement *select, MlArguments *args)
{
	MemoryContext caller = CurrentMemoryContext;
	MlRegistryScope scope;
	List	   *names = NIL;
	uint64		n;

	ml_registry_enter(&scope);
	n = ml_statement_run(select, args);
	for (uint64 i = 0; i < n; i++)
	{
		char	   *name = ml_result_text(i, 1);
		MemoryContext old = MemoryContextSwitchTo(caller);

		names = lappend(names, pstrdup(name));
		MemoryContextSwitchTo(old);
	}
	ml_registry_leave(&scope);
	return names;
}

List *
ml_validation_sets(const char *model)
{
	static MlStatement select = {
		"SELECT name FROM mlops_catalog.validation_set WHERE model OPERATOR(pg_catalog.=) $1 "
		"ORDER BY name"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	return read_names(&select, &args);
}

List *
ml_validation_slices(const char *model, const char *validation_set)
{
	static MlStatement select = {
		"SELECT name FROM mlops_catalog.slice WHERE model OPERATOR(pg_catalog.=) $1 "
		"AND validation_set OPERATOR(pg_catalog.=) $2 ORDER BY name"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_text(&args, validation_set);
	return lappend(read_names(&select, &args), pstrdup(ML_SLICE_PINNED));
}

static void
error_no_set(const char *model, const char *name)
{
	List	   *names = ml_validation_sets(model);
	ListCell   *lc;
	MlNearest	nearest;

	if (names == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" has no validation set \"%s\"", model, name),
				 errdetail("It has none at all."),
				 errhint("Make one with mlops_create_validation_set.")));
	ml_nearest_begin(&nearest, name);
	foreach(lc, names)
		ml_nearest_offer(&nearest, lfirst(lc));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("model \"%s\" has no validation set \"%s\"", model, name),
			 errdetail("It has %d of other names; names are compared exactly.", list_length(names)),
			 nearest.best ? errhint("Perhaps you meant \"%s\".", nearest.best) :
			 errhint("SELECT name FROM mlops.validation_set WHERE model = %s lists them.",
					 quote_literal_cstr(model))));
}

/* the only set of the model */
static const char *
only_set(const char *model)
{
	List	   *names = ml_validation_sets(model);
	StringInfoData text;
	ListCell   *lc;

	if (list_length(names) == 1)
		return linitial(names);
	if (names == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model \"%s\" has no validation set", model),
				 errdetail("There are no labelled rows to judge its versions by."),
				 errhint("Make one with mlops_create_validation_set.")));
	initStringInfo(&text);
	foreach(lc, names)
		appendStringInfo(&text, "%s\"%s\"", text.len > 0 ? ", " : "", (char *) lfirst(lc));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("model \"%s\" has %d validation sets", model, list_length(names)),
			 errdetail("They are %s.", text.data),
			 errhint("Name one: validation_set => ...")));
	return NULL;				/* keep the compiler quiet */
}

/* ---- reading the row ---- */

char **
ml_set_texts(Datum array, int *n)
{
	Datum	   *elements;
	bool	   *nulls;
	char	  **texts;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, n);
	texts = palloc(sizeof(char *) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		texts[i] = nulls[i] ? NULL : TextDatumGetCString(elements[i]);
	return texts;
}

static Interval *
interval_of(uint64 row, int column)
{
	bool		isnull;
	Datum		datum = ml_result_datum(row, column, &isnull);
	Interval   *interval;

	if (isnull)
		return NULL;
	interval = palloc(sizeof(Interval));
	*interval = *DatumGetIntervalP(datum);
	return interval;
}

static int64
bigint_of(uint64 row, int column, bool *isnull)
{
	Datum		datum = ml_result_datum(row, column, isnull);

	return *isnull ? 0 : DatumGetInt64(datum);
}

static Jsonb *
jsonb_of(uint64 row, int column)
{
	bool		isnull;

	return DatumGetJsonbPCopy(ml_result_datum(row, column, &isnull));
}

/* of the elements of slices those that name columns */
static void
find_slices_by(MlSet *set, uint64 row, int column)
{
	bool		isnull;
	int			n;
	char	  **text = ml_set_texts(ml_result_datum(row, column, &isnull), &n);

	set->by = palloc0(sizeof(MlSliceBy) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		MlSliceBy  *by = &set->by[set->nby];

		by->ncolumns = ml_slice_columns(set->ncolumns, set->column, text[i], by->column);
		if (by->ncolumns > 0)
			set->nby++;
	}
}

static void
add_group(void *arg, char *key, JsonbValue *value)
{
	MlSet	   *set = arg;
	Jsonb	   *object = JsonbValueToJsonb(value);
	JsonbValue	number;

	set->group[set->ngroups].name = key;
	if (ml_json_find(object, "number", &number))
		set->group[set->ngroups].number = (int) ml_json_number(&number);
	if (ml_json_find(object, "kept", &number))
		set->group[set->ngroups].kept = (int64) ml_json_number(&number);
	set->ngroups++;
}

static void
read_row(MlSet *set)
{
	bool		isnull;

	set->relation = ml_result_text(0, 1);
	ml_author_read(&set->author, ml_result_text(0, 2), jsonb_of(0, 3));
	set->source = ml_result_text(0, 4);
	set->target = ml_result_text(0, 5);
	set->key = ml_result_text(0, 6);
	set->time_column = ml_result_text(0, 7);
	set->time_unit = interval_of(0, 8);
	set->time_origin = bigint_of(0, 9, &isnull);
	set->period = interval_of(0, 10);
	set->label_delay = interval_of(0, 11);
	set->lateness = interval_of(0, 12);
	set->every = interval_of(0, 13);
	set->max_rows = bigint_of(0, 14, &isnull);
	set->min_rows = bigint_of(0, 15, &isnull);
	ml_shape_from_json(jsonb_of(0, 19), &set->ncolumns, &set->column);
	find_slices_by(set, 0, 16);
	set->stratify = ml_set_texts(ml_result_datum(0, 17, &isnull), &set->nstratify);
	set->classes = ml_result_bool(0, 18);
	set->seed = bigint_of(0, 20, &isnull);
	set->frozen = ml_result_bool(0, 21);
	set->edition = ml_result_int(0, 22, 0);
	set->as_of = bigint_of(0, 23, &isnull);
	set->watermark = bigint_of(0, 24, &isnull);
	set->has_watermark = !isnull;
	set->last_slice = ml_result_int(0, 26, 0);
	set->group = palloc0(sizeof(MlSetGroup) * Max(JB_ROOT_COUNT(jsonb_of(0, 25)), 1));
	ml_json_each(jsonb_of(0, 25), add_group, set);
	set->target_at = set->target ? ml_set_find_column(set, set->target) : -1;
	set->key_at = ml_set_find_column(set, set->key);
	set->time_at = set->time_column ? ml_set_find_column(set, set->time_column) : -1;
	if (set->time_at >= 0)
		set->clock = ml_clock_of(set->column[set->time_at].stored_type);
}

#define SET_COLUMNS \
	"SELECT relation, author, settings, source, target, key, time_column, time_unit, time_origin, period, " \
	"label_delay, lateness, every, max_rows, min_rows, slices, stratify_by, classes, columns, seed, frozen, " \
	"edition, as_of, watermark, groups, last_slice FROM mlops_catalog.validation_set " \
	"WHERE model OPERATOR(pg_catalog.=) $1 AND name OPERATOR(pg_catalog.=) $2"

static void
read_slices(MlSet *set, uint64 (*run) (MlStatement *statement, MlArguments *args))
{
	static MlStatement select = {
		"SELECT number, name, columns, value, condition, author, settings, min_rows FROM mlops_catalog.slice "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND validation_set OPERATOR(pg_catalog.=) $2 ORDER BY number"
	};
	MemoryContext cxt = CurrentMemoryContext;
	MlArguments args = {0};

	ml_bind_text(&args, set->model);
	ml_bind_text(&args, set->name);
	set->nslices = (int) run(&select, &args);
	MemoryContextSwitchTo(cxt);
	set->slice = palloc0(sizeof(MlSetSlice) * Max(set->nslices, 1));
	for (int i = 0; i < set->nslices; i++)
	{
		MlSetSlice *slice = &set->slice[i];
		bool		isnull;
		Datum		columns = ml_result_datum(i, 3, &isnull);
		char	  **columns_text;
		char	  **values_text;
		int			n;

		slice->number = ml_result_int(i, 1, 0);
		slice->name = ml_result_text(i, 2);
		slice->condition = ml_result_text(i, 5);
		ml_author_read(&slice->author, ml_result_text(i, 6), jsonb_of(i, 7));
		slice->min_rows = bigint_of(i, 8, &isnull);
		if (slice->condition != NULL)
			continue;
		columns_text = ml_set_texts(columns, &slice->ncolumns);
		values_text = ml_set_texts(ml_result_datum(i, 4, &isnull), &n);
		for (int c = 0; c < slice->ncolumns; c++)
		{
			slice->column[c] = columns_text[c];
			slice->value[c] = values_text[c];
		}
	}
}

/* values that a column-slice has so far */
static void
count_values(MlSet *set)
{
	for (int b = 0; b < set->nby; b++)
		for (int s = 0; s < set->nslices; s++)
		{
			bool		same = set->slice[s].ncolumns == set->by[b].ncolumns;

			for (int c = 0; same && c < set->by[b].ncolumns; c++)
				same = strcmp(set->slice[s].column[c], set->by[b].column[c]) == 0;
			set->by[b].nvalues += same;
		}
}

/*
 * NULL: there is none, or it is locked. Without a lock it is what the caller's statement sees, so that what
 * the set says and the rows that are read next are of one moment.
 */
static MlSet *
open_set(const char *model, const char *name, MlStatement *read, bool lock)
{
	uint64		(*run) (MlStatement *statement, MlArguments *args) = lock ? ml_statement_run : ml_statement_look;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext inside;
	MlArguments args = {0};
	MlRegistryScope scope;
	MlSet	   *set = palloc0(sizeof(MlSet));
	bool		found;

	set->model = pstrdup(model);
	set->name = pstrdup(name);
	ml_bind_text(&args, model);
	ml_bind_text(&args, set->name);
	ml_registry_enter(&scope);
	found = run(read, &args) > 0;
	if (found)
	{
		inside = MemoryContextSwitchTo(caller);
		read_row(set);
		read_slices(set, run);
		count_values(set);
		MemoryContextSwitchTo(inside);
	}
	ml_registry_leave(&scope);
	return found ? set : NULL;
}

MlSet *
ml_set_open(const char *model, const char *name, bool lock)
{
	static MlStatement plain = {SET_COLUMNS};
	static MlStatement locked = {SET_COLUMNS " FOR UPDATE"};
	MlSet	   *set;

	if (name == NULL)
		name = only_set(model);
	set = open_set(model, name, lock ? &locked : &plain, lock);
	if (set == NULL)
		error_no_set(model, name);
	return set;
}

MlSet *
ml_set_open_free(const char *model, const char *name)
{
	static MlStatement skip = {SET_COLUMNS " FOR UPDATE SKIP LOCKED"};

	return open_set(model, name, &skip, true);
}

void
ml_set_authored(const MlSet *set, const char *what, MlAuthored *authored)
{
	authored->what = what;
	authored->model = set->model;
	authored->privilege = ML_PRIVILEGE_TRAIN;
	authored->hint = psprintf("mlops_grant(%s, ...) gives it back; else drop the set or the slice and make it again as yourself.",
							  quote_literal_cstr(set->model));
}

/* ---- its table ---- */

int
ml_set_find_column(const MlSet *set, const char *name)
{
	for (int i = 0; i < set->ncolumns; i++)
		if (strcmp(set->column[i].name, name) == 0)
			return i;
	return -1;
}

char *
ml_set_table(const MlSet *set)
{
	return quote_qualified_identifier(ML_DATA_SCHEMA, set->relation);
}

char *
ml_set_column_list(const MlSet *set, const char *prefix)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < set->ncolumns; i++)
		appendStringInfo(&list, "%s%s%s", i > 0 ? ", " : "", prefix, quote_identifier(set->column[i].name));
	return list.data;
}

TupleDesc
ml_set_desc(const MlSet *set)
{
	TupleDesc	desc = CreateTemplateTupleDesc(set->ncolumns);

	for (int i = 0; i < set->ncolumns; i++)
		TupleDescInitEntry(desc, i + 1, set->column[i].name, set->column[i].stored_type,
						   set->column[i].stored_typmod, 0);
	return desc;
}

/* the key of a row, for people */
char *
ml_set_key_text(const MlSet *set, MinimalTuple tuple)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(ml_set_desc(set), &TTSOpsMinimalTuple);
	Oid			output;
	bool		varlena;
	char	   *text;

	ExecStoreMinimalTuple(tuple, slot, false);
	slot_getallattrs(slot);
	getTypeOutputInfo(set->column[set->key_at].stored_type, &output, &varlena);
	text = OidOutputFunctionCall(output, slot->tts_values[set->key_at]);
	if (set->column[set->key_at].stored_type == BPCHAROID)
		text[bpchartruelen(text, strlen(text))] = '\0';
	ExecDropSingleTupleTableSlot(slot);
	return text;
}
