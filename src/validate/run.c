/*
 * run.c
 *		Running a query around what an author wrote, and fingerprints of the rows that it
 *		gives.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/executor.h"
#include "nodes/parsenodes.h"
#include "tcop/tcopprot.h"
#include "utils/snapmgr.h"
#include "validate/set.h"

/* ---- running a query ---- */

typedef struct RunContext
{
	const char *text;
	const char *what;
} RunContext;

static void
run_error_callback(void *arg)
{
	const RunContext *run = arg;
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(run->text);
	}
	errcontext("%s", run->what);
}

void
ml_read_run(const char *text, QueryEnvironment *env, DestReceiver *receiver, const char *context)
{
	RunContext	run = {text, context};
	ErrorContextCallback callback = {error_context_stack, run_error_callback, &run};
	RawStmt    *raw;
	PlannedStmt *plan;
	QueryDesc  *desc;

	error_context_stack = &callback;
	raw = linitial_node(RawStmt, pg_parse_query(text));
	plan = pg_plan_query(linitial_node(Query, ml_analyze_and_rewrite_in(raw, text, env)), text,
						 CURSOR_OPT_PARALLEL_OK, NULL);
	desc = CreateQueryDesc(plan, text, GetActiveSnapshot(), InvalidSnapshot, receiver, NULL, env, 0);
	ExecutorStart(desc, 0);
	ml_executor_run(desc);
	ExecutorFinish(desc);
	ExecutorEnd(desc);
	FreeQueryDesc(desc);
	error_context_stack = callback.previous;
}

/* ---- fingerprints ---- */

MlHashSecret *
ml_row_secrets(const MlSet *set)
{
	MlHashSecret *secret = palloc(sizeof(MlHashSecret) * Max(set->ncolumns, 1));

	for (int i = 0; i < set->ncolumns; i++)
		ml_hash_secret(set->column[i].name, &secret[i]);
	return secret;
}

/* the bytes of the value; of built-in types, none of which points elsewhere */
static uint64
hash_image(Form_pg_attribute attribute, Datum value)
{
	struct varlena *image;

	if (attribute->attbyval)
		return attribute->attlen == 8 ? (uint64) value :
			attribute->attlen == 4 ? (uint64) (uint32) DatumGetInt32(value) :
			attribute->attlen == 2 ? (uint64) (uint16) DatumGetInt16(value) : (uint64) (uint8) DatumGetChar(value);
	if (attribute->attlen > 0)
		return ml_hash_bytes(DatumGetPointer(value), attribute->attlen, 0);
	if (attribute->attlen == -2)
		return ml_hash_bytes(DatumGetCString(value), strlen(DatumGetCString(value)), 0);
	image = PG_DETOAST_DATUM_PACKED(value);
	return ml_hash_bytes(VARDATA_ANY(image), VARSIZE_ANY_EXHDR(image), 0);
}

MlHash128
ml_row_fingerprint(TupleDesc desc, const MlHashSecret *secret, const Datum *values, const bool *nulls)
{
	MlHash128	sum = {0, 0};

	for (int i = 0; i < desc->natts; i++)
		ml_hash128_add(&sum, nulls[i] ? secret[i].null :
					   ml_hash_value(&secret[i], hash_image(TupleDescAttr(desc, i), values[i])));
	return ml_hash_finish(sum);
}
