/*
 * number_profile.c
 *		The profile of a number: its values are sorted, everything else is found
 *		in them by binary search.
 *
 * Deciles are interpolated as percentile_cont does it (type 7 of Hyndman & Fan
 * 1996, "Sample quantiles in statistical packages"). Bins of equal width reach from a
 * quarter of the central 98 % below these to as much above, but not beyond
 * the values there are, so that one outlier does not put all others into one bin.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "drift/profile.h"
#include "interrupts.h"
#include "sort.h"

#define CENTRE_BEGINS	0.01
#define CENTRE_ENDS		0.99
#define MARGIN			0.25
#define LARGEST			(DBL_MAX / 4)	/* a range whose width is finite */

Size
ml_profile_room_size(int64 n)
{
	return 2 * sizeof(uint64) * (Size) Max(Min(n, ML_PROFILE_ROWS), 1);
}

void
ml_profile_room_take(MlProfileRoom *room, void *memory, Size bytes)
{
	room->most = Min((int64) (bytes / (2 * sizeof(uint64))), ML_PROFILE_ROWS);
	room->key = memory;
	room->spare = room->key + room->most;
}

/* ---- sorted values ---- */

typedef struct Values
{
	const uint64 *key;			/* ascending */
	int64		n;
} Values;

static double
value_at(const Values *values, int64 place)
{
	return ml_key_double(values->key[place]);
}

/* how many values are less than x, or not greater */
static int64
count_values(const Values *values, double x, bool equal_too)
{
	uint64		key = ml_double_key(x);
	int64		low = 0;
	int64		high = values->n;

	while (low < high)
	{
		int64		middle = low + (high - low) / 2;

		if (values->key[middle] < key || (equal_too && values->key[middle] == key))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static double
quantile(const Values *values, double share)
{
	double		place = share * (values->n - 1);
	int64		first = (int64) floor(place);
	double		low = value_at(values, first);
	double		high = value_at(values, Min(first + 1, values->n - 1));

	return place == first || low == high ? low : low + (place - first) * (high - low);
}

/* ---- parts of a profile ---- */

static void
take_deciles(const Values *values, MlNumberProfile *number)
{
	int64		before = 0;

	for (int i = 1; i <= ML_PROFILE_DECILES; i++)
	{
		double		edge = quantile(values, i / 10.0);

		if (number->nedges > 0 && edge == number->edge[number->nedges - 1])
			continue;
		number->edge[number->nedges] = edge;
		number->edge_rows[number->nedges] = count_values(values, edge, true) - before;
		before += number->edge_rows[number->nedges++];
	}
	number->edge_rows[number->nedges] = values->n - before;
}

static void
add_knot(const Values *values, double knot, MlNumberProfile *number)
{
	int			i = number->nknots++;

	number->knot[i] = knot;
	number->upto[i] = count_values(values, knot, true);
	number->equal[i] = number->upto[i] - count_values(values, knot, false);
}

/* every value if they are few, else those at even places */
static void
take_knots(const Values *values, MlNumberProfile *number)
{
	int64		place = 0;

	number->knot = palloc(sizeof(double) * (ML_PROFILE_KNOTS + 1));
	number->upto = palloc(sizeof(int64) * (ML_PROFILE_KNOTS + 1));
	number->equal = palloc(sizeof(int64) * (ML_PROFILE_KNOTS + 1));
	while (number->nknots <= ML_PROFILE_KNOTS && place < values->n)
	{
		add_knot(values, value_at(values, place), number);
		place = number->upto[number->nknots - 1];
	}
	if (place == values->n)
		return;
	number->nknots = 0;
	for (int i = 0; i <= ML_PROFILE_KNOTS; i++)
	{
		double		knot = value_at(values, (int64) ((double) i / ML_PROFILE_KNOTS * (values->n - 1)));

		if (number->nknots == 0 || knot != number->knot[number->nknots - 1])
			add_knot(values, knot, number);
	}
}

static void
choose_range(const Values *values, MlNumberProfile *number)
{
	double		low = Max(value_at(values, 0), -LARGEST);
	double		high = Min(value_at(values, values->n - 1), LARGEST);
	double		begin = quantile(values, CENTRE_BEGINS);
	double		end = quantile(values, CENTRE_ENDS);

	if (begin < end && end - begin < LARGEST)
	{
		low = Max(low, begin - MARGIN * (end - begin));
		high = Min(high, end + MARGIN * (end - begin));
	}
	if (!(low < high))
	{
		/* one value: it lies in the middle */
		double		around = Max(fabs(low), 1.0) / 2;

		high = low + around;
		low -= around;
	}
	number->low = low;
	number->high = high;
}

/* the first place of which the bin is at least this one, since bins ascend with values */
static int64
bin_begins(const Values *values, const MlNumberProfile *number, double per_unit, int bin)
{
	int64		low = 0;
	int64		high = values->n;

	while (low < high)
	{
		int64		middle = low + (high - low) / 2;

		if (ml_profile_bin(number->low, number->high, per_unit, value_at(values, middle)) < bin)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
take_bins(const Values *values, MlNumberProfile *number)
{
	double		per_unit;
	int64		begin = 0;

	choose_range(values, number);
	per_unit = ml_profile_bins_per_unit(number->low, number->high);
	for (int bin = 0; bin < ML_PROFILE_BINS + 2; bin++)
	{
		int64		next = bin_begins(values, number, per_unit, bin + 1);

		number->bin_rows[bin] = next - begin;
		begin = next;
	}
}

/* ---- from rows ---- */

/* what is missing, and the moments of all values that are present */
static void
take_moments(MlProfile *profile, const double *value, int64 n)
{
	MlNumberProfile *number = &profile->number;
	double		sum = 0;
	double		squares = 0;
	int64		present = 0;

	number->minimum = number->maximum = number->mean = number->deviation = NAN;
	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		if (!isfinite(value[i]))
			continue;
		number->minimum = present == 0 || value[i] < number->minimum ? value[i] : number->minimum;
		number->maximum = present == 0 || value[i] > number->maximum ? value[i] : number->maximum;
		sum += value[i];
		present++;
	}
	profile->rows = n;
	profile->missing = n - present;
	if (present == 0)
		return;
	number->mean = Min(Max(sum / present, number->minimum), number->maximum);
	for (int64 i = 0; i < n; i++)
	{
		double		off = isfinite(value[i]) ? value[i] - number->mean : 0;

		ml_check_row(i);
		squares += off * off;
	}
	number->deviation = present > 1 ? sqrt(squares / (present - 1)) : 0;
}

/* keys of the values that are present; at even places, if there are more than room for them */
static int64
gather(const double *value, int64 n, MlProfileRoom *room)
{
	double		step = n > room->most ? (double) n / room->most : 1;
	int64		most = Min(n, room->most);
	int64		taken = 0;

	for (int64 i = 0; i < most; i++)
	{
		double		x = value[(int64) (i * step)];

		ml_check_row(i);
		if (isfinite(x))
			room->key[taken++] = ml_double_key(x);
	}
	return taken;
}

void
ml_profile_numbers(MlProfile *profile, const double *value, int64 n, MlProfileRoom *room)
{
	MlNumberProfile *number = &profile->number;
	Values		values = {room->key};

	memset(number, 0, sizeof(MlNumberProfile));
	take_moments(profile, value, n);
	values.n = gather(value, n, room);
	number->n = values.n;
	number->low = number->high = NAN;
	if (values.n == 0)
		return;
	ml_profile_sort(room->key, room->spare, values.n);
	take_deciles(&values, number);
	take_knots(&values, number);
	take_bins(&values, number);
}

double
ml_profile_error(const MlNumberProfile *number)
{
	int64		most = 0;

	for (int i = 1; i < number->nknots; i++)
		most = Max(most, number->upto[i] - number->equal[i] - number->upto[i - 1]);
	return number->n > 0 ? (double) most / number->n : 0;
}
