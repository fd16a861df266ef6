/*
 * drift_counts.c
 *		What was counted of a version's calls, to be compared with the profile of
 *		its training rows, in whose bins and levels they were counted.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "drift/prediction.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"
#include "watch/drift.h"

#define EQ " OPERATOR(pg_catalog.=) "

/* columns of the query */
enum
{
	SUBJECT = 1, FEATURE, KIND, ROWS, MISSING, BINNED, LOW, HIGH, BIN_ROWS, LEVEL, LEVEL_ROWS, OTHER_ROWS
};

static MlStatement select_counts = {
	"SELECT h.subject, h.feature, h.kind, pg_catalog.sum(h.rows)::pg_catalog.int8, pg_catalog.sum(h.missing)::pg_catalog.int8, "
	"pg_catalog.sum(h.binned)::pg_catalog.int8, h.bin_low, h.bin_high, mlops.sum_counts(h.bin_rows), "
	"h.level, mlops.sum_counts(h.level_rows), pg_catalog.sum(h.other_rows)::pg_catalog.int8 "
	"FROM mlops_catalog.serving_histogram h JOIN mlops_catalog.model m ON m.name" EQ "h.model "
	"AND m.created_at OPERATOR(pg_catalog.<=) h.counted_at "
	"WHERE h.model" EQ "$1 AND h.version" EQ "$2 AND h.until OPERATOR(pg_catalog.>) $3 AND h.since OPERATOR(pg_catalog.<) $4 "
	"GROUP BY h.subject, h.feature, h.kind, h.bin_low, h.bin_high, h.level"
};

/* some of the rows stand for many: what chance can do follows from how many were put into bins */
static void
take_bins(uint64 row, MlProfile *profile)
{
	MlNumberProfile *number = &profile->number;
	Datum	   *element;
	int			n = ml_result_elements(row, BIN_ROWS, INT8OID, &element);

	for (int i = 0; i < Min(n, ML_PROFILE_BINS + 2); i++)
		number->bin_rows[i] = DatumGetInt64(element[i]);
	number->n = ml_result_int8(row, BINNED);
	number->low = ml_result_float(row, LOW);
	number->high = ml_result_float(row, HIGH);
	ml_profile_of_bins(number);
}

static void
take_levels(uint64 row, MlProfile *profile)
{
	MlCategoryProfile *category = &profile->category;
	Datum	   *level;
	Datum	   *rows;
	int			n = ml_result_elements(row, LEVEL, TEXTOID, &level);
	int64		present;

	n = Min(n, ml_result_elements(row, LEVEL_ROWS, INT8OID, &rows));
	category->level = palloc(sizeof(char *) * Max(n, 1));
	category->rows = palloc(sizeof(int64) * Max(n, 1));
	category->other_rows = present = ml_result_int8(row, OTHER_ROWS);
	for (int i = 0; i < n; i++)
	{
		if (DatumGetInt64(rows[i]) == 0)
			continue;
		category->level[category->nlevels] = TextDatumGetCString(level[i]);
		category->rows[category->nlevels++] = DatumGetInt64(rows[i]);
		present += DatumGetInt64(rows[i]);
	}
	profile->rows = present + profile->missing;
}

static MlProfile *
take_profile(uint64 row)
{
	MlProfile  *profile = palloc0(sizeof(MlProfile));
	bool		prediction = strcmp(ml_result_text(row, SUBJECT), "prediction") == 0;

	profile->role = prediction ? ML_PROFILE_PREDICTION : ML_PROFILE_FEATURE;
	profile->name = prediction ? ML_PREDICTION_NAME : ml_result_text(row, FEATURE);
	profile->kind = strcmp(ml_result_text(row, KIND), "category") == 0 ? ML_KIND_CATEGORY : ML_KIND_NUMBER;
	profile->rows = ml_result_int8(row, ROWS);
	profile->missing = ml_result_int8(row, MISSING);
	if (profile->kind == ML_KIND_CATEGORY)
		take_levels(row, profile);
	else
		take_bins(row, profile);
	return profile;
}

List *
ml_drift_counts(const MlResolved *resolved, TimestampTz from, TimestampTz until)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext old;
	MlArguments args = {0};
	MlRegistryScope scope;
	List	   *result = NIL;
	uint64		n;

	ml_bind_text(&args, resolved->model);
	ml_bind_int(&args, resolved->version);
	ml_bind_time(&args, from);
	ml_bind_time(&args, until);
	ml_registry_enter(&scope);
	n = ml_statement_run(&select_counts, &args);
	old = MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < n; i++)
		result = lappend(result, take_profile(i));
	MemoryContextSwitchTo(old);
	ml_registry_leave(&scope);
	return result;
}
