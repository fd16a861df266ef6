/*
 * tables.c
 *		What a table of weights by predicted and true class says.
 */
#include "postgres.h"

#include <math.h>

#include "metric/tables.h"

static double
ratio(double part, double whole)
{
	return whole > 0.0 ? part / whole : NAN;
}

static double
hit(const MlTable *table, int c)
{
	return table->cell[c * table->n + c];
}

/* weight of the rows for which class c was predicted, and of those of class c */
static double
said(const MlTable *table, int c)
{
	double		sum = 0.0;

	for (int is = 0; is < table->n; is++)
		sum += table->cell[c * table->n + is];
	return sum;
}

static double
is(const MlTable *table, int c)
{
	double		sum = 0.0;

	for (int said = 0; said < table->n; said++)
		sum += table->cell[said * table->n + c];
	return sum;
}

double
ml_table_accuracy(const MlTable *table)
{
	double		hits = 0.0;
	double		all = 0.0;

	for (int c = 0; c < table->n; c++)
	{
		hits += hit(table, c);
		all += is(table, c);
	}
	return ratio(hits, all);
}

/* mean of the recalls of the classes that there are */
double
ml_table_balanced_accuracy(const MlTable *table)
{
	double		sum = 0.0;
	int			classes = 0;

	for (int c = 0; c < table->n; c++)
	{
		double		rows = is(table, c);

		if (rows > 0.0)
		{
			sum += hit(table, c) / rows;
			classes++;
		}
	}
	return ratio(sum, classes);
}

/*
 * The correlation of predicted and true class, Gorodkin's R_K. Weights are
 * shares of the whole, so that squares neither overflow nor vanish.
 */
double
ml_table_mcc(const MlTable *table)
{
	double		all = 0.0;
	double		both = 0.0;		/* 1 - covariances, term by term */
	double		hits = 0.0;
	double		said_squares = 0.0;
	double		is_squares = 0.0;
	double		spread;

	for (int c = 0; c < table->n; c++)
		all += is(table, c);
	if (!(all > 0.0))
		return NAN;
	for (int c = 0; c < table->n; c++)
	{
		double		p = said(table, c) / all;
		double		q = is(table, c) / all;

		hits += hit(table, c) / all;
		both += p * q;
		said_squares += p * (1.0 - p);
		is_squares += q * (1.0 - q);
	}
	spread = said_squares * is_squares;
	return spread > 0.0 ? (hits - both) / sqrt(spread) : NAN;
}

double
ml_table_precision(const MlTable *table, int positive)
{
	return ratio(hit(table, positive), said(table, positive));
}

double
ml_table_recall(const MlTable *table, int positive)
{
	return ratio(hit(table, positive), is(table, positive));
}

/* harmonic mean of precision and recall, written so that it needs neither */
double
ml_table_f1(const MlTable *table, int positive)
{
	return ratio(2.0 * hit(table, positive), said(table, positive) + is(table, positive));
}

double
ml_table_specificity(const MlTable *table, int positive)
{
	double		kept = 0.0;
	double		others = 0.0;

	for (int said = 0; said < table->n; said++)
	{
		for (int is = 0; is < table->n; is++)
		{
			if (is == positive)
				continue;
			others += table->cell[said * table->n + is];
			if (said != positive)
				kept += table->cell[said * table->n + is];
		}
	}
	return ratio(kept, others);
}

static double
macro(const MlTable *table, double (*of_class) (const MlTable *table, int c))
{
	double		sum = 0.0;
	int			classes = 0;

	for (int c = 0; c < table->n; c++)
	{
		double		value;

		if (!(said(table, c) + is(table, c) > 0.0))
			continue;
		value = of_class(table, c);
		sum += isnan(value) ? 0.0 : value;
		classes++;
	}
	return ratio(sum, classes);
}

double
ml_table_macro_precision(const MlTable *table)
{
	return macro(table, ml_table_precision);
}

double
ml_table_macro_recall(const MlTable *table)
{
	return macro(table, ml_table_recall);
}

double
ml_table_macro_f1(const MlTable *table)
{
	return macro(table, ml_table_f1);
}
