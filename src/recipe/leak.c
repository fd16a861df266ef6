/*
 * leak.c
 *		Columns that alone predict the target nearly perfectly. Such a column is
 *		mostly the target in other words, or was written after it was known.
 *
 * Measures, by what column and target are:
 *   number / number: R2 of the straight line, the squared correlation;
 *   category / number, number / several classes: eta2, the share of the
 *     number's variance that lies between the groups (Fisher's correlation
 *     ratio);
 *   number / two classes: the area under the ROC curve, either way round;
 *   category / classes: Goodman & Kruskal's lambda (1954), the share of the
 *     errors of always naming the most frequent class that knowing the
 *     category avoids;
 *   whether the column is NULL is tried as a category of its own.
 * Rows are sampled evenly where there are many: the answer is a hint.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "recipe/recipe_private.h"
#include "roc.h"

#define SUSPECT_FROM	0.99
#define SAMPLE_ROWS		100000
#define MIN_ROWS		20		/* rows with both values, or chance makes suspects */
#define MIN_OF_CLASS	5		/* rows of the rarer of two classes */
#define ROWS_PER_GROUP	10		/* fewer rows a group than this, and any category would fit */

struct MlLeakTest
{
	const MlFrame *frame;
	const MlColumn *target;
	int64		step;			/* every which row is looked at */
	int64		nrows;			/* looked at */
	int			nclasses;		/* 0: the target is a number */
	double	   *y;				/* of each: number or class; NaN is NULL */
	double	   *x;				/* of the column at hand */
	double	   *kept_y;			/* rows where both are known, moved together */
};

static inline int64
row_of(const MlLeakTest *test, int64 i)
{
	return i * test->step;
}

/* the column as numbers: categories and their codes likewise; NaN is NULL */
static double
value_of(const MlColumn *column, int64 row)
{
	double		x = NAN;

	switch (column->type.kind)
	{
		case ML_KIND_NUMBER:
			x = column->number[row];
			break;
		case ML_KIND_CATEGORY:
			return column->code[row] == ML_CODE_NULL ? NAN : column->code[row];
		case ML_KIND_TIME:
			if (column->usec[row] != ML_USEC_NULL && column->usec[row] != PG_INT64_MAX)
				x = (double) column->usec[row];
			break;
		case ML_KIND_ARRAY:
		case ML_KIND_NONE:
			break;
	}
	return isfinite(x) ? x : NAN;
}

/* a number of two values is as good as two classes */
static int
count_classes(const MlLeakTest *test, const MlColumn *target, double *low, double *high)
{
	*low = *high = NAN;
	if (target->type.kind == ML_KIND_CATEGORY)
		return target->dictionary->nvalues;
	for (int64 i = 0; i < test->nrows; i++)
	{
		double		y = test->y[i];

		if (isnan(y) || y == *low || y == *high)
			continue;
		if (isnan(*low))
			*low = y;
		else if (isnan(*high))
			*high = y;
		else
			return 0;
	}
	return isnan(*high) ? 0 : 2;
}

MlLeakTest *
ml_leak_begin(const MlFrame *frame, const MlColumn *target)
{
	MlLeakTest *test = palloc0(sizeof(MlLeakTest));
	double		low;
	double		high;

	if (!target->loaded ||
		(target->type.kind != ML_KIND_NUMBER && target->type.kind != ML_KIND_CATEGORY))
		return NULL;
	test->frame = frame;
	test->target = target;
	test->step = Max(1, (frame->nrows + SAMPLE_ROWS - 1) / SAMPLE_ROWS);
	test->nrows = (frame->nrows + test->step - 1) / test->step;
	if (test->nrows < MIN_ROWS)
		return NULL;
	test->y = palloc(sizeof(double) * test->nrows);
	test->x = palloc(sizeof(double) * test->nrows);
	test->kept_y = palloc(sizeof(double) * test->nrows);
	for (int64 i = 0; i < test->nrows; i++)
		test->y[i] = value_of(target, row_of(test, i));
	test->nclasses = count_classes(test, target, &low, &high);
	if (target->type.kind == ML_KIND_CATEGORY)
		return test->nclasses >= 2 && test->nclasses <= ML_MAX_CLASSES ? test : NULL;
	for (int64 i = 0; test->nclasses == 2 && i < test->nrows; i++)
	{
		if (!isnan(test->y[i]))
			test->y[i] = test->y[i] == Max(low, high) ? 1.0 : 0.0;
	}
	return test;
}

/* rows where both are known to the front; how many */
static int64
keep_known(MlLeakTest *test, const MlColumn *column)
{
	int64		n = 0;

	for (int64 i = 0; i < test->nrows; i++)
	{
		double		x = value_of(column, row_of(test, i));

		if (isnan(x) || isnan(test->y[i]))
			continue;
		test->x[n] = x;
		test->kept_y[n++] = test->y[i];
	}
	return n;
}

/* ---- the measures; each is at most 1, or NaN ---- */

static double
r_squared(const double *x, const double *y, int64 n)
{
	MlSample	sample = {x, 1, NULL, n, NULL};
	MlNumber	about_x;
	MlNumber	about_y;
	double		sum = 0.0;

	ml_number_learn(&sample, ML_IMPUTE_MEAN, &about_x);
	sample.value = y;
	ml_number_learn(&sample, ML_IMPUTE_MEAN, &about_y);
	if (about_x.deviation <= 0.0 || about_y.deviation <= 0.0)
		return NAN;
	for (int64 i = 0; i < n; i++)
		sum += ((x[i] - about_x.mean) / about_x.deviation) * ((y[i] - about_y.mean) / about_y.deviation);
	return (sum / n) * (sum / n);
}

static double
eta_squared(const double *group, int ngroups, const double *y, int64 n)
{
	MlSample	sample = {y, 1, NULL, n, NULL};
	MlNumber	about;
	double	   *sum;
	int64	   *count;
	double		between = 0.0;
	int			seen = 0;

	ml_number_learn(&sample, ML_IMPUTE_MEAN, &about);
	if (about.deviation <= 0.0)
		return NAN;
	sum = palloc0(sizeof(double) * ngroups);
	count = palloc0(sizeof(int64) * ngroups);
	for (int64 i = 0; i < n; i++)
	{
		sum[(int) group[i]] += (y[i] - about.mean) / about.deviation;
		count[(int) group[i]]++;
	}
	for (int g = 0; g < ngroups; g++)
	{
		seen += count[g] > 0 ? 1 : 0;
		between += count[g] > 0 ? sum[g] * sum[g] / count[g] : 0.0;
	}
	pfree(sum);
	pfree(count);
	return (int64) seen * ROWS_PER_GROUP > n ? NAN : between / n;
}

static double
auc_either_way(const double *x, const double *y, int64 n)
{
	MlKeyed    *row = palloc(sizeof(MlKeyed) * 2 * n);
	int64		positives = 0;
	double		auc;

	for (int64 i = 0; i < n; i++)
	{
		row[i].key = ml_double_key(x[i]);
		row[i].weight = y[i] > 0.5 ? 1.0 : -1.0;
		positives += y[i] > 0.5 ? 1 : 0;
	}
	ml_sort(row, row + n, n, 64);
	auc = ml_roc_area(row, n);
	pfree(row);
	if (Min(positives, n - positives) < MIN_OF_CLASS)
		return NAN;
	return Max(auc, 1.0 - auc);
}

static double
lambda(const double *group, int ngroups, const double *y, int nclasses, int64 n)
{
	int64	   *count = MemoryContextAllocExtended(CurrentMemoryContext,
												   ml_size_mul(ml_size_mul(ngroups, nclasses), sizeof(int64)),
												   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	int64	   *total = palloc0(sizeof(int64) * nclasses);
	int64		most = 0;
	int64		right = 0;
	int			seen = 0;

	for (int64 i = 0; i < n; i++)
	{
		count[(Size) group[i] * nclasses + (int) y[i]]++;
		total[(int) y[i]]++;
	}
	for (int c = 0; c < nclasses; c++)
		most = Max(most, total[c]);
	for (int g = 0; g < ngroups; g++)
	{
		int64		best = 0;

		for (int c = 0; c < nclasses; c++)
			best = Max(best, count[(Size) g * nclasses + c]);
		seen += best > 0 ? 1 : 0;
		right += best;
	}
	pfree(count);
	pfree(total);
	if (n - most < MIN_OF_CLASS || (int64) seen * ROWS_PER_GROUP > n)
		return NAN;
	return (double) (right - most) / (double) (n - most);
}

static double
measure_column(MlLeakTest *test, const MlColumn *column, const char **name)
{
	int64		n = keep_known(test, column);
	bool		groups = column->type.kind == ML_KIND_CATEGORY;
	int			ngroups = groups ? column->dictionary->nvalues : 0;

	/* more groups than this cannot pass, and their table would be large */
	if (n < MIN_ROWS || (int64) ngroups * ROWS_PER_GROUP > test->frame->nrows)
		return NAN;
	if (groups && test->nclasses > 0)
	{
		*name = "lambda";
		return lambda(test->x, ngroups, test->kept_y, test->nclasses, n);
	}
	if (groups)
	{
		*name = "eta2";
		return eta_squared(test->x, ngroups, test->kept_y, n);
	}
	if (test->nclasses == 2)
	{
		*name = "AUC";
		return auc_either_way(test->x, test->kept_y, n);
	}
	if (test->nclasses > 2)
	{
		*name = "eta2";
		return eta_squared(test->kept_y, test->nclasses, test->x, n);
	}
	*name = "R2";
	return r_squared(test->x, test->kept_y, n);
}

/* does it tell the target whether the column is NULL? */
static double
measure_missing(MlLeakTest *test, const MlColumn *column)
{
	int64		n = 0;

	if (test->nclasses == 0 || column->nnull < MIN_OF_CLASS ||
		test->frame->nrows - column->nnull < MIN_OF_CLASS)
		return NAN;
	for (int64 i = 0; i < test->nrows; i++)
	{
		if (isnan(test->y[i]))
			continue;
		test->x[n] = isnan(value_of(column, row_of(test, i))) ? 1.0 : 0.0;
		test->kept_y[n++] = test->y[i];
	}
	return n < MIN_ROWS ? NAN : lambda(test->x, 2, test->kept_y, test->nclasses, n);
}

char *
ml_leak_sentence(MlLeakTest *test, const MlColumn *column)
{
	const char *name = NULL;
	double		measure;

	CHECK_FOR_INTERRUPTS();
	if (!column->loaded || column->type.kind == ML_KIND_ARRAY)
		return NULL;
	measure = measure_column(test, column, &name);
	if (measure >= SUSPECT_FROM)
		return psprintf("alone predicts the target nearly perfectly (%s %.3f): is it known before the target is?",
						name, measure);
	measure = measure_missing(test, column);
	if (measure >= SUSPECT_FROM)
		return psprintf("whether it is NULL alone predicts the target nearly perfectly (lambda %.3f): is it known before the target is?",
						measure);
	return NULL;
}
