/*
 * errors.h
 *		What the refusals of mlops have in common: the SQLSTATEs of class ML,
 *		and the nearest name to one that was mistyped.
 */
#ifndef ML_ERRORS_H
#define ML_ERRORS_H

#include "postgres.h"

/* what only mlops can refuse; standard codes serve for everything else */
#define ERRCODE_ML_GATE_FAILED			MAKE_SQLSTATE('M','L','0','0','1')
#define ERRCODE_ML_UNTRAINABLE_DATA		MAKE_SQLSTATE('M','L','0','0','2')
#define ERRCODE_ML_NO_CONVERGENCE		MAKE_SQLSTATE('M','L','0','0','3')
#define ERRCODE_ML_BAD_ARTIFACT			MAKE_SQLSTATE('M','L','0','0','4')

/*
 * The candidate that is nearest to name by edit distance, or NULL if none is
 * near enough to be worth a hint (more than half of its characters differ, and
 * neither begins with the other, of three characters at least).
 */
typedef struct MlNearest
{
	const char *name;			/* what was asked for */
	const char *best;			/* nearest so far, NULL if none */
	int			distance;
} MlNearest;

extern void ml_nearest_begin(MlNearest *nearest, const char *name);
extern void ml_nearest_offer(MlNearest *nearest, const char *candidate);

/*
 * An error context callback, for where no subtransaction can be: what the server says of text that is no value of its
 * type is given a hint, the argument.
 */
extern void ml_hint_callback(void *hint);

#endif							/* ML_ERRORS_H */
