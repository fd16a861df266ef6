/*
 * outcome.h
 *		What can be an outcome of a model, and writing outcomes down.
 */
#ifndef ML_OUTCOME_H
#define ML_OUTCOME_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "datatype/timestamp.h"
#include "model/model.h"

/* which texts are outcomes of a model */
typedef struct MlOutcomeKind
{
	char	   *model;
	MlTask		task;			/* 0: no version says it yet, any text will do */
	int			nclasses;
	char	  **class_label;
	int			positive;		/* BINARY: index of the positive class */
} MlOutcomeKind;

/* 0A000 for a model whose task has no outcomes; in the current context */
extern void ml_outcome_kind(const char *model, MlOutcomeKind *kind);

/* the outcome as it is kept, or NULL if the text is none: 'yes', '12.5', 't' as 'true' */
extern const char *ml_outcome_read(const MlOutcomeKind *kind, const char *text);

/* which of several outcomes counts: "latest", "first" or "majority" */
extern const char *ml_outcome_policy(const char *model);

/* the task that the word of a model's row stands for; 0 for NULL */
extern MlTask ml_outcome_task(const char *word);

typedef struct MlPulled
{
	int64		read;
	int64		added;
	int64		known;			/* were there before */
	int64		refused;		/* without a key or a time, or no outcome of the model */
	int64		unpredicted;	/* of those added: of keys without a logged prediction */
} MlPulled;

/* the models that have a source of outcomes, a list of char * in the current context */
extern List *ml_outcomes_models(void);

/* false: the model has no source of outcomes; or, without wait, another session pulls from it. Checks no privilege of the caller; runs the query as its author */
extern bool ml_outcomes_pull(const char *model, TimestampTz as_of, bool wait, MlPulled *pulled);

/* ---- forget.c ---- */

/* erases predictions and outcomes of a key, as it was given; how many. Checks no privilege */
extern int64 ml_watch_forget(const char *model, const char *key);

#endif							/* ML_OUTCOME_H */
