/*
 * rows.c
 *		What rows add up to: a survey, or the state of a learner.
 *
 * Rows gather in a block that grows, so that a state of a few rows (one of many
 * groups) stays small. The survey adds moments up as Chan, Golub & LeVeque do:
 * Algorithms for computing the sample variance, Am. Statistician 37 (1983).
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "fold/fold.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define FIRST_CAPACITY	32
#define LAST_CAPACITY	512

StaticAssertDecl(LAST_CAPACITY <= ML_BLOCK_ROWS, "learners take blocks of at most ML_BLOCK_ROWS");

/* the words of a survey: two sums, the weight of each class, means and squares of the columns */
#define SURVEY_WEIGHT	0
#define SURVEY_MEAN_Y	1
#define SURVEY_CLASSES	2

static inline double *
survey_means(const MlFold *fold)
{
	return (double *) fold->words + SURVEY_CLASSES + fold->nclasses;
}

/* ---- making the learner ---- */

void
ml_fold_columns(MlFold *fold, int ncolumns)
{
	if (ncolumns > ML_FOLD_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a state cannot have %d columns", ncolumns),
				 errdetail("It can have %d.", ML_FOLD_COLUMNS),
				 errhint("Pass fewer numbers in \"x\".")));
	fold->ncolumns = ncolumns;
	fold->scaled = ml_fold_alloc(fold, ncolumns, sizeof(bool), "a state");
	memset(fold->scaled, true, ncolumns);
}

static void
take_memory(void *arg, Size bytes, const char *what)
{
	ml_budget_take(&((MlFold *) arg)->budget, bytes, what);
}

static void
name_columns(MlFold *fold)
{
	const char **name = ml_fold_alloc(fold, fold->ncolumns, sizeof(char *), "a state");

	for (int j = 0; j < fold->ncolumns; j++)
		name[j] = psprintf("x%d", j + 1);
	fold->matrix.column_name = name;
}

/* a survey that says nothing: what it would say is in the pass */
static void
make_survey(MlFold *fold)
{
	MlSurvey   *survey = &fold->survey;

	survey->weight = 1;
	survey->class_weight = ml_fold_alloc(fold, fold->nclasses, sizeof(double), "a state");
	for (int c = 0; c < fold->nclasses; c++)
		survey->class_weight[c] = 1.0 / fold->nclasses;
	survey->mean = ml_fold_alloc(fold, fold->ncolumns, sizeof(double), "a state");
	survey->deviation = ml_fold_alloc(fold, fold->ncolumns, sizeof(double), "a state");
	for (int j = 0; j < fold->ncolumns; j++)
		survey->deviation[j] = 1;
}

static void
make_learner(MlFold *fold)
{
	const MlAlgorithm *a = fold->passes;

	fold->matrix.nrows = fold->total;
	fold->learner = a->start(&fold->fit);
	if (fold->npass > 0 && !(a->pass_load && a->pass_load(fold->learner, fold->npass, fold->pass)))
		ereport(ERROR,
				(errcode(ERRCODE_ML_BAD_ARTIFACT),
				 errmsg("the numbers that carry a fit of \"%s\" make no sense", a->name),
				 errdetail("There are %d of them for %d columns.", fold->npass, fold->ncolumns),
				 errhint("Begin again with the first pass.")));
	ml_fold_make_words(fold, a->state_size(fold->learner) / 8);
}

void
ml_fold_make_words(MlFold *fold, Size n)
{
	if (fold->words != NULL)
	{
		pfree(fold->words);
		pfree(fold->spare);
		ml_budget_give(&fold->budget, 2 * 8 * Max(fold->nwords, 1));
		fold->words = fold->spare = NULL;
	}
	fold->nwords = n;
	fold->spare = ml_fold_alloc(fold, n, 8, "a state");
	fold->words = ml_fold_alloc(fold, n, 8, "a state");
}

static void
choose_variant(MlFold *fold)
{
	const MlAlgorithm *variant = fold->algorithm->variant ? fold->algorithm->variant(&fold->fit) : NULL;

	fold->passes = variant ? variant : fold->algorithm;
}

void
ml_fold_prepare(MlFold *fold)
{
	MemoryContext old = MemoryContextSwitchTo(fold->hdr.eoh_context);

	if (fold->words == NULL)
	{
		name_columns(fold);
		make_survey(fold);
		fold->matrix.ncolumns = fold->ncolumns;
		fold->matrix.scaled = fold->scaled;
		fold->matrix.nclasses = fold->nclasses;
		fold->matrix.survey = &fold->survey;
		if (fold->algorithm->consume_block)
			ml_fold_layout(fold);
		fold->fit.rows = &fold->matrix;
		fold->fit.task = fold->task;
		fold->fit.params = fold->params;
		fold->fit.seed = fold->seed;
		fold->fit.take_memory = take_memory;
		fold->fit.memory_arg = fold;
		choose_variant(fold);
		if (fold->stage == ML_STAGE_PASS)
			make_learner(fold);
		else
			ml_fold_make_words(fold, SURVEY_CLASSES + fold->nclasses + 2 * (Size) fold->ncolumns);
	}
	MemoryContextSwitchTo(old);
}

/* ---- adding ---- */

/* adds a share of the total weight at a mean, with squares about it */
static inline void
add_moments(double *mean, double *squares, double before, double share,
			double other_mean, double other_squares)
{
	double		delta = other_mean - *mean;

	*mean += delta * share;
	*squares += other_squares + delta * delta * (before * share);
}

static void
survey_row(MlFold *fold, int row)
{
	double	   *words = fold->words;
	double	   *mean = survey_means(fold);
	double	   *squares = mean + fold->ncolumns;
	double		w = fold->weight[row];
	double		before = words[SURVEY_WEIGHT];
	double		share = w / (before + w);

	words[SURVEY_WEIGHT] = before + w;
	words[SURVEY_MEAN_Y] += (fold->y[row] - words[SURVEY_MEAN_Y]) * share;
	if (fold->nclasses > 0)
		words[SURVEY_CLASSES + (int) fold->y[row]] += w;
	for (int j = 0; j < fold->ncolumns; j++)
		add_moments(&mean[j], &squares[j], before, share,
					fold->x[(Size) j * fold->capacity + row], 0);
}

static void
survey_merge(MlFold *fold, const double *other)
{
	double	   *words = fold->words;
	double	   *mean = survey_means(fold);
	double	   *squares = mean + fold->ncolumns;
	const double *other_mean = other + SURVEY_CLASSES + fold->nclasses;
	double		before = words[SURVEY_WEIGHT];
	double		total = before + other[SURVEY_WEIGHT];
	double		share = other[SURVEY_WEIGHT] / total;

	if (!(other[SURVEY_WEIGHT] > 0))
		return;
	words[SURVEY_WEIGHT] = total;
	words[SURVEY_MEAN_Y] += (other[SURVEY_MEAN_Y] - words[SURVEY_MEAN_Y]) * share;
	for (int c = 0; c < fold->nclasses; c++)
		words[SURVEY_CLASSES + c] += other[SURVEY_CLASSES + c];
	for (int j = 0; j < fold->ncolumns; j++)
		add_moments(&mean[j], &squares[j], before, share,
					other_mean[j], other_mean[fold->ncolumns + j]);
}

static void
merge_words(MlFold *fold, void *other)
{
	if (fold->stage == ML_STAGE_SURVEY)
		survey_merge(fold, other);
	else
		fold->passes->merge(fold->learner, fold->words, other);
}

/* columns without gaps, as learners take them */
static void
close_gaps(MlFold *fold)
{
	int			n = fold->nbuffered;

	for (int j = 1; n < fold->capacity && j < fold->ncolumns; j++)
		memmove(fold->x + (Size) j * n, fold->x + (Size) j * fold->capacity, n * sizeof(double));
}

void
ml_fold_flush(MlFold *fold)
{
	MemoryContext old;
	int			n = fold->nbuffered;

	if (n == 0)
		return;
	ml_fold_prepare(fold);
	old = MemoryContextSwitchTo(fold->hdr.eoh_context);
	if (fold->stage == ML_STAGE_SURVEY)
		for (int i = 0; i < n; i++)
			survey_row(fold, i);
	else if (fold->algorithm->consume_block)
	{
		memset(fold->spare, 0, fold->nwords * 8);
		fold->algorithm->consume_block(fold->learner, fold->spare, ml_fold_block(fold), fold->y,
									   fold->weighted ? fold->weight : NULL, 0);
		merge_words(fold, fold->spare);
	}
	else
	{
		close_gaps(fold);
		memset(fold->spare, 0, fold->nwords * 8);
		fold->passes->consume(fold->learner, fold->spare, n, fold->x, fold->y,
								 fold->weighted ? fold->weight : NULL, 0);
		merge_words(fold, fold->spare);
	}
	fold->nbuffered = 0;
	fold->weighted = false;
	MemoryContextSwitchTo(old);
}

static void
grow(MlFold *fold)
{
	int			capacity = fold->capacity == 0 ? FIRST_CAPACITY : Min(4 * fold->capacity, LAST_CAPACITY);

	if (fold->capacity > 0)
	{
		pfree(fold->x);
		pfree(fold->y);
		pfree(fold->weight);
		ml_budget_give(&fold->budget, (Size) fold->capacity * (Max(fold->ncolumns, 1) + 2) * sizeof(double));
	}
	fold->capacity = 0;
	fold->x = ml_fold_alloc(fold, (Size) capacity * Max(fold->ncolumns, 1), sizeof(double), "a block of rows");
	fold->y = ml_fold_alloc(fold, capacity, sizeof(double), "a block of rows");
	fold->weight = ml_fold_alloc(fold, capacity, sizeof(double), "a block of rows");
	fold->capacity = capacity;
}

void
ml_fold_add(MlFold *fold, const double *x, double y, double weight)
{
	int			i;

	if (fold->nbuffered == fold->capacity)
	{
		ml_fold_flush(fold);
		if (fold->capacity < LAST_CAPACITY)
			grow(fold);
	}
	i = fold->nbuffered;
	for (int j = 0; j < fold->ncolumns; j++)
		fold->x[(Size) j * fold->capacity + i] = x[j];
	fold->y[i] = y;
	fold->weight[i] = weight;
	fold->weighted = fold->weighted || weight != 1;
	fold->nbuffered++;
	fold->nrows++;
}

/* what a survey has found, as a fit that starts reads it */
void
ml_fold_survey(MlFold *fold)
{
	const double *words = fold->words;
	const double *mean = survey_means(fold);
	MlSurvey   *survey = &fold->survey;

	survey->weight = words[SURVEY_WEIGHT];
	survey->mean_y = words[SURVEY_MEAN_Y];
	for (int c = 0; c < fold->nclasses; c++)
		survey->class_weight[c] = words[SURVEY_CLASSES + c];
	for (int j = 0; j < fold->ncolumns; j++)
	{
		survey->mean[j] = mean[j];
		survey->deviation[j] = sqrt(Max(mean[fold->ncolumns + j], 0) / survey->weight);
	}
}

/* ---- merging ---- */

static bool
same_pass(const MlFold *a, const MlFold *b)
{
	return a->algorithm == b->algorithm && a->stage == b->stage && a->task == b->task &&
		a->nclasses == b->nclasses && a->seed == b->seed && a->total == b->total &&
		a->npass == b->npass && memcmp(a->pass, b->pass, 8 * (Size) a->npass) == 0 &&
		strcmp(a->params_text, b->params_text) == 0;
}

static void
require_same(const MlFold *a, const MlFold *b)
{
	if (!same_pass(a, b))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("states of different passes cannot be merged"),
				 errdetail("One is of \"%s\" with the parameters %s, the other of \"%s\" with %s; what the pass began with must be the same too.",
						   a->algorithm->name, a->params_text, b->algorithm->name, b->params_text),
				 errhint("Give all parts of a pass the same \"pass\".")));
	if (a->ncolumns >= 0 && b->ncolumns >= 0 && (a->ncolumns != b->ncolumns ||
		 memcmp(a->scaled, b->scaled, a->ncolumns) != 0))
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("states of different columns cannot be merged"),
				 errdetail("One has %d columns, the other %d.", a->ncolumns, b->ncolumns),
				 errhint("Make both from the same columns in the same order.")));
}

void
ml_fold_merge(MlFold *into, MlFold *other)
{
	require_same(into, other);
	ml_fold_flush(other);
	if (other->nrows == 0)
		return;
	if (into->ncolumns < 0)
	{
		ml_fold_columns(into, other->ncolumns);
		memcpy(into->scaled, other->scaled, other->ncolumns);
	}
	ml_fold_flush(into);
	ml_fold_prepare(into);
	merge_words(into, other->words);
	into->nrows += other->nrows;
}
