/*
 * log_rows.c
 *		Calls become rows of mlops_catalog.prediction.
 *
 * Rows of a day that has a short way (log_day.c) take it. The others are
 * gathered in a tuplestore, which the statement that inserts them sees as a
 * relation named "batch" (as triggers see transition tables): the executor
 * routes them to partitions and keeps the index. They go in by key, as the
 * index has them.
 *
 * Rows of models that are not there, or are younger than the row, are left out: a model that
 * takes the name of a dropped one does not get its calls. Models are looked up
 * by a scan of the registry, once for all rows, rather than by the statement,
 * which so reads nothing of the registry, wherever that lies.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "log/log.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#define BATCH		"batch"

const char *const ml_loss_names[ML_NLOSSES] = {
	[ML_LOSS_FULL] = "the log was full",
	[ML_LOSS_STANDBY] = "the server was a standby",
	[ML_LOSS_GONE] = "the model was not there",
	[ML_LOSS_UNREACHABLE] = "no worker could write them"
};

/* what is known of a model that rows are of */
typedef struct LoggedModel
{
	char		name[NAMEDATALEN];
	int			length;
	TimestampTz created_at;
} LoggedModel;

const MlLogColumn ml_log_columns[ML_LOG_NCOLUMNS] = {
	{"at", TIMESTAMPTZOID, true},
	{"model", TEXTOID, true},
	{"version", INT4OID, true},
	{"role", TEXTOID, true},
	{"deployment", INT4OID, false},
	{"key", TEXTOID, false},
	{"prediction", FLOAT8OID, false},
	{"label", TEXTOID, false},
	{"rules_fired", INT8OID, false},
	{"rule_errors", INT8OID, false},
	{"checks_failed", INT8OID, false},
	{"latency_us", FLOAT4OID, false},
	{"input", JSONBOID, false},
	{"shadows", JSONBOID, false}
};

bool
ml_log_has_tables(void)
{
	Oid			schema;

	if (!OidIsValid(get_extension_oid("mlops", true)))
		return false;
	schema = get_namespace_oid(ML_CATALOG_SCHEMA, true);
	return OidIsValid(schema) && OidIsValid(get_relname_relid("prediction", schema));
}

/* in the current context */
void
ml_log_rows_begin(MlLogRows *rows, int process)
{
	rows->process = process;
	rows->desc = CreateTemplateTupleDesc(ML_LOG_NCOLUMNS);
	for (int i = 0; i < ML_LOG_NCOLUMNS; i++)
		TupleDescInitEntry(rows->desc, i + 1, ml_log_columns[i].name, ml_log_columns[i].type, -1, 0);
	rows->store = tuplestore_begin_heap(false, false, work_mem);
	rows->model_cxt = CurrentMemoryContext;
	rows->cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops log row", ALLOCSET_DEFAULT_SIZES);
	rows->models = NIL;
	rows->n = 0;
	rows->day = NULL;
	rows->costs = NIL;
}

TimestampTz
ml_log_model_created(const char *model)
{
	ScanKeyData key[1];
	MlScan		scan;
	HeapTuple	tuple;
	TimestampTz created = DT_NOEND;

	ml_key_text(key, 0, Anum_ml_model_name, cstring_to_text(model));
	ml_scan_begin(&scan, ML_SIGHT_NOW, "model", "model_pkey", key, 1);
	tuple = ml_scan_next(&scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;

		created = DatumGetTimestampTz(heap_getattr(tuple, Anum_ml_model_created_at,
												   RelationGetDescr(scan.table), &isnull));
	}
	ml_scan_end(&scan);
	return created;
}

/*
 * The writer changes rows that dropping the model deletes. It waits for nobody: a transaction that
 * has dropped a model and goes on would keep it from the calls of all others.
 */
bool
ml_log_hold_model(const char *model)
{
	static MlStatement lock = {
		"SELECT 1 FROM mlops_catalog.model WHERE name OPERATOR(pg_catalog.=) $1 FOR KEY SHARE SKIP LOCKED"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	return ml_statement_run(&lock, &args) > 0;
}

static bool
has_model(MlLogRows *rows, const MlLogCall *call)
{
	MemoryContext old;
	LoggedModel *model;
	ListCell   *cell;

	foreach(cell, rows->models)
	{
		model = lfirst(cell);
		if (model->length == call->nmodel && memcmp(model->name, call->model, call->nmodel) == 0)
			return model->created_at <= call->at;
	}
	old = MemoryContextSwitchTo(rows->model_cxt);
	model = palloc0(sizeof(LoggedModel));
	model->length = call->nmodel;
	memcpy(model->name, call->model, call->nmodel);
	model->created_at = ml_log_model_created(model->name);
	rows->models = lappend(rows->models, model);
	MemoryContextSwitchTo(old);
	return model->created_at <= call->at;
}

/*
 * What can be wrong with a text, as a cancel or an end of the server's cannot. Not supported is
 * an escape like \u00e9 in a database without an encoding, by servers before 16.
 */
static bool
is_about_text(int code)
{
	int			category = ERRCODE_TO_CATEGORY(code);

	return category == ERRCODE_DATA_EXCEPTION || category == ERRCODE_PROGRAM_LIMIT_EXCEEDED ||
		category == ERRCODE_FEATURE_NOT_SUPPORTED;
}

/* Text that is no jsonb (a zero character, an array literal) is no error of anybody. */
static Datum
read_json(const char *text, int length, bool *isnull)
{
	MemoryContext cxt = CurrentMemoryContext;
	volatile Datum result = (Datum) 0;

	PG_TRY();
	{
		result = DirectFunctionCall1(jsonb_in, CStringGetDatum(pnstrdup(text, length)));
		*isnull = false;
	}
	PG_CATCH();
	{
		if (!is_about_text(geterrcode()))
			PG_RE_THROW();

		/* nothing but memory was taken */
		MemoryContextSwitchTo(cxt);
		FlushErrorState();
		*isnull = true;
	}
	PG_END_TRY();
	return result;
}

static Datum
text_datum(const char *bytes, int length, bool *isnull)
{
	*isnull = bytes == NULL;
	return bytes == NULL ? (Datum) 0 : PointerGetDatum(cstring_to_text_with_len(bytes, length));
}

void
ml_log_rows_add(MlLogRows *rows, const MlLogCall *call)
{
	MemoryContext old;
	Datum		value[ML_LOG_NCOLUMNS];
	bool		isnull[ML_LOG_NCOLUMNS] = {0};

	if (!has_model(rows, call))
		return;
	old = MemoryContextSwitchTo(rows->cxt);
	value[0] = TimestampTzGetDatum(call->at);
	value[1] = text_datum(call->model, call->nmodel, &isnull[1]);
	value[2] = Int32GetDatum(call->version);
	value[3] = text_datum(call->role, call->nrole, &isnull[3]);
	value[4] = Int32GetDatum(call->deployment);
	isnull[4] = call->deployment == 0;
	value[5] = text_datum(call->key, call->nkey, &isnull[5]);
	value[6] = Float8GetDatum(call->prediction);
	isnull[6] = isnan(call->prediction);
	value[7] = text_datum(call->label, call->nlabel, &isnull[7]);
	value[8] = Int64GetDatum((int64) call->rules);
	isnull[8] = !call->has_rules;
	value[9] = Int64GetDatum((int64) call->errors);
	isnull[9] = !call->has_rules;
	value[10] = Int64GetDatum((int64) call->checks);
	isnull[10] = !call->has_checks;
	value[11] = Float4GetDatum(call->latency);
	isnull[11] = isnan(call->latency);
	isnull[12] = call->input == NULL;
	value[12] = isnull[12] ? (Datum) 0 : read_json(call->input, call->ninput, &isnull[12]);
	isnull[13] = call->shadows == NULL;
	value[13] = isnull[13] ? (Datum) 0 : ml_log_shadows(rows, call);
	MemoryContextSwitchTo(old);
	if (rows->day != NULL && ml_log_day_has(rows->day, call->at))
		ml_log_day_add(rows->day, value, isnull);
	else
	{
		tuplestore_putvalues(rows->store, rows->desc, value, isnull);
		rows->n++;
	}
	MemoryContextReset(rows->cxt);
}

static void
register_batch(MlLogRows *rows)
{
	EphemeralNamedRelation batch = palloc0(sizeof(EphemeralNamedRelationData));

	batch->md.name = BATCH;
	batch->md.reliddesc = InvalidOid;
	batch->md.tupdesc = rows->desc;
	batch->md.enrtype = ENR_NAMED_TUPLESTORE;
	batch->md.enrtuples = (double) rows->n;
	batch->reldata = rows->store;
	if (SPI_register_relation(batch) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the rows of the log");
}

static uint64
insert_batch(MlLogRows *rows)
{
	register_batch(rows);
	if (SPI_execute("INSERT INTO mlops_catalog.prediction (at, model, version, role, deployment, key, "
					"prediction, label, rules_fired, rule_errors, checks_failed, latency_us, input, shadows) "
					"SELECT b.at, b.model, b.version, b.role, b.deployment, b.key, "
					"b.prediction, b.label, b.rules_fired, b.rule_errors, b.checks_failed, b.latency_us, b.input, b.shadows FROM " BATCH " AS b "
					"ORDER BY b.key COLLATE pg_catalog.\"C\", b.at",
					false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write the rows of the log");
	return SPI_processed;
}

uint64
ml_log_rows_write(MlLogRows *rows)
{
	MlRegistryScope scope;
	uint64		written = rows->day ? ml_log_day_close(rows->day) : 0;

	ml_registry_enter(&scope);
	if (rows->n > 0)
		written += insert_batch(rows);
	ml_log_write_costs(rows);
	ml_registry_leave(&scope);
	tuplestore_end(rows->store);
	MemoryContextDelete(rows->cxt);
	return written;
}

void
ml_log_write_losses(const uint64 *lost)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.log_gap (reason, calls) VALUES ($1, $2)"
	};
	MlRegistryScope scope;

	ml_registry_enter(&scope);
	for (int i = 0; i < ML_NLOSSES; i++)
	{
		MlArguments args = {0};

		if (lost[i] == 0)
			continue;
		ml_bind_text(&args, ml_loss_names[i]);
		ml_bind_int8(&args, (int64) lost[i]);
		ml_statement_run(&insert, &args);
	}
	ml_registry_leave(&scope);
}
