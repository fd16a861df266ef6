/*
 * writer.c
 *		The background worker that writes what was logged in one database.
 *
 * It looks twice in a flush interval, so that a call waits for half of it at
 * most before its transaction begins, and writes what it finds, or a quarter of the ring if
 * that is less, in a transaction that is flushed to this server's disk; it
 * waits for no standby. What it took is free only after the commit. An error
 * ends the worker, which puts back what it had; the launcher starts another.
 *
 * Serving statistics that are due are written after calls, in a transaction of
 * their own; what waits of them does not keep the worker, since the launcher
 * starts one when they are due.
 *
 * It holds nothing between two looks, and leaves after three seconds without
 * work: a database that is to be dropped or copied waits for five.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "log/counts.h"
#include "log/log.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "settings.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define IDLE_MS				3000
#define PARTITION_RETRY_MS	60000

/* the postmaster looks for it by name */
#pragma GCC visibility push(default)
void		mlops_log_writer(Datum slot);
#pragma GCC visibility pop

static TimestampTz partitions_at = 0;	/* not to be tried before */
static bool detached = false;

/* what was taken of serving statistics, until it is written */
static Oid	database = InvalidOid;
static MemoryContext taken_cxt = NULL;
static List *taken_counts = NIL;

static void
put_counts_back(int slot)
{
	if (taken_counts == NIL)
		return;
	ml_counts_put_back(taken_counts);
	taken_counts = NIL;
	ml_ring_statistics_later(slot, ml_statistics_flush_interval_ms);
}

/* after the transaction has been aborted */
static void
leave(int code, Datum slot)
{
	put_counts_back(DatumGetInt32(slot));
	if (!detached)
		ml_ring_detach(DatumGetInt32(slot));
}

/* settings that a database or a role may have, and that the writer must not follow */
static void
settle(void)
{
	SetConfigOption("default_transaction_read_only", "off", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_deferrable", "off", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("synchronous_commit", "local", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("statement_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("lock_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	/* servers from 17 on have it */
	if (GetConfigOption("transaction_timeout", true, false) != NULL)
		SetConfigOption("transaction_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("jit", "off", PGC_SUSET, PGC_S_OVERRIDE);
}

static void
begin(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
}

static void
commit(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* an error has ended a transaction that is none of the log's */
static void
give_way(MemoryContext cxt)
{
	HOLD_INTERRUPTS();
	EmitErrorReport();
	AbortCurrentTransaction();
	MemoryContextSwitchTo(cxt);
	FlushErrorState();
	RESUME_INTERRUPTS();
}

/* rows have a default partition to go to: not getting a better one is no reason to stop */
static void
make_partitions(void)
{
	TimestampTz now = GetCurrentTimestamp();
	MemoryContext cxt = CurrentMemoryContext;

	if (now < partitions_at)
		return;
	PG_TRY();
	{
		begin();
		if (ml_log_has_tables())
			ml_log_make_partitions(now);
		commit();
	}
	PG_CATCH();
	{
		give_way(cxt);
		partitions_at = TimestampTzPlusMilliseconds(now, PARTITION_RETRY_MS);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
}

/* true: there may be more */
static bool
write_some(int slot)
{
	uint64		lost[ML_NLOSSES];
	uint64		taken = ml_ring_take(slot);
	bool		losses;
	uint64		written = 0;

	losses = ml_ring_unreported(slot, lost);
	if (taken == 0 && !losses)
		return false;
	pgstat_report_activity(STATE_RUNNING, "writing logged predictions");
	if (taken > 0)
		make_partitions();
	begin();
	if (ml_log_has_tables())
	{
		if (taken > 0)
			written = ml_log_write_taken(slot, taken);
		if (losses)
			ml_log_write_losses(lost);
	}
	HOLD_INTERRUPTS();
	commit();
	ml_ring_done(slot, written, ML_LOSS_GONE);
	if (losses)
		ml_ring_reported(slot, lost);
	RESUME_INTERRUPTS();
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
	return taken > 0;
}

static uint64
count_rows(const List *taken)
{
	uint64		rows = 0;
	ListCell   *cell;

	foreach(cell, taken)
		rows += ((MlTakenCounts *) lfirst(cell))->counter[ML_COUNT_ROWS];
	return rows;
}

/* in a transaction of their own; those of models that somebody is about to drop go back */
static void
write_counts(int slot)
{
	MemoryContext old = MemoryContextSwitchTo(taken_cxt);
	List	   *later = NIL;
	uint64		written = 0;
	uint64		rows;

	ml_counts_take(database, &taken_counts);
	rows = count_rows(taken_counts);
	MemoryContextSwitchTo(old);
	pgstat_report_activity(STATE_RUNNING, "writing serving statistics");
	begin();
	if (ml_counts_have_tables())
		written = ml_counts_write(taken_counts, taken_cxt, &later);
	HOLD_INTERRUPTS();
	commit();
	ml_counts_written(database, written, rows - written - count_rows(later));
	taken_counts = later;
	put_counts_back(slot);
	RESUME_INTERRUPTS();
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* statistics that cannot be written are no reason to stop: they stay where they were for a while */
static void
write_due_counts(int slot)
{
	MemoryContext cxt = CurrentMemoryContext;

	if (!ml_ring_statistics_due(slot))
		return;
	PG_TRY();
	{
		write_counts(slot);
		ml_ring_statistics_written(slot);
	}
	PG_CATCH();
	{
		give_way(cxt);
		put_counts_back(slot);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	MemoryContextReset(taken_cxt);
}

void
mlops_log_writer(Datum argument)
{
	int			slot = DatumGetInt32(argument);
	MemoryContext cxt;
	TimestampTz busy;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	if (!ml_ring_attach(slot, MyLatch, &database))
		proc_exit(0);
	before_shmem_exit(leave, argument);
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, BGWORKER_BYPASS_ALLOWCONN);
	ml_ring_connected(slot);
	settle();
	cxt = AllocSetContextCreate(TopMemoryContext, "mlops log writer", ALLOCSET_DEFAULT_SIZES);
	taken_cxt = AllocSetContextCreate(TopMemoryContext, "mlops statistics taken", ALLOCSET_DEFAULT_SIZES);
	busy = GetCurrentTimestamp();
	for (;;)
	{
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			settle();
		}
		MemoryContextSwitchTo(cxt);
		while (write_some(slot))
		{
			busy = GetCurrentTimestamp();
			MemoryContextReset(cxt);
			MemoryContextSwitchTo(cxt);
			if (!ml_ring_is_pressed(slot))
				break;
		}
		write_due_counts(slot);
		if (TimestampDifferenceExceeds(busy, GetCurrentTimestamp(), IDLE_MS))
			detached = ml_ring_detach_if_idle(slot);
		if (detached)
			proc_exit(0);
		WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
				  Max(ml_log_flush_interval_ms / 2, 1), PG_WAIT_EXTENSION);
	}
}
