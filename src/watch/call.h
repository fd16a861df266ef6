/*
 * call.h
 *		A call of a scorer, as the log knows it. Apart from watch.h, because the
 *		registry has an MlStatement of its own.
 */
#ifndef ML_CALL_RECORD_H
#define ML_CALL_RECORD_H

#include "score/score.h"
#include "watch/ring.h"

/* model, version, role and result of a scorer's call; label: a buffer of ML_LABEL_MAX + 1 */
extern void ml_watch_describe(const MlScorer *scorer, const double *output, char *label, MlLogCall *call);

/* the same of what the rules of scorer made of its outputs */
extern void ml_watch_describe_decided(const MlScorer *scorer, const MlDecided *decided, char *label, MlLogCall *call);

/* the input row as JSON text, in the current context; leaves it out where it cannot be one */
extern void ml_watch_input(FunctionCallInfo fcinfo, const MlScored *scored, MlLogCall *call);

#endif							/* ML_CALL_RECORD_H */
