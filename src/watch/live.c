/*
 * live.c
 *		Reads logged predictions and what came true of them.
 *
 * Rows come from one query, in the order of their groups. They are all kept,
 * counted in the budget, since metrics are measured when the query's scope is left: a
 * registered one is code of somebody's.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "frame/hash.h"
#include "interrupts.h"
#include "json.h"
#include "metric/custom.h"
#include "registry/registry_catalog.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "watch/live.h"

#define FETCH			1000
#define FIRST_ROWS		64
#define MOST_ROWS		PG_INT32_MAX	/* of a group */

#define EQ " OPERATOR(pg_catalog.=) "
#define GE " OPERATOR(pg_catalog.>=) "
#define LE " OPERATOR(pg_catalog.<=) "
#define LT " OPERATOR(pg_catalog.<) "

char *const ml_live_missing = "";

/*
 * $1 model, $2 from, $3 until, $4 as of, $5 policy, $6 seconds of a group, $7 names of slices, $8 columns
 * of metrics, $9 to $10 deployments of a canary, $11 that of what is active beside it, $12 version of the shadow.
 * A column is told as '=' and its text, '' if it is null, NULL if it is
 * not there. To be filled in: the number of the group, the version, a restriction. Outcomes are looked up prediction by
 * prediction: tables that are filled faster than they are analysed would be joined by a loop over both.
 */
static const char labelled_rows[] =
"WITH p AS (SELECT pg_catalog.row_number() OVER () AS id, l.at, l.version, l.role, l.deployment, l.key, l.prediction, l.label, l.input, l.rules_fired, "
"CASE WHEN $12 IS NOT NULL THEN (SELECT s.value FROM pg_catalog.jsonb_each(l.shadows) AS s "
"WHERE (s.value OPERATOR(pg_catalog.->>) 'version')::pg_catalog.int4" EQ "$12 "
"AND s.value OPERATOR(pg_catalog.->>) 'status'" EQ "'ok' LIMIT 1) END AS shadow, "
"pg_catalog.lead(l.at) OVER (PARTITION BY l.role, l.key ORDER BY l.at) AS next_at "
"FROM mlops_catalog.prediction AS l JOIN mlops_catalog.model AS m ON m.name" EQ "l.model AND m.created_at" LE "l.at "
"WHERE l.model" EQ "$1 AND l.at" GE "$2 AND l.at" LE "$4 AND l.key IS NOT NULL "
"AND ($9 IS NULL OR l.role" EQ "'canary' AND l.deployment" GE "$9 AND l.deployment" LE "$10 "
"OR l.role" EQ "'active' AND l.deployment" EQ "$11)), "
"b AS (SELECT s.version, LEAST(s.at, v.trained_at, (SELECT pg_catalog.min(r.as_of) FROM mlops_catalog.retraining AS r "
"WHERE r.model" EQ "$1 AND r.version" EQ "s.version)) AS born "
"FROM (SELECT l.version, pg_catalog.min(l.at) AS at FROM p AS l GROUP BY l.version) AS s "
"LEFT JOIN mlops_catalog.version AS v ON v.model" EQ "$1 AND v.version" EQ "s.version) "
"SELECT %s AS number, p.role, %s AS version, s.slice, p.prediction, p.label, o.outcome, "
"pg_catalog.date_part('epoch', o.first_at OPERATOR(pg_catalog.-) p.at), "
"CASE WHEN o.n OPERATOR(pg_catalog.>) 1 THEN "
"(SELECT pg_catalog.count(*) FROM pg_catalog.unnest(o.outcomes) AS u (x) WHERE u.x" EQ "o.outcome)::pg_catalog.float8 "
"OPERATOR(pg_catalog./) o.n END, p.key, "
"CASE WHEN o.outcome IS NOT NULL AND pg_catalog.cardinality($8) OPERATOR(pg_catalog.>) 0 THEN ARRAY(SELECT "
"CASE pg_catalog.jsonb_typeof(p.input OPERATOR(pg_catalog.->) c.name) WHEN 'null' THEN '' "
"WHEN 'array' THEN '=' OPERATOR(pg_catalog.||) pg_catalog.translate((p.input OPERATOR(pg_catalog.->) c.name)::pg_catalog.text, '[]', '{}') "
"ELSE '=' OPERATOR(pg_catalog.||) (p.input OPERATOR(pg_catalog.->>) c.name) END "
"FROM pg_catalog.unnest($8) WITH ORDINALITY AS c (name, place) ORDER BY c.place) END, "
"(p.shadow OPERATOR(pg_catalog.->>) 'prediction')::pg_catalog.float8, p.shadow OPERATOR(pg_catalog.->>) 'label' "
"FROM p LEFT JOIN LATERAL (SELECT pg_catalog.count(*) AS n, pg_catalog.min(c.at) AS first_at, pg_catalog.array_agg(c.outcome) AS outcomes, "
"CASE $5 WHEN 'first' THEN (pg_catalog.array_agg(c.outcome ORDER BY c.at, c.recorded_at))[1] "
"WHEN 'majority' THEN pg_catalog.mode() WITHIN GROUP (ORDER BY c.outcome) "
"ELSE (pg_catalog.array_agg(c.outcome ORDER BY c.at DESC, c.recorded_at DESC))[1] END AS outcome "
"FROM mlops_catalog.outcome AS c WHERE c.model" EQ "$1 AND c.key" EQ "p.key AND c.at" GE "p.at AND c.at" LE "$4 "
"AND (p.next_at IS NULL OR c.at" LT "p.next_at)) AS o ON true LEFT JOIN b ON b.version" EQ "p.version "
"CROSS JOIN LATERAL (SELECT ''::pg_catalog.text AS slice UNION ALL "
"SELECT pg_catalog.concat(f.name, CASE pg_catalog.jsonb_typeof(p.input OPERATOR(pg_catalog.->) f.name) "
"WHEN 'string' THEN ' = ' OPERATOR(pg_catalog.||) pg_catalog.quote_literal(p.input OPERATOR(pg_catalog.->>) f.name) "
"WHEN 'null' THEN ' IS NULL' ELSE ' = ' OPERATOR(pg_catalog.||) (p.input OPERATOR(pg_catalog.->>) f.name) END) "
"FROM pg_catalog.unnest($7) AS f (name) WHERE p.input OPERATOR(pg_catalog.?) f.name) AS s "
"WHERE p.at" LT "$3 AND ($12 IS NULL OR p.shadow IS NOT NULL AND COALESCE(p.rules_fired, 0)" EQ "0)%s "
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

/* while rows are read */
typedef struct Reading
{
	MlLive	   *live;
	MlLiveGroup *group;			/* the one that rows go to */
	int64		capacity;		/* of its rows */
	int64		delay_capacity; /* of its delays */
	int64		all_delays;		/* of those of all */
	int64		several;
} Reading;

/* a row of the query; text in the context of the batch */
typedef struct LiveRow
{
	double		prediction;
	char	   *label;
	char	   *outcome;
	double		delay;
	double		agreement;
	char	   *key;
	Datum		columns;		/* 0: none */
	double		shadow_prediction;	/* NaN: none */
	char	   *shadow_label;
} LiveRow;

/* ---- memory ---- */

/* room for as many elements; the old and the new count in the budget */
static void *
grow(MlLive *live, void *array, Size size, int64 from, int64 to)
{
	ml_budget_take(&live->budget, ml_size_mul(size, to), "the labelled predictions");
	if (array == NULL)
		return MemoryContextAllocHuge(live->cxt, size * to);
	array = repalloc_huge(array, size * to);
	ml_budget_give(&live->budget, size * from);
	return array;
}

static void
make_room(Reading *reading)
{
	MlLive	   *live = reading->live;
	MlLiveGroup *group = reading->group;
	int			ncolumns = list_length(live->columns);
	int64		from = reading->capacity;
	int64		to = from == 0 ? FIRST_ROWS : from * 2;

	if (group->n < from)
		return;
	if (to > MOST_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many predictions of model \"%s\" to be measured at once", live->kind.model),
				 errdetail("A window holds %d labelled predictions of a version at most.", MOST_ROWS),
				 errhint("Take a shorter period, or windows with every => '1 day'.")));
	group->prediction = grow(live, group->prediction, sizeof(double), from, to);
	group->label = grow(live, group->label, sizeof(double), from, to);
	group->class = grow(live, group->class, sizeof(int), from, to);
	group->key = grow(live, group->key, sizeof(uint64), from, to);
	if (live->request->shadow != 0)
	{
		group->shadow_prediction = grow(live, group->shadow_prediction, sizeof(double), from, to);
		group->shadow_class = grow(live, group->shadow_class, sizeof(int), from, to);
	}
	if (ncolumns > 0)
		group->text = grow(live, group->text, sizeof(char *) * ncolumns, from, to);
	reading->capacity = to;
}

static void
keep_delay(MlLive *live, double **array, int64 n, int64 *capacity, double delay)
{
	if (n == *capacity)
	{
		int64		to = *capacity == 0 ? FIRST_ROWS : *capacity * 2;

		*array = grow(live, *array, sizeof(double), *capacity, to);
		*capacity = to;
	}
	(*array)[n] = delay;
}

/* ---- what came true, as numbers of metrics ---- */

static int
class_of(const MlOutcomeKind *kind, const char *label)
{
	for (int i = 0; label != NULL && i < kind->nclasses; i++)
		if (strcmp(kind->class_label[i], label) == 0)
			return kind->task == ML_TASK_BINARY ? i == kind->positive : i;
	return -1;
}

/* NaN: nothing that the model knows */
static double
label_of(const MlOutcomeKind *kind, const char *outcome)
{
	int			class;

	if (kind->task == ML_TASK_REGRESSION)
		return strtod(outcome, NULL);
	class = class_of(kind, outcome);
	return class < 0 ? get_float8_nan() : class;
}

/* ---- rows of a group ---- */

static void
put_columns(Reading *reading, Datum columns)
{
	MlLive	   *live = reading->live;
	MlLiveGroup *group = reading->group;
	int			ncolumns = list_length(live->columns);
	char	  **to = group->text + group->n * ncolumns;
	Datum	   *element;
	bool	   *isnull;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(columns), TEXTOID, -1, false, TYPALIGN_INT, &element, &isnull, &n);
	Assert(n == ncolumns);
	for (int i = 0; i < n; i++)
	{
		char	   *told = isnull[i] ? NULL : TextDatumGetCString(element[i]);

		to[i] = told == NULL ? ml_live_missing : NULL;
		if (told == NULL || told[0] == '\0')
			continue;
		ml_budget_take(&live->budget, strlen(told), "columns of the logged inputs");
		to[i] = MemoryContextStrdup(live->cxt, told + 1);
	}
}

/* a prediction that has both */
static void
add_known(Reading *reading, const LiveRow *row, double truth, int class)
{
	MlLiveGroup *group = reading->group;

	make_room(reading);
	group->prediction[group->n] = row->prediction;
	group->label[group->n] = truth;
	group->class[group->n] = class;
	group->key[group->n] = ml_hash_bytes(row->key, strlen(row->key), 0);
	if (group->text != NULL)
		put_columns(reading, row->columns);
	if (group->shadow_prediction != NULL)
	{
		group->shadow_prediction[group->n] = row->shadow_prediction;
		group->shadow_class[group->n] = class_of(&reading->live->kind, row->shadow_label);
	}
	group->n++;
}

/* has the shadow, where there is one, said something that is known? */
static bool
shadow_is_known(const MlLive *live, const LiveRow *row)
{
	if (live->request->shadow == 0)
		return true;
	return !isnan(row->shadow_prediction) &&
		(live->kind.task == ML_TASK_REGRESSION || class_of(&live->kind, row->shadow_label) >= 0);
}

static void
add_row(Reading *reading, const LiveRow *row)
{
	MlLive	   *live = reading->live;
	MlLiveGroup *group = reading->group;
	double		truth;
	int			class;

	group->predictions++;
	if (row->outcome == NULL)
		return;
	truth = label_of(&live->kind, row->outcome);
	if (isnan(truth))
		return;
	keep_delay(live, &group->delay, group->labelled++, &reading->delay_capacity, row->delay);
	if (group->slice[0] == '\0')
		keep_delay(live, &live->delay, live->ndelays++, &reading->all_delays, row->delay);
	if (!isnan(row->agreement))
	{
		group->agreement += row->agreement;
		reading->several++;
	}
	class = class_of(&live->kind, row->label);
	if (!isnan(row->prediction) && (live->kind.task == ML_TASK_REGRESSION || class >= 0) && shadow_is_known(live, row))
		add_known(reading, row, truth, class);
}

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return x < y ? -1 : x > y;
}

static void
sort(double *value, int64 n)
{
	if (n > 1)
		qsort(value, n, sizeof(double), compare_doubles);
}

static void
close_group(Reading *reading)
{
	MlLiveGroup *group = reading->group;

	if (group == NULL)
		return;
	CHECK_FOR_INTERRUPTS();
	sort(group->delay, group->labelled);
	group->agreement = reading->several > 0 ? group->agreement / reading->several : get_float8_nan();
	reading->group = NULL;
}

static void
open_group(Reading *reading, int number, const char *role, int version, const char *slice)
{
	MlLive	   *live = reading->live;
	MlLiveGroup *group = reading->group;
	MemoryContext old;

	if (group != NULL && group->number == number && group->version == version &&
		strcmp(group->role, role) == 0 && strcmp(group->slice, slice) == 0)
		return;
	close_group(reading);
	ml_budget_take(&live->budget, sizeof(MlLiveGroup), "the labelled predictions");
	old = MemoryContextSwitchTo(live->cxt);
	group = palloc0(sizeof(MlLiveGroup));
	group->number = number;
	group->version = version;
	group->role = pstrdup(role);
	group->slice = pstrdup(slice);
	live->groups = lappend(live->groups, group);
	MemoryContextSwitchTo(old);
	reading->group = group;
	reading->capacity = reading->delay_capacity = reading->several = 0;
}

/* ---- reading ---- */

static void
take_row(Reading *reading, uint64 at)
{
	LiveRow		row;
	bool		isnull;

	open_group(reading, ml_result_int(at, 1, 0), ml_result_text(at, 2), ml_result_int(at, 3, 0), ml_result_text(at, 4));
	row.prediction = ml_result_float(at, 5);
	row.label = ml_result_text(at, 6);
	row.outcome = ml_result_text(at, 7);
	row.delay = ml_result_float(at, 8);
	row.agreement = ml_result_float(at, 9);
	row.key = ml_result_text(at, 10);
	row.columns = ml_result_datum(at, 11, &isnull);
	row.shadow_prediction = ml_result_float(at, 12);
	row.shadow_label = ml_result_text(at, 13);
	add_row(reading, &row);
}

static Portal
open_cursor(const MlLive *live, const char *policy)
{
	const MlLiveRequest *request = live->request;
	Datum	   *column = palloc(sizeof(Datum) * Max(list_length(live->columns), 1));
	MlArguments args = {0};
	ListCell   *cell;
	int			n = 0;

	foreach(cell, live->columns)
		column[n++] = CStringGetTextDatum(lfirst(cell));
	ml_bind_text(&args, request->model);
	ml_bind_time(&args, request->from);
	ml_bind_time(&args, request->until);
	ml_bind_time(&args, request->as_of);
	ml_bind_text(&args, policy);
	ml_bind_float(&args, (double) request->width / USECS_PER_SEC);
	ml_bind_datum(&args, TEXTARRAYOID, request->slices != (Datum) 0 ? request->slices :
				  PointerGetDatum(construct_empty_array(TEXTOID)), false);
	ml_bind_datum(&args, TEXTARRAYOID, PointerGetDatum(construct_array(column, n, TEXTOID, -1, false, TYPALIGN_INT)), false);
	ml_bind_int_or_null(&args, request->first_deployment, request->first_deployment == 0);
	ml_bind_int_or_null(&args, request->last_deployment, request->first_deployment == 0);
	ml_bind_int_or_null(&args, request->active_deployment, request->first_deployment == 0);
	ml_bind_int_or_null(&args, request->shadow, request->shadow == 0);
	return SPI_cursor_open_with_args(NULL, make_query(request->by), args.n, args.type, args.value, args.null, true, 0);
}

static void
read_rows(MlLive *live, const char *policy)
{
	Reading		reading = {live};
	MemoryContext batch;
	MlRegistryScope scope;
	Portal		portal;

	ml_registry_enter(&scope);
	portal = open_cursor(live, policy);
	batch = AllocSetContextCreate(CurrentMemoryContext, "mlops live batch", ALLOCSET_DEFAULT_SIZES);
	do
	{
		MemoryContext old;

		SPI_cursor_fetch(portal, true, FETCH);
		old = MemoryContextSwitchTo(batch);
		for (uint64 i = 0; i < SPI_processed; i++)
			take_row(&reading, i);
		MemoryContextSwitchTo(old);
		MemoryContextReset(batch);
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed == FETCH);
	SPI_cursor_close(portal);
	MemoryContextDelete(batch);
	close_group(&reading);
	ml_registry_leave(&scope);
	sort(live->delay, live->ndelays);
}

MlLive *
ml_live_read(const MlLiveRequest *request)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops live", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	MlLive	   *live = palloc0(sizeof(MlLive));
	ListCell   *cell;

	live->request = request;
	live->cxt = cxt;
	ml_outcome_kind(request->model, &live->kind);
	ml_budget_begin(&live->budget);
	foreach(cell, request->metrics)
	{
		const MlCustomMetric *metric = ml_judge_metric_registered(lfirst(cell));

		if (metric != NULL)
			live->columns = ml_custom_columns(metric, live->columns);
	}
	read_rows(live, ml_outcome_policy(request->model));
	MemoryContextSwitchTo(old);
	return live;
}

void
ml_live_end(MlLive *live)
{
	MemoryContextDelete(live->cxt);
}

double
ml_live_quantile(const double *sorted, int64 n, double share)
{
	if (n == 0)
		return get_float8_nan();
	return sorted[Min((int64) (share * n), n - 1)];
}
