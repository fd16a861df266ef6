/*
 * canary.c
 *		The canary beside what a scorer stands for, and which of the two a row
 *		belongs to.
 *
 * Both are resolved from one row of the registry under the statement's
 * snapshot, so that a statement sees one pair of bundles, and one share. A row
 * is sent to its side by its key. Without a key it is its content that counts:
 * what the active version's recipe makes of it, so that a row is the same row
 * however it comes, as columns or as JSON.
 */
#include "postgres.h"

#include "registry/canary.h"
#include "score/key.h"
#include "score/score.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(mlops_canary_position_key);
PG_FUNCTION_INFO_V1(mlops_canary_position_row);

/* ---- resolving ---- */

void
ml_score_drop_canary(MlScorer *scorer)
{
	MlScorerCanary *canary = scorer->canary;

	if (canary == NULL)
		return;
	scorer->canary = NULL;
	MemoryContextDelete(canary->cxt);
}

MlScorer *
ml_score_make_canary(MlScorer *scorer)
{
	MemoryContext cxt = AllocSetContextCreate(scorer->cxt, "mlops predict canary", ALLOCSET_SMALL_SIZES);
	MlScorerCanary *canary = MemoryContextAllocZero(cxt, sizeof(MlScorerCanary));

	canary->cxt = cxt;
	canary->side = MemoryContextAllocZero(cxt, sizeof(MlScorer));
	canary->side->cxt = cxt;
	scorer->canary = canary;
	return canary->side;
}

/* what failed to load has no model, and is loaded anew */
static bool
has_canary(const MlScorer *scorer)
{
	const MlScorer *side;

	if (scorer->canary == NULL)
		return false;
	side = scorer->canary->side;
	return side->model != NULL && scorer->resolved.canary.version != 0 &&
		memcmp(side->resolved.sha256, scorer->resolved.canary.sha256, ML_SHA256_LENGTH) == 0;
}

static void
load(MlScorer *scorer, MlResult result)
{
	MlScorer   *side = ml_score_make_canary(scorer);
	const MlModel *model;

	side->reference = scorer->reference;
	strlcpy(side->reference.alias, ML_CANARY, NAMEDATALEN);
	ml_registry_canary(&scorer->resolved, &side->resolved);
	model = ml_registry_acquire(&side->resolved, side->cxt);
	ml_score_prepare(side, model, result);
}

void
ml_score_take_canary(MlScorer *scorer, MlResult result)
{
	MlScorer   *side;

	if (!has_canary(scorer))
		ml_score_drop_canary(scorer);
	if (scorer->resolved.canary.version == 0)
		return;
	if (scorer->canary == NULL)
		load(scorer, result);
	scorer->canary->share = scorer->resolved.canary.share;
	scorer->canary->seed = scorer->resolved.canary.seed;
	side = scorer->canary->side;
	ml_registry_canary(&scorer->resolved, &side->resolved);
	ml_score_take_rules(side);
	if (ml_score_watch)
		ml_score_watch->resolve(side, result);
	side->current = true;
}

/* ---- the side of a row ---- */

/*
 * The hash of the bytes of the encoded row: its numbers as doubles, missing
 * ones as the one NaN, then its codes as words of 64 bits; all little-endian.
 */
static uint64
hash_row(const MlScorer *scorer, uint64 seed)
{
	const MlRecipe *recipe = ml_model_input_recipe(scorer->model);
	uint64		hash = ml_hash_word(0, seed);

	for (int i = 0; i < recipe->nnumbers; i++)
		hash = ml_hash_word(hash, ml_hash_double(scorer->row.number[i]));
	for (int i = 0; i < recipe->ncategories; i++)
		hash = ml_hash_word(hash, (uint64) (int64) scorer->row.code[i]);
	return ml_hash_word(hash, (uint64) sizeof(uint64) * (recipe->nnumbers + recipe->ncategories));
}

/* false: the call has none */
static bool
position_of_key(const MlScoreInput *input, uint64 seed, double *position)
{
	char		buffer[ML_KEY_BUFFER];
	const char *key = input->key;
	int			length = input->nkey;

	if (input->fcinfo != NULL)
	{
		key = buffer;
		length = input->key_argument == 0 ? -1 :
			ml_score_key_argument(input->fcinfo, input->key_argument, buffer);
	}
	if (key == NULL || length < 0)
		return false;
	*position = ml_canary_position(key, length, seed);
	return true;
}

MlScorer *
ml_score_side(MlScorer *scorer, const MlScoreInput *input, bool *is_taken, bool *is_row)
{
	const MlScorerCanary *canary = scorer->canary;
	double		position;

	*is_taken = false;
	if (canary == NULL)
		return scorer;
	if (!position_of_key(input, canary->seed, &position))
	{
		*is_taken = true;
		*is_row = ml_score_take(scorer, input);
		if (!*is_row)
			return scorer;
		position = ml_hash_unit(hash_row(scorer, canary->seed));
	}
	if (position >= canary->share)
		return scorer;
	*is_taken = false;
	return canary->side;
}

/* ---- as SQL sees it ---- */

/* of the canary that runs, else of the next that would */
static uint64
seed_of(const char *model, const MlCanary *running)
{
	char	   *salt;
	uint64		seed;

	if (running->version != 0)
		return running->seed;
	salt = ml_registry_canary_salt(model);
	seed = ml_canary_seed(salt);
	pfree(salt);
	return seed;
}

/* mlops_canary_position(model text, key text | bigint | uuid); NULL without a key */
Datum
mlops_canary_position_key(PG_FUNCTION_ARGS)
{
	text	   *name = PG_GETARG_TEXT_PP(0);
	char		key[ML_KEY_BUFFER];
	int			length = ml_score_key_argument(fcinfo, 1, key);
	MlReference reference;
	MlCanary	running;

	if (length < 0)
		PG_RETURN_NULL();
	ml_reference_parse(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name), &reference);
	ml_registry_running_canary(reference.model, &running);
	PG_RETURN_FLOAT8(ml_canary_position(key, length, seed_of(reference.model, &running)));
}

/* mlops_canary_position(model text, input record): of a call without a key; NULL for a row that scores NULL */
Datum
mlops_canary_position_row(PG_FUNCTION_ARGS)
{
	MlScorer   *scorer = ml_score_resolve(fcinfo, ML_RESULT_ROW, PG_GETARG_TEXT_PP(0));

	if (!ml_score_record(scorer, PG_GETARG_DATUM(1)))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(ml_hash_unit(hash_row(scorer, seed_of(scorer->resolved.model, &scorer->resolved.canary))));
}
