/*
 * conditions.c
 *		Conditions that a column of a jury can be divided by: values of a category or of a
 *		number that has few, fifths of a number that has many, and NULL.
 *
 * They are SQL that mlops_create_slice takes: names are quoted, and numbers
 * have the fewest digits that read back the same.
 */
#include "postgres.h"

#include <math.h>

#include "interrupts.h"
#include "judge/conditions.h"
#include "sort.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"

#define MOST_VALUES	30			/* of a category, the most frequent ones */
#define FEW_NUMBERS	8			/* values of a number that are a condition each */
#define PARTS		5			/* of the rows, for numbers with more */

static char *
number_text(double x)
{
	return float8out_internal(x);
}

static const char *
name_of(const MlColumn *column)
{
	return quote_identifier(column->name);
}

static void
begin(MlJury *jury, const MlColumn *column, int most, MlDivided *result)
{
	result->column = column;
	result->n = 0;
	result->condition = palloc(sizeof(char *) * (most + 1));
	result->met = ml_jury_take(jury, CurrentMemoryContext, jury->nrows, sizeof(int16), "conditions of rows");
}

/* a number of few digits near x, above the least */
static double
rounded(double x, double least)
{
	char		text[32];
	double		near;

	snprintf(text, sizeof(text), "%.3g", x);
	near = strtod(text, NULL);
	return near > least ? near : x;
}

/* ---- categories ---- */

typedef struct Value
{
	int32		code;
	int64		count;
} Value;

static int
compare_counts(const void *a, const void *b)
{
	const Value *x = a;
	const Value *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return x->code < y->code ? -1 : 1;
}

static void
divide_category(MlJury *jury, const MlColumn *column, MlDivided *result)
{
	const MlDictionary *dictionary = column->dictionary;
	int			n = dictionary->nvalues;
	Value	   *value = palloc_extended(sizeof(Value) * Max(n, 1), MCXT_ALLOC_HUGE);
	int16	   *condition = palloc_extended(sizeof(int16) * Max(n, 1), MCXT_ALLOC_HUGE);
	int16		of_null = ML_NO_CONDITION;

	begin(jury, column, MOST_VALUES, result);
	for (int c = 0; c < n; c++)
	{
		value[c] = (Value) {c, dictionary->count[c]};
		condition[c] = ML_NO_CONDITION;
	}
	qsort(value, n, sizeof(Value), compare_counts);
	for (int c = 0; c < Min(n, MOST_VALUES); c++)
	{
		condition[value[c].code] = (int16) result->n;
		result->condition[result->n++] = psprintf("%s = %s", name_of(column),
												  quote_literal_cstr(dictionary->value[value[c].code]));
	}
	if (column->nnull > 0)
	{
		of_null = (int16) result->n;
		result->condition[result->n++] = psprintf("%s IS NULL", name_of(column));
	}
	for (int64 i = 0; i < jury->nrows; i++)
	{
		int32		code = column->code[jury->row[i]];

		ml_check_row(i);
		result->met[i] = code == ML_CODE_NULL ? of_null : condition[code];
	}
	pfree(value);
	pfree(condition);
}

/* ---- numbers ---- */

/* memory for it is counted by the caller */
static double *
sort_numbers(const MlFrame *frame, const MlColumn *column, int64 *n)
{
	MlKeyed    *item = palloc_extended(sizeof(MlKeyed) * 2 * Max(frame->nrows, 1), MCXT_ALLOC_HUGE);
	double	   *sorted;

	*n = 0;
	for (int64 i = 0; i < frame->nrows; i++)
	{
		ml_check_row(i);
		if (!isnan(column->number[i]))
			item[(*n)++].key = ml_double_key(column->number[i]);
	}
	ml_sort(item, item + frame->nrows, *n, 64);
	sorted = palloc_extended(sizeof(double) * Max(*n, 1), MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < *n; i++)
		sorted[i] = ml_key_double(item[i].key);
	pfree(item);
	return sorted;
}

static int
distinct_values(const double *sorted, int64 n, double *value, int most)
{
	int			found = 0;

	for (int64 i = 0; i < n; i++)
	{
		if (i > 0 && sorted[i] == sorted[i - 1])
			continue;
		if (found == most)
			return most + 1;
		value[found++] = sorted[i];
	}
	return found;
}

static char *
value_condition(const MlColumn *column, double x)
{
	if (column->type.reading == ML_READ_BOOL)
		return psprintf("%s = %s", name_of(column), x != 0.0 ? "true" : "false");
	return psprintf("%s = %s", name_of(column), number_text(x));
}

/* from edge to edge, the lower one included; where there is none, open */
static char *
range_condition(const MlColumn *column, const double *edge, int nedges, int part)
{
	const char *name = name_of(column);

	if (part == 0)
		return psprintf("%s < %s", name, number_text(edge[0]));
	if (part == nedges)
		return psprintf("%s >= %s", name, number_text(edge[part - 1]));
	return psprintf("%s >= %s AND %s < %s", name, number_text(edge[part - 1]), name, number_text(edge[part]));
}

static int
find_part(const double *edge, int nedges, double x)
{
	int			part = 0;

	while (part < nedges && x >= edge[part])
		part++;
	return part;
}

static int
find_value(const double *value, int n, double x)
{
	int			i = 0;

	while (i < n && value[i] != x)
		i++;
	return i;
}

static void
divide_number(MlJury *jury, const MlColumn *column, MlDivided *result)
{
	double		edge[FEW_NUMBERS];
	Size		bytes = ml_size_mul(jury->nrows, 2 * sizeof(MlKeyed) + sizeof(double));
	int64		n;
	double	   *sorted;
	int			nedges;
	bool		few;
	int16		of_null = ML_NO_CONDITION;

	ml_budget_take(&jury->budget, bytes, "a column in order");
	sorted = sort_numbers(jury->frame, column, &n);
	nedges = distinct_values(sorted, n, edge, FEW_NUMBERS);
	few = nedges <= FEW_NUMBERS;
	begin(jury, column, FEW_NUMBERS + PARTS, result);
	if (!few)
	{
		nedges = 0;
		for (int part = 1; part < PARTS; part++)
		{
			double		x = rounded(sorted[n * part / PARTS], sorted[0]);

			if (x > sorted[0] && x <= sorted[n - 1] && (nedges == 0 || x > edge[nedges - 1]))
				edge[nedges++] = x;
		}
	}
	for (int k = 0; k < (few ? nedges : nedges + 1); k++)
		result->condition[result->n++] = few ? value_condition(column, edge[k]) :
			range_condition(column, edge, nedges, k);
	if (n < jury->nrows)
	{
		of_null = (int16) result->n;
		result->condition[result->n++] = psprintf("%s IS NULL", name_of(column));
	}
	for (int64 i = 0; i < jury->nrows; i++)
	{
		double		x = column->number[jury->row[i]];

		ml_check_row(i);
		result->met[i] = isnan(x) ? of_null :
			(int16) (few ? find_value(edge, nedges, x) : find_part(edge, nedges, x));
	}
	pfree(sorted);
	ml_budget_give(&jury->budget, bytes);
}

bool
ml_divide_column(MlJury *jury, const MlColumn *column, MlDivided *result)
{
	if (column->code != NULL)
		divide_category(jury, column, result);
	else if (column->number != NULL)
		divide_number(jury, column, result);
	else
		return false;
	return result->n > 1;
}
