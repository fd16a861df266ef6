/*
 * tables.h
 *		What a table of weights by predicted and true class says.
 *
 * Sources: Fawcett 2006, "An introduction to ROC analysis", Pattern Recognition
 * Letters 27 (precision, recall, specificity); van Rijsbergen 1979,
 * Information Retrieval (F); Matthews 1975 and, of several classes, Gorodkin
 * 2004, "Comparing two K-category assignments by a K-category correlation
 * coefficient" (mcc); Brodersen et al. 2010, "The balanced accuracy and its
 * posterior distribution"; Sokolova & Lapalme 2009, "A systematic analysis of
 * performance measures for classification tasks" (macro, micro).
 */
#ifndef ML_TABLES_H
#define ML_TABLES_H

#include "postgres.h"

/* cell[said * n + is]: weight of the rows of class is for which said was predicted */
typedef struct MlTable
{
	int			n;				/* classes */
	const double *cell;
} MlTable;

/* NaN where a denominator is 0 */
extern double ml_table_accuracy(const MlTable *table);
extern double ml_table_balanced_accuracy(const MlTable *table);
extern double ml_table_mcc(const MlTable *table);

/* of one class; specificity is the recall of all other classes together */
extern double ml_table_precision(const MlTable *table, int positive);
extern double ml_table_recall(const MlTable *table, int positive);
extern double ml_table_f1(const MlTable *table, int positive);
extern double ml_table_specificity(const MlTable *table, int positive);

/*
 * Means over the classes that were predicted or are true of any row; a class
 * that was never predicted has precision 0, one that is true of no row recall 0.
 */
extern double ml_table_macro_precision(const MlTable *table);
extern double ml_table_macro_recall(const MlTable *table);
extern double ml_table_macro_f1(const MlTable *table);

#endif							/* ML_TABLES_H */
