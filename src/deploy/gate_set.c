/*
 * gate_set.c
 *		mlops_set_gate, mlops_drop_gate: what is asked of versions.
 *
 * Gates guard what may be promoted, so only the model's owner sets them. What
 * can be told to be wrong without a row is refused here; the rest keeps gates
 * closed when they are heard.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "deploy/gate.h"
#include "errors.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "recipe/task.h"
#include "registry/registry_catalog.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(mlops_set_gate);
PG_FUNCTION_INFO_V1(mlops_drop_gate);

#define MAX_TIMEOUT_MS	(60 * 60 * 1000)

enum
{
	ARG_MODEL, ARG_NAME, ARG_METRIC, ARG_MINIMUM, ARG_MAXIMUM, ARG_MAX_DROP, ARG_MIN_GAIN,
	ARG_VALIDATION_SET, ARG_SLICES, ARG_MIN_ROWS, ARG_SEVERITY, ARG_PROOF, ARG_ON_INTERVAL,
	ARG_QUERY, ARG_TIMEOUT
};

/* ---- arguments ---- */

static double
number_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	double		value;

	if (PG_ARGISNULL(n))
		return NAN;
	value = PG_GETARG_FLOAT8(n);
	if (isnan(value))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" of a gate must be a number", name),
				 errdetail("It is NaN, with which nothing can be compared."),
				 errhint("Leave it out, or give the bound.")));
	if (isinf(value))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" of a gate must be finite", name),
				 errdetail("It is %g, which no value is beyond, or none reaches.", value),
				 errhint("Leave it out for no bound.")));
	return value;
}

/* true for the first of two words, false for the second */
static bool
choice_argument(FunctionCallInfo fcinfo, int n, const char *name, const char *first, const char *second)
{
	char	   *value;

	ml_require_argument(fcinfo, n, name);
	value = ml_argument_text(fcinfo, n);
	if (strcmp(value, first) == 0)
		return true;
	if (strcmp(value, second) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" of a gate is \"%s\"", name, value),
				 errdetail("It is \"%s\" or \"%s\".", first, second),
				 errhint("Leave it out for the default, \"%s\".", n == ARG_PROOF ? second : first)));
	return false;
}

static void
take_slices(FunctionCallInfo fcinfo, MlGate *gate)
{
	Datum	   *element;
	bool	   *nulls;

	if (PG_ARGISNULL(ARG_SLICES))
		return;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(ARG_SLICES), TEXTOID, -1, false, TYPALIGN_INT,
					  &element, &nulls, &gate->nslices);
	gate->slice = palloc(sizeof(char *) * Max(gate->nslices, 1));
	for (int i = 0; i < gate->nslices; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("slices of gate \"%s\" must not hold NULL", gate->name),
					 errdetail("Element %d is NULL.", i + 1),
					 errhint("Name slices of the set, or '{*}' for every one.")));
		gate->slice[i] = TextDatumGetCString(element[i]);
	}
}

static int
take_timeout(FunctionCallInfo fcinfo)
{
	Interval   *timeout;
	double		ms;

	ml_require_argument(fcinfo, ARG_TIMEOUT, "timeout");
	timeout = PG_GETARG_INTERVAL_P(ARG_TIMEOUT);
	ms = timeout->time / 1000.0 + (timeout->day + 30.0 * timeout->month) * 86400000.0;
	if (!(ms >= 1 && ms <= MAX_TIMEOUT_MS))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"timeout\" of a gate must be from 1 millisecond to 1 hour"),
				 errdetail("It is %.0f milliseconds.", ms),
				 errhint("A promotion waits for its gates: the default is 10 seconds.")));
	return (int) ms;
}

static void
take_gate(FunctionCallInfo fcinfo, MlGate *gate)
{
	gate->name = ml_argument_text(fcinfo, ARG_NAME);
	gate->metric = ml_argument_text(fcinfo, ARG_METRIC);
	gate->minimum = number_argument(fcinfo, ARG_MINIMUM, "minimum");
	gate->maximum = number_argument(fcinfo, ARG_MAXIMUM, "maximum");
	gate->max_drop = number_argument(fcinfo, ARG_MAX_DROP, "max_drop");
	gate->min_gain = number_argument(fcinfo, ARG_MIN_GAIN, "min_gain");
	gate->validation_set = ml_argument_text(fcinfo, ARG_VALIDATION_SET);
	take_slices(fcinfo, gate);
	ml_require_argument(fcinfo, ARG_MIN_ROWS, "min_rows");
	gate->min_rows = PG_GETARG_INT64(ARG_MIN_ROWS);
	gate->blocks = choice_argument(fcinfo, ARG_SEVERITY, "severity", "block", "warn");
	gate->lenient = choice_argument(fcinfo, ARG_PROOF, "proof", "worse", "better");
	ml_require_argument(fcinfo, ARG_ON_INTERVAL, "on_interval");
	gate->on_interval = PG_GETARG_BOOL(ARG_ON_INTERVAL);
	gate->query = ml_argument_text(fcinfo, ARG_QUERY);
	gate->timeout_ms = take_timeout(fcinfo);
	ml_author_here(&gate->author);
}

/* ---- what goes together ---- */

static void
refuse(const MlGate *gate, char *problem, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("gate \"%s\" cannot be set", gate->name),
			 errdetail("%s", problem),
			 errhint("%s", hint)));
}

static bool
has_bounds(const MlGate *gate)
{
	return !isnan(gate->minimum) || !isnan(gate->maximum) || !isnan(gate->max_drop) || !isnan(gate->min_gain);
}

static void
check_bounds(const MlGate *gate)
{
	if (gate->minimum > gate->maximum)
		refuse(gate, psprintf("Its minimum, %g, is above its maximum, %g.", gate->minimum, gate->maximum),
			   "Exchange them, or leave one out.");
	if (gate->max_drop < 0)
		refuse(gate, psprintf("Its max_drop is %g: what may be lost cannot be negative.", gate->max_drop),
			   "min_gain asks for an improvement.");
	if (gate->min_gain < 0)
		refuse(gate, psprintf("Its min_gain is %g: a gain cannot be negative.", gate->min_gain),
			   "max_drop allows for a loss.");
	if (gate->min_rows < 1)
		refuse(gate, psprintf("Its min_rows is " INT64_FORMAT ".", gate->min_rows), "Give 1 or more; the default is 50.");
}

static void
check_measure(const MlGate *gate)
{
	if (!isnan(gate->max_drop) || !isnan(gate->min_gain) || gate->on_interval)
		refuse(gate, psprintf("\"%s\" has no interval and is not compared with the active version's.", gate->metric),
			   "Give minimum or maximum only.");
	if (gate->nslices > 0 && strcmp(gate->metric, ML_GATE_RULES_FIRED) == 0)
		refuse(gate, psprintf("\"%s\" is of all rows.", gate->metric), "Leave slices out.");
}

/* the metric must judge the model's task; a model without versions has none yet */
static void
check_metric(const char *model, const MlGate *gate)
{
	MlModelRow *row = ml_registry_model_row(model);

	if (ml_gate_is_measure(gate->metric))
		check_measure(gate);
	else if (row != NULL && row->task != NULL)
		(void) ml_judge_metric(model, (MlTask) ml_task_find(row->task), gate->metric);
}

static void
check_gate(const char *model, const MlGate *gate)
{
	ml_reference_check_name(gate->name, "gate");
	if (gate->metric == NULL && gate->query == NULL)
		refuse(gate, "It names neither a metric nor a query.",
			   "As in mlops_set_gate('churn', 'good', metric => 'roc_auc', minimum => 0.75).");
	if (gate->metric != NULL && gate->query != NULL)
		refuse(gate, "It names a metric and a query.", "Set two gates.");
	check_bounds(gate);
	if (gate->query != NULL)
	{
		if (has_bounds(gate) || gate->nslices > 0 || gate->validation_set != NULL)
			refuse(gate, "It is a query, which has no bounds, slices or validation set.",
				   "Say them in the query itself.");
		ml_gate_check_query(gate->query);
		return;
	}
	if (!has_bounds(gate))
		refuse(gate, psprintf("It bounds \"%s\" by nothing.", gate->metric),
			   "Give minimum, maximum, max_drop or min_gain.");
	check_metric(model, gate);
}

static bool
is_in(const List *names, const char *name)
{
	ListCell   *cell;

	foreach(cell, names)
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	return false;
}

static void
tell_missing_slices(const char *model, const MlGate *gate, const char *validation_set)
{
	List	   *slices = ml_validation_slices(model, validation_set);

	for (int i = 0; i < gate->nslices; i++)
		if (strcmp(gate->slice[i], ML_GATE_EVERY_SLICE) != 0 && !is_in(slices, gate->slice[i]))
			ereport(NOTICE,
					(errmsg("gate \"%s\" of model \"%s\" stays closed until its slice is there",
							gate->name, model),
					 errdetail("Validation set \"%s\" has no slice \"%s\".", validation_set, gate->slice[i]),
					 errhint("SELECT name FROM mlops.slice WHERE model = %s lists them; mlops_create_slice makes one.",
							 quote_literal_cstr(model))));
}

/* a set or slice that is not there yet is no error: it keeps the gate closed */
static void
tell_missing(const char *model, const MlGate *gate)
{
	List	   *sets = ml_validation_sets(model);

	if (gate->query != NULL)
		return;
	if (gate->validation_set != NULL ? is_in(sets, gate->validation_set) : sets != NIL)
	{
		if (gate->validation_set != NULL || list_length(sets) == 1)
			tell_missing_slices(model, gate, gate->validation_set ? gate->validation_set : linitial(sets));
		return;
	}
	ereport(NOTICE,
			(errmsg("gate \"%s\" of model \"%s\" stays closed until its validation set is there",
					gate->name, model),
			 gate->validation_set != NULL ?
			 errdetail("The model has no validation set \"%s\".", gate->validation_set) :
			 errdetail("The model has no validation set."),
			 errhint("Make it with mlops_create_validation_set(%s, %s, ...).", quote_literal_cstr(model),
					 quote_literal_cstr(gate->validation_set ? gate->validation_set : "recent"))));
}

/* mlops_set_gate(model, name, metric, minimum, ...) */
Datum
mlops_set_gate(PG_FUNCTION_ARGS)
{
	MlGate		gate = {0};
	char	   *model;

	ml_require_argument(fcinfo, ARG_MODEL, "model");
	ml_require_argument(fcinfo, ARG_NAME, "name");
	model = ml_argument_text(fcinfo, ARG_MODEL);
	ml_registry_require_writable("set a gate");
	ml_privilege_require(model, ML_PRIVILEGE_OWNER);
	take_gate(fcinfo, &gate);
	check_gate(model, &gate);
	ml_registry_set_gate(model, &gate);
	tell_missing(model, &gate);
	PG_RETURN_VOID();
}

void
ml_gate_error_unknown(const char *model, const char *name)
{
	List	   *gates = ml_registry_gates(model);
	StringInfoData list;
	MlNearest	nearest;
	ListCell   *cell;

	initStringInfo(&list);
	ml_nearest_begin(&nearest, name);
	foreach(cell, gates)
	{
		const MlGate *gate = lfirst(cell);

		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", gate->name);
		ml_nearest_offer(&nearest, gate->name);
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("model \"%s\" has no gate \"%s\"", model, name),
			 gates == NIL ? errdetail("It has no gates.") : errdetail("Its gates: %s.", list.data),
			 nearest.best ? errhint("Perhaps you meant \"%s\".", nearest.best) :
			 errhint("SELECT * FROM mlops.gate lists them.")));
}

/* mlops_drop_gate(model text, name text) */
Datum
mlops_drop_gate(PG_FUNCTION_ARGS)
{
	char	   *model;
	char	   *name;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "name");
	model = ml_argument_text(fcinfo, 0);
	name = ml_argument_text(fcinfo, 1);
	ml_registry_require_writable("drop a gate");
	ml_privilege_require(model, ML_PRIVILEGE_OWNER);
	if (!ml_registry_drop_gate(model, name))
		ml_gate_error_unknown(model, name);
	PG_RETURN_VOID();
}
