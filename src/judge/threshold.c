/*
 * threshold.c
 *		mlops_threshold: from which probability on a row should be called positive.
 *
 * A metric of labels, or a cost, changes only where a score is passed. So one walk
 * down the sorted scores sees every threshold that there is: a row after the
 * other moves from the cells of the negatives to those of the positives. How sure
 * the place of the best one is, replicates of the bootstrap tell (Poisson weights, the same walk).
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "fmgr.h"
#include "frame/hash.h"
#include "funcapi.h"
#include "interrupts.h"
#include "judge/hearing.h"
#include "json.h"
#include "metric/measure.h"
#include "result.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define RESULT_COLUMNS	11
#define EXAMPLE "SELECT * FROM mlops_threshold('churn', source => 'SELECT * FROM customer', metric => 'f1')"
#define MOST_REPLICATES	200
#define LEAST_REPLICATES 40
#define ROWS_WALKED		2000000		/* in all replicates, for large samples */

PG_FUNCTION_INFO_V1(mlops_threshold);

/* cells: predicted class x true class */
enum
{
	TRUE_NEGATIVE, FALSE_NEGATIVE, FALSE_POSITIVE, TRUE_POSITIVE, NCELLS
};

static const char *const cell_name[NCELLS] = {
	"true_negative", "false_negative", "false_positive", "true_positive"
};

typedef struct Search
{
	const MlMetric *metric;		/* NULL: by cost */
	double		cost[NCELLS];
	const MlSample *sample;		/* with its order */
	const double *weight;		/* of the walk */
	MemoryContext cxt;			/* of a measurement */
} Search;

typedef struct Best
{
	double		threshold;		/* NaN: no threshold gives the metric a value */
	double		value;
} Best;

/* ---- arguments ---- */

static void
take_cost(void *arg, char *key, JsonbValue *value)
{
	Search	   *search = arg;
	MlNearest	nearest;

	ml_nearest_begin(&nearest, key);
	for (int c = 0; c < NCELLS; c++)
	{
		ml_nearest_offer(&nearest, cell_name[c]);
		if (strcmp(key, cell_name[c]) != 0)
			continue;
		if (value->type != jbvNumeric)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("cost \"%s\" is %s", key, ml_json_show(value)),
					 errdetail("A cost is a number; a gain is a negative one."),
					 errhint("As in costs => '{\"false_positive\": 1, \"false_negative\": 20}'.")));
		search->cost[c] = ml_json_number(value);
		return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown cost \"%s\"", key),
			 errdetail("Costs are of true_positive, false_positive, true_negative and false_negative."),
			 nearest.best ? errhint("Perhaps you meant \"%s\".", nearest.best) :
			 errhint("As in costs => '{\"false_positive\": 1, \"false_negative\": 20}'.")));
}

static void
take_costs(Jsonb *costs, Search *search)
{
	if (!JB_ROOT_IS_OBJECT(costs) || JB_ROOT_COUNT(costs) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("costs are an object of numbers"),
				 errdetail("They are %s.", ml_json_show_jsonb(costs)),
				 errhint("As in costs => '{\"false_positive\": 1, \"false_negative\": 20}'.")));
	ml_json_each(costs, take_cost, search);
	if (search->cost[FALSE_POSITIVE] <= search->cost[TRUE_NEGATIVE] ||
		search->cost[FALSE_NEGATIVE] <= search->cost[TRUE_POSITIVE])
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the costs say that being wrong is no dearer than being right"),
				 errdetail("Costs are %g for a false positive, %g for a true negative, %g for a false negative and %g for a true positive.",
						   search->cost[FALSE_POSITIVE], search->cost[TRUE_NEGATIVE],
						   search->cost[FALSE_NEGATIVE], search->cost[TRUE_POSITIVE]),
				 errhint("What is not named costs 0.")));
}

static void
require_task(const MlHearing *hearing)
{
	if (hearing->jury->task != ML_TASK_BINARY)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" has no threshold", hearing->resolved[0].model),
				 errdetail("A threshold turns the probability of one of two classes into a label."),
				 errhint("Choose a model of two classes.")));
}

static void
require_metric(const MlHearing *hearing, Search *search)
{
	const MlJudgeMetric *metric = linitial(hearing->metrics);
	MlIntervalKind kind;

	search->metric = metric->metric;
	kind = metric->metric == NULL ? ML_INTERVAL_BOOTSTRAP : ml_interval_rule(metric->metric)->kind;
	if (kind != ML_INTERVAL_SHARE && kind != ML_INTERVAL_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("metric \"%s\" does not say which threshold is best", metric->name),
				 errdetail("It is no function of the counts of rows by predicted and true class."),
				 errhint("Use f1, accuracy, balanced_accuracy or mcc, or costs => '{\"false_positive\": 1, \"false_negative\": 20}'.")));
}

/* ---- the walk ---- */

static double
value_of(const Search *search, const double cell[NCELLS])
{
	static const double label[NCELLS] = {0.0, 1.0, 0.0, 1.0};
	static const double prediction[NCELLS] = {0.0, 0.0, 1.0, 1.0};
	MlMeasurement rows = {.task = ML_TASK_BINARY, .n = NCELLS, .label = label, .prediction = prediction,
		.weight = cell, .nclasses = 2, .threshold = 0.5};
	MemoryContext old;
	double		value;

	if (search->metric == NULL)
	{
		double		total = cell[0] + cell[1] + cell[2] + cell[3];

		return (cell[0] * search->cost[0] + cell[1] * search->cost[1] +
				cell[2] * search->cost[2] + cell[3] * search->cost[3]) / total;
	}
	old = MemoryContextSwitchTo(search->cxt);
	value = search->metric->measure(&rows);
	MemoryContextSwitchTo(old);
	return value;
}

static inline bool
is_better(const Search *search, double value, double than)
{
	if (isnan(value) || isnan(than))
		return !isnan(value);
	return search->metric != NULL && search->metric->higher_is_better ? value > than : value < than;
}

static inline double
weight_of(const Search *search, int64 i)
{
	return search->weight == NULL ? 1.0 : search->weight[i];
}

/* between two scores, so that neither is on the edge */
static inline double
between(double above, double below)
{
	double		middle = below + (above - below) / 2;

	return middle > below ? middle : above;
}

/* from "nobody" down to "everybody"; of equal values the first: the fewest positives */
static Best
walk(const Search *search)
{
	const MlMeasurement *rows = &search->sample->rows;
	const uint32 *order = search->sample->order;
	double		cell[NCELLS] = {0};
	Best		best = {NAN, NAN};
	double		above = 1.0;

	for (int64 i = 0; i < rows->n; i++)
		cell[rows->label[i] > 0.5 ? FALSE_NEGATIVE : TRUE_NEGATIVE] += weight_of(search, i);
	for (int64 i = rows->n; i >= 0;)
	{
		double		below = i > 0 ? rows->prediction[order[i - 1]] : 0.0;
		double		value = NAN;

		ml_check_row(i);
		if (above > below || i == 0)
			value = value_of(search, cell);
		if (is_better(search, value, best.value))
			best = (Best) {i == 0 ? 0.0 : between(above, below), value};
		if (i == 0)
			break;
		for (above = below; i > 0 && rows->prediction[order[i - 1]] == above; i--)
		{
			int64		row = order[i - 1];
			double		w = weight_of(search, row);

			cell[rows->label[row] > 0.5 ? FALSE_NEGATIVE : TRUE_NEGATIVE] -= w;
			cell[rows->label[row] > 0.5 ? TRUE_POSITIVE : FALSE_POSITIVE] += w;
		}
		for (int c = 0; c < 2; c++)
			cell[c] = fmax(cell[c], 0.0);
		MemoryContextReset(search->cxt);
	}
	return best;
}

/* ---- how sure ---- */

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return x < y ? -1 : x > y;
}

static void
find_spread(MlJury *jury, const Search *search, double *low, double *high)
{
	const MlSample *sample = search->sample;
	int64		n = sample->rows.n;
	int			replicates = (int) Max(Min(ROWS_WALKED / Max(n, 1), MOST_REPLICATES), LEAST_REPLICATES);
	double	   *threshold = palloc(sizeof(double) * replicates);
	double	   *weight = ml_jury_take(jury, CurrentMemoryContext, n, sizeof(double), "weights of replicates");
	Search		again = *search;
	int			found = 0;

	again.weight = weight;
	for (int r = 0; r < replicates; r++)
	{
		uint64		seed = ml_hash_word(sample->seed, r);
		Best		best;

		CHECK_FOR_INTERRUPTS();
		for (int64 i = 0; i < n; i++)
			weight[i] = weight_of(search, i) * ml_bootstrap_draw(seed, sample->random[i]);
		best = walk(&again);
		if (!isnan(best.threshold))
			threshold[found++] = best.threshold;
	}
	*low = *high = NAN;
	if (found > replicates / 2)
	{
		qsort(threshold, found, sizeof(double), compare_doubles);
		*low = threshold[(int) (0.025 * found)];
		*high = threshold[Min((int) (0.975 * found), found - 1)];
	}
	pfree(threshold);
	pfree(weight);
}

/* what is measured at one threshold */
static void
measure_at(MlJury *jury, const Search *search, double threshold, MlInterval *result)
{
	MlSample	sample = *search->sample;
	double	   *value = ml_jury_take(jury, CurrentMemoryContext, sample.rows.n, sizeof(double), "values of rows");

	sample.rows.threshold = threshold;
	sample.value = value;
	if (search->metric == NULL)
	{
		for (int64 i = 0; i < sample.rows.n; i++)
			value[i] = search->cost[2 * (sample.rows.prediction[i] >= threshold) + (sample.rows.label[i] > 0.5)];
		ml_interval_mean(&sample.rows, value, result);
	}
	else
	{
		const MlIntervalRule *rule = ml_interval_rule(search->metric);

		if (rule->row_values != NULL)
			rule->row_values(&sample.rows, value);
		ml_interval(search->metric, &sample, result);
	}
	pfree(value);
	ml_budget_give(&jury->budget, ml_size_mul(sample.rows.n, sizeof(double)));
}

static Datum
answer(FunctionCallInfo fcinfo, const MlHearing *hearing, Search *search)
{
	Datum		values[RESULT_COLUMNS];
	bool		nulls[RESULT_COLUMNS] = {false};
	TupleDesc	desc;
	Best		best = walk(search);
	MlInterval	at_best = {NAN, NAN, NAN, NAN};
	MlInterval	at_half;
	MlInterval	at_current;
	double		low;
	double		high;

	if (!isnan(best.threshold))
		measure_at(hearing->jury, search, best.threshold, &at_best);
	measure_at(hearing->jury, search, 0.5, &at_half);
	measure_at(hearing->jury, search, hearing->judged[0]->threshold, &at_current);
	find_spread(hearing->jury, search, &low, &high);
	ml_rows_number(values, nulls, 0, best.threshold);
	ml_rows_text(values, nulls, 1, search->metric == NULL ? "cost" : search->metric->name);
	ml_rows_number(values, nulls, 2, at_best.value);
	ml_rows_number(values, nulls, 3, at_best.low);
	ml_rows_number(values, nulls, 4, at_best.high);
	ml_rows_number(values, nulls, 5, low);
	ml_rows_number(values, nulls, 6, high);
	ml_rows_number(values, nulls, 7, at_half.value);
	ml_rows_number(values, nulls, 8, hearing->judged[0]->threshold);
	ml_rows_number(values, nulls, 9, at_current.value);
	values[10] = Int64GetDatum(search->sample->rows.n);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* mlops_threshold(model, validation_set, metric, costs, source, target, weight, edition, include_seen) */
Datum
mlops_threshold(PG_FUNCTION_ARGS)
{
	MlCase		question = {.example = EXAMPLE};
	MlHearing	hearing;
	MlGathered *gathered;
	Search		search = {0};
	char	   *metric = ml_argument_text(fcinfo, 2);
	Datum		result;

	ml_argument_require(fcinfo, 0, "model", EXAMPLE);
	question.model = ml_argument_text(fcinfo, 0);
	question.validation_set = ml_argument_text(fcinfo, 1);
	question.source = ml_argument_text(fcinfo, 4);
	question.target = ml_argument_text(fcinfo, 5);
	question.weight = ml_argument_text(fcinfo, 6);
	question.edition = ml_argument_int(fcinfo, 7);
	question.include_seen = !PG_ARGISNULL(8) && PG_GETARG_BOOL(8);
	if (!PG_ARGISNULL(3))
		take_costs(PG_GETARG_JSONB_P(3), &search);
	else if (metric != NULL)
	{
		question.metrics = &metric;
		question.nmetrics = 1;
	}
	ml_hearing_open(&question, &hearing);
	require_task(&hearing);
	if (PG_ARGISNULL(3))
		require_metric(&hearing, &search);
	gathered = ml_judged_gather(hearing.judged[0], NULL, ML_JURY_OVERALL);
	ml_judged_order(hearing.judged[0], gathered);
	search.sample = &gathered->sample;
	search.weight = gathered->sample.rows.weight;
	search.cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops threshold", ALLOCSET_DEFAULT_SIZES);
	result = answer(fcinfo, &hearing, &search);
	ml_hearing_close(&hearing);
	PG_RETURN_DATUM(result);
}
