/*
 * rank.c
 *		The area under the ROC curve: the chance that a positive row scores
 *		higher than a negative one, a tie counting half.
 *
 * Hanley & McNeil 1982, "The meaning and use of the area under a receiver
 * operating characteristic (ROC) curve", Radiology 143: it is the Mann-Whitney
 * statistic; ties get the trapezoid of Fawcett 2006, algorithm 3. With weights
 * a pair counts the product of its two.
 */
#include "postgres.h"

#include "metric/measure.h"
#include "miscadmin.h"
#include "utils/memutils.h"

typedef struct Scored
{
	double		score;
	double		weight;			/* positive for a positive row, negative for a negative one */
} Scored;

#define SORT_CHUNK	65536

static int
compare_scored(const void *a, const void *b)
{
	double		x = ((const Scored *) a)->score;
	double		y = ((const Scored *) b)->score;

	return (x > y) - (x < y);
}

/*
 * Merges ordered runs of SORT_CHUNK rows bottom-up, looking for a cancel
 * between chunks; qsort on all rows would not come back for seconds. Equal
 * scores keep their order across runs, and within one add up to the same.
 */
static Scored *
sort_scored(Scored *row, Scored *spare, int64 n)
{
	for (int64 first = 0; first < n; first += SORT_CHUNK)
	{
		CHECK_FOR_INTERRUPTS();
		qsort(row + first, Min(SORT_CHUNK, n - first), sizeof(Scored), compare_scored);
	}
	for (int64 width = SORT_CHUNK; width < n; width *= 2)
	{
		Scored	   *swap;

		for (int64 first = 0; first < n; first += 2 * width)
		{
			int64		middle = Min(first + width, n);
			int64		end = Min(first + 2 * width, n);
			int64		a = first;
			int64		b = middle;

			CHECK_FOR_INTERRUPTS();
			for (int64 to = first; to < end; to++)
			{
				if (b >= end || (a < middle && row[a].score <= row[b].score))
					spare[to] = row[a++];
				else
					spare[to] = row[b++];
			}
		}
		swap = row;
		row = spare;
		spare = swap;
	}
	return row;
}

/* sum over pairs of w+ w- (1 if the positive row scores higher, 1/2 if equal) / sum of w+ w- */
static double
area(const Scored *row, int64 n)
{
	double		below = 0.0;	/* weight of negatives with a lower score */
	double		positives = 0.0;
	double		pairs = 0.0;
	int64		i = 0;

	while (i < n)
	{
		double		score = row[i].score;
		double		positive = 0.0;
		double		negative = 0.0;

		for (; i < n && row[i].score == score; i++)
		{
			if (row[i].weight > 0.0)
				positive += row[i].weight;
			else
				negative -= row[i].weight;
		}
		pairs += positive * (below + 0.5 * negative);
		positives += positive;
		below += negative;
	}
	return positives > 0.0 && below > 0.0 ? pairs / (positives * below) : NAN;
}

static double
measure_roc_auc(const MlMeasurement *rows)
{
	Size		bytes = ml_size_mul(ml_size_mul(Max(rows->n, 1), 2), sizeof(Scored));
	Scored	   *scored = MemoryContextAllocHuge(CurrentMemoryContext, bytes);
	int64		n = 0;
	double		result;

	for (int64 i = 0; i < rows->n; i++)
	{
		double		w = ml_measure_weight(rows, i);

		if (isnan(rows->label[i]) || isnan(rows->prediction[i]))
			continue;
		scored[n].score = rows->prediction[i];
		scored[n].weight = rows->label[i] > 0.5 ? w : -w;
		n++;
	}
	result = area(sort_scored(scored, scored + rows->n, n), n);
	pfree(scored);
	return result;
}

const MlMetric ml_metric_roc_auc = {
	.name = "roc_auc",
	.summary = "chance that a positive row scores higher than a negative one, a tie counting half; 0.5 is a coin's",
	.tasks = ML_TASK_BINARY,
	.higher_is_better = true,
	.minimum = 0.0,
	.maximum = 1.0,
	.measure = measure_roc_auc,
};
