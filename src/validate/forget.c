/*
 * forget.c
 *		mlops_forget: a person is erased from the sets of a model.
 *
 * The one thing that changes an edition that there was. Its figures follow - so that the
 * rows that are left still have the fingerprint that is recorded - and it says ever after that it was
 * altered.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "interrupts.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "validate/set.h"
#include "validate/validate.h"

/* names of the slices that counted the row, as text[] */
static Datum
counted_in(const MlSet *set, const MlStored *row)
{
	Datum	   *names = palloc(sizeof(Datum) * (row->nslices + 1));
	int			n = 0;

	if (row->pinned)
		names[n++] = CStringGetTextDatum(ML_SLICE_PINNED);
	for (int i = 0; i < row->nslices && !row->pinned; i++)
		for (int s = 0; s < set->nslices; s++)
			if (set->slice[s].number == row->slice[i])
				names[n++] = CStringGetTextDatum(set->slice[s].name);
	return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

static MlHash128
recorded_fingerprint(const MlSet *set, int edition)
{
	static MlStatement select = {
		"SELECT fingerprint FROM mlops_catalog.edition WHERE model OPERATOR(pg_catalog.=) $1 "
		"AND validation_set OPERATOR(pg_catalog.=) $2 AND edition OPERATOR(pg_catalog.=) $3"
	};
	MlArguments args = {0};
	bool		isnull;

	ml_bind_text(&args, set->model);
	ml_bind_text(&args, set->name);
	ml_bind_int(&args, edition);
	if (ml_statement_run(&select, &args) == 0)
		elog(ERROR, "edition %d of validation set \"%s\" is not there", edition, set->name);
	return ml_fingerprint_of(ml_result_datum(0, 1, &isnull));
}

static void
alter_edition(const MlSet *set, int edition, const MlStored *row)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.edition SET altered = true, rows = rows OPERATOR(pg_catalog.-) 1, "
		"pinned = pinned OPERATOR(pg_catalog.-) $5, fingerprint = $4, slices = COALESCE((SELECT pg_catalog.jsonb_object_agg(key, "
		"CASE WHEN key OPERATOR(pg_catalog.=) ANY ($6) THEN pg_catalog.to_jsonb(value::pg_catalog.int8 OPERATOR(pg_catalog.-) 1) "
		"ELSE value END) FROM pg_catalog.jsonb_each(slices)), '{}') "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND validation_set OPERATOR(pg_catalog.=) $2 "
		"AND edition OPERATOR(pg_catalog.=) $3"
	};
	MlHash128	fingerprint = recorded_fingerprint(set, edition);
	MlArguments args = {0};

	ml_fingerprint_take_away(&fingerprint, row->fingerprint);
	ml_bind_text(&args, set->model);
	ml_bind_text(&args, set->name);
	ml_bind_int(&args, edition);
	ml_bind_datum(&args, BYTEAOID, PointerGetDatum(ml_fingerprint_bytes(fingerprint)), false);
	ml_bind_int(&args, row->pinned);
	ml_bind_datum(&args, TEXTARRAYOID, counted_in(set, row), false);
	ml_statement_run(&update, &args);
}

/* a live row of the sample was counted where the next refresh looks */
static void
alter_sample(MlSet *set, const MlStored *row)
{
	static MlStatement stratum = {
		"UPDATE mlops_catalog.edition_stratum SET kept = kept OPERATOR(pg_catalog.-) 1 "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND validation_set OPERATOR(pg_catalog.=) $2 "
		"AND bucket OPERATOR(pg_catalog.=) $3 AND stratum OPERATOR(pg_catalog.=) $4 AND until_edition IS NULL"
	};
	static MlStatement groups = {
		"UPDATE mlops_catalog.validation_set SET groups = $3 WHERE model OPERATOR(pg_catalog.=) $1 "
		"AND name OPERATOR(pg_catalog.=) $2"
	};
	MlArguments args = {0};
	MlArguments more = {0};

	ml_bind_text(&args, set->model);
	ml_bind_text(&args, set->name);
	ml_bind_int8(&args, row->bucket);
	ml_bind_int(&args, row->stratum);
	ml_statement_run(&stratum, &args);
	ml_groups_count(set, row->ngroups, row->group, -1);
	ml_bind_text(&more, set->model);
	ml_bind_text(&more, set->name);
	ml_bind_jsonb(&more, ml_groups_json(set));
	ml_statement_run(&groups, &more);
}

static void
delete_rows(const MlSet *set, uint64 key_hash)
{
	MlArguments args = {0};
	char	   *text = psprintf("DELETE FROM %s WHERE key_hash OPERATOR(pg_catalog.=) $1", ml_set_table(set));
	int			code;

	ml_bind_int8(&args, (int64) key_hash);
	code = SPI_execute_with_args(text, args.n, args.type, args.value, args.null, false, 0);
	if (code != SPI_OK_DELETE)
		elog(ERROR, "could not run \"%s\": %s", text, SPI_result_code_string(code));
}

static int64
forget_in_set(MlSet *set, const char *key)
{
	uint64		key_hash = ml_hash_bytes(key, strlen(key), 0);
	MlArguments args = {0};
	MlRegistryScope scope;
	MlStored   *rows;
	int64		n;

	ml_bind_int8(&args, (int64) key_hash);
	n = ml_change_fetch_tuples(set, "key_hash OPERATOR(pg_catalog.=) $1", &args, &rows, NULL);
	ml_registry_enter(&scope);
	for (int64 i = 0; i < n; i++)
	{
		int			last = rows[i].live ? set->edition : rows[i].left - 1;

		for (int e = rows[i].entered; e <= last; e++)
		{
			CHECK_FOR_INTERRUPTS();
			alter_edition(set, e, &rows[i]);
		}
		if (rows[i].live && !rows[i].pinned)
			alter_sample(set, &rows[i]);
	}
	delete_rows(set, key_hash);
	ml_registry_leave(&scope);
	return n;
}

static int64
forget_reports(const char *model, const char *key)
{
	static MlStatement statements[] = {
		{"DELETE FROM mlops_catalog.pin WHERE model OPERATOR(pg_catalog.=) $1 AND key OPERATOR(pg_catalog.=) $2"},
		{"DELETE FROM mlops_catalog.label WHERE model OPERATOR(pg_catalog.=) $1 AND key OPERATOR(pg_catalog.=) $2"},
		{"DELETE FROM mlops_catalog.failure WHERE model OPERATOR(pg_catalog.=) $1 AND key OPERATOR(pg_catalog.=) $2"}
	};
	MlRegistryScope scope;
	int64		n = 0;

	ml_registry_enter(&scope);
	for (int i = 0; i < lengthof(statements); i++)
	{
		MlArguments args = {0};

		ml_bind_text(&args, model);
		ml_bind_text(&args, key);
		n += (int64) ml_statement_run(&statements[i], &args);
	}
	ml_registry_leave(&scope);
	return n;
}

int64
ml_validate_forget(const char *model, const char *key)
{
	int64		n = 0;
	ListCell   *lc;

	foreach(lc, ml_validation_sets(model))
		n += forget_in_set(ml_set_open(model, lfirst(lc), true), key);
	return n + forget_reports(model, key);
}
