/*
 * set.h
 *		What the files of this room share: a set as its catalog row says, and
 *		what its pieces do for one another. Private to validate/.
 *
 * Nobody's code runs as somebody else. Whatever somebody wrote - source, slice,
 * the types of the source's columns with their casts - runs in a query as its
 * author, whose rows a receiver takes (read.c). What the owner of the extension
 * stores, compares and reads again has built-in types only: a domain becomes its base type,
 * what has a cast to an array of numbers that array, an enum and everything else
 * its text, all cast by the author's query. So no statement of the owner can
 * reach a function, an operator, a cast or a check that a user made, now or
 * when the table is restored.
 */
#ifndef ML_SET_H
#define ML_SET_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "budget.h"
#include "datatype/timestamp.h"
#include "executor/tuptable.h"
#include "frame/hash.h"
#include "nodes/pg_list.h"
#include "tcop/dest.h"
#include "registry/author.h"
#include "registry/registry_catalog.h"
#include "storage/itemptr.h"
#include "utils/jsonb.h"
#include "utils/queryenvironment.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#define ML_DATA_SCHEMA			"mlops_data"
#define ML_BUCKETS				50	/* that a period is cut into; a window touches one more */
#define ML_SET_MIN_MAX_ROWS		100	/* of max_rows: every bucket can have a row */
#define ML_SET_MOST_MAX_ROWS	1000000000
#define ML_MAX_SLICE_VALUES		200 /* of a column or of two */

#define ML_MAX_SAMPLE_GROUPS			1000	/* classes and values of stratify_by that are told apart */

/* columns of ours, before those of the source */
#define ML_OWN_COLUMNS			9

typedef struct MlSetColumn
{
	char	   *name;
	char	   *type;			/* in the source, as formatted with its schema */
	char	   *stored;			/* in the table: a built-in type */
	Oid			stored_type;
	int32		stored_typmod;
} MlSetColumn;

/* how a time column is counted */
typedef enum MlClock
{
	ML_CLOCK_NONE,				/* no time column: one bucket, all is read again */
	ML_CLOCK_TIMESTAMPTZ,		/* microseconds */
	ML_CLOCK_TIMESTAMP,			/* microseconds, of the author's time zone */
	ML_CLOCK_DATE,				/* days */
	ML_CLOCK_INTEGER			/* time units since an origin */
} MlClock;

typedef struct MlSetSlice
{
	int			number;
	char	   *name;
	int			ncolumns;		/* 1 or 2: a value of columns; 0: a condition */
	char	   *column[2];
	char	   *value[2];		/* NULL: the columns are NULL */
	char	   *condition;
	MlAuthor	author;
	int64		min_rows;
	bool		fresh;			/* found by this refresh: not stored yet */
} MlSetSlice;

/* an element of the argument slices that names columns: a slice for every value */
typedef struct MlSliceBy
{
	int			ncolumns;
	char	   *column[2];
	int			nvalues;
	bool		told;			/* that there are too many values */
} MlSliceBy;

/* rows of a class or of values of stratify_by, of which a minimum is kept */
typedef struct MlSetGroup
{
	char	   *name;
	int			number;
	int64		kept;			/* in the newest edition, pinned ones left out */
} MlSetGroup;

typedef struct MlSet
{
	char	   *model;
	char	   *name;
	char	   *relation;		/* in ML_DATA_SCHEMA */
	MlAuthor	author;
	char	   *source;
	char	   *target;			/* NULL: none */
	char	   *key;
	char	   *time_column;	/* NULL: none */
	Interval   *time_unit;		/* NULL but for integers */
	TimestampTz time_origin;
	Interval   *period;			/* NULL without a time column */
	Interval   *label_delay;
	Interval   *lateness;
	Interval   *every;			/* NULL: with every tick */
	int64		max_rows;
	int64		min_rows;
	bool		classes;		/* a minimum of each class is kept */
	int64		seed;
	bool		frozen;
	MlClock		clock;
	int			ncolumns;
	MlSetColumn *column;
	int			target_at;		/* -1: none */
	int			key_at;
	int			time_at;
	int			nby;
	MlSliceBy  *by;
	int			nstratify;
	char	  **stratify;
	int			nslices;
	MlSetSlice *slice;			/* ascending by number */
	int			last_slice;
	int			ngroups;
	MlSetGroup    *group;
	int			edition;		/* 0: none yet */
	TimestampTz as_of;
	bool		has_watermark;
	int64		watermark;		/* the source was read up to here */
} MlSet;

/* ---- set.c: rows of mlops_catalog.validation_set ---- */

/*
 * The set of that name, NULL the only one of the model: 42704, 55000. Privileges
 * are the caller's business. lock: until the transaction ends, for whoever changes it.
 */
extern MlSet *ml_set_open(const char *model, const char *name, bool lock);

/* locked; NULL if somebody else has it locked, or it is gone */
extern MlSet *ml_set_open_free(const char *model, const char *name);

/* the author of a source or a slice, in words for errors */
extern void ml_set_authored(const MlSet *set, const char *what, MlAuthored *authored);

extern int	ml_set_find_column(const MlSet *set, const char *name);	/* -1 */

/*
 * Can the text be a value of the column, as it is stored? Types are built in: reading it runs no code of a
 * user, but may raise, so that it needs a subtransaction.
 */
extern bool ml_is_value(const MlSetColumn *column, const char *text);

/* 55000 if it has none yet, 42704 for one that is not there */
ml_noreturn extern void ml_error_no_edition(const MlSet *set, int edition);
extern char *ml_set_key_text(const MlSet *set, MinimalTuple tuple);
extern char *ml_set_table(const MlSet *set);	/* qualified and quoted */
extern char *ml_set_column_list(const MlSet *set, const char *prefix);
extern TupleDesc ml_set_desc(const MlSet *set);	/* the columns of the source, as stored */

/* within an array of texts */
extern char **ml_set_texts(Datum array, int *n);

/* ---- shape.c: the columns of a source ---- */

extern void ml_shape_read(const char *source, int *n, MlSetColumn **column);
extern char *ml_shape_json_text(int n, const MlSetColumn *column);
extern void ml_shape_from_json(Jsonb *columns, int *n, MlSetColumn **column);

/* 55000 naming what was added, removed and changed since the set was made; inside the author's scope */
extern void ml_shape_check(const MlSet *set);

/* ---- clock.c: time ---- */

typedef struct MlWindow
{
	int64		from;			/* [from, to) in the unit of the clock */
	int64		to;
	int64		read_from;		/* first that must be read: the start of a bucket, or from */
	int64		width;			/* of a bucket */
	int64		first_bucket;	/* of the window */
	int64		read_bucket;	/* from here on buckets are read again */
	bool		cut;			/* the window begins within its first bucket */
} MlWindow;

extern MlClock ml_clock_of(Oid type);	/* ML_CLOCK_NONE: it cannot be a time column */

/* 22023 for a period, delay or unit that cannot be */
extern void ml_clock_check(const MlSet *set);
extern void ml_clock_window(const MlSet *set, TimestampTz as_of, MlWindow *window);
extern int64 ml_clock_value(MlClock clock, Oid type, Datum value, bool *infinite);
extern int64 ml_clock_bucket(const MlWindow *window, int64 value);
extern char *ml_clock_literal(const MlSet *set, int64 value);	/* SQL, of the column's type */
extern char *ml_clock_text(const MlSet *set, int64 value);	/* for people */
extern int64 ml_interval_usec(const Interval *interval);	/* a month is 30 days */
extern char *ml_interval_text(const Interval *interval);

/* ---- read.c: rows out of an author's query ---- */

/* one row that may be kept */
typedef struct MlCandidate
{
	uint64		priority;		/* the least are kept */
	uint64		key_hash;
	MlHash128	fingerprint;
	MinimalTuple tuple;			/* of ml_set_desc() */
} MlCandidate;

/* rows of a bucket that are alike: same slices, class, values of stratify_by */
typedef struct MlCell
{
	int64		bucket;			/* these two are the key */
	int			kind;
	int64		population;
	int			n;
	int			capacity;
	MlCandidate *candidate;
	uint64		limit;			/* rows of a greater priority were let go */
} MlCell;

/* what the rows of cells are in */
typedef struct MlKindOfRow
{
	uint64		hash;
	int			nslices;
	int32	   *slice;			/* numbers, ascending */
	int			ngroups;
	int32	   *group;			/* numbers, ascending; class first */
} MlKindOfRow;

typedef struct MlSetReading
{
	MlSet	   *set;
	const MlWindow *window;
	bool		unlabelled;		/* rows without a label are what is asked for */
	MemoryContext cxt;			/* all of it */
	MlBudget   *budget;
	int			ncells;
	MlCell	  **cell;			/* in no order */
	int			nkinds;
	int			kinds_capacity;
	MlKindOfRow *kind;
	int64		rows_read;
	int64		no_key;
	int64		no_label;
	int64		no_time;		/* counted by the first edition only */
	int64		ncandidates;
	struct MlReadState *state;	/* private to read.c */
} MlSetReading;

/* the window of a set's source, as its author under the active snapshot; NULL window: rows of these keys */
extern void ml_read_window(MlSetReading *reading);
/* rows that have no label in the source, of any time */
extern void ml_read_unlabelled(MlSetReading *reading);
extern void ml_read_keys(MlSetReading *reading, char *const *key, const char *const *label, int n);

/* runs a query of ours around what an author wrote; env can be NULL */
extern void ml_read_run(const char *text, QueryEnvironment *env, DestReceiver *receiver, const char *context);

/* the fingerprint of a row as stored: of built-in types, independent of the order of columns */
extern MlHash128 ml_row_fingerprint(TupleDesc desc, const MlHashSecret *secret, const Datum *values, const bool *nulls);
extern MlHashSecret *ml_row_secrets(const MlSet *set);

/* ---- sample.c: which rows are kept ---- */

/* rows of a bucket that are drawn alike */
typedef struct MlStratum
{
	int64		bucket;			/* these two are the key */
	int32		stratum;
	int64		population;
	int64		kept;			/* of an old one: rows that are still there */
	int64		guarded;		/* of these are needed for a minimum */
	double		weight;			/* of an old one */
	int64		take;			/* result: how many to keep */
	int			ncells;			/* of a new one */
	MlCell	  **cell;
	double		rate;			/* that a minimum asks for; 0: none */
} MlStratum;

#define ML_STRATUM_KEY_SIZE		(offsetof(MlStratum, stratum) + sizeof(int32))

typedef struct MlPlan
{
	int			nold;
	MlStratum **old;			/* what stays of earlier readings */
	int			nnew;
	MlStratum  *new;
	bool		thin;			/* less is to be kept of old ones */
} MlPlan;

/* rows that stay, by number (0 not used), and how many there must be */
typedef struct MlNeeds
{
	int			nslices;
	int64	   *slice_kept;
	int64	   *slice_min;
	int			ngroups;
	int64	   *group_kept;
	int64		group_min;
} MlNeeds;

extern void ml_sample_plan(const MlSetReading *reading, const MlNeeds *needs, MlPlan *plan);

typedef struct MlDrawn
{
	MlCandidate *row;
	int			kind;
} MlDrawn;

/* the rows of a new stratum in the order of their priorities; n of them can be drawn */
extern MlDrawn *ml_sample_rows(const MlStratum *stratum, int64 *n);

/* ---- slice.c ---- */

/* 'plan', 'plan, country', 'plan x country': columns of the source; else 0 */
extern int	ml_slice_columns(int n, const MlSetColumn *column, const char *text, char **name);

/* ml_slice_check over the rows of a set, as they are stored */
extern void ml_slice_check_rows(const MlSet *set, const char *condition, const char *name);
extern MlSetSlice *ml_slice_of_value(MlSet *set, MlSliceBy *by, char *const *value);
extern void ml_slices_store(MlSet *set);	/* inside a scope: those that are fresh */

/* slices of conditions that somebody else than the set's author wrote, decided for rows; one int32 list a row */
extern void ml_slices_of_others(MlSet *set, int64 n, MinimalTuple *tuple, List **slices);
extern void ml_slice_decide(const MlSet *set, const MlSetSlice *slice, int64 n, MinimalTuple *tuple, List **slices);
extern bool ml_slice_is_own(const MlSet *set, const MlSetSlice *slice);

/* ---- change.c: making an edition ---- */

/* a row of the table that leaves */
typedef struct MlStored
{
	ItemPointerData place;
	uint64		key_hash;
	MlHash128	fingerprint;
	int64		bucket;
	int32		stratum;
	int			nslices;
	int32	   *slice;
	int			ngroups;
	int32	   *group;
	bool		pinned;
	int			entered;
	int			left;			/* 0: still there */
	bool		live;
} MlStored;

/* a row that enters */
typedef struct MlEntering
{
	MlCandidate *row;
	int64		bucket;
	int32		stratum;
	bool		pinned;
	List	   *slices;			/* of int */
	int			ngroups;
	int32	   *group;
} MlEntering;

/* an edition in the making: begun with the newest one's figures */
typedef struct MlChange
{
	MlSet	   *set;
	const char *event;
	char	   *by;
	TimestampTz as_of;
	TimestampTz started;
	int			edition;
	int64		rows;
	int64		pinned;
	int64		rows_in;
	int64		rows_out;
	int64		rows_read;
	int64		skipped[3];		/* no key, label, time */
	MlHash128	fingerprint;
	int64	   *slice_count;	/* by number, of slice_capacity */
	int			slice_capacity;
	char	   *time_from;
	char	   *time_to;
	int			nleaving;
	int			leaving_capacity;
	ItemPointerData *leaving;
	bool		moves_watermark;
	int64		watermark;
	int64		nentering;
	int64		entering_capacity;
	MlEntering *entering;
} MlChange;

/* each opens a scope of its own where it needs one */
extern void ml_change_begin(MlSet *set, const char *event, TimestampTz as_of, MlChange *change);
extern void ml_change_leave(MlChange *change, const MlStored *row);
extern void ml_change_enter(MlChange *change, const MlEntering *row);

/* rows that are there, of a condition on the table; *rows in the current context */
extern int64 ml_change_fetch(const MlSet *set, const char *condition, MlArguments *args, MlStored **rows);

/* stored rows themselves, live or not, in the order of *rows; under the same lock */
extern int64 ml_change_fetch_tuples(const MlSet *set, const char *condition, MlArguments *args,
									MlStored **rows, MinimalTuple **tuples);

/* writes rows and edition, inside a scope; first, outside of it, ml_change_decide for slices of others */
extern void ml_change_decide(MlChange *change);

/* figures: a fingerprint without that of one row, as it is stored, and back; groups of rows that came or went */
extern void ml_fingerprint_take_away(MlHash128 *sum, MlHash128 x);
extern bytea *ml_fingerprint_bytes(MlHash128 fingerprint);
extern MlHash128 ml_fingerprint_of(Datum datum);
extern void ml_groups_count(MlSet *set, int n, const int32 *group, int by);
extern Jsonb *ml_groups_json(const MlSet *set);
extern int64 ml_change_counted(MlChange *change, int number);
extern void ml_change_finish(MlChange *change);

/* ---- strata.c: weights ---- */

/* those of the newest edition, ascending by bucket */
extern int64 ml_strata_read(const MlSet *set, MlStratum **strata);

/*
 * What becomes of them, inside a scope: of buckets that were read again, those end whose take is not -1; thinned
 * ones go on with another weight; opened ones begin.
 */
extern void ml_strata_write(const MlChange *change, const MlWindow *window, MlStratum *old_strata, int64 n, List *opened);

/* ---- table.c: rows of the table, without the executor ---- */

/* rows of the sample that are there, of buckets from one to another, both included, and of times before or from one on */
typedef struct MlRange
{
	int64		first_bucket;
	int64		last_bucket;
	bool		before;
	int64		time;			/* of no meaning without a time column */
} MlRange;

extern int64 ml_table_rows(const MlSet *set, const MlRange *range, MlStored **rows);

/* of these hashes of keys, too */
extern int64 ml_table_rows_of_keys(const MlSet *set, const uint64 *key_hash, int64 n, const MlRange *range, MlStored **rows);

/* the rows at these places leave with an edition */
extern void ml_table_leave(const MlSet *set, const ItemPointerData *place, int64 n, int edition);

/*
 * Rows enter: n times the next one, with values for all columns of desc in a context that is reset before the next. False, and
 * nothing is done: the table has indexes that are not of our making.
 */
extern bool ml_table_enter(const MlSet *set, TupleDesc desc, int64 n,
						   void (*next) (const void *arg, int64 row, Datum *values, bool *nulls), const void *arg);

/* ---- refresh.c, create.c ---- */

extern void ml_refresh(MlSet *set, TimestampTz as_of, MlChange *change);
extern char *ml_set_make_table(MlSet *set);	/* inside a scope: its name */
extern void ml_set_drop(MlSet *set);	/* inside a scope */

#endif							/* ML_SET_H */
