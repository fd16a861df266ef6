/*
 * delong.c
 *		The variance of the area under the ROC curve: DeLong, DeLong &
 *		Clarke-Pearson 1988, "Comparing the areas under two or more correlated
 *		receiver operating characteristic curves", Biometrics 44.
 *
 * Their structural components are, of a positive row, the share of the negative
 * rows that score lower (a tie counting half), and of a negative row the share of the
 * positive rows that score higher. One pass over rows in the order of the scores
 * finds all of them (midranks: Sun & Xu 2014, "Fast implementation of DeLong's
 * algorithm", IEEE Signal Processing Letters 21), here with shares by weight.
 */
#include "postgres.h"

#include <math.h>

#include "interrupts.h"
#include "metric/interval.h"
#include "metric/measure.h"

/* rows of one kind */
typedef struct Kind
{
	double		weight;
	int64		n;
} Kind;

static void
count_kinds(const MlMeasurement *rows, Kind kind[2])
{
	memset(kind, 0, sizeof(Kind) * 2);
	for (int64 i = 0; i < rows->n; i++)
	{
		bool		positive = rows->label[i] > 0.5;

		ml_check_row(i);
		kind[positive].weight += ml_measure_weight(rows, i);
		kind[positive].n++;
	}
}

/* components of all rows, in place of the influences; returns the sum of those of positive rows by weight */
static double
components(const MlSample *sample, const Kind kind[2], double *component)
{
	const MlMeasurement *rows = &sample->rows;
	const uint32 *order = sample->order;
	double		below[2] = {0.0, 0.0};	/* weight of negatives, positives that score lower */
	double		sum = 0.0;

	for (int64 first = 0, next; first < rows->n; first = next)
	{
		double		score = rows->prediction[order[first]];
		double		tied[2] = {0.0, 0.0};

		ml_check_row(first);
		for (next = first; next < rows->n && rows->prediction[order[next]] == score; next++)
			tied[rows->label[order[next]] > 0.5] += ml_measure_weight(rows, order[next]);
		for (int64 i = first; i < next; i++)
		{
			if (rows->label[order[i]] > 0.5)
				component[order[i]] = (below[0] + 0.5 * tied[0]) / kind[0].weight;
			else
				component[order[i]] = (kind[1].weight - below[1] - 0.5 * tied[1]) / kind[1].weight;
		}
		sum += tied[1] * (below[0] + 0.5 * tied[0]);
		below[0] += tied[0];
		below[1] += tied[1];
	}
	return sum / kind[0].weight;
}

/* the corrections make sums of squares what the paper's S10 / m + S01 / n are where weights are equal */
double
ml_delong(const MlSample *sample, double *influence)
{
	const MlMeasurement *rows = &sample->rows;
	Kind		kind[2];
	double		area;
	double		factor[2];

	count_kinds(rows, kind);
	if (kind[0].n == 0 || kind[1].n == 0)
		return NAN;
	area = components(sample, kind, influence) / kind[1].weight;
	for (int k = 0; k < 2; k++)
		factor[k] = kind[k].n > 1 ? sqrt((double) kind[k].n / (kind[k].n - 1)) / kind[k].weight : NAN;
	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		influence[i] = (influence[i] - area) * factor[rows->label[i] > 0.5];
	}
	return area;
}
