/*
 * custom_create.c
 *		mlops_create_metric and mlops_drop_metric: an aggregate becomes a metric.
 *
 * What can be checked of it is checked here, as who registers it: that it is an
 * aggregate, that its author may run it, that its arguments can be had from a
 * row and that a number comes out. It is kept by its qualified signature, so
 * that no search_path finds another in its place.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "attempt.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "metric/custom.h"
#include "metric/custom_types.h"
#include "miscadmin.h"
#include "recipe/task.h"
#include "registry/metric_row.h"
#include "registry/registry_catalog.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/regproc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(mlops_create_metric);
PG_FUNCTION_INFO_V1(mlops_drop_metric);

typedef struct Signature
{
	Oid			oid;
	char		prokind;
	Oid			result;
	Oid			variadic;
	int			nargs;
	Oid			type[FUNC_MAX_ARGS];
} Signature;

/* ---- the aggregate ---- */

typedef struct LookUp
{
	const char *text;
	Oid			found;			/* InvalidOid if there is none, or more than one of the name */
} LookUp;

/*
 * Raises what the server says of a text that is no name, or of a type that is
 * none: to_regprocedure() does so up to 15 only.
 */
static void
look_up(void *arg)
{
	LookUp	   *look = arg;
	PGFunction	input = strchr(look->text, '(') != NULL ? regprocedurein : regprocin;

	look->found = DatumGetObjectId(DirectFunctionCall1(input, CStringGetDatum(look->text)));
}

static bool
is_about_name(const ErrorData *error)
{
	return error != NULL && error->sqlerrcode != ERRCODE_UNDEFINED_FUNCTION &&
		error->sqlerrcode != ERRCODE_AMBIGUOUS_FUNCTION;
}

/* a name, or a name and types, in the search_path of the caller */
static void
find_aggregate(const char *text, Signature *signature)
{
	LookUp		look = {.text = text};
	ErrorData  *error;
	HeapTuple	tuple;
	Form_pg_proc form;

	error = ml_attempt(look_up, &look);
	signature->oid = error == NULL ? look.found : InvalidOid;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(signature->oid));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("aggregate \"%s\" does not exist", text),
				 is_about_name(error) ? errdetail_internal("%s.", error->message) :
				 errdetail("No function has that name and these arguments, or several have the name."),
				 errhint("Write its name and the types of its arguments: 'profit(float8, boolean, numeric)'.")));
	form = (Form_pg_proc) GETSTRUCT(tuple);
	signature->prokind = form->prokind;
	signature->result = form->prorettype;
	signature->variadic = form->provariadic;
	signature->nargs = form->pronargs;
	memcpy(signature->type, form->proargtypes.values, sizeof(Oid) * form->pronargs);
	ReleaseSysCache(tuple);
}

static bool
is_ordinary(Oid aggregate)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	bool		ordinary = HeapTupleIsValid(tuple) &&
		((Form_pg_aggregate) GETSTRUCT(tuple))->aggkind == AGGKIND_NORMAL;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return ordinary;
}

static void
check_kind(const Signature *signature)
{
	char	   *name = format_procedure(signature->oid);

	if (signature->prokind != PROKIND_AGGREGATE || !is_ordinary(signature->oid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not an ordinary aggregate", name),
				 errdetail("A metric is an aggregate over (prediction, label [, columns of the row])."),
				 errhint("Make one of it with CREATE AGGREGATE.")));
	if (ml_function_aclcheck(signature->oid) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for aggregate %s", name),
				 errdetail("A metric runs as who registers it: role \"%s\".", GetUserNameFromId(GetUserId(), false)),
				 errhint("Its owner can GRANT EXECUTE on it.")));
	if (ml_custom_kind(signature->result) != ML_CUSTOM_NUMBER)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("aggregate %s does not return a number", name),
				 errdetail("It returns %s.", format_type_be(signature->result)),
				 errhint("A metric is a float8, numeric or integer; cast it in the aggregate's final function.")));
}

static void
check_arguments(const Signature *signature, const MlMetricRow *row)
{
	char	   *name = format_procedure(signature->oid);

	if (OidIsValid(signature->variadic) || signature->nargs != row->ncolumns + 2)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("aggregate %s does not take what the metric would give it", name),
				 OidIsValid(signature->variadic) ? errdetail("It takes any number of arguments.") :
				 errdetail("It takes %d arguments; prediction, label and %d columns are %d.",
						   signature->nargs, row->ncolumns, row->ncolumns + 2),
				 errhint("List the columns of the row that it takes after prediction and label: columns => ARRAY['value'].")));
	for (int i = 0; i < signature->nargs; i++)
		if (get_typtype(signature->type[i]) == TYPTYPE_PSEUDO ||
			(i < 2 && ml_custom_kind(signature->type[i]) == ML_CUSTOM_NONE))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("argument %d of aggregate %s is of type %s", i + 1, name,
							format_type_be(signature->type[i])),
					 i < 2 ? errdetail("A %s is given as a number, text or boolean.", i == 0 ? "prediction" : "label") :
					 errdetail("A column of the row is given as a type of its own."),
					 errhint("For example CREATE AGGREGATE profit(float8, boolean, numeric).")));
}

/* the tasks that were listed, or all that the types suit */
static uint32
check_tasks(const Signature *signature, MlMetricRow *row)
{
	uint32		suited = ml_custom_tasks(ml_custom_kind(signature->type[0]), ml_custom_kind(signature->type[1]));
	uint32		tasks = 0;

	for (int i = 0; i < row->ntasks; i++)
	{
		uint32		task = ml_task_find(row->task[i]);

		if ((task & suited) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("metric \"%s\" cannot be for task \"%s\"", row->name, row->task[i]),
					 errdetail("The types of its prediction and label suit %s.", ml_metric_task_names(suited)),
					 errhint("Leave tasks out, or list some of these.")));
		tasks |= task;
	}
	return row->ntasks > 0 ? tasks : suited;
}

/* ---- the arguments of the calls ---- */

static char **
texts_argument(FunctionCallInfo fcinfo, int n, const char *name, int *length)
{
	Datum	   *element;
	bool	   *isnull;
	char	  **item;

	*length = 0;
	if (PG_ARGISNULL(n))
		return NULL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), TEXTOID, -1, false, TYPALIGN_INT, &element, &isnull, length);
	item = palloc(sizeof(char *) * Max(*length, 1));
	for (int i = 0; i < *length; i++)
	{
		if (isnull[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("\"%s\" holds a NULL", name),
					 errdetail("It is at place %d.", i + 1),
					 errhint("List names only.")));
		item[i] = TextDatumGetCString(element[i]);
	}
	return item;
}

static void
take_range(FunctionCallInfo fcinfo, MlMetricRow *row)
{
	row->minimum = PG_ARGISNULL(5) ? NAN : PG_GETARG_FLOAT8(5);
	row->maximum = PG_ARGISNULL(6) ? NAN : PG_GETARG_FLOAT8(6);
	if (row->minimum > row->maximum)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the range of metric \"%s\" is empty", row->name),
				 errdetail("Its minimum is %g and its maximum %g.", row->minimum, row->maximum),
				 errhint("Give a minimum that is not above the maximum, or leave them out.")));
}

static void
require_author(const MlMetricRow *there, const char *what)
{
	if (superuser() || get_role_oid(there->author, true) == GetUserId())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("cannot %s metric \"%s\"", what, there->name),
			 errdetail("It was registered by role \"%s\".", there->author),
			 errhint("Only that role, or a superuser, can; or choose another name.")));
}

static void
check_name(const char *name)
{
	ml_reference_check_name(name, "metric");
	if (ml_metric_find(name) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("metric \"%s\" is one of the built-in metrics", name),
				 errdetail("It means the same in every database."),
				 errhint("Choose another name.")));
}

/* 42501 unless the caller may make models, and may replace what is there */
static void
check_may_create(const char *name)
{
	MlMetricRow *there;

	if (ml_namespace_aclcheck(ml_catalog_namespace(ML_VIEW_SCHEMA), GetUserId(), ACL_CREATE) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to register metric \"%s\"", name),
				 errdetail("Role \"%s\" needs CREATE on schema \"%s\" to register metrics.",
						   GetUserNameFromId(GetUserId(), false), ML_VIEW_SCHEMA),
				 errhint("A superuser can GRANT CREATE ON SCHEMA %s TO %s.", ML_VIEW_SCHEMA,
						 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
	there = ml_registry_metric_row(name);
	if (there != NULL)
		require_author(there, "replace");
}

/* mlops_create_metric(name, aggregate, higher_is_better, columns, tasks, minimum, maximum, description) */
Datum
mlops_create_metric(PG_FUNCTION_ARGS)
{
	MlMetricRow row = {0};
	Signature	signature = {0};
	MlAuthor	author;
	uint32		tasks;

	ml_require_argument(fcinfo, 0, "name");
	ml_require_argument(fcinfo, 1, "aggregate");
	ml_require_argument(fcinfo, 2, "higher_is_better");
	ml_registry_require_writable("register a metric");
	row.name = ml_argument_text(fcinfo, 0);
	row.higher_is_better = PG_GETARG_BOOL(2);
	row.column = texts_argument(fcinfo, 3, "columns", &row.ncolumns);
	row.task = texts_argument(fcinfo, 4, "tasks", &row.ntasks);
	take_range(fcinfo, &row);
	row.description = ml_argument_text(fcinfo, 7);
	check_name(row.name);
	check_may_create(row.name);

	find_aggregate(ml_argument_text(fcinfo, 1), &signature);
	check_kind(&signature);
	check_arguments(&signature, &row);
	tasks = check_tasks(&signature, &row);
	row.aggregate = format_procedure_qualified(signature.oid);
	row.task = ml_task_list(tasks, &row.ntasks);
	ml_author_here(&author);
	row.author = author.role;
	row.settings = ml_author_settings_json(&author);
	ml_registry_put_metric(&row);
	PG_RETURN_VOID();
}

/* mlops_drop_metric(name) */
Datum
mlops_drop_metric(PG_FUNCTION_ARGS)
{
	char	   *name;
	MlMetricRow *there;

	ml_require_argument(fcinfo, 0, "name");
	ml_registry_require_writable("drop a metric");
	name = ml_argument_text(fcinfo, 0);
	check_name(name);
	there = ml_registry_metric_row(name);
	if (there == NULL)
		ml_metric_error_unknown(name, ~0U, NULL);
	require_author(there, "drop");
	ml_registry_drop_metric(name);
	PG_RETURN_VOID();
}
