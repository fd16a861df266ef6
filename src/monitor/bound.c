/*
 * bound.c
 *		Bounds of a monitor that nobody gave, from what earlier periods were like.
 *
 * Values are put on a scale on which they vary alike: the arcsine of the square
 * root for shares (Anscombe 1948, "The transformation of Poisson, binomial and
 * negative-binomial data", Biometrika 35), the logarithm for counts and times.
 * There the bound is that of a prediction interval for one more observation
 * (Whitmore 1986, "Prediction limits for a univariate normal observation", The
 * American Statistician 40), m + t * s * sqrt(1 + 1/n), t of n - 1 degrees of
 * freedom with ALPHA above it.
 *
 * One period that is far out is left out before, as Hampel 1974 ("The influence
 * curve and its role in robust estimation", JASA 69) does: more than HAMPEL
 * times 1.4826 median absolute deviations from the median. Not where there are
 * several: what comes again is usual, a Sunday or the end of a month. The
 * deviation is never taken to be less than sampling alone makes it.
 *
 * ALPHA: a monitor of a day has 365 chances in a year. Ten with two bounds have
 * 7,300, of which 0.7 go wrong; the interval of what is seen, which must lie
 * beyond the bound as a whole, makes it fewer.
 */
#include "postgres.h"

#include <math.h>

#include "metric/interval.h"
#include "monitor/monitor.h"

#define ALPHA			1e-4
#define HAMPEL			5.0
#define MAD_TO_SD		1.4826
#define MOST_OUTLIERS	1
#define SHARE_LIMIT		(M_PI / 2)

/* ---- scales ---- */

static double
to_scale(MlWatchScale scale, double value)
{
	switch (scale)
	{
		case ML_SCALE_SHARE:
			return asin(sqrt(Min(Max(value, 0.0), 1.0)));
		case ML_SCALE_COUNT:
			return log1p(Max(value, 0.0));
		case ML_SCALE_PLAIN:
			break;
	}
	return value;
}

static double
from_scale(MlWatchScale scale, double value)
{
	double		sine;

	switch (scale)
	{
		case ML_SCALE_SHARE:
			sine = sin(Min(Max(value, 0.0), SHARE_LIMIT));
			return sine * sine;
		case ML_SCALE_COUNT:
			return Max(expm1(value), 0.0);
		case ML_SCALE_PLAIN:
			break;
	}
	return value;
}

/* the deviation that sampling alone makes, on the scale */
static double
sampling_deviation(const MlMeasure *measure, const MlPast *past, int n)
{
	double		rows = 0.0;
	double		count = 0.0;
	double		squares = 0.0;

	for (int i = 0; i < n; i++)
	{
		rows += past[i].n;
		count += past[i].value;
		squares += isnan(past[i].error) ? 0.0 : past[i].error * past[i].error;
	}
	if (measure->scale == ML_SCALE_SHARE)
		return 0.5 / sqrt(Max(rows / n, 1.0));
	if (measure->scale == ML_SCALE_COUNT && measure->source == ML_WATCH_VOLUME)
		return 1.0 / sqrt(count / n + 1.0);
	return measure->scale == ML_SCALE_PLAIN ? sqrt(squares / n) : 0.0;
}

/* ---- sorting ---- */

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return x < y ? -1 : x > y;
}

/* sorts the values */
static double
median(double *value, int n)
{
	qsort(value, n, sizeof(double), compare_doubles);
	return n % 2 ? value[n / 2] : 0.5 * (value[n / 2 - 1] + value[n / 2]);
}

/* ---- the interval ---- */

/* t that a share of alpha is above; P(|T| >= t) falls with t */
static double
quantile_t(double alpha, double df)
{
	double		low = 0.0;
	double		high = 1.0;

	while (ml_tail_t(high, df) > 2.0 * alpha)
		high *= 2.0;
	for (int i = 0; i < 60; i++)
	{
		double		middle = 0.5 * (low + high);

		if (ml_tail_t(middle, df) > 2.0 * alpha)
			low = middle;
		else
			high = middle;
	}
	return high;
}

/* moves what is not far out to the front; how many */
static int
leave_out(const MlPast *past, double *value, int n)
{
	double	   *work = palloc(sizeof(double) * n);
	double		middle;
	double		limit;
	int			kept = 0;

	memcpy(work, value, sizeof(double) * n);
	middle = median(work, n);
	for (int i = 0; i < n; i++)
		work[i] = fabs(value[i] - middle);
	limit = HAMPEL * MAD_TO_SD * median(work, n);
	for (int i = 0; i < n; i++)
		if (past[i].kept || fabs(value[i] - middle) <= limit)
			work[kept++] = value[i];
	if (n - kept <= MOST_OUTLIERS)
		memcpy(value, work, sizeof(double) * kept);
	else
		kept = n;
	pfree(work);
	return kept;
}

static void
mean_and_deviation(const double *value, int n, double *mean, double *deviation)
{
	double		sum = 0.0;
	double		squares = 0.0;

	for (int i = 0; i < n; i++)
		sum += value[i];
	*mean = sum / n;
	for (int i = 0; i < n; i++)
		squares += (value[i] - *mean) * (value[i] - *mean);
	*deviation = sqrt(squares / (n - 1));
}

/* a bound is no nearer to what is usual than what anybody would care for */
static double
at_least_away(const MlMeasure *measure, double usual, double bound, int side)
{
	double		nearest = measure->scale == ML_SCALE_COUNT && measure->least > 0.0 ?
		(side < 0 ? usual / measure->least : usual * measure->least) : usual + side * measure->least;

	return side < 0 ? Min(bound, nearest) : Max(bound, nearest);
}

bool
ml_bound_propose(const MlMeasure *measure, const MlPast *past, int n, double *minimum, double *maximum)
{
	double	   *value;
	double		mean;
	double		deviation;
	double		half;
	double		usual;
	int			kept;

	*minimum = *maximum = NAN;
	if (n < ML_LEARN_LEAST)
		return false;
	value = palloc(sizeof(double) * n);
	for (int i = 0; i < n; i++)
		value[i] = to_scale(measure->scale, past[i].value);
	kept = leave_out(past, value, n);
	mean_and_deviation(value, kept, &mean, &deviation);
	deviation = Max(deviation, sampling_deviation(measure, past, n));
	half = quantile_t(ALPHA, kept - 1) * deviation * sqrt(1.0 + 1.0 / kept);
	usual = from_scale(measure->scale, mean);
	if (measure->bad <= 0)
		*minimum = at_least_away(measure, usual, from_scale(measure->scale, mean - half), -1);
	if (measure->bad >= 0)
		*maximum = at_least_away(measure, usual, from_scale(measure->scale, mean + half), 1);
	pfree(value);
	return true;
}
