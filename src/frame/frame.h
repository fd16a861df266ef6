/*
 * frame.h
 *		A query's result as typed columns in memory.
 *
 * The source is run by the server's executor, read-only, as the caller, and a
 * receiver takes its slots apart: no tuple table, no conversion to text. While
 * rows arrive, each gets a 128-bit fingerprint (of its values, by column name)
 * and, if a key column is named, a 64-bit hash of the key's text.
 *
 * Lifetime: everything lives in frame->cxt, a child of the context that was
 * current when ml_frame_read was called, so that a frame outlives the
 * transaction that read it if that context does. Memory is counted in the
 * caller's budget before it is taken.
 */
#ifndef ML_FRAME_H
#define ML_FRAME_H

#include "postgres.h"

#include "budget.h"
#include "frame/hash.h"
#include "frame/value.h"
#include "executor/tuptable.h"

typedef enum MlRole
{
	ML_ROLE_FEATURE,
	ML_ROLE_TARGET,
	ML_ROLE_WEIGHT,
	ML_ROLE_KEY,
	ML_ROLE_TIME,				/* time column; not a feature unless listed as one */
	ML_ROLE_UNUSED				/* excluded, or not listed in features */
} MlRole;

#define ML_CODE_NULL	(-1)			/* in MlColumn.code */
#define ML_USEC_NULL	PG_INT64_MIN	/* in MlColumn.usec */

/* the distinct values of a category column, in order of arrival */
typedef struct MlDictionary
{
	int32		nvalues;
	char	  **value;			/* terminated, database encoding */
	int32	   *length;
	int64	   *count;			/* rows that hold the value */
	struct MlDictionaryIndex *index;	/* private to frame.c */
} MlDictionary;

typedef struct MlColumn
{
	char	   *name;
	MlValueType type;
	MlRole		role;
	bool		loaded;			/* false: unused, or of kind NONE; has no data */

	/* data, by kind; nrows long, NULL as said */
	double	   *number;			/* NUMBER: NULL is NaN */
	int32	   *code;			/* CATEGORY: index into dictionary, or ML_CODE_NULL */
	MlDictionary *dictionary;
	int64	   *usec;			/* TIME: or ML_USEC_NULL */
	double	   *array;			/* ARRAY: nrows x array_length, a row contiguous; NULL is NaN */
	int			array_length;	/* of the first array that is not NULL; 0 if all are */

	/* counted while reading, over all rows of the source */
	int64		nnull;
	int64		nnonfinite;		/* NaN and infinity, not NULL (in arrays: infinity; a NaN element is missing) */
	int64		first_nonfinite;	/* row (from 1) of the first of these, 0 if none */
} MlColumn;

typedef struct MlFrame
{
	MemoryContext cxt;
	MlBudget   *budget;
	int			ncols;
	MlColumn   *cols;			/* every column of the source, in its order */

	/*
	 * Indexes of the named columns, -1 for none. A key or time column that is
	 * listed in features has role FEATURE and is found here too.
	 */
	int			target_column;
	int			weight_column;
	int			key_column;
	int			time_column;

	int64		nrows;
	MlHash128  *fingerprint;	/* of each row: the loaded columns but the key */
	uint64	   *key_hash;		/* of each row (ml_hash_key, seed 0); NULL without a key column */
	uint64	   *row_key;		/* of each row, where somebody put it there (ml_frame_row_keys); moves with the rows */

	MlHash128	set_fingerprint;	/* of the rows as a multiset, whatever their order */
	MlHash128	schema_fingerprint; /* of names and types of the loaded columns */
	bool		row_security;	/* row-level security filtered the source */
	int64		rows_read;		/* = nrows until ml_frame_arrange leaves some out */
	double		seconds;		/* spent reading */
	Size		memory;			/* bytes of it that the budget counts */

	/* set by ml_frame_arrange: rows [0, ntrain) train, [ntrain, nrows) are held out */
	int64		ntrain;
} MlFrame;

/* what to read of a source */
typedef struct MlFrameRequest
{
	const char *source;			/* name of a relation, or one query */
	const char *target;			/* NULL: none */
	const char *weight;			/* NULL: none */
	const char *key;			/* NULL: none */
	const char *time_column;	/* NULL: none */
	char	  **features;		/* NULL: every other column */
	int			nfeatures;
	char	  **exclude;		/* left out of the features */
	int			nexclude;
	bool		all_kinds;		/* profile: columns of kind NONE are no error, but not loaded */
	/*
	 * Called once the columns are known, before any row is read, so that what
	 * their types rule out is refused at once; can be NULL.
	 */
	void		(*described) (void *arg, const struct MlFrame *frame);
	void	   *described_arg;
	/*
	 * Called next, where the planner can tell how many rows there are: of whole
	 * tables, without a condition, as far as statistics go. Can be NULL.
	 */
	void		(*planned) (void *arg, struct MlFrame *frame, double rows);
	void	   *planned_arg;
	void		(*progress) (void *arg, int64 rows);	/* called every few thousand rows; can be NULL */
	void	   *progress_arg;
	/*
	 * Called once per row with its slot, for keep_rows, in a context that is
	 * reset before the next row; can be NULL. desc has the names of the
	 * columns, which the slot of a parallel plan lacks.
	 */
	void		(*tee) (void *arg, TupleDesc desc, TupleTableSlot *slot);
	void	   *tee_arg;
} MlFrameRequest;

/*
 * Reads the whole source under the active snapshot (the caller has pushed
 * one). Errors: 42601 (syntax, two statements; with the position in the
 * source), 42P01, 42501 from the server itself; 22023 source is not one
 * read-only query; 42703 a named column is missing (nearest name in the hint);
 * 42701 two columns of one name; 42804 a listed feature of an unusable type;
 * 54000 over budget; 22000-class errors from the query itself. An array whose
 * length differs from the first one's is 2202E.
 */
extern MlFrame *ml_frame_read(const MlFrameRequest *request, MlBudget *budget);

/* the rows in the order that from lists, all of them */
extern void ml_frame_reorder(MlFrame *frame, const int64 *from);

/*
 * 64 bits of each row by the named columns, which are loaded, and nothing else: equal in
 * any two frames for rows that are equal in them. as_read: no column was
 * renamed or replaced since.
 */
extern void ml_frame_row_keys(const MlFrame *frame, int n, char *const *name, bool as_read, uint64 *key);

/* index of the column of that name, or -1 */
extern int	ml_frame_find(const MlFrame *frame, const char *name);

/* how rows are divided */
typedef enum MlSplitKind
{
	ML_SPLIT_NONE,				/* holdout = 0 */
	ML_SPLIT_ROW,				/* by hash of the row (its fingerprint) and the seed */
	ML_SPLIT_KEY,				/* by hash of the key and the seed */
	ML_SPLIT_TIME				/* the latest rows, equal times together */
} MlSplitKind;

typedef struct MlSplit
{
	MlSplitKind kind;
	double		holdout;		/* share, [0, 1) */
	int64		seed;
	int			time_column;	/* index, for ML_SPLIT_TIME */
	double		time_from;		/* result: first held-out time, as in the column (usec or number) */
} MlSplit;

/*
 * Leaves out the rows whose keep flag is false (keep may be NULL), divides the
 * rest as split says and puts both parts in canonical order: ascending by
 * fingerprint, which makes the order of rows the same however they were
 * stored or scanned. canonical = false keeps the order of arrival within each
 * part. All columns are moved; the fingerprints and key hashes too.
 */
extern void ml_frame_arrange(MlFrame *frame, const bool *keep, MlSplit *split, bool canonical);

/*
 * The listed rows of a frame, in that order, in a child of the current context;
 * the first ntrain of them train. The frame must outlive it.
 */
extern MlFrame *ml_frame_subset(const MlFrame *frame, const int64 *rows, int64 n, int64 ntrain);

/* memory for a number of each row, from the budget; to become a column */
extern double *ml_frame_new_numbers(MlFrame *frame);

/* The columns that are features are gone; n columns of numbers, from ml_frame_new_numbers, are in their place. */
extern void ml_frame_replace_features(MlFrame *frame, int n, char **name, double **value);

/*
 * The source as one checked query text: a relation's name becomes
 * SELECT * FROM name; a query is returned as it is after its syntax has been
 * checked (one statement, SELECT / WITH / VALUES / TABLE, no INTO, no locking,
 * no data-modifying WITH). Used to word errors early, before any row is read.
 */
extern char *ml_source_query(const char *source);

/*
 * An error context callback for the time in which such a query is parsed or
 * run; arg is its text. Positions of errors become positions in that text.
 */
extern void ml_source_error_callback(void *arg);

#endif							/* ML_FRAME_H */
