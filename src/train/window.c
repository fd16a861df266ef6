/*
 * window.c
 *		The stretch of time that a training reads, against the column that tells the time.
 *
 * Bounds are moments where the column is a date or a timestamp, and whole numbers,
 * in its own unit, where it is an integer. A number is no moment by itself, so
 * neither stands for the other.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "frame/frame.h"
#include "train/train.h"
#include "utils/builtins.h"

Oid
ml_window_column_type(const MlTraining *training)
{
	Oid			type = InvalidOid;
	Portal		portal;
	int			column;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	portal = SPI_cursor_open_with_args(NULL, ml_source_query(training->spec.source), 0, NULL, NULL, NULL, true, 0);
	column = SPI_fnumber(portal->tupDesc, training->spec.time_column);
	if (column > 0)
		type = SPI_gettypeid(portal->tupDesc, column);
	SPI_cursor_close(portal);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
	return type;
}

bool
ml_window_counts(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

static void
refuse_bound(const MlTraining *training, Oid type)
{
	const MlSpec *spec = &training->spec;
	const char *name = spec->since != NULL ? "since" : "until";
	const char *bound = spec->since != NULL ? spec->since : spec->until;

	if (spec->bounds_are_numbers)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("\"%s\" is a number, but column \"%s\" is not an integer", name, spec->time_column),
				 errdetail("\"%s\" is %s, and the column is of type %s.", name, bound, format_type_be(type)),
				 errhint("Give a moment, in quotes: \"%s\": \"2026-01-31\".", name)));
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("\"%s\" is a moment, but column \"%s\" is an integer", name, spec->time_column),
			 errdetail("\"%s\" is \"%s\"; rows of a column of type %s are taken from one of its values to another.",
					   name, bound, format_type_be(type)),
			 errhint("Give a whole number in the unit of the column, without quotes: \"%s\": 1769817600.", name)));
}

void
ml_window_check(const MlTraining *training, Oid type)
{
	const char *column = training->spec.time_column;
	bool		counts = ml_window_counts(type);

	if (!OidIsValid(type))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the source of model \"%s\" has no column \"%s\"", training->model, column),
				 errdetail("It says which rows are in the window that a training is from."),
				 errhint("Name the time of the rows: time_column => ...")));
	if (!counts && type != DATEOID && type != TIMESTAMPOID && type != TIMESTAMPTZOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" is not a time that a window could be cut from", column),
				 errdetail("It is of type %s; date, timestamp, timestamptz and integers are times.", format_type_be(type)),
				 errhint("Give a source with such a column: changes => '{\"source\": \"SELECT ...\"}'.")));
	if (counts != training->spec.bounds_are_numbers)
		refuse_bound(training, type);
}
