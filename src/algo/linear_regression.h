/*
 * linear_regression.h
 *		What the two files of linear regression share: the fit
 *		(linear_regression.c) and what becomes of it under penalties that leave
 *		columns out (elastic_net.c).
 */
#ifndef ML_ALGO_LINEAR_REGRESSION_H
#define ML_ALGO_LINEAR_REGRESSION_H

#include "algo/penalty.h"

typedef struct MlLinearParams
{
	bool		intercept;
	MlPenaltyParams penalty;
} MlLinearParams;

/*
 * The columns of R: the constant if there is one, the design, the target, and
 * the constant after all if only the penalty needs it.
 */
typedef struct Linear
{
	const MlFit *fit;
	const MlLinearParams *params;
	double		l2;
	int			ncolumns;
	int			first;			/* R's column of design column 0: 1 with an intercept, else 0 */
	int			target;
	int			ones;			/* R's column of the constant, -1: none */
	int			n;				/* columns of R */

	int			block;			/* rows that go into R at once, a multiple of 4 */
	double	   *rows;			/* block x n */
	double	   *work;

	/* after the pass */
	double	   *r;
	double		sum_weight;
	double		sum_log_weight;

	/* for finish */
	double	   *u;				/* n x n: triangle of the columns kept */
	double	   *b;				/* n: coefficients of the columns kept */
	int		   *kept;
	double	   *stack;			/* with a ridge penalty alone: its rows, n x n rounded up */

	/* with l1 or a path */
	int64		path_rows;		/* rows that a path fits on: the first */
	struct MlElasticNet *net;
} Linear;

/* the upper triangle */
extern void ml_linear_copy_triangle(int n, double *to, const double *from);

/* the unit in which the coefficient of a design column is penalised; r is the triangle of rows of that weight */
extern double ml_linear_unit(const Linear *l, const double *r, double sum_weight, int j);

/* facts of any fit; tss: of the model without columns */
extern void ml_linear_add_fit(const Linear *l, double rss, double tss, MlFitted *fitted);

/* ---- elastic_net.c ---- */

extern struct MlElasticNet *ml_elastic_net_alloc(const Linear *l);

/* the triangles of the rows that a path fits on, and of those that it holds out */
extern void ml_elastic_net_take(Linear *l, const double *fitted, double fitted_weight,
								const double *held, double held_weight);

/* chooses the penalty, and solves */
extern void ml_elastic_net_solve(Linear *l, MlFitted *fitted);

#endif							/* ML_ALGO_LINEAR_REGRESSION_H */
