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

/* the serving row, read under its lock */
typedef struct MlServing
{
	int			version;		/* 0: nothing serves */
	double		threshold;		/* NaN: none */
	int			rules;			/* 0: none */
	int			deployment;		/* number of the newest, 0 if there was none */
	int			nstack;
	int		   *stack;			/* deployments to go back to, newest last */
	TimestampTz changed_at;
} MlServing;

/* what is to serve, and why */
typedef struct MlDecision
{
	const char *model;
	const char *action;			/* "promote", "rollback" */
	int			version;
	uint8		sha256[ML_SHA256_LENGTH];
	double		threshold;		/* NaN: none */
	int			rules;			/* 0: none */
	uint8		rules_sha256[ML_SHA256_LENGTH];
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

/* inside a scope: one UPDATE, one INSERT, the notice; the time it is stamped with */
extern TimestampTz ml_deploy_write(const MlDecision *decision, const MlServing *before);

/* the row of type mlops.deployed that the functions return */
extern Datum ml_deploy_result(FunctionCallInfo fcinfo, const MlDecision *decision,
							  int deployment, int previous_version, TimestampTz at);

#endif							/* ML_DEPLOY_H */
