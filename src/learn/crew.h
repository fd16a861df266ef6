/*
 * crew.h
 *		Several processes for one fit: the leader, which is the session that
 *		trains, and background workers of the server without a connection to a
 *		database.
 *
 * A crew shares one piece of memory, which may lie at another address in every
 * process: nothing in it may be a pointer. The leader cuts work into chunks;
 * leader and workers take chunks as they come, so a result must depend on the
 * chunk alone and never on who did it or when. Where the leader would be
 * alone - no worker allowed, none to be had, or too little memory - there is
 * no crew.
 *
 *		typedef struct Shared { int64 nrows; double sum[]; } Shared;
 *
 *		void								-- in crew.c's table: ML_CREW_SUMS
 *		ml_sums_chunk(MlCrewMember *me, const void *args, int64 chunk)
 *		{
 *			Shared *shared = me->shared;
 *			shared->sum[chunk] = ... what follows from chunk alone ...
 *		}
 *
 *		crew = ml_crew_try(fit, useful_workers, bytes);		-- NULL: alone
 *		shared = ml_crew_shared(crew);		-- not zeroed
 *		... fill it ...
 *		ml_crew_run(crew, ML_CREW_SUMS, &args, sizeof(args), nchunks);
 *		... add shared->sum[] up, in order ...
 *		ml_crew_dismiss(crew);
 *
 * Chunks should take 20 us to 50 ms: shorter ones cost more to hand out than
 * to do, and between chunks the leader looks for interrupts and a worker for
 * whether it is still wanted. An error in a chunk, whoever did it, is raised
 * in the leader by ml_crew_run.
 *
 * Whatever ends the fit - return, error, cancel, the end of the leader's
 * process - dismisses the crew: it belongs to the memory context that was
 * current when it was hired. No transaction is needed, and any may begin or
 * end while it lives.
 */
#ifndef ML_LEARN_CREW_H
#define ML_LEARN_CREW_H

#include "learn/algorithm.h"

#define ML_CREW_ALIGNMENT	64	/* of the shared memory: a cache line */
#define ML_CREW_MAX_ARGS	1024
#define ML_CREW_ALIGN(size) TYPEALIGN(ML_CREW_ALIGNMENT, (size))

typedef struct MlCrew MlCrew;

/* one process of a crew, as a chunk sees it */
typedef struct MlCrewMember
{
	void	   *shared;			/* aligned to ML_CREW_ALIGNMENT */
	Size		size;			/* bytes of it */
	int			number;			/* 0: the leader; for scratch memory, never for results */
	MemoryContext cxt;			/* lives as long as the crew does in this process */
	void	   *local;			/* whatever chunks keep here, in cxt; NULL at first */
} MlCrewMember;

typedef void (*MlCrewFunction) (MlCrewMember *me, const void *args, int64 chunk);

/* what can be done: processes cannot hand each other functions, only numbers */
typedef enum MlCrewTask
{
	ML_CREW_FOLD,				/* fold_crew.c: blocks of a pass */
	ML_CREW_HISTOGRAM,			/* trees/histogram_crew.c: features of a node */
	ML_CREW_NETWORK,			/* algo/mlp_pool.c: rows of a batch */
	ML_CREW_TREES				/* trees/bagging_crew.c: trees of a forest */
} MlCrewTask;

/*
 * At most useful workers, at most fit->workers, and as many as the server has;
 * they join as they start, which nobody waits for. shared_bytes are counted
 * against the training's budget. NULL, and nothing taken, where it would be a
 * crew of one or more than the budget has left. Says once in a training, by
 * NOTICE, that it found no worker or no memory.
 */
extern MlCrew *ml_crew_try(const MlFit *fit, int useful, Size shared_bytes);

extern void *ml_crew_shared(const MlCrew *crew);
extern int	ml_crew_workers(const MlCrew *crew);	/* besides the leader */

/* args: a copy of size bytes (at most ML_CREW_MAX_ARGS) reaches every chunk */
extern void ml_crew_run(MlCrew *crew, MlCrewTask task, const void *args, Size size, int64 nchunks);

/* for chunks that take longer: in a worker that is not wanted any more an error, which nobody sees */
extern void ml_crew_look(void);

/* waits until the workers have gone, so that the next crew finds their places free */
extern void ml_crew_dismiss(MlCrew *crew);

/* what a worker's process does; handle is that of the shared memory */
extern void ml_crew_work(uint32 handle);

#endif							/* ML_LEARN_CREW_H */
