/*
 * exact_rank.c
 *		Metrics of the order of scores, exact whatever the number of rows:
 *		aggregates whose rows are sorted by the server and spill to disk.
 *
 * Positive and negative rows go into a sort each, of nothing but their scores,
 * which together cost what sorting the column costs; walking down both is
 * merging them. Where a row has a weight that is not 1, what is sorted from
 * there on are pairs of score and weight.
 *
 * The state is a sort, which is no value: these aggregates are not handed to
 * the workers of a cluster, nor to those of a parallel query. Their siblings
 * X_state are (sketch.c).
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "interrupts.h"
#include "metric/state.h"
#include "miscadmin.h"
#include "sort.h"
#include "utils/memutils.h"
#include "utils/tuplesort.h"

/* rows of one kind by their place: ascending is from the highest score down */
typedef struct Side
{
	Tuplesortstate *plain;		/* of rows of weight 1; NULL: none */
	Tuplesortstate *pairs;		/* NULL: none */
	double		weight;
} Side;

/*
 * The place of a score among all doubles, as an integer, which the server sorts
 * in less time than doubles.
 */
static inline int64
place_of(double score)
{
	return (int64) (~ml_double_key(score) ^ (UINT64CONST(1) << 63));
}

static inline double
score_at(int64 place)
{
	return ml_key_double(~((uint64) place ^ (UINT64CONST(1) << 63)));
}

typedef struct Ranking
{
	MemoryContext cxt;
	double		share;			/* NaN: none */
	Side		side[2];		/* negatives, positives */
	TupleTableSlot *slot;		/* of pairs; NULL: none yet */
} Ranking;

static void
end_sorts(Datum arg)
{
	Ranking    *ranking = (Ranking *) DatumGetPointer(arg);

	for (int s = 0; s < 2; s++)
	{
		if (ranking->side[s].plain != NULL)
			tuplesort_end(ranking->side[s].plain);
		if (ranking->side[s].pairs != NULL)
			tuplesort_end(ranking->side[s].pairs);
		ranking->side[s].plain = ranking->side[s].pairs = NULL;
	}
	if (ranking->slot != NULL)
		ExecClearTuple(ranking->slot);
}

static Ranking *
begin_ranking(FunctionCallInfo fcinfo, double share)
{
	MemoryContext cxt;
	Ranking    *ranking;

	if (!AggCheckCallContext(fcinfo, &cxt))
		elog(ERROR, "called outside of an aggregate");
	ranking = MemoryContextAllocZero(cxt, sizeof(Ranking));
	ranking->cxt = cxt;
	ranking->share = share;
	AggRegisterCallback(fcinfo, end_sorts, PointerGetDatum(ranking));
	return ranking;
}

/* ---- rows in ---- */

static void
put_plain(Side *side, double score)
{
	if (side->plain == NULL)
		side->plain = tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false, work_mem, NULL, 0);
	tuplesort_putdatum(side->plain, Int64GetDatum(place_of(score)), false);
}

static void
put_pair(Ranking *ranking, Side *side, double score, double weight)
{
	if (ranking->slot == NULL)
	{
		TupleDesc	desc = CreateTemplateTupleDesc(2);

		TupleDescInitEntry(desc, 1, "place", INT8OID, -1, 0);
		TupleDescInitEntry(desc, 2, "weight", FLOAT8OID, -1, 0);
		ranking->slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	}
	if (side->pairs == NULL)
	{
		AttrNumber	column = 1;
		Oid			less = Int8LessOperator;
		Oid			collation = InvalidOid;
		bool		nulls_first = false;

		side->pairs = tuplesort_begin_heap(ranking->slot->tts_tupleDescriptor, 1, &column, &less,
										   &collation, &nulls_first, work_mem, NULL, 0);
	}
	ExecClearTuple(ranking->slot);
	{
		Datum		value[2] = {Int64GetDatum(place_of(score)), Float8GetDatum(weight)};
		bool		isnull[2] = {false, false};
		MinimalTuple tuple = ml_form_minimal_tuple(ranking->slot->tts_tupleDescriptor, value, isnull);

		ExecStoreMinimalTuple(tuple, ranking->slot, true);
		tuplesort_puttupleslot(side->pairs, ranking->slot);
		ExecClearTuple(ranking->slot);
	}
}

static Datum
add_row(FunctionCallInfo fcinfo, int n, double share)
{
	Ranking    *ranking = PG_ARGISNULL(0) ? NULL : (Ranking *) PG_GETARG_POINTER(0);
	MemoryContext old;
	Side	   *side;
	double		score;
	double		weight;

	if (!ml_metric_weight(fcinfo, n, &weight) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return ml_metric_skip(fcinfo);
	score = PG_GETARG_FLOAT8(1);
	if (isnan(score))
		return ml_metric_skip(fcinfo);
	if (ranking == NULL)
		ranking = begin_ranking(fcinfo, share);
	if (ranking->share != share && !isnan(share))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the parameter of the metric differs from row to row"),
				 errdetail("It is %g and %g.", ranking->share, share),
				 errhint("Pass the same share for every row.")));
	side = &ranking->side[PG_GETARG_BOOL(2) ? 1 : 0];
	old = MemoryContextSwitchTo(ranking->cxt);
	if (weight == 1.0)
		put_plain(side, score);
	else
		put_pair(ranking, side, score, weight);
	side->weight += weight;
	MemoryContextSwitchTo(old);
	PG_RETURN_POINTER(ranking);
}

PG_FUNCTION_INFO_V1(mlops_exact_accum);
PG_FUNCTION_INFO_V1(mlops_exact_share_accum);

/* (state, score, label [, weight]) */
Datum
mlops_exact_accum(PG_FUNCTION_ARGS)
{
	return add_row(fcinfo, 3, NAN);
}

/* (state, score, label, share [, weight]) */
Datum
mlops_exact_share_accum(PG_FUNCTION_ARGS)
{
	double		share = PG_ARGISNULL(3) ? NAN : PG_GETARG_FLOAT8(3);

	if (!(share >= 0.0 && share <= 1.0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 PG_ARGISNULL(3) ? errmsg("the share of a metric is NULL") :
				 errmsg("the share of a metric is %g", share),
				 errdetail("It must be from 0 to 1."),
				 errhint("For example 0.1, the tenth of the rows with the highest scores.")));
	return add_row(fcinfo, 4, share);
}

/* ---- rows out, from the highest score down ---- */

/* the front row of one sort */
typedef struct Front
{
	Tuplesortstate *sort;		/* NULL: used up */
	TupleTableSlot *slot;		/* of pairs; NULL: of scores */
	int			side;
	double		score;
	double		weight;
} Front;

static void
advance(Front *front)
{
	Datum		value;
	bool		isnull;

	if (front->slot == NULL)
	{
		if (!ml_tuplesort_getdatum(front->sort, &value, &isnull))
			front->sort = NULL;
		else
			front->score = score_at(DatumGetInt64(value));
		return;
	}
	if (!tuplesort_gettupleslot(front->sort, true, false, front->slot, NULL))
	{
		front->sort = NULL;
		return;
	}
	front->score = score_at(DatumGetInt64(slot_getattr(front->slot, 1, &isnull)));
	front->weight = DatumGetFloat8(slot_getattr(front->slot, 2, &isnull));
}

static int
open_fronts(Ranking *ranking, Front *front)
{
	int			n = 0;

	for (int s = 0; s < 2; s++)
	{
		Tuplesortstate *sort[2] = {ranking->side[s].plain, ranking->side[s].pairs};

		for (int kind = 0; kind < 2; kind++)
		{
			if (sort[kind] == NULL)
				continue;
			front[n] = (Front) {sort[kind], NULL, s, 0.0, 1.0};
			if (kind == 1)
				front[n].slot = MakeSingleTupleTableSlot(ranking->slot->tts_tupleDescriptor, &TTSOpsMinimalTuple);
			tuplesort_performsort(sort[kind]);
			advance(&front[n++]);
		}
	}
	return n;
}

/* the score that comes next; NaN: none */
static double
highest(const Front *front, int n)
{
	double		score = NAN;

	for (int i = 0; i < n; i++)
		if (front[i].sort != NULL)
			score = fmax(score, front[i].score);
	return score;
}

/* weight of the rows of this score of each side, and on to the next */
static void
take_score(Front *front, int n, double score, double *weight)
{
	weight[0] = weight[1] = 0.0;
	for (int i = 0; i < n; i++)
	{
		while (front[i].sort != NULL && front[i].score == score)
		{
			weight[front[i].side] += front[i].weight;
			advance(&front[i]);
		}
	}
}

static MlWalk
walk_down(Ranking *ranking)
{
	Front		front[4];
	int			n = open_fronts(ranking, front);
	MlWalk		walk = {0};

	walk.negatives = ranking->side[0].weight;
	walk.positives = ranking->side[1].weight;
	if (!isnan(ranking->share))
		walk.take = ranking->share * (walk.negatives + walk.positives);
	for (int64 step = 0;; step++)
	{
		double		score = highest(front, n);
		double		weight[2];

		ml_check_row(step);
		if (isnan(score))
			break;
		take_score(front, n, score, weight);
		ml_walk_step(&walk, weight[1], weight[0], false);
	}
	for (int i = 0; i < n; i++)
		if (front[i].slot != NULL)
			ExecDropSingleTupleTableSlot(front[i].slot);
	return walk;
}

static Datum
value_of(FunctionCallInfo fcinfo, MlBounded (*of_walk) (const MlWalk *walk), bool lift)
{
	Ranking    *ranking;
	MlWalk		walk;
	double		value;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	ranking = (Ranking *) PG_GETARG_POINTER(0);
	walk = walk_down(ranking);
	value = of_walk(&walk).value;
	if (lift)
		value = ranking->share > 0.0 ? value / ranking->share : NAN;
	if (isnan(value))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(value);
}

#define EXACT(name, of_walk, lift) \
PG_FUNCTION_INFO_V1(mlops_##name##_exact); \
Datum \
mlops_##name##_exact(PG_FUNCTION_ARGS) \
{ \
	return value_of(fcinfo, of_walk, lift); \
}

EXACT(roc_auc, ml_walk_roc_auc, false)
EXACT(pr_auc, ml_walk_pr_auc, false)
EXACT(ks, ml_walk_ks, false)
EXACT(gain, ml_walk_gain, false)
EXACT(lift, ml_walk_gain, true)

/* ---- the median of absolute errors: one sort of errors, all of side 1 ---- */

PG_FUNCTION_INFO_V1(mlops_exact_error_accum);
PG_FUNCTION_INFO_V1(mlops_median_absolute_error_exact);

/* (state, prediction, label [, weight]) */
Datum
mlops_exact_error_accum(PG_FUNCTION_ARGS)
{
	Ranking    *ranking = PG_ARGISNULL(0) ? NULL : (Ranking *) PG_GETARG_POINTER(0);
	MemoryContext old;
	double		error;
	double		weight;

	if (!ml_metric_weight(fcinfo, 3, &weight) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return ml_metric_skip(fcinfo);
	error = fabs(PG_GETARG_FLOAT8(1) - PG_GETARG_FLOAT8(2));
	if (isinf(PG_GETARG_FLOAT8(1)) || isinf(PG_GETARG_FLOAT8(2)))
		ml_metric_refuse_infinite(PG_GETARG_FLOAT8(1), PG_GETARG_FLOAT8(2));
	if (isnan(error))
		return ml_metric_skip(fcinfo);
	if (ranking == NULL)
		ranking = begin_ranking(fcinfo, NAN);
	old = MemoryContextSwitchTo(ranking->cxt);
	if (weight == 1.0)
		put_plain(&ranking->side[1], error);
	else
		put_pair(ranking, &ranking->side[1], error, weight);
	ranking->side[1].weight += weight;
	MemoryContextSwitchTo(old);
	PG_RETURN_POINTER(ranking);
}

/* from the largest error down: what is left below says where the middle is */
Datum
mlops_median_absolute_error_exact(PG_FUNCTION_ARGS)
{
	Ranking    *ranking;
	Front		front[4];
	double		half;
	double		above = 0.0;
	double		last = NAN;
	int			n;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	ranking = (Ranking *) PG_GETARG_POINTER(0);
	half = 0.5 * ranking->side[1].weight;
	n = open_fronts(ranking, front);
	for (int64 step = 0;; step++)
	{
		double		error = highest(front, n);
		double		weight[2];

		ml_check_row(step);
		if (isnan(error))
			break;
		if (above == half && step > 0)
		{
			last = 0.5 * (last + error);
			break;
		}
		last = error;
		take_score(front, n, error, weight);
		above += weight[1];
		if (above > half)
			break;
	}
	for (int i = 0; i < n; i++)
		if (front[i].slot != NULL)
			ExecDropSingleTupleTableSlot(front[i].slot);
	PG_RETURN_FLOAT8(last);
}
