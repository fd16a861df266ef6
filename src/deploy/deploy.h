/*
 * deploy.h
 *		Moving what serves: what promotion and rollback share. Private to deploy/.
 */
#ifndef ML_DEPLOY_H
#define ML_DEPLOY_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "model/model.h"
#include "utils/jsonb.h"

/* a bundle that serves */
typedef struct MlServed
{
	int			version;
	uint8		sha256[ML_SHA256_LENGTH];
	double		threshold;		/* NaN: none */
	int			rules;			/* 0: none */
	uint8		rules_sha256[ML_SHA256_LENGTH];
	int			deployment;		/* that made it serve, or changed its share; 0: none did */
} MlServed;

/* the serving row, read under its lock */
typedef struct MlServing
{
	MlServed	active;			/* version 0: nothing serves */
	MlServed	canary;			/* version 0: none runs */
	double		share;			/* of the canary */
	char	   *salt;			/* of the canary, or NULL */
	int			nstack;
	int		   *stack;			/* deployments to go back to, newest last */
	TimestampTz changed_at;
} MlServing;

/* what is to serve, and why */
typedef struct MlDecision
{
	const char *model;
	const char *action;			/* "promote", "rollback" */
	MlServed	bundle;			/* its deployment is not known yet */
	double		share;			/* below 1: as the canary, beside what is active */
	const char *salt;			/* of a canary */
	const MlServed *from;		/* what it takes rows from */
	int			restored;		/* deployment that a rollback goes back to, or 0 */
	bool		forced;
	const char *reason;			/* or NULL */
	Jsonb	   *evidence;		/* what gates said; or NULL */
	const char *deployed_by;
	int			nstack;			/* of the new stack */
	int		   *stack;
} MlDecision;

/* inside a scope: locks and reads; palloc'd in the current context */
extern void ml_deploy_read(const char *model, MlServing *serving);

/* the number of a model's newest deployment; 0: there was none */
static inline int
ml_deploy_newest(const MlServing *serving)
{
	return Max(serving->active.deployment, serving->canary.deployment);
}

extern bool ml_deploy_same(const MlServed *a, const MlServed *b);

/*
 * Inside a scope: one UPDATE, one INSERT, the notice; the number that the
 * deployment gets, and the time it is stamped with.
 */
extern int	ml_deploy_write(const MlDecision *decision, const MlServing *before, TimestampTz *at);

/* the row of type mlops.deployed that the functions return */
extern Datum ml_deploy_result(FunctionCallInfo fcinfo, const MlDecision *decision, int deployment, TimestampTz at);

#endif							/* ML_DEPLOY_H */
