/*
 * sql_pass.c
 *		The passes of a training in SQL.
 *
 * Each pass is one query, an aggregate that the server may run in parallel:
 *
 *		SELECT mlops.X_state(label, design, weight, pass) FROM (source) AS q
 *		 WHERE usable AND NOT held out
 *
 * $1 is the recipe that makes label and design of a row, $2 the pass. Weights of
 * classes are in the weight: neither the recipe nor metrics know of them.
 */
#include "postgres.h"

#include "errors.h"
#include "executor/spi.h"
#include "fold/fold.h"
#include "fold/sql.h"
#include "json.h"
#include "miscadmin.h"
#include "train/class_weight.h"
#include "train/params.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

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
	for (int k = 0; k < recipe->nnumbers; k++)
		if (recipe->features[recipe->numbers[k].feature].kind == ML_KIND_TIME)
			fold->pass[k] = ML_CODES_TIME;
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

/* the weight of a row for the learner; label: an expression, NULL without a target */
static char *
row_weight(const MlSql *sql, const char *label)
{
	double		factor[ML_MAX_CLASSES];
	StringInfoData list;

	if (label == NULL || !ml_class_weight_factors(sql->training, factor))
		return sql->weight;
	initStringInfo(&list);
	for (int c = 0; c < sql->training->recipe->target.nclasses; c++)
		appendStringInfo(&list, "%s%.17g", c > 0 ? ", " : "", factor[c]);
	return psprintf("%s * ('{%s}'::pg_catalog.float8[])[1 + %s::pg_catalog.int4]", sql->weight, list.data, label);
}

static char *
pass_query(const MlSql *sql)
{
	const MlAlgorithm *algorithm = sql->training->algorithm;
	const MlFrame *frame = sql->frame;
	char	   *label = frame->target_column < 0 ? NULL :
		psprintf("mlops.row_label($1, q.%s)", quote_identifier(frame->cols[frame->target_column].name));

	return psprintf("SELECT mlops.%s_state(%s%smlops.row_%s($1, %s), %s, $2) FROM %s WHERE %s",
					algorithm->name, label ? label : "", label ? ", " : "",
					algorithm->consume_block ? "encoded" : "design", sql->features,
					row_weight(sql, label), sql->from, sql->trained);
}

void
ml_sql_fit(MlSql *sql)
{
	MlTraining *training = sql->training;
	MemoryContext cxt = CurrentMemoryContext;
	char	   *query = pass_query(sql);
	MlFold	   *fold = first_pass(training);
	bool		done = false;

	sql->nparams = 2;
	sql->type[1] = ml_sql_type("state");
	while (!done)
	{
		MlFold	   *before = fold;
		bool		isnull;
		Datum		state;

		CHECK_FOR_INTERRUPTS();
		sql->param[1] = flat_state(before);
		ml_sql_run(sql, query);
		state = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
		if (isnull)
			ereport(ERROR,
					(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
					 errmsg("there are no rows to train on"),
					 errdetail("None of " INT64_FORMAT " rows has all that \"%s\" needs.", training->recipe->ntrain, training->algorithm->name),
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
