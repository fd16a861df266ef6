/*
 * drift_log.c
 *		What was logged of a version in a stretch of time, to be compared with its
 *		training rows: predictions, inputs, and the outcomes that came.
 *
 * Inputs are JSON, in which times are ISO 8601; a value that cannot be read has no say.
 * All is read by the owner of the tables and taken apart here: no code of a user's runs.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "drift/column.h"
#include "drift/prediction.h"
#include "executor/spi.h"
#include "json.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "watch/drift.h"
#include "watch/outcome.h"

#define FETCH 1000
#define EQ " OPERATOR(pg_catalog.=) "
#define GE " OPERATOR(pg_catalog.>=) "
#define LE " OPERATOR(pg_catalog.<=) "
#define LT " OPERATOR(pg_catalog.<) "

static const char logged_rows[] =
"SELECT l.prediction, l.label, l.input FROM mlops_catalog.prediction AS l "
"JOIN mlops_catalog.model AS m ON m.name" EQ "l.model AND m.created_at" LE "l.at "
"WHERE l.model" EQ "$1 AND l.version" EQ "$2 AND l.at" GE "$3 AND l.at" LT "$4";

/* of several outcomes of a key the one that counts; to be filled in: how many say the same, the order of the policy */
static const char outcome_rows[] =
"SELECT DISTINCT ON (o.key) o.outcome FROM (SELECT c.key, c.outcome, c.at, c.recorded_at%s FROM mlops_catalog.outcome AS c "
"WHERE c.model" EQ "$1 AND c.at" GE "$2 AND c.at" LT "$3) AS o ORDER BY o.key, %s";

/* ---- inputs ---- */

static bool
is_array(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data);
}

/* elements [first, first + n) of an array that has them, as a norm; of one as itself; NaN: missing */
static double
elements(JsonbContainer *array, int first, int n, bool norm)
{
	double	   *element = palloc(sizeof(double) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(array, first + i);

		element[i] = value != NULL && value->type == jbvNumeric ? ml_json_number(value) : NAN;
	}
	return norm ? ml_drift_norm(element, n) : element[0];
}

static void
take_time(MlDriftRows *rows, int column, const JsonbValue *value)
{
	MlIsoTime	time;
	int64		usec;

	if (value->type != jbvString || !ml_iso_parse(value->val.string.val, value->val.string.len, &time))
	{
		ml_collect_nothing(rows->collector, column);
		return;
	}
	usec = time.usec;
	if (rows->recipe->features[column].zoned && usec != PG_INT64_MAX && usec != PG_INT64_MIN)
		usec = ml_recipe_utc(rows->recipe, &time);
	ml_collect_number(rows->collector, column, ml_drift_seconds(usec));
}

/* strings are what JSON has no number for: NaN and infinity */
static void
take_number(MlDriftRows *rows, int column, const JsonbValue *value)
{
	ml_collect_number(rows->collector, column, value->type == jbvNumeric ? ml_json_number(value) :
					  value->type == jbvBool ? (value->val.boolean ? 1 : 0) : NAN);
}

static void
take_value(MlDriftRows *rows, int column, const JsonbValue *value)
{
	MlKind		kind = rows->kind[column];

	if (value == NULL || value->type == jbvNull)
		ml_collect_missing(rows->collector, column);
	else if (kind == ML_KIND_NUMBER)
		take_number(rows, column, value);
	else if (kind == ML_KIND_TIME)
		take_time(rows, column, value);
	else if (kind == ML_KIND_ARRAY && is_array(value))
		ml_collect_number(rows->collector, column,
						  elements(value->val.binary.data, 0, JsonContainerSize(value->val.binary.data), true));
	else if (kind == ML_KIND_CATEGORY && value->type == jbvString)
		ml_collect_level(rows->collector, column, value->val.string.val, value->val.string.len);
	else
		ml_collect_nothing(rows->collector, column);
}

/* an array stands for the numbers of a model in order */
static void
take_flat(MlDriftRows *rows, JsonbContainer *array)
{
	for (int i = 0; i < rows->recipe->nfeatures; i++)
	{
		const MlFeature *feature = &rows->recipe->features[i];

		if (feature->kind == ML_KIND_NUMBER || feature->kind == ML_KIND_ARRAY)
			ml_collect_number(rows->collector, i,
							  elements(array, feature->first_number, feature->nnumbers, feature->kind == ML_KIND_ARRAY));
		else
			ml_collect_nothing(rows->collector, i);
	}
}

static void
take_input(MlDriftRows *rows, Jsonb *input)
{
	if (input != NULL && JB_ROOT_IS_ARRAY(input) && !JB_ROOT_IS_SCALAR(input))
	{
		take_flat(rows, &input->root);
		return;
	}
	for (int i = 0; i < rows->recipe->nfeatures; i++)
	{
		JsonbValue	value;

		if (input == NULL || !JB_ROOT_IS_OBJECT(input))
			ml_collect_nothing(rows->collector, i);
		else
			take_value(rows, i, ml_json_find(input, rows->recipe->features[i].name, &value) ? &value : NULL);
	}
}

/* ---- predictions and outcomes ---- */

/* a number, or a boolean as one */
static double
read_number(const char *text)
{
	char	   *end;
	double		number;

	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		return text[0] == 't' ? 1 : 0;
	number = strtod(text, &end);
	return end != text && *end == '\0' ? number : NAN;
}

static void
take_text(MlDriftRows *rows, int column, const char *text)
{
	if (rows->kind[column] == ML_KIND_NONE)
		return;
	if (text == NULL)
		ml_collect_missing(rows->collector, column);
	else if (rows->kind[column] == ML_KIND_CATEGORY)
		ml_collect_level(rows->collector, column, text, strlen(text));
	else
		ml_collect_number(rows->collector, column, read_number(text));
}

/* columns that a row knows nothing of */
static void
take_nothing(MlDriftRows *rows, int first, int end)
{
	for (int i = first; i < end; i++)
		if (rows->kind[i] != ML_KIND_NONE)
			ml_collect_nothing(rows->collector, i);
}

static void
take_call(MlDriftRows *rows, uint64 row)
{
	int			column = ML_DRIFT_PREDICTION(rows);
	bool		isnull;
	Datum		input = ml_result_datum(row, 3, &isnull);

	take_input(rows, isnull ? NULL : DatumGetJsonbP(input));
	take_nothing(rows, ML_DRIFT_TARGET(rows), ML_DRIFT_TARGET(rows) + 1);
	if (rows->kind[column] == ML_KIND_NUMBER)
		ml_collect_number(rows->collector, column, ml_result_float(row, 1));
	else
		take_text(rows, column, ml_result_text(row, 2));
}

static void
take_outcome(MlDriftRows *rows, uint64 row)
{
	take_nothing(rows, 0, ML_DRIFT_TARGET(rows));
	take_text(rows, ML_DRIFT_TARGET(rows), ml_result_text(row, 1));
	take_nothing(rows, ML_DRIFT_PREDICTION(rows), rows->ncolumns);
}

/* ---- queries ---- */

/* the same as in live.c */
static const char *
outcome_query(const char *policy)
{
	if (strcmp(policy, "first") == 0)
		return psprintf(outcome_rows, "", "o.at, o.recorded_at");
	if (strcmp(policy, "majority") == 0)
		return psprintf(outcome_rows, ", pg_catalog.count(*) OVER (PARTITION BY c.key, c.outcome) AS n", "o.n DESC, o.outcome");
	return psprintf(outcome_rows, "", "o.at DESC, o.recorded_at DESC");
}

static void
run(MlDriftRows *rows, const char *query, int nargs, Oid *type, Datum *value, void (*take) (MlDriftRows *rows, uint64 row))
{
	MlRegistryScope scope;
	MemoryContext row_cxt;
	Portal		portal;
	uint64		n;

	ml_registry_enter(&scope);
	row_cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops logged row", ALLOCSET_DEFAULT_SIZES);
	portal = SPI_cursor_open_with_args(NULL, query, nargs, type, value, NULL, true, 0);
	do
	{
		SPI_cursor_fetch(portal, true, FETCH);
		n = SPI_processed;
		for (uint64 i = 0; i < n; i++)
		{
			MemoryContext old = MemoryContextSwitchTo(row_cxt);

			take(rows, i);
			ml_collector_next(rows->collector);
			MemoryContextSwitchTo(old);
			MemoryContextReset(row_cxt);
		}
		SPI_freetuptable(SPI_tuptable);
	} while (n == FETCH);
	SPI_cursor_close(portal);
	ml_registry_leave(&scope);
}

void
ml_drift_take_log(MlDriftRows *rows, const MlResolved *resolved, TimestampTz from, TimestampTz until, MlKind target)
{
	Oid			call_type[] = {TEXTOID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		call_value[] = {
		CStringGetTextDatum(resolved->model), Int32GetDatum(resolved->version), TimestampTzGetDatum(from), TimestampTzGetDatum(until)
	};
	Oid			outcome_type[] = {TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		outcome_value[] = {call_value[0], call_value[2], call_value[3]};
	MlKind		prediction = ml_prediction_kind(rows->model->recipe->target.task);

	for (int i = 0; i < rows->recipe->nfeatures; i++)
		ml_drift_rows_describe(rows, i, rows->recipe->features[i].kind);
	if (target != ML_KIND_NONE)
		ml_drift_rows_describe(rows, ML_DRIFT_TARGET(rows), target);
	if (prediction != ML_KIND_NONE)
		ml_drift_rows_describe(rows, ML_DRIFT_PREDICTION(rows), prediction);
	run(rows, logged_rows, lengthof(call_type), call_type, call_value, take_call);
	if (target != ML_KIND_NONE)
		run(rows, outcome_query(ml_outcome_policy(resolved->model)), lengthof(outcome_type), outcome_type, outcome_value, take_outcome);
}
