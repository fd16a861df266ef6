/*
 * statistics.c
 *		Serving statistics as SQL sees them: what was counted of a model, what
 *		became of the counts, and writing them now.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "log/counts.h"
#include "log/log.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "result.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define NTOTALS		(5 + ML_NLOSSES)
#define NRESULTS	11
#define NAP			5000L		/* microseconds */

PG_FUNCTION_INFO_V1(mlops_statistics);
PG_FUNCTION_INFO_V1(mlops_counted);
PG_FUNCTION_INFO_V1(mlops_flush_statistics);

/* ---- what was counted ---- */

/* columns of the query below */
enum
{
	ROLE = 1, VERSION, SUBJECT, FEATURE, ROWS, MISSING, LOW, HIGH, LEVEL, BIN_ROWS, LEVEL_ROWS, OTHER_ROWS
};

static MlStatement select_histograms = {
	"SELECT h.role, h.version, h.subject, h.feature, pg_catalog.sum(h.rows)::pg_catalog.int8, "
	"pg_catalog.sum(h.missing)::pg_catalog.int8, h.bin_low, h.bin_high, h.level, mlops.sum_counts(h.bin_rows), "
	"mlops.sum_counts(h.level_rows), pg_catalog.sum(h.other_rows)::pg_catalog.int8 "
	"FROM mlops_catalog.serving_histogram h JOIN mlops_catalog.model m ON m.name OPERATOR(pg_catalog.=) h.model "
	"AND m.created_at OPERATOR(pg_catalog.<=) h.counted_at "
	"WHERE h.model OPERATOR(pg_catalog.=) $1 AND h.until OPERATOR(pg_catalog.>) $2 AND h.since OPERATOR(pg_catalog.<) $3 "
	"GROUP BY h.role, h.version, h.subject, h.feature, h.bin_low, h.bin_high, h.level "
	"ORDER BY h.role, h.version, h.subject DESC, h.feature"
};

static int64
count_in(uint64 row, int column)
{
	bool		isnull;
	Datum		value = ml_result_datum(row, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

/* NULL: an array that is not there */
static int64 *
counts_in(uint64 row, int column, int *n)
{
	bool		isnull;
	Datum		value = ml_result_datum(row, column, &isnull);
	ArrayType  *array;

	*n = 0;
	if (isnull)
		return NULL;
	array = DatumGetArrayTypeP(value);
	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	return (int64 *) ARR_DATA_PTR(array);
}

static Datum
make_counts(const int64 *count, int n)
{
	Datum	   *element = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		element[i] = Int64GetDatum(count[i]);
	return PointerGetDatum(construct_array(element, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* neighbours put together; what is below and above the range stays apart. bins divides ML_PROFILE_BINS */
static Datum
coarsen(const int64 *count, int bins)
{
	int64	   *coarse = palloc0(sizeof(int64) * (bins + 2));
	int			each = ML_PROFILE_BINS / bins;

	coarse[0] = count[0];
	coarse[bins + 1] = count[ML_PROFILE_BINS + 1];
	for (int i = 0; i < ML_PROFILE_BINS; i++)
		coarse[1 + i / each] += count[1 + i];
	return make_counts(coarse, bins + 2);
}

static void
put_row(uint64 row, int bins, MlRows *rows)
{
	Datum		value[NRESULTS] = {0};
	bool		isnull[NRESULTS] = {0};
	int			nbins;
	int			nlevels;
	int64	   *bin = counts_in(row, BIN_ROWS, &nbins);
	int64	   *level = counts_in(row, LEVEL_ROWS, &nlevels);
	int64		n = count_in(row, ROWS);
	int64		missing = count_in(row, MISSING);
	int64		unseen = level != NULL ? count_in(row, OTHER_ROWS) : 0;
	bool		has_bins = nbins == ML_PROFILE_BINS + 2;

	if (has_bins)
		unseen = bin[0] + bin[nbins - 1];
	ml_rows_text(value, isnull, 0, ml_result_text(row, ROLE));
	value[1] = Int32GetDatum(ml_result_int(row, VERSION, 0));
	ml_rows_text(value, isnull, 2, ml_result_text(row, SUBJECT));
	ml_rows_text(value, isnull, 3, ml_result_text(row, FEATURE));
	value[4] = Int64GetDatum(n);
	ml_rows_number(value, isnull, 5, n > 0 ? (double) missing / n : NAN);
	ml_rows_number(value, isnull, 6, n > missing && (has_bins || level != NULL) ? (double) unseen / (n - missing) : NAN);
	ml_rows_number(value, isnull, 7, ml_result_float(row, LOW));
	ml_rows_number(value, isnull, 8, ml_result_float(row, HIGH));
	value[9] = ml_result_datum(row, LEVEL, &isnull[9]);
	isnull[10] = !has_bins && level == NULL;
	if (has_bins)
		value[10] = coarsen(bin, bins);
	else if (level != NULL)
	{
		level = memcpy(palloc(sizeof(int64) * (nlevels + 1)), level, sizeof(int64) * nlevels);
		level[nlevels] = unseen;
		value[10] = make_counts(level, nlevels + 1);
	}
	ml_rows_add(rows, value, isnull);
}

/* verb: what it does not do */
void
ml_watch_say_not_preloaded(const char *verb)
{
	ereport(NOTICE,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("this server %s no calls of mlops_predict", verb),
			 errdetail("Its shared_preload_libraries does not have mlops."),
			 errhint("Set shared_preload_libraries = 'mlops' and start the server again.")));
}

/* an empty result has a reason more often than not */
static void
say_why_nothing(const char *model)
{
	MlLogSettings settings;

	ml_registry_log_settings(model, &settings);
	if (!ml_counts_exist())
		ml_watch_say_not_preloaded("counts");
	else if (!settings.statistics)
		ereport(NOTICE,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("calls of model \"%s\" are not counted", model),
				 errdetail("Its setting \"statistics\" is not on."),
				 errhint("Its owner can call mlops_set_model('%s', '{\"statistics\": true}').", model)));
}

static int
take_bins(FunctionCallInfo fcinfo)
{
	int			bins = PG_GETARG_INT32(2);

	if (bins < 1 || bins > ML_PROFILE_BINS || ML_PROFILE_BINS % bins != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("bins must divide %d, not be %d", ML_PROFILE_BINS, bins),
				 errdetail("Values are counted in %d bins, of which neighbours can be put together.", ML_PROFILE_BINS),
				 errhint("Ask for 1, 2, 4, 8, 16, 32 or 64 bins.")));
	return bins;
}

/* mlops_statistics(model text, period interval, bins integer, as_of timestamptz) */
Datum
mlops_statistics(PG_FUNCTION_ARGS)
{
	MlArguments args = {0};
	MlRegistryScope scope;
	MlRows		rows;
	TimestampTz as_of;
	char	   *model;
	int			bins;
	uint64		n;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "period");
	ml_require_argument(fcinfo, 2, "bins");
	ml_require_argument(fcinfo, 3, "as_of");
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ml_privilege_require(model, ML_PRIVILEGE_READ);
	bins = take_bins(fcinfo);
	as_of = PG_GETARG_TIMESTAMPTZ(3);
	ml_watch_require_period(ml_watch_interval(PG_GETARG_INTERVAL_P(1)), 0, as_of);
	ml_bind_text(&args, model);
	ml_bind_time(&args, as_of - ml_watch_interval(PG_GETARG_INTERVAL_P(1)));
	ml_bind_time(&args, as_of);
	ml_rows_begin(fcinfo, &rows);
	ml_registry_enter(&scope);
	n = ml_statement_look(&select_histograms, &args);
	for (uint64 i = 0; i < n; i++)
		put_row(i, bins, &rows);
	ml_registry_leave(&scope);
	if (n == 0)
		say_why_nothing(model);
	return (Datum) 0;
}

/* ---- what became of it ---- */

/* mlops_counted() */
Datum
mlops_counted(PG_FUNCTION_ARGS)
{
	Datum		value[NTOTALS] = {0};
	bool		isnull[NTOTALS] = {0};
	MlCountsTotals totals;
	TupleDesc	desc;
	int			n = 0;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	ml_counts_totals(&totals);
	value[n++] = BoolGetDatum(ml_counts_exist());
	value[n++] = Int64GetDatum(totals.counted);
	value[n++] = Int64GetDatum(totals.written);
	value[n++] = Int64GetDatum(totals.waiting);
	for (int i = 0; i < ML_NLOSSES; i++)
		value[n++] = Int64GetDatum(totals.lost[i]);
	value[n++] = Int64GetDatum(totals.bytes);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), value, isnull)));
}

/* mlops_flush_statistics(timeout interval): false when counts of before the call still wait */
Datum
mlops_flush_statistics(PG_FUNCTION_ARGS)
{
	TimestampTz end = GetCurrentTimestamp() + ml_watch_interval(PG_GETARG_INTERVAL_P(0));
	MlCountsTotals totals;
	uint64		counted;

	ml_registry_require_writable("wait for the statistics");
	if (!ml_counts_exist())
	{
		ml_watch_say_not_preloaded("counts");
		PG_RETURN_BOOL(true);
	}
	ml_counts_publish_all();
	ml_counts_totals(&totals);
	for (counted = totals.counted; totals.counted - totals.waiting < counted; ml_counts_totals(&totals))
	{
		CHECK_FOR_INTERRUPTS();
		if (GetCurrentTimestamp() >= end)
			PG_RETURN_BOOL(false);
		(void) ml_ring_want_statistics(0);
		pg_usleep(NAP);
	}
	PG_RETURN_BOOL(true);
}
