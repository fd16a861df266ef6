/*
 * model_row.c
 *		The rows of models: made, read, completed by the first training.
 *
 * A model's serving row is made with it, so that there is always a row for
 * promotions to lock.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_namespace.h"
#include "compat.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/rel.h"

static Jsonb *
copy_settings(MlScan *scan, HeapTuple tuple)
{
	bool		isnull;
	Datum		datum = heap_getattr(tuple, Anum_ml_model_settings,
									 RelationGetDescr(scan->table), &isnull);

	return isnull ? NULL : DatumGetJsonbPCopy(datum);
}

MlModelRow *
ml_registry_model_row(const char *name)
{
	ScanKeyData key[1];
	MlScan		scan;
	HeapTuple	tuple;
	MlModelRow *row = NULL;

	ml_key_text(key, 0, Anum_ml_model_name, cstring_to_text(name));
	ml_scan_begin(&scan, ML_SIGHT_NOW, "model", "model_pkey", key, 1);
	tuple = ml_scan_next(&scan);
	if (HeapTupleIsValid(tuple))
	{
		row = palloc0(sizeof(MlModelRow));
		row->name = ml_column_text(&scan, tuple, Anum_ml_model_name);
		row->owner = ml_column_text(&scan, tuple, Anum_ml_model_owner);
		row->target = ml_column_text(&scan, tuple, Anum_ml_model_target);
		row->task = ml_column_text(&scan, tuple, Anum_ml_model_task);
		row->metric = ml_column_text(&scan, tuple, Anum_ml_model_metric);
		row->positive = ml_column_text(&scan, tuple, Anum_ml_model_positive);
		row->description = ml_column_text(&scan, tuple, Anum_ml_model_description);
		row->settings = copy_settings(&scan, tuple);
		row->last_version = ml_column_int(&scan, tuple, Anum_ml_model_last_version, 0);
	}
	ml_scan_end(&scan);
	return row;
}

void
ml_registry_require_create(const char *model, Oid role)
{
	if (ml_namespace_aclcheck(ml_catalog_namespace(ML_VIEW_SCHEMA), role, ACL_CREATE) == ACLCHECK_OK)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to make model \"%s\"", model),
			 errdetail("Role \"%s\" needs CREATE on schema \"%s\" to own models.",
					   GetUserNameFromId(role, false), ML_VIEW_SCHEMA),
			 errhint("A superuser can GRANT CREATE ON SCHEMA %s TO %s.", ML_VIEW_SCHEMA,
					 quote_identifier(GetUserNameFromId(role, false)))));
}

static void
error_duplicate(const char *model)
{
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("model \"%s\" already exists", model),
			 errdetail("Names of models are unique in a database."),
			 errhint("Change it with mlops_set_model(%s, settings), or choose another name.",
					 quote_literal_cstr(model))));
}

void
ml_registry_create_model(const MlModelRow *row)
{
	static MlStatement insert_model = {
		"INSERT INTO mlops_catalog.model "
		"(name, owner, target, task, metric, positive, description, settings) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, COALESCE($8, '{}'::pg_catalog.jsonb)) "
		"ON CONFLICT (name) DO NOTHING"
	};
	static MlStatement insert_serving = {
		"INSERT INTO mlops_catalog.serving (model) VALUES ($1)"
	};
	MlArguments args = {0};
	MlArguments serving = {0};
	MlRegistryScope scope;
	uint64		n;

	ml_reference_check_name(row->name, "model");
	ml_registry_require_writable("make a model");
	if (ml_registry_model_row(row->name) != NULL)
		error_duplicate(row->name);
	ml_registry_require_create(row->name, GetUserId());
	ml_bind_text(&args, row->name);
	ml_bind_text(&args, GetUserNameFromId(GetUserId(), false));
	ml_bind_text(&args, row->target);
	ml_bind_text(&args, row->task);
	ml_bind_text(&args, row->metric);
	ml_bind_text(&args, row->positive);
	ml_bind_text(&args, row->description);
	ml_bind_jsonb(&args, row->settings);
	ml_bind_text(&serving, row->name);
	ml_registry_enter(&scope);
	n = ml_statement_run(&insert_model, &args);
	if (n == 1)
		ml_statement_run(&insert_serving, &serving);
	ml_registry_leave(&scope);
	if (n == 0)
		error_duplicate(row->name);
}

/* writes only if something changes: trainings of one model don't wait for each other here */
void
ml_registry_complete_model(const char *name, const char *target,
						   const char *task, const char *metric)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.model SET target = COALESCE(target, $2), "
		"task = COALESCE(task, $3), metric = COALESCE(metric, $4) "
		"WHERE name OPERATOR(pg_catalog.=) $1 AND "
		"(target IS NULL AND $2 IS NOT NULL OR task IS NULL AND $3 IS NOT NULL "
		"OR metric IS NULL AND $4 IS NOT NULL)"
	};
	MlArguments args = {0};

	ml_bind_text(&args, name);
	ml_bind_text(&args, target);
	ml_bind_text(&args, task);
	ml_bind_text(&args, metric);
	ml_registry_run(&update, &args);
}
