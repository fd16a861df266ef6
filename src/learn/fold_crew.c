/*
 * fold_crew.c
 *		A fold's passes over rows in shared memory, by a crew: see fold_crew.h.
 *
 * Shared are, one after the other: Shared, what the learner writes for its
 * passes, y, weights and offset where there are any, one state for each chunk
 * of a run, and the design, block by block as a learner reads it.
 */
#include "postgres.h"

#include "learn/driver.h"
#include "learn/fold_crew.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

#define MIN_ROWS		131072	/* of a fit that several processes make faster... */
#define MIN_CELLS		(1024 * 1024)	/* ...and rows times columns */
#define MAX_RUN_CHUNKS	64		/* between looks at progress */
#define STATE_BYTES		(32 * 1024 * 1024)	/* of a run, if that gives every process two */

typedef struct Shared
{
	int			algorithm;		/* index in ml_algorithms[] */
	int			ncolumns;
	int			nclasses;
	int			level;			/* a chunk is 2^level blocks */
	int			run_chunks;		/* states that there is room for */
	int64		nrows;
	Size		state_size;		/* rounded up */

	/* from the beginning of the shared memory; 0: there is none */
	Size		learner;
	Size		y;
	Size		weight;
	Size		offset;
	Size		states;
	Size		design;
} Shared;

typedef struct Run
{
	int64		pass;			/* a number of its own for every pass */
	int64		first_block;	/* of the first chunk */
} Run;

struct MlFoldCrew
{
	const MlFit *fit;
	MlCrew	   *crew;
	Shared	   *shared;
	Run			run;
	bool		shares;			/* this pass */
	int64		filled;			/* rows of the design that are there */
};

/* what a process keeps between chunks */
typedef struct Local
{
	int64		pass;
	MlDesignMatrix rows;
	MlMergeTree	tree;
} Local;

static double *
doubles_at(Shared *shared, Size offset)
{
	return offset != 0 ? (double *) ((char *) shared + offset) : NULL;
}

static double *
design_at(Shared *shared, int64 first)
{
	return doubles_at(shared, shared->design) + first * shared->ncolumns;
}

static char *
state_at(Shared *shared, int64 chunk)
{
	return (char *) shared + shared->states + chunk * shared->state_size;
}

/* ---- a chunk ---- */

static Local *
local_of(MlCrewMember *me)
{
	Shared	   *shared = me->shared;
	Local	   *local = me->local;

	if (local != NULL)
		return local;
	me->local = local = MemoryContextAllocZero(me->cxt, sizeof(Local));
	local->pass = -1;
	local->rows.nrows = shared->nrows;
	local->rows.ncolumns = shared->ncolumns;
	local->rows.nclasses = shared->nclasses;
	local->rows.y = doubles_at(shared, shared->y);
	local->rows.weight = doubles_at(shared, shared->weight);
	local->rows.offset = doubles_at(shared, shared->offset);
	local->tree.algorithm = ml_algorithms[shared->algorithm];
	local->tree.state_size = shared->state_size;
	local->tree.cxt = me->cxt;
	return local;
}

void
ml_fold_crew_chunk(MlCrewMember *me, const void *args, int64 chunk)
{
	const Run  *run = args;
	Shared	   *shared = me->shared;
	Local	   *local = local_of(me);
	MlMergeTree *tree = &local->tree;
	const MlAlgorithm *a = tree->algorithm;
	int64		first = (run->first_block + (chunk << shared->level)) * ML_BLOCK_ROWS;
	void	   *state;

	if (local->pass != run->pass)
	{
		MemoryContext old = MemoryContextSwitchTo(me->cxt);

		tree->learner = a->share_in(tree->learner, &local->rows, (char *) shared + shared->learner);
		local->pass = run->pass;
		MemoryContextSwitchTo(old);
	}
	for (int b = 0; b < 1 << shared->level; b++, first += ML_BLOCK_ROWS)
	{
		CHECK_FOR_INTERRUPTS();
		state = ml_merge_tree_take(tree);
		a->consume(tree->learner, state, ML_BLOCK_ROWS, design_at(shared, first), local->rows.y + first,
				   local->rows.weight ? local->rows.weight + first : NULL, first);
		ml_merge_tree_carry(tree, 0, state);
	}
	state = ml_merge_tree_collect(tree);
	memcpy(state_at(shared, chunk), state, shared->state_size);
	ml_merge_tree_return(tree, state);
}

/* ---- the leader ---- */

static Size
place(Size *end, Size count, Size size)
{
	Size		at = *end;

	*end = add_size(at, ML_CREW_ALIGN(mul_size(count, size)));
	return at;
}

/* offsets into the shared memory; its size */
static Size
lay_out(Shared *shared, const MlMergeTree *tree, const MlFit *fit)
{
	const MlDesignMatrix *rows = fit->rows;
	int			processes = fit->workers + 1;
	Size		end = ML_CREW_ALIGN(sizeof(Shared));

	shared->ncolumns = rows->ncolumns;
	shared->nclasses = rows->nclasses;
	shared->nrows = rows->nrows;
	shared->level = rows->ncolumns <= 64 ? 4 : rows->ncolumns <= 256 ? 2 : 0;
	shared->state_size = ML_CREW_ALIGN(tree->state_size);
	shared->run_chunks = Min(MAX_RUN_CHUNKS, Max(2 * processes, STATE_BYTES / shared->state_size));
	while (ml_algorithms[shared->algorithm] != tree->algorithm)
		shared->algorithm++;
	shared->learner = place(&end, 1, tree->algorithm->share_size(tree->learner));
	shared->y = place(&end, rows->nrows, sizeof(double));
	if (rows->weight != NULL)
		shared->weight = place(&end, rows->nrows, sizeof(double));
	if (rows->offset != NULL)
		shared->offset = place(&end, rows->nrows, sizeof(double));
	shared->states = place(&end, shared->run_chunks, shared->state_size);
	shared->design = place(&end, rows->nrows, mul_size(rows->ncolumns, sizeof(double)));
	return end;
}

static void
copy_rows(Shared *shared, const MlDesignMatrix *rows)
{
	Size		bytes = rows->nrows * sizeof(double);

	memcpy(doubles_at(shared, shared->y), rows->y, bytes);
	if (rows->weight != NULL)
		memcpy(doubles_at(shared, shared->weight), rows->weight, bytes);
	if (rows->offset != NULL)
		memcpy(doubles_at(shared, shared->offset), rows->offset, bytes);
}

MlFoldCrew *
ml_fold_crew_begin(const MlMergeTree *tree, const MlFit *fit)
{
	const MlDesignMatrix *rows = fit->rows;
	MlFoldCrew *fold;
	Shared		layout = {0};
	MlCrew	   *crew;
	Size		bytes;

	if (tree->algorithm->share_in == NULL || fit->workers <= 0 ||
		rows->nrows < MIN_ROWS || rows->nrows * rows->ncolumns < MIN_CELLS ||
		tree->algorithm->share_size(tree->learner) == 0)
		return NULL;
	bytes = lay_out(&layout, tree, fit);
	crew = ml_crew_try(fit, fit->workers, bytes);
	if (crew == NULL)
		return NULL;
	fold = palloc0(sizeof(MlFoldCrew));
	fold->fit = fit;
	fold->crew = crew;
	fold->shared = ml_crew_shared(crew);
	*fold->shared = layout;
	copy_rows(fold->shared, rows);
	return fold;
}

/* the design of whole blocks before row last */
static void
fill(MlFoldCrew *fold, int64 last)
{
	const MlDesignMatrix *rows = fold->fit->rows;

	for (; fold->filled < last; fold->filled += ML_BLOCK_ROWS)
	{
		CHECK_FOR_INTERRUPTS();
		rows->read(rows->arg, fold->filled, ML_BLOCK_ROWS, design_at(fold->shared, fold->filled));
	}
}

int64
ml_fold_crew_consume(MlFoldCrew *fold, MlMergeTree *tree, bool begins, int64 first, int64 nrows)
{
	Shared	   *shared = fold->shared;
	int64		chunk_rows = (int64) ML_BLOCK_ROWS << shared->level;
	int64		nchunks = Min((nrows - first) / chunk_rows, shared->run_chunks);

	if (nchunks <= 0)
		return 0;
	if (begins)
	{
		fold->run.pass++;
		fold->shares = tree->algorithm->share_out(tree->learner, (char *) shared + shared->learner);
	}
	if (!fold->shares)
		return 0;
	fill(fold, first + nchunks * chunk_rows);
	fold->run.first_block = first / ML_BLOCK_ROWS;
	ml_crew_run(fold->crew, ML_CREW_FOLD, &fold->run, sizeof(Run), nchunks);
	for (int64 i = 0; i < nchunks; i++)
	{
		void	   *state = ml_merge_tree_take(tree);

		memcpy(state, state_at(shared, i), tree->state_size);
		ml_merge_tree_carry(tree, shared->level, state);
	}
	return nchunks * chunk_rows;
}

void
ml_fold_crew_end(MlFoldCrew *fold)
{
	if (fold != NULL)
		ml_crew_dismiss(fold->crew);
}
