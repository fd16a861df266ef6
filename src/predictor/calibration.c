/*
 * calibration.c
 *		What is done to a classifier's probabilities at last.
 *
 * Platt, Probabilistic outputs for support vector machines (1999), over the
 * log-odds of the probability; Zadrozny & Elkan, Transforming classifier scores
 * into accurate multiclass probability estimates (KDD 2002): isotonic
 * regression, and one map a class with the results scaled to sum 1.
 */
#include "postgres.h"

#include <float.h>

#include "predictor/linear.h"

/* the nearest numbers to 0 and 1 stand for these, so that a score is finite and never certain */
double
ml_calibration_log_odds(double p)
{
	p = Min(Max(p, DBL_MIN), 1 - DBL_EPSILON / 2);
	return log(p) - log1p(-p);
}

static double
isotonic(const MlCalibrationMap *map, double p)
{
	int			low = 0;
	int			high = map->npoints - 1;

	if (p <= map->x[0])
		return map->y[0];
	if (p >= map->x[high])
		return map->y[high];
	while (high - low > 1)
	{
		int			middle = (low + high) / 2;

		if (map->x[middle] <= p)
			low = middle;
		else
			high = middle;
	}
	return map->y[low] + (map->y[high] - map->y[low]) * ((p - map->x[low]) / (map->x[high] - map->x[low]));
}

static double
calibrated(const MlCalibration *calibration, int i, double p)
{
	const MlCalibrationMap *map = &calibration->map[i];

	if (calibration->kind == ML_CALIBRATION_ISOTONIC)
		return isotonic(map, p);
	return ml_logistic(map->slope * ml_calibration_log_odds(p) + map->shift);
}

void
ml_calibration_apply(const MlCalibration *calibration, double *probability, int noutputs)
{
	double		sum = 0;

	for (int i = 0; i < noutputs; i++)
	{
		if (isnan(probability[i]))
			return;
		probability[i] = calibrated(calibration, i, probability[i]);
		sum += probability[i];
	}
	if (noutputs == 1)
		return;
	for (int i = 0; i < noutputs; i++)
		probability[i] = sum > 0 ? probability[i] / sum : 1.0 / noutputs;
}
