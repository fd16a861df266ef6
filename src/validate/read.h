/*
 * read.h
 *		A reading of a set's source while it goes on. Private to read.c and kinds.c.
 */
#ifndef ML_READ_H
#define ML_READ_H

#include "postgres.h"

#include "utils/hsearch.h"
#include "validate/set.h"

typedef struct MlReadState
{
	DestReceiver pub;
	MlSetReading  *reading;
	TupleDesc	desc;			/* of the stored columns */
	MemoryContext row_cxt;
	MlHashSecret *secret;
	Oid			key_type;
	int			nextras;		/* columns after the stored ones */
	int			nconditions;
	int		   *condition;		/* indexes in set->slice */
	int64		let_go_at;		/* candidates */
	HTAB	   *cells;
	HTAB	   *kinds;
	HTAB	   *labels;			/* NULL: none */
	bool	   *is_target;		/* of the columns after the stored ones: the target as text */
} MlReadState;

/* a label that somebody gave to a key */
typedef struct MlLabelEntry
{
	uint64		key_hash;
	char	   *label;
} MlLabelEntry;

/* bytes beside an entry of a table, and beside small allocations: about */
#define ML_READ_OVERHEAD	96

typedef struct MlKindEntry
{
	uint64		hash;
	int			kind;
} MlKindEntry;

/* the values of the columns after the stored ones, in their order */
typedef struct MlExtras
{
	char	  **text;			/* NULL: NULL; conditions: "" is true */
	uint64		hash;
} MlExtras;

extern HTAB *ml_read_table(const char *name, Size key, Size entry, MemoryContext cxt);

/* kinds.c */
extern void ml_read_extras(MlReadState *state, TupleTableSlot *slot, MlExtras *extras);
extern int	ml_read_kind(MlSetReading *reading, const MlExtras *extras);
extern void ml_read_labels(MlReadState *state);
extern void ml_read_target_texts(MlReadState *state);

/* false: nobody gave the key a label */
extern bool ml_read_take_label(MlReadState *state, uint64 key_hash, TupleTableSlot *slot);

#endif							/* ML_READ_H */
