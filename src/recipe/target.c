/*
 * target.c
 *		What a model predicts: a number, or one of a list of classes.
 *
 * Classes are those of every row that the frame keeps, held-out rows included,
 * so that hold-out labels always have a place; shares are of the training rows.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "recipe/recipe_private.h"

#define LARGEST_INTEGER_CLASS	1e15	/* exact as a double, and in decimals */
#define CLASSES_SHOWN			10	/* in messages */
#define LABEL_SHOWN				60	/* bytes of each */

/* the distinct values of a target, in order */
typedef struct Classes
{
	int			n;
	bool		more;			/* than ML_MAX_CLASSES: the list is then not complete */
	bool		fractions;		/* numbers that are no integers: no classes */
	double		number[ML_MAX_CLASSES]; /* of numbers */
	char	   *label[ML_MAX_CLASSES];	/* of categories: the dictionary's */
} Classes;

static const char *
task_name(int task)
{
	return task == ML_TASK_REGRESSION ? "regression" :
		task == ML_TASK_BINARY ? "two classes" : "classes";
}

static void
collect_numbers(const MlColumn *column, int64 nrows, Classes *classes)
{
	classes->number[0] = classes->number[1] = NAN;
	for (int64 i = 0; i < nrows; i++)
	{
		double		x = column->number[i];
		int			low = 0;
		int			high = classes->n;

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		/* mostly there are two, and which one it is could not be predicted */
		if (isnan(x) || (x == classes->number[0]) | (x == classes->number[1]))
			continue;
		while (low < high)
		{
			int			middle = (low + high) / 2;

			if (classes->number[middle] < x)
				low = middle + 1;
			else
				high = middle;
		}
		if (low < classes->n && classes->number[low] == x)
			continue;
		if (x != floor(x) || fabs(x) > LARGEST_INTEGER_CLASS)
			classes->fractions = true;
		if (classes->n == ML_MAX_CLASSES)
		{
			classes->more = true;
			return;
		}
		memmove(&classes->number[low + 1], &classes->number[low],
				sizeof(double) * (classes->n - low));
		classes->number[low] = x;
		classes->n++;
	}
}

static int
compare_labels(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static void
collect_labels(const MlColumn *column, int64 nrows, Classes *classes)
{
	const MlDictionary *dictionary = column->dictionary;
	int64	   *count = MemoryContextAllocExtended(CurrentMemoryContext,
												   Max(dictionary->nvalues, 1) * sizeof(int64),
												   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	ml_levels_count(column, nrows, NULL, count, NULL, NULL);
	for (int i = 0; i < dictionary->nvalues && !classes->more; i++)
	{
		if (count[i] == 0)
			continue;
		if (classes->n == ML_MAX_CLASSES)
			classes->more = true;
		else
			classes->label[classes->n++] = dictionary->value[i];
	}
	pfree(count);
	qsort(classes->label, classes->n, sizeof(char *), compare_labels);
}

static void
collect_classes(const MlFrame *frame, const MlColumn *column, Classes *classes)
{
	memset(classes, 0, sizeof(*classes));
	if (column->type.kind == ML_KIND_CATEGORY)
		collect_labels(column, frame->nrows, classes);
	else
		collect_numbers(column, frame->nrows, classes);
}

static char *
class_label(const MlColumn *column, const Classes *classes, int i)
{
	double		x;

	if (column->type.kind == ML_KIND_CATEGORY)
		return pstrdup(classes->label[i]);
	x = classes->number[i] == 0.0 ? 0.0 : classes->number[i];	/* no "-0" */
	if (column->type.reading == ML_READ_BOOL)
		return pstrdup(x != 0.0 ? "true" : "false");
	return psprintf("%.0f", x);
}

static char *
list_labels(char *const *label, int n)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < Min(n, CLASSES_SHOWN); i++)
	{
		int			length = strlen(label[i]);
		int			shown = pg_mbcliplen(label[i], length, LABEL_SHOWN);

		appendStringInfo(&list, "%s\"%.*s%s\"", i > 0 ? ", " : "", shown, label[i],
						 shown < length ? "..." : "");
	}
	if (n > CLASSES_SHOWN)
		appendStringInfo(&list, " and %d more", n - CLASSES_SHOWN);
	return list.data;
}

static char *
list_classes(const MlColumn *column, const Classes *classes)
{
	char	   *label[ML_MAX_CLASSES];

	for (int i = 0; i < classes->n; i++)
		label[i] = class_label(column, classes, i);
	return list_labels(label, classes->n);
}

/* ---- which task ---- */

static void
refuse_type(const MlColumn *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("target \"%s\" is of type %s, which cannot be predicted",
					column->name, ml_value_type_name(&column->type)),
			 errdetail("A target is a number, a boolean, or a text or enum with at most %d values.",
					   ML_MAX_CLASSES),
			 errhint("Compute such a column in the source.")));
}

static void
refuse_many(const MlColumn *column)
{
	bool		number = column->type.kind == ML_KIND_NUMBER;

	ereport(ERROR,
			(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
			 errmsg("target \"%s\" has too many classes", column->name),
			 errdetail("It has more than %d distinct values.", ML_MAX_CLASSES),
			 number ? errhint("Use an algorithm for regression, such as algorithm => 'linear_regression'.")
			 : errhint("Group its values in the source.")));
}

static void
refuse_fractions(const MlColumn *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("target \"%s\" has values that are not integers, so they are no classes",
					column->name),
			 errdetail("The algorithm predicts classes: text, boolean, or integers."),
			 errhint("Use an algorithm for regression, such as algorithm => 'linear_regression', or compute classes in the source.")));
}

static void
refuse_classes(const MlColumn *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("target \"%s\" is of type %s, but the algorithm predicts numbers",
					column->name, ml_value_type_name(&column->type)),
			 errdetail("Values of this type are classes."),
			 errhint("Use an algorithm for classes, such as algorithm => 'logistic_regression' for two.")));
}

static void
refuse_task(const MlColumn *column, const Classes *classes, int allowed_tasks)
{
	if (allowed_tasks & ML_TASK_BINARY)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("target \"%s\" has %d classes, but the algorithm handles two",
						column->name, classes->n),
				 errdetail("The classes are %s.", list_classes(column, classes)),
				 column->type.kind == ML_KIND_NUMBER ?
				 errhint("Compute a target of two classes in the source, by a comparison; or use algorithm => 'linear_regression'.") :
				 errhint("Compute a target of two classes in the source, by a comparison.")));
	refuse_classes(column);
}

int
ml_target_tasks(const MlColumn *target, int allowed_tasks)
{
	int			classes = allowed_tasks & (ML_TASK_BINARY | ML_TASK_MULTICLASS);
	bool		number = target->type.kind == ML_KIND_NUMBER;

	if (!number && target->type.kind != ML_KIND_CATEGORY)
		refuse_type(target);
	if (number && (allowed_tasks & ML_TASK_REGRESSION) &&
		(target->type.reading != ML_READ_BOOL || classes == 0))
		return ML_TASK_REGRESSION;
	if (classes == 0)
		refuse_classes(target);
	return classes;
}

MlTask
ml_target_task(const MlFrame *frame, int target, int allowed_tasks)
{
	const MlColumn *column;
	Classes		classes;
	MlTask		task;

	if (target < 0)
		return allowed_tasks & ML_TASKS_UNSUPERVISED & -(allowed_tasks & ML_TASKS_UNSUPERVISED);
	column = &frame->cols[target];
	if (!column->loaded ||
		(column->type.kind != ML_KIND_NUMBER && column->type.kind != ML_KIND_CATEGORY))
		refuse_type(column);
	if (column->type.kind == ML_KIND_NUMBER && column->type.reading != ML_READ_BOOL &&
		(allowed_tasks == 0 || (allowed_tasks & ML_TASK_REGRESSION)))
		return ML_TASK_REGRESSION;

	collect_classes(frame, column, &classes);
	task = classes.n <= 2 ? ML_TASK_BINARY : ML_TASK_MULTICLASS;
	if (allowed_tasks == 0 || (allowed_tasks & task))
		 /* the natural one */ ;
	else if (task == ML_TASK_BINARY && (allowed_tasks & ML_TASK_MULTICLASS))
		task = ML_TASK_MULTICLASS;
	else if (column->type.reading == ML_READ_BOOL && (allowed_tasks & ML_TASK_REGRESSION))
		return ML_TASK_REGRESSION;
	else if (!classes.more && !classes.fractions)
		refuse_task(column, &classes, allowed_tasks);
	if (classes.fractions)
		refuse_fractions(column);
	if (classes.more)
		refuse_many(column);
	return task;
}

/* ---- learning it ---- */

static void
refuse_constant(const MlFrame *frame, const MlColumn *column, const char *value)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
			 errmsg("target \"%s\" is constant", column->name),
			 errdetail("All " INT64_FORMAT " training rows have the value %s.", frame->ntrain, value),
			 errhint("Choose a source in which the target varies.")));
}

static void
check_varies(const MlFrame *frame, const MlColumn *column)
{
	double		first = column->number[0];

	for (int64 i = 1; i < frame->ntrain; i++)
	{
		if (column->number[i] != first)
			return;
	}
	refuse_constant(frame, column, psprintf("%.15g", first));
}

static void
choose_positive(const MlTargetRequest *request, MlTarget *target)
{
	target->positive = 0;
	if (target->task != ML_TASK_BINARY)
	{
		if (request->positive != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("positive class \"%s\" does not suit target \"%s\"",
							request->positive, target->name),
					 errdetail("A target of two classes has a positive one; this is %s.",
							   target->task == ML_TASK_REGRESSION ? "a number" : "of several classes"),
					 errhint("Leave out the positive class.")));
		return;
	}
	target->positive = target->nclasses - 1;
	if (request->positive == NULL)
		return;
	for (int i = 0; i < target->nclasses; i++)
	{
		if (strcmp(target->class_label[i], request->positive) == 0)
		{
			target->positive = i;
			return;
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("target \"%s\" has no class \"%s\" to be the positive one",
					target->name, request->positive),
			 errdetail("The classes are %s.", list_labels(target->class_label, target->nclasses)),
			 errhint("Name one of these as the positive class of the model%s%s%s.",
					 request->model ? " \"" : "", request->model ? request->model : "",
					 request->model ? "\"" : "")));
}

/*
 * Which class each row of a column holds: looked up in map for categories, by
 * value for numbers. -1: none.
 */
typedef struct ClassFinder
{
	const MlTarget *target;
	const MlColumn *column;
	int32	   *map;			/* of dictionary codes; NULL for numbers */
	double	   *number;			/* of the class labels; NULL for categories */
} ClassFinder;

static void
class_finder_begin(ClassFinder *finder, const MlTarget *target, const MlColumn *column)
{
	finder->target = target;
	finder->column = column;
	finder->map = NULL;
	finder->number = NULL;

	if (column->type.kind == ML_KIND_CATEGORY)
	{
		const MlDictionary *dictionary = column->dictionary;

		int32	   *length = palloc(sizeof(int32) * Max(target->nclasses, 1));
		struct MlLevelIndex *index;

		for (int i = 0; i < target->nclasses; i++)
			length[i] = strlen(target->class_label[i]);
		index = ml_name_index_make(target->nclasses, target->class_label, length,
								   CurrentMemoryContext);
		finder->map = MemoryContextAllocHuge(CurrentMemoryContext,
											 ml_size_mul(Max(dictionary->nvalues, 1), sizeof(int32)));
		for (int i = 0; i < dictionary->nvalues; i++)
			finder->map[i] = ml_name_index_find(index, dictionary->value[i], dictionary->length[i]);
		pfree(index);
		pfree(length);
		return;
	}
	finder->number = palloc(sizeof(double) * target->nclasses);
	for (int i = 0; i < target->nclasses; i++)
	{
		const char *label = target->class_label[i];
		char	   *end;

		if (column->type.reading == ML_READ_BOOL)
		{
			finder->number[i] = strcmp(label, "true") == 0 ? 1.0 :
				strcmp(label, "false") == 0 ? 0.0 : NAN;
			continue;
		}
		finder->number[i] = strtod(label, &end);
		if (end == label || *end != '\0')
			finder->number[i] = NAN;
	}
}

static int
class_finder_get(const ClassFinder *finder, int64 row)
{
	double		x;

	if (finder->map != NULL)
	{
		int32		code = finder->column->code[row];

		return code == ML_CODE_NULL ? -1 : finder->map[code];
	}
	x = finder->column->number[row];
	if (finder->target->nclasses == 2)
		return 2 * (x == finder->number[1]) + (x == finder->number[0]) - 1;
	for (int i = 0; i < finder->target->nclasses; i++)
	{
		if (finder->number[i] == x)
			return i;
	}
	return -1;
}

static void
class_finder_end(ClassFinder *finder)
{
	if (finder->map != NULL)
		pfree(finder->map);
	if (finder->number != NULL)
		pfree(finder->number);
}

static void
learn_classes(const MlFrame *frame, const MlColumn *column, const double *weight, MlTarget *target)
{
	Classes		classes;
	ClassFinder finder;
	double		total = 0.0;
	int			seen = 0;
	int			last = 0;

	collect_classes(frame, column, &classes);
	target->nclasses = classes.n;
	target->class_label = palloc(sizeof(char *) * Max(classes.n, 1));
	target->class_share = palloc0(sizeof(double) * Max(classes.n, 1));
	for (int i = 0; i < classes.n; i++)
		target->class_label[i] = class_label(column, &classes, i);

	class_finder_begin(&finder, target, column);
	for (int64 i = 0; i < frame->ntrain; i++)
	{
		int			c = class_finder_get(&finder, i);
		double		w = weight == NULL ? 1.0 : weight[i];

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (c < 0)
			continue;
		target->class_share[c] += w;
		total += w;
	}
	class_finder_end(&finder);
	for (int i = 0; i < classes.n; i++)
	{
		if (target->class_share[i] > 0.0)
		{
			seen++;
			last = i;
		}
		target->class_share[i] /= total;
	}
	if (seen < 2)
		refuse_constant(frame, column, psprintf("\"%s\"", target->class_label[last]));
}

void
ml_target_learn(const MlFrame *frame, const MlTargetRequest *request, const double *weight,
				MlTarget *target)
{
	int			i = ml_frame_find_role(frame, ML_ROLE_TARGET);
	const MlColumn *column;

	memset(target, 0, sizeof(*target));
	target->positive = 0;
	target->task = ml_target_task(frame, i, request->task);
	if (i < 0)
		return;
	column = &frame->cols[i];
	target->name = pstrdup(column->name);
	target->type_name = ml_value_type_name(&column->type);
	if (target->task == ML_TASK_REGRESSION)
		check_varies(frame, column);
	else
		learn_classes(frame, column, weight, target);
	choose_positive(request, target);
}

/* ---- labels ---- */

void
ml_recipe_labels(const MlRecipe *recipe, const MlFrame *frame, int64 first, int64 n, double *y)
{
	const MlTarget *target = &recipe->target;
	int			t = target->name == NULL ? -1 : ml_frame_find(frame, target->name);
	const MlColumn *column;
	ClassFinder finder;
	double	   *label;			/* of no class, then of each */

	if (target->task & ML_TASKS_UNSUPERVISED)
	{
		memset(y, 0, sizeof(double) * n);
		return;
	}
	if (t < 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("target \"%s\" is missing from the source",
						target->name == NULL ? "(none)" : target->name),
				 errdetail("The model is measured against it."),
				 errhint("Add the column to the source.")));
	column = &frame->cols[t];
	if (!column->loaded ||
		(column->type.kind != ML_KIND_NUMBER &&
		 (target->task == ML_TASK_REGRESSION || column->type.kind != ML_KIND_CATEGORY)))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("target \"%s\" is of type %s, but the model was trained for %s on %s",
						target->name, ml_value_type_name(&column->type),
						task_name(target->task), target->type_name),
				 errhint("Cast the column in the source.")));

	if (target->task == ML_TASK_REGRESSION)
	{
		memcpy(y, column->number + first, sizeof(double) * n);
		return;
	}
	label = palloc(sizeof(double) * (target->nclasses + 1));
	label[0] = NAN;
	for (int c = 0; c < target->nclasses; c++)
		label[c + 1] = target->task != ML_TASK_BINARY ? c : c == target->positive ? 1.0 : 0.0;
	class_finder_begin(&finder, target, column);
	for (int64 i = 0; i < n; i++)
	{
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		y[i] = label[class_finder_get(&finder, first + i) + 1];
	}
	class_finder_end(&finder);
	pfree(label);
}
