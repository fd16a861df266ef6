/*
 * gate_measure.c
 *		What gates can bound besides metrics: the cost of scoring, and whether the
 *		rows are still like those that the version was trained on.
 *
 *		scoring_p99		microseconds that scoring one row takes, 99th percentile
 *		missing_share	share of rows in which a feature is missing, less the share in
 *						training; of the feature where that is largest
 *		unseen_share	share of rows whose category had no level of its own in
 *						training, less the share that training pooled; likewise
 */
#include "postgres.h"

#include <math.h>

#include "deploy/gate.h"
#include "interrupts.h"
#include "portability/instr_time.h"

#define TIMED_ROWS 2000
#define TRIES 3
#define PERCENTILE 0.99

/* ---- cost ---- */

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return x < y ? -1 : x > y;
}

/* microseconds; the least of a few tries, since what else the machine does is not the version's cost */
static double
time_row(MlPointScorer *scorer, int64 row)
{
	double		least = INFINITY;

	for (int i = 0; i < TRIES; i++)
	{
		instr_time	start;
		instr_time	end;

		INSTR_TIME_SET_CURRENT(start);
		(void) ml_point_scorer_outputs(scorer, row);
		INSTR_TIME_SET_CURRENT(end);
		INSTR_TIME_SUBTRACT(end, start);
		least = Min(least, INSTR_TIME_GET_DOUBLE(end) * 1e6);
	}
	return least;
}

/* rows one at a time, since that is what a point query does; spread over the slice */
static double
measure_cost(const MlJury *jury, const MlModel *model, int slice, const char **feature)
{
	MlPointScorer *scorer = ml_point_scorer_make(model, ml_jury_frame(jury));
	double	   *took = palloc(sizeof(double) * TIMED_ROWS);
	int64		step = Max(1, ml_jury_nrows(jury, slice) / TIMED_ROWS);
	int			n = 0;

	for (int64 k = 0; k < ml_jury_nrows(jury, slice) && n < TIMED_ROWS; k += step)
	{
		CHECK_FOR_INTERRUPTS();
		took[n++] = time_row(scorer, ml_jury_row(jury, slice, k, NULL));
	}
	if (n == 0)
		return NAN;
	qsort(took, n, sizeof(double), compare_doubles);
	return took[Min(n - 1, (int) (PERCENTILE * n))];
}

/* ---- inputs ---- */

static bool
is_missing(const MlColumn *column, int64 row)
{
	switch (column->type.kind)
	{
		case ML_KIND_NUMBER:
			return isnan(column->number[row]);
		case ML_KIND_CATEGORY:
			return column->code[row] == ML_CODE_NULL;
		case ML_KIND_TIME:
			return column->usec[row] == ML_USEC_NULL;
		case ML_KIND_ARRAY:
			for (int k = 0; k < column->array_length; k++)
				if (!isnan(column->array[row * column->array_length + k]))
					return false;
			return true;
		case ML_KIND_NONE:
			break;
	}
	return false;
}

/* of the column's dictionary: has the value no level of its own? */
static bool *
find_unseen(const MlFeature *feature, const MlColumn *column)
{
	const MlDictionary *dictionary = column->dictionary;
	bool	   *unseen = palloc(sizeof(bool) * Max(dictionary->nvalues, 1));

	for (int i = 0; i < dictionary->nvalues; i++)
		unseen[i] = ml_recipe_code(feature, dictionary->value[i], dictionary->length[i]) == ML_CODE_POOL(feature);
	return unseen;
}

/* share, by weight, of the rows of a slice in which the feature is missing, or unseen where the table says so */
static double
share_of(const MlJury *jury, int slice, const MlColumn *column, const bool *unseen)
{
	double		sum = 0;
	double		weights = 0;

	for (int64 k = 0; k < ml_jury_nrows(jury, slice); k++)
	{
		double		weight;
		int64		row = ml_jury_row(jury, slice, k, &weight);

		ml_check_row(k);
		weights += weight;
		if (unseen == NULL ? is_missing(column, row) :
			column->code[row] != ML_CODE_NULL && unseen[column->code[row]])
			sum += weight;
	}
	return weights > 0 ? sum / weights : NAN;
}

static double
missing_in_training(const MlRecipe *recipe, const MlFeature *feature)
{
	double		share = 0;

	if (feature->kind == ML_KIND_CATEGORY)
		return feature->null_share;
	for (int k = 0; k < feature->nnumbers; k++)
		share = Max(share, recipe->numbers[feature->first_number + k].null_share);
	return share;
}

/* the largest of the features' excess over training */
static double
measure_inputs(const MlJury *jury, const MlModel *model, int slice, bool unseen, const char **name)
{
	const MlRecipe *recipe = ml_model_input_recipe(model);
	const MlFrame *frame = ml_jury_frame(jury);
	double		largest = unseen ? 0 : NAN;

	for (int f = 0; f < recipe->nfeatures; f++)
	{
		const MlFeature *feature = &recipe->features[f];
		const MlColumn *column = &frame->cols[ml_frame_find(frame, feature->name)];
		double		excess;

		if (unseen && feature->kind != ML_KIND_CATEGORY)
			continue;
		excess = unseen ?
			share_of(jury, slice, column, find_unseen(feature, column)) - feature->pool_share :
			share_of(jury, slice, column, NULL) - missing_in_training(recipe, feature);
		if (isnan(largest) || excess > largest)
		{
			largest = excess;
			*name = feature->name;
		}
	}
	return largest;
}

static double
measure_missing(const MlJury *jury, const MlModel *model, int slice, const char **feature)
{
	return measure_inputs(jury, model, slice, false, feature);
}

static double
measure_unseen(const MlJury *jury, const MlModel *model, int slice, const char **feature)
{
	return measure_inputs(jury, model, slice, true, feature);
}

/* ---- by name ---- */

static const struct
{
	const char *name;
	double		(*measure) (const MlJury *jury, const MlModel *model, int slice, const char **feature);
}			measures[] = {
	{"scoring_p99", measure_cost},
	{"missing_share", measure_missing},
	{"unseen_share", measure_unseen},
};

bool
ml_gate_is_measure(const char *name)
{
	for (int i = 0; i < lengthof(measures); i++)
		if (strcmp(measures[i].name, name) == 0)
			return true;
	return strcmp(name, ML_GATE_RULES_FIRED) == 0;
}

double
ml_gate_measure(const char *name, const MlJury *jury, const MlModel *model, int slice, const char **feature)
{
	for (int i = 0; i < lengthof(measures); i++)
		if (strcmp(measures[i].name, name) == 0)
			return measures[i].measure(jury, model, slice, feature);
	elog(ERROR, "a gate measures nothing called \"%s\"", name);
	return NAN;
}
