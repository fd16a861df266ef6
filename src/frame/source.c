/*
 * source.c
 *		From the text of a source to one checked query.
 *
 * A source is a relation's name or one query that only reads. The name is read
 * here and quoted again, so that whatever it holds can only be a name: FROM
 * "user" is a table, FROM user would be a function.
 */
#include "postgres.h"

#include "frame/frame.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/scansup.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"

#define ML_NAME_PARTS 3			/* database.schema.relation */

/* ---- names ---- */

static bool
starts_identifier(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static bool
continues_identifier(unsigned char c)
{
	return starts_identifier(c) || (c >= '0' && c <= '9') || c == '$';
}

static const char *
skip_space(const char *p)
{
	while (scanner_isspace(*p))
		p++;
	return p;
}

/*
 * Reads one identifier, quoted or not, and appends it quoted as needed to
 * name. Returns what follows it, or NULL if there is none.
 */
static const char *
read_identifier(const char *p, StringInfo name)
{
	const char *start = p;
	StringInfoData quoted;

	if (starts_identifier((unsigned char) *p))
	{
		while (continues_identifier((unsigned char) *p))
			p++;
		appendStringInfoString(name, quote_identifier(
			downcase_truncate_identifier(start, p - start, true)));
		return p;
	}
	if (*p != '"')
		return NULL;
	initStringInfo(&quoted);
	for (p++; *p != '\0'; p++)
	{
		if (*p == '"' && *++p != '"')
		{
			if (quoted.len == 0)
				return NULL;
			truncate_identifier(quoted.data, quoted.len, true);
			appendStringInfoString(name, quote_identifier(quoted.data));
			return p;
		}
		appendStringInfoChar(&quoted, *p);
	}
	return NULL;
}

/* SELECT * FROM the relation if the whole source is its name, else NULL */
static char *
relation_query(const char *source)
{
	const char *p = skip_space(source);
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT * FROM ");
	for (int part = 0; part < ML_NAME_PARTS; part++)
	{
		p = read_identifier(p, &query);
		if (p == NULL)
			return NULL;
		p = skip_space(p);
		if (*p == '\0')
			return query.data;
		if (*p != '.')
			return NULL;
		appendStringInfoChar(&query, '.');
		p = skip_space(p + 1);
	}
	return NULL;
}

/* ---- queries ---- */

void
ml_source_error_callback(void *arg)
{
	int			position = geterrposition();

	/* an error's position is one in the caller's statement, unless it is made internal */
	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery((const char *) arg);
	}
	errcontext("source query");
}

static void
refuse(const char *problem, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the source must be one query that only reads"),
			 errdetail("The source %s.", problem),
			 errhint("%s", hint)));
}

static void check_select(SelectStmt *select);

static void
check_with(WithClause *with)
{
	ListCell   *lc;

	foreach(lc, with->ctes)
	{
		Node	   *query = lfirst_node(CommonTableExpr, lc)->ctequery;

		if (!IsA(query, SelectStmt))
			refuse("changes data in its WITH clause",
				   "Change the data first, in a statement of its own, then train on what is stored.");
		check_select((SelectStmt *) query);
	}
}

/* FOR UPDATE deeper down is refused by the server: the query runs read-only */
static void
check_select(SelectStmt *select)
{
	check_stack_depth();
	if (select->intoClause != NULL)
		refuse("creates a table (SELECT INTO)", "Leave INTO out.");
	if (select->lockingClause != NIL)
		refuse("locks rows (FOR UPDATE or FOR SHARE)",
			   "Leave the locking clause out: a training works on one snapshot.");
	if (select->withClause != NULL)
		check_with(select->withClause);
	if (select->larg != NULL)
		check_select(select->larg);
	if (select->rarg != NULL)
		check_select(select->rarg);
}

static char *
checked_query(const char *source)
{
	List	   *statements = pg_parse_query(source);
	RawStmt    *statement;
	Size		end;

	if (statements == NIL)
		refuse("is empty", "Give the name of a table or view, or a SELECT.");
	if (list_length(statements) > 1)
		refuse(psprintf("has %d statements", list_length(statements)),
			   "Give one SELECT; run the others before the training.");
	statement = linitial_node(RawStmt, statements);
	if (!IsA(statement->stmt, SelectStmt))
		refuse(psprintf("is %s", GetCommandTagName(CreateCommandTag(statement->stmt))),
			   "Give the name of a table or view, or a SELECT, VALUES, TABLE or WITH ... SELECT.");
	check_select((SelectStmt *) statement->stmt);

	/* without a final semicolon, so that the query can stand in parentheses */
	end = statement->stmt_len > 0 ?
		(Size) statement->stmt_location + statement->stmt_len : strlen(source);
	return pnstrdup(source, end);
}

char *
ml_source_query(const char *source)
{
	char	   *query = relation_query(source);
	ErrorContextCallback callback;

	if (query != NULL)
		return query;
	callback.callback = ml_source_error_callback;
	callback.arg = (void *) source;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	query = checked_query(source);
	error_context_stack = callback.previous;
	return query;
}
