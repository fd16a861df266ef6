/*
 * sql_split.c
 *		Which rows a training in SQL has, and which of them are held out: the
 *		same as in memory.
 *
 * By row and key a hash decides (mlops.row_held_out). By time the latest rows
 * are held out; where these begin is found as frame/arrange.c finds it, by a
 * query that the server sorts, on disk if need be.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "executor/spi.h"
#include "fold/sql.h"
#include "utils/builtins.h"

/* ---- counting ---- */

/* the sum of the rows' fingerprints modulo 2^128, from the sums of their parts */
static void
sum_fingerprints(MlSql *sql, MlFrame *frame)
{
	uint64		carry = 0;
	uint64		word[4];

	ml_sql_run(sql, psprintf("SELECT pg_catalog.mod(t.s, 4294967296)::bigint, pg_catalog.div(t.s, 4294967296)::bigint "
							 "FROM (SELECT ARRAY[sum(r.p[1]), sum(r.p[2]), sum(r.p[3]), sum(r.p[4])] AS s "
							 "FROM (SELECT mlops.row_parts(%s) AS p FROM %s " ML_SQL_FENCE ") AS r) AS f, "
							 "unnest(f.s) WITH ORDINALITY AS t (s, i) ORDER BY t.i", sql->columns, sql->from));
	if (SPI_processed != 4)
		return;
	for (int i = 3; i >= 0; i--)
	{
		uint64		low = (uint64) ml_sql_int(i, 1) + (carry & 0xffffffff);

		word[i] = low & 0xffffffff;
		carry = (carry >> 32) + (low >> 32) + (uint64) ml_sql_int(i, 2);
	}
	frame->set_fingerprint.high = word[0] << 32 | word[1];
	frame->set_fingerprint.low = word[2] << 32 | word[3];
}

static void
require_rows(const MlTraining *training)
{
	const MlSkipped *skipped = &training->skipped;

	if (training->frame->rows_read == 0)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("the source has no rows"),
				 errhint("Check the source's conditions, and whether row-level security hides its rows.")));
	if (training->ntrain + training->nholdout == 0)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("no row of the source can be trained on"),
				 errdetail("Of " INT64_FORMAT " rows, " INT64_FORMAT " have a NULL target, " INT64_FORMAT
						   " a weight of zero, " INT64_FORMAT " a NULL feature.",
						   training->frame->rows_read, skipped->target_null, skipped->weight_zero, skipped->feature_null),
				 errhint("Choose rows whose target is known and whose weight is positive.")));
	if (training->ntrain == 0)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("there are no rows to train on"),
				 errdetail("All " INT64_FORMAT " usable rows were held out.", training->nholdout),
				 errhint("Give more rows, or a smaller holdout.")));
}

static void
count_rows(MlSql *sql, MlFrame *frame)
{
	MlTraining *training = sql->training;
	const MlColumn *target = frame->target_column < 0 ? NULL : &frame->cols[frame->target_column];
	const char *missing = target == NULL ? "false" : psprintf("q.%s IS NULL", quote_identifier(target->name));
	const char *odd = target == NULL || target->type.kind != ML_KIND_NUMBER ? "false" :
		psprintf("%s IN ('NaN', 'Infinity', '-Infinity')", ml_sql_number(target));
	const char *bad = frame->weight_column < 0 ? "false" :
		psprintf("%1$s IS NULL OR NOT %1$s >= 0 OR %1$s > 1e308", sql->weight);

	ml_sql_run(sql, psprintf("SELECT count(*), count(*) FILTER (WHERE %1$s), "
							 "count(*) FILTER (WHERE NOT %1$s AND %2$s = 0), count(*) FILTER (WHERE %3$s), "
							 "count(*) FILTER (WHERE %4$s), count(*) FILTER (WHERE %4$s AND %5$s), "
							 "count(*) FILTER (WHERE %6$s) FROM %7$s",
							 missing, sql->weight, bad, sql->usable, sql->held, odd, sql->from));
	frame->rows_read = ml_sql_int(0, 1);
	training->skipped.target_null = ml_sql_int(0, 2);
	training->skipped.weight_zero = ml_sql_int(0, 3);
	training->nholdout = ml_sql_int(0, 6);
	training->ntrain = ml_sql_int(0, 5) - training->nholdout;
	training->skipped.feature_null = frame->rows_read - training->skipped.target_null -
		training->skipped.weight_zero - ml_sql_int(0, 5);
	if (ml_sql_int(0, 4) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("weight \"%s\" has NULL or negative values", frame->cols[frame->weight_column].name),
				 errdetail("There are " INT64_FORMAT " of them.", ml_sql_int(0, 4)),
				 errhint("A weight is zero (the row is left out) or more; correct it in the source.")));
	if (ml_sql_int(0, 7) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("target \"%s\" has NaN or infinite values", target->name),
				 errdetail("There are " INT64_FORMAT " of them.", ml_sql_int(0, 7)),
				 errhint("Leave such rows out in the source, or make the values NULL.")));
	require_rows(training);
}

/* ---- by time ---- */

/* when a row happened, NULL if that is not known: microseconds, or a number */
static char *
time_expression(const MlColumn *column)
{
	if (column->type.kind == ML_KIND_NUMBER)
		return psprintf("NULLIF(%s, 'NaN')", ml_sql_number(column));
	return psprintf("mlops.row_usec(q.%s)", quote_identifier(column->name));
}

/* a literal of the value in a column of the result of a query */
static char *
time_literal(const MlColumn *column, int field)
{
	if (column->type.kind == ML_KIND_NUMBER)
		return psprintf("'%.17g'::pg_catalog.float8", ml_sql_float(0, field));
	return psprintf(INT64_FORMAT "::bigint", ml_sql_int(0, field));
}

static double
time_value(const MlColumn *column, int field)
{
	return column->type.kind == ML_KIND_NUMBER ? ml_sql_float(0, field) : (double) ml_sql_int(0, field);
}

/*
 * Where the held-out part begins: choose_cut() of frame/arrange.c. n of nrows
 * usable rows have a time.
 */
static void
hold_out_latest(MlSql *sql, const MlColumn *column, int64 n, int64 nrows)
{
	MlSplit    *split = &sql->training->split;
	const char *time = time_expression(column);
	int64		cut = Min(Max(n - (int64) rint(split->holdout * (double) nrows), 0), n - 1);
	int64		low;
	int64		high;
	char	   *at;

	if (n == 0)
		return;
	ml_sql_run(sql, psprintf("SELECT %s AS t FROM %s WHERE %s AND %s IS NOT NULL ORDER BY 1 OFFSET " INT64_FORMAT " LIMIT 1",
							 time, sql->from, sql->usable, time, cut));
	at = time_literal(column, 1);
	ml_sql_run(sql, psprintf("SELECT %2$s AS cut, min(%1$s) FILTER (WHERE %1$s > %2$s), count(*) FILTER (WHERE %1$s < %2$s), "
							 "count(*) FILTER (WHERE %1$s <= %2$s) FROM %3$s WHERE %4$s",
							 time, at, sql->from, sql->usable));
	low = ml_sql_int(0, 3);
	high = ml_sql_int(0, 4);
	if (low == 0 && n == nrows && high == n)
		return;					/* one time, and nothing would be left to train on */
	if (high == n || (!(low == 0 && n == nrows) && cut - low <= high - cut))
		split->time_from = time_value(column, 1);
	else
	{
		at = time_literal(column, 2);
		split->time_from = time_value(column, 2);
	}
	ml_sql_hold_out(sql, psprintf("coalesce(%s >= %s, false)", time, at));
}

static void
divide_by_time(MlSql *sql)
{
	const MlColumn *column = &sql->frame->cols[sql->training->split.time_column];

	ml_sql_run(sql, psprintf("SELECT count(*), count(%s) FROM %s WHERE %s",
							 time_expression(column), sql->from, sql->usable));
	hold_out_latest(sql, column, ml_sql_int(0, 2), ml_sql_int(0, 1));
}

/* of all rows, as ml_training_read() finds it in a frame */
static void
find_time_range(MlSql *sql)
{
	MlTraining *training = sql->training;
	int			index = training->spec.time_column == NULL ? -1 : ml_frame_find(sql->frame, training->spec.time_column);
	const MlColumn *column;
	bool		isnull;

	if (index < 0)
		return;
	column = &sql->frame->cols[index];
	ml_sql_run(sql, psprintf("SELECT min(t), max(t) FROM (SELECT %s AS t FROM %s) AS r", time_expression(column), sql->from));
	(void) SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (isnull)
		return;
	for (int i = 0; i < 2; i++)
	{
		char	   *text = column->type.kind == ML_KIND_NUMBER ? psprintf("%.15g", ml_sql_float(0, 1 + i)) :
			ml_training_time_text(column, ml_sql_int(0, 1 + i));

		*(i == 0 ? &training->time_from : &training->time_to) = MemoryContextStrdup(training->cxt, text);
	}
}

/* ---- all of it ---- */

void
ml_sql_divide(MlSql *sql)
{
	MlTraining *training = sql->training;
	const MlSpec *spec = &training->spec;
	const MlFrame *frame = sql->frame;
	MlSplit    *split = &training->split;

	split->holdout = spec->holdout;
	split->seed = spec->seed;
	split->time_column = -1;
	split->time_from = NAN;
	split->kind = spec->holdout == 0 ? ML_SPLIT_NONE :
		spec->time_column != NULL ? ML_SPLIT_TIME : spec->key != NULL ? ML_SPLIT_KEY : ML_SPLIT_ROW;
	if (split->kind == ML_SPLIT_TIME)
	{
		split->time_column = ml_frame_find(frame, spec->time_column);
		divide_by_time(sql);
	}
	else if (split->kind != ML_SPLIT_NONE)
		ml_sql_hold_out(sql, psprintf("mlops.row_held_out(" INT64_FORMAT ", %.17g, %s, %s)", spec->seed, spec->holdout,
									  split->kind == ML_SPLIT_ROW ? "NULL::pg_catalog.text" :
									  psprintf("q.%s", quote_identifier(frame->cols[frame->key_column].name)),
									  sql->columns));
	count_rows(sql, training->frame);
	sum_fingerprints(sql, training->frame);
	find_time_range(sql);
}
