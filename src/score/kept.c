/*
 * kept.c
 *		Call sites between two executions of a plan.
 *
 * The server forgets a call site with the execution that it belongs to. A
 * query for one row would spend more on making it again - contexts, matching
 * names to features, pinning the model - than on scoring. So a site whose
 * execution is over waits here for the next one of the same plan.
 *
 * It is found by the address of the call in the plan, but an address may be
 * another call's by then: function, reference, names and types are compared.
 * A kept site knows no statement, so that it resolves its reference, and has
 * its privileges checked, as a new one does; what it saves is the binding to a
 * model that is still the one that serves. It pins that model, and goes as
 * soon as models have to be evicted.
 *
 * Memory: sites are children of "mlops call sites", at most KEPT_SITES of at
 * most KEPT_SIZE bytes while they wait; when in use they belong to fn_mcxt by
 * a callback, which runs after an error too.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "score/score.h"
#include "storage/lock.h"
#include "utils/memutils.h"

#define KEPT_SITES		32		/* a power of two */
#define KEPT_SIZE		(32 * 1024)

#define ARG_NAMES		2		/* of the functions that get columns */

/* which call of which plan; in the site's memory */
struct MlCall
{
	const FuncExpr *address;	/* to be compared, not to be followed */
	Oid			function;
	struct varlena *reference;
	struct varlena *names;		/* NULL: the function gets no columns */
	int			nargs;
	Oid			type[FLEXIBLE_ARRAY_MEMBER];
};

static MemoryContext kept_cxt = NULL;
static MlCallSite *kept[KEPT_SITES];

static MlCallSite **
place_of(const FuncExpr *call)
{
	uintptr_t	bits = (uintptr_t) call;

	return &kept[((bits >> 4) ^ (bits >> 9) ^ (bits >> 14)) % KEPT_SITES];
}

static inline Oid
type_of(const Node *argument)
{
	return IsA(argument, Var) ? ((const Var *) argument)->vartype : exprType(argument);
}

/* the bytes of a constant argument, or NULL */
static struct varlena *
constant(const FuncExpr *call, int n)
{
	const Const *argument;
	struct varlena *value;

	if (n >= list_length(call->args) || !IsA(list_nth(call->args, n), Const))
		return NULL;
	argument = (const Const *) list_nth(call->args, n);
	if (argument->constisnull || argument->constbyval || argument->constlen != -1)
		return NULL;
	value = (struct varlena *) DatumGetPointer(argument->constvalue);
	return VARATT_IS_EXTERNAL(value) ? NULL : value;
}

static bool
same_bytes(const struct varlena *a, const struct varlena *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return VARSIZE_ANY(a) == VARSIZE_ANY(b) && memcmp(a, b, VARSIZE_ANY(a)) == 0;
}

static bool
same_call(const MlCall *known, const FmgrInfo *flinfo, const FuncExpr *call)
{
	const ListCell *cell;
	int			i = 0;

	if (known->address != call || known->function != flinfo->fn_oid ||
		known->nargs != list_length(call->args) || call->funcvariadic ||
		!same_bytes(known->reference, constant(call, 0)) ||
		!same_bytes(known->names, constant(call, ARG_NAMES)))
		return false;
	foreach(cell, call->args)
	{
		if (known->type[i++] != type_of(lfirst(cell)))
			return false;
	}
	return true;
}

static struct varlena *
copy_bytes(MemoryContext cxt, const struct varlena *bytes)
{
	struct varlena *copy;

	if (bytes == NULL)
		return NULL;
	copy = (struct varlena *) MemoryContextAlloc(cxt, VARSIZE_ANY(bytes));
	return memcpy(copy, bytes, VARSIZE_ANY(bytes));
}

/* NULL: a call that cannot be told from others */
static MlCall *
describe_call(MemoryContext cxt, const FmgrInfo *flinfo)
{
	const FuncExpr *call = (const FuncExpr *) flinfo->fn_expr;
	const ListCell *cell;
	MlCall	   *known;

	if (call == NULL || !IsA(call, FuncExpr) || call->funcvariadic ||
		constant(call, 0) == NULL)
		return NULL;
	known = (MlCall *) MemoryContextAlloc(cxt, offsetof(MlCall, type) +
										  sizeof(Oid) * list_length(call->args));
	known->address = call;
	known->function = flinfo->fn_oid;
	known->reference = copy_bytes(cxt, constant(call, 0));
	known->names = copy_bytes(cxt, constant(call, ARG_NAMES));
	known->nargs = 0;
	foreach(cell, call->args)
		known->type[known->nargs++] = type_of(lfirst(cell));
	return known;
}

static bool
has_cast(const MlScorer *scorer)
{
	return scorer->is_bound && scorer->has_cast;
}

/* by a version that rules use */
static bool
rules_cast(const MlScorerRules *rules)
{
	for (int i = 0; rules != NULL && i < rules->program->nrules; i++)
		if (rules->used[i] != NULL && has_cast(rules->used[i]))
			return true;
	return false;
}

static bool
casts(const MlScorer *scorer)
{
	return has_cast(scorer) || rules_cast(scorer->rules) ||
		(scorer->canary != NULL && (has_cast(scorer->canary->side) || rules_cast(scorer->canary->side->rules)));
}

/* A cast was looked up with the rights of who called it, and may be dropped. */
static bool
can_wait(const MlCallSite *site)
{
	for (int i = 0; i < ML_SCORERS_PER_SITE; i++)
		if (site->scorer[i].model && casts(&site->scorer[i]))
			return false;
	return !ml_model_cache_is_full() &&
		MemoryContextMemAllocated(site->cxt, true) <= KEPT_SIZE;
}

/* The execution is over. Raises nothing. */
static void
release(void *arg)
{
	MlCallSite *site = (MlCallSite *) arg;
	MlCallSite **place = place_of(site->call->address);

	if (*place == NULL && can_wait(site))
		*place = site;
	else
		MemoryContextDelete(site->cxt);
}

static void
use(MlCallSite *site, FmgrInfo *flinfo)
{
	site->release.func = release;
	site->release.arg = site;
	MemoryContextRegisterResetCallback(flinfo->fn_mcxt, &site->release);
}

/* The kept site of a call, or NULL. It knows no statement. */
MlCallSite *
ml_site_take(FmgrInfo *flinfo, MlResult result)
{
	const FuncExpr *call = (const FuncExpr *) flinfo->fn_expr;
	MlCallSite **place;
	MlCallSite *site;

	if (call == NULL || !IsA(call, FuncExpr))
		return NULL;
	place = place_of(call);
	site = *place;
	if (site == NULL)
		return NULL;
	*place = NULL;
	if (site->result != result || !same_call(site->call, flinfo, call))
	{
		MemoryContextDelete(site->cxt);
		return NULL;
	}
	site->statement.lxid = InvalidLocalTransactionId;
	use(site, flinfo);
	return site;
}

/* Gives up all sites that wait: called when models have to be evicted. */
static void
forget_all(void)
{
	for (int i = 0; i < KEPT_SITES; i++)
	{
		MlCallSite *site = kept[i];

		kept[i] = NULL;
		if (site)
			MemoryContextDelete(site->cxt);
	}
}

/* Lets a new site, a child of fn_mcxt, outlive this execution if it can. */
void
ml_site_keep(MlCallSite *site, FmgrInfo *flinfo)
{
	site->call = describe_call(site->cxt, flinfo);
	if (site->call == NULL)
		return;
	if (kept_cxt == NULL)
	{
		kept_cxt = AllocSetContextCreate(TopMemoryContext, "mlops call sites",
										 ALLOCSET_SMALL_SIZES);
		ml_model_cache_pressure = forget_all;
	}
	MemoryContextSetParent(site->cxt, kept_cxt);
	use(site, flinfo);
}
