/*
 * promotion.h
 *		What is known of a version that is to be promoted, and what it is asked
 *		before. Private to deploy/.
 */
#ifndef ML_PROMOTION_H
#define ML_PROMOTION_H

#include "postgres.h"

#include "deploy/gate.h"
#include "model/model.h"

/* what the version's row says of it */
typedef struct MlCandidate
{
	bool		exists;
	uint8		sha256[ML_SHA256_LENGTH];
	bool		binary;
	char	   *task;
	double		proposed;		/* threshold, or NaN */
	double		last_served;	/* likewise, when it served last */
} MlCandidate;

/* what serves and what is asked, before the lock is taken */
typedef struct MlOutlook
{
	int			version;		/* active, or 0 */
	double		threshold;		/* of it, or NaN */
	int			deployment;		/* number of the newest */
	bool		gated;			/* the model has gates */
	int			approvals;		/* of other roles that it asks for */
	char	   *metric;			/* the model's, or NULL */
} MlOutlook;

/* takes a scope of its own; in the current context */
extern void ml_promotion_look(const char *model, MlOutlook *outlook);

/* inside a scope */
extern void ml_promotion_candidate(const char *model, int version, MlCandidate *candidate);
extern void ml_promotion_require_candidate(const char *model, int version, const MlCandidate *candidate);

/*
 * Inside a scope: may the bundle go without gates? It has served all rows, and
 * no rollback has taken it down or gone past it since.
 */
extern bool ml_promotion_has_served(const char *model, int version, double threshold);

/*
 * The threshold that the version is to serve with; NaN for models without one.
 * asked: NaN for none. The source of a choice in *why, NULL if it was given.
 */
extern double ml_promotion_threshold(const char *model, int version, const MlCandidate *candidate,
									 double asked, const char **why);

/* for a dry run: who is judged and against whom, now; 42704 */
extern void ml_promotion_prepare(MlGateHearing *hearing, double threshold);

/* approval.c: ML001 unless as many other roles as that, which may still promote, have approved; their names */
extern List *ml_approvals_require(const char *model, int version, int required);

#endif							/* ML_PROMOTION_H */
