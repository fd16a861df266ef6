/*
 * named_slice.c
 *		mlops_create_slice and mlops_drop_slice: conditions named after a set was made.
 *
 * The rows that are stored, of every edition, are decided, half a megabyte of them at once; their
 * numbers of slices are all that ever changes in a stored row, and are no part of its fingerprint.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "errors.h"
#include "fmgr.h"
#include "interrupts.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "registry/gate_row.h"
#include "validate/set.h"
#include "validate/validate.h"

#define BLOCKS_AT_ONCE	64

PG_FUNCTION_INFO_V1(mlops_create_slice);
PG_FUNCTION_INFO_V1(mlops_drop_slice);

static const MlSetSlice *
find_slice(const MlSet *set, const char *name)
{
	for (int s = 0; s < set->nslices; s++)
		if (strcmp(set->slice[s].name, name) == 0)
			return &set->slice[s];
	return NULL;
}

static void
check_new(const MlSet *set, const char *name, int64 min_rows)
{
	if (find_slice(set, name) != NULL || strcmp(name, ML_SLICE_PINNED) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("validation set \"%s\" of model \"%s\" has a slice \"%s\" already", set->name, set->model, name),
				 strcmp(name, ML_SLICE_PINNED) == 0 ? errdetail("The rows that are pinned have this name.") :
				 errdetail("What a slice holds is decided when rows enter, and stays."),
				 errhint("Choose another name, or drop it first with mlops_drop_slice.")));
	if (name[0] == '\0' || strlen(name) > 500)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("the name of a slice has %d bytes", (int) strlen(name)),
				 errdetail("It must have from 1 to 500."),
				 errhint("Choose a short name, such as 'new customers'.")));
	if (min_rows < 0 || min_rows > set->max_rows)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"min_rows\" is " INT64_FORMAT, min_rows),
				 errdetail("It must be from 0 to max_rows, which is " INT64_FORMAT ".", set->max_rows),
				 errhint("Left out, it is that of the set.")));
}

static MlSetSlice *
add_slice(MlSet *set, char *name, char *condition, int64 min_rows)
{
	MlSetSlice *slice;

	set->slice = repalloc(set->slice, sizeof(MlSetSlice) * (set->nslices + 1));
	slice = &set->slice[set->nslices++];
	memset(slice, 0, sizeof(*slice));
	slice->number = ++set->last_slice;
	slice->name = name;
	slice->condition = condition;
	slice->min_rows = min_rows;
	slice->fresh = true;
	ml_author_here(&slice->author);
	return slice;
}

/* stored rows that a condition is true for */
typedef struct Members
{
	ItemPointerData *place;
	int64		n;
	int64		capacity;
	int64		counted;		/* those that are live in the newest edition and not pinned */
} Members;

static BlockNumber
count_blocks(const MlSet *set)
{
	Relation	table = table_open(get_relname_relid(set->relation, get_namespace_oid(ML_DATA_SCHEMA, false)),
								   AccessShareLock);
	BlockNumber blocks = RelationGetNumberOfBlocks(table);

	table_close(table, AccessShareLock);
	return blocks;
}

static void
add_member(Members *members, const MlStored *row)
{
	if (members->n == members->capacity)
	{
		members->capacity *= 2;
		members->place = repalloc_huge(members->place, ml_size_mul(members->capacity, sizeof(ItemPointerData)));
	}
	members->place[members->n++] = row->place;
	members->counted += row->live && !row->pinned;
}

static void
find_members(const MlSet *set, const MlSetSlice *slice, BlockNumber from, Members *members)
{
	MlArguments args = {0};
	MlStored   *rows;
	MinimalTuple *tuples;
	List	  **slices;
	ItemPointerData first;
	ItemPointerData end;
	int64		n;

	ItemPointerSet(&first, from, 0);
	ItemPointerSet(&end, from + BLOCKS_AT_ONCE, 0);
	ml_bind_datum(&args, TIDOID, PointerGetDatum(&first), false);
	ml_bind_datum(&args, TIDOID, PointerGetDatum(&end), false);
	n = ml_change_fetch_tuples(set, "ctid OPERATOR(pg_catalog.>=) $1 AND ctid OPERATOR(pg_catalog.<) $2", &args,
							   &rows, &tuples);
	slices = palloc_extended(ml_size_mul(Max(n, 1), sizeof(List *)), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	PushActiveSnapshot(GetTransactionSnapshot());
	ml_slice_decide(set, slice, n, tuples, slices);
	PopActiveSnapshot();
	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		if (slices[i] != NIL)
			add_member(members, &rows[i]);
	}
}

/* rows of every edition, so many at once as lie in half a megabyte */
static void
find_all_members(const MlSet *set, const MlSetSlice *slice, Members *members)
{
	BlockNumber blocks = count_blocks(set);
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops members of slice", ALLOCSET_DEFAULT_SIZES);

	members->capacity = 64;
	members->place = palloc(members->capacity * sizeof(ItemPointerData));
	for (BlockNumber from = 0; from < blocks; from += BLOCKS_AT_ONCE)
	{
		MemoryContext old = MemoryContextSwitchTo(cxt);

		CHECK_FOR_INTERRUPTS();
		find_members(set, slice, from, members);
		MemoryContextSwitchTo(old);
		MemoryContextReset(cxt);
	}
	MemoryContextDelete(cxt);
}

static void
write_members(const MlSet *set, const MlSetSlice *slice, const Members *members)
{
	MlArguments args = {0};
	Datum	   *places;
	char	   *text = psprintf("UPDATE %s SET slices = slices OPERATOR(pg_catalog.||) $1 "
								"WHERE ctid OPERATOR(pg_catalog.=) ANY ($2)", ml_set_table(set));
	int			code;

	if (members->n == 0)
		return;
	places = palloc_extended(ml_size_mul(members->n, sizeof(Datum)), MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < members->n; i++)
		places[i] = PointerGetDatum(&members->place[i]);
	ml_bind_int(&args, slice->number);
	ml_bind_datum(&args, TIDARRAYOID, PointerGetDatum(construct_array(places, (int) members->n, TIDOID,
																	  sizeof(ItemPointerData), false,
																	  TYPALIGN_SHORT)), false);
	code = SPI_execute_with_args(text, args.n, args.type, args.value, args.null, false, 0);
	if (code != SPI_OK_UPDATE)
		elog(ERROR, "could not run \"%s\": %s", text, SPI_result_code_string(code));
}

static void
write_counts(const MlSet *set, const MlSetSlice *slice, int64 counted)
{
	static MlStatement numbers = {
		"UPDATE mlops_catalog.validation_set SET last_slice = $3 WHERE model OPERATOR(pg_catalog.=) $1 "
		"AND name OPERATOR(pg_catalog.=) $2"
	};
	static MlStatement counts = {
		"UPDATE mlops_catalog.edition SET slices = slices OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_object($4, $5) "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND validation_set OPERATOR(pg_catalog.=) $2 "
		"AND edition OPERATOR(pg_catalog.=) $3"
	};
	MlArguments args = {0};
	MlArguments more = {0};

	ml_bind_text(&args, set->model);
	ml_bind_text(&args, set->name);
	ml_bind_int(&args, set->last_slice);
	ml_statement_run(&numbers, &args);
	ml_bind_text(&more, set->model);
	ml_bind_text(&more, set->name);
	ml_bind_int(&more, set->edition);
	ml_bind_text(&more, slice->name);
	ml_bind_int8(&more, counted);
	ml_statement_run(&counts, &more);
}

/* mlops_create_slice(model, validation_set, name, condition, min_rows): rows of the newest edition in it */
Datum
mlops_create_slice(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"model", "validation_set", "name", "condition"};
	char	   *argument[4];
	MlSet	   *set;
	MlSetSlice *slice;
	MlRegistryScope scope;
	Members		members = {0};

	for (int i = 0; i < lengthof(names); i++)
	{
		ml_require_argument(fcinfo, i, names[i]);
		argument[i] = text_to_cstring(PG_GETARG_TEXT_PP(i));
	}
	ml_registry_require_writable("make a slice");
	ml_privilege_require(argument[0], ML_PRIVILEGE_TRAIN);
	set = ml_set_open(argument[0], argument[1], true);
	check_new(set, argument[2], PG_ARGISNULL(4) ? set->min_rows : PG_GETARG_INT64(4));
	ml_slice_check_rows(set, argument[3], argument[2]);
	slice = add_slice(set, argument[2], argument[3], PG_ARGISNULL(4) ? set->min_rows : PG_GETARG_INT64(4));
	find_all_members(set, slice, &members);
	ml_registry_enter(&scope);
	write_members(set, slice, &members);
	ml_slices_store(set);
	write_counts(set, slice, members.counted);
	ml_registry_leave(&scope);
	PG_RETURN_INT64(members.counted);
}

static void
error_no_slice(const MlSet *set, const char *name)
{
	MlNearest	nearest;

	ml_nearest_begin(&nearest, name);
	for (int s = 0; s < set->nslices; s++)
		ml_nearest_offer(&nearest, set->slice[s].name);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("validation set \"%s\" of model \"%s\" has no slice \"%s\"", set->name, set->model, name),
			 set->nslices == 0 ? errdetail("It has none at all.") : errdetail("It has %d; names are compared exactly.", set->nslices),
			 nearest.best ? errhint("Perhaps you meant \"%s\".", nearest.best) :
			 errhint("SELECT * FROM mlops.slice lists them.")));
}

/* mlops_drop_slice(model, validation_set, name) */
Datum
mlops_drop_slice(PG_FUNCTION_ARGS)
{
	static MlStatement delete = {
		"DELETE FROM mlops_catalog.slice WHERE model OPERATOR(pg_catalog.=) $1 "
		"AND validation_set OPERATOR(pg_catalog.=) $2 AND number OPERATOR(pg_catalog.=) $3"
	};
	char	   *model;
	char	   *name;
	MlSet	   *set;
	const MlSetSlice *slice;
	MlArguments args = {0};

	ml_require_arguments(fcinfo);
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	name = text_to_cstring(PG_GETARG_TEXT_PP(2));
	ml_registry_require_writable("drop a slice");
	ml_privilege_require(model, ML_PRIVILEGE_TRAIN);
	set = ml_set_open(model, text_to_cstring(PG_GETARG_TEXT_PP(1)), true);
	slice = find_slice(set, name);
	if (slice == NULL)
		error_no_slice(set, name);
	if (slice->condition == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("slice \"%s\" of validation set \"%s\" is a value of a column", name, set->name),
				 errdetail("The set was made with a slice for each value of \"%s\".", slice->column[0]),
				 errhint("Make a set without it.")));
	ml_gates_tell_dropped(set->model, set->name, name);
	ml_bind_text(&args, set->model);
	ml_bind_text(&args, set->name);
	ml_bind_int(&args, slice->number);
	ml_registry_run(&delete, &args);
	PG_RETURN_VOID();
}
