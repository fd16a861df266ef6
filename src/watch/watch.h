/*
 * watch.h
 *		What the files of watch/ share: keys, rows of the log, outcomes.
 */
#ifndef ML_WATCH_H
#define ML_WATCH_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "datatype/timestamp.h"
#include "fmgr.h"
#include "nodes/pg_list.h"
#include "utils/tuplestore.h"
#include "watch/ring.h"

/* ---- in _PG_init of a library that is preloaded ---- */

extern void ml_watch_preload(void);

/* ---- the sample of keys that is logged (sample.c) ---- */

/* is the key, NULL: some call without one, in the sample that limit stands for? */
extern bool ml_watch_in_sample(const char *model, const char *key, int length, uint64 limit);
extern uint64 ml_watch_sample_limit(double sample);

/* ---- rows (log_rows.c) ---- */

typedef struct MlLogRows
{
	MemoryContext cxt;			/* of a row */
	MemoryContext model_cxt;	/* of models */
	List	   *models;			/* that rows are of */
	TupleDesc	desc;
	Tuplestorestate *store;
	uint64		n;				/* those of models that are not there do not count */
} MlLogRows;

extern void ml_log_rows_begin(MlLogRows *rows);
extern void ml_log_rows_add(MlLogRows *rows, const MlLogCall *call);

/* into mlops_catalog.prediction; how many */
extern uint64 ml_log_rows_write(MlLogRows *rows);

/* when a model was made; DT_NOEND: it is not there */
extern TimestampTz ml_log_model_created(const char *model);

/* what was counted instead of logged; reasons as in MlLogLoss */
extern void ml_log_write_losses(const uint64 *lost);

/* ---- partitions (partition.c) ---- */

/* makes those of the day of at and the next; false: they are there. Inside no scope */
extern bool ml_log_make_partitions(TimestampTz at);

/*
 * Drops days, and rows of no day, that are older than so many days; 0 keeps all. Without wait an error
 * (55P03) if the log is being read. Checks no privilege.
 */
extern int	ml_log_prune(int days, TimestampTz as_of, bool wait);

/* does the database have the extension? */
extern bool ml_log_has_tables(void);

/* microseconds of an interval, months of 30 days; more than a thousand years are a thousand */
extern int64 ml_watch_interval(const Interval *interval);

/* ---- forget.c ---- */

/* erases predictions and outcomes of a key, as it was given; how many. Checks no privilege */
extern int64 ml_watch_forget(const char *model, const char *key);

extern const char *const ml_loss_names[ML_NLOSSES];

#endif							/* ML_WATCH_H */
