/*
 * frame.c
 *		Reads a source into a frame: which column is what, and the run of the
 *		query.
 *
 * What the query needs lives in "mlops source" and goes when it has run; what
 * stays is in frame->cxt and refers to no relation, snapshot or plan. On error
 * the caller's context takes both with it.
 */
#include "postgres.h"

#include "compat.h"
#include "errors.h"
#include "executor/executor.h"
#include "frame/column.h"
#include "frame/frame.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "portability/instr_time.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define ML_PROGRESS_ROWS	8192
#define ML_LISTED_COLUMNS	30		/* in error messages */

/* ---- columns ---- */

int
ml_frame_find(const MlFrame *frame, const char *name)
{
	for (int i = 0; i < frame->ncols; i++)
		if (strcmp(frame->cols[i].name, name) == 0)
			return i;
	return -1;
}

static void
refuse_duplicate(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_COLUMN),
			 errmsg("the source has more than one column named \"%s\"", name),
			 errdetail("Columns are known by their names."),
			 errhint("Name each column once in the SELECT list, with AS where needed.")));
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static void
check_duplicates(const MlFrame *frame)
{
	char	  **name = palloc(frame->ncols * sizeof(char *));

	for (int i = 0; i < frame->ncols; i++)
		name[i] = frame->cols[i].name;
	qsort(name, frame->ncols, sizeof(char *), compare_names);
	for (int i = 1; i < frame->ncols; i++)
		if (strcmp(name[i - 1], name[i]) == 0)
			refuse_duplicate(name[i]);
	pfree(name);
}

static void
make_columns(MlFrame *frame, TupleDesc desc)
{
	if (desc->natts == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the source has no columns"),
				 errdetail("Its SELECT list is empty."),
				 errhint("Name the columns to learn from in its SELECT list.")));
	frame->ncols = desc->natts;
	frame->cols = MemoryContextAllocZero(frame->cxt, desc->natts * sizeof(MlColumn));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		MlColumn   *column = &frame->cols[i];

		column->name = MemoryContextStrdup(frame->cxt, NameStr(attribute->attname));
		column->role = ML_ROLE_UNUSED;
		ml_value_type(attribute->atttypid, attribute->atttypmod, frame->cxt, &column->type);
	}
	check_duplicates(frame);
}

/* ---- named columns ---- */

static char *
list_columns(const MlFrame *frame)
{
	StringInfoData list;
	int			n = Min(frame->ncols, ML_LISTED_COLUMNS);

	initStringInfo(&list);
	for (int i = 0; i < n; i++)
		appendStringInfo(&list, "%s\"%s\"", i > 0 ? ", " : "", frame->cols[i].name);
	if (frame->ncols > n)
		appendStringInfo(&list, " and %d more", frame->ncols - n);
	return list.data;
}

/* argument: where the name stands, "target" */
static void
refuse_missing(const MlFrame *frame, const char *name, const char *argument)
{
	MlNearest	nearest;

	ml_nearest_begin(&nearest, name);
	for (int i = 0; i < frame->ncols; i++)
		ml_nearest_offer(&nearest, frame->cols[i].name);
	/* "Age" is more likely "age" than "Ages" */
	for (int i = 0; i < frame->ncols; i++)
		if (pg_strcasecmp(frame->cols[i].name, name) == 0)
			nearest.best = frame->cols[i].name;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" does not exist in the source", name),
			 errdetail("It is named in %s; the source has %s.", argument, list_columns(frame)),
			 nearest.best != NULL ?
			 errhint("Perhaps you meant \"%s\".", nearest.best) :
			 errhint("Names are compared exactly, upper and lower case included.")));
}

static int
find_named(const MlFrame *frame, const char *name, const char *argument)
{
	int			i;

	if (name == NULL)
		return -1;
	i = ml_frame_find(frame, name);
	if (i < 0)
		refuse_missing(frame, name, argument);
	return i;
}

static void
refuse_two_roles(const MlFrame *frame, int column, const char *one, const char *other)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("column \"%s\" is named both as %s and as %s",
					frame->cols[column].name, one, other),
			 errdetail("A column has one role."),
			 errhint("Take it out of one of them.")));
}

static void
check_two_roles(const MlFrame *frame)
{
	if (frame->target_column >= 0 && frame->target_column == frame->weight_column)
		refuse_two_roles(frame, frame->target_column, "target", "weight");
	if (frame->target_column >= 0 && frame->target_column == frame->key_column)
		refuse_two_roles(frame, frame->target_column, "target", "key");
	if (frame->weight_column >= 0 && frame->weight_column == frame->key_column)
		refuse_two_roles(frame, frame->weight_column, "weight", "key");
}

static void
assign_features(MlFrame *frame, const MlFrameRequest *request)
{
	for (int i = 0; request->features == NULL && i < frame->ncols; i++)
		if (frame->cols[i].role == ML_ROLE_UNUSED)
			frame->cols[i].role = ML_ROLE_FEATURE;
	for (int i = 0; request->features != NULL && i < request->nfeatures; i++)
	{
		int			column = find_named(frame, request->features[i], "features");

		if (column == frame->target_column)
			refuse_two_roles(frame, column, "target", "one of the features");
		if (column == frame->weight_column)
			refuse_two_roles(frame, column, "weight", "one of the features");
		frame->cols[column].role = ML_ROLE_FEATURE;
	}
	for (int i = 0; i < request->nexclude; i++)
	{
		int			column = find_named(frame, request->exclude[i], "exclude");
		MlRole	   *role = &frame->cols[column].role;

		if (*role == ML_ROLE_FEATURE)
			*role = column == frame->time_column ? ML_ROLE_TIME :
				column == frame->key_column ? ML_ROLE_KEY : ML_ROLE_UNUSED;
	}
}

/* a later role wins, but features leave target and weight alone */
static void
assign_roles(MlFrame *frame, const MlFrameRequest *request)
{
	frame->target_column = find_named(frame, request->target, "target");
	frame->weight_column = find_named(frame, request->weight, "weight");
	frame->key_column = find_named(frame, request->key, "key");
	frame->time_column = find_named(frame, request->time_column, "time_column");
	check_two_roles(frame);

	if (frame->key_column >= 0)
		frame->cols[frame->key_column].role = ML_ROLE_KEY;
	if (frame->time_column >= 0)
		frame->cols[frame->time_column].role = ML_ROLE_TIME;
	if (frame->weight_column >= 0)
		frame->cols[frame->weight_column].role = ML_ROLE_WEIGHT;
	if (frame->target_column >= 0)
		frame->cols[frame->target_column].role = ML_ROLE_TARGET;
	assign_features(frame, request);
}

/* ---- types ---- */

/* the column as an element of the text of a text[] */
static char *
array_element(const char *name)
{
	StringInfoData text;

	if (strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789") == strlen(name) &&
		pg_strcasecmp(name, "null") != 0)
		return pstrdup(name);
	initStringInfo(&text);
	appendStringInfoChar(&text, '"');
	for (const char *p = name; *p; p++)
	{
		if (*p == '"' || *p == '\\')
			appendStringInfoChar(&text, '\\');
		if (*p == '\'')
			appendStringInfoChar(&text, '\'');
		appendStringInfoChar(&text, *p);
	}
	appendStringInfoChar(&text, '"');
	return text.data;
}

static void
refuse_kind(const MlColumn *column)
{
	bool		target = column->role == ML_ROLE_TARGET;

	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of type %s cannot be %s", column->name,
					ml_value_type_name(&column->type), target ? "the target" : "a feature"),
			 errdetail("Columns can be numbers, booleans, text, enums, dates and times, and arrays of numbers."),
			 target ?
			 errhint("Cast it to such a type in the source.") :
			 errhint("Leave it out with exclude => '{%s}', or cast it to such a type in the source.",
					 array_element(column->name))));
}

static void
check_weight(const MlColumn *column)
{
	if (column->type.kind != ML_KIND_NUMBER)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("weight column \"%s\" is of type %s", column->name,
						ml_value_type_name(&column->type)),
				 errdetail("A weight is a number."),
				 errhint("Cast it to float8 in the source.")));
}

static void
check_time(const MlColumn *column)
{
	switch (column->type.reading)
	{
		case ML_READ_DATE:
		case ML_READ_TIMESTAMP:
		case ML_READ_TIMESTAMPTZ:
		case ML_READ_INT2:
		case ML_READ_INT4:
		case ML_READ_INT8:
		case ML_READ_FLOAT4:
		case ML_READ_FLOAT8:
		case ML_READ_NUMERIC:
			return;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("time column \"%s\" is of type %s", column->name,
							ml_value_type_name(&column->type)),
					 errdetail("A time column is a date, timestamp, timestamptz or number."),
					 errhint("Cast it to timestamptz in the source.")));
	}
}

/* which columns have data; the types of the others do not matter */
static void
choose_loaded(MlFrame *frame, bool all_kinds)
{
	if (frame->weight_column >= 0)
		check_weight(&frame->cols[frame->weight_column]);
	if (frame->time_column >= 0)
		check_time(&frame->cols[frame->time_column]);
	for (int i = 0; i < frame->ncols; i++)
	{
		MlColumn   *column = &frame->cols[i];

		if (column->role == ML_ROLE_UNUSED || column->role == ML_ROLE_KEY)
			continue;
		if (column->type.kind != ML_KIND_NONE)
			column->loaded = true;
		else if (!all_kinds)
			refuse_kind(column);
	}
}

/* qualified type names: what they are must not depend on the search_path */
static void
fingerprint_schema(MlFrame *frame)
{
	for (int i = 0; i < frame->ncols; i++)
	{
		const MlColumn *column = &frame->cols[i];
		MlHashSecret secret;
		char	   *type;

		if (!column->loaded)
			continue;
		type = format_type_extended(column->type.type, column->type.typmod,
									FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
		ml_hash_secret(column->name, &secret);
		ml_hash128_add(&frame->schema_fingerprint,
					   ml_hash_finish(ml_hash_value(&secret, ml_hash_bytes(type, strlen(type), 0))));
	}
}

/* ---- rows ---- */

typedef struct Receiver
{
	DestReceiver pub;
	MlStore    *store;
	const MlFrameRequest *request;
	TupleDesc	desc;			/* of the query; that of a slot can lack the names */
	MemoryContext row_cxt;
} Receiver;

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	Receiver   *receiver = (Receiver *) self;
	const MlFrameRequest *request = receiver->request;
	MlStore    *store = receiver->store;
	MemoryContext old = MemoryContextSwitchTo(receiver->row_cxt);

	slot_getallattrs(slot);
	ml_store_row(store, slot->tts_values, slot->tts_isnull);
	if (request->tee != NULL)
		request->tee(request->tee_arg, receiver->desc, slot);
	MemoryContextSwitchTo(old);
	MemoryContextReset(receiver->row_cxt);
	if (store->frame->nrows % ML_PROGRESS_ROWS == 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (request->progress != NULL)
			request->progress(request->progress_arg, store->frame->nrows);
	}
	return true;
}

static void
receiver_startup(DestReceiver *self, int operation, TupleDesc desc)
{
	((Receiver *) self)->desc = desc;
}

static void
receiver_nothing(DestReceiver *self)
{
}

static void
make_receiver(Receiver *receiver, MlStore *store, const MlFrameRequest *request)
{
	memset(receiver, 0, sizeof(*receiver));
	receiver->pub.receiveSlot = receive_row;
	receiver->pub.rStartup = receiver_startup;
	receiver->pub.rShutdown = receiver_nothing;
	receiver->pub.rDestroy = receiver_nothing;
	receiver->pub.mydest = DestNone;
	receiver->store = store;
	receiver->request = request;
	receiver->row_cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops row",
											  ALLOCSET_DEFAULT_SIZES);
}

/* ---- the query ---- */

/*
 * True if a policy restricts a relation of the query. Query.hasRowSecurity
 * alone would be true for the owner too, whom policies do not bind.
 */
static bool
has_policies(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
		return ((RangeTblEntry *) node)->securityQuals != NIL;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, has_policies, context,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, has_policies, context);
}

static PlannedStmt *
plan_source(MlFrame *frame, const char *text)
{
	RawStmt    *raw = linitial_node(RawStmt, pg_parse_query(text));
	Query	   *query = linitial_node(Query, ml_analyze_and_rewrite(raw, text));

	frame->row_security = query->hasRowSecurity && has_policies((Node *) query, NULL);
	return pg_plan_query(query, text, CURSOR_OPT_PARALLEL_OK, NULL);
}

/* does the plan read whole tables, so that the planner knows how many rows come out? */
static bool
reads_whole_tables(const Plan *plan)
{
	const List *parts = NIL;
	ListCell   *lc;

	if (plan == NULL || plan->qual != NIL)
		return false;
	switch (nodeTag(plan))
	{
		case T_SeqScan:
			return true;
		case T_Gather:
			return reads_whole_tables(plan->lefttree);
		case T_SubqueryScan:
			return reads_whole_tables(((const SubqueryScan *) plan)->subplan);
		case T_Append:
			parts = ((const Append *) plan)->appendplans;
			break;
		default:
			return false;
	}
	foreach(lc, parts)
		if (!reads_whole_tables(lfirst(lc)))
			return false;
	return parts != NIL;
}

/* What the caller has to say about columns is no error of the source's text. */
static void
tell_columns(const MlFrame *frame, const MlFrameRequest *request)
{
	ErrorContextCallback *source = error_context_stack;

	if (request->described == NULL)
		return;
	error_context_stack = source->previous;
	request->described(request->described_arg, frame);
	error_context_stack = source;
}

static void
run_source(MlFrame *frame, const char *text, const MlFrameRequest *request)
{
	PlannedStmt *plan = plan_source(frame, text);
	MlStore		store;
	Receiver	receiver;
	QueryDesc  *desc;

	make_receiver(&receiver, &store, request);
	desc = CreateQueryDesc(plan, text, GetActiveSnapshot(), InvalidSnapshot,
						   &receiver.pub, NULL, NULL, 0);
	ExecutorStart(desc, 0);
	make_columns(frame, desc->tupDesc);
	assign_roles(frame, request);
	choose_loaded(frame, request->all_kinds);
	fingerprint_schema(frame);
	tell_columns(frame, request);
	if (request->planned != NULL && reads_whole_tables(plan->planTree))
		request->planned(request->planned_arg, frame, plan->planTree->plan_rows);
	ml_store_begin(&store, frame, plan->planTree->plan_rows);

	ml_executor_run(desc);
	ExecutorFinish(desc);
	ExecutorEnd(desc);
	FreeQueryDesc(desc);
	ml_store_finish(&store);
	if (request->progress != NULL)
		request->progress(request->progress_arg, frame->nrows);
}

/*
 * Runs the query with transaction_read_only on, so that a function in it that
 * writes fails. The level is rolled back, not committed, at the end: GUC_SAVE
 * would be refused for this setting by newer servers.
 */
static void
run_read_only(MlFrame *frame, const char *text, const MlFrameRequest *request)
{
	ErrorContextCallback callback;
	int			level = NewGUCNestLevel();

	callback.callback = ml_source_error_callback;
	callback.arg = (void *) text;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	(void) set_config_option("transaction_read_only", "on", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	run_source(frame, text, request);
	error_context_stack = callback.previous;
	AtEOXact_GUC(false, level);
}

MlFrame *
ml_frame_read(const MlFrameRequest *request, MlBudget *budget)
{
	MemoryContext caller_cxt = CurrentMemoryContext;
	MemoryContext frame_cxt = AllocSetContextCreate(caller_cxt, "mlops frame",
													ALLOCSET_DEFAULT_SIZES);
	MemoryContext source_cxt = AllocSetContextCreate(caller_cxt, "mlops source",
													 ALLOCSET_DEFAULT_SIZES);
	MlFrame    *frame = MemoryContextAllocZero(frame_cxt, sizeof(MlFrame));
	instr_time	start;
	instr_time	end;

	INSTR_TIME_SET_CURRENT(start);
	frame->cxt = frame_cxt;
	frame->budget = budget;
	MemoryContextSwitchTo(source_cxt);
	run_read_only(frame, ml_source_query(request->source), request);
	MemoryContextSwitchTo(caller_cxt);
	MemoryContextDelete(source_cxt);

	frame->rows_read = frame->nrows;
	frame->ntrain = frame->nrows;
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	frame->seconds = INSTR_TIME_GET_DOUBLE(end);
	return frame;
}
