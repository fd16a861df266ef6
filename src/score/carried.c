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

#include "catalog/pg_type.h"
#include "compat.h"
#include "score/bundle.h"
#include "score/score.h"
#include "utils/memutils.h"

#define ARG_BUNDLE			0
#define ARG_FIRST_COLUMN	2	/* bundle, names, columns... */

typedef struct CarriedSite
{
	MemoryContext cxt;
	bool		loaded;
	Size		header_length;
	char		header[ML_BUNDLE_RULED_HEADER];
	MlScorer	scorer;

	/* rows of a training in SQL */
	double	   *shift;			/* zeros, ones: as many as the design has columns */
	double	   *scale;
	bool		has_label;
	MlValueType label_type;
	double	   *class_number;	/* of each class of numbers; NaN: of text */
	MlBlock		block;			/* of the row, for what is judged by block */
	double	   *block_work;		/* NULL: not made */
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

static bytea *
load_used(void *arg)
{
	return ((MlBundleUsed *) arg)->artifact;
}

/* in cxt, which holds the pin on the model too */
static MlScorer *
make_used(MlBundleUsed *found, MlResult result, MemoryContext cxt)
{
	MlScorer   *used = MemoryContextAllocZero(cxt, sizeof(MlScorer));
	const MlModel *model;

	used->cxt = AllocSetContextCreate(cxt, "mlops predict model", ALLOCSET_SMALL_SIZES);
	model = ml_model_acquire(found->resolved.sha256, load_used, found, used->cxt);
	used->resolved = found->resolved;
	ml_score_prepare(used, model, result);
	used->current = true;
	return used;
}

static void
load_rules(MlScorer *scorer, struct varlena *value, const MlBundle *bundle, MlResult result)
{
	MemoryContext cxt = AllocSetContextCreate(scorer->cxt, "mlops predict rules", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	MlBundleRules rules;
	MlRuleProgram *program;

	ml_bundle_rules(value, bundle, &rules);
	program = rules.program;
	ml_score_set_rules(scorer, program, bundle->resolved.rules_sha256, cxt);
	scorer->rules->carried = true;
	scorer->rules->view.now = bundle->now;
	for (int u = 0; u < rules.nused; u++)
	{
		MlScorer   *used = make_used(&rules.used[u], result, cxt);

		ml_score_tolerate(used, program);
		if (rules.used[u].wanted == ML_RULE_FALLBACK)
			scorer->rules->fallback = used;
		for (int i = 0; i < program->nrules; i++)
			if (program->rule[i].action == ML_RULE_USE && program->rule[i].version == rules.used[u].wanted)
				scorer->rules->used[i] = used;
		pfree(rules.used[u].artifact);
	}
	MemoryContextSwitchTo(old);
}

/* one bundle, into a scorer that has a context and nothing else */
static void
load_side(MlScorer *scorer, struct varlena *value, const MlBundle *bundle, MlResult result)
{
	ErrorContextCallback context;
	const MlModel *model;

	context.callback = say_which_version;
	context.arg = unconstify(MlResolved *, &bundle->resolved);
	context.previous = error_context_stack;
	error_context_stack = &context;
	model = ml_model_acquire(bundle->resolved.sha256, load_artifact, value, scorer->cxt);
	scorer->resolved = bundle->resolved;
	ml_score_prepare(scorer, model, result);
	if (bundle->resolved.rules != 0 && result != ML_RESULT_ANY)
		load_rules(scorer, value, bundle, result);
	error_context_stack = context.previous;
}

/* rows of a training are the active version's alone */
static void
load_pair(MlScorer *scorer, struct varlena *value, const MlBundle *pair, MlResult result)
{
	struct varlena *active;
	struct varlena *canary;
	MlBundle	bundle;

	ml_bundle_split(value, pair, &active, &canary);
	ml_bundle_header(VARDATA(active), VARSIZE(active) - VARHDRSZ, &bundle);
	load_side(scorer, active, &bundle, result);
	if (result == ML_RESULT_VALUE || result == ML_RESULT_LABEL || result == ML_RESULT_PROBA)
	{
		ml_bundle_header(VARDATA(canary), VARSIZE(canary) - VARHDRSZ, &bundle);
		load_side(ml_score_make_canary(scorer), canary, &bundle, result);
		scorer->canary->share = pair->resolved.canary.share;
		scorer->canary->seed = pair->resolved.canary.seed;
	}
	pfree(active);
	pfree(canary);
}

static void
load(CarriedSite *site, struct varlena *value, const char *header, Size length, MlResult result)
{
	MlScorer   *scorer = &site->scorer;
	MlBundle	bundle;

	site->loaded = site->has_label = false;
	site->shift = site->block_work = NULL;
	ml_bundle_header(header, length, &bundle);
	if (scorer->cxt == NULL)
		scorer->cxt = AllocSetContextCreate(site->cxt, "mlops predict model", ALLOCSET_SMALL_SIZES);
	ml_score_unload(scorer);
	if (bundle.resolved.canary.version != 0)
		load_pair(scorer, value, &bundle, result);
	else
		load_side(scorer, value, &bundle, result);
	scorer->plain = scorer->rules == NULL && scorer->canary == NULL;
	site->header_length = bundle.header_length;
	memcpy(site->header, header, bundle.header_length);
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
				 errdetail("It was given as NULL."),
				 errhint("Make one with mlops_bundle('model').")));
	if (site == NULL)
		site = make_site(fcinfo->flinfo);
	value = (struct varlena *) PG_GETARG_POINTER(ARG_BUNDLE);
	first = value;
	if (VARATT_IS_EXTERNAL(value) || VARATT_IS_COMPRESSED(value))
		first = pg_detoast_datum_slice(value, 0, ML_BUNDLE_RULED_HEADER);
	if (!site->loaded || VARSIZE_ANY_EXHDR(first) < site->header_length ||
		memcmp(VARDATA_ANY(first), site->header, site->header_length) != 0)
		load(site, value, VARDATA_ANY(first), VARSIZE_ANY_EXHDR(first), result);
	if (first != value)
		pfree(first);
	return &site->scorer;
}

/* the whole way, where a bundle is more than its version */
static pg_noinline Datum
score_fully(FunctionCallInfo fcinfo, MlScorer *scorer, const MlScoreInput *input, MlResult result)
{
	MlAnswer	answer;

	ml_score_answer(scorer, input, result, &answer);
	return ml_score_decided(fcinfo, &answer.decided, result);
}

static Datum
score_input(FunctionCallInfo fcinfo, MlResult result, MlInput input)
{
	MlScorer   *scorer = carried_scorer(fcinfo, result);
	MlScoreInput how = {.fcinfo = fcinfo, .input = input};

	if (!scorer->plain)
		return score_fully(fcinfo, scorer, &how, result);
	if (!ml_score_input(fcinfo, scorer, input))
		PG_RETURN_NULL();
	return ml_score_result(fcinfo, scorer, ml_model_outputs(scorer->model, &scorer->row, scorer->work), result);
}

static pg_noinline Datum
score_columns_fully(FunctionCallInfo fcinfo, MlScorer *scorer, MlResult result)
{
	MlScoreInput how = {.fcinfo = fcinfo, .first_column = ARG_FIRST_COLUMN};

	return score_fully(fcinfo, scorer, &how, result);
}

static Datum
score_columns(FunctionCallInfo fcinfo, MlResult result)
{
	MlScorer   *scorer = carried_scorer(fcinfo, result);

	if (unlikely(!scorer->plain))
		return score_columns_fully(fcinfo, scorer, result);
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
	return ml_score_result(fcinfo, scorer, ml_model_outputs(scorer->model, &scorer->row, scorer->work), result);
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

/* ---- the rows of a training in SQL ---- */

static ArrayType *
empty_doubles(int n)
{
	Size		size = ARR_OVERHEAD_NONULLS(1) + sizeof(double) * (Size) n;
	ArrayType  *array = palloc0(size);

	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->elemtype = FLOAT8OID;
	ARR_DIMS(array)[0] = n;
	ARR_LBOUND(array)[0] = 1;
	return array;
}

/* encodes the row; one of NULLs is a row like others here, but says nothing about types */
static void
take_row(FunctionCallInfo fcinfo, MlScorer *scorer)
{
	const MlRecipe *input = ml_model_input_recipe(scorer->model);

	if (!ml_score_columns(scorer, fcinfo, ARG_FIRST_COLUMN))
		for (int f = 0; f < input->nfeatures; f++)
			ml_recipe_put_null(&input->features[f], &scorer->row);
}

/* the encoded row: its numbers, NaN where one is missing, then its codes */
static Datum
row_encoded(FunctionCallInfo fcinfo)
{
	MlScorer   *scorer = carried_scorer(fcinfo, ML_RESULT_ROW);
	const MlRecipe *recipe = scorer->model->recipe;
	ArrayType  *array;
	double	   *x;

	take_row(fcinfo, scorer);
	if (scorer->model->encoder != NULL || ml_recipe_row_dropped(recipe, &scorer->row))
		PG_RETURN_NULL();
	array = empty_doubles(recipe->nnumbers + recipe->ncategories);
	x = (double *) ARR_DATA_PTR(array);
	for (int k = 0; k < recipe->nnumbers; k++)
		x[k] = scorer->row.number[k];
	for (int g = 0; g < recipe->ncategories; g++)
		x[recipe->nnumbers + g] = scorer->row.code[g];
	PG_RETURN_ARRAYTYPE_P(array);
}

/* the design of a row by the recipe of a bundle: float8[]; NULL where the recipe drops it */
static Datum
row_design(FunctionCallInfo fcinfo)
{
	MlScorer   *scorer = carried_scorer(fcinfo, ML_RESULT_ROW);
	CarriedSite *site = fcinfo->flinfo->fn_extra;
	const MlRecipe *recipe = scorer->model->recipe;
	const MlRow *row;
	MlRow		own;
	int			n = recipe->ndesign;
	ArrayType  *array;

	if (site->shift == NULL)
	{
		site->shift = MemoryContextAllocZero(scorer->cxt, 2 * sizeof(double) * Max(n, 1));
		site->scale = site->shift + n;
		for (int j = 0; j < n; j++)
			site->scale[j] = 1;
	}

	take_row(fcinfo, scorer);
	row = ml_model_own_row(scorer->model, &scorer->row, scorer->work, &own);
	if (ml_recipe_row_dropped(recipe, row))
		PG_RETURN_NULL();
	array = empty_doubles(n);
	ml_design_row(recipe, row, site->shift, site->scale, (double *) ARR_DATA_PTR(array));
	PG_RETURN_ARRAYTYPE_P(array);
}

/* the outputs of a row: of several classes the probability of each; NULL where the row is dropped */
static Datum
row_outputs(FunctionCallInfo fcinfo)
{
	MlScorer   *scorer = carried_scorer(fcinfo, ML_RESULT_ROW);
	const double *output;
	ArrayType  *array;

	if (scorer->model->noutputs == 0)
		PG_RETURN_NULL();
	take_row(fcinfo, scorer);
	output = ml_model_outputs(scorer->model, &scorer->row, scorer->work);
	if (output == NULL)
		PG_RETURN_NULL();
	array = empty_doubles(scorer->model->noutputs);
	memcpy(ARR_DATA_PTR(array), output, sizeof(double) * scorer->model->noutputs);
	PG_RETURN_ARRAYTYPE_P(array);
}

static void
make_block(CarriedSite *site, const MlRow *row)
{
	const MlModel *model = site->scorer.model;
	const MlRecipe *recipe = model->recipe;
	MemoryContext cxt = site->scorer.cxt;
	Size		size = model->routine->block_work_size(model->predictor, recipe, 1);

	site->block.n = 1;
	site->block.number = MemoryContextAlloc(cxt, sizeof(double *) * Max(recipe->nnumbers, 1));
	site->block.complete = MemoryContextAllocZero(cxt, sizeof(bool) * Max(recipe->nnumbers, 1));
	for (int k = 0; k < recipe->nnumbers; k++)
		site->block.number[k] = &row->number[k];
	site->block.code = row->code;
	site->block_work = MemoryContextAllocHuge(cxt, sizeof(double) * Max(size, 1));
}

/* what a row loses in a model without a target, as MlLoss has it: three numbers */
static Datum
row_loss(FunctionCallInfo fcinfo)
{
	MlScorer   *scorer = carried_scorer(fcinfo, ML_RESULT_ROW);
	CarriedSite *site = fcinfo->flinfo->fn_extra;
	const MlModel *model = scorer->model;
	MlLoss		loss;
	ArrayType  *array;
	double	   *part;

	if (model->routine->judge_block == NULL || model->encoder != NULL)
		PG_RETURN_NULL();
	take_row(fcinfo, scorer);
	if (ml_recipe_row_dropped(model->recipe, &scorer->row))
		PG_RETURN_NULL();
	if (site->block_work == NULL)
		make_block(site, &scorer->row);
	model->routine->judge_block(model->predictor, model->recipe, &site->block, site->block_work, &loss);
	array = empty_doubles(3);
	part = (double *) ARR_DATA_PTR(array);
	part[0] = loss.loss;
	part[1] = loss.spread;
	part[2] = loss.silhouette;
	PG_RETURN_ARRAYTYPE_P(array);
}

static void
bind_label(FunctionCallInfo fcinfo, CarriedSite *site, const MlTarget *target)
{
	ml_value_type(get_fn_expr_argtype(fcinfo->flinfo, 1), -1, site->scorer.cxt, &site->label_type);
	if (site->label_type.kind != ML_KIND_NUMBER && (site->label_type.kind != ML_KIND_CATEGORY || target->task == ML_TASK_REGRESSION))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("a label of type %s is none of target \"%s\"", ml_value_type_name(&site->label_type), target->name ? target->name : ""),
				 errdetail("It is read as a number%s.", target->task == ML_TASK_REGRESSION ? "" : " or as the name of a class"),
				 errhint("This function is for queries that mlops makes.")));
	site->class_number = MemoryContextAlloc(site->scorer.cxt, sizeof(double) * Max(target->nclasses, 1));
	for (int c = 0; c < target->nclasses; c++)
	{
		const char *label = target->class_label[c];

		site->class_number[c] = strcmp(label, "true") == 0 ? 1 : strcmp(label, "false") == 0 ? 0 : strtod(label, NULL);
	}
	site->has_label = true;
}

static bool
is_class(CarriedSite *site, const MlTarget *target, int c, Datum value)
{
	int			length;
	const char *bytes;

	if (site->label_type.kind != ML_KIND_CATEGORY)
		return ml_value_number(&site->label_type, value) == site->class_number[c];
	bytes = ml_value_text(&site->label_type, value, &length);
	return strlen(target->class_label[c]) == (size_t) length && memcmp(target->class_label[c], bytes, length) == 0;
}

/* what a learner calls y: see ml_recipe_labels; NULL for a class that the recipe does not know */
static Datum
row_label(FunctionCallInfo fcinfo)
{
	MlScorer   *scorer = carried_scorer(fcinfo, ML_RESULT_ROW);
	CarriedSite *site = fcinfo->flinfo->fn_extra;
	const MlTarget *target = &scorer->model->recipe->target;

	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (!site->has_label)
		bind_label(fcinfo, site, target);
	if (target->task == ML_TASK_REGRESSION)
		PG_RETURN_FLOAT8(ml_value_number(&site->label_type, PG_GETARG_DATUM(1)));
	for (int c = 0; c < target->nclasses; c++)
		if (is_class(site, target, c, PG_GETARG_DATUM(1)))
			PG_RETURN_FLOAT8(target->task == ML_TASK_BINARY ? c == target->positive : c);
	PG_RETURN_NULL();
}

CARRIED(mlops_row_design, row_design(fcinfo))
CARRIED(mlops_row_encoded, row_encoded(fcinfo))
CARRIED(mlops_row_label, row_label(fcinfo))
CARRIED(mlops_row_outputs, row_outputs(fcinfo))
CARRIED(mlops_row_loss, row_loss(fcinfo))
