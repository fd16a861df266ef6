/*
 * sql_numbers.c
 *		Statistics of the numbers of a recipe, from queries: what
 *		recipe/numbers.c makes of a frame, up to the rounding of sums.
 *
 * Two queries for every CHUNK numbers, since a deviation is measured about the
 * mean. Parts of times and elements of arrays come out of mlops.row_encoded(),
 * by a recipe that has such features alone and all parts of a time; which of
 * them the training rows show is then told by their ranges (recipe/times.c).
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "executor/spi.h"
#include "fold/sql.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define CHUNK			300		/* numbers of a query, whose result can have 1664 columns */
#define MEDIANS			8		/* of a query: each is sorted, in work_mem */
#define MADE			"\"" ML_SQL_MADE "\""

typedef struct Numbers
{
	MlSql	   *sql;
	MlRecipe   *recipe;
	double		weight;			/* of the training rows */
	char	  **expression;		/* of each number, of type float8 */
	double	   *value;			/* of each number, for a query */
	bool	   *made;			/* of the column MADE */
	char	   *made_from;		/* the source with that column */
} Numbers;

/* ---- what the numbers are ---- */

static bool
is_made(const MlColumn *column)
{
	return column->role == ML_ROLE_FEATURE && (column->type.kind == ML_KIND_TIME || column->type.kind == ML_KIND_ARRAY);
}

/* the features that numbers are made of, as they are in recipe, without statistics */
static MlRecipe *
made_recipe(const MlRecipe *recipe)
{
	MlRecipe   *made = palloc0(sizeof(MlRecipe));

	*made = *recipe;
	made->params.impute = ML_IMPUTE_MEAN;
	made->features = palloc0(sizeof(MlFeature) * recipe->nfeatures);
	made->numbers = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(MlNumber) * (Size) recipe->nnumbers);
	made->nfeatures = made->nnumbers = made->ncategories = 0;
	for (int f = 0; f < recipe->nfeatures; f++)
	{
		MlFeature  *feature = &made->features[made->nfeatures];

		if (recipe->features[f].kind != ML_KIND_TIME && recipe->features[f].kind != ML_KIND_ARRAY)
			continue;
		*feature = recipe->features[f];
		feature->first_number = made->nnumbers;
		for (int i = 0; i < feature->nnumbers; i++)
		{
			made->numbers[made->nnumbers] = recipe->numbers[recipe->features[f].first_number + i];
			made->numbers[made->nnumbers++].feature = made->nfeatures;
		}
		made->nfeatures++;
	}
	ml_recipe_finish(made);
	return made;
}

static void
make_numbers(Numbers *n)
{
	MlSql	   *sql = n->sql;
	int			made = 0;

	n->expression = palloc(sizeof(char *) * Max(n->recipe->nnumbers, 1));
	n->value = palloc0(sizeof(double) * Max(n->recipe->nnumbers, 1));
	n->made = palloc0(sizeof(bool) * Max(n->recipe->nnumbers, 1));
	for (int k = 0; k < n->recipe->nnumbers; k++)
	{
		const MlFeature *feature = &n->recipe->features[n->recipe->numbers[k].feature];

		n->made[k] = feature->kind != ML_KIND_NUMBER;
		n->expression[k] = n->made[k] ? psprintf("NULLIF(q." MADE "[%d], 'NaN')", ++made) :
			ml_sql_number(&sql->frame->cols[ml_frame_find(sql->frame, feature->name)]);
	}
	n->made_from = sql->from;
	if (made == 0)
		return;
	ml_sql_take_recipe(sql, made_recipe(n->recipe));
	n->made_from = psprintf("(SELECT q.*, mlops.row_encoded($1, %s) AS " MADE " FROM %s " ML_SQL_FENCE ") AS q",
							ml_sql_arguments(sql->frame, is_made), sql->from);
}

/* format takes a number's expression, the weight and the number's value */
static void
run_chunk(Numbers *n, const char *format, int first, int end)
{
	StringInfoData query;
	bool		made = false;

	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT count(*)");
	for (int k = first; k < end; k++)
	{
		appendStringInfo(&query, format, n->expression[k], n->sql->weight, n->value[k]);
		made |= n->made[k];
	}
	appendStringInfo(&query, " FROM %s WHERE %s", made ? n->made_from : n->sql->from, n->sql->trained);
	ml_sql_run(n->sql, query.data);
	pfree(query.data);
}

/* ---- statistics ---- */

static void
refuse_infinite(const char *name, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
			 errmsg("column \"%s\" has NaN or infinite values", name),
			 errdetail("%s", detail),
			 errhint("Leave such rows out in the source, or make the values NULL.")));
}

/* a time that is infinite is no number */
static void
check_times(MlSql *sql)
{
	for (int i = 0; i < sql->frame->ncols; i++)
	{
		const MlColumn *column = &sql->frame->cols[i];

		if (column->role != ML_ROLE_FEATURE || column->type.kind != ML_KIND_TIME || column->type.reading == ML_READ_TIME)
			continue;
		ml_sql_run(sql, psprintf("SELECT count(*) FROM %s WHERE NOT isfinite(q.%s)", sql->from, quote_identifier(column->name)));
		if (ml_sql_int(0, 1) > 0)
			refuse_infinite(column->name, psprintf(INT64_FORMAT " of its times are infinite.", ml_sql_int(0, 1)));
	}
}

static void
learn_means(Numbers *n, int first, int end)
{
	run_chunk(n, ", coalesce(sum(%2$s) FILTER (WHERE %1$s IS NOT NULL), 0)::pg_catalog.float8, sum(%2$s * %1$s), min(%1$s), max(%1$s)",
			  first, end);
	for (int k = first; k < end; k++)
	{
		MlNumber   *number = &n->recipe->numbers[k];
		int			at = 2 + 4 * (k - first);
		double		present = ml_sql_float(0, at);

		number->null_share = 1 - present / n->weight;
		if (!(present > 0))
			continue;
		number->minimum = ml_sql_float(0, at + 2);
		number->maximum = ml_sql_float(0, at + 3);
		if (!isfinite(number->minimum) || !isfinite(number->maximum))
			refuse_infinite(number->name, psprintf("In the training rows the least value is %g and the largest %g.",
												   number->minimum, number->maximum));
		number->mean = Min(Max(ml_sql_float(0, at + 1) / present, number->minimum), number->maximum);
		if (fabs(number->null_share) < 1e-12)
			number->null_share = 0;
	}
}

static void
learn_deviations(Numbers *n, int first, int end)
{
	for (int k = first; k < end; k++)
		n->value[k] = n->recipe->numbers[k].mean;
	run_chunk(n, ", sum(%2$s * (%1$s - %3$.17g)), sum(%2$s * (%1$s - %3$.17g) * (%1$s - %3$.17g))", first, end);
	for (int k = first; k < end; k++)
	{
		MlNumber   *number = &n->recipe->numbers[k];
		double		present = (1 - number->null_share) * n->weight;
		double		rest = ml_sql_float(0, 2 + 2 * (k - first));
		double		squares = ml_sql_float(0, 3 + 2 * (k - first));

		if (!(present > 0))
			continue;
		if (number->minimum < number->maximum)
		{
			number->deviation = sqrt(Max(squares - rest * rest / present, 0) / present);
			number->mean += rest / present;
		}
		number->fill = number->mean;
	}
}

/*
 * The values in the middle; sorted by the server, on disk if need be. Of n
 * values percentile_disc(f) is the one in place ceil(f n): half a place beyond
 * the middle is the upper one, or the middle itself.
 */
static void
learn_medians(Numbers *n, int first, int end)
{
	for (int k = first; k < end; k++)
	{
		double		present = rint((1 - n->recipe->numbers[k].null_share) * n->weight);

		n->value[k] = present > 0 ? (floor(present / 2) + 0.5) / present : 0.5;
	}
	run_chunk(n, ", percentile_disc(ARRAY[0.5, %3$.17g]) WITHIN GROUP (ORDER BY %1$s) FILTER (WHERE %2$s > 0)", first, end);
	for (int k = first; k < end; k++)
	{
		const double *middle = ml_sql_numbers_of(0, 2 + k - first, 2);

		if (middle != NULL)
			n->recipe->numbers[k].fill = middle[0] == middle[1] ? middle[0] : middle[0] / 2 + middle[1] / 2;
	}
}

/*
 * The value at which the weights, added in order, pass half of their sum; halfway
 * to the next if they meet it exactly: weighted_median() of recipe/numbers.c.
 */
static void
learn_weighted_median(Numbers *n, int k)
{
	MlNumber   *number = &n->recipe->numbers[k];
	bool		isnull;

	ml_sql_run(n->sql, psprintf("SELECT x, s = half FROM (SELECT %1$s AS x, sum(sum(%2$s)) OVER (ORDER BY %1$s) AS s, "
								"sum(sum(%2$s)) OVER () / 2 AS half FROM %3$s WHERE %4$s AND %1$s IS NOT NULL GROUP BY %1$s) AS m "
								"WHERE s >= half ORDER BY x LIMIT 2",
								n->expression[k], n->sql->weight, n->made[k] ? n->made_from : n->sql->from, n->sql->trained));
	if (SPI_processed == 0)
		return;
	number->fill = ml_sql_float(0, 1);
	if (SPI_processed == 2 && DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull)))
		number->fill = number->fill / 2 + ml_sql_float(1, 1) / 2;
}

/* ---- times ---- */

static bool
varies(const MlRecipe *recipe, const MlFeature *feature, MlTimePart part)
{
	const MlNumber *number = &recipe->numbers[feature->first_number + part];

	return part < feature->nnumbers && number->minimum < number->maximum;
}

/* the parts that ml_time_learn() would choose; feature has all that there are */
static void
keep_parts(const MlRecipe *recipe, const MlFeature *feature, bool *keep)
{
	const MlNumber *epoch = &recipe->numbers[feature->first_number];
	bool		hour = varies(recipe, feature, ML_PART_HOUR_SIN) || varies(recipe, feature, ML_PART_HOUR_COS);
	bool		week = varies(recipe, feature, ML_PART_WEEK_SIN) || varies(recipe, feature, ML_PART_WEEK_COS);

	for (int i = 0; i < feature->nnumbers; i++)
		keep[feature->first_number + i] = i == ML_PART_EPOCH ||
			(i <= ML_PART_HOUR_COS ? hour : ml_time_shows((MlTimePart) i, epoch->maximum - epoch->minimum) &&
			 (i > ML_PART_WEEK_COS || week));
}

/* leaves out numbers that are not kept */
static void
compact(MlRecipe *recipe, const bool *keep)
{
	int			to = 0;

	for (int f = 0; f < recipe->nfeatures; f++)
	{
		MlFeature  *feature = &recipe->features[f];
		int			first = feature->first_number;
		int			n = feature->nnumbers;

		feature->first_number = to;
		feature->nnumbers = 0;
		for (int i = 0; i < n; i++)
		{
			if (!keep[first + i])
				continue;
			if (feature->kind == ML_KIND_TIME)
				feature->parts[feature->nnumbers] = feature->parts[i];
			recipe->numbers[to++] = recipe->numbers[first + i];
			feature->nnumbers++;
		}
	}
	recipe->nnumbers = to;
}

static void
settle_times(MlRecipe *recipe)
{
	bool	   *keep = palloc(sizeof(bool) * Max(recipe->nnumbers, 1));

	memset(keep, true, recipe->nnumbers);
	for (int f = 0; f < recipe->nfeatures; f++)
		if (recipe->features[f].kind == ML_KIND_TIME)
			keep_parts(recipe, &recipe->features[f], keep);
	compact(recipe, keep);
	pfree(keep);
}

/* ---- all of it ---- */

static void
settle_medians(Numbers *n)
{
	int			nnumbers = n->recipe->nnumbers;

	if (n->recipe->params.impute != ML_IMPUTE_MEDIAN)
		return;
	if (n->sql->frame->weight_column >= 0)
		for (int k = 0; k < nnumbers; k++)
			learn_weighted_median(n, k);
	else
		for (int k = 0; k < nnumbers; k += MEDIANS)
			learn_medians(n, k, Min(k + MEDIANS, nnumbers));
}

void
ml_sql_numbers(MlSql *sql, MlRecipe *recipe, double weight)
{
	Numbers		n = {.sql = sql,.recipe = recipe,.weight = weight};

	check_times(sql);
	make_numbers(&n);
	for (int k = 0; k < recipe->nnumbers; k += CHUNK)
	{
		learn_means(&n, k, Min(k + CHUNK, recipe->nnumbers));
		learn_deviations(&n, k, Min(k + CHUNK, recipe->nnumbers));
	}
	settle_medians(&n);
	settle_times(recipe);
}
