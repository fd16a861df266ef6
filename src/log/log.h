/*
 * log.h
 *		What the files of log/ share: samples, rows, partitions, losses.
 */
#ifndef ML_LOG_H
#define ML_LOG_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "compat.h"
#include "datatype/timestamp.h"
#include "fmgr.h"
#include "log/ring.h"
#include "nodes/pg_list.h"
#include "utils/tuplestore.h"

/* ---- in _PG_init of a library that is preloaded ---- */

extern void ml_watch_preload(void);

/* ---- the sample of keys that is logged (sample.c) ---- */

/* by which samples of calls go; key NULL: of some call without one */
extern uint64 ml_watch_hash(const char *model, const char *key, int length);

/* is it in the sample that ml_hash_limit() gave this limit? */
static inline bool
ml_watch_in_sample(uint64 hash, uint64 limit)
{
	return hash < limit || limit == PG_UINT64_MAX;
}

/* ---- rows (log_rows.c) ---- */

#define ML_LOG_NCOLUMNS	14

typedef struct MlLogColumn
{
	const char *name;
	Oid			type;
	bool		not_null;
} MlLogColumn;

/* in the order of the table */
extern const MlLogColumn ml_log_columns[ML_LOG_NCOLUMNS];

typedef struct MlLogDay MlLogDay;

typedef struct MlLogRows
{
	MemoryContext cxt;			/* of a row */
	MemoryContext model_cxt;	/* of models */
	List	   *models;			/* that rows are of */
	TupleDesc	desc;
	Tuplestorestate *store;
	uint64		n;				/* in it */
	MlLogDay   *day;			/* rows of this day do not go into it; NULL: there is none */
	List	   *costs;			/* of shadows (log_shadows.c) */
	int			process;		/* whose rows of costs: 0 is the log writer */
} MlLogRows;

extern void ml_log_rows_begin(MlLogRows *rows, int process);
extern void ml_log_rows_add(MlLogRows *rows, const MlLogCall *call);

/* into mlops_catalog.prediction; how many */
extern uint64 ml_log_rows_write(MlLogRows *rows);

/* batch.c: what was taken of a slot of the ring; how many are in the table */
extern uint64 ml_log_write_taken(int slot, uint64 taken);

/* ---- the short way into the table of a day (log_day.c); inside a scope ---- */

/* the day that has the moment; NULL: there is no short way */
extern MlLogDay *ml_log_day_open(TimestampTz at);
extern bool ml_log_day_has(const MlLogDay *day, TimestampTz at);

/* a row, in the order of ml_log_columns; its values are copied */
extern void ml_log_day_add(MlLogDay *day, const Datum *value, const bool *isnull);

/* how many rows were written */
extern uint64 ml_log_day_close(MlLogDay *day);

/* log_shadows.c: what shadows said of a call as jsonb, and what it cost is added up; inside a scope: written */
extern Datum ml_log_shadows(MlLogRows *rows, const MlLogCall *call);
extern void ml_log_write_costs(const MlLogRows *rows);

/* when a model was made; DT_NOEND: it is not there */
extern TimestampTz ml_log_model_created(const char *model);

/* keeps it from being dropped until the transaction ends; false: somebody is about to drop it. Inside a scope */
extern bool ml_log_hold_model(const char *model);

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

#define ML_WATCH_LONGEST	(1000.0 * DAYS_PER_YEAR * USECS_PER_DAY)

/* microseconds of an interval, months of 30 days; more than a thousand years are a thousand */
extern int64 ml_watch_interval(const Interval *interval);
extern void ml_watch_say_not_preloaded(const char *verb);

/* 22023 unless they make [as_of - delay - period, as_of - delay); lengths in microseconds */
extern void ml_watch_require_period(int64 period, int64 delay, TimestampTz as_of);

/* 22023 for an as_of that is infinite, or so long ago that windows before it leave the range of times */
extern void ml_watch_require_moment(TimestampTz as_of);
ml_noreturn extern void ml_watch_refuse_length(const char *argument, const char *detail);

extern const char *const ml_loss_names[ML_NLOSSES];

#endif							/* ML_LOG_H */
