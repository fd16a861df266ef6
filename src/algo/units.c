/*
 * units.c
 *		A rough centre and a rough unit for every design column, from a few rows.
 */
#include "postgres.h"

#include <math.h>

#include "algo/units.h"

#define UNIT_ROWS		128		/* rows of each of UNIT_PARTS places looked at */
#define UNIT_PARTS		8

/* mean and deviation of a few values, whatever their size */
static void
rough_unit(bool centred, bool scaled, const double *x, int n, double *centre, double *unit)
{
	double		mean = 0;
	double		largest = 0;
	double		sum = 0;

	for (int i = 0; centred && i < n; i++)
		mean += x[i] / n;
	for (int i = 0; i < n; i++)
		largest = Max(largest, fabs(x[i] - mean));
	for (int i = 0; i < n && largest > 0; i++)
		sum += ((x[i] - mean) / largest) * ((x[i] - mean) / largest);
	*centre = mean;
	if (!scaled)
		*unit = 1;
	else if (largest > fabs(mean) * 1e-12)
		*unit = 1 / (largest * sqrt(sum / n));
	else
		*unit = mean != 0 ? 1 / fabs(mean) : 1;
}

/* the same from those of all rows, where a survey has them */
static void
unit_from_moments(bool centred, bool scaled, double mean, double deviation, double *centre, double *unit)
{
	*centre = centred ? mean : 0;
	if (!centred)
		deviation = sqrt(mean * mean + deviation * deviation);
	if (!scaled)
		*unit = 1;
	else if (deviation > fabs(mean) * 1e-12)
		*unit = 1 / deviation;
	else
		*unit = mean != 0 ? 1 / fabs(mean) : 1;
}

void
ml_rough_units(const MlFit *fit, bool centred, double *block, double *column,
			   double *centre, double *unit)
{
	const MlDesignMatrix *rows = fit->rows;
	int			parts = rows->nrows > UNIT_ROWS * UNIT_PARTS ? UNIT_PARTS : 1;
	int			part_rows = parts > 1 ? UNIT_ROWS : (int) rows->nrows;
	int			p = rows->ncolumns;

	if (p == 0)
		return;
	if (rows->survey)
	{
		for (int j = 0; j < p; j++)
			unit_from_moments(centred, rows->scaled[j], rows->survey->mean[j], rows->survey->deviation[j],
							  &centre[j], &unit[j]);
		return;
	}
	StaticAssertStmt(UNIT_ROWS * UNIT_PARTS <= ML_BLOCK_ROWS, "sample must fit a block");
	for (int part = 0; part < parts; part++)
		rows->read(rows->arg, (rows->nrows - part_rows) / Max(parts - 1, 1) * part, part_rows,
				   block + (Size) part * part_rows * p);
	for (int j = 0; j < p; j++)
	{
		for (int part = 0; part < parts; part++)
			memcpy(column + part * part_rows,
				   block + ((Size) part * p + j) * part_rows, part_rows * sizeof(double));
		rough_unit(centred, rows->scaled[j], column, parts * part_rows, &centre[j], &unit[j]);
	}
}
