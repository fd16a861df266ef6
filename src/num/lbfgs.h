/*
 * lbfgs.h
 *		Minimises a smooth function of many variables from its values and
 *		gradients, which the caller computes.
 */
#ifndef ML_NUM_LBFGS_H
#define ML_NUM_LBFGS_H

#include <stdbool.h>
#include <stddef.h>

#define ML_LBFGS_PAIRS	20		/* steps that are remembered */

/*
 * The caller fills n, memory and curvature, writes the start to x, calls
 * ml_lbfgs_begin, and then evaluates at x and calls ml_lbfgs_take until it has
 * enough.
 */
typedef struct MlLbfgs
{
	int			n;
	double	   *memory;			/* ml_lbfgs_memory(n) doubles */
	const double *curvature;	/* n, rough second derivatives; 0: the variable stays as it is */

	double	   *x;				/* where to evaluate next */
	double	   *accepted;		/* the best place so far */
	double	   *gradient;		/* there */
	double		value;			/* there */
	int			steps;			/* accepted, the start included */
	double		promise;		/* what the step from there should take off the value, doubled */

	/* private */
	double	   *direction;
	double	   *s;				/* ML_LBFGS_PAIRS x n: steps, */
	double	   *y;				/* and what they changed the gradient by */
	double		rho[ML_LBFGS_PAIRS];
	int			npairs;
	int			next;			/* where the next pair goes */
	double		slope;			/* of the value along direction, at accepted */
	double		step;			/* tried now */
	int			tries;

	/* ends of the interval that holds the step; low is the better one */
	bool		bracketed;
	double		low, low_value, low_slope;
	double		high, high_value, high_slope;
} MlLbfgs;

typedef enum MlLbfgsStatus
{
	ML_LBFGS_SEARCHES,			/* no step yet: evaluate at x */
	ML_LBFGS_STEPPED,			/* accepted is new; to go on, evaluate at x */
	ML_LBFGS_STALLED			/* no step leads down from accepted, to working precision */
} MlLbfgsStatus;

extern size_t ml_lbfgs_memory(int n);

extern void ml_lbfgs_begin(MlLbfgs *l);

/* value (infinite or NaN: too far) and gradient at x */
extern MlLbfgsStatus ml_lbfgs_take(MlLbfgs *l, double value, const double *gradient);

#endif							/* ML_NUM_LBFGS_H */
