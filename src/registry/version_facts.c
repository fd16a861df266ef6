/*
 * version_facts.c
 *		What training again needs to know of a version, and the rows that it
 *		kept.
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"

#define KEPT_ROWS_AT_ONCE 1000

static Jsonb *
copy_jsonb(int column)
{
	bool		isnull;
	Datum		datum = ml_result_datum(0, column, &isnull);

	return isnull ? NULL : DatumGetJsonbPCopy(datum);
}

static void
copy_bytes(int column, uint8 *bytes, int length)
{
	bool		isnull;
	Datum		datum = ml_result_datum(0, column, &isnull);
	bytea	   *value;

	memset(bytes, 0, length);
	if (isnull)
		return;
	value = DatumGetByteaPP(datum);
	memcpy(bytes, VARDATA_ANY(value), Min(length, VARSIZE_ANY_EXHDR(value)));
}

/* big-endian, high half first, as version_row.c writes it */
static void
copy_fingerprint(int column, MlHash128 *hash)
{
	uint8		bytes[16];

	copy_bytes(column, bytes, sizeof(bytes));
	hash->high = hash->low = 0;
	for (int i = 0; i < 8; i++)
	{
		hash->high = (hash->high << 8) | bytes[i];
		hash->low = (hash->low << 8) | bytes[8 + i];
	}
}

static int64
copy_int8(int column, int64 if_null)
{
	bool		isnull;
	Datum		datum = ml_result_datum(0, column, &isnull);

	return isnull ? if_null : DatumGetInt64(datum);
}

void
ml_registry_version_facts(const char *model, int version, MlVersionFacts *facts)
{
	static MlStatement select = {
		"SELECT sha256, trained_by, spec, columns, training_metrics, holdout_metrics, builds, "
		"data_fingerprint, schema_fingerprint, rows_read, rows_kept "
		"FROM mlops_catalog.version "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2"
	};
	MemoryContext caller = CurrentMemoryContext;
	MlArguments args = {0};
	MlRegistryScope scope;
	bool		found;

	ml_bind_text(&args, model);
	ml_bind_int(&args, version);
	ml_registry_enter(&scope);
	found = ml_statement_run(&select, &args) > 0;
	if (found)
	{
		MemoryContext spi = MemoryContextSwitchTo(caller);

		facts->version = version;
		copy_bytes(1, facts->sha256, ML_SHA256_LENGTH);
		facts->trained_by = ml_result_text(0, 2);
		facts->spec = copy_jsonb(3);
		facts->columns = copy_jsonb(4);
		facts->training_metrics = copy_jsonb(5);
		facts->holdout_metrics = copy_jsonb(6);
		facts->builds = copy_jsonb(7);
		copy_fingerprint(8, &facts->data_fingerprint);
		copy_fingerprint(9, &facts->schema_fingerprint);
		facts->rows_read = copy_int8(10, 0);
		facts->rows_kept = copy_int8(11, -1);
		MemoryContextSwitchTo(spi);
	}
	ml_registry_leave(&scope);
	if (!found)
		ml_error_no_version(model, version, ML_SIGHT_NOW);
}

/* Keyset paging: a version may have kept more rows than memory holds at once. */
int64
ml_registry_kept_rows(const char *model, int version,
					  void (*each) (void *arg, Jsonb *row), void *arg)
{
	static MlStatement select = {
		"SELECT data, n FROM mlops_catalog.kept_row "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2 "
		"AND n OPERATOR(pg_catalog.>) $3 ORDER BY n LIMIT 1000"
	};
	int64		last = 0;
	int64		rows = 0;
	uint64		got;

	do
	{
		MlArguments args = {0};
		MlRegistryScope scope;

		CHECK_FOR_INTERRUPTS();
		ml_bind_text(&args, model);
		ml_bind_int(&args, version);
		ml_bind_int8(&args, last);
		ml_registry_enter(&scope);
		got = ml_statement_run(&select, &args);
		for (uint64 i = 0; i < got; i++)
		{
			bool		isnull;

			each(arg, DatumGetJsonbP(ml_result_datum(i, 1, &isnull)));
			last = ml_result_int8(i, 2);
		}
		ml_registry_leave(&scope);
		rows += got;
	} while (got == KEPT_ROWS_AT_ONCE);
	return rows;
}
