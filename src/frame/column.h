/*
 * column.h
 *		Columns while they are filled, row by row. Private to frame.
 *
 * All arrays of a frame have room for the same number of rows and grow
 * together. The planner's estimate sizes them, so that they seldom have to.
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

typedef struct MlStore
{
	MlFrame    *frame;
	int			nloaders;
	MlLoader   *loader;
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
