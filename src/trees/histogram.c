/*
 * histogram.c
 *		Sums of a node's rows by bin: where the time of a fit goes.
 *
 * Row by row: the bytes of a row lie together, so that a row costs one line of
 * cache, fetched ahead, however many features it has.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "trees/grow.h"

#define AHEAD		16			/* rows fetched ahead */
#define AT_ONCE		64			/* features whose places are kept at hand */
#define CHUNK		65536		/* rows between checks for interrupts */

/* neighbouring features */
static void
add_pairs(const MlHistogramTask *task, int64 first, int64 n)
{
	const MlGrower *g = task->grower;
	const MlBins *bins = g->bins;
	const uint32 *row = g->row + first;
	const MlPair *pair = g->pair;
	Size		stride = bins->stride;
	MlPair	   *sums[AT_ONCE];

	for (int k0 = 0; k0 < task->nfeatures; k0 += AT_ONCE)
	{
		int			m = Min(task->nfeatures - k0, AT_ONCE);
		const uint8 *bytes = bins->row + task->feature[k0];

		for (int k = 0; k < m; k++)
			sums[k] = (MlPair *) task->histogram + bins->feature[task->feature[k0 + k]].first;
		for (int64 i = 0; i < n; i++)
		{
			const uint8 *x = bytes + row[i] * stride;
			MlPair		v = pair[row[i]];
			int			k = 0;

			if (i + AHEAD < n)
			{
				__builtin_prefetch(bytes + row[i + AHEAD] * stride);
				__builtin_prefetch(pair + row[i + AHEAD]);
			}
			for (; k + 4 <= m; k += 4)
			{
				sums[k][x[k]] += v;
				sums[k + 1][x[k + 1]] += v;
				sums[k + 2][x[k + 2]] += v;
				sums[k + 3][x[k + 3]] += v;
			}
			for (; k < m; k++)
				sums[k][x[k]] += v;
		}
	}
}

/* a choice of features */
static void
add_chosen_pairs(const MlHistogramTask *task, int64 first, int64 n)
{
	const MlGrower *g = task->grower;
	const MlBins *bins = g->bins;
	const uint32 *row = g->row + first;
	MlPair	   *histogram = (MlPair *) task->histogram;
	Size		stride = bins->stride;

	for (int64 i = 0; i < n; i++)
	{
		const uint8 *x = bins->row + row[i] * stride;
		MlPair		v = g->pair[row[i]];

		if (i + AHEAD < n)
		{
			__builtin_prefetch(bins->row + row[i + AHEAD] * stride);
			__builtin_prefetch(g->pair + row[i + AHEAD]);
		}
		for (int k = 0; k < task->nfeatures; k++)
		{
			int			f = task->feature[k];

			histogram[bins->feature[f].first + x[f]] += v;
		}
	}
}

/* weights by class */
static void
add_classes(const MlHistogramTask *task, int64 first, int64 n)
{
	const MlGrower *g = task->grower;
	const MlBins *bins = g->bins;
	const uint32 *row = g->row + first;
	Size		stride = bins->stride;
	int			width = g->width;

	for (int64 i = 0; i < n; i++)
	{
		const uint8 *x = bins->row + row[i] * stride;
		int64		weight = g->weight[row[i]];
		int64	   *histogram = task->histogram + g->label[row[i]];

		if (i + AHEAD < n)
			__builtin_prefetch(bins->row + row[i + AHEAD] * stride);
		for (int k = 0; k < task->nfeatures; k++)
		{
			int			f = task->feature[k];

			histogram[(Size) (bins->feature[f].first + x[f]) * width] += weight;
		}
	}
}

static bool
in_order(const MlHistogramTask *task)
{
	for (int k = 1; k < task->nfeatures; k++)
		if (task->feature[k] != task->feature[k - 1] + 1)
			return false;
	return true;
}

void
ml_histogram_build(const MlHistogramTask *task)
{
	const MlGrower *g = task->grower;
	bool		ordered = in_order(task);

	for (int k = 0; k < task->nfeatures; k++)
	{
		const MlBinFeature *f = &g->bins->feature[task->feature[k]];

		memset(task->histogram + (Size) f->first * g->width, 0,
			   (Size) f->nbins * g->width * sizeof(int64));
	}
	for (int64 done = 0; done < task->n; done += CHUNK)
	{
		int64		n = Min(CHUNK, task->n - done);

		ml_crew_look();
		if (g->nclasses > 0)
			add_classes(task, task->first + done, n);
		else if (ordered)
			add_pairs(task, task->first + done, n);
		else
			add_chosen_pairs(task, task->first + done, n);
	}
}

void
ml_histogram_subtract(const MlGrower *grower, int64 *from, const int64 *what)
{
	Size		n = (Size) grower->bins->nbins * grower->width;

	for (Size i = 0; i < n; i++)
		from[i] -= what[i];
}
