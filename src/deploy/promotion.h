/*
 * promotion.h
 *		What is known of a version that is to be promoted, and what it is asked
 *		before. Private to deploy/.
 */
#ifndef ML_PROMOTION_H
#define ML_PROMOTION_H

#include "postgres.h"

#include "deploy/deploy.h"
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
	bool		has_served;
	int			last_rules;		/* when it served last; 0: none */
} MlCandidate;

/* what serves and what is asked, before the lock is taken */
typedef struct MlOutlook
{
	int			version;		/* active, or 0 */
	double		threshold;		/* of it, or NaN */
	int			rules;			/* 0: none */
	int			deployment;		/* of it */
	int			newest;			/* deployment, the canary's if one runs */
	MlServed	canary;			/* version 0: none; checksums are not read */
	double		share;			/* of the canary */
	bool		heard;			/* all gates that there are now have let it pass */
	bool		gated;			/* the model has gates */
	int			approvals;		/* of other roles that it asks for */
	char	   *metric;			/* the model's, or NULL */
} MlOutlook;

/* what was asked for */
typedef struct MlRequest
{
	char	   *model;
	int			version;
	double		share;			/* below 1: as the canary */
	double		threshold;		/* NaN: not given */
	int			rules;			/* -1: not given */
	int			expect;
	bool		has_expect;
	bool		force;
	char	   *reason;
} MlRequest;

/* why the gates need not be heard */
typedef enum MlExemption
{
	ML_NOT_EXEMPT,
	ML_EXEMPT_SERVED,			/* the bundle serves, or has served all rows */
	ML_EXEMPT_HEARD,			/* the canary has passed them on its way in */
	ML_EXEMPT_SMALLER			/* fewer rows than now */
} MlExemption;

/* what was asked of the version before the lock */
typedef struct MlExamination
{
	MlOutlook	outlook;
	bool		heard;			/* gates were */
	MlExemption	exempt;
	int			ngates;
	int			npassed;
	Jsonb	   *evidence;		/* or NULL */
} MlExamination;

/* takes a scope of its own; in the current context */
extern void ml_promotion_look(const char *model, MlOutlook *outlook);

/* inside a scope */
extern void ml_promotion_candidate(const char *model, int version, MlCandidate *candidate);
extern void ml_promotion_require_candidate(const char *model, int version, const MlCandidate *candidate);

/*
 * Inside a scope: may the bundle go without gates? It has served all rows, and
 * no rollback has taken it down, as the active version or as a canary, or gone
 * past it since.
 */
extern bool ml_promotion_has_served(const char *model, int version, double threshold, int rules);

/*
 * The threshold that the version is to serve with; NaN for models without one.
 * asked: NaN for none. The source of a choice in *why, NULL if it was given.
 */
extern double ml_promotion_threshold(const char *model, int version, const MlCandidate *candidate,
									 double asked, const char **why);

/*
 * The rule set that the version is to serve with, likewise; 0: none. asked: -1
 * for none; serving: what serves now.
 */
extern int	ml_promotion_rules(const MlCandidate *candidate, int asked, int serving, const char **why);

/*
 * rule_set.c, inside a scope: the checksum of a rule set that is to serve with
 * the candidate. 42704; 42703, 42804, 22023 if it does not suit the version.
 */
extern void ml_promotion_require_rules(const char *model, int version, const MlCandidate *candidate, int rules,
									   uint8 *sha256);

/* for a dry run: who is judged and against whom, now; rules: -1 for none asked; 42704 */
extern void ml_promotion_prepare(MlGateHearing *hearing, double threshold, int rules);

/* examine.c: 40001 unless the active version is the one that is expected */
extern void ml_promotion_check_expect(const MlRequest *request, int found);

/* without a lock or a scope: ML001 if a gate or an approval is missing; 40001, 42704 */
extern void ml_promotion_examine(const MlRequest *request, MlExamination *examination);

/* inside a scope, under the lock: 40001 if what was looked at is not what serves */
extern void ml_promotion_require_same(const MlRequest *request, const MlExamination *examination, const MlServing *serving);

/* a notice of what the gates said, or why they were not heard */
extern void ml_promotion_tell_gates(const MlRequest *request, const MlExamination *examination);

/* approval.c: ML001 unless as many other roles as that, which may still promote, have approved; their names */
extern List *ml_approvals_require(const char *model, int version, int required);

#endif							/* ML_PROMOTION_H */
