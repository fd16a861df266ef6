/*
 * scored.c
 *		Rows of a frame with their keys, and what a version says of them.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "validate/pin.h"
#include "validate/validate.h"

void
ml_keys_begin(MlKeys *keys, const char *column, MlBudget *budget)
{
	memset(keys, 0, sizeof(*keys));
	keys->column = column;
	keys->at = -1;
	keys->capacity = 1024;
	keys->cxt = CurrentMemoryContext;
	keys->budget = budget;
	keys->key = palloc(sizeof(char *) * keys->capacity);
}

static void
find_key(MlKeys *keys, TupleDesc desc)
{
	bool		varlena;

	for (int i = 0; i < desc->natts; i++)
		if (strcmp(NameStr(TupleDescAttr(desc, i)->attname), keys->column) == 0)
		{
			keys->at = i;
			getTypeOutputInfo(TupleDescAttr(desc, i)->atttypid, &keys->output, &varlena);
			return;
		}
	elog(ERROR, "key column \"%s\" is not in the rows", keys->column);
}

void
ml_keys_tee(void *arg, TupleDesc desc, TupleTableSlot *slot)
{
	MlKeys	   *keys = arg;
	MemoryContext old = MemoryContextSwitchTo(keys->cxt);
	char	   *key = NULL;

	if (keys->at < 0)
		find_key(keys, desc);
	if (keys->n == keys->capacity)
	{
		ml_budget_take(keys->budget, ml_size_mul(keys->capacity, 2 * sizeof(char *)), "keys of rows");
		keys->capacity *= 2;
		keys->key = repalloc_huge(keys->key, ml_size_mul(keys->capacity, sizeof(char *)));
	}
	if (!slot->tts_isnull[keys->at])
	{
		key = OidOutputFunctionCall(keys->output, slot->tts_values[keys->at]);
		ml_budget_take(keys->budget, GetMemoryChunkSpace(key), "keys of rows");
	}
	keys->key[keys->n++] = key;
	MemoryContextSwitchTo(old);
}

static bool
has_feature(const MlFrameRequest *request, const char *name)
{
	for (int i = 0; i < request->nfeatures; i++)
		if (strcmp(request->features[i], name) == 0)
			return true;
	return false;
}

void
ml_scored_features(const MlModel *model, MlFrameRequest *request)
{
	const MlRecipe *recipe = ml_model_input_recipe(model);
	char	  **features = palloc(sizeof(char *) * Max(request->nfeatures + recipe->nfeatures, 1));

	if (request->nfeatures > 0)
		memcpy(features, request->features, sizeof(char *) * request->nfeatures);
	request->features = features;
	for (int f = 0; f < recipe->nfeatures; f++)
		if (!has_feature(request, recipe->features[f].name))
			request->features[request->nfeatures++] = recipe->features[f].name;
}

double *
ml_scored_outputs(const MlModel *model, const MlFrame *frame, MlBudget *budget)
{
	Size		n = ml_size_mul(Max(frame->nrows, 1), Max(model->noutputs, 1));
	double	   *output;

	ml_budget_take(budget, ml_size_mul(n, sizeof(double)), "predictions");
	output = palloc_extended(ml_size_mul(n, sizeof(double)), MCXT_ALLOC_HUGE);
	ml_model_predict_frame(model, frame, 0, frame->nrows, output);
	return output;
}
