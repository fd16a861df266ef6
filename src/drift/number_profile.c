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
#define RUN				8		/* rows */
#define LARGEST			(DBL_MAX / 4)	/* a range whose width is finite */

Size
ml_profile_room_size(int64 most)
{
	return 2 * sizeof(uint64) * (Size) Max(most, 1);
}

void
ml_profile_room_take(MlProfileRoom *room, void *memory, int64 most, bool exact)
{
	room->most = Max(most, 1);
	room->key = memory;
	room->spare = room->key + room->most;
	room->exact = exact;
}

Size
ml_profile_exact_size(int64 n)
{
	return (sizeof(double) + 2 * sizeof(int64)) * (Size) Max(n, 1);
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

static void
make_knots(MlNumberProfile *number, int64 n)
{
	number->knot = palloc_extended(sizeof(double) * n, MCXT_ALLOC_HUGE);
	number->upto = palloc_extended(sizeof(int64) * n, MCXT_ALLOC_HUGE);
	number->equal = palloc_extended(sizeof(int64) * n, MCXT_ALLOC_HUGE);
}

/* how many different values there are, up to most of them */
static int64
count_distinct(const Values *values, int64 most)
{
	int64		n = 1;

	for (int64 i = 1; i < values->n && n <= most; i++)
		n += values->key[i] != values->key[i - 1];
	return n;
}

static void
take_all(const Values *values, MlNumberProfile *number)
{
	for (int64 i = 0; i < values->n;)
	{
		int64		first = i;

		ml_check_row(number->nknots);
		while (i < values->n && values->key[i] == values->key[first])
			i++;
		number->knot[number->nknots] = value_at(values, first);
		number->upto[number->nknots] = i;
		number->equal[number->nknots++] = i - first;
	}
}

/* every value if they are few, or most is; else those at even places */
static void
take_knots(const Values *values, MlNumberProfile *number, int64 most)
{
	int64		distinct = count_distinct(values, most);

	make_knots(number, Min(distinct, most));
	if (distinct <= most)
	{
		take_all(values, number);
		return;
	}
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

/* sums of values less a shift near them */
typedef struct Moments
{
	int64		present;
	double		sum;
	double		squares;
	double		minimum;
	double		maximum;
} Moments;

/* four lanes, so that no addition waits for the one before; not finite if a value is not */
static void
add_all(Moments *moments, const double *value, int64 n, double shift)
{
	double		sum[4] = {0};
	double		squares[4] = {0};
	double		minimum[4] = {shift, shift, shift, shift};
	double		maximum[4] = {shift, shift, shift, shift};

	for (int64 i = 0; i + 4 <= n; i += 4)
	{
		ml_check_row(i);
		for (int lane = 0; lane < 4; lane++)
		{
			double		x = value[i + lane];
			double		off = x - shift;

			sum[lane] += off;
			squares[lane] += off * off;
			minimum[lane] = x < minimum[lane] ? x : minimum[lane];
			maximum[lane] = x > maximum[lane] ? x : maximum[lane];
		}
	}
	for (int64 i = n - n % 4; i < n; i++)
	{
		sum[0] += value[i] - shift;
		squares[0] += (value[i] - shift) * (value[i] - shift);
		minimum[0] = Min(minimum[0], value[i]);
		maximum[0] = Max(maximum[0], value[i]);
	}
	moments->present = n;
	moments->sum = (sum[0] + sum[1]) + (sum[2] + sum[3]);
	moments->squares = (squares[0] + squares[1]) + (squares[2] + squares[3]);
	moments->minimum = Min(Min(minimum[0], minimum[1]), Min(minimum[2], minimum[3]));
	moments->maximum = Max(Max(maximum[0], maximum[1]), Max(maximum[2], maximum[3]));
}

/* where some are missing */
static void
add_present(Moments *moments, const double *value, int64 n, double shift)
{
	moments->present = 0;
	moments->sum = moments->squares = 0;
	moments->minimum = moments->maximum = shift;
	for (int64 i = 0; i < n; i++)
	{
		double		off = value[i] - shift;

		ml_check_row(i);
		if (!isfinite(value[i]))
			continue;
		moments->present++;
		moments->sum += off;
		moments->squares += off * off;
		moments->minimum = Min(moments->minimum, value[i]);
		moments->maximum = Max(moments->maximum, value[i]);
	}
}

/* a value that is present; 0: there is none */
static double
choose_shift(const double *value, int64 n)
{
	for (int64 i = 0; i < n; i++)
	{
		ml_check_row(i);
		if (isfinite(value[i]))
			return value[i];
	}
	return 0;
}

/* what is missing, and the moments of all values that are present */
static void
take_moments(MlProfile *profile, const double *value, int64 n)
{
	MlNumberProfile *number = &profile->number;
	double		shift = choose_shift(value, n);
	Moments		moments;
	double		mean;

	add_all(&moments, value, n, shift);
	if (!isfinite(moments.sum))
		add_present(&moments, value, n, shift);
	profile->rows = n;
	profile->missing = n - moments.present;
	number->minimum = number->maximum = number->mean = number->deviation = NAN;
	if (moments.present == 0)
		return;
	mean = moments.sum / moments.present;
	number->minimum = moments.minimum;
	number->maximum = moments.maximum;
	number->mean = Min(Max(shift + mean, number->minimum), number->maximum);
	number->deviation = number->minimum == number->maximum ? 0 :
		sqrt(Max(moments.squares - mean * moments.sum, 0) / (moments.present - 1));
}

/* keys of the values that are present; of more rows than room those of some runs, which a cache likes */
static int64
gather(const double *value, int64 n, MlProfileRoom *room)
{
	int64		most = Min(n, room->most);
	int64		runs = n > most ? Max(most / RUN, 1) : 1;
	int64		length = Min(most, n > most ? RUN : n);
	int64		taken = 0;

	for (int64 run = 0; run < runs; run++)
	{
		const double *from = value + run * n / runs;

		for (int64 i = 0; i < length; i++)
		{
			ml_check_row(i);
			room->key[taken] = ml_double_key(from[i]);
			taken += isfinite(from[i]);
		}
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
	take_knots(&values, number, room->exact ? Min(values.n, PG_INT32_MAX) : ML_PROFILE_KNOTS + 1);
	take_bins(&values, number);
}
