/*
 * outcome_source.c
 *		Outcomes pulled from business tables, a bit at a time.
 *
 * A model has one query of outcomes at most. It is stored with its author and
 * his settings, and runs as the author. What it gave is inserted afterwards by
 * statements of ours. A pull reads what is younger than the youngest outcome
 * that was pulled less the lateness; what is read again is known already. Rows
 * that are no outcomes are counted and left out, so that one of them does not
 * stop the others.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "attempt.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "frame/frame.h"
#include "funcapi.h"
#include "log/log.h"
#include "miscadmin.h"
#include "registry/author.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "watch/outcome.h"

#define FETCH		1000
#define NCOLUMNS	3			/* key, outcome, at */
#define NRESULTS	5
#define BATCH		"batch"
#define SOURCE_NAME "query"		/* in the column source of the outcomes */

PG_FUNCTION_INFO_V1(mlops_set_outcomes);
PG_FUNCTION_INFO_V1(mlops_pull_outcomes);

typedef struct OutcomeSource
{
	char	   *source;
	char	   *key;
	char	   *outcome;
	char	   *time_column;
	Interval   *lateness;
	MlAuthor	author;
	TimestampTz until;			/* of what was pulled before */
} OutcomeSource;

static char *
make_query(const OutcomeSource *from)
{
	const char *key = quote_identifier(from->key);
	const char *outcome = quote_identifier(from->outcome);
	const char *at = quote_identifier(from->time_column);

	return psprintf("SELECT (q.%s)::pg_catalog.text, (q.%s)::pg_catalog.text, (q.%s)::pg_catalog.timestamptz "
					"FROM (%s\n) AS q WHERE q.%s OPERATOR(pg_catalog.>=) $1 AND q.%s OPERATOR(pg_catalog.<=) $2",
					key, outcome, at, ml_source_query(from->source), at, at);
}

static void
enter_author(const OutcomeSource *from, const char *model, MlAuthorScope *scope)
{
	const MlAuthored what = {
		.what = "the source of outcomes",
		.model = model,
		.privilege = ML_PRIVILEGE_TRAIN,
		.hint = "Set it again with mlops_set_outcomes()."
	};

	ml_author_enter(&from->author, &what, scope);
}

typedef struct Reading
{
	const OutcomeSource *from;
	TimestampTz since;
	TimestampTz until;
	void		(*each) (void *arg, Datum *value, bool *isnull);
	void	   *arg;
} Reading;

static void
read_rows(void *reading_arg)
{
	Reading    *reading = reading_arg;
	const OutcomeSource *from = reading->from;
	void		(*each) (void *arg, Datum *value, bool *isnull) = reading->each;
	void	   *arg = reading->arg;
	Oid			type[2] = {TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		limit[2] = {TimestampTzGetDatum(reading->since), TimestampTzGetDatum(reading->until)};
	Portal		portal;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	portal = SPI_cursor_open_with_args(NULL, make_query(from), 2, type, limit, NULL, true, 0);
	do
	{
		SPI_cursor_fetch(portal, true, FETCH);
		for (uint64 i = 0; each != NULL && i < SPI_processed; i++)
		{
			Datum		value[NCOLUMNS];
			bool		isnull[NCOLUMNS];

			for (int c = 0; c < NCOLUMNS; c++)
				value[c] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, c + 1, &isnull[c]);
			each(arg, value, isnull);
		}
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed == FETCH);
	SPI_cursor_close(portal);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
}

/* the rows between two moments, as the author, each handed over in a short-lived context */
static void
read_source(const OutcomeSource *from, const char *model, TimestampTz since, TimestampTz until,
			void (*each) (void *arg, Datum *value, bool *isnull), void *arg)
{
	Reading		reading = {from, since, until, each, arg};
	MlAuthorScope scope;

	enter_author(from, model, &scope);
	ml_call_plainly(read_rows, &reading, "the source of outcomes");
	ml_author_leave(&scope);
}

/* ---- setting it ---- */

static void
require_column(TupleDesc desc, const char *name, const char *argument)
{
	if (SPI_fnumber(desc, name) > 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("the source of outcomes has no column \"%s\"", name),
			 errdetail("Argument \"%s\" names it.", argument),
			 errhint("Name the columns: mlops_set_outcomes(model, source, key => ..., outcome => ..., time_column => ...).")));
}

static void
require_time(TupleDesc desc, const char *name)
{
	Oid			type = getBaseType(SPI_gettypeid(desc, SPI_fnumber(desc, name)));

	if (type != DATEOID && type != TIMESTAMPOID && type != TIMESTAMPTZOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of the source of outcomes is not a time", name),
				 errdetail("It is of type %s; date, timestamp and timestamptz are times.", format_type_be(type)),
				 errhint("Convert it in the source, as in SELECT key, outcome, to_timestamp(seconds) AS at FROM ....")));
}

static void
check_lateness(const Interval *lateness)
{
	int64		usec = ml_watch_interval(lateness);

	if (usec < 0 || usec >= (int64) ML_WATCH_LONGEST)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"lateness\" of a source of outcomes cannot be %s",
						DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(lateness)))),
				 errdetail("What is so much older than the youngest outcome is read again: 0 or longer, and shorter than 1000 years."),
				 errhint("Leave it out for 1 day.")));
}

/* has the source the columns that it should, as the author sees it? */
static void
check_columns(const OutcomeSource *from, const char *model)
{
	MlAuthorScope scope;
	Portal		portal;

	enter_author(from, model, &scope);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	portal = SPI_cursor_open_with_args(NULL, ml_source_query(from->source), 0, NULL, NULL, NULL, true, 0);
	require_column(portal->tupDesc, from->key, "key");
	require_column(portal->tupDesc, from->outcome, "outcome");
	require_column(portal->tupDesc, from->time_column, "time_column");
	require_time(portal->tupDesc, from->time_column);
	SPI_cursor_close(portal);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
	ml_author_leave(&scope);
}

static char *
argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	ml_require_argument(fcinfo, n, name);
	return text_to_cstring(PG_GETARG_TEXT_PP(n));
}

static void
store_source(const char *model, const OutcomeSource *from)
{
	static MlStatement upsert = {
		"INSERT INTO mlops_catalog.outcome_source (model, source, key, outcome, time_column, lateness, author, settings) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (model) DO UPDATE SET source = EXCLUDED.source, "
		"key = EXCLUDED.key, outcome = EXCLUDED.outcome, time_column = EXCLUDED.time_column, "
		"lateness = EXCLUDED.lateness, author = EXCLUDED.author, settings = EXCLUDED.settings, "
		"pulled_until = NULL, pulled_at = NULL, set_at = pg_catalog.clock_timestamp()"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_text(&args, from->source);
	ml_bind_text(&args, from->key);
	ml_bind_text(&args, from->outcome);
	ml_bind_text(&args, from->time_column);
	ml_bind_interval(&args, from->lateness);
	ml_bind_text(&args, from->author.role);
	ml_bind_jsonb(&args, ml_author_settings_json(&from->author));
	ml_registry_run(&upsert, &args);
}

static void
delete_source(const char *model)
{
	static MlStatement delete = {
		"DELETE FROM mlops_catalog.outcome_source WHERE model OPERATOR(pg_catalog.=) $1"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_registry_run(&delete, &args);
}

/* mlops_set_outcomes(model, source, key, outcome, time_column, lateness) */
Datum
mlops_set_outcomes(PG_FUNCTION_ARGS)
{
	OutcomeSource from = {0};
	MlOutcomeKind kind;
	char	   *model = argument(fcinfo, 0, "model");

	ml_registry_require_writable("set the source of outcomes");
	ml_privilege_require(model, ML_PRIVILEGE_TRAIN);
	if (PG_ARGISNULL(1))
	{
		delete_source(model);
		PG_RETURN_VOID();
	}
	from.source = argument(fcinfo, 1, "source");
	from.key = argument(fcinfo, 2, "key");
	from.outcome = argument(fcinfo, 3, "outcome");
	from.time_column = argument(fcinfo, 4, "time_column");
	ml_require_argument(fcinfo, 5, "lateness");
	from.lateness = PG_GETARG_INTERVAL_P(5);
	check_lateness(from.lateness);
	ml_author_here(&from.author);
	ml_outcome_kind(model, &kind);
	check_columns(&from, model);
	/* what cannot be read is refused now: no row lies before the beginning of time */
	read_source(&from, model, DT_NOEND, DT_NOBEGIN, NULL, NULL);
	store_source(model, &from);
	PG_RETURN_VOID();
}

/* ---- pulling ---- */

#define SELECT_SOURCE \
	"SELECT s.source, s.key, s.outcome, s.time_column, s.author, s.settings, s.pulled_until, " \
	"s.pulled_until OPERATOR(pg_catalog.-) s.lateness " \
	"FROM mlops_catalog.outcome_source AS s WHERE s.model OPERATOR(pg_catalog.=) $1 FOR UPDATE"

/* false: there is none; or, without wait, another session pulls from it */
static bool
find_source(const char *model, bool wait, OutcomeSource *from)
{
	static MlStatement select = {SELECT_SOURCE};
	static MlStatement select_free = {SELECT_SOURCE " SKIP LOCKED"};
	MemoryContext caller = CurrentMemoryContext;
	MlArguments args = {0};
	MlRegistryScope scope;
	bool		found;

	memset(from, 0, sizeof(OutcomeSource));
	ml_bind_text(&args, model);
	ml_registry_enter(&scope);
	found = ml_statement_run(wait ? &select : &select_free, &args) > 0;
	if (found)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);
		bool		isnull;
		Datum		settings = ml_result_datum(0, 6, &isnull);

		from->source = ml_result_text(0, 1);
		from->key = ml_result_text(0, 2);
		from->outcome = ml_result_text(0, 3);
		from->time_column = ml_result_text(0, 4);
		ml_author_read(&from->author, ml_result_text(0, 5), DatumGetJsonbPCopy(settings));
		from->until = ml_result_time(0, 8);
		MemoryContextSwitchTo(old);
	}
	ml_registry_leave(&scope);
	return found;
}

typedef struct Pull
{
	MlOutcomeKind kind;
	TupleDesc	desc;
	Tuplestorestate *store;
	int64		n;
	MemoryContext row_cxt;
	MlPulled   *pulled;
} Pull;

static void
keep_row(Pull *pull, Datum *value, bool *isnull)
{
	char		key[ML_KEY_BUFFER];
	const char *outcome = NULL;
	Datum		row[NCOLUMNS];
	bool		nulls[NCOLUMNS] = {0};
	text	   *given;

	pull->pulled->read++;
	if (!isnull[0] && !isnull[1] && !isnull[2] && !TIMESTAMP_NOT_FINITE(DatumGetTimestampTz(value[2])))
		outcome = ml_outcome_read(&pull->kind, TextDatumGetCString(value[1]));
	if (outcome == NULL)
	{
		pull->pulled->refused++;
		return;
	}
	given = DatumGetTextPP(value[0]);
	(void) ml_score_key(VARDATA_ANY(given), VARSIZE_ANY_EXHDR(given), key);
	row[0] = CStringGetTextDatum(key);
	row[1] = CStringGetTextDatum(outcome);
	row[2] = value[2];
	tuplestore_putvalues(pull->store, pull->desc, row, nulls);
	pull->n++;
}

static void
take_row(void *arg, Datum *value, bool *isnull)
{
	Pull	   *pull = arg;
	MemoryContext old = MemoryContextSwitchTo(pull->row_cxt);

	CHECK_FOR_INTERRUPTS();
	keep_row(pull, value, isnull);
	MemoryContextSwitchTo(old);
	MemoryContextReset(pull->row_cxt);
}

static void
begin_pull(Pull *pull, const char *model, MlPulled *pulled)
{
	memset(pulled, 0, sizeof(MlPulled));
	pull->pulled = pulled;
	pull->n = 0;
	ml_outcome_kind(model, &pull->kind);
	pull->desc = CreateTemplateTupleDesc(NCOLUMNS);
	TupleDescInitEntry(pull->desc, 1, "key", TEXTOID, -1, 0);
	TupleDescInitEntry(pull->desc, 2, "outcome", TEXTOID, -1, 0);
	TupleDescInitEntry(pull->desc, 3, "at", TIMESTAMPTZOID, -1, 0);
	pull->row_cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops outcome", ALLOCSET_SMALL_SIZES);
	pull->store = tuplestore_begin_heap(true, false, work_mem);
}

static void
register_batch(const Pull *pull)
{
	EphemeralNamedRelation batch = palloc0(sizeof(EphemeralNamedRelationData));

	batch->md.name = BATCH;
	batch->md.tupdesc = pull->desc;
	batch->md.enrtype = ENR_NAMED_TUPLESTORE;
	batch->md.enrtuples = (double) pull->n;
	batch->reldata = pull->store;
	if (SPI_register_relation(batch) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register outcomes");
}

/* inserts what is new, and remembers how far it was read */
static void
write_pull(const Pull *pull, const char *model, const char *author)
{
	Oid			type[3] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		value[3] = {
		CStringGetTextDatum(model), CStringGetTextDatum(SOURCE_NAME), CStringGetTextDatum(author)
	};
	MlRegistryScope scope;

	ml_registry_enter(&scope);
	register_batch(pull);
	if (SPI_execute_with_args("WITH added AS (INSERT INTO mlops_catalog.outcome (model, key, outcome, at, source, annotator) "
							  "SELECT $1, b.key, b.outcome, b.at, $2, $3 FROM " BATCH " AS b "
							  "ON CONFLICT DO NOTHING RETURNING key, at) "
							  "SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE NOT EXISTS ("
							  "SELECT FROM mlops_catalog.prediction AS p WHERE p.key OPERATOR(pg_catalog.=) a.key "
							  "AND p.model OPERATOR(pg_catalog.=) $1 AND p.at OPERATOR(pg_catalog.<=) a.at)) FROM added AS a",
							  3, type, value, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not write outcomes");
	pull->pulled->added = ml_result_int8(0, 1);
	pull->pulled->unpredicted = ml_result_int8(0, 2);
	pull->pulled->known = pull->n - pull->pulled->added;
	if (SPI_execute_with_args("UPDATE mlops_catalog.outcome_source SET pulled_at = pg_catalog.clock_timestamp(), "
							  "pulled_until = GREATEST(pulled_until, (SELECT pg_catalog.max(b.at) FROM " BATCH " AS b)) "
							  "WHERE model OPERATOR(pg_catalog.=) $1", 1, type, value, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not note what was pulled");
	ml_registry_leave(&scope);
}

bool
ml_outcomes_pull(const char *model, TimestampTz as_of, bool wait, MlPulled *pulled)
{
	OutcomeSource from;
	Pull		pull;

	memset(pulled, 0, sizeof(MlPulled));
	if (!find_source(model, wait, &from))
		return false;
	begin_pull(&pull, model, pulled);
	read_source(&from, model, from.until, as_of, take_row, &pull);
	write_pull(&pull, model, from.author.role);
	tuplestore_end(pull.store);
	return true;
}

List *
ml_outcomes_models(void)
{
	static MlStatement select = {
		"SELECT model FROM mlops_catalog.outcome_source ORDER BY model"
	};
	MlArguments args = {0};

	return ml_registry_texts(&select, &args);
}

/* mlops_pull_outcomes(model text, as_of timestamptz) */
Datum
mlops_pull_outcomes(PG_FUNCTION_ARGS)
{
	char	   *model;
	Datum		value[NRESULTS];
	bool		isnull[NRESULTS] = {0};
	MlPulled	pulled;
	TupleDesc	desc;

	ml_require_arguments(fcinfo);
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	ml_registry_require_writable("pull outcomes");
	ml_privilege_require(model, ML_PRIVILEGE_TRAIN);
	ml_watch_require_moment(PG_GETARG_TIMESTAMPTZ(1));
	if (!ml_outcomes_pull(model, PG_GETARG_TIMESTAMPTZ(1), true, &pulled))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model \"%s\" has no source of outcomes", model),
				 errdetail("Nothing says where they could be pulled from."),
				 errhint("Set one: SELECT mlops_set_outcomes(%s, source, key, outcome, time_column).",
						 quote_literal_cstr(model))));
	value[0] = Int64GetDatum(pulled.read);
	value[1] = Int64GetDatum(pulled.added);
	value[2] = Int64GetDatum(pulled.known);
	value[3] = Int64GetDatum(pulled.refused);
	value[4] = Int64GetDatum(pulled.unpredicted);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), value, isnull)));
}
