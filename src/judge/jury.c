/*
 * jury.c
 *		Labelled rows that versions are judged by: read once, in canonical order.
 *
 * The columns are looked at first, by a query without rows, so that one error
 * names everything that is missing, and so that slices are told from
 * conditions. Then rows come in once; which slices a row is in is noted as it passes.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "frame/hash.h"
#include "interrupts.h"
#include "judge/jury.h"
#include "registry/evidence.h"
#include "lib/stringinfo.h"
#include "port/pg_bitutils.h"
#include "sort.h"
#include "utils/memutils.h"

#define SPARE_BITS 8			/* of a key, beyond those that number the rows */

void *
ml_jury_take(MlJury *jury, MemoryContext cxt, int64 n, Size size, const char *what)
{
	Size		bytes = ml_size_mul(Max(n, 1), size);

	ml_budget_take(&jury->budget, bytes, what);
	return MemoryContextAllocHuge(cxt, bytes);
}

/* ---- which columns ---- */

static bool
is_listed(const List *names, const char *name)
{
	ListCell   *cell;

	foreach(cell, names)
	{
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	}
	return false;
}

/* what the versions take, and the registered metrics */
static List *
list_columns(const MlJuryRequest *request)
{
	List	   *names = NIL;

	for (int v = 0; v < request->nversions; v++)
	{
		const MlRecipe *recipe = ml_model_input_recipe(request->version[v]);

		for (int f = 0; f < recipe->nfeatures; f++)
			if (!is_listed(names, recipe->features[f].name))
				names = lappend(names, recipe->features[f].name);
	}
	return ml_judge_custom_columns(request->metrics, names);
}

/* the key that all versions were trained with, if the rows have it */
static const char *
common_key(const MlJuryRequest *request, const MlFrame *columns)
{
	const char *common = NULL;

	for (int v = 0; request->number != NULL && v < request->nversions; v++)
	{
		const char *key = ml_registry_training_key(request->model, request->number[v]);

		if (key == NULL || (common != NULL && strcmp(key, common) != 0))
			return NULL;
		common = key;
	}
	return common != NULL && ml_frame_find(columns, common) >= 0 ? common : NULL;
}

static MlFrame *
read_rows(const MlJurySource *source, MlFrameRequest *request, const char *query, MlBudget *budget)
{
	MlEdition	edition;

	request->source = query;
	if (source->edition == NULL)
		return ml_frame_read(request, budget);
	edition = *source->edition;
	edition.query = unconstify(char *, query);
	return ml_edition_read(&edition, request, budget);
}

/* the columns alone */
static MlFrame *
read_columns(const MlJurySource *source, const char *query, MlBudget *budget)
{
	MlFrameRequest request = {0};

	request.all_kinds = true;
	return read_rows(source, &request, psprintf("SELECT * FROM (%s\n) AS q LIMIT 0", query), budget);
}

static void
require_columns(const MlJuryRequest *request, const MlFrame *columns, const List *names,
				const char *target, bool edition)
{
	StringInfoData missing;
	int			n = 0;
	ListCell   *cell;

	initStringInfo(&missing);
	foreach(cell, names)
	{
		if (ml_frame_find(columns, lfirst(cell)) < 0)
			appendStringInfo(&missing, "%s\"%s\"", n++ > 0 ? ", " : "", (char *) lfirst(cell));
	}
	if (target != NULL && ml_frame_find(columns, target) < 0)
		appendStringInfo(&missing, "%s\"%s\" (the target)", n++ > 0 ? ", " : "", target);
	if (n == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("the rows to judge model \"%s\" by lack %d column%s", request->model, n, n == 1 ? "" : "s"),
			 errdetail("Missing: %s.", missing.data),
			 edition ? errhint("Make a validation set whose source has them, or judge by a query with mlops_evaluate_query.") :
			 errhint("Add them to the source; order and other columns do not matter.")));
}

/* The column that holds the target takes the name that the model knows. */
static void
name_target(MlFrame *frame, char *name)
{
	if (frame->target_column < 0)
		return;
	for (int i = 0; i < frame->ncols; i++)
		if (i != frame->target_column && strcmp(frame->cols[i].name, name) == 0)
			frame->cols[i].name = "";
	frame->cols[frame->target_column].name = name;
}

/* ---- order ---- */

static inline uint64
slices_of(const MlSlicer *slicer, int64 row)
{
	return slicer != NULL ? ml_slicer_hash(slicer, row) : 0;
}

static inline bool
comes_after(const MlSlicer *slicer, const MlKeyed *one, const MlKeyed *other)
{
	return one->key > other->key ||
		(one->key == other->key && slices_of(slicer, one->row) > slices_of(slicer, other->row));
}

/* neighbours that the sorted bits leave together */
static void
sort_neighbours(const MlSlicer *slicer, MlKeyed *item, int64 n)
{
	for (int64 i = 1; i < n; i++)
	{
		MlKeyed		now = item[i];
		int64		k = i;

		ml_check_row(i);
		for (; k > 0 && comes_after(slicer, &item[k - 1], &now); k--)
			item[k] = item[k - 1];
		item[k] = now;
	}
}

/*
 * Rows that are equal in all that is loaded and in their slices are told apart by
 * their number among themselves, so that each has random numbers of its own.
 */
static void
put_in_order(MlJury *jury, const MlSlicer *slicer)
{
	const MlFrame *frame = jury->frame;
	int64		n = frame->nrows;
	Size		bytes = ml_size_mul(n, sizeof(MlKeyed));
	MlKeyed    *item = ml_jury_take(jury, jury->cxt, n, sizeof(MlKeyed), "putting the rows in order");
	MlKeyed    *spare = ml_jury_take(jury, jury->cxt, n, sizeof(MlKeyed), "putting the rows in order");
	int64		equal = 0;

	jury->nrows = n;
	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		item[i].row = i;
		item[i].key = frame->fingerprint[i].high;
	}
	ml_sort(item, spare, n, pg_leftmost_one_pos64(Max(n, 1)) + SPARE_BITS);
	sort_neighbours(slicer, item, n);
	jury->row = ml_jury_take(jury, jury->cxt, n, sizeof(int64), "the order of the rows");
	jury->random = ml_jury_take(jury, jury->cxt, n, sizeof(uint64), "random numbers of the rows");
	for (int64 i = 0; i < n; i++)
	{
		bool		same = i > 0 && item[i].key == item[i - 1].key;

		ml_check_row(i);
		equal = same ? equal + 1 : 0;
		jury->row[i] = item[i].row;
		jury->random[i] = ml_hash_word(item[i].key, equal);
	}
	pfree(item);
	pfree(spare);
	ml_budget_give(&jury->budget, 2 * bytes);
}

static void
refuse_weight(const MlColumn *column, int64 row)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("weight column \"%s\" has a value that is no weight", column->name),
			 errdetail("Row " INT64_FORMAT " has %s; a weight is a number from 0 up.", row + 1,
					   isnan(column->number[row]) ? "NULL or NaN" : psprintf("%g", column->number[row])),
			 errhint("Leave such rows out in the source.")));
}

static void
take_weights(MlJury *jury)
{
	const MlFrame *frame = jury->frame;
	const MlColumn *column;

	if (frame->weight_column < 0)
		return;
	column = &frame->cols[frame->weight_column];
	jury->weight = ml_jury_take(jury, jury->cxt, jury->nrows, sizeof(double), "weights");
	for (int64 i = 0; i < jury->nrows; i++)
	{
		double		w = column->number[jury->row[i]];

		ml_check_row(i);
		if (!(w >= 0.0 && isfinite(w)))
			refuse_weight(column, jury->row[i]);
		jury->weight[i] = w;
	}
}

/* ---- slices ---- */

static void
take_slices(MlJury *jury, MlSlicer *slicer)
{
	uint32	   *place;

	if (slicer == NULL)
	{
		jury->nslices = 1;
		jury->slice = palloc0(sizeof(MlPlaces));
	}
	else
	{
		place = ml_jury_take(jury, jury->cxt, jury->nrows, sizeof(uint32), "places of the rows");
		for (int64 i = 0; i < jury->nrows; i++)
			place[jury->row[i]] = (uint32) i;
		ml_slicer_finish(slicer, jury, place);
		pfree(place);
	}
	jury->slice[ML_JURY_OVERALL].pub.name = "";
	jury->slice[ML_JURY_OVERALL].nrows = jury->nrows;
	for (int s = 0; s < jury->nslices; s++)
	{
		MlPlaces   *slice = &jury->slice[s];

		CHECK_FOR_INTERRUPTS();
		slice->pub.n = slice->pinned || jury->weight == NULL ? slice->nrows : 0;
		for (int64 i = 0; !slice->pinned && jury->weight != NULL && i < slice->nrows; i++)
			slice->pub.n += jury->weight[slice->place == NULL ? i : slice->place[i]] > 0.0;
	}
}

/* ---- the whole ---- */

static void
refuse_rows(const MlJury *jury)
{
	if (jury->frame->nrows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there are no rows to judge model \"%s\" by", jury->model),
				 errdetail("The source gave none."),
				 errhint("Give a source with labelled rows.")));
	if (jury->frame->nrows > ML_JURY_MOST_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many rows to judge model \"%s\" by", jury->model),
				 errdetail("There are " INT64_FORMAT "; at most %d can be judged by at once.",
						   jury->frame->nrows, ML_JURY_MOST_ROWS),
				 errhint("Take a sample of them in the source.")));
}

static void
take_rows(MlJury *jury, const MlJuryRequest *request, const MlJurySource *source)
{
	const char *query = source->edition != NULL ? source->edition->query : ml_source_query(source->source);
	const char *target = jury->target == NULL ? NULL : source->target != NULL ? source->target : jury->target;
	List	   *names = list_columns(request);
	MlFrame    *columns = read_columns(source, query, &jury->budget);
	MlSlicer   *slicer = ml_slicer_begin(jury, source, columns);
	MlFrameRequest frame = {0};
	ListCell   *cell;

	require_columns(request, columns, names, target, source->edition != NULL);
	jury->key = common_key(request, columns);
	frame.target = target;
	frame.key = jury->key;
	frame.weight = source->edition != NULL ? "mlops_weight" : source->weight;
	frame.features = palloc(sizeof(char *) * (list_length(names) + 1));
	foreach(cell, names)
		frame.features[frame.nfeatures++] = lfirst(cell);
	if (slicer != NULL)
	{
		query = ml_slicer_query(slicer);
		frame.tee = ml_slicer_tee;
		frame.tee_arg = slicer;
	}
	jury->frame = read_rows(source, &frame, query, &jury->budget);
	refuse_rows(jury);
	if (jury->target != NULL)
	{
		jury->renamed = strcmp(target, jury->target) != 0;
		name_target(jury->frame, jury->target);
	}
	put_in_order(jury, slicer);
	take_weights(jury);
	take_slices(jury, slicer);
}

MlJury *
ml_jury_open(const MlJuryRequest *request, const MlJurySource *source)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops jury", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	MlJury	   *jury = palloc0(sizeof(MlJury));
	const MlTarget *target = &request->version[0]->recipe->target;

	jury->cxt = cxt;
	jury->model = pstrdup(request->model);
	jury->task = target->task;
	jury->target = target->name == NULL || (target->task & ML_TASKS_UNSUPERVISED) ? NULL : pstrdup(target->name);
	jury->metrics = request->metrics;
	jury->include_seen = request->include_seen;
	jury->seed = (uint64) request->seed;
	ml_budget_begin(&jury->budget);
	take_rows(jury, request, source);
	MemoryContextSwitchTo(old);
	return jury;
}

void
ml_jury_end(MlJury *jury)
{
	MemoryContextDelete(jury->cxt);
}

int
ml_jury_nslices(const MlJury *jury)
{
	return jury->nslices;
}

const MlJurySlice *
ml_jury_slice(const MlJury *jury, int slice)
{
	return &jury->slice[slice].pub;
}

int
ml_jury_find_slice(const MlJury *jury, const char *name)
{
	for (int s = 0; s < jury->nslices; s++)
		if (strcmp(jury->slice[s].pub.name, name) == 0)
			return s;
	return -1;
}

/* ---- for those who look at the rows ---- */

const MlFrame *
ml_jury_frame(const MlJury *jury)
{
	return jury->frame;
}

int64
ml_jury_nrows(const MlJury *jury, int slice)
{
	return jury->slice[slice].nrows;
}

int64
ml_jury_row(const MlJury *jury, int slice, int64 k, double *weight)
{
	const MlPlaces *places = &jury->slice[slice];
	int64		at = places->place == NULL ? k : places->place[k];

	if (weight != NULL)
		*weight = places->pinned || jury->weight == NULL ? 1.0 : jury->weight[at];
	return jury->row[at];
}
