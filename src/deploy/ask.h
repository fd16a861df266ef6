/*
 * ask.h
 *		What other rooms ask gates. Gates themselves are private to deploy/.
 */
#ifndef ML_ASK_H
#define ML_ASK_H

#include "postgres.h"

#include "fmgr.h"

typedef enum MlGatesSay
{
	ML_GATES_PASS,
	ML_GATES_CANNOT_TELL,
	ML_GATES_FAIL
} MlGatesSay;

/*
 * Hears some gates of a model about a version that is to serve with a threshold (NaN: none) and rules (0:
 * none), against what is active. why: what keeps it from passing, in the current context. A gate
 * that is not there any more cannot tell; one that only warns is told and does not count.
 */
extern MlGatesSay ml_gates_ask(const char *model, int version, double threshold, int rules, char **gate, int ngates,
							   char **why);

/* 42704 unless the model has a gate of that name */
extern void ml_gate_require(const char *model, const char *name);

/* arguments of a promotion: -1 and NaN if they were not given, 22023 for what they cannot be (promote.c) */
extern int	ml_promotion_take_rules(FunctionCallInfo fcinfo, int n);
extern double ml_promotion_take_threshold(FunctionCallInfo fcinfo, int n);

#endif							/* ML_ASK_H */
