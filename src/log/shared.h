/*
 * shared.h
 *		Pieces of shared memory of this room, each with locks of its own.
 */
#ifndef ML_LOG_SHARED_H
#define ML_LOG_SHARED_H

#include "postgres.h"

#include "storage/lwlock.h"

typedef struct MlSharedPiece
{
	const char *name;
	const char *tranche;		/* of its locks */
	int			nlocks;
	Size		(*size) (void);	/* bytes; settings are read by then */

	/* in every process that begins; is_new: to be filled in, by the postmaster */
	void		(*attach) (void *memory, LWLockPadded *locks, bool is_new);
} MlSharedPiece;

/* to be called once, while shared_preload_libraries are loaded */
extern void ml_shared_request(void);

#endif							/* ML_LOG_SHARED_H */
