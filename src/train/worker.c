/*
 * worker.c
 *		A background worker that helps a session to fit (learn/crew.h): a
 *		process of the server without a database, a user or a transaction, that
 *		sees nothing but the memory which the session shares with it.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "train/learn_link.h"

/* the postmaster looks for it by name */
#pragma GCC visibility push(default)
void		mlops_training_worker(Datum handle);
#pragma GCC visibility pop

/* handle is that of the shared memory */
void
mlops_training_worker(Datum handle)
{
	/* asked to end, it ends between two chunks and has nothing to say about it */
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	ml_learn()->work(DatumGetUInt32(handle));
}
