/*
 * confusion.c
 *		Metrics of the classes that predictions come to: at the threshold of two,
 *		the most probable of several.
 *
 * All of them read one table of weights, which is counted once for metrics that
 * share. What each is made of, and where it comes from: tables.h.
 */
#include "postgres.h"

#include "budget.h"
#include "metric/measure.h"
#include "metric/tables.h"
#include "utils/memutils.h"

#define POSITIVE	1			/* the class of label 1 */

static double *
count_rows(const MlMeasurement *rows, int nclasses)
{
	double	   *cell = MemoryContextAllocExtended(CurrentMemoryContext,
												  ml_size_mul(ml_size_mul(nclasses, nclasses), sizeof(double)),
												  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	for (int64 i = 0; i < rows->n; i++)
	{
		ml_check_row(i);
		/* the class said is an index: a branch could not be predicted */
		if (ml_measure_counts(rows, i))
			cell[ml_measure_class(rows, i) * nclasses + (int) (rows->label[i] + 0.5)] += ml_measure_weight(rows, i);
	}
	return cell;
}

static double
of_table(const MlMeasurement *rows, double (*all) (const MlTable *table),
		 double (*one) (const MlTable *table, int positive))
{
	MlShared	own = {0};
	MlShared   *shared = rows->shared != NULL ? rows->shared : &own;
	MlTable		table = {rows->task == ML_TASK_BINARY ? 2 : rows->nclasses};
	double		result;

	if (shared->table == NULL)
		shared->table = count_rows(rows, table.n);
	table.cell = shared->table;
	result = one != NULL ? one(&table, POSITIVE) : all(&table);
	ml_metric_forget(&own);
	return result;
}

#define OF_TABLE(name) \
static double \
measure_##name(const MlMeasurement *rows) \
{ \
	return of_table(rows, ml_table_##name, NULL); \
}

#define OF_CLASS(name) \
static double \
measure_##name(const MlMeasurement *rows) \
{ \
	return of_table(rows, NULL, ml_table_##name); \
}

OF_TABLE(accuracy)
OF_TABLE(balanced_accuracy)
OF_TABLE(mcc)
OF_TABLE(macro_precision)
OF_TABLE(macro_recall)
OF_TABLE(macro_f1)
OF_CLASS(precision)
OF_CLASS(recall)
OF_CLASS(f1)
OF_CLASS(specificity)

#define SHARE(name_, tasks_, summary_, measure_) \
const MlMetric ml_metric_##name_ = { \
	.name = #name_, \
	.summary = summary_, \
	.tasks = tasks_, \
	.higher_is_better = true, \
	.minimum = 0.0, \
	.maximum = 1.0, \
	.measure = measure_, \
}

SHARE(accuracy, ML_TASK_BINARY | ML_TASK_MULTICLASS,
	  "share of rows whose predicted class is right, at the threshold for two classes, the most probable of several",
	  measure_accuracy);
SHARE(balanced_accuracy, ML_TASK_BINARY | ML_TASK_MULTICLASS,
	  "mean over the classes that occur of the share of their rows that are predicted right",
	  measure_balanced_accuracy);
SHARE(precision, ML_TASK_BINARY,
	  "share of the rows predicted positive that are, at the threshold", measure_precision);
SHARE(recall, ML_TASK_BINARY,
	  "share of the positive rows that are predicted positive, at the threshold", measure_recall);
SHARE(f1, ML_TASK_BINARY, "harmonic mean of precision and recall, at the threshold", measure_f1);
SHARE(specificity, ML_TASK_BINARY,
	  "share of the negative rows that are predicted negative, at the threshold", measure_specificity);
SHARE(macro_precision, ML_TASK_MULTICLASS,
	  "mean of the precisions of the classes that were predicted or occur, 0 for one that was never predicted",
	  measure_macro_precision);
SHARE(macro_recall, ML_TASK_MULTICLASS,
	  "mean of the recalls of the classes that were predicted or occur, 0 for one that does not occur",
	  measure_macro_recall);
SHARE(macro_f1, ML_TASK_MULTICLASS,
	  "mean of the f1 of the classes that were predicted or occur", measure_macro_f1);
SHARE(micro_precision, ML_TASK_MULTICLASS,
	  "precision of all classes together: with one class a row, the accuracy", measure_accuracy);
SHARE(micro_recall, ML_TASK_MULTICLASS,
	  "recall of all classes together: with one class a row, the accuracy", measure_accuracy);
SHARE(micro_f1, ML_TASK_MULTICLASS,
	  "f1 of all classes together: with one class a row, the accuracy", measure_accuracy);

const MlMetric ml_metric_mcc = {
	.name = "mcc",
	.summary = "Matthews' correlation of predicted and true class; 0 is a guess's",
	.tasks = ML_TASK_BINARY | ML_TASK_MULTICLASS,
	.higher_is_better = true,
	.minimum = -1.0,
	.maximum = 1.0,
	.measure = measure_mcc,
};
