/*
 * mlp_pool.h
 *		The rows that a network learns from, and their loss and gradient, by one
 *		process or by several.
 *
 * Rows are cut into chunks whose number and bounds depend on how many they are
 * and on the network alone; gradients of chunks are added in the order of the
 * chunks. So the sums are the same, bit for bit, whoever did what.
 */
#ifndef ML_ALGO_MLP_POOL_H
#define ML_ALGO_MLP_POOL_H

#include "learn/crew.h"
#include "num/network.h"

/* arrays may be in shared memory */
typedef struct MlPool
{
	double	   *x;				/* row-major */
	double	   *y;
	double	   *weight;
	int64	   *order;			/* rows of the pool in the order that they are drawn */
	double	   *theta;			/* the weights of the network */

	/* its own */
	const MlFit *fit;
	MlNet		net;
	MlCrew	   *crew;			/* or NULL */
	MlCrewMember alone;
} MlPool;

/* room for so many rows; takes in workers where a batch is worth it */
extern void ml_pool_make(MlPool *pool, const MlFit *fit, const MlNet *net, int64 rows, int64 batch_rows);
extern void ml_pool_end(MlPool *pool);

/*
 * The sum of weight times loss over the rows order[first, first + n). Its
 * gradient is written to gradient unless that is NULL. report is called between
 * chunks.
 */
extern double ml_pool_loss(MlPool *pool, int64 first, int64 n, double *gradient,
						   void (*report) (void *arg), void *arg);

/* the task of a crew */
extern void ml_pool_chunk(MlCrewMember *me, const void *args, int64 chunk);

#endif							/* ML_ALGO_MLP_POOL_H */
