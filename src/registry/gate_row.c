/*
 * gate_row.c
 *		The rows of gates, and of approvals.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "registry/gate_row.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"

void
ml_registry_set_gate(const char *model, const MlGate *gate)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.gate (model, name, metric, minimum, maximum, max_drop, min_gain, validation_set, "
		"slices, min_rows, severity, proof, on_interval, query, timeout_ms, author, settings) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) "
		"ON CONFLICT (model, name) DO UPDATE SET metric = EXCLUDED.metric, minimum = EXCLUDED.minimum, "
		"maximum = EXCLUDED.maximum, max_drop = EXCLUDED.max_drop, min_gain = EXCLUDED.min_gain, "
		"validation_set = EXCLUDED.validation_set, slices = EXCLUDED.slices, min_rows = EXCLUDED.min_rows, "
		"severity = EXCLUDED.severity, proof = EXCLUDED.proof, on_interval = EXCLUDED.on_interval, "
		"query = EXCLUDED.query, timeout_ms = EXCLUDED.timeout_ms, author = EXCLUDED.author, "
		"settings = EXCLUDED.settings, set_at = pg_catalog.clock_timestamp()"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_text(&args, gate->name);
	ml_bind_text(&args, gate->metric);
	ml_bind_float(&args, gate->minimum);
	ml_bind_float(&args, gate->maximum);
	ml_bind_float(&args, gate->max_drop);
	ml_bind_float(&args, gate->min_gain);
	ml_bind_text(&args, gate->validation_set);
	ml_bind_texts(&args, gate->slice, gate->nslices, gate->nslices == 0);
	ml_bind_int8(&args, gate->min_rows);
	ml_bind_text(&args, gate->blocks ? "block" : "warn");
	ml_bind_text(&args, gate->lenient ? "worse" : "better");
	ml_bind_bool(&args, gate->on_interval);
	ml_bind_text(&args, gate->query);
	ml_bind_int(&args, gate->timeout_ms);
	ml_bind_text(&args, gate->author.role);
	ml_bind_jsonb(&args, ml_author_settings_json(&gate->author));
	ml_registry_run(&insert, &args);
}

bool
ml_registry_drop_gate(const char *model, const char *name)
{
	static MlStatement delete = {
		"DELETE FROM mlops_catalog.gate "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND name OPERATOR(pg_catalog.=) $2"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_text(&args, name);
	return ml_registry_run(&delete, &args) > 0;
}

static MlGate *
read_gate(uint64 row)
{
	MlGate	   *gate = palloc0(sizeof(MlGate));
	bool		isnull;

	gate->name = ml_result_text(row, 1);
	gate->metric = ml_result_text(row, 2);
	gate->minimum = ml_result_float(row, 3);
	gate->maximum = ml_result_float(row, 4);
	gate->max_drop = ml_result_float(row, 5);
	gate->min_gain = ml_result_float(row, 6);
	gate->validation_set = ml_result_text(row, 7);
	gate->slice = ml_result_texts(row, 8, &gate->nslices);
	gate->min_rows = ml_result_int8(row, 9);
	gate->blocks = strcmp(ml_result_text(row, 10), "block") == 0;
	gate->lenient = strcmp(ml_result_text(row, 11), "worse") == 0;
	gate->on_interval = ml_result_bool(row, 12);
	gate->query = ml_result_text(row, 13);
	gate->timeout_ms = ml_result_int(row, 14, 0);
	ml_author_read(&gate->author, ml_result_text(row, 15),
				   DatumGetJsonbP(ml_result_datum(row, 16, &isnull)));
	return gate;
}

List *
ml_registry_gates(const char *model)
{
	static MlStatement select = {
		"SELECT name, metric, minimum, maximum, max_drop, min_gain, validation_set, slices, min_rows, severity, "
		"proof, on_interval, query, timeout_ms, author, settings FROM mlops_catalog.gate "
		"WHERE model OPERATOR(pg_catalog.=) $1 ORDER BY name"
	};
	MemoryContext caller = CurrentMemoryContext;
	MlArguments args = {0};
	MlRegistryScope scope;
	List	   *gates = NIL;
	uint64		n;

	ml_bind_text(&args, model);
	ml_registry_enter(&scope);
	n = ml_statement_newest(&select, &args);
	for (uint64 i = 0; i < n; i++)
	{
		MemoryContext spi = MemoryContextSwitchTo(caller);

		gates = lappend(gates, read_gate(i));
		MemoryContextSwitchTo(spi);
	}
	ml_registry_leave(&scope);
	return gates;
}

/* a gate without a set is about the only one that the model has */
void
ml_gates_tell_dropped(const char *model, const char *validation_set, const char *slice)
{
	static MlStatement select = {
		"SELECT pg_catalog.quote_ident(g.name) FROM mlops_catalog.gate AS g WHERE g.model OPERATOR(pg_catalog.=) $1 "
		"AND g.query IS NULL AND ($3 IS NULL OR $3 OPERATOR(pg_catalog.=) ANY (g.slices)) "
		"AND (g.validation_set OPERATOR(pg_catalog.=) $2 OR (g.validation_set IS NULL AND NOT EXISTS ("
		"SELECT FROM mlops_catalog.validation_set AS v WHERE v.model OPERATOR(pg_catalog.=) $1 AND v.name OPERATOR(pg_catalog.<>) $2))) "
		"ORDER BY g.name"
	};
	MlArguments args = {0};
	StringInfoData list;
	List	   *names;
	ListCell   *cell;

	ml_bind_text(&args, model);
	ml_bind_text(&args, validation_set);
	ml_bind_text(&args, slice);
	names = ml_registry_texts(&select, &args);
	if (names == NIL)
		return;
	initStringInfo(&list);
	foreach(cell, names)
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", (char *) lfirst(cell));
	ereport(NOTICE,
			(errmsg("gates of model \"%s\" stay closed until %s \"%s\" is there again", model,
					slice != NULL ? "slice" : "validation set", slice != NULL ? slice : validation_set),
			 errdetail("They ask for it: %s.", list.data),
			 errhint("Make it again under its name, or take them back with mlops_drop_gate(%s, name).", quote_literal_cstr(model))));
}

/* ---- approvals ---- */

/* said again, the newer note holds */
bool
ml_registry_approve(const char *model, int version, const char *note)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.approval (model, version, sha256, approved_by, note) "
		"SELECT v.model, v.version, v.sha256, $3, $4 FROM mlops_catalog.version v "
		"WHERE v.model OPERATOR(pg_catalog.=) $1 AND v.version OPERATOR(pg_catalog.=) $2 "
		"ON CONFLICT (model, version, approved_by) DO UPDATE SET note = EXCLUDED.note, "
		"approved_at = pg_catalog.clock_timestamp()"
	};
	const char *role = GetUserNameFromId(GetUserId(), false);
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_int(&args, version);
	ml_bind_text(&args, role);
	ml_bind_text(&args, note);
	return ml_registry_run(&insert, &args) > 0;
}

List *
ml_registry_approvers(const char *model, int version)
{
	static MlStatement select = {
		"SELECT approved_by FROM mlops_catalog.approval "
		"WHERE model OPERATOR(pg_catalog.=) $1 AND version OPERATOR(pg_catalog.=) $2 ORDER BY approved_by"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	ml_bind_int(&args, version);
	return ml_registry_texts(&select, &args);
}
