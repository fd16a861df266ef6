/*
 * sql_recipe.c
 *		A recipe from queries: what recipe/learn.c makes of a frame, up to the
 *		rounding of sums.
 *
 * The target goes through recipe/ itself, over a frame of its distinct values;
 * numbers take two queries, since a deviation is measured about the mean; each
 * category is counted by one.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "executor/spi.h"
#include "fold/sql.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* ---- the target ---- */

static MlDictionary *
distinct_labels(int n)
{
	MlDictionary *dictionary = palloc0(sizeof(MlDictionary));

	dictionary->nvalues = n;
	dictionary->value = palloc(sizeof(char *) * Max(n, 1));
	dictionary->length = palloc(sizeof(int32) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		dictionary->value[i] = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 3);
		dictionary->length[i] = strlen(dictionary->value[i]);
	}
	return dictionary;
}

/* the distinct values of the target, and the weights of their training rows; of a number for regression its ends */
static MlFrame *
target_frame(MlSql *sql, bool classes)
{
	const MlColumn *target = &sql->frame->cols[sql->frame->target_column];
	bool		text = target->type.kind == ML_KIND_CATEGORY;
	MlFrame    *frame = palloc0(sizeof(MlFrame));
	MlColumn   *column;
	int			n;

	if (classes)
		ml_sql_run(sql, psprintf("SELECT %s, coalesce(sum(%s) FILTER (WHERE NOT %s), 0)::float8, %s FROM %s WHERE %s GROUP BY 1, 3 ORDER BY 3 LIMIT 200",
								 text ? "0::float8" : ml_sql_number(target), sql->weight, sql->held,
								 text ? ml_sql_text(target) : "NULL::text", sql->from, sql->usable));
	else
		ml_sql_run(sql, psprintf("SELECT v, 1::float8, NULL::text FROM (SELECT min(%1$s), max(%1$s) FROM %2$s WHERE %3$s AND NOT %4$s) AS e (a, b), unnest(ARRAY[a, b]) AS v WHERE v IS NOT NULL",
								 ml_sql_number(target), sql->from, sql->usable, sql->held));
	n = (int) SPI_processed;
	frame->ncols = 2;
	frame->cols = column = palloc0(2 * sizeof(MlColumn));
	frame->nrows = frame->ntrain = frame->rows_read = n;
	frame->target_column = 0;
	frame->weight_column = 1;
	frame->key_column = frame->time_column = -1;
	column[0] = *target;
	column[1].name = pstrdup("weight");
	column[1].role = ML_ROLE_WEIGHT;
	column[1].type.kind = ML_KIND_NUMBER;
	column[1].loaded = true;
	column[1].number = palloc(sizeof(double) * Max(n, 1));
	column[0].number = palloc(sizeof(double) * Max(n, 1));
	column[0].code = palloc(sizeof(int32) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		column[0].number[i] = ml_sql_float(i, 1);
		column[0].code[i] = i;
		column[1].number[i] = ml_sql_float(i, 2);
	}
	if (text)
		column[0].dictionary = distinct_labels(n);
	return frame;
}

static MlRecipe *
learn_target(MlSql *sql)
{
	MlTraining *training = sql->training;
	const MlAlgorithm *algorithm = training->algorithm;
	const MlColumn *target = &sql->frame->cols[sql->frame->target_column];
	MlOffset	offset = {0};
	MlTargetRequest request = {0};
	MlCoding	coding = ML_CODING_TREATMENT;

	request.model = training->model;
	request.positive = training->row != NULL ? training->row->positive : NULL;
	request.task = algorithm->tasks;
	request.features_optional = true;
	if (algorithm->penalised != NULL && algorithm->penalised(training->params))
		coding = ML_CODING_ONE_HOT;
	return ml_recipe_learn(target_frame(sql, target->type.kind != ML_KIND_NUMBER || !(algorithm->tasks & ML_TASKS_REGRESSION)),
						   &training->recipe_params, coding, &offset, &request);
}

/* ---- numbers ---- */

static void
list_numbers(MlSql *sql, const MlRecipe *recipe, StringInfo query, const char *format)
{
	for (int i = 0; i < recipe->nnumbers; i++)
	{
		const MlColumn *column = &sql->frame->cols[ml_frame_find(sql->frame, recipe->numbers[i].name)];

		appendStringInfo(query, format, ml_sql_number(column), sql->weight, recipe->numbers[i].mean);
	}
}

static void
refuse_infinite(const MlNumber *number)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
			 errmsg("column \"%s\" has NaN or infinite values", number->name),
			 errhint("Leave such rows out in the source, or make the values NULL.")));
}

/* the values in the middle; sorted by the server, on disk if need be */
static void
learn_medians(MlSql *sql, MlRecipe *recipe)
{
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT count(*)");
	list_numbers(sql, recipe, &query,
				 ", percentile_disc(0.5) WITHIN GROUP (ORDER BY %1$s), percentile_disc(0.5) WITHIN GROUP (ORDER BY %1$s DESC)");
	appendStringInfo(&query, " FROM %s WHERE %s AND NOT %s", sql->from, sql->usable, sql->held);
	ml_sql_run(sql, query.data);
	for (int i = 0; i < recipe->nnumbers; i++)
	{
		double		lower = ml_sql_float(0, 2 + 2 * i);
		double		upper = ml_sql_float(0, 3 + 2 * i);

		if (!isnan(lower))
			recipe->numbers[i].fill = lower == upper ? lower : lower / 2 + upper / 2;
	}
}

static void
learn_numbers(MlSql *sql, MlRecipe *recipe, double weight)
{
	StringInfoData query;

	if (recipe->nnumbers == 0)
		return;
	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT count(*)");
	list_numbers(sql, recipe, &query,
				 ", coalesce(sum(%2$s) FILTER (WHERE %1$s IS NOT NULL), 0)::float8, sum(%2$s * %1$s), min(%1$s), max(%1$s)");
	appendStringInfo(&query, " FROM %s WHERE %s AND NOT %s", sql->from, sql->usable, sql->held);
	ml_sql_run(sql, query.data);
	for (int i = 0; i < recipe->nnumbers; i++)
	{
		MlNumber   *number = &recipe->numbers[i];
		double		present = ml_sql_float(0, 2 + 4 * i);

		number->null_share = 1 - present / weight;
		if (!(present > 0))
			continue;
		number->minimum = ml_sql_float(0, 4 + 4 * i);
		number->maximum = ml_sql_float(0, 5 + 4 * i);
		if (!isfinite(number->minimum) || !isfinite(number->maximum))
			refuse_infinite(number);
		number->mean = Min(Max(ml_sql_float(0, 3 + 4 * i) / present, number->minimum), number->maximum);
		if (fabs(number->null_share) < 1e-12)
			number->null_share = 0;
	}
	resetStringInfo(&query);
	appendStringInfoString(&query, "SELECT count(*)");
	list_numbers(sql, recipe, &query,
				 ", sum(%2$s * (%1$s - %3$.17g)), sum(%2$s * (%1$s - %3$.17g) * (%1$s - %3$.17g))");
	appendStringInfo(&query, " FROM %s WHERE %s AND NOT %s", sql->from, sql->usable, sql->held);
	ml_sql_run(sql, query.data);
	for (int i = 0; i < recipe->nnumbers; i++)
	{
		MlNumber   *number = &recipe->numbers[i];
		double		present = (1 - number->null_share) * weight;
		double		rest = ml_sql_float(0, 2 + 2 * i);
		double		squares = ml_sql_float(0, 3 + 2 * i);

		if (!(present > 0))
			continue;
		if (number->minimum < number->maximum)
		{
			number->deviation = sqrt(Max(squares - rest * rest / present, 0) / present);
			number->mean += rest / present;
		}
		number->fill = number->mean;
	}
	if (recipe->params.impute == ML_IMPUTE_MEDIAN)
		learn_medians(sql, recipe);
}

/* ---- categories ---- */

static int
compare_levels(const void *a, const void *b)
{
	return strcmp(SPI_getvalue(SPI_tuptable->vals[*(const int *) a], SPI_tuptable->tupdesc, 1),
				  SPI_getvalue(SPI_tuptable->vals[*(const int *) b], SPI_tuptable->tupdesc, 1));
}

static void
set_levels(MlFeature *feature, const int *level, int nlevels, double weight)
{
	feature->nlevels = nlevels;
	feature->level = palloc(sizeof(char *) * Max(nlevels, 1));
	feature->level_length = palloc(sizeof(int32) * Max(nlevels, 1));
	feature->level_share = palloc(sizeof(double) * Max(nlevels, 1));
	for (int i = 0; i < nlevels; i++)
	{
		feature->level[i] = SPI_getvalue(SPI_tuptable->vals[level[i]], SPI_tuptable->tupdesc, 1);
		feature->level_length[i] = strlen(feature->level[i]);
		feature->level_share[i] = ml_sql_float(level[i], 3) / weight;
	}
}

/* the most frequent values have places, the first in C order of equally frequent ones */
static void
learn_category(MlSql *sql, MlRecipe *recipe, MlFeature *feature, double weight)
{
	const MlColumn *column = &sql->frame->cols[ml_frame_find(sql->frame, feature->name)];
	const MlRecipeParams *params = &recipe->params;
	int64		pool = 0;
	double		pooled = 0;
	int		   *level;
	int			nlevels = 0;

	ml_sql_run(sql, psprintf("SELECT %s AS v, count(*), sum(%s)::float8 FROM %s WHERE %s AND NOT %s GROUP BY 1 ORDER BY 2 DESC, 1",
							 ml_sql_text(column), sql->weight, sql->from, sql->usable, sql->held));
	level = palloc(sizeof(int) * Max(params->max_categories, 1));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;

		(void) SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);
		if (isnull)
			feature->null_share = ml_sql_float(i, 3) / weight;
		else if (ml_sql_int(i, 2) >= Max(params->min_category_rows, 1) && nlevels < params->max_categories)
			level[nlevels++] = (int) i;
		else
		{
			pool++;
			pooled += ml_sql_float(i, 3);
		}
	}
	if (pool + nlevels > 50 && pool + nlevels > 0.9 * (1 - feature->null_share) * recipe->ntrain)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" has nearly as many values as rows", column->name),
				 errhint("Leave it out: exclude => ARRAY[%s]. Or group its values in the source.",
						 quote_literal_cstr(column->name))));
	qsort(level, nlevels, sizeof(int), compare_levels);
	set_levels(feature, level, nlevels, weight);
	feature->pool_share = pooled / weight;
}

/* ---- all of it ---- */

static void
add_features(MlSql *sql, MlRecipe *recipe)
{
	const MlFrame *frame = sql->frame;

	recipe->features = palloc0(sizeof(MlFeature) * frame->ncols);
	recipe->numbers = palloc0(sizeof(MlNumber) * frame->ncols);
	for (int i = 0; i < frame->ncols; i++)
	{
		const MlColumn *column = &frame->cols[i];
		MlFeature  *feature = &recipe->features[recipe->nfeatures];

		if (column->role != ML_ROLE_FEATURE)
			continue;
		feature->name = pstrdup(column->name);
		feature->kind = column->type.kind;
		feature->type_name = ml_value_type_name(&column->type);
		feature->first_number = recipe->nnumbers;
		feature->category = -1;
		if (feature->kind == ML_KIND_CATEGORY)
			feature->category = recipe->ncategories++;
		else
		{
			feature->nnumbers = 1;
			recipe->numbers[recipe->nnumbers].name = pstrdup(column->name);
			recipe->numbers[recipe->nnumbers++].feature = recipe->nfeatures;
		}
		recipe->nfeatures++;
	}
}

MlRecipe *
ml_sql_recipe(MlSql *sql)
{
	MlRecipe   *recipe = learn_target(sql);
	MemoryContext old = MemoryContextSwitchTo(recipe->cxt);
	double		weight;

	ml_sql_run(sql, psprintf("SELECT count(*), sum(%s)::float8 FROM %s WHERE %s AND NOT %s",
							 sql->weight, sql->from, sql->usable, sql->held));
	recipe->ntrain = sql->training->ntrain = ml_sql_int(0, 1);
	weight = ml_sql_float(0, 2);
	if (recipe->ntrain == 0)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("there are no rows to train on"),
				 errhint("Give more rows, or a smaller holdout.")));
	add_features(sql, recipe);
	learn_numbers(sql, recipe, weight);
	for (int f = 0; f < recipe->nfeatures; f++)
		if (recipe->features[f].kind == ML_KIND_CATEGORY)
			learn_category(sql, recipe, &recipe->features[f], weight);
	ml_recipe_finish(recipe);
	if (recipe->ndesign == 0 && !sql->training->algorithm->ignores_features)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("all features are constant"),
				 errdetail("None of %d columns varies in " INT64_FORMAT " training rows.",
						   recipe->nfeatures, recipe->ntrain),
				 errhint("Add columns that tell rows apart, or use algorithm => 'baseline'.")));
	MemoryContextSwitchTo(old);
	return recipe;
}
