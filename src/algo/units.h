/*
 * units.h
 *		A rough centre and a rough unit for every design column, from a few rows.
 *
 * Fits that go over the rows several times work on z = (x - centre) * unit, so
 * that their matrices are as well conditioned as correlations allow; estimates
 * are carried back at the end.
 */
#ifndef ML_ALGO_UNITS_H
#define ML_ALGO_UNITS_H

#include "learn/driver.h"

/*
 * Centres are 0 unless asked for; the unit of a 0/1 column is 1. block has room
 * for the columns of ML_BLOCK_ROWS rows, column for one.
 */
extern void ml_rough_units(const MlFit *fit, bool centred, double *block, double *column,
						   double *centre, double *unit);

#endif							/* ML_ALGO_UNITS_H */
