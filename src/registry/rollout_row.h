/*
 * rollout_row.h
 *		Rollouts and their steps as they are stored.
 */
#ifndef ML_ROLLOUT_ROW_H
#define ML_ROLLOUT_ROW_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* what a step asks of the canary beside the active version */
typedef enum MlRolloutCompare
{
	ML_COMPARE_NO_WORSE,		/* not to be shown to be worse */
	ML_COMPARE_BETTER,			/* to be shown to be better, too */
	ML_COMPARE_OFF
} MlRolloutCompare;

#define ML_NCOMPARE 3
extern const char *const ml_compare_names[ML_NCOMPARE];

/* what must have been met to leave it for the next */
typedef struct MlRolloutStep
{
	char	   *name;
	double		share;
	Interval   *min_time;		/* NULL: none */
	int64		min_rows;		/* logged predictions of the canary */
	int64		min_outcomes;	/* of them with an outcome */
	int			ngates;
	char	  **gate;
	MlRolloutCompare compare;
} MlRolloutStep;

typedef struct MlRollout
{
	char	   *model;
	int			number;
	int			version;
	char	   *author;
	int			step;			/* the present one, from 1 */
	int			nsteps;
	MlRolloutStep *steps;
	int			deployment;		/* by which the present step serves */
	TimestampTz entered_at;		/* the present step */
	TimestampTz looked_at;		/* by the clock of ticks; it does not go backwards */
} MlRollout;

/* all take a scope of their own; what they return is in the current context */

/* the one that runs, or NULL */
extern MlRollout *ml_registry_rollout(const char *model);

/* models with one that runs; a list of char * */
extern List *ml_registry_rollout_models(void);

/*
 * Inserts a rollout that runs, in its first step; its number. Takes the lock on the serving row. 55000 if one
 * runs.
 */
extern int	ml_registry_add_rollout(const MlRollout *rollout, const char *reason, TimestampTz as_of);

/*
 * Locks it, and what serves, until the end of the transaction. false: it is not what it was when it was read,
 * or the deployment is not the newest any more.
 */
extern bool ml_registry_lock_rollout(const MlRollout *rollout);

/* writes down that it was looked at, and what it waits for; not locked before */
extern void ml_registry_rollout_waits(const MlRollout *rollout, const char *why, Jsonb *seen, TimestampTz as_of);

/* locked: leaves the present step for the next, or, after the last, finishes */
extern void ml_registry_rollout_moves(const MlRollout *rollout, int deployment, Jsonb *seen, TimestampTz as_of);

/* ends it: "rolled back" or "stopped"; false: it ran no more */
extern bool ml_registry_end_rollout(const MlRollout *rollout, const char *state, const char *reason, Jsonb *seen,
									TimestampTz as_of);

/* the newest deployment of a model in words, and its number; NULL: there is none */
extern char *ml_registry_newest_deployment(const char *model, int *number);

#endif							/* ML_ROLLOUT_ROW_H */
