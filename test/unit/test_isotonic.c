/*
 * test_isotonic.c
 *		Isotonic regression against results worked out by hand, and against the
 *		conditions that characterise it.
 */
#include "check.h"
#include "num/isotonic.h"

#define N 500

static MlIsotonic
row(double x, double y, double weight)
{
	MlIsotonic	result = {x, x, y, weight};

	return result;
}

static void
check_by_hand(void)
{
	/* Barlow et al., Statistical inference under order restrictions (1972): means of what descends */
	MlIsotonic	a[] = {row(1, 1, 1), row(2, 3, 1), row(3, 2, 1), row(4, 4, 1), row(5, 3, 3), row(6, 5, 1)};
	MlIsotonic	ties[] = {row(1, 0, 1), row(1, 1, 3), row(2, 0.5, 1)};
	MlIsotonic	one[] = {row(7, 0.25, 2)};
	MlIsotonic	down[] = {row(1, 3, 1), row(2, 2, 1), row(3, 1, 1)};

	check(ml_isotonic_fit(a, 6, NULL, NULL) == 4, "four blocks");
	check_close(a[0].mean, 1, 0, "alone");
	check_close(a[1].mean, 2.5, 0, "3 and 2 become 2.5");
	check(a[1].first == 2 && a[1].last == 3, "over their x");
	check_close(a[2].mean, 3.25, 1e-15, "4 and three of 3 become 3.25");
	check_close(a[3].mean, 5, 0, "the last alone");
	check(ml_isotonic_fit(ties, 3, NULL, NULL) == 1, "rows of one x count as one, and its mean descends");
	check_close(ties[0].mean, (3 + 0.5) / 5, 1e-15, "weighted mean of all");
	check(ml_isotonic_fit(one, 1, NULL, NULL) == 1 && one[0].mean == 0.25, "one row");
	check(ml_isotonic_fit(one, 0, NULL, NULL) == 0, "no row");
	check(ml_isotonic_fit(down, 3, NULL, NULL) == 1 && fabs(down[0].mean - 2) < 1e-15, "all descending: their mean");
}

/*
 * A fit is optimal if it ascends, keeps the total, and no block could be split
 * to advantage: the mean of the beginning of a block is never below the block's.
 */
static void
check_optimal(void)
{
	MlIsotonic	a[N];
	double		y[N];
	size_t		nblocks;
	double		total = 0;
	double		fitted = 0;
	int			ascends = 1;
	int			unsplit = 1;
	int			at = 0;

	for (int i = 0; i < N; i++)
	{
		y[i] = i / 100.0 + 2 * sin(i * 12.9898);
		a[i] = row(i, y[i], 1);
		total += y[i];
	}
	nblocks = ml_isotonic_fit(a, N, NULL, NULL);
	for (size_t b = 0; b < nblocks; b++)
	{
		double		sum = 0;
		int			begin = at;

		fitted += a[b].mean * a[b].weight;
		ascends &= b == 0 || a[b].mean > a[b - 1].mean;
		for (; at <= (int) a[b].last; at++)
		{
			sum += y[at];
			unsplit &= sum / (at - begin + 1) >= a[b].mean - 1e-12;
		}
	}
	check(nblocks > 5 && nblocks < N / 2, "some blocks");
	check(at == N, "all rows are in a block");
	check(ascends, "ascends");
	check(unsplit, "no block could be split");
	check_close(fitted, total, 1e-12, "keeps the total");
}

int
main(void)
{
	check_by_hand();
	check_optimal();
	return checks_done();
}
