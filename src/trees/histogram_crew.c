/*
 * histogram_crew.c
 *		Histograms of large nodes, by a crew: every process adds up all rows of
 *		the node for a range of its features. Ranges do not touch each other's
 *		bins, and sums of integers are exact, so who adds up what is no matter.
 */
#include "postgres.h"

#include "learn/driver.h"
#include "trees/grow.h"

#define MIN_CELLS		(1024 * 1024)	/* rows times features of a fit that a crew makes faster */
#define MIN_NODE_CELLS	65536	/* of a node: about 100 us */
#define HISTOGRAMS		40		/* that the shared memory has room for */

/* at the beginning of the shared memory; places count from there */
typedef struct Shared
{
	int			nfeatures;
	int			nbins;
	int			stride;
	int			nclasses;
	Size		place;			/* nfeatures x int32: first bin, number of bins */
	Size		column;			/* nfeatures x int: columns of a run */
	Size		bytes;
	Size		row;
	Size		pair;			/* or labels and weights */
	Size		label;
	Size		histograms;
	Size		histogram_size;
	int			taken;			/* of them */
} Shared;

typedef struct Run
{
	int64		first;
	int64		n;
	int			ncolumns;
	int			nchunks;
	Size		histogram;
} Run;

/* what a process makes of the shared memory */
typedef struct Local
{
	MlGrower	grower;
	MlBins		bins;
} Local;

static Size
add_part(Size *end, Size count, Size size)
{
	Size		at = *end;

	*end += ML_CREW_ALIGN(count * size);
	return at;
}

static Size
lay_out(const MlGrower *g, Shared *shared)
{
	Size		n = g->bins->nrows;
	Size		end = ML_CREW_ALIGN(sizeof(Shared));

	shared->nfeatures = g->bins->nfeatures;
	shared->nbins = g->bins->nbins;
	shared->stride = g->bins->stride;
	shared->nclasses = g->nclasses;
	shared->place = add_part(&end, g->bins->nfeatures, 2 * sizeof(int32));
	shared->column = add_part(&end, g->bins->nfeatures, sizeof(int));
	shared->bytes = add_part(&end, n, g->bins->stride);
	shared->row = add_part(&end, n, sizeof(uint32));
	shared->pair = add_part(&end, n, g->nclasses > 0 ? sizeof(int64) : sizeof(MlPair));
	shared->label = add_part(&end, g->nclasses > 0 ? n : 0, sizeof(uint8));
	shared->histogram_size = ML_CREW_ALIGN((Size) g->bins->nbins * g->width * sizeof(int64));
	shared->histograms = add_part(&end, HISTOGRAMS, shared->histogram_size);
	return end;
}

/* where a process finds everything */
static void
point(MlGrower *g, MlBins *bins, Shared *shared)
{
	char	   *memory = (char *) shared;

	bins->row = (uint8 *) (memory + shared->bytes);
	g->row = (uint32 *) (memory + shared->row);
	if (shared->nclasses == 0)
		g->pair = (MlPair *) (memory + shared->pair);
	else
	{
		g->weight = (int64 *) (memory + shared->pair);
		g->label = (uint8 *) (memory + shared->label);
	}
}

void
ml_histogram_hire(MlGrower *g)
{
	MlBins	   *bins = g->bins;
	Shared		layout = {0};
	Size		size = lay_out(g, &layout);
	Shared	   *shared;
	int32	   *place;

	if (bins->nfeatures < 2 || bins->nrows * bins->nfeatures < MIN_CELLS)
		return;
	g->crew = ml_crew_try(g->fit, bins->nfeatures - 1, size);
	if (g->crew == NULL)
		return;
	shared = ml_crew_shared(g->crew);
	*shared = layout;
	place = (int32 *) ((char *) shared + shared->place);
	for (int k = 0; k < bins->nfeatures; k++)
	{
		place[2 * k] = bins->feature[k].first;
		place[2 * k + 1] = bins->feature[k].nbins;
	}
	point(g, bins, shared);

	/* one process may hold a few more for a moment */
	g->held_limit = Min(g->held_limit, HISTOGRAMS - 4);
}

int64 *
ml_histogram_take(MlGrower *g)
{
	Shared	   *shared = ml_crew_shared(g->crew);

	if (shared->taken == HISTOGRAMS)
		elog(ERROR, "no room for another histogram");
	return (int64 *) ((char *) shared + shared->histograms + shared->taken++ * shared->histogram_size);
}

void
ml_histogram_build_together(const MlHistogramTask *task)
{
	const MlGrower *g = task->grower;
	Shared	   *shared;
	Run			run;

	if (g->crew == NULL || ml_crew_workers(g->crew) == 0 || task->nfeatures < 2 ||
		task->n * task->nfeatures < MIN_NODE_CELLS)
	{
		ml_histogram_build(task);
		return;
	}
	shared = ml_crew_shared(g->crew);
	memcpy((char *) shared + shared->column, task->feature, task->nfeatures * sizeof(int));
	run.first = task->first;
	run.n = task->n;
	run.ncolumns = task->nfeatures;
	run.nchunks = Min(ml_crew_workers(g->crew) + 1, task->nfeatures);
	run.histogram = (char *) task->histogram - (char *) shared;
	ml_crew_run(g->crew, ML_CREW_HISTOGRAM, &run, sizeof(run), run.nchunks);
}

static Local *
make_local(MlCrewMember *me)
{
	Shared	   *shared = me->shared;
	const int32 *place = (const int32 *) ((char *) shared + shared->place);
	Local	   *local = MemoryContextAllocZero(me->cxt, sizeof(Local));

	local->bins.nfeatures = shared->nfeatures;
	local->bins.nbins = shared->nbins;
	local->bins.stride = shared->stride;
	local->bins.feature = MemoryContextAllocZero(me->cxt, shared->nfeatures * sizeof(MlBinFeature));
	for (int k = 0; k < shared->nfeatures; k++)
	{
		local->bins.feature[k].first = place[2 * k];
		local->bins.feature[k].nbins = place[2 * k + 1];
	}
	local->grower.bins = &local->bins;
	local->grower.nclasses = shared->nclasses;
	local->grower.width = shared->nclasses > 0 ? shared->nclasses : 2;
	point(&local->grower, &local->bins, shared);
	return local;
}

void
ml_histogram_crew_chunk(MlCrewMember *me, const void *args, int64 chunk)
{
	const Run  *run = args;
	Shared	   *shared = me->shared;
	MlHistogramTask task;
	int			from = (int) (run->ncolumns * chunk / run->nchunks);

	if (me->local == NULL)
		me->local = make_local(me);
	task.grower = &((Local *) me->local)->grower;
	task.first = run->first;
	task.n = run->n;
	task.feature = (const int *) ((char *) shared + shared->column) + from;
	task.nfeatures = (int) (run->ncolumns * (chunk + 1) / run->nchunks) - from;
	task.histogram = (int64 *) ((char *) shared + run->histogram);
	ml_histogram_build(&task);
}
