/*
 * shadow.c
 *		Versions that are asked beside the one that answers, and never shown.
 *
 * The answer is there before a shadow is asked, and whatever comes of a shadow
 * becomes a status. Subtransactions cannot be had in parallel plans, so errors
 * are caught without one, and only where nothing but memory was taken: while an
 * input is bound and encoded, which calls no function of a user's (is_shadow),
 * and while an artifact is read, whose own errors come when no scan is open. Any
 * other error - a cancel, a broken table - ends the statement as it would have.
 *
 * The samples of shadows are nested in each other and in the log's: one hash of
 * the key decides all, so that shadows can be compared on the same rows, and a
 * share is one of the traffic as long as the log takes as much.
 *
 * A session knows the mean time of each shadow's calls, by checksum of its
 * artifact; one that takes longer than mlops.shadow_time_limit is skipped, but
 * for a call now and then. One that does not fit into mlops.artifact_cache
 * beside the models in use is not asked again.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "frame/hash.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "score/score.h"
#include "score/shadow.h"
#include "settings.h"
#include "utils/float.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#define RETRY			256		/* of calls that are not made because of those before, one in so many is */
#define SETTLED			4		/* calls after which a mean is believed */
#define CAP				4.0		/* times the limit: a call that was interrupted does not count for more */
#define FAR				100.0	/* times the limit: one such call will do */
#define WEIGHT			0.125	/* of a call in the mean */
#define RETRY_WEIGHT	0.5

/* what the session knows of an artifact that was a shadow */
typedef struct ShadowCost
{
	uint8		sha256[ML_SHA256_LENGTH];	/* key */
	int64		calls;
	double		mean;			/* microseconds */
	uint64		skipped;
	int			too_large_for;	/* mlops.artifact_cache when it did not fit; 0: it did */
	bool		unreadable;		/* when it was last tried */
} ShadowCost;

typedef struct Shadow
{
	MlShadowRow row;
	uint64		limit;			/* of hashes in its sample */
	ShadowCost *cost;
	MlScorer   *scorer;			/* NULL: not loaded */
	const char *unfit;			/* why it cannot be asked in this statement; NULL: it can */
} Shadow;

struct MlScorerShadows
{
	MemoryContext cxt;			/* child of the scorer's: all of this */
	bool		current;		/* read under the statement's snapshot */
	int			n;
	Shadow	   *shadow;
	StringInfoData packed;		/* of the latest row; outlives cxt */
};

static HTAB *costs = NULL;

/* ---- which there are ---- */

static ShadowCost *
find_cost(const uint8 *sha256)
{
	ShadowCost *cost;
	bool		found;

	if (costs == NULL)
	{
		HASHCTL		control = {0};

		control.keysize = ML_SHA256_LENGTH;
		control.entrysize = sizeof(ShadowCost);
		control.hcxt = TopMemoryContext;
		costs = hash_create("mlops shadows", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	cost = hash_search(costs, sha256, HASH_ENTER, &found);
	if (!found)
	{
		cost->calls = 0;
		cost->mean = 0.0;
		cost->skipped = 0;
		cost->too_large_for = 0;
		cost->unreadable = false;
	}
	return cost;
}

static void
make_shadow(Shadow *shadow, const MlShadowRow *row)
{
	shadow->row = *row;
	shadow->limit = ml_hash_limit(row->share);
	shadow->cost = find_cost(row->resolved.sha256);
}

static bool
same_row(const MlShadowRow *a, const MlShadowRow *b)
{
	return strcmp(a->name, b->name) == 0 && a->resolved.version == b->resolved.version &&
		a->resolved.threshold == b->resolved.threshold && a->share == b->share &&
		memcmp(a->resolved.sha256, b->resolved.sha256, ML_SHA256_LENGTH) == 0;
}

static bool
same_rows(const MlScorerShadows *shadows, const MlShadowRow *row, int n)
{
	bool		same = shadows->n == n;

	for (int i = 0; same && i < n; i++)
		same = same_row(&shadows->shadow[i].row, &row[i]);
	return same;
}

/* gives up models and bindings too */
static void
replace(MlScorerShadows *shadows, const MlShadowRow *row, int n)
{
	MemoryContext old;

	shadows->n = 0;
	MemoryContextReset(shadows->cxt);
	old = MemoryContextSwitchTo(shadows->cxt);
	shadows->shadow = palloc0(sizeof(Shadow) * Max(n, 1));
	for (int i = 0; i < n; i++)
		make_shadow(&shadows->shadow[i], &row[i]);
	shadows->n = n;
	MemoryContextSwitchTo(old);
}

static MlScorerShadows *
take_shadows(MlScorer *scorer)
{
	MlScorerShadows *shadows = scorer->shadows;
	MemoryContext old;
	MlShadowRow *row;
	int			n;

	if (shadows == NULL)
	{
		shadows = MemoryContextAllocZero(scorer->cxt, sizeof(MlScorerShadows));
		shadows->cxt = AllocSetContextCreate(scorer->cxt, "mlops predict shadows", ALLOCSET_SMALL_SIZES);
		old = MemoryContextSwitchTo(scorer->cxt);
		initStringInfo(&shadows->packed);
		MemoryContextSwitchTo(old);
		scorer->shadows = shadows;
	}
	n = ml_registry_shadows(&scorer->resolved, &row);
	if (!same_rows(shadows, row, n))
		replace(shadows, row, n);
	pfree(row);
	for (int i = 0; i < n; i++)
		shadows->shadow[i].unfit = NULL;
	shadows->current = true;
	return shadows;
}

/* a new statement has begun */
void
ml_score_age_shadows(MlScorer *scorer)
{
	scorer->shadows->current = false;
}

/* ---- errors that become a status ---- */

/* NULL: an error that is nothing of the shadow's */
static const char *
status_of_error(int code)
{
	switch (code)
	{
		case ERRCODE_UNDEFINED_COLUMN:
			return "failed: missing column";
		case ERRCODE_DATATYPE_MISMATCH:
		case ERRCODE_AMBIGUOUS_COLUMN:
			return "failed: wrong type";
		case ERRCODE_ARRAY_SUBSCRIPT_ERROR:
			return "failed: wrong length";
		case ERRCODE_OUT_OF_MEMORY:
			return "failed: memory";
	}
	switch (ERRCODE_TO_CATEGORY(code))
	{
		case ERRCODE_DATA_EXCEPTION:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
			return "failed: value";
	}
	return NULL;
}

/* in PG_CATCH: forgets the error; what raising it did to the counters of held interrupts is undone */
static void
forget_error(MemoryContext cxt, uint32 holdoff, uint32 cancel_holdoff)
{
	MemoryContextSwitchTo(cxt);
	FlushErrorState();
	InterruptHoldoffCount = holdoff;
	QueryCancelHoldoffCount = cancel_holdoff;
}

/* ---- loading ---- */

/* false: its bytes cannot be read */
static bool
acquire(MlScorer *scorer)
{
	MemoryContext cxt = CurrentMemoryContext;
	uint32		holdoff = InterruptHoldoffCount;
	uint32		cancel_holdoff = QueryCancelHoldoffCount;
	volatile bool done = false;

	PG_TRY();
	{
		ml_score_prepare(scorer, ml_registry_acquire(&scorer->resolved, scorer->cxt), ML_RESULT_ANY);
		done = true;
	}
	PG_CATCH();
	{
		if (geterrcode() != ERRCODE_ML_BAD_ARTIFACT)
			PG_RE_THROW();
		forget_error(cxt, holdoff, cancel_holdoff);
	}
	PG_END_TRY();
	return done;
}

static const char *
load(Shadow *shadow, MemoryContext parent)
{
	MemoryContext cxt = AllocSetContextCreate(parent, "mlops predict model", ALLOCSET_SMALL_SIZES);
	MlScorer   *scorer = MemoryContextAllocZero(cxt, sizeof(MlScorer));

	scorer->cxt = cxt;
	scorer->resolved = shadow->row.resolved;
	scorer->is_shadow = true;
	shadow->cost->unreadable = !acquire(scorer);
	if (!shadow->cost->unreadable && ml_model_cache_is_full())
		shadow->cost->too_large_for = ml_artifact_cache_kb;
	else if (!shadow->cost->unreadable)
	{
		shadow->scorer = scorer;
		return NULL;
	}
	MemoryContextDelete(cxt);
	return shadow->cost->unreadable ? "failed: artifact" : "skipped: memory";
}

/* ---- asking ---- */

/* why a shadow is not to be asked; NULL: it is */
static const char *
obstacle(Shadow *shadow, MemoryContext cxt, bool *again, instr_time *start)
{
	ShadowCost *cost = shadow->cost;
	double		limit = ml_shadow_time_limit_ms * 1000.0;

	*again = false;
	if (shadow->unfit != NULL)
		return shadow->unfit;
	if (cost->too_large_for == ml_artifact_cache_kb)
		return "skipped: memory";
	if (cost->unreadable && ++cost->skipped % RETRY != 0)
		return "failed: artifact";
	if (limit > 0.0 && cost->mean > limit && cost->calls >= SETTLED)
	{
		if (++cost->skipped % RETRY != 0)
			return "skipped: slow";
		*again = true;
	}
	if (shadow->scorer == NULL)
	{
		shadow->unfit = load(shadow, cxt);
		INSTR_TIME_SET_CURRENT(*start);
	}
	return shadow->unfit;
}

/* columns are bound once; what does not fit then never will, in this statement */
static bool
has_columns(const MlScoreInput *input)
{
	return input->fcinfo == NULL || input->first_column > 0 || input->input == ML_INPUT_RECORD;
}

/* the outputs of a shadow, or NULL; *status: why it has none, NULL where nothing went wrong */
static const double *
ask(Shadow *shadow, const MlScoreInput *input, const char **status)
{
	MemoryContext cxt = CurrentMemoryContext;
	uint32		holdoff = InterruptHoldoffCount;
	uint32		cancel_holdoff = QueryCancelHoldoffCount;
	MlScorer   *scorer = shadow->scorer;
	const double *volatile output = NULL;
	const char *volatile failure = NULL;
	MlAnswer	answer;

	answer.scorer = scorer;
	answer.input = input;
	answer.is_taken = false;
	PG_TRY();
	{
		output = ml_score_outputs(&answer);
	}
	PG_CATCH();
	{
		failure = status_of_error(geterrcode());
		if (failure == NULL)
			PG_RE_THROW();
		forget_error(cxt, holdoff, cancel_holdoff);
	}
	PG_END_TRY();
	if (failure != NULL && has_columns(input) && !scorer->is_bound)
		shadow->unfit = failure;
	if (failure == NULL && output != NULL && isinf(output[0]))
		failure = "failed: not finite";
	*status = failure;
	return failure == NULL ? output : NULL;
}

static void
learn(ShadowCost *cost, double us, bool again)
{
	double		limit = ml_shadow_time_limit_ms * 1000.0;
	double		weight = again ? RETRY_WEIGHT : Max(WEIGHT, 1.0 / (cost->calls + 1));

	if (limit > 0.0 && us > limit * CAP)
	{
		cost->calls = us > limit * FAR ? Max(cost->calls, SETTLED) : cost->calls;
		weight = us > limit * FAR ? 1.0 : weight;
		us = limit * CAP;
	}
	cost->mean += weight * (us - cost->mean);
	cost->calls++;
}

/* until now; the next one begins here */
static double
microseconds_since(instr_time *start)
{
	instr_time	now;
	instr_time	took;

	INSTR_TIME_SET_CURRENT(now);
	took = now;
	INSTR_TIME_SUBTRACT(took, *start);
	*start = now;
	return INSTR_TIME_GET_DOUBLE(took) * 1e6;
}

/* ---- what is logged ---- */

static void
put_shadow(MlScorerShadows *shadows, Shadow *shadow, const MlAnswer *answer, instr_time *start)
{
	char		number[ML_CLUSTER_LENGTH];
	MlShadowSaid said = {.name = shadow->row.name, .version = shadow->row.resolved.version};
	const double *output = NULL;
	bool		again;

	said.prediction = said.us = get_float8_nan();
	said.status = obstacle(shadow, shadows->cxt, &again, start);
	if (said.status == NULL && answer->is_row)
	{
		output = ask(shadow, answer->input, &said.status);
		said.us = microseconds_since(start);
		learn(shadow->cost, said.us, again);
	}
	if (said.status == NULL)
	{
		said.status = ML_SHADOW_OK;
		said.prediction = ml_score_number(shadow->scorer, output, number, &said.label);
	}
	ml_shadow_pack(&shadows->packed, &said);
}

StringInfo
ml_score_shadows(const MlAnswer *answer, uint64 hash, instr_time start)
{
	MlScorerShadows *shadows = answer->asked->shadows;
	const uint8 *answered = answer->scorer->resolved.sha256;

	if (shadows == NULL || !shadows->current)
	{
		shadows = take_shadows(answer->asked);
		INSTR_TIME_SET_CURRENT(start);
	}
	resetStringInfo(&shadows->packed);
	for (int i = 0; i < shadows->n; i++)
	{
		Shadow	   *shadow = &shadows->shadow[i];

		/* the version that answered has been asked */
		if ((hash < shadow->limit || shadow->limit == PG_UINT64_MAX) &&
			memcmp(shadow->row.resolved.sha256, answered, ML_SHA256_LENGTH) != 0)
			put_shadow(shadows, shadow, answer, &start);
	}
	return shadows->packed.len > 0 ? &shadows->packed : NULL;
}

/* ---- in the open ---- */

bool
ml_score_show_shadow(MlScorer *scorer, int n, const MlScoreInput *input, MlShadowShown *shown)
{
	MlScorerShadows *shadows = scorer->shadows;
	Shadow	   *shadow;
	const char *status;

	if (scorer->resolved.shadows == 0)
		return false;
	if (shadows == NULL || !shadows->current)
		shadows = take_shadows(scorer);
	if (n >= shadows->n)
		return false;
	shadow = &shadows->shadow[n];
	if (shadow->scorer == NULL && shadow->unfit == NULL)
		shadow->unfit = load(shadow, shadows->cxt);
	shown->name = shadow->row.name;
	shown->version = shadow->row.resolved.version;
	shown->scorer = shadow->scorer;
	shown->output = shadow->unfit == NULL ? ask(shadow, input, &status) : NULL;
	return true;
}
