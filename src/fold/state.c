/*
 * state.c
 *		The type mlops.state: between bytes and an expanded object.
 *
 * The bytes are of one order, little-endian, so that the text and the binary
 * form are the bytes themselves; docs/formats.md has them. What comes in is
 * read as if nobody vouched for it: lengths must agree with the algorithm's
 * own, memory is counted before it is taken, and numbers index nothing.
 */
#include "postgres.h"

#include "compat.h"
#include "errors.h"
#include "fold/fold.h"
#include "image.h"
#include "mb/pg_wchar.h"
#include "train/learn_link.h"
#include "train/params.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#define MAGIC			"\x89MLS\r\n\x1a\n"
#define MAGIC_LENGTH	8
#define FORMAT			1
#define NAME_LENGTH		32
#define DEFAULT_SEED	42

/* where the fields of the header are */
#define AT_FORMAT		8
#define AT_STAGE		12
#define AT_NAME			16
#define AT_TASK			48
#define AT_NCLASSES		52
#define AT_NCOLUMNS		56
#define AT_SEED			64
#define AT_NROWS		72
#define AT_TOTAL		80
#define AT_NPARAMS		88
#define AT_NPASS		92
#define AT_NWORDS		96
#define HEADER_LENGTH	104

#define ALIGNED(n)		(((Size) (n) + 7) / 8 * 8)

PG_FUNCTION_INFO_V1(mlops_state_in);
PG_FUNCTION_INFO_V1(mlops_state_out);
PG_FUNCTION_INFO_V1(mlops_state_recv);
PG_FUNCTION_INFO_V1(mlops_state_send);

static Size get_flat_size(ExpandedObjectHeader *header);
static void flatten_into(ExpandedObjectHeader *header, void *result, Size size);

static const ExpandedObjectMethods methods = {get_flat_size, flatten_into};

/* ---- memory ---- */

void *
ml_fold_alloc(MlFold *fold, Size count, Size size, const char *what)
{
	Size		bytes = ml_size_mul(Max(count, 1), size);

	ml_budget_take(&fold->budget, bytes, what);
	return MemoryContextAllocExtended(fold->hdr.eoh_context, bytes,
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

static MlFold *
begin(MemoryContext parent)
{
	MemoryContext cxt = AllocSetContextCreate(parent, "mlops state", ALLOCSET_START_SMALL_SIZES);
	MlFold	   *fold = MemoryContextAllocZero(cxt, sizeof(MlFold));

	EOH_init_header(&fold->hdr, &methods, cxt);
	ml_budget_begin(&fold->budget);
	fold->ncolumns = -1;
	fold->total = -1;
	fold->seed = DEFAULT_SEED;
	return fold;
}

/* the parameters as the algorithm reads them, and all of them as text */
static void
take_params(MlFold *fold, Jsonb *params)
{
	static const MlParam none[] = {{NULL}};
	MemoryContext old = MemoryContextSwitchTo(fold->hdr.eoh_context);
	MlParamWords words = {psprintf("algorithm \"%s\"", fold->algorithm->name), "parameter", "params",
	psprintf("See SELECT * FROM mlops_params('%s').", fold->algorithm->name)};
	MlParamSet	set = {fold->algorithm->params ? fold->algorithm->params : none, NULL};
	Jsonb	   *all;

	fold->params = set.values = palloc0(Max(fold->algorithm->params_size, 1));
	all = ml_params_parse(&words, params, &set, 1);
	fold->params_text = JsonbToCString(NULL, &all->root, VARSIZE(all));
	MemoryContextSwitchTo(old);
}

static int
choose_task(const MlAlgorithm *algorithm, int nclasses)
{
	uint32		tasks = algorithm->tasks;

	if (tasks & (ML_TASKS_CLUSTER | ML_TASKS_ANOMALY | ML_TASKS_PROJECTION))
		return tasks & (ML_TASKS_CLUSTER | ML_TASKS_ANOMALY | ML_TASKS_PROJECTION);
	if (nclasses == 0 && tasks & ML_TASKS_REGRESSION)
		return ML_TASKS_REGRESSION;
	if (nclasses <= 2 && nclasses != 1 && tasks & ML_TASKS_BINARY)
		return ML_TASKS_BINARY;
	return nclasses >= 2 && tasks & ML_TASKS_MULTICLASS ? ML_TASKS_MULTICLASS : 0;
}

static void
require_elsewhere(const MlAlgorithm *algorithm)
{
	if (algorithm->pass_size == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("algorithm \"%s\" cannot run its passes in SQL", algorithm->name),
				 errdetail("It needs all rows in memory."),
				 errhint("Train it with mlops_train.")));
}

MlFold *
ml_fold_make(MemoryContext parent, const MlAlgorithm *algorithm, Jsonb *params, int nclasses)
{
	MlFold	   *fold = begin(parent);

	require_elsewhere(algorithm);
	fold->algorithm = algorithm;
	fold->stage = algorithm->needs_survey ? ML_STAGE_SURVEY : ML_STAGE_PASS;
	fold->task = choose_task(algorithm, nclasses);
	if (fold->task == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("algorithm \"%s\" does not fit a target of %d classes", algorithm->name, nclasses),
				 errhint("See the column \"tasks\" of mlops_algorithms().")));
	fold->nclasses = fold->task == ML_TASKS_BINARY ? 2 : fold->task == ML_TASKS_MULTICLASS ? nclasses : 0;
	take_params(fold, params);
	return fold;
}

/* ---- to bytes ---- */

/* the beginning of a pass has sums that are all zero, of a size that follows from the rest */
static Size
words_written(const MlFold *fold)
{
	return fold->words && fold->nrows > 0 ? fold->nwords : 0;
}

static Size
get_flat_size(ExpandedObjectHeader *header)
{
	MlFold	   *fold = (MlFold *) header;
	MemoryContext old;

	/* from 17 on the caller's memory may be that of a sort, where nothing can be freed */
	old = MemoryContextSwitchTo(fold->hdr.eoh_context);
	ml_fold_flush(fold);
	MemoryContextSwitchTo(old);
	fold->flat_size = VARHDRSZ + HEADER_LENGTH + ALIGNED(Max(fold->ncolumns, 0)) +
		ALIGNED(strlen(fold->params_text)) + 8 * (Size) fold->npass + 8 * words_written(fold);
	if (fold->flat_size > MaxAllocSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a state of \"%s\" over %d columns is too large to be a value",
						fold->algorithm->name, fold->ncolumns),
				 errdetail("It would have %zu bytes.", fold->flat_size),
				 errhint("Use fewer columns.")));
	return fold->flat_size;
}

/* words of 8 bytes, whatever they are, in the order of the machine and back */
static void
copy_words(char *to, const char *from, Size n)
{
#ifdef WORDS_BIGENDIAN
	for (Size i = 0; i < 8 * n; i++)
		to[i] = from[i / 8 * 8 + 7 - i % 8];
#else
	if (n > 0)
		memcpy(to, from, 8 * n);
#endif
}

static void
flatten_into(ExpandedObjectHeader *header, void *result, Size size)
{
	MlFold	   *fold = (MlFold *) header;
	char	   *at = VARDATA(result);
	Size		nparams = strlen(fold->params_text);
	Size		nwords = words_written(fold);

	Assert(size == fold->flat_size && fold->nbuffered == 0);
	memset(result, 0, size);
	SET_VARSIZE(result, size);
	memcpy(at, MAGIC, MAGIC_LENGTH);
	ml_image_put(at + AT_FORMAT, FORMAT, 4);
	ml_image_put(at + AT_STAGE, fold->stage, 4);
	strlcpy(at + AT_NAME, fold->algorithm->name, NAME_LENGTH);
	ml_image_put(at + AT_TASK, fold->task, 4);
	ml_image_put(at + AT_NCLASSES, fold->nclasses, 4);
	ml_image_put(at + AT_NCOLUMNS, (uint64) (int64) fold->ncolumns, 8);
	ml_image_put(at + AT_SEED, (uint64) fold->seed, 8);
	ml_image_put(at + AT_NROWS, (uint64) fold->nrows, 8);
	ml_image_put(at + AT_TOTAL, (uint64) fold->total, 8);
	ml_image_put(at + AT_NPARAMS, nparams, 4);
	ml_image_put(at + AT_NPASS, fold->npass, 4);
	ml_image_put(at + AT_NWORDS, nwords, 8);
	at += HEADER_LENGTH;
	for (int j = 0; j < fold->ncolumns; j++)
		at[j] = fold->scaled[j];
	at += ALIGNED(Max(fold->ncolumns, 0));
	memcpy(at, fold->params_text, nparams);
	at += ALIGNED(nparams);
	copy_words(at, (char *) fold->pass, fold->npass);
	at += 8 * (Size) fold->npass;
	copy_words(at, fold->words, nwords);
}

/* ---- from bytes ---- */

static void
refuse(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_BAD_ARTIFACT),
			 errmsg("these bytes are not a state"),
			 errdetail("%s", detail),
			 errhint("States come from aggregates such as mlops.linear_regression_state(), of the same version of the extension on all servers.")));
}

static void
read_algorithm(MlFold *fold, const char *bytes)
{
	char		name[NAME_LENGTH + 1];
	const MlLearnApi *api = ml_learn();

	memcpy(name, bytes + AT_NAME, NAME_LENGTH);
	name[NAME_LENGTH] = '\0';
	for (int i = 0; api->algorithms[i] != NULL; i++)
		if (strcmp(api->algorithms[i]->name, name) == 0)
			fold->algorithm = api->algorithms[i];
	if (fold->algorithm == NULL || fold->algorithm->pass_size == NULL)
		refuse("They name no algorithm whose passes run in SQL.");
}

static void
read_header(MlFold *fold, const char *bytes)
{
	uint64		format = ml_image_get(bytes + AT_FORMAT, 4);
	uint64		stage = ml_image_get(bytes + AT_STAGE, 4);
	int64		ncolumns = (int64) ml_image_get(bytes + AT_NCOLUMNS, 8);
	uint64		nclasses = ml_image_get(bytes + AT_NCLASSES, 4);
	int			task;

	if (format != FORMAT)
		refuse(psprintf("They are of format " UINT64_FORMAT "; this server reads format %d.", format, FORMAT));
	read_algorithm(fold, bytes);
	if (stage > ML_STAGE_PASS || (stage == ML_STAGE_SURVEY && !fold->algorithm->needs_survey))
		refuse("The algorithm has no such stage.");
	if (ncolumns < -1 || ncolumns > ML_FOLD_COLUMNS)
		refuse(psprintf("The number of columns is " INT64_FORMAT ".", ncolumns));
	if (nclasses > 100)
		refuse(psprintf("The number of classes is " UINT64_FORMAT ".", nclasses));
	task = choose_task(fold->algorithm, (int) nclasses);
	if (task == 0 || (uint64) task != ml_image_get(bytes + AT_TASK, 4))
		refuse("The task is none of the algorithm's.");
	fold->stage = (MlStage) stage;
	fold->task = task;
	fold->nclasses = (int) nclasses;
	fold->ncolumns = (int) ncolumns;
	fold->seed = (int64) ml_image_get(bytes + AT_SEED, 8);
	fold->nrows = (int64) ml_image_get(bytes + AT_NROWS, 8);
	fold->total = (int64) ml_image_get(bytes + AT_TOTAL, 8);
	if (fold->nrows < 0 || fold->total < -1 || (fold->ncolumns < 0 && fold->nrows > 0))
		refuse("The number of rows is impossible.");
}

static void
read_params(MlFold *fold, const char *text, Size length)
{
	char	   *json = pnstrdup(text, length);

	if (strlen(json) != length || !pg_verifymbstr(json, length, true))
		refuse("The parameters are not text.");
	take_params(fold, DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json))));
	pfree(json);
}

MlFold *
ml_fold_read(const char *bytes, Size length, MemoryContext parent)
{
	MlFold	   *fold;
	Size		nparams;
	Size		nwords;
	Size		left;
	Size		ncolumns;
	const char *at = bytes + HEADER_LENGTH;

	if (length < HEADER_LENGTH || memcmp(bytes, MAGIC, MAGIC_LENGTH) != 0)
		refuse("They do not begin as a state does.");
	fold = begin(parent);
	read_header(fold, bytes);
	ncolumns = Max(fold->ncolumns, 0);
	nparams = ml_image_get(bytes + AT_NPARAMS, 4);
	nwords = ml_image_get(bytes + AT_NWORDS, 8);
	left = length - HEADER_LENGTH;
	fold->npass = (int) Min(ml_image_get(bytes + AT_NPASS, 4), INT_MAX);
	if (nwords > left / 8 || ALIGNED(ncolumns) + ALIGNED(nparams) + 8 * (Size) fold->npass + 8 * nwords != left)
		refuse("Their number is not what the header says.");

	fold->scaled = ml_fold_alloc(fold, ncolumns, sizeof(bool), "a state");
	for (Size j = 0; j < ncolumns; j++)
		fold->scaled[j] = at[j] != 0;
	at += ALIGNED(ncolumns);
	read_params(fold, at, nparams);
	at += ALIGNED(nparams);
	fold->pass = ml_fold_alloc(fold, fold->npass, 8, "a state");
	copy_words((char *) fold->pass, at, fold->npass);
	at += 8 * (Size) fold->npass;
	if (nwords == 0 && fold->nrows == 0)
		return fold;
	if (fold->ncolumns < 0)
		refuse("There are sums, but no columns.");
	ml_fold_prepare(fold);
	if (nwords != fold->nwords)
		refuse(psprintf("The sums are %zu numbers; %zu were expected.", nwords, fold->nwords));
	copy_words(fold->words, at, nwords);
	return fold;
}

MlFold *
ml_fold_get(Datum datum, MemoryContext parent)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(datum);
	MlFold	   *fold;
	struct varlena *flat;

	if (VARATT_IS_EXTERNAL_EXPANDED_RW(value))
		return (MlFold *) DatumGetEOHP(datum);
	flat = pg_detoast_datum_packed(value);
	fold = ml_fold_read(VARDATA_ANY(flat), VARSIZE_ANY_EXHDR(flat), parent);
	if (flat != value)
		pfree(flat);
	return fold;
}

MlFold *
ml_fold_copy(MlFold *fold, MemoryContext parent)
{
	Size		size = EOH_get_flat_size(&fold->hdr);
	struct varlena *flat = palloc(size);
	MlFold	   *copy;

	EOH_flatten_into(&fold->hdr, flat, size);
	copy = ml_fold_read(VARDATA(flat), size - VARHDRSZ, parent);
	pfree(flat);
	return copy;
}

/* ---- in and out ---- */

static void
check(struct varlena *value, MemoryContext cxt)
{
	MlFold	   *fold = ml_fold_read(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), cxt);

	if (fold->ncolumns >= 0)
		ml_fold_prepare(fold);
}

static const MlImageType state_type = {ML_STATE_TYPE, check};

Datum
mlops_state_in(PG_FUNCTION_ARGS)
{
	return ml_image_in(&state_type, fcinfo);
}

Datum
mlops_state_out(PG_FUNCTION_ARGS)
{
	return ml_image_out(&state_type, fcinfo);
}

Datum
mlops_state_recv(PG_FUNCTION_ARGS)
{
	return ml_image_recv(&state_type, fcinfo);
}

Datum
mlops_state_send(PG_FUNCTION_ARGS)
{
	return ml_image_send(fcinfo);
}
