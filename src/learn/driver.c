/*
 * driver.c
 *		Walks the rows of a fold in memory.
 *
 * Every pass cuts its rows into blocks of ML_BLOCK_ROWS. A block is consumed
 * into a zeroed state, and states of equally many blocks are merged, as ones
 * are carried in a binary counter; what is left at the end is merged from the
 * latest to the earliest. The shape of that tree depends on the number of
 * blocks alone, and at most one state of each size is alive (and one more while
 * merging), so that n blocks need log2(n) + 2 states.
 */
#include "postgres.h"

#include <math.h>

#include "learn/driver.h"
#include "utils/memutils.h"

#define MAX_LEVELS 64

typedef struct Driver
{
	const MlAlgorithm *algorithm;
	const MlFit *fit;
	MemoryContext cxt;
	void	   *learner;		/* what start returned */
	Size		state_size;
	double	   *x;				/* one block */

	/* the counter: state of 2^level blocks, or NULL */
	void	   *level[MAX_LEVELS];
	void	   *spare[MAX_LEVELS];	/* allocated, not in use */
	int			nspare;

	int64		rows_read;		/* over all passes */
} Driver;

void *
ml_fit_alloc(const MlFit *fit, Size count, Size size, const char *what)
{
	if (size != 0 && count > MaxAllocHugeSize / size)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the fit needs more memory than can be addressed for \"%s\"", what),
				 errdetail("It needs %zu elements of %zu bytes.", count, size),
				 errhint("Train on fewer features, for example with exclude => ARRAY[...].")));
	if (fit->take_memory)
		fit->take_memory(fit->memory_arg, count * size, what);
	return palloc_extended(Max(count * size, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

static void
check_algorithm(const MlAlgorithm *algorithm, const MlFit *fit)
{
	Assert(algorithm->name && algorithm->summary);
	Assert(algorithm->tasks != 0);
	Assert(algorithm->params && (algorithm->params_size > 0 || algorithm->params[0].name == NULL));
	Assert(algorithm->finish);
	Assert(algorithm->fit_rows || (algorithm->start && algorithm->state_size));
	Assert(algorithm->fit_rows || algorithm->consume || algorithm->consume_block);
	Assert(algorithm->fit_rows || (algorithm->merge && algorithm->end_pass));
	Assert((algorithm->tasks & fit->task) == (uint32) fit->task);
	Assert(fit->rows && fit->rows->nrows >= 0 && fit->rows->ncolumns >= 0);
	Assert(fit->rows->y && (fit->rows->ncolumns == 0 || fit->rows->read));
}

static void *
take_state(Driver *d)
{
	void	   *state;

	if (d->nspare > 0)
	{
		state = d->spare[--d->nspare];
		memset(state, 0, d->state_size);
		return state;
	}
	return ml_fit_alloc(d->fit, 1, d->state_size, "state of the learner");
}

static void
return_state(Driver *d, void *state)
{
	Assert(d->nspare < MAX_LEVELS);
	d->spare[d->nspare++] = state;
}

/* earlier becomes the state of both */
static void *
merge_states(Driver *d, void *earlier, void *later)
{
	d->algorithm->merge(d->learner, earlier, later);
	return_state(d, later);
	return earlier;
}

/* adds a block's state to the counter */
static void
carry(Driver *d, void *state)
{
	int			i = 0;

	for (; d->level[i] != NULL; i++)
	{
		Assert(i < MAX_LEVELS - 1);
		state = merge_states(d, d->level[i], state);
		d->level[i] = NULL;
	}
	d->level[i] = state;
}

/* what the counter holds, as one state; the counter is empty then */
static void *
collect(Driver *d)
{
	void	   *state = NULL;

	for (int i = 0; i < MAX_LEVELS; i++)
	{
		if (d->level[i] == NULL)
			continue;
		state = state ? merge_states(d, d->level[i], state) : d->level[i];
		d->level[i] = NULL;
	}
	return state ? state : take_state(d);
}

static void
report(Driver *d)
{
	const MlAlgorithm *a = d->algorithm;
	int64		total;

	if (d->fit->progress == NULL)
		return;
	total = d->fit->rows->nrows * (a->expected_passes ? a->expected_passes(d->learner) : 1);
	d->fit->progress(d->fit->progress_arg, d->rows_read, Max(total, d->rows_read),
					 a->objective ? a->objective(d->learner) : NAN);
}

static void
consume(Driver *d, void *state, int64 first, int n)
{
	const MlAlgorithm *a = d->algorithm;
	const MlDesignMatrix *rows = d->fit->rows;
	const double *weight = rows->weight ? rows->weight + first : NULL;

	if (a->consume_block)
	{
		a->consume_block(d->learner, state, rows->read_block(rows->arg, first, n),
						 rows->y + first, weight, first);
		return;
	}
	if (rows->ncolumns > 0 && !a->ignores_features)
		rows->read(rows->arg, first, n, d->x);
	a->consume(d->learner, state, n, d->x, rows->y + first, weight, first);
}

static void
run_pass(Driver *d, int pass)
{
	const MlAlgorithm *a = d->algorithm;
	const MlDesignMatrix *rows = d->fit->rows;
	int64		nrows = rows->nrows;

	if (a->pass_rows)
		nrows = Min(nrows, a->pass_rows(d->learner, pass, nrows));
	if (a->begin_pass)
		a->begin_pass(d->learner, pass);
	for (int64 first = 0; first < nrows; first += ML_BLOCK_ROWS)
	{
		int			n = (int) Min(ML_BLOCK_ROWS, nrows - first);
		void	   *state = take_state(d);

		consume(d, state, first, n);
		carry(d, state);
		d->rows_read += n;
		report(d);
	}
}

static void
run(Driver *d)
{
	const MlAlgorithm *a = d->algorithm;
	int			ncolumns = a->ignores_features || a->consume_block ? 0 : d->fit->rows->ncolumns;
	bool		done = false;

	if (a->fit_rows)
	{
		d->learner = a->fit_rows(d->fit);
		return;
	}
	d->learner = a->start(d->fit);
	d->state_size = a->state_size(d->learner);
	d->x = ml_fit_alloc(d->fit, (Size) ncolumns * ML_BLOCK_ROWS, sizeof(double), "block of rows");
	for (int pass = 0; !done; pass++)
	{
		void	   *state;

		run_pass(d, pass);
		state = collect(d);
		done = a->end_pass(d->learner, state);
		return_state(d, state);
	}
}

MlFitted *
ml_driver_fit(const MlAlgorithm *algorithm, const MlFit *fit)
{
	MemoryContext caller = CurrentMemoryContext;
	Driver		d = {.algorithm = algorithm, .fit = fit};
	MlFitted   *volatile fitted = NULL;

	check_algorithm(algorithm, fit);
	d.cxt = AllocSetContextCreate(caller, "mlops fit", ALLOCSET_DEFAULT_SIZES);
	PG_TRY();
	{
		MemoryContextSwitchTo(d.cxt);
		run(&d);
		MemoryContextSwitchTo(caller);
		fitted = algorithm->finish(d.learner);
		ml_require_finite(fitted, fit->rows, algorithm);
	}
	PG_FINALLY();
	{
		MemoryContextSwitchTo(caller);
		MemoryContextDelete(d.cxt);
	}
	PG_END_TRY();
	return fitted;
}
