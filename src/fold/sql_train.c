/*
 * sql_train.c
 *		A training whose rows stay where they are.
 *
 * Each pass is one query, an aggregate that the server may run in parallel:
 *
 *		SELECT mlops.X_state(label, design, weight, pass) FROM (source) AS q
 *		 WHERE usable AND NOT held out
 *
 * The recipe that makes label and design of a row travels as a bundle ($1),
 * and so does the model when it is measured. All queries see one snapshot.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "errors.h"
#include "executor/spi.h"
#include "fold/fold.h"
#include "fold/sql.h"
#include "miscadmin.h"
#include "score/bundle.h"
#include "json.h"
#include "train/params.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#define MOST_COLUMNS	90		/* a function takes 100 arguments */
#define FETCHED_ROWS	10000
#define ROW_MEASURED	(3 * sizeof(double))

/* ---- what cannot be done ---- */

static const char *
column_obstacle(const MlFrame *frame)
{
	int			n = 0;

	for (int i = 0; i < frame->ncols; i++)
	{
		const MlColumn *column = &frame->cols[i];

		n += column->loaded;
		if (column->role == ML_ROLE_FEATURE && column->type.kind != ML_KIND_NUMBER &&
			column->type.kind != ML_KIND_CATEGORY)
			return psprintf("column \"%s\" is of type %s, and only numbers and categories can be features",
							column->name, ml_value_type_name(&column->type));
	}
	return n > MOST_COLUMNS ? psprintf("the source has more than %d columns", MOST_COLUMNS) : NULL;
}

const char *
ml_sql_obstacle(const MlTraining *training)
{
	const MlAlgorithm *algorithm = training->algorithm;

	if (algorithm->pass_size == NULL || training->frame->target_column < 0)
		return psprintf("algorithm \"%s\" needs the rows in memory", algorithm->name);
	if (ml_training_offset(training).column != NULL)
		return "an offset needs the rows in memory";
	if (training->spec.group_by != NULL)
		return "sub-models of groups need the rows in memory";
	if (training->encoder != NULL)
		return "an encoder needs the rows in memory";
	if (training->spec.time_column != NULL && training->spec.holdout > 0)
		return "the latest rows cannot be held out";
	if (training->recipe_params.impute == ML_IMPUTE_MEDIAN && training->spec.weight != NULL)
		return "impute => 'median' of weighted rows needs the rows in memory";
	if (training->spec.options.refit)
		return "the option \"refit\" needs the rows in memory";
	if (training->spec.options.keep_rows)
		return "the option \"keep_rows\" needs the rows in memory";
	if (training->common_params.calibration != ML_CALIBRATION_NONE)
		return "a calibration needs the rows in memory";
	if (training->common_params.class_weight != ML_CLASS_WEIGHT_NONE || training->common_params.class_weights.n > 0)
		return "class weights need the rows in memory";
	return column_obstacle(training->frame);
}

/* ---- what there is ---- */

/* the sum of the rows' fingerprints modulo 2^128, from the sums of their parts */
static void
sum_fingerprints(MlSql *sql, MlFrame *frame)
{
	uint64		carry = 0;
	uint64		word[4];

	ml_sql_run(sql, psprintf("SELECT i, (sum(p) / 4294967296)::numeric(40, 0)::text, "
							 "(sum(p) - floor(sum(p) / 4294967296) * 4294967296)::bigint, floor(sum(p) / 4294967296)::bigint "
							 "FROM %s, unnest(mlops.row_parts(%s%s)) WITH ORDINALITY AS u (p, i) GROUP BY i ORDER BY i",
							 sql->from, sql->names, sql->columns));
	if (SPI_processed != 4)
		return;
	for (int i = 3; i >= 0; i--)
	{
		uint64		low = (uint64) ml_sql_int(i, 3) + (carry & 0xffffffff);

		word[i] = low & 0xffffffff;
		carry = (carry >> 32) + (low >> 32) + (uint64) ml_sql_int(i, 4);
	}
	frame->set_fingerprint.high = word[0] << 32 | word[1];
	frame->set_fingerprint.low = word[2] << 32 | word[3];
}

static void
count_rows(MlSql *sql, MlFrame *frame)
{
	MlTraining *training = sql->training;
	const char *target = quote_identifier(frame->cols[frame->target_column].name);
	const char *bad = frame->weight_column < 0 ? "false" :
		psprintf("%1$s IS NULL OR NOT %1$s >= 0 OR %1$s > 1e308", sql->weight);

	ml_sql_run(sql, psprintf("SELECT count(*), count(*) FILTER (WHERE q.%1$s IS NULL), "
							 "count(*) FILTER (WHERE q.%1$s IS NOT NULL AND %2$s = 0), count(*) FILTER (WHERE %3$s), "
							 "count(*) FILTER (WHERE %4$s), count(*) FILTER (WHERE %4$s AND %5$s) FROM %6$s",
							 target, sql->weight, bad, sql->usable, sql->held, sql->from));
	frame->rows_read = ml_sql_int(0, 1);
	training->skipped.target_null = ml_sql_int(0, 2);
	training->skipped.weight_zero = ml_sql_int(0, 3);
	training->nholdout = ml_sql_int(0, 6);
	training->skipped.feature_null = frame->rows_read - training->skipped.target_null -
		training->skipped.weight_zero - ml_sql_int(0, 5);
	if (ml_sql_int(0, 4) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("weight \"%s\" has NULL or negative values", frame->cols[frame->weight_column].name),
				 errdetail("There are " INT64_FORMAT " of them.", ml_sql_int(0, 4)),
				 errhint("A weight is zero (the row is left out) or more; correct it in the source.")));
	if (frame->rows_read == 0)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("the source has no rows"),
				 errhint("Check the source's conditions, and whether row-level security hides its rows.")));
}

static void
choose_split(MlTraining *training)
{
	MlSplit    *split = &training->split;

	split->holdout = training->spec.holdout;
	split->seed = training->spec.seed;
	split->time_column = -1;
	split->time_from = NAN;
	split->kind = split->holdout == 0 ? ML_SPLIT_NONE : training->spec.key != NULL ? ML_SPLIT_KEY : ML_SPLIT_ROW;
}

/* ---- bundles of our own ---- */

/* a type of ours, whatever the search_path */
static Oid
our_type(const char *name)
{
	Oid			type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name),
									   ObjectIdGetDatum(get_namespace_oid("mlops", false)));

	if (!OidIsValid(type))
		elog(ERROR, "type mlops.%s does not exist", name);
	return type;
}

static Datum
bundle_of(const MlTraining *training, const bytea *artifact)
{
	MlResolved	resolved = {0};

	strlcpy(resolved.model, training->model, NAMEDATALEN);
	resolved.version = 1;
	resolved.threshold = 0.5;
	ml_sha256(VARDATA_ANY(artifact), VARSIZE_ANY_EXHDR(artifact), resolved.sha256);
	return PointerGetDatum(ml_bundle_make(&resolved, training->recipe->target.task, artifact));
}

/* the recipe with a predictor that says nothing */
static Datum
recipe_bundle(const MlTraining *training)
{
	MlFitted	fitted = {0};
	MlLinear	linear = {0};
	MlCoefficient none = {0, NAN, NAN, NAN};

	linear.base.kind = ML_PREDICTOR_LINEAR;
	linear.link = training->recipe->target.task == ML_TASK_BINARY ? ML_LINK_LOGIT : ML_LINK_IDENTITY;
	linear.noutputs = 1;
	linear.has_intercept = true;
	linear.intercept = &none;
	fitted.predictor = &linear.base;
	fitted.converged = true;
	return bundle_of(training, ml_model_write(training->algorithm->name, training->recipe, &fitted));
}

/* ---- the passes ---- */

typedef struct OwnParams
{
	const MlParam *table;
	Jsonb	   *own;
} OwnParams;

static void
keep_own(void *arg, char *key, JsonbValue *value)
{
	OwnParams  *params = arg;
	MlJson		json = {0};

	for (const MlParam *p = params->table; p != NULL && p->name != NULL; p++)
	{
		if (strcmp(p->name, key) != 0)
			continue;
		ml_json_begin_object(&json);
		ml_json_key(&json, key);
		ml_json_value(&json, value);
		ml_json_end_object(&json);
		params->own = ml_json_merge(params->own, ml_json_finish(&json));
	}
}

/* the columns of encoded rows: numbers, then codes, how many of which the pass begins with */
static void
lay_out(MlFold *fold, const MlRecipe *recipe)
{
	int			n = recipe->nnumbers + recipe->ncategories;

	ml_fold_columns(fold, n);
	fold->npass = n;
	fold->pass = ml_fold_alloc(fold, n, sizeof(double), "a pass");
	for (int g = 0; g < recipe->ncategories; g++)
		fold->pass[recipe->nnumbers + g] = ML_NCODES(&recipe->features[recipe->category_design[g].feature]);
}

static MlFold *
first_pass(const MlTraining *training)
{
	const MlRecipe *recipe = training->recipe;
	OwnParams	params = {training->algorithm->params, ml_json_empty_object()};
	MlFold	   *fold;

	if (training->spec.params != NULL)
		ml_json_each(training->spec.params, keep_own, &params);
	fold = ml_fold_make(CurrentMemoryContext, training->algorithm, params.own,
						recipe->target.task == ML_TASK_REGRESSION ? 0 : recipe->target.nclasses);
	fold->seed = training->spec.seed;
	if (training->algorithm->consume_block)
	{
		lay_out(fold, recipe);
		return fold;
	}
	ml_fold_columns(fold, recipe->ndesign);
	for (int j = 0; j < recipe->ndesign; j++)
		fold->scaled[j] = recipe->design[j].kind == ML_DESIGN_NUMBER;
	return fold;
}

static Datum
flat_state(MlFold *fold)
{
	Size		size = EOH_get_flat_size(&fold->hdr);
	void	   *flat = palloc(size);

	EOH_flatten_into(&fold->hdr, flat, size);
	return PointerGetDatum(flat);
}

/* the columns' own names, for messages and notes */
static void
name_columns(MlFold *fold, const MlRecipe *recipe)
{
	for (int k = 0; fold->recipe && k < recipe->nnumbers; k++)
		fold->recipe->numbers[k].name = recipe->numbers[k].name;
	for (int j = 0; fold->recipe == NULL && j < recipe->ndesign; j++)
		((const char **) fold->matrix.column_name)[j] = recipe->design[j].name;
}

static void
run_passes(MlSql *sql)
{
	MlTraining *training = sql->training;
	const MlFrame *frame = sql->frame;
	char	   *query = psprintf("SELECT mlops.%s_state(mlops.row_label($1, q.%s), mlops.row_%s($1, %s%s), %s, $2) FROM %s WHERE %s AND NOT %s",
								 training->algorithm->name, quote_identifier(frame->cols[frame->target_column].name),
								 training->algorithm->consume_block ? "encoded" : "design",
								 sql->feature_names, sql->features, sql->weight, sql->from, sql->usable, sql->held);
	MemoryContext cxt = CurrentMemoryContext;
	MlFold	   *fold = first_pass(training);
	bool		done = false;

	sql->nparams = 2;
	sql->type[1] = our_type("state");
	while (!done)
	{
		MlFold	   *before = fold;
		bool		isnull;
		Datum		state;

		CHECK_FOR_INTERRUPTS();
		sql->param[1] = flat_state(before);
		ml_sql_run(sql, query);
		MemoryContextSwitchTo(cxt);
		state = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
		if (isnull)
			ereport(ERROR,
					(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
					 errmsg("there are no rows to train on"),
					 errhint("Give more rows, or a smaller holdout.")));
		fold = ml_fold_get(state, cxt);
		ml_fold_prepare(fold);
		name_columns(fold, training->recipe);
		pfree(DatumGetPointer(sql->param[1]));
		MemoryContextDelete(before->hdr.eoh_context);
		done = ml_fold_end_pass(fold);
	}
	sql->nparams = 1;
	MemoryContextSwitchTo(training->cxt);
	training->fitted = ml_fold_finish(fold);
	MemoryContextSwitchTo(cxt);
}

/* ---- measuring ---- */

static int64
fetch_part(MlSql *sql, const char *query, int64 first, int64 room)
{
	MlPredicted *predicted = sql->training->predicted;
	Portal		portal = SPI_cursor_open_with_args(NULL, query, sql->nparams, sql->type, sql->param, NULL, true, 0);
	MemoryContext cxt = CurrentMemoryContext;
	int64		n = 0;

	for (;;)
	{
		SPI_cursor_fetch(portal, true, FETCHED_ROWS);
		MemoryContextSwitchTo(cxt);
		if (SPI_processed == 0)
			break;
		for (uint64 i = 0; i < SPI_processed && n < room; i++)
		{
			double		label = ml_sql_float(i, 1);

			if (isnan(label))
				continue;
			predicted->label[first + n] = label;
			predicted->prediction[first + n] = ml_sql_float(i, 2);
			predicted->weight[first + n++] = ml_sql_float(i, 3);
		}
		SPI_freetuptable(SPI_tuptable);
		SPI_tuptable = NULL;
	}
	SPI_cursor_close(portal);
	MemoryContextSwitchTo(cxt);
	return n;
}

/* a condition that takes a share of the rows at random; told as a warning if it is not all */
static char *
sample_of(MlSql *sql, int64 rows, int64 room, const char *what)
{
	MlTraining *training = sql->training;
	double		share = 0.9 * room / Max(rows, 1);	/* what is taken varies by its root */

	if (rows <= room)
		return "";
	ml_training_warn(training, psprintf("the %s rows are measured on a sample of %.2g%% of them, for want of memory",
										what, 100 * share));
	return psprintf(" AND mlops.row_held_out(" INT64_FORMAT ", %.17g, NULL::text, %s%s)",
					training->spec.seed ^ 1, share, sql->names, sql->columns);
}

/*
 * Labels and predictions of the rows, in a third of the memory that there is,
 * since metrics sort them; half of that is for the held-out rows. Where they do
 * not fit samples are measured.
 */
static void
predict_rows(MlSql *sql)
{
	MlTraining *training = sql->training;
	const char *select = psprintf("SELECT mlops.row_label($1, q.%s), mlops.bundle_predict_columns($1, %s%s), %s FROM %s WHERE %s",
								  quote_identifier(sql->frame->cols[sql->frame->target_column].name),
								  sql->feature_names, sql->features, sql->weight, sql->from, sql->usable);
	MlPredicted *predicted = MemoryContextAllocZero(training->cxt, sizeof(MlPredicted));
	int64		most = (int64) ((training->budget.limit - Min(training->budget.used, training->budget.limit)) / 3 / ROW_MEASURED);
	int64		nholdout = Min(training->nholdout, most / 2);
	int64		ntrain = Min(training->ntrain, most - nholdout);
	int64		room = nholdout + ntrain;
	char	   *sample;

	training->predicted = predicted;
	ml_budget_take(&training->budget, ml_size_mul(room, ROW_MEASURED), "predictions to measure");
	predicted->label = MemoryContextAllocHuge(training->cxt, ml_size_mul(Max(room, 1), ROW_MEASURED));
	predicted->prediction = predicted->label + room;
	predicted->weight = predicted->prediction + room;
	sample = sample_of(sql, training->ntrain, ntrain, "training");
	predicted->ntrain = fetch_part(sql, psprintf("%s AND NOT %s%s", select, sql->held, sample), 0, ntrain);
	if (training->nholdout == 0)
		return;
	sample = sample_of(sql, training->nholdout, nholdout, "held-out");
	predicted->nholdout = fetch_part(sql, psprintf("%s AND %s%s", select, sql->held, sample), predicted->ntrain, nholdout);
}

static void
measure(MlSql *sql)
{
	MlTraining *training = sql->training;
	MlModel    *model = ml_model_read(VARDATA_ANY(training->artifact), VARSIZE_ANY_EXHDR(training->artifact),
									  training->cxt);

	sql->param[0] = bundle_of(training, training->artifact);
	predict_rows(sql);
	ml_training_measure(training, model);
	MemoryContextDelete(model->cxt);
}

/* ---- all of it ---- */

static void
train(MlTraining *training)
{
	double		start = ml_training_seconds();
	MlSql		sql;

	ml_sql_begin(&sql, training);
	choose_split(training);
	count_rows(&sql, training->frame);
	sum_fingerprints(&sql, training->frame);
	MemoryContextSwitchTo(training->cxt);
	training->recipe = ml_sql_recipe(&sql);
	if (training->recipe->target.task == ML_TASK_MULTICLASS)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("this training cannot run in SQL: the target has %d classes", training->recipe->target.nclasses),
				 errdetail("Passes in SQL are for numbers and two classes."),
				 errhint("Train in memory, or make the target a boolean in the source.")));
	training->preparing = ml_training_seconds() - start;

	start = ml_training_seconds();
	sql.nparams = 1;
	sql.type[0] = our_type("bundle");
	sql.param[0] = recipe_bundle(training);
	run_passes(&sql);
	MemoryContextSwitchTo(training->cxt);
	training->artifact = ml_model_write(training->algorithm->name, training->recipe, training->fitted);
	training->fitting = ml_training_seconds() - start;

	start = ml_training_seconds();
	measure(&sql);
	training->measuring = ml_training_seconds() - start;
	if (training->frame->row_security)
		ml_training_warn(training, "row-level security of the source applied: rows that the role may not see were not read");
	if (training->spec.holdout > 0 && training->nholdout == 0)
		ml_training_warn(training, "too few rows for a hold-out: the model was measured on its training rows only");
}

void
ml_sql_train(MlTraining *training)
{
	MemoryContext cxt = CurrentMemoryContext;
	int			level = NewGUCNestLevel();

	(void) set_config_option("transaction_read_only", "on", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	train(training);
	SPI_finish();
	MemoryContextSwitchTo(cxt);
	AtEOXact_GUC(false, level);
}
