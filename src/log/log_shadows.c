/*
 * log_shadows.c
 *		What shadows said, as the log has it: JSON beside the call, and what they
 *		cost, added up by day.
 *
 * The log writer has rows of its own among the costs, and each session has: nobody
 * waits for a row that another transaction has changed.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "json.h"
#include "log/log.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "score/shadow.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* of a model, day, name and version, in a batch */
typedef struct ShadowCost
{
	char		model[NAMEDATALEN];
	char		name[NAMEDATALEN];
	int			version;
	DateADT		day;			/* UTC */
	int64		calls;
	int64		failed;
	int64		skipped;
	double		us;
} ShadowCost;

static bool
begins_with(const char *text, const char *beginning)
{
	return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* ---- what it cost ---- */

static DateADT
day_of(TimestampTz at)
{
	TimestampTz day = at / USECS_PER_DAY;

	return (DateADT) (at % USECS_PER_DAY < 0 ? day - 1 : day);
}

/* a batch has few of them */
static ShadowCost *
find_cost(MlLogRows *rows, const MlLogCall *call, const MlShadowSaid *said)
{
	DateADT		day = day_of(call->at);
	MemoryContext old;
	ShadowCost *cost;
	ListCell   *cell;

	foreach(cell, rows->costs)
	{
		cost = lfirst(cell);
		if (cost->version == said->version && cost->day == day && strcmp(cost->name, said->name) == 0 &&
			strlen(cost->model) == call->nmodel && memcmp(cost->model, call->model, call->nmodel) == 0)
			return cost;
	}
	old = MemoryContextSwitchTo(rows->model_cxt);
	cost = palloc0(sizeof(ShadowCost));
	memcpy(cost->model, call->model, call->nmodel);
	strlcpy(cost->name, said->name, NAMEDATALEN);
	cost->version = said->version;
	cost->day = day;
	rows->costs = lappend(rows->costs, cost);
	MemoryContextSwitchTo(old);
	return cost;
}

static void
add_cost(MlLogRows *rows, const MlLogCall *call, const MlShadowSaid *said)
{
	ShadowCost *cost = find_cost(rows, call, said);

	cost->calls++;
	if (begins_with(said->status, ML_SHADOW_FAILED))
		cost->failed++;
	else if (begins_with(said->status, ML_SHADOW_SKIPPED))
		cost->skipped++;
	else if (!isnan(said->us))
		cost->us += said->us;
}

static int
compare_costs(const ListCell *a, const ListCell *b)
{
	const ShadowCost *one = lfirst(a);
	const ShadowCost *two = lfirst(b);
	int			order = strcmp(one->model, two->model);

	if (order == 0)
		order = one->day < two->day ? -1 : one->day > two->day;
	if (order == 0)
		order = strcmp(one->name, two->name);
	return order != 0 ? order : one->version < two->version ? -1 : one->version > two->version;
}

void
ml_log_write_costs(List *costs)
{
	static MlStatement upsert = {
		"INSERT INTO mlops_catalog.shadow_cost AS c (model, day, name, version, process, calls, failed, skipped, microseconds) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (model, day, name, version, process) DO UPDATE SET "
		"calls = c.calls OPERATOR(pg_catalog.+) EXCLUDED.calls, failed = c.failed OPERATOR(pg_catalog.+) EXCLUDED.failed, "
		"skipped = c.skipped OPERATOR(pg_catalog.+) EXCLUDED.skipped, "
		"microseconds = c.microseconds OPERATOR(pg_catalog.+) EXCLUDED.microseconds"
	};
	ListCell   *cell;

	list_sort(costs, compare_costs);
	foreach(cell, costs)
	{
		const ShadowCost *cost = lfirst(cell);
		MlArguments args = {0};

		ml_bind_text(&args, cost->model);
		ml_bind_datum(&args, DATEOID, DateADTGetDatum(cost->day), false);
		ml_bind_text(&args, cost->name);
		ml_bind_int(&args, cost->version);
		ml_bind_int(&args, IsBackgroundWorker ? 0 : MyProcPid);
		ml_bind_int8(&args, cost->calls);
		ml_bind_int8(&args, cost->failed);
		ml_bind_int8(&args, cost->skipped);
		ml_bind_float(&args, cost->us);
		ml_statement_run(&upsert, &args);
	}
}

/* ---- as JSON ---- */

static void
put_said(MlJson *json, const MlShadowSaid *said)
{
	ml_json_key(json, said->name);
	ml_json_begin_object(json);
	ml_json_put_int(json, "version", said->version);
	ml_json_put_text(json, "status", said->status);
	if (strcmp(said->status, ML_SHADOW_OK) == 0)
	{
		ml_json_put_float(json, "prediction", said->prediction);
		if (said->label != NULL)
			ml_json_put_text(json, "label", said->label);
		if (!isnan(said->us))
			ml_json_put_float(json, "us", rint(said->us * 100) / 100);
	}
	ml_json_end_object(json);
}

/* in the current context */
Datum
ml_log_shadows(MlLogRows *rows, const MlLogCall *call)
{
	const char *packed = call->shadows;
	MlShadowSaid said;
	MlJson		json = {0};

	ml_json_begin_object(&json);
	while (ml_shadow_unpack(&packed, call->shadows + call->nshadows, &said))
	{
		put_said(&json, &said);
		add_cost(rows, call, &said);
	}
	ml_json_end_object(&json);
	return JsonbPGetDatum(ml_json_finish(&json));
}
