/*
 * sql_measure.c
 *		Labels and predictions of the rows, or what they lose in a model without
 *		a target, for measure.c.
 *
 * They take a third of the memory that there is at most, since metrics sort them;
 * half of that is for the held-out rows. Where they do not fit samples are
 * measured.
 */
#include "postgres.h"

#include <math.h>

#include "executor/spi.h"
#include "fold/sql.h"
#include "predictor/routine.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define FETCHED_ROWS	10000
#define FETCHED_NUMBERS	200000	/* at most, of all these rows */

/* doubles of a row */
static int
row_width(const MlPredicted *predicted)
{
	return predicted->loss ? sizeof(MlLoss) / sizeof(double) + 1 : predicted->width + 2;
}

/* false: the row has no label, or is dropped */
static bool
take_labelled(MlPredicted *predicted, uint64 row, int64 to)
{
	double		label = ml_sql_float(row, 1);
	double		single;
	const double *prediction = &single;

	if (predicted->width == 1)
		single = ml_sql_float(row, 2);
	else
		prediction = ml_sql_numbers_of(row, 2, predicted->width);
	if (isnan(label) || prediction == NULL)
		return false;
	predicted->label[to] = label;
	memcpy(predicted->prediction + to * predicted->width, prediction, sizeof(double) * predicted->width);
	predicted->weight[to] = ml_sql_float(row, 3);
	return true;
}

static bool
take_loss(MlPredicted *predicted, uint64 row, int64 to)
{
	const double *part = ml_sql_numbers_of(row, 1, 3);

	if (part == NULL)
		return false;
	predicted->loss[to].loss = part[0];
	predicted->loss[to].spread = part[1];
	predicted->loss[to].silhouette = part[2];
	predicted->weight[to] = ml_sql_float(row, 2);
	return true;
}

static int64
fetch_part(MlSql *sql, const char *query, int64 first, int64 room)
{
	MlPredicted *predicted = sql->training->predicted;
	MemoryContext cxt = CurrentMemoryContext;
	MemoryContext part = AllocSetContextCreate(cxt, "mlops predictions", ALLOCSET_DEFAULT_SIZES);
	MlSqlGuard	outer;
	Portal		portal;
	int64		n = 0;

	ml_sql_guard(query, &outer);
	portal = SPI_cursor_open_with_args(NULL, query, sql->nparams, sql->type, sql->param, NULL, true, 0);
	ml_sql_unguard(&outer);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, Max(1, Min(FETCHED_ROWS, FETCHED_NUMBERS / row_width(predicted))));
		MemoryContextSwitchTo(part);
		if (SPI_processed == 0)
			break;
		for (uint64 i = 0; i < SPI_processed && n < room; i++)
			if (predicted->loss ? take_loss(predicted, i, first + n) : take_labelled(predicted, i, first + n))
				n++;
		SPI_freetuptable(SPI_tuptable);
		SPI_tuptable = NULL;
		MemoryContextReset(part);
	}
	SPI_cursor_close(portal);
	MemoryContextSwitchTo(cxt);
	MemoryContextDelete(part);
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
	return psprintf(" AND mlops.row_held_out(" INT64_FORMAT ", %.17g, NULL::pg_catalog.text, %s)",
					training->spec.seed ^ 1, share, sql->columns);
}

/* what is fetched of a row */
static char *
row_query(const MlSql *sql, const MlModel *model)
{
	const MlFrame *frame = sql->frame;

	if (frame->target_column < 0)
		return psprintf("SELECT mlops.row_loss($1, %s), %s FROM %s WHERE %s",
						sql->features, sql->weight, sql->from, sql->usable);
	return psprintf("SELECT mlops.row_label($1, q.%s), %s%s%s, %s FROM %s WHERE %s",
					quote_identifier(frame->cols[frame->target_column].name),
					model->noutputs > 1 ? "mlops.row_outputs($1, " : "(mlops.row_outputs($1, ", sql->features,
					model->noutputs > 1 ? ")" : "))[1]", sql->weight, sql->from, sql->usable);
}

static void
make_room(MlTraining *training, const MlModel *model, int64 *ntrain, int64 *nholdout)
{
	MlPredicted *predicted = MemoryContextAllocZero(training->cxt, sizeof(MlPredicted));
	bool		target = training->frame->target_column >= 0;
	Size		size = sizeof(double) * (target ? model->noutputs + 2 : sizeof(MlLoss) / sizeof(double) + 1);
	int64		most = (int64) ((training->budget.limit - Min(training->budget.used, training->budget.limit)) / 3 / size);
	int64		room;
	double	   *memory;

	*nholdout = Min(training->nholdout, most / 2);
	*ntrain = Min(training->ntrain, most - *nholdout);
	room = *ntrain + *nholdout;
	ml_budget_take(&training->budget, ml_size_mul(room, size), "predictions to measure");
	memory = MemoryContextAllocHuge(training->cxt, ml_size_mul(Max(room, 1), size));
	predicted->weight = memory;
	predicted->width = target ? model->noutputs : 0;
	predicted->label = memory + room;
	predicted->prediction = predicted->label + room;
	predicted->loss = target ? NULL : (MlLoss *) (memory + room);
	training->predicted = predicted;
}

static void
predict_rows(MlSql *sql, const MlModel *model)
{
	MlTraining *training = sql->training;
	const char *select = row_query(sql, model);
	MlPredicted *predicted;
	int64		ntrain;
	int64		nholdout;
	char	   *sample;

	make_room(training, model, &ntrain, &nholdout);
	predicted = training->predicted;
	sample = sample_of(sql, training->ntrain, ntrain, "training");
	predicted->ntrain = fetch_part(sql, psprintf("%s AND NOT %s%s", select, sql->held, sample), 0, ntrain);
	if (training->nholdout == 0)
		return;
	sample = sample_of(sql, training->nholdout, nholdout, "held-out");
	predicted->nholdout = fetch_part(sql, psprintf("%s AND %s%s", select, sql->held, sample), predicted->ntrain, nholdout);
}

void
ml_sql_measure(MlSql *sql)
{
	MlTraining *training = sql->training;
	MlModel    *model = ml_model_read(VARDATA_ANY(training->artifact), VARSIZE_ANY_EXHDR(training->artifact),
									  training->cxt);
	Size		before = training->budget.used;

	ml_sql_take_artifact(sql, training->artifact);
	predict_rows(sql, model);
	ml_training_measure(training, model);
	MemoryContextDelete(model->cxt);
	pfree(training->predicted->weight);
	training->predicted = NULL;
	training->budget.used = before;
}
