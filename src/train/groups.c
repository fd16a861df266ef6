/*
 * groups.c
 *		One predictor a group: rows of one value of a column (group_by).
 *
 * The recipe is learned from all training rows, and the pooled predictor too:
 * it serves NULL, values that training did not have, and groups that are too
 * small or cannot be fitted alone. Each other group is fitted on its own rows,
 * in canonical order, by the same algorithm with the same parameters, seed and
 * recipe. For that the training rows are brought together by group, and back
 * into their order at the end.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "interrupts.h"
#include "sort.h"
#include "train/groups.h"
#include "train/learn_link.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define NAMES_TOLD	5			/* of groups that could not be fitted */

/* ---- reading ---- */

void
ml_groups_request(const MlTraining *training, MlFrameRequest *request)
{
	const char *group = training->spec.group_by;
	char	  **features;

	if (group == NULL || request->features == NULL)
		return;
	for (int i = 0; i < request->nfeatures; i++)
		if (strcmp(request->features[i], group) == 0)
			return;
	features = palloc(sizeof(char *) * (request->nfeatures + 1));
	memcpy(features, request->features, sizeof(char *) * request->nfeatures);
	features[request->nfeatures++] = pstrdup(group);
	request->features = features;
}

static void
check_column(const MlTraining *training, const MlFrame *frame)
{
	const char *group = training->spec.group_by;
	int			i = ml_frame_find(frame, group);
	const char *offset = ml_training_offset(training).column;

	if (i < 0 || frame->cols[i].role != ML_ROLE_FEATURE)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" to group by is not among the features", group),
				 i < 0 ? errdetail("The source has no such column.") :
				 errdetail("The column is the target, the key, the weight, the time, or excluded."),
				 errhint("Name a column of the source; it need not be listed in \"features\".")));
	if (frame->cols[i].type.kind != ML_KIND_NUMBER && frame->cols[i].type.kind != ML_KIND_CATEGORY)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("cannot group by column \"%s\"", group),
				 errdetail("It is of type %s; rows are grouped by a number, a boolean, text or an enum.",
						   ml_value_type_name(&frame->cols[i].type)),
				 errhint("Convert it in the source, for example to text.")));
	if (offset != NULL && strcmp(offset, group) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" cannot be both the group and the offset", group),
				 errdetail("A column has one role."),
				 errhint("Name another column, or leave one of them out.")));
}

void
ml_groups_check(const MlTraining *training, const MlFrame *frame)
{
	if (training->spec.group_by == NULL)
		return;
	check_column(training, frame);
	if ((training->algorithm->tasks & ~ML_TASKS_UNSUPERVISED) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("algorithm \"%s\" cannot be trained by group", training->algorithm->name),
				 errdetail("It learns without a target; groups share what a target means, and clusters or components of different groups would not compare."),
				 errhint("Leave \"group_by\" out, or train a model for each group.")));
	if (training->common_params.calibration != ML_CALIBRATION_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("\"calibration\" cannot be combined with \"group_by\""),
				 errdetail("One map for all groups would not fit any of them."),
				 errhint("Leave one of them out.")));
}

/* ---- the group masked ---- */

struct MlGroupMask
{
	const MlRecipe *recipe;
	MlRecipe   *within;
	MlBlock		block;
	double	   *missing;		/* ML_BLOCK_ROWS of NaN */
};

MlGroupMask *
ml_group_mask_make(const MlRecipe *recipe)
{
	MlGroupMask *mask;

	if (recipe->group == NULL)
		return NULL;
	mask = palloc0(sizeof(MlGroupMask));
	mask->recipe = recipe;
	mask->within = ml_recipe_within_group(recipe);
	mask->block.number = palloc(sizeof(double *) * Max(recipe->nnumbers, 1));
	mask->block.complete = palloc(sizeof(bool) * Max(recipe->nnumbers, 1));
	mask->missing = palloc(sizeof(double) * ML_BLOCK_ROWS);
	for (int i = 0; i < ML_BLOCK_ROWS; i++)
		mask->missing[i] = NAN;
	return mask;
}

const MlRecipe *
ml_group_mask_recipe(const MlGroupMask *mask)
{
	return mask->within;
}

const MlBlock *
ml_group_mask(MlGroupMask *mask, const MlBlock *block)
{
	const MlRecipe *recipe = mask->recipe;
	const MlFeature *group = recipe->group;

	Assert(block->n <= ML_BLOCK_ROWS);
	mask->block.n = block->n;
	mask->block.code = block->code;
	memcpy(mask->block.number, block->number, sizeof(double *) * recipe->nnumbers);
	memcpy(mask->block.complete, block->complete, sizeof(bool) * recipe->nnumbers);
	if (group->kind == ML_KIND_NUMBER)
	{
		mask->block.number[group->first_number] = mask->missing;
		mask->block.complete[group->first_number] = false;
	}
	else
		for (int i = 0; i < block->n; i++)
			mask->block.code[(Size) group->category * block->n + i] = ML_GROUP_MASKED_CODE;
	return &mask->block;
}

/* ---- the rows by group ---- */

/* rows [first, first + n) of one value */
typedef struct Run
{
	double		key;
	int64		first;
	int64		n;
} Run;

typedef struct Groups
{
	MlTraining *training;
	const MlFit *fit;
	MlGroupMask *mask;
	MemoryContext cxt;			/* of what the predictor consists of */
	Size		counted;		/* bytes of it that the budget knows of */

	int64		nvalues;		/* groups among the training rows */
	int			nruns;			/* of them, large enough */
	Run		   *run;			/* ascending by key */
	int64		nrows;			/* in them */
	int64	   *from;			/* the frame's rows, those of the runs first */

	/* of the rows by group */
	double	   *y;
	double	   *weight;
	double	   *offset;
	MlEncoder  *encoder;

	const Run  *now;			/* being fitted */
	int			nrefused;
	StringInfoData refused;		/* names of the first few */
	char	   *reason;			/* of the first */
} Groups;

static void *
take(Groups *groups, Size count, Size size)
{
	Size		bytes = ml_size_mul(Max(count, 1), size);

	ml_budget_take(&groups->training->budget, bytes, "the rows by group");
	return palloc_extended(bytes, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* training rows whose group has a value of its own, by number or code of level */
static int64
list_numbers(const MlFrame *frame, const double *number, MlKeyed *item)
{
	int64		n = 0;

	for (int64 i = 0; i < frame->ntrain; i++)
	{
		ml_check_row(i);
		if (isnan(number[i]))
			continue;
		item[n].key = ml_double_key(number[i]);
		item[n++].row = i;
	}
	return n;
}

static int64
list_levels(Groups *groups, MlKeyed *item)
{
	const MlRecipe *recipe = groups->training->recipe;
	int64		ntrain = groups->training->frame->ntrain;
	int64		n = 0;

	for (int64 first = 0; first < ntrain; first += ML_BLOCK_ROWS)
	{
		const MlBlock *block = ml_encoder_block(groups->encoder, first, (int) Min(ML_BLOCK_ROWS, ntrain - first));
		const int32 *code = block->code + (Size) recipe->group->category * block->n;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < block->n; i++)
		{
			if (code[i] >= recipe->group->nlevels)
				continue;
			item[n].key = ml_double_key(code[i]);
			item[n++].row = first + i;
		}
	}
	return n;
}

/* values of a category among the training rows, those without a level too */
static int64
count_values(Groups *groups, const MlColumn *column)
{
	bool	   *seen = take(groups, column->dictionary->nvalues, sizeof(bool));
	int64		n = 0;

	for (int64 i = 0; i < groups->training->frame->ntrain; i++)
	{
		int32		code = column->code[i];

		ml_check_row(i);
		if (code == ML_CODE_NULL || seen[code])
			continue;
		seen[code] = true;
		n++;
	}
	return n;
}

/* runs of equal keys that are long enough; n items in order */
static void
find_runs(Groups *groups, const MlKeyed *item, int64 n, bool count)
{
	int64		least = groups->training->spec.options.min_group_rows;
	int64		first = 0;
	int64		at = 0;

	groups->run = take(groups, Min(n / least + 1, ML_MAX_GROUPS), sizeof(Run));
	for (int64 i = 1; i <= n; i++)
	{
		ml_check_row(i);
		if (i < n && item[i].key == item[first].key)
			continue;
		if (count)
			groups->nvalues++;
		if (i - first >= least && groups->nruns < ML_MAX_GROUPS)
		{
			groups->run[groups->nruns++] = (Run) {ml_key_double(item[first].key), at, i - first};
			for (int64 k = first; k < i; k++)
				groups->from[at++] = item[k].row;
		}
		first = i;
	}
	groups->nrows = at;
}

/* the frame's rows that are in no run, in their order after those that are */
static void
append_others(Groups *groups)
{
	int64		nrows = groups->training->frame->nrows;
	bool	   *taken = take(groups, nrows, sizeof(bool));
	int64		at = groups->nrows;

	for (int64 i = 0; i < groups->nrows; i++)
		taken[groups->from[i]] = true;
	for (int64 i = 0; i < nrows; i++)
	{
		ml_check_row(i);
		if (!taken[i])
			groups->from[at++] = i;
	}
	Assert(at == nrows);
}

static void
order_rows(Groups *groups)
{
	MlTraining *training = groups->training;
	const MlFrame *frame = training->frame;
	const MlColumn *column = &frame->cols[ml_frame_find(frame, training->spec.group_by)];
	bool		number = training->recipe->group->kind == ML_KIND_NUMBER;
	MlKeyed    *item = take(groups, frame->ntrain, sizeof(MlKeyed));
	MlKeyed    *spare = take(groups, frame->ntrain, sizeof(MlKeyed));
	int64		n;

	groups->from = take(groups, frame->nrows, sizeof(int64));
	groups->encoder = ml_encoder_make(training->recipe, frame, ML_BLOCK_ROWS);
	n = number ? list_numbers(frame, column->number, item) : list_levels(groups, item);
	ml_encoder_free(groups->encoder);
	ml_sort(item, spare, n, 64);
	find_runs(groups, item, n, number);
	if (!number)
		groups->nvalues = count_values(groups, column);
	append_others(groups);
	pfree(item);
	pfree(spare);
}

static double *
by_group(Groups *groups, const double *of_row)
{
	double	   *result;

	if (of_row == NULL)
		return NULL;
	result = take(groups, groups->nrows, sizeof(double));
	for (int64 i = 0; i < groups->nrows; i++)
	{
		ml_check_row(i);
		result[i] = of_row[groups->from[i]];
	}
	return result;
}

static void
restore_order(Groups *groups)
{
	MlFrame    *frame = groups->training->frame;
	int64	   *back = take(groups, frame->nrows, sizeof(int64));

	for (int64 i = 0; i < frame->nrows; i++)
		back[groups->from[i]] = i;
	ml_frame_reorder(frame, back);
}

/* ---- fitting ---- */

static void
read_design(void *arg, int64 first, int n, double *x)
{
	const Groups *groups = arg;

	ml_recipe_design_block(groups->training->recipe,
						   ml_encoder_block(groups->encoder, groups->now->first + first, n), x);
}

static const MlBlock *
read_block(void *arg, int64 first, int n)
{
	const Groups *groups = arg;

	return ml_group_mask(groups->mask, ml_encoder_block(groups->encoder, groups->now->first + first, n));
}

static void
group_progress(void *arg, int64 done, int64 total, double objective)
{
	const Groups *groups = arg;

	ml_training_report(groups->training, "fitting", groups->now->first, groups->nrows, NAN);
}

static char *
name_of(const Groups *groups, const Run *run)
{
	const MlFeature *group = groups->training->recipe->group;

	return group->kind == ML_KIND_CATEGORY ? pstrdup(group->level[(int) run->key]) : psprintf("%.15g", run->key);
}

static void
group_context(void *arg)
{
	const Groups *groups = arg;

	errcontext("fit of group \"%s\"", name_of(groups, groups->now));
}

static MlPredictor *
fit_run(Groups *groups, const Run *run)
{
	MlDesignMatrix matrix = *groups->fit->rows;
	MlFit		fit = *groups->fit;

	groups->now = run;
	matrix.nrows = run->n;
	matrix.y = groups->y + run->first;
	matrix.weight = groups->weight ? groups->weight + run->first : NULL;
	matrix.offset = groups->offset ? groups->offset + run->first : NULL;
	matrix.read = read_design;
	matrix.read_block = read_block;
	matrix.arg = groups;
	fit.rows = &matrix;
	fit.progress = group_progress;
	fit.progress_arg = groups;
	return ml_learn()->fit(groups->training->algorithm, &fit)->predictor;
}

/* data that cannot train and fits that do not converge; other errors go on */
static void
note_refusal(Groups *groups, const Run *run)
{
	MemoryContext old = MemoryContextSwitchTo(groups->cxt);
	ErrorData  *error = CopyErrorData();

	if (error->sqlerrcode != ERRCODE_ML_UNTRAINABLE_DATA && error->sqlerrcode != ERRCODE_ML_NO_CONVERGENCE)
		PG_RE_THROW();
	FlushErrorState();
	if (groups->nrefused++ == 0)
	{
		groups->reason = pstrdup(error->message);
		initStringInfo(&groups->refused);
	}
	if (groups->nrefused <= NAMES_TOLD)
		appendStringInfo(&groups->refused, "%s\"%s\"", groups->nrefused > 1 ? ", " : "", name_of(groups, run));
	FreeErrorData(error);
	MemoryContextSwitchTo(old);
}

/* NULL: the group cannot be fitted alone */
static MlPredictor *
try_run(Groups *groups, const Run *run)
{
	MlTraining *training = groups->training;
	Size		before = training->budget.used;
	MlPredictor *volatile predictor = NULL;
	MemoryContext old = MemoryContextSwitchTo(groups->cxt);
	Size		size;

	PG_TRY();
	{
		predictor = fit_run(groups, run);
	}
	PG_CATCH();
	{
		note_refusal(groups, run);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	training->budget.used = before;
	size = MemoryContextMemAllocated(groups->cxt, true);
	ml_budget_take(&training->budget, size - groups->counted, "the predictors of groups");
	groups->counted = size;
	return predictor;
}

static MlGrouped *
fit_runs(Groups *groups)
{
	MlGrouped  *grouped = MemoryContextAllocZero(groups->cxt, sizeof(MlGrouped));
	ErrorContextCallback context;

	grouped->base.kind = ML_PREDICTOR_GROUPED;
	grouped->pooled = groups->training->fitted->predictor;
	grouped->group = MemoryContextAllocExtended(groups->cxt, sizeof(MlGroup) * Max(groups->nruns, 1), MCXT_ALLOC_HUGE);
	context.callback = group_context;
	context.arg = groups;
	context.previous = error_context_stack;
	for (int i = 0; i < groups->nruns; i++)
	{
		MlPredictor *predictor;

		groups->now = &groups->run[i];
		ml_training_report(groups->training, "fitting", groups->now->first, groups->nrows, NAN);
		error_context_stack = &context;
		predictor = try_run(groups, groups->now);
		error_context_stack = context.previous;
		if (predictor != NULL)
			grouped->group[grouped->ngroups++] = (MlGroup) {groups->now->key, predictor};
	}
	return grouped;
}

/* ---- what is told ---- */

static void
add_facts(MlFitted *fitted, const Groups *groups, int nfitted)
{
	MlFact	   *facts = MemoryContextAlloc(groups->cxt, sizeof(MlFact) * (fitted->nfacts + 3));

	if (fitted->nfacts > 0)
		memcpy(facts, fitted->facts, sizeof(MlFact) * fitted->nfacts);
	fitted->facts = facts;
	facts[fitted->nfacts++] = (MlFact) {"groups", groups->nvalues};
	facts[fitted->nfacts++] = (MlFact) {"groups_fitted", nfitted};
	facts[fitted->nfacts++] = (MlFact) {"groups_pooled", groups->nvalues - nfitted};
}

static void
warn_of_groups(const Groups *groups)
{
	if (groups->nruns == 0)
		ml_training_warn(groups->training,
						 psprintf("no group of \"%s\" has " INT64_FORMAT " training rows: all use the model of all rows",
								  groups->training->spec.group_by, groups->training->spec.options.min_group_rows));
	if (groups->nrefused > 0)
		ml_training_warn(groups->training,
						 psprintf("%d of %d groups could not be fitted alone and use the model of all rows: %s%s%s%s",
								  groups->nrefused, groups->nruns, groups->refused.data,
								  groups->nrefused > NAMES_TOLD ? "..." : "",
								  groups->nrefused > 1 ? "; the first because " : ", because ", groups->reason));
}

void
ml_fit_groups(MlTraining *training, const MlFit *fit, MlGroupMask *mask)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext work = AllocSetContextCreate(caller, "mlops rows by group", ALLOCSET_DEFAULT_SIZES);
	Groups		groups = {training, fit, mask};
	MlGrouped  *grouped;

	groups.cxt = AllocSetContextCreate(caller, "mlops groups", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(work);
	order_rows(&groups);
	groups.y = by_group(&groups, fit->rows->y);
	groups.weight = by_group(&groups, fit->rows->weight);
	groups.offset = by_group(&groups, fit->rows->offset);
	ml_frame_reorder(training->frame, groups.from);
	groups.encoder = ml_encoder_make(training->recipe, training->frame, ML_BLOCK_ROWS);
	grouped = fit_runs(&groups);
	ml_encoder_free(groups.encoder);
	restore_order(&groups);
	MemoryContextSwitchTo(caller);
	training->fitted->predictor = &grouped->base;
	add_facts(training->fitted, &groups, grouped->ngroups);
	warn_of_groups(&groups);
	MemoryContextDelete(work);
}
