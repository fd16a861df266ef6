/*
 * status.h
 *		What the numerics answer. They see no server header, allocate nothing
 *		and raise nothing: the caller owns the memory and words the error.
 */
#ifndef ML_NUM_STATUS_H
#define ML_NUM_STATUS_H

typedef enum MlNumStatus
{
	ML_NUM_OK,
	ML_NUM_SINGULAR,			/* exactly, or to working precision */
	ML_NUM_NOT_FINITE,			/* an infinity or NaN came in or came out */
	ML_NUM_NO_CONVERGENCE
} MlNumStatus;

#endif							/* ML_NUM_STATUS_H */
