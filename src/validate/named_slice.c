/*
 * named_slice.c
 *		mlops_create_slice and mlops_drop_slice: conditions named after a set was made.
 *
 * The rows that are stored, of every edition, are decided at once; their numbers of slices are all
 * that ever changes in a stored row, and are no part of its fingerprint.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "errors.h"
#include "fmgr.h"
#include "interrupts.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "validate/set.h"
#include "validate/validate.h"

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

/* rows of every edition that the condition is true for; live ones of the newest are counted */
static int64
members(const MlSet *set, const MlSetSlice *slice, Datum **places, int64 *n)
{
	MlArguments args = {0};
	MlStored   *rows;
	MinimalTuple *tuples;
	int64		all = ml_change_fetch_tuples(set, "true", &args, &rows, &tuples);
	List	  **slices = palloc_extended(ml_size_mul(Max(all, 1), sizeof(List *)), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	int64		counted = 0;

	PushActiveSnapshot(GetTransactionSnapshot());
	ml_slice_decide(set, slice, all, tuples, slices);
	PopActiveSnapshot();
	*places = palloc_extended(ml_size_mul(Max(all, 1), sizeof(Datum)), MCXT_ALLOC_HUGE);
	*n = 0;
	for (int64 i = 0; i < all; i++)
	{
		ml_check_row(i);
		if (slices[i] == NIL)
			continue;
		(*places)[(*n)++] = PointerGetDatum(&rows[i].place);
		counted += rows[i].live && !rows[i].pinned;
	}
	return counted;
}

static void
write_members(const MlSet *set, const MlSetSlice *slice, Datum *places, int64 n)
{
	MlArguments args = {0};
	char	   *text = psprintf("UPDATE %s SET slices = slices OPERATOR(pg_catalog.||) $1 "
								"WHERE ctid OPERATOR(pg_catalog.=) ANY ($2)", ml_set_table(set));
	int			code;

	if (n == 0)
		return;
	ml_bind_int(&args, slice->number);
	ml_bind_datum(&args, TIDARRAYOID, PointerGetDatum(construct_array(places, (int) n, TIDOID, sizeof(ItemPointerData),
																	  false, TYPALIGN_SHORT)), false);
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
	Datum	   *places;
	int64		n;
	int64		counted;

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
	counted = members(set, slice, &places, &n);
	ml_registry_enter(&scope);
	write_members(set, slice, places, n);
	ml_slices_store(set);
	write_counts(set, slice, counted);
	ml_registry_leave(&scope);
	PG_RETURN_INT64(counted);
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
	char	   *model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(2));
	MlSet	   *set;
	const MlSetSlice *slice;
	MlArguments args = {0};
	MlRegistryScope scope;

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
	ml_bind_text(&args, set->model);
	ml_bind_text(&args, set->name);
	ml_bind_int(&args, slice->number);
	ml_registry_enter(&scope);
	ml_statement_run(&delete, &args);
	ml_registry_leave(&scope);
	PG_RETURN_VOID();
}
