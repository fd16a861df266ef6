/*
 * isotonic.c
 *		Isotonic regression by pooling adjacent violators.
 *
 * Objective:  minimise  sum w (y - f(x))^2  over functions f that do not descend
 *
 * Ayer, Brunk, Ewing, Reid & Silverman, An empirical distribution function for
 * sampling with incomplete information, Annals of Mathematical Statistics 26
 * (1955). A row that would descend is pooled with the block before it, and that
 * with the one before, until nothing descends: each row is pooled once, so that
 * the time is in proportion to the rows.
 */
#include "num/isotonic.h"

#define TICK_ROWS 4096

static void
pool(MlIsotonic *block, const MlIsotonic *next)
{
	block->weight += next->weight;
	block->mean += (next->mean - block->mean) * (next->weight / block->weight);
	block->last = next->last;
}

size_t
ml_isotonic_fit(MlIsotonic *row, size_t n, void (*tick) (void *arg), void *tick_arg)
{
	size_t		nblocks = 0;

	/* rows of one x first: their mean is what may not descend */
	for (size_t i = 0; i < n; i++)
	{
		if (tick && i % TICK_ROWS == 0)
			tick(tick_arg);
		if (nblocks > 0 && row[nblocks - 1].last == row[i].first)
			pool(&row[nblocks - 1], &row[i]);
		else
			row[nblocks++] = row[i];
	}
	n = nblocks;
	nblocks = 0;
	for (size_t i = 0; i < n; i++)
	{
		if (tick && i % TICK_ROWS == 0)
			tick(tick_arg);
		row[nblocks++] = row[i];
		while (nblocks > 1 && row[nblocks - 2].mean >= row[nblocks - 1].mean)
		{
			pool(&row[nblocks - 2], &row[nblocks - 1]);
			nblocks--;
		}
	}
	return nblocks;
}
