/*
 * interrupts.h
 *		Cancelling a loop over rows.
 */
#ifndef ML_INTERRUPTS_H
#define ML_INTERRUPTS_H

#include "postgres.h"

#include "miscadmin.h"

#define ML_CHECK_ROWS	65536	/* rows between checks for interrupts */

/* for loops whose body is short: seldom enough to cost nothing */
static inline void
ml_check_row(int64 i)
{
	if (i % ML_CHECK_ROWS == 0)
		CHECK_FOR_INTERRUPTS();
}

#endif							/* ML_INTERRUPTS_H */
