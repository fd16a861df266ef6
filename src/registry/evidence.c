/*
 * evidence.c
 *		Rows of trainings and evaluations, in and out of their tables.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "registry/evidence.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"

void		(*ml_registry_metric_changed) (const char *model) = NULL;
void		(*ml_registry_slo_changed) (const char *model, const char *slo) = NULL;

/* ---- rows that a version was trained on ---- */

static const char *const kind_name[] = {
	[ML_TRAINING_ROW] = "row",
	[ML_TRAINING_KEY] = "key"
};

void
ml_registry_insert_training_rows(const char *model, int version, MlTrainingKind kind, int part,
								 const MlTrainingRows *rows)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.training_row (model, version, kind, part, bits, data) VALUES ($1, $2, $3, $4, $5, $6)"
	};
	MlArguments args = {0};
	MlRegistryScope scope;

	ml_registry_enter(&scope);
	ml_bind_text(&args, model);
	ml_bind_int(&args, version);
	ml_bind_text(&args, kind_name[kind]);
	ml_bind_int(&args, part);
	ml_bind_int(&args, rows->bits);
	ml_bind_bytes(&args, rows->data, (int) rows->length);
	ml_statement_run(&insert, &args);
	ml_registry_leave(&scope);
}

/* one part at a time, so that memory holds one */
int
ml_registry_training_rows(const char *model, int version, MlTrainingKind kind,
						  void (*each) (void *arg, const MlTrainingRows *rows), void *arg)
{
	static MlStatement select = {
		"SELECT bits, data FROM mlops_catalog.training_row "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2 "
		"AND part OPERATOR(pg_catalog.=) $3 AND kind OPERATOR(pg_catalog.=) $4"
	};

	for (int part = 0;; part++)
	{
		MlArguments args = {0};
		MlRegistryScope scope;
		MlTrainingRows rows;
		bool		isnull;
		bytea	   *data;
		bool		found;

		CHECK_FOR_INTERRUPTS();
		ml_registry_enter(&scope);
		ml_bind_text(&args, model);
		ml_bind_int(&args, version);
		ml_bind_int(&args, part);
		ml_bind_text(&args, kind_name[kind]);
		found = ml_statement_run(&select, &args) > 0;
		if (found)
		{
			rows.bits = ml_result_int(0, 1, 0);
			data = DatumGetByteaPP(ml_result_datum(0, 2, &isnull));
			rows.data = VARDATA_ANY(data);
			rows.length = VARSIZE_ANY_EXHDR(data);
			each(arg, &rows);
		}
		ml_registry_leave(&scope);
		if (!found)
			return part;
	}
}

char *
ml_registry_training_key(const char *model, int version)
{
	static MlStatement select = {
		"SELECT v.spec OPERATOR(pg_catalog.->>) 'key' FROM mlops_catalog.version v "
		"WHERE v.model OPERATOR(pg_catalog.=) $1 AND v.version OPERATOR(pg_catalog.=) $2 "
		"AND EXISTS (SELECT 1 FROM mlops_catalog.training_row r WHERE r.model OPERATOR(pg_catalog.=) $1 "
		"AND r.version OPERATOR(pg_catalog.=) $2 AND r.kind OPERATOR(pg_catalog.=) 'key')"
	};
	MemoryContext caller = CurrentMemoryContext;
	MlArguments args = {0};
	MlRegistryScope scope;
	char	   *key = NULL;

	ml_registry_enter(&scope);
	ml_bind_text(&args, model);
	ml_bind_int(&args, version);
	if (ml_statement_run(&select, &args) > 0)
		key = ml_result_text(0, 1);
	key = key ? MemoryContextStrdup(caller, key) : NULL;
	ml_registry_leave(&scope);
	return key;
}

double
ml_registry_mean_label(const char *model, int version)
{
	static MlStatement select = {
		"SELECT (facts OPERATOR(pg_catalog.->>) 'target_mean')::pg_catalog.float8 FROM mlops_catalog.version "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2"
	};
	MlArguments args = {0};
	MlRegistryScope scope;
	double		result = NAN;

	ml_registry_enter(&scope);
	ml_bind_text(&args, model);
	ml_bind_int(&args, version);
	if (ml_statement_run(&select, &args) > 0)
		result = ml_result_float(0, 1);
	ml_registry_leave(&scope);
	return result;
}

/* ---- evaluations ---- */

static void
put_one(const MlEvidence *evidence, const char *evaluated_by)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.evaluation (model, version, validation_set, edition, slice, metric, "
		"value, low, high, baseline, threshold, n, seen, evaluated_by) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) "
		"ON CONFLICT (model, version, validation_set, edition, slice, metric) DO UPDATE SET "
		"value = EXCLUDED.value, low = EXCLUDED.low, high = EXCLUDED.high, baseline = EXCLUDED.baseline, "
		"threshold = EXCLUDED.threshold, n = EXCLUDED.n, seen = EXCLUDED.seen, "
		"evaluated_by = EXCLUDED.evaluated_by, evaluated_at = EXCLUDED.evaluated_at, stale = false"
	};
	MlArguments args = {0};

	ml_bind_text(&args, evidence->model);
	ml_bind_int(&args, evidence->version);
	ml_bind_text(&args, evidence->validation_set);
	ml_bind_int(&args, evidence->edition);
	ml_bind_text(&args, evidence->slice);
	ml_bind_text(&args, evidence->metric);
	ml_bind_float(&args, evidence->value);
	ml_bind_float(&args, evidence->low);
	ml_bind_float(&args, evidence->high);
	ml_bind_float(&args, evidence->baseline);
	ml_bind_float(&args, evidence->threshold);
	ml_bind_int8(&args, evidence->n);
	ml_bind_int8_or_null(&args, evidence->seen, evidence->seen < 0);
	ml_bind_text(&args, evaluated_by);
	ml_statement_run(&insert, &args);
}

void
ml_registry_put_evidence(const MlEvidence *evidence, int n)
{
	const char *evaluated_by = GetUserNameFromId(GetUserId(), false);
	MlRegistryScope scope;

	ml_registry_enter(&scope);
	for (int i = 0; i < n; i++)
		put_one(&evidence[i], evaluated_by);
	ml_registry_leave(&scope);
}

void
ml_registry_age_evidence(const char *model)
{
	static MlStatement age = {
		"UPDATE mlops_catalog.evaluation SET stale = true "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND NOT stale"
	};
	MlArguments args = {0};
	MlRegistryScope scope;

	ml_registry_enter(&scope);
	ml_bind_text(&args, model);
	ml_statement_run(&age, &args);
	ml_registry_leave(&scope);
}

void
ml_registry_evaluated(const char *model, List **versions, List **sets)
{
	static MlStatement used = {
		"SELECT pg_catalog.format('%s/%s', $1, u.version) FROM ("
		"SELECT s.version FROM mlops_catalog.serving s WHERE s.model OPERATOR(pg_catalog.=) $1 "
		"UNION SELECT s.canary_version FROM mlops_catalog.serving s WHERE s.model OPERATOR(pg_catalog.=) $1 "
		"UNION SELECT a.version FROM mlops_catalog.alias a WHERE a.model OPERATOR(pg_catalog.=) $1) u "
		"WHERE u.version IS NOT NULL ORDER BY u.version"
	};
	static MlStatement refreshed = {
		"SELECT DISTINCT e.validation_set FROM mlops_catalog.edition e "
		"WHERE e.model OPERATOR(pg_catalog.=) $1 ORDER BY 1"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	*versions = ml_registry_texts(&used, &args);
	*sets = ml_registry_texts(&refreshed, &args);
}
