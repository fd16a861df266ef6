/*
 * version_row.c
 *		The rows of versions: inserted once, finished; read whole; dropped.
 *
 * The number comes from the counter in the model's row, which is locked until
 * the end of the transaction. Promotions lock the serving row only, so they
 * never wait for a training that has not committed.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

#define FINGERPRINT_LENGTH 16

static int
next_number(const char *model)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.model SET last_version = last_version OPERATOR(pg_catalog.+) 1 "
		"WHERE name OPERATOR(pg_catalog.=) $1 RETURNING last_version"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	if (ml_statement_run(&update, &args) == 0)
		return 0;
	return ml_result_int(0, 1, 0);
}

/* high half first, big-endian: the same bytes on every machine */
static void
bind_fingerprint(MlArguments *args, const MlHash128 *hash)
{
	uint8		bytes[FINGERPRINT_LENGTH];

	for (int i = 0; i < 8; i++)
	{
		bytes[i] = (uint8) (hash->high >> (56 - 8 * i));
		bytes[8 + i] = (uint8) (hash->low >> (56 - 8 * i));
	}
	ml_bind_bytes(args, bytes, FINGERPRINT_LENGTH);
}

/* $1 - $13: what it is */
static void
bind_identity(MlArguments *args, const MlVersionRow *row, int version, const uint8 *sha256)
{
	ml_bind_text(args, row->model);
	ml_bind_int(args, version);
	ml_bind_bytes(args, sha256, ML_SHA256_LENGTH);
	ml_bind_float(args, row->threshold);
	ml_bind_bool(args, row->scratch);
	ml_bind_datum(args, UUIDOID, UUIDPGetDatum(&row->run), !row->has_run);
	ml_bind_text(args, row->algorithm);
	ml_bind_text(args, row->task);
	ml_bind_text(args, row->target);
	ml_bind_jsonb(args, row->spec);
	ml_bind_jsonb(args, row->params);
	ml_bind_text(args, row->source);
	ml_bind_jsonb(args, row->columns);
}

/* $14 - $24: what it was trained on */
static void
bind_rows(MlArguments *args, const MlVersionRow *row)
{
	ml_bind_int8(args, row->rows_read);
	ml_bind_int8(args, row->rows_used);
	ml_bind_jsonb(args, row->rows_skipped);
	ml_bind_int8(args, row->rows_training);
	ml_bind_int8(args, row->rows_holdout);
	bind_fingerprint(args, &row->data_fingerprint);
	bind_fingerprint(args, &row->schema_fingerprint);
	ml_bind_text(args, row->time_from);
	ml_bind_text(args, row->time_to);
	ml_bind_int8(args, row->seed);
	ml_bind_jsonb(args, row->split);
}

/* $25 - $37: what came out, and how */
static void
bind_results(MlArguments *args, const MlVersionRow *row, const char *trained_by)
{
	ml_bind_jsonb(args, row->training_metrics);
	ml_bind_jsonb(args, row->holdout_metrics);
	ml_bind_jsonb(args, row->baseline_metrics);
	ml_bind_jsonb(args, row->facts);
	ml_bind_texts(args, row->warnings, row->nwarnings, false);
	ml_bind_jsonb(args, row->durations);
	ml_bind_bool(args, row->row_security);
	ml_bind_int8_or_null(args, row->rows_kept, row->rows_kept < 0);
	ml_bind_text(args, row->note);
	ml_bind_text(args, trained_by);
	ml_bind_jsonb(args, row->builds);
	ml_bind_int(args, ML_ARTIFACT_FORMAT);
	ml_bind_int8(args, VARSIZE_ANY_EXHDR(row->artifact));
}

static void
insert_row(const MlVersionRow *row, int version, const uint8 *sha256, const char *trained_by)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.version (model, version, sha256, threshold, scratch, run, "
		"algorithm, task, target, spec, params, source, columns, "
		"rows_read, rows_used, rows_skipped, rows_training, rows_holdout, "
		"data_fingerprint, schema_fingerprint, time_from, time_to, seed, split, "
		"training_metrics, holdout_metrics, baseline_metrics, facts, warnings, durations, "
		"row_security, rows_kept, note, trained_by, builds, artifact_format, artifact_size) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, "
		"COALESCE($16, '{}'::pg_catalog.jsonb), $17, $18, $19, $20, $21, $22, $23, "
		"COALESCE($24, '{}'::pg_catalog.jsonb), COALESCE($25, '{}'::pg_catalog.jsonb), $26, $27, "
		"COALESCE($28, '{}'::pg_catalog.jsonb), $29, COALESCE($30, '{}'::pg_catalog.jsonb), "
		"$31, $32, $33, $34, COALESCE($35, '{}'::pg_catalog.jsonb), $36, $37)"
	};
	MlArguments args = {0};

	bind_identity(&args, row, version, sha256);
	bind_rows(&args, row);
	bind_results(&args, row, trained_by);
	ml_statement_run(&insert, &args);
}

static void
insert_artifact(const MlVersionRow *row, int version)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.artifact (model, version, part, data) VALUES ($1, $2, $3, $4)"
	};
	const char *bytes = VARDATA_ANY(row->artifact);
	Size		length = VARSIZE_ANY_EXHDR(row->artifact);
	Size		at = 0;
	int			part = 0;

	do
	{
		Size		n = Min(length - at, ML_ARTIFACT_PART);
		MlArguments args = {0};

		CHECK_FOR_INTERRUPTS();
		ml_bind_text(&args, row->model);
		ml_bind_int(&args, version);
		ml_bind_int(&args, part++);
		ml_bind_bytes(&args, bytes + at, n);
		ml_statement_run(&insert, &args);
		pfree(DatumGetPointer(args.value[3]));
		at += n;
	} while (at < length);
}

int
ml_registry_insert_version(const MlVersionRow *row)
{
	const char *trained_by = GetUserNameFromId(GetUserId(), false);
	uint8		sha256[ML_SHA256_LENGTH];
	MlRegistryScope scope;
	int			version;

	/* a long fit lies between the first check and now */
	ml_privilege_require(row->model, ML_PRIVILEGE_TRAIN);
	ml_sha256(VARDATA_ANY(row->artifact), VARSIZE_ANY_EXHDR(row->artifact), sha256);
	ml_registry_enter(&scope);
	version = next_number(row->model);
	if (version > 0)
	{
		insert_row(row, version, sha256, trained_by);
		insert_artifact(row, version);
	}
	ml_registry_leave(&scope);
	if (version == 0)
		ml_error_no_model(row->model, ML_SIGHT_NOW);
	return version;
}

void
ml_registry_insert_kept_rows(const char *model, int version, int64 before, Datum *rows, int n)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.kept_row (model, version, n, data) "
		"SELECT $1, $2, $3 OPERATOR(pg_catalog.+) r.n, r.data "
		"FROM pg_catalog.unnest($4) WITH ORDINALITY AS r(data, n)"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_int(&args, version);
	ml_bind_int8(&args, before);
	ml_bind_datum(&args, JSONBARRAYOID,
				  PointerGetDatum(construct_array(rows, n, JSONBOID, -1, false, TYPALIGN_INT)), false);
	ml_registry_run(&insert, &args);
}

/* ---- reading ---- */

Jsonb *
ml_registry_version_json(const char *model, int version)
{
	static MlStatement select = {
		"SELECT pg_catalog.to_jsonb(v) FROM mlops_catalog.version v "
		"WHERE v.model OPERATOR(pg_catalog.=) $1 AND v.version OPERATOR(pg_catalog.=) $2"
	};
	MemoryContext caller = CurrentMemoryContext;
	MlArguments args = {0};
	MlRegistryScope scope;
	Jsonb	   *result = NULL;

	ml_bind_text(&args, model);
	ml_bind_int(&args, version);
	ml_registry_enter(&scope);
	if (ml_statement_run(&select, &args) > 0)
	{
		bool		isnull;
		Datum		datum = ml_result_datum(0, 1, &isnull);
		MemoryContext spi = MemoryContextSwitchTo(caller);

		result = DatumGetJsonbPCopy(datum);
		MemoryContextSwitchTo(spi);
	}
	ml_registry_leave(&scope);
	if (result == NULL)
		ml_error_no_version(model, version, ML_SIGHT_NOW);
	return result;
}
