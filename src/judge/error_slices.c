/*
 * error_slices.c
 *		mlops_error_slices: where a version does worse than elsewhere.
 *
 * Every row has a loss. Conditions on one column, and on two columns together, are
 * judged by the mean loss of the rows that meet them against that of all others:
 * Welch's test, one-sided. All that have rows enough are tested, and of all of
 * these the false ones are held to a share (Benjamini & Hochberg 1995,
 * "Controlling the false discovery rate", JRSS B 57). A search for slices after Chung et al.
 * 2019, "Slice finder: automated data slicing for model validation", ICDE.
 *
 * A pair tells nothing new unless it is worse than what is left of each
 * condition of it that is told; a condition tells nothing new if what is left of it
 * without a worse pair is no worse than other rows.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "interrupts.h"
#include "judge/conditions.h"
#include "judge/hearing.h"
#include "metric/measure.h"
#include "result.h"
#include "utils/builtins.h"

#define RESULT_COLUMNS	8		/* condition, metric, n, value, overall, difference, p_value, adjusted_p */
#define EXAMPLE "SELECT * FROM mlops_error_slices('churn', source => 'SELECT * FROM customer')"
#define LEVEL			0.05	/* of false discoveries, and of each test among relatives */
#define MOST_COLUMNS	64		/* that are paired, in the order of the features */

PG_FUNCTION_INFO_V1(mlops_error_slices);

/* of the rows that meet a condition */
typedef struct Sums
{
	int64		n;
	double		weight;
	double		loss;			/* w x loss; the other two: w^2, w^2 x loss, w^2 x loss^2 */
	double		square;
	double		square_loss;
	double		square_loss2;
} Sums;

typedef struct Found
{
	int			column[2];		/* of divided; the second -1: one condition alone */
	int			condition[2];
	Sums		sums;
	double		p_value;
	double		adjusted;
	bool		dropped;
} Found;

typedef struct Finder
{
	MlJury	   *jury;
	const MlMetric *metric;
	const MlIntervalRule *rule;
	int64		min_rows;
	int			ncolumns;
	MlDivided  *column;

	/* rows that count */
	int64		n;
	const uint32 *place;
	const double *loss;			/* higher is worse */
	const double *weight;		/* NULL: all 1 */
	double		sign;			/* of the loss: -1 where the value of a row is better the higher */
	Sums		all;

	int			nfound;			/* tested */
	int			room;
	Found	   *found;
} Finder;

/* ---- sums ---- */

static inline void
add_row(Sums *sums, double w, double loss)
{
	sums->n++;
	sums->weight += w;
	sums->loss += w * loss;
	sums->square += w * w;
	sums->square_loss += w * w * loss;
	sums->square_loss2 += w * w * loss * loss;
}

static Sums
less(const Sums *all, const Sums *part)
{
	return (Sums) {
		.n = all->n - part->n,
		.weight = all->weight - part->weight,
		.loss = all->loss - part->loss,
		.square = all->square - part->square,
		.square_loss = all->square_loss - part->square_loss,
		.square_loss2 = all->square_loss2 - part->square_loss2,
	};
}

static double
mean_of(const Sums *sums)
{
	return sums->loss / sums->weight;
}

static double
variance_of(const Sums *sums)
{
	double		mean = mean_of(sums);
	double		squares = sums->square_loss2 - 2 * mean * sums->square_loss + mean * mean * sums->square;

	return fmax(squares, 0.0) / (sums->weight * sums->weight) * sums->n / (sums->n - 1);
}

/* Welch's t: that part is worse than rest */
static double
test_worse(const Sums *part, const Sums *rest)
{
	double		one;
	double		two;
	double		t;
	double		df;

	if (part->n < 2 || rest->n < 2)
		return 1.0;
	one = variance_of(part);
	two = variance_of(rest);
	t = (mean_of(part) - mean_of(rest)) / sqrt(one + two);
	if (!(t > 0.0))
		return 1.0;
	if (isinf(t))
		return 0.0;
	df = (one + two) * (one + two) / (one * one / (part->n - 1) + two * two / (rest->n - 1));
	return ml_tail_t(t, df) / 2;
}

/* ---- what is tested ---- */

static void
add_found(Finder *finder, int a, int ka, int b, int kb, const Sums *sums)
{
	Sums		rest = less(&finder->all, sums);
	Found	   *found;

	if (sums->n < finder->min_rows || rest.n < finder->min_rows)
		return;
	if (finder->nfound == finder->room)
	{
		finder->room = finder->room == 0 ? 256 : finder->room * 2;
		finder->found = finder->found == NULL ? palloc(sizeof(Found) * finder->room) :
			repalloc_huge(finder->found, sizeof(Found) * finder->room);
	}
	found = &finder->found[finder->nfound++];
	*found = (Found) {{a, b}, {ka, kb}, *sums, test_worse(sums, &rest)};
}

static void
test_column(Finder *finder, int a)
{
	const MlDivided *column = &finder->column[a];
	Sums	   *sums = palloc0(sizeof(Sums) * column->n);

	for (int64 i = 0; i < finder->n; i++)
	{
		int			k = column->met[finder->place[i]];

		ml_check_row(i);
		if (k >= 0)
			add_row(&sums[k], finder->weight == NULL ? 1.0 : finder->weight[i], finder->loss[i]);
	}
	for (int k = 0; k < column->n; k++)
		add_found(finder, a, k, -1, -1, &sums[k]);
	pfree(sums);
}

static void
test_pair(Finder *finder, int a, int b)
{
	const MlDivided *one = &finder->column[a];
	const MlDivided *two = &finder->column[b];
	Sums	   *sums = palloc0(sizeof(Sums) * one->n * two->n);

	for (int64 i = 0; i < finder->n; i++)
	{
		uint32		at = finder->place[i];
		int			k = one->met[at];
		int			l = two->met[at];

		ml_check_row(i);
		if (k >= 0 && l >= 0)
			add_row(&sums[k * two->n + l], finder->weight == NULL ? 1.0 : finder->weight[i], finder->loss[i]);
	}
	for (int k = 0; k < one->n; k++)
		for (int l = 0; l < two->n; l++)
			add_found(finder, a, k, b, l, &sums[k * two->n + l]);
	pfree(sums);
}

/* ---- what is told ---- */

static int
compare_p(const void *a, const void *b)
{
	const Found *x = a;
	const Found *y = b;

	if (x->p_value != y->p_value)
		return x->p_value < y->p_value ? -1 : 1;
	if (x->sums.n != y->sums.n)
		return x->sums.n > y->sums.n ? -1 : 1;
	for (int i = 0; i < 2; i++)
	{
		if (x->column[i] != y->column[i])
			return x->column[i] - y->column[i];
		if (x->condition[i] != y->condition[i])
			return x->condition[i] - y->condition[i];
	}
	return 0;
}

/* Benjamini and Hochberg, over all that were tested; what does not pass is forgotten */
static void
adjust(Finder *finder)
{
	int			n = finder->nfound;
	double		least = 1.0;
	int			kept = 0;

	qsort(finder->found, n, sizeof(Found), compare_p);
	for (int i = n - 1; i >= 0; i--)
	{
		least = fmin(least, finder->found[i].p_value * n / (i + 1));
		finder->found[i].adjusted = least;
	}
	while (kept < n && finder->found[kept].adjusted < LEVEL)
		kept++;
	finder->nfound = kept;
}

static bool
is_part_of(const Found *pair, const Found *one)
{
	if (pair->column[1] < 0 || one->column[1] >= 0)
		return false;
	for (int i = 0; i < 2; i++)
		if (pair->column[i] == one->column[0] && pair->condition[i] == one->condition[0])
			return true;
	return false;
}

/* a pair that is no worse than what is left of a condition of it */
static void
drop_pairs(Finder *finder)
{
	for (int i = 0; i < finder->nfound; i++)
		for (int k = 0; k < finder->nfound && !finder->found[i].dropped; k++)
		{
			Sums		rest;

			if (!is_part_of(&finder->found[i], &finder->found[k]))
				continue;
			rest = less(&finder->found[k].sums, &finder->found[i].sums);
			if (rest.n >= 2)
				finder->found[i].dropped = test_worse(&finder->found[i].sums, &rest) >= LEVEL;
			else
				finder->found[i].dropped = true;
		}
}

/* a condition that is worse because of a pair alone */
static void
drop_wholes(Finder *finder)
{
	for (int i = 0; i < finder->nfound; i++)
		for (int k = 0; k < finder->nfound && !finder->found[i].dropped; k++)
		{
			Sums		left;
			Sums		rest;

			if (finder->found[k].dropped || !is_part_of(&finder->found[k], &finder->found[i]))
				continue;
			left = less(&finder->found[i].sums, &finder->found[k].sums);
			rest = less(&finder->all, &finder->found[i].sums);
			finder->found[i].dropped = test_worse(&left, &rest) >= LEVEL;
		}
}

static double
as_metric(const Finder *finder, double mean)
{
	double		value = finder->sign * mean + 0.0;	/* no "-0" */

	return finder->rule->transform != NULL ? finder->rule->transform(value) : value;
}

static void
tell(const Finder *finder, MlRows *rows, int limit)
{
	double		overall = as_metric(finder, mean_of(&finder->all));
	int			told = 0;

	for (int i = 0; i < finder->nfound && told < limit; i++)
	{
		const Found *found = &finder->found[i];
		char	   *condition = finder->column[found->column[0]].condition[found->condition[0]];
		double		value = as_metric(finder, mean_of(&found->sums));
		Datum		values[RESULT_COLUMNS];
		bool		nulls[RESULT_COLUMNS] = {false};

		if (found->dropped)
			continue;
		if (found->column[1] >= 0)
			condition = psprintf("%s AND %s", condition, finder->column[found->column[1]].condition[found->condition[1]]);
		ml_rows_text(values, nulls, 0, condition);
		ml_rows_text(values, nulls, 1, finder->metric->name);
		values[2] = Int64GetDatum(found->sums.n);
		ml_rows_number(values, nulls, 3, value);
		ml_rows_number(values, nulls, 4, overall);
		ml_rows_number(values, nulls, 5, value - overall);
		ml_rows_number(values, nulls, 6, found->p_value);
		ml_rows_number(values, nulls, 7, found->adjusted);
		ml_rows_add(rows, values, nulls);
		told++;
	}
}

/* ---- the whole ---- */

/* the metric asked for, or the model's, or the loss of its task that rows have */
static const MlJudgeMetric *
choose_metric(const MlHearing *hearing, bool asked)
{
	const MlJudgeMetric *metric = linitial(hearing->metrics);
	MlIntervalKind kind = metric->metric == NULL ? ML_INTERVAL_BOOTSTRAP : ml_interval_rule(metric->metric)->kind;

	if (kind == ML_INTERVAL_MEAN || kind == ML_INTERVAL_SHARE)
		return metric;
	if (asked)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("metric \"%s\" has no value for a single row", metric->name),
				 errdetail("Slices are searched by the loss of each row."),
				 errhint("Use one that is a mean over rows, such as %s.",
						 hearing->jury->task == ML_TASK_REGRESSION ? "mae or rmse" : "log_loss, brier or accuracy")));
	return ml_judge_metric(hearing->resolved[0].model, hearing->jury->task,
						   hearing->jury->task == ML_TASK_REGRESSION ? "rmse" :
						   (hearing->jury->task & ML_TASKS_UNSUPERVISED) ? "inertia" : "log_loss");
}

static void
divide_columns(Finder *finder)
{
	const MlFrame *frame = finder->jury->frame;

	finder->column = palloc(sizeof(MlDivided) * frame->ncols);
	for (int i = 0; i < frame->ncols; i++)
		if (frame->cols[i].loaded && frame->cols[i].role == ML_ROLE_FEATURE &&
			ml_divide_column(finder->jury, &frame->cols[i], &finder->column[finder->ncolumns]))
			finder->ncolumns++;
}

/* rows that have a value, by place; those of weight 0 are not among the gathered ones */
static void
take_losses(Finder *finder, const MlGathered *gathered)
{
	int64		n = gathered->sample.rows.n;
	MlJury	   *jury = finder->jury;
	double	   *loss = ml_jury_take(jury, CurrentMemoryContext, n, sizeof(double), "losses of rows");
	double	   *weight = gathered->sample.rows.weight == NULL ? NULL :
		ml_jury_take(jury, CurrentMemoryContext, n, sizeof(double), "weights of rows");
	uint32	   *place = ml_jury_take(jury, CurrentMemoryContext, n, sizeof(uint32), "places of rows");

	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		if (!isfinite(gathered->sample.value[i]))
			continue;
		place[finder->n] = gathered->place[i];
		loss[finder->n] = finder->sign * gathered->sample.value[i];
		if (weight != NULL)
			weight[finder->n] = gathered->sample.rows.weight[i];
		add_row(&finder->all, weight == NULL ? 1.0 : weight[finder->n], loss[finder->n]);
		finder->n++;
	}
	finder->place = place;
	finder->loss = loss;
	finder->weight = weight;
}

static void
search(const MlHearing *hearing, bool asked, int64 min_rows, int limit, MlRows *rows)
{
	const MlJudgeMetric *metric = choose_metric(hearing, asked);
	MlGathered *gathered = ml_judged_gather(hearing->judged[0], NULL, ML_JURY_OVERALL);
	Finder		finder = {.jury = hearing->jury, .metric = metric->metric, .min_rows = min_rows};

	finder.rule = ml_interval_rule(metric->metric);
	finder.sign = metric->higher_is_better ? -1.0 : 1.0;
	ml_judged_prepare(hearing->judged[0], metric->metric, gathered);
	take_losses(&finder, gathered);
	divide_columns(&finder);
	for (int a = 0; a < finder.ncolumns; a++)
		test_column(&finder, a);
	for (int a = 0; a < Min(finder.ncolumns, MOST_COLUMNS); a++)
		for (int b = a + 1; b < Min(finder.ncolumns, MOST_COLUMNS); b++)
			test_pair(&finder, a, b);
	if (finder.nfound == 0)
		return;
	adjust(&finder);
	drop_pairs(&finder);
	drop_wholes(&finder);
	tell(&finder, rows, limit);
}

static void
require_positive(int value, const char *name)
{
	if (value < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is %d", name, value),
				 errdetail("It must be 1 at least."),
				 errhint("Leave it out for the default.")));
}

/* mlops_error_slices(model, validation_set, metric, min_rows, max_slices, source, target, weight, edition, include_seen) */
Datum
mlops_error_slices(PG_FUNCTION_ARGS)
{
	MlCase		question = {.example = EXAMPLE};
	MlHearing	hearing;
	char	   *metric = ml_argument_text(fcinfo, 2);
	int			min_rows = PG_ARGISNULL(3) ? 50 : PG_GETARG_INT32(3);
	int			limit = PG_ARGISNULL(4) ? 20 : PG_GETARG_INT32(4);
	MlRows		rows;

	ml_argument_require(fcinfo, 0, "model", EXAMPLE);
	require_positive(min_rows, "min_rows");
	require_positive(limit, "max_slices");
	question.model = ml_argument_text(fcinfo, 0);
	question.validation_set = ml_argument_text(fcinfo, 1);
	question.metrics = metric == NULL ? NULL : &metric;
	question.nmetrics = metric == NULL ? 0 : 1;
	question.source = ml_argument_text(fcinfo, 5);
	question.target = ml_argument_text(fcinfo, 6);
	question.weight = ml_argument_text(fcinfo, 7);
	question.edition = ml_argument_int(fcinfo, 8);
	question.include_seen = !PG_ARGISNULL(9) && PG_GETARG_BOOL(9);
	ml_rows_begin(fcinfo, &rows);
	ml_hearing_open(&question, &hearing);
	search(&hearing, metric != NULL, min_rows, limit, &rows);
	ml_hearing_close(&hearing);
	return (Datum) 0;
}
