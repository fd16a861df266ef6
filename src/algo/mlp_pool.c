/*
 * mlp_pool.c
 *		The rows that a network learns from; mlp_pool.h says what for.
 *
 * One piece of memory, shared or not, holds Shared and behind it the rows, the
 * weights of the network, scratch memory of each process, and one gradient for
 * each chunk of a run.
 */
#include "postgres.h"

#include "algo/mlp_pool.h"
#include "learn/driver.h"
#include "storage/shmem.h"

#define MIN_WORK		(4 * 1024 * 1024)	/* weights times rows of a fit that a crew makes faster */
#define CHUNK_WORK		98304	/* of a chunk: about 100 us */
#define MOST_CHUNK_WORK (32 * 1024 * 1024)	/* between two looks for interrupts */
#define MIN_CHUNK_ROWS	64
#define MAX_CHUNK_ROWS	1024
#define RUN_CHUNKS		16		/* at most */

/* offsets are from the beginning of the memory */
typedef struct Shared
{
	MlNet		net;
	int			scratch_rows;	/* of a chunk, at most */
	int			slots;			/* chunks of a run */
	Size		x;
	Size		y;
	Size		weight;
	Size		order;
	Size		theta;
	Size		gradients;
	Size		gradient_size;
	Size		scratch;
	Size		scratch_size;
	double		loss[RUN_CHUNKS];
} Shared;

typedef struct Run
{
	int64		first;			/* of the rows in question */
	int64		n;
	int64		nchunks;		/* that they are cut into */
	int64		chunk;			/* the first one of this run */
	bool		gradient;
} Run;

static Size
chunk_rows(const MlNet *net)
{
	int64		rows = Max(MIN_CHUNK_ROWS, CHUNK_WORK / (int64) net->nparameters);

	return Max(4, Min(Min(rows, MAX_CHUNK_ROWS), MOST_CHUNK_WORK / (int64) net->nparameters));
}

/* chunks have less than twice as many rows as chunk_rows says */
static int64
count_chunks(const MlNet *net, int64 n)
{
	return Max(1, n / (int64) chunk_rows(net));
}

/* ---- a chunk ---- */

static double *
doubles_at(Shared *shared, Size offset)
{
	return (double *) ((char *) shared + offset);
}

static double *
gradient_at(Shared *shared, int64 slot)
{
	return doubles_at(shared, shared->gradients + slot * shared->gradient_size);
}

/* rows in the order that they are drawn */
static void
gather(Shared *shared, const int64 *order, int n, double *part)
{
	const double *x = doubles_at(shared, shared->x);
	const double *y = doubles_at(shared, shared->y);
	const double *weight = doubles_at(shared, shared->weight);
	Size		p = shared->net.size[0];
	double	   *part_y = part + n * p;
	double	   *part_weight = part_y + n;

	for (int i = 0; i < n; i++)
	{
		memcpy(part + i * p, x + order[i] * p, p * sizeof(double));
		part_y[i] = y[order[i]];
		part_weight[i] = weight[order[i]];
	}
}

void
ml_pool_chunk(MlCrewMember *me, const void *args, int64 slot)
{
	const Run  *run = args;
	Shared	   *shared = me->shared;
	const MlNet *net = &shared->net;
	int64		chunk = run->chunk + slot;
	int64		from = run->n * chunk / run->nchunks;
	int			n = (int) (run->n * (chunk + 1) / run->nchunks - from);
	double	   *part = doubles_at(shared, shared->scratch + me->number * shared->scratch_size);
	double	   *gradient = run->gradient ? gradient_at(shared, slot) : NULL;
	MlNetRows	rows = {n, part, part + (Size) n * net->size[0], part + (Size) n * (net->size[0] + 1)};

	Assert(n <= shared->scratch_rows);
	gather(shared, (int64 *) ((char *) shared + shared->order) + run->first + from, n, part);
	if (gradient)
		memset(gradient, 0, net->nparameters * sizeof(double));
	shared->loss[slot] = ml_net_loss(net, doubles_at(shared, shared->theta), &rows,
									 part + (Size) n * (net->size[0] + 2), gradient);
}

/* ---- the leader ---- */

static Size
place(Size *end, Size count, Size size)
{
	Size		at = *end;

	*end = add_size(at, ML_CREW_ALIGN(mul_size(count, size)));
	return at;
}

/* the bytes of all */
static Size
lay_out(Shared *shared, const MlNet *net, int64 rows, int slots, int processes)
{
	Size		end = ML_CREW_ALIGN(sizeof(Shared));
	Size		p = net->size[0];

	shared->net = *net;
	shared->slots = slots;
	shared->scratch_rows = 2 * (int) chunk_rows(net);
	shared->x = place(&end, rows, p * sizeof(double));
	shared->y = place(&end, rows, sizeof(double));
	shared->weight = place(&end, rows, sizeof(double));
	shared->order = place(&end, rows, sizeof(int64));
	shared->theta = place(&end, net->nparameters, sizeof(double));
	shared->gradient_size = ML_CREW_ALIGN(net->nparameters * sizeof(double));
	shared->gradients = place(&end, slots, shared->gradient_size);
	shared->scratch_size = ML_CREW_ALIGN((shared->scratch_rows * (p + 2) +
										  ml_net_work_size(net, shared->scratch_rows)) * sizeof(double));
	shared->scratch = place(&end, processes, shared->scratch_size);
	return end;
}

void
ml_pool_make(MlPool *pool, const MlFit *fit, const MlNet *net, int64 rows, int64 batch_rows)
{
	int			slots = (int) Min(count_chunks(net, Min(batch_rows, rows)), RUN_CHUNKS);
	Shared		layout = {0};
	Shared	   *shared;
	Size		bytes;

	pool->fit = fit;
	pool->net = *net;
	if (slots > 1 && fit->workers > 0 && (double) rows * net->nparameters >= MIN_WORK)
	{
		int			useful = Min(fit->workers, slots - 1);

		bytes = lay_out(&layout, net, rows, slots, useful + 1);
		pool->crew = ml_crew_try(fit, useful, bytes);
	}
	if (pool->crew != NULL)
		shared = ml_crew_shared(pool->crew);
	else
	{
		bytes = lay_out(&layout, net, rows, 1, 1);
		shared = ml_fit_alloc(fit, bytes, 1, "rows of the network");
		pool->alone.shared = shared;
	}
	*shared = layout;
	pool->x = doubles_at(shared, shared->x);
	pool->y = doubles_at(shared, shared->y);
	pool->weight = doubles_at(shared, shared->weight);
	pool->order = (int64 *) ((char *) shared + shared->order);
	pool->theta = doubles_at(shared, shared->theta);
}

double
ml_pool_loss(MlPool *pool, int64 first, int64 n, double *gradient,
			 void (*report) (void *arg), void *arg)
{
	Shared	   *shared = pool->crew ? ml_crew_shared(pool->crew) : pool->alone.shared;
	Run			run = {first, n, count_chunks(&pool->net, n), 0, gradient != NULL};
	double		loss = 0;

	if (gradient)
		memset(gradient, 0, pool->net.nparameters * sizeof(double));
	for (; run.chunk < run.nchunks; run.chunk += shared->slots)
	{
		int			nchunks = (int) Min(shared->slots, run.nchunks - run.chunk);

		if (pool->crew)
			ml_crew_run(pool->crew, ML_CREW_NETWORK, &run, sizeof(run), nchunks);
		else
			ml_pool_chunk(&pool->alone, &run, 0);
		for (int slot = 0; slot < nchunks; slot++)
		{
			const double *part = gradient_at(shared, slot);

			loss += shared->loss[slot];
			for (Size i = 0; gradient && i < pool->net.nparameters; i++)
				gradient[i] += part[i];
		}
		report(arg);
	}
	return loss;
}

void
ml_pool_end(MlPool *pool)
{
	if (pool->crew != NULL)
		ml_crew_dismiss(pool->crew);
	pool->crew = NULL;
}
