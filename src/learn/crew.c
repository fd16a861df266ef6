/*
 * crew.c
 *		Several processes for one fit; crew.h says what for.
 *
 * The shared memory begins with a Board. Work is published in one atomic word,
 * the number of chunks that nobody has taken yet: it is set last, after what
 * the chunks are, and a chunk is taken by lowering it. Whoever has taken a
 * chunk keeps the run alive, because the leader waits for every chunk that was
 * taken, so what the board says cannot change under it. At zero there is
 * nothing to take, and nobody reads the rest of the board.
 *
 * Who waits spins for a moment, since the steps of a fit can be as short as
 * waking a process takes, and sleeps on its latch then.
 *
 * The segment belongs to no resource owner, because a training commits while
 * it fits; a callback of the memory context detaches it, and detaching, which
 * the end of a process does too, tells the workers to go.
 */
#include "postgres.h"

#include "algo/mlp_pool.h"
#include "compat.h"
#include "learn/crew.h"
#include "learn/fold_crew.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/spin.h"
#include "trees/bagging.h"
#include "trees/grow.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#define BOARD_MAGIC		0x6d6c6372	/* "mlcr" */
#define MAX_WORKERS		64
#define SPIN_US			50
#define SPINS_PER_LOOK	64			/* at the clock */
#define NAP_MS			200			/* longest sleep without a look around */

/* an error that travels */
typedef struct Failure
{
	int			sqlerrcode;
	int			pid;
	char		message[1024];
	char		detail[1024];
	char		hint[512];
} Failure;

typedef struct Board
{
	uint32		magic;
	Size		size;			/* of the shared memory behind the board */
	PGPROC	   *leader;
	pg_atomic_uint32 closed;	/* the leader has gone */
	pg_atomic_uint32 nworkers;	/* places of worker[] handed out */
	PGPROC	   *worker[MAX_WORKERS];	/* NULL until it waits for work */

	/* the run */
	int			task;
	int64		nchunks;
	pg_atomic_uint32 failed;	/* failure is being written, or is */
	Failure		failure;
	char		args[ML_CREW_MAX_ARGS] pg_attribute_aligned(ML_CREW_ALIGNMENT);

	/* each has a line of the cache for itself */
	pg_atomic_uint64 untaken pg_attribute_aligned(ML_CREW_ALIGNMENT);
	pg_atomic_uint64 undone pg_attribute_aligned(ML_CREW_ALIGNMENT);
} Board;

#define BOARD_BYTES ML_CREW_ALIGN(sizeof(Board))

struct MlCrew
{
	Board	   *board;
	dsm_segment *segment;		/* NULL: private memory */
	int			nworkers;
	BackgroundWorkerHandle *handle[MAX_WORKERS];
	MlCrewMember me;
	MemoryContextCallback callback;
};

static const MlCrewFunction tasks[] = {
	[ML_CREW_FOLD] = ml_fold_crew_chunk,
	[ML_CREW_HISTOGRAM] = ml_histogram_crew_chunk,
	[ML_CREW_NETWORK] = ml_pool_chunk,
	[ML_CREW_TREES] = ml_bagging_crew_chunk,
};

/* ---- chunks ---- */

/* number of the chunk, or -1 */
static int64
take_chunk(Board *board)
{
	uint64		left = pg_atomic_read_u64(&board->untaken);

	while (left > 0)
		if (pg_atomic_compare_exchange_u64(&board->untaken, &left, left - 1))
			return board->nchunks - (int64) left;
	return -1;
}

static void
chunks_done(Board *board, uint64 n)
{
	if (pg_atomic_sub_fetch_u64(&board->undone, n) == 0 && MyProc != board->leader)
		SetLatch(&board->leader->procLatch);
}

/* nobody begins another chunk of this run */
static void
abandon_run(Board *board)
{
	uint64		left = pg_atomic_exchange_u64(&board->untaken, 0);

	if (left > 0)
		chunks_done(board, left);
}

static void
run_chunk(MlCrewMember *me, Board *board, int64 chunk)
{
	Assert(board->task >= 0 && board->task < (int) lengthof(tasks));
	tasks[board->task](me, board->args, chunk);
}

/* ---- hiring ---- */

static void
say_alone(const MlFit *fit, const char *why, const char *hint)
{
	if (fit->said_alone != NULL)
	{
		if (*fit->said_alone)
			return;
		*fit->said_alone = true;
	}
	ereport(NOTICE,
			(errmsg("training runs in one process"),
			 errdetail("%s", why),
			 errhint("%s", hint)));
}

static void
init_board(Board *board, Size size)
{
	memset(board, 0, sizeof(Board));
	board->magic = BOARD_MAGIC;
	board->size = size;
	board->leader = MyProc;
	pg_atomic_init_u32(&board->closed, 0);
	pg_atomic_init_u32(&board->nworkers, 0);
	pg_atomic_init_u32(&board->failed, 0);
	pg_atomic_init_u64(&board->untaken, 0);
	pg_atomic_init_u64(&board->undone, 0);
}

/*
 * NULL when the server has no memory of that kind: an error of resources or of
 * the operating system, after which nothing is left but a descriptor, which
 * goes with the owner made for it.
 */
static dsm_segment *
make_segment(Size bytes)
{
	MemoryContext cxt = CurrentMemoryContext;
	ResourceOwner saved = CurrentResourceOwner;
	ResourceOwner owner = ResourceOwnerCreate(NULL, "mlops crew");
	dsm_segment *volatile segment = NULL;

	PG_TRY();
	{
		CurrentResourceOwner = owner;
		segment = dsm_create(bytes, DSM_CREATE_NULL_IF_MAXSEGMENTS);
		if (segment != NULL)
			dsm_pin_mapping(segment);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		segment = NULL;
		ResourceOwnerRelease(owner, RESOURCE_RELEASE_BEFORE_LOCKS, false, false);
		ResourceOwnerDelete(owner);
		CurrentResourceOwner = saved;
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_INSUFFICIENT_RESOURCES &&
			ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_SYSTEM_ERROR)
			PG_RE_THROW();
		FlushErrorState();
		FreeErrorData(error);
		return NULL;
	}
	PG_END_TRY();
	CurrentResourceOwner = saved;
	ResourceOwnerDelete(owner);
	return segment;
}

/* the leader's mapping goes: so must the workers */
static void
close_board(dsm_segment *segment, Datum arg)
{
	Board	   *board = dsm_segment_address(segment);

	pg_atomic_write_u32(&board->closed, 1);
	abandon_run(board);
	for (int i = 0; i < MAX_WORKERS; i++)
		if (board->worker[i] != NULL)
			SetLatch(&board->worker[i]->procLatch);
}

static void
release(void *arg)
{
	MlCrew	   *crew = arg;
	dsm_segment *segment = crew->segment;

	crew->segment = NULL;
	if (segment == NULL)
		return;

	/* one that has not started yet need not */
	for (int i = 0; i < crew->nworkers; i++)
		TerminateBackgroundWorker(crew->handle[i]);
	dsm_detach(segment);
}

static bool
register_worker(MlCrew *crew)
{
	BackgroundWorker worker = {0};

	snprintf(worker.bgw_name, BGW_MAXLEN, "mlops training worker for PID %d", MyProcPid);
	snprintf(worker.bgw_type, BGW_MAXLEN, "mlops training worker");
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_CLASS_PARALLEL;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	snprintf(worker.bgw_library_name, BGW_MAXLEN, "mlops");
	snprintf(worker.bgw_function_name, BGW_MAXLEN, "mlops_training_worker");
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(crew->segment));
	worker.bgw_notify_pid = MyProcPid;
	return RegisterDynamicBackgroundWorker(&worker, &crew->handle[crew->nworkers]);
}

/* false: none */
static bool
hire_workers(const MlFit *fit, MlCrew *crew, int wanted, Size bytes)
{
	crew->segment = make_segment(BOARD_BYTES + bytes);
	if (crew->segment == NULL)
	{
		say_alone(fit, psprintf("The server has no %zu bytes of dynamic shared memory to give.", BOARD_BYTES + bytes),
				  "Make /dev/shm larger, set mlops.training_workers to 0, or train on fewer rows.");
		return false;
	}
	crew->board = dsm_segment_address(crew->segment);
	init_board(crew->board, bytes);
	on_dsm_detach(crew->segment, close_board, (Datum) 0);
	while (crew->nworkers < wanted && register_worker(crew))
		crew->nworkers++;
	if (crew->nworkers > 0)
		return true;
	release(crew);
	say_alone(fit, psprintf("The server has no background worker free; %d would be used.", wanted),
			  "See max_worker_processes and max_parallel_workers, or set mlops.training_workers to 0.");
	return false;
}

static void
take_memory(const MlFit *fit, Size bytes)
{
	if (fit->take_memory)
		fit->take_memory(fit->memory_arg, bytes, "memory that training processes share");
}

/* with its workers, if there are any to be had */
static MlCrew *
make_crew(const MlFit *fit, int useful, Size bytes)
{
	MlCrew	   *crew = palloc0(sizeof(MlCrew));
	int			wanted = Min(Min(useful, fit->workers), MAX_WORKERS);

	crew->callback.func = release;
	crew->callback.arg = crew;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &crew->callback);
	crew->me.cxt = CurrentMemoryContext;
	crew->me.size = bytes;
	if (wanted > 0 && hire_workers(fit, crew, wanted, bytes))
		crew->me.shared = (char *) crew->board + BOARD_BYTES;
	return crew;
}

MlCrew *
ml_crew_try(const MlFit *fit, int useful, Size shared_bytes)
{
	Size		left = fit->memory_left ? fit->memory_left(fit->memory_arg) : shared_bytes;
	MlCrew	   *crew;

	if (useful <= 0 || fit->workers <= 0)
		return NULL;
	if (left < shared_bytes)
	{
		say_alone(fit, psprintf("Sharing its rows takes %zu kB more; mlops.max_training_memory leaves %zu kB.",
								shared_bytes / 1024, left / 1024),
				  "Raise mlops.max_training_memory, or set mlops.training_workers to 0.");
		return NULL;
	}
	crew = make_crew(fit, useful, shared_bytes);
	if (crew->nworkers == 0)
		return NULL;
	take_memory(fit, shared_bytes);
	return crew;
}

void *
ml_crew_shared(const MlCrew *crew)
{
	return crew->me.shared;
}

int
ml_crew_workers(const MlCrew *crew)
{
	return crew->nworkers;
}

void
ml_crew_dismiss(MlCrew *crew)
{
	release(crew);
	for (int i = 0; i < crew->nworkers; i++)
		WaitForBackgroundWorkerShutdown(crew->handle[i]);
	crew->nworkers = 0;
}

/* ---- waiting ---- */

/* true as soon as done() is; false after SPIN_US without */
static bool
spin_until(bool (*done) (Board *board), Board *board)
{
	instr_time	start,
				now;

	INSTR_TIME_SET_CURRENT(start);
	do
	{
		for (int i = 0; i < SPINS_PER_LOOK; i++)
		{
			if (done(board))
				return true;
			pg_spin_delay();
		}
		INSTR_TIME_SET_CURRENT(now);
		INSTR_TIME_SUBTRACT(now, start);
	} while (INSTR_TIME_GET_MICROSEC(now) < SPIN_US);
	return false;
}

/* until done(), at whose change somebody sets the latch */
static void
sleep_until(bool (*done) (Board *board), Board *board)
{
	for (;;)
	{
		ResetLatch(MyLatch);
		if (done(board))
			break;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, NAP_MS, PG_WAIT_EXTENSION);
		CHECK_FOR_INTERRUPTS();
	}

	/* the latch may have been set for something else that somebody waits for */
	SetLatch(MyLatch);
}

static bool
run_is_done(Board *board)
{
	return pg_atomic_read_u64(&board->undone) == 0;
}

static bool
worker_has_news(Board *board)
{
	return pg_atomic_read_u64(&board->untaken) > 0 ||
		pg_atomic_read_u32(&board->closed) != 0 || ShutdownRequestPending;
}

/* ---- the leader's run ---- */

static void
raise_failure(const Failure *failure)
{
	ereport(ERROR,
			(errcode(failure->sqlerrcode),
			 errmsg("%s", failure->message),
			 failure->detail[0] != '\0' ? errdetail("%s", failure->detail) : 0,
			 failure->hint[0] != '\0' ? errhint("%s", failure->hint) : 0,
			 errcontext("training worker with PID %d", failure->pid)));
}

static void
publish(MlCrew *crew, uint64 nchunks)
{
	Board	   *board = crew->board;

	pg_atomic_write_u64(&board->undone, nchunks);

	/* a full barrier: the board is complete before a chunk can be taken */
	(void) pg_atomic_exchange_u64(&board->untaken, nchunks);
	if (nchunks < 2)
		return;
	for (int i = 0; i < crew->nworkers; i++)
	{
		PGPROC	   *worker = board->worker[i];

		if (worker != NULL)
			SetLatch(&worker->procLatch);
	}
}

void
ml_crew_run(MlCrew *crew, MlCrewTask task, const void *args, Size size, int64 nchunks)
{
	Board	   *board = crew->board;
	int64		chunk;

	if (size > ML_CREW_MAX_ARGS)
		elog(ERROR, "%zu bytes of arguments are too many for a crew", size);
	if (nchunks <= 0)
		return;
	board->task = task;
	board->nchunks = nchunks;
	if (size > 0)
		memcpy(board->args, args, size);
	publish(crew, nchunks);
	while ((chunk = take_chunk(board)) >= 0)
	{
		run_chunk(&crew->me, board, chunk);
		chunks_done(board, 1);
		CHECK_FOR_INTERRUPTS();
	}
	if (!run_is_done(board) && !spin_until(run_is_done, board))
		sleep_until(run_is_done, board);
	pg_memory_barrier();
	if (pg_atomic_read_u32(&board->failed) != 0)
		raise_failure(&board->failure);
}

/* ---- a worker ---- */

static bool in_chunk = false;

void
ml_crew_look(void)
{
	CHECK_FOR_INTERRUPTS();
	if (in_chunk && ShutdownRequestPending)
		ereport(ERROR,
				(errcode(ERRCODE_ADMIN_SHUTDOWN),
				 errmsg("a training worker ended")));
}

/* the first failure of a crew is kept, and ends the run */
static void
report_failure(Board *board, const ErrorData *error)
{
	uint32		none = 0;
	Failure    *failure = &board->failure;

	if (pg_atomic_compare_exchange_u32(&board->failed, &none, 1))
	{
		failure->sqlerrcode = error->sqlerrcode;
		failure->pid = MyProcPid;
		strlcpy(failure->message, error->message ? error->message : "", sizeof(failure->message));
		strlcpy(failure->detail, error->detail ? error->detail : "", sizeof(failure->detail));
		strlcpy(failure->hint, error->hint ? error->hint : "", sizeof(failure->hint));
	}
	abandon_run(board);
}

/* a worker that ends in the middle of a chunk must not leave the leader waiting */
static void
worker_leaves(dsm_segment *segment, Datum place)
{
	Board	   *board = dsm_segment_address(segment);
	ErrorData	error = {.sqlerrcode = ERRCODE_ADMIN_SHUTDOWN, .message = "a training worker ended"};

	board->worker[DatumGetInt32(place)] = NULL;
	if (!in_chunk)
		return;
	in_chunk = false;
	report_failure(board, &error);
	chunks_done(board, 1);
}

static void
work_chunk(MlCrewMember *me, Board *board, int64 chunk)
{
	in_chunk = true;
	PG_TRY();
	{
		run_chunk(me, board, chunk);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(me->cxt);
		error = CopyErrorData();
		FlushErrorState();
		report_failure(board, error);
		FreeErrorData(error);
	}
	PG_END_TRY();
	in_chunk = false;
	chunks_done(board, 1);
}

static void
work_until_closed(MlCrewMember *me, Board *board)
{
	for (;;)
	{
		int64		chunk = -1;

		if (pg_atomic_read_u32(&board->closed) != 0 || ShutdownRequestPending)
			return;
		chunk = take_chunk(board);
		if (chunk >= 0)
			work_chunk(me, board, chunk);
		else if (!spin_until(worker_has_news, board))
			sleep_until(worker_has_news, board);
	}
}

/* NULL: the leader has gone already */
static dsm_segment *
join(uint32 handle, MlCrewMember *me)
{
	dsm_segment *segment;
	Board	   *board;

	CurrentResourceOwner = ResourceOwnerCreate(NULL, "mlops training worker");
	segment = dsm_attach(handle);
	if (segment == NULL)
		return NULL;
	board = dsm_segment_address(segment);
	if (board->magic != BOARD_MAGIC)
		return NULL;
	me->number = 1 + (int) pg_atomic_fetch_add_u32(&board->nworkers, 1);
	if (me->number > MAX_WORKERS)
		return NULL;
	board->worker[me->number - 1] = MyProc;
	on_dsm_detach(segment, worker_leaves, Int32GetDatum(me->number - 1));

	/* whoever publishes from now on sees the place; what was published before, we see */
	pg_memory_barrier();
	me->shared = (char *) board + BOARD_BYTES;
	me->size = board->size;
	return segment;
}

void
ml_crew_work(uint32 handle)
{
	MlCrewMember me = {0};
	dsm_segment *segment;

	me.cxt = AllocSetContextCreate(TopMemoryContext, "mlops training worker", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(me.cxt);
	segment = join(handle, &me);
	if (segment != NULL)
		work_until_closed(&me, dsm_segment_address(segment));
}
