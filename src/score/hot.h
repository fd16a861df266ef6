/*
 * hot.h
 *		What every scored row goes through before its values: is all as it was
 *		for the last row? Inline, since it is a fair part of the row's cost.
 */
#ifndef ML_HOT_H
#define ML_HOT_H

#include "postgres.h"

#include "access/xact.h"
#include "compat.h"
#include "miscadmin.h"
#include "score/score.h"
#include "utils/snapmgr.h"

static pg_attribute_always_inline bool
ml_same_ids(const TransactionId *a, const TransactionId *b, uint32 n)
{
	return n == 0 || memcmp(a, b, n * sizeof(TransactionId)) == 0;
}

static pg_attribute_always_inline bool
ml_same_statement(const MlStatement *known, Snapshot snapshot)
{
	return known->lxid == ML_LOCAL_XID &&
		known->xmin == snapshot->xmin &&
		known->xmax == snapshot->xmax &&
		known->curcid == snapshot->curcid &&
		known->nxip == snapshot->xcnt &&
		known->nsubxip == (uint32) snapshot->subxcnt &&
		known->suboverflowed == snapshot->suboverflowed &&
		known->recovery == snapshot->takenDuringRecovery &&
		known->user == GetUserId() &&
		known->subxact == GetCurrentSubTransactionId() &&
		ml_same_ids(known->running, snapshot->xip, known->nxip) &&
		ml_same_ids(known->running + known->nxip, snapshot->subxip, known->nsubxip);
}

/*
 * The scorer of the model that the call names, resolved under the running
 * statement. The active snapshot must be the statement's.
 */
static pg_attribute_always_inline MlScorer *
ml_score_scorer(FunctionCallInfo fcinfo, MlResult result)
{
	const MlCallSite *site = (const MlCallSite *) fcinfo->flinfo->fn_extra;

	if (likely(site != NULL && site->constant && site->last != NULL &&
			   site->last->current && ActiveSnapshotSet() &&
			   ml_same_statement(&site->statement, GetActiveSnapshot())))
		return site->last;
	return ml_score_resolve(fcinfo, result, ml_score_reference(fcinfo));
}

#endif							/* ML_HOT_H */
