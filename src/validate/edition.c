/*
 * edition.c
 *		Editions, to be read: from C, from SQL, and again years later.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "fmgr.h"
#include "interrupts.h"
#include "miscadmin.h"
#include "result.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "validate/set.h"
#include "validate/validate.h"

PG_FUNCTION_INFO_V1(mlops_edition);
PG_FUNCTION_INFO_V1(mlops_verify_edition);

#define ROWS_AT_ONCE 1000

/* ---- which ---- */

void
ml_error_no_edition(const MlSet *set, int edition)
{
	if (set->edition == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("validation set \"%s\" of model \"%s\" has no edition yet", set->name, set->model),
				 errdetail("Its first refresh makes edition 1."),
				 errhint("SELECT mlops_refresh_validation_set(%s, %s);",
						 quote_literal_cstr(set->model), quote_literal_cstr(set->name))));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("validation set \"%s\" of model \"%s\" has no edition %d", set->name, set->model, edition),
			 errdetail("There are editions 1 to %d.", set->edition),
			 errhint("NULL stands for the newest.")));
}

static int64
rows_of_edition(const MlSet *set, int edition, MlHash128 *fingerprint)
{
	static MlStatement select = {
		"SELECT rows, fingerprint FROM mlops_catalog.edition WHERE model OPERATOR(pg_catalog.=) $1 "
		"AND validation_set OPERATOR(pg_catalog.=) $2 AND edition OPERATOR(pg_catalog.=) $3"
	};
	MlArguments args = {0};
	MlRegistryScope scope;
	bool		isnull;
	int64		rows = -1;

	ml_bind_text(&args, set->model);
	ml_bind_text(&args, set->name);
	ml_bind_int(&args, edition);
	ml_registry_enter(&scope);
	if (ml_statement_look(&select, &args) > 0)
	{
		rows = ml_result_int8(0, 1);
		*fingerprint = ml_fingerprint_of(ml_result_datum(0, 2, &isnull));
	}
	ml_registry_leave(&scope);
	return rows;
}

/* the rows of an edition as d, their strata as w; of the newest, as the caller's statement sees it, by index */
static char *
from_clause(const MlSet *set, int edition)
{
	char	   *rows = edition == set->edition ? pstrdup("d.left_edition IS NULL") :
		psprintf("d.entered_edition OPERATOR(pg_catalog.<=) %d "
				 "AND (d.left_edition IS NULL OR d.left_edition OPERATOR(pg_catalog.>) %d)", edition, edition);

	return psprintf(" FROM %s AS d LEFT JOIN mlops_catalog.edition_stratum AS w "
					"ON w.model OPERATOR(pg_catalog.=) %s AND w.validation_set OPERATOR(pg_catalog.=) %s "
					"AND w.bucket OPERATOR(pg_catalog.=) d.sample_bucket AND w.stratum OPERATOR(pg_catalog.=) d.sample_stratum "
					"AND w.from_edition OPERATOR(pg_catalog.<=) %d "
					"AND (w.until_edition IS NULL OR w.until_edition OPERATOR(pg_catalog.>) %d) "
					"WHERE %s",
					ml_set_table(set), quote_literal_cstr(set->model), quote_literal_cstr(set->name),
					edition, edition, rows);
}

static char *
edition_query(const MlSet *set, int edition)
{
	return psprintf("SELECT %s, CASE WHEN d.pinned THEN 0::pg_catalog.float8 ELSE w.weight END AS mlops_weight, "
					"d.slices AS mlops_slices%s", ml_set_column_list(set, "d."), from_clause(set, edition));
}

void
ml_edition_open(const char *model, const char *validation_set, int edition, MlEdition *result)
{
	MlSet	   *set = ml_set_open(model, validation_set, false);
	MlHash128	fingerprint;

	memset(result, 0, sizeof(*result));
	if (set->edition == 0)
		ml_error_no_edition(set, edition);
	result->edition = edition == 0 ? set->edition : edition;
	result->rows = rows_of_edition(set, result->edition, &fingerprint);
	if (result->rows < 0)
		ml_error_no_edition(set, edition);
	result->model = set->model;
	result->validation_set = set->name;
	result->target = set->target;
	result->key = set->key;
	result->nslices = set->nslices;
	result->slice = palloc(sizeof(MlSlice) * Max(set->nslices, 1));
	for (int s = 0; s < set->nslices; s++)
	{
		result->slice[s].number = set->slice[s].number;
		result->slice[s].name = set->slice[s].name;
		result->slice[s].min_rows = set->slice[s].min_rows;
	}
	result->query = edition_query(set, result->edition);
}

/* not a registry scope, which would connect SPI; what runs names everything in full */
MlFrame *
ml_edition_read(const MlEdition *edition, MlFrameRequest *request, MlBudget *budget)
{
	Oid			user;
	int			security;
	int			level = NewGUCNestLevel();
	MlFrame    *frame;

	GetUserIdAndSecContext(&user, &security);
	request->source = edition->query;
	SetUserIdAndSecContext(ml_catalog_owner(), security | SECURITY_LOCAL_USERID_CHANGE);
	ml_author_set("search_path", "pg_catalog, pg_temp");
	frame = ml_frame_read(request, budget);
	AtEOXact_GUC(false, level);
	SetUserIdAndSecContext(user, security);
	return frame;
}

/* ---- SQL ---- */

/* calls each for every row of a query; inside a scope */
static void
walk(const char *query, void (*each) (void *arg, uint64 row), void *arg)
{
	SPIPlanPtr	plan = SPI_prepare(query, 0, NULL);
	Portal		portal;

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", query, SPI_result_code_string(SPI_result));
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, ROWS_AT_ONCE);
		if (SPI_processed == 0)
			break;
		CHECK_FOR_INTERRUPTS();
		for (uint64 i = 0; i < SPI_processed; i++)
			each(arg, i);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
}

static void
add_row(void *arg, uint64 row)
{
	Datum		value;
	bool		isnull;

	value = ml_result_datum(row, 1, &isnull);
	ml_rows_add(arg, &value, &isnull);
}

/* mlops_edition(model, validation_set, edition): rows as jsonb */
Datum
mlops_edition(PG_FUNCTION_ARGS)
{
	char	   *model;
	char	   *name;
	int			number;
	MlEdition	edition;
	MlRegistryScope scope;
	MlRows		rows;

	ml_require_argument(fcinfo, 0, "model");
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	name = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	number = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);
	ml_privilege_require(model, ML_PRIVILEGE_READ);
	ml_edition_open(model, name, number, &edition);
	ml_rows_begin(fcinfo, &rows);
	ml_registry_enter(&scope);
	walk(psprintf("SELECT pg_catalog.to_jsonb(e) FROM (%s) AS e", edition.query), add_row, &rows);
	ml_registry_leave(&scope);
	return (Datum) 0;
}

typedef struct Verifying
{
	int			ncolumns;
	TupleDesc	desc;
	MlHashSecret *secret;
	Datum	   *values;
	bool	   *nulls;
	MlHash128	sum;
	MemoryContext row_cxt;
} Verifying;

static void
verify_row(void *arg, uint64 row)
{
	Verifying  *verifying = arg;
	MemoryContext old = MemoryContextSwitchTo(verifying->row_cxt);

	for (int i = 0; i < verifying->ncolumns; i++)
		verifying->values[i] = ml_result_datum(row, i + 1, &verifying->nulls[i]);
	ml_hash128_add(&verifying->sum, ml_row_fingerprint(verifying->desc, verifying->secret,
													   verifying->values, verifying->nulls));
	MemoryContextSwitchTo(old);
	MemoryContextReset(verifying->row_cxt);
}

/* mlops_verify_edition(model, validation_set, edition): do the rows have the fingerprint that was recorded? */
Datum
mlops_verify_edition(PG_FUNCTION_ARGS)
{
	char	   *model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	int			number = PG_GETARG_INT32(2);
	Verifying	verifying = {0};
	MlRegistryScope scope;
	MlHash128	recorded;
	MlSet	   *set;

	ml_privilege_require(model, ML_PRIVILEGE_READ);
	set = ml_set_open(model, name, false);
	if (rows_of_edition(set, number, &recorded) < 0)
		ml_error_no_edition(set, number);
	verifying.ncolumns = set->ncolumns;
	verifying.desc = ml_set_desc(set);
	verifying.secret = ml_row_secrets(set);
	verifying.values = palloc(sizeof(Datum) * set->ncolumns);
	verifying.nulls = palloc(sizeof(bool) * set->ncolumns);
	verifying.row_cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops row", ALLOCSET_DEFAULT_SIZES);
	ml_registry_enter(&scope);
	walk(psprintf("SELECT %s%s", ml_set_column_list(set, "d."), from_clause(set, number)), verify_row, &verifying);
	ml_registry_leave(&scope);
	PG_RETURN_BOOL(verifying.sum.high == recorded.high && verifying.sum.low == recorded.low);
}
