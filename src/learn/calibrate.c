/*
 * calibrate.c
 *		Fits the map of a calibration from probabilities of rows that the model
 *		was not fitted on.
 */
#include "postgres.h"

#include "errors.h"
#include "learn/driver.h"
#include "num/isotonic.h"
#include "num/platt.h"

static void
refuse_map(MlNumStatus status)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_NO_CONVERGENCE),
			 errmsg("the calibration did not converge"),
			 status == ML_NUM_NOT_FINITE ?
			 errdetail("The probabilities of left-out rows are not all numbers.") :
			 errdetail("The sigmoid over the log-odds of left-out rows did not settle."),
			 errhint("Train with another calibration, or with none.")));
}

static void
fit_platt(const MlCalibrationRows *rows, MlCalibrationMap *map)
{
	MlPlattRows platt = {rows->n, rows->x, rows->label, rows->weight, rows->tick, rows->tick_arg};
	MlNumStatus status = ml_platt_fit(&platt, &map->slope, &map->shift);

	if (status != ML_NUM_OK)
		refuse_map(status);
}

/*
 * Probabilities of 0 and 1 would be certain of what a few rows say: the ends
 * stay as far off as Platt's targets do.
 */
static void
ends_of(const MlCalibrationRows *rows, double *least, double *most)
{
	double		total[2] = {0, 0};

	for (int64 i = 0; i < rows->n; i++)
		total[rows->label[i] != 0] += rows->weight ? rows->weight[i] : 1;
	*least = 1 / (total[0] + 2);
	*most = (total[1] + 1) / (total[1] + 2);
}

static void
fit_isotonic(const MlCalibrationRows *rows, MlCalibrationMap *map)
{
	MlIsotonic *block = palloc_extended(rows->n * sizeof(MlIsotonic), MCXT_ALLOC_HUGE);
	double		least;
	double		most;
	int64		nblocks;

	for (int64 i = 0; i < rows->n; i++)
		block[i] = (MlIsotonic) {rows->x[i], rows->x[i], rows->label[i], rows->weight ? rows->weight[i] : 1};
	nblocks = (int64) ml_isotonic_fit(block, rows->n, rows->tick, rows->tick_arg);
	ends_of(rows, &least, &most);
	map->x = palloc_extended(2 * nblocks * sizeof(double), MCXT_ALLOC_HUGE);
	map->y = palloc_extended(2 * nblocks * sizeof(double), MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < nblocks; i++)
		for (int end = 0; end < 2; end++)
		{
			if (end == 1 && block[i].last == block[i].first)
				continue;
			map->x[map->npoints] = end == 0 ? block[i].first : block[i].last;
			map->y[map->npoints++] = Min(Max(block[i].mean, least), most);
		}
	pfree(block);
}

void
ml_calibrate_map(MlCalibrationKind kind, const MlCalibrationRows *rows, MlCalibrationMap *map)
{
	memset(map, 0, sizeof(MlCalibrationMap));
	if (kind == ML_CALIBRATION_PLATT)
		fit_platt(rows, map);
	else
		fit_isotonic(rows, map);
}
