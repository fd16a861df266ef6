/*
 * carried.c
 *		Scoring with a model that comes as a value: mlops_predict(bundle, input).
 *
 * Nothing is looked up, so these functions are immutable and run anywhere:
 * in parallel workers, on foreign servers, in generated columns. What a bundle
 * becomes in memory is kept at the call site under the bytes of its header,
 * which name the artifact by its checksum; the rest of the value is read when
 * the header changes, and not for every row.
 */
#include "postgres.h"

#include "compat.h"
#include "image.h"
#include "score/bundle.h"
#include "score/score.h"
#include "utils/memutils.h"

#define ARG_BUNDLE			0
#define ARG_FIRST_COLUMN	2	/* bundle, names, columns... */

typedef struct CarriedSite
{
	MemoryContext cxt;
	bool		loaded;
	char		header[ML_BUNDLE_HEADER];
	MlScorer	scorer;
} CarriedSite;

/* what is wrong with bytes is told by code that does not know whose they are */
static void
say_which_version(void *arg)
{
	const MlResolved *resolved = arg;

	errcontext("bundle of version %d of model \"%s\"", resolved->version, resolved->model);
}

static bytea *
load_artifact(void *arg)
{
	return ml_bundle_artifact((struct varlena *) arg);
}

static void
load(CarriedSite *site, struct varlena *value, const char *header, Size length, MlResult result)
{
	MlScorer   *scorer = &site->scorer;
	ErrorContextCallback context;
	MlBundle	bundle;
	const MlModel *model;

	site->loaded = false;
	ml_bundle_header(header, length, &bundle);
	if (scorer->cxt == NULL)
		scorer->cxt = AllocSetContextCreate(site->cxt, "mlops predict model", ALLOCSET_SMALL_SIZES);
	ml_score_unload(scorer);
	context.callback = say_which_version;
	context.arg = &bundle.resolved;
	context.previous = error_context_stack;
	error_context_stack = &context;
	model = ml_model_acquire(bundle.resolved.sha256, load_artifact, value, scorer->cxt);
	error_context_stack = context.previous;
	scorer->resolved = bundle.resolved;
	ml_score_prepare(scorer, model, result);
	memcpy(site->header, header, ML_BUNDLE_HEADER);
	site->loaded = true;
}

static CarriedSite *
make_site(FmgrInfo *flinfo)
{
	MemoryContext cxt = AllocSetContextCreate(flinfo->fn_mcxt, "mlops predict", ALLOCSET_DEFAULT_SIZES);
	CarriedSite *site = MemoryContextAllocZero(cxt, sizeof(CarriedSite));

	site->cxt = cxt;
	flinfo->fn_extra = site;
	return site;
}

/* The scorer of the bundle that a call brings. */
static MlScorer *
carried_scorer(FunctionCallInfo fcinfo, MlResult result)
{
	CarriedSite *site = fcinfo->flinfo->fn_extra;
	struct varlena *value;
	struct varlena *first;

	if (PG_ARGISNULL(ARG_BUNDLE))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"bundle\" must not be NULL"),
				 errhint("Make one with mlops_bundle('model').")));
	if (site == NULL)
		site = make_site(fcinfo->flinfo);
	value = (struct varlena *) PG_GETARG_POINTER(ARG_BUNDLE);
	first = value;
	if (VARATT_IS_EXTERNAL(value) || VARATT_IS_COMPRESSED(value))
		first = pg_detoast_datum_slice(value, 0, ML_BUNDLE_HEADER);
	if (!site->loaded || VARSIZE_ANY_EXHDR(first) < ML_BUNDLE_HEADER ||
		memcmp(VARDATA_ANY(first), site->header, ML_BUNDLE_HEADER) != 0)
		load(site, value, VARDATA_ANY(first), VARSIZE_ANY_EXHDR(first), result);
	if (first != value)
		pfree(first);
	return &site->scorer;
}

static Datum
score_input(FunctionCallInfo fcinfo, MlResult result, MlInput input)
{
	MlScorer   *scorer = carried_scorer(fcinfo, result);

	if (!ml_score_input(fcinfo, scorer, input))
		PG_RETURN_NULL();
	return ml_score_result(fcinfo, scorer,
						   ml_model_outputs(scorer->model, &scorer->row, scorer->work), result);
}

static Datum
score_columns(FunctionCallInfo fcinfo, MlResult result)
{
	MlScorer   *scorer = carried_scorer(fcinfo, result);

	if (scorer->is_bound && scorer->direct)
	{
		double		prediction =
			ml_model_predict_columns(scorer->model,
									 &fcinfo->args[ARG_FIRST_COLUMN + scorer->direct_first],
									 scorer->direct_position);

		if (likely(!isnan(prediction)))
			return ml_score_result(fcinfo, scorer, &prediction, result);
	}
	if (!ml_score_columns(scorer, fcinfo, ARG_FIRST_COLUMN))
		PG_RETURN_NULL();
	return ml_score_result(fcinfo, scorer,
						   ml_model_outputs(scorer->model, &scorer->row, scorer->work), result);
}

#define CARRIED(name, call) \
PG_FUNCTION_INFO_V1(name); \
Datum \
name(PG_FUNCTION_ARGS) \
{ \
	return call; \
}

#define CARRIED_ALL(name, result) \
CARRIED(name##_record, score_input(fcinfo, result, ML_INPUT_RECORD)) \
CARRIED(name##_json, score_input(fcinfo, result, ML_INPUT_JSON)) \
CARRIED(name##_jsonb, score_input(fcinfo, result, ML_INPUT_JSONB)) \
CARRIED(name##_text, score_input(fcinfo, result, ML_INPUT_TEXT)) \
CARRIED(name##_array, score_input(fcinfo, result, ML_INPUT_ARRAY)) \
CARRIED(name##_columns, score_columns(fcinfo, result))

CARRIED_ALL(mlops_bundle_predict, ML_RESULT_VALUE)
CARRIED_ALL(mlops_bundle_predict_label, ML_RESULT_LABEL)
CARRIED_ALL(mlops_bundle_predict_proba, ML_RESULT_PROBA)
