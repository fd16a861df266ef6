/*
 * ring.h
 *		Calls of mlops_predict on their way from whoever made them to the table:
 *		the shared memory between scoring backends and the log writer.
 */
#ifndef ML_RING_H
#define ML_RING_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "log/shared.h"
#include "score/key.h"

struct Latch;

#define ML_LABEL_MAX	1023

/* one call that is to be logged; texts need no terminator */
typedef struct MlLogCall
{
	TimestampTz at;
	double		prediction;		/* NaN: none */
	float		latency;		/* microseconds */
	int			version;
	int			deployment;		/* 0: the reference names a version */
	uint64		rules;			/* bit i: rule i of the set fired */
	uint64		errors;			/* ... had something without a value */
	uint64		checks;			/* bit i: check i of the set failed */
	bool		has_rules;		/* they were asked */
	bool		has_checks;
	const char *model;
	int			nmodel;			/* below NAMEDATALEN, as nrole is */
	const char *role;
	int			nrole;
	const char *key;			/* NULL: none */
	int			nkey;			/* at most ML_KEY_MAX */
	const char *label;			/* NULL: none */
	int			nlabel;			/* at most ML_LABEL_MAX */
	const char *input;			/* JSON text; NULL: none */
	int			ninput;			/* what does not fit into a block is left out */
	const char *shadows;		/* packed (score/shadow.h); likewise */
	int			nshadows;
} MlLogCall;

/* a call as it lies in the ring */
typedef struct MlRingEntry MlRingEntry;

/* why a call is not in the table */
typedef enum MlLogLoss
{
	ML_LOSS_FULL,				/* the ring was full for longer than mlops.log_wait */
	ML_LOSS_STANDBY,			/* nothing can be written during recovery */
	ML_LOSS_GONE,				/* of a model, or of an extension, that is not there (any more) */
	ML_LOSS_UNREACHABLE,		/* no worker could connect to the database, or write */
	ML_NLOSSES
} MlLogLoss;

typedef struct MlRingCounts
{
	uint64		calls;			/* that were to be logged */
	uint64		written;		/* committed */
	uint64		waiting;
	uint64		lost[ML_NLOSSES];
	bool		has_worker;
} MlRingCounts;

extern const MlSharedPiece ml_ring_piece;

/* is there a ring? */
extern bool ml_ring_exists(void);

/* ---- scoring backends ---- */

/* puts a call into the queue of the session's database, or counts it; raises nothing but a cancel */
extern void ml_ring_put(const MlLogCall *call);

/* of the session's database; false: nothing was ever to be logged there since the server started */
extern bool ml_ring_counts(MlRingCounts *counts);

/* calls that are in nobody's counts: more databases log at once than there are places */
extern uint64 ml_ring_homeless(void);

/* has the worker of the session's database write now; false: nothing waits */
extern bool ml_ring_hurry(void);

/* serving statistics of the session's database are to be written in so many milliseconds; false: there is no slot */
extern bool ml_ring_want_statistics(int delay);

/* ---- the launcher ---- */

extern int	ml_ring_nslots(void);
extern void ml_ring_launcher_is(struct Latch *latch);	/* NULL: gone */

/* a slot that needs a worker becomes one that gets it; false: it needs none now */
extern bool ml_ring_hire(int slot, Oid *database);

/* no worker came of it; after several times what waits is given up */
extern void ml_ring_hire_failed(int slot);

/* milliseconds until a slot may be tried again; -1: none waits */
extern long ml_ring_hire_timeout(void);

/* ---- the worker of a slot ---- */

/* false: there is one already */
extern bool ml_ring_attach(int slot, struct Latch *latch, Oid *database);
extern void ml_ring_connected(int slot);

/* puts back what was taken and leaves the slot */
extern void ml_ring_detach(int slot);

/* leaves the slot if nothing waits there; false: stay */
extern bool ml_ring_detach_if_idle(int slot);

/* is there more than a block of them? */
extern bool ml_ring_is_pressed(int slot);

/* takes the oldest calls out of the queue, a part of the ring at most; their number */
extern uint64 ml_ring_take(int slot);

/* the next of those taken, NULL: that was the last; it stays where it is until ml_ring_done */
extern const MlRingEntry *ml_ring_next(int slot);

/* texts of the call point into the entry */
extern void ml_ring_read(const MlRingEntry *entry, MlLogCall *call);

/* what was taken has been committed: so many rows, the others lost */
extern void ml_ring_done(int slot, uint64 written, MlLogLoss reason);

/* are serving statistics due? Then the worker is the one to write them */
extern bool ml_ring_statistics_due(int slot);

/* it has; failures before are forgotten */
extern void ml_ring_statistics_written(int slot);

/* it could not, and tries again in so many milliseconds */
extern void ml_ring_statistics_later(int slot, int delay);

/* what was lost and not been reported yet; the worker says when it has */
extern bool ml_ring_unreported(int slot, uint64 *lost);
extern void ml_ring_reported(int slot, const uint64 *lost);

#endif							/* ML_RING_H */
