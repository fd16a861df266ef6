/*
 * site.c
 *		The call site: which model a reference stands for in this statement.
 *
 * A resolution holds for one statement. The statement is recognised by the
 * local transaction and the contents of the active snapshot, so that all rows
 * of a statement, in its leader and in its workers, see one bundle, and so
 * that call sites that outlive a statement or a transaction (simple
 * expressions of PL/pgSQL) follow a promotion at once. Invalidation messages
 * play no part: a commit becomes visible a moment before they arrive.
 *
 * Comparing a snapshot costs a few nanoseconds and comes before anything else,
 * on every row. Resolving costs about two microseconds and checks privileges
 * each time; binding and buffers survive it if the bytes are the same.
 */
#include "postgres.h"

#include "nodes/primnodes.h"
#include "score/hot.h"
#include "utils/memutils.h"

const MlScoreWatch *ml_score_watch = NULL;

/* From here on nothing resolved earlier holds. */
static void
begin_statement(MlCallSite *site, Snapshot snapshot)
{
	MlStatement *known = &site->statement;
	uint32		nids = snapshot->xcnt + (uint32) snapshot->subxcnt;

	known->lxid = InvalidLocalTransactionId;
	for (int i = 0; i < ML_SCORERS_PER_SITE; i++)
		site->scorer[i].current = false;
	if (nids > known->capacity)
	{
		if (known->running)
			pfree(known->running);
		known->running = NULL;
		known->capacity = 0;
		known->running = (TransactionId *)
			MemoryContextAllocHuge(site->cxt, nids * sizeof(TransactionId));
		known->capacity = nids;
	}
	known->subxact = GetCurrentSubTransactionId();
	known->user = GetUserId();
	known->xmin = snapshot->xmin;
	known->xmax = snapshot->xmax;
	known->curcid = snapshot->curcid;
	known->suboverflowed = snapshot->suboverflowed;
	known->recovery = snapshot->takenDuringRecovery;
	known->nxip = snapshot->xcnt;
	known->nsubxip = (uint32) snapshot->subxcnt;
	if (known->nxip > 0)
		memcpy(known->running, snapshot->xip, known->nxip * sizeof(TransactionId));
	if (known->nsubxip > 0)
		memcpy(known->running + known->nxip, snapshot->subxip,
			   known->nsubxip * sizeof(TransactionId));
	known->lxid = ML_LOCAL_XID;
}

/* A reference that is written out in the query need not be compared. */
static bool
is_constant_argument(const FmgrInfo *flinfo)
{
	FuncExpr   *call = (FuncExpr *) flinfo->fn_expr;

	return call != NULL && IsA(call, FuncExpr) && call->args != NIL &&
		IsA(linitial(call->args), Const);
}

static MlCallSite *
make_site(FmgrInfo *flinfo, MlResult result)
{
	MlCallSite *site = ml_site_take(flinfo, result);
	MemoryContext cxt;

	if (site)
	{
		flinfo->fn_extra = site;
		return site;
	}
	cxt = AllocSetContextCreate(flinfo->fn_mcxt, "mlops predict", ALLOCSET_DEFAULT_SIZES);
	site = (MlCallSite *) MemoryContextAllocZero(cxt, sizeof(MlCallSite));
	site->cxt = cxt;
	site->result = result;
	site->constant = is_constant_argument(flinfo);
	site->statement.lxid = InvalidLocalTransactionId;
	ml_site_keep(site, flinfo);
	flinfo->fn_extra = site;
	return site;
}

/* Forgets the model, and unpins it. */
void
ml_score_unload(MlScorer *scorer)
{
	scorer->current = false;
	scorer->model = NULL;
	scorer->bind_cxt = NULL;
	scorer->is_bound = false;
	scorer->rules = NULL;
	scorer->shadows = NULL;
	scorer->typed = NULL;
	scorer->canary = NULL;
	if (scorer->cxt)
		MemoryContextReset(scorer->cxt);
}

/* Forgets the input's columns; bind_cxt is empty then, and ready. */
void
ml_score_unbind(MlScorer *scorer)
{
	scorer->is_bound = false;
	scorer->row_type = 0;
	if (scorer->bind_cxt)
		MemoryContextReset(scorer->bind_cxt);
	else
		scorer->bind_cxt = AllocSetContextCreate(scorer->cxt, "mlops predict columns",
												 ALLOCSET_SMALL_SIZES);
}

ml_noreturn static void refuse_result(const MlResolved *resolved, const char *message, const char *detail, const char *hint);

/* message has a place for the model's name, detail for the version's number */
static void
refuse_result(const MlResolved *resolved, const char *message, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("model \"%s\" %s", resolved->model, message),
			 errdetail("Version %d %s.", resolved->version, detail),
			 errhint("%s", hint)));
}

/* Some results do not exist for some tasks. */
static void
check_task(const MlResolved *resolved, const MlModel *model, MlResult result)
{
	MlTask		task = model->recipe->target.task;
	bool		class = result == ML_RESULT_LABEL || result == ML_RESULT_PROBA;

	if (result == ML_RESULT_ROW)
		return;
	if (result == ML_RESULT_TRANSFORM && ml_model_ntransform(model) == 0)
		refuse_result(resolved, "does not transform rows",
					  psprintf("is of algorithm \"%s\"", model->algorithm),
					  "Use mlops_predict, or train with an algorithm that finds a space, as \"pca\", \"kmeans\" and \"mlp\" do.");
	if (result != ML_RESULT_TRANSFORM && task == ML_TASK_PROJECTION)
		refuse_result(resolved, "predicts nothing: it transforms rows",
					  psprintf("is of algorithm \"%s\", which has no target", model->algorithm),
					  "Use mlops_transform.");
	if (result == ML_RESULT_VALUE && task == ML_TASK_MULTICLASS)
		refuse_result(resolved, "predicts one of several classes, not a number",
					  "has a target of more than two classes",
					  "Use mlops_predict_label for the class, or mlops_predict_proba for the probability of each.");
	if (class && task == ML_TASK_REGRESSION)
		refuse_result(resolved, "predicts a number, not a class", "has a numeric target", "Use mlops_predict.");
	if (class && task == ML_TASK_ANOMALY)
		refuse_result(resolved, "predicts how unusual a row is, not a class", "has no target", "Use mlops_predict.");
	if (result == ML_RESULT_PROBA && task == ML_TASK_CLUSTER)
		refuse_result(resolved, "predicts a cluster without probabilities", "has no target",
					  "Use mlops_predict for the number of the cluster, or mlops_transform for the distance to each.");
}

/*
 * The buffers of a model that scorer->cxt holds, resolved as scorer->resolved
 * says; refuses a result that it does not have.
 */
void
ml_score_prepare(MlScorer *scorer, const MlModel *model, MlResult result)
{
	const MlRecipe *recipe = ml_model_input_recipe(model);

	check_task(&scorer->resolved, model, result);
	scorer->row.number = (double *)
		MemoryContextAllocZero(scorer->cxt, sizeof(double) * Max(recipe->nnumbers, 1));
	scorer->row.code = (int32 *)
		MemoryContextAllocZero(scorer->cxt, sizeof(int32) * Max(recipe->ncategories, 1));
	scorer->work = (double *) MemoryContextAllocHuge(scorer->cxt, sizeof(double) * model->work_size);
	scorer->name_length = (int *)
		MemoryContextAlloc(scorer->cxt, sizeof(int) * Max(recipe->nfeatures, 1));
	for (int i = 0; i < recipe->nfeatures; i++)
		scorer->name_length[i] = strlen(recipe->features[i].name);
	scorer->model = model;
}

static void
load(MlScorer *scorer, MemoryContext parent, MlResult result)
{
	const MlModel *model;

	ml_score_unload(scorer);
	if (scorer->cxt == NULL)
		scorer->cxt = AllocSetContextCreate(parent, "mlops predict model",
											ALLOCSET_SMALL_SIZES);
	model = ml_registry_model(&scorer->reference, ML_PRIVILEGE_PREDICT,
							  scorer->cxt, &scorer->resolved);
	ml_score_prepare(scorer, model, result);
}

/* a space belongs to a version: rows of one that is not the active one's would not lie in it */
static bool
predicts(MlResult result)
{
	return result != ML_RESULT_TRANSFORM && result != ML_RESULT_ROW;
}

/* Resolves a scorer's reference under the active snapshot, and loads what is not loaded yet. */
void
ml_score_refresh(MlScorer *scorer, MemoryContext parent, MlResult result)
{
	MlResolved	resolved;

	if (scorer->model)
	{
		resolved = scorer->resolved;
		ml_registry_resolve_again(&scorer->reference, ML_PRIVILEGE_PREDICT, &resolved);
	}
	if (scorer->model &&
		memcmp(resolved.sha256, scorer->resolved.sha256, ML_SHA256_LENGTH) == 0)
		scorer->resolved = resolved;
	else
		load(scorer, parent, result);
	if (unlikely(scorer->resolved.rules != 0 || scorer->rules != NULL) && result != ML_RESULT_TRANSFORM)
		ml_score_take_rules(scorer);
	if (unlikely(scorer->shadows != NULL))
		ml_score_age_shadows(scorer);
	if (ml_score_watch)
		ml_score_watch->resolve(scorer, result);
	if (unlikely(scorer->resolved.canary.version != 0 || scorer->canary != NULL) && predicts(result))
		ml_score_take_canary(scorer, result);
	scorer->plain = !scorer->logging.on && scorer->rules == NULL && scorer->canary == NULL && scorer->counts == NULL;
	scorer->current = true;
}

static bool
same_text(const MlScorer *scorer, const char *bytes, int length)
{
	return scorer->text != NULL && scorer->text_length == length &&
		memcmp(scorer->text, bytes, length) == 0;
}

/* The place of a reference: where it is already, a free one, or another's. */
static MlScorer *
find_place(MlCallSite *site, const char *bytes, int length)
{
	MlReference reference;
	MlScorer   *scorer;

	for (int i = 0; i < ML_SCORERS_PER_SITE; i++)
		if (same_text(&site->scorer[i], bytes, length))
			return &site->scorer[i];
	ml_reference_parse(bytes, length, &reference);
	scorer = &site->scorer[site->victim];
	site->victim = (site->victim + 1) % ML_SCORERS_PER_SITE;
	ml_score_unload(scorer);
	if (scorer->text)
		pfree(scorer->text);
	scorer->text = NULL;
	scorer->text = (char *) MemoryContextAlloc(site->cxt, length + 1);
	memcpy(scorer->text, bytes, length);
	scorer->text_length = length;
	scorer->reference = reference;
	return scorer;
}

/* The scorer of a reference at this call site: the whole way, where hot.h's short one ends. */
MlScorer *
ml_score_resolve(FunctionCallInfo fcinfo, MlResult result, text *reference)
{
	MlCallSite *site = (MlCallSite *) fcinfo->flinfo->fn_extra;
	const char *bytes = VARDATA_ANY(reference);
	int			length = VARSIZE_ANY_EXHDR(reference);
	Snapshot	snapshot;

	if (!ActiveSnapshotSet())
		elog(ERROR, "a model is scored without an active snapshot");
	snapshot = GetActiveSnapshot();
	if (site == NULL)
		site = make_site(fcinfo->flinfo, result);
	if (!ml_same_statement(&site->statement, snapshot))
		begin_statement(site, snapshot);
	if (site->last == NULL || !same_text(site->last, bytes, length))
		site->last = find_place(site, bytes, length);
	if (!site->last->current)
		ml_score_refresh(site->last, site->cxt, site->result);
	return site->last;
}
