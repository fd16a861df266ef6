/*
 * compare.c
 *		A column then and now.
 *
 * Bins of a number are cut at the reference's deciles; cells of a category are
 * its levels, with one more for all that the reference has no place for.
 */
#include "postgres.h"

#include <math.h>

#include "drift/compare.h"
#include "num/distribution.h"

static double
share_of(int64 part, int64 all)
{
	return all > 0 ? (double) part / all : NAN;
}

/* ---- numbers ---- */

/* share of the values up to x */
static double
share_upto(const MlNumberProfile *number, double x)
{
	int			low = 0;
	int			high = number->nknots;
	double		n = (double) number->upto[number->nknots - 1];
	double		from;
	double		to;

	/* the first knot beyond x */
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (number->knot[middle] <= x)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || low == number->nknots)
		return low == 0 ? 0 : 1;
	from = number->upto[low - 1] / n;
	to = (number->upto[low] - number->equal[low]) / n;
	return from == to ? from : from + (to - from) * (x - number->knot[low - 1]) / (number->knot[low] - number->knot[low - 1]);
}

static void
compare_numbers(const MlNumberProfile *reference, const MlNumberProfile *current, MlDistance *distance)
{
	double		then[ML_PROFILE_DECILES + 1];
	double		now[ML_PROFILE_DECILES + 1];
	double		before = 0;

	if (reference->nknots == 0 || current->nknots == 0)
		return;
	for (int i = 0; i <= reference->nedges; i++)
	{
		double		upto = i < reference->nedges ? share_upto(current, reference->edge[i]) : 1;

		then[i] = (double) reference->edge_rows[i] / reference->n;
		now[i] = upto - before;
		before = upto;
	}
	distance->psi = ml_drift_psi(then, now, reference->nedges + 1);
	distance->js = ml_drift_js(then, now, reference->nedges + 1);
	distance->effect = ml_drift_ks(reference, current, 1, 0, &distance->wasserstein);
	distance->p_value = ml_drift_ks_tail(distance->effect, reference->n, current->n);
	distance->mean = current->mean;
	distance->mean_reference = reference->mean;
}

/* ---- categories ---- */

typedef struct Cell
{
	const char *level;
	int64		then;
	int64		now;
} Cell;

static int
compare_levels(const void *a, const void *b)
{
	return strcmp(((const Cell *) a)->level, ((const Cell *) b)->level);
}

static Cell *
list_levels(const MlCategoryProfile *category, bool now)
{
	Cell	   *cell = palloc_extended(sizeof(Cell) * (Size) Max(category->nlevels, 1), MCXT_ALLOC_HUGE);

	for (int i = 0; i < category->nlevels; i++)
		cell[i] = (Cell) {category->level[i], now ? 0 : category->rows[i], now ? category->rows[i] : 0};
	qsort(cell, category->nlevels, sizeof(Cell), compare_levels);
	return cell;
}

/*
 * The cells of a table of both, at most nlevels + nlevels + 1; unseen: rows of levels
 * now that the reference has no place for. Where it has a rest, they are in its cell.
 */
static int
make_table(const MlCategoryProfile *reference, const MlCategoryProfile *current, Cell **table, int64 *unseen)
{
	Cell	   *then = list_levels(reference, false);
	Cell	   *now = list_levels(current, true);
	Cell	   *cell = palloc_extended(sizeof(Cell) * ((Size) reference->nlevels + current->nlevels + 1), MCXT_ALLOC_HUGE);
	Cell		rest = {"", reference->other_rows, current->other_rows};
	int			n = 0;
	int			i = 0;
	int			j = 0;

	*unseen = current->other_rows;
	while (i < reference->nlevels || j < current->nlevels)
	{
		int			order = i == reference->nlevels ? 1 : j == current->nlevels ? -1 : compare_levels(&then[i], &now[j]);

		if (order <= 0)
			cell[n] = then[i++];
		if (order == 0)
			cell[n].now = now[j++].now;
		if (order > 0)
		{
			*unseen += now[j].now;
			if (reference->other_rows > 0)
			{
				rest.now += now[j++].now;
				continue;
			}
			cell[n] = now[j++];
		}
		n++;
	}
	if (rest.then + rest.now > 0)
		cell[n++] = rest;
	pfree(then);
	pfree(now);
	*table = cell;
	return n;
}

/* of independence of level and time (Pearson 1900) */
static double
chi_square(const Cell *cell, int n, int64 then, int64 now)
{
	double		all = (double) then + now;
	double		sum = 0;

	for (int i = 0; i < n; i++)
	{
		double		both = (double) cell[i].then + cell[i].now;
		double		expected_then = both * then / all;
		double		expected_now = both * now / all;

		sum += (cell[i].then - expected_then) * (cell[i].then - expected_then) / expected_then;
		sum += (cell[i].now - expected_now) * (cell[i].now - expected_now) / expected_now;
	}
	return sum;
}

static void
compare_categories(const MlProfile *reference, const MlProfile *current, MlDistance *distance)
{
	int64		all_then = reference->rows - reference->missing;
	int64		all_now = current->rows - current->missing;
	Cell	   *cell;
	int64		unseen;
	int			n;
	double	   *then;
	double	   *now;

	if (all_then == 0 || all_now == 0)
		return;
	n = make_table(&reference->category, &current->category, &cell, &unseen);
	then = palloc_extended(sizeof(double) * 2 * (Size) Max(n, 1), MCXT_ALLOC_HUGE);
	now = then + n;
	distance->effect = 0;
	for (int i = 0; i < n; i++)
	{
		then[i] = (double) cell[i].then / all_then;
		now[i] = (double) cell[i].now / all_now;
		distance->effect += fabs(then[i] - now[i]) / 2;
	}
	distance->psi = ml_drift_psi(then, now, n);
	distance->js = ml_drift_js(then, now, n);
	distance->chi_square = chi_square(cell, n, all_then, all_now);
	distance->df = Max(n - 1, 0);
	distance->p_value = distance->df > 0 ? ml_chi_square_upper(distance->chi_square, distance->df) : 1;
	distance->unseen = Max((double) unseen / all_now - (double) reference->category.other_rows / all_then, 0);
	pfree(cell);
	pfree(then);
}

void
ml_drift_compare(const MlProfile *reference, const MlProfile *current, MlDistance *distance)
{
	memset(distance, 0, sizeof(MlDistance));
	distance->psi = distance->js = distance->effect = distance->wasserstein = NAN;
	distance->chi_square = distance->p_value = distance->unseen = distance->mean = distance->mean_reference = NAN;
	distance->rows = current->rows;
	distance->rows_reference = reference->rows;
	distance->missing = share_of(current->missing, current->rows);
	distance->missing_reference = share_of(reference->missing, reference->rows);
	if (reference->kind == ML_KIND_CATEGORY && current->kind == ML_KIND_CATEGORY)
		compare_categories(reference, current, distance);
	else if (reference->kind != ML_KIND_CATEGORY && current->kind != ML_KIND_CATEGORY)
		compare_numbers(&reference->number, &current->number, distance);
}

/* ---- many columns ---- */

typedef struct Tested
{
	double		p;
	int			column;
} Tested;

static int
compare_p(const void *a, const void *b)
{
	const Tested *left = a;
	const Tested *right = b;

	if (left->p != right->p)
		return left->p < right->p ? -1 : 1;
	return left->column - right->column;
}

/* Benjamini & Hochberg 1995, "Controlling the false discovery rate": p n / rank, the least of those not below */
void
ml_drift_adjust(const double *p, int n, double *adjusted)
{
	Tested	   *tested = palloc(sizeof(Tested) * Max(n, 1));
	double		least = 1;
	int			ntested = 0;

	for (int i = 0; i < n; i++)
	{
		adjusted[i] = NAN;
		if (!isnan(p[i]))
			tested[ntested++] = (Tested) {p[i], i};
	}
	qsort(tested, ntested, sizeof(Tested), compare_p);
	for (int i = ntested - 1; i >= 0; i--)
	{
		least = Min(least, tested[i].p * ntested / (i + 1));
		adjusted[tested[i].column] = least;
	}
	pfree(tested);
}
