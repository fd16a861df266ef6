/*
 * column.h
 *		Columns while they are filled, row by row. Private to frame.
 *
 * All arrays of a frame have room for the same number of rows and grow
 * together. The planner's estimate sizes them, so that they seldom have to.
 *
 * Numbers that are their own datums wait in a batch of rows and then go to
 * their columns one column at a time: a row at a time touches as many places
 * of memory as there are columns, at the same distance from each other, more
 * than the first cache keeps. All else is taken apart when its row arrives.
 */
#ifndef ML_COLUMN_H
#define ML_COLUMN_H

#include "postgres.h"

#include "frame/frame.h"

/* an array with one element per row */
typedef struct MlSeries
{
	char	   *data;			/* NULL: nothing but NULLs so far (arrays only) */
	Size		width;			/* bytes of a row; arrays: 0 until the first is seen */
} MlSeries;

/* a column that is loaded */
typedef struct MlLoader
{
	int			attribute;		/* from 0 */
	MlKind		kind;
	MlColumn   *column;
	MlHashSecret secret;
	MlSeries	values;
} MlLoader;

#define ML_BATCH_ROWS	64		/* at most */

/* rows whose numbers wait */
typedef struct MlBatch
{
	int			size;			/* rows that it takes */
	int			n;				/* rows in it: the last ones of the frame */
	int			width;			/* columns of the source */
	Datum	   *value;			/* size x width */
	bool	   *isnull;
	MlHash128	sum[ML_BATCH_ROWS]; /* of what is already in the row's fingerprint */
} MlBatch;

typedef struct MlStore
{
	MlFrame    *frame;
	int			nloaders;
	int			nwaiting;		/* of these, the first ones: numbers that wait in the batch */
	MlLoader   *loader;
	MlBatch		batch;
	MlSeries	fingerprint;
	MlSeries	key_hash;		/* width 0 without a key */
	Oid			key_type;		/* domains looked through */
	int64		room;			/* rows that the arrays hold */
} MlStore;

/* estimate: rows that the planner expects */
extern void ml_store_begin(MlStore *store, MlFrame *frame, double estimate);

/* takes one row apart; the current context is reset by the caller afterwards */
extern void ml_store_row(MlStore *store, const Datum *value, const bool *isnull);

/* hands the arrays to the frame, no larger than needed */
extern void ml_store_finish(MlStore *store);

#endif							/* ML_COLUMN_H */
