/*
 * validate.h
 *		Validation sets: rolling collections of labelled rows, and their editions.
 *
 * The rows of a set lie in a typed table of schema mlops_data, which belongs to
 * the extension's owner: the columns of the set's source, and beside them
 *
 *		entered_edition, left_edition	an edition e has the rows with
 *						entered_edition <= e < left_edition (NULL: still there)
 *		sample_stratum	the stratum within its bucket that the row was drawn from
 *		sample_bucket	the stretch of time that it was drawn from
 *		sample_groups	numbers of the class and the values of stratify_by that it counts for
 *		pinned			never leaves, weighs 0 overall: a copy beside the sample, so that
 *						an edition can have a key twice
 *		slices			int4[]: numbers of the slices that the row is in
 *		key_hash, row_fingerprint	by which rows are merged
 *
 * All columns have types of the server's own (set.h says why): an enum is text here.
 *
 * What a row was when it entered it stays: a row that changed leaves and enters
 * again. So any edition can be read again exactly. The weight of a row is that of its
 * stratum in the edition, 1 / inclusion probability. Slices are decided as their author
 * when a row enters, and are then numbers: reading an edition runs nobody's code.
 */
#ifndef ML_VALIDATE_H
#define ML_VALIDATE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "frame/frame.h"
#include "nodes/pg_list.h"
#include "registry/registry.h"

typedef struct MlSlice
{
	int32		number;			/* in the column slices */
	char	   *name;			/* plan = 'basic', or as its author called it */
	int64		min_rows;		/* fewer are reported and judged by no gate */
} MlSlice;

/* the one that pinned rows form: it has no number */
#define ML_SLICE_PINNED "pinned"

/* an edition of a set, to be read; palloc'd in the current context */
typedef struct MlEdition
{
	char	   *model;
	char	   *validation_set;
	int			edition;
	char	   *target;			/* column; NULL: a model without a target */
	char	   *key;			/* column; NULL: none */
	int64		rows;			/* pinned ones included */
	int			nslices;
	MlSlice    *slice;			/* ascending by number */

	/*
	 * One SELECT of our own making with the columns of the source, then
	 * mlops_weight float8 (0: pinned) and mlops_slices int4[]. It runs as the
	 * extension's owner, in ml_edition_read alone.
	 */
	char	   *query;
} MlEdition;

/*
 * The edition of that number, 0 the newest. validation_set NULL: the only one of the
 * model. 42704 no such set or edition (nearest name, or the editions there are), 55000 there
 * are none or several, or it was never refreshed. Checks no privilege.
 */
extern void ml_edition_open(const char *model, const char *validation_set, int edition, MlEdition *result);

/* the names of the sets of a model, in C order; a list of char * */
extern List *ml_validation_sets(const char *model);

/* the names of a set's slices, in C order, and at last that of the pinned rows */
extern List *ml_validation_slices(const char *model, const char *validation_set);

/*
 * ml_frame_read of request, whose source is set here, as the extension's owner, under the active snapshot.
 * A tee of the request sees all columns of the query.
 */
extern MlFrame *ml_edition_read(const MlEdition *edition, MlFrameRequest *request, MlBudget *budget);

/*
 * Refuses what is not one boolean expression over the columns of the source: 42601, 42703, 42804, 42803.
 * hint: what may stand there. Only then may it be made a part of a query: anything else could make another query of it.
 */
extern void ml_slice_check(const char *source, const char *condition, const char *name, const char *hint);

/* ---- time columns that are integers (clock.c) ---- */

/* 1970-01-01 00:00 UTC: what most integers that are times count from */
#define ML_UNIX_ORIGIN	((TimestampTz) (UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY)

/* 22023 for a unit with months, or that is not longer than nothing */
extern void ml_clock_check_unit(const Interval *unit);

/* the first number that is not before t, of units since the origin; false: there is none of 64 bits */
extern bool ml_clock_count(TimestampTz t, TimestampTz origin, const Interval *unit, int64 *count);

/* ---- by the clock (due.c) ---- */

/* models and names of the sets that may be due at that time, lists of char * of one length */
extern void ml_sets_due(TimestampTz as_of, List **models, List **names);

/* false: it is not due, or another session is at it. Checks no privilege; the source runs as its author */
extern bool ml_set_refresh_if_due(const char *model, const char *name, TimestampTz as_of);

/* keeps why a set could not be refreshed, and says so as a WARNING */
extern void ml_set_failed(const char *model, const char *name, const ErrorData *error);

/* erases a key from the sets, pins, labels and reports of a model; rows. Checks no privilege */
extern int64 ml_validate_forget(const char *model, const char *key);

#endif							/* ML_VALIDATE_H */
