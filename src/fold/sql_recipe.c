/*
 * sql_recipe.c
 *		A recipe from queries: what recipe/learn.c makes of a frame, up to the
 *		rounding of sums.
 *
 * The target goes through recipe/ itself, over a frame of its distinct values;
 * sql_numbers.c has the numbers; each category is counted by a query, of which
 * no more values come back than can have places.
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

/* one row without columns, of which a recipe can be learned where there is no target */
static MlFrame *
empty_frame(void)
{
	MlFrame    *frame = palloc0(sizeof(MlFrame));

	frame->nrows = frame->ntrain = frame->rows_read = 1;
	frame->target_column = frame->weight_column = frame->key_column = frame->time_column = -1;
	return frame;
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
		ml_sql_run(sql, psprintf("SELECT %s, coalesce(sum(%s) FILTER (WHERE NOT %s), 0)::pg_catalog.float8, %s FROM %s WHERE %s GROUP BY 1, 3 ORDER BY 3 LIMIT 200",
								 text ? "0::pg_catalog.float8" : ml_sql_number(target), sql->weight, sql->held,
								 text ? ml_sql_text(target) : "NULL::pg_catalog.text", sql->from, sql->usable));
	else
		ml_sql_run(sql, psprintf("SELECT v, 1::pg_catalog.float8, NULL::pg_catalog.text FROM (SELECT min(%1$s), max(%1$s) FROM %2$s WHERE %3$s) AS e (a, b), unnest(ARRAY[a, b]) AS v WHERE v IS NOT NULL",
								 ml_sql_number(target), sql->from, sql->trained));
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

/* frame has the ends of the target: are they integers, and is nothing between them? */
static void
look_for_two_values(MlSql *sql, const MlColumn *target, const MlFrame *frame)
{
	const double *end = frame->cols[0].number;

	if (frame->nrows != 2 || end[0] == end[1] || end[0] != rint(end[0]) || end[1] != rint(end[1]))
		return;
	ml_sql_run(sql, psprintf("SELECT FROM %1$s WHERE %2$s > %3$.17g AND %2$s < %4$.17g LIMIT 1",
							 sql->from, ml_sql_number(target), end[0], end[1]));
	if (SPI_processed == 0)
		ml_training_tell_two_values(sql->training);
}

static MlRecipe *
learn_target(MlSql *sql)
{
	MlTraining *training = sql->training;
	const MlAlgorithm *algorithm = training->algorithm;
	int			t = sql->frame->target_column;
	const MlColumn *target = t < 0 ? NULL : &sql->frame->cols[t];
	MlFrame    *frame = target == NULL ? empty_frame() :
		target_frame(sql, target->type.kind != ML_KIND_NUMBER || !(algorithm->tasks & ML_TASKS_REGRESSION));
	MlOffset	offset = {0};
	MlTargetRequest request = {0};
	MlCoding	coding = ML_CODING_TREATMENT;

	if (target != NULL && ml_training_suspects_classes(training))
		look_for_two_values(sql, target, frame);
	request.model = training->model;
	request.positive = training->row != NULL ? training->row->positive : NULL;
	request.task = algorithm->tasks;
	request.features_optional = true;
	if (algorithm->penalised != NULL && algorithm->penalised(training->params))
		coding = ML_CODING_ONE_HOT;
	return ml_recipe_learn(frame, &training->recipe_params, coding, &offset, &request);
}

/* ---- categories ---- */

/* a row of the result: value, rows, weight, values in all, their weight */
enum
{
	LEVEL_VALUE = 1, LEVEL_ROWS, LEVEL_WEIGHT, LEVEL_VALUES, LEVEL_WEIGHTS
};

static int
compare_levels(const void *a, const void *b)
{
	return strcmp(SPI_getvalue(SPI_tuptable->vals[*(const int *) a], SPI_tuptable->tupdesc, LEVEL_VALUE),
				  SPI_getvalue(SPI_tuptable->vals[*(const int *) b], SPI_tuptable->tupdesc, LEVEL_VALUE));
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
		feature->level[i] = SPI_getvalue(SPI_tuptable->vals[level[i]], SPI_tuptable->tupdesc, LEVEL_VALUE);
		feature->level_length[i] = strlen(feature->level[i]);
		feature->level_share[i] = ml_sql_float(level[i], LEVEL_WEIGHT) / weight;
	}
}

static void
check_nearly_unique(const MlColumn *column, int64 distinct, double present)
{
	if (distinct <= 50 || distinct <= 0.9 * present)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" has nearly as many values as rows", column->name),
			 errdetail("It is of type %s, with " INT64_FORMAT " distinct values in %.0f training rows that are not NULL; a category repeats.",
					   ml_value_type_name(&column->type), distinct, present),
			 errhint("Leave it out: exclude => ARRAY[%s]. Or group its values in the source.",
					 quote_literal_cstr(column->name))));
}

/*
 * The most frequent values have places, the first in C order of equally
 * frequent ones. NULL comes first, then as many values as can have places.
 */
static void
query_levels(MlSql *sql, const MlColumn *column, int64 most)
{
	ml_sql_run(sql, psprintf("SELECT v, n, s, count(v) OVER (), coalesce(sum(s) FILTER (WHERE v IS NOT NULL) OVER (), 0) FROM "
							 "(SELECT %s AS v, count(*) AS n, sum(%s)::pg_catalog.float8 AS s FROM %s WHERE %s GROUP BY 1) AS l "
							 "ORDER BY v IS NOT NULL, n DESC, v LIMIT " INT64_FORMAT,
							 ml_sql_text(column), sql->weight, sql->from, sql->trained, most + 1));
}

static void
learn_category(MlSql *sql, MlRecipe *recipe, MlFeature *feature, double weight)
{
	const MlColumn *column = &sql->frame->cols[ml_frame_find(sql->frame, feature->name)];
	const MlRecipeParams *params = &recipe->params;
	double		placed = 0;
	int		   *level = palloc(sizeof(int) * Max(params->max_categories, 1));
	int			nlevels = 0;

	query_levels(sql, column, params->max_categories);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;

		(void) SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, LEVEL_VALUE, &isnull);
		if (isnull)
			feature->null_share = ml_sql_float(i, LEVEL_WEIGHT) / weight;
		else if (ml_sql_int(i, LEVEL_ROWS) >= Max(params->min_category_rows, 1) && nlevels < params->max_categories)
		{
			placed += ml_sql_float(i, LEVEL_WEIGHT);
			level[nlevels++] = (int) i;
		}
	}
	check_nearly_unique(column, ml_sql_int(0, LEVEL_VALUES), (1 - feature->null_share) * recipe->ntrain);
	qsort(level, nlevels, sizeof(int), compare_levels);
	set_levels(feature, level, nlevels, weight);

	/* a difference, but 0 only where no value is without a place */
	if (nlevels < ml_sql_int(0, LEVEL_VALUES))
		feature->pool_share = Max(ml_sql_float(0, LEVEL_WEIGHTS) - placed, 0) / weight;
}

/* ---- all of it ---- */

/* as many elements as every array of the column has */
static int
find_length(MlSql *sql, const MlColumn *column)
{
	int			least;
	int			most;

	ml_sql_run(sql, psprintf("SELECT min(mlops.row_length(q.%1$s))::bigint, max(mlops.row_length(q.%1$s))::bigint FROM %2$s",
							 quote_identifier(column->name), sql->from));
	least = (int) ml_sql_int(0, 1);
	most = (int) ml_sql_int(0, 2);
	if (most == 0)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("column \"%s\" holds no array with elements", column->name),
				 errdetail("It is NULL or empty in every row, so that the number of its elements is not known."),
				 errhint("Leave it out: exclude => ARRAY[%s].", quote_literal_cstr(column->name))));
	if (least != most)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("column \"%s\" holds arrays of %d and of %d elements", column->name, least, most),
				 errdetail("All arrays of a feature must have the same length."),
				 errhint("Leave out the rows of other lengths in the source.")));
	return most;
}

/* what the column could have: ml_sql_numbers() leaves out the parts of a time that do not show */
static void
choose_parts(const MlColumn *column, MlFeature *feature)
{
	int			n = column->type.reading == ML_READ_INTERVAL ? 1 :
		column->type.reading == ML_READ_TIME ? ML_PART_HOUR_COS + 1 : ML_PART_YEAR_COS + 1;

	feature->zoned = column->type.reading == ML_READ_TIMESTAMPTZ;
	feature->nnumbers = n;
	feature->parts = palloc(sizeof(MlTimePart) * n);
	for (int i = 0; i < n; i++)
		feature->parts[i] = (MlTimePart) i;
}

static void
add_numbers(MlRecipe *recipe, int f, const MlColumn *column)
{
	const MlFeature *feature = &recipe->features[f];

	for (int i = 0; i < feature->nnumbers; i++)
	{
		MlNumber   *number = &recipe->numbers[feature->first_number + i];

		number->feature = f;
		number->name = feature->kind == ML_KIND_TIME ?
			psprintf("%s (%s)", column->name, ml_time_part_name(feature->parts[i])) :
			feature->kind == ML_KIND_ARRAY ? psprintf("%s[%d]", column->name, i + 1) : pstrdup(column->name);
	}
}

static void
add_feature(MlSql *sql, MlRecipe *recipe, const MlColumn *column)
{
	int			f = recipe->nfeatures++;
	MlFeature  *feature = &recipe->features[f];

	feature->name = pstrdup(column->name);
	feature->kind = column->type.kind;
	feature->type_name = ml_value_type_name(&column->type);
	feature->first_number = recipe->nnumbers;
	feature->category = -1;
	if (feature->kind == ML_KIND_CATEGORY)
	{
		feature->category = recipe->ncategories++;
		return;
	}
	feature->nnumbers = 1;
	if (feature->kind == ML_KIND_ARRAY)
		feature->nnumbers = find_length(sql, column);
	else if (feature->kind == ML_KIND_TIME)
		choose_parts(column, feature);
	recipe->nnumbers += feature->nnumbers;
	recipe->numbers = recipe->numbers == NULL ? palloc0(sizeof(MlNumber) * recipe->nnumbers) :
		repalloc_huge(recipe->numbers, sizeof(MlNumber) * (Size) recipe->nnumbers);
	memset(recipe->numbers + feature->first_number, 0, sizeof(MlNumber) * feature->nnumbers);
	add_numbers(recipe, f, column);
}

static void
add_features(MlSql *sql, MlRecipe *recipe)
{
	const MlFrame *frame = sql->frame;

	recipe->features = palloc0(sizeof(MlFeature) * Max(frame->ncols, 1));
	for (int i = 0; i < frame->ncols; i++)
	{
		const MlColumn *column = &frame->cols[i];

		if (column->role != ML_ROLE_FEATURE)
			continue;
		add_feature(sql, recipe, column);
		if (column->type.reading == ML_READ_TIMESTAMPTZ)
			ml_recipe_take_zone(recipe);
	}
}

/* integers that nearly all differ; counted only where the range has so many */
static void
warn_feature(MlSql *sql, MlRecipe *recipe, const MlFeature *feature)
{
	const MlColumn *column = &sql->frame->cols[ml_frame_find(sql->frame, feature->name)];
	int64		distinct = 0;
	int64		present = 0;

	if (feature->kind == ML_KIND_NUMBER &&
		ml_number_may_identify(recipe, &recipe->numbers[feature->first_number], column->type.reading))
	{
		ml_sql_run(sql, psprintf("SELECT count(*), coalesce(sum(n), 0)::bigint FROM (SELECT count(*) AS n FROM %1$s "
								 "WHERE %2$s AND q.%3$s IS NOT NULL GROUP BY q.%3$s) AS g",
								 sql->from, sql->trained, quote_identifier(column->name)));
		distinct = ml_sql_int(0, 1);
		present = ml_sql_int(0, 2);
	}
	ml_recipe_warn_feature(recipe, feature, distinct, present);
}

MlRecipe *
ml_sql_recipe(MlSql *sql)
{
	MlRecipe   *recipe = learn_target(sql);
	MemoryContext old = MemoryContextSwitchTo(recipe->cxt);
	double		weight;

	ml_sql_run(sql, psprintf("SELECT count(*), sum(%s)::pg_catalog.float8 FROM %s WHERE %s",
							 sql->weight, sql->from, sql->trained));
	recipe->ntrain = ml_sql_int(0, 1);
	weight = ml_sql_float(0, 2);
	add_features(sql, recipe);
	ml_sql_numbers(sql, recipe, weight);
	for (int f = 0; f < recipe->nfeatures; f++)
		if (recipe->features[f].kind == ML_KIND_CATEGORY)
			learn_category(sql, recipe, &recipe->features[f], weight);
	ml_recipe_finish(recipe);
	for (int f = 0; f < recipe->nfeatures; f++)
		warn_feature(sql, recipe, &recipe->features[f]);
	if (recipe->ndesign == 0 && !sql->training->algorithm->ignores_features)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("all features are constant"),
				 errdetail("None of %d columns varies in " INT64_FORMAT " training rows.",
						   recipe->nfeatures, recipe->ntrain),
				 sql->frame->target_column < 0 ? errhint("Add columns that tell rows apart.") :
				 errhint("Add columns that tell rows apart, or use algorithm => 'baseline'.")));
	MemoryContextSwitchTo(old);
	return recipe;
}
