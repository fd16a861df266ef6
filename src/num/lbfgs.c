/*
 * lbfgs.c
 *		Limited-memory BFGS with a line search for the strong Wolfe conditions:
 *		Nocedal & Wright, Numerical Optimization, 2nd ed. (2006), algorithms 7.4,
 *		7.5, 3.5 and 3.6.
 *
 * The caller evaluates, since that is a pass over rows: the search is a state
 * that every evaluation takes further. The matrix that a direction begins with
 * is the inverse of rough curvatures, times the scale that the last step shows
 * (equation 7.20, in the metric of the curvatures).
 *
 * Near the minimum differences of values are rounding while slopes are still
 * good: a value counts as no larger if it is so within NOISE of itself.
 */
#include <math.h>
#include <string.h>

#include "num/lbfgs.h"

#include <cblas.h>

#define DECREASE	1e-4		/* c1 of the Wolfe conditions */
#define CURVATURE	0.9			/* c2 */
#define NOISE		1e-13
#define GROWTH		4.0			/* of a step that is too short */
#define MOST_TRIES	30			/* of one search */

size_t
ml_lbfgs_memory(int n)
{
	return (size_t) n * (4 + 2 * ML_LBFGS_PAIRS);
}

void
ml_lbfgs_begin(MlLbfgs *l)
{
	size_t		n = l->n;

	l->x = l->memory;
	l->accepted = l->x + n;
	l->gradient = l->accepted + n;
	l->direction = l->gradient + n;
	l->s = l->direction + n;
	l->y = l->s + ML_LBFGS_PAIRS * n;
	l->npairs = 0;
	l->next = 0;
	l->steps = 0;
}

/* direction = -H gradient, by the two loops of algorithm 7.4 */
static void
find_direction(MlLbfgs *l)
{
	size_t		n = l->n;
	double	   *d = l->direction;
	double		alpha[ML_LBFGS_PAIRS];
	double		scale = 1;

	for (size_t i = 0; i < n; i++)
		d[i] = l->curvature[i] > 0 ? -l->gradient[i] : 0;
	for (int k = 1; k <= l->npairs; k++)
	{
		int			p = (l->next + ML_LBFGS_PAIRS - k) % ML_LBFGS_PAIRS;

		alpha[p] = l->rho[p] * cblas_ddot(l->n, l->s + p * n, 1, d, 1);
		cblas_daxpy(l->n, -alpha[p], l->y + p * n, 1, d, 1);
	}
	if (l->npairs > 0)
	{
		int			p = (l->next + ML_LBFGS_PAIRS - 1) % ML_LBFGS_PAIRS;
		const double *y = l->y + p * n;
		double		norm = 0;

		for (size_t i = 0; i < n; i++)
			norm += l->curvature[i] > 0 ? y[i] * y[i] / l->curvature[i] : 0;
		scale = 1 / (l->rho[p] * norm);
	}
	for (size_t i = 0; i < n; i++)
		d[i] = l->curvature[i] > 0 ? d[i] * scale / l->curvature[i] : 0;
	for (int k = l->npairs; k >= 1; k--)
	{
		int			p = (l->next + ML_LBFGS_PAIRS - k) % ML_LBFGS_PAIRS;
		double		beta = l->rho[p] * cblas_ddot(l->n, l->y + p * n, 1, d, 1);

		cblas_daxpy(l->n, alpha[p] - beta, l->s + p * n, 1, d, 1);
	}
}

static void
try_step(MlLbfgs *l, double step)
{
	l->step = step;
	memcpy(l->x, l->accepted, sizeof(double) * l->n);
	cblas_daxpy(l->n, step, l->direction, 1, l->x, 1);
}

/* a new search from accepted; false: there is no direction down */
static bool
begin_search(MlLbfgs *l)
{
	find_direction(l);
	l->slope = cblas_ddot(l->n, l->gradient, 1, l->direction, 1);
	l->promise = -l->slope;
	if (!(l->slope < 0) || !isfinite(l->slope))
		return false;
	l->tries = 0;
	l->bracketed = false;
	l->low = 0;
	l->low_value = l->value;
	l->low_slope = l->slope;
	try_step(l, 1);
	return true;
}

/* x is accepted: the pair that the step makes, if it is of use */
static void
remember(MlLbfgs *l, const double *gradient)
{
	size_t		n = l->n;
	double	   *s = l->s + l->next * n;
	double	   *y = l->y + l->next * n;
	double		product;

	for (size_t i = 0; i < n; i++)
	{
		s[i] = l->x[i] - l->accepted[i];
		y[i] = l->curvature[i] > 0 ? gradient[i] - l->gradient[i] : 0;
	}
	product = cblas_ddot(l->n, s, 1, y, 1);
	if (!(product > 0) || !isfinite(1 / product))
		return;
	l->rho[l->next] = 1 / product;
	l->next = (l->next + 1) % ML_LBFGS_PAIRS;
	if (l->npairs < ML_LBFGS_PAIRS)
		l->npairs++;
}

static MlLbfgsStatus
accept_step(MlLbfgs *l, double value, const double *gradient)
{
	if (l->steps++ > 0)
		remember(l, gradient);
	memcpy(l->accepted, l->x, sizeof(double) * l->n);
	memcpy(l->gradient, gradient, sizeof(double) * l->n);
	l->value = value;
	return begin_search(l) ? ML_LBFGS_STEPPED : ML_LBFGS_STALLED;
}

/* the minimum of the cubic through both ends (equation 3.59), well inside */
static double
between(const MlLbfgs *l)
{
	double		width = l->high - l->low;
	double		d1 = l->low_slope + l->high_slope - 3 * (l->low_value - l->high_value) / (l->low - l->high);
	double		d2 = sqrt(d1 * d1 - l->low_slope * l->high_slope);
	double		part;

	if (width < 0)
		d2 = -d2;
	part = 1 - (l->high_slope + d2 - d1) / (l->high_slope - l->low_slope + 2 * d2);
	if (!(part > 0) || !(part < 1))
		part = 0.5;
	return l->low + width * fmin(fmax(part, 0.1), 0.9);
}

static void
set_high(MlLbfgs *l, double step, double value, double slope)
{
	l->high = step;
	l->high_value = value;
	l->high_slope = slope;
	l->bracketed = true;
}

/* the tried step becomes an end of the interval */
static void
narrow(MlLbfgs *l, double value, double slope, bool worse)
{
	double		ahead = l->bracketed ? l->high - l->low : 1;

	if (worse)
	{
		set_high(l, l->step, value, slope);
		return;
	}
	if (slope * ahead >= 0)
		set_high(l, l->low, l->low_value, l->low_slope);
	l->low = l->step;
	l->low_value = value;
	l->low_slope = slope;
}

MlLbfgsStatus
ml_lbfgs_take(MlLbfgs *l, double value, const double *gradient)
{
	double		slope;
	bool		finite;
	bool		worse;

	if (l->steps == 0)
		return accept_step(l, value, gradient);
	slope = cblas_ddot(l->n, gradient, 1, l->direction, 1);
	finite = isfinite(value) && isfinite(slope);
	worse = !finite ||
		value > l->value + DECREASE * l->step * l->slope + NOISE * fabs(l->value) ||
		value > l->low_value + NOISE * fabs(l->value);
	if (!worse && fabs(slope) <= -CURVATURE * l->slope)
		return accept_step(l, value, gradient);
	if (++l->tries >= MOST_TRIES)
		return ML_LBFGS_STALLED;
	narrow(l, value, slope, worse);
	if (!l->bracketed)
		try_step(l, l->step * GROWTH);
	else if (finite)
		try_step(l, between(l));
	else
		try_step(l, l->low + (l->high - l->low) / 10);
	return l->step == l->low ? ML_LBFGS_STALLED : ML_LBFGS_SEARCHES;
}
