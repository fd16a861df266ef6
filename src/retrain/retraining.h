/*
 * retraining.h
 *		Training again: policies that say when, and requests that the tick works off.
 */
#ifndef ML_RETRAINING_H
#define ML_RETRAINING_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "registry/author.h"
#include "train/train.h"

/*
 * Has the next tick train the model again, by its policy; why goes into the history. False: it will
 * already, or the model has no policy. Checks no privilege.
 */
extern bool ml_retrain_request(const char *model, const char *why, TimestampTz as_of);

/* a model without a policy is not trained by the tick */
extern bool ml_retrain_has_policy(const char *model);

/* ---- policies (retraining_policy.c) ---- */

typedef struct MlRetrainPolicy
{
	char	   *model;
	Interval   *every;			/* these may be NULL, 0 and NaN: no reason to train */
	int64		new_labels;
	double		drop;			/* of the primary metric, in its unit */
	Jsonb	   *changes;		/* of the active version's spec */
	bool		promote;
	Interval   *period;			/* NULL: all rows */
	char	   *time_column;	/* NULL: the spec's */
	Interval   *time_unit;		/* of a time column of integers; NULL: it is a date or timestamp */
	TimestampTz time_origin;	/* then: when it is 0 */
	Interval   *label_delay;
	Interval   *pause;			/* between two trainings at least */
	Interval   *live_period;	/* that a drop is measured on */
	int64		min_rows;		/* likewise */
	MlAuthor	author;
	TimestampTz as_of;			/* when it was set */
} MlRetrainPolicy;

/*
 * Locked until the end of the transaction, so that two ticks do no work twice; NULL: the model has none, or another
 * tick is at it, which is not waited for. In the current context. Checks no privilege.
 */
extern MlRetrainPolicy *ml_retrain_lock_policy(const char *model);
extern void ml_retrain_store_policy(const MlRetrainPolicy *policy, Jsonb *settings);

/* models that have one, a list of char * in the current context */
extern List *ml_retrain_models(void);

/* ---- is there a reason to train? (retraining_due.c) ---- */

/* in words; NULL: no. Inside no scope */
extern char *ml_retrain_reason(const MlRetrainPolicy *policy, TimestampTz as_of);

/* ---- requests (retraining_request.c) ---- */

typedef struct MlRetrainRequest
{
	int			number;
	char	   *why;
} MlRetrainRequest;

/* takes the open request of a model at that time, if no other session does; in the current context */
extern bool ml_retrain_take(const char *model, TimestampTz as_of, MlRetrainRequest *request);

/* how it ended; version, deployment: 0 for none; error: NULL for none */
extern void ml_retrain_end(const char *model, int number, const char *status, int version, int deployment,
						   const char *trained_by, const ErrorData *error);

/* ---- working it off (retraining_run.c) ---- */

/* fills the training as the policy says for that time; as its author, under an active snapshot */
extern void ml_retrain_fill(const MlRetrainPolicy *policy, TimestampTz as_of, MlTraining *training);

/*
 * In phases of procedure: asks whether there is a reason to train the model, and if it, or somebody else, asked for
 * it, trains, judges and promotes. What fails is told and recorded; a cancel is raised again.
 */
extern void ml_retrain_work(MlTraining *procedure, const char *model, TimestampTz as_of);

#endif							/* ML_RETRAINING_H */
