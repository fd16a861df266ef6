/*
 * call.h
 *		A call of a scorer, as the log knows it.
 */
#ifndef ML_CALL_RECORD_H
#define ML_CALL_RECORD_H

#include "log/ring.h"
#include "score/score.h"

/* model, version, role, result and rules of an answer; label: a buffer of ML_LABEL_MAX + 1 */
extern void ml_watch_describe(const MlAnswer *answer, char *label, MlLogCall *call);

/* above 0: the planner calls, and nobody else */
extern int	ml_watch_planning;

/* the role that a scorer answers in */
extern const char *ml_watch_role(const MlScorer *scorer);

/* counts_local.c, count.c */
extern void ml_counts_resolve(MlScorer *scorer, bool on);
extern void ml_count(const MlAnswer *answer);
extern void ml_count_columns(MlScorer *scorer, const NullableDatum *column, double prediction);

/* the input row as JSON text, in the current context; leaves it out where it cannot be one */
extern void ml_watch_input(const MlScoreInput *input, MlLogCall *call);

/* what the shadows of the bundle make of a logged row, whose hash says which are asked; good until the next row; start: now */
extern void ml_watch_shadows(const MlAnswer *answer, uint64 hash, instr_time start, MlLogCall *call);

#endif							/* ML_CALL_RECORD_H */
