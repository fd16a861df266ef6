/*
 * bagging_crew.c
 *		The trees of a forest side by side: a chunk is a whole tree.
 *
 * Bins, targets and weights are shared; rows, gradients and histograms of the
 * tree at hand are every process's own. A grown tree goes to a slot of the
 * shared memory. When all slots are full the leader appends the trees in the
 * order of their numbers. Votes are whole numbers, added up in shared memory
 * by all, so the result does not tell who has grown what.
 */
#include "postgres.h"

#include <math.h>

#include "learn/driver.h"
#include "trees/bagging.h"

#define MIN_ROWS		400000		/* rows times trees that a crew makes faster */
#define SLOT_BYTES		(64 * 1024 * 1024)	/* of all slots, if that is enough for one each */
#define SLOTS_EACH		8			/* more make no difference */
#define HELD			24			/* histograms that a process keeps */

/* at the beginning of the shared memory; places count from there */
typedef struct Shared
{
	MlGrowth	growth;			/* its pointer is not for others */
	MlBins		bins;			/* nor are those */
	int			task;
	int			fit_classes;
	int			nclasses;
	int			noutputs;
	int64		ntrees;
	int64		seed;
	bool		bootstrap;
	bool		weighted;
	bool		constrained;
	double		complexity;
	double		unit;
	double		centre;
	double		vote_unit;
	double		g_unit;
	double		h_unit;
	Size		feature;
	Size		monotone;
	Size		bytes;
	Size		columns;
	Size		pair;			/* or weights */
	Size		label;
	Size		y;
	Size		row_weight;
	Size		vote;
	Size		voters;
	Size		slots;
	Size		slot_size;
	Size		cover;			/* in a slot */
	Size		value;
	int64		slot_nodes;
	int			nslots;
} Shared;

/* a slot: this, nodes, covers, values */
typedef struct Slot
{
	int			nnodes;
	MlGrownNode node[FLEXIBLE_ARRAY_MEMBER];
} Slot;

typedef struct Run
{
	int64		first;			/* tree of the first chunk */
	MlBagging  *leader;			/* a pointer for the leader alone */
} Run;

/* what a worker makes of the shared memory */
typedef struct Local
{
	MlBagging	bagging;
	MlFit		fit;
	MlDesignMatrix rows;
	MlBins		bins;
} Local;

static Size
add_part(Size *end, Size count, Size size)
{
	Size		at = *end;

	*end += ML_CREW_ALIGN(count * size);
	return at;
}

static void
lay_out_slots(const MlBagging *b, Shared *shared, Size *end)
{
	int			nprocesses = b->fit->workers + 1;
	Size		nodes = ml_growth_nodes(&b->growth, b->bins->nrows);
	Size		size = ML_CREW_ALIGN(offsetof(Slot, node) + nodes * sizeof(MlGrownNode));

	shared->slot_nodes = nodes;
	shared->cover = add_part(&size, nodes, sizeof(double));
	shared->value = add_part(&size, nodes * b->noutputs, sizeof(double));
	shared->slot_size = size;
	shared->nslots = (int) Min(b->ntrees, Min(SLOTS_EACH * nprocesses, Max(nprocesses, SLOT_BYTES / size)));
	shared->slots = add_part(end, shared->nslots, size);
}

static Size
lay_out(const MlBagging *b, Shared *shared)
{
	const MlBins *bins = b->bins;
	Size		n = bins->nrows;
	Size		end = ML_CREW_ALIGN(sizeof(Shared));

	shared->feature = add_part(&end, bins->nfeatures, sizeof(MlBinFeature));
	shared->monotone = add_part(&end, b->growth.monotone ? bins->nfeatures : 0, sizeof(int8));
	shared->bytes = add_part(&end, n, bins->stride);
	shared->columns = add_part(&end, n, bins->nfeatures);
	shared->pair = add_part(&end, n, b->nclasses > 0 ? sizeof(int64) : sizeof(MlPair));
	shared->label = add_part(&end, b->nclasses > 0 ? n : 0, sizeof(uint8));
	shared->y = add_part(&end, n, sizeof(double));
	shared->row_weight = add_part(&end, b->fit->rows->weight ? n : 0, sizeof(double));
	shared->vote = add_part(&end, b->bootstrap ? n * b->noutputs : 0, sizeof(int64));
	shared->voters = add_part(&end, b->bootstrap ? n : 0, sizeof(uint32));
	lay_out_slots(b, shared, &end);
	return end;
}

/* memory of one process beside the shared one */
static Size
own_bytes(const MlBagging *b, const Shared *shared)
{
	Size		n = b->bins->nrows;
	Size		width = b->nclasses > 0 ? b->nclasses : 2;
	Size		row = 2 * sizeof(uint32) + (b->nclasses > 0 ? sizeof(int64) : sizeof(MlPair)) + sizeof(uint16);
	Size		node = sizeof(MlGrownNode) + (width + b->noutputs + 1) * sizeof(double);

	return n * row + shared->slot_nodes * node + (HELD + 4) * b->bins->nbins * width * sizeof(int64);
}

/* where a process finds everything */
static void
point(MlBagging *b, Shared *shared)
{
	char	   *memory = (char *) shared;

	b->bins->row = (uint8 *) (memory + shared->bytes);
	b->bins->column = (uint8 *) (memory + shared->columns);
	if (b->nclasses > 0)
		b->weight = (int64 *) (memory + shared->pair);
	else
		b->pair = (MlPair *) (memory + shared->pair);
	if (b->bootstrap)
	{
		b->vote = (int64 *) (memory + shared->vote);
		b->voters = (uint32 *) (memory + shared->voters);
	}
	b->grower = ml_grower_make_alone(b->fit, b->bins, &b->growth, b->nclasses);
	b->grower->held_limit = Min(b->grower->held_limit, HELD);
	if (b->nclasses > 0)
	{
		ml_aligned_free(b->grower->label);
		b->grower->label = (uint8 *) (memory + shared->label);
	}
}

void
ml_bagging_hire(MlBagging *b)
{
	const MlFit *fit = b->fit;
	int64		useful = Min(b->ntrees - 1, fit->workers);
	Shared		layout = {0};
	Shared	   *shared;
	Size		size;
	Size		own;

	if (useful < 1 || b->bins->nfeatures < 1 || b->bins->nrows * b->ntrees < MIN_ROWS)
		return;
	size = lay_out(b, &layout);
	own = own_bytes(b, &layout);
	if (fit->memory_left && fit->memory_left(fit->memory_arg) < size + (useful + 1) * own)
		return;
	b->crew = ml_crew_try(fit, (int) useful, size);
	if (b->crew == NULL)
		return;
	if (fit->take_memory)
		fit->take_memory(fit->memory_arg, useful * own, "what training processes need each");
	shared = ml_crew_shared(b->crew);
	*shared = layout;
	point(b, shared);
	ml_bins_fill(b->bins, fit);
	if (b->bootstrap)
	{
		memset(b->vote, 0, (Size) b->bins->nrows * b->noutputs * sizeof(int64));
		memset(b->voters, 0, b->bins->nrows * sizeof(uint32));
	}
}

/* tells the workers all that they have to know */
static void
publish(const MlBagging *b, Shared *shared)
{
	const MlDesignMatrix *rows = b->fit->rows;
	char	   *memory = (char *) shared;
	Size		n = b->bins->nrows;

	shared->growth = b->growth;
	shared->bins = *b->bins;
	shared->task = b->fit->task;
	shared->fit_classes = rows->nclasses;
	shared->nclasses = b->nclasses;
	shared->noutputs = b->noutputs;
	shared->ntrees = b->ntrees;
	shared->seed = b->fit->seed;
	shared->bootstrap = b->bootstrap;
	shared->weighted = rows->weight != NULL;
	shared->constrained = b->growth.monotone != NULL;
	shared->complexity = b->complexity;
	shared->unit = b->unit;
	shared->centre = b->centre;
	shared->vote_unit = b->vote_unit;
	shared->g_unit = b->grower->g_unit;
	shared->h_unit = b->grower->h_unit;
	memcpy(memory + shared->feature, b->bins->feature, b->bins->nfeatures * sizeof(MlBinFeature));
	if (shared->constrained)
		memcpy(memory + shared->monotone, b->growth.monotone, b->bins->nfeatures * sizeof(int8));
	memcpy(memory + shared->y, rows->y, n * sizeof(double));
	if (shared->weighted)
		memcpy(memory + shared->row_weight, rows->weight, n * sizeof(double));
}

static MlBagging *
make_local(MlCrewMember *me)
{
	MemoryContext caller = MemoryContextSwitchTo(me->cxt);
	Shared	   *shared = me->shared;
	char	   *memory = me->shared;
	Local	   *local = palloc0(sizeof(Local));
	MlBagging  *b = &local->bagging;

	local->rows.nrows = shared->bins.nrows;
	local->rows.nclasses = shared->fit_classes;
	local->rows.y = (double *) (memory + shared->y);
	if (shared->weighted)
		local->rows.weight = (double *) (memory + shared->row_weight);
	local->fit.rows = &local->rows;
	local->fit.task = shared->task;
	local->fit.seed = shared->seed;
	local->bins = shared->bins;
	local->bins.feature = (MlBinFeature *) (memory + shared->feature);
	b->fit = &local->fit;
	b->bins = &local->bins;
	b->growth = shared->growth;
	b->growth.monotone = shared->constrained ? (int8 *) (memory + shared->monotone) : NULL;
	b->ntrees = shared->ntrees;
	b->bootstrap = shared->bootstrap;
	b->complexity = shared->complexity;
	b->noutputs = shared->noutputs;
	b->nclasses = shared->nclasses;
	b->unit = shared->unit;
	b->centre = shared->centre;
	b->vote_unit = shared->vote_unit;
	point(b, shared);
	b->grower->g_unit = shared->g_unit;
	b->grower->h_unit = shared->h_unit;
	if (b->bootstrap)
		b->count = ml_fit_alloc(b->fit, b->bins->nrows, sizeof(uint16), "rows of a tree");
	MemoryContextSwitchTo(caller);
	return b;
}

static Slot *
slot_of(Shared *shared, int64 number)
{
	return (Slot *) ((char *) shared + shared->slots + number * shared->slot_size);
}

void
ml_bagging_crew_chunk(MlCrewMember *me, const void *args, int64 chunk)
{
	const Run  *run = args;
	Shared	   *shared = me->shared;
	Slot	   *slot = slot_of(shared, chunk);
	MlBagging  *b = me->number == 0 ? run->leader : me->local;
	int			n;

	if (b == NULL)
		me->local = b = make_local(me);
	ml_bagging_grow(b, run->first + chunk);
	n = b->grower->nnodes;
	if (n > shared->slot_nodes)
		elog(ERROR, "a tree has %d nodes, more than there is room for", n);
	slot->nnodes = n;
	memcpy(slot->node, b->grower->node, n * sizeof(MlGrownNode));
	memcpy((char *) slot + shared->cover, b->cover, n * sizeof(double));
	memcpy((char *) slot + shared->value, b->value, (Size) n * b->noutputs * sizeof(double));
}

void
ml_bagging_grow_together(MlBagging *b)
{
	Shared	   *shared = ml_crew_shared(b->crew);
	Run			run = {.leader = b};

	publish(b, shared);
	while (run.first < b->ntrees)
	{
		int64		n = Min(shared->nslots, b->ntrees - run.first);

		ml_crew_run(b->crew, ML_CREW_TREES, &run, sizeof(run), n);
		for (int64 i = 0; i < n; i++)
		{
			Slot	   *slot = slot_of(shared, i);
			MlGrower	tree = {.nnodes = slot->nnodes, .node = slot->node};

			ml_bagging_add(b, &tree, (double *) ((char *) slot + shared->value),
						   (double *) ((char *) slot + shared->cover));
		}
		run.first += n;
		if (b->fit->progress)
			b->fit->progress(b->fit->progress_arg, run.first, b->ntrees, NAN);
	}
}
