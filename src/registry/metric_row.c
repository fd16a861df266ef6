/*
 * metric_row.c
 *		Rows of the table of registered metrics.
 *
 * A model names its metric without a foreign key, since it may be one of ours.
 * Who makes a model name a metric locks the metric's row first; who drops or
 * replaces one takes the row first and then looks for models with a snapshot
 * of its own: one of the two sees the other.
 */
#include "postgres.h"

#include "registry/metric_row.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"

#define COLUMNS \
	"name, aggregate, columns, tasks, higher_is_better, minimum, maximum, description, author, settings"

/* ---- reading ---- */

/* row i of the result, in cxt */
static MlMetricRow *
read_row(uint64 i, MemoryContext cxt)
{
	MemoryContext old = MemoryContextSwitchTo(cxt);
	MlMetricRow *row = palloc0(sizeof(MlMetricRow));
	bool		isnull;

	row->name = ml_result_text(i, 1);
	row->aggregate = ml_result_text(i, 2);
	row->column = ml_result_texts(i, 3, &row->ncolumns);
	row->task = ml_result_texts(i, 4, &row->ntasks);
	row->higher_is_better = ml_result_bool(i, 5);
	row->minimum = ml_result_float(i, 6);
	row->maximum = ml_result_float(i, 7);
	row->description = ml_result_text(i, 8);
	row->author = ml_result_text(i, 9);
	row->settings = DatumGetJsonbPCopy(ml_result_datum(i, 10, &isnull));
	MemoryContextSwitchTo(old);
	return row;
}

MlMetricRow *
ml_registry_metric_row(const char *name)
{
	static MlStatement select = {
		"SELECT " COLUMNS " FROM mlops_catalog.metric WHERE name OPERATOR(pg_catalog.=) $1"
	};
	MemoryContext cxt = CurrentMemoryContext;
	MlArguments args = {0};
	MlRegistryScope scope;
	MlMetricRow *row = NULL;

	ml_bind_text(&args, name);
	ml_registry_enter(&scope);
	if (ml_statement_run(&select, &args) > 0)
		row = read_row(0, cxt);
	ml_registry_leave(&scope);
	return row;
}

List *
ml_registry_metric_rows(void)
{
	static MlStatement select = {"SELECT " COLUMNS " FROM mlops_catalog.metric ORDER BY name"};
	MemoryContext cxt = CurrentMemoryContext;
	MlArguments args = {0};
	MlRegistryScope scope;
	List	   *rows = NIL;
	uint64		n;

	ml_registry_enter(&scope);
	n = ml_statement_run(&select, &args);
	for (uint64 i = 0; i < n; i++)
	{
		MlMetricRow *row = read_row(i, cxt);
		MemoryContext old = MemoryContextSwitchTo(cxt);

		rows = lappend(rows, row);
		MemoryContextSwitchTo(old);
	}
	ml_registry_leave(&scope);
	return rows;
}

bool
ml_registry_hold_metric(const char *name)
{
	static MlStatement lock = {
		"SELECT 1 FROM mlops_catalog.metric WHERE name OPERATOR(pg_catalog.=) $1 FOR SHARE"
	};
	MlArguments args = {0};

	ml_bind_text(&args, name);
	return ml_registry_run(&lock, &args) > 0;
}

/* ---- writing; inside a scope, and with the metric's row locked ---- */

/* what names the metric, as words; NULL: nothing does */
static char *
used_by(const char *name)
{
	static MlStatement select = {
		"SELECT use FROM (SELECT 0, name, pg_catalog.format('It is the metric of model \"%s\".', name) FROM mlops_catalog.model "
		"WHERE metric OPERATOR(pg_catalog.=) $1 UNION ALL "
		"SELECT 1, model, pg_catalog.format('Gate \"%s\" of model \"%s\" asks for it.', name, model) FROM mlops_catalog.gate "
		"WHERE metric OPERATOR(pg_catalog.=) $1) AS u (kind, model, use) ORDER BY kind, model LIMIT 1"
	};
	MlArguments args = {0};

	ml_bind_text(&args, name);
	return ml_statement_run(&select, &args) > 0 ? ml_result_text(0, 1) : NULL;
}

static void
refuse_used(const char *name, const char *what)
{
	char	   *use = used_by(name);

	if (use != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot %s metric \"%s\" while it is in use", what, name),
				 errdetail_internal("%s", use),
				 errhint("Let the model name another metric first, mlops_set_model(model, '{\"metric\": ...}'), or drop the gate, mlops_drop_gate(model, name).")));
}

void
ml_registry_put_metric(const MlMetricRow *row)
{
	static MlStatement take = {
		"DELETE FROM mlops_catalog.metric WHERE name OPERATOR(pg_catalog.=) $1"
	};
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.metric (" COLUMNS ") "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
	};
	MlArguments name = {0};
	MlArguments args = {0};
	MlRegistryScope scope;

	ml_bind_text(&name, row->name);
	ml_bind_text(&args, row->name);
	ml_bind_text(&args, row->aggregate);
	ml_bind_texts(&args, row->column, row->ncolumns, false);
	ml_bind_texts(&args, row->task, row->ntasks, false);
	ml_bind_bool(&args, row->higher_is_better);
	ml_bind_float(&args, row->minimum);
	ml_bind_float(&args, row->maximum);
	ml_bind_text(&args, row->description);
	ml_bind_text(&args, row->author);
	ml_bind_jsonb(&args, row->settings);
	ml_registry_enter(&scope);
	if (ml_statement_run(&take, &name) > 0)
		refuse_used(row->name, "replace");
	ml_statement_run(&insert, &args);
	ml_registry_leave(&scope);
}

void
ml_registry_drop_metric(const char *name)
{
	static MlStatement drop = {
		"DELETE FROM mlops_catalog.metric WHERE name OPERATOR(pg_catalog.=) $1"
	};
	MlArguments args = {0};
	MlRegistryScope scope;

	ml_bind_text(&args, name);
	ml_registry_enter(&scope);
	ml_statement_run(&drop, &args);
	refuse_used(name, "drop");
	ml_registry_leave(&scope);
}
