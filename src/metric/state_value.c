/*
 * state_value.c
 *		What a state comes to, metric by metric; merging and finishing states.
 *
 * Of each metric X there are two functions of a state: mlops.X_value gives the
 * number, mlops.X_named the state with the name of X, which mlops.final() reads.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "json.h"
#include "metric/state.h"
#include "metric/tables.h"
#include "utils/builtins.h"

/* ---- values ---- */

static MlBounded
exactly(double value)
{
	return (MlBounded) {value, value, value};
}

static MlBounded
mean(MlMetricState *state)
{
	return exactly(ml_state_mean(state));
}

static MlBounded
rmse(MlMetricState *state)
{
	return exactly(sqrt(ml_state_mean(state)));
}

static MlBounded
maximum(MlMetricState *state)
{
	return exactly(ml_state_maximum(state));
}

static MlBounded
r2(MlMetricState *state)
{
	return exactly(ml_state_r2(state));
}

static MlBounded
explained_variance(MlMetricState *state)
{
	return exactly(ml_state_explained_variance(state));
}

static MlBounded
calibration_error(MlMetricState *state)
{
	return exactly(ml_state_calibration_error(state));
}

static MlBounded
inertia(MlMetricState *state)
{
	return exactly(ml_state_inertia(state));
}

static MlBounded
silhouette(MlMetricState *state)
{
	return exactly(ml_state_silhouette(state));
}

static MlBounded
roc_auc(MlMetricState *state)
{
	MlWalk		walk = ml_state_walk(state);

	return ml_walk_roc_auc(&walk);
}

static MlBounded
pr_auc(MlMetricState *state)
{
	MlWalk		walk = ml_state_walk(state);

	return ml_walk_pr_auc(&walk);
}

static MlBounded
ks(MlMetricState *state)
{
	MlWalk		walk = ml_state_walk(state);

	return ml_walk_ks(&walk);
}

static MlBounded
gain(MlMetricState *state)
{
	MlWalk		walk = ml_state_walk(state);

	return ml_walk_gain(&walk);
}

static MlBounded
lift(MlMetricState *state)
{
	MlWalk		walk = ml_state_walk(state);
	MlBounded	gained = ml_walk_gain(&walk);
	double		share = state->parameter;

	if (!(share > 0.0))
		return exactly(NAN);
	return (MlBounded) {gained.value / share, gained.low / share, gained.high / share};
}

/* of a table of labels, or of the cells of two classes, 1 being the positive one */
static MlBounded
of_table(MlMetricState *state, double (*all) (const MlTable *table), double (*one) (const MlTable *table, int positive))
{
	double		cell[4];
	MlLabelled	labelled = {2, NULL, cell, 1};
	MlTable		table;

	if (state->kind == ML_STATE_MEAN)
		return mean(state);
	if (state->kind == ML_STATE_CELLS)
		ml_state_cells(state, cell);
	else
		labelled = ml_state_labelled(state);
	table = (MlTable) {labelled.n, labelled.cell};
	if (all != NULL)
		return exactly(all(&table));
	/* no row says or is the positive class */
	if (labelled.positive < 0)
		return exactly(one == ml_table_specificity ? 1.0 : NAN);
	return exactly(one(&table, labelled.positive));
}

#define OF_TABLE(name) \
static MlBounded \
name(MlMetricState *state) \
{ \
	return of_table(state, ml_table_##name, NULL); \
}

#define OF_CLASS(name) \
static MlBounded \
name(MlMetricState *state) \
{ \
	return of_table(state, NULL, ml_table_##name); \
}

OF_TABLE(accuracy)
OF_TABLE(balanced_accuracy)
OF_TABLE(mcc)
OF_TABLE(macro_precision)
OF_TABLE(macro_recall)
OF_TABLE(macro_f1)
OF_CLASS(precision)
OF_CLASS(recall)
OF_CLASS(f1)
OF_CLASS(specificity)

/* ---- which state a metric is made of ---- */

typedef struct Value
{
	const char *name;
	uint32		kinds;			/* bits: 1 << MlStateKind */
	uint32		units;			/* of means, bits: 1 << MlUnit */
	MlBounded	(*value) (MlMetricState *state);
} Value;

#define KIND(kind) (1u << (kind))
#define MEANS(unit) KIND(ML_STATE_MEAN), KIND(unit)
#define CLASSES (KIND(ML_STATE_CELLS) | KIND(ML_STATE_TABLE))

static const Value values[] = {
	{"rmse", MEANS(ML_UNIT_SQUARED), rmse},
	{"mae", MEANS(ML_UNIT_ABSOLUTE), mean},
	{"median_absolute_error", KIND(ML_STATE_RANKED), 0, ml_state_median},
	{"mape", MEANS(ML_UNIT_PERCENTAGE), mean},
	{"smape", MEANS(ML_UNIT_SYMMETRIC), mean},
	{"r2", KIND(ML_STATE_MOMENTS), 0, r2},
	{"explained_variance", KIND(ML_STATE_MOMENTS), 0, explained_variance},
	{"max_error", KIND(ML_STATE_MAXIMUM), 0, maximum},
	{"poisson_deviance", MEANS(ML_UNIT_POISSON), mean},
	{"gamma_deviance", MEANS(ML_UNIT_GAMMA), mean},
	{"pinball", MEANS(ML_UNIT_PINBALL), mean},
	{"log_loss", MEANS(ML_UNIT_LOG_LOSS), mean},
	{"brier", MEANS(ML_UNIT_BRIER), mean},
	{"expected_calibration_error", KIND(ML_STATE_BINS), 0, calibration_error},
	{"roc_auc", KIND(ML_STATE_RANKED), 0, roc_auc},
	{"pr_auc", KIND(ML_STATE_RANKED), 0, pr_auc},
	{"ks", KIND(ML_STATE_RANKED), 0, ks},
	{"lift", KIND(ML_STATE_RANKED), 0, lift},
	{"gain", KIND(ML_STATE_RANKED), 0, gain},
	{"accuracy", CLASSES | KIND(ML_STATE_MEAN), KIND(ML_UNIT_TOP), accuracy},
	{"balanced_accuracy", CLASSES, 0, balanced_accuracy},
	{"precision", CLASSES, 0, precision},
	{"recall", CLASSES, 0, recall},
	{"f1", CLASSES, 0, f1},
	{"specificity", CLASSES, 0, specificity},
	{"mcc", CLASSES, 0, mcc},
	{"macro_precision", CLASSES, 0, macro_precision},
	{"macro_recall", CLASSES, 0, macro_recall},
	{"macro_f1", CLASSES, 0, macro_f1},
	{"micro_precision", CLASSES, 0, accuracy},
	{"micro_recall", CLASSES, 0, accuracy},
	{"micro_f1", CLASSES, 0, accuracy},
	{"top_k_accuracy", MEANS(ML_UNIT_TOP), mean},
	{"inertia", KIND(ML_STATE_CLUSTERS), 0, inertia},
	{"silhouette", KIND(ML_STATE_POINTS), 0, silhouette},
	{"confusion", CLASSES, 0, NULL},
};

static const Value *
find_value(const MlMetricState *state, const char *name)
{
	for (int i = 0; i < (int) lengthof(values); i++)
	{
		const Value *value = &values[i];

		if (strcmp(value->name, name) != 0)
			continue;
		if ((value->kinds & KIND(state->kind)) == 0 ||
			(state->kind == ML_STATE_MEAN && (value->units & KIND(state->unit)) == 0))
			ml_metric_state_refuse(psprintf("They are no state that \"%s\" is made of.", name));
		return value;
	}
	ml_metric_state_refuse("They name no metric.");
	return NULL;
}

/* ---- the table of classes ---- */

static void
put_cell(MlJson *json, const char *said, const char *is, double weight)
{
	if (!(weight > 0.0))
		return;
	ml_json_begin_object(json);
	ml_json_put_text(json, "predicted", said);
	ml_json_put_text(json, "label", is);
	ml_json_put_float(json, "weight", weight);
	ml_json_end_object(json);
}

/* [{"predicted": ..., "label": ..., "weight": ...}]: cells that are not 0, labels in C order */
static void
put_confusion(MlJson *json, const MlMetricState *state)
{
	static const char *const two[] = {"false", "true"};
	double		cell[4];
	MlLabelled	labelled = {2, (const char **) two, cell, 1};

	if (state->kind == ML_STATE_CELLS)
		ml_state_cells(state, cell);
	else
		labelled = ml_state_labelled(state);
	ml_json_begin_array(json);
	for (int s = 0; s < labelled.n; s++)
		for (int i = 0; i < labelled.n; i++)
			put_cell(json, labelled.label[s], labelled.label[i], labelled.cell[s * labelled.n + i]);
	ml_json_end_array(json);
}

/* ---- functions of states ---- */

static MlMetricState *
argument(FunctionCallInfo fcinfo)
{
	return ml_metric_state_get(PG_GETARG_DATUM(0), CurrentMemoryContext);
}

static Datum
value_of(FunctionCallInfo fcinfo, const char *name)
{
	MlMetricState *state;
	double		value;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = argument(fcinfo);
	value = find_value(state, name)->value(state).value;
	if (isnan(value))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(value);
}

static Datum
named(FunctionCallInfo fcinfo, const char *name)
{
	MlMetricState *state;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = ml_metric_state_copy(argument(fcinfo), CurrentMemoryContext);
	(void) find_value(state, name);
	strlcpy(state->metric, name, ML_METRIC_NAME);
	return EOHPGetRWDatum(&state->hdr);
}

#define NAMED(name) \
PG_FUNCTION_INFO_V1(mlops_##name##_named); \
Datum \
mlops_##name##_named(PG_FUNCTION_ARGS) \
{ \
	return named(fcinfo, #name); \
}

#define METRIC(name) \
PG_FUNCTION_INFO_V1(mlops_##name##_value); \
Datum \
mlops_##name##_value(PG_FUNCTION_ARGS) \
{ \
	return value_of(fcinfo, #name); \
} \
NAMED(name)

METRIC(rmse)
METRIC(mae)
METRIC(median_absolute_error)
METRIC(mape)
METRIC(smape)
METRIC(r2)
METRIC(explained_variance)
METRIC(max_error)
METRIC(poisson_deviance)
METRIC(gamma_deviance)
METRIC(pinball)
METRIC(log_loss)
METRIC(brier)
METRIC(expected_calibration_error)
METRIC(accuracy)
METRIC(balanced_accuracy)
METRIC(precision)
METRIC(recall)
METRIC(f1)
METRIC(specificity)
METRIC(mcc)
METRIC(macro_precision)
METRIC(macro_recall)
METRIC(macro_f1)
METRIC(micro_precision)
METRIC(micro_recall)
METRIC(micro_f1)
METRIC(top_k_accuracy)
METRIC(inertia)
METRIC(silhouette)
NAMED(roc_auc)
NAMED(pr_auc)
NAMED(ks)
NAMED(lift)
NAMED(gain)
NAMED(confusion)

PG_FUNCTION_INFO_V1(mlops_confusion_value);
PG_FUNCTION_INFO_V1(mlops_metric_state_merge);
PG_FUNCTION_INFO_V1(mlops_metric_state_final);

Datum
mlops_confusion_value(PG_FUNCTION_ARGS)
{
	MlMetricState *state;
	MlJson		json = {0};

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = argument(fcinfo);
	(void) find_value(state, "confusion");
	put_confusion(&json, state);
	PG_RETURN_JSONB_P(ml_json_finish(&json));
}

/* combine function of all aggregates, transition function of mlops.merge(), and a function of its own */
Datum
mlops_metric_state_merge(PG_FUNCTION_ARGS)
{
	MemoryContext parent = ml_metric_state_parent(fcinfo);
	MlMetricState *into;
	MlMetricState *other;

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(1))
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	other = ml_metric_state_get(PG_GETARG_DATUM(1), CurrentMemoryContext);
	if (PG_ARGISNULL(0))
		return EOHPGetRWDatum(&ml_metric_state_copy(other, parent)->hdr);
	into = ml_metric_state_get(PG_GETARG_DATUM(0), parent);
	if (into == other)
		other = ml_metric_state_copy(other, CurrentMemoryContext);
	ml_metric_state_merge(into, other);
	return EOHPGetRWDatum(&into->hdr);
}

/* {"metric": ..., "value": ..., "low": ..., "high": ..., "rows": ...} */
Datum
mlops_metric_state_final(PG_FUNCTION_ARGS)
{
	MlMetricState *state;
	const Value *value;
	MlJson		json = {0};

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = argument(fcinfo);
	value = find_value(state, state->metric);
	ml_json_begin_object(&json);
	ml_json_put_text(&json, "metric", value->name);
	if (value->value == NULL)
	{
		ml_json_key(&json, "value");
		put_confusion(&json, state);
	}
	else
	{
		MlBounded	result = value->value(state);

		ml_json_put_float(&json, "value", result.value);
		ml_json_put_float(&json, "low", result.low);
		ml_json_put_float(&json, "high", result.high);
	}
	if (!isnan(state->parameter))
		ml_json_put_float(&json, "parameter", state->parameter);
	ml_json_put_int(&json, "rows", state->nrows);
	ml_json_end_object(&json);
	PG_RETURN_JSONB_P(ml_json_finish(&json));
}
