/*
 * profile_row.c
 *		What the training rows of a version looked like, in and out of their table.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "registry/profile_row.h"
#include "registry/registry_catalog.h"
#include "utils/array.h"
#include "utils/builtins.h"

static const char *const role_name[] = {
	[ML_PROFILE_FEATURE] = "feature",
	[ML_PROFILE_TARGET] = "target",
	[ML_PROFILE_PREDICTION] = "prediction"
};

static const char *const kind_name[] = {
	[ML_KIND_NUMBER] = "number",
	[ML_KIND_CATEGORY] = "category",
	[ML_KIND_TIME] = "time",
	[ML_KIND_ARRAY] = "array"
};

/* ---- in ---- */

static void
bind_floats(MlArguments *args, const double *value, int n)
{
	Datum	   *element = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		element[i] = Float8GetDatum(value[i]);
	ml_bind_datum(args, FLOAT8ARRAYOID,
				  PointerGetDatum(construct_array(element, n, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)), n == 0);
}

static void
bind_number(MlArguments *args, const MlNumberProfile *number)
{
	bool		present = number->n > 0;

	ml_bind_int8_or_null(args, number->n, !present);
	ml_bind_float(args, present ? number->minimum : NAN);
	ml_bind_float(args, present ? number->maximum : NAN);
	ml_bind_float(args, present ? number->mean : NAN);
	ml_bind_float(args, present ? number->deviation : NAN);
	bind_floats(args, number->edge, number->nedges);
	ml_bind_int8s(args, number->edge_rows, number->nedges + 1, !present);
	bind_floats(args, number->knot, number->nknots);
	ml_bind_int8s(args, number->upto, number->nknots, number->nknots == 0);
	ml_bind_int8s(args, number->equal, number->nknots, number->nknots == 0);
	ml_bind_float(args, present ? number->low : NAN);
	ml_bind_float(args, present ? number->high : NAN);
	ml_bind_int8s(args, number->bin_rows, ML_PROFILE_BINS + 2, !present);
}

void
ml_registry_insert_profile(const char *model, int version, int position, const MlProfile *profile)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.training_profile (model, version, role, feature, position, kind, rows, missing, "
		"sampled, minimum, maximum, mean, deviation, edge, edge_rows, knot, knot_upto, knot_equal, "
		"bin_low, bin_high, bin_rows, level, level_rows, other_rows, other_levels) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)"
	};
	const MlCategoryProfile *category = &profile->category;
	bool		is_category = profile->kind == ML_KIND_CATEGORY;
	MlArguments args = {0};
	MlRegistryScope scope;

	ml_registry_enter(&scope);
	ml_bind_text(&args, model);
	ml_bind_int(&args, version);
	ml_bind_text(&args, role_name[profile->role]);
	ml_bind_text(&args, profile->name);
	ml_bind_int(&args, position);
	ml_bind_text(&args, kind_name[profile->kind]);
	ml_bind_int8(&args, profile->rows);
	ml_bind_int8(&args, profile->missing);
	bind_number(&args, &profile->number);
	ml_bind_texts(&args, category->level, category->nlevels, category->nlevels == 0);
	ml_bind_int8s(&args, category->rows, category->nlevels, category->nlevels == 0);
	ml_bind_int8_or_null(&args, category->other_rows, !is_category);
	ml_bind_int8_or_null(&args, category->other_levels, !is_category);
	ml_statement_run(&insert, &args);
	ml_registry_leave(&scope);
}

/* ---- out ---- */

/* columns of the query below */
enum
{
	ROLE = 1, FEATURE, KIND, ROWS, MISSING, SAMPLED, MINIMUM, MAXIMUM, MEAN, DEVIATION, EDGE, EDGE_ROWS,
	KNOT, KNOT_UPTO, KNOT_EQUAL, BIN_LOW, BIN_HIGH, BIN_ROWS, LEVEL, LEVEL_ROWS, OTHER_ROWS, OTHER_LEVELS
};

static int
find_name(const char *const *names, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (names[i] != NULL && strcmp(names[i], name) == 0)
			return i;
	elog(ERROR, "unknown word in a training profile: \"%s\"", name);
	return 0;					/* keep the compiler quiet */
}

/* into the array, if it is there; else into a new one; n of them at most */
static void *
numbers_in(uint64 row, int column, Oid type, int n, void *array, MemoryContext cxt)
{
	Datum	   *element;
	int			found = ml_result_elements(row, column, type, &element);

	if (array == NULL)
		array = MemoryContextAllocZero(cxt, 8 * Max(n, 1));
	for (int i = 0; i < Min(n, found); i++)
	{
		if (type == FLOAT8OID)
			((double *) array)[i] = DatumGetFloat8(element[i]);
		else
			((int64 *) array)[i] = DatumGetInt64(element[i]);
	}
	return array;
}

static void
take_number(uint64 row, MlNumberProfile *number, MemoryContext cxt)
{
	Datum	   *element;

	number->n = ml_result_int8(row, SAMPLED);
	number->minimum = ml_result_float(row, MINIMUM);
	number->maximum = ml_result_float(row, MAXIMUM);
	number->mean = ml_result_float(row, MEAN);
	number->deviation = ml_result_float(row, DEVIATION);
	number->low = ml_result_float(row, BIN_LOW);
	number->high = ml_result_float(row, BIN_HIGH);
	number->nedges = Min(ml_result_elements(row, EDGE, FLOAT8OID, &element), ML_PROFILE_DECILES);
	numbers_in(row, EDGE, FLOAT8OID, number->nedges, number->edge, cxt);
	numbers_in(row, EDGE_ROWS, INT8OID, number->nedges + 1, number->edge_rows, cxt);
	numbers_in(row, BIN_ROWS, INT8OID, ML_PROFILE_BINS + 2, number->bin_rows, cxt);
	number->nknots = ml_result_elements(row, KNOT, FLOAT8OID, &element);
	number->knot = numbers_in(row, KNOT, FLOAT8OID, number->nknots, NULL, cxt);
	number->upto = numbers_in(row, KNOT_UPTO, INT8OID, number->nknots, NULL, cxt);
	number->equal = numbers_in(row, KNOT_EQUAL, INT8OID, number->nknots, NULL, cxt);
}

static void
take_category(uint64 row, MlCategoryProfile *category, MemoryContext cxt)
{
	Datum	   *element;

	category->nlevels = ml_result_elements(row, LEVEL, TEXTOID, &element);
	category->level = MemoryContextAlloc(cxt, sizeof(char *) * Max(category->nlevels, 1));
	for (int i = 0; i < category->nlevels; i++)
		category->level[i] = MemoryContextStrdup(cxt, TextDatumGetCString(element[i]));
	category->rows = numbers_in(row, LEVEL_ROWS, INT8OID, category->nlevels, NULL, cxt);
	category->other_rows = ml_result_int8(row, OTHER_ROWS);
	category->other_levels = ml_result_int8(row, OTHER_LEVELS);
}

static MlProfile *
take_profile(uint64 row, MemoryContext cxt)
{
	MlProfile  *profile = MemoryContextAllocZero(cxt, sizeof(MlProfile));

	profile->role = (MlProfileRole) find_name(role_name, lengthof(role_name), ml_result_text(row, ROLE));
	profile->name = MemoryContextStrdup(cxt, ml_result_text(row, FEATURE));
	profile->kind = (MlKind) find_name(kind_name, lengthof(kind_name), ml_result_text(row, KIND));
	profile->rows = ml_result_int8(row, ROWS);
	profile->missing = ml_result_int8(row, MISSING);
	if (profile->kind == ML_KIND_CATEGORY)
		take_category(row, &profile->category, cxt);
	else
		take_number(row, &profile->number, cxt);
	return profile;
}

List *
ml_registry_profile(const char *model, int version)
{
	static MlStatement select = {
		"SELECT role, feature, kind, rows, missing, sampled, minimum, maximum, mean, deviation, edge, edge_rows, "
		"knot, knot_upto, knot_equal, bin_low, bin_high, bin_rows, level, level_rows, other_rows, other_levels "
		"FROM mlops_catalog.training_profile WHERE model OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2 "
		"ORDER BY position"
	};
	MemoryContext caller = CurrentMemoryContext;
	MlArguments args = {0};
	MlRegistryScope scope;
	List	   *profiles = NIL;
	uint64		n;

	ml_registry_enter(&scope);
	ml_bind_text(&args, model);
	ml_bind_int(&args, version);
	n = ml_statement_run(&select, &args);
	for (uint64 i = 0; i < n; i++)
	{
		MlProfile  *profile = take_profile(i, caller);
		MemoryContext old = MemoryContextSwitchTo(caller);

		profiles = lappend(profiles, profile);
		MemoryContextSwitchTo(old);
	}
	ml_registry_leave(&scope);
	return profiles;
}

void
ml_registry_profile_ranges(const char *model, int version,
						   void (*each) (void *arg, MlProfileRole role, const char *feature, double low, double high), void *arg)
{
	ScanKeyData key[2];
	MlScan		scan;
	HeapTuple	tuple;
	text	   *name = cstring_to_text(model);

	ml_key_text(key, 0, Anum_ml_training_profile_model, name);
	ml_key_int(key, 1, Anum_ml_training_profile_version, version);
	ml_scan_begin(&scan, ML_SIGHT_STATEMENT, "training_profile", "training_profile_pkey", key, 2);
	while (HeapTupleIsValid(tuple = ml_scan_next(&scan)))
	{
		char	   *role = ml_column_text(&scan, tuple, Anum_ml_training_profile_role);

		each(arg, (MlProfileRole) find_name(role_name, lengthof(role_name), role),
			 ml_column_text(&scan, tuple, Anum_ml_training_profile_feature),
			 ml_column_float(&scan, tuple, Anum_ml_training_profile_bin_low, NAN),
			 ml_column_float(&scan, tuple, Anum_ml_training_profile_bin_high, NAN));
	}
	ml_scan_end(&scan);
	pfree(name);
}

const MlProfile *
ml_profile_find(const List *profiles, MlProfileRole role, const char *name)
{
	ListCell   *cell;

	foreach(cell, profiles)
	{
		const MlProfile *profile = lfirst(cell);

		if (profile->role == role && strcmp(profile->name, name) == 0)
			return profile;
	}
	return NULL;
}
