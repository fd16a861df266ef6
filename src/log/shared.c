/*
 * shared.c
 *		The shared memory of the log and of serving statistics: asked for when the
 *		server loads the library, made by the postmaster, and again after every
 *		crash.
 */
#include "postgres.h"

#include "compat.h"
#include "log/counts.h"
#include "log/ring.h"
#include "log/shared.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

static MlShmemRequestHook previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

static const MlSharedPiece *const pieces[] = {&ml_ring_piece, &ml_counts_piece};

static void
request(void)
{
	if (previous_request)
		previous_request();
	for (int i = 0; i < lengthof(pieces); i++)
	{
		RequestAddinShmemSpace(pieces[i]->size());
		RequestNamedLWLockTranche(pieces[i]->tranche, pieces[i]->nlocks);
	}
}

static void
startup(void)
{
	if (previous_startup)
		previous_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	for (int i = 0; i < lengthof(pieces); i++)
	{
		bool		found;
		void	   *memory = ShmemInitStruct(pieces[i]->name, pieces[i]->size(), &found);

		pieces[i]->attach(memory, GetNamedLWLockTranche(pieces[i]->tranche), !found);
	}
	LWLockRelease(AddinShmemInitLock);
}

void
ml_shared_request(void)
{
	ml_request_shmem(request, previous_request);
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = startup;
}
