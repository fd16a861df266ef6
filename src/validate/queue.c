/*
 * queue.c
 *		mlops_label_queue: which rows without a label are most worth labelling.
 *
 * Three reasons, each a number from 0 to 1: the active version is uncertain (the distance to its
 * threshold, or the entropy of its classes); other versions - aliases, the newest - say
 * something else; the row is in a slice of which the validation set has fewer than its minimum. The
 * score of a row is 1 - the product of what is left of each, so that it grows with every reason.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "frame/frame.h"
#include "interrupts.h"
#include "result.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "validate/pin.h"
#include "validate/validate.h"

PG_FUNCTION_INFO_V1(mlops_label_queue);

#define MAX_QUEUE		100000
#define MAX_VERSIONS	8		/* that are asked */
#define RESULT_COLUMNS	5		/* key, score, reason, prediction, label */

typedef struct Queue
{
	const char *model;
	MlSet	   *set;			/* NULL: the source is the caller's, and there is no set */
	bool		own_source;		/* the caller's */
	char	   *source;			/* unlabelled rows */
	const char *key;
	MlBudget	budget;
	MlFrame    *frame;
	MlKeys		keys;
	int			nversions;
	const MlModel *version[MAX_VERSIONS];	/* the active one first */
	MlResolved	resolved[MAX_VERSIONS];
	double	   *output[MAX_VERSIONS];
	double		spread;			/* regression: standard deviation of the first version's predictions */
	double	   *thin;			/* of each row; NULL: no slices */
	const char **thin_slice;
} Queue;

typedef struct Waiting
{
	double		score;
	int64		row;
} Waiting;

/* ---- versions ---- */

/* active, then aliases, then the newest */
static void
find_versions(Queue *queue)
{
	static MlStatement select = {
		"SELECT v FROM (SELECT version AS v, 0 AS o FROM mlops_catalog.serving WHERE model OPERATOR(pg_catalog.=) $1 "
		"UNION ALL SELECT version, 1 FROM mlops_catalog.alias WHERE model OPERATOR(pg_catalog.=) $1 "
		"UNION ALL (SELECT version, 2 FROM mlops_catalog.version WHERE model OPERATOR(pg_catalog.=) $1 AND NOT scratch "
		"ORDER BY version DESC LIMIT 1)) AS a WHERE v IS NOT NULL "
		"GROUP BY v ORDER BY pg_catalog.min(o), v DESC LIMIT $2"
	};
	MlArguments args = {0};
	MlRegistryScope scope;
	int			number[MAX_VERSIONS];
	int			n;

	ml_bind_text(&args, queue->model);
	ml_bind_int8(&args, MAX_VERSIONS);
	ml_registry_enter(&scope);
	n = (int) ml_statement_run(&select, &args);
	for (int i = 0; i < n; i++)
		number[i] = ml_result_int(i, 1, 0);
	ml_registry_leave(&scope);
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model \"%s\" has no version that could say which rows it is uncertain of", queue->model),
				 errdetail("It has no version at all."),
				 errhint("Train one first with CALL mlops_train.")));
	for (int i = 0; i < n; i++)
	{
		char	   *text = psprintf("%s/%d", queue->model, number[i]);
		MlReference reference;

		ml_reference_parse(text, strlen(text), &reference);
		queue->version[i] = ml_registry_model(&reference, ML_PRIVILEGE_READ, CurrentMemoryContext, &queue->resolved[i]);
	}
	queue->nversions = n;
	if (queue->version[0]->recipe->target.task & ML_TASKS_UNSUPERVISED)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" has no target that could be labelled", queue->model),
				 errdetail("Version %d learned without a target.", number[0]),
				 errhint("Label queues are for models that predict a column.")));
}

/* others than the first are not asked where the rows lack what they need */
static void
leave_out_versions(Queue *queue, int ncolumns, const MlSetColumn *column)
{
	int			n = 1;

	for (int v = 1; v < queue->nversions; v++)
	{
		const MlRecipe *recipe = ml_model_input_recipe(queue->version[v]);
		bool		usable = queue->version[v]->recipe->target.task == queue->version[0]->recipe->target.task;

		for (int f = 0; f < recipe->nfeatures && usable; f++)
		{
			bool		found = false;

			for (int c = 0; c < ncolumns && !found; c++)
				found = strcmp(column[c].name, recipe->features[f].name) == 0;
			usable = found;
		}
		if (!usable)
			continue;
		queue->version[n] = queue->version[v];
		queue->resolved[n++] = queue->resolved[v];
	}
	queue->nversions = n;
}

/* ---- rows ---- */

static bool
has_column(int n, const MlSetColumn *column, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(column[i].name, name) == 0)
			return true;
	return false;
}

/* the rows of a source that have no label, where it has the column at all */
static void
read_frame(Queue *queue, const char *source)
{
	const char *target = queue->set && queue->set->target ? queue->set->target : queue->version[0]->recipe->target.name;
	MlFrameRequest request = {0};
	MlSetColumn *column;
	int			n;

	ml_shape_read(source, &n, &column);
	if (!has_column(n, column, queue->key))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("key column \"%s\" is not in the source", queue->key),
				 errhint("Name the column that tells rows apart: key_column => 'id'.")));
	leave_out_versions(queue, n, column);
	for (int v = 0; v < queue->nversions; v++)
		ml_scored_features(queue->version[v], &request);
	request.source = has_column(n, column, target) ?
		psprintf("SELECT * FROM (%s\n) AS mlops_source WHERE mlops_source.%s IS NULL", ml_source_query(source),
				 quote_identifier(target)) : ml_source_query(source);
	ml_keys_begin(&queue->keys, queue->key, &queue->budget);
	request.tee = ml_keys_tee;
	request.tee_arg = &queue->keys;
	queue->frame = ml_frame_read(&request, &queue->budget);
}

static void
read_rows(Queue *queue)
{
	MlAuthored	authored;
	MlAuthorScope scope;

	if (queue->own_source)
	{
		read_frame(queue, queue->source);
		return;
	}
	ml_set_authored(queue->set, psprintf("the source of validation set \"%s\"", queue->set->name), &authored);
	ml_author_enter(&queue->set->author, &authored, &scope);
	read_frame(queue, queue->set->source);
	ml_author_leave(&scope);
}

static void
predict(Queue *queue)
{
	double		sum = 0;
	double		squares = 0;
	int64		n = 0;

	for (int v = 0; v < queue->nversions; v++)
		queue->output[v] = ml_scored_outputs(queue->version[v], queue->frame, &queue->budget);
	for (int64 i = 0; i < queue->frame->nrows && queue->version[0]->noutputs == 1; i++)
		if (isfinite(queue->output[0][i]))
		{
			double		delta = queue->output[0][i] - sum;

			sum += delta / (double) ++n;
			squares += delta * (queue->output[0][i] - sum);
		}
	queue->spread = n > 1 ? sqrt(squares / (double) n) : 0;
}

/* ---- thin slices ---- */

typedef struct ThinEntry
{
	uint64		key_hash;
	double		thin;
	const char *slice;
} ThinEntry;

static double
thin_of(MlSet *set, MlChange *newest, int number, const char **name)
{
	for (int s = 0; s < set->nslices; s++)
		if (set->slice[s].number == number)
		{
			int64		rows = ml_change_counted(newest, number);

			*name = set->slice[s].name;
			return rows < set->slice[s].min_rows ? 1 - (double) rows / (double) set->slice[s].min_rows : 0;
		}
	return 0;
}

static HTAB *
thin_by_key(Queue *queue)
{
	MlSetReading reading = {0};
	HASHCTL		control = {0};
	MlChange	newest;
	HTAB	   *table;

	control.keysize = sizeof(uint64);
	control.entrysize = sizeof(ThinEntry);
	control.hcxt = CurrentMemoryContext;
	table = hash_create("mlops thin rows", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	ml_change_begin(queue->set, "refresh", queue->set->as_of, &newest);
	reading.set = queue->set;
	reading.budget = &queue->budget;
	ml_read_unlabelled(&reading);
	for (int c = 0; c < reading.ncells; c++)
		for (int i = 0; i < reading.cell[c]->n; i++)
		{
			const MlKindOfRow *kind = &reading.kind[reading.cell[c]->kind];
			ThinEntry  *entry = hash_search(table, &reading.cell[c]->candidate[i].key_hash, HASH_ENTER, NULL);

			entry->thin = 0;
			for (int s = 0; s < kind->nslices; s++)
			{
				const char *name = NULL;
				double		thin = thin_of(queue->set, &newest, kind->slice[s], &name);

				if (thin > entry->thin)
				{
					entry->thin = thin;
					entry->slice = name;
				}
			}
		}
	return table;
}

static void
find_thin(Queue *queue)
{
	int64		n = queue->frame->nrows;
	HTAB	   *table;

	if (queue->own_source || queue->set->edition == 0 || (queue->set->nslices == 0 && queue->set->nby == 0))
		return;
	table = thin_by_key(queue);
	queue->thin = palloc_extended(ml_size_mul(Max(n, 1), sizeof(double)), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	queue->thin_slice = palloc_extended(ml_size_mul(Max(n, 1), sizeof(char *)), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int64 i = 0; i < n; i++)
	{
		uint64		hash;
		ThinEntry  *entry;

		ml_check_row(i);
		if (queue->keys.key[i] == NULL)
			continue;
		hash = ml_hash_bytes(queue->keys.key[i], strlen(queue->keys.key[i]), 0);
		entry = hash_search(table, &hash, HASH_FIND, NULL);
		if (entry != NULL)
		{
			queue->thin[i] = entry->thin;
			queue->thin_slice[i] = entry->slice;
		}
	}
}

/* ---- reasons ---- */

static const double *
outputs_of(const Queue *queue, int version, int64 row)
{
	return queue->output[version] + row * queue->version[version]->noutputs;
}

/* 1: the active version cannot tell at all */
static double
uncertainty(const Queue *queue, int64 row)
{
	const MlTarget *target = &queue->version[0]->recipe->target;
	const double *output = outputs_of(queue, 0, row);
	double		threshold = queue->resolved[0].threshold;
	double		entropy = 0;

	if (target->task == ML_TASK_REGRESSION)
		return 0;
	if (target->task == ML_TASK_BINARY)
		return output[0] >= threshold ? (threshold < 1 ? 1 - (output[0] - threshold) / (1 - threshold) : 1) :
			1 - (threshold - output[0]) / threshold;
	for (int c = 0; c < target->nclasses; c++)
		if (output[c] > 0)
			entropy -= output[c] * log(output[c]);
	return target->nclasses > 1 ? entropy / log(target->nclasses) : 0;
}

static const char *
label_of(const Queue *queue, int version, int64 row)
{
	const MlTarget *target = &queue->version[version]->recipe->target;

	if (target->task == ML_TASK_REGRESSION)
		return NULL;
	return target->class_label[ml_model_class(queue->version[version], outputs_of(queue, version, row),
											  queue->resolved[version].threshold)];
}

/* the share of other versions that give another label; for numbers the largest distance, in standard deviations */
static double
disagreement(const Queue *queue, int64 row, int *who)
{
	const char *label = label_of(queue, 0, row);
	int			others = 0;
	double		farthest = 0;

	for (int v = 1; v < queue->nversions; v++)
	{
		const double *output = outputs_of(queue, v, row);

		if (isnan(output[0]))
			continue;
		if (label != NULL && strcmp(label, label_of(queue, v, row)) != 0)
		{
			*who = queue->resolved[v].version;
			others++;
		}
		if (label == NULL && queue->spread > 0)
		{
			double		distance = Min(fabs(output[0] - outputs_of(queue, 0, row)[0]) / queue->spread, 1);

			if (distance > farthest)
				*who = queue->resolved[v].version;
			farthest = Max(farthest, distance);
		}
	}
	return label == NULL ? farthest : queue->nversions > 1 ? (double) others / (queue->nversions - 1) : 0;
}

static double
score_of(const Queue *queue, int64 row, char **reason)
{
	int			who = 0;
	double		uncertain = uncertainty(queue, row);
	double		differ = disagreement(queue, row, &who);
	double		thin = queue->thin ? queue->thin[row] : 0;

	if (reason != NULL)
	{
		if (differ > 0 && differ >= thin)
			*reason = psprintf("versions %d and %d disagree", queue->resolved[0].version, who);
		else if (thin > 0 && thin >= uncertain)
			*reason = psprintf("thin slice: %s", queue->thin_slice[row]);
		else
			*reason = queue->version[0]->recipe->target.task == ML_TASK_REGRESSION ? "no reason" : "uncertain";
	}
	return 1 - (1 - uncertain) * (1 - differ) * (1 - thin);
}

static int
compare_waiting(const void *a, const void *b)
{
	const Waiting *x = a;
	const Waiting *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

/* ---- SQL ---- */

static void
put_row(const Queue *queue, int64 row, double score, MlRows *rows)
{
	Datum		values[RESULT_COLUMNS];
	bool		nulls[RESULT_COLUMNS];
	char	   *reason;

	(void) score_of(queue, row, &reason);
	ml_rows_text(values, nulls, 0, queue->keys.key[row]);
	ml_rows_number(values, nulls, 1, score);
	ml_rows_text(values, nulls, 2, reason);
	ml_rows_number(values, nulls, 3, queue->version[0]->noutputs == 1 ? outputs_of(queue, 0, row)[0] : NAN);
	ml_rows_text(values, nulls, 4, label_of(queue, 0, row));
	ml_rows_add(rows, values, nulls);
}

static void
write_queue(const Queue *queue, int most, MlRows *rows)
{
	Waiting    *waiting = palloc_extended(ml_size_mul(Max(queue->frame->nrows, 1), sizeof(Waiting)), MCXT_ALLOC_HUGE);
	int64		n = 0;

	for (int64 i = 0; i < queue->frame->nrows; i++)
	{
		ml_check_row(i);
		if (queue->keys.key[i] == NULL || isnan(outputs_of(queue, 0, i)[0]))
			continue;
		waiting[n].score = score_of(queue, i, NULL);
		waiting[n++].row = i;
	}
	qsort(waiting, n, sizeof(Waiting), compare_waiting);
	for (int64 i = 0; i < n && i < most; i++)
		put_row(queue, waiting[i].row, waiting[i].score, rows);
}

static void
take_arguments(FunctionCallInfo fcinfo, Queue *queue, int *most)
{
	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "n");
	queue->model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	*most = PG_GETARG_INT32(1);
	if (*most < 1 || *most > MAX_QUEUE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"n\" is %d", *most),
				 errdetail("It must be from 1 to %d.", MAX_QUEUE),
				 errhint("The default is 20.")));
	ml_privilege_require(queue->model, ML_PRIVILEGE_READ);
	queue->own_source = !PG_ARGISNULL(2);
	if (queue->own_source)
		queue->source = text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (!queue->own_source || !PG_ARGISNULL(3) || PG_ARGISNULL(4))
		queue->set = ml_set_open(queue->model, PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3)), false);
	queue->key = PG_ARGISNULL(4) ? queue->set->key : text_to_cstring(PG_GETARG_TEXT_PP(4));
}

/* mlops_label_queue(model, n, source, validation_set, key_column) */
Datum
mlops_label_queue(PG_FUNCTION_ARGS)
{
	Queue		queue = {0};
	MlRows		rows;
	int			most;

	take_arguments(fcinfo, &queue, &most);
	ml_rows_begin(fcinfo, &rows);
	find_versions(&queue);
	ml_budget_begin(&queue.budget);
	read_rows(&queue);
	predict(&queue);
	find_thin(&queue);
	write_queue(&queue, most, &rows);
	return (Datum) 0;
}
