/*
 * shadow_row.c
 *		The shadows of a model, as scoring reads them: by index scans under the
 *		statement's snapshot.
 *
 * Only models whose serving row says that there are some are looked at.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "errors.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"

#define DEFAULT_THRESHOLD	0.5

static void
take_row(MlScan *scan, HeapTuple tuple, const char *model, MlShadowRow *row)
{
	memset(row, 0, sizeof(MlShadowRow));
	strlcpy(row->name, ml_column_text(scan, tuple, Anum_ml_shadow_name), NAMEDATALEN);
	strlcpy(row->resolved.model, model, NAMEDATALEN);
	row->resolved.version = ml_column_int(scan, tuple, Anum_ml_shadow_version, 0);
	ml_column_sha256(scan, tuple, Anum_ml_shadow_sha256, row->resolved.sha256);
	row->resolved.threshold = ml_column_float(scan, tuple, Anum_ml_shadow_threshold, DEFAULT_THRESHOLD);
	ItemPointerSetInvalid(&row->resolved.place);
	row->share = ml_column_float(scan, tuple, Anum_ml_shadow_share, 0.0);
}

int
ml_registry_shadows(const MlResolved *bundle, MlShadowRow **row)
{
	text	   *model = cstring_to_text(bundle->model);
	ScanKeyData key[1];
	MlScan		scan;
	HeapTuple	tuple;
	int			n = 0;

	*row = palloc(sizeof(MlShadowRow) * ML_MAX_SHADOWS);
	ml_key_text(key, 0, Anum_ml_shadow_model, model);
	ml_scan_begin(&scan, ML_SIGHT_STATEMENT, "shadow", "shadow_pkey", key, 1);
	while (n < ML_MAX_SHADOWS && HeapTupleIsValid(tuple = ml_scan_next(&scan)))
		take_row(&scan, tuple, bundle->model, &(*row)[n++]);
	ml_scan_end(&scan);
	pfree(model);
	return n;
}

ml_noreturn static void error_no_shadow(const char *model, const char *name, text *key_of_model);

static void
error_no_shadow(const char *model, const char *name, text *key_of_model)
{
	MlNearest	nearest;

	ml_nearest_begin(&nearest, name);
	ml_scan_offer(&nearest, "shadow", "shadow_pkey", key_of_model);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("model \"%s\" has no shadow \"%s\"", model, name),
			 errdetail("No version is asked beside the active one under this name."),
			 nearest.best ? errhint("Perhaps you meant %s.",
									quote_literal_cstr(psprintf("%s@" ML_SHADOW_PREFIX "%s", model, nearest.best))) :
			 errhint("Make a version one with mlops_shadow(%s, version, name => %s).",
					 quote_literal_cstr(model), quote_literal_cstr(name))));
}

void
ml_shadow_resolve(text *model, const char *name, MlResolved *resolved)
{
	ScanKeyData key[2];
	MlScan		scan;
	HeapTuple	tuple;
	MlShadowRow row;
	bool		found;

	ml_key_text(key, 0, Anum_ml_shadow_model, model);
	ml_key_text(key, 1, Anum_ml_shadow_name, cstring_to_text(name));
	ml_scan_begin(&scan, ML_SIGHT_STATEMENT, "shadow", "shadow_pkey", key, 2);
	tuple = ml_scan_next(&scan);
	found = HeapTupleIsValid(tuple);
	if (found)
		take_row(&scan, tuple, resolved->model, &row);
	ml_scan_end(&scan);
	if (!found)
		error_no_shadow(resolved->model, name, model);
	*resolved = row.resolved;
}

/* ---- the history; inside a scope, under the lock of the serving row ---- */

void
ml_shadow_write_event(const char *model, const char *event, const char *name, int version, double share, const char *reason,
					  const char *caused_by)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.shadow_event (model, number, event, name, version, share, reason, caused_by) "
		"SELECT $1, COALESCE(pg_catalog.max(e.number), 0) OPERATOR(pg_catalog.+) 1, $2, $3, $4, $5, $6, $7 "
		"FROM mlops_catalog.shadow_event e WHERE e.model OPERATOR(pg_catalog.=) $1"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_text(&args, event);
	ml_bind_text(&args, name);
	ml_bind_int(&args, version);
	ml_bind_float(&args, share);
	ml_bind_text(&args, reason);
	ml_bind_text(&args, caused_by);
	ml_statement_run(&insert, &args);
}

bool
ml_shadow_is_acknowledged(const char *model, int version)
{
	static MlStatement select = {
		"SELECT 1 FROM mlops_catalog.shadow_event WHERE model OPERATOR(pg_catalog.=) $1 "
		"AND version OPERATOR(pg_catalog.=) $2 AND event OPERATOR(pg_catalog.=) 'acknowledged' LIMIT 1"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_int(&args, version);
	return ml_statement_run(&select, &args) > 0;
}
