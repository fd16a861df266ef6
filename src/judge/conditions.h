/*
 * conditions.h
 *		Conditions that a column of a jury can be divided by. Private to judge/.
 */
#ifndef ML_CONDITIONS_H
#define ML_CONDITIONS_H

#include "postgres.h"

#include "judge/jury.h"

#define ML_NO_CONDITION	(-1)	/* a row that meets none of a column's */

/* a column of the frame, divided: each row meets at most one of its conditions */
typedef struct MlDivided
{
	const MlColumn *column;
	int			n;
	char	  **condition;		/* SQL */
	int16	   *met;			/* by place */
} MlDivided;

/* false: all rows are alike, or the column's kind is not divided */
extern bool ml_divide_column(MlJury *jury, const MlColumn *column, MlDivided *result);

#endif							/* ML_CONDITIONS_H */
