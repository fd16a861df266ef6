/*
 * counts_rows.c
 *		Counts that the worker took become rows of mlops_catalog.serving_statistics
 *		and serving_histogram: added to the row of the part of the day that they
 *		are of, or a new one.
 *
 * Counts of a model that is not there, or is younger than they are, are left
 * out, as calls are from the log; and what a dropped model of the same name
 * left behind is deleted before it could be added to.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "common/int.h"
#include "fmgr.h"
#include "log/counts.h"
#include "log/log.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(mlops_add_counts);

static const char *const kind_name[] = {
	[ML_KIND_NUMBER] = "number",
	[ML_KIND_CATEGORY] = "category",
	[ML_KIND_TIME] = "time",
	[ML_KIND_ARRAY] = "array"
};

bool
ml_counts_have_tables(void)
{
	Oid			schema;

	if (!OidIsValid(get_extension_oid("mlops", true)))
		return false;
	schema = get_namespace_oid(ML_CATALOG_SCHEMA, true);
	return OidIsValid(schema) && OidIsValid(get_relname_relid("serving_histogram", schema));
}

/* ---- arrays of counts ---- */

static void
check_counts(ArrayType *array)
{
	if (ARR_NDIM(array) > 1 || array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("counts must be an array of one dimension without NULL"),
				 errdetail("One has %d dimensions%s.", ARR_NDIM(array), array_contains_nulls(array) ? " and a NULL" : ""),
				 errhint("Give arrays as mlops.serving_histogram has them.")));
}

/* mlops.add_counts(bigint[], bigint[]): element by element; the shorter one goes on with zeros */
Datum
mlops_add_counts(PG_FUNCTION_ARGS)
{
	ArrayType  *a = PG_GETARG_ARRAYTYPE_P(0);
	ArrayType  *b = PG_GETARG_ARRAYTYPE_P(1);
	const int64 *from;
	ArrayType  *sum;
	int64	   *to;
	int			n;

	check_counts(a);
	check_counts(b);
	if (ArrayGetNItems(ARR_NDIM(a), ARR_DIMS(a)) < ArrayGetNItems(ARR_NDIM(b), ARR_DIMS(b)))
	{
		sum = a;
		a = b;
		b = sum;
	}
	sum = (ArrayType *) palloc(VARSIZE_ANY(a));
	memcpy(sum, a, VARSIZE_ANY(a));
	to = (int64 *) ARR_DATA_PTR(sum);
	from = (const int64 *) ARR_DATA_PTR(b);
	n = ArrayGetNItems(ARR_NDIM(b), ARR_DIMS(b));
	for (int i = 0; i < n; i++)
		if (pg_add_s64_overflow(to[i], from[i], &to[i]))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("bigint out of range"),
					 errdetail("Count %d of the two arrays adds up to more.", i + 1),
					 errhint("Add up fewer parts of the time.")));
	PG_RETURN_ARRAYTYPE_P(sum);
}

/* ---- rows; inside a scope ---- */

/* counters are unsigned, and far from where that would matter */
static void
bind_counts(MlArguments *args, const uint64 *count, int n, bool isnull)
{
	ml_bind_int8s(args, (const int64 *) count, n, isnull);
}

/* $1 to $6 of both tables */
static void
bind_place(MlArguments *args, const MlTakenCounts *taken)
{
	ml_bind_text(args, taken->key.model);
	ml_bind_time(args, taken->since);
	ml_bind_int(args, taken->key.version);
	ml_bind_text(args, taken->key.role);
	ml_bind_time(args, taken->until);
	ml_bind_time(args, taken->last_at);
}

/* of an earlier model of this name */
static void
delete_older(const MlTakenCounts *taken, TimestampTz created)
{
	static MlStatement statements[] = {
		{"DELETE FROM mlops_catalog.serving_statistics WHERE model OPERATOR(pg_catalog.=) $1 "
		"AND since OPERATOR(pg_catalog.=) $2 AND counted_at OPERATOR(pg_catalog.<) $3"},
		{"DELETE FROM mlops_catalog.serving_histogram WHERE model OPERATOR(pg_catalog.=) $1 "
		"AND since OPERATOR(pg_catalog.=) $2 AND counted_at OPERATOR(pg_catalog.<) $3"}
	};

	if (created < taken->since)
		return;
	for (int i = 0; i < lengthof(statements); i++)
	{
		MlArguments args = {0};

		ml_bind_text(&args, taken->key.model);
		ml_bind_time(&args, taken->since);
		ml_bind_time(&args, created);
		ml_statement_run(&statements[i], &args);
	}
}

static void
write_statistics(const MlTakenCounts *taken, const MlCountsShape *shape)
{
	static MlStatement upsert = {
		"INSERT INTO mlops_catalog.serving_statistics AS s (model, since, version, role, until, counted_at, rules, rows, "
		"null_rows, label, label_rows, other_labels, rule_rows, rule_errors, check_rows, barred) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) "
		"ON CONFLICT (model, since, version, role, rules) DO UPDATE SET until = EXCLUDED.until, "
		"counted_at = EXCLUDED.counted_at, rows = s.rows OPERATOR(pg_catalog.+) EXCLUDED.rows, "
		"null_rows = s.null_rows OPERATOR(pg_catalog.+) EXCLUDED.null_rows, "
		"label_rows = mlops.add_counts(s.label_rows, EXCLUDED.label_rows), "
		"other_labels = s.other_labels OPERATOR(pg_catalog.+) EXCLUDED.other_labels, "
		"rule_rows = mlops.add_counts(s.rule_rows, EXCLUDED.rule_rows), "
		"rule_errors = s.rule_errors OPERATOR(pg_catalog.+) EXCLUDED.rule_errors, "
		"check_rows = mlops.add_counts(s.check_rows, EXCLUDED.check_rows), "
		"barred = s.barred OPERATOR(pg_catalog.+) EXCLUDED.barred"
	};
	const uint64 *counter = taken->counter;
	MlArguments args = {0};

	bind_place(&args, taken);
	ml_bind_int(&args, taken->key.rules);
	ml_bind_int8(&args, (int64) counter[ML_COUNT_ROWS]);
	ml_bind_int8(&args, (int64) counter[ML_COUNT_NULL_ROWS]);
	ml_bind_texts(&args, shape->label, shape->nlabels, false);
	bind_counts(&args, counter + ML_COUNT_LABEL(0), shape->nlabels, false);
	ml_bind_int8(&args, (int64) counter[ML_COUNT_OTHER_LABELS]);
	bind_counts(&args, counter + ML_COUNT_RULE(shape, 0), shape->nrules, false);
	ml_bind_int8(&args, (int64) counter[ML_COUNT_RULE_ERRORS]);
	bind_counts(&args, counter + ML_COUNT_CHECK(shape, 0), shape->nchecks, false);
	ml_bind_int8(&args, (int64) counter[ML_COUNT_BARRED]);
	ml_statement_run(&upsert, &args);
}

static void
write_block(const MlTakenCounts *taken, const MlCountsBlock *block)
{
	static MlStatement upsert = {
		"INSERT INTO mlops_catalog.serving_histogram AS h (model, since, version, role, until, counted_at, subject, feature, "
		"kind, rows, missing, binned, bin_low, bin_high, bin_rows, level, level_rows, other_rows) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) "
		"ON CONFLICT (model, since, version, role, subject, feature) DO UPDATE SET until = EXCLUDED.until, "
		"counted_at = EXCLUDED.counted_at, rows = h.rows OPERATOR(pg_catalog.+) EXCLUDED.rows, "
		"missing = h.missing OPERATOR(pg_catalog.+) EXCLUDED.missing, "
		"binned = h.binned OPERATOR(pg_catalog.+) EXCLUDED.binned, "
		"bin_rows = mlops.add_counts(h.bin_rows, EXCLUDED.bin_rows), "
		"level_rows = mlops.add_counts(h.level_rows, EXCLUDED.level_rows), "
		"other_rows = h.other_rows OPERATOR(pg_catalog.+) EXCLUDED.other_rows"
	};
	const uint64 *counter = taken->counter;
	const uint64 *bin = counter + block->first + 1;
	bool		is_category = block->kind == ML_KIND_CATEGORY;
	bool		has_bins = !is_category && !isnan(block->low);
	MlArguments args = {0};

	bind_place(&args, taken);
	ml_bind_text(&args, block->is_prediction ? "prediction" : "feature");
	ml_bind_text(&args, block->name);
	ml_bind_text(&args, kind_name[block->kind]);
	ml_bind_int8(&args, (int64) (counter[ML_COUNT_ROWS] - counter[ML_COUNT_NULL_ROWS]));
	ml_bind_int8(&args, (int64) counter[block->first]);
	ml_bind_datum(&args, INT8OID, Int64GetDatum((int64) counter[block->is_prediction ? ML_COUNT_ROWS : ML_COUNT_BINNED] -
												(block->is_prediction ? (int64) counter[ML_COUNT_NULL_ROWS] : 0)), !has_bins);
	ml_bind_float(&args, has_bins ? block->low : NAN);
	ml_bind_float(&args, has_bins ? block->high : NAN);
	bind_counts(&args, bin, ML_PROFILE_BINS + 2, !has_bins);
	ml_bind_texts(&args, block->level, block->nlevels, !is_category);
	bind_counts(&args, bin, block->nlevels, !is_category);
	ml_bind_int8_or_null(&args, is_category ? (int64) bin[block->nlevels] : 0, !is_category);
	ml_statement_run(&upsert, &args);
}

static void
write_one(const MlTakenCounts *taken, TimestampTz created)
{
	MlRegistryScope scope;
	MlCountsShape shape;

	ml_counts_shape_read(taken->description, taken->ndescription, &shape);
	ml_registry_enter(&scope);
	delete_older(taken, created);
	write_statistics(taken, &shape);
	for (int i = 0; i < shape.nblocks; i++)
	{
		CHECK_FOR_INTERRUPTS();
		write_block(taken, &shape.block[i]);
	}
	ml_registry_leave(&scope);
}

uint64
ml_counts_write(const List *list)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops statistics rows", ALLOCSET_DEFAULT_SIZES);
	uint64		written = 0;
	ListCell   *cell;

	foreach(cell, list)
	{
		const MlTakenCounts *taken = lfirst(cell);
		MemoryContext old = MemoryContextSwitchTo(cxt);
		TimestampTz created = ml_log_model_created(taken->key.model);

		if (created <= taken->first_at)
		{
			write_one(taken, created);
			written += taken->counter[ML_COUNT_ROWS];
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(cxt);
	}
	MemoryContextDelete(cxt);
	return written;
}

void
ml_counts_prune(int days, TimestampTz as_of)
{
	static MlStatement statements[] = {
		{"DELETE FROM mlops_catalog.serving_statistics WHERE until OPERATOR(pg_catalog.<=) $1"},
		{"DELETE FROM mlops_catalog.serving_histogram WHERE until OPERATOR(pg_catalog.<=) $1"}
	};
	MlRegistryScope scope;

	ml_registry_enter(&scope);
	for (int i = 0; i < lengthof(statements); i++)
	{
		MlArguments args = {0};

		ml_bind_time(&args, as_of - (int64) days * USECS_PER_DAY);
		ml_statement_run(&statements[i], &args);
	}
	ml_registry_leave(&scope);
}
