/*
 * performance.c
 *		mlops_performance: how good what was predicted turned out to be.
 *
 * An outcome belongs to the last prediction of its key, in a role, before it.
 * Where a prediction has several, the model's policy picks one. Rows come from
 * one query, ordered by group (window, role, version, slice), and are measured
 * group by group, so that memory is that of the largest group.
 *
 * Metrics are those of training. Of a class the log has the label and its
 * probability only: with several classes a metric is given if it depends on
 * labels alone, which is found out by measuring twice. The threshold of two
 * classes is that of the logged labels.
 *
 * Intervals are given where they follow from the counts (Wilson 1927,
 * "Probable inference, the law of succession, and statistical inference", JASA
 * 22, for accuracy).
 */
#include "postgres.h"

#include <math.h>

#include "budget.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "interrupts.h"
#include "json.h"
#include "metric/measure.h"
#include "registry/registry_catalog.h"
#include "result.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "watch/outcome.h"
#include "watch/watch.h"

#define FETCH			1000
#define NCOLUMNS		16
#define FIRST_ROWS		1024
#define MAX_WINDOWS		10000
#define Z_95			1.959963984540054
#define SOFT			0.9		/* of 1, to see whether a metric cares */

PG_FUNCTION_INFO_V1(mlops_performance);

#define EQ " OPERATOR(pg_catalog.=) "
#define GE " OPERATOR(pg_catalog.>=) "
#define LE " OPERATOR(pg_catalog.<=) "
#define LT " OPERATOR(pg_catalog.<) "

/* $1 model, $2 from, $3 until, $4 as of, $5 policy, $6 seconds of a window, $7 names of slices */
static const char labelled_rows[] =
"WITH p AS (SELECT pg_catalog.row_number() OVER () AS id, l.at, l.version, l.role, l.key, l.prediction, l.label, l.input, "
"pg_catalog.lead(l.at) OVER (PARTITION BY l.role, l.key ORDER BY l.at) AS next_at "
"FROM mlops_catalog.prediction AS l JOIN mlops_catalog.model AS m ON m.name" EQ "l.model AND m.created_at" LE "l.at "
"WHERE l.model" EQ "$1 AND l.at" GE "$2 AND l.at" LE "$4 AND l.key IS NOT NULL), "
"o AS (SELECT p.id, pg_catalog.count(*) AS n, pg_catalog.min(o.at) AS first_at, pg_catalog.array_agg(o.outcome) AS outcomes, "
"CASE $5 WHEN 'first' THEN (pg_catalog.array_agg(o.outcome ORDER BY o.at, o.recorded_at))[1] "
"WHEN 'majority' THEN pg_catalog.mode() WITHIN GROUP (ORDER BY o.outcome) "
"ELSE (pg_catalog.array_agg(o.outcome ORDER BY o.at DESC, o.recorded_at DESC))[1] END AS outcome "
"FROM p JOIN mlops_catalog.outcome AS o ON o.key" EQ "p.key AND o.model" EQ "$1 AND o.at" GE "p.at AND o.at" LE "$4 "
"AND (p.next_at IS NULL OR o.at" LT "p.next_at) WHERE p.at" LT "$3 GROUP BY p.id) "
"SELECT pg_catalog.floor(pg_catalog.date_part('epoch', p.at OPERATOR(pg_catalog.-) $2) OPERATOR(pg_catalog./) $6)::pg_catalog.int4, "
"p.role, p.version, s.slice, p.prediction, p.label, o.outcome, "
"pg_catalog.date_part('epoch', o.first_at OPERATOR(pg_catalog.-) p.at), "
"CASE WHEN o.n OPERATOR(pg_catalog.>) 1 THEN "
"(SELECT pg_catalog.count(*) FROM pg_catalog.unnest(o.outcomes) AS u (x) WHERE u.x" EQ "o.outcome)::pg_catalog.float8 "
"OPERATOR(pg_catalog./) o.n END "
"FROM p LEFT JOIN o ON o.id" EQ "p.id CROSS JOIN LATERAL (SELECT ''::pg_catalog.text AS slice UNION ALL "
"SELECT pg_catalog.concat(f.name, ' = ', CASE pg_catalog.jsonb_typeof(p.input OPERATOR(pg_catalog.->) f.name) "
"WHEN 'string' THEN pg_catalog.quote_literal(p.input OPERATOR(pg_catalog.->>) f.name) "
"WHEN 'null' THEN 'NULL' ELSE p.input OPERATOR(pg_catalog.->>) f.name END) "
"FROM pg_catalog.unnest($7) AS f (name) WHERE p.input OPERATOR(pg_catalog.?) f.name) AS s "
"WHERE p.at" LT "$3 "
"ORDER BY 1, p.role, p.version, s.slice COLLATE \"C\", p.at, p.id";

/* the rows of a window, role, version and slice */
typedef struct LiveGroup
{
	int			window;
	char	   *role;
	int			version;
	char	   *slice;			/* "": all rows */
	int64		predictions;
	int64		labelled;
	int64		capacity;
	double	   *prediction;		/* of labelled rows, here and below */
	double	   *label;
	int		   *class;			/* that was predicted */
	double	   *delay;			/* seconds */
	double		agreement;		/* sum over rows with several outcomes */
	int64		several;
} LiveGroup;

/* a row of the result, but for what is known at the end */
typedef struct Line
{
	int			window;
	char	   *role;
	int			version;
	char	   *slice;
	const char *metric;
	double		value;
	double		low;
	double		high;
	int64		labelled;
	int64		predictions;
	double		median;			/* delays; NaN: none */
	double		p90;
	double		agreement;
} Line;

typedef struct Performance
{
	MlOutcomeKind kind;
	const MlMetric *primary;
	MemoryContext cxt;
	MlBudget	budget;
	LiveGroup		group;
	bool		open;
	List	   *lines;			/* of Line */
	TimestampTz from;
	int64		width;			/* of a window, in microseconds */
	TimestampTz until;
	TimestampTz as_of;
	double	   *delay;			/* of all rows, whatever the slice */
	int64		ndelays;
	int64		delay_capacity;
} Performance;

/* ---- rows of a group ---- */

/* makes room for one more element; the old and the new count in the budget */
static void *
grow(Performance *live, void *array, Size size, int64 capacity)
{
	ml_budget_take(&live->budget, size * capacity, "the labelled predictions");
	if (array == NULL)
		return MemoryContextAllocHuge(live->cxt, size * capacity);
	ml_budget_give(&live->budget, size * capacity / 2);
	return repalloc_huge(array, size * capacity);
}

static void
make_room(Performance *live)
{
	LiveGroup	   *group = &live->group;

	if (group->labelled < group->capacity)
		return;
	group->capacity = group->capacity == 0 ? FIRST_ROWS : group->capacity * 2;
	group->prediction = grow(live, group->prediction, sizeof(double), group->capacity);
	group->label = grow(live, group->label, sizeof(double), group->capacity);
	group->class = grow(live, group->class, sizeof(int), group->capacity);
	group->delay = grow(live, group->delay, sizeof(double), group->capacity);
}

static void
keep_delay(Performance *live, double delay)
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
add_row(Performance *live, double prediction, const char *label, const char *outcome,
		double delay, double agreement)
{
	LiveGroup	   *group = &live->group;
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

/* ---- measuring a group ---- */

/* that of the logged labels: the least probability of those called positive */
static double
threshold_of(const Performance *live)
{
	const LiveGroup *group = &live->group;
	double		threshold = 2.0;

	for (int64 i = 0; i < group->labelled; i++)
		if (group->class[i] == live->kind.positive && group->prediction[i] < threshold)
			threshold = group->prediction[i];
	return threshold;
}

/* probabilities of several classes, of which the log has one: certainty for the label, or nearly */
static double *
spread(Performance *live, double certainty)
{
	const LiveGroup *group = &live->group;
	int			n = live->kind.nclasses;
	Size		size = ml_size_mul(ml_size_mul(group->labelled, n), sizeof(double));
	double	   *result;

	ml_budget_take(&live->budget, size, "the probabilities of the classes");
	result = MemoryContextAllocHuge(live->cxt, size);
	for (int64 i = 0; i < group->labelled; i++)
	{
		ml_check_row(i);
		for (int c = 0; c < n; c++)
			result[i * n + c] = group->class[i] < 0 ? get_float8_nan() :
				c == group->class[i] ? certainty : (1.0 - certainty) / Max(n - 1, 1);
	}
	return result;
}

static void
give_spread(Performance *live, double *probabilities)
{
	ml_budget_give(&live->budget, sizeof(double) * live->group.labelled * live->kind.nclasses);
	pfree(probabilities);
}

/* NaN: not defined on these rows, or not known from the log */
static double
measure(Performance *live, const MlMetric *metric, const double *certain, const double *soft)
{
	const LiveGroup *group = &live->group;
	MlMeasurement rows = {
		.task = live->kind.task,
		.n = group->labelled,
		.label = group->label,
		.prediction = certain ? certain : group->prediction,
		.nclasses = live->kind.nclasses,
		.threshold = live->kind.task == ML_TASK_BINARY ? threshold_of(live) : 0.5
	};
	double		value = metric->measure(&rows);

	if (certain == NULL)
		return value;
	rows.prediction = soft;
	return metric->measure(&rows) == value ? value : get_float8_nan();
}

static void
give_interval(const MlMetric *metric, int64 n, Line *line)
{
	double		p = line->value;
	double		z2 = Z_95 * Z_95;
	double		middle;
	double		half;

	line->low = line->high = get_float8_nan();
	if (metric != &ml_metric_accuracy || isnan(p) || n == 0)
		return;
	middle = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
	half = Z_95 * sqrt(p * (1.0 - p) / n + z2 / (4.0 * n * n)) / (1.0 + z2 / n);
	line->low = Max(middle - half, 0.0);
	line->high = Min(middle + half, 1.0);
}

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return x < y ? -1 : x > y;
}

/* of sorted values, the least that a share of them does not exceed; NaN: there are none */
static double
quantile(const double *sorted, int64 n, double share)
{
	if (n == 0)
		return get_float8_nan();
	return sorted[Min((int64) (share * n), n - 1)];
}

static Line *
add_line(Performance *live, const MlMetric *metric)
{
	const LiveGroup *group = &live->group;
	Line	   *line = palloc0(sizeof(Line));

	line->window = group->window;
	line->role = pstrdup(group->role);
	line->version = group->version;
	line->slice = pstrdup(group->slice);
	line->metric = metric ? metric->name : NULL;
	line->value = line->low = line->high = get_float8_nan();
	line->labelled = group->labelled;
	line->predictions = group->predictions;
	line->median = quantile(group->delay, group->labelled, 0.5);
	line->p90 = quantile(group->delay, group->labelled, 0.9);
	line->agreement = group->several > 0 ? group->agreement / group->several : get_float8_nan();
	live->lines = lappend(live->lines, line);
	return line;
}

/* one line a metric; one without a value where nothing came true yet */
static void
close_group(Performance *live)
{
	LiveGroup	   *group = &live->group;
	MemoryContext old;
	double	   *certain = NULL;
	double	   *soft = NULL;

	if (!live->open)
		return;
	live->open = false;
	old = MemoryContextSwitchTo(live->cxt);
	if (group->labelled > 0 && live->kind.task == ML_TASK_MULTICLASS)
	{
		certain = spread(live, 1.0);
		soft = spread(live, SOFT);
	}
	/* of no matter to the metrics, to which rows are what the other arrays say */
	qsort(group->delay, group->labelled, sizeof(double), compare_doubles);
	for (int i = 0; group->labelled > 0 && ml_metrics[i] != NULL; i++)
	{
		double		value;
		Line	   *line;

		if ((ml_metrics[i]->tasks & live->kind.task) == 0)
			continue;
		CHECK_FOR_INTERRUPTS();
		value = measure(live, ml_metrics[i], certain, soft);
		if (certain && isnan(value))
			continue;
		line = add_line(live, ml_metrics[i]);
		line->value = value;
		give_interval(ml_metrics[i], group->labelled, line);
	}
	if (group->labelled == 0)
		(void) add_line(live, live->primary);
	if (certain)
	{
		give_spread(live, certain);
		give_spread(live, soft);
	}
	MemoryContextSwitchTo(old);
}

/* ---- reading rows ---- */

static void
open_group(Performance *live, int window, const char *role, int version, const char *slice)
{
	LiveGroup	   *group = &live->group;

	if (live->open && group->window == window && group->version == version &&
		strcmp(group->role, role) == 0 && strcmp(group->slice, slice) == 0)
		return;
	close_group(live);
	live->open = true;
	group->window = window;
	group->version = version;
	group->role = MemoryContextStrdup(live->cxt, role);
	group->slice = MemoryContextStrdup(live->cxt, slice);
	group->predictions = group->labelled = group->several = 0;
	group->agreement = 0.0;
}

static void
take_row(Performance *live, uint64 row)
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

static void
read_rows(Performance *live, const char *policy, Datum slices)
{
	Oid			type[7] = {TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, FLOAT8OID, TEXTARRAYOID};
	Datum		value[7] = {
		CStringGetTextDatum(live->kind.model), TimestampTzGetDatum(live->from), TimestampTzGetDatum(live->until),
		TimestampTzGetDatum(live->as_of), CStringGetTextDatum(policy),
		Float8GetDatum((double) live->width / USECS_PER_SEC), slices
	};
	MlRegistryScope scope;
	Portal		portal;

	ml_registry_enter(&scope);
	portal = SPI_cursor_open_with_args(NULL, labelled_rows, lengthof(type), type, value, NULL, true, 0);
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

/* ---- the result ---- */

static void
put_seconds(Datum *value, bool *isnull, int i, double seconds)
{
	Interval   *interval = palloc0(sizeof(Interval));

	isnull[i] = isnan(seconds);
	interval->time = isnull[i] ? 0 : (TimeOffset) (seconds * USECS_PER_SEC);
	value[i] = IntervalPGetDatum(interval);
}

static void
put_line(const Performance *live, const Line *line, double usual_delay, MlRows *rows)
{
	TimestampTz since = live->from + line->window * live->width;
	TimestampTz until = Min(since + live->width, live->until);
	Datum		value[NCOLUMNS];
	bool		isnull[NCOLUMNS] = {0};

	value[0] = TimestampTzGetDatum(since);
	value[1] = TimestampTzGetDatum(until);
	ml_rows_text(value, isnull, 2, line->role);
	value[3] = Int32GetDatum(line->version);
	ml_rows_text(value, isnull, 4, line->slice);
	ml_rows_text(value, isnull, 5, line->metric);
	ml_rows_number(value, isnull, 6, line->value);
	ml_rows_number(value, isnull, 7, line->low);
	ml_rows_number(value, isnull, 8, line->high);
	value[9] = Int64GetDatum(line->labelled);
	value[10] = Int64GetDatum(line->predictions);
	value[11] = Float8GetDatum((double) line->labelled / line->predictions);
	put_seconds(value, isnull, 12, line->median);
	put_seconds(value, isnull, 13, line->p90);
	ml_rows_number(value, isnull, 14, line->agreement);
	isnull[15] = isnan(usual_delay);
	value[15] = BoolGetDatum(!isnull[15] && until + usual_delay * USECS_PER_SEC <= live->as_of);
	ml_rows_add(rows, value, isnull);
}

ml_noreturn static void refuse_length(const char *name, const char *detail);

static void
refuse_length(const char *name, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("argument \"%s\" of mlops_performance does not make windows", name),
			 errdetail("%s", detail),
			 errhint("Give a length as in interval '7 days'.")));
}

/* model, period, slices, every, label_delay, as_of */
static void
take_arguments(FunctionCallInfo fcinfo, Performance *live)
{
	int64		period;
	int64		delay;

	ml_require_argument(fcinfo, 1, "period");
	ml_require_argument(fcinfo, 4, "label_delay");
	ml_require_argument(fcinfo, 5, "as_of");
	period = ml_watch_interval(PG_GETARG_INTERVAL_P(1));
	delay = ml_watch_interval(PG_GETARG_INTERVAL_P(4));
	live->as_of = PG_GETARG_TIMESTAMPTZ(5);
	if (period <= 0)
		refuse_length("period", "It is not longer than nothing.");
	if (delay < 0)
		refuse_length("label_delay", "It is negative.");
	if (TIMESTAMP_NOT_FINITE(live->as_of) || live->as_of < MIN_TIMESTAMP / 2)
		refuse_length("as_of", "It is infinite, or too long ago.");
	live->width = PG_ARGISNULL(3) ? period : ml_watch_interval(PG_GETARG_INTERVAL_P(3));
	if (live->width <= 0 || period / live->width >= MAX_WINDOWS)
		refuse_length("every", psprintf("There can be %d windows at most, each longer than nothing.", MAX_WINDOWS));
	live->until = live->as_of - delay;
	live->from = live->until - period;
}

static const char *
policy_of(const MlModelRow *row)
{
	JsonbValue	value;

	if (row->settings && ml_json_find(row->settings, "outcome_policy", &value) && value.type == jbvString)
		return ml_json_string(&value);
	return "latest";
}

/* mlops_performance(model, period, slices, every, label_delay, as_of) */
Datum
mlops_performance(PG_FUNCTION_ARGS)
{
	Performance live = {0};
	MlModelRow *row;
	MlRows		rows;
	ListCell   *cell;
	char	   *model;
	double		usual;

	ml_require_argument(fcinfo, 0, "model");
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ml_privilege_require(model, ML_PRIVILEGE_READ);
	take_arguments(fcinfo, &live);
	row = ml_registry_model_row(model);
	if (row == NULL)
		ml_error_no_model(model, ML_SIGHT_NOW);
	ml_outcome_kind(model, &live.kind);
	live.primary = row->metric ? ml_metric_find(row->metric) :
		live.kind.task ? ml_metric_default(live.kind.task) : NULL;
	ml_budget_begin(&live.budget);
	live.cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops performance", ALLOCSET_DEFAULT_SIZES);
	ml_rows_begin(fcinfo, &rows);
	read_rows(&live, policy_of(row), PG_ARGISNULL(2) ?
			  PointerGetDatum(construct_empty_array(TEXTOID)) : PG_GETARG_DATUM(2));
	if (live.ndelays > 0)
		qsort(live.delay, live.ndelays, sizeof(double), compare_doubles);
	usual = quantile(live.delay, live.ndelays, 0.9);
	foreach(cell, live.lines)
		put_line(&live, lfirst(cell), usual, &rows);
	return (Datum) 0;
}
