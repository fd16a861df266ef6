/*
 * query.c
 *		mlops_score: a whole query scored and logged in the caller's
 *		transaction, on any server that can write.
 *
 * The query runs as the caller, on a cursor; rows are scored with one bundle,
 * resolved at the start. What is logged goes into the table with the result
 * complete, in one statement, and is taken back with the transaction.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "frame/frame.h"
#include "frame/hash.h"
#include "funcapi.h"
#include "log/call.h"
#include "log/log.h"
#include "miscadmin.h"
#include "result.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define NCOLUMNS	5
#define FETCH		1000

PG_FUNCTION_INFO_V1(mlops_score);

typedef struct ScoredQuery
{
	MlScorer   *scorer;
	MlLogSettings settings;
	uint64		limit;
	bool		logs;
	MlRows		result;
	MlLogRows	log;
	int			key;			/* column of the query; 0: none */
	Oid			key_type;
	Oid			key_output;
	MemoryContext row_cxt;
} ScoredQuery;

/* what a model's owner said; where he said nothing, all rows are logged */
static void
settle_logging(ScoredQuery *query)
{
	ml_registry_log_settings(query->scorer->resolved.model, &query->settings);
	query->logs = query->settings.sample != 0.0;
	query->limit = ml_hash_limit(query->settings.sample < 0.0 ? 1.0 : query->settings.sample);
}

static void
find_key(ScoredQuery *query, TupleDesc desc, const char *key)
{
	bool		varlena;

	if (key == NULL)
		return;
	query->key = SPI_fnumber(desc, key);
	if (query->key <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the source has no column \"%s\"", key),
				 errdetail("It was named as the key of the rows."),
				 errhint("Name a column of the source, or leave the key out.")));
	query->key_type = SPI_gettypeid(desc, query->key);
	getTypeOutputInfo(query->key_type, &query->key_output, &varlena);
}

/* the key as the log has it; false: it is NULL */
static bool
take_key(const ScoredQuery *query, HeapTuple tuple, TupleDesc desc, char *buffer, MlLogCall *call)
{
	bool		isnull = true;
	Datum		value = (Datum) 0;
	char	   *text;

	if (query->key > 0)
		value = SPI_getbinval(tuple, desc, query->key, &isnull);
	if (isnull)
		return false;
	text = OidOutputFunctionCall(query->key_output, value);
	call->nkey = ml_score_key(text, strlen(text), buffer);
	call->key = buffer;
	return true;
}

static void
take_input(const ScoredQuery *query, Datum record, MlLogCall *call)
{
	text	   *json;

	if (!query->settings.input)
		return;
	json = DatumGetTextPP(DirectFunctionCall1(row_to_json, record));
	call->input = VARDATA_ANY(json);
	call->ninput = VARSIZE_ANY_EXHDR(json);
}

static void
add_result(ScoredQuery *query, const MlLogCall *call)
{
	Datum		value[NCOLUMNS];
	bool		isnull[NCOLUMNS] = {0};

	ml_rows_text(value, isnull, 0, call->key ? pnstrdup(call->key, call->nkey) : NULL);
	ml_rows_number(value, isnull, 1, call->prediction);
	ml_rows_text(value, isnull, 2, call->label);
	value[3] = Int32GetDatum(call->version);
	ml_rows_text(value, isnull, 4, call->role);
	ml_rows_add(&query->result, value, isnull);
}

static void
score_row(ScoredQuery *query, HeapTuple tuple, TupleDesc desc)
{
	MlScorer   *scorer = query->scorer;
	char		key[ML_KEY_BUFFER];
	char		label[ML_LABEL_MAX + 1];
	MlLogCall	call = {0};
	Datum		record = heap_copy_tuple_as_datum(tuple, desc);
	bool		has_key = take_key(query, tuple, desc, key, &call);
	MlScoreInput how = {.record = record, .key = call.key, .nkey = call.nkey};
	MlAnswer	answer;
	instr_time	start;
	instr_time	end;
	uint64		hash;

	INSTR_TIME_SET_CURRENT(start);
	ml_score_answer(scorer, &how, ML_RESULT_ANY, &answer);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	call.latency = (float) (INSTR_TIME_GET_DOUBLE(end) * 1e6);
	call.at = GetCurrentTimestamp();
	ml_watch_describe(&answer, label, &call);
	add_result(query, &call);
	if (!query->logs || (!has_key && !query->settings.without_key))
		return;
	hash = ml_watch_hash(scorer->resolved.model, call.key, call.nkey);
	if (!ml_watch_in_sample(hash, query->limit))
		return;
	take_input(query, record, &call);
	INSTR_TIME_SET_CURRENT(start);
	ml_watch_shadows(&answer, hash, start, &call);
	ml_log_rows_add(&query->log, &call);
}

static void
score_rows(ScoredQuery *query, const char *source, const char *key)
{
	Portal		portal;
	bool		found = false;

	portal = SPI_cursor_open_with_args(NULL, source, 0, NULL, NULL, NULL, true, 0);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, FETCH);
		if (!found)
		{
			find_key(query, SPI_tuptable->tupdesc, key);
			found = true;
		}
		BlessTupleDesc(SPI_tuptable->tupdesc);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			MemoryContext old = MemoryContextSwitchTo(query->row_cxt);

			CHECK_FOR_INTERRUPTS();
			score_row(query, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
			MemoryContextSwitchTo(old);
			MemoryContextReset(query->row_cxt);
		}
		if (SPI_processed < FETCH)
			break;
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
}

/* mlops_score(model text, source text, key text) */
Datum
mlops_score(PG_FUNCTION_ARGS)
{
	ScoredQuery		query = {0};
	char	   *source;
	char	   *key;

	ml_registry_require_writable("score and log a query");
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"source\" must not be NULL"),
				 errdetail("It was given as NULL."),
				 errhint("Give the name of a table or view, or a SELECT.")));
	source = ml_source_query(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	key = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	query.scorer = ml_score_resolve(fcinfo, ML_RESULT_ANY, ml_score_reference(fcinfo));
	settle_logging(&query);
	ml_rows_begin(fcinfo, &query.result);
	ml_log_rows_begin(&query.log, MyProcPid);
	query.row_cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops score row", ALLOCSET_DEFAULT_SIZES);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	score_rows(&query, source, key);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
	(void) ml_log_rows_write(&query.log);
	return (Datum) 0;
}
