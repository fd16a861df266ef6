/*
 * driver.c
 *		Walks the rows of a fold in memory.
 *
 * Every pass cuts its rows into blocks of ML_BLOCK_ROWS. A block is consumed
 * into a zeroed state, and a tree merges the states (merge_tree.h). Where rows
 * are many and read several times a crew consumes most of them (fold_crew.h).
 */
#include "postgres.h"

#include <math.h>

#include "learn/driver.h"
#include "learn/crew.h"
#include "learn/fold_crew.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

typedef struct Driver
{
	const MlAlgorithm *algorithm;
	const MlFit *fit;
	MemoryContext cxt;
	void	   *learner;		/* what start returned */
	double	   *x;				/* one block */
	MlMergeTree	tree;
	MlFoldCrew *fold;			/* or NULL */
	int64		rows_read;		/* over all passes */
} Driver;

/* what palloc gave stands before what is handed out */
void *
ml_aligned_alloc(Size size)
{
	char	   *given = palloc_extended(add_size(size, sizeof(void *) + ML_CREW_ALIGNMENT - 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	void	  **aligned = (void **) ML_CREW_ALIGN((uintptr_t) given + sizeof(void *));

	aligned[-1] = given;
	return aligned;
}

void
ml_aligned_free(void *aligned)
{
	pfree(((void **) aligned)[-1]);
}

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
	return ml_aligned_alloc(count * size);
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
	int64		first = 0;

	if (a->pass_rows)
		nrows = Min(nrows, a->pass_rows(d->learner, pass, nrows));
	if (a->begin_pass)
		a->begin_pass(d->learner, pass);
	while (first < nrows)
	{
		int64		n = d->fold ? ml_fold_crew_consume(d->fold, &d->tree, first == 0, first, nrows) : 0;

		if (n == 0)
		{
			void	   *state = ml_merge_tree_take(&d->tree);

			n = Min(ML_BLOCK_ROWS, nrows - first);
			consume(d, state, first, (int) n);
			ml_merge_tree_carry(&d->tree, 0, state);
		}
		first += n;
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
	d->tree.algorithm = a;
	d->tree.learner = d->learner;
	d->tree.state_size = a->state_size(d->learner);
	d->tree.fit = d->fit;
	d->tree.cxt = d->cxt;
	d->fold = ml_fold_crew_begin(&d->tree, d->fit);
	d->x = ml_fit_alloc(d->fit, (Size) ncolumns * ML_BLOCK_ROWS, sizeof(double), "block of rows");
	for (int pass = 0; !done; pass++)
	{
		void	   *state;

		run_pass(d, pass);
		state = ml_merge_tree_collect(&d->tree);
		done = a->end_pass(d->learner, state);
		ml_merge_tree_return(&d->tree, state);
	}
	ml_fold_crew_end(d->fold);
}

MlFitted *
ml_driver_fit(const MlAlgorithm *algorithm, const MlFit *fit)
{
	MemoryContext caller = CurrentMemoryContext;
	Driver		d = {.algorithm = algorithm, .fit = fit};
	MlFitted   *volatile fitted = NULL;

	if (algorithm->variant && algorithm->variant(fit))
		d.algorithm = algorithm->variant(fit);
	check_algorithm(d.algorithm, fit);
	d.cxt = AllocSetContextCreate(caller, "mlops fit", ALLOCSET_DEFAULT_SIZES);
	PG_TRY();
	{
		MemoryContextSwitchTo(d.cxt);
		run(&d);
		MemoryContextSwitchTo(caller);
		fitted = d.algorithm->finish(d.learner);
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
