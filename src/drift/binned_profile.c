/*
 * binned_profile.c
 *		A profile of which only the bins of equal width are known.
 */
#include "postgres.h"

#include <math.h>

#include "drift/profile.h"

#define ENDS (ML_PROFILE_BINS + 1)	/* where bins meet, and begin and end */

/* the end of bin i, of which 0 is what is below */
static double
end_of(const MlNumberProfile *number, int i)
{
	return i == ML_PROFILE_BINS ? number->high : number->low + (number->high - number->low) / ML_PROFILE_BINS * i;
}

static void
add_knot(MlNumberProfile *number, double knot, int64 upto, int64 equal)
{
	number->knot[number->nknots] = knot;
	number->upto[number->nknots] = upto;
	number->equal[number->nknots++] = equal;
}

/* neighbours together hold a tenth at least, where that can be */
static void
take_edges(MlNumberProfile *number, int64 all)
{
	int64		held = 0;

	for (int i = 0; i < ENDS; i++)
	{
		held += number->bin_rows[i];
		if (held * (ML_PROFILE_DECILES + 1) < all || number->nedges == ML_PROFILE_DECILES)
			continue;
		number->edge[number->nedges] = end_of(number, i);
		number->edge_rows[number->nedges++] = held;
		held = 0;
	}
	number->edge_rows[number->nedges] = held + number->bin_rows[ENDS];
}

void
ml_profile_of_bins(MlNumberProfile *number)
{
	double		width = (number->high - number->low) / ML_PROFILE_BINS;
	int64		upto = number->bin_rows[0];
	double		sum = upto * (number->low - width);

	number->binned = true;
	number->nedges = number->nknots = 0;
	number->knot = palloc(sizeof(double) * (ENDS + 2));
	number->upto = palloc(sizeof(int64) * (ENDS + 2));
	number->equal = palloc(sizeof(int64) * (ENDS + 2));
	if (isnan(number->low))
		return;
	add_knot(number, number->low - width, upto, upto);
	add_knot(number, number->low, upto, 0);
	for (int i = 1; i <= ML_PROFILE_BINS; i++)
	{
		upto += number->bin_rows[i];
		sum += number->bin_rows[i] * (end_of(number, i) - width / 2);
		add_knot(number, end_of(number, i), upto, 0);
	}
	upto += number->bin_rows[ENDS];
	sum += number->bin_rows[ENDS] * (number->high + width);
	add_knot(number, number->high + width, upto, number->bin_rows[ENDS]);
	number->mean = upto > 0 ? sum / upto : NAN;
	if (upto == 0)
		number->nknots = 0;
	take_edges(number, upto);
}
