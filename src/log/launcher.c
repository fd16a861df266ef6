/*
 * launcher.c
 *		Starts a log writer for every database with calls that wait.
 *
 * The launcher is connected to no database, so it is in nobody's way; it
 * sleeps until a producer finds that its queue has no worker. It starts after
 * recovery: on a standby with its promotion. Writers are dynamic workers (they
 * count among max_worker_processes); where none can be had it tries again.
 */
#include "postgres.h"

#include "log/launcher.h"
#include "log/ring.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/memutils.h"

#define RESTART_SECONDS	5

/* the postmaster looks for it by name */
#pragma GCC visibility push(default)
void		mlops_log_launcher(Datum unused);
#pragma GCC visibility pop

void
ml_launcher_register(void)
{
	BackgroundWorker worker = {0};

	strlcpy(worker.bgw_name, "mlops log launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "mlops log launcher", BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = RESTART_SECONDS;
	strlcpy(worker.bgw_library_name, "mlops", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "mlops_log_launcher", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}

static bool
start_writer(int slot, Oid database, BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker = {0};

	snprintf(worker.bgw_name, BGW_MAXLEN, "mlops log writer for database %u", database);
	strlcpy(worker.bgw_type, "mlops log writer", BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "mlops", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "mlops_log_writer", BGW_MAXLEN);
	worker.bgw_main_arg = Int32GetDatum(slot);
	worker.bgw_notify_pid = MyProcPid;
	return RegisterDynamicBackgroundWorker(&worker, handle);
}

/* a writer that is gone without having come to its slot has failed */
static void
look_after(int slot, BackgroundWorkerHandle **handle)
{
	pid_t		pid;

	if (*handle == NULL || GetBackgroundWorkerPid(*handle, &pid) != BGWH_STOPPED)
		return;
	pfree(*handle);
	*handle = NULL;
	ml_ring_hire_failed(slot);
}

static void
leave(int code, Datum unused)
{
	ml_ring_launcher_is(NULL);
}

void
mlops_log_launcher(Datum unused)
{
	BackgroundWorkerHandle **handle;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	handle = MemoryContextAllocZero(TopMemoryContext, sizeof(*handle) * ml_ring_nslots());
	before_shmem_exit(leave, (Datum) 0);
	ml_ring_launcher_is(MyLatch);
	while (!ShutdownRequestPending)
	{
		long		timeout;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < ml_ring_nslots(); i++)
		{
			Oid			database;

			look_after(i, &handle[i]);
			if (handle[i] == NULL && ml_ring_hire(i, &database) &&
				!start_writer(i, database, &handle[i]))
				ml_ring_hire_failed(i);
		}
		timeout = ml_ring_hire_timeout();
		WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (timeout < 0 ? 0 : WL_TIMEOUT),
				  timeout, PG_WAIT_EXTENSION);
	}
	/* 0 would end it for good; a server that shuts down starts nothing anyhow */
	proc_exit(1);
}
