/*
 * column.h
 *		Columns while they are filled, row by row. Private to frame.
 *
 * All columns of a frame are cut into chunks at the same rows. A chunk is never
 * moved while it fills, and ml_store_finish joins them column by column,
 * freeing as it goes, so that at most one column is held twice.
 */
#ifndef ML_COLUMN_H
#define ML_COLUMN_H

#include "postgres.h"

#include "frame/frame.h"

typedef struct MlChunks
{
	char	  **chunk;			/* NULL in it: nothing but NULLs (arrays only) */
	Size		width;			/* bytes of a row; arrays: 0 until the first is seen */
	char	   *now;			/* the chunk that fills */
} MlChunks;

/* a column that is loaded */
typedef struct MlLoader
{
	int			attribute;		/* from 0 */
	MlColumn   *column;
	MlHashSecret secret;
	MlChunks	values;
} MlLoader;

typedef struct MlStore
{
	MlFrame    *frame;
	int			nloaders;
	MlLoader   *loader;
	MlChunks	fingerprint;
	MlChunks	key_hash;		/* width 0 without a key */
	Oid			key_type;		/* domains looked through */

	int			nchunks;
	int			max_chunks;		/* room in the arrays of chunks */
	int		   *capacity;		/* rows of each chunk */
	int			room;			/* of the chunk that fills */
	int			fill;			/* rows in it */
} MlStore;

extern void ml_store_begin(MlStore *store, MlFrame *frame);

/* takes one row apart; the current context is reset by the caller afterwards */
extern void ml_store_row(MlStore *store, const Datum *value, const bool *isnull);

/* makes every column contiguous, and the fingerprint of the set */
extern void ml_store_finish(MlStore *store);

#endif							/* ML_COLUMN_H */
