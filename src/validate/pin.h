/*
 * pin.h
 *		Pins between the files that make them. Private to validate/.
 */
#ifndef ML_PIN_H
#define ML_PIN_H

#include "postgres.h"

#include "model/model.h"
#include "validate/set.h"

typedef struct MlPin
{
	char	   *key;			/* as text */
	char	   *label;			/* that it shall have; NULL: its own */
	char	   *reason;
	bool		found;			/* result: it is pinned now */
} MlPin;

/*
 * Pins rows of the sample, or else of the source, in one edition; none is made where
 * none is found. What is not found is an error if strict. The set is locked.
 */
extern void ml_pin_rows(MlSet *set, MlPin *pins, int n, bool strict, MlChange *change);
extern bool ml_pin_is_new(const MlSet *set, const char *key);

/* ---- scored.c: rows with what versions say of them ---- */

typedef struct MlScored
{
	const MlModel *model;
	MlResolved	resolved;
	MlFrame    *frame;
	int64		n;
	double	   *label;			/* NaN: none */
	double	   *output;			/* n x outputs */
	char	  **key;			/* as text; NULL: NULL */
} MlScored;

/* keeps the key of every row that a frame reads */
typedef struct MlKeys
{
	const char *column;
	int			at;				/* -1: not looked for yet */
	Oid			output;
	int64		n;
	int64		capacity;
	char	  **key;
	MemoryContext cxt;
	MlBudget   *budget;
} MlKeys;

extern void ml_keys_begin(MlKeys *keys, const char *column, MlBudget *budget);
extern void ml_keys_tee(void *arg, TupleDesc desc, TupleTableSlot *slot);

/* features that a version needs, into the request, once each */
extern void ml_scored_features(const MlModel *model, MlFrameRequest *request);

/* the version's outputs for a frame's rows, in their order */
extern double *ml_scored_outputs(const MlModel *model, const MlFrame *frame, MlBudget *budget);

#endif							/* ML_PIN_H */
