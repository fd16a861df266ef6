/*
 * counts.h
 *		Serving statistics: calls of mlops_predict counted where they are made,
 *		on their way to the table.
 *
 * Counters of one model, version, role and rule set lie in one array. First
 * come those of ML_COUNTS_FIXED; then one for each class, rows that were given
 * that label; one for each rule, rows that it fired on; one for each check, rows
 * that failed it; then the blocks: of the prediction, and of each feature. A block begins with the rows without
 * a value, followed by its bins: of numbers one below the range, as many of
 * equal width as a training profile has, and one above it; of categories one
 * for each level and one for all else.
 *
 * A process counts in memory of its own (count.c, counts_local.c) and adds what
 * it has to shared memory at the end of each transaction, or after
 * ML_COUNTS_ROWS rows (counts_shared.c); the worker of the database takes it
 * from there (counts_worker.c) to the tables (counts_rows.c).
 */
#ifndef ML_COUNTS_H
#define ML_COUNTS_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "drift/profile.h"
#include "frame/value.h"
#include "lib/stringinfo.h"
#include "log/ring.h"
#include "log/shared.h"
#include "model/model.h"
#include "nodes/pg_list.h"

#define ML_COUNTS_ROWS	10000	/* of a process that are not in shared memory, at most */
#define ML_COUNTS_EXACT	1000	/* rows of a transaction that have all their numbers in bins */
#define ML_COUNTS_SAMPLE 16		/* of the others one in so many, for all of these */

typedef enum MlCountsFixed
{
	ML_COUNT_ROWS,
	ML_COUNT_NULL_ROWS,			/* the row is NULL, or all of it is: in no block */
	ML_COUNT_OTHER_LABELS,		/* a rule gave a label that is no class of the version */
	ML_COUNT_RULE_ERRORS,		/* something in a rule had no value */
	ML_COUNT_BARRED,			/* a hard check failed */
	ML_COUNT_BINNED,			/* the numbers of the row are in bins */
	ML_COUNTS_FIXED
} MlCountsFixed;

typedef struct MlCountsKey
{
	Oid			database;
	int32		version;
	int32		rules;			/* number of the rule set; 0: none */
	uint8		sha256[ML_SHA256_LENGTH];	/* of the artifact: a dropped model gave its number to other bytes */
	char		model[NAMEDATALEN]; /* padded with zeros, as role is */
	char		role[NAMEDATALEN];
} MlCountsKey;

/* the counters of a feature, or of the prediction */
typedef struct MlCountsBlock
{
	const char *name;
	bool		is_prediction;
	MlKind		kind;
	uint32		first;			/* counter of rows without a value; bins or levels follow */

	/* all kinds but CATEGORY; low NaN: there are no bins */
	double		low;
	double		high;
	double		per_unit;

	/* CATEGORY: counter first + 1 + i is of level i, the last one of the rest */
	int			nlevels;
	char	  **level;

	/* where an encoded row has it: a code, or nnumbers doubles; -1: nowhere */
	int			category;
	bool		is_cyclic;		/* of a time, only where it is in the day, the week or the year: no bins */
	int			number;
	int			nnumbers;
} MlCountsBlock;

/* what the counters of an array stand for; block[0] is the prediction's */
typedef struct MlCountsShape
{
	int			nlabels;
	char	  **label;
	int			nrules;
	int			nchecks;
	int			nblocks;
	MlCountsBlock *block;
	int			ncounters;
} MlCountsShape;

/* the counter of a label, a rule, a check */
#define ML_COUNT_LABEL(label) (ML_COUNTS_FIXED + (label))
#define ML_COUNT_RULE(shape, rule) (ML_COUNTS_FIXED + (shape)->nlabels + (rule))
#define ML_COUNT_CHECK(shape, check) (ML_COUNTS_FIXED + (shape)->nlabels + (shape)->nrules + (check))

/* of a block, without that of missing values */
static inline int
ml_counts_nbins(const MlCountsBlock *block)
{
	if (block->kind == ML_KIND_CATEGORY)
		return block->nlevels + 1;
	return isnan(block->low) ? 0 : ML_PROFILE_BINS + 2;
}

/* ---- a process (counts_local.c) ---- */

#define ML_COUNTS_JOURNAL 4		/* rows whose counters are remembered */

/* where a number is counted */
typedef struct MlCountsColumn
{
	double		low;
	double		high;
	double		per_unit;
	uint32		first_bin;
} MlCountsColumn;

typedef struct MlCounts MlCounts;
struct MlCounts
{
	MemoryContext cxt;
	MlCountsKey key;
	MlCountsShape shape;
	StringInfoData description; /* of the shape */
	uint32	   *counter;
	int			nrows;			/* counted since they were added to shared memory */
	int			exact;			/* rows that are not sampled are left */
	uint64		random;			/* state of the draw of the sample */
	MlCounts   *next_dirty;		/* of those with rows */
	int			place;			/* in shared memory, lately */
	TimestampTz published_at;

	/* which counters the first rows went to, so that a query for one row need not look at all */
	int			row_width;		/* most counters of a row */
	int			njournal;
	uint32	   *journal;		/* of ML_COUNTS_JOURNAL rows, and room for one more */

	/*
	 * Where the model gives one number, and each number of an encoded row is a feature of its own; NULL: not
	 * so. label: counters of the class below the threshold and of the other.
	 */
	MlCountsColumn *column;		/* of each feature */
	MlCountsColumn prediction;
	uint32		label[2];
};

/* a row has been counted at c->counter[at[i]], i < n; to be called by count.c */
extern void ml_counts_begin(MlCounts *counts);

/* adds what this process has counted to shared memory; raises nothing */
extern void ml_counts_publish_all(void);
extern void ml_counts_publish_one(MlCounts *counts);

/* ---- shared memory (counts_shared.c, counts_worker.c) ---- */

extern const MlSharedPiece ml_counts_piece;
extern bool ml_counts_exist(void);

/* adds the counters of a process to those of all, or to what is lost; raises nothing */
extern void ml_counts_publish(MlCounts *counts);

typedef struct MlCountsTotals
{
	uint64		counted;		/* rows */
	uint64		written;		/* committed */
	uint64		waiting;
	uint64		lost[ML_NLOSSES];
	uint64		bytes;			/* of shared memory in use, by all databases */
} MlCountsTotals;

/* of the session's database */
extern void ml_counts_totals(MlCountsTotals *totals);

/* counters that the worker took */
typedef struct MlTakenCounts
{
	MlCountsKey key;
	TimestampTz since;			/* part of the day */
	TimestampTz until;
	TimestampTz first_at;		/* when the first of them was counted, and the last */
	TimestampTz last_at;
	int			ncounters;
	uint64	   *counter;
	int			ndescription;
	char	   *description;
} MlTakenCounts;

/* takes what waits of a database out of shared memory, into *taken, palloc'd; adds to the list as it goes on */
extern void ml_counts_take(Oid database, List **taken);

/* it could not be written */
extern void ml_counts_put_back(const List *taken);

/* it has been: so many rows, the others lost */
extern void ml_counts_written(Oid database, uint64 written, uint64 lost);

/* nobody can write what waits of a database */
extern void ml_counts_give_up(Oid database);

/* ---- what counters stand for, as bytes (counts_shape.c) ---- */

/* in the current context, from what scores; the shape has nrules and nchecks of the rule set already */
extern void ml_counts_shape_make(const char *name, int version, const MlModel *model, MlCountsShape *shape);
extern void ml_counts_shape_write(const MlCountsShape *shape, StringInfo bytes);
extern void ml_counts_shape_read(const char *bytes, int length, MlCountsShape *shape);

/* ---- the table (counts_rows.c) ---- */

/* in a transaction; written: rows of models that are still there */
extern uint64 ml_counts_write(const List *taken);

/* does the database have the tables? */
extern bool ml_counts_have_tables(void);

/* drops parts that are older than so many days. Checks no privilege */
extern void ml_counts_prune(int days, TimestampTz as_of);

#endif							/* ML_COUNTS_H */
