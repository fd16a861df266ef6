/*
 * slice.c
 *		Slices: sub-populations of a set.
 *
 * A slice is a value of a column, or of two, found as rows come in; or a
 * condition that somebody wrote. A condition must be one boolean expression, checked on
 * the parse tree of SELECT (condition): whatever would close the parenthesis and
 * go on shows there as a second column, a FROM or a second statement, or, where it opens
 * another, as what SELECT condition cannot be. It is decided in
 * the query that reads the source where slice and source have one author, and
 * else in a query of its own over the rows that enter, as its author, who sees rows of the
 * set and nothing else with rights other than their own.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/executor.h"
#include "frame/frame.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "parser/scansup.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "validate/set.h"
#include "validate/validate.h"

/* ---- slices by columns ---- */

static const MlSetColumn *
find_column(int n, const MlSetColumn *column, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(column[i].name, name) == 0)
			return &column[i];
	return NULL;
}

static const char *
skip_space(const char *p)
{
	while (scanner_isspace(*p))
		p++;
	return p;
}

/* one identifier, quoted or not, folded as SQL does; NULL if there is none */
static char *
read_name(const char **p)
{
	const char *start = *p;
	StringInfoData name;

	if (*start != '"')
	{
		while (**p != '\0' && (isalnum((unsigned char) **p) || strchr("_$", **p) || IS_HIGHBIT_SET(**p)))
			(*p)++;
		return *p > start ? downcase_truncate_identifier(start, *p - start, false) : NULL;
	}
	initStringInfo(&name);
	for ((*p)++; **p != '\0'; (*p)++)
	{
		if (**p == '"' && *++(*p) != '"')
			return name.data;
		appendStringInfoChar(&name, **p);
	}
	return NULL;
}

/* what stands between two columns: a comma, or x as in 'plan x country' */
static bool
read_separator(const char **p)
{
	*p = skip_space(*p);
	if (**p == ',')
		(*p)++;
	else if ((**p == 'x' || **p == 'X') && scanner_isspace((*p)[1]))
		(*p)++;
	else
		return false;
	*p = skip_space(*p);
	return true;
}

int
ml_slice_columns(int n, const MlSetColumn *column, const char *text, char **name)
{
	const char *p = skip_space(text);
	int			found = 0;

	if (find_column(n, column, text) != NULL)
	{
		name[0] = pstrdup(text);
		return 1;
	}
	for (; found < 2; found++)
	{
		name[found] = read_name(&p);
		if (name[found] == NULL || find_column(n, column, name[found]) == NULL)
			return 0;
		p = skip_space(p);
		if (*p == '\0')
			return found + 1;
		if (!read_separator(&p))
			return 0;
	}
	return 0;
}

static bool
same_value(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* plan = 'basic'; numbers and booleans without quotes */
static void
append_value(StringInfo text, const MlSet *set, const char *column, const char *value)
{
	const MlSetColumn *c = find_column(set->ncolumns, set->column, column);
	char		category;
	bool		preferred;

	appendStringInfoString(text, quote_identifier(column));
	if (value == NULL)
	{
		appendStringInfoString(text, " IS NULL");
		return;
	}
	get_type_category_preferred(c->stored_type, &category, &preferred);
	appendStringInfo(text, " = %s", category == TYPCATEGORY_NUMERIC || category == TYPCATEGORY_BOOLEAN ?
					 value : quote_literal_cstr(value));
}

/* cut to what a message and a key can bear; a hash keeps it apart from others */
static char *
slice_name(const MlSet *set, const MlSliceBy *by, char *const *value)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int c = 0; c < by->ncolumns; c++)
	{
		if (c > 0)
			appendStringInfoString(&text, " AND ");
		append_value(&text, set, by->column[c], value[c]);
	}
	if (text.len > 200)
	{
		uint64		hash = ml_hash_bytes(text.data, text.len, 0);

		text.len = pg_mbcliplen(text.data, text.len, 180);
		text.data[text.len] = '\0';
		appendStringInfo(&text, "... (%08x)", (uint32) hash);
	}
	return text.data;
}

MlSetSlice *
ml_slice_of_value(MlSet *set, MlSliceBy *by, char *const *value)
{
	MlSetSlice *slice;

	for (int s = 0; s < set->nslices; s++)
	{
		bool		same = set->slice[s].ncolumns == by->ncolumns;

		for (int c = 0; same && c < by->ncolumns; c++)
			same = strcmp(set->slice[s].column[c], by->column[c]) == 0 &&
				same_value(set->slice[s].value[c], value[c]);
		if (same)
			return &set->slice[s];
	}
	if (by->nvalues >= ML_MAX_SLICE_VALUES)
	{
		if (!by->told)
			ereport(WARNING,
					(errmsg("column \"%s\" has more values than the %d that become slices", by->column[0], ML_MAX_SLICE_VALUES),
					 errhint("Rows of further values are in no slice of it. A condition such as %s > 100 makes fewer slices.",
							 quote_identifier(by->column[0]))));
		by->told = true;
		return NULL;
	}
	set->slice = repalloc(set->slice, sizeof(MlSetSlice) * (set->nslices + 1));
	slice = &set->slice[set->nslices++];
	memset(slice, 0, sizeof(*slice));
	slice->number = ++set->last_slice;
	slice->name = slice_name(set, by, value);
	slice->ncolumns = by->ncolumns;
	for (int c = 0; c < by->ncolumns; c++)
	{
		slice->column[c] = by->column[c];
		slice->value[c] = value[c] ? pstrdup(value[c]) : NULL;
	}
	slice->author = set->author;
	slice->min_rows = set->min_rows;
	slice->fresh = true;
	by->nvalues++;
	return slice;
}

/* ---- conditions ---- */

#define ROWS "mlops_rows"
#define CONDITION_BEFORE	"SELECT ("
#define CONDITION_BARE		"SELECT  "	/* as long */

typedef struct Condition
{
	const char *text;
	const char *name;
	const char *hint;			/* what may stand there */
	bool		told;			/* by an error of ours, which has its own hint */
} Condition;

static void
condition_error_callback(void *arg)
{
	const Condition *condition = arg;
	int			position = geterrposition();
	int			before = strlen(CONDITION_BEFORE);

	if (position > before && position <= before + (int) pg_mbstrlen(condition->text))
	{
		errposition(0);
		internalerrposition(position - before);
		internalerrquery(condition->text);
	}
	else
		errposition(0);
	if (geterrcode() == ERRCODE_SYNTAX_ERROR && !condition->told)
		errhint("%s", condition->hint);
	errcontext("condition of slice \"%s\"", condition->name);
}

static void
refuse_condition(Condition *condition, const char *detail)
{
	condition->told = true;
	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR),
			 errmsg("the condition of slice \"%s\" is not one expression", condition->name),
			 errdetail("%s", detail),
			 errhint("%s", condition->hint)));
}

/* is it SELECT one expression and nothing else? */
static bool
is_bare(const SelectStmt *select)
{
	return select->op == SETOP_NONE && list_length(select->targetList) == 1 && select->distinctClause == NIL &&
		select->intoClause == NULL && select->fromClause == NIL && select->whereClause == NULL &&
		select->groupClause == NIL && select->havingClause == NULL && select->windowClause == NIL &&
		select->valuesLists == NIL && select->sortClause == NIL && select->limitOffset == NULL &&
		select->limitCount == NULL && select->lockingClause == NIL && select->withClause == NULL;
}

static void
check_statement(const char *text, Condition *condition)
{
	List	   *statements = pg_parse_query(text);
	Node	   *statement;

	if (list_length(statements) != 1)
		refuse_condition(condition, "It holds more than one statement.");
	statement = linitial_node(RawStmt, statements)->stmt;
	if (!IsA(statement, SelectStmt) || !is_bare((SelectStmt *) statement) ||
		linitial_node(ResTarget, ((SelectStmt *) statement)->targetList)->name != NULL)
		refuse_condition(condition, "It goes on after the expression.");
}

/* one expression in parentheses and without them: nothing closes them early and opens others */
static void
check_bare(Condition *condition)
{
	if (condition->text[strspn(condition->text, " \t\r\n")] == '\0')
		refuse_condition(condition, "It is empty.");
	check_statement(psprintf(CONDITION_BEFORE "%s\n)", condition->text), condition);
	check_statement(psprintf(CONDITION_BARE "%s", condition->text), condition);
}

static void
check_condition(const char *source, QueryEnvironment *env, const char *condition, const char *name, const char *hint)
{
	Condition	what = {condition, name, hint};
	ErrorContextCallback callback = {error_context_stack, condition_error_callback, &what};
	char	   *text;
	Query	   *query;
	Oid			type;

	error_context_stack = &callback;
	check_bare(&what);
	text = psprintf(CONDITION_BEFORE "%s\n) FROM (%s\n) AS mlops_source", condition, source);
	query = linitial_node(Query, ml_analyze_and_rewrite_in(linitial_node(RawStmt, pg_parse_query(text)), text, env));
	error_context_stack = callback.previous;
	if (query->hasAggs || query->hasWindowFuncs || query->hasTargetSRFs)
		ereport(ERROR,
				(errcode(ERRCODE_GROUPING_ERROR),
				 errmsg("the condition of slice \"%s\" is not one of a single row", name),
				 errdetail("It has an aggregate, a window function or a function that returns a set."),
				 errhint("Compute it in the source, as a column.")));
	type = exprType((Node *) linitial_node(TargetEntry, query->targetList)->expr);
	if (getBaseType(type) != BOOLOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the condition of slice \"%s\" is of type %s", name, format_type_be(type)),
				 errdetail("A condition is true or false for every row."),
				 errhint("%s", hint)));
}

void
ml_slice_check(const char *source, const char *condition, const char *name, const char *hint)
{
	check_condition(ml_source_query(source), NULL, condition, name, hint);
}

bool
ml_slice_is_own(const MlSet *set, const MlSetSlice *slice)
{
	if (slice->condition == NULL)
		return true;
	for (int i = 0; i < ML_NSETTINGS; i++)
		if (!same_value(slice->author.settings[i], set->author.settings[i]))
			return false;
	return same_value(slice->author.role, set->author.role);
}

/* ---- conditions of others, over rows that are there ---- */

typedef struct Deciding
{
	DestReceiver pub;
	MemoryContext cxt;			/* of the lists */
	List	  **slices;
	int64		n;
	int			number;
} Deciding;

static bool
take_row(TupleTableSlot *slot, DestReceiver *self)
{
	Deciding   *deciding = (Deciding *) self;
	MemoryContext old = MemoryContextSwitchTo(deciding->cxt);
	int64		row;

	slot_getallattrs(slot);
	row = DatumGetInt64(slot->tts_values[0]);
	if (slot->tts_isnull[0] || row < 0 || row >= deciding->n)
		elog(ERROR, "a slice is true for a row that there is not");
	deciding->slices[row] = lappend_int(deciding->slices[row], deciding->number);
	MemoryContextSwitchTo(old);
	return true;
}

static void
begin_deciding(DestReceiver *self, int operation, TupleDesc desc)
{
}

static void
end_deciding(DestReceiver *self)
{
}

/* the rows as a relation mlops_rows with their numbers, for one query */
static QueryEnvironment *
rows_as_relation(const MlSet *set, int64 n, MinimalTuple *tuple)
{
	TupleDesc	desc = ml_set_desc(set);
	TupleDesc	numbered = CreateTemplateTupleDesc(set->ncolumns + 1);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));
	QueryEnvironment *env = create_queryEnv();
	Tuplestorestate *store = tuplestore_begin_heap(false, false, work_mem);
	Datum	   *values = palloc(sizeof(Datum) * (set->ncolumns + 1));
	bool	   *nulls = palloc(sizeof(bool) * (set->ncolumns + 1));

	for (int i = 0; i < set->ncolumns; i++)
		TupleDescCopyEntry(numbered, i + 1, desc, i + 1);
	TupleDescInitEntry(numbered, set->ncolumns + 1, "mlops_row", INT8OID, -1, 0);
	for (int64 i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		ExecStoreMinimalTuple(tuple[i], slot, false);
		slot_getallattrs(slot);
		memcpy(values, slot->tts_values, sizeof(Datum) * set->ncolumns);
		memcpy(nulls, slot->tts_isnull, sizeof(bool) * set->ncolumns);
		values[set->ncolumns] = Int64GetDatum(i);
		nulls[set->ncolumns] = false;
		tuplestore_putvalues(store, numbered, values, nulls);
	}
	ExecDropSingleTupleTableSlot(slot);
	enr->md.name = pstrdup(ROWS);
	enr->md.tupdesc = numbered;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	enr->md.enrtuples = (double) n;
	enr->reldata = store;
	register_ENR(env, enr);
	return env;
}

/* the columns have the types of the source again, by casts that the author of the slice makes */
static char *
rows_as_source(const MlSet *set)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoString(&text, "SELECT mlops_row");
	for (int i = 0; i < set->ncolumns; i++)
	{
		const MlSetColumn *column = &set->column[i];
		const char *name = quote_identifier(column->name);

		if (strcmp(column->type, column->stored) == 0)
			appendStringInfo(&text, ", %s", name);
		else
			appendStringInfo(&text, ", %s::%s AS %s", name, column->type, name);
	}
	appendStringInfoString(&text, " FROM mlops_rows");
	return text.data;
}

void
ml_slice_check_rows(const MlSet *set, const char *condition, const char *name)
{
	check_condition(rows_as_source(set), rows_as_relation(set, 0, NULL), condition, name,
					"Write it as in 'tenure < 6'; slices for each value of a column are given when the set is made.");
}

void
ml_slice_decide(const MlSet *set, const MlSetSlice *slice, int64 n, MinimalTuple *tuple, List **slices)
{
	Deciding	deciding = {0};
	MlAuthored	authored;
	MlAuthorScope scope;
	char	   *what = psprintf("slice \"%s\"", slice->name);
	QueryEnvironment *env;

	deciding.pub.receiveSlot = take_row;
	deciding.pub.rStartup = begin_deciding;
	deciding.pub.rShutdown = end_deciding;
	deciding.pub.rDestroy = end_deciding;
	deciding.pub.mydest = DestNone;
	deciding.cxt = CurrentMemoryContext;
	deciding.slices = slices;
	deciding.n = n;
	deciding.number = slice->number;
	ml_set_authored(set, what, &authored);
	authored.privilege = ML_PRIVILEGE_READ;
	ml_author_enter(&slice->author, &authored, &scope);
	env = rows_as_relation(set, n, tuple);
	ml_read_run(psprintf("SELECT mlops_row FROM (%s) AS mlops_source WHERE (%s\n)", rows_as_source(set), slice->condition),
				env, &deciding.pub, what);
	tuplestore_end(get_ENR(env, ROWS)->reldata);
	ml_author_leave(&scope);
}

void
ml_slices_of_others(MlSet *set, int64 n, MinimalTuple *tuple, List **slices)
{
	if (n == 0)
		return;
	for (int s = 0; s < set->nslices; s++)
		if (!ml_slice_is_own(set, &set->slice[s]))
			ml_slice_decide(set, &set->slice[s], n, tuple, slices);
}

/* ---- the catalog ---- */

static void
bind_texts(MlArguments *args, int n, char *const *text)
{
	Datum		values[2];
	bool		nulls[2];
	int			dims[1] = {n};
	int			lower[1] = {1};

	for (int i = 0; i < n; i++)
	{
		nulls[i] = text[i] == NULL;
		values[i] = text[i] ? CStringGetTextDatum(text[i]) : (Datum) 0;
	}
	ml_bind_datum(args, TEXTARRAYOID, n == 0 ? (Datum) 0 :
				  PointerGetDatum(construct_md_array(values, nulls, 1, dims, lower, TEXTOID, -1, false, TYPALIGN_INT)),
				  n == 0);
}

void
ml_slices_store(MlSet *set)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.slice (model, validation_set, number, name, columns, value, condition, author, "
		"settings, min_rows) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
	};

	for (int s = 0; s < set->nslices; s++)
	{
		MlSetSlice *slice = &set->slice[s];
		MlArguments args = {0};

		if (!slice->fresh)
			continue;
		ml_bind_text(&args, set->model);
		ml_bind_text(&args, set->name);
		ml_bind_int(&args, slice->number);
		ml_bind_text(&args, slice->name);
		bind_texts(&args, slice->ncolumns, slice->column);
		bind_texts(&args, slice->ncolumns, slice->value);
		ml_bind_text(&args, slice->condition);
		ml_bind_text(&args, slice->author.role);
		ml_bind_jsonb(&args, ml_author_settings_json(&slice->author));
		ml_bind_int8(&args, slice->min_rows);
		ml_statement_run(&insert, &args);
		slice->fresh = false;
	}
}
