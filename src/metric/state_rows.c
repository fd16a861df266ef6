/*
 * state_rows.c
 *		Transition functions of metrics of numbers: a prediction or score against
 *		a label.
 *
 * A transition function gets no more than its arguments: on the workers of a
 * Citus cluster neither fn_extra nor the expression tree is there. So it is the
 * function that says which kind of state it adds to, and the state that holds
 * the parameter of the metric.
 *
 * Rows with a NULL or NaN among prediction, label and weight, and rows of
 * weight 0, do not count.
 */
#include "postgres.h"

#include <math.h>

#include "metric/state.h"
#include "metric/units.h"

/* ---- what all signatures share ---- */

bool
ml_metric_weight(FunctionCallInfo fcinfo, int n, double *weight)
{
	*weight = 1.0;
	if (PG_NARGS() <= n)
		return true;
	if (PG_ARGISNULL(n))
		return false;
	*weight = PG_GETARG_FLOAT8(n);
	if (*weight < 0.0 || isinf(*weight))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a weight is %g", *weight),
				 errdetail("Weights are numbers from 0 on."),
				 errhint("Rows of weight 0, NaN or NULL do not count.")));
	return *weight > 0.0;
}

MlMetricState *
ml_metric_begin(FunctionCallInfo fcinfo, MlStateKind kind, MlUnit unit, double parameter)
{
	MemoryContext parent = ml_metric_state_parent(fcinfo);
	MlMetricState *state;

	if (PG_ARGISNULL(0))
		return ml_metric_state_make(parent, kind, unit, parameter);
	state = ml_metric_state_get(PG_GETARG_DATUM(0), parent);
	if (state->kind != kind || state->unit != unit)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the state is one of another metric"),
				 errdetail("Its kind is %d, of unit %d; rows of kind %d and unit %d are added.",
						   state->kind, state->unit, kind, unit),
				 errhint("Leave it to the aggregate to keep its state.")));
	if (state->parameter != parameter && !(isnan(state->parameter) && isnan(parameter)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the parameter of the metric differs from row to row"),
				 errdetail("It is %g and %g.", state->parameter, parameter),
				 errhint("Pass the same threshold, quantile, share or k for every row.")));
	return state;
}

Datum
ml_metric_skip(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

void
ml_metric_refuse_infinite(double prediction, double label)
{
	if (!isinf(prediction) && !isinf(label))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("a %s is infinite", isinf(label) ? "label" : "prediction"),
			 errdetail("An error cannot be measured by it."),
			 errhint("Leave such rows out, or make the value NULL: rows with a NULL do not count.")));
}

#define RETURN_STATE(state) return EOHPGetRWDatum(&(state)->hdr)

/* argument n, between limits; what: "threshold" */
static double
take_parameter(FunctionCallInfo fcinfo, int n, const char *what, double low, double high)
{
	double		value;

	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the %s of a metric is NULL", what),
				 errdetail("It is needed for every row."),
				 errhint("Pass a number from %g to %g.", low, high)));
	value = PG_GETARG_FLOAT8(n);
	if (!(value >= low && value <= high))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the %s of a metric is %g", what, value),
				 errdetail("It must be from %g to %g.", low, high),
				 errhint("For example 0.5.")));
	return value;
}

/* ---- a score and whether the row is positive: arguments 1 and 2, weight at n ---- */

typedef struct Scored
{
	double		score;
	bool		positive;
	double		weight;
} Scored;

static bool
take_scored(FunctionCallInfo fcinfo, int n, Scored *row)
{
	if (!ml_metric_weight(fcinfo, n, &row->weight) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return false;
	row->score = PG_GETARG_FLOAT8(1);
	row->positive = PG_GETARG_BOOL(2);
	return !isnan(row->score);
}

static void
require_probability(double score)
{
	if (score < 0.0 || score > 1.0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the score %g is not a probability", score),
				 errdetail("This metric is of probabilities from 0 to 1."),
				 errhint("For scores of any size take mlops_roc_auc, mlops_pr_auc or mlops_ks.")));
}

PG_FUNCTION_INFO_V1(mlops_cells_accum);
PG_FUNCTION_INFO_V1(mlops_bins_accum);
PG_FUNCTION_INFO_V1(mlops_log_loss_accum);
PG_FUNCTION_INFO_V1(mlops_brier_accum);
PG_FUNCTION_INFO_V1(mlops_ranked_accum);
PG_FUNCTION_INFO_V1(mlops_share_accum);

/* (state, score, label [, weight [, threshold]]) */
Datum
mlops_cells_accum(PG_FUNCTION_ARGS)
{
	double		threshold = PG_NARGS() > 4 ? take_parameter(fcinfo, 4, "threshold", -INFINITY, INFINITY) : 0.5;
	MlMetricState *state;
	Scored		row;

	if (!take_scored(fcinfo, 3, &row))
		return ml_metric_skip(fcinfo);
	state = ml_metric_begin(fcinfo, ML_STATE_CELLS, ML_UNIT_NONE, threshold);
	ml_state_add_cell(state, row.score >= threshold, row.positive, row.weight);
	RETURN_STATE(state);
}

/* (state, score, label [, weight]) */
Datum
mlops_bins_accum(PG_FUNCTION_ARGS)
{
	MlMetricState *state;
	Scored		row;

	if (!take_scored(fcinfo, 3, &row))
		return ml_metric_skip(fcinfo);
	require_probability(row.score);
	state = ml_metric_begin(fcinfo, ML_STATE_BINS, ML_UNIT_NONE, NAN);
	ml_state_add_bin(state, row.score, row.positive, row.weight);
	RETURN_STATE(state);
}

Datum
mlops_log_loss_accum(PG_FUNCTION_ARGS)
{
	MlMetricState *state;
	Scored		row;

	if (!take_scored(fcinfo, 3, &row))
		return ml_metric_skip(fcinfo);
	require_probability(row.score);
	state = ml_metric_begin(fcinfo, ML_STATE_MEAN, ML_UNIT_LOG_LOSS, NAN);
	ml_state_add_mean(state, ml_log_loss(row.positive ? row.score : 1.0 - row.score), row.weight);
	RETURN_STATE(state);
}

Datum
mlops_brier_accum(PG_FUNCTION_ARGS)
{
	MlMetricState *state;
	Scored		row;
	double		miss;

	if (!take_scored(fcinfo, 3, &row))
		return ml_metric_skip(fcinfo);
	require_probability(row.score);
	miss = row.score - (row.positive ? 1.0 : 0.0);
	state = ml_metric_begin(fcinfo, ML_STATE_MEAN, ML_UNIT_BRIER, NAN);
	ml_state_add_mean(state, miss * miss, row.weight);
	RETURN_STATE(state);
}

static Datum
add_ranked(FunctionCallInfo fcinfo, int n, double share)
{
	MlMetricState *state;
	Scored		row;

	if (!take_scored(fcinfo, n, &row))
		return ml_metric_skip(fcinfo);
	state = ml_metric_begin(fcinfo, ML_STATE_RANKED, ML_UNIT_NONE, share);
	ml_state_add_ranked(state, row.score, row.positive, row.weight);
	RETURN_STATE(state);
}

/* (state, score, label [, weight]) */
Datum
mlops_ranked_accum(PG_FUNCTION_ARGS)
{
	return add_ranked(fcinfo, 3, NAN);
}

/* (state, score, label, share [, weight]) */
Datum
mlops_share_accum(PG_FUNCTION_ARGS)
{
	return add_ranked(fcinfo, 4, take_parameter(fcinfo, 3, "share", 0.0, 1.0));
}

/* ---- a prediction and a label, both numbers: arguments 1 and 2, weight at n ---- */

typedef struct Predicted
{
	double		prediction;
	double		label;
	double		weight;
} Predicted;

static bool
take_predicted(FunctionCallInfo fcinfo, int n, Predicted *row)
{
	if (!ml_metric_weight(fcinfo, n, &row->weight) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return false;
	row->prediction = PG_GETARG_FLOAT8(1);
	row->label = PG_GETARG_FLOAT8(2);
	if (isnan(row->prediction) || isnan(row->label))
		return false;
	ml_metric_refuse_infinite(row->prediction, row->label);
	return true;
}

static Datum
add_cost(FunctionCallInfo fcinfo, MlUnit unit, double (*cost) (double label, double prediction))
{
	MlMetricState *state;
	Predicted	row;

	if (!take_predicted(fcinfo, 3, &row))
		return ml_metric_skip(fcinfo);
	state = ml_metric_begin(fcinfo, ML_STATE_MEAN, unit, NAN);
	ml_state_add_mean(state, cost(row.label, row.prediction), row.weight);
	RETURN_STATE(state);
}

static double
squared(double label, double prediction)
{
	return (label - prediction) * (label - prediction);
}

static double
absolute(double label, double prediction)
{
	return fabs(label - prediction);
}

#define COST(name, unit, cost) \
PG_FUNCTION_INFO_V1(mlops_##name##_accum); \
Datum \
mlops_##name##_accum(PG_FUNCTION_ARGS) \
{ \
	return add_cost(fcinfo, unit, cost); \
}

/* (state, prediction, label [, weight]) */
COST(squared, ML_UNIT_SQUARED, squared)
COST(absolute, ML_UNIT_ABSOLUTE, absolute)
COST(percentage, ML_UNIT_PERCENTAGE, ml_percentage_unit)
COST(symmetric, ML_UNIT_SYMMETRIC, ml_symmetric_unit)
COST(poisson, ML_UNIT_POISSON, ml_poisson_unit)
COST(gamma, ML_UNIT_GAMMA, ml_gamma_unit)

PG_FUNCTION_INFO_V1(mlops_pinball_accum);
PG_FUNCTION_INFO_V1(mlops_largest_accum);
PG_FUNCTION_INFO_V1(mlops_moments_accum);
PG_FUNCTION_INFO_V1(mlops_ranked_error_accum);

/* (state, prediction, label, quantile [, weight]) */
Datum
mlops_pinball_accum(PG_FUNCTION_ARGS)
{
	double		quantile = take_parameter(fcinfo, 3, "quantile", 0.0, 1.0);
	MlMetricState *state;
	Predicted	row;

	if (!take_predicted(fcinfo, 4, &row))
		return ml_metric_skip(fcinfo);
	state = ml_metric_begin(fcinfo, ML_STATE_MEAN, ML_UNIT_PINBALL, quantile);
	ml_state_add_mean(state, ml_pinball_unit(row.label, row.prediction, quantile), row.weight);
	RETURN_STATE(state);
}

Datum
mlops_largest_accum(PG_FUNCTION_ARGS)
{
	MlMetricState *state;
	Predicted	row;

	if (!take_predicted(fcinfo, 3, &row))
		return ml_metric_skip(fcinfo);
	state = ml_metric_begin(fcinfo, ML_STATE_MAXIMUM, ML_UNIT_NONE, NAN);
	ml_state_add_maximum(state, absolute(row.label, row.prediction));
	RETURN_STATE(state);
}

Datum
mlops_moments_accum(PG_FUNCTION_ARGS)
{
	MlMetricState *state;
	Predicted	row;

	if (!take_predicted(fcinfo, 3, &row))
		return ml_metric_skip(fcinfo);
	state = ml_metric_begin(fcinfo, ML_STATE_MOMENTS, ML_UNIT_NONE, NAN);
	ml_state_add_moments(state, row.label, row.label - row.prediction, row.weight);
	RETURN_STATE(state);
}

/* errors in order; every row counts as positive */
Datum
mlops_ranked_error_accum(PG_FUNCTION_ARGS)
{
	MlMetricState *state;
	Predicted	row;

	if (!take_predicted(fcinfo, 3, &row))
		return ml_metric_skip(fcinfo);
	state = ml_metric_begin(fcinfo, ML_STATE_RANKED, ML_UNIT_NONE, NAN);
	ml_state_add_ranked(state, absolute(row.label, row.prediction), true, row.weight);
	RETURN_STATE(state);
}
