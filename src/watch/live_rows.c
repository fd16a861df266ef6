/*
 * live_rows.c
 *		Logged predictions with the outcomes that they turned out to have, group
 *		by group.
 *
 * Rows come from one query, ordered by group, role, version and slice, so that
 * memory holds one group.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "registry/registry_catalog.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "watch/live.h"

#define FETCH			1000
#define FIRST_ROWS		1024

#define EQ " OPERATOR(pg_catalog.=) "
#define GE " OPERATOR(pg_catalog.>=) "
#define LE " OPERATOR(pg_catalog.<=) "
#define LT " OPERATOR(pg_catalog.<) "

/*
 * $1 model, $2 from, $3 until, $4 as of, $5 policy, $6 seconds of a group, $7 names of slices; to be
 * filled in: the number of the group, the version, a restriction
 */
static const char labelled_rows[] =
"WITH p AS (SELECT pg_catalog.row_number() OVER () AS id, l.at, l.version, l.role, l.deployment, l.key, l.prediction, l.label, l.input, "
"pg_catalog.lead(l.at) OVER (PARTITION BY l.role, l.key ORDER BY l.at) AS next_at "
"FROM mlops_catalog.prediction AS l JOIN mlops_catalog.model AS m ON m.name" EQ "l.model AND m.created_at" LE "l.at "
"WHERE l.model" EQ "$1 AND l.at" GE "$2 AND l.at" LE "$4 AND l.key IS NOT NULL), "
"o AS (SELECT p.id, pg_catalog.count(*) AS n, pg_catalog.min(o.at) AS first_at, pg_catalog.array_agg(o.outcome) AS outcomes, "
"CASE $5 WHEN 'first' THEN (pg_catalog.array_agg(o.outcome ORDER BY o.at, o.recorded_at))[1] "
"WHEN 'majority' THEN pg_catalog.mode() WITHIN GROUP (ORDER BY o.outcome) "
"ELSE (pg_catalog.array_agg(o.outcome ORDER BY o.at DESC, o.recorded_at DESC))[1] END AS outcome "
"FROM p JOIN mlops_catalog.outcome AS o ON o.key" EQ "p.key AND o.model" EQ "$1 AND o.at" GE "p.at AND o.at" LE "$4 "
"AND (p.next_at IS NULL OR o.at" LT "p.next_at) WHERE p.at" LT "$3 GROUP BY p.id), "
"b AS (SELECT s.version, LEAST(s.at, v.trained_at, (SELECT pg_catalog.min(r.as_of) FROM mlops_catalog.retraining AS r "
"WHERE r.model" EQ "$1 AND r.version" EQ "s.version)) AS born "
"FROM (SELECT l.version, pg_catalog.min(l.at) AS at FROM p AS l GROUP BY l.version) AS s "
"LEFT JOIN mlops_catalog.version AS v ON v.model" EQ "$1 AND v.version" EQ "s.version) "
"SELECT %s AS number, p.role, %s AS version, s.slice, p.prediction, p.label, o.outcome, "
"pg_catalog.date_part('epoch', o.first_at OPERATOR(pg_catalog.-) p.at), "
"CASE WHEN o.n OPERATOR(pg_catalog.>) 1 THEN "
"(SELECT pg_catalog.count(*) FROM pg_catalog.unnest(o.outcomes) AS u (x) WHERE u.x" EQ "o.outcome)::pg_catalog.float8 "
"OPERATOR(pg_catalog./) o.n END "
"FROM p LEFT JOIN o ON o.id" EQ "p.id LEFT JOIN b ON b.version" EQ "p.version "
"CROSS JOIN LATERAL (SELECT ''::pg_catalog.text AS slice UNION ALL "
"SELECT pg_catalog.concat(f.name, ' = ', CASE pg_catalog.jsonb_typeof(p.input OPERATOR(pg_catalog.->) f.name) "
"WHEN 'string' THEN pg_catalog.quote_literal(p.input OPERATOR(pg_catalog.->>) f.name) "
"WHEN 'null' THEN 'NULL' ELSE p.input OPERATOR(pg_catalog.->>) f.name END) "
"FROM pg_catalog.unnest($7) AS f (name) WHERE p.input OPERATOR(pg_catalog.?) f.name) AS s "
"WHERE p.at" LT "$3%s "
"ORDER BY 1, 2, 3, s.slice COLLATE \"C\", p.at, p.id";

#define PLACE_SINCE(since) \
	"pg_catalog.floor(pg_catalog.date_part('epoch', p.at OPERATOR(pg_catalog.-) " since ") OPERATOR(pg_catalog./) $6)::pg_catalog.int4"
#define SERVED " AND p.deployment IS NOT NULL AND p.role" EQ "'active'"

static char *
make_query(MlLiveBy by)
{
	switch (by)
	{
		case ML_LIVE_BY_WINDOW:
			return psprintf(labelled_rows, PLACE_SINCE("$2"), "p.version", "");
		case ML_LIVE_BY_DEPLOYMENT:
			return psprintf(labelled_rows, "p.deployment", "p.version", " AND p.deployment IS NOT NULL");
		case ML_LIVE_BY_AGE:
			return psprintf(labelled_rows, PLACE_SINCE("b.born"), "p.version", SERVED);
		case ML_LIVE_BY_AGE_POOLED:
			return psprintf(labelled_rows, PLACE_SINCE("b.born"), "0", SERVED);
	}
	return NULL;
}

/* ---- rows of a group ---- */

/* makes room for one more element; the old and the new count in the budget */
static void *
grow(MlLiveState *live, void *array, Size size, int64 capacity)
{
	ml_budget_take(&live->budget, size * capacity, "the labelled predictions");
	if (array == NULL)
		return MemoryContextAllocHuge(live->cxt, size * capacity);
	ml_budget_give(&live->budget, size * capacity / 2);
	return repalloc_huge(array, size * capacity);
}

static void
make_room(MlLiveState *live)
{
	MlLiveGroup *group = &live->group;

	if (group->labelled < group->capacity)
		return;
	group->capacity = group->capacity == 0 ? FIRST_ROWS : group->capacity * 2;
	group->prediction = grow(live, group->prediction, sizeof(double), group->capacity);
	group->label = grow(live, group->label, sizeof(double), group->capacity);
	group->class = grow(live, group->class, sizeof(int), group->capacity);
	group->delay = grow(live, group->delay, sizeof(double), group->capacity);
}

static void
keep_delay(MlLiveState *live, double delay)
{
	if (live->ndelays == live->delay_capacity)
	{
		live->delay_capacity = live->delay_capacity == 0 ? FIRST_ROWS : live->delay_capacity * 2;
		live->delay = grow(live, live->delay, sizeof(double), live->delay_capacity);
	}
	live->delay[live->ndelays++] = delay;
}

static int
class_of(const MlOutcomeKind *kind, const char *label)
{
	for (int i = 0; label != NULL && i < kind->nclasses; i++)
		if (strcmp(kind->class_label[i], label) == 0)
			return i;
	return -1;
}

/* what came true as a number of metrics; NaN: nothing that the model knows */
static double
label_of(const MlOutcomeKind *kind, const char *outcome)
{
	int			class;

	if (kind->task == ML_TASK_REGRESSION)
		return strtod(outcome, NULL);
	class = class_of(kind, outcome);
	if (class < 0)
		return get_float8_nan();
	return kind->task == ML_TASK_BINARY ? (class == kind->positive) : class;
}

static void
add_row(MlLiveState *live, double prediction, const char *label, const char *outcome,
		double delay, double agreement)
{
	MlLiveGroup *group = &live->group;
	double		truth;

	group->predictions++;
	if (outcome == NULL)
		return;
	truth = label_of(&live->kind, outcome);
	if (isnan(truth))
		return;
	make_room(live);
	group->prediction[group->labelled] = prediction;
	group->label[group->labelled] = truth;
	group->class[group->labelled] = class_of(&live->kind, label);
	group->delay[group->labelled++] = delay;
	if (group->slice[0] == '\0')
		keep_delay(live, delay);
	if (!isnan(agreement))
	{
		group->agreement += agreement;
		group->several++;
	}
}

/* ---- reading ---- */

static void
close_group(MlLiveState *live)
{
	if (live->open)
		ml_live_measure_group(live);
	live->open = false;
}

static void
open_group(MlLiveState *live, int number, const char *role, int version, const char *slice)
{
	MlLiveGroup *group = &live->group;

	if (live->open && group->group == number && group->version == version &&
		strcmp(group->role, role) == 0 && strcmp(group->slice, slice) == 0)
		return;
	close_group(live);
	live->open = true;
	group->group = number;
	group->version = version;
	group->role = MemoryContextStrdup(live->cxt, role);
	group->slice = MemoryContextStrdup(live->cxt, slice);
	group->predictions = group->labelled = group->several = 0;
	group->agreement = 0.0;
}

static void
take_row(MlLiveState *live, uint64 row)
{
	char	   *role = ml_result_text(row, 2);
	char	   *slice = ml_result_text(row, 4);
	char	   *label = ml_result_text(row, 6);
	char	   *outcome = ml_result_text(row, 7);

	open_group(live, ml_result_int(row, 1, 0), role, ml_result_int(row, 3, 0), slice);
	add_row(live, ml_result_float(row, 5), label, outcome, ml_result_float(row, 8), ml_result_float(row, 9));
	pfree(role);
	pfree(slice);
	if (label)
		pfree(label);
	if (outcome)
		pfree(outcome);
}

void
ml_live_read(MlLiveState *live, const char *policy)
{
	const MlLiveRequest *request = live->request;
	Oid			type[7] = {TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, FLOAT8OID, TEXTARRAYOID};
	Datum		value[7] = {
		CStringGetTextDatum(live->kind.model), TimestampTzGetDatum(request->from), TimestampTzGetDatum(request->until),
		TimestampTzGetDatum(request->as_of), CStringGetTextDatum(policy),
		Float8GetDatum((double) request->width / USECS_PER_SEC),
		request->slices != (Datum) 0 ? request->slices : PointerGetDatum(construct_empty_array(TEXTOID))
	};
	char	   *query = make_query(request->by);
	MlRegistryScope scope;
	Portal		portal;

	ml_registry_enter(&scope);
	portal = SPI_cursor_open_with_args(NULL, query, lengthof(type), type, value, NULL, true, 0);
	do
	{
		SPI_cursor_fetch(portal, true, FETCH);
		for (uint64 i = 0; i < SPI_processed; i++)
			take_row(live, i);
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed == FETCH);
	SPI_cursor_close(portal);
	close_group(live);
	ml_registry_leave(&scope);
}
