/*
 * custom_run.c
 *		Running a registered metric over rows in memory.
 *
 * The rows become a relation of the query alone, with the columns
 *
 *		g		group
 *		f		fold, where there are folds
 *		a1 ...	arguments: prediction, label, columns of the row
 *
 * of types of our own making; the query casts them to those of the aggregate
 * as its author. A row that is in several groups is there as often.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "interrupts.h"
#include "metric/custom.h"
#include "metric/custom_types.h"
#include "metric/measure.h"
#include "miscadmin.h"
#include "recipe/task.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#define RELATION		"mlops_rows"
#define MAX_FOLDS		1000
#define USECS_FROM_UNIX	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* where an argument comes from */
typedef struct Argument
{
	Oid			cast;			/* the aggregate's type */
	Oid			type;			/* ours */
	enum
	{
		FROM_PREDICTION, FROM_LABEL, FROM_WEIGHT, FROM_COLUMN, FROM_TEXT
	}			from;
	MlCustomKind kind;			/* of prediction and label */
	const MlColumn *column;
	int			text;			/* which of the metric's columns */
} Argument;

typedef struct Run
{
	const MlCustomMetric *metric;
	const MlCustomRows *rows;
	int			nargs;
	Argument   *arg;
	TupleDesc	desc;
	Tuplestorestate *store;
	Oid			aggregate;
} Run;

static void
add_context(void *arg)
{
	errcontext("metric \"%s\"", (const char *) arg);
}

/* ---- the aggregate and its arguments ---- */

/* looked up as the author */
static Oid
find_aggregate(const MlCustomMetric *metric)
{
	LOCAL_FCINFO(call, 1);
	Oid			oid;
	Oid		   *type;
	int			nargs;

	InitFunctionCallInfoData(*call, NULL, 1, InvalidOid, NULL, NULL);
	call->args[0].value = CStringGetTextDatum(metric->aggregate);
	call->args[0].isnull = false;
	oid = DatumGetObjectId(to_regprocedure(call));
	if (call->isnull)
		oid = InvalidOid;

	if (OidIsValid(oid) && get_func_prokind(oid) == PROKIND_AGGREGATE)
	{
		(void) get_func_signature(oid, &type, &nargs);
		if (nargs == metric->ncolumns + 2)
			return oid;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_FUNCTION),
			 errmsg("aggregate %s of metric \"%s\" does not exist any more", metric->aggregate, metric->name),
			 errdetail("It was there when \"%s\" registered the metric.", metric->author.role),
			 errhint("Create it again, or drop the metric with mlops_drop_metric('%s').", metric->name)));
	return InvalidOid;
}

static Oid
type_of_kind(MlCustomKind kind)
{
	return kind == ML_CUSTOM_TEXT ? TEXTOID : kind == ML_CUSTOM_BOOLEAN ? BOOLOID : FLOAT8OID;
}

static Oid
type_of_column(const MlColumn *column)
{
	switch (column->type.kind)
	{
		case ML_KIND_NUMBER:
			switch (column->type.reading)
			{
				case ML_READ_BOOL:
					return BOOLOID;
				case ML_READ_INT2:
				case ML_READ_INT4:
				case ML_READ_INT8:
					return INT8OID;
				default:
					return FLOAT8OID;
			}
		case ML_KIND_CATEGORY:
			return TEXTOID;
		case ML_KIND_TIME:
			switch (column->type.reading)
			{
				case ML_READ_DATE:
					return DATEOID;
				case ML_READ_TIMESTAMPTZ:
					return TIMESTAMPTZOID;
				case ML_READ_TIME:
					return TIMEOID;
				case ML_READ_INTERVAL:
					return INTERVALOID;
				default:
					return TIMESTAMPOID;
			}
		case ML_KIND_ARRAY:
			return FLOAT8ARRAYOID;
		case ML_KIND_NONE:
			break;
	}
	return InvalidOid;
}

static const MlColumn *
find_column(const MlFrame *frame, const char *name)
{
	for (int i = 0; frame != NULL && i < frame->ncols; i++)
		if (strcmp(frame->cols[i].name, name) == 0 && frame->cols[i].loaded)
			return &frame->cols[i];
	return NULL;
}

static void
error_columns(const Run *run)
{
	StringInfoData missing;
	int			n = 0;

	initStringInfo(&missing);
	for (int i = 0; i < run->metric->ncolumns; i++)
	{
		const char *name = run->metric->column[i];

		if (strcmp(name, ML_CUSTOM_WEIGHT) != 0 && find_column(run->rows->frame, name) == NULL)
			appendStringInfo(&missing, "%s\"%s\"", n++ > 0 ? ", " : "", name);
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg_plural("metric \"%s\" takes column %s, which the rows do not have",
						   "metric \"%s\" takes columns %s, which the rows do not have",
						   n, run->metric->name, missing.data),
			 errdetail("It was registered with the columns that its aggregate takes after prediction and label."),
			 errhint("Judge it by rows that have them, or judge by another metric.")));
}

/* a type of the signature may have been dropped, and another be of its name */
static void
check_kinds(const Run *run, const Oid *type)
{
	if (ml_custom_tasks(ml_custom_kind(type[0]), ml_custom_kind(type[1])) & run->rows->task)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("aggregate %s of metric \"%s\" takes other types than when it was registered",
					run->metric->aggregate, run->metric->name),
			 errdetail("Its prediction is now of type %s and its label of type %s, which do not suit task \"%s\".",
					   format_type_be(getBaseType(type[0])), format_type_be(getBaseType(type[1])),
					   ml_task_name(run->rows->task)),
			 errhint("Register it again with mlops_create_metric().")));
}

static void
describe_arguments(Run *run)
{
	const MlCustomMetric *metric = run->metric;
	Oid		   *type;
	int			nargs;

	(void) get_func_signature(run->aggregate, &type, &nargs);
	check_kinds(run, type);
	run->nargs = metric->ncolumns + 2;
	run->arg = palloc0(sizeof(Argument) * run->nargs);
	for (int i = 0; i < run->nargs; i++)
	{
		Argument   *arg = &run->arg[i];

		arg->cast = type[i];
		if (i < 2)
		{
			arg->from = i == 0 ? FROM_PREDICTION : FROM_LABEL;
			arg->kind = ml_custom_kind(type[i]);
			arg->type = type_of_kind(arg->kind);
		}
		else if (strcmp(metric->column[i - 2], ML_CUSTOM_WEIGHT) == 0)
		{
			arg->from = FROM_WEIGHT;
			arg->type = FLOAT8OID;
		}
		else if (run->rows->text != NULL)
		{
			arg->from = FROM_TEXT;
			arg->type = TEXTOID;
			arg->text = i - 2;
		}
		else
		{
			arg->from = FROM_COLUMN;
			arg->column = find_column(run->rows->frame, metric->column[i - 2]);
			if (arg->column == NULL)
				error_columns(run);
			arg->type = type_of_column(arg->column);
		}
	}
}

/* ---- values ---- */

static Datum
time_value(const Argument *arg, int64 usec)
{
	switch (arg->type)
	{
		case DATEOID:
			return DateADTGetDatum((DateADT) ((usec - USECS_FROM_UNIX) / USECS_PER_DAY));
		case TIMEOID:
			return TimeADTGetDatum(usec);
		case INTERVALOID:
			{
				Interval   *interval = palloc0(sizeof(Interval));

				interval->time = usec;
				return IntervalPGetDatum(interval);
			}
		default:
			return TimestampTzGetDatum(usec - USECS_FROM_UNIX);
	}
}

static Datum
number_value(const Argument *arg, double number)
{
	return arg->type == BOOLOID ? BoolGetDatum(number != 0) :
		arg->type == INT8OID ? Int64GetDatum((int64) number) : Float8GetDatum(number);
}

static Datum
column_value(const Argument *arg, int64 row, bool *isnull)
{
	const MlColumn *column = arg->column;

	*isnull = false;
	switch (column->type.kind)
	{
		case ML_KIND_NUMBER:
			*isnull = isnan(column->number[row]);
			return *isnull ? (Datum) 0 : number_value(arg, column->number[row]);
		case ML_KIND_CATEGORY:
			*isnull = column->code[row] == ML_CODE_NULL;
			return *isnull ? (Datum) 0 :
				PointerGetDatum(cstring_to_text_with_len(column->dictionary->value[column->code[row]],
														 column->dictionary->length[column->code[row]]));
		case ML_KIND_TIME:
			*isnull = column->usec[row] == ML_USEC_NULL;
			return *isnull ? (Datum) 0 : time_value(arg, column->usec[row]);
		default:
			{
				Datum	   *element = palloc(sizeof(Datum) * Max(column->array_length, 1));

				for (int k = 0; k < column->array_length; k++)
					element[k] = Float8GetDatum(column->array[row * column->array_length + k]);
				return PointerGetDatum(construct_array(element, column->array_length, FLOAT8OID, sizeof(float8),
													   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
			}
	}
}

static Datum
text_value(const MlCustomRows *rows, const Argument *arg, int ncolumns, int64 i, bool *isnull)
{
	const char *text = rows->text[i * ncolumns + arg->text];

	*isnull = text == NULL;
	return *isnull ? (Datum) 0 : CStringGetTextDatum(text);
}

/* the class of a row as text: of the label, or of the prediction */
static Datum
class_value(const MlCustomRows *rows, int class)
{
	/* of two classes 1 is the positive one, wherever it is among the labels */
	if (rows->task == ML_TASK_BINARY)
		class = class == 1 ? rows->positive : 1 - rows->positive;
	return CStringGetTextDatum(rows->class_label[class]);
}

static Datum
argument_value(const Run *run, const MlMeasurement *measured, const Argument *arg, int64 i, bool *isnull)
{
	const MlCustomRows *rows = run->rows;
	int			class;

	*isnull = false;
	if (arg->from == FROM_WEIGHT)
		return Float8GetDatum(ml_measure_weight(measured, i));
	if (arg->from == FROM_TEXT)
		return text_value(rows, arg, run->metric->ncolumns, i, isnull);
	if (arg->from == FROM_COLUMN)
		return column_value(arg, rows->frame_row != NULL ? rows->frame_row[i] : rows->frame_first + i, isnull);
	if (arg->kind == ML_CUSTOM_NUMBER)
		return Float8GetDatum(arg->from == FROM_LABEL ? rows->label[i] : rows->prediction[i]);
	class = arg->from == FROM_LABEL ? (int) (rows->label[i] + 0.5) :
		rows->said != NULL ? rows->said[i] : ml_measure_class(measured, i);
	return arg->kind == ML_CUSTOM_BOOLEAN ? BoolGetDatum(class == 1) : class_value(rows, class);
}

/* ---- the relation ---- */

static TupleDesc
describe_relation(const Run *run)
{
	TupleDesc	desc = CreateTemplateTupleDesc(run->nargs + 2);

	TupleDescInitEntry(desc, 1, "g", INT4OID, -1, 0);
	TupleDescInitEntry(desc, 2, "f", INT4OID, -1, 0);
	for (int i = 0; i < run->nargs; i++)
		TupleDescInitEntry(desc, i + 3, psprintf("a%d", i + 1), run->arg[i].type, -1, 0);
	return desc;
}

static void
put_row(Run *run, const MlMeasurement *measured, int64 i, Datum *value, bool *isnull)
{
	const MlCustomRows *rows = run->rows;
	bool		made = false;

	isnull[0] = false;
	isnull[1] = rows->nfolds == 0;
	value[1] = Int32GetDatum(rows->nfolds == 0 ? 0 : rows->fold[i]);
	for (int g = 0; g < Max(rows->ngroups, 1); g++)
	{
		if (rows->ngroups > 0 && !rows->in_group(rows->in_group_arg, i, g))
			continue;
		for (int k = 0; !made && k < run->nargs; k++)
			value[k + 2] = argument_value(run, measured, &run->arg[k], i, &isnull[k + 2]);
		made = true;
		value[0] = Int32GetDatum(g);
		tuplestore_putvalues(run->store, run->desc, value, isnull);
	}
}

static void
fill_relation(Run *run)
{
	const MlCustomRows *rows = run->rows;
	MlMeasurement measured = {0};
	Datum	   *value = palloc(sizeof(Datum) * (run->nargs + 2));
	bool	   *isnull = palloc(sizeof(bool) * (run->nargs + 2));
	MemoryContext row_cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops metric row", ALLOCSET_SMALL_SIZES);
	MemoryContext old;

	measured.task = rows->task;
	measured.n = rows->n;
	measured.label = rows->label;
	measured.prediction = rows->prediction;
	measured.weight = rows->weight;
	measured.nclasses = rows->nclasses;
	measured.threshold = rows->threshold;
	run->store = tuplestore_begin_heap(false, false, work_mem);
	old = MemoryContextSwitchTo(row_cxt);
	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		/* without groups, rows of weight 0 are in none */
		if (!ml_measure_counts(&measured, i) || (rows->ngroups == 0 && ml_measure_weight(&measured, i) == 0.0))
			continue;
		put_row(run, &measured, i, value, isnull);
		MemoryContextReset(row_cxt);
	}
	MemoryContextSwitchTo(old);
}

/* ---- the query ---- */

static void
append_call(StringInfo query, const Run *run)
{
	appendStringInfo(query, "CAST(%s(",
					 quote_qualified_identifier(get_namespace_name(get_func_namespace(run->aggregate)),
												get_func_name(run->aggregate)));
	for (int i = 0; i < run->nargs; i++)
		appendStringInfo(query, "%sCAST(r.a%d AS %s)", i > 0 ? ", " : "", i + 1,
						 format_type_be_qualified(run->arg[i].cast));
	appendStringInfoChar(query, ')');
}

static char *
write_query(const Run *run)
{
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT r.g, ");
	append_call(&query, run);
	appendStringInfoString(&query, " AS pg_catalog.float8)");
	for (int k = 0; k < run->rows->nfolds; k++)
	{
		appendStringInfoString(&query, ", ");
		append_call(&query, run);
		appendStringInfo(&query, " FILTER (WHERE r.f OPERATOR(pg_catalog.<>) %d) AS pg_catalog.float8)", k);
	}
	appendStringInfoString(&query, " FROM " RELATION " AS r GROUP BY r.g");
	return query.data;
}

static void
register_relation(const Run *run)
{
	EphemeralNamedRelation relation = palloc0(sizeof(EphemeralNamedRelationData));

	relation->md.name = RELATION;
	relation->md.reliddesc = InvalidOid;
	relation->md.tupdesc = run->desc;
	relation->md.enrtype = ENR_NAMED_TUPLESTORE;
	relation->md.enrtuples = tuplestore_tuple_count(run->store);
	relation->reldata = run->store;
	if (SPI_register_relation(relation) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the rows of a metric");
}

static void
run_query(const Run *run, double *result)
{
	int			width = 1 + run->rows->nfolds;
	int			code;

	for (int i = 0; i < Max(run->rows->ngroups, 1) * width; i++)
		result[i] = NAN;
	code = SPI_execute(write_query(run), true, 0);
	if (code != SPI_OK_SELECT)
		elog(ERROR, "could not run a metric: %s", SPI_result_code_string(code));
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		bool		isnull;
		int			g = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1, &isnull));

		for (int k = 0; k < width; k++)
		{
			Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, k + 2, &isnull);

			if (!isnull)
				result[g * width + k] = DatumGetFloat8(value);
		}
	}
}

void
ml_custom_measure(const MlCustomMetric *metric, const MlCustomRows *rows, double *result)
{
	MlAuthored	what = {psprintf("metric \"%s\"", metric->name), rows->model, ML_PRIVILEGE_READ,
	psprintf("Register it again with mlops_create_metric(), or GRANT read on the model to who registered it: mlops_grant('%s', ...).",
			 rows->model)};
	Run			run = {metric, rows};
	ErrorContextCallback callback = {error_context_stack, add_context, metric->name};
	MlAuthorScope scope;

	Assert(ActiveSnapshotSet());
	if (rows->nfolds > MAX_FOLDS)
		elog(ERROR, "%d folds of a metric", rows->nfolds);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	error_context_stack = &callback;
	ml_author_enter(&metric->author, &what, &scope);
	run.aggregate = find_aggregate(metric);
	describe_arguments(&run);
	run.desc = describe_relation(&run);
	fill_relation(&run);
	register_relation(&run);
	run_query(&run, result);
	tuplestore_end(run.store);
	ml_author_leave(&scope);
	error_context_stack = callback.previous;
	SPI_finish();
}
