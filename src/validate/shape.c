/*
 * shape.c
 *		The columns that a source has, and those that a set keeps of it.
 *
 * A set keeps what its source had when it was made. A source that has other
 * columns now is refused rather than guessed at: `SELECT *` over a table that
 * grew a column would make editions that cannot be compared.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/executor.h"
#include "frame/frame.h"
#include "frame/value.h"
#include "json.h"
#include "parser/parse_type.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "validate/set.h"

/* ---- from types of the source to types that we keep ---- */

static bool
is_plain(Oid type)
{
	char		kind = get_typtype(type);

	return type < FirstNormalObjectId &&
		(kind == TYPTYPE_BASE || kind == TYPTYPE_RANGE || kind == TYPTYPE_MULTIRANGE);
}

/* a type of the server itself: see the header for why */
static void
choose_stored(Oid type, int32 typmod, MlSetColumn *column)
{
	Oid			base = getBaseTypeAndTypmod(type, &typmod);
	Oid			element = get_element_type(base);
	MlValueType value;

	column->stored_type = base;
	column->stored_typmod = typmod;
	if (is_plain(base) && (!OidIsValid(element) || is_plain(element)))
		return;
	column->stored_typmod = -1;
	ml_value_type(type, -1, CurrentMemoryContext, &value);
	if (value.kind != ML_KIND_ARRAY)
		column->stored_type = TEXTOID;
	else if (OidIsValid(element))
		column->stored_type = get_array_type(getBaseType(element));
	else
		column->stored_type = value.reading == ML_READ_FLOAT4_ARRAY ? FLOAT4ARRAYOID : FLOAT8ARRAYOID;
}

static char *
full_type_name(Oid type, int32 typmod)
{
	return format_type_extended(type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
}

static void
refuse_column(const char *name, const char *type)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of the source is of type %s, which cannot be stored", name, type),
			 errdetail("A validation set stores types of the server's own, and what is read as one of them."),
			 errhint("Cast it in the source, or leave it out.")));
}

static const char *const own_columns[ML_OWN_COLUMNS] = {
	"entered_edition", "left_edition", "sample_bucket", "sample_stratum", "sample_groups",
	"pinned", "slices", "key_hash", "row_fingerprint"
};

static void
check_names(int n, const MlSetColumn *column)
{
	for (int i = 0; i < n; i++)
	{
		for (int j = 0; j < i; j++)
			if (strcmp(column[i].name, column[j].name) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("the source has two columns named \"%s\"", column[i].name),
						 errdetail("They are columns %d and %d of %d, and a set is a table.", j + 1, i + 1, n),
						 errhint("Give one of them another name in the source.")));
		for (int j = 0; j < ML_OWN_COLUMNS; j++)
			if (strcmp(column[i].name, own_columns[j]) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_RESERVED_NAME),
						 errmsg("the source has a column named \"%s\"", column[i].name),
						 errdetail("The table of a validation set has a column of that name that says which edition a row is in."),
						 errhint("Give it another name in the source: SELECT %s AS another_name, ...",
								 quote_identifier(column[i].name))));
		if (strncmp(column[i].name, "mlops_", 6) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_RESERVED_NAME),
					 errmsg("the source has a column named \"%s\"", column[i].name),
					 errdetail("Editions show mlops_weight and mlops_slices beside the columns of the source."),
					 errhint("Give it a name in the source that does not begin with mlops_.")));
	}
}

static void
shape_error_callback(void *arg)
{
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery((const char *) arg);
	}
	errcontext("source of a validation set");
}

static Query *
analyze(char *text)
{
	ErrorContextCallback callback = {error_context_stack, shape_error_callback, text};
	Query	   *query;

	error_context_stack = &callback;
	query = linitial_node(Query, ml_analyze_and_rewrite(linitial_node(RawStmt, pg_parse_query(text)), text));
	error_context_stack = callback.previous;
	return query;
}

void
ml_shape_read(const char *source, int *n, MlSetColumn **column)
{
	Query	   *query = analyze(ml_source_query(source));
	TupleDesc	desc = ExecCleanTypeFromTL(query->targetList);

	*n = desc->natts;
	*column = palloc0(sizeof(MlSetColumn) * Max(desc->natts, 1));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		MlSetColumn *out = *column + i;

		out->name = pstrdup(NameStr(attribute->attname));
		out->type = full_type_name(attribute->atttypid, attribute->atttypmod);
		if (get_typtype(getBaseType(attribute->atttypid)) == TYPTYPE_PSEUDO)
			refuse_column(out->name, out->type);
		choose_stored(attribute->atttypid, attribute->atttypmod, out);
		out->stored = full_type_name(out->stored_type, out->stored_typmod);
	}
	check_names(*n, *column);
}

/* ---- as JSON: [{"name": , "type": , "stored": }] ---- */

char *
ml_shape_json_text(int n, const MlSetColumn *column)
{
	MlJson		json = {0};

	ml_json_begin_array(&json);
	for (int i = 0; i < n; i++)
	{
		ml_json_begin_object(&json);
		ml_json_put_text(&json, "name", column[i].name);
		ml_json_put_text(&json, "type", column[i].type);
		ml_json_put_text(&json, "stored", column[i].stored);
		ml_json_end_object(&json);
	}
	ml_json_end_array(&json);
	return JsonbToCString(NULL, &ml_json_finish(&json)->root, 0);
}

static char *
text_of(Jsonb *object, const char *key)
{
	JsonbValue	value;

	if (!ml_json_find(object, key, &value) || value.type != jbvString)
		elog(ERROR, "a column of a validation set has no \"%s\"", key);
	return ml_json_string(&value);
}

void
ml_shape_from_json(Jsonb *columns, int *n, MlSetColumn **column)
{
	*n = JB_ROOT_COUNT(columns);
	*column = palloc0(sizeof(MlSetColumn) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(&columns->root, i);
		Jsonb	   *object = JsonbValueToJsonb(element);
		MlSetColumn *out = *column + i;

		out->name = text_of(object, "name");
		out->type = text_of(object, "type");
		out->stored = text_of(object, "stored");
		ml_parse_type(out->stored, &out->stored_type, &out->stored_typmod);
	}
}

/* ---- has it changed? ---- */

static const MlSetColumn *
find(int n, const MlSetColumn *column, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(column[i].name, name) == 0)
			return &column[i];
	return NULL;
}

static void
append(StringInfo text, const char *what)
{
	if (text->len > 0)
		appendStringInfoString(text, "; ");
	appendStringInfoString(text, what);
}

void
ml_shape_check(const MlSet *set)
{
	StringInfoData changes;
	int			n;
	MlSetColumn *now;

	ml_shape_read(set->source, &n, &now);
	initStringInfo(&changes);
	for (int i = 0; i < n; i++)
	{
		const MlSetColumn *then = find(set->ncolumns, set->column, now[i].name);

		if (then == NULL)
			append(&changes, psprintf("\"%s\" was added", now[i].name));
		else if (strcmp(then->type, now[i].type) != 0)
			append(&changes, psprintf("\"%s\" is of type %s and was of type %s", now[i].name, now[i].type, then->type));
	}
	for (int i = 0; i < set->ncolumns; i++)
		if (find(n, now, set->column[i].name) == NULL)
			append(&changes, psprintf("\"%s\" is gone", set->column[i].name));
	if (changes.len == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the source of validation set \"%s\" of model \"%s\" has other columns than when the set was made",
					set->name, set->model),
			 errdetail("Column %s.", changes.data),
			 errhint("Give the table these columns again, or make another set; a source that names its columns is not changed by new ones.")));
}
