/*
 * strata.c
 *		Weights of editions: rows of mlops_catalog.edition_stratum.
 *
 * A stratum of a bucket has a row from the edition in which its population or its sample
 * changed to the one in which they change again; those that have no end are the newest edition's.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "validate/set.h"

static void
take_stratum(uint64 i, MlStratum *stratum)
{
	memset(stratum, 0, sizeof(*stratum));
	stratum->bucket = ml_result_int8(i, 1);
	stratum->stratum = ml_result_int(i, 2, 0);
	stratum->population = ml_result_int8(i, 3);
	stratum->kept = ml_result_int8(i, 4);
	stratum->guarded = ml_result_int8(i, 5);
	stratum->weight = ml_result_float(i, 6);
}

int64
ml_strata_read(const MlSet *set, MlStratum **strata)
{
	static MlStatement select = {
		"SELECT bucket, stratum, population, kept, guarded, weight FROM mlops_catalog.edition_stratum "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND validation_set OPERATOR(pg_catalog.=) $2 AND until_edition IS NULL "
		"ORDER BY bucket, stratum"
	};
	MemoryContext caller = CurrentMemoryContext;
	MlArguments args = {0};
	MlRegistryScope scope;
	int64		n;

	ml_bind_text(&args, set->model);
	ml_bind_text(&args, set->name);
	ml_registry_enter(&scope);
	n = (int64) ml_statement_run(&select, &args);
	*strata = MemoryContextAllocHuge(caller, ml_size_mul(Max(n, 1), sizeof(MlStratum)));
	for (int64 i = 0; i < n; i++)
		take_stratum(i, &(*strata)[i]);
	ml_registry_leave(&scope);
	return n;
}

/* $1 to $4: which stratum of which set */
static void
bind_key(MlArguments *args, const MlChange *change, const MlStratum *stratum)
{
	ml_bind_text(args, change->set->model);
	ml_bind_text(args, change->set->name);
	ml_bind_int8(args, stratum->bucket);
	ml_bind_int(args, stratum->stratum);
}

static void
close_stratum(const MlChange *change, const MlStratum *stratum)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.edition_stratum SET until_edition = $5 WHERE model OPERATOR(pg_catalog.=) $1 "
		"AND validation_set OPERATOR(pg_catalog.=) $2 AND bucket OPERATOR(pg_catalog.=) $3 "
		"AND stratum OPERATOR(pg_catalog.=) $4 AND until_edition IS NULL"
	};
	MlArguments args = {0};

	bind_key(&args, change, stratum);
	ml_bind_int(&args, change->edition);
	ml_statement_run(&update, &args);
}

static void
insert_stratum(const MlChange *change, const MlStratum *stratum)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.edition_stratum (model, validation_set, bucket, stratum, from_edition, population, "
		"kept, guarded, weight) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
	};
	MlArguments args = {0};

	bind_key(&args, change, stratum);
	ml_bind_int(&args, change->edition);
	ml_bind_int8(&args, stratum->population);
	ml_bind_int8(&args, stratum->kept);
	ml_bind_int8(&args, stratum->guarded);
	ml_bind_float(&args, stratum->weight);
	ml_statement_run(&insert, &args);
}

/* rows that left a stratum of which others stay: the weight is as it was */
static void
update_kept(const MlChange *change, const MlStratum *stratum)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.edition_stratum SET kept = $5 WHERE model OPERATOR(pg_catalog.=) $1 "
		"AND validation_set OPERATOR(pg_catalog.=) $2 AND bucket OPERATOR(pg_catalog.=) $3 "
		"AND stratum OPERATOR(pg_catalog.=) $4 AND until_edition IS NULL AND kept OPERATOR(pg_catalog.<>) $5"
	};
	MlArguments args = {0};

	bind_key(&args, change, stratum);
	ml_bind_int8(&args, stratum->kept);
	ml_statement_run(&update, &args);
}

/* inside a scope; thinned strata go on with another weight */
void
ml_strata_write(const MlChange *change, const MlWindow *window, MlStratum *old_strata, int64 n, List *opened)
{
	ListCell   *lc;

	for (int64 i = 0; i < n; i++)
	{
		MlStratum  *old = &old_strata[i];

		if (old->bucket >= window->read_bucket)
		{
			if (old->take != -1)
				close_stratum(change, old);
		}
		else if (old->kept == 0 || old->bucket < window->first_bucket)
			close_stratum(change, old);
		else if (old->take < old->kept)
		{
			close_stratum(change, old);
			old->weight *= (double) old->kept / (double) old->take;
			old->kept = old->take;
			old->guarded = Min(old->guarded, old->kept);
			insert_stratum(change, old);
		}
		else
			update_kept(change, old);
	}
	foreach(lc, opened)
		insert_stratum(change, lfirst(lc));
}
